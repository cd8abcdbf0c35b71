"""What is allowed of one type, written in the dialect's keywords; what those cannot say is said in words."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from kimi_wire.schema.meet import ABOUT, Facts, Items, Reader, bounds, is_type, properties_of, range_of
from kimi_wire.schema.source import Place
from kimi_wire.schema.words import ANYTHING, SCALARS, dump, say_values, sentences, text_of, tuple_items

JSON = dict[str, Any]
Linker = Callable[[Items], Any]  # what stands in the result for schemas that hold at once

MAX_INTEGER = 2**53 - 1  # walle.md: "`int`: approximately [-2**53 + 1, 2**53 - 1]"


def write_types(reader: Reader, facts: Facts, link: Linker) -> list[JSON]:
    """The schemas of each type that is left, to be joined by `anyOf`; none where nothing can satisfy them."""
    if facts.types is None:
        return [dict(schema) for schema in ANYTHING]
    found = list(itertools.chain(*(_WRITERS[name](reader, facts, link, name) for name in facts.types)))
    if len(found) > 1 and all(len(body) == 1 and body["type"] in SCALARS for body in found):
        return [{"type": [body["type"] for body in found]}]
    return found


def _with(body: JSON, **more: Any) -> JSON:
    return {**body, **{keyword: value for keyword, value in more.items() if value is not None}}


def _write_string(_reader: Reader, facts: Facts, _link: Linker, name: str) -> Iterator[JSON]:
    least, most = bounds(facts, "minLength", "maxLength")
    if least is not None and most is not None and least > most:
        return
    if facts.values is None:
        yield _with({"type": name}, minLength=least, maxLength=most)
        return
    values = [value for value in facts.values if isinstance(value, str)]
    # An empty string in an enum is refused by some versions of the server (NousResearch/hermes-agent#18177), though
    # not by Moonshot's own cases. A string of no length is the same, and all of them take it.
    if filled := [value for value in values if value]:
        yield _with({"type": name, "enum": filled}, minLength=least, maxLength=most)
    if "" in values and not least:
        yield {"type": name, "maxLength": 0}


def _write_number(_reader: Reader, facts: Facts, _link: Linker, name: str) -> Iterator[JSON]:
    if name == "number" and any(is_type(factor, "integer") for factor in facts.given("multipleOf")):
        name = "integer"
    low, high = limits(facts, name)
    if low is not None and high is not None and low > high:
        return
    body: JSON = {"type": name}
    if facts.values is not None:
        body["enum"] = [value for value in facts.values if is_type(value, name)]
        if not body["enum"]:
            return
    yield _with(body, minimum=low if _is_plain(low) else None, maximum=high if _is_plain(high) else None)


def _write_boolean(_reader: Reader, facts: Facts, _link: Linker, name: str) -> Iterator[JSON]:
    values = [value for value in facts.values or () if isinstance(value, bool)]
    yield {"type": name, "enum": values} if len(values) == 1 else {"type": name}


def _write_null(_reader: Reader, _facts: Facts, _link: Linker, name: str) -> Iterator[JSON]:
    yield {"type": name}


def limits(facts: Facts, name: str) -> tuple[Any, Any]:
    """The inclusive bounds of a number; those of an integer are whole numbers."""
    low, high = range_of(facts)
    if name == "number":
        return low and low[0], high and high[0]
    least = None if low is None else _floor(low[0]) + 1 if low[1] else -_floor(-low[0])
    most = None if high is None else -_floor(-high[0]) - 1 if high[1] else _floor(high[0])
    return least, most


def _floor(value: Any) -> int:
    return int(value // 1)


def _is_plain(value: Any) -> bool:
    """Whether a bound can be written: walle.md allows no scientific notation, and no integers beyond a double's."""
    if isinstance(value, float):
        return "e" not in repr(value)
    return value is not None and abs(value) <= MAX_INTEGER


def _write_array(reader: Reader, facts: Facts, link: Linker, name: str) -> Iterator[JSON]:
    least, most = bounds(facts, "minItems", "maxItems")
    shared: Items = ()
    tuples: list[Place] = []
    for place, _ in facts.parts:
        if positions := tuple_items(place.node):
            tuples.append(place)
            if place.node.get(_rest(place)) is False:
                most = min(len(positions), len(positions) if most is None else most)
        elif isinstance(place.node.get("items"), (Mapping, bool)):
            shared = (*shared, (place.at("items"), False))
    items: Any = None
    if shared and not reader.is_possible(shared):
        most = 0
    elif shared:
        items = link(shared) if _says_anything(reader, shared) else None
    elif tuples:
        items = _write_tuple(reader, link, tuples[0], most)
    if least is None or most is None or least <= most:
        yield _with({"type": name}, items=None if most == 0 else items, minItems=least, maxItems=most)


def _rest(place: Place) -> str:
    """The keyword for the items of a tuple after its positions."""
    return "items" if place.node.get("prefixItems") else "additionalItems"


