"""Building JSON that satisfies a schema, from what a text offers.

Used for tool arguments and for structured answers. Every builder returns something valid for the keywords it knows,
even where the text offers nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..text import concepts, shorten, words
from . import values

_MISSING = object()
_MAX_DEPTH = 12
_ENOUGH = 3  # levels, beyond which a union's plainest branch will do

_KINDS: tuple[tuple[str, str], ...] = (
    ("email", "email mail recipient to cc"),
    ("url", "url link website uri"),
    ("date", "date day when birthday deadline"),
    ("clock", "time hour clock"),
    ("expression", "expression equation formula calculation"),
    ("place", "city location place country destination origin town region address where area"),
    ("body", "description body message content text details notes summary comment bio reason"),
    ("query", "query question input prompt search q request task"),
    ("topic", "topic subject theme about"),
    ("name", "name title customer person user author artist company product item symbol ticker"),
)
_VAGUE = ("body", "query", "topic", "name")
_KIND_OF = {word: kind for kind, listed in reversed(_KINDS) for word in listed.split()}


class Clues:
    """The values a text offers. Each is handed out once."""

    def __init__(self, text: str, extra: str | None = None, *, whole: bool = False, done: Iterable[str] = ()) -> None:
        """Look a text over.

        Args:
            text: The text.
            done: Names of the tools that have answered already.
            whole: Whether the text as a whole will do where nothing in it fits.
            extra: A result that the text refers to ("multiply it by 2"); its number comes first.
        """
        self.text = text.strip()
        self.extra = extra
        self.whole = whole
        self.done = frozenset(done)
        self.numbers = (values.numbers(extra)[-1:] if extra else []) + values.numbers(text)
        self.quoted = values.quoted(text)
        self._taken: set[str] = set()

    def take_number(self, name: str, integer: bool, eager: bool) -> float | None:
        """Return the number given for a name, or the next one."""
        fitting = [number for number in self.numbers if not integer or float(number).is_integer()]
        number = values.number_of(self.text, name)
        if number is None or number not in fitting:
            number = fitting[0] if eager and fitting else None
        if number is not None:
            self.numbers.remove(number)
        return number

    def take_text(self, name: str, description: str, eager: bool) -> str | None:
        """Return the text that fits a name and its description, or None."""
        kind = kind_of(name, description)
        if self.extra and kind == "body":
            return self.extra
        given = values.labelled(self.text, name) if name else None
        for candidate in [given, *self._candidates(kind)] if eager or kind not in ("body", "query", "") else [given]:
            if candidate and candidate not in self._taken:
                self._taken.add(candidate)
                return candidate
        return None

    def _candidates(self, kind: str) -> Iterable[str]:
        text = self.text
        if kind == "email":
            return values.emails(text) or [*self.quoted, *values.names(text)]
        if kind == "url":
            return values.urls(text)
        if kind == "date":
            return values.dates(text)
        if kind == "clock":
            return values.clocks(text)
        if kind == "expression":
            return filter(None, [values.expression(text)])
        if kind == "place":
            return [*self.quoted, *values.places(text)]
        if kind == "body":
            return filter(None, [*self.quoted, values.remark(text), text])
        if kind == "query":
            return [*self.quoted, text]
        if kind == "topic":
            return filter(None, [values.topic(text), *self.quoted, *values.names(text)])
        return [*self.quoted, *values.names(text), *([text] if self.whole and not kind else [])]

    def options(self, kind: str) -> list[str]:
        """Return all texts that fit a kind; what is quoted counts before what is not."""
        return list(dict.fromkeys(self.quoted or self._candidates(kind)))


def kind_of(name: str, description: str = "") -> str:
    """Tell what kind of text a name asks for; failing that its description, which is trusted less."""
    for word in reversed(words(name)):
        if word in _KIND_OF:
            return _KIND_OF[word]
    hints = (_KIND_OF.get(word, "") for word in words(description))
    return next((kind for kind in hints if kind and kind not in _VAGUE), "")


def resolve(
    schema: Any, root: Mapping[str, Any], clues: Clues | None = None, *, plain: bool = False
) -> Mapping[str, Any]:
    """Follow local references and choose a branch of a union.

    Args:
        schema: The schema.
        root: The schema that local references are relative to.
        clues: What the branch is to fit best; null comes last.
        plain: Whether to take the plainest branch instead, so that what refers to itself ends.
    """
    for _ in range(_MAX_DEPTH):
        if not isinstance(schema, Mapping):
            return {}
        if isinstance(schema.get("$ref"), str):
            target: Any = root
            for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
                target = target.get(step, {}) if isinstance(target, Mapping) and step else target
            schema = {**(target if isinstance(target, Mapping) else {}), **_without_ref(schema)}
            continue
        branches = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(branches, list) and branches:
            chosen = min(branches, key=lambda branch: _plainness(branch, root)) if plain else None
            chosen = chosen or _branch(branches, root, clues)
            rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
            schema = {**rest, **(chosen if isinstance(chosen, Mapping) else {})}
            continue
        if isinstance(schema.get("allOf"), list):
            merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                merged = {**resolve(part, root), **merged}
            schema = merged
            continue
        return schema
    return {}


def _branch(branches: list[Any], root: Mapping[str, Any], clues: Clues | None) -> Any:
    """Choose among a union's branches; objects by what they are about, one named after a finished call last."""
    real = [branch for branch in branches if not _is_null(branch)] or branches
    objects = [resolve(branch, root) for branch in real]
    if clues is None or len(real) < 2 or not all("properties" in branch for branch in objects):
        return real[0]
    about = concepts(clues.text)
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
    options = schema.get("enum")
    said = [schema.get("title"), schema.get("description"), schema.get("const")]
    said += options if isinstance(options, list) else []
    yield from (text for text in said if isinstance(text, str))
    properties = schema.get("properties")
    for name, child in (properties if isinstance(properties, Mapping) else {}).items():
        yield str(name)
        yield from _labels(child, depth + 1)


