"""LlamaIndex's blocks of images, videos and documents in the API's form. Files are read, URLs are not fetched."""

from __future__ import annotations

import base64
from io import IOBase
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    VideoBlock,
)

from kimi_wire import KimiRequestError
from kimi_wire.json_values import JSON
from kimi_wire.media import describe_file, render_attachment

MEDIA_BLOCKS = (ImageBlock, VideoBlock, DocumentBlock, AudioBlock)

_NO_TITLE = "input_document"  # what core calls a document without a title


def render_media_block(block: ImageBlock | VideoBlock | DocumentBlock | AudioBlock) -> dict[str, Any]:
    """Render a block as a content part.

    Args:
        block: Its content is taken from the first that is there of data, path and URL. `detail` and `fps` have no
            place in Kimi's API.

    Raises:
        KimiRequestError: It cannot be part of a chat: audio, a document that is not text, a file that cannot be read.
    """
    if isinstance(block, ImageBlock):
        return _render("image", block.image, block.path, block.url, block.image_mimetype)
    if isinstance(block, VideoBlock):
        return _render("video", block.video, block.path, block.url, block.video_mimetype)
    if isinstance(block, AudioBlock):
        return render_attachment("audio")
    title = block.title if block.title != _NO_TITLE else block.path and Path(block.path).name
    return _render("file", block.data, block.path, block.url, block.document_mimetype, title)


def render_source_block(block: CitableBlock | CitationBlock) -> list[JSON]:
    """Render what can be cited, or was: a text with its title and source, and the pictures in it.

    Raises:
        KimiRequestError: A document in it is no text, or cannot be read.
    """
    nested = list(map(_render_nested, block.nested_blocks))
    text = "\n".join(part["text"] for part in nested if part["type"] == "text")
    source = render_attachment("file", text=text, title=block.title, source=block.source)
    return [source, *(part for part in nested if part["type"] != "text")]


def _render_nested(block: Any) -> JSON:
    return {"type": "text", "text": block.text} if isinstance(block, TextBlock) else render_media_block(block)


def describe_block(block: ContentBlock) -> JSON:
    """A block that cannot be sent, as a text that says what it is, without its content."""
    described = block.model_dump(exclude={"block_type", "image", "video", "audio", "data"}, exclude_none=True)
    return describe_file({"type": block.block_type, **described})


def message_blocks(message: ChatMessage) -> list[ContentBlock]:
    """The blocks of a message, without the copies of its images that core makes.

    `ChatMessage` appends an image for each of `additional_kwargs["images"]` whenever it is validated, also by the
    events of a call (`ChatMessage.legacy_additional_kwargs_image`).
    """
    if not message.additional_kwargs.get("images"):
        return list(message.blocks)
    seen: set[Any] = set()
    kept: list[ContentBlock] = []
    for block in message.blocks:
        data = block.image if isinstance(block, ImageBlock) and isinstance(block.image, bytes) else None
        if data is None or data not in seen:
            kept.append(block)
        seen.add(data)
    return kept


def _render(
    kind: str, data: bytes | IOBase | None, path: Any, url: Any, media_type: str | None, title: Any = None
) -> dict[str, Any]:
    content = _read(kind, data, path)
    return render_attachment(
        kind,
        data=content,
        url=str(url) if content is None and url is not None else None,
        media_type=media_type,
        title=str(title) if title else None,
    )


def _read(kind: str, data: bytes | IOBase | None, path: Any) -> str | bytes | None:
    """The content: in base64, as core holds all bytes it is given."""
    if isinstance(data, IOBase):
        data.seek(0)
        content = data.read()
        data.seek(0)
        return base64.b64encode(content).decode("ascii")
    if data or path is None:
        return data or None
    try:
        return base64.b64encode(Path(path).read_bytes()).decode("ascii")
    except OSError as error:
        raise KimiRequestError(f"The {kind} at {str(path)!r} cannot be read: {error.strerror}.") from error
