"""What is logged of requests and answers: the bodies too, where somebody asks for them, and never a header.

Two loggers, by logging's own rules. `kimi_wire` says at INFO what each attempt came to, and at DEBUG what a chat's
answer cost; no text, no ids of accounts. Its child `kimi_wire.bodies` says at DEBUG what each attempt sends, which has
the prompts in it: who wants the one without the other gives the child a level of its own.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import re
import sys
import time
from collections.abc import Mapping
from typing import Any

from kimi_wire.errors import attempt_of, mask, parse_request_id, public_url
from kimi_wire.warn import warn

log = logging.getLogger("kimi_wire")
bodies = logging.getLogger("kimi_wire.bodies")

VARIABLE = "KIMI_LOG"
"""The environment's variable that has the loggers heard by somebody who configures no logging."""

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_LOGGERS = ("kimi_wire", "langchain_kimi", "llama_index_kimi")

# A field that holds a secret, in whatever is below it; `max_tokens` and `prompt_cache_key` are none.
_SECRET_FIELD = re.compile(
    r"authorization|auth$|bearer|secret|credential|cookie|headers$|passw|passphrase|passcode|signature$|token$"
    r"|(api|access|private|subscription|functions?|account|master|shared|signing|encryption)[-_]?keys?"
    r"|(api|access|auth|refresh|session)[-_]?tokens$|(^|[-_])(pass|pwd|pin|otp|jwt|sig)$",
    re.I,
)
_NAMES_OF_SCHEMAS = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_PARAMETER = re.compile(r"(?<=[?&])([\w.-]{1,80})=[^&\s\"'<>#\\]+")  # of a URL
_USER = re.compile(r"(?<=://)[^\s/?#\"'<>\\]{1,300}@")
_DATA = re.compile(r"(data:[\w/+.;= -]{0,100}base64,)([\w+/=%-]{64,}(?:\r?\n[\w+/=%-]{20,})*)", re.I)
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")  # ends of lines, and what steers a terminal
_LONGEST, _BEGINNING, _END = 10_000, 8_000, 1_000  # characters
_SHORTEST_KEY = 16  # what stands for a key on a host of one's own, such as "test", is a word like any other


class _Stderr(logging.Handler):
    """Writes to the standard error what no other handler is there for."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. What cannot be written, to a stream that is closed or gone, is lost, and the call goes on."""
        logger: logging.Logger | None = logging.getLogger(record.name)
        while logger is not None:
            if any(handler is not self and _takes(handler, record) for handler in logger.handlers):
                return
            logger = logger.parent if logger.propagate else None
        stream: Any = sys.stderr
        with contextlib.suppress(Exception):
            encoding = getattr(stream, "encoding", None) or "utf-8"
            stream.write(self.format(record).encode(encoding, "backslashreplace").decode(encoding) + "\n")
            stream.flush()


def _takes(handler: logging.Handler, record: logging.LogRecord) -> bool:
    return record.levelno >= handler.level and not isinstance(handler, logging.NullHandler)


_STDERR = _Stderr()
_STDERR.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))


def listen() -> None:
    """Do what the environment's `KIMI_LOG` says: the level, and a handler where the program has none of its own."""
    _listen(os.environ.get(VARIABLE, ""))


@functools.cache
def _listen(asked: str) -> None:
    level = _LEVELS.get(asked.strip().lower())
    if level is None:
        if asked.strip():
            warn(f"{VARIABLE}={asked!r} is none of {', '.join(_LEVELS)}; nothing is logged for it.")
        return
    for name in _LOGGERS:
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).addHandler(_STDERR)


class Attempt:
    """One attempt of a request, as the log has it: what is sent, and what it came to.

    Args:
        request: The request of the HTTP library, about to be sent.
    """

    def __init__(self, request: Any) -> None:
        self._began = time.monotonic()
        if bodies.isEnabledFor(logging.DEBUG):
            bodies.debug("%s sends %s", _name(request), describe_body(request))

    def ended(self, request: Any, outcome: str, response: Any = None) -> None:
        """Log what it came to, at INFO.

        Of a response, the HTTP library says the same at INFO; where that is heard, our line, which has more, is for
        DEBUG.

        Args:
            request: The last request of it, where the server redirected.
            outcome: What it came to, in words.
            response: The response, if there is one.
        """
        library = type(request).__module__.partition(".")[0]
        heard = response is not None and logging.getLogger(library).isEnabledFor(logging.INFO)
        level = logging.DEBUG if heard else logging.INFO
        if log.isEnabledFor(level):
            request_id = parse_request_id(response.headers) if response is not None else None
            suffix = f", request id {_line(request_id)}" if request_id else ""
            log.log(level, "%s: %s after %.2f s%s", _name(request), outcome, time.monotonic() - self._began, suffix)


