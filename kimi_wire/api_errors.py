"""Server errors as exceptions: of the openai class for their status, with the server's words and what to do.

Importing this module imports the openai SDK, so nothing imports it before a client is needed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import openai

from kimi_wire.errors import KimiError, KimiRequestError, KimiStreamError, StreamedError
from kimi_wire.file_hints import hint_for_file
from kimi_wire.response import parse_request_id

REGIONS = {"api.moonshot.ai": "api.moonshot.cn", "api.moonshot.cn": "api.moonshot.ai"}
"""The platform's two hosts. Accounts, balances and keys of one are unknown to the other."""


class KimiAPIError(KimiError, openai.APIError):
    """The server, or the way to it, failed.

    Attributes:
        type: The server's `error.type`, such as `rate_limit_reached_error`; None where it sent none.
        body: The server's error as sent.
        partial: What of the answer had arrived before, where something had.
    """

    partial: Any = None


class KimiStatusError(KimiAPIError, openai.APIStatusError):
    """The server answered with an HTTP status of 400 or more.

    Attributes:
        status_code: The status.
        request_id: The server's id of the request; Moonshot's support asks for it.
    """


class KimiBadRequestError(KimiStatusError, openai.BadRequestError):
    """HTTP 400: the request is not acceptable; sending it again is no use."""


class KimiContextLengthError(KimiBadRequestError):
    """HTTP 400: the messages, or they and `max_tokens` together, are longer than the model's context window."""


class KimiContentFilterError(KimiBadRequestError):
    """HTTP 400: the platform's content filter refused the request."""


class KimiAuthenticationError(KimiStatusError, openai.AuthenticationError):
    """HTTP 401: the key is not known to this host."""


class KimiPermissionDeniedError(KimiStatusError, openai.PermissionDeniedError):
    """HTTP 403: the key may not do this."""


class KimiNotFoundError(KimiStatusError, openai.NotFoundError):
    """HTTP 404: the model does not exist, is retired, or is not open to this account."""


class KimiRateLimitError(KimiStatusError, openai.RateLimitError):
    """HTTP 429: too many requests or tokens, or the model is overloaded; later it may work."""


class KimiQuotaError(KimiRateLimitError):
    """HTTP 429: the account's balance is used up; waiting does not help."""


class KimiServerError(KimiStatusError, openai.InternalServerError):
    """HTTP 500 and more: the server failed."""


class KimiConnectionError(KimiAPIError, openai.APIConnectionError):
    """The server was not reached."""


class KimiTimeoutError(KimiConnectionError, openai.APITimeoutError):
    """The server did not answer in time."""


_BY_STATUS: Mapping[int, type[KimiStatusError]] = {
    400: KimiBadRequestError,
    401: KimiAuthenticationError,
    403: KimiPermissionDeniedError,
    404: KimiNotFoundError,
    429: KimiRateLimitError,
}

# "Your request exceeded model token limit: 262144 (requested: 425573)", "Input token length too long",
# "prompt tokens + max_tokens exceeds the model specification" (platform.kimi.ai/docs/api/errors).
_CONTEXT = re.compile(r"exceeded model token limit|input token length too long|exceeds the model specification", re.I)
# MoonshotAI/kimi-code packages/kosong/src/providers/kimi-errors.ts; `error.type` is asked first.
_QUOTA = re.compile(
    r"exceeded your current (?:token )?quota|check your account balance|insufficient balance|recharge your account",
    re.I,
)


