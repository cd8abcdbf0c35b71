"""The thinking of an answer that may still be begun anew. Pure.

Long streams break while the model thinks, and models end after their thinking. What is asked again then thinks again,
and LangChain's chunks can only be added to: had the thinking of the first attempt been given, the message would have
both, and the model would be shown it again as its own.

Deliberately absent: going on with the thinking in Partial Mode, with `reasoning_content` and no text. Moonshot's
documents have it for text only, and what was cut in its thinking begins anew there; templates of the open weights close
the thinking as if it were whole.
"""

from __future__ import annotations

from collections.abc import Sequence

from kimi_wire.answers.stream import Delta


class HeldThinking:
    """Holds deltas back until text or a tool call begins: from there on an answer is not begun anew."""

    def __init__(self) -> None:
        self._held: list[Delta] = []
        self._has_begun = False

    def take(self, delta: Delta) -> Sequence[Delta]:
        """Take a delta, and give what can be given."""
        if self._has_begun:
            return (delta,)
        self._held.append(delta)
        self._has_begun = bool(delta.content.strip() or delta.tool_calls)
        return self.end() if self._has_begun else ()

    def end(self) -> Sequence[Delta]:
        """Give what is held back, as the answer is not begun anew."""
        held, self._held = self._held, []
        return held
