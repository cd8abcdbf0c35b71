"""What an LLM shows to those who watch it: events, spans and callbacks."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import Field
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatStartEvent, LLMCompletionStartEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler


class _Notes(BaseEventHandler):
    seen: list[BaseEvent] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "ConformanceNotes"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.seen.append(event)


class Recorder:
    """Notes every event and span while it is entered."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._notes = _Notes()
        self.spans = SimpleSpanHandler()
        self._dispatcher = get_dispatcher()

    def __enter__(self) -> Recorder:
        """Begin to watch."""
        self._dispatcher.event_handlers.append(self._notes)
        self._dispatcher.span_handlers.append(self.spans)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Watch no more."""
        self._dispatcher.event_handlers.remove(self._notes)
        self._dispatcher.span_handlers.remove(self.spans)

    @property
    def events(self) -> Sequence[BaseEvent]:
        """All events, in order."""
        return self._notes.seen

    def llm_events(self) -> list[BaseEvent]:
        """The events of LLMs, in order."""
        return [event for event in self.events if type(event).__name__.startswith("LLM")]

    def conversations(self) -> list[list[ChatMessage]]:
        """What LLMs were asked, in order; a prompt is one message of a user."""
        asked = []
        for event in self.events:
            if isinstance(event, LLMChatStartEvent):
                asked.append(list(event.messages))
            elif isinstance(event, LLMCompletionStartEvent):
                asked.append([ChatMessage(role="user", content=event.prompt)])
        return asked

    def asked(self) -> str:
        """All text that LLMs were asked."""
        return "\n".join(message.content or "" for messages in self.conversations() for message in messages)
