"""Memories: what they keep of messages, and what they ask an LLM for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, TextBlock
from llama_index.core.llms import LLM
from llama_index.core.memory import (
    ChatMemoryBuffer,
    ChatSummaryMemoryBuffer,
    FactExtractionMemoryBlock,
    Memory,
    StaticMemoryBlock,
)
from sqlalchemy.ext.asyncio import create_async_engine

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Runner
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import multiply, tool_result, tools, user


class MemoryTests(ConformanceBase):
    """Messages of this LLM survive each of core's memories, and the LLM serves those that summarise."""

    @needs("is_function_calling")
    @pytest.mark.parametrize("kind", ["buffer", "summary", "string", "sql"])
    def test_tool_calls_survive(self, llm: Any, run: Runner, kind: str) -> None:
        """Thinking, call, result and answer come out as they went in, through a string or a database, and are taken."""
        if kind == "string":
            _skip_where_core_cannot_write_strings()
        given, asked = tools(multiply), user(self.questions.tool)
        called = llm.chat_with_tools(given, user_msg=asked)
        (selection,) = llm.get_tool_calls_from_response(called)
        messages = [asked, called.message, tool_result(selection.tool_id, "42")]
        messages.append(llm.chat_with_tools(given, chat_history=messages).message)
        restored = run(_through(kind, messages))
        assert [message.blocks for message in restored] == [message.blocks for message in messages]
        answer = llm.chat_with_tools(given, user_msg=self.questions.plain, chat_history=restored)
        assert answer.message.content

    def test_limits_follow_the_context_window(self, llm: LLM) -> None:
        """Memories made for an LLM are as large as its window lets them be."""
        for kind in (ChatMemoryBuffer, ChatSummaryMemoryBuffer):
            limit = kind.from_defaults(llm=llm).token_limit
            assert 0 < limit <= llm.metadata.context_window

    def test_summaries(self, llm: LLM, recorder: Recorder) -> None:
        """What does not fit is summarised by the LLM, into a system message; only the LLM itself may be asked."""
        memory = ChatSummaryMemoryBuffer.from_defaults(llm=llm, token_limit=30)
        for number in range(4):
            memory.put(user(f"My number {number} friend is called Grace and lives at the harbour."))
            memory.put(ChatMessage(role="assistant", content="That is good to know."))
        history = memory.get()
        assert history[0].role.value == "system"
        assert history[0].content
        assert "lives at the harbour" in recorder.asked()
        messages = [*history, user(self.questions.plain)] if self.supports_system_prompt else history[1:]
        assert llm.chat(messages).message.content

    @needs("follows_instructions")
    def test_memories_bring_back_what_was_said(self, llm: LLM) -> None:
        """The messages of a memory, and a question about the first of them."""
        memory = ChatMemoryBuffer.from_defaults(llm=llm)
        memory.put(user("My name is Ada."))
        memory.put(llm.chat(memory.get()).message)
        memory.put(user("What is my name?"))
        assert "Ada" in (llm.chat(memory.get()).message.content or "")

    @needs("is_chat_model")
    def test_memory_blocks(self, llm: LLM, run: Runner, recorder: Recorder) -> None:
        """Facts are asked of the LLM when messages leave the queue; blocks come back inside of messages."""

        async def talk() -> list[ChatMessage]:
            blocks = [
                StaticMemoryBlock(
                    name="static", static_content=[TextBlock(text="The user lives in Alba.")], priority=0
                ),
                FactExtractionMemoryBlock(name="facts", llm=llm, priority=1),
            ]
            settings = {"chat_history_token_ratio": 0.1, "token_flush_size": 20, "memory_blocks": blocks}
            async with _sql_memory(token_limit=400, **settings) as memory:
                for number in range(6):
                    await memory.aput(user(f"My boat number {number} is blue and has two sails."))
                    await memory.aput(ChatMessage(role="assistant", content="A fine boat."))
                return await memory.aget()

        history = run(talk())
        assert "has two sails" in recorder.asked(), "the LLM was not asked for facts"
        assert any("The user lives in Alba." in (message.content or "") for message in history)
        if self.supports_system_prompt:
            assert llm.chat([*history, user(self.questions.plain)]).message.content


async def _through(kind: str, messages: list[ChatMessage]) -> list[ChatMessage]:
    """The messages as a memory gives them back."""
    if kind == "sql":
        async with _sql_memory(token_limit=40_000) as memory:
            await memory.aput_messages(messages)
            return await memory.aget()
    filled = (ChatSummaryMemoryBuffer if kind == "summary" else ChatMemoryBuffer).from_defaults(token_limit=40_000)
    for message in messages:
        filled.put(message)
    restored = ChatMemoryBuffer.from_string(filled.to_string()) if kind == "string" else filled
    return [ChatMessage.model_validate_json(message.model_dump_json()) for message in restored.get()]


@asynccontextmanager
async def _sql_memory(**settings: Any) -> AsyncIterator[Memory]:
    """A memory in a database that is closed at the end, which core leaves to its caller."""
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    yield Memory.from_defaults(session_id="conformance", async_engine=engine, **settings)
    await engine.dispose()


def _skip_where_core_cannot_write_strings() -> None:
    """`SimpleChatStore` calls its serialisation handler with an argument that Pydantic 2.14 takes for an index.

    "TypeError: 'index_key' is expected to be an integer or a string, got 'SerializationInfo(...)'", for any message.
    """
    memory = ChatMemoryBuffer.from_defaults(token_limit=1000)
    memory.put(user("Hello!"))
    try:
        memory.to_string()
    except ValueError as error:
        pytest.skip(f"core cannot write a memory down with this version of Pydantic: {error}")
