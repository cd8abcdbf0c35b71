"""What a server's refusal says: its words and type, and whether and when asking again may help. Pure."""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kimi_wire.json_values import count_or_none

MAX_WAIT = 60.0
"""Seconds that anybody waits because a server asks for it. The limits are by the minute; what takes longer is an error
at once, with the seconds in `retry_after`. openai 2.0 waits for 60 s at most too, later ones for 120."""

_EXTENSION = "kimi_refusal"

_LONGEST_TEXT, _LONGEST_PAGE, _LONGEST_WORD = 2000, 300, 100

# "Your account org-x<ak-y> request reached organization max RPM: 3" (platform.kimi.ai/docs/api/errors), and the
# words of MoonshotAI/kimi-code packages/kosong/src/providers/kimi-errors.ts; `error.type` is asked first.
_QUOTA = re.compile(
    r"exceeded your current (?:token )?quota|check your account balance|insufficient balance|recharge your account"
    r"|account (?:is )?in arrears|usage limit for this billing cycle",
    re.I,
)
# Tier 0 has a limit of tokens per day (platform.kimi.ai/docs/pricing/limits): no backoff of seconds outlasts it.
_DAILY = re.compile(r"\bTPD\b|tokens per day|daily (?:token )?limit", re.I)
_WAIT = re.compile(r"(?:try again|retry) (?:after|in) (\d{1,9}(?:\.\d{1,9})?) ?(ms|milli|h|m|s|$)?", re.I)
_TOO_DEEP = "(nested too deeply)"
_UNITS = {"ms": 0.001, "milli": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,1000})", re.I)
_ACCOUNT = re.compile(r"(account )[^\s<>]{1,100}(?= ?(?:<|/|request))", re.I)
_IDS = re.compile(r"\b(org|ak|proj|sk)-[\w*.-]{4,200}", re.I)
_BEARER = re.compile(r"\b(bearer )[^\s\"'<>\\,;]{4,}", re.I)

