"""`$web_search` in LlamaIndex: declared, echoed byte for byte, in agents and beside other tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import Memory
from llama_index.core.tools import FunctionTool
from sqlalchemy.ext.asyncio import create_async_engine

from kimi_emulator import KimiEmulator, Reply, ToolCall
from llama_index_kimi import Kimi, KimiRequestError, KimiWebSearchToolSpec
from llama_index_kimi.tools import render_tool
from tests.families import FAMILIES

Make = Callable[..., Kimi]

# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
# Core's ReActAgent asks for `Context.is_running` in a step, which the same package deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]

DECLARED = {"type": "builtin_function", "function": {"name": "$web_search"}}

# Nothing that a JSON library writes of itself: spaces, an escape, a float, a key twice.
RAW = '{"search_result": {"search_id":"\\u00e9"},"x":1,"x":2,  "usage":{"total_tokens":7946.0}}'


def search(arguments: Any = RAW) -> ToolCall:
    return ToolCall("$web_search", arguments, type="builtin_function")


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


def tools() -> list[Any]:
    return [*KimiWebSearchToolSpec().to_tool_list(), FunctionTool.from_defaults(get_weather)]


@pytest.mark.slow
@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("streaming", [True, False])
async def test_agents_of_every_family_search(kimi: KimiEmulator, llm: Make, model: str, streaming: bool) -> None:
    agent = FunctionAgent(tools=tools(), llm=llm(model), streaming=streaming)
    output = await agent.run("What is the capital of Norway?")
    assert "Oslo" in str(output)
    body = kimi.requests[-1].body
    assert body["tools"][0] == DECLARED
    assert body["messages"][1]["tool_calls"][0]["type"] == "builtin_function"
    assert body["messages"][2]["content"] == body["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert body["messages"][2]["name"] == "$web_search"


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    "Every call has to be answered with its own arguments, byte for byte; that is done for you.",
)
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("workflow", [True, False])
@pytest.mark.slow
async def test_the_echo_is_what_the_server_wrote_byte_for_byte(
    kimi: KimiEmulator, llm: Make, streaming: bool, workflow: bool
) -> None:
    kimi.script(
        Reply(reasoning="r1", tool_calls=[search()]),
        Reply(reasoning="r2", tool_calls=[search('{"usage":{"total_tokens":5}}'), ToolCall("get_weather", {"city": "Oslo"})]),
        Reply("Done.", reasoning="r3"),
        Reply("Still done."),
    )  # fmt: skip
    agent: Any = FunctionAgent(name="a", description="d", tools=tools(), llm=llm("kimi-k2.6"), streaming=streaming)
    if workflow:
        agent = AgentWorkflow(agents=[agent])
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    memory = Memory.from_defaults(session_id="s", async_engine=engine)
    output = await agent.run("Search twice.", memory=memory)
    sent = kimi.requests[-1].body["messages"]
    assert [message.get("reasoning_content") for message in sent if message["role"] == "assistant"] == ["r1", "r2"]
    assert [(m.get("name"), m["content"]) for m in sent if m["role"] == "tool"] == [
        ("$web_search", RAW),
        ("$web_search", '{"usage":{"total_tokens":5}}'),
        (None, "Sunny in Oslo."),
    ]
    outputs = [call.tool_output.raw_output for call in output.tool_calls if call.tool_name == "$web_search"]
    assert [output["usage"]["total_tokens"] for output in outputs] == [7946.0, 5]
    await agent.run("And now?", memory=memory)
    assert kimi.requests[-1].body["messages"][: len(sent)] == sent
    await engine.dispose()


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_chat_with_tools_and_predict_and_call(kimi: KimiEmulator, llm: Make, asynchronous: bool) -> None:
    model = llm()
    question = "What is the capital of Norway?"
    if asynchronous:
        response = await model.achat_with_tools(tools(), question)
        called = await model.apredict_and_call(tools(), question)
    else:
        response = model.chat_with_tools(tools(), question)
        called = model.predict_and_call(tools(), question)
    (call,) = model.get_tool_calls_from_response(response)
    assert call.tool_name == "$web_search"
    assert called.sources[0].raw_output["usage"]["total_tokens"] > 0
    answer = ChatMessage(role="tool", content="whatever", additional_kwargs={"tool_call_id": call.tool_id})
    history = [ChatMessage(role="user", content=question), response.message, answer]
    final = await model.achat(history) if asynchronous else model.chat(history)
    assert "Oslo" in str(final.message.content)


@pytest.mark.filterwarnings("ignore::kimi_wire.errors.KimiWarning")
@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("choice", ["$web_search", "any", DECLARED])
def test_a_forced_search_on_every_family(llm: Make, model: str, choice: Any) -> None:
    response = llm(model).chat_with_tools(tools(), "What is the capital of Norway?", tool_choice=choice)
    assert [call.tool_name for call in llm().get_tool_calls_from_response(response)] == ["$web_search"]


@pytest.mark.parametrize("arguments", ['{"usage":null}', "{}", '{"input":{},"args":2,"tool_name":"x"}'])
async def test_whatever_the_server_writes_is_echoed(kimi: KimiEmulator, llm: Make, arguments: str) -> None:
    kimi.script(Reply(reasoning="r", tool_calls=[search(arguments)]), Reply("Done."))
    output = await FunctionAgent(tools=tools(), llm=llm()).run("Search.")
    assert output.tool_calls[0].tool_output.raw_output == json.loads(arguments)
    assert kimi.requests[-1].body["messages"][2]["content"] == arguments


async def test_an_agent_that_writes_its_tools_into_a_prompt_is_told(kimi: KimiEmulator, llm: Make) -> None:
    with pytest.raises(KimiRequestError, match=r"cannot be written into a prompt.*Use a FunctionAgent"):
        await ReActAgent(tools=tools(), llm=llm()).run("What is the capital of Norway?")
    assert kimi.requests == []


async def test_the_tool_alone() -> None:
    (tool,) = KimiWebSearchToolSpec().to_tool_list()
    assert tool.metadata.name == "$web_search"
    assert tool.metadata.get_parameters_dict() == {"type": "object", "properties": {}}
    assert str(tool(usage={"total_tokens": 1})) == str(await tool.acall(usage={"total_tokens": 1}))


def test_tools_in_any_form() -> None:
    assert render_tool("$web_search") == DECLARED
    assert render_tool(DECLARED) == DECLARED
    assert render_tool(get_weather)["function"]["name"] == "get_weather"
    with pytest.raises(KimiRequestError, match="A str is no tool"):
        render_tool("web_search")
