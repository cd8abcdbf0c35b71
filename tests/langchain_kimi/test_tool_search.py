"""An agent over hundreds of tools, which it searches and loads on the way."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain.agents.structured_output import ToolStrategy
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.exceptions import ModelInvalidRequestError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from kimi_wire import KimiWarning
from langchain_kimi import (
    KimiPromptCachingMiddleware,
    KimiRequestError,
    KimiToolSearchMiddleware,
    KimiWebSearch,
    tool_documents,
)
from langchain_kimi.tools import render_tool

THINGS = ["invoice", "weather", "issue", "flight", "recipe", "ticket", "contract", "parcel", "photo", "song"]
DEEDS = ["create", "find", "delete", "update", "list", "archive", "share", "count", "rename", "export"]

GO: Any = {"messages": [("user", "Go.")]}


def make_tool(server: str, deed: str, thing: str) -> StructuredTool:
    def act(target: str) -> str:
        return f"{server} did {deed} {thing} for {target}."

    return StructuredTool.from_function(
        act, name=f"{server}_{deed}_{thing}", description=f"{deed.title()} one {thing} on the server {server}."
    )


TOOLS = [make_tool(server, deed, thing) for server in ("alpha", "beta", "gamma") for deed in DEEDS for thing in THINGS]


def search(query: str, name: str = "search_tools", id: str | None = None) -> ToolCall:
    return ToolCall(name, {"query": query}, id=id)


def calls(*made: ToolCall) -> Reply:
    return Reply(tool_calls=list(made))


async def run(agent: Any, question: str, asynchronous: bool = False, thread: str | None = None) -> list[Any]:
    given: Any = {"messages": [("user", question)]}
    config: Any = {"configurable": {"thread_id": thread}} if thread else None
    state = await agent.ainvoke(given, config) if asynchronous else agent.invoke(given, config)
    return state["messages"]  # type: ignore[no-any-return]


def sent(body: Any) -> tuple[str, list[str]]:
    return json.dumps(body.get("tools")), [json.dumps(message) for message in body["messages"]]


def assert_append_only(kimi: KimiEmulator) -> None:
    """Nothing was refused, no request has too many tools, and each begins with the very bytes of the one before."""
    assert [request.error for request in kimi.rejections] == []
    bodies = [request.body for request in kimi.requests]
    for body in bodies:
        loaded = [tool for message in body["messages"] for tool in message.get("tools", ())]
        assert len(body.get("tools", ())) + len(loaded) <= 128
    for earlier, later in itertools.pairwise(bodies):
        (tools, messages), (same_tools, more) = sent(earlier), sent(later)
        assert same_tools == tools
        assert more[: len(messages)] == messages


@pytest.mark.says(
    "docs/web-search-and-tools.md", "shows the model a search tool in their place, and loads what a search finds"
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_agent_over_300_tools(kimi: KimiEmulator, make: Any, asynchronous: bool) -> None:
    kimi.script(
        calls(search("create an invoice")), calls(ToolCall("beta_create_invoice", {"target": "Ada"})), Reply("Done.")
    )
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS)])
    messages = await run(agent, "Send Ada an invoice.", asynchronous)
    assert [message.type for message in messages] == ["human", "ai", "tool", "system", "ai", "tool", "ai"]
    assert messages[5].content == "beta did create invoice for Ada."
    assert messages[-1].content == "Done."
    assert [tool["function"]["name"] for tool in kimi.requests[-1].body["tools"]] == ["search_tools"]
    assert len(kimi.requests[1].body["messages"][3]["tools"]) == 5
    assert_append_only(kimi)


@pytest.mark.says("docs/web-search-and-tools.md", "a thread that is resumed has its tools again")
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_thread_goes_on_with_what_it_has_loaded(kimi: KimiEmulator, make: Any, asynchronous: bool) -> None:
    saver = InMemorySaver()
    kimi.script(calls(search("find weather")), Reply("Found."))
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS)], checkpointer=saver)
    await run(agent, "Which tools?", asynchronous, "1")
    kimi.script(calls(ToolCall("alpha_find_weather", {"target": "Oslo"})), Reply("Sunny."))
    again = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS)], checkpointer=saver)
    messages = await run(again, "And now?", asynchronous, "1")
    assert "alpha did find weather for Oslo." in [message.content for message in messages]
    assert_append_only(kimi)


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    "Other models than kimi-k3 and newer get them among the request's tools, in the order they were found.",
)
def test_other_families_get_them_with_the_request(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(
        calls(search("create invoice")), calls(search("count parcel")),
        calls(ToolCall("beta_create_invoice", {"target": "Ada"})), Reply("Done."),
    )  # fmt: skip
    agent = create_agent(make("kimi-k2.6"), [], middleware=[KimiToolSearchMiddleware(TOOLS, limit=3)])
    messages = agent.invoke(GO)["messages"]
    assert "beta did create invoice for Ada." in [message.content for message in messages]
    declared = [json.dumps(request.body["tools"])[:-1] for request in kimi.requests]
    assert [len(request.body["tools"]) for request in kimi.requests] == [1, 4, 7, 7]
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(declared))
    assert not [message for message in kimi.requests[-1].body["messages"] if message["role"] == "system"]


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_searches_in_one_round(kimi: KimiEmulator, make: Any, asynchronous: bool) -> None:
    kimi.script(calls(search("invoice"), search("create invoice"), search("songs")), Reply("Done."))
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS)])
    messages = await run(agent, "Go.", asynchronous)
    assert [message.type for message in messages] == ["human", "ai", "tool", "tool", "tool", "system", "ai"]
    names = [tool["function"]["name"] for tool in kimi.requests[-1].body["messages"][-1]["tools"]]
    assert len(names) == len(set(names)) > 5
    assert_append_only(kimi)


def test_nothing_is_found(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(calls(search("zeppelin")), Reply("Sorry."))
    messages = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS)]).invoke(GO)["messages"]
    assert "No tool fits 'zeppelin'" in messages[2].content
    assert not [message for message in messages if isinstance(message, SystemMessage)]
    assert_append_only(kimi)


@pytest.mark.says("docs/web-search-and-tools.md", "A call of a tool that was never loaded is answered with an error.")
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_tool_that_was_never_loaded_is_not_run(kimi: KimiEmulator, make: Any, asynchronous: bool) -> None:
    kimi.script(calls(ToolCall("beta_create_invoice", {"target": "Ada"})), Reply("Sorry."))
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS, name="find")])
    messages = await run(agent, "Go.", asynchronous)
    assert messages[2].status == "error"
    assert "is not loaded, so it was not called. Search for it with find first" in messages[2].content


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    "`max_tools` (100) is how many a conversation loads; the oldest stay, and the search tells the model when it is full.",
)
def test_the_oldest_stay_when_it_is_full(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(*(calls(search(str(first))) for first in range(0, 300, 30)), Reply("Done."))
    pages = KimiToolSearchMiddleware(TOOLS, lambda query: TOOLS[int(query) :], limit=15)
    messages = create_agent(make(), [], middleware=[pages]).invoke(GO)["messages"]
    said = [message.content for message in messages if isinstance(message, ToolMessage)]
    assert any("more tools can be loaded in this conversation" in text for text in said)
    assert "Not loaded, as this conversation has as many tools as it can have" in said[-1]
    assert_append_only(kimi)


def test_searches_that_are_too_much_together(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(calls(search("song"), search("photo")), Reply("Done."))
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS, max_tools=7)])
    messages = agent.invoke(GO)["messages"]
    assert [message.type for message in messages] == ["human", "ai", "tool", "tool", "system", "system", "ai"]
    assert len(messages[4].additional_kwargs["tools"]) == 7
    assert "Not loaded" in messages[5].content
    assert_append_only(kimi)


def test_many_tools_of_the_agents_own(kimi: KimiEmulator, make: Any) -> None:
    own = [StructuredTool.from_function(lambda target: target, name=f"own_{n}", description="Own.") for n in range(124)]
    kimi.script(calls(search("song")), Reply("Done."))
    agent = create_agent(make(), own, middleware=[KimiToolSearchMiddleware(TOOLS)])
    with pytest.warns(KimiWarning, match="newest 2 loaded tools are left out"):
        agent.invoke(GO)
    assert_append_only(kimi)


class Fixed(BaseRetriever):
    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [one for one in tool_documents(TOOLS) if one.metadata["name"] == "gamma_share_photo"]


async def later(query: str) -> list[Any]:
    return [TOOLS[-1]]


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    "Give a function, sync or async, that returns names, tools or documents, best first; or any retriever of LangChain's over `tool_documents(tools)`",
)
@pytest.mark.parametrize(
    ("retriever", "name", "asynchronous"),
    [
        (Fixed(), "gamma_share_photo", False),
        (Fixed(), "gamma_share_photo", True),
        (lambda query: ["beta_list_song", "beta_list_song"], "beta_list_song", False),
        (lambda query: TOOLS[:1], "alpha_create_invoice", True),
        (lambda query: [Document("alpha_create_issue")], "alpha_create_issue", False),
        (later, "gamma_export_song", True),
    ],
)
async def test_retrievers(kimi: KimiEmulator, make: Any, retriever: Any, name: str, asynchronous: bool) -> None:
    kimi.script(calls(search("anything")), Reply("Done."))
    await run(create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS, retriever)]), "Go.", asynchronous)
    (loaded,) = kimi.requests[-1].body["messages"][-1]["tools"]
    assert loaded["function"]["name"] == name


def test_an_asynchronous_retriever_needs_an_asynchronous_run(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(calls(search("anything")))
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS, later)])
    with pytest.raises(KimiRequestError, match="ainvoke"):
        agent.invoke(GO)


def test_a_retriever_that_finds_what_is_not_there(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(calls(search("anything")), Reply("Done."))
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS, lambda query: ["gone"])])
    with pytest.warns(KimiWarning, match=r"found \['gone'\], which are no tools"):
        agent.invoke(GO)


def test_names_that_kimi_does_not_take(kimi: KimiEmulator, make: Any) -> None:
    odd = StructuredTool.from_function(lambda target: f"Dug {target}.", name="github.查询 issues", description="Dig.")
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware([*TOOLS, odd], lambda query: [odd])])
    kimi.script(calls(search("dig")), Reply("Wait."))
    messages = agent.invoke(GO)["messages"]
    alias = kimi.requests[-1].body["messages"][-1]["tools"][0]["function"]["name"]
    kimi.script(calls(ToolCall(alias, {"target": "it"})), Reply("Done."))
    messages = agent.invoke({"messages": [*messages, HumanMessage("Go on.")]})["messages"]
    assert "Dug it." in [message.content for message in messages]
    assert_append_only(kimi)


@pytest.mark.parametrize(
    "arguments", [{"tools": TOOLS[:1] * 2}, {"name": TOOLS[0].name}, {"limit": 0}, {"max_tools": 128}, {"max_tools": 0}]
)
def test_what_cannot_be_is_refused(arguments: Any) -> None:
    with pytest.raises(KimiRequestError):
        KimiToolSearchMiddleware(**{"tools": TOOLS, **arguments})


def test_a_name_that_the_agent_has_too(kimi: KimiEmulator, make: Any) -> None:
    own = StructuredTool.from_function(lambda target: target, name=TOOLS[0].name, description="Own.")
    agent = create_agent(make(), [own], middleware=[KimiToolSearchMiddleware(TOOLS)])
    with pytest.raises(KimiRequestError, match="one of the agent's, and one of"):
        agent.invoke(GO)
    assert kimi.requests == []


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    "Without a `retriever` the words that a query and the tools share decide (BM25), which knows no synonyms.",
)
@pytest.mark.parametrize(
    ("query", "first"),
    [("export songs from gamma", "gamma_export_song"), ("betaArchiveContract", "beta_archive_contract"), ("?", None)],
)
def test_the_ranking(query: str, first: str | None) -> None:
    found = list(KimiToolSearchMiddleware(TOOLS).retriever(query))  # type: ignore[operator, arg-type]
    assert (found[0] if found else None) == first


def test_answers_without_a_search_change_nothing(kimi: KimiEmulator, make: Any) -> None:
    agent = create_agent(make(), [], middleware=[KimiToolSearchMiddleware([])])
    messages = agent.invoke(GO)["messages"]
    assert [type(message) for message in messages] == [HumanMessage, AIMessage]


@pytest.mark.parametrize("found", [None, []])
def test_a_retriever_that_finds_nothing(kimi: KimiEmulator, make: Any, found: Any) -> None:
    kimi.script(calls(search("anything")), Reply("Done."))
    middleware = KimiToolSearchMiddleware(TOOLS, lambda query: found)
    assert "No tool fits" in create_agent(make(), [], middleware=[middleware]).invoke(GO)["messages"][2].content


def test_a_retriever_that_finds_one_name(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(calls(search("anything")), Reply("Done."))
    middleware = KimiToolSearchMiddleware(TOOLS, lambda query: "beta_list_song")
    agent = create_agent(make(), [], middleware=[middleware])
    assert agent.invoke(GO)["messages"][2].content == "You can call from now on: beta_list_song."


def test_what_kimi_would_refuse_is_refused_at_once() -> None:
    with pytest.raises(KimiRequestError, match="runs in Kimi's server"):
        KimiToolSearchMiddleware([KimiWebSearch()])
    nameless = TOOLS[0].model_copy(update={"name": ""})
    with pytest.raises(KimiRequestError) as refused:
        KimiToolSearchMiddleware([nameless])
    assert isinstance(refused.value, ModelInvalidRequestError)


def test_each_tool_is_described_once(monkeypatch: pytest.MonkeyPatch) -> None:
    described: list[str] = []

    def render(one: Any) -> Any:
        described.append(one.name)
        return render_tool(one)

    monkeypatch.setattr("langchain_kimi.tool_search.render_tool", render)
    KimiToolSearchMiddleware(TOOLS)
    assert described == [one.name for one in TOOLS]


@pytest.mark.parametrize(
    "wrapped", [lambda model: model.bind(max_tokens=900), lambda model: model.with_config(tags=["a"])]
)
def test_a_bound_model_loads_tools_on_the_way(kimi: KimiEmulator, make: Any, wrapped: Any) -> None:
    kimi.script(calls(search("create invoice")), Reply("Done."))
    create_agent(wrapped(make()), [], middleware=[KimiToolSearchMiddleware(TOOLS)]).invoke(GO)
    assert len(kimi.requests[-1].body["messages"][-1]["tools"]) == 5
    assert_append_only(kimi)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.filterwarnings("ignore:.*they are declared with the request")
def test_another_model_goes_on_and_the_first_one_after_it(kimi: KimiEmulator, make: Any, outside: bool) -> None:
    kimi.script(calls(search("create invoice")), Failure(400, "no"), Reply("Done."))
    chain = [ModelFallbackMiddleware(make("kimi-k2.6")), KimiToolSearchMiddleware(TOOLS)]
    agent = create_agent(make(), [], middleware=chain[::-1] if outside else chain)
    messages = agent.invoke(GO)["messages"]
    assert len(kimi.requests[-1].body["tools"]) == 6
    assert "tools" not in kimi.requests[-1].body["messages"][-1]
    kimi.script(Reply("Back."))
    agent.invoke({"messages": [*messages, HumanMessage("Again.")]})
    first, last = kimi.requests[1].body, kimi.requests[-1].body
    assert last["tools"] == first["tools"]
    assert last["messages"][: len(first["messages"])] == first["messages"]
    kimi.rejections.clear()


def test_an_answer_of_a_form_has_its_place_among_128(kimi: KimiEmulator, make: Any) -> None:
    class Done(BaseModel):
        """What was done."""

        text: str

    own = [StructuredTool.from_function(lambda target: target, name=f"own_{n}", description="Own.") for n in range(122)]
    kimi.script(calls(search("song")), calls(ToolCall("Done", {"text": "It."})))
    middleware = [KimiToolSearchMiddleware(TOOLS), KimiPromptCachingMiddleware("1h")]
    agent = create_agent(make(), own, middleware=middleware, response_format=ToolStrategy(Done))
    with pytest.warns(KimiWarning, match="newest 1 loaded tools"):
        assert agent.invoke(GO)["structured_response"] == Done(text="It.")
    assert_append_only(kimi)


def test_an_agent_under_another_has_a_search_of_its_own(kimi: KimiEmulator, make: Any) -> None:
    under = create_agent(make(), [], middleware=[KimiToolSearchMiddleware(TOOLS)])

    def ask(question: str) -> str:
        """Ask the expert."""
        return str(under.invoke({"messages": [HumanMessage(question)]})["messages"][-1].content)

    kimi.script(
        calls(search("expert")), calls(ToolCall("ask", {"question": "?"})), calls(search("invoice")), Reply("In."),
        Reply("Out."),
    )  # fmt: skip
    messages = create_agent(make(), [], middleware=[KimiToolSearchMiddleware([ask])]).invoke(GO)["messages"]
    assert [message.content for message in messages][-2:] == ["In.", "Out."]
    assert sum(bool(message.additional_kwargs.get("tools")) for message in messages) == 1
