"""Structured output on every family, in every form of schema, and what happens when an answer is not what it should be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessageChunk, HumanMessage, SystemMessage
from pydantic import BaseModel, Field, RootModel
from pydantic import v1 as pydantic_v1
from typing_extensions import TypedDict

from kimi_emulator import KimiEmulator, Reply, ToolCall
from langchain_kimi.structured import read_schema
from tests.families import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore::kimi_wire.errors.KimiWarning")


class Sky(Enum):
    CLEAR = "clear"
    CLOUDY = "cloudy"


class Wind(BaseModel):
    """Where the wind comes from."""

    direction: Literal["north", "south", "east", "west"]
    speed: float | None = Field(None, ge=0, description="in metres per second")


class Weather(BaseModel):
    """A weather report."""

    city: str = Field(description="the city's name", min_length=1)
    sky: Sky
    wind: Wind | None = None
    day: date | None = None
    warnings: list[str] = Field(default_factory=list, max_length=5)
    near: tuple[float, float] | None = None


class Node(BaseModel):
    """A node of a tree."""

    name: str
    children: list[Node] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Owner(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


class Numbers(RootModel[list[int]]):
    """Some numbers."""


@dataclass
class Point:
    """A point."""

    x: float
    y: float = 0.0


class Joke(TypedDict):
    """A joke."""

    setup: Annotated[str, ..., "how it begins"]
    punchline: str


class OldJoke(pydantic_v1.BaseModel):
    """A joke."""

    setup: str
    punchline: str


JOKE_SCHEMA = {"title": "joke", "description": "A joke.", **Weather.model_json_schema()["$defs"]["Wind"]}
METHODS = ["json_schema", "function_calling", "json_mode"]


@pytest.mark.slow
@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Weather, Node, Owner, Numbers, Point], ids=lambda schema: schema.__name__)
async def test_every_family_every_method(kimi: KimiEmulator, make: Any, model: str, method: Any, schema: Any) -> None:
    structured = make(model).with_structured_output(schema, method=method)
    question = f"Call {schema.__name__} to report on Paris: 3 and 4."
    assert isinstance(structured.invoke(question), schema)
    assert isinstance(await structured.ainvoke(question), schema)
    assert isinstance(list(structured.stream(question))[-1], schema)
    assert isinstance([part async for part in structured.astream(question)][-1], schema)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Joke, JOKE_SCHEMA, {"type": "object", "properties": {"setup": {"type": "string"}}}])
def test_dicts_come_out_of_what_is_no_class(make: Any, method: Any, schema: Any) -> None:
    assert isinstance(make().with_structured_output(schema, method=method).invoke("Tell me a joke."), dict)


def test_pydantic_v1(make: Any) -> None:
    assert isinstance(make().with_structured_output(OldJoke).invoke("Tell me a joke."), OldJoke)


def test_types_that_are_no_classes(kimi: KimiEmulator, make: Any) -> None:
    structured = make().with_structured_output(list[Point])
    assert all(isinstance(point, Point) for point in structured.invoke("Some points."))
    schema = kimi.requests[-1].body["response_format"]["json_schema"]["schema"]
    assert schema["type"] == "object"
    kimi.script(Reply('{"answer": [{"x": 1, "y": 2}]}'))
    assert structured.invoke("Some points.") == [Point(1.0, 2.0)]


@pytest.mark.says(
    "docs/structured-output.md",
    "By default the server holds the answer to the schema, with thinking left on, and no tool choice is forced.",
)
def test_the_default_leaves_thinking_on(kimi: KimiEmulator, make: Any) -> None:
    raw = make("kimi-k2.6").with_structured_output(Weather, include_raw=True).invoke("Report on Paris.")
    assert isinstance(raw["parsed"], Weather)
    assert raw["parsing_error"] is None
    assert raw["raw"].additional_kwargs["reasoning_content"]
    body = kimi.requests[-1].body
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["response_format"]["json_schema"]["name"] == "Weather"
    assert not {"thinking", "tools", "tool_choice"} & set(body)


def test_strict_is_passed_on(kimi: KimiEmulator, make: Any) -> None:
    make().with_structured_output(Weather, strict=False).invoke("Report on Paris.")
    assert kimi.requests[-1].body["response_format"]["json_schema"]["strict"] is False
    make().with_structured_output(Weather, method="function_calling", strict=False).invoke("Report on Paris.")
    assert kimi.requests[-1].body["tools"][0]["function"]["strict"] is False


def test_k25_gets_a_tool_in_place_of_a_schema_it_does_not_keep(kimi: KimiEmulator, make: Any) -> None:
    make("kimi-k2.5").with_structured_output(Weather).invoke("Report on Paris.")
    assert "response_format" not in kimi.requests[-1].body
    assert kimi.requests[-1].body["tools"][0]["function"]["name"] == "Weather"


def test_json_mode_describes_the_schema_where_the_prompt_does_not(kimi: KimiEmulator, make: Any) -> None:
    structured = make().with_structured_output(Joke, method="json_mode")
    structured.invoke([SystemMessage("Be brief."), HumanMessage("Tell me a joke.")])
    first, *rest = kimi.requests[-1].body["messages"]
    assert '"punchline"' in first["content"]
    assert [message["content"] for message in rest] == ["Be brief.", "Tell me a joke."]
    structured.invoke("Tell me a joke as JSON with the keys setup and punchline.")
    assert len(kimi.requests[-1].body["messages"]) == 1
    assert kimi.requests[-1].body["response_format"] == {"type": "json_object"}
    kimi.script(Reply('{"anything": 1}'))
    assert make().with_structured_output(None, method="json_mode").invoke("hi") == {"anything": 1}


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_partial_objects_stream(kimi: KimiEmulator, make: Any, method: Any) -> None:
    text = json.dumps({"setup": "Why did the cat cross the road?", "punchline": "To get to the other side."})
    reply = Reply(text) if method == "json_schema" else Reply(tool_calls=[ToolCall("Joke", text)])
    kimi.script(reply)
    parts = list(make().with_structured_output(Joke, method=method).stream("Tell me a joke."))
    assert len(parts) > 3
    assert parts[-1] == json.loads(text)
    assert all(json.loads(text)["setup"].startswith(part.get("setup", "")) for part in parts)
    kimi.script(reply)
    nodes = (
        list(make().with_structured_output(OldJoke, method=method).stream("Tell me a joke."))
        if method == "json_schema"
        else []
    )
    assert all(isinstance(node, OldJoke) for node in nodes)


WEATHER = '{"city": "Paris", "sky": "clear"}'


@pytest.mark.says("docs/structured-output.md", "Fences around JSON are taken off.")
@pytest.mark.parametrize(
    "text", [WEATHER, f"```json\n{WEATHER}\n```", f"```\n{WEATHER}\n```\nHope this helps!", f"Here: {WEATHER} Done."]
)
def test_json_in_fences_and_prose(kimi: KimiEmulator, make: Any, text: str) -> None:
    for structured in (
        make("kimi-k2.6").with_structured_output(Weather),
        make("kimi-k2.6").with_structured_output(Weather, method="json_mode"),
    ):
        kimi.script(Reply(text), Reply(text))
        assert structured.invoke("hi").city == "Paris"
        assert list(structured.stream("hi"))[-1].city == "Paris"


def test_a_fence_is_no_part_of_a_json_answer(kimi: KimiEmulator, make: Any) -> None:
    """`create_agent`'s ProviderStrategy reads the text as JSON, just so."""
    model = make("kimi-k2.6").bind(response_format={"type": "json_object"})
    kimi.script(Reply(f"```json\n{WEATHER}\n```"), Reply(f"```json\n{WEATHER}\n```"))
    assert model.invoke("hi").content == WEATHER
    assert "".join(str(chunk.content) for chunk in model.stream("hi") if isinstance(chunk, AIMessageChunk)) == WEATHER


