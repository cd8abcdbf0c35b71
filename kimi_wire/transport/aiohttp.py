"""The SDK's client over aiohttp: about half of httpx's processor time where many calls run at once."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import AsyncIterator
from typing import Any
from urllib.request import getproxies

from kimi_wire.transport.library import library_of

_LARGE = 1 << 20  # bytes
_PIECE = 1 << 16


def is_usable() -> bool:
    """Whether asynchronous calls go over aiohttp: the extra `aiohttp` is installed, and the environment's proxies fit.

    openai 3 has its own copy of httpx-aiohttp and asks for aiohttp only, which llama-index-core brings along: the
    package httpx-aiohttp says that it is wanted.
    """
    if importlib.util.find_spec("httpx_aiohttp") is None:
        return False
    # No SOCKS, and no https:// before Python 3.11 (https://docs.aiohttp.org/en/stable/client_advanced.html#proxy-support);
    # a password is handed on in a way that goes with aiohttp 4 ("BasicAuth is deprecated").
    proxies = [url for scheme, url in getproxies().items() if scheme in ("http", "https", "all")]
    return all("@" not in url and ("://" not in url or url.lower().startswith("http://")) for url in proxies)


def make_client(**options: Any) -> Any:
    """Make an asynchronous HTTP client with the SDK's defaults.

    Args:
        options: Arguments of the HTTP library's client.
    """
    return _client_class()(**options)


@functools.cache
def _client_class() -> Any:
    import openai

    client_class: Any = openai.DefaultAioHttpClient
    http: Any = library_of(client_class, "AsyncClient")

    class Pieces(http.AsyncByteStream):  # type: ignore[misc] # a base known only at run time
        def __init__(self, content: bytes) -> None:
            self._content = content

        async def __aiter__(self) -> AsyncIterator[bytes]:
            for start in range(0, len(self._content), _PIECE):
                yield self._content[start : start + _PIECE]

    class AiohttpClient(client_class):  # type: ignore[misc] # a base known only at run time
        async def send(self, request: Any, **kwargs: Any) -> Any:
            try:
                content = request.content
            except http.RequestNotRead:  # a stream already
                content = b""
            # "Sending a large body directly with raw bytes might lock the event loop", a ResourceWarning of aiohttp.
            if len(content) > _LARGE:
                request = http.Request(
                    request.method,
                    request.url,
                    headers=request.headers,
                    stream=Pieces(content),
                    extensions=request.extensions,
                )
            return await super().send(request, **kwargs)

    return AiohttpClient
