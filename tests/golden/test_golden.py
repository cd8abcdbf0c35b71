"""The pages of golden requests are what is sent."""

from __future__ import annotations

import difflib

import pytest

from tests.golden.pages import FOLDER, NAMES, path_of, render_page


@pytest.mark.parametrize("name", NAMES)
def test_a_page_shows_what_is_sent(name: str) -> None:
    shown = path_of(name).read_text("utf-8") if path_of(name).exists() else ""
    sent = render_page(name)
    if shown != sent:
        pages = (shown.splitlines(), sent.splitlines())
        lines = difflib.unified_diff(*pages, f"tests/golden/{name}.md", "what is sent now", lineterm="", n=12)
        pytest.fail("\n".join([*lines, "If you meant it: make golden"]), pytrace=False)


def test_there_are_no_other_pages() -> None:
    assert {path.stem for path in FOLDER.glob("*.md")} == set(NAMES), "make golden"
