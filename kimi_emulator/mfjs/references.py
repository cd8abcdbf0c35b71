"""The rules of Moonshot's JSON Schema dialect for its references: where they lead, how deep, and that they end.

Sources are named in ``check``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from .tree import ANNOTATIONS, ROOT_ONLY, Limits, Node


def check_references(nodes: list[Node], limits: Limits) -> None:
    """Check a schema whose subschemas are in order one by one.

    Args:
        nodes: All of them, each after the one it stands in.
        limits: How deep they may nest, references followed.

    Raises:
        Violation: If a reference breaks a rule.
    """
    root = nodes[0]
    for node in nodes:
        if "$ref" in node.schema:
            node.target = _resolve(node, root)
    _check_depth(nodes, limits)
    _check_expansion(nodes)
    # Versions of the validator differ in when a recursion ends. One takes an object for ended by any one required
    # property, and never an array by being empty; a later one asks what an instance would have to look like.
    _check_termination(nodes, by_instance=False)
    _check_termination(nodes, by_instance=True)


def _resolve(node: Node, root: Node) -> Node:
    """Follow a reference to a subschema; its steps are plain keys, and none leads into an anyOf."""
    reference: str = node.schema["$ref"]
    if reference == "#":
        return root
    if "$defs" not in root.schema:
        raise node.violation(f"$defs not found for reference: {reference}", "$ref")
    found: Node | None = root
    steps = iter(reference.split("/")[1:])
    for step in steps:
        place = (step, next(steps, "")) if step in ("$defs", "properties") else (step,)
        found = found.children.get(place) if found else None
    if found is None:
        raise root.violation(f"invalid $ref path: {reference}")
    return found


def _check_depth(nodes: list[Node], limits: Limits) -> None:
    """Count ``properties`` along references into $defs too; round a loop of them, for one turn more.

    In a loop with several ways in, this may count less than the validator, whose search takes exponential time there.
    """
    root = nodes[0]
    alone: dict[Node, int] = {}
    for node in reversed(nodes):
        alone[node] = max((weight + alone[child] for child, weight in _inside(node)), default=0)
    deepest: dict[Node, int] = {}
    entered: set[Node] = set()
    waiting = [(node, False) for node in reversed(nodes)]
    while waiting:
        node, done = waiting.pop()
        ways = [*_inside(node), *([(node.target, 0)] if node.target not in (None, root) else [])]
        if done:
            deepest[node] = max((weight + deepest.get(way, alone[way]) for way, weight in ways), default=0)
        elif node not in entered:
            entered.add(node)
            waiting.append((node, True))
            waiting.extend((way, False) for way, _ in ways)
    if max(deepest.values()) > limits.depth:
        raise root.violation(f"schema depth exceeds maximum limit of {limits.depth}")


def _inside(node: Node) -> Iterator[tuple[Node, int]]:
    """Yield the subschemas in one, each with how much deeper it is."""
    return ((child, int(step[0] == "properties")) for step, child in node.children.items() if step[0] != "$defs")


def _check_expansion(nodes: list[Node]) -> None:
    """What stands beside a reference is not said again where it leads.

    kimi-cli#2061: "At path 'properties.assetRef': conflicting keywords found after $ref expansion: description".
    """
    told: dict[Node, frozenset[str]] = {}
    for node in nodes:
        if node.target is None:
            continue
        chain: list[Node] = []
        end: Node | None = node.target
        while end is not None and end not in told:
            told[end] = frozenset()
            chain.append(end)
            end = end.target
        beyond = told[end] if end else frozenset()
        for link in reversed(chain):
            beyond = told[link] = beyond | ((ANNOTATIONS | ROOT_ONLY) & link.schema.keys())
        conflicts = sorted(told[node.target] & node.schema.keys())
        if conflicts:
            raise node.violation(f"conflicting keywords found after $ref expansion: {', '.join(conflicts)}")


def _check_termination(nodes: list[Node], *, by_instance: bool) -> None:
    """The root has a finite instance.

    opencodex#5464: "At path '...': detected infinite recursion without termination condition".
    """
    ended = _ended(nodes, by_instance)
    node = nodes[0]
    while node not in ended:
        if node.target:
            raise node.violation("detected infinite recursion without termination condition")
        node = next(need for need in _needs(node, by_instance) if need not in ended)


def _ended(nodes: list[Node], by_instance: bool) -> set[Node]:
    """Return the subschemas that have a finite instance, found from the innermost outwards."""
    lacking: dict[Node, int] = {}
    needed_by: dict[Node, list[Node]] = {}
    ready: deque[Node] = deque()
    for node in nodes:
        needs = _needs(node, by_instance)
        every = by_instance and "anyOf" not in node.schema
        lacking[node] = len(needs) if every else min(len(needs), 1)
        for need in needs:
            needed_by.setdefault(need, []).append(node)
        if not needs:
            ready.append(node)
    ended: set[Node] = set()
    while ready:
        node = ready.popleft()
        ended.add(node)
        for other in needed_by.get(node, ()):
            lacking[other] -= 1
            if lacking[other] == 0:
                ready.append(other)
    return ended


def _needs(node: Node, by_instance: bool) -> list[Node]:
    """Return the subschemas of which all, or one for anyOf, have to have an instance for this one to have one."""
    schema = node.schema
    if node.target:
        return [node.target]
    if "anyOf" in schema:
        return [child for step, child in node.children.items() if step[0] == "anyOf"]
    if node.types == ["object"]:
        return [node.children["properties", name] for name in schema.get("required", ())]
    if node.types == ["array"] and ("items",) in node.children and (schema.get("minItems") or not by_instance):
        return [node.children["items",]]
    return []
