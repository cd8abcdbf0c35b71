"""`$web_search` as a LangChain tool, so that agents can hold it like any other."""

from __future__ import annotations

from typing import Any, Literal

from langchain_core.tools import BaseTool
from langchain_core.tools.base import ArgsSchema

from kimi_wire.arguments import render_arguments
from kimi_wire.requests import WEB_SEARCH, WEB_SEARCH_DESCRIPTION

_ANY_ARGUMENTS = {"type": "object", "properties": {}, "additionalProperties": True}


class KimiWebSearch(BaseTool):
    """Moonshot's own web search, `$web_search`: the model searches, on the server.

    Setup:
        Nothing but a `ChatKimi`; searches are billed by Moonshot.

    Use it in an agent, or with `bind_tools`, beside tools of your own:
        ```python
        from langchain.agents import create_agent
        from langchain_kimi import ChatKimi, KimiWebSearch

        agent = create_agent(ChatKimi(), [KimiWebSearch()])
        result = agent.invoke({"messages": [{"role": "user", "content": "What is new about Kimi?"}]})
        ```

    The server wants each call answered with the arguments it wrote, byte for byte; `ChatKimi` sees to that, whatever
    becomes of this tool's answer on its way. What was found is not shown to the client. The artifact of the tool
    message is the parsed arguments, with the number of tokens that the results add to the next prompt:
        ```python
        from langchain_core.messages import ToolMessage

        for message in result["messages"]:
            if isinstance(message, ToolMessage):
                print(message.artifact["usage"]["total_tokens"])
        ```
    """

    name: str = WEB_SEARCH
    description: str = WEB_SEARCH_DESCRIPTION
    args_schema: ArgsSchema | None = _ANY_ARGUMENTS
    response_format: Literal["content", "content_and_artifact"] = "content_and_artifact"

    def _run(self, /, **arguments: Any) -> tuple[str, dict[str, Any]]:
        return render_arguments(arguments), arguments

    async def _arun(self, /, **arguments: Any) -> tuple[str, dict[str, Any]]:
        return self._run(**arguments)
