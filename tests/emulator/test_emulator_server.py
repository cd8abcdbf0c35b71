"""The server: keys, routes, scripted answers and faults, connections, the command line."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from kimi_emulator.__main__ import main

HELLO = {"model": "kimi-k3", "messages": [{"role": "user", "content": "Hello"}]}


def connect(kimi: KimiEmulator) -> http.client.HTTPConnection:
    url = urlsplit(kimi.base_url)
    assert url.hostname
    return http.client.HTTPConnection(url.hostname, url.port, timeout=10)


def post(connection: http.client.HTTPConnection, body: dict[str, Any]) -> http.client.HTTPResponse:
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Authorization": "Bearer sk-test"})
    return connection.getresponse()


@pytest.mark.parametrize(
    ("key", "message", "type"),
    [
        (None, "Incorrect API key provided", "incorrect_api_key_error"),
        ("pk-1", "Incorrect API key provided", "incorrect_api_key_error"),
        ("sk-kimi-1", "Invalid Authentication", "invalid_authentication_error"),
    ],
)
@pytest.mark.parametrize("path", ["/chat/completions", "/models", "/nothing"])
def test_key(
    key: str | None, message: str, type: str, path: str, kimi: KimiEmulator, http_send: Callable[..., Any]
) -> None:
    answer = http_send(kimi, HELLO if path == "/chat/completions" else None, path=path, key=key)
    assert answer.status == 401
    assert answer.json == {"error": {"message": message, "type": type}}


@pytest.mark.parametrize("key", ["test", "dummy", "EMPTY"])
def test_placeholders_are_keys_where_none_are_named(key: str, http_send: Callable[..., Any]) -> None:
    with KimiEmulator() as kimi:
        assert http_send(kimi, HELLO, key=key).status == 200
        kimi.keys = frozenset({"sk-one"})
        assert http_send(kimi, HELLO, key=key).status == 401


def test_chosen_keys(http_send: Callable[..., Any]) -> None:
    with KimiEmulator(keys={"sk-one"}) as kimi:
        assert "sk-one" not in repr(kimi) + repr(kimi.state)
        assert http_send(kimi, HELLO, key="sk-one").status == 200
        assert http_send(kimi, HELLO, key="sk-two").status == 401


def test_other_routes(kimi: KimiEmulator, http_send: Callable[..., Any]) -> None:
    completions = http_send(kimi, {}, path="/completions")
    assert completions.status == 403
    assert completions.json["error"] == {"message": "no open api access", "type": "permission_denied_error"}
    for method, path in (("POST", "/embeddings"), ("GET", "/chat/completions"), ("DELETE", "/models/kimi-k3")):
        answer = http_send(kimi, {} if method == "POST" else None, method=method, path=path)
        assert (answer.status, answer.json["error"]["type"]) == (404, "resource_not_found_error")


@pytest.mark.parametrize("raw", [b"{", b"[]", b"\xff", b""])
def test_bodies_that_are_no_object(raw: bytes, kimi: KimiEmulator, http_send: Callable[..., Any]) -> None:
    answer = http_send(kimi, raw)
    assert answer.status == 400
    assert answer.error.startswith("Invalid request: the request body")


def test_body_beyond_the_limit(kimi: KimiEmulator) -> None:
    connection = connect(kimi)
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Content-Length", str(101 * 1024 * 1024))
    connection.endheaders()
    response = connection.getresponse()
    assert response.status == 413
    assert b"Request exceeds the maximum size" in response.read()
    connection.close()


def test_requests_are_recorded(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    ask("Hello")
    ask("Hello", temperature=0)
    kimi.script(Failure(400, "no"))
    ask("Hello")
    first, second, third = kimi.requests
    assert (first.method, first.path, first.status, first.error) == ("POST", "/v1/chat/completions", 200, None)
    assert first.had_key("sk-test")
    assert json.loads(first.raw) == first.body == HELLO
    assert (third.status, third.error, third.rejected) == (400, "no", False)
    assert kimi.rejections == [second]
    kimi.reset()
    assert kimi.requests == []


def test_script(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply("one"), lambda body: Reply(body["messages"][0]["content"].upper()))
    assert ask("Hello", temperature=0).status == 400
    assert ask("Hello").message == {"role": "assistant", "content": "one"}
    assert ask("loud").message["content"] == "LOUD"
    assert ask("Hello").message["content"].startswith("Hello!")


def test_script_that_breaks(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(lambda body: body["nothing"])
    answer = ask("Hello")
    assert (answer.status, answer.error) == (500, "KeyError: 'nothing'")


def test_scripted_answers_are_not_cut(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply("a b c", finish_reason="length"))
    answer = ask("Hello", max_tokens=1, stop="b")
    assert answer.message["content"] == "a b c"
    assert answer.json["choices"][0]["finish_reason"] == "length"


def test_reasoning_absent_and_empty(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply("a"), Reply("a", reasoning=""))
    assert "reasoning_content" not in ask("Hello").message
    assert ask("Hello").message["reasoning_content"] == ""


def test_broken_arguments_stay_broken(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    reply = Reply(tool_calls=[ToolCall("f", '{"a": ', id="x")])
    kimi.script(reply, reply)
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a": '}}
    assert ask("Hello").message["tool_calls"] == [call]
    deltas = [event["choices"][0]["delta"] for event in ask("Hello", stream=True).events[:-1]]
    pieces = [delta["tool_calls"][0]["function"]["arguments"] for delta in deltas if "tool_calls" in delta]
    assert pieces[0] == ""
    assert "".join(pieces) == '{"a": '


@pytest.mark.parametrize("size", [None, 1, 3, 1000])
def test_deltas_sum_to_the_answer(size: int | None, kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    said, thought, given = "  One,\n\ntwo 你好 three! ", "Hm \n so", {"a": 'quote " and \\ 你', "b": [1, {"c": None}]}
    kimi.script(Reply(said, thought, [ToolCall("f", given)], chunk_size=size))
    deltas = [event["choices"][0]["delta"] for event in ask("Hello", stream=True).events[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas) == said
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == thought
    calls = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert json.loads("".join(calls)) == given


def test_failures(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(
        Failure(429),
        Failure(429, type="engine_overloaded_error"),
        Failure(429, type="exceeded_current_quota_error"),
        Failure(500),
        Failure(504, body="<html>504 Gateway Time-out</html>"),
        Failure(429, headers={"retry-after": "0"}),
        Failure(400, type="content_filter", body={"error": {"code": 400}}),
    )
    limited = ask("Hello")
    assert limited.json["error"]["type"] == "rate_limit_reached_error"
    assert [limited.headers[name] for name in ("retry-after", "x-retry-after", "msh-cooldown-seconds")] == ["1"] * 3
    overloaded = ask("Hello")
    assert overloaded.error == "The engine is currently overloaded, please try again later"
    assert "retry-after" not in overloaded.headers
    assert "insufficient balance" in ask("Hello").error
    assert ask("Hello").json["error"]["type"] == "server_error"
    page = ask("Hello")
    assert (page.status, page.headers["content-type"]) == (504, "text/html")
    assert page.raw == b"<html>504 Gateway Time-out</html>"
    assert ask("Hello").headers["retry-after"] == "0"
    assert ask("Hello").json == {"error": {"code": 400}}


def test_cut_stream(kimi: KimiEmulator) -> None:
    kimi.script(Reply("one two three", cut_after=2))
    connection = connect(kimi)
    response = post(connection, {**HELLO, "stream": True})
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as caught:
        response.read()
    if isinstance(caught.value, http.client.IncompleteRead):
        assert caught.value.partial.count(b"data: ") == 2
    connection.close()


def test_cut_body(kimi: KimiEmulator) -> None:
    kimi.script(Reply("one two three", cut_after=0))
    connection = connect(kimi)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        post(connection, HELLO).read()
    connection.close()


def test_error_inside_a_stream(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply("one two", error_after=2), Reply("one", error_after=1, error=Failure(500, "boom")))
    events = ask("Hello", stream=True).events
    assert len(events) == 3
    assert events[-1]["error"]["type"] == "engine_overloaded_error"
    assert ask("Hello", stream=True).events[-1] == {"error": {"message": "boom", "type": "server_error"}}


def test_stream_without_done(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply("one", done=False))
    assert ask("Hello", stream=True).events[-1]["choices"][0]["finish_reason"] == "stop"


def test_raw_events(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply(events=[{"choices": []}, "not json", b": comment\n\n"]))
    assert ask("Hello", stream=True).raw == b'data: {"choices":[]}\n\ndata: not json\n\n: comment\n\ndata: [DONE]\n\n'


def test_raw_body(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply(body={"choices": []}, headers={"X-Test": "1"}), Reply(body=[]))
    answer = ask("Hello")
    assert answer.json == {"choices": []}
    assert answer.headers["x-test"] == "1"
    assert ask("Hello").json == []


def test_delays(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.script(Reply("one", delay=0.05, chunk_delay=0.02))
    began = time.perf_counter()
    ask("Hello", stream=True)
    assert time.perf_counter() - began > 0.05 + 3 * 0.02


def test_connections_are_kept_alive(kimi: KimiEmulator) -> None:
    connection = connect(kimi)
    post(connection, HELLO).read()
    kept = connection.sock
    for body in ({**HELLO, "temperature": 0}, {**HELLO, "stream": True}, HELLO):
        post(connection, body).read()
        assert connection.sock is kept
    connection.close()
    assert len({request.peer for request in kimi.requests}) == 1


def test_many_at_once(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    said: list[str] = []
    threads = [
        threading.Thread(target=lambda n=n: said.append(ask(f"What is {n} + {n}?").message["content"]))
        for n in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(said) == sorted(f"{n} + {n} = {2 * n}" for n in range(16))


def test_stop_closes_connections(http_send: Callable[..., Any]) -> None:
    kimi = KimiEmulator().start()
    connection = connect(kimi)
    post(connection, HELLO).read()
    kimi.stop()
    kimi.stop()
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        post(connection, HELLO)
    connection.close()


@pytest.mark.says("docs/testing.md", "`python -m kimi_emulator --port 8000` serves it to any program.")
@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_command_line(stop: signal.Signals) -> None:
    if signal.getsignal(stop) is signal.SIG_IGN:
        pytest.skip(f"{stop.name} is ignored here, and so in processes started from here: a job in the background")
    command = [sys.executable, "-m", "kimi_emulator", "--port", "0"]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout
        url = urlsplit(process.stdout.readline().strip())
        assert (url.hostname, url.path) == ("127.0.0.1", "/v1")
        exports = [process.stdout.readline().strip() for _ in range(2)]
        assert exports == [f"export MOONSHOT_BASE_URL={url.geturl()}", "export MOONSHOT_API_KEY=sk-emulator"]
        connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=10)
        post(connection, {**HELLO, "temperature": 0}).read()
        connection.close()
        line = process.stdout.readline().strip()
        process.send_signal(stop)
        assert process.wait(10) == 0
    assert line == "POST /v1/chat/completions 400 kimi-k3 invalid temperature: only 1 is allowed for this model"


@pytest.mark.says("docs/testing.md", "`requests_per_minute=3` plays the rate limit of a tier")
def test_a_rate_limit(http_send: Callable[..., Any]) -> None:
    with KimiEmulator(requests_per_minute=3) as kimi:
        assert [http_send(kimi, HELLO).status for _ in range(5)] == [200, 200, 200, 429, 429]
        assert http_send(kimi, path="/models").status == 200
        refused = http_send(kimi, HELLO)
        recorded = Failure(429)
        assert refused.json == {"error": recorded.error}
        assert refused.headers.items() >= {name.lower(): text for name, text in recorded.all_headers.items()}.items()
        assert len(kimi.rejections) == 3
        kimi.pass_time(59)
        assert http_send(kimi, HELLO).status == 429
        kimi.pass_time(1)
        assert [http_send(kimi, HELLO).status for _ in range(4)] == [200, 200, 200, 429]
        kimi.reset()
        assert http_send(kimi, HELLO).status == 200


@pytest.mark.says("docs/testing.md", "`python -m kimi_emulator --requests-per-minute 3` does so for any program")
def test_the_command_line_takes_a_rate_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}

    class Made(KimiEmulator):
        def __init__(self, *args: Any, **settings: Any) -> None:
            made.update(settings)
            raise KeyboardInterrupt

    monkeypatch.setattr("kimi_emulator.__main__.KimiEmulator", Made)
    with pytest.raises(KeyboardInterrupt):
        main(["--requests-per-minute", "3"])
    assert made["requests_per_minute"] == 3


def test_command_line_on_a_taken_port(kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", str(urlsplit(kimi.base_url).port), "--quiet"]) == 1
    assert re.search(r"cannot listen on 127\.0\.0\.1:\d+: .+", capsys.readouterr().err)
