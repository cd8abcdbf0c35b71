"""What is sent reaches the model, and nobody waits for it in vain: the model is asked about what it was told.

Shapes alone do not show that a message got lost on its way, so these tests look for one word or number in an answer.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.callbacks.token_counting import get_tokens_from_response
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller, Runner
from llama_index_conformance.samples import LONG_TEXT, PICTURE, get_weather, lucky_number, tool_result, tools, user

CHATS = ["chat", "stream_chat"]
ENDPOINTS = [*CHATS, "complete", "stream_complete"]
WAYS = ["chat_with_tools", "stream_chat_with_tools"]
ASYNCHRONOUS = [f"a{endpoint}" for endpoint in ENDPOINTS]
NAME = "Ada"
SECRET = "The code word of this conversation is heron."
SECRET_QUESTION = "What is the code word of this conversation?"


class SendingTests(ConformanceBase):
    """Messages, blocks, results, pictures and keyword arguments get there, and the usage tells of them."""

    @needs("follows_instructions")
    @pytest.mark.parametrize("endpoint", CHATS)
    def test_what_was_said_before_is_sent(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """The whole conversation, and not only its last message."""
        messages = [*self._introduction(), user("What is my name?")]
        assert NAME in self._text(llm, call, endpoint, messages)

    @needs("follows_instructions", "is_function_calling")
    @pytest.mark.parametrize("way", WAYS)
    def test_what_was_said_before_is_sent_with_tools(self, llm: LLM, call: Caller, way: str) -> None:
        """`chat_history` before `user_msg`, which may be a text or a message."""
        for asked in ("What is my name?", user("What is my name?")):
            settings = {"user_msg": asked, "chat_history": self._introduction()}
            assert NAME in self._text(llm, call, way, tools(get_weather), **settings)

    @needs("follows_instructions")
    @pytest.mark.parametrize("endpoint", CHATS)
    def test_every_block_is_sent(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """The first of two text blocks, without which the one question has no answer, and the last one."""
        for said, asked, answer in (
            (f"My name is {NAME}.", "What is my name?", NAME),
            ("I have a question. ", "What is 317 + 414?", "731"),
        ):
            blocks = [TextBlock(text=said), TextBlock(text=asked)]
            message = ChatMessage(role=MessageRole.USER, blocks=blocks)
            assert answer in self._text(llm, call, endpoint, [message])

    @needs("follows_instructions", "supports_system_prompt")
    @pytest.mark.parametrize("endpoint", CHATS)
    def test_system_messages_are_sent(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """What only the system's message says can be asked for."""
        messages = [ChatMessage(role=MessageRole.SYSTEM, content=SECRET), user(SECRET_QUESTION)]
        assert "heron" in self._text(llm, call, endpoint, messages)

    @needs("follows_instructions", "supports_system_prompt")
    def test_the_system_prompt_is_sent(self, llm: LLM, call: Caller) -> None:
        """`system_prompt` of the LLM, with a prediction."""
        llm.system_prompt = SECRET
        assert "heron" in call.result(llm, "predict", PromptTemplate(SECRET_QUESTION))

    @needs("follows_instructions", "is_function_calling")
    @pytest.mark.parametrize("way", WAYS)
    def test_results_of_tools_are_sent(self, llm: Any, call: Caller, way: str) -> None:
        """The answer tells the result, which nobody could guess."""
        given, asked = tools(lucky_number), user(self.questions.no_arguments)
        response = self._send(llm, call, way, given, user_msg=asked)[-1]
        (selection,) = llm.get_tool_calls_from_response(response)
        history = [asked, response.message, tool_result(selection.tool_id, "731")]
        assert "731" in self._text(llm, call, way, given, chat_history=history)

    @needs("follows_instructions", "supports_parallel_tool_calls")
    @pytest.mark.parametrize("way", WAYS)
    def test_each_result_goes_to_its_call(self, llm: Any, call: Caller, way: str) -> None:
        """Results in another order than the calls."""
        given, asked = tools(get_weather), user(self.questions.parallel)
        settings = {"user_msg": asked, "allow_parallel_tool_calls": True}
        response = self._send(llm, call, way, given, **settings)[-1]
        weather = {"Paris": "It is 731 degrees.", "Berlin": "It is 842 degrees."}
        results = [
            tool_result(selection.tool_id, weather[selection.tool_kwargs["city"]])
            for selection in llm.get_tool_calls_from_response(response)
        ]
        history = [asked, response.message, *reversed(results)]
        answer = self._text(llm, call, way, given, chat_history=history)
        assert "731" in answer
        assert "842" in answer

    @needs("supports_images")
    @pytest.mark.parametrize("endpoint", CHATS)
    def test_images_are_sent(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """`image_was_seen` compares the answers to one question with a picture and without."""
        question = TextBlock(text="What is in this picture?")
        answers = [
            self._send(llm, call, endpoint, [ChatMessage(role="user", blocks=blocks)])[-1]
            for blocks in ([question, ImageBlock(image=PICTURE)], [question])
        ]
        assert self.image_was_seen(*answers)

    @needs("limiting_kwargs")
    @pytest.mark.filterwarnings("ignore")  # an LLM may warn of an answer that was cut short
    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_keyword_arguments_are_sent(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """`limiting_kwargs` of a call cut its answer, and no later one."""
        asked: Any = [user(self.questions.long)] if "chat" in endpoint else self.questions.long
        cut = self._text(llm, call, endpoint, asked, **self.limiting_kwargs)
        assert len(cut) < len(self._text(llm, call, endpoint, asked))

    @needs("returns_usage")
    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_usage_is_that_of_the_call(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """A longer prompt has more tokens, and a long answer more than one."""
        if endpoint.startswith("stream") and not self.returns_stream_usage:
            pytest.skip("returns_stream_usage is False")
        used = []
        for text in (self.questions.long, f"{LONG_TEXT}\n\n{self.questions.long}"):
            asked: Any = [user(text)] if "chat" in endpoint else text
            used.append(get_tokens_from_response(self._send(llm, call, endpoint, asked)[-1]))
        (short, answered), (long, _) = used
        assert short < long
        assert answered > 1

    @needs("is_asynchronous")
    @pytest.mark.parametrize("endpoint", ASYNCHRONOUS)
    def test_other_tasks_run_meanwhile(self, llm: LLM, run: Runner, endpoint: str) -> None:
        """Who waits for an answer does not hold up the event loop."""
        asked: Any = [user(self.questions.plain)] if "chat" in endpoint else self.questions.plain
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                beats += 1
                await asyncio.sleep(0)

        async def ask() -> tuple[int, int]:
            task = asyncio.create_task(beat())
            await asyncio.sleep(0)
            before = beats
            answer = await getattr(llm, endpoint)(asked)
            if "stream" in endpoint:
                _ = [chunk async for chunk in answer]
            after = beats
            task.cancel()
            return before, after

        before, after = run(ask())
        assert after > before, "no other task ran: the method blocks the event loop"

    def _introduction(self) -> list[ChatMessage]:
        return [user(f"My name is {NAME}."), ChatMessage(role=MessageRole.ASSISTANT, content="Nice to meet you.")]

    def _send(self, llm: LLM, call: Caller, endpoint: str, *args: Any, **kwargs: Any) -> list[Any]:
        return call.responses(llm, endpoint, *args, **kwargs)

    def _text(self, llm: LLM, call: Caller, endpoint: str, *args: Any, **kwargs: Any) -> str:
        response = self._send(llm, call, endpoint, *args, **kwargs)[-1]
        return str(response.message.content or "" if hasattr(response, "message") else response.text)
