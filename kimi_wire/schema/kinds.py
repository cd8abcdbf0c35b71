"""The typed form between reading and writing: one record per type, a union is a tuple of them.

A schema inside another stands there as the `Meet` of what holds in that place. That keeps a record small and recursion
harmless: it is lowered in its turn (`lower.py`), and gets a name, or is written in place, at the end (`write.py`).

Deliberately absent: merging records with each other, for `allOf`. Their schemas are merged before (`meet.py`), keyword
by keyword: most keywords act together with others, and what lies inside would have to be merged through all recursion.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from kimi_wire.schema.keywords import tuple_items
from kimi_wire.schema.meet import Meet, Merged, Reader, is_type
from kimi_wire.schema.source import Place

SCALARS = ("string", "integer", "number", "boolean", "null")
MAX_INTEGER = 2**53 - 1  # walle.md: "`int`: approximately [-2**53 + 1, 2**53 - 1]"


# Named tuples, as a dozen dataclasses would cost every import 7 ms. `type` tells them apart where they are compared.


class Text(NamedTuple):
    """Strings: of these values (None is any), of a length between two bounds."""

    values: tuple[str, ...] | None = None
    least: int | None = None
    most: int | None = None
    type: str = "string"


class Number(NamedTuple):
    """Numbers, or whole ones alone: of these values (None is any), between two bounds that are in it."""

    type: str = "number"
    values: tuple[Any, ...] | None = None
    low: Any = None
    high: Any = None


class Boolean(NamedTuple):
    """True and false, or one of them."""

    values: tuple[bool, ...] | None = None
    type: str = "boolean"


class Null(NamedTuple):
    """Null."""

    values: None = None
    type: str = "null"


class Array(NamedTuple):
    """Lists of such items (None is any), in a number between two bounds."""

    items: Either | None = None
    least: int | None = None
    most: int | None = None
    type: str = "array"


class Object(NamedTuple):
    """Objects with such properties.

    Attributes:
        properties: Those that are named; None where nobody named any.
        required: The names of those that must be there; None where nobody required any.
        others: What other properties are: anything (True, or None where nobody spoke of them), such, or forbidden.
    """

    properties: Mapping[str, Either] | None = None
    required: tuple[str, ...] | None = None
    others: Either | bool | None = None
    type: str = "object"


Kind = Text | Number | Boolean | Null | Array | Object

Either = tuple[Kind | Meet, ...]
"""The alternatives of a union; mostly it is one."""

ANYTHING: tuple[Kind, ...] = (Text(), Number(), Boolean(), Null(), Object(), Array())


class Form(NamedTuple):
    """A schema, lowered.

    Attributes:
        alternatives: What it may be.
        description: What is said of it, and of what the dialect has no keyword for.
        default: Its default, where the dialect takes that as a keyword; None is none.
        order: The keywords of the source, in the order they have there.
    """

    alternatives: Either
    description: str | None = None
    default: Any = None
    order: tuple[str, ...] = ()


class Reference(NamedTuple):
    """A schema that only refers to another.

    Attributes:
        target: What it refers to.
        description: What is said beside.
        nullable: Null is allowed beside.
    """

    target: Place
    description: str | None = None
    nullable: bool = False


def kinds_of(reader: Reader, merged: Merged) -> Either:
    """What is allowed, type by type; nothing where nothing can satisfy it. Unions are not looked at."""
    types = [one.type for one in ANYTHING] if merged.types is None else merged.types
    return tuple(itertools.chain(*(_KINDS[name](reader, merged) for name in types)))


def _strings(_reader: Reader, merged: Merged) -> Iterator[Kind]:
    least, most = merged.amount("minLength", "maxLength")
    if least is not None and most is not None and least > most:
        return
    if merged.values is None:
        yield Text(None, least, most)
        return
    values = tuple(value for value in merged.values if isinstance(value, str))
    # An empty string in an enum is refused by some versions of the server (NousResearch/hermes-agent#18177), though
    # not by Moonshot's own cases. A string of no length is the same, and all of them take it.
    if filled := tuple(filter(None, values)):
        yield Text(filled, least, most)
    if "" in values and not least:
        yield Text(None, None, 0)


def _integers(_reader: Reader, merged: Merged) -> Iterator[Kind]:
    low, high = merged.range()
    least = None if low is None else _floor(low[0]) + 1 if low[1] else -_floor(-low[0])
    most = None if high is None else -_floor(-high[0]) - 1 if high[1] else _floor(high[0])
    return _between("integer", merged, least, most)


def _numbers(reader: Reader, merged: Merged) -> Iterator[Kind]:
    if any(is_type(factor, "integer") for factor in merged.given("multipleOf")):
        return _integers(reader, merged)
    low, high = merged.range()
    return _between("number", merged, low and low[0], high and high[0])


def _between(name: str, merged: Merged, low: Any, high: Any) -> Iterator[Kind]:
    values = merged.values and tuple(value for value in merged.values if is_type(value, name))
    if values != () and (low is None or high is None or low <= high):
        yield Number(name, values, low if is_plain(low) else None, high if is_plain(high) else None)


def _floor(value: Any) -> int:
    return int(value // 1)


def is_plain(value: Any) -> bool:
    """Whether a bound can be written: walle.md allows no scientific notation, and no integers beyond a double's."""
    if isinstance(value, float):
        return "e" not in repr(value)
    return value is not None and abs(value) <= MAX_INTEGER


