"""What a caller can ask of a request: the settings, where they come from, and names that are nobody's. Pure.

Deliberately absent: the fields of `ChatKimi` and `Kimi`, made of this table. Editors, type checkers and documentation
read them in the source; a test compares them instead.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from kimi_wire.borrowed import LEFT_OUT, WORDS, read_words
from kimi_wire.errors import KimiRequestError
from kimi_wire.hosts import Dialect
from kimi_wire.kinds import COUNT, NUMBER, OBJECT, OBJECTS, SWITCH, TEXT, TEXTS, Kind, check_kind, check_options
from kimi_wire.profiles import CACHE_TTLS, CacheTTL, Effort

DEFAULT_MODEL = "kimi-k3"

MissingReasoning = Literal["placeholder", "omit", "error"]
UnansweredToolCalls = Literal["warn", "error", "repair"]
EmptyAnswers = Literal["warn", "retry", "error"]
RemoteImages = Literal["error", "download"]

CHOICES: Mapping[str, tuple[str, ...]] = {
    "missing_reasoning": get_args(MissingReasoning),
    "unanswered_tool_calls": get_args(UnansweredToolCalls),
    "empty_answers": get_args(EmptyAnswers),
    "remote_images": get_args(RemoteImages),
    "prompt_cache_ttl": CACHE_TTLS,
}
"""What a setting may be that says how a conversation, or its answer, is treated."""

_PLAIN_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)

# Names of the constructors that no single call can change.
_OF_THE_OBJECT = frozenset(
    {
        "api_base",
        "api_key",
        "base_url",
        "context_window",
        "default_headers",
        "http_async_client",
        "http_client",
        "kimi_api_key",
        "stream_idle_timeout",
        "streaming",
        "token_counting",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What a caller asks of one request; None is "not asked". Both adapters take every one of these per call.

    Attributes:
        model: The model's id.
        thinking: Whether to think; None is the model's default.
        reasoning_effort: `low`, `high` or `max`; kimi-k3 and newer only.
        preserve_thinking: Whether the model sees its reasoning of earlier turns (`thinking.keep`).
        missing_reasoning: See `kimi_wire.requests.messages.fill_missing_reasoning`; None is `placeholder` for
            models and hosts that have refused to go on without, and else `omit`.
        unanswered_tool_calls: See `kimi_wire.requests.messages.render_messages`.
        dialect: What the host speaks: `auto`, or a name of `kimi_wire.hosts.HOSTS`.
        prefix: The beginning of the answer, which goes on from there (Partial Mode); the answer has it at its front.
        prefix_name: Who speaks, for role play: a name for the answer's beginning.
        continue_on_length: How often an answer cut by its token limit is continued in Partial Mode.
        resume_streams: How often a stream that broke off is resumed in Partial Mode; before its text, it is begun anew.
        empty_answers: What to do about an answer with neither text nor a tool call, such as one that is only thinking:
            `warn`; `retry` asks again, up to `max_retries` times, and then raises; `error` raises at once.
        max_tokens: Cap on the answer, thinking included, in tokens.
        temperature: Sampling temperature.
        top_p: Nucleus sampling.
        n: Number of answers.
        presence_penalty: -2 to 2.
        frequency_penalty: -2 to 2.
        logprobs: Whether to return log probabilities.
        top_logprobs: How many alternatives with them, 0 to 20.
        stop: Up to 5 strings of at most 32 bytes.
        tools: Tool declarations in the API's form.
        tool_choice: See `kimi_wire.requests.tools.parse_tool_choice`.
        parallel_tool_calls: Whether an answer may have several tool calls, for hosts that keep to it (vLLM, SGLang).
        response_format: `{"type": "json_object"}`, or `json_schema` with its schema.
        prompt_cache_key: Steers requests of one session to the same cache.
        prompt_cache_ttl: How long the cache is to keep what this request writes to it: `5m` or `1h`; kimi-k3 and newer
            only. None is what cache points in the messages ask for, else the server's own five minutes.
        safety_identifier: A stable, hashed id of the end user.
        remote_images: What to do about images and videos given as URLs of the web, which Kimi does not fetch: `error`
            raises, `download` fetches them (`kimi_wire.media.download`).
        upload_media_over: Images and videos of more than so many bytes are uploaded once, and then referred to; None
            sends all of them with each request.
        extra_body: Fields to put into the body as they are, over everything else.
        strict: Raise where a setting would be left out with a warning.
    """

    model: str = DEFAULT_MODEL
    thinking: bool | None = None
    reasoning_effort: Effort | None = None
    preserve_thinking: bool | None = None
    missing_reasoning: MissingReasoning | None = None
    unanswered_tool_calls: UnansweredToolCalls = "warn"
    dialect: Dialect = "auto"
    prefix: str | None = None
    prefix_name: str | None = None
    continue_on_length: int = 0
    resume_streams: int = 0
    empty_answers: EmptyAnswers = "warn"
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    stop: str | Sequence[str] | None = None
    tools: Sequence[Mapping[str, Any]] | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    response_format: Mapping[str, Any] | None = None
    prompt_cache_key: str | None = None
    prompt_cache_ttl: CacheTTL | None = None
    safety_identifier: str | None = None
    remote_images: RemoteImages = "error"
    upload_media_over: int | None = None
    extra_body: Mapping[str, Any] | None = None
    strict: bool = False


