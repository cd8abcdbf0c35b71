"""What is wrong with key, region, model and surroundings, in the order in which somebody would look.

The key goes to the configured host only; to the other region's where the caller asks for that.
"""

from __future__ import annotations

import difflib
import email.utils
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from urllib.parse import urlsplit

from kimi_wire.endpoints import KimiPlatform, ModelInfo, parse_models
from kimi_wire.errors import REGIONS, KimiError, public_url
from kimi_wire.profiles import profile_for
from kimi_wire.transport import BASE_URL_VARIABLES, KEY_VARIABLES, KimiConnection, resolve_api_key, resolve_base_url

_TIMEOUT = 30.0
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_PACKAGES = ("kimi-adapters", "openai", "langchain-core", "llama-index-core")

# A clock that is wrong by more fails TLS certificates and makes every "try again after" meaningless.
_CLOCK_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        good: True if it is as it should be, False for a problem, None for a note.
        text: What it is, and what to do about it. Never the key.
    """

    good: bool | None
    text: str


def examine(base_url: str | None, model: str, *, try_other_region: bool = False) -> Iterator[Finding]:
    """Look at everything that keeps a first call from working.

    Args:
        base_url: The API's root, as elsewhere.
        model: The model that is to be used.
        try_other_region: Whether a refused key may be sent to the other region's host.
    """
    yield from _surroundings()
    try:
        url = resolve_base_url(base_url)
        key = resolve_api_key(None)
    except KimiError as error:
        yield Finding(False, str(error))
        return
    yield _where(base_url, url)
    yield from _key(key, url)
    connection = KimiConnection(api_key=key, base_url=url, timeout=_TIMEOUT, max_retries=0)
    try:
        response = connection.request("get", "/models")
        models = parse_models(response)
        yield Finding(True, f"The host knows the key and lists {len(models)} models.")
        yield from _clock(response.headers.get("date"))
        yield from _model(model, models)
        yield from _balance(KimiPlatform.over(connection))
    except KimiError as error:
        yield Finding(False, _one_line(error))
        if getattr(error, "status_code", None) == 401:
            yield from _other_region(key, url, try_other_region)
    finally:
        connection.close()


def _surroundings() -> Iterator[Finding]:
    versions = ", ".join(f"{name} {version}" for name in _PACKAGES if (version := _version(name)))
    yield Finding(None, f"Installed: {versions}.")
    foreign = sorted(name for name in os.environ if name.startswith("OPENAI_"))
    if foreign:
        yield Finding(None, f"{', '.join(foreign)} are set; nothing here reads them, a Kimi key goes elsewhere.")
    proxies = sorted(name for name in os.environ if name.upper() in _PROXIES and os.environ[name])
    if proxies:
        yield Finding(None, f"{', '.join(proxies)} are set: requests go through that proxy.")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _where(base_url: str | None, url: str) -> Finding:
    source = (
        "--base-url" if base_url else next((name for name in BASE_URL_VARIABLES if os.environ.get(name)), "default")
    )
    parts, shown = urlsplit(url), public_url(url)
    if parts.hostname == "api.moonshot.com":  # BingZi-233/oai-compatible-copilot#134 and others
        return Finding(False, f"The host is {shown} ({source}), which does not exist: it ends in .ai, in China in .cn.")
    if parts.hostname in ("api.moonshot.ai", "api.moonshot.cn") and parts.path != "/v1":
        return Finding(False, f"The host is {shown} ({source}); the API's root there ends in /v1.")
    return Finding(True, f"The host is {shown} ({source}).")


def _key(key: str, url: str) -> Iterator[Finding]:
    name = next(name for name in KEY_VARIABLES if os.environ.get(name))
    raw = os.environ[name]
    if raw != raw.strip():
        yield Finding(None, f"{name} has white space around the key; it is left out here, other programs may send it.")
    if len({os.environ.get(other, "").strip() for other in KEY_VARIABLES} - {""}) > 1:
        yield Finding(None, f"{' and '.join(KEY_VARIABLES)} differ; {name} is used.")
    host = urlsplit(url).hostname or ""
    if key.startswith("sk-kimi-") and host.startswith("api.moonshot."):
        # NousResearch/hermes-agent#12668: such a key gets "Invalid Authentication" from the platform.
        yield Finding(
            False,
            f"{name} holds a key of Kimi Code (sk-kimi-...), another product; the platform's keys are made at "
            "https://platform.kimi.ai or https://platform.kimi.com.",
        )
    elif not key.startswith("sk-") and host.startswith("api.moonshot."):
        yield Finding(False, f"{name} does not begin with sk-, as every key of the platform does; copy it again.")
    else:
        yield Finding(True, f"The key is in {name}.")


def _clock(said: str | None) -> Iterator[Finding]:
    try:
        away = time.time() - email.utils.parsedate_to_datetime(said or "").timestamp()
    except (TypeError, ValueError, OverflowError):
        return
    if abs(away) > _CLOCK_SECONDS:
        way = "ahead of" if away > 0 else "behind"
        yield Finding(False, f"This machine's clock is {abs(away) / 60:.0f} minutes {way} the server's; set it.")


def _model(model: str, models: list[ModelInfo]) -> Iterator[Finding]:
    ids = [known.id for known in models]
    if model in ids:
        yield Finding(True, f"The model {model} is listed.")
        return
    retired = profile_for(model).retired
    when = f" Moonshot retired its family on {retired}." if retired and retired <= date.today() else ""
    close = difflib.get_close_matches(model, ids, n=3) or ids[:3]
    instead = f" Listed are {', '.join(close)}." if close else ""
    yield Finding(False, f"The model {model} is not listed for this key.{when}{instead}")


def _balance(platform: KimiPlatform) -> Iterator[Finding]:
    try:
        balance = platform.balance()
    except KimiError as error:
        if getattr(error, "status_code", None) not in (404, 405):  # other hosts have no such endpoint
            yield Finding(None, f"The balance is not known: {_one_line(error)}")
        return
    money = f"{balance.available:.2f} {balance.currency or ''}".rstrip()
    if balance.available <= 0:
        yield Finding(False, f"The balance is {money}: every chat request is refused until the account is topped up.")
    else:
        yield Finding(True, f"The balance is {money}.")


def _other_region(key: str, url: str, allowed: bool) -> Iterator[Finding]:
    other = other_region(url)
    if other and allowed:
        yield _try(key, other)
    elif other:
        yield Finding(
            None,
            "The key may be one of the other region, whose accounts are separate. --try-other-region sends it to "
            f"{other} to find out; if it is, set MOONSHOT_BASE_URL={other}",
        )


def other_region(url: str) -> str | None:
    """The API's root of the other region; None where the host is neither of the two."""
    other = REGIONS.get(urlsplit(url).hostname or "")
    return f"https://{other}/v1" if other else None


def _try(key: str, url: str) -> Finding:
    connection = KimiConnection(api_key=key, base_url=url, timeout=_TIMEOUT, max_retries=0)
    try:
        parse_models(connection.request("get", "/models"))
    except KimiError as error:
        return Finding(None, f"{url} does not take the key either: {_one_line(error)}")
    else:
        return Finding(None, f"The key is one of {url}. Set MOONSHOT_BASE_URL={url}")
    finally:
        connection.close()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
