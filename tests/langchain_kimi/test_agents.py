"""LangChain's agents on Kimi: loops, memory, middleware, structured answers."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRetryMiddleware, SummarizationMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain.chat_models import init_chat_model
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from pydantic import BaseModel

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from langchain_kimi import KimiBadRequestError
from tests.families import FAMILIES


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


@tool
def get_time(city: str) -> str:
    """Get the local time of a city."""
    raise ValueError(f"no clock in {city}")


@pytest.mark.says(
    "docs/agents.md",
    "An agent is given the object, and not a text:",
    '`create_agent("moonshot:kimi-k3", ...)` fails. Write `ChatKimi(model="kimi-k3")`.',
)
@pytest.mark.says(
    "docs/migrating.md",
    "`init_chat_model` has a fixed list of providers",
)
def test_a_text_makes_no_model_of_ours() -> None:
    for make in (init_chat_model, create_agent):
        with pytest.raises(ValueError, match="Supported providers: anthropic") as caught:
            make("moonshot:kimi-k3")
        assert "moonshot" not in str(caught.value).partition("Supported providers")[2]


class Weather(BaseModel):
    """A weather report."""

    city: str
    sky: str


def ask(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


@pytest.mark.parametrize("model_name", FAMILIES)
def test_an_agent_of_every_family_over_several_turns(kimi: KimiEmulator, make: Any, model_name: str) -> None:
    """Kimi's tool-call ids start anew in every answer, so that the turns of one conversation repeat them."""
    agent = create_agent(make(model_name), [get_weather], checkpointer=InMemorySaver(), system_prompt="Be brief.")
    config = {"configurable": {"thread_id": "1"}}
    for city in ("Paris", "Rome", "Oslo"):
        answer = agent.invoke(ask(f"What is the weather in {city}?"), config)["messages"][-1]
        assert city in answer.content
    history = kimi.requests[-1].body["messages"]
    ids = [call["id"] for message in history for call in message.get("tool_calls", ())]
    assert len(ids) == len(set(ids)) == 3


@pytest.mark.says(
    "docs/agents.md",
    "Pass messages back as they came: streams added up, checkpoints, memories, pickles and JSON keep it.",
)
@pytest.mark.parametrize("saver", ["memory", "sqlite"])
@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
async def test_thinking_survives_the_checkpointer(
    kimi: KimiEmulator, make: Any, tmp_path: Path, saver: str, way: str
) -> None:
    if saver == "sqlite" and way.startswith("a"):
        pytest.skip("SqliteSaver is synchronous; the asynchronous path is the memory saver's")
    connection = sqlite3.connect(tmp_path / "checkpoints.db", check_same_thread=False)
    checkpointer = InMemorySaver() if saver == "memory" else SqliteSaver(connection)
    config: Any = {"configurable": {"thread_id": "1"}}
    kimi.script(
        Reply(reasoning="one «1»\n", tool_calls=[ToolCall("get_weather", '{"city": "Paris"}', id="get_weather:0")]),
        Reply("Sunny.", reasoning="two"),
        Reply(reasoning="", tool_calls=[ToolCall("get_weather", {"city": "Rome"}, id="get_weather:0")]),
        Reply("Sunny too.", reasoning="four"),
    )
    for city in ("Paris", "Rome"):
        agent = create_agent(make("kimi-k2.6"), [get_weather], checkpointer=checkpointer)
        question = ask(f"What is the weather in {city}?")
        if way == "invoke":
            agent.invoke(question, config)
        elif way == "stream":
            assert list(agent.stream(question, config, stream_mode="messages"))
        elif way == "ainvoke":
            await agent.ainvoke(question, config)
        else:
            assert [part async for part in agent.astream(question, config, stream_mode="messages")]
    connection.close()
    sent = [message for message in kimi.requests[-1].body["messages"] if message["role"] == "assistant"]
    assert [message["reasoning_content"] for message in sent] == ["one «1»\n", "two", ""]
    assert sent[0]["tool_calls"][0]["function"]["arguments"] == '{"city": "Paris"}'
    assert [call["id"] for message in sent for call in message.get("tool_calls", ())] == [
        "get_weather:0",
        "get_weather:1",
    ]
    bodies = [request.body["messages"] for request in kimi.requests]
    for earlier, later in pairwise(bodies):
        assert later[: len(earlier)] == earlier, "an earlier message changed, and with it the prefix the server caches"


