"""JSON in an answer's text."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_wire.json_text import FenceFilter, iter_json_texts, strip_fence

CASES = [
    ('{"a":1}', '{"a":1}'),
    ('```json\n{"a":1}\n```', '{"a":1}'),
    (' \n```\n{"a":\n"``"}\n```\nHope this helps.', '{"a":\n"``"}'),
    ('```json\n{"a": "```"}\n```\n', '{"a": "```"}'),
    ("``x", "``x"),
    ("", ""),
    ("`", "`"),
    ("```json", "```json"),
    ('```json\n{"a":1}\n``', '{"a":1}\n``'),
    ('```json\n{"a":1', '{"a":1'),
    ("\n\n", "\n\n"),
    ("I cannot say.", "I cannot say."),
]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "inside"), CASES)
@given(cuts=st.lists(st.integers(0, 60), max_size=10))
def test_a_fence_is_taken_off_wherever_the_pieces_break(text: str, inside: str, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    fence = FenceFilter()
    pieces = [fence.feed(text[start:end]) for start, end in pairwise(edges)]
    assert "".join(pieces) + fence.end() == inside == strip_fence(text)


@given(st.text(alphabet="`\n {}a", max_size=30))
def test_what_is_no_fence_is_left_alone(text: str) -> None:
    if not text.lstrip().startswith("```"):
        assert strip_fence(text) == text


def test_places_of_json() -> None:
    text = 'First:\n```json\n{"a": 1}\n```\nthen\n```\n[2]\n```'
    assert list(iter_json_texts(text)) == [text, '{"a": 1}', "[2]"]
