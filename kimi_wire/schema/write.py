"""The result written down: the forms in the dialect's keywords, which of them get a name, what is left to words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kimi_wire.schema.graph import Graph, Node
from kimi_wire.schema.kinds import SCALARS, Array, Either, Form, Kind, Number, Object, Text
from kimi_wire.schema.meet import Meet
from kimi_wire.schema.source import Place
from kimi_wire.schema.words import ANYTHING, dump, join, say_position

JSON = dict[str, Any]

# "property name '$ref' is reserved for JSON Schema keywords", "property name cannot be empty" (MoonshotAI/walle)
RESERVED = ("", "$defs", "$ref", "anyOf", "required", "additionalProperties")

MAX_LEVELS = 100  # of schemas written into each other; the dialect's own limit counts properties only
_SMALL = 200  # characters; what is no longer than this is repeated rather than named


def _spell(form: Form) -> JSON:
    """A form in the dialect's keywords, with the `Meet` of a schema wherever another belongs."""
    body = _spell_either(form.alternatives)
    if not isinstance(body, dict) or (len(form.alternatives) == 1 and isinstance(form.alternatives[0], Meet)):
        body = {"anyOf": [body]}
    body |= _given(default=form.default, description=form.description)
    order = {keyword: index for index, keyword in enumerate(form.order)}
    return dict(sorted(body.items(), key=lambda item: order.get(item[0], len(order))))


def _spell_either(alternatives: Either) -> JSON | Meet:
    bodies = [one if isinstance(one, Meet) else _spell_kind(one) for one in alternatives]
    if len(bodies) == 1:
        return bodies[0]
    if all(isinstance(body, dict) and [*body] == ["type"] and body["type"] in SCALARS for body in bodies):
        return {"type": [body["type"] for body in bodies if isinstance(body, dict)]}
    return {"anyOf": bodies}


def _spell_kind(kind: Kind) -> JSON:
    body: JSON = {"type": kind.type}
    if isinstance(kind, Array):
        items = None if kind.items is None else _spell_either(kind.items)
        return body | _given(items=items, minItems=kind.least, maxItems=kind.most)
    if isinstance(kind, Object):
        properties = kind.properties
        return body | _given(
            properties=None if properties is None else {key: _spell_either(one) for key, one in properties.items()},
            required=kind.required,
            additionalProperties=_spell_either(kind.others) if isinstance(kind.others, tuple) else kind.others,
        )
    body |= _given(enum=kind.values)
    if isinstance(kind, Text):
        return body | _given(minLength=kind.least, maxLength=kind.most)
    return body | _given(minimum=kind.low, maximum=kind.high) if isinstance(kind, Number) else body


def _given(**keywords: Any) -> JSON:
    return {keyword: value for keyword, value in keywords.items() if value is not None}


