"""Bodies that are no streams, read up to a limit: 400 kB that unpack to 400 MB took 2.5 GB as an error.

Deliberately absent: an error of the courier's for a body that is too large. The SDK would take it for a lost
connection, and ask twice more. The body is cut, and `whole` refuses it above the SDK.
"""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import Any

from kimi_wire.errors import KimiResponseError, parse_request_id

MAX_BODY_BYTES = 128 * 1024 * 1024
"""Unpacked. The platform's files have 100 MB at most, and their text is the largest thing that it sends."""

MAX_REFUSAL_BYTES = 1024 * 1024
"""The same for an error, of whose words some hundred are told."""

PACKINGS = "gzip, deflate"
"""What a body may be packed by, as the server is told."""

_CUT = "kimi_cut"

# The pair differs by `async` and `await` only; tests/test_architecture.py compares it.


def read(response: Any) -> None:
    """Read a response's body, up to its limit, and close it."""
    body = _Body(response)
    try:
        if can_be_counted(response):
            with closing(response.iter_bytes()) as pieces:
                for piece in pieces:
                    if not body.take(piece):
                        break
    finally:
        response.close()
    body.keep()


async def aread(response: Any) -> None:
    """The asynchronous twin of `read`."""
    body = _Body(response)
    try:
        if can_be_counted(response):
            async with aclosing(response.aiter_bytes()) as pieces:
                async for piece in pieces:
                    if not body.take(piece):
                        break
    finally:
        await response.aclose()
    body.keep()


def can_be_counted(response: Any) -> bool:
    """Whether a body can be unpacked piece by piece: gzip makes a thousand bytes of one at most.

    Packed twice it is a million, and brotli makes 100 MB of 158 bytes, in one piece, before anybody can count them.
    """
    packings = (response.headers.get("content-encoding") or "").lower()
    return "," not in packings and packings.strip() not in ("br", "zstd")


def whole(response: Any) -> Any:
    """A response, if its body was read to its end.

    Raises:
        KimiResponseError: It was not.
    """
    if response.extensions.get(_CUT):
        raise KimiResponseError(
            f"The server's answer is larger than {MAX_BODY_BYTES} bytes, or packed otherwise than by gzip or deflate, "
            "once, which none of the API is. Check the base_url.",
            request_id=parse_request_id(response.headers),
        )
    return response


class _Body:
    """What is read of a response."""

    def __init__(self, response: Any) -> None:
        self._response = response
        self._left = MAX_REFUSAL_BYTES if response.status_code >= 300 else MAX_BODY_BYTES
        self._pieces: list[bytes] = []
        response.extensions[_CUT] = not can_be_counted(response)

    def take(self, piece: bytes) -> bool:
        """Take a piece, or what there is room for; says whether that was all of it."""
        self._pieces.append(piece[: self._left])
        fits = len(piece) <= self._left
        self._left -= len(self._pieces[-1])
        self._response.extensions[_CUT] = not fits
        return fits

    def keep(self) -> None:
        """Make it the response's content, as if that had been read by itself."""
        self._response.iter_bytes = lambda: iter(self._pieces)
        try:
            self._response.read()
        finally:
            del self._response.iter_bytes
