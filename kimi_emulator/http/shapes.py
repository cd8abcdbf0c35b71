"""The bytes the API answers with: bodies, streamed events and headers, key for key in its order.

Sources: https://platform.kimi.ai/docs/api/chat,
https://platform.kimi.ai/docs/guide/utilize-the-streaming-output-feature-of-kimi-api and recorded traffic.
"""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..families import Family, Model
from ..scripting import Reply, ToolCall, arguments_text

_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_SURROGATES = re.compile("[\ud800-\udfff]")
_WORDS = re.compile(r"\s*\S{1,12}|\s+")
_JSON_PIECES = re.compile(r'[\{\[]?"[^"]{0,8}"?:?|[^"]{1,8}')


def encode(value: Any) -> str:
    """Write JSON as Go does: compact, non-ASCII as it is, ``<``, ``>`` and ``&`` escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return _SURROGATES.sub("\ufffd", text.translate(_GO_ESCAPES))


def error_body(message: str, type: str) -> dict[str, Any]:
    """Build the error envelope. It has exactly two keys: no ``code``, no ``param``."""
    return {"error": {"message": message, "type": type}}


@dataclass(frozen=True)
class Envelope:
    """What all parts of one answer share."""

    model: str
    family: Family
    created: int = field(default_factory=lambda: int(time.time()))
    suffix: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def id(self) -> str:
        """The completion id, whose first eight digits are the time."""
        return f"chatcmpl-{self.created:08x}{self.suffix}"

    @property
    def fingerprint(self) -> str | None:
        """The ``system_fingerprint`` of streamed chunks."""
        return f"fpv0_{zlib.crc32(self.model.encode('utf-8', 'replace')):08x}" if self.family.fingerprint else None

    def call_id(self, call: ToolCall, index: int) -> str:
        """The id of a tool call. The counter runs over all calls of the answer and starts anew in the next."""
        if call.id is not None:
            return call.id
        if call.type == "builtin_function":
            # No answer with several was recorded; ids are kept apart in some way.
            return f"t-{call.name.removeprefix('$')}-{self.id[9:21]}{index or ''}"
        return self.family.call_id.format(name=call.name, index=index)


def _call_body(call: ToolCall, index: int, envelope: Envelope, arguments: str) -> dict[str, Any]:
    body = {
        "index": index,
        "id": envelope.call_id(call, index),
        "type": call.type,
        "function": {"name": call.name, "arguments": arguments},
    }
    if call.type == "builtin_function":
        del body["index"]
    return body


def message_body(reply: Reply, envelope: Envelope) -> dict[str, Any]:
    """Build the assistant message of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.content}
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [
            _call_body(call, index, envelope, arguments_text(call)) for index, call in enumerate(reply.tool_calls)
        ]
    return message


def completion_body(reply: Reply, envelope: Envelope, usage: Mapping[str, Any], choices: int = 1) -> dict[str, Any]:
    """Build the body of an answer that is not streamed."""
    return {
        "id": envelope.id,
        "object": "chat.completion",
        "created": envelope.created,
        "model": envelope.model,
        "choices": [
            {"index": index, "message": message_body(reply, envelope), "finish_reason": reply.said_ending}
            for index in range(choices)
        ],
        "usage": dict(usage),
    }


def _pieces(text: str, size: int | None, pattern: re.Pattern[str]) -> list[str]:
    if size is None:
        return pattern.findall(text)
    return [text[start : start + size] for start in range(0, len(text), max(size, 1))]


def _argument_pieces(text: str, size: int | None) -> list[str]:
    pieces = _pieces(text, size, _JSON_PIECES)
    return pieces if "".join(pieces) == text else [text]


def deltas(reply: Reply, envelope: Envelope) -> Iterator[dict[str, Any]]:
    """Yield the deltas of an answer: role, reasoning (an empty one first), content, then call after call."""
    yield {"role": "assistant", "content": ""}
    if reply.reasoning is not None:
        yield {"reasoning_content": ""}
        for piece in _pieces(reply.reasoning, reply.chunk_size, _WORDS):
            yield {"reasoning_content": piece}
    for piece in _pieces(reply.content, reply.chunk_size, _WORDS):
        yield {"content": piece}
    for index, call in enumerate(reply.tool_calls):
        yield {"tool_calls": [{**_call_body(call, index, envelope, ""), "index": index}]}
        for piece in _argument_pieces(arguments_text(call), reply.chunk_size):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def stream_events(
    reply: Reply, envelope: Envelope, usage: Mapping[str, Any], *, include_usage: bool, choices: int = 1
) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a streamed answer, ``[DONE]`` not included.

    Usage is in the choice of each finishing chunk, asked for or not, and once more in a last chunk without choices
    (and without fingerprint) if the request asks to include it.
    """
    head = {
        "id": envelope.id,
        "object": "chat.completion.chunk",
        "created": envelope.created,
        "model": envelope.model,
    }
    tail = {"system_fingerprint": envelope.fingerprint} if envelope.fingerprint else {}
    for index in range(choices):
        for delta in deltas(reply, envelope):
            yield {**head, "choices": [{"index": index, "delta": delta, "finish_reason": None}], **tail}
        ending = {"index": index, "delta": {}, "finish_reason": reply.said_ending, "usage": dict(usage)}
        yield {**head, "choices": [ending], **tail}
    if include_usage:
        yield {**head, "choices": [], "usage": dict(usage)}


def sse(event: Mapping[str, Any] | str | bytes) -> bytes:
    """Write one server-sent event; bytes pass as they are."""
    if isinstance(event, bytes):
        return event
    text = event if isinstance(event, str) else encode(event)
    return f"data: {text}\n\n".encode("utf-8", "replace")


def model_body(model: Model) -> dict[str, Any]:
    """Build an entry of the models list."""
    family = model.family
    efforts = {"support": True, "valid_efforts": list(family.efforts), "default_effort": "max"}
    entry: dict[str, Any] = {
        "created": 1_712_151_494,
        "id": model.id,
        "object": "model",
        "owned_by": "moonshot",
        "permission": [_permission(family)],
        "root": "",
        "parent": "",
        "supports_image_in": family.images,
        "supports_video_in": family.videos,
        "supports_reasoning": family.thinking != "never",
    }
    if family.dynamic_tools:
        entry["supports_dynamic_tools"] = True
    if family.efforts:
        entry.update(think_efforts=efforts, reasoning_efforts=efforts)
    if family.thinking == "always":
        entry["supports_thinking_type"] = "only"
    return {**entry, "context_length": family.context}


def _permission(family: Family) -> dict[str, Any]:
    flags = ("allow_create_engine", "allow_sampling", "allow_logprobs", "allow_search_indices", "allow_view")
    return {
        "created": 0,
        "id": "",
        "object": "",
        **dict.fromkeys([*flags, "allow_fine_tuning"], False),
        "organization": "public",
        "group": "staff" if family.name == "k3" else "moonshot",
        "is_blocking": False,
    }


def common_headers() -> dict[str, str]:
    """Build the headers every answer carries, errors included."""
    return {
        "Msh-Gid": "enterprise-tier-1",
        "Msh-Org-Id": "org-00000000000000000000000000000000",
        "Msh-Project-Id": "proj-00000000000000000000000000000000",
        "Msh-Request-Id": str(uuid.uuid1()),
        "Msh-Trace-Mode": "on",
        "Msh-Uid": "emulatoremulatoremul",
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
        "Vary": "Origin",
        "X-Msh-Trace-Id": secrets.token_hex(16),
    }
