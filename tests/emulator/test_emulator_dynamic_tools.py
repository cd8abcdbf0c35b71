"""Tools that system messages bring along, as the emulator takes and calls them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import KimiEmulator
from kimi_emulator.families import MODELS

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
LOAD = {"role": "system", "tools": [WEATHER]}
QUESTION = {"role": "user", "content": "What is the weather in Oslo?"}


@pytest.mark.parametrize("messages", [[LOAD, QUESTION], [QUESTION, LOAD]], ids=["first", "last"])
@pytest.mark.parametrize("stream", [False, True])
def test_they_are_called_wherever_they_stand(ask: Callable[..., Any], messages: Any, stream: bool) -> None:
    answer = ask(messages=messages, stream=stream)
    assert b"get_weather" in answer.raw
    assert b"tool_calls" in answer.raw


def test_nothing_is_kept_between_requests(ask: Callable[..., Any]) -> None:
    assert ask(messages=[LOAD, QUESTION]).message["tool_calls"]
    assert "tool_calls" not in ask(messages=[QUESTION]).message


def test_they_go_with_the_tools_of_the_request(ask: Callable[..., Any]) -> None:
    time = {"type": "function", "function": {**WEATHER["function"], "name": "get_time", "description": "Get the time."}}  # type: ignore[dict-item]
    question = {"role": "user", "content": "What is the weather in Oslo, and the time in Rome?"}
    calls = ask(messages=[LOAD, question], tools=[time]).message["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["get_weather", "get_time"]


@pytest.mark.parametrize("choice", ["required", "none", "auto"])
def test_choices_count_them(ask: Callable[..., Any], choice: str) -> None:
    message = ask(messages=[LOAD, QUESTION], tool_choice=choice).message
    assert ("tool_calls" in message) == (choice != "none")


@pytest.mark.parametrize("model", [model.id for model in MODELS if not model.family.dynamic_tools and model.listed])
def test_other_families_do_not_take_them(kimi: KimiEmulator, ask: Callable[..., Any], model: str) -> None:
    answer = ask(messages=[LOAD, QUESTION], model=model)
    assert answer.status == 400
    assert answer.error == "tokenization failed" or "tools is not supported" in answer.error


@pytest.mark.parametrize(
    ("messages", "fields", "words"),
    [
        ([{**LOAD, "content": "Hi"}, QUESTION], {}, "tools cannot be used with content"),
        ([{**QUESTION, "tools": [WEATHER]}], {}, "only role 'system' can"),
        ([LOAD, QUESTION, LOAD], {}, "function name get_weather is duplicated"),
        ([LOAD, QUESTION], {"tools": [WEATHER]}, "function name get_weather is duplicated"),
        ([{"role": "system", "tools": WEATHER}, QUESTION], {}, "(expected type []object) is illegal"),
        ([{"role": "system", "tools": [{"type": "function", "function": {"name": "f"}}]}, QUESTION], {}, 'must be "object"'),
    ],
)  # fmt: skip
def test_messages_that_are_refused(ask: Callable[..., Any], messages: Any, fields: Any, words: str) -> None:
    answer = ask(messages=messages, **fields)
    assert answer.status == 400
    assert words in answer.error


def test_their_tokens_count(ask: Callable[..., Any]) -> None:
    with_tools, without = ask(messages=[LOAD, QUESTION]), ask(messages=[QUESTION])
    assert with_tools.json["usage"]["prompt_tokens"] > without.json["usage"]["prompt_tokens"] + 30
