"""Any JSON Schema as Moonshot's dialect of it (MFJS), so that tools and structured output go through on every model.

Rules of the dialect: docs/mfjs-spec.md, docs/walle.md and the validator in https://github.com/MoonshotAI/walle; where
those and reports of what the server refuses contradict each other, the result has the form that all of them take.

Others take `normalise_schema`, `is_object_schema` and `wrap_schema` from here, and nothing from further in. This is how
one schema goes through the room; each step is a module, and knows those before it.

```python
schema = {
    "type": "object",
    "properties": {
        "size": {"allOf": [{"type": "integer", "minimum": 0}, {"exclusiveMaximum": 10}]},
        "code": {"type": ["string", "null"], "pattern": "^[a-z]+$"},
        "owner": {"$ref": "#/definitions/Person", "description": "Who asks"},
    },
    "definitions": {"Person": {"oneOf": [{"const": "me"}, {"type": "object", "title": "Person"}]}},
}
```

**Reading.** `keywords` is the table: what each keyword may hold and what becomes of it. `source` gives every part of
the schema a `Place`, which knows the way to it, so that a mistake is reported where it is. `references` finds what a
reference means.

```python
from kimi_wire.schema.references import Document

document = Document(schema, "tool")
size, code, owner = (document.root.at("properties", name) for name in schema["properties"])
person = document.follow(owner)
assert size.path == "tool.properties.size" and person.path == "tool.definitions.Person"
```

**Taking together.** Much of JSON Schema is several schemas that hold at once: `allOf`, what stands beside a `$ref` or
a union. `meet` collects them, and finds what they have in common. A `Meet` is only the list of them, so that recursion
needs no care.

```python
from kimi_wire.schema.meet import Meet, Reader

reader = Reader(document)
merged = reader.merge(Meet.of(size))
assert len(merged.parts) == 3 and merged.types == ("integer",)
assert merged.range() == ((0, False), (10, True))
```

**Lowering.** `kinds` has the typed form: one record per type, a union is a tuple of them. What is inside of a record
stays a `Meet`. `lower` makes the form of a `Meet`, and puts what the dialect cannot say into `words`; `root` makes the
root, which has to be one object.

```python
from kimi_wire.schema.kinds import Null, Number, Object, Reference, Text
from kimi_wire.schema.lower import lower
from kimi_wire.schema.root import lower_root

assert lower(reader, Meet.of(size)).alternatives == (Number("integer", low=0, high=9),)
assert lower(reader, Meet.of(code)).alternatives == (Text(), Null())
assert lower(reader, Meet.of(code)).description == "Pattern: ^[a-z]+$."
assert lower(reader, Meet.of(owner)) == Reference(person, "Who asks")
branches = [Meet.of(person.at("oneOf", number)) for number in (0, 1)]
assert lower(reader, Meet.of(person)).alternatives == tuple(branches)
assert lower(reader, branches[0]).alternatives == (Text(values=("me",)),)
assert list(lower_root(reader).alternatives[0].properties) == ["size", "code", "owner"]
```

**Linking.** `graph` lowers all that the root leads to, each once, and says what refers to what.

```python
from kimi_wire.schema.graph import Graph

graph = Graph(reader)
link = graph.link(Meet.of(owner))
assert link.target is person and link.node.form == lower(reader, Meet.of(person)) and link.description == "Who asks"
assert graph.link(branches[0]).target is None  # written where it stands
```

**Writing.** `spell` has the dialect's keywords for a form, `names` decides what goes into `$defs`, `write` puts all in
its place; `limits` sees to size and depth, and that recursion ends, `unions` to what a union can hold. `normalise` does
all of this; `wrapping` is for schemas that are no objects, before.

```python
from kimi_wire.schema import normalise_schema

assert normalise_schema(schema, where="tool") == {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 0, "maximum": 9},
        "code": {"type": ["string", "null"], "description": "Pattern: ^[a-z]+$."},
        "owner": {"anyOf": [{"$ref": "#/$defs/Person"}], "description": "Who asks"},
    },
    "$defs": {"Person": {"anyOf": [{"type": "string", "enum": ["me"]}, {"type": "object"}]}},
}
```

To change what becomes of a keyword, begin at its row in `keywords`. What the dialect can say is a field of a record,
read in `kinds` and spelled in `spell`; what it cannot is a sentence, in the table or in `words`.

Deliberately absent: normalising the result again until it stays the same. What that found was a union that has lost
all branches but a reference; `Graph` sees that at once, and no step has to be read with a next time in mind.
"""

from kimi_wire.schema.normalise import normalise_schema
from kimi_wire.schema.wrapping import is_object_schema, wrap_schema

__all__ = ["is_object_schema", "normalise_schema", "wrap_schema"]
