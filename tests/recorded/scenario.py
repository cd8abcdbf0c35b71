"""What a scenario is: a conversation, the bodies it must send, and what must be heard."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kimi_emulator.scripting import Step
from tests.conversations import Message
from tests.recorded.tape import Exchange

KEY = "sk-recorded"
"""The key of every request to the emulator; cassettes hold none."""

STREAM_FIELDS = {"stream": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True)
class Expect:
    """What must be heard at the end of a scenario, in words that a re-recording does not change.

    Attributes:
        finish: The finish reasons that will do.
        says: A pattern to find in the text; None for an answer without text.
        thinks: Whether there is thinking; None where the model may or may not.
        calls: The tools called, in order, each with a pattern for each of its arguments.
        cached: Whether prompt tokens came from the cache.
        parsed: The fields of the structured answer, each with a pattern.
        error: The narrowest class of `kimi_wire` that the error is an instance of.
        status: The HTTP status of the error.
        warns: A pattern to find in the one warning; None where there is none.
    """

    finish: tuple[str, ...] = ("stop",)
    says: str | None = r"\S"
    thinks: bool | None = True
    calls: Sequence[tuple[str, Mapping[str, str]]] = ()
    cached: bool = False
    parsed: Mapping[str, str] | None = None
    error: str | None = None
    status: int | None = None
    warns: str | None = None


@dataclass(frozen=True)
class Scenario:
    """One row: what is asked, what goes over the wire, what is heard. Both adapters play it in all ways.

    Attributes:
        golden: The first request's body, without what streaming adds; its model and its messages are what is asked.
        settings: The settings of the call.
        asked: The messages to ask with, where they differ from the golden ones.
        expect: What must be heard at the end.
        results: What each tool returns, None for the arguments it was called with; calls are answered until there are
            none.
        repeat: How often the same is asked.
        schema: The schema of a structured answer, asked for by `method`.
        method: `json_schema`, `function_calling` or `json_mode`.
        script: What the emulator is told to answer. A scripted scenario is never recorded from the real API.
        retired: Whether only the emulator still serves the model.
        key: The API key, where it is not a good one.
        modes: `chat`, `stream` or both.
        left_out: The adapters it is not played through, each with the reason.
    """

    golden: Message
    settings: Mapping[str, Any] = field(default_factory=dict)
    asked: Sequence[Message] | None = None
    expect: Expect = field(default_factory=Expect)
    results: Mapping[str, str | None] | None = None
    repeat: int = 1
    schema: type | None = None
    method: str | None = None
    script: Sequence[Step] = ()
    retired: bool = False
    key: str | None = None
    modes: tuple[str, ...] = ("chat", "stream")
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def messages(self) -> Sequence[Message]:
        """What is asked."""
        messages: Sequence[Message] = self.golden["messages"] if self.asked is None else self.asked
        return messages

    @property
    def emulator_only(self) -> bool:
        """Whether it cannot be recorded from the real API."""
        return bool(self.script) or self.retired

    def requests(self, mode: str, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """The requests that must have been sent: the golden one, and those that follow from the recorded answers."""
        body: Message | None = {**self.golden, **(STREAM_FIELDS if mode == "stream" else {})}
        answers = [read_answer(exchange["response"]) for exchange in exchanges]
        bodies: list[Message] = []
        while body is not None:
            bodies.append(body)
            body = self._next(bodies, answers[len(bodies) - 1]) if len(bodies) <= len(answers) else None
        return [{"method": "POST", "path": "/v1/chat/completions", "json": body} for body in bodies]

    def _next(self, bodies: Sequence[Message], answer: Message) -> Message | None:
        body = bodies[-1]
        if len(bodies) < self.repeat:
            return body
        if self.results is not None and answer.get("tool_calls"):
            replayed: Message = {"role": "assistant"}
            if answer["content"]:  # "must not be empty": an empty one beside tool calls stays away
                replayed["content"] = answer["content"]
            if "reasoning_content" in answer:
                replayed["reasoning_content"] = answer["reasoning_content"]
            replayed["tool_calls"] = [
                {name: made[name] for name in ("id", "type", "function")} for made in answer["tool_calls"]
            ]
            results = [self._result(made) for made in answer["tool_calls"]]
            return {**body, "messages": [*body["messages"], replayed, *results]}
        if answer.get("finish_reason") == "length" and len(bodies) <= self.settings.get("continue_on_length", 0):
            *messages, last = body["messages"]
            if not last.get("partial"):
                messages, last = [*messages, last], {"content": ""}
            begun = {"role": "assistant", "content": last["content"] + answer["content"], "partial": True}
            thought = {"reasoning_content": answer["reasoning_content"]} if "reasoning_content" in answer else {}
            return {**body, "messages": [*messages, {**begun, **thought}]}
        return None

    def _result(self, made: Message) -> Message:
        assert self.results is not None
        name, arguments = made["function"]["name"], made["function"]["arguments"]
        result = self.results[name]
        message = {"role": "tool", "content": arguments if result is None else result, "tool_call_id": made["id"]}
        # The guide to web search has the name on the result, and no other guide has it.
        return {**message, "name": name} if made["type"] == "builtin_function" else message


@dataclass(frozen=True)
class Endpoint:
    """One row for what is not chat: requests, the ways to make them, and what must come of it.

    Attributes:
        golden: The requests, in order: method, path, and the body as a cassette has it; or a function that gives them,
            where they have ids of recorded answers.
        ways: Each way to make them, by name: a function (or coroutine function) of the API's root and the key.
        expect: Raises unless the outcome fits the recorded exchanges. Not asked where there is an `error`.
        key: The API key, where it is not a good one.
        modes: Always `call`.
        error: A class of `kimi_wire` that the error is of.
        status: The HTTP status of the error.
        left_out: The adapters and shells it is not played through, each with the reason.
    """

    golden: Sequence[Exchange] | Callable[[Sequence[Exchange]], Sequence[Exchange]]
    ways: Mapping[str, Callable[[str, str], Any]]
    expect: Callable[[Any, Sequence[Exchange]], None]
    key: str | None = None
    modes: tuple[str, ...] = ("call",)
    error: str | None = None
    status: int | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)

    # The emulator is scripted for chat only.
    script = ()
    emulator_only = False

    def requests(self, mode: str, exchanges: Sequence[Exchange]) -> list[Exchange]:
        """The requests that must have been sent."""
        return list(self.golden(exchanges) if callable(self.golden) else self.golden)


# Answers as they stand in a cassette, read without the code under test.


def read_answer(response: Exchange) -> Message:
    """The assistant's message of an answer, with `finish_reason` and `usage`; an error as it is, where it is JSON."""
    if "events" in response:
        return _add_up(response["events"])
    body = response.get("json")
    if not isinstance(body, dict) or "choices" not in body:
        return body if isinstance(body, dict) else {}
    choice = body["choices"][0]
    return {**choice["message"], "finish_reason": choice["finish_reason"], "usage": body["usage"]}


def _add_up(events: str) -> Message:
    answer: Message = {}
    for line in events.splitlines():
        if not line.startswith("data: {"):
            continue
        chunk = json.loads(line.removeprefix("data: "))
        if "choices" not in chunk:
            return chunk  # an error
        if chunk.get("usage"):
            answer["usage"] = chunk["usage"]
        for choice in chunk["choices"]:
            _add_delta(answer, choice["delta"])
            answer["finish_reason"] = choice["finish_reason"] or answer.get("finish_reason")
    return answer


def _add_delta(answer: Message, delta: Message) -> None:
    for name in ("role", "content", "reasoning_content"):
        if name in delta:
            answer[name] = answer.get(name, "") + delta[name]
    for piece in delta.get("tool_calls", ()):
        calls = answer.setdefault("tool_calls", [])
        if piece["index"] == len(calls):
            calls.append({**piece, "function": dict(piece["function"])})
        else:
            calls[piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
