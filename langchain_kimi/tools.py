"""Tools in any form LangChain has for them, as the API declares them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

from langchain_core.tools import BaseTool
from langchain_core.tools.base import create_schema_from_function
from langchain_core.utils.function_calling import convert_to_openai_function, convert_to_openai_tool

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
    if isinstance(tool, dict) and not isinstance(tool.get("type", ""), str):  # a list of types, where it looks for text
        return {"type": "function", "function": convert_to_openai_function(tool, strict=strict)}
    rendered = convert_to_openai_tool(tool, strict=strict)  # type: ignore[arg-type] # refuses what it does not know
    parameters = rendered.get("function", {}).get("parameters")
    if not isinstance(tool, dict) and _has_untyped(parameters) and (own := _own_schema(tool)):
        return convert_to_openai_tool({**rendered["function"], "parameters": own}, strict=strict)
    return rendered


_TELLING = {"type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "properties", "items"}


def _has_untyped(schema: Any) -> bool:
    """Whether a part of a schema says nothing of its type, as LangChain leaves of a reference to what it stands in."""
    if not isinstance(schema, dict):
        return False
    inside = [*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")]
    inside += [branch for union in ("anyOf", "oneOf", "allOf", "prefixItems") for branch in schema.get(union, ())]
    return not schema.keys() & _TELLING or any(map(_has_untyped, inside))


def _own_schema(tool: Any) -> dict[str, Any] | None:
    """The parameters as the tool itself describes them, references and all, if those are recursive.

    LangChain writes references out, and `{}` where one would never end: the children of a tree may then be anything.
    """
    found = tool.tool_call_schema if isinstance(tool, BaseTool) else tool
    if isinstance(found, FunctionType):
        found = create_schema_from_function(tool.__name__, tool, parse_docstring=True, error_on_invalid_docstring=False)
    if not isinstance(found, dict):
        describe = getattr(found, "model_json_schema", None) or getattr(found, "schema", None)
        found = describe() if describe is not None else {}
    named = {key: value for key, value in found.items() if key in ("$defs", "definitions")}
    opened = {**_resolve(found, found["$ref"]), **named} if isinstance(found.get("$ref"), str) else found
    parameters = {key: value for key, value in opened.items() if key not in ("title", "description")}
    used = [value for key, value in parameters.items() if key not in named]
    return parameters if _is_recursive(used, found, (), set()) else None


def _is_recursive(part: Any, root: dict[str, Any], within: tuple[str, ...], ended: set[str]) -> bool:
    """Whether a reference in a part of a schema leads to what it stands in."""
    if isinstance(part, list):
        return any(_is_recursive(item, root, within, ended) for item in part)
    if not isinstance(part, dict):
        return False
    if not isinstance(reference := part.get("$ref"), str):
        return any(_is_recursive(inner, root, within, ended) for inner in part.values())
    if reference in within:
        return True
    if reference not in ended and _is_recursive(_resolve(root, reference), root, (*within, reference), ended):
        return True
    ended.add(reference)
    return False


def _resolve(root: dict[str, Any], reference: str) -> Any:
    """What a reference within a schema leads to; an empty schema where it leads elsewhere."""
    found: Any = root
    for token in reference.removeprefix("#").split("/")[1:]:
        found = found.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
