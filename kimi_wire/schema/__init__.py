"""Any JSON Schema as Moonshot's dialect of it (MFJS), so that tools and structured output go through on every model.

Rules of the dialect: docs/mfjs-spec.md, docs/walle.md and the validator in https://github.com/MoonshotAI/walle; where
those and reports of what the server refuses contradict each other, the result has the form that all of them take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema.graph import Graph
from kimi_wire.schema.limits import check_limits, make_finite
from kimi_wire.schema.meet import Reader
from kimi_wire.schema.references import Document
from kimi_wire.schema.source import check_json
from kimi_wire.schema.write import Writer, in_order

__all__ = ["is_object_schema", "normalise_schema"]


def normalise_schema(schema: Mapping[str, Any], *, where: str = "schema") -> dict[str, Any]:
    """Write a JSON Schema in Moonshot's dialect, at its strictest level ("ultra").

    What was a valid instance stays one, and as much of what was not stays refused as the dialect has words for. The
    rest goes into the description, where the model reads it:

    | in the source | in the result |
    |---|---|
    | drafts 4 to 2020-12, Pydantic, OpenAPI 3.0 (`nullable`, `discriminator`) | one form |
    | `definitions`, nested `$defs`, `$id`, anchors, pointers to anywhere | `$defs` at the root, `$ref: "#/$defs/..."` |
    | keywords beside a `$ref`, `allOf` | merged; a description stands beside `anyOf: [{"$ref": ...}]` |
    | `oneOf`, keywords beside a union | `anyOf`, with the keywords in each branch |
    | `const`, `enum` of several types, null among the values | `enum` of one type each, joined by `anyOf` |
    | exclusive bounds | exact for integers, else inclusive and described |
    | tuples | arrays of the union of their items, with bounds, described |
    | no `type` | that of the values, or those the keywords are about; otherwise any |
    | `pattern`, `format`, `not`, `if`, `patternProperties` and the like | described |
    | `title` | dropped where it only repeats the name, otherwise part of the description |
    | `default` | kept for a scalar of the type, otherwise described; a default of null is dropped |
    | properties named `$ref`, `anyOf`, `required` and the like, which the dialect refuses | allowed, and described |

    The root must allow objects, and is taken to mean those alone. A union at the root is merged into one object, whose
    description names the alternatives, because the root of a tool must have `type: object`; to keep such a union exact,
    put it into a property.

    Args:
        schema: The schema; it is not changed.
        where: What to call it in errors, such as `tools.search.parameters`.

    Returns:
        A new schema. The same schema always gives the same result, and the result gives itself.

    Raises:
        KimiRequestError: The schema has a mistake (a required property that is not declared, a reference to nothing or
            to somewhere else, a type that does not exist), nothing can satisfy it, its root is not an object, or it
            is beyond a limit of the dialect (120,000 bytes, depth 30, 3,000 properties, 1,000 values in an `enum`, 500
            alternatives in an `anyOf`). The message begins with the path.
    """
    if not isinstance(schema, Mapping):
        raise KimiRequestError(f"{where}: a schema must be an object, not {schema!r}.")
    check_json(schema, where)
    document = Document(schema, where)
    written = Writer(Graph(Reader(document)), document.root).write()
    check_limits(written, where)
    finite = make_finite(written, where)
    if finite is not written:
        check_limits(finite, where)
    return in_order(finite, schema)


def is_object_schema(schema: Any, root: Mapping[str, Any] | None = None) -> bool:
    """Whether a schema describes objects only: by its type, through a reference, or by parts that all hold.

    The dialect takes no other root; an adapter puts what is none into a property of one.

    Args:
        schema: The schema.
        root: What its references are relative to; itself by default.
    """
    root = schema if root is None else root
    seen: list[str] = []
    while isinstance(schema, Mapping) and isinstance(schema.get("$ref"), str) and schema["$ref"] not in seen:
        seen.append(schema["$ref"])
        bucket, _, name = schema["$ref"].removeprefix("#/").partition("/")
        schema = (root or {}).get(bucket, {}).get(name)
    if not isinstance(schema, Mapping):
        return False
    if "type" in schema:
        return bool(schema["type"] == "object")
    return "properties" in schema or any(is_object_schema(part, root) for part in schema.get("allOf", ()))
