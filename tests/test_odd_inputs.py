"""What careless users give: each wrong kind is refused with a type and a place before anything is sent, or carried."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from pydantic import ValidationError

from kimi_emulator import KimiEmulator
from kimi_wire import KimiFiles
from kimi_wire.errors import KimiError, KimiMissingKeyError, KimiRequestError
from kimi_wire.settings import SETTINGS
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests import fuzz_calls
from tests.fuzz_calls import CIRCLE, DEEP, ODD_VALUES


def chat(kimi: KimiEmulator, **settings: Any) -> ChatKimi:
    return ChatKimi(**{"api_key": "sk-test", "base_url": kimi.base_url, "max_retries": 0, **settings})


def llm(kimi: KimiEmulator, **settings: Any) -> Kimi:
    return Kimi(**{"api_key": "sk-test", "api_base": kimi.base_url, "max_retries": 0, **settings})


def unchecked(kind: type[BaseMessage], **fields: Any) -> Any:
    """A message as `model_construct`, or an assignment, leaves it."""
    message = kind("x", **({"tool_call_id": "f:0"} if kind is ToolMessage else {}))
    for name, value in fields.items():
        message.__dict__[name] = value
    return message


def called(args: Any, **kwargs: Any) -> list[BaseMessage]:
    call = {"name": "f", "args": args, "id": "f:0"}
    return [HumanMessage("a"), AIMessage("", tool_calls=[call], **kwargs), ToolMessage("r", tool_call_id="f:0")]


def listed(*calls: Any) -> list[ChatMessage]:
    return [
        ChatMessage(role="user", content="a"),
        ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": list(calls)}),
        ChatMessage(role="tool", content="r", additional_kwargs={"tool_call_id": "f:0"}),
    ]


def function(**fields: Any) -> dict[str, Any]:
    return {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": "{}", **fields}}


# --- refused ---

ARGUMENTS = {"date": {"a": datetime.date(2026, 1, 1)}, "set": {"a": {1}}, "circle": CIRCLE, "deep": {"a": DEEP}}


@pytest.mark.parametrize("kind", ARGUMENTS)
def test_arguments_that_json_has_no_form_for(kimi: KimiEmulator, kind: str) -> None:
    place = r"arguments of a past call of the tool 'f'"
    with pytest.raises(KimiRequestError, match=place):
        chat(kimi).invoke(called(ARGUMENTS[kind]))
    with pytest.raises(KimiRequestError, match=place):
        llm(kimi).chat(listed(function(arguments=ARGUMENTS[kind])))
    assert kimi.requests == []


MESSAGES: dict[str, tuple[list[Any], str]] = {
    "a block that is a list": ([unchecked(HumanMessage, content=[[1]])], "Message 0 has a content part of type None"),
    "a block that is a number": ([unchecked(HumanMessage, content=[5])], "Message 0 has a content part of type None"),
    "content that is a number": ([unchecked(SystemMessage, content=5), HumanMessage("a")], "'content' of message 0"),
    "a name that is none": ([unchecked(HumanMessage, name=5)], "'name' of message 0 is 5"),
    "a mark that is a word": (
        [HumanMessage("a"), AIMessage("b", additional_kwargs={"partial": "yes"})],
        "'partial' of message 1 is 'yes', and not True or False",
    ),
    "thinking that is a number": (
        [HumanMessage("a"), AIMessage("b", additional_kwargs={"reasoning_content": 5})],
        "'reasoning_content' of message 1 is 5",
    ),
    "an id in two lines": (
        [HumanMessage([{"type": "image_url", "image_url": {"url": "ms://a\nb"}}])],
        "Message 0 points to 'ms://a",
    ),
    "an id without an end": (
        [HumanMessage([{"type": "image_url", "image_url": {"url": "ms://" + "a" * 100_000}}])],
        "no id of an uploaded file",
    ),
    "an id of a call": ([HumanMessage("a"), unchecked(ToolMessage, tool_call_id=[5])], "'tool_call_id' of message 1"),
    "a list of calls that is none": (
        [ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": 5})],
        r"additional_kwargs\['tool_calls'\] of a message is 5",
    ),
    "a call that is none": (listed(5), "has no name or no arguments: 5"),
    "a call without a function": (listed({"id": "f:0", "type": "function"}), "has no name"),
    "a call without a name": (listed(function(name=None)), "'name' of tool call 0 of message 1 is None"),
    "a function that is a text": (listed({"id": "f:0", "function": "f"}), "'function' of tool call 0 of message 1"),
    "an id that is a list": (listed({**function(), "id": [1]}), "'id' of tool call 0 of message 1"),
    "arguments that are a number": (listed(function(arguments=5)), "'arguments' of tool call 0 of message 1 is 5"),
    "a name of LlamaIndex's": ([ChatMessage(role="user", content="a", additional_kwargs={"name": 5})], "'name' of message 0"),
    "a mark of LlamaIndex's": (
        [ChatMessage(role="user", content="a"), ChatMessage(role="assistant", content="b", additional_kwargs={"partial": 1})],
        "'partial' of message 1 is 1",
    ),
    "details that are none": (
        [ChatMessage(role="assistant", blocks=[ThinkingBlock(content="a", additional_information={"reasoning_details": 5})])],
        "reasoning_details",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_messages_of_wrong_kinds(kimi: KimiEmulator, name: str) -> None:
    messages, place = MESSAGES[name]
    ask: Callable[[], object] = lambda: chat(kimi).invoke(messages)  # noqa: E731
    if isinstance(messages[0], ChatMessage):
        ask = lambda: llm(kimi).chat(messages)  # noqa: E731
    with pytest.raises(KimiRequestError, match=place):
        ask()
    assert kimi.requests == []


SETTINGS_OF_A_CALL: dict[str, Any] = {
    "stop": [5],
    "extra_body": [1],
    "response_format": "json",
    "timeout": "x",
    "max_retries": "x",
    "prefix": 5,
    "model": 5,
    "extra_headers": {"a": None},
}


@pytest.mark.parametrize("name", SETTINGS_OF_A_CALL)
def test_settings_of_a_call_of_wrong_kinds(kimi: KimiEmulator, name: str) -> None:
    given = {name: SETTINGS_OF_A_CALL[name]}
    with pytest.raises(KimiRequestError, match=name):
        chat(kimi).invoke("hi", **given)
    with pytest.raises(KimiRequestError, match=name):
        llm(kimi).complete("hi", **given)
    assert kimi.requests == []


@pytest.mark.parametrize("name", ["stop", "extra_body", "timeout", "max_retries", "model"])
def test_settings_of_an_object_of_wrong_kinds(kimi: KimiEmulator, name: str) -> None:
    for make in (chat, llm):
        with pytest.raises((KimiRequestError, ValidationError), match=name):
            make(kimi, **{name: SETTINGS_OF_A_CALL[name]})


@pytest.mark.parametrize("timeout", [(1,), (1, 2, 3, 4, 5), -1, float("nan"), {"read": 5}, True])
def test_timeouts_that_are_none(kimi: KimiEmulator, timeout: Any) -> None:
    with pytest.raises((KimiRequestError, ValidationError), match="timeout"):
        chat(kimi, timeout=timeout)
    with pytest.raises(KimiRequestError, match="timeout"):
        llm(kimi).complete("hi", timeout=timeout)


def test_a_conversation_in_extra_body_is_one(kimi: KimiEmulator) -> None:
    for messages in (None, [], [5], "hi"):
        with pytest.raises(KimiRequestError, match="extra_body"):
            chat(kimi).invoke("hi", extra_body={"messages": messages})
        with pytest.raises(KimiRequestError, match="extra_body"):
            llm(kimi).complete("hi", extra_body={"messages": messages})
    assert kimi.requests == []


@pytest.mark.parametrize("make", [ChatKimi, Kimi, lambda api_key: KimiFiles(api_key)])
def test_a_key_that_is_no_text(make: Callable[..., Any]) -> None:
    with pytest.raises(KimiMissingKeyError, match="api_key is of type bytes; give the key as text, or a function"):
        make(api_key=b"sk-secret")


def test_an_id_without_an_end(kimi: KimiEmulator) -> None:
    files = KimiFiles("sk-test", kimi.base_url)
    for id in ("a" * 100_000, "a\nb", "..", "a/b", 5):
        with pytest.raises(KimiRequestError, match="is no file id"):
            files.get(id)  # type: ignore[arg-type]
    assert kimi.requests == []


TOOLS: dict[str, tuple[Any, str]] = {
    "parameters that are a text": ({"parameters": "x"}, "parameters of the tool 'f'='x' is not a dict"),
    "parameters that are a list": ({"parameters": [1]}, "parameters of the tool 'f'"),
    "a description that is a number": ({"description": 5}, "description of the tool 'f'=5 is not text"),
    "strict that is a word": ({"strict": "x"}, "strict of the tool 'f'='x' is not True or False"),
    "properties that are a list": ({"parameters": {"type": "object", "properties": [1]}}, "tool f"),
    "a type that is a number": ({"parameters": {"type": 5}}, "tool f"),
    "a name that is a number": ({"name": 5}, "5"),
}


@pytest.mark.parametrize("name", TOOLS)
def test_tools_of_wrong_kinds(kimi: KimiEmulator, name: str) -> None:
    given, place = TOOLS[name]
    tools = [{"type": "function", "function": {"name": "f", **given}}]
    with pytest.raises(KimiRequestError, match=place):
        chat(kimi).invoke("hi", tools=tools)
    with pytest.raises(KimiRequestError, match=place):
        llm(kimi).complete("hi", tools=tools)
    assert kimi.requests == []


@pytest.mark.parametrize("method", ["json_schema", "function_calling", "json_mode"])
@pytest.mark.parametrize("title", [["L"], 5, {"a": 1}])
def test_a_title_that_is_no_text(kimi: KimiEmulator, title: Any, method: Any) -> None:
    with pytest.raises(KimiRequestError, match="title or name of the schema"):
        chat(kimi).with_structured_output({"title": title, "type": "object", "properties": {}}, method=method)


def test_formats_of_wrong_kinds(kimi: KimiEmulator) -> None:
    for given in ({"type": ["json_schema"]}, {"type": "json_schema", "json_schema": {"name": 5, "schema": {}}}):
        with pytest.raises(KimiRequestError, match="of response_format"):
            chat(kimi).invoke("hi", response_format=given)
        with pytest.raises(KimiRequestError, match="of response_format"):
            llm(kimi).complete("hi", response_format=given)
    assert kimi.requests == []


# --- carried ---


@pytest.mark.parametrize(
    ("value", "word"), [(float("inf"), "Infinity"), (float("-inf"), "-Infinity"), (float("nan"), "NaN")]
)
def test_a_number_that_json_does_not_have_loses_no_other_argument(kimi: KimiEmulator, value: float, word: str) -> None:
    written = f'{{"a":"{word}","b":[1,"{word}"]}}'
    arguments = {"a": value, "b": [1, value]}
    chat(kimi).invoke(called(arguments))
    llm(kimi).chat(listed(function(arguments=arguments)))
    llm(kimi).chat(listed(function(arguments=f'{{"a": {word}, "b": [1, {word}]}}')))
    sent = [request.body["messages"][1]["tool_calls"][0]["function"]["arguments"] for request in kimi.requests]
    assert sent == [written] * 3
    assert repr(arguments["a"]) == repr(value)


@pytest.mark.parametrize(
    "raw", [5, [{"id": "f:0"}], [{"id": ["f:0"], "type": "function", "function": {}}], ["f"], None]
)
def test_calls_are_sent_though_their_own_bytes_are_lost(kimi: KimiEmulator, raw: Any) -> None:
    chat(kimi).invoke(called({"a": 1}, additional_kwargs={"kimi_tool_calls": raw}))
    call = kimi.requests[0].body["messages"][1]["tool_calls"][0]
    assert call == {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def test_arguments_as_a_dict_are_carried(kimi: KimiEmulator) -> None:
    llm(kimi).chat(listed(function(arguments={"a": "ü"})))
    call = kimi.requests[0].body["messages"][1]["tool_calls"][0]
    assert call["function"] == {"name": "f", "arguments": '{"a":"ü"}'}


def test_thinking_that_another_vendor_signed_is_not_kimis(kimi: KimiEmulator) -> None:
    signed = {"type": "reasoning", "reasoning": "x", "extras": {"signature": "s"}}
    chat(kimi).invoke([HumanMessage("a"), AIMessage([signed, {"type": "text", "text": "b"}]), HumanMessage("c")])
    sent = kimi.requests[0].body["messages"][1]
    assert sent["content"] == "b"
    assert "x" not in str(sent.get("reasoning_content"))


def test_a_schema_of_an_object_or_nothing(kimi: KimiEmulator) -> None:
    schema = {"title": "L", "type": ["object", "null"], "properties": {"a": {"type": "string"}}}
    for method in ("json_schema", "function_calling"):
        chat(kimi).with_structured_output(schema, method=method).invoke("hi")


# --- every setting, every odd value ---


@pytest.mark.parametrize("name", sorted(SETTINGS))
@pytest.mark.parametrize("made", [ChatKimi, Kimi])
def test_any_value_of_a_setting_is_carried_or_refused(made: Any, name: str) -> None:
    """Of the object and of a call. What is carried goes out as JSON."""
    served = fuzz_calls.Served(200, [], fuzz_calls.ANSWER)

    def give_each(model: Any) -> None:
        for value in ODD_VALUES:
            with contextlib.suppress(KimiError):
                model.invoke("hi", **{name: value}) if made is ChatKimi else model.complete("hi", **{name: value})

    for body in fuzz_calls.ask(served, made, give_each):
        fuzz_calls.check_json(body)
    for value in ODD_VALUES:
        with contextlib.suppress(KimiError, ValidationError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made(**{"api_key": "sk-test", "base_url": fuzz_calls.URL, name: value})
