"""What Kimi says on the wire: model families, requests, answers, streams, errors and the way to the server.

Shared by `langchain_kimi` and `llama_index_kimi`; imports no framework. The openai SDK is imported with the first call.
"""

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

__version__ = "0.1.0"

__all__ = [
    "KimiError",
    "KimiFormulaError",
    "KimiMissingKeyError",
    "KimiRequestError",
    "KimiResponseError",
    "KimiStreamError",
    "KimiToolChoiceError",
    "KimiWarning",
    "Profile",
    "profile_for",
]