def translate_error(error: Exception) -> Exception:
    """Turn an error of the SDK into this project's.

    Args:
        error: Whatever came out of a call.

    Returns:
        An exception that is an instance of the same openai class and of `KimiError`; any other error unchanged.
    """
    if isinstance(error, (UnicodeEncodeError, TypeError)):
        # Raised where the body is written as JSON: a lone half of a surrogate pair, or an object of some other kind.
        return KimiRequestError(f"The request cannot be written as JSON: {error}")
    if isinstance(error, KimiError) or not isinstance(error, openai.APIError):
        return error
    if isinstance(error, openai.APIStatusError):
        return _status_error(error.response, error.body)
    url = str(error.request.url)
    if isinstance(error, openai.APITimeoutError):
        timeout = KimiTimeoutError(request=error.request)
        message = f"{url} did not answer in time. Thinking can take minutes: raise `timeout`, or stream."
        timeout.message, timeout.args = message, (message,)
        return timeout
    return KimiConnectionError(message=f"{url} was not reached: {error.__cause__ or error}", request=error.request)


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
        reported = _status_error(response, error.error)
        reported.partial = partial
        return reported
    if type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "aiohttp"):
        reason = str(error) or type(error).__name__
        return KimiStreamError(
            f"The connection broke in the middle of the answer ({reason}): what had arrived is not whole. Try again.",
            request_id=parse_request_id(response.headers),
            partial=partial,
        )
    return error


def _status_error(response: Any, body: object) -> KimiStatusError:
    status = response.status_code
    server_text, kind = _read_error(body)
    error_class = _classify(status, kind, server_text)
    request_id = parse_request_id(response.headers)
    details = ", ".join(
        detail for detail in (f"HTTP {status}", kind, request_id and f"request id {request_id}") if detail
    )
    hint = _hint(error_class, str(response.request.url), server_text)
    message = f"{server_text or 'The server sent no error message'} ({details}). {hint}".rstrip()
    translated = error_class(message, response=response, body=body)
    translated.request_id, translated.type = request_id, kind
    return translated


def _read_error(body: object) -> tuple[str, str | None]:
    """The message and type of an error body: `{"message", "type"}`, nested in `error`, or a gateway's page."""
    for _ in range(4):
        if not isinstance(body, Mapping) or not isinstance(body.get("error"), Mapping):
            break
        body = body["error"]
    if isinstance(body, Mapping):
        kind = body.get("type")
        return str(body.get("message") or ""), kind if isinstance(kind, str) and kind else None
    text = str(body or "")
    title = re.search(r"<title>(.*?)</title>", text, re.I | re.S)
    return (title[1] if title else text).strip()[:300], None


def _classify(status: int, kind: str | None, message: str) -> type[KimiStatusError]:
    """Find the class by `error.type` first: three different failures share status 429."""
    if kind == "exceeded_current_quota_error" or (status == 429 and _QUOTA.search(message)):
        return KimiQuotaError
    if kind in ("engine_overloaded_error", "rate_limit_reached_error"):
        return KimiRateLimitError
    if kind == "content_filter":
        return KimiContentFilterError
    if _CONTEXT.search(message):
        return KimiContextLengthError
    return _BY_STATUS.get(status, KimiServerError if status >= 500 else KimiStatusError)


def _hint(error_class: type[KimiStatusError], url: str, message: str) -> str:
    """One line on what to do."""
    host = urlsplit(url).hostname or ""
    if (hint := hint_for_file(url, message)) is not None:
        return hint
    if error_class is KimiAuthenticationError:
        other = REGIONS.get(host)
        region = f" A key of {other} is not known here: set base_url='https://{other}/v1' for it." if other else ""
        return f"Check the API key for {host}.{region} Keys 'sk-kimi-...' belong to Kimi Code, another product."
    if error_class is KimiNotFoundError:
        return (
            "The model may be retired (moonshot-v1, kimi-k2 and kimi-k2.5 are), misspelt, or not open to this account; "
            f"GET {url.partition('/chat/')[0]}/models lists what the key may use."
        )
    if error_class is KimiQuotaError:
        return "Top up the account, or check its plan and billing details; trying again does not help."
    if error_class is KimiContextLengthError:
        return "Shorten the conversation or lower max_tokens; both share the context window."
    if error_class is KimiContentFilterError:
        return "Rephrase the request; the same one is refused again."
    if error_class is KimiRateLimitError:
        return "The limits are the organization's, over all models and keys; wait, or raise max_retries."
    if "reasoning_content is missing" in message:
        return "Pass assistant messages back as they came, or set missing_reasoning='placeholder'."
    return ""
