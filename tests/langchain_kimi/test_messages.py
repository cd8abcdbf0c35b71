"""LangChain messages on their way out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from kimi_wire.errors import KimiRequestError
from langchain_kimi.messages import RAW_CALLS, render_message

CALL = {"name": "f", "args": {"x": 1}, "id": "f:0", "type": "tool_call"}
WIRE_CALL = {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}


def render(message: BaseMessage) -> dict[str, Any]:
    before = copy.deepcopy(message)
    rendered = render_message(message)
    assert message == before
    return rendered


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SystemMessage("s"), {"role": "system", "content": "s"}),
        (HumanMessage("u", name="ann"), {"role": "user", "content": "u", "name": "ann"}),
        (HumanMessage(["a", {"type": "text", "text": "b"}]),
         {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}),
        (AIMessage("a"), {"role": "assistant", "content": "a"}),
        (AIMessage("a", name="bot"), {"role": "assistant", "content": "a", "name": "bot"}),
        (AIMessage("", tool_calls=[CALL]), {"role": "assistant", "content": "", "tool_calls": [WIRE_CALL]}),
        (ToolMessage("r", tool_call_id="f:0", name="f"),
         {"role": "tool", "tool_call_id": "f:0", "content": "r", "name": "f"}),
        (ToolMessage("no", tool_call_id="f:0", status="error"), {"role": "tool", "tool_call_id": "f:0", "content": "no"}),
        (ChatMessage("c", role="developer"), {"role": "developer", "content": "c"}),
    ],
)  # fmt: skip
def test_every_kind_of_message(message: BaseMessage, expected: dict[str, Any]) -> None:
    assert render(message) == expected


@pytest.mark.parametrize("message", [FunctionMessage("x", name="f"), RemoveMessage(id="1")])
def test_messages_without_a_form(message: BaseMessage) -> None:
    with pytest.raises(KimiRequestError, match=type(message).__name__):
        render_message(message)


@pytest.mark.parametrize(
    ("message", "reasoning"),
    [
        (AIMessage("a"), None),
        (AIMessage("a", additional_kwargs={"reasoning_content": "r"}), "r"),
        (AIMessage("a", additional_kwargs={"reasoning_content": ""}), ""),
        (AIMessage("a", additional_kwargs={"reasoning_content": None}), None),
        (AIMessage([{"type": "reasoning", "reasoning": "r"}, {"type": "text", "text": "a"}]), "r"),
        (AIMessage([{"type": "reasoning", "reasoning": ""}]), ""),
        (AIMessage([{"type": "reasoning"}]), None),
        (AIMessage([{"type": "reasoning", "reasoning": "b"}], additional_kwargs={"reasoning_content": "r"}), "r"),
        (AIMessage("a", additional_kwargs={"reasoning_content": "r"}, response_metadata={"model_provider": "moonshot"}), "r"),
        (AIMessage("a", additional_kwargs={"reasoning_content": "r"},
                   response_metadata={"model_provider": "deepseek", "model_name": "kimi-k2.6"}), "r"),
        (AIMessage("a", additional_kwargs={"reasoning_content": "r"},
                   response_metadata={"model_provider": "deepseek", "model_name": "deepseek-reasoner"}), None),
        (AIMessage("a", additional_kwargs={"reasoning_content": "r"}, response_metadata={"model_provider": "ollama"}), None),
        (AIMessage("a", additional_kwargs={"reasoning_content": "r"}, response_metadata={"model_name": "qwen3"}), None),
        (AIMessage([{"type": "reasoning", "reasoning": "r"}], response_metadata={"model_provider": "openai"}), None),
        (AIMessage([{"type": "thinking", "thinking": "r", "signature": "s"}]), None),
    ],
)  # fmt: skip
def test_reasoning_of_kimi_goes_back_and_others_does_not(message: AIMessage, reasoning: str | None) -> None:
    rendered = render(message)
    assert rendered.get("reasoning_content") == reasoning
    assert ("reasoning_content" in rendered) == (reasoning is not None)
    assert "signature" not in str(rendered)


def test_v1_content() -> None:
    blocks: list[Any] = [
        {"type": "reasoning", "reasoning": "r"},
        {"type": "text", "text": "I look."},
        {"type": "tool_call", "id": "f:0", "name": "f", "args": {"x": 1}},
    ]
    message = AIMessage(blocks, tool_calls=[CALL], response_metadata={"output_version": "v1"})
    assert render(message) == {
        "role": "assistant",
        "content": [{"type": "text", "text": "I look."}],
        "reasoning_content": "r",
        "tool_calls": [WIRE_CALL],
    }


def test_arguments_go_back_in_the_models_own_bytes_until_somebody_edits_them() -> None:
    raw = [{"id": "f:0", "type": "function", "function": {"name": "f", "arguments": '{"x": 1.0}'}}]
    message = AIMessage("", tool_calls=[{**CALL, "args": {"x": 1.0}}], additional_kwargs={RAW_CALLS: raw})
    assert render(message)["tool_calls"] == raw
    edited = message.model_copy(update={"tool_calls": [{**CALL, "args": {"x": 2}}]})
    assert render(edited)["tool_calls"][0]["function"]["arguments"] == '{"x":2}'
    renamed = message.model_copy(update={"tool_calls": [{**CALL, "name": "g", "args": {"x": 1.0}}]})
    assert render(renamed)["tool_calls"][0]["function"] == {"name": "g", "arguments": '{"x":1.0}'}
    dropped = message.model_copy(update={"tool_calls": []})
    assert "tool_calls" not in render(dropped)


def test_builtin_functions_stay_builtin() -> None:
    raw = [{"id": "t-1", "type": "builtin_function", "function": {"name": "$web_search", "arguments": '{"q":1}'}}]
    call = {"name": "$web_search", "args": {"q": 1}, "id": "t-1", "type": "tool_call"}
    message = AIMessage("", tool_calls=[call], additional_kwargs={RAW_CALLS: raw})
    assert render(message)["tool_calls"] == raw


def test_broken_calls_are_replayed_too() -> None:
    broken = {"name": "f", "args": '{"x": ', "id": "f:0", "error": "bad", "type": "invalid_tool_call"}
    assert render(AIMessage("", invalid_tool_calls=[broken]))["tool_calls"] == [
        {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": '{"x": '}}
    ]


DATA = {"url": "data:image/png;base64,iVBORw0KGgo="}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": DATA},
        {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png"},
        {"type": "image", "source_type": "base64", "data": "iVBORw0KGgo=", "mime_type": "image/png"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}},
        {"type": "image", "url": DATA["url"]},
        {"type": "image", "base64": "iVBORw0KGgo="},
    ],
)
def test_pictures_in_every_spelling(block: dict[str, Any]) -> None:
    assert render(HumanMessage([block]))["content"] == [{"type": "image_url", "image_url": DATA}]
