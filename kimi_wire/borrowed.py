"""The words of the classes that people come from, and what becomes of each: one table. Pure.

Code written for `ChatOpenAI`, `ChatMoonshot`, `ChatDeepSeek`, or LlamaIndex's `OpenAI`, `OpenAILike` or `DeepSeek` is
taken as it is, as far as it means something here, in the constructor and with a call. `docs/migrating.md` shows the
table, beside the names that are the same here; tests/peers.py has all names of those classes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import shown


class Word(NamedTuple):
    """A word of another class.

    Attributes:
        of: The class, or the framework.
        here: What it is called here; empty where there is nothing to say.
        spread: Its value is a mapping of settings, and of fields of the body.
        only: The one value that says what holds anyway; with any other one, `advice` is the error.
        left_out: A field of OpenAI's body that is none of Kimi's. Moonshot's server ignores most of them, stricter
            hosts refuse the whole request ("Extra inputs are not permitted, field: '...'"), logit_bias is a 400
            everywhere. A call goes out without it, with a warning; in a constructor it is an error.
        advice: What to write here, where that is not just another name; it is said in errors and warnings.
    """

    of: str
    here: str = ""
    spread: bool = False
    only: Any = None
    left_out: bool = False
    advice: str = ""


_LANGCHAIN, _LLAMA, _LIKE = "ChatOpenAI", "OpenAI (LlamaIndex)", "OpenAILike"
_OPENAI, _CHAIN, _INDEX = "OpenAI's API", "LangChain", "LlamaIndex"
_SPREAD = "settings count as themselves, the rest goes into `extra_body`"
_WHOSE = "The key says whose request it is; a header of your own goes into default_headers."
_CLIENTS = "Give http_client and http_async_client, httpx clients with "
_OWN_CLIENT = "An object has a client of its own; for connections of yours give http_client and http_async_client."
_CHAT = "Kimi has chat completions only; leave it out."
_NONE = "Kimi has no such setting."
_TEXT = "Kimi answers in text alone."
_USAGE = "Usage is always asked for; without it: extra_body={'stream_options': {'include_usage': False}}."
_TTL = "How long the cache keeps a request is prompt_cache_ttl='5m' or '1h'."
_CONFIG = "ChatKimi's constructor takes it, and a call's config."
_FIELD = "ChatKimi's constructor takes it."
_LLM = "Kimi's constructor takes it; in LangChain a prompt template comes before the model."
_TO_HOSTS = "To send it to such a host: extra_body={'%s': ...}."

WORDS: Mapping[str, Word] = {
    # By another name.
    "model_name": Word(_LANGCHAIN, "model"),
    "max_completion_tokens": Word(_LANGCHAIN, "max_tokens"),
    "max_new_tokens": Word(_LLAMA, "max_tokens"),
    "request_timeout": Word(_LANGCHAIN, "timeout"),
    "stream_chunk_timeout": Word(_LANGCHAIN, "stream_idle_timeout"),
    "stop_sequences": Word(_LANGCHAIN, "stop"),
    "openai_api_key": Word(_LANGCHAIN, "api_key"),
    "moonshot_api_key": Word("MoonshotChat", "api_key"),
    "openai_api_base": Word(_LANGCHAIN, "base_url"),
    "api_base": Word(_LLAMA, "base_url"),
    "async_http_client": Word(_LLAMA, "http_async_client"),
    "reasoning": Word(_LANGCHAIN, "reasoning_effort", advice='its `effort`: `reasoning_effort="low"`'),
    "model_kwargs": Word(_LANGCHAIN, "extra_body", spread=True, advice=_SPREAD),
    "additional_kwargs": Word(_LLAMA, "extra_body", spread=True, advice=_SPREAD),
    "strict": Word(_LIKE, "strict", advice="something else: to raise where a setting would be left out with a warning"),
    # One value means what holds anyway.
    "stream_usage": Word(_LANGCHAIN, only=True, advice=_USAGE),
    "disable_streaming": Word(
        _LANGCHAIN, only=False, advice="Call chat or complete in place of their streaming twins."
    ),
    "use_responses_api": Word(_LANGCHAIN, only=False, advice=_CHAT),
    "use_previous_response_id": Word(_LANGCHAIN, only=False, advice=_CHAT),
    "use_chat_completions": Word(_LLAMA, only=True, advice=_CHAT),
    "include_response_headers": Word(
        _LANGCHAIN, only=False, advice="The request's id is kept as request_id, other headers are not."
    ),
    "reuse_client": Word(_LLAMA, only=True, advice=_OWN_CLIENT),
    "is_chat_model": Word(_LIKE, only=True, advice="Every Kimi model is a chat model; leave it out."),
    "is_function_calling_model": Word(
        _LIKE, only=True, advice="The model's family says so; leave it out, and give no tools where none are wanted."
    ),
    "should_use_structured_outputs": Word(
        _LIKE, only=True, advice="The model's family says how objects are asked for; leave it out."
    ),
    # Fields of OpenAI's body.
    "seed": Word(_OPENAI, left_out=True, advice="Kimi has no reproducible sampling."),
    "user": Word(_OPENAI, left_out=True, advice="Use safety_identifier."),
    "logit_bias": Word(_OPENAI, left_out=True, advice="The server refuses it."),
    "functions": Word(_OPENAI, left_out=True, advice="Use tools."),
    "function_call": Word(_OPENAI, left_out=True, advice="Use tool_choice."),
    "stream_options": Word(_OPENAI, left_out=True, advice=_USAGE),
    "prompt_cache_options": Word(_OPENAI, left_out=True, advice=_TTL),
    "prompt_cache_retention": Word(_OPENAI, left_out=True, advice=_TTL),
    "web_search_options": Word(
        _OPENAI, left_out=True, advice="Give it the tool KimiWebSearch or KimiWebSearchToolSpec."
    ),
    "modalities": Word(_OPENAI, left_out=True, advice=_TEXT),
    "audio": Word(_OPENAI, left_out=True, advice=_TEXT),
    "service_tier": Word(_OPENAI, left_out=True, advice=_NONE),
    "store": Word(_OPENAI, left_out=True, advice=_NONE),
    "metadata": Word(_OPENAI, left_out=True, advice=_NONE),
    "verbosity": Word(_OPENAI, left_out=True, advice=_NONE),
    "prediction": Word(_OPENAI, left_out=True, advice=_NONE),
    "moderation": Word(_OPENAI, left_out=True, advice=_NONE),
    # What means nothing here.
    "openai_organization": Word(_LANGCHAIN, advice=_WHOSE),
    "organization": Word(_LANGCHAIN, advice=_WHOSE),
    "openai_proxy": Word(_LANGCHAIN, advice=f"{_CLIENTS}that proxy."),
    "default_query": Word(_LANGCHAIN, advice=f"{_CLIENTS}those params."),
    "extra_query": Word(_OPENAI, advice=f"{_CLIENTS}those params."),
    "http_socket_options": Word(_LANGCHAIN, advice=f"{_CLIENTS}those socket options."),
    "client": Word(_LANGCHAIN, advice=_OWN_CLIENT),
    "async_client": Word(_LANGCHAIN, advice=_OWN_CLIENT),
    "root_client": Word(_LANGCHAIN, advice=_OWN_CLIENT),
    "root_async_client": Word(_LANGCHAIN, advice=_OWN_CLIENT),
    "openai_client": Word(_LLAMA, advice=_OWN_CLIENT),
    "async_openai_client": Word(_LLAMA, advice=_OWN_CLIENT),
    "disabled_params": Word(_LANGCHAIN, advice="What a model does not take is left out anyway; leave it out."),
    "tiktoken_model_name": Word(_LANGCHAIN, advice="Tokens are counted without tiktoken; leave it out."),
    "context_management": Word(_LANGCHAIN, advice=_CHAT),
    "include": Word(_LANGCHAIN, advice=_CHAT),
    "truncation": Word(_LANGCHAIN, advice=_CHAT),
    "previous_response_id": Word(_LANGCHAIN, advice=_CHAT),
    "api_version": Word(_LLAMA, advice="The API has one version, at the end of its base_url; leave it out."),
    "audio_config": Word(_LLAMA, advice=_TEXT),
    "tokenizer": Word(
        _LIKE, advice="Give KimiTokenizer where LlamaIndex counts: Settings.tokenizer, a memory, a splitter."
    ),
    "stream": Word(_OPENAI, advice="Call stream, in LlamaIndex stream_chat or stream_complete."),
    # Every chat model of the one framework has it, and none of the other's.
    "name": Word(_CHAIN, advice="ChatKimi's constructor takes it; with a call it is config={'run_name': ...}."),
    "callbacks": Word(_CHAIN, advice=f"{_CONFIG} In LlamaIndex it is callback_manager."),
    "tags": Word(_CHAIN, advice=_CONFIG),
    "cache": Word(_CHAIN, advice=_FIELD),
    "verbose": Word(_CHAIN, advice=_FIELD),
    "profile": Word(_CHAIN, advice=f"{_FIELD} In LlamaIndex there is context_window."),
    "output_version": Word(_CHAIN, advice=f"{_FIELD} LlamaIndex's messages have blocks anyway."),
    "custom_get_token_ids": Word(_CHAIN, advice=f"{_FIELD} LlamaIndex counts with Settings.tokenizer."),
    "streaming": Word(_CHAIN, advice=f"{_FIELD} In LlamaIndex call stream_chat or stream_complete."),
    "rate_limiter": Word(f"{_CHAIN} and {_INDEX}", advice="Both constructors take it; no call does."),
    "callback_manager": Word(_INDEX, advice="Kimi's constructor takes it; in LangChain it is callbacks."),
    "system_prompt": Word(_INDEX, advice="Kimi's constructor takes it; in LangChain it is the first message."),
    "query_wrapper_prompt": Word(_INDEX, advice=_LLM),
    "messages_to_prompt": Word(_INDEX, advice=_LLM),
    "completion_to_prompt": Word(_INDEX, advice=_LLM),
    "output_parser": Word(_INDEX, advice="Kimi's constructor takes it; in LangChain it comes after the model."),
    "pydantic_program_mode": Word(
        _INDEX, advice="Kimi's constructor takes it; LangChain has with_structured_output(method=...)."
    ),
    "context_window": Word(_INDEX, advice="Kimi's constructor takes it; ChatKimi says it in profile."),
    # What servers of open weights take beside OpenAI's fields, and Moonshot's does not.
    **{
        name: Word("vLLM and SGLang", advice=_TO_HOSTS % name)
        for name in ("top_k", "min_p", "repetition_penalty", "chat_template_kwargs")
    },
}

_OF_THE_SDK = {
    "extra_headers": "A constructor has default_headers, a call extra_headers.",
    "extra_query": WORDS["extra_query"].advice,
}
"""Arguments of the openai SDK's beside the fields of the body, which those classes hand on to it."""

