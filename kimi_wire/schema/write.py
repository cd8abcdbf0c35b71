"""The result written down: which schemas get a name, what has to be left to words, and the limits of the dialect."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kimi_wire.schema.lower import Link, Node
from kimi_wire.schema.source import Document, Place
from kimi_wire.schema.words import ANYTHING, dump, join, say_position

JSON = dict[str, Any]

# "property name '$ref' is reserved for JSON Schema keywords", "property name cannot be empty" (MoonshotAI/walle)
RESERVED = ("", "$defs", "$ref", "anyOf", "required", "additionalProperties")

MAX_LEVELS = 100  # of schemas written into each other; the dialect's own limit counts properties only
_SMALL = 200  # characters; what is no longer than this is repeated rather than named


class Writer:
    """Writes the graph down.

    Args:
        document: The source.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._names: dict[Node, str] = {}
        self._nodes: dict[str, Node] = {}
        self._inside_definition = False

    def write(self, root: JSON) -> JSON:
        """The whole schema, with `$defs` for what is named.

        Raises:
            KimiRequestError: It is nested too deep.
        """
        definitions = self._document.root.node.get("$defs") or {}
        nodes = list(_reach(root))
        at_root = {_clean(name) for name in definitions}
        for node in sorted(nodes, key=lambda node: not self._is_root_definition(node.named)):
            if node.named is not None or (node.uses > 1 and not _is_small(node)):
                self._name(node, node.named or node.items[0][0], at_root)
        written = self._write(root, 0, self._document.root)
        self._inside_definition = True
        found: dict[str, JSON] = {}
        todo = list(_references(written))
        while todo:
            name = todo.pop(0).removeprefix("#/$defs/")
            if name in self._nodes and name not in found:
                found[name] = self._write(self._nodes[name].body, 0, _place(self._nodes[name]))
                todo += _references(found[name])
        if found:
            first = [_clean(name) for name in definitions if _clean(name) in found]
            written["$defs"] = {name: found[name] for name in dict.fromkeys([*first, *found])}
        return written

    def _is_root_definition(self, place: Place | None) -> bool:
        bucket = place.parent if place else None
        return bucket is not None and bucket.token == "$defs" and bucket.parent is self._document.root

    def _name(self, node: Node, place: Place, at_root: set[str]) -> None:
        """A name of its own: "$defs property name '%s' cannot contain '/' character" (MoonshotAI/walle)."""
        base = name = _clean(place.name)
        blocked = set() if self._is_root_definition(node.named) else at_root
        number = 2
        while name in self._nodes or name in blocked:
            name, number = f"{base}_{number}", number + 1
        self._nodes[name] = node
        self._names[node] = name

    def _write(self, body: Any, level: int, place: Place | None) -> JSON:
        if level > MAX_LEVELS:
            raise (place or self._document.root).fault(f"schemas are nested more than {MAX_LEVELS} deep.")
        if isinstance(body, Link):
            return self._write_link(body, level, place)
        written: JSON = {}
        for keyword, value in body.items():
            if keyword == "properties":
                written[keyword] = {name: self._write(inner, level + 1, place) for name, inner in value.items()}
            elif keyword in ("items", "additionalProperties") and not isinstance(value, bool):
                written[keyword] = self._write(value, level + 1, place)
            elif keyword == "anyOf":
                written[keyword] = _join_branches(self._write(branch, level + 1, place) for branch in value)
            else:
                written[keyword] = list(value) if isinstance(value, list) else value
        return _loosen(_unwrap(self._say_unspeakable(written)))

    def _write_link(self, link: Link, level: int, place: Place | None) -> JSON:
        node = link.node
        if node is not None and node not in self._names:
            return self._write(node.body, level, _place(node) or place)
        reference = {"$ref": "#" if node is None else f"#/$defs/{self._names[node]}"}
        # "conflicting keywords found after $ref expansion: description" (MoonshotAI/kimi-cli#1903): nothing stands
        # beside a $ref, and a union of one says the same.
        if link.nullable:
            return _with_description({"anyOf": [reference, {"type": "null"}]}, link.description)
        return _with_description({"anyOf": [reference]}, link.description) if link.description else reference

    def _say_unspeakable(self, body: JSON) -> JSON:
        """Take out properties with names that the dialect refuses; they stay allowed, and the description names them.

        Inside `$defs` no name may have a slash, and the validator loses its way at names with braces: "$defs property
        name 'a/b' cannot contain '/' character", "invalid path" (MoonshotAI/walle).
        """
        properties = body.get("properties", {})
        names = [name for name in properties if self._is_unspeakable(name)]
        if not names:
            return body
        required = body.get("required", [])
        said = []
        for name in names:
            meaning = properties[name]
            target = self._nodes.get(meaning.get("$ref", "").removeprefix("#/$defs/"))
            if target is not None and (place := _place(target)) is not None:
                meaning = place.node
            verb = "Requires" if name in required else "Can have"
            said.append(f"{verb} the property {dump(name)}: {say_position(meaning)}".removesuffix("."))
        body = {**body, "properties": {key: value for key, value in properties.items() if key not in names}}
        body["required"] = [name for name in required if name not in names]
        if not body["required"]:
            del body["required"]
        others = body.get("additionalProperties", True)
        if others is not True:
            known = [] if others is False else [others]
            body["additionalProperties"] = _unwrap({"anyOf": _join_branches([*known, *map(properties.get, names)])})
        return _with_description(body, join(body.get("description"), said))

    def _is_unspeakable(self, name: str) -> bool:
        return name in RESERVED or ("{" in name and "}" in name) or (self._inside_definition and "/" in name)


