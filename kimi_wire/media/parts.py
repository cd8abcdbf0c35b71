"""Images, videos and text files as parts of a message, and what is to be done about them before they go out. Pure.

A part holds a data URL or the `ms://` id of an uploaded file
(https://platform.kimi.ai/docs/guide/use-kimi-vision-model). What a file is, its content says.
"""

from __future__ import annotations

import base64
import html
import logging
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from kimi_wire.errors import KimiRequestError, public_url
from kimi_wire.hosts import MEDIA_URLS
from kimi_wire.json_values import JSON, shown, write_json
from kimi_wire.media.types import ACCEPTED, DOCUMENTS, HEAD, explain_refusal, is_text, sniff
from kimi_wire.profiles import Profile

logger = logging.getLogger("kimi_wire")

KINDS = {"image_url": "image", "video_url": "video"}
"""Types of parts, and what they hold: a key of `ACCEPTED`, and the purpose of an upload."""

_CONTENT = frozenset({"base64", "data", "blob", "file_data", "bytes"})
"""Keys of frameworks' blocks with the content of a file."""

_FILE_ID = re.compile(r"[\w.-]{1,255}")

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_ALPHABET = bytes.maketrans(b"-_", b"+/")
_WHITE = b" \t\r\n\f\v"
_FOREIGN = bytes(set(range(256)) - set(_ALPHABET) - set(b"-_"))


def render_attachment(
    kind: str,
    *,
    data: str | bytes | None = None,
    url: str | None = None,
    file_id: str | None = None,
    text: str | None = None,
    media_type: str | None = None,
    title: str | None = None,
    source: str | None = None,
) -> JSON:
    """Render a file of a framework's message as a part. `render_media` then checks it against the model.

    Args:
        kind: `image`, `video`, `audio`, or `file`, which can be any of these or a text.
        data: The content in base64; bytes that are not ASCII are the content itself.
        url: A `data:` or `ms://` URL, or one of the web.
        file_id: The id of an uploaded file, with or without `ms://`.
        text: The content of a text file.
        media_type: What the file is said to be. Content that says otherwise has its way.
        title: The file's name.
        source: Where a text is from.

    Returns:
        A part: `image_url`, `video_url` or `text`.

    Raises:
        KimiRequestError: The file cannot be part of a chat, or its content is missing.
    """
    _check_words(kind, url=url, file_id=file_id, text=text, media_type=media_type, title=title, source=source)
    if data is not None and not isinstance(data, (str, bytes)):
        raise KimiRequestError(f"The data of a {kind} block is {type(data).__name__}, not base64.")
    article = "An" if kind[0] in "ai" else "A"
    name = f"The {kind} {title!r}" if title else f"{article} {kind} block"
    if kind == "audio":
        raise KimiRequestError(f"{name} cannot be sent: Kimi does not take audio. Transcribe it, and send the text.")
    if text is not None:
        return _render_text(text, title, source)
    if url is None and file_id is not None:
        url = file_id if file_id.startswith("ms://") else f"ms://{file_id}"
    if kind == "file" and url is not None and _scheme(url) == "data":
        media_type, data = _parse_data_url(url, name)
        url = None
    if data is not None:
        data = _as_base64(data)
        found = sniff(decode_head(data))
        if kind == "file":
            return _render_file(data, found, media_type, title, name)
        url = f"data:{found or media_type or 'application/octet-stream'};base64,{data}"
    if url is None:
        raise KimiRequestError(f"{name} has no content: give it as base64, as a data: URL or as an ms:// id.")
    if kind == "file":
        kind = (media_type or "").partition("/")[0]
        if kind not in ACCEPTED:
            raise KimiRequestError(
                f"{name} points to {show_url(url)}, and is not said to be an image or video. {DOCUMENTS}"
            )
    return {"type": f"{kind}_url", f"{kind}_url": {"url": url}}


def _check_words(kind: str, **words: Any) -> None:
    for name, value in words.items():
        if value is not None and not isinstance(value, str):
            raise KimiRequestError(f"The {name} of a {kind} block is {type(value).__name__}, not text.")


