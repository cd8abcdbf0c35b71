"""The text of a tool call's arguments: read, written, and made fit to go back to the server. Pure."""

from __future__ import annotations

import json
import logging
import math
from typing import Any

from jiter import from_json

from kimi_wire.errors import KimiRequestError

logger = logging.getLogger("kimi_wire")

WHITE = " \t\n\r"
"""White space, as JSON has it; Python's has more."""


def parse_arguments(arguments: str) -> dict[str, Any]:
    """Parse a tool call's arguments.

    Args:
        arguments: JSON text; white space alone is an empty object, as models write it for tools without parameters.
            Line feeds and other control characters inside strings are taken, as models write those too
            (MoonshotAI/kimi-cli#1378).

    Raises:
        ValueError: It is not a JSON object. The message quotes it.
    """
    if not arguments.strip(WHITE):
        return {}
    try:
        parsed = parse_json(arguments)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The arguments are not valid JSON ({error}): {arguments}") from None
    if not isinstance(parsed, dict):
        raise ValueError(f"The arguments are not a JSON object: {arguments}")
    return parsed


def parse_json(text: str) -> Any:
    """Parse JSON as models write it: with control characters inside strings, and without NaN.

    Raises:
        ValueError: It is none.
        RecursionError: It is nested too deeply.
    """
    try:
        return from_json(text.encode(), allow_inf_nan=False)
    except ValueError:
        return json.loads(text, strict=False, parse_constant=_refuse_constant)


def is_reading_of(read: Any, written: Any) -> bool:
    """Whether parsed arguments are those that a model wrote, values that it had encoded twice decoded.

    Args:
        read: The arguments, as tools have them.
        written: What the model's own text parses to.
    """
    if isinstance(written, str) and isinstance(read, (dict, list)):
        try:
            return is_reading_of(read, parse_json(written))
        except (ValueError, RecursionError):
            return False
    if isinstance(written, dict) and isinstance(read, dict):
        return written.keys() == read.keys() and all(is_reading_of(read[key], written[key]) for key in written)
    if isinstance(written, list) and isinstance(read, list):
        return len(written) == len(read) and all(map(is_reading_of, read, written))
    return bool(read == written)


_write_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # `dumps` makes one each time
_write_strict = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def render_arguments(arguments: Any) -> str:
    """Arguments as JSON text, the way Kimi writes them: compact, and with its letters as they are.

    Args:
        arguments: The object; what a server sent in its place is written too, for an error that quotes it.
    """
    return _write_compact(arguments)


def send_arguments(arguments: Any, name: Any) -> str:
    """The arguments of a past call, as `render_arguments` writes them, for the server.

    JSON has no infinity and no NaN, which other vendors' adapters let models write: they go out as these words.

    Args:
        arguments: The object, as a framework holds it.
        name: The tool's name, for errors.

    Raises:
        KimiRequestError: There is something in it that JSON has no form for: a date, a set, a circle.
    """
    try:
        return _write_strict(arguments)
    except (TypeError, ValueError, RecursionError) as error:
        problem = str(error)
    try:
        return _write_strict(_with_words(arguments))
    except (TypeError, ValueError, RecursionError):
        raise KimiRequestError(
            f"The arguments of a past call of the tool {str(name)[:100]!r} cannot be written as JSON: {problem[:200]}. "
            "Let them be what json.dumps takes."
        ) from None


def _with_words(value: Any) -> Any:
    """A copy with words in place of the numbers that JSON does not have."""
    if isinstance(value, float) and not math.isfinite(value):
        logger.debug("wrote %r of a tool call's arguments as text, which is no JSON", value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, dict):
        return {key: _with_words(item) for key, item in value.items()}
    return [_with_words(item) for item in value] if isinstance(value, (list, tuple)) else value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def replay_arguments(arguments: str) -> str:
    """Arguments as they may go back to the server: unchanged where they are a valid JSON object.

    Malformed ones poison every later request of a session (MoonshotAI/kimi-cli#1378). What can be read, NaN too, is
    written anew; what cannot becomes an empty object; the answer of the tool quotes it, and stays in the conversation.
    """
    try:
        if isinstance(from_json(arguments.encode(), allow_inf_nan=False), dict):
            return arguments
    except ValueError:
        pass
    try:
        parsed = _with_words(json.loads(arguments, strict=False))
    except (ValueError, RecursionError):
        return "{}"
    if not isinstance(parsed, dict):
        return "{}"
    written = render_arguments(parsed)
    # Halves of a surrogate pair have no UTF-8; as escapes they are JSON all the same.
    return written if _is_unicode(written) else json.dumps(parsed, separators=(",", ":"))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
