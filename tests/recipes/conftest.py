"""What the tests of several recipes use."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator


@pytest.fixture
def recipe(
    monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator, write_files: Callable[[str], Path]
) -> Callable[[str, str], Any]:
    """Import a file of a page, whose models talk to the emulator; the others of the page are beside it."""
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-test")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)

    def load(page: str, module: str) -> Any:
        write_files(f"docs/recipes/{page}")
        return import_module(module)

    return load
