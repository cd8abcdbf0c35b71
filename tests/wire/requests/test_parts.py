"""The parts of a message, by its role."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_wire.errors import KimiRequestError
from kimi_wire.profiles import profile_for
from kimi_wire.requests.messages import render_messages

CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def result(*parts: Any, model: str = "kimi-k3") -> Any:
    """What a tool's result goes out as."""
    messages = [{"role": "user", "content": "?"}, CALL, {"role": "tool", "tool_call_id": "f:0", "content": list(parts)}]
    before = repr(messages)
    rendered = render_messages(messages, profile_for(model))
    assert repr(messages) == before
    return rendered[2]["content"]


def said(*parts: Any) -> Any:
    """What an assistant's message goes out as; None for one that is left out."""
    rendered = render_messages(
        [{"role": "user", "content": "?"}, {"role": "assistant", "content": list(parts)}], profile_for("kimi-k3")
    )
    return rendered[1]["content"] if len(rendered) > 1 else None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.just("type"), inner, max_size=3)
    ),
    max_leaves=8,
)
kinds = st.sampled_from(
    ["text", "refusal", "image_url", "video_url", "thinking", "json", "search_result", "odd", 5, None]
)


@given(st.lists(anything | st.builds(lambda part, kind: {**part, "type": kind}, st.dictionaries(
    st.sampled_from(["text", "refusal", "image_url", "url", "content", "signature", "data"]), anything, max_size=3), kinds)))  # fmt: skip
def test_no_result_is_refused(parts: list[Any]) -> None:
    assert isinstance(result(*parts), str)


@pytest.mark.says("docs/agents.md", "anything else as JSON")
@given(st.lists(st.dictionaries(st.text(min_size=1), st.integers() | st.text(), min_size=2).filter(lambda d: "type" not in d), min_size=1))  # fmt: skip
def test_data_comes_back_as_the_json_it_is(data: list[Any]) -> None:
    assert json.loads(result(*data)) == data


def test_what_has_no_json_is_written_all_the_same() -> None:
    circle: dict[str, Any] = {"a": 1}
    circle["self"] = circle
    assert result(circle) == "[{'a': 1, 'self': {...}}]"
    assert result({"type": "odd", "raw": b"\xff\x00", "when": complex(1, 2)}) == (
        '{"type": "odd", "raw": "(2 bytes)", "when": "(1+2j)"}'
    )
    assert result({(1, 2): "a"}) == "[{(1, 2): 'a'}]"
    assert result({"n": float("nan")}) == '[{"n": NaN}]'
    assert result(5, None) == "[5, null]"
    deep: Any = "x"
    for _ in range(3000):
        deep = {"type": "odd", "a": deep}
    rendered = render_messages(
        [{"role": "user", "content": "?"}, CALL, {"role": "tool", "tool_call_id": "f:0", "content": [deep]}],
        profile_for("kimi-k3"),
    )
    assert rendered[2]["content"].startswith("{'a': {'a': ")


def test_what_is_sealed_inside_of_a_part_stays_behind() -> None:
    content = [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "text", "text": "x", "encrypted_index": "s"},
    ]
    assert result({"type": "ai", "content": content}) == '{"type": "ai", "content": [{"type": "text", "text": "x"}]}'
    assert result({"type": "function", "signature": "def f()"}) == '{"type": "function", "signature": "def f()"}'


@pytest.mark.says(
    "docs/agents.md",
    "texts and refusals, and the transcript of an answer in sound",
    "nothing, with a line in the log; pictures with a warning there",
)
@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([{"type": "output_text", "text": "a", "annotations": [{}], "logprobs": []}], "a"),
        ([{"text": "a"}], "a"),
        ([{"type": "text-plain", "text": "a", "mime_type": "text/plain"}], "a"),
        ([{"type": "refusal", "refusal": "no"}], "no"),
        ([{"text": "a", "thought": True}, "b"], "b"),
        ([{"type": "reasoning_text", "text": "a"}, {"type": "odd"}], None),
        ([{"type": "image_url", "image_url": {"url": "https://x"}}], None),
        ([{"type": ["odd"]}, 5, None, {}, {"type": "text", "text": [5]}], None),
    ],
)
def test_what_an_assistant_said(parts: list[Any], text: str | None) -> None:
    assert said(*parts) == text


@pytest.mark.says("docs/agents.md", "What a user says is not guessed: a block without a form is a `KimiRequestError`.")
@pytest.mark.parametrize("role", ["user", "system"])
@pytest.mark.parametrize("part", [{"type": "odd"}, {"type": ["odd"]}, {}, {"type": "text", "text": 5}, 5, None])
def test_what_a_person_says_has_to_have_a_form(role: str, part: Any) -> None:
    with pytest.raises(KimiRequestError, match="Message 0 has a content part of type"):
        render_messages([{"role": role, "content": [part]}], profile_for("kimi-k3"))
