"""The emulator as its users know it: made, told what to answer, started and stopped, asked what it heard."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType

from .families import FAMILIES, Model
from .hosts import HOSTS
from .http import Server
from .scripting import RecordedRequest, Step
from .state import Balance, State, Upload, UploadLimits


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
        state: What the server answers from. Its settings may be changed while it runs.
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
        requests_per_minute: int | None = None,
        host_kind: str = "moonshot",
        on_answer: Callable[[RecordedRequest], None] | None = None,
    ) -> None:
        """Set an emulator up; it listens from ``start()`` on, or inside ``with``.

        Args:
            port: The port; 0 takes a free one.
            host: The address to listen on.
            keys: The accepted API keys; None accepts whatever begins with ``sk-``, and "test", "dummy" and "EMPTY".
            extra_models: More model ids, each with the family whose rules it follows: ``{"kimi-k4": "k3"}``.
            serve_retired: Whether models that Moonshot has withdrawn still answer.
            chunk_delay: Seconds between streamed events.
            check: Whether the rules apply; without them any model id and any body is answered.
            upload_limits: How much may be uploaded; None is what the API allows.
            requests_per_minute: How many chat requests any sixty seconds may have, as the account's tier says (3 in
                tier 0); what is more gets the 429 of a rate limit. None sets no limit.
            host_kind: Whose server to play: ``"moonshot"``, or another host of the same models: ``"vllm"``,
                ``"sglang"``, ``"openrouter"``, ``"gateway"``, which wants every message's ``content``, or ``"strict"``,
                which refuses every field it does not know, as Fireworks does. The others are from public reports, none
                from recorded traffic.
            on_answer: Called with each request once its answer is decided.

        Raises:
            ValueError: If an extra model names an unknown family, or there is no such kind of host.
        """
        extra_models = dict(extra_models or {})
        unknown = set(extra_models.values()) - set(FAMILIES)
        if unknown:
            raise ValueError(f"unknown families {sorted(unknown)}; there are {sorted(FAMILIES)}")
        if host_kind not in HOSTS:
            raise ValueError(f"unknown host_kind {host_kind!r}; there are {sorted(HOSTS)}")
        self.state = State(
            keys=None if keys is None else frozenset(keys),
            extra_models=extra_models,
            serve_retired=serve_retired,
            chunk_delay=chunk_delay,
            check=check,
            upload_limits=upload_limits or UploadLimits(),
            requests_per_minute=requests_per_minute,
            host=HOSTS[host_kind],
            on_answer=on_answer,
        )
        self._address = (host, port)
        self._server: Server | None = None

    @property
    def base_url(self) -> str:
        """Where clients connect to, such as ``http://127.0.0.1:8000/v1``."""
        host, port = self._server.server_address[:2] if self._server else self._address
        return f"http://{host if isinstance(host, str) else host.decode()}:{port}/v1"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests received, in order; beyond 128 MB of them the oldest are forgotten."""
        return self.state.requests

    @property
    def rejections(self) -> list[RecordedRequest]:
        """The requests that a rule of the API refused."""
        return [request for request in self.requests if request.rejected]

    @property
    def uploads(self) -> dict[str, Upload]:
        """The uploaded files by id, which chat refers to as ``ms://<id>``."""
        return self.state.uploads

    @property
    def balance(self) -> Balance:
        """The account's money; without any, chat is refused."""
        return self.state.balance

    @balance.setter
    def balance(self, balance: Balance) -> None:
        self.state.balance = balance

    @property
    def keys(self) -> frozenset[str] | None:
        """The accepted API keys; None where all that begin with ``sk-`` are, and placeholders."""
        return self.state.keys

    @keys.setter
    def keys(self, keys: frozenset[str] | None) -> None:
        self.state.keys = keys

    def served_models(self) -> list[Model]:
        """Return the models that ``GET /v1/models`` lists.

        Returns:
            The emulator's own, and after them the extra ones.
        """
        return self.state.models

    def script(self, *steps: Step) -> None:
        """Queue answers.

        Args:
            steps: Each accepted chat request takes the next one. A callable gets the request body and returns the
                reply or the failure.
        """
        with self.state.lock:
            self.state.script.extend(steps)

    def reset(self) -> None:
        """Forget the queue, the requests and their minute, the files and the prefix cache, and fill the account up."""
        self.state.reset()

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the prompt cache and the rate limit, which count in minutes.

        Args:
            seconds: How much.
        """
        for part in (self.state.cache, self.state.last_minute):
            part.clock = partial(_later, part.clock, seconds)

    def start(self) -> KimiEmulator:
        """Listen in a background thread.

        Returns:
            The emulator itself.
        """
        if self._server is None:
            self._server = Server(self._address, self.state)
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


def _later(clock: Callable[[], float], seconds: float) -> float:
    return clock() + seconds
