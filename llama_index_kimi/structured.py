"""Structured answers: how an object is asked for, how it is read from what came, and the program that does both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

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

from kimi_wire import KimiRequestError, KimiToolChoiceError
from kimi_wire.answers import check_refusal
from kimi_wire.errors import KimiResponseError
from kimi_wire.json_values import shown
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
from llama_index_kimi.messages import REFUSAL

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

    Raises:
        KimiRequestError: It is no Pydantic class.
    """

    def __init__(self, output_cls: type[BaseModel], *, by_schema: bool) -> None:
        if not hasattr(output_cls, "model_json_schema"):
            raise KimiRequestError(
                f"LlamaIndex asks for objects by a Pydantic class, which {shown(output_cls)} is not. "
                "For a list, a union or any other type take `RootModel[...]` of pydantic, whose `root` is the value."
            )
        self.output_cls = output_cls
        self._by_schema = by_schema
        self._form = OutputForm.of(output_cls.__name__, output_cls.model_json_schema())
        self._sent_cls: type[BaseModel] = output_cls
        if self._form.wrapped:  # RootModel[list[int]], a union
            fields: dict[str, Any] = {WRAPPER: (output_cls, ...)}
            self._sent_cls = create_model(output_cls.__name__, **fields)

    def render(self) -> dict[str, Any]:
        """The settings of the request that ask for an object."""
        if self._by_schema:
            return {"response_format": self._form.response_format}
        return {"tools": [self._form.tool], "tool_choice": self._form.name}

    def parse(self, response: ChatResponse) -> BaseModel:
        """Read the object from a whole response.

        Raises:
            KimiStructuredOutputError: There is none.
            KimiRefusalError: There is none, as the model declined.
        """
        check_whole(response)
        text = self.text(response)
        failure: ValidationError | None = None
        for found in find_objects(text):
            try:
                return self._unwrap(self._sent_cls.model_validate_json(found))
            except ValidationError as error:
                failure = failure or error
        name = self.output_cls.__name__
        if failure is None:
            raise _failed(_explain_missing(name, response, text), response, text)
        raise _failed(explain_misfit(name, failure), response, text) from failure

    def parse_partial(self, text: str) -> Any:
        """Read as much as there is of the object's data; None if there is nothing yet."""
        data = parse_beginning(text)
        return None if data is None else self._form.unwrap(data)

    def text(self, response: ChatResponse) -> str:
        """The text that is the object's JSON, or the beginning of it."""
        if self._by_schema:
            return response.message.content or ""
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        return str(calls[0].tool_kwargs) if calls else ""

    def _unwrap(self, instance: BaseModel) -> BaseModel:
        answer: BaseModel = getattr(instance, WRAPPER) if self._form.wrapped else instance
        return answer


def check_whole(response: ChatResponse) -> None:
    """Refuse an answer that is none, or was cut at its token limit: its rest may look like another, smaller object.

    Raises:
        KimiRefusalError: The model declined.
        KimiStructuredOutputError: It was cut.
    """
    said = response.additional_kwargs
    check_refusal(said.get(REFUSAL), response, said.get("request_id"))
    if said.get("finish_reason") != "length":
        return
    begun = bool(response.message.content) or bool(_called(response))
    raise _failed(explain_cut(begun=begun, thought=_has_thinking(response)), response)


def _explain_missing(name: str, response: ChatResponse, text: str) -> str:
    """What came where no JSON did."""
    return explain_missing(
        name,
        text,
        called=_called(response),
        thought=_has_thinking(response),
        finish_reason=response.additional_kwargs.get("finish_reason"),
    )


def _called(response: ChatResponse) -> list[str]:
    return [block.tool_name for block in response.message.blocks if isinstance(block, ToolCallBlock)]


def _has_thinking(response: ChatResponse) -> bool:
    return any(isinstance(block, ThinkingBlock) for block in response.message.blocks)


def _failed(problem: str, response: ChatResponse, text: str | None = None) -> KimiStructuredOutputError:
    return KimiStructuredOutputError(
        quote_answer(problem, (response.message.content or "") if text is None else text),
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
    ) -> tuple[Sequence[ChatMessage], dict[str, Any]]:
        settings = {name: value for name, value in (llm_kwargs or {}).items() if name not in _NOT_PASSED_ON}
        messages = self._llm._extend_messages(self._prompt.format_messages(llm=self._llm, **variables))
        return messages, {**settings, **self._form.render()}