def _reach(root: Any) -> Iterator[Node]:
    """All schemas of the graph, each once, in the order of the source."""
    seen: dict[Node, None] = {}
    todo = [root]
    while todo:
        value = todo.pop()
        if isinstance(value, Link):
            if value.node is not None and value.node not in seen:
                seen[value.node] = None
                yield value.node
                todo.append(value.node.body)
        elif isinstance(value, dict):
            todo += reversed(list(value.values()))
        elif isinstance(value, list):
            todo += reversed(value)


def _place(node: Node) -> Place | None:
    return node.items[0][0] if node.items else None


def _references(written: Any) -> Iterator[str]:
    """Where all references in a part of the result lead; no property there is called `$ref`."""
    todo = [written]
    while todo:
        value = todo.pop()
        if isinstance(value, dict):
            if isinstance(reference := value.get("$ref"), str):
                yield reference
            todo += reversed(list(value.values()))
        elif isinstance(value, list):
            todo += reversed(value)


def _is_small(node: Node) -> bool:
    """Whether a schema is short enough to be written again wherever it belongs."""
    size = 0
    todo: list[Any] = [node.body]
    while todo and size <= _SMALL:
        value = todo.pop()
        size += 4
        if isinstance(value, Link):
            size += len(value.description or "")
            if value.node is not None and value.node.named is None:
                todo.append(value.node.body)
        elif isinstance(value, dict):
            size += sum(map(len, value))
            todo += value.values()
        elif isinstance(value, list):
            todo += value
        else:
            size += len(str(value))
    return size <= _SMALL


def _clean(name: str) -> str:
    return "".join("_" if char in "/~%#{}\\\"'" or char.isspace() else char for char in name) or "schema"


def _with_description(body: JSON, description: str | None) -> JSON:
    return {**body, "description": description} if description else body


def _join_branches(branches: Iterable[JSON]) -> list[JSON]:
    """The branches of a union, each once, those of unions inside it among them, and plain enums of a type as one."""
    found: dict[str, JSON] = {}
    for branch in branches:
        for inner in branch["anyOf"] if [*branch] == ["anyOf"] else [branch]:
            if inner.keys() == {"type", "enum"}:
                known = found.setdefault(f"enum of {inner['type']}", {**inner, "enum": []})
                known["enum"] += [value for value in inner["enum"] if value not in known["enum"]]
            else:
                found.setdefault(json.dumps(inner, sort_keys=True), inner)
    return list(found.values())


def _unwrap(body: JSON) -> JSON:
    """A union of one is that one; only a description beside a reference has to stay outside of it."""
    branches = body.get("anyOf", ())
    if len(branches) != 1:
        return body
    (branch,) = branches
    outside, inside = body.get("description"), branch.get("description")
    if "$ref" in branch and outside:
        return {"anyOf": [branch], "description": outside}
    if outside and inside and inside not in outside:
        return {**branch, "description": join(outside, [inside.removesuffix(".")])}
    return _with_description(branch, outside or inside)


def is_settled(written: JSON) -> bool:
    """Whether nothing more is to be had by normalising the result again.

    A union that lost branches can leave a definition that only refers to another, or one that has itself as a branch.
    """
    for name, body in written.get("$defs", {}).items():
        branches = body.get("anyOf", ())
        if "$ref" in body or (len(branches) == 1 and "$ref" in branches[0]) or {"$ref": f"#/$defs/{name}"} in branches:
            return False
    return True


def _loosen(body: JSON) -> JSON:
    """Items and other properties that may be anything are that without a schema."""
    if body.get("additionalProperties") == {"anyOf": [*ANYTHING]}:
        body = {**body, "additionalProperties": True}
    if body.get("items") == {"anyOf": [*ANYTHING]}:
        body = {keyword: value for keyword, value in body.items() if keyword != "items"}
    return body


def in_order(written: JSON, source: Mapping[str, Any]) -> JSON:
    """The keywords of the root in the order of the source; new ones come last."""
    return {key: written[key] for key in [*(key for key in source if key in written), *written]}
