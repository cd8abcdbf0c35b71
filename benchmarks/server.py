"""A loopback server that writes bytes rendered beforehand, so that what is measured is the client.

The first segment of a path says what the answer is: `/answer/chat/completions` is a whole one,
`/text-2000-5/chat/completions` a stream of 2,000 pieces of 5 characters each, `/tool-...` the same as the arguments
of a tool call. Each event is an HTTP chunk of its own, as Moonshot's gateway sends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

MODEL = "kimi-k3"
TOOL = "write_file"

_WORDS = "the quick brown fox jumps over the lazy dog and goes on to tell of it "
_USAGE = {"prompt_tokens": 93, "completion_tokens": 54, "total_tokens": 147, "cached_tokens": 64}


def piece(size: int, index: int) -> str:
    """The piece number `index` of a text, of `size` characters."""
    start = index * size % len(_WORDS)
    return (_WORDS * (size // len(_WORDS) + 2))[start : start + size]


@functools.lru_cache(maxsize=64)
def render_response(name: str) -> bytes:
    """Render the HTTP response that a path's first segment asks for.

    Args:
        name: `answer`, or a kind (`text`, `tool`), a number of pieces and their length in characters, as `text-2000-5`.
    """
    if name == "answer":
        message = {"role": "assistant", "content": "Paris.", "reasoning_content": "That is easy."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = _dump({**_head("chat.completion"), "choices": [choice], "usage": _USAGE})
        return _status("application/json", f"content-length: {len(body)}") + body
    kind, count, size = name.split("-")
    render_deltas = {"text": _text_deltas, "tool": _tool_deltas}[kind]
    events = [_event({"role": "assistant", "content": ""})]
    events += [_event(delta) for delta in render_deltas(int(count), int(size))]
    events.append(_event({}, finish_reason="tool_calls" if kind == "tool" else "stop", usage=_USAGE))
    events.append(b"data: [DONE]\n\n")
    chunks = [b"%x\r\n%s\r\n" % (len(event), event) for event in events]
    return _status("text/event-stream", "transfer-encoding: chunked") + b"".join(chunks) + b"0\r\n\r\n"


def _text_deltas(count: int, size: int) -> Iterator[dict[str, Any]]:
    for index in range(count):
        yield {"content": piece(size, index)}


def _tool_deltas(count: int, size: int) -> Iterator[dict[str, Any]]:
    function: dict[str, Any] = {"name": TOOL, "arguments": ""}
    yield {"tool_calls": [{"index": 0, "id": f"{TOOL}:0", "type": "function", "function": function}]}
    for index in range(count):
        text = piece(size, index)
        if index == 0:
            text = ('{"text":"' + text)[:size]
        elif index == count - 1:
            text = text[: size - 2] + '"}'
        yield {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}


def _head(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-6a4f3b2c1d0e", "object": kind, "created": 1780000000, "model": MODEL}


def _event(delta: dict[str, Any], finish_reason: str | None = None, usage: dict[str, Any] | None = None) -> bytes:
    choice: dict[str, Any] = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    event = {**_head("chat.completion.chunk"), "choices": [choice], "system_fingerprint": "fpv0_12345678"}
    return b"data: " + _dump({**event, "usage": usage} if usage else event) + b"\n\n"


def _dump(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _status(content_type: str, framing: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nmsh-request-id: 1\r\n{framing}\r\n\r\n".encode()


class _Connection(asyncio.Protocol):
    """Reads requests by their length alone, and answers each with the bytes of its path."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._head_end = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        self._head_end = self._head_end or self._received.find(b"\r\n\r\n") + 4
        if self._head_end < 4:
            self._head_end = 0
            return
        head = bytes(self._received[: self._head_end])
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(self._received) >= self._head_end + int(length or 0):
            self._received.clear()
            self._head_end = 0
            self._transport.write(render_response(head.split(b"/", 2)[1].decode()))


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # its end is the end of who started this


@contextlib.contextmanager
def running_server() -> Iterator[str]:
    """Run the server in a process of its own; gives its root URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve())
