"""The forms that the root leads to, each once, and where one refers to another instead of having it inside."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from kimi_wire.schema.keywords import OPENED, REFERENCES, UNIONS, is_nullable, types_written
from kimi_wire.schema.kinds import Array, Either, Form, Object
from kimi_wire.schema.lower import lower, say_default
from kimi_wire.schema.meet import Meet, Reader
from kimi_wire.schema.root import is_just_an_object, lower_root
from kimi_wire.schema.source import Place, check_node
from kimi_wire.schema.words import describe, join, join_texts, sentences

MAX_SCHEMAS = 20_000  # what merging may come to: schemas crossed with each other can grow without bound


_WRAPPERS = {*OPENED, "type"}


class Node:
    """A form in the graph.

    Attributes:
        form: The form.
        place: Where the source has it, or the first part of it; None where it is nowhere.
        named: The place it is referred to by, where the source refers to it.
        uses: How many links lead here.
    """

    __slots__ = ("form", "named", "place", "uses")

    def __init__(self, meet: Meet) -> None:
        self.form = Form(())
        self.place = next(iter(meet.beside + meet.places), None)
        self.named: Place | None = None
        self.uses = 0


@dataclass(frozen=True, slots=True)
class Link:
    """What stands for a schema inside another.

    Attributes:
        node: The schema; None is the root.
        description: What the reference to it says beside.
        nullable: Null is allowed beside.
        target: What the source refers to there; None where it has the schema inside.
    """

    node: Node | None
    description: str | None = None
    nullable: bool = False
    target: Place | None = None


@dataclass(frozen=True, slots=True)
class _Alias:
    """Schemas that only refer to one other: to which, and what they say beside."""

    target: Place
    notes: tuple[Place, ...]
    nullable: bool


class Graph:
    """All forms, from the root on.

    Args:
        reader: Of the source.

    Raises:
        KimiRequestError: A mistake in the schema, or nothing could ever satisfy it.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._nodes: dict[Meet, Node] = {}
        self._links: dict[Meet, Link] = {}
        self._steps: dict[Meet, _Alias | None] = {}
        self._todo: list[tuple[Meet, Node]] = []
        self._just_an_object = is_just_an_object(reader)
        self.root = lower_root(reader)
        self._link_all(self.root)
        while self._todo:
            meet, node = self._todo.pop()
            node.form = lower(reader, meet)
            self._link_all(node.form)
        for meet in self._links:
            self._links[meet] = self._settle(self._links[meet])
        self.nodes = tuple(self._reach())

    def link(self, meet: Meet) -> Link:
        """What stands for what holds at once: a reference where there is nothing but one."""
        return self._links[meet]

    def _link_all(self, form: Form) -> None:
        for meet in inner(form.alternatives):
            if meet not in self._links:
                self._links[meet] = self._make_link(meet)

    def _make_link(self, meet: Meet) -> Link:
        alias = self._find_alias(meet)
        if alias is None:
            return Link(self._node(meet))
        description = describe(alias.notes, itertools.chain(*(sentences(note.node) for note in alias.notes)))
        description = join(description, say_default(alias.notes))
        if alias.target is self._reader.document.root and self._just_an_object:
            return Link(None, description, alias.nullable, alias.target)
        return Link(self._node(Meet.of(alias.target)), description, alias.nullable, alias.target)

    def _node(self, meet: Meet) -> Node:
        node = self._nodes.get(meet)
        if node is None:
            if len(self._nodes) >= MAX_SCHEMAS:
                raise self._reader.document.root.fault(f"merging its schemas gives more than {MAX_SCHEMAS:,} of them.")
            node = self._nodes[meet] = Node(meet)
            self._todo.append((meet, node))
        return node

    def _settle(self, link: Link) -> Link:
        """The link itself, or that of its node where a union lost all branches but a reference."""
        passed: list[Node] = []
        while link.node is not None and (further := self._only_link(link.node)) is not None:
            if link.node in passed and link.node.place is not None:
                raise link.node.place.fault("references lead in a circle with nothing in it.")
            passed.append(link.node)
            said = filter(None, (link.description, link.node.form.description, further.description))
            nullable = link.nullable or further.nullable
            link = Link(further.node, join_texts(said), nullable, further.target)
        return link

    def _only_link(self, node: Node) -> Link | None:
        if len(node.form.alternatives) != 1 or not isinstance(meet := node.form.alternatives[0], Meet):
            return None
        link = self._links[meet]
        return link if link.target is not None else None

    def _reach(self) -> Iterator[Node]:
        """All forms that are left, each once, in the order of the source; counts what leads to each."""
        seen: set[Node] = set()
        todo = [*inner(self.root.alternatives)][::-1]
        while todo:
            link = self._links[todo.pop()]
            if (node := link.node) is None:
                continue
            node.uses += 1
            node.named = node.named or link.target
            if node not in seen:
                seen.add(node)
                yield node
                todo += [*inner(node.form.alternatives)][::-1]

    # References

    def _find_alias(self, meet: Meet) -> _Alias | None:
        """The one schema that others come down to, if they ask for nothing beside it."""
        notes: dict[Place, None] = {}
        nullable = False
        passed: dict[Place, None] = {}
        while (step := self._find_step(meet)) is not None:
            notes |= dict.fromkeys(step.notes)
            nullable = nullable or step.nullable
            if step.target in passed:
                way = " -> ".join(place.path for place in [*passed, step.target])
                raise step.target.fault(f"references lead in a circle with nothing in it: {way}.")
            passed[step.target] = None
            meet = Meet.of(step.target)
        return _Alias([*passed][-1], tuple(notes), nullable) if passed else None

    def _find_step(self, meet: Meet) -> _Alias | None:
        if meet not in self._steps:
            self._steps[meet] = self._look_for_step(meet)
        return self._steps[meet]

    def _look_for_step(self, meet: Meet) -> _Alias | None:
        notes: dict[Place, None] = {}
        targets: dict[Place, None] = {}
        todo = list(meet.places)
        while todo:
            place = todo.pop()
            if place.node is False or meet.beside:
                return None
            if place.node is True or place in notes:
                continue
            check_node(place)
            notes[place] = None
            if place.asks - _WRAPPERS:
                return None
            for keyword in place.asks & {"allOf", *UNIONS}:
                branches = place.node[keyword]
                if keyword != "allOf" and len(branches) > 1:
                    return None
                todo += [place.at(keyword, index) for index in range(len(branches))]
            if place.asks & {*REFERENCES}:
                targets[self._reader.document.follow(place)] = None
        if len(targets) != 1:
            return None
        (target,) = targets
        # "when using $ref, type should be defined in the referenced schema instead of the parent schema"
        # (farion1231/cc-switch discussion 6953): a type that it has there need not be said again.
        said = [{*types_written(note.node)} for note in notes if note.node.get("type") is not None]
        found = self._reader.merge(Meet.of(target)).types if said else ()
        if isinstance(target.node, bool) or found is None or not all({*found} <= types for types in said):
            return None
        return _Alias(target, tuple(notes), any(is_nullable(note.node) for note in notes))


def inner(alternatives: Either) -> Iterator[Meet]:
    """The schemas directly inside of alternatives, or among them."""
    for one in alternatives:
        if isinstance(one, Meet):
            yield one
        elif isinstance(one, Array):
            yield from inner(one.items or ())
        elif isinstance(one, Object):
            for value in (one.properties or {}).values():
                yield from inner(value)
            yield from inner(one.others if isinstance(one.others, tuple) else ())
