"""LangChain's content blocks of images, videos and files in the API's form. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kimi_wire.media import render_attachment

# Anthropic says document, the Responses API input_*, MCP's servers resource, and Google media.
_FILES = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "file": "file",
    "text-plain": "file",
    "document": "file",
    "input_audio": "audio",
    "input_file": "file",
    "resource": "file",
    "media": "file",
}


def unwrap_block(block: Any) -> Any:
    """The block inside of another.

    `.content_blocks` wraps what LangChain has no name for, `video_url`, in a `non_standard` block; Bedrock's Converse
    API writes `{"image": {...}}` without a type.
    """
    if not isinstance(block, dict):
        return block
    if block.get("type") == "non_standard" and isinstance(block.get("value"), dict):
        return unwrap_block(block["value"])
    kind = next(iter(block)) if len(block) == 1 else None
    if kind in ("image", "video", "document") and isinstance(block[kind], Mapping) and "source" in block[kind]:
        return {**block[kind], "type": kind}
    return block


def render_block(block: Any) -> Any:
    """Render a content block; `kimi_wire` checks what the API's form may hold.

    Args:
        block: A text, or a block: LangChain's standard ones (also of before 1.0, with `source_type`), OpenAI's,
            Anthropic's and MCP's.

    Raises:
        KimiRequestError: The block cannot be part of a chat, such as audio and PDF, or has no content.
    """
    if isinstance(block, str):
        return {"type": "text", "text": block}
    kind = block.get("type") if isinstance(block, Mapping) else None
    if not isinstance(kind, str):
        return block
    if kind == "search_result":
        return _render_search_result(block)
    if kind == "input_text":
        return {"type": "text", "text": block.get("text")}
    if kind == "input_image":
        image = {"image_url": block["image_url"]} if block.get("image_url") else {"file_id": block.get("file_id")}
        return render_attachment("image", url=image.get("image_url"), file_id=image.get("file_id"))
    return _render_file(_FILES[kind], block) if kind in _FILES else block


def _render_search_result(block: Mapping[str, Any]) -> Any:
    """Anthropic's block of a page that was found, as a text with its title and address."""
    title, source, content = (block.get(key) for key in ("title", "source", "content"))
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    said = [text for text in texts if isinstance(text, str)]
    if len(said) < len(texts) or not isinstance(title, str) or not isinstance(source, str):
        return block
    return render_attachment("file", text="\n".join(said), title=title, source=source)


def _render_file(kind: str, block: Mapping[str, Any]) -> dict[str, Any]:
    """A block of any of these dialects; what it has lies in itself or in one of these."""
    places = [block, *(block[key] for key in ("source", "file", "resource") if isinstance(block.get(key), Mapping))]
    extras = [block[key] for key in ("extras", "metadata") if isinstance(block.get(key), Mapping)]
    text = _find(places, "text")
    if text is None and block.get("type") == "document" and places[-1].get("type") == "text":
        text = _find(places, "data")  # Anthropic's
    url, file_id = _find(places, "url", "file_url", "file_uri"), _find(places, "file_id")
    if block.get("source_type") == "id":
        file_id = block.get("id")
    data = None if text is not None else _find(places, "base64", "data", "blob", "file_data", "bytes")
    if isinstance(data, str) and data[:5].lower() == "data:":
        url, data = data, None
    title = _find([*places, *extras], "filename", "title", "name", "uri")
    if isinstance(text, str) and (context := _find(places, "context")):
        text = f"{context}\n\n{text}"
    return render_attachment(
        kind,
        data=data,
        url=url,
        file_id=file_id,
        text=text,
        media_type=_find(places, "mime_type", "mimeType", "media_type"),
        title=title,
    )


def _find(places: Iterable[Mapping[str, Any]], *keys: str) -> Any:
    return next((place[key] for place in places for key in keys if place.get(key) is not None), None)
