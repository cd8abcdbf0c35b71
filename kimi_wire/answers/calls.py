"""The tool calls of an answer, whole or in pieces. Pure.

Deliberately absent: a call of which neither a name nor arguments came. Hosts send `null`, `{}` and ids of nothing in
`tool_calls`; a call made of those would be one that nobody made.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kimi_wire.answers.nested import NestedArguments
from kimi_wire.arguments import parse_arguments, render_arguments
from kimi_wire.json_values import mapping, text_or_none
from kimi_wire.requests import CallIds, Known


@dataclass(slots=True)
class ToolCall:
    """One tool call of an answer.

    Attributes:
        id: The server's id, or one like it where the conversation holds that: ids repeat between answers
            (`get_weather:0` comes back every turn).
        name: The tool's own name.
        arguments: The arguments as text: a JSON object, if all went well. It is the model's own but for values that
            were encoded twice (see `kimi_wire.answers.nested`).
        type: `function` or `builtin_function`.
        written: The model's own text, where `arguments` is not.
    """

    id: str
    name: str
    arguments: str
    type: str = "function"
    written: str | None = None

    def parse(self) -> dict[str, Any]:
        """Parse the arguments; none at all are an empty object.

        Raises:
            ValueError: They are not a JSON object. The message quotes them.
        """
        return parse_arguments(self.arguments)

    def render(self) -> dict[str, Any]:
        """The call in the API's form, with the arguments as the model wrote them."""
        arguments = self.arguments if self.written is None else self.written
        return {"id": self.id, "type": self.type, "function": {"name": self.name, "arguments": arguments}}


@dataclass(slots=True)
class ToolCallDelta:
    """A piece of a tool call.

    Attributes:
        index: Which of the answer's calls, from 0.
        id: Only in the first piece.
        name: The next characters of the name; nearly always all of it, in the first piece.
        arguments: The next characters of the arguments.
        type: `function` or `builtin_function`.
    """

    index: int
    id: str | None
    name: str | None
    arguments: str
    type: str = "function"


def new_tool_call_id() -> str:
    """An id for a call that came without one (some hosts send none, or an empty one)."""
    return f"call_{uuid.uuid4().hex[:24]}"


def parse_tool_calls(listed: Any, known: Known) -> list[ToolCall]:
    """The calls in `tool_calls` of a whole message."""
    calls = OpenCalls(known)
    for raw in _list_calls(listed):
        calls.open(raw)
    return calls.finished()


def _list_calls(listed: Any) -> list[Mapping[str, Any]]:
    """The entries of `tool_calls` that say something; some hosts send one as it is, without a list around it."""
    if isinstance(listed, dict):
        listed = [listed]
    return [raw for raw in listed if raw and isinstance(raw, dict)] if isinstance(listed, list) else []


