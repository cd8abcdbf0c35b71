"""Writing to a terminal: thinking dimmed, tool calls marked, text as it comes."""

from __future__ import annotations

import os
import sys

_COLOURED = sys.stdout.isatty() and "NO_COLOR" not in os.environ
_STYLES = {"thinking": "2;3", "tool": "36", "title": "1", "note": "2", "text": "0"}


class Screen:
    """Prints pieces of an answer, each kind in its own style, and starts a new line where the kind changes."""

    def __init__(self) -> None:
        self._kind = ""

    def stream(self, kind: str, text: str) -> None:
        """Print the next characters of something that comes in pieces."""
        if not text:
            return
        if kind != self._kind:
            self._break()
            self._kind = kind
            if not _COLOURED and kind == "thinking":
                print("(thinking) ", end="")
        print(_styled(kind, text), end="", flush=True)

    def start(self, kind: str, text: str) -> None:
        """Start a line that goes on in pieces."""
        self._break()
        self.stream(kind, text)

    def line(self, kind: str, text: str) -> None:
        """Print one line."""
        self._break()
        print(_styled(kind, text), flush=True)

    def _break(self) -> None:
        if self._kind:
            print()
        self._kind = ""


def _styled(kind: str, text: str) -> str:
    return f"\033[{_STYLES[kind]}m{text}\033[0m" if _COLOURED else text
