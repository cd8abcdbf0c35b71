"""From the schemas of the source to those of the dialect, as a graph: which of them get a name is decided later."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kimi_wire.schema.kinds import say_rest, write_types
from kimi_wire.schema.meet import (
    MAX_BRANCHES,
    REFERENCES,
    UNIONS,
    Facts,
    Items,
    Reader,
    asks,
    follow,
    is_nullable,
    properties_of,
)
from kimi_wire.schema.source import Document, Place, check_node, types_written
from kimi_wire.schema.words import (
    ANYTHING,
    default_of,
    describe,
    dump,
    join,
    say,
    say_default,
    sentences,
    takes_default,
)

JSON = dict[str, Any]

MAX_SCHEMAS = 20_000  # what merging may come to: schemas crossed with each other can grow without bound


class Node:
    """One schema of the result.

    Attributes:
        items: What holds there.
        body: The schema, with a `Link` wherever another belongs.
        uses: How many links lead here.
        named: The place it is referred to by, where the source refers to it.
    """

    __slots__ = ("body", "items", "named", "uses")

    def __init__(self, items: Items) -> None:
        self.items = items
        self.body: JSON = {}
        self.uses = 0
        self.named: Place | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A schema inside another.

    Attributes:
        node: The schema; None is the root.
        description: What the reference to it says beside.
        nullable: Null is allowed beside.
    """

    node: Node | None
    description: str | None = None
    nullable: bool = False


@dataclass(frozen=True, slots=True)
class _Alias:
    """Schemas that only refer to one other: to which, and what they say beside."""

    target: Place
    notes: tuple[Place, ...]
    nullable: bool


