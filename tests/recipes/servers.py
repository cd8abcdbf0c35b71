"""Servers of the recipes, each a process of its own."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def serving(folder: Path, arguments: Callable[[int], list[str]]) -> Iterator[int]:
    """Run Python in a folder until it serves a port, and end it afterwards.

    Args:
        folder: Where it runs.
        arguments: What Python is started with, for a port.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen([sys.executable, *arguments(port)], cwd=folder) as server:
        try:
            until = time.monotonic() + 120
            while not _is_open(port):
                assert server.poll() is None
                assert time.monotonic() < until
                time.sleep(0.1)
            yield port
        finally:
            server.terminate()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
