"""Random and broken bytes for the readers of answers: `python -m tests.fuzz_wire --seconds 60 --seed 1`.

Whatever comes in, there is a result or an error of this project's; anything else is printed with its input and ends the
run. The generators are also those of `tests/test_hostile.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from kimi_wire.answers.response import Completion, explain_answer, parse_completion, parse_constrained_call
from kimi_wire.answers.stream import Delta, StreamState
from kimi_wire.arguments import parse_arguments, replay_arguments
from kimi_wire.errors import KimiError, KimiRequestError, StreamedError
from kimi_wire.json_text import strip_fence
from kimi_wire.requests import ToolNames, ToolPlan
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
    read_stream(split(data, rng), rng.choice(PLANS))


def fuzz_completion(data: bytes, rng: random.Random) -> None:
    for choice in parse_completion(data, {}, rng.choice(PLANS), rng.choice(("", "{"))).choices:
        list(explain_answer(choice))


def fuzz_arguments(data: bytes, rng: random.Random) -> None:
    text = data.decode("utf-8", rng.choice(("replace", "surrogateescape")))
    json.loads(replay_arguments(text))
    strip_fence(text)
    parse_constrained_call(text, ("look", "find"), ToolNames())
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

TARGETS: dict[str, tuple[Callable[[bytes, random.Random], None], tuple[bytes, ...]]] = {
    "stream": (fuzz_stream, (STREAM, STREAM.replace(b"\n", b"\r\n"), STREAM.replace(b"\n", b"\r"))),
    "completion": (fuzz_completion, (BODY,)),
    "arguments": (fuzz_arguments, (b'{"city": "Z\xc3\xbcrich", "n": [1, {"a": null}]}', b'```json\n{"a": 1}\n```')),
    "schema": (fuzz_schema, (SCHEMA,)),
}


_DOCUMENTS: dict[str, object] = {"stream": EVENTS, "completion": json.loads(BODY), "schema": json.loads(SCHEMA)}


def run(target: str, seed: int) -> None:
    """Try one input.

    Raises:
        AssertionError: Something else than an error of this project's came of it; the message has the input.
    """
    function, seeds = TARGETS[target]
    rng = random.Random(f"{target} {seed}")
    document = _DOCUMENTS.get(target)
    if document is not None and rng.random() < 0.3:
        warped = warp(document, rng)
        data = write_stream(warped) if target == "stream" else json.dumps(warped).encode()
    else:
        data = make_input(rng, seeds)
    try:
        function(data, rng)
    except (KimiError, StreamedError):
        pass
    except Exception as error:
        raise AssertionError(f"{target} {seed}: {type(error).__name__}: {error}: {data!r}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until the time is up; print how many inputs each target had."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_wire")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    options = parser.parse_args(arguments)
    until, seed = time.monotonic() + options.seconds, options.seed
    while time.monotonic() < until:
        for target in TARGETS:
            run(target, seed)
        seed += 1
    print(f"{seed - options.seed} inputs for each of {', '.join(TARGETS)}; seeds {options.seed} to {seed - 1}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
