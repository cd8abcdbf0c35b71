"""LangChain chat model for Moonshot's Kimi models."""

# ruff: noqa: E402 # whether the framework is there is said before anything needs it

from __future__ import annotations

from typing import TYPE_CHECKING

from kimi_wire import __version__
from kimi_wire.errors import KimiError, KimiFormulaError, KimiMissingKeyError, KimiWarning
from kimi_wire.lazy import lazy_names, require

require("langchain_core", package="langchain_kimi", title="LangChain", extra="langchain")

from langchain_kimi.chat_models import ChatKimi
from langchain_kimi.costs import KimiCostCallbackHandler, get_kimi_cost_callback
from langchain_kimi.display import ashow, show
from langchain_kimi.files import KimiFileLoader, KimiFileParser
from langchain_kimi.formulas import KimiFormulaTool, KimiFormulaToolkit
from langchain_kimi.web_search import KimiWebSearch

if TYPE_CHECKING:
    from langchain_kimi.caching import KimiPromptCachingMiddleware
    from langchain_kimi.errors import (
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
        KimiRefusalError,
        KimiRequestError,
        KimiResponseError,
        KimiServerError,
        KimiStatusError,
        KimiStreamError,
        KimiTimeoutError,
        KimiToolChoiceError,
        KimiUnprocessableEntityError,
    )
    from langchain_kimi.tool_search import KimiToolSearchMiddleware, tool_documents

__all__ = [
    "ChatKimi",
    "KimiAPIError",
    "KimiAuthenticationError",
    "KimiBadRequestError",
    "KimiConflictError",
    "KimiConnectionError",
    "KimiContentFilterError",
    "KimiContextLengthError",
    "KimiCostCallbackHandler",
    "KimiEmptyAnswerError",
    "KimiError",
    "KimiFileLoader",
    "KimiFileParser",
    "KimiFormulaError",
    "KimiFormulaTool",
    "KimiFormulaToolkit",
    "KimiMissingKeyError",
    "KimiNotFoundError",
    "KimiPermissionDeniedError",
    "KimiPromptCachingMiddleware",
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
    "KimiToolSearchMiddleware",
    "KimiUnprocessableEntityError",
    "KimiWarning",
    "KimiWebSearch",
    "__version__",
    "ashow",
    "get_kimi_cost_callback",
    "show",
    "tool_documents",
]


# The error classes, and with them the openai SDK; what needs LangChain's agents, which are a package of their own.
__getattr__ = lazy_names(
    __name__,
    {
        "errors": " ".join(__all__),
        "caching": "KimiPromptCachingMiddleware",
        "tool_search": "KimiToolSearchMiddleware tool_documents",
    },
)
