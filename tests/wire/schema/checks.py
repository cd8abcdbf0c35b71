"""Whether a schema has the form that every Moonshot server takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema

from kimi_emulator.mfjs import check_schema

JSON = dict[str, Any]

SCALARS = {"string", "integer", "number", "boolean", "null"}
KEYWORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "description", "default"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"),
}


def subschemas(schema: JSON) -> Iterator[JSON]:
    """A schema and all schemas in it, `$defs` included."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ()), *schema.get("$defs", {}).values()]
    inner += [schema[key] for key in ("items", "additionalProperties") if isinstance(schema.get(key), dict)]
    for value in inner:
        assert isinstance(value, dict), value
        yield from subschemas(value)


def assert_in_dialect(schema: JSON) -> None:
    """In the dialect by the emulator's check, and in the form that all reports accept where they contradict it."""
    check_schema(schema)
    assert schema["type"] == "object"
    for inner in subschemas(schema):
        if "$ref" in inner:
            assert set(inner) == {"$ref"}  # nothing beside a reference, not even a description
            assert inner["$ref"] == "#" or inner["$ref"].removeprefix("#/$defs/") in schema["$defs"]
            continue
        assert set(inner) <= KEYWORDS | ({"$defs"} if inner is schema else set()), inner
        if "anyOf" in inner:
            assert set(inner) <= {"anyOf", "description"}
            continue
        types = inner["type"]
        if isinstance(types, list):
            assert set(inner) <= {"type", "description"}
            assert len(types) > 1
            assert SCALARS.issuperset(types)
        if "enum" in inner:
            assert len({type(value) is bool for value in inner["enum"]}) == 1
            assert None not in inner["enum"]
            assert "" not in inner["enum"]
        assert inner.get("description", "x").strip()


def is_valid(schema: JSON, instance: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(schema).is_valid(instance))


def same_shape(one: Any, other: Any) -> bool:
    """Equal, and in the same order."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same_shape(one[key], other[key]) for key in one)
    return bool(one == other)
