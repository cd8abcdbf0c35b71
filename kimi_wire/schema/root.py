"""The root, which has to be one object: a union there becomes the object that any of its ways fits into, and words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from kimi_wire.schema.keywords import types_written
from kimi_wire.schema.kinds import ANYTHING, Either, Form, Kind, Object, kinds_of
from kimi_wire.schema.lower import finish, say_rest, say_unions
from kimi_wire.schema.meet import MAX_CROSSED, Meet, Merged, Reader, is_mistyped
from kimi_wire.schema.words import describe, dump, say_values

_MAX_WAYS = 500  # "anyOf" takes no more alternatives either


def lower_root(reader: Reader) -> Form:
    """The typed form of the whole: one object.

    Raises:
        KimiRequestError: A mistake in the schema, no object fits it, or nothing could ever satisfy it.
    """
    root = Meet.of(reader.document.root)
    merged = reader.merge(root)
    if _is_an_object_of_other_values(merged):
        said = [f"One of: {say_values(merged.values or ())}"]
        merged = merged._replace(types=("object",), values=None)
        return finish(reader, merged, tuple(kinds_of(reader, merged)), said)
    found = [(way, one) for way in _ways(reader, root) if (one := _object(reader, way)) is not None]
    if not found:
        raise reader.document.root.fault(_explain(reader, merged))
    ways, objects = zip(*found, strict=True)
    if len(ways) > 1:
        return finish(reader, merged, (_join(objects),), [_say_ways(reader, ways)])
    if ways[0] == root:
        form = finish(reader, merged, objects, say_unions(reader, merged, written_out=False))
        # Where the source constrains nothing, its `properties` were added, and stand before the `type`.
        return form if merged.types else form._replace(order=(*form.order, "properties"))
    return finish(reader, reader.merge(Meet((*root.places, *ways[0].places))), objects, ())


def _is_an_object_of_other_values(merged: Merged) -> bool:
    """Whether the root's values are no objects, though its type says that it is one: further in, the values are meant.

    `{"type": "object", "enum": ["move", "copy"]}` has to be an object as the root, so the values are left to words.
    """
    mistyped = any(is_mistyped(place) and "object" in types_written(place.node) for place in merged.speaking)
    return mistyped and not merged.unions


def is_just_an_object(reader: Reader) -> bool:
    """Whether the root means in a reference to it what it means as the root."""
    merged = reader.merge(Meet.of(reader.document.root))
    return not merged.unions and merged.types in (None, ("object",))


def _explain(reader: Reader, merged: Merged) -> str:
    """Why there is no root."""
    if merged.types is not None and merged.types != () and "object" not in merged.types:
        types = " or ".join(merged.types)
        return f"the root must be an object, and this is {types}. Put it into a property of an object."
    required = {*itertools.chain(*merged.given("required"))}
    never = [key for key, meet in merged.properties().items() if key in required and not reader.is_possible(meet)]
    return "nothing can satisfy this schema" + (f": no value fits the required {never[0]!r}." if never else ".")


def _ways(reader: Reader, root: Meet) -> list[Meet]:
    """All ways through the unions of the root, and through those of their branches.

    "tools.function.parameters.type is required and must be "object"" (MiqroForge#1165), so that the root cannot be
    an `anyOf`, though the dialect alone would take one.
    """
    ways: list[Meet] = []
    todo = [root]
    while todo:
        meet = todo.pop(0)
        merged = reader.merge(meet)
        if not merged.unions:
            ways.append(meet)
            continue
        branches = itertools.product(*merged.unions)
        todo += [Meet(way, merged.own) for way in itertools.islice(branches, _MAX_WAYS + 1)]
        if len(todo) + len(ways) > (_MAX_WAYS if len(merged.unions) == 1 else MAX_CROSSED):
            return [root]
    return ways


def _object(reader: Reader, way: Meet) -> Object | None:
    """The object that a way allows, if it allows one."""
    merged = reader.merge(way)
    if merged.types is not None and "object" not in merged.types:
        return None
    for kind in kinds_of(reader, merged._replace(types=("object",))):
        if isinstance(kind, Object):
            return kind if merged.types or kind.properties is not None else kind._replace(properties={})
    return None


def _join(objects: Sequence[Object]) -> Kind:
    """One object that allows what any of several allows."""
    names = dict.fromkeys(name for one in objects for name in one.properties or ())
    required = [name for name in objects[0].required or () if all(name in (one.required or ()) for one in objects)]
    closed = all(one.others not in (True, None) for one in objects)
    others = tuple(itertools.chain(*(one.others for one in objects if isinstance(one.others, tuple))))
    return Object(
        properties={name: _join_property(name, objects) for name in names},
        required=tuple(required) or None,
        others=(others or False) if closed else None,
    )


def _join_property(name: str, objects: Sequence[Object]) -> Either:
    named = [one.properties[name] for one in objects if one.properties and name in one.properties]
    others = [one.others for one in objects if name not in (one.properties or ())]
    if any(other in (True, None) for other in others):
        return (*itertools.chain(*named), *ANYTHING)
    return tuple(itertools.chain(*named, *(other for other in others if isinstance(other, tuple))))


def _say_ways(reader: Reader, ways: Sequence[Meet]) -> str:
    listed = [_say_required(reader, reader.merge(way)) for way in ways]
    shared = set(listed[0]).intersection(*listed)
    said = ([text for text in texts if text not in shared] for texts in listed)
    return f"One of: {'; '.join(_say_way(reader, *one) for one in zip(ways, said, strict=True))}"


def _say_required(reader: Reader, merged: Merged) -> list[str]:
    named = merged.properties()
    said = []
    for key in dict.fromkeys(itertools.chain(*merged.given("required"))):
        values = reader.merge(named[key]).values if key in named else None
        said.append(f"{key} {dump(values[0])}" if values and len(values) == 1 else key)
    return said


def _say_way(reader: Reader, way: Meet, said: Sequence[str]) -> str:
    merged = reader.merge(way)
    text = describe(merged.speaking, ())
    return (", ".join([*said, *say_rest(reader, merged)]) or "nothing more") + (f" ({text})" if text else "")
