"""A JSON schema as a tree of its subschemas, for the check of Moonshot's dialect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Step: TypeAlias = tuple[str, ...]

ANNOTATIONS = frozenset(("description", "title"))
ROOT_ONLY = frozenset(("$defs", "$id"))


class Violation(Exception):
    """A schema is not in the dialect.

    Attributes:
        path: Where: keywords and names joined by dots, ``root`` for the schema as a whole.
        message: The validator's words.
    """

    def __init__(self, path: str, message: str) -> None:
        """Say where and what."""
        super().__init__(f"At path '{path}': {message}")
        self.path = path
        self.message = message


@dataclass(frozen=True)
class Limits:
    """The limits of the dialect, by default those of the validator's configuration.

    Its prose has lower ones (100 properties, 5 levels, 500 enum values, 10 branches), which the API does not apply:
    https://github.com/MoonshotAI/walle/blob/main/docs/validation-principles.md, section 2.1.

    Attributes:
        depth: How deep ``properties`` may nest.
        size: Bytes of the schema as compact JSON.
        properties: Property names in all objects together.
        enum_values: Values of one enum.
        enum_length: Bytes of the texts and numbers of one enum.
        branches: Branches of one anyOf.
    """

    depth: int = 30
    size: int = 120_000
    properties: int = 3_000
    enum_values: int = 1_000
    enum_length: int = 75_000
    branches: int = 500


@dataclass(eq=False)
class Node:
    """A subschema.

    Attributes:
        schema: The subschema itself.
        parent: The subschema it stands in; None for the root.
        step: The keys that lead there from the parent, such as ``("properties", "city")``.
        depth: How many ``properties`` it stands in.
        children: The subschemas in it, by the steps that lead to them.
        target: What its ``$ref`` leads to.
    """

    schema: dict[str, Any]
    parent: Node | None = None
    step: Step = ()
    depth: int = 0
    children: dict[Step, Node] = field(default_factory=dict)
    target: Node | None = None

    @property
    def types(self) -> list[str]:
        """The types it declares, as far as they are texts."""
        given = self.schema.get("type")
        return [type for type in (given if isinstance(given, list) else [given]) if isinstance(type, str)]

    def path(self, *more: str) -> str:
        """Name the place of the subschema, or of something in it. Branches of an anyOf are not told apart.

        codex-router#641: "At path 'properties.details.properties.icon.anyOf.properties.color'".
        """
        parts = list(reversed(more))
        node = self
        while node.parent is not None:
            parts.extend(reversed(node.step[:1] if node.step[0] == "anyOf" else node.step))
            node = node.parent
        return ".".join(reversed(parts)) or "root"

    def violation(self, message: str, *more: str) -> Violation:
        """Build the violation at this place, or at something in it."""
        return Violation(self.path(*more), message)

    def grow(self) -> list[Node]:
        """Add the subschemas in this one, definitions first, and return them."""
        for step, schema in _subschemas(self.schema):
            depth = self.depth + (step[0] == "properties")
            self.children[step] = Node(schema, self, step, depth)
        return list(self.children.values())


def _subschemas(schema: dict[str, Any]) -> Iterator[tuple[Step, dict[str, Any]]]:
    for keyword in ("$defs", "properties"):
        for name, child in schema.get(keyword, {}).items():
            yield (keyword, name), child
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield (keyword,), schema[keyword]
    for at, child in enumerate(schema.get("anyOf", ())):
        yield ("anyOf", str(at)), child
