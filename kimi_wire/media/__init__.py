"""Pictures, videos and text files: what is taken, how it stands in a message, and what is done before it is sent.

`types` knows formats by their bytes, `parts` renders and checks the parts of messages, `plan` finds what is to be
fetched or uploaded first, `download` fetches it from public addresses only, `documents` reads what is to be extracted.
The uploading itself is an endpoint's.

Deliberately absent: an object for a picture between the adapters and the request, so that its first bytes are looked at
once. Messages may come with data URLs from anywhere, so that reading those would stay; the second look takes 6 us where
the check of 1 MB takes 1,200.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kimi_wire.lazy import lazy_names
from kimi_wire.media.documents import Document, FileInput, aread_document, read_document
from kimi_wire.media.parts import KINDS, describe_file, is_file_id, render_attachment, render_media
from kimi_wire.media.plan import MediaPlan, MediaWork, Upload, plan_media

if TYPE_CHECKING:
    from kimi_wire.media.download import afetch, fetch

__all__ = [
    "KINDS",
    "Document",
    "FileInput",
    "MediaPlan",
    "MediaWork",
    "Upload",
    "afetch",
    "aread_document",
    "describe_file",
    "fetch",
    "is_file_id",
    "plan_media",
    "read_document",
    "render_attachment",
    "render_media",
]

__getattr__ = lazy_names(
    __name__,
    {
        "download": "afetch fetch",
    },
)
