"""What a test or a demo can tell the emulator to answer, and what it records of each request."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

_TYPE_BY_STATUS = {
    401: "invalid_authentication_error",
    403: "permission_denied_error",
    404: "resource_not_found_error",
    429: "rate_limit_reached_error",
    499: "client_closed_request",
    500: "server_error",
    503: "server_unavailable",
}

_RATE_LIMIT = (
    "Your account org-00000000000000000000000000000000<ak-00000000000000000000> request reached organization "
    "max RPM: {}, please try again after 1 seconds"
)
_MESSAGE_BY_TYPE = {
    "content_filter": "The request was rejected because it was considered high risk",
    "engine_overloaded_error": "The engine is currently overloaded, please try again later",
    "exceeded_current_quota_error": (
        "Your account org-00000000000000000000000000000000 <ak-00000000000000000000> is suspended due to insufficient "
        "balance, please recharge your account or check your plan and billing details"
    ),
    "incorrect_api_key_error": "Incorrect API key provided",
    "invalid_authentication_error": "Invalid Authentication",
    "permission_denied_error": "The API you are accessing is not open",
    "rate_limit_reached_error": _RATE_LIMIT.format(3),
}

# Seen on a 429 for requests per minute; a 429 for overload came with none of the three.
_RATE_LIMIT_HEADERS = {"Retry-After": "1", "X-Retry-After": "1", "Msh-Cooldown-Seconds": "1"}


@dataclass(frozen=True)
class ToolCall:
    """A tool call to answer with.

    Attributes:
        name: Name of the function.
        arguments: A mapping, sent as compact JSON; or text, sent as it is (broken JSON included).
        id: The call's id; None builds one the way the requested model does.
        type: ``"function"`` or ``"builtin_function"``.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    id: str | None = None
    type: str = "function"