def _read_arguments(arguments: Any) -> str:
    """Arguments as text; "" where there are none. Some hosts send them parsed."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None or arguments in ({}, []) else render_arguments(arguments)


@dataclass(slots=True)
class _OpenCall:
    """A call that is still being streamed.

    Attributes:
        position: Which of the calls that were given out it is; None while it is held back, as it has no name.
        pieces: The arguments as they came.
        is_read: Whether arguments were read: the name is complete then, and says which tool's schema is meant.
        nested: Reads them, where values of them may be encoded twice.
        given: What it gave.
    """

    id: str
    type: str
    server_id: str | None
    position: int | None = None
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    is_read: bool = False
    nested: NestedArguments | None = None
    given: list[str] = field(default_factory=list)

    def add_name(self, name: str) -> str:
        """Take a name and give what it adds: hosts send it once, in pieces, again with each piece, or growing."""
        added = name.removeprefix(self.name)
        self.name += added
        return added

    def takes(self, name: str) -> bool:
        """Whether a piece with this name can be one of this call: its name is complete once arguments have begun."""
        return not self.pieces or self.name in ("", name)

    def read(self, text: str, known: Known) -> str:
        """Take arguments of a call that is given out, and give what can be given of them."""
        if not self.is_read:
            self.is_read = True
            self.nested = NestedArguments.of(known.schema_of(known.names.own(self.name)))
        if self.nested is None:
            return text
        read = self.nested.feed(text)
        self.given.append(read)
        return read

    def finished(self, name: str) -> ToolCall:
        written = "".join(self.pieces) or "{}"
        arguments = written if self.nested is None else "".join(self.given) + self.nested.held
        return ToolCall(self.id, name, arguments, self.type, None if arguments == written else written)


class OpenCalls:
    """Adds up the pieces of an answer's calls. One is held back until it has a name, of which no more can come.

    Args:
        known: What the request knows.
    """

    def __init__(self, known: Known) -> None:
        self._known = known
        self._ids: CallIds | None = None
        self._calls: list[_OpenCall] = []
        self._indexed: dict[int, _OpenCall] = {}  # the last call of each of the server's indices
        self.given = 0
        """How many of the calls have been given out."""

    def add(self, listed: Any) -> tuple[ToolCallDelta, ...]:
        """Take `tool_calls` of a delta, and give what can be said of them."""
        return tuple([piece for raw in _list_calls(listed) if (piece := self._add(raw)) is not None])

    def end(self) -> tuple[ToolCallDelta, ...]:
        """Give what was held back and is more than nothing: arguments without a name, or those that break off."""
        held = [self._give(call) for call in self._calls if call.position is None and _is_something(call)]
        for call in self._calls:
            if call.nested is not None and (rest := call.nested.end()):
                call.given.append(rest)
                held.append(ToolCallDelta(call.position or 0, None, None, rest, call.type))
        return tuple(held)

    def finished(self) -> list[ToolCall]:
        """The calls, in the order in which they are given out."""
        given = sorted((call for call in self._calls if call.position is not None), key=lambda call: call.position or 0)
        held = [call for call in self._calls if call.position is None and _is_something(call)]
        return [call.finished(self._known.names.own(call.name)) for call in (*given, *held)]

    def open(self, raw: Mapping[str, Any]) -> ToolCallDelta | None:
        """Take a call that begins; gives it, if it has a name."""
        call_id = text_or_none(raw.get("id")) or None
        call = _OpenCall(
            self._claim(call_id) if call_id else new_tool_call_id(),
            text_or_none(raw.get("type")) or "function",
            call_id,
        )
        self._calls.append(call)
        if isinstance(index := raw.get("index"), int):
            self._indexed[index] = call
        function = mapping(raw.get("function"))
        return self._go_on(call, text_or_none(function.get("name")) or "", _read_arguments(function.get("arguments")))

    def _add(self, raw: Mapping[str, Any]) -> ToolCallDelta | None:
        """Assign a piece to its call.

        By `index` where there is one; a different id at the same index is another call all the same
        (LibreChat-AI/agents#260), and so is a different name after arguments have begun. Without an index, a piece with
        an id or a name opens a call and any other goes on with the last one, as Moonshot's own client has it (kosong).
        """
        function = raw.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name = raw.get("id"), function.get("name")
        call_id = call_id if call_id and isinstance(call_id, str) else None
        name = name if isinstance(name, str) else ""
        known = self._find(raw.get("index"), call_id, name)
        if known is None or (name and not known.takes(name)):
            return self.open(raw)
        if call_id is not None and known.position is None and known.server_id is None:
            known.id, known.server_id = self._claim(call_id), call_id
        arguments = function.get("arguments")
        return self._go_on(known, name, arguments if isinstance(arguments, str) else _read_arguments(arguments))

    def _find(self, index: Any, call_id: str | None, name: str) -> _OpenCall | None:
        if isinstance(index, int):
            call = self._indexed.get(index)
            return call if call is not None and (call_id in (None, call.server_id) or call.server_id is None) else None
        last = self._calls[-1] if self._calls else None
        if last is None or (call_id is None and not name):
            return last
        if call_id is not None:
            return last if call_id == last.server_id else None
        # Hosts that send ids send one with each call: a name without one is the rest of a name.
        return last if last.server_id is not None and not last.pieces else None

    def _go_on(self, call: _OpenCall, name: str, arguments: str) -> ToolCallDelta | None:
        added = call.add_name(name) if name else ""
        if arguments:
            call.pieces.append(arguments)
        if call.position is not None:
            given = call.read(arguments, self._known) if arguments else ""
            if arguments and not (given or added):
                return None
            return ToolCallDelta(call.position, None, added or None, given, call.type)
        is_named = call.name and (arguments or not self._known.names.may_grow(call.name))
        return self._give(call) if is_named else None

    def _claim(self, call_id: str) -> str:
        """The id of a call that came with one (see `kimi_wire.requests.call_ids`)."""
        if self._ids is None:
            self._ids = self._known.ids.copy()
        return self._ids.claim(call_id)

    def _give(self, call: _OpenCall) -> ToolCallDelta:
        """Give a call out, with all that it has so far."""
        call.position = self.given
        self.given += 1
        name, written = self._known.names.own(call.name) or None, "".join(call.pieces)
        given = call.read(written, self._known) if written else ""
        return ToolCallDelta(call.position, call.id, name, given, call.type)


def _is_something(call: _OpenCall) -> bool:
    return bool(call.name) or "".join(call.pieces).strip() not in ("", "{}")
