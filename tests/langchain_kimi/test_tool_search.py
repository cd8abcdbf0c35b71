"""Agents with hundreds of tools: what a search finds is loaded on the way, and nothing that was sent changes."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import StructuredTool, tool
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.checkpoint.sqlite import SqliteSaver

from kimi_emulator import KimiEmulator, Reply, ToolCall
from langchain_kimi import ChatKimi, KimiRequestError, KimiToolSearchMiddleware, tool_documents

SERVERS = ("github", "jira", "calendar")


def make(server: str, number: int) -> StructuredTool:
    def run(subject: str) -> str:
        return f"{server} {number} did {subject}."

    return StructuredTool.from_function(
        run, name=f"{server}/tool.{number}", description=f"Do the {server} task number {number}."
    )


CATALOGUE = [make(server, number) for server in SERVERS for number in range(100)]


@tool
def get_time() -> str:
    """Get the time."""
    return "noon"


@pytest.fixture
def chat(kimi: KimiEmulator) -> ChatKimi:
    return ChatKimi(api_key="sk-test", base_url=kimi.base_url)


def wire_name(kimi: KimiEmulator, name: str) -> str:
    """What a loaded tool is called on the wire: the server refuses names of MCP servers."""
    declared = [tool["function"] for tool in loaded(kimi.requests[-1].body)]
    number = name.rpartition(".")[2]
    (found,) = [
        one["name"]
        for one in declared
        if one["description"].endswith(f"{name.partition('/')[0]} task number {number}.")
    ]
    return str(found)


def loaded(body: Any) -> list[Any]:
    """The tools that a request's messages load, or that it declares beside the usual ones."""
    brought = [tool for message in body["messages"] for tool in message.get("tools", ())]
    return brought or [tool for tool in body["tools"] if tool["function"]["name"] not in ("get_time", "search_tools")]


def search(*queries: str) -> Reply:
    return Reply("", tool_calls=[ToolCall("search_tools", {"query": query}) for query in queries])


def assert_prefixes_stay(kimi: KimiEmulator) -> None:
    assert not kimi.rejections
    for before, after in itertools.pairwise([request.body for request in kimi.requests]):
        old, new = ([json.dumps(one) for one in body["messages"]] for body in (before, after))
        assert new[: len(old)] == old
        assert json.dumps(before["tools"]) == json.dumps(after["tools"])
        assert len(after["tools"]) + len(loaded(after)) <= 128


class Mode:
    """A run of an agent, synchronous or not."""

    def __init__(self, asynchronous: bool) -> None:
        self.asynchronous = asynchronous

    async def __call__(self, agent: Any, text: str, config: Any = None) -> list[Any]:
        asked = {"messages": [HumanMessage(text)]}
        said = await agent.ainvoke(asked, config) if self.asynchronous else agent.invoke(asked, config)
        messages: list[Any] = said["messages"]
        return messages


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


async def test_three_hundred_tools_are_searched_loaded_and_called(
    kimi: KimiEmulator, chat: ChatKimi, ask: Mode
) -> None:
    agent = create_agent(chat, [get_time], middleware=[KimiToolSearchMiddleware(CATALOGUE, k=3)])
    kimi.script(
        search("jira task number 42"),
        lambda body: Reply("", tool_calls=[ToolCall(wire_name(kimi, "jira/tool.42"), {"subject": "tickets"})]),
        search("github task number 7"),
        Reply("Done."),
    )
    said = await ask(agent, "Do it.")
    kinds = [message.type for message in said]
    assert kinds == ["human", "ai", "tool", "system", "ai", "tool", "ai", "tool", "system", "ai"]
    assert said[5].content == "jira 42 did tickets."
    assert "jira/tool.42" in said[2].content
    assert_prefixes_stay(kimi)
    declared = [tool["function"]["name"] for tool in kimi.requests[0].body["tools"]]
    assert sorted(declared) == ["get_time", "search_tools"]
    assert len(loaded(kimi.requests[-1].body)) == 6


async def test_parallel_searches_load_once_behind_all_results(kimi: KimiEmulator, chat: ChatKimi, ask: Mode) -> None:
    agent = create_agent(chat, [], middleware=[KimiToolSearchMiddleware(CATALOGUE, k=2)])
    kimi.script(search("jira task number 42", "jira task number 42", "calendar task number 9", "zzz"), Reply("Done."))
    said = await ask(agent, "Do it.")
    assert [message.type for message in said] == ["human", "ai", "tool", "tool", "tool", "tool", "system", "ai"]
    assert said[5].content == "No tool was found for 'zzz'; try other words."
    names = [tool["function"]["name"] for tool in said[6].additional_kwargs["tools"]]
    assert len(names) == len(set(names))
    assert {"jira/tool.42", "calendar/tool.9"} <= set(names)
    assert_prefixes_stay(kimi)


