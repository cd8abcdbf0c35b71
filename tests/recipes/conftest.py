"""What the tests of several recipes use."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator
from tests.examples import ROOT, fences, file_name


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator) -> Iterator[Callable[[str, str], Any]]:
    """Import a file of a page, whose models talk to the emulator; the others of the page are beside it."""

    def load(page: str, module: str) -> Any:
        for fence in fences((ROOT / "docs" / "recipes" / page).read_text("utf-8")):
            if name := file_name(fence.code):
                (tmp_path / name).write_text(fence.code, "utf-8")
        return import_module(module)

    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-test")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield load
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)
