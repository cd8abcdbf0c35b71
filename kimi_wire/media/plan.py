"""What is to be done about a request's images and videos before it is sent: fetch, upload, measure. Pure.

Rendering leaves URLs of the web and large files where they are; `MediaWork` says what to fetch and to upload, and puts
the outcome in their place.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON, is_whole
from kimi_wire.media.documents import Document
from kimi_wire.media.parts import KINDS, check_content, media_url, show_url, split_data_url, with_url
from kimi_wire.media.types import HEAD
from kimi_wire.settings import Settings

MAX_BODY = 100 * 1024 * 1024
"""Bytes of a request ("413 Request exceeds the maximum size"). The documents say 100 MB; only what is too large in
either reading of that is refused here."""


@dataclass(frozen=True, slots=True)
class MediaPlan:
    """What a request still needs.

    Attributes:
        download: Whether images and videos of the web are fetched.
        upload_over: Files of more bytes than this are uploaded; None uploads none.
    """

    download: bool
    upload_over: int | None


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to upload.

    Attributes:
        url: The data URL it stands for.
        purpose: `image` or `video`.
        media_type: What it is.
    """

    url: str
    purpose: str
    media_type: str

    @property
    def key(self) -> tuple[str, str]:
        """What tells one content from another: the SHA-256 of its base64, and the purpose."""
        return hashlib.sha256(split_data_url(self.url)[1].encode("ascii")).hexdigest(), self.purpose

    @property
    def document(self) -> Document:
        """The file, with a name, since the server wants one: `image.png`."""
        name = f"{self.purpose}.{self.media_type.partition('/')[2].removeprefix('x-')}"
        return Document(name, base64.b64decode(split_data_url(self.url)[1]))


def plan_media(body: Mapping[str, Any], settings: Settings) -> MediaPlan | None:
    """Find out what a rendered request still needs; where that is nothing, its size is checked.

    Raises:
        KimiRequestError: `upload_media_over` is no number of bytes, or the request is too large.
    """
    over = settings.upload_media_over
    if over is not None and not is_whole(over, at_least=0):
        raise KimiRequestError(f"upload_media_over={over!r} must be a number of bytes, at least 0.")
    plan = MediaPlan(settings.remote_images == "download", over)
    work = MediaWork(body, plan)
    if work.downloads() or work.uploads():
        return plan
    check_size(body)
    return None


class MediaWork:
    """The media of one request, on the way from what the caller gave to what the server takes.

    Args:
        body: A rendered request body; not changed.
        plan: What is to be done.
    """

    def __init__(self, body: Mapping[str, Any], plan: MediaPlan) -> None:
        self._body = body
        self._plan = plan

    def downloads(self) -> list[str]:
        """The URLs to fetch, each once."""
        if not self._plan.download:
            return []
        return list(dict.fromkeys(url for _, _, url in _media(self._body) if url[:4].lower() == "http"))

    def take_downloads(self, fetched: Mapping[str, bytes]) -> None:
        """Put what was fetched in the place of its URLs.

        Raises:
            KimiRequestError: Something is not what Kimi takes, by its content.
        """
        found: dict[tuple[str, str], str] = {}
        for _, part_type, url in _media(self._body):
            if url in fetched and (part_type, url) not in found:
                data = fetched[url]
                media_type = check_content(data[:HEAD], KINDS[part_type], f"What {show_url(url)} points to")
                found[part_type, url] = f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
        self._body = _replace(self._body, found)

    def uploads(self) -> list[Upload]:
        """The files to upload, each once."""
        over = self._plan.upload_over
        if over is None:
            return []
        large: dict[tuple[str, str], Upload] = {}
        for _, part_type, url in _media(self._body):
            if url.startswith("data:") and (part_type, url) not in large:
                media_type, data = split_data_url(url)
                if len(data) // 4 * 3 - data[-2:].count("=") > over:
                    large[part_type, url] = Upload(url, KINDS[part_type], media_type)
        return list(large.values())

    def take_uploads(self, ids: Mapping[Upload, str]) -> None:
        """Put the ids of uploaded files in the place of their content."""
        types = {kind: part_type for part_type, kind in KINDS.items()}
        found = {(types[upload.purpose], upload.url): f"ms://{file_id}" for upload, file_id in ids.items()}
        self._body = _replace(self._body, found)

    def finished(self) -> JSON:
        """The body to send.

        Raises:
            KimiRequestError: It is too large.
        """
        check_size(self._body)
        return dict(self._body)


def check_size(body: Mapping[str, Any]) -> None:
    """Refuse a request that the server would refuse for its size.

    Text alone is not measured: a context window ends long before.

    Raises:
        KimiRequestError: It is larger than `MAX_BODY`; the message names the largest file.
    """
    inline = [(len(url), index, part_type) for index, part_type, url in _media(body) if url.startswith("data:")]
    total = sum(size for size, _, _ in inline)
    if total <= MAX_BODY // 2:
        return
    bare = _replace(body, {(part_type, url): "" for _, part_type, url in _media(body) if url.startswith("data:")})
    total += len(json.dumps(bare, ensure_ascii=False, separators=(",", ":"), default=str).encode("utf-8", "replace"))
    if total > MAX_BODY:
        size, index, part_type = max(inline)
        raise KimiRequestError(
            f"The request has {total / 1e6:.0f} MB; Kimi takes at most {MAX_BODY / 1e6:.0f}. Its largest file is the "
            f"{KINDS[part_type]} in message {index}, with {size / 1e6:.0f} MB in base64. Set "
            "upload_media_over=5_000_000, which uploads larger files and refers to them, or upload it yourself and "
            "send 'ms://<file id>'."
        )


def _media(body: Mapping[str, Any]) -> Iterator[tuple[int, str, str]]:
    """The images and videos of a rendered body: the message's index, the part's type, the URL."""
    for index, message in enumerate(body["messages"]):
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            if part["type"] in KINDS:
                yield index, part["type"], media_url(part)


def _replace(body: Mapping[str, Any], found: Mapping[tuple[str, str], str]) -> JSON:
    """A copy of a body with other URLs; what has none of them is shared."""
    return {**body, "messages": [_replace_in(message, found) for message in body["messages"]]}


def _replace_in(message: JSON, found: Mapping[tuple[str, str], str]) -> JSON:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    parts = [
        with_url(part, new)
        if part["type"] in KINDS and (new := found.get((part["type"], media_url(part)))) is not None
        else part
        for part in content
    ]
    return {**message, "content": parts}
