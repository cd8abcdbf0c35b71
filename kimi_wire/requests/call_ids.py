"""The ids of a conversation's tool calls, each once. Pure.

Kimi counts ids anew in every answer (`list_dir:0` in turn 1 and in turn 2), and has refused two equal ones in one
conversation: "tool call id write:XXX is duplicated" (openclaw/openclaw#51148). Frameworks look calls up by their ids
over a whole conversation, and take the second of two for the first.
"""

from __future__ import annotations

import re

_NUMBERED = re.compile(r"(.*[:_])(\d{1,9})", re.DOTALL)


class CallIds:
    """The ids that a conversation holds."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        # For a stem and a number, one up to which those after it are taken: ids that are repeated by the thousand are
        # not all walked past each time.
        self._following: dict[tuple[str, int], int] = {}

    def copy(self) -> CallIds:
        """The same ids, for an answer to add its own to."""
        copied = CallIds()
        copied._taken, copied._following = self._taken.copy(), self._following.copy()
        return copied

    def claim(self, wanted: str) -> str:
        """Give a call its id: the one it has, or, where the conversation holds that, one like it, the same each time.

        `list_dir:0` becomes the next free `list_dir:1`, so that an id keeps the form its model writes. The first of its
        kind stays as it is, since changed ids make models call tools less reliably (openclaw/openclaw#70030).
        """
        if wanted not in self._taken:
            self._taken.add(wanted)
            return wanted
        numbered = _NUMBERED.fullmatch(wanted)
        stem, number = (numbered[1], int(numbered[2])) if numbered else (f"{wanted}_", 0)
        unique, passed = wanted, []
        while unique in self._taken:
            passed.append((stem, number))
            number = self._following.get((stem, number), number + 1)
            unique = f"{stem}{number}"
        self._following.update(dict.fromkeys(passed, number))
        self._taken.add(unique)
        return unique
