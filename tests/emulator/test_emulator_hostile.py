"""The emulator as a server among hostile clients: what it bounds, blanks and refuses."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from kimi_emulator import KimiEmulator, RecordedRequest
from kimi_emulator.scripting import RequestLog

Send = Callable[..., Any]
HELLO = json.dumps({"model": "kimi-k3", "messages": [{"role": "user", "content": "Hello"}]}).encode()
SECRET = "sk-secret-0123456789"


def speak(kimi: KimiEmulator, *headers: str, body: bytes = b"", path: str = "/v1/models", host: str = "") -> int:
    """Send headers of one's own, and give the status of the answer."""
    url = urlsplit(kimi.base_url)
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: {host or url.netloc}", *headers]
    with socket.create_connection((url.hostname, url.port or 0), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "Authorization: Bearer sk-test", "", ""]).encode("latin-1") + body)
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()
        return response.status


# --- who asks, and how much is to be read ---


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", "[", "@"]
)
def test_a_page_of_the_web_that_leads_here_is_refused(kimi: KimiEmulator, host: str) -> None:
    assert speak(kimi, host=host) == 421
    assert kimi.requests[-1].rejected


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9", "kimi.localhost", "192.168.0.7:8000"]
)
def test_the_machine_itself_is_let_in(kimi: KimiEmulator, host: str) -> None:
    assert speak(kimi, host=host) == 200


@pytest.mark.parametrize("length", ["-1", "+5", "5.0", "x", "", "٣", "1_0", "0x5"])
def test_a_length_that_is_no_number_is_refused(kimi: KimiEmulator, length: str) -> None:
    header = f"Content-Length: {length}".encode().decode("latin-1")
    assert speak(kimi, header, body=HELLO, path="/v1/chat/completions") == 400


@pytest.mark.parametrize("length", ["9" * 20, "9" * 5000])
def test_a_length_of_many_digits_is_too_much(kimi: KimiEmulator, length: str) -> None:
    assert speak(kimi, f"Content-Length: {length}", body=HELLO, path="/v1/chat/completions") == 413


def test_two_lengths_are_none(kimi: KimiEmulator) -> None:
    headers = ("Content-Length: 5", f"Content-Length: {len(HELLO)}")
    assert speak(kimi, *headers, body=HELLO, path="/v1/chat/completions") == 400


def test_a_body_in_chunks_is_not_taken_for_the_next_request(kimi: KimiEmulator) -> None:
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n"
    assert speak(kimi, "Transfer-Encoding: chunked", body=smuggled, path="/v1/chat/completions") == 411
    assert len(kimi.requests) == 1


@pytest.mark.parametrize("path", ["//[", "http://[/v1/models", "*", "/v1/models/%"])
def test_paths_that_are_none_are_not_found(kimi: KimiEmulator, path: str) -> None:
    assert speak(kimi, path=path) == 404


# --- the log ---


def test_the_log_has_no_key(kimi: KimiEmulator, http_send: Send) -> None:
    http_send(kimi, json.loads(HELLO), key=SECRET)
    (request,) = kimi.requests
    assert SECRET not in repr(vars(request)) + repr(request) + repr(kimi.requests)
    assert request.headers["authorization"] == "Bearer ***"
    assert request.had_key(SECRET)
    assert not request.had_key("")
    assert not request.had_key(SECRET[:-1])


def test_what_a_failed_assertion_prints_is_short_and_has_no_headers() -> None:
    headers = {"x-api-key": SECRET, "proxy-authorization": f"Basic {SECRET}", "authorization": SECRET}
    request = RecordedRequest("POST", "/v1/x", headers, {"a": "b" * 100_000}, b"c" * 100_000, status=200)
    assert SECRET not in repr(request)
    assert len(repr(request)) < 300
    assert {name for name, value in request.headers.items() if SECRET in value} == {"x-api-key"}
    assert headers["authorization"] == SECRET, "the caller's are not changed"


def test_the_log_forgets_the_oldest() -> None:
    log = RequestLog()
    log.most = 10_000
    for size in (10, 4000, 3000, 50_000, 10):
        log.add(RecordedRequest("GET", "/", {}, None, b"x" * size))
    assert [len(request.raw) for request in log] == [10]
    log.add(RecordedRequest("GET", "/", {}, None, b"x" * 500_000))
    assert [len(request.raw) for request in log] == [500_000], "the newest is kept"
    log.clear()
    log.add(RecordedRequest("GET", "/", {}, None, b""))
    assert len(log) == 1
