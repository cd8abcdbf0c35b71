"""The dialect of JSON Schema: each rule refuses one schema in the validator's words and accepts its nearest neighbour."""

from __future__ import annotations

import copy
import itertools
import json
import random
import string
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_emulator.mfjs import Limits, Violation, check_schema

TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
ENDLESS = "detected infinite recursion without termination condition"
TWICE = (
    "conflicting keywords found in anyOf with parent: keywords ({}) are defined on the parent schema and inside anyOf; "
    "remove them from the parent or from anyOf branches"
)
NO_TYPE_HERE = "when using {}, type should be defined in {} instead of the parent schema"
TOO_DEEP = "schema depth exceeds maximum limit of 30"
HUGE = 10**400


def obj(properties: Any = None, **more: Any) -> dict[str, Any]:
    return {"type": "object", **({"properties": properties} if properties is not None else {}), **more}


def one(schema: Any, **more: Any) -> dict[str, Any]:
    """A schema with one property, ``x``."""
    return obj({"x": schema}, **more)


def array(items: Any, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **more}


def either(*branches: Any, **more: Any) -> dict[str, Any]:
    return {"anyOf": list(branches), **more}


def ref(name: str = "A", **more: Any) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", **more}


def defs(schema: dict[str, Any], **definitions: Any) -> dict[str, Any]:
    return {**schema, "$defs": definitions}


def nested(depth: int) -> dict[str, Any]:
    """So many ``properties`` in each other."""
    schema: dict[str, Any] = TEXT
    for _ in range(depth):
        schema = one(schema)
    return schema


