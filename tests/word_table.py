"""The table of other classes' words, written from `kimi_wire.borrowed`: `python -m tests.word_table`, or `make tables`."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.report import replace_between_markers
from kimi_wire.borrowed import WORDS, Word

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "migrating.md"
NOTEBOOK = ROOT / "notebooks" / "09-migrating.ipynb"
BEGIN, END = "<!-- words: make tables -->", "<!-- end of words -->"


def _here(name: str, word: Word) -> str:
    if word.here:
        return word.advice or f"`{word.here}`"
    if word.only is not None:
        return f"`{word.only}` is how it is anyway, and taken; other values are an error. {word.advice}"
    return f"an error. {word.advice}"


def render_table() -> str:
    """Write the table: a row for each word."""
    rows = [f"| `{name}` | {word.of} | {_here(name, word)} |" for name, word in WORDS.items()]
    return "\n".join(["| word | of | here |", "|---|---|---|", *rows])


def insert(text: str) -> str:
    """Put the table between its marks in a text."""
    return replace_between_markers(text, render_table(), (BEGIN, END))


def insert_in_notebook(text: str) -> str:
    """Put the table into the notebook's cell that has its marks."""
    book = json.loads(text)
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if BEGIN in source:
            cell["source"] = insert(source).splitlines(keepends=True)
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PAGE.write_text(insert(PAGE.read_text("utf-8")), encoding="utf-8")
    NOTEBOOK.write_text(insert_in_notebook(NOTEBOOK.read_text("utf-8")), encoding="utf-8")
