"""Servers that speak HTTP oddly: the error has its class and words, in both adapters, all four ways, over both transports."""

from __future__ import annotations

import asyncio
import functools
import gzip
import json
import socket
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, Reply
from kimi_wire import KimiFiles
from kimi_wire.errors import KimiError, KimiRateLimitError, KimiResponseError, KimiStatusError
from kimi_wire.transport import bodies
from kimi_wire.transport.library import http_library
from langchain_kimi import ChatKimi
from tests.loopback import read_request, serving
from tests.test_odd_answers import WAYS, ask_langchain, hear_from

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


def read_whole(port: int, adapter: str, way: str, **settings: Any) -> KimiError:
    with pytest.raises(KimiError) as caught:
        asyncio.run(hear_from(f"http://127.0.0.1:{port}/v1", adapter, way, api_key=KEY, **settings))
    return caught.value


def failure_of(port: int, adapter: str, way: str, **settings: Any) -> KimiStatusError:
    error = read_whole(port, adapter, way, **settings)
    assert isinstance(error, KimiStatusError)
    return error


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


@in_all_ways
async def test_a_cookie_that_cannot_be_sent_does_not_break_the_next_call(kimi: KimiEmulator, way: str) -> None:
    """The library kept it, and wrote no further request: "'ascii' codec can't encode character"."""
    chat = ChatKimi(api_key=KEY, base_url=kimi.base_url, max_retries=0)
    for cookie in ("a=\xff", "\xff", "ok=1", "b=2"):
        kimi.script(Reply("Hi", headers={"Set-Cookie": cookie}))
        await ask_langchain(chat, way)
    assert kimi.requests[-1].headers["cookie"] == "ok=1"


@everywhere
@in_all_ways
def test_a_redirect_with_such_a_cookie_is_a_typed_error(adapter: str, way: str) -> None:
    def redirect(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(
            b"HTTP/1.1 307 No\r\nLocation: /x\r\nSet-Cookie: a=\xff\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        )

    with serving(redirect) as port, pytest.raises(KimiError):
        asyncio.run(hear_from(f"http://127.0.0.1:{port}/v1", adapter, way, api_key=KEY))


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


def is_refused_by_the_library(location: bytes) -> bool:
    """Whether the HTTP library keeps a redirect to itself: httpx, and httpx2 before 2.16, raise in its place."""
    http = http_library()
    redirect = http.Response(301, headers=[(b"location", location)])
    client = http.Client(transport=http.MockTransport(lambda request: redirect))
    try:
        client.get("http://127.0.0.1/", follow_redirects=False)
    except http.RemoteProtocolError:
        return True
    return False


@everywhere
@in_all_ways
@pytest.mark.parametrize("status", [301, 307])
@pytest.mark.parametrize("name", ODD_PLACES)
def test_a_redirect_to_no_address_is_an_error_that_says_where(adapter: str, way: str, name: str, status: int) -> None:
    sent, shown = ODD_PLACES[name]
    with serving(refusing(status, b"Location: " + sent)) as port:
        if is_refused_by_the_library(sent):
            assert "Invalid URL in location header" in str(read_whole(port, adapter, way))
            return
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


# --- bodies that do not end ---


def packing(status: int, body: bytes, packings: bytes, asked: list[bytes]) -> Callable[[socket.socket], None]:
    """What answers each request with a packed body."""

    def answer(connection: socket.socket) -> None:
        asked.append(read_request(connection)[0])
        encoding = b"\r\nContent-Encoding: " + packings if packings else b""
        head = b"HTTP/1.1 %d Ok\r\nConnection: close%s\r\nContent-Length: %d\r\n\r\n" % (status, encoding, len(body))
        connection.sendall(head + body)

    return answer


PACKED = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
}


@pytest.mark.says("docs/production.md", "Of an error 1 MB is read")
@everywhere
@in_all_ways
@pytest.mark.parametrize("packings", PACKED)
def test_an_error_of_any_length_is_read_as_far_as_it_is_told(
    adapter: str, way: str, packings: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bodies, "MAX_REFUSAL_BYTES", 3000)
    asked: list[bytes] = []
    body = PACKED[packings](b"<title>All is lost</title>" + b"lost " * 100_000)
    with serving(packing(503, body, packings.encode(), asked)) as port:
        error = read_whole(port, adapter, way)
    assert isinstance(error, KimiStatusError)
    assert error.status_code == 503
    assert ("All is lost" in str(error)) == ("," not in packings)
    assert len(error.response.content) <= 3000
    assert len(asked) == 1


@pytest.mark.says("docs/production.md", "of an answer that is no stream 128 MB, unpacked")
@everywhere
@pytest.mark.parametrize("way", ["whole", "awhole"])
@pytest.mark.parametrize("packings", PACKED)
def test_an_answer_of_any_length_is_refused_and_not_asked_for_again(
    adapter: str, way: str, packings: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 3000)
    asked: list[bytes] = []
    with serving(packing(200, PACKED[packings](b" " * 500_000), packings.encode(), asked)) as port:
        error = read_whole(port, adapter, way, max_retries=2)
    assert isinstance(error, KimiResponseError)
    assert "is larger than 3000 bytes" in str(error)
    assert len(asked) == 1


@everywhere
@in_all_ways
@pytest.mark.parametrize("packing_of_it", [b"gzip, gzip", b"br", b"zstd"])
def test_what_is_packed_without_measure_is_not_unpacked(adapter: str, way: str, packing_of_it: bytes) -> None:
    """Brotli makes 100 MB of 158 bytes, in one piece."""
    asked: list[bytes] = []
    with serving(packing(200, PACKED["gzip, gzip"](b"data: {}\n\n"), packing_of_it, asked)) as port:
        error = read_whole(port, adapter, way, max_retries=2)
    assert isinstance(error, KimiResponseError)
    assert "packed otherwise than by gzip" in str(error)
    assert len(asked) == 1
    assert b"\r\naccept-encoding: gzip, deflate\r\n" in asked[0].lower()


@pytest.mark.parametrize("call", ["list", "alist"])
def test_other_endpoints_are_bounded_too(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 3000)
    with serving(packing(200, gzip.compress(b" " * 500_000), b"gzip", [])) as port:
        files = KimiFiles(KEY, f"http://127.0.0.1:{port}/v1", max_retries=0)
        with pytest.raises(KimiResponseError, match="is larger than 3000 bytes"):
            files.list() if call == "list" else asyncio.run(files.alist())


@pytest.mark.parametrize("size", [2999, 3000])
def test_what_fits_is_whole(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MAX_BODY_BYTES", 3000)
    body = b'{"data": []}'.ljust(size)
    with serving(packing(200, gzip.compress(body), b"gzip", [])) as port:
        assert KimiFiles(KEY, f"http://127.0.0.1:{port}/v1").list() == []


@functools.cache
def bomb() -> bytes:
    packer = zlib.compressobj(wbits=31)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(400)), packer.flush()])


@pytest.mark.slow
@in_all_ways
@pytest.mark.parametrize("status", [200, 503])
def test_four_hundred_megabytes_are_not_kept(way: str, status: int) -> None:
    """As an error they took 2.5 GB and 16 s."""
    with serving(packing(status, bomb(), b"gzip", [])) as port:
        tracemalloc.start()
        try:
            error = read_whole(port, "langchain", way)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert isinstance(error, KimiStatusError if status == 503 else KimiResponseError)
    assert peak < (200 if status == 503 else 500) * 1_000_000
