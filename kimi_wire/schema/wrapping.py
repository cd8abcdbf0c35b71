"""Roots that are no objects, for a dialect whose roots are: one is put into a property, and goes on meaning itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema.keywords import MAPS, REFERENCES, types_written
from kimi_wire.schema.meet import Meet, Reader
from kimi_wire.schema.references import Document, identifier
from kimi_wire.schema.source import check_json

_SHARED = ("$defs", "definitions")
_DATA = ("enum", "const", "default", "example", "examples")


def is_object_schema(schema: Mapping[str, Any]) -> bool:
    """Whether a schema describes objects only: by its type, through a reference, or by parts that all hold.

    The dialect takes no other root; `wrap_schema` makes one. A bare union of objects counts as none, as it is exact
    in a property only.

    Args:
        schema: The schema. One with a mistake is taken by what it says of its type.
    """
    try:
        check_json(schema, "schema")
        reader = Reader(Document(schema, "schema"))
        merged = reader.merge(Meet.of(reader.document.root))
        ways = filter(reader.is_possible, reader.ways(merged) or ())
        return merged.types == ("object",) and all(reader.merge(way).types == ("object",) for way in ways)
    except KimiRequestError:
        return "object" in types_written(schema)


def wrap_schema(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object with the schema in a required property; every reference leads to where it led.

    Args:
        schema: The schema; it is not changed.
        name: What the property is called.

    Raises:
        KimiRequestError: It is no JSON, or nested too deep.
    """
    check_json(schema, name)
    if identifier(schema) is not None:  # what it refers to counts from there, wherever it stands
        return _hold(name, dict(schema))
    moved = _move(schema, f"#/properties/{name}", is_map=False)
    shared = {keyword: moved.pop(keyword) for keyword in _SHARED if keyword in moved}
    return {**_hold(name, moved), **shared}


def _hold(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {name: schema}, "required": [name]}


def _move(value: Any, root: str, *, is_map: bool) -> Any:
    """A part of a schema whose root is another now; definitions stay at the root, and anchors are found anywhere.

    Args:
        value: The part.
        root: The pointer to what was the root.
        is_map: Whether its keys are names, and no keywords.
    """
    if isinstance(value, (list, tuple)):
        return [_move(item, root, is_map=False) for item in value]
    if not isinstance(value, Mapping) or (not is_map and identifier(value) is not None):
        return value
    moved: dict[str, Any] = {}
    for key, inner in value.items():
        if is_map or (key not in _DATA and key not in REFERENCES):
            moved[key] = _move(inner, root, is_map=not is_map and key in (*MAPS, "schemas"))
        elif key in REFERENCES and isinstance(inner, str):
            moved[key] = _point(inner, root)
        else:
            moved[key] = inner
    return moved


def _point(reference: str, root: str) -> str:
    if reference.split("/")[1:2] and reference.split("/")[1] in _SHARED:
        return reference
    return root + reference[1:] if reference == "#" or reference.startswith("#/") else reference