async def test_what_was_found_before_is_not_loaded_again(kimi: KimiEmulator, chat: ChatKimi, ask: Mode) -> None:
    agent = create_agent(chat, [], middleware=[KimiToolSearchMiddleware(CATALOGUE, k=1)])
    kimi.script(search("jira task number 42"), search("jira task number 42"), Reply("Done."))
    said = await ask(agent, "Do it.")
    assert [message.type for message in said].count("system") == 1
    assert_prefixes_stay(kimi)


def test_a_thread_that_is_resumed_has_what_was_loaded(kimi: KimiEmulator, chat: ChatKimi, tmp_path: Any) -> None:
    thread: Any = {"configurable": {"thread_id": "ada"}}
    kimi.script(search("jira task number 42"), Reply("Loaded."))
    with SqliteSaver.from_conn_string(str(tmp_path / "a.db")) as saver:
        middleware = KimiToolSearchMiddleware(CATALOGUE, k=1)
        create_agent(chat, [], middleware=[middleware], checkpointer=saver).invoke(
            {"messages": [("user", "Hi")]}, thread
        )
    kimi.script(
        lambda body: Reply("", tool_calls=[ToolCall(wire_name(kimi, "jira/tool.42"), {"subject": "tickets"})]),
        Reply("Done."),
    )
    with SqliteSaver.from_conn_string(str(tmp_path / "a.db")) as saver:
        again = create_agent(chat, [], middleware=[KimiToolSearchMiddleware(CATALOGUE, k=1)], checkpointer=saver)
        said = again.invoke({"messages": [("user", "Go on")]}, thread)["messages"]
    assert said[-2].content == "jira 42 did tickets."
    assert_prefixes_stay(kimi)


@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k2.7-code"])
async def test_models_that_take_none_on_the_way_get_them_declared(kimi: KimiEmulator, model: str, ask: Mode) -> None:
    chat = ChatKimi(model=model, api_key="sk-test", base_url=kimi.base_url)
    agent = create_agent(chat, [get_time], middleware=[KimiToolSearchMiddleware(CATALOGUE, k=2)])
    kimi.script(
        search("jira task number 42"),
        lambda body: Reply("", tool_calls=[ToolCall(wire_name(kimi, "jira/tool.42"), {"subject": "tickets"})]),
        Reply("Done."),
    )
    said = await ask(agent, "Do it.")
    assert said[-2].content == "jira 42 did tickets."
    assert not kimi.rejections
    sizes = [len(request.body["tools"]) for request in kimi.requests]
    assert sizes == [2, 4, 4]
    assert not any("tools" in message for request in kimi.requests for message in request.body["messages"])


