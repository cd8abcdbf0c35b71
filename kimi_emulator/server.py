"""The HTTP server: sockets, routes and the order in which a request is checked and answered."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from . import answering, brain, rules, shapes
from .delivery import Cut, Delivery
from .families import FAMILIES, MODELS, Model
from .request import ChatRequest, Rejected
from .scripting import Failure, RecordedRequest, Reply, Step
from .tokens import PromptCache

# https://platform.kimi.ai/docs/guide/use-kimi-vision-model: the whole request body may have 100 MB.
MAX_BODY = 100 * 1024 * 1024


class KimiEmulator:
    """A strict local stand-in for the Kimi API.

    Requests that the API would refuse are refused with its words. The others take the next scripted step, or are
    answered by a small built-in model that thinks aloud, calls tools, reads context and writes JSON by schema.

    Example:
        ```python
        with KimiEmulator() as kimi:
            kimi.script(Reply("Hello!", reasoning="A greeting."), Failure(429, type="engine_overloaded_error"))
            client = OpenAI(base_url=kimi.base_url, api_key="sk-test")
        ```

    Attributes:
        requests: Every request received, in order.
    """

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        keys: Iterable[str] | None = None,
        extra_models: Mapping[str, str] | None = None,
        serve_retired: bool = True,
        chunk_delay: float = 0.0,
        check: bool = True,
        on_answer: Callable[[RecordedRequest], None] | None = None,
    ) -> None:
        """Set an emulator up; it listens from ``start()`` on, or inside ``with``.

        Args:
            port: The port; 0 takes a free one.
            host: The address to listen on.
            keys: The accepted API keys; None accepts whatever begins with ``sk-``.
            extra_models: More model ids, each with the family whose rules it follows: ``{"kimi-k4": "k3"}``.
            serve_retired: Whether models that Moonshot has withdrawn still answer.
            chunk_delay: Seconds between streamed events.
            check: Whether the rules apply; without them any model id and any body is answered.
            on_answer: Called with each request once its answer is decided.

        Raises:
            ValueError: If an extra model names an unknown family.
        """
        self.extra_models = dict(extra_models or {})
        unknown = set(self.extra_models.values()) - set(FAMILIES)
        if unknown:
            raise ValueError(f"unknown families {sorted(unknown)}; there are {sorted(FAMILIES)}")
        self.keys = None if keys is None else frozenset(keys)
        self.serve_retired = serve_retired
        self.chunk_delay = chunk_delay
        self.check = check
        self.on_answer = on_answer
        self.requests: list[RecordedRequest] = []
        self._cache = PromptCache()
        self._steps: deque[Step] = deque()
        self._lock = threading.Lock()
        self._address = (host, port)
        self._server: _Server | None = None

    @property
    def base_url(self) -> str:
        """Where clients connect to, such as ``http://127.0.0.1:8000/v1``."""
        host, port = self._server.server_address[:2] if self._server else self._address
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/v1"

    @property
    def rejections(self) -> list[RecordedRequest]:
        """The requests that a rule of the API refused."""
        return [request for request in self.requests if request.rejected]

    def script(self, *steps: Step) -> None:
        """Queue answers.

        Args:
            steps: Each accepted chat request takes the next one. A callable gets the request body and returns the
                reply or the failure.
        """
        with self._lock:
            self._steps.extend(steps)

    def reset(self) -> None:
        """Forget the queue, the requests and the prefix cache."""
        with self._lock:
            self._steps.clear()
            self.requests.clear()
            self._cache.clear()

    def start(self) -> KimiEmulator:
        """Listen in a background thread."""
        if self._server is None:
            self._server = _Server(self._address, self)
            threading.Thread(target=self._server.serve_forever, args=(0.02,), name="kimi-emulator", daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop listening and close every connection."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.close_connections()
            self._server = None

    def __enter__(self) -> KimiEmulator:
        """Start."""
        return self.start()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def next_step(self) -> Step | None:
        """Take the next scripted step off the queue."""
        with self._lock:
            return self._steps.popleft() if self._steps else None

    def served_models(self) -> list[Model]:
        """Return the models that ``GET /v1/models`` lists."""
        own = [model for model in MODELS if model.listed and (self.serve_retired or not model.family.retired)]
        return own + [Model(id, FAMILIES[family]) for id, family in self.extra_models.items()]

    def decide(self, body: Any) -> tuple[ChatRequest, Reply | Failure]:
        """Check a chat request and choose its answer.

        Raises:
            Rejected: If a rule refuses the request.
        """
        request = rules.read_chat_request(
            body, extra_models=self.extra_models, serve_retired=self.serve_retired, check=self.check
        )
        if self.check:
            rules.check(request)
        step = self.next_step()
        if callable(step):
            step = step(dict(request.body))
        if step is None:
            return request, answering.limit(brain.answer(request), request)
        return request, step if isinstance(step, Failure) else answering.fit(step, request)

    def account(self, request: ChatRequest, reply: Reply) -> dict[str, Any]:
        """Return the usage of an answer, the prefix cache consulted."""
        return answering.usage(reply, request, self._cache.remember(request.body, request.family))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], emulator: KimiEmulator) -> None:
        self.emulator = emulator
        self.stopped = threading.Event()
        self._connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        self.stopped.set()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is its own business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "kimi-emulator"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    server: _Server
    record: RecordedRequest

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing: what happened is in ``requests``."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_PUT = do_PATCH = do_HEAD = do_GET

    def _answer(self) -> None:
        emulator = self.server.emulator
        raw = self._read_body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.record = RecordedRequest(self.command, self.path, headers, None, raw or b"", peer=self.client_address)
        emulator.requests.append(self.record)
        try:
            if raw is None:
                raise Rejected("Request exceeds the maximum size", status=413)
            rules.check_key(headers.get("authorization"), emulator.keys)
            self._route(raw)
        except Rejected as rejected:
            self.record.rejected = True
            self._send_json(rejected.status, shapes.error_body(rejected.message, rejected.type))
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            if self.record.status:
                raise
            self._send_json(500, shapes.error_body(f"{type(error).__name__}: {error}", "server_error"))

    def _read_body(self) -> bytes | None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            return None
        return self.rfile.read(length)

    def _route(self, raw: bytes) -> None:
        path = self.path.partition("?")[0].rstrip("/")
        if (self.command, path) == ("POST", "/v1/chat/completions"):
            self._chat(raw)
        elif (self.command, path) == ("GET", "/v1/models"):
            listed = [shapes.model_body(model) for model in self.server.emulator.served_models()]
            self._send_json(200, {"object": "list", "data": listed})
        elif self.command == "GET" and path.startswith("/v1/models/"):
            self._send_json(200, self._model(path.removeprefix("/v1/models/")))
        elif path == "/v1/completions":
            # MoonshotAI-Cookbook#19: "no open api access"
            raise Rejected("no open api access", status=403, type="permission_denied_error")
        else:
            raise Rejected(f"Not found: {self.command} {path}", status=404, type="resource_not_found_error")

    def _model(self, id: str) -> dict[str, Any]:
        for model in self.server.emulator.served_models():
            if model.id == id:
                return shapes.model_body(model)
        raise rules.model_not_found(id)

    def _chat(self, raw: bytes) -> None:
        self.record.body = body = rules.parse_body(raw)
        emulator = self.server.emulator
        request, reply = emulator.decide(body)
        self._pause(reply.delay)
        if isinstance(reply, Failure):
            self._send_failure(reply)
            return
        usage = emulator.account(request, reply)
        saved = answering.cached_tokens(usage)
        if saved:
            reply = replace(reply, headers={"Msh-Context-Cache-Token-Saved": str(saved), **reply.headers})
        envelope = shapes.Envelope(request.model, request.family)
        if request.streams:
            self._send_stream(reply, self._events(reply, request, envelope, usage))
        else:
            rendered = shapes.completion_body(reply, envelope, usage, request.choices)
            body = rendered if reply.body is None else reply.body
            self._send_json(200, body, reply.headers, reply=reply)

    def _events(
        self, reply: Reply, request: ChatRequest, envelope: shapes.Envelope, usage: Mapping[str, Any]
    ) -> Iterable[bytes]:
        events: Iterable[Mapping[str, Any] | str | bytes] = reply.events or ()
        if reply.events is None:
            events = shapes.stream_events(
                reply, envelope, usage, include_usage=request.includes_usage, choices=request.choices
            )
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
        pause = self.server.emulator.chunk_delay if reply.chunk_delay is None else reply.chunk_delay
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
        text = body if isinstance(body, str) else shapes.encode(body)
        data = text.encode("utf-8", "replace")
        html = isinstance(body, str) and text.lstrip().startswith("<")
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
        on_answer = self.server.emulator.on_answer
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
