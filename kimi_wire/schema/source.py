"""The schema as it was written: where each part stands, and what its author got wrong."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema.keywords import CONSTRAINTS, KEYWORDS, MAPS, TYPES, types_written

# Far above what the dialect takes, far below what Python's recursion takes: everything behind this check may recurse.
MAX_NESTING = 200
MAX_VALUES = 1_000_000

_TYPE_WORDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean", "dict": "object"}
_TYPE_WORDS |= {"list": "array", "none": "null", "map": "object", "double": "number", "tuple": "array"}


class Place:
    """One JSON value of the source, and the way to it from the root.

    Places are interned: the same way always leads to the same object, so that they compare by identity.

    Attributes:
        node: The value there.
        parent: The place it is in; None at the root.
        token: Its key or index in there; at the root, what the caller calls the schema.
        checked: Whether `check_node` has found no mistake here.
    """

    __slots__ = ("_asks", "_children", "checked", "node", "parent", "token")

    def __init__(self, node: Any, parent: Place | None, token: str) -> None:
        self.node = node
        self.parent = parent
        self.token = token
        self.checked = False
        self._children: dict[str, Place] = {}
        self._asks: frozenset[str] | None = None

    def at(self, *tokens: str | int) -> Place:
        """The place further in; the caller knows that it is there."""
        place = self
        for token in map(str, tokens):
            child = place._children.get(token)
            if child is None:
                node = place.node
                value = node[token] if isinstance(node, Mapping) else node[int(token)]
                child = place._children[token] = Place(value, place, token)
            place = child
        return place

    @property
    def asks(self) -> frozenset[str]:
        """The keywords of the schema here that constrain anything."""
        if self._asks is None:
            node = self.node if isinstance(self.node, Mapping) else {}
            given = (key for key in node if key in CONSTRAINTS and (node[key] is not None or key == "const"))
            self._asks = frozenset(given)
        return self._asks

    def lineage(self) -> Iterator[Place]:
        """This place, the one it is in, and so on up to the root."""
        place: Place | None = self
        while place is not None:
            yield place
            place = place.parent

    @property
    def path(self) -> str:
        """The way for a person to read, such as `schema.properties.user.items`."""
        tokens = [place.token for place in self.lineage()][::-1]
        return ".".join(tokens if len(tokens) <= 24 else [*tokens[:22], "...", tokens[-1]])

    @property
    def name(self) -> str:
        """What a person would call the schema here: its key in a map of schemas, or the way to it."""
        tokens = [place.token for place in self.lineage()][::-1][1:]
        if self.parent is not None and self.parent.token in ("$defs", "definitions", "schemas"):
            return tokens[-1]
        return "_".join(token for token in tokens if token not in MAPS) or "root"

    def fault(self, message: str) -> KimiRequestError:
        """An error that names this place."""
        return KimiRequestError(f"{self.path}: {message}")


def check_json(schema: Any, where: str) -> None:
    """Refuse what is not JSON, and what is nested so deep or so large that nothing could be done with it.

    Args:
        schema: The source.
        where: What the caller calls it.

    Raises:
        KimiRequestError: With the path to what is wrong.
    """
    todo: list[tuple[Any, int, Place | None, str]] = [(schema, 0, None, where)]
    count = 0
    while todo:
        value, depth, parent, token = todo.pop()
        count += 1
        if value is None or isinstance(value, (str, bool, int)):
            continue
        place = Place(value, parent, token)
        if depth > MAX_NESTING:
            raise place.fault(f"the schema is nested more than {MAX_NESTING} levels deep.")
        if count > MAX_VALUES:
            raise place.fault(f"the schema has more than {MAX_VALUES:,} values.")
        if isinstance(value, Mapping):
            if odd := [key for key in value if not isinstance(key, str)]:
                raise place.fault(f"the key {odd[0]!r} is not a string.")
            todo += [(item, depth + 1, place, key) for key, item in value.items()]
        elif isinstance(value, (list, tuple)):
            todo += [(item, depth + 1, place, str(index)) for index, item in enumerate(value)]
        elif not isinstance(value, float) or not math.isfinite(value):
            raise place.fault(f"{value!r} is not JSON.")


def check_node(place: Place) -> None:
    """Refuse what cannot be meant: a keyword with a value of the wrong kind.

    Keywords with the value null count as not there ("At path 'required': required must be an array" is what the server
    says to the `"required": null` of some serialisers); those that the server names itself are mistakes.

    Raises:
        KimiRequestError: With the path of the mistake.
    """
    if place.checked:
        return
    node: Mapping[str, Any] = place.node
    for keyword, value in node.items():
        row = KEYWORDS.get(keyword)
        if row is None or row.takes is None or (value is None and row.takes.null):
            continue
        if value is None:
            raise place.fault(f"{keyword} must not be null.")
        if not isinstance(value, row.takes.kinds) or (isinstance(value, bool) and bool not in row.takes.kinds):
            raise place.fault(f"{keyword} must be {row.takes.said}, not {value!r}.")
        if not value and not row.takes.empty:
            raise place.fault(f"{keyword} must not be empty.")
        if row.holds == "map" and isinstance(value, Mapping):
            _check_map(place, keyword, value)
        elif "list" in row.holds and isinstance(value, (list, tuple)):
            _check_list(place, keyword, value)
    for name in node.get("required") or ():
        if not isinstance(name, str):
            raise place.fault(f"required must list the names of properties; {name!r} is not one.")
    for name in types_written(node):
        if name not in TYPES:
            raise place.fault(f"{name!r} is not a type. {_hint(name)}")
    for low, high in (("minLength", "maxLength"), ("minItems", "maxItems"), ("minimum", "maximum")):
        if node.get(low) is not None and node.get(high) is not None and node[low] > node[high]:
            raise place.fault(f"{low} {node[low]} is greater than {high} {node[high]}.")
    place.checked = True


def _check_map(place: Place, keyword: str, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        listed = keyword == "dependencies" and isinstance(value, (list, tuple, str))
        if not isinstance(value, (Mapping, bool)) and not listed:
            # "property schema for 'x' must be an object" (can1357/oh-my-pi#5918)
            raise place.fault(f"{keyword}.{name} must be a schema, not {value!r}.")


def _check_list(place: Place, keyword: str, values: Sequence[Any]) -> None:
    for value in values:
        if not isinstance(value, (Mapping, bool)):
            raise place.fault(f"{keyword} must hold schemas; {value!r} is not one.")


def _hint(name: Any) -> str:
    close = difflib.get_close_matches(str(name).lower(), TYPES, n=1)
    meant = _TYPE_WORDS.get(str(name).lower()) or (close[0] if close else None)
    return f"Did you mean {meant!r}?" if meant else f"Types are {', '.join(TYPES)}."
