"""The way to the server: keys, hosts, headers, retries, loops, and errors as they come back."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import SecretStr

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire.answers.response import Completion
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.errors import KimiError, KimiMissingKeyError, KimiRequestError, KimiResponseError, KimiStreamError
from kimi_wire.errors import api as api_errors
from kimi_wire.errors.refusals import mask
from kimi_wire.requests.request import Request, render_request
from kimi_wire.settings import merge_settings
from kimi_wire.transport.connection import KimiConnection, resolve_api_key, resolve_base_url
from tests.wire.recordings import load, needs_recordings

pytestmark = pytest.mark.both_transports

SECRET = "sk-test-secret-key-0123456789"


def request(*, stream: bool = False, text: str = "What is 12*7?", **settings: Any) -> Request:
    merged, _ = merge_settings({"model": "kimi-k2.6"}, settings)
    return render_request(merged, [{"role": "user", "content": text}], stream=stream)


@pytest.fixture
def client(kimi: KimiEmulator) -> Iterator[KimiClient]:
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, max_retries=0)
    yield client
    client.close()  # a test's traceback may keep a client, and its connections, for long


def ask(client: KimiClient, way: str, **options: Any) -> Completion:
    """Ask in one of the four ways."""

    async def stream() -> Completion:
        return [item async for item in client.astream(request(stream=True), options)][-1]  # type: ignore[return-value]

    if way == "complete":
        return client.complete(request(), options)
    if way == "stream":
        return list(client.stream(request(stream=True), options))[-1]  # type: ignore[return-value]
    return asyncio.run(client.acomplete(request(), options) if way == "acomplete" else stream())


WAYS = ["complete", "acomplete", "stream", "astream"]


def test_the_key_comes_from_the_argument_else_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KimiMissingKeyError, match=r"MOONSHOT_API_KEY \(or KIMI_API_KEY\)"):
        resolve_api_key(None)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    with pytest.raises(KimiMissingKeyError):
        resolve_api_key("")
    monkeypatch.setenv("KIMI_API_KEY", "sk-kimi-var")
    assert resolve_api_key(None) == "sk-kimi-var"
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-moonshot\n")
    assert resolve_api_key(None) == "sk-moonshot"
    assert resolve_api_key(" sk-arg ") == "sk-arg"


@pytest.mark.parametrize("key", ["sk-a b", "sk-ä", "sk-\x00"])
def test_keys_that_no_header_takes(key: str) -> None:
    with pytest.raises(KimiMissingKeyError, match="characters that no key has") as caught:
        resolve_api_key(key)
    assert key not in str(caught.value)


def test_the_host_comes_from_the_argument_else_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://openai.invalid")
    assert resolve_base_url(None) == "https://api.moonshot.ai/v1"
    for name in ("KIMI_BASE_URL", "MOONSHOT_API_BASE", "MOONSHOT_BASE_URL"):
        monkeypatch.setenv(name, f"http://{name.lower().replace('_', '-')}.invalid/v1/")
        assert resolve_base_url(None) == f"http://{name.lower().replace('_', '-')}.invalid/v1"
    assert resolve_base_url("https://api.moonshot.cn/v1") == "https://api.moonshot.cn/v1"
    for bad in ("api.moonshot.ai", "ftp://x/v1", "https://"):
        with pytest.raises(KimiRequestError, match="is not a URL"):
            resolve_base_url(bad)


@pytest.mark.parametrize("way", WAYS)
def test_four_ways_one_answer(client: KimiClient, way: str) -> None:
    completion = ask(client, way)
    assert "84" in completion.choice.content
    assert completion.choice.reasoning
    assert completion.choice.finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens
    assert completion.request_id


@pytest.mark.says("docs/production.md", "Nothing of the environment's `OPENAI_*` is read or sent.")
@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_openais_environment_is_sent(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    ambient = {
        "OPENAI_API_KEY": "sk-openai-leak",
        "OPENAI_ADMIN_KEY": "sk-admin-leak",
        "OPENAI_BASE_URL": "http://leak.invalid",
        "OPENAI_ORG_ID": "org-leak",
        "OPENAI_PROJECT_ID": "proj-leak",
        "OPENAI_CUSTOM_HEADERS": "X-Custom: leak\nAuthorization: Bearer leak\nbroken",
    }
    for name, value in ambient.items():
        monkeypatch.setenv(name, value)
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, default_headers={"X-Mine": "yes"})
    ask(client, way, headers={"X-Call": "too"})
    headers = kimi.requests[-1].headers
    assert kimi.requests[-1].had_key(SECRET)
    assert (headers["x-mine"], headers["x-call"]) == ("yes", "too")
    assert not [name for name, value in headers.items() if "leak" in value or name.startswith("openai-")]


@needs_recordings
@pytest.mark.parametrize("case", load("errors/error_bodies.json") if needs_recordings.args[0] is False else [])
def test_recorded_errors(kimi: KimiEmulator, case: dict[str, Any]) -> None:
    body = case.get("body") or {"error": {"message": case["message_only"], "type": "invalid_request_error"}}
    error = body["error"]
    kimi.script(Failure(case["status"], body=json.dumps(body)))
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, max_retries=0)
    with pytest.raises(api_errors.KimiStatusError) as caught:
        client.complete(request())
    raised = caught.value
    assert mask(error["message"]) in str(raised)
    assert (raised.status_code, raised.type) == (case["status"], error["type"] or None)
    assert raised.request_id
    assert raised.request_id in str(raised)


ERRORS = [
    (400, "invalid_request_error", "invalid temperature", api_errors.KimiBadRequestError, openai.BadRequestError, ""),
    (400, "content_filter", "high risk", api_errors.KimiContentFilterError, openai.BadRequestError, "Rephrase"),
    (
        400,
        "invalid_request_error",
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 274613)",
        api_errors.KimiContextLengthError,
        openai.BadRequestError,
        "Shorten the conversation",
    ),
    (401, "invalid_authentication_error", "Invalid Authentication", api_errors.KimiAuthenticationError, openai.AuthenticationError, "sk-kimi-"),
    (403, "permission_denied_error", "not open", api_errors.KimiPermissionDeniedError, openai.PermissionDeniedError, ""),
    (404, "resource_not_found_error", "Not found the model x", api_errors.KimiNotFoundError, openai.NotFoundError, "/models lists"),
    (413, "", "Request exceeds the maximum size", api_errors.KimiStatusError, openai.APIStatusError, ""),
    (429, "rate_limit_reached_error", "max RPM: 3", api_errors.KimiRateLimitError, openai.RateLimitError, "organization's"),
    (429, "engine_overloaded_error", "overloaded", api_errors.KimiRateLimitError, openai.RateLimitError, "wait"),
    (429, "exceeded_current_quota_error", "suspended", api_errors.KimiQuotaError, openai.RateLimitError, "Top up"),
    (500, "server_error", "oops", api_errors.KimiServerError, openai.InternalServerError, ""),
    (503, "server_unavailable", "busy", api_errors.KimiServerError, openai.InternalServerError, ""),
]  # fmt: skip


@pytest.mark.says(
    "docs/errors.md",
    "Server errors are also the openai class for their status",
    "carry the server's words, its error type, the request id and a line on what to do",
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("status", "kind", "message", "error_class", "sdk_class", "hint"), ERRORS)
def test_server_errors_have_a_class_the_servers_words_and_a_hint(
    kimi: KimiEmulator,
    client: KimiClient,
    way: str,
    status: int,
    kind: str,
    message: str,
    error_class: type[Exception],
    sdk_class: type[Exception],
    hint: str,
) -> None:
    kimi.script(Failure(status, message, kind))
    with pytest.raises(error_class) as caught:
        ask(client, way)
    assert type(caught.value) is error_class
    assert isinstance(caught.value, sdk_class)
    assert isinstance(caught.value, KimiError)
    assert message in str(caught.value)
    assert hint in str(caught.value)
    assert SECRET not in str(caught.value) + repr(caught.value)
    assert len(kimi.requests) == 1


def test_a_gateways_page_becomes_a_sentence(kimi: KimiEmulator, client: KimiClient) -> None:
    page = "<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>"
    kimi.script(Failure(504, body=page))
    with pytest.raises(api_errors.KimiServerError, match=r"504 Gateway Time-out \(HTTP 504"):
        client.complete(request())


@pytest.mark.says("docs/errors.md", "the server said yes, and its answer cannot be used")
def test_an_answer_that_is_no_completion(kimi: KimiEmulator, client: KimiClient) -> None:
    kimi.script(Reply(body={"object": "list"}))
    with pytest.raises(KimiResponseError, match="not a chat completion"):
        client.complete(request())


@pytest.mark.says(
    "docs/errors.md",
    'a stream broke off, or its host says so (`finish_reason` "error", "abort"); `partial` has what had come',
)
@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("fault", [{"cut_after": 3}, {"cut_after": 0}, {"done": False}])
def test_a_broken_stream_is_never_an_answer(
    kimi: KimiEmulator, client: KimiClient, way: str, fault: dict[str, Any]
) -> None:
    kimi.script(Reply("A long answer in several pieces.", reasoning="hm", **fault))
    with pytest.raises(KimiStreamError, match=r"not (a )?whole"):
        ask(client, way)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_an_error_inside_a_stream_is_the_error_it_stands_for(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Reply("Text.", error_after=2))
    with pytest.raises(api_errors.KimiStatusError) as caught:
        ask(client, way)
    assert caught.value.type
    assert caught.value.request_id


@pytest.mark.says("docs/errors.md", "the server was not reached, or did not answer in time")
@pytest.mark.parametrize("way", WAYS)
def test_a_host_that_is_not_there(way: str) -> None:
    client = KimiClient(api_key=SECRET, base_url="http://127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(
        api_errors.KimiConnectionError, match=r"http://127\.0\.0\.1:9/v1/chat/completions was not reached"
    ):
        ask(client, way)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.slow
def test_a_server_that_is_too_slow(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Reply("Late.", delay=5.0))
    with pytest.raises(api_errors.KimiTimeoutError, match="raise `timeout`, or stream"):
        ask(client, way, timeout=0.2)


@pytest.mark.says("docs/errors.md", "There is one layer of retries, the openai SDK's (`max_retries=2`).")
@pytest.mark.parametrize(("max_retries", "sent"), [(0, 1), (1, 2)])
@pytest.mark.slow
def test_the_sdk_retries_and_nobody_else(kimi: KimiEmulator, max_retries: int, sent: int) -> None:
    kimi.script(*[Failure(500, "oops", "server_error")] * 5)
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, max_retries=max_retries)
    with pytest.raises(api_errors.KimiServerError):
        client.complete(request())
    assert len(kimi.requests) == sent


@pytest.mark.slow
def test_retries_of_one_call(kimi: KimiEmulator, client: KimiClient) -> None:
    kimi.script(Failure(500, "oops", "server_error"))
    assert client.complete(request(), {"max_retries": 1}).choice.content


def test_connections_are_used_again(kimi: KimiEmulator, client: KimiClient) -> None:
    for _ in range(3):
        ask(client, "complete")
        ask(client, "stream")
    assert len({received.peer for received in kimi.requests}) == 1


def test_loops_one_after_the_other_and_beside_each_other(client: KimiClient) -> None:
    for _ in range(4):
        assert ask(client, "acomplete").choice.content
    answers: list[Completion] = []
    threads = [threading.Thread(target=lambda: answers.append(ask(client, "astream"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4


def test_clients_of_finished_loops_are_let_go(client: KimiClient) -> None:
    clients = set()
    for _ in range(4):
        ask(client, "acomplete")
        (kept,) = client.connection._async.values()
        clients.add(kept.client)
    assert len(clients) == 4
    assert all(one.is_closed() for one in clients)


@pytest.mark.slow
async def test_a_client_that_is_dropped_closes_its_connections(kimi: KimiEmulator) -> None:
    """In a running loop, and as part of a reference cycle, without a warning about open sockets."""
    import gc

    client = KimiClient(api_key=SECRET, base_url=kimi.base_url)
    client.complete(request())
    await client.acomplete(request())
    sync, (kept,) = client.connection._sync, client.connection._async.values()
    cycle: list[Any] = [client]
    cycle.append(cycle)
    del client, cycle
    gc.collect()
    for _ in range(20):
        await asyncio.sleep(0.01)
    assert sync is not None
    assert sync.is_closed()
    assert kept.client.is_closed()
    assert not kept._abandoned


def test_a_client_that_is_dropped_between_the_end_and_the_close_of_its_loop_is_not_kept(kimi: KimiEmulator) -> None:
    """The loop has ended its generators by then, and runs nothing any more: what waited for it would wait for ever."""
    import gc

    async def ask_once() -> KimiClient:
        client = KimiClient(api_key=SECRET, base_url=kimi.base_url)
        await client.acomplete(request())
        return client

    loop = asyncio.new_event_loop()
    client = loop.run_until_complete(ask_once())
    (kept,) = client.connection._async.values()
    loop.run_until_complete(loop.shutdown_asyncgens())
    del client
    gc.collect()
    loop.close()
    assert kept.client.is_closed()
    assert kept not in kept._abandoned


async def test_closing(client: KimiClient) -> None:
    await client.acomplete(request())
    client.complete(request())
    await client.aclose()
    client.close()
    client.close()
    await client.aclose()
    assert (await client.acomplete(request())).choice.content
    assert client.complete(request()).choice.content
    await client.aclose()


async def test_a_stream_left_in_the_middle_gives_its_connection_back(kimi: KimiEmulator, client: KimiClient) -> None:
    stream = client.astream(request(stream=True))
    await stream.__anext__()
    await stream.aclose()  # type: ignore[attr-defined]
    sync = client.stream(request(stream=True))
    next(sync)
    sync.close()  # type: ignore[attr-defined]
    assert (await client.acomplete(request())).choice.content
    assert client.complete(request()).choice.content
    await client.aclose()


def test_own_http_clients(kimi: KimiEmulator) -> None:
    http_client, http_async_client = openai.DefaultHttpxClient(), openai.DefaultAsyncHttpxClient()
    client = KimiClient(
        api_key=SECRET, base_url=kimi.base_url, http_client=http_client, http_async_client=http_async_client
    )
    client.complete(request())
    client.close()
    assert not http_client.is_closed
    http_client.close()

    async def asynchronous() -> bool:
        await client.acomplete(request())
        await client.aclose()
        closed = http_async_client.is_closed
        await http_async_client.aclose()
        return closed

    assert asyncio.run(asynchronous()) is False


@pytest.mark.parametrize(
    "settings",
    [
        {"text": "half a \ud83d"},
        {"extra_body": {"x": object()}},
        {"extra_body": {"x": float("nan")}},
        {"extra_body": {"x": [float("-inf")]}},
        {"extra_body": {"x": {1}}},
        {"extra_body": {"x": b"1"}},
        {"extra_body": {"x": {(1, 2): 3}}},
        {"extra_body": {"x": SecretStr("u")}},
    ],
)
def test_what_cannot_be_written_as_json(kimi: KimiEmulator, client: KimiClient, settings: dict[str, Any]) -> None:
    with pytest.raises(KimiRequestError, match="cannot be written as JSON"):
        client.complete(request(**settings))
    assert kimi.requests == []


def test_words_that_look_like_no_json_are_sent(kimi: KimiEmulator, client: KimiClient) -> None:
    client.complete(request(text="Is NaN more than -Infinity?"))
    assert kimi.requests[-1].body["messages"][-1]["content"] == "Is NaN more than -Infinity?"


@pytest.mark.says("docs/performance.md", "A request is written as JSON once, whatever its attempts.")
@pytest.mark.slow
def test_a_body_is_written_once_for_all_attempts(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from kimi_wire.transport import connection

    written = []
    write = connection._write_json
    monkeypatch.setattr(connection, "_write_json", lambda body: written.append(write(body)) or written[-1])
    kimi.script(Failure(500), Failure(500))
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url)
    client.complete(request())
    client.close()
    assert [len(kimi.requests), len(written)] == [3, 1]
    assert all(one.body == json.loads(written[0]) for one in kimi.requests)


def test_no_secret_in_sight(client: KimiClient) -> None:
    assert SECRET not in repr(client)
    assert copy.deepcopy(client) is client


@pytest.mark.slow
def test_the_sdk_is_imported_with_the_first_call_only() -> None:
    import subprocess
    import sys

    code = "import sys, kimi_wire, kimi_wire.endpoints.chat as c; c.KimiClient(api_key='k', base_url='http://x'); print('openai' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_START"}
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert printed.stdout.strip() == "False"


def test_a_connection_takes_from_the_environment_what_it_is_not_given(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-test")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    with_all = KimiConnection.resolved()
    listed = with_all.request("get", "/models").json()
    assert listed["data"][0]["id"] == kimi.served_models()[0].id
    with_all.close()
