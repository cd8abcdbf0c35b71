"""Kimi models of Moonshot AI for LlamaIndex: `Kimi`, an LLM with thinking and tools."""

# ruff: noqa: E402 # whether the framework is there is said before anything needs it

from __future__ import annotations

from typing import TYPE_CHECKING

from kimi_wire import (
    KimiError,
    KimiFormulaError,
    KimiMissingKeyError,
    KimiRefusalError,
    KimiRequestError,
    KimiResponseError,
    KimiStreamError,
    KimiToolChoiceError,
    KimiWarning,
    __version__,
)
from kimi_wire.lazy import lazy_names, require

require("llama_index.core", package="llama_index_kimi", title="LlamaIndex", extra="llama-index")

from llama_index_kimi.base import Kimi
from llama_index_kimi.caching import prompt_cache_session
from llama_index_kimi.costs import KimiCostHandler
from llama_index_kimi.display import ashow, show
from llama_index_kimi.files import KimiFileReader
from llama_index_kimi.formulas import KimiFormulaToolSpec
from llama_index_kimi.structured import KimiStructuredOutputError
from llama_index_kimi.tokens import KimiTokenizer
from llama_index_kimi.web_search import KimiWebSearchToolSpec

if TYPE_CHECKING:
    from kimi_wire.errors import (
        KimiAPIError,
        KimiAuthenticationError,
        KimiBadRequestError,
        KimiConflictError,
        KimiConnectionError,
        KimiContentFilterError,
        KimiContextLengthError,
        KimiEmptyAnswerError,
        KimiNotFoundError,
        KimiPermissionDeniedError,
        KimiQuotaError,
        KimiRateLimitError,
        KimiServerError,
        KimiStatusError,
        KimiTimeoutError,
        KimiUnprocessableEntityError,
    )

__all__ = [
    "Kimi",
    "KimiAPIError",
    "KimiAuthenticationError",
    "KimiBadRequestError",
    "KimiConflictError",
    "KimiConnectionError",
    "KimiContentFilterError",
    "KimiContextLengthError",
    "KimiCostHandler",
    "KimiEmptyAnswerError",
    "KimiError",
    "KimiFileReader",
    "KimiFormulaError",
    "KimiFormulaToolSpec",
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
    "KimiStructuredOutputError",
    "KimiTimeoutError",
    "KimiTokenizer",
    "KimiToolChoiceError",
    "KimiUnprocessableEntityError",
    "KimiWarning",
    "KimiWebSearchToolSpec",
    "__version__",
    "ashow",
    "prompt_cache_session",
    "show",
]


# The server's errors, and with them the openai SDK.
__getattr__ = lazy_names(__name__, {"kimi_wire.errors": " ".join(__all__)})
