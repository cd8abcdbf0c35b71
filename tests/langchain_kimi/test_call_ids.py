"""Frameworks that look calls up by their ids over a whole conversation, and conversations that leave calls behind.

Kimi counts its calls anew in every answer: each of these failed, mostly in silence, while ids were unique on the wire only.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiWarning

THREAD: Any = {"configurable": {"thread_id": "1"}}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def ask(text: str) -> dict[str, Any]:
    return {"messages": [HumanMessage(text)]}


def call_add(a: Any, call_id: str = "add:0") -> Reply:
    return Reply(tool_calls=[ToolCall("add", {"a": a, "b": 1}, id=call_id)])


async def run(agent: Any, way: str, text: str, config: Any = None) -> list[Any]:
    """Run an agent one turn; gives the whole conversation."""
    if way == "invoke":
        return list(agent.invoke(ask(text), config)["messages"])
    if way == "ainvoke":
        return list((await agent.ainvoke(ask(text), config))["messages"])
    # "messages" has the model stream inside
    if way == "stream":
        parts = list(agent.stream(ask(text), config, stream_mode=["messages", "values"]))
    else:
        parts = [part async for part in agent.astream(ask(text), config, stream_mode=["messages", "values"])]
    return list([value for mode, value in parts if mode == "values"][-1]["messages"])


WAYS = ["invoke", "ainvoke", "stream", "astream"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_react_agent_with_a_hook_runs_every_call(kimi: KimiEmulator, make: Any, way: str) -> None:
    prebuilt = pytest.importorskip("langgraph.prebuilt")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        agent = prebuilt.create_react_agent(make("kimi-k3"), [add], post_model_hook=lambda state: {})
    kimi.script(call_add(1), call_add(2), Reply("Done."))
    messages = await run(agent, way, "Add!")
    assert [message.content for message in messages if isinstance(message, ToolMessage)] == ["2", "3"]
    assert messages[-1].content == "Done."


@pytest.mark.parametrize("way", WAYS)
async def test_a_person_may_change_the_subject_at_an_interrupt(kimi: KimiEmulator, make: Any, way: str) -> None:
    approval = HumanInTheLoopMiddleware(interrupt_on={"add": True})
    agent = create_agent(make("kimi-k3"), [add], middleware=[approval], checkpointer=InMemorySaver())
    kimi.script(call_add(1), call_add(2), Reply("Never mind."))
    await run(agent, way, "Add!", THREAD)
    with pytest.warns(KimiWarning, match=r"\['add:0'\] have no answer"):
        await run(agent, way, "Add something else!", THREAD)
    messages = await run(agent, way, "Let it be.", THREAD)
    assert messages[-1].content == "Never mind."
    assert [call["id"] for message in messages if isinstance(message, AIMessage) for call in message.tool_calls] == [
        "add:0",
        "add:1",
    ]


@pytest.mark.filterwarnings("ignore::kimi_wire.KimiWarning")  # of an older langchain, which leaves the call unanswered
@pytest.mark.parametrize("way", WAYS)
async def test_an_agent_goes_on_after_broken_arguments(kimi: KimiEmulator, make: Any, way: str) -> None:
    agent = create_agent(make("kimi-k3"), [add], checkpointer=InMemorySaver())
    broken = Reply(tool_calls=[ToolCall("add", '{"a": oops}', id="add:0")])
    kimi.script(call_add(1), Reply("Two."), broken, Reply("Sorry."))
    await run(agent, way, "Add!", THREAD)
    messages = await run(agent, way, "Add more!", THREAD)
    assert messages[-1].invalid_tool_calls[0]["id"] == "add:1"
    messages = await run(agent, way, "Well?", THREAD)  # langchain itself answers the call, if its id is new
    sent = kimi.requests[-1].body["messages"]
    assert [message["tool_call_id"] for message in sent if message["role"] == "tool"] == ["add:0", "add:1"]
    assert messages[-1].content == "Sorry."
