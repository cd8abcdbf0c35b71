"""The state of an emulator: what it was told, what it is to answer, and what it remembers. It knows nobody.

Rules, answers and endpoints are functions of it and a request; the server passes it on to them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .families import FAMILIES, MODELS, Model
from .hosts import MOONSHOT, Host
from .scripting import RecordedRequest, RequestLog, Step
from .tokens import PromptCache


@dataclass(frozen=True)
class UploadLimits:
    """How much an account may upload: https://platform.kimi.ai/docs/api/files-upload.

    Attributes:
        files: How many files.
        file_bytes: Bytes of one file.
        total_bytes: Bytes of all files together.
    """

    files: int = 1000
    file_bytes: int = 100 * 1024 * 1024
    total_bytes: int = 10 * 1024 * 1024 * 1024


@dataclass(frozen=True)
class Upload:
    """An uploaded file.

    Attributes:
        id: What ``ms://`` URLs and the endpoints call it.
        filename: Its name, as sent.
        purpose: What it was uploaded for: ``file-extract``, ``image``, ``video`` or ``batch``.
        media_type: What it is, by its name, else by what the sender says.
        data: The bytes.
        text: What was extracted; empty for other purposes than ``file-extract``.
        title: The document's title, where it has one.
        created: Unix time of the upload, in seconds.
    """

    id: str
    filename: str
    purpose: str
    media_type: str
    data: bytes
    text: str = ""
    title: str = ""
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def body(self) -> dict[str, Any]:
        """The file as the endpoints describe it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.data),
            "created_at": self.created,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "ready",
            "status_details": "",
        }


@dataclass(frozen=True)
class Balance:
    """An account's money, in the currency of its host.

    Attributes:
        voucher: What is left of vouchers.
        cash: What is left of payments; negative where the account is overdue.
    """

    voucher: float = 46.58893
    cash: float = 3.00001

    @property
    def available(self) -> float:
        """What can be spent. Measured on an overdue account: 0 available, 0 in vouchers, -31.14918 in cash."""
        return max(round(self.voucher + self.cash, 5), 0)


class LastMinute:
    """When the chat requests of the last minute came.

    Attributes:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start empty."""
        self.clock = clock
        self._lock = threading.Lock()
        self._times: deque[float] = deque()

    def clear(self) -> None:
        """Forget every request."""
        with self._lock:
            self._times.clear()

    def has_room(self, most: int) -> bool:
        """Whether one more may come where so many may; it counts then."""
        with self._lock:
            now = self.clock()
            while self._times and self._times[0] + 60 <= now:
                self._times.popleft()
            room = len(self._times) < most
            self._times.extend([now] * room)
            return room


@dataclass(eq=False, repr=False)  # it holds keys and what clients sent
class State:
    """One emulator's settings, script and memory, shared by the threads of its server.

    Attributes:
        keys: The accepted API keys; None accepts whatever begins with ``sk-``.
        extra_models: More model ids, each with the family whose rules it follows.
        serve_retired: Whether models that Moonshot has withdrawn still answer.
        chunk_delay: Seconds between streamed events.
        check: Whether the rules apply.
        upload_limits: How much may be uploaded.
        requests_per_minute: How many chat requests a minute may have; None sets no limit.
        host: Whose server it plays.
        on_answer: Called with each request once its answer is decided.
        requests: The requests received, in order; the oldest are forgotten where they come to much.
        uploads: The uploaded files by id.
        balance: The account's money.
        cache: The prompts that were seen.
        last_minute: The chat requests that count against the limit.
        script: What the next chat requests are answered with.
        lock: Held by whoever looks at the script or the uploads and changes them.
    """

    keys: frozenset[str] | None = None
    extra_models: Mapping[str, str] = field(default_factory=dict)
    serve_retired: bool = True
    chunk_delay: float = 0.0
    check: bool = True
    upload_limits: UploadLimits = field(default_factory=UploadLimits)
    requests_per_minute: int | None = None
    host: Host = MOONSHOT
    on_answer: Callable[[RecordedRequest], None] | None = None
    requests: RequestLog = field(default_factory=RequestLog)
    uploads: dict[str, Upload] = field(default_factory=dict)
    balance: Balance = field(default_factory=Balance)
    cache: PromptCache = field(default_factory=PromptCache)
    last_minute: LastMinute = field(default_factory=LastMinute)
    script: deque[Step] = field(default_factory=deque)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def models(self) -> list[Model]:
        """The models that are served and listed: the emulator's own, and after them the extra ones."""
        own = [model for model in MODELS if model.listed and (self.serve_retired or not model.family.retired)]
        return own + [Model(id, FAMILIES[family]) for id, family in self.extra_models.items()]

    def next_step(self) -> Step | None:
        """Take the next scripted step off the queue; None where it is empty."""
        with self.lock:
            return self.script.popleft() if self.script else None

    def reset(self) -> None:
        """Forget the script, the requests, the files and the prompts, and fill the account up."""
        self.last_minute.clear()
        with self.lock:
            self.script.clear()
            self.requests.clear()
            self.uploads.clear()
            self.balance = Balance()
            self.cache.clear()
