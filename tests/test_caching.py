"""The prompt cache: how long it keeps, whose it is, and that nothing before a new turn ever changes."""

from __future__ import annotations

import itertools
import json
import warnings
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import CacheControl, CachePoint, TextBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiRequestError, KimiWarning
from langchain_kimi import ChatKimi, KimiPromptCachingMiddleware
from llama_index_kimi import Kimi, prompt_cache_session

pytestmark = [
    # llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key"),
]

KEY = "sk-test"
LONG = "Answer in one sentence, and only from what the tools say. " * 60


def options(kimi: KimiEmulator) -> Any:
    return kimi.requests[-1].body.get("prompt_cache_options")


def keys(kimi: KimiEmulator) -> list[Any]:
    return [request.body.get("prompt_cache_key") for request in kimi.requests]


@pytest.fixture
def chat(kimi: KimiEmulator) -> ChatKimi:
    return ChatKimi(api_key=KEY, base_url=kimi.base_url)


@pytest.fixture
def llm(kimi: KimiEmulator) -> Kimi:
    return Kimi(api_key=KEY, api_base=kimi.base_url)


# How long.


@pytest.mark.parametrize("ttl", ["5m", "1h"])
def test_the_time_is_sent_by_both(kimi: KimiEmulator, chat: ChatKimi, llm: Kimi, ttl: Any) -> None:
    wanted = {"mode": "implicit", "ttl": ttl}
    chat.invoke("Hello", prompt_cache_ttl=ttl)
    assert options(kimi) == wanted
    llm.complete("Hello", prompt_cache_ttl=ttl)
    assert options(kimi) == wanted
    ChatKimi(api_key=KEY, base_url=kimi.base_url, prompt_cache_ttl=ttl).invoke("Hello")
    assert options(kimi) == wanted
    chat.invoke("Hello")
    assert options(kimi) is None
    chat.invoke("Hello", prompt_cache_ttl=ttl, extra_body={"prompt_cache_options": {"ttl": "5m"}})
    assert options(kimi) == {"ttl": "5m"}


@pytest.mark.parametrize("model", ["kimi-k2.6", "moonshot-v1-8k", "gpt-5"])
def test_models_without_a_choice_are_left_alone_with_a_notice(model: str) -> None:
    with KimiEmulator(check=False) as kimi:
        chat = ChatKimi(model=model, api_key=KEY, base_url=kimi.base_url)
        with pytest.warns(KimiWarning, match="takes no prompt_cache_ttl here"):
            chat.invoke("Hello", prompt_cache_ttl="1h")
        assert options(kimi) is None
        with pytest.raises(KimiRequestError, match="prompt_cache_ttl"):
            chat.invoke("Hello", prompt_cache_ttl="1h", strict=True)


def test_other_hosts_are_not_asked() -> None:
    with KimiEmulator(host_kind="vllm") as kimi:
        chat = ChatKimi(api_key=KEY, base_url=kimi.base_url, dialect="vllm")
        with pytest.warns(KimiWarning, match="prompt_cache_ttl"):
            chat.invoke("Hello", prompt_cache_ttl="1h")
        assert options(kimi) is None


def test_other_times_are_refused_before_anything_is_sent(kimi: KimiEmulator, chat: ChatKimi, llm: Kimi) -> None:
    with pytest.raises(KimiRequestError, match=r"prompt_cache_ttl='2h' is not one of 5m, 1h"):
        chat.invoke("Hello", prompt_cache_ttl="2h")
    with pytest.raises(KimiRequestError, match=r"prompt_cache_ttl='2h' is not one of 5m, 1h"):
        llm.complete("Hello", prompt_cache_ttl="2h")
    with pytest.raises(KimiRequestError, match="ttl='2h'"):
        KimiPromptCachingMiddleware(ttl="2h")  # type: ignore[arg-type]
    with pytest.raises(KimiRequestError, match="unsupported_model_behavior"):
        KimiPromptCachingMiddleware(unsupported_model_behavior="cry")  # type: ignore[arg-type]
    assert not kimi.requests


