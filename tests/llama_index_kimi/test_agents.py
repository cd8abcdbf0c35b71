"""Core's agents and memories: thinking comes back on every turn, and mistakes of the model reach the model."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.memory import BaseMemory, ChatMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool
from sqlalchemy.ext.asyncio import create_async_engine

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire.requests.names import alias_of
from llama_index_kimi import Kimi, KimiWarning

Make = Callable[..., Kimi]

# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
# Core's ReActAgent asks for `Context.is_running` in a step, which the same package deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]

# The models that refuse, or in the spring refused, a tool call whose thinking is missing; and one that never thinks.
MODELS = ["kimi-k2-thinking", "kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k3", "kimi-k2-0905-preview"]
THINKS = set(MODELS) - {"kimi-k2-0905-preview"}


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def delete_files(pattern: str = "*") -> str:
    """Delete files."""
    raise AssertionError(f"ran with {pattern}")


def lucky_number() -> int:
    """Tell a lucky number."""
    return 7


@pytest.fixture(params=["buffer", "sql"])
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[BaseMemory]:
    """A memory of each kind that core has."""
    if request.param == "buffer":
        yield ChatMemoryBuffer.from_defaults(token_limit=10_000)
    else:
        engine = create_async_engine("sqlite+aiosqlite:///:memory:")
        yield Memory.from_defaults(session_id="s", async_engine=engine)
        await engine.dispose()


def thoughts(kimi: KimiEmulator) -> list[str | None]:
    """What the last request said of each assistant message's thinking."""
    messages = kimi.requests[-1].body["messages"]
    return [message.get("reasoning_content") for message in messages if message["role"] == "assistant"]


@pytest.mark.says(
    "docs/agents.md",
    "What the model thought before it answered comes with every answer, streamed first, and has to be sent back with the conversation.",
)
@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("streaming", [True, False])
async def test_thinking_goes_back_on_every_turn(
    kimi: KimiEmulator, llm: Make, model: str, streaming: bool, memory: BaseMemory
) -> None:
    first, second, third = ("One.\n ", "Two — 二.", "Three.") if model in THINKS else (None, None, None)
    calls = [ToolCall("multiply", '{"a": 6,  "b": 7}')], [ToolCall("multiply", '{"b":2,"a":42}')]
    kimi.script(
        Reply(reasoning=first, tool_calls=calls[0]),
        Reply("Once more.", reasoning=second, tool_calls=calls[1]),
        Reply("84.", reasoning=third),
        Reply("You asked about numbers."),
    )
    agent = FunctionAgent(tools=[multiply], llm=llm(model), streaming=streaming, system_prompt="Be exact.")
    output = await agent.run("What is 6 times 7 times 2?", memory=memory)
    assert str(output) == "84."
    assert [result.tool_output.content for result in output.tool_calls] == ["42", "84"]
    assert thoughts(kimi) == [first, second]
    await agent.run("What did I ask?", memory=memory)
    assert thoughts(kimi) == [first, second, third]
    sent = [message for message in kimi.requests[-1].body["messages"] if message.get("tool_calls")]
    texts = [message["tool_calls"][0]["function"]["arguments"] for message in sent]
    assert texts == ['{"a": 6,  "b": 7}', '{"b":2,"a":42}']
    assert [message["role"] for message in kimi.requests[-1].body["messages"]] == [
        "system", "user", "assistant", "tool", "assistant", "tool", "assistant", "user",
    ]  # fmt: skip


