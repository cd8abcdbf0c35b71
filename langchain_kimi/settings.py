"""What a `ChatKimi` object holds: its settings, its key and host, and its connections."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal, cast

from langchain_core.language_models import BaseChatModel
from pydantic import ConfigDict, Field, PrivateAttr, SecretStr, field_validator, model_validator
from typing_extensions import Self

from kimi_wire import __version__
from kimi_wire.endpoints import KimiClient
from kimi_wire.requests import check_settings
from kimi_wire.settings import DEFAULT_MODEL, SETTINGS, suggest
from kimi_wire.transport import DEFAULT_MAX_RETRIES, resolve_api_key, resolve_base_url

_CONNECTING = threading.Lock()

_NOT_PICKLED = ("kimi_api_key", "default_headers", "http_client", "http_async_client")


class KimiSettings(BaseChatModel):
    """The fields of `ChatKimi`; not a model by itself."""

    model_name: str = Field(default=DEFAULT_MODEL, alias="model")
    """Model id. Families are known by pattern; ids that are not Kimi's are sent untouched."""

    kimi_api_key: SecretStr | str = Field(default=None, alias="api_key", validate_default=True)
    """API key, held as a `SecretStr` whatever was given; default: the environment's `MOONSHOT_API_KEY`, else
    `KIMI_API_KEY`."""

    base_url: str = Field(default=None, validate_default=True)
    """The API's root; default: the environment's `MOONSHOT_BASE_URL`, `MOONSHOT_API_BASE` or `KIMI_BASE_URL`, else
    `https://api.moonshot.ai/v1`."""

    thinking: bool | None = None
    """Whether to think; None is the model's default. Left out with a warning where the model has no switch."""

    reasoning_effort: str | None = None
    """`low`, `high` or `max`, kimi-k3 family only; the server's default is `max`. Changing it in the middle of a
    conversation loses the prefix cache."""

    preserve_thinking: bool | None = None
    """Whether the model sees its thinking of earlier turns again (`thinking.keep`). A choice on kimi-k2.6 only."""

    missing_reasoning: Literal["placeholder", "omit", "error"] = "placeholder"
    """What to do about a message with tool calls that has lost its thinking, where the model has refused such messages:
    send a space in its place, nothing, or raise."""

    unanswered_tool_calls: Literal["error", "repair"] = "error"
    """What to do about a tool call in the history that nobody answered: raise, or answer it with an error."""

    dialect: str = "auto"
    """What the host speaks: `moonshot`, `vllm`, `sglang`, `openrouter`, or `openai` for one that refuses all fields but
    OpenAI's. `auto` is `moonshot`, but for hosts that are known by their address."""

    continue_on_length: int = 0
    """How often an answer cut by its token limit is continued in Partial Mode; it comes back as one answer."""

    resume_streams: int = 0
    """How often a stream that broke off is resumed in Partial Mode, where it stopped."""

    max_tokens: int | None = Field(default=None, alias="max_completion_tokens")
    """Cap on the answer in tokens, thinking included."""

    temperature: float | None = None
    """Sampling temperature; sent only where the model takes it."""

    top_p: float | None = None
    """Nucleus sampling; sent only where the model takes it."""

    n: int | None = None
    """Number of answers; more than one on moonshot-v1 and kimi-k2 only, and not streamed."""

    presence_penalty: float | None = None
    """-2 to 2; sent only where the model takes it."""

    frequency_penalty: float | None = None
    """-2 to 2; sent only where the model takes it."""

    logprobs: bool | None = None
    """Whether to return log probabilities; sent only where the model takes it."""

    top_logprobs: int | None = None
    """How many alternatives to return with them, 0 to 20."""

    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    """Up to 5 strings of at most 32 bytes each, at which the answer ends."""

    prompt_cache_key: str | None = None
    """An id of the session: requests with the same one find the same prefix cache."""

    safety_identifier: str | None = None
    """A stable, hashed id of the end user."""

    remote_images: Literal["error", "download"] = "error"
    """What to do about images and videos given as http(s) URLs, which Kimi does not fetch: raise, or fetch them from
    here (public addresses only, 100 MB and 60 s for all of a request, no proxy) and send the bytes."""

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

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_arguments(cls, values: Any) -> Any:
        known = {name for field, info in cls.model_fields.items() for name in (field, info.alias) if name}
        for name in values if isinstance(values, dict) else ():
            if name not in known:
                raise ValueError(f"{name!r} is not an argument of {cls.__name__}. {suggest(name, known)}")
        return values

    @field_validator("kimi_api_key", mode="before")
    @classmethod
    def _resolve_api_key(cls, value: Any) -> SecretStr:
        try:
            return SecretStr(resolve_api_key(value.get_secret_value() if isinstance(value, SecretStr) else value))
        finally:
            value = None  # a traceback may be printed with its variables

    @field_validator("base_url", mode="before")
    @classmethod
    def _resolve_base_url(cls, value: str | None) -> str:
        return resolve_base_url(value)

    @model_validator(mode="after")
    def _check_settings(self) -> Self:
        """Refuse at construction what every request would be refused for."""
        check_settings(self._settings(), self.base_url)
        return self

    @model_validator(mode="after")
    def _set_kimi_version(self) -> Self:
        self._add_version("kimi-adapters", __version__)
        return self

    # Pickling, for process pools and the like: secrets stay behind, the other process has the environment's key.

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        kept = {name: value for name, value in state["__dict__"].items() if name not in _NOT_PICKLED}
        return {**state, "__dict__": kept, "__pydantic_private__": {"_connection": None, "_warned": set()}}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        """Come out of a pickle, without a key: that is found with the first call.

        Where there is none that call raises, and not this: a `multiprocessing.Pool` whose workers cannot read their
        tasks waits forever.
        """
        super().__setstate__({**state, "__dict__": {**state["__dict__"], **dict.fromkeys(_NOT_PICKLED)}})

    @property
    def _client(self) -> KimiClient:
        if self.kimi_api_key is None:
            self.kimi_api_key = SecretStr(resolve_api_key(None))
        arguments = {
            "api_key": cast("SecretStr", self.kimi_api_key).get_secret_value(),
            "base_url": self.base_url,
            "timeout": self.timeout,
            "stream_idle_timeout": self.stream_idle_timeout,
            "max_retries": self.max_retries,
            "default_headers": self.default_headers,
            "http_client": self.http_client,
            "http_async_client": self.http_async_client,
        }
        with _CONNECTING:  # threads that begin together share one client, and what it uploaded
            if self._connection is None or self._connection[0] != arguments:  # a `model_copy` may have changed them
                self._connection = arguments, KimiClient(**arguments)
            return self._connection[1]

    def _settings(self) -> dict[str, Any]:
        """The settings of the constructor, by the names of `kimi_wire.settings.Settings`."""
        known = type(self).model_fields
        own = {name: getattr(self, name) for name in SETTINGS if name in known}
        return {**own, "model": self.model_name}
