"""Blocks that are not text: thinking, and images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock, ThinkingBlock
from llama_index.core.llms import LLM

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller
from llama_index_conformance.samples import PICTURE, multiply, thinking_of, tool_result, tools, user

ENDPOINTS = ["chat", "stream_chat"]


class BlockTests(ConformanceBase):
    """Thinking blocks and image blocks."""

    @needs("supports_thinking")
    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_thinking_is_a_block_before_the_answer(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """And no part of the text, which memories and prompts take for what was said."""
        message = self._think(llm, call, endpoint)[-1].message
        kinds = [block.block_type for block in message.blocks]
        assert "thinking" in kinds
        assert kinds.index("thinking") < kinds.index("text")
        assert thinking_of(message).strip()
        assert thinking_of(message) not in (message.content or "")

    @needs("supports_thinking", "supports_streaming")
    def test_thinking_streams(self, llm: LLM, call: Caller) -> None:
        """`ChatResponse.additional_kwargs["thinking_delta"]` is what agents read; the deltas add up to the block."""
        chunks = self._think(llm, call, "stream_chat")
        thought = ""
        for chunk in chunks:
            thought += chunk.additional_kwargs.get("thinking_delta") or ""
            assert thinking_of(chunk.message) == thought
        assert thought.strip()
        text = "".join(chunk.delta or "" for chunk in chunks)
        assert text == chunks[-1].message.content

    @needs("supports_thinking")
    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_thinking_stays_out_of_additional_kwargs_of_messages(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """Core prints those into prompts (`messages_to_history_str`) and counts them as tokens of a memory."""
        message = self._think(llm, call, endpoint)[-1].message
        assert thinking_of(message) not in str(message.additional_kwargs)

    @needs("supports_thinking")
    @pytest.mark.parametrize("endpoint", ["complete", "stream_complete"])
    def test_completions_have_no_thinking_in_their_text(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """A completion has text only; the thinking is elsewhere or nowhere."""
        text = call.responses(llm, endpoint, self.questions.thinking)[-1].text
        if self.is_deterministic:
            chat = call.result(llm, "chat", [user(self.questions.thinking)]).message
            assert text == chat.content
        assert text
        assert "<think>" not in text

    @needs("supports_thinking")
    def test_thinking_goes_back(self, llm: LLM, call: Caller) -> None:
        """A conversation whose messages have thinking blocks goes on, also without them."""
        asked = user(self.questions.thinking)
        answer = self._think(llm, call, "chat")[-1].message
        restored = ChatMessage.model_validate_json(answer.model_dump_json())
        assert restored.blocks == answer.blocks
        bare = ChatMessage(role=MessageRole.ASSISTANT, content=answer.content)
        for message in (answer, restored, bare):
            assert call.result(llm, "chat", [asked, message, user(self.questions.plain)]).message.content

    @needs("supports_thinking", "is_function_calling")
    @pytest.mark.parametrize("way", ["chat_with_tools", "stream_chat_with_tools"])
    def test_thinking_before_a_call_goes_back_with_it(self, llm: Any, call: Caller, way: str) -> None:
        """Many servers refuse the tool's result if the thinking before the call is missing or changed."""
        given, asked = tools(multiply), user(self.questions.tool)
        response = call.responses(llm, way, given, user_msg=asked)[-1]
        assert thinking_of(response.message).strip()
        (selection,) = llm.get_tool_calls_from_response(response)
        history = [asked, response.message, tool_result(selection.tool_id, "42")]
        assert call.responses(llm, way, given, chat_history=history)[-1].message.content

    @needs("supports_thinking")
    def test_thinking_of_others_does_no_harm(self, llm: LLM, call: Caller) -> None:
        """A conversation that another vendor's model began, with its signature."""
        foreign = ThinkingBlock(content="Somebody else's thought.", additional_information={"signature": "c2lnbmVk"})
        message = ChatMessage(role=MessageRole.ASSISTANT, blocks=[foreign, TextBlock(text="Hello.")])
        messages = [user(self.questions.plain), message, user(self.questions.plain)]
        assert call.result(llm, "chat", messages).message.content

    @needs("supports_images")
    @pytest.mark.parametrize("source", ["bytes", "path"])
    def test_images(self, llm: LLM, call: Caller, source: str, tmp_path: Path) -> None:
        """An image as bytes, and one in a file; the block stays as it was."""
        path = tmp_path / "picture.png"
        path.write_bytes(PICTURE)
        image = ImageBlock(image=PICTURE) if source == "bytes" else ImageBlock(path=path)
        before = image.model_copy(deep=True)
        message = ChatMessage(role="user", blocks=[TextBlock(text="What is in this picture?"), image])
        assert call.result(llm, "chat", [message]).message.content
        assert image == before

    def _think(self, llm: LLM, call: Caller, endpoint: str) -> list[Any]:
        return call.responses(llm, endpoint, [user(self.questions.thinking)])
