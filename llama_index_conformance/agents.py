"""Core's agents: what they stream, call and remember."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.agent.workflow import (
    AgentOutput,
    AgentStream,
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.llms import LLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, JsonSerializer

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Runner
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import Person, get_weather, lucky_number, multiply, open_vault, thinking_of


# llama-index-workflows inspects every attribute of an agent, Pydantic's deprecated ones included, and deprecates
# `Context.is_running`, which core's ReActAgent asks for in a step. `Context.to_dict` leaves out memories and says so.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key")
class AgentTests(ConformanceBase):
    """`FunctionAgent`, `ReActAgent`, `CodeActAgent` and `AgentWorkflow`."""

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_function_agents(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """The tool is called once, and the answer comes after its result."""
        agent = self._agent(llm, streaming)
        output, events = run(_stream(agent, self.questions.tool))
        results = [event for event in events if isinstance(event, ToolCallResult)]
        assert [(result.tool_name, result.tool_output.raw_output) for result in results] == [("multiply", 42)]
        assert isinstance(output, AgentOutput)
        assert str(output)
        if self.follows_instructions:
            assert "42" in str(output)
        assert [call.tool_name for call in output.tool_calls] == ["multiply"]

    @needs("is_function_calling", "supports_streaming")
    def test_function_agents_stream(self, llm: LLM, run: Runner) -> None:
        """The deltas after the last tool call add up to the answer; what is thought comes as `thinking_delta`."""
        output, events = run(_stream(self._agent(llm, True), self.questions.tool))
        last = max(index for index, event in enumerate(events) if isinstance(event, ToolCallResult))
        final = [event for event in events[last:] if isinstance(event, AgentStream)]
        assert "".join(event.delta for event in final) == str(output)
        assert final[-1].response == str(output)
        if self.supports_thinking:
            thought = "".join(event.thinking_delta or "" for event in final)
            assert thought == thinking_of(output.response)
            assert "".join(event.thinking_delta or "" for event in events[:last] if isinstance(event, AgentStream))

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_function_agents_remember(self, llm: LLM, run: Runner, recorder: Recorder, streaming: bool) -> None:
        """A second question goes out with the first one, its tool calls and results."""
        memory = ChatMemoryBuffer.from_defaults(token_limit=20_000)

        async def talk() -> list[str]:
            agent = self._agent(llm, streaming)
            questions = (self.questions.tool, self.questions.plain)
            return [str(await agent.run(question, memory=memory)) for question in questions]

        assert all(run(talk()))
        roles = [message.role.value for message in recorder.conversations()[-1]]
        assert roles == ["user", "assistant", "tool", "assistant", "user"]
        kept = [block.block_type for message in recorder.conversations()[-1] for block in message.blocks]
        assert kept.count("tool_call") == 1
        if self.supports_thinking:
            assert "thinking" in kept

    @needs("is_function_calling", "follows_instructions")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_function_agents_know_what_was_said(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """A second run with the same memory answers from the first one."""
        memory = ChatMemoryBuffer.from_defaults(token_limit=20_000)

        async def talk() -> str:
            agent = self._agent(llm, streaming)
            await agent.run("My name is Ada.", memory=memory)
            return str(await agent.run("What is my name?", memory=memory))

        assert "Ada" in run(talk())

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_contexts_are_stored_and_restored(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """`Context.to_dict` after a run with tools, and a run in the restored context."""

        async def talk() -> list[str]:
            agent = self._agent(llm, streaming)
            context = Context(agent)
            first = await agent.run(self.questions.tool, ctx=context)
            stored = context.to_dict(serializer=JsonSerializer())
            restored = Context.from_dict(agent, stored, serializer=JsonSerializer())
            return [str(first), str(await agent.run(self.questions.plain, ctx=restored))]

        assert all(run(talk()))

    @needs("is_function_calling", "supports_parallel_tool_calls")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_function_agents_with_several_calls(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """Results come back in the order in which they finish."""
        output = run(_result(self._agent(llm, streaming), self.questions.parallel))
        assert sorted(call.tool_kwargs["city"] for call in output.tool_calls) == ["Berlin", "Paris"]
        assert str(output)

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_tools_that_fail_are_answered(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """The model reads the error, and the agent goes on to an answer."""
        output = run(_result(FunctionAgent(tools=[open_vault], llm=llm, streaming=streaming), self.questions.failing))
        assert output.tool_calls
        assert all(result.tool_output.is_error for result in output.tool_calls)
        assert str(output)

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_results_can_be_the_answer(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """`return_direct`, and a question after it: core leaves a `tool_call_id` on the assistant's message."""
        tool = FunctionTool.from_defaults(multiply, return_direct=True)
        memory = ChatMemoryBuffer.from_defaults(token_limit=20_000)

        async def talk() -> list[str]:
            agent = FunctionAgent(tools=[tool], llm=llm, streaming=streaming)
            questions = (self.questions.tool, self.questions.plain)
            return [str(await agent.run(question, memory=memory)) for question in questions]

        first, second = run(talk())
        assert first == "42"
        assert second

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_function_agents_without_tools(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """An agent may have nothing to call."""
        assert str(run(_result(FunctionAgent(llm=llm, streaming=streaming), self.questions.plain)))

    @needs("is_function_calling", "supports_forced_tool_choice")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_the_first_tool_can_be_chosen(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """`initial_tool_choice` is a tool's name, which core passes on as `tool_choice`."""
        agent = FunctionAgent(
            tools=[multiply, lucky_number], llm=llm, streaming=streaming, initial_tool_choice="lucky_number"
        )
        output = run(_result(agent, self.questions.plain))
        assert output.tool_calls[0].tool_name == "lucky_number"
        assert str(output)

    @needs("is_function_calling", "supports_structured_output")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_agents_with_an_output_class(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """Core turns the answer into an object; a failure there is a mere warning, and None."""
        agent = FunctionAgent(tools=[multiply], llm=llm, streaming=streaming, output_cls=Person)
        output = run(_result(agent, self.questions.person))
        assert isinstance(output.get_pydantic_model(Person), Person)

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_agents_hand_over(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """One agent of a workflow gives the task to another, which sees what was said."""
        clerk = FunctionAgent(
            name="clerk",
            description="Receives questions.",
            system_prompt="You hand every question on.",
            llm=llm,
            streaming=streaming,
            can_handoff_to=["counter"],
        )
        counter = FunctionAgent(
            name="counter", description="Does arithmetic.", tools=[multiply], llm=llm, streaming=streaming
        )
        output = run(_result(AgentWorkflow(agents=[clerk, counter], root_agent="clerk"), self.questions.handoff))
        assert output.current_agent_name == "counter"
        assert output.tool_calls[0].tool_name == "handoff"
        assert str(output)

    @needs("is_function_calling")
    def test_workflows_of_functions(self, llm: LLM, run: Runner) -> None:
        """Core makes a `FunctionAgent` of an LLM that calls tools."""
        workflow = AgentWorkflow.from_tools_or_functions([multiply], llm=llm)
        assert all(isinstance(agent, FunctionAgent) for agent in workflow.agents.values())
        output = run(_result(workflow, self.questions.tool))
        assert [call.tool_name for call in output.tool_calls] == ["multiply"]
        assert str(output)

    @needs("follows_instructions")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_react_agents(self, llm: LLM, run: Runner, streaming: bool) -> None:
        """Tools by prompt."""
        if streaming and not self.supports_streaming:
            pytest.skip("supports_streaming is False")
        agent = ReActAgent(tools=[multiply, get_weather], llm=llm, streaming=streaming)
        output, events = run(_stream(agent, self.questions.tool))
        results = [event for event in events if isinstance(event, ToolCallResult)]
        assert [result.tool_output.raw_output for result in results] == [42]
        assert "42" in str(output)

    @needs("follows_instructions", "supports_streaming")
    def test_code_act_agents(self, llm: LLM, run: Runner) -> None:
        """Tools by code; the code is not run here."""
        agent = CodeActAgent(code_execute_fn=lambda code: "42", llm=llm)
        assert str(run(_result(agent, self.questions.plain)))

    def _agent(self, llm: LLM, streaming: bool) -> FunctionAgent:
        if streaming and not self.supports_streaming:
            pytest.skip("supports_streaming is False")
        return FunctionAgent(tools=[multiply, get_weather], llm=llm, streaming=streaming)


async def _result(agent: Any, question: str) -> AgentOutput:
    output: AgentOutput = await agent.run(question)
    return output


async def _stream(agent: Any, question: str) -> tuple[AgentOutput, list[Any]]:
    handler = agent.run(question)
    events = [event async for event in handler.stream_events()]
    return await handler, events
