"""Structured answers: what a schema asks of the server, and what an answer becomes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, is_dataclass
from operator import itemgetter
from typing import Any

from jiter import from_json
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.json import parse_partial_json
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, TypeAdapter, ValidationError

from kimi_wire.json_text import iter_json_texts
from kimi_wire.schema import is_object_schema

WRAPPED = "value"
"""The property that holds an answer whose schema is no object; the server takes objects only."""


@dataclass(frozen=True)
class OutputSchema:
    """A caller's schema in the API's terms.

    Attributes:
        name: A name the server takes for tools and formats.
        schema: The JSON Schema; its root is an object.
        wrapped: Whether that object was put around the caller's schema (see `WRAPPED`).
        make: Turns the parsed JSON into what the caller gets: an instance, or the dict itself.
    """

    name: str
    schema: dict[str, Any]
    wrapped: bool
    make: Callable[[Any], Any]

    @property
    def response_format(self) -> dict[str, Any]:
        """The `response_format` that has the server hold an answer to the schema."""
        return {"type": "json_schema", "json_schema": {"name": self.name, "strict": True, "schema": self.schema}}

    @property
    def tool(self) -> dict[str, Any]:
        """A tool whose arguments are the answer."""
        description = self.schema.get("description") or f"Answer as {self.name}."
        return {
            "type": "function",
            "function": {"name": self.name, "description": description, "parameters": self.schema},
        }


def read_schema(schema: Any) -> OutputSchema:
    """Read a schema in any form callers have it.

    Args:
        schema: A Pydantic class (v2 or v1), a dataclass, a `TypedDict`, any type Pydantic knows, a JSON Schema, or a
            tool declaration. Instances come out of the first two, values of the type of other types, dicts of the rest.
    """
    make: Callable[[Any], Any] = _as_it_is
    if isinstance(schema, Mapping):
        name, found = _read_mapping(schema)
    elif isinstance(schema, type) and issubclass(schema, BaseModel):
        name, found, make = schema.__name__, schema.model_json_schema(), schema.model_validate
    elif isinstance(schema, type) and is_basemodel_subclass(schema):
        v1: Any = schema
        name, found, make = v1.__name__, v1.schema(), v1.parse_obj
    elif isinstance(schema, type) and not is_dataclass(schema) and hasattr(schema, "__annotations__"):
        found = convert_to_json_schema(schema)  # a TypedDict, with LangChain's way of describing its keys
        name = found["title"]
    else:
        adapter: TypeAdapter[Any] = TypeAdapter(schema)
        name, found, make = getattr(schema, "__name__", "answer"), adapter.json_schema(), adapter.validate_python
    wrapped = not is_object_schema(found)
    return OutputSchema(_clean_name(name), _wrap(found) if wrapped else found, wrapped, make)


def _as_it_is(value: Any) -> Any:
    return value


def _read_mapping(schema: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and JSON Schema of a schema or of a tool declaration in OpenAI's or Anthropic's form."""
    function = schema.get("function", schema)
    parameters = function.get("parameters") or function.get("input_schema")
    if isinstance(parameters, Mapping) and "name" in function:
        described = {"description": function["description"]} if function.get("description") else {}
        return function["name"], {**described, **parameters}
    return schema.get("title") or "answer", dict(schema)


def _clean_name(name: str) -> str:
    """A name of letters, digits, underscores and dashes that starts with a letter, such as `Page_City_`."""
    clean = re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]
    return clean if re.match(r"[a-zA-Z]", clean) else f"a{clean}"[:64]


def _wrap(schema: Mapping[str, Any]) -> dict[str, Any]:
    shared = {key: schema[key] for key in ("$defs", "definitions") if key in schema}
    inner = {key: value for key, value in schema.items() if key not in shared}
    return {"type": "object", "properties": {WRAPPED: inner}, "required": [WRAPPED], **shared}


