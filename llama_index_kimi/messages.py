"""LlamaIndex's messages on their way out. Pure; the caller's messages are not changed.

Deliberately absent: a cache of rendered messages. Messages can be edited in place, and what was said before the edit
would go out in silence.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    ContentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from kimi_wire import KimiRequestError
from kimi_wire.answers import PROVIDER
from kimi_wire.arguments import is_reading_of, parse_arguments, send_arguments
from kimi_wire.json_values import JSON, mapping, shown
from llama_index_kimi.media import (
    MEDIA_BLOCKS,
    describe_block,
    message_blocks,
    render_media_block,
    render_source_block,
)
from llama_index_kimi.tools import WRITTEN, render_tool

logger = logging.getLogger("llama_index_kimi")

REFUSAL = "refusal"
"""Key in `additional_kwargs`: why the model declined. It goes back in the text: Kimi's API has no field for it."""

_ROLES: Mapping[MessageRole, str] = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}

# Anthropic's, Gemini's and OpenAI's reasoning is of use to their own servers only, and signed or encrypted.
_SIGNATURES = frozenset({"signature", "thought_signature", "encrypted_content"})


def render_messages(messages: Sequence[ChatMessage]) -> list[JSON]:
    """Render a conversation; see `render_message`.

    Chat engines put a text in the place of a message's blocks, and leave the list of its calls (`_set_message_content`
    of core's chat_engine/types.py). So a call that stands there alone counts where its answer follows.
    """
    rendered = [render_message(message) for message in messages]
    for index, message in enumerate(rendered):
        if "tool_calls" not in message or any(isinstance(block, ToolCallBlock) for block in messages[index].blocks):
            continue
        if index + 1 == len(rendered) or rendered[index + 1]["role"] != "tool":
            logger.debug("message %d: left out tool calls that no block holds and nobody answered", index)
            del message["tool_calls"]
    return rendered


def render_message(message: ChatMessage) -> JSON:
    """Render a message in the API's form.

    Args:
        message: The message. Of its `additional_kwargs`, `tool_call_id` is sent with a tool's answer, `name` with a
            user or assistant message, and `partial` with an assistant message; the `tools` of a system message are
            loaded into the conversation (kimi-k3 and newer). Others' keys are not Kimi's.

    Returns:
        The message for `kimi_wire`, which checks it further.

    Raises:
        KimiRequestError: A block of a user's or a system's message that cannot be sent: audio, documents that are not
            text, a file that cannot be read, thinking or tool calls.
    """
    role = _ROLES[message.role]
    extra = message.additional_kwargs
    rendered: JSON = {"role": role}
    parts: list[JSON] = []
    for block in message_blocks(message):
        if isinstance(block, CachePoint):  # at the end of what stands before it, as every vendor has it
            parts[-1:] = [_end_cache_at(part, block.cache_control.model_dump()) for part in parts[-1:]]
        else:
            parts += _render_block(block, role)
    if role == "assistant" and isinstance(refusal := extra.get(REFUSAL), str) and refusal:
        parts.append({"type": "text", "text": refusal})
    if parts or role != "assistant":
        rendered["content"] = _render_content(parts)
    if role == "assistant":
        rendered |= _render_assistant(message)
    elif role == "tool":
        # Only here: `return_direct` puts the id on an assistant message as well (FunctionAgent).
        rendered["tool_call_id"] = extra.get("tool_call_id")
    if extra.get("name") is not None and role in ("user", "assistant"):
        rendered["name"] = extra["name"]
    if extra.get("tools") and role in ("system", "user"):
        rendered |= _render_dynamic_tools(extra["tools"], rendered["content"])
    return rendered


def _render_dynamic_tools(tools: Any, content: str | list[JSON]) -> JSON:
    """Tools that a message loads into the conversation; `kimi_wire` checks whether it may.

    Given as dicts they survive every memory; tools and functions are taken as well.
    """
    if not isinstance(tools, (list, tuple)):
        raise KimiRequestError(f"additional_kwargs['tools'] of a message must be a list of tools, not {shown(tools)}.")
    return {"content": content or None, "tools": [render_tool(tool) for tool in tools]}


def _end_cache_at(part: JSON, control: JSON) -> JSON:
    """A part with a cache point; of several, the one that is kept longer."""
    points = [point for point in (part.get("cache_control"), control) if point]
    return {**part, "cache_control": max(points, key=lambda point: point["ttl"] == "1h")}


_TEXT_KEYS = {"type", "text"}


def _render_content(parts: list[JSON]) -> str | list[JSON]:
    if not parts:
        return ""
    return str(parts[0]["text"]) if len(parts) == 1 and parts[0].keys() == _TEXT_KEYS else parts


