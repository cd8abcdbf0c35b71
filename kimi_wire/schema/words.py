"""Constraints that the dialect has no keyword for, in plain short words for the description that the model reads."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from kimi_wire.schema.keywords import ABOUT, KEYWORDS, MAPS, TYPES, Fate, tuple_items, types_written
from kimi_wire.schema.kinds import ANYTHING as ALL_KINDS
from kimi_wire.schema.meet import Meet
from kimi_wire.schema.source import Place

JSON = dict[str, Any]

# A list of types may hold objects and arrays by Moonshot's own cases, not by other reports; this all of them take.
ANYTHING: JSON = {"anyOf": [{"type": kind.type} for kind in ALL_KINDS if not isinstance(kind, Meet)]}

_PHRASES = {name: row.phrase for name, row in KEYWORDS.items() if row.phrase}
_SENTENCES = {name: row.says for name, row in KEYWORDS.items() if "{}" in row.says}
_SAYING = frozenset(name for name, row in KEYWORDS.items() if row.fate is Fate.SAID or row.says)
_FLAGS = {name: row.says for name, row in KEYWORDS.items() if row.says and "{}" not in row.says}


def dump(value: Any) -> str:
    """A JSON value, as compact as it can be read."""
    return json.dumps(value, ensure_ascii=False, default=dict)


def say_values(values: Iterable[Any]) -> str:
    """A choice of JSON values."""
    said = [dump(value) for value in values]
    return said[0] if len(said) == 1 else f"{', '.join(said[:-1])} or {said[-1]}"


def say(schema: Any, depth: int = 6) -> str:
    """A schema in a few words, such as `string, pattern ^a` or `kind is "cat", name required`."""
    if not isinstance(schema, Mapping):
        return "anything" if schema is True or schema is None else "nothing"
    if isinstance(reference := schema.get("$ref"), str):
        return reference.rpartition("/")[2].strip("#") or "the same again"
    if schema.get("anyOf") == ANYTHING["anyOf"]:
        return "anything"
    if not depth:
        return "..."
    said = [" or ".join(map(str, types_written(schema)))] if "type" in schema else []
    if values := _of(schema, "enum", (list, tuple)):
        said = [say_values(values)]
    if "const" in schema:
        said = [dump(schema["const"])]
    said += _say_bounds(schema)
    if isinstance(items := schema.get("items"), Mapping) and items:
        said.append(f"items: {say(items, depth - 1)}")
    properties = _of(schema, "properties", Mapping) or {}
    required = [name for name in _of(schema, "required", (list, tuple)) or () if isinstance(name, str)]
    for name, value in properties.items():
        said.append(f"{name}{' (required)' if name in required else ''} is {say(value, depth - 1)}")
    if missing := [name for name in required if name not in properties]:
        said.append(f"{', '.join(missing)} required")
    for keyword, joint in (("allOf", " and "), ("anyOf", " or "), ("oneOf", " or ")):
        if branches := _of(schema, keyword, (list, tuple)):
            said.append(joint.join(say(branch, depth - 1) for branch in branches))
    if "not" in schema:
        said.append(f"not ({say(schema['not'], depth - 1)})")
    return ", ".join(part for part in said if part) or str(schema.get("description") or "anything")


def _of(schema: Mapping[str, Any], keyword: str, kinds: Any) -> Any:
    """A keyword's value, if it is of the right kind: what is only said has not been checked."""
    return value if isinstance(value := schema.get(keyword), kinds) else None


def _say_bounds(schema: Mapping[str, Any]) -> Iterator[str]:
    for keyword, phrase in _PHRASES.items():
        value = schema.get(keyword)
        if value is not None and not isinstance(value, bool):
            yield phrase.format(value)
    for keyword, sign, bound in (("exclusiveMinimum", ">", "minimum"), ("exclusiveMaximum", "<", "maximum")):
        value = schema.get(keyword)
        if value is True:
            value = schema.get(bound)
        if value is not None and value is not False:
            yield f"{sign} {value}"


