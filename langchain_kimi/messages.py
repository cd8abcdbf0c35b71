"""LangChain messages on their way out. Pure; the caller's messages are not changed.

Deliberately absent: a cache of rendered messages. Messages can be edited in place, and what was said before the edit
would go out in silence.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    InvalidToolCall,
    SystemMessage,
    ToolCall,
    ToolMessage,
)

from kimi_wire.answers import PROVIDER
from kimi_wire.arguments import is_reading_of, parse_arguments, send_arguments
from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import shown
from kimi_wire.media import describe_file
from kimi_wire.profiles import profile_for
from langchain_kimi.media import render_block, unwrap_block
from langchain_kimi.tools import render_tool

logger = logging.getLogger("langchain_kimi")

RAW_CALLS = "kimi_tool_calls"
"""Key in `additional_kwargs`: tool calls in the API's form, where LangChain's parsed `tool_calls` would not come out as
the same bytes: arguments written with other white space or number forms, and builtin functions."""

REFUSAL = "refusal"
"""Key in `additional_kwargs`, as `langchain-openai` has it: why the model declined. It goes back in the text."""

REASONING_DETAILS = "reasoning_details"
"""Key in `additional_kwargs`: the thinking as OpenRouter sent it, which goes back there as it came."""

# Blocks that are carried by a message's fields.
_CARRIED = frozenset({"reasoning", "tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use", "function_call"})

# What only other vendors' servers can read, in their reasoning.
_SEALED = frozenset({"signature", "thought_signature", "encrypted_content", "redacted_content"})


def render_messages(messages: Iterable[BaseMessage]) -> list[dict[str, Any]]:
    """Render a conversation; see `render_message`.

    The answers to tool calls that a user's message holds in Anthropic's way, as blocks, become messages of their own.
    """
    rendered: list[dict[str, Any]] = []
    for message in messages:
        if isinstance(message.content, list) and isinstance(message, HumanMessage):
            rendered += map(render_message, _split_results(message))
        else:
            rendered.append(render_message(message))
    return rendered


def _split_results(message: HumanMessage) -> Iterable[BaseMessage]:
    results = [block for block in message.content if isinstance(block, dict) and _kind(block) == "tool_result"]
    if not results:
        return [message]
    others = [block for block in message.content if _kind(block) != "tool_result"]
    answers = [
        ToolMessage(block.get("content") or "", tool_call_id=block.get("tool_use_id") or "") for block in results
    ]
    return [*answers, message.model_copy(update={"content": others})] if others else answers


def render_message(message: BaseMessage) -> dict[str, Any]:
    """Render one LangChain message in the API's form.

    Args:
        message: Any message but `FunctionMessage` and `RemoveMessage`. The `tools` in a system message's
            `additional_kwargs` are loaded into the conversation (kimi-k3 and newer).

    Raises:
        KimiRequestError: The message, or a block in it, has no form in Kimi's API.
    """
    if isinstance(message, AIMessage):
        return _render_ai_message(message)
    if isinstance(message, ToolMessage):
        rendered = {
            "role": "tool",
            "tool_call_id": message.tool_call_id,
            "content": _render_content(message.content, "tool"),
        }
    elif isinstance(message, HumanMessage):
        rendered = {"role": "user", "content": _render_content(message.content, "user")}
    elif isinstance(message, SystemMessage):
        rendered = {"role": "system", "content": _render_content(message.content, "system")}
    elif isinstance(message, ChatMessage):
        rendered = {"role": message.role, "content": _render_content(message.content, message.role)}
    else:
        raise KimiRequestError(f"A {type(message).__name__} has no form in Kimi's API.")
    if message.name:
        rendered["name"] = message.name
    tools = message.additional_kwargs.get("tools")
    if tools and not isinstance(message, ToolMessage):
        rendered |= _render_dynamic_tools(tools, rendered["content"])
    return rendered


def _render_dynamic_tools(tools: Any, content: Any) -> dict[str, Any]:
    """Tools that a message loads into the conversation; `kimi_wire` checks whether it may.

    Given as dicts they survive every checkpoint; functions and classes are taken as well.
    """
    if not isinstance(tools, (list, tuple)):
        raise KimiRequestError(f"additional_kwargs['tools'] of a message must be a list of tools, not {shown(tools)}.")
    return {"content": content or None, "tools": [render_tool(tool) for tool in tools]}


def _render_ai_message(message: AIMessage) -> dict[str, Any]:
    rendered: dict[str, Any] = {"role": "assistant", "content": _render_said(message)}
    if message.name:
        rendered["name"] = message.name
    reasoning = _find_reasoning(message)
    if reasoning is not None:
        rendered["reasoning_content"] = reasoning
    details = message.additional_kwargs.get(REASONING_DETAILS)
    if isinstance(details, list) and details and _is_kimis(message.response_metadata):
        rendered["reasoning_details"] = details
    if message.tool_calls or message.invalid_tool_calls:
        rendered["tool_calls"] = [*_render_calls(message), *map(_render_invalid_call, message.invalid_tool_calls)]
    elif isinstance(message.content, list) and (calls := _find_calls(message.content)):
        rendered["tool_calls"] = calls
    if message.additional_kwargs.get("partial"):
        rendered["partial"] = message.additional_kwargs["partial"]
    return rendered


def _find_reasoning(message: AIMessage) -> str | None:
    """The thinking of a message Kimi wrote; None where there is none, or somebody else's model wrote it."""
    if not _is_kimis(message.response_metadata):
        logger.debug("left out whatever %s thought", message.response_metadata.get("model_provider", "another model"))
        return None
    reasoning: str | None = message.additional_kwargs.get("reasoning_content")
    if reasoning is not None:
        return reasoning  # what is no text is refused where the request is rendered
    if not isinstance(message.content, list):
        return None
    blocks = [block for block in message.content if isinstance(block, dict) and block.get("type") == "reasoning"]
    if any(_is_sealed(block) for block in blocks):
        logger.debug("left out reasoning that is signed or encrypted, which is another vendor's")
        return None
    texts = [block["reasoning"] for block in blocks if isinstance(block.get("reasoning"), str)]
    return "".join(texts) if texts else None


