"""The parts of a message's content: text, pictures, and what other vendors' models left in a history. Pure.

A conversation may have begun with another model, before a fallback or a switch in the middle. So it depends on the role
what becomes of a part that Kimi's API has no form for:

- An assistant's message keeps what the model said: its texts and refusals. All else in it is machinery of the vendor's
  servers (searches, code, citations, signed or encrypted thinking), which is of use to them alone. New kinds come with
  every release, so there is no list of them: what is no text is left out.
- A tool's result reaches the model in any form, as JSON text where there is no better one.
- A user's or a system's part is refused, as what it says cannot be known.

`langchain_core.messages.block_translators` says what the vendors' parts mean.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON, mapping, write_json
from kimi_wire.media import KINDS, describe_file, render_media
from kimi_wire.profiles import CACHE_TTLS, Profile

logger = logging.getLogger("kimi_wire")

CACHE_CONTROL = "cache_control"
"""The key of a part at which the cache is to end, with how long it is to be kept."""

_TEXTS = {"text": "text", "output_text": "text", "refusal": "refusal"}
"""Types of parts that are text, and where it stands in them."""

_THOUGHTS = frozenset(
    {"reasoning", "reasoning_content", "reasoning_text", "summary_text", "thinking", "redacted_thinking"}
)

_SEALED = frozenset(
    {"encrypted_content", "encrypted_index", "encrypted_stdout", "redacted_content", "thought_signature"}
)
"""Keys of other vendors' parts with what only their own servers can read."""


def render_parts(
    parts: Sequence[Any], index: int, role: str, profile: Profile, media_urls: tuple[str, ...]
) -> str | list[JSON]:
    """Render the parts of a message.

    Args:
        parts: Texts and parts; not changed.
        index: The message's place in the conversation.
        role: The message's role, as the API has it.
        profile: The family the message goes to.
        media_urls: How the URLs of images and videos may begin.

    Returns:
        The parts without empty texts ("text content is empty"); plain text where there is nothing else.

    Raises:
        KimiRequestError: A part of a user's or a system's message has no form in the API.
    """
    read = read_parts(parts, index, role)
    if len(read) == 1 and isinstance(read[0], str):
        return read[0]
    rendered = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else _render_media(part, index, role, profile, media_urls)
        for part in read
    ]
    kept = [part for part in rendered if part is not None]
    if len(kept) == 1 and kept[0]["type"] == "text":
        return str(kept[0]["text"])
    return kept or ""


def read_parts(parts: Sequence[Any], index: int, role: str) -> list[Any]:
    """Find out what of a message's parts goes to the model, whichever that is.

    Args:
        parts: Texts and parts; not changed.
        index: The message's place in the conversation.
        role: The message's role, as the API has it.

    Returns:
        Texts, as `str`; pictures, videos and parts without a form as they are.
    """
    if role == "tool" and parts and not any(map(_is_part, parts)):
        return [write_json(parts)]  # what a tool gave back as it is: `[{"a": 1}, {"b": 2}]`
    read: list[Any] = []
    for part in parts:
        text = _find_text(part, role)
        if text:
            read.append(text)
        elif text is not None:
            logger.debug("message %d: left out an empty text part", index)
        else:
            read += _read_other(part, index, role)
    return read


def describe_unseen(
    messages: Sequence[Mapping[str, Any]], profile: Profile
) -> tuple[Sequence[Mapping[str, Any]], list[str]]:
    """Put words in the place of old pictures and videos that a family does not take.

    Old is what stands before the user's last message: a model without eyes took over a conversation, which can go on. A
    picture that is asked about now cannot be left out; `render_parts` refuses it.

    Args:
        messages: Messages in the API's form; not changed.
        profile: The family they go to.

    Returns:
        The messages, those without such parts as they are; and where such parts were, in words.
    """
    unseen = {kind for kind, takes in (("image_url", profile.images), ("video_url", profile.video)) if not takes}
    if not unseen:
        return messages, []
    last = max((index for index, message in enumerate(messages) if message.get("role") == "user"), default=0)
    described, places = list(messages), []
    for index, message in enumerate(messages[:last]):
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, list):
            found = [KINDS[part["type"]] for part in content if _kind(part) in unseen]
            places += [f"the {kind} in message {index}" for kind in found]
            if found:
                parts = [describe_file(part) if _kind(part) in unseen else part for part in content]
                described[index] = {**message, "content": parts}
    return described, places


