"""Kimi models of Moonshot AI for LlamaIndex: `Kimi`, an LLM with thinking and tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import llama_index.core  # noqa: F401
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "llama_index":
        raise
    raise ImportError('llama_index_kimi needs LlamaIndex: pip install "kimi-adapters[llama-index]"') from error

from kimi_wire import (
    KimiError,
    KimiFormulaError,
    KimiMissingKeyError,
    KimiRequestError,
    KimiResponseError,
    KimiStreamError,
    KimiToolChoiceError,
    KimiWarning,
    __version__,
)
from llama_index_kimi.base import Kimi
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
    "KimiError",
    "KimiFileReader",
    "KimiFormulaError",
    "KimiFormulaToolSpec",
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
    "KimiStructuredOutputError",
    "KimiTimeoutError",
    "KimiTokenizer",
    "KimiToolChoiceError",
    "KimiUnprocessableEntityError",
    "KimiWarning",
    "KimiWebSearchToolSpec",
    "__version__",
    "ashow",
    "show",
]


def __getattr__(name: str) -> Any:
    """Import the server's errors, and with them the openai SDK, when somebody asks for one."""
    if name in __all__:
        from kimi_wire import errors

        return getattr(errors, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