class Builder:
    """Builds the graph, each schema once.

    Args:
        document: The source.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._reader = Reader(document)
        self._nodes: dict[Items, Node] = {}
        self._todo: list[Node] = []
        self._steps: dict[Items, _Alias | None] = {}
        self._root: Items = ((document.root, False),)
        self._plain_root = False

    def build(self) -> JSON:
        """Build everything that the root leads to.

        Returns:
            The root, with links in it.

        Raises:
            KimiRequestError: A mistake in the schema, or nothing could ever satisfy it.
        """
        root = self._build_root()
        while self._todo:
            node = self._todo.pop()
            facts = self._reader.facts(node.items)
            alternatives = list(self._alternatives(facts))
            written_out = not facts.unions or self._reader.combine(facts) is not None
            said = [*self._say_unions(facts, written_out), *([] if alternatives else ["No value fits"])]
            if alternatives and _is_wrapped_nullable(node.items):
                alternatives.append({"type": "null"})
            node.body = self._finish(facts, alternatives or [dict(schema) for schema in ANYTHING], said)
        return root

    def link(self, items: Items) -> Link:
        """A link to what holds at once: through a reference where there is nothing but one."""
        alias = self._find_alias(items)
        if alias is None:
            return Link(self._node(items))
        description = describe(alias.notes, itertools.chain(*(sentences(note.node) for note in alias.notes)))
        description = join(description, say_default(alias.notes))
        if alias.target is self._document.root and self._plain_root:
            return Link(None, description, alias.nullable)
        node = self._node(((alias.target, False),))
        node.named = node.named or alias.target
        return Link(node, description, alias.nullable)

    def _node(self, items: Items) -> Node:
        node = self._nodes.get(items)
        if node is None:
            if len(self._nodes) >= MAX_SCHEMAS:
                raise self._document.root.fault(f"merging its schemas gives more than {MAX_SCHEMAS:,} of them.")
            node = self._nodes[items] = Node(items)
            self._todo.append(node)
        node.uses += 1
        return node

    # References

    def _find_alias(self, items: Items) -> _Alias | None:
        """The one schema that others come down to, if they ask for nothing beside it."""
        notes: dict[Place, None] = {}
        nullable = False
        passed: dict[Place, None] = {}
        while (step := self._find_step(items)) is not None:
            notes |= dict.fromkeys(step.notes)
            nullable = nullable or step.nullable
            if step.target in passed:
                way = " -> ".join(place.path for place in [*passed, step.target])
                raise step.target.fault(f"references lead in a circle with nothing in it: {way}.")
            passed[step.target] = None
            items = ((step.target, False),)
        return _Alias([*passed][-1], tuple(notes), nullable) if passed else None

    def _find_step(self, items: Items) -> _Alias | None:
        if items not in self._steps:
            self._steps[items] = self._look_for_step(items)
        return self._steps[items]

    def _look_for_step(self, items: Items) -> _Alias | None:
        notes: dict[Place, None] = {}
        targets: dict[Place, None] = {}
        todo = list(items)
        while todo:
            place, bare = todo.pop()
            if bare or place.node is False:
                return None
            if place.node is True or place in notes:
                continue
            check_node(place)
            notes[place] = None
            asked = asks(place.node)
            for keyword in ("allOf", *UNIONS):
                branches = place.node.get(keyword) or ()
                if keyword == "allOf" or len(branches) == 1:
                    asked -= {keyword}
                    todo += [(place.at(keyword, index), False) for index in range(len(branches))]
            if asked & {*REFERENCES}:
                targets[follow(self._document, place)] = None
            if asked - {*REFERENCES, "type", "nullable"}:
                return None
        if len(targets) != 1:
            return None
        (target,) = targets
        # "when using $ref, type should be defined in the referenced schema instead of the parent schema"
        # (farion1231/cc-switch discussion 6953): a type that it has there need not be said again.
        said = [{*types_written(note.node)} for note in notes if note.node.get("type") is not None]
        found = self._reader.facts(((target, False),)).types if said else ()
        if isinstance(target.node, bool) or found is None or not all({*found} <= types for types in said):
            return None
        return _Alias(target, tuple(notes), any(is_nullable(note.node) for note in notes))

    # Unions

    def _alternatives(self, facts: Facts) -> Iterator[JSON | Link]:
        combinations = self._reader.combine(facts) if facts.unions else None
        if combinations is None:
            yield from write_types(self._reader, facts, self.link)
        else:
            yield from (self.link(items) for items in combinations if self._reader.is_possible(items))

    def _say_unions(self, facts: Facts, written_out: bool) -> Iterator[str]:
        for branches in facts.unions:
            yield from self._say_discriminator(branches)
            keywords = set[str]().union(*(asks(place.node) for place in branches if isinstance(place.node, Mapping)))
            if keywords == {"required"} or not written_out:
                yield f"{_quantity(branches)}: {'; '.join(say(branch.node) for branch in branches)}"

    def _say_discriminator(self, branches: Sequence[Place]) -> Iterator[str]:
        """OpenAPI's tag of a union, where the branches do not carry it themselves."""
        owner = branches[0].parent and branches[0].parent.parent
        discriminator = owner.node.get("discriminator") if owner else None
        name = discriminator.get("propertyName") if isinstance(discriminator, Mapping) else None
        if not isinstance(discriminator, Mapping) or not isinstance(name, str):
            return
        tagged = properties_of(self._reader.facts(((branches[0], False),))).get(name)
        if tagged is None or self._reader.facts(tagged).values is None:
            mapping = discriminator.get("mapping") or {}
            ways = ", ".join(f"{tag} for {str(target).rpartition('/')[2]}" for tag, target in mapping.items())
            yield f"{name} tells which{f': {ways}' if ways else ''}"

    # Words

    def _finish(self, facts: Facts, alternatives: list[Any], said: Iterable[str]) -> JSON:
        """Alternatives as one schema, with its description and its default."""
        places = [place for place, bare in facts.parts if not bare]
        description = describe(places, [*say_rest(self._reader, facts), *said])
        body: JSON = {"anyOf": alternatives}
        if len(alternatives) == 1 and isinstance(alternatives[0], dict):
            body = dict(alternatives[0])
        if takes_default(body, default := default_of(places)):
            body["default"] = default
        else:
            description = join(description, say_default(places))
        if description:
            body["description"] = description
        order = {keyword: index for index, keyword in enumerate(places[0].node if places else ())}
        return dict(sorted(body.items(), key=lambda item: order.get(item[0], len(order))))

    # The root

    def _build_root(self) -> JSON:
        facts = self._reader.facts(self._root)
        self._plain_root = not facts.unions and facts.types in (None, ("object",))
        written = [(items, body) for items in self._ways() for body in self._write_objects(items)]
        if not written:
            raise self._document.root.fault(self._explain(facts))
        ways, bodies = zip(*written, strict=True)
        if len(ways) > 1:
            return self._finish(facts, [_merge_objects(bodies)], [self._say_ways(ways)])
        if ways[0] == self._root:
            return self._finish(facts, [*bodies], self._say_unions(facts, written_out=False))
        return self._finish(self._reader.facts((*self._root, *ways[0])), [*bodies], ())

    def _explain(self, facts: Facts) -> str:
        """Why there is no root."""
        if facts.types is not None and facts.types != () and "object" not in facts.types:
            types = " or ".join(facts.types)
            return f"the root must be an object, and this is {types}. Put it into a property of an object."
        required = {*itertools.chain(*facts.given("required"))}
        never = [
            key
            for key, items in properties_of(facts).items()
            if key in required and not self._reader.is_possible(items)
        ]
        return "nothing can satisfy this schema" + (f": no value fits the required {never[0]!r}." if never else ".")

    def _write_objects(self, items: Items) -> Iterator[JSON]:
        facts = self._reader.facts(items)
        if facts.types is None or "object" in facts.types:
            for body in write_types(self._reader, dataclasses.replace(facts, types=("object",)), self.link):
                yield body if facts.types else {"properties": {}, **body}

    def _ways(self) -> list[Items]:
        """All ways through the unions of the root, and through those of their branches.

        "tools.function.parameters.type is required and must be "object"" (MiqroForge#1165), so that the root cannot be
        an `anyOf`, though the dialect alone would take one.
        """
        ways: list[Items] = []
        todo = [self._root]
        while todo:
            items = todo.pop(0)
            facts = self._reader.facts(items)
            if not facts.unions:
                ways.append(items)
                continue
            branches = itertools.product(*facts.unions)
            todo += [(*facts.own, *((branch, False) for branch in way)) for way in itertools.islice(branches, 501)]
            if len(todo) + len(ways) > (500 if len(facts.unions) == 1 else MAX_BRANCHES):
                return [self._root]
        return ways

    def _say_ways(self, ways: Sequence[Items]) -> str:
        listed = [self._say_required(self._reader.facts(items)) for items in ways]
        shared = set(listed[0]).intersection(*listed)
        said = [[text for text in texts if text not in shared] for texts in listed]
        return f"One of: {'; '.join(map(self._say_way, map(self._reader.facts, ways), said))}"

    def _say_required(self, facts: Facts) -> list[str]:
        named = properties_of(facts)
        said = []
        for key in dict.fromkeys(itertools.chain(*facts.given("required"))):
            values = self._reader.facts(named[key]).values if key in named else None
            said.append(f"{key} {dump(values[0])}" if values and len(values) == 1 else key)
        return said

    def _say_way(self, facts: Facts, said: list[str]) -> str:
        text = describe([place for place, bare in facts.parts if not bare], ())
        return (", ".join([*said, *say_rest(self._reader, facts)]) or "nothing more") + (f" ({text})" if text else "")


