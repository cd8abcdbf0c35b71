"""Answers have the keys of recorded traffic, in its order."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_emulator.shapes import encode

PARALLEL = Reply(
    reasoning="",
    tool_calls=[ToolCall("get_weather", {"city": "Berlin"}), ToolCall("get_population", {"city": "Berlin"})],
)


def keys(value: Any) -> Any:
    """Return a value's keys, nested and in order; of a list, those of its first item."""
    if isinstance(value, dict):
        return [(key, keys(item)) for key, item in value.items()]
    return [keys(value[0])] if isinstance(value, list) and value else None


def recorded(folder: Path, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / "kimi-k3-chat" / f"{name}.body.wire.json").read_text())
    return value


def as_reply(body: dict[str, Any], **fields: Any) -> Reply:
    choice = body["choices"][0]
    message = choice["message"]
    calls = [
        ToolCall(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls", ())
    ]
    return Reply(
        message["content"],
        message.get("reasoning_content"),
        calls,
        choice["finish_reason"],
        usage=body["usage"],
        **fields,
    )


WIRE = ["basic", "context_append_1", "multi_tool", "reasoning_basic", "tool_round_trip_1", "tool_round_trip_2", "usage"]


@pytest.mark.parametrize("name", WIRE)
def test_body_is_byte_for_byte_as_recorded(
    name: str, recordings: Path, kimi: KimiEmulator, ask: Callable[..., Any]
) -> None:
    path = recordings / "kimi-k3-chat" / f"{name}.body.wire.json"
    body = json.loads(path.read_text())
    kimi.script(as_reply(body))
    raw = ask("Hello").raw.decode()
    answer = json.loads(raw)
    own = {"id": answer["id"], "created": answer["created"]}
    assert raw == encode({**body, **own})
    assert encode(body) == path.read_text().strip()


@pytest.mark.parametrize("name", WIRE)
def test_estimated_usage_has_the_recorded_keys(
    name: str, recordings: Path, kimi: KimiEmulator, ask: Callable[..., Any]
) -> None:
    body = recorded(recordings, name)
    reply = as_reply(body)
    kimi.script(
        Reply(reply.content, reply.reasoning, reply.tool_calls, cached_tokens=body["usage"].get("cached_tokens", 0))
    )
    assert keys(ask("Hello").json["usage"]) == keys(body["usage"])


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "kimi-streams" / name).read_text().splitlines()]


