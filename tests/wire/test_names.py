"""Any tool name works: legal ones stay, others travel under an alias and come back under their own."""

from __future__ import annotations

import json
import pickle
import re
from dataclasses import replace
from typing import Any

import pytest

from kimi_wire.answers import Completion, Delta, StreamState, parse_completion
from kimi_wire.errors import KimiRequestError, KimiToolChoiceError
from kimi_wire.requests import Request, render_request
from kimi_wire.requests.names import alias_of
from kimi_wire.settings import Settings

LEGAL = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
ODD = ["21st_magic", "github.search_issues", "查询天气", "get weather", "_private", "a/b", "sérvice:look", "n" * 150]
ALIKE = ["a.b", "a_b", "a/b", "查询", "天气"]
HI = {"role": "user", "content": "hi"}


def tool(name: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    return {"type": "function", "function": {"name": name, "description": "Do it.", "parameters": schema}}


def called(name: str, call_id: str = "a:0") -> list[dict[str, Any]]:
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [{"role": "assistant", "tool_calls": [call]}, {"role": "tool", "tool_call_id": call_id, "content": "done"}]


def render(names: list[str], messages: Any = (), **settings: Any) -> Request:
    tools = [tool(name) for name in names]
    settings = {"model": "kimi-k3", "tools": tools, **settings}
    return render_request(Settings(**settings), [HI, *messages], stream=False)


def sent_names(request: Request) -> list[str]:
    return [tool["function"]["name"] for tool in request.body["tools"]]


def answer(request: Request, name: str, content: str = "") -> Any:
    function = {"name": name, "arguments": "{}"}
    calls = [{"id": "x:0", "function": function}] if name else None
    message = {"role": "assistant", "content": content, "tool_calls": calls}
    body = {"choices": [{"message": message, "finish_reason": "stop"}]}
    return parse_completion(json.dumps(body).encode(), {}, request.plan).choice


def streamed(request: Request, pieces: list[dict[str, Any]]) -> tuple[list[tuple[str | None, str]], Any]:
    state = StreamState({}, request.plan)
    heard: list[tuple[str | None, str]] = []
    deltas: list[Any] = [{"tool_calls": [piece]} for piece in pieces]
    events = [{"choices": [{"delta": delta}]} for delta in deltas] + [
        {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    ]
    data = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
    items = [*state.feed(data.encode()), *state.finish()]
    for item in items:
        if isinstance(item, Delta):
            heard += [(piece.name, piece.arguments) for piece in item.tool_calls]
    whole = items[-1]
    assert isinstance(whole, Completion)
    return heard, whole.choice


@pytest.mark.parametrize("name", [*ODD, "\ud800", "\ud800查", "💥", "-", "a\n", ".", "\u0130stanbul"])
def test_an_odd_name_travels_under_a_legal_one_and_comes_back(name: str) -> None:
    request = render([name, "look"])
    alias, legal = sent_names(request)
    assert LEGAL.fullmatch(alias)
    assert (len(alias) <= 64, legal) == (True, "look")
    assert alias == alias_of(name) == sent_names(render(["other", name]))[1]
    assert answer(request, alias).tool_calls[0].name == name
    assert streamed(request, [{"index": 0, "id": "1", "function": {"name": alias, "arguments": "{}"}}])[0] == [
        (name, "{}")
    ]
    assert answer(request, "look").tool_calls[0].name == "look"


def test_an_alias_can_be_read() -> None:
    assert alias_of("github.search_issues").startswith("github_search_issues_")
    assert alias_of("21st_magic").startswith("tool_21st_magic_")
    assert alias_of("_private").startswith("private_")
    assert alias_of("sérvice:look").startswith("service_look_")
    described = [tool["function"]["description"] for tool in render(["查询天气", "sérvice:look"]).body["tools"]]
    assert described == ["查询天气: Do it.", "Do it."]  # a prompt that speaks of the tool is understood


def test_legal_names_stay_as_they_are() -> None:
    names = ["a", "get-weather_2", "A" * 128, "a_" + "0" * 8]
    request = render(names)
    assert sent_names(request) == names
    assert not request.plan.known.names


def test_names_that_become_alike_stay_apart() -> None:
    request = render(ALIKE)
    assert len(set(sent_names(request))) == len(ALIKE)
    assert [answer(request, name).tool_calls[0].name for name in sent_names(request)] == ALIKE
    with pytest.raises(KimiRequestError, match=re.escape("Two tools are called 'a.b'")):
        render(["a.b", "a.b"])


@pytest.mark.parametrize("order", [1, -1])
def test_a_tool_that_is_called_like_an_alias_keeps_its_name(order: int) -> None:
    names = ["a.b", alias_of("a.b"), alias_of("a.b", 32)][::order]
    request = render(names)
    assert len(set(sent_names(request))) == 3
    assert sent_names(request)[1] == names[1]
    assert [answer(request, name).tool_calls[0].name for name in sent_names(request)] == names


def test_the_history_speaks_of_a_tool_as_the_request_does() -> None:
    history = [*called("a.b"), {"role": "tool", "tool_call_id": "a:0", "content": "", "name": "a.b"}]
    history[1]["name"] = "a.b"
    for names in (["a.b"], ["look"]):  # the tool may be gone; its alias depends on its name alone
        request = render(names, history[:2])
        call, result = request.body["messages"][1]["tool_calls"][0], request.body["messages"][2]
        assert call["function"]["name"] == result["name"] == alias_of("a.b")
        assert answer(request, alias_of("a.b")).tool_calls[0].name == "a.b"
    assert history[1]["name"] == "a.b"


def test_a_call_without_a_name_in_the_history_is_sent_under_one() -> None:
    assert LEGAL.fullmatch(render(["look"], called("")).body["messages"][1]["tool_calls"][0]["function"]["name"])


def test_tools_that_messages_bring_along_have_aliases_too() -> None:
    request = render([], [{"role": "system", "tools": [tool("a/b")]}])
    assert request.body["messages"][1]["tools"][0]["function"]["name"] == alias_of("a/b")
    assert answer(request, alias_of("a/b")).tool_calls[0].name == "a/b"


@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6", "kimi-k2.7-code", "kimi-k2-0905-preview"])
@pytest.mark.parametrize("choice", ["a.b", {"type": "function", "function": {"name": "a.b"}}])
def test_a_forced_choice_names_the_tool_by_its_own_name(model: str, choice: Any) -> None:
    request = render(["a.b", "查询"], model=model, tool_choice=choice)
    assert request.plan.expected == ("a.b",)
    assert '"a.b"' not in json.dumps(request.body)
    assert answer(request, alias_of("a.b")).tool_calls[0].name == "a.b"
    with pytest.raises(KimiToolChoiceError, match=re.escape("a call of a.b was asked for, but the model called 查询")):
        answer(request, alias_of("查询"))
    with pytest.raises(KimiRequestError, match=re.escape("names 'c', but the tools are ['a.b', '查询']")):
        render(["a.b", "查询"], model=model, tool_choice="c")


def test_a_constrained_call_comes_back_under_its_own_name() -> None:
    request = render(["a.b", "查询"], model="kimi-k2.7-code", tool_choice="any")
    assert request.plan.response_format is not None
    said = json.dumps({"call": {"name": alias_of("查询"), "arguments": {"q": "x"}}})
    assert answer(request, "", said).tool_calls[0].name == "查询"


@pytest.mark.parametrize("cut", [1, 3, 12])
def test_an_alias_may_come_in_pieces(cut: int) -> None:
    request = render(["github.search_issues", "github_search"])
    alias = alias_of("github.search_issues")
    pieces: list[dict[str, Any]] = [
        {"index": 0, "id": "1", "function": {"name": alias[:cut], "arguments": ""}},
        {"index": 0, "function": {"name": alias[cut:]}},
        {"index": 0, "function": {"arguments": "{}"}},
    ]
    heard, choice = streamed(request, pieces)
    assert heard == [("github.search_issues", ""), (None, "{}")]
    assert choice.tool_calls[0].name == "github.search_issues"


def test_a_legal_name_that_begins_like_an_alias_is_whole_when_arguments_or_the_end_come() -> None:
    request = render(["a.b", "a_b"])
    pieces: list[dict[str, Any]] = [
        {"index": 0, "id": "1", "function": {"name": "a_b", "arguments": ""}},
        {"index": 0, "function": {"arguments": "{}"}},
        {"index": 1, "id": "2", "function": {"name": "a_b"}},
    ]
    heard, choice = streamed(request, pieces)
    assert heard == [("a_b", "{}"), ("a_b", "")]
    assert [call.name for call in choice.tool_calls] == ["a_b", "a_b"]


def test_builtin_functions_have_their_own_names() -> None:
    search = {"type": "builtin_function", "function": {"name": "$web_search"}}
    request = render([], called("$web_search"), tools=[search, tool("$mine")])
    assert sent_names(request) == ["$web_search", alias_of("$mine")]
    assert request.body["messages"][1]["tool_calls"][0]["function"]["name"] == "$web_search"


def test_what_is_known_goes_through_a_pickle() -> None:
    request = render(["a.b"])
    request = replace(request, plan=pickle.loads(pickle.dumps(request.plan)))
    assert answer(request, alias_of("a.b")).tool_calls[0].name == "a.b"


def test_other_vendors_names_are_their_own() -> None:
    request = render(["a.b"], called("c.d"), model="gpt-5")
    assert sent_names(request) == ["a.b"]
    assert request.body["messages"][1]["tool_calls"][0]["function"]["name"] == "c.d"
