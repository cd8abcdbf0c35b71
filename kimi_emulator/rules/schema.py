"""Rules about schemas, of tools and of answers: both are in Moonshot's dialect."""

from __future__ import annotations

from typing import Any

from ..mfjs import Violation, check_schema
from ..request import ChatRequest, Rejected, Rule, function_of

_NOT_IN_THE_DIALECT = "{} is not a valid moonshot flavored json schema, details: <{}>"


def _check(what: str, schema: Any) -> None:
    try:
        check_schema(schema)
    except Violation as violation:
        raise Rejected(_NOT_IN_THE_DIALECT.format(what, violation)) from None


def parameters_are_in_the_dialect(request: ChatRequest) -> None:
    """Of functions, those in system messages included.

    Recorded: "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'root': when
    using anyOf, type should be defined in anyOf items instead of the parent schema>" (kimi-cli#2531). Builtin
    functions have no parameters.
    """
    for tool in request.tools + request.dynamic_tools:
        if tool.get("type") == "function":
            _check("tools.function.parameters", function_of(tool).get("parameters"))


def answer_schema_is_in_the_dialect(request: ChatRequest) -> None:
    """Reported: "Invalid request: response_format.json_schema is not a valid moonshot flavored json schema".

    By https://github.com/lgandecki/vercel-ai-with-thoughts-and-schema, which has the rest of it over two lines; it is
    put together here as for tools.
    """
    given = request.body.get("response_format")
    if isinstance(given, dict) and given.get("type") == "json_schema" and isinstance(given.get("json_schema"), dict):
        _check("Invalid request: response_format.json_schema", given["json_schema"].get("schema"))


RULES: tuple[Rule, ...] = (parameters_are_in_the_dialect, answer_schema_is_in_the_dialect)
