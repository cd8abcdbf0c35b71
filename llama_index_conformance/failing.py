"""Errors reach the caller, and one object serves many calls, threads and event loops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core import SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.callbacks import CallbackManager, CBEventType, EventPayload, LlamaDebugHandler
from llama_index.core.llms import LLM

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.calling import Caller, Runner
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import QUESTION, multiply, nodes, user

ENDPOINTS = ["chat", "stream_chat", "complete", "stream_complete"]
STREAMS = ["stream_chat", "stream_complete"]


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
class FailureTests(ConformanceBase):
    """`make_failing_llm` and `make_interrupted_llm` say how calls fail."""

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_errors_surface(self, failing_llm: LLM, call: Caller, endpoint: str) -> None:
        """An error is raised: not an empty answer, nor a text that tells of it."""
        with pytest.raises(Exception):  # noqa: B017, PT011, every LLM has its own
            self._try(failing_llm, call, endpoint)

    @pytest.mark.parametrize("endpoint", ENDPOINTS)
    def test_errors_close_what_they_leave(
        self, failing_llm: LLM, call: Caller, endpoint: str, recorder: Recorder
    ) -> None:
        """Spans are dropped and not left open; callbacks get the exception."""
        handler = LlamaDebugHandler(print_trace_on_end=False)
        failing_llm.callback_manager = CallbackManager([handler])
        with pytest.raises(Exception) as raised:  # noqa: PT011
            self._try(failing_llm, call, endpoint)
        assert recorder.spans.open_spans == {}
        ends = [pair[-1] for pair in handler.get_event_pairs(CBEventType.LLM)]
        assert raised.value in [(event.payload or {}).get(EventPayload.EXCEPTION) for event in ends]

    @needs("supports_streaming")
    @pytest.mark.parametrize("endpoint", STREAMS)
    def test_interrupted_streams_raise(self, interrupted_llm: LLM, call: Caller, endpoint: str) -> None:
        """A stream that breaks off does not look like one that ended."""
        with pytest.raises(Exception):  # noqa: B017, PT011
            self._try(interrupted_llm, call, endpoint)

    @needs("supports_streaming")
    @pytest.mark.parametrize("endpoint", STREAMS)
    def test_interrupted_streams_are_reported(
        self, interrupted_llm: LLM, call: Caller, endpoint: str, recorder: Recorder
    ) -> None:
        """Observers see the exception, and no end event that would make half an answer a whole one."""
        with pytest.raises(Exception) as raised:  # noqa: PT011
            self._try(interrupted_llm, call, endpoint)
        kinds = [type(event).__name__ for event in recorder.events]
        assert "ExceptionEvent" in kinds
        assert not [kind for kind in kinds if kind in ("LLMChatEndEvent", "LLMCompletionEndEvent")]
        assert raised.value in [getattr(event, "exception", None) for event in recorder.events]

    @needs("is_function_calling")
    @pytest.mark.parametrize("streaming", [True, False])
    def test_errors_surface_from_agents(self, failing_llm: LLM, run: Runner, streaming: bool) -> None:
        """The run of an agent raises."""
        if streaming and not self.supports_streaming:
            pytest.skip("supports_streaming is False")

        async def talk() -> None:
            await FunctionAgent(tools=[multiply], llm=failing_llm, streaming=streaming).run(self.questions.tool)

        with pytest.raises(Exception):  # noqa: B017, PT011
            run(talk())

    def test_errors_surface_from_engines(self, failing_llm: LLM, call: Caller) -> None:
        """So does a query."""
        engine = SummaryIndex(nodes()).as_query_engine(llm=failing_llm, response_mode="tree_summarize")
        with pytest.raises(Exception):  # noqa: B017, PT011
            call.result(engine, "query", QUESTION)

    def test_many_calls_at_once(self, llm: LLM, run: Runner) -> None:
        """Each call of many on one object gets its own answer."""

        async def ask(number: int) -> str:
            return (await llm.achat([user(self._sum(number))])).message.content or ""

        async def ask_all() -> list[str]:
            return await asyncio.gather(*(ask(number) for number in range(8)))

        self._check_sums(run(ask_all()))

    @needs("supports_streaming")
    def test_many_streams_at_once(self, llm: LLM, run: Runner) -> None:
        """The same for streams, which interleave."""

        async def ask(number: int) -> str:
            text = ""
            async for chunk in await llm.astream_chat([user(self._sum(number))]):
                text += chunk.delta or ""
                await asyncio.sleep(0)  # so that the streams take turns, however fast the server is
            return text

        async def ask_all() -> list[str]:
            return await asyncio.gather(*(ask(number) for number in range(8)))

        self._check_sums(run(ask_all()))

    def test_threads(self, llm: LLM) -> None:
        """The same for threads."""
        with ThreadPoolExecutor(max_workers=4) as pool:
            answers = pool.map(lambda number: llm.complete(self._sum(number)).text, range(4))
        self._check_sums(list(answers))

    def test_one_event_loop_after_another(self, llm: LLM) -> None:
        """Clients bound to the first loop fail in the second: "Event loop is closed" (run-llama/llama_index#20433)."""
        for _ in range(3):
            assert _run(llm.achat([user(self.questions.plain)])).message.content

    @needs("supports_streaming")
    def test_streams_in_one_event_loop_after_another(self, llm: LLM) -> None:
        """The same for streams."""

        async def ask() -> str:
            stream = await llm.astream_chat([user(self.questions.plain)])
            return "".join([chunk.delta or "" async for chunk in stream])

        for _ in range(3):
            assert _run(ask())

    def test_synchronous_calls_inside_an_event_loop(self, llm: LLM, run: Runner) -> None:
        """As in notebooks: `chat` where a loop is running, between asynchronous calls."""

        async def ask() -> list[str | None]:
            first = await llm.achat([user(self.questions.plain)])
            second = llm.chat([user(self.questions.plain)])
            third = await llm.achat([user(self.questions.plain)])
            return [response.message.content for response in (first, second, third)]

        assert all(run(ask()))

    @needs("supports_streaming")
    def test_streams_can_be_left(self, llm: LLM, call: Caller) -> None:
        """Who stops listening can go on asking."""
        if call.run is None:
            stream = llm.stream_chat([user(self.questions.long)])
            next(stream)
            stream.close()
        else:

            async def leave() -> None:
                chunks: Any = await llm.astream_chat([user(self.questions.long)])
                await chunks.__anext__()
                await chunks.aclose()

            call.run(leave())
        assert call.result(llm, "chat", [user(self.questions.plain)]).message.content

    def _sum(self, number: int) -> str:
        return f"What is {100 + number} + 100?"

    def _check_sums(self, answers: list[str]) -> None:
        assert all(answers)
        if self.follows_instructions:
            assert [number for number, answer in enumerate(answers) if str(200 + number) not in answer] == []

    def _try(self, llm: LLM, call: Caller, endpoint: str) -> None:
        asked: Any = [user(self.questions.plain)] if "chat" in endpoint else self.questions.plain
        call.responses(llm, endpoint, asked)


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run in a loop of its own, which is closed afterwards."""
    return asyncio.run(coroutine)
