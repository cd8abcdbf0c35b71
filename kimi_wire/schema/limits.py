"""What Moonshot's validator measures of a schema as a whole: size, depth, counts, and whether recursion ever ends.

Limits: the defaults of `conf.go` and section 2 of docs/validation-principles.md in MoonshotAI/walle.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from kimi_wire.errors import KimiRequestError

JSON = dict[str, Any]

MAX_SIZE = 120_000
MAX_DEPTH = 30
MAX_PROPERTIES = 3_000
MAX_VALUES = 1_000
MAX_LENGTH = 75_000  # of the values of one enum
MAX_BRANCHES = 500

Ends = Callable[[JSON], bool]


def check_limits(schema: JSON, where: str) -> None:
    """Refuse what the server refuses as too much.

    Args:
        schema: The result.
        where: What the caller calls it.

    Raises:
        KimiRequestError: With the limit, and the path where there is one.
    """
    size = _size(schema)
    if size > MAX_SIZE:  # "At path 'root': schema exceeds maximum allowed size" (MoonshotAI/kimi-code#965)
        raise KimiRequestError(f"{where}: the schema is {size:,} bytes long; Kimi takes at most {MAX_SIZE:,}.")
    properties = 0
    for path, inner in _walk(schema, where):
        properties += len(inner.get("properties", ()))
        for keyword, limit, what in (("enum", MAX_VALUES, "values"), ("anyOf", MAX_BRANCHES, "alternatives")):
            if (count := len(inner.get(keyword, ()))) > limit:
                raise KimiRequestError(f"{path}: {keyword} has {count:,} {what}; Kimi takes at most {limit:,}.")
    if properties > MAX_PROPERTIES:
        raise KimiRequestError(
            f"{where}: the schema has {properties:,} properties in all; Kimi takes at most {MAX_PROPERTIES:,}."
        )
    depth, path = _depth(schema, where)
    if depth > MAX_DEPTH:
        raise KimiRequestError(f"{path}: properties are nested {depth} deep; Kimi takes at most {MAX_DEPTH} levels.")


def _size(schema: JSON) -> int:
    """Its length as Go writes it, which escapes three characters that Python leaves alone."""
    text = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return len(text.encode("utf-8", "replace")) + 5 * sum(map(text.count, "<>&"))


def _inner(schema: JSON) -> Iterator[tuple[str, JSON]]:
    """The schemas in a schema, with the way to each; definitions are not among them."""
    for keyword, value in schema.items():
        if keyword == "properties":
            for name, one in value.items():
                yield f".properties.{name}", one
        elif keyword == "anyOf":
            for index, one in enumerate(value):
                yield f".anyOf.{index}", one
        elif keyword in ("items", "additionalProperties") and isinstance(value, dict):
            yield f".{keyword}", value


def map_inner(schema: JSON, change: Callable[[JSON], JSON]) -> JSON:
    """A copy of a schema, with the schemas in it changed; definitions are among them."""
    changed = dict(schema)
    for keyword, value in schema.items():
        if keyword in ("properties", "$defs"):
            changed[keyword] = {name: change(one) for name, one in value.items()}
        elif keyword == "anyOf":
            changed[keyword] = [change(one) for one in value]
        elif keyword in ("items", "additionalProperties") and isinstance(value, dict):
            changed[keyword] = change(value)
    return changed


def _walk(schema: JSON, where: str) -> Iterator[tuple[str, JSON]]:
    todo = [(where, schema), *((f"{where}.$defs.{name}", value) for name, value in schema.get("$defs", {}).items())]
    while todo:
        path, inner = todo.pop()
        yield path, inner
        todo += [(path + step, value) for step, value in _inner(inner)]


def _depth(schema: JSON, where: str) -> tuple[int, str]:
    """How many properties lie inside each other, through references, and the way to the innermost.

    A reference back to what it lies in counts nothing.
    """
    bodies = _bodies(schema)
    known: dict[str, tuple[int, str]] = {}
    entered: set[str] = set()
    todo = ["#"]
    while todo:
        name = todo[-1]
        body = bodies[name]
        if name not in entered:
            entered.add(name)
            todo += [target for target in references(body) if target not in entered]
            continue
        todo.pop()
        if name not in known:
            known[name] = _deepest(body, known)
    depth, path = known["#"]
    return depth, where + (path if len(path) <= 300 else f"{path[:200]}...{path[-80:]}")


def references(schema: JSON) -> Iterator[str]:
    """Where the references in a part of the result lead, definitions aside."""
    todo = [schema]
    while todo:
        inner = todo.pop()
        if "$ref" in inner:
            yield inner["$ref"]
        else:
            todo += [value for _, value in _inner(inner)][::-1]


def _bodies(schema: JSON) -> dict[str, JSON]:
    """The root and the definitions, by what refers to them."""
    return {"#": schema, **{f"#/$defs/{name}": value for name, value in schema.get("$defs", {}).items()}}


def _deepest(schema: JSON, known: dict[str, tuple[int, str]]) -> tuple[int, str]:
    if "$ref" in schema:
        return known.get(schema["$ref"], (0, ""))
    found = (0, "")
    for step, value in _inner(schema):
        depth, path = _deepest(value, known)
        depth += step.startswith(".properties.")
        if depth > found[0]:
            found = (depth, step + path)
    return found


def make_finite(schema: JSON, where: str) -> JSON:
    """Make sure that the validator sees that recursion ends; most schemas come back as they are.

    "detected infinite recursion without termination condition": by Moonshot's cases a required list of the schema
    itself is refused for that, unless something else is required beside it, though an empty list ends it. Said twice,
    as an empty list or a list, it is taken.

    Raises:
        KimiRequestError: It really does not end: no finite JSON could satisfy it.
    """
    if not any("$ref" in inner for _, inner in _walk(schema, where)):
        return schema
    if not _ends(schema, _ends_in_fact)(schema):
        endless = [path for path, inner in _walk(schema, where) if "$ref" in inner]
        raise KimiRequestError(
            f"{endless[-1] if endless else where}: infinite recursion: what is required there requires itself again, "
            "so that no answer could ever be complete. Make it optional, or allow null."
        )
    ends = _ends(schema, _ends_for_validator)
    if ends(schema):
        return schema
    return _split_lists(schema, ends)


def _ends(schema: JSON, rule: Callable[[JSON, Ends], bool]) -> Ends:
    """Whether a schema inside the whole can be satisfied by something finite, by a rule for one step."""
    bodies = _bodies(schema)
    known: set[str] = set()

    def ends(inner: JSON) -> bool:
        if "$ref" in inner:
            return inner["$ref"] in known
        if "anyOf" in inner:
            return any(map(ends, inner["anyOf"]))
        return rule(inner, ends)

    users: dict[str, list[str]] = {}
    for name, body in bodies.items():
        for target in references(body):
            users.setdefault(target, []).append(name)
    todo = list(bodies)
    while todo:
        name = todo.pop()
        if name not in known and ends(bodies[name]):
            known.add(name)
            todo += users.get(name, ())
    return ends


def _ends_in_fact(schema: JSON, ends: Ends) -> bool:
    if schema.get("type") == "array" and schema.get("minItems", 0) > 0 and "items" in schema:
        return ends(schema["items"])
    return all(ends(schema["properties"][name]) for name in schema.get("required", ()))


def _ends_for_validator(schema: JSON, ends: Ends) -> bool:
    if schema.get("type") == "array" and "items" in schema:
        return ends(schema["items"])
    return not schema.get("required") or any(ends(schema["properties"][name]) for name in schema["required"])


def _split_lists(schema: JSON, ends: Ends) -> JSON:
    split = map_inner(schema, lambda inner: _split_lists(inner, ends))
    if "anyOf" in split:
        split["anyOf"] = [
            inner for branch in split["anyOf"] for inner in (branch["anyOf"] if [*branch] == ["anyOf"] else [branch])
        ]
    if schema.get("type") != "array" or schema.get("minItems", 0) > 0 or "items" not in schema or ends(schema["items"]):
        return split
    description = split.pop("description", None)
    union: JSON = {"anyOf": [{"type": "array", "maxItems": 0}, split]}
    return {**union, "description": description} if description else union
