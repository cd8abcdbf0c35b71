"""Roots that are no objects: which those are, and that one in a property goes on meaning what it meant."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema import is_object_schema, normalise_schema, wrap_schema
from kimi_wire.structured import OutputForm
from tests.wire.schema.checks import assert_in_dialect, is_valid
from tests.wire.schema.test_rules import JSON, NULL, NUMBER, STRING, obj

A_IS = {"components": {"schemas": {"A": obj(a=STRING)}}}


@pytest.mark.parametrize(
    ("expected", "schema"),
    [
        (True, {"type": "object"}),
        (True, {"type": ["object"], "properties": {"a": STRING}}),
        (True, {"properties": {"a": STRING}}),
        (True, {"allOf": [{"description": "An A"}, obj(a=STRING)]}),
        (True, {"oneOf": [obj(a=STRING)]}),
        (True, {"$ref": "#/$defs/A", "$defs": {"A": obj(again={"$ref": "#/$defs/A"})}}),
        (True, {"$ref": "#/components/schemas/A", **A_IS}),
        (True, {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/components/schemas/A"}}, **A_IS}),
        (True, {"$ref": "#a", "$defs": {"x": {"$anchor": "a", "type": "object"}}}),
        (True, {**obj(a=STRING, b=STRING), "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        (True, {"properties": {"a": STRING}, "anyOf": [{"required": ["a"]}, {"minProperties": 2}]}),
        (False, {}),
        (False, STRING),
        (False, {"type": ["object", "null"]}),
        (False, {"type": "object", "nullable": True}),
        (False, {"anyOf": [obj(a=STRING), obj(b=STRING)]}),
        (False, {"$ref": "#/$defs/A", "$defs": {"A": {"oneOf": [obj(a=STRING), obj(b=STRING)]}}}),
        (False, {"properties": {"a": STRING}, "anyOf": [{"type": "string"}, {"description": "Or else"}]}),
        (False, {"type": "object", "enum": ["a", "b"]}),
        (False, {"$ref": "#"}),
        (True, {"type": "object", "properties": {"a": {"type": "strng"}}}),  # with a mistake: said when it is written
        (True, {"type": "object", "required": 1}),
        (False, {"type": "list"}),
    ],
)
def test_what_is_an_object(expected: bool, schema: JSON) -> None:
    assert is_object_schema(schema) is expected
    assert OutputForm.of("A", schema).wrapped is not expected


TREE = {"type": "array", "items": {"$ref": "#"}}
DATA = {"type": "array", "items": {"enum": [{"$ref": "#"}]}, "default": [{"$ref": "#"}], "examples": [{"$ref": "#"}]}
WRAPPED: list[tuple[str, JSON, list[Any], list[Any]]] = [
    ("the root itself", TREE, [[], [[], [[]]]], ["a", ["a"], {"answer": []}, [{"answer": []}]]),
    (
        "beside definitions",
        {"anyOf": [NULL, {"$ref": "#/$defs/A"}], "$defs": {"A": {**obj(all={"$ref": "#"}), "required": ["all"]}}},
        [None, {"all": None}, {"all": {"all": None}}],
        [{}, {"all": 1}, {"answer": None}],
    ),
    ("into itself", {"anyOf": [STRING, {"type": "array", "items": {"$ref": "#/anyOf/0"}}]}, ["a", ["a"]], [1, [["a"]]]),
    (
        "components",
        {
            "$ref": "#/components/schemas/A",
            "components": {
                "schemas": {
                    "A": {"type": "array", "items": {"$ref": "#/components/schemas/B"}},
                    "B": obj(default={"$ref": "#/components/schemas/A"}, enum=NUMBER),
                }
            },
        },
        [[], [{"default": [{"enum": 1}]}]],
        [{}, [{"default": 1}], [{"enum": "a"}]],
    ),
    ("draft 4's definitions", {"items": {"$ref": "#/definitions/A"}, "definitions": {"A": STRING}}, [["a"]], [[1]]),
    (
        "definitions that lead back",
        {"type": "array", "items": {"$ref": "#/definitions/A"}, "definitions": {"A": obj(b={"$ref": "#/items"})}},
        [[{}], [{"b": {"b": {}}}]],
        [[1], [{"b": 1}]],
    ),
    (
        "its own address",
        {"$id": "https://example.com/a", "items": {"$ref": "#/$defs/A"}, "$defs": {"A": obj(b={"$ref": "#"})}},
        [[{"b": [{}]}]],
        [[{"b": 1}]],
    ),
    ("an anchor", {"items": {"$ref": "#a"}, "$defs": {"x": {"$anchor": "a", **STRING}}}, [["a"]], [[1]]),
    ("a property called $ref", {"items": {**obj(**{"$ref": STRING})}}, [[{"$ref": "#"}]], [1]),
    (
        "an address further in",
        {"items": {"$id": "https://example.com/b", **obj(b={"$ref": "#"})}},
        [[{"b": {"b": {}}}]],
        [[{"b": 1}]],
    ),
]


@pytest.mark.parametrize(("schema", "fit", "unfit"), [pytest.param(*case[1:], id=case[0]) for case in WRAPPED])
def test_references_go_on_meaning_what_they_meant(schema: JSON, fit: list[Any], unfit: list[Any]) -> None:
    before = copy.deepcopy(schema)
    form = OutputForm.of("Answer", schema)
    assert form.wrapped
    assert schema == before
    written = normalise_schema(form.schema)
    assert_in_dialect(written)
    typed = {"type": "array", **schema} if "items" in schema else schema
    for wrapped in (wrap_schema(typed, "answer"), written):
        for instance in fit:
            assert is_valid(typed, instance)
            assert is_valid(wrapped, {"answer": instance}), (wrapped, instance)
        for instance in unfit:
            assert not is_valid(typed, instance)
            assert not is_valid(wrapped, {"answer": instance}), (wrapped, instance)


def test_data_that_looks_like_a_reference_stays_data() -> None:
    wrapped = wrap_schema(DATA, "answer")["properties"]["answer"]
    assert json.dumps(wrapped) == json.dumps(DATA)


def test_a_branch_that_says_nothing_of_its_type_is_of_any() -> None:
    schema = {"anyOf": [STRING, {"description": "Or else"}], "minLength": 1}
    written = normalise_schema(OutputForm.of("Answer", schema).schema)
    assert_in_dialect(written)
    for instance in ("a", 1, None, True, [], {}):
        assert is_valid(schema, instance)
        assert is_valid(written, {"answer": instance})
    assert not is_valid(written, {"answer": ""})


def test_what_is_nested_too_deep_is_refused() -> None:
    schema: JSON = STRING
    for _ in range(20_000):
        schema = {"type": "array", "items": schema}
    with pytest.raises(KimiRequestError, match="nested more than 200 levels deep"):
        wrap_schema(schema, "answer")
    with pytest.raises(KimiRequestError):
        OutputForm.of("Answer", schema)
