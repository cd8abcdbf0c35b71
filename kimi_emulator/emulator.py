"""The emulator: its state, what it is told to answer, and its life."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import Any

from . import answering, brain, files, platform, rules, rules_media
from .families import FAMILIES, MODELS, Model
from .files import Upload, UploadLimits
from .hosts import HOSTS
from .platform import Balance
from .request import ChatRequest
from .scripting import Failure, RecordedRequest, Reply, Step
from .server import Server
from .tokens import PromptCache


class KimiEmulator:
    """A strict local stand-in for the Kimi API.

    Requests that the API would refuse are refused with its words. The others take the next scripted step, or are
    answered by a small built-in model that thinks aloud, calls tools, reads context and writes JSON by schema.

    Example:
        ```python
        from kimi_emulator import Failure, KimiEmulator, Reply
        from openai import OpenAI

        with KimiEmulator() as kimi:
            kimi.script(Reply("Hello!", reasoning="A greeting."), Failure(429, type="engine_overloaded_error"))
            client = OpenAI(base_url=kimi.base_url, api_key="sk-test")
        ```

    Attributes:
        requests: Every request received, in order.
        uploads: The uploaded files by id, which chat refers to as ``ms://<id>``.
        balance: The account's money; without any, chat is refused.
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
        upload_limits: UploadLimits | None = None,
        host_kind: str = "moonshot",
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
            upload_limits: How much may be uploaded; None is what the API allows.
            host_kind: Whose server to play: ``"moonshot"``, or another host of the same models: ``"vllm"``,
                ``"sglang"``, ``"openrouter"``, or ``"strict"``, which refuses every field it does not know, as
                Fireworks does. The others are from public reports, none from recorded traffic.
            on_answer: Called with each request once its answer is decided.

        Raises:
            ValueError: If an extra model names an unknown family, or there is no such kind of host.
        """
        self.extra_models = dict(extra_models or {})
        unknown = set(self.extra_models.values()) - set(FAMILIES)
        if unknown:
            raise ValueError(f"unknown families {sorted(unknown)}; there are {sorted(FAMILIES)}")
        if host_kind not in HOSTS:
            raise ValueError(f"unknown host_kind {host_kind!r}; there are {sorted(HOSTS)}")
        self.host = HOSTS[host_kind]
        self.keys = None if keys is None else frozenset(keys)
        self.serve_retired = serve_retired
        self.chunk_delay = chunk_delay
        self.check = check
        self.upload_limits = upload_limits or UploadLimits()
        self.on_answer = on_answer
        self.requests: list[RecordedRequest] = []
        self.uploads: dict[str, Upload] = {}
        self.balance = Balance()
        self._cache = PromptCache()
        self._steps: deque[Step] = deque()
        self._lock = threading.Lock()
        self._address = (host, port)
        self._server: Server | None = None

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
        """Forget the queue, the requests, the files and the prefix cache, and fill the account up."""
        with self._lock:
            self._steps.clear()
            self.requests.clear()
            self.uploads.clear()
            self.balance = Balance()
            self._cache.clear()

    def start(self) -> KimiEmulator:
        """Listen in a background thread.

        Returns:
            The emulator itself.
        """
        if self._server is None:
            self._server = Server(self._address, self)
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
        """Take the next scripted step off the queue.

        Returns:
            The step; None where the queue is empty.
        """
        with self._lock:
            return self._steps.popleft() if self._steps else None

    def served_models(self) -> list[Model]:
        """Return the models that ``GET /v1/models`` lists.

        Returns:
            The emulator's own, and after them the extra ones.
        """
        own = [model for model in MODELS if model.listed and (self.serve_retired or not model.family.retired)]
        return own + [Model(id, FAMILIES[family]) for id, family in self.extra_models.items()]

    def keep_upload(self, upload: Upload) -> None:
        """Keep a file.

        Args:
            upload: The file.

        Raises:
            Rejected: If there is no room for it.
        """
        with self._lock:
            files.check_room(list(self.uploads.values()), upload, self.upload_limits)
            self.uploads[upload.id] = upload

    def decide(self, body: Any) -> tuple[ChatRequest, Reply | Failure]:
        """Check a chat request and choose its answer.

        Args:
            body: The request's parsed JSON.

        Returns:
            The request as the rules read it, and what to answer.

        Raises:
            Rejected: If a rule refuses the request.
        """
        request = rules.read_chat_request(
            body, extra_models=self.extra_models, serve_retired=self.serve_retired, check=self.check
        )
        if self.check:
            request = self.host.read(request)
            rules.check(request, self.host.without_rules)
            rules_media.check_uploads(request, self.uploads)
            platform.check_balance(self.balance)
        step = self.next_step()
        if callable(step):
            step = step(dict(body))
        if step is None:
            return request, answering.limit(brain.answer(request), request)
        return request, step if isinstance(step, Failure) else answering.fit(step, request)

    def account(self, request: ChatRequest, reply: Reply) -> dict[str, Any]:
        """Return the usage of an answer, the prefix cache consulted.

        Args:
            request: The request.
            reply: Its answer.

        Returns:
            The API's ``usage`` object: counts in tokens.
        """
        return answering.usage(reply, request, self._cache.remember(request.body, request.family))
