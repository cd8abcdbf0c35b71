"""Tool names on their way out and back: a legal one stays as it is, any other travels under an alias.

Names come from MCP servers, OpenAPI documents and other languages, where nobody can change them. An alias depends on
its name alone, so that the same history gives the same bytes each time; and what it stands for is known from the
request that it is in, so that an answer can be read anywhere.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

# "function name is invalid, must start with a letter and can contain letters, numbers, underscores, and dashes"
# (MoonshotAI/kimi-cli#1773). The documented pattern allows a leading underscore, and 128 characters where it once
# allowed 64 (https://platform.kimi.com/docs/api/chat).
_LEGAL = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_ILLEGAL_RUN = re.compile(r"[^a-zA-Z0-9_-]+")

_LONGEST_ALIAS = 64  # what every host takes
_DIGITS = (8, 32, 48)
"""Digits of the hash in an alias: more of them only where a tool of the same request has that very name."""


def is_builtin(name: Any) -> bool:
    """Whether a tool's name is that of a function of the server's own."""
    return isinstance(name, str) and name.startswith("$")


@lru_cache(maxsize=4096)
def alias_of(name: str, digits: int = _DIGITS[0]) -> str:
    """A legal name for one that is not: what of it is ASCII, and a hash that keeps names apart which become alike.

    Args:
        name: Any name.
        digits: How many hexadecimal digits of the hash it gets.
    """
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    words = _ILLEGAL_RUN.sub("_", ascii_only).strip("_-")
    if not words[:1].isalpha():
        words = f"tool_{words}".rstrip("_")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    return f"{words[: _LONGEST_ALIAS - digits - 1]}_{digest}"


def is_legible(name: str) -> bool:
    """Whether all letters of a name are in its alias; a prompt that speaks of the tool can be understood then."""
    return all(unicodedata.normalize("NFKD", letter)[:1].isascii() for letter in name if letter.isalnum())


class ToolNames:
    """The names of one request's tools, those of its history included: under which they travel, and back.

    It is filled while the request is rendered.

    Args:
        declared: The declarations of all its tools, in the API's form.
    """

    def __init__(self, declared: Iterable[Any] = ()) -> None:
        self._sent: dict[str, str] = {}
        self._own: dict[str, str] = {}  # by alias; empty where all names are legal
        functions = [name for tool in declared if (name := _function_name(tool))]
        self._sent.update((name, name) for name in functions if _LEGAL.fullmatch(name))
        for name in functions:
            if name not in self._sent:
                self._take_alias(name)

    def sent(self, name: str) -> str:
        """The name under which a tool travels."""
        known = self._sent.get(name)
        if known is not None:
            return known
        if _LEGAL.fullmatch(name) or is_builtin(name):
            self._sent[name] = name
            return name
        return self._take_alias(name)

    def own(self, sent: str) -> str:
        """The name of the tool that travels under another; a name that stands for nothing else is its own."""
        return self._own.get(sent, sent)

    def may_grow(self, begun: str) -> bool:
        """Whether what has come of a name may be the beginning of an alias."""
        return any(alias.startswith(begun) and alias != begun for alias in self._own)

    def in_text(self, text: str) -> str:
        """The server's words, with the tools' own names in them."""
        for alias, name in self._own.items():
            text = text.replace(alias, name)
        return text

    def __bool__(self) -> bool:
        """Whether any name travels under another."""
        return bool(self._own)

    def _take_alias(self, name: str) -> str:
        aliases = [alias_of(name, digits) for digits in _DIGITS]
        free = (alias for alias in aliases if alias not in self._sent and alias not in self._own)
        alias = self._sent[name] = next(free, aliases[-1])
        self._own[alias] = name
        return alias


def _function_name(tool: Any) -> str | None:
    """The name of a declared function; None for a builtin one, and for what is no declaration."""
    function = tool.get("function") if isinstance(tool, (dict, Mapping)) else None  # the first is told fast
    if not isinstance(function, (dict, Mapping)) or tool.get("type", "function") != "function":
        return None
    name = function.get("name")
    return name if isinstance(name, str) else None
