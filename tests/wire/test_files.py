"""Files: checked before they are sent, read, and not left behind."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, RecordedRequest, UploadLimits
from kimi_wire import KimiError, KimiFiles, KimiRequestError, KimiResponseError, KimiWarning
from kimi_wire.endpoints.files import parse_file, parse_files, parse_text
from kimi_wire.errors.hints import hint_for_file
from kimi_wire.media import documents
from kimi_wire.media.documents import Document, read_document

pytestmark = pytest.mark.both_transports

SECRET = "sk-secret-0123456789abcdef"


@pytest.fixture
def make(kimi: KimiEmulator) -> Iterator[Callable[..., KimiFiles]]:
    made: list[KimiFiles] = []

    def make(emulator: KimiEmulator = kimi, **options: Any) -> KimiFiles:
        made.append(KimiFiles(SECRET, emulator.base_url, **{"max_retries": 0, **options}))
        return made[-1]

    yield make
    for files in made:
        files.close()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Call a method, or its asynchronous twin: ``call(files, "extract", b"x", "a.txt")``."""

    def call(files: KimiFiles, method: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(files, method)(*args, **kwargs)
        return asyncio.run(getattr(files, f"a{method}")(*args, **kwargs))

    return call


@pytest.fixture
def hooked() -> Iterator[Callable[[Callable[[RecordedRequest], None]], KimiEmulator]]:
    """An emulator that calls back before each answer."""
    running: list[KimiEmulator] = []

    def start(hook: Callable[[RecordedRequest], None]) -> KimiEmulator:
        running.append(KimiEmulator(on_answer=hook).start())
        return running[-1]

    yield start
    for emulator in running:
        emulator.stop()


def methods(kimi: KimiEmulator) -> list[str]:
    return [request.method for request in kimi.requests]


@pytest.mark.says("docs/files.md", "Each file is uploaded, read and deleted again.")
def test_extraction_leaves_no_file_behind(make: Any, call: Any, kimi: KimiEmulator, tmp_path: Path) -> None:
    path = tmp_path / "说明.md"
    path.write_text("# 标题\n\ntext", encoding="utf-8")
    assert call(make(), "extract", path) == "# 标题\n\ntext"
    assert methods(kimi) == ["POST", "GET", "DELETE"]
    assert kimi.requests[0].body == {
        "purpose": "file-extract",
        "file": {"filename": "说明.md", "media_type": "text/markdown", "bytes": path.stat().st_size},
    }
    assert kimi.uploads == {}


def test_all_ways_to_give_a_file(make: Any, call: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"text")
    with path.open("rb") as opened:
        assert call(make(), "extract", opened) == "text"
    for file in (str(path), path, b"text", bytearray(b"text"), memoryview(b"text"), io.BytesIO(b"text")):
        assert call(make(), "extract", file, "b.txt") == "text"
    assert call(make(), "extract", Document("c.txt", b"text")) == "text"


def test_a_file_can_be_kept_listed_read_and_deleted(make: Any, call: Any, kimi: KimiEmulator) -> None:
    files = make()
    kept = call(files, "upload", b"bytes", "a.txt")
    assert (kept.filename, kept.size, kept.purpose, kept.status) == ("a.txt", 5, "file-extract", "ready")
    assert kept.created_at == kept.raw["created_at"]
    assert call(files, "list") == [kept]
    assert call(files, "get", kept.id) == kept
    assert call(files, "get", f"ms://{kept.id}") == kept
    assert call(files, "text", kept.id) == "bytes"
    assert b'"content":"bytes"' in call(files, "content", kept.id)
    assert call(files, "delete", kept.id) is None
    assert call(files, "list") == []
    with pytest.raises(KimiError, match="no such file in this account") as caught:
        call(files, "get", kept.id)
    assert "model" not in str(caught.value)


@pytest.mark.parametrize(("purpose", "name"), [("image", "a.png"), ("video", "a.mp4"), ("batch", "a.jsonl")])
def test_other_purposes(purpose: str, name: str, make: Any, call: Any, kimi: KimiEmulator) -> None:
    kept = call(make(), "upload", b"\x00\xff", name, purpose=purpose)
    assert kimi.uploads[kept.id].data == b"\x00\xff"
    assert call(make(), "content", kept.id) == b"\x00\xff"


@pytest.mark.parametrize(
    ("file", "name", "purpose", "words"),
    [
        ("missing.txt", None, "file-extract", "missing.txt does not exist"),
        (".", None, "file-extract", "is a folder"),
        ("https://example.com/a.pdf", None, "file-extract", "is a URL"),
        ("a\x00b", None, "file-extract", "cannot be read"),
        ("x" * 5000, None, "file-extract", "cannot be read"),
        (os.devnull, None, "file-extract", "is no regular file"),
        (b"", "a.txt", "file-extract", "a.txt is empty"),
        (b"x", None, "file-extract", "need name="),
        (io.BytesIO(b"x"), None, "file-extract", "need name="),
        (io.StringIO("x"), "a.txt", "file-extract", "open it in binary mode"),
        (7, "a.txt", "file-extract", "not int"),
        (b"x", "a.mp3", "file-extract", "a.mp3 is no document"),
        (b"x", "A.ZIP", "file-extract", "A.ZIP is no document"),
        (b"x", "a.txt", "image", "a.txt is text/plain"),
        (b"x", "a.png", "video", "takes videos"),
        (b"x", "a.txt", "assistants", "none of file-extract, image, video, batch"),
    ],
)
def test_what_the_server_would_refuse_is_not_sent(
    file: Any, name: str | None, purpose: str, words: str, make: Any, call: Any, kimi: KimiEmulator
) -> None:
    with pytest.raises(KimiRequestError, match=words):
        call(make(), "upload", file, name, purpose=purpose)
    assert kimi.requests == []


def test_a_closed_file_object_is_a_clear_error() -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(KimiRequestError, match="cannot be read"):
        read_document(closed, "a.txt")


def test_size_is_checked_before_a_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "big.txt"
    with path.open("wb") as file:
        file.truncate(documents.MAX_FILE_BYTES + 1)  # sparse
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read"))
    with pytest.raises(KimiRequestError, match=r"larger than 100 MB \(100 MB\)"):
        read_document(path)


def test_an_endless_file_object_is_not_read_to_its_end() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size == documents.MAX_FILE_BYTES + 1
            return b"\0" * size

    with pytest.raises(KimiRequestError, match="larger than 100 MB"):
        read_document(Endless(), "a.txt")


@pytest.mark.says("docs/files.md", "Kimi extracts the text of PDF, Office, HTML, e-book, picture and text files.")
@pytest.mark.parametrize("name", ["a.tsx", "a.ts", "a.PY3", "a.jpg", "a.rst", "Makefile", "a.unheard"])
def test_documented_and_unheard_of_types_pass(name: str) -> None:
    assert read_document(b"x", name) == Document(name, b"x")


def test_names_lose_their_folders_and_what_is_no_text(make: Any, call: Any, kimi: KimiEmulator) -> None:
    assert call(make(), "upload", b"x", 'a/b/c "d".txt').filename == 'c "d".txt'
    assert call(make(), "upload", b"x", "x\udcff.txt").filename == "x?.txt"


@pytest.mark.parametrize("id", ["", "..", "../models", "a/b", "a?b", "a b", "ms://", None, 7])
def test_an_id_that_is_none_never_reaches_another_endpoint(id: Any, make: Any, call: Any, kimi: KimiEmulator) -> None:
    for method in ("get", "delete", "content", "text"):
        with pytest.raises(KimiRequestError, match="is no file id"):
            call(make(), method, id)
    assert kimi.requests == []


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (UploadLimits(files=0), r"Too many uploaded files .* delete some"),
        (UploadLimits(total_bytes=1), "please delete previous uploaded files .* delete some"),
        (UploadLimits(file_bytes=1), "A file may have 100 MB"),
    ],
)
def test_what_only_the_server_knows_is_explained(limits: UploadLimits, words: str, make: Any, call: Any) -> None:
    with KimiEmulator(upload_limits=limits) as emulator:
        with pytest.raises(KimiError, match=words):
            call(make(emulator), "extract", b"text", "a.txt")
        assert methods(emulator) == ["POST"]


