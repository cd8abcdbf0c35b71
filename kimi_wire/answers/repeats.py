"""What a continuation repeats of the end of what came before. Pure.

The documents of Partial Mode have it that nothing is repeated; a host, or a model that takes a new run-up, may do it.
What is left out is what nobody writes twice in a row: a dozen characters and more that are the end of what came before
and stand nowhere else in it. The lines of a table, a refrain or "ha ha ha" do, and stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kimi_wire.answers.response import Choice
from kimi_wire.answers.stream import Delta
from kimi_wire.json_values import text_or_none

_LEAST = 12  # characters
_LEAST_WHOLE = 6  # where it is all that came before, which begins anew
_MOST_STARTS = 64  # what begins more often is no repetition of the end alone


class FreshText:
    """Holds the beginning of a continuation back until it is clear whether it repeats the end of what came before.

    Args:
        earlier: What came before.

    Attributes:
        repeated: How many of the first characters were a repetition; 0 until that is clear.
        is_clear: Whether it is.
    """

    def __init__(self, earlier: str) -> None:
        self.repeated = 0
        self.is_clear = len(earlier) < _LEAST_WHOLE
        self._earlier = earlier
        self._held: list[str] = []
        self._length = 0  # of what is held
        self._starts: list[int] | None = None  # where in the earlier text the held one may be the end of it

    def take(self, text: str) -> str:
        """Take the next characters, and give what is new; nothing while that is not clear."""
        if self.is_clear or not text:
            return text
        seen, self._length = self._length, self._length + len(text)
        self._held.append(text)
        if self._starts is None:
            text, seen = "".join(self._held), 0
            if len(text) < _LEAST_WHOLE:
                return "" if text in self._earlier else self.end()
            self._starts = _find(self._earlier, text[:_LEAST_WHOLE])
        self._starts = [at for at in self._starts if text.startswith(self._earlier[at + seen : at + self._length])]
        return "" if any(len(self._earlier) - at > self._length for at in self._starts) else self.end()

    def end(self) -> str:
        """Give what is new of what was held, as no more of it will come, or none is needed."""
        if not self.is_clear:
            lengths = (len(self._earlier) - at for at in self._starts or () if self._is_repetition(at))
            self.repeated = max((length for length in lengths if length <= self._length), default=0)
            self.is_clear = True
        fresh = "".join(self._held)[self.repeated :]
        self._held.clear()
        return fresh

    def _is_repetition(self, at: int) -> bool:
        end = self._earlier[at:]
        again = end in (end + end)[1:-1]  # "ha ha ", which may go on
        alone = self._earlier.find(end) == at
        return len(end) >= (_LEAST if at else _LEAST_WHOLE) and alone and not again and any(map(str.isalnum, end))


def _find(text: str, beginning: str) -> list[int]:
    found: list[int] = []
    at = text.find(beginning)
    while at >= 0 and len(found) < _MOST_STARTS:
        found.append(at)
        at = text.find(beginning, at + 1)
    return found


class FreshDeltas:
    """Leaves out of a continuation's deltas what repeats the end of the text, and of the thinking, that came before.

    Args:
        earlier: The answer so far.
    """

    def __init__(self, earlier: Choice) -> None:
        self._content = FreshText(earlier.content)
        self._reasoning = FreshText(earlier.reasoning or "")
        self._tokens: list[Any] = []
        self._are_tokens_fresh = False

    def take(self, delta: Delta) -> Delta | None:
        """Take a delta, and give what is new."""
        reasoning = delta.reasoning
        if reasoning:
            reasoning = self._reasoning.take(reasoning) or None
        elif delta.content:
            reasoning = self._reasoning.end() or reasoning
        content = self._content.take(delta.content)
        if delta.tool_calls:
            content += self._content.end()
        if isinstance(delta.logprobs, Mapping):
            self._tokens += delta.logprobs.get("content") or ()
        return self._made(content, reasoning, delta)

    def end(self) -> Delta | None:
        """Give what was held back to the end."""
        return self._made(self._content.end(), self._reasoning.end() or None, Delta())

    def _made(self, content: str, reasoning: str | None, delta: Delta) -> Delta | None:
        tokens = self._fresh_tokens()
        logprobs = {"content": tokens} if tokens else None
        if not content and reasoning is None and not delta.tool_calls and logprobs is None:
            return None
        return Delta(content, reasoning, delta.tool_calls, logprobs)

    def _fresh_tokens(self) -> list[Any]:
        """The tokens that had come of what is new, once that is clear."""
        if not self._content.is_clear:
            return []
        tokens, self._tokens = self._tokens, []
        repeated = 0 if self._are_tokens_fresh else self._content.repeated
        self._are_tokens_fresh = True
        while tokens and 0 < len(_text_of(tokens[0])) <= repeated:
            repeated -= len(_text_of(tokens.pop(0)))
        return tokens


def _text_of(token: Any) -> str:
    return (text_or_none(token.get("token")) if isinstance(token, Mapping) else None) or ""


def without_repetition(earlier: Choice, later: Choice) -> Choice:
    """A continuation without what it repeats of the end of what came before.

    Args:
        earlier: The answer so far.
        later: What came after; it is not changed.
    """
    fresh = FreshDeltas(earlier)
    pieces = (fresh.take(Delta(later.content, later.reasoning, logprobs=later.logprobs)), fresh.end())
    found = [piece for piece in pieces if piece is not None]
    thoughts = "".join(piece.reasoning or "" for piece in found)
    tokens = [token for piece in found if piece.logprobs is not None for token in piece.logprobs["content"]]
    return replace(
        later,
        content="".join(piece.content for piece in found),
        reasoning=None if later.reasoning is None else thoughts,
        reasoning_details=later.reasoning_details if thoughts or not later.reasoning else [],
        logprobs={"content": tokens} if tokens else None,
    )
