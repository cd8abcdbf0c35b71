"""What a file is, told from its first bytes: names and declared types are wrong too often. Pure."""

from __future__ import annotations

HEAD = 768
"""How many bytes `sniff` looks at."""

# https://platform.kimi.ai/docs/guide/use-kimi-vision-model, in its spellings. Anything else poisons the session it is
# in: "unsupported image format: image/x-icon" with every later request (MoonshotAI/kimi-cli#2017).
ACCEPTED = {
    "image": tuple(f"image/{name}" for name in ("jpeg", "png", "gif", "webp", "bmp", "heic", "heif")),
    "video": tuple(f"video/{name}" for name in ("mp4", "mpeg", "mov", "avi", "x-flv", "webm", "wmv", "3gpp")),
}

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/wmv"),
    # Known so that the error can say what they are.
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
)
_RIFF = {b"WEBP": "image/webp", b"AVI ": "video/avi", b"WAVE": "audio/wav"}
_HEIC = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs"})
_HEIF = frozenset({b"mif1", b"msf1", b"heif"})
_AVIF = frozenset({b"avif", b"avis"})
_QUICKTIME = frozenset({b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})

_TEXT = frozenset(
    f"application/{name}"
    for name in (
        "json",
        "xml",
        "yaml",
        "x-yaml",
        "toml",
        "javascript",
        "x-javascript",
        "x-ndjson",
        "jsonl",
        "sql",
        "csv",
    )
)


def sniff(head: bytes) -> str | None:
    """Tell the media type of a file.

    Args:
        head: Its first bytes; `HEAD` of them are enough.

    Returns:
        The type in the spelling of Kimi's documentation, also of common files that Kimi does not take; None where the
        bytes say nothing.
    """
    for signature, media_type in _SIGNATURES:
        if head.startswith(signature):
            return media_type
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        return "image/bmp"
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    if head[4:8] == b"ftyp":
        return _sniff_brands(head)
    if head[4:8] in _QUICKTIME:
        return "video/mov"
    if head[:1] == head[188:189] == head[376:377] == b"\x47":
        return "video/mp2t"
    return "image/svg+xml" if _is_svg(head) else None


def _sniff_brands(head: bytes) -> str:
    """The kind of an ISO base media file, by its major brand and for still images the compatible ones."""
    size = int.from_bytes(head[:4], "big")
    major, brands = head[8:12], {head[at : at + 4] for at in range(8, min(size, len(head)), 4)}
    if major in _HEIC | _HEIF | _AVIF:
        if major in _AVIF or (major in _HEIF and brands & _AVIF):
            return "image/avif"
        return "image/heic" if brands & _HEIC else "image/heif"
    if major == b"qt  ":
        return "video/mov"
    if major.startswith(b"3g2"):
        return "video/3gpp2"
    if major.startswith(b"3g"):
        return "video/3gpp"
    return "audio/mp4" if major in (b"M4A ", b"M4B ") else "video/mp4"


def _is_svg(head: bytes) -> bool:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--", b"<!DOCTYPE svg")) and b"<svg" in text)


def is_text(media_type: str) -> bool:
    """Whether files of a type are text that a model can read as it is."""
    media_type = media_type.partition(";")[0].strip().lower()
    if media_type == "image/svg+xml":
        return True
    return media_type.startswith("text/") or media_type in _TEXT or media_type.endswith(("+json", "+xml", "+yaml"))


def explain_refusal(media_type: str | None, kind: str) -> str:
    """Say why a file is not taken as an image or a video, and what to do.

    Args:
        media_type: What it is, by its content; None where that is unknown.
        kind: `image` or `video`: what it was sent as.

    Returns:
        The end of a sentence that begins with the file, such as "is a PDF; ...".
    """
    names = ", ".join(name.partition("/")[2].removeprefix("x-") for name in ACCEPTED[kind])
    taken = f"Kimi takes {kind}s as {names}"
    if media_type is None:
        return f"has a content that is no known {kind}, whatever its name or declared type says. {taken}."
    for other, accepted in ACCEPTED.items():
        if media_type in accepted:
            return f"is a file of type {media_type}: send it as {'an' if other == 'image' else 'a'} {other}."
    if media_type == "image/svg+xml":
        return f"is an SVG. {taken}: render it to PNG, or send its source as text."
    if media_type == "image/x-icon":
        return f"is an icon (image/x-icon). {taken}: convert it to PNG."
    if media_type.startswith("audio/"):
        return f"is audio ({media_type}), which Kimi does not take: transcribe it, and send the text."
    if media_type.startswith(("image/", "video/")):
        return f"is of type {media_type}. {taken}: convert it."
    return f"is a document ({media_type}) and no {kind}. {DOCUMENTS}"


DOCUMENTS = (
    "A chat carries text, images and videos: have the text of documents such as PDF or Word read by the server "
    "(KimiFileLoader for LangChain, KimiFileReader for LlamaIndex), or by a loader of your own, and send that."
)
