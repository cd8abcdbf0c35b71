"""Structured answers: the format asked for, and parsers that do not take a cut answer for a whole one."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import LanguageModelInput
from langchain_core.output_parsers import BaseOutputParser, JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema, convert_to_openai_tool
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel


def content_parser(schema: Any) -> BaseOutputParser[Any]:
    """The parser of an answer that is JSON text.

    Args:
        schema: A Pydantic class, whose instances come out, or anything else, for which dicts do.
    """
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return KimiPydanticParser(pydantic_object=schema)
    return KimiJsonParser()


def tool_parser(schema: Any) -> BaseOutputParser[Any]:
    """The parser of an answer that is a tool call with the schema as its parameters."""
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    return JsonOutputKeyToolsParser(key_name=convert_to_openai_tool(schema)["function"]["name"], first_tool_only=True)


def json_schema_format(schema: Any, strict: bool | None) -> dict[str, Any]:
    """The `response_format` that holds an answer to a schema.

    Args:
        schema: A Pydantic class, a `TypedDict`, a JSON Schema or a tool declaration.
        strict: Whether the server enforces it; None is its default, true.
    """
    json_schema = convert_to_json_schema(schema)
    name = json_schema.get("title", "answer")
    # https://platform.kimi.ai/docs/guide/response_format: `name` and `schema` are required, `strict` defaults to true.
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "strict": True if strict is None else strict, "schema": json_schema},
    }


def with_raw(llm: Runnable[LanguageModelInput, Any], parser: Runnable[Any, Any]) -> Runnable[LanguageModelInput, Any]:
    """Give the message beside what the parser makes of it, and parsing errors as values."""
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


class KimiJsonParser(JsonOutputParser):
    """`JsonOutputParser` that refuses an answer cut at its token limit, whose rest the base class would make up."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse the answer, or its beginning while it streams."""
        check_whole(result, partial)
        return super().parse_result(result, partial=partial)


class KimiPydanticParser(PydanticOutputParser[BaseModel]):
    """`PydanticOutputParser` that refuses an answer cut at its token limit, whose rest the base class would make up."""

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse the answer, or its beginning while it streams."""
        check_whole(result, partial)
        return super().parse_result(result, partial=partial)


def check_whole(result: list[Generation], partial: bool) -> None:
    """Raise where an answer was cut.

    Raises:
        OutputParserException: `finish_reason` is "length"; thinking and answer share the limit.
    """
    generation = result[0]
    if partial or not isinstance(generation, ChatGeneration):
        return
    if generation.message.response_metadata.get("finish_reason") == "length":
        raise OutputParserException(
            "The answer was cut at its token limit (finish_reason 'length') before it was whole. Raise max_tokens, or "
            "leave it out; thinking and answer share it.",
            llm_output=generation.text,
        )
