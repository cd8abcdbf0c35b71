"""Objects of a class: `structured_predict`, structured LLMs and core's programs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatResponse
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.llms import LLM
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.prompts import PromptTemplate

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import Impossible, Person, Report, user

PROMPT = PromptTemplate("Who is described here? {text}")


# Core's `StructuredLLM.stream_chat` writes `partial_output.json()`.
@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")
class StructuredTests(ConformanceBase):
    """Structured output, whichever way the LLM gets it."""

    @needs("supports_structured_output")
    def test_structured_predict(self, llm: LLM, call: Caller) -> None:
        """An object of the class comes back, with what the prompt said."""
        check_person(call.result(llm, "structured_predict", Person, PROMPT, text=self.questions.person))

    @needs("supports_structured_output")
    def test_structured_predict_takes_llm_kwargs(self, llm: LLM, call: Caller) -> None:
        """`llm_kwargs` may be given, empty or None, and stays the caller's."""
        given: dict[str, Any] = {}
        for llm_kwargs in (given, None):
            check_person(
                call.result(
                    llm, "structured_predict", Person, PROMPT, llm_kwargs=llm_kwargs, text=self.questions.person
                )
            )
        assert given == {}

    @needs("supports_structured_output")
    def test_structured_predict_of_a_large_class(self, llm: LLM, call: Caller) -> None:
        """Nested objects, lists, enums and optional fields."""
        text = f"A cheerful report on analytical engines, in a good mood. The author: {self.questions.person}"
        prompt = PromptTemplate("Write the report that this describes: {text}")
        assert type(call.result(llm, "structured_predict", Report, prompt, text=text)) is Report

    @needs("supports_structured_output")
    def test_an_answer_that_does_not_fit_is_an_error(self, llm: LLM, call: Caller) -> None:
        """A `ValueError`, such as Pydantic's own: not None, a text, or half an object."""
        with pytest.raises(ValueError):  # noqa: PT011, every LLM has its own words
            call.result(llm, "structured_predict", Impossible, PROMPT, text=self.questions.person)

    @needs("supports_structured_streaming")
    def test_stream_structured_predict(self, llm: LLM, call: Caller) -> None:
        """Partial objects come as they grow; the last one is whole."""
        objects = call.chunks(llm, "stream_structured_predict", Person, PROMPT, text=self.questions.person)
        assert objects
        assert all(isinstance(item, BaseModel) for item in objects)
        check_person(objects[-1])

    @needs("supports_structured_output")
    def test_structured_llms(self, llm: LLM, call: Caller) -> None:
        """`as_structured_llm` gives the object as `raw`, and its JSON as text."""
        structured = llm.as_structured_llm(Person)
        assert isinstance(structured, StructuredLLM)
        assert structured.metadata == llm.metadata
        chat = call.result(structured, "chat", [user(self.questions.person)])
        assert isinstance(chat, ChatResponse)
        completion = call.result(structured, "complete", self.questions.person)
        check_person(chat.raw)
        check_person(completion.raw)
        told = {"name": chat.raw.name, "age": 36} if isinstance(chat.raw, Person) else None
        assert json.loads(chat.message.content or "") == told
        assert Person.model_validate_json(completion.text) == completion.raw

    @needs("supports_structured_output")
    def test_structured_llms_take_conversations(self, llm: LLM, call: Caller) -> None:
        """Braces in messages are text, not variables of a template."""
        messages = [user("What is {this}?"), llm.chat([user(self.questions.plain)]).message]
        structured = llm.as_structured_llm(Person)
        check_person(call.result(structured, "chat", [*messages, user(self.questions.person)]).raw)

    @needs("supports_structured_streaming")
    def test_structured_llms_stream(self, llm: LLM, call: Caller) -> None:
        """The last chunk has the whole object."""
        chunks = call.chunks(llm.as_structured_llm(Person), "stream_chat", [user(self.questions.person)])
        check_person(chunks[-1].raw)

    @needs("supports_structured_output", "supports_system_prompt", "is_chat_model")
    def test_the_system_prompt_goes_with_structured_predictions(self, llm: LLM, recorder: Recorder) -> None:
        """As with any prediction. Core's own `FunctionCallingProgram.acall` forgets it, so this asks the other way."""
        llm.system_prompt = "You are exact."
        llm.structured_predict(Person, PROMPT, text=self.questions.person)
        assert recorder.conversations()[0][0].content == "You are exact."

    @needs("is_function_calling", "supports_forced_tool_choice")
    def test_function_calling_programs(self, llm: LLM, call: Caller) -> None:
        """Core's selectors and response synthesizers use this program itself, past `structured_predict`."""
        program = FunctionCallingProgram.from_defaults(Person, prompt=PROMPT, llm=llm)
        check_person(call.result(program, "__call__", text=self.questions.person))

    @needs("is_function_calling", "supports_streaming")
    def test_streamed_function_calling_programs(self, llm: LLM, call: Caller) -> None:
        """Core sends no required choice here, so the prompt asks for the call. The objects must not come out blank."""
        prompt = PromptTemplate("Call the tool Person. {text}")
        program = FunctionCallingProgram.from_defaults(Person, prompt=prompt, llm=llm)
        objects = call.chunks(program, "stream_call", text=self.questions.person)
        check_person(objects[-1])

    @needs("follows_instructions")
    def test_text_completion_programs(self, llm: LLM, call: Caller) -> None:
        """The way without tools or schemas: the class's schema is in the prompt."""
        program = LLMTextCompletionProgram.from_defaults(
            output_cls=Person, prompt_template_str="Who is described here? {text}", llm=llm
        )
        check_person(call.result(program, "__call__", text=self.questions.person))


def check_person(person: Any) -> None:
    """Check that this is Ada Lovelace."""
    assert type(person) is Person, f"{person!r} is not a Person"
    assert "Ada" in person.name
    assert person.age == 36