def point(ttl: str) -> CachePoint:
    return CachePoint(cache_control=CacheControl(type="ephemeral", ttl=ttl))


@pytest.mark.parametrize(("ttls", "asked"), [(["5m"], "5m"), (["5m", "1h", "5m"], "1h"), (["24h"], None), ([], None)])
def test_cache_points_ask_for_the_longest_time(
    kimi: KimiEmulator, chat: ChatKimi, llm: Kimi, ttls: list[str], asked: str | None
) -> None:
    wanted = {"mode": "implicit", "ttl": asked} if asked else None
    llm.chat([ChatMessage(role="system", blocks=[TextBlock(text="Brief."), *map(point, ttls)]), ChatMessage("Hello")])
    plain = [{"role": "system", "content": "Brief."}, {"role": "user", "content": "Hello"}]
    assert (options(kimi), kimi.requests[-1].body["messages"]) == (wanted, plain)
    blocks = [
        {"type": "text", "text": "Brief."},
        *({"type": "text", "text": "", "cache_control": {"type": "ephemeral", "ttl": ttl}} for ttl in ttls),
    ]
    chat.invoke([SystemMessage(blocks), HumanMessage("Hello")])  # type: ignore[arg-type]
    assert (options(kimi), kimi.requests[-1].body["messages"]) == (wanted, plain)


def test_a_setting_comes_before_cache_points(kimi: KimiEmulator, llm: Kimi) -> None:
    llm.chat([ChatMessage(role="user", blocks=[TextBlock(text="Hello"), point("1h")])], prompt_cache_ttl="5m")
    assert options(kimi)["ttl"] == "5m"
    message = ChatMessage(role="user", blocks=[point("1h"), TextBlock(text="Hello")])
    before = message.model_dump()
    llm.chat([message])
    assert message.model_dump() == before


def test_the_emulator_forgets_in_time_and_counts_what_is_written(kimi: KimiEmulator, chat: ChatKimi) -> None:
    def details(**call: Any) -> dict[str, int]:
        usage = chat.invoke([SystemMessage(LONG), HumanMessage("Hello")], **call).usage_metadata
        assert usage is not None
        return dict(usage.get("input_token_details", {}))  # type: ignore[call-overload, no-any-return]

    first = details()
    assert first["cache_creation"] >= 512
    assert "cache_read" not in first
    assert details()["cache_read"] > 512
    kimi.pass_time(301)
    assert "cache_read" not in details()
    details(prompt_cache_ttl="1h")
    kimi.pass_time(3000)
    assert details(prompt_cache_ttl="1h")["cache_read"] > 512, "a hit renews the time"
    kimi.pass_time(3000)
    assert details()["cache_read"] > 512
    kimi.pass_time(3700)
    assert "cache_read" not in details()


@pytest.mark.parametrize("given", ["1h", {"ttl": "2h"}, {"mode": "explicit"}, {"ttl": 5}])
def test_the_emulator_refuses_other_options(kimi: KimiEmulator, chat: ChatKimi, given: Any) -> None:
    with pytest.raises(Exception, match="prompt_cache_options"):
        chat.invoke("Hello", extra_body={"prompt_cache_options": given})


# Whose.


def agent_of(chat: Any, *middleware: Any, tools: Any = ()) -> Any:
    return create_agent(chat, list(tools), middleware=middleware, checkpointer=InMemorySaver())


def thread(id: Any) -> Any:
    return {"configurable": {"thread_id": id}}


ASK = {"messages": [HumanMessage("Hello")]}


async def test_each_thread_has_its_key(kimi: KimiEmulator, chat: ChatKimi) -> None:
    agent = agent_of(chat, KimiPromptCachingMiddleware(ttl="1h"))
    agent.invoke(ASK, thread("ada"))
    await agent.ainvoke(ASK, thread("ada"))
    agent.invoke(ASK, thread("grace@example.org"))
    agent.invoke(ASK, thread("grace@example.org"))
    agent.invoke(ASK, thread("x" * 500))
    ada, again, grace, grace_again, long = keys(kimi)
    assert (ada, again) == ("ada", "ada")
    assert grace == grace_again
    assert "grace" not in grace
    assert len({ada, grace, long}) == 3
    assert max(map(len, (grace, long))) <= 64
    assert options(kimi) == {"mode": "implicit", "ttl": "1h"}