def arrays(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _ in range(depth):
        schema = array(schema)
    return schema


def enum(type: Any, *values: Any) -> dict[str, Any]:
    return {"type": type, "enum": list(values)}


# what is refused, where, the words, the nearest that is accepted
CASES: list[tuple[Any, str, str, Any]] = [
    # the schema as a whole
    (None, "root", "schema must be a dict", {}),
    ([], "root", "JSON schema parsing error: the schema is not an object", {}),
    ({"$schema": "x", **TEXT}, "root", "unsupported keywords: $schema", {"$id": "x", **TEXT}),
    (obj({}, oneOf=[TEXT], not_=1), "root", "unsupported keywords: oneOf, not_", obj({})),
    (one({**TEXT, "format": "date"}), "properties.x", "unsupported keywords: format", one({**TEXT, "pattern": "^a"})),
    ({**TEXT, "nullable": True}, "root", "unsupported keywords: nullable", {"type": ["string", "null"]}),
    # type
    (one({"enum": ["a"]}), "properties.x", "type is not defined", one(enum("string", "a"))),
    (
        one({"properties": {"y": {}}, "required": ["y"]}),
        "properties.x.required",
        "required keyword must be used with object",
        one({"properties": {"y": {}}, "required": []}),
    ),
    ({"type": "text"}, "root", "invalid type", TEXT),
    ({"type": None}, "root", "type must be string or array of strings", {"type": "null"}),
    ({"type": ["string", None]}, "root", "invalid type in type array", {"type": ["string", "null"]}),
    ({"type": ["string", ["null"]]}, "root", "invalid type in type array", {"type": ["string"]}),
    ({"type": []}, "root", "type array cannot be empty", {"type": ["null"]}),
    ({"type": ["null", "null"]}, "type", "duplicate types in type array", {"type": ["null"]}),
    (
        {"type": ["string", "null"], "minLength": 1},
        "root",
        "keyword minLength is not allowed in combination with multiple types",
        {"type": ["string", "null"], "description": "?", "title": "?", "$id": "x", "$defs": {}},
    ),
    (
        one({"type": ["string", "null"], "$id": "x"}),
        "properties.x",
        "keyword $id is not allowed in combination with multiple types",
        one({"type": ["string", "null"]}),
    ),
    (
        enum(["string", "object"], "a"),
        "root",
        "type object is not allowed in combination with enum",
        enum(["string", "null"], "a"),
    ),
    (
        enum(["string", "integer", "null"], "a"),
        "root",
        "keyword enum is not allowed in combination with multiple types",
        enum(["string", "null"], "a", None),
    ),
    # keywords and their types
    ({**TEXT, "minItems": 1}, "root", "invalid keywords: minItems", {"type": "array", "minItems": 1}),
    ({**WHOLE, "minLength": 1, "items": TEXT}, "root", "invalid keywords: minLength, items", {**WHOLE, "minimum": 1}),
    ({"type": "boolean", "minimum": 0}, "root", "invalid keywords: minimum", enum("boolean", True)),
    ({"type": "null", "pattern": "a"}, "root", "invalid keywords: pattern", enum("null", None)),
    (obj(enum=[{}]), "root", "invalid keywords: enum", obj(default={})),
    (array(TEXT, enum=[[]]), "root", "invalid keywords: enum", array(TEXT, default=[])),
    (
        one(obj({}, **{"$defs": {}})),
        "properties.x",
        "keyword $defs must be at root level",
        one(obj({}), **{"$defs": {}}),
    ),
    (one({**TEXT, "$id": "x"}), "properties.x", "keyword $id must be at root level", one(TEXT, **{"$id": "x"})),
    ({**TEXT, "description": None}, "description", "description must be a string", {**TEXT, "description": ""}),
    ({**TEXT, "title": 1}, "title", "title must be a string", {**TEXT, "title": "1"}),
    ({**TEXT, "$id": None}, "$id", "$id must be a string", {**TEXT, "$id": ""}),
    ({**TEXT, "pattern": 1}, "pattern", "pattern must be a string", {**TEXT, "pattern": "1"}),
    # properties and required
    (obj([]), "properties", "properties must be an object", obj({})),
    (obj({"": TEXT}), "properties", "property name cannot be empty", obj({" ": TEXT})),
    *(
        (
            obj({name: TEXT}),
            "properties",
            f"property name '{name}' is reserved for JSON Schema keywords",
            obj({neighbour: TEXT}),
        )
        for name, neighbour in (
            ("$defs", "defs"),
            ("$ref", "ref"),
            ("anyOf", "oneOf"),
            ("required", "type"),
            ("additionalProperties", "properties"),
        )
    ),
    (one(True), "properties", "property schema for 'x' must be an object", one(obj())),
    (
        one(one("string")),
        "properties.x.properties",
        "property schema for 'x' must be an object",
        one(one(TEXT)),
    ),
    (obj(required=None), "required", "required must be an array", obj(required=[])),
    (one(TEXT, required=[1]), "required", "items in required array must be strings", one(TEXT, required=["x"])),
    (one(TEXT, required=[""]), "required", "property names in required array cannot be empty", one(TEXT, required=[])),
    (one(TEXT, required=["x", "x"]), "required", "duplicate items in required array: x", one(TEXT, required=["x"])),
    (obj(required=["x"]), "required", "required specified but 'properties' keyword is missing", obj(required=[])),
    (
        one(one(TEXT, required=["y"])),
        "properties.x.required",
        "required property 'y' is not defined in properties",
        one(one(TEXT, required=["x"])),
    ),
    (
        obj(additionalProperties=None),
        "additionalProperties",
        "additionalProperties must be a boolean or an object",
        obj(additionalProperties=False),
    ),
    (array([TEXT]), "items", "items must be an object", array(TEXT)),
    (array(False), "items", "items must be an object", {"type": "array"}),
    # anyOf
    (one({"anyOf": {}}), "properties.x.anyOf", "anyOf must be an array", one(either(TEXT))),
    (either(), "anyOf", "anyOf must have 1-500 items", either(TEXT)),
    (either(TEXT, True), "anyOf", "schema in anyOf must be an object", either(TEXT, TEXT)),
    (either(TEXT, type="string"), "root", NO_TYPE_HERE.format("anyOf", "anyOf items"), either(TEXT)),
    (
        one(either(TEXT, default="a")),
        "properties.x",
        "keyword 'default' is not allowed at the same level as anyOf",
        one(either({**TEXT, "default": "a"}, description="?", title="?")),
    ),
    (
        one(either(TEXT, **{"$defs": {}})),
        "properties.x",
        "keyword '$defs' is not allowed at the same level as anyOf",
        either(TEXT, **{"$defs": {}, "$id": "x"}),
    ),
    (
        one(either(TEXT, one(one({"type": "x"})))),
        "properties.x.anyOf.properties.x.properties.x",
        "invalid type",
        one(either(TEXT, one(one(TEXT)))),
    ),
    (
        one(either({**TEXT, "description": "uri"}, {"type": "null"}, description="?")),
        "properties.x",
        TWICE.format("description"),
        one(either(either({**TEXT, "description": "uri"}, {"type": "null"}), description="?")),
    ),
    (
        either(TEXT, {"title": "?", "description": "?", **TEXT}, description="?", title="?"),
        "root",
        TWICE.format("description, title"),
        either(TEXT, {"title": "?", **TEXT}, description="?"),
    ),
    (
        one(either({**ref(), "description": "?"}, description="?")),
        "properties.x",
        TWICE.format("description"),
        defs(one(either(ref(), description="?")), A={**TEXT, "description": "?"}),
    ),
    # enum
    (enum("string", *range(0)), "enum", "enum array cannot be empty", enum("string", "")),
    ({**TEXT, "enum": "a"}, "enum", "enum must be an array", enum("string", "a")),
    (enum("string", "a", None), "enum", "enum value (<nil>) does not match any type in [string]", enum("string", "a")),
    (enum("string", True), "enum", "enum value (true) does not match any type in [string]", enum("boolean", True)),
    (enum("string", 1e21), "enum", "enum value (1e+21) does not match any type in [string]", enum("number", 1e21)),
    (enum("boolean", 1.50), "enum", "enum value (1.5) does not match any type in [boolean]", enum("number", 1.5)),
    (
        enum("null", [1, {"b": ""}]),
        "enum",
        "enum value ([1 map[b:]]) does not match any type in [null]",
        enum("null", None),
    ),
    (
        enum(["string", "null"], 2.0),
        "enum",
        "enum value (2) does not match any type in [string null]",
        enum(["null", "integer"], 2.0),
    ),
    (
        enum(["string", "integer"], "a"),
        "root",
        "when type is array and enum is specified, currently only 2 types are supported, "
        "one must be null, and the other can be string/integer/number/boolean",
        enum(["null", "string"], "a"),
    ),
    (one(enum("number", "1")), "properties.x.enum", "not a valid number", one(enum("number", 1))),
    (enum("number", True), "enum", "not a valid number", enum("number", 1)),
    (enum("integer", 1.5), "enum", "not a valid integer", enum("integer", 1.0)),
    (enum("integer", None), "enum", "not a valid integer", enum("integer", -1)),
    (enum(["integer", "null"], 1, None), "enum", "not a valid integer", enum(["null", "integer"], 1, None)),
    (enum("integer", HUGE), "enum", "invalid number: NaN or Infinity not allowed", enum("integer", 10**300)),
    # bounds
    ({**TEXT, "minLength": "1"}, "root", "minLength must be an integer", {**TEXT, "minLength": 1}),
    ({**TEXT, "maxLength": None}, "root", "maxLength must be an integer", {**TEXT, "maxLength": 5_000_000}),
    ({"type": "array", "minItems": True}, "root", "minItems must be an integer", {"type": "array", "minItems": 1}),
    ({"type": "array", "maxItems": -1}, "root", "maxItems must be non-negative", {"type": "array", "maxItems": 0}),
    ({**TEXT, "minLength": 1.5}, "root", "not a valid integer", {**TEXT, "minLength": 1.0}),
    (one({**WHOLE, "minimum": 0.5}), "properties.x", "not a valid integer", one({"type": "number", "minimum": 0.5})),
    ({**WHOLE, "maximum": "9"}, "root", "maximum must be an integer", {**WHOLE, "maximum": 10**16}),
    ({"type": "number", "minimum": []}, "root", "minimum must be a number", {"type": "number", "minimum": -0.5}),
    (
        {"type": "number", "maximum": float("nan")},
        "root",
        "invalid number: NaN or Infinity not allowed",
        {"type": "number", "maximum": 1.7e308},
    ),
    ({**WHOLE, "maximum": -HUGE}, "root", "invalid number: NaN or Infinity not allowed", {**WHOLE, "maximum": -1}),
    (
        {"type": "number", "minimum": 2, "maximum": 1.5},
        "root",
        "minimum (2) cannot be greater than maximum (1.5)",
        {"type": "number", "minimum": 1.5, "maximum": 1.5},
    ),
    (
        one({**TEXT, "minLength": 2, "maxLength": 1}),
        "properties.x.minLength",
        "minLength (2) cannot be greater than maxLength (1)",
        one({**TEXT, "minLength": 1, "maxLength": 1}),
    ),
    (
        array(TEXT, minItems=2, maxItems=1),
        "minItems",
        "minItems (2) cannot be greater than maxItems (1)",
        array(TEXT, minItems=2, maxItems=2),
    ),
    # $defs
    (defs(TEXT) | {"$defs": []}, "$defs", "$defs must be an object", defs(TEXT)),
    (defs(TEXT, A=True), "$defs", "$defs schema must be object: A", defs(TEXT, A=obj())),
    (defs(TEXT, **{"": TEXT}), "$defs", "$defs property name cannot be empty", defs(TEXT, **{" ": TEXT})),
    (
        defs(TEXT, **{"a/b": TEXT}),
        "$defs",
        "$defs property name 'a/b' cannot contain '/' character",
        defs(obj({"a/b": TEXT}), **{"a.b": TEXT}),
    ),
    (
        defs(TEXT, A=either(obj({"a/b": TEXT}))),
        "$defs.A.anyOf[0]",
        "$defs property name 'a/b' cannot contain '/' character",
        defs(TEXT, A=either(obj({"a.b": TEXT}, description="a/b"))),
    ),
    (
        defs(TEXT, A=obj(default={"a/b": 1})),
        "$defs.A",
        "$defs property name 'a/b' cannot contain '/' character",
        defs(obj(default={"a/b": 1}), A=obj(default={"a": "a/b"})),
    ),
    # $ref
    (one({"$ref": None}), "properties.x.$ref", "$ref must be a string", one({"$ref": "#"})),
    (
        one({"$ref": "#/definitions/A"}, **{"$defs": {"A": TEXT}}),
        "properties.x.$ref",
        "references must start with #/$defs/",
        defs(one(ref()), A=TEXT),
    ),
    (
        one({"$ref": "https://example.com/a.json"}),
        "properties.x.$ref",
        "references must start with #/$defs/",
        one({"$ref": "#"}),
    ),
    (defs(one(ref("")), A=TEXT), "properties.x.$ref", "definition name cannot be empty", defs(one(ref()), A=TEXT)),
    (one(ref()), "properties.x.$ref", "$defs not found for reference: #/$defs/A", defs(one(ref()), A=TEXT)),
    (defs(one(ref("B")), A=TEXT), "root", "invalid $ref path: #/$defs/B", defs(one(ref("A")), A=TEXT)),
    (
        defs(one(ref("A/properties")), A=one(TEXT)),
        "root",
        "invalid $ref path: #/$defs/A/properties",
        defs(one(ref("A/properties/x")), A=one(TEXT)),
    ),
    (
        defs(one(ref("A/anyOf/0")), A=either(TEXT)),
        "root",
        "invalid $ref path: #/$defs/A/anyOf/0",
        defs(one(ref("A/items/additionalProperties")), A=array(obj(additionalProperties=TEXT))),
    ),
    (
        defs(TEXT, A={"$ref": "#", "type": "string"}),
        "$defs.A",
        NO_TYPE_HERE.format("$ref", "the referenced schema"),
        defs(TEXT, A={"$ref": "#"}),
    ),
    (
        defs(one(ref(default="a")), A=TEXT),
        "properties.x",
        "keyword 'default' is not allowed at the same level as $ref",
        defs(one(ref(description="?", title="?")), A={**TEXT, "default": "a"}),
    ),
    (
        defs(one({"$ref": "#", "minItems": 1}), A=TEXT),
        "properties.x",
        "keyword 'minItems' is not allowed at the same level as $ref",
        defs(one({"$ref": "#", "description": "?"}), A=TEXT),
    ),
    (
        one({**ref(), **either(TEXT)}, **{"$defs": {"A": TEXT}}),
        "properties.x",
        "keyword 'anyOf' is not allowed at the same level as $ref",
        one(either(ref(), TEXT), **{"$defs": {"A": TEXT}}),
    ),
    (
        defs(one(ref(description="?", title="?")), A={**TEXT, "description": "!", "title": "!"}),
        "properties.x",
        "conflicting keywords found after $ref expansion: description, title",
        defs(one(ref(title="?")), A={**TEXT, "description": "!"}),
    ),
    (
        defs(one(ref("A", title="?")), A=ref("B"), B={**TEXT, "title": "!"}),
        "properties.x",
        "conflicting keywords found after $ref expansion: title",
        defs(one(ref("A", title="?")), A=ref("B"), B=TEXT),
    ),
    (
        defs(one(ref("A")), A=ref("B", title="?"), B={**TEXT, "title": "!"}),
        "$defs.A",
        "conflicting keywords found after $ref expansion: title",
        defs(one(ref("A")), A=ref("B", title="?"), B=TEXT),
    ),
    # recursion
    ({"$ref": "#"}, "root", ENDLESS, defs(ref(), A=TEXT)),
    (one({"$ref": "#"}, required=["x"]), "properties.x", ENDLESS, one({"$ref": "#"})),
    (
        defs(ref("A"), A=ref("B"), B=ref("A")),
        "root",
        ENDLESS,
        defs(TEXT, A=ref("B"), B=ref("A")),
    ),
    (
        defs(one(ref(), required=["x"]), A=one(ref(), required=["x"])),
        "properties.x",
        ENDLESS,
        defs(one(ref()), A=one(ref(), required=["x"])),
    ),
    (
        defs(one(ref(), required=["x"]), A=one(either(ref(), ref()), required=["x"])),
        "properties.x",
        ENDLESS,
        defs(one(ref(), required=["x"]), A=one(either(ref(), {"type": "null"}), required=["x"])),
    ),
    # the earlier reading: an array is not ended by being empty
    (
        one(array({"$ref": "#"}), required=["x"]),
        "properties.x.items",
        ENDLESS,
        obj({"x": array({"$ref": "#"}), "y": TEXT}, required=["x", "y"]),
    ),
    # the later reading: one required property that ends does not end the object
    (
        obj({"x": {"$ref": "#"}, "y": TEXT}, required=["y", "x"]),
        "properties.x",
        ENDLESS,
        obj({"x": {"$ref": "#"}, "y": TEXT}, required=["y"]),
    ),
    (
        obj({"x": array({"$ref": "#"}, minItems=1), "y": TEXT}, required=["x", "y"]),
        "properties.x.items",
        ENDLESS,
        obj({"x": array({"$ref": "#"}, minItems=0), "y": TEXT}, required=["x", "y"]),
    ),
    # limits
    (nested(31), "properties" + ".x.properties" * 30 + ".x", TOO_DEEP, nested(30)),
    (defs(one(ref()), A=nested(30)), "root", TOO_DEEP, defs(one(ref()), A=nested(29))),
    (defs(TEXT, A=one(ref("B")), B=nested(30)), "root", TOO_DEEP, defs(TEXT, A=one(ref("B")), B=nested(29))),
    (
        defs(TEXT, A=obj({"x": nested(15), "y": one(one(ref()))})),  # three down to the loop's end, then once more
        "root",
        TOO_DEEP.replace("30", "18"),
        defs(TEXT, A=obj({"x": nested(14), "y": one(one(ref()))})),
    ),
    (
        {**TEXT, "description": "x" * 120_000},
        "root",
        "schema exceeds maximum allowed size",
        {**TEXT, "description": "x" * (120_000 - len('{"type":"string","description":""}'))},
    ),
    (
        obj({str(number): TEXT for number in range(3_001)}),
        "root",
        "total number of properties keys(3001) across all objects exceeds maximum limit of 3000",
        obj({str(number): TEXT for number in range(3_000)}),
    ),
    (
        defs(one(TEXT), A=obj({str(number): TEXT for number in range(2_999)}), B=one(TEXT)),
        "$defs.B",
        "total number of properties keys(3001) across all objects exceeds maximum limit of 3000",
        defs(one(TEXT), A=obj({str(number): TEXT for number in range(2_999)})),
    ),
    (
        enum("integer", *range(1_001)),
        "enum",
        "enum array cannot have more than 1000 items",
        enum("integer", *range(1_000)),
    ),
    (
        enum("string", *("é" * 50 for _ in range(751))),
        "enum",
        "total string length of enum values (75100) exceeds maximum limit of 75000 characters",
        enum("string", *("é" * 50 for _ in range(750))),
    ),
    (either(*[TEXT] * 501), "anyOf", "anyOf must have 1-500 items", either(*[TEXT] * 500)),
]


@pytest.mark.parametrize(("refused", "path", "words", "accepted"), CASES, ids=lambda case: str(case)[:60])
def test_rule(refused: Any, path: str, words: str, accepted: Any) -> None:
    limits = Limits(depth=18) if "limit of 18" in words else Limits()
    before = copy.deepcopy(refused)
    with pytest.raises(Violation) as caught:
        check_schema(refused, limits)
    assert (caught.value.path, caught.value.message) == (path, words)
    assert str(caught.value) == f"At path '{path}': {words}"
    assert repr(refused) == repr(before)
    check_schema(accepted, limits)


def test_smaller_limits() -> None:
    limits = Limits(depth=2, size=120, properties=2, enum_values=2, enum_length=4, branches=2)
    check_schema(one(one(TEXT)), limits)
    for schema in (
        nested(3),
        obj({"a": TEXT, "b": TEXT, "c": TEXT}),
        enum("integer", 1, 2, 3),
        enum("number", 10.5, 2),
        either(TEXT, TEXT, TEXT),
        {**TEXT, "title": "x" * 100},
    ):
        with pytest.raises(Violation):
            check_schema(schema, limits)


@pytest.mark.parametrize("schema", [{}, {"description": "?"}, {"minLength": 1}, {"properties": {"y": {}}}])
@pytest.mark.parametrize(
    "place", [one, array, either, lambda it: obj(additionalProperties=it), lambda it: defs({}, A=it)]
)
def test_what_has_no_type_may_be_anything(place: Callable[[Any], Any], schema: dict[str, Any]) -> None:
    """Moonshot's verifier of hosts wants `{"properties": {"value": {}}}` accepted, its validator takes the rest."""
    check_schema(schema)
    check_schema(place(schema))
    check_schema({key: value for key, value in place(schema).items() if key != "type"})


@pytest.mark.parametrize("default", [None, 1.5, "a", True, [], {"a": 1}])
@pytest.mark.parametrize("schema", [TEXT, WHOLE, obj(), array(TEXT), {}, enum(["string", "null"], "a")])
def test_a_default_may_be_anything(schema: dict[str, Any], default: Any) -> None:
    check_schema(one({**schema, "default": default}))


@pytest.mark.parametrize(
    ("value", "size"),
    [
        ("é", 4),
        ("<&>", 20),
        ("\u2028", 8),
        ('"\n', 6),
        ("\x1f", 8),
        ("\ud800", 5),
        ([], 2),
        ([[], {}], 7),
        ({"a": 1, "b": [None, True]}, 23),
        (-1.5, 4),
        (-10, 3),
    ],
)
def test_size_is_that_of_compact_json(value: Any, size: int) -> None:
    whole = size + len('{"type":"string","default":}')
    schema = {"type": "string", "default": value}
    with pytest.raises(Violation, match="size"):
        check_schema(schema, Limits(size=whole - 1))
    check_schema(schema, Limits(size=whole))


# Moonshot's own cases, which its tests run with everything as strict as can be and five levels.


def moonshots(recordings: Path, name: str) -> Iterator[str]:
    files = sorted((recordings / "mfjs_cases").glob(f"*/{name}"))
    assert files
    for file in files:
        yield from filter(str.strip, file.read_text(encoding="utf-8").splitlines())


def test_moonshots_valid_schemas(recordings: Path) -> None:
    for schema in moonshots(recordings, "valid.jsonl"):
        check_schema(json.loads(schema), Limits(depth=5))


def test_moonshots_invalid_schemas(recordings: Path) -> None:
    for line in moonshots(recordings, "invalid.jsonl"):
        case = json.loads(line)
        try:
            schema = json.loads(case["schema"])
        except ValueError:
            assert case["unmarshal"], "only what is not JSON at all never comes to the check"
            continue
        with pytest.raises(Violation) as caught:
            check_schema(schema, Limits(depth=5))
        assert case["expect"].lower() in str(caught.value).lower(), case["schema"]


# Hostile schemas


@pytest.mark.parametrize(
    "build",
    [
        nested,
        arrays,
        lambda depth: one({**TEXT, "default": [json.loads("[" * 500 + "]" * 500)] * depth}),
        lambda depth: defs(ref("d0"), **{f"d{at}": ref(f"d{at + 1}") for at in range(depth)}),
        lambda depth: {"type": "string", "description": "x" * 20 * depth},
        lambda depth: obj({str(at): obj({str(inner): TEXT for inner in range(9)}) for at in range(depth)}),
        lambda depth: either(*[either(TEXT)] * depth),
        lambda depth: enum("string", *["x"] * depth * 2),
    ],
)
def test_what_is_far_too_large_is_refused(build: Callable[[int], dict[str, Any]]) -> None:
    with pytest.raises(Violation, match=r"^At path '[\w.]+': "):
        check_schema(build(10_000))


@pytest.mark.parametrize("schema", [enum("integer", 10**5_000), {**WHOLE, "default": "a", "minimum": -(10**5_000)}])
def test_numbers_too_long_to_write_out_are_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(Violation, match="NaN or Infinity not allowed"):
        check_schema(schema)
    with pytest.raises(Violation, match="maximum allowed size"):
        check_schema(schema, Limits(size=4_000))


def test_deep_arrays_are_no_problem() -> None:
    check_schema(arrays(4_000))


def test_a_schema_that_holds_itself_is_too_large() -> None:
    schema: dict[str, Any] = one(TEXT)
    schema["properties"]["x"] = schema
    with pytest.raises(Violation, match="maximum allowed size"):
        check_schema(schema)


def diamonds(levels: int) -> dict[str, Any]:
    """Each definition leads to the next by two ways."""
    middle = {f"d{at}": either(ref(f"d{at + 1}"), array(ref(f"d{at + 1}"))) for at in range(levels)}
    return defs(obj({"x": ref("d0")}), **middle, **{f"d{levels}": TEXT})


def ring(size: int) -> dict[str, Any]:
    """Each definition leads to the next, to the one after it, and to the first."""
    links = {f"d{at}": either(TEXT, *(ref(f"d{to % size}") for to in (at + 1, at + 2, 0))) for at in range(size)}
    return defs(obj({"x": ref("d0")}), **links)


def chain(size: int) -> dict[str, Any]:
    """Each definition is but the next; every one is referred to."""
    links = {f"d{at}": ref(f"d{at + 1}") for at in range(size)}
    return defs(obj({at: ref(at) for at in links}), **links, **{f"d{size}": TEXT})


def slashes(size: int) -> dict[str, Any]:
    return defs(TEXT, A=arrays(size))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "size"),
    [
        (diamonds, 500),
        (ring, 400),
        (slashes, 1_500),
        (arrays, 1_500),
        (lambda size: obj({str(at): enum("string", "a", "b") for at in range(size)}), 1_000),
        (chain, 500),
    ],
)
def test_work_grows_with_size_alone(build: Callable[[int], dict[str, Any]], size: int) -> None:
    """Counted in calls, since clocks of shared machines prove nothing."""

    def work(schema: dict[str, Any]) -> int:
        calls = itertools.count()
        sys.setprofile(lambda *_: next(calls))
        try:
            check_schema(schema)
        finally:
            sys.setprofile(None)
        return next(calls)

    assert work(build(size)) < 6 * work(build(size // 4))


# Random schemas

TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"]
KEYWORDS = [
    *("type", "properties", "required", "additionalProperties", "items", "enum", "anyOf", "$ref", "$defs"),
    *("$id", "title", "description", "default", "minimum", "maximum", "minLength", "maxLength", "minItems"),
    *("maxItems", "pattern", "oneOf"),
]
leaves = st.sampled_from([None, True, False, 0, 1, -1, 1.5, "", "a", "a/b", "#", "#/$defs/a", "#/$defs/b", *TYPES])
json_values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*KEYWORDS, "a", "b"]), inner, max_size=4)
    ),
    max_leaves=25,
)


