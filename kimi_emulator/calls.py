"""A request to an endpoint beside chat, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from . import rules
from .scripting import RecordedRequest

if TYPE_CHECKING:
    from .emulator import KimiEmulator


@dataclass(frozen=True)
class Call:
    """A request to one of the endpoints.

    Attributes:
        emulator: Whose state it is about.
        record: The request as it is kept; an endpoint that reads JSON puts the body there.
        target: The path with its query, as sent.
        raw: The body.
        parts: What the path has in the places of the endpoint's braces.
    """

    emulator: KimiEmulator
    record: RecordedRequest
    target: str
    raw: bytes
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path alone."""
        return urlsplit(self.target).path.rstrip("/")

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(urlsplit(self.target).query))

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            Rejected: If it is none.
        """
        self.record.body = rules.parse_body(self.raw)
        return self.record.body


@dataclass(frozen=True)
class Answer:
    """What an endpoint answers: a body to be written as JSON, or text or bytes as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
