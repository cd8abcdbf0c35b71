"""What observers see of a call: token counts, events, spans and callbacks."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import (
    CallbackManager,
    CBEventType,
    EventPayload,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from llama_index.core.callbacks.token_counting import get_tokens_from_response
from llama_index.core.llms import LLM
from llama_index.core.prompts import PromptTemplate

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import Person, user

ENDPOINTS = ["chat", "stream_chat", "complete", "stream_complete"]


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")
class ObservationTests(ConformanceBase):
    """Callbacks and instrumentation of the eight endpoints."""

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_tokens_are_counted_once(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """By the server's own numbers, where there are any.

        `TokenCountingHandler` reads `raw["usage"]` of a response, of a stream that of its last chunk.
        """
        counter = TokenCountingHandler()
        llm.callback_manager = CallbackManager([counter])
        responses = self._observe(llm, call, endpoint)
        if not self.nests_endpoints:
            assert len(counter.llm_token_counts) == 1
        assert counter.prompt_llm_token_count > 0
        assert counter.completion_llm_token_count > 0
        if self.returns_stream_usage if endpoint.startswith("stream") else self.returns_usage:
            told = get_tokens_from_response(responses[-1])
            assert min(told) > 0, "the last response has no usage"
            event = counter.llm_token_counts[-1]
            assert (event.prompt_token_count, event.completion_token_count) == told

    @needs("returns_stream_usage")
    @pytest.mark.parametrize("endpoint", ["stream_chat", "stream_complete"])
    def test_usage_comes_once(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """With the last chunk: some tools add up whatever usage they see."""
        responses = self._observe(llm, call, endpoint)
        assert [max(get_tokens_from_response(chunk)) > 0 for chunk in responses].index(True) == len(responses) - 1

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_events(self, llm: LLM, call: Caller, recorder: Recorder, endpoint: str) -> None:
        """A start, one event for each chunk, and an end; all of one span, with what observability tools read."""
        responses = self._observe(llm, call, endpoint)
        prefix = "LLMChat" if "chat" in endpoint else "LLMCompletion"
        seen: list[Any] = [event for event in recorder.llm_events() if type(event).__name__.startswith(prefix)]
        if self.nests_endpoints:
            seen = [event for event in seen if event.span_id == seen[0].span_id]
        kinds = [type(event).__name__.removeprefix(prefix) for event in seen]
        streamed = ["InProgressEvent"] * len(responses) if endpoint.startswith("stream") else []
        assert kinds == ["StartEvent", *streamed, "EndEvent"]
        assert len({event.span_id for event in seen}) == 1
        start, end = seen[0], seen[-1]
        assert start.model_dict["model_name"] == llm.metadata.model_name
        assert start.model_dict["class_name"] == llm.class_name()
        if prefix == "LLMChat":
            assert start.messages == end.messages == [user(self.questions.plain)]
        else:
            assert start.prompt == end.prompt == self.questions.plain
        assert end.response == responses[-1]
        for event in seen:
            event.model_dump()

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_a_call_is_one_call(self, llm: LLM, call: Caller, recorder: Recorder, endpoint: str) -> None:
        """`complete` may not go through the public `chat`: tokens and costs would count twice."""
        if self.nests_endpoints:
            pytest.skip("nests_endpoints is True")
        self._observe(llm, call, endpoint)
        starts = [event for event in recorder.llm_events() if type(event).__name__.endswith("StartEvent")]
        assert len(starts) == 1
        assert [span.id_.partition("-")[0] for span in recorder.spans.completed_spans] == [
            f"{type(llm).__name__}.{call.name(endpoint)}"
        ]

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_spans_are_closed(self, llm: LLM, call: Caller, recorder: Recorder, endpoint: str) -> None:
        """A span for the call, named after class and method, and none left open."""
        self._observe(llm, call, endpoint)
        names = [span.id_.partition("-")[0] for span in recorder.spans.completed_spans]
        assert any(name.endswith(f".{call.name(endpoint)}") for name in names)
        assert recorder.spans.open_spans == {}

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_callbacks(self, llm: LLM, call: Caller, endpoint: str) -> None:
        """Handlers get a pair of events, with the payloads that core's own handlers read."""
        handler = LlamaDebugHandler(print_trace_on_end=False)
        llm.callback_manager = CallbackManager([handler])
        responses = self._observe(llm, call, endpoint)
        pairs = handler.get_event_pairs(CBEventType.LLM)
        if not self.nests_endpoints:
            assert len(pairs) == 1
        asked = EventPayload.MESSAGES if "chat" in endpoint else EventPayload.PROMPT
        answered = EventPayload.RESPONSE if "chat" in endpoint else EventPayload.COMPLETION
        payloads = [[event.payload or {} for event in pair] for pair in pairs]
        start, end = next(pair for pair in payloads if asked in pair[0])
        assert {asked, EventPayload.ADDITIONAL_KWARGS, EventPayload.SERIALIZED} <= start.keys()
        assert end[answered] == responses[-1]

    def test_keyword_arguments_are_shown(self, llm: LLM, recorder: Recorder) -> None:
        """An event's messages are a list of `ChatMessage`, also where the call got them by name and as a tuple."""
        llm.chat(messages=(user(self.questions.plain),))
        messages = recorder.conversations()[0]
        assert all(isinstance(message, ChatMessage) for message in messages)

    @needs("is_chat_model")
    def test_events_of_predictions(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """The chat is inside of the prediction."""
        call.result(llm, "predict", PromptTemplate("Hello!"))
        kinds = [type(event).__name__ for event in recorder.llm_events()]
        assert kinds[0] == "LLMPredictStartEvent"
        assert kinds[-1] == "LLMPredictEndEvent"
        assert "LLMChatStartEvent" in kinds

    @needs("supports_structured_output")
    def test_events_of_structured_predictions(self, llm: LLM, call: Caller, recorder: Recorder) -> None:
        """One start and one end, also where the LLM overrides `structured_predict`."""
        call.result(llm, "structured_predict", Person, PromptTemplate("Who? {text}"), text=self.questions.person)
        kinds = [type(event).__name__ for event in recorder.llm_events()]
        assert kinds[0] == "LLMStructuredPredictStartEvent"
        assert kinds[-1] == "LLMStructuredPredictEndEvent"
        assert sum(kind.startswith("LLMStructuredPredict") for kind in kinds) == 2
        assert recorder.spans.open_spans == {}

    def _observe(self, llm: LLM, call: Caller, endpoint: str) -> list[Any]:
        asked: Any = [user(self.questions.plain)] if "chat" in endpoint else self.questions.plain
        return call.responses(llm, endpoint, asked)