@pytest.mark.says("docs/structured-output.md", "An answer that was cut is reported as cut")
@pytest.mark.parametrize("schema", [Weather, Joke, Numbers])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_cut_answer_is_reported_as_cut(kimi: KimiEmulator, make: Any, schema: Any, streamed: bool) -> None:
    for reply in (
        Reply('{"setup": "Why", "city": "Par', finish_reason="length"),
        Reply("", reasoning="hm", finish_reason="length"),
    ):
        kimi.script(reply)
        structured = make().with_structured_output(schema)
        with pytest.raises(OutputParserException, match=r"cut at its token limit.*Raise max_tokens"):
            list(structured.stream("hi")) if streamed else structured.invoke("hi")


@pytest.mark.says("docs/structured-output.md", "a wrong one with the path and its text")
@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (
            Reply("I cannot help with that."),
            r"The answer is not a JSON object\.(.|\n)*The answer: I cannot help with that",
        ),
        (
            Reply('{"city": "Paris", "sky": "green"}'),
            r"does not fit Weather: sky: Input should be(.|\n)*The answer: \{\"city\"",
        ),
        (Reply('{"city": "Paris"}'), r"sky: Field required"),
        *((Reply(text), "The answer is not a JSON object") for text in ("[1]", '"Paris"', "7", "true", "null", "[{}]")),
    ],
)
def test_wrong_answers_show_the_path_and_the_text(kimi: KimiEmulator, make: Any, reply: Reply, message: str) -> None:
    kimi.script(reply, reply)
    with pytest.raises(OutputParserException, match=message):
        make().with_structured_output(Weather).invoke("hi")
    raw = make().with_structured_output(Weather, include_raw=True).invoke("hi")
    assert raw["parsed"] is None
    assert isinstance(raw["parsing_error"], OutputParserException)
    assert raw["raw"].content == reply.content


