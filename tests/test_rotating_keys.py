"""Keys that a function gives: asked for with each attempt, by every object that takes a key, and shown by none."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.documents.base import Blob
from langchain_core.load import dumps, load
from llama_index.core.llms import ChatMessage
from pydantic import SecretStr

from kimi_emulator import Failure, KimiEmulator, rules
from kimi_wire import KimiFiles, KimiMissingKeyError, KimiPlatform
from kimi_wire.endpoints.formulas import KimiFormulas
from kimi_wire.transport import KeyFunction
from langchain_kimi import ChatKimi, KimiFileParser, KimiFormulaToolkit
from llama_index_kimi import Kimi, KimiFileReader, KimiFormulaToolSpec, KimiTokenizer

pytestmark = pytest.mark.both_transports

SECRET = "sk-vault-0123456789abcdef"


class Keys:
    """Gives sk-1, sk-2, ...; how often it was asked is what it gave last."""

    def __init__(self) -> None:
        self.asked = 0
        self.threads: set[str] = set()

    def __call__(self) -> str:
        self.asked += 1
        self.threads.add(threading.current_thread().name)
        return f"sk-{self.asked}\n"  # as it comes out of a file

    async def later(self) -> str:
        await asyncio.sleep(0)
        return self()


class AsyncKeys(Keys):
    async def __call__(self) -> str:  # type: ignore[override]
        return super().__call__()


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What requests have as `Authorization`: the emulator's own log has the scheme alone."""
    heard: list[str] = []
    monkeypatch.setattr(rules, "check_key", lambda authorization, keys: heard.append(authorization))
    return heard


CHAT = [ChatMessage("Hello")]


async def _last(stream: Any) -> None:
    async for _ in stream:
        pass


async def _llama_stream(llm: Any) -> None:
    await _last(await llm.astream_chat(CHAT))


SYNC: dict[str, Callable[[Any], Any]] = {
    "invoke": lambda make: make(ChatKimi).invoke("Hello"),
    "stream": lambda make: list(make(ChatKimi).stream("Hello")),
    "chat": lambda make: make(Kimi).chat(CHAT),
    "stream_chat": lambda make: list(make(Kimi).stream_chat(CHAT)),
    "models": lambda make: make(KimiPlatform).models(),
    "files": lambda make: make(KimiFiles).extract(b"text", "a.txt"),
    "formulas": lambda make: make(functools.partial(KimiFormulas, ["moonshot/date:latest"])).tools(),
    "parser": lambda make: make(KimiFileParser).parse(Blob.from_data("text", metadata={"source": "a.txt"})),
    "toolkit": lambda make: make(functools.partial(KimiFormulaToolkit, ["moonshot/date:latest"])).get_tools(),
    "tool spec": lambda make: make(functools.partial(KimiFormulaToolSpec, ["moonshot/date:latest"])).to_tool_list(),
}
ASYNC: dict[str, Callable[[Any], Any]] = {
    "ainvoke": lambda make: make(ChatKimi).ainvoke("Hello"),
    "astream": lambda make: _last(make(ChatKimi).astream("Hello")),
    "achat": lambda make: make(Kimi).achat(CHAT),
    "astream_chat": lambda make: _llama_stream(make(Kimi)),
    "amodels": lambda make: make(KimiPlatform).amodels(),
    "aextract": lambda make: make(KimiFiles).aextract(b"text", "a.txt"),
}


@pytest.fixture
def maker(kimi: KimiEmulator) -> Callable[[Any], Callable[[Any], Any]]:
    def with_key(key: Any) -> Callable[[Any], Any]:
        return lambda kind: kind(api_key=key, base_url=kimi.base_url, max_retries=1)

    return with_key


