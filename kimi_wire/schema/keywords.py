"""The table of keywords: what each may hold, and what becomes of it. Keywords that are not in it leave no trace."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")


class Fate(Enum):
    """What becomes of a keyword."""

    OPENED = "what it leads to holds as well: references, `allOf`; the branches of a union become alternatives"
    MET = "of all that hold at once the strictest is written, or what they have in common"
    SAID = "it constrains, the dialect has no word for it, and the description says it"
    NOTED = "it constrains nothing; the description says it, or the keyword it belongs to"
    LOOKED_UP = "references lead into it; what is referred to moves to the root's `$defs`"


class Shape(NamedTuple):
    """The values that a keyword takes.

    Attributes:
        kinds: Their types.
        said: What they are called in an error.
        null: Null counts as if the keyword were not there, as some serialisers mean it; otherwise it is a mistake.
        empty: Empty ones are taken.
    """

    kinds: tuple[type, ...]
    said: str
    null: bool = True
    empty: bool = True


_TEXT = Shape((str,), "a string")
_NUMBER = Shape((int, float), "a number")
_BOUND = Shape((int, float, bool), "a number")  # draft 4 marks `minimum` as exclusive with a boolean
_LIST = Shape((list, tuple), "a list")
_CHOICE = Shape((list, tuple), "a list", empty=False)
_MAP = Shape((Mapping,), "an object")
_SCHEMA = Shape((Mapping, bool), "a schema")
_ITEMS = Shape((Mapping, bool, list, tuple), "a schema")
# The server names these itself: "type must be string or array of strings", "$ref must be a string" (MoonshotAI/walle).
_TYPE = Shape((str, list, tuple), "a string or a list of strings", null=False, empty=False)
_REFERENCE = Shape((str,), "a string", null=False)
_OTHERS = Shape((Mapping, bool), "a schema", null=False)


class Keyword(NamedTuple):
    """A row of the table.

    Attributes:
        fate: What becomes of it.
        about: The type it is about; a schema without a type is taken to mean the types its keywords are about.
        takes: The values it takes, where others would be a mistake.
        holds: The schemas in it: "one", a "list", a "map", or "one or list" (`items` of draft 4).
        says: The sentence for it in the description, where its value has only to be put in.
        phrase: The same inside of another sentence, such as that of a `not`.
    """

    fate: Fate
    about: str = ""
    takes: Shape | None = None
    holds: str = ""
    says: str = ""
    phrase: str = ""


_OPENED, _MET, _SAID, _NOTED, _LOOKED_UP = Fate

# fmt: off
KEYWORDS: Mapping[str, Keyword] = {
    "$ref":                  Keyword(_OPENED, takes=_REFERENCE),
    "$dynamicRef":           Keyword(_OPENED, takes=_TEXT),
    "$recursiveRef":         Keyword(_OPENED, takes=_TEXT),
    "allOf":                 Keyword(_OPENED, takes=_LIST, holds="list"),
    "anyOf":                 Keyword(_OPENED, takes=_CHOICE, holds="list"),
    "oneOf":                 Keyword(_OPENED, takes=_CHOICE, holds="list"),
    "nullable":              Keyword(_OPENED),

    "type":                  Keyword(_MET, takes=_TYPE),
    "enum":                  Keyword(_MET, takes=_CHOICE),
    "const":                 Keyword(_MET),

    "minLength":             Keyword(_MET, "string", _NUMBER, phrase="at least {} characters"),
    "maxLength":             Keyword(_MET, "string", _NUMBER, phrase="at most {} characters"),
    "pattern":               Keyword(_SAID, "string", says="Pattern: {}", phrase="pattern {}"),
    "format":                Keyword(_SAID, says="Format: {}", phrase="{}"),  # about strings, or numbers ("int32")
    "contentEncoding":       Keyword(_SAID, "string", says="Encoding: {}"),
    "contentMediaType":      Keyword(_SAID, "string", says="Media type: {}"),

    "minimum":               Keyword(_MET, "number", _NUMBER, phrase=">= {}"),
    "maximum":               Keyword(_MET, "number", _NUMBER, phrase="<= {}"),
    "exclusiveMinimum":      Keyword(_MET, "number", _BOUND),  # exact for integers, otherwise said as well
    "exclusiveMaximum":      Keyword(_MET, "number", _BOUND),
    "multipleOf":            Keyword(_SAID, "number", _NUMBER, says="Multiple of {}", phrase="multiple of {}"),

    "items":                 Keyword(_MET, "array", _ITEMS, holds="one or list"),  # tuples: of their union, and said
    "prefixItems":           Keyword(_MET, "array", _LIST, holds="list"),
    "additionalItems":       Keyword(_MET, "array", holds="one"),
    "unevaluatedItems":      Keyword(_SAID, "array", holds="one"),
    "minItems":              Keyword(_MET, "array", _NUMBER, phrase="at least {} items"),
    "maxItems":              Keyword(_MET, "array", _NUMBER, phrase="at most {} items"),
    "uniqueItems":           Keyword(_SAID, "array", says="No item twice"),
    "contains":              Keyword(_SAID, "array", _SCHEMA, holds="one"),
    "minContains":           Keyword(_SAID, "array"),
    "maxContains":           Keyword(_SAID, "array"),

    "properties":            Keyword(_MET, "object", _MAP, holds="map"),
    "required":              Keyword(_MET, "object", _LIST),
    "additionalProperties":  Keyword(_MET, "object", _OTHERS, holds="one"),
    "patternProperties":     Keyword(_SAID, "object", _MAP, holds="map"),  # or in additionalProperties
    "propertyNames":         Keyword(_SAID, "object", holds="one"),
    "unevaluatedProperties": Keyword(_SAID, "object", holds="one"),  # false: closes what has been merged
    "minProperties":         Keyword(_SAID, "object", says="At least {} properties", phrase="at least {} properties"),
    "maxProperties":         Keyword(_SAID, "object", says="At most {} properties", phrase="at most {} properties"),
    "dependentRequired":     Keyword(_SAID, "object", _MAP),
    "dependentSchemas":      Keyword(_SAID, "object", _MAP, holds="map"),
    "dependencies":          Keyword(_SAID, "object", _MAP, holds="map"),

    "not":                   Keyword(_SAID, takes=_SCHEMA, holds="one"),
    "if":                    Keyword(_SAID, takes=_SCHEMA, holds="one"),
    "then":                  Keyword(_NOTED, takes=_SCHEMA, holds="one"),
    "else":                  Keyword(_NOTED, takes=_SCHEMA, holds="one"),

    "title":                 Keyword(_NOTED),  # dropped where it only repeats the name
    "description":           Keyword(_NOTED, takes=_TEXT),
    "default":               Keyword(_NOTED),  # written for a scalar of the type
    "discriminator":         Keyword(_NOTED),
    "deprecated":            Keyword(_NOTED, says="Deprecated"),
    "readOnly":              Keyword(_NOTED, says="Read-only"),
    "writeOnly":             Keyword(_NOTED, says="Write-only"),

    "$defs":                 Keyword(_LOOKED_UP, takes=_MAP, holds="map"),
    "definitions":           Keyword(_LOOKED_UP, takes=_MAP, holds="map"),
    "$id":                   Keyword(_LOOKED_UP),  # and draft 4's `id`
    "id":                    Keyword(_LOOKED_UP),
    "$anchor":               Keyword(_LOOKED_UP),
    "$dynamicAnchor":        Keyword(_LOOKED_UP),
}
# fmt: on

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")
UNIONS = ("anyOf", "oneOf")
OPENED = {name for name, row in KEYWORDS.items() if row.fate is Fate.OPENED}
CONSTRAINTS = OPENED | {name for name, row in KEYWORDS.items() if row.fate in (Fate.MET, Fate.SAID)}
ABOUT = {name: row.about for name, row in KEYWORDS.items() if row.about}
MAPS = tuple(name for name, row in KEYWORDS.items() if row.holds == "map")


def types_written(node: Mapping[str, Any]) -> list[Any]:
    """The value of `type` as a list; empty where there is none."""
    written = node.get("type")
    if written is None:
        return []
    return list(written) if isinstance(written, (list, tuple)) else [written]


def is_nullable(node: Any) -> bool:
    """OpenAPI 3.0 and Swagger 2.0 have a flag for null."""
    return isinstance(node, Mapping) and (node.get("nullable") is True or node.get("x-nullable") is True)


def tuple_items(node: Mapping[str, Any]) -> list[Any]:
    """The schemas of a tuple's positions, in the words of draft 2020-12 or of draft 4."""
    items = node.get("items")
    return list(node.get("prefixItems") or (items if isinstance(items, (list, tuple)) else ()))
