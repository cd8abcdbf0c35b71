"""Query engines, chat engines and routers over a small index."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex, get_response_synthesizer
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.postprocessor import StructuredLLMRerank
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.query_engine.sub_question_query_engine import SubQuestionQueryEngine
from llama_index.core.question_gen import LLMQuestionGenerator
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.selectors import LLMSingleSelector, PydanticMultiSelector, PydanticSingleSelector
from llama_index.core.tools import QueryEngineTool

from kimi_emulator import KimiEmulator, Reply, ToolCall
from llama_index_kimi import Kimi

Make = Callable[..., Kimi]

TEXTS = [
    "The lighthouse of Alba was built in 1811 by Ada Stone.",
    "The harbour of Alba has room for forty boats.",
    "Bread in Alba is baked with rye and costs two crowns.",
]
QUESTION = "Who built the lighthouse of Alba?"

MODES = [mode for mode in ResponseMode if mode not in (ResponseMode.NO_TEXT, ResponseMode.CONTEXT_ONLY)]


class HashedWords(BaseEmbedding):
    """Counts words in hashed buckets: ranks without a model."""

    def _get_text_embedding(self, text: str) -> list[float]:
        vector = [0.0] * 64
        for word in text.lower().replace("?", " ").replace(".", " ").split():
            vector[zlib.crc32(word.encode()) % 64] += 1.0
        return vector

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


@pytest.fixture
def index() -> VectorStoreIndex:
    return VectorStoreIndex.from_documents(
        [Document(text=text) for text in TEXTS], embed_model=HashedWords(), transformations=[SentenceSplitter()]
    )


def sent(kimi: KimiEmulator) -> str:
    return "".join(request.raw.decode() for request in kimi.requests)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6"])
async def test_query_engines(
    kimi: KimiEmulator, llm: Make, index: VectorStoreIndex, mode: ResponseMode, model: str
) -> None:
    engine = index.as_query_engine(llm=llm(model), response_mode=mode, similarity_top_k=2)
    if mode is not ResponseMode.GENERATION:
        assert engine.retrieve(QUESTION)[0].text == TEXTS[0]
    answers = [str(engine.query(QUESTION)), str(await engine.aquery(QUESTION))]
    assert answers[0] == answers[1]
    assert answers[0] not in ("", "Empty Response", "None")
    assert ("Ada Stone" in sent(kimi)) is (mode is not ResponseMode.GENERATION)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
async def test_streamed_query_engines(
    kimi: KimiEmulator, llm: Make, index: VectorStoreIndex, mode: ResponseMode
) -> None:
    engine = index.as_query_engine(llm=llm(), response_mode=mode, similarity_top_k=2, streaming=True)
    if mode in (ResponseMode.ACCUMULATE, ResponseMode.COMPACT_ACCUMULATE):
        with pytest.raises(ValueError, match="Unable to stream"):
            engine.query(QUESTION)
        return
    kimi.script(*[Reply("Ada Stone built it.", reasoning="It says so.")] * 8)
    assert "".join(engine.query(QUESTION).response_gen) == "Ada Stone built it."
    response = await engine.aquery(QUESTION)
    assert "".join([text async for text in response.async_response_gen()]) == "Ada Stone built it."
    assert all(request.body["stream"] for request in kimi.requests[-1:])


def test_retrieval_alone_asks_nobody(
    kimi: KimiEmulator, llm: Make, index: VectorStoreIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "_llm", llm())  # core wants one for this mode too, whatever it is given
    engine = index.as_query_engine(llm=llm(), response_mode=ResponseMode.NO_TEXT)
    assert engine.query(QUESTION).source_nodes[0].text == TEXTS[0]
    assert kimi.requests == []


class Builder(BaseModel):
    """Who built something."""

    name: str


@pytest.mark.parametrize("mode", [ResponseMode.COMPACT, ResponseMode.TREE_SUMMARIZE, ResponseMode.REFINE])
@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k2.7-code", "kimi-k3"])
async def test_query_engines_with_an_output_class(
    llm: Make, index: VectorStoreIndex, mode: ResponseMode, model: str
) -> None:
    engine = index.as_query_engine(llm=llm(model), response_mode=mode, output_cls=Builder)
    assert isinstance(engine.query(QUESTION).response, Builder)
    assert isinstance((await engine.aquery(QUESTION)).response, Builder)
    structured = index.as_query_engine(llm=llm(model).as_structured_llm(Builder), response_mode=mode)
    assert isinstance(structured.query(QUESTION).response, Builder)


@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k2.7-code", "kimi-k3"])
def test_answers_filtered_by_structure(kimi: KimiEmulator, llm: Make, model: str) -> None:
    synthesizer = get_response_synthesizer(llm=llm(model), response_mode="refine", structured_answer_filtering=True)
    answer = synthesizer.synthesize(QUESTION, nodes=[NodeWithScore(node=TextNode(text=TEXTS[0]), score=1.0)])
    assert str(answer)


ENGINES = [
    ChatMode.SIMPLE,
    ChatMode.CONTEXT,
    ChatMode.CONDENSE_QUESTION,
    ChatMode.CONDENSE_PLUS_CONTEXT,
    ChatMode.BEST,
]


@pytest.mark.parametrize("mode", ENGINES, ids=lambda mode: mode.value)
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6"])
def test_chat_engines(kimi: KimiEmulator, llm: Make, index: VectorStoreIndex, mode: ChatMode, model: str) -> None:
    engine = index.as_chat_engine(mode, llm=llm(model), memory=ChatMemoryBuffer.from_defaults(token_limit=9000))
    assert str(engine.chat(QUESTION)) not in ("", "None")
    streamed = engine.stream_chat("And how many boats fit the harbour?")
    assert "".join(streamed.response_gen).strip() == streamed.response != ""
    assert [message.role.value for message in engine.chat_history] == ["user", "assistant"] * 2
    assert all(message.content for message in engine.chat_history)
    engine.reset()
    assert engine.chat_history == []


@pytest.mark.parametrize("mode", ENGINES, ids=lambda mode: mode.value)
async def test_asynchronous_chat_engines(
    kimi: KimiEmulator, llm: Make, index: VectorStoreIndex, mode: ChatMode
) -> None:
    engine = index.as_chat_engine(mode, llm=llm(), memory=ChatMemoryBuffer.from_defaults(token_limit=9000))
    assert str(await engine.achat(QUESTION)) not in ("", "None")
    streamed = await engine.astream_chat("And how many boats fit the harbour?")
    text = "".join([token async for token in streamed.async_response_gen()])
    assert text.strip() != ""
    assert [message.role.value for message in engine.chat_history] == ["user", "assistant"] * 2


async def test_an_answer_that_calls_tools_is_no_text_for_a_chat_engine(
    kimi: KimiEmulator, llm: Make, index: VectorStoreIndex
) -> None:
    engine = index.as_chat_engine(ChatMode.SIMPLE, llm=llm(), memory=ChatMemoryBuffer.from_defaults(token_limit=9000))
    kimi.script(Reply("One moment.", tool_calls=[ToolCall("f")]))
    assert str(engine.chat("Hello")) == "One moment."


@pytest.fixture
def tools(index: VectorStoreIndex, llm: Make) -> Callable[[str], list[QueryEngineTool]]:
    def make(model: str) -> list[QueryEngineTool]:
        engine = index.as_query_engine(llm=llm(model), similarity_top_k=1)
        return [
            QueryEngineTool.from_defaults(engine, name="alba", description="Knows the town of Alba, its buildings."),
            QueryEngineTool.from_defaults(engine, name="recipes", description="Knows recipes."),
        ]

    return make


@pytest.mark.parametrize("model", ["kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k3", "kimi-k3.1-pro"])
@pytest.mark.parametrize("selector", ["default", "pydantic single", "pydantic multi"])
async def test_routers(llm: Make, tools: Any, model: str, selector: str, kimi: KimiEmulator) -> None:
    made = tools(model)
    chosen = {
        "default": None,
        "pydantic single": PydanticSingleSelector.from_defaults(llm=llm(model)),
        "pydantic multi": PydanticMultiSelector.from_defaults(llm=llm(model)),
    }[selector]
    engine = RouterQueryEngine.from_defaults(made, llm=llm(model), selector=chosen)

    def select(body: dict[str, Any]) -> Reply:
        selection = '{"index": 1, "reason": "It is about the town."}'
        arguments = f'{{"selections": [{selection}]}}' if selector == "pydantic multi" else selection
        if "response_format" in body:
            return Reply(arguments)
        return Reply(tool_calls=[ToolCall(body["tools"][0]["function"]["name"], arguments)])

    kimi.script(select)
    assert str(engine.query(QUESTION)) not in ("", "None")
    kimi.script(select)
    response = await engine.aquery(QUESTION)
    assert [item.index for item in response.metadata["selector_result"].selections] == [0]


def test_a_router_that_is_asked_in_the_prompt(kimi: KimiEmulator, llm: Make, tools: Any) -> None:
    kimi.script(Reply('[{"choice": 1, "reason": "It is about the town."}]'))
    engine = RouterQueryEngine.from_defaults(
        tools("kimi-k3"), llm=llm(), selector=LLMSingleSelector.from_defaults(llm=llm())
    )
    assert str(engine.query(QUESTION)) not in ("", "None")


def test_sub_questions(kimi: KimiEmulator, llm: Make, tools: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    # The default generator needs a package that core 0.14 cannot have (run-llama/llama_index#19917).
    monkeypatch.setattr(Settings, "_llm", llm())
    kimi.script(
        Reply('```json\n{"items": [{"sub_question": "Who built it?", "tool_name": "alba"}]}\n```'),
        Reply("Ada Stone."),
        Reply("Ada Stone built it."),
    )
    engine = SubQuestionQueryEngine.from_defaults(
        tools("kimi-k3"), llm=llm(), question_gen=LLMQuestionGenerator.from_defaults(llm=llm()), use_async=False,
        verbose=False,
    )  # fmt: skip
    assert str(engine.query(QUESTION)) == "Ada Stone built it."


@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k2.7-code", "kimi-k3"])
def test_reranking_by_structure(kimi: KimiEmulator, llm: Make, model: str) -> None:
    nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in TEXTS]

    def rank(body: dict[str, Any]) -> Reply:
        arguments = '{"documents": [{"document_number": 3, "relevance": 9}, {"document_number": 1, "relevance": 2}]}'
        if "response_format" in body:
            return Reply(arguments)
        return Reply(tool_calls=[ToolCall(body["tools"][0]["function"]["name"], arguments)])

    kimi.script(rank)
    ranked = StructuredLLMRerank(llm=llm(model), top_n=1).postprocess_nodes(nodes, query_str="Bread?")
    assert [node.text for node in ranked] == [TEXTS[2]]


def test_the_settings_object_takes_the_model(llm: Make, index: VectorStoreIndex, monkeypatch: Any) -> None:
    model = llm()
    monkeypatch.setattr(Settings, "_llm", None)
    Settings.llm = model
    assert Settings.llm is model
    assert str(index.as_query_engine().query(QUESTION)) not in ("", "None")
