"""What a continuation repeats is left out, in whatever pieces it comes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_wire.answers import Choice, Delta
from kimi_wire.answers.repeats import FreshDeltas, FreshText, without_repetition

SAID = "It was the best of times, it was the worst of times"


@pytest.mark.says(
    "docs/partial-mode.md",
    "A continuation that repeats the end of what came before, a dozen characters or more that stand nowhere else, is not doubled.",
)
@pytest.mark.parametrize(
    ("earlier", "later", "fresh"),
    [
        (SAID, SAID, ""),
        (SAID, SAID + ", it was", ", it was"),
        (SAID, "the worst of times, it", ", it"),
        (SAID, "worst of times", ""),
        (SAID, "of times, it", "of times, it"),  # stands there before
        (SAID, " the worst of", " the worst of"),  # not its end
        (SAID, ", it was", ", it was"),
        (SAID, "", ""),
        ("Yes. No.", "Yes. No. Yes.", " Yes."),
        ("The word", "The word is", " is"),
        ("word", "words", "words"),  # too short to say
        ("", "a", "a"),
        ("ha ha ha ha ha ha", " ha ha ha ha ha ha", " ha ha ha ha ha ha"),
        ("ha ha ", "ha ha ha", "ha ha ha"),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n", "| 1 | 3 |\n", "| 1 | 3 |\n"),
        ("one:\n" + " " * 20, " " * 20 + "two", " " * 20 + "two"),
        ("=" * 30, "=" * 30, "=" * 30),
        ("a\n" + "-" * 30 + "\n", "-" * 30 + "\n", "-" * 30 + "\n"),
        ("北京的天气今天非常好而且阳光明媚", "天气今天非常好而且阳光明媚,明天", ",明天"),
    ],
)
def test_what_is_left_out(earlier: str, later: str, fresh: str) -> None:
    text = FreshText(earlier)
    assert text.take(later) + text.end() == fresh
    assert text.repeated == len(later) - len(fresh)
    assert without_repetition(Choice(content=earlier), Choice(content=later)).content == fresh


TEXT = st.one_of(
    st.text("ab ", max_size=40),
    st.text(max_size=30),
    st.builds(lambda start, length: (SAID * 2)[start : start + length], st.integers(0, 90), st.integers(0, 60)),
)


@given(TEXT, TEXT, st.lists(st.integers(1, 9)))
def test_pieces_come_to_the_same_as_the_whole(earlier: str, later: str, sizes: list[int]) -> None:
    whole, pieces = FreshText(earlier), FreshText(earlier)
    given_out, rest = "", later
    for size in sizes:
        given_out += pieces.take(rest[:size])
        rest = rest[size:]
    given_out += pieces.take(rest) + pieces.end()
    assert given_out == whole.take(later) + whole.end()
    assert later.endswith(given_out)
    assert earlier.endswith(later[: len(later) - len(given_out)])


def tokens(*texts: str) -> dict[str, Any]:
    return {"content": [{"token": text} for text in texts]}


def test_tokens_of_a_repetition_are_counted_once() -> None:
    later = Choice(content="the worst of times, it", logprobs=tokens("the worst", " of times", ", it"))
    assert without_repetition(Choice(content=SAID), later).logprobs == tokens(", it")
    fresh = FreshDeltas(Choice(content=SAID))
    found = [
        fresh.take(Delta("the worst", logprobs=tokens("the worst"))),
        fresh.take(Delta(" of times", logprobs=tokens(" of times"))),
        fresh.take(Delta(", it", logprobs=tokens(", it"))),
        fresh.take(Delta(" is", logprobs=tokens(" is"))),
        fresh.end(),
    ]
    assert found == [None, None, Delta(", it", logprobs=tokens(", it")), Delta(" is", logprobs=tokens(" is")), None]


def test_thinking_that_is_repeated_alone_has_no_details_either() -> None:
    earlier = Choice(content="Yes", reasoning="I think that it is so.")
    again = Choice(content=", sir.", reasoning="I think that it is so.", reasoning_details=[{"type": "reasoning.text"}])
    fresh = without_repetition(earlier, again)
    assert (fresh.content, fresh.reasoning, fresh.reasoning_details) == (", sir.", "", [])
    assert again.reasoning_details
    more = without_repetition(earlier, Choice(reasoning="I think that it is so. Or not."))
    assert more.reasoning == " Or not."
    assert without_repetition(earlier, Choice(content="a")).reasoning is None


def test_a_long_repetition_takes_linear_time() -> None:
    """Each of 100,000 pieces is looked at once; a text of one letter begins everywhere."""
    text = FreshText("".join(map(str, range(20_000))))
    assert "".join(map(text.take, "".join(map(str, range(20_000))))) + text.end() == ""
    again = FreshText("a" * 100_000)
    assert len("".join(map(again.take, "a" * 20_000)) + again.end()) == 20_000
