"""`$web_search` in LangChain: declared, echoed byte for byte, in agents and beside other tools."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, message_to_dict, messages_from_dict
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode

from kimi_emulator import KimiEmulator, Reply, ToolCall
from langchain_kimi import ChatKimi, KimiToolChoiceError, KimiWebSearch
from tests.families import FAMILIES

DECLARED = {"type": "builtin_function", "function": {"name": "$web_search"}}

# Nothing that a JSON library writes of itself: spaces, an escape, a float, a key twice.
RAW = '{"search_result": {"search_id":"\\u00e9"},"x":1,"x":2,  "usage":{"total_tokens":7946.0}}'


def search(arguments: Any = RAW, **fields: Any) -> ToolCall:
    return ToolCall("$web_search", arguments, type="builtin_function", **fields)


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


def ask(text: str) -> Any:
    return {"messages": [{"role": "user", "content": text}]}


async def run(agent: Any, way: str, text: str, config: Any = None) -> list[Any]:
    """Run an agent in one of four ways."""
    if way == "invoke":
        return list(agent.invoke(ask(text), config)["messages"])
    if way == "ainvoke":
        return list((await agent.ainvoke(ask(text), config))["messages"])
    if way == "stream":
        states = [
            part
            for mode, part in agent.stream(ask(text), config, stream_mode=["values", "messages"])
            if mode == "values"
        ]
    else:
        parts = agent.astream(ask(text), config, stream_mode=["values", "messages"])
        states = [part async for mode, part in parts if mode == "values"]
    return list(states[-1]["messages"])


WAYS = ["invoke", "ainvoke", "stream", "astream"]


@pytest.mark.parametrize("given", [KimiWebSearch(), DECLARED, "$web_search"], ids=["tool", "dict", "name"])
@pytest.mark.parametrize("strict", [None, True])
def test_every_form_declares_the_builtin(kimi: KimiEmulator, make: Any, given: Any, strict: bool | None) -> None:
    make().bind_tools([given, get_weather], strict=strict).invoke("Hello!")
    assert kimi.requests[-1].body["tools"][0] == DECLARED
    assert kimi.requests[-1].body["tools"][1]["function"]["name"] == "get_weather"


@pytest.mark.says("docs/web-search-and-tools.md", "the model searches on the server, beside your own tools")
@pytest.mark.slow
@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
async def test_agents_of_every_family_search(kimi: KimiEmulator, make: Any, model: str, way: str) -> None:
    agent = create_agent(make(model), [KimiWebSearch(), get_weather])
    messages = await run(agent, way, "What is the capital of Norway?")
    assert "Oslo" in messages[-1].content
    (answer,) = [message for message in messages if isinstance(message, ToolMessage)]
    assert (answer.name, answer.status) == ("$web_search", "success")
    sent = kimi.requests[-1].body["messages"]
    assert sent[1]["tool_calls"][0]["type"] == "builtin_function"
    assert sent[2]["content"] == sent[1]["tool_calls"][0]["function"]["arguments"]
    assert sent[1].get("reasoning_content") == messages[1].additional_kwargs.get("reasoning_content")


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    "Every call has to be answered with its own arguments, byte for byte; that is done for you.",
)
@pytest.mark.parametrize("way", WAYS)
async def test_the_echo_is_what_the_server_wrote_byte_for_byte(kimi: KimiEmulator, make: Any, way: str) -> None:
    kimi.script(
        Reply(reasoning="r1", tool_calls=[search()]),
        Reply(reasoning="r2", tool_calls=[search('{"usage":{"total_tokens":5}}'), ToolCall("get_weather", {"city": "Oslo"})]),
        Reply("Done.", reasoning="r3"),
    )  # fmt: skip
    agent = create_agent(make("kimi-k2.6"), [KimiWebSearch(), get_weather], checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    messages = await run(agent, way, "Search twice.", config)
    sent = kimi.requests[-1].body["messages"]
    assert [message.get("reasoning_content") for message in sent if message["role"] == "assistant"] == ["r1", "r2"]
    assert [(m["name"], m["content"]) for m in sent if m["role"] == "tool"] == [
        ("$web_search", RAW),
        ("$web_search", '{"usage":{"total_tokens":5}}'),
        ("get_weather", "Sunny in Oslo."),
    ]
    counts = [m.artifact["usage"]["total_tokens"] for m in messages if isinstance(m, ToolMessage) and m.artifact]
    assert counts == [7946.0, 5]
    await run(agent, way, "And now?", config)
    assert kimi.requests[-1].body["messages"][: len(sent)] == sent


def test_serialised_messages_echo_the_same_bytes(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply(reasoning="r", tool_calls=[search()]))
    model = make().bind_tools([KimiWebSearch()])
    call = model.invoke("Search.")
    graph = StateGraph(MessagesState).add_node("tools", ToolNode([KimiWebSearch()])).set_entry_point("tools").compile()
    history = graph.invoke({"messages": [HumanMessage("Search."), call]})["messages"]
    assert history[2].artifact["usage"] == {"total_tokens": 7946.0}
    copied = messages_from_dict(json.loads(json.dumps([message_to_dict(message) for message in history])))
    model.invoke(copied)
    assert kimi.requests[-1].body["messages"][2]["content"] == RAW


def test_a_declared_dict_without_a_tool_is_echoed_too(kimi: KimiEmulator, make: Any) -> None:
    """The agent's tool node knows no `$web_search` then, and says so; the server gets its echo."""
    agent = create_agent(make(), [DECLARED, get_weather])
    messages = agent.invoke(ask("What is the capital of Norway?"))["messages"]
    assert messages[2].status == "error"
    assert "Oslo" in messages[-1].content


