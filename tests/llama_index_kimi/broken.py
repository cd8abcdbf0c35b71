"""LLMs with one fault each, and the tests of the conformance suite that have to find it.

This module is run by test_conformance_finds_faults.py, in a pytest of its own.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import AsyncGenerator, Generator, Sequence
from types import SimpleNamespace
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from openai import AsyncOpenAI

from llama_index_kimi import Kimi
from tests.llama_index_kimi import broken_sending
from tests.llama_index_kimi.conformance import KEY, KimiConformance, PlainConformance
from tests.llama_index_kimi.foreign import PlainLLM


class DropsDeltas(PlainLLM):
    """Loses what is new in some chunks, and keeps the message right."""

    def _add(self, sum_: dict[str, Any], chunk: Any) -> ChatResponse:
        response = super()._add(sum_, chunk)
        return response.model_copy(update={"delta": ""}) if len(sum_["text"]) > 20 else response


class SendsPiecesOnly(PlainLLM):
    """The message of a chunk is its delta."""

    def _add(self, sum_: dict[str, Any], chunk: Any) -> ChatResponse:
        response = super()._add(sum_, chunk)
        return self._response(response.delta or "", sum_["calls"], chunk.usage, response.delta)


class ReusesChunks(PlainLLM):
    """One response object for the whole stream."""

    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        only: ChatResponse | None = None
        for response in super()._stream(messages, **kwargs):
            only = only or response
            only.message, only.delta, only.raw = response.message, response.delta, response.raw
            yield only


class StreamsInOnePiece(PlainLLM):
    """Waits for the whole answer."""

    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        response = self._chat(messages, **kwargs)
        yield response.model_copy(update={"delta": response.message.content})


class ReturnsIterators(PlainLLM):
    """Streams that are no generators."""

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return iter(list(self._stream(messages, **kwargs)))


class ChangesMessages(PlainLLM):
    """Puts its answer into the caller's list."""

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        response = super()._chat(messages, **kwargs)
        if isinstance(messages, list):
            messages.append(response.message)
        return response


