"""Answers that are no answers: any bytes give a result or a typed error, with linear work and bounded memory."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kimi_wire.answers.stream
from kimi_emulator import KimiEmulator, Reply
from kimi_wire.answers.response import (
    Choice,
    Completion,
    explain_answer,
    explain_markers,
    finish_choice,
    parse_completion,
    parse_details,
    parse_reasoning,
)
from kimi_wire.answers.stream import MAX_EVENT_BYTES, Delta, EventDecoder, StreamState
from kimi_wire.arguments import replay_arguments
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.errors import KimiError, KimiResponseError, KimiStreamError, KimiWarning, StreamedError
from kimi_wire.json_text import FenceFilter, iter_json_texts, strip_fence
from kimi_wire.requests.request import Request
from kimi_wire.requests.tools import ToolPlan
from langchain_kimi.responses import parse_completion as parse_for_langchain
from llama_index_kimi.responses import parse_response as parse_for_llama_index
from tests import fuzz_wire
from tests.fuzz_wire import BODY, EVENTS, PLANS, STREAM, TARGETS, all_targets, read_stream, split

PLAN = ToolPlan([])
LINE_ENDS = (b"\n", b"\r\n", b"\r")


def events(chunks: Iterable[bytes]) -> list[bytes]:
    decoder = EventDecoder()
    found = [event for chunk in chunks for event in decoder.feed(chunk)]
    return [*found, *decoder.flush()]


def expected_failure(function: Any, *args: Any) -> Any:
    """The result, or the type of an error that is this project's."""
    try:
        return function(*args)
    except (KimiError, StreamedError) as error:
        return type(error)


def delta(content: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": content}}]}).encode() + b"\n\n"


END = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

# Whatever comes in.


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)), st.sampled_from(PLANS))
def test_any_bytes_are_a_stream_or_an_error(data: bytes, cuts: list[int], plan: ToolPlan) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    expected_failure(read_stream, [data[start:end] for start, end in itertools.pairwise(places)], plan)


@given(st.binary(max_size=400), st.sampled_from(PLANS))
def test_any_bytes_are_a_completion_or_an_error(data: bytes, plan: ToolPlan) -> None:
    expected_failure(parse_completion, data, {}, plan)


@pytest.mark.parametrize("target", TARGETS)
@given(st.integers(0, 2**32))
def test_damaged_answers_are_answers_or_errors(target: str, seed: int) -> None:
    fuzz_wire.run(target, seed)


@pytest.mark.slow
@pytest.mark.parametrize("target", sorted(all_targets().keys() - TARGETS.keys()))
def test_odd_servers_and_careless_users_meet_answers_or_errors(target: str) -> None:
    for seed in range(40):
        fuzz_wire.run(target, seed, all_targets())


def test_the_script_reports_what_it_ran(capsys: pytest.CaptureFixture[str]) -> None:
    assert fuzz_wire.main(["--seconds", "0.01", "--seed", "7"]) == 0
    assert "seeds 7 to" in capsys.readouterr().out


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("content", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "role"), JSON
    ),
)
CALLED = st.fixed_dictionaries(
    {
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": JSON,
                    "id": JSON,
                    "type": JSON,
                    "function": JSON | st.fixed_dictionaries({"name": JSON, "arguments": JSON}),
                },
            ),
            max_size=3,
        )
    }
)
CHOICE = st.fixed_dictionaries(
    {"message": MESSAGE | CALLED, "delta": MESSAGE | CALLED},
    optional={"finish_reason": JSON, "logprobs": JSON | st.fixed_dictionaries({"content": JSON}), "usage": JSON},
)
ANSWER = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, max_size=2)},
    optional=dict.fromkeys(("id", "model", "usage", "created", "system_fingerprint"), JSON),
)


@given(ANSWER)
def test_answers_of_any_shape_reach_both_frameworks(answer: dict[str, Any]) -> None:
    completion = expected_failure(parse_completion, json.dumps(answer).encode(), {}, PLAN)
    if isinstance(completion, Completion):
        assert len(parse_for_langchain(completion).generations) == len(answer["choices"])
        parse_for_llama_index(completion)