def test_tokens_of_the_search_are_in_the_next_prompt(kimi: KimiEmulator, make: Any) -> None:
    messages = create_agent(make(), [KimiWebSearch()]).invoke(ask("What is the capital of Norway?"))["messages"]
    before, after = (m.usage_metadata["input_tokens"] for m in messages if isinstance(m, AIMessage))
    assert after - before > messages[2].artifact["usage"]["total_tokens"] > 0


@pytest.mark.filterwarnings("ignore::kimi_wire.errors.KimiWarning")
@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("choice", ["$web_search", "any", DECLARED])
def test_a_forced_search_on_every_family(kimi: KimiEmulator, make: Any, model: str, choice: Any) -> None:
    bound = make(model).bind_tools([KimiWebSearch(), get_weather], tool_choice=choice)
    assert bound.invoke("What is the capital of Norway?").tool_calls[0]["name"] == "$web_search"


def test_a_forced_search_that_does_not_come_is_an_error(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply("No."))
    with pytest.raises(KimiToolChoiceError, match=r"a call of \$web_search was asked for"):
        make().bind_tools([KimiWebSearch(), get_weather], tool_choice="$web_search").invoke("Hi")


@pytest.mark.parametrize("arguments", ['{"self":1,"usage":null}', "{}", '{"config":{},"run_manager":2,"callbacks":[]}'])
def test_whatever_the_server_writes_is_echoed(kimi: KimiEmulator, make: Any, arguments: str) -> None:
    kimi.script(Reply(reasoning="r", tool_calls=[search(arguments)]), Reply("Done."))
    messages = create_agent(make(), [KimiWebSearch()]).invoke(ask("Search."))["messages"]
    assert messages[2].artifact == json.loads(arguments)
    assert kimi.requests[-1].body["messages"][2]["content"] == arguments


async def test_the_tool_alone() -> None:
    given = {"search_result": {"search_id": "é"}, "usage": {"total_tokens": 1}}
    assert KimiWebSearch().invoke(given) == '{"search_result":{"search_id":"é"},"usage":{"total_tokens":1}}'
    called = await KimiWebSearch().ainvoke({"type": "tool_call", "name": "$web_search", "args": given, "id": "1"})
    assert called.artifact == given


def test_other_names_are_no_tools() -> None:
    with pytest.raises(ValueError):
        ChatKimi(api_key="sk-x").bind_tools(["web_search"])
