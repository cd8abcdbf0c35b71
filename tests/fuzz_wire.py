"""Random and broken bytes for the readers of answers: `python -m tests.fuzz_wire --seconds 60 --seed 1`.

Whatever comes in, there is a result or an error of this project's; anything else is printed with its input and ends the
run. The generators are also those of `tests/test_hostile.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_wire.answers import Answer
from kimi_wire.answers.response import Choice, Completion, explain_answer, parse_completion, parse_constrained_call
from kimi_wire.answers.stream import Delta, StreamState
from kimi_wire.arguments import parse_arguments, replay_arguments
from kimi_wire.errors import KimiError, KimiRequestError, KimiStreamError, StreamedError
from kimi_wire.json_text import strip_fence
from kimi_wire.requests import Known, Request, ToolPlan
from kimi_wire.schema import normalise_schema

PLANS = (
    ToolPlan([]),
    ToolPlan([], json_answer=True),
    ToolPlan([], expected=("look", "find"), response_format={"type": "json_schema"}, json_answer=True),
)

_USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cached_tokens": 2}
_CALL = {"index": 0, "id": "look:0", "type": "function", "function": {"name": "look", "arguments": ""}}
_MORE = {"index": 0, "function": {"arguments": '{"city":"Zürich 🌧"}'}}
_DETAIL = {"type": "reasoning.text", "text": "Hm.", "index": 0}


def _chunk(delta: object, finish: str | None = None, **more: object) -> dict[str, object]:
    return {"id": "c-1", "model": "kimi-k3", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


EVENTS: tuple[dict[str, object], ...] = (
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"reasoning_content": "Denke…"}),
    _chunk({"reasoning": "Hm.", "reasoning_details": [_DETAIL]}, logprobs={"content": [{"token": "x", "logprob": -1}]}),
    _chunk({"content": '```json\n{"call": {"name": "look", "arguments": {}}}'}),
    _chunk({"tool_calls": [_CALL]}),
    _chunk({"tool_calls": [_MORE, {"id": "", "function": {"name": "find"}}]}),
    _chunk({}, "tool_calls", usage=_USAGE),
    {"choices": [], "usage": _USAGE},
)
STREAM = (
    b": hi\n\n" + b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in EVENTS) + b"data: [DONE]\n\n"
)
BODY = json.dumps(
    {
        "id": "c-1",
        "choices": [
            {
                "message": {"content": "Ü", "reasoning": "Hm.", "reasoning_details": [_DETAIL], "tool_calls": [_CALL]},
                "finish_reason": "stop",
            }
        ],
        "usage": _USAGE,
    }
).encode()

# What hosts of all kinds send: arguments as objects, a list that is none, names in pieces, answers out of order or with
# an error, text in other places, counts that are none.
ODD_EVENTS: tuple[dict[str, object], ...] = (
    _chunk({"content": ["Zwei ", {"type": "text", "text": "Teile "}]}),
    _chunk({"tool_calls": {"id": "look:0", "function": {"name": "lo", "arguments": {"city": "Zürich"}}}}),
    _chunk({"tool_calls": [None, {}, {"index": 1, "id": "x"}, {"index": 0, "function": {"name": "ok"}}]}),
    {"choices": [{"index": 1, "delta": {"content": "b"}}, {"index": 0, "delta": {"content": "a"}, "error": None}]},
    {"choices": [{"index": 0, "message": {"content": "whole"}, "finish_reason": "length"}, {"text": "c"}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "lost", "code": 502}}]},
    {"choices": [], "usage": {"prompt_tokens": 1.5, "completion_tokens": "4", "total_tokens": None}, "error": "late"},
    _chunk({"content": "\ud83d"}, "stop"),
    _chunk({"reasoning_details": [_DETAIL, 5]}, "abort"),
)
ODD_STREAM = b"".join(
    (b"event: error\n" if at == 6 else b"") + b"data: " + json.dumps(event).encode() + b"\n\n"
    for at, event in enumerate(ODD_EVENTS)
)
ODD_BODY = json.dumps(
    {
        "choices": [
            {"index": 1, "message": {"content": [{"text": "b"}], "tool_calls": {"function": {"name": "find"}}}},
            {"index": 0, "delta": {"content": "a", "tool_calls": [None, {"function": {"name": "x", "arguments": {}}}]}},
        ],
        "usage": {"prompt_tokens": 1.0, "total_tokens": "7"},
        "error": None,
    }
).encode()

_PIECES = (
    b"data:", b"data: ", b"data", b"\n", b"\r", b"\r\n", b"\n\n", b": ", b"event: x\n", b"id: 1\n", b"retry: 1\n", b"\x00",
    b"\xef\xbb\xbf", b"\xff", b"\xf0\x9f", b"[DONE]", b"{", b"}", b"[" * 50, b'"', b'"\\ud800"', b"1e999", b"-0", b"9" * 5000,
    b"NaN", b"null", b'"choices"', b'"delta"', b'"index":true', b'{"error":1}', b'{"choices":[{"delta":{"tool_calls":[1]}}]}',
)  # fmt: skip


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Damage some bytes: flip, delete, double, splice, or put something in."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at, end = sorted((rng.randint(0, len(changed)), rng.randint(0, len(changed))))
        end = min(end, at + 200)
        damage = rng.randrange(5)
        if damage == 0 and at < len(changed):
            changed[at] ^= 1 << rng.randrange(8)
        elif damage == 1:
            del changed[at:end]
        elif damage == 2:
            changed[at:at] = changed[at:end]
        elif damage == 3:
            start = rng.randint(0, len(data))
            changed[at:end] = data[start : start + rng.randint(0, 200)]
        else:
            changed[at:at] = rng.choice(_PIECES)
    return bytes(changed)


def make_input(rng: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Random bytes, random pieces of the format, or a damaged good answer."""
    way = rng.randrange(4)
    if way == 0:
        return rng.randbytes(rng.randint(0, 300))
    if way == 1:
        return b"".join(rng.choice(_PIECES) for _ in range(rng.randint(0, 60)))
    return mutate(rng.choice(seeds), rng)


