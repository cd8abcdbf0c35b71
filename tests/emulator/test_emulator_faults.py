"""Answers that break off, fall silent or drag on: at any event, at any byte, in short times."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply

pytestmark = pytest.mark.slow  # it waits

HELLO = {"model": "kimi-k3", "messages": [{"role": "user", "content": "Hello"}]}
COMMENT = b": keep-alive\n\n"
SAID = "Ein Wörtchen: 你好 🙂"


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Check that no thread sleeps on."""
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + 20
    while time.monotonic() < until and set(threading.enumerate()) - before:
        time.sleep(0.005)
    assert set(threading.enumerate()) - before == set()


class Client:
    """Reads an answer as it arrives, and notes when."""

    def __init__(self, kimi: KimiEmulator, **fields: Any) -> None:
        url = urlsplit(kimi.base_url)
        assert url.hostname
        self.connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
        self.connection.request(
            "POST", "/v1/chat/completions", json.dumps({**HELLO, **fields}), {"Authorization": "Bearer sk-test"}
        )
        self.data = b""
        self.broken = False
        self._waits: list[tuple[float, int]] = []

    def read(self) -> Client:
        """Read to the end, good or bad."""
        response = self.connection.getresponse()
        piece = b"."
        while piece:
            began = time.monotonic()
            try:
                piece = response.read1(65536)
                self.broken = not piece and response.length not in (None, 0)
            except (http.client.IncompleteRead, ConnectionError):
                piece, self.broken = b"", True
            self._waits.append((time.monotonic() - began, len(self.data)))
            self.data += piece
        self.connection.close()
        return self

    def silences(self, count: int = 1) -> list[int]:
        """Return how many bytes there were before the longest silences."""
        longest = sorted(self._waits)[-count:]
        assert all(seconds > 0.09 for seconds, _ in longest)
        return sorted(position for _, position in longest)


def fetch(kimi: KimiEmulator, reply: Reply | Failure, **fields: Any) -> Client:
    kimi.script(reply)
    return Client(kimi, **fields).read()


def constant(kimi: KimiEmulator, stream: bool) -> tuple[Callable[..., Reply], bytes]:
    """Return a maker of replies with the same bytes each time, and those bytes."""
    event = {"choices": [{"index": 0, "delta": {"content": SAID}, "finish_reason": None}]}

    def make(**faults: Any) -> Reply:
        return Reply(events=[event, event], **faults) if stream else Reply(body={"choices": [SAID, SAID]}, **faults)

    return make, fetch(kimi, make(), stream=stream).data


@pytest.mark.parametrize("stream", [False, True])
def test_cut_at_any_byte(stream: bool, kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, stream)
    assert SAID.encode() in whole
    for size in range(len(whole) + 1):
        got = fetch(kimi, make(cut_after_bytes=size), stream=stream)
        assert got.data == whole[:size]
        assert got.broken is (stream or size < len(whole))
    late = fetch(kimi, make(cut_after_bytes=len(whole) + 9), stream=stream)
    assert (late.data, late.broken) == (whole, stream)


def test_cut_of_a_rendered_stream(kimi: KimiEmulator) -> None:
    got = fetch(kimi, Reply(SAID, reasoning="Hm.", cut_after_bytes=700), stream=True)
    assert (len(got.data), got.broken) == (700, True)


def test_the_earlier_cut_counts(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, True)
    first = whole.index(b"\n\n") + 2
    assert fetch(kimi, make(cut_after=1, cut_after_bytes=10), stream=True).data == whole[:10]
    assert fetch(kimi, make(cut_after=1, cut_after_bytes=first + 10), stream=True).data == whole[:first]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("at", [None, 0, 1, 40, 65, 100_000])
def test_stall_at_any_byte(at: int | None, stream: bool, kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, stream)
    got = fetch(kimi, make(stall=0.15, stall_after_bytes=at), stream=stream)
    assert (got.data, got.broken) == (whole, False)
    expected = min(at or 0, len(whole))
    if stream or expected < len(whole):
        assert got.silences() == [expected]


def test_stall_after_events(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, True)
    ends = [0, whole.index(b"\n\n") + 2, whole.rindex(b"data: [DONE]"), len(whole), len(whole)]
    for number, end in enumerate(ends):
        got = fetch(kimi, make(stall=0.15, stall_after=number), stream=True)
        assert got.data == whole
        assert got.silences() == [end]


