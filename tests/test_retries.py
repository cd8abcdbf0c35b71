"""Which refusals are asked again, how long is waited, and that every attempt can be counted."""

from __future__ import annotations

import asyncio
import email.utils
import itertools
import logging
import time
import traceback
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from langchain_core.rate_limiters import BaseRateLimiter as LangChainLimiter
from llama_index.core.llms import ChatMessage
from llama_index.core.rate_limiter import BaseRateLimiter as LlamaIndexLimiter

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.errors import KimiError, KimiRequestError, KimiStreamError
from kimi_wire.errors import api as api_errors
from kimi_wire.errors.refusals import advise_retry, parse_refusal
from kimi_wire.transport.connection import _made
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.wire.test_client import SECRET, WAYS, ask

pytestmark = pytest.mark.both_transports

AT_ONCE = {"Retry-After-Ms": "1"}
RPM = "Your account org-1234567<ak-12345678> request reached organization max RPM: 3, please try again after 1 seconds"


@pytest.fixture
def client(kimi: KimiEmulator) -> Iterator[KimiClient]:
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url)
    yield client
    client.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the SDK waited, each time; nobody waits for it."""
    waited: list[float] = []
    sleep, pause = time.sleep, asyncio.sleep

    def note(seconds: float) -> None:
        waited.append(seconds)
        sleep(0)

    async def anote(seconds: float, result: Any = None) -> Any:
        if seconds > 0.1:
            waited.append(seconds)
            seconds = 0
        return await pause(seconds, result)

    monkeypatch.setattr("openai._base_client.time.sleep", note)
    monkeypatch.setattr("anyio.sleep", anote)
    monkeypatch.setattr("asyncio.sleep", anote)
    return waited


ONCE = [
    Failure(429, type="exceeded_current_quota_error"),
    Failure(429, "Your account is suspended due to insufficient balance, please recharge your account", "unknown"),
    Failure(429, body={"message": "You exceeded your current token quota: 1, please check your account balance"}, message="x"),
    Failure(429, body='{"error": {"error": {"error": {"type": "exceeded_current_quota_error"}}}}', message="x"),
    Failure(429, "request reached TPD rate limit, current:1500001, limit:1500000", "rate_limit_reached_error"),
    Failure(429, "Limit of tokens per day reached", "rate_limit_reached_error"),
    Failure(429, RPM, headers={"Retry-After": "7200"}),
    Failure(503, headers={"Retry-After": "61"}),
    Failure(400, "no"),
    Failure(400, "no", headers={"X-Should-Retry": "true"}),
    Failure(400, type="content_filter"),
    Failure(401),
    Failure(403),
    Failure(404),
    Failure(413),
    Failure(422),
    Failure(499),
]  # fmt: skip


@pytest.mark.says("docs/errors.md", "HTTP 429: the balance, or the tokens of the day, are used up")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("failure", ONCE, ids=lambda one: f"{one.status} {one.error['message'][:30]}")
def test_what_is_sent_once(kimi: KimiEmulator, client: KimiClient, way: str, failure: Failure) -> None:
    kimi.script(*[failure] * 5)
    with pytest.raises(api_errors.KimiStatusError) as caught:
        ask(client, way)
    assert len(kimi.requests) == 1
    assert caught.value.attempts == 1


@pytest.mark.says(
    "docs/errors.md",
    "HTTP 409: the request collides with another one",
    "HTTP 429: too many requests or tokens, or the model is overloaded",
    "HTTP 500 and more",
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "failure",
    [
        Failure(429, RPM, headers=AT_ONCE),
        Failure(429, type="engine_overloaded_error", headers=AT_ONCE),
        Failure(429, body="<html>", message="x", headers=AT_ONCE),
        Failure(500, headers=AT_ONCE),
        Failure(529, headers=AT_ONCE),
        Failure(408, headers=AT_ONCE),
    ],
    ids=lambda one: f"{one.status} {one.error['type']}",
)
def test_what_is_asked_again_and_counted(kimi: KimiEmulator, client: KimiClient, way: str, failure: Failure) -> None:
    kimi.script(failure, failure, Reply("Hi"), *[failure] * 3)
    answer = ask(client, way)
    assert (answer.choice.content, answer.attempts, len(kimi.requests)) == ("Hi", 3, 3)
    with pytest.raises(api_errors.KimiStatusError) as caught:
        ask(client, way)
    assert (caught.value.attempts, len(kimi.requests)) == (3, 6)


@pytest.mark.says(
    "docs/errors.md", 'It waits as `Retry-After` or the server\'s "try again after N seconds" say, up to a minute'
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        (Failure(429, RPM, headers={"Retry-After": "7"}), 7),
        (Failure(429, RPM, headers={"Retry-After": "", "X-Retry-After": "", "Msh-Cooldown-Seconds": "9"}), 9),
        (Failure(429, "overloaded, please try again after 11 seconds", "engine_overloaded_error"), 11),
        (Failure(429, "overloaded, please try again after 1500 ms", "engine_overloaded_error"), 1.5),
        (Failure(503, "try again in 1 minute", "server_unavailable"), 60),
    ],
)
def test_the_wait_is_what_the_server_asks_for(
    kimi: KimiEmulator, client: KimiClient, waits: list[float], way: str, failure: Failure, seconds: float
) -> None:
    kimi.script(failure, Reply("Hi"))
    assert ask(client, way).choice.content == "Hi"
    assert waits == [seconds]


def test_without_a_word_from_the_server_the_waits_grow(
    kimi: KimiEmulator, client: KimiClient, waits: list[float]
) -> None:
    kimi.script(*[Failure(429, "overloaded", "engine_overloaded_error")] * 4, Reply("Hi"))
    assert client.complete(_request(), {"max_retries": 4}).attempts == 5
    assert len(waits) == 4
    assert all(0.35 <= earlier < later <= 8 for earlier, later in itertools.pairwise(waits))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5), ("0.5", 0.5), ("-1", None), ("nan", None), ("inf", None), ("soon", None), ("9" * 400, None)],
)
def test_what_retry_after_may_say(value: str, seconds: float | None) -> None:
    assert parse_refusal(429, {"retry-after": value}, b"").retry_after == seconds


def test_retry_after_may_be_a_date() -> None:
    later = parse_refusal(429, {"retry-after": email.utils.formatdate(time.time() + 30)}, b"").retry_after
    assert later is not None
    assert 0 < later <= 30
    assert parse_refusal(429, {"retry-after": email.utils.formatdate(0)}, b"").retry_after == 0
    for nonsense in ("Mon, 01 Jan 99999 00:00:00 GMT", "Mon, 01 Jan 0000 99:99:99"):
        assert not parse_refusal(429, {"retry-after": nonsense}, b"").retry_after
    assert advise_retry(parse_refusal(429, {"retry-after": email.utils.formatdate(time.time() + 900)}, b"")) == {
        "x-should-retry": "false"
    }


@pytest.mark.says("docs/errors.md", "what asks for more is raised at once, with the seconds in `retry_after`")
def test_the_wait_that_nobody_waits_is_on_the_error(kimi: KimiEmulator, client: KimiClient) -> None:
    kimi.script(Failure(429, RPM, headers={"Retry-After": "3600"}))
    with pytest.raises(api_errors.KimiRateLimitError, match="asks to wait 3600 s") as caught:
        ask(client, "complete")
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("fault", [{"cut_after": 3}, {"error_after": 3}])
def test_a_stream_that_has_begun_is_never_asked_again(
    kimi: KimiEmulator, client: KimiClient, way: str, fault: dict[str, Any]
) -> None:
    kimi.script(Reply("one two three four five", **fault))
    with pytest.raises((KimiStreamError, api_errors.KimiStatusError)):
        ask(client, way)
    assert len(kimi.requests) == 1


def test_continued_answers_count_all_their_requests(kimi: KimiEmulator, client: KimiClient) -> None:
    kimi.script(Reply("Half", finish_reason="length"), Failure(500, headers=AT_ONCE), Reply(" and half"))
    answer = client.complete(_request(continue_on_length=1))
    assert (answer.choice.content, answer.attempts) == ("Half and half", 3)
    kimi.script(Reply("Half", finish_reason="length"), Failure(400, "no"))
    with pytest.raises(api_errors.KimiBadRequestError) as caught:
        client.complete(_request(continue_on_length=1))
    assert caught.value.attempts == 2


@pytest.mark.parametrize("way", WAYS)
def test_lost_connections_are_counted_too(way: str) -> None:
    client = KimiClient(api_key=SECRET, base_url="http://127.0.0.1:9/v1", max_retries=1)
    with pytest.raises(api_errors.KimiConnectionError) as caught:
        ask(client, way)
    assert caught.value.attempts == 2


@pytest.mark.says(
    "docs/errors.md", "Each attempt is a line in the log `kimi_wire` at level INFO, with its number and the request id"
)
@pytest.mark.parametrize("way", WAYS)
def test_each_attempt_is_logged_at_info_without_ids(
    kimi: KimiEmulator, client: KimiClient, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="kimi_wire")
    kimi.script(Failure(429, RPM, headers=AT_ONCE), Reply("Hi"))
    ask(client, way)
    first, second = (one.getMessage() for one in caplog.records if one.name == "kimi_wire")
    assert first.startswith(f"POST {kimi.base_url}/chat/completions, attempt 1: HTTP 429 after ")
    assert ", attempt 2: HTTP 200 after " in second
    assert "ak-" not in caplog.text


@pytest.mark.says("docs/errors.md", "ours goes to DEBUG, so that a request has one")
@pytest.mark.parametrize("way", WAYS)
def test_a_request_has_one_line_at_info(
    kimi: KimiEmulator, client: KimiClient, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Where everybody's INFO is heard, the HTTP library has said it."""
    caplog.set_level(logging.INFO)
    ask(client, way)
    assert len(caplog.records) == 1
    assert f"{kimi.base_url}/chat/completions" in caplog.text
    caplog.clear()
    gone = KimiClient(api_key=SECRET, base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(api_errors.KimiConnectionError):
        ask(gone, way)
    [line] = [one.getMessage() for one in caplog.records]
    assert line.startswith("POST http://127.0.0.1:9/v1/chat/completions, attempt 1: ConnectError after ")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("library", ["own", "aiohttp", "subclass", "httpx"])
def test_a_users_http_client_is_used_and_not_changed(kimi: KimiEmulator, way: str, library: str) -> None:
    """Quota errors are not retried over it either; its hooks, headers and settings stay what they were."""
    seen: list[str] = []

    def make(kind: type[Any], hook: Any) -> Any:
        return kind(event_hooks={"response": [hook]}, headers={"X-Own": "1"}, follow_redirects=True)

    async def ahook(response: Any) -> None:
        seen.append(str(response.status_code))

    def hook(response: Any) -> None:
        seen.append(str(response.status_code))

    sync_class, async_class = openai.DefaultHttpxClient, openai.DefaultAsyncHttpxClient
    if library == "httpx":  # openai 3 takes clients of both libraries
        httpx = pytest.importorskip("httpx")
        sync_class, async_class = httpx.Client, httpx.AsyncClient
    if library == "subclass":
        sync_class = type("MyClient", (sync_class,), {})
        async_class = type("MyAsyncClient", (async_class,), {})
    if library == "aiohttp":
        async_class = openai.DefaultAioHttpClient
        try:
            asyncio.run(async_class().aclose())
        except RuntimeError:
            pytest.skip("the SDK's aiohttp transport is not installed")

    async def run(coroutine_of: Any) -> Any:
        http_client = make(async_class, ahook)
        client = KimiClient(api_key=SECRET, base_url=kimi.base_url, http_async_client=http_client)
        try:
            with pytest.raises(api_errors.KimiQuotaError):
                await coroutine_of(client)
        finally:
            assert [len(hooks) for hooks in http_client.event_hooks.values()] == [0, 1]
            assert http_client.follow_redirects is True
            await http_client.aclose()

    async def astream(client: KimiClient) -> None:
        _ = [item async for item in client.astream(_request(stream=True))]

    kimi.script(*[Failure(429, type="exceeded_current_quota_error")] * 3)
    if way in ("complete", "stream"):
        with make(sync_class, hook) as http_client:
            client = KimiClient(api_key=SECRET, base_url=kimi.base_url, http_client=http_client)
            with pytest.raises(api_errors.KimiQuotaError):
                ask(client, way)
            assert [len(hooks) for hooks in http_client.event_hooks.values()] == [0, 1]
            assert http_client.follow_redirects is True
    else:
        asyncio.run(run(astream if way == "astream" else lambda client: client.acomplete(_request())))
    assert seen == ["429"]
    assert kimi.requests[-1].headers["x-own"] == "1"


@pytest.mark.parametrize("unfit", [object(), openai.DefaultAsyncHttpxClient])
def test_an_http_client_of_the_wrong_kind_is_refused(kimi: KimiEmulator, unfit: Any) -> None:
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, http_client=unfit)
    with pytest.raises(KimiRequestError, match="http_client is a"):
        client.complete(_request())


