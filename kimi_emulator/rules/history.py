"""Rules about messages in their order: tool calls and their answers, reasoning sent back.

Source: https://platform.kimi.ai/docs/guide/use-kimi-api-to-complete-tool-calls and
https://platform.kimi.ai/docs/guide/use-thinking-models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..request import ChatRequest, Rejected, Rule, by_role, function_of, illegal, text_of, tool_calls
from ..sealed import BEGIN, END, decrypt
from .tools import INVALID_NAME


def _rounds(request: ChatRequest) -> Iterator[tuple[list[str], list[str]]]:
    """Yield for each assistant message its call ids and the ids answered right after it."""
    messages = request.messages
    for at, message in by_role(request, "assistant"):
        answers: list[str] = []
        for follower in messages[at + 1 :]:
            if follower.get("role") != "tool":
                break
            answers.append(_text(follower.get("tool_call_id")))
        yield [_text(call.get("id")) for call in tool_calls(message)], answers


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def tool_calls_have_a_legal_type(request: ChatRequest) -> None:
    """Tool calls are a list of objects, as in https://platform.kimi.ai/docs/api/chat."""
    for _, message in by_role(request, "assistant"):
        calls = message.get("tool_calls")
        if calls is not None and (not isinstance(calls, list) or len(tool_calls(message)) < len(calls)):
            raise illegal("messages.tool_calls", "[]object", calls)


def called_functions_have_names(request: ChatRequest) -> None:
    """forgecode#1141: a call with the name "" is refused; the words are those of an invalid name, kimi-cli#1773."""
    for _, message in by_role(request, "assistant"):
        for call in tool_calls(message):
            name = function_of(call).get("name")
            if not isinstance(name, str) or not name:
                raise Rejected(INVALID_NAME)


def arguments_are_json_objects(request: ChatRequest) -> None:
    """Arguments in the history are JSON objects, written as text.

    kimi-cli#1378: control characters left unescaped in `arguments` fail every later request. Wording ours.
    """
    for at, message in by_role(request, "assistant"):
        for call in tool_calls(message):
            if not _is_json_object(function_of(call).get("arguments")):
                raise Rejected(
                    f"Invalid request: the message at position {at} with role 'assistant' has a tool call whose "
                    "function.arguments is not a valid JSON object"
                )


def _is_json_object(text: Any) -> bool:
    try:
        return isinstance(text, str) and isinstance(json.loads(text, parse_constant=_no_constant), dict)
    except (ValueError, RecursionError):
        return False


def _no_constant(name: str) -> None:
    """Refuse NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(name)


def call_ids_are_not_repeated(request: ChatRequest) -> None:
    """An id names one call in the whole conversation.

    openclaw#51593: "Invalid request: tool call id write:XXX is duplicated". Contested: the documentation calls ids
    local to their round. The stricter report holds here, because ids made unique are accepted in both.
    """
    seen: set[str] = set()
    for called, _ in _rounds(request):
        for id in called:
            if id in seen:
                raise Rejected(f"Invalid request: tool call id {id} is duplicated")
            seen.add(id)


def answers_belong_to_calls(request: ChatRequest) -> None:
    """Each tool message answers a call of the assistant message before it.

    langbot#1040: "Invalid request: tool_call_id  is not found" (two spaces: the id is empty).
    """
    open_ids: set[str] = set()
    for message in request.messages:
        if message.get("role") != "tool":
            open_ids = {_text(call.get("id")) for call in tool_calls(message)} - {""}
            continue
        id = _text(message.get("tool_call_id"))
        if id not in open_ids:
            raise Rejected(f"Invalid request: tool_call_id {id} is not found")


def calls_are_answered(request: ChatRequest) -> None:
    """Every tool call is answered right after its message.

    kimi-cli#2405: "an assistant message with 'tool_calls' must be followed by tool messages responding to each
    'tool_call_id'. The following tool_call_ids did not have response messages: Agent:0".
    """
    for called, answered in _rounds(request):
        given = set(answered)
        missing = [id for id in called if id not in given]
        if missing:
            raise Rejected(
                "an assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(missing)}"
            )


def builtin_calls_are_echoed(request: ChatRequest) -> None:
    """The answer to a builtin function's call is its arguments, character for character.

    https://platform.kimi.ai/docs/guide/use-web-search. The emulator's own strictness, and its own words: what the API
    does with another answer was not recorded.
    """
    open_calls: dict[str, Mapping[str, Any]] = {}
    for at, message in enumerate(request.messages):
        if message.get("role") != "tool":
            open_calls = {_text(call.get("id")): function_of(call) for call in tool_calls(message)}
            continue
        function = open_calls.get(_text(message.get("tool_call_id")), {})
        name = _text(function.get("name"))
        if name.startswith("$") and message.get("content") != function.get("arguments"):
            raise Rejected(
                f"Invalid request: the message at position {at} must echo the arguments of {name} unchanged "
                "(the emulator is strict here)"
            )


def encrypted_results_are_unchanged(request: ChatRequest) -> None:
    """Encrypted output of an official tool comes back as it was.

    https://platform.kimi.ai/docs/guide/use-official-tools. The emulator's own strictness, and its own words.
    """
    for at, message in by_role(request, "tool"):
        text = text_of(message)
        if (BEGIN in text or END in text) and decrypt(text) is None:
            raise Rejected(f"Invalid request: the message at position {at} has encrypted content that was changed")


def reasoning_is_text(request: ChatRequest) -> None:
    """`reasoning_content` is a string: https://platform.kimi.ai/docs/guide/use-thinking-models."""
    for _, message in by_role(request, "assistant"):
        reasoning = message.get("reasoning_content")
        if reasoning is not None and not isinstance(reasoning, str):
            raise illegal("messages.reasoning_content", "string", reasoning)


