"""The local estimate: against what recorded requests were billed, and sane on anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_wire.endpoints.tokens import TOKENS_PER_IMAGE, estimate_messages, estimate_text, estimate_tools

RECORDED = (
    "basic",
    "context_append_1",
    "multi_tool",
    "reasoning_basic",
    "tool_round_trip_1",
    "tool_round_trip_2",
    "usage",
)
USER = {"role": "user", "content": "Hello there"}
TOOL = {"type": "function", "function": {"name": "f", "description": "Does a thing.", "parameters": {"type": "object"}}}


@pytest.fixture
def recordings() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"no recorded traffic at {folder}")
    return folder


@pytest.mark.says("docs/files.md", "`ChatKimi` counts tokens by an estimate (within a fifth, no tokenizer to download)")
@pytest.mark.parametrize("name", RECORDED)
def test_estimates_are_close_to_what_was_billed(name: str, recordings: Path) -> None:
    recorded = json.loads((recordings / "kimi-k3-chat" / f"{name}.json").read_text(encoding="utf-8"))
    request, body = recorded["request"]["canonical_json"], recorded["response"]["body"]
    estimate = estimate_messages(request["messages"], request["model"], request.get("tools", ()))
    assert estimate == pytest.approx(body["usage"]["prompt_tokens"], rel=0.1)
    thinking = estimate_text(body["choices"][0]["message"]["reasoning_content"])
    assert thinking == pytest.approx(body["usage"]["completion_tokens_details"]["reasoning_tokens"], rel=0.25)


def test_an_older_model_without_a_hidden_prompt(recordings: Path) -> None:
    line = (recordings / "web-search" / "web_search.jsonl").read_text(encoding="utf-8").splitlines()[0]
    assert estimate_messages(json.loads(line)["messages"], "kimi-k2.5") == pytest.approx(178, rel=0.1)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        (" ", 0),
        ("\n\n", 1),
        ("Hi there!", 3),
        ("internationalisation", 3),
        ("1234567", 3),
        ("你好世界", 3),
        ("こんにちは", 4),
        ("Привет", 2),
        ("🎉", 2),
        ("a_b", 3),
        ("<|im_end|>", 5),
    ],
)
def test_text(text: str, tokens: int) -> None:
    assert estimate_text(text) == tokens


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(first: str, second: str) -> None:
    assert 0 <= estimate_text(first) <= len(first.encode("utf-8", "surrogatepass"))
    assert estimate_text(first + "\n" + second) >= max(estimate_text(first), estimate_text(second))


@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "name", "reasoning_content"]), st.text())))
@pytest.mark.slow
def test_every_message_adds(messages: list[dict[str, Any]]) -> None:
    counts = [estimate_messages(messages[:end]) for end in range(len(messages) + 1)]
    assert counts == sorted(set(counts))


def test_what_counts_beside_text() -> None:
    bare = estimate_messages([USER])
    assert estimate_messages([]) == 0
    assert estimate_messages([USER], "moonshot-v1-8k") < bare
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 10_000}}
    parts = [{"type": "text", "text": "Hello there"}, image, "loose text"]
    with_image = estimate_messages([{"role": "user", "content": parts}])
    assert with_image == bare + TOKENS_PER_IMAGE + 2
    assert estimate_messages([USER], tools=[TOOL]) == bare + estimate_tools([TOOL])
    assert estimate_tools([]) == 0
    assert estimate_messages([{"role": "system", "content": "", "tools": [TOOL]}]) > estimate_messages(
        [{"role": "system"}]
    )


def test_calls_of_the_history_count_with_and_without_tools() -> None:
    call = {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    history = [USER, {"role": "assistant", "content": None, "tool_calls": [call]}]
    assert estimate_messages(history) > estimate_messages([USER, {"role": "assistant", "content": None}]) + 60
    assert estimate_messages(history, tools=[TOOL]) > estimate_messages([USER], tools=[TOOL])
    assert estimate_messages([{"role": "assistant", "tool_calls": [object()]}]) > 0
