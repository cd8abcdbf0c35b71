"""Tools on their way out, and the forced choice on every family."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kimi_emulator.mfjs import check_schema
from kimi_wire.answers.response import Choice, finish_choice
from kimi_wire.errors import KimiRequestError, KimiToolChoiceError
from kimi_wire.profiles import profile_for
from kimi_wire.requests.request import render_request
from kimi_wire.requests.tools import (
    ToolChoice,
    ToolPlan,
    parse_tool_choice,
    plan_tools,
    render_dynamic_tools,
    render_tools,
)
from kimi_wire.settings import Settings
from tests.families import UNSEEN

K3 = profile_for("kimi-k3")


def tool(name: str, **parameters: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": parameters, "required": list(parameters)}
    return {"type": "function", "function": {"name": name, "description": f"Do {name}.", "parameters": schema}}


ADD, GET = tool("add", a={"type": "integer"}), tool("get", key={"type": "string"})
SEARCH = {"type": "builtin_function", "function": {"name": "$web_search"}}


def test_declarations_are_copied_as_they_are() -> None:
    tools = [ADD, SEARCH, {"type": "function", "function": {"name": "strict", "strict": False, "parameters": {}}}]
    before = copy.deepcopy(tools)
    rendered = render_tools(tools, K3)
    assert rendered[:2] == [ADD, SEARCH]
    assert rendered[2]["function"] == {
        "name": "strict",
        "strict": False,
        "parameters": {"type": "object", "properties": {}},
    }
    assert tools == before


def test_parameters_get_the_type_the_server_asks_for() -> None:
    bare = {"function": {"name": "a", "parameters": {"properties": {"x": {"type": "string"}}}}}
    assert render_tools([bare], K3)[0]["function"]["parameters"]["type"] == "object"


@pytest.mark.parametrize("name", ["a", "ls", "get-weather_2", "A" * 128])
def test_names_that_are_taken(name: str) -> None:
    assert render_tools([tool(name)], K3)[0]["function"]["name"] == name


@pytest.mark.parametrize("name", ["", "$web_search", None, 7])
def test_names_that_are_refused(name: Any) -> None:
    with pytest.raises(KimiRequestError, match="is not a tool name Kimi takes"):
        render_tools([tool(name)], K3)


@pytest.mark.says("docs/web-search-and-tools.md", "Kimi takes 128 tools in a request")
def test_lists_that_are_refused() -> None:
    with pytest.raises(KimiRequestError, match="129 tools were given; Kimi takes at most 128"):
        render_tools([tool(f"t{number}") for number in range(129)], K3)
    assert len(render_tools([tool(f"t{number}") for number in range(128)], K3)) == 128
    with pytest.raises(KimiRequestError, match="Two tools are called 'add'"):
        render_tools([ADD, ADD], K3)
    with pytest.raises(KimiRequestError, match="not 'plugin'"):
        render_tools([{"type": "plugin", "function": {"name": "x"}}], K3)
    with pytest.raises(KimiRequestError, match="start with '\\$'"):
        render_tools([{"type": "builtin_function", "function": {"name": "web_search"}}], K3)
    with pytest.raises(KimiRequestError, match="must look like"):
        render_tools([{"name": "add"}], K3)
    with pytest.raises(KimiRequestError, match="takes no tools"):
        render_tools([ADD], profile_for("kimi-thinking-preview"))


def test_other_models_tools_are_left_alone() -> None:
    odd = [{"type": "custom", "name": "21st"}]
    sent = render_request(Settings(model="gpt-5", tools=odd), [{"role": "user", "content": "hi"}], stream=False)
    assert sent.body["tools"] == sent.plan.tools == odd
    assert sent.body["tools"][0] is not odd[0]
    assert parse_tool_choice("auto", odd) == ToolChoice()


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        (None, ToolChoice()),
        (False, ToolChoice()),
        ("auto", ToolChoice()),
        ({"type": "auto"}, ToolChoice()),
        ("none", ToolChoice("none")),
        ("any", ToolChoice("required")),
        ("required", ToolChoice("required")),
        (True, ToolChoice("required")),
        ({"type": "any"}, ToolChoice("required")),
        ("add", ToolChoice("required", "add")),
        ({"type": "function", "function": {"name": "add"}}, ToolChoice("required", "add")),
        ({"type": "tool", "name": "add"}, ToolChoice("required", "add")),
    ],
)
def test_choices_in_every_form(given: Any, parsed: ToolChoice) -> None:
    assert parse_tool_choice(given, [ADD, GET]) == parsed


@pytest.mark.parametrize(
    ("given", "tools", "message"),
    [
        ("subtract", [ADD], "names 'subtract', but the tools are"),
        ("any", [], "has no tools"),
        (7, [ADD], "is not understood"),
        ({"type": "function"}, [ADD], "is not understood"),
        ({"weird": 1}, [ADD], "is not understood"),
    ],
)
def test_choices_that_are_refused(given: Any, tools: list[Any], message: str) -> None:
    with pytest.raises(KimiRequestError, match=message):
        parse_tool_choice(given, tools)


def plan(model: str, choice: Any, *, asked: bool = False, tools: list[Any] | None = None) -> ToolPlan:
    tools = [ADD, GET] if tools is None else tools
    return plan_tools(tools, parse_tool_choice(choice, tools), profile_for(model), asked)


NAMED = {"type": "function", "function": {"name": "add"}}


@pytest.mark.says("docs/agents.md", "`required`; a named tool narrows the list to it")
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k3.1-pro", UNSEEN])
def test_k3_takes_required_over_the_narrowed_list(model: str) -> None:
    assert plan(model, "any") == ToolPlan([ADD, GET], "required", expected=("add", "get"))
    assert plan(model, "add") == ToolPlan([ADD], "required", expected=("add",))


@pytest.mark.says("docs/agents.md", "as given, with thinking switched off for the call")
@pytest.mark.parametrize("model", ["kimi-k2.5", "kimi-k2.6"])
def test_switchable_families_stop_thinking_for_the_call(model: str) -> None:
    assert plan(model, "any") == ToolPlan([ADD, GET], "required", thinking_off=True, expected=("add", "get"))
    assert plan(model, "add") == ToolPlan([ADD, GET], NAMED, thinking_off=True, expected=("add",))


@pytest.mark.says(
    "docs/agents.md", "the call is written as JSON under the tool's schema, and comes back as the tool call it is"
)
@pytest.mark.parametrize(("model", "asked"), [("kimi-k2.7-code", False), ("kimi-k2.7-code", True), ("kimi-k2.6", True)])
def test_constrained_families_write_the_call_as_json(model: str, asked: bool) -> None:
    one = plan(model, "add", asked=asked)
    assert (one.tools, one.tool_choice, one.thinking_off, one.expected) == ([ADD, GET], "none", False, ("add",))
    assert one.response_format == {
        "type": "json_schema",
        "json_schema": {"name": "add", "strict": True, "schema": ADD["function"]["parameters"]},
    }
    several = plan(model, "any", asked=asked)
    assert several.response_format is not None
    call = several.response_format["json_schema"]["schema"]["properties"]["call"]
    assert [branch["properties"]["name"]["enum"] for branch in call["anyOf"]] == [["add"], ["get"]]


@pytest.mark.says(
    "docs/agents.md",
    "left to the model over the narrowed list, with a warning, and `KimiToolChoiceError` if no call comes",
)
@pytest.mark.parametrize("model", ["moonshot-v1-32k", "kimi-k2", "kimi-k2-thinking", "kimi-latest"])
def test_other_families_are_asked_and_checked(model: str) -> None:
    asked = plan(model, "add")
    assert (asked.tools, asked.tool_choice, asked.expected) == ([ADD], None, ("add",))
    assert asked.warning is not None
    assert "'add'" in asked.warning


def test_k25_that_was_told_to_think_is_asked() -> None:
    assert plan("kimi-k2.5", "add", asked=True).warning


def test_a_builtin_function_cannot_be_constrained() -> None:
    assert plan("kimi-k2.7-code", "$web_search", tools=[ADD, SEARCH]).warning
    assert plan("kimi-k3", "$web_search", tools=[ADD, SEARCH]) == ToolPlan(
        [SEARCH], "required", expected=("$web_search",)
    )


def test_a_named_builtin_function_is_required_over_the_narrowed_list() -> None:
    for model, off in (("kimi-k3", False), ("kimi-k2.6", True), ("kimi-k2.5", True)):
        planned = plan(model, "$web_search", tools=[ADD, SEARCH])
        assert planned == ToolPlan([SEARCH], "required", thinking_off=off, expected=("$web_search",))
    for model, asked in (("kimi-k2.7-code", False), ("kimi-k2.6", True), ("moonshot-v1-8k", False)):
        planned = plan(model, "$web_search", tools=[ADD, SEARCH], asked=asked)
        assert (planned.tools, planned.tool_choice, planned.expected) == ([SEARCH], None, ("$web_search",))
        assert "takes no forced tool choice here" in str(planned.warning)


def load(*tools: Any, **message: Any) -> dict[str, Any]:
    return {"role": "system", "tools": list(tools), **message}


def test_dynamic_tools_are_rendered_like_others() -> None:
    bare = {"type": "function", "function": {"name": "a", "parameters": {"properties": {"x": {"const": 1}}}}}
    before = copy.deepcopy(bare)
    assert render_dynamic_tools(load(bare), 0, K3) == render_tools([bare], K3)
    assert bare == before
    assert render_dynamic_tools({"role": "user", "content": "hi"}, 0, K3) == []


def test_other_models_messages_bring_along_what_they_like() -> None:
    message = load({"type": "custom", "name": "21st"}, content="x")
    sent = render_request(Settings(model="gpt-5", tool_choice="21st"), [message], stream=False)
    assert sent.body["messages"] == [message]
    assert sent.plan.expected == ("21st",)
    with pytest.raises(KimiRequestError, match="must be a list of tools, not 'add'"):
        render_request(Settings(model="gpt-5"), [{"role": "system", "tools": "add"}], stream=False)


@pytest.mark.parametrize(
    ("message", "model", "words"),
    [
        (load(ADD, role="user"), "kimi-k3", "has the role 'user'; only system messages can"),
        ({"tools": [ADD]}, "kimi-k3", "has the role None"),
        (load(ADD, content="Hi"), "kimi-k3", "Message 3 has both text and tools"),
        (load(ADD, content=" "), "kimi-k3", "Message 3 has both text and tools"),
        ({"role": "system", "tools": ADD}, "kimi-k3", "must be a list of tools, not {'type'"),
        ({"role": "system", "tools": "add"}, "kimi-k3", "must be a list of tools, not 'add'"),
        (load(SEARCH), "kimi-k3", "Message 3 brings a builtin function along"),
        (load(ADD, ADD), "kimi-k3", "Two tools are called 'add'"),
        (load("add"), "kimi-k3", "A tool must look like"),
    ],
)  # fmt: skip
def test_dynamic_tools_that_are_refused(message: dict[str, Any], model: str, words: str) -> None:
    with pytest.raises(KimiRequestError, match=words):
        render_dynamic_tools(message, 3, profile_for(model))


def with_dynamic(choice: Any, tools: list[Any], dynamic: list[Any]) -> ToolPlan:
    return plan_tools(tools, parse_tool_choice(choice, [*tools, *dynamic]), K3, False, dynamic)


def test_a_choice_counts_dynamic_tools() -> None:
    assert with_dynamic("auto", [], [ADD]) == ToolPlan([])
    assert with_dynamic("none", [], [ADD]) == ToolPlan([], "none")
    assert with_dynamic("any", [], [ADD]) == ToolPlan([], "required", expected=("add",))
    assert with_dynamic("any", [GET], [ADD]) == ToolPlan([GET], "required", expected=("get", "add"))


@pytest.mark.parametrize("name", ["add", "get"])
def test_a_tool_named_beside_dynamic_ones_is_called_by_constrained_output(name: str) -> None:
    """The list in the messages cannot be narrowed, and kimi-k3 takes no named choice."""
    planned = with_dynamic(name, [GET], [ADD])
    assert (planned.tools, planned.tool_choice, planned.expected) == ([GET], "none", (name,))
    assert planned.response_format is not None
    assert planned.response_format["json_schema"]["name"] == name


def test_a_builtin_function_named_beside_dynamic_tools_is_required_and_checked() -> None:
    planned = with_dynamic("$web_search", [GET, SEARCH], [ADD])
    assert planned == ToolPlan([SEARCH], "required", expected=("$web_search",))


def test_what_is_not_forced_stays() -> None:
    for model in ("kimi-k3", "kimi-k2.6", "kimi-k2.7-code", "moonshot-v1-8k"):
        assert plan(model, None) == ToolPlan([ADD, GET])
        assert plan(model, "none") == ToolPlan([ADD, GET], "none")
        assert plan(model, None, tools=[]) == ToolPlan([])


def test_other_models_get_the_choice_as_given() -> None:
    assert plan("gpt-5", "add") == ToolPlan([ADD, GET], NAMED, expected=("add",))


def test_references_of_several_tools_stay_their_own() -> None:
    def recursive(name: str, kind: str) -> dict[str, Any]:
        node = {"type": "object", "properties": {"value": {"type": kind}, "next": {"$ref": "#/$defs/Node"}}}
        parameters = {"type": "object", "properties": {"first": {"$ref": "#/$defs/Node"}}, "$defs": {"Node": node}}
        return {"type": "function", "function": {"name": name, "parameters": parameters}}

    itself = {"type": "object", "properties": {"child": {"$ref": "#"}, "label": {"type": "boolean"}}}
    tools = render_tools(
        [recursive("a", "string"), recursive("b", "integer"), {"function": {"name": "c", "parameters": itself}}], K3
    )
    before = copy.deepcopy(tools)
    planned = plan("kimi-k2.7-code", "any", tools=tools)
    assert planned.response_format is not None
    schema = planned.response_format["json_schema"]["schema"]
    for name, arguments, fits in (
        ("a", {"first": {"value": "x", "next": {"value": "y"}}}, True),
        ("a", {"first": {"value": "x", "next": {"value": 1}}}, False),
        ("b", {"first": {"value": 1, "next": {"value": 2}}}, True),
        ("b", {"first": {"value": 1, "next": {"value": "y"}}}, False),
        ("c", {"child": {"child": {"label": True}}}, True),
        ("c", {"child": {"child": {"label": "x"}}}, False),
        ("d", {}, False),
    ):
        call = {"call": {"name": name, "arguments": arguments}}
        assert Draft202012Validator(schema).is_valid(call) is fits
    check_schema(schema)
    assert tools == before


ONE, TWO = plan("kimi-k2.7-code", "add"), plan("kimi-k2.7-code", "any")


@pytest.mark.parametrize(
    ("planned", "content", "name", "arguments"),
    [
        (ONE, '{"a": 1}', "add", '{"a": 1}'),
        (ONE, '  {"a":1}\n', "add", '{"a":1}'),
        (ONE, 'Here you are:\n```json\n{"a": 1}\n```', "add", '{"a": 1}'),
        (TWO, '{"call": {"name": "get", "arguments": {"key": "月"}}}', "get", '{"key":"月"}'),
        (TWO, '```\n{"call": {"name": "add", "arguments": {"a": 1}}}\n```', "add", '{"a":1}'),
    ],
)
def test_a_constrained_answer_is_a_call(planned: ToolPlan, content: str, name: str, arguments: str) -> None:
    choice = Choice(content=content, reasoning="r", finish_reason="stop")
    finish_choice(choice, planned, None)
    (call,) = choice.tool_calls
    assert (call.name, call.arguments, call.type) == (name, arguments, "function")
    assert call.id
    assert (choice.content, choice.reasoning, choice.finish_reason) == ("", "r", "tool_calls")


@pytest.mark.parametrize(
    ("planned", "choice", "message"),
    [
        (ONE, Choice("I would rather not.", finish_reason="stop"), "answered in text: 'I would rather not"),
        (ONE, Choice("", finish_reason="stop"), "answered in text: ''"),
        (ONE, Choice('{"a": 1', finish_reason="length"), "cut at its token limit"),
        (TWO, Choice('{"call": {"name": "other", "arguments": {}}}', finish_reason="stop"), "answered in text"),
        (plan("kimi-k3", "add"), Choice("No.", finish_reason="stop"), r"call of add .* answered in text: 'No\.'"),
    ],
)
def test_a_forced_choice_is_never_let_go(planned: ToolPlan, choice: Choice, message: str) -> None:
    with pytest.raises(KimiToolChoiceError, match=message) as caught:
        finish_choice(choice, planned, "req-1")
    assert caught.value.request_id == "req-1"
    assert caught.value.partial is choice