def test_parallel_calls_stream_as_recorded(recordings: Path, kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    deltas = [
        choice["delta"]
        for event in events(recordings, "chat_completions_test.parallel_tool_calls.jsonl")
        for choice in event["choices"]
    ]
    kimi.script(PARALLEL)
    streamed = ask("Hello", model="kimi-k2.6", stream=True).events[:-1]
    own = [choice["delta"] for event in streamed for choice in event["choices"]]
    assert own.pop(1) == {"reasoning_content": ""}
    opening = [delta for delta in own if "name" in str(delta)]
    assert opening == [delta for delta in deltas if "name" in str(delta)]
    assert {json.dumps(keys(delta)) for delta in own} == {json.dumps(keys(delta)) for delta in deltas}


def test_thinking_streams_as_recorded(recordings: Path, kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply("400", "17*23 = 391. So 400 is bigger."))
    streamed = ask("Hello", stream=True, stream_options={"include_usage": True}).events[:-1]
    order = []
    for event in streamed:
        delta = event["choices"][0]["delta"] if event["choices"] else None
        if not order or order[-1] != delta_kind(delta):
            order.append(delta_kind(delta))
    expected = []
    for event in events(recordings, "moonshot_test.k3_reasoning_2026-09-04.jsonl"):
        delta = event["choices"][0]["delta"] if event["choices"] else None
        if not expected or expected[-1] != delta_kind(delta):
            expected.append(delta_kind(delta))
    assert order == expected


def delta_kind(delta: dict[str, Any] | None) -> str:
    return "usage" if delta is None else "+".join(delta) or "end"


def test_stream_chunks(ask: Callable[..., Any]) -> None:
    answer = ask("Hello", stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    *chunks, usage, done = answer.events
    assert done == "[DONE]"
    assert list(chunks[0]) == ["id", "object", "created", "model", "choices", "system_fingerprint"]
    assert chunks[0]["choices"] == [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]
    assert all("usage" not in chunk for chunk in chunks)
    assert list(usage) == ["id", "object", "created", "model", "choices", "usage"]
    assert usage["choices"] == []
    assert chunks[-1]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": usage["usage"]}]


def test_usage_is_in_the_choice_even_if_not_asked_for(ask: Callable[..., Any]) -> None:
    *chunks, done = ask("Hello", stream=True).events
    assert done == "[DONE]"
    assert chunks[-1]["choices"][0]["usage"]["total_tokens"] > 0


def test_several_answers_each_end_with_their_usage(ask: Callable[..., Any]) -> None:
    given = {"model": "moonshot-v1-8k", "n": 2}
    ends = [
        event["choices"][0]
        for event in ask("Hello", stream=True, **given).events[:-1]
        if event["choices"][0]["finish_reason"]
    ]
    assert [end["index"] for end in ends] == [0, 1]
    assert all(end["usage"] for end in ends)
    assert len(ask("Hello", **given).json["choices"]) == 2


@pytest.mark.parametrize(
    ("model", "ids"),
    [
        ("kimi-k3", ["f_0", "g_1"]),
        ("kimi-k2.6", ["f_0", "g_1"]),
        ("kimi-k2.5", ["f:0", "g:1"]),
        ("kimi-k2", ["functions.f:0", "functions.g:1"]),
        ("kimi-k2-thinking", ["functions.f:0", "functions.g:1"]),
    ],
)
def test_call_ids(model: str, ids: list[str], kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    reply = Reply(tool_calls=[ToolCall("f"), ToolCall("g")])
    kimi.script(reply, reply)
    for _ in range(2):
        assert [call["id"] for call in ask("Hello", model=model).message["tool_calls"]] == ids


def test_builtin_calls_have_no_index(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply(tool_calls=[ToolCall("$web_search", {"q": 1}, type="builtin_function")]))
    answer = ask("Hello", model="kimi-k2.5")
    call = answer.message["tool_calls"][0]
    assert list(call) == ["id", "type", "function"]
    assert call["id"] == f"t-web_search-{answer.json['id'].removeprefix('chatcmpl-')[:12]}"


def test_completion_id_begins_with_the_time(ask: Callable[..., Any]) -> None:
    answer = ask("Hello").json
    assert re.fullmatch(r"chatcmpl-[0-9a-f]{24}", answer["id"])
    assert int(answer["id"][9:17], 16) == answer["created"]


def test_json_is_written_as_go_does() -> None:
    assert encode({"a": "<b> & 你好\u2028\ud800"}) == '{"a":"\\u003cb\\u003e \\u0026 你好\\u2028\ufffd"}'


def test_recorded_errors(recordings: Path, kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    known = json.loads((recordings / "errors" / "error_bodies.json").read_text())
    said = {entry["body"]["error"]["message"] for entry in known if "body" in entry}
    for fields in ({"temperature": 0}, {"logit_bias": {}}, {"logprobs": True}, {"top_p": 1}, {"messages": []}):
        answer = ask("Hello", **fields) if "messages" not in fields else ask(**fields)
        assert answer.error in said
        assert list(answer.json) == ["error"]
        assert list(answer.json["error"]) == ["message", "type"]


def test_headers_as_recorded(recordings: Path, ask: Callable[..., Any]) -> None:
    exchange = json.loads((recordings / "kimi-k3-chat" / "basic.json").read_text())
    infrastructure = {"cf-cache-status", "cf-ray", "connection", "set-cookie", "transfer-encoding"}
    ask("Hello")
    repeated = ask("Hello")
    assert set(exchange["response"]["headers"]) - infrastructure <= set(repeated.headers)
    assert repeated.headers["msh-context-cache-token-saved"] == str(repeated.json["usage"]["prompt_tokens"])
    assert "msh-request-id" in ask("Hello", temperature=0).headers