def test_a_picture_without_text_is_explained(make: Any, call: Any, kimi: KimiEmulator) -> None:
    with pytest.raises(KimiError, match=r"没有解析出内容 .* put it into a message as an image"):
        call(make(), "extract", b"\x89PNG", "a.png")
    assert kimi.uploads == {}


def test_a_failure_in_the_middle_deletes_the_file(hooked: Any, make: Any, call: Any, transport: str) -> None:
    def hook(request: RecordedRequest) -> None:
        if request.path.endswith("/content"):
            raise RuntimeError("broken")

    emulator = hooked(hook)
    with pytest.raises(KimiError, match="failed in the middle"):
        call(make(emulator), "extract", b"text", "a.txt")
    reads = ["GET"] * (2 if transport == "aiohttp" else 1)  # aiohttp reads again over a new connection
    assert (methods(emulator), emulator.uploads) == (["POST", *reads, "DELETE"], {})


def test_a_file_that_cannot_be_deleted_costs_a_warning_and_not_the_text(hooked: Any, make: Any, call: Any) -> None:
    def hook(request: RecordedRequest) -> None:
        if request.method == "DELETE":
            raise RuntimeError("broken")

    with pytest.warns(KimiWarning, match="could not be deleted") as warned:
        assert call(make(hooked(hook)), "extract", b"text", "a.txt") == "text"
    assert SECRET not in str(warned[0].message)


