"""LangChain's events, made of an answer's pieces as they come. Pure.

langchain-core makes them of chunks where a model has none of its own (`_compat_bridge.chunks_to_events`), and these are
the same, but for three things that it does not get right: a name that comes in pieces is all of them, not the last one;
log probabilities are those of all pieces, too; and arguments are what `invoke` takes them for (it takes a list for a
call's arguments, and those with a real line feed in a string for broken ones).
"""

from __future__ import annotations

import re
from typing import Any

from langchain_core.version import VERSION

from kimi_wire.answers import Choice, Completion, Delta, ToolCall, ToolCallDelta
from langchain_kimi.messages import REFUSAL
from langchain_kimi.responses import additional_kwargs, parse_usage, response_metadata

Event = dict[str, Any]
"""One of the dictionaries that `langchain_protocol` calls `MessagesData`."""

_CORE = tuple(map(int, re.findall(r"\d+", VERSION)[:3]))

ARE_READ = _CORE >= (1, 7)
"""Whether this langchain-core reads these events: older ones want all of a call's arguments with each piece of them."""

_ENDS = ("finish_reason", "normalized_finish_reason") if _CORE >= (1, 8, 4) else ()
"""What of a message's metadata stands in fields of its own at its end (`_finish_reason.py`)."""

_BROKEN = "Failed to parse tool call arguments as JSON"
"""What langchain-core says of such a call."""


class MessageEvents:
    """Makes the events of one answer.

    Args:
        message_id: The message's id; None where nobody has given it one.
        v1: Whether content is made of standard blocks (`output_version="v1"`), which have an index of their own.
    """

    def __init__(self, message_id: str | None, *, v1: bool) -> None:
        self._id = message_id or ""
        self._v1 = v1
        self._has_started = False
        self._blocks: dict[str | int, int] = {}  # the block of each kind of text and of each call, by number

    def take(self, item: Delta | Completion) -> list[Event]:
        """Take the next piece of the answer, or the whole at its end, and give the events it makes."""
        events: list[Event] = []
        if not self._has_started:
            self._has_started = True
            events.append(self._start(item))
        if isinstance(item, Completion):
            self._end(item, events)
            return events
        if item.reasoning is not None:
            self._add_text("reasoning", item.reasoning, events)
        if item.content:
            self._add_text("text", item.content, events)
        for piece in item.tool_calls:
            self._add_call(piece, events)
        return events

    def _start(self, item: Delta | Completion) -> Event:
        start: Event = {"event": "message-start", "role": "ai", "id": self._id}
        if isinstance(item, Completion):
            known = response_metadata(item, item.choice)
            names = {"provider": "model_provider", "model": "model_name"}
            start["metadata"] = {name: known[key] for name, key in names.items() if key in known}
        return start

    def _open(self, key: str | int, block: Event, events: list[Event]) -> int:
        number = self._blocks[key] = len(self._blocks)
        events.append({"event": "content-block-start", "index": number, "content": block})
        return number

    def _add_text(self, kind: str, text: str, events: list[Event]) -> None:
        number = self._blocks.get(kind)
        if number is None:
            number = self._open(kind, {"type": kind, kind: ""}, events)
        if text:
            delta = {"type": f"{kind}-delta", kind: text}
            events.append({"event": "content-block-delta", "index": number, "delta": delta})

    def _add_call(self, piece: ToolCallDelta, events: list[Event]) -> None:
        number = self._blocks.get(piece.index)
        if number is None:
            index = f"lc_tc_{piece.index}" if self._v1 else piece.index
            block = {"type": "tool_call_chunk", "id": piece.id, "name": piece.name, "args": "", "index": index}
            number = self._open(piece.index, block, events)
        if piece.arguments:
            delta = {"type": "tool-call-delta", "args": piece.arguments}
            events.append({"event": "content-block-delta", "index": number, "delta": delta})

    def _end(self, completion: Completion, events: list[Event]) -> None:
        choice = completion.choice
        if choice.refusal is not None:
            self._open(REFUSAL, self._finished(REFUSAL, choice), events)
        for key, number in self._blocks.items():
            block = self._finished(key, choice)
            events.append({"event": "content-block-finish", "index": number, "content": block})
        events.append(self._finish(completion, choice))

    def _finished(self, key: str | int, choice: Choice) -> Event:
        if isinstance(key, int):
            return _finished_call(choice.tool_calls[key])
        texts = {"text": choice.content, "reasoning": choice.reasoning or "", REFUSAL: choice.refusal}
        return {"type": key, key: texts[key]} | ({"index": f"lc_{key}"} if self._v1 else {})

    def _finish(self, completion: Completion, choice: Choice) -> Event:
        metadata = response_metadata(completion, choice)
        finish: Event = {"event": "message-finish"} | {key: metadata[key] for key in _ENDS if metadata.get(key)}
        if choice.logprobs is not None:
            metadata = {"logprobs": choice.logprobs, **metadata}
        finish["metadata"] = metadata | ({"output_version": "v1"} if self._v1 else {})
        if (usage := parse_usage(completion.usage)) is not None:
            finish["usage"] = usage
        if kwargs := additional_kwargs(choice):
            finish["additional_kwargs"] = kwargs
        return finish


def _finished_call(call: ToolCall) -> Event:
    try:
        return {"type": "tool_call", "id": call.id, "name": call.name, "args": call.parse()}
    except ValueError:
        name = call.name or None
        return {"type": "invalid_tool_call", "id": call.id, "name": name, "args": call.arguments, "error": _BROKEN}
