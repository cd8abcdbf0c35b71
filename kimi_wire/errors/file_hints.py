"""What to do about errors of files, whose words mislead. Pure."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_MAKE_ROOM = (
    "An account keeps at most 1,000 files and 10 GB: delete some (KimiFiles().list() and .delete(id)); "
    "extracting text leaves no file behind."
)

_HINTS = (
    ("too many uploaded files", _MAKE_ROOM),
    # Said of the sum of all files, and in MoonshotAI/kimi-cli#1087 of a tiny video.
    ("size of files you have uploaded exceeded", _MAKE_ROOM),
    ("file size is zero", "The file is empty."),
    ("file size is too large", "A file may have 100 MB; split it."),
    # librefang/librefang#5290: said of a picture; scanned PDFs without readable text get it too.
    (
        "text extract error",
        "No text was found in the file. Pictures and scans are only read for the text in them; to have Kimi look at a "
        "picture, put it into a message as an image.",
    ),
    # The documents' own words, older than the purposes image, video and batch.
    ("invalid purpose", "The purposes are file-extract, image, video and batch; this host may not know all of them."),
)


def hint_for_file(url: str, message: str) -> str | None:
    """One line on what to do about an error of a file.

    Args:
        url: The request's URL.
        message: The server's words.

    Returns:
        The line; None for errors that are not about files.
    """
    found = next((hint for words, hint in _HINTS if words in message.lower()), None)
    if found is None and "not found" in message.lower() and re.search(r"/files(?:/|$)", urlsplit(url).path):
        return "There is no such file in this account; KimiFiles().list() tells the ids there are."
    return found
