"""Streamed answers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_wire.answers.calls import ToolCall, ToolCallDelta
from kimi_wire.answers.response import Choice, Completion, Usage
from kimi_wire.answers.stream import Delta, EventDecoder, StreamState
from kimi_wire.errors import KimiResponseError, KimiStreamError, KimiToolChoiceError, StreamedError
from kimi_wire.profiles import profile_for
from kimi_wire.requests.tools import ToolChoice, ToolPlan, plan_tools
from tests.wire.recordings import needs_recordings, read_lines

PLAN = ToolPlan([])
DONE = b"data: [DONE]\n\n"


def sse(*events: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def delta(_finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": _finish}]}


def call(arguments: str = "", **fields: Any) -> dict[str, Any]:
    name = fields.pop("name", None)
    return {**fields, "function": {"arguments": arguments, **({"name": name} if name is not None else {})}}


def run(data: bytes, plan: ToolPlan = PLAN, step: int = 10_000) -> tuple[list[Delta], Completion]:
    state = StreamState({"msh-request-id": "r"}, plan)
    deltas: list[Any] = []
    for start in range(0, len(data), step):
        deltas.extend(state.feed(data[start : start + step]))
    *late, completion = state.finish()
    assert isinstance(completion, Completion)
    return [*deltas, *late], completion


def add_up(deltas: list[Delta]) -> Choice:
    """Sum deltas as a framework would."""
    total, calls = Choice(), {}
    for piece in deltas:
        total.content += piece.content
        if piece.reasoning is not None:
            total.reasoning = (total.reasoning or "") + piece.reasoning
        for part in piece.tool_calls:
            known = calls.setdefault(part.index, ToolCall(part.id or "", "", ""))
            known.name += part.name or ""
            known.arguments += part.arguments
            known.type = part.type
    total.tool_calls = [calls[index] for index in sorted(calls)]
    return total


@needs_recordings
@pytest.mark.parametrize(
    ("name", "calls", "usage"),
    [
        ("moonshot_test.k3_reasoning_2026-09-04", [], Usage(103, 44, 147, reasoning_tokens=28)),
        (
            "moonshot_test.tool_call",
            [ToolCall("get_weather_0", "get_weather", '{"city": "Berlin"}')],
            Usage(138, 36, 174),
        ),
        (
            "chat_completions_test.parallel_tool_calls",
            [
                ToolCall("get_weather_0", "get_weather", '{"city": "Berlin"}'),
                ToolCall("get_population_1", "get_population", '{"city": "Berlin"}'),
            ],
            Usage(138, 36, 174),
        ),
        (
            "chat_completions_test.dual_usage",
            [ToolCall("todo_read_0", "todo_read", "{}")],
            Usage(4253, 20, 4273, 4096, None, 1),
        ),
    ],
)
def test_recorded_streams(name: str, calls: list[ToolCall], usage: Usage) -> None:
    data = b"".join(b"data: " + line + b"\n\n" for line in read_lines(f"kimi-streams/{name}.jsonl")) + DONE
    deltas, completion = run(data)
    assert completion.choice.tool_calls == calls
    assert completion.usage == usage, "usage stands in the stream twice and counts once"
    total = add_up(deltas)
    assert (total.content, total.reasoning) == (completion.choice.content, completion.choice.reasoning)
    assert total.tool_calls == calls
    if name.startswith("moonshot_test.k3"):
        assert completion.choice.reasoning == "17*23 = 391. 391 < 400. So 400 is bigger."
        assert completion.choice.content == "400"


TEXT = sse(
    delta(role="assistant", content=""),
    delta(reasoning_content=""),
    delta(reasoning_content="weil «月» \U0001f319"),
    delta(content="Grüße, "),
    delta(content="\U0001f30d!\r\n"),
    delta("stop"),
) + DONE  # fmt: skip


@given(st.lists(st.integers(0, len(TEXT)), max_size=30), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_chunk_boundaries_change_nothing(cuts: list[int], line_end: bytes) -> None:
    data = TEXT.replace(b"\n", line_end)
    state = StreamState({}, PLAN)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    deltas = [piece for start, end in pairwise(edges) for piece in state.feed(data[start:end])]
    (completion,) = state.finish()
    assert isinstance(completion, Completion)
    assert completion.choice == Choice("Grüße, \U0001f30d!\r\n", "weil «月» \U0001f319", [], "stop")
    assert add_up(deltas).content == completion.choice.content


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_give_deltas_or_a_typed_error(chunks: list[bytes]) -> None:
    state = StreamState({}, PLAN)
    try:
        for chunk in chunks:
            for piece in state.feed(b"data: " + chunk + b"\n\n"):
                assert isinstance(piece, Delta)
        list(state.finish())
    except (KimiResponseError, StreamedError):
        return
    raise AssertionError("a stream without [DONE] ended quietly")


def test_events_as_the_specification_has_them() -> None:
    decoder = EventDecoder()
    feed = b": keep-alive\n\nevent: x\nid: 1\nretry: 5\ndata: a\ndata:b\n\n\n\ndata\ndata: c\n\n"
    assert list(decoder.feed(feed)) == [b"a\nb", b"c"]
    assert list(decoder.feed(b"data: d\r")) == []
    assert list(decoder.feed(b"\ndata: e\r\n\r\n")) == [b"d\ne"]
    assert list(decoder.feed(b"data: last")) == []
    assert list(decoder.flush()) == [b"last"]


def test_a_stream_may_end_without_a_blank_line() -> None:
    _, completion = run(sse(delta("stop", content="x")) + b"data: [DONE]")
    assert completion.choice.content == "x"


def test_nothing_after_done_counts() -> None:
    deltas, completion = run(sse(delta("stop", content="x")) + DONE + sse(delta(content="y")))
    assert add_up(deltas).content == completion.choice.content == "x"


@pytest.mark.parametrize(
    "events",
    [
        [],
        [delta(content="half an ans")],
        [delta(reasoning_content="hm")],
        [delta("stop", content="whole, but not said to be")],
        [delta(tool_calls=[call(index=0, id="a", name="f", arguments='{"x"')])],
    ],
)
def test_a_stream_that_breaks_off_is_an_error(events: list[Any]) -> None:
    state = StreamState({"msh-request-id": "r-1"}, PLAN)
    list(state.feed(sse(*events)))
    with pytest.raises(KimiStreamError, match=r"without \[DONE\].*r-1") as caught:
        list(state.finish())
    assert caught.value.partial == state.partial()


def test_done_without_a_finish_reason_is_an_end() -> None:
    state = StreamState({}, PLAN)
    list(state.feed(sse(delta(content="all")) + DONE))
    (completion,) = state.finish()
    assert isinstance(completion, Completion)
    assert (completion.choice.content, completion.choice.finish_reason) == ("all", None)


def test_done_without_an_answer_is_an_error() -> None:
    state = StreamState({}, PLAN)
    list(state.feed(sse({"id": "c", "choices": [], "usage": {}}) + DONE))
    with pytest.raises(KimiStreamError, match="without an answer"):
        list(state.finish())


def test_errors_inside_a_stream() -> None:
    state = StreamState({}, PLAN)
    error = {"message": "The engine is currently overloaded", "type": "engine_overloaded_error"}
    with pytest.raises(StreamedError) as caught:
        list(state.feed(sse(delta(content="x"), {"error": error})))
    assert caught.value.error == error
    for broken in (b"data: {oops\n\n", b"data: [1]\n\n", b"data: \xff\xfe\n\n"):
        with pytest.raises(KimiStreamError, match="no JSON object"):
            list(StreamState({}, PLAN).feed(broken))


def test_odd_events_do_no_harm() -> None:
    deltas, completion = run(
        sse(
            {"choices": []},
            {"choices": None},
            {"choices": [None]},
            {"choices": [{"delta": None}]},
            {"choices": [{}]},
            delta(content=None, tool_calls=None, reasoning_content=None),
            delta(content=["not text"]),
            delta(tool_calls={"not": "a list"}),
            delta(tool_calls=[{"index": 0, "id": "a", "function": None}]),
            delta(tool_calls=[{"index": 0, "function": {"name": "late", "arguments": None}}]),
            delta("stop"),
        )
        + DONE
    )
    assert completion.choice.tool_calls == [ToolCall("a", "late", "{}")]
    assert completion.choice.finish_reason == "tool_calls"
    assert [piece.tool_calls[0].name for piece in deltas if piece.tool_calls] == ["late"], "held until named"


@pytest.mark.parametrize(
    ("name", "events", "expected"),
    [
        (
            "index",
            [
                [
                    call(index=0, id="a:0", type="function", name="a"),
                    call(index=1, id="b:1", type="function", name="b"),
                ],
                [call(index=1, arguments='{"y"'), call(index=0, arguments='{"x"')],
                [call(index=0, arguments=": 1}"), call(index=1, arguments=": 2}")],
            ],
            [ToolCall("a:0", "a", '{"x": 1}'), ToolCall("b:1", "b", '{"y": 2}')],
        ),
        (
            "no index",
            [
                [call(id="a:0", name="a", arguments="{")],
                [call(arguments="}")],
                [call(id="b:1", name="b", arguments="{}")],
            ],
            [ToolCall("a:0", "a", "{}"), ToolCall("b:1", "b", "{}")],
        ),
        (
            "no index, whole calls in one event",
            [[call(id="a:0", name="a", arguments="{}"), call(id="a:1", name="a", arguments='{"x":1}')]],
            [ToolCall("a:0", "a", "{}"), ToolCall("a:1", "a", '{"x":1}')],
        ),
        (
            "null index",
            [[call(index=None, id="a:0", name="a", arguments="{")], [call(index=None, arguments="}")]],
            [ToolCall("a:0", "a", "{}")],
        ),
        (
            "one index for two calls",
            [
                [call(index=0, id="a:0", name="a", arguments='{"x":1}')],
                [call(index=0, id="b:0", name="b", arguments='{"y"')],
                [call(index=0, arguments=":2}")],
            ],
            [ToolCall("a:0", "a", '{"x":1}'), ToolCall("b:0", "b", '{"y":2}')],
        ),
        (
            "id and name in every piece",
            [
                [call(index=0, id="a:0", name="a", arguments='{"x"')],
                [call(index=0, id="a:0", name="a", arguments=":1}")],
            ],
            [ToolCall("a:0", "a", '{"x":1}')],
        ),
        (
            "same id in every piece, no index",
            [[call(id="a:0", name="a", arguments='{"x"')], [call(id="a:0", arguments=":1}")]],
            [ToolCall("a:0", "a", '{"x":1}')],
        ),
        ("no arguments", [[call(index=0, id="a:0", name="a")]], [ToolCall("a:0", "a", "{}")]),
        (
            "builtin",
            [[call(index=0, id="t-1", type="builtin_function", name="$web_search", arguments="{}")]],
            [ToolCall("t-1", "$web_search", "{}", "builtin_function")],
        ),
        (
            "cut inside an escape",
            [[call(index=0, id="a:0", name="a", arguments='{"x":"\\')], [call(index=0, arguments='u6708"}')]],
            [ToolCall("a:0", "a", '{"x":"\\u6708"}')],
        ),
    ],
)
def test_tool_calls_in_every_form(name: str, events: list[Any], expected: list[ToolCall]) -> None:
    data = sse(*(delta(tool_calls=event) for event in events), delta("tool_calls")) + DONE
    deltas, completion = run(data)
    assert completion.choice.tool_calls == expected
    summed = add_up(deltas).tool_calls
    for one in summed:
        one.arguments = one.arguments or "{}"
    assert summed == expected


def test_a_call_without_an_id_gets_one() -> None:
    _, completion = run(sse(delta(tool_calls=[call(index=0, id="", name="a")]), delta("tool_calls")) + DONE)
    assert completion.choice.tool_calls[0].id.startswith("call_")


USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
IN_CHOICE = {"choices": [{"delta": {}, "finish_reason": "stop", "usage": USAGE}]}
AT_TOP = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": USAGE}
TRAILING = {"choices": [], "usage": USAGE}


@pytest.mark.parametrize(
    "events", [[IN_CHOICE], [AT_TOP], [delta("stop"), TRAILING], [IN_CHOICE, TRAILING], [AT_TOP, TRAILING]]
)
def test_usage_wherever_it_stands(events: list[Any]) -> None:
    assert run(sse(delta(content="x"), *events) + DONE)[1].usage == Usage(5, 2, 7)


def test_a_null_usage_is_none() -> None:
    events = [{**delta(content="x"), "usage": None}, delta("stop")]
    assert run(sse(*events) + DONE)[1].usage is None


def test_log_probabilities_add_up() -> None:
    pieces = [{"token": "a", "logprob": -0.1}, {"token": "b", "logprob": -0.2}]
    events = [delta(content=piece["token"]) for piece in pieces]
    for event, piece in zip(events, pieces, strict=True):
        event["choices"][0]["logprobs"] = {"content": [piece]}
    deltas, completion = run(sse(*events, delta("stop")) + DONE)
    assert [piece.logprobs for piece in deltas] == [{"content": [piece]} for piece in pieces]
    assert completion.choice.logprobs == {"content": pieces}


def test_text_that_is_no_text_does_no_harm() -> None:
    odd = {"id": 5, "model": [], "choices": [{"delta": {"content": 5}, "finish_reason": 3}]}
    call_ = {"index": "x", "id": 7, "type": 8, "function": {"name": 9, "arguments": 10}}
    completion = run(sse(odd, delta(tool_calls=[call_]), delta("tool_calls")) + DONE)[1]
    (made,) = completion.choice.tool_calls
    assert (made.name, made.arguments, made.type) == ("", "10", "function")
    assert (completion.id, completion.choice.content) == ("c", "")


def test_metadata_of_a_stream() -> None:
    events = [{**delta("stop", content="x"), "created": 7, "system_fingerprint": "fpv0_1"}]
    completion = run(sse(*events) + DONE)[1]
    found = (completion.id, completion.model, completion.created, completion.system_fingerprint, completion.request_id)
    assert found == ("c", "m", 7, "fpv0_1", "r")


ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CONSTRAINED = plan_tools([ADD], ToolChoice("required", "add"), profile_for("kimi-k2.7-code"), thinking_asked=False)


def test_a_constrained_call_comes_at_the_end() -> None:
    events = [delta(reasoning_content="r"), delta(content='{"a"'), delta(content=":1}"), delta("stop")]
    deltas, completion = run(sse(*events) + DONE, CONSTRAINED)
    (made,) = completion.choice.tool_calls
    assert deltas == [Delta(reasoning="r"), Delta(tool_calls=(ToolCallDelta(0, made.id, "add", '{"a":1}'),))]
    assert (completion.choice.content, completion.choice.finish_reason) == ("", "tool_calls")


def test_a_native_call_under_a_constrained_choice_is_taken() -> None:
    events = [
        delta(content="Well: "),
        delta(tool_calls=[call(index=0, id="add:0", name="add", arguments="{}")]),
        delta("tool_calls"),
    ]
    deltas, completion = run(sse(*events) + DONE, CONSTRAINED)
    assert completion.choice.tool_calls == add_up(deltas).tool_calls == [ToolCall("add:0", "add", "{}")]
    assert completion.choice.content == add_up(deltas).content == "Well: "


@pytest.mark.says("docs/errors.md", "a tool call was forced, and none came")
def test_a_forced_call_that_does_not_come_is_an_error() -> None:
    state = StreamState({}, CONSTRAINED)
    list(state.feed(sse(delta("stop", content="No.")) + DONE))
    with pytest.raises(KimiToolChoiceError, match=r"answered in text: 'No\.'"):
        list(state.finish())
