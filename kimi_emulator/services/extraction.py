"""The text of a document, with what the standard library has: text, HTML, office files, EPUB and simple PDFs."""

from __future__ import annotations

import html
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

MAX_UNPACKED = 16 * 1024 * 1024
"""Bytes that a document may unpack to: what unpacks to more is taken for one without text, as a bomb is."""


# A tag, a comment or a declaration, the end of the text standing for an end that is missing: so each is read once.
_TAG = re.compile(
    r"""<(?:!--.*?(?:-->|\Z)|[!?][^>]*|(/?)([a-zA-Z][^\s/>]*)((?:=\s*"[^"]*|=\s*'[^']*|[^>])*))>?""", re.DOTALL
)
_RAW_END = re.compile("</(?:script|style)", re.IGNORECASE)
_SPACES = re.compile(r"\s+")


class _TooLarge(Exception):
    """What a document unpacks to is more than is read."""


class _Html:
    """Reads the text of a page.

    Deliberately absent: the standard library's parser. It looks for the end of each tag from its beginning, so that
    81 kB of "<a " take it 20 seconds.
    """

    def __init__(self, page: str) -> None:
        if len(page) > MAX_UNPACKED:
            raise _TooLarge
        self.texts: list[str] = []
        self.title = ""
        self._in_title = False
        self._silent = ""  # the outermost element without text of the page's
        at = 0
        while found := _TAG.search(page, at):
            self._take_text(page[at : found.start()])
            at = found.end()
            tag = (found[2] or "").lower()
            if tag in ("script", "style") and not found[1]:
                end = _RAW_END.search(page, at)
                at = end.start() if end else len(page)
            if tag:
                self._take_tag(tag, ends=bool(found[1]))
        self._take_text(page[at:])

    def _take_tag(self, tag: str, *, ends: bool) -> None:
        self._in_title = tag == "title" and not ends
        if tag in _BLOCKS:
            self.texts.append("\n")
        elif ends and tag == self._silent:
            self._silent = ""
        elif tag in _SILENT and not ends:
            self._silent = self._silent or tag

    def _take_text(self, data: str) -> None:
        if not data:
            return
        text = html.unescape(data)
        if self._in_title:
            self.title += text.strip()
        elif not self._silent:
            self.texts.append(_SPACES.sub(" ", text))


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
    reader = _Html(_decode(data))
    return _lines("".join(reader.texts)), reader.title


def _from_text(data: bytes) -> tuple[str, str]:
    return _decode(data), ""


def _members(data: bytes, pattern: re.Pattern[str]) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if pattern.fullmatch(name)]
        left = MAX_UNPACKED
        for name in sorted(names, key=_natural):
            # What else a member may be packed by takes memory by what its own head says.
            if archive.getinfo(name).compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise _TooLarge
            with archive.open(name) as member:
                text = member.read(left + 1)
            left -= len(text)
            if left < 0:
                raise _TooLarge
            yield text


_DIGITS = re.compile(r"\d+")


def _natural(name: str) -> str:
    """Order `slide10` after `slide9`."""
    return _DIGITS.sub(lambda digits: digits[0].rjust(20, "0"), name)


def _from_office(pattern: re.Pattern[str]) -> Callable[[bytes], tuple[str, str]]:
    """Read the runs of text (`t`) of the paragraphs (`p`; in a table of strings, `si`) of some members."""

    def read(data: bytes) -> tuple[str, str]:
        texts: list[str] = []
        for member in _members(data, pattern):
            for element in ElementTree.fromstring(member).iter():
                if element.tag.endswith(("}p", "}si")):
                    texts.append("\n")
                elif element.tag.endswith("}t"):
                    texts.append(element.text or "")
            texts.append("\n")
        return _lines("".join(texts)), ""

    return read


_CHAPTERS = re.compile(r"\A.*\.x?html?")
_DOCUMENT = re.compile(r"word/document\.xml")
_SLIDES = re.compile(r"ppt/slides/slide\d+\.xml")
_STRINGS = re.compile(r"xl/sharedStrings\.xml")


def _from_epub(data: bytes) -> tuple[str, str]:
    chapters = [_from_html(member) for member in _members(data, _CHAPTERS)]
    return "\n".join(text for text, _ in chapters), next((title for _, title in chapters if title), "")


# The end of a string may be missing, so that what follows is not read again from each of its brackets.
_PDF_TEXT = re.compile(rb"\((?:[^()\\]|\\.|\([^()]*\))*\)?|(?<!\S)(?:T[*dDm]|ET)(?!\S)", re.DOTALL)
_PDF_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)", re.DOTALL)


_PDF_HEAD = 2000  # bytes that are looked at before a stream for what it is


def _from_pdf(data: bytes) -> tuple[str, str]:
    """Read the strings of the content streams: those of fonts with an ordinary encoding, plain or deflated."""
    texts: list[str] = []
    left = MAX_UNPACKED
    for head, stream in _pdf_streams(data):
        if b"/Image" in head:
            continue
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(stream, left + 1) if b"/FlateDecode" in head else stream
        left -= len(content)
        if left < 0:
            raise _TooLarge
        if b"BT" in content:
            tokens = _PDF_TEXT.findall(content)
            texts += [_pdf_string(token[1:].removesuffix(b")")) if token.startswith(b"(") else "\n" for token in tokens]
    return _lines("".join(texts)), ""


def _pdf_streams(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield what is said of each stream, and the stream, in one pass over the file."""
    ended = 0
    while (at := data.find(b"stream", ended)) >= 0:
        begin = at + len(b"stream")
        if data[max(at - 20, ended) : at].rstrip().endswith(b">>"):
            end = data.find(b"endstream", begin)
            if end < 0:
                return
            yield data[max(at - _PDF_HEAD, ended) : at].rpartition(b"obj")[2], data[begin:end].strip(b"\r\n")
            begin = end + len(b"endstream")
        ended = begin


def _pdf_string(raw: bytes) -> str:
    special = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}
    text = _PDF_ESCAPE.sub(
        lambda found: bytes([int(found[1], 8) & 255]) if found[1].isdigit() else special.get(found[1], found[1]), raw
    )
    return text.decode("cp1252", "replace")


_HTML = {"html": _from_html, "htm": _from_html, "xhtml": _from_html, "svg": _from_html}
_ARCHIVES = {
    "docx": _from_office(_DOCUMENT),
    "pptx": _from_office(_SLIDES),
    "xlsx": _from_office(_STRINGS),
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
    text. So are scanned PDFs, and what unpacks to more than `MAX_UNPACKED`.
    """
    try:
        return _READERS[filename.rpartition(".")[2].lower()](data)
    except _TooLarge:
        return "", ""
    # zipfile: NotImplementedError for a compression it does not know, RuntimeError for a password; html: ValueError for
    # a character's number of too many digits.
    except (zipfile.BadZipFile, ElementTree.ParseError, zlib.error, EOFError, LookupError, RuntimeError, ValueError):
        return "", ""
