"""Token counts, limits and the prefix cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, tokens

LONG = "All work and no play makes a dull demo. " * 60


def usage(answer: Any) -> dict[str, Any]:
    counted: dict[str, Any] = answer.json["usage"]
    assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"]
    return counted


def test_counts() -> None:
    assert [tokens.count(text) for text in ("", "abcd", "abcde", "你好")] == [0, 1, 2, 2]


@pytest.mark.parametrize("text", ["", "abcdefghij", "你好，世界 and more"])
def test_a_cut_text_costs_what_it_may(text: str) -> None:
    for budget in range(12):
        cut = tokens.cut(text, budget)
        assert text.startswith(cut)
        assert tokens.count(cut) <= budget
    assert tokens.cut(text, 100) == text


def test_hidden_prompt_of_k3(ask: Callable[..., Any]) -> None:
    k3, k26 = (usage(ask("Hi there!", model=model))["prompt_tokens"] for model in ("kimi-k3", "kimi-k2.6"))
    assert k3 - k26 == 80
    assert 80 < k3 < 100


def test_thinking_is_counted_where_it_happens(ask: Callable[..., Any]) -> None:
    assert usage(ask("Hi"))["completion_tokens_details"]["reasoning_tokens"] > 0
    assert "completion_tokens_details" not in usage(ask("Hi", model="kimi-k2.6", thinking={"type": "disabled"}))
    assert list(usage(ask("Hi", model="moonshot-v1-8k"))) == ["prompt_tokens", "completion_tokens", "total_tokens"]


def test_a_small_cap_is_spent_on_thinking(ask: Callable[..., Any]) -> None:
    answer = ask("Hi there!", max_completion_tokens=10)
    assert answer.message["content"] == ""
    assert answer.message["reasoning_content"]
    assert answer.json["choices"][0]["finish_reason"] == "length"
    counted = usage(answer)
    assert (counted["completion_tokens"], counted["completion_tokens_details"]) == (10, {"reasoning_tokens": 7})


def test_a_cap_cuts_the_answer(ask: Callable[..., Any]) -> None:
    answer = ask("Hi there!", model="kimi-k2", max_tokens=3)
    assert answer.message["content"] == "Hello! How c"
    assert answer.json["choices"][0]["finish_reason"] == "length"
    assert usage(answer)["completion_tokens"] == 3


def test_the_new_cap_wins(ask: Callable[..., Any]) -> None:
    assert ask("Hi", max_completion_tokens=500, max_tokens=1).json["choices"][0]["finish_reason"] == "stop"


def test_stop(ask: Callable[..., Any]) -> None:
    answer = ask("Hi", stop=["zebra", "you"])
    assert answer.message["content"] == "Hello! How can I help "
    assert answer.json["choices"][0]["finish_reason"] == "stop"


def test_a_repeated_prompt_is_cached_whole(ask: Callable[..., Any]) -> None:
    assert "cached_tokens" not in usage(ask("Hi"))
    counted = usage(ask("Hi"))
    assert counted["cached_tokens"] == counted["prompt_tokens"]
    assert counted["prompt_tokens_details"] == {"cached_tokens": counted["prompt_tokens"]}


def test_a_reset_forgets_the_prompts(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    ask("Hi")
    kimi.reset()
    assert "cached_tokens" not in usage(ask("Hi"))


def test_a_shared_prefix_is_cached_in_blocks(ask: Callable[..., Any]) -> None:
    system = {"role": "system", "content": LONG}
    ask(messages=[system, {"role": "user", "content": "One"}])
    counted = usage(ask(messages=[system, {"role": "user", "content": "Two"}]))
    assert counted["cached_tokens"] == 512
    assert counted["prompt_tokens"] > 512


@pytest.mark.says("docs/caching.md", "Prompts below 256 tokens are not cached.")
def test_a_short_prefix_is_not_cached(ask: Callable[..., Any]) -> None:
    system = {"role": "system", "content": "Be brief."}
    ask(messages=[system, {"role": "user", "content": "One"}])
    assert "cached_tokens" not in usage(ask(messages=[system, {"role": "user", "content": "Two"}]))


@pytest.mark.says(
    "docs/caching.md",
    "So another tool",
    "another effort",
    "`tool_choice` and `response_format` do not matter.",
)
@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"model": "kimi-k3.1-pro"}, False),
        ({"reasoning_effort": "low"}, False),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}, False),
        ({"tool_choice": "none"}, True),
        ({"response_format": {"type": "json_object"}}, True),
        ({"stream_options": {"include_usage": True}}, True),
    ],
)
def test_what_breaks_the_cache(fields: dict[str, Any], kept: bool, ask: Callable[..., Any]) -> None:
    ask(LONG)
    assert ("cached_tokens" in usage(ask(LONG, **fields))) == kept


@pytest.mark.says(
    "docs/caching.md", "another order of tools", "The server compares from the front: the model, its tools"
)
def test_another_order_of_tools_breaks_the_cache(ask: Callable[..., Any]) -> None:
    one, two = (
        {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("one", "two")
    )
    ask(LONG, tools=[one, two])
    assert "cached_tokens" in usage(ask(LONG, tools=[one, two]))
    assert "cached_tokens" not in usage(ask(LONG, tools=[two, one]))


def test_older_families_report_less(ask: Callable[..., Any]) -> None:
    for model, details in (("kimi-k2", False), ("kimi-k2.5", True)):
        ask("Hi", model=model)
        counted = usage(ask("Hi", model=model))
        assert counted["cached_tokens"] == counted["prompt_tokens"]
        assert ("prompt_tokens_details" in counted) == details
