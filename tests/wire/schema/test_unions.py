"""Unions and enums in the form that the validator takes: what is said once, and what is too long for one keyword."""

from __future__ import annotations

from typing import Any

import pytest

from kimi_wire.schema import normalise_schema
from tests.wire.schema.checks import assert_in_dialect, is_valid, subschemas
from tests.wire.schema.test_rules import JSON, NULL, NUMBER, STRING, obj, prop

URI = {**STRING, "format": "uri"}
SAID_URI = {**STRING, "description": "Format: uri."}
PAIR = [{**SAID_URI}, {**NUMBER, "description": "Seconds"}]


def either(*branches: JSON, **more: Any) -> JSON:
    return {"anyOf": list(branches), **more}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        # what is said of the one branch beside null is said of the union
        (either(URI, NULL, description="Where"), either(STRING, NULL, description="Where. Format: uri.")),
        (either(URI, NULL, description="The Format: uri."), either(STRING, NULL, description="The Format: uri.")),
        (either(URI, NULL, title="Where to look"), either(STRING, NULL, description="Where to look. Format: uri.")),
        (
            either({**STRING, "title": "A place of mine"}, NULL, description="Where"),
            either(STRING, NULL, description="Where. A place of mine."),
        ),
        # nothing is said twice, and nothing moves where only one of both says something
        (either(STRING, NULL, description="Where"), either(STRING, NULL, description="Where")),
        (either(URI, NULL), either(SAID_URI, NULL)),
        # otherwise a union of one is put around
        (
            either(URI, {**NUMBER, "description": "Seconds"}, description="When"),
            either(either(*PAIR), description="When"),
        ),
        (
            either(URI, {**NULL, "description": "Nowhere"}, description="Where"),
            either(either(SAID_URI, {**NULL, "description": "Nowhere"}), description="Where"),
        ),
        # unions in unions
        (
            either(either(*PAIR, description="One"), NULL, description="Two"),
            either(either(*PAIR, NULL), description="Two. One."),
        ),
        (
            either(either(*PAIR, description="One"), obj(), description="Two"),
            either(either(either(either(*PAIR), description="One"), obj()), description="Two"),
        ),
    ],
)
def test_a_union_and_its_branches_do_not_both_say_something(schema: JSON, expected: JSON) -> None:
    result = prop(schema)
    assert result == expected
    for inner in subschemas(result):
        assert "description" not in inner or not any("description" in branch for branch in inner.get("anyOf", ()))


def test_everywhere_and_in_definitions() -> None:
    union = either(URI, {**obj(a=STRING), "description": "A place"}, description="Where")
    schema = {
        **obj(a={"type": "array", "items": union}, b={"type": "object", "additionalProperties": union}),
        "$defs": {"P": {**union, "anyOf": [*union["anyOf"], {"$ref": "#/$defs/P"}, {"type": "integer"}]}},
    }
    schema["properties"]["c"] = {"$ref": "#/$defs/P"}
    result = normalise_schema(schema)
    assert_in_dialect(result)
    assert normalise_schema(result) == result
    branches = [SAID_URI, {**obj(a=STRING), "description": "A place"}]
    assert result["properties"]["a"]["items"] == either(either(*branches), description="Where")
    assert result["properties"]["b"]["additionalProperties"] == either(either(*branches), description="Where")
    assert result["$defs"]["P"] == either(either(*branches, {"type": "integer"}), description="Where")


def test_a_described_reference_beside_null() -> None:
    schema = {**obj(a=either({"$ref": "#/$defs/A", "description": "Mine"}, NULL, description="Whose"))}
    result = normalise_schema({**schema, "$defs": {"A": {**obj(b=STRING), "description": "An A"}}})
    assert_in_dialect(result)
    assert result["properties"]["a"] == either({"$ref": "#/$defs/A"}, NULL, description="Whose. Mine.")
    assert result["$defs"]["A"]["description"] == "An A"


# What is too long for one keyword


def values(count: int, length: int = 1) -> list[str]:
    return [f"v{number:0{length}}" for number in range(count)]


@pytest.mark.parametrize("count", [1000, 1001, 1500, 2000, 2001])
@pytest.mark.parametrize("more", [{}, {"description": "Which"}, {"default": "v7"}, {"maxLength": 9}])
def test_long_enums_are_written_as_several(count: int, more: JSON) -> None:
    result = prop({**STRING, "enum": values(count), **more})
    if count == 1000:
        assert result == {**STRING, "enum": values(count), **more}
        return
    description = more.get("description") or ('Default: "v7".' if "default" in more else None)
    assert result.get("description") == description
    assert [value for branch in result["anyOf"] for value in branch["enum"]] == values(count)
    assert {(branch["type"], branch.get("maxLength")) for branch in result["anyOf"]} == {
        ("string", more.get("maxLength"))
    }
    assert is_valid(result, "v999")
    assert not is_valid(result, f"v{count}")


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": [*values(1500), None]},
        {"enum": [*values(1500), None], "description": "Which", "default": "v1"},
        {"enum": [*range(1200), *values(1200), True]},
        {"type": ["string", "null"], "enum": values(1200)},
        either({"const": "first", "description": "The first"}, {"enum": values(1200)}, description="Which"),
        {"type": "array", "items": {"enum": values(1200)}, "description": "Some"},
        {"type": "object", "additionalProperties": {"enum": values(1200), "description": "One"}},
    ],
)
def test_long_enums_anywhere(schema: JSON) -> None:
    result = prop(schema)
    for inner in subschemas(result):
        assert len(inner.get("enum", ())) <= 1000
    for instance in ("v0", "v1199", "v1499", 7, 1199, None, True, ["v1199"], {"a": "v1199"}, "first"):
        assert is_valid(result, instance) or not is_valid(schema, instance)
    assert not is_valid(result, "v1500")


def test_values_too_long_for_any_enum_are_left_to_words() -> None:
    schema = {**STRING, "enum": values(10_000, 8), "description": "Which", "default": "v00000001"}
    said = '10,000 values such as "v00000000", "v00000001", "v00000002", "v00000003" or "v00000004".'
    assert prop(schema) == {**STRING, "description": f'Which. Default: "v00000001". One of {said}'}


@pytest.mark.parametrize("count", [500, 501, 1000, 1001, 1499])
@pytest.mark.parametrize("more", [{}, {"description": "Which"}])
def test_long_unions_are_written_as_several(count: int, more: JSON) -> None:
    branches = [{"type": "array", "minItems": number, "maxItems": number} for number in range(count)]
    result = prop(either(*branches, **more))
    assert result.get("description") == more.get("description")
    for inner in subschemas(result):
        assert len(inner.get("anyOf", ())) <= 500
    assert [inner for inner in subschemas(result) if "anyOf" not in inner] == branches
    assert is_valid(result, [0] * 499)
    assert not is_valid(result, [0] * count)