def longest_ttl(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """How long a conversation's cache points ask for its beginning to be kept.

    Args:
        messages: Messages in the API's form. A point is a `cache_control` of a part, as Anthropic and LlamaIndex have
            it (`{"type": "ephemeral", "ttl": "1h"}`), or a `cachePoint` of Bedrock's.

    Returns:
        The longest time that there is a word of Kimi's for; None where no point says one.
    """
    contents = [content for message in messages if isinstance(content := message.get("content"), list)]
    parts = [part for content in contents for part in content if isinstance(part, (dict, Mapping))]
    points = [mapping(part.get(CACHE_CONTROL) or part.get("cachePoint")) for part in parts]
    asked = [point.get("ttl") for point in points]
    return next((ttl for ttl in reversed(CACHE_TTLS) if ttl in asked), None)


def _kind(part: Any) -> str | None:
    kind = part.get("type") if isinstance(part, (dict, Mapping)) else None  # a dict is told ten times faster
    return kind if isinstance(kind, str) else None


def _is_part(part: Any) -> bool:
    return isinstance(part, str) or _kind(part) is not None or _is_alone(part, "text")


def _is_alone(part: Any, key: str) -> bool:
    """Whether a part is `{key: ...}` and nothing else, as Google and Bedrock write it."""
    return isinstance(part, Mapping) and len(part) == 1 and key in part


def _read_other(part: Any, index: int, role: str) -> list[Any]:
    """A part that is no text: as it is, as its JSON, or left out."""
    kind = _kind(part)
    if kind in KINDS:
        return [part]
    if role == "assistant" or kind in _THOUGHTS or _is_alone(part, "cachePoint"):
        logger.debug("message %d: left out a part of type %r, which is another vendor's", index, kind)
        return []
    return [_write_result(part, index)] if role == "tool" else [part]


def _find_text(part: Any, role: str) -> str | None:
    """What a part says; None for one that is no text."""
    kind = _kind(part)
    if kind in _TEXTS:
        text = part.get(_TEXTS[kind])
        return "" if text is None and role != "tool" else text if isinstance(text, str) else None
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
        return None
    said = role == "assistant" and kind not in _THOUGHTS and not part.get("thought")
    return part["text"] if said or _is_alone(part, "text") else None


def _write_result(part: Any, index: int) -> str:
    """The JSON of a part of a tool's result."""
    if _kind(part) is not None:
        try:
            part = _unsealed(part)
        except RecursionError:
            logger.debug("message %d: a part is nested too deep to be looked through", index)
    return write_json(part)


def _render_media(part: Any, index: int, role: str, profile: Profile, media_urls: tuple[str, ...]) -> JSON | None:
    """A picture or video in the form of the API; None for an assistant's.

    An agent's tools come from anywhere, and one result that is refused would end the conversation it is in.
    """
    kind = _kind(part)
    if kind not in KINDS:
        known = f"; Kimi takes {['text', *KINDS]}" if kind not in _TEXTS else ", and something else than a text in it"
        raise KimiRequestError(f"Message {index} has a content part of type {kind!r}{known}.")
    if role == "assistant":
        logger.warning("message %d: left out a part of type %r; Kimi takes those of users and tools", index, kind)
        return None
    try:
        media = render_media(part, f"Message {index}", role, profile, media_urls)
        return {key: value for key, value in media.items() if key != CACHE_CONTROL}
    except KimiRequestError as error:
        if role != "tool":
            raise
        logger.debug("sent a picture or video of a tool's result as text: %s", error)
        return describe_file(part)


def _unsealed(value: Any) -> Any:
    """A copy of a part without what another vendor's server has signed or encrypted in it."""
    if isinstance(value, Mapping):
        return {key: _unsealed(inner) for key, inner in value.items() if key not in _SEALED}
    if isinstance(value, (list, tuple)):
        return [_unsealed(item) for item in value if not _is_sealed_thought(item)]
    return value


def _is_sealed_thought(value: Any) -> bool:
    return _kind(value) in _THOUGHTS and not (_SEALED | {"signature", "data"}).isdisjoint(value)
