"""Server errors as exceptions: of the openai class for their status, with the server's words and what to do.

Importing this module imports the openai SDK, so nothing imports it before a client is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import openai

from kimi_wire.errors.classes import KimiError, KimiStreamError, StreamedError, remade
from kimi_wire.errors.exchange import attempt_of, parse_request_id, proxy_to, public_proxy, public_url
from kimi_wire.errors.hints import CONTEXT_HINT, hint_for
from kimi_wire.errors.refusals import Refusal, mask, mask_all, parse_refusal, refusal_of


class KimiAPIError(KimiError, openai.APIError):
    """The server, or the way to it, failed.

    It goes through pickles (process pools) without `request` and `response`: those hold the key.

    Attributes:
        type: The server's `error.type`, such as `rate_limit_reached_error`; None where it sent none.
        body: The server's error as sent. In `message` and `response`, and so in logs and traces, the ids of accounts
            and keys are blanked.
        partial: What of the answer had arrived before, where something had.
        attempts: How many requests were sent for the call, this one included; each counts against the rate limits.
        retry_after: Seconds to wait that the server asked for, where it did.
    """

    partial: Any = None
    attempts: int = 1
    retry_after: float | None = None

    def __reduce__(self) -> tuple[Callable[..., Exception], tuple[Any, ...]]:
        """Say what a pickle is made of; the SDK's errors cannot be made again from their message alone."""
        return remade, (type(self), self.args, {**self.__dict__, "request": None, "response": None})


class KimiStatusError(KimiAPIError, openai.APIStatusError):
    """The server answered with an HTTP status of 300 or more.

    Attributes:
        status_code: The status.
        request_id: The server's id of the request; Moonshot's support asks for it.
    """


class KimiBadRequestError(KimiStatusError, openai.BadRequestError):
    """HTTP 400: the request is not acceptable; sending it again is no use."""


class KimiContextLengthError(KimiBadRequestError):
    """HTTP 400: the messages, or they and `max_tokens` together, are longer than the model's context window."""


class KimiContentFilterError(KimiBadRequestError):
    """The platform's content filter refused the request (HTTP 400), or stopped the answer, of which `partial` came."""


class KimiAuthenticationError(KimiStatusError, openai.AuthenticationError):
    """HTTP 401: the key is not known to this host."""


class KimiPermissionDeniedError(KimiStatusError, openai.PermissionDeniedError):
    """HTTP 403: the key may not do this."""


class KimiNotFoundError(KimiStatusError, openai.NotFoundError):
    """HTTP 404: the model does not exist, is retired, or is not open to this account."""


class KimiConflictError(KimiStatusError, openai.ConflictError):
    """HTTP 409: the request collides with another one; later it may work."""


class KimiUnprocessableEntityError(KimiStatusError, openai.UnprocessableEntityError):
    """HTTP 422: what other hosts than Moonshot's answer to a request that is not acceptable."""


class KimiRateLimitError(KimiStatusError, openai.RateLimitError):
    """HTTP 429: too many requests or tokens, or the model is overloaded; later it may work."""


class KimiQuotaError(KimiRateLimitError):
    """HTTP 429: the account's balance, or its tokens of the day, are used up; it is not tried again."""


class KimiServerError(KimiStatusError, openai.InternalServerError):
    """HTTP 500 and more: the server failed."""


class KimiConnectionError(KimiAPIError, openai.APIConnectionError):
    """The server was not reached, or the connection failed."""


class KimiTimeoutError(KimiConnectionError, openai.APITimeoutError):
    """The server did not answer in time."""


_BY_STATUS: Mapping[int, type[KimiStatusError]] = {
    400: KimiBadRequestError,
    401: KimiAuthenticationError,
    403: KimiPermissionDeniedError,
    404: KimiNotFoundError,
    409: KimiConflictError,
    422: KimiUnprocessableEntityError,
    429: KimiRateLimitError,
}

# The status that a type comes with; inside a stream, which began with 200, only the type says.
_STATUS_OF_TYPE: Mapping[str | None, int] = {
    "invalid_request_error": 400,
    "content_filter": 400,
    "invalid_authentication_error": 401,
    "incorrect_api_key_error": 401,
    "permission_denied_error": 403,
    "access_terminated_error": 403,
    "resource_not_found_error": 404,
    "engine_overloaded_error": 429,
    "rate_limit_reached_error": 429,
    "exceeded_current_quota_error": 429,
}

