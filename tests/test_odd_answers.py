"""Answers of hosts that do not keep to the form: nothing lost, nothing invented, in both adapters and all four ways."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ThinkingBlock

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire import KimiWarning
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.errors import KimiError, KimiResponseError
from kimi_wire.requests import Request, ToolPlan
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

WAYS = ("whole", "awhole", "stream", "astream")
# The standard blocks are made of the same deltas: what is read of an answer is read before.
ADAPTERS = ("langchain", pytest.param("langchain v1", marks=pytest.mark.deep), "llama_index")


@dataclass
class Heard:
    """What an adapter made of an answer."""

    text: str
    thinking: str
    calls: list[tuple[str, Any]]
    broken: list[str]
    finish_reason: str | None
    tokens: int | None


async def hear(kimi: KimiEmulator, adapter: str, way: str, **settings: Any) -> Heard:
    return await hear_from(kimi.base_url, adapter, way, **settings)


async def hear_from(
    base_url: str, adapter: str, way: str, call: Mapping[str, Any] | None = None, **settings: Any
) -> Heard:
    settings = {"model": "kimi-k3", "api_key": "sk-test", "base_url": base_url, "max_retries": 0, **settings}
    if adapter == "llama_index":
        return _of_llama_index(await _ask_llama_index(Kimi(**settings), way, **call or {}))
    if adapter == "langchain v1":
        settings["output_version"] = "v1"
    return _of_langchain(await ask_langchain(ChatKimi(**settings), way, **call or {}))


async def ask_langchain(chat: ChatKimi, way: str, **call: Any) -> AIMessage:
    if way == "whole":
        return chat.invoke("hi", **call)
    if way == "awhole":
        return await chat.ainvoke("hi", **call)
    stream = way == "stream"
    chunks = list(chat.stream("hi", **call)) if stream else [chunk async for chunk in chat.astream("hi", **call)]
    total = chunks[0]
    for chunk in chunks[1:]:
        total = total + chunk
    assert isinstance(total, AIMessageChunk)
    return total


async def _ask_llama_index(llm: Kimi, way: str, **call: Any) -> ChatResponse:
    question = [ChatMessage(role="user", content="hi")]
    if way == "whole":
        return llm.chat(question, **call)
    if way == "awhole":
        return await llm.achat(question, **call)
    if way == "stream":
        return list(llm.stream_chat(question, **call))[-1]
    return [chunk async for chunk in await llm.astream_chat(question, **call)][-1]


def _of_langchain(message: AIMessage) -> Heard:
    thinking = [block["reasoning"] for block in message.content_blocks if block["type"] == "reasoning"]
    return Heard(
        str(message.text),
        "".join(thinking),
        [(call["name"], call["args"]) for call in message.tool_calls],
        [call["args"] or "" for call in message.invalid_tool_calls],
        message.response_metadata.get("finish_reason"),
        message.usage_metadata["total_tokens"] if message.usage_metadata else None,
    )


def _of_llama_index(response: ChatResponse) -> Heard:
    calls, broken = [], []
    llm = Kimi(api_key="sk-test")
    for call in llm.get_tool_calls_from_response(response, error_on_no_tool_call=False):
        if "was not run" in call.tool_name:
            broken.append(call.tool_name.partition("JSON object: ")[2].partition("\n")[0])
        else:
            calls.append((call.tool_name, call.tool_kwargs))
    blocks = response.message.blocks
    return Heard(
        response.message.content or "",
        "".join(block.content or "" for block in blocks if isinstance(block, ThinkingBlock)),
        calls,
        broken,
        response.additional_kwargs.get("finish_reason"),
        response.additional_kwargs.get("total_tokens"),
    )


def chunk(delta: Any, finish: Any = None, **more: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def whole(message: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish, **more}]}


def script(kimi: KimiEmulator, way: str, body: Any, events: Sequence[Mapping[str, Any] | str | bytes]) -> None:
    kimi.script(Reply(events=events) if "stream" in way else Reply(body=body))


everywhere = pytest.mark.parametrize("adapter", ADAPTERS)
in_all_ways = pytest.mark.parametrize("way", WAYS)


# --- tool calls ---


def call(name: Any, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"index": 0, "id": "f:0", "type": "function", "function": {"name": name, "arguments": arguments}, **more}


CALLS: dict[str, tuple[list[Any], list[tuple[str, Any]], list[str]]] = {
    # the `tool_calls` of each event, the calls, the broken ones
    "object": ([[call("f", {"path": "/a"})]], [("f", {"path": "/a"})], []),
    "object, after the name": (
        [[call("f", "")], [{"index": 0, "function": {"arguments": {"path": "/ä"}}}]],
        [("f", {"path": "/ä"})],
        [],
    ),
    "empty object": ([[call("f", {})]], [("f", {})], []),
    "empty object, then text": (
        [[call("f", {})], [{"index": 0, "function": {"arguments": '{"a":1}'}}]],
        [("f", {"a": 1})],
        [],
    ),
    "list": ([[call("f", [1])]], [], ["[1]"]),
    "number": ([[call("f", 0)]], [], ["0"]),
    "false": ([[call("f", False)]], [], ["false"]),
    "null among calls": ([[None, call("f", "{}"), {}]], [("f", {})], []),
    "one object": ([call("f", '{"a":1}')], [("f", {"a": 1})], []),
    "name in pieces": (
        [
            [call("get_", "")],
            [{"index": 0, "function": {"name": "weather"}}],
            [{"index": 0, "function": {"arguments": '{"a":1}'}}],
        ],
        [("get_weather", {"a": 1})],
        [],
    ),
    "name in pieces, with the id in each": (
        [[call("get_", None)], [call("weather", None)], [call("", '{"a":1}')]],
        [("get_weather", {"a": 1})],
        [],
    ),
    "name in pieces, without an index": (
        [[call("get_", "", index=None)], [{"function": {"name": "weather"}}], [{"function": {"arguments": '{"a":1}'}}]],
        [("get_weather", {"a": 1})],
        [],
    ),
    "name that grows": ([[call("get_", "")], [call("get_weather", '{"a":1}')]], [("get_weather", {"a": 1})], []),
    "name again and again": ([[call("f", '{"a"')], [call("f", ":1}")]], [("f", {"a": 1})], []),
    "name after the id": (
        [[{"index": 0, "id": "f:0"}], [{"index": 0, "function": {"name": "f", "arguments": '{"a":1}'}}]],
        [("f", {"a": 1})],
        [],
    ),
    "two calls at one index, without ids": (
        [[call("f", '{"a":1}', id=None)], [call("g", '{"b":2}', id=None)]],
        [("f", {"a": 1}), ("g", {"b": 2})],
        [],
    ),
    "second named first": (
        [[call(None, ""), call("g", "{}", index=1, id="g:1")], [{"index": 0, "function": {"name": "f"}}]],
        [("g", {}), ("f", {})],
        [],
    ),
}
IN_ONE_PIECE = {name for name, (pieces, *_) in CALLS.items() if len(pieces) == 1}


@everywhere
@in_all_ways
@pytest.mark.parametrize("name", CALLS)
async def test_calls_are_put_together(kimi: KimiEmulator, adapter: str, way: str, name: str) -> None:
    pieces, calls, broken = CALLS[name]
    if "stream" not in way and name not in IN_ONE_PIECE:
        return  # a whole answer has no pieces
    events = [chunk({"tool_calls": piece}) for piece in pieces]
    script(kimi, way, whole({"content": None, "tool_calls": pieces[0]}), [*events, chunk({}, "stop"), "[DONE]"])
    heard = await hear(kimi, adapter, way)
    assert (heard.calls, heard.broken, heard.finish_reason) == (calls, broken, "tool_calls")


@everywhere
@in_all_ways
@pytest.mark.parametrize(
    "listed",
    [[None], [{}], [{"id": "f:0"}], [{"index": 0, "id": "f:0", "type": "function", "function": {}}], [call("", "{}")],
     [call(None, None)], [call(None, {})], {}, {"id": "f:0"}, "f", [[]], [5], 0],
)  # fmt: skip
async def test_no_call_is_made_up(kimi: KimiEmulator, adapter: str, way: str, listed: Any) -> None:
    message = {"content": "Hello", "tool_calls": listed}
    script(kimi, way, whole(message), [chunk(message), chunk({}, "stop"), "[DONE]"])
    heard = await hear(kimi, adapter, way)
    assert (heard.text, heard.calls, heard.broken, heard.finish_reason) == ("Hello", [], [], "stop")


@everywhere
@in_all_ways
async def test_arguments_without_a_name_are_not_lost(kimi: KimiEmulator, adapter: str, way: str) -> None:
    message = {"content": "", "tool_calls": [call(None, '{"a":1}')]}
    script(kimi, way, whole(message), [chunk(message), chunk({}, "stop"), "[DONE]"])
    assert (await hear(kimi, adapter, way)).calls == [("", {"a": 1})]


# --- answers that are none ---


async def fail(kimi: KimiEmulator, adapter: str, way: str, **settings: Any) -> Any:
    with pytest.raises(KimiError) as caught:
        await hear(kimi, adapter, way, **settings)
    return caught.value


@everywhere
@in_all_ways
@pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
async def test_an_answer_that_was_broken_off_is_an_error(
    kimi: KimiEmulator, adapter: str, way: str, reason: str
) -> None:
    message = {"content": "Half an ans"}
    script(kimi, way, whole(message, reason), [chunk(message), chunk({}, reason), "[DONE]"])
    error = await fail(kimi, adapter, way)
    assert isinstance(error, KimiResponseError)
    assert reason in str(error)
    assert error.partial.content == "Half an ans"


ERROR = {"message": "The engine fell over", "type": "engine_overloaded_error"}


@everywhere
@in_all_ways
@pytest.mark.parametrize("error", [ERROR, {"code": 502, "message": ERROR["message"]}, ERROR["message"]])
@pytest.mark.parametrize("place", ["choice", "top"])
async def test_an_error_beside_an_answer_is_raised(
    kimi: KimiEmulator, adapter: str, way: str, error: Any, place: str
) -> None:
    choice, top = ({"error": error}, {}) if place == "choice" else ({}, {"error": error})
    body = whole({"content": "Half an ans"}, "stop", **choice) | top
    events: list[Any] = [chunk({"content": "Half"}), chunk({"content": " an ans"}, "stop", **choice) | top, "[DONE]"]
    script(kimi, way, body, events)
    raised = await fail(kimi, adapter, way)
    assert "The engine fell over" in str(raised)
    assert raised.partial.content == "Half an ans"


@everywhere
@in_all_ways
@pytest.mark.parametrize("nothing", [None, {}, "", False])
async def test_an_error_that_is_none_is_none(kimi: KimiEmulator, adapter: str, way: str, nothing: Any) -> None:
    body = whole({"content": "Hello"}, error=nothing) | {"error": nothing}
    script(kimi, way, body, [chunk({"content": "Hello"}, "stop", error=nothing) | {"error": nothing}, "[DONE]"])
    assert (await hear(kimi, adapter, way)).text == "Hello"


IN_STREAMS = pytest.mark.parametrize("way", ["stream", "astream"])


@everywhere
@IN_STREAMS
@pytest.mark.parametrize("end", [b"\n\n", b""])
@pytest.mark.parametrize(
    "data",
    [b'{"error":{"message":"The engine fell over"}}', b'{"message":"The engine fell over","code":502}',
     b"The engine fell over", b'"The engine fell over"'],
)  # fmt: skip
async def test_an_error_event_is_raised(kimi: KimiEmulator, adapter: str, way: str, data: bytes, end: bytes) -> None:
    event = b"event: error\ndata: " + data + end
    kimi.script(Reply(events=[chunk({"content": "Half"}), event], done=False))
    raised = await fail(kimi, adapter, way)
    assert "The engine fell over" in str(raised)
    assert raised.partial.content == "Half"


@everywhere
@IN_STREAMS
async def test_an_event_with_another_name_is_read(kimi: KimiEmulator, adapter: str, way: str) -> None:
    names = (b"event: message\n", b"event:error \n\nevent: completion\n")
    events = [name + b"data: " + json.dumps(chunk({"content": "x"})).encode() + b"\n\n" for name in names]
    kimi.script(Reply(events=[*events, chunk({}, "stop"), "[DONE]"]))
    assert (await hear(kimi, adapter, way)).text == "xx"


@everywhere
@IN_STREAMS
@pytest.mark.parametrize(
    "body",
    [b'{"error":{"message":"No more of this","type":"x"}}', b'{"error":"No more of this"}\n',
     b"<html>\r\n<head><title>No more of this</title>" + b"<p>x</p>\n" * 9000, b"No more of this",
     b'{\n  "detail": "No more of this"\n}\n'],
)  # fmt: skip
async def test_what_is_no_stream_says_what_it_is_and_is_not_asked_for_again(
    kimi: KimiEmulator, adapter: str, way: str, body: bytes
) -> None:
    kimi.script(*[Reply(events=[body], done=False)] * 4)
    raised = await fail(kimi, adapter, way, resume_streams=3)
    assert "not a stream: 'No more of this" in str(raised)
    assert len(kimi.requests) == 1


@everywhere
@in_all_ways
async def test_a_request_that_is_repeated_keeps_its_key_to_itself(kimi: KimiEmulator, adapter: str, way: str) -> None:
    echo = b"echo: POST /v1 Authorization: Bearer gateway-secret-1 X-Key: sk-test-secret-2\n"
    kimi.script(Reply(events=[echo], done=False) if "stream" in way else Failure(200, body=echo.decode()))
    raised = await fail(kimi, adapter, way)
    assert "Bearer ***" in str(raised)
    assert "secret" not in f"{raised!s} {raised!r} {raised.__cause__!r}"


# --- several answers ---


def one_of(index: Any, finish: Any = None, error: Any = None, **fields: Any) -> dict[str, Any]:
    return {"index": index, "delta": fields, "message": fields, "finish_reason": finish, "error": error}


def several(*choices: Any) -> dict[str, Any]:
    return {"id": "c", "choices": list(choices)}


@everywhere
@in_all_ways
@pytest.mark.parametrize("indices", [(0, 1), (1, 0), (2, 1), (None, None)])
async def test_answers_are_told_apart(kimi: KimiEmulator, adapter: str, way: str, indices: tuple[Any, Any]) -> None:
    first, second = ("one", "two") if None in indices or indices[0] < indices[1] else ("two", "one")
    at = indices
    script(
        kimi,
        way,
        several(one_of(at[0], "stop", content="one one"), one_of(at[1], "stop", content="two two")),
        [
            several(one_of(at[0], content="one "), one_of(at[1], content="two ")),
            several(one_of(at[0], content="one"), one_of(at[1], content="two")),
            several(one_of(at[0], "stop"), one_of(at[1], "stop")),
            "[DONE]",
        ],
    )
    said = contextlib.nullcontext()
    if "stream" in way or adapter == "llama_index":
        said = pytest.warns(KimiWarning, match="sent 2 answers")
    with said:
        heard = await hear(kimi, adapter, way, model="moonshot-v1-8k", extra_body={"n": 2})
    assert heard.text == f"{first} {first}" != second


@everywhere
@IN_STREAMS
async def test_one_of_several_answers_is_not_continued(kimi: KimiEmulator, adapter: str, way: str) -> None:
    """The continuation would be of the first one, and the others would be gone."""
    kimi.script(Reply(events=[several(one_of(0, content="one"), one_of(1, content="two"))], done=False))
    error = await fail(kimi, adapter, way, model="moonshot-v1-8k", extra_body={"n": 2}, resume_streams=2)
    assert (error.partial.content, len(kimi.requests)) == ("one", 1)


@in_all_ways
async def test_all_answers_come_in_order(kimi: KimiEmulator, way: str) -> None:
    call_of = {index: call(f"f{index}", {"n": index}) for index in range(3)}
    choices = [one_of(index, "stop", tool_calls=[call_of[index]], content=f"#{index}") for index in (2, 0, 1)]
    script(kimi, way, several(*choices), [*(several(choice) for choice in choices), "[DONE]"])
    client = KimiClient(api_key="sk-test", base_url=kimi.base_url)
    asked = Request({"model": "kimi-k3", "messages": [{"role": "user", "content": "hi"}]}, ToolPlan([]))
    streamed = Request({**asked.body, "stream": True}, ToolPlan([]))
    if way == "whole":
        answer: Any = client.complete(asked)
    elif way == "awhole":
        answer = await client.acomplete(asked)
    elif way == "stream":
        answer = list(client.stream(streamed))[-1]
    else:
        answer = [item async for item in client.astream(streamed)][-1]
    assert [choice.content for choice in answer.choices] == ["#0", "#1", "#2"]
    assert [choice.tool_calls[0].name for choice in answer.choices] == ["f0", "f1", "f2"]


@everywhere
@IN_STREAMS
async def test_done_is_the_end_of_each_answer(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply(events=[several(one_of(0, content="a"), one_of(1, "stop", content="b")), "[DONE]"]))
    with pytest.warns(KimiWarning, match="sent 2 answers"):
        assert (await hear(kimi, adapter, way)).text == "a"


@everywhere
@IN_STREAMS
@pytest.mark.parametrize("end", [["[DONE]"], [chunk({}, None), "[DONE]"], [several(), "[DONE]"]])
async def test_done_is_an_end_without_a_finish_reason(kimi: KimiEmulator, adapter: str, way: str, end: Any) -> None:
    message = {"content": "Hi", "tool_calls": [call("f", '{"a":1}'), call("f", '{"a": 1, oops', index=1, id="f:1")]}
    kimi.script(Reply(events=[chunk(message), *end]))
    heard = await hear(kimi, adapter, way)
    assert (heard.text, heard.calls, len(heard.broken), heard.finish_reason) == ("Hi", [("f", {"a": 1})], 1, None)


@everywhere
@in_all_ways
async def test_the_emulator_can_leave_the_finish_reason_out(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply("Hello there", says_finish_reason=False))
    heard = await hear(kimi, adapter, way)
    assert (heard.text, heard.finish_reason) == ("Hello there", None)


@everywhere
@IN_STREAMS
async def test_a_finish_reason_without_done_is_no_end(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply("Hello", done=False))
    assert "without [DONE]" in str(await fail(kimi, adapter, way))


@everywhere
@IN_STREAMS
async def test_done_without_an_answer_is_no_end(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply(events=[several(), "[DONE]"]))
    assert "without an answer" in str(await fail(kimi, adapter, way))


# --- text and counts in other forms ---


@everywhere
@in_all_ways
@pytest.mark.parametrize(
    "content",
    ["Hello", [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}], ["Hel", {"text": "lo"}],
     {"type": "text", "text": "Hello"}, [None, {"type": "text", "text": "Hello"}, 5, {"type": "text", "text": None}]],
)  # fmt: skip
@pytest.mark.parametrize("name", ["message", "delta", "text"])
async def test_text_in_other_places_and_forms(
    kimi: KimiEmulator, adapter: str, way: str, content: Any, name: str
) -> None:
    told = {"text": "Hello"} if name == "text" else {name: {"role": "assistant", "content": content}}
    choice = {"index": 0, "finish_reason": None, **told}
    script(kimi, way, several({**choice, "finish_reason": "stop"}), [several(choice), chunk({}, "stop"), "[DONE]"])
    assert (await hear(kimi, adapter, way)).text == "Hello"


@everywhere
@IN_STREAMS
async def test_a_message_beside_the_deltas_is_not_doubled(kimi: KimiEmulator, adapter: str, way: str) -> None:
    message = {"message": {"content": "Hello"}, "text": "Hello"}
    kimi.script(Reply(events=[chunk({"content": "Hello"}, **message), chunk({}, "stop", **message), "[DONE]"]))
    assert (await hear(kimi, adapter, way)).text == "Hello"


@everywhere
@in_all_ways
@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": 3.0, "completion_tokens": 4.0, "total_tokens": 7.0},
     {"prompt_tokens": "3", "completion_tokens": "4", "total_tokens": "7"}, {"total_tokens": 7}, {"x": 1}, [], "7",
     {"prompt_tokens": True, "completion_tokens": False, "total_tokens": True}],
)  # fmt: skip
async def test_counts_that_are_none_are_not_zero(kimi: KimiEmulator, adapter: str, way: str, usage: Any) -> None:
    more = {"usage": usage}
    body = whole({"content": "Hello"}) | more
    script(kimi, way, body, [chunk({"content": "Hello"}), chunk({}, "stop") | more, "[DONE]"])
    heard = await hear(kimi, adapter, way)
    assert (heard.text, heard.tokens) == ("Hello", None)


@everywhere
@in_all_ways
@pytest.mark.parametrize("half", ["\ud83d", "\ude00\ud83d"])
async def test_half_a_pair_is_one_replacement_character(kimi: KimiEmulator, adapter: str, way: str, half: str) -> None:
    message = {"content": f"a{half}b \\ud83d 😀", "reasoning_content": half}
    text = json.dumps(whole(message))
    script(kimi, way, text, [json.dumps(chunk(message)), chunk({}, "stop"), "[DONE]"])
    heard = await hear(kimi, adapter, way)
    replaced = "\ufffd" * len(half)
    assert (heard.text, heard.thinking) == (f"a{replaced}b \\ud83d 😀", replaced)


# --- streams that are resumed ---

COUNTS = {"prompt_tokens": 60, "completion_tokens": 40, "total_tokens": 100}


@everywhere
@IN_STREAMS
async def test_counts_of_what_broke_off_are_in_the_sum(kimi: KimiEmulator, adapter: str, way: str) -> None:
    more = {"prompt_tokens": 70, "completion_tokens": 40, "total_tokens": 110}
    kimi.script(
        Reply(events=[chunk({"content": "One, "}) | {"usage": COUNTS}], done=False),
        Reply(events=[chunk({"content": "two."}), chunk({}, "stop") | {"usage": more}, "[DONE]"]),
    )
    heard = await hear(kimi, adapter, way, model="kimi-k2.5", thinking=False, resume_streams=1)
    assert (heard.text, heard.tokens) == ("One, two.", 210)


@everywhere
@IN_STREAMS
async def test_an_answer_is_not_continued_past_its_end(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply(events=[chunk({"content": "One."}), chunk({}, "stop")], done=False))
    error = await fail(kimi, adapter, way, model="kimi-k2.5", thinking=False, resume_streams=3)
    assert (error.partial.content, len(kimi.requests)) == ("One.", 1)


@everywhere
@IN_STREAMS
async def test_an_error_in_the_continuation_has_both_parts(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(
        Reply(events=[chunk({"content": "One, "})], done=False),
        Reply(events=[chunk({"content": "two"}), {"error": ERROR}], done=False),
    )
    error = await fail(kimi, adapter, way, model="kimi-k2.5", thinking=False, resume_streams=1)
    assert error.partial.content == "One, two"


SAID = "The quick brown fox jumps"


@everywhere
@IN_STREAMS
@pytest.mark.parametrize(
    "pieces", [["fox jumps over it."], ["fo", "x jum", "ps", " over it."], list("fox jumps over it.")]
)
async def test_what_a_continuation_repeats_is_not_doubled(
    kimi: KimiEmulator, adapter: str, way: str, pieces: list[str]
) -> None:
    kimi.script(
        Reply(
            events=[chunk({"reasoning_content": "Think of a fox."}), chunk({"content": SAID + " and the"})], done=False
        ),
        Reply(
            events=[
                chunk({"reasoning_content": "Think of "}),
                chunk({"reasoning_content": "a fox. More."}),
                *(chunk({"content": piece}) for piece in ["jumps and the ", *pieces]),
                chunk({}, "stop"),
                "[DONE]",
            ]
        ),
    )
    heard = await hear(kimi, adapter, way, model="kimi-k2.5", resume_streams=1)
    assert (heard.text, heard.thinking) == (SAID + " and the fox jumps over it.", "Think of a fox. More.")


@everywhere
@in_all_ways
async def test_what_is_repeated_is_not_sent_on_either(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(
        Reply(SAID, finish_reason="length"),
        Reply("brown fox jumps over", finish_reason="length"),
        Reply("fox jumps over it.", finish_reason="stop"),
    )
    heard = await hear(kimi, adapter, way, model="kimi-k2.5", thinking=False, continue_on_length=3)
    assert heard.text == SAID + " over it."
    assert [request.body["messages"][-1]["content"] for request in kimi.requests[1:]] == [SAID, SAID + " over"]


@everywhere
@IN_STREAMS
async def test_what_is_held_back_is_part_of_what_came(kimi: KimiEmulator, adapter: str, way: str) -> None:
    """The stream breaks again while it may still be a repetition."""
    kimi.script(
        Reply(events=[chunk({"content": SAID})], done=False),
        Reply(events=[chunk({"content": "quick brow"})], done=False),
        Reply(events=[chunk({"content": "n."}), chunk({}, "stop"), "[DONE]"]),
    )
    heard = await hear(kimi, adapter, way, model="kimi-k2.5", thinking=False, resume_streams=2)
    assert heard.text == SAID + "quick brown."


# --- streams that break before the text ---


@everywhere
@IN_STREAMS
@pytest.mark.parametrize("cut", [0, 1, 2, 4, 6])
async def test_a_stream_that_breaks_while_the_model_thinks_is_begun_anew(
    kimi: KimiEmulator, adapter: str, way: str, cut: int
) -> None:
    kimi.script(
        Reply("Never said.", reasoning="One two three four five six.", cut_after=cut),
        Reply("", reasoning="Seven eight nine", cut_after=4),
        Reply("Hello", reasoning="Eight nine ten."),
    )
    heard = await hear(kimi, adapter, way, resume_streams=2)
    assert (heard.text, heard.thinking) == ("Hello", "Eight nine ten.")
    first, second, third = (request.body for request in kimi.requests)
    assert first == second == third


@everywhere
@IN_STREAMS
async def test_what_was_thought_in_vain_is_counted(kimi: KimiEmulator, adapter: str, way: str) -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    thinking = chunk({"reasoning_content": "Hm"}) | {"usage": usage}
    kimi.script(
        Reply(events=[thinking], done=False),
        Reply(
            events=[chunk({"reasoning_content": "Ah"}), chunk({"content": "Hi"}, "stop") | {"usage": usage}, "[DONE]"]
        ),
    )
    heard = await hear(kimi, adapter, way, resume_streams=1)
    assert (heard.text, heard.thinking, heard.tokens) == ("Hi", "Ah", 220)


@everywhere
@IN_STREAMS
@pytest.mark.parametrize("asked", [{"response_format": {"type": "json_object"}}, {"prefix": "{"}])
async def test_whatever_is_asked_it_is_begun_anew_before_the_text(
    kimi: KimiEmulator, adapter: str, way: str, asked: Any
) -> None:
    """Partial Mode does not go together with a format; the same request does."""
    prefix = asked.get("prefix", "")
    kimi.script(Reply(reasoning="One two.", cut_after=4), Reply('{"a": 1}'.removeprefix(prefix), reasoning="Three."))
    heard = await hear(kimi, adapter, way, model="kimi-k2.6", resume_streams=1, call=asked)
    assert (heard.text, heard.thinking) == ('{"a": 1}', "Three.")


@everywhere
@IN_STREAMS
async def test_a_continuation_that_breaks_in_its_thinking_is_asked_again(
    kimi: KimiEmulator, adapter: str, way: str
) -> None:
    kimi.script(
        Reply(events=[chunk({"reasoning_content": "Think."}), chunk({"content": "One, "})], done=False),
        Reply(events=[chunk({"reasoning_content": "In vain."})], done=False),
        Reply(events=[chunk({"reasoning_content": " More."}), chunk({"content": "two."}), chunk({}, "stop"), "[DONE]"]),
    )
    heard = await hear(kimi, adapter, way, model="kimi-k2.5", resume_streams=2)
    assert (heard.text, heard.thinking) == ("One, two.", "Think. More.")


@everywhere
@IN_STREAMS
async def test_what_was_thought_last_is_given_and_in_the_error(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply(reasoning="One two.", cut_after=4), Reply(reasoning="Three four.", cut_after=4))
    error = await fail(kimi, adapter, way, resume_streams=1)
    assert error.partial.reasoning == "Three four."
    kimi.script(Reply(reasoning="One two.", cut_after=4), Failure(500))
    error = await fail(kimi, adapter, way, resume_streams=1)
    assert (error.partial.reasoning, error.status_code) == ("One two.", 500)


@everywhere
@IN_STREAMS
async def test_without_resuming_thinking_comes_as_it_is_thought(kimi: KimiEmulator, adapter: str, way: str) -> None:
    """And with it, the last attempt's does."""
    for settings in ({}, {"resume_streams": 1}):
        kimi.script(*[Reply("Hi", reasoning="One two.", cut_after=0)] * len(settings))
        kimi.script(Reply("Hi", reasoning="One two three.", cut_after=4))
        given: list[Any] = []
        with pytest.raises(KimiError):
            await _collect(kimi, adapter, way, given, **settings)
        assert len(given) >= 2


async def _collect(kimi: KimiEmulator, adapter: str, way: str, given: list[Any], **settings: Any) -> None:
    settings = {"api_key": "sk-test", "base_url": kimi.base_url, "max_retries": 0, **settings}
    if adapter == "llama_index":
        llm, question = Kimi(**settings), [ChatMessage(role="user", content="hi")]
        pieces: Any = llm.stream_chat(question) if way == "stream" else await llm.astream_chat(question)
    else:
        chat = ChatKimi(**settings)
        pieces = chat.stream("hi") if way == "stream" else chat.astream("hi")
    if way == "stream":
        given.extend(pieces)
    else:
        async for piece in pieces:
            given.append(piece)  # noqa: PERF401 - what came before the error counts
