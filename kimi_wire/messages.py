"""A conversation on its way out: messages in the API's form, made acceptable to the server on copies.

Adapters hand over messages that already look like the API's (`{"role": ..., "content": ...}`), as their framework holds
them; this module knows what the server refuses. The same history gives the same bytes each time, and a turn added at
the end changes nothing before it, so that the server's prefix cache goes on hitting.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.profiles import Profile
from kimi_wire.response import replay_arguments

logger = logging.getLogger("kimi_wire")

JSON = dict[str, Any]

# "developer" fails on Moonshot's API (openclaw/openclaw#3475); LangChain and OpenAI clients use it for system prompts.
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

PLACEHOLDER = " "
"""Stands for reasoning that is lost. `""` was refused like a missing one in spring 2026 (theopenco/llmgateway#2093);
a space was accepted in every report. Neither the answer's text nor another turn's reasoning may fill the gap: the model
then repeats itself (kaitranntt/CLIProxyAPIPlus#222, Datus-ai/Datus-agent#1400)."""

_KEYS = ("role", "name", "content", "reasoning_content", "tool_calls", "tool_call_id")  # in one order, for the cache

_NUMBERED_ID = re.compile(r"(.*[:_])(\d{1,9})", re.DOTALL)

MISSING_REASONING = ("placeholder", "omit", "error")


def render_messages(
    messages: Sequence[Mapping[str, Any]], profile: Profile, *, thinking: bool, missing_reasoning: str = "placeholder"
) -> list[JSON]:
    """Render a conversation for the request.

    Args:
        messages: Messages in the API's form; they are not changed.
        profile: The family they go to. Messages for other vendors' models are only copied.
        thinking: Whether the model will think in this call.
        missing_reasoning: What to do about an assistant message with tool calls whose reasoning is lost, where the
            family has refused such messages: `placeholder` sends a space, `omit` sends nothing, `error` raises.

    Returns:
        New messages, in order.

    Raises:
        KimiRequestError: Something the server would refuse: no messages, an unknown role, a tool call without an
            answer, an answer without a call.
    """
    if not messages:  # "Invalid request: messages must not be empty"
        raise KimiRequestError("There are no messages to send.")
    if not profile.is_kimi:
        return [dict(message) for message in messages]
    rendered = [_render_message(message, index, profile) for index, message in enumerate(messages)]
    kept = [message for index, message in enumerate(rendered) if not _is_left_out(message, index)]
    if not kept:
        raise KimiRequestError("Every message is empty; there is nothing to send.")
    if len(kept) < len(rendered):
        logger.debug("left out %d empty messages", len(rendered) - len(kept))
    if any("tool_calls" in message or message["role"] == "tool" for message in kept):
        _pair_tool_messages(kept)
        if profile.needs_reasoning and thinking:
            _fill_missing_reasoning(kept, missing_reasoning)
    return kept


def _render_message(message: Mapping[str, Any], index: int, profile: Profile) -> JSON:
    role = _ROLES.get(message.get("role", ""))
    if role is None:
        raise KimiRequestError(f"Message {index} has the role {message.get('role')!r}; Kimi knows {sorted(_ROLES)}.")
    rendered = {**{key: message[key] for key in _KEYS if key in message}, **message, "role": role}
    if isinstance(message.get("content"), list):
        rendered["content"] = _render_parts(message["content"], index, profile)
    if role == "assistant":
        _render_assistant(rendered)
    elif role == "tool":
        # Leaving the key out is refused where "" is taken (EYHN/kwwk#142).
        rendered["content"] = rendered.get("content") or ""
    return rendered


def _render_assistant(message: JSON) -> None:
    """Bring a (copied) assistant message into the form that every report accepts."""
    calls = message.pop("tool_calls", None)
    if calls:
        message["tool_calls"] = [_render_call(call) for call in calls]
    if _is_blank(message.get("content")) and (calls or message.get("content") is None):
        # 400 "text content is empty" for an empty part beside tool calls (BerriAI/litellm#42186); reports on `""`
        # contradict each other (MoonshotAI/kimi-cli#2621), leaving the key out was never refused.
        message.pop("content", None)


def _render_call(call: Mapping[str, Any]) -> JSON:
    function = call["function"]
    written = function.get("arguments") or "{}"
    arguments = replay_arguments(written)
    if arguments is not written:
        logger.debug("wrote the malformed arguments of tool call %r anew", call.get("id"))
    return {
        "id": call.get("id"),
        "type": call.get("type") or "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


def _render_parts(parts: Iterable[Any], index: int, profile: Profile) -> str | list[JSON]:
    """Content parts without empty texts ("text content is empty"), as plain text where there is nothing else."""
    kept: list[JSON] = []
    for part in parts:
        part = {"type": "text", "text": part} if isinstance(part, str) else part
        if part.get("type") == "text":
            if part.get("text"):
                kept.append({"type": "text", "text": part["text"]})
        else:
            kept.append(_check_media(part, index, profile))
    if len(kept) == 1 and kept[0]["type"] == "text":
        return str(kept[0]["text"])
    return kept or ""


def _check_media(part: JSON, index: int, profile: Profile) -> JSON:
    kind = part.get("type")
    takes = {"image_url": profile.images, "video_url": profile.video}
    if kind not in takes:
        raise KimiRequestError(f"Message {index} has a content part of type {kind!r}; Kimi takes {['text', *takes]}.")
    if not takes[kind]:  # "the message at position 1 with role 'user' contains an invalid part type: video_url"
        raise KimiRequestError(f"Message {index} has a part of type {kind!r}, which {profile.family} does not take.")
    value = part.get(kind)
    url = value.get("url") if isinstance(value, Mapping) else value
    if not (isinstance(url, str) and url.startswith(("data:", "ms://"))):
        # "Invalid request: unsupported image url: https://..." (OpenHands/software-agent-sdk#3155)
        raise KimiRequestError(
            f"Message {index} points to {str(url)[:80]!r}; Kimi fetches nothing from the web. Send the file's bytes as "
            "base64 ('data:image/png;base64,...'), or upload it and send 'ms://<file id>'."
        )
    return part


def _is_blank(content: Any) -> bool:
    return not content or (isinstance(content, str) and not content.strip())


def _is_left_out(message: JSON, index: int) -> bool:
    """Whether a message says nothing, and may be left out for that.

    "Invalid request: the message at position N with role 'assistant' must not be empty" (anomalyco/opencode#37887); a
    session with one such message fails forever. Empty prompts are refused too (platform.kimi.com/docs/api/chat).
    """
    role, content = message["role"], message.get("content")
    if role == "assistant":
        return _is_blank(content) and not message.get("tool_calls") and not message.get("partial")
    if role == "user" and not content:
        raise KimiRequestError(f"Message {index} is from the user and empty; Kimi takes no empty messages.")
    return role == "system" and not content and not message.get("tools")


def _pair_tool_messages(messages: list[JSON]) -> None:
    """Check that every tool call is answered, and give a repeated id a number of its own, in call and answer.

    Kimi counts ids anew in every answer (`list_dir:0` in turn 1 and in turn 2), and has refused two equal ones in one
    conversation: "tool call id write:XXX is duplicated" (openclaw/openclaw#51148). The first of its kind stays as it
    is, since changed ids make models call tools less reliably (openclaw/openclaw#70030).
    """
    taken: set[str] = set()
    waiting: dict[str, list[str]] = {}  # the caller's id -> ids on the wire that are still to be answered, in order
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            unanswered = waiting.get(message.get("tool_call_id") or "")
            if not unanswered:  # "Invalid request: tool_call_id  is not found"
                raise KimiRequestError(
                    f"Message {index} answers the tool call {message.get('tool_call_id')!r}, which is not one of the "
                    "assistant message before it, or is already answered."
                )
            message["tool_call_id"] = unanswered.pop(0)
            continue
        _check_answered(waiting)
        waiting = {}
        for call in message.get("tool_calls", ()):
            waiting.setdefault(call["id"] or "", []).append(_claim_id(call, taken))
    _check_answered(waiting)


def _claim_id(call: JSON, taken: set[str]) -> str:
    """Make the id of a (copied) call unique in the conversation, the same way each time.

    `list_dir:0` becomes the next free `list_dir:1`, so that an id keeps the form its model writes.
    """
    unique = call["id"] or f"{call['function']['name']}:0"
    numbered = _NUMBERED_ID.fullmatch(unique)
    stem, number = (numbered[1], int(numbered[2])) if numbered else (f"{unique}_", 0)
    while unique in taken:
        number += 1
        unique = f"{stem}{number}"
    taken.add(unique)
    call["id"] = unique
    return str(unique)


def _check_answered(waiting: Mapping[str, list[str]]) -> None:
    missing = [call_id for call_ids in waiting.values() for call_id in call_ids]
    if missing:
        # "an assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.
        # The following tool_call_ids did not have response messages: Shell:58" (MoonshotAI/kimi-cli#1977)
        raise KimiRequestError(
            f"The tool calls {missing} have no answer. Every tool call needs a tool message right after the assistant "
            "message that made it: add them, or drop that message."
        )


def _fill_missing_reasoning(messages: list[JSON], policy: str) -> None:
    """Apply the missing-reasoning policy to (copied) assistant messages with tool calls."""
    if policy == "omit":
        return
    for index, message in enumerate(messages):
        if message.get("tool_calls") and message.get("reasoning_content") is None:
            if policy == "error":
                raise KimiRequestError(
                    f"Message {index} calls tools but has lost its reasoning_content; keep the assistant message as it "
                    "came, or set missing_reasoning='placeholder'."
                )
            logger.debug("message %d calls tools without its reasoning: sent a placeholder", index)
            message["reasoning_content"] = PLACEHOLDER