@pytest.mark.says(
    "docs/production.md",
    "`api_key` may be a function without arguments, synchronous or not, and is then asked for the key of each attempt of each request",
)
@pytest.mark.parametrize("way", SYNC)
def test_each_request_asks(kimi: KimiEmulator, sent: list[str], maker: Any, way: str) -> None:
    keys = Keys()
    SYNC[way](maker(keys))
    assert sent == [f"Bearer sk-{number}" for number in range(1, keys.asked + 1)]
    assert keys.asked >= 1


@pytest.mark.says("docs/production.md", "In asynchronous calls a function that is not asynchronous runs in a thread")
@pytest.mark.parametrize("way", ASYNC)
@pytest.mark.parametrize("kind", ["function", "async function", "async object", "lambda"])
async def test_each_asynchronous_request_asks(
    kimi: KimiEmulator, sent: list[str], maker: Any, way: str, kind: str
) -> None:
    keys = AsyncKeys() if kind == "async object" else Keys()
    given = {"function": keys, "async function": keys.later, "async object": keys, "lambda": lambda: keys.later()}[kind]
    await ASYNC[way](maker(given))
    assert sent == [f"Bearer sk-{number}" for number in range(1, keys.asked + 1)]
    here = threading.current_thread().name
    assert (here in keys.threads) is (kind != "function"), "what may wait is asked in a thread, what awaits is not"


@pytest.mark.parametrize("call", ["invoke", "chat"])
def test_another_attempt_asks_again(kimi: KimiEmulator, sent: list[str], maker: Any, call: str) -> None:
    kimi.script(Failure(500, "broken", "server_error", headers={"Retry-After-Ms": "1"}))
    SYNC[call](maker(Keys()))
    assert sent == ["Bearer sk-1", "Bearer sk-2"]


def test_threads_do_not_get_each_others_key(kimi: KimiEmulator, sent: list[str], maker: Any) -> None:
    keys = Keys()
    lock = threading.Lock()

    def ask() -> str:
        with lock:
            return keys()

    maker(ask)(ChatKimi).batch(["Hello"] * 12, {"max_concurrency": 6})
    assert sorted(sent) == sorted(f"Bearer sk-{number}" for number in range(1, 13))


@pytest.mark.parametrize("model_class", [ChatKimi, Kimi])
def test_an_authorization_of_ones_own_comes_first(kimi: KimiEmulator, sent: list[str], model_class: Any) -> None:
    keys = Keys()
    model = model_class(api_key=keys, base_url=kimi.base_url, default_headers={"authorization": "Basic abc"})
    ask = model.invoke if model_class is ChatKimi else model.complete
    ask("Hello")
    per_call = {"extra_headers": {"Authorization": "Basic call"}}
    other = model_class(api_key=keys, base_url=kimi.base_url)
    (other.invoke if model_class is ChatKimi else other.complete)("Hello", **per_call)
    assert sent == ["Basic abc", "Basic call"]
    assert keys.asked == 0


WRONG = {
    "nothing": (lambda: None, "returned a NoneType"),
    "empty": (lambda: " \n", "returned an empty text"),
    "number": (lambda: 5, "returned a int"),
    "two lines": (lambda: f"{SECRET}\r\nX-Evil: 1", "has characters that no key has"),
}


