"""Moonshot's dialect of JSON Schema (MFJS): whether a schema is in it, and what the API says if it is not.

The rules, their order and their words are those of Moonshot's own validator at its strictest level, ``ultra``:
https://github.com/MoonshotAI/walle, with its docs/walle.md and docs/mfjs-walle-vs-draft-2020-12.md. Where those two
disagree, or two versions of the validator do, the stricter holds, unless the validator's own cases accept the schema.
"""

from __future__ import annotations

import json
from typing import Any

from .keywords import check_keywords
from .references import check_references
from .tree import Limits, Node

_LIMITS = Limits()


def check_schema(schema: Any, limits: Limits = _LIMITS) -> None:
    """Check a schema, in time linear in its size and without recursion.

    Args:
        schema: The schema, as parsed from JSON.
        limits: How large it may be.

    Raises:
        Violation: If it is not in the dialect.
    """
    root = Node(schema)
    if schema is None:
        raise root.violation("schema must be a dict")
    if not isinstance(schema, dict):
        raise root.violation("JSON schema parsing error: the schema is not an object")  # words after the colon ours
    if not schema:
        return
    if _is_larger(schema, limits.size):
        # kimi-cli#2475: "At path 'root': schema exceeds maximum allowed size"
        raise root.violation("schema exceeds maximum allowed size")
    check_references(_nodes(root, limits), limits)


def _nodes(root: Node, limits: Limits) -> list[Node]:
    """Return all subschemas, each after the one it stands in, their keywords checked."""
    nodes: list[Node] = []
    names = 0
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.depth > limits.depth:
            raise node.violation(f"schema depth exceeds maximum limit of {limits.depth}")
        check_keywords(node, limits)
        names += len(node.schema.get("properties", ()))
        if names > limits.properties:
            raise node.violation(
                f"total number of properties keys({names}) across all objects exceeds maximum limit of "
                f"{limits.properties}"
            )
        nodes.append(node)
        waiting.extend(reversed(node.grow()))
    return nodes


def _is_larger(value: Any, limit: int) -> bool:
    """Whether a value takes more bytes as compact JSON, written the way Go writes it."""
    size = 0
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            size += max(2, 1 + 2 * len(value)) + sum(map(_text_size, value))
            waiting.extend(value.values())
        elif isinstance(value, list):
            size += max(2, 1 + len(value))
            waiting.extend(value)
        elif isinstance(value, str):
            size += _text_size(value)
        else:
            size += _literal_size(value)
        if size > limit:
            return True
    return False


def _text_size(text: str) -> int:
    """Go escapes what is special in HTML, and both line separators of Unicode; nothing else beyond JSON's needs."""
    written = len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return written + 5 * sum(map(text.count, "<>&")) + 3 * sum(map(text.count, "\u2028\u2029"))


def _literal_size(value: Any) -> int:
    if isinstance(value, int) and value.bit_length() > 10_000:  # too long for Python to write out
        return value.bit_length() * 3 // 10
    return len(json.dumps(value))
