"""Kimi's errors as LangChain knows them: each is also of the openai class for its status, and of LangChain's own.

LangChain's retry and fallback middleware asks `ModelError.is_retryable`, its summarisation middleware catches
`ContextOverflowError`. The classes are derived from each other as those of `kimi_wire` are. Importing this module
imports the openai SDK.
"""

from __future__ import annotations

from typing import Any

from langchain_core import exceptions
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
    OutputParserException,
)

from kimi_wire import errors as wire

_ModelRefusalError: Any = getattr(exceptions, "ModelRefusalError", ModelError)  # langchain-core 1.7.5

# `ModelError` says False, and stands before what knows better; hence `is_retryable` where that is the wrong answer.


class KimiRequestError(wire.KimiRequestError, ModelInvalidRequestError):
    """The request cannot be sent as asked; nothing was sent."""


class KimiResponseError(wire.KimiResponseError, ModelAPIError):
    """The server answered with success, but the answer cannot be used."""


class KimiStreamError(KimiResponseError, wire.KimiStreamError, ModelConnectionError):
    """A stream ended before its end; what had arrived is in `partial`."""


class KimiEmptyAnswerError(KimiResponseError, wire.KimiEmptyAnswerError):
    """An answer has neither text nor a tool call; asking again may help, unless a token limit cut it."""


class KimiToolChoiceError(KimiResponseError, wire.KimiToolChoiceError, OutputParserException):
    """A tool call was forced and none came back."""


class KimiAPIError(wire.KimiAPIError, ModelError):
    """The server, or the way to it, failed."""


class KimiStatusError(KimiAPIError, wire.KimiStatusError):
    """The server answered with an HTTP status of 300 or more."""


class KimiBadRequestError(KimiStatusError, wire.KimiBadRequestError, ModelInvalidRequestError):
    """HTTP 400: the request is not acceptable; sending it again is no use."""


# mypy does not know the bases: older cores have none of that name.
class KimiRefusalError(KimiResponseError, wire.KimiRefusalError, _ModelRefusalError):  # type: ignore[misc]
    """The model declined to answer, where an object or a tool call had to come.

    LangChain's `ModelRefusalError` too, where langchain-core has one; `raw_message` is the answer.
    """

    raw_message = None
    is_retryable = False


class KimiContentFilterError(KimiBadRequestError, wire.KimiContentFilterError, _ModelRefusalError):  # type: ignore[misc]
    """The platform's content filter refused the request (HTTP 400), or stopped the answer.

    LangChain's `ModelRefusalError` too, where langchain-core has one; `raw_message` is what had come of the answer, or
    None, where the request was refused.
    """

    raw_message = None


class KimiContextLengthError(KimiBadRequestError, wire.KimiContextLengthError, ContextOverflowError):
    """HTTP 400: the conversation is longer than the model's context window."""


class KimiAuthenticationError(KimiStatusError, wire.KimiAuthenticationError, ModelAuthenticationError):
    """HTTP 401: the key is not known to this host."""


class KimiPermissionDeniedError(KimiStatusError, wire.KimiPermissionDeniedError, ModelPermissionDeniedError):
    """HTTP 403: the key may not do this."""


class KimiNotFoundError(KimiStatusError, wire.KimiNotFoundError, ModelNotFoundError):
    """HTTP 404: the model does not exist, is retired, or is not open to this account."""


class KimiConflictError(KimiStatusError, wire.KimiConflictError):
    """HTTP 409: the request collides with another one; later it may work."""

    is_retryable = True


class KimiUnprocessableEntityError(KimiStatusError, wire.KimiUnprocessableEntityError, ModelInvalidRequestError):
    """HTTP 422: what other hosts than Moonshot's answer to a request that is not acceptable."""


class KimiRateLimitError(KimiStatusError, wire.KimiRateLimitError, ModelRateLimitError):
    """HTTP 429: too many requests or tokens, or the model is overloaded; later it may work."""

    is_retryable = True


class KimiQuotaError(KimiRateLimitError, wire.KimiQuotaError):
    """HTTP 429: the account's balance, or its tokens of the day, are used up; it is not tried again."""

    is_retryable = False


class KimiServerError(KimiStatusError, wire.KimiServerError, ModelAPIError):
    """HTTP 500 and more: the server failed."""

    is_retryable = True


class KimiConnectionError(KimiAPIError, wire.KimiConnectionError, ModelConnectionError):
    """The server was not reached, or the connection failed."""

    is_retryable = True


class KimiTimeoutError(KimiConnectionError, wire.KimiTimeoutError, ModelTimeoutError):
    """The server did not answer in time."""


_CLASSES: dict[type[Exception], type[Exception]] = {
    getattr(wire, error_class.__name__): error_class
    for error_class in (
        KimiRequestError,
        KimiResponseError,
        KimiStreamError,
        KimiEmptyAnswerError,
        KimiToolChoiceError,
        KimiRefusalError,
        KimiAPIError,
        KimiStatusError,
        KimiBadRequestError,
        KimiContentFilterError,
        KimiContextLengthError,
        KimiAuthenticationError,
        KimiPermissionDeniedError,
        KimiNotFoundError,
        KimiConflictError,
        KimiUnprocessableEntityError,
        KimiRateLimitError,
        KimiQuotaError,
        KimiServerError,
        KimiConnectionError,
        KimiTimeoutError,
    )
}


def adapt_error(error: Exception) -> Exception:
    """Give an error of the wire its LangChain class; everything else about it stays."""
    error_class = _CLASSES.get(type(error))
    return error if error_class is None else wire.remade(error_class, error.args, error.__dict__)
