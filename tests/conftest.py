"""What all tests share: the emulator in place of Moonshot's API, and an environment without anybody's keys."""

from __future__ import annotations

import gc
import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import certifi
import pytest
from hypothesis import settings

from kimi_emulator import KimiEmulator
from kimi_wire.transport import aiohttp as aiohttp_client
from tests.examples import ROOT, fences, file_name, is_module

# Clocks of shared machines prove nothing, hence no deadlines. By day the same inputs are tried each time, so that a change
# fails for what it changed; the night looks for others.
settings.register_profile("day", settings(), deadline=None, derandomize=True)
settings.register_profile("night", settings(), deadline=None)
settings.load_profile("day")

ASYNC_PARAMETERS = ("way", "mode", "call")
"""What tests call the parameter whose asynchronous values begin with `a`, and no other."""


@pytest.fixture(scope="session")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with one certificate."""
    first, end, _ = Path(certifi.where()).read_text("utf-8").partition("-----END CERTIFICATE-----\n")
    path = tmp_path_factory.mktemp("certificates") / "one.pem"
    path.write_text(first + end, "utf-8")
    return path


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, one_certificate: Path) -> None:
    # Each model makes HTTP clients, which read all of certifi's certificates otherwise: half the time of a test.
    monkeypatch.setenv("SSL_CERT_FILE", str(one_certificate))
    for name in list(os.environ):
        if name.startswith(("MOONSHOT_", "KIMI_", "OPENAI_", "LANGSMITH_", "LANGCHAIN_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_interpreters(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What starts one is marked `slow`, so that `make test-fast` is fast."""
    if request.node.get_closest_marker("slow") is None:

        class Popen(subprocess.Popen[Any]):
            def __init__(self, command: Any, *args: Any, **kwargs: Any) -> None:
                assert sys.executable not in command, f"{request.node.name} starts Python, and is not marked slow"
                super().__init__(command, *args, **kwargs)

        monkeypatch.setattr(subprocess, "Popen", Popen)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take a switch for environments that should have everything."""
    parser.addoption(
        "--all-needs",
        action="store_true",
        help="a package that a test is marked to need and that is absent is a failure, and no reason to skip",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a package that is not here, or fail it with `--all-needs`."""
    names = [name for mark in item.iter_markers("needs") for name in mark.args]
    if absent := [name for name in names if not is_module(name)]:
        report = pytest.fail if item.config.getoption("--all-needs") else pytest.skip
        report(f"not installed: {', '.join(absent)}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Double the tests marked `both_transports` that talk to a server; all others use httpx, whatever is installed."""
    marked = metafunc.definition.get_closest_marker("both_transports")
    if marked and {"kimi", *ASYNC_PARAMETERS}.intersection(metafunc.fixturenames):
        metafunc.parametrize("transport", ["httpx", "aiohttp"], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the synchronous half out of what is doubled, and begin with the longest: else a process waits for it at the end."""
    items[:] = [item for item in items if not _is_doubled_in_vain(getattr(item, "callspec", None))]
    items.sort(key=lambda item: "finds_faults" not in item.nodeid)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end: the frameworks, and the tests themselves."""
    gc.collect()
    gc.freeze()


def _is_doubled_in_vain(spec: Any) -> bool:
    ways = [spec.params[name] for name in ASYNC_PARAMETERS if name in spec.params] if spec else []
    return bool(ways) and spec.params.get("transport") == "aiohttp" and not ways[0].startswith("a")


@pytest.fixture(autouse=True)
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What asynchronous calls go over: `httpx` or `aiohttp`."""
    name: str = getattr(request, "param", "httpx")
    if name == "aiohttp" and importlib.util.find_spec("httpx_aiohttp") is None:
        pytest.skip("the extra `aiohttp` is not installed")
    if name == "httpx":
        monkeypatch.setattr(aiohttp_client, "is_usable", lambda: False)
    return name


@pytest.fixture
def write_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Path]]:
    """Write the files of a page into the test's folder, which is the current one then; they can be imported there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def write(page: str) -> Path:
        for fence in fences((ROOT / page).read_text("utf-8")):
            if name := file_name(fence.code):
                (tmp_path / name).write_text(fence.code, "utf-8")
        return tmp_path

    yield write
    for path in tmp_path.glob("*.py"):
        sys.modules.pop(path.stem, None)


@pytest.fixture(scope="session")
def _emulator() -> Iterator[KimiEmulator]:
    with KimiEmulator() as emulator:
        yield emulator


@pytest.fixture
def kimi(_emulator: KimiEmulator) -> KimiEmulator:
    """A strict local Kimi, with no history."""
    _emulator.reset()
    return _emulator
