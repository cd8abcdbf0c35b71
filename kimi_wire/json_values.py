"""JSON as Python has it, and what foreign JSON is read with: a value of the wrong kind is none. Pure."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Mapping
from typing import Any, TypeGuard
from urllib.parse import unquote

from jiter import from_json

JSON = dict[str, Any]
"""A JSON object."""


def is_whole(value: Any, at_least: int | None = None) -> TypeGuard[int]:
    """Whether a value is a whole number; True and False, which Python has for 1 and 0, are none."""
    return isinstance(value, int) and not isinstance(value, bool) and (at_least is None or value >= at_least)


def count_or_none(value: Any) -> int | None:
    """The value, if it is a whole number."""
    return max(value, 0) if is_whole(value) else None


def text_or_none(value: Any) -> str | None:
    """The value, if it is text: hosts send null, and worse, where text belongs."""
    return value if isinstance(value, str) else None


def mapping(value: Any) -> Mapping[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, Mapping) else {}


def pointer_steps(pointer: str) -> list[str]:
    """The names and numbers that a JSON pointer such as `/$defs/A` goes along."""
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]


def follow_reference(root: Any, reference: Any) -> Any:
    """What a reference within a JSON document leads to; None where it leads nowhere, or out of it.

    Args:
        root: The document.
        reference: What `$ref` says, such as `#/$defs/A`.
    """
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for step in pointer_steps(unquote(reference[1:])):
        if isinstance(found, list):
            found = found[int(step)] if step.isdecimal() and int(step) < len(found) else None
        else:
            found = mapping(found).get(step)
    return found


def read_object(body: bytes) -> JSON | None:
    """The JSON object that a body is; None for anything else, a gateway's page for example."""
    try:
        parsed = from_json(body)
    except ValueError:
        parsed = _read_halves(body)
    return parsed if isinstance(parsed, dict) else None


_HALF = re.compile("[\ud800-\udfff]")


def _read_halves(body: bytes) -> Any:
    """Read JSON with halves of surrogate pairs: each becomes one replacement character. None for what is no JSON.

    A server that cuts a text between the halves of an emoji writes such, and jiter refuses it.
    """
    if b"\\u" not in body:
        return None
    try:
        text = json.dumps(json.loads(body.decode()), ensure_ascii=False)
        return from_json(_HALF.sub("\ufffd", text).encode())
    except (ValueError, RecursionError):
        return None


def write_json(value: Any) -> str:
    """JSON text of whatever a tool gave back; Python's own text where there is none, as of a circle.

    Args:
        value: The value. Objects in it are written as text, and bytes as their number.
    """
    try:
        return json.dumps(value, ensure_ascii=False, default=_show)
    except RecursionError:
        return shown(value)
    except Exception:  # a circle; a number of more digits than Python writes; a text of the caller's that fails
        try:
            return str(value)
        except Exception:
            return shown(value)


def shown(value: Any) -> str:
    """A value in a few words, of whatever depth and length."""
    try:
        return reprlib.repr(value)
    except Exception:
        return f"(a {type(value).__name__})"


def _show(value: Any) -> str:
    return f"({len(value)} bytes)" if isinstance(value, (bytes, bytearray)) else str(value)