def _write_tuple(reader: Reader, link: Linker, place: Place, most: int | None) -> JSON | None:
    """The union of a tuple's positions, which "items must be an object" leaves of it (MoonshotAI/walle)."""
    keyword = "prefixItems" if place.node.get("prefixItems") else "items"
    places = [place.at(keyword, index) for index in range(len(place.node[keyword]))]
    if most is None or most > len(places):
        if not isinstance(place.node.get(_rest(place)), Mapping):
            return None
        places.append(place.at(_rest(place)))
    links = [link(((inner, False),)) for inner in places if reader.is_possible(((inner, False),))]
    return {"anyOf": links} if links else None


def _write_object(reader: Reader, facts: Facts, link: Linker, name: str) -> Iterator[JSON]:
    named = _declare(facts)
    written = {key: link(items) for key, items in named.items() if reader.is_possible(items)}
    required = list(dict.fromkeys(itertools.chain(*facts.given("required"))))
    if all(key in written for key in required):
        yield _with(
            {"type": name},
            properties=written if written or facts.given("properties") else None,
            required=required if facts.given("required") else None,
            additionalProperties=_write_others(reader, facts, link),
        )


def _declare(facts: Facts) -> dict[str, Items]:
    """All properties, and those that are only required but may be other ones.

    Raises:
        KimiRequestError: A required property that nothing declares.
    """
    named = properties_of(facts)
    others = [place for place, _ in facts.parts if place.node.get("additionalProperties") not in (None, False)]
    patterns = facts.given("patternProperties")
    for place, _ in facts.parts:
        for key in place.node.get("required") or ():
            if key in named:
                continue
            if not others and not patterns:
                # "required property 'x' is not defined in properties" (MoonshotAI/walle)
                known = ", ".join(named) or "there are none"
                raise place.fault(f"required names {key!r}, which is not among the properties ({known}).")
            named[key] = () if patterns else tuple((inner.at("additionalProperties"), False) for inner in others)
    return named


def _write_others(reader: Reader, facts: Facts, link: Linker) -> Any:
    """What properties that are not named may be: a bool, a schema, or None where nothing is said of them."""
    written = [place for place, _ in facts.parts if place.node.get("additionalProperties") is not None]
    schemas = [place.at("additionalProperties") for place in written]
    schemas = [place for place in schemas if isinstance(place.node, Mapping)]
    patterns = [
        place.at("patternProperties", key)
        for place, _ in facts.parts
        for key in place.node.get("patternProperties") or ()
    ]
    closed = any(place.node["additionalProperties"] is False for place in written)
    closed = closed or (not written and not facts.unions and any(_is_closed(node) for node in facts.nodes))
    if closed or (schemas and patterns):
        links = [link(((place, False),)) for place in [*patterns, *([] if closed else schemas)]]
        return {"anyOf": links} if links else False
    if not schemas:
        return True if written else None
    items = tuple((place, False) for place in schemas)
    if not reader.is_possible(items):
        return False
    return link(items) if _says_anything(reader, items) else True


def _says_anything(reader: Reader, items: Items) -> bool:
    """Whether schemas constrain or describe anything at all."""
    facts = reader.facts(items)
    return facts.types is not None or bool(facts.unions) or any(text_of(place) for place, _ in facts.parts)


# What can allow properties that the merged schema does not name.
_CONDITIONS = ("if", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef")


def _is_closed(node: Mapping[str, Any]) -> bool:
    """`unevaluatedProperties: false` closes what has been merged, if all that it depends on has been."""
    return node.get("unevaluatedProperties") is False and not any(node.get(key) for key in _CONDITIONS)


_WRITERS: Mapping[str, Callable[[Reader, Facts, Linker, str], Iterator[JSON]]] = {
    "string": _write_string,
    "integer": _write_number,
    "number": _write_number,
    "boolean": _write_boolean,
    "null": _write_null,
    "array": _write_array,
    "object": _write_object,
}


def say_rest(reader: Reader, facts: Facts) -> Iterator[str]:
    """What the dialect's keywords could not say of what holds, one sentence without a full stop each."""
    types = {*(facts.types if facts.types is not None else _WRITERS)}
    kinds = types | ({"number"} if "integer" in types else set())
    for place, bare in facts.parts:
        if not bare:
            yield from sentences(
                {key: value for key, value in place.node.items() if ABOUT.get(key, "") in ("", *kinds)}
            )
    if "number" in kinds:
        yield from _say_limits(facts, types)
    compound = [value for value in facts.values or () if isinstance(value, (Mapping, list, tuple))]
    if compound:
        yield f"{'Always' if len(compound) == 1 else 'One of:'} {say_values(compound)}"
    if "object" in types:
        yield from (f"Leave out {key}" for key, items in properties_of(facts).items() if not reader.is_possible(items))


def _say_limits(facts: Facts, types: set[str]) -> Iterator[str]:
    for bound, (word, plain_word) in zip(range_of(facts), (("Greater", "At least"), ("Less", "At most")), strict=True):
        if bound is not None and bound[1] and "number" in types and facts.values is None:
            yield f"{word} than {dump(bound[0])}"
        elif bound is not None and not _is_plain(bound[0]):
            yield f"{plain_word} {dump(bound[0])}"
