"""A pytest fixture for testing applications: `pytest_plugins = ["kimi_emulator.pytest_plugin"]` in a conftest.py.

The one module of this package that needs more than the standard library. It is no entry point on purpose: a plugin that
pytest finds by itself would be imported in every project that has this distribution installed.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .emulator import KimiEmulator


@pytest.fixture(scope="session")
def kimi_emulator_session() -> Iterator[KimiEmulator]:
    """One emulator for the whole session; use `kimi_emulator`, which starts each test anew."""
    with KimiEmulator() as emulator:
        yield emulator


@pytest.fixture
def kimi_emulator(kimi_emulator_session: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> KimiEmulator:
    """An emulator without a history, which the environment points at.

    Models made without `api_key` and `base_url` talk to it: the variables `MOONSHOT_API_KEY` and `MOONSHOT_BASE_URL`
    are set for the test.
    """
    kimi_emulator_session.reset()
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-emulator")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi_emulator_session.base_url)
    return kimi_emulator_session
