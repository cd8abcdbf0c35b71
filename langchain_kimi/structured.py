"""Structured answers: a caller's schema in any form LangChain has for it, and what an answer becomes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from operator import itemgetter
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.output_parsers import BaseCumulativeTransformOutputParser
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import Runnable, RunnableBinding, RunnableConfig, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel, TypeAdapter

from kimi_wire.answers import check_refusal
from kimi_wire.arguments import parse_arguments, render_arguments
from kimi_wire.errors import KimiError, KimiRefusalError, KimiRequestError
from kimi_wire.json_values import mapping, shown
from kimi_wire.structured import (
    WRAPPER,
    OutputForm,
    explain_cut,
    explain_misfit,
    explain_missing,
    find_objects,
    parse_beginning,
    quote_answer,
)
from langchain_kimi.adapt import adapted
from langchain_kimi.messages import REFUSAL
from langchain_kimi.tools import undescribed


@dataclass(frozen=True)
class OutputSchema:
    """A caller's schema.

    Attributes:
        form: How it is asked for.
        make: Turns the parsed JSON into what the caller gets: an instance, or the dict itself.
    """

    form: OutputForm
    make: Callable[[Any], Any]


def read_schema(schema: Any) -> OutputSchema:
    """Read a schema in any form callers have it.

    Args:
        schema: A Pydantic class (v2 or v1), a dataclass, a `TypedDict`, any type Pydantic knows, a JSON Schema, or a
            tool declaration. Instances come out of the first two, values of the type of other types, dicts of the rest.

    Raises:
        KimiRequestError: It is none of these.
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
        found = undescribed(convert_to_json_schema(schema))  # a TypedDict, with LangChain's way of describing its keys
        name = found["title"]
    else:
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(schema)
            found = adapter.json_schema()
        except Exception as error:  # of many kinds, for what is no type: 5 and "" have each their own
            raise KimiRequestError(f"{shown(schema)} is no schema, and no type that Pydantic has one for.") from error
        name, make = getattr(schema, "__name__", "answer"), adapter.validate_python
    return OutputSchema(OutputForm.of(name, found), make)


def _as_it_is(value: Any) -> Any:
    return value


