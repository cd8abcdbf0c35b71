"""`python -m kimi_wire`: the account, models, files and token counts for people, and the `doctor`."""

from __future__ import annotations

from kimi_wire.command.cli import main

__all__ = ["main"]
