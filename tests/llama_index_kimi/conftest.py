"""A local Kimi for each test, and models that talk to it."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.instrumentation import get_dispatcher

from kimi_emulator import KimiEmulator
from llama_index_kimi import Kimi
from tests.llama_index_kimi.conformance import DIFFERING, FamilyConformance
from tests.llama_index_kimi.structured import Thoughts

KEY = "sk-test-0123456789"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Of a further family in the conformance suite, what is the same in all families is `deep`."""
    suite, name = getattr(item, "cls", None), getattr(item, "originalname", None)
    if suite and issubclass(suite, FamilyConformance) and not any(name in vars(part) for part in DIFFERING):
        item.add_marker(pytest.mark.deep)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, host or OpenAI setting of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith(("MOONSHOT_", "KIMI_", "OPENAI_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def current_event_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """A loop for core's `asyncio_run`, which otherwise makes one in synchronous code and never closes it.

    It is an "unclosed event loop" once the next asynchronous test puts its own in its place.
    """
    if inspect.iscoroutinefunction(request.function):
        yield
        return
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


@pytest.fixture
def kimi(kimi: KimiEmulator) -> Iterator[KimiEmulator]:
    """The server. A request that it refuses fails the test, unless the test forgets it (`kimi.reset()`)."""
    yield kimi
    assert [request.error for request in kimi.rejections] == []


@pytest.fixture
def llm(kimi: KimiEmulator) -> Iterator[Callable[..., Kimi]]:
    """Makes models that talk to the server, and closes their connections afterwards."""
    made: list[Kimi] = []

    def make(model: str = "kimi-k3", **settings: Any) -> Kimi:
        made.append(Kimi(model, **{"api_key": KEY, "api_base": kimi.base_url, **settings}))
        return made[-1]

    yield make
    for model in made:
        if model._connection is not None:
            model._connection[1].close()


@pytest.fixture
def thoughts() -> Iterator[Thoughts]:
    """What models think during the test."""
    handler, handlers = Thoughts(noted=[]), get_dispatcher().event_handlers
    handlers.append(handler)
    yield handler
    handlers.remove(handler)
