"""Several schemas that hold at once, taken together: what they allow, before anything is written down.

`allOf`, the siblings of a `$ref` and the keywords beside an `anyOf` all come down to this.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kimi_wire.schema.source import TYPES, Document, Place, check_node, types_written

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
UNIONS = ("anyOf", "oneOf")

# Which type a keyword is about; a schema without a type is taken to mean the types its keywords are about.
ABOUT: Mapping[str, str] = {
    **dict.fromkeys(("minLength", "maxLength", "pattern", "contentEncoding", "contentMediaType"), "string"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), "number"),
    **dict.fromkeys(("items", "prefixItems", "additionalItems", "unevaluatedItems"), "array"),
    **dict.fromkeys(("minItems", "maxItems", "uniqueItems", "contains", "minContains", "maxContains"), "array"),
    **dict.fromkeys(("properties", "required", "additionalProperties", "patternProperties"), "object"),
    **dict.fromkeys(("propertyNames", "minProperties", "maxProperties", "unevaluatedProperties"), "object"),
    **dict.fromkeys(("dependentRequired", "dependentSchemas", "dependencies"), "object"),
}

MAX_BRANCHES = 32  # of several unions crossed with each other
MAX_COPIES = 100  # of properties, into the branches of a union beside them
_FORMATS = {"int32": "integer", "int64": "integer", "float": "number", "double": "number"}
CONSTRAINTS = {*ABOUT, *REFERENCES, *UNIONS, "allOf", "type", "enum", "const", "format", "not", "if", "nullable"}

Item = tuple[Place, bool]
"""A schema, and whether only its own keywords count: neither its unions nor what it refers to, nor its annotations."""

Items = tuple[Item, ...]
"""Schemas that hold at once."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What schemas that hold at once come down to.

    Attributes:
        parts: All schemas that count, references and `allOf` opened.
        unions: Of each `anyOf` and `oneOf` among them, the branches.
        types: The types allowed; None is any.
        values: The values allowed; None is any of those types.
    """

    parts: Items
    unions: tuple[tuple[Place, ...], ...]
    types: tuple[str, ...] | None
    values: tuple[Any, ...] | None

    @property
    def nodes(self) -> list[Mapping[str, Any]]:
        """The schemas that count, as written."""
        return [place.node for place, _ in self.parts]

    @property
    def own(self) -> Items:
        """The schemas that ask for something themselves, to be merged into a branch."""
        return tuple((place, True) for place, _ in self.parts if asks(place.node) - _OPENED)

    def given(self, keyword: str) -> list[Any]:
        """The values of a keyword, wherever it is written."""
        return [node[keyword] for node in self.nodes if node.get(keyword) is not None]


_OPENED = {*REFERENCES, *UNIONS, "allOf", "nullable"}


def asks(node: Mapping[str, Any]) -> set[str]:
    """The keywords of a node that constrain anything."""
    return {key for key in node if key in CONSTRAINTS and (node[key] is not None or key == "const")}


def is_nullable(node: Any) -> bool:
    """OpenAPI 3.0 and Swagger 2.0 have a flag for null."""
    return isinstance(node, Mapping) and (node.get("nullable") is True or node.get("x-nullable") is True)


def collect(document: Document, items: Items) -> Facts:
    """Open references, `allOf` and unions of one, and intersect the types and values of all that is found.

    Raises:
        KimiRequestError: A mistake in one of the schemas.
    """
    parts: dict[Place, bool] = {}
    unions: list[tuple[Place, ...]] = []
    possible = True
    todo = list(reversed(items))
    while todo:
        place, bare = todo.pop()
        if place in parts or place.node is True:
            continue
        if place.node is False or (isinstance(place.node, Mapping) and place.node.get("not") in (True, {})):
            possible = False  # `{"not": {}}` is how zod writes `never`
            continue
        check_node(place)
        if "enum" in place.node or "const" in place.node:
            _check_values(place)
        parts[place] = bare
        if bare:
            continue
        opened: list[Place] = []
        if any(place.node.get(keyword) is not None for keyword in REFERENCES):
            opened.append(follow(document, place))
        opened += [place.at("allOf", index) for index in range(len(place.node.get("allOf") or ()))]
        for keyword in UNIONS:
            branches = tuple(place.at(keyword, index) for index in range(len(place.node.get(keyword) or ())))
            branches = tuple(branch for branch in branches if _end(document, branch) is not place)
            if len(branches) == 1:
                opened += branches
            elif branches:
                unions.append(branches)
        todo += [(inner, False) for inner in reversed(opened)]
    nodes = [place.node for place in parts]
    types = _merge_types(nodes)
    values = _merge_values(nodes)
    if values is not None:
        types = types if types is not None else tuple(_types_of(values))
        values = tuple(value for value in values if any(is_type(value, name) for name in types))
        types = tuple(name for name in types if any(is_type(value, name) for value in values))
    elif types is None:
        types = tuple(_types_implied(nodes)) or None
    if not possible:
        types = ()
    # A branch that is part of what holds already is always met: OpenAPI's base class names its subclasses in `oneOf`,
    # and they name it in `allOf`.
    unions = [branches for branches in unions if not any(_end(document, branch) in parts for branch in branches)]
    return Facts(tuple(parts.items()), tuple(unions), types, values)


def _end(document: Document, branch: Place) -> Place:
    """The branch, or what it is where it only refers to something."""
    node = branch.node
    return follow(document, branch) if isinstance(node, Mapping) and asks(node) == {"$ref"} else branch


def follow(document: Document, place: Place) -> Place:
    """The place that a reference leads to in the end.

    Raises:
        KimiRequestError: The reference leads nowhere, out of the schema, or in a circle.
    """
    passed: dict[Place, None] = {}
    described: Place | None = None
    while isinstance(place.node, Mapping):
        asked = asks(place.node)
        reference = next((place.node[key] for key in REFERENCES if key in asked), None)
        if reference is None or (passed and len(asked) > 1):
            break
        if passed and place.node.get("description"):
            described = described or place
        if place in passed:
            way = " -> ".join(str(step.node.get("$ref")) for step in passed)
            raise place.fault(f"$ref leads in a circle with nothing in it: {way}.")
        passed[place] = None
        check_node(place)
        place = document.resolve(place, reference)
    return described or place


def _check_values(place: Place) -> None:
    """Refuse an `enum` of which no value has the `type` beside it.

    Raises:
        KimiRequestError: With the path of the mistake.
    """
    node = place.node
    written = types_written(node)
    values = _values(node)
    allowed = [*written, "null"] if is_nullable(node) else written
    if written and values and not any(is_type(value, name) for value in values for name in allowed):
        raise place.fault(f"none of its values {list(values)!r} is of type {' or '.join(map(str, written))}.")


def is_type(value: Any, name: str) -> bool:
    """Whether a JSON value is of a type; 1.0 is an integer, true is not."""
    return name in _types_of_value(value)


def _types_of_value(value: Any) -> tuple[str, ...]:
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return ("boolean",)
    if isinstance(value, (int, float)):
        return ("integer", "number") if isinstance(value, int) or value.is_integer() else ("number",)
    if isinstance(value, str):
        return ("string",)
    return ("object",) if isinstance(value, Mapping) else ("array",)


def _types_of(values: Iterable[Any]) -> Iterator[str]:
    found = dict.fromkeys(_types_of_value(value)[0] for value in values)
    for name in found:
        if not (name == "integer" and "number" in found):
            yield name


def key_of(value: Any) -> Hashable:
    """Something to compare JSON values by: true is not 1, but 1.0 is."""
    if isinstance(value, Mapping):
        return ("object", frozenset((name, key_of(item)) for name, item in value.items()))
    if isinstance(value, (list, tuple)):
        return ("array", tuple(key_of(item) for item in value))
    return (_types_of_value(value)[-1], value)


def _values(node: Mapping[str, Any]) -> tuple[Any, ...] | None:
    if "const" in node:
        return (node["const"],)
    if node.get("enum") is None:
        return None
    return (*node["enum"], *([None] if is_nullable(node) else []))


def _merge_values(nodes: Sequence[Mapping[str, Any]]) -> tuple[Any, ...] | None:
    merged: dict[Hashable, Any] | None = None
    for node in nodes:
        values = _values(node)
        if values is not None:
            mine = {key_of(value): value for value in values}
            merged = mine if merged is None else {key: value for key, value in merged.items() if key in mine}
    return None if merged is None else tuple(merged.values())


def _merge_types(nodes: Sequence[Mapping[str, Any]]) -> tuple[str, ...] | None:
    merged: tuple[str, ...] | None = None
    for node in nodes:
        if written := types_written(node):
            mine = tuple(dict.fromkeys([*written, *(["null"] if is_nullable(node) else [])]))
            merged = mine if merged is None else tuple(_common(merged, mine))
    if merged and "number" in merged:
        merged = tuple(name for name in merged if name != "integer")
    return merged


def _common(ours: tuple[str, ...], theirs: tuple[str, ...]) -> Iterator[str]:
    for name in ours:
        if name in theirs or (name == "integer" and "number" in theirs):
            yield name
        elif name == "number" and "integer" in theirs:
            yield "integer"


def _types_implied(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    implied = {ABOUT[key] for node in nodes for key in asks(node) if key in ABOUT}
    formats = {_FORMATS.get(str(node["format"]), "string") for node in nodes if node.get("format") is not None}
    implied |= formats if not implied else set()
    return [name for name in TYPES if name in implied]


def bounds(facts: Facts, low: str, high: str) -> tuple[int | None, int | None]:
    """The tightest pair of two bounds that count something."""
    least = max((max(0, math.ceil(value)) for value in facts.given(low)), default=None)
    most = min((math.floor(value) for value in facts.given(high)), default=None)
    return (0 if most is not None and most < 0 else least), most


def range_of(facts: Facts) -> tuple[tuple[Any, bool] | None, tuple[Any, bool] | None]:
    """The tightest lower and upper bound of a number, each with whether it is exclusive.

    Draft 4 marks `minimum` as exclusive with a boolean, later drafts have a number of its own for that.
    """
    lows: list[tuple[Any, bool]] = []
    highs: list[tuple[Any, bool]] = []
    for node in facts.nodes:
        for found, bound, strict in (
            (lows, "minimum", "exclusiveMinimum"),
            (highs, "maximum", "exclusiveMaximum"),
        ):
            exclusive = node.get(strict)
            if (value := node.get(bound)) is not None:
                found.append((value, exclusive is True))
            if exclusive is not None and not isinstance(exclusive, bool):
                found.append((exclusive, True))
    low = max(lows, default=None)
    high = min(highs, key=lambda found: (found[0], not found[1]), default=None)
    return low, high


def properties_of(facts: Facts) -> dict[str, Items]:
    """All properties that are named, each with what holds for it.

    What other schemas say of properties they do not name holds too, but not that there are none: those who close a
    schema before others add to it by `allOf` do not mean that.
    """
    named: dict[str, Items] = {}
    for place, _ in facts.parts:
        for key in place.node.get("properties") or ():
            named[key] = (*named.get(key, ()), (place.at("properties", key), False))
    for place, _ in facts.parts:
        if isinstance(place.node.get("additionalProperties"), Mapping) and not place.node.get("patternProperties"):
            mine = place.node.get("properties") or ()
            others = (place.at("additionalProperties"), False)
            named = {key: items if key in mine else (*items, others) for key, items in named.items()}
    return named


class Reader:
    """Says what schemas that hold at once come down to, each time the same.

    Args:
        document: The source.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._facts: dict[Items, Facts] = {}
        self._possible: dict[tuple[Items, int], bool] = {}

    def facts(self, items: Items) -> Facts:
        """What schemas that hold at once come down to."""
        if items not in self._facts:
            self._facts[items] = collect(self._document, items)
        return self._facts[items]

    def combine(self, facts: Facts) -> list[Items] | None:
        """The ways through all unions; None where writing them out would be too much."""
        count = math.prod(map(len, facts.unions))
        copies = count * sum(len(properties) for properties in facts.given("properties"))
        if (count > MAX_BRANCHES and len(facts.unions) > 1) or (copies > MAX_COPIES and facts.own):
            return None
        return [self._join(facts, branches) for branches in itertools.product(*facts.unions)]

    def _join(self, facts: Facts, branches: Sequence[Place]) -> Items:
        """Branches and what is beside them, or the branch alone where it says all of that itself."""
        joined: Items = tuple((branch, False) for branch in branches)
        if len(branches) == 1:
            branch = self.facts(joined)
            inside = {place for place, _ in branch.parts}
            types_only = all(asks(place.node) - {*UNIONS, "nullable"} == {"type"} for place, _ in facts.own)
            typed = branch.types is not None and {*branch.types} <= {*(facts.types or ())}
            if (types_only and typed) or all(place in inside for place, _ in facts.own):
                return joined
        return (*facts.own, *joined)

    def is_possible(self, items: Items, depth: int = 2) -> bool:
        """Whether anything can satisfy schemas at once, as far as that shows without looking deep."""
        key = (items, depth)
        if key not in self._possible:
            self._possible[key] = self._look_if_possible(self.facts(items), depth)
        return self._possible[key]

    def _look_if_possible(self, facts: Facts, depth: int) -> bool:
        if depth and facts.unions:
            combinations = self.combine(facts)
            if combinations is not None and not any(self.is_possible(items, depth - 1) for items in combinations):
                return False
        if facts.types != ("object",):
            return facts.types != ()
        named = properties_of(facts) if depth else {}
        needed = itertools.chain(*facts.given("required"))
        return all(self.is_possible(named[key], depth - 1) for key in needed if key in named)