def _render_file(data: str, found: str | None, media_type: str | None, title: str | None, name: str) -> JSON:
    """A file of any kind, by its content; where that says nothing, it may be text."""
    for kind, accepted in ACCEPTED.items():
        if found in accepted:
            return {"type": f"{kind}_url", f"{kind}_url": {"url": f"data:{found};base64,{data}"}}
    if found not in (None, "image/svg+xml"):
        kind = str(found).partition("/")[0]
        raise KimiRequestError(f"{name} {explain_refusal(found, kind if kind in ACCEPTED else 'image')}")
    if media_type is None or is_text(media_type) or media_type == "application/octet-stream":
        raw = base64.b64decode(_clean_base64(data, name))
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise KimiRequestError(f"{name} is neither text in UTF-8, nor an image or video. {DOCUMENTS}") from error
        if "\0" not in text:
            return _render_text(text, title)
    raise KimiRequestError(f"{name} is of type {media_type or 'unknown'}. {DOCUMENTS}")


def _render_text(text: str, title: str | None, source: str | None = None) -> JSON:
    """A text file, with its name where it has one: Kimi's own file questions are asked over plain text as well."""
    known = {"title": title, "source": source}
    attributes = [f'{name}="{html.escape(value)}"' for name, value in known.items() if value]
    if attributes:
        text = f"<document {' '.join(attributes)}>\n{text}\n</document>"
    return {"type": "text", "text": text}


def describe_file(block: Mapping[str, Any]) -> JSON:
    """A file that cannot be sent, as a text that says what it is: its block as JSON, the content left out.

    Args:
        block: A framework's block, or a part; not changed.
    """
    try:
        bare = _without_content(block)
    except RecursionError:  # of the depth of a circle
        return {"type": "text", "text": shown(block)}
    return {"type": "text", "text": write_json(bare)}


