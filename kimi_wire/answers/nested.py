r"""Values that a model has encoded twice: `{"todos": "[{\"title\": \"a\"}]"}` where a list belongs. Pure.

One is decoded where the tool's own schema allows an array or an object and no text, and where its text is one of those.
Everything else stays as the model wrote it, byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kimi_wire.arguments import parse_json
from kimi_wire.json_values import follow_reference, mapping

_KINDS = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_NESTED = frozenset({"object", "array"})

_SIGN = re.compile(r'["{}\[\],:]')
_IN_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


class _Schemas:
    """Reads a tool's schema, whose references are its own.

    Args:
        root: The schema.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._kinds: dict[int, frozenset[str]] = {}

    def kinds(self, schema: Any) -> frozenset[str]:
        """The kinds of values that a sub-schema allows: all, where it does not say."""
        if not isinstance(schema, Mapping):
            return _KINDS
        known = self._kinds.get(id(schema))
        if known is not None:
            return known
        self._kinds[id(schema)] = frozenset()  # nothing is allowed by going round in circles
        listed = schema.get("type", list(_KINDS))
        kinds = frozenset([listed] if isinstance(listed, str) else listed if isinstance(listed, list) else _KINDS)
        if "$ref" in schema:
            kinds &= self.kinds(follow_reference(self._root, schema["$ref"]))
        for branch in _branches(schema, "allOf"):
            kinds &= self.kinds(branch)
        for word in ("anyOf", "oneOf"):
            if branches := _branches(schema, word):
                kinds &= self.kinds_of_any(branches)
        self._kinds[id(schema)] = kinds
        return kinds

    def kinds_of_any(self, schemas: Sequence[Any]) -> frozenset[str]:
        """The kinds of values that one of some sub-schemas allows."""
        return frozenset[str]().union(*map(self.kinds, schemas))

    def within(self, schemas: Sequence[Any], key: str | None) -> list[Mapping[str, Any]]:
        """What sub-schemas say of a property, or, for None, of the items."""
        found = []
        for part in self.parts(schemas):
            if key is not None:
                sub = mapping(part.get("properties")).get(key, part.get("additionalProperties"))
            else:
                sub = None if "prefixItems" in part else part.get("items")
            if isinstance(sub, Mapping):
                found.append(sub)
        return found

    def parts(self, schemas: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
        """Sub-schemas, what they refer to, and their branches, each once."""
        seen: set[int] = set()
        waiting = list(schemas)
        while waiting:
            schema = waiting.pop()
            if isinstance(schema, Mapping) and id(schema) not in seen:
                seen.add(id(schema))
                yield schema
                waiting += [follow_reference(self._root, schema.get("$ref")), *_branches(schema, "allOf")]
                waiting += [*_branches(schema, "anyOf"), *_branches(schema, "oneOf")]


def _branches(schema: Mapping[str, Any], word: str) -> Sequence[Any]:
    branches = schema.get(word)
    return branches if isinstance(branches, list) else ()


class _Place:
    """A place in the arguments, and what the schema allows there.

    Args:
        schemas: Reads the schema.
        found: The sub-schemas that speak of the place.
    """

    def __init__(self, schemas: _Schemas, found: Sequence[Any]) -> None:
        self._schemas, self._found = schemas, found
        self._children: dict[str | None, _Place | None] = {}
        self.kinds = schemas.kinds_of_any(found)

    @property
    def is_nested(self) -> bool:
        """Whether an array or an object belongs here, and no text."""
        return "string" not in self.kinds and not _NESTED.isdisjoint(self.kinds)

    def child(self, key: str | None) -> _Place | None:
        """The place of a property, or, for None, of an item; None where no schema speaks of it."""
        if key not in self._children:
            found = self._schemas.within(self._found, key)
            self._children[key] = _Place(self._schemas, found) if found else None
        return self._children[key]

    def has_nested(self) -> bool:
        """Whether any property may be an array or an object."""
        parts = self._schemas.parts(self._found)
        names = {name for part in parts for name in (*mapping(part.get("properties")), "")}
        return any(not _NESTED.isdisjoint(place.kinds) for name in names if (place := self.child(name)) is not None)


class NestedArguments:
    """Gives arguments out as they come; what may be encoded twice, once it is whole.

    Args:
        place: What the schema says of them.
    """

    def __init__(self, place: _Place) -> None:
        self._root = place
        self._open: list[tuple[_Place | None, bool]] = []  # the places that are open, and whether each is an object
        self._key: str | None = None  # of the property whose value is next
        self._key_is_next = self._in_string = self._escaped = False
        self._string: list[str] | None = None  # of the string that has begun, where it is a key or is held
        self._held_at: _Place | None = None

    @classmethod
    def of(cls, schema: Mapping[str, Any] | None) -> NestedArguments | None:
        """A reader of a tool's arguments; None for a tool that has no array and no object among them."""
        place = _Place(_Schemas(schema), [schema]) if schema else None
        return cls(place) if place is not None and place.has_nested() else None

    @property
    def held(self) -> str:
        """What has come, and is not given out."""
        return "".join(self._string or ()) if self._held_at is not None else ""

    def feed(self, text: str) -> str:
        """Take some characters, and give what can be given."""
        if self._in_string and self._string is None and not (self._escaped or '"' in text or "\\" in text):
            return text  # as most pieces of long texts are
        given: list[str] = []
        at = 0
        while at < len(text):
            if self._in_string:
                begun, at = at, self._end_of_string(text, at)
                self._take(text[begun:at], given)
                continue
            sign = _SIGN.search(text, at)
            if sign is None:
                given.append(text[at:])
                break
            given.append(text[at : sign.start()])
            at = sign.end()
            self._take_sign(sign[0], given)
        return "".join(given)

    def end(self) -> str:
        """Give what is held, as no more comes."""
        held, self._held_at = self.held, None
        return held

    def _take_sign(self, sign: str, given: list[str]) -> None:
        in_object = bool(self._open) and self._open[-1][1]
        if sign == '"':
            self._in_string = True
            is_key = in_object and self._key_is_next
            place = None if is_key or not self._open else self._place()
            self._held_at = place if place is not None and place.is_nested else None
            self._string = [] if is_key or self._held_at is not None else None
            self._take(sign, given)
            return
        if sign in "{[":
            self._open.append((self._place(), sign == "{"))
            self._key_is_next = sign == "{"
        elif sign in "}]":
            del self._open[-1:]
        else:
            self._key_is_next = sign == "," and in_object
        given.append(sign)

    def _place(self) -> _Place | None:
        """The place of the value that begins."""
        if not self._open:
            return self._root
        place, is_object = self._open[-1]
        return place.child(self._key if is_object else None) if place is not None else None

    def _end_of_string(self, text: str, at: int) -> int:
        """Where the string, or what has come of it, ends."""
        if self._escaped:
            self._escaped = False
            at += 1
        found = _IN_STRING.match(text, at)
        at = found.end() if found else at
        if at < len(text):
            self._escaped = text[at] == "\\"
            self._in_string = self._escaped
            at += 1
        return at

    def _take(self, piece: str, given: list[str]) -> None:
        """Take characters of a string."""
        if self._string is not None:
            self._string.append(piece)
        if self._held_at is None:
            given.append(piece)
        if self._in_string or self._string is None:
            return
        string, place = "".join(self._string), self._held_at
        self._string = self._held_at = None
        if place is None:
            self._key = _read_string(string)
        else:
            given.append(_decode(string, place))


def _read_string(string: str) -> str | None:
    try:
        read = parse_json(string)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, str) else None


def _decode(string: str, place: _Place) -> str:
    """The array or object that a string is, as text; the string itself where it is none that belongs there."""
    text = _read_string(string) or ""
    try:
        value = parse_json(text)
        text.encode()
    except (ValueError, RecursionError):
        return string
    kind = "array" if isinstance(value, list) else "object" if isinstance(value, dict) else None
    if kind not in place.kinds:
        return string
    inner = NestedArguments(place)
    return inner.feed(text) + inner.end()


def decode_arguments(written: str, schema: Mapping[str, Any] | None) -> str:
    """A tool call's arguments, each value of them encoded once.

    Args:
        written: The arguments as the model wrote them.
        schema: The tool's own schema; None where it has none.
    """
    if not _SUSPICIOUS.search(written):
        return written
    nested = NestedArguments.of(schema)
    return written if nested is None else nested.feed(written) + nested.end()


_SUSPICIOUS = re.compile(r'"\s*[\[{\\]')