def test_a_file_that_is_gone_already_is_fine(hooked: Any, make: Any, call: Any) -> None:
    def hook(request: RecordedRequest) -> None:
        if request.path.endswith("/content"):
            emulator.uploads.clear()

    emulator = hooked(hook)
    assert call(make(emulator), "extract", b"text", "a.txt") == "text"
    assert emulator.requests[-1].status == 404


class Gate:
    """Holds the answers to some requests back until it is opened, and says when the first one waits."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, request: RecordedRequest) -> None:
        if request.method == self.method:
            self.reached.set()
            assert self.open.wait(10)


@pytest.mark.parametrize("moment", ["POST", "GET", "DELETE"])
async def test_a_cancelled_extraction_deletes_its_file(moment: str, hooked: Any, make: Any) -> None:
    gate = Gate(moment)
    emulator, files = hooked(gate), None
    files = make(emulator)
    task = asyncio.create_task(files.aextract(b"text", "a.txt"))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    gate.open.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (emulator.uploads, methods(emulator)[-1]) == ({}, "DELETE")
    assert asyncio.all_tasks() == {asyncio.current_task()}
    await files.aclose()


async def test_a_cancelled_upload_that_hangs_is_let_go(hooked: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kimi_wire.endpoints.files._GRACE", 0.05)
    gate = Gate("POST")
    files = make(hooked(gate))
    task = asyncio.create_task(files.aextract(b"text", "a.txt"))
    assert await asyncio.to_thread(gate.reached.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()
    await files.aclose()


async def test_a_cancelled_upload_that_fails_is_only_cancelled(make: Any) -> None:
    gate = Gate("POST")
    with KimiEmulator(on_answer=gate, upload_limits=UploadLimits(files=0)) as emulator:
        files = make(emulator)
        task = asyncio.create_task(files.aextract(b"text", "a.txt"))
        assert await asyncio.to_thread(gate.reached.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await files.aclose()
        assert methods(emulator) == ["POST"]


class Crowd:
    """Counts how many files are between upload and deletion, at most."""

    def __init__(self, wanted: int) -> None:
        self.lock, self.now, self.most = threading.Lock(), 0, 0
        self.barrier = threading.Barrier(wanted)

    def __call__(self, request: RecordedRequest) -> None:
        with self.lock:
            self.now += {"POST": 1, "DELETE": -1}.get(request.method, 0)
            self.most = max(self.most, self.now)
        if request.method == "GET":
            self.barrier.wait(10)  # passes only when so many are at it together


async def test_so_many_files_at_a_time_and_no_more(hooked: Any, make: Any) -> None:
    crowd = Crowd(2)
    files = make(hooked(crowd), max_concurrency=2)
    texts = await asyncio.gather(*(files.aextract(b"%d" % n, "a.txt") for n in range(6)))
    assert texts == [str(n) for n in range(6)]
    assert crowd.most == 2
    await files.aclose()


def test_so_many_files_at_a_time_in_threads(hooked: Any, make: Any) -> None:
    from concurrent.futures import ThreadPoolExecutor

    crowd = Crowd(2)
    files = make(hooked(crowd), max_concurrency=2)
    with ThreadPoolExecutor(6) as pool:
        texts = list(pool.map(lambda n: files.extract(b"%d" % n, "a.txt"), range(6)))
    assert texts == [str(n) for n in range(6)]
    assert crowd.most == 2


def test_one_object_serves_one_event_loop_after_another(make: Any) -> None:
    files = make(max_concurrency=1)

    async def both() -> list[str]:
        return await asyncio.gather(files.aextract(b"a", "a.txt"), files.aextract(b"b", "b.txt"))

    for _ in range(3):
        assert asyncio.run(both()) == ["a", "b"]


def test_no_room_for_anything_is_refused() -> None:
    with pytest.raises(KimiRequestError, match="max_concurrency=0"):
        KimiFiles(SECRET, max_concurrency=0)


def test_the_key_is_in_no_repr(make: Any) -> None:
    assert SECRET not in repr(make())


def response(body: bytes) -> Any:
    return SimpleNamespace(content=body, headers={"msh-request-id": "r-1"})


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"id": 7}', b'{"id": ""}', b"{}", b"\xff"])
def test_an_answer_that_is_no_file_is_an_error(body: bytes) -> None:
    with pytest.raises(KimiResponseError, match="r-1"):
        parse_file(response(body))


def test_what_a_server_leaves_out_of_a_file_is_none() -> None:
    found = parse_file(response(b'{"id": "f", "bytes": "5", "created_at": null}'))
    assert (found.size, found.created_at, found.filename, found.status) == (None, None, "", "")
    assert parse_files(response(b'{"data": null}')) == []
    with pytest.raises(KimiResponseError):
        parse_files(response(b'{"data": [7]}'))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"content":"a","file_type":"text/plain","filename":"f","title":"","type":"file"}', "a"),
        (b'{"content": "mine"}', '{"content": "mine"}'),  # a document of the user's, sent as it is
        (b"plain", "plain"),
        (b"[" * 100_000, "[" * 100_000),
        (b"\xff", "\ufffd"),
        (b"7", "7"),
    ],
)
def test_text_is_read_in_every_form(content: bytes, text: str) -> None:
    assert parse_text(response(content)) == text


def test_hints_are_for_errors_of_files_alone() -> None:
    assert hint_for_file("https://api.moonshot.ai/v1/chat/completions", "Not found the model x") is None
    assert "no such file" in str(hint_for_file("https://api.moonshot.ai/v1/files/x", "Not found: x"))
    assert hint_for_file("https://api.moonshot.ai/v1/files", "Incorrect API key provided") is None
    assert "purposes" in str(hint_for_file("https://h/v1/files", "Invalid purpose: only 'file-extract' accepted"))
