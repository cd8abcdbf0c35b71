"""Streamed answers: bytes to events, events to deltas, deltas to the whole. Pure; the shells do the reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kimi_wire.answers.calls import OpenCalls, ToolCallDelta
from kimi_wire.answers.response import (
    DETAIL_TEXTS,
    INTERRUPTED,
    Choice,
    Completion,
    explain_interruption,
    find_message,
    finish_choice,
    parse_details,
    parse_logprobs,
    parse_reasoning,
    parse_refusal,
    parse_usage,
    read_text,
)
from kimi_wire.errors import (
    KimiResponseError,
    KimiStreamError,
    StreamedError,
    excerpt,
    excerpt_of_refusal,
    parse_request_id,
)
from kimi_wire.json_text import FenceFilter
from kimi_wire.json_values import count_or_none, read_object, text_or_none
from kimi_wire.requests import ToolPlan

_DONE = b"[DONE]"


MAX_EVENT_BYTES = 64 * 1024 * 1024
"""The largest event that is taken, in bytes, `_LINE_BYTES` more for each of its lines.

A whole answer of the longest context (1 M tokens, some 4 MB) in one event is far below; without an end to it, a server
that never sends a line feed would fill the memory.
"""

_MAX_UNREAD = 20_000
"""Bytes that are kept of what is no event: enough for a server's words."""

_LINE_BYTES = 64
_BOM = b"\xef\xbb\xbf"


