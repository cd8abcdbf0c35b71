"""Reading the beginning of a JSON text: which keys it has, and the shortest way to end it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*')
_DANGLING = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_WORD = re.compile(r"[-+.0-9eE]+|[a-z]+")
_LITERALS = ("true", "false", "null")
# What is missing where a text stops. Each closing is made so that any part of it is closed by its rest.
_MISSING = {"value": "null", "key": '"":null', "colon": ":null"}


@dataclass(frozen=True)
class Scan:
    """What the beginning of a JSON text says.

    Attributes:
        closing: The shortest text that completes it.
        keys: The complete keys of the outermost object.
        open_key: The last key of that object as far as it goes, if the text stops inside it.
    """

    closing: str
    keys: tuple[str, ...] = ()
    open_key: str | None = None


class _Broken(Exception):
    """The text is not the beginning of JSON."""


def scan(text: str) -> Scan | None:
    """Read the beginning of a JSON text; None if it is none."""
    try:
        return _Scanner(text).scan()
    except _Broken:
        return None


class _Scanner:
    """A machine that expects a value, the first item, a key, the first key, a colon, a comma or nothing more."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._expects = "value"
        self._closers: list[str] = []
        self._keys: list[str] = []
        self._tail = ""

    def scan(self) -> Scan:
        open_key = None
        while self._skip_space():
            if self._expects in ("key", "first key") and self._text[self._at] == '"':
                key = self._string()
                self._expects = "colon"
                if len(self._closers) == 1 and self._tail:
                    open_key = key
                elif len(self._closers) == 1:
                    self._keys.append(key)
            else:
                self._step(self._text[self._at])
        missing = _MISSING.get(self._expects, "")
        return Scan(self._tail + missing + "".join(reversed(self._closers)), tuple(self._keys), open_key)

    def _skip_space(self) -> bool:
        while self._text[self._at : self._at + 1] in (" ", "\t", "\n", "\r"):
            self._at += 1
        return self._at < len(self._text)

    def _step(self, char: str) -> None:
        if self._expects in ("value", "first item") and char not in "]},:":
            self._value(char)
        elif self._expects == "colon" and char == ":":
            self._move("value")
        elif self._expects == "comma" and char == "," and self._closers:
            self._move("key" if self._closers[-1] == "}" else "value")
        elif self._expects in ("comma", "first item", "first key") and self._closers and char == self._closers[-1]:
            self._closers.pop()
            self._move("comma")
        else:
            raise _Broken

    def _move(self, expects: str) -> None:
        self._at += 1
        self._expects = expects

    def _value(self, char: str) -> None:
        if char in "{[":
            self._closers.append("}" if char == "{" else "]")
            self._move("first key" if char == "{" else "first item")
            return
        if char == '"':
            self._string()
        else:
            self._word()
        self._expects = "comma"

    def _string(self) -> str:
        """Read a string, complete or not."""
        match = _STRING.match(self._text, self._at)
        assert match
        start, end = match.span()
        if self._text[end : end + 1] == '"':
            self._at = end + 1
            return _decode(self._text[start : self._at])
        dangling = _DANGLING.match(self._text, end)
        if end < len(self._text) and not dangling:
            raise _Broken
        escape = dangling[0] if dangling else ""
        self._at = len(self._text)
        self._tail = ("\\" if escape == "\\" else "0" * (6 - len(escape)) if escape else "") + '"'
        return _decode(self._text[start:] + self._tail)

    def _word(self) -> None:
        """Read a number or a literal, complete or not."""
        match = _WORD.match(self._text, self._at)
        if match is None:
            raise _Broken
        word, self._at = match[0], match.end()
        completions = [literal[len(word) :] for literal in _LITERALS if literal.startswith(word)]
        completions += [more for more in ("", "0") if _NUMBER.fullmatch(word + more)]
        if not completions or (completions[0] and self._at < len(self._text)):
            raise _Broken
        self._tail = completions[0]


def _decode(string: str) -> str:
    return str(json.loads(string))
