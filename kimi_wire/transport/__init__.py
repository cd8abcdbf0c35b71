"""The way to the server: keys and hosts, the openai SDK, and the HTTP library below it.

`keys` finds the key or asks for it, `connection` holds the clients, `courier` sends each attempt and marks refusals for
the SDK's retries, `library` finds out which HTTP library is below, `aiohttp` is the faster way of asynchronous calls
where its extra is installed, `bodies` bounds what is read, `secrets` is what no repr shows. Nothing here knows what a
chat is.
"""

from __future__ import annotations

from kimi_wire.transport.aiohttp import is_usable as uses_aiohttp
from kimi_wire.transport.bodies import whole
from kimi_wire.transport.connection import (
    BASE_URL_VARIABLES,
    CERTIFICATE_VARIABLES,
    DEFAULT_BASE_URL,
    DEFAULT_MAX_RETRIES,
    PROXY_VARIABLES,
    KimiConnection,
    body_argument,
    resolve_base_url,
    write_body,
)
from kimi_wire.transport.keys import KEY_VARIABLES, ApiKey, KeyFunction, hiding_secrets, plain_secret, resolve_api_key
from kimi_wire.transport.library import http_library, response_class
from kimi_wire.transport.secrets import HiddenText, resolve_headers

__all__ = [
    "BASE_URL_VARIABLES",
    "CERTIFICATE_VARIABLES",
    "DEFAULT_BASE_URL",
    "DEFAULT_MAX_RETRIES",
    "KEY_VARIABLES",
    "PROXY_VARIABLES",
    "ApiKey",
    "HiddenText",
    "KeyFunction",
    "KimiConnection",
    "body_argument",
    "hiding_secrets",
    "http_library",
    "plain_secret",
    "resolve_api_key",
    "resolve_base_url",
    "resolve_headers",
    "response_class",
    "uses_aiohttp",
    "whole",
    "write_body",
]
