"""The rules of Moonshot's JSON Schema dialect for one subschema: which keywords it has, and their values.

Sources are named in ``check``. Server's words that were seen in the wild are quoted with where.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from .tree import ANNOTATIONS, ROOT_ONLY, Limits, Node
from .values import check_bounds, check_enum

_OF_TYPE: dict[str, frozenset[str]] = {
    "object": frozenset(("properties", "required", "additionalProperties")),
    "array": frozenset(("items", "minItems", "maxItems")),
    "string": frozenset(("minLength", "maxLength", "pattern", "enum")),
    "number": frozenset(("minimum", "maximum", "enum")),
    "integer": frozenset(("minimum", "maximum", "enum")),
    "boolean": frozenset(("enum",)),
    "null": frozenset(("enum",)),
}
_OF_EVERY_TYPE = ANNOTATIONS | {"type", "default"}
# `pattern` is a planned keyword: the validator's cases accept it on texts, though its docs list it as unsupported.
_SUPPORTED = frozenset().union(*_OF_TYPE.values(), _OF_EVERY_TYPE, ROOT_ONLY, ("anyOf", "$ref"))
_RESERVED = frozenset(("$defs", "$ref", "anyOf", "required", "additionalProperties"))


def check_keywords(node: Node, limits: Limits) -> None:
    """Check one subschema, not those in it.

    One without a type may be anything, as the validator has its rule "type need to be defined explicitly" switched off;
    Moonshot's verifier of hosts wants ``{"properties": {"value": {}}}`` accepted
    (https://github.com/MoonshotAI/Kimi-Vendor-Verifier).

    Raises:
        Violation: If it breaks a rule. Afterwards what should be a subschema in it is an object.
    """
    schema = node.schema
    # lgandecki/vercel-ai-with-thoughts-and-schema: "path 'root': unsupported keywords: $schema"
    unsupported = [keyword for keyword in schema if keyword not in _SUPPORTED]
    if unsupported:
        raise node.violation(f"unsupported keywords: {', '.join(unsupported)}")
    if "type" in schema:
        _check_type(node)
    for keyword in sorted(schema):
        if keyword in _CHECKS:
            _CHECKS[keyword](node, schema[keyword], limits)


def _check_type(node: Node) -> None:
    schema = node.schema
    # kimi-cli#2531; CLIProxyAPI#5316: "At path '$defs.__schema20': when using $ref, type should be defined ..."
    for keyword, place in (("anyOf", "anyOf items"), ("$ref", "the referenced schema")):
        if keyword in schema:
            raise node.violation(
                f"when using {keyword}, type should be defined in {place} instead of the parent schema"
            )
    given = schema["type"]
    if not isinstance(given, (str, list)):
        raise node.violation("type must be string or array of strings")
    if isinstance(given, str) and given not in _OF_TYPE:
        raise node.violation("invalid type")
    types = [given] if isinstance(given, str) else given
    if not all(isinstance(type, str) and type in _OF_TYPE for type in types):
        raise node.violation("invalid type in type array")
    if not types:
        raise node.violation("type array cannot be empty")
    if len(set(types)) < len(types):
        raise node.violation("duplicate types in type array", "type")
    if len(types) > 1:
        _check_several_types(node, types)
    _check_keywords_of(node, types)


def _check_several_types(node: Node, types: list[str]) -> None:
    """Several types allow no other keyword but annotations, except an enum of texts, numbers or booleans and null."""
    schema = node.schema
    if "enum" in schema:
        for type in types:
            if type in ("object", "array"):
                raise node.violation(f"type {type} is not allowed in combination with enum")
        if len(types) == 2:
            return
    for keyword in schema:
        if keyword != "type" and keyword not in ANNOTATIONS and not (node.parent is None and keyword in ROOT_ONLY):
            raise node.violation(f"keyword {keyword} is not allowed in combination with multiple types")


def _check_keywords_of(node: Node, types: list[str]) -> None:
    """The keywords fit the type, or the first of the types."""
    for keyword in node.schema:
        if keyword in ROOT_ONLY and node.parent is not None:
            raise node.violation(f"keyword {keyword} must be at root level")
    check_bounds(node)
    allowed = _OF_TYPE[types[0]] | _OF_EVERY_TYPE | ROOT_ONLY
    invalid = [keyword for keyword in node.schema if keyword not in allowed]
    if invalid:
        raise node.violation(f"invalid keywords: {', '.join(invalid)}")


def _check_text(keyword: str) -> _Check:
    def check(node: Node, value: Any, limits: Limits) -> None:
        if not isinstance(value, str):
            raise node.violation(f"{keyword} must be a string", keyword)

    return check


def _check_beside(node: Node, keyword: str) -> None:
    """Beside anyOf and $ref there are only annotations; at the root also what belongs to the document."""
    for other in node.schema:
        if other != keyword and other not in ANNOTATIONS and not (node.parent is None and other in ROOT_ONLY):
            raise node.violation(f"keyword '{other}' is not allowed at the same level as {keyword}")


def _check_any_of(node: Node, branches: Any, limits: Limits) -> None:
    if not isinstance(branches, list):
        raise node.violation("anyOf must be an array", "anyOf")
    if not 1 <= len(branches) <= limits.branches:
        raise node.violation(f"anyOf must have 1-{limits.branches} items", "anyOf")
    if not all(isinstance(branch, dict) for branch in branches):
        raise node.violation("schema in anyOf must be an object", "anyOf")
    _check_beside(node, "anyOf")
    for branch in branches:
        # Seen in comments of applications with `pattern`, `items`, `default`; the validator means annotations as well.
        if both := sorted(node.schema.keys() & branch.keys() - {"anyOf"}):
            raise node.violation(
                f"conflicting keywords found in anyOf with parent: keywords ({', '.join(both)}) are defined on the "
                "parent schema and inside anyOf; remove them from the parent or from anyOf branches"
            )


def _check_ref(node: Node, reference: Any, limits: Limits) -> None:
    """References lead to the root or into its $defs.

    command-code#594: "At path 'properties.filters.properties.hiddenPageDuration.$ref': references must start with
    #/$defs/".
    """
    if not isinstance(reference, str):
        raise node.violation("$ref must be a string", "$ref")
    if reference != "#":
        if not reference.startswith("#/$defs/"):
            raise node.violation("references must start with #/$defs/", "$ref")
        if reference == "#/$defs/":
            raise node.violation("definition name cannot be empty", "$ref")
    _check_beside(node, "$ref")


def _check_properties(node: Node, properties: Any, limits: Limits) -> None:
    """oh-my-pi#5952: "property schema for 'outputSchema' must be an object", of a boolean."""
    if not isinstance(properties, dict):
        raise node.violation("properties must be an object", "properties")
    for name, child in properties.items():
        if not name:
            raise node.violation("property name cannot be empty", "properties")
        if name in _RESERVED:
            raise node.violation(f"property name '{name}' is reserved for JSON Schema keywords", "properties")
        if not isinstance(child, dict):
            raise node.violation(f"property schema for '{name}' must be an object", "properties")


def _check_additional_properties(node: Node, value: Any, limits: Limits) -> None:
    if not isinstance(value, (bool, dict)):
        raise node.violation("additionalProperties must be a boolean or an object", "additionalProperties")


def _check_items(node: Node, items: Any, limits: Limits) -> None:
    """vercel/ai#18921: "items must be an object", of a tuple and of false."""
    if not isinstance(items, dict):
        raise node.violation("items must be an object", "items")


def _check_required(node: Node, required: Any, limits: Limits) -> None:
    """hermes-agent#66835: "At path 'required': required must be an array"."""
    if not isinstance(required, list):
        raise node.violation("required must be an array", "required")
    if not all(isinstance(name, str) for name in required):
        raise node.violation("items in required array must be strings", "required")
    if "" in required:
        raise node.violation("property names in required array cannot be empty", "required")
    seen: set[str] = set()
    for name in required:
        if name in seen:
            raise node.violation(f"duplicate items in required array: {name}", "required")
        seen.add(name)
    if required and "type" not in node.schema:
        raise node.violation("required keyword must be used with object", "required")
    if required and "properties" not in node.schema:
        raise node.violation("required specified but 'properties' keyword is missing", "required")
    for name in required:
        if name not in node.schema["properties"]:
            raise node.violation(f"required property '{name}' is not defined in properties", "required")


def _check_definitions(node: Node, definitions: Any, limits: Limits) -> None:
    if not isinstance(definitions, dict):
        raise node.violation("$defs must be an object", "$defs")
    for name, definition in definitions.items():
        if not name:
            raise node.violation("$defs property name cannot be empty", "$defs")
        if "/" in name:
            raise node.violation(f"$defs property name '{name}' cannot contain '/' character", "$defs")
        if not isinstance(definition, dict):
            raise node.violation(f"$defs schema must be object: {name}", "$defs")
        _check_slashes(node, name, definition)


def _check_slashes(node: Node, name: str, definition: dict[str, Any]) -> None:
    """No key in a definition has a slash, whatever it is the key of. The path ends before the object that has it."""
    waiting: list[tuple[dict[str, Any], _Trail]] = [(definition, (name, ("$defs", None)))]
    while waiting:
        holder, trail = waiting.pop()
        for key, child in holder.items():
            if "/" in key:
                raise node.violation(f"$defs property name '{key}' cannot contain '/' character", *_names(trail[1]))
            if isinstance(child, dict):
                waiting.append((child, (key, trail)))
            elif isinstance(child, list):
                items = ((f"{key}[{at}]", item) for at, item in enumerate(child))
                waiting.extend((item, (label, trail)) for label, item in items if isinstance(item, dict))


def _names(trail: _Trail | None) -> list[str]:
    names: list[str] = []
    while trail:
        names.append(trail[0])
        trail = trail[1]
    return names[::-1]


_Check: TypeAlias = Callable[[Node, Any, Limits], None]
_Trail: TypeAlias = tuple[str, Any]
_CHECKS: dict[str, _Check] = {
    "$defs": _check_definitions,
    "$id": _check_text("$id"),
    "$ref": _check_ref,
    "additionalProperties": _check_additional_properties,
    "anyOf": _check_any_of,
    "description": _check_text("description"),
    "enum": check_enum,
    "items": _check_items,
    "pattern": _check_text("pattern"),
    "properties": _check_properties,
    "required": _check_required,
    "title": _check_text("title"),
}
