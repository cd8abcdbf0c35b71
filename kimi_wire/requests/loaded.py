"""Tools that a conversation brings along: each where the model takes it, in its messages or with the request. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON, mapping, shown
from kimi_wire.profiles import Profile
from kimi_wire.requests.tools import message_tools, says_something
from kimi_wire.settings import Notice, Settings

_BLOCKS = ("additional_tools", "tool_addition")
"""Blocks of system messages that add tools: OpenAI's, with `tools` (langchain-openai, "Mid-conversation tool
additions"), and Anthropic's, with one `tool` and its `definition`."""

_ROLES = ("system", "developer")


def place_loaded_tools(
    settings: Settings, messages: Sequence[Mapping[str, Any]], profile: Profile, notices: list[Notice]
) -> tuple[Settings, Sequence[Mapping[str, Any]]]:
    """Put the tools that messages bring along where the model takes them.

    Args:
        settings: What is asked; not changed.
        messages: Messages in the API's form, OpenAI's `additional_tools` blocks in their contents; not changed.
        profile: The family they go to.
        notices: Gets one where tools are moved to the request. The model can call them all the same; what is lost is
            the prefix cache, as the request's tools stand before its messages.

    Returns:
        The settings and the messages to render. A model that takes tools on the way gets those of a block in a message
        of their own, after what else it says; any other gets them after the request's own, identical ones once.

    Raises:
        KimiRequestError: What a message brings along is no list of tools.
    """
    bringing = [message for message in messages if "tools" in message or message.get("role") in _ROLES]
    if not [True for message in bringing if "tools" in message or _has_block(message)]:  # as good as always
        return settings, messages
    apart = [part for index, message in enumerate(messages) for part in _take_apart(message, index)]
    if profile.dynamic_tools:
        return settings, apart
    declared, kept = list(settings.tools or ()), []
    for index, message in enumerate(apart):
        tools = message_tools(message, index) if message.get("role") in _ROLES else ()
        declared += [tool for place, tool in enumerate(tools) if tool not in declared and tool not in tools[:place]]
        if not tools:
            kept.append(message)
        elif says_something(message.get("content")):
            kept.append({key: value for key, value in message.items() if key != "tools"})
    if len(declared) > len(settings.tools or ()):
        words = f"{settings.model} takes no tools in messages here; they are declared with the request."
        notices.append(Notice("tools", words))
    return replace(settings, tools=declared), kept


def _block(part: Any) -> Mapping[str, Any]:
    """A part that adds tools, out of the `non_standard` block that LangChain may have put it into; {} for others."""
    part = mapping(part)
    block = mapping(part.get("value")) if part.get("type") == "non_standard" else part
    return block if block.get("type") in _BLOCKS else {}


def _tools_of(block: Mapping[str, Any], index: int) -> Sequence[Any]:
    if block["type"] == "tool_addition":
        return [mapping(block.get("tool")).get("definition")]
    return message_tools(block, index)


def _has_block(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return isinstance(content, list) and message.get("role") in _ROLES and any(map(_block, content))


def _take_apart(message: Mapping[str, Any], index: int) -> list[Mapping[str, Any]]:
    """A message without its blocks of tools, and then a message of these tools."""
    if not _has_block(message):
        return [message]
    said = [part for part in message["content"] if not _block(part)]
    blocks = [block for part in message["content"] if (block := _block(part))]
    tools = [as_function(tool) for block in blocks for tool in _tools_of(block, index)]
    rest: list[Mapping[str, Any]] = []
    if says_something(said) or message.get("tools"):
        rest = [{**message, "content": said}]
    return [*rest, {"role": message["role"], "tools": tools}] if tools else rest


def as_function(tool: Any) -> Any:
    """A function as OpenAI's Responses API or Anthropic declares it, in the form of chat; others as they are.

    Args:
        tool: A declaration; not changed.

    Raises:
        KimiRequestError: It is no declaration.
    """
    if not isinstance(tool, Mapping):
        raise KimiRequestError(f"A tool of a block that adds tools must be a declaration, not {shown(tool)}.")
    if mapping(tool.get("function")) or tool.get("type", "function") != "function":
        return tool
    names = ("name", "description", "parameters", "strict")
    given = {**tool, "parameters": tool.get("parameters", tool.get("input_schema"))}
    function: JSON = {name: given[name] for name in names if given.get(name) is not None}
    return {"type": "function", "function": function}
