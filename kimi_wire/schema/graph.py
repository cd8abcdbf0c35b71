"""All forms that the root leads to, each once, and where one refers to another instead of having it inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kimi_wire.schema.kinds import Array, Either, Form, Object, Reference
from kimi_wire.schema.lower import lower
from kimi_wire.schema.meet import Meet, Reader
from kimi_wire.schema.root import is_just_an_object, lower_root
from kimi_wire.schema.source import Place
from kimi_wire.schema.words import join_texts

MAX_SCHEMAS = 20_000  # what merging may come to: schemas crossed with each other can grow without bound


class Node:
    """A form in the graph.

    Attributes:
        form: The form; only a node that nothing is linked to has a `Reference`.
        place: Where the source has it, or the first part of it; None where it is nowhere.
        named: The place it is referred to by, where the source refers to it.
        uses: How many links lead here.
    """

    __slots__ = ("form", "named", "place", "uses")

    def __init__(self, meet: Meet, form: Form | Reference) -> None:
        self.form = form
        self.place = next(iter(meet.beside + meet.places), None)
        self.named: Place | None = None
        self.uses = 0


@dataclass(frozen=True, slots=True)
class Link:
    """What stands for a schema inside another.

    Attributes:
        node: The schema; None is the root.
        target: What the source refers to there; None where it has the schema inside.
        description: What the reference says beside.
        nullable: Null is allowed beside.
    """

    node: Node | None
    target: Place | None = None
    description: str | None = None
    nullable: bool = False


class Graph:
    """All forms, from the root on.

    Args:
        reader: Of the source.

    Attributes:
        root: The form of the root.
        nodes: The other forms that are left, in the order of the source.

    Raises:
        KimiRequestError: A mistake in the schema, or nothing could ever satisfy it.
    """

    def __init__(self, reader: Reader) -> None:
        self._root = reader.document.root
        self._root_can_be_referred_to = is_just_an_object(reader)
        self._nodes: dict[Meet, Node] = {}
        self._links: dict[Meet, Link] = {}
        self.root = lower_root(reader)
        todo = [*inner(self.root)]
        while todo:
            meet = todo.pop()
            if meet in self._nodes:
                continue
            if len(self._nodes) >= MAX_SCHEMAS:
                raise self._root.fault(f"merging its schemas gives more than {MAX_SCHEMAS:,} of them.")
            node = self._nodes[meet] = Node(meet, lower(reader, meet))
            todo += inner(node.form)
        self.nodes = tuple(self._reach())

    def link(self, meet: Meet) -> Link:
        """What stands for what holds at once: a reference where it comes down to nothing but one."""
        if meet not in self._links:
            self._links[meet] = self._follow(meet)
        return self._links[meet]

    def _follow(self, meet: Meet) -> Link:
        link = Link(self._nodes[meet])
        said: list[str] = []
        nullable = False
        passed: list[Meet] = []
        while (further := _only(form := self._nodes[meet].form)) is not None:
            if meet in passed:
                circle = [step.places[0] for step in (*passed[passed.index(meet) :], meet)]
                way = " -> ".join(place.path for place in circle)
                raise circle[0].fault(f"references lead in a circle with nothing in it: {way}.")
            passed.append(meet)
            said += [form.description] if form.description else []
            meet = further
            if isinstance(form, Reference):
                nullable = nullable or form.nullable
                is_root = form.target is self._root and self._root_can_be_referred_to
                node = None if is_root else self._nodes[meet]
                link = Link(node, form.target, join_texts(said), nullable)
                if is_root:
                    break
        return link

    def _reach(self) -> Iterator[Node]:
        """Counts what leads to each form that is left."""
        seen: set[Node] = set()
        todo = [*inner(self.root)][::-1]
        while todo:
            link = self.link(todo.pop())
            if (node := link.node) is None:
                continue
            node.uses += 1
            node.named = node.named or link.target
            if node not in seen:
                seen.add(node)
                yield node
                todo += [*inner(node.form)][::-1]


def _only(form: Form | Reference) -> Meet | None:
    """The one schema that a form comes down to: it only refers to it, or its union has lost all other branches."""
    if isinstance(form, Reference):
        return Meet.of(form.target)
    only = form.alternatives[0] if len(form.alternatives) == 1 else None
    return only if isinstance(only, Meet) else None


def inner(form: Form | Reference) -> Iterator[Meet]:
    """The schemas directly inside of a form."""
    return iter((Meet.of(form.target),)) if isinstance(form, Reference) else _inner(form.alternatives)


def _inner(alternatives: Either) -> Iterator[Meet]:
    for one in alternatives:
        if isinstance(one, Meet):
            yield one
        elif isinstance(one, Array):
            yield from _inner(one.items or ())
        elif isinstance(one, Object):
            for value in (one.properties or {}).values():
                yield from _inner(value)
            yield from _inner(one.others if isinstance(one.others, tuple) else ())
