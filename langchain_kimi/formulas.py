"""Official tools ("Formula") as LangChain tools that run on Moonshot's servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool, BaseToolkit, ToolException
from pydantic import PrivateAttr

from kimi_wire.endpoints import FormulaTool, KimiFormulas
from kimi_wire.errors import KimiError, KimiFormulaError
from kimi_wire.transport import DEFAULT_MAX_RETRIES, ApiKey, hiding_secrets
from langchain_kimi.adapt import adapted

HandleToolError = bool | str | Callable[[ToolException], str] | None


class KimiFormulaTool(BaseTool):
    """One official tool, as `KimiFormulaToolkit` makes it.

    A run that fails raises a `ToolException` with the server's words, which becomes an answer to the model unless
    `handle_tool_error` says otherwise. Errors that no model can mend (the key, the permission, the balance) are raised.
    The result is text; an encrypted one goes on to the model as it is.

    Args:
        formulas: The endpoint that runs it.
        tool: Its name, description and parameters, as Moonshot has them.
        handle_tool_error: See `KimiFormulaToolkit`.
    """

    _formulas: KimiFormulas = PrivateAttr()
    _tool: FormulaTool = PrivateAttr()

    def __init__(self, formulas: KimiFormulas, tool: FormulaTool, handle_tool_error: HandleToolError = True) -> None:
        super().__init__(
            name=tool.name,
            description=tool.description,
            args_schema=tool.parameters,
            handle_tool_error=handle_tool_error,
            metadata={"formula": tool.uri},
        )
        self._formulas = formulas
        self._tool = tool

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def _run(self, /, **arguments: Any) -> str:
        try:
            return self._formulas.run(self._tool, arguments)
        except KimiError as error:
            raise _for_the_model(error) from error

    async def _arun(self, /, **arguments: Any) -> str:
        try:
            return await self._formulas.arun(self._tool, arguments)
        except KimiError as error:
            raise _for_the_model(error) from error


class KimiFormulaToolkit(BaseToolkit):
    """Moonshot's official tools, called "Formula": described and run by Moonshot, called like any function.

    Args:
        uris: The formulas, such as `moonshot/web-search:latest`, `moonshot/date:latest`, `moonshot/fetch:latest`.
        api_key: The key, or a function that gives it; default: the environment's `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        base_url: The API's root; default: as `ChatKimi`'s.
        handle_tool_error: What the tools do about a run that fails: True (the default) gives the model the server's
            words, text gives that in their place, a function makes it, False raises.
        timeout: As `ChatKimi`'s.
        max_retries: As `ChatKimi`'s.
        default_headers: As `ChatKimi`'s.
        http_client: As `ChatKimi`'s.
        http_async_client: As `ChatKimi`'s.

    Raises:
        KimiMissingKeyError: There is no key.
        KimiRequestError: A uri has another form.

    Example:
        ```python
        from langchain.agents import create_agent
        from langchain_kimi import ChatKimi, KimiFormulaToolkit

        toolkit = KimiFormulaToolkit(["moonshot/date:latest", "moonshot/convert:latest"])
        agent = create_agent(ChatKimi(), toolkit.get_tools())  # or: await toolkit.aget_tools()
        ```

    Two formulas may have a tool of one name: then both get their formula's name in front (`fetch_search`).
    """

    uris: list[str]

    _formulas: KimiFormulas = PrivateAttr()
    _handle_tool_error: HandleToolError = PrivateAttr()

    @hiding_secrets
    def __init__(
        self,
        uris: Sequence[str] | str,
        *,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        handle_tool_error: HandleToolError = True,
        timeout: Any = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        http_client: Any = None,
        http_async_client: Any = None,
    ) -> None:
        formulas = KimiFormulas(
            uris,
            api_key,
            base_url,
            timeout=timeout,
            max_retries=max_retries,
            default_headers=default_headers,
            http_client=http_client,
            http_async_client=http_async_client,
        )
        fields: dict[str, Any] = {"uris": list(formulas.uris)}
        super().__init__(**fields)
        self._formulas = formulas
        self._handle_tool_error = handle_tool_error

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def get_tools(self) -> list[BaseTool]:
        """Fetch the formulas' tools, or give those fetched before.

        Returns:
            A `KimiFormulaTool` for each tool of each formula.

        Raises:
            KimiFormulaError: A formula does not exist.
            KimiError: Whatever else goes wrong on the way.
        """
        try:
            return self._make(self._formulas.tools())
        except KimiError as error:
            raise adapted(error) from error

    async def aget_tools(self) -> list[BaseTool]:
        """The asynchronous twin of `get_tools`."""
        try:
            return self._make(await self._formulas.atools())
        except KimiError as error:
            raise adapted(error) from error

    def close(self) -> None:
        """Close the connections of synchronous calls; the next call opens new ones."""
        self._formulas.connection.close()

    def _make(self, tools: Sequence[FormulaTool]) -> list[BaseTool]:
        return [KimiFormulaTool(self._formulas, tool, self._handle_tool_error) for tool in tools]


def _for_the_model(error: KimiError) -> Exception:
    """A run that failed becomes an answer to the model; what no model can mend stays an error."""
    return ToolException(str(error)) if isinstance(error, KimiFormulaError) else adapted(error)
