"""The prompt cache: how long it keeps, whose it is, and that nothing before a new turn ever changes."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import uuid
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, ModelFallbackMiddleware
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_core.tools import StructuredTool
from langgraph.checkpoint.memory import InMemorySaver
from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow, FunctionAgent, ReActAgent, ToolCallResult
from llama_index.core.base.llms.types import CacheControl, CachePoint, TextBlock
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context

from kimi_emulator import KimiEmulator, RecordedRequest, Reply, ToolCall
from kimi_wire import KimiRequestError, KimiWarning
from kimi_wire.requests.names import alias_of
from langchain_kimi import ChatKimi, KimiPromptCachingMiddleware, KimiToolSearchMiddleware
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


@pytest.mark.says("docs/caching.md", '`prompt_cache_ttl` is `"5m"` or `"1h"`')
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


@pytest.mark.says("docs/caching.md", "Models without a choice, and other hosts, get neither, with one warning.")
@pytest.mark.parametrize("model", ["kimi-k2.6", "moonshot-v1-8k", "gpt-5"])
def test_models_without_a_choice_are_left_alone_with_a_notice(model: str) -> None:
    with KimiEmulator(check=False) as kimi:
        chat = ChatKimi(model=model, api_key=KEY, base_url=kimi.base_url)
        with pytest.warns(KimiWarning, match="takes no prompt_cache_ttl here"):
            chat.invoke("Hello", prompt_cache_ttl="1h")
        assert options(kimi) is None
        with pytest.raises(KimiRequestError, match="prompt_cache_ttl"):
            chat.invoke("Hello", prompt_cache_ttl="1h", strict=True)


@pytest.mark.says("docs/caching.md", "Models without a choice, and other hosts, get neither, with one warning.")
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


@pytest.mark.says(
    "docs/caching.md",
    "`cache_control` of a content block, as Anthropic has it, asks for its `ttl` too.",
    "A `CachePoint` in a message asks for its time, the longest of them for the whole request",
)
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


@pytest.mark.says(
    "docs/caching.md",
    "without it the server keeps a prefix for five minutes",
    "On the emulator `kimi.pass_time(seconds)` lets the cache grow older, so that a test can see it expire.",
)
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


@pytest.mark.says("docs/caching.md", "gives each thread its own key, the thread id of the run's configuration")
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


def test_a_bound_model_is_still_kimis(kimi: KimiEmulator, chat: ChatKimi) -> None:
    strict = KimiPromptCachingMiddleware(ttl="1h", unsupported_model_behavior="raise")
    for bound in (chat.bind(max_tokens=100), chat.with_config(tags=["a"]), chat.bind(prompt_cache_key="mine")):
        for tools in ([], [look_up]):
            agent_of(bound.with_config(tags=["b"]), strict, tools=tools).invoke(ASK, thread("ada"))
    assert keys(kimi) == ["ada", "ada", "ada", "ada", "mine", "mine"]
    assert options(kimi)["ttl"] == "1h"


@pytest.mark.says("docs/caching.md", "stands aside for models that are not Kimi's")
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


@pytest.mark.says(
    "docs/caching.md", "A workflow's `Context` keeps the key in its store, from run to run and through `to_dict`"
)
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


@pytest.mark.says("docs/caching.md", "A `prompt_cache_session` gives all requests in it one key.")
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


async def test_a_session_may_be_entered_again_and_by_tasks(kimi: KimiEmulator, llm: Kimi) -> None:
    session, all_are_in = prompt_cache_session("s1"), asyncio.Event()

    async def ask(number: int) -> None:
        async with session:
            if number == 2:
                all_are_in.set()
            await all_are_in.wait()
            await llm.acomplete("Hello")

    await asyncio.gather(*map(ask, range(3)))
    with session:
        with session:
            pass
        llm.complete("Hello")
    llm.complete("Hello")
    assert keys(kimi) == [*["s1"] * 4, None]


@pytest.mark.says(
    "docs/caching.md",
    "Ids that are long or not plain, such as addresses, are sent as their hash, and so are LangChain's thread ids",
)
def test_ids_of_sessions_are_what_they_are_of_threads(kimi: KimiEmulator, chat: ChatKimi, llm: Kimi) -> None:
    agent = agent_of(chat, KimiPromptCachingMiddleware())
    ids: list[Any] = [7, uuid.UUID(int=1), "ada", "ada@example.org", "x" * 65, "a\n", "\ud800"]
    for id in ids:
        agent.invoke(ASK, thread(id))
        with prompt_cache_session(id) as key:
            llm.complete("Hello")
        assert keys(kimi)[-2:] == [key, key]
    assert keys(kimi)[1:6:2] == ["7", str(ids[1]), "ada"]
    assert len(set(keys(kimi))) == len(ids)
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys(kimi)[6:])
    with pytest.raises(TypeError, match="not NoneType"):
        prompt_cache_session(None)  # type: ignore[arg-type]


# Nothing before a new turn changes.


def look_up(page: int) -> str:
    """Look a page of the manual up."""
    return f"Page {page}: {'the pump has to be bled before the valve is opened. ' * 8}"


def weather(city: str) -> str:
    """Tell the weather."""
    return f"Calm in {city}."


def load_tools(query: str) -> str:
    """Load tools."""
    return f"Loaded what is about {query}."


# Names as MCP servers have them, which the server refuses.
PAGES, LOADER, WEATHER = "manual/search.pages", "tools/load", "weather/now"
LOADED = {
    "type": "function",
    "function": {
        "name": WEATHER,
        "description": "Tell the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
TURNS, LOADS = 10, 4


def script(kimi: KimiEmulator, turn: int) -> None:
    """The model thinks, calls tools, and answers; in one turn it loads the weather, and calls that from then on."""
    calls = [ToolCall(alias_of(PAGES), {"page": turn})]
    if turn == LOADS:
        calls.append(ToolCall(alias_of(LOADER), {"query": "weather"}))
    if turn > LOADS:
        calls.append(ToolCall(alias_of(WEATHER), {"city": "Oslo – 奥斯陆"}))
    kimi.script(
        Reply("", reasoning=f"Page {turn}?", tool_calls=calls), Reply(f"Bleed it first ({turn}).", reasoning="It says.")
    )


def around_messages(request: RecordedRequest) -> tuple[bytes, bytes, bytes]:
    """The bytes of a request before its messages, of its messages, and after them."""
    messages = json.dumps(request.body["messages"], ensure_ascii=False, separators=(",", ":")).encode()
    front, found, rest = request.raw.partition(messages)
    assert found
    return front, found, rest


def assert_nothing_before_changes(kimi: KimiEmulator) -> None:
    """To the byte: what was sent is the beginning of what is sent next, and settings and tools are the same."""
    assert not kimi.rejections
    for before, after in itertools.pairwise(map(around_messages, kimi.requests)):
        assert (before[0], before[2]) == (after[0], after[2])
        assert after[1].startswith(before[1].removesuffix(b"]") + b",")


def assert_all_but_the_new_is_read(used: list[tuple[int, int]]) -> None:
    """Of (input, cached) tokens: what the request before sent is read, but for what fills no block of 256."""
    assert len(used) == 2 * TURNS
    for (before, _), (sent, cached) in itertools.pairwise(used):
        assert before - 256 < cached <= before < sent
    assert sum(cached for _, cached in used) > 0.85 * sum(sent for sent, _ in used)


def assert_tools_were_loaded(kimi: KimiEmulator) -> None:
    """Declared are two tools from the first request to the last; the third came in a message, and was called."""
    declared = {tool["function"]["name"] for tool in kimi.requests[-1].body["tools"]}
    assert declared == {alias_of(PAGES), alias_of(LOADER)}
    messages = kimi.requests[-1].body["messages"]
    loaded = [tool["function"]["name"] for message in messages for tool in message.get("tools", [])]
    assert loaded == [alias_of(WEATHER)]
    assert sum(message.get("content") == "Calm in Oslo – 奥斯陆." for message in messages) == TURNS - LOADS - 1


async def run_langchain(kimi: KimiEmulator, chat: ChatKimi, *middleware: Any) -> list[tuple[int, int]]:
    """A long run of an agent, in turns synchronous and not; the (input, cached) tokens of each request."""
    search = KimiToolSearchMiddleware([StructuredTool.from_function(weather, name=WEATHER)], name=LOADER)
    agent = create_agent(
        chat,
        [StructuredTool.from_function(look_up, name=PAGES)],
        system_prompt=LONG,
        middleware=[KimiPromptCachingMiddleware(ttl="1h"), search, *middleware],
        checkpointer=InMemorySaver(),
    )
    said: Any = {}
    for turn in range(TURNS):
        script(kimi, turn)
        asked: Any = {"messages": [HumanMessage(f"Question {turn}?")]}
        said = await agent.ainvoke(asked, thread("ada")) if turn % 2 else agent.invoke(asked, thread("ada"))
    usages = [message.usage_metadata for message in said["messages"] if message.type == "ai"]
    return [(usage["input_tokens"], usage["input_token_details"].get("cache_read", 0)) for usage in usages]


@pytest.mark.says("docs/caching.md", "What these adapters send for an old turn is the same in every later request")
async def test_a_long_run_of_langchains_agent_is_read_from_the_cache(kimi: KimiEmulator, chat: ChatKimi) -> None:
    used = await run_langchain(kimi, chat)
    assert_nothing_before_changes(kimi)
    assert_all_but_the_new_is_read(used)
    assert_tools_were_loaded(kimi)
    assert set(keys(kimi)) == {"ada"}
    assert options(kimi) == {"mode": "implicit", "ttl": "1h"}


class Clock(AgentMiddleware[Any, Any]):
    """A time of day in the system message: what loses the cache."""

    def told(self, request: Any) -> Any:
        return request.override(system_message=SystemMessage(f"{len(request.messages)} past nine. {LONG}"))

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(self.told(request))

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(self.told(request))


async def test_a_clock_in_front_is_found(kimi: KimiEmulator, chat: ChatKimi) -> None:
    used = await run_langchain(kimi, chat, Clock())
    assert {cached for _, cached in used} == {0}
    with pytest.raises(AssertionError):
        assert_nothing_before_changes(kimi)


class LoadingAgent(FunctionAgent):
    """Runs all of its tools, and declares those that no message loads: docs/web-search-and-tools.md."""

    async def take_step(self, ctx: Any, llm_input: Any, tools: Sequence[Any], memory: Any) -> Any:
        declared = [tool for tool in tools if tool.metadata.name != WEATHER]
        return await super().take_step(ctx, llm_input, declared, memory)

    async def handle_tool_call_results(self, ctx: Any, results: list[ToolCallResult], memory: Any) -> None:
        await super().handle_tool_call_results(ctx, results, memory)
        if any(result.tool_name == LOADER for result in results):
            loaded = ChatMessage(role="system", content=None, additional_kwargs={"tools": [LOADED]})
            steps = await ctx.store.get(self.scratchpad_key)
            await ctx.store.set(self.scratchpad_key, [*steps, loaded])


@pytest.mark.says("docs/caching.md", "What these adapters send for an old turn is the same in every later request")
@pytest.mark.parametrize("streaming", [True, False])
async def test_a_long_run_of_llama_indexs_agent_is_read_from_the_cache(kimi: KimiEmulator, streaming: bool) -> None:
    functions = {PAGES: look_up, LOADER: load_tools, WEATHER: weather}
    agent = LoadingAgent(
        llm=Kimi(api_key=KEY, api_base=kimi.base_url, prompt_cache_ttl="1h"),
        tools=[FunctionTool.from_defaults(function, name=name) for name, function in functions.items()],
        system_prompt=LONG,
        streaming=streaming,
    )
    context, memory = Context(agent), ChatMemoryBuffer.from_defaults(token_limit=1_000_000)
    used: list[tuple[int, int]] = []
    for turn in range(TURNS):
        script(kimi, turn)
        async with prompt_cache_session(context) as key:
            handler = agent.run(f"Question {turn}?", ctx=context, memory=memory)
            usages = [event.raw["usage"] async for event in handler.stream_events() if isinstance(event, AgentOutput)]
            assert str(await handler) == f"Bleed it first ({turn})."
        used += [(usage["prompt_tokens"], usage.get("cached_tokens", 0)) for usage in usages]
    assert_nothing_before_changes(kimi)
    assert_all_but_the_new_is_read(used)
    assert_tools_were_loaded(kimi)
    assert set(keys(kimi)) == {key}
    assert options(kimi) == {"mode": "implicit", "ttl": "1h"}


# LangChain's cache of answers, which is another one.


@pytest.mark.says(
    "docs/caching.md",
    "An answer out of it has its thinking, and the usage of the call that made it",
    "`invoke` and `ainvoke` share it; `stream` and `astream` always ask",
)
async def test_answers_that_langchain_keeps(kimi: KimiEmulator) -> None:
    model = ChatKimi(api_key="sk-test", base_url=kimi.base_url, cache=InMemoryCache())
    first = model.invoke("Hello!")
    for again in (model.invoke("Hello!"), await model.ainvoke("Hello!")):
        assert again.content == first.content
        assert again.additional_kwargs == first.additional_kwargs
        assert again.additional_kwargs["reasoning_content"]
        assert again.usage_metadata == {**first.usage_metadata, "total_cost": 0}  # type: ignore[dict-item]
    assert len(kimi.requests) == 1
    list(model.stream("Hello!"))
    assert [chunk async for chunk in model.astream("Hello!")]
    assert len(kimi.requests) == 3


@pytest.mark.says(
    "docs/caching.md",
    "with other settings, of the object or of the call, or with another `base_url` share no answers. Two keys do",
)
@pytest.mark.parametrize(
    ("settings", "call", "asked"),
    [
        ({}, {}, 0),
        ({"api_key": "sk-other"}, {}, 0),
        ({"reasoning_effort": "low"}, {}, 1),
        ({"model": "kimi-k2.6"}, {}, 1),
        ({"extra_body": {"x": 1}}, {}, 1),
        ({"prompt_cache_key": "ada"}, {}, 1),
        ({"base_url": "localhost"}, {}, 1),
        ({}, {"reasoning_effort": "low"}, 1),
    ],
)
async def test_whose_answers_langchain_keeps(
    kimi: KimiEmulator, settings: dict[str, Any], call: dict[str, Any], asked: int
) -> None:
    cache, common = InMemoryCache(), {"api_key": "sk-test", "base_url": kimi.base_url}
    ChatKimi(**common, cache=cache).invoke("Hello!")
    if "base_url" in settings:
        settings = {"base_url": kimi.base_url.replace("127.0.0.1", settings["base_url"])}
    await ChatKimi(**{**common, **settings}, cache=cache).ainvoke("Hello!", **call)
    assert len(kimi.requests) == 1 + asked
