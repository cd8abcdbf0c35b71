"""Rules about tools and tool_choice.

Sources: https://platform.kimi.ai/docs/guide/use-kimi-api-to-complete-tool-calls and
https://platform.kimi.ai/docs/guide/use-tool-choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..families import When
from ..request import ChatRequest, Rejected, Rule, function_of, illegal

MAX_TOOLS = 128
INVALID_NAME = (
    "function name is invalid, must start with a letter and can contain letters, numbers, underscores, and dashes"
)
# The documented expression also lets an underscore begin a name; the server's own words (kimi-cli#1773) do not.
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")


def _all_tools(request: ChatRequest) -> list[Mapping[str, Any]]:
    return request.tools + request.dynamic_tools


def _functions(request: ChatRequest) -> list[Mapping[str, Any]]:
    return [function_of(tool) for tool in _all_tools(request) if tool.get("type") == "function"]


def tools_are_a_list_of_objects(request: ChatRequest) -> None:
    """As in https://platform.kimi.ai/docs/api/chat, dynamic tools included."""
    lists = [("tools", request.body.get("tools"))]
    lists += [("messages.tools", message.get("tools")) for message in request.messages]
    for field, tools in lists:
        if tools is None:
            continue
        if not isinstance(tools, list) or not all(isinstance(tool, Mapping) for tool in tools):
            raise illegal(field, "[]object", tools)


def tools_are_not_too_many(request: ChatRequest) -> None:
    """At most 128: https://platform.kimi.ai/docs/api/chat.

    Wording ours, after "stop array too long. Expected an array with maximum length 5, but got 6".
    """
    count = len(_all_tools(request))
    if count > MAX_TOOLS:
        raise Rejected(f"tools array too long. Expected an array with maximum length {MAX_TOOLS}, but got {count}")


def tool_types_are_known(request: ChatRequest) -> None:
    """Recorded with a tool that has no type.

    "Invalid request: unknown tool type: , currently only function and plugin are supported". `builtin_function` is
    accepted all the same, for names that begin with `$`: https://platform.kimi.ai/docs/guide/use-web-search.
    """
    for tool in _all_tools(request):
        name = function_of(tool).get("name")
        builtin = tool.get("type") == "builtin_function" and isinstance(name, str) and name.startswith("$")
        if tool.get("type") not in ("function", "plugin") and not builtin:
            raise Rejected(
                f"Invalid request: unknown tool type: {tool.get('type') or ''}, "
                "currently only function and plugin are supported"
            )


def function_names_are_valid(request: ChatRequest) -> None:
    """kimi-cli#1773.

    "function name is invalid, must start with a letter and can contain letters, numbers, underscores, and dashes"
    """
    for function in _functions(request):
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Rejected(INVALID_NAME)


def function_names_are_unique(request: ChatRequest) -> None:
    """https://platform.kimi.ai/docs/api/chat: "function name get_weather is duplicated"."""
    seen: set[str] = set()
    for tool in _all_tools(request):
        name = str(function_of(tool).get("name"))
        if name in seen:
            raise Rejected(f"function name {name} is duplicated")
        seen.add(name)


def parameters_describe_an_object(request: ChatRequest) -> None:
    """MiqroForge#1165: 'tools.function.parameters.type is required and must be "object"'."""
    for function in _functions(request):
        parameters = function.get("parameters")
        if not isinstance(parameters, Mapping) or parameters.get("type") != "object":
            raise Rejected('tools.function.parameters.type is required and must be "object"')


def tools_are_supported(request: ChatRequest) -> None:
    """kimi-thinking-preview took no tools: https://platform.kimi.ai/docs/api/models-overview. Wording ours."""
    if _all_tools(request) and not request.family.takes_tools:
        raise Rejected(f"tools is not supported by model {request.model}")


def no_functions_of_the_old_kind(request: ChatRequest) -> None:
    """`functions` and `function_call` are not supported: https://platform.kimi.ai/docs/api/chat.

    Wording ours, after "Invalid request: logit_bias is not supported yet".
    """
    for name in ("functions", "function_call"):
        if request.body.get(name) is not None:
            raise Rejected(f"Invalid request: {name} is not supported yet")


def _named(choice: Any) -> str | None:
    """Return the function a choice names, or None if it is malformed."""
    if not isinstance(choice, Mapping) or choice.get("type") not in ("function", "builtin_function"):
        return None
    name = function_of(choice).get("name")
    return name if isinstance(name, str) and name else None


def tool_choice_is_known(request: ChatRequest) -> None:
    """auto, none, required or one function: https://platform.kimi.ai/docs/guide/use-tool-choice. Wording ours."""
    choice = request.body.get("tool_choice")
    if choice is not None and choice not in ("auto", "none", "required") and _named(choice) is None:
        said = choice if isinstance(choice, str) else "object"
        raise Rejected(f"Invalid request: unknown tool_choice: {said}, expected auto, none, required or a function")


def forced_choices_have_tools(request: ChatRequest) -> None:
    """`required` needs a tool, dynamic ones included: https://platform.kimi.ai/docs/guide/use-tool-choice.

    Wording ours, also for a named function that is not among the tools.
    """
    choice = request.body.get("tool_choice")
    if choice in (None, "auto", "none"):
        return
    names = {function_of(tool).get("name") for tool in _all_tools(request)}
    if not names:
        raise Rejected("Invalid request: tool_choice needs at least one tool")
    if choice != "required" and _named(choice) not in names:
        raise Rejected(f"Invalid request: tool_choice names a function that is not among the tools: {_named(choice)}")


def forced_choices_fit_the_model(request: ChatRequest) -> None:
    """Thinking models are not to be forced; the K3 family may be, without saying which tool.

    AstrBot#7805: "tool_choice 'required' is incompatible with thinking enabled"; for a named function,
    https://platform.kimi.ai/docs/guide/use-tool-choice: "tool_choice 'specified' is incompatible with thinking
    enabled". K2.5 and K2.6 take both with thinking off: inspect_ai#5152. For older models without thinking, reports
    contradict each other (inspect_ai#5152 against the older tool use page); the stricter holds here, wording ours.
    """
    choice = request.body.get("tool_choice")
    if choice in (None, "auto", "none"):
        return
    said = "required" if choice == "required" else "specified"
    when = request.family.required_choice if choice == "required" else request.family.named_choice
    if _holds(when, request.thinking):
        return
    if request.thinking:
        raise Rejected(f"tool_choice '{said}' is incompatible with thinking enabled")
    raise Rejected(f"tool_choice '{said}' is not supported by model {request.model}")


def _holds(when: When, thinking: bool) -> bool:
    return when == "always" or (when == "thinking off" and not thinking)


RULES: tuple[Rule, ...] = (
    tools_are_a_list_of_objects,
    tools_are_supported,
    tools_are_not_too_many,
    tool_types_are_known,
    function_names_are_valid,
    function_names_are_unique,
    parameters_describe_an_object,
    no_functions_of_the_old_kind,
    tool_choice_is_known,
    forced_choices_have_tools,
    forced_choices_fit_the_model,
)