def _merge_objects(bodies: Sequence[JSON]) -> JSON:
    """One object that allows what any of several allows."""
    names = dict.fromkeys(name for body in bodies for name in body.get("properties", ()))
    merged: JSON = {"type": "object", "properties": {name: _merge_property(name, bodies) for name in names}}
    needed = [body.get("required", ()) for body in bodies]
    if required := [name for name in needed[0] if all(name in names for names in needed)]:
        merged["required"] = required
    others = [body.get("additionalProperties", True) for body in bodies]
    if all(other is not True for other in others):
        schemas = [other for other in others if other is not False]
        merged["additionalProperties"] = {"anyOf": schemas} if schemas else False
    return merged


def _merge_property(name: str, bodies: Sequence[JSON]) -> JSON:
    named = [body["properties"][name] for body in bodies if name in body.get("properties", ())]
    others = [body.get("additionalProperties", True) for body in bodies if name not in body.get("properties", ())]
    if any(other is True for other in others):
        return {"anyOf": [*named, *(dict(schema) for schema in ANYTHING)]}
    return {"anyOf": [*named, *(other for other in others if other is not False)]}


def _quantity(branches: Sequence[Place]) -> str:
    exclusive = branches[0].parent is not None and branches[0].parent.token == "oneOf"
    return "Exactly one of" if exclusive else "At least one of"


def _is_wrapped_nullable(items: Items) -> bool:
    """Whether null is allowed beside what is merged: `nullable` beside `allOf`, which has no type to add it to."""
    wrappers = {*REFERENCES, *UNIONS, "allOf"}
    return bool(items) and all(is_nullable(place.node) and asks(place.node) & wrappers for place, _ in items)
