"""Connections, retries, errors and event loops."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.llms import ChatMessage

from kimi_emulator import Failure, KimiEmulator, Reply
from llama_index_kimi import Kimi, KimiError, KimiStreamError

pytestmark = pytest.mark.both_transports

Make = Callable[..., Kimi]
HELLO = [ChatMessage(role="user", content="Hello")]


def call(llm: Kimi, mode: str) -> None:
    """Call an endpoint from outside any event loop."""
    if not mode.startswith("a"):
        result = getattr(llm, mode)(HELLO)
        _ = list(result) if "stream" in mode else result
        return

    async def main() -> None:
        result = await getattr(llm, mode)(HELLO)
        _ = [chunk async for chunk in result] if "stream" in mode else result

    asyncio.run(main())


@pytest.mark.parametrize("mode", ["chat", "stream_chat", "achat", "astream_chat"])
@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [(429, "engine_overloaded_error", openai.RateLimitError), (500, "server_error", openai.InternalServerError)],
)
@pytest.mark.parametrize("max_retries", [0, 2])
def test_retries_are_counted_once(
    kimi: KimiEmulator, llm: Make, mode: str, status: int, kind: str, error: type[Exception], max_retries: int
) -> None:
    kimi.script(*[Failure(status, type=kind, headers={"Retry-After-Ms": "1"})] * 5)
    with pytest.raises(error) as raised:
        call(llm(max_retries=max_retries), mode)
    assert isinstance(raised.value, KimiError)
    assert len(kimi.requests) == max_retries + 1


@pytest.mark.parametrize("mode", ["chat", "stream_chat", "achat", "astream_chat"])
def test_a_bad_request_is_sent_once(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Failure(400, "Invalid request: no"))
    with pytest.raises(openai.BadRequestError, match="Invalid request: no"):
        call(llm(), mode)
    assert len(kimi.requests) == 1


def test_a_retry_succeeds(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Failure(500, headers={"Retry-After-Ms": "1"}), Reply("Hi"))
    assert llm().chat(HELLO).message.content == "Hi"


def test_options_of_one_call(kimi: KimiEmulator, llm: Make) -> None:
    model = llm(default_headers={"X-All": "1"})
    kimi.script(Failure(500), Reply("Hi"), Reply("late", delay=1.0))
    with pytest.raises(openai.InternalServerError):
        model.chat(HELLO, max_retries=0)
    model.chat(HELLO, extra_headers={"X-One": "2"})
    assert (kimi.requests[-1].headers["x-all"], kimi.requests[-1].headers["x-one"]) == ("1", "2")
    with pytest.raises(openai.APITimeoutError):
        model.chat(HELLO, timeout=0.05, max_retries=0)


@pytest.mark.parametrize("mode", ["stream_chat", "astream_chat"])
def test_a_stream_that_breaks_off_is_an_error(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    kimi.script(Reply("one two three four", cut_after=3))
    with pytest.raises(KimiStreamError):
        call(llm(callback_manager=CallbackManager([handler])), mode)
    [(_, end)] = handler.get_event_pairs(CBEventType.LLM)
    assert isinstance(end.payload[EventPayload.EXCEPTION], KimiStreamError)


@pytest.mark.parametrize("mode", ["stream_chat", "astream_chat"])
def test_an_error_inside_a_stream_is_that_error(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply("one two three four", error_after=2))
    with pytest.raises(openai.RateLimitError):
        call(llm(max_retries=0), mode)


@pytest.mark.slow
def test_one_model_in_many_event_loops(kimi: KimiEmulator, llm: Make) -> None:
    model = llm(max_retries=0)
    for mode in ("achat", "astream_chat") * 4:
        call(model, mode)
    assert len(kimi.requests) == 8


@pytest.mark.slow
def test_one_model_in_loops_of_many_threads(kimi: KimiEmulator, llm: Make) -> None:
    model = llm(max_retries=0)
    barrier = threading.Barrier(8)

    def work(mode: str) -> None:
        barrier.wait(10)
        for _ in range(3):
            call(model, mode)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, ["achat", "astream_chat", "chat", "stream_chat"] * 2))
    assert len(kimi.requests) == 24


async def test_calls_run_side_by_side(kimi: KimiEmulator, llm: Make) -> None:
    model, all_there = llm(), threading.Barrier(10, timeout=30)

    def answer(body: dict[str, Any]) -> Reply:
        all_there.wait()  # nobody is answered before all have asked
        return Reply("Hi")

    kimi.script(*[answer] * 10)
    responses = await asyncio.gather(*(model.achat(HELLO) for _ in range(10)))
    assert [response.message.content for response in responses] == ["Hi"] * 10


def test_a_stream_can_be_left(kimi: KimiEmulator, llm: Make) -> None:
    model = llm()
    for _ in range(3):
        stream = model.stream_chat(HELLO)
        next(stream)
        stream.close()
    assert model.chat(HELLO).message.content


async def test_an_asynchronous_stream_can_be_left(kimi: KimiEmulator, llm: Make) -> None:
    model = llm()
    for _ in range(3):
        stream = await model.astream_chat(HELLO)
        await stream.__anext__()
        await stream.aclose()
    assert (await model.achat(HELLO)).message.content


def test_openai_variables_never_reach_the_server(
    kimi: KimiEmulator, llm: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-secret")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: secret")
    call(llm(), "chat")
    call(llm(), "astream_chat")
    assert len(kimi.requests) == 2
    for request in kimi.requests:
        assert "secret" not in str(request.headers)
        assert request.had_key("sk-test-0123456789")


def test_a_wrong_key_is_an_error_that_says_where_to_look(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Failure(401))
    with pytest.raises(openai.AuthenticationError, match="Check the API key") as raised:
        llm().chat(HELLO)
    assert "sk-test" not in f"{raised.value!s}{raised.value!r}"
