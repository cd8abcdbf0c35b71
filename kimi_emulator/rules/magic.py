"""Which image or video the first bytes of a file are."""

from __future__ import annotations

import re

# The signatures of https://en.wikipedia.org/wiki/List_of_file_signatures.
_PATTERNS: tuple[tuple[str, str], ...] = (
    (r"\xff\xd8\xff", "image/jpeg"),
    (r"\x89PNG\r\n\x1a\n", "image/png"),
    (r"GIF8[79]a", "image/gif"),
    (r"RIFF....WEBP", "image/webp"),
    (r"BM", "image/bmp"),
    (r"\x00\x00\x01\x00", "image/x-icon"),
    (r"II\*\x00|MM\x00\*", "image/tiff"),
    (r"....ftyp(?:hei[cxms]|hev[cxms])", "image/heic"),
    (r"....ftypavi[fs]", "image/avif"),
    (r"....ftyp(?:mif1|msf1|heif)", "image/heif"),
    (r"....ftypqt  |....(?:moov|mdat|wide|free|skip|pnot)", "video/mov"),
    (r"....ftyp3gp", "video/3gpp"),
    (r"....ftyp(?!M4[AB] )", "video/mp4"),
    (r"RIFF....AVI ", "video/avi"),
    (r"\x00\x00\x01[\xb3\xba]", "video/mpeg"),
    (r"FLV\x01", "video/x-flv"),
    (r"\x1aE\xdf\xa3.{0,60}webm", "video/webm"),
    (r"\x1aE\xdf\xa3", "video/x-matroska"),
    (r"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/wmv"),
    (r"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!--(?:(?!-->).)*-->\s*)?<svg", "image/svg+xml"),
)
_COMPILED = [(re.compile(pattern.encode(), re.DOTALL), media_type) for pattern, media_type in _PATTERNS]


def media_type(data: bytes) -> str | None:
    """Return the media type of an image or a video, or None."""
    head = data[:1024]
    return next((media_type for pattern, media_type in _COMPILED if pattern.match(head)), None)