def test_another_vendors_model_is_asked_alike() -> None:
    bound: list[Any] = []

    class Fake(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            bound.append([one.name for one in tools])
            return self

    call = {"name": "search_tools", "args": {"query": "jira task number 42"}, "id": "1"}
    fake = Fake(messages=iter([AIMessage("", tool_calls=[call]), AIMessage("Done.")]))  # type: ignore[list-item]
    create_agent(fake, [], middleware=[KimiToolSearchMiddleware(CATALOGUE, k=1)]).invoke({"messages": [("user", "Hi")]})
    assert bound == [["search_tools"], ["search_tools", "jira/tool.42"]]


async def test_where_there_is_no_room_the_model_is_told(kimi: KimiEmulator, chat: ChatKimi, ask: Mode) -> None:
    agent = create_agent(chat, [], middleware=[KimiToolSearchMiddleware(CATALOGUE, k=3, max_loaded=4)])
    kimi.script(search("jira task number 42"), search("calendar task number 9"), Reply("Done."))
    said = await ask(agent, "Do it.")
    results = [message for message in said if isinstance(message, ToolMessage)]
    assert "No room for" in results[1].content
    assert len(loaded(kimi.requests[-1].body)) == 4
    assert_prefixes_stay(kimi)


class Fixed(BaseRetriever):
    """Finds what it was told."""

    found: list[str]

    def _get_relevant_documents(self, query: str, **_: Any) -> list[Document]:
        return [document for document in tool_documents(CATALOGUE) if document.metadata["name"] in self.found]


SEARCHES: dict[str, Any] = {
    "retriever": Fixed(found=["jira/tool.42", "github/tool.7"]),
    "names": lambda query: ["github/tool.7", "jira/tool.42", "not there"],
    "tools": lambda query: [CATALOGUE[7], CATALOGUE[142]],
}


@pytest.mark.parametrize("kind", SEARCHES)
async def test_the_search_is_the_users(kimi: KimiEmulator, chat: ChatKimi, ask: Mode, kind: str) -> None:
    agent = create_agent(chat, [], middleware=[KimiToolSearchMiddleware(CATALOGUE, SEARCHES[kind])])
    kimi.script(search("anything"), Reply("Done."))
    said = await ask(agent, "Do it.")
    names = {tool["function"]["name"] for tool in said[3].additional_kwargs["tools"]}
    assert names == {"jira/tool.42", "github/tool.7"}


async def test_a_search_by_embeddings(kimi: KimiEmulator, chat: ChatKimi, ask: Mode) -> None:
    store = InMemoryVectorStore.from_documents(tool_documents(CATALOGUE), DeterministicFakeEmbedding(size=16))
    retriever = store.as_retriever(search_kwargs={"k": 4})
    agent = create_agent(chat, [], middleware=[KimiToolSearchMiddleware(CATALOGUE, retriever)])
    kimi.script(search("jira"), Reply("Done."))
    await ask(agent, "Do it.")
    assert len(loaded(kimi.requests[-1].body)) == 4


def test_words_find_what_they_are_about() -> None:
    def weather_by_city(city: str) -> str:
        """How warm it is, and whether it rains."""
        return city

    tools = [*CATALOGUE, StructuredTool.from_function(weather_by_city, name="getWeatherByCity")]
    middleware = KimiToolSearchMiddleware(tools, k=1)
    assert middleware._find("the weather in a city")[1] == ["getWeatherByCity"]
    assert middleware._find("github 7")[1] == ["github/tool.7"]
    assert middleware._find("")[1] == []


def test_wrong_catalogues_are_named() -> None:
    with pytest.raises(KimiRequestError, match="two tools are called 'get_time'"):
        KimiToolSearchMiddleware([get_time, get_time])
    with pytest.raises(KimiRequestError, match="no tools to search"):
        KimiToolSearchMiddleware([])
    with pytest.raises(KimiRequestError, match="two tools are called 'get_time'"):
        KimiToolSearchMiddleware([get_time], name="get_time")


# Blocks that other providers bring tools along with.

FLAT = {"type": "function", "name": "get_weather", "description": "The weather.", "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}  # fmt: skip
CLAUDES = {"name": "get_weather", "description": "The weather.", "input_schema": FLAT["parameters"]}
BLOCKS: dict[str, Any] = {
    "OpenAI's": {"type": "additional_tools", "role": "developer", "tools": [FLAT]},
    "in no standard's": {"type": "non_standard", "value": {"type": "additional_tools", "tools": [FLAT]}},
    "Anthropic's": {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": CLAUDES}},
    "the chat API's": {"type": "additional_tools", "tools": [{"type": "function", "function": {
        key: value for key, value in FLAT.items() if key != "type"}}]},
}  # fmt: skip


@pytest.mark.parametrize("form", BLOCKS)
def test_blocks_of_other_providers_load_tools(kimi: KimiEmulator, chat: ChatKimi, form: str) -> None:
    chat.invoke([HumanMessage("Hello"), SystemMessage([BLOCKS[form]]), SystemMessage("Be brief.")])
    _, tools, _ = kimi.requests[-1].body["messages"]
    assert set(tools) == {"role", "tools"}
    (function,) = [tool["function"] for tool in tools["tools"]]
    assert (function["name"], function["description"]) == ("get_weather", "The weather.")
    assert function["parameters"]["properties"] == {"city": {"type": "string"}}
    assert not kimi.rejections


def test_text_beside_such_a_block_stands_before_it(kimi: KimiEmulator, chat: ChatKimi) -> None:
    said = [{"type": "text", "text": "Be brief."}, BLOCKS["OpenAI's"]]
    chat.invoke([SystemMessage(said), HumanMessage("Hello")])  # type: ignore[arg-type]
    assert [sorted(message) for message in kimi.requests[-1].body["messages"]] == [
        ["content", "role"], ["role", "tools"], ["content", "role"]
    ]  # fmt: skip


@pytest.mark.parametrize("form", BLOCKS)
def test_models_without_them_have_them_declared(kimi: KimiEmulator, form: str) -> None:
    chat = ChatKimi(model="kimi-k2.6", api_key="sk-test", base_url=kimi.base_url)
    with pytest.warns(UserWarning, match="is declared with the request"):
        chat.invoke([SystemMessage([BLOCKS[form]]), HumanMessage("Hello")])
    body = kimi.requests[-1].body
    assert [tool["function"]["name"] for tool in body["tools"]] == ["get_weather"]
    assert [message["role"] for message in body["messages"]] == ["user"]
