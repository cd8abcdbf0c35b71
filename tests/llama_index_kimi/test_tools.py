"""Tools, forced choices, programs and structured output, against every family's rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms.function_calling import _supports_tool_required
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool

from kimi_emulator import KimiEmulator, Reply, ToolCall
from llama_index_kimi import Kimi, KimiRequestError, KimiStructuredOutputError, KimiToolChoiceError, KimiWarning
from tests.families import FAMILIES, MODELS
from tests.llama_index_kimi.structured import Thoughts

Make = Callable[..., Kimi]

SWITCHABLE = {"kimi-k2.5", "kimi-k2.6"}
CASES = [
    pytest.param(*family.values, thinking, marks=family.marks)
    for family in FAMILIES
    for thinking in (None, True, False)
    if thinking is None or SWITCHABLE.issuperset(family.values)
]
ASKED = {model for model in MODELS if model.startswith(("moonshot-v1", "kimi-latest", "kimi-k2-"))}
"""Families that can only be asked for a call; what comes back is checked."""


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"It rains in {city}."


def get_time(zone: str = "UTC") -> str:
    """Get the time in a zone."""
    return f"It is noon in {zone}."


WEATHER, TIME = FunctionTool.from_defaults(get_weather), FunctionTool.from_defaults(get_time)


class Person(BaseModel):
    """A person."""

    name: str
    age: int


PERSON = PromptTemplate("Who is it? {text}")


def forcing(llm: Make, family: str, thinking: bool | None) -> Kimi:
    """A model whose warning about a choice it cannot force has been given."""
    model = llm(family, thinking=thinking)
    if family in ASKED or (family == "kimi-k2.5" and thinking):
        model._warned.add("tool_choice")
    return model


async def with_tools(llm: Kimi, mode: str, **kwargs: Any) -> Any:
    """The last response of an endpoint with tools."""
    result = getattr(llm, f"{mode}_with_tools")(**kwargs)
    if mode.startswith("a"):
        result = await result
    if mode == "stream_chat":
        return list(result)[-1]
    return [chunk async for chunk in result][-1] if mode == "astream_chat" else result


MODES = ["chat", "achat", "stream_chat", "astream_chat"]


def test_core_sees_that_a_call_can_be_required() -> None:
    assert _supports_tool_required(Kimi, True)


def test_preparing_changes_no_history_and_sends_no_empty_tools(llm: Make) -> None:
    history = [ChatMessage(role="user", content="Hello")]
    prepared = llm()._prepare_chat_with_tools([], "And?", history, tool_required=True, tool_choice="any")
    assert prepared == {"messages": [*history, ChatMessage(role="user", content="And?")]}
    assert len(history) == 1
    prepared = llm()._prepare_chat_with_tools([TIME], None, None, tool_choice=None, temperature=1)
    assert set(prepared) == {"messages", "tools", "temperature"}


@pytest.mark.parametrize("choice", [None, "get_weather", {"type": "function", "function": {"name": "get_weather"}}])
def test_a_choice_goes_before_a_requirement(llm: Make, choice: Any) -> None:
    prepared = llm()._prepare_chat_with_tools([WEATHER], "Hi", tool_required=True, tool_choice=choice)
    assert prepared["tool_choice"] == ("required" if choice is None else choice)


def test_long_descriptions_are_no_error(kimi: KimiEmulator, llm: Make) -> None:
    tool = FunctionTool.from_defaults(get_time, description="Tell the time. " * 100)
    kimi.script(Reply("Noon."))
    llm().chat_with_tools([tool], "What time is it?")
    assert len(kimi.requests[-1].body["tools"][0]["function"]["description"]) > 1024


@pytest.mark.parametrize("mode", MODES)
async def test_without_a_choice_nothing_is_forced(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply("Hello."))
    response = await with_tools(llm(), mode, tools=[WEATHER, TIME], user_msg="Hello", chat_history=None)
    assert response.message.content == "Hello."
    assert "tool_choice" not in kimi.requests[-1].body
    assert llm().get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="at least one tool call"):
        llm().get_tool_calls_from_response(response)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("family", "thinking"), CASES)
@pytest.mark.parametrize("choice", ["required", "get_weather"])
async def test_a_forced_call_comes_from_every_family(
    llm: Make, mode: str, family: str, thinking: bool | None, choice: str
) -> None:
    model = forcing(llm, family, thinking)
    kwargs = {"tool_required": True} if choice == "required" else {"tool_choice": choice}
    question = "What is the weather in Paris?"
    response = await with_tools(model, mode, tools=[TIME, WEATHER], user_msg=question, **kwargs)
    calls = model.get_tool_calls_from_response(response)
    assert calls[0].tool_name in ("get_weather", "get_time")
    if choice == "get_weather":
        assert [(call.tool_name, set(call.tool_kwargs)) for call in calls] == [("get_weather", {"city"})]
    assert response.message.additional_kwargs["tool_calls"]
    assert response.additional_kwargs["finish_reason"] == "tool_calls"


async def test_a_forced_call_that_does_not_come_is_an_error(kimi: KimiEmulator, llm: Make) -> None:
    for mode in MODES:
        kimi.script(Reply("No."))
        with pytest.raises(KimiToolChoiceError, match="get_weather"):
            await with_tools(llm(), mode, tools=[WEATHER], user_msg="Hi", tool_required=True)


def test_a_choice_that_cannot_be_forced_warns_once(llm: Make) -> None:
    model = llm("kimi-k2-0905-preview")
    with pytest.warns(KimiWarning, match="takes no forced tool choice"):
        model.chat_with_tools([WEATHER], "What is the weather in Paris?", tool_required=True)
    model.chat_with_tools([WEATHER], "What is the weather in Rome?", tool_required=True)


def test_a_choice_of_no_tool_is_an_error(kimi: KimiEmulator, llm: Make) -> None:
    with pytest.raises(KimiRequestError, match="get_rain"):
        llm().chat_with_tools([WEATHER], "Hi", tool_choice="get_rain")
    assert kimi.requests == []


@pytest.mark.parametrize("several", [False, True])
async def test_programs(kimi: KimiEmulator, llm: Make, several: bool) -> None:
    calls = [ToolCall("Person", {"name": name, "age": 30}) for name in ("Ada", "Grace")]
    kimi.script(*[Reply(tool_calls=calls)] * 4)
    program = FunctionCallingProgram.from_defaults(Person, prompt=PERSON, llm=llm(), allow_parallel_tool_calls=several)
    people = [Person(name="Ada", age=30), Person(name="Grace", age=30)]
    expected: Any = people if several else people[0]
    assert program(text="Ada and Grace") == expected
    assert await program.acall(text="Ada and Grace") == expected
    assert list(program.stream_call(text="Ada and Grace"))[-1] == expected
    stream = await program.astream_call(text="Ada and Grace")
    assert [partial async for partial in stream][-1] == expected


async def test_core_forgets_the_system_prompt_in_asynchronous_programs(kimi: KimiEmulator, llm: Make) -> None:
    # Pinned, not wanted: `FunctionCallingProgram.acall` does not call `_extend_messages`, its twin `__call__` does.
    program = FunctionCallingProgram.from_defaults(Person, prompt=PERSON, llm=llm(system_prompt="Be exact."))
    program(text="Ada is 36.")
    await program.acall(text="Ada is 36.")
    sent = [[message["role"] for message in request.body["messages"]] for request in kimi.requests]
    assert sent == [["system", "user"], ["user"]]


async def test_core_does_not_require_the_call_of_a_streamed_program(kimi: KimiEmulator, llm: Make) -> None:
    # Pinned, not wanted: neither `stream_call` of `FunctionCallingProgram` passes `tool_required` on, and an answer in
    # text is an empty object to them. `stream_structured_predict` is the way.
    kimi.script(Reply("I do not know."), Reply("I do not know."))
    program = FunctionCallingProgram.from_defaults(Person, prompt=PERSON, llm=llm())
    found = [*program.stream_call(text="?"), *[item async for item in await program.astream_call(text="?")]]
    assert {(type(item).__name__, item.name, item.age) for item in found} == {("FlexiblePerson", None, None)}
    assert ["tool_choice" in request.body for request in kimi.requests] == [False, False]


SHAPES = ["in turn", "interleaved", "one chunk", "without index"]


@pytest.mark.parametrize(
    ("mode", "shape"),
    [("chat", "whole"), ("achat", "whole"), *((mode, shape) for mode in MODES[2:] for shape in SHAPES)],
)
async def test_parallel_calls_in_every_shape(kimi: KimiEmulator, llm: Make, mode: str, shape: str) -> None:
    head = [
        {"index": 0, "id": "get_weather:0", "type": "function", "function": {"name": "get_weather", "arguments": ""}},
        {"index": 1, "id": "get_time:1", "type": "function", "function": {"name": "get_time", "arguments": ""}},
    ]
    body = [(0, '{"city": '), (1, '{"zone": '), (0, '"Paris"}'), (1, '"CET"}')]
    pieces = [{"index": index, "function": {"arguments": text}} for index, text in body]
    if shape == "interleaved":
        deltas = [[head[0]], [head[1]], *[[piece] for piece in pieces]]
    elif shape == "one chunk":
        whole = [{**head[i], "function": {**head[i]["function"], "arguments": text}}
                 for i, text in enumerate(['{"city": "Paris"}', '{"zone": "CET"}'])]  # fmt: skip
        deltas = [whole]
    else:
        order = [head[0], pieces[0], pieces[2], head[1], pieces[1], pieces[3]]
        deltas = [[piece] for piece in order]
    if shape == "without index":
        deltas = [[{k: v for k, v in piece.items() if k != "index"} for piece in delta] for delta in deltas]
    events: list[Any] = [{"choices": [{"index": 0, "delta": {"tool_calls": delta}}]} for delta in deltas]
    events += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}, "[DONE]"]
    if shape != "whole":
        kimi.script(Reply(events=events))
    else:
        weather = ToolCall("get_weather", '{"city": "Paris"}', "get_weather:0")
        kimi.script(Reply(tool_calls=[weather, ToolCall("get_time", '{"zone": "CET"}', "get_time:1")]))
    response = await with_tools(
        llm(), mode, tools=[WEATHER, TIME], user_msg="Weather and time?", allow_parallel_tool_calls=True
    )
    assert [block.model_dump() for block in response.message.blocks] == [
        ToolCallBlock(
            tool_call_id="get_weather:0", tool_name="get_weather", tool_kwargs='{"city": "Paris"}'
        ).model_dump(),
        ToolCallBlock(tool_call_id="get_time:1", tool_name="get_time", tool_kwargs='{"zone": "CET"}').model_dump(),
    ]
    calls = llm().get_tool_calls_from_response(response)
    assert [(call.tool_id, call.tool_kwargs) for call in calls] == [
        ("get_weather:0", {"city": "Paris"}),
        ("get_time:1", {"zone": "CET"}),
    ]


@pytest.mark.parametrize("mode", ["chat", "achat"])
async def test_only_one_call_is_kept_unless_more_are_allowed(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    calls = [ToolCall("get_weather", {"city": city}) for city in ("Paris", "Rome")]
    kimi.script(Reply(tool_calls=calls), Reply("Fine."))
    model = llm()
    response = await with_tools(model, mode, tools=[WEATHER], user_msg="Paris and Rome?")
    assert [call.tool_kwargs for call in model.get_tool_calls_from_response(response)] == [{"city": "Paris"}]
    answer = ChatMessage(role="tool", content="Rain.", additional_kwargs={"tool_call_id": "get_weather_0"})
    history = [ChatMessage(role="user", content="Paris and Rome?"), response.message, answer]
    assert model.chat(history).message.content == "Fine."


async def test_predict_and_call(kimi: KimiEmulator, llm: Make) -> None:
    call = ToolCall("get_weather", {"city": "Paris"})
    kimi.script(*[Reply(tool_calls=[call], reasoning="Rain?")] * 2, Reply("Hello."))
    assert llm().predict_and_call([WEATHER], "Weather?").response == "It rains in Paris."
    assert (await llm().apredict_and_call([WEATHER], "Weather?")).response == "It rains in Paris."
    assert llm().predict_and_call([WEATHER], "Hello", error_on_no_tool_call=False).response == "Hello."


CALLS = [
    (ToolCall("get_time", '{"zone": "C'), "Tool get_time was not run. The arguments are not valid JSON"),
    (ToolCall("get_rain"), "Tool get_rain not found. The tools are: get_time."),
]


async def predict_and_call(llm: Kimi, mode: str, *args: Any, **kwargs: Any) -> Any:
    return llm.predict_and_call(*args, **kwargs) if mode == "sync" else await llm.apredict_and_call(*args, **kwargs)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(("call", "problem"), CALLS)
async def test_a_call_that_cannot_be_run_is_a_failed_one(
    kimi: KimiEmulator, llm: Make, call: ToolCall, problem: str, mode: str
) -> None:
    # Core looks the tool up and raises a bare KeyError.
    kimi.script(*[Reply(tool_calls=[call])] * 2)
    response = await predict_and_call(llm(), mode, [TIME], "Time?")
    assert response.response.startswith(f"Encountered error: {problem}")
    assert [(source.is_error, source.raw_input) for source in response.sources] == [(True, {})]
    assert isinstance(response.sources[0].exception, ValueError)
    with pytest.raises(ValueError, match=problem):
        await predict_and_call(llm(), mode, [TIME], "Time?", error_on_tool_error=True)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_call_cut_at_the_limit_says_so(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply(tool_calls=[ToolCall("get_time", '{"zone": "C')], finish_reason="length"))
    with pytest.raises(KimiStructuredOutputError, match=r"cut at its token limit.*Raise max_tokens"):
        await predict_and_call(llm(), mode, [TIME], "Time?")


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_several_calls_are_run_where_they_are_allowed(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    calls = [ToolCall("get_weather", {"city": city}) for city in ("Paris", "Rome")]
    kimi.script(*[Reply(tool_calls=calls)] * 2)
    tools = [TIME, WEATHER]
    several = await predict_and_call(llm(), mode, tools, "Weather?", allow_parallel_tool_calls=True)
    assert several.response == "It rains in Paris.\n\nIt rains in Rome."
    assert (await predict_and_call(llm(), mode, tools, "Weather?")).response == "It rains in Paris."


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("settings", "thinks"),
    [
        ({"tool_required": True}, True),
        ({"tool_choice": "get_weather"}, True),
        ({"tool_required": True, "thinking": False}, False),
        ({"tool_required": True, "allow_parallel_tool_calls": True}, False),
    ],
)
async def test_a_required_call_keeps_thinking(
    kimi: KimiEmulator, llm: Make, thoughts: Thoughts, mode: str, settings: dict[str, Any], thinks: bool
) -> None:
    question = "What is the weather in Paris?"
    response = await predict_and_call(llm("kimi-k2.6"), mode, [WEATHER], question, **settings)
    assert response.response == "It rains in Paris."
    assert [bool(thought) for thought in thoughts.noted] == [thinks]
    assert ("response_format" in kimi.requests[-1].body) is thinks


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_models_without_tools_get_an_agent_from_core(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    # Pinned, not wanted: core hands the ReAct agent it makes an argument that it does not take.
    with pytest.raises(ValueError, match="validation error"):
        await predict_and_call(llm("kimi-thinking-preview"), mode, [TIME], "Time?")
    assert kimi.requests == []


def test_builtin_functions_go_back_with_their_type(kimi: KimiEmulator, llm: Make) -> None:
    search = {"type": "builtin_function", "function": {"name": "$web_search"}}
    call = ToolCall("$web_search", '{"search_result": {"search_id": "1"}}', type="builtin_function")
    kimi.script(Reply(tool_calls=[call], reasoning="Search."), Reply("Found."))
    model = llm()
    question = ChatMessage(role="user", content="News?")
    answer = model.chat([question], tools=[search]).message
    result = ChatMessage(
        role="tool",
        content=str(answer.blocks[1].tool_kwargs),
        additional_kwargs={"tool_call_id": answer.blocks[1].tool_call_id},
    )
    model.chat([question, answer, result], tools=[search])
    sent = kimi.requests[-1].body["messages"]
    assert sent[1]["tool_calls"][0]["type"] == "builtin_function"
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == sent[2]["content"] == call.arguments


@pytest.mark.parametrize("mode", MODES)
async def test_what_core_passes_as_none_is_not_sent(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply("Hi."))
    await with_tools(llm(), mode, tools=[], user_msg="Hi", tool_choice=None)
    assert not {"tools", "tool_choice"} & kimi.requests[-1].body.keys()
