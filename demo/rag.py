"""A LlamaIndex query over a folder of documents: found by BM25, answered by Kimi, with its sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llama_index.core import SimpleDirectoryReader
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMChatInProgressEvent
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index_instrumentation import get_dispatcher
from pydantic import Field

from kimi_wire.display import Transcript
from llama_index_kimi import Kimi

DOCUMENTS = Path(__file__).parent / "documents"
QUESTION = "Why does the ice at the poles of the Moon matter for travel?"


class Thinking(BaseEventHandler):
    """Shows what a query engine's answer leaves out: the model's thinking, and the tokens it took."""

    transcript: Any
    usage: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def class_name(cls) -> str:
        """Name in LlamaIndex's instrumentation."""
        return "Thinking"

    def handle(self, event: Any, **kwargs: Any) -> None:
        """Take one event of the language model."""
        if isinstance(event, LLMChatInProgressEvent):
            self.transcript.add("thinking", event.response.additional_kwargs.get("thinking_delta") or "")
        elif isinstance(event, LLMChatEndEvent) and event.response:
            counts = event.response.additional_kwargs
            self.usage = {name: value for name, value in counts.items() if name.endswith("_tokens")}


def run() -> None:
    print(f"\nLlamaIndex RAG over {DOCUMENTS.name}/: {QUESTION}\n")
    nodes = SentenceSplitter(chunk_size=256).get_nodes_from_documents(SimpleDirectoryReader(DOCUMENTS).load_data())
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=2)
    engine = RetrieverQueryEngine.from_args(retriever, llm=Kimi(), streaming=True)
    transcript = Transcript()
    thinking = Thinking(transcript=transcript)
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(thinking)
    response: Any = engine.query(QUESTION)
    for text in response.response_gen:
        transcript.add("text", text)
    transcript.close()
    dispatcher.event_handlers.remove(thinking)
    sources = [f"{found.node.metadata['file_name']} ({found.score:.2f})" for found in response.source_nodes]
    print(f"sources: {', '.join(sources)}")
    print(f"tokens: {thinking.usage}")