def _booleans(_reader: Reader, merged: Merged) -> Iterator[Kind]:
    values = tuple(value for value in merged.values or () if isinstance(value, bool))
    yield Boolean(values if len(values) == 1 else None)


def _nulls(_reader: Reader, _merged: Merged) -> Iterator[Kind]:
    yield Null()


def _arrays(reader: Reader, merged: Merged) -> Iterator[Kind]:
    least, most = merged.amount("minItems", "maxItems")
    tuples = [place for place in merged.parts if tuple_items(place.node)]
    for place in tuples:
        if place.node.get(_rest(place)) is False:
            positions = len(tuple_items(place.node))
            most = positions if most is None else min(positions, most)
    listed = [place for place in merged.parts if place not in tuples]
    shared = tuple(place.at("items") for place in listed if isinstance(place.node.get("items"), (Mapping, bool)))
    items: Either | None = None
    if shared and not reader.is_possible(Meet(shared)):
        most = 0
    elif shared:
        items = (Meet(shared),)
    elif tuples:
        items = _union_of_positions(reader, tuples[0], most)
    if least is None or most is None or least <= most:
        yield Array(None if most == 0 else items, least, most)


def _rest(place: Place) -> str:
    """The keyword for the items of a tuple after its positions."""
    return "items" if place.node.get("prefixItems") else "additionalItems"


def _union_of_positions(reader: Reader, place: Place, most: int | None) -> Either | None:
    """The union of a tuple's positions, which "items must be an object" leaves of it (MoonshotAI/walle)."""
    keyword = "prefixItems" if place.node.get("prefixItems") else "items"
    places = [place.at(keyword, index) for index in range(len(place.node[keyword]))]
    if most is None or most > len(places):
        if not isinstance(place.node.get(_rest(place)), Mapping):
            return None
        places.append(place.at(_rest(place)))
    return tuple(filter(reader.is_possible, map(Meet.of, places))) or None


def _objects(reader: Reader, merged: Merged) -> Iterator[Kind]:
    named = {key: meet for key, meet in _declared(merged).items() if reader.is_possible(meet)}
    required = tuple(dict.fromkeys(itertools.chain(*merged.given("required"))))
    if all(key in named for key in required):
        yield Object(
            properties={key: (meet,) for key, meet in named.items()} if named or merged.given("properties") else None,
            required=required if merged.given("required") else None,
            others=_others(reader, merged),
        )


def _declared(merged: Merged) -> dict[str, Meet]:
    """All properties, and those that are only required: they are what other properties may be, mostly anything."""
    named = merged.properties()
    others = [place for place in merged.parts if place.node.get("additionalProperties") not in (None, False)]
    undeclared = Meet(
        () if merged.given("patternProperties") else tuple(it.at("additionalProperties") for it in others)
    )
    for key in itertools.chain(*merged.given("required")):
        named.setdefault(key, undeclared)  # "required property 'x' is not defined in properties" (MoonshotAI/walle)
    return named


def _others(reader: Reader, merged: Merged) -> Either | bool | None:
    """What properties that are not named may be."""
    written = [place for place in merged.parts if place.node.get("additionalProperties") is not None]
    places = tuple(place.at("additionalProperties") for place in written)
    schemas = tuple(place for place in places if isinstance(place.node, Mapping))
    patterns = [
        Meet.of(place.at("patternProperties", key))
        for place in merged.parts
        for key in place.node.get("patternProperties") or ()
    ]
    closed = any(place.node is False for place in places)
    closed = closed or (not written and not merged.unions and any(_is_closed(place.node) for place in merged.parts))
    if closed or (schemas and patterns):
        return (*patterns, *(() if closed else map(Meet.of, schemas))) or False
    if not schemas:
        return True if written else None
    return (Meet(schemas),) if reader.is_possible(Meet(schemas)) else False


# What can allow properties that the merged schema does not name.
_CONDITIONS = ("if", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef")


def _is_closed(node: Mapping[str, Any]) -> bool:
    """`unevaluatedProperties: false` closes what has been merged, if all that it depends on has been."""
    return node.get("unevaluatedProperties") is False and not any(node.get(key) for key in _CONDITIONS)


_KINDS: Mapping[str, Callable[[Reader, Merged], Iterator[Kind]]] = {
    "string": _strings,
    "integer": _integers,
    "number": _numbers,
    "boolean": _booleans,
    "null": _nulls,
    "array": _arrays,
    "object": _objects,
}
