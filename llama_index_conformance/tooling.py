"""Tools: `chat_with_tools`, reading calls, sending results back, and `predict_and_call`."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.llms import ChatResponse
from llama_index.core.llms.function_calling import _supports_tool_required
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools import BaseTool

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller
from llama_index_conformance.samples import (
    file_report,
    get_weather,
    lucky_number,
    multiply,
    open_vault,
    tool_result,
    tools,
    user,
)

WAYS = ["chat_with_tools", "stream_chat_with_tools"]


class ToolTests(ConformanceBase):
    """What function agents, programs and selectors need of an LLM that calls tools."""

    @needs("is_function_calling")
    @pytest.mark.parametrize("way", WAYS)
    def test_a_tool_is_called(self, llm: Any, call: Caller, way: str) -> None:
        """The call has an id, the tool's name and arguments; it is a block of the message too."""
        response = self._ask(llm, call, way, self.questions.tool, tools(multiply, get_weather))
        (selection,) = llm.get_tool_calls_from_response(response)
        assert isinstance(selection, ToolSelection)
        assert selection.tool_name == "multiply"
        assert sorted(selection.tool_kwargs.items()) in ([("a", 6), ("b", 7)], [("a", 7), ("b", 6)])
        assert selection.tool_id, "a call without an id cannot be answered"
        (block,) = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        assert (block.tool_call_id, block.tool_name) == (selection.tool_id, "multiply")

    @needs("is_function_calling", "supports_streaming")
    def test_every_chunk_can_be_read(self, llm: Any, call: Caller) -> None:
        """`FunctionAgent` reads the calls of every chunk, arguments half written; ids and names never change."""
        chunks = self._responses(llm, call, "stream_chat_with_tools", self.questions.tool, tools(multiply))
        seen: dict[int, set[tuple[str, str]]] = {}
        for chunk in chunks:
            for index, selection in enumerate(llm.get_tool_calls_from_response(chunk, error_on_no_tool_call=False)):
                assert isinstance(selection.tool_kwargs, dict)
                if selection.tool_id and selection.tool_name:
                    seen.setdefault(index, set()).add((selection.tool_id, selection.tool_name))
        assert [len(names) for names in seen.values()] == [1]

    @needs("is_function_calling", "supports_streaming")
    def test_streamed_calls_are_where_programs_look(self, llm: Any, call: Caller) -> None:
        """`process_streaming_objects` looks for a non-empty list in `message.additional_kwargs["tool_calls"]`.

        Without it, streamed programs take the text for the object, and chat engines do not notice that the answer is
        a call.
        """
        chunks = self._responses(llm, call, "stream_chat_with_tools", self.questions.tool, tools(multiply))
        listed = chunks[-1].message.additional_kwargs.get("tool_calls")
        assert isinstance(listed, list)
        assert len(listed) == 1

    @needs("is_function_calling")
    def test_an_answer_without_a_call(self, llm: Any, call: Caller) -> None:
        """`get_tool_calls_from_response` raises a `ValueError`, or gives an empty list where that is asked for."""
        response = call.result(llm, "chat", [user(self.questions.plain)])
        assert llm.get_tool_calls_from_response(response, error_on_no_tool_call=False) == []
        with pytest.raises(ValueError):  # noqa: PT011
            llm.get_tool_calls_from_response(response)

    @needs("is_function_calling")
    @pytest.mark.parametrize("way", WAYS)
    def test_the_history_is_not_changed(self, llm: Any, call: Caller, way: str) -> None:
        """`user_msg` is not appended to the caller's `chat_history`."""
        history = [user("My name is Ada."), ChatMessage(role="assistant", content="Hello, Ada.")]
        before = copy.deepcopy(history)
        for message in (self.questions.tool, user(self.questions.tool)):
            self._ask(llm, call, way, message, tools(multiply), chat_history=history)
            assert history == before

    @needs("is_function_calling")
    @pytest.mark.parametrize("way", WAYS)
    def test_without_tools_it_is_a_chat(self, llm: Any, call: Caller, way: str) -> None:
        """An agent without tools sends an empty list."""
        assert self._ask(llm, call, way, self.questions.plain, []).message.content

    @needs("is_function_calling")
    @pytest.mark.parametrize("way", WAYS)
    def test_results_go_back(self, llm: Any, call: Caller, way: str) -> None:
        """The message with the call goes back with the tool's answer, as it came and as it comes out of JSON."""
        given, asked = tools(multiply), user(self.questions.tool)
        response = self._ask(llm, call, way, asked, given)
        (selection,) = llm.get_tool_calls_from_response(response)
        restored = ChatMessage.model_validate_json(response.message.model_dump_json())
        assert restored.blocks == response.message.blocks
        for message in (response.message, restored):
            history = [asked, message, tool_result(selection.tool_id, "42")]
            final = self._ask(llm, call, way, None, given, chat_history=history)
            assert final.message.content
            assert llm.get_tool_calls_from_response(final, error_on_no_tool_call=False) == []

    @needs("is_function_calling", "supports_parallel_tool_calls")
    @pytest.mark.parametrize("way", WAYS)
    def test_several_calls_at_once(self, llm: Any, call: Caller, way: str) -> None:
        """Each has an id of its own, and each is answered."""
        given, asked = tools(get_weather), user(self.questions.parallel)
        response = self._ask(llm, call, way, asked, given, allow_parallel_tool_calls=True)
        selections = llm.get_tool_calls_from_response(response)
        assert sorted(selection.tool_kwargs["city"] for selection in selections) == ["Berlin", "Paris"]
        assert len({selection.tool_id for selection in selections}) == 2
        results = [tool_result(selection.tool_id, get_weather(**selection.tool_kwargs)) for selection in selections]
        final = self._ask(llm, call, way, None, given, chat_history=[asked, response.message, *results])
        assert final.message.content

    @needs("is_function_calling", "supports_parallel_tool_calls")
    def test_one_call_unless_more_are_allowed(self, llm: Any, call: Caller) -> None:
        """The default of `allow_parallel_tool_calls` is False; core checks that for whole answers only."""
        response = self._ask(llm, call, "chat_with_tools", self.questions.parallel, tools(get_weather))
        assert len(llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)) <= 1

    @needs("is_function_calling")
    @pytest.mark.parametrize("way", WAYS)
    def test_a_tool_without_arguments(self, llm: Any, call: Caller, way: str) -> None:
        """Its arguments are an empty dict, however the model writes them."""
        response = self._ask(llm, call, way, self.questions.no_arguments, tools(lucky_number, multiply))
        (selection,) = llm.get_tool_calls_from_response(response)
        assert (selection.tool_name, selection.tool_kwargs) == ("lucky_number", {})

    @needs("is_function_calling", "supports_forced_tool_choice")
    @pytest.mark.parametrize("way", WAYS)
    def test_a_required_call_comes(self, llm: Any, call: Caller, way: str) -> None:
        """`tool_required=True` gets a call where the model would rather talk."""
        response = self._ask(llm, call, way, self.questions.plain, tools(multiply, lucky_number), tool_required=True)
        assert llm.get_tool_calls_from_response(response)

    @needs("is_function_calling", "supports_forced_tool_choice")
    def test_core_can_see_that_a_call_can_be_required(self, llm: Any) -> None:
        """Core passes `tool_required` on only if `_prepare_chat_with_tools` names it in its signature."""
        kind: Any = type(llm)
        assert _supports_tool_required(kind, True)

    @needs("is_function_calling", "supports_forced_tool_choice")
    def test_a_tool_with_an_object_as_argument(self, llm: Any, call: Caller) -> None:
        """Schemas of tools may have definitions, enums and optional fields."""
        text = f"File a report titled 'Engines', tagged 'machines', in a good mood. {self.questions.person}"
        response = self._ask(llm, call, "chat_with_tools", text, tools(file_report), tool_required=True)
        (selection,) = llm.get_tool_calls_from_response(response)
        assert file_report(**selection.tool_kwargs).startswith("Filed: ")

    @needs("is_function_calling")
    def test_predict_and_call(self, llm: Any, call: Caller) -> None:
        """The tool is run, and its result is the response."""
        given = tools(multiply, get_weather)
        answer = call.result(llm, "predict_and_call", given, user_msg=self.questions.tool)
        assert answer.response == "42"
        assert [(source.tool_name, source.raw_output) for source in answer.sources] == [("multiply", 42)]

    @needs("is_function_calling", "supports_parallel_tool_calls")
    def test_predict_and_call_with_several_calls(self, llm: Any, call: Caller) -> None:
        """All calls are run where that is allowed."""
        answer = call.result(
            llm,
            "predict_and_call",
            tools(get_weather),
            user_msg=self.questions.parallel,
            allow_parallel_tool_calls=True,
        )
        assert len(answer.sources) == 2
        assert all(city in answer.response for city in ("Paris", "Berlin"))

    @needs("is_function_calling")
    def test_predict_and_call_without_a_call(self, llm: Any, call: Caller) -> None:
        """An answer in text is an error, unless `error_on_no_tool_call=False`."""
        given, question = tools(multiply), self.questions.plain
        answer = call.result(llm, "predict_and_call", given, user_msg=question, error_on_no_tool_call=False)
        assert answer.response
        assert answer.sources == []
        with pytest.raises(ValueError):  # noqa: PT011
            call.result(llm, "predict_and_call", given, user_msg=question)

    @needs("is_function_calling")
    def test_predict_and_call_of_a_tool_that_fails(self, llm: Any, call: Caller) -> None:
        """The tool's error is in the response, or raised with `error_on_tool_error=True`."""
        given, question = tools(open_vault), self.questions.failing
        answer = call.result(llm, "predict_and_call", given, user_msg=question)
        assert [source.is_error for source in answer.sources] == [True]
        assert "the vault is locked" in answer.response
        with pytest.raises(ValueError, match="the vault is locked"):
            call.result(llm, "predict_and_call", given, user_msg=question, error_on_tool_error=True)

    @needs("is_function_calling")
    def test_a_failed_result_goes_back(self, llm: Any, call: Caller) -> None:
        """As core's agents do it: the error's text is the tool's answer."""
        given, asked = tools(open_vault), user(self.questions.failing)
        response = self._ask(llm, call, "chat_with_tools", asked, given)
        (selection,) = llm.get_tool_calls_from_response(response)
        result = tool_result(selection.tool_id, "Encountered error: the vault is locked")
        final = self._ask(llm, call, "chat_with_tools", None, given, chat_history=[asked, response.message, result])
        assert final.message.content

    def _responses(
        self, llm: Any, call: Caller, way: str, asked: str | ChatMessage | None, given: list[BaseTool], **settings: Any
    ) -> list[ChatResponse]:
        return call.responses(llm, way, given, user_msg=asked, **settings)

    def _ask(
        self, llm: Any, call: Caller, way: str, asked: str | ChatMessage | None, given: list[BaseTool], **settings: Any
    ) -> ChatResponse:
        return self._responses(llm, call, way, asked, given, **settings)[-1]
