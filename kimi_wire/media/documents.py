"""What may be uploaded: paths, bytes and file objects are read and checked before anything is sent."""

from __future__ import annotations

import asyncio
import mimetypes
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

from kimi_wire.errors import KimiRequestError

MAX_FILE_BYTES = 100 * 1024 * 1024
"""Of one file: https://platform.kimi.ai/docs/api/files-upload."""

PURPOSES = ("file-extract", "image", "video", "batch")

FileInput: TypeAlias = "str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]"

# https://platform.kimi.ai/docs/api/files-upload, "Supported Formats". The list ends with "and more", so that a name
# it does not have is refused here only where its type is known to hold no text; the server decides about the others.
_LISTED = """
.pdf .txt .csv .doc .docx .xls .xlsx .ppt .pptx .md .jpeg .png .bmp .gif .svg .svgz .webp .ico .xbm .dib .pjp .tif
.pjpeg .avif .dot .apng .epub .tiff .jfif .html .json .mobi .log .go .h .c .cpp .cxx .cc .cs .java .js .css .jsp .php
.py .py3 .asp .yaml .yml .ini .conf .ts .tsx"""
_BINARY = """
.zip .gz .tgz .bz2 .xz .7z .rar .tar .zst .iso .dmg .exe .dll .so .dylib .bin .o .a .class .jar .pyc .whl .wasm .db
.sqlite .parquet .npy .npz .pkl .pt .safetensors .ttf .otf .woff .woff2"""
_DOCUMENTED, _WITHOUT_TEXT = frozenset(_LISTED.split()), frozenset(_BINARY.split())

_TYPES = mimetypes.MimeTypes()  # Python's own table: the same on every machine
for _media_type, _suffix in (
    ("application/epub+zip", ".epub"),
    ("image/heic", ".heic"),
    ("image/heif", ".heif"),
    ("image/webp", ".webp"),
    ("text/markdown", ".md"),
    ("text/plain", ".ts"),  # TypeScript, which the table takes for a video
    ("video/3gpp", ".3gp"),
    ("video/x-flv", ".flv"),
    ("video/x-ms-wmv", ".wmv"),
):
    _TYPES.add_type(_media_type, _suffix)


@dataclass(frozen=True, slots=True)
class Document:
    """A file ready to be uploaded.

    Attributes:
        name: Its name, without folders. The server tells the type by its ending.
        data: Its bytes.
    """

    name: str
    data: bytes

    @property
    def media_type(self) -> str:
        """The media type that belongs to the name; `application/octet-stream` where it says nothing."""
        return _TYPES.guess_type(self.name)[0] or "application/octet-stream"


def read_document(file: FileInput | Document, name: str | None = None, purpose: str = "file-extract") -> Document:
    """Read a file and check what the server would refuse.

    Args:
        file: A path, the bytes, or a file object opened in binary mode, read from where it stands.
        name: The name to upload it by. Default: the path's, or the file object's own. Bytes need one.
        purpose: One of `PURPOSES`.

    Raises:
        KimiRequestError: It does not exist, is a folder, cannot be read, is empty or too large, has no name, or is of
            a type that the purpose has no use for. Nothing was sent.
    """
    if purpose not in PURPOSES:
        raise KimiRequestError(f"purpose={purpose!r} is none of {', '.join(PURPOSES)}.")
    if isinstance(file, Document):
        name, data = name or file.name, file.data
    elif isinstance(file, (str, os.PathLike)):
        name, data = name or os.path.basename(os.fspath(file)), _read_path(file)
    elif isinstance(file, (bytes, bytearray, memoryview)):
        data = bytes(file)
    elif callable(getattr(file, "read", None)):
        own = getattr(file, "name", None)
        name, data = name or (own if isinstance(own, str) else None), _read_object(file)
    else:
        raise KimiRequestError(f"A file is a path, bytes or a binary file object, not {type(file).__name__}.")
    if not name:
        raise KimiRequestError(
            "Bytes and nameless file objects need name='report.pdf': the server tells types by names."
        )
    # A name out of a foreign file system may have bytes that are no UTF-8.
    document = Document(os.path.basename(name.encode("utf-8", "replace").decode()), data)
    _check_type(document, purpose)
    _check_size(document.name, len(data))
    return document


async def aread_document(
    file: FileInput | Document, name: str | None = None, purpose: str = "file-extract"
) -> Document:
    """The asynchronous twin of `read_document`: the event loop goes on while a disk is slow."""
    return await asyncio.to_thread(read_document, file, name, purpose)


def _read_path(path: str | os.PathLike[str]) -> bytes:
    shown = os.fspath(path)
    if shown.startswith(("http://", "https://")):
        raise KimiRequestError(f"{shown} is a URL; fetch it first, the files endpoint takes bytes.")
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise KimiRequestError(f"{shown} is a folder; give its files one by one, or use a loader for folders.")
        if not stat.S_ISREG(found.st_mode):
            raise KimiRequestError(f"{shown} is no regular file.")
        _check_size(shown, found.st_size)
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise KimiRequestError(f"{shown} does not exist.") from None
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        if isinstance(error, KimiRequestError):
            raise
        raise KimiRequestError(f"{shown} cannot be read: {error}") from error


def _read_object(file: IO[bytes]) -> bytes:
    try:
        data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise KimiRequestError(f"The file object cannot be read: {error}") from error
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise KimiRequestError(f"The file object gives {type(data).__name__}; open it in binary mode ('rb').")
    return bytes(data)


def _check_size(name: str, size: int) -> None:
    if size == 0:  # "File size is zero, please confirm and re-upload the file"
        raise KimiRequestError(f"{name} is empty; the server takes no empty file.")
    if size > MAX_FILE_BYTES:  # "File size is too large, max file size is 100MB, ..."
        raise KimiRequestError(f"{name} is larger than 100 MB ({size / 1024 / 1024:.0f} MB); split it.")


def _check_type(document: Document, purpose: str) -> None:
    suffix = os.path.splitext(document.name)[1].lower()
    media_type = document.media_type
    kind = media_type.partition("/")[0]
    if purpose in ("image", "video"):
        if kind != purpose and media_type != "application/octet-stream":
            raise KimiRequestError(f"{document.name} is {media_type}; purpose={purpose!r} takes {purpose}s.")
    elif (
        purpose == "file-extract"
        and suffix not in _DOCUMENTED
        and (kind in ("audio", "video") or suffix in _WITHOUT_TEXT)
    ):
        listed = " ".join(sorted(_DOCUMENTED))
        raise KimiRequestError(f"{document.name} is no document. Text can be extracted from {listed} and more.")
