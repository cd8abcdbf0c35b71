"""Models in worker processes, spawned and forked: the key stays behind, and no connection is shared."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from kimi_emulator import Failure, KimiEmulator
from kimi_wire import KimiError, KimiMissingKeyError
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi, KimiQuotaError

SECRET = "sk-parent-0123456789abcdef"
WORKER = "sk-worker-0123456789abcdef"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning"),
]


def make(framework: str, kimi: KimiEmulator, **settings: Any) -> Any:
    if framework == "langchain":
        return ChatKimi(api_key=SECRET, base_url=kimi.base_url, **settings)
    return Kimi(api_key=SECRET, api_base=kimi.base_url, **settings)


def ask(model: Any, question: str) -> str:
    """In one's own process or another's, in a thread or a loop: one sync and one async call."""
    if isinstance(model, ChatKimi):
        return str(model.invoke(question).content) + str(asyncio.run(model.ainvoke(question)).content)
    messages = [ChatMessage(question)]
    return str(model.chat(messages).message.content) + str(asyncio.run(model.achat(messages)).message.content)


def close(model: Any) -> None:
    model._client.close()


class AskKimi:
    """What Ray Data's `map_batches` and other batch systems take: made once a worker, called with a batch at a time."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __call__(self, batch: dict[str, list[str]]) -> dict[str, list[str]]:
        return {**batch, "answer": [ask(self.model, question) for question in batch["question"]]}


def run_batch(worker: AskKimi, batch: dict[str, list[str]]) -> dict[str, list[str]]:
    return worker(batch)


# What is spawned goes over aiohttp in either case: this process's choice is not handed on.
@pytest.mark.says("docs/production.md", "So they run inside process pools")
@pytest.mark.parametrize(
    ("method", "transport"),
    [
        ("spawn", "httpx"),
        ("fork", "httpx"),
        ("fork", "aiohttp"),
        pytest.param("spawn", "aiohttp", marks=pytest.mark.deep),
    ],
    indirect=["transport"],
)
def test_a_pool_of_processes(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    models = [make("langchain", kimi), make("llama-index", kimi)]
    for model in models:
        ask(model, "hi")  # connections and loops there already must do no harm
    monkeypatch.setenv("MOONSHOT_API_KEY", WORKER)
    batches = [{"question": [f"What is {number}*7?", "hi"]} for number in range(4)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
        answers = list(pool.map(run_batch, [AskKimi(model) for model in models * 2], batches))
    assert [str(number * 7) in one["answer"][0] for number, one in enumerate(answers)] == [True] * 4
    assert len(kimi.requests) == 20
    assert all(request.had_key(SECRET) for request in kimi.requests[:4])
    assert all(request.had_key(WORKER) for request in kimi.requests[4:])
    for model in models:
        close(model)


def ask_with_key(model: Any, key: str) -> str:
    os.environ["MOONSHOT_API_KEY"] = key
    return ask(model, "hi")


def test_errors_come_back_from_a_pool(kimi: KimiEmulator) -> None:
    """The SDK's own leave the pool broken: they cannot be unpickled."""
    models = [make("langchain", kimi), make("llama-index", kimi)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        for model in models:
            with pytest.raises(KimiMissingKeyError):
                pool.submit(ask, model, "hi").result()
        for model in models:
            kimi.script(Failure(429, type="exceeded_current_quota_error"))
            with pytest.raises(KimiQuotaError, match="Top up") as caught:
                pool.submit(ask_with_key, model, WORKER).result()
            assert isinstance(caught.value, KimiError)
            assert WORKER not in str(caught.value) + repr(vars(caught.value))
        assert pool.submit(ask, models[0], "hi").result()  # the pool is whole


def in_child(function: Any) -> bytes:
    """Run a function in a forked child, without any of the machinery of multiprocessing."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, function().encode())
        finally:
            os._exit(0)
    os.close(writing)
    try:
        return os.read(reading, 100_000)
    finally:
        os.close(reading)
        os.waitpid(child, 0)


@pytest.mark.says("docs/production.md", "Forked processes open connections of their own")
@pytest.mark.both_transports
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_a_forked_child_opens_connections_of_its_own(kimi: KimiEmulator, framework: str) -> None:
    model = make(framework, kimi)
    ask(model, "hi")
    said = in_child(lambda: ask(model, "What is 12*7?") + ask(model, "What is 12*7?"))
    assert said.count(b"84") >= 4
    assert ask(model, "What is 12*7?").count("84") >= 2
    sync_peers = [request.peer for request in kimi.requests[0::2]]
    parent, child = {sync_peers[0], sync_peers[3]}, {sync_peers[1], sync_peers[2]}
    assert len(parent) == 1  # the parent's connection survived
    assert len(child) == 1
    assert not parent & child
    close(model)


@pytest.mark.both_transports
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_forked_from_within_a_loop_is_not_held_by_a_lock(kimi: KimiEmulator) -> None:
    model = make("langchain", kimi)

    async def main() -> bytes:
        await model.ainvoke("hi")
        connection = model._client.connection
        with connection._lock:  # as another thread may hold it at that moment
            said = in_child(lambda: str(model.invoke("What is 12*7?").content))
        await connection.aclose()
        return said

    assert b"84" in asyncio.run(main())
    close(model)


@pytest.mark.says("docs/production.md", "Both classes pickle, without their key or the function that gives it")
@pytest.mark.both_transports
@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_pickles_hold_settings_and_no_secret(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    model = make(framework, kimi, model="kimi-k2.6", default_headers={"X-Api-Key": "header-secret"}, max_retries=7)
    ask(model, "hi")
    written = pickle.dumps(model)
    assert SECRET.encode() not in written
    assert b"header-secret" not in written
    read = pickle.loads(written)  # without any key in sight: a pool's worker must not fail here
    with pytest.raises(KimiMissingKeyError):
        ask(read, "hi")
    monkeypatch.setenv("KIMI_API_KEY", WORKER)
    assert ask(read, "hi")
    assert read.max_retries == 7
    assert pickle.loads(pickle.dumps(pickle.loads(written))).max_retries == 7
    assert kimi.requests[-1].had_key(WORKER)
    for one in (model, read):
        close(one)
