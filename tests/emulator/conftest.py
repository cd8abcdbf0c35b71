"""A plain HTTP client for the emulator."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kimi_emulator import KimiEmulator


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> str:
        return str(self.json["error"]["message"])

    @property
    def message(self) -> dict[str, Any]:
        message: dict[str, Any] = self.json["choices"][0]["message"]
        return message

    @property
    def events(self) -> list[Any]:
        lines = self.raw.decode().split("\n\n")
        data = [line.removeprefix("data: ") for line in lines if line]
        return [json.loads(line) if line.startswith("{") else line for line in data]


def send(
    emulator: KimiEmulator,
    body: Any = None,
    *,
    path: str = "/chat/completions",
    method: str | None = None,
    key: str | None = "sk-test",
    content_type: str = "application/json",
) -> Answer:
    url = urlsplit(emulator.base_url)
    assert url.hostname
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
    headers = {"Content-Type": content_type} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        connection.request(method or ("GET" if body is None else "POST"), url.path + path, data, headers)
        response = connection.getresponse()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
    finally:
        connection.close()


@pytest.fixture
def http_send() -> Callable[..., Answer]:
    """Send to any emulator: ``http_send(emulator, body)``."""
    return send


@pytest.fixture
def ask(kimi: KimiEmulator) -> Callable[..., Answer]:
    """Ask kimi-k3, or whichever model is given: ``ask("Hello")``, ``ask(messages=[...], model=...)``."""

    def ask(question: str | None = None, **fields: Any) -> Answer:
        messages = {"messages": [{"role": "user", "content": question}]} if question is not None else {}
        return send(kimi, {"model": "kimi-k3", **messages, **fields})

    return ask


@pytest.fixture
def recordings() -> Path:
    folder = Path(__file__).resolve().parents[3] / "shared" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"no recorded traffic at {folder}")
    return folder
