"""Rules about content parts: which types a model takes, and how images and videos are given.

Source: https://platform.kimi.ai/docs/guide/use-kimi-vision-model.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..request import ChatRequest, Rejected, Rule, parts
from ..state import Upload
from .magic import media_type

_DATA_URL = re.compile(r"data:([^;,]+)(?:;[^;,]+)*;base64,(.*)", re.DOTALL)
_UPLOADED = re.compile(r"ms://.+")
_FORMATS = {
    "image_url": {f"image/{name}" for name in ("jpeg", "jpg", "png", "gif", "webp", "bmp", "heic", "heif")},
    "video_url": {
        f"video/{name}"
        for name in ("mp4", "mpeg", "mov", "quicktime", "avi", "x-msvideo", "x-flv", "mpg", "webm", "wmv", "x-ms-wmv",
                     "3gpp")
    },
}  # fmt: skip
_NAMES = {"image_url": "image", "video_url": "video"}


def _media(request: ChatRequest) -> Iterator[tuple[str, str]]:
    """Yield the type and the URL of each image and video."""
    for message in request.messages:
        for part in parts(message):
            name = part.get("type")
            if name in _NAMES:
                value = part.get(name)
                url = value.get("url") if isinstance(value, Mapping) else value
                yield name, url if isinstance(url, str) else ""


def _allowed_parts(request: ChatRequest, message: Mapping[str, Any]) -> set[str]:
    allowed = {"text"}
    if message.get("role") in ("user", "tool"):
        allowed |= {"image_url"} if request.family.images else set()
        allowed |= {"video_url"} if request.family.videos else set()
    return allowed


def part_types_are_supported(request: ChatRequest) -> None:
    """Recorded, kimi-cli#788.

    "the message at position 1 with role 'user' contains an invalid part type: video_url"
    """
    for at, message in enumerate(request.messages):
        for part in parts(message):
            if part.get("type") not in _allowed_parts(request, message):
                raise Rejected(
                    f"the message at position {at} with role '{message.get('role')}' "
                    f"contains an invalid part type: {part.get('type')}"
                )


def media_is_inline_or_uploaded(request: ChatRequest) -> None:
    """Only base64 data URLs and `ms://` ids of uploaded files.

    OpenHands/software-agent-sdk#3155: "Invalid request: unsupported image url: https://…".
    """
    for name, url in _media(request):
        if not (_DATA_URL.fullmatch(url) or _UPLOADED.fullmatch(url)):
            raise Rejected(f"Invalid request: unsupported {_NAMES[name]} url: {url}")


def media_formats_are_supported(request: ChatRequest) -> None:
    """kimi-cli#2017: "unsupported image format: image/x-icon"."""
    for name, url in _media(request):
        match = _DATA_URL.fullmatch(url)
        if match and match[1].lower() not in _FORMATS[name]:
            raise Rejected(f"unsupported {_NAMES[name]} format: {match[1]}")


def media_can_be_decoded(request: ChatRequest) -> None:
    """What the bytes are decides, whatever is declared; SVG is taken for text (use-kimi-vision-model).

    hermes-agent#76884: "Invalid request: prepare image failed error, status code: 400, message: failed to decode
    image: invalid or unsupported image format". kimi-cli#2017: "unsupported image format: image/x-icon".
    """
    for name, url in _media(request):
        match = _DATA_URL.fullmatch(url)
        if match:
            _check_content(name, _decode(match[2]))


def _check_content(name: str, data: bytes) -> None:
    found = media_type(data)
    if found in _FORMATS[name]:
        return
    if found is not None and found.startswith(f"{_NAMES[name]}/") and found != "image/svg+xml":
        raise Rejected(f"unsupported {_NAMES[name]} format: {found}")
    raise Rejected(
        f"Invalid request: prepare {_NAMES[name]} failed error, status code: 400, message: failed to decode "
        f"{_NAMES[name]}: invalid or unsupported {_NAMES[name]} format"
    )


def _decode(text: str) -> bytes:
    """The bytes; none where it is not base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def check_uploads(request: ChatRequest, uploads: Mapping[str, Upload]) -> None:
    """An `ms://` id is one of an uploaded file, with the purpose of its part.

    https://platform.kimi.ai/docs/guide/use-kimi-vision-model: upload with purpose "image" or "video". Wording ours.

    Raises:
        Rejected: If it is not.
    """
    for name, url in _media(request):
        if url.startswith("ms://"):
            found = uploads.get(url.removeprefix("ms://"))
            if found is None:
                raise Rejected(f"Invalid request: file not found: {url}")
            if found.purpose != _NAMES[name]:
                raise Rejected(
                    f"Invalid request: the file {url} has the purpose '{found.purpose}', expected '{_NAMES[name]}'"
                )
            _check_content(name, found.data)


RULES: tuple[Rule, ...] = (
    part_types_are_supported,
    media_is_inline_or_uploaded,
    media_formats_are_supported,
    media_can_be_decoded,
)
