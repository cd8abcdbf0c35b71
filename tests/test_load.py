"""Many calls at once on one model object, and streams that nobody reads to the end."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from kimi_emulator import KimiEmulator, Reply
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

pytestmark = [pytest.mark.both_transports, pytest.mark.slow]

HELLO = [ChatMessage("hi")]
FRAMEWORKS = ["langchain", "llama-index"]


@pytest.fixture
def model(request: pytest.FixtureRequest, kimi: KimiEmulator) -> Iterator[Any]:
    settings = {"api_key": "sk-test", "base_url": kimi.base_url, "max_retries": 0}
    model: Any = ChatKimi(**settings) if request.param == "langchain" else Kimi(**settings)
    yield model
    model._client.close()
    gc.collect()  # what a test leaves open is a warning, and an error of that test


def call(model: Any) -> str:
    return str(model.invoke("hi").content if isinstance(model, ChatKimi) else model.chat(HELLO).message.content)


async def acall(model: Any) -> str:
    if isinstance(model, ChatKimi):
        return str((await model.ainvoke("hi")).content)
    return str((await model.achat(HELLO)).message.content)


def stream(model: Any) -> Any:
    return model.stream("hi") if isinstance(model, ChatKimi) else model.stream_chat(HELLO)


async def astream(model: Any) -> Any:
    return model.astream("hi") if isinstance(model, ChatKimi) else await model.astream_chat(HELLO)


@pytest.mark.parametrize(("model", "calls"), [("langchain", 1000), ("llama-index", 250)], indirect=["model"])
def test_a_thousand_calls_at_once(kimi: KimiEmulator, model: Any, calls: int) -> None:
    """Over the same connections in both frameworks, whose pool (httpcore's) takes time by the square of the calls."""
    kimi.script(*[Reply(f"Answer {number}") for number in range(calls)])

    async def main() -> set[str]:
        return set(await asyncio.gather(*(acall(model) for _ in range(calls))))

    assert asyncio.run(main()) == {f"Answer {number}" for number in range(calls)}
    assert len(kimi.requests) == calls


@pytest.mark.parametrize("model", FRAMEWORKS, indirect=True)
def test_sixty_four_threads(kimi: KimiEmulator, model: Any) -> None:
    kimi.script(*[Reply(f"Answer {number}") for number in range(256)])
    barrier = threading.Barrier(64)

    def work(number: int) -> list[str]:
        barrier.wait(60)
        if number % 4 == 0:
            return [asyncio.run(acall(model)) for _ in range(4)]  # a loop of its own in this thread, four times
        return [call(model) for _ in range(4)]

    with ThreadPoolExecutor(64) as pool:
        answers = [answer for several in pool.map(work, range(64)) for answer in several]
    assert sorted(answers) == sorted(f"Answer {number}" for number in range(256))


@pytest.mark.says("docs/production.md", "A stream that is cancelled or forgotten gives its connection back.")
@pytest.mark.parametrize("model", FRAMEWORKS, indirect=True)
def test_a_cancelled_stream_gives_its_connection_up(kimi: KimiEmulator, model: Any) -> None:
    async def read() -> None:
        async for _ in await astream(model):
            started.set()

    started = asyncio.Event()

    async def main() -> str:
        for _ in range(5):
            kimi.script(Reply("one two three", chunk_size=1, stall=600.0, stall_after=4))
            started.clear()
            task = asyncio.create_task(read())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return await acall(model)

    assert asyncio.run(main())
    assert len(kimi.requests) == 6


@pytest.mark.parametrize("model", FRAMEWORKS, indirect=True)
def test_a_cancelled_call_gives_its_connection_up(kimi: KimiEmulator, model: Any) -> None:
    async def main() -> str:
        for number in range(5):
            kimi.script(Reply("late", delay=600.0))
            task = asyncio.create_task(acall(model))
            while len(kimi.requests) <= number:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return await acall(model)

    assert asyncio.run(main())


@pytest.mark.says("docs/production.md", "A stream that is cancelled or forgotten gives its connection back.")
@pytest.mark.parametrize("model", FRAMEWORKS, indirect=True)
def test_streams_that_are_forgotten(kimi: KimiEmulator, model: Any) -> None:
    """Nobody closes them; the garbage collector does, and no warning comes of it."""
    for _ in range(10):
        next(stream(model))
    gc.collect()
    assert call(model)

    async def main() -> str:
        for _ in range(10):
            async for _chunk in await astream(model):
                break
            await asyncio.sleep(0)
        gc.collect()
        return await acall(model)

    assert asyncio.run(main())


@pytest.mark.says(
    "docs/production.md",
    "One model object serves threads and event loops alike: connections are shared by threads, and each event loop has its own, closed with it.",
)
@pytest.mark.parametrize("model", FRAMEWORKS, indirect=True)
def test_one_loop_after_the_other_and_one_beside_the_other(kimi: KimiEmulator, model: Any) -> None:
    for _ in range(20):
        assert asyncio.run(acall(model))
    assert len(model._client.connection._async) == 1  # that of the last loop, until the next one comes

    def work(_: int) -> str:
        return asyncio.run(acall(model)) + asyncio.run(acall(model))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