# "Your request exceeded model token limit: 262144 (requested: 425573)", "Input token length too long",
# "prompt tokens + max_tokens exceeds the model specification" (platform.kimi.ai/docs/api/errors).
_CONTEXT = re.compile(r"exceeded model token limit|input token length too long|exceeds the model specification", re.I)

_LONGEST_URL = 500

_Raised = TypeVar("_Raised", bound="BaseException | None")


def translate_error(error: Exception) -> Exception:
    """Turn an error of the SDK into this project's.

    Args:
        error: Whatever came out of a call.

    Returns:
        An exception that is an instance of the same openai class and of `KimiError`; any other error unchanged. Raise
        it from `cause_of(error)`.
    """
    if isinstance(error, KimiError) or not isinstance(error, openai.APIError):
        return error
    if isinstance(error, openai.APIStatusError):
        return _status_error(error.response, refusal_of(error.response), error.body)
    failed = _connection_error(error)
    failed.attempts = attempt_of(error.request)
    return failed


def translate_stream_error(error: Exception, response: Any, partial: Any) -> Exception:
    """Turn an error in the middle of a stream into this project's.

    Args:
        error: Whatever came out of reading the stream.
        response: The HTTP response that was being read.
        partial: What had arrived.

    Returns:
        For an error event, the error it stands for; for a broken connection, a `KimiStreamError`; any other unchanged.
    """
    if isinstance(error, StreamedError):
        reported = _status_error(response, _streamed_refusal(response, error.error), error.error)
        reported.partial = partial
        return reported
    if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "aiohttp"):
        reason = str(error) or type(error).__name__
        broken = KimiStreamError(
            f"The connection broke in the middle of the answer ({reason}): what had arrived is not whole. Try again.",
            request_id=parse_request_id(response.headers),
            partial=partial,
        )
        broken.__cause__ = bare(error)
        return broken
    return error


def cause_of(error: BaseException) -> BaseException | None:
    """What to chain a translated error to: the HTTP library's failure, bare, and nothing of the SDK."""
    if isinstance(error, KimiError):
        return error.__cause__
    if isinstance(error, openai.APIStatusError):
        return None
    return bare(error.__cause__ if isinstance(error, openai.APIConnectionError) else error)


class translated:  # read as a word: `with translated():`
    """Have what goes wrong inside come out as this project's, and with nothing of the SDK about it.

    An error that is raised where another one is handled has that as its context: the SDK's own, whose words are not
    masked, would go with ours into every log of tracebacks.

    Args:
        finish: What else is to be done to an error.
    """

    def __init__(self, finish: Callable[[Exception], Exception] = lambda error: error) -> None:
        self._finish = finish

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, trace: object) -> None:
        del trace  # with all the frames that it has
        if error is None:
            return
        failure, cause = error, cause_of(error)
        if isinstance(error, Exception):
            failure = self._finish(translate_error(error))
        if failure is error and isinstance(error, KimiError):
            return
        try:
            raise failure from (None if cause is failure else cause)
        finally:
            failure.__context__ = None
            del error, failure, cause  # frames that hold their own error are garbage for long


def bare(error: _Raised) -> _Raised:
    """An error without its frames and what led to it.

    The frames are of the SDK and the HTTP library, and their variables are the headers of the request, the key among
    them: `traceback.TracebackException(capture_locals=True)` and what is built like it would print them.
    """
    if error is not None:
        error.__cause__, error.__context__ = None, None
        error = error.with_traceback(None)
    return error


def _connection_error(error: openai.APIError) -> KimiConnectionError:
    url = public_url(str(error.request.url))
    if isinstance(error, openai.APITimeoutError):
        timeout = KimiTimeoutError(request=error.request)
        message = f"{url} did not answer in time. Thinking can take minutes: raise `timeout`, or stream."
        timeout.message, timeout.args = message, (message,)
        return timeout
    cause = error.__cause__
    reached = cause is not None and type(cause).__name__ not in (
        "ConnectError",
        "ConnectTimeout",
        "ProxyError",  # it made no tunnel
        "UnsupportedProtocol",
    )
    reason = str(cause or error) or type(cause).__name__
    failure = "failed in the middle of a request" if reached else "was not reached"
    return KimiConnectionError(message=f"{url} {failure}{_through(url)}: {reason[:500]}", request=error.request)


def _through(url: str) -> str:
    """Which proxy of the environment a request to a URL goes through; "" for none."""
    proxy, scheme = proxy_to(url), urlsplit(url).scheme.upper()
    return f" through the proxy {public_proxy(proxy)} of the environment ({scheme}_PROXY, NO_PROXY)" if proxy else ""


