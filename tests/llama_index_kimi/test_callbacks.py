"""Core's events, spans and callbacks reach whoever listens, and cost nothing where nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.llms import callbacks

from kimi_emulator import KimiEmulator, Reply
from kimi_wire import KimiError
from llama_index_kimi import Kimi

METHODS = [
    "chat",
    "achat",
    "stream_chat",
    "astream_chat",
    "complete",
    "acomplete",
    "stream_complete",
    "astream_complete",
]


class Listener(BaseEventHandler):
    """Notes what it hears."""

    heard: list[BaseEvent] = []

    @classmethod
    def class_name(cls) -> str:
        return "Listener"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.heard.append(event)

    @property
    def names(self) -> list[str]:
        return [event.class_name() for event in self.heard if event.class_name().startswith("LLM")]


@pytest.fixture(params=["root", "llama_index.core.llms.callbacks"])
def listener(request: pytest.FixtureRequest) -> Iterator[Listener]:
    dispatcher = get_dispatcher(request.param)
    listener = Listener(heard=[])
    dispatcher.add_event_handler(listener)
    yield listener
    dispatcher.event_handlers.remove(listener)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the events that core makes."""
    names: list[str] = []
    for kind in ("Chat", "Completion"):
        for when in ("Start", "InProgress", "End"):
            name = f"LLM{kind}{when}Event"
            event = getattr(callbacks, name)

            def make(event: Any = event, name: str = name, **fields: Any) -> Any:
                names.append(name)
                return event(**fields)

            monkeypatch.setattr(callbacks, name, make)
    return names


async def ask(llm: Kimi, method: str) -> int:
    """Call a method to its end; how many pieces came."""
    argument: Any = "hello" if "complete" in method else [ChatMessage("hello")]
    answer = getattr(llm, method)(argument)
    if method.startswith("a"):
        answer = await answer
    if "stream" not in method:
        return 1
    return len([piece async for piece in answer] if method.startswith("a") else list(answer))


@pytest.mark.parametrize("method", METHODS)
async def test_who_listens_hears_of_the_start_of_each_piece_and_of_the_end(
    kimi: KimiEmulator, listener: Listener, method: str
) -> None:
    pieces = await ask(Kimi(api_base=kimi.base_url, api_key="sk-test"), method)
    kind = "Completion" if "complete" in method else "Chat"
    progress = [f"LLM{kind}InProgressEvent"] * pieces if "stream" in method else []
    assert listener.names == [f"LLM{kind}StartEvent", *progress, f"LLM{kind}EndEvent"]


@pytest.mark.parametrize("method", METHODS)
async def test_a_callback_handler_hears_of_the_call(kimi: KimiEmulator, method: str) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    llm = Kimi(api_base=kimi.base_url, api_key="sk-test", callback_manager=CallbackManager([handler]))
    await ask(llm, method)
    assert len(handler.get_event_pairs(CBEventType.LLM)) == 1


@pytest.mark.says("docs/performance.md", "LlamaIndex's events are made where somebody listens.")
@pytest.mark.parametrize("method", METHODS)
async def test_nothing_is_made_where_nobody_listens(kimi: KimiEmulator, made: list[str], method: str) -> None:
    assert await ask(Kimi(api_base=kimi.base_url, api_key="sk-test"), method) > 0
    assert made == []


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_who_listens_hears_of_a_stream_that_breaks_off(
    kimi: KimiEmulator, listener: Listener, method: str
) -> None:
    kimi.script(Reply("Hello there.", cut_after=2))
    with pytest.raises(KimiError):
        await ask(Kimi(api_base=kimi.base_url, api_key="sk-test", max_retries=0), method)
    assert "ExceptionEvent" in [event.class_name() for event in listener.heard]


async def test_a_rate_limiter_is_asked_once_a_call(kimi: KimiEmulator) -> None:
    class Limiter:
        asked = 0

        def acquire(self) -> None:
            self.asked += 1

        async def async_acquire(self) -> None:
            self.asked += 1

    limiter = Limiter()
    llm = Kimi(api_base=kimi.base_url, api_key="sk-test", rate_limiter=limiter)
    for method in METHODS:
        await ask(llm, method)
    assert limiter.asked == len(METHODS)