def test_streamed_agents_show_thinking_and_count_usage_once(kimi: KimiEmulator, make: Any) -> None:
    agent = create_agent(make("kimi-k2.6"), [get_weather])
    thinking, text = "", ""
    for chunk, _ in agent.stream(ask("What is the weather in Paris?"), stream_mode="messages"):
        if isinstance(chunk, AIMessage):
            thinking += chunk.additional_kwargs.get("reasoning_content", "")
            text += str(chunk.content)
    assert "Paris" in thinking
    assert "Sunny in Paris" in text
    messages = agent.invoke(ask("What is the weather in Paris?"))["messages"]
    counted = [message.usage_metadata["total_tokens"] for message in messages if isinstance(message, AIMessage)]
    assert len(counted) == 2


def test_parallel_calls_and_failing_tools(kimi: KimiEmulator, make: Any) -> None:
    from langchain.agents.middleware import wrap_tool_call

    @wrap_tool_call
    def report(request: Any, handler: Any) -> Any:
        try:
            return handler(request)
        except ValueError as error:
            return ToolMessage(f"Error: {error}", tool_call_id=request.tool_call["id"], status="error")

    kimi.script(
        Reply(
            reasoning="r",
            tool_calls=[ToolCall("get_weather", {"city": "Paris"}), ToolCall("get_time", {"city": "Paris"})],
        )
    )
    messages = create_agent(make("kimi-k2.6"), [get_weather, get_time], middleware=[report]).invoke(
        ask("Weather and time in Paris?")
    )["messages"]
    answers = [message for message in messages if isinstance(message, ToolMessage)]
    assert [message.content for message in answers] == ["Sunny in Paris.", "Error: no clock in Paris"]
    assert messages[-1].content


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kimi_wire.errors.KimiWarning")
@pytest.mark.parametrize("model_name", FAMILIES)
@pytest.mark.parametrize(
    "strategy", [Weather, ToolStrategy(Weather), ProviderStrategy(Weather)], ids=["auto", "tool", "provider"]
)
@pytest.mark.parametrize("tools", [[], [get_weather]], ids=["alone", "with tools"])
def test_structured_answers_of_every_family(
    kimi: KimiEmulator, make: Any, model_name: str, strategy: Any, tools: list[Any]
) -> None:
    """`create_agent` hard-codes `tool_choice="any"` for ToolStrategy (langchain-ai/langchain#35539)."""
    if isinstance(strategy, ProviderStrategy) and not make(model_name).profile["structured_output"]:
        pytest.skip("the server does not enforce a JSON schema for this model")
    agent = create_agent(make(model_name), tools, response_format=strategy)
    result = agent.invoke(ask("What is the weather in Paris?"), {"recursion_limit": 12})
    assert isinstance(result["structured_response"], Weather)


def test_summaries_and_retries(kimi: KimiEmulator, make: Any) -> None:
    summarize = SummarizationMiddleware(make("kimi-k2.6"), trigger=("messages", 4), keep=("messages", 2))
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)
    agent = create_agent(make("kimi-k2.6"), [get_weather], middleware=[summarize, retry], checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "1"}}
    kimi.script(Failure(500, "oops", "server_error"))
    for city in ("Paris", "Rome", "Oslo"):
        assert agent.invoke(ask(f"What is the weather in {city}?"), config)["messages"][-1].content
    fraction = SummarizationMiddleware(make("kimi-k2.6"), trigger=("fraction", 0.8))
    assert (
        create_agent(make("kimi-k2.6"), [get_weather], middleware=[fraction])
        .invoke(ask("hello"))["messages"][-1]
        .content
    )


def test_a_400_is_not_retried_by_middleware(kimi: KimiEmulator, make: Any) -> None:
    retry = ModelRetryMiddleware(max_retries=3, initial_delay=0.0, jitter=False, on_failure="error")
    kimi.script(*[Failure(400, "nope")] * 4)
    with pytest.raises(KimiBadRequestError, match="nope"):
        create_agent(make("kimi-k2.6"), [], middleware=[retry]).invoke(ask("hello"))
    assert len(kimi.requests) == 1


@pytest.mark.says("docs/agents.md", "They are taken as they are; the messages themselves are not changed.")
def test_history_of_another_vendor(kimi: KimiEmulator, make: Any) -> None:
    foreign = AIMessage(
        [{"type": "thinking", "thinking": "secret plan", "signature": "s"}, {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}],
        tool_calls=[{"name": "get_weather", "args": {"city": "Paris"}, "id": "toolu_1"}],
        response_metadata={"model_provider": "anthropic", "model_name": "claude-x"},
    )  # fmt: skip
    answer = make("kimi-k2.6").invoke(
        [HumanMessage("Weather in Paris?"), foreign, ToolMessage("Sunny in Paris.", tool_call_id="toolu_1")]
    )
    assert "Sunny" in answer.content
    assert kimi.requests[-1].body["messages"][1] == {
        "role": "assistant",
        "tool_calls": [
            {"id": "toolu_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
        ],
        "reasoning_content": " ",
    }