class ChangesHistories(PlainLLM):
    """Appends the user's message to the caller's history, as llama-index-llms-openai does."""

    def _prepare_chat_with_tools(self, tools: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        prepared = super()._prepare_chat_with_tools(tools, **kwargs)
        if kwargs.get("chat_history") is not None:
            kwargs["chat_history"][:] = prepared["messages"]
        return prepared


class HidesRequiredCalls(PlainLLM):
    """Takes `tool_required`, and asks for nothing."""

    def _prepare_chat_with_tools(self, tools: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return super()._prepare_chat_with_tools(tools, **{**kwargs, "tool_required": False})


class LosesIds(PlainLLM):
    """Calls cannot be answered."""

    def get_tool_calls_from_response(self, response: ChatResponse, **kwargs: Any) -> list[ToolSelection]:  # type: ignore[override]
        calls = super().get_tool_calls_from_response(response, **kwargs)
        return [call.model_copy(update={"tool_id": ""}) for call in calls]


class KeepsOneCall(PlainLLM):
    """Drops parallel calls."""

    def _response(self, text: str, calls: list[list[str]], usage: Any, delta: str | None = None) -> ChatResponse:
        return super()._response(text, calls[:1], usage, delta)


class ListsNoCalls(PlainLLM):
    """Has blocks, but not what core's streamed programs look for."""

    def _response(self, *args: Any, **kwargs: Any) -> ChatResponse:
        response = super()._response(*args, **kwargs)
        response.message.additional_kwargs = {}
        return response


class NeverMissesCalls(PlainLLM):
    """An answer in text looks like one with no calls to make."""

    def get_tool_calls_from_response(self, response: ChatResponse, **kwargs: Any) -> list[ToolSelection]:  # type: ignore[override]
        return super().get_tool_calls_from_response(response, error_on_no_tool_call=False)


class SwallowsErrors(PlainLLM):
    """Tells of an error in words."""

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        try:
            return super()._chat(messages, **kwargs)
        except Exception as error:
            return self._response(f"Sorry: {error}", [], None)


class EndsBrokenStreams(PlainLLM):
    """A stream that breaks off looks whole."""

    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        try:
            yield from super()._stream(messages, **kwargs)
        except Exception:
            return


class ShowsItsKey(PlainLLM):
    """The key is a field like any other."""

    api_key: str = Field()


class WritesTextAsRaw(PlainLLM):
    """`dict(response.raw)` fails."""

    def _response(self, *args: Any, **kwargs: Any) -> ChatResponse:
        return super()._response(*args, **kwargs).model_copy(update={"raw": "text"})


class CountsTwice(PlainLLM):
    """`complete` goes through the public `chat`."""

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        response = self.chat([ChatMessage(content=prompt)], **kwargs)
        return CompletionResponse(text=response.message.content or "", raw=response.raw)


class TellsNobody(PlainLLM):
    """No callbacks."""

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await self._achat(messages, **kwargs)


class StreamsNoUsage(PlainLLM):
    """Leaves out `stream_options`."""

    def _body(self, messages: Sequence[ChatMessage], given: dict[str, Any]) -> dict[str, Any]:
        body = super()._body(messages, given)
        body.pop("stream_options", None)
        return body


class MisjudgesItsWindow(PlainLLM):
    """Room for no text at all."""

    @property
    def metadata(self) -> LLMMetadata:
        return super().metadata.model_copy(update={"context_window": 0})


class ForgetsItsPrompt(PlainLLM):
    """The system prompt does not go with predictions."""

    def _extend_messages(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        return messages


class ForgetsSettings(PlainLLM):
    """The dict has not all that the constructor needs."""

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        stored = super().to_dict(**kwargs)
        del stored["model"]
        return stored

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["__dict__"]["model"]
        return state


class GivesDicts(PlainLLM):
    """Structured output as it came."""

    def structured_predict(self, *args: Any, **kwargs: Any) -> Any:
        return super().structured_predict(*args, **kwargs).model_dump()

    async def astructured_predict(self, *args: Any, **kwargs: Any) -> Any:
        return (await super().astructured_predict(*args, **kwargs)).model_dump()


class GivesNothing(PlainLLM):
    """None instead of an error."""

    def structured_predict(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().structured_predict(*args, **kwargs)
        except ValueError:
            return None


class KeepsItsLoop(PlainLLM):
    """One asynchronous client for good."""

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if not hasattr(self, "_shared"):
            object.__setattr__(self, "_shared", self._client(AsyncOpenAI))
        client: Any = self._shared  # type: ignore[attr-defined]
        return self._whole(await client.chat.completions.create(**self._body(messages, kwargs)))


class MixesStreams(PlainLLM):
    """Holds each piece back until the next one comes, on the object and not in the stream."""

    def _add(self, sum_: dict[str, Any], chunk: Any) -> ChatResponse:
        response = super()._add(sum_, chunk)
        held = self.__dict__.pop("held", "")
        self.__dict__["held"] = response.delta
        return response.model_copy(update={"delta": held})


class KeepsObjects(PlainLLM):
    """Calls that are no JSON in a message, as the SDK gives them."""

    def _response(self, *args: Any, **kwargs: Any) -> ChatResponse:
        response = super()._response(*args, **kwargs)
        listed = response.message.additional_kwargs.get("tool_calls", [])
        response.message.additional_kwargs = {"tool_calls": [SimpleNamespace(**call) for call in listed]}
        return response


class HoldsALock(PlainLLM):
    """Cannot be copied once it was called."""

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        self.__dict__["lock"] = threading.Lock()
        return super()._chat(messages, **kwargs)


class PredictsResponses(PlainLLM):
    """A response where core wants its text."""

    async def apredict(self, *args: Any, **kwargs: Any) -> Any:
        return CompletionResponse(text=await super().apredict(*args, **kwargs))

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        return CompletionResponse(text=super().predict(*args, **kwargs))


class PicklesItsKey(Kimi):
    """The key is in the pickle."""

    def __getstate__(self) -> Any:
        return {**super().__getstate__(), "key": KEY}


class LosesThinking(Kimi):
    """Sends no thinking back: "reasoning_content is missing"."""

    def _prepare(self, messages: Sequence[ChatMessage], *args: Any, **kwargs: Any) -> Any:
        bare = copy.deepcopy(list(messages))
        for message in bare:
            message.blocks = [block for block in message.blocks if not isinstance(block, ThinkingBlock)]
        return super()._prepare(bare, *args, **kwargs)


class ThinksAloud(Kimi):
    """Thinking is a part of the text."""

    async def _achat(self, *args: Any) -> ChatResponse:
        return _aloud(await super()._achat(*args))

    def _chat(self, *args: Any) -> ChatResponse:
        return _aloud(super()._chat(*args))


class ThinksInSilence(Kimi):
    """No `thinking_delta`."""

    async def _astream_chat(self, *args: Any) -> AsyncGenerator[ChatResponse, None]:
        async for response in super()._astream_chat(*args):
            response.additional_kwargs.pop("thinking_delta", None)
            yield response

    def _stream_chat(self, *args: Any) -> Generator[ChatResponse, None, None]:
        for response in super()._stream_chat(*args):
            response.additional_kwargs.pop("thinking_delta", None)
            yield response


def _aloud(response: ChatResponse) -> ChatResponse:
    thought = "".join(block.content or "" for block in response.message.blocks if isinstance(block, ThinkingBlock))
    calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    response.message.blocks = [TextBlock(text=f"{thought}\n{response.message.content}"), *calls]
    return response


FAULTS: dict[type[Any], list[str]] = {
    DropsDeltas: ["test_stream_chat", "test_stream_complete"],
    SendsPiecesOnly: ["test_stream_chat", "test_stream_complete"],
    ReusesChunks: ["test_earlier_chunks_do_not_change"],
    StreamsInOnePiece: ["test_streams_come_in_pieces"],
    ReturnsIterators: ["test_streams_are_generators"],
    ChangesMessages: ["test_messages_are_not_changed"],
    ChangesHistories: ["test_the_history_is_not_changed"],
    HidesRequiredCalls: ["test_a_required_call_comes"],
    LosesIds: ["test_a_tool_is_called", "test_several_calls_at_once"],
    KeepsOneCall: [
        "test_several_calls_at_once",
        "test_predict_and_call_with_several_calls",
        "test_function_agents_with_several_calls",
    ],
    ListsNoCalls: ["test_streamed_calls_are_where_programs_look", "test_streamed_function_calling_programs"],
    NeverMissesCalls: ["test_an_answer_without_a_call"],
    SwallowsErrors: ["test_errors_surface", "test_errors_close_what_they_leave"],
    EndsBrokenStreams: ["test_interrupted_streams_raise", "test_interrupted_streams_are_reported"],
    ShowsItsKey: ["test_nothing_shows_a_secret"],
    WritesTextAsRaw: ["test_chat", "test_tokens_are_counted_once"],
    CountsTwice: ["test_a_call_is_one_call", "test_tokens_are_counted_once", "test_callbacks"],
    TellsNobody: ["test_events", "test_callbacks"],
    StreamsNoUsage: ["test_usage_comes_once", "test_tokens_are_counted_once"],
    MisjudgesItsWindow: ["test_metadata", "test_limits_follow_the_context_window"],
    ForgetsItsPrompt: ["test_the_system_prompt_comes_first"],
    ForgetsSettings: ["test_a_dict_makes_the_same_llm", "test_json_makes_the_same_llm", "test_pickles_work"],
    GivesDicts: ["test_structured_predict", "test_structured_llms", "test_evaluators_by_object"],
    GivesNothing: ["test_an_answer_that_does_not_fit_is_an_error"],
    KeepsItsLoop: ["test_one_event_loop_after_another"],
    MixesStreams: ["test_many_streams_at_once"],
    KeepsObjects: ["test_tool_calls_survive", "test_results_go_back"],
    HoldsALock: ["test_deep_copies_work"],
    PredictsResponses: ["test_predict", "test_extractors"],
    PicklesItsKey: ["test_pickles_have_no_secret"],
    LosesThinking: ["test_thinking_before_a_call_goes_back_with_it"],
    ThinksAloud: ["test_thinking_is_a_block_before_the_answer"],
    ThinksInSilence: ["test_thinking_streams", "test_function_agents_stream"],
    **broken_sending.FAULTS,
}


def _suite(llm: type[Any]) -> type[Any]:
    """The suite for a broken LLM; Kimi's is that of a model whose thinking has to come back."""
    if not issubclass(llm, Kimi):
        return type(f"Test{llm.__name__}", (PlainConformance,), {"llm_class": llm})

    def llm_params(self: Any) -> dict[str, Any]:
        return {**KimiConformance.llm_params.__get__(self), "missing_reasoning": "omit"}

    members = {"llm_class": llm, "model": "kimi-k2.7-code", "llm_params": property(llm_params)}
    return type(f"Test{llm.__name__}", (KimiConformance,), members)


globals().update({f"Test{llm.__name__}": _suite(llm) for llm in FAULTS})


class TestOverrides(PlainConformance):
    """A subclass that makes its life easy."""

    def test_chat(self) -> None:  # type: ignore[override]
        pass
