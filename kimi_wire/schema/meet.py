"""Schemas that hold at once, taken together: what they allow, before any of it is written down.

`allOf`, the siblings of a `$ref` and the keywords beside an `anyOf` all come down to this.

Deliberately absent: a search for contradictions far inside (`Reader.is_possible` looks at types and values alone, one
step deep). None of the schemas that people sent needs it, and what it would find is described as "No value fits".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kimi_wire.schema.keywords import ABOUT, OPENED, REFERENCES, TYPES, UNIONS, is_nullable, types_written
from kimi_wire.schema.references import Document
from kimi_wire.schema.source import Place, check_node

MAX_CROSSED = 32  # of several unions crossed with each other
MAX_COPIES = 100  # of properties, into the branches of a union beside them

_REFERENCES = frozenset(REFERENCES)
_VALUES = frozenset(("const", "enum"))
_FORMATS = {"int32": "integer", "int64": "integer", "float": "number", "double": "number"}


class Meet(NamedTuple):
    """Schemas that hold at once; nothing of them has been read yet, so that recursion is no trouble.

    Attributes:
        places: The schemas.
        beside: What stands beside a union and goes into this branch of it. Only their own keywords count: the union is
            this one, what they refer to is among them, and what they say of themselves is said once, of the union.
    """

    places: tuple[Place, ...]
    beside: tuple[Place, ...] = ()

    @classmethod
    def of(cls, place: Place) -> Meet:
        """One schema alone."""
        return cls((place,))

    def __and__(self, other: Meet) -> Meet:
        return Meet(self.places + other.places, self.beside + other.beside)


class Merged(NamedTuple):
    """What schemas that hold at once come down to.

    Attributes:
        parts: All schemas that count, references and `allOf` opened.
        speaking: Those of them whose annotations count.
        unions: Of each `anyOf` and `oneOf` among them, the branches.
        types: The types allowed; None is any.
        values: The values allowed; None is any of those types.
    """

    parts: tuple[Place, ...]
    speaking: tuple[Place, ...]
    unions: tuple[tuple[Place, ...], ...]
    types: tuple[str, ...] | None
    values: tuple[Any, ...] | None

    @property
    def own(self) -> tuple[Place, ...]:
        """The schemas that ask for something themselves, to stand beside a branch."""
        return tuple(place for place in self.parts if place.asks - OPENED)

    def given(self, keyword: str) -> list[Any]:
        """The values of a keyword, wherever it is written."""
        return [value for place in self.parts if (value := place.node.get(keyword)) is not None]

    def amount(self, low: str, high: str) -> tuple[int | None, int | None]:
        """The tightest pair of two bounds that count something."""
        least = max((max(0, math.ceil(value)) for value in self.given(low)), default=None)
        most = min((math.floor(value) for value in self.given(high)), default=None)
        return (0 if most is not None and most < 0 else least), most

    def range(self) -> tuple[tuple[Any, bool] | None, tuple[Any, bool] | None]:
        """The tightest lower and upper bound of a number, each with whether it is exclusive."""
        lows = self._bounds("minimum", "exclusiveMinimum")
        highs = self._bounds("maximum", "exclusiveMaximum")
        return max(lows, default=None), min(highs, key=lambda found: (found[0], not found[1]), default=None)

    def _bounds(self, bound: str, strict: str) -> Iterator[tuple[Any, bool]]:
        """Draft 4 marks `minimum` as exclusive with a boolean, later drafts have a number of its own for that."""
        for place in self.parts:
            exclusive = place.node.get(strict)
            if (value := place.node.get(bound)) is not None:
                yield value, exclusive is True
            if exclusive is not None and not isinstance(exclusive, bool):
                yield exclusive, True

    def properties(self) -> dict[str, Meet]:
        """All properties that are named, each with what holds for it.

        What other schemas say of properties they do not name holds too, but not that there are none: those who close a
        schema before others add to it by `allOf` do not mean that.
        """
        named: dict[str, Meet] = {}
        for place in self.parts:
            for key in place.node.get("properties") or ():
                one = Meet.of(place.at("properties", key))
                named[key] = named[key] & one if key in named else one
        for place in self.parts:
            if isinstance(place.node.get("additionalProperties"), Mapping) and not place.node.get("patternProperties"):
                mine = place.node.get("properties") or ()
                others = Meet.of(place.at("additionalProperties"))
                named = {key: meet if key in mine else meet & others for key, meet in named.items()}
        return named


class Reader:
    """Says what schemas that hold at once come down to, each time the same.

    Args:
        document: The source.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self._merged: dict[Meet, Merged] = {}
        self._possible: dict[Meet, bool] = {}

    def merge(self, meet: Meet) -> Merged:
        """What schemas that hold at once come down to.

        Raises:
            KimiRequestError: A mistake in one of the schemas.
        """
        if meet not in self._merged:
            self._merged[meet] = _merge(self.document, meet)
        return self._merged[meet]

    def ways(self, merged: Merged) -> list[Meet] | None:
        """The ways through all unions; None where there are none, or where writing them out would be too much."""
        count = math.prod(map(len, merged.unions))
        copies = count * sum(len(properties) for properties in merged.given("properties"))
        if not merged.unions or (count > MAX_CROSSED and len(merged.unions) > 1):
            return None
        if copies > MAX_COPIES and merged.own:
            return None
        return [self._join(merged, branches) for branches in itertools.product(*merged.unions)]

    def _join(self, merged: Merged, branches: tuple[Place, ...]) -> Meet:
        """Branches and what is beside them, or the branch alone where it says all of that itself."""
        alone = Meet(branches)
        own = merged.own
        if len(branches) == 1:
            branch = self.merge(alone)
            types_only = all(place.asks - {*UNIONS, "nullable"} == {"type"} for place in own)
            typed = branch.types is not None and {*branch.types} <= {*(merged.types or ())}
            if (types_only and typed) or all(place in branch.parts for place in own):
                return alone
        return Meet(branches, own)

    def is_possible(self, meet: Meet) -> bool:
        """Whether anything can satisfy schemas at once, as far as that shows without looking deep."""
        if meet not in self._possible:
            self._possible[meet] = self._look_if_possible(self.merge(meet))
        return self._possible[meet]

    def _look_if_possible(self, merged: Merged) -> bool:
        ways = self.ways(merged)
        if merged.types == () or (ways is not None and all(self.merge(way).types == () for way in ways)):
            return False
        named = merged.properties() if merged.types == ("object",) else {}
        needed = itertools.chain(*merged.given("required")) if named else ()
        return all(self.merge(named[key]).types != () for key in needed if key in named)


