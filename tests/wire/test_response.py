"""Whole answers on their way in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kimi_wire.answers.calls import ToolCall
from kimi_wire.answers.response import Choice, Usage, explain_empty, parse_completion, parse_usage
from kimi_wire.arguments import parse_arguments, replay_arguments
from kimi_wire.errors import KimiResponseError
from kimi_wire.errors.exchange import parse_request_id
from kimi_wire.requests.tools import ToolPlan
from tests.wire.recordings import load, needs_recordings

PLAN = ToolPlan([])


def completion(message: dict[str, Any], **choice: Any) -> bytes:
    return json.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "message": message, **choice}]}).encode()


@needs_recordings
@pytest.mark.parametrize(
    ("name", "content", "reasoning_starts", "finish", "usage"),
    [
        ("context_append_1", "Hi", "The user wants me", "stop", Usage(93, 47, 140, reasoning_tokens=31)),
        ("usage", "", "The user has simply said", "length", Usage(88, 10, 98, reasoning_tokens=7)),
        ("basic", "Hello! 👋", "The user has sent", "stop", Usage(88, 196, 284, 88, None, 156)),
        ("multi_tool", "", "The user is asking", "tool_calls", Usage(268, 125, 393, reasoning_tokens=55)),
    ],
)
def test_recorded_answers(name: str, content: str, reasoning_starts: str, finish: str, usage: Usage) -> None:
    recorded = load(f"kimi-k3-chat/{name}.body.wire.json")
    parsed = parse_completion(json.dumps(recorded).encode(), {"msh-request-id": "r"}, PLAN)
    assert parsed.choice.content.startswith(content)
    assert (parsed.choice.reasoning or "").startswith(reasoning_starts)
    assert parsed.choice.finish_reason == finish
    assert parsed.usage == usage
    assert (parsed.model, parsed.request_id, parsed.id) == ("kimi-k3", "r", recorded["id"])
    if name == "multi_tool":
        arguments = '{"location":"Paris, France","unit":"celsius"}'
        assert parsed.choice.tool_calls == [ToolCall("get_weather_0", "get_weather", arguments)]


@pytest.mark.parametrize(
    ("usage", "parsed"),
    [
        (None, None),
        ({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}, Usage(3, 2, 5)),
        ({"prompt_tokens": 3, "completion_tokens": 2}, Usage(3, 2, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, "cached_tokens": 8}, Usage(9, 1, 10, 8)),
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10,
             "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 1}},
            Usage(9, 1, 10, 8, 1),
        ),
        ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cached_tokens": 0}, Usage(0, 0, 0, 0)),
        (
            {"prompt_tokens": 1, "completion_tokens": 6000, "total_tokens": 6002,
             "completion_tokens_details": {"reasoning_tokens": 6001}, "cached_tokens": -1},
            Usage(1, 6000, 6002, 0, None, 6001),
        ),
        ({"prompt_tokens": None, "completion_tokens": "2", "prompt_tokens_details": None}, None),
    ],
)  # fmt: skip
def test_usage_in_every_recorded_form(usage: Any, parsed: Usage | None) -> None:
    assert parse_usage(usage) == parsed


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        ({"content": "a"}, None),
        ({"content": "a", "reasoning_content": None}, None),
        ({"content": "a", "reasoning_content": ""}, ""),
        ({"content": "a", "reasoning_content": "r"}, "r"),
        ({"content": "a", "reasoning": "vllm"}, "vllm"),
        ({"content": "a", "reasoning_content": None, "reasoning": "vllm"}, "vllm"),
        ({"content": "a", "reasoning_content": "r", "reasoning": "r"}, "r"),
    ],
)
def test_reasoning_absent_empty_and_renamed(message: dict[str, Any], reasoning: str | None) -> None:
    assert parse_completion(completion(message), {}, PLAN).choice.reasoning == reasoning


def test_tool_calls_as_hosts_send_them() -> None:
    listed = [
        {"index": 0, "id": "a:0", "type": "function", "function": {"name": "a", "arguments": '{"x": 1}'}},
        {"id": "t-1", "type": "builtin_function", "function": {"name": "$web_search", "arguments": "{}"}},
        {"id": "", "function": {"name": "b", "arguments": {"x": 1}}},
        {"function": {"name": "c", "arguments": None}},
    ]
    calls = parse_completion(completion({"content": None, "tool_calls": listed}, finish_reason="stop"), {}, PLAN).choice
    assert [(call.name, call.arguments, call.type) for call in calls.tool_calls] == [
        ("a", '{"x": 1}', "function"),
        ("$web_search", "{}", "builtin_function"),
        ("b", '{"x":1}', "function"),
        ("c", "{}", "function"),
    ]
    ids = [call.id for call in calls.tool_calls]
    assert ids[:2] == ["a:0", "t-1"]
    assert all(ids)
    assert len(set(ids)) == 4
    assert calls.finish_reason == "tool_calls", "agents that believe 'stop' beside calls end early"
    assert calls.content == ""


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>504 Gateway Time-out</html>",
        b"[]",
        b'{"object": "list"}',
        b'{"choices": []}',
        b'{"choices": [null]}',
        b'{"choices": [{"message": null}]}',
        b"\xff",
    ],
)
def test_what_is_no_completion_is_an_error(body: bytes) -> None:
    with pytest.raises(KimiResponseError, match=r"request id: req-9"):
        parse_completion(body, {"x-request-id": "req-9"}, PLAN)


def test_text_that_is_no_text_does_no_harm() -> None:
    listed = [{"id": 5, "type": 6, "function": {"name": 7, "arguments": 8}}, None]
    body = json.dumps(
        {"id": 5, "model": [], "choices": [{"message": {"content": 9, "tool_calls": listed}, "finish_reason": 3}]}
    )
    parsed = parse_completion(body.encode(), {}, PLAN)
    assert (parsed.id, parsed.model, parsed.choice.content, parsed.choice.finish_reason) == (None, None, "", None)
    assert [(call.name, call.arguments, call.type) for call in parsed.choice.tool_calls] == [("", "8", "function")]


def test_arguments() -> None:
    assert parse_arguments("") == {}
    assert parse_arguments(' {"a": [1, "月"]} ') == {"a": [1, "月"]}
    assert parse_arguments('{"a": "tab\there"}') == {"a": "tab\there"}
    for bad in ("[]", "1", "null", "[" * 100_000, '{"a": 1', "{'a': 1}", '{"a": 1} {"b": 2}'):
        with pytest.raises(ValueError, match="arguments are not") as caught:
            parse_arguments(bad)
        assert bad in str(caught.value)
        assert replay_arguments(bad) == "{}"


def test_request_id_headers() -> None:
    assert parse_request_id({"x-request-id": "b", "msh-request-id": "a"}) == "a"
    assert parse_request_id({"x-msh-trace-id": "c"}) == "c"
    assert parse_request_id({"x-request-id": ""}) is None


def test_empty_answers_are_explained() -> None:
    assert "thinking" in (explain_empty(Choice(reasoning="hm", finish_reason="length")) or "")
    assert "max_tokens" in (explain_empty(Choice(finish_reason="length")) or "")
    assert explain_empty(Choice(content="x", finish_reason="length")) is None
    assert "only thought" in (explain_empty(Choice(reasoning="hm", finish_reason="stop")) or "")
    assert "said nothing" in (explain_empty(Choice(content="\n")) or "")
    assert explain_empty(Choice(tool_calls=[ToolCall("f:0", "f", "{}")], finish_reason="tool_calls")) is None


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_has_no_word_for_are_broken_arguments(constant: str) -> None:
    # Python's and jiter's readers take them; the server refuses every later request that has them in its history.
    arguments = f'{{"a":{constant}, "b":1}}'
    with pytest.raises(ValueError, match="not valid JSON"):
        parse_arguments(arguments)
    assert replay_arguments(arguments) == f'{{"a":"{constant}","b":1}}'
