"""Streams of LangChain, shown."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from langchain.agents import create_agent
from langchain_core.output_parsers import StrOutputParser

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
    assert message is not None
    assert message.text == "It is sunny."
    assert message.usage_metadata


def test_an_agent_s_stream(model: ChatKimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    kimi.script(CALL, ANSWER)
    agent = create_agent(model, [get_weather])
    message = show(agent.stream({"messages": [("user", "Paris?")]}, stream_mode="messages"))
    assert capsys.readouterr().out.splitlines() == SHOWN
    assert message is not None
    assert message.text == "It is sunny."


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
