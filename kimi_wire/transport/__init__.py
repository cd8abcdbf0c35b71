"""The way to the server: keys and hosts, the openai SDK, and the HTTP library below it.

`connection` holds the clients, `courier` sends each attempt and marks refusals for the SDK's retries, `library` finds
out which HTTP library is below, `aiohttp` is the faster way of asynchronous calls where its extra is installed. Nothing
here knows what a chat is.
"""

from __future__ import annotations

from kimi_wire.transport.connection import (
    BASE_URL_VARIABLES,
    DEFAULT_MAX_RETRIES,
    KEY_VARIABLES,
    KimiConnection,
    body_argument,
    cause_of,
    resolve_api_key,
    resolve_base_url,
    translated,
)
from kimi_wire.transport.library import http_library, response_class

__all__ = [
    "BASE_URL_VARIABLES",
    "DEFAULT_MAX_RETRIES",
    "KEY_VARIABLES",
    "KimiConnection",
    "body_argument",
    "cause_of",
    "http_library",
    "resolve_api_key",
    "resolve_base_url",
    "response_class",
    "translated",
]
