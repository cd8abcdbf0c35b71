"""The key and the headers are seen by the configured host and by nobody else."""

from __future__ import annotations

import asyncio
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd, dumps
from langchain_core.tracers.base import BaseTracer
from langchain_core.tracers.schemas import Run
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import ChatMessage

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire import KimiError, KimiFiles, KimiMissingKeyError, KimiPlatform, KimiRequestError
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.endpoints.formulas import KimiFormulas
from kimi_wire.errors import public_url
from kimi_wire.transport.connection import resolve_base_url
from langchain_kimi import ChatKimi, KimiFileLoader, KimiFileParser, KimiFormulaToolkit
from llama_index_kimi import Kimi, KimiFileReader, KimiFormulaToolSpec
from tests.test_odd_answers import hear_from
from tests.wire.test_client import WAYS, ask, request

pytestmark = pytest.mark.both_transports

KEY = "sk-secret-0123456789abcdef"
HEADERS = {"X-Api-Key": "header-hush-hush", "Api-Key": "another-hush-hush"}
HEARD_AS = {"complete": "whole", "acomplete": "awhole", "stream": "stream", "astream": "astream"}
CALL_HEADERS = {"X-Call-Key": "call-hush-hush"}
ACCOUNT = "org-0123456789abcdef"
QUOTA = Failure(
    429,
    f"Your account {ACCOUNT}<ak-fedcba987654> is suspended due to insufficient balance",
    "exceeded_current_quota_error",
)


def assert_silent(text: Any) -> None:
    said = str(text)
    for secret in (KEY, "hush-hush", "0123456789abcdef", "fedcba987654"):
        assert secret not in said, said[max(said.index(secret) - 300, 0) : said.index(secret) + 60]


@pytest.fixture
def chat(kimi: KimiEmulator) -> Iterator[ChatKimi]:
    chat = ChatKimi(api_key=KEY, base_url=kimi.base_url, default_headers=HEADERS, max_retries=0)
    yield chat
    chat._client.close()


@pytest.fixture
def llm(kimi: KimiEmulator) -> Iterator[Kimi]:
    llm = Kimi(api_key=KEY, api_base=kimi.base_url, default_headers=HEADERS, max_retries=0)
    yield llm
    llm._client.close()


@pytest.mark.says(
    "docs/production.md",
    "The key is in no repr, log, pickle, serialisation, trace or error, and neither are `default_headers`.",
)
def test_no_form_of_the_langchain_model_shows_them(chat: ChatKimi) -> None:
    chat.invoke("hi")
    bound = chat.bind_tools([]).with_config(tags=["x"])
    structured = chat.with_structured_output({"title": "T", "type": "object", "properties": {}})
    for form in (
        repr(chat), str(chat), dumps(chat), dumpd(chat), chat.model_dump(), chat.model_dump_json(), chat.asdict(),
        chat.to_json(), pickle.dumps(chat), chat._identifying_params, chat._get_invocation_params(), chat._get_ls_params(),
        chat._get_llm_string(), chat.lc_attributes, chat.lc_secrets, repr(bound), dumps(bound), repr(structured),
        repr(chat.model_copy()), repr(chat._client), chat._serialized,
    ):  # fmt: skip
        assert_silent(form)


@pytest.mark.says(
    "docs/production.md",
    "The key is in no repr, log, pickle, serialisation, trace or error, and neither are `default_headers`.",
)
def test_no_form_of_the_llama_index_model_shows_them(llm: Kimi) -> None:
    llm.complete("hi")
    for form in (
        repr(llm), str(llm), llm.to_dict(), llm.to_json(), llm.dict(), llm.model_dump(), llm.model_dump_json(),
        llm.class_name(), llm.to_payload(), llm.metadata, pickle.dumps(llm), repr(llm.model_copy()),
        repr(llm._client),
    ):  # fmt: skip
        assert_silent(form)


def everything_of(run: Run) -> str:
    parts = [run.inputs, run.outputs, run.serialized, run.extra, run.error, run.events, run.tags]
    return json.dumps(parts, default=repr) + "".join(everything_of(child) for child in run.child_runs)


