"""Values that models encode twice are decoded where the tool's own schema has no text; all else stays as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_wire.answers.nested import NestedArguments, decode_arguments
from kimi_wire.arguments import is_reading_of

TODO = {
    "type": "object",
    "properties": {"title": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "todos": {"type": "array", "items": {"$ref": "#/$defs/Todo"}},
        "note": {"type": "string"},
        "either": {"anyOf": [{"type": "array"}, {"type": "string"}]},
        "maybe": {"anyOf": [{"$ref": "#/$defs/Todo"}, {"type": "null"}]},
        "any": {},
        "all": {"allOf": [{"$ref": "#/$defs/Todo"}], "description": "x"},
        "listed": {"type": ["array", "null"], "items": {"type": "array"}},
        "by~name/1": {"type": "object", "additionalProperties": {"type": "array"}},
        "tree": {"$ref": "#/$defs/Tree"},
        "gone": {"$ref": "#/$defs/Gone"},
        "circle": {"$ref": "#/$defs/Circle"},
        "number": {"type": "integer"},
    },
    "$defs": {
        "Todo": TODO,
        "Tree": {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}},
        "Circle": {"anyOf": [{"$ref": "#/$defs/Circle"}]},
    },
}
ONE = [{"title": "a"}]


def twice(value: Any) -> str:
    return json.dumps(value)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ({"todos": twice(ONE)}, {"todos": ONE}),
        ({"todos": twice([])}, {"todos": []}),
        ({"todos": [twice(ONE[0]), ONE[0]]}, {"todos": [ONE[0], ONE[0]]}),
        ({"todos": [{"title": "[1]", "tags": twice(["x"])}]}, {"todos": [{"title": "[1]", "tags": ["x"]}]}),
        ({"todos": twice([{"tags": twice(["x"])}])}, {"todos": [{"tags": ["x"]}]}),
        ({"maybe": twice(ONE[0])}, {"maybe": ONE[0]}),
        ({"all": twice(ONE[0])}, {"all": ONE[0]}),
        ({"listed": twice([[1]])}, {"listed": [[1]]}),
        ({"listed": [twice([1])]}, {"listed": [[1]]}),
        ({"by~name/1": {"x": twice([1]), "y": "z"}}, {"by~name/1": {"x": [1], "y": "z"}}),
        ({"tree": {"children": [{"children": twice([{}])}]}}, {"tree": {"children": [{"children": [{}]}]}}),
    ],
)
def test_what_is_encoded_twice_is_decoded(written: Any, read: Any) -> None:
    assert json.loads(decode_arguments(json.dumps(written), SCHEMA)) == read
    assert is_reading_of(read, written)


@pytest.mark.parametrize(
    "written",
    [
        {"note": '["a"]'},
        {"either": "[1]"},
        {"any": "[1]"},
        {"unknown": "[1]"},
        {"gone": "{}"},
        {"circle": "{}"},
        {"number": "[1]"},
        {"todos": twice({"title": "a"})},  # an object where a list belongs
        {"maybe": twice(ONE)},
        {"maybe": "null"},
        {"todos": twice("[1]")},
        {"todos": "[1"},
        {"todos": "[NaN]"},
        {"todos": ""},
        {"todos": "buy milk"},
        {"todos": "[" * 10_000},
        {"todos": "[1] and so on"},
    ],
)
def test_nothing_else_is_touched(written: Any) -> None:
    text = json.dumps(written)
    assert decode_arguments(text, SCHEMA) == text


@pytest.mark.parametrize(
    "text", ["", "{", '{"todos": "[1', '{"todos": "[1]\\', "[]", '"[1]"', '}]{"todos"', '{"todos": oops}', "{,:[}"]
)
def test_broken_arguments_stay_as_they_are(text: str) -> None:
    assert decode_arguments(text, SCHEMA) == text
    nested = NestedArguments.of(SCHEMA)
    assert nested is not None
    assert "".join(map(nested.feed, text)) + nested.end() == text


def test_all_else_keeps_its_bytes() -> None:
    text = '{ "note" : "\\u00e4[\\"" ,\n"todos":"[ {\\"title\\" : \\"\\u00e4\\"} ]", "number": 1.0}'
    assert (
        decode_arguments(text, SCHEMA) == '{ "note" : "\\u00e4[\\"" ,\n"todos":[ {"title" : "\u00e4"} ], "number": 1.0}'
    )
    assert decode_arguments('{"t\\u006fdos": "\\u005b1]"}', SCHEMA) == '{"t\\u006fdos": [1]}'


def test_a_tool_without_lists_and_objects_needs_no_reader() -> None:
    assert NestedArguments.of({"type": "object", "properties": {"a": {"type": "string"}}}) is None
    assert NestedArguments.of({}) is NestedArguments.of(None) is None


def test_a_schema_that_branches_again_and_again_is_read_once() -> None:
    defs: dict[str, Any] = {f"D{n}": {"anyOf": [{"$ref": f"#/$defs/D{n + 1}"}] * 3} for n in range(200)}
    schema = {"properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": {**defs, "D200": {"type": "array"}}}
    assert decode_arguments('{"a": "[1]"}', schema) == '{"a": [1]}'


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(["[1]", '{"title": "a"}', '"[', "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*SCHEMA["properties"], "title", "tags"]), inner, max_size=4),
)  # fmt: skip


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(list(SCHEMA["properties"])), VALUES, max_size=5), st.data())
def test_pieces_add_up_to_the_whole(arguments: dict[str, Any], data: st.DataObject) -> None:
    encoded = {key: json.dumps(value) if data.draw(st.booleans()) else value for key, value in arguments.items()}
    text = json.dumps(encoded, ensure_ascii=data.draw(st.booleans()))
    whole = decode_arguments(text, SCHEMA)
    assert is_reading_of(json.loads(whole), json.loads(text))
    nested, step = NestedArguments.of(SCHEMA), data.draw(st.integers(1, 9))
    assert nested is not None
    given = [nested.feed(text[at : at + step]) for at in range(0, len(text), step)]
    assert "".join(given) + nested.end() == whole