class KimiOutputParser(BaseCumulativeTransformOutputParser[Any]):
    """Reads a structured answer, whole or as it streams, and says what is wrong where it cannot.

    Attributes:
        output: What the answer should be; None takes any JSON object.
        from_tool: Whether the answer is a tool's arguments, and not the text.
    """

    output: OutputSchema | None = None
    from_tool: bool = False

    @property
    def _type(self) -> str:
        return "kimi_output"

    def parse(self, text: str) -> Any:
        """Parse an answer's text."""
        return self._make(_find_json(text), text)

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse an answer.

        Args:
            result: The answer.
            partial: Whether more of it may come. What has come is given as far as it makes sense, else None.

        Raises:
            OutputParserException: The answer was cut, is no JSON, or does not fit the schema; the message has the path
                of what does not fit, and the answer's text.
        """
        generation = result[0]
        message = generation.message if isinstance(generation, ChatGeneration) else None
        finish_reason = message.response_metadata.get("finish_reason") if message is not None else None
        if partial and finish_reason is None:
            return self._parse_partly(message, generation.text)
        if finish_reason == "length":
            raise OutputParserException(
                "The answer was cut at its token limit (finish_reason 'length') before it was whole. Raise max_tokens, "
                "or leave it out; thinking and answer share it.",
                llm_output=generation.text,
            )
        if self.from_tool and isinstance(message, AIMessage):
            return self._parse_call(message)
        return self.parse(generation.text)

    def _parse_call(self, message: AIMessage) -> Any:
        if message.tool_calls:
            arguments = message.tool_calls[0]["args"]
            return self._make(arguments, json.dumps(arguments, ensure_ascii=False))
        for broken in message.invalid_tool_calls:
            raise OutputParserException(
                f"The arguments of {broken['name']} are not a JSON object: {broken['args']}", llm_output=broken["args"]
            )
        raise OutputParserException(f"The answer has no tool call: {message.text}", llm_output=str(message.text))

    def _parse_partly(self, message: BaseMessage | None, text: str) -> Any:
        if self.from_tool:
            calls = message.tool_calls if isinstance(message, AIMessage) else []
            value: Any = calls[0]["args"] if calls else None
        else:
            value = _parse_beginning(text)
        if not isinstance(value, dict) or not value:
            return None
        try:
            return self._make(value, text)
        except OutputParserException:
            return None  # not enough of it yet

    def _make(self, value: Any, text: str) -> Any:
        if self.output is None:
            return value
        if self.output.wrapped:
            if not isinstance(value, dict) or WRAPPED not in value:
                raise OutputParserException(f"The answer has no {WRAPPED!r}: {text}", llm_output=text)
            value = value[WRAPPED]
        try:
            return self.output.make(value)
        except (ValidationError, ValueError) as error:
            raise OutputParserException(
                f"The answer does not fit {self.output.name}: {error}\nThe answer was: {text}", llm_output=text
            ) from error


def _parse_beginning(text: str) -> Any:
    """As much of a JSON text as there is; None where there is nothing.

    What jiter refuses (raw line feeds in strings) goes to langchain-core's parser, which takes 20 times as long.
    """
    try:
        return from_json(text.encode(), partial_mode="trailing-strings")
    except ValueError:
        pass
    try:
        return parse_partial_json(text)
    except ValueError:
        return None


def _find_json(text: str) -> Any:
    """The JSON of an answer, in a Markdown fence or with prose around it too."""
    braces = text[text.find("{") : text.rfind("}") + 1]
    for candidate in (*iter_json_texts(text), braces):
        try:
            return json.loads(candidate, strict=False)
        except ValueError:
            continue
    raise OutputParserException(f"The answer is not JSON: {text}", llm_output=text)


def with_raw(llm: Runnable[LanguageModelInput, Any], parser: Runnable[Any, Any]) -> Runnable[LanguageModelInput, Any]:
    """Give the message beside what the parser makes of it, and parsing errors as values."""
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error")


def describe_schema(output: OutputSchema, prompt: PromptValue) -> list[BaseMessage]:
    """Put a schema before the messages of a prompt, unless they name all of its properties already.

    With `{"type": "json_object"}` the server keeps to JSON and knows nothing of the schema: "must describe fields in
    system/user prompt" (platform.kimi.ai/docs/guide/response_format).
    """
    messages = prompt.to_messages()
    said = "\n".join(str(message.text) for message in messages)
    properties = output.schema.get("properties", {})
    if properties and all(name in said for name in properties):
        return messages
    schema = json.dumps(output.schema, ensure_ascii=False)
    return [
        SystemMessage(f"Answer with a JSON object that fits this JSON Schema, and nothing else:\n{schema}"),
        *messages,
    ]
