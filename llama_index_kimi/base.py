"""`Kimi`, the LlamaIndex LLM for Moonshot's Kimi models: fields, and thin shells around `kimi_wire`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.bridge.pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.events.llm import LLMStructuredPredictEndEvent, LLMStructuredPredictStartEvent
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.program.utils import get_program_for_llm
from llama_index.core.prompts import BasePromptTemplate, PromptTemplate
from llama_index.core.types import BasePydanticProgram, Model, PydanticProgramMode

from kimi_wire import KimiRequestError, profile_for
from kimi_wire.answers import Completion
from kimi_wire.borrowed import SECRET, read_words
from kimi_wire.endpoints import KimiClient
from kimi_wire.hosts import Dialect
from kimi_wire.json_values import shown
from kimi_wire.kinds import Spelt
from kimi_wire.model_object import (
    check_fields,
    client_of,
    explain,
    field_key,
    fill_state,
    hide_keys,
    own_settings,
    prepare,
    profile_asked,
    without_secrets,
)
from kimi_wire.profiles import CacheTTL, Effort, Profile
from kimi_wire.requests import Request
from kimi_wire.settings import (
    DEFAULT_MODEL,
    EmptyAnswers,
    MissingReasoning,
    RemoteImages,
    UnansweredToolCalls,
    suggest,
)
from kimi_wire.structured import can_think_while_forced
from kimi_wire.transport import DEFAULT_MAX_RETRIES, plain_secret, resolve_base_url, resolve_headers
from llama_index_kimi.caching import current_session
from llama_index_kimi.callbacks import when_observed
from llama_index_kimi.messages import render_messages
from llama_index_kimi.prediction import acall_tool, answer_of, call_tool
from llama_index_kimi.responses import (
    StreamedResponse,
    keep_first_call,
    parse_completion_response,
    parse_response,
    parse_tool_calls,
)
from llama_index_kimi.structured import KimiProgram, check_whole
from llama_index_kimi.tools import render_tool

if TYPE_CHECKING:
    from llama_index.core.chat_engine.types import AgentChatResponse
    from llama_index.core.program.utils import FlexibleModel
    from llama_index.core.tools.types import BaseTool
    from typing_extensions import Self

# Of a model that no table knows. Memories and prompts are cut to this size, so that too small a number loses text in
# silence, where too large a one is an error that says so.
DEFAULT_CONTEXT_WINDOW = 131_072

dispatcher = get_dispatcher(__name__)


class Kimi(FunctionCallingLLM):
    """Kimi LLM, by Moonshot AI.

    To instantiate the `Kimi` class, provide an API key, or set the environment variable `MOONSHOT_API_KEY` (or
    `KIMI_API_KEY`). Keys are made at https://platform.kimi.ai.

    Any setting of a request can also be given with a call (`llm.chat(messages, thinking=False)`), and so can `timeout`,
    `max_retries` and `extra_headers`. Settings that a model does not take are left out with a `KimiWarning`, once for
    each. Two settings are for single calls alone: `prefix`, the beginning of the answer, and `prefix_name`, who speaks.

    The key is in no repr, dict, JSON, event or pickle; nor are `default_headers` and the HTTP clients. What is made of
    those takes the key from the environment: at once from a dict, with the first call from a pickle.

    Args:
        model: The model's id, also by position.
        **kwargs: The fields below, and `callback_manager`, `system_prompt` and all else that every LLM of LlamaIndex
            takes.

    Raises:
        KimiMissingKeyError: There is no API key.
        KimiRequestError: An argument is unknown, or `api_base` is no URL.

    Examples:
        `pip install "kimi-adapters[llama-index]"`

        ```python
        from llama_index.core.llms import ChatMessage
        from llama_index_kimi import Kimi

        llm = Kimi(model="kimi-k3")  # reads MOONSHOT_API_KEY
        print(llm.complete("Why is the sky blue?"))
        print(llm.chat([ChatMessage(role="user", content="Hello!")]))
        ```

        What the model thought is a block of the message:

        ```python
        from llama_index.core.base.llms.types import ThinkingBlock

        response = llm.chat([ChatMessage(role="user", content="Is 91 prime?")], reasoning_effort="low")
        print([block.content for block in response.message.blocks if isinstance(block, ThinkingBlock)])
        ```

        Streaming, with the thinking as it comes:

        ```python
        for chunk in llm.stream_chat([ChatMessage(role="user", content="Is 91 prime?")]):
            print(chunk.additional_kwargs.get("thinking_delta") or chunk.delta, end="")
        ```

        Objects of a class, with thinking left on:

        ```python
        from llama_index.core.prompts import PromptTemplate
        from pydantic import BaseModel

        class City(BaseModel):
            name: str
            inhabitants: int | None

        print(llm.structured_predict(City, PromptTemplate("What is the largest city of {land}?"), land="Norway"))
        ```

        Tools, in an agent:

        ```python
        from llama_index.core.agent.workflow import FunctionAgent

        def multiply(a: int, b: int) -> int:
            \"\"\"Multiply two numbers.\"\"\"
            return a * b

        agent = FunctionAgent(tools=[multiply], llm=llm)
        print(await agent.run("What is 7 times 13?"))
        ```
    """

    model: str = Field(default=DEFAULT_MODEL, kw_only=False)
    """The model's id. Defaults to "kimi-k3". Any id is taken; what is known of its family decides what is sent."""

    api_key: SecretStr | str | Callable[[], str | Awaitable[str]] | None = Field(default=None, exclude=True, repr=False)
    """The API key; or a function without arguments, synchronous or not, that gives the key of each attempt of each
    request. Defaults to `MOONSHOT_API_KEY`, else `KIMI_API_KEY`."""

    api_base: str | None = None
    """The API's root; `base_url` is taken too. Defaults to `MOONSHOT_BASE_URL`, `MOONSHOT_API_BASE` or `KIMI_BASE_URL`,
    else "https://api.moonshot.ai/v1". Keys of the platform in China are for "https://api.moonshot.cn/v1"."""

    base_url: str | None = Field(default=None, exclude=True, repr=False)
    """The API's root, by its other name."""

    thinking: bool | None = None
    """Whether to think, for models with a switch. Defaults to None: what the model does on its own."""

    reasoning_effort: Spelt[Effort] | None = None
    """How hard to think, "low", "high" or "max", for kimi-k3 and newer. Defaults to None: the model's own."""

    preserve_thinking: bool | None = None
    """Whether the model sees its thinking of earlier turns, for models with that switch."""

    missing_reasoning: Spelt[MissingReasoning] | None = None
    """What to do about an assistant message whose thinking is lost: "placeholder" sends a space, "omit" nothing,
    "error" raises. That is about messages with tool calls, and about every one where the model is shown its earlier
    thinking. Defaults to the space for models that have refused to go on without."""

    unanswered_tool_calls: Spelt[UnansweredToolCalls] = "warn"
    """What to do about a tool call in the history without an answer: "repair" answers it with an error, "warn" says so
    once, "error" raises. Defaults to "warn"."""

    dialect: Spelt[Dialect] = "auto"
    """What the host speaks: "moonshot", "vllm", "sglang", "openrouter", or "openai" for one that refuses all fields but
    OpenAI's. Defaults to "auto": Moonshot's, but for hosts that are known by their address."""

    continue_on_length: int = 0
    """How often an answer cut by its token limit is continued in Partial Mode. Defaults to 0."""

    resume_streams: int = 0
    """How often a stream that broke off is resumed in Partial Mode; before its text, it is begun anew. While that may
    happen, thinking is given when the text begins. Defaults to 0."""

    empty_answers: Spelt[EmptyAnswers] = "warn"
    """What to do about an answer with neither text nor a tool call, such as one that is only thinking: "warn"; "retry"
    asks again up to `max_retries` times, and then raises; "error" raises a `KimiEmptyAnswerError`. Defaults to
    "warn"."""

    max_tokens: int | None = None
    """Cap on the answer in tokens, thinking included. Defaults to None: the model's own."""

    temperature: float | None = None
    """Sampling temperature. No default: most models take one value only, and it is sent only to others."""

    top_p: float | None = None
    """Nucleus sampling; sent only where the model takes it."""

    presence_penalty: float | None = None
    """What tokens lose that have been said, -2 to 2; sent only where the model takes it."""

    frequency_penalty: float | None = None
    """What tokens lose each time that they have been said, -2 to 2; sent only where the model takes it."""

    logprobs: bool | None = None
    """Whether to return log probabilities, as `ChatResponse.logprobs`; sent only where the model takes it."""

    top_logprobs: int | None = None
    """How many alternatives to return with log probabilities, 0 to 20."""

    stop: str | list[str] | None = None
    """Up to 5 strings of at most 32 bytes each, at which the answer ends."""

    prompt_cache_key: str | None = None
    """Steers requests of one session to the same cache. Defaults to None: that of a `prompt_cache_session`, if one is
    on."""

    prompt_cache_ttl: Spelt[CacheTTL] | None = None
    """How long the cache is to keep what a request writes to it, "5m" or "1h", for kimi-k3 and newer. Defaults to None:
    what a `CachePoint` in the messages asks for, else the server's five minutes."""

    safety_identifier: str | None = None
    """A stable, hashed id of the end user."""

    remote_images: Spelt[RemoteImages] = "error"
    """What to do about images and videos given as http(s) URLs, which Kimi does not fetch: "error" raises, "download"
    fetches them from here (public addresses only, 100 MB and 60 s for all of a request, no proxy) and sends the bytes.
    Defaults to "error"."""

    upload_media_over: int | None = None
    """Images and videos of more than so many bytes are uploaded once for this object, and referred to by their `ms://`
    id from then on; `delete_uploaded_media` deletes them. Defaults to None: each is sent with every request."""

    extra_body: Mapping[str, Any] | None = None
    """Fields to put into the request's body as they are."""

    strict: bool = False
    """Whether to raise a `KimiRequestError` where a setting would be left out. Defaults to False."""

    timeout: float | None = None
    """Seconds to wait for the server. Defaults to None: 60 to connect and 900 for the next byte, since thinking is
    silent for minutes."""

    stream_idle_timeout: float | None = None
    """Seconds a stream may be silent. Defaults to None: as `timeout`."""

    max_retries: int = Field(default=DEFAULT_MAX_RETRIES, ge=0)
    """How often to try again after a rate limit, a server error or a lost connection. Defaults to 2."""

    default_headers: dict[str, str] | None = Field(default=None, exclude=True, repr=False)
    """Headers for every request."""

    http_client: Any = Field(default=None, exclude=True, repr=False)
    """A client of the HTTP library that the openai SDK is built on, for synchronous calls."""

    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """A client of the HTTP library that the openai SDK is built on, for asynchronous calls."""

    context_window: int | None = None
    """Input and output together, in tokens. Defaults to None: the model's own."""

    # pydantic would quote the arguments, keys among them
    model_config = ConfigDict(hide_input_in_errors=True, use_attribute_docstrings=True)

    _connection: tuple[dict[str, Any], KimiClient] | None = PrivateAttr(default=None)
    _warned: set[str] = PrivateAttr(default_factory=set)

    if not TYPE_CHECKING:  # type checkers go by the fields, and find what is misspelt or of another type

        def __init__(self, model: str = DEFAULT_MODEL, **kwargs: Any) -> None:
            """Set the model up; nothing is sent. See the class for the arguments."""
            hide_keys(kwargs, ("api_key", *SECRET), SecretStr)
            kwargs.pop("class_name", None)  # every dump of LlamaIndex's has it
            given = {} if model == DEFAULT_MODEL else {"model": model}
            kwargs = read_words({**given, **kwargs}, type(self).model_fields)
            model = kwargs.pop("model", model)
            kwargs["api_base"] = kwargs.get("api_base") or kwargs.get("base_url")
            kwargs.pop("base_url", None)
            if kwargs.get("default_headers") is not None:
                kwargs["default_headers"] = resolve_headers(kwargs.pop("default_headers"))
            fields = type(self).model_fields
            for name in sorted(kwargs.keys() - fields.keys()):
                _check_single(kwargs.get("n"))
                raise KimiRequestError(f"{name!r} is not an argument of {type(self).__name__}. {suggest(name, fields)}")
            kwargs["api_key"] = field_key(kwargs.get("api_key"), SecretStr)
            kwargs["api_base"] = resolve_base_url(kwargs.pop("api_base"))
            super().__init__(model=model, **kwargs)
            check_fields(self, self._settings(), self.api_base)

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in serialised form."""
        return "Kimi"

    @property
    def metadata(self) -> LLMMetadata:
        """What is known of the model; never an error, whatever its id."""
        profile = profile_for(self.model)
        return LLMMetadata(
            context_window=self.context_window or profile.context_window or DEFAULT_CONTEXT_WINDOW,
            num_output=self.max_tokens or -1,
            is_chat_model=True,
            is_function_calling_model=profile.tools,
            model_name=self.model,
        )

    def to_payload(self) -> dict[str, Any]:
        """What events say of this LLM: its metadata and the settings that are set; no key, no headers."""
        asked = {name: value for name, value in self._settings().items() if value is not None}
        return {"class_name": self.class_name(), **self.metadata.model_dump(), **asked}

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    @when_observed(llm_chat_callback())
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Send the messages and return the answer.

        Args:
            messages: The conversation.
            **kwargs: Settings of this call.

        Returns:
            The answer: thinking, text and tool calls as blocks of `message`, the token counts in `additional_kwargs`.

        Raises:
            KimiError: Whatever goes wrong.
        """
        return self._chat(*self._prepare(messages, kwargs))

    @when_observed(llm_chat_callback())
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """The asynchronous twin of `chat`."""
        return await self._achat(*self._prepare(messages, kwargs))

    @when_observed(llm_chat_callback())
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Send the messages and give the answer as it comes.

        Args:
            messages: The conversation.
            **kwargs: Settings of this call.

        Returns:
            A generator of responses: each has the whole message so far, the new text as `delta`, and the new thinking
            as `additional_kwargs["thinking_delta"]`; the last one has the token counts.

        Raises:
            KimiError: Whatever goes wrong; a stream that breaks off never ends quietly.
        """
        return self._stream_chat(*self._prepare(messages, kwargs, stream=True))

    @when_observed(llm_chat_callback())
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseAsyncGen:
        """The asynchronous twin of `stream_chat`."""
        return self._astream_chat(*self._prepare(messages, kwargs, stream=True))

    @when_observed(llm_completion_callback())
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Send a prompt as a user's message and return the answer.

        Args:
            prompt: The prompt.
            formatted: Whether it went through `completion_to_prompt` already.
            **kwargs: Settings of this call.

        Returns:
            The answer's text, with the token counts in `additional_kwargs`.

        Raises:
            KimiError: Whatever goes wrong.
        """
        messages = self._prompt_messages(prompt, formatted)
        return parse_completion_response(self._chat(*self._prepare(messages, kwargs)))

    @when_observed(llm_completion_callback())
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """The asynchronous twin of `complete`."""
        messages = self._prompt_messages(prompt, formatted)
        return parse_completion_response(await self._achat(*self._prepare(messages, kwargs)))

    @when_observed(llm_completion_callback())
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseGen:
        """Send a prompt as a user's message and give the answer as it comes.

        Args:
            prompt: The prompt.
            formatted: Whether it went through `completion_to_prompt` already.
            **kwargs: Settings of this call.

        Returns:
            A generator of responses: each has the whole text so far, and the new text as `delta`.

        Raises:
            KimiError: Whatever goes wrong; a stream that breaks off never ends quietly.
        """
        messages = self._prompt_messages(prompt, formatted)
        responses = self._stream_chat(*self._prepare(messages, kwargs, stream=True))
        return (parse_completion_response(response) for response in responses)

    @when_observed(llm_completion_callback())
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponseAsyncGen:
        """The asynchronous twin of `stream_complete`."""
        messages = self._prompt_messages(prompt, formatted)
        responses = self._astream_chat(*self._prepare(messages, kwargs, stream=True))
        return (parse_completion_response(response) async for response in responses)

    # Without callbacks, so that `complete` is one call to those who count tokens, not two.

    def _chat(self, request: Request, options: Mapping[str, Any]) -> ChatResponse:
        completion = self._client.complete(request, options)
        explain(completion)
        return parse_response(completion)

    async def _achat(self, request: Request, options: Mapping[str, Any]) -> ChatResponse:
        completion = await self._client.acomplete(request, options)
        explain(completion)
        return parse_response(completion)

    def _stream_chat(self, request: Request, options: Mapping[str, Any]) -> ChatResponseGen:
        response = StreamedResponse()
        for item in self._client.stream(request, options):
            if isinstance(item, Completion):
                explain(item)
            yield response.add(item)

    async def _astream_chat(self, request: Request, options: Mapping[str, Any]) -> ChatResponseAsyncGen:
        response = StreamedResponse()
        async for item in self._client.astream(request, options):
            if isinstance(item, Completion):
                explain(item)
            yield response.add(item)

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

    # A request, its client, and what is asked of either.

    def _prepare(
        self, messages: Sequence[ChatMessage], call: Mapping[str, Any], *, stream: bool = False
    ) -> tuple[Request, dict[str, Any]]:
        """Render the request of a call, and its options for the client."""
        _check_single(call.get("n"))
        rendered = render_messages(messages)
        own, base_url = self._settings(), self.api_base
        if own["prompt_cache_key"] is None:
            own["prompt_cache_key"] = current_session()
        return prepare(own, call, rendered, stream=stream, base_url=base_url, warned=self._warned)

    def _settings(self) -> dict[str, Any]:
        return own_settings(self)

    @property
    def _client(self) -> KimiClient:
        return client_of(self, "api_key", "api_base")

    def _prompt_messages(self, prompt: str, formatted: bool) -> list[ChatMessage]:
        if not formatted and self.completion_to_prompt is not None:
            prompt = self.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=prompt)]

    def _prepare_chat_with_tools(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Make the arguments of `chat` out of those of `chat_with_tools`.

        Args:
            tools: The tools; without any, here or in a system message, nothing of tools is sent.
            user_msg: The last message.
            chat_history: The messages before it; not changed.
            verbose: Not used.
            allow_parallel_tool_calls: Whether answers keep more than one call; Kimi has no such switch, see
                `_validate_chat_with_tools_response`.
            tool_required: Whether a call must come, unless `tool_choice` says something else.
            tool_choice: "auto", "none", "any", "required", a tool's name, or a dict that names one.
            **kwargs: Settings of this call.
        """
        messages = [*(chat_history or ())]
        if user_msg is not None:
            is_text = isinstance(user_msg, str)
            messages.append(ChatMessage(role=MessageRole.USER, content=user_msg) if is_text else user_msg)
        prepared: dict[str, Any] = {"messages": messages, **kwargs}
        if tools:
            prepared["tools"] = [render_tool(tool) for tool in tools]
        some = tools or any(message.additional_kwargs.get("tools") for message in messages)
        if some and (tool_choice is not None or tool_required):
            prepared["tool_choice"] = "required" if tool_choice is None else tool_choice
        return prepared

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        """Cut the answer to its first tool call unless several are allowed; core asks this of whole answers only."""
        return response if allow_parallel_tool_calls else keep_first_call(response)

    def get_tool_calls_from_response(
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        """Read the tool calls of a response.

        Args:
            response: A response, or a chunk of a stream, whose calls have the arguments so far.
            error_on_no_tool_call: Whether it is an error if there are none. Defaults to True.
            **kwargs: Not used.

        Returns:
            The calls. One whose arguments turned out not to be a JSON object has, instead of the tool's name, a text
            that says so and is no tool's name, so that no tool runs with arguments nobody wrote.

        Raises:
            ValueError: There are none.
        """
        calls = parse_tool_calls(response)
        if not calls and error_on_no_tool_call:
            raise ValueError(f"Expected at least one tool call, but got {len(calls)} tool calls.")
        return calls

    # Structured prediction and tools that are run at once, as core builds them on top of a chat.

    # Each pair below differs by `async` and `await` only; tests/llama_index_kimi/test_structured.py compares them.

    def structured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """Ask for an object of a class.

        The server holds the answer to the class's schema where the model's family is known for it, and the model thinks
        as it always does; otherwise the object is a tool's arguments. A `pydantic_program_mode` other than "default"
        takes core's program of that name.

        Args:
            output_cls: The Pydantic class.
            prompt: The prompt.
            llm_kwargs: Settings of this call.
            **prompt_args: Variables of the prompt.

        Returns:
            The object, validated.

        Raises:
            KimiStructuredOutputError: The answer is cut, no JSON, or does not fit the class. A `ValueError` too.
            KimiError: Whatever else goes wrong.
        """
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        program = self._program(output_cls, prompt, llm_kwargs)
        result = program(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result  # type: ignore[return-value]

    async def astructured_predict(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Model:
        """The asynchronous twin of `structured_predict`."""
        dispatcher.event(
            LLMStructuredPredictStartEvent(output_cls=output_cls, template=prompt, template_args=prompt_args)
        )
        program = self._program(output_cls, prompt, llm_kwargs)
        result = await program.acall(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)
        dispatcher.event(LLMStructuredPredictEndEvent(output=result))
        return result  # type: ignore[return-value]

    if TYPE_CHECKING:  # they are core's, whose decorator loses the class

        def stream_structured_predict(
            self,
            output_cls: type[Model],
            prompt: PromptTemplate,
            llm_kwargs: dict[str, Any] | None = None,
            **prompt_args: Any,
        ) -> Generator[Model | FlexibleModel, None, None]:
            """Ask for an object of a class, and give it as it comes: what there is so far, and at its end the whole."""
            ...

        async def astream_structured_predict(
            self,
            output_cls: type[Model],
            prompt: PromptTemplate,
            llm_kwargs: dict[str, Any] | None = None,
            **prompt_args: Any,
        ) -> AsyncGenerator[Model | FlexibleModel, None]:
            """The asynchronous twin of `stream_structured_predict`."""
            ...

    # Behind `stream_structured_predict` and `astream_structured_predict`, which stay core's.

    def _structured_stream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        program = self._program(output_cls, prompt, llm_kwargs)
        return program.stream_call(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)

    async def _structured_astream_call(
        self,
        output_cls: type[Model],
        prompt: PromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        program = self._program(output_cls, prompt, llm_kwargs)
        return await program.astream_call(llm_kwargs=dict(llm_kwargs or {}), **prompt_args)

    def _program(
        self, output_cls: type[Model], prompt: BasePromptTemplate, call: Mapping[str, Any] | None
    ) -> BasePydanticProgram[Model]:
        mode, profile = self.pydantic_program_mode, self._profile(call)
        if mode is PydanticProgramMode.DEFAULT:
            if profile.json_schema or profile.tools:
                return KimiProgram(output_cls, self, prompt, by_schema=profile.json_schema)
            mode = PydanticProgramMode.LLM
        # `LLMTextCompletionProgram` writes its output parser into the prompt that it gets.
        return get_program_for_llm(output_cls, prompt.model_copy(), self, pydantic_program_mode=mode)

    def predict_and_call(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        error_on_no_tool_call: bool = True,
        error_on_tool_error: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """Let the model call a tool, and run it.

        Args:
            tools: The tools.
            user_msg: The last message.
            chat_history: The messages before it; not changed.
            verbose: Whether to print the call and its result.
            allow_parallel_tool_calls: Whether all calls of an answer are run, or only the first.
            error_on_no_tool_call: Whether it is an error if no tool is called. Defaults to True.
            error_on_tool_error: Whether it is an error if a tool fails. Defaults to False: the text is in the response.
            **kwargs: Settings of this call, `tool_required` and `tool_choice` among them.

        Returns:
            The tools' results, as text and as `sources`. A call of an unknown tool, or with arguments that are no JSON,
            is a failed one: nothing is run, and its result says why.

        Raises:
            ValueError: No tool was called, or one failed, where that is asked to be an error.
            KimiStructuredOutputError: The call was cut at the answer's token limit.
            KimiError: Whatever else goes wrong.
        """
        asked = {"user_msg": user_msg, "chat_history": chat_history, "verbose": verbose, **kwargs}
        if not self.metadata.is_function_calling_model:
            return super().predict_and_call(tools, **asked)
        settings = self._with_thinking(asked, allow_parallel_tool_calls)
        response = self.chat_with_tools(tools, allow_parallel_tool_calls=allow_parallel_tool_calls, **settings)
        calls = self._whole_calls(response, error_on_no_tool_call)
        outputs = [call_tool(call, tools, verbose) for call in calls]
        return answer_of(response, outputs, error_on_tool_error)

    async def apredict_and_call(
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        error_on_no_tool_call: bool = True,
        error_on_tool_error: bool = False,
        **kwargs: Any,
    ) -> AgentChatResponse:
        """The asynchronous twin of `predict_and_call`; the tools run at the same time."""
        asked = {"user_msg": user_msg, "chat_history": chat_history, "verbose": verbose, **kwargs}
        if not self.metadata.is_function_calling_model:
            return await super().apredict_and_call(tools, **asked)
        settings = self._with_thinking(asked, allow_parallel_tool_calls)
        response = await self.achat_with_tools(tools, allow_parallel_tool_calls=allow_parallel_tool_calls, **settings)
        calls = self._whole_calls(response, error_on_no_tool_call)
        outputs = await asyncio.gather(*(acall_tool(call, tools, verbose) for call in calls))
        return answer_of(response, outputs, error_on_tool_error)

    def _with_thinking(self, call: Mapping[str, Any], several: bool) -> dict[str, Any]:
        """Ask for thinking where a required call would have it switched off, so that core's programs keep it."""
        required = call.get("tool_required") or call.get("tool_choice") not in (None, "auto", "none")
        unasked = call.get("thinking") is None and self.thinking is None
        if required and unasked and not several and can_think_while_forced(self._profile(call)):
            return {**call, "thinking": True}
        return {**call}

    def _profile(self, call: Mapping[str, Any] | None) -> Profile:
        return profile_asked(self._settings(), call or {}, self.api_base)

    def _whole_calls(self, response: ChatResponse, error_on_no_tool_call: bool) -> list[ToolSelection]:
        calls = self.get_tool_calls_from_response(response, error_on_no_tool_call=error_on_no_tool_call)
        if calls:
            check_whole(response)
        return calls

    # Copies and storage.

    def __eq__(self, other: object) -> bool:
        """Whether both are set up alike; connections, callbacks and warnings given do not count."""
        if not isinstance(other, Kimi):
            return NotImplemented
        return self.to_dict() == other.to_dict() and plain_secret(self.api_key) == plain_secret(other.api_key)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Copy the settings; the copy shares connections and callbacks, which cannot be copied."""
        memo = {} if memo is None else memo
        for name in ("http_client", "http_async_client", "callback_manager", "rate_limiter", "_connection"):
            shared = getattr(self, name, None)
            memo[id(shared)] = shared
        return super().__deepcopy__(memo)

    def __getstate__(self) -> dict[str, Any]:
        """The state for a pickle: without the key, the headers and the connections."""
        state: dict[str, Any] = super(Kimi, without_secrets(self, "api_key")).__getstate__()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come out of a pickle; each call takes the environment's key."""
        BaseModel.__setstate__(self, fill_state(type(self), state))
        self.check_prompts()  # type: ignore[operator] # a validator, and a method all the same


def _check_single(n: Any) -> None:
    if n is not None and n != 1:
        raise KimiRequestError(f"n={shown(n)} asks for several answers; a response of LlamaIndex has one.")