def _status_error(response: Any, refusal: Refusal, body: object) -> KimiStatusError:
    request = response.request
    key = str(request.headers.get("authorization") or "").rpartition(" ")[2]
    error_class = _classify(refusal)
    request_id = mask(parse_request_id(response.headers) or "", key) or None
    details = [f"HTTP {response.status_code}", refusal.type, request_id and f"request id {request_id}"]
    if error_class is KimiContextLengthError:
        hint = CONTEXT_HINT
    else:
        hint = hint_for(refusal, str(request.url), mask(_target(response), key))
    text = mask(refusal.text, key) or "The server sent no error message"
    message = f"{text} ({', '.join(filter(None, details))}). {hint}".rstrip()
    translated = error_class(
        message, response=_shown(response, key), body=mask_all(body, lambda text: text.replace(key or "***", "***"))
    )
    translated.request_id, translated.type = request_id, refusal.type
    translated.retry_after, translated.attempts = refusal.retry_after, attempt_of(request)
    return translated


def _target(response: Any) -> str:
    """Where a server redirects to, or what it says in place of an address; "" where it does not."""
    location = str(response.headers.get("location") or "")[:_LONGEST_URL]
    try:
        return urljoin(str(response.request.url), location) if location else ""
    except ValueError:  # "http://[": readers of URLs refuse many, each in its own way
        return location


# Msh-Uid, Msh-Gid, Msh-Org-Id and Msh-Project-Id say whose key it is. The rest was true of the packed body.
_HIDDEN_HEADERS = re.compile(
    rb"msh-(uid|gid|org-id|project-id)|set-cookie2?|content-(encoding|length)|transfer-encoding"
)


def _shown(response: Any, key: str) -> Any:
    """A copy of a response with the ids of accounts and keys blanked.

    LangChain's tracers write the body and the headers of an error's `response` into the trace.
    """
    try:
        text = response.text
    except RuntimeError:  # a stream, of which the error was an event
        text = ""
    # As bytes: a gateway's words in headers are of any charset, and the library writes text as ASCII only.
    headers = [
        (name, mask(value.decode("latin-1"), key).encode("latin-1"))
        for name, value in response.headers.raw
        if not _HIDDEN_HEADERS.fullmatch(name.lower())
    ]
    return _answered(response, headers, _reworded(text, lambda one: mask(one, key)))


def _reworded(text: str, rewrite: Callable[[str], str]) -> str:
    try:  # servers in Go write "<" as "\\u003c": what is rewritten is what the JSON says
        return json.dumps(mask_all(json.loads(text), rewrite), ensure_ascii=False)
    except (ValueError, RecursionError):
        return rewrite(text)


def _answered(response: Any, headers: list[tuple[bytes, bytes]], text: str) -> Any:
    """A copy of a response with other headers and another text."""
    content = text.encode("utf-8", "replace")
    copied = type(response)(response.status_code, headers=headers, content=content, request=response.request)
    copied.encoding = "utf-8"  # whatever charset its headers name
    return copied


def reword(error: Exception, rewrite: Callable[[str], str]) -> None:
    """Rewrite the words of one of this project's errors, which are the server's: those of its response too.

    Args:
        error: The error; changed.
        rewrite: What becomes of each text.
    """
    error.args = tuple(mask_all(list(error.args), rewrite))
    held = vars(error)
    held.update({name: mask_all(held[name], rewrite) for name in held.keys() & {"message", "body"}})
    if (response := held.get("response")) is not None:
        held["response"] = _answered(response, response.headers.raw, _reworded(response.text, rewrite))


def _streamed_refusal(response: Any, error: object) -> Refusal:
    """An error inside a stream: its status is that of its type, or its code (OpenRouter: `"code": 502`), else 500."""
    refusal = parse_refusal(response.status_code, response.headers, error)
    known = _STATUS_OF_TYPE.get(refusal.type)
    return replace(refusal, status=known or (refusal.code if refusal.code in range(400, 600) else None) or 500)


def _classify(refusal: Refusal) -> type[KimiStatusError]:
    status = refusal.status
    if status in (400, 413) and _CONTEXT.search(refusal.text):
        return KimiContextLengthError
    if status == 400 and refusal.type == "content_filter":
        return KimiContentFilterError
    if status == 429 and (refusal.out_of_quota or refusal.out_of_day):
        return KimiQuotaError
    return _BY_STATUS.get(status, KimiServerError if status >= 500 else KimiStatusError)