class Writer:
    """Writes the graph down.

    Args:
        graph: All forms.
        root: The root of the source.
    """

    def __init__(self, graph: Graph, root: Place) -> None:
        self._graph = graph
        self._root = root
        self._bodies = {node: _spell(node.form) for node in graph.nodes}
        self._names: dict[Node, str] = {}
        self._nodes: dict[str, Node] = {}
        self._inside_definition = False

    def write(self) -> JSON:
        """The whole schema, with `$defs` for what is named.

        Raises:
            KimiRequestError: It is nested too deep.
        """
        at_root = dict.fromkeys(map(_clean, self._root.node.get("$defs") or {}))
        for node in sorted(self._graph.nodes, key=lambda node: not self._is_root_definition(node.named)):
            place = node.named or node.place
            if place is not None and (node.named or (node.uses > 1 and not self._is_small(node))):
                self._name(node, place, {} if self._is_root_definition(node.named) else at_root)
        written = self._write(_spell(self._graph.root), 0, self._root)
        self._inside_definition = True
        found: dict[str, JSON] = {}
        todo = list(_references(written))
        while todo:
            name = todo.pop(0).removeprefix("#/$defs/")
            if name in self._nodes and name not in found:
                node = self._nodes[name]
                found[name] = _without(f"#/$defs/{name}", self._write(self._bodies[node], 0, node.place))
                todo += _references(found[name])
        if found:
            written["$defs"] = {name: found[name] for name in [*at_root, *found] if name in found}
        return written

    def _is_root_definition(self, place: Place | None) -> bool:
        bucket = place.parent if place else None
        return bucket is not None and bucket.token == "$defs" and bucket.parent is self._root

    def _name(self, node: Node, place: Place, blocked: Iterable[str]) -> None:
        """A name of its own: "$defs property name '%s' cannot contain '/' character" (MoonshotAI/walle)."""
        base = name = _clean(place.name)
        number = 2
        while name in self._nodes or name in blocked:
            name, number = f"{base}_{number}", number + 1
        self._nodes[name] = node
        self._names[node] = name

    def _is_small(self, node: Node) -> bool:
        """Whether a schema is short enough to be written again wherever it belongs."""
        size = 0
        todo: list[Any] = [self._bodies[node]]
        while todo and size <= _SMALL:
            value = todo.pop()
            size += 4
            if isinstance(value, Meet):
                link = self._graph.link(value)
                size += len(link.description or "")
                if link.node is not None and link.node.named is None:
                    todo.append(self._bodies[link.node])
            elif isinstance(value, dict):
                size += sum(map(len, value))
                todo += value.values()
            elif isinstance(value, (list, tuple)):
                todo += value
            else:
                size += len(str(value))
        return size <= _SMALL

    def _write(self, body: Any, level: int, place: Place | None) -> JSON:
        if level > MAX_LEVELS:
            raise (place or self._root).fault(f"schemas are nested more than {MAX_LEVELS} deep.")
        if isinstance(body, Meet):
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
                written[keyword] = list(value) if isinstance(value, (list, tuple)) else value
        return self._loosen(_unwrap(self._say_unspeakable(written)))

    def _write_link(self, meet: Meet, level: int, place: Place | None) -> JSON:
        link = self._graph.link(meet)
        node = link.node
        if node is not None and node not in self._names:
            return self._write(self._bodies[node], level, node.place or place)
        reference = {"$ref": "#" if node is None else f"#/$defs/{self._names[node]}"}
        # "conflicting keywords found after $ref expansion: description" (MoonshotAI/kimi-cli#1903): nothing stands
        # beside a $ref, and a union of one says the same.
        if link.nullable:
            return _with_description({"anyOf": [reference, {"type": "null"}]}, link.description)
        return _with_description({"anyOf": [reference]}, link.description) if link.description else reference

    def _loosen(self, body: JSON) -> JSON:
        """Items and other properties that may be anything are that without a schema."""
        if self._is_anything(body.get("additionalProperties")):
            body = {**body, "additionalProperties": True}
        if self._is_anything(body.get("items")):
            body = {keyword: value for keyword, value in body.items() if keyword != "items"}
        return body

    def _is_anything(self, written: Any) -> bool:
        anything = {"anyOf": [*ANYTHING]}
        if isinstance(written, dict) and (node := self._target(written)) is not None:
            return self._bodies[node] == anything
        return bool(written == anything)

    def _target(self, written: Mapping[str, Any]) -> Node | None:
        return self._nodes.get(written.get("$ref", "").removeprefix("#/$defs/"))

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
            if (target := self._target(meaning)) is not None and target.place is not None:
                meaning = target.place.node
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


def _without(reference: str, body: JSON) -> JSON:
    """A definition without a branch that is the definition itself."""
    branches = body.get("anyOf", ())
    if {"$ref": reference} not in branches or len(branches) == 1:
        return body
    return _unwrap({**body, "anyOf": [branch for branch in branches if branch != {"$ref": reference}]})


def in_order(written: JSON, source: Mapping[str, Any]) -> JSON:
    """The keywords of the root in the order of the source; new ones come last."""
    return {key: written[key] for key in [*(key for key in source if key in written), *written]}
