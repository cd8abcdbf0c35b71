"""Servers that send something else in place of a document's text: an error in both adapters, sync and async."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_wire import KimiFiles
from kimi_wire.errors import KimiResponseError
from langchain_kimi import KimiFileLoader
from llama_index_kimi import KimiFileReader
from tests.loopback import read_request, serving

KEY = "sk-secret-0123456789abcdef"
JSON = b"application/json"
PAGE = b"<html><title>502 Bad Gateway</title><body>nginx</body></html>"


def storing(body: bytes, media_type: bytes, asked: list[bytes]) -> Callable[[socket.socket], None]:
    """What takes files, and has one answer for the content of each."""

    def answer(connection: socket.socket) -> None:
        line = read_request(connection)[0].partition(b"\r\n")[0]
        asked.append(line)
        sent, kind = (body, media_type) if b"/content" in line else (b'{"id": "f-1", "filename": "a.txt"}', JSON)
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % (kind, len(sent)) + sent)

    return answer


def read(adapter: str, asynchronous: bool, path: Path, port: int) -> Any:
    options: dict[str, Any] = {"api_key": KEY, "max_retries": 0}
    url = f"http://127.0.0.1:{port}/v1"
    if adapter == "langchain":
        loader = KimiFileLoader(path, base_url=url, **options)
        return asyncio.run(loader.aload()) if asynchronous else loader.load()
    reader = KimiFileReader(api_base=url, **options)
    return asyncio.run(reader.aload_data(path)) if asynchronous else reader.load_data(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("a", encoding="utf-8")
    return path


@pytest.mark.says("docs/files.md", "An error or a gateway's page in place of a text is a `KimiResponseError`.")
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
@pytest.mark.parametrize(
    ("body", "media_type", "said"),
    [
        (b'{"error": {"message": "no such key", "type": "auth"}}', JSON, "no such key"),
        (b'{"error": "quota exceeded for Bearer ' + KEY.encode() + b'"}', JSON, "quota exceeded"),
        (b'{"error": {"code": 5}, "filename": "a.txt"}', JSON, "5"),
        (b'{"error": true, "content": null, "file_type": "text/plain"}', JSON, "true"),
        (PAGE, b"text/html; charset=utf-8", "502 Bad Gateway"),
        (PAGE, JSON, "502 Bad Gateway"),
        (b" \n<!DOCTYPE html><title>Sign in</title>", b"text/plain", "Sign in"),
        (b"<p>Sign in</p>", b"Text/HTML", "Sign in"),
        (b"", JSON, "no text"),
    ],
)
def test_it_is_an_error_and_the_file_does_not_stay(
    adapter: str, asynchronous: bool, body: bytes, media_type: bytes, said: str, path: Path
) -> None:
    asked: list[bytes] = []
    with serving(storing(body, media_type, asked)) as port, pytest.raises(KimiResponseError) as caught:
        read(adapter, asynchronous, path, port)
    assert said in str(caught.value)
    assert "no text of the file" in str(caught.value)
    assert KEY not in str(caught.value)
    assert asked[-1].startswith(b"DELETE")


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
@pytest.mark.parametrize(
    ("body", "media_type", "text"),
    [
        (b'{"content": "<html>mine</html>", "file_type": "text/html"}', JSON, "<html>mine</html>"),
        (b'{"content": "", "file_type": "text/plain"}', JSON, ""),
        (b'{"content": "a", "file_type": "text/plain", "error": null}', JSON, "a"),
        (b'{"content": "{\\"error\\": 1}", "file_type": "application/json"}', JSON, '{"error": 1}'),
        (b'{"error": null, "data": 1}', JSON, '{"error": null, "data": 1}'),
        (b'[{"error": 1}]', JSON, '[{"error": 1}]'),
        (b"The tag <html> begins a page.", b"text/plain", "The tag <html> begins a page."),
    ],
)
def test_a_text_is_a_text(
    adapter: str, asynchronous: bool, body: bytes, media_type: bytes, text: str, path: Path
) -> None:
    with serving(storing(body, media_type, [])) as port:
        (document,) = read(adapter, asynchronous, path, port)
    assert (document.page_content if adapter == "langchain" else document.text) == text


def test_the_bytes_of_an_answer_are_there_whatever_they_are() -> None:
    with serving(storing(PAGE, b"text/html", [])) as port:
        assert KimiFiles(KEY, f"http://127.0.0.1:{port}/v1").content("f-1") == PAGE
