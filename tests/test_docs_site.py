"""The documentation site: every page and every public name is on it, and notebooks are shown with their outputs."""

from __future__ import annotations

import json
import re
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import pytest

from tests import docs_site
from tests.docs_site import REFERENCE, contents, home, navigation, notebook_page, pages, public_names, reference_page
from tests.examples import ROOT


def leaves(nav: Any) -> list[str]:
    """The pages of a navigation, in order."""
    if isinstance(nav, str):
        return [nav]
    return [page for part in (nav.values() if isinstance(nav, dict) else nav) for page in leaves(part)]


def test_every_page_is_in_the_navigation_once() -> None:
    found = leaves(navigation(pages(), contents()))
    assert len(found) == len(set(found))
    on_disk = {re.sub(r"\.ipynb$", ".md", page) for page in pages()}
    assert {page for page in found if page.startswith(("docs/", "notebooks/"))} == on_disk
    assert all((ROOT / page).exists() for page in found if "/" not in page)


def test_the_navigation_has_the_words_and_the_order_of_the_texts_that_lead_there() -> None:
    texts = {
        "": "`\\033[2m` [中文](docs/zh/README.md) [second](docs/b.md) [the first](docs/a.md) [again](docs/b.md#part) [a book](notebooks/1.ipynb)",
        "docs/c/": "[the way out](../a.md) [two](two.md) [one](one.md) [elsewhere](https://example.org/a.md)",
        "docs/zh/": "[乙](b.md)",
    }
    there = [
        "docs/a.md",
        "docs/b.md",
        "docs/new.md",
        *(f"docs/c/{name}.md" for name in ("README", "one", "three", "two")),
        "notebooks/1.ipynb",
        *(f"docs/zh/{name}.md" for name in ("README", "a", "b")),
    ]
    assert navigation(there, texts)[:5] == [
        {"Start": "README.md"},
        {"Guides": [{"Second": "docs/b.md"}, {"The first": "docs/a.md"}, "docs/new.md"]},
        {"Notebooks": [{"A book": "notebooks/1.md"}]},
        {"C": [{"Two": "docs/c/two.md"}, {"One": "docs/c/one.md"}, "docs/c/README.md", "docs/c/three.md"]},
        {"中文": [{"中文": "docs/zh/README.md"}, {"乙": "docs/zh/b.md"}, "docs/zh/a.md"]},
    ]


def test_a_cell_of_a_table_has_the_heading_of_its_column() -> None:
    html = """<table>
<thead>
<tr>
<th></th>
<th style="text-align: right;"><code>a</code>, "b"</th>
</tr>
</thead>
<tbody>
<tr>
<td>one</td>
<td style="text-align: right;"></td>
</tr>
<tr>
<td>two</td>
<td style="text-align: right;">2</td>
</tr>
</tbody>
</table>"""
    found = docs_site.on_page_content(html)
    assert re.findall(r'<td data-heading="([^"]*)"', found) == ["", "a, &quot;b&quot;"] * 2
    assert re.sub(r' data-heading="[^"]*"', "", found) == html
    drawn = "<table><tbody><tr><td>a notebook's</td></tr></tbody></table>"
    assert docs_site.on_page_content(drawn) == drawn


@pytest.mark.parametrize("module", REFERENCE)
def test_every_public_name_is_on_the_page_of_its_module(module: str) -> None:
    page = reference_page(module)
    names = public_names(module)
    assert names
    assert set(names) >= set(getattr(import_module(module), "__all__", ()))
    for name in names:
        where = home(module, name)
        if where == module:
            assert f"\n::: {module}.{name}\n" in f"{page}\n"
        else:
            assert f"[`{name}`][{where}.{name}]" in page
            assert f"\n::: {where}.{name}\n" in f"{reference_page(where)}\n"


def test_the_reference_has_the_modules_that_contributing_names() -> None:
    packages = {module.partition(".")[0] for module in REFERENCE}
    assert packages == {path.parent.name for path in ROOT.glob("*/py.typed")}


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_cell_and_picture_of_a_notebook_is_shown(path: Any) -> None:
    book = json.loads(path.read_text("utf-8"))
    page = notebook_page(book)
    for cell in book["cells"]:
        assert "".join(cell["source"]).rstrip() in page
    pictures = sum(
        "image/png" in output.get("data", {}) for cell in book["cells"] for output in cell.get("outputs", [])
    )
    assert page.count('src="data:image/png') == pictures


def test_outputs_of_every_kind() -> None:
    outputs = [
        {"output_type": "stream", "text": ["one\n", "```\n"]},
        {"output_type": "error", "ename": "KimiError", "evalue": "no", "traceback": []},
        {"data": {"text/html": "<style scoped>\na {}\n</style><pre>a\n\nb</pre>", "text/plain": "x"}},
        {"data": {"text/markdown": "**bold**\n- one\n- two"}},
        {"data": {"text/plain": ["391"]}},
        {"data": {"application/json": {}}},
    ]
    page = notebook_page(
        {"cells": [{"cell_type": "code", "source": "1", "outputs": outputs}, {"cell_type": "raw", "source": "r"}]}
    )
    assert "```` { .text .output }\none\n```\n````" in page
    assert "KimiError: no" in page
    assert '<div class="output"><pre>a&#10;&#10;b</pre></div>' in page
    assert "> **bold**\n> \n> - one\n> - two" in page
    assert page.endswith("``` { .text .output }\n391\n```")


def test_links_to_notebooks_lead_to_their_pages() -> None:
    text = "[a](../notebooks/1.ipynb) [b](1.ipynb#part) [c](https://example.org/1.ipynb) `1.ipynb`"
    wanted = "[a](../notebooks/1.md) [b](1.md#part) [c](https://example.org/1.ipynb) `1.ipynb`"
    assert docs_site.on_page_markdown(text) == wanted


def test_a_chinese_page_says_that_it_is_chinese() -> None:
    html = '<!doctype html><html lang="en" class="no-js">'
    there = {uri: SimpleNamespace(file=SimpleNamespace(src_uri=uri)) for uri in ("docs/zh/a.md", "docs/a.md")}
    assert docs_site.on_post_page(html, there["docs/zh/a.md"]) == html.replace('"en"', '"zh-CN"')
    assert docs_site.on_post_page(html, there["docs/a.md"]) == html


@pytest.mark.parametrize("path", ["langchain_kimi.chat_models.ChatKimi", "llama_index_kimi.base.Kimi"])
def test_the_reference_has_the_words_that_an_argument_takes(path: str) -> None:
    griffe = pytest.importorskip("griffe")
    module, _, name = path.rpartition(".")
    extensions = griffe.load_extensions(str(ROOT / "tests/docs_words.py"))
    found = griffe.load(module, search_paths=[ROOT], extensions=extensions)[name].attributes
    assert str(found["reasoning_effort"].annotation) == "Literal['low', 'high', 'max'] | None"
    assert str(found["empty_answers"].annotation) == "Literal['warn', 'retry', 'error']"
    assert not [field for field, attribute in found.items() if "Spelt" in str(attribute.annotation)]
