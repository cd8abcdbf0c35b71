"""The HTTP server: sockets, and the order in which a request is checked and answered."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from .. import answering, hosts, rules
from ..request import ChatRequest, Rejected
from ..scripting import Failure, RecordedRequest, Reply
from ..state import State
from . import endpoints, shapes
from .calls import Call
from .delivery import Cut, Delivery

# https://platform.kimi.ai/docs/guide/use-kimi-vision-model: the whole request body may have 100 MB.
MAX_BODY = 100 * 1024 * 1024
# A file may have 100 MB of its own (https://platform.kimi.ai/docs/api/files-upload), with the form around it.
MAX_FORM = MAX_BODY + 1024 * 1024


class Server(ThreadingHTTPServer):
    """Listens for an emulator, one thread for each connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024  # what does not fit is reset, and a thousand calls at once are no fault of theirs

    def __init__(self, address: tuple[str, int], state: State) -> None:
        self.state = state
        self.name = address[0]  # as its maker calls it
        self.stopped = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection, and serve it in a thread of its own."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget the connection, and close it."""
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Hang up on everybody."""
        self.stopped.set()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own business."""


def _is_address(host: str) -> bool:
    """Whether a host is an address; no name of the web can be one."""
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "kimi-emulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: Server
    record: RecordedRequest

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: what happened is in ``requests``."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_GET

    def _answer(self) -> None:
        state = self.server.state
        headers = {name.lower(): value for name, value in self.headers.items()}
        raw, refusal = b"", None
        try:
            self._check_host()
            raw = self._read_body()
        except Rejected as rejected:
            refusal, self.close_connection = rejected, True
        self.record = RecordedRequest(self.command, self.path, headers, None, raw, peer=self.client_address)
        state.requests.add(self.record)
        try:
            if refusal:
                raise refusal
            rules.check_key(headers.get("authorization"), state.keys)
            self._route(Call(state, self.record))
        except Rejected as rejected:
            self.record.rejected = True
            self._send_failure(Failure(rejected.status, rejected.message, rejected.type))
        except RecursionError:
            self._send_json(400, shapes.error_body("Invalid request: it is nested too deep", "invalid_request_error"))
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            if self.record.status:
                raise
            self._send_json(500, shapes.error_body(f"{type(error).__name__}: {error}", "server_error"))

    def _check_host(self) -> None:
        """Let in who asks for this server: a page of the web whose name leads to 127.0.0.1 asks for that name.

        Raises:
            Rejected: If the connection is the machine's own, and its request for another name than the machine's.
        """
        if not ipaddress.ip_address(self.connection.getsockname()[0].partition("%")[0]).is_loopback:
            return
        try:
            asked = urlsplit(f"//{self.headers.get('Host', 'localhost')}").hostname or ""
        except ValueError:
            asked = ""
        known = {"localhost", self.server.name.lower()}
        if asked not in known and not asked.endswith(".localhost") and not _is_address(asked):
            raise Rejected("Invalid request: this host is not served here", status=421)

    def _read_body(self) -> bytes:
        """Read as much as the request says that it has.

        Raises:
            Rejected: If it does not say so, in one number, or has too much.
        """
        if self.headers.get("Transfer-Encoding"):
            raise Rejected("Invalid request: a Content-Length is required", status=411)
        lengths = set(self.headers.get_all("Content-Length") or ["0"])
        length = lengths.pop().strip()
        if lengths or not (length.isascii() and length.isdigit()):
            raise Rejected("Invalid request: the Content-Length is not a number")
        form = self.headers.get("Content-Type", "").startswith("multipart/form-data")
        if len(length) > 15 or int(length) > (MAX_FORM if form else MAX_BODY):
            raise Rejected("Request exceeds the maximum size", status=413)
        return self.rfile.read(int(length))

    def _route(self, call: Call) -> None:
        if (self.command, call.path) == ("POST", "/v1/chat/completions"):
            self._chat(call.json())
        else:
            answer = endpoints.route(call)
            self._send_json(answer.status, answer.body, answer.headers)

    def _chat(self, body: Any) -> None:
        state = self.server.state
        request, reply = answering.decide(state, body)
        self._pause(reply.delay)
        if isinstance(reply, Failure):
            self._send_failure(reply)
            return
        usage = answering.account(state, request, reply)
        saved = answering.cached_tokens(usage)
        if saved:
            reply = replace(reply, headers={"Msh-Context-Cache-Token-Saved": str(saved), **reply.headers})
        envelope = shapes.Envelope(request.model, request.family)
        if request.streams:
            self._send_stream(reply, self._events(reply, request, envelope, usage))
        else:
            rendered = shapes.completion_body(reply, envelope, usage, request.choices)
            rendered = hosts.write_completion(rendered, request, state.host)
            body = rendered if reply.body is None else reply.body
            self._send_json(200, body, reply.headers, reply=reply)

    def _events(
        self, reply: Reply, request: ChatRequest, envelope: shapes.Envelope, usage: Mapping[str, Any]
    ) -> Iterable[bytes]:
        events: Iterable[Mapping[str, Any] | str | bytes] = reply.events or ()
        if reply.events is None:
            rendered = shapes.stream_events(
                reply, envelope, usage, include_usage=request.includes_usage, choices=request.choices
            )
            events = hosts.write_events(rendered, request, self.server.state.host)
        for event in itertools.islice(events, reply.error_after):
            yield shapes.sse(event)
        if reply.error_after is not None:
            yield shapes.sse({"error": reply.error.error})
        elif reply.done:
            yield shapes.sse("[DONE]")

    def _send_stream(self, reply: Reply, events: Iterable[bytes]) -> None:
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "Transfer-Encoding": "chunked"}
        self._send_head(200, {**headers, **reply.headers})
        self.wfile.flush()
        pause = self.server.state.chunk_delay if reply.chunk_delay is None else reply.chunk_delay
        delivery = Delivery(reply, self._write_chunk, self._pause, pause)
        try:
            delivery.send_events(events)
        except Cut:
            self._cut()
            return
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _pause(self, seconds: float) -> None:
        """Wait.

        Raises:
            ConnectionAbortedError: If the client hangs up, or the server stops.
        """
        if seconds <= 0:
            return
        self.wfile.flush()
        until = time.monotonic() + seconds
        self.connection.settimeout(seconds)
        try:
            alive = self.connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return
        finally:
            self.connection.settimeout(None)
        # What came is the next request, sent early: no hanging up can be seen behind it.
        if not alive or self.server.stopped.wait(max(until - time.monotonic(), 0)):
            raise ConnectionAbortedError("nobody waits for this answer any more")

    def _send_failure(self, failure: Failure) -> None:
        body = {"error": failure.error} if failure.body is None else failure.body
        self._send_json(failure.status, body, failure.all_headers, message=failure.error["message"])

    def _send_json(
        self,
        status: int,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        message: str | None = None,
        reply: Reply | None = None,
    ) -> None:
        text = body if isinstance(body, (str, bytes)) else shapes.encode(body)
        data = text if isinstance(text, bytes) else text.encode("utf-8", "replace")
        html = isinstance(body, str) and body.lstrip().startswith("<")
        usual = {
            "Content-Type": "text/html" if html else "application/json; charset=utf-8",
            "Content-Length": str(len(data)),
        }
        if status >= 400:
            self.record.error = message or body["error"]["message"]
        self._send_head(status, {**usual, **(headers or {})})
        if reply is None:
            self.wfile.write(data if self.command != "HEAD" else b"")
        else:
            try:
                Delivery(reply, self.wfile.write, self._pause).send_body(data)
            except Cut:
                self._cut()
        self.wfile.flush()

    def _send_head(self, status: int, headers: Mapping[str, str]) -> None:
        self.record.status = status
        on_answer = self.server.state.on_answer
        if on_answer:
            on_answer(self.record)
        merged = {name.lower(): (name, value) for name, value in {**shapes.common_headers(), **headers}.items()}
        self.send_response(status)
        for name, value in merged.values():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
