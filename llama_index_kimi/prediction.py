"""Tools that are run as soon as the model has called them, for `Kimi.predict_and_call`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.llms.llm import ToolSelection

if TYPE_CHECKING:
    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.tools.types import BaseTool, ToolOutput


def call_tool(call: ToolSelection, tools: Sequence[BaseTool], verbose: bool) -> ToolOutput:
    """Run the tool that a call names."""
    from llama_index.core.tools.calling import call_tool_with_selection

    return _not_found(call, tools) or call_tool_with_selection(call, tools, verbose=verbose)


async def acall_tool(call: ToolSelection, tools: Sequence[BaseTool], verbose: bool) -> ToolOutput:
    """The asynchronous twin of `call_tool`."""
    from llama_index.core.tools.calling import acall_tool_with_selection

    return _not_found(call, tools) or await acall_tool_with_selection(call, tools, verbose=verbose)


def _not_found(call: ToolSelection, tools: Sequence[BaseTool]) -> ToolOutput | None:
    """The result of a call that no tool is there for, where core raises a bare KeyError.

    Calls whose arguments are no JSON object are among them (see `llama_index_kimi.responses.parse_tool_calls`).
    """
    from llama_index.core.tools.types import ToolOutput

    names = [tool.metadata.get_name() for tool in tools]
    if call.tool_name in names:
        return None
    # The words of core's agents, as a failed tool's of core's `call_tool`.
    error = ValueError(f"Tool {call.tool_name} not found. The tools are: {', '.join(names)}.")
    return ToolOutput(
        content=f"Encountered error: {error}",
        tool_name=call.tool_name,
        raw_input=call.tool_kwargs,
        raw_output=str(error),
        is_error=True,
        exception=error,
    )


def answer_of(response: ChatResponse, outputs: Sequence[ToolOutput], error_on_tool_error: bool) -> AgentChatResponse:
    """The tools' results as one response; the model's text where no tool was called.

    Raises:
        ValueError: A tool failed, and that is asked to be an error.
    """
    from llama_index.core.chat_engine.types import AgentChatResponse

    text = "\n\n".join(output.content for output in outputs)
    if error_on_tool_error and any(output.is_error for output in outputs):
        raise ValueError(text)
    return AgentChatResponse(response=text if outputs else response.message.content or "", sources=list(outputs))
