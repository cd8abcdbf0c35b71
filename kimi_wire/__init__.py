"""What Kimi says on the wire: model families, requests, answers, streams, errors and the way to the server.

Shared by `langchain_kimi` and `llama_index_kimi`; imports no framework. The openai SDK is imported with the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kimi_wire.errors import (
    KimiError,
    KimiFormulaError,
    KimiMissingKeyError,
    KimiRequestError,
    KimiResponseError,
    KimiStreamError,
    KimiToolChoiceError,
    KimiWarning,
)
from kimi_wire.profiles import Profile, profile_for

if TYPE_CHECKING:
    from kimi_wire.files import FileInfo, KimiFiles
    from kimi_wire.platform import Balance, KimiPlatform, ModelInfo

__version__ = "0.1.0"

__all__ = [
    "Balance",
    "FileInfo",
    "KimiError",
    "KimiFiles",
    "KimiFormulaError",
    "KimiMissingKeyError",
    "KimiPlatform",
    "KimiRequestError",
    "KimiResponseError",
    "KimiStreamError",
    "KimiToolChoiceError",
    "KimiWarning",
    "ModelInfo",
    "Profile",
    "profile_for",
]

_LAZY = {
    "Balance": "platform",
    "FileInfo": "files",
    "KimiFiles": "files",
    "KimiPlatform": "platform",
    "ModelInfo": "platform",
}


def __getattr__(name: str) -> Any:
    """Import the other endpoints when somebody asks for one: most programs only chat."""
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"kimi_wire.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
