"""Any JSON Schema as Moonshot's dialect of it (MFJS): the steps of this room, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.schema.graph import Graph
from kimi_wire.schema.limits import check_limits, make_finite
from kimi_wire.schema.meet import Reader
from kimi_wire.schema.references import Document
from kimi_wire.schema.source import check_json
from kimi_wire.schema.unions import fit_unions
from kimi_wire.schema.write import Writer


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
    | a required property that nothing declares | declared; it may be anything that other properties may be |
    | an `enum` beside a `type` that none of its values has | the values, of their own type; the other is described |
    | more than 1,000 values or 500 alternatives | a union of several; beyond 75,000 characters of values, described |
    | a reference out of the schema | a schema where it leads to the schema of schemas, otherwise anything; described |
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
        KimiRequestError: The schema is none (a reference within it leads to nothing, a type does not exist, a keyword
            has a value of the wrong kind), nothing can satisfy it, its root is not an object, or it is beyond a limit
            of the dialect that more keywords do not help (120,000 bytes, depth 30, 3,000 properties). The message
            begins with the path.
    """
    if not isinstance(schema, Mapping):
        raise KimiRequestError(f"{where}: a schema must be an object, not {schema!r}.")
    check_json(schema, where)
    document = Document(schema, where)
    written = Writer(Graph(Reader(document)), document.root).write()
    fitted = fit_unions(make_finite(written, where))
    check_limits(fitted, where)
    # The keywords of the root in the order of the source; new ones come last.
    return {key: fitted[key] for key in [*(key for key in schema if key in fitted), *fitted]}
