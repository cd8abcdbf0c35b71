"""The rules of Moonshot's JSON Schema dialect for the values in a schema: bounds and enums. A default may be anything.

Sources are named in ``check``.
"""

from __future__ import annotations

import math
from typing import Any

from .tree import Limits, Node

_RANGES = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
}
_PYTHON: dict[str, type] = {"string": str, "boolean": bool, "null": type(None), "array": list, "object": dict}
_TOO_LARGE = 2**1024  # for the validator's numbers, which are doubles


def check_bounds(node: Node) -> None:
    """Bounds are numbers, whole where they bound counts or integers, and in order (docs/walle.md)."""
    if node.types[0] not in _RANGES:
        return
    least, most = _RANGES[node.types[0]]
    counts, whole = least != "minimum", "integer" in node.types
    bounds = {keyword: node.schema[keyword] for keyword in (least, most) if keyword in node.schema}
    for keyword, bound in bounds.items():
        if not _is_number(bound):
            raise node.violation(f"{keyword} must be {'an integer' if counts or whole else 'a number'}")
        if counts and bound < 0:
            raise node.violation(f"{keyword} must be non-negative")
        _check_number(node, bound, whole=counts or whole)
    if len(bounds) == 2 and bounds[least] > bounds[most]:
        message = f"{least} ({_said(bounds[least])}) cannot be greater than {most} ({_said(bounds[most])})"
        raise node.violation(message, *([least] if counts else []))


def check_enum(node: Node, values: Any, limits: Limits) -> None:
    """An enum's values match the type.

    hermes-agent#18177: "enum value (<nil>) does not match any type in [string]". A number's type does not go on to
    the next of two types, so null stands first there (QwenPaw#3594: "At path 'properties.type.enum': not a valid
    number").
    """
    if not isinstance(values, list):
        raise node.violation("enum must be an array", "enum")
    if not values:
        raise node.violation("enum array cannot be empty", "enum")
    if len(values) > limits.enum_values:
        raise node.violation(f"enum array cannot have more than {limits.enum_values} items", "enum")
    if "type" not in node.schema:  # pi#5822: "At path 'properties.task': type is not defined"
        raise node.violation("type is not defined")
    types = node.types
    if len(types) == 2 and "null" not in types:
        raise node.violation(
            "when type is array and enum is specified, currently only 2 types are supported, "
            "one must be null, and the other can be string/integer/number/boolean"
        )
    for value in values:
        if not any(_matches(node, value, type) for type in types):
            raise node.violation(f"enum value ({_said(value)}) does not match any type in [{' '.join(types)}]", "enum")
    # The validator adds "when enum has more than 2500 values", more than an enum may have; its docs mean the limit.
    length = sum(
        len(_said(value).encode("utf-8", "replace")) for value in values if isinstance(value, (str, int, float))
    )
    if length > limits.enum_length:
        raise node.violation(
            f"total string length of enum values ({length}) exceeds maximum limit of {limits.enum_length} characters",
            "enum",
        )


def _matches(node: Node, value: Any, type: str) -> bool:
    if type in ("number", "integer"):
        if not _is_number(value):
            raise node.violation(f"not a valid {type}", "enum")
        _check_number(node, value, "enum", whole=type == "integer")
    return _is(value, type)


def _is(value: Any, type: str) -> bool:
    """Whether a value is an instance of a type."""
    if type == "number":
        return _is_number(value)
    if type == "integer":
        return _is_number(value) and (isinstance(value, int) or value.is_integer())
    return isinstance(value, _PYTHON[type])


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_number(node: Node, value: float, *more: str, whole: bool) -> None:
    if not -_TOO_LARGE < value < _TOO_LARGE:
        raise node.violation("invalid number: NaN or Infinity not allowed", *more)
    if whole and value != math.floor(value):
        raise node.violation("not a valid integer", *more)


def _said(value: Any, depth: int = 0) -> str:
    """Write a value the way the validator, a Go program, does."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)) and -_TOO_LARGE < value < _TOO_LARGE:
        return f"{int(value)}" if value == math.floor(value) and abs(value) < 1e21 else f"{float(value)}"
    if isinstance(value, dict) and depth < 4:
        return f"map[{' '.join(f'{key}:{_said(child, depth + 1)}' for key, child in sorted(value.items()))}]"
    if isinstance(value, list) and depth < 4:
        return f"[{' '.join(_said(item, depth + 1) for item in value)}]"
    return value if isinstance(value, str) else "..."