def test_what_the_sdk_does_not_take_is_refused_without_its_options() -> None:
    def make(**options: Any) -> None:
        raise TypeError("Invalid `http_client` argument")

    with pytest.raises(KimiRequestError, match="takes no such HTTP client: Invalid") as caught:
        _made(make, {"api_key": SECRET}, None)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert SECRET not in str([frame.locals for frame in told.stack if "connection.py" in frame.filename])
    assert caught.value.__context__ is None


@pytest.mark.says("docs/errors.md", "Errors have `attempts`, and answers say it too")
def test_the_users_of_both_frameworks_see_the_attempts(kimi: KimiEmulator) -> None:
    chat = ChatKimi(api_key=SECRET, base_url=kimi.base_url)
    llm = Kimi(api_key=SECRET, api_base=kimi.base_url)
    again = Failure(500, headers=AT_ONCE)
    kimi.script(again, Reply("Hi"), again, Reply("Hi"), again, Reply("Hi"), again, Reply("Hi"))
    assert chat.invoke("hi").response_metadata["attempts"] == 2
    first, *rest = chat.stream("hi")
    assert sum(rest, start=first).response_metadata["attempts"] == 2  # type: ignore[arg-type]
    assert llm.chat([ChatMessage("hi")]).additional_kwargs["attempts"] == 2
    assert list(llm.stream_chat([ChatMessage("hi")]))[-1].additional_kwargs["attempts"] == 2
    kimi.script(*[again] * 6)
    for call in (lambda: chat.invoke("hi"), lambda: llm.chat([ChatMessage("hi")])):
        with pytest.raises(KimiError) as caught:
            call()
        assert caught.value.attempts == 3  # type: ignore[attr-defined]
    chat._client.close()
    llm._client.close()


