"""Tools on their way out, in any form LlamaIndex has for them, and metadata for those whose schema is no class."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llama_index.core.tools import FunctionTool, ToolMetadata
from llama_index.core.tools.types import BaseTool

from kimi_wire import KimiRequestError
from kimi_wire.requests import WEB_SEARCH, web_search_tool

WRITTEN = "written"
"""In a message's `additional_kwargs["tool_calls"]`: the model's own text of arguments that were read otherwise."""


@dataclass
class SchemaMetadata(ToolMetadata):
    """Metadata of a tool whose parameters are given as a JSON Schema; core's derives them from a Pydantic class.

    Attributes:
        parameters: The schema, given to the model as it is.
    """

    parameters: dict[str, Any] = field(default_factory=dict)

    def get_parameters_dict(self) -> dict[str, Any]:
        """The schema."""
        return self.parameters

    @property
    def fn_schema_str(self) -> str:
        """The schema as text, for agents that write it into a prompt."""
        return json.dumps(self.parameters, ensure_ascii=False)


def render_tool(tool: Any) -> dict[str, Any]:
    """Render a tool as the API declares it.

    Args:
        tool: A `BaseTool`, a function, a declaration in the API's form, or `"$web_search"`.

    Returns:
        The declaration, for `kimi_wire` to check.

    Raises:
        KimiRequestError: It is none of them.
    """
    if tool == WEB_SEARCH:
        return web_search_tool()
    if isinstance(tool, Mapping):
        return dict(tool)
    if callable(tool) and not isinstance(tool, BaseTool):
        tool = FunctionTool.from_defaults(tool)
    if not isinstance(tool, BaseTool):
        raise KimiRequestError(f"A {type(tool).__name__} is no tool; give a BaseTool, a function, or a declaration.")
    # The length check is OpenAI's limit of 1024 characters for descriptions; Kimi documents none.
    declared = tool.metadata.to_openai_tool(skip_length_check=True)
    # Core writes `a/b` as `a_b` (`ToolMetadata._sanitize_name`), and finds no tool for the call that comes back.
    return {**declared, "function": {**declared["function"], "name": tool.metadata.name}}
