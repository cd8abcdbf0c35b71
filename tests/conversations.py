"""Conversations in neither framework's words, and the way into each framework: what tests of both adapters share."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import (
    ChatMessage,
    ContentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

Message = dict[str, Any]
Item = TypeVar("Item")

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK = {
    "type": "function",
    "function": {
        "name": "get_time",
        "description": "Get the time.",
        "parameters": {"type": "object", "properties": {}},
    },
}
SEARCH = {"type": "builtin_function", "function": {"name": "$web_search"}}


def ask(text: str) -> Message:
    return {"role": "user", "content": text}


def call(call_id: str, arguments: str, name: str = "get_weather") -> Message:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def to_langchain(message: Message) -> BaseMessage:
    role, content = message["role"], message.get("content", "")
    if role == "assistant":
        thought = message.get("reasoning_content")
        return AIMessage(
            content,
            additional_kwargs={} if thought is None else {"reasoning_content": thought},
            tool_calls=[
                {"id": made["id"], "name": made["function"]["name"], "args": json.loads(made["function"]["arguments"])}
                for made in message.get("tool_calls", ())
            ],
        )
    if role == "tool":
        return ToolMessage(content, tool_call_id=message["tool_call_id"])
    return SystemMessage(content) if role == "system" else HumanMessage(content)


def to_llama_index(message: Message) -> ChatMessage:
    blocks: list[ContentBlock] = []
    if message.get("reasoning_content") is not None:
        blocks.append(ThinkingBlock(content=message["reasoning_content"]))
    content = message.get("content") or []
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    blocks += [_to_block(part) for part in parts]
    for made in message.get("tool_calls", ()):
        function = made["function"]
        blocks.append(
            ToolCallBlock(tool_call_id=made["id"], tool_name=function["name"], tool_kwargs=function["arguments"])
        )
    kwargs = {"tool_call_id": message["tool_call_id"]} if message["role"] == "tool" else {}
    return ChatMessage(role=MessageRole(message["role"]), blocks=blocks, additional_kwargs=kwargs)


def _to_block(part: Message) -> ContentBlock:
    if part["type"] == "text":
        return TextBlock(text=part["text"])
    head, data = part["image_url"]["url"].split(";base64,")
    return ImageBlock(image=data.encode(), image_mimetype=head.removeprefix("data:"))


async def collect(stream: AsyncIterable[Item]) -> list[Item]:
    return [item async for item in stream]