class EventDecoder:
    """Splits the bytes of a `text/event-stream` into the data of its events.

    Takes any chunking (inside a UTF-8 character or a line end too), all three line ends, a byte order mark, comments,
    and data over several lines, as https://html.spec.whatwg.org/multipage/server-sent-events.html has it; time is
    linear in the length of the stream, memory in that of its longest event, which is at most `MAX_EVENT_BYTES`.

    Args:
        request_id: The server's id of the request, for errors.

    Attributes:
        event: While data is given, the name of its event; "" where it has none.
        unread: The beginning of what is no field of an event: an error page, or JSON, in place of a stream.
    """

    def __init__(self, request_id: str | None = None) -> None:
        self.event = b""
        self.unread = bytearray()
        self._request_id = request_id
        self._line = bytearray()  # the beginning of the line that is not complete yet
        self._data: list[bytes] = []  # data lines of the event that is not complete yet
        self._size = 0  # their bytes
        self._after_return = False  # a line feed at the front of the next chunk belongs to a carriage return
        self._started = False

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take some bytes and give the data of each event that they complete.

        Raises:
            KimiStreamError: An event is larger than `MAX_EVENT_BYTES`.
        """
        if not chunk:
            return
        if self._after_return or b"\r" in chunk:
            chunk = self._unify_line_ends(chunk)
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if lines and (self._line or not self._started):
            lines[0] = self._complete(lines[0])
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
                self._size += len(line) + _LINE_BYTES
                self._check_size()
            elif line:
                self._read_field(line)
            else:
                if self._data:
                    data = b"\n".join(self._data)
                    self._data.clear()
                    self._size = 0
                    yield data
                self.event = b""
        if rest:
            self._line += rest
            self._check_size()

    def _read_field(self, line: bytes) -> None:
        """Read a line that is no data."""
        if line.startswith(b"event:"):
            self.event = line[6:].strip()[:_LINE_BYTES]
        elif len(self.unread) < _MAX_UNREAD and not line.startswith((b":", b"id:", b"retry:")):
            self.unread += line[:_MAX_UNREAD] + b"\n"

    def _unify_line_ends(self, chunk: bytes) -> bytes:
        if self._after_return and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_return = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _complete(self, line: bytes) -> bytes:
        """The first line of a chunk, with its beginning that came before."""
        whole = bytes(self._line) + line
        self._line.clear()
        if not self._started:
            self._started = True
            whole = whole.removeprefix(_BOM)
        return whole

    def _check_size(self) -> None:
        """Refuse an event that has grown too large, in its lines and in the beginning of another."""
        if self._size + len(self._line) <= MAX_EVENT_BYTES:
            return
        self._data.clear()
        self._line.clear()
        raise KimiStreamError(
            f"The stream has an event of more than {MAX_EVENT_BYTES} bytes, which is no answer of a model.",
            request_id=self._request_id,
        )

    def flush(self) -> Iterator[bytes]:
        """Give the data of a last event that no blank line followed, as some hosts end their streams."""
        yield from self.feed(b"\n\n")


@dataclass(slots=True)
class Delta:
    """What one event adds to the answer.

    Attributes:
        content: The next characters of the answer's text.
        reasoning: The next characters of the thinking; None where the event has none. "" says only that there is some.
        tool_calls: Pieces of tool calls.
        logprobs: As sent.
    """

    content: str = ""
    reasoning: str | None = None
    tool_calls: tuple[ToolCallDelta, ...] = ()
    logprobs: Any = None


class _OpenChoice:
    """Adds up the pieces of one of a stream's answers.

    Args:
        plan: The tool plan of the request.
        prefix: The beginning of the text, which the server does not repeat.
    """

    def __init__(self, plan: ToolPlan, prefix: str) -> None:
        self.finish_reason: str | None = None
        self._plan = plan
        self._prefix = prefix
        self._content: list[str] = []
        self._reasoning: list[str] | None = None
        self._details: list[tuple[dict[str, Any], dict[str, list[str]]]] = []  # entries, and the pieces of their texts
        self._calls = OpenCalls(plan.known)
        self._refusal: list[str] = []
        self._logprobs: list[Any] = []
        self._fence = FenceFilter() if plan.json_answer else None

    def partial(self) -> Choice:
        """What has arrived so far."""
        return Choice(
            content="".join(self._content),
            reasoning=None if self._reasoning is None else "".join(self._reasoning),
            tool_calls=self._calls.finished(),
            finish_reason=self.finish_reason,
            logprobs={"content": self._logprobs} if self._logprobs else None,
            reasoning_details=[
                {**entry, **{key: "".join(pieces) for key, pieces in texts.items()}} for entry, texts in self._details
            ],
            refusal="".join(self._refusal) or None,
        )

    def end(self, request_id: str | None) -> tuple[Delta | None, Choice]:
        """End the answer; gives what was held back until now, and the whole.

        Raises:
            KimiToolChoiceError: A forced tool call did not come.
            KimiRefusalError: It did not, as the model declined.
        """
        held = self._prefix + (self._fence.end() if self._fence is not None else "")
        self._content.append(held)
        late = self._calls.end()
        choice = self.partial()
        finish_choice(choice, self._plan, request_id)
        if self._plan.response_format is not None:
            return self._late_delta(choice, late), choice
        return Delta(content=held, tool_calls=late) if held or late else None, choice

    def _late_delta(self, choice: Choice, late: tuple[ToolCallDelta, ...]) -> Delta:
        """What a constrained answer turned out to be: the call, or the text beside a call that came natively."""
        pieces = (
            ToolCallDelta(index, call.id, call.name, call.arguments, call.type)
            for index, call in enumerate(choice.tool_calls)
            if index >= self._calls.given
        )
        return Delta(content=choice.content, tool_calls=(*late, *pieces))

    def add(self, choice: Mapping[str, Any]) -> Delta | None:
        """Take what an event has of this answer."""
        delta, reason, logprobs = choice.get("delta"), choice.get("finish_reason"), choice.get("logprobs")
        if reason and isinstance(reason, str):
            self.finish_reason = reason
        if not isinstance(delta, dict):
            delta = find_message(choice, "message")
            if delta is None:
                return None
        if logprobs is not None:
            logprobs = parse_logprobs(logprobs)
        content = delta.get("content")
        if delta.get("refusal") or (content and not isinstance(content, str)):
            self._refusal.append(parse_refusal(delta))
        if not isinstance(content, str):
            content = read_text(content)
        if self._fence is not None:
            content = self._fence.feed(content)
        if content and self._prefix:
            content, self._prefix = self._prefix + content, ""
        reasoning = parse_reasoning(delta)
        self._content.append(content)
        if self._plan.response_format is not None:
            content = ""
        if logprobs is not None:
            self._logprobs.extend(logprobs["content"])
        if delta.get("reasoning_details"):
            for entry in parse_details(delta):
                self._add_detail(entry)
        if reasoning is not None:
            if self._reasoning is None:
                self._reasoning = []
            elif not reasoning:
                reasoning = None  # an empty piece says something only once
            if reasoning:
                self._reasoning.append(reasoning)
        calls = delta.get("tool_calls")
        pieces = self._calls.add(calls) if calls else ()
        if not content and reasoning is None and not pieces and logprobs is None:
            return None
        return Delta(content, reasoning, pieces, logprobs)

    def _add_detail(self, entry: dict[str, Any]) -> None:
        """Put a piece of `reasoning_details` to the entry it continues: the last one, of the same type and index.

        Their order is what the model wrote, and has to be kept (openrouter.ai/docs/use-cases/reasoning-tokens).
        """
        texts = {key: text for key in DETAIL_TEXTS if isinstance(text := entry.get(key), str)}
        if self._details and texts:
            known, pieces = self._details[-1]
            if all(known.get(key) == entry.get(key) for key in ("type", "index")) and pieces.keys() == texts.keys():
                # A signature or an id comes with the last piece.
                known.update({key: value for key, value in entry.items() if value is not None and key not in texts})
                for key, text in texts.items():
                    pieces[key].append(text)
                return
        self._details.append((dict(entry), {key: [text] for key, text in texts.items()}))


def _whole_delta(choice: Choice) -> Delta:
    """A whole answer as one piece."""
    calls = enumerate(choice.tool_calls)
    pieces = [ToolCallDelta(index, call.id, call.name, call.arguments, call.type) for index, call in calls]
    return Delta(choice.content, choice.reasoning, tuple(pieces), choice.logprobs)


def _join(first: Delta, second: Delta | None) -> Delta:
    """One delta of two, where an event has an answer twice."""
    if second is None:
        return first
    thoughts = [text for text in (first.reasoning, second.reasoning) if text is not None]
    tokens = [token for one in (first, second) if one.logprobs is not None for token in one.logprobs["content"]]
    return Delta(
        first.content + second.content,
        "".join(thoughts) if thoughts else None,
        (*first.tool_calls, *second.tool_calls),
        {"content": tokens} if tokens else None,
    )


_GIVEN = 0
"""The index of the answer whose deltas are given. The others are in the whole: mixed, they would be none."""


def _in_order(index: int) -> tuple[bool, int]:
    """The order of a stream's answers: the one whose deltas are given is the first, whatever else a host counts."""
    return index != _GIVEN, index


