"""One line on what to do about an error of the server. Pure.

Deliberately absent: asking the other region's host by itself after a 401. The key is for the host that was configured;
`python -m kimi_wire doctor --try-other-region` sends it to the other one where somebody asks for that.
"""

from __future__ import annotations

import difflib
import re
from datetime import date
from urllib.parse import urlsplit

from kimi_wire.errors.exchange import public_url
from kimi_wire.errors.refusals import MAX_WAIT, Refusal
from kimi_wire.profiles import FAMILIES

REGIONS = {"api.moonshot.ai": "api.moonshot.cn", "api.moonshot.cn": "api.moonshot.ai"}
"""The platform's two hosts. Accounts, balances and keys of one are unknown to the other."""

# "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'root': ...>"
_SCHEMA = re.compile(r"(?:(?<!\S)(\S{1,200}) is not a valid moonshot flavored json schema|flavored json schema)", re.I)
_SCHEMA_PATH = re.compile(r"At path '([^']{1,300})'")

_KEEP_REASONING = "Pass assistant messages back as they came, or set missing_reasoning='placeholder'."

# Pieces of messages (platform.kimi.ai/docs/api/errors, and threads on GitHub) and what to do; the first match counts.
_BY_TEXT: tuple[tuple[str, str], ...] = (
    ("reasoning_content is missing", _KEEP_REASONING),
    ("requires reasoning_content on every assistant message", _KEEP_REASONING),
    ("only available for Coding Agents", "Kimi Code is for coding agents: use a key and base_url of platform.kimi.ai."),
    ("verify your membership", "Kimi Code is a membership of its own: use a key and base_url of platform.kimi.ai."),
    ("IP is not allowed", "The organization admits certain addresses only: add this machine's in the console."),
    ("API you are accessing is not open", "This endpoint is not open to the account; ask Moonshot's support for it."),
    ("no open api access", "This endpoint does not exist for the public; the chat endpoint is /v1/chat/completions."),
    ("total message size", "Shorten the conversation, or send images as ms:// ids of uploaded files."),
    ("schema exceeds maximum allowed size", "Send fewer or smaller tools: all schemas together have a limit."),
)  # fmt: skip

_MAKE_ROOM = (
    "An account keeps at most 1,000 files and 10 GB: delete some (KimiFiles().list() and .delete(id)); "
    "extracting text leaves no file behind."
)

# The same for errors of files, whose words mislead.
_BY_TEXT_OF_FILES = (
    ("too many uploaded files", _MAKE_ROOM),
    # Said of the sum of all files, and in MoonshotAI/kimi-cli#1087 of a tiny video.
    ("size of files you have uploaded exceeded", _MAKE_ROOM),
    ("file size is zero", "The file is empty."),
    ("file size is too large", "A file may have 100 MB; split it."),
    # librefang/librefang#5290: said of a picture; scanned PDFs without readable text get it too.
    (
        "text extract error",
        "No text was found in the file. Pictures and scans are only read for the text in them; to have Kimi look at a "
        "picture, put it into a message as an image.",
    ),
    # The documents' own words, older than the purposes image, video and batch.
    ("invalid purpose", "The purposes are file-extract, image, video and batch; this host may not know all of them."),
)


def hint_for(refusal: Refusal, url: str, location: str | None = None) -> str:
    """Say what to do about a refusal; "" where nothing is known beyond the server's words.

    Args:
        refusal: The server's error.
        url: The URL that was asked.
        location: Where the server redirects to, if it does.
    """
    of_file = hint_for_file(url, refusal.text)
    if of_file is not None:
        return of_file
    schema = _SCHEMA.search(refusal.text)
    if schema:
        path = _SCHEMA_PATH.search(refusal.text)
        place = " at ".join(part for part in (schema[1], path and repr(path[1])) if part) or "a schema"
        return f"Look at {place}: the server takes Moonshot's dialect of JSON Schema only; sending it again is no use."
    for piece, advice in _BY_TEXT:
        if piece.lower() in refusal.text.lower():
            return advice
    return _by_kind(refusal, url, location)


