"""Token counts and the prefix cache.

Counts are an estimate, not Moonshot's tokenizer: a quarter token per ASCII character, three quarters per other
character, four tokens around each message. Good enough to be plausible, and the same on every run.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .families import Family

_PER_MESSAGE = 4
_PER_MEDIA = 64
_JSON_MODE_PROMPT = 47
_CACHE_BLOCK = 256
CACHE_SECONDS = {"5m": 300.0, "1h": 3600.0}
_MOST_KNOWN = 100_000  # beginnings of prompts; the oldest are forgotten


def count(text: str) -> int:
    """Estimate the tokens of a text."""
    plain = len(text.encode("ascii", "ignore"))
    return (plain + 3 * (len(text) - plain) + 3) // 4


def cut(text: str, tokens: int) -> str:
    """Return the longest beginning of a text that has at most so many tokens."""
    quarters = 0
    for position, char in enumerate(text):
        quarters += 1 if char < "\x80" else 3
        if quarters > 4 * tokens:
            return text[:position]
    return text


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _count_content(content: Any) -> int:
    if isinstance(content, str):
        return count(content)
    if not isinstance(content, Sequence):
        return 0
    parts = [part for part in content if isinstance(part, Mapping)]
    return sum(count(str(part.get("text") or "")) if part.get("type") == "text" else _PER_MEDIA for part in parts)


def count_message(message: Any) -> int:
    """Estimate the prompt tokens of one message: text, reasoning, tool calls and tools, not the bytes of media.

    The name of a partial message counts, as it is a part of the prefix.
    """
    if not isinstance(message, Mapping):
        return _PER_MESSAGE
    extras = [message[key] for key in ("tool_calls", "tools") if message.get(key)]
    texts = [message.get("reasoning_content"), message.get("name") if message.get("partial") is True else None]
    return (
        _PER_MESSAGE
        + _count_searches(message)
        + _count_content(message.get("content"))
        + sum(count(text) for text in texts if isinstance(text, str))
        + sum(count(_dump(extra)) for extra in extras)
    )


def _count_searches(message: Mapping[str, Any]) -> int:
    """Count what `$web_search` found, as its arguments say: 7946 of 8182 prompt tokens in recorded traffic."""
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    found = 0
    for function in functions:
        if isinstance(function, Mapping) and function.get("name") == "$web_search":
            try:
                found += max(int(json.loads(function["arguments"])["usage"]["total_tokens"]), 0)
            except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
                continue
    return found


def count_preamble(body: Mapping[str, Any], family: Family) -> int:
    """Estimate what comes before the messages: the server's own prompt, the tools and the hint of JSON mode."""
    response_format = body.get("response_format")
    json_mode = isinstance(response_format, Mapping) and response_format.get("type") == "json_object"
    tools = count(_dump(body["tools"])) if body.get("tools") else 0
    return family.hidden_prompt + tools + (_JSON_MODE_PROMPT if json_mode else 0)


def count_prompt(body: Mapping[str, Any], family: Family) -> int:
    """Estimate the prompt tokens of a chat request."""
    return count_preamble(body, family) + sum(map(count_message, _messages(body)))


def _messages(body: Mapping[str, Any]) -> list[Any]:
    messages = body.get("messages")
    return messages if isinstance(messages, list) else []


@dataclass(frozen=True)
class _Prefix:
    digest: str
    tokens: int


class PromptCache:
    """Remembers prompts, to report cached tokens the way the API does.

    A repeated prompt is cached as a whole. One that shares its first messages with an earlier one is cached in
    blocks of 256 tokens. Another model, other tools or another effort share nothing
    (https://platform.kimi.ai/docs/guide/use-context-caching-feature-of-kimi-api).

    What is known is forgotten after five minutes, or an hour where the request asks for that; each hit begins the time
    anew (MoonshotAI/kimi-code#3942).

    Attributes:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty."""
        self.clock = clock
        self._lock = threading.Lock()
        self._prefixes: dict[str, float] = {}
        self._prompts: dict[str, float] = {}

    def clear(self) -> None:
        """Forget every prompt."""
        with self._lock:
            self._prefixes.clear()
            self._prompts.clear()

    def remember(self, body: Mapping[str, Any], family: Family) -> tuple[int, int]:
        """Return how many tokens of a prompt are read from the cache and written to it; remember the prompt."""
        prefixes = _prefixes(body, family)
        if not prefixes:
            return 0, 0
        lifetime = _lifetime(body, family)
        with self._lock:
            now = self.clock()
            whole = prefixes[-1]
            shared = max((one.tokens for one in prefixes if self._prefixes.get(one.digest, 0) > now), default=0)
            whole_is_known = self._prompts.get(whole.digest, 0) > now
            cached = whole.tokens if whole_is_known else shared // _CACHE_BLOCK * _CACHE_BLOCK
            for known, digests in ((self._prompts, [whole.digest]), (self._prefixes, [one.digest for one in prefixes])):
                known.update({digest: max(now + lifetime, known.get(digest, 0)) for digest in digests})
            for known in (self._prompts, self._prefixes):
                for digest in list(itertools.islice(known, max(len(known) - _MOST_KNOWN, 0))):
                    del known[digest]
        written = whole.tokens // _CACHE_BLOCK * _CACHE_BLOCK - cached if family.bills_writes else 0
        return cached, max(written, 0)


def _lifetime(body: Mapping[str, Any], family: Family) -> float:
    """How long a request's prompt is kept, in seconds."""
    options = body.get("prompt_cache_options")
    ttl = options.get("ttl") if family.bills_writes and isinstance(options, dict) else None
    return CACHE_SECONDS["1h" if ttl == "1h" else "5m"]


def _prefixes(body: Mapping[str, Any], family: Family) -> list[_Prefix]:
    keys = ("model", "tools", "reasoning_effort", "thinking")
    digest = hashlib.sha256(_dump([body.get(key) for key in keys]).encode("utf-8", "replace"))
    tokens = count_preamble(body, family)
    prefixes = []
    for message in _messages(body):
        digest.update(_dump(message).encode("utf-8", "replace") + b"\n")
        tokens += count_message(message)
        prefixes.append(_Prefix(digest.hexdigest(), tokens))
    return prefixes
