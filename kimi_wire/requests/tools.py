"""Tools on their way out: checks, and how a forced choice reaches each family without being refused or let go."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON, shown
from kimi_wire.kinds import OBJECT, SWITCH, TEXT, check_kind
from kimi_wire.profiles import ForcedChoice, Profile
from kimi_wire.requests.known import NOTHING, Known
from kimi_wire.requests.names import ToolNames, is_builtin, is_legible
from kimi_wire.schema import normalise_schema

_LEGAL_NAMES = ToolNames()

MAX_TOOLS = 128  # https://platform.kimi.ai/docs/api/chat: "tools ... at most 128 functions"

_DECLARED = {"description": TEXT, "parameters": OBJECT, "strict": SWITCH}

WEB_SEARCH = "$web_search"
"""Moonshot's web search, which runs on the server: the caller answers its calls with their own arguments
(https://platform.kimi.ai/docs/guide/use-web-search)."""

WEB_SEARCH_DESCRIPTION = "Search the web. Runs inside of Kimi's API; the answer to a call is its own arguments."


def web_search_tool() -> JSON:
    """The declaration of `$web_search`, in the API's form."""
    return {"type": "builtin_function", "function": {"name": WEB_SEARCH}}


def render_tools(tools: Sequence[Mapping[str, Any]], profile: Profile, names: ToolNames | None = None) -> list[JSON]:
    """Check tool declarations and copy them into the request's form.

    Args:
        tools: Declarations in the API's form, `{"type": "function", "function": {...}}` or
            `{"type": "builtin_function", "function": {"name": "$web_search"}}`.
        profile: The family they go to.
        names: The names of the request's tools; None where these are all.

    Returns:
        The declarations as they are sent, in the same order.

    Raises:
        KimiRequestError: A declaration the server would refuse: a missing or repeated name, a type other than those
            two, more than 128 tools, or a family without tools.
    """
    if tools and not profile.tools:
        raise KimiRequestError(f"{profile.family} takes no tools; use another model for this call.")
    names = ToolNames(tools) if names is None else names
    rendered = [_render_tool(tool, names) for tool in tools]
    check_together(rendered, names)
    return rendered


def check_together(tools: Sequence[JSON], names: ToolNames) -> None:
    """Check the rendered tools of a request against each other, those of its messages included.

    Raises:
        KimiRequestError: There are more than 128, or two of one name.
    """
    if len(tools) > MAX_TOOLS:
        # "At path 'root': schema exceeds maximum allowed size" is all the server says (MoonshotAI/kimi-code#965).
        raise KimiRequestError(f"{len(tools)} tools were given; Kimi takes at most {MAX_TOOLS} in one request.")
    seen: set[str] = set()
    for tool in tools:
        name = tool["function"]["name"]
        if name in seen:  # "function name get_weather is duplicated"
            raise KimiRequestError(
                f"Two tools are called {names.own(name)!r}; tool names must be unique within a request, its messages "
                "included."
            )
        seen.add(name)


def message_tools(message: Mapping[str, Any], index: int) -> Sequence[Any]:
    """The tools that a message brings along, as they are given.

    Raises:
        KimiRequestError: They are no list.
    """
    tools = message.get("tools")
    if not tools:
        return ()
    if not isinstance(tools, Sequence) or isinstance(tools, (str, bytes)):
        raise KimiRequestError(f"The tools of message {index} must be a list of tools, not {tools!r}.")
    return tools


def loaded_tools(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The tools that all messages bring along, as they are given.

    Raises:
        KimiRequestError: They are no list.
    """
    if not [True for message in messages if "tools" in message]:  # as good as always
        return []
    return [tool for index, message in enumerate(messages) for tool in message_tools(message, index)]


def render_dynamic_tools(
    message: Mapping[str, Any], index: int, profile: Profile, names: ToolNames | None = None
) -> list[JSON]:
    """Render the tools that a message brings along, for the model to call from then on.

    Source: https://platform.kimi.ai/docs/guide/use-dynamic-tool-loading.

    Args:
        message: A message in the API's form; not changed.
        index: Its place in the conversation.
        profile: The family it goes to.
        names: The names of the request's tools; None where these are all.

    Returns:
        The full definitions, as they are sent; none for a message without `tools`.

    Raises:
        KimiRequestError: The server would refuse the message: another role than `system`, text beside the tools
            ("cannot be used with content"), or a tool it would refuse anywhere. (Other families refuse them all,
            "tokenization failed", pydantic/pydantic-ai#6977; they are not sent any, see `loaded`.)
    """
    tools = message_tools(message, index)
    if not tools:
        return []
    if message.get("role") not in ("system", "developer"):
        raise KimiRequestError(
            f"Message {index} brings tools along and has the role {message.get('role')!r}; only system messages can."
        )
    if says_something(message.get("content")):
        raise KimiRequestError(
            f"Message {index} has both text and tools; Kimi takes a system message with either. Make two of it."
        )
    rendered = render_tools(tools, profile, names)
    if any(is_builtin(tool["function"]["name"]) for tool in rendered):  # nothing says that these can be loaded
        raise KimiRequestError(f"Message {index} brings a builtin function along; declare it in the request's tools.")
    return rendered


def says_something(content: Any) -> bool:
    """Whether there is anything in a content but empty text parts.

    Args:
        content: The content of a message.
    """
    if not isinstance(content, list):
        return bool(content)
    return any(part and not (isinstance(part, Mapping) and part.get("text") == "") for part in content)


def _render_tool(tool: Mapping[str, Any], names: ToolNames) -> JSON:
    function = tool.get("function") if isinstance(tool, Mapping) else None
    if not isinstance(function, Mapping):
        raise KimiRequestError(f"A tool must look like {{'type': 'function', 'function': {{...}}}}, not {shown(tool)}.")
    kind, name = tool.get("type", "function"), function.get("name")
    if kind == "builtin_function":
        if not is_builtin(name):
            raise KimiRequestError(
                f"Names of builtin functions start with '$' (such as '$web_search'), not {shown(name)}."
            )
        return {"type": kind, "function": {"name": name}}
    if kind != "function":
        raise KimiRequestError(f"Kimi knows tools of type 'function' and 'builtin_function', not {shown(kind)}.")
    if name == WEB_SEARCH:
        raise KimiRequestError(f"{name!r} is not a tool name Kimi takes for a function; declare {web_search_tool()}.")
    if not isinstance(name, str) or not name:
        raise KimiRequestError(f"{shown(name)} is not a tool name Kimi takes; every tool needs one.")
    for key, kind_of_it in _DECLARED.items():
        if (value := function.get(key)) is not None and not kind_of_it.fits(value):
            check_kind(f"{key} of the tool {name!r}", value, kind_of_it)
    # "tools.function.parameters.type is required and must be "object"" (MiqroForge#1165).
    parameters = {"type": "object", "properties": {}, **(function.get("parameters") or {})}
    rendered = {**function, "name": names.sent(name), "parameters": render_schema(parameters, f"tool {name}")}
    if rendered["name"] != name and not is_legible(name):
        readable = name.encode("utf-8", "replace").decode()
        rendered["description"] = f"{readable}: {function.get('description') or ''}".rstrip()
    return {"type": "function", "function": rendered}


def render_schema(schema: Mapping[str, Any], where: str) -> JSON:
    """A JSON Schema in Moonshot's dialect; the same schema is worked through once only.

    Args:
        schema: The schema; not changed.
        where: What to call it in errors.

    Returns:
        The result, which is shared: it must not be changed.

    Raises:
        KimiRequestError: The schema has a mistake, or is no JSON.
    """
    try:
        text = json.dumps(schema)
    except (TypeError, ValueError, RecursionError) as error:
        raise KimiRequestError(f"{where}: the schema cannot be written as JSON: {error}") from None
    return _normalise(text, where)


@lru_cache(maxsize=1024)
def _normalise(text: str, where: str) -> JSON:
    return normalise_schema(json.loads(text), where=where)


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """What the caller wants of the tools, in one form for every framework's words.

    Attributes:
        mode: `auto`, `none`, or `required`.
        name: The one tool that must be called; None where any will do.
    """

    mode: str = "auto"
    name: str | None = None

    @property
    def forced(self) -> bool:
        """Whether a call must come back."""
        return self.mode == "required"


# What the frameworks and the API say for the same three things; anything else is a tool's name.
_WORDS: Mapping[Any, ToolChoice] = {
    **dict.fromkeys((None, False, "", "auto"), ToolChoice()),
    **dict.fromkeys((True, "any", "required"), ToolChoice("required")),
    "none": ToolChoice("none"),
}


def parse_tool_choice(choice: Any, tools: Sequence[Mapping[str, Any]], names: ToolNames = _LEGAL_NAMES) -> ToolChoice:
    """Read a tool choice in any form the frameworks and the API have for it.

    Args:
        choice: None, a bool, `"auto"`, `"none"`, `"any"`, `"required"`, a tool's name, or a dict that names one
            (`{"type": "function", "function": {"name": ...}}`, `{"type": "tool", "name": ...}`).
        tools: The rendered tools of the request.
        names: The tools' own names; as they are where none is given.

    Raises:
        KimiRequestError: The choice has no known form, names a tool that is not there, or forces one of none.
    """
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = function.get("name") if isinstance(function, Mapping) else choice.get("name")
        parsed = ToolChoice("required", name) if isinstance(name, str) else _WORDS.get(str(choice.get("type")))
    elif isinstance(choice, (str, bool, type(None))):
        parsed = _WORDS.get(choice) or ToolChoice("required", str(choice))
    else:
        parsed = None
    if parsed is None:
        raise KimiRequestError(
            f"tool_choice={shown(choice)} is not understood: give 'auto', 'none', 'any', or the name of a tool."
        )
    own = [names.own(_name(tool)) for tool in tools]
    if parsed.name is not None and parsed.name not in own:
        raise KimiRequestError(f"tool_choice names {parsed.name!r}, but the tools are {own}.")
    if parsed.forced and not own:
        raise KimiRequestError(f"tool_choice={shown(choice)} forces a tool call, but the request has no tools.")
    return parsed


def _name(tool: Mapping[str, Any]) -> str:
    """A tool's name; other vendors have tools without a `function`."""
    described = tool.get("function")
    return str((described if isinstance(described, Mapping) else tool).get("name"))


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """How the tools and the choice go out, and what has to come back.

    Attributes:
        tools: The tools as sent.
        tool_choice: The value sent; None sends none.
        thinking_off: Thinking has to be switched off for this call.
        response_format: The call is written as constrained JSON in this format.
        expected: A call of one of these tools must come back, by its own name; empty where none has to.
        json_answer: The answer's text is to be JSON, whatever it is for.
        warning: What the caller should know.
        known: What else the reader of the answer needs.
    """

    tools: list[JSON]
    tool_choice: str | JSON | None = None
    thinking_off: bool = False
    response_format: JSON | None = None
    expected: tuple[str, ...] = ()
    json_answer: bool = False
    warning: str | None = None
    known: Known = field(default=NOTHING, compare=False, repr=False)

    @property
    def fields(self) -> JSON:
        """What the body has of it beside the format."""
        chosen = {} if self.tool_choice is None else {"tool_choice": self.tool_choice}
        return {"tools": self.tools, **chosen} if self.tools else chosen


def plan_tools(
    tools: list[JSON],
    choice: ToolChoice,
    profile: Profile,
    thinking_asked: bool,
    dynamic: Sequence[JSON] = (),
    names: ToolNames = _LEGAL_NAMES,
) -> ToolPlan:
    """Map a tool choice to what a family takes.

    The server refuses a forced choice while most families think: "tool_choice 'required' is incompatible with thinking
    enabled", "tool_choice 'specified' is incompatible with thinking enabled".

    Deliberately absent: turning it quietly into `auto`. LangChain's `ToolStrategy` then asks again until its recursion
    limit; where nothing else is left (`ForcedChoice.ASK`), that is said, and an answer without a call is an error.

    Args:
        tools: The rendered tools.
        choice: The parsed choice.
        profile: The family.
        thinking_asked: The caller explicitly asked for thinking, so that it may not be switched off.
        dynamic: The rendered tools that messages bring along. They stay where they are, so that a list cannot be
            narrowed from or to one of them: a choice that names a tool beside them is made by constrained output.
        names: The tools' own names; as they are where none is given.

    Returns:
        The plan; `expected` is filled for every forced choice, whichever way it goes out.
    """
    if not (tools or dynamic):
        return ToolPlan(tools)
    if not choice.forced:
        return ToolPlan(tools, None if choice.mode == "auto" else choice.mode)

    wanted = [tool for tool in (*tools, *dynamic) if choice.name in (None, names.own(_name(tool)))]
    expected = tuple(names.own(_name(tool)) for tool in wanted)
    declared = [tool for tool in tools if names.own(_name(tool)) in expected]
    native = "required" if choice.name is None else {"type": "function", "function": {"name": _name(wanted[0])}}
    is_function = all(tool.get("type") == "function" for tool in wanted)
    way = profile.forced_choice
    if way is ForcedChoice.REQUIRED and dynamic and choice.name is not None and is_function:
        way = ForcedChoice.CONSTRAINED
    if way is ForcedChoice.THINKING_OFF and thinking_asked:
        way = ForcedChoice.CONSTRAINED if profile.json_schema else ForcedChoice.ASK
    if way is ForcedChoice.CONSTRAINED and not is_function:
        way = ForcedChoice.ASK  # a builtin function has no schema to constrain the answer with

    if way is ForcedChoice.NATIVE:
        return ToolPlan(tools, native, expected=expected)
    if way is ForcedChoice.REQUIRED:
        return ToolPlan(declared, "required", expected=expected)
    if way is ForcedChoice.THINKING_OFF and choice.name is not None and not is_function:
        # Nobody reports a choice that names a builtin function; `required` over the narrowed list says the same.
        return ToolPlan(declared, "required", thinking_off=True, expected=expected)
    if way is ForcedChoice.THINKING_OFF:
        return ToolPlan(tools, native, thinking_off=True, expected=expected)
    if way is ForcedChoice.CONSTRAINED:
        # The tools stay in the request, so that the model reads what they do and the prefix cache still hits.
        return ToolPlan(tools, "none", response_format=_call_format(wanted), expected=expected, json_answer=True)
    return ToolPlan(
        declared,
        expected=expected,
        warning=f"{profile.family} takes no forced tool choice here: it is left to call one of {list(expected)} by "
        "itself, and an answer without a call is an error.",
    )


def _call_format(tools: Sequence[JSON]) -> JSON:
    """A `response_format` under which the answer is a call of one of the tools (see `parse_constrained_call`)."""
    if len(tools) == 1:
        name, schema = tools[0]["function"]["name"], tools[0]["function"]["parameters"]
    else:
        calls = {"anyOf": [_call_branch(tool["function"]) for tool in tools]}
        union = {"type": "object", "properties": {"call": calls}, "required": ["call"], "additionalProperties": False}
        name, schema = "tool_call", render_schema(union, "the tools' parameters")
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _call_branch(function: JSON) -> JSON:
    """One tool's branch of the union; the `$id` keeps its references its own."""
    arguments = {**function["parameters"], "$id": f"urn:{function['name']}"}
    return {
        "type": "object",
        "properties": {"name": {"type": "string", "enum": [function["name"]]}, "arguments": arguments},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }
