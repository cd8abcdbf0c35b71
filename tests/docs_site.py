"""The documentation site: the hook by which mkdocs makes one of this repository (`make docs`).

The site has the repository's own tree, so that a relative link leads to the same place in both and nothing is written
twice: the README is its first page, `docs/` and the files beside the README follow, notebooks are shown with the outputs
that they keep, and the reference has a page for each module that users import from. A page is in the navigation because
it is there: under the words of the link to it in the README, or in its folder's own, in that order; and then whatever none names.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent

REFERENCE = (
    "langchain_kimi",
    "llama_index_kimi",
    "kimi_wire",
    "kimi_wire.errors",
    "kimi_wire.display",
    "kimi_emulator",
    "kimi_emulator.pytest_plugin",
    "llama_index_conformance",
)
"""The modules that users import from, as CONTRIBUTING.md names them."""

BESIDE = {
    "CHANGELOG.md": "Changelog",
    "CONTRIBUTING.md": "Contributing",
    "SECURITY.md": "Security",
}
"""Pages beside the README, with their titles."""

FOLDERS = {"docs": "Guides", "docs/zh": "中文", "notebooks": "Notebooks"}
"""Folders with pages, with their titles; others have their own names."""

CHINESE = "docs/zh/"
"""Where the Chinese pages are, after all others: each has the place of its English twin."""

# A line with a list right below it, which Python's Markdown takes for more of the paragraph.
_LIST = re.compile(r"^((?![-*+] |\d+\. )\S.*)\n(?=[-*+] |\d+\. )", re.MULTILINE)


_HEADING = re.compile(r"<th(?: [^>]*)?>(.*?)</th>", re.DOTALL)


# What mkdocs calls.


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Write the navigation."""
    config.nav = navigation(pages(), contents())
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Give the site the repository's tree."""
    from mkdocs.structure.files import File, InclusionLevel

    for file in list(files.documentation_pages(inclusion=InclusionLevel.is_included)) + list(files.media_files()):
        if Path(file.src_dir or "") == Path(config.docs_dir):
            files.remove(file)
            uri = f"docs/{file.src_uri}"
            files.append(File.generated(config, uri, abs_src_path=str(ROOT / uri)))
    for name in ("README.md", "LICENSE", *BESIDE):
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        page = notebook_page(json.loads(path.read_text("utf-8")))
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=page))
    for module in REFERENCE:
        files.append(File.generated(config, reference_uri(module), content=reference_page(module)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Lead links to notebooks to their pages."""
    return re.sub(r"(\]\((?!https?:)[^)\s]+)\.ipynb(?=[)#])", r"\1.md", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Give each cell of a Markdown table its column's heading, which a phone shows above it where the cells are stacked."""
    return re.sub(r"<table>\n<thead>.*?</table>", _headed, html, flags=re.DOTALL)


def _headed(table: re.Match[str]) -> str:
    headings = [re.sub("<[^>]*>", "", cell).replace('"', "&quot;") for cell in _HEADING.findall(table[0])]
    column = cycle(headings)
    return re.sub(r"<td(?=[ >])", lambda _: f'<td data-heading="{next(column)}"', table[0])


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Say which language a page is in: browsers choose fonts and break lines by it."""
    return (
        output.replace('<html lang="en"', '<html lang="zh-CN"', 1) if page.file.src_uri.startswith(CHINESE) else output
    )


# Navigation.


def pages() -> list[str]:
    """The pages of `docs/` and `notebooks/`, from the root."""
    found = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def contents() -> dict[str, str]:
    """The texts whose links give pages their titles and their order: the README, and each folder's own."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("README.md"))]
    return {path.relative_to(ROOT).as_posix().removesuffix("README.md"): path.read_text("utf-8") for path in found}


def navigation(found: Iterable[str], texts: Mapping[str, str]) -> list[Any]:
    """Write mkdocs' `nav`.

    Args:
        found: Pages, from the root.
        texts: By folder, the texts whose links have the titles and the order.
    """
    there = set(found)
    titles: dict[str, str] = {}
    for folder, text in texts.items():
        for title, target in re.findall(r"\[([^\[\]\n]+)\]\(([^)#\s]+)\)", text):
            if folder + target in there:
                titles.setdefault(folder + target, title[:1].upper() + title[1:])
    places = {target: place for place, target in enumerate(titles)}

    def place(page: str) -> tuple[bool, int, str]:
        twin = page.replace(CHINESE, "docs/")
        return page.startswith(CHINESE), places.get(twin, places.get(page, len(places))), page

    folders: dict[str, list[Any]] = {}
    for page in sorted(there, key=place):
        uri = re.sub(r"\.ipynb$", ".md", page)
        entry = {titles[page]: uri} if page in titles else uri
        folders.setdefault(page.rpartition("/")[0], []).append(entry)
    sections = [{FOLDERS.get(folder, folder.rpartition("/")[2].capitalize()): folders[folder]} for folder in folders]
    reference = {"Reference": [{module: reference_uri(module)} for module in REFERENCE]}
    beside = {"Project": [{title: name} for name, title in BESIDE.items()]}
    return [{"Start": "README.md"}, *sections, reference, beside]


# The reference.


def reference_uri(module: str) -> str:
    """Where a module's page is."""
    return f"reference/{module}.md"


def public_names(module: str) -> list[str]:
    """What users import from a module: its `__all__`, else what is written in it without an underscore."""
    loaded = import_module(module)
    if hasattr(loaded, "__all__"):
        return list(loaded.__all__)
    return [name for name, thing in vars(loaded).items() if name[0] != "_" and _module_of(thing) == module]


def home(module: str, name: str) -> str:
    """The module on whose page a public name is described: a thing that several hand on has one."""
    thing = getattr(import_module(module), name)
    made_in = f"{_module_of(thing)}."
    homes = [other for other in REFERENCE if made_in.startswith(f"{other}.") and name in public_names(other)]
    return max(homes, key=len, default=module)


def _module_of(thing: object) -> str:
    made = inspect.isclass(thing) or inspect.isroutine(thing)
    return getattr(thing, "__module__", None) or "" if made else ""


def reference_page(module: str) -> str:
    """The Markdown of a module's page, for mkdocstrings."""
    loaded = import_module(module)
    blocks, elsewhere = [], []
    for name in public_names(module):
        where = home(module, name)
        if where != module:
            elsewhere.append(f"- [`{name}`][{where}.{name}]")
        else:
            blocks.append(f"::: {module}.{name}")
    handed_on = ["## Handed on", "\n".join(elsewhere)] if elsewhere else []
    return "\n\n".join([f"# `{module}`", inspect.getdoc(loaded) or "", *blocks, *handed_on])


# Notebooks.


def notebook_page(book: dict[str, Any]) -> str:
    """The Markdown of a notebook: its texts, its code, and the outputs that it keeps.

    Args:
        book: The notebook's JSON.
    """
    blocks: list[str] = []
    for cell in book["cells"]:
        source = _joined(cell["source"])
        if cell["cell_type"] == "markdown":
            blocks.append(source)
        elif cell["cell_type"] == "code":
            blocks.append(_fence(source, "python"))
            blocks += [block for output in cell["outputs"] for block in _output(output)]
    return "\n\n".join(blocks)


def _output(output: dict[str, Any]) -> Iterator[str]:
    data = output.get("data", {})
    if "text" in output:
        yield _fence(_joined(output["text"]), "{ .text .output }")
    elif "traceback" in output:
        yield _fence(f"{output['ename']}: {output['evalue']}", "{ .text .output }")
    elif "text/html" in data:
        yield _html(_joined(data["text/html"]))
    elif "text/markdown" in data:
        text = _LIST.sub(r"\1\n\n", _joined(data["text/markdown"]))
        yield re.sub(r"^", "> ", text, flags=re.MULTILINE)
    elif "image/png" in data:
        picture = _joined(data["image/png"]).replace("\n", "")
        yield f'<div class="output"><img alt="What the cell draws" src="data:image/png;base64,{picture}"></div>'
    elif "text/plain" in data:
        yield _fence(_joined(data["text/plain"]), "{ .text .output }")


def _joined(lines: str | list[str]) -> str:
    return "".join(lines)


def _fence(code: str, language: str) -> str:
    marks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", code)), 3)
    return f"{marks} {language}\n{code.rstrip()}\n{marks}"


def _html(text: str) -> str:
    """HTML as one line, since Markdown ends it where a line is empty; tables are the site's own."""
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'<table border="1" class="dataframe">', "<table>", text)
    return f'<div class="output">{text.strip()}</div>'.replace("\n", "&#10;")
