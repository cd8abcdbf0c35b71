"""Structured answers: how an object is asked for, how it is read from what came, and the program that does both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from jiter import from_json
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import BaseModel, ValidationError, create_model
from llama_index.core.llms.llm import LLM
from llama_index.core.program.utils import FlexibleModel, create_flexible_model
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import BasePydanticProgram, Model

from kimi_wire import KimiToolChoiceError
from kimi_wire.arguments import parse_arguments, replay_arguments
from kimi_wire.errors import KimiResponseError
from kimi_wire.json_text import iter_json_texts
from kimi_wire.schema import is_object_schema

JSON = dict[str, Any]

_QUOTED = 2000
"""Characters of an answer that an error quotes."""

_RAISE_LIMIT = "Raise max_tokens, or leave it out; thinking and answer share it."

# What core's `FunctionCallingProgram` takes out of the `llm_kwargs` as well: how the object is asked for is ours.
_NOT_PASSED_ON = frozenset({"tool_required", "tool_choice", "allow_parallel_tool_calls"})


class KimiStructuredOutputError(KimiResponseError, ValueError):
    """The answer is not the object that was asked for: it is cut, no JSON, or does not fit the class.

    The message says which, and quotes the answer; `partial` is what came. A `ValidationError` of Pydantic, if there was
    one, is the `__cause__`. A `ValueError` too, as what core's own programs raise.
    """


class Form:
    """How objects of one class are asked for and read.

    Args:
        output_cls: The class.
        by_schema: Whether the answer's text is the object, held to the class's schema by the server; otherwise a tool's
            arguments are.
    """

    def __init__(self, output_cls: type[BaseModel], *, by_schema: bool) -> None:
        self.output_cls = output_cls
        self._by_schema = by_schema
        # "root must be an object" (MoonshotAI/walle, docs/mfjs-spec.md): RootModel[list[int]] and unions go inside one.
        self._wrapped = not is_object_schema(output_cls.model_json_schema())
        self._sent_cls = create_model(output_cls.__name__, answer=(output_cls, ...)) if self._wrapped else output_cls

    def render(self) -> JSON:
        """The settings of the request that ask for an object."""
        name, schema = _render_name(self.output_cls.__name__), self._sent_cls.model_json_schema()
        if self._by_schema:
            json_schema = {"name": name, "strict": True, "schema": schema}
            return {"response_format": {"type": "json_schema", "json_schema": json_schema}}
        function = {"name": name, "description": schema.get("description") or name, "parameters": schema}
        return {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}

    def parse(self, response: ChatResponse) -> BaseModel:
        """Read the object from a whole response.

        Raises:
            KimiStructuredOutputError: There is none.
        """
        check_whole(response)
        text = self.text(response)
        failure: ValidationError | None = None
        for found in _iter_objects(text):
            try:
                return self._unwrap(self._sent_cls.model_validate_json(found))
            except ValidationError as error:
                failure = failure or error
        name = self.output_cls.__name__
        if failure is None:
            raise _failed(f"{_explain_missing(response, text)} The JSON of {name} was asked for.", response, text)
        raise _failed(f"The answer does not fit {name}: {_explain(failure)}", response, text) from failure

    def parse_partial(self, text: str) -> Any:
        """Read as much as there is of the object's data; None if there is nothing yet."""
        try:
            data = from_json(text[max(text.find("{"), 0) :].encode(), partial_mode="trailing-strings")
        except ValueError:
            return None
        if not isinstance(data, dict):
            return None
        return data.get("answer") if self._wrapped else data

    def text(self, response: ChatResponse) -> str:
        """The text that is the object's JSON, or the beginning of it."""
        if self._by_schema:
            return response.message.content or ""
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return str(calls[0].tool_kwargs) if calls else ""

    def _unwrap(self, instance: BaseModel) -> BaseModel:
        answer: BaseModel = instance.answer if self._wrapped else instance  # type: ignore[attr-defined]
        return answer


