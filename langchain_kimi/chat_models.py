"""`ChatKimi`, the LangChain chat model for Moonshot's Kimi models."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, get_args, get_origin, overload

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, BaseRunManager, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LangSmithParams, LanguageModelInput, ModelProfile
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.utils.utils import LC_ID_PREFIX
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator
from typing_extensions import Self

from kimi_wire import __version__
from kimi_wire.answers import PROVIDER, Completion, Delta
from kimi_wire.borrowed import ADDRESSES, SECRET, put, read_words
from kimi_wire.endpoints import KimiClient, KimiPlatform, estimate_messages, estimate_text, estimate_tools
from kimi_wire.errors import KimiError, KimiRequestError
from kimi_wire.hosts import Dialect
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
from kimi_wire.profiles import CacheTTL, Effort
from kimi_wire.requests import Request
from kimi_wire.settings import (
    DEFAULT_MODEL,
    EmptyAnswers,
    MissingReasoning,
    RemoteImages,
    UnansweredToolCalls,
    rename_settings,
    suggest,
)
from kimi_wire.structured import OutputForm
from kimi_wire.transport import (
    DEFAULT_BASE_URL,
    DEFAULT_MAX_RETRIES,
    HiddenText,
    resolve_base_url,
    resolve_headers,
)
from langchain_kimi.adapt import adapted
from langchain_kimi.events import ARE_READ, MessageEvents
from langchain_kimi.messages import render_messages
from langchain_kimi.profiles import model_profile
from langchain_kimi.responses import parse_completion, parse_item, with_message
from langchain_kimi.structured import KimiOutputParser, describe_schema, read_schema, with_raw
from langchain_kimi.tools import Tool, render_tool

Made = TypeVar("Made")
Output = TypeVar("Output")
Key: TypeAlias = SecretStr | str | Callable[[], str | Awaitable[str]]
Maker = Callable[[Delta | Completion], Iterable[Made]]
StructuredMethod = Literal["json_schema", "function_calling", "json_mode"]


class ChatKimi(BaseChatModel):
    """Chat model for Moonshot's Kimi models: they think, call tools, and are shown their own thinking again.

    Setup:
        Install `kimi-adapters` with its `langchain` extra and set the environment variable `MOONSHOT_API_KEY`.

        ```bash
        pip install -U "kimi-adapters[langchain]"
        export MOONSHOT_API_KEY="your-api-key"
        ```

    Key init args:
        - `model`: The model's id, in any spelling hosts use. Default `kimi-k3`.
        - `thinking`: Whether to think; None (the default) leaves it to the model. Only kimi-k2.5 and kimi-k2.6 have the
          switch.
        - `reasoning_effort`: `"low"`, `"high"` or `"max"`; kimi-k3 and newer only.
        - `max_tokens`: Cap on the answer, thinking included. No default: a small one gives empty answers.
        - `temperature`: And other sampling parameters: sent only to models that take them; others refuse any value but
          their own.
        - `api_key`: The key, or a function that gives it, asked with each request. Default: the environment's
          `MOONSHOT_API_KEY`, else `KIMI_API_KEY`.
        - `base_url`: Default: the environment's `MOONSHOT_BASE_URL`, `MOONSHOT_API_BASE` or `KIMI_BASE_URL`, else
          `https://api.moonshot.ai/v1`. Keys of the Chinese platform need `https://api.moonshot.cn/v1`.
        - `dialect`: What the host speaks, where it is not Moonshot's: `"vllm"`, `"sglang"`, `"openrouter"`.

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
        `message.response_metadata` has `finish_reason`, `normalized_finish_reason` (the same in LangChain's words),
        `model_name`, `model_provider` (`"moonshot"`), `id` and `request_id`, which Moonshot's support asks for.
    """

    # An editor shows, of an argument whose field has another name, the text of what has its name.

    model_name: str = Field(default=DEFAULT_MODEL, alias="model")
    """The field of `model`."""

    kimi_api_key: Key | None = Field(default=None, alias="api_key", validate_default=True, repr=False)
    """The field of `api_key`."""

    @property
    def model(self) -> str:
        """Model id. Families are known by pattern; ids that are not Kimi's are sent untouched."""
        return self.model_name

    @model.setter
    def model(self, model: str) -> None:
        self.model_name = model

    @property
    def api_key(self) -> Key | None:
        """API key, held as a `SecretStr`; or a function that gives the key of each attempt of each request.

        The function takes nothing, and may be asynchronous. Default: the environment's `MOONSHOT_API_KEY`, else
        `KIMI_API_KEY`.
        """
        return self.kimi_api_key

    @api_key.setter
    def api_key(self, api_key: Key | None) -> None:
        self.kimi_api_key = api_key

    base_url: str | None = Field(default=None, validate_default=True)
    """The API's root; default: the environment's `MOONSHOT_BASE_URL`, `MOONSHOT_API_BASE` or `KIMI_BASE_URL`, else
    `https://api.moonshot.ai/v1`."""

    thinking: bool | None = None
    """Whether to think; None is the model's default. Left out with a warning where the model has no switch."""

    reasoning_effort: Spelt[Effort] | None = None
    """`low`, `high` or `max`, kimi-k3 and newer only; the server's default is `max`. Changing it in the middle of a
    conversation loses the prefix cache."""

    preserve_thinking: bool | None = None
    """Whether the model sees its thinking of earlier turns again (`thinking.keep`). A choice on kimi-k2.6 only."""

    missing_reasoning: Spelt[MissingReasoning] | None = None
    """What to do about an assistant message that has lost its thinking: `placeholder` sends a space in its place,
    `omit` nothing, `error` raises. That is about messages with tool calls, and about every one where the model is
    shown its earlier thinking. None sends the space to models that have refused to go on without, and nothing to
    others."""

    unanswered_tool_calls: Spelt[UnansweredToolCalls] = "warn"
    """What to do about a tool call in the history that nobody answered, as frameworks drop those with broken arguments
    and people change the subject: `repair` answers it with an error, `warn` says so once as well, `error` raises."""

    dialect: Spelt[Dialect] = "auto"
    """What the host speaks: `moonshot`, `vllm`, `sglang`, `openrouter`, or `openai` for one that refuses all fields but
    OpenAI's. `auto` is `moonshot`, but for hosts that are known by their address."""

    continue_on_length: int = 0
    """How often an answer cut by its token limit is continued in Partial Mode; it comes back as one answer."""

    resume_streams: int = 0
    """How often a stream that broke off is resumed in Partial Mode, where it stopped; before its text begins, it is
    begun anew. While that may happen, thinking is given when the text begins, so that it is that of one attempt."""

    empty_answers: Spelt[EmptyAnswers] = "warn"
    """What to do about an answer with neither text nor a tool call, such as one that is only thinking: `warn`; `retry`
    asks again up to `max_retries` times, and then raises; `error` raises a `KimiEmptyAnswerError`. `retry` holds
    thinking back as `resume_streams` does."""

    max_tokens: int | None = None
    """Cap on the answer in tokens, thinking included."""

    temperature: float | None = None
    """Sampling temperature; sent only where the model takes it."""

    top_p: float | None = None
    """Nucleus sampling; sent only where the model takes it."""

    n: int | None = None
    """Number of answers; more than one on moonshot-v1 and kimi-k2 only, and not streamed."""

    presence_penalty: float | None = None
    """What tokens lose that have been said, -2 to 2; sent only where the model takes it."""

    frequency_penalty: float | None = None
    """What tokens lose each time that they have been said, -2 to 2; sent only where the model takes it."""

    logprobs: bool | None = None
    """Whether to return log probabilities; sent only where the model takes it."""

    top_logprobs: int | None = None
    """How many alternatives to return with log probabilities, 0 to 20."""

    stop: list[str] | str | None = None
    """Up to 5 strings of at most 32 bytes each, at which the answer ends."""

    prompt_cache_key: str | None = None
    """An id of the session: requests with the same one find the same prefix cache."""

    prompt_cache_ttl: Spelt[CacheTTL] | None = None
    """How long the prefix cache is to keep what a request writes to it (kimi-k3 and newer only); None is what cache
    points in the messages ask for, else five minutes. A hit renews the time; an hour costs twice as much to write."""

    safety_identifier: str | None = None
    """A stable, hashed id of the end user."""

    remote_images: Spelt[RemoteImages] = "error"
    """What to do about images and videos given as http(s) URLs, which Kimi does not fetch: `error` raises,
    `download` fetches them from here (public addresses only, 100 MB and 60 s for all of a request, no proxy) and sends
    the bytes."""

    upload_media_over: int | None = None
    """Images and videos of more than so many bytes are uploaded once for this model object, and referred to by their
    `ms://` id from then on; None sends each with every request. `delete_uploaded_media` deletes them."""

    extra_body: Mapping[str, Any] | None = None
    """Fields to put into the request body as they are, over everything else."""

    strict: bool = False
    """Raise where a setting would be left out with a warning."""

    streaming: bool = False
    """Whether `invoke` streams behind the scenes."""

    token_counting: Literal["local", "server"] = "local"
    """How `get_num_tokens` and `get_num_tokens_from_messages` count: `local` estimates, `server` asks the server with
    every count."""

    timeout: Any = None
    """Seconds, or an `openai.Timeout`. Default: 900 s without a byte (thinking can be silent for minutes), 60 s to
    connect."""

    stream_idle_timeout: float | None = None
    """Seconds a stream may be silent before it counts as broken. Default: as `timeout`."""

    max_retries: int = Field(default=DEFAULT_MAX_RETRIES, ge=0)
    """How often the openai SDK sends a failed request again; there is no other layer of retries."""

    default_headers: Mapping[str, str] | None = Field(default=None, exclude=True, repr=False)
    """Headers for every request."""

    http_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.Client` (openai 3: `httpx2.Client`) for synchronous calls."""

    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """An `httpx.AsyncClient` (openai 3: `httpx2.AsyncClient`) for asynchronous calls."""

    # pydantic would quote the constructor's arguments, the key among them.
    model_config = ConfigDict(populate_by_name=True, hide_input_in_errors=True)

    _connection: tuple[dict[str, Any], KimiClient] | None = PrivateAttr(default=None)
    _warned: set[str] = PrivateAttr(default_factory=set)

    if not TYPE_CHECKING:  # type checkers go by the fields

        def __init__(self, **kwargs: Any) -> None:
            """Set the model up; nothing is sent.

            Args:
                **kwargs: The fields of the class.
            """
            hide_keys(kwargs, ("api_key", "kimi_api_key", *SECRET), SecretStr)
            for name in ("base_url", *ADDRESSES):
                if isinstance(kwargs.get(name), str):
                    kwargs[name] = HiddenText(kwargs[name])
            if kwargs.get("default_headers") is not None:
                kwargs["default_headers"] = resolve_headers(kwargs.pop("default_headers"))
            super().__init__(**kwargs)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_arguments(cls, values: Any) -> Any:
        known = {name for field, info in cls.model_fields.items() for name in (field, info.alias) if name}
        if not isinstance(values, dict):
            return values
        read = read_words(values, known)
        for field, info in cls.model_fields.items():
            if info.alias and field in read and (value := read.pop(field)) is not None:
                put(read, info.alias, value, field)
        for name in read:
            if name not in known:
                raise ValueError(f"{name!r} is not an argument of {cls.__name__}. {suggest(name, known)}")
        return read

    @field_validator("kimi_api_key", mode="before")
    @classmethod
    def _resolve_api_key(cls, value: Any) -> Any:
        return field_key(value, SecretStr)

    @field_validator("base_url", mode="before")
    @classmethod
    def _resolve_base_url(cls, value: str | None) -> str:
        return resolve_base_url(value)

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        """Refuse at construction what every request would be refused for."""
        check_fields(self, self._settings(), self.base_url)
        return self

    @model_validator(mode="after")
    def _set_kimi_version(self) -> Self:
        self._add_version("kimi-adapters", __version__)
        return self

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the model object; the copy shares its connections.

        Args:
            update: Fields to change, by the names of the constructor or their own; as with Pydantic they are not
                checked.
            deep: Whether to copy what the fields hold, too.

        Returns:
            The copy.
        """
        fields = {info.alias: name for name, info in type(self).model_fields.items() if info.alias}
        changed = {fields.get(name, name): value for name, value in (update or {}).items()}
        hide_keys(changed, ("kimi_api_key",), SecretStr)
        return super().model_copy(update=changed, deep=deep)

    def __getstate__(self) -> dict[Any, Any]:
        """The state for a pickle: without the key, the headers and the connections."""
        state: dict[Any, Any] = super(ChatKimi, without_secrets(self, "kimi_api_key")).__getstate__()
        return state

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Come out of a pickle; each call takes the environment's key."""
        super().__setstate__(fill_state(type(self), state))

    @property
    def _client(self) -> KimiClient:
        return client_of(self, "kimi_api_key", "base_url")

    def _settings(self) -> dict[str, Any]:
        """The settings of the constructor, by the names of `kimi_wire.settings.Settings`."""
        return {**own_settings(self), "model": self.model_name}

    # What LangChain asks a model about itself.

    @property
    def _llm_type(self) -> str:
        return "kimi-chat"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        """The model, and what somebody has set: every trace of LangSmith's lists it."""
        fields = type(self).model_fields
        settings = {**self._settings(), "base_url": self.base_url}
        defaults = {name: fields[name].default for name in settings if name in fields}
        defaults["base_url"] = DEFAULT_BASE_URL
        return {name: value for name, value in settings.items() if value is not None and value != defaults.get(name)}

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
        """The importable path of this module.

        A model is read with `load(written, allowed_objects=[ChatKimi], valid_namespaces=["langchain_kimi"])`: core
        wants both, and says "Invalid namespace" without the second. The key is the environment's then, as in
        `ChatKimi()`; so leave `secrets_from_env` out. With it, core first puts the key where the reference to it was,
        and then prints all of that in its own error.
        """
        return ["langchain_kimi", "chat_models"]

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        asked = kwargs
        with contextlib.suppress(KimiRequestError):  # which the call raises, where callbacks hear of it
            asked = rename_settings(kwargs)
        others = asked.pop("stop", None)
        params = super()._get_ls_params(stop=others if stop is None else stop, **asked)
        params["ls_provider"] = PROVIDER
        params["ls_model_name"] = asked.get("model") or self.model_name
        return params

    def _resolve_model_profile(self) -> ModelProfile | None:
        return model_profile(self.model_name, profile_asked(self._settings(), {}, self.base_url))

    # The ways to ask. Each pair differs by `async` and `await` only; tests/test_architecture.py compares them.

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        try:
            request, options = self._prepare(messages, stop, kwargs, stream=False)
            completion = self._client.complete(request, options)
        except KimiError as error:
            raise with_message(adapted(error)) from error
        explain(completion, has_all=True)
        return parse_completion(completion)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        try:
            request, options = self._prepare(messages, stop, kwargs, stream=False)
            completion = await self._client.acomplete(request, options)
        except KimiError as error:
            raise with_message(adapted(error)) from error
        explain(completion, has_all=True)
        return parse_completion(completion)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        return self._read(messages, stop, kwargs, partial(parse_item, v1=self.output_version == "v1"))

    def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        return self._aread(messages, stop, kwargs, partial(parse_item, v1=self.output_version == "v1"))

    if ARE_READ:  # else langchain-core makes events of the chunks

        def _stream_chat_model_events(
            self,
            messages: list[BaseMessage],
            stop: list[str] | None = None,
            run_manager: CallbackManagerForLLMRun | None = None,
            **kwargs: Any,
        ) -> Iterator[Any]:
            return self._read(messages, stop, kwargs, self._events(run_manager).take)

        def _astream_chat_model_events(
            self,
            messages: list[BaseMessage],
            stop: list[str] | None = None,
            run_manager: AsyncCallbackManagerForLLMRun | None = None,
            **kwargs: Any,
        ) -> AsyncIterator[Any]:
            return self._aread(messages, stop, kwargs, self._events(run_manager).take)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Leave the events of a class that makes its chunks otherwise to langchain-core, which makes them of those."""
        super().__init_subclass__(**kwargs)
        for chunks, events in (("_stream", "_stream_chat_model_events"), ("_astream", "_astream_chat_model_events")):
            if chunks in cls.__dict__ and events not in cls.__dict__:
                setattr(cls, events, None)

    def _events(self, run_manager: BaseRunManager | None) -> MessageEvents:
        message_id = None if run_manager is None else f"{LC_ID_PREFIX}-{run_manager.run_id}"
        return MessageEvents(message_id, v1=self.output_version == "v1")

    def _read(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], make: Maker[Made]
    ) -> Iterator[Made]:
        """Stream an answer, and give what is made of its pieces and of the whole."""
        try:
            request, options = self._prepare(messages, stop, kwargs, stream=True)
            for item in self._client.stream(request, options):
                if isinstance(item, Completion):
                    explain(item)
                for made in make(item):
                    yield made
        except KimiError as error:
            raise with_message(adapted(error)) from error

    async def _aread(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], make: Maker[Made]
    ) -> AsyncIterator[Made]:
        try:
            request, options = self._prepare(messages, stop, kwargs, stream=True)
            async for item in self._client.astream(request, options):
                if isinstance(item, Completion):
                    explain(item)
                for made in make(item):
                    yield made
        except KimiError as error:
            raise with_message(adapted(error)) from error

    def _prepare(
        self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any], *, stream: bool
    ) -> tuple[Request, dict[str, Any]]:
        """Render the request of a call, and its options for the client."""
        call = {**kwargs, "stop": stop}
        call.pop("stream", None)  # LangChain's word for the way it calls, not a setting
        rendered = render_messages(messages)
        own, base_url = self._settings(), self.base_url
        return prepare(own, call, rendered, stream=stream, base_url=base_url, warned=self._warned)

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

    # Token counts.

    def get_token_ids(self, text: str) -> list[int]:
        """Return a list as long as the estimated number of tokens; always local.

        Kimi's vocabulary is not known here: the ids are those of `custom_get_token_ids` where that is set, and
        otherwise positions.

        Args:
            text: The text.

        Returns:
            The ids, one for each token.
        """
        if self.custom_get_token_ids is not None:
            return self.custom_get_token_ids(text)
        return list(range(estimate_text(text)))

    def get_num_tokens(self, text: str) -> int:
        """Count the tokens of a text.

        Args:
            text: The text. The server counts it as a user's message, with what surrounds that in a prompt.

        Returns:
            The number of tokens.

        Raises:
            KimiError: The server was asked, and something went wrong.
        """
        if self.token_counting == "local":
            return len(self.get_token_ids(text))
        return self._count_at_server([{"role": "user", "content": text}])

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Sequence[Any] | None = None) -> int:
        """Count the prompt tokens of messages: text, thinking, tool calls and images.

        Works as `trim_messages(..., token_counter=model)`. With `token_counting="server"`, each count is a request. The
        hidden prompt of kimi-k3 and newer, about 80 tokens, is counted too: `max_tokens` has to have room for it.

        Args:
            messages: The messages. None at all are 0 tokens.
            tools: Functions, Pydantic classes, tools or declarations that go with them; always estimated, as the server
                counts no tools.

        Returns:
            The number of tokens of the prompt.

        Raises:
            KimiError: A message has no form in the API, or the server was asked, and something went wrong.
        """
        try:
            rendered = render_messages(messages)
        except KimiError as error:
            raise adapted(error) from error
        declared = [render_tool(tool) for tool in tools or ()]
        if self.token_counting == "local":
            return estimate_messages(rendered, self.model_name, declared)
        return self._count_at_server(rendered) + estimate_tools(declared)

    def _count_at_server(self, messages: list[dict[str, Any]]) -> int:
        try:
            return KimiPlatform.over(self._client.connection).count_tokens(messages, self.model_name)
        except KimiError as error:
            raise adapted(error) from error

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
                let go: where no call comes, the call raises `KimiToolChoiceError`, or `KimiRefusalError`.
            strict: Whether arguments are held to the schema; the server's default is True.
            kwargs: Any setting of a request, and `response_format`.

        Returns:
            A runnable that answers with an `AIMessage`.
        """
        formatted = [render_tool(tool, strict) for tool in tools]
        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=formatted, **kwargs)

    # Type checkers have no word for what a union, a `Literal` or an `Annotated` is made of. Each is a `Hashable`, as no
    # dict is; and to pyright a union is one of its classes, so it comes before those. Core has one signature for all.

    @overload  # type: ignore[override]
    def with_structured_output(
        self,
        schema: UnionType,
        *,
        method: StructuredMethod = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]: ...

    @overload
    def with_structured_output(
        self,
        schema: type[Output],
        *,
        method: StructuredMethod = "json_schema",
        include_raw: Literal[False] = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Output]: ...

    @overload
    def with_structured_output(
        self,
        schema: dict[str, Any] | None = None,
        *,
        method: StructuredMethod = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any]]: ...

    @overload
    def with_structured_output(
        self,
        schema: Hashable,
        *,
        method: StructuredMethod = "json_schema",
        include_raw: Literal[True],
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any]]: ...

    @overload
    def with_structured_output(
        self,
        schema: Hashable,
        *,
        method: StructuredMethod = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]: ...

    def with_structured_output(
        self,
        schema: Any = None,
        *,
        method: StructuredMethod = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
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
            A runnable that takes what the model takes. With `include_raw`, it gives the dict above. Type checkers know
            which class comes out; of a union, a `Literal` and the like they say Any.

        Raises:
            ValueError: `schema` is missing, or `method` is none of the three; at once. The runnable raises, unless
                `include_raw` is set, langchain-core's `OutputParserException` where an answer is cut, is no JSON or
                does not fit the schema, and core's `ModelRefusalError` where the model declined (`KimiRefusalError`)
                or the server's filter stopped it (`KimiContentFilterError`); and, with it too, `KimiToolChoiceError`
                where a forced call does not come, and whatever else `invoke` raises.
        """
        if method not in get_args(StructuredMethod):
            raise ValueError(f"method={method!r} is not one of {', '.join(get_args(StructuredMethod))}.")
        if schema is None and method != "json_mode":
            raise ValueError(f"with_structured_output needs a schema for method={method!r}.")
        if method == "json_schema" and not profile_asked(self._settings(), kwargs, self.base_url).json_schema:
            method = "function_calling"
        output = None if schema is None else read_schema(schema)
        parser = KimiOutputParser(output=output, from_tool=method == "function_calling")
        # LangSmith shows the schema beside the trace; langchain-core takes the argument out before it calls the model.
        if output is not None:
            # It cannot convert other types than classes on Python 3.13, nor a schema whose `type` is a list.
            odd = isinstance(schema, Mapping) and not isinstance(schema.get("type", ""), str)
            traced = output.form.tool if odd or get_origin(schema) is not None else schema
            kwargs["ls_structured_output_format"] = {"kwargs": {"method": method, "strict": strict}, "schema": traced}
        llm = self._bind_output(None if output is None else output.form, method, strict, kwargs)
        return with_raw(llm, parser) if include_raw else llm | parser

    def _bind_output(
        self, form: OutputForm | None, method: str, strict: bool | None, kwargs: dict[str, Any]
    ) -> Runnable[LanguageModelInput, AIMessage]:
        if form is None:
            return self.bind(response_format={"type": "json_object"}, **kwargs)
        if method == "function_calling":
            return self.bind_tools([form.tool], tool_choice=form.name, strict=strict, **kwargs)
        if method == "json_mode":
            llm = self.bind(response_format={"type": "json_object"}, **kwargs)
            return RunnableLambda(self._convert_input) | partial(describe_schema, form) | llm
        response_format = form.response_format
        if strict is not None:
            response_format["json_schema"]["strict"] = strict
        return self.bind(response_format=response_format, **kwargs)