def _read_mapping(schema: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The name and JSON Schema of a schema or of a tool declaration in OpenAI's or Anthropic's form."""
    function = schema["function"] if isinstance(schema.get("function"), Mapping) else schema
    parameters = function.get("parameters") or function.get("input_schema")
    if isinstance(parameters, Mapping) and "name" in function:
        described = {"description": function["description"]} if function.get("description") else {}
        return function["name"], {**described, **parameters}
    return schema.get("title") or "answer", dict(schema)


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

    @property
    def _name(self) -> str:
        return "the answer" if self.output is None else self.output.form.name

    def parse(self, text: str) -> Any:
        """Parse an answer's text."""
        return self._read(text, explain_missing(self._name, text))

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        """Parse an answer.

        Args:
            result: The answer.
            partial: Whether more of it may come. What has come is given as far as it makes sense, else None.

        Raises:
            KimiRefusalError: The model declined to answer.
            OutputParserException: The answer was cut, is no JSON object, or does not fit the schema; the message has
                the path of what does not fit, and the answer's text.
        """
        generation = result[0]
        message = generation.message if isinstance(generation, ChatGeneration) else None
        finish_reason = message.response_metadata.get("finish_reason") if message is not None else None
        _check_refusal(message)
        if partial and finish_reason is None:
            return self._parse_partly(message, generation.text)
        calls = message.tool_calls if isinstance(message, AIMessage) else []
        thought = message is not None and bool(message.additional_kwargs.get("reasoning_content"))
        if finish_reason == "length":
            problem = explain_cut(begun=bool(generation.text or calls), thought=thought)
            raise OutputParserException(problem, llm_output=generation.text)
        if self.from_tool and calls:
            return self._make(calls[0]["args"], render_arguments(calls[0]["args"]))
        text = _broken_arguments(message) if self.from_tool else generation.text
        called = [call["name"] for call in calls]
        problem = explain_missing(self._name, text, called=called, thought=thought, finish_reason=finish_reason)
        return self._read(text, problem)

    def _parse_partly(self, message: BaseMessage | None, text: str) -> Any:
        if self.from_tool:
            calls = message.tool_calls if isinstance(message, AIMessage) else []
            value: Any = calls[0]["args"] if calls else None
        else:
            value = parse_beginning(text)
        if not isinstance(value, dict) or not value:
            return None
        try:
            return self._make(value, text)
        except OutputParserException:
            return None  # not enough of it yet

    def _read(self, text: str, missing: str) -> Any:
        """Make what the caller gets of the first JSON object in a text that fits; else say what the first one lacks."""
        failure = OutputParserException(quote_answer(missing, text), llm_output=text)
        for index, found in enumerate(find_objects(text)):
            try:
                return self._make(parse_arguments(found), text)
            except OutputParserException as error:
                failure = failure if index else error
        raise failure

    def _make(self, value: Any, text: str) -> Any:
        if self.output is None:
            return value
        form = self.output.form
        if form.wrapped and WRAPPER not in value:
            problem = f"The answer does not fit {form.name}: {WRAPPER}: Field required."
            raise OutputParserException(quote_answer(problem, text), llm_output=text)
        try:
            return self.output.make(form.unwrap(value))
        except ValueError as error:  # Pydantic's are, of both versions
            raise OutputParserException(
                quote_answer(explain_misfit(form.name, error), text), llm_output=text
            ) from error


def _broken_arguments(message: BaseMessage | None) -> str:
    broken: Sequence[Any] = message.invalid_tool_calls if isinstance(message, AIMessage) else ()
    return (broken[0]["args"] or "") if broken else ""


def _check_refusal(message: BaseMessage | None) -> None:
    if message is None:
        return
    try:
        check_refusal(message.additional_kwargs.get(REFUSAL), None, message.response_metadata.get("request_id"))
    except KimiRefusalError as error:
        refused: Any = adapted(error)
        refused.raw_message = message
        raise refused from None


class _WithRaw(RunnableBinding[LanguageModelInput, Any]):
    """Gives what was refused as a parsing error too: there is a message, and it has no object."""

    # Each pair differs by `async` and `await` only; tests/test_architecture.py compares them.

    def invoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        try:
            return super().invoke(input, config, **kwargs)
        except KimiError as error:
            return _refused(error)

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Any:
        try:
            return await super().ainvoke(input, config, **kwargs)
        except KimiError as error:
            return _refused(error)

    def stream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> Iterator[Any]:
        has_raw = False
        try:
            for part in super().stream(input, config, **kwargs):
                has_raw |= "raw" in part
                yield part
        except KimiError as error:
            yield _refused(error, has_raw=has_raw)

    async def astream(self, input: Any, config: RunnableConfig | None = None, **kwargs: Any) -> AsyncIterator[Any]:
        has_raw = False
        try:
            async for part in super().astream(input, config, **kwargs):
                has_raw |= "raw" in part
                yield part
        except KimiError as error:
            yield _refused(error, has_raw=has_raw)

    batch, abatch = Runnable.batch, Runnable.abatch
    transform, atransform = Runnable.transform, Runnable.atransform


def _refused(error: Exception, *, has_raw: bool = False) -> dict[str, Any]:
    """What `include_raw` gives of an answer that was refused, once; an error without an answer is raised."""
    message: BaseMessage | None = getattr(error, "raw_message", None)
    if message is None:
        raise error
    refused = {"parsed": None, "parsing_error": error}
    return refused if has_raw else {"raw": message, **refused}


def with_raw(llm: Runnable[LanguageModelInput, Any], parser: Runnable[Any, Any]) -> Runnable[LanguageModelInput, Any]:
    """Give the message beside what the parser makes of it, and parsing errors as values."""
    parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    failed = RunnablePassthrough.assign(parsed=lambda _: None)
    return _WithRaw(bound=RunnableMap(raw=llm) | parsed.with_fallbacks([failed], exception_key="parsing_error"))


def describe_schema(form: OutputForm, prompt: PromptValue) -> list[BaseMessage]:
    """Put a schema before the messages of a prompt, unless they name all of its properties already.

    With `{"type": "json_object"}` the server keeps to JSON and knows nothing of the schema: "must describe fields in
    system/user prompt" (platform.kimi.ai/docs/guide/response_format).
    """
    messages = prompt.to_messages()
    said = "\n".join(str(message.text) for message in messages)
    properties = mapping(form.schema.get("properties"))
    if properties and all(str(name) in said for name in properties):
        return messages
    schema = json.dumps(form.schema, ensure_ascii=False)
    return [
        SystemMessage(f"Answer with a JSON object that fits this JSON Schema, and nothing else:\n{schema}"),
        *messages,
    ]
