"""What a reference means: JSON pointers, `$id`, anchors, and chains of references that lead to each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urljoin

from kimi_wire.json_values import pointer_steps
from kimi_wire.schema.keywords import KEYWORDS, REFERENCES
from kimi_wire.schema.source import Place, check_node

_METASCHEMA = re.compile(r"https?://json-schema\.org/(?:draft[-/][\w-]+/)?schema#?")
"""The schema of schemas, of any draft."""


class Document:
    """The whole source, for looking up references.

    Args:
        schema: The source, after `check_json`.
        where: What the caller calls it.
    """

    def __init__(self, schema: Mapping[str, Any], where: str) -> None:
        self.root = Place(schema, None, where)
        self._named: dict[str, Place] | None = None
        self._remote: dict[str, Place] = {}

    def follow(self, place: Place) -> Place:
        """The place that a reference leads to in the end.

        Raises:
            KimiRequestError: The reference leads nowhere, out of the schema, or in a circle.
        """
        passed: dict[Place, None] = {}
        described: Place | None = None
        while isinstance(place.node, Mapping):
            asked = place.asks
            reference = next((place.node[key] for key in REFERENCES if key in asked), None)
            if reference is None or (passed and len(asked) > 1):
                break
            if passed and place.node.get("description"):
                described = described or place
            if place in passed:
                way = " -> ".join(str(step.node.get("$ref")) for step in passed)
                raise place.fault(f"$ref leads in a circle with nothing in it: {way}.")
            passed[place] = None
            check_node(place)
            place = self._resolve(place, reference)
        return described or place

    def meant(self, place: Place) -> Place:
        """The schema at a place, or the one meant by it where it only refers to another."""
        return self.follow(place) if place.asks == {"$ref"} else place

    def _resolve(self, place: Place, reference: str) -> Place:
        """The place that a `$ref` written at `place` means.

        JSON pointers count from the nearest `$id`, else from the root. One that leads nowhere from there is tried from
        the schemas around it: tools embed whole schemas, `$defs` and all, in a property of another.

        Raises:
            KimiRequestError: It leads to nothing, or the whole schema lies elsewhere.
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
        if found is None and uri and place.asks == {"$ref"} and place.parent is None:
            raise place.fault(f"$ref {reference!r} leads out of the schema, and is all of it; put in what it means.")
        if found is None and uri:
            return self._outside(reference)
        if found is None:
            raise place.fault(f"$ref {reference!r} leads to nothing in this schema.")
        if not isinstance(found.node, (Mapping, bool)):
            raise place.fault(f"$ref {reference!r} leads to {found.path}, which is not a schema.")
        return found

    def _outside(self, reference: str) -> Place:
        """What is meant by a reference out of the schema: a JSON Schema where that is known, otherwise anything.

        "only local references are supported", "references must start with #/$defs/" (MoonshotAI/walle).
        """
        if reference not in self._remote:
            node: Any = {"description": f"By the schema {reference}"}
            if _METASCHEMA.fullmatch(reference):
                node = {"type": ["object", "boolean"], "description": f"A JSON Schema, by {reference}"}
            name = re.split("[/#]", reference.rstrip("/#"))[-1]
            self._remote[reference] = Place(node, self.root, name)
        return self._remote[reference]

    def _find(self, place: Place, reference: str) -> Place | None:
        """The schema with that `$id` or anchor."""
        if self._named is None:
            self._named = _index(self.root)
        return self._named.get(urljoin(_base(place), reference).removesuffix("#")) or self._named.get(reference)


def identifier(node: Any) -> str | None:
    """The address that a schema gives itself, from which references in it count."""
    if isinstance(node, Mapping):
        for keyword in ("$id", "id"):
            if isinstance(value := node.get(keyword), str) and not value.startswith("#"):
                return value.removesuffix("#")
    return None


def _resource(place: Place) -> Place:
    return next(
        (scope for scope in place.lineage() if scope.parent is None or identifier(scope.node) is not None), place
    )


def _base(place: Place) -> str:
    base = ""
    for scope in reversed(list(place.lineage())):
        base = urljoin(base, identifier(scope.node) or "")
    return base


def _follow(place: Place, pointer: str) -> Place | None:
    for token in pointer_steps(pointer):
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
        if identifier(place.node) is not None:
            named.setdefault(base, place)
        anchors = [node.get(keyword) for keyword in ("$anchor", "$dynamicAnchor")]
        anchors += [value[1:] for key in ("$id", "id") if isinstance(value := node.get(key), str) and value[:1] == "#"]
        for anchor in anchors:
            if isinstance(anchor, str):
                named.setdefault(f"{base}#{anchor}", place)
        todo += _subschemas(place)
    return named


def _subschemas(place: Place) -> Iterator[Place]:
    """The schemas directly in a schema, whatever they are for."""
    for keyword, value in place.node.items():
        holds = KEYWORDS[keyword].holds if keyword in KEYWORDS else ""
        if holds == "map" and isinstance(value, Mapping):
            yield from (place.at(keyword, name) for name in value)
        elif "list" in holds and isinstance(value, (list, tuple)):
            yield from (place.at(keyword, index) for index in range(len(value)))
        elif "one" in holds and isinstance(value, Mapping):
            yield place.at(keyword)
