"""Tools in any form LangChain has for them, as the API declares them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from kimi_wire.requests import WEB_SEARCH, web_search_tool
from langchain_kimi.web_search import KimiWebSearch

Tool = dict[str, Any] | type | Callable[..., Any] | BaseTool | str


def render_tool(tool: Tool, strict: bool | None = None) -> dict[str, Any]:
    """Render a tool as the API declares it.

    Args:
        tool: A function, a Pydantic class, a `TypedDict`, a `BaseTool`, a declaration in the API's form, or
            `"$web_search"`.
        strict: Whether arguments are held to the schema; None leaves it to the server.

    Returns:
        The declaration, for `kimi_wire` to check.

    Raises:
        ValueError: It is nothing LangChain can make a tool of.
    """
    if isinstance(tool, KimiWebSearch) or tool == WEB_SEARCH:
        return web_search_tool()
    if isinstance(tool, dict) and isinstance(tool.get("type"), str) and isinstance(tool.get("function"), dict):
        return tool if strict is None else {**tool, "function": {**tool["function"], "strict": strict}}
    return convert_to_openai_tool(tool, strict=strict)  # type: ignore[arg-type] # refuses what it does not know
