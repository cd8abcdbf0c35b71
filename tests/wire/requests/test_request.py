"""The one place where a body is put together."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kimi_wire.errors import KimiRequestError
from kimi_wire.requests.request import Request, render_request
from kimi_wire.settings import Notice, merge_settings
from tests.families import UNSEEN

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
KIMIS = [
    "moonshot-v1-32k",
    "kimi-k2",
    "kimi-k2-thinking",
    "kimi-k2.5",
    "kimi-k2.6",
    "kimi-k2.7-code",
    "kimi-k3",
    UNSEEN,
]


def render(model: str, *, stream: bool = False, **settings: Any) -> Request:
    merged, notices = merge_settings({"model": model}, settings)
    return render_request(merged, HELLO, stream=stream, notices=notices)


def names(request: Request) -> list[str]:
    return [notice.setting for notice in request.notices]


@pytest.mark.parametrize("model", [*KIMIS, "gpt-5"])
def test_nothing_is_sent_that_was_not_asked_for(model: str) -> None:
    assert render(model).body == {"model": model, "messages": HELLO}
    assert render(model).notices == ()


def test_a_stream_asks_for_usage() -> None:
    assert render("kimi-k3", stream=True).body == {
        "model": "kimi-k3",
        "messages": HELLO,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


SAMPLING = {"temperature": 0.2, "top_p": 0.5, "n": 2, "presence_penalty": 1.0, "frequency_penalty": 1.0, "logprobs": True,
            "top_logprobs": 3}  # fmt: skip


@pytest.mark.parametrize("model", ["kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k3", "kimi-k3.1-pro", UNSEEN])
def test_fixed_sampling_is_left_out_with_a_notice_each(model: str) -> None:
    request = render(model, **SAMPLING)
    assert request.body == {"model": model, "messages": HELLO}
    assert names(request) == list(SAMPLING)
    assert "temperature=0.2" in request.notices[0].message


@pytest.mark.parametrize("model", ["moonshot-v1-32k", "kimi-k2", "kimi-k2-thinking", "gpt-5"])
def test_free_sampling_is_sent(model: str) -> None:
    request = render(model, **SAMPLING)
    assert {name: request.body[name] for name in SAMPLING} == SAMPLING
    assert request.notices == ()


def test_the_fixed_value_itself_is_left_out_quietly() -> None:
    assert render("kimi-k3", temperature=1, top_p=0.95, n=1, logprobs=False) == render("kimi-k3")
    assert names(render("kimi-k2.6", temperature=1.0, thinking=False)) == ["temperature"]
    assert names(render("kimi-k2.6", temperature=0.6, thinking=False)) == []


def test_strict_raises_in_place_of_a_notice() -> None:
    with pytest.raises(KimiRequestError, match=r"temperature=0\.2 is left out"):
        render("kimi-k3", temperature=0.2, strict=True)


THINKING = [
    # model, settings, fields in the body, notices
    ("kimi-k2.6", {"thinking": True}, {"thinking": {"type": "enabled"}}, []),
    ("kimi-k2.6", {"thinking": False}, {"thinking": {"type": "disabled"}}, []),
    ("kimi-k2.6", {"preserve_thinking": True}, {"thinking": {"type": "enabled", "keep": "all"}}, []),
    ("kimi-k2.6", {"preserve_thinking": True, "thinking": False}, {"thinking": {"type": "disabled"}}, []),
    ("kimi-k2.6", {"preserve_thinking": False}, {}, []),
    (
        "kimi-k2.5",
        {"thinking": True, "preserve_thinking": True},
        {"thinking": {"type": "enabled"}},
        ["preserve_thinking"],
    ),
    ("kimi-k2.5", {"preserve_thinking": False}, {}, []),
    ("kimi-k2.7-code", {"thinking": True, "preserve_thinking": True}, {}, []),
    ("kimi-k2.7-code", {"thinking": False}, {}, ["thinking"]),
    ("kimi-k2.7-code", {"preserve_thinking": False}, {}, ["preserve_thinking"]),
    ("kimi-k2-thinking", {"thinking": False}, {}, ["thinking"]),
    ("kimi-k3", {"thinking": True, "reasoning_effort": "low"}, {"reasoning_effort": "low"}, []),
    ("kimi-k3", {"thinking": False}, {}, ["thinking"]),
    ("kimi-k3", {"reasoning_effort": "medium"}, {"reasoning_effort": "medium"}, ["reasoning_effort"]),
    ("kimi-k2.6", {"reasoning_effort": "medium"}, {}, ["reasoning_effort"]),
    (
        "kimi-k2.6",
        {"reasoning_effort": "medium", "thinking": False},
        {"thinking": {"type": "disabled"}},
        ["reasoning_effort"],
    ),
    (UNSEEN, {"reasoning_effort": "max"}, {"reasoning_effort": "max"}, []),
    ("kimi-k2", {"thinking": True}, {}, ["thinking"]),
    ("kimi-k2", {"thinking": False}, {}, []),
    ("moonshot-v1-32k", {"thinking": True}, {}, ["thinking"]),
    ("gpt-5", {"reasoning_effort": "minimal"}, {"reasoning_effort": "minimal"}, []),
    ("gpt-5", {"thinking": True}, {}, ["thinking"]),
]


@pytest.mark.parametrize(("model", "settings", "fields", "noticed"), THINKING)
def test_thinking_per_family(model: str, settings: dict[str, Any], fields: dict[str, Any], noticed: list[str]) -> None:
    request = render(model, **settings)
    assert request.body == {"model": model, "messages": HELLO, **fields}
    assert names(request) == noticed


@pytest.mark.parametrize(
    "model", ["moonshot-v1-32k", "kimi-k2", "kimi-k2-thinking", "kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code"]
)
def test_reasoning_effort_is_for_k3_only(model: str) -> None:
    with pytest.raises(KimiRequestError, match="reasoning_effort is for kimi-k3 and newer"):
        render(model, reasoning_effort="low")


@pytest.mark.parametrize("effort", ["none", "xhigh", "minimal", "", 3])
def test_unknown_efforts_are_refused(effort: Any) -> None:
    with pytest.raises(KimiRequestError, match="low, high, max"):
        render("kimi-k3", reasoning_effort=effort)


def test_limits() -> None:
    assert render("kimi-k3", max_tokens=5).body["max_completion_tokens"] == 5
    assert render("kimi-k3", max_completion_tokens=5).body["max_completion_tokens"] == 5
    assert "max_tokens" not in render("kimi-k3", max_tokens=5).body
    assert render("gpt-5", max_tokens=5).body["max_tokens"] == 5
    assert render("kimi-k3", stop="a").body["stop"] == ["a"]
    assert "stop" not in render("kimi-k3", stop=[]).body
    for bad in (0, -1, 1.5, True, "5"):
        with pytest.raises(KimiRequestError, match="max_tokens"):
            render("kimi-k3", max_tokens=bad)
    with pytest.raises(KimiRequestError, match="6 stop sequences"):
        render("kimi-k3", stop=list("abcdef"))
    with pytest.raises(KimiRequestError, match="32 bytes"):
        render("kimi-k3", stop=["月" * 11])


def test_several_answers() -> None:
    assert render("moonshot-v1-8k", n=2, temperature=0.5).body["n"] == 2
    with pytest.raises(KimiRequestError, match="temperature above 0"):
        render("moonshot-v1-8k", n=2)
    with pytest.raises(KimiRequestError, match="cannot be streamed"):
        render("moonshot-v1-8k", n=2, temperature=0.5, stream=True)


def test_pass_through() -> None:
    body = render(
        "kimi-k3",
        prompt_cache_key="session",
        safety_identifier="user",
        response_format={"type": "json_object"},
        extra_body={"prediction": {"type": "content", "content": "x"}, "model": "kimi-k3.1-pro"},
    ).body
    assert body["prompt_cache_key"] == "session"
    assert body["safety_identifier"] == "user"
    assert body["response_format"] == {"type": "json_object"}
    assert body["prediction"] == {"type": "content", "content": "x"}
    assert body["model"] == "kimi-k3.1-pro"


def test_settings_of_other_vendors_are_noticed() -> None:
    request = render("kimi-k3", seed=1, user="u", logit_bias={}, parallel_tool_calls=False)
    assert names(request) == ["seed", "user", "logit_bias", "parallel_tool_calls"]
    assert Notice("user", "user is left out of the request. Use safety_identifier.") in request.notices
    assert names(render("kimi-k3", parallel_tool_calls=True, seed=None)) == []


def test_a_mistyped_setting_is_an_error() -> None:
    with pytest.raises(KimiRequestError, match="Did you mean 'temperature'"):
        merge_settings({}, {"temprature": 1})
    with pytest.raises(KimiRequestError, match=r"extra_body=\{'wobble': \.\.\.\}"):
        merge_settings({}, {"wobble": 1})


def test_call_settings_lie_over_the_models() -> None:
    settings, _ = merge_settings({"model": "kimi-k3", "max_tokens": 5}, {"model": "kimi-k2.6", "max_tokens": None})
    assert (settings.model, settings.max_tokens) == ("kimi-k2.6", 5)


def test_a_forced_choice_and_a_response_format_exclude_each_other_where_the_choice_is_one() -> None:
    with pytest.raises(KimiRequestError, match="in place of a response_format"):
        render("kimi-k2.7-code", tools=[TOOL], tool_choice="any", response_format={"type": "json_object"})
    assert render("kimi-k3", tools=[TOOL], tool_choice="any", response_format={"type": "json_object"})


def test_raw_thinking_counts_for_the_history() -> None:
    history: list[dict[str, Any]] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "add", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
    ]
    settings, _ = merge_settings({}, {"model": "kimi-k2.6", "extra_body": {"thinking": {"type": "disabled"}}})
    assert "reasoning_content" not in render_request(settings, history, stream=False).body["messages"][1]
    settings, _ = merge_settings({}, {"model": "kimi-k2.6"})
    assert render_request(settings, history, stream=False).body["messages"][1]["reasoning_content"] == " "


def test_rendering_changes_nothing_it_is_given() -> None:
    arguments: dict[str, Any] = {
        "model": "kimi-k2.7-code",
        "tools": [TOOL, {"type": "function", "function": {"name": "b"}}],
        "tool_choice": "any",
        "extra_body": {"a": {"b": 1}},
        "stop": ["x"],
    }
    before = copy.deepcopy((arguments, HELLO))
    settings, _ = merge_settings({}, arguments)
    first = render_request(settings, HELLO, stream=True)
    assert render_request(settings, HELLO, stream=True) == first
    assert (arguments, HELLO) == before


AWKWARD = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"when": {"type": "string", "format": "date"}, "kind": {"const": "a"}},
    "required": ["when"],
}


@pytest.mark.says(
    "docs/structured-output.md",
    "Every schema, of tools too, is written in Moonshot's dialect of JSON Schema on its way out",
)
def test_schemas_go_out_in_the_dialect() -> None:
    before = copy.deepcopy(AWKWARD)
    tool = {"type": "function", "function": {"name": "f", "parameters": AWKWARD}}
    body = render(
        "kimi-k3", tools=[tool], response_format={"type": "json_schema", "json_schema": {"schema": AWKWARD}}
    ).body
    described = body["response_format"]["json_schema"]
    assert (described["name"], described["strict"]) == ("answer", True)
    assert described["schema"] == body["tools"][0]["function"]["parameters"]
    assert "$schema" not in described["schema"]
    assert "date" in described["schema"]["properties"]["when"]["description"]
    assert described["schema"]["properties"]["kind"]["enum"] == ["a"]
    assert before == AWKWARD
    foreign = render("gpt-5", response_format={"type": "json_schema", "json_schema": {"schema": AWKWARD}}).body
    assert foreign["response_format"] == {"type": "json_schema", "json_schema": {"schema": AWKWARD}}


@pytest.mark.says(
    "docs/structured-output.md", "Only what is no JSON Schema, or what nothing could satisfy, is an error."
)
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"response_format": {"type": "json_schema"}}, "needs {'json_schema'"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"$ref": "http://x"}}}},
            "response_format",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"required": "x"}}}]}, "tool f"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"x": object()}}}]}, "as JSON"),
    ],
)
def test_mistakes_in_schemas_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(KimiRequestError, match=message):
        render("kimi-k3", **settings)
