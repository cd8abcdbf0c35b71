"""What holds for any schema: in the dialect, nothing narrowed, the same again, the input untouched."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import re
import uuid
from collections.abc import Callable
from random import Random
from typing import Annotated, Any, Literal, Optional, Union

import jsonschema
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, create_model

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema import normalise_schema
from tests.wire.schema.checks import assert_in_dialect, is_valid
from tests.wire.schema.random_schemas import is_well_founded, random_root, sample

JSON = dict[str, Any]

seeds = st.integers(0, 2**48)


def many(examples: int) -> settings:
    """So many examples by night, and a third of them by day, which are the same every day."""
    examples = examples // 3 if settings.default.derandomize else examples
    return settings(max_examples=examples, deadline=None, suppress_health_check=[*HealthCheck])


def check(schema: JSON, before: str, result: JSON) -> None:
    """Everything about a result that needs no instance."""
    assert json.dumps(schema) == before
    assert json.dumps(normalise_schema(json.loads(before))) == json.dumps(result)
    assert json.dumps(normalise_schema(result)) == json.dumps(result)
    assert_in_dialect(result)


def refusal(schema: JSON) -> str | None:
    try:
        normalise_schema(schema)
    except KimiRequestError as error:
        return str(error)
    return None


@pytest.mark.slow
@many(1500)
@given(seeds)
@example(17287406)  # a union of false and of true, which is any boolean
def test_any_schema(seed: int) -> None:
    random = Random(seed)
    schema = random_root(random)
    before = json.dumps(schema)
    if (said := refusal(schema)) is not None:
        assert re.search("nothing can satisfy|in a circle with nothing in it|infinite recursion", said)
        return
    result = normalise_schema(schema)
    check(schema, before, result)
    if not is_well_founded(schema):
        return
    validator = jsonschema.Draft202012Validator(schema)
    for _ in range(4):
        instance = sample(schema, schema, random)
        if validator.is_valid(instance):
            assert is_valid(result, instance), (instance, result)


class Color(str, enum.Enum):
    RED = "red"
    NONE = ""


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"
    NO = None


class Leaf(BaseModel):
    """A leaf."""

    kind: Literal["leaf"]
    size: int = Field(1, description="How large", gt=0)


class Branch(BaseModel):
    kind: Literal["branch"]
    left: Branch | None = None
    leaves: list[Leaf] = []


Maker = tuple[Any, Callable[[Random], Any]]
"""An annotation, and how to make a value of it."""

SIMPLE: list[Maker] = [
    (int, lambda random: random.randint(-5, 5)),
    (float, lambda random: random.choice([0.5, 1.0, -2.0])),
    (str, lambda random: random.choice(["", "a", "text"])),
    (bool, lambda random: random.random() < 0.5),
    (type(None), lambda random: None),
    (Any, lambda random: random.choice([1, "a", None, [1], {"a": 1}])),
    (Color, lambda random: random.choice([*Color])),
    (Mixed, lambda random: random.choice([*Mixed])),
    (Literal["a", 1, None, True], lambda random: random.choice(["a", 1, None, True])),
    (Literal[""], lambda random: ""),
    (datetime.datetime, lambda random: datetime.datetime(2024, 5, 1, 12)),
    (uuid.UUID, lambda random: uuid.UUID(int=random.getrandbits(128))),
    (decimal.Decimal, lambda random: decimal.Decimal("1.5")),
    (Annotated[str, Field(pattern="^a", max_length=5)], lambda random: random.choice(["a", "ab"])),
    (Annotated[int, Field(gt=0, lt=10, multiple_of=2)], lambda random: random.choice([2, 8])),
    (Annotated[float, Field(gt=0.5, le=2)], lambda random: random.choice([0.75, 2.0])),
    (Leaf, lambda random: Leaf(kind="leaf", size=random.randint(1, 3))),
    (Branch, lambda random: Branch(kind="branch", left=Branch(kind="branch"), leaves=[Leaf(kind="leaf")])),
    (
        Annotated[Leaf | Branch, Field(discriminator="kind", description="Either")],
        lambda random: random.choice([Leaf(kind="leaf"), Branch(kind="branch")]),
    ),
]


def random_type(random: Random, depth: int = 2) -> Maker:
    kind = random.randrange(9) if depth else 0
    if kind < 4:
        return random.choice(SIMPLE)
    inner, make = random_type(random, depth - 1)
    other, make_other = random_type(random, depth - 1)
    if kind == 4:
        return list[inner], lambda random: [make(random) for _ in range(random.randrange(3))]  # type: ignore[valid-type]
    if kind == 5:
        return dict[str, inner], lambda random: {"a": make(random)}  # type: ignore[valid-type]
    if kind == 6:
        return tuple[inner, other], lambda random: (make(random), make_other(random))  # type: ignore[valid-type]
    if kind == 7:
        return Optional[inner], lambda random: random.choice([None, make(random)])  # noqa: UP045
    return Union[inner, other], lambda random: random.choice([make, make_other])(random)  # noqa: UP007


@pytest.mark.slow
@many(800)
@given(seeds)
def test_any_pydantic_model(seed: int) -> None:
    random = Random(seed)
    names = random.sample(["a", "b", "type", "items", "enum", "required", "some_name"], k=random.randint(1, 4))
    makers = {name: random_type(random) for name in names}
    fields: JSON = {}
    for name, (annotation, _make) in makers.items():
        default: Any = random.choice([..., ..., None])
        described = Field(default, description=random.choice([None, "What it is"]), alias=random.choice([None, "$ref"]))
        fields[name] = (annotation, described if len(names) == 1 else Field(default))
    model = create_model("Random", **fields)
    schema = model.model_json_schema()
    result = normalise_schema(schema)
    check(schema, json.dumps(schema), result)
    for _ in range(3):
        values = {name: make(random) for name, (_annotation, make) in makers.items()}
        dumped = model.model_construct(**values).model_dump(mode="json", by_alias=True, warnings=False)
        assert is_valid(result, dumped), (dumped, result)


def test_values_reach_the_checks() -> None:
    """The generator is worth something: it makes instances, and the checks can fail."""
    random = Random(1)
    hits = 0
    for _ in range(200):
        schema = random_root(random)
        if is_well_founded(schema):
            hits += is_valid(schema, sample(schema, schema, random))
    assert hits > 60
    with pytest.raises(AssertionError):
        assert_in_dialect({"type": "object", "properties": {"a": {"type": "string", "enum": ["", "a"]}}})