_VALUES = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    "x",
    "\x00",
    "\ud83d",
    [],
    [None],
    [[]],
    {},
    {"content": 5},
    {"text": 3},
    [1, "x"],
)


def warp(value: object, rng: random.Random) -> object:
    """Put something else in the place of some of the values of a JSON document."""
    if rng.random() < 0.08:
        return rng.choice(_VALUES)
    if isinstance(value, dict):
        return {key: warp(item, rng) for key, item in value.items() if rng.random() > 0.03}
    if isinstance(value, (list, tuple)):
        return [warp(item, rng) for item in value for _ in range(rng.choice((1, 1, 1, 1, 1, 0, 2)))]
    return value


def write_stream(events: object) -> bytes:
    """Write a list of events as a whole stream."""
    listed = events if isinstance(events, list) else [events]
    return b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in listed) + b"data: [DONE]\n\n"


def split(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """Cut data into chunks, anywhere."""
    start = 0
    while start < len(data):
        end = start + rng.choice((1, 2, 7, 60, 1000))
        yield data[start:end]
        start = end


def read_stream(chunks: Iterator[bytes] | Sequence[bytes], plan: ToolPlan) -> list[Delta | Completion]:
    """Read a stream to its end."""
    state = StreamState({}, plan)
    items: list[Delta | Completion] = []
    try:
        for chunk in chunks:
            items += state.feed(chunk)
        items += state.finish()
    finally:
        state.partial()
    completion = items[-1]
    assert isinstance(completion, Completion)
    list(explain_answer(completion.choice))
    return items


def fuzz_stream(data: bytes, rng: random.Random) -> None:
    """In whatever pieces a stream comes, its deltas add up to the same whole."""
    plan = rng.choice(PLANS)
    whole, pieces = _outcome([data], plan), _outcome(split(data, rng), plan)
    assert whole == pieces, f"{whole} in one piece, {pieces} in several"


def _outcome(chunks: Iterator[bytes] | Sequence[bytes], plan: ToolPlan) -> object:
    try:
        *deltas, completion = read_stream(chunks, plan)
    except (KimiError, StreamedError) as error:
        return type(error).__name__
    assert isinstance(completion, Completion)
    _check_sum(deltas, completion.choice)
    return re.sub("call_[0-9a-f]{24}", "(an id that was made)", repr(completion))


def _check_sum(items: Sequence[Delta | Completion], choice: Choice) -> None:
    deltas = [item for item in items if isinstance(item, Delta)]
    assert "".join(delta.content for delta in deltas) == choice.content
    assert "".join(delta.reasoning or "" for delta in deltas) == (choice.reasoning or "")


def fuzz_continuation(streams: list[bytes], rng: random.Random) -> None:
    """An answer over several streams, some of which break off: nothing is lost or doubled on the way."""
    body = {"model": "kimi-k2.5", "messages": [{"role": "user", "content": "hi"}]}
    answer = Answer(Request(body, PLANS[0], continuable=True, continue_on_length=2, resume_streams=2))
    given: list[Delta | Completion] = []
    rest = iter(streams)
    try:
        while answer.request is not None:
            state, failure = StreamState({}, PLANS[0]), None
            read = answer.reading(state)
            try:
                for chunk in split(next(rest, b""), rng):
                    given += read(chunk)
            except (KimiError, StreamedError) as error:
                failure = KimiStreamError(str(error), partial=state.partial())
            given += answer.end_stream(state, failure)
    except KimiStreamError as error:
        came = error.partial
    else:
        came = answer.completion.choice
    assert isinstance(came, Choice)
    _check_sum(given, came)


def make_streams(rng: random.Random) -> list[bytes]:
    """Streams of an answer that is told in pieces, with repetitions, and cut anywhere."""
    text = "".join(rng.choice(("one two three ", "four five ", "ha ", "\n| a | b |", "Zürich 🌧 ")) for _ in range(12))
    streams, at = [], 0
    for _ in range(rng.randint(1, 5)):
        begun = max(0, at - rng.choice((0, 0, 7, 15, 40, 1000)))
        at = rng.randint(at, len(text))
        kind = rng.choice(("content", "content", "content", "reasoning_content"))
        events = [_chunk({kind: text[start : start + 5]}) for start in range(begun, at, 5)]
        stream = write_stream([*events, _chunk({}, rng.choice(("stop", "length", "error", None)))])
        streams.append(stream if rng.random() < 0.5 else stream[: rng.randint(0, len(stream))])
    return streams


def fuzz_completion(data: bytes, rng: random.Random) -> None:
    for choice in parse_completion(data, {}, rng.choice(PLANS), rng.choice(("", "{"))).choices:
        list(explain_answer(choice))


def fuzz_arguments(data: bytes, rng: random.Random) -> None:
    text = data.decode("utf-8", rng.choice(("replace", "surrogateescape")))
    json.loads(replay_arguments(text))
    strip_fence(text)
    parse_constrained_call(text, ("look", "find"), Known())
    with contextlib.suppress(ValueError):
        parse_arguments(text)


def fuzz_schema(data: bytes, rng: random.Random) -> None:
    try:
        schema = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(schema, dict):
        with contextlib.suppress(KimiRequestError):
            normalise_schema(schema, where="tool f")


SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A"}, "b": {"anyOf": [{"type": "null"}, {"enum": [1, "x"]}]}},
        "$defs": {"A": {"type": "array", "items": {"$ref": "#/$defs/A"}, "prefixItems": [True]}},
        "allOf": [{"required": ["a"]}],
    }
).encode()


