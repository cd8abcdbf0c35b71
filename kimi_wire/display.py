"""Conversations shown as they happen, in a notebook or on a terminal: thinking, text, tool calls and their results.

The adapters' `show` and `ashow` read each framework's streams into a `Transcript`.
"""

from __future__ import annotations

import html
import os
import re
import sys
import time
from typing import Any, ClassVar, Literal, Protocol

Kind = Literal["thinking", "text", "call", "result"]

# Redrawing a fold for each token is what makes a notebook's page stutter.
_SECONDS_BETWEEN_DRAWINGS = 0.1

# JupyterLab breaks lines of a `<pre>` at any letter (`word-break: break-all`).
_FOLDED = (
    "white-space: pre-wrap; word-break: normal; overflow-wrap: break-word; font-family: inherit; opacity: 0.7; "
    "margin: 0.3em 0 0.6em 1.2em"
)

# Dollars, apart from those in code and those around mathematics: as Pandoc has it, those are next to no space on the
# inside, and nothing is written to the second one ("$5 to $10").
_DOLLAR = re.compile(
    r"""
    (?P<kept>
        (?<!`)(?P<ticks>`+)(?!`) .*? (?<!`)(?P=ticks)(?!`)
        | ``` .* \Z
        | \$\$ .+? \$\$
        | \$(?![\s$]) (?:\\.|[^$\n\\])+? (?<!\s)\$(?!\w)
        | \\[^$]
    )
    | \\?\$
    """,
    re.DOTALL | re.VERBOSE,
)


class Transcript:
    """A conversation in sections: each goes on while pieces of its kind come, and is finished by the next.

    In a notebook, thinking is a fold that stands open while the model thinks and closes when it goes on; tool calls and
    results are closed folds; text is Markdown. On a terminal, thinking is dimmed (or marked, where there are no
    colours).
    """

    def __init__(self) -> None:
        self._backend: _Backend = _Notebook() if _in_notebook() else _Terminal()
        self._open: tuple[Kind, str] | None = None

    def add(self, kind: Kind, text: str, title: str = "") -> None:
        """Show the next piece.

        Args:
            kind: What it is a piece of.
            text: The piece; an empty one without a title shows nothing.
            title: The name of the tool. One that is given begins a section of its own.
        """
        if not text and not title:
            return
        if self._open is None or self._open[0] != kind or title:
            self.close()
            self._open = kind, title
            self._backend.begin(kind, title)
        self._backend.write(text)

    def close(self) -> None:
        """Finish the section that is open."""
        if self._open is not None:
            self._open = None
            self._backend.end()


class _Backend(Protocol):
    def begin(self, kind: Kind, title: str) -> None: ...

    def write(self, text: str) -> None: ...

    def end(self) -> None: ...


class _Terminal:
    _STYLES: ClassVar = {"thinking": "2;3", "text": "0", "call": "36", "result": "36"}
    _MARKS: ClassVar = {"thinking": "", "text": "", "call": "-> {} ", "result": "<- {}: "}

    def __init__(self) -> None:
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._style = ""

    def begin(self, kind: Kind, title: str) -> None:
        self._style = self._STYLES[kind]
        plain_thinking = kind == "thinking" and not self._coloured
        self.write("(thinking) " if plain_thinking else self._MARKS[kind].format(title))

    def write(self, text: str) -> None:
        if text:
            print(f"\033[{self._style}m{text}\033[0m" if self._coloured else text, end="", flush=True)

    def end(self) -> None:
        print(flush=True)


class _Notebook:
    _NAMES: ClassVar = {"thinking": "Thinking", "call": "Calls {}", "result": "Result of {}"}

    def begin(self, kind: Kind, title: str) -> None:
        self._kind, self._title = kind, title
        self._pieces: list[str] = []
        self._handle: Any = None
        self._drawn = 0.0

    def write(self, text: str) -> None:
        self._pieces.append(text)
        if time.monotonic() - self._drawn >= _SECONDS_BETWEEN_DRAWINGS:
            self._draw(finished=False)

    def end(self) -> None:
        self._draw(finished=True)

    def _draw(self, *, finished: bool) -> None:
        from IPython import display

        drawing = self._bundle("".join(self._pieces), finished=finished)
        if self._handle is None:
            self._handle = display.display(drawing, raw=True, display_id=True)  # type: ignore[no-untyped-call] # IPython's
        else:
            self._handle.update(drawing, raw=True)
        self._drawn = time.monotonic()

    def _bundle(self, text: str, *, finished: bool) -> dict[str, str]:
        """What is shown, by media type: each page takes the richest that it knows."""
        if self._kind == "text":
            return {"text/markdown": _without_mathematics(text), "text/plain": text}
        return {
            "text/html": self._fold(text, finished=finished),
            "text/plain": f"{self._NAMES[self._kind].format(self._title)}: {text}",
        }

    def _fold(self, text: str, *, finished: bool) -> str:
        """A fold; MathJax leaves `<pre>` and `<code>` alone, and GitHub, which takes styles away, keeps their lines."""
        name = self._NAMES[self._kind].format(f"<code>{html.escape(self._title)}</code>")
        state = " open" if self._kind == "thinking" and not finished else ""
        return f'<details{state}><summary>{name}</summary><pre style="{_FOLDED}">{html.escape(text)}</pre></details>'


def _without_mathematics(markdown: str) -> str:
    """Markdown whose dollars are dollars, unless they stand around mathematics.

    JupyterLab typesets between any two dollars, and between two with a backslash too, once Markdown has read those
    (jupyterlab/jupyterlab#8645); from one element to another it does not.
    """
    return _DOLLAR.sub(lambda found: found["kept"] or r"<span>\$</span>", markdown)


def _in_notebook() -> bool:
    """Whether this runs in a kernel, whose output is a page and not a terminal."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")
