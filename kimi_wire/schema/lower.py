"""What holds at once, lowered to the typed form: its alternatives, and its description with all that has no keyword."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kimi_wire.schema.keywords import OPENED, REFERENCES, TYPES, UNIONS, is_nullable, types_written
from kimi_wire.schema.kinds import ANYTHING, SCALARS, Either, Form, Null, Reference, is_plain, kinds_of
from kimi_wire.schema.meet import Meet, Merged, Reader, is_mistyped, is_type
from kimi_wire.schema.source import Place, check_node
from kimi_wire.schema.words import describe, dump, join, say, say_values, sentences

_WRAPPERS = {*OPENED, "type"}


def lower(reader: Reader, meet: Meet) -> Form | Reference:
    """The typed form of what holds at once; where nothing can satisfy it, it is anything, and the description says so.

    Raises:
        KimiRequestError: A mistake in the schema.
    """
    reference = _reference(reader, meet)
    if reference is not None:
        return reference
    merged = reader.merge(meet)
    ways = reader.ways(merged)
    possible = tuple(way for way in ways or () if reader.is_possible(way))
    alternatives: Either = kinds_of(reader, merged) if ways is None else possible
    said = list(say_unions(reader, merged, written_out=ways is not None))
    if not alternatives:
        return finish(reader, merged, ANYTHING, [*said, "No value fits"])
    if _is_wrapped_nullable(meet) and Null() not in alternatives:
        alternatives = (*alternatives, Null())
    return finish(reader, merged, alternatives, said)


def _reference(reader: Reader, meet: Meet) -> Reference | None:
    """The one schema that others come down to, if they ask for nothing beside it."""
    notes: dict[Place, None] = {}
    targets: dict[Place, None] = {}
    todo = list(meet.places)
    while todo:
        place = todo.pop()
        if place.node is True or place in notes:
            continue
        if place.node is False or meet.beside or place.asks - _WRAPPERS:
            return None
        check_node(place)
        notes[place] = None
        for keyword in ("allOf", *UNIONS):
            branches = place.node.get(keyword) or ()
            if keyword != "allOf" and len(branches) > 1:
                return None
            todo += [place.at(keyword, index) for index in range(len(branches))]
        if place.asks & {*REFERENCES}:
            targets[reader.document.follow(place)] = None
    if len(targets) != 1:
        return None
    (target,) = targets
    # "when using $ref, type should be defined in the referenced schema instead of the parent schema"
    # (farion1231/cc-switch discussion 6953): a type that it has there need not be said again.
    said = [{*types_written(note.node)} for note in notes if note.node.get("type") is not None]
    found = reader.merge(Meet.of(target)).types if said else ()
    if isinstance(target.node, bool) or found is None or not all({*found} <= types for types in said):
        return None
    description = describe(notes, [text for note in notes for text in sentences(note.node)])
    nullable = any(is_nullable(note.node) for note in notes)
    return Reference(target, join(description, _say_default(notes)), nullable)


def finish(reader: Reader, merged: Merged, alternatives: Either, said: Iterable[str]) -> Form:
    """The form with these alternatives, with its description and its default."""
    description = describe(merged.speaking, [*say_rest(reader, merged), *said])
    order = tuple(merged.speaking[0].node) if merged.speaking else ()
    default = _default_of(merged.speaking)
    if len(alternatives) == 1 and _takes_default(alternatives[0], default):
        return Form(alternatives, description, default, order)
    return Form(alternatives, join(description, _say_default(merged.speaking)), None, order)


def _is_wrapped_nullable(meet: Meet) -> bool:
    """Whether null is allowed beside what is merged: `nullable` beside `allOf`, which has no type to add it to."""
    places = meet.beside + meet.places
    wrappers = {*REFERENCES, *UNIONS, "allOf"}
    return bool(places) and all(is_nullable(place.node) and place.asks & wrappers for place in places)


def _default_of(places: Iterable[Place]) -> Any:
    """The first default of several schemas; None is no default, for it constrains nothing and Pydantic writes it."""
    return next((place.node["default"] for place in places if place.node.get("default") is not None), None)


def _say_default(places: Iterable[Place]) -> list[str]:
    """The first default of several schemas as a sentence, if there is one."""
    default = _default_of(places)
    return [] if default is None else [f"Default: {dump(default)}"]


def _takes_default(alternative: Any, default: Any) -> bool:
    """walle.md: "`default` is only allowed for `boolean`, `number`, `string`, `integer`, and `null`"."""
    if default is None or isinstance(alternative, Meet) or alternative.type not in SCALARS:
        return False
    return is_type(default, alternative.type) and (alternative.values is None or default in alternative.values)


# What has no keyword in the dialect


def say_rest(reader: Reader, merged: Merged) -> Iterator[str]:
    """What the dialect's keywords could not say of what holds, one sentence without a full stop each."""
    types = {*(merged.types if merged.types is not None else TYPES)}
    kinds = types | ({"number"} if "integer" in types else set())
    for place in merged.speaking:
        yield from sentences(place.node, kinds)
        if is_mistyped(place):
            yield f"Type: {' or '.join(types_written(place.node))}"
    if "number" in kinds:
        yield from _say_limits(merged, types)
    compound = [value for value in merged.values or () if isinstance(value, (Mapping, list, tuple))]
    if compound:
        yield f"{'Always' if len(compound) == 1 else 'One of:'} {say_values(compound)}"
    if "object" in types:
        yield from (f"Leave out {key}" for key, meet in merged.properties().items() if not reader.is_possible(meet))


def _say_limits(merged: Merged, types: set[str]) -> Iterator[str]:
    for bound, (word, plain_word) in zip(merged.range(), (("Greater", "At least"), ("Less", "At most")), strict=True):
        if bound is not None and bound[1] and "number" in types and merged.values is None:
            yield f"{word} than {dump(bound[0])}"
        elif bound is not None and not is_plain(bound[0]):
            yield f"{plain_word} {dump(bound[0])}"


def say_unions(reader: Reader, merged: Merged, written_out: bool) -> Iterator[str]:
    """What the alternatives of a union do not say themselves, or all of it where they are not written out."""
    for branches in merged.unions:
        yield from _say_discriminator(reader, branches)
        keywords = set[str]().union(*(place.asks for place in branches if isinstance(place.node, Mapping)))
        if keywords == {"required"} or not written_out:
            exclusive = branches[0].parent is not None and branches[0].parent.token == "oneOf"
            quantity = "Exactly one of" if exclusive else "At least one of"
            yield f"{quantity}: {'; '.join(say(branch.node) for branch in branches)}"


def _say_discriminator(reader: Reader, branches: tuple[Place, ...]) -> Iterator[str]:
    """OpenAPI's tag of a union, where the branches do not carry it themselves."""
    owner = branches[0].parent and branches[0].parent.parent
    discriminator = owner.node.get("discriminator") if owner else None
    name = discriminator.get("propertyName") if isinstance(discriminator, Mapping) else None
    if not isinstance(discriminator, Mapping) or not isinstance(name, str):
        return
    tagged = reader.merge(Meet.of(branches[0])).properties().get(name)
    if tagged is None or reader.merge(tagged).values is None:
        mapping = discriminator.get("mapping") or {}
        ways = ", ".join(f"{tag} for {str(target).rpartition('/')[2]}" for tag, target in mapping.items())
        yield f"{name} tells which{f': {ways}' if ways else ''}"
