"""Partial Mode: what the built-in model says after a beginning it is given.

Going on is stable: of what it says after a beginning, any part can be added to the beginning, and it says the rest.
So an answer that was cut, wherever, adds up to what it would have been.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from . import json_answers
from .partial_json import Scan, scan
from .view import View

_FENCE = re.compile(r"\s*```(?:json)?\s*\n")
_FENCE_END = "\n```"
# What a role says must differ from the plain answer, without the role's name: the guide says that `name` is a prefix
# of the output, and shows that the text returned does not have it.
_IN_ROLE = "*in character* "


def follow(prefix: str, whole: str) -> str | None:
    """Return what comes after a prefix in a text; None if the text does not begin so, white space aside."""
    if whole.startswith(prefix):
        return whole[len(prefix) :]
    at = 0
    for char in prefix:
        if char.isspace():
            continue
        at += _space(whole[at:])
        if whole[at : at + 1] != char:
            return None
        at += 1
    written, due = prefix[len(prefix.rstrip()) :], whole[at : at + _space(whole[at:])]
    return whole[at + len(written if due.startswith(written) else due) :]


def _space(text: str) -> int:
    return len(text) - len(text.lstrip())


def go_on(prefix: str, answer: str, view: View | None, *, in_role: bool = False) -> str:
    """Say what comes after a prefix.

    Args:
        prefix: The beginning of the answer.
        answer: The answer that would be given without it; if it begins so, its rest is what comes.
        view: The conversation, for JSON that the prefix alone asks for; None if a schema settled the answer.
        in_role: Whether a role speaks.
    """
    line = _IN_ROLE + answer if in_role else answer
    for whole in (line, answer):
        rest = follow(prefix, whole)
        if rest is not None:
            return rest
    rest = _go_on_in_json(prefix, view)
    return _go_on_in_prose(prefix, line.strip()) if rest is None else rest


def _go_on_in_prose(prefix: str, answer: str) -> str:
    """Put the answer after the prefix, without what the prefix already has of it."""
    if answer in prefix:
        return ""
    for size in range(min(len(answer), len(prefix)), 0, -1):
        before = prefix[: len(prefix) - size]
        if prefix.endswith(answer[:size]) and (not before or before[-1].isspace()):
            return answer[size:]
    return answer if prefix[-1:].isspace() else f" {answer}"


def _go_on_in_json(prefix: str, view: View | None) -> str | None:
    """Complete a prefix that begins JSON, in a Markdown fence or not; None if it does not."""
    fence = _FENCE.match(prefix)
    begun = prefix[fence.end() :] if fence else prefix
    if not (fence or begun.lstrip().startswith(("{", "["))):
        return None
    end = _FENCE_END if fence else ""
    for whole in _objects(scan(begun), view):
        rest = follow(begun, whole + end)
        if rest is not None:
            return rest
    for size in range(len(end), 0, -1):
        complete = scan(begun[:-size]) if begun.endswith(end[:size]) else None
        if complete is not None and complete.closing == "":
            return end[size:]
    incomplete = scan(begun)
    return None if incomplete is None else incomplete.closing + end


def _objects(begun: Scan | None, view: View | None) -> Iterator[str]:
    """Yield what the prefix may be the beginning of: the object the prompt asks for, a list of it, one by its keys."""
    if view is not None:
        asked_for = json_answers.with_keys(view)
        yield from (asked_for, f"[{asked_for}]")
        if begun is not None and (begun.keys or begun.open_key):
            yield json_answers.with_keys(view, begun.keys, begun.open_key)