@dataclass(frozen=True)
class Target:
    """What is tried, and with what.

    Attributes:
        try_one: Takes an input, and more of chance; what it raises but this project's errors is a fault.
        make: Makes an input.
    """

    try_one: Callable[[Any, random.Random], None]
    make: Callable[[random.Random], Any]


def _damaged(*seeds: bytes, document: object = None) -> Callable[[random.Random], bytes]:
    """Makes random bytes, and damaged answers; of a document also such that have other values in it."""

    def make(rng: random.Random) -> bytes:
        if document is None or rng.random() >= 0.3:
            return make_input(rng, seeds)
        warped = warp(document, rng)
        return write_stream(warped) if isinstance(document, tuple) else json.dumps(warped).encode()

    return make


_CRLF, _CR = STREAM.replace(b"\n", b"\r\n"), STREAM.replace(b"\n", b"\r")

TARGETS: dict[str, Target] = {
    "stream": Target(fuzz_stream, _damaged(STREAM, _CRLF, _CR, ODD_STREAM, document=(*EVENTS, *ODD_EVENTS))),
    "odd stream": Target(fuzz_stream, _damaged(ODD_STREAM, document=ODD_EVENTS[:5])),
    "continuation": Target(fuzz_continuation, make_streams),
    "completion": Target(fuzz_completion, _damaged(BODY, ODD_BODY, document=json.loads(BODY))),
    "odd completion": Target(fuzz_completion, _damaged(ODD_BODY, document=json.loads(ODD_BODY))),
    "arguments": Target(
        fuzz_arguments, _damaged(b'{"city": "Z\xc3\xbcrich", "n": [1, {"a": null}]}', b'```json\n{"a": 1}\n```')
    ),
    "schema": Target(fuzz_schema, _damaged(SCHEMA, document=json.loads(SCHEMA))),
}


