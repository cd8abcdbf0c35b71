"""Tools that are loaded by a message in the middle of a conversation (kimi-k3 and newer)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelRequest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.prebuilt import ToolRuntime
from langgraph.types import Command
from pydantic import BaseModel

from kimi_emulator import KimiEmulator, Reply
from kimi_wire import KimiWarning, profile_for
from langchain_kimi import KimiRequestError, KimiToolChoiceError
from tests.families import FAMILIES

K3 = ["kimi-k3", "kimi-k3.1-pro"]


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


@tool
def get_population(city: str) -> str:
    """Get the population of a city."""
    return f"700000 people live in {city}."


def get_time(city: str) -> str:
    """Get the local time of a city."""
    return f"Noon in {city}."


class GetTime(BaseModel):
    """Get the local time of a city."""

    city: str


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def load(*tools: Any, content: Any = "") -> SystemMessage:
    return SystemMessage(content, additional_kwargs={"tools": list(tools)})


async def answer(model: Any, way: str, messages: list[Any]) -> AIMessage:
    if way == "invoke":
        return model.invoke(messages)  # type: ignore[no-any-return]
    if way == "ainvoke":
        return await model.ainvoke(messages)  # type: ignore[no-any-return]
    chunks = list(model.stream(messages)) if way == "stream" else [chunk async for chunk in model.astream(messages)]
    return sum(chunks[1:], chunks[0])  # type: ignore[no-any-return]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("model", K3)
@pytest.mark.parametrize("content", ["", [], [{"type": "text", "text": ""}]], ids=["text", "list", "block"])
async def test_a_message_loads_a_tool(kimi: KimiEmulator, make: Any, model: str, way: str, content: Any) -> None:
    said = await answer(
        make(model), way, [load(WEATHER, content=content), HumanMessage("What is the weather in Oslo?")]
    )
    assert said.tool_calls[0]["name"] == "get_weather"
    assert kimi.requests[-1].body["messages"][0] == {"role": "system", "tools": [WEATHER]}
    assert "tools" not in kimi.requests[-1].body


@pytest.mark.says(
    "docs/web-search-and-tools.md", "The tools may have any form that `bind_tools` or `chat_with_tools` take"
)
@pytest.mark.parametrize("given", [WEATHER, get_weather, GetTime, get_time], ids=["dict", "tool", "class", "function"])
def test_tools_in_any_form(kimi: KimiEmulator, make: Any, given: Any) -> None:
    make().invoke([HumanMessage("Hello!"), load(given)])
    (sent,) = kimi.requests[-1].body["messages"][1]["tools"]
    assert (sent["type"], sent["function"]["parameters"]["required"]) == ("function", ["city"])


@pytest.mark.says(
    "docs/web-search-and-tools.md", "kimi-k3 and newer models take tools in a system message without text, at any place"
)
def test_any_place_and_any_number(kimi: KimiEmulator, make: Any) -> None:
    model = make()
    history = [
        SystemMessage("Be brief."), load(get_population), HumanMessage("Hello!"), AIMessage("Hi."),
        ChatMessage("", role="system", additional_kwargs={"tools": [get_time]}),
        HumanMessage("What is the weather in Oslo?"), load(WEATHER),
    ]  # fmt: skip
    call = model.invoke(history)
    assert call.tool_calls[0]["name"] == "get_weather"
    sent = kimi.requests[-1].body["messages"]
    assert [len(message.get("tools", ())) for message in sent] == [0, 1, 0, 0, 1, 0, 1]
    model.invoke([*history, call, ToolMessage("Sunny.", tool_call_id=call.tool_calls[0]["id"])])
    assert kimi.requests[-1].body["messages"][:7] == sent


@pytest.mark.says(
    "docs/web-search-and-tools.md", "Other models and hosts get the tools with the request, and a warning says so."
)
@pytest.mark.parametrize("model", [family for family in FAMILIES if not profile_for(family.values[0]).dynamic_tools])
def test_other_families_get_them_with_the_request(kimi: KimiEmulator, make: Any, model: str) -> None:
    with pytest.warns(KimiWarning, match="takes no tools in messages here; they are declared with the request"):
        make(model).invoke([load(WEATHER), HumanMessage("Hi")])
    body = kimi.requests[-1].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_weather"]
    assert [message["role"] for message in body["messages"]] == ["user"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (load(WEATHER, content="Here are tools."), "both text and tools"),
        (load(WEATHER, WEATHER), "Two tools are called 'get_weather'"),
        (HumanMessage("Hi", additional_kwargs={"tools": [WEATHER]}), "has the role 'user'"),
        (SystemMessage("", additional_kwargs={"tools": WEATHER}), r"must be a list of tools, not \{"),
        (load("$web_search"), "brings a builtin function along"),
    ],
)
def test_messages_that_are_refused_here(kimi: KimiEmulator, make: Any, message: Any, words: str) -> None:
    with pytest.raises(KimiRequestError, match=words):
        make().invoke([message, HumanMessage("Hi")])
    assert kimi.requests == []


RESPONSES_WEATHER = {"type": "function", **WEATHER["function"], "strict": None}  # type: ignore[dict-item]
BLOCK: dict[str, Any] = {"type": "additional_tools", "role": "developer", "tools": [RESPONSES_WEATHER]}


@pytest.mark.says("docs/web-search-and-tools.md", "which is OpenAI's, is understood alike")
@pytest.mark.parametrize("block", [BLOCK, {**BLOCK, "tools": [WEATHER]}, {"type": "non_standard", "value": BLOCK}])
def test_openais_block_of_tools(kimi: KimiEmulator, make: Any, block: Any) -> None:
    message = SystemMessage([{"type": "text", "text": "New tools."}, block])
    before = message.model_dump()
    history = [HumanMessage("What is the weather in Oslo?"), message]
    assert make().invoke(history).tool_calls[0]["name"] == "get_weather"
    loading = [{"role": "system", "content": "New tools."}, {"role": "system", "tools": [WEATHER]}]
    assert kimi.requests[-1].body["messages"][1:] == loading
    with pytest.warns(KimiWarning, match="declared with the request"):
        make("kimi-k2.6").bind_tools([get_population]).invoke([*history, SystemMessage([block])])
    body = kimi.requests[-1].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_population", "get_weather"]
    assert body["messages"][1:] == loading[:1]
    assert message.model_dump() == before


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({**BLOCK, "tools": "get_weather"}, "must be a list of tools"),
        ({**BLOCK, "tools": [7]}, "must be a declaration, not 7"),
        ({**BLOCK, "tools": [{"type": "web_search"}]}, "must look like"),
        ({**BLOCK, "tools": [RESPONSES_WEATHER, WEATHER]}, "Two tools are called"),
    ],
)
def test_blocks_of_tools_that_are_refused(kimi: KimiEmulator, make: Any, block: Any, words: str) -> None:
    with pytest.raises(KimiRequestError, match=words):
        make().invoke([SystemMessage([block]), HumanMessage("Hi")])
    with pytest.raises(KimiRequestError):
        make().invoke([HumanMessage([block])])
    assert kimi.requests == []


@pytest.mark.says("docs/web-search-and-tools.md", "Names are unique in the whole request.")
def test_names_are_unique_in_the_whole_request(kimi: KimiEmulator, make: Any) -> None:
    with pytest.raises(KimiRequestError, match="Two tools are called 'get_weather'"):
        make().bind_tools([get_weather]).invoke([load(WEATHER), HumanMessage("Hi")])
    with pytest.raises(KimiRequestError, match="Two tools are called 'get_weather'"):
        make().invoke([load(WEATHER), HumanMessage("Hi"), load(get_weather)])
    assert kimi.requests == []


def test_a_forced_choice_counts_them(kimi: KimiEmulator, make: Any) -> None:
    messages = [load(WEATHER), HumanMessage("Oslo!")]
    assert make().bind_tools([], tool_choice="any").invoke(messages).tool_calls[0]["name"] == "get_weather"
    assert kimi.requests[-1].body["tool_choice"] == "required"
    bound = make().bind_tools([get_population], tool_choice="any")
    assert bound.invoke([*messages, HumanMessage("What is the weather in Oslo?")]).tool_calls
    kimi.script(Reply("No."))
    with pytest.raises(KimiToolChoiceError, match="a call of get_population or get_weather was asked for"):
        bound.invoke(messages)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
@pytest.mark.parametrize("name", ["get_weather", "get_population"])
async def test_a_named_choice_beside_them_is_kept(kimi: KimiEmulator, make: Any, name: str, way: str) -> None:
    """It is made by constrained output, since a list in a message cannot be narrowed."""
    bound = make().bind_tools([get_population], tool_choice=name)
    said = await answer(bound, way, [load(WEATHER), HumanMessage("Tell me something about Oslo.")])
    assert [call["name"] for call in said.tool_calls] == [name]
    assert said.tool_calls[0]["args"]["city"]
    body = kimi.requests[-1].body
    assert body["tool_choice"] == "none"
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_population"]


class LoadsTools(AgentMiddleware):
    """Registers tools with the agent and keeps them from the model until a message has loaded them."""

    def __init__(self, *tools: Any) -> None:
        super().__init__()
        self.tools = list(tools)

    def only_global(self, request: ModelRequest) -> ModelRequest:
        names = {tool.name for tool in self.tools}
        return request.override(tools=[tool for tool in request.tools if tool.name not in names])  # type: ignore[union-attr]

    def wrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Any]) -> Any:
        return handler(self.only_global(request))

    async def awrap_model_call(self, request: ModelRequest, handler: Callable[[ModelRequest], Any]) -> Any:
        return await handler(self.only_global(request))


@tool
def load_city_tools(runtime: ToolRuntime) -> Command[Any]:
    """Load tools for weather reports."""
    done = ToolMessage("Loaded.", tool_call_id=runtime.tool_call_id)
    return Command(update={"messages": [done, load(WEATHER)]})


@pytest.mark.says(
    "docs/web-search-and-tools.md", "An agent has to have the tool registered to run it, but must not declare it."
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_agent_loads_a_tool_in_the_middle_of_a_run(
    kimi: KimiEmulator, make: Any, asynchronous: bool, tmp_path: Any
) -> None:
    question: Any = {"messages": [("user", "load_city_tools, and then tell me the weather in Oslo.")]}
    tools = [load_city_tools, get_population]
    if asynchronous:
        agent = create_agent(make(), tools, middleware=[LoadsTools(get_weather)])
        messages = (await agent.ainvoke(question))["messages"]
    else:
        config: Any = {"configurable": {"thread_id": "1"}}
        with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as saver:
            agent = create_agent(make(), tools, middleware=[LoadsTools(get_weather)], checkpointer=saver)
            agent.invoke(question, config)
        with SqliteSaver.from_conn_string(str(tmp_path / "checkpoints.sqlite")) as saver:
            agent = create_agent(make(), tools, middleware=[LoadsTools(get_weather)], checkpointer=saver)
            messages = agent.invoke({"messages": [("user", "And the weather in Rome?")]}, config)["messages"]
    assert "Sunny in Oslo." in [message.content for message in messages if isinstance(message, ToolMessage)]
    assert "Sunny" in messages[-1].content
    body = kimi.requests[-1].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["load_city_tools", "get_population"]
    assert {"role": "system", "tools": [WEATHER]} in body["messages"]


WEATHER_SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
FLAT = {"type": "function", "name": "get_weather", "description": "The weather.", "parameters": WEATHER_SCHEMA}
CLAUDES = {"name": "get_weather", "description": "The weather.", "input_schema": WEATHER_SCHEMA}
BLOCKS: dict[str, Any] = {
    "OpenAI's": {"type": "additional_tools", "role": "developer", "tools": [FLAT]},
    "in no standard's": {"type": "non_standard", "value": {"type": "additional_tools", "tools": [FLAT]}},
    "Anthropic's": {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": CLAUDES}},
}


@pytest.mark.parametrize("form", BLOCKS)
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6"])
@pytest.mark.filterwarnings("ignore::kimi_wire.errors.KimiWarning")
def test_blocks_of_other_providers_load_tools(kimi: KimiEmulator, make: Any, form: str, model: str) -> None:
    make(model).invoke([HumanMessage("Hello"), SystemMessage([BLOCKS[form]]), SystemMessage("Be brief.")])
    body = kimi.requests[-1].body
    (tool,) = [tool for message in body["messages"] for tool in message.get("tools", ())] or body["tools"]
    function = tool["function"]
    assert (function["name"], function["description"]) == ("get_weather", "The weather.")
    assert function["parameters"]["properties"] == {"city": {"type": "string"}}
    assert not kimi.rejections
