"""Proxies and certificates, for real on this machine: what docs/recipes/network.md shows, and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import openai
import pytest

from kimi_emulator import KimiEmulator, Reply
from kimi_wire import KimiPlatform
from kimi_wire.errors import KimiConnectionError, KimiTimeoutError
from langchain_kimi import ChatKimi
from tests.examples import ROOT, fences, run_here
from tests.loopback import certificate, needs_openssl, over_tls, proxying, read_request, serving
from tests.test_odd_answers import hear_from

PAGE = ROOT / "docs" / "recipes" / "network.md"
WAYS = ["whole", "awhole", "stream", "astream"]


@dataclass
class Company:
    """A network that is left by a proxy alone, to a host whose certificate nobody knows.

    Attributes:
        base_url: The emulator, behind TLS.
        proxy: The proxy's URL.
        asked: What the proxy was asked for.
        certificates: The file that knows the host's.
    """

    base_url: str
    proxy: str
    asked: list[str]
    certificates: str


@pytest.fixture(scope="module")
def _certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def company(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, _certificate: tuple[Path, ssl.SSLContext]
) -> Iterator[Company]:
    for name in [name for name in os.environ if name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    file, context = _certificate
    port = urlsplit(kimi.base_url).port
    assert port
    with over_tls(port, context) as tls, proxying() as (proxy, asked):
        yield Company(f"https://localhost:{tls}/v1", proxy, asked, str(file))


@pytest.mark.says(
    "docs/recipes/network.md",
    "Both classes heed what other programs do, without a line of code:",
    "Where the extra `aiohttp` is installed, asynchronous calls go through the same proxies.",
)
@needs_openssl
@pytest.mark.both_transports
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_the_environments_proxy_and_certificates(
    company: Company, monkeypatch: pytest.MonkeyPatch, adapter: str, way: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", company.proxy)
    monkeypatch.setenv("SSL_CERT_FILE", company.certificates)
    assert asyncio.run(hear_from(company.base_url, adapter, way)).text
    assert company.asked == [f"CONNECT {urlsplit(company.base_url).netloc}"]
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert asyncio.run(hear_from(company.base_url, adapter, way)).text
    assert len(company.asked) == 1


@pytest.mark.says("docs/recipes/network.md", "A client given here is used as it is, for everything: `verify`, `proxy`")
@needs_openssl
@pytest.mark.parametrize("kind", ["DefaultAsyncHttpxClient", "DefaultAioHttpClient"])
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
async def test_a_clients_proxy_and_certificates(company: Company, adapter: str, kind: str) -> None:
    context = ssl.create_default_context(cafile=company.certificates)
    try:
        http_async_client = getattr(openai, kind)(proxy=company.proxy, verify=context)
    except RuntimeError:
        pytest.skip("the SDK's aiohttp transport is not installed")
    async with http_async_client as http:
        assert (await hear_from(company.base_url, adapter, "awhole", http_async_client=http)).text
    assert len(company.asked) == 1


@needs_openssl
def test_the_page_goes_through_the_proxy(
    company: Company, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", company.base_url)
    monkeypatch.setenv("COMPANY_PROXY", company.proxy)
    monkeypatch.setenv("COMPANY_CA", company.certificates)
    [shown] = [fence.code for fence in fences(PAGE.read_text("utf-8")) if "COMPANY_PROXY" in fence.code]
    run_here([shown], PAGE.name)
    assert capsys.readouterr().out.count("\n") >= 4
    assert len(company.asked) == 4


@pytest.mark.says(
    "docs/recipes/network.md", "`KimiFiles`, `KimiPlatform` and the classes over them take both clients too."
)
@needs_openssl
def test_other_endpoints_take_the_same_client(company: Company) -> None:
    context = ssl.create_default_context(cafile=company.certificates)
    with openai.DefaultHttpxClient(proxy=company.proxy, verify=context) as http:
        assert KimiPlatform("sk-test", company.base_url, http_client=http).models()
    assert len(company.asked) == 1


def refuse(connection: socket.socket) -> None:
    read_request(connection)
    connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


@pytest.mark.says(
    "docs/recipes/network.md",
    "A proxy that cannot be reached, or that refuses, is a `KimiConnectionError` which names the proxy and the variable.",
)
@pytest.mark.both_transports
@pytest.mark.parametrize("way", ["whole", "awhole"])
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch, adapter: str, way: str) -> None:
    """It made no tunnel, so nothing was sent."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(refuse) as port:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        said = rf"^https://kimi\.invalid/v1/\S+ was not reached through the proxy http://127\.0\.0\.1:{port} .*: 407"
        with pytest.raises(KimiConnectionError, match=said):
            asyncio.run(hear_from("https://kimi.invalid/v1", adapter, way))


@pytest.mark.says("docs/recipes/network.md", "The password is in no error.")
@pytest.mark.both_transports
@pytest.mark.parametrize("way", ["whole", "awhole"])
def test_a_proxys_password_is_not_shown(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(KimiConnectionError, match=r"was not reached through the proxy http://127\.0") as caught:
        asyncio.run(hear_from("https://kimi.invalid/v1", "langchain", way))
    assert "hush" not in str(caught.value)


@pytest.mark.says(
    "docs/recipes/network.md", "What waits for a free connection longer than `timeout` fails with a `KimiTimeoutError`."
)
def test_a_pool_that_is_too_small_is_a_timeout(kimi: KimiEmulator) -> None:
    kimi.script(Reply("one two three"))
    limits = type(openai.DEFAULT_CONNECTION_LIMITS)(max_connections=1)
    with openai.DefaultHttpxClient(limits=limits) as http:
        chat = ChatKimi(api_key="sk-test", base_url=kimi.base_url, http_client=http, max_retries=0)
        stream = chat.stream("Hi")
        next(stream)
        with pytest.raises(KimiTimeoutError):
            chat.invoke("Hi", timeout=0.1)
        stream.close()  # type: ignore[attr-defined]


@pytest.mark.says("docs/recipes/network.md", "A client's pool has 1,000 connections, of which 100 are kept while idle.")
def test_a_pool_is_what_the_page_says() -> None:
    """The page names the numbers of the SDK."""
    limits: Any = openai.DEFAULT_CONNECTION_LIMITS
    assert (limits.max_connections, limits.max_keepalive_connections) == (1000, 100)
    assert "1,000 connections, of which 100" in PAGE.read_text("utf-8")
