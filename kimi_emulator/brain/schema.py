"""Building JSON that satisfies a schema, from what a text offers.

Used for tool arguments and for structured answers. What is built is valid for the keywords of the dialect, also where
the text offers nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..text import concepts, shorten, words
from .clues import Clues

_MISSING = object()
_DENIED = re.compile(r"\b(?:no|not|without|never|off)\b", re.I)
_MAX_DEPTH = 12
_ENOUGH = 3  # levels, beyond which a union's plainest branch will do
_MOST = 8  # items of a list
_MOST_VALUES = 10_000  # in all, whatever a schema asks for at least
_HUGE = 1e300  # a bound beyond is none, as no number is
_LONGEST_TEXT = 10_000


def resolve(
    schema: Any,
    root: Mapping[str, Any],
    clues: Clues | None = None,
    *,
    plain: bool = False,
    followed: set[str] | None = None,
) -> Mapping[str, Any]:
    """Follow local references and choose a branch of a union.

    Args:
        schema: The schema.
        root: The schema that local references are relative to.
        clues: What the branch is to fit best; null comes last.
        plain: Whether to take the plainest branch instead, so that what refers to itself ends.
        followed: The references whose targets are a part of it already. None is followed twice: forty definitions,
            each `allOf` the next one twice, are a billion else.
    """
    followed = set() if followed is None else followed
    for _ in range(_MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        branches = _list(schema, "anyOf") or _list(schema, "oneOf")
        if isinstance(schema.get("$ref"), str):
            target = {} if schema["$ref"] in followed else _target(schema["$ref"], root)
            followed.add(schema["$ref"])
            schema = {**target, **_without(schema, "$ref")}
        elif branches:
            chosen = min(branches, key=lambda branch: _plainness(branch, root)) if plain else None
            chosen = chosen or _branch(branches, root, clues)
            schema = {**_without(schema, "anyOf", "oneOf"), **(chosen if isinstance(chosen, Mapping) else {})}
        elif _list(schema, "allOf"):
            whole = [*(resolve(part, root, followed=followed) for part in schema["allOf"]), _without(schema, "allOf")]
            schema = {key: value for part in whole for key, value in part.items()}
        else:
            return schema
    return {}


def _without(schema: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key not in keys}


def _target(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        target = target.get(step, {}) if isinstance(target, Mapping) and step else target
    return target if isinstance(target, Mapping) else {}


def _branch(branches: list[Any], root: Mapping[str, Any], clues: Clues | None) -> Any:
    """Choose among a union's branches; objects by what they are about, one named after a finished call last."""
    if clues is None:  # looking into branches, which have branches, would double the time with each level
        return next((branch for branch in branches if not _is_null(branch)), branches[0])
    real = [branch for branch in branches if not _is_null(branch)] or branches
    if len(real) < 2:
        return real[0]
    objects = [resolve(branch, root) for branch in real]
    if not all("properties" in branch for branch in objects):
        return real[0]
    about = clues.about
    told = [set(_labels(branch)) for branch in objects]
    fits = [(not labels & clues.done, len(about & concepts(" ".join(labels))), -at) for at, labels in enumerate(told)]
    return real[-max(fits)[2]]


def _plainness(schema: Any, root: Mapping[str, Any]) -> int:
    schema = resolve(schema, root)
    type = type_of(schema)
    if type in ("object", "array"):
        return 3 if schema.get("required") or schema.get("minItems") else 2
    return 0 if type == "null" else 1


def _labels(schema: Any, depth: int = 0) -> Iterator[str]:
    """Yield what a schema says it is about: titles, descriptions, property names, allowed texts."""
    if not isinstance(schema, Mapping) or depth > 4:
        return
    said = [schema.get("title"), schema.get("description"), *_list(schema, "enum")]
    yield from (text for text in said if isinstance(text, str))
    for name, child in _properties(schema).items():
        yield str(name)
        yield from _labels(child, depth + 1)


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    properties = schema.get("properties")
    return properties if isinstance(properties, Mapping) else {}


def _list(schema: Mapping[str, Any], name: str) -> list[Any]:
    given = schema.get(name)
    return given if isinstance(given, list) else []


def _bound(schema: Mapping[str, Any], name: str, otherwise: float) -> float:
    """Return what a schema says of a number or a length; what is no number says nothing."""
    bound = schema.get(name)
    if not isinstance(bound, (int, float)) or isinstance(bound, bool):
        return otherwise
    return bound if -_HUGE < bound < _HUGE else otherwise


def _count(schema: Mapping[str, Any], name: str, otherwise: int) -> int:
    """The same for a number of items or characters."""
    return int(min(max(_bound(schema, name, otherwise), 0), 2**31))


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _is_nullable(schema: Any) -> bool:
    if not isinstance(schema, Mapping):
        return False
    return any(map(_is_null, _list(schema, "anyOf"))) or "null" in _list(schema, "type")


