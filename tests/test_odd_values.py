"""Any value for anything callers give: it is carried as JSON, or refused with a type, in both adapters.

For every setting of a call and of an object, every field of a message, a part, a call, a tool and a schema.
"""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from traceback import walk_tb
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableBinding
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from pydantic import ValidationError

import kimi_wire
from kimi_wire.errors import KimiError, KimiRequestError
from kimi_wire.model_object import CONNECTION
from kimi_wire.settings import OF_A_CALL, SETTINGS
from kimi_wire.transport.library import http_library
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.fuzz_calls import CIRCLE, DEEP, check_json

ROOT = Path(kimi_wire.__file__).parent.parent
OURS = tuple(str(ROOT / name) for name in ("kimi_wire", "langchain_kimi", "llama_index_kimi"))

CONNECTED = {"api_key": "sk-odd-0123456789abcdef", "max_retries": 0}
ANSWER = {"id": "c", "choices": [{"index": 0, "message": {"content": "ok"}, "finish_reason": "stop"}]}


@lru_cache
def client() -> Any:
    """A client whose server takes anything that is JSON."""
    http = http_library()

    def answer(request: Any) -> Any:
        check_json(request.read())
        return http.Response(200, json=ANSWER)

    return http.Client(transport=http.MockTransport(answer))


@lru_cache
def model_of(made: type[Any]) -> Any:
    return made(**CONNECTED, http_client=client())


class Odd:
    """What is no JSON."""

    def __repr__(self) -> str:
        raise TypeError("no repr")


WRONG: Mapping[str, Any] = {
    "True": True, "zero": 0, "minus": -1, "five": 5, "huge": 10**5000, "half": 1.5, "inf": float("inf"), "nan": float("nan"),
    "empty": "", "word": "x", "nul": "\x00", "surrogate": "\ud83d", "bytes": b"x", "list": [], "fives": [5], "nones": [None],
    "tuple": (1,), "dict": {}, "none-in": {"a": None}, "set-in": {"a": {1}}, "date-in": {"a": datetime.date(2026, 1, 1)},
    "key": {5: 5}, "tool-ish": {"type": "function"}, "messages-none": {"messages": None}, "messages-word": {"messages": "x"},
    "schema-ish": {"type": "json_schema", "json_schema": {"name": 5, "schema": []}}, "set": {1, 2}, "odd": Odd(), "class": Odd,
    "function": len, "deep": DEEP, "circle": CIRCLE, "long": "a" * 5000,
}  # fmt: skip
"""Values for anything; each is a wrong kind of most."""