def _render_block(block: ContentBlock, role: str) -> list[JSON]:
    """A block as content parts; none for blocks that have another place in the message, or no place at Kimi's.

    Neither what another model left in its answer nor what a tool gave back ends the conversation it is in.
    """
    if isinstance(block, TextBlock):
        return [{"type": "text", "text": block.text}]
    if role == "assistant" and isinstance(block, (ThinkingBlock, ToolCallBlock)):
        return []
    if role == "assistant" and isinstance(block, CitationBlock):
        logger.debug("left out a citation: the text that cites is a block of its own")
        return []
    try:
        if isinstance(block, MEDIA_BLOCKS):
            return [render_media_block(block)]
        if isinstance(block, (CitableBlock, CitationBlock)):
            return render_source_block(block)
    except KimiRequestError as error:
        if role not in ("assistant", "tool"):
            raise
        logger.debug("a %s cannot be sent: %s", type(block).__name__, error)
        return [describe_block(block)] if role == "tool" else []
    raise KimiRequestError(f"A {type(block).__name__} in a message of role {role!r} cannot be sent to Kimi.")


def _render_assistant(message: ChatMessage) -> JSON:
    rendered: JSON = {}
    own = [block for block in message.blocks if isinstance(block, ThinkingBlock) and _is_own(block)]
    thinking = [block.content for block in own if block.content is not None]
    if thinking:  # "" is reasoning too: empty, not lost
        rendered["reasoning_content"] = "".join(thinking)
    details = [item for block in own for item in _details(block)]
    if details:
        rendered["reasoning_details"] = details
    calls = _render_calls(message)
    if calls:
        rendered["tool_calls"] = calls
    if message.additional_kwargs.get("partial") is not None:
        rendered["partial"] = message.additional_kwargs["partial"]
    return rendered


def _details(block: ThinkingBlock) -> Sequence[Any]:
    details = block.additional_information.get("reasoning_details") or ()
    if not isinstance(details, (list, tuple)):
        raise KimiRequestError(f"The reasoning_details of a ThinkingBlock are {shown(details)}, and no list.")
    return details


def _is_own(block: ThinkingBlock) -> bool:
    """Whether a model of ours thought this. A block that says nothing of its origin was made by hand, for Kimi."""
    provider = block.additional_information.get("provider")
    own = _SIGNATURES.isdisjoint(block.additional_information) if provider is None else bool(provider == PROVIDER)
    if not own:
        logger.debug("left out what another vendor's model thought")
    return own


def _render_calls(message: ChatMessage) -> list[JSON]:
    listed = message.additional_kwargs.get("tool_calls") or ()
    if not isinstance(listed, (list, tuple)):
        raise KimiRequestError(
            f"additional_kwargs['tool_calls'] of a message is {shown(listed)}, and no list of calls."
        )
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if not blocks:
        return [_render_listed(call) for call in listed]
    marks = {id: call for call in map(mapping, listed) if isinstance(id := call.get("id"), (str, type(None)))}
    return [_render_call(block, _mark_of(block.tool_call_id, marks)) for block in blocks]


def _mark_of(id: Any, marks: Mapping[str | None, Mapping[str, Any]]) -> Mapping[str, Any]:
    return marks.get(id, {}) if isinstance(id, (str, type(None))) else {}


def _render_call(block: ToolCallBlock, mark: Mapping[str, Any]) -> JSON:
    """A call, its arguments in the model's own text as long as that still says what the block says."""
    arguments, written = _arguments(block.tool_kwargs, block.tool_name), mark.get(WRITTEN)
    if isinstance(written, str) and _is_reading_of(arguments, written):
        arguments = written
    kind = "builtin_function" if mark.get("type") == "builtin_function" else "function"
    return {"id": block.tool_call_id, "type": kind, "function": {"name": block.tool_name, "arguments": arguments}}


def _is_reading_of(arguments: str, written: str) -> bool:
    try:
        return is_reading_of(parse_arguments(arguments), parse_arguments(written))
    except ValueError:
        return False


def _render_listed(call: Any) -> JSON:
    """A call in the API's form, or in Anthropic's, the Responses API's or Converse's, as their integrations kept it."""
    call = call.model_dump() if hasattr(call, "model_dump") else call
    if isinstance(call, Mapping) and call.get("function"):
        return dict(call)
    known = mapping(call)
    call_id = next((known[key] for key in ("call_id", "toolUseId", "id") if known.get(key)), None)
    given: Any = next((known[key] for key in ("input", "arguments") if known.get(key) is not None), {})
    if not isinstance(known.get("name"), str) or not isinstance(given, (dict, str)):
        raise KimiRequestError(
            f"A tool call in additional_kwargs['tool_calls'] of a message has no name or no arguments: {shown(call)}. "
            "Give {'id': ..., 'function': {'name': ..., 'arguments': ...}}, or a ToolCallBlock."
        )
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": known["name"], "arguments": _arguments(given, known["name"])},
    }


def _arguments(given: dict[str, Any] | str, name: str) -> str:
    return given if isinstance(given, str) else send_arguments(given, name)
