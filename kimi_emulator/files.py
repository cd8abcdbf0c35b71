"""The files endpoints: upload, list, retrieve, delete, content.

Shapes are recorded (2024). That ids begin with ``file_``, the status ``ready`` and the purposes ``image``, ``video``
and ``batch`` are from the documentation: https://platform.kimi.ai/docs/api/files-upload.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from mimetypes import MimeTypes
from typing import Any

from . import extraction
from .calls import Answer, Call
from .multipart import Part, parse_form
from .request import Rejected

PURPOSES = ("file-extract", "image", "video", "batch")

_TYPES = MimeTypes()  # the built-in table: a machine's own would answer differently from the next one's
for _type, _ending in (
    ("text/markdown", ".md"),
    ("application/json", ".jsonl"),
    ("image/webp", ".webp"),
    ("image/heic", ".heic"),
    ("image/heif", ".heif"),
    ("video/x-flv", ".flv"),
    ("video/x-ms-wmv", ".wmv"),
    ("video/3gpp", ".3gp"),
    ("video/x-msvideo", ".avi"),
):
    _TYPES.add_type(_type, _ending)


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
        purpose: One of ``PURPOSES``.
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


def upload(call: Call) -> Answer:
    """Take a file in."""
    form = parse_form(call.raw, call.record.headers.get("content-type", ""))
    file, purpose = form.get("file"), form.get("purpose")
    call.record.body = _recorded(form)
    if file is None or file.filename is None:
        raise Rejected("missing required parameter: file")  # wording ours
    wanted = purpose.data.decode("utf-8", "replace") if purpose else ""
    if wanted not in PURPOSES:
        # The documents' words, older than the other three purposes.
        raise Rejected("Invalid purpose: only 'file-extract' accepted")
    _check_size(len(file.data), call.emulator.upload_limits)
    stored = _read(file, file.filename, wanted)
    call.emulator.keep_upload(stored)
    return Answer(stored.body)


def _recorded(form: dict[str, Part]) -> dict[str, Any]:
    """What a test wants to see of a form: plain fields as text, files by name, type and size."""
    return {
        name: part.data.decode("utf-8", "replace")
        if part.filename is None
        else {"filename": part.filename, "media_type": part.media_type, "bytes": len(part.data)}
        for name, part in form.items()
    }


def _check_size(size: int, limits: UploadLimits) -> None:
    """The documents' words, whatever the limit of a test is."""
    if size == 0:
        raise Rejected("File size is zero, please confirm and re-upload the file")
    if size > limits.file_bytes:
        raise Rejected("File size is too large, max file size is 100MB, please confirm and re-upload the file")


def check_room(kept: list[Upload], coming: Upload, limits: UploadLimits) -> None:
    """Refuse a file there is no room for.

    Raises:
        Rejected: With the documents' words for too many files, those of kimi-cli#1087 for too many bytes.
    """
    if len(kept) >= limits.files:
        raise Rejected("Too many uploaded files")
    if sum(len(one.data) for one in kept) + len(coming.data) > limits.total_bytes:
        raise Rejected(
            "The size of files you have uploaded exceeded the max file size, please delete previous uploaded files"
        )


def _read(file: Part, filename: str, purpose: str) -> Upload:
    media_type = _TYPES.guess_type(filename)[0] or file.media_type
    text = title = ""
    if purpose == "file-extract":
        if not extraction.readable(filename):
            raise Rejected(f"unsupported file type: {filename}")  # wording ours
        text, title = extraction.extract(filename, file.data)
        if not text.strip():
            # librefang#5290, for a picture without text; a scanned PDF is refused the same way, at the upload.
            raise Rejected("text extract error: 没有解析出内容")
    elif purpose in ("image", "video") and not media_type.startswith(f"{purpose}/"):
        raise Rejected(f"unsupported {purpose} format: {media_type}")  # after kimi-cli#2017
    id = f"file_{secrets.token_hex(10)}"
    return Upload(id, filename, purpose, media_type, file.data, text, title)


def list_all(call: Call) -> Answer:
    """List the files, the newest first."""
    kept = list(call.emulator.uploads.values())
    return Answer({"object": "list", "data": [one.body for one in reversed(kept)]})


def _find(call: Call) -> Upload:
    id = call.parts["id"]
    found = call.emulator.uploads.get(id)
    if found is None:
        raise Rejected(f"Not found the file {id}", status=404, type="resource_not_found_error")  # wording ours
    return found


def get_one(call: Call) -> Answer:
    """Describe a file."""
    return Answer(_find(call).body)


def delete(call: Call) -> Answer:
    """Forget a file."""
    found = _find(call)
    call.emulator.uploads.pop(found.id, None)
    return Answer({"deleted": True, "id": found.id, "object": "file"})


def get_content(call: Call) -> Answer:
    """Return what was extracted, and for the other purposes the file itself (from the documentation)."""
    found = _find(call)
    if found.purpose != "file-extract":
        return Answer(found.data, headers={"Content-Type": found.media_type})
    body = {
        "content": found.text,
        "file_type": found.media_type,
        "filename": found.filename,
        "title": found.title,
        "type": "file",
    }
    return Answer(body)
