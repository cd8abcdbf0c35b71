"""What the built-in model sees of a picture: its size, its colours, and blocks that stand side by side.

It reads the pixels of an ordinary PNG (eight bits, not interlaced), as long as that takes no time worth mentioning.
"""

from __future__ import annotations

import itertools
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from ..text import join, listed

MOST = 4
"""How many pictures of a question are looked at: a thousand of two kilobytes each would take minutes."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}
_MOST_BYTES = 1_000_000
_MOST_BLOCKS = 12
_SMALLEST = 0.01  # of the picture: less of a colour is no shape

_COLOURS = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "red": (214, 39, 40),
    "orange": (255, 170, 60),
    "yellow": (250, 220, 60),
    "green": (44, 160, 60),
    "light blue": (130, 190, 240),
    "blue": (50, 110, 190),
    "dark blue": (25, 35, 80),
    "purple": (130, 80, 170),
    "pink": (240, 130, 180),
    "brown": (130, 80, 40),
}
_PLACES = listed("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")

Pixel = tuple[int, int, int]


def describe(data: bytes) -> str | None:
    """Say what a picture shows; None where it cannot be read."""
    try:
        rows = _pixels(data)
    except (ValueError, struct.error, zlib.error):
        return None
    counts = Counter(itertools.chain.from_iterable(rows))
    least = len(rows) * len(rows[0]) * _SMALLEST
    ground, *others = [pixel for pixel, count in counts.most_common(3) if count >= least] or [rows[0][0]]
    said = f"a picture of {len(rows[0])} by {len(rows)} pixels, mostly {_name(ground)}"
    if not others:
        return f"{said}."
    return f"{said}. {_blocks(rows, others[0])}"


def _blocks(rows: Sequence[Sequence[Pixel]], colour: Pixel) -> str:
    """Say how the runs of columns that have a colour compare in height."""
    columns = [sum(pixel == colour for pixel in column) for column in zip(*rows, strict=True)]
    heights = [max(run) for filled, run in itertools.groupby(columns, bool) if filled]
    tallest = max(heights, default=0)
    heights = [height for height in heights if height * 50 > tallest]
    name = _name(colour)
    if not 1 < len(heights) <= _MOST_BLOCKS:
        return f"There is something {name} on it."
    parts = join([f"{height / tallest:.0%}" for height in heights])
    place = _PLACES[heights.index(tallest)]
    return (
        f"{len(heights)} {name} blocks stand side by side, and the {place} from the left is the tallest: "
        f"they are {parts} of its height."
    )


def _name(pixel: Pixel) -> str:
    """The nearest colour that has a name here."""
    return min(_COLOURS, key=lambda name: sum((a - b) ** 2 for a, b in zip(_COLOURS[name], pixel, strict=True)))


def _pixels(data: bytes) -> list[list[Pixel]]:
    """Read a PNG (https://www.w3.org/TR/png-3/), rows from the top; what is see-through shows white.

    Raises:
        ValueError: It is none, or of a kind that is not read here.
        struct.error: It ends too early.
        zlib.error: Its data is broken.
    """
    if not data.startswith(_SIGNATURE):
        raise ValueError("no PNG")
    width, height, bits, kind, _, _, interlaced = struct.unpack(">IIBBBBB", data[16:29])
    samples = _SAMPLES.get(kind)
    size = (width * (samples or 0) + 1) * height
    if bits != 8 or samples is None or interlaced or not width or not 0 < size <= _MOST_BYTES:
        raise ValueError("a PNG of another kind")
    raw = zlib.decompressobj().decompress(b"".join(_chunks(data, b"IDAT")), size)
    if len(raw) < size:
        raise ValueError("a PNG without its end")
    rows, above = [], bytes(width * samples)
    for start in range(0, size, width * samples + 1):
        above = _unfiltered(raw[start], raw[start + 1 : start + 1 + width * samples], above, samples)
        rows.append([_seen(above[at : at + samples]) for at in range(0, len(above), samples)])
    return rows


def _chunks(data: bytes, wanted: bytes) -> Iterator[bytes]:
    at = len(_SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack(">I4s", data[at : at + 8])
        if name == wanted:
            yield data[at + 8 : at + 8 + length]
        at += 12 + length


def _unfiltered(kind: int, line: bytes, above: bytes, samples: int) -> bytes:
    """Undo a row's filter, which says each byte by its neighbours: on the left, above, and above on the left.

    Raises:
        ValueError: There is no such filter.
    """
    if kind > 4:
        raise ValueError("a PNG with an unknown filter")
    if kind == 0:
        return line
    guess = _GUESSES[kind]
    row, corners = bytearray(samples) + line, bytes(samples) + above
    for at in range(samples, len(row)):
        row[at] = (row[at] + guess(row[at - samples], above[at - samples], corners[at - samples])) & 255
    return bytes(row[samples:])


def _paeth(left: int, above: int, corner: int) -> int:
    on_left, on_top, on_corner = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
    if on_left <= on_top and on_left <= on_corner:
        return left
    return above if on_top <= on_corner else corner


_GUESSES: dict[int, Callable[[int, int, int], int]] = {
    1: lambda left, above, corner: left,
    2: lambda left, above, corner: above,
    3: lambda left, above, corner: (left + above) // 2,
    4: _paeth,
}


@lru_cache(maxsize=4096)
def _seen(samples: bytes) -> Pixel:
    """A pixel on white, in steps of sixteen, so that shades that nobody tells apart are one colour."""
    *shades, cover = samples if len(samples) in (2, 4) else (*samples, 255)
    lit = [(shade * cover + 255 * (255 - cover)) // 255 // 16 * 16 + 8 for shade in shades]
    return (lit[0], lit[len(lit) // 2], lit[-1])
