"""Streams of LangChain models, chains and agents, shown as they come."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import add_ai_message_chunks

from kimi_wire.display import Transcript


def show(stream: Iterable[Any]) -> AIMessageChunk | None:
    """Show a stream in a notebook or on a terminal, thinking apart from the answer.

    Args:
        stream: What `model.stream(...)` gives; or a chain's text; or an agent's
            `agent.stream(..., stream_mode="messages")`.

    Returns:
        The last message of the model, summed up; None where there was only text.

    Raises:
        TypeError: The stream has other things in it.

    Example:
        ```python
        from langchain_kimi import ChatKimi, show

        message = show(ChatKimi().stream("Which is larger, 9.11 or 9.9?"))
        print(message.usage_metadata)
        ```
    """
    viewer = _Viewer()
    for item in stream:
        viewer.take(item)
    return viewer.finish()


async def ashow(stream: AsyncIterable[Any]) -> AIMessageChunk | None:
    """The asynchronous twin of `show`, for `model.astream(...)` and `agent.astream(..., stream_mode="messages")`."""
    viewer = _Viewer()
    async for item in stream:
        viewer.take(item)
    return viewer.finish()


class _Viewer:
    """Writes items of a stream into a transcript, and keeps the pieces of the last message."""

    def __init__(self) -> None:
        self._transcript = Transcript()
        self._pieces: list[AIMessageChunk] = []

    def take(self, item: Any) -> None:
        message = item[0] if isinstance(item, tuple) else item  # agents add where in the graph it comes from
        if isinstance(message, str):
            self._transcript.add("text", message)
        elif isinstance(message, AIMessageChunk):
            self._take_chunk(message)
        elif isinstance(message, ToolMessage):
            self._transcript.add("result", message.text, title=message.name or message.tool_call_id)
        elif not isinstance(message, BaseMessage):
            self._transcript.close()
            raise TypeError(
                f"show() reads streams of messages and text, not {type(message).__name__}; an agent gives them with "
                "stream_mode='messages'."
            )

    def _take_chunk(self, chunk: AIMessageChunk) -> None:
        if self._pieces and self._pieces[-1].chunk_position == "last":
            self._pieces.clear()
        self._pieces.append(chunk)
        for block in chunk.content_blocks:
            if block["type"] == "reasoning":
                self._transcript.add("thinking", block.get("reasoning", ""))
            elif block["type"] == "text":
                self._transcript.add("text", block["text"])
            elif block["type"] == "tool_call_chunk":
                self._transcript.add("call", block["args"] or "", title=block["name"] or "")

    def finish(self) -> AIMessageChunk | None:
        self._transcript.close()
        return add_ai_message_chunks(*self._pieces) if self._pieces else None
