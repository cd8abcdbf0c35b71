"""Images and videos of the web, fetched for a server that fetches nothing: from public addresses only.

Whoever can put a URL into a conversation chooses what is fetched, from inside of the caller's network. So a host's
addresses are looked up once, every one of them has to be public, and the connection is made to one that was checked,
under the host's name: nothing is looked up a second time, where the answer could be another. A redirect begins anew.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.media.parts import show_url
from kimi_wire.transport import http_library

MAX_BYTES = 100 * 1024 * 1024
"""Bytes of all files of a request together; the server takes no more, inline or uploaded."""

MAX_SECONDS, MAX_SILENCE = 60.0, 20.0
"""Seconds for all files of a request together, and for any one step of it."""

MAX_REDIRECTS = 5
MAX_AT_ONCE = 4

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# https://www.iana.org/assignments/iana-ipv4-special-registry: what is not the public internet, multicast and the range
# above it included. `is_global` differs between versions of Python. 168.63.129.16 is the host of Azure's machines.
_NOT_PUBLIC = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# https://www.iana.org/assignments/ipv6-unicast-address-assignments: all that is assigned. Outside of it are loopback,
# private, link-local and multicast, and the forms of IPv4 addresses (mapped, NAT64); inside of it more of those (6to4,
# Teredo), and documentation.
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_UNICAST = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)

_NUMBER = re.compile(r"\d+|0[xX][0-9a-fA-F]*")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC)
    return address in _UNICAST and not any(address in network for network in _NOT_UNICAST)


def fetch(urls: Sequence[str]) -> dict[str, bytes]:
    """Fetch files, in a thread of its own: only an event loop can end a download at a given time.

    Args:
        urls: http(s) URLs, each once.

    Returns:
        URL -> content.

    Raises:
        KimiRequestError: One cannot be fetched, or is not to be.
    """
    with ThreadPoolExecutor(1, "kimi-download") as pool:
        return pool.submit(lambda: asyncio.run(afetch(urls))).result()


async def afetch(urls: Sequence[str]) -> dict[str, bytes]:
    """The asynchronous form of `fetch`."""
    http = http_library()
    # No proxy, which would look the host up again, no .netrc, no cookies, no key.
    headers = {"Accept": "image/*, video/*", "Accept-Encoding": "identity", "User-Agent": "kimi-adapters"}
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    async with http.AsyncClient(trust_env=False, timeout=MAX_SILENCE, headers=headers, cookies=cookies) as client:
        download = _Download(http, client)
        tasks = [asyncio.ensure_future(download.fetch(url)) for url in urls]
        try:
            contents = await asyncio.wait_for(asyncio.gather(*tasks), MAX_SECONDS)
        except asyncio.TimeoutError as error:
            late = [show_url(url) for url, task in zip(urls, tasks, strict=True) if task.cancelled()]
            raise KimiRequestError(f"{', '.join(late)} took more than {MAX_SECONDS:.0f} seconds to fetch.") from error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    return dict(zip(urls, contents, strict=True))


class _Download:
    """The files of one request: they share a client, and what they may have in all."""

    def __init__(self, http: Any, client: Any) -> None:
        self._http = http
        self._client = client
        self._left = MAX_BYTES
        self._turn = asyncio.Semaphore(MAX_AT_ONCE)

    async def fetch(self, url: str) -> bytes:
        try:
            async with self._turn:
                return await self._follow(url)
        except KimiRequestError as error:
            raise KimiRequestError(f"{show_url(url)} is not fetched: {error}") from error
        except (self._http.HTTPError, self._http.InvalidURL, OSError, UnicodeError) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise KimiRequestError(f"{show_url(url)} could not be fetched: {reason}") from error

    async def _follow(self, url: str) -> bytes:
        target = self._http.URL(url)
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._ask(target)
            if isinstance(answer, bytes):
                return answer
            target = target.join(answer)
        raise KimiRequestError(f"it was redirected more than {MAX_REDIRECTS} times.")

    async def _ask(self, url: Any) -> bytes | str:
        """Ask the first address of a host that can be reached; the answer is the content, or where it redirects to."""
        addresses = await _check(url)
        for address in addresses:
            # https://www.python-httpx.org/advanced/extensions/: the certificate has to be the named host's.
            pinned = url.copy_with(host=str(address))
            headers = {"Host": url.netloc.decode("ascii")}
            extensions = {"sni_hostname": url.raw_host.decode("ascii")}
            try:
                async with self._client.stream("GET", pinned, headers=headers, extensions=extensions) as response:
                    return await self._read(response)
            except (self._http.ConnectError, self._http.ConnectTimeout):
                if address == addresses[-1]:
                    raise
        raise AssertionError  # there is at least one address

    async def _read(self, response: Any) -> bytes | str:
        location = response.headers.get("location")
        if response.status_code in (301, 302, 303, 307, 308) and location:
            return str(location)
        if response.status_code != 200:
            raise KimiRequestError(f"the host answered with the status {response.status_code}.")
        if response.headers.get("content-encoding", "identity") != "identity":
            raise KimiRequestError("the host compressed it, although it was asked not to.")
        content = bytearray()
        async for chunk in response.aiter_raw():
            self._left -= len(chunk)
            if self._left < 0:
                raise KimiRequestError(f"the files of a request are larger than {MAX_BYTES / 1e6:.0f} MB together.")
            content += chunk
        return bytes(content)


async def _check(url: Any) -> list[Address]:
    """The addresses of a URL's host.

    Raises:
        KimiRequestError: The URL or one of the addresses is not to be asked.
    """
    if url.scheme not in ("http", "https") or not url.host:
        raise KimiRequestError(f"it leads to a URL of the scheme {url.scheme!r}.")
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    if port > 65535:
        raise KimiRequestError(f"there is no port {port}.")
    if url.userinfo:
        raise KimiRequestError("the URL has a user name or a password in it.")
    host = url.raw_host.decode("ascii")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) and not _is_address(host):
        raise KimiRequestError(f"{host} is an address in disguise.")  # 2130706433, 0x7f.1 and 0177.1 are 127.0.0.1
    addresses = await _resolve(host, port)
    hidden = [address for address in addresses if not is_public(address)]
    if hidden or not addresses:
        raise KimiRequestError(f"{host} is not on the public internet.")
    return addresses


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _resolve(host: str, port: int) -> list[Address]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(ipaddress.ip_address(entry[4][0]) for entry in found))
