"""`$web_search` as the emulator plays it: the recorded form, the echo, the tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_emulator.search import PAGES, arguments, results, search
from kimi_emulator.tokens import count_message

SEARCH = {"type": "builtin_function", "function": {"name": "$web_search"}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = {"role": "user", "content": "What is the capital of Norway?"}


def shape(value: Any) -> Any:
    """The keys and types of a value."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else type(value).__name__


def echo(message: dict[str, Any], content: str | None = None) -> list[dict[str, Any]]:
    call = message["tool_calls"][0]
    assistant = {key: value for key, value in message.items() if key != "content"}
    given = call["function"]["arguments"] if content is None else content
    return [QUESTION, assistant, {"role": "tool", "tool_call_id": call["id"], "content": given}]


@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6", "kimi-k2.5", "kimi-k2.7-code", "moonshot-v1-128k"])
def test_a_search_has_the_recorded_form(ask: Callable[..., Any], model: str) -> None:
    answer = ask("What is the capital of Norway?", tools=[SEARCH], model=model)
    (call,) = answer.message["tool_calls"]
    assert list(call) == ["id", "type", "function"]
    assert call["type"] == "builtin_function"
    assert call["id"] == f"t-web_search-{answer.json['id'].removeprefix('chatcmpl-')[:12]}"
    assert re.fullmatch(
        r'\{"search_result":\{"search_id":"[0-9a-f]{32}"\},"usage":\{"total_tokens":\d+\}\}',
        call["function"]["arguments"],
    )


def test_the_recorded_answer_has_the_same_form(recordings: Path, ask: Callable[..., Any]) -> None:
    lines = (recordings / "web-search" / "web_search.jsonl").read_text(encoding="utf-8").splitlines()
    recorded = json.loads(lines[1])["response"]["choices"][0]["message"]
    (call,) = ask("What is new?", tools=[SEARCH], model="kimi-k2.5", thinking={"type": "disabled"}).message[
        "tool_calls"
    ]
    assert shape(call) == shape(recorded["tool_calls"][0])
    texts = [message["function"]["arguments"] for message in (call, recorded["tool_calls"][0])]
    assert shape(json.loads(texts[0])) == shape(json.loads(texts[1]))


@pytest.mark.parametrize(
    ("question", "called"),
    [
        ("What is the latest news?", ["$web_search"]),
        ("Search the web for Moonshot AI", ["$web_search"]),
        ("What is the weather in Paris?", ["get_weather"]),
        ("What is the weather in Paris, and search the web for LangChain.", ["get_weather", "$web_search"]),
        ("Search the web for LangChain, and also search the web for the capital of Norway.", ["$web_search"]),
        ("Hello!", []),
        ("What is 2+3?", []),
    ],
)
def test_the_web_is_asked_where_it_is_needed(ask: Callable[..., Any], question: str, called: list[str]) -> None:
    calls = ask(question, tools=[SEARCH, WEATHER]).message.get("tool_calls", [])
    assert list(dict.fromkeys(call["function"]["name"] for call in calls)) == called
    assert len({call["id"] for call in calls}) == len(calls)


def test_the_web_is_not_asked_without_the_tool(ask: Callable[..., Any]) -> None:
    assert "tool_calls" not in ask("Search the web for Moonshot AI").message
    assert "tool_calls" not in ask("Search the web for Moonshot AI", tools=[SEARCH], tool_choice="none").message


@pytest.mark.parametrize("name", [{}, {"name": "$web_search"}])
def test_the_echo_is_answered_and_counted(ask: Callable[..., Any], name: dict[str, str]) -> None:
    first = ask(messages=[QUESTION], tools=[SEARCH])
    messages = echo(first.message)
    messages[2] |= name
    second = ask(messages=messages, tools=[SEARCH])
    assert "The capital of Norway is Oslo." in second.message["content"]
    found = json.loads(first.message["tool_calls"][0]["function"]["arguments"])["usage"]["total_tokens"]
    assert second.json["usage"]["prompt_tokens"] - first.json["usage"]["prompt_tokens"] > found > 0


@pytest.mark.parametrize("content", ["", "Oslo", "{}", " {}"])
def test_another_answer_is_refused(ask: Callable[..., Any], content: str) -> None:
    first = ask(messages=[QUESTION], tools=[SEARCH])
    assert "must echo the arguments of $web_search unchanged" in ask(messages=echo(first.message, content)).error


def test_json_that_means_the_same_is_refused(ask: Callable[..., Any]) -> None:
    first = ask(messages=[QUESTION], tools=[SEARCH])
    same = json.dumps(json.loads(first.message["tool_calls"][0]["function"]["arguments"]))
    assert "must echo" in ask(messages=echo(first.message, same)).error


@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6"])
def test_a_required_search(ask: Callable[..., Any], model: str) -> None:
    off = {"thinking": {"type": "disabled"}} if model == "kimi-k2.6" else {}
    answer = ask("Hello!", tools=[SEARCH], tool_choice="required", model=model, **off)
    assert answer.message["tool_calls"][0]["function"]["name"] == "$web_search"


def test_a_streamed_search(ask: Callable[..., Any]) -> None:
    events = ask("What is the capital of Norway?", tools=[SEARCH], stream=True).events
    pieces = [
        piece
        for event in events
        if isinstance(event, dict) and event["choices"]
        for piece in event["choices"][0]["delta"].get("tool_calls", [])
    ]
    assert (pieces[0]["type"], pieces[0]["function"]) == ("builtin_function", {"name": "$web_search", "arguments": ""})
    text = "".join(piece["function"]["arguments"] for piece in pieces)
    assert results(json.loads(text)).startswith("The capital of Norway is Oslo.")


def test_scripted_searches_are_echoed_like_others(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply(tool_calls=[ToolCall("$web_search", '{"a": 1}', type="builtin_function")]))
    first = ask(messages=[QUESTION], tools=[SEARCH])
    assert "The search found nothing" in ask(messages=echo(first.message)).message["content"]


def test_the_search_itself() -> None:
    assert [page.title for page in search("LangChain")] == ["LangChain"]
    assert search("zyx") == []
    assert len(search("Kimi models framework agents language data Norway")) <= 3
    for page in PAGES:
        assert page.text in results(arguments(page.title))
    for odd in (
        {},
        {"search_result": 7},
        {"search_result": {"search_id": None}},
        {"search_result": {"search_id": "x"}},
    ):
        assert results(odd) == "The search found nothing."


@pytest.mark.parametrize(
    "given",
    ["", "[]", "{", '{"usage":{"total_tokens":"many"}}', '{"usage":null}', None, 7, '{"usage":{"total_tokens":-9}}'],
)
def test_odd_arguments_count_nothing(given: Any) -> None:
    def count(name: str) -> int:
        return count_message({"role": "assistant", "tool_calls": [{"function": {"name": name, "arguments": given}}, 7]})

    assert count("$web_search") == count("xweb_search")


def test_the_answer_is_what_fits_the_question(ask: Callable[..., Any]) -> None:
    message = ask("What is the capital of Norway?", tools=[SEARCH]).message
    answer = ask(messages=echo(message), tools=[SEARCH]).message["content"]
    assert answer == "The capital of Norway is Oslo. (https://example.com/norway)"
