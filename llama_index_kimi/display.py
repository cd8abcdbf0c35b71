"""Streams of LlamaIndex LLMs, engines and agents, shown as they come."""

from __future__ import annotations

import json
from collections.abc import AsyncIterable, Iterable
from typing import Any

from llama_index.core.agent.workflow import AgentStream, ToolCall, ToolCallResult
from llama_index.core.base.llms.types import ChatResponse, CompletionResponse

from kimi_wire.display import Transcript


def show(stream: Iterable[Any]) -> Any:
    """Show a stream in a notebook or on a terminal, thinking apart from the answer.

    Args:
        stream: What `llm.stream_chat(...)` or `llm.stream_complete(...)` gives; or an engine's text, such as
            `response.response_gen`.

    Returns:
        The last response, which is the whole answer; of a stream of text, the text.

    Raises:
        TypeError: The stream has other things in it.

    Example:
        ```python
        from llama_index_kimi import Kimi, show

        response = show(Kimi().stream_complete("Which is larger, 9.11 or 9.9?"))
        print(response.additional_kwargs["total_tokens"])
        ```
    """
    viewer = _Viewer()
    for item in stream:
        viewer.take(item)
    return viewer.finish()


async def ashow(stream: AsyncIterable[Any]) -> Any:
    """The asynchronous twin of `show`, which takes an agent's `handler.stream_events()` too."""
    viewer = _Viewer()
    async for item in stream:
        viewer.take(item)
    return viewer.finish()


class _Viewer:
    """Writes items of a stream into a transcript."""

    def __init__(self) -> None:
        self._transcript = Transcript()
        self._last: Any = None
        self._text: list[str] = []

    def take(self, item: Any) -> None:
        if isinstance(item, str):
            self._text.append(item)
            self._transcript.add("text", item)
        elif isinstance(item, (ChatResponse, CompletionResponse)):
            self._last = item
            self._transcript.add("thinking", item.additional_kwargs.get("thinking_delta") or "")
            self._transcript.add("text", item.delta or item.additional_kwargs.get("refusal") or "")
        elif isinstance(item, AgentStream):
            self._last = item
            self._transcript.add("thinking", item.thinking_delta or "")
            self._transcript.add("text", item.delta)
        elif isinstance(item, ToolCallResult):
            self._transcript.add("result", str(item.tool_output.content), title=item.tool_name)
        elif isinstance(item, ToolCall):
            self._transcript.add("call", json.dumps(item.tool_kwargs, ensure_ascii=False), title=item.tool_name)
        elif not hasattr(item, "model_dump"):  # the other events of an agent
            self._transcript.close()
            raise TypeError(f"show() reads streams of responses, text and agent events, not {type(item).__name__}.")

    def finish(self) -> Any:
        self._transcript.close()
        return "".join(self._text) if self._last is None else self._last