OPTIONS = ("timeout", "max_retries", "extra_headers")
CALL = {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
SCHEMA = {"title": "L", "type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def of_call(made: type[Any], settings: Mapping[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_of(made)
        model.invoke("hi", **settings) if made is ChatKimi else model.complete("hi", **settings)


def of_object(made: type[Any], settings: Mapping[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = made(**{**CONNECTED, "http_client": client(), **settings})
        model.invoke("hi") if made is ChatKimi else model.complete("hi")


def escaped(give: Callable[[Any], None], refused: tuple[type[Exception], ...] = (KimiError,)) -> dict[str, str]:
    """What else is raised, for which values, than errors of the types that say what to do."""
    found = {}
    for label, value in WRONG.items():
        try:
            give(value)
        except refused:
            pass
        except Exception as error:
            frames = [frame for frame, _ in walk_tb(error.__traceback__) if frame.f_code.co_filename.startswith(OURS)]
            # A runnable around the model hands on what the framework raises before it asks the model.
            if all(isinstance(frame.f_locals.get("self"), RunnableBinding) for frame in frames):
                continue  # the framework's own refusal, before we are asked
            found[label] = f"{type(error).__name__}: {str(error)[:100]}"
    return found


BOTH = pytest.mark.parametrize("made", [ChatKimi, Kimi])


@BOTH
@pytest.mark.parametrize("name", [*SETTINGS, *OPTIONS])
def test_a_setting_of_a_call(made: type[Any], name: str) -> None:
    assert not escaped(lambda value: of_call(made, {name: value}))


@BOTH
@pytest.mark.deep  # the same door as a call's; each field in its own kind's words is in test_odd_inputs
@pytest.mark.parametrize("name", [name for name in (*SETTINGS, *CONNECTION) if name not in OF_A_CALL])
def test_a_field_of_an_object(made: type[Any], name: str) -> None:
    assert not escaped(lambda value: of_object(made, {name: value}), (KimiError, ValidationError))


@BOTH
@pytest.mark.parametrize("key", ["type", "function", "name", "description", "parameters", "strict", "x"])
def test_a_field_of_a_tool(made: type[Any], key: str) -> None:
    def give(value: Any) -> None:
        beside = key in ("type", "function")
        tool = {**TOOL, key: value} if beside else {**TOOL, "function": {**TOOL["function"], key: value}}  # type: ignore[dict-item]
        of_call(made, {"tools": [tool]})
        of_call(made, {"tools": [tool], "tool_choice": "f"})

    assert not escaped(give)


METHODS = ["json_schema", pytest.param("function_calling", marks=pytest.mark.deep), "json_mode"]
KEYWORDS = (
    "title",
    "type",
    "properties",
    "required",
    "items",
    "anyOf",
    "enum",
    "$defs",
    "$ref",
    "description",
    "default",
)


@BOTH
@pytest.mark.parametrize("key", KEYWORDS)
def test_a_keyword_of_a_schema(made: type[Any], key: str) -> None:
    def give(value: Any) -> None:
        schema = {**SCHEMA, key: value}
        of_call(made, {"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}})
        inner = {**SCHEMA, "properties": {"a": {"type": "string", key: value}}}
        of_call(made, {"tools": [{"type": "function", "function": {"name": "f", "parameters": inner}}]})

    assert not escaped(give)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("key", [*KEYWORDS, "name", "parameters", "function", "input_schema"])
def test_a_keyword_of_a_structured_answers_schema(key: str, method: Any) -> None:
    def give(value: Any) -> None:
        for schema in ({**SCHEMA, key: value}, {"name": "L", "parameters": SCHEMA, key: value}):
            model_of(ChatKimi).with_structured_output(schema, method=method, include_raw=True).invoke("hi")

    assert not escaped(give)


@pytest.mark.parametrize("method", METHODS)
def test_a_structured_answers_schema(method: Any) -> None:
    def give(value: Any) -> None:
        if value is not None and value is not Odd and value is not len:
            model_of(ChatKimi).with_structured_output(value, method=method, include_raw=True).invoke("hi")

    assert not escaped(give)


# --- messages ---


def give_message(made: type[Any], field: str, role: str, value: Any) -> None:
    """A message as an assignment or `model_construct` leaves it, in a conversation."""
    messages: list[Any]
    if made is ChatKimi:
        kinds: Mapping[str, Any] = {
            "user": HumanMessage("x"),
            "assistant": AIMessage("x"),
            "tool": ToolMessage("x", tool_call_id="f:0"),
        }
        messages = [HumanMessage("q"), AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "f:0"}]), kinds[role]]
        messages = messages if role == "tool" else [kinds[role], HumanMessage("q")]
    else:
        called = ChatMessage(
            role="assistant", blocks=[ToolCallBlock(tool_name="f", tool_call_id="f:0", tool_kwargs="{}")]
        )
        message = ChatMessage(
            role=role, content="x", additional_kwargs={"tool_call_id": "f:0"} if role == "tool" else {}
        )
        messages = [called, message] if role == "tool" else [message, ChatMessage("q")]
    changed = messages[2 if made is ChatKimi and role == "tool" else 1 if role == "tool" else 0]
    name, _, key = field.partition(".")
    if key:
        changed.__dict__[name] = {**changed.__dict__[name], key: value}
    else:
        changed.__dict__[name] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_of(made)
        model.invoke(messages) if made is ChatKimi else model.chat(messages)


OF_LANGCHAIN = {
    "user": ["content", "name", "id", "additional_kwargs.x"],
    "tool": ["content", "name", "tool_call_id", "artifact", "status"],
    "assistant": [
        "content", "name", "id", "response_metadata.model_provider", "usage_metadata",
        *(f"additional_kwargs.{key}" for key in ("reasoning_content", "reasoning_details", "partial", "kimi_tool_calls", "tool_calls")),
    ],
}  # fmt: skip
OF_LLAMA_INDEX = {
    role: [
        f"additional_kwargs.{key}"
        for key in ("name", "partial", "tool_calls", "tool_call_id", "tools", "reasoning_content")
    ]
    for role in ("user", "tool", "assistant")
}


@pytest.mark.parametrize(
    ("made", "role", "field"),
    [
        (made, role, field)
        for made, table in ((ChatKimi, OF_LANGCHAIN), (Kimi, OF_LLAMA_INDEX))
        for role, names in table.items()
        for field in names
    ],
)
def test_a_field_of_a_message(made: type[Any], role: str, field: str) -> None:
    assert not escaped(lambda value: give_message(made, field, role, value))


PART_KEYS = ("url", "input", "reasoning", "signature", "extras", "data", "source")


@pytest.mark.parametrize("role", ["user", "assistant", "tool"])
@pytest.mark.parametrize(
    "key", [None, "type", "text", "image_url", *(pytest.param(key, marks=pytest.mark.deep) for key in PART_KEYS)]
)
def test_a_key_of_a_part(role: str, key: str | None) -> None:
    def give(value: Any) -> None:
        if key is None:
            give_message(ChatKimi, "content", role, [value])
        else:
            for kind in ("text", "image_url", "image", "tool_use", "reasoning", "thinking", "x"):
                give_message(ChatKimi, "content", role, [{"type": kind, key: value}])

    assert not escaped(give)


@pytest.mark.parametrize("key", ["id", "name", "args"])
def test_a_key_of_a_past_call(key: str) -> None:
    def give(value: Any) -> None:
        give_message(ChatKimi, "tool_calls", "assistant", [{"name": "f", "args": {}, "id": "f:0", key: value}])

    assert not escaped(give)


@pytest.mark.parametrize("key", ["tool_name", "tool_kwargs", "tool_call_id"])
def test_a_key_of_a_block(key: str) -> None:
    def give(value: Any) -> None:
        block = ToolCallBlock(tool_name="f", tool_call_id="f:0", tool_kwargs="{}")
        block.__dict__[key] = value
        answer = ChatMessage(role="tool", content="x", additional_kwargs={"tool_call_id": "f:0"})
        model_of(Kimi).chat([ChatMessage("q"), ChatMessage(role="assistant", blocks=[block]), answer])

    assert not escaped(give)


@pytest.mark.parametrize("key", [None, "id", "type", "function", "name", "arguments"])
def test_a_key_of_a_legacy_call(key: str | None) -> None:
    def give(value: Any) -> None:
        inner = {**CALL, "function": {**CALL["function"], key: value}}  # type: ignore[dict-item]
        call = value if key is None else {**CALL, key: value} if key in CALL else inner
        give_message(Kimi, "additional_kwargs.tool_calls", "assistant", [call])

    assert not escaped(give)


# --- numbers ---


@BOTH
@pytest.mark.parametrize("name", ["max_tokens", "top_logprobs", "temperature", "max_retries", "timeout"])
@pytest.mark.parametrize("value", [2**63, 10**5000, -(2**64)], ids=["64 bits", "5,000 digits", "below"])
def test_numbers_that_no_server_holds(made: type[Any], name: str, value: int) -> None:
    with pytest.raises(KimiRequestError, match=f"{name}.* is not a "):
        of_call(made, {name: value})
