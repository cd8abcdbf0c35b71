"""Partial Mode: what the built-in model says after a beginning it is given.

Going on is stable: of what it says after a beginning, any part can be added to the beginning, and it says the rest.
So an answer that was cut, wherever, adds up to what it would have been.
"""

from __future__ import annotations

from collections.abc import Iterable

# What a role says must differ from the plain answer, without the role's name: the guide says that `name` is a prefix
# of the output, and shows that the text returned does not have it.
_IN_ROLE = "*in character* "


def go_on(prefix: str, answers: Iterable[str], *, in_role: bool = False) -> str:
    """Say what comes after a prefix.

    Args:
        prefix: The beginning of the answer.
        answers: What may have been begun, the plain answer first. If none begins so, that follows.
        in_role: Whether a role speaks.
    """
    plain, *others = answers
    line = _IN_ROLE + plain if in_role else plain
    for whole in (line, plain, *others):
        if whole.startswith(prefix):
            return whole[len(prefix) :]
    return _after(prefix, line)


def _after(prefix: str, answer: str) -> str:
    """Put the answer after the prefix, without what the prefix already has of it."""
    if answer in prefix:
        return ""
    for size in range(min(len(answer), len(prefix)), 0, -1):
        before = prefix[: len(prefix) - size]
        if prefix.endswith(answer[:size]) and (not before or before[-1].isspace()):
            return answer[size:]
    return answer if prefix[-1:].isspace() else f" {answer}"