def _merge(document: Document, meet: Meet) -> Merged:
    """Open references, `allOf` and unions of one, and intersect the types and values of all that is found."""
    parts: dict[Place, bool] = {}  # and whether their annotations count
    unions: list[tuple[Place, ...]] = []
    possible = True
    todo = [*((place, True) for place in reversed(meet.places)), *((place, False) for place in reversed(meet.beside))]
    while todo:
        place, whole = todo.pop()
        if place in parts or place.node is True:
            continue
        if place.node is False or place.node.get("not") in (True, {}):
            possible = False  # `{"not": {}}` is how zod writes `never`
            continue
        check_node(place)
        parts[place] = whole
        if whole:
            opened, branched = _open(document, place)
            todo += [(inner, True) for inner in reversed(opened)]
            unions += branched
    # A branch that is part of what holds already is always met: OpenAPI's base class names its subclasses in `oneOf`,
    # and they name it in `allOf`.
    unions = [branches for branches in unions if not any(document.meant(branch) in parts for branch in branches)]
    speaking = tuple(place for place, whole in parts.items() if whole)
    implying = speaking if meet.beside and _is_of_any_type(document, meet) else tuple(parts)
    types, values = _merge_types_and_values(tuple(parts), implying)
    return Merged(tuple(parts), speaking, tuple(unions), types if possible else (), values)


