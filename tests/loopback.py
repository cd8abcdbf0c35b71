"""Servers of a few lines on this machine: one that does what a test says, a proxy, and TLS in front of another."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")


@contextmanager
def serving(answer: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server that does one thing with each connection; gives its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            connection = self.request
            with contextlib.suppress(OSError):
                if context is not None:
                    connection = context.wrap_socket(connection, server_side=True)
                answer(connection)
            connection.close()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def read_request(connection: socket.socket) -> tuple[bytes, bytes]:
    """Head and body of one request."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        if not (piece := connection.recv(65536)):
            raise ConnectionError
        raw += piece
    head, _, body = raw.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head, body


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for `localhost` that nobody knows: its file, and what a server needs."""
    key, file = folder / "key.pem", folder / "certificate.pem"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    subprocess.run([*make.split(), "-keyout", key, "-out", file], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return file, context


@contextmanager
def over_tls(port: int, context: ssl.SSLContext) -> Iterator[int]:
    """TLS in front of a server of this machine, a request for each connection; gives its port."""
    with serving(lambda connection: _ask(connection, *read_request(connection), ("127.0.0.1", port)), context) as here:
        yield here


@contextmanager
def proxying() -> Iterator[tuple[str, list[str]]]:
    """A proxy for HTTP and HTTPS; gives its URL, and the first line of what it is asked for."""
    asked: list[str] = []

    def answer(connection: socket.socket) -> None:
        head, body = read_request(connection)
        line, _, rest = head.partition(b"\r\n")
        method, target, version = line.split(b" ")
        asked.append(f"{method.decode()} {target.decode()}")
        if method == b"CONNECT":
            host, _, port = target.decode().rpartition(":")
            with socket.create_connection((host, int(port))) as other:
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                thread = threading.Thread(target=_copy, args=(connection, other))
                thread.start()
                _copy(other, connection)
                thread.join()
            return
        parts = urlsplit(target.decode())
        _ask(
            connection,
            b"%b %b %b\r\n%b" % (method, parts.path.encode(), version, rest),
            body,
            (parts.hostname, parts.port),
        )

    with serving(answer) as port:
        yield f"http://127.0.0.1:{port}", asked


def _ask(connection: socket.socket, head: bytes, body: bytes, address: tuple[str | None, int | None]) -> None:
    """Hand a request on, and its answer back; the connection is not used again."""
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"connection:", b"proxy-"))]
    with socket.create_connection((address[0] or "", address[1] or 0)) as other:
        other.sendall(b"\r\n".join([*lines, b"Connection: close"]) + b"\r\n\r\n" + body)
        while piece := other.recv(65536):
            connection.sendall(piece)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