class _Counting(LangChainLimiter):
    def __init__(self) -> None:
        self.taken: list[str] = []

    def acquire(self, *, blocking: bool = True) -> bool:
        self.taken.append("sync")
        return True

    async def aacquire(self, *, blocking: bool = True) -> bool:
        self.taken.append("async")
        return True


class _CountingToo(LlamaIndexLimiter):
    def __init__(self) -> None:
        self.taken: list[str] = []

    def acquire(self, num_tokens: int = 0) -> None:
        self.taken.append("sync")

    async def async_acquire(self, num_tokens: int = 0) -> None:
        self.taken.append("async")


@pytest.mark.says("docs/errors.md", "A rate limiter spaces calls; retries go past it")
@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
def test_langchains_rate_limiter_is_asked_once_a_call(kimi: KimiEmulator, way: str) -> None:
    limiter = _Counting()
    chat = ChatKimi(api_key=SECRET, base_url=kimi.base_url, rate_limiter=limiter)

    async def call() -> None:
        await chat.ainvoke("hi") if way == "ainvoke" else [chunk async for chunk in chat.astream("hi")]

    if way.startswith("a"):
        asyncio.run(call())
    else:
        _ = chat.invoke("hi") if way == "invoke" else list(chat.stream("hi"))
    assert limiter.taken == ["async" if way.startswith("a") else "sync"]
    chat._client.close()


@pytest.mark.says("docs/errors.md", "A rate limiter spaces calls; retries go past it")
@pytest.mark.parametrize("prompt", ["hi", [ChatMessage("hi")]], ids=["complete", "chat"])
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_llamaindexs_rate_limiter_is_asked_once_a_call(
    kimi: KimiEmulator, prompt: Any, streamed: bool, asynchronous: bool
) -> None:
    limiter = _CountingToo()
    llm = Kimi(api_key=SECRET, api_base=kimi.base_url, rate_limiter=limiter)
    way = f"{'a' * asynchronous}{'stream_' * streamed}{'complete' if isinstance(prompt, str) else 'chat'}"

    async def call() -> None:
        result = await getattr(llm, way)(prompt)
        _ = [chunk async for chunk in result] if streamed else result

    if asynchronous:
        asyncio.run(call())
    else:
        result = getattr(llm, way)(prompt)
        _ = list(result) if streamed else result
        llm._client.close()
    assert limiter.taken == ["async" if asynchronous else "sync"]


def _request(**settings: Any) -> Any:
    from tests.wire.test_client import request

    return request(**settings)
