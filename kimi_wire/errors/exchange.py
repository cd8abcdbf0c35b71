"""What may be said of a request, its way and its response, in errors and in logs: nothing that is secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kimi_wire.errors.refusals import mask, parse_refusal

# Newest first; which one a host sends has changed (kimi-cli reads x-trace-id, recordings of 2026 have the first two).
_REQUEST_ID_HEADERS = ("msh-request-id", "x-request-id", "x-msh-trace-id", "x-trace-id")


def parse_request_id(headers: Mapping[str, str]) -> str | None:
    """The server's id of a request, from a response's headers; a proxy may echo anything in one, a key too."""
    found = next((headers[name] for name in _REQUEST_ID_HEADERS if headers.get(name)), None)
    return mask(found[:1000])[:200] if found else None


def attempt_of(request: Any) -> int:
    """Which attempt of its call a request was, from 1: the SDK counts them in a header."""
    count = str(request.headers.get("x-stainless-retry-count") or "0")
    return int(count) + 1 if count.isdigit() else 1


def public_url(url: str) -> str:
    """A URL without what may be secret in it: user, password, query and fragment.

    It takes any text: `urlsplit` refuses some, and an error that shows a URL is no place for another one.
    """
    # Readers of URLs drop these characters, and find a password's end where it did not seem to be.
    bare = re.split(r"[?#]", re.sub(r"[\t\r\n]", "", url), maxsplit=1)[0]
    scheme, slashes, rest = bare.partition("//")
    host, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"


def public_proxy(url: str) -> str:
    """A proxy's URL without user, password and query. It may lack its scheme, and a password have any character."""
    scheme, slashes, rest = url.partition("://")
    address = re.split(r"[?#]", (rest if slashes else url).rpartition("@")[2], maxsplit=1)[0]
    return f"{scheme}{slashes}{address}" if slashes else address


def proxy_to(url: str) -> str | None:
    """The proxy of the environment that a request to a URL goes through, as it is written there; None for none."""
    parts, proxies = urlsplit(url), getproxies()
    bypassed = not parts.hostname or proxy_bypass(parts.hostname)
    return None if bypassed else proxies.get(parts.scheme) or proxies.get("all")


def excerpt(body: bytes) -> str:
    """The beginning of a body that is not what it should be, quoted; gateways repeat the request, with its key."""
    return repr(mask(body[:1000].decode("utf-8", "replace"))[:200])


def excerpt_of_refusal(body: object) -> str:
    """The words of an error that came with success, quoted.

    Args:
        body: What was sent: bytes, text, or parsed JSON of any kind.
    """
    return excerpt(parse_refusal(200, {}, body).text.encode("utf-8", "replace"))
