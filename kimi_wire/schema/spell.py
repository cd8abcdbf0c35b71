"""The dialect's keywords for a form, and unions that are written no longer than they have to be."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from kimi_wire.schema.kinds import SCALARS, Array, Either, Form, Kind, Number, Object, Text
from kimi_wire.schema.meet import Meet
from kimi_wire.schema.words import join

JSON = dict[str, Any]


def spell(form: Form) -> JSON:
    """A form in the dialect's keywords, with the `Meet` of a schema wherever another belongs."""
    body = _spell_either(form.alternatives)
    if isinstance(body, Meet):
        body = {"anyOf": [body]}
    body |= _given(default=form.default, description=form.description)
    order = {keyword: index for index, keyword in enumerate(form.order)}
    return dict(sorted(body.items(), key=lambda item: order.get(item[0], len(order))))


def _spell_either(alternatives: Either) -> JSON | Meet:
    """The alternatives as one schema; types without anything else make a list."""
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


def with_description(body: JSON, description: str | None) -> JSON:
    """A schema with another description, if there is one."""
    return {**body, "description": description} if description else body


def join_branches(branches: Iterable[JSON]) -> list[JSON]:
    """The branches of a union, each once, those of unions inside it among them, and plain enums of a type as one."""
    found: dict[str, JSON] = {}
    for branch in branches:
        for inner in branch["anyOf"] if [*branch] == ["anyOf"] else [branch]:
            if inner.keys() == {"type", "enum"}:
                known = found.setdefault(f"enum of {inner['type']}", {**inner, "enum": []})
                known["enum"] += [value for value in inner["enum"] if value not in known["enum"]]
            else:
                found.setdefault(json.dumps(inner, sort_keys=True), inner)
    if len(found.get("enum of boolean", {}).get("enum", ())) == 2:  # true or false is any boolean
        found["enum of boolean"] = found.pop('{"type": "boolean"}', {"type": "boolean"})
    return list(found.values())


def unwrap(body: JSON) -> JSON:
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
    return with_description(branch, outside or inside)


def without_branch(body: JSON, branch: JSON) -> JSON:
    """A union without a branch of it, unless that is all there is."""
    others = [other for other in body.get("anyOf", ()) if other != branch]
    return unwrap({**body, "anyOf": others}) if others else body
