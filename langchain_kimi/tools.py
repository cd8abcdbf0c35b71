"""Tools in any form LangChain has for them, as the API declares them. Pure."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any
from weakref import WeakKeyDictionary

from langchain_core.tools import BaseTool
from langchain_core.tools.base import create_schema_from_function
from langchain_core.utils.function_calling import convert_to_openai_function, convert_to_openai_tool
from typing_extensions import is_typeddict

from kimi_wire.json_values import follow_reference, mapping
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
    if not isinstance(tool, dict) and "function" in rendered and (own := _own_schema(tool)):
        rendered = convert_to_openai_tool({**rendered["function"], "parameters": own}, strict=strict)
    return undescribed(rendered) if is_typeddict(tool) else rendered


def undescribed(schema: Any) -> Any:
    """A schema without the words of Python's own `dict`, which LangChain finds on a `TypedDict` without a docstring."""
    if isinstance(schema, list):
        return [undescribed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: part for key, part in schema.items() if not (key == "description" and part == dict.__doc__)}
    return {key: undescribed(part) for key, part in kept.items()}


def _own_schema(tool: Any) -> dict[str, Any] | None:
    """The parameters as the tool itself describes them, references and all, if those are recursive.

    LangChain writes references out, and `{}` where one would never end: the children of a tree may then be anything.
    """
    given: Any = tool.args_schema if isinstance(tool, BaseTool) else tool
    key = getattr(given, "__func__", given)  # a method is another object every time
    if not isinstance(key, (type, FunctionType)):
        return _recursive_schema(given) if isinstance(given, dict) else None
    if key not in _OWN:
        if isinstance(key, FunctionType):
            given = create_schema_from_function(key.__name__, given, **_AS_LANGCHAIN)
        model = tool.tool_call_schema if isinstance(tool, BaseTool) else given
        describe = getattr(model, "model_json_schema", None) or getattr(model, "schema", None)
        _OWN[key] = None if describe is None else _recursive_schema(describe())
    return _OWN[key]


# How langchain-core's `convert_to_openai_function` reads a function.
_AS_LANGCHAIN: dict[str, Any] = {
    "filter_args": (),
    "parse_docstring": True,
    "error_on_invalid_docstring": False,
    "include_injected": False,
}

_OWN: WeakKeyDictionary[Any, dict[str, Any] | None] = WeakKeyDictionary()
"""What `_own_schema` found of classes and functions: agents bind their tools before every step."""


def _recursive_schema(found: dict[str, Any]) -> dict[str, Any] | None:
    """A schema without what is said of the whole, its root a plain object, if it is recursive."""
    if "$ref" not in repr(found):  # most are not, and are looked at before every step of an agent
        return None
    named = {key: value for key, value in found.items() if key in ("$defs", "definitions")}
    opened = (
        {**mapping(follow_reference(found, found["$ref"])), **named} if isinstance(found.get("$ref"), str) else found
    )
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
    if reference not in ended and _is_recursive(follow_reference(root, reference), root, (*within, reference), ended):
        return True
    ended.add(reference)
    return False
