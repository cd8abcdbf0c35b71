"""The words of the classes that people come from, and what becomes of each: one table. Pure.

Code written for `ChatOpenAI`, `MoonshotChat`, LlamaIndex's `OpenAI` or `OpenAILike` is taken as it is, as far as
it means something here. `docs/migrating.md` and the migrating notebook show the table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import shown


class Word(NamedTuple):
    """A word of another class.

    Attributes:
        of: The class.
        here: What it is called here; empty where there is nothing to say.
        spread: Its value is a mapping of settings, and of fields of the body.
        only: The one value that says what holds anyway; with any other one, `advice` is the error.
        advice: What to write here, where that is not just another name.
    """

    of: str
    here: str = ""
    spread: bool = False
    only: Any = None
    advice: str = ""


_LANGCHAIN, _LLAMA, _LIKE = "ChatOpenAI", "OpenAI (LlamaIndex)", "OpenAILike"
_SPREAD = "settings count as themselves, the rest goes into `extra_body`"
_WHOSE = "The key says whose request it is; a header of your own goes into default_headers."

WORDS: Mapping[str, Word] = {
    "model_name": Word(_LANGCHAIN, "model"),
    "max_completion_tokens": Word(_LANGCHAIN, "max_tokens"),
    "request_timeout": Word(_LANGCHAIN, "timeout"),
    "stop_sequences": Word(_LANGCHAIN, "stop"),
    "openai_api_key": Word(_LANGCHAIN, "api_key"),
    "moonshot_api_key": Word("MoonshotChat", "api_key"),
    "openai_api_base": Word(_LANGCHAIN, "base_url"),
    "api_base": Word(_LLAMA, "base_url"),
    "model_kwargs": Word(_LANGCHAIN, "extra_body", spread=True, advice=_SPREAD),
    "additional_kwargs": Word(_LLAMA, "extra_body", spread=True, advice=_SPREAD),
    "reasoning": Word(_LANGCHAIN, "reasoning_effort", advice='its `effort`: `reasoning_effort="low"`'),
    "stream_usage": Word(
        _LANGCHAIN,
        only=True,
        advice="Usage is always asked for; without it: extra_body={'stream_options': {'include_usage': False}}.",
    ),
    "disable_streaming": Word(
        _LANGCHAIN, only=False, advice="Call chat or complete in place of their streaming twins."
    ),
    "use_responses_api": Word(_LANGCHAIN, only=False, advice="Kimi has chat completions only; leave it out."),
    "openai_organization": Word(_LANGCHAIN, advice=_WHOSE),
    "organization": Word(_LANGCHAIN, advice=_WHOSE),
    "openai_proxy": Word(_LANGCHAIN, advice="Give http_client and http_async_client, httpx clients with that proxy."),
    "default_query": Word(
        _LANGCHAIN, advice="Give http_client and http_async_client, httpx clients with those params."
    ),
    "reuse_client": Word(
        _LLAMA, only=True, advice="An object keeps its client; for connections of your own give http_client."
    ),
    "is_chat_model": Word(_LIKE, only=True, advice="Every Kimi model is a chat model; leave it out."),
    "is_function_calling_model": Word(
        _LIKE, only=True, advice="The model's family says so; leave it out, and give no tools where none are wanted."
    ),
    "should_use_structured_outputs": Word(
        _LIKE, only=True, advice="The model's family says how objects are asked for; leave it out."
    ),
    "tokenizer": Word(
        _LIKE, advice="Give KimiTokenizer where LlamaIndex counts: Settings.tokenizer, a memory, a splitter."
    ),
}

SECRET = tuple(name for name, word in WORDS.items() if word.here == "api_key")
"""Those that hold a key."""

ADDRESSES = tuple(name for name, word in WORDS.items() if word.here == "base_url")
"""Those that hold an address."""


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
            _put(read, here, value, "thinking")
    for name in given:
        if name not in read and given[name] is not None:
            for here, value in _read_word(name, given[name], known).items():
                _put(read, here, value, name)
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
    """Settings among the values as themselves, everything else as fields of the body."""
    if not isinstance(value, Mapping):
        raise KimiRequestError(
            f"{name} must be a mapping of settings and fields of the body, not {type(value).__name__}."
        )
    found = read_words(value, known)
    settings = {key: one for key, one in found.items() if key in known}
    body = {key: one for key, one in found.items() if key not in known}
    return {**settings, "extra_body": {**body, **settings.get("extra_body", {})}} if body else settings


def _put(read: dict[str, Any], here: str, value: Any, name: str) -> None:
    before = read.get(here)
    if here == "extra_body" and isinstance(before, Mapping):
        read[here] = {**value, **before}
    elif before is None or before == value:
        read[here] = value
    else:
        raise KimiRequestError(f"{here} is given twice, the second time as (or in) {name}; give it once.")
