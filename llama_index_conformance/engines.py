"""Query engines and chat engines, and the selectors that choose between them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core import Settings, SummaryIndex
from llama_index.core.base.response.schema import Response
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.llms import LLM
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.postprocessor import LLMRerank, StructuredLLMRerank
from llama_index.core.query_engine import CitationQueryEngine, RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.selectors import (
    LLMMultiSelector,
    LLMSingleSelector,
    PydanticMultiSelector,
    PydanticSingleSelector,
)
from llama_index.core.tools import QueryEngineTool, ToolMetadata

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import QUESTION, Person, nodes, scored_nodes

EMPTY = ("", "None", "Empty Response")
MODES = ["compact", "refine", "tree_summarize", "accumulate"]
CHOICES = [
    ToolMetadata(name="recipes", description="Knows recipes for soup and bread."),
    ToolMetadata(name="buildings", description="Knows the buildings of Alba: its lighthouse and its harbour."),
]


class EngineTests(ConformanceBase):
    """Engines over a `SummaryIndex`, which needs no embeddings."""

    @pytest.mark.parametrize("mode", MODES)
    def test_query_engines(self, llm: LLM, call: Caller, recorder: Recorder, mode: str) -> None:
        """The nodes reach the LLM, and an answer comes back with its sources."""
        engine = SummaryIndex(nodes()).as_query_engine(llm=llm, response_mode=mode)
        response = call.result(engine, "query", QUESTION)
        assert str(response) not in EMPTY
        assert len(response.source_nodes) == 2
        asked = recorder.asked()
        assert "built in 1811 by Ada Stone" in asked
        assert "room for forty boats" in asked
        if self.follows_instructions:
            assert "Ada Stone" in str(response)

    @needs("supports_streaming")
    @pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
    def test_query_engines_stream(self, llm: LLM, call: Caller, mode: str) -> None:
        """The tokens add up to an answer."""
        engine = SummaryIndex(nodes()).as_query_engine(llm=llm, response_mode=mode, streaming=True)
        text = call.text(call.result(engine, "query", QUESTION))
        assert text.strip() not in EMPTY
        if self.follows_instructions:
            assert "Ada Stone" in text

    @needs("supports_structured_output")
    @pytest.mark.parametrize("mode", ["compact", "tree_summarize"])
    def test_query_engines_with_an_output_class(self, llm: LLM, call: Caller, mode: str) -> None:
        """The response is an object: of `output_cls`, and of a structured LLM."""
        index = SummaryIndex([TextNode(text=self.questions.person)])
        engine = index.as_query_engine(llm=llm, response_mode=mode, output_cls=Person)
        assert type(call.result(engine, "query", "Who is 36?").response) is Person
        structured = index.as_query_engine(llm=llm.as_structured_llm(Person), response_mode=mode)
        assert type(call.result(structured, "query", "Who is 36?").response) is Person

    @needs("is_function_calling", "supports_forced_tool_choice")
    def test_answers_filtered_by_structure(self, llm: LLM, call: Caller) -> None:
        """`structured_answer_filtering` asks core's program for every node, past `structured_predict`."""
        synthesizer = get_response_synthesizer(llm=llm, response_mode="refine", structured_answer_filtering=True)  # type: ignore[arg-type]
        assert isinstance(call.result(synthesizer, "synthesize", QUESTION, nodes=scored_nodes()), Response)

    def test_citations(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """The sources go out with their numbers."""
        engine = CitationQueryEngine.from_args(SummaryIndex(nodes()), llm=llm)
        assert str(call.result(engine, "query", QUESTION)) not in EMPTY
        assert "Source 2:" in recorder.asked()

    @needs("follows_instructions")
    @pytest.mark.parametrize("selector", [LLMSingleSelector, LLMMultiSelector])
    def test_selectors_by_prompt(self, llm: LLM, call: Caller, selector: Any) -> None:
        """The choice is JSON by instruction."""
        assert 1 in call.result(selector.from_defaults(llm=llm), "select", CHOICES, QUESTION).inds

    @needs("is_function_calling", "supports_forced_tool_choice")
    @pytest.mark.parametrize("selector", [PydanticSingleSelector, PydanticMultiSelector])
    def test_selectors_by_tool(self, llm: LLM, call: Caller, selector: Any) -> None:
        """The choice is an object, from core's `FunctionCallingProgram`."""
        chosen = call.result(selector.from_defaults(llm=llm), "select", CHOICES, QUESTION)
        assert chosen.selections
        assert all(0 <= index < len(CHOICES) for index in chosen.inds)

    @needs("supports_structured_output", "follows_instructions")
    @pytest.mark.parametrize("several", [False, True])
    def test_routers(self, llm: LLM, call: Caller, several: bool) -> None:
        """A router with the selector that core chooses for this LLM."""
        engine = RouterQueryEngine.from_defaults(self._engines(llm), llm=llm, select_multi=several)
        response = call.result(engine, "query", QUESTION)
        assert str(response) not in EMPTY
        assert response.metadata["selector_result"].selections

    @needs("follows_instructions")
    def test_sub_questions(self, llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
        """Questions for each engine, by prompt. Core's default generator cannot be installed beside core 0.14
        (run-llama/llama_index#19917), and its engine asks `Settings.llm` whatever LLM it is given.
        """  # noqa: D205
        monkeypatch.setattr(Settings, "_llm", llm)
        engine = SubQuestionQueryEngine.from_defaults(
            self._engines(llm),
            llm=llm,
            question_gen=LLMQuestionGenerator.from_defaults(llm=llm),
            use_async=False,
            verbose=False,
        )
        assert str(engine.query(QUESTION)) not in EMPTY

    @needs("follows_instructions")
    def test_rerankers_by_prompt(self, llm: LLM, call: Caller) -> None:
        """`LLMRerank` reads "Doc: 1, Relevance: 9"."""
        found = self._rerank(call, LLMRerank(llm=llm, top_n=1))
        assert [node.text for node in found] == [nodes()[0].text]

    @needs("supports_structured_output")
    def test_rerankers_by_object(self, llm: LLM, call: Caller) -> None:
        """`StructuredLLMRerank` wants a list of objects."""
        found = self._rerank(call, StructuredLLMRerank(llm=llm, top_n=2))
        assert {node.text for node in found} <= {node.text for node in nodes()}

    @pytest.mark.parametrize(
        "mode", [ChatMode.SIMPLE, ChatMode.CONTEXT, ChatMode.CONDENSE_QUESTION, ChatMode.CONDENSE_PLUS_CONTEXT]
    )
    def test_chat_engines(self, llm: LLM, call: Caller, mode: ChatMode) -> None:
        """Two questions, the second one streamed; both and their answers are in the history."""
        memory = ChatMemoryBuffer.from_defaults(token_limit=20_000)
        engine = SummaryIndex(nodes()).as_chat_engine(mode, llm=llm, memory=memory)
        assert str(call.result(engine, "chat", QUESTION)) not in EMPTY
        if self.supports_streaming:
            assert self._streamed(call, engine, "And how high is it?").strip() not in EMPTY
        else:
            assert str(call.result(engine, "chat", "And how high is it?")) not in EMPTY
        assert [message.role.value for message in engine.chat_history] == ["user", "assistant"] * 2
        assert all(message.content for message in engine.chat_history)

    def _streamed(self, call: Caller, engine: Any, question: str) -> str:
        if call.run is None:
            return "".join(engine.stream_chat(question).response_gen)

        async def collect() -> str:
            response = await engine.astream_chat(question)
            text = "".join([token async for token in response.async_response_gen()])
            while len(engine.chat_history) % 2:  # core writes the answer down in a task of its own
                await asyncio.sleep(0)
            return text

        return str(call.run(asyncio.wait_for(collect(), 60)))

    def _engines(self, llm: LLM) -> list[QueryEngineTool]:
        engine = SummaryIndex(nodes()).as_query_engine(llm=llm)
        return [
            QueryEngineTool.from_defaults(engine, name=choice.name, description=choice.description)
            for choice in CHOICES
        ]

    def _rerank(self, call: Caller, rerank: Any) -> list[NodeWithScore]:
        return list(call.result(rerank, "postprocess_nodes", scored_nodes()[::-1], query_str=QUESTION))
