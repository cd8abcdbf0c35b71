"""Kimi's errors as LangChain knows them: each is also of the openai class for its status, and of LangChain's own.

LangChain's retry and fallback middleware asks `ModelError.is_retryable`, its summarisation middleware catches
`ContextOverflowError`. Importing this module imports the openai SDK.
"""

from __future__ import annotations

from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
    OutputParserException,
)

from kimi_wire import api_errors
from kimi_wire import errors as wire


class KimiRequestError(wire.KimiRequestError, ModelInvalidRequestError):
    """The request cannot be sent as asked; nothing was sent."""


class KimiResponseError(wire.KimiResponseError, ModelAPIError):
    """The server answered with success, but the answer cannot be used."""


class KimiStreamError(wire.KimiStreamError, ModelConnectionError):
    """A stream ended before its end; what had arrived is in `partial`."""


class KimiToolChoiceError(wire.KimiToolChoiceError, OutputParserException):
    """A tool call was forced and none came back."""


class KimiStatusError(api_errors.KimiStatusError, ModelInvalidRequestError):
    """Any other HTTP status from 400 to 499."""


class KimiBadRequestError(api_errors.KimiBadRequestError, ModelInvalidRequestError):
    """HTTP 400: the request is not acceptable; sending it again is no use."""


class KimiContentFilterError(api_errors.KimiContentFilterError, ModelInvalidRequestError):
    """HTTP 400: the platform's content filter refused the request."""


class KimiContextLengthError(api_errors.KimiContextLengthError, ModelInvalidRequestError, ContextOverflowError):
    """HTTP 400: the conversation is longer than the model's context window."""


class KimiAuthenticationError(api_errors.KimiAuthenticationError, ModelAuthenticationError):
    """HTTP 401: the key is not known to this host."""


class KimiPermissionDeniedError(api_errors.KimiPermissionDeniedError, ModelPermissionDeniedError):
    """HTTP 403: the key may not do this."""


class KimiNotFoundError(api_errors.KimiNotFoundError, ModelNotFoundError):
    """HTTP 404: the model does not exist, is retired, or is not open to this account."""


class KimiRateLimitError(api_errors.KimiRateLimitError, ModelRateLimitError):
    """HTTP 429: too many requests or tokens, or the model is overloaded; later it may work."""


class KimiQuotaError(api_errors.KimiQuotaError, ModelRateLimitError):
    """HTTP 429: the account's balance is used up; waiting does not help."""

    is_retryable = False


class KimiServerError(api_errors.KimiServerError, ModelAPIError):
    """HTTP 500 and more: the server failed."""


class KimiConnectionError(api_errors.KimiConnectionError, ModelConnectionError):
    """The server was not reached."""


class KimiTimeoutError(api_errors.KimiTimeoutError, ModelTimeoutError):
    """The server did not answer in time."""


_CLASSES: dict[type[Exception], type[Exception]] = {
    error_class.__mro__[1]: error_class
    for error_class in (
        KimiRequestError,
        KimiResponseError,
        KimiStreamError,
        KimiToolChoiceError,
        KimiStatusError,
        KimiBadRequestError,
        KimiContentFilterError,
        KimiContextLengthError,
        KimiAuthenticationError,
        KimiPermissionDeniedError,
        KimiNotFoundError,
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
    if error_class is None:
        return error
    adapted = error_class.__new__(error_class)
    adapted.args = error.args
    adapted.__dict__.update(error.__dict__)
    return adapted
