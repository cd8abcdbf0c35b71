"""What comes back: bytes become one plain object for both adapters. Pure; `endpoints.chat` does the reading.

`response` reads whole answers, `stream` the events of streamed ones, `continuation` joins an answer that takes several
requests.
"""

from __future__ import annotations

from kimi_wire.answers.continuation import Answer
from kimi_wire.answers.response import PROVIDER, Choice, Completion, ToolCall, Usage, explain_answer, parse_completion
from kimi_wire.answers.stream import Delta, StreamState, ToolCallDelta

__all__ = [
    "PROVIDER",
    "Answer",
    "Choice",
    "Completion",
    "Delta",
    "StreamState",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
    "explain_answer",
    "parse_completion",
]