def _without_content(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: f"({len(inner)} characters)" if key in _CONTENT and isinstance(inner, str) else _without_content(inner)
            for key, inner in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [_without_content(item) for item in value]
    return show_url(value) if isinstance(value, str) and _scheme(value) == "data" else value


def _as_base64(data: str | bytes) -> str:
    """Content as text in base64. Bytes are often base64 too: what `base64.b64encode` gives, and nobody decoded."""
    if isinstance(data, str):
        return data
    return (data if data.isascii() else base64.b64encode(data)).decode("ascii")


def render_media(
    part: Mapping[str, Any], where: str, role: str, profile: Profile, media_urls: tuple[str, ...] = MEDIA_URLS
) -> JSON:
    """Check an image or a video against what the server takes, and correct what is certain.

    Args:
        part: An `image_url` or `video_url` part, its value an object or a string.
        where: The message, as an error begins with it.
        role: The message's role.
        profile: The family the message goes to.
        media_urls: How URLs may begin: the host takes them, or they are fetched before the request is sent.

    Returns:
        The part as it is, or a copy with a data URL in order.

    Raises:
        KimiRequestError: The server would refuse it.
    """
    part_type = part["type"]
    kind = KINDS[part_type]
    takes = profile.images if kind == "image" else profile.video
    if not takes:  # "the message at position 1 with role 'user' contains an invalid part type: video_url"
        raise KimiRequestError(f"{where} has a part of type {part_type!r}, which {profile.family} does not take.")
    if role not in ("user", "tool"):
        raise KimiRequestError(
            f"{where} has a part of type {part_type!r} and the role {role!r}; images and videos go in user messages "
            "and tool results."
        )
    url = media_url(part)
    if not isinstance(url, str):
        raise KimiRequestError(f"{where} has a part of type {part_type!r} without a URL.")
    scheme = _scheme(url)
    if scheme == "data":
        name = f"{where}: the {kind}"
        declared, data = _parse_data_url(url, name)
        clean = _clean_base64(data, name)
        media_type = check_content(decode_head(clean), kind, name)
        header = f"data:{media_type};base64,"
        if url.startswith(header) and clean is data:
            return dict(part)
        logger.debug("%s: sent what was declared %s as %s", where, declared, media_type)
        return with_url(part, header + clean)
    if (
        f"{scheme}://" in media_urls
        and url[: len(scheme) + 3].lower() == f"{scheme}://"
        and url[len(scheme) + 3 :].strip()
    ):
        if scheme == "ms" and not is_file_id(url[len(scheme) + 3 :]):
            raise KimiRequestError(f"{where} points to {shown(url)}, which is no id of an uploaded file.")
        return dict(part)
    if "ms://" not in media_urls:
        raise KimiRequestError(f"{where} points to {show_url(url)!r}; this host takes {', '.join(media_urls)} only.")
    # "Invalid request: unsupported image url: https://..." (OpenHands/software-agent-sdk#3155)
    raise KimiRequestError(
        f"{where} points to {show_url(url)!r}; Kimi fetches nothing from the web. Send the file's bytes as "
        "base64 ('data:image/png;base64,...'), upload it and send 'ms://<file id>', or set remote_images='download'."
    )


def check_content(head: bytes, kind: str, name: str) -> str:
    """Tell the media type of a file from its first bytes.

    Raises:
        KimiRequestError: It is none that Kimi takes as this kind.
    """
    found = sniff(head)
    if found in ACCEPTED[kind]:
        return found
    if not head:
        raise KimiRequestError(f"{name} is empty.")
    raise KimiRequestError(f"{name} {explain_refusal(found, kind)}")


def media_url(part: Mapping[str, Any]) -> Any:
    """The URL of an `image_url` or `video_url` part, which is an object or a string."""
    value = part.get(part["type"])
    return value.get("url") if isinstance(value, Mapping) else value


def with_url(part: Mapping[str, Any], url: str) -> JSON:
    """A copy of a part with another URL."""
    value = part[part["type"]]
    return {**part, part["type"]: {**value, "url": url} if isinstance(value, Mapping) else url}


def is_file_id(text: str) -> bool:
    """Whether a text may be the id of an uploaded file: what else there is in it would be part of a path or a line."""
    return bool(_FILE_ID.fullmatch(text)) and bool(text.strip("."))


def decode_head(data: str) -> bytes:
    """The first bytes of what is written in base64; fewer where it is not."""
    start = data[: 2 * HEAD].encode("ascii", "ignore").translate(_URL_ALPHABET, _FOREIGN)[: HEAD // 3 * 4]
    return base64.b64decode(_padded(start[:-1] if len(start) % 4 == 1 else start))


def split_data_url(url: str) -> tuple[str, str]:
    """The media type and the base64 of a data URL that went through `render_media`."""
    header, _, data = url.partition(",")
    return header[len("data:") : -len(";base64")], data


def show_url(url: str) -> str:
    """A URL for an error: short, and without what may be a secret or is bulk: user, password, query, data."""
    if _scheme(url) == "data":
        return url.partition(",")[0][:80] + ",..."
    return public_url(url)[:120]


def _scheme(url: str) -> str:
    found = _SCHEME.match(url)
    return found[0][:-1].lower() if found else ""


def _parse_data_url(url: str, name: str) -> tuple[str | None, str]:
    """The declared media type and the content, in base64, of a data URL."""
    header, comma, data = url.partition(",")
    if not comma:
        raise KimiRequestError(f"{name} has a data: URL without a comma; write 'data:image/png;base64,...'.")
    media_type, *parameters = header[len("data:") :].split(";")
    if "base64" not in [parameter.strip().lower() for parameter in parameters]:
        data = base64.b64encode(unquote_to_bytes(data)).decode("ascii")
    return media_type.strip().lower() or None, data


def _clean_base64(data: str, name: str) -> str:
    """Base64 in its plain form: one line, the standard alphabet, padded. What is in order is not copied."""
    raw = data.encode("ascii", "replace")
    rest = raw.translate(None, _ALPHABET)
    if rest in (b"", b"=", b"==") and raw.endswith(rest) and len(raw) % 4 == 0:
        return data
    if b"%" in raw:
        raw = unquote_to_bytes(raw)
    raw = raw.translate(_URL_ALPHABET, _WHITE).rstrip(b"=")
    if len(raw) % 4 == 1 or raw.translate(None, _ALPHABET):
        raise KimiRequestError(f"{name} is not valid base64. Encode the bytes: base64.b64encode(data).decode().")
    return _padded(raw).decode("ascii")


def _padded(raw: bytes) -> bytes:
    return raw + b"=" * (-len(raw) % 4)