def test_stall_in_the_middle_of_a_body(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, False)
    got = fetch(kimi, make(stall=0.15, stall_after=1))
    assert got.data == whole
    assert got.silences() == [len(whole) // 2]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("stall", "cut"), [(20, 20), (20, 50), (50, 20), (0, 0)])
def test_stall_then_cut(stall: int, cut: int, stream: bool, kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, stream)
    got = fetch(kimi, make(stall=0.15, stall_after_bytes=stall, cut_after_bytes=cut), stream=stream)
    assert (got.data, got.broken) == (whole[:cut], True)
    assert stall > cut or got.silences() == [stall]


def test_stall_then_cut_after_events(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, True)
    got = fetch(kimi, make(stall=0.15, stall_after=1, cut_after=1), stream=True)
    first = whole.index(b"\n\n") + 2
    assert (got.data, got.broken) == (whole[:first], True)
    assert got.silences() == [first]


def test_keep_alive_between_all_events(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, True)
    events = [event + b"\n\n" for event in whole.split(b"\n\n")[:-1]]
    got = fetch(kimi, make(keep_alive=0), stream=True)
    assert got.data == b"".join(COMMENT + event for event in events)
    assert not got.broken


def test_keep_alive_while_silent(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, True)
    first = whole.index(b"\n\n") + 2
    got = fetch(kimi, make(stall=0.3, stall_after=1, keep_alive=0.05), stream=True)
    comments = got.data.count(COMMENT)
    assert 4 <= comments <= 6
    assert got.data == whole[:first] + comments * COMMENT + whole[first:]
    slow = fetch(kimi, make(chunk_delay=0.12, keep_alive=0.05), stream=True)
    assert slow.data.count(COMMENT) == 6
    assert slow.data.replace(COMMENT, b"") == whole


def test_no_comment_inside_an_event(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, True)
    assert fetch(kimi, make(stall=0.15, stall_after_bytes=20, keep_alive=0.05), stream=True).data == whole


def test_slow_events(kimi: KimiEmulator) -> None:
    make, whole = constant(kimi, True)
    got = fetch(kimi, make(chunk_delay=0.1), stream=True)
    assert got.data == whole
    assert got.silences(3) == [
        whole.index(b"\n\n") + 2, whole.rindex(b"data: [DONE]"), len(whole)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "stream"),
    [
        (Reply("one", stall=60), True),
        (Reply("one", stall=60, stall_after=1), True),
        (Reply("one", stall=60, stall_after_bytes=9), False),
        (Reply("one", stall=60, stall_after=2, keep_alive=0.02), True),
        (Reply("one", chunk_delay=60), True),
        (Reply("one", delay=60), False),
        (Failure(500, delay=60), False),
    ],
)
@pytest.mark.parametrize("hangs_up", ["client", "server"])
@pytest.mark.usefixtures("no_thread_left")
def test_nobody_waits_in_vain(reply: Reply | Failure, stream: bool, hangs_up: str) -> None:
    began = time.monotonic()
    with KimiEmulator() as kimi:
        kimi.script(reply)
        client = Client(kimi, stream=stream)
        while not kimi.requests:
            time.sleep(0.002)
        time.sleep(0.05)
        if hangs_up == "client":
            client.connection.close()
    client.connection.close()
    assert time.monotonic() - began < 30


@pytest.mark.usefixtures("no_thread_left")
def test_a_client_that_gives_up_can_ask_again(http_send: Callable[..., Any]) -> None:
    with KimiEmulator() as kimi:
        kimi.script(Reply("one", stall=60, stall_after=1), Reply("two"))
        url = urlsplit(kimi.base_url)
        client = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
        client.request(
            "POST", "/v1/chat/completions", json.dumps({**HELLO, "stream": True}), {"Authorization": "Bearer sk-1"}
        )
        response = client.getresponse()
        assert response.readline().startswith(b"data: ")
        client.sock.settimeout(0.1)
        with pytest.raises(TimeoutError):
            response.read()
        response.close()
        client.close()
        assert http_send(kimi, HELLO).message["content"] == "two"


def test_the_connection_lives_on_after_a_silence(kimi: KimiEmulator) -> None:
    kimi.script(Reply("one", stall=0.05, stall_after=1, chunk_delay=0.01, delay=0.01), Reply("two"))
    url = urlsplit(kimi.base_url)
    client = http.client.HTTPConnection(str(url.hostname), url.port, timeout=10)
    for stream in (True, False):
        client.request(
            "POST", "/v1/chat/completions", json.dumps({**HELLO, "stream": stream}), {"Authorization": "Bearer sk-1"}
        )
        assert client.getresponse().read()
    client.close()
    assert len({request.peer for request in kimi.requests}) == 1


@pytest.mark.parametrize("stops", [False, True])
def test_a_request_sent_early_does_not_end_the_silence(stops: bool) -> None:
    body = json.dumps(HELLO).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer sk-1\r\nContent-Length: {len(body)}\r\n\r\n"
    with KimiEmulator() as kimi:
        kimi.script(Reply("one", stall=60 if stops else 0.2), Reply("two"))
        url = urlsplit(kimi.base_url)
        with socket.create_connection((str(url.hostname), url.port), timeout=5) as client:
            began = time.monotonic()
            client.sendall(head.encode() + body)
            while not kimi.requests:
                time.sleep(0.002)
            client.sendall(head.encode() + body)
            time.sleep(0.02)
            if stops:
                kimi.stop()
            got = b""
            while b'"two"' not in got and (piece := client.recv(65536)):
                got += piece
            taken = time.monotonic() - began
    assert (b'"one"' in got, b'"two"' in got) == (not stops, not stops)
    assert taken < 30 if stops else taken > 0.15


def test_a_whole_answer_out_of_a_broken_one(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    """What the faults are for: the text that arrived, continued in Partial Mode, is the whole."""
    kimi.script(Reply(SAID * 9, whole=True, cut_after=7), Reply(SAID * 9, whole=True))
    got = fetch_broken(kimi)
    assert got
    messages = [*HELLO["messages"], {"role": "assistant", "content": got, "partial": True}]
    assert got + ask(messages=messages).message["content"] == SAID * 9


def fetch_broken(kimi: KimiEmulator) -> str:
    data = Client(kimi, stream=True).read().data.decode()
    events = [json.loads(line.removeprefix("data: ")) for line in data.split("\n\n") if line]
    return "".join(event["choices"][0]["delta"].get("content", "") for event in events)