SECRET = tuple(name for name, word in WORDS.items() if word.here == "api_key")
"""Those that hold a key."""

ADDRESSES = tuple(name for name, word in WORDS.items() if word.here == "base_url")
"""Those that hold an address."""

LEFT_OUT = tuple(name for name, word in WORDS.items() if word.left_out)
"""Those that a call goes out without."""

NO_SETTINGS = frozenset(name for name, word in WORDS.items() if not (word.here or word.spread))
"""Those that no setting comes of."""


def read_words(given: Mapping[str, Any], known: Collection[str]) -> dict[str, Any]:
    """What was given to a constructor or to a call, in this project's words; other names stay as they are.

    Args:
        given: Names and values; not changed.
        known: The receiver's own names, which mean what they mean there.

    Raises:
        KimiRequestError: A word means nothing here, and the message says what to write; or one thing is given twice.
    """
    read = {name: value for name, value in given.items() if name in known or name not in WORDS}
    if isinstance(read.get("thinking"), Mapping):
        for here, value in _read_thinking(read.pop("thinking")).items():
            put(read, here, value, "thinking")
    for name in given:
        if name not in read and given[name] is not None:
            for here, value in _read_word(name, given[name], known).items():
                put(read, here, value, name)
    return read


def _read_word(name: str, value: Any, known: Collection[str]) -> dict[str, Any]:
    word = WORDS[name]
    if word.spread:
        return _spread(name, value, known)
    if name == "reasoning":
        if isinstance(value, Mapping) and {*value} <= {"effort", "summary"} and value.get("summary") is None:
            return {"reasoning_effort": value["effort"]} if value.get("effort") is not None else {}
        raise KimiRequestError(
            f"reasoning={shown(value)} means nothing here. Write reasoning_effort='low', 'high' or 'max'."
        )
    if word.here:
        return {word.here: value}
    if word.only is None:
        raise KimiRequestError(f"{name} is a word of {word.of}. {word.advice}")
    if value is not word.only:
        raise KimiRequestError(f"{name}={shown(value)} means nothing here. {word.advice}")
    return {}