def test_wrong_tool_answers(kimi: KimiEmulator, make: Any) -> None:
    structured = make().with_structured_output(Weather, method="function_calling")
    kimi.script(
        Reply(tool_calls=[ToolCall("Weather", "{oops")]), Reply(tool_calls=[ToolCall("Weather", '{"city": 1}')])
    )
    with pytest.raises(OutputParserException, match=r"not a JSON object\.(.|\n)*The answer: \{oops"):
        structured.invoke("hi")
    with pytest.raises(OutputParserException, match="does not fit Weather"):
        structured.invoke("hi")


def test_arguments(make: Any) -> None:
    with pytest.raises(ValueError, match="needs a schema"):
        make().with_structured_output(None)
    with pytest.raises(ValueError, match="is not one of json_schema"):
        make().with_structured_output(Weather, method="xml")


@pytest.mark.parametrize(
    ("schema", "name", "wrapped"),
    [
        (Weather, "Weather", False),
        (Node, "Node", False),
        (Numbers, "Numbers", True),
        (RootModel[dict[str, int]], "RootModel_dict_str__int__", False),
        (RootModel[Cat | Dog], "RootModel_Union_Cat__Dog__", True),
        (int, "int", True),
        ({"name": "do", "description": "d", "parameters": {"type": "object", "properties": {}}}, "do", False),
        ({"name": "do", "input_schema": {"type": "object", "properties": {}}}, "do", False),
        (
            {"type": "function", "function": {"name": "do", "parameters": {"type": "object", "properties": {}}}},
            "do",
            False,
        ),
        ({"title": "1 Ünit", "type": "array", "items": {"type": "string"}}, "nit", True),
        ({"properties": {"a": {"type": "string"}}}, "answer", False),
        ({"allOf": [{"type": "object"}]}, "answer", False),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, "answer", True),
        ({"$ref": "#/definitions/A", "definitions": {"A": {"type": "object", "properties": {}}}}, "answer", False),
    ],
)
def test_schemas_in_every_form(schema: Any, name: str, wrapped: bool) -> None:
    form = read_schema(schema).form
    assert (form.name, form.wrapped) == (name, wrapped)
    assert form.tool["function"]["parameters"] == form.schema == form.response_format["json_schema"]["schema"]


def test_traces_show_the_schema_of_types_that_are_no_classes(make: Any) -> None:
    # langchain-core converts the schema itself, and from Python 3.13 on a `list[Point]` is a TypeError there:
    # "list[Point] is not a module, class, method, or function."
    seen: list[Any] = []

    class Listener(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            seen.append(kwargs["options"]["ls_structured_output_format"]["schema"])

    make().with_structured_output(list[Point]).invoke("Two points.", config={"callbacks": [Listener()]})
    (schema,) = seen
    assert schema["type"] == "object"
    assert "Point" in schema["$defs"]
