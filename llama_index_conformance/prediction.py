"""`predict`, `stream` and their twins: prompts, system prompts and output parsers."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.llms import LLM
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import BaseOutputParser

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller
from llama_index_conformance.recording import Recorder


class ShoutingParser(BaseOutputParser):
    """Asks for capitals, and puts the answer in them."""

    ORDER = "Write in capitals."

    def parse(self, output: str) -> Any:
        """Put the answer in capitals."""
        return output.upper()

    def format(self, query: str) -> str:
        """Add the order to a prompt."""
        return f"{query}\n{self.ORDER}"


class PredictionTests(ConformanceBase):
    """What core's response synthesizers, extractors and selectors call."""

    def test_predict(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """The prompt's variables reach the model, and the answer is text."""
        answer = call.result(llm, "predict", PromptTemplate("Say hello to {name}."), name="Grace Hopper")
        assert isinstance(answer, str)
        assert answer
        assert "Say hello to Grace Hopper." in recorder.asked()

    @needs("supports_streaming")
    def test_stream(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """The tokens are text."""
        tokens = call.chunks(llm, "stream", PromptTemplate("Say hello to {name}."), name="Grace Hopper")
        assert all(isinstance(token, str) for token in tokens)
        assert "".join(tokens).strip()
        assert "Say hello to Grace Hopper." in recorder.asked()

    @needs("is_chat_model", "supports_system_prompt")
    def test_chat_prompts_keep_their_roles(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """The messages of a `ChatPromptTemplate` go as they are."""
        template = ChatPromptTemplate(
            message_templates=[
                ChatMessage(role=MessageRole.SYSTEM, content="You answer {how}."),
                ChatMessage(role=MessageRole.USER, content="Hello!"),
            ]
        )
        assert call.result(llm, "predict", template, how="briefly")
        sent = [(message.role.value, message.content) for message in recorder.conversations()[0]]
        assert sent == [("system", "You answer briefly."), ("user", "Hello!")]

    @needs("supports_system_prompt")
    def test_the_system_prompt_comes_first(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """`system_prompt` goes with every prediction, before the prompt, once."""
        llm.system_prompt = "You answer in one word."
        assert call.result(llm, "predict", PromptTemplate("Hello!"))
        if self.supports_streaming:
            assert call.chunks(llm, "stream", PromptTemplate("Hello!"))
        for messages in recorder.conversations():
            text = "\n".join(message.content or "" for message in messages)
            assert text.count("You answer in one word.") == 1
            assert text.index("You answer in one word.") < text.index("Hello!")
            if self.is_chat_model and not self.nests_endpoints:
                assert [message.role.value for message in messages] == ["system", "user"]

    def test_the_output_parser(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """`output_parser` of the LLM writes into the prompt, and reads the answer."""
        llm.output_parser = ShoutingParser()
        answer = call.result(llm, "predict", PromptTemplate("Hello!"))
        assert answer == answer.upper() != ""
        assert ShoutingParser.ORDER in recorder.asked()

    def test_the_output_parser_of_a_prompt(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """A prompt's own parser writes into the prompt; core leaves the reading to the caller."""
        assert call.result(llm, "predict", PromptTemplate("Hello!", output_parser=ShoutingParser()))
        assert ShoutingParser.ORDER in recorder.asked()

    @needs("supports_streaming")
    def test_streams_refuse_an_output_parser(self, llm: LLM, call: Caller) -> None:
        """What cannot be parsed in pieces is an error, and not text that nobody parsed."""
        llm.output_parser = ShoutingParser()
        with pytest.raises(NotImplementedError):
            call.chunks(llm, "stream", PromptTemplate("Hello!"))