def _error_in(data: bytes) -> Any:
    """What the data of an `event: error` says; text where it is no JSON."""
    event = read_object(data)
    return data.decode("utf-8", "replace") if event is None else event.get("error") or event


class StreamState:
    """Adds up the events of one streamed answer.

    Feed it the response's bytes; take the deltas; call `finish` at the end. Whatever happens before `[DONE]` is not an
    answer: "If you have not received `data: [DONE]`, do not consider the transmission complete even if
    `finish_reason=stop` was received" (platform.kimi.ai/docs/guide/utilize-the-streaming-output-feature-of-kimi-api).
    With it an answer is whole, though OpenRouter and other gateways may leave its `finish_reason` out.

    Args:
        headers: The response's headers.
        plan: The tool plan of the request. Under a constrained tool choice the text is a call in the making: it gives
            no deltas, the finished call does.
        prefix: The beginning of the text, which the server does not repeat.
    """

    def __init__(self, headers: Mapping[str, str], plan: ToolPlan, prefix: str = "") -> None:
        self.done = False
        self._prefix = prefix
        self.request_id = parse_request_id(headers)
        self._plan = plan
        self._decoder = EventDecoder(self.request_id)
        self._choices: dict[int, _OpenChoice] = {}  # by the server's index
        self._choice_usage: Any = None
        self._usage: Any = None
        self._first: Mapping[str, Any] = {}

    def feed(self, chunk: bytes) -> Iterator[Delta]:
        """Take some bytes and give the deltas of each event that they complete.

        Raises:
            KimiStreamError: An event is not JSON.
            StreamedError: The server reports an error inside the stream.
        """
        if self.done:
            return
        for data in self._decoder.feed(chunk):
            if data.startswith(_DONE):
                self.done = True
                return
            if not data.strip():
                continue  # a sign of life
            if self._decoder.event == b"error":
                raise StreamedError(_error_in(data))
            delta = self._add(self._parse_event(data))
            if delta is not None:
                yield delta

    def partial(self) -> Choice:
        """What has arrived so far, of the first answer."""
        return self._choices[min(self._choices, key=_in_order)].partial() if self._choices else Choice()

    def finish(self) -> Iterator[Delta | Completion]:
        """End the stream.

        Yields:
            A last delta, where a constrained tool choice held the text back, and the whole answer.

        Raises:
            KimiStreamError: The stream was not complete.
            KimiResponseError: It was none.
            KimiToolChoiceError: A forced tool call did not come.
            KimiRefusalError: It did not, as the model declined.
        """
        last = list(self._decoder.flush())
        self.done = self.done or any(data.startswith(_DONE) for data in last)
        reasons = [choice.finish_reason for choice in self._choices.values()]
        if not (self.done and self._choices) or not INTERRUPTED.isdisjoint(reasons):
            raise self._broken_off(reasons, bytes(self._decoder.unread) or b"\n".join(last))
        choices: list[Choice] = []
        for index in sorted(self._choices, key=_in_order):
            late, choice = self._choices[index].end(self.request_id)
            if not choices and index != _GIVEN:  # a host that counts from 1
                late = _whole_delta(choice)
            if not choices and late is not None:
                yield late
            choices.append(choice)
        yield self._completion(choices)

    def so_far(self) -> Completion:
        """What has arrived so far, with what the server said of it."""
        return self._completion([self.partial()])

    def _completion(self, choices: list[Choice]) -> Completion:
        raw_usage = self._usage or self._choice_usage
        return Completion(
            id=text_or_none(self._first.get("id")),
            model=text_or_none(self._first.get("model")),
            choices=choices,
            usage=parse_usage(raw_usage),
            request_id=self.request_id,
            created=count_or_none(self._first.get("created")),
            system_fingerprint=text_or_none(self._first.get("system_fingerprint")),
            raw_usage=raw_usage if isinstance(raw_usage, dict) else None,
        )

    def _broken_off(self, reasons: Sequence[str | None], unread: bytes) -> KimiResponseError:
        """The error of a stream that is not whole, with what the server said where no event belongs."""
        said = excerpt_of_refusal(unread) if unread.strip() else ""
        if said and not self._first:
            return KimiResponseError(f"The server's answer is not a stream: {said}", request_id=self.request_id)
        interruption = next((reason for reason in reasons if reason in INTERRUPTED), None)
        if interruption is not None:
            broken = explain_interruption(interruption)
        else:
            missing = "[DONE]" if not self.done else "an answer"
            broken = f"The stream broke off without {missing}: what had arrived is not a whole answer. Try again."
        broken += f" The server said: {said}" if said and not self.done else ""
        return KimiStreamError(broken, request_id=self.request_id, partial=self.partial())

    def _parse_event(self, data: bytes) -> Mapping[str, Any]:
        event = read_object(data)
        if event is None:
            said = excerpt(data)
            raise KimiStreamError(f"The stream has an event that is no JSON object: {said}", request_id=self.request_id)
        return event

    def _add(self, event: Mapping[str, Any]) -> Delta | None:
        if not isinstance(self._first.get("id"), str):
            self._first = event
        # Usage stands in the finishing choice, at the top of the finishing chunk, or in a chunk without choices, and
        # often in two of them with the same numbers: the last one at the top wins, and nothing is ever added up.
        if event.get("usage"):
            self._usage = event["usage"]
        choices, error, given = event.get("choices"), event.get("error"), None
        for place, choice in enumerate(choices if isinstance(choices, list) else ()):
            if not isinstance(choice, dict):
                continue
            index = choice.get("index")
            if not isinstance(index, int):
                index = place
            opened = self._choices.get(index) or self._open(index)
            if choice.get("usage"):
                self._choice_usage = choice["usage"]
            delta = opened.add(choice)
            if index == _GIVEN:
                given = delta if given is None else _join(given, delta)
            error = error or choice.get("error")
        if error:  # what the event has of the answer is part of what had arrived
            raise StreamedError(error)
        return given

    def _open(self, index: int) -> _OpenChoice:
        opened = self._choices[index] = _OpenChoice(self._plan, self._prefix)
        return opened
