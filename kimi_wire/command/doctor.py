"""What is wrong with key, region, model and surroundings, in the order in which somebody would look.

The key goes to the configured host only; to the other region's where the caller asks for that. What is asked is here,
what is said of the answers in `findings`.
"""

from __future__ import annotations

import contextlib
import email.utils
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from datetime import date
from importlib import metadata
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kimi_wire.command import findings
from kimi_wire.command.findings import Finding
from kimi_wire.endpoints import KimiPlatform, parse_models
from kimi_wire.errors import REGIONS, KimiError, KimiResponseError, proxy_to
from kimi_wire.profiles import spell_id
from kimi_wire.transport import (
    BASE_URL_VARIABLES,
    DEFAULT_BASE_URL,
    KEY_VARIABLES,
    PROXY_VARIABLES,
    KimiConnection,
    http_library,
    resolve_api_key,
    resolve_base_url,
    uses_aiohttp,
)

_Answer = TypeVar("_Answer")

_TIMEOUT = 30.0
_AT_MOST = 45.0  # seconds for a whole answer: a server that sends a byte a second is never silent
_TIMES = 3
_PACKAGES = ("kimi-adapters", "openai", "langchain-core", "langchain", "llama-index-core")


def examine(base_url: str | None, model: str, *, try_other_region: bool = False) -> Iterator[Finding]:
    """Look at everything that keeps a first call from working.

    Args:
        base_url: The API's root, as elsewhere.
        model: The model that is to be used.
        try_other_region: Whether a refused key may be sent to the other region's host.
    """
    model = spell_id(model)
    system = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield from findings.installed(_versions(_PACKAGES), system, _libraries())
    yield from findings.variables_of_others(os.environ)
    try:
        url = resolve_base_url(base_url)
    except KimiError as error:
        yield Finding(False, str(error), f"Set MOONSHOT_BASE_URL={DEFAULT_BASE_URL}, or to the root of another host.")
        return
    named = next((name for name in BASE_URL_VARIABLES if os.environ.get(name)), "default")
    yield findings.where(url, "--base-url" if base_url else named)
    yield findings.dialect(url)
    yield from findings.proxies(os.environ, proxy_to(url), url)
    yield from findings.certificates(os.environ)
    yield findings.family(model, url, date.today())
    yield from findings.key({name: os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)}, url)
    try:
        connection = _connection(url)
    except KimiError:
        yield Finding(None, "Not asked, without a key: which models it may use, latency, clock and balance.")
        return
    try:
        yield from _ask(connection, url, model, try_other_region)
    finally:
        connection.close()


def secrets() -> Iterator[str]:
    """What the environment holds that no line may show."""
    for name, value in os.environ.items():
        if name.endswith(("_API_KEY", "_TOKEN")):
            yield from (value, *(part for part in value.split() if part.lower() != "bearer"))
        elif name.upper() in PROXY_VARIABLES and "@" in value:
            user = value.partition("://")[2] or value
            yield from user.rpartition("@")[0].split(":", 1)


def other_region(url: str) -> str | None:
    """The API's root of the other region; None where the host is neither of the two."""
    other = REGIONS.get(urlsplit(url).hostname or "")
    return f"https://{other}/v1" if other else None


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def _libraries() -> list[str]:
    library = http_library()
    asynchronous = [f"aiohttp {version} (asynchronous ones)" for version in _versions(("aiohttp",)).values()]
    return [f"{library.__name__} {library.__version__}", *(asynchronous if uses_aiohttp() else ())]


def _connection(url: str) -> KimiConnection:
    return KimiConnection(api_key=resolve_api_key(None), base_url=url, timeout=_TIMEOUT, max_retries=0)


def _ask(connection: KimiConnection, url: str, model: str, try_other_region: bool) -> Iterator[Finding]:
    try:
        connection.client()
    except KimiError as error:
        yield Finding(False, str(error), "Mend the environment's proxies or certificates, as the line above says.")
        return
    began = time.monotonic()
    try:
        response = _models(connection)
        ids = [known.id for known in parse_models(response)]
    except KimiError as error:
        yield Finding(False, str(error), _what_to_do(error, url))
        if getattr(error, "status_code", None) == 401:
            yield from _ask_other_region(url, try_other_region)
        return
    yield findings.latency([time.monotonic() - began, *_more_times(connection)])
    yield from findings.clock(_away(response.headers.get("date")))
    yield findings.listed(model, ids, date.today())
    yield from _balance(KimiPlatform.over(connection))


def _what_to_do(error: KimiError, url: str) -> str:
    status, host = getattr(error, "status_code", None), urlsplit(url).hostname
    if status == 401:
        return f"Put a key of {host} into MOONSHOT_API_KEY, or set MOONSHOT_BASE_URL to the host that the key is of."
    if isinstance(error, KimiResponseError):
        return (
            f"Check MOONSHOT_BASE_URL: what answers there is no API such as {DEFAULT_BASE_URL}, or a gateway before it."
        )
    if status is None:
        proxy = ", the proxy" if proxy_to(url) else ""
        return f"Check the network{proxy} and the host's name: {host} has to be reached from this machine."
    return "See what the error says; docs/errors.md has a row for most."


def _more_times(connection: KimiConnection) -> Iterator[float]:
    """What further requests take, which need not connect; a limit that is met ends them."""
    for _ in range(_TIMES - 1):
        began = time.monotonic()
        try:
            _models(connection)
        except KimiError:
            return
        yield time.monotonic() - began


def _models(connection: KimiConnection) -> Any:
    return _in_time(lambda: connection.request("get", "/models"))


def _in_time(ask: Callable[[], _Answer]) -> _Answer:
    """What a request comes to within `_AT_MOST`.

    Raises:
        KimiError: It failed, or is not there yet.
    """
    answer: Future[_Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(ask())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    try:
        return answer.result(_AT_MOST)
    except FutureTimeout:
        raise KimiResponseError(f"The host's answer was not whole after {_AT_MOST:.0f} s.") from None


def _away(said: str | None) -> float | None:
    try:
        return time.time() - email.utils.parsedate_to_datetime(said or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def _balance(platform: KimiPlatform) -> Iterator[Finding]:
    try:
        yield findings.money(_in_time(platform.balance))
    except KimiError as error:
        if getattr(error, "status_code", None) not in (404, 405):  # other hosts have no such endpoint
            yield Finding(None, f"The balance is not known: {error}")


def _ask_other_region(url: str, allowed: bool) -> Iterator[Finding]:
    other = other_region(url)
    if other and allowed:
        yield _try(other)
    elif other:
        yield Finding(
            None,
            "The key may be one of the other region, whose accounts are separate.",
            f"--try-other-region sends the key to {other} to find out; if it is one, set MOONSHOT_BASE_URL={other}",
        )


def _try(url: str) -> Finding:
    connection = _connection(url)
    try:
        parse_models(_models(connection))
    except KimiError as error:
        return Finding(None, f"{url} does not take the key either: {error}")
    else:
        return Finding(None, f"The key is one of {url}.", f"Set MOONSHOT_BASE_URL={url}")
    finally:
        connection.close()
