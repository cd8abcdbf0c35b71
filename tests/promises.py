"""What the pages promise, and which tests hold it.

A test that holds a sentence of a page says so: `@pytest.mark.says("docs/media.md", "A request has at most 100 MB")`. The
words have to stand in the page, so that whoever changes a promise is told of its test. `python -m tests.promises PAGE ...`
shows the sentences of pages, and marks those that a test names.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache

import pytest

from tests.examples import ROOT


def check(marks: Iterable[pytest.Mark]) -> None:
    """Find the words of `says` marks in their pages.

    Raises:
        pytest.UsageError: Where a page does not say them.
    """
    wanted = {(mark.args[0], sentence) for mark in marks for sentence in mark.args[1:]}
    missing = [f"{page}: {sentence}" for page, sentence in sorted(wanted) if plain(sentence) not in words_of(page)]
    if missing:
        raise pytest.UsageError("tests hold what a page does not say (any more):", *missing)


def plain(text: str) -> str:
    """A text on one line, without marks of quotes, lists and tables."""
    return " ".join(re.sub(r"^\s*(?:[-*>|] ?)+|[|]", " ", text, flags=re.MULTILINE).split())


@lru_cache
def words_of(page: str) -> str:
    """What a page says, without its fences."""
    return plain(_prose(page))


def sentences(page: str) -> Iterator[str]:
    """The sentences and table cells of a page, in order."""
    for block in re.split(r"\n\s*\n|\n(?=[-*|] )", _prose(page)):
        for cell in block.split(" | ") if block.lstrip().startswith("|") else [block]:
            yield from filter(None, map(plain, re.split(r"(?<=[.:;])\s+(?=[A-Z`*\[])", cell)))


def named(page: str) -> list[str]:
    """The words of a page that tests name."""
    trees = (ast.parse(path.read_text("utf-8")) for path in sorted((ROOT / "tests").rglob("test_*.py")))
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    marks = [call.args for call in calls if ast.unparse(call.func).endswith("mark.says")]
    words = [[word.value for word in mark if isinstance(word, ast.Constant)] for mark in marks]
    return [plain(sentence) for mark in words if mark[0] == page for sentence in mark[1:]]


def _prose(page: str) -> str:
    text = (ROOT / page).read_text("utf-8")
    return re.sub(
        r"<!-- \w+: make .*?<!-- end of \w+ -->|<!--.*?-->|^ *```.*?^ *```$|^#[^\n]*$|^[| :-]+$",
        "",
        text,
        flags=re.DOTALL | re.MULTILINE,
    )


def main(pages: list[str]) -> None:
    """Show the sentences of pages; `+` is before those that tests name."""
    for page in pages:
        held = named(page)
        for sentence in sentences(page):
            known = any(words in sentence or sentence in words for words in held)
            print("+" if known else " ", sentence)


if __name__ == "__main__":
    main(sys.argv[1:])
