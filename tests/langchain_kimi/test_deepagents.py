"""A deep agent on ChatKimi: plans, files, sub-agents, large results, summaries; thinking goes back in each of them."""

from __future__ import annotations

import base64
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest
from langchain.agents.middleware import TodoListMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from langchain_kimi import ChatKimi, KimiPromptCachingMiddleware
from tests.media_samples import png

deepagents = pytest.importorskip("deepagents")

pytestmark = [
    pytest.mark.slow,  # deepagents imports the SDKs of other vendors
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]
THREAD: Any = {"configurable": {"thread_id": "ada"}}


@tool
def count_words(text: str) -> str:
    """Count the words of a text."""
    return str(len(text.split()))


def think(thought: str, *calls: ToolCall, said: str = "") -> Reply:
    return Reply(said, reasoning=thought, tool_calls=list(calls))


TODOS = [{"content": "write", "status": "in_progress"}, {"content": "count", "status": "pending"}]
COUNTER = {
    "name": "counter",
    "description": "Counts words.",
    "system_prompt": "You count the words of what you are given.",
    "tools": [count_words],
}
LOOK = Reply(reasoning="I look.", tool_calls=[ToolCall("ls", {"path": "/"})])
PLAN = [
    think("First a plan.", ToolCall("write_todos", {"todos": TODOS})),
    think("Now the file.", ToolCall("write_file", {"file_path": "/report.md", "content": "one two three"})),
    think(
        "One word is wrong.", ToolCall("edit_file", {"file_path": "/report.md", "old_string": "two", "new_string": "2"})
    ),
    think("Read it again.", ToolCall("read_file", {"file_path": "/report.md"})),
    think("Let another count.", ToolCall("task", {"description": "Count: one 2 three", "subagent_type": "counter"})),
    think("I count.", ToolCall("count_words", {"text": "one 2 three"})),  # the sub-agent
    think("Three.", said="There are 3 words."),
    think("All done.", said="The report has 3 words."),
]


@pytest.fixture
def chat(kimi: KimiEmulator) -> ChatKimi:
    return ChatKimi(api_key="sk-test", base_url=kimi.base_url)


async def run(agent: Any, asynchronous: bool, asked: Any) -> list[Any]:
    said = await agent.ainvoke(asked, THREAD) if asynchronous else agent.invoke(asked, THREAD)
    messages: list[Any] = said["messages"]
    return messages


def ask(text: str) -> Any:
    return {"messages": [HumanMessage(text)]}


def with_room_for(tokens: int, chat: ChatKimi) -> ChatKimi:
    """A model whose profile has a small window."""
    return chat.model_copy(update={"profile": {**(chat.profile or {}), "max_input_tokens": tokens}})


def assert_thinking_goes_back(kimi: KimiEmulator) -> None:
    """Each assistant message of each request has the thinking that it came with; nothing is said for other vendors."""
    assert not kimi.rejections
    assert "cache_control" not in str([request.body for request in kimi.requests])  # Anthropic's
    said = [
        message for request in kimi.requests for message in request.body["messages"] if message["role"] == "assistant"
    ]
    assert said
    assert all(message.get("reasoning_content") for message in said)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6"])
async def test_a_deep_agent_plans_writes_and_delegates(kimi: KimiEmulator, model: str, asynchronous: bool) -> None:
    chat = ChatKimi(model=model, api_key="sk-test", base_url=kimi.base_url)
    todos = TodoListMiddleware()  # no longer one of deepagents' own
    agent = deepagents.create_deep_agent(chat, subagents=[COUNTER], middleware=[todos], checkpointer=InMemorySaver())
    kimi.script(*PLAN)
    messages = await run(agent, asynchronous, ask("Write a report, and say how many words it has."))
    assert messages[-1].text == "The report has 3 words."
    results = {message.name: message.text for message in messages if message.type == "tool"}
    assert results["task"] == "There are 3 words."
    assert "one 2 three" in results["read_file"]
    assert agent.get_state(THREAD).values["todos"] == TODOS
    assert [str(request.body["messages"][-1].get("content"))[:6] for request in kimi.requests][5] == "Count:"
    assert len(kimi.requests) == len(PLAN)
    assert_thinking_goes_back(kimi)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_large_results_are_put_into_files(kimi: KimiEmulator, chat: ChatKimi, asynchronous: bool) -> None:
    @tool
    def big(letter: str) -> str:
        """Give a large result."""
        return letter * 100_000

    agent = deepagents.create_deep_agent(chat, tools=[big], checkpointer=InMemorySaver())
    calls = [think("Next.", ToolCall("big", {"letter": letter}, id="big:0")) for letter in "xy"]
    kimi.script(*calls, think("Both.", said="Done."))
    await run(agent, asynchronous, ask("Both!"))
    files = agent.get_state(THREAD).values["files"]
    assert sorted(str(file["content"])[:1000].strip("['")[0] for file in files.values()) == ["x", "y"]
    assert_thinking_goes_back(kimi)


