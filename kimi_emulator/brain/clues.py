"""The values that a text offers to whoever fills a form from it, each for the names it fits."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from ..text import concepts, words
from . import values

_KINDS = (
    ("place", "city location place country destination origin town region address"),
    ("text", "description body message content text details summary comment reason query question input prompt search"),
    ("name", "name title customer person user author artist company product item topic subject"),
)
_KIND_OF = {word: kind for kind, listed in _KINDS for word in listed.split()}


def kind_of(name: str) -> str:
    """Tell what kind of text a name asks for, by the last of its words that says so."""
    return next((_KIND_OF[word] for word in reversed(words(name)) if word in _KIND_OF), "")


class Clues:
    """The values a text offers. Each is handed out once."""

    def __init__(self, text: str, *, whole: bool = False, done: Iterable[str] = ()) -> None:
        """Look a text over.

        Args:
            text: The text.
            whole: Whether the text as a whole will do where nothing in it fits.
            done: Names of the tools that have answered already.
        """
        self.text = text.strip()
        self.done = frozenset(done)
        self.numbers = values.numbers(text)
        self._whole = whole
        self._quoted = values.quoted(text)
        self._taken: set[str] = set()
        self._found: dict[str, list[str]] = {}

    @functools.cached_property
    def about(self) -> set[str]:
        """The ideas of the text."""
        return concepts(self.text)

    def take_number(self, integer: bool) -> float | None:
        """Return the next number."""
        number = next((number for number in self.numbers if not integer or float(number).is_integer()), None)
        if number is not None:
            self.numbers.remove(number)
        return number

    def take_text(self, name: str, required: bool) -> str | None:
        """Return the text that fits a name, or None; for what is not required, only one with that label."""
        given = [values.labelled(self.text, name) if name else None]
        for text in [*given, *self._candidates(kind_of(name))] if required else given:
            if text and text not in self._taken:
                self._taken.add(text)
                return text
        return None

    def options(self, name: str) -> list[str]:
        """Return all texts that fit a name; what is quoted counts before what is not."""
        return list(dict.fromkeys(self._quoted or self._candidates(kind_of(name) or "name")))

    def _candidates(self, kind: str) -> list[str]:
        if kind not in self._found:
            self._found[kind] = list(dict.fromkeys(self._find(kind)))
        return self._found[kind]

    def _find(self, kind: str) -> list[str]:
        if kind == "text":
            return [*self._quoted, *values.remarks(self.text), self.text]
        found = values.places(self.text) if kind == "place" else values.names(self.text)
        return [*self._quoted, *found, *([self.text] if self._whole and not kind else [])]
