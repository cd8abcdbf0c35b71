"""Official tools ("Formula") as LlamaIndex tools that run on Moonshot's servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.tools import AsyncBaseTool, ToolMetadata, ToolOutput
from llama_index.core.tools.tool_spec.base import BaseToolSpec

from kimi_wire import KimiFormulaError
from kimi_wire.endpoints import FormulaTool, KimiFormulas
from kimi_wire.transport import ApiKey, hiding_secrets
from llama_index_kimi.tools import SchemaMetadata


class KimiFormulaTool(AsyncBaseTool):
    """One official tool, as `KimiFormulaToolSpec` makes it.

    A run that fails gives an output with `is_error` and the server's words, for the model to read. Errors that no model
    can mend (the key, the permission, the balance) are raised. An encrypted result goes on to the model as it is.
    """

    def __init__(self, formulas: KimiFormulas, tool: FormulaTool) -> None:
        """Make the tool; nothing is sent."""
        self._formulas = formulas
        self._tool = tool
        self._metadata = SchemaMetadata(
            name=tool.name, description=tool.description, fn_schema=None, parameters=tool.parameters
        )

    @property
    def metadata(self) -> ToolMetadata:
        """Name, description and schema, as Moonshot has them."""
        return self._metadata

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def call(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """Run the tool on Moonshot's servers.

        Args:
            *args: Arguments in the schema's order.
            **kwargs: Arguments by name.
        """
        arguments = self._arguments(args, kwargs)
        try:
            result = self._formulas.run(self._tool, arguments)
        except KimiFormulaError as error:
            return self._failed(arguments, error)
        return self._output(arguments, result)

    async def acall(self, *args: Any, **kwargs: Any) -> ToolOutput:
        """The asynchronous twin of `call`."""
        arguments = self._arguments(args, kwargs)
        try:
            result = await self._formulas.arun(self._tool, arguments)
        except KimiFormulaError as error:
            return self._failed(arguments, error)
        return self._output(arguments, result)

    def _arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = list(self._tool.parameters["properties"])
        return {**dict(zip(names, args, strict=False)), **kwargs}

    def _output(self, arguments: dict[str, Any], result: str) -> ToolOutput:
        return ToolOutput(content=result, tool_name=self._tool.name, raw_input=arguments, raw_output=result)

    def _failed(self, arguments: dict[str, Any], error: KimiFormulaError) -> ToolOutput:
        return ToolOutput(
            content=f"Error: {error}",
            tool_name=self._tool.name,
            raw_input=arguments,
            raw_output=str(error),
            is_error=True,
            exception=error,
        )


class KimiFormulaToolSpec(BaseToolSpec):
    """Moonshot's official tools, called "Formula": described and run by Moonshot, called like any function.

    Two formulas may have a tool of one name: then both get their formula's name in front (`fetch_search`).

    Args:
        uris: The formulas, such as `moonshot/web-search:latest`, `moonshot/date:latest`, `moonshot/fetch:latest`.
        api_key: The API key, or a function that gives it. Defaults to `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        base_url: The API's root. Defaults as `Kimi`'s.
        api_base: The same, by its other name.
        **options: `timeout`, `max_retries`, `default_headers`, `http_client`, `http_async_client`, as `Kimi`'s.

    Raises:
        KimiMissingKeyError: There is no API key.
        KimiRequestError: A uri has another form.

    Examples:
        ```python
        from llama_index.core.agent.workflow import FunctionAgent
        from llama_index_kimi import Kimi, KimiFormulaToolSpec

        spec = KimiFormulaToolSpec(["moonshot/date:latest", "moonshot/convert:latest"])
        agent = FunctionAgent(tools=spec.to_tool_list(), llm=Kimi())  # or: await spec.to_tool_list_async()
        print(await agent.run("How many miles are 5 km?"))
        ```
    """

    @hiding_secrets
    def __init__(
        self,
        uris: Sequence[str] | str,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        api_base: str | None = None,
        **options: Any,
    ) -> None:
        """Check the arguments; nothing is sent."""
        self._formulas = KimiFormulas(uris, api_key, base_url or api_base, **options)

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def to_tool_list(self, *args: Any, **kwargs: Any) -> list[AsyncBaseTool]:  # type: ignore[override]
        """Fetch the formulas' tools, or give those fetched before.

        Args:
            *args: Not used.
            **kwargs: Not used.

        Returns:
            A tool for each of each formula.

        Raises:
            KimiFormulaError: A formula does not exist.
            KimiError: Whatever else goes wrong on the way.
        """
        return [KimiFormulaTool(self._formulas, tool) for tool in self._formulas.tools()]

    async def to_tool_list_async(self, *args: Any, **kwargs: Any) -> list[AsyncBaseTool]:  # type: ignore[override]
        """The asynchronous twin of `to_tool_list`."""
        return [KimiFormulaTool(self._formulas, tool) for tool in await self._formulas.atools()]

    def close(self) -> None:
        """Close the connections of synchronous calls; the next call opens new ones."""
        self._formulas.connection.close()
