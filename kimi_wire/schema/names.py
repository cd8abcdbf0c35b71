"""Which forms are written once, in `$defs`, and what they are called there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kimi_wire.schema.graph import Graph, Node
from kimi_wire.schema.meet import Meet
from kimi_wire.schema.source import Place

_SMALL = 200  # characters; what is no longer than this is repeated rather than named

Bodies = Mapping[Node, Mapping[str, Any]]


def name_forms(graph: Graph, bodies: Bodies, root: Place) -> dict[Node, str]:
    """A name of its own for what the source refers to, and for what is long and needed more than once.

    What was a definition of the root keeps its name.

    Args:
        graph: All forms.
        bodies: The forms, spelled.
        root: The root of the source.
    """
    names: dict[Node, str] = {}
    taken: set[str] = set()
    kept = set(names_at_root(root))
    for node in sorted(graph.nodes, key=lambda node: not _is_at_root(node.named, root)):
        place = node.named or node.place
        if place is None or (node.named is None and (node.uses < 2 or _is_small(node, graph, bodies))):
            continue
        blocked = set() if _is_at_root(node.named, root) else kept
        base = name = _clean(place.name)
        number = 2
        while name in taken or name in blocked:
            name, number = f"{base}_{number}", number + 1
        taken.add(name)
        names[node] = name
    return names


def names_at_root(root: Place) -> list[str]:
    """What the definitions of the root are called in the result."""
    return list(map(_clean, root.node.get("$defs") or {}))


def _is_at_root(place: Place | None, root: Place) -> bool:
    bucket = place.parent if place else None
    return bucket is not None and bucket.token == "$defs" and bucket.parent is root


def _is_small(node: Node, graph: Graph, bodies: Bodies) -> bool:
    """Whether a schema is short enough to be written again wherever it belongs."""
    size = 0
    todo: list[Any] = [bodies[node]]
    while todo and size <= _SMALL:
        value = todo.pop()
        size += 4
        if isinstance(value, Meet):
            link = graph.link(value)
            size += len(link.description or "")
            if link.node is not None and link.node.named is None:
                todo.append(bodies[link.node])
        elif isinstance(value, dict):
            size += sum(map(len, value))
            todo += value.values()
        elif isinstance(value, (list, tuple)):
            todo += value
        else:
            size += len(str(value))
    return size <= _SMALL


def _clean(name: str) -> str:
    # "$defs property name '%s' cannot contain '/' character" (MoonshotAI/walle)
    return "".join("_" if char in "/~%#{}\\\"'" or char.isspace() else char for char in name) or "schema"