# 409 is the SDK's: "lock timeouts". What else is below 500 is the request's fault, and so again the next time.
_TRANSIENT = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A server's error, read.

    Attributes:
        status: The HTTP status.
        text: The server's words, of bounded length; "" where it sent none.
        type: Its `error.type`; None where it sent none.
        code: Its `error.code`, where that is a number.
        retry_after: Seconds to wait that it asks for, in a header or in words.
    """

    status: int
    text: str
    type: str | None = None
    code: int | None = None
    retry_after: float | None = None

    @property
    def out_of_quota(self) -> bool:
        """Whether the balance is used up: three different failures share status 429."""
        return self.type == "exceeded_current_quota_error" or (self.status == 429 and bool(_QUOTA.search(self.text)))

    @property
    def out_of_day(self) -> bool:
        """Whether the tokens of the day are used up."""
        return self.status == 429 and bool(_DAILY.search(self.text))

    @property
    def is_transient(self) -> bool:
        """Whether asking again, soon, may succeed."""
        if self.status < 500 and self.status not in _TRANSIENT:
            return False
        return not (self.out_of_quota or self.out_of_day or (self.retry_after or 0) > MAX_WAIT)


def refusal_of(response: Any) -> Refusal:
    """The refusal that a response is, read once: first for the SDK's retries, then for the error it becomes.

    It stays in the `extensions` of the response, where the HTTP library keeps what is known about one beside its bytes.

    Args:
        response: A response of httpx or httpx2 that has been read.
    """
    known = response.extensions.get(_EXTENSION)
    if known is None:
        known = response.extensions[_EXTENSION] = parse_refusal(response.status_code, response.headers, response.text)
    refusal: Refusal = known
    return refusal


def parse_refusal(status: int, headers: Mapping[str, str], body: object) -> Refusal:
    """Read an error.

    Args:
        status: The HTTP status.
        headers: The response's headers.
        body: What was sent: bytes, text, or parsed JSON of any kind.
    """
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except (ValueError, RecursionError):
            return Refusal(status, _page_text(str(body)), retry_after=_parse_wait(headers, ""))
    layers = list(_layers(body))[::-1]
    texts = (layer.get(key) for layer in layers for key in ("message", "detail", "msg", "error"))
    text = next((text for text in texts if isinstance(text, str) and text), None)
    if text is None:
        text = "" if body in (None, "", [], {}) else _page_text(body if isinstance(body, str) else _dump(body))
    # Moonshot's Anthropic-shaped errors have "type": "error" around the one that counts.
    kinds = (layer.get("type") for layer in layers)
    kind = next((kind for kind in kinds if isinstance(kind, str) and kind and kind != "error"), None)
    codes = (count_or_none(layer.get("code")) for layer in layers)
    code = next((code for code in codes if code is not None), None)
    return Refusal(
        status,
        _shorten(text, _LONGEST_TEXT),
        kind and _shorten(kind, _LONGEST_WORD),
        code,
        _parse_wait(headers, text),
    )


def advise_retry(refusal: Refusal) -> dict[str, str]:
    """Response headers that have the SDK try again, or not, as the refusal deserves.

    The SDK retries every 408, 409, 429 and 5xx, unless `x-should-retry` says otherwise; it waits as `retry-after` says.
    """
    if not refusal.is_transient:
        return {"x-should-retry": "false"}
    return {"retry-after": f"{refusal.retry_after:g}"} if refusal.retry_after else {}


def mask(text: str, key: str | None = None) -> str:
    """Blank the ids of accounts and keys that the server puts into its words: error texts end up in logs.

    Args:
        text: The words.
        key: The API key of the request, which some hosts repeat.
    """
    if key:
        text = text.replace(key, "***")
    return _IDS.sub(r"\1-***", _ACCOUNT.sub(r"\1***", _BEARER.sub(r"\1***", text)))


def mask_all(body: Any, blank: Callable[[str], str]) -> Any:
    """Apply a function to every text in a copy of a parsed body."""
    try:
        return _map_texts(body, blank)
    except RecursionError:
        return _TOO_DEEP


def _map_texts(body: Any, blank: Callable[[str], str]) -> Any:
    if isinstance(body, str):
        return blank(body)
    if isinstance(body, list):
        return [_map_texts(item, blank) for item in body]
    if isinstance(body, dict):
        return {_map_texts(name, blank): _map_texts(value, blank) for name, value in body.items()}
    return body


def _layers(body: object) -> Iterator[Mapping[str, Any]]:
    """The error objects of a body, from the outside in: gateways nest one in `error` of another."""
    for _ in range(4):
        if isinstance(body, list) and body:
            body = body[0]
        if not isinstance(body, Mapping):
            return
        yield body
        body = body.get("error")


def _page_text(page: str) -> str:
    """The title of a gateway's page, or what text there is."""
    page = page[:20_000]
    title = _TITLE.search(page)
    text = title[1] if title else re.sub(r"<[^<>]*>", " ", page)
    return _shorten(" ".join(text.split()), _LONGEST_PAGE)


def _dump(body: object) -> str:
    try:
        return json.dumps(body, ensure_ascii=False)
    except RecursionError:
        return _TOO_DEEP


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def _parse_wait(headers: Mapping[str, str], text: str) -> float | None:
    """Seconds to wait, by `Retry-After` (seconds or a date), Moonshot's own headers, or the words of the message."""
    # Recorded on a 429: Retry-After, X-Retry-After and Msh-Cooldown-Seconds, all the same; other 429s had none.
    for name, unit in (
        ("retry-after-ms", 0.001),
        ("retry-after", 1.0),
        ("x-retry-after", 1.0),
        ("msh-cooldown-seconds", 1.0),
    ):
        value = headers.get(name)
        if value and re.fullmatch(r" *\d{1,12}(\.\d*)? *", value):
            return float(value) * unit
    date = email.utils.parsedate_tz(headers.get("retry-after") or "")
    if date is not None:
        try:
            return max(email.utils.mktime_tz(date) - time.time(), 0.0)
        except (ValueError, OverflowError):
            return None
    found = _WAIT.search(text)
    return float(found[1]) * _UNITS[(found[2] or "s").lower()] if found else None
