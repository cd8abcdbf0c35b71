"""Unions in the form that the validator takes: nothing said both of one and of its branch, and nothing too long.

Deliberately absent: anything that changes what a schema accepts. Only lists of values that are too long even for
several enums are left to words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from kimi_wire.schema.limits import MAX_BRANCHES, MAX_LENGTH, MAX_VALUES, map_inner
from kimi_wire.schema.spell import join_branches, unwrap, with_description, without_branch
from kimi_wire.schema.words import dump, join, say_values

JSON = dict[str, Any]

_NULL: JSON = {"type": "null"}
_SHOWN = 5  # values of a list that is left to words


def fit_unions(schema: JSON) -> JSON:
    """A result with its unions and enums in a form that the validator takes; most come back as they are.

    Args:
        schema: The result, in which no union is a branch of another one unless it has a description.
    """
    fitted = _fit(schema)
    for name, body in fitted.get("$defs", {}).items():
        itself = {"$ref": f"#/$defs/{name}"}
        if itself in body.get("anyOf", ()):  # what a branch comes down to without its description
            fitted["$defs"][name] = without_branch(body, itself)
    return fitted


def _fit(schema: JSON) -> JSON:
    if "anyOf" in schema and "description" in schema:
        schema = _speak_once(schema)
    schema = map_inner(schema, _fit)
    if len(schema.get("anyOf", ())) > MAX_BRANCHES:
        parts = _parts(schema["anyOf"], MAX_BRANCHES)
        return {**schema, "anyOf": [{"anyOf": part} if len(part) > 1 else part[0] for part in parts]}
    if len(schema.get("enum", ())) > MAX_VALUES or _length(schema.get("enum", ())) > MAX_LENGTH:
        return _split_enum(schema)
    return schema


def _speak_once(union: JSON) -> JSON:
    """A union with a description whose branches have none.

    "conflicting keywords found in anyOf with parent: keywords (description) are defined on the parent schema and inside
    anyOf; remove them from the parent or from anyOf branches" (MoonshotAI/walle at its strictest level). What is said
    of the one branch beside null is said of the union; otherwise a union of one, with the description, is put around.
    """
    branches = union["anyOf"]
    while any("description" in branch for branch in branches):
        others = [branch for branch in branches if branch != _NULL]
        if len(others) > 1 or len(branches) == 1 or len(branches) - len(others) > 1:
            return {**union, "anyOf": [{"anyOf": branches}]}
        (said,) = others
        bare = {keyword: value for keyword, value in said.items() if keyword != "description"}
        branches = join_branches(bare if branch is said else branch for branch in branches)
        inside = said["description"].removesuffix(".")
        if inside not in union["description"]:
            union = with_description(union, join(union["description"], [inside]))
    return unwrap({**union, "anyOf": branches})


def _split_enum(schema: JSON) -> JSON:
    """An enum of too many values as a union of several, or in words where no several would do."""
    values = schema["enum"]
    rest = {keyword: value for keyword, value in schema.items() if keyword not in ("enum", "description", "default")}
    said = [f"Default: {dump(schema['default'])}"] if "default" in schema else []
    if _length(values) > MAX_LENGTH:
        said.append(f"One of {len(values):,} values such as {say_values(values[:_SHOWN])}")
        return with_description(rest, join(schema.get("description"), said))
    branches = [{**rest, "enum": part} for part in _parts(values, MAX_VALUES)]
    return with_description({"anyOf": branches}, join(schema.get("description"), said))


def _parts(values: Sequence[Any], size: int) -> Iterator[list[Any]]:
    return (list(values[start : start + size]) for start in range(0, len(values), size))


def _length(values: Sequence[Any]) -> int:
    """What the validator counts of an enum: the bytes of its texts and numbers."""
    return sum(
        len((value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "replace")) for value in values
    )