class Tracer(BaseTracer):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def _persist_run(self, run: Run) -> None:
        self.seen.append(everything_of(run))


class Callbacks(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.seen.append(repr((serialized, messages, kwargs)))

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.seen.append(repr((response, kwargs)))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen.append(repr((error, str(error), kwargs)))


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
def test_langchains_tracers_and_callbacks_see_none(kimi: KimiEmulator, chat: ChatKimi, way: str) -> None:
    tracer, callbacks = Tracer(), Callbacks()
    config: Any = {"callbacks": [tracer, callbacks]}
    kimi.script(Reply("Hi"), QUOTA, Reply("Half", cut_after=2))

    async def acall() -> None:
        await chat.ainvoke("hi", config) if way == "ainvoke" else [one async for one in chat.astream("hi", config)]

    def call() -> None:
        if way.startswith("a"):
            asyncio.run(acall())
        else:
            _ = chat.invoke("hi", config) if way == "invoke" else list(chat.stream("hi", config))

    call()
    for _ in range(2):
        with pytest.raises(KimiError):
            call()
    assert len(tracer.seen) == 3
    assert len(callbacks.seen) == 6
    assert_silent(tracer.seen + callbacks.seen)
    assert "insufficient balance" in tracer.seen[1]
    assert "msh-request-id" in tracer.seen[1].lower()
    assert not any(header in "".join(tracer.seen).lower() for header in ("msh-uid", "msh-org-id", "msh-gid"))


class Events(BaseEventHandler):
    seen: list[str]

    def handle(self, event: Any, **kwargs: Any) -> None:
        self.seen.append(event.model_dump_json(fallback=repr) + repr(event))


@pytest.mark.parametrize("way", ["chat", "stream_chat", "achat", "astream_chat"])
def test_llama_indexs_events_and_callbacks_see_none(kimi: KimiEmulator, llm: Kimi, way: str) -> None:
    debug = LlamaDebugHandler(print_trace_on_end=False)
    llm.callback_manager = CallbackManager([debug])
    events, handlers = Events(seen=[]), get_dispatcher().event_handlers
    handlers.append(events)
    kimi.script(Reply("Hi"), QUOTA)

    async def acall() -> None:
        result = await getattr(llm, way)([ChatMessage("hi")])
        _ = [one async for one in result] if "stream" in way else None

    def call() -> None:
        if way.startswith("a"):
            asyncio.run(acall())
        else:
            result = getattr(llm, way)([ChatMessage("hi")])
            _ = list(result) if "stream" in way else None

    try:
        call()
        with pytest.raises(KimiError):
            call()
    finally:
        handlers.remove(events)
    assert events.seen
    assert_silent(events.seen)
    assert_silent([repr(event.payload) for pair in debug.get_llm_inputs_outputs() for event in pair])


FAULTS: dict[str, Callable[[], Any]] = {
    "quota": lambda: QUOTA,
    "key": lambda: Failure(401, f"Incorrect API key provided: {KEY}"),
    "cut": lambda: Reply("one two three", cut_after=2),
    "refused": lambda: None,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
def test_tracebacks_with_variables_show_none(kimi: KimiEmulator, way: str, fault: str) -> None:
    """As rich, pytest, Sentry and LangChain's tracers print them."""
    base_url = "http://127.0.0.1:9/v1" if fault == "refused" else kimi.base_url
    if (reply := FAULTS[fault]()) is not None:
        kimi.script(reply)
    client = KimiClient(api_key=KEY, base_url=base_url, default_headers=HEADERS, max_retries=0)
    with pytest.raises(KimiError) as caught:
        ask(client, way)
    client.close()
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    own = [line for line in told.format() if "test_client.py" not in line and "test_secrets.py" not in line]
    assert_silent("".join(own))
    assert_silent("".join(traceback.format_exception(caught.value)))


def whole_chain(error: BaseException | None) -> list[BaseException]:
    """An error, and all that led to it, told by a traceback or not."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting:
        if (one := waiting.pop()) is not None and not any(one is known for known in found):
            found.append(one)
            waiting += [one.__cause__, one.__context__]
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_nothing_of_the_sdk_is_behind_an_error(kimi: KimiEmulator, adapter: str, way: str, fault: str) -> None:
    """Its words are not masked, and loggers walk `__context__` too."""
    base_url = "http://127.0.0.1:9/v1" if fault == "refused" else kimi.base_url
    if (reply := FAULTS[fault]()) is not None:
        kimi.script(reply)
    heard = hear_from(base_url, adapter, HEARD_AS[way], api_key=KEY, default_headers=HEADERS)
    with pytest.raises(KimiError) as caught:
        asyncio.run(heard)
    for error in whole_chain(caught.value):
        assert not isinstance(error, openai.OpenAIError) or isinstance(error, KimiError)
        assert_silent((str(error), error.args))


@pytest.mark.parametrize("way", ["acomplete", "astream"])
@pytest.mark.parametrize("began", [False, True])
@pytest.mark.parametrize(
    "stopped",
    [
        "wait_for",
        pytest.param("cancel", marks=pytest.mark.deep),  # as `wait_for` does
        *([pytest.param("timeout", marks=pytest.mark.deep)] if hasattr(asyncio, "timeout") else []),
    ],
)
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_a_cancelled_call_shows_none(kimi: KimiEmulator, adapter: str, way: str, began: bool, stopped: str) -> None:
    """The frames of the HTTP libraries have the headers of the request."""
    silence: dict[str, Any] = {"stall_after": 2, "stall": 30} if began else {"delay": 30}
    kimi.script(Reply("one two three four", **silence))

    async def main() -> None:
        heard = hear_from(kimi.base_url, adapter, HEARD_AS[way], api_key=KEY, default_headers=HEADERS)
        if stopped == "wait_for":
            await asyncio.wait_for(heard, 0.3)
        if stopped == "timeout":
            async with asyncio.timeout(0.3):
                await heard
        task = asyncio.ensure_future(heard)
        asyncio.get_running_loop().call_later(0.3, task.cancel)
        await task

    with pytest.raises((asyncio.CancelledError, asyncio.TimeoutError)) as caught:
        asyncio.run(main())
    for error in whole_chain(caught.value):
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert_silent([frame.locals for frame in told.stack if "/tests/" not in frame.filename])


@pytest.mark.parametrize(
    "careless",
    [
        lambda hidden: ChatKimi(api_key=hidden(), base_url="no url"),
        lambda hidden: ChatKimi(api_key=hidden(), base_url=f"https://gateway.example/v1?token={hidden()}"),
        lambda hidden: Kimi(api_key=hidden(), base_url=f"https://gateway.example/v1?token={hidden()}"),
        lambda hidden: ChatKimi(api_key=hidden(), base_url=hidden()),
        lambda hidden: Kimi(api_key=hidden(), base_url=hidden()),
        lambda hidden: ChatKimi(api_key=hidden(), default_headers={"X-Key": hidden() + "\né"}),
        lambda hidden: Kimi(api_key=hidden(), default_headers={"X-Key": hidden() + "\né"}),
        lambda hidden: ChatKimi(api_key=hidden(), default_headers={f"X-Key: {hidden()}": ""}),
        lambda hidden: Kimi(api_key=hidden(), default_headers={f"X-Key: {hidden()}": ""}),
        lambda hidden: ChatKimi(api_key=hidden(), default_headers={"X-Key": hidden()}, temprature=1),
        lambda hidden: Kimi(api_key=hidden(), default_headers={"X-Key": hidden()}, temprature=1),
        lambda hidden: ChatKimi(api_key=hidden(), temprature=1),
        lambda hidden: ChatKimi(api_key=hidden() + " \x00"),
        lambda hidden: Kimi(api_key=hidden(), base_url="no url"),
        lambda hidden: Kimi(api_key=hidden(), temprature=1),
        lambda hidden: Kimi(api_key=hidden() + " \x00"),
        lambda hidden: Kimi(api_key=hidden(), timeout="soon"),
        lambda hidden: KimiFiles(hidden(), "no url"),
        lambda hidden: KimiFiles(api_key=hidden(), max_concurrency=0),
        lambda hidden: KimiFormulas("a/b:c", hidden(), default_headers={"X-Key": hidden() + "\né"}),
        lambda hidden: KimiPlatform(hidden(), f"https://gateway.example/v1?token={hidden()}"),
        lambda hidden: KimiFileLoader("a.pdf", api_key=hidden(), base_url="no url"),
        lambda hidden: KimiFileParser(hidden(), "no url"),
        lambda hidden: KimiFormulaToolkit("a/b:c", api_key=hidden(), base_url=hidden()),
        lambda hidden: KimiFileReader(api_key=hidden(), base_url="no url"),
        lambda hidden: KimiFileReader(hidden(), temprature=1),
        lambda hidden: KimiFormulaToolSpec("none", hidden()),
        lambda hidden: Kimi(api_key=hidden(), http_client=object()).complete("hi"),
        lambda hidden: ChatKimi(api_key=hidden(), http_client=object()).invoke("hi"),
    ],
)
def test_a_mistake_at_construction_shows_none(careless: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as caught:
        careless(lambda: KEY)
    assert_silent("".join(traceback.format_exception(caught.value)))
    ours = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    frames = [
        (frame.name, frame.locals)
        for frame in ours.stack
        if any(package in frame.filename for package in ("/kimi_wire/", "/langchain_kimi/", "/llama_index_kimi/"))
    ]
    assert_silent(frames)


@pytest.mark.parametrize("way", WAYS)
def test_no_log_at_any_level_shows_them(kimi: KimiEmulator, caplog: pytest.LogCaptureFixture, way: str) -> None:
    """Neither ours nor the SDK's nor the HTTP library's, at DEBUG."""
    caplog.set_level(logging.DEBUG)
    for name in ("openai", "httpx", "httpx2", "httpcore", "httpcore2", "kimi_wire"):
        caplog.set_level(logging.DEBUG, logger=name)
    client = KimiClient(api_key=KEY, base_url=kimi.base_url, default_headers=HEADERS, max_retries=1)
    kimi.script(Failure(500, headers={"Retry-After-Ms": "1"}), Reply("Hi"), QUOTA)
    ask(client, way, headers=CALL_HEADERS)
    with pytest.raises(KimiError):
        ask(client, way, headers=CALL_HEADERS)
    client.close()
    assert [one.headers["x-call-key"] for one in kimi.requests] == ["call-hush-hush"] * 3
    assert {one.name.removesuffix("._base_client") for one in caplog.records} >= {
        "openai",
        "kimi_wire",
        "kimi_wire.bodies",
    }
    for record in caplog.records:
        assert_silent(record.getMessage() + repr(record.args))


ECHO = {"Msh-Request-Id": f"Bearer {KEY}"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", [Failure(500, headers=ECHO), Reply(body="no", events=["no"], headers=ECHO)])
def test_a_request_id_that_repeats_the_key_is_not_shown(
    kimi: KimiEmulator, caplog: pytest.LogCaptureFixture, way: str, answer: Failure | Reply
) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    client = KimiClient(api_key=KEY, base_url=kimi.base_url, max_retries=0)
    kimi.script(answer)
    with pytest.raises(KimiError, match=r"Bearer \*\*\*") as caught:
        ask(client, way)
    client.close()
    assert_silent([*traceback.format_exception(caught.value), vars(caught.value), caplog.text])


SHOWN = {
    "https://me:pw@example.org/a/b?signature=x#y": "https://example.org/a/b",
    "https://me:p@w@example.org": "https://example.org",
    "//me:pw@example.org/a": "//example.org/a",
    "ht\ntps:/\t/me:pw@example.org": "https://example.org",
    "http://me:pw@[broken/a": "http://[broken/a",
    "example.org/a?key=x": "example.org/a",
    "": "",
}


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
def test_a_url_is_shown_without_what_is_secret_in_it(url: str, shown: str) -> None:
    assert public_url(url) == shown


@pytest.mark.says("docs/production.md", "A `base_url` with a password or a query is refused.")
@pytest.mark.parametrize("made", [ChatKimi, Kimi])
def test_a_url_with_a_password_is_refused_and_not_shown(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """httpx would send it in place of the key, and every repr and pickle would show it."""
    monkeypatch.setenv("MOONSHOT_BASE_URL", "https://user:hush-hush@gateway.example/v1?token=hush-hush")
    with pytest.raises(ValueError, match=r"'https://gateway.example/v1' has a user or password") as caught:
        made(api_key=KEY)
    assert_silent(str(caught.value))
    with pytest.raises(KimiRequestError):
        resolve_base_url("https://user@gateway.example/v1")


ADDRESSES = ("?token=hush-hush", "?", "#hush-hush", "/?a=b#hush-hush")


@pytest.mark.parametrize("made", [ChatKimi, Kimi])
@pytest.mark.parametrize("end", ADDRESSES)
def test_a_url_with_a_query_is_refused_and_not_shown(made: Any, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK puts its path behind the query, and every repr, dump and cache key would show it."""
    for given in ("argument", "environment"):
        url = f"https://gateway.example/v1{end}"
        monkeypatch.setenv("MOONSHOT_BASE_URL", url if given == "environment" else "https://gateway.example/v1")
        with pytest.raises(ValueError, match=r"'https://gateway.example/v1/?' has a query") as caught:
            made(api_key=KEY, **({"base_url": url} if given == "argument" else {}))
        assert_silent(str(caught.value))


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://h:port/v1",
        "http://h:99999",
        "h/v1",
        "ftp://h",
        "http:///v1",
        "http://a\x01b",
        5,
        b"http://h",
    ],
)
def test_what_is_no_url_is_refused(url: Any) -> None:
    with pytest.raises(KimiRequestError, match="not a URL such as"):
        resolve_base_url(url)


