"""A prompt's sum is read in bounded time and depth."""

import pytest

from kimi_emulator.brain.values import sum_in


@pytest.mark.parametrize(
    ("text", "expected"), [("what is 1+2?", 3), ("5 - -3", 8), ("+".join("1" * 40_000), 40_000), ("9" * 40_000, None)]
)
def test_a_sum_of_any_length_is_answered_or_left(text: str, expected: float | None) -> None:
    found = sum_in(text)
    assert (found and found[1]) == expected