def hint_for_file(url: str, message: str) -> str | None:
    """One line on what to do about an error of a file.

    Args:
        url: The request's URL.
        message: The server's words.

    Returns:
        The line; None for errors that are not about files.
    """
    found = next((hint for words, hint in _BY_TEXT_OF_FILES if words in message.lower()), None)
    if found is None and "not found" in message.lower() and re.search(r"/files(?:/|$)", urlsplit(url).path):
        return "There is no such file in this account; KimiFiles().list() tells the ids there are."
    return found


def _by_kind(refusal: Refusal, url: str, location: str | None) -> str:
    status, host = refusal.status, urlsplit(url).hostname or ""
    if 300 <= status < 400:
        return (
            f"The server redirects to {public_url(location or '')}; keys and headers go to the configured host only. "
            "If that is the right address, set base_url to it."
        )
    if refusal.out_of_day:
        return "The tokens of this day are used up: wait for the next one, or raise the account's tier with a top-up."
    if refusal.out_of_quota:
        return "Top up the account, or check its plan and billing details; trying again does not help."
    if refusal.type == "content_filter":
        return "Rephrase the request; the same one is refused again."
    if status == 401:
        other = REGIONS.get(host)
        region = f" A key of {other} is not known here: set base_url='https://{other}/v1' for it." if other else ""
        return f"Check the API key for {host}.{region} Keys 'sk-kimi-...' belong to Kimi Code, another product."
    if status == 402:
        return "The account has no credit here: top it up, or check its plan."
    if status == 404:
        root = public_url(url).partition("/chat/")[0]
        if not re.search(r"/v\d", root) and "model" not in refusal.text.lower():
            return f"Nothing is served at {root}: the API's root ends in /v1. Set base_url='{root}/v1'."
        # tests/test_errors.py holds the names to the dates of the families.
        return _nearest_model(refusal.text) + (
            "The model may be retired (moonshot-v1, kimi-k2 and kimi-k2.5 are), misspelt, or not open to this account, "
            f"which needs a first top-up of $1; GET {root}/models lists what the key may use."
        )
    if status == 413:
        return "A request may have 100 MB in all: upload large images and videos as files, and send their ms:// ids."
    if status == 429:
        return _wait_hint(refusal)
    if status == 499:
        return "The connection was closed before the answer was there: raise `timeout`, or that of a proxy in between."
    if status == 504:
        return "The gateway gave up waiting, after 900 s at Moonshot: stream, or lower the effort or max_tokens."
    if status >= 500:
        return "The server failed or is overloaded; it may work later."
    return ""


def _nearest_model(message: str) -> str:
    """What a model's id was meant to be, where it looks like one that Moonshot serves; else ""."""
    asked = re.search(r"Not found the model (.+?) or Permission denied", message)
    if asked is None:
        return ""
    served = [row.family for row in FAMILIES if not row.is_retired(date.today()) and row.family.startswith("kimi-")]
    close = [name for name in difflib.get_close_matches(asked[1].lower(), served, n=1, cutoff=0.8) if name != asked[1]]
    return f"Did you mean {close[0]!r}? " if close else ""


def _wait_hint(refusal: Refusal) -> str:
    if refusal.retry_after is not None and refusal.retry_after > MAX_WAIT:
        return f"The server asks to wait {refusal.retry_after:.0f} s, which no retry does: ask again after that."
    if refusal.type == "engine_overloaded_error":
        return "The model is overloaded, for everybody; wait, or raise max_retries."
    return (
        "The limits are the organization's, over all models and keys, and count max_tokens as if used; "
        "wait, raise max_retries, or set a rate_limiter."
    )


CONTEXT_HINT = "Shorten the conversation or lower max_tokens; both share the context window."
