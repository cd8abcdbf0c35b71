"""What all tests share: the emulator in place of Moonshot's API, and an environment without anybody's keys."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from kimi_emulator import KimiEmulator

settings.register_profile("unhurried", settings(), deadline=None)  # clocks of shared machines prove nothing
settings.load_profile("unhurried")

FAMILIES = (
    "moonshot-v1-8k",
    "moonshot-v1-32k-vision-preview",
    "moonshot-v1-128k",
    "kimi-latest",
    "kimi-k2-0711-preview",
    "kimi-k2-0905-preview",
    "kimi-k2-turbo-preview",
    "kimi-k2-thinking",
    "kimi-k2-thinking-turbo",
    "kimi-k2.5",
    "kimi-k2.6",
    "kimi-k2.7-code",
    "kimi-k2.7-code-highspeed",
    "kimi-k3",
    "kimi-k3.1-pro",
    "kimi-k3.1-pro-highspeed",
)
"""A model of every family that takes tools."""


@pytest.fixture(autouse=True)
def _no_ambient_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("MOONSHOT_", "KIMI_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def _emulator() -> Iterator[KimiEmulator]:
    with KimiEmulator() as emulator:
        yield emulator


@pytest.fixture
def kimi(_emulator: KimiEmulator) -> KimiEmulator:
    """A strict local Kimi, with no history."""
    _emulator.reset()
    return _emulator
