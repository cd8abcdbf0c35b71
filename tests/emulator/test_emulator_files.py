"""The files endpoints: forms in, text out, limits in the API's words."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, UploadLimits

Send = Callable[..., Any]
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


def form(filename: str | None, data: bytes, purpose: str | None = "file-extract", disposition: str = "") -> bytes:
    named = disposition or f'name="file"; filename="{filename}"' if filename is not None else 'name="other"'
    lines = [
        f"--xyz\r\nContent-Disposition: form-data; {named}\r\nContent-Type: image/x-whatever\r\n\r\n".encode(),
        data,
    ]
    if purpose is not None:
        lines.append(f'\r\n--xyz\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}'.encode())
    return b"".join(lines) + b"\r\n--xyz--\r\n"


@pytest.fixture
def upload(kimi: KimiEmulator, http_send: Send) -> Send:
    def upload(filename: str | None, data: bytes | str, purpose: str | None = "file-extract", **more: Any) -> Any:
        to = more.pop("to", kimi)
        raw = form(filename, data.encode() if isinstance(data, str) else data, purpose, **more)
        return http_send(to, raw, path="/files", content_type="multipart/form-data; boundary=xyz")

    return upload


@pytest.fixture
def small(kimi: KimiEmulator) -> Iterator[KimiEmulator]:
    with KimiEmulator(upload_limits=UploadLimits(files=2, file_bytes=10, total_bytes=15)) as emulator:
        yield emulator


def text_of(kimi: KimiEmulator, http_send: Send, id: str) -> Any:
    return http_send(kimi, path=f"/files/{id}/content").json


def test_a_file_lives_from_upload_to_delete(kimi: KimiEmulator, upload: Send, http_send: Send) -> None:
    answer = upload("我是一个文件.txt", "文件内容1\n\n文件内容2")
    file = answer.json
    assert answer.status == 200
    assert list(file) == ["id", "object", "bytes", "created_at", "filename", "purpose", "status", "status_details"]
    assert file["id"].startswith("file_")
    assert (file["object"], file["bytes"], file["filename"]) == ("file", 28, "我是一个文件.txt")
    assert (file["purpose"], file["status"], file["status_details"]) == ("file-extract", "ready", "")
    assert http_send(kimi, path="/files").json == {"object": "list", "data": [file]}
    assert http_send(kimi, path=f"/files/{file['id']}").json == file
    assert text_of(kimi, http_send, file["id"]) == {
        "content": "文件内容1\n\n文件内容2",
        "file_type": "text/plain",
        "filename": "我是一个文件.txt",
        "title": "",
        "type": "file",
    }
    deleted = http_send(kimi, path=f"/files/{file['id']}", method="DELETE").json
    assert deleted == {"deleted": True, "id": file["id"], "object": "file"}
    assert kimi.uploads == {}
    for path, method in (("", "GET"), ("", "DELETE"), ("/content", "GET")):
        gone = http_send(kimi, path=f"/files/{file['id']}{path}", method=method)
        assert (gone.status, gone.json["error"]["type"]) == (404, "resource_not_found_error")


def test_shapes_are_the_recorded_ones(recordings: Path, kimi: KimiEmulator, upload: Send, http_send: Send) -> None:
    recorded = json.loads((recordings / "files_api" / "files_2024-03.json").read_text(encoding="utf-8"))
    file = upload("a.txt", "x").json
    assert list(file) == list(recorded["upload_or_retrieve"])
    assert list(text_of(kimi, http_send, file["id"])) == list(recorded["content"])
    assert list(http_send(kimi, path="/files").json) == list(recorded["list"])
    assert list(http_send(kimi, path=f"/files/{file['id']}", method="DELETE").json) == list(recorded["delete"])


def test_the_form_is_recorded_and_the_newest_file_listed_first(
    kimi: KimiEmulator, upload: Send, http_send: Send
) -> None:
    upload("a.txt", "x")
    upload("b.txt", "yy")
    assert kimi.requests[-1].body == {
        "file": {"filename": "b.txt", "media_type": "image/x-whatever", "bytes": 2},
        "purpose": "file-extract",
    }
    assert [one["filename"] for one in http_send(kimi, path="/files").json["data"]] == ["b.txt", "a.txt"]
    kimi.reset()
    assert http_send(kimi, path="/files").json["data"] == []


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('name="file"; filename="a%22b.txt"', 'a"b.txt'),
        ('name="file"; filename="a\\"b.txt"', 'a"b.txt'),
        ("name=\"file\"; filename*=utf-8''%E6%96%87.txt", "文.txt"),
        ("name=file; filename=plain.txt", "plain.txt"),
    ],
)
def test_names_are_read_as_clients_write_them(upload: Send, disposition: str, filename: str) -> None:
    assert upload("x", "text", disposition=disposition).json["filename"] == filename


def zipped(**members: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), text)
    return target.getvalue()


def pdf(content: bytes, head: bytes = b"") -> bytes:
    return b"%PDF-1.4\n1 0 obj\n<< /Length 9 " + head + b">>\nstream\n" + content + b"\nendstream\nendobj\n%%EOF"


PAGE = b"BT /F1 12 Tf (Hello \\(world\\)) Tj T* [(caf) -20 (\\351)] TJ ET"


@pytest.mark.parametrize(
    ("filename", "data", "text"),
    [
        ("a.md", b"# Title\n\n- one", "# Title\n\n- one"),
        ("a.csv", b"name,age\nAda,36\n", "name,age\nAda,36\n"),
        ("A.JSON", b'{"a": 1}', '{"a": 1}'),
        ("bom.txt", b"\xef\xbb\xbfhi", "hi"),
        ("utf16.txt", "hi".encode("utf-16"), "hi"),
        ("gb.txt", "中文".encode("gb18030"), "中文"),
        (
            "a.html",
            b"<html><head><title> T </title><style>p{}</style></head><body><h1>A &amp; B</h1><p>one<br>two <b>three</b>"
            b"</p></template><script>x()</script></body></html>",
            "A & B\none\ntwo three",
        ),
        ("a.docx", zipped(word__document_xml='<w xmlns="u"><p><t>one </t><t>two</t></p><p><t>three</t></p></w>'), "one two\nthree"),
        ("a.epub", zipped(c1_xhtml="<title>Book</title><p>one</p>", c2_html="<p>two</p>", x_css="no"), "one\ntwo"),
        ("a.pdf", pdf(PAGE), "Hello (world)\ncafé"),
        ("b.pdf", pdf(zlib.compress(PAGE), b"/Filter /FlateDecode "), "Hello (world)\ncafé"),
    ],
)  # fmt: skip
def test_text_is_extracted(
    filename: str, data: bytes, text: str, kimi: KimiEmulator, upload: Send, http_send: Send
) -> None:
    answer = upload(filename, data)
    assert answer.status == 200
    assert text_of(kimi, http_send, answer.json["id"])["content"] == text


def test_a_title_is_told(kimi: KimiEmulator, upload: Send, http_send: Send) -> None:
    id = upload("a.html", "<title>The title</title><p>x").json["id"]
    assert text_of(kimi, http_send, id)["title"] == "The title"


@pytest.mark.parametrize(
    ("filename", "data"),
    [
        ("a.png", PNG),
        ("blank.txt", b"  \n"),
        ("binary.txt", b"\x00\x01\xff"),
        ("nonsense.txt", b"\x81"),
        ("scan.pdf", pdf(b"q 10 0 0 10 0 0 cm /Im1 Do Q")),
        ("broken.pdf", pdf(b"not deflated", b"/Filter /FlateDecode ")),
        ("broken.docx", b"no zip"),
        ("broken_xml.docx", zipped(word__document_xml="<w>")),
    ],
)
def test_what_has_no_text_is_refused_at_the_upload(
    filename: str, data: bytes, kimi: KimiEmulator, upload: Send
) -> None:
    answer = upload(filename, data)
    assert (answer.status, answer.error) == (400, "text extract error: 没有解析出内容")
    assert not kimi.uploads


@pytest.mark.parametrize("name", ["movie.mp4", "archive.zip", "program.exe", "no_ending"])
def test_what_is_no_document_is_refused(upload: Send, name: str) -> None:
    assert upload(name, "text").error == f"unsupported file type: {name}"


@pytest.mark.parametrize(
    ("purpose", "filename", "data"),
    [("image", "a.png", PNG), ("video", "a.mp4", b"\0\0"), ("video", "a.flv", b"F"), ("batch", "a.jsonl", b"{}\n")],
)
def test_other_purposes_keep_the_bytes(
    purpose: str, filename: str, data: bytes, kimi: KimiEmulator, upload: Send, http_send: Send
) -> None:
    file = upload(filename, data, purpose).json
    kept = kimi.uploads[file["id"]]
    assert (kept.purpose, kept.data, kept.text) == (purpose, data, "")
    content = http_send(kimi, path=f"/files/{file['id']}/content")
    assert (content.raw, content.headers["content-type"]) == (data, kept.media_type)


@pytest.mark.parametrize(
    ("purpose", "filename", "words"),
    [
        ("assistants", "a.txt", "Invalid purpose: only 'file-extract' accepted"),
        (None, "a.txt", "Invalid purpose: only 'file-extract' accepted"),
        ("image", "a.txt", "unsupported image format: text/plain"),
        ("video", "a.png", "unsupported video format: image/png"),
        ("image", "a.unknown", "missing"),
        ("file-extract", None, "missing required parameter: file"),
    ],
)
def test_purposes_and_files_are_checked(purpose: str | None, filename: str | None, words: str, upload: Send) -> None:
    answer = upload(filename, "text", purpose)
    if filename == "a.unknown":  # by what the sender says
        assert answer.status == 200
    else:
        assert (answer.status, answer.error) == (400, words)


def test_limits_are_told_in_the_documents_words(small: KimiEmulator, upload: Send) -> None:
    assert upload("a.txt", "", to=small).error == "File size is zero, please confirm and re-upload the file"
    assert upload("a.txt", "x" * 11, to=small).error == (
        "File size is too large, max file size is 100MB, please confirm and re-upload the file"
    )
    assert upload("a.txt", "x" * 10, to=small).status == 200
    assert upload("b.txt", "x" * 6, to=small).error == (
        "The size of files you have uploaded exceeded the max file size, please delete previous uploaded files"
    )
    assert upload("b.txt", "x" * 5, to=small).status == 200
    assert upload("c.txt", "x", to=small).error == "Too many uploaded files"


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        (b"{}", "application/json"),
        (b"x", "multipart/form-data"),
        (form("a.txt", b"x")[:-6], "multipart/form-data; boundary=xyz"),
        (b"", "multipart/form-data; boundary=xyz"),
    ],
)
def test_a_body_that_is_no_form_is_refused(raw: bytes, content_type: str, kimi: KimiEmulator, http_send: Send) -> None:
    answer = http_send(kimi, raw, path="/files", content_type=content_type)
    assert answer.status == 400
    assert answer.error.startswith("Invalid request: the ")


def test_headers_without_a_colon_are_passed_over(kimi: KimiEmulator, http_send: Send) -> None:
    raw = form("a.txt", b"x").replace(b"Content-Type: image/x-whatever", b"nothing")
    answer = http_send(kimi, raw, path="/files", content_type='multipart/form-data; boundary="xyz"')
    assert answer.status == 200
