"""Streams of LangChain, shown."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langgraph.graph import START, MessagesState, StateGraph

from kimi_emulator import KimiEmulator, Reply, ToolCall
from langchain_kimi import ChatKimi, ashow, show


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


@pytest.fixture
def model(make: Callable[..., ChatKimi]) -> ChatKimi:
    return make()


CALL = Reply(reasoning="I look.", tool_calls=[ToolCall("get_weather", {"city": "Paris"})])
ANSWER = Reply("It is sunny.", reasoning="Done.")
SHOWN = [
    "(thinking) I look.",
    '-> get_weather {"city":"Paris"}',
    "<- get_weather: Sunny in Paris.",
    "(thinking) Done.",
    "It is sunny.",
]


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_a_model_s_stream(
    model: ChatKimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str], version: str
) -> None:
    kimi.script(ANSWER)
    message = show(model.model_copy(update={"output_version": version}).stream("hello"))
    assert capsys.readouterr().out.splitlines() == ["(thinking) Done.", "It is sunny."]
    assert message.text == "It is sunny."
    assert message.usage_metadata


def test_an_agent_s_stream(model: ChatKimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    kimi.script(CALL, ANSWER)
    agent = create_agent(model, [get_weather])
    message = show(agent.stream({"messages": [("user", "Paris?")]}, stream_mode="messages"))
    assert capsys.readouterr().out.splitlines() == SHOWN
    assert message is not None
    assert message.text == "It is sunny."


@pytest.mark.parametrize("mode", ["messages", ["messages"], ["updates", "messages", "values"]], ids=str)
@pytest.mark.parametrize("subgraphs", [True, False])
def test_an_agent_in_a_graph(
    model: ChatKimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str], mode: Any, subgraphs: bool
) -> None:
    kimi.script(CALL, ANSWER)
    graph = StateGraph(MessagesState)
    graph.add_node("agent", create_agent(model, [get_weather]))
    graph.add_edge(START, "agent")
    message = show(
        graph.compile().stream({"messages": [("user", "Paris?")]}, stream_mode=mode, subgraphs=subgraphs)  # type: ignore[call-overload]
    )
    shown = capsys.readouterr().out.splitlines()
    assert shown == (SHOWN if subgraphs else SHOWN[2:3]), "without subgraphs, LangGraph gives what the node adds"
    assert (message.text if message else None) == ("It is sunny." if subgraphs else None)


def test_the_dicts_of_langgraphs_second_version(capsys: pytest.CaptureFixture[str]) -> None:
    parts = [
        {"type": "updates", "ns": (), "data": {"agent": {}}},
        {"type": "messages", "ns": ("agent:1",), "data": (AIMessageChunk("Hello.", id="one"), {"langgraph_step": 1})},
    ]
    message = show(parts)
    assert message is not None
    assert message.text == "Hello."
    assert capsys.readouterr().out == "Hello.\n"


def test_agents_that_answer_at_the_same_time_are_not_mixed() -> None:
    """Their pieces take turns; what comes back is the message that came last."""
    pieces = [
        ((f"agent:{name}",), (AIMessageChunk(text, id=name, chunk_position="last" if number else None), {}))
        for number, texts in enumerate([("a", "x"), ("b", "y")])
        for name, text in zip(("one", "two"), texts, strict=True)
    ]
    message = show(pieces)
    assert (message.id, message.text) == ("two", "xy") if message else False


# https://docs.langchain.com/oss/python/langgraph/streaming: before 3.11, tasks do not inherit the context of callbacks.
@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph streams no messages of asynchronous nodes on 3.10")
async def test_an_agent_s_asynchronous_stream(
    model: ChatKimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    kimi.script(CALL, ANSWER)
    agent = create_agent(model, [get_weather])
    await ashow(agent.astream({"messages": [("user", "Paris?")]}, stream_mode="messages"))
    assert capsys.readouterr().out.splitlines() == SHOWN


def test_a_chain_s_text(model: ChatKimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    kimi.script(ANSWER)
    assert show((model | StrOutputParser()).stream("hello")) is None
    assert capsys.readouterr().out == "It is sunny.\n"


def test_something_else_says_what_it_reads(model: ChatKimi, kimi: KimiEmulator) -> None:
    agent = create_agent(model, [get_weather])
    with pytest.raises(TypeError, match="stream_mode='messages'"):
        show(agent.stream({"messages": [("user", "hello")]}, stream_mode="updates"))