@given(st.lists(ANSWER, max_size=4))
def test_streams_of_any_shape_reach_both_frameworks(answers: list[dict[str, Any]]) -> None:
    data = b"".join(b"data: " + json.dumps(answer).encode() + b"\n\n" for answer in answers) + END
    items = expected_failure(read_stream, [data], PLAN)
    if isinstance(items, list):
        parse_for_langchain(items[-1])
        parse_for_llama_index(items[-1])


# Chunks and lines.


@given(st.integers(0, 2**32), st.sampled_from(LINE_ENDS))
def test_where_chunks_are_cut_makes_no_difference(seed: int, line_end: bytes) -> None:
    rng = random.Random(seed)
    data = STREAM.replace(b"\n", line_end)
    assert events(split(data, rng)) == events([STREAM])
    whole, parts = read_stream([STREAM], PLAN), read_stream(split(data, rng), PLAN)
    assert isinstance(whole[-1], Completion)
    assert isinstance(parts[-1], Completion)
    for item in (whole[-1], parts[-1]):
        item.choice.tool_calls[1].id = "made up"  # it came without one
    assert parts[-1] == whole[-1]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"\xef\xbb\xbfdata: a\n\n", [b"a"]),
        (b"\xef\xbb\xbf\n\ndata: a\n\n", [b"a"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data: a\n\rdata: b\n\r", [b"a", b"b"]),
        (b"data: a", [b"a"]),
        (b"data: a\r", [b"a"]),
        (b"data: a\ndata:b\ndata:  c\n\n", [b"a\nb\n c"]),
        (b"data: a\ndata: \n\n", [b"a\n"]),
        (b": ping\n:\n\nevent: x\nid: 1\nretry: 5\ndata: a\nnonsense\n\n", [b"a"]),
        (b"Data: a\ndatum: b\n data: c\n\n", []),
        ("data: 🌧ü\n\n".encode(), ["🌧ü".encode()]),
        (b"data: \x00\n\n", [b"\x00"]),
        (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"\n\n\r\r\n", []),
        (b"", []),
    ],
)
def test_lines_are_read_as_the_standard_has_them(data: bytes, found: list[bytes], size: int) -> None:
    assert events(data[start : start + size] for start in range(0, len(data), size)) == found
    assert events([b"", *(data[start : start + size] for start in range(0, len(data), size)), b""]) == found


def test_an_event_without_data_is_a_sign_of_life() -> None:
    items = read_stream([b"data:\n\ndata: \n\n", delta("hi"), b"data:   \r\n\r\n", END], PLAN)
    assert [item.content for item in items[:-1] if not isinstance(item, Completion)] == ["hi"]


def test_what_follows_the_end_is_not_read() -> None:
    completion = read_stream([delta("hi") + END + b"data: {broken\n\n", b"data: too\n\n"], PLAN)[-1]
    assert isinstance(completion, Completion)
    assert completion.choice.content == "hi"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xfe",
        b"<html>",
        b'{"a":',
        b"[1]",
        b"3",
        b'"x"',
        b"null",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"choices":[{"delta":{"content":"\xff"}}]}',
        b'{"n":' + b"9" * 5000 + b"}",
    ],
)
def test_an_event_that_is_no_object_is_an_error_with_what_had_come(data: bytes) -> None:
    state = StreamState({"x-request-id": "r-1"}, PLAN)
    with pytest.raises(KimiStreamError, match=r"no JSON object.*r-1") as caught:
        list(state.feed(delta("before") + b"data: " + data + b"\n\n"))
    assert len(str(caught.value)) < 1500
    assert state.partial().content == "before"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>502</html>", b"\x1f\x8b\x08garbage", gzip.compress(BODY, mtime=0)[:40], b"null", b"[]", b'{"choices":[]}',
        b'{"choices":null}', b'{"choices":[null]}', b'{"choices":[{"message":null}]}', b"[" * 100_000, BODY[:-1], b"\x00" + BODY,
        b'{"choices":[{"message":{"content":"x"}}],"created":' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_a_body_that_is_no_completion_is_an_error(body: bytes) -> None:
    with pytest.raises(KimiResponseError, match=r"not a chat completion.*r-1") as caught:
        parse_completion(body, {"x-request-id": "r-1"}, PLAN)
    assert len(str(caught.value)) < 1500


