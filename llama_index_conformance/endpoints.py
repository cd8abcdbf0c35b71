"""The eight endpoints: `complete`, `stream_complete`, `chat`, `stream_chat`, and their asynchronous twins."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, CompletionResponse, MessageRole, TextBlock
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms import LLM

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller, Runner
from llama_index_conformance.samples import user


class EndpointTests(ConformanceBase):
    """Shapes of responses and chunks, what streams add up to, and that inputs stay as they were."""

    def test_complete(self, llm: LLM, call: Caller) -> None:
        """`complete` gives a `CompletionResponse` with text."""
        response = call.result(llm, "complete", self.questions.plain)
        assert isinstance(response, CompletionResponse)
        assert response.text
        assert str(response) == response.text
        check_raw(response)

    def test_chat(self, llm: LLM, call: Caller) -> None:
        """`chat` gives a `ChatResponse` with a message of the assistant."""
        response = call.result(llm, "chat", [user(self.questions.plain)])
        assert isinstance(response, ChatResponse)
        assert isinstance(response.message, ChatMessage)
        assert response.message.role == MessageRole.ASSISTANT
        assert response.message.content
        assert response.message.content in str(response)
        check_raw(response)

    @needs("supports_streaming")
    def test_stream_complete(self, llm: LLM, call: Caller) -> None:
        """Each chunk has the text so far, and in `delta` what is new; the deltas add up to the text."""
        chunks = call.chunks(llm, "stream_complete", self.questions.long)
        assert chunks
        text = ""
        for chunk in chunks:
            assert isinstance(chunk, CompletionResponse)
            text += chunk.delta or ""
            assert chunk.text == text, "the text of a chunk is not the sum of the deltas so far"
            check_raw(chunk)
        assert text.strip()

    @needs("supports_streaming")
    def test_stream_chat(self, llm: LLM, call: Caller) -> None:
        """Each chunk has the message so far, and in `delta` what is new; the deltas add up to the message."""
        chunks = call.chunks(llm, "stream_chat", [user(self.questions.long)])
        assert chunks
        text = ""
        for chunk in chunks:
            assert isinstance(chunk, ChatResponse)
            assert chunk.message.role == MessageRole.ASSISTANT
            text += chunk.delta or ""
            assert (chunk.message.content or "") == text, "the message of a chunk is not the sum of the deltas so far"
            check_raw(chunk)
        assert text.strip()

    @needs("supports_streaming")
    def test_streams_come_in_pieces(self, llm: LLM, call: Caller) -> None:
        """A long answer comes in more than one piece, in `stream_chat` and in `stream_complete`."""
        chats = call.chunks(llm, "stream_chat", [user(self.questions.long)])
        completions = call.chunks(llm, "stream_complete", self.questions.long)
        assert len([chunk for chunk in chats if chunk.delta]) > 1
        assert len([chunk for chunk in completions if chunk.delta]) > 1

    @needs("supports_streaming")
    def test_earlier_chunks_do_not_change(self, llm: LLM, call: Caller) -> None:
        """A chunk is a snapshot: who keeps it does not find later text in it."""
        seen: list[tuple[ChatResponse, str]] = []
        if call.run is None:
            seen.extend((chunk, chunk.model_dump_json()) for chunk in llm.stream_chat([user(self.questions.long)]))
        else:

            async def collect() -> None:
                async for chunk in await llm.astream_chat([user(self.questions.long)]):
                    seen.append((chunk, chunk.model_dump_json()))  # noqa: PERF401

            call.run(collect())
        assert [chunk.model_dump_json() for chunk, _ in seen] == [dumped for _, dumped in seen]

    @needs("supports_streaming")
    def test_streams_are_generators(self, llm: LLM, run: Runner) -> None:
        """Core knows a stream by `isinstance(..., Generator)`; for other iterators the call ends at once."""
        for stream in (llm.stream_chat([user(self.questions.plain)]), llm.stream_complete(self.questions.plain)):
            assert isinstance(stream, Generator)
            list(stream)

        async def check() -> None:
            chat = await llm.astream_chat([user(self.questions.plain)])
            complete = await llm.astream_complete(self.questions.plain)
            for stream in (chat, complete):
                assert isinstance(stream, AsyncGenerator)
                _ = [chunk async for chunk in stream]

        run(check())

    @needs("is_deterministic", "supports_streaming")
    def test_every_endpoint_gives_the_same_answer(self, llm: LLM, run: Runner) -> None:
        """Streamed or not, synchronous or not: one answer."""
        ways = [Caller(None), Caller(run)]
        messages = [user(self.questions.long)]
        chats = [call.responses(llm, name, messages)[-1] for call in ways for name in ("chat", "stream_chat")]
        assert len({chat.message.content for chat in chats}) == 1
        assert len({tuple(block.block_type for block in chat.message.blocks) for chat in chats}) == 1
        names = ("complete", "stream_complete")
        completions = [call.responses(llm, name, self.questions.long)[-1] for call in ways for name in names]
        assert len({completion.text for completion in completions}) == 1

    @pytest.mark.parametrize("endpoint", ["chat", "complete"])
    def test_arguments_can_be_named(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """`chat(messages=...)` is how core's `chat_with_tools` calls; `complete(prompt=...)` is as good."""
        named: dict[str, Any] = {"messages": [user(self.questions.plain)]}
        if endpoint == "complete":
            named = {"prompt": self.questions.plain}
        assert str(call.result(llm, endpoint, **named))

    @needs("supports_streaming")
    @pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
    def test_arguments_of_streams_can_be_named(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """The same for streams."""
        named: dict[str, Any] = {"messages": [user(self.questions.plain)]}
        if endpoint == "stream_complete":
            named = {"prompt": self.questions.plain}
        assert call.chunks(llm, endpoint, **named)

    def test_a_formatted_prompt_is_not_formatted_again(self, llm: LLM, call: Caller) -> None:
        """`predict` formats the prompt of a model that is no chat model and says `formatted=True`."""
        formatted: list[str] = []

        def note(prompt: str) -> str:
            formatted.append(prompt)
            return prompt

        llm.completion_to_prompt = note
        assert call.result(llm, "complete", self.questions.plain, formatted=True).text
        assert formatted == []

    @pytest.mark.parametrize("endpoint", ["chat", "stream_chat"])
    def test_messages_are_not_changed(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """The caller's list and its messages are the same afterwards: memories and agents send them again."""
        messages = self._conversation()
        before, kept = copy.deepcopy(messages), list(messages)
        call.responses(llm, endpoint, messages)
        assert messages == before
        assert all(message is old for message, old in zip(messages, kept, strict=True))

    def test_conversations_go_on(self, llm: LLM, call: Caller) -> None:
        """An answer goes back as it came, and as it comes out of JSON, with the next question."""
        messages = self._conversation()
        answer = call.result(llm, "chat", messages).message
        restored = ChatMessage.model_validate_json(answer.model_dump_json())
        assert restored.blocks == answer.blocks
        for history in ([*messages, answer], [*messages, restored]):
            again = call.result(llm, "chat", [*history, user(self.questions.plain)])
            assert again.message.content

    def test_messages_of_several_blocks(self, llm: LLM, call: Caller) -> None:
        """A message may have more than one text block; `ChatMessage.content` cannot be set on such a one."""
        blocks = [TextBlock(text="I have a question."), TextBlock(text=self.questions.plain)]
        response = call.result(llm, "chat", [ChatMessage(role=MessageRole.USER, blocks=blocks)])
        assert response.message.content

    def test_unknown_additional_kwargs_do_no_harm(self, llm: LLM, call: Caller) -> None:
        """Memories and other LLMs leave keys of their own in `additional_kwargs`."""
        message = ChatMessage(role="user", content=self.questions.plain, additional_kwargs={"conformance_note": "x"})
        assert call.result(llm, "chat", [message]).message.content

    def _conversation(self) -> list[ChatMessage]:
        system = [ChatMessage(role="system", content="You are friendly.")] if self.supports_system_prompt else []
        return [
            *system,
            user("My name is Ada."),
            ChatMessage(role="assistant", content="Nice to meet you, Ada."),
            user(self.questions.plain),
        ]


def check_raw(response: ChatResponse | CompletionResponse) -> None:
    """Check what observers read of each response.

    `TokenCountingHandler` does `dict(response.raw or {})`, and agents `raw.model_dump()` on Pydantic objects.
    """
    assert isinstance(response.additional_kwargs, dict)
    assert isinstance(response.raw, (dict, BaseModel, type(None))), "raw is not a dict, a Pydantic object or None"