def _without_ref(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in schema.items() if key != "$ref"}


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def is_nullable(schema: Any) -> bool:
    """Whether a schema accepts null."""
    if not isinstance(schema, Mapping):
        return False
    branches = schema.get("anyOf") or schema.get("oneOf") or ()
    type = schema.get("type")
    return any(map(_is_null, branches)) or (isinstance(type, list) and "null" in type)


def type_of(schema: Mapping[str, Any]) -> str:
    """Return a resolved schema's type, inferred where it is not given."""
    type = schema.get("type")
    if isinstance(type, list):
        type = next((item for item in type if item != "null"), "null")
    if isinstance(type, str):
        return type
    return "object" if "properties" in schema else "array" if "items" in schema else "string"


def build(schema: Any, clues: Clues, *, root: Mapping[str, Any], fill: bool = True) -> Any:
    """Build an instance of a schema.

    Args:
        schema: The schema.
        clues: What to take values from.
        root: The schema that local references are relative to.
        fill: Whether optional properties are filled when the text has something for them.
    """
    value = _build(schema, clues, root, "", "", required=True, fill=fill, depth=0)
    return {} if value is _MISSING else value


def _build(
    schema: Any, clues: Clues, root: Mapping[str, Any], name: str, hint: str, *, required: bool, fill: bool, depth: int
) -> Any:
    """Build a value; ``_MISSING`` where an optional one is better left out, or a required one has no end."""
    nullable = is_nullable(schema)
    schema = resolve(schema, root, clues, plain=depth > _ENOUGH)
    hint = str(schema.get("description") or hint)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return _choose(schema, clues, name, required)
    type = type_of(schema)
    if depth > _MAX_DEPTH and type in ("object", "array"):
        if nullable:
            return None
        return _MISSING if schema.get("required") or schema.get("minItems") else {} if type == "object" else []
    if type == "object":
        return _object(schema, clues, root, required=required, fill=fill, depth=depth)
    if type == "array":
        return _array(schema, clues, root, name, hint, required=required, fill=fill, depth=depth)
    found = _scalar(type, schema, clues, name, hint, eager=required)
    if found is not None or type == "null":
        return found
    if not required:
        return _MISSING
    if "default" in schema:
        return schema["default"]
    return None if nullable else _invented(type, schema, clues, name, hint)


def _choose(schema: Mapping[str, Any], clues: Clues, name: str, required: bool) -> Any:
    said = " ".join(words(clues.text))
    for option in schema["enum"]:
        if option is not None and re.search(rf"\b{re.escape(' '.join(words(str(option))))}\b", said):
            return option
    for option in schema["enum"]:
        if isinstance(option, str) and concepts(option) & concepts(clues.text):
            return option
    if not required:
        return _MISSING
    return schema["default"] if schema.get("default", _MISSING) in schema["enum"] else schema["enum"][0]