def test_without_a_thread_there_is_no_key(kimi: KimiEmulator, chat: ChatKimi) -> None:
    create_agent(chat, [], middleware=[KimiPromptCachingMiddleware()]).invoke(ASK)
    assert keys(kimi) == [None]
    assert options(kimi) is None


def test_what_the_caller_set_comes_first(kimi: KimiEmulator) -> None:
    chat = ChatKimi(api_key=KEY, base_url=kimi.base_url, prompt_cache_key="mine", prompt_cache_ttl="5m")
    agent_of(chat, KimiPromptCachingMiddleware(ttl="1h")).invoke(ASK, thread("ada"))
    assert keys(kimi) == ["mine"]
    assert options(kimi)["ttl"] == "5m"


@pytest.mark.parametrize("behaviour", ["ignore", "warn", "raise"])
def test_other_models_are_left_alone(kimi: KimiEmulator, chat: ChatKimi, behaviour: Any) -> None:
    other = GenericFakeChatModel(messages=iter([AIMessage("Hi.")]))
    agent = agent_of(other, KimiPromptCachingMiddleware(unsupported_model_behavior=behaviour))
    if behaviour == "ignore":
        agent.invoke(ASK, thread("ada"))
    elif behaviour == "warn":
        with pytest.warns(KimiWarning, match="GenericFakeChatModel is none"):
            agent.invoke(ASK, thread("ada"))
    else:
        with pytest.raises(KimiRequestError, match="GenericFakeChatModel is none"):
            agent.invoke(ASK, thread("ada"))
    falls_back = agent_of(
        ChatKimi(model="kimi-nowhere", api_key=KEY, base_url=kimi.base_url, max_retries=0),
        ModelFallbackMiddleware(chat),
        KimiPromptCachingMiddleware(),
    )
    falls_back.invoke(ASK, thread("ada"))
    assert keys(kimi)[-1] == "ada"


async def test_a_context_keeps_its_key(kimi: KimiEmulator, llm: Kimi) -> None:
    agent = FunctionAgent(llm=llm, tools=[])
    context = Context(agent)
    for _ in range(2):
        async with prompt_cache_session(context) as key:
            await agent.run("Hello", ctx=context)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the memory is not stored with a context
        stored = context.to_dict()
    async with prompt_cache_session(Context.from_dict(agent, stored)) as again:
        pass
    await agent.run("Hello")
    async with prompt_cache_session(Context(agent)) as other:
        assert other != key
    assert again == key
    assert keys(kimi) == [key, key, None]


async def test_every_kind_of_agent_and_engine_is_in_the_session(kimi: KimiEmulator, llm: Kimi) -> None:
    with prompt_cache_session("s1"):
        handler = ReActAgent(llm=llm, tools=[]).run("Hello")
        async for _ in handler.stream_events():
            pass
        await handler
        await AgentWorkflow.from_tools_or_functions([], llm=llm).run("Hello")
        SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults()).chat("Hello")
        await SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults()).achat("Hello")
        list(
            SimpleChatEngine.from_defaults(llm=llm, memory=ChatMemoryBuffer.from_defaults())
            .stream_chat("Hello")
            .response_gen
        )
        with prompt_cache_session("s2"):
            llm.complete("Hello")
        llm.complete("Hello")
        llm.complete("Hello", prompt_cache_key="mine")
    llm.complete("Hello")
    assert keys(kimi)[-4:] == ["s2", "s1", "mine", None]
    assert set(keys(kimi)[:-4]) == {"s1"}
    with pytest.raises(TypeError, match="async with"), prompt_cache_session(Context(FunctionAgent(llm=llm, tools=[]))):
        pass


# Nothing before a new turn changes.


def look_up(page: int) -> str:
    """Look a page of the manual up."""
    return f"Page {page}: {'the pump has to be bled before the valve is opened. ' * 8}"