@pytest.mark.parametrize("model_class", [ChatKimi, Kimi])
@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_no_key_is_said_before_anything_is_sent(
    kimi: KimiEmulator, maker: Any, model_class: Any, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-another-account")
    function, says = WRONG[wrong]
    model = maker(function)(model_class)
    with pytest.raises(KimiMissingKeyError, match=says) as caught:
        model.invoke("Hello") if model_class is ChatKimi else model.complete("Hello")
    assert SECRET not in str(caught.value)
    assert not kimi.requests


@pytest.mark.parametrize("way", ["invoke", "stream", "chat", "stream_chat"])
def test_an_asynchronous_function_serves_asynchronous_calls_only(kimi: KimiEmulator, maker: Any, way: str) -> None:
    with pytest.raises(KimiMissingKeyError, match="ainvoke, achat"):
        SYNC[way](maker(Keys().later))
    assert not kimi.requests


class VaultError(Exception):
    """What a vault's client raises."""


def sealed() -> str:
    raise VaultError("the vault is sealed")


@pytest.mark.parametrize("way", ["invoke", "stream", "chat", "stream_chat", "models"])
def test_what_the_function_raises_is_raised_once(kimi: KimiEmulator, maker: Any, way: str) -> None:
    with pytest.raises(VaultError, match="sealed"):
        SYNC[way](maker(sealed))
    assert not kimi.requests


@pytest.mark.parametrize("way", ["ainvoke", "astream", "achat", "astream_chat", "amodels"])
async def test_what_the_function_raises_is_raised_once_async(kimi: KimiEmulator, maker: Any, way: str) -> None:
    with pytest.raises(VaultError, match="sealed"):
        await ASYNC[way](maker(sealed))
    assert not kimi.requests


def give(key: Any) -> Any:
    return key


@pytest.mark.parametrize("model_class", [ChatKimi, Kimi, KimiFileReader])
def test_the_function_is_not_shown_and_goes_into_no_store(
    model_class: Any, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_class(api_key=functools.partial(give, SECRET), base_url=kimi.base_url)
    for shown in (repr(model), str(model), str(vars(model)), repr(KeyFunction(functools.partial(give, SECRET)))):
        assert SECRET not in shown
    assert SECRET.encode() not in pickle.dumps(model)
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-environment")
    assert pickle.loads(pickle.dumps(model)) is not None
    for other in (copy.copy(model), copy.deepcopy(model)):
        assert type(other) is model_class


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_a_chat_model_that_is_loaded_again_takes_the_environments_key(
    kimi: KimiEmulator, sent: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = dumps(ChatKimi(api_key=functools.partial(give, SECRET), base_url=kimi.base_url))
    assert SECRET not in written
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-environment")
    model = load(
        json.loads(written), allowed_objects=[ChatKimi], valid_namespaces=["langchain_kimi"], secrets_from_env=True
    )
    model.invoke("Hello")
    assert sent == ["Bearer sk-environment"]


def test_copies_ask_the_same_function_and_an_assigned_one_counts(kimi: KimiEmulator, sent: list[str]) -> None:
    keys = Keys()
    model = ChatKimi(api_key=keys, base_url=kimi.base_url)
    copy.deepcopy(model).invoke("Hello")
    model.bind(max_tokens=20_000).invoke("Hello")
    model.kimi_api_key = lambda: SecretStr("sk-assigned")  # type: ignore[assignment, return-value]
    model.invoke("Hello")
    model.kimi_api_key = SecretStr("sk-fixed")
    model.invoke("Hello")
    assert sent == ["Bearer sk-1", "Bearer sk-2", "Bearer sk-assigned", "Bearer sk-fixed"]
    assert Kimi(api_key=keys) == Kimi(api_key=keys)
    assert Kimi(api_key=keys) != Kimi(api_key=Keys())


def test_a_key_that_the_server_repeats_is_masked(kimi: KimiEmulator, maker: Any) -> None:
    kimi.script(Failure(401, "Incorrect API key provided: odd-key-123456", "incorrect_api_key_error"))
    with pytest.raises(Exception, match="Incorrect API key provided") as caught:
        maker(lambda: "odd-key-123456")(ChatKimi).invoke("Hello")
    assert "odd-key-123456" not in str(caught.value)


@pytest.mark.says("docs/production.md", "It holds for whatever takes a key: files, formulas, token counts.")
def test_a_tokenizer_asks_too(kimi: KimiEmulator, sent: list[str]) -> None:
    keys = Keys()
    tokenizer = KimiTokenizer("server", api_key=keys, api_base=kimi.base_url)
    assert len(tokenizer("Hello there")) > 0
    assert sent == ["Bearer sk-1"]
