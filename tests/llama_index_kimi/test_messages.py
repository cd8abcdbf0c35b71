"""Messages and answers, on their way out and in: pure functions, no server."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    CacheControl,
    CachePoint,
    ChatMessage,
    ChatResponse,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from kimi_wire import KimiRequestError
from kimi_wire.answers.calls import ToolCall, ToolCallDelta
from kimi_wire.answers.response import Choice, Completion, Usage
from kimi_wire.answers.stream import Delta
from llama_index_kimi.messages import render_message
from llama_index_kimi.responses import (
    StreamedResponse,
    keep_first_call,
    parse_logprobs,
    parse_message,
    parse_response,
    parse_tool_calls,
)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
DATA_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def assistant(*blocks: Any, **extra: Any) -> ChatMessage:
    return ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=extra)


@pytest.mark.parametrize(
    ("role", "sent"),
    [
        (MessageRole.SYSTEM, "system"),
        (MessageRole.DEVELOPER, "system"),
        (MessageRole.USER, "user"),
        (MessageRole.ASSISTANT, "assistant"),
        (MessageRole.CHATBOT, "assistant"),
        (MessageRole.MODEL, "assistant"),
    ],
)
def test_roles(role: MessageRole, sent: str) -> None:
    assert render_message(ChatMessage(role=role, content="Hi")) == {"role": sent, "content": "Hi"}


def test_every_role_of_the_framework_is_known() -> None:
    for role in MessageRole:
        assert render_message(ChatMessage(role=role, content="Hi"))["content"] == "Hi"


@pytest.mark.parametrize("role", [MessageRole.TOOL, MessageRole.FUNCTION])
@pytest.mark.parametrize(("blocks", "content"), [([TextBlock(text="21")], "21"), ([TextBlock(text="")], ""), ([], "")])
def test_a_tool_message_answers_its_call_and_always_has_content(role: MessageRole, blocks: Any, content: str) -> None:
    message = ChatMessage(role=role, blocks=blocks, additional_kwargs={"tool_call_id": "f:0"})
    assert render_message(message) == {"role": "tool", "content": content, "tool_call_id": "f:0"}


def test_several_texts_stay_parts() -> None:
    message = ChatMessage(role="user", blocks=[TextBlock(text="a"), TextBlock(text="b")])
    assert render_message(message)["content"] == [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]


def test_a_cache_point_is_at_the_end_of_what_stands_before_it() -> None:
    points = [CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl)) for ttl in ("1h", "5m")]
    content = render_message(ChatMessage(role="user", blocks=[TextBlock(text="a"), *points]))["content"]
    assert content == [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]
    assert render_message(ChatMessage(role="user", blocks=[*points, TextBlock(text="a")]))["content"] == "a"


@pytest.mark.parametrize("source", ["bytes", "path", "base64", "path without suffix"])
def test_an_image_becomes_a_data_url(source: str, tmp_path: Path) -> None:
    path = tmp_path / ("image.png" if source == "path" else "image")
    path.write_bytes(PNG)
    block = {
        "bytes": lambda: ImageBlock(image=PNG),
        "base64": lambda: ImageBlock(image=base64.b64encode(PNG)),
        "path": lambda: ImageBlock(path=path),
        "path without suffix": lambda: ImageBlock(path=path),
    }[source]()
    rendered = render_message(ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), block]))
    assert rendered["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": DATA_URL}},
    ]


@pytest.mark.parametrize("url", ["https://example.org/cat.png", "ms://file-1", DATA_URL])
def test_an_image_url_goes_on_unread(url: str) -> None:
    rendered = render_message(ChatMessage(role="user", blocks=[ImageBlock(url=url)]))
    assert rendered["content"] == [{"type": "image_url", "image_url": {"url": url}}]


@pytest.mark.parametrize("block", [ThinkingBlock(content="t"), ToolCallBlock(tool_name="f")])
def test_thinking_and_calls_are_the_assistants(block: Any) -> None:
    with pytest.raises(KimiRequestError, match=type(block).__name__):
        render_message(ChatMessage(role="user", blocks=[block]))


@pytest.mark.parametrize(
    ("information", "sent"),
    [
        ({}, True),
        ({"provider": "moonshot"}, True),
        ({"note": "by hand"}, True),
        ({"signature": "EuYBCkQ"}, False),
        ({"thought_signature": "CiQ"}, False),
        ({"id": "rs_1", "type": "reasoning", "encrypted_content": None}, False),
        ({"provider": "anthropic"}, False),
    ],
)
def test_only_our_own_thinking_is_sent(information: dict[str, Any], sent: bool) -> None:
    block = ThinkingBlock(content="Hm.", additional_information=information)
    assert ("reasoning_content" in render_message(assistant(block, TextBlock(text="4")))) is sent


@pytest.mark.parametrize("reasoning", [None, "", "Ein Gedanke.\n\n  \u2028 ", "🧠" * 3])
@pytest.mark.parametrize("content", ["", "Four.\n"])
@pytest.mark.parametrize("arguments", [None, "{}", '{"b": 2,  "a":1}', '{"city": "Par'])
def test_an_answer_goes_back_as_it_came(reasoning: str | None, content: str, arguments: str | None) -> None:
    calls = [] if arguments is None else [ToolCall("functions.f:0", "f", arguments, "function")]
    stored = parse_message(Choice(content, reasoning, calls), None).model_dump_json()
    rendered = render_message(ChatMessage.model_validate_json(stored))
    assert rendered.get("reasoning_content") == reasoning
    assert rendered.get("content", "") == content
    assert rendered.get("tool_calls", []) == [call.render() for call in calls]


def test_a_builtin_call_keeps_its_type() -> None:
    call = ToolCall("t-web_search-1", "$web_search", '{"q":1}', "builtin_function")
    message = parse_message(Choice(tool_calls=[call, ToolCall("f:1", "f", "{}")]), None)
    assert [rendered["type"] for rendered in render_message(message)["tool_calls"]] == ["builtin_function", "function"]


def test_blocks_stand_in_the_order_of_the_answer() -> None:
    message = parse_message(
        Choice("text", "thought", [ToolCall("f:0", "f", "{}")]), Usage(1, 9, 10, reasoning_tokens=7)
    )
    assert [block.block_type for block in message.blocks] == ["thinking", "text", "tool_call"]
    assert message.blocks[0].num_tokens == 7
    assert message.additional_kwargs == {"tool_calls": [ToolCall("f:0", "f", "{}").render()]}


def test_arguments_given_as_a_dict_become_text() -> None:
    block = ToolCallBlock(tool_call_id="f:0", tool_name="f", tool_kwargs={"city": "Köln"})
    assert render_message(assistant(block))["tool_calls"][0]["function"] == {
        "name": "f",
        "arguments": '{"city":"Köln"}',  # as Kimi writes it
    }


@pytest.mark.parametrize("as_object", [True, False])
def test_calls_of_histories_without_blocks_are_sent(as_object: bool) -> None:
    call: Any = {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    sent = SimpleNamespace(model_dump=lambda: call) if as_object else call
    message = ChatMessage.model_construct(
        role=MessageRole.ASSISTANT, blocks=[], additional_kwargs={"tool_calls": [sent]}
    )
    assert render_message(message)["tool_calls"] == [call]


def test_return_direct_leaves_no_tool_call_id_on_the_answer() -> None:
    rendered = render_message(assistant(TextBlock(text="21"), tool_call_id="f:0"))
    assert rendered == {"role": "assistant", "content": "21"}


def test_name_and_partial_are_message_fields() -> None:
    rendered = render_message(assistant(TextBlock(text="{"), partial=True, name="Ada"))
    assert rendered == {"role": "assistant", "content": "{", "partial": True, "name": "Ada"}
    assert render_message(ChatMessage(role="user", content="Hi", additional_kwargs={"name": "Ada"}))["name"] == "Ada"


def test_rendering_changes_nothing_it_is_given() -> None:
    message = parse_message(Choice("text", "thought", [ToolCall("f:0", "f", "{}")]), None)
    before = message.model_dump_json()
    render_message(message)["tool_calls"][0]["function"]["name"] = "g"
    assert message.model_dump_json() == before


def test_what_the_server_says_about_an_answer() -> None:
    raw_usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cached_tokens": 2}
    completion = Completion(
        "chatcmpl-1", "kimi-k3", [Choice("Hi", finish_reason="stop")], Usage(3, 4, 7, 2), "req-1", 5, None, raw_usage
    )
    response = parse_response(completion)
    assert response.additional_kwargs == {
        "attempts": 1,
        "prompt_tokens": 3,
        "completion_tokens": 4,
        "total_tokens": 7,
        "cached_tokens": 2,
        "finish_reason": "stop",
        "model": "kimi-k3",
        "request_id": "req-1",
    }
    assert response.raw["id"] == "chatcmpl-1"
    assert response.raw["usage"] == raw_usage
    json.dumps(response.raw)


def test_logprobs() -> None:
    token = {"token": "A", "logprob": -0.5, "bytes": [65]}
    other = {"token": "B", "logprob": -1.5, "bytes": None}
    parsed = parse_logprobs({"content": [{**token, "top_logprobs": [token, other]}, token]})
    assert parsed is not None
    assert [[(item.token, item.logprob, item.bytes) for item in items] for items in parsed] == [
        [("A", -0.5, [65]), ("B", -1.5, [])],
        [("A", -0.5, [65])],
    ]
    assert parse_logprobs(None) is None


def test_chunks_hold_everything_so_far() -> None:
    stream = StreamedResponse()
    deltas = [
        Delta(reasoning=""),
        Delta(reasoning="Hm"),
        Delta(reasoning=".", content="A"),
        Delta(content="B", tool_calls=(ToolCallDelta(0, "f:0", "f", '{"a'), ToolCallDelta(1, "g:1", "g", ""))),
        Delta(tool_calls=(ToolCallDelta(0, None, None, '":1}'), ToolCallDelta(1, None, None, "{}"))),
    ]
    chunks = [stream.add(delta) for delta in deltas]
    assert [chunk.delta for chunk in chunks] == ["", "", "A", "B", ""]
    assert [chunk.additional_kwargs.get("thinking_delta") for chunk in chunks] == [None, "Hm", ".", None, None]
    assert [block.block_type for block in chunks[0].message.blocks] == ["thinking"]
    assert [chunk.message.content for chunk in chunks] == [None, None, "A", "AB", "AB"]
    assert chunks[3].message.blocks[2].tool_kwargs == '{"a'
    assert [block.tool_kwargs for block in chunks[4].message.blocks[2:]] == ['{"a":1}', "{}"]
    assert chunks[2].message.additional_kwargs == {}
    assert chunks[3].message.additional_kwargs["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a'}
    assert chunks[4].message.additional_kwargs["tool_calls"] == [
        {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
        {"id": "g:1", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def response(arguments: str, **kwargs: Any) -> ChatResponse:
    message = parse_message(Choice(tool_calls=[ToolCall("f:0", "f", arguments)]), None)
    return ChatResponse(message=message, **kwargs)


@pytest.mark.parametrize(
    ("arguments", "read"), [("", {}), ("{", {}), ('{"city": "Par', {"city": "Par"}), ('{"a": x', {}), ("[1", {})]
)
def test_arguments_of_a_running_stream_are_what_can_be_read(arguments: str, read: dict[str, Any]) -> None:
    [call] = parse_tool_calls(response(arguments, delta=""))
    assert (call.tool_name, call.tool_kwargs) == ("f", read)


@pytest.mark.parametrize("arguments", ['{"city": "Par', "[1]", "null", "{'city': 'Paris'}", "Paris"])
@pytest.mark.parametrize("end", [{}, {"delta": "", "additional_kwargs": {"finish_reason": "tool_calls"}}])
def test_broken_arguments_call_no_tool_and_say_so(arguments: str, end: dict[str, Any]) -> None:
    [call] = parse_tool_calls(response(arguments, **end))
    assert call.tool_id == "f:0"
    assert call.tool_name.startswith("f was not run. The arguments are not")
    assert arguments in call.tool_name
    assert call.tool_kwargs == {}


def test_a_call_without_arguments_has_none() -> None:
    for arguments in ("", "{}"):
        [call] = parse_tool_calls(response(arguments))
        assert (call.tool_name, call.tool_kwargs) == ("f", {})


def test_keeping_the_first_call_leaves_the_response_alone() -> None:
    calls = [ToolCall("f:0", "f", "{}"), ToolCall("f:1", "f", "{}")]
    whole = ChatResponse(message=parse_message(Choice("text", "thought", calls), None))
    cut = keep_first_call(whole)
    assert [block.block_type for block in cut.message.blocks] == ["thinking", "text", "tool_call"]
    assert cut.message.additional_kwargs["tool_calls"] == [calls[0].render()]
    assert len(whole.message.blocks) == 4
    assert keep_first_call(cut) is cut


@pytest.mark.parametrize("delta", [None, ""])
def test_arguments_that_are_a_dict_are_taken_as_they_are(delta: str | None) -> None:
    message = assistant(ToolCallBlock(tool_call_id="f:0", tool_name="f", tool_kwargs={"a": 1}))
    [call] = parse_tool_calls(ChatResponse(message=message, delta=delta))
    assert (call.tool_name, call.tool_kwargs) == ("f", {"a": 1})
