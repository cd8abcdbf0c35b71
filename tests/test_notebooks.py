"""The notebooks run, and what they show on the web is what they put out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.examples import unimported_modules
from tests.notebooks import NOTEBOOKS, execute, running_kernel


def shape(book: Any) -> list[list[tuple[str, ...]]]:
    """The kinds of a notebook's outputs, cell by cell."""
    return [
        [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]
        for cell in book.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookClient]:
    """One for all: most of a kernel's time is that it starts and imports the frameworks."""
    with running_kernel() as client:
        yield client


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, kernel: NotebookClient) -> None:
    assert shape(execute(path, kernel)) == shape(nbformat.read(path, as_version=4))


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_a_clean_kernel(path: Path) -> None:
    with running_kernel() as clean:
        assert shape(execute(path, clean)) == shape(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_imports_what_it_names(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    assert unimported_modules(code) == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_is_fit_to_be_read(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    text = path.read_text("utf-8")
    assert "made with the built-in emulator" in book.cells[0].source
    assert "built-in emulator, not Kimi" in book.cells[1].outputs[0].text
    for unwanted in ("Warning", "Traceback", "/home/", "/root/", "/work/", "site-packages", "<IPython", '"stderr"'):
        assert unwanted not in text
    assert len(text) < 200_000


def test_each_has_one_number() -> None:
    assert NOTEBOOKS
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]