def scripted(turns: int, name: str) -> list[Reply]:
    """Each turn thinks, calls the tool, and answers."""
    steps = []
    for turn in range(turns):
        steps.append(Reply("", reasoning=f"Page {turn}?", tool_calls=[ToolCall(name, {"page": turn})]))
        steps.append(Reply(f"Bleed the pump first (page {turn}).", reasoning="So it says."))
    return steps


def assert_nothing_before_changes(kimi: KimiEmulator) -> None:
    assert not kimi.rejections
    bodies = [request.body for request in kimi.requests]
    for before, after in itertools.pairwise(bodies):
        old, new = ([json.dumps(one) for one in body["messages"]] for body in (before, after))
        assert new[: len(old)] == old
        assert len(new) > len(old)
        assert {**before, "messages": 0} == {**after, "messages": 0}
        assert json.dumps(before.get("tools")) == json.dumps(after.get("tools"))


ODD = "github/search.pages"  # a name as MCP servers have them, which the server refuses
LOADED = {
    "type": "function",
    "function": {
        "name": "weather/now",
        "description": "The weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


async def test_a_long_agent_run_of_langchains_is_read_from_the_cache(kimi: KimiEmulator, chat: ChatKimi) -> None:
    tool = StructuredTool.from_function(look_up, name=ODD)
    agent = agent_of(chat, KimiPromptCachingMiddleware(ttl="1h"), tools=[tool])
    start = [SystemMessage(LONG), SystemMessage("", additional_kwargs={"tools": [LOADED]})]
    used: list[Any] = []
    for turn in range(10):
        name = kimi.requests[-1].body["tools"][0]["function"]["name"] if turn else ODD
        kimi.script(*scripted(1, name if turn else _alias(chat, tool)))
        asked = {"messages": [*(start if not turn else []), HumanMessage(f"Question {turn}?")]}
        said = await agent.ainvoke(asked, thread("ada")) if turn % 2 else agent.invoke(asked, thread("ada"))
        used += [message.usage_metadata for message in said["messages"][-3:] if message.type == "ai"]
        assert [message.type for message in said["messages"][-4:]] == ["human", "ai", "tool", "ai"]
    assert_nothing_before_changes(kimi)
    assert len(kimi.requests) == 20
    assert set(keys(kimi)) == {"ada"}
    for usage in used[1:]:
        read = usage["input_token_details"]["cache_read"]
        assert usage["input_tokens"] - read < 256 + 300, "all but the last block and the new turn"


def _alias(chat: ChatKimi, tool: Any) -> str:
    """What a tool is called on the wire."""
    with KimiEmulator() as other:
        ChatKimi(api_key=KEY, base_url=other.base_url).bind_tools([tool]).invoke("Hello")
        name: str = other.requests[-1].body["tools"][0]["function"]["name"]
        return name


async def test_a_long_agent_run_of_llama_indexs_is_read_from_the_cache(kimi: KimiEmulator, llm: Kimi) -> None:
    tool = FunctionTool.from_defaults(look_up, name=ODD)
    with KimiEmulator() as other:
        Kimi(api_key=KEY, api_base=other.base_url).chat_with_tools([tool], "Hello")
        alias = other.requests[-1].body["tools"][0]["function"]["name"]
    agent = FunctionAgent(llm=llm, tools=[tool], system_prompt=LONG)
    context, memory = Context(agent), ChatMemoryBuffer.from_defaults(token_limit=1_000_000)
    used: list[Any] = []
    for turn in range(10):
        kimi.script(*scripted(1, alias))
        async with prompt_cache_session(context):
            output = await agent.run(f"Question {turn}?", ctx=context, memory=memory)
        assert "Bleed the pump" in str(output)
        used.append(output.raw["usage"])
    assert_nothing_before_changes(kimi)
    assert len(kimi.requests) == 20
    assert len(set(keys(kimi))) == 1
    for usage in used[1:]:
        assert usage["prompt_tokens"] - usage["cached_tokens"] < 256 + 300
