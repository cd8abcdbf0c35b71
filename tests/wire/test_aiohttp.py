"""Asynchronous calls over aiohttp: when they go over it, and what it says otherwise than httpx."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire import KimiFiles
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.errors import KimiConnectionError, KimiStreamError, KimiTimeoutError
from kimi_wire.transport import aiohttp as aiohttp_client
from kimi_wire.transport.connection import default_async_client
from tests.loopback import certificate, needs_openssl, read_request, serving
from tests.wire.test_client import SECRET, request

pytestmark = pytest.mark.both_transports

installed = pytest.mark.skipif(
    importlib.util.find_spec("httpx_aiohttp") is None, reason="the extra `aiohttp` is not installed"
)


ANSWER = json.dumps(
    {"id": "1", "object": "chat.completion", "created": 1, "model": "kimi-k2.6",
     "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}
).encode()  # fmt: skip


def answer_plainly(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(ANSWER), ANSWER)
    )


def ask(base_url: str, way: str, **options: Any) -> str:
    async def main() -> str:
        client = KimiClient(api_key=SECRET, base_url=base_url, **{"max_retries": 0, **options})
        if way == "acomplete":
            return (await client.acomplete(request())).choice.content
        return [item async for item in client.astream(request(stream=True))][-1].choice.content  # type: ignore[union-attr]

    return asyncio.run(main())


WAYS = ["acomplete", "astream"]


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def reset_unread(connection: socket.socket) -> None:
    connection.recv(1)
    reset(connection)


def close_unread(connection: socket.socket) -> None:
    connection.recv(65536)


def speak_nonsense(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"220 mail.example ESMTP\r\n\r\n")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [reset_unread, close_unread, speak_nonsense])
def test_a_lost_connection_is_no_timeout(way: str, fault: Callable[[socket.socket], None]) -> None:
    with serving(fault) as port, pytest.raises(KimiConnectionError, match="failed in the middle") as caught:
        ask(f"http://127.0.0.1:{port}/v1", way)
    assert not isinstance(caught.value, openai.APITimeoutError)


@installed
def test_a_lost_connection_of_a_users_own_aiohttp_client_is_none_either() -> None:
    async def main(port: int) -> None:
        async with openai.DefaultAioHttpClient() as own:
            client = KimiClient(
                api_key=SECRET, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0, http_async_client=own
            )
            await client.acomplete(request())

    with serving(close_unread) as port, pytest.raises(KimiConnectionError, match="failed in the middle"):
        asyncio.run(main(port))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.slow
def test_a_silent_server_is_a_timeout(kimi: KimiEmulator, way: str) -> None:
    kimi.script(Reply("late", delay=600.0))
    with pytest.raises(KimiTimeoutError):
        ask(kimi.base_url, way, timeout=0.3)


@pytest.mark.parametrize("way", ["astream"])
def test_a_reset_in_the_middle_of_a_stream_breaks_it(way: str) -> None:
    def answer(connection: socket.socket) -> None:
        read_request(connection)
        chunk = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"%x\r\n%b\r\n" % (len(chunk), chunk))
        reset(connection)

    with serving(answer) as port, pytest.raises(KimiStreamError, match="broke in the middle"):
        ask(f"http://127.0.0.1:{port}/v1", way)


@pytest.mark.slow
async def test_large_bodies_arrive_whole_and_without_a_warning(kimi: KimiEmulator) -> None:
    """Also along a redirect and in a retry. aiohttp warns of bytes beyond 1 MiB: "might lock the event loop"."""
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, max_retries=1)
    text = "ä" * 700_000
    redirect = Failure(307, headers={"Location": "/v1/chat/completions"})
    kimi.script(redirect, Failure(500, headers={"Retry-After-Ms": "1"}), Reply("Hi"))
    assert (await client.acomplete(request(text=text, model="kimi-k3"))).choice.content == "Hi"
    assert [one.body["messages"][0]["content"] == text for one in kimi.requests] == [True] * 3
    await client.aclose()
    files = KimiFiles(SECRET, kimi.base_url)
    sent = await files.aupload(b"x" * 3_000_000, "a.txt")
    assert sent.size == 3_000_000
    await files.aclose()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user", ["", "me:hush@"])
def test_the_environments_proxy_is_used(monkeypatch: pytest.MonkeyPatch, way: str, user: str) -> None:
    heads = []

    def answer(connection: socket.socket) -> None:
        heads.append(read_request(connection)[0].decode())
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    with serving(answer) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://{user}127.0.0.1:{port}")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(openai.PermissionDeniedError):
            ask("http://kimi.invalid/v1", way)
        with pytest.raises(KimiConnectionError, match="was not reached"):
            ask("http://127.0.0.1:9/v1", way)
    (head,) = heads
    assert head.startswith("POST http://kimi.invalid/v1/chat/completions HTTP/1.1")
    assert f"basic {base64.b64encode(b'me:hush').decode()}".lower() in head.lower() or not user


@pytest.mark.slow
@needs_openssl
@pytest.mark.parametrize("way", ["acomplete"])
def test_certificates_are_checked_against_the_environments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    file, context = certificate(tmp_path)
    with serving(answer_plainly, context) as port:
        with pytest.raises(KimiConnectionError, match=r"was not reached: .*certificate"):
            ask(f"https://localhost:{port}/v1", way)
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        assert ask(f"https://localhost:{port}/v1", way) == "Hi"


@installed
class TestTheChoice:
    """Made anew for each event loop."""

    @pytest.fixture(autouse=True)
    def _no_proxies(self, monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
        monkeypatch.undo()  # of what holds the tests to httpx
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)

    async def _chosen(self) -> bool:
        client = default_async_client()
        await client.aclose()
        return isinstance(client, openai.DefaultAioHttpClient)

    async def test_aiohttp_where_its_extra_is_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert await self._chosen()
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        assert not await self._chosen()

    @pytest.mark.parametrize(
        ("proxy", "fits"),
        [
            ("http://127.0.0.1:1", True),
            ("127.0.0.1:1", True),
            ("http://me:hush@127.0.0.1:1", False),
            ("https://127.0.0.1:1", False),
            ("socks5://127.0.0.1:1", False),
        ],
    )
    def test_httpx_for_proxies_that_aiohttp_cannot_use(
        self, monkeypatch: pytest.MonkeyPatch, proxy: str, fits: bool
    ) -> None:
        monkeypatch.setenv("ALL_PROXY", proxy)
        assert aiohttp_client.is_usable() is fits
