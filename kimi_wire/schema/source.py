"""The schema as it was written: where each part stands, what its references mean, and what its author got wrong."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urljoin

from kimi_wire.errors import KimiRequestError

TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")

# Far above what the dialect takes, far below what Python's recursion takes: everything behind this check may recurse.
MAX_NESTING = 200
MAX_VALUES = 1_000_000

# Keywords that hold one schema, a list of schemas, a map of schemas. `items` may be a schema or (draft 4) a list.
_ONE = (
    *("items", "additionalItems", "unevaluatedItems", "contains", "contentSchema"),
    *("additionalProperties", "unevaluatedProperties", "propertyNames", "not", "if", "then", "else"),
)
_LISTS = ("items", "prefixItems", "allOf", "anyOf", "oneOf")
MAPS = ("properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions")

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

    __slots__ = ("_children", "checked", "node", "parent", "token")

    def __init__(self, node: Any, parent: Place | None, token: str) -> None:
        self.node = node
        self.parent = parent
        self.token = token
        self.checked = False
        self._children: dict[str, Place] = {}

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


class Document:
    """The whole source, for looking up references.

    Args:
        schema: The source, after `check_json`.
        where: What the caller calls it.
    """

    def __init__(self, schema: Mapping[str, Any], where: str) -> None:
        self.root = Place(schema, None, where)
        self._named: dict[str, Place] | None = None

    def resolve(self, place: Place, reference: str) -> Place:
        """The place that a `$ref` written at `place` means.

        JSON pointers count from the nearest `$id`, else from the root. One that leads nowhere from there is tried from
        the schemas around it: tools embed whole schemas, `$defs` and all, in a property of another.

        Raises:
            KimiRequestError: A remote reference, or one to nothing.
        """
        uri, _, fragment = reference.partition("#")
        fragment = unquote(fragment)
        if uri:
            base = self._find(place, uri)
            scopes = [base] if base else []
        else:
            around = list(place.lineage())
            scopes = [_resource(place), *around[1:]]
        if fragment.startswith("/"):
            found = next((target for scope in scopes if (target := _follow(scope, fragment))), None)
        elif fragment:
            found = self._find(place, reference)
        else:
            found = scopes[0] if scopes else None
        if found is None and uri:
            # "only local references are supported", "references must start with #/$defs/" (MoonshotAI/walle)
            raise place.fault(f"$ref {reference!r} leads out of the schema; put what it means into the schema's $defs.")
        if found is None:
            raise place.fault(f"$ref {reference!r} leads to nothing in this schema.")
        if not isinstance(found.node, (Mapping, bool)):
            raise place.fault(f"$ref {reference!r} leads to {found.path}, which is not a schema.")
        return found

    def _find(self, place: Place, reference: str) -> Place | None:
        """The schema with that `$id` or anchor."""
        if self._named is None:
            self._named = _index(self.root)
        return self._named.get(urljoin(_base(place), reference).removesuffix("#")) or self._named.get(reference)


def _identifier(place: Place) -> str | None:
    node = place.node
    if isinstance(node, Mapping):
        for keyword in ("$id", "id"):
            if isinstance(value := node.get(keyword), str) and not value.startswith("#"):
                return value.removesuffix("#")
    return None


def _resource(place: Place) -> Place:
    return next((scope for scope in place.lineage() if scope.parent is None or _identifier(scope) is not None), place)


def _base(place: Place) -> str:
    base = ""
    for scope in reversed(list(place.lineage())):
        base = urljoin(base, _identifier(scope) or "")
    return base


def _follow(place: Place, pointer: str) -> Place | None:
    for escaped in pointer.split("/")[1:]:
        token = escaped.replace("~1", "/").replace("~0", "~")
        node = place.node
        inside = isinstance(node, Mapping) and token in node
        inside = inside or (isinstance(node, (list, tuple)) and token.isdecimal() and int(token) < len(node))
        if not inside:
            return None
        place = place.at(token)
    return place


def _index(root: Place) -> dict[str, Place]:
    """Every schema that has a name of its own, under that name made absolute."""
    named: dict[str, Place] = {}
    todo = [root]
    while todo:
        place = todo.pop()
        node = place.node
        if not isinstance(node, Mapping):
            continue
        base = _base(place)
        if _identifier(place) is not None:
            named.setdefault(base, place)
        anchors = [node.get(keyword) for keyword in ("$anchor", "$dynamicAnchor")]
        anchors += [value[1:] for key in ("$id", "id") if isinstance(value := node.get(key), str) and value[:1] == "#"]
        for anchor in anchors:
            if isinstance(anchor, str):
                named.setdefault(f"{base}#{anchor}", place)
        todo += subschemas(place)
    return named


def subschemas(place: Place) -> list[Place]:
    """The schemas directly in a schema, whatever they are for."""
    node = place.node
    found = [place.at(key) for key in _ONE if isinstance(node.get(key), (Mapping, bool))]
    for key in _LISTS:
        if isinstance(values := node.get(key), (list, tuple)):
            found += [place.at(key, index) for index in range(len(values))]
    for key in MAPS:
        if isinstance(values := node.get(key), Mapping):
            found += [place.at(key, name) for name in values]
    return found


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
        kinds, said = _SHAPES.get(keyword, (None, ""))
        if kinds is None:
            continue
        if value is None and keyword in _NOT_NULL:
            raise place.fault(f"{keyword} must not be null.")
        if value is not None and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            raise place.fault(f"{keyword} must be {said}, not {value!r}.")
        if keyword in _NOT_EMPTY and value is not None and not value:
            raise place.fault(f"{keyword} must not be empty.")
        if keyword in MAPS and isinstance(value, Mapping):
            _check_map(place, keyword, value)
        elif keyword in _LISTS and isinstance(value, (list, tuple)):
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


def types_written(node: Mapping[str, Any]) -> list[Any]:
    """The value of `type` as a list; empty where there is none."""
    written = node.get("type")
    if written is None:
        return []
    return list(written) if isinstance(written, (list, tuple)) else [written]


def _hint(name: Any) -> str:
    close = difflib.get_close_matches(str(name).lower(), TYPES, n=1)
    meant = _TYPE_WORDS.get(str(name).lower()) or (close[0] if close else None)
    return f"Did you mean {meant!r}?" if meant else f"Types are {', '.join(TYPES)}."


# The server names these itself: "type must be string or array of strings", "$ref must be a string" (MoonshotAI/walle).
_NOT_NULL = ("type", "$ref", "additionalProperties")
_NOT_EMPTY = ("type", "enum", "anyOf", "oneOf")

_STRING, _LIST, _MAP, _SCHEMA = ((str,), (list, tuple), (Mapping,), (Mapping, bool))
_SHAPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(("$ref", "$dynamicRef", "$recursiveRef", "description"), (_STRING, "a string")),
    **dict.fromkeys(("enum", "required", "anyOf", "oneOf", "allOf", "prefixItems"), (_LIST, "a list")),
    **dict.fromkeys(MAPS, (_MAP, "an object")),
    **dict.fromkeys(("additionalProperties", "not", "if", "then", "else", "contains"), (_SCHEMA, "a schema")),
    **dict.fromkeys(("minimum", "maximum", "multipleOf"), ((int, float), "a number")),
    **dict.fromkeys(("minLength", "maxLength", "minItems", "maxItems"), ((int, float), "a number")),
    **dict.fromkeys(("exclusiveMinimum", "exclusiveMaximum"), ((int, float, bool), "a number")),
    "type": ((str, list, tuple), "a string or a list of strings"),
    "items": ((Mapping, bool, list, tuple), "a schema"),
}