async def test_agents_stream_thinking_and_calls(kimi: KimiEmulator, llm: Make) -> None:
    counter = TokenCountingHandler()
    kimi.script(
        Reply(reasoning="Six times seven.", tool_calls=[ToolCall("multiply", {"a": 6, "b": 7})], chunk_size=2),
        Reply("It is 42.", reasoning="Done."),
    )
    agent = FunctionAgent(tools=[multiply], llm=llm(callback_manager=CallbackManager([counter])))
    handler = agent.run("6*7?")
    events = [event async for event in handler.stream_events() if isinstance(event, AgentStream)]
    await handler
    assert "".join(event.thinking_delta or "" for event in events) == "Six times seven.Done."
    assert "".join(event.delta for event in events) == "It is 42."
    partial = [event.tool_calls[0].tool_kwargs for event in events if event.tool_calls]
    assert partial[0] == {}
    assert partial[-1] == {"a": 6, "b": 7}
    assert len(counter.llm_token_counts) == 2


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("arguments", ['{"pattern": "a', "[]", "delete *.py"])
@pytest.mark.parametrize("workflow", [True, False])
async def test_broken_arguments_run_nothing_and_the_model_learns_of_it(
    kimi: KimiEmulator, llm: Make, streaming: bool, arguments: str, workflow: bool
) -> None:
    kimi.script(
        Reply(reasoning="Away.", tool_calls=[ToolCall("delete_files", arguments)]),
        Reply(reasoning="Rather not.", tool_calls=[ToolCall("lucky_number", "")]),
        Reply("7."),
    )
    agent = FunctionAgent(tools=[delete_files, lucky_number], llm=llm("kimi-k2.6"), streaming=streaming)
    runner = AgentWorkflow(agents=[agent]) if workflow else agent
    handler = runner.run("Delete them")
    results = [event async for event in handler.stream_events() if isinstance(event, ToolCallResult)]
    assert str(await handler) == "7."
    assert [result.tool_output.is_error for result in results] == [True, False]
    told = next(message for message in kimi.requests[1].body["messages"] if message["role"] == "tool")["content"]
    assert told.startswith("Tool delete_files was not run. The arguments are not")
    assert arguments in told
    assert told.endswith("Write one JSON object. A tool for these arguments was not found. "
                         "Please select a tool that is available.")  # fmt: skip