def _is_sealed(block: Mapping[str, Any]) -> bool:
    """Whether a standard block of reasoning is another vendor's, by what LangChain keeps of it for that vendor."""
    extras = block.get("extras")
    return not _SEALED.isdisjoint(block) or (isinstance(extras, Mapping) and not _SEALED.isdisjoint(extras))


def _is_kimis(metadata: Mapping[str, Any]) -> bool:
    """Whether Kimi wrote a message: by its provider, or its model's name; a message without either is taken as Kimi's.

    Other vendors' reasoning must not reach Kimi as its own (getkimchi/kimchi#1209), while Kimi's own may come from
    another adapter (`deepseek`, `openrouter`) that pointed at it.
    """
    provider, model = metadata.get("model_provider"), metadata.get("model_name")
    if provider == PROVIDER:
        return True
    return profile_for(model).is_kimi if isinstance(model, str) else provider is None


def _render_calls(message: AIMessage) -> list[dict[str, Any]]:
    """Tool calls, in the model's own bytes as long as they still say what `tool_calls` says (people edit those)."""
    raw = message.additional_kwargs.get(RAW_CALLS)
    if raw is None:
        return [_render_call(call, None) for call in message.tool_calls]
    written = {call["id"]: call for call in raw if _is_whole(call)} if isinstance(raw, list) else {}
    ids = [call["id"] for call in message.tool_calls]
    known = [written.get(id) if isinstance(id, (str, type(None))) else None for id in ids]
    return [_render_call(call, raw) for call, raw in zip(message.tool_calls, known, strict=True)]


