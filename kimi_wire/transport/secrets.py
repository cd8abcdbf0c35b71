"""Secrets on the way to the server, which no repr shows: tracebacks with variables, debuggers and `vars` have those."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kimi_wire.errors import KimiRequestError

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_WHITE = " \t\r\n\f\v"


class HiddenText(str):
    """A text like any other whose repr does not say it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


class HiddenHeaders(dict[str, str]):
    """Headers whose repr says their names."""

    def __repr__(self) -> str:
        return repr(dict.fromkeys(self, "***"))


def resolve_headers(headers: Mapping[str, str] | None, argument: str = "default_headers") -> HiddenHeaders:
    """Check headers, and strip their values: those read from files end in a line feed, which no header takes.

    The HTTP library finds the same with each attempt, and quotes the value.

    Args:
        headers: Names and values; they are not changed.
        argument: What the caller gave them as.

    Raises:
        KimiRequestError: They are none. It quotes no value, and no name that is none, since that may be a value.
    """
    problem, resolved = "", HiddenHeaders()
    if headers is not None and not isinstance(headers, Mapping):
        kind = "str" if isinstance(headers, str) else type(headers).__name__
        problem = f"{argument} is a {kind}; it takes names and values, as {{'X-Team': 'blue'}}."
        headers = None
    for number, (name, value) in enumerate((headers or {}).items(), 1):
        if not (isinstance(name, str) and _NAME.fullmatch(name)):
            problem = f"{argument}: header {number} has a name that is none: letters, digits and '-' make one."
        elif not isinstance(value, str):
            problem = f"{argument}: {name!r} is a {type(value).__name__}; the values of headers are text."
        elif not _is_sendable(value.strip(_WHITE)):
            problem = f"{argument}: {name!r} has characters that no header takes (line feeds or non-ASCII)."
        else:
            resolved[name] = value.strip(_WHITE)
    if problem:
        headers, resolved, name, value = {}, HiddenHeaders(), "", ""  # a traceback may be printed with its variables
        raise KimiRequestError(problem)
    return resolved


def _is_sendable(value: str) -> bool:
    return value.isascii() and value.replace("\t", " ").isprintable()
