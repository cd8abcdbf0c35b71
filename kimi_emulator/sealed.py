"""Text that only the model may read: the "encrypted" output of official tools, in the documented wrapping.

https://platform.kimi.ai/docs/guide/use-official-tools. What is inside is ours.

Deliberately absent: a cipher. Tests want to read what a tool found; what counts is that a changed text shows.
"""

from __future__ import annotations

import base64
import hashlib

BEGIN, END = "----MOONSHOT ENCRYPTED BEGIN----", "----MOONSHOT ENCRYPTED END----"


def encrypt(text: str) -> str:
    """Wrap a text so that a client cannot change it unnoticed."""
    data = text.encode()
    return f"{BEGIN}{base64.b64encode(hashlib.sha256(data).digest()[:8] + data[::-1]).decode()}{END}"


def decrypt(wrapped: str) -> str | None:
    """Read a text that was wrapped; None if it was changed."""
    try:
        inside = wrapped.removeprefix(BEGIN).removesuffix(END)
        data = base64.b64decode(inside, validate=True)
        text = data[:7:-1]
        as_written = base64.b64encode(data).decode() == inside  # Python 3.10 reads padding that is too long
        intact = wrapped.startswith(BEGIN) and as_written and hashlib.sha256(text).digest()[:8] == data[:8]
        return text.decode() if intact else None
    except ValueError:
        return None