def test_values_of_the_wrong_kind_are_not_passed_on() -> None:
    answer = {
        "id": 3, "model": ["x"], "created": "today", "system_fingerprint": {},
        "choices": [{"message": {"content": 5, "tool_calls": "x", "reasoning_details": "text"}, "logprobs": {"content": [5]}, "finish_reason": 1}],
        "usage": {"prompt_tokens": True, "completion_tokens": "9", "total_tokens": 1.5},
    }  # fmt: skip
    completion = parse_completion(json.dumps(answer).encode(), {}, PLAN)
    assert (completion.id, completion.model, completion.created, completion.system_fingerprint) == (None,) * 4
    assert completion.choice == Choice()
    assert completion.usage is None, "zeros would be counts"
    streamed = [
        {**answer, "choices": [{"delta": {"content": 5}, "logprobs": logprobs, "finish_reason": "stop"}]}
        for logprobs in ({"content": 5}, {"content": True}, {"content": [5]}, 3, {"content": [{"token": "x"}]})
    ]
    item = read_stream([fuzz_wire.write_stream(streamed)], PLAN)[-1]
    assert isinstance(item, Completion)
    assert item.choice.logprobs == {"content": [{"token": "x"}]}


@pytest.mark.parametrize(
    "token",
    [
        {},
        {"token": 5, "logprob": "x", "bytes": "x"},
        {"top_logprobs": 3},
        {"top_logprobs": [3, {"token": "a"}]},
        {"bytes": [None]},
    ],
)
def test_log_probabilities_of_any_shape_reach_both_frameworks(token: dict[str, Any]) -> None:
    answer = {"choices": [{"message": {"content": "x"}, "logprobs": {"content": [token]}}]}
    completion = parse_completion(json.dumps(answer).encode(), {}, PLAN)
    assert parse_for_langchain(completion).generations[0].generation_info == {"logprobs": {"content": [token]}}
    logprobs = parse_for_llama_index(completion).logprobs
    assert logprobs is not None
    assert len(logprobs) == 1


# Work and memory.


class CountedLine(bytearray):
    """A line in the making that counts the bytes it is given and gives."""

    work = 0

    def __iadd__(self, other: Any) -> CountedLine:
        CountedLine.work += len(other)
        super().__iadd__(other)
        return self

    def __bytes__(self) -> bytes:
        CountedLine.work += len(self)
        return bytes(memoryview(self))


class CountedChunk(bytes):
    """A chunk that counts how often it is looked through."""

    work = 0

    def split(self, *args: Any) -> list[bytes]:  # type: ignore[override]
        CountedChunk.work += len(self)
        return super().split(*args)

    def __contains__(self, item: Any) -> bool:
        CountedChunk.work += len(self)
        return super().__contains__(item)


