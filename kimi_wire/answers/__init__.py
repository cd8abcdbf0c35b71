"""What comes back: bytes become one plain object for both adapters. Pure; `endpoints.chat` does the reading.

`calls` reads tool calls, `nested` what a model has encoded twice in them, `response` whole answers, `stream` the events
of streamed ones; `continuation` joins an answer that takes several requests.
"""

from __future__ import annotations

from kimi_wire.answers.calls import ToolCall, ToolCallDelta
from kimi_wire.answers.continuation import Answer
from kimi_wire.answers.response import (
    FILTERED,
    PROVIDER,
    Choice,
    Completion,
    Usage,
    check_refusal,
    explain_answer,
    parse_completion,
    parse_usage,
)
from kimi_wire.answers.stream import Delta, StreamState

__all__ = [
    "FILTERED",
    "PROVIDER",
    "Answer",
    "Choice",
    "Completion",
    "Delta",
    "StreamState",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "check_refusal",
    "explain_answer",
    "parse_completion",
    "parse_usage",
]