async def test_a_tool_that_fails_or_says_nothing_is_answered(kimi: KimiEmulator, llm: Make) -> None:
    def fail() -> str:
        raise ValueError("no luck")

    def say_nothing() -> str:
        return ""

    kimi.script(Reply(tool_calls=[ToolCall("fail"), ToolCall("say_nothing"), ToolCall("unknown")]), Reply("So be it."))
    agent = FunctionAgent(tools=[fail, say_nothing], llm=llm())
    assert str(await agent.run("Go")) == "So be it."
    sent = [message for message in kimi.requests[-1].body["messages"] if message["role"] == "tool"]
    answers = {message["tool_call_id"]: message["content"] for message in sent}  # in the order they finished in
    assert (answers["fail_0"], answers["say_nothing_1"]) == ("no luck", "")
    assert "unknown not found" in answers["unknown_2"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_return_direct(kimi: KimiEmulator, llm: Make, streaming: bool, memory: BaseMemory) -> None:
    tool = FunctionTool.from_defaults(multiply, return_direct=True)
    kimi.script(Reply(reasoning="So.", tool_calls=[ToolCall("multiply", {"a": 6, "b": 7})]), Reply("Yes."))
    agent = FunctionAgent(tools=[tool], llm=llm("kimi-k2.6"), streaming=streaming)
    assert str(await agent.run("6*7?", memory=memory)) == "42"
    assert str(await agent.run("Sure?", memory=memory)) == "Yes."
    assert kimi.requests[-1].body["messages"][3] == {"role": "assistant", "content": "42"}


@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k2.7-code", "kimi-k3"])
@pytest.mark.parametrize("streaming", [True, False])
async def test_the_first_tool_can_be_forced(kimi: KimiEmulator, llm: Make, model: str, streaming: bool) -> None:
    agent = FunctionAgent(
        tools=[multiply, lucky_number], llm=llm(model), streaming=streaming, initial_tool_choice="lucky_number"
    )
    output = await agent.run("Hello there")
    assert output.tool_calls[0].tool_name == "lucky_number"
    assert str(output)


class Answer(BaseModel):
    """An answer."""

    number: int


@pytest.mark.parametrize("model", ["kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k3", "kimi-k3.1-pro"])
async def test_an_agent_with_an_output_class(kimi: KimiEmulator, llm: Make, model: str) -> None:
    agent = FunctionAgent(tools=[multiply], llm=llm(model), output_cls=Answer)
    output = await agent.run("What is 6 times 7?")
    assert isinstance(output.get_pydantic_model(Answer), Answer)


@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k3"])
async def test_agents_hand_over(kimi: KimiEmulator, llm: Make, model: str) -> None:
    kimi.script(
        Reply(reasoning="Not mine.", tool_calls=[ToolCall("handoff", {"to_agent": "counter", "reason": "numbers"})]),
        Reply(reasoning="Mine.", tool_calls=[ToolCall("multiply", {"a": 6, "b": 7})]),
        Reply("42.", reasoning="Done."),
    )
    shared = llm(model)
    clerk = FunctionAgent(name="clerk", description="Greets.", llm=shared, can_handoff_to=["counter"])
    counter = FunctionAgent(name="counter", description="Counts.", tools=[multiply], llm=shared)
    output = await AgentWorkflow(agents=[clerk, counter], root_agent="clerk").run("6*7?")
    assert (str(output), output.current_agent_name) == ("42.", "counter")
    assert thoughts(kimi) == ["Not mine.", "Mine."]


async def test_a_workflow_of_functions_picks_function_calling(kimi: KimiEmulator, llm: Make) -> None:
    workflow = AgentWorkflow.from_tools_or_functions([multiply], llm=llm("kimi-k2.6"))
    assert "42" in str(await workflow.run("What is 6 times 7?"))
    assert kimi.requests[0].body["tools"]


@pytest.mark.parametrize("streaming", [True, False])
async def test_react_agents(kimi: KimiEmulator, llm: Make, streaming: bool) -> None:
    kimi.script(
        Reply('Thought: I need a tool.\nAction: multiply\nAction Input: {"a": 6, "b": 7}', reasoning="Hm."),
        Reply("", reasoning="Done, but I say nothing."),
        Reply("Thought: I can answer.\nAnswer: 42"),
    )
    agent = ReActAgent(tools=[multiply], llm=llm("kimi-k2.6"), streaming=streaming)
    with pytest.warns(KimiWarning, match="only thought"):
        output = await agent.run("What is 6 times 7?")
    assert str(output) == "42"
    # The empty answer is in the retry that core builds, and not in the request: the server refuses it.
    assert all(message["content"] for message in kimi.requests[-1].body["messages"])
    assert "Your previous response was empty" in kimi.requests[-1].raw.decode()


async def test_code_act_agents(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Reply("<execute>\nprint(6 * 7)\n</execute>", reasoning="Code."), Reply("42."))
    agent = CodeActAgent(code_execute_fn=lambda code: "42", llm=llm("kimi-k2.6"))
    assert str(await agent.run("6*7?")) == "42."


async def test_an_empty_final_answer_is_empty(kimi: KimiEmulator, llm: Make) -> None:
    # Pinned: the answer stays in the thinking (run-llama/llama_index#21337); the agent's text is empty, not "None".
    kimi.script(Reply("", reasoning="The answer is 42."))
    with pytest.warns(KimiWarning, match="only thought"):
        output = await FunctionAgent(tools=[multiply], llm=llm("kimi-k2.5")).run("6*7?")
    assert str(output) == ""
    assert output.response.blocks == [
        ThinkingBlock(
            content="The answer is 42.",
            num_tokens=output.response.blocks[0].num_tokens,
            additional_information={"provider": "moonshot"},
        )
    ]


async def test_thinking_of_others_stays_out(kimi: KimiEmulator, llm: Make, memory: BaseMemory) -> None:
    foreign = ThinkingBlock(content="Claude's thought.", additional_information={"signature": "EuYB"})
    await memory.aput_messages(
        [
            ChatMessage(role="user", content="Hi"),
            ChatMessage(role="assistant", blocks=[foreign, *ChatMessage(content="Hello.").blocks]),
        ]
    )
    kimi.script(Reply("Yes?"))
    await FunctionAgent(tools=[multiply], llm=llm()).run("You there?", memory=memory)
    assert "Claude" not in kimi.requests[-1].raw.decode()
    assert [message["content"] for message in kimi.requests[-1].body["messages"]] == ["Hi", "Hello.", "You there?"]


async def test_lost_thinking_gets_a_placeholder(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Reply(reasoning="Hm.", tool_calls=[ToolCall("lucky_number")]), Reply("7."))
    model = llm("kimi-k2.6")
    question = ChatMessage(role="user", content="Lucky?")
    answer = model.chat_with_tools([FunctionTool.from_defaults(lucky_number)], chat_history=[question]).message
    answer.blocks = [block for block in answer.blocks if not isinstance(block, ThinkingBlock)]
    result = ChatMessage(role="tool", content="7", additional_kwargs={"tool_call_id": answer.blocks[0].tool_call_id})
    assert model.chat([question, answer, result]).message.content == "7."
    assert thoughts(kimi) == [" "]


async def test_an_agent_finds_tools_of_any_name(kimi: KimiEmulator, llm: Make) -> None:
    """Core writes `a/b` as `a_b` into its declarations, and looks for the name that comes back."""
    names = ["a/b", "a.b", "查询"]
    tools = [FunctionTool.from_defaults(lucky_number, name=name) for name in names]
    agent = FunctionAgent(tools=tools, llm=llm("kimi-k3"))
    kimi.script(Reply(tool_calls=[ToolCall(alias_of(name)) for name in names]), Reply("Seven."))
    output = await agent.run("What is it?")
    assert {call.tool_name: call.tool_output.content for call in output.tool_calls} == dict.fromkeys(names, "7")