def test_a_long_event_in_small_pieces_is_linear_work() -> None:
    CountedLine.work = CountedChunk.work = 0
    size, piece = 10 * 1024 * 1024, 1000
    decoder = EventDecoder()
    decoder._line = CountedLine()
    assert list(decoder.feed(CountedChunk(b"data: "))) == []
    chunk = CountedChunk(b"x" * piece)
    for _ in range(size // piece):
        assert list(decoder.feed(chunk)) == []
    (event,) = decoder.feed(CountedChunk(b"\n\n"))
    assert len(event) == size // piece * piece
    assert CountedLine.work <= 2.01 * size
    assert CountedChunk.work <= 2.01 * size


def endless(reader: EventDecoder | StreamState, chunk: bytes) -> KimiStreamError | None:
    """Feed the same over and over, until that is refused."""
    try:
        for _ in range(100):
            list(reader.feed(chunk))
    except KimiStreamError as error:
        return error
    return None


@pytest.mark.parametrize("line", [b"data: ", b": ", b"", b"event: "])
def test_an_event_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    assert MAX_EVENT_BYTES >= 50 * 1024 * 1024
    monkeypatch.setattr(kimi_wire.answers.stream, "MAX_EVENT_BYTES", 5000)
    state = StreamState({"x-request-id": "r-1"}, PLAN)
    assert list(state.feed(delta("before") + line))
    error = endless(state, b"x" * 100)
    assert "more than 5000 bytes" in str(error)
    assert "r-1" in str(error)
    assert state.partial().content == "before"
    assert not state._decoder._line, "what had come is not kept"


@pytest.mark.parametrize("line", [b"data: xxxxxx\n", b"data:\n", b"data:\r"])
def test_an_event_of_endless_lines_is_refused(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(kimi_wire.answers.stream, "MAX_EVENT_BYTES", 5000)
    decoder = EventDecoder()
    assert "more than 5000 bytes" in str(endless(decoder, line))
    assert not decoder._data
    with pytest.raises(KimiStreamError, match="more than 5000 bytes"):
        list(EventDecoder().feed(line * 100))


def test_endless_comments_take_no_memory() -> None:
    decoder = EventDecoder()
    for _ in range(10_000):
        assert list(decoder.feed(b": keep-alive\n\nevent: ping\nid: 7\n\n")) == []
    assert (len(decoder._line), len(decoder._data), decoder._size) == (0, 0, 0)


def test_many_events_below_the_limit_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kimi_wire.answers.stream, "MAX_EVENT_BYTES", 5000)
    assert len(events([b"data: " + b"x" * 1000 + b"\n\n"] * 50)) == 50


def test_every_tool_call_is_found_at_once() -> None:
    """A search through all calls for each piece would look at 450 million here."""
    count = 30_000
    calls = [{"index": index, "id": str(index), "function": {"name": "f", "arguments": ""}} for index in range(count)]
    more = [{"index": index, "function": {"arguments": "{}"}} for index in range(count)]
    data = [{"choices": [{"delta": {"tool_calls": part}, "finish_reason": "tool_calls"}]} for part in (calls, more)]
    item = read_stream([fuzz_wire.write_stream(data)], PLAN)[-1]
    assert isinstance(item, Completion)
    assert [(call.id, call.arguments) for call in item.choice.tool_calls] == [(str(at), "{}") for at in range(count)]


@pytest.mark.parametrize("piece", [" ", "\t", "`"])
def test_a_fence_that_does_not_come_is_not_waited_for(piece: str) -> None:
    fence = FenceFilter()
    pieces = [fence.feed("```" if piece == "`" else ""), *(fence.feed(piece) for _ in range(3000))]
    assert len("".join(pieces)) >= 1000
    assert len(fence._held) <= 1024
    assert strip_fence(" " * 1000 + "```json\n{}\n```") == "{}"


def test_fences_are_found_in_one_pass() -> None:
    """Going back over the line feeds for each would look at 20 billion characters here."""
    text = ("```" + "\n" * 50_000) * 3
    assert list(iter_json_texts(text)) == [text.strip(), ""]
    fenced = 'So:\n```json\n{"a": 1}\n```\nor\n```\n[2]\n``` or\n```python\nx\n```\n```{"b": 3}``` ```json\n{"c"'
    assert list(iter_json_texts(fenced))[1:] == ['{"a": 1}', "[2]"]


def test_halves_of_a_pair_can_be_sent() -> None:
    assert replay_arguments('{"a":"\\ud83d"}') == '{"a":"\\ud83d"}'
    assert replay_arguments('{"a":"\\ud83d\\ude00"}') == '{"a":"\\ud83d\\ude00"}'
    assert replay_arguments('{"a":"ü\ud83d"}') == '{"a":"\\u00fc\\ud83d"}'


# What other hosts send.


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        ({"reasoning_content": "a", "reasoning": "b"}, "a"),
        ({"reasoning_content": None, "reasoning": "b"}, "b"),
        ({"reasoning": ""}, ""),
        ({"reasoning": {"text": "x"}}, None),
        ({"reasoning": None, "reasoning_details": [{"text": "c"}, {"summary": "d"}, {"data": "e"}, 3]}, "cd"),
        ({"reasoning_details": [{"type": "reasoning.encrypted", "data": "e"}]}, None),
        ({"reasoning_details": "text"}, None),
        ({}, None),
    ],
)
def test_reasoning_is_read_wherever_it_is(message: dict[str, Any], reasoning: str | None) -> None:
    assert parse_reasoning(message) == reasoning
    assert all(isinstance(item, dict) for item in parse_details(message))


