"""What Kimi says on the wire: model families, requests, answers, streams, errors and the way to the server.

Shared by `langchain_kimi` and `llama_index_kimi`; imports no framework. The openai SDK is imported with the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kimi_wire.errors import (
    KimiError,
    KimiFormulaError,
    KimiMissingKeyError,
    KimiRefusalError,
    KimiRequestError,
    KimiResponseError,
    KimiStreamError,
    KimiToolChoiceError,
    KimiWarning,
)
from kimi_wire.lazy import lazy_names
from kimi_wire.profiles import Profile, profile_for

if TYPE_CHECKING:
    from kimi_wire.endpoints import Balance, FileInfo, KimiFiles, KimiPlatform, ModelInfo
    from kimi_wire.prices import Cost, Spending, cost

__version__ = "0.1.0"

__all__ = [
    "Balance",
    "Cost",
    "FileInfo",
    "KimiError",
    "KimiFiles",
    "KimiFormulaError",
    "KimiMissingKeyError",
    "KimiPlatform",
    "KimiRefusalError",
    "KimiRequestError",
    "KimiResponseError",
    "KimiStreamError",
    "KimiToolChoiceError",
    "KimiWarning",
    "ModelInfo",
    "Profile",
    "Spending",
    "cost",
    "profile_for",
]

__getattr__ = lazy_names(
    __name__,
    {"endpoints": "Balance FileInfo KimiFiles KimiPlatform ModelInfo", "prices": "Cost Spending cost"},
)