@pytest.mark.says("docs/agents.md", "thinking goes back in the agent and in its sub-agents")
async def test_streams_show_both_agents_thinking(kimi: KimiEmulator, chat: ChatKimi) -> None:
    agent = deepagents.create_deep_agent(chat, subagents=[COUNTER], checkpointer=InMemorySaver())
    kimi.script(*PLAN)
    thoughts: dict[bool, str] = {False: "", True: ""}
    async for namespace, mode, part in agent.astream(
        ask("Write a report."), THREAD, stream_mode=["messages"], subgraphs=True
    ):
        assert mode == "messages"
        thoughts[bool(namespace)] += part[0].additional_kwargs.get("reasoning_content", "")
    assert "First a plan." in thoughts[False]
    assert "All done." in thoughts[False]
    assert "I count." in thoughts[True]
    assert_thinking_goes_back(kimi)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_it_asks_before_it_writes_and_goes_on_later(
    kimi: KimiEmulator, chat: ChatKimi, asynchronous: bool
) -> None:
    agent = deepagents.create_deep_agent(chat, interrupt_on={"write_file": True}, checkpointer=InMemorySaver())
    kimi.script(PLAN[1], think("Written.", said="Done."))
    await run(agent, asynchronous, ask("Write it."))
    assert agent.get_state(THREAD).next
    messages = await run(agent, asynchronous, Command(resume={"decisions": [{"type": "approve"}]}))
    assert messages[-1].text == "Done."
    assert "/report.md" in agent.get_state(THREAD).values["files"]
    assert_thinking_goes_back(kimi)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_a_long_thread_is_summarised(kimi: KimiEmulator, chat: ChatKimi, asynchronous: bool) -> None:
    """The profile says when; what stays has its thinking, and what goes is in a file."""
    agent = deepagents.create_deep_agent(with_room_for(6000, chat), checkpointer=InMemorySaver())
    for turn in range(3):
        kimi.script(LOOK, think("None.", said=f"Answer {turn}."))
        await run(agent, asynchronous, ask(f"Question {turn}: " + "why does the pump leak? " * 100))
    kimi.script(Reply("It leaks.", reasoning="In short."), LOOK, think("Found.", said="The valve."))
    messages = await run(agent, asynchronous, ask("Question 3: " + "why does the pump leak? " * 100))
    assert messages[-1].text == "The valve."
    summary, first, then = (request.body for request in kimi.requests[-3:])
    assert "Answer 2." in str(summary["messages"])
    assert "It leaks." in str(first["messages"])
    assert "Answer 1." not in str(first["messages"])
    assert [message["role"] for message in then["messages"][-3:]] == ["user", "assistant", "tool"]
    assert any("conversation_history" in path for path in agent.get_state(THREAD).values["files"])
    assert_thinking_goes_back(kimi)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_what_the_server_finds_too_long_is_summarised(
    kimi: KimiEmulator, chat: ChatKimi, asynchronous: bool
) -> None:
    agent = deepagents.create_deep_agent(with_room_for(20_000, chat), checkpointer=InMemorySaver())
    kimi.script(LOOK, think("None.", said="No file."))
    await run(agent, asynchronous, ask("Which files are there? " * 1000))
    too_long = "Invalid request: Your request exceeded model token limit: 262144 (requested: 274613)"
    kimi.script(Failure(400, too_long), Reply("They looked."), think("Again.", said="Still none."))
    messages = await run(agent, asynchronous, ask("And now?"))
    assert messages[-1].text == "Still none."
    assert "They looked." in str(kimi.requests[-1].body["messages"])
    assert len(kimi.requests) == 5


async def test_the_model_sees_a_picture_that_it_reads(kimi: KimiEmulator, chat: ChatKimi) -> None:
    """Of a PDF, which Kimi does not take, it is told so, and the thread goes on."""
    agent = deepagents.create_deep_agent(chat, checkpointer=InMemorySaver())
    contents = {"/dot.png": png(), "/report.pdf": b"%PDF-1.4"}
    files = {
        path: {"content": base64.b64encode(content).decode(), "encoding": "base64"}
        for path, content in contents.items()
    }
    reads = [ToolCall("read_file", {"file_path": path}) for path in contents]
    kimi.script(think("I read.", *reads), think("Seen.", said="A dot."))
    messages = await run(agent, True, {**ask("What is there?"), "files": files})
    assert messages[-1].text == "A dot."
    _, report, attached = kimi.requests[-1].body["messages"][-3:]
    assert "/report.pdf was not attached" in report["content"]
    assert attached["content"][-1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert_thinking_goes_back(kimi)


def test_the_profile_waits_with_its_imports() -> None:
    """deepagents registers every vendor's profile before the first agent on any model."""
    program = """
import sys, deepagents
before = "openai" in sys.modules
from langchain_kimi.harness import register
register()
assert ("openai" in sys.modules) == before
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)


@pytest.mark.says(
    "docs/agents.md",
    "deepagents finds Kimi's harness profile by its entry point: requests go to the [prompt cache](caching.md) of their thread",
)
def test_deepagents_finds_the_harness_profile(kimi: KimiEmulator, chat: ChatKimi) -> None:
    """Both agents' requests go to their thread's cache; a middleware of one's own comes in place of the profile's."""
    found = [entry.value for entry in entry_points(group="deepagents.harness_profiles")]
    if "langchain_kimi.harness:register" not in found:
        pytest.skip("the installed metadata is older than the checkout")
    agent = deepagents.create_deep_agent(chat, subagents=[COUNTER], checkpointer=InMemorySaver())
    kimi.script(*PLAN)
    agent.invoke(ask("Write a report."), THREAD)
    assert {request.body.get("prompt_cache_key") for request in kimi.requests} == {"ada"}
    own = deepagents.create_deep_agent(
        chat, middleware=[KimiPromptCachingMiddleware(ttl="1h")], checkpointer=InMemorySaver()
    )
    own.invoke(ask("Hello"), THREAD)
    assert kimi.requests[-1].body["prompt_cache_options"]["ttl"] == "1h"
    assert kimi.requests[-1].body["prompt_cache_key"] == "ada"
