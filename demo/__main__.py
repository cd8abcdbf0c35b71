"""Run the demo: on the real API where a key is set, else on the built-in emulator."""

from __future__ import annotations

import sys

from kimi_emulator import emulate_without_key
from kimi_wire.errors import KimiError


def main() -> int:
    """Show the agent and the RAG answer."""
    print(emulate_without_key(chunk_delay=0.02 if sys.stdout.isatty() else 0.0), flush=True)
    from . import agent, rag  # importing the two frameworks takes seconds; the first lines stand by then

    try:
        agent.run()
        rag.run()
    except KimiError as error:
        print(f"\n{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
