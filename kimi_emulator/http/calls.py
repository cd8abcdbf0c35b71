"""A request to an endpoint beside chat, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..rules import parse_body
from ..scripting import RecordedRequest
from ..state import State


@dataclass(frozen=True)
class Call:
    """A request to one of the endpoints.

    Attributes:
        state: The emulator's state.
        record: The request as it is kept; an endpoint that reads its body puts what it read there.
        parts: What the path has in the places of the endpoint's braces.
    """

    state: State
    record: RecordedRequest
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path alone; "" where it is none."""
        try:
            return urlsplit(self.record.path).path.rstrip("/")
        except ValueError:
            return ""

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            Rejected: If it is none.
        """
        self.record.body = parse_body(self.record.raw)
        return self.record.body


@dataclass(frozen=True)
class HttpAnswer:
    """What an endpoint answers: a body to be written as JSON, or text or bytes as they are."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