UNUSABLE = {
    "http://me:a/hush-hush@127.0.0.1:1": "http://127.0.0.1:1",
    "bogus://me:hush-hush@127.0.0.1:1": "bogus://127.0.0.1:1",
    "http://me:hush-hush@127.0.0.1:port": "http://127.0.0.1:port",
}


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "complete", "acomplete"])
@pytest.mark.parametrize(("proxy", "shown"), UNUSABLE.items())
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(
    proxy: str, shown: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    model = ChatKimi(api_key=KEY) if "invoke" in way else Kimi(api_key=KEY)
    call = getattr(model, way)
    with pytest.raises(KimiRequestError, match="proxy cannot be used") as caught:
        _ = asyncio.run(call("hi")) if way.startswith("a") else call("hi")
    assert f"unset HTTPS_PROXY={shown}. " in str(caught.value)
    said = "".join(traceback.format_exception(caught.value))
    assert "Invalid port" not in said  # the library's words, which have the password up to its slash
    assert_silent(said)


def test_certificates_that_cannot_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    with pytest.raises(KimiRequestError, match=r"certificates cannot be read .*unset SSL_CERT_FILE=/none\.pem"):
        KimiPlatform(KEY).models()


def test_a_url_from_a_file_is_stripped() -> None:
    assert resolve_base_url("https://gateway.example/v1/ \r\n") == "https://gateway.example/v1"


@pytest.mark.parametrize("way", WAYS)
def test_headers_from_a_file_are_stripped(kimi: KimiEmulator, way: str) -> None:
    client = KimiClient(api_key=KEY, base_url=kimi.base_url, default_headers={"X-Api-Key": " hush-hush\r\n"})
    ask(client, way, headers={"X-Call-Key": "call-hush-hush\n"})
    client.close()
    assert kimi.requests[0].headers["x-api-key"] == "hush-hush"
    assert kimi.requests[0].headers["x-call-key"] == "call-hush-hush"


WRONG_HEADERS: list[tuple[Any, str]] = [
    ({"X-Key": "hush-hush\nX-Other: 1"}, "'X-Key' has characters"),
    ({"X-Key": "hush-hush\x00"}, "'X-Key' has characters"),
    ({"X-Key": "hush-hush-é"}, "'X-Key' has characters"),
    ({"X-Key": "hush-hush\u2028"}, "'X-Key' has characters"),
    ({"X-Fine": "1", "X-Key: hush-hush": ""}, "header 2 has a name that is none"),
    ({"": "hush-hush"}, "header 1 has a name that is none"),
    ({5: "hush-hush"}, "header 1 has a name that is none"),
    ({"X-Key": None}, "'X-Key' is a NoneType"),
    ({"X-Key": b"hush-hush"}, "'X-Key' is a bytes"),
    ("hush-hush", "is a str"),
]


@pytest.mark.parametrize(("headers", "said"), WRONG_HEADERS)
@pytest.mark.parametrize("made", [ChatKimi, Kimi, KimiClient, KimiFiles, KimiFileReader, KimiFormulas])
def test_headers_that_are_none_are_refused_at_construction(made: Any, headers: Any, said: str) -> None:
    arguments: dict[str, Any] = {"api_key": KEY, "base_url": "http://127.0.0.1:9/v1", "default_headers": headers}
    if made is KimiFormulas:
        arguments["uris"] = ["moonshot/date:latest"]
    with pytest.raises(KimiRequestError, match=f"default_headers.*{said}") as caught:
        made(**arguments)
    assert_silent("".join(traceback.format_exception(caught.value)))


@pytest.mark.parametrize(("headers", "said"), WRONG_HEADERS)
@pytest.mark.parametrize("way", WAYS)
def test_headers_of_a_call_that_are_none_are_refused(kimi: KimiEmulator, way: str, headers: Any, said: str) -> None:
    client = KimiClient(api_key=KEY, base_url=kimi.base_url)
    with pytest.raises(KimiRequestError, match=f"extra_headers.*{said}") as caught:
        ask(client, way, headers=headers)
    assert_silent("".join(traceback.format_exception(caught.value)))
    assert not kimi.requests


@pytest.mark.parametrize("way", WAYS)
def test_a_debugger_sees_none_in_a_connection(kimi: KimiEmulator, way: str) -> None:
    client = KimiClient(api_key=KEY, base_url=kimi.base_url, default_headers=HEADERS)
    ask(client, way)
    assert_silent((vars(client), vars(client.connection), vars(client.uploads)))
    client.close()


def test_a_debugger_sees_none_in_a_model(chat: ChatKimi, llm: Kimi) -> None:
    chat.invoke("hi")
    llm.complete("hi")
    assert_silent((chat.__pydantic_private__, llm.__pydantic_private__))


def test_the_header_of_a_call_reaches_the_host_and_not_the_next_call(kimi: KimiEmulator, chat: ChatKimi) -> None:
    chat.invoke("hi", extra_headers=CALL_HEADERS)
    chat.invoke("hi")
    assert "x-call-key" in kimi.requests[0].headers
    assert "x-call-key" not in kimi.requests[1].headers
    assert kimi.requests[1].headers["x-api-key"] == "header-hush-hush"


@pytest.mark.parametrize("status", [307, 308])
def test_nothing_follows_a_redirect_to_another_host_over_aiohttp(kimi: KimiEmulator, status: int) -> None:
    async def main() -> None:
        try:
            http_client = openai.DefaultAioHttpClient()
        except RuntimeError:
            pytest.skip("the SDK's aiohttp transport is not installed")
        client = KimiClient(api_key=KEY, base_url=kimi.base_url, default_headers=HEADERS, http_async_client=http_client)
        with pytest.raises(KimiError, match="redirects to"):
            await client.acomplete(request())
        await http_client.aclose()

    with KimiEmulator() as other:
        kimi.script(Failure(status, message="x", headers={"Location": f"{other.base_url}/chat/completions"}))
        asyncio.run(main())
        assert other.requests == []


@pytest.mark.parametrize("made", [ChatKimi, Kimi])
def test_headers_of_the_wrong_kind_are_not_quoted(made: Any) -> None:
    with pytest.raises(ValueError, match="default_headers") as caught:
        made(api_key=KEY, default_headers=["hush-hush"])
    assert_silent(str(caught.value))


def test_a_missing_key_names_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", f"{KEY} with spaces")
    with pytest.raises(KimiMissingKeyError) as caught:
        ChatKimi()
    assert_silent(str(caught.value))
