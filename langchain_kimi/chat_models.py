"""`ChatKimi`, the LangChain chat model for Moonshot's Kimi models."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from typing import Any, Literal, get_args, get_origin

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from pydantic import BaseModel

from kimi_wire.answers import PROVIDER, Completion, explain_answer
from kimi_wire.errors import KimiError, KimiWarning
from kimi_wire.profiles import profile_for
from kimi_wire.requests import Request, render_request
from kimi_wire.settings import merge_settings, split_options
from langchain_kimi.messages import render_message
from langchain_kimi.profiles import model_profile
from langchain_kimi.responses import parse_completion, parse_delta, parse_stream_end
from langchain_kimi.structured import KimiOutputParser, OutputSchema, describe_schema, read_schema, with_raw
from langchain_kimi.tokens import KimiTokenCounting
from langchain_kimi.tools import Tool, render_tool

StructuredMethod = Literal["json_schema", "function_calling", "json_mode"]


class ChatKimi(KimiTokenCounting):
    """Chat model for Moonshot's Kimi models: they think, call tools, and are shown their own thinking again.

    Setup:
        Install `kimi-adapters` with its `langchain` extra and set the environment variable `MOONSHOT_API_KEY`.

        ```bash
        pip install -U "kimi-adapters[langchain]"
        export MOONSHOT_API_KEY="your-api-key"
        ```

    Key init args:
        model:
            Model id, in any spelling hosts use. Default `kimi-k3`.
        thinking:
            Whether to think; None (the default) leaves it to the model. Only kimi-k2.5 and kimi-k2.6 have the switch.
        reasoning_effort:
            `"low"`, `"high"` or `"max"`; kimi-k3 family only.
        max_tokens:
            Cap on the answer, thinking included. No default: a small one gives empty answers.
        temperature:
            And other sampling parameters: sent only to models that take them; others refuse any value but their own.
        api_key:
            Default: the environment's `MOONSHOT_API_KEY`, else `KIMI_API_KEY`.
        base_url:
            Default: the environment's `MOONSHOT_BASE_URL`, `MOONSHOT_API_BASE` or `KIMI_BASE_URL`, else
            `https://api.moonshot.ai/v1`. Keys of the Chinese platform need `https://api.moonshot.cn/v1`.
        dialect:
            What the host speaks, where it is not Moonshot's: `"vllm"`, `"sglang"`, `"openrouter"`.

    See the fields below for all of them. Each setting of a request can also be given to a single call:
    `model.invoke(messages, thinking=False)`, `model.bind(max_tokens=2000)`.

    Instantiate:
        ```python
        from langchain_kimi import ChatKimi

        model = ChatKimi(model="kimi-k3")
        ```

    Invoke:
        ```python
        message = model.invoke("Which is larger, 9.11 or 9.9?")
        print(message.additional_kwargs["reasoning_content"])
        print(message.content)
        ```

        The thinking is also a standard block of `message.content_blocks`, and of `message.content` with
        `output_version="v1"`. Pass messages back as they came: the model needs its thinking to go on with its tools.

    Stream:
        ```python
        for chunk in model.stream("Why is the sky blue?"):
            print(chunk.additional_kwargs.get("reasoning_content", ""), chunk.content, sep="", end="")
        ```

    Async:
        ```python
        message = await model.ainvoke("Why is the sky blue?")
        ```

    Tool calling:
        ```python
        def get_weather(city: str) -> str:
            \"\"\"Get the weather of a city.\"\"\"
            return f"Sunny in {city}."


        model.bind_tools([get_weather]).invoke("What is the weather in Paris?").tool_calls
        ```

        Most Kimi models refuse a forced `tool_choice` while they think. `bind_tools(..., tool_choice="any")` works on
        all of them: it is sent in the way each one takes, and an answer without a call is an error.

    Structured output:
        ```python
        from pydantic import BaseModel


        class City(BaseModel):
            name: str
            country: str


        model.with_structured_output(City).invoke("Where is the Eiffel tower?")
        ```

    Partial Mode:
        ```python
        model.invoke("Answer as JSON: what is the capital of Norway?", prefix="{").content  # begins with "{"
        ```

        `continue_on_length` and `resume_streams` go on in the same way where an answer was cut or a stream broke off.

    Images and videos:
        ```python
        import base64
        from pathlib import Path

        from langchain_core.messages import HumanMessage

        data = Path("picture.png").read_bytes()
        image = {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": "image/png"}
        model.invoke([HumanMessage(content_blocks=[{"type": "text", "text": "What is it?"}, image])])
        ```

        Kimi takes bytes, or the `ms://` id of an uploaded file as `file_id`. `remote_images="download"` fetches http
        URLs; `upload_media_over=1_000_000` uploads larger files once, in place of sending them with every request.

    Token usage:
        ```python
        message.usage_metadata
        ```

        ```python
        {
            "input_tokens": 93,
            "output_tokens": 54,
            "total_tokens": 147,
            "input_token_details": {"cache_read": 93},
            "output_token_details": {"reasoning": 38},
        }
        ```

    Response metadata:
        `message.response_metadata` has `finish_reason`, `model_name`, `model_provider` (`"moonshot"`), `id` and
        `request_id`, which Moonshot's support asks for.
    """

    # What LangChain asks a model about itself.

    @property
    def _llm_type(self) -> str:
        return "kimi-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        given = {name: value for name, value in self._settings().items() if value is not None}
        return {**given, "base_url": self.base_url}

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Constructor arguments that are serialised as references to the environment."""
        return {"kimi_api_key": "MOONSHOT_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """True: `dumps` writes the settings, without the key and the headers."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """The importable path of this module; `load` takes it with `allowed_objects=[ChatKimi]`."""
        return ["langchain_kimi", "chat_models"]

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        params["ls_model_name"] = kwargs.get("model") or self.model_name
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return model_profile(self.model_name)

    # The four ways to ask. Each pair differs by `async` and `await` only; tests/test_architecture.py compares them.

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        try:
            request, options = self._render(messages, stop, kwargs, stream=False)
            completion = self._client.complete(request, options)
        except KimiError as error:
            raise _adapted(error) from error
        self._explain(completion)
        return parse_completion(completion)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        try:
            request, options = self._render(messages, stop, kwargs, stream=False)
            completion = await self._client.acomplete(request, options)
        except KimiError as error:
            raise _adapted(error) from error
        self._explain(completion)
        return parse_completion(completion)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        v1 = self.output_version == "v1"
        try:
            request, options = self._render(messages, stop, kwargs, stream=True)
            for item in self._client.stream(request, options):
                if isinstance(item, Completion):
                    self._explain(item)
                    yield parse_stream_end(item, v1=v1)
                else:
                    yield parse_delta(item, v1=v1)
        except KimiError as error:
            raise _adapted(error) from error

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        v1 = self.output_version == "v1"
        try:
            request, options = self._render(messages, stop, kwargs, stream=True)
            async for item in self._client.astream(request, options):
                if isinstance(item, Completion):
                    self._explain(item)
                    yield parse_stream_end(item, v1=v1)
                else:
                    yield parse_delta(item, v1=v1)
        except KimiError as error:
            raise _adapted(error) from error

    def _render(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], *, stream: bool
    ) -> tuple[Request, dict[str, Any]]:
        """Render the request of one call, and warn about what it leaves out, once per setting."""
        options, call = split_options({**kwargs, "stop": stop})
        call.pop("stream", None)  # LangChain's word for the way it calls, not a setting
        settings, notices = merge_settings(self._settings(), call)
        request = render_request(
            settings,
            [render_message(message) for message in messages],
            stream=stream,
            notices=notices,
            base_url=self.base_url,
        )
        for notice in request.notices:
            if notice.setting not in self._warned:
                self._warned.add(notice.setting)
                warnings.warn(notice.message, KimiWarning, stacklevel=3)
        return request, options

    def _explain(self, completion: Completion) -> None:
        for explanation in explain_answer(completion.choice):
            warnings.warn(explanation, KimiWarning, stacklevel=3)

    def delete_uploaded_media(self) -> list[str]:
        """Delete what `upload_media_over` uploaded from the account; what is needed again is uploaded again.

        Returns:
            The ids of the deleted files.

        Raises:
            KimiError: Whatever goes wrong.
        """
        return self._client.delete_uploads()

    async def adelete_uploaded_media(self) -> list[str]:
        """The asynchronous twin of `delete_uploaded_media`."""
        return await self._client.adelete_uploads()

    # Tools and structured output.

    def bind_tools(
        self,
        tools: Sequence[Tool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Bind tools to the model.

        Args:
            tools: Functions, Pydantic classes, `TypedDict`s, `BaseTool`s, or declarations in the API's form. Moonshot's
                web search is `KimiWebSearch()`, `"$web_search"`, or
                `{"type": "builtin_function", "function": {"name": "$web_search"}}`.
            tool_choice: `"auto"`, `"none"`, `"any"` (also `"required"` and True: some call must come), a tool's name,
                or a dict that names one. How a forced choice is sent depends on the model and on thinking, and is
                decided when a request is made: most Kimi models refuse one while they think. No forced choice is ever
                let go: where no call comes, the call raises `KimiToolChoiceError`.
            strict: Whether arguments are held to the schema; the server's default is True.
            kwargs: Any setting of a request, and `response_format`.

        Returns:
            A runnable that answers with an `AIMessage`.
        """
        formatted = [render_tool(tool, strict) for tool in tools]
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=formatted, **kwargs)

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: StructuredMethod = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Make a runnable whose answers have a given form; they stream as partial objects.

        Args:
            schema: A Pydantic class or a dataclass (instances come out), a `TypedDict`, a JSON Schema or a tool
                declaration (dicts come out), or any other type Pydantic knows. May be None for `json_mode` only.
            method: `json_schema` (the default) has the server hold the answer to the schema, with thinking left on;
                models that do not enforce it (kimi-k2.5) get `function_calling` in its place. `function_calling` forces
                a tool call, in the way each model takes it. `json_mode` asks for any JSON object, and describes the
                schema in the prompt where that does not name its properties.
            include_raw: Return `{"raw": AIMessage, "parsed": ..., "parsing_error": ...}` and raise no parsing error.
            strict: Whether the server holds the answer to the schema; its default is True.
            kwargs: Any setting of a request.

        Returns:
            A runnable that takes what the model takes. With `include_raw`, it gives the dict above.

        Raises:
            ValueError: `schema` is missing, or `method` is none of the three; at once. The runnable raises, unless
                `include_raw` is set, langchain-core's `OutputParserException` where an answer is cut, is no JSON or
                does not fit the schema; and, with it too, `KimiToolChoiceError` where a forced call does not come, and
                whatever `invoke` raises.
        """
        if method not in get_args(StructuredMethod):
            raise ValueError(f"method={method!r} is not one of {', '.join(get_args(StructuredMethod))}.")
        if schema is None and method != "json_mode":
            raise ValueError(f"with_structured_output needs a schema for method={method!r}.")
        if method == "json_schema" and not profile_for(self.model_name).json_schema:
            method = "function_calling"
        output = None if schema is None else read_schema(schema)
        parser = KimiOutputParser(output=output, from_tool=method == "function_calling")
        # LangSmith shows the schema beside the trace; langchain-core takes the argument out before it calls the model.
        if output is not None:
            traced = schema if get_origin(schema) is None else output.tool  # which it cannot convert on Python 3.13
            kwargs["ls_structured_output_format"] = {"kwargs": {"method": method, "strict": strict}, "schema": traced}
        llm = self._bind_output(output, method, strict, kwargs)
        return with_raw(llm, parser) if include_raw else llm | parser

    def _bind_output(
        self, output: OutputSchema | None, method: str, strict: bool | None, kwargs: dict[str, Any]
    ) -> Runnable[LanguageModelInput, AIMessage]:
        if output is None:
            return self.bind(response_format={"type": "json_object"}, **kwargs)
        if method == "function_calling":
            return self.bind_tools([output.tool], tool_choice=output.name, strict=strict, **kwargs)
        if method == "json_mode":
            llm = self.bind(response_format={"type": "json_object"}, **kwargs)
            return RunnableLambda(self._convert_input) | partial(describe_schema, output) | llm
        response_format = output.response_format
        if strict is not None:
            response_format["json_schema"]["strict"] = strict
        return self.bind(response_format=response_format, **kwargs)


def _adapted(error: KimiError) -> Exception:
    from langchain_kimi.errors import adapt_error

    return adapt_error(error)