def type_of(schema: Mapping[str, Any]) -> str:
    """Return a resolved schema's type, inferred where it is not given."""
    type = schema.get("type")
    if isinstance(type, list):
        type = next((item for item in type if item != "null"), "null")
    if isinstance(type, str):
        return type
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def build(schema: Mapping[str, Any], clues: Clues) -> Any:
    """Build an instance of a schema, which its references are relative to, from what a text offers."""
    value = _Builder(clues, schema).value(schema, "", required=True, depth=0)
    return {} if value is _MISSING else value


class _Builder:
    """Builds values; ``_MISSING`` where an optional one is better left out, or a required one has no end."""

    def __init__(self, clues: Clues, root: Mapping[str, Any]) -> None:
        self._clues = clues
        self._root = root
        self._left = _MOST_VALUES

    def value(self, schema: Any, name: str, *, required: bool, depth: int) -> Any:
        self._left -= 1
        nullable = _is_nullable(schema)
        schema = resolve(schema, self._root, self._clues, plain=depth > _ENOUGH)
        if "const" in schema:
            return schema["const"]
        if _list(schema, "enum"):
            return self._choice(schema["enum"], required)
        type = type_of(schema)
        if (depth > _MAX_DEPTH or self._left < 0) and type in ("object", "array"):
            if nullable:
                return None
            return _MISSING if schema.get("required") or schema.get("minItems") else {} if type == "object" else []
        if type == "object":
            return self._object(schema, required, depth)
        if type == "array":
            return self._array(schema, name, depth) if required else _MISSING
        found = self._scalar(type, schema, name, required)
        if found is not None or type == "null":
            return found
        return _MISSING if not required else None if nullable else self._invented(type, schema, name)

    def _choice(self, options: list[Any], required: bool) -> Any:
        return next(iter(self._said(options)), options[0] if required else _MISSING)

    def _said(self, options: list[Any]) -> list[str]:
        about = self._clues.about
        return [option for option in options if isinstance(option, str) and concepts(option) & about]

    def _object(self, schema: Mapping[str, Any], required: bool, depth: int) -> Any:
        needed = _list(schema, "required")
        built: dict[str, Any] = {}
        for name, child in _properties(schema).items():
            must = name in needed
            value = self.value(child, name, required=must, depth=depth + 1) if must or depth < _ENOUGH else _MISSING
            if value is not _MISSING:
                built[name] = value
            elif must:
                return _MISSING
        return built if built or required else _MISSING

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        items = resolve(schema.get("items"), self._root)
        least, most = _count(schema, "minItems", 0), _count(schema, "maxItems", _MOST)
        type = type_of(items)
        built: list[Any] = []
        if type in ("number", "integer"):
            built = [self._scalar(type, items, name, True) for _ in self._clues.numbers[:most]]
            built = [number for number in built if number is not None]
        elif type == "string":
            offered = self._said(items["enum"]) if _list(items, "enum") else self._clues.options(name)
            built = [_sized(text, items) for text in offered[:most]]
        while len(built) < min(max(least, 1 if type == "object" else 0), most) and self._left > 0:
            value = self.value(items, name, required=True, depth=depth + 1)
            if value is _MISSING:
                return _MISSING if least else built
            built.append(value)
        return built

    def _scalar(self, type: str, schema: Mapping[str, Any], name: str, required: bool) -> Any:
        if type in ("number", "integer"):
            number = self._clues.take_number(type == "integer") if required else None
            return None if number is None else _bounded(number, schema)
        if type == "boolean":
            return not _DENIED.search(self._clues.text) if required else None
        text = self._clues.take_text(name, required) if type == "string" else None
        return None if text is None else _sized(text, schema)

    def _invented(self, type: str, schema: Mapping[str, Any], name: str) -> Any:
        if type in ("number", "integer"):
            return _bounded(0, schema)
        about = shorten(self._clues.text, 80)
        said = (" ".join(words(name)) or "text").capitalize()
        return _sized(f"{said} about {about}" if about else said, schema)


def _bounded(number: float, schema: Mapping[str, Any]) -> float:
    """Move a number into the bounds of its schema; it stays whole if the schema wants it whole."""
    whole = type_of(schema) == "integer"
    step = 1 if whole else 0.001
    low = max(_bound(schema, "minimum", -math.inf), _bound(schema, "exclusiveMinimum", -math.inf) + step)
    high = min(_bound(schema, "maximum", math.inf), _bound(schema, "exclusiveMaximum", math.inf) - step)
    number = min(max(number, low), high)
    return math.floor(number) if whole and number == high else math.ceil(number) if whole else number


def _sized(text: str, schema: Mapping[str, Any]) -> str:
    text = text.ljust(min(_count(schema, "minLength", 0), _LONGEST_TEXT), ".")
    return text[: _count(schema, "maxLength", len(text))]
