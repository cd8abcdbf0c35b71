"""Query engines, chat engines and routers over a small index."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, Settings, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RouterQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.selectors import LLMSingleSelector
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


def test_a_router_that_is_asked_in_the_prompt(kimi: KimiEmulator, llm: Make, tools: Any) -> None:
    kimi.script(Reply('[{"choice": 1, "reason": "It is about the town."}]'))
    engine = RouterQueryEngine.from_defaults(
        tools("kimi-k3"), llm=llm(), selector=LLMSingleSelector.from_defaults(llm=llm())
    )
    assert str(engine.query(QUESTION)) not in ("", "None")


def test_the_settings_object_takes_the_model(llm: Make, index: VectorStoreIndex, monkeypatch: Any) -> None:
    model = llm()
    monkeypatch.setattr(Settings, "_llm", None)
    Settings.llm = model
    assert Settings.llm is model
    assert str(index.as_query_engine().query(QUESTION)) not in ("", "None")
