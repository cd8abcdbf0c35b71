"""Rules about the messages one by one: roles, content, what may be empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..request import ChatRequest, Rejected, Rule, by_role, illegal, kind, parts, tool_calls
from ..tokens import CACHE_SECONDS

_ROLES = ("system", "user", "assistant", "tool")


def messages_are_given(request: ChatRequest) -> None:
    """Recorded on kimi-k3: "Invalid request: messages must not be empty"."""
    messages = request.body.get("messages")
    if messages is None or messages == []:
        raise Rejected("Invalid request: messages must not be empty")
    if not isinstance(messages, list):
        raise illegal("messages", "[]object", messages)
    for message in messages:
        if not isinstance(message, Mapping):
            raise illegal("messages", "[]object", [message])


def roles_are_known(request: ChatRequest) -> None:
    """Roles are system, user, assistant and tool: https://platform.kimi.ai/docs/api/chat.

    openclaw#3475: "developer" is not supported. Wording ours.
    """
    for at, message in enumerate(request.messages):
        role = message.get("role")
        if role not in _ROLES:
            raise Rejected(
                f"Invalid request: the message at position {at} has an unsupported role '{role}', "
                f"expected one of {', '.join(_ROLES)}"
            )


def content_has_a_legal_type(request: ChatRequest) -> None:
    """Content is text or a list of parts.

    kimi-cli#788: "Invalid request: the `messages.content` field in the request (expected type []object) is illegal,
    and object is not acceptable".
    """
    for message in request.messages:
        content = message.get("content")
        if kind(content) not in ("string", "array", "null"):
            raise illegal("messages.content", "[]object", content)
        for part in content if isinstance(content, list) else ():
            if not isinstance(part, Mapping):
                raise illegal("messages.content", "[]object", part)


def _has_content(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    return content != "" and content != [] and content is not None


def _is_only_blank_text(message: Mapping[str, Any]) -> bool:
    """Whether a message has text content, all of it blank."""
    content = message.get("content")
    if isinstance(content, str):
        return not content.strip()
    return isinstance(content, list) and all(
        part.get("type") == "text" and not str(part.get("text") or "").strip() for part in parts(message)
    )


def _must_not_be_empty(at: int, role: str) -> Rejected:
    return Rejected(f"Invalid request: the message at position {at} with role '{role}' must not be empty")


def assistant_messages_are_not_empty(request: ChatRequest) -> None:
    """An assistant message says or calls something, whatever it thought.

    AstrBot#7200: "Invalid request: the message at position 8 with role 'assistant' must not be empty". The prefix of
    a partial answer may be empty: https://platform.kimi.com/docs/guide/use-partial-mode-feature-of-kimi-api.
    """
    for at, message in by_role(request, "assistant"):
        if not (_has_content(message) or message.get("tool_calls") or message.get("partial") is True):
            raise _must_not_be_empty(at, "assistant")


def user_and_system_messages_are_not_empty(request: ChatRequest) -> None:
    """Content must not be empty: https://platform.kimi.com/docs/api/chat ("content 不得为空").

    A system message that brings tools has none: https://platform.kimi.ai/docs/guide/use-dynamic-tool-loading.
    """
    for at, message in by_role(request, "user", "system"):
        if not _has_content(message) and "tools" not in message:
            raise _must_not_be_empty(at, str(message["role"]))


def text_parts_are_not_empty(request: ChatRequest) -> None:
    """An empty text part is refused in every role.

    litellm#42186, kimi-cli#1663: "Invalid request: text content is empty".
    """
    for message in request.messages:
        for part in parts(message):
            if part.get("type") == "text" and not part.get("text"):
                raise Rejected("Invalid request: text content is empty")


def content_beside_tool_calls_is_not_blank(request: ChatRequest) -> None:
    """Blank content beside tool calls is refused; leaving the key out, or null, is fine.

    Contested: litellm#42186 saw `""` accepted, and so did Librazy/hermoonshotes beside a `$web_search` call on
    kimi-k2.5; kimi-cli#2621 saw the replay of `""` refused with "text content is empty". The stricter report holds
    here, because leaving the key out is accepted in all of them.
    """
    for _, message in by_role(request, "assistant"):
        if tool_calls(message) and _is_only_blank_text(message):
            raise Rejected("Invalid request: text content is empty")


def tool_messages_have_content(request: ChatRequest) -> None:
    """A tool message has the key `content`; `""` and `[]` are accepted.

    kwwk#142: a tool result without it is a 400 "Invalid request Error". Wording ours.
    """
    for at, message in by_role(request, "tool"):
        if message.get("content") is None:
            raise Rejected(f"Invalid request: the message at position {at} with role 'tool' must have content")


def names_are_text(request: ChatRequest) -> None:
    """`name` is a string, that of a role to play as much as that of a user: https://platform.kimi.ai/docs/api/chat."""
    for message in request.messages:
        name = message.get("name")
        if name is not None and not isinstance(name, str):
            raise illegal("messages.name", "string", name)


def partial_is_last(request: ChatRequest) -> None:
    """`partial` is a field of the last message, an assistant one.

    https://platform.kimi.com/docs/guide/use-partial-mode-feature-of-kimi-api. Wording ours.
    """
    last = len(request.messages) - 1
    for at, message in enumerate(request.messages):
        partial = message.get("partial")
        if partial is None or partial is False:
            continue
        if partial is not True:
            raise illegal("messages.partial", "bool", partial)
        if at != last or message.get("role") != "assistant":
            raise Rejected(
                f"Invalid request: the message at position {at} is partial, "
                "only the last message with role 'assistant' can be"
            )


def partial_is_supported(request: ChatRequest) -> None:
    """kimi-thinking-preview had no Partial Mode: https://platform.kimi.ai/docs/api/models-overview. Wording ours."""
    if request.partial is not None and not request.family.partial:
        raise Rejected(f"partial is not supported by model {request.model}")


def cache_options(request: ChatRequest) -> None:
    """`prompt_cache_options` says how long: MoonshotAI/kimi-code#3942. Wording ours.

    Other families pass it over, as they do every field that they do not know.
    """
    options = request.body.get("prompt_cache_options")
    if options is None or not request.family.bills_writes:
        return
    if not isinstance(options, dict):
        raise illegal("prompt_cache_options", "object", options)
    if options.get("mode", "implicit") != "implicit" or options.get("ttl", "5m") not in CACHE_SECONDS:
        raise Rejected("Invalid request: prompt_cache_options takes mode 'implicit' and ttl '5m' or '1h'")


def no_cache_breakpoints(request: ChatRequest) -> None:
    """`prompt_cache_breakpoint` inside content is a 400: https://platform.kimi.com/docs/api/chat. Wording ours."""
    for message in request.messages:
        if any("prompt_cache_breakpoint" in part for part in parts(message)):
            raise Rejected("Invalid request: prompt_cache_breakpoint is not supported")


RULES: tuple[Rule, ...] = (
    messages_are_given,
    roles_are_known,
    content_has_a_legal_type,
    names_are_text,
    partial_is_last,
    partial_is_supported,
    assistant_messages_are_not_empty,
    user_and_system_messages_are_not_empty,
    text_parts_are_not_empty,
    content_beside_tool_calls_is_not_blank,
    tool_messages_have_content,
    no_cache_breakpoints,
    cache_options,
)