def _open(document: Document, place: Place) -> tuple[list[Place], list[tuple[Place, ...]]]:
    """What holds together with a schema, and the branches of each of its unions that has several."""
    opened: list[Place] = []
    unions: list[tuple[Place, ...]] = []
    if place.asks & _REFERENCES:
        opened.append(document.follow(place))
    for keyword in ("allOf", *UNIONS):
        if keyword not in place.asks:
            continue
        branches = tuple(place.at(keyword, index) for index in range(len(place.node[keyword])))
        if keyword in UNIONS:
            branches = tuple(branch for branch in branches if document.meant(branch) is not place)
        if keyword == "allOf" or len(branches) == 1:
            opened += branches
        elif branches:
            unions.append(branches)
    return opened, unions


def is_mistyped(place: Place) -> bool:
    """Whether none of the values that a schema lists is of the type beside them.

    The values are what is meant: Xcode's tools write `{"type": "object", "enum": ["move", "copy"]}`.
    """
    if "type" not in place.asks or not place.asks & _VALUES:
        return False
    node = place.node
    allowed = [*types_written(node), "null"] if is_nullable(node) else types_written(node)
    return not any(is_type(value, name) for value in _values(node) for name in allowed)


def _is_of_any_type(document: Document, meet: Meet) -> bool:
    """Whether keywords beside a union say nothing of the type of this branch: where another branch has a type written.

    In `{"anyOf": [{"type": "string"}, {"description": "or else"}], "minLength": 1}` the second may be a number.
    """
    unions = [place.parent for place in meet.places if place.parent is not None and place.parent.token in UNIONS]
    branches = (union.at(index) for union in unions for index in range(len(union.node)))
    return any(document.meant(branch).asks & {"type", *_VALUES} for branch in branches)


def _merge_types_and_values(
    places: Sequence[Place], implying: Sequence[Place]
) -> tuple[tuple[str, ...] | None, tuple[Any, ...] | None]:
    types = _merge_types(place.node for place in places if "type" in place.asks and not is_mistyped(place))
    values = _merge_values(place.node for place in places if place.asks & _VALUES)
    if values is None:
        return types if types is not None else (tuple(_types_implied(implying)) or None), None
    types = types if types is not None else tuple(_types_of(values))
    values = tuple(value for value in values if any(is_type(value, name) for name in types))
    return tuple(name for name in types if any(is_type(value, name) for value in values)), values


def _merge_types(nodes: Iterable[Mapping[str, Any]]) -> tuple[str, ...] | None:
    merged: tuple[str, ...] | None = None
    for node in nodes:
        mine = tuple(dict.fromkeys([*types_written(node), *(["null"] if is_nullable(node) else [])]))
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


def _types_implied(places: Sequence[Place]) -> list[str]:
    implied = {ABOUT[key] for place in places for key in place.asks if key in ABOUT}
    if not implied:
        formats = (str(place.node["format"]) for place in places if "format" in place.asks)
        implied = {_FORMATS.get(name, "string") for name in formats}
    return [name for name in TYPES if name in implied]


def _merge_values(nodes: Iterable[Mapping[str, Any]]) -> tuple[Any, ...] | None:
    merged: dict[Hashable, Any] | None = None
    for node in nodes:
        mine = {_key_of(value): value for value in _values(node)}
        merged = mine if merged is None else {key: value for key, value in merged.items() if key in mine}
    return None if merged is None else tuple(merged.values())


def _values(node: Mapping[str, Any]) -> tuple[Any, ...]:
    if "const" in node:
        return (node["const"],)
    return (*node["enum"], *([None] if is_nullable(node) else []))


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


def _key_of(value: Any) -> Hashable:
    """Something to compare JSON values by: true is not 1, but 1.0 is."""
    if isinstance(value, Mapping):
        return ("object", frozenset((name, _key_of(item)) for name, item in value.items()))
    if isinstance(value, (list, tuple)):
        return ("array", tuple(_key_of(item) for item in value))
    return (_types_of_value(value)[-1], value)