def test_pieces_of_details_are_put_together() -> None:
    def piece(*details: Any) -> dict[str, Any]:
        return {"choices": [{"delta": {"reasoning_details": list(details)}, "finish_reason": "stop"}]}

    def text(said: str, **more: Any) -> dict[str, Any]:
        return {"type": "reasoning.text", "text": said, "format": "unknown", "index": 0, "signature": None, **more}

    data = [
        piece(text("I "), text("th")),
        piece(text("ink.", signature="s")),
        piece(
            {"type": "reasoning.encrypted", "data": "e1", "index": 1},
            {"type": "reasoning.encrypted", "data": "e2", "index": 1},
        ),
        piece({"type": "reasoning.summary", "summary": "So", "index": 2}),
        piece({"type": "reasoning.summary", "summary": "!", "index": 2}, text("Again.", index=3)),
    ]
    before = json.dumps(data)
    completion = read_stream([fuzz_wire.write_stream(data)], PLAN)[-1]
    assert isinstance(completion, Completion)
    assert completion.choice.reasoning_details == [
        text("I think.", signature="s"),
        {"type": "reasoning.encrypted", "data": "e1", "index": 1},
        {"type": "reasoning.encrypted", "data": "e2", "index": 1},
        {"type": "reasoning.summary", "summary": "So!", "index": 2},
        text("Again.", index=3),
    ]
    assert completion.choice.reasoning == "I think.So!Again."
    assert json.dumps(data) == before


def test_a_missing_call_tells_of_marks_in_the_text() -> None:
    choice = Choice("<|tool_calls_section_begin|><|tool_call_begin|>functions.look:0", finish_reason="stop")
    with pytest.raises(KimiResponseError, match="--tool-call-parser kimi_k2"):
        finish_choice(choice, ToolPlan([], expected=("look",)), None)
    assert explain_markers(Choice("Hello")) is None
    empty, marked = explain_answer(Choice("", "Hm. <|open|>", finish_reason="length"))
    assert empty.startswith("The answer is empty")
    assert "<|open|>" in marked


# Through the client.


@pytest.fixture
def client(kimi: KimiEmulator) -> Iterable[KimiClient]:
    client = KimiClient(api_key="sk-test", base_url=kimi.base_url, max_retries=0)
    yield client
    client.close()


REQUEST = Request({"model": "kimi-k3", "messages": [{"role": "user", "content": "hi"}]}, PLAN)
STREAMED = Request({**REQUEST.body, "stream": True}, PLAN)


@pytest.mark.parametrize("body", ["", "<html>busy</html>", "\x1f\x8b", "{}", "[" * 10_000])
@pytest.mark.parametrize("encoding", [None, "gzip", "deflate", "br"])
def test_a_success_without_an_answer_is_a_typed_error(
    kimi: KimiEmulator, client: KimiClient, body: str, encoding: str | None
) -> None:
    headers = {"Content-Encoding": encoding} if encoding else {}
    kimi.script(Reply(body=body, headers=headers), Reply(events=[body.encode()], headers=headers, done=False))
    with pytest.raises(KimiError):
        client.complete(REQUEST)
    with pytest.raises(KimiError):
        list(client.stream(STREAMED))


def test_hostile_streams_end_in_typed_errors(kimi: KimiEmulator, client: KimiClient) -> None:
    rng = random.Random(7)
    for _ in range(60):
        kimi.script(Reply(events=[fuzz_wire.make_input(rng, (STREAM,))], done=rng.random() < 0.5))
        expected_failure(lambda: list(client.stream(STREAMED)))


def test_the_answer_whose_deltas_are_given_is_the_first() -> None:
    choices = [{"index": index, "delta": {"content": str(index)}, "finish_reason": "stop"} for index in (3, -1, 0)]
    *deltas, item = read_stream([fuzz_wire.write_stream([{"choices": choices}])], PLAN)
    assert isinstance(item, Completion)
    assert [choice.content for choice in item.choices] == ["0", "-1", "3"]
    assert [delta.content for delta in deltas if isinstance(delta, Delta)] == ["0"]


def test_a_stream_of_the_table_is_whole() -> None:
    item = read_stream([STREAM], PLAN)[-1]
    assert isinstance(item, Completion)
    assert len(EVENTS) == 8
    assert item.choice.reasoning == "Denke…Hm."
    assert [call.name for call in item.choice.tool_calls] == ["look", "find"]
    assert issubclass(KimiWarning, UserWarning)
