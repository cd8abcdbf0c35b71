"""Streams of LangChain models, chains and agents, shown as they come."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import Any, overload

from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.messages.ai import add_ai_message_chunks

from kimi_wire.display import Transcript


@overload
def show(stream: Iterable[AIMessageChunk]) -> AIMessageChunk: ...


@overload
def show(stream: Iterable[str]) -> None: ...


@overload
def show(stream: Iterable[Any]) -> AIMessageChunk | None: ...


def show(stream: Iterable[Any]) -> AIMessageChunk | None:
    """Show a stream in a notebook or on a terminal, thinking apart from the answer.

    Args:
        stream: What `model.stream(...)` gives; or a chain's text; or an agent's
            `agent.stream(..., stream_mode="messages")`, also with `subgraphs=True` and of several modes, of which the
            others are passed over.

    Returns:
        The last message of the model, summed up; None where there was no message.

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


@overload
async def ashow(stream: AsyncIterable[AIMessageChunk]) -> AIMessageChunk: ...


@overload
async def ashow(stream: AsyncIterable[str]) -> None: ...


@overload
async def ashow(stream: AsyncIterable[Any]) -> AIMessageChunk | None: ...


async def ashow(stream: AsyncIterable[Any]) -> AIMessageChunk | None:
    """The asynchronous twin of `show`, for `model.astream(...)` and `agent.astream(..., stream_mode="messages")`."""
    viewer = _Viewer()
    async for item in stream:
        viewer.take(item)
    return viewer.finish()


class _Viewer:
    """Writes items of a stream into a transcript, and keeps the pieces of its messages."""

    def __init__(self) -> None:
        self._transcript = Transcript()
        self._coming: dict[str | None, list[AIMessageChunk]] = {}  # subgraphs that run at the same time take turns
        self._last: list[AIMessageChunk] = []

    def take(self, item: Any) -> None:
        message = _find_message(item)
        if isinstance(message, str):
            self._transcript.add("text", message)
        elif isinstance(message, AIMessageChunk):
            self._take_chunk(message)
        elif isinstance(message, ToolMessage):
            self._transcript.add("result", message.text, title=message.name or message.tool_call_id)
        elif message is not None and not isinstance(message, BaseMessage):
            self._transcript.close()
            raise TypeError(
                f"show() reads streams of messages and text, not {type(message).__name__}; an agent gives them with "
                "stream_mode='messages'."
            )

    def _take_chunk(self, chunk: AIMessageChunk) -> None:
        self._last = self._coming.setdefault(chunk.id, [])
        self._last.append(chunk)
        if chunk.chunk_position == "last":
            del self._coming[chunk.id]
        for block in chunk.content_blocks:
            if block["type"] == "reasoning":
                self._transcript.add("thinking", block.get("reasoning", ""))
            elif block["type"] == "text":
                self._transcript.add("text", block["text"])
            elif block["type"] == "refusal":
                self._transcript.add("text", block["refusal"])
            elif block["type"] == "tool_call_chunk":
                self._transcript.add("call", block["args"] or "", title=block["name"] or "")

    def finish(self) -> AIMessageChunk | None:
        self._transcript.close()
        return add_ai_message_chunks(*self._last) if self._last else None


def _find_message(item: Any) -> Any:
    """The message in an item of a graph's stream; None for an item of another mode.

    LangGraph gives `(message, metadata)`, puts the mode before it where several are asked for, and before that the
    subgraph's name with `subgraphs=True`; with `version="v2"` all of that stands in a dict.
    """
    if isinstance(item, dict) and {"type", "ns", "data"} <= item.keys():
        item = (item["ns"], item["type"], item["data"])
    if not isinstance(item, tuple) or not item:
        return item
    if isinstance(item[0], BaseMessage):
        return item[0]
    mode = item[-2] if len(item) > 1 else None
    return None if isinstance(mode, str) and mode != "messages" else _find_message(item[-1])
