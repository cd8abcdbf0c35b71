"""The bytes of answers; test_emulator_recordings.py holds everything else to recorded traffic."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_emulator.http.shapes import encode


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
