"""Tools that are loaded by a message in the middle of a conversation (kimi-k3 and newer)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.memory import Memory
from llama_index.core.tools import FunctionTool
from sqlalchemy.ext.asyncio import create_async_engine

from kimi_emulator import KimiEmulator, Reply
from kimi_wire import KimiWarning, profile_for
from llama_index_kimi import Kimi, KimiRequestError, KimiToolChoiceError
from tests.families import FAMILIES

Make = Callable[..., Kimi]

# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


def get_population(city: str) -> str:
    """Get the population of a city."""
    return f"700000 people live in {city}."


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def load(*tools: Any, content: Any = None) -> ChatMessage:
    return ChatMessage(role="system", content=content, additional_kwargs={"tools": list(tools)})


def user(text: str = "What is the weather in Oslo?") -> ChatMessage:
    return ChatMessage(role="user", content=text)


async def answer(model: Kimi, way: str, messages: list[ChatMessage], **kwargs: Any) -> ChatResponse:
    if way == "chat":
        return model.chat(messages, **kwargs)
    if way == "achat":
        return await model.achat(messages, **kwargs)
    if way == "stream_chat":
        return list(model.stream_chat(messages, **kwargs))[-1]
    return [response async for response in await model.astream_chat(messages, **kwargs)][-1]


def names(model: Kimi, response: ChatResponse) -> list[str]:
    return [call.tool_name for call in model.get_tool_calls_from_response(response)]


WAYS = ["chat", "achat", "stream_chat", "astream_chat"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k3.1-pro"])
@pytest.mark.parametrize("content", [None, ""])
async def test_a_message_loads_a_tool(kimi: KimiEmulator, llm: Make, model: str, way: str, content: Any) -> None:
    kimi_k3 = llm(model)
    response = await answer(kimi_k3, way, [load(WEATHER, content=content), user()])
    assert names(kimi_k3, response) == ["get_weather"]
    assert kimi.requests[-1].body["messages"][0] == {"role": "system", "tools": [WEATHER]}
    assert "tools" not in kimi.requests[-1].body


@pytest.mark.parametrize(
    "given", [WEATHER, FunctionTool.from_defaults(get_weather), get_weather], ids=["dict", "tool", "function"]
)
def test_tools_in_any_form(kimi: KimiEmulator, llm: Make, given: Any) -> None:
    llm().chat([user("Hello!"), load(given)])
    (sent,) = kimi.requests[-1].body["messages"][1]["tools"]
    assert (sent["type"], sent["function"]["name"], sent["function"]["parameters"]["required"]) == (
        "function", "get_weather", ["city"],
    )  # fmt: skip


@pytest.mark.parametrize("model", [family for family in FAMILIES if not profile_for(family.values[0]).dynamic_tools])
def test_other_families_get_them_with_the_request(kimi: KimiEmulator, llm: Make, model: str) -> None:
    with pytest.warns(KimiWarning, match="takes no tools in messages here; they are declared with the request"):
        llm(model).chat([load(WEATHER), user()])
    body = kimi.requests[-1].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_weather"]
    assert [message["role"] for message in body["messages"]] == ["user"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (load(WEATHER, content="Here are tools."), "both text and tools"),
        (load(WEATHER, WEATHER), "Two tools are called 'get_weather'"),
        (
            ChatMessage(role="user", content="Hi", additional_kwargs={"tools": [WEATHER]}),
            "has the role 'user'|both text",
        ),
        (ChatMessage(role="system", additional_kwargs={"tools": WEATHER}), r"must be a list of tools, not \{"),
        (load("$web_search"), "brings a builtin function along"),
        (load(7), "A int is no tool"),
    ],
)
def test_messages_that_are_refused_here(kimi: KimiEmulator, llm: Make, message: ChatMessage, words: str) -> None:
    with pytest.raises(KimiRequestError, match=words):
        llm().chat([message, user()])
    assert kimi.requests == []


def test_names_are_unique_in_the_whole_request(kimi: KimiEmulator, llm: Make) -> None:
    with pytest.raises(KimiRequestError, match="Two tools are called 'get_weather'"):
        llm().chat_with_tools([FunctionTool.from_defaults(get_weather)], chat_history=[load(WEATHER), user()])
    assert kimi.requests == []


def test_a_forced_choice_counts_them(kimi: KimiEmulator, llm: Make) -> None:
    model = llm()
    response = model.chat_with_tools([], "Oslo!", chat_history=[load(WEATHER)], tool_required=True)
    assert names(model, response) == ["get_weather"]
    assert kimi.requests[-1].body["tool_choice"] == "required"
    assert "tools" not in kimi.requests[-1].body
    kimi.script(Reply("No."))
    with pytest.raises(KimiToolChoiceError, match="a call of get_weather was asked for"):
        model.chat_with_tools([], "Oslo!", chat_history=[load(WEATHER)], tool_choice="any")


@pytest.mark.parametrize("name", ["get_weather", "get_population"])
@pytest.mark.parametrize("way", WAYS)
async def test_a_named_choice_beside_them_is_kept(kimi: KimiEmulator, llm: Make, name: str, way: str) -> None:
    """It is made by constrained output, since a list in a message cannot be narrowed."""
    model = llm()
    tools = [FunctionTool.from_defaults(get_population)]
    prepared = model._prepare_chat_with_tools(
        tools, "Tell me something about Oslo.", chat_history=[load(WEATHER)], tool_choice=name
    )
    response = await answer(model, way, **prepared)
    assert names(model, response) == [name]
    assert kimi.requests[-1].body["tool_choice"] == "none"


class LoadingAgent(FunctionAgent):
    """Runs all of its tools, and declares only those that no message loads."""

    loaded_later: list[str]

    async def take_step(self, ctx: Any, llm_input: Any, tools: Sequence[Any], memory: Any) -> Any:
        declared = [tool for tool in tools if tool.metadata.name not in self.loaded_later]
        return await super().take_step(ctx, llm_input, declared, memory)

    async def handle_tool_call_results(self, ctx: Any, results: list[ToolCallResult], memory: Any) -> None:
        await super().handle_tool_call_results(ctx, results, memory)
        if any(result.tool_name == "load_city_tools" for result in results):
            scratchpad = await ctx.store.get(self.scratchpad_key)
            await ctx.store.set(self.scratchpad_key, [*scratchpad, load(WEATHER)])


def load_city_tools() -> str:
    """Load tools for weather reports."""
    return "Loaded."


@pytest.mark.parametrize("streaming", [True, False])
async def test_an_agent_loads_a_tool_in_the_middle_of_a_run(kimi: KimiEmulator, llm: Make, streaming: bool) -> None:
    agent = LoadingAgent(
        tools=[load_city_tools, get_population, get_weather],
        loaded_later=["get_weather"],
        llm=llm(),
        streaming=streaming,
    )
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    memory = Memory.from_defaults(session_id="s", async_engine=engine)
    output = await agent.run("load_city_tools, and then tell me the weather in Oslo.", memory=memory)
    assert [call.tool_name for call in output.tool_calls] == ["load_city_tools", "get_weather"]
    body = kimi.requests[-1].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["load_city_tools", "get_population"]
    assert {"role": "system", "tools": [WEATHER]} in body["messages"]
    output = await agent.run("And the weather in Rome?", memory=memory)
    assert "Sunny in Rome" in str(output)
    assert kimi.requests[-1].body["messages"][: len(body["messages"])] == body["messages"]
    await engine.dispose()
