"""What the built-in model sees of a picture that it was sent."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, Upload
from kimi_emulator.brain.pictures import describe
from tests.media_samples import data_url, png

WHITE, RED, BLUE = (255, 255, 255), (214, 39, 40), (50, 110, 190)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def written(width: int, lines: list[bytes], kind: int = 2, bits: int = 8, interlaced: int = 0) -> bytes:
    """A PNG of rows that are filtered already, each with its filter in front."""
    header = struct.pack(">IIBBBBB", width, len(lines), bits, kind, 0, 0, interlaced)
    pixels = zlib.compress(b"".join(lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def filtered(filter: int, row: bytes, above: bytes, samples: int = 3) -> bytes:
    """A row as an encoder writes it: the other way round than the reader, from the formulas of the format."""
    out = bytearray([filter])
    for at, value in enumerate(row):
        left = row[at - samples] if at >= samples else 0
        corner = above[at - samples] if at >= samples else 0
        up = above[at]
        nearest = min((abs(left + up - corner - near), place, near) for place, near in enumerate((left, up, corner)))
        out.append((value - [0, left, up, (left + up) // 2, nearest[2]][filter]) % 256)
    return bytes(out)


def bars(heights: list[int], colour: tuple[int, int, int] = BLUE, filter: int = 0) -> bytes:
    """A chart of bars, six pixels wide each with four between them, fifty high."""
    width = 10 * len(heights)
    rows = [
        b"".join(bytes(colour if x % 10 >= 4 and 50 - y <= heights[x // 10] else WHITE) for x in range(width))
        for y in range(50)
    ]
    above = [bytes(3 * width), *rows]
    return written(width, [filtered(filter, row, over) for row, over in zip(rows, above, strict=False)])


@pytest.mark.parametrize("filter", range(5))
def test_bars_are_counted_and_measured(filter: int) -> None:
    assert describe(bars([10, 40, 20], filter=filter)) == (
        "a picture of 30 by 50 pixels, mostly white. 3 blue blocks stand side by side, and the second from the left "
        "is the tallest: they are 25%, 100% and 50% of its height."
    )
    assert "the fourth from the left" in (describe(bars([1, 2, 3, 4], RED, filter)) or "")


@pytest.mark.parametrize(
    ("kind", "pixel", "said"),
    [(0, b"\x00", "black"), (2, bytes(RED), "red"), (4, b"\x00\xff", "black"), (4, b"\x00\x00", "white"),
     (6, bytes(BLUE) + b"\xff", "blue"), (6, bytes(BLUE) + b"\x00", "white")],
)  # fmt: skip
def test_colours_are_seen_through(kind: int, pixel: bytes, said: str) -> None:
    assert describe(written(3, [b"\0" + pixel * 3] * 2, kind)) == f"a picture of 3 by 2 pixels, mostly {said}."


def test_one_shape_is_something() -> None:
    assert describe(bars([30])) == "a picture of 10 by 50 pixels, mostly white. There is something blue on it."


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        png()[:20],
        png(300)[:-40],
        written(1, [b"\x09\0\0\0"]),
        written(1, [b"\0\0\0\0\0\0\0"], bits=16),
        written(1, [b"\0\0\0\0"], interlaced=1),
        written(1, [b"\0\0"], kind=3),
        written(2**31, [b"\0" * 100]),
        written(0, [b"\0"]),
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"no"),
    ],
)
def test_what_cannot_be_read_is_not_described(data: bytes) -> None:
    assert describe(data) is None


def test_a_great_picture_takes_no_time() -> None:
    begun = time.monotonic()
    assert describe(written(30_000, [b"\0" * 90_001] * 300)) is None
    assert describe(written(500, [b"\4" + b"\1" * 1500] * 600)) is not None
    stripes = describe(written(900_000, [b"\0" + b"\x00\xff" * 450_000], kind=0))
    assert stripes is not None
    assert "There is something" in stripes
    assert time.monotonic() - begun < 10


def test_what_is_sent_is_what_is_seen(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    chart = bars([10, 40, 20])
    kimi.uploads["f1"] = Upload("f1", "a.png", "image", "image/png", chart)
    for url in (data_url("image/png", chart), "ms://f1"):
        parts = [{"type": "text", "text": "Which is tallest?"}, {"type": "image_url", "image_url": {"url": url}}]
        answer = ask(messages=[{"role": "user", "content": parts}])
        assert "the second from the left is the tallest" in answer.message["content"]


def test_of_many_pictures_the_first_are_described(kimi: KimiEmulator, ask: Callable[..., Any]) -> None:
    part = {
        "type": "image_url",
        "image_url": {"url": data_url("image/png", written(500, [b"\4" + b"\1" * 1500] * 600))},
    }
    begun = time.monotonic()
    answer = ask(messages=[{"role": "user", "content": [{"type": "text", "text": "What is it?"}, *[part] * 100]}])
    assert answer.message["content"].count("I see a picture") == 4
    assert time.monotonic() - begun < 30
