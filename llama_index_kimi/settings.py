"""What a `Kimi` is set up with: its fields, how they become requests, and how they are copied and stored."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, LLMMetadata
from llama_index.core.bridge.pydantic import ConfigDict, Field, PrivateAttr, SecretStr
from llama_index.core.llms.function_calling import FunctionCallingLLM

from kimi_wire import KimiMissingKeyError, KimiRequestError, KimiWarning, profile_for
from kimi_wire.endpoints import KimiClient
from kimi_wire.requests import Request, check_settings, render_request
from kimi_wire.settings import DEFAULT_MODEL, SETTINGS, merge_settings, split_options, suggest
from kimi_wire.transport import DEFAULT_MAX_RETRIES, resolve_api_key, resolve_base_url
from llama_index_kimi.convert import render_message

if TYPE_CHECKING:
    from typing_extensions import Self

# Of a model that no table knows. Memories and prompts are cut to this size, so that too small a number loses text in
# silence, where too large a one is an error that says so.
DEFAULT_CONTEXT_WINDOW = 131_072

_CONNECTING = threading.Lock()


class KimiSettings(FunctionCallingLLM):
    """The fields of `Kimi`, which documents them, and everything that needs no server."""

    model: str = Field(default=DEFAULT_MODEL, description="The model's id.")
    api_key: SecretStr | str | None = Field(default=None, description="The API key.", exclude=True, repr=False)
    api_base: str | None = Field(default=None, description="The API's root.")
    base_url: str | None = Field(default=None, description="The same, by its other name.", exclude=True, repr=False)
    thinking: bool | None = Field(default=None, description="Whether to think; None is the model's default.")
    reasoning_effort: str | None = Field(default=None, description="low, high or max; kimi-k3 family only.")
    preserve_thinking: bool | None = Field(default=None, description="Whether the model sees its earlier thinking.")
    missing_reasoning: str = Field(default="placeholder", description="placeholder, omit or error.")
    unanswered_tool_calls: str = Field(default="error", description="error or repair.")
    dialect: str = Field(default="auto", description="What the host speaks; auto goes by its address.")
    continue_on_length: int = Field(default=0, description="How often a cut answer is continued in Partial Mode.")
    resume_streams: int = Field(default=0, description="How often a broken stream is resumed in Partial Mode.")
    max_tokens: int | None = Field(default=None, description="Cap on the answer in tokens, thinking included.")
    temperature: float | None = Field(default=None, description="Sampling temperature.")
    top_p: float | None = Field(default=None, description="Nucleus sampling.")
    presence_penalty: float | None = Field(default=None, description="-2 to 2.")
    frequency_penalty: float | None = Field(default=None, description="-2 to 2.")
    logprobs: bool | None = Field(default=None, description="Whether to return log probabilities.")
    top_logprobs: int | None = Field(default=None, description="How many alternatives with them, 0 to 20.")
    stop: str | list[str] | None = Field(default=None, description="Up to 5 strings of at most 32 bytes.")
    prompt_cache_key: str | None = Field(default=None, description="Steers requests to the same cache.")
    safety_identifier: str | None = Field(default=None, description="A stable, hashed id of the end user.")
    remote_images: str = Field(default="error", description="error or download.")
    upload_media_over: int | None = Field(default=None, description="Upload larger images and videos, in bytes.")
    extra_body: dict[str, Any] | None = Field(default=None, description="Fields to put into the body as they are.")
    strict: bool = Field(default=False, description="Raise where a setting would be left out with a warning.")
    timeout: float | None = Field(default=None, description="Seconds; None is 60 to connect and 900 to read.")
    stream_idle_timeout: float | None = Field(default=None, description="Seconds of silence that break a stream.")
    max_retries: int = Field(default=DEFAULT_MAX_RETRIES, description="How often to try again.", ge=0)
    default_headers: dict[str, str] | None = Field(
        default=None, description="Headers for every request.", exclude=True, repr=False
    )
    http_client: Any = Field(default=None, description="HTTP client of synchronous calls.", exclude=True, repr=False)
    http_async_client: Any = Field(
        default=None, description="HTTP client of asynchronous calls.", exclude=True, repr=False
    )
    context_window: int | None = Field(default=None, description="Input and output, in tokens; None is the model's.")

    model_config = ConfigDict(hide_input_in_errors=True)  # pydantic would quote the arguments, keys among them

    _connection: tuple[dict[str, Any], KimiClient] | None = PrivateAttr(default=None)
    _warned: set[str] = PrivateAttr(default_factory=set)

    def __init__(self, model: str = DEFAULT_MODEL, **kwargs: Any) -> None:
        """Set the model up; nothing is sent. See the class for the arguments."""
        if isinstance(kwargs.get("api_key"), str):  # a traceback may be printed with its variables
            kwargs["api_key"] = SecretStr(kwargs["api_key"])
        base_url = kwargs.pop("base_url", None)
        kwargs["api_base"] = kwargs.get("api_base") or base_url
        fields = type(self).model_fields
        for name in sorted(kwargs.keys() - fields.keys()):
            _check_single(kwargs.get("n"))
            hint = "Give it with a call." if name in SETTINGS else suggest(name, fields)
            raise KimiRequestError(f"{name!r} is not an argument of {type(self).__name__}. {hint}")
        kwargs["api_key"] = SecretStr(resolve_api_key(plain_secret(kwargs.get("api_key"))))
        kwargs["api_base"] = resolve_base_url(kwargs.get("api_base"))
        super().__init__(model=model, **kwargs)
        check_settings(self._settings(), self.api_base or "")

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

    def _prepare(
        self, messages: Sequence[ChatMessage], call: Mapping[str, Any], *, stream: bool = False
    ) -> tuple[Request, dict[str, Any]]:
        """Render the request of a call, and its options for the client."""
        options, asked = split_options(call)
        settings, notices = merge_settings(self._settings(), asked)
        _check_single(settings.n)
        rendered = [render_message(message) for message in messages]
        request = render_request(settings, rendered, stream=stream, notices=notices, base_url=self.api_base or "")
        for notice in request.notices:
            if notice.setting not in self._warned:
                self._warned.add(notice.setting)
                warnings.warn(notice.message, KimiWarning, stacklevel=5)
        return request, options

    def _settings(self) -> dict[str, Any]:
        known = type(self).model_fields
        return {name: getattr(self, name) for name in SETTINGS if name in known}

    def _client(self) -> KimiClient:
        """The client for the fields as they are now: they can be assigned to."""
        options: dict[str, Any] = {
            "api_key": resolve_api_key(plain_secret(self.api_key)),
            "base_url": resolve_base_url(self.api_base),
            "timeout": self.timeout,
            "stream_idle_timeout": self.stream_idle_timeout,
            "max_retries": self.max_retries,
            "default_headers": dict(self.default_headers or {}),
            "http_client": self.http_client,
            "http_async_client": self.http_async_client,
        }
        with _CONNECTING:  # threads that begin together share one client, and what it uploaded
            if self._connection is None or self._connection[0] != options:
                self._connection = (options, KimiClient(**options))
            return self._connection[1]

    def __eq__(self, other: object) -> bool:
        """Whether both are set up alike; connections, callbacks and warnings given do not count."""
        if not isinstance(other, KimiSettings):
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
        bare = self.model_copy(update=dict.fromkeys(("api_key", "default_headers", "http_client", "http_async_client")))
        bare._connection = None
        state: dict[str, Any] = super(KimiSettings, bare).__getstate__()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come out of a pickle, with the environment's key.

        Without one, the first call raises and not this: a `multiprocessing.Pool` whose workers cannot read their tasks
        waits forever.
        """
        fields = dict(state["__dict__"])
        try:
            key = resolve_api_key(None)
        except KimiMissingKeyError:
            key = None
        self.__init__(**{**fields, "api_key": key or "missing"})  # type: ignore[misc]
        self.api_key = SecretStr(key) if key else None


def _check_single(n: int | None) -> None:
    if n not in (None, 1):
        raise KimiRequestError(f"n={n} asks for several answers; a response of LlamaIndex has one.")


def plain_secret(secret: SecretStr | str | None) -> str | None:
    """The text of what may be a secret or text."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
