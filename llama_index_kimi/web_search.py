"""`$web_search` as a LlamaIndex tool, so that agents can hold it like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from llama_index.core.tools import AsyncBaseTool, ToolMetadata, ToolOutput
from llama_index.core.tools.tool_spec.base import BaseToolSpec

from kimi_wire import KimiRequestError
from kimi_wire.arguments import render_arguments
from kimi_wire.requests import WEB_SEARCH, WEB_SEARCH_DESCRIPTION, web_search_tool
from llama_index_kimi.tools import SchemaMetadata


@dataclass
class _BuiltinMetadata(SchemaMetadata):
    """Metadata of `$web_search`, which is declared by its name alone."""

    @property
    def fn_schema_str(self) -> NoReturn:
        """Nothing: an agent that writes its tools into a prompt cannot have this one.

        Raises:
            KimiRequestError: Always.
        """
        raise KimiRequestError(
            f"{WEB_SEARCH} is called through Kimi's own tool calls and cannot be written into a prompt, which a "
            "ReActAgent does with its tools. Use a FunctionAgent, or "
            "KimiFormulaToolSpec(['moonshot/web-search:latest'])."
        )

    def to_openai_tool(self, skip_length_check: bool = False) -> dict[str, Any]:
        """The declaration, with the name that core's would write as `_web_search`."""
        return web_search_tool()


class KimiWebSearchTool(AsyncBaseTool):
    """Moonshot's own web search; see `KimiWebSearchToolSpec`."""

    @property
    def metadata(self) -> ToolMetadata:
        """Its name, and a schema without parameters: only the server knows those."""
        schema = {"type": "object", "properties": {}}
        return _BuiltinMetadata(name=WEB_SEARCH, description=WEB_SEARCH_DESCRIPTION, fn_schema=None, parameters=schema)

    def call(self, **arguments: Any) -> ToolOutput:  # type: ignore[override]
        """Answer a call with its arguments.

        Returns:
            The arguments as text, and parsed as `raw_output`.
        """
        return ToolOutput(
            content=render_arguments(arguments), tool_name=WEB_SEARCH, raw_input=arguments, raw_output=arguments
        )

    async def acall(self, **arguments: Any) -> ToolOutput:  # type: ignore[override]
        """The asynchronous twin of `call`."""
        return self.call(**arguments)


class KimiWebSearchToolSpec(BaseToolSpec):
    """Moonshot's own web search, `$web_search`: the model searches, on the server; searches are billed.

    The server wants each call answered with the arguments it wrote, byte for byte; `Kimi` sees to that, whatever
    becomes of the tool's answer on its way. What was found is not shown to the client. The tool's output has the number
    of tokens that the results add to the next prompt: `tool_output.raw_output["usage"]["total_tokens"]`.

    For agents that use tool calls (`FunctionAgent`, `AgentWorkflow`), `chat_with_tools` and `predict_and_call`. A
    `ReActAgent` writes its tools into a prompt, where this one cannot be, and gets a `KimiRequestError`.

    Examples:
        ```python
        from llama_index.core.agent.workflow import FunctionAgent
        from llama_index_kimi import Kimi, KimiWebSearchToolSpec

        agent = FunctionAgent(tools=KimiWebSearchToolSpec().to_tool_list(), llm=Kimi())
        print(await agent.run("What is new about Kimi?"))
        ```
    """

    def to_tool_list(self, *args: Any, **kwargs: Any) -> list[AsyncBaseTool]:  # type: ignore[override]
        """Give the one tool; there is nothing to choose from.

        Args:
            *args: Not used.
            **kwargs: Not used.

        Returns:
            A list of one `KimiWebSearchTool`.
        """
        return [KimiWebSearchTool()]
