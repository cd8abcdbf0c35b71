"""Beginnings of files, as their formats have them."""

from __future__ import annotations

import base64
import struct
import zlib


def png(size: int = 1) -> bytes:
    """A whole PNG of `size` x 1 grey pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = b"\x00" + bytes(7 * number * number % 256 for number in range(size))
    header = struct.pack(">IIBBBBB", size, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(row)) + chunk(b"IEND", b"")


def pdf(*pages: list[str]) -> bytes:
    """A whole PDF, whose pages have these lines."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        shown = " T* ".join(f"({line}) Tj" for line in lines)
        content = f"BT /F1 12 Tf 14 TL 60 760 Td {shown} ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * number} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
    written, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(f"{len(written):010} 00000 n \n")
        written += f"{number} 0 obj\n{text}\nendobj\n"
    table = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{''.join(places)}"
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(written)}\n%%EOF\n"
    return (written + table + trailer).encode("ascii")


REPORT = pdf(
    ["Annual report of the Fjord Ferry Company.", "The company has 12 ferries and 340 employees."],
    ["Ferries. Seven of the ferries are electric since May.", "The longest route takes five hours."],
    ["Finances. Revenue was 48 million euros in 2025.", "A storm in October caused a loss of 2 million euros."],
)
"""A report of three pages."""


def boxed(major: bytes, *compatible: bytes) -> bytes:
    brands = major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(32)


def riff(form: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 40) + form + bytes(36)


EBML = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84"

IMAGES = {
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(20),
    "image/png": png(),
    "image/gif": b"GIF89a\x01\x00\x01\x00" + bytes(20),
    "image/webp": riff(b"WEBP"),
    "image/bmp": b"BM" + struct.pack("<I", 70) + bytes(4) + struct.pack("<I", 54) + bytes(56),
    "image/heic": boxed(b"heic", b"mif1"),
    "image/heif": boxed(b"mif1", b"miaf"),
}
VIDEOS = {
    "video/mp4": boxed(b"isom", b"iso2", b"mp41"),
    "video/mpeg": b"\x00\x00\x01\xba" + bytes(20),
    "video/mov": boxed(b"qt  "),
    "video/avi": riff(b"AVI "),
    "video/x-flv": b"FLV\x01" + bytes(20),
    "video/webm": EBML + b"webm" + bytes(20),
    "video/wmv": bytes.fromhex("3026b2758e66cf11") + bytes(20),
    "video/3gpp": boxed(b"3gp5"),
}
OTHERS = {
    "image/svg+xml": b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "image/x-icon": b"\x00\x00\x01\x00\x01\x00" + bytes(20),
    "image/tiff": b"II*\x00" + bytes(20),
    "image/avif": boxed(b"avif", b"mif1"),
    "video/x-matroska": EBML + b"matroska" + bytes(20),
    "video/mp2t": (b"\x47" + bytes(187)) * 3,
    "video/3gpp2": boxed(b"3g2a"),
    "audio/mpeg": b"ID3\x04" + bytes(20),
    "audio/wav": riff(b"WAVE"),
    "audio/mp4": boxed(b"M4A "),
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "application/zip": b"PK\x03\x04" + bytes(20),
}

PNG = IMAGES["image/png"]
MP4 = VIDEOS["video/mp4"]


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{b64(data)}"


PNG_URL = data_url("image/png", PNG)
MP4_URL = data_url("video/mp4", MP4)