def _render_name(name: str) -> str:
    """A name the server takes of a class: generic ones have brackets, private ones begin with an underscore."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name).lstrip("_-0123456789")[:64] or "Answer"


def check_whole(response: ChatResponse) -> None:
    """Refuse an answer that was cut at its token limit: what is left of it may look like another, smaller object.

    Raises:
        KimiStructuredOutputError: It was.
    """
    if response.additional_kwargs.get("finish_reason") != "length":
        return
    begun = response.message.content or any(isinstance(block, ToolCallBlock) for block in response.message.blocks)
    spent = "" if begun or not _has_thinking(response) else ", all of which thinking took"
    raise _failed(f"The answer was cut at its token limit{spent} (finish_reason 'length'). {_RAISE_LIMIT}", response)


def _iter_objects(text: str) -> Iterator[str]:
    """The JSON objects that an answer may be: the text itself, what stands in fences, or what prose is wrapped around.

    Never an object inside of something that is no JSON: it is only a part of what was asked for, and a class whose
    fields are all optional takes any.
    """
    for candidate in (*iter_json_texts(text), text[text.find("{") : text.rfind("}") + 1]):
        if candidate and _is_object_text(candidate):
            yield replay_arguments(candidate)


def _is_object_text(text: str) -> bool:
    try:
        parse_arguments(text)
    except (ValueError, RecursionError):
        return False
    return True


def _explain_missing(response: ChatResponse, text: str) -> str:
    """What came where no JSON did."""
    reason = response.additional_kwargs.get("finish_reason")
    ending = "" if reason in (None, "stop", "tool_calls") else f" (finish_reason {reason!r})"
    if text.strip():
        return f"The answer is not a JSON object{ending}."
    if called := [block.tool_name for block in response.message.blocks if isinstance(block, ToolCallBlock)]:
        return f"The model called {', '.join(called)} instead of answering{ending}."
    return f"The answer is empty{', after some thinking' if _has_thinking(response) else ''}{ending}."


def _has_thinking(response: ChatResponse) -> bool:
    return any(isinstance(block, ThinkingBlock) for block in response.message.blocks)


def _explain(error: ValidationError) -> str:
    """What does not fit, and where."""
    found = [(".".join(str(part) for part in item["loc"]) or "the object", item["msg"]) for item in error.errors()]
    return "; ".join(f"{path}: {message}" for path, message in found) + "."


def _failed(problem: str, response: ChatResponse, text: str | None = None) -> KimiStructuredOutputError:
    said = (response.message.content or "") if text is None else text
    quoted = said if len(said) <= _QUOTED else f"{said[:_QUOTED]}…"
    return KimiStructuredOutputError(
        f"{problem}\nThe answer: {quoted}" if quoted else problem,
        request_id=response.additional_kwargs.get("request_id"),
        partial=response,
    )


class PartialObjects:
    """Makes objects of a streamed answer: partial ones as it comes, and the whole one at its end."""

    def __init__(self, form: Form) -> None:
        """Begin with nothing."""
        self._form = form
        self._flexible = create_flexible_model(form.output_cls)
        self._text = ""
        self._data: Any = {}
        self._response: ChatResponse | None = None

    def add(self, response: ChatResponse) -> Iterator[BaseModel]:
        """Take a chunk and give the object so far, if the chunk brought something of it.

        Yields:
            An instance of the class where the data so far already is one, otherwise of core's `FlexibleModel`, whose
            fields are what came and None.
        """
        self._response = response
        text = self._form.text(response)
        if text == self._text:
            return
        self._text, data = text, self._form.parse_partial(text)
        if data is not None and data != self._data:
            self._data = data
            yield self._instance(data)

    def end(self) -> BaseModel:
        """Give the whole object.

        Raises:
            KimiStructuredOutputError: There is none.
        """
        return self._form.parse(self._response or ChatResponse(message=ChatMessage()))

    def _instance(self, data: Any) -> BaseModel:
        try:
            return self._form.output_cls.model_validate(data)
        except Exception:  # validators meet half an object here; what they say of the whole one counts
            fields: FlexibleModel = self._flexible.model_validate(data if isinstance(data, dict) else {"root": data})
            return fields


@contextmanager
def _no_call_explained() -> Iterator[None]:
    """A required call that did not come is an object that did not come."""
    try:
        yield
    except KimiToolChoiceError as error:
        raise KimiStructuredOutputError(str(error), partial=error.partial) from error


class KimiProgram(BasePydanticProgram[Model]):
    """A program whose answer is the object itself.

    Args:
        output_cls: The class of the object.
        llm: The model.
        prompt: The prompt.
        by_schema: See `Form`.
    """

    def __init__(self, output_cls: type[Model], llm: LLM, prompt: BasePromptTemplate, *, by_schema: bool) -> None:
        self._output_cls = output_cls
        self._llm = llm
        self._prompt = prompt
        self._form = Form(output_cls, by_schema=by_schema)

    @property
    def output_cls(self) -> type[Model]:
        """The class of the object."""
        return self._output_cls

    # Each pair below differs by `async` and `await` only; tests/llama_index_kimi/test_structured.py compares them.

    def __call__(self, *args: Any, llm_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """Ask for an object.

        Args:
            *args: Not used.
            llm_kwargs: Settings of the call.
            **kwargs: Variables of the prompt.

        Raises:
            KimiError: Whatever goes wrong.
        """
        messages, settings = self._prepare(llm_kwargs, kwargs)
        with _no_call_explained():
            response = self._llm.chat(messages, **settings)
        return self._form.parse(response)

    async def acall(self, *args: Any, llm_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """The asynchronous twin of calling."""
        messages, settings = self._prepare(llm_kwargs, kwargs)
        with _no_call_explained():
            response = await self._llm.achat(messages, **settings)
        return self._form.parse(response)

    def stream_call(self, *args: Any, llm_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """Ask for an object and give it as it comes.

        Args:
            *args: Not used.
            llm_kwargs: Settings of the call.
            **kwargs: Variables of the prompt.

        Returns:
            A generator of partial objects (see `PartialObjects`), and at its end the whole one.

        Raises:
            KimiError: Whatever goes wrong; a stream that breaks off never ends quietly.
        """
        messages, settings = self._prepare(llm_kwargs, kwargs)
        return self._stream(self._llm.stream_chat(messages, **settings))

    async def astream_call(self, *args: Any, llm_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> Any:
        """The asynchronous twin of `stream_call`."""
        messages, settings = self._prepare(llm_kwargs, kwargs)
        return self._astream(await self._llm.astream_chat(messages, **settings))

    def _stream(self, responses: ChatResponseGen) -> Any:
        objects = PartialObjects(self._form)
        with _no_call_explained():
            for response in responses:
                for partial in objects.add(response):
                    yield partial
        yield objects.end()

    async def _astream(self, responses: ChatResponseAsyncGen) -> Any:
        objects = PartialObjects(self._form)
        with _no_call_explained():
            async for response in responses:
                for partial in objects.add(response):
                    yield partial
        yield objects.end()

    def _prepare(
        self, llm_kwargs: Mapping[str, Any] | None, variables: Mapping[str, Any]
    ) -> tuple[Sequence[ChatMessage], JSON]:
        settings = {name: value for name, value in (llm_kwargs or {}).items() if name not in _NOT_PASSED_ON}
        messages = self._llm._extend_messages(self._prompt.format_messages(llm=self._llm, **variables))
        return messages, {**settings, **self._form.render()}
