"""The recipe of answers with sources: the right page is named, and what is no source is not shown as one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pypdf", reason="in no environment but that of the recipes")

from llama_index.core import SimpleDirectoryReader

from kimi_emulator import KimiEmulator, Reply
from llama_index_kimi import KimiFileReader
from tests.examples import ROOT, fences, file_name, run_here
from tests.media_samples import REPORT

PAGE = "docs/recipes/pdfs.md"
PROGRAMS = [fence.code for fence in fences((ROOT / PAGE).read_text("utf-8")) if not file_name(fence.code)]
ELECTRIC = "Seven of the ferries are electric since May."


def shown_by(word: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Run the fence with a word, and give what it prints."""
    run_here([next(code for code in PROGRAMS if word in code)], PAGE)
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def _page(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, write_files: Callable[[str], Path]) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    (write_files(PAGE) / "report.pdf").write_bytes(REPORT)


def answer(*quotes: tuple[int, str]) -> Reply:
    said = [{"page": page, "words": words} for page, words in quotes]
    return Reply(json.dumps({"text": "Seven.", "quotes": said}))


@pytest.mark.says(
    "docs/recipes/pdfs.md",
    "The answer is an object whose sources are quotations, each with its page. Those that do not stand there are dropped:",
)
@pytest.mark.parametrize(
    ("quotes", "shown"),
    [
        ([(2, ELECTRIC)], [f'page 2: "{ELECTRIC}"']),
        ([(2, "ferries are electric\nsince May")], ['page 2: "ferries are electric\nsince May"']),
        ([(3, ELECTRIC)], []),
        ([(9, ELECTRIC)], []),
        ([(2, "Nine of the ferries are electric.")], []),
        ([(2, " ")], []),
        ([(7, "It is so."), (2, "Seven of the ferries")], ['page 2: "Seven of the ferries"']),
    ],
)
def test_quotes_that_stand_are_shown(
    kimi: KimiEmulator, capsys: pytest.CaptureFixture[str], quotes: list[tuple[int, str]], shown: list[str]
) -> None:
    kimi.script(answer(*quotes))
    out = shown_by("import Report", capsys)
    assert out == "\n  ".join(["Seven.", *(shown or ["no page of the report says so"])]) + "\n"
    asked = kimi.requests[-1].body["messages"][-1]["content"]
    assert f"Page 2:\nFerries. {ELECTRIC}" in asked
    assert kimi.rejections == []


@pytest.mark.says(
    "docs/recipes/pdfs.md",
    "A number is a place in `source_nodes`, whose metadata has the page; one that is not there was made up:",
)
@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Seven are electric [1].", "Seven are electric [page 2]."),
        ("Seven [1], and nine more [7].", "Seven [page 2], and nine more [no source]."),
        ("I do not know.", "I do not know."),
    ],
)
def test_citations_name_the_page(kimi: KimiEmulator, capsys: pytest.CaptureFixture[str], said: str, shown: str) -> None:
    kimi.script(Reply(said))
    out = shown_by("import engine_over", capsys)
    assert out.splitlines()[0] == shown
    assert out.splitlines()[1].startswith("  page 2, score")
    asked = kimi.requests[-1].body["messages"][-1]["content"]
    assert f"Source 1:\nFerries. {ELECTRIC}" in asked
    assert kimi.rejections == []


@pytest.mark.says("docs/recipes/pdfs.md", "the page `int(Path(file_name).stem)` of a document's metadata")
def test_kimi_reads_a_page_at_a_time(kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    pages: dict[int, Any] = eval(shown_by("KimiFileLoader", capsys))
    assert {number: text.split()[0] for number, text in pages.items()} == {1: "Annual", 2: "Ferries.", 3: "Finances."}
    uploads = [request for request in kimi.requests if request.method == "POST" and request.path.endswith("/files")]
    assert len(uploads) == 3
    reader = SimpleDirectoryReader("pages-of-report", file_extractor={".pdf": KimiFileReader()})
    assert {int(Path(read.metadata["file_name"]).stem): read.text for read in reader.load_data()}.keys() == {1, 2, 3}
    assert kimi.rejections == []
