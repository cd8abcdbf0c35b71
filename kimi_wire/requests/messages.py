"""A conversation on its way out: messages in the API's form, made acceptable to the server on copies.

Adapters hand over messages that already look like the API's (`{"role": ..., "content": ...}`), as their framework holds
them; this module knows what the server refuses. The same history gives the same bytes each time, and a turn added at
the end changes nothing before it, so that the server's prefix cache goes on hitting.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from kimi_wire.arguments import replay_arguments, send_arguments
from kimi_wire.errors import KimiRequestError
from kimi_wire.hosts import MEDIA_URLS
from kimi_wire.json_values import JSON
from kimi_wire.profiles import Profile
from kimi_wire.requests.call_ids import CallIds
from kimi_wire.requests.known import Known
from kimi_wire.requests.names import ToolNames, is_builtin
from kimi_wire.requests.parts import render_parts
from kimi_wire.requests.tools import render_dynamic_tools
from kimi_wire.settings import Notice

logger = logging.getLogger("kimi_wire")

# "developer" fails on Moonshot's API (openclaw/openclaw#3475); LangChain and OpenAI clients use it for system prompts.
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}

PLACEHOLDER = " "
"""Stands for reasoning that is lost. `""` was refused like a missing one in spring 2026 (theopenco/llmgateway#2093);
a space was accepted in every report. Neither the answer's text nor another turn's reasoning may fill the gap: the model
then repeats itself (kaitranntt/CLIProxyAPIPlus#222, Datus-ai/Datus-agent#1400)."""

_KEYS = ("role", "name", "content", "reasoning_content", "tool_calls", "tool_call_id")  # in one order, for the cache
_IN_ORDER = frozenset(
    keys for count in range(len(_KEYS) + 1) for keys in itertools.combinations(_KEYS, count)
)  # what only has to be copied, which is most of every conversation

NOT_RUN = "Error: this tool call was not run."
"""Answers a tool call that has no answer."""


def render_messages(
    messages: Sequence[Mapping[str, Any]],
    profile: Profile,
    *,
    unanswered_tool_calls: str = "warn",
    media_urls: tuple[str, ...] = MEDIA_URLS,
    known: Known | None = None,
    notices: list[Notice] | None = None,
) -> list[JSON]:
    """Render a conversation for the request, but for reasoning that is lost (`fill_missing_reasoning`).

    Args:
        messages: Messages in the API's form; they are not changed.
        profile: The family they go to.
        unanswered_tool_calls: What to do about a tool call without an answer: `error` raises, `repair` answers it with
            an error of the tool's (`NOT_RUN`); `warn` does so where the conversation went on, with a notice: frameworks
            drop calls whose arguments are broken, and people change the subject.
        media_urls: How the URLs of images and videos may begin: the host takes them, or they are fetched later.
        known: What is known of the request; the ids and the names of the conversation's calls are put to it.
        notices: What the caller should know is put to them.

    Returns:
        New messages, in order.

    Raises:
        KimiRequestError: Something the server would refuse: no messages, an unknown role, a tool call without an
            answer, an answer without a call, an image of a format it does not take.
    """
    if not messages:  # "Invalid request: messages must not be empty"
        raise KimiRequestError("There are no messages to send.")
    known = Known() if known is None else known
    kept = render_each(messages, profile, media_urls=media_urls, names=known.names)
    if not kept:
        raise KimiRequestError("Every message is empty; there is nothing to send.")
    if len(kept) < len(messages):
        logger.debug("left out %d empty messages", len(messages) - len(kept))
    made_up: list[str] = []
    paired = _pair_tool_messages(kept, known.ids, unanswered_tool_calls, made_up)
    if made_up and notices is not None and unanswered_tool_calls == "warn":
        notices.append(Notice("unanswered_tool_calls", _EXPLAIN_UNANSWERED.format(made_up)))
    return paired


def render_each(
    messages: Sequence[Mapping[str, Any]],
    profile: Profile,
    *,
    media_urls: tuple[str, ...] = MEDIA_URLS,
    names: ToolNames | None = None,
) -> list[JSON]:
    """Render messages one by one, without those that are empty; which of them belong together is not looked at.

    Args:
        messages: Messages in the API's form; they are not changed.
        profile: The family they go to.
        media_urls: How the URLs of images and videos may begin.
        names: The names of the request's tools; those of the messages' calls are put to it.

    Raises:
        KimiRequestError: A role or a part that the server would refuse.
    """
    names = ToolNames() if names is None else names
    last = len(messages) - 1
    rendered = [
        _render_message(message, index, profile, media_urls, names, is_last=index == last)
        for index, message in enumerate(messages)
    ]
    return [message for index, message in enumerate(rendered) if not _is_left_out(message, index)]


def _render_message(
    message: Mapping[str, Any],
    index: int,
    profile: Profile,
    media_urls: tuple[str, ...],
    names: ToolNames,
    *,
    is_last: bool,
) -> JSON:
    role = _ROLES.get(message.get("role", ""))
    if role is None:
        raise KimiRequestError(f"Message {index} has the role {message.get('role')!r}; Kimi knows {sorted(_ROLES)}.")
    if role != message["role"]:
        logger.debug("message %d: sent the role %r as %r", index, message["role"], role)
    if tuple(message) in _IN_ORDER:
        rendered = dict(message)
    else:
        rendered = {key: message[key] for key in _KEYS if key in message} | dict(message)
    rendered["role"] = role
    if isinstance(content := rendered.get("content"), list):
        rendered["content"] = render_parts(content, index, role, profile, media_urls)
    if "tools" in rendered and rendered.pop("tools"):
        rendered["tools"] = render_dynamic_tools(message, index, profile, names)
        rendered.pop("content", None)  # the documented form has no such key; nothing but "" gets here
    if role == "assistant":
        if "partial" in rendered:
            _render_beginning(rendered, index, is_last)
        _render_assistant(rendered, index, names)
    elif role == "tool":
        # Leaving the key out is refused where "" is taken (EYHN/kwwk#142).
        rendered["content"] = rendered.get("content") or ""
        if isinstance(name := rendered.get("name"), str):
            rendered["name"] = names.sent(name)
    return rendered


def _render_beginning(message: JSON, index: int, is_last: bool) -> None:
    """Write the beginning of an answer as one text, and take the mark off one that the conversation went on after."""
    if message["partial"] and is_last:
        content = message.get("content") or ""
        message["content"] = content if isinstance(content, str) else "".join(part["text"] for part in content)
    elif message.pop("partial"):
        logger.debug("message %d: took the mark `partial` off an answer that is not the last message", index)


def _render_assistant(message: JSON, index: int, names: ToolNames) -> None:
    """Bring a (copied) assistant message into the form that every report accepts."""
    if calls := message.pop("tool_calls", None):
        message["tool_calls"] = [_render_call(call, names) for call in calls]
    content = message.get("content")
    if (calls or content is None) and _is_blank(content):
        blank = message.pop("content", None)
        # 400 "text content is empty" for an empty part beside tool calls (BerriAI/litellm#42186); reports on `""`
        # contradict each other (MoonshotAI/kimi-cli#2621). Whether the key is left out or null is the host's.
        if blank is not None:
            logger.debug("message %d: left out the blank text beside its tool calls", index)


def _render_call(call: Mapping[str, Any], names: ToolNames) -> JSON:
    function = call["function"]
    written = function.get("arguments") or "{}"
    if not isinstance(written, str):
        written = send_arguments(written, function["name"])
    arguments = replay_arguments(written)
    if arguments is not written:
        logger.debug("wrote the malformed arguments of tool call %r anew", call.get("id"))
    return {
        "id": call.get("id"),
        "type": call.get("type") or "function",
        "function": {"name": names.sent(function["name"]), "arguments": arguments},
    }


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


_EXPLAIN_UNANSWERED = (
    "The tool calls {} have no answer in the conversation; the model is told that they were not run. "
    "unanswered_tool_calls='repair' says nothing about it, 'error' raises."
)


def _pair_tool_messages(messages: list[JSON], ids: CallIds, unanswered: str, made_up: list[str]) -> list[JSON]:
    """Check that every tool call is answered, and give a repeated id a number of its own, in call and answer.

    Args:
        messages: (Copied) messages.
        ids: Takes the ids of the calls.
        unanswered: What to do about answers that are missing.
        made_up: Takes the caller's ids of calls that are answered here.

    Returns:
        The same messages, and what is added after the answers to calls.
    """
    waiting: dict[str, list[JSON]] = {}  # the caller's id -> calls that are still to be answered, in order
    media: list[JSON] = []
    paired: list[JSON] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            called = waiting.get(message.get("tool_call_id") or "")
            if not called:  # "Invalid request: tool_call_id  is not found"
                raise KimiRequestError(
                    f"Message {index} answers the tool call {message.get('tool_call_id')!r}, which is not one of the "
                    "assistant message before it, or is already answered."
                )
            _answer(called.pop(0), message)
            media += _take_media(message)
        else:
            if waiting:
                paired += _end_round(waiting, media, unanswered, made_up)
                waiting, media = {}, []
            for call in message.get("tool_calls", ()):
                waiting.setdefault(call["id"] or "", []).append(call)
                _claim_id(call, ids)
        paired.append(message)
    if unanswered == "warn" and messages[-1]["role"] == "assistant":
        unanswered = "error"  # nothing came after the calls: somebody has forgotten to run them
    return paired + _end_round(waiting, media, unanswered, made_up)


def _answer(call: JSON, message: JSON) -> None:
    """Make a (copied) tool message the answer to a (copied) call.

    A builtin function runs on the server, which wants to have the arguments back as it wrote them, byte for byte, and
    nothing else (https://platform.kimi.ai/docs/guide/use-web-search). Frameworks hand tools what they parsed, so the
    one place that knows the bytes is here; whatever the tool answered is replaced.
    """
    message["tool_call_id"] = call["id"]
    name = call["function"]["name"]
    if is_builtin(name):
        arguments = call["function"]["arguments"]
        if message["content"] != arguments:
            logger.debug("answered the builtin function call %r with its own arguments", call["id"])
        message |= {"name": name, "content": arguments}


def _claim_id(call: JSON, ids: CallIds) -> None:
    """Make the id of a (copied) call unique in the conversation."""
    unique = ids.claim(call["id"] or f"{call['function']['name']}:0")
    if unique != call["id"]:
        logger.debug("sent the tool call id %r as %r", call["id"], unique)
    call["id"] = unique


def _take_media(message: JSON) -> list[JSON]:
    """Take pictures and videos out of a tool message, for the user message that comes after the answers.

    In a tool message they were refused or lost: "text content is empty" (MoonshotAI/kimi-cli#1663,
    vllm-project/vllm#43203); Moonshot's own client moves them too (MoonshotAI/kimi-code#632).
    """
    parts = message["content"]
    if not isinstance(parts, list):
        return []
    texts = [part["text"] for part in parts if part["type"] == "text"]
    media = [part for part in parts if part["type"] != "text"]
    if media:
        call_id = message["tool_call_id"]
        logger.debug("moved the media of the answer to tool call %r into a user message", call_id)
        media.insert(0, {"type": "text", "text": f"Attached to the result of tool call {call_id}:"})
        texts.append("(attached in the next user message)")
    message["content"] = "\n".join(texts)
    return media


def _end_round(waiting: Mapping[str, list[JSON]], media: list[JSON], unanswered: str, made_up: list[str]) -> list[JSON]:
    """What comes after the answers to an assistant message's calls: those that nobody gave, and the answers' media."""
    missing = [call_id for call_id, calls in waiting.items() for _ in calls]
    added: list[JSON] = []
    if missing:
        if unanswered == "error":
            # "an assistant message with 'tool_calls' must be followed by tool messages responding to each
            # 'tool_call_id'. The following tool_call_ids did not have response messages: Shell:58"
            # (MoonshotAI/kimi-cli#1977)
            raise KimiRequestError(
                f"The tool calls {missing} have no answer. Every tool call needs a tool message right after the "
                "assistant message that made it: add them, drop that message, or set unanswered_tool_calls='repair'."
            )
        made_up += missing
        added = [_made_up_answer(call) for calls in waiting.values() for call in calls]
        logger.debug("answered the tool calls %s with an error, as nobody had", missing)
    return [*added, {"role": "user", "content": media}] if media else added


def _made_up_answer(call: JSON) -> JSON:
    answer: JSON = {"role": "tool", "tool_call_id": call["id"], "content": NOT_RUN}
    _answer(call, answer)
    return answer


def fill_missing_reasoning(messages: list[JSON], policy: str, *, preserved: bool) -> list[JSON]:
    """Make up for reasoning that is lost, in a conversation with a model that thinks.

    "preserved thinking (thinking.keep=all) requires reasoning_content on every assistant message, but assistant message
    at index 6 is missing reasoning_content" (MoonshotAI/kimi-cli PR2498): examples, summaries and memories have none.
    Where earlier thinking is not shown to the model, plain answers never needed theirs.

    Args:
        messages: (Copied) messages.
        policy: What to do about an assistant message without the reasoning that it needs: `placeholder` sends a space,
            `omit` sends nothing, `error` raises.
        preserved: Every assistant message needs it, and not only those with tool calls; but for the beginning of an
            answer, which the model still thinks about only where it has none (the guide to Partial Mode).

    Returns:
        The same messages, none of them without.

    Raises:
        KimiRequestError: One has lost its reasoning, and the policy is `error`.
    """
    if policy == "omit":
        return messages
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or message.get("reasoning_content") is not None:
            continue
        calls = message.get("tool_calls")
        if calls or (preserved and not message.get("partial")):
            what = "calls tools" if calls else "is an assistant's"
            if policy == "error":
                raise KimiRequestError(
                    f"Message {index} {what} but has lost its reasoning_content; keep the assistant message as it "
                    "came, or set missing_reasoning='placeholder'."
                )
            logger.debug("message %d %s without its reasoning: sent a placeholder", index, what)
            message["reasoning_content"] = PLACEHOLDER
    return messages
