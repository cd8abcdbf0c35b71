"""What kinds of values settings, options and messages may be made of: one check at the door. Pure.

Callers write those by hand, load them from files and get them from other vendors' adapters; a wrong kind that was met
further in was an `AttributeError` of whatever came across it. What a value has to say beyond its kind is checked where
that is known.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import is_whole, shown

_Words = TypeVar("_Words")


class _AnyText:
    """Has pydantic take any text for a field, as it takes one for a `str`."""

    @staticmethod
    def __get_pydantic_core_schema__(source: Any, handler: Callable[[Any], Any]) -> Any:
        return handler(str)


Spelt = Annotated[_Words, _AnyText]
"""Some words of a `Literal`, for editors and type checkers. Pydantic leaves them alone: another word is refused by what
reads the setting, which knows the model and the host, and says what to do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of values.

    Attributes:
        words: What it is called in errors.
        fits: Whether a value is of it.
    """

    words: str
    fits: Callable[[Any], bool]


_LARGEST = 2**63 - 1
"""Servers hold whole numbers in 64 bits, and Python writes none of more than 4,300 digits."""


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number; True and False are none."""
    return _is_count(value) or (isinstance(value, float) and math.isfinite(value))


def _is_count(value: Any, at_least: int = -_LARGEST) -> bool:
    return is_whole(value, at_least=at_least) and value <= _LARGEST


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (_is_list(value) and all(map(_is_text, value)))


def _is_object(value: Any) -> bool:
    return isinstance(value, (dict, Mapping)) and all(map(_is_text, value))


def _are_objects(value: Any) -> bool:
    return _is_list(value) and all(isinstance(item, (dict, Mapping)) for item in value)  # a dict is told at once


def _is_timeout(value: Any) -> bool:
    seconds = value if isinstance(value, tuple) else (value,)
    if all(each is None or (_is_number(each) and each >= 0) for each in seconds):
        return not isinstance(value, tuple) or 2 <= len(value) <= 4
    return all(hasattr(value, name) for name in ("connect", "read", "write", "pool"))  # httpx's own


TEXT = Kind("text", _is_text)
TEXTS = Kind("a text or a list of texts", _is_texts)
SWITCH = Kind("True or False", lambda value: isinstance(value, bool))
COUNT = Kind("a whole number of 64 bits", _is_count)
NUMBER = Kind("a finite number", _is_number)
OBJECT = Kind("a dict whose keys are texts", _is_object)
OBJECTS = Kind("a list of dicts", _are_objects)
TIMEOUT = Kind("a number of seconds, or an httpx.Timeout", _is_timeout)
RETRIES = Kind("a whole number of at least 0", lambda value: _is_count(value, at_least=0))

_OPTIONS: Mapping[str, Kind] = {
    "timeout": TIMEOUT,
    "stream_idle_timeout": Kind("a number of seconds", lambda value: _is_number(value) and value >= 0),
    "max_retries": RETRIES,
}
"""Options of a connection, and of a call."""


def check_kind(name: str, value: Any, kind: Kind) -> None:
    """Refuse a value of another kind than its name has.

    Raises:
        KimiRequestError: It is of another kind.
    """
    if not kind.fits(value):
        raise KimiRequestError(f"{name}={shown(value)} is not {kind.words}.")


def check_json(name: str, value: Any) -> None:
    """Refuse a value that cannot be written as JSON.

    Raises:
        KimiRequestError: It cannot.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise KimiRequestError(f"{name} cannot be written as JSON: {error}") from None


def check_options(given: Mapping[str, Any]) -> None:
    """Refuse options of a connection that are none; others than `timeout` and the like are not looked at.

    Raises:
        KimiRequestError: One is of another kind.
    """
    for name, kind in _OPTIONS.items():
        if (value := given.get(name)) is not None:
            check_kind(name, value, kind)


def _or_none(kind: Kind) -> Kind:
    return Kind(kind.words, lambda value: value is None or kind.fits(value))


_FIELDS: Mapping[str, Kind] = {
    "role": TEXT,
    "name": _or_none(TEXT),
    "content": _or_none(Kind("text or a list of parts", lambda value: isinstance(value, (str, list, tuple)))),
    "reasoning_content": _or_none(TEXT),
    "reasoning_details": _or_none(Kind("a list", _is_list)),
    "tool_calls": _or_none(Kind("a list of calls", _is_list)),
    "tool_call_id": _or_none(TEXT),
    "partial": _or_none(SWITCH),
}
_CALL: Mapping[str, Kind] = {
    "id": _or_none(TEXT),
    "type": _or_none(TEXT),
    "function": Kind("a dict with the name and arguments of the call", lambda value: isinstance(value, Mapping)),
}
_FUNCTION: Mapping[str, Kind] = {
    "name": TEXT,
    "arguments": _or_none(Kind("JSON text or a dict", lambda value: isinstance(value, (str, Mapping)))),
}

_LISTS = frozenset(key for key, kind in _FIELDS.items() if kind.fits([]))
_NEVER_TEXT = frozenset(key for key, kind in _FIELDS.items() if not kind.fits(""))


def check_messages(messages: Sequence[Mapping[str, Any]], *, kimi: bool = True) -> None:
    """Refuse messages with fields of other kinds than the API's.

    Args:
        messages: Messages in the API's form. Fields that it does not have are not looked at.
        kimi: Whether they are for a model of ours; other vendors have calls in other forms.

    Raises:
        KimiRequestError: One has; the error names the message and the field.
    """
    for index, message in enumerate(messages):
        for value in message.values():
            if value.__class__ is not str:
                break
        else:  # the usual case: a conversation of 300 turns has 1,200 messages
            if _NEVER_TEXT.isdisjoint(message):
                continue
        for key, value in message.items():
            kind = value.__class__
            if key in _NEVER_TEXT if kind is str else kind is not list or key not in _LISTS:
                _check_fields(message, _FIELDS, f"message {index}")
                break
        for number, call in enumerate(message.get("tool_calls") or ()):
            if not (isinstance(call, dict) and (not kimi or _is_fine(call))):
                _check_call(call, f"tool call {number} of message {index}", kimi)


def _is_fine(call: dict[str, Any]) -> bool:
    """Whether a call has the usual fields and kinds."""
    function, call_id, kind = call.get("function"), call.get("id"), call.get("type")
    if function.__class__ is not dict or call_id.__class__ is not str or kind.__class__ is not str:
        return False
    name, arguments = function.get("name"), function.get("arguments")
    return name.__class__ is str and arguments.__class__ is str


def _check_call(call: Any, place: str, kimi: bool) -> None:
    if not isinstance(call, Mapping):
        raise KimiRequestError(f"{place.capitalize()} is {shown(call)}, and not a dict.")
    if kimi:
        _check_fields({"function": None, **call}, _CALL, place)
        _check_fields({"name": None, **call["function"]}, _FUNCTION, place)


def _check_fields(given: Mapping[str, Any], fields: Mapping[str, Kind], place: str) -> None:
    for key, value in given.items():
        if key in fields and not fields[key].fits(value):
            raise KimiRequestError(f"{key!r} of {place} is {shown(value)}, and not {fields[key].words}.")
