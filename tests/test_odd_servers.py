"""Servers that speak HTTP oddly: the error has its class and words, in both adapters, all four ways, over both transports."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from kimi_wire.errors import KimiRateLimitError, KimiStatusError
from tests.test_odd_answers import WAYS, hear_from
from tests.wire.test_aiohttp import read_request, serving

pytestmark = pytest.mark.both_transports

KEY = "sk-secret-0123456789abcdef"
REFUSAL = json.dumps({"error": {"message": "no more", "type": "rate_limit_reached_error"}}).encode()

everywhere = pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
in_all_ways = pytest.mark.parametrize("way", WAYS)


def refusing(status: int, header: bytes) -> Callable[[socket.socket], None]:
    """What answers each request with one refusal, whose headers have bytes of one's own."""

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        lines = (b"HTTP/1.1 %d No" % status, header, b"Connection: close", b"Content-Length: %d" % len(REFUSAL))
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + REFUSAL)

    return answer


def failure_of(port: int, adapter: str, way: str, **settings: Any) -> KimiStatusError:
    with pytest.raises(KimiStatusError) as caught:
        asyncio.run(hear_from(f"http://127.0.0.1:{port}/v1", adapter, way, api_key=KEY, **settings))
    return caught.value


# --- bytes of headers that are no ASCII ---

ODD_HEADERS = {
    "utf-8": "X-Error-Message: 余额不足".encode(),
    "latin-1": b"X-Error-Message: caf\xe9",
    "wait": b"Retry-After: \xff\xfe",
    "retry": b"X-Should-Retry: \xff",
    "id": b"X-Request-Id: \xff",
    "charset": b"Content-Type: \xff/\xe4; charset=\xff",
    "encoding": b"Content-Encoding: \xff",
    "cookie": b"Set-Cookie: a=\xff\xe4",
    "place": b"Location: \xff",
}


@everywhere
@in_all_ways
@pytest.mark.parametrize("name", ODD_HEADERS)
def test_bytes_of_a_header_do_not_replace_the_error(adapter: str, way: str, name: str) -> None:
    with serving(refusing(429, ODD_HEADERS[name])) as port:
        error = failure_of(port, adapter, way)
    assert isinstance(error, KimiRateLimitError)
    assert error.status_code == 429
    assert error.type == "rate_limit_reached_error"
    assert "no more (HTTP 429" in str(error)


def test_an_error_has_the_headers_as_they_were_sent() -> None:
    with serving(refusing(429, ODD_HEADERS["utf-8"])) as port:
        assert failure_of(port, "langchain", "whole").response.headers["x-error-message"] == "余额不足"
    with serving(refusing(429, ODD_HEADERS["latin-1"])) as port:
        assert failure_of(port, "langchain", "whole").response.headers["x-error-message"] == "café"


ODD_PLACES = {
    "byte": (b"\xff", "/v1/chat/ÿ"),
    "host": (b"http://\xff/", "http://ÿ/"),
    "control": (b"http://\x01", "http://\x01"),
    "port": (b"http://a:b", "http://a:b"),
    "bracket": (b"http://[", "http://["),
    "idna": ("http://xn--ä.example/".encode(), "http://xn--ä.example/"),
    "long": (b"/" + b"a" * 7000, "/aaaa"),
    "key": (b"/to/" + KEY.encode(), "/to/***"),
}


@everywhere
@in_all_ways
@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("name", ODD_PLACES)
def test_a_redirect_to_no_address_is_an_error_that_says_where(adapter: str, way: str, name: str, status: int) -> None:
    sent, shown = ODD_PLACES[name]
    with serving(refusing(status, b"Location: " + sent)) as port:
        error = failure_of(port, adapter, way)
    assert error.status_code == status
    assert "redirects to " in str(error)
    assert shown in str(error)
    assert len(str(error)) < 1000


@everywhere
@in_all_ways
@pytest.mark.parametrize("header", [b"X-Asked-With: Bearer ", b"X-Key: "])
def test_a_header_that_repeats_the_key_is_blanked(adapter: str, way: str, header: bytes) -> None:
    """LangChain's tracers write the headers of an error's response."""
    with serving(refusing(429, header + KEY.encode())) as port:
        error = failure_of(port, adapter, way)
    assert KEY not in repr(error.response.headers.raw)
    assert b"***" in dict(error.response.headers.raw)[header.partition(b":")[0]]
