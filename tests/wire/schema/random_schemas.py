"""Random JSON Schemas and instances of them, for the property tests of the normaliser."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

JSON = dict[str, Any]

NAMES = ("a", "b", "type", "enum", "items", "properties", "a/b", "$ref", "anyOf", "required", "x{y}", "")
WORDS = ("", "a", "b", "abc", "2024-01-01", "\n")
TYPES = ("string", "integer", "number", "boolean", "null", "object", "array")
SCALARS = (None, True, False, 0, 1, -1, 2, 5, 1.0, 1.5, *WORDS)
NUMBERS = (-2, 0, 1, 1.5, 3, 10)
REFERENCES = ("#/$defs/a", "#/$defs/b", "#/$defs/c", "#", "#/definitions/d~1e", "#anchor")


def random_value(random: Random, depth: int = 2) -> Any:
    """Any JSON, from a small stock so that it often fits."""
    kind = random.randrange(6) if depth else 0
    if kind == 4:
        return [random_value(random, depth - 1) for _ in range(random.randrange(3))]
    if kind == 5:
        return {random.choice(NAMES): random_value(random, depth - 1) for _ in range(random.randrange(3))}
    return random.choice(SCALARS)


def _some(random: Random, **keywords: Callable[[], Any]) -> JSON:
    """A few of some keywords."""
    return {key.rstrip("_"): make() for key, make in keywords.items() if random.random() < 0.2}


def _annotations(random: Random) -> JSON:
    return _some(
        random,
        description=lambda: random.choice(["What it is", "Ends here.", "Says: this", ""]),
        title=lambda: random.choice(["A", "A Title", "B"]),
        default=lambda: random_value(random),
        examples=lambda: [random_value(random)],
        deprecated=lambda: random.random() < 0.5,
        nullable=lambda: random.random() < 0.5,
    )


def _span(random: Random, low: str, high: str, numbers: Any) -> JSON:
    """A pair of bounds that is no mistake, or one of them, or none."""
    least, most = sorted(random.choices(numbers, k=2))
    return random.choice([{}, {}, {low: least}, {high: most}, {low: least, high: most}])


def random_schema(random: Random, depth: int = 3) -> Any:
    """Any schema, of most keywords of all drafts; its references lead to places of `random_root`."""
    kinds: list[Callable[[Random, int], Any]] = [_string, _number, _simple, _choice, _reference, _constant]
    if depth:
        kinds += [_array, _object, _object, _combined, _combined, _conditional]
    return random.choice(kinds)(random, depth - 1)


def _string(random: Random, _depth: int) -> JSON:
    more = _some(random, pattern=lambda: "^a", format=lambda: "date", contentEncoding=lambda: "base64")
    return {"type": "string", **_annotations(random), **_span(random, "minLength", "maxLength", range(4)), **more}


def _number(random: Random, _depth: int) -> JSON:
    types: Any = random.choice(["integer", "number", ["integer", "null"], ["number", "string"]])
    more = _some(random, exclusiveMinimum=lambda: random.choice(NUMBERS), multipleOf=lambda: random.choice([1, 2, 0.5]))
    return {"type": types, **_annotations(random), **_span(random, "minimum", "maximum", NUMBERS), **more}


def _simple(random: Random, _depth: int) -> JSON:
    types = [*TYPES, ["string", "null"], ["object", "array"], ["string", "integer", "object"]]
    return {"type": random.choice(types), **_annotations(random)}


def _choice(random: Random, _depth: int) -> JSON:
    if random.random() < 0.3:
        return {"const": random_value(random)}
    more = _some(random, type=lambda: random.choice(TYPES))
    return {"enum": [random_value(random) for _ in range(random.randint(1, 4))], **_annotations(random), **more}


def _reference(random: Random, _depth: int) -> JSON:
    return {"$ref": random.choice(REFERENCES), **(_annotations(random) if random.random() < 0.3 else {})}


def _constant(random: Random, _depth: int) -> Any:
    return random.choice([True, {}, {}, False, {"description": "Anything"}])


def _list(random: Random, depth: int) -> list[Any]:
    return [random_schema(random, depth) for _ in range(random.randint(1, 3))]


def _array(random: Random, depth: int) -> JSON:
    more = _some(
        random,
        items=lambda: random_schema(random, depth),
        items_=lambda: random_schema(random, depth),
        prefixItems=lambda: _list(random, depth),
        uniqueItems=lambda: True,
        contains=lambda: random_schema(random, depth),
        unevaluatedItems=lambda: False,
    )
    return {"type": "array", **_annotations(random), **_span(random, "minItems", "maxItems", range(4)), **more}


def _object(random: Random, depth: int) -> JSON:
    properties = {random.choice(NAMES): random_schema(random, depth) for _ in range(random.randrange(4))}
    more = _some(
        random,
        required=lambda: [name for name in (*properties, "undeclared") if random.random() < 0.5],
        additionalProperties=lambda: random.choice([True, False, random_schema(random, depth)]),
        patternProperties=lambda: {random.choice(["^a", "x"]): random_schema(random, depth)},
        propertyNames=lambda: {"maxLength": 3},
        minProperties=lambda: random.randrange(3),
        dependentRequired=lambda: {"a": ["b"]},
        dependentSchemas=lambda: {"a": random_schema(random, depth)},
        unevaluatedProperties=lambda: False,
    )
    types = random.choice(["object", "object", ["object", "null"]])
    return {"type": types, **_annotations(random), "properties": properties, **more}


def _combined(random: Random, depth: int) -> JSON:
    keyword = random.choice(["allOf", "anyOf", "oneOf"])
    more = _some(
        random,
        allOf=lambda: _list(random, depth),
        anyOf=lambda: _list(random, depth),
        not_=lambda: random_schema(random, depth),
        type=lambda: random.choice(["object", "string", ["string", "null"]]),
        **{"$ref": lambda: random.choice(REFERENCES)},
    )
    return {keyword: _list(random, depth), **_annotations(random), **more}


def _conditional(random: Random, depth: int) -> JSON:
    return {key: random_schema(random, depth) for key in ("if", "then", "else")}


def random_root(random: Random) -> JSON:
    """A whole schema, its root an object."""
    properties = {random.choice(NAMES): random_schema(random) for _ in range(random.randint(1, 4))}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        **random.choice([{}, {"additionalProperties": False}, {"description": "The whole"}]),
        "properties": properties,
        "required": [name for name in properties if random.random() < 0.2],
        **_some(random, anyOf=lambda: [_object(random, 1), _reference(random, 1), _object(random, 1)]),
        "$defs": {
            **{name: random_schema(random, 2) for name in "abc"},
            "anchored": {"$anchor": "anchor", "type": "string"},
        },
        "definitions": {"d/e": random_schema(random, 2)},
    }


def sample(schema: Any, root: JSON, random: Random, depth: int = 4) -> Any:
    """Something that may be an instance of a schema: most keywords are followed, some are not."""
    if not isinstance(schema, dict) or depth < 0:
        return random.choice([None, 1, "a", {}, []])
    if "$ref" in schema:
        return sample(_find(root, schema["$ref"]), root, random, depth - 1)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return random.choice(schema["enum"])
    for keyword in ("allOf", "anyOf", "oneOf"):
        if keyword in schema and (random.random() < 0.7 or "type" not in schema):
            return sample(random.choice(schema[keyword]), root, random, depth - 1)
    types = schema.get("type", TYPES)
    kind = types if isinstance(types, str) else random.choice(types)
    if kind == "object":
        return _sample_object(schema, root, random, depth)
    if kind == "array":
        return _sample_array(schema, root, random, depth)
    if kind == "string":
        return random.choice(WORDS)
    if kind in ("integer", "number"):
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        return random.choice([low, low + 1, low + 2, low + 0.5, int(low)])
    return random.choice([True, False]) if kind == "boolean" else None


def _sample_object(schema: JSON, root: JSON, random: Random, depth: int) -> JSON:
    found = {
        name: sample(inner, root, random, depth - 1)
        for name, inner in schema.get("properties", {}).items()
        if inner is not False and (name in schema.get("required", ()) or random.random() < 0.4)
    }
    if schema.get("additionalProperties") is not False and random.random() < 0.3:
        found[random.choice(["a", "ab", "extra", "$ref"])] = sample(
            schema.get("additionalProperties", True), root, random, depth - 1
        )
    return found


def _sample_array(schema: JSON, root: JSON, random: Random, depth: int) -> list[Any]:
    low = schema.get("minItems", 0)
    prefix = schema.get("prefixItems", [])
    return [
        sample(prefix[index] if index < len(prefix) else schema.get("items", True), root, random, depth - 1)
        for index in range(random.choice([low, low, low + 1, len(prefix)]))
    ]


def _find(root: JSON, reference: str) -> Any:
    return {
        "#": root,
        "#anchor": root["$defs"]["anchored"],
        "#/definitions/d~1e": root["definitions"]["d/e"],
    }.get(reference) or root["$defs"].get(reference[-1], {})


def is_well_founded(root: JSON) -> bool:
    """Whether no schema holds at once with itself; validators do not come to an end on those that do."""
    left: set[int] = set()

    def ends(schema: Any, around: tuple[int, ...]) -> bool:
        if not isinstance(schema, dict) or id(schema) in left:
            return True
        if id(schema) in around:
            return False
        around = (*around, id(schema))
        inner = [schema[key] for key in ("not", "if", "then", "else") if key in schema]
        inner += [branch for key in ("allOf", "anyOf", "oneOf") for branch in schema.get(key, ())]
        inner += schema.get("dependentSchemas", {}).values()
        inner += [_find(root, schema["$ref"])] if "$ref" in schema else []
        if not all(ends(branch, around) for branch in inner):
            return False
        left.add(id(schema))
        apart = [*schema.get("properties", {}).values(), *schema.get("patternProperties", {}).values()]
        apart += [
            schema[key] for key in ("items", "additionalProperties", "contains", "propertyNames") if key in schema
        ]
        return all(ends(other, ()) for other in [*apart, *schema.get("prefixItems", ())])

    return ends(root, ()) and all(ends(schema, ()) for schema in root["$defs"].values())
