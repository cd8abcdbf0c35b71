"""The text of a document, with what the standard library has: text, HTML, office files, EPUB and simple PDFs."""

from __future__ import annotations

import html.parser
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from xml.etree import ElementTree

from ..text import listed

_BLOCKS = frozenset(
    listed(
        """address article blockquote br dd div dt footer form h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section
        table td th tr ul"""
    )
)
_SILENT = {"script", "style", "template", "head"}


class _Html(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.title = ""
        self._silent: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._in_title = tag == "title"
        if tag in _SILENT:
            self._silent.append(tag)
        elif tag in _BLOCKS:
            self.texts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False
        if tag in self._silent:
            del self._silent[self._silent.index(tag) :]
        elif tag in _BLOCKS:
            self.texts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data.strip()
        elif not self._silent:
            self.texts.append(re.sub(r"\s+", " ", data))


def _lines(text: str) -> str:
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return "" if "\x00" in text else text
    return ""


def _from_html(data: bytes) -> tuple[str, str]:
    reader = _Html()
    reader.feed(_decode(data))
    reader.close()
    return _lines("".join(reader.texts)), reader.title


def _from_text(data: bytes) -> tuple[str, str]:
    return _decode(data), ""


def _members(data: bytes, pattern: str) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if re.fullmatch(pattern, name)]
        for name in sorted(names, key=_natural):
            yield archive.read(name)


def _natural(name: str) -> list[tuple[int, str]]:
    """Order `slide10` after `slide9`."""
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D+)(\d*)", name)]


def _from_office(pattern: str) -> Callable[[bytes], tuple[str, str]]:
    """Read the runs of text (`t`) of the paragraphs (`p`; in a table of strings, `si`) of some members."""

    def read(data: bytes) -> tuple[str, str]:
        paragraphs = [
            "".join(run.text or "" for run in paragraph.iter() if run.tag.endswith("}t"))
            for member in _members(data, pattern)
            for paragraph in ElementTree.fromstring(member).iter()
            if paragraph.tag.endswith(("}p", "}si"))
        ]
        return _lines("\n".join(paragraphs)), ""

    return read


def _from_epub(data: bytes) -> tuple[str, str]:
    chapters = [_from_html(member) for member in _members(data, r".*\.x?html?")]
    return "\n".join(text for text, _ in chapters), next((title for _, title in chapters if title), "")


_PDF_STREAM = re.compile(rb"<<(.{0,2000}?)>>\s*stream\r?\n(.*?)\r?\n?endstream", re.DOTALL)
_PDF_TEXT = re.compile(rb"\((?:[^()\\]|\\.|\([^()]*\))*\)|(?<!\S)(?:T[*dDm]|ET)(?!\S)", re.DOTALL)
_PDF_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)


def _from_pdf(data: bytes) -> tuple[str, str]:
    """Read the strings of the content streams: those of fonts with an ordinary encoding, plain or deflated."""
    texts: list[str] = []
    for head, stream in _PDF_STREAM.findall(data):
        content = zlib.decompressobj().decompress(stream) if b"/FlateDecode" in head else stream
        if b"BT" not in content or b"/Image" in head:
            continue
        tokens = _PDF_TEXT.findall(content)
        texts += [_pdf_string(token[1:-1]) if token.startswith(b"(") else "\n" for token in tokens]
    return _lines("".join(texts)), ""


def _pdf_string(raw: bytes) -> str:
    special = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
    text = _PDF_ESCAPE.sub(
        lambda found: bytes([int(found[1], 8) & 255]) if found[1].isdigit() else special.get(found[1], found[1]), raw
    )
    return text.decode("cp1252", "replace")


_HTML = {"html": _from_html, "htm": _from_html, "xhtml": _from_html, "svg": _from_html}
_ARCHIVES = {
    "docx": _from_office(r"word/document\.xml"),
    "pptx": _from_office(r"ppt/slides/slide\d+\.xml"),
    "xlsx": _from_office(r"xl/sharedStrings\.xml"),
    "epub": _from_epub,
    "pdf": _from_pdf,
}

# https://platform.kimi.ai/docs/api/files-upload, "Supported Formats ... and more"; the text formats among them.
_TEXT = listed("txt csv md json log go h c cpp cxx cc cs java js css jsp php py py3 asp yaml yml ini conf ts tsx")
# "And more": the documents name none of these.
_MORE_TEXT = listed("text markdown rst tsv xml toml sh rs rb jsonl")

# Those of the list for which nothing here has a reader: pictures, and old binary formats.
_UNREAD = listed(
    "doc xls ppt dot mobi jpeg jpg png bmp gif svgz webp ico xbm dib pjp tif pjpeg avif apng tiff jfif heic"
)

_READERS: dict[str, Callable[[bytes], tuple[str, str]]] = {
    **dict.fromkeys([*_TEXT, *_MORE_TEXT], _from_text),
    **dict.fromkeys(_UNREAD, lambda data: ("", "")),
    **_HTML,
    **_ARCHIVES,
}


def readable(filename: str) -> bool:
    """Whether text can be asked of a file with this name."""
    return filename.rpartition(".")[2].lower() in _READERS


def extract(filename: str, data: bytes) -> tuple[str, str]:
    """Return a document's text and its title; both are empty where nothing was found.

    Pictures would go through optical character recognition, which nothing here can do: every picture is one without
    text. So are scanned PDFs.
    """
    try:
        return _READERS[filename.rpartition(".")[2].lower()](data)
    # zipfile: NotImplementedError for a compression it does not know, RuntimeError for a password.
    except (zipfile.BadZipFile, ElementTree.ParseError, zlib.error, KeyError, NotImplementedError, RuntimeError):
        return "", ""
