"""Warnings that point at the line of the caller, however many frames of ours and of the frameworks lie in between.

Deliberately absent: a number of frames to skip. It is wrong, in silence, with the next frame that comes in between.
"""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from kimi_wire.errors import KimiWarning

# What stands between a caller's line and ours, by its top-level package: the adapters, the frameworks, and what runs
# their calls in threads and tasks.
_IN_BETWEEN = frozenset(
    {
        *("kimi_wire", "langchain_kimi", "llama_index_kimi"),
        *("langchain_core", "langchain", "langgraph", "langsmith"),
        *("llama_index", "llama_index_instrumentation", "workflows", "wrapt", "tenacity"),
        *("asyncio", "concurrent", "contextlib", "functools", "threading"),
    }
)


def warn(message: str) -> None:
    """Give a `KimiWarning` at the line that called: the innermost one that is neither ours nor a framework's.

    In a task or a thread that a framework has made, that is the line which runs them all, such as `asyncio.run(...)`.

    Args:
        message: What the caller should know.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _package(frame) in _IN_BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, KimiWarning, stacklevel=level)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
