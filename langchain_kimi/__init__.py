"""LangChain chat model for Moonshot's Kimi models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import langchain_core  # noqa: F401 # only whether it is there
except ImportError as error:
    raise ImportError('langchain_kimi needs LangChain: pip install "kimi-adapters[langchain]"') from error

from kimi_wire import __version__
from kimi_wire.errors import KimiError, KimiFormulaError, KimiMissingKeyError, KimiWarning
from langchain_kimi.chat_models import ChatKimi
from langchain_kimi.display import ashow, show
from langchain_kimi.files import KimiFileLoader, KimiFileParser
from langchain_kimi.formulas import KimiFormulaTool, KimiFormulaToolkit
from langchain_kimi.web_search import KimiWebSearch

if TYPE_CHECKING:
    from langchain_kimi.errors import (
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
        KimiRequestError,
        KimiResponseError,
        KimiServerError,
        KimiStatusError,
        KimiStreamError,
        KimiTimeoutError,
        KimiToolChoiceError,
        KimiUnprocessableEntityError,
    )

__all__ = [
    "ChatKimi",
    "KimiAPIError",
    "KimiAuthenticationError",
    "KimiBadRequestError",
    "KimiConflictError",
    "KimiConnectionError",
    "KimiContentFilterError",
    "KimiContextLengthError",
    "KimiError",
    "KimiFileLoader",
    "KimiFileParser",
    "KimiFormulaError",
    "KimiFormulaTool",
    "KimiFormulaToolkit",
    "KimiMissingKeyError",
    "KimiNotFoundError",
    "KimiPermissionDeniedError",
    "KimiQuotaError",
    "KimiRateLimitError",
    "KimiRequestError",
    "KimiResponseError",
    "KimiServerError",
    "KimiStatusError",
    "KimiStreamError",
    "KimiTimeoutError",
    "KimiToolChoiceError",
    "KimiUnprocessableEntityError",
    "KimiWarning",
    "KimiWebSearch",
    "__version__",
    "ashow",
    "show",
]


def __getattr__(name: str) -> Any:
    """Import the error classes, and with them the openai SDK, when somebody asks for one."""
    if name in __all__:
        from langchain_kimi import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