SETTINGS = tuple(item.name for item in fields(Settings))
"""Names of all settings. An adapter's constructor has a field for each but those of a single call, of the same type and
default, with a docstring; tests/test_both_adapters.py compares them, and the README's table, with this one."""

OF_A_CALL = frozenset({"prefix", "prefix_name", "tools", "tool_choice", "parallel_tool_calls", "response_format"})
"""The settings that single calls have, and no model object."""

# A call's own options for the SDK: the caller's name, the SDK's name.
_CALL_OPTIONS = {"timeout": "timeout", "max_retries": "max_retries", "extra_headers": "headers"}

_NAMES = frozenset((*SETTINGS, *_CALL_OPTIONS, *_OF_THE_OBJECT, *LEFT_OUT))
"""What a call can give, or is told where it belongs, or goes out without."""

_ALIASES = {name: word.here for name, word in WORDS.items() if word.here in SETTINGS and not word.advice}

_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("model", "missing_reasoning", "unanswered_tool_calls", "empty_answers", "dialect"), TEXT),
    **dict.fromkeys(("prefix", "prefix_name", "prompt_cache_key", "prompt_cache_ttl"), TEXT),
    **dict.fromkeys(("safety_identifier", "remote_images"), TEXT),
    **dict.fromkeys(("thinking", "preserve_thinking", "logprobs", "parallel_tool_calls", "strict"), SWITCH),
    **dict.fromkeys(("continue_on_length", "resume_streams"), COUNT),
    **dict.fromkeys(("max_tokens", "n", "top_logprobs", "upload_media_over"), COUNT),
    **dict.fromkeys(("temperature", "top_p", "presence_penalty", "frequency_penalty"), NUMBER),
    **dict.fromkeys(("response_format", "extra_body"), OBJECT),
    "stop": TEXTS,
    "tools": OBJECTS,
}
"""Of each setting but `tool_choice`, which has many forms: `kimi_wire.requests.tools.parse_tool_choice` reads them."""


def rename_settings(call: Mapping[str, Any]) -> dict[str, Any]:
    """What one call gives, with the settings under their own names.

    Raises:
        KimiRequestError: A word of another class that means nothing here.
    """
    return read_words(call, _NAMES)


@dataclass(frozen=True, slots=True)
class Notice:
    """A setting that was left out, and why.

    Attributes:
        setting: The setting's name: a model object warns about each once.
        message: One sentence for the caller.
    """

    setting: str
    message: str


def split_options(call: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part what one call gives into options for the SDK (`timeout`, `max_retries`, `headers`) and settings.

    Raises:
        KimiRequestError: A timeout or a number of retries is none.
    """
    check_options(call)
    options = {name: call[given] for given, name in _CALL_OPTIONS.items() if call.get(given) is not None}
    return options, {name: value for name, value in call.items() if name not in _CALL_OPTIONS}


def merge_settings(base: Mapping[str, Any], call: Mapping[str, Any]) -> tuple[Settings, list[Notice]]:
    """Lay the settings of one call over those of the model object.

    Args:
        base: The model object's settings.
        call: The call's; None means "not given here".

    Returns:
        The settings, and a notice for each one that is not Kimi's.

    Raises:
        KimiRequestError: A name that is nobody's, most likely mistyped, or one of the model object's alone; a value of
            another kind than the setting has.
    """
    merged = dict(base)
    notices = []
    for given, value in call.items():
        name = _ALIASES.get(given, given)
        if value is None:
            continue
        if name in SETTINGS:
            merged[name] = value
        elif name in LEFT_OUT:
            notices.append(Notice(name, f"{name} is left out of the request. {WORDS[name].advice}"))
        elif name in _OF_THE_OBJECT:
            raise KimiRequestError(f"{given!r} cannot be given with a call. It belongs to the model object.")
        else:
            raise KimiRequestError(f"{given!r} is not a setting. {suggest(given, (*SETTINGS, *_ALIASES))}")
    for name, kind in _KINDS.items():
        if (value := merged.get(name)) is not None:
            check_kind(name, value, kind)
    return Settings(**merged), notices


def suggest(name: str, known: Iterable[str]) -> str:
    """What to do about a name that is no argument of a constructor: it may be of a call, of others, or mistyped."""
    if name in SETTINGS or name in _CALL_OPTIONS:
        return "Give it with a call."
    close = difflib.get_close_matches(name, list(known), n=1)
    if close:
        return f"Did you mean {close[0]!r}?"
    return f"To send it to the server as it is: extra_body={{{name!r}: ...}}."


def cache_key_of(session: str) -> str:
    """The `prompt_cache_key` of a session or a thread, whatever its id looks like.

    Args:
        session: The id.

    Returns:
        The id, or 32 digits of its hash where it is long or has other characters than letters, digits and ".:_-", such
        as an address.
    """
    if _PLAIN_ID.fullmatch(session):
        return session
    return hashlib.sha256(session.encode("utf-8", "surrogatepass")).hexdigest()[:32]