def reasoning_is_sent_back(request: ChatRequest) -> None:
    """A tool call made while thinking comes back with its reasoning, `""` included.

    picoclaw#588: "thinking is enabled but reasoning_content is missing in assistant tool call message at index 4".
    Contested: pi#4179 saw `""` refused in spring 2026, while Moonshot's own client fills gaps with it
    (kimi-code#1684), so `""` passes here and an absent key does not. kimi-k3 has never been seen to refuse either.
    """
    if not (request.family.replays_reasoning and request.thinking):
        return
    for at, message in by_role(request, "assistant"):
        if tool_calls(message) and message.get("reasoning_content") is None:
            raise Rejected(
                f"thinking is enabled but reasoning_content is missing in assistant tool call message at index {at}"
            )


def preserved_reasoning_is_whole(request: ChatRequest) -> None:
    """Where thinking is preserved, every assistant message has its reasoning, plain answers too; `""` passes.

    kimi-cli PR2498: "preserved thinking (thinking.keep=all) requires reasoning_content on every assistant message, but
    assistant message at index 6 is missing reasoning_content". kimi-k2.7-code keeps always, kimi-k2.6 where asked;
    kimi-k3 has never been seen to refuse. The beginning of an answer comes with reasoning only if the model shall not
    think anew: https://platform.kimi.com/docs/guide/use-partial-mode-feature-of-kimi-api.
    """
    setting = request.body.get("thinking")
    asked = isinstance(setting, Mapping) and setting.get("keep") == "all"
    family = request.family
    keeps = family.takes_keep and (asked or family.thinking == "always")
    if not (family.replays_reasoning and request.thinking and keeps):
        return
    for at, message in by_role(request, "assistant"):
        if message.get("reasoning_content") is None and message is not request.partial:
            raise Rejected(
                "preserved thinking (thinking.keep=all) requires reasoning_content on every assistant message, but "
                f"assistant message at index {at} is missing reasoning_content"
            )


def _brings_tools(message: Mapping[str, Any]) -> bool:
    return message.get("tools") is not None


def dynamic_tools_come_in_system_messages(request: ChatRequest) -> None:
    """Tools can be loaded by system messages without content, on the K3 family alone.

    https://platform.kimi.ai/docs/guide/use-dynamic-tool-loading: with content, "cannot be used with content".
    pydantic-ai#6977: "tokenization failed" on kimi-k2.6. The words for another role are ours.
    """
    for at, message in enumerate(request.messages):
        if not _brings_tools(message):
            continue
        if not request.family.dynamic_tools:
            raise Rejected("tokenization failed")
        if message.get("role") != "system":
            raise Rejected(f"Invalid request: the message at position {at} has tools, only role 'system' can")
        if message.get("content"):
            raise Rejected("Invalid request: tools cannot be used with content")


RULES: tuple[Rule, ...] = (
    tool_calls_have_a_legal_type,
    called_functions_have_names,
    arguments_are_json_objects,
    call_ids_are_not_repeated,
    answers_belong_to_calls,
    calls_are_answered,
    builtin_calls_are_echoed,
    encrypted_results_are_unchanged,
    reasoning_is_text,
    reasoning_is_sent_back,
    preserved_reasoning_is_whole,
    dynamic_tools_come_in_system_messages,
)
