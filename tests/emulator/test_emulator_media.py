"""The emulator looks at the bytes of media, and at what was uploaded."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, Upload
from tests.media_samples import IMAGES, MP4, OTHERS, PNG, VIDEOS, data_url

UNDECODABLE = (
    "Invalid request: prepare {0} failed error, status code: 400, message: failed to decode {0}: "
    "invalid or unsupported {0} format"
)


def message(kind: str, url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": kind, kind: {"url": url}}]}]


@pytest.mark.parametrize(
    ("kind", "declared", "data", "words"),
    [
        ("image_url", "image/png", OTHERS["image/x-icon"], "unsupported image format: image/x-icon"),
        ("image_url", "image/png", OTHERS["image/avif"], "unsupported image format: image/avif"),
        ("image_url", "image/png", OTHERS["image/svg+xml"], UNDECODABLE.format("image")),
        ("image_url", "image/png", b"no image", UNDECODABLE.format("image")),
        ("image_url", "image/png", MP4, UNDECODABLE.format("image")),
        ("video_url", "video/mp4", OTHERS["video/x-matroska"], "unsupported video format: video/x-matroska"),
        ("video_url", "video/mp4", PNG, UNDECODABLE.format("video")),
        ("image_url", "image/x-icon", PNG, "unsupported image format: image/x-icon"),
    ],
)
def test_bytes_that_are_refused(ask: Callable[..., Any], kind: str, declared: str, data: bytes, words: str) -> None:
    assert ask(messages=message(kind, data_url(declared, data))).error == words


def test_what_is_no_base64_cannot_be_decoded(ask: Callable[..., Any]) -> None:
    for text in ("####", base64.b64encode(PNG).decode()[:-1]):
        answer = ask(messages=message("image_url", f"data:image/png;base64,{text}"))
        assert answer.error == UNDECODABLE.format("image")


def test_every_documented_format_is_taken(ask: Callable[..., Any]) -> None:
    for media_type, data in {**IMAGES, **VIDEOS}.items():
        kind = f"{media_type.partition('/')[0]}_url"
        assert ask(messages=message(kind, data_url(media_type, data))).status == 200


def test_ids_have_to_be_of_uploads_for_the_purpose(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    kimi.uploads["f1"] = Upload("f1", "a.png", "image", "image/png", PNG)
    kimi.uploads["f2"] = Upload("f2", "a.txt", "file-extract", "text/plain", b"Hi")
    kimi.uploads["f3"] = Upload("f3", "a.png", "image", "image/png", b"no image")
    assert ask(messages=message("image_url", "ms://f1")).status == 200
    assert ask(messages=message("image_url", "ms://f4")).error == "Invalid request: file not found: ms://f4"
    for kind, id, words in (
        ("image_url", "f2", "the file ms://f2 has the purpose 'file-extract', expected 'image'"),
        ("video_url", "f1", "the file ms://f1 has the purpose 'image', expected 'video'"),
        ("image_url", "f3", "failed to decode image"),
    ):
        assert words in ask(messages=message(kind, f"ms://{id}")).error