def plausible(dice: random.Random, depth: int = 0) -> Any:
    """A schema with the right shape most of the time."""
    if dice.random() < 0.02:
        return dice.choice([None, True, [], "string", {}])
    kind = dice.choice(["$ref", "anyOf", *TYPES] if depth < 4 else TYPES[2:])
    inner = (
        [plausible(dice, depth + 1) for _ in range(dice.randint(1, 3))] if kind in ("anyOf", "object", "array") else []
    )
    schema: dict[str, Any]
    if kind == "$ref":
        schema = {"$ref": dice.choice(["#", "#/$defs/a", "#/$defs/b", "#/$defs/a/properties/a", "#/$defs/c"])}
    elif kind == "anyOf":
        schema = {"anyOf": inner}
    else:
        schema = {"type": dice.choice([kind, kind, [kind], [kind, "null"]])}
    if kind == "object":
        schema["properties"] = dict(zip("abc", inner, strict=False))
        schema["required"] = dice.sample("abc", dice.randint(0, len(inner)))
    if kind == "array":
        schema.update(items=inner[0], minItems=dice.randint(0, 1))
    if dice.random() < 0.05:
        schema[dice.choice(KEYWORDS)] = dice.choice([None, 1, "a", [], {}, ["a"]])
    return schema


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(json_values)
def test_any_json_is_accepted_or_refused(value: Any) -> None:
    _accepted(value)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_schemas_are_accepted_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    accepted = 0
    for _ in range(200):
        schema = plausible(dice)
        if isinstance(schema, dict) and dice.random() < 0.8:
            schema["$defs"] = {name: plausible(dice, 2) for name in "ab"}
        accepted += _accepted(schema)
    assert accepted > 5


@pytest.mark.parametrize("seed", range(5))
def test_garbled_schemas_are_accepted_or_refused(seed: int) -> None:
    dice = random.Random(seed)
    text = json.dumps(defs(one(either(ref(), TEXT), required=["x"]), A=obj({"y": enum(["string", "null"], "a")})))
    for _ in range(300):
        at = dice.randrange(len(text))
        garbled = text[:at] + dice.choice([*string.printable, "", "null", "{}"]) + text[at + dice.randint(0, 3) :]
        try:
            value = json.loads(garbled)
        except ValueError:
            continue
        _accepted(value)


def _accepted(value: Any) -> bool:
    try:
        check_schema(value)
    except Violation:
        return False
    return True