def _object(
    schema: Mapping[str, Any], clues: Clues, root: Mapping[str, Any], *, required: bool, fill: bool, depth: int
) -> Any:
    properties = schema.get("properties")
    needed = schema.get("required") or []
    built: dict[str, Any] = {}
    for name, child in (properties if isinstance(properties, Mapping) else {}).items():
        must = name in needed
        if not must and (not fill or depth > 2):
            continue
        value = _build(child, clues, root, str(name), "", required=must, fill=fill, depth=depth + 1)
        if value is not _MISSING:
            built[str(name)] = value
        elif must:
            return _MISSING
    return built if built or required else _MISSING


def _array(
    schema: Mapping[str, Any],
    clues: Clues,
    root: Mapping[str, Any],
    name: str,
    hint: str,
    *,
    required: bool,
    fill: bool,
    depth: int,
) -> Any:
    if not required:
        return _MISSING
    items = resolve(schema.get("items"), root)
    least = int(schema.get("minItems") or 0)
    most = int(schema["maxItems"]) if isinstance(schema.get("maxItems"), int) else 8
    type = type_of(items) if items else "string"
    built: list[Any] = []
    if type in ("number", "integer"):
        built = [clues.take_number(name, type == "integer", True) for _ in range(min(len(clues.numbers), most))]
        built = [_bounded(number, items) for number in built if number is not None]
    elif type == "string" and "enum" in items:
        said = concepts(clues.text)
        built = [option for option in items["enum"] if isinstance(option, str) and concepts(option) & said][:most]
    elif type == "string":
        built = [_sized(text, items) for text in clues.options(kind_of(name, hint) or "name")][:most]
    wanted = max(least, 1 if type == "object" and fill else 0)
    while len(built) < min(wanted, most):
        item = items or {"type": "string"}
        value = _build(item, clues, root, name, hint, required=True, fill=fill, depth=depth + 1)
        if value is _MISSING:
            return _MISSING if least else built
        built.append(value)
    return built


def _scalar(type: str, schema: Mapping[str, Any], clues: Clues, name: str, hint: str, *, eager: bool) -> Any:
    if type in ("number", "integer"):
        number = clues.take_number(name, type == "integer", eager)
        return None if number is None else _bounded(int(number) if type == "integer" else number, schema)
    if type == "boolean":
        return _truth(clues.text, name, eager)
    if type == "string":
        text = clues.take_text(name, hint, eager)
        return None if text is None else _sized(text, schema)
    return None


def _truth(text: str, name: str, eager: bool) -> bool | None:
    said = concepts(text) & concepts(name)
    if not said and not eager:
        return None
    return not re.search(r"\b(?:no|not|without|don't|never|off)\b", text, re.I)


def _invented(type: str, schema: Mapping[str, Any], clues: Clues, name: str, hint: str) -> Any:
    if type in ("number", "integer"):
        return _bounded(0, schema)
    if type == "boolean":
        return True
    about = values.topic(clues.text) or shorten(clues.text, 80)
    if kind_of(name) == "topic":
        return _sized(about, schema)
    said = (hint or " ".join(words(name)) or "text").strip(" .")
    return _sized(f"{said[:1].upper()}{said[1:]} about {about}" if about else said, schema)


def _bounded(number: float, schema: Mapping[str, Any]) -> float:
    """Move a number into the bounds of its schema; it stays whole if the schema wants it whole."""
    whole = type_of(schema) == "integer"
    step = 1 if whole else 0.001
    low, high = _bound(schema, "minimum"), _bound(schema, "maximum")
    over, under = _bound(schema, "exclusiveMinimum"), _bound(schema, "exclusiveMaximum")
    if over is not None and number <= over:
        number = over + step
    if low is not None:
        number = max(number, low)
    if under is not None and number >= under:
        number = under - step
    if high is not None:
        number = min(number, high)
    return math.floor(number) if whole and number == high else math.ceil(number) if whole else number


def _bound(schema: Mapping[str, Any], name: str) -> float | None:
    bound = schema.get(name)
    return bound if isinstance(bound, (int, float)) and not isinstance(bound, bool) else None


def _sized(text: str, schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minLength"), schema.get("maxLength")
    if isinstance(least, int) and len(text) < least:
        text = text.ljust(least, ".")
    return text[:most] if isinstance(most, int) else text