def sentences(node: Mapping[str, Any], types: Collection[str] = TYPES) -> Iterator[str]:
    """What a node asks for in keywords that the dialect lacks, one sentence without a full stop each.

    Exclusive bounds are not among them: they depend on the merged type.

    Args:
        node: The node as written.
        types: Keywords about other types than these are left out.
    """
    if not _SAYING.intersection(node) and not tuple_items(node):
        return
    node = {key: value for key, value in node.items() if key not in ABOUT or ABOUT[key] in types}
    for keyword, sentence in _SENTENCES.items():
        value = node.get(keyword)
        if value is not None and not isinstance(value, (bool, Mapping)) and (keyword, value) != ("multipleOf", 1):
            yield sentence.format(value)
    for keyword, sentence in _FLAGS.items():
        if node.get(keyword) is True:
            yield sentence
    yield from _say_properties(node)
    yield from _say_items(node)
    if (negated := node.get("not")) is not None and negated not in (True, False, {}):
        yield f"Must not be: {say(negated)}"
    if "if" in node and (node.get("then") is not None or node.get("else") is not None):
        then = f": {say(node['then'])}" if node.get("then") is not None else " nothing more"
        otherwise = f"; otherwise: {say(node['else'])}" if node.get("else") is not None else ""
        yield f"If {say(node['if'])}{then}{otherwise}"


def _say_properties(node: Mapping[str, Any]) -> Iterator[str]:
    for pattern, value in (node.get("patternProperties") or {}).items():
        yield f"Properties that match {pattern}: {say(value)}"
    if isinstance(names := node.get("propertyNames"), Mapping) and names.keys() - {"type"}:
        yield f"Names of properties: {say({key: value for key, value in names.items() if key != 'type'})}"
    if isinstance(others := node.get("unevaluatedProperties"), Mapping) and others:
        yield f"Other properties: {say(others)}"
    for keyword in ("dependentRequired", "dependencies", "dependentSchemas"):
        for name, needed in (_of(node, keyword, Mapping) or {}).items():
            if isinstance(needed, (list, tuple)):
                if needed:
                    yield f"With {name} also: {', '.join(map(str, needed))}"
            else:
                yield f"With {name}: {say(needed)}"


def _say_items(node: Mapping[str, Any]) -> Iterator[str]:
    if (contained := node.get("contains")) is not None:
        least, most = node.get("minContains"), node.get("maxContains")
        most = f" and at most {most}" if most is not None else ""
        yield f"At least {1 if least is None else least}{most} of the items: {say(contained)}"
    positions = tuple_items(node)
    rest = node.get("items" if node.get("prefixItems") else "additionalItems")
    most = node.get("maxItems")
    closed = rest is False or (most is not None and most <= len(positions))
    if len({dump(value) for value in positions}) > closed:
        said = (say_position(value) for value in positions)
        yield f"Items in order: {'; '.join(f'({number}) {text}' for number, text in enumerate(said, 1))}"
    if positions and node.get("unevaluatedItems") is False:
        yield f"At most {len(positions)} items"


def say_position(schema: Any) -> str:
    """One position of a tuple: what it is called, and what it is."""
    name = (schema.get("description") or schema.get("title")) if isinstance(schema, Mapping) else None
    said = say(schema)
    return f"{str(name).strip().removesuffix('.')}: {said}" if name and name != said else said


def join(description: str | None, said: Iterable[str]) -> str | None:
    """A description with sentences put after it, each once."""
    text = (description or "").strip()
    for sentence in dict.fromkeys(said):
        if text:
            text += " " if text[-1] in ".!?:;。" else ". "
        text += f"{sentence}."
    return text or None


def describe(places: Iterable[Place], said: Iterable[str]) -> str | None:
    """What schemas say about themselves, each thing once, and sentences after it."""
    return join(join_texts(text for place in places if (text := text_of(place))), said)


def join_texts(texts: Iterable[str]) -> str | None:
    """Several descriptions as one, each once."""
    first, *more = dict.fromkeys(texts) or [None]
    return join(first, [text.removesuffix(".") for text in more if text])


def text_of(place: Place) -> str | None:
    """The description, and the title where it says more than the name does.

    Titles are refused by the dialect's prose ("Descriptive metadata like `title` ... are not supported", mfjs-spec.md)
    and taken by its validator; most are made from the name by a program, and cost tokens on every request.
    """
    description = (place.node.get("description") or "").strip()
    title = place.node.get("title")
    if not isinstance(title, str) or _plain(title) in _plain(description) or _is_automatic(title, place):
        return description or None
    return join(title, [description.removesuffix(".")]) if description else title.strip()


def _is_automatic(title: str, place: Place) -> bool:
    if place.parent is None:
        return " " not in title.strip() or "[" in title
    if "_" in title and " " not in title.strip():
        return True
    buckets = (*MAPS, "schemas")
    named = next((step for step in place.lineage() if step.parent is not None and step.parent.token in buckets), None)
    return named is not None and _plain(named.token).endswith(_plain(title))


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text)).casefold()
