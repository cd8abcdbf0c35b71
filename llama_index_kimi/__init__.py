"""Kimi models of Moonshot AI for LlamaIndex: `Kimi`, an LLM with thinking and tools."""

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

__all__ = [
    "Kimi",
    "KimiError",
    "KimiFileReader",
    "KimiFormulaError",
    "KimiFormulaToolSpec",
    "KimiMissingKeyError",
    "KimiRequestError",
    "KimiStreamError",
    "KimiStructuredOutputError",
    "KimiTokenizer",
    "KimiToolChoiceError",
    "KimiWarning",
    "KimiWebSearchToolSpec",
    "__version__",
    "ashow",
    "show",
]
