"""Uploaded files: taken in, found, deleted, read.

That ids begin with ``file_`` and the purposes ``image``, ``video`` and ``batch`` are from the documentation:
https://platform.kimi.ai/docs/api/files-upload.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from mimetypes import MimeTypes

from ..request import Rejected
from ..state import State, Upload, UploadLimits
from .extraction import extract, readable

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


def keep(state: State, *, filename: str, purpose: str, media_type: str, data: bytes) -> Upload:
    """Take a file in.

    Args:
        state: Where it is kept.
        filename: Its name, which says what it is.
        purpose: What it is for.
        media_type: What the sender says it is.
        data: The bytes.

    Raises:
        Rejected: If the purpose is none, the file cannot be read for it, or there is no room.
    """
    if purpose not in PURPOSES:
        # The documents' words, older than the other three purposes.
        raise Rejected("Invalid purpose: only 'file-extract' accepted")
    _check_size(len(data), state.upload_limits)
    media_type = _TYPES.guess_type(filename)[0] or media_type
    text, title = _read(filename, purpose, media_type, data)
    upload = Upload(f"file_{secrets.token_hex(10)}", filename, purpose, media_type, data, text, title)
    with state.lock:
        _check_room(state.uploads.values(), upload, state.upload_limits)
        state.uploads[upload.id] = upload
    return upload


def _check_size(size: int, limits: UploadLimits) -> None:
    """The documents' words, whatever the limit of a test is."""
    if size == 0:
        raise Rejected("File size is zero, please confirm and re-upload the file")
    if size > limits.file_bytes:
        raise Rejected("File size is too large, max file size is 100MB, please confirm and re-upload the file")


def _check_room(kept: Collection[Upload], coming: Upload, limits: UploadLimits) -> None:
    """The documents' words for too many files, those of kimi-cli#1087 for too many bytes."""
    if len(kept) >= limits.files:
        raise Rejected("Too many uploaded files")
    if sum(len(one.data) for one in kept) + len(coming.data) > limits.total_bytes:
        raise Rejected(
            "The size of files you have uploaded exceeded the max file size, please delete previous uploaded files"
        )


def _read(filename: str, purpose: str, media_type: str, data: bytes) -> tuple[str, str]:
    """Return the text and the title of a file that is to be extracted; of others see that they fit their purpose."""
    if purpose == "file-extract":
        if not readable(filename):
            raise Rejected(f"unsupported file type: {filename}")  # wording ours
        text, title = extract(filename, data)
        if not text.strip():
            # librefang#5290, for a picture without text; a scanned PDF is refused the same way, at the upload.
            raise Rejected("text extract error: 没有解析出内容")
        return text, title
    if purpose in ("image", "video") and not media_type.startswith(f"{purpose}/"):
        raise Rejected(f"unsupported {purpose} format: {media_type}")  # after kimi-cli#2017
    return "", ""


def find(state: State, id: str) -> Upload:
    """Return a file.

    Raises:
        Rejected: If there is none with that id.
    """
    found = state.uploads.get(id)
    if found is None:
        raise Rejected(f"Not found the file {id}", status=404, type="resource_not_found_error")  # wording ours
    return found


def delete(state: State, id: str) -> None:
    """Forget a file.

    Raises:
        Rejected: If there is none with that id.
    """
    find(state, id)
    state.uploads.pop(id, None)
