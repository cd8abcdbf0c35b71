"""The tables of other classes' words in docs/migrating.md, from `kimi_wire.borrowed`: `python -m tests.word_table`, or `make tables`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.report import replace_between_markers
from kimi_wire.borrowed import WORDS, Word
from kimi_wire.settings import OF_A_CALL
from tests.peers import ARGUMENTS, CALL

PAGE = Path(__file__).parent.parent / "docs" / "migrating.md"
BEGIN, END = "<!-- words: make tables -->", "<!-- end of words -->"

CHAIN = ARGUMENTS["ChatOpenAI"] | ARGUMENTS["ChatMoonshot"] | ARGUMENTS["ChatDeepSeek"] | CALL
INDEX = ARGUMENTS["OpenAILike"] | ARGUMENTS["DeepSeek"] | CALL

_OF_CHAIN = {"ChatOpenAI", "MoonshotChat", "OpenAI's API", "LangChain", "vLLM and SGLang"}
_OF_INDEX = {"OpenAI (LlamaIndex)", "OpenAILike", "OpenAI's API", "LlamaIndex", "vLLM and SGLang"}

FRAMEWORKS = {"LangChain", "LlamaIndex", "LangChain and LlamaIndex"}
_HEAD = "| `ChatOpenAI`, `ChatMoonshot`, `ChatDeepSeek` | `OpenAILike`, `DeepSeek` | here |\n|---|---|---|"
_SAME = "the same"


def meaning(name: str) -> tuple[str, str]:
    """What becomes of a name: the title of its table, and what is said of it there."""
    word = WORDS.get(name, Word(""))
    if word.here:
        return "By its own or another name", word.advice or f"`{word.here}`"
    if not word.of:
        others = any(other.here == name and not other.advice for other in WORDS.values())
        same = "the same, with a call" if name in (*OF_A_CALL, "extra_headers") else _SAME
        return "By its own or another name", f"`{name}`" if others else same
    if word.of in FRAMEWORKS:
        return "What every model of the framework has", word.advice
    if word.only is not None:
        return "Taken with one value", f"`{word.only}` is how it is anyway. {word.advice}"
    if word.left_out:
        return "Left out of a call, with a warning; in a constructor an error", word.advice
    return "An error that says what to write", word.advice


def columns(names: Iterable[str]) -> tuple[list[str], list[str]]:
    """The names as those of the first column, and of the second."""
    chain, index = [], []
    for name in names:
        of = WORDS[name].of if name in WORDS else ""
        if name in CHAIN or of in _OF_CHAIN:
            chain.append(name)
        if name in INDEX or of in _OF_INDEX:
            index.append(name)
    return chain, index


def tables() -> dict[str, dict[str, list[str]]]:
    """By title, and by what is said: the names of which it is said."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in [*WORDS, *sorted((CHAIN | INDEX) - WORDS.keys())]:
        title, said = meaning(name)
        found.setdefault(title, {}).setdefault(said, []).append(name)
    return found


def render_tables() -> str:
    """Write the tables: a row for everything that is said, with the names of which it is said."""
    parts = []
    for title, rows in tables().items():
        lines = []
        for said, names in sorted(rows.items(), key=lambda row: row[0].startswith(_SAME)):
            cells = (", ".join(f"`{name}`" for name in column) for column in columns(names))
            lines.append(f"| {' | '.join(cells)} | {said} |")
        parts.append("\n".join([f"### {title}", "", _HEAD, *lines, ""]))
    return "\n" + "\n".join(parts)


def insert(text: str) -> str:
    """Put the tables between their marks in a text."""
    return replace_between_markers(text, render_tables(), (BEGIN, END))


if __name__ == "__main__":
    PAGE.write_text(insert(PAGE.read_text("utf-8")), encoding="utf-8")