def log_answer(
    request_id: str | None, finish_reason: str | None, usage: Mapping[str, Any] | None, began: float
) -> None:
    """Log what a chat's answer cost, at DEBUG.

    Args:
        request_id: The server's id of the request.
        finish_reason: Why the answer ended; None where it broke off.
        usage: Token counts, as sent.
        began: When it began to be read, by `time.monotonic`.
    """
    if log.isEnabledFor(logging.DEBUG):
        counts = "unknown" if usage is None else _line(json.dumps(usage))
        request_id, ending = (word and _line(word) for word in (request_id, finish_reason))
        seconds = time.monotonic() - began
        log.debug("request id %s: ended by %s, read for %.2f s, usage %s", request_id, ending, seconds, counts)


def describe_body(request: Any) -> str:
    """The body of a request as it may be logged: whole, but for secrets, data and the middle of long texts.

    Args:
        request: A request of the HTTP library.
    """
    kind = str(request.headers.get("content-type") or "").partition(";")[0]
    if kind and kind != "application/json":
        return f"{request.headers.get('content-length') or 'some'} bytes of {kind}"
    if not kind or not request.content:
        return "no body"
    key = str(request.headers.get("authorization") or "").rpartition(" ")[2]
    try:
        shown = _shown(json.loads(request.content), key if len(key) >= _SHORTEST_KEY else None)
        return _UNPRINTABLE.sub(_escaped, json.dumps(shown, ensure_ascii=False))
    except (ValueError, RecursionError):  # of an `extra_body` nested by the hundred
        return f"{len(request.content)} bytes of {kind}"


def _shown(value: Any, key: str | None, *, blank: bool = False, of_schemas: bool = False) -> Any:
    """A value as it may be logged.

    Args:
        value: JSON, parsed.
        key: The API key; None for one that is a word.
        blank: Whether it is a secret field's.
        of_schemas: Whether it is an object whose names are those of schemas, and so no fields.
    """
    if isinstance(value, dict):
        return {
            mask(name, key): _shown(
                item,
                key,
                blank=blank or (bool(_SECRET_FIELD.search(name)) and not (of_schemas and isinstance(item, dict))),
                of_schemas=name in _NAMES_OF_SCHEMAS,
            )
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_shown(item, key, blank=blank) for item in value]
    if blank and value is not None and not isinstance(value, bool):
        return "***"
    return _shown_text(value, key) if isinstance(value, str) else value


def _shown_text(text: str, key: str | None) -> str:
    text = _shown_json(text, key)
    text = _DATA.sub(lambda found: f"{found[1]}... ({len(found[2])} characters)", text)
    text = _PARAMETER.sub(lambda found: f"{found[1]}=***" if _SECRET_FIELD.search(found[1]) else found[0], text)
    text = mask(_USER.sub("***@", text), key)
    if len(text) <= _LONGEST:
        return text
    left_out = len(text) - _BEGINNING - _END
    return f"{text[:_BEGINNING]} ... ({left_out} of {len(text)} characters left out) ... {text[-_END:]}"


def _shown_json(text: str, key: str | None) -> str:
    """A text that is JSON, such as a call's arguments, without what is secret in it; as it is where nothing is."""
    if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
        with contextlib.suppress(ValueError, RecursionError):
            read = json.loads(text)
            shown = _shown(read, key)
            return text if shown == read else json.dumps(shown, ensure_ascii=False)
    return text


def _line(text: str) -> str:
    """A server's words, on one line of a bounded length."""
    return _UNPRINTABLE.sub(_escaped, mask(text[:2000]))[:1000]


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _name(request: Any) -> str:
    return f"{request.method} {_line(public_url(str(request.url)))}, attempt {attempt_of(request)}"
