"""Warnings that point at the line of the caller, however many frames of ours and of the frameworks lie in between.

Deliberately absent: a number of frames to skip. It is wrong, in silence, with the next frame that comes in between.
"""

from __future__ import annotations

import sys
import threading
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

    In a task that a framework has made, that is the line which runs them all, such as `asyncio.run(...)`; in a thread
    of a pool, the line that waits for the pool, such as `model.batch(...)`, unless several threads wait for one; in
    another thread that runs nothing of the caller's, the line that begins or joins it.

    Args:
        message: What the caller should know.
    """
    here = sys._getframe(1)
    frame = _outside(here) or _waiting() or here
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    module = frame.f_globals.get("__name__") or "<unknown>"
    warnings.warn_explicit(message, KimiWarning, frame.f_code.co_filename, frame.f_lineno, module, registry)


def _outside(frame: FrameType | None) -> FrameType | None:
    """The innermost frame that is neither ours nor a framework's; None where a thread has none."""
    while frame is not None and _package(frame) in _IN_BETWEEN:
        frame = frame.f_back
    return frame


def _waiting() -> FrameType | None:
    """The frame that waits for this thread, or for those of a pool; None where none does, or several do."""
    waiting = []
    for thread, frame in sys._current_frames().items():
        caller = None if thread == threading.get_ident() else _outside(frame)
        if caller is not None and _waits(frame, caller):
            waiting.append(caller)
    return waiting[0] if len(waiting) == 1 else None


def _waits(frame: FrameType | None, caller: FrameType) -> bool:
    """Whether a pool's frame is among those that a frame was called by, up to its caller."""
    while frame is not None and frame is not caller:
        if _package(frame) == "concurrent" or _joins(frame):
            return True
        frame = frame.f_back
    return False


def _joins(frame: FrameType) -> bool:
    """Whether a frame waits for the end of this thread, or still for its beginning."""
    codes = (threading.Thread.start.__code__, threading.Thread.join.__code__)
    return frame.f_code in codes and frame.f_locals.get("self") is threading.current_thread()


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
