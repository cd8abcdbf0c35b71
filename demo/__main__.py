"""Run the demo: on the real API where a key is set, else on the built-in emulator."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from unittest import mock

from kimi_emulator import KimiEmulator
from kimi_wire.connection import KEY_VARIABLES, resolve_base_url
from kimi_wire.errors import KimiError

from .screen import Screen


@contextlib.contextmanager
def _server(screen: Screen) -> Iterator[None]:
    """Say whom the demo talks to, and provide the emulator where nobody else is to be had."""
    if any(os.environ.get(name) for name in KEY_VARIABLES):
        screen.line("title", f"This is the real API: {resolve_base_url(None)}")
        yield
        return
    with KimiEmulator(chunk_delay=0.02 if sys.stdout.isatty() else 0.0) as emulator:
        screen.line("title", f"No key is set, so this is the built-in emulator on {emulator.base_url}, not Kimi.")
        screen.line("note", "Set MOONSHOT_API_KEY to run the same on the real API.")
        with mock.patch.dict(os.environ, MOONSHOT_API_KEY="sk-emulator", MOONSHOT_BASE_URL=emulator.base_url):
            yield


def main() -> int:
    """Show the agent and the RAG answer."""
    screen = Screen()
    with _server(screen):
        from . import agent, rag  # importing the two frameworks takes seconds; the first lines stand by then

        try:
            agent.run(screen)
            rag.run(screen)
        except KimiError as error:
            screen.line("text", f"\n{type(error).__name__}: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
