"""The rules that hold requests to the dialect, on their own and wired into the emulator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, rules
from kimi_emulator.request import ChatRequest, Rejected, Rule
from kimi_emulator.rules import schema as rules_schema

from .conftest import Answer

USER = {"role": "user", "content": "Book a table for Ada in Paris, 2 people."}
UNION = {"type": "object", "anyOf": [{"properties": {}}, {"properties": {}}]}
WORDS = "when using anyOf, type should be defined in anyOf items instead of the parent schema"
PREFIX = "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path "


@pytest.fixture(autouse=True)
def _wired(monkeypatch: pytest.MonkeyPatch) -> None:
    others = tuple(rule for rule in rules.RULES if rule not in rules_schema.RULES)
    monkeypatch.setattr(rules, "RULES", (*others, *rules_schema.RULES))


@pytest.fixture
def kimi() -> Iterator[KimiEmulator]:
    with KimiEmulator() as emulator:
        yield emulator


def tool(parameters: Any, name: str = "f") -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def json_schema(schema: Any, **more: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, **more}}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "kimi-k3", "messages": [USER], **fields}


def holding(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": schema}}


PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}

# the rule, what it refuses, the words, the nearest that is accepted
CASES: list[tuple[Rule, dict[str, Any], str, dict[str, Any]]] = [
    (
        rules_schema.parameters_are_in_the_dialect,
        body(tools=[tool(UNION)]),
        f"{PREFIX}'root': {WORDS}>",
        body(tools=[tool(holding({"anyOf": [PERSON, {"type": "null"}]}))]),
    ),
    (
        rules_schema.parameters_are_in_the_dialect,
        body(tools=[tool(PERSON), tool(holding(True), "g")]),
        f"{PREFIX}'properties': property schema for 'x' must be an object>",
        body(tools=[tool(PERSON), tool(holding(PERSON), "g")]),
    ),
    (
        rules_schema.parameters_are_in_the_dialect,
        body(messages=[{"role": "system", "tools": [tool(holding({"enum": ["a"]}))]}, USER]),
        f"{PREFIX}'properties.x': type is not defined>",
        body(messages=[{"role": "system", "tools": [tool(holding({"type": "string", "enum": ["a"]}))]}, USER]),
    ),
    (
        rules_schema.answer_schema_is_in_the_dialect,
        body(response_format=json_schema({"$schema": "https://json-schema.org/draft/2020-12/schema", **PERSON})),
        "Invalid request: response_format.json_schema is not a valid moonshot flavored json schema, "
        "details: <At path 'root': unsupported keywords: $schema>",
        body(response_format=json_schema(PERSON)),
    ),
    (
        rules_schema.answer_schema_is_in_the_dialect,
        body(response_format=json_schema(holding({"$ref": "#/definitions/A"}), strict=False)),
        "Invalid request: response_format.json_schema is not a valid moonshot flavored json schema, "
        "details: <At path 'properties.x.$ref': references must start with #/$defs/>",
        body(response_format=json_schema({**holding({"$ref": "#/$defs/A"}), "$defs": {"A": PERSON}}, strict=False)),
    ),
]


def read(given: dict[str, Any]) -> ChatRequest:
    return rules.read_chat_request(given, extra_models={})


@pytest.mark.parametrize(("rule", "refused", "words", "accepted"), CASES)
def test_rule(rule: Rule, refused: dict[str, Any], words: str, accepted: dict[str, Any]) -> None:
    for check in (rule, rules.check):
        with pytest.raises(Rejected) as caught:
            check(read(refused))
        assert caught.value.message == words
        assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
        check(read(accepted))


def test_every_rule_has_a_case_and_a_source() -> None:
    assert {rule for rule, *_ in CASES} == set(rules_schema.RULES)
    for rule in rules_schema.RULES:
        assert re.search(r"Recorded|Reported", rule.__doc__ or "")


def test_builtin_functions_have_no_parameters() -> None:
    search = {"type": "builtin_function", "function": {"name": "$web_search"}}
    rules.check(read(body(tools=[search, tool(PERSON)])))
    with pytest.raises(Rejected, match="moonshot flavored"):
        rules.check(read(body(tools=[search, tool(UNION)])))


@pytest.mark.parametrize("format", [{"type": "json_object"}, {"type": "text"}, None])
def test_only_json_schema_formats_have_a_schema(format: Any) -> None:
    rules.check(read(body(response_format=format)))


def test_earlier_rules_speak_first() -> None:
    with pytest.raises(Rejected, match=r"parameters\.type is required"):
        rules.check(read(body(tools=[tool({"anyOf": [PERSON]})])))
    with pytest.raises(Rejected, match="is illegal"):
        rules.check(read(body(response_format=json_schema("object"))))


def test_the_recorded_error_word_for_word(
    kimi: KimiEmulator, http_send: Callable[..., Answer], recordings: Path
) -> None:
    recorded = json.loads((recordings / "errors" / "error_bodies.json").read_text(encoding="utf-8"))
    said = [entry for entry in recorded if "moonshot flavored" in json.dumps(entry)]
    assert said
    answer = http_send(kimi, body(tools=[tool(UNION)]))
    assert [(entry["status"], entry["body"]) for entry in said] == [(answer.status, answer.json)] * len(said)


def test_what_is_not_json_never_comes_to_the_check(recordings: Path) -> None:
    for file in sorted((recordings / "mfjs_cases").glob("*/invalid.jsonl")):
        for line in filter(str.strip, file.read_text(encoding="utf-8").splitlines()):
            case = json.loads(line)
            raw = '{"model":"kimi-k3","messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema",'
            raw += f'"json_schema":{{"name":"x","schema":{case["schema"]}}}}}}}'
            with pytest.raises(Rejected):
                rules.check(read(rules.parse_body(raw.encode())))


@pytest.mark.parametrize("depth", [100, 900, 10_000, 100_000])
def test_deep_nesting_is_refused_with_a_message(
    kimi: KimiEmulator, http_send: Callable[..., Answer], depth: int
) -> None:
    deep = '{"type":"object","properties":{"x":' * depth + "{}" + "}}" * depth
    raw = '{"model":"kimi-k3","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":'
    answer = http_send(kimi, f'{raw}{{"name":"f","parameters":{deep}}}}}]}}'.encode())
    assert answer.status == 400
    assert re.search("schema depth exceeds maximum limit of 30|not valid JSON", answer.error)


# The emulator's own answers go by every schema that is accepted.


def assert_fits(instance: str, schema: dict[str, Any]) -> None:
    """Patterns aside, which the API does not enforce yet."""
    known = {key: value for key, value in schema.items() if key != "pattern"}
    pytest.importorskip("jsonschema").Draft202012Validator(known).validate(json.loads(instance))


def test_answers_fit_moonshots_valid_schemas(
    kimi: KimiEmulator, http_send: Callable[..., Answer], recordings: Path
) -> None:
    for file in sorted((recordings / "mfjs_cases").glob("*/valid.jsonl")):
        for line in filter(str.strip, file.read_text(encoding="utf-8").splitlines()):
            schema = json.loads(line)
            answer = http_send(kimi, body(response_format=json_schema(schema))) if schema else None
            if answer is not None:
                assert answer.status == 200, (answer.raw, line)
                assert_fits(answer.message["content"], schema)
            if schema.get("type") == "object":
                answer = http_send(kimi, body(tools=[tool(schema)], tool_choice="required"))
                assert answer.status == 200, (answer.raw, line)
                for call in answer.message["tool_calls"]:
                    assert_fits(call["function"]["arguments"], schema)


FEATURES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reference": ({"$ref": "#/$defs/City", "description": "where to"}, {"City": {"type": "string", "title": "City"}}),
    "reference to a part": (
        {"$ref": "#/$defs/Trip/properties/city"},
        {"Trip": {"type": "object", "properties": {"city": {"type": "string", "minLength": 3}}}},
    ),
    "reference to a reference": ({"$ref": "#/$defs/A"}, {"A": {"$ref": "#/$defs/B"}, "B": {"type": "integer"}}),
    "list that refers to itself": (
        {"$ref": "#/$defs/Node"},
        {
            "Node": {
                "type": "object",
                "properties": {
                    "value": {"type": "integer"},
                    "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                },
                "required": ["value", "next"],
            }
        },
    ),
    "root that refers to itself": ({"anyOf": [{"type": "null"}, {"$ref": "#"}]}, {}),
    "list that ends with a text": (
        {"$ref": "#/$defs/List"},
        {
            "List": {
                "anyOf": [
                    {"type": "object", "properties": {"next": {"$ref": "#/$defs/List"}}, "required": ["next"]},
                    {"type": "string"},
                ]
            }
        },
    ),
    "tree": ({"type": "array", "items": {"anyOf": [{"type": "string"}, {"$ref": "#"}]}, "minItems": 2}, {}),
    "enum": ({"type": "string", "enum": ["rome", "paris"]}, {}),
    "enum or null": ({"type": ["null", "integer"], "enum": [4, None]}, {}),
    "enum of booleans": ({"type": "boolean", "enum": [False]}, {}),
    "several types": ({"type": ["array", "null"]}, {}),
    "union": ({"anyOf": [{"type": "integer", "minimum": 7}, {"type": "boolean"}]}, {}),
    "union of unions": ({"anyOf": [{"anyOf": [{"type": "array", "minItems": 1}, {"type": "null"}]}]}, {}),
    "anything beside": ({"type": "object", "additionalProperties": {}}, {}),
    "nothing beside": ({"type": "object", "properties": {}, "additionalProperties": False}, {}),
    "bounds": ({"type": "number", "minimum": 0.25, "maximum": 0.5}, {}),
    "length": ({"type": "string", "minLength": 40, "maxLength": 41}, {}),
}


@pytest.mark.parametrize("feature", FEATURES)
def test_answers_fit_what_the_dialect_has(kimi: KimiEmulator, http_send: Callable[..., Answer], feature: str) -> None:
    schema, definitions = FEATURES[feature]
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"], "$defs": definitions}
    answer = http_send(kimi, body(response_format=json_schema(whole)))
    assert answer.status == 200, answer.raw
    assert_fits(answer.message["content"], whole)
    answer = http_send(kimi, body(tools=[tool(whole)], tool_choice="required"))
    assert answer.status == 200, answer.raw
    assert_fits(answer.message["tool_calls"][0]["function"]["arguments"], whole)
