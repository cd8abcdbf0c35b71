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

from tests.examples import ROOT, without_fences

_SAYS = re.compile(r"^ *@pytest\.mark\.says(\(.*?\))$", re.MULTILINE | re.DOTALL)


def missing(promises: Iterable[tuple[str, str]]) -> list[str]:
    """Those of some pages and words that the page does not say."""
    return [f"{page}: {words}" for page, words in promises if plain(words) not in words_of(page)]


def named() -> Iterator[tuple[str, str]]:
    """The pages and words that tests name."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for given in _SAYS.findall(path.read_text("utf-8")):
            page, *said = ast.literal_eval(given)
            yield from ((page, words) for words in said)


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


def _prose(page: str) -> str:
    return re.sub(
        r"<!-- \w+: make .*?<!-- end of \w+ -->|<!--.*?-->|^#[^\n]*$|^[| :-]+$",
        "",
        without_fences((ROOT / page).read_text("utf-8")),
        flags=re.DOTALL | re.MULTILINE,
    )


def main(pages: list[str]) -> None:
    """Show the sentences of pages; `+` is before those that tests name."""
    for page in pages:
        held = [plain(words) for where, words in named() if where == page]
        for sentence in sentences(page):
            known = any(words in sentence or sentence in words for words in held)
            print("+" if known else " ", sentence)


if __name__ == "__main__":
    main(sys.argv[1:])
