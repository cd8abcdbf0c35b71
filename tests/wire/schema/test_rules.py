"""Rules of the normaliser, one by one. Whole schemas are in `snapshots/`, what holds for all in `test_random.py`."""

from __future__ import annotations

import contextlib
import copy
import json
from types import MappingProxyType
from typing import Any

import pytest

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema import normalise_schema
from tests.wire.schema.checks import assert_in_dialect, is_valid

JSON = dict[str, Any]

STRING, NUMBER, NULL = {"type": "string"}, {"type": "number"}, {"type": "null"}
ANYTHING = {"anyOf": [{"type": name} for name in ("string", "number", "boolean", "null", "object", "array")]}


def obj(**properties: Any) -> JSON:
    return {"type": "object", "properties": properties}


def prop(schema: Any, **root: Any) -> Any:
    """What becomes of a schema in a property."""
    result = normalise_schema({**obj(it=schema), **root})
    assert_in_dialect(result)
    assert normalise_schema(result) == result
    return result["properties"]["it"]


RULES: list[tuple[str, Any, Any]] = [
    # types
    ("a type list of one", {"type": ["string"]}, STRING),
    ("scalars stay a list", {"type": ["string", "null"]}, {"type": ["string", "null"]}),
    ("integer is part of number", {"type": ["integer", "number", "null"]}, {"type": ["number", "null"]}),
    ("objects are not in a list", {"type": ["object", "null"]}, {"anyOf": [{"type": "object"}, NULL]}),
    (
        "keywords go to their type",
        {"type": ["string", "integer"], "minLength": 1, "maximum": 3, "description": "Either"},
        {
            "description": "Either",
            "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer", "maximum": 3}],
        },
    ),
    ("keywords of other types go", {"type": "string", "minItems": 1, "properties": {}}, STRING),
    ("no type: from the values", {"enum": ["a", "b"]}, {"type": "string", "enum": ["a", "b"]}),
    ("no type: whole numbers", {"enum": [1, 2.0]}, {"type": "integer", "enum": [1, 2.0]}),
    ("no type: from the keywords", {"minLength": 2}, {"type": "string", "minLength": 2}),
    ("no type: from properties", {"properties": {"a": STRING}}, obj(a=STRING)),
    ("no type: from several", {"minLength": 2, "items": STRING}, None),
    ("no type: from the format", {"format": "int32"}, {"type": "integer", "description": "Format: int32."}),
    ("anything", {}, ANYTHING),
    ("true", True, ANYTHING),
    ("only described", {"description": "Any"}, {"description": "Any", **ANYTHING}),
    ("a default says nothing of the type", {"default": 5}, {**ANYTHING, "description": "Default: 5."}),
    # values
    ("const", {"const": "a"}, {"type": "string", "enum": ["a"]}),
    ("const null", {"const": None}, NULL),
    ("const true", {"const": True}, {"type": "boolean", "enum": [True]}),
    ("const object", {"const": {"a": 1}}, {"type": "object", "description": 'Always {"a": 1}.'}),
    ("both booleans", {"enum": [True, False]}, {"type": "boolean"}),
    ("null among the values", {"enum": ["a", None]}, {"anyOf": [{"type": "string", "enum": ["a"]}, NULL]}),
    ("null the type forbids", {"type": "string", "enum": ["a", None]}, {"type": "string", "enum": ["a"]}),
    ("an empty string", {"enum": [""]}, {"type": "string", "maxLength": 0}),
    (
        "an empty string among others",
        {"enum": ["", "a"]},
        {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string", "maxLength": 0}]},
    ),
    (
        "values of several types",
        {"enum": ["a", 1, 1.5, True, None, [1]]},
        {
            "anyOf": [
                {"type": "string", "enum": ["a"]},
                {"type": "number", "enum": [1, 1.5]},
                {"type": "boolean", "enum": [True]},
                NULL,
                {"type": "array"},
            ],
            "description": "Always [1].",
        },
    ),
    ("true is not 1", {"allOf": [{"enum": [1, "a"]}, {"enum": [True, "a"]}]}, {"type": "string", "enum": ["a"]}),
    ("enum and const", {"enum": ["a", "b"], "const": "b"}, {"type": "string", "enum": ["b"]}),
    (
        "values of another type than is written",  # real: Xcode's tools
        {"type": "object", "enum": ["move", "copy"], "description": "How"},
        {"type": "string", "enum": ["move", "copy"], "description": "How. Type: object."},
    ),
    (
        "a constant of another type",
        {"type": "string", "const": 1},
        {"type": "integer", "enum": [1], "description": "Type: string."},
    ),
    (
        "values of none of several types",
        {"type": ["string", "null"], "enum": [1, 2]},
        {"type": "integer", "enum": [1, 2], "description": "Type: string or null."},
    ),
    # required properties that nothing declares; real: GitHub's OpenAPI
    ("required alone", {"type": "object", "required": ["b"]}, {**obj(b=ANYTHING), "required": ["b"]}),
    ("required beside others", {**obj(a=STRING), "required": ["b"]}, {**obj(a=STRING, b=ANYTHING), "required": ["b"]}),
    (
        "required and one of the others",
        {"type": "object", "required": ["b"], "additionalProperties": NUMBER},
        {**obj(b=NUMBER), "required": ["b"], "additionalProperties": NUMBER},
    ),
    (
        "required though closed",
        {**obj(a=STRING), "required": ["b"], "additionalProperties": False},
        {**obj(a=STRING, b=ANYTHING), "required": ["b"], "additionalProperties": False},
    ),
    (
        "required by a part",
        {"allOf": [obj(a=STRING), {"required": ["a", "b"]}]},
        {**obj(a=STRING, b=ANYTHING), "required": ["a", "b"]},
    ),
    # unions
    (
        "a branch without a type beside one that has one",
        {"anyOf": [STRING, {"description": "Or else"}], "minLength": 1},
        {
            "anyOf": [
                {**STRING, "minLength": 1},
                {"anyOf": [{**STRING, "minLength": 1}, *ANYTHING["anyOf"][1:]], "description": "Or else"},
            ]
        },
    ),
    # numbers
    ("bounds of integers are exact", {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9.5}, None),
    (
        "exclusive bounds of numbers are described",
        {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        {"type": "number", "minimum": 0, "maximum": 1, "description": "Greater than 0."},
    ),
    (
        "draft 4's exclusive bounds",
        {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
        {"type": "integer", "minimum": 1},
    ),
    ("multiples of one are integers", {"type": "number", "multipleOf": 1}, {"type": "integer"}),
    ("multiples", {"type": "integer", "multipleOf": 5}, {"type": "integer", "description": "Multiple of 5."}),
    (
        "bounds beyond a double",
        {"type": "integer", "maximum": 2**63 - 1},
        {"type": "integer", "description": "At most 9223372036854775807."},
    ),
    (
        "bounds in scientific notation",
        {"type": "number", "minimum": 1e-7},
        {"type": "number", "description": "At least 1e-07."},
    ),
    ("no value left as an integer", {"enum": [0.5, "a"], "multipleOf": 1}, {"type": "string", "enum": ["a"]}),
    (
        "fractions of integers",
        {"type": "integer", "minimum": 0.5, "maximum": 2.5},
        {"type": "integer", "minimum": 1, "maximum": 2},
    ),
    ("negative lengths", {"type": "string", "minLength": -1}, {"type": "string", "minLength": 0}),
    # what has no keyword
    ("pattern", {"type": "string", "pattern": "^a"}, {"type": "string", "description": "Pattern: ^a."}),
    (
        "after what it says of itself",
        {"type": "string", "description": "Its name", "pattern": "^a", "format": "email"},
        {"type": "string", "description": "Its name. Pattern: ^a. Format: email."},
    ),
    (
        "not",
        {"type": "string", "not": {"enum": ["a", "b"]}},
        {"type": "string", "description": 'Must not be: "a" or "b".'},
    ),
    (
        "if, then, else",
        {
            **obj(a=STRING, b=STRING),
            "if": {"properties": {"a": {"const": "x"}}},
            "then": {"required": ["b"]},
            "else": {"properties": {"b": False}},
        },
        {**obj(a=STRING, b=STRING), "description": 'If a is "x": b required; otherwise: b is nothing.'},
    ),
    (
        "dependencies",
        {**obj(a=STRING, b=STRING), "dependentRequired": {"a": ["b"]}, "minProperties": 1},
        {**obj(a=STRING, b=STRING), "description": "At least 1 properties. With a also: b."},
    ),
    (
        "other properties that only `unevaluatedProperties` describes",
        {"type": "object", "unevaluatedProperties": {"type": "number", "exclusiveMinimum": 0}},
        {"type": "object", "description": "Other properties: number, > 0."},
    ),
    (
        "a schema that depends",
        {**obj(a=STRING), "dependentSchemas": {"a": {"minProperties": 2, "exclusiveMinimum": True, "minimum": 3}}},
        {**obj(a=STRING), "description": "With a: >= 3, at least 2 properties, > 3."},
    ),
    (
        "bounds that leave nothing",
        {"allOf": [{"type": "string", "minLength": 3}, {"maxLength": 2}]},
        {**ANYTHING, "description": "No value fits."},
    ),
    ("read-only", {"type": "string", "readOnly": True}, {"type": "string", "description": "Read-only."}),
    ("extensions go", {"type": "string", "x-order": 1, "example": "a", "xml": {}, "$comment": "hm"}, STRING),
    # arrays
    ("unique items", {"type": "array", "uniqueItems": True}, {"type": "array", "description": "No item twice."}),
    ("items of anything", {"type": "array", "items": {}}, {"type": "array"}),
    ("no items", {"type": "array", "items": False}, {"type": "array", "maxItems": 0}),
    (
        "tuple of one kind",
        {"type": "array", "prefixItems": [NUMBER, NUMBER], "minItems": 2, "maxItems": 2},
        {"type": "array", "minItems": 2, "maxItems": 2, "items": NUMBER},
    ),
    (
        "draft 4's tuple, closed",
        {"type": "array", "items": [STRING, NUMBER], "additionalItems": False},
        {
            "type": "array",
            "items": {"anyOf": [STRING, NUMBER]},
            "maxItems": 2,
            "description": "Items in order: (1) string; (2) number.",
        },
    ),
    (
        "tuple with more after it",
        {"type": "array", "prefixItems": [STRING, NUMBER], "items": {"type": "boolean"}},
        {
            "type": "array",
            "items": {"anyOf": [STRING, NUMBER, {"type": "boolean"}]},
            "description": "Items in order: (1) string; (2) number.",
        },
    ),
    (
        "tuple with anything after it",
        {"type": "array", "prefixItems": [STRING]},
        {"type": "array", "description": "Items in order: (1) string."},
    ),
    # objects
    (
        "other properties of anything",
        {"type": "object", "additionalProperties": {}},
        {"type": "object", "additionalProperties": True},
    ),
    (
        "no other properties",
        {"type": "object", "additionalProperties": {"not": {}}},
        {"type": "object", "additionalProperties": False},
    ),
    (
        "patterns of names",
        {"type": "object", "patternProperties": {"^x": STRING}, "additionalProperties": False},
        {"type": "object", "additionalProperties": STRING, "description": "Properties that match ^x: string."},
    ),
    (
        "required by what other properties are",
        {"type": "object", "required": ["a"], "additionalProperties": NUMBER},
        {**obj(a=NUMBER), "required": ["a"], "additionalProperties": NUMBER},
    ),
    ("a property that must not be", obj(a=STRING, b=False), {**obj(a=STRING), "description": "Leave out b."}),
    (
        "names of keywords",
        obj(type=STRING, enum=NUMBER, items=STRING, default=STRING),
        obj(type=STRING, enum=NUMBER, items=STRING, default=STRING),
    ),
    (
        "names that are refused",
        {**obj(**{"$ref": STRING, "a": NUMBER}), "required": ["$ref", "a"], "additionalProperties": False},
        {
            **obj(a=NUMBER),
            "required": ["a"],
            "additionalProperties": STRING,
            "description": 'Requires the property "$ref": string.',
        },
    ),
    # titles and defaults
    ("title that is the name", {"type": "string", "title": "It"}, STRING),
    (
        "title that says more",
        {"type": "string", "title": "What it is"},
        {"type": "string", "description": "What it is"},
    ),
    (
        "title beside a description",
        {"type": "string", "title": "Heat (K)", "description": "How hot."},
        {"type": "string", "description": "Heat (K). How hot."},
    ),
    ("default of the type", {"type": "integer", "default": 3}, {"type": "integer", "default": 3}),
    (
        "default of another type",
        {"type": "integer", "default": "3"},
        {"type": "integer", "description": 'Default: "3".'},
    ),
    ("default that is compound", {"type": "array", "default": [1]}, {"type": "array", "description": "Default: [1]."}),
    ("default null", {"type": ["string", "null"], "default": None}, {"type": ["string", "null"]}),
    # unions
    ("oneOf", {"oneOf": [STRING, NUMBER]}, {"anyOf": [STRING, NUMBER]}),
    ("a union of one", {"anyOf": [STRING], "description": "A"}, {"type": "string", "description": "A"}),
    ("the same twice", {"anyOf": [STRING, {"type": "string"}]}, STRING),
    ("a union in a union", {"anyOf": [STRING, {"anyOf": [NUMBER, NULL]}]}, {"anyOf": [STRING, NUMBER, NULL]}),
    ("constants of one type", {"oneOf": [{"const": 1}, {"const": 2}]}, {"type": "integer", "enum": [1, 2]}),
    (
        "type beside a union",
        {"type": "string", "anyOf": [{"minLength": 5}, {"enum": ["a"]}, {"type": "integer"}]},
        {"anyOf": [{"type": "string", "minLength": 5}, {"type": "string", "enum": ["a"]}]},
    ),
    (
        "properties beside a union",
        {**obj(a=STRING, b=STRING), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
        {
            "anyOf": [{**obj(a=STRING, b=STRING), "required": ["a"]}, {**obj(a=STRING, b=STRING), "required": ["b"]}],
            "description": "At least one of: a required; b required.",
        },
    ),
    ("nullable", {"type": "string", "nullable": True}, {"type": ["string", "null"]}),
    (
        "nullable, values",
        {"type": "string", "nullable": True, "enum": ["a"]},
        {"anyOf": [{"type": "string", "enum": ["a"]}, NULL]},
    ),
    ("nullable, union", {"nullable": True, "oneOf": [STRING, NUMBER]}, {"anyOf": [STRING, NUMBER, NULL]}),
    # allOf
    ("allOf of one", {"allOf": [STRING], "description": "A"}, {"type": "string", "description": "A"}),
    ("types meet", {"allOf": [{"type": ["number", "string"]}, {"type": ["integer", "null"]}]}, {"type": "integer"}),
    (
        "bounds meet",
        {"allOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"minimum": 2}, {"exclusiveMaximum": 9}]},
        {"type": "integer", "minimum": 2, "maximum": 8},
    ),
    (
        "properties are joined",
        {"allOf": [{**obj(a=STRING), "required": ["a"]}, {**obj(a={"maxLength": 3}, b=NUMBER), "required": ["b"]}]},
        {**obj(a={"type": "string", "maxLength": 3}, b=NUMBER), "required": ["a", "b"]},
    ),
    (
        "a closed one does not shut out the others",
        {"allOf": [{**obj(a=STRING), "additionalProperties": False}, obj(b=NUMBER)]},
        {**obj(a=STRING, b=NUMBER), "additionalProperties": False},
    ),
]


@pytest.mark.parametrize(("schema", "expected"), [pytest.param(*rule[1:], id=rule[0]) for rule in RULES])
def test_rules(schema: Any, expected: Any) -> None:
    result = prop(schema)
    if expected is not None:
        assert result == expected


def test_keywords_beside_a_union_tell_the_type_where_no_branch_does() -> None:
    schema = {"anyOf": [{"properties": {"b": NUMBER}}, {"description": "Or not"}], "properties": {"a": STRING}}
    assert prop(schema) == {"anyOf": [obj(a=STRING, b=NUMBER), {**obj(a=STRING), "description": "Or not"}]}


def test_bounds_of_integers_are_exact() -> None:
    schema = {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9.5}
    assert prop(schema) == {"type": "integer", "minimum": 1, "maximum": 9}


def test_keywords_of_several_types_mean_those_types() -> None:
    assert prop({"minLength": 2, "items": STRING}) == {
        "anyOf": [{"type": "string", "minLength": 2}, {"type": "array", "items": STRING}]
    }


class TestReferences:
    @pytest.mark.parametrize(
        "draft", ["draft-04/schema#", "draft-07/schema#", "draft-07/schema", "draft/2020-12/schema", "schema#"]
    )
    def test_the_schema_of_schemas(self, draft: str) -> None:
        address = f"http://json-schema.org/{draft}"
        result = normalise_schema(obj(a={"$ref": address}, b={"type": "array", "items": {"$ref": address}}))
        assert_in_dialect(result)
        assert result["properties"]["b"]["items"] == result["properties"]["a"] == {"$ref": "#/$defs/schema"}
        meant = {"anyOf": [{"type": "object"}, {"type": "boolean"}], "description": f"A JSON Schema, by {address}"}
        assert result["$defs"] == {"schema": meant}

    @pytest.mark.parametrize(
        ("reference", "name"),
        [
            ("other.json#/a", "a"),
            ("https://example.com/s.json", "s.json"),
            ("Pet", "Pet"),
            ("http://json-schema.org/draft-07/schema#/definitions/nonNegativeInteger", "nonNegativeInteger"),
        ],
    )
    def test_what_lies_outside_may_be_anything(self, reference: str, name: str) -> None:
        result = normalise_schema(obj(a={"$ref": reference, "description": "An A"}))
        assert_in_dialect(result)
        assert result["properties"]["a"] == {"anyOf": [{"$ref": f"#/$defs/{name}"}], "description": "An A"}
        assert result["$defs"] == {name: {**ANYTHING, "description": f"By the schema {reference}"}}

    def test_definitions_are_gathered_at_the_root(self) -> None:
        schema = {
            **obj(a={"$ref": "#/definitions/A"}, b={"$ref": "#/$defs/A"}, c={"$ref": "#/properties/b"}),
            "definitions": {"A": {"type": "string", "maxLength": 1}, "Unused": NUMBER},
            "$defs": {"A": {"type": "string", "maxLength": 2}},
        }
        result = normalise_schema(schema)
        assert result["$defs"] == {"A": {"type": "string", "maxLength": 2}, "A_2": {"type": "string", "maxLength": 1}}
        assert [value["$ref"] for value in result["properties"].values()] == [
            "#/$defs/A_2",
            "#/$defs/A",
            "#/$defs/A",
        ]

    def test_a_description_stands_around_the_reference(self) -> None:
        # "conflicting keywords found after $ref expansion: description" (MoonshotAI/kimi-cli#1903)
        reference = {"$ref": "#/$defs/A", "description": "This one", "default": {"x": 1}}
        assert prop(reference, **{"$defs": {"A": {**obj(x=NUMBER), "description": "Any A"}}}) == {
            "anyOf": [{"$ref": "#/$defs/A"}],
            "description": 'This one. Default: {"x": 1}.',
        }

    @pytest.mark.parametrize(
        "sibling", [{"type": "object"}, {"title": "It"}, {"default": None}, {"$comment": "?"}, {"allOf": []}]
    )
    def test_siblings_that_say_nothing_new_go(self, sibling: JSON) -> None:
        assert prop({"$ref": "#/$defs/A", **sibling}, **{"$defs": {"A": obj(x=NUMBER)}}) == {"$ref": "#/$defs/A"}

    def test_siblings_that_constrain_are_merged(self) -> None:
        text = {"type": "string", "minLength": 1, "maxLength": 9, "description": "Text"}
        assert prop({"$ref": "#/$defs/T", "maxLength": 3}, **{"$defs": {"T": text}}) == {**text, "maxLength": 3}

    def test_through_all_of_as_pydantic_1_writes_it(self) -> None:
        wrapped = {"title": "It", "allOf": [{"$ref": "#/definitions/A"}], "description": "This one"}
        assert prop(wrapped, definitions={"A": obj(x=NUMBER)}) == {
            "description": "This one",
            "anyOf": [{"$ref": "#/$defs/A"}],
        }

    def test_references_to_references(self) -> None:
        definitions = {"A": {"$ref": "#/$defs/B", "description": "As B"}, "B": {"$ref": "#/$defs/C"}, "C": STRING}
        assert prop({"$ref": "#/$defs/A"}, **{"$defs": definitions}) == {
            "anyOf": [{"$ref": "#/$defs/C"}],
            "description": "As B",
        }

    def test_escapes(self) -> None:
        reference = {"$ref": "#/definitions/a~1b~0c%20d"}
        assert prop(reference, definitions={"a/b~c d": STRING}) == {"$ref": "#/$defs/a_b_c_d"}

    @pytest.mark.parametrize("reference", ["tree.json", "https://example.com/tree.json", "#tree", "tree.json#tree"])
    def test_ids_and_anchors(self, reference: str) -> None:
        tree = {"$id": "tree.json", "$anchor": "tree", **obj(next={"$ref": "#"})}
        schema = {
            "$id": "https://example.com/root.json",
            **obj(a={"$ref": reference if reference != "#tree" else "tree.json#tree"}),
            "$defs": {"T": tree},
        }
        assert normalise_schema(schema)["$defs"] == {"T": obj(next={"$ref": "#/$defs/T"})}

    def test_a_whole_schema_inside_a_property(self) -> None:
        inner = {**obj(item={"$ref": "#/$defs/Item"}), "$defs": {"Item": STRING}}
        assert normalise_schema(obj(inner=inner))["$defs"] == {"Item": STRING}

    def test_recursion(self) -> None:
        tree = obj(value=NUMBER, next={"anyOf": [{"$ref": "#/$defs/Tree"}, NULL]})
        result = normalise_schema({"$ref": "#/$defs/Tree", "$defs": {"Tree": tree}})
        assert result == {**tree, "$defs": {"Tree": tree}}
        own = obj(child={"$ref": "#"}, name=STRING)
        assert normalise_schema(own) == own

    def test_a_root_that_is_more_than_an_object_stays_so_where_it_is_referred_to(self) -> None:
        schema = {"type": ["object", "null"], "properties": {"child": {"$ref": "#"}}}
        result = normalise_schema(schema)
        assert result["type"] == "object"
        assert is_valid(result, {"child": {"child": None}})
        assert not is_valid(result, {"child": 1})

    def test_lists_of_oneself(self) -> None:
        # "detected infinite recursion without termination condition", though an empty list ends it
        schema = {
            **obj(children={"type": "array", "items": {"$ref": "#"}, "description": "All"}),
            "required": ["children"],
        }
        result = normalise_schema(schema)
        assert result["properties"]["children"] == {
            "anyOf": [{"type": "array", "maxItems": 0}, {"type": "array", "items": {"$ref": "#"}}],
            "description": "All",
        }
        assert_in_dialect(result)
        assert normalise_schema(result) == result

    def test_lists_of_oneself_among_others(self) -> None:
        listed = {"type": "array", "items": {"$ref": "#/$defs/Node"}}
        node = {**obj(next={"anyOf": [listed, {"$ref": "#/$defs/Node"}]}), "required": ["next"]}
        result = normalise_schema({**obj(node={"$ref": "#/$defs/Node"}), "required": ["node"], "$defs": {"Node": node}})
        assert result["$defs"]["Node"]["properties"]["next"]["anyOf"] == [
            {"type": "array", "maxItems": 0},
            listed,
            {"$ref": "#/$defs/Node"},
        ]
        assert_in_dialect(result)
        assert normalise_schema(result) == result

    def test_definitions_that_come_down_to_another_are_not_kept(self) -> None:
        definitions = {
            "a": {"type": "string", "oneOf": [{"$ref": "#/$defs/b", "description": "As b"}, {"type": "array"}]},
            "b": {"type": "string", "maxLength": 1},
        }
        result = normalise_schema({**obj(it={"$ref": "#/$defs/a"}), "$defs": definitions})
        assert result == {
            **obj(it={"anyOf": [{"$ref": "#/$defs/b"}], "description": "As b"}),
            "$defs": {"b": definitions["b"]},
        }

    def test_the_same_reference_twice_is_one(self) -> None:
        union = {"anyOf": [{"$ref": "#/$defs/b"}, {"allOf": [{"$ref": "#/$defs/b"}]}]}
        definitions = {"a": union, "b": {"type": "string", "maxLength": 1}}
        result = normalise_schema({**obj(it={"$ref": "#/$defs/a"}), "$defs": definitions})
        assert result == {**obj(it={"$ref": "#/$defs/b"}), "$defs": {"b": definitions["b"]}}
        assert prop({**union, "description": "B"}, **{"$defs": definitions}) == {
            "anyOf": [{"$ref": "#/$defs/b"}],
            "description": "B",
        }

    def test_the_branch_that_is_left_is_referred_to(self) -> None:
        union = {"type": "object", "description": "An a", "anyOf": [obj(x=NUMBER), STRING]}
        schema = {**obj(it={"$ref": "#/$defs/a"}, too={"$ref": "#/$defs/a/anyOf/0"}), "$defs": {"a": union}}
        result = normalise_schema(schema)
        assert result == {
            **obj(
                it={"anyOf": [{"$ref": "#/$defs/a_anyOf_0"}], "description": "An a"},
                too={"$ref": "#/$defs/a_anyOf_0"},
            ),
            "$defs": {"a_anyOf_0": obj(x=NUMBER)},
        }
        assert normalise_schema(result) == result


class TestRoot:
    @pytest.mark.parametrize("schema", [{}, {"type": "object"}, {"properties": {}}, {"$schema": "x", "$id": "y"}])
    def test_is_an_object(self, schema: JSON) -> None:
        assert normalise_schema(schema)["type"] == "object"

    def test_optional_objects_are_objects(self) -> None:
        schema = {"anyOf": [{"$ref": "#/$defs/A"}, NULL], "$defs": {"A": {**obj(x=NUMBER), "description": "An A"}}}
        assert normalise_schema(schema) == {**obj(x=NUMBER), "description": "An A"}

    def test_branches_that_are_no_objects_go(self) -> None:
        branches = [NULL, {**obj(a=STRING), "description": "With a", "required": ["a"]}, obj(a=STRING, b=NUMBER)]
        result = normalise_schema({"anyOf": branches, "description": "Either."})
        assert result["description"] == "Either. One of: a (With a); nothing more."
        assert normalise_schema({"anyOf": branches[:2]})["description"] == "With a"

    def test_unions_become_one_object_in_words(self) -> None:
        schema = {
            "oneOf": [
                {**obj(kind={"const": "a"}, x=NUMBER), "required": ["kind", "x"], "additionalProperties": False},
                {**obj(kind={"const": "b"}, y=STRING), "required": ["kind"], "additionalProperties": False},
            ]
        }
        assert normalise_schema(schema) == {
            "type": "object",
            "properties": {"kind": {"type": "string", "enum": ["a", "b"]}, "x": NUMBER, "y": STRING},
            "required": ["kind"],
            "additionalProperties": False,
            "description": 'One of: kind "a", x; kind "b".',
        }

    def test_unions_of_open_objects_are_not_narrowed(self) -> None:
        result = normalise_schema({"anyOf": [obj(a=STRING), obj(b=NUMBER)]})
        assert is_valid(result, {"a": 5})

    @pytest.mark.parametrize(
        ("schema", "types"), [({"type": "array"}, "array"), ({"type": ["string", "null"]}, "string or null")]
    )
    def test_others_are_refused(self, schema: JSON, types: str) -> None:
        with pytest.raises(KimiRequestError, match=f"^tool: the root must be an object, and this is {types}"):
            normalise_schema(schema, where="tool")

    @pytest.mark.parametrize("kept", [{}, {"properties": {"a": STRING}}])
    def test_an_object_of_other_values_is_an_object(self, kept: JSON) -> None:
        assert normalise_schema({"type": "object", "enum": ["move", "copy"], "description": "How", **kept}) == {
            "type": "object",
            **kept,
            "description": 'How. Type: object. One of: "move" or "copy".',
        }


MISTAKES: list[tuple[Any, str]] = [
    ({"type": "strng"}, r"schema\.properties\.it: 'strng' is not a type\. Did you mean 'string'\?"),
    ({"type": "int"}, "Did you mean 'integer'"),
    ({"type": "STRING"}, "Did you mean 'string'"),
    ({"type": None}, "type must not be null"),
    ({**obj(a=STRING), "required": True}, "required must be a list, not True"),
    ({**obj(a=STRING), "required": [1]}, "1 is not one"),
    ({"type": "object", "properties": {"a": "string"}}, "properties.a must be a schema, not 'string'"),
    ({"type": "object", "properties": []}, "properties must be an object"),
    ({"type": "array", "items": 1}, "items must be a schema"),
    ({"enum": []}, "enum must not be empty"),
    ({"type": "string", "description": 5}, "description must be a string"),
    ({"anyOf": []}, "anyOf must not be empty"),
    ({"type": "string", "minLength": 3, "maxLength": 2}, "minLength 3 is greater than maxLength 2"),
    ({"type": "number", "minimum": True}, "minimum must be a number"),
    ({"$ref": "#/$defs/Nope"}, r"schema\.properties\.it: \$ref '#/\$defs/Nope' leads to nothing"),
    ({"$ref": 5}, r"\$ref must be a string"),
    ({"$ref": "#/properties/it/$ref"}, "which is not a schema"),
    ({"type": "number", "maximum": float("inf")}, r"properties\.it\.maximum: inf is not JSON"),
    ({"enum": {1, 2}}, "is not JSON"),
    ({1: STRING}, "the key 1 is not a string"),
]


@pytest.mark.parametrize(("schema", "message"), MISTAKES)
def test_mistakes_are_reported_with_their_path(schema: Any, message: str) -> None:
    with pytest.raises(KimiRequestError, match=message):
        normalise_schema(obj(it=schema))


@pytest.mark.parametrize(
    "definitions",
    [
        {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        {"a": {"$ref": "#/$defs/a"}},
        {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"$ref": "#/$defs/a", "description": "A"}},
    ],
)
def test_circles_with_nothing_in_them(definitions: JSON) -> None:
    with pytest.raises(KimiRequestError, match="in a circle with nothing in it"):
        normalise_schema({**obj(it={"$ref": "#/$defs/a"}), "$defs": definitions})


def test_nothing_is_left_of_a_schema_that_lies_elsewhere() -> None:
    with pytest.raises(KimiRequestError, match=r"^tool: \$ref 'Pet' leads out of the schema, and is all of it"):
        normalise_schema({"$ref": "Pet"}, where="tool")


@pytest.mark.parametrize("odd", [5, 1.5, True, "a", [["a"], 5], {"a": 5}, None])
@pytest.mark.parametrize(
    "keyword", ["properties", "required", "enum", "anyOf", "items", "dependentRequired", "dependencies"]
)
def test_what_is_only_said_may_be_odd(keyword: str, odd: Any) -> None:
    """What a description quotes is checked no further: such a part may be a mistake, and is no crash."""
    assert_in_dialect(normalise_schema(obj(a={"not": {keyword: odd}, "type": "object"})))
    with contextlib.suppress(KimiRequestError):
        assert_in_dialect(normalise_schema(obj(a={keyword: odd})))


def test_recursion_without_an_end() -> None:
    schema = {**obj(next={"$ref": "#/$defs/a"}), "required": ["next"]}
    schema["$defs"] = {
        "a": {**obj(b={"$ref": "#/$defs/b"}), "required": ["b"]},
        "b": {**obj(a={"$ref": "#/$defs/a"}), "required": ["a"]},
    }
    with pytest.raises(KimiRequestError, match=r"^schema\.properties\.next: infinite recursion"):
        normalise_schema(schema)
    assert_in_dialect(normalise_schema({**schema, "required": []}))


def test_what_nothing_can_satisfy() -> None:
    with pytest.raises(KimiRequestError, match="nothing can satisfy this schema: no value fits the required 'a'"):
        normalise_schema({**obj(a={"allOf": [STRING, NUMBER]}), "required": ["a"]})
    assert prop({"allOf": [STRING, NUMBER]}, properties={"it": STRING}) == STRING


def nest(levels: int, wrap: Any) -> Any:
    schema: Any = STRING
    for _ in range(levels):
        schema = wrap(schema)
    return schema


LIMITS: list[tuple[str, JSON, str]] = [
    ("10,000 deep", nest(10_000, lambda inner: obj(a=inner)), "nested more than 200 levels deep"),
    ("10,000 deep in not", obj(a=nest(10_000, lambda inner: {"not": inner})), "nested more than 200 levels deep"),
    ("10,000 deep values", obj(a={"const": nest(10_000, lambda inner: [inner])}), "nested more than 200 levels deep"),
    (
        "31 properties deep",
        nest(31, lambda inner: obj(a=inner)),
        "properties are nested 31 deep; Kimi takes at most 30",
    ),
    ("150 lists deep", obj(a=nest(150, lambda inner: {"type": "array", "items": inner})), "nested more than 100 deep"),
    ("3,001 properties", obj(**{f"p{number}": NULL for number in range(3001)}), "3,001 properties in all"),
    (
        "120,001 bytes",
        obj(a={"type": "string", "description": "x" * 120_000}),
        "bytes long; Kimi takes at most 120,000",
    ),
    (
        "31 properties deep through references",
        {
            **obj(a={"$ref": "#/$defs/d0"}),
            "$defs": {
                **{f"d{number}": obj(a={"$ref": f"#/$defs/d{number + 1}"}) for number in range(30)},
                "d30": STRING,
            },
        },
        "nested 31 deep",
    ),
]


@pytest.mark.parametrize(("schema", "message"), [pytest.param(*case[1:], id=case[0]) for case in LIMITS])
def test_limits(schema: JSON, message: str) -> None:
    with pytest.raises(KimiRequestError, match=message):
        normalise_schema(schema)


def test_just_within_the_limits() -> None:
    for schema in (
        nest(30, lambda inner: obj(a=inner)),
        obj(a=nest(90, lambda inner: {"type": "array", "items": inner})),
        obj(a={"enum": [f"v{number}" for number in range(1000)]}),
        obj(**{f"p{number}": NULL for number in range(3000)}),
    ):
        assert_in_dialect(normalise_schema(schema))


def doubling(levels: int, make: Any) -> JSON:
    definitions = {f"d{number}": make({"$ref": f"#/$defs/d{number + 1}"}) for number in range(levels)}
    return {**obj(a={"$ref": "#/$defs/d0"}), "$defs": {**definitions, f"d{levels}": {"type": "object"}}}


@pytest.mark.parametrize(
    "make",
    [
        lambda inner: obj(left=inner, right=inner),
        lambda inner: {"allOf": [inner, inner, {"minProperties": 1}]},
        lambda inner: obj(left={**inner, "minProperties": 1}, right={**inner, "maxProperties": 9}),
        lambda inner: {**obj(left=inner, right=inner), "anyOf": [{"required": ["left"]}, {"required": ["right"]}]},
    ],
)
def test_doubling_does_not_explode(make: Any) -> None:
    small, large = (len(json.dumps(normalise_schema(doubling(levels, make)))) for levels in (12, 24))
    assert large < 3 * small


def test_crossed_unions_do_not_explode() -> None:
    unions = [{"anyOf": [{"minLength": number}, {"maxLength": 100 + number}]} for number in range(30)]
    result = prop({"type": "string", "allOf": unions})
    assert result["type"] == "string"
    assert result["description"].count("At least one of") == 30


def test_merging_stops_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kimi_wire.schema.graph.MAX_SCHEMAS", 50)
    with pytest.raises(KimiRequestError, match="merging its schemas gives more than 50"):
        normalise_schema(obj(**{f"p{number}": STRING for number in range(60)}))
    monkeypatch.setattr("kimi_wire.schema.source.MAX_VALUES", 50)
    with pytest.raises(KimiRequestError, match="has more than 50 values"):
        normalise_schema(obj(**{f"p{number}": STRING for number in range(60)}))


def test_crossed_unions_at_the_root_do_not_explode() -> None:
    unions = [{"anyOf": [{"required": [f"p{number}"]}, {"required": ["other"]}]} for number in range(20)]
    schema = {**obj(other=STRING, **{f"p{number}": STRING for number in range(20)}), "allOf": unions}
    result = normalise_schema(schema)
    assert_in_dialect(result)
    assert result["description"].count("At least one of") == 20


def test_the_input_is_not_changed_nor_shared() -> None:
    shared = {"type": "string", "enum": ["a", "b"]}
    schema = {**obj(a=shared, b={"type": "array", "items": shared}), "required": ["a"]}
    before = copy.deepcopy(schema)
    result = normalise_schema(schema)
    result["properties"]["a"]["enum"].append("c")
    result["required"].append("b")
    assert schema == before
    assert normalise_schema(schema) == before


def test_any_mapping_will_do() -> None:
    schema = MappingProxyType({"type": "object", "properties": MappingProxyType({"a": MappingProxyType({"const": 1})})})
    assert normalise_schema(schema) == obj(a={"type": "integer", "enum": [1]})
    with pytest.raises(KimiRequestError, match=r"^answer: a schema must be an object, not True"):
        normalise_schema(True, where="answer")  # type: ignore[arg-type]


def test_order_is_kept() -> None:
    schema = {"required": ["z", "a"], "description": "D", **obj(z=STRING, a={"description": "A", "type": "string"})}
    assert json.dumps(normalise_schema(schema)) == json.dumps(schema)


def test_null_keywords_are_not_there() -> None:
    # "At path 'required': required must be an array" (NousResearch/hermes-agent#66835)
    assert prop({"type": "string", "required": None, "enum": None, "minLength": None}) == STRING