def _is_whole(raw: Any) -> bool:
    """Whether a call in the model's own bytes came through storage unhurt; what `tool_calls` says is sent otherwise."""
    function = raw.get("function") if isinstance(raw, dict) else None
    texts = (
        (function.get("name"), function.get("arguments"), raw.get("type")) if isinstance(function, dict) else (None,)
    )
    if all(isinstance(text, str) for text in texts) and isinstance(raw.get("id"), (str, type(None))):
        return True
    logger.debug("%r of a message has something else than a call in it", RAW_CALLS)
    return False


def _render_call(call: ToolCall, raw: Mapping[str, Any] | None) -> dict[str, Any]:
    if raw and raw["function"]["name"] == call["name"] and _same_arguments(raw, call):
        return {key: raw[key] for key in ("id", "type", "function")}
    function = {"name": call["name"], "arguments": send_arguments(call["args"], call["name"])}
    return {"id": call["id"], "type": raw["type"] if raw else "function", "function": function}


def _same_arguments(raw: Mapping[str, Any], call: ToolCall) -> bool:
    try:
        return is_reading_of(call["args"], parse_arguments(raw["function"]["arguments"]))
    except ValueError:
        return False


def _render_invalid_call(call: InvalidToolCall) -> dict[str, Any]:
    """A call whose arguments could not be read: the server knows of it, so it has to be answered like any other."""
    function = {"name": call["name"] or "", "arguments": call["args"] or ""}
    return {"id": call["id"], "type": "function", "function": function}


def _find_calls(content: list[Any]) -> list[dict[str, Any]]:
    """The calls of a message that has them as blocks alone: a history in the form of Anthropic's API."""
    blocks = [block for block in content if _kind(block) == "tool_use" and isinstance(block.get("id"), str)]
    return [
        {
            "id": block.get("id"),
            "type": "function",
            "function": {
                "name": block.get("name") or "",
                "arguments": send_arguments(
                    block["input"] if isinstance(block.get("input"), dict) else {}, block.get("name")
                ),
            },
        }
        for block in blocks
    ]


def _render_said(message: AIMessage) -> str | list[Any]:
    """What a message says, with what its vendor has beside the content: a refusal, the words of an answer in sound."""
    content = _render_content(message.content, "assistant")
    extra, details = message.additional_kwargs, message.response_metadata.get("stop_details")
    if details is None and REFUSAL not in extra and "audio" not in extra:
        return content
    audio = extra.get("audio")
    beside = [
        extra.get(REFUSAL),  # OpenAI's, and ours
        details.get("explanation") if isinstance(details, Mapping) else None,  # Anthropic's
        audio.get("transcript") if isinstance(audio, Mapping) and not content else None,
    ]
    texts = [text for text in beside if isinstance(text, str) and text]
    if not texts or any(_kind(block) == "refusal" for block in content):
        return content
    said = [content] if isinstance(content, str) else content
    return [*(block for block in said if block), *({"type": "text", "text": text} for text in texts)]


def _render_content(content: str | list[Any], role: str) -> str | list[Any]:
    """Content as parts; those without a form stay what they are, and `kimi_wire` knows what becomes of them."""
    if not isinstance(content, list):
        return content
    return [_render_block(block, role) for block in content if role == "tool" or not _is_carried_elsewhere(block)]


def _render_block(block: Any, role: str) -> Any:
    """A block; what another model left in its answer, or a tool gave back, is not refused for having no form."""
    if _kind(block) == "text":
        return block
    block = unwrap_block(block)
    try:
        return render_block(block)
    except KimiRequestError as error:
        if role not in ("assistant", "tool"):
            raise
        logger.debug("a block of type %r cannot be sent: %s", _kind(block), error)
        return describe_file(block) if role == "tool" else block


def _is_carried_elsewhere(block: Any) -> bool:
    kind = _kind(block)
    if kind in ("thinking", "redacted_thinking"):
        logger.debug("left out a block of type %r, which is another vendor's", kind)
        return True
    return kind in _CARRIED


def _kind(block: Any) -> str | None:
    kind = block.get("type") if isinstance(block, dict) else None
    return kind if isinstance(kind, str) else None
