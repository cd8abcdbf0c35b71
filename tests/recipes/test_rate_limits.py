"""Limiters of both frameworks against an emulator that refuses a fourth request in a minute. The clock is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import langchain_core.rate_limiters as langchain_limiters
import llama_index.core.rate_limiter as llama_index_limiters
import pytest

from kimi_emulator import Failure, KimiEmulator
from kimi_wire.errors import KimiRateLimitError
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

WAYS = ["whole", "awhole", "stream", "astream"]


class Clock:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds + 0.001  # nobody wakes up too early

    async def asleep(self, seconds: float) -> None:
        self.now += seconds + 0.001  # nobody wakes up too early


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the limiters."""
    clock = Clock()
    for module in (langchain_limiters, llama_index_limiters):
        monkeypatch.setattr(module, "time", clock)
        monkeypatch.setattr(module, "asyncio", SimpleNamespace(sleep=clock.asleep))
    return clock


@pytest.fixture
def tier_0(clock: Clock, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> KimiEmulator:
    """An emulator with the limit of tier 0, whose minute is the limiters'."""
    monkeypatch.setattr(kimi.state, "requests_per_minute", 3)
    monkeypatch.setattr(kimi.state.last_minute, "clock", clock.monotonic)
    return kimi


def in_memory() -> Any:
    return langchain_limiters.InMemoryRateLimiter(requests_per_second=3 / 60, check_every_n_seconds=0.5)


def sliding() -> Any:
    return llama_index_limiters.SlidingWindowRateLimiter(requests_per_minute=3)


def bucket() -> Any:
    return llama_index_limiters.TokenBucketRateLimiter(requests_per_minute=3)


def caller(kimi: KimiEmulator, limiter: Any) -> Callable[[str], None]:
    """Give what asks a model with a limiter once, in one of the ways."""
    settings = {"rate_limiter": limiter, "max_retries": 0, "max_tokens": 100, "api_key": "sk-test"}
    if isinstance(limiter, langchain_limiters.BaseRateLimiter):
        chat = ChatKimi(base_url=kimi.base_url, **settings)
        calls: dict[str, Any] = {
            "whole": chat.invoke,
            "awhole": chat.ainvoke,
            "stream": lambda text: list(chat.stream(text)),
            "astream": lambda text: drained(chat.astream(text)),
        }
    else:
        llm = Kimi(api_base=kimi.base_url, **settings)
        calls = {
            "whole": llm.complete,
            "awhole": llm.acomplete,
            "stream": lambda text: list(llm.stream_complete(text)),
            "astream": lambda text: streamed(llm, text),
        }

    def call(way: str) -> None:
        answer = calls[way]("Hi")
        if way.startswith("a"):
            asyncio.run(answer)

    return call


async def drained(stream: Any) -> None:
    async for _ in stream:
        pass


async def streamed(llm: Kimi, text: str) -> None:
    await drained(await llm.astream_complete(text))


@pytest.mark.says(
    "docs/recipes/rate-limits.md",
    "It is asked by `invoke`, `stream`, `batch` and their asynchronous twins, once a call.",
    "`SlidingWindowRateLimiter` lets three through in any minute.",
    "It is asked by `chat`, `complete`, their streams and their asynchronous twins, once a call.",
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("make", "least"), [(in_memory, 7 * 20), (sliding, 120)])
def test_a_limiter_keeps_within_the_tier(
    tier_0: KimiEmulator, clock: Clock, make: Callable[[], Any], least: float, way: str
) -> None:
    call, began = caller(tier_0, make()), clock.now
    for _ in range(7):
        call(way)
    assert [request.status for request in tier_0.requests] == [200] * 7
    assert least <= clock.now - began <= least + 7


@pytest.mark.says(
    "docs/recipes/rate-limits.md", "three calls at once and then one every 20 s, which is up to six in the first minute"
)
@pytest.mark.parametrize("way", WAYS)
def test_a_bucket_that_begins_full_does_not(tier_0: KimiEmulator, clock: Clock, way: str) -> None:
    call, began = caller(tier_0, bucket()), clock.now
    for _ in range(3):
        call(way)
    assert clock.now == began
    with pytest.raises(KimiRateLimitError, match="max RPM: 3"):
        call(way)
    assert clock.now == pytest.approx(began + 20)


@pytest.mark.says("docs/recipes/rate-limits.md", "in tier 0 one call with two retries is a whole minute's requests")
@pytest.mark.parametrize("adapter", [ChatKimi, Kimi])
def test_retries_go_past_the_limiter(tier_0: KimiEmulator, adapter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = in_memory() if adapter is ChatKimi else sliding()
    asked: list[int] = []
    acquire = type(limiter).acquire
    monkeypatch.setattr(type(limiter), "acquire", lambda *args, **kw: asked.append(1) or acquire(*args, **kw))
    tier_0.script(*[Failure(500, headers={"Retry-After": "0"})] * 2)
    model = adapter(api_key="sk-test", base_url=tier_0.base_url, rate_limiter=limiter, max_retries=2)
    model.invoke("Hi") if adapter is ChatKimi else model.complete("Hi")
    assert (len(asked), len(tier_0.requests)) == (1, 3)
    with pytest.raises(KimiRateLimitError):
        ChatKimi(api_key="sk-test", base_url=tier_0.base_url, max_retries=0).invoke("Hi")


@pytest.mark.says(
    "docs/recipes/rate-limits.md", "what tries again goes around the model, where each attempt asks the limiter"
)
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_what_tries_again_around_the_model_asks_the_limiter(
    tier_0: KimiEmulator, clock: Clock, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    call = caller(tier_0, sliding())
    for _ in range(3):
        call("whole")  # another program of the organisation's
    chat = ChatKimi(api_key="sk-test", base_url=tier_0.base_url, rate_limiter=in_memory(), max_retries=0)
    patient = chat.with_retry(
        retry_if_exception_type=(KimiRateLimitError,), stop_after_attempt=5, wait_exponential_jitter=False
    )
    answer = getattr(patient, way)("Hi")
    assert (asyncio.run(answer) if way == "ainvoke" else answer).text
    assert [request.status for request in tier_0.requests][3:] == [429, 429, 200]
    assert clock.now - 1000 == pytest.approx(60, abs=2)


@pytest.mark.says(
    "docs/recipes/rate-limits.md",
    "their 429 is a `KimiRateLimitError`, whose `retry_after` has the seconds that the server asks for",
)
def test_the_error_has_the_servers_seconds(tier_0: KimiEmulator) -> None:
    chat = ChatKimi(api_key="sk-test", base_url=tier_0.base_url, max_retries=0)
    refused = [
        answer for answer in chat.batch(["Hi"] * 5, return_exceptions=True) if isinstance(answer, KimiRateLimitError)
    ]
    assert [error.retry_after for error in refused] == [1.0, 1.0]