def all_targets() -> dict[str, Target]:
    """The targets here, and whole calls through both adapters."""
    from tests import fuzz_calls

    return {
        **TARGETS,
        "served": Target(fuzz_calls.try_served, fuzz_calls.make_served),
        "packed": Target(fuzz_calls.try_packed, fuzz_calls.make_packed),
        "repeated ids": Target(fuzz_calls.try_repeated_ids, fuzz_calls.make_repeated_ids),
        "settings": Target(fuzz_calls.try_settings, fuzz_calls.make_settings),
        "history": Target(fuzz_calls.try_history, fuzz_calls.make_history),
    }


def run(target: str, seed: int, targets: Mapping[str, Target] = TARGETS) -> None:
    """Try one input.

    Raises:
        AssertionError: Something else than an error of this project's came of it; the message has the input.
    """
    rng = random.Random(f"{target} {seed}")
    data = targets[target].make(rng)
    try:
        targets[target].try_one(data, rng)
    except (KimiError, StreamedError):
        pass
    except Exception as error:
        raise AssertionError(f"{target} {seed}: {type(error).__name__}: {error}: {_shown(data)}") from error


def _shown(data: object) -> str:
    try:
        return repr(data)
    except Exception as error:  # too deep, or a number of more digits than Python writes
        return f"(an input without a repr: {error})"


def _kind_of(target: str, error: AssertionError) -> str:
    """What was tried, what came of it, and the last line of this project that it passed."""
    cause = error.__cause__ or error
    frames = traceback.extract_tb(cause.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "/lib/python" not in frame.filename]
    return f"{target}, {type(cause).__name__} in {Path(own[-1].filename).name}:{own[-1].lineno}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the time is up; print how many inputs each target had."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_wire")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--go-on", action="store_true", help="print each kind of fault once, and go on")
    options = parser.parse_args(arguments)
    targets = all_targets()
    until, seed, faults = time.monotonic() + options.seconds, options.seed, Counter[str]()
    while time.monotonic() < until:
        for target in targets:
            try:
                run(target, seed, targets)
            except AssertionError as error:
                if not options.go_on:
                    raise
                kind = _kind_of(target, error)
                faults[kind] += 1
                if faults[kind] == 1:
                    print(f"{kind}: {str(error)[:2000]}", flush=True)
        seed += 1
    for kind, count in faults.most_common():
        print(f"{count} times {kind}")
    last = f"seeds {options.seed} to {seed - 1}; {sum(faults.values())} faults"
    print(f"{seed - options.seed} inputs for each of {', '.join(targets)}; {last}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
