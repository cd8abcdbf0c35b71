"""What a chat engine's stream gives while the model thinks, as docs/rag.md says it."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.chat_engine import CondensePlusContextChatEngine, ContextChatEngine, SimpleChatEngine
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatInProgressEvent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from kimi_emulator import KimiEmulator, Reply
from llama_index_kimi import Kimi

REPLY = Reply("There is ice at the poles.", reasoning="Let me think of the Moon.")


class OneNode(BaseRetriever):
    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [NodeWithScore(node=TextNode(text="The Moon has ice at its poles."), score=1.0)]


class Thoughts(BaseEventHandler):
    said: list[str] = []

    def handle(self, event: Any, **_: Any) -> None:
        if isinstance(event, LLMChatInProgressEvent):
            self.said.append(event.response.additional_kwargs.get("thinking_delta") or "")


def engines(kimi: KimiEmulator) -> dict[str, Any]:
    """Each engine, with a memory that leaves no database open, as the default one does."""
    llm, memory = Kimi(api_key="sk-test", api_base=kimi.base_url), ChatMemoryBuffer.from_defaults(token_limit=10_000)
    return {
        "simple": SimpleChatEngine.from_defaults(llm=llm, memory=memory),
        "context": ContextChatEngine.from_defaults(retriever=OneNode(), llm=llm, memory=memory),
        "condense": CondensePlusContextChatEngine.from_defaults(retriever=OneNode(), llm=llm, memory=memory),
    }


@pytest.mark.says(
    "docs/rag.md",
    "A chat engine's `response_gen` gives the text of the answer. While the model thinks it gives nothing, neither empty pieces nor an end",
    "What the model thinks is in the events of the LLM:",
    "These engines keep the text of a turn alone, in their memory too, so that the next request has the earlier answers without their thinking. Kimi takes that",
)
@pytest.mark.parametrize("mode", ["stream", "astream"])
@pytest.mark.parametrize("kind", ["simple", "context", "condense"])
async def test_the_text_alone_comes_and_the_thinking_is_in_the_events(kimi: KimiEmulator, kind: str, mode: str) -> None:
    engine = engines(kimi)[kind]
    kimi.script(REPLY)
    thoughts = Thoughts(said=[])
    get_dispatcher().add_event_handler(thoughts)
    try:
        if mode == "astream":
            pieces = [piece async for piece in (await engine.astream_chat("Where is ice?")).async_response_gen()]
        else:
            pieces = list(engine.stream_chat("Where is ice?").response_gen)
    finally:
        get_dispatcher().event_handlers.remove(thoughts)
    assert "" not in pieces
    assert "".join(pieces) == REPLY.content
    assert "".join(thoughts.said) == REPLY.reasoning
    assert [block.block_type for block in engine.chat_history[-1].blocks] == ["text"]
    kimi.script(Reply("So it is."))
    engine.chat("Really?")
    answers = [message for message in kimi.requests[-1].body["messages"] if message["role"] == "assistant"]
    assert answers == [{"role": "assistant", "content": REPLY.content}]
    assert kimi.rejections == []


@pytest.mark.says("docs/rag.md", "(A query engine with `streaming=True` gives empty pieces in that time.)")
def test_a_query_engine_gives_empty_pieces_meanwhile(kimi: KimiEmulator) -> None:
    llm = Kimi(api_key="sk-test", api_base=kimi.base_url)
    kimi.script(REPLY)
    response: Any = RetrieverQueryEngine.from_args(OneNode(), llm=llm, streaming=True).query("Where is ice?")
    pieces = list(response.response_gen)
    assert pieces[0] == ""
    assert "".join(pieces) == REPLY.content
