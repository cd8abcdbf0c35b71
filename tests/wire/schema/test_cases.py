"""Moonshot's own cases for its validator (testdata/validator_cases in MoonshotAI/walle), where a copy lies beside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema import normalise_schema
from tests.wire.recordings import FOLDER, needs_recordings
from tests.wire.schema.checks import assert_in_dialect, is_valid
from tests.wire.schema.random_schemas import random_value, sample

JSON = dict[str, Any]

pytestmark = needs_recordings

# The cases that stay refused, by what is said of them: mistakes of their author, and what nothing finite satisfies.
REFUSED: dict[str, dict[str, list[int]]] = {
    "additionalProperties must": {"TestAdditionalProperties": [0, 1, 2, 3]},
    "anyOf must be a list": {"TestAnyOf": [0, 1]},
    "anyOf must hold schemas": {"TestAnyOf": [2, 3]},
    "anyOf must not be empty": {"TestAnyOf": [5]},
    "type must not be empty": {"TestBasicTypes": [0]},
    "is not a type": {"TestBasicTypes": [3, 5, 9, 10, 20]},
    "type must": {"TestBasicTypes": [4, 7, 8]},
    "properties must be an object": {"TestBasicTypes": [12]},
    "properties.minLength must be a schema": {"TestBasicTypes": [21]},
    "enum must not be empty": {"TestBasicTypes": [39]},
    "enum must be a list": {"TestBasicTypes": [41, 42, 43]},
    "items must be a schema": {"TestBasicTypes": [46]},
    "must be a schema": {"TestDefs": [0, 6, 7, 8]},
    "leads to nothing": {"TestDefs": [1], "TestReferences": [9]},
    "leads": {"TestReferences": [6]},
    "$defs must be an object": {"TestDefs": [5]},
    "$ref must": {"TestReferences": [0, 1, 2, 3, 4]},
    "infinite recursion": {"TestReferences": [10, 11, 12, 13, 14, 18, 20, 22, 23, 24, 25]},
    "is not a schema": {"TestReferences": [15]},
    "required must be a list": {"TestRequired": [0]},
    "required must list the names": {"TestRequired": [1]},
}
EXPECTED = {
    f"{suite}-{number}": said for said, suites in REFUSED.items() for suite in suites for number in suites[suite]
}


def read(kind: str) -> Iterator[tuple[str, Any]]:
    for path in sorted((FOLDER / "mfjs_cases").glob(f"*/{kind}.jsonl")):
        for number, line in enumerate(filter(None, path.read_text(encoding="utf-8").splitlines())):
            yield f"{path.parent.name}-{number}", json.loads(line)


def cases() -> Iterator[Any]:
    for name, case in read("invalid"):
        try:
            schema = json.loads(case["schema"])
        except ValueError:
            continue  # not JSON, so that nobody can be holding it as a schema
        if isinstance(schema, dict):
            yield pytest.param(schema, EXPECTED.get(name), id=name)


def rooted(schema: JSON) -> JSON:
    """A case as it is where its root is an object, otherwise in a property, in which its references stay its own."""
    if schema.get("type") in ("object", ["object"]):
        return schema
    return {"type": "object", "properties": {"case": {**schema, "$id": "urn:case"}}, "required": ["case"]}


def instances(schema: JSON) -> Iterator[Any]:
    random = Random(7)
    wrapped = "urn:case" in json.dumps(schema)
    inner = schema["properties"]["case"] if wrapped else schema
    root = {"definitions": {"d/e": {}}, **inner, "$defs": {"anchored": {}, **inner.get("$defs", {})}}
    for _ in range(60):
        value = random.choice([random_value(random), sample(inner, root, random)])
        yield {"case": value} if wrapped else value


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in read("valid")])
def test_valid_cases_mean_the_same(case: JSON) -> None:
    schema = rooted(case)
    result = normalise_schema(schema)
    assert_in_dialect(result)
    exact = "pattern" not in json.dumps(schema)  # `pattern` is waiting to be supported, and is described until then
    for instance in filter(lambda instance: isinstance(instance, dict), instances(schema)):
        before, after = is_valid(schema, instance), is_valid(result, instance)
        assert after == before or (after and not exact), instance


@pytest.mark.parametrize(("case", "refusal"), list(cases()))
def test_invalid_cases_with_a_meaning_come_out_valid(case: JSON, refusal: str | None) -> None:
    schema = rooted(case)
    if refusal is not None:
        with pytest.raises(KimiRequestError, match=f"^schema.*{re.escape(refusal)}"):
            normalise_schema(schema)
        return
    result = normalise_schema(schema)
    assert_in_dialect(result)
    assert normalise_schema(result) == result
    for instance in filter(lambda instance: isinstance(instance, dict), instances(schema)):
        assert is_valid(result, instance) or not is_valid(schema, instance), instance
