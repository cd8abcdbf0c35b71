"""What a page shows runs with the extras that the page names, and nothing else: rows of tests/matrix.py run this.

A page names its extras by `pip install -e ".[...]"`. Nothing here needs more than Python has, so that an environment
without the tests' own packages can run it; a fence runs as a program of its own, as a reader's would.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.examples import ROOT, Fence, fences, is_module, is_program, is_test, run, run_tests

PAGES = tuple(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))
"""The guides; the README names an extra for each of its snippets, and recipes are run by themselves."""

_INSTALL = re.compile(r'pip install -e "\.\[([a-z,-]+)\]"')


def extras_of(page: str) -> str:
    """The extras that a page names, sorted and with commas; empty where it names none."""
    named = ",".join(_INSTALL.findall((ROOT / page).read_text("utf-8")))
    return ",".join(sorted(set(filter(None, named.split(",")))))


def by_extras() -> dict[str, list[str]]:
    """The pages that show something in Python, by the extras that they name."""
    found: dict[str, list[str]] = {}
    for page in PAGES:
        if python_of(page):
            found.setdefault(extras_of(page), []).append(page)
    return found


def python_of(page: str) -> list[Fence]:
    """The Python of a page that can run."""
    found = fences((ROOT / page).read_text("utf-8"))
    return [fence for fence in found if fence.language == "python" and not fence.compiled_only]


def run_pages(pages: Iterable[str], only: str = "") -> bool:
    """Run the fences of pages, and print which fail; those that need a package that is not there are left out.

    Args:
        pages: The pages.
        only: Words that a fence must have.

    Returns:
        Whether something ran, and none failed.
    """
    jobs: dict[str, Callable[[Path], None]] = {}
    for page in pages:
        found = [fence for fence in python_of(page) if only in fence.code]
        if any(is_test(fence.code) for fence in found):
            jobs[f"{page}: tests"] = partial(run_tests, [fence.code for fence in found])
        for number, fence in enumerate(found):
            if is_program(fence) and all(map(is_module, fence.needs)):
                jobs[f"{page}: {number}"] = partial(_run_program, fence.code)
    passed = [_passes(where, job) for where, job in jobs.items()]
    return bool(passed) and all(passed)


def _run_program(code: str, folder: Path) -> None:
    done = run(["-c", code], folder)
    assert done.returncode == 0, done.stderr


def _passes(where: str, job: Callable[[Path], None]) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        try:
            job(Path(folder))
        except AssertionError as failure:
            print(f"   {where} FAILED: {failure}", flush=True)
            return False
    return True