def arguments_text(call: ToolCall) -> str:
    """Return a call's arguments as the text that goes on the wire."""
    if isinstance(call.arguments, str):
        return call.arguments
    return json.dumps(call.arguments, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Failure:
    """An error answer.

    Attributes:
        status: The HTTP status.
        message: The server's words; empty takes the usual ones for the type.
        type: The ``error.type``; empty takes the usual one for the status.
        headers: Headers to add or, by the same name in any case, to replace.
        body: Sent instead of the error envelope: text as it is (an HTML page, say), a mapping as JSON.
        delay: Seconds to wait before answering.
    """

    status: int
    message: str = ""
    type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | Mapping[str, Any] | None = None
    delay: float = 0.0

    @property
    def error(self) -> dict[str, str]:
        """The ``{"message", "type"}`` object of the envelope, defaults filled in."""
        kind = self.type or _TYPE_BY_STATUS.get(self.status, "invalid_request_error")
        return {"message": self.message or _MESSAGE_BY_TYPE.get(kind, f"HTTP {self.status}"), "type": kind}

    @property
    def all_headers(self) -> dict[str, str]:
        """The headers to send, including those the API sends with a rate limit."""
        given = {name.lower() for name in self.headers}
        limited = self.status == 429 and self.error["type"] == "rate_limit_reached_error"
        usual = _RATE_LIMIT_HEADERS if limited else {}
        return {**{name: value for name, value in usual.items() if name.lower() not in given}, **self.headers}


OVERLOADED = Failure(429, type="engine_overloaded_error")
SUSPENDED = Failure(429, type="exceeded_current_quota_error")


def too_many(per_minute: int) -> Failure:
    """The failure of a request beyond so many a minute."""
    return Failure(429, _RATE_LIMIT.format(per_minute))


@dataclass(frozen=True)
class Reply:
    """A successful answer, streamed or not as the request asks.

    It is sent as it stands, also to a request in Partial Mode (then it is the continuation): no prefix, limit or stop
    word cuts it unless ``whole`` or ``max_tokens`` says so. The faults below count what is sent: events are those of
    the stream, bytes those of the body, streamed or not, wherever they fall in a character or a line.

    Attributes:
        content: The visible text.
        reasoning: The ``reasoning_content``; None leaves the key out, ``""`` sends it empty.
        tool_calls: The tool calls.
        finish_reason: None derives ``"tool_calls"`` or ``"stop"``.
        says_finish_reason: Whether it is sent; some gateways leave null there to the end.
        whole: Whether this is the whole answer to the conversation, of which a request gets what it lacks: in Partial
            Mode what follows its prefix (without the reasoning if it sends that along), and never more than its token
            cap and its stop sequences let through.
        max_tokens: Cut the answer after so many tokens, with ``finish_reason: "length"``: in the reasoning, the text
            or the arguments of a tool call. The request needs no cap of its own.
        usage: The whole usage object; None estimates one.
        cached_tokens: Prompt tokens reported as cached; None asks the prefix cache, 0 reports a miss.
        headers: Headers to add or, by the same name in any case, to replace.
        chunk_size: Characters per streamed delta; None streams in words.
        chunk_delay: Seconds between streamed events; None takes the emulator's.
        delay: Seconds to wait before the headers.
        keep_alive: Send the comment ``: keep-alive`` between streamed events: every so many seconds of a
            ``chunk_delay`` or of a stall between two events, 0 before every event.
        stall: Seconds of silence somewhere in the body, after which the answer goes on. A client that hangs up ends it.
        stall_after: Stall after so many streamed events, or in the middle of a body that is not streamed. With
            neither this nor ``stall_after_bytes``, stall right after the headers.
        stall_after_bytes: Stall after so many bytes of the body.
        cut_after: Close the socket after so many streamed events, with neither ``[DONE]`` nor a last chunk.
            An answer that is not streamed breaks off in the middle of its body.
        cut_after_bytes: Close the socket after so many bytes of the body, at the latest at its end.
        error_after: Send an error event after so many streamed events, then end.
        error: What that error event says.
        done: Whether a stream ends with ``data: [DONE]``.
        events: Streamed instead of the rendered events: a mapping as ``data: <json>``, text as ``data: <text>``,
            bytes verbatim.
        body: Sent instead of the rendered body when not streaming.
    """

    content: str = ""
    reasoning: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str | None = None
    usage: Mapping[str, Any] | None = None
    cached_tokens: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    chunk_size: int | None = None
    chunk_delay: float | None = None
    delay: float = 0.0
    cut_after: int | None = None
    error_after: int | None = None
    error: Failure = OVERLOADED
    done: bool = True
    events: Sequence[Mapping[str, Any] | str | bytes] | None = None
    body: Mapping[str, Any] | Sequence[Any] | str | None = None
    whole: bool = False
    max_tokens: int | None = None
    keep_alive: float | None = None
    stall: float = 0.0
    stall_after: int | None = None
    stall_after_bytes: int | None = None
    cut_after_bytes: int | None = None
    says_finish_reason: bool = True

    @property
    def ending(self) -> str:
        """The finish reason to send."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")

    @property
    def said_ending(self) -> str | None:
        """What goes into ``finish_reason``."""
        return self.ending if self.says_finish_reason else None


Step: TypeAlias = "Reply | Failure | Callable[[dict[str, Any]], Reply | Failure]"


@dataclass
class RecordedRequest:
    """A request the emulator received and how it was answered.

    Keys are blanked in `headers`, and neither they nor bodies are in the repr: failed assertions print it, and logs
    of tests are read by many. `had_key` says whether a key was the one.

    Attributes:
        method: The HTTP method.
        path: The path with its query string.
        headers: Header values by lower-cased name; of ``authorization`` the scheme alone.
        body: The parsed JSON body, or None.
        raw: The body as received.
        status: The status answered; 0 until then.
        error: The error message answered, or None.
        rejected: Whether one of the API's rules refused the request (a scripted failure does not count).
        peer: The client's address and port; requests on one connection have the same.
    """

    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    body: Any = field(repr=False)
    raw: bytes = field(repr=False)
    status: int = 0
    error: str | None = None
    rejected: bool = False
    peer: tuple[str, int] = ("", 0)

    def __post_init__(self) -> None:
        """Blank the key."""
        given = self.headers.get("authorization", "")
        self._key = _digest(given.partition(" ")[2]) if given else b""
        for name in _SECRET_HEADERS & self.headers.keys():
            scheme, space, _ = self.headers[name].partition(" ")
            self.headers = {**self.headers, name: f"{scheme} ***" if space else "***"}

    def had_key(self, key: str) -> bool:
        """Whether the request came with this API key.

        Args:
            key: The key, without ``Bearer``.

        Returns:
            True for the very key alone.
        """
        return hmac.compare_digest(self._key, _digest(key))


_SECRET_HEADERS = {"authorization", "proxy-authorization"}
_SALT = secrets.token_bytes(16)


def _digest(key: str) -> bytes:
    return hmac.digest(_SALT, key.encode("utf-8", "surrogateescape"), "sha256")


class RequestLog(list[RecordedRequest]):
    """The requests that were received, the oldest of them forgotten where their bodies come to more than `most`.

    Attributes:
        most: Bytes of bodies, paths and headers; a request counts a thousand more.
    """

    most = 128 * 1024 * 1024

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self._lock = threading.Lock()
        self._sizes: deque[int] = deque()
        self._total = 0

    def add(self, request: RecordedRequest) -> None:
        """Keep a request, the newest one in any case."""
        headers = sum(len(name) + len(value) for name, value in request.headers.items())
        with self._lock:
            self.append(request)
            self._sizes.append(len(request.raw) + len(request.path) + headers + 1000)
            self._total += self._sizes[-1]
            forgotten = 0
            while self._total > self.most and len(self._sizes) > 1:
                self._total -= self._sizes.popleft()
                forgotten += 1
            del self[:forgotten]

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            super().clear()
            self._sizes.clear()
            self._total = 0
