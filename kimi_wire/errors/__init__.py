"""Every error and warning of the project, and what is read out of a server's refusal.

`classes` has the errors that need no SDK. `api` has those that carry a server's answer, each of the openai class for
its status: it imports the SDK, so its names are handed on without importing it before somebody asks. `refusals` reads
what a server said, `hints` says what to do about it, `exchange` what may be said of a request without a secret.

What happens on a 429: the courier (`kimi_wire.transport.courier`) has `refusals` read the answer, and tells the SDK in
its headers whether to ask again; the last one goes on as an error of the SDK, which `api.translate_error` makes one of
ours, with the refusal that was read and a line of `hints`. An adapter may give it a class of its framework (`remade`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kimi_wire.errors.classes import (
    KimiEmptyAnswerError,
    KimiError,
    KimiFormulaError,
    KimiMissingKeyError,
    KimiRefusalError,
    KimiRequestError,
    KimiResponseError,
    KimiStreamError,
    KimiToolChoiceError,
    KimiWarning,
    StreamedError,
    remade,
)
from kimi_wire.lazy import lazy_names

if TYPE_CHECKING:
    from kimi_wire.errors.api import (
        KimiAPIError,
        KimiAuthenticationError,
        KimiBadRequestError,
        KimiConflictError,
        KimiConnectionError,
        KimiContentFilterError,
        KimiContextLengthError,
        KimiNotFoundError,
        KimiPermissionDeniedError,
        KimiQuotaError,
        KimiRateLimitError,
        KimiServerError,
        KimiStatusError,
        KimiTimeoutError,
        KimiUnprocessableEntityError,
        bare,
        cause_of,
        reword,
        translate_error,
        translate_stream_error,
        translated,
    )
    from kimi_wire.errors.exchange import (
        attempt_of,
        excerpt,
        excerpt_of_refusal,
        parse_request_id,
        proxy_to,
        public_proxy,
        public_url,
    )
    from kimi_wire.errors.hints import REGIONS
    from kimi_wire.errors.refusals import advise_retry, mask, parse_refusal, refusal_of

__all__ = [
    "REGIONS",
    "KimiAPIError",
    "KimiAuthenticationError",
    "KimiBadRequestError",
    "KimiConflictError",
    "KimiConnectionError",
    "KimiContentFilterError",
    "KimiContextLengthError",
    "KimiEmptyAnswerError",
    "KimiError",
    "KimiFormulaError",
    "KimiMissingKeyError",
    "KimiNotFoundError",
    "KimiPermissionDeniedError",
    "KimiQuotaError",
    "KimiRateLimitError",
    "KimiRefusalError",
    "KimiRequestError",
    "KimiResponseError",
    "KimiServerError",
    "KimiStatusError",
    "KimiStreamError",
    "KimiTimeoutError",
    "KimiToolChoiceError",
    "KimiUnprocessableEntityError",
    "KimiWarning",
    "StreamedError",
    "advise_retry",
    "attempt_of",
    "bare",
    "cause_of",
    "excerpt",
    "excerpt_of_refusal",
    "mask",
    "parse_refusal",
    "parse_request_id",
    "proxy_to",
    "public_proxy",
    "public_url",
    "refusal_of",
    "remade",
    "reword",
    "translate_error",
    "translate_stream_error",
    "translated",
]

__getattr__ = lazy_names(
    __name__,
    {
        "exchange": "attempt_of excerpt excerpt_of_refusal parse_request_id proxy_to public_proxy public_url",
        "hints": "REGIONS",
        "api": (
            "KimiAPIError KimiAuthenticationError KimiBadRequestError KimiConflictError KimiConnectionError "
            "KimiContentFilterError KimiContextLengthError KimiNotFoundError KimiPermissionDeniedError "
            "KimiQuotaError KimiRateLimitError KimiServerError KimiStatusError KimiTimeoutError "
            "KimiUnprocessableEntityError translate_error translate_stream_error "
            "translated cause_of bare reword"
        ),
        "refusals": "advise_retry mask parse_refusal refusal_of",
    },
)
