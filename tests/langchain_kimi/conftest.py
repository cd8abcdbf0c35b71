"""Models that talk to the emulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kimi_emulator import KimiEmulator
from langchain_kimi import ChatKimi
from tests.recorded import tape

SECRET = "sk-secret-0123456789abcdef"


def pytest_recording_configure(config: Any, vcr: Any) -> None:
    """The standard suite's cassette is one of ours (see tests/recorded)."""
    tape.register(vcr)


@pytest.fixture
def make(kimi: KimiEmulator) -> Iterator[Callable[..., ChatKimi]]:
    """Makes models; in the end the emulator must have refused nothing that they sent."""
    made: list[ChatKimi] = []

    def make(model: str = "kimi-k3", **arguments: Any) -> ChatKimi:
        arguments = {"api_key": SECRET, "base_url": kimi.base_url, "max_retries": 0, **arguments}
        made.append(ChatKimi(model=model, **arguments))
        return made[-1]

    yield make
    assert [request.error for request in kimi.rejections] == []
    for model in made:
        model._client.close()  # a test's traceback may keep a model, and its connections, for long