def _read_thinking(thinking: Mapping[str, Any]) -> dict[str, Any]:
    """The API's own `thinking` object (https://platform.kimi.ai/docs/guide/use-thinking-models), as settings."""
    kind, keep = thinking.get("type"), thinking.get("keep")
    if kind not in ("enabled", "disabled") or keep not in (None, "all") or set(thinking) - {"type", "keep"}:
        raise KimiRequestError(
            f"thinking={shown(thinking)} is no switch. Write thinking=True or False, and preserve_thinking=True for "
            "keep='all'; other fields go into extra_body."
        )
    return {"thinking": kind == "enabled", **({"preserve_thinking": True} if keep else {})}


def _spread(name: str, value: Any, known: Collection[str]) -> dict[str, Any]:
    """Settings among the values as themselves, everything else as fields of the body, whatever it means elsewhere."""
    if not isinstance(value, Mapping):
        raise KimiRequestError(
            f"{name} must be a mapping of settings and fields of the body, not {type(value).__name__}."
        )
    settings = {key: one for key, one in value.items() if _is_setting(key, known)}
    body = {key: one for key, one in value.items() if key not in settings}
    for key in _OF_THE_SDK.keys() & body:
        raise KimiRequestError(f"{key} in {name} is no field of the body. {_OF_THE_SDK[key]}")
    settings = read_words(settings, known)
    if body:
        put(settings, "extra_body", body, name)
    return settings


def _is_setting(name: str, known: Collection[str]) -> bool:
    word = WORDS.get(name)
    if word is None:
        return name in known
    return not word.left_out and (name in known or bool(word.here) or word.only is not None)


def put(read: dict[str, Any], here: str, value: Any, name: str) -> None:
    """Add what is given by another name.

    Args:
        read: What is given; changed.
        here: Its name here.
        value: Its value.
        name: The other name.

    Raises:
        KimiRequestError: It is given already, and is something else; fields of the body that are, stay.
    """
    before = read.get(here)
    if here == "extra_body" and isinstance(before, Mapping):
        read[here] = {**value, **before}
    elif before is None or before == value:
        read[here] = value
    else:
        raise KimiRequestError(f"{here} is given twice, the second time as (or in) {name}; give it once.")
