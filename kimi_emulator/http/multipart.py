"""Bodies of type ``multipart/form-data``, as browsers, curl and HTTP libraries write them (RFC 7578)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote

from ..request import Rejected

# Quoted text in which `"` is written `%22` (browsers, httpx) or `\"` (curl), or RFC 5987's `utf-8''...` (urllib3).
# The end of the quotes may be missing, so that what follows is not read again from each quotation mark.
_PARAMETER = re.compile(r';\s*(\w+)(\*?)=(?:"((?:[^"\\]|\\.)*)"?|([^;\s]*))')
_ESCAPED = re.compile(r"\\(.)")
_LONGEST_HEAD = 16 * 1024  # bytes of a field's headers
_MOST_FIELDS = 1000


@dataclass(frozen=True)
class Part:
    """One field of a form.

    Attributes:
        name: The field's name.
        filename: The file's name; None where the field is no file.
        media_type: What the sender says it is.
        data: The value.
    """

    name: str
    filename: str | None
    media_type: str
    data: bytes


def parse_form(raw: bytes, content_type: str) -> dict[str, Part]:
    """Read a form.

    Args:
        raw: The body.
        content_type: The header that names the boundary.

    Returns:
        The fields by name.

    Raises:
        Rejected: If it is no form (wording ours).
    """
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or not boundary:
        raise Rejected("Invalid request: the request body must be multipart/form-data")
    return {part.name: part for part in _parts(raw, boundary.encode("latin-1", "replace"))}


def _parts(raw: bytes, boundary: bytes) -> Iterator[Part]:
    _, *pieces = (b"\r\n" + raw).split(b"\r\n--" + boundary, _MOST_FIELDS)
    if not pieces or not pieces[-1].startswith(b"--"):
        raise Rejected("Invalid request: the form is not complete")
    for piece in pieces[:-1]:
        head, _, data = piece.partition(b"\r\n\r\n")
        if len(head) > _LONGEST_HEAD:
            raise Rejected("Invalid request: a field of the form has too long headers")
        headers = dict(_headers(head.decode("utf-8", "replace")))
        disposition = dict(_parameters(headers.get("content-disposition", "")))
        yield Part(
            name=disposition.get("name", ""),
            filename=disposition.get("filename"),
            media_type=headers.get("content-type", "text/plain").partition(";")[0].strip().lower(),
            data=data,
        )


def _headers(head: str) -> Iterator[tuple[str, str]]:
    for line in head.split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def _parameters(value: str) -> Iterator[tuple[str, str]]:
    for name, extended, quoted, plain in _PARAMETER.findall(value):
        if extended:
            yield name, unquote(plain.rpartition("'")[2])
        else:
            yield name, _ESCAPED.sub(r"\1", quoted.replace("%22", '"')) if quoted else plain
