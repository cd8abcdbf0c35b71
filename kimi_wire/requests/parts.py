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
from kimi_wire.json_values import JSON, write_json
from kimi_wire.media import KINDS, describe_file, render_media
from kimi_wire.profiles import Profile

logger = logging.getLogger("kimi_wire")

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
    if role == "tool" and parts and not any(map(_is_part, parts)):
        return write_json(parts)  # what a tool gave back as it is: `[{"a": 1}, {"b": 2}]`
    rendered = [_render_part(part, index, role, profile, media_urls) for part in parts]
    kept = [part for part in rendered if part is not None]
    if len(kept) == 1 and kept[0]["type"] == "text":
        return str(kept[0]["text"])
    return kept or ""


def _kind(part: Any) -> str | None:
    kind = part.get("type") if isinstance(part, (dict, Mapping)) else None  # a dict is told ten times faster
    return kind if isinstance(kind, str) else None


def _is_part(part: Any) -> bool:
    return isinstance(part, str) or _kind(part) is not None or _is_alone(part, "text")


def _is_alone(part: Any, key: str) -> bool:
    """Whether a part is `{key: ...}` and nothing else, as Google and Bedrock write it."""
    return isinstance(part, Mapping) and len(part) == 1 and key in part


def _render_part(part: Any, index: int, role: str, profile: Profile, media_urls: tuple[str, ...]) -> JSON | None:
    """A part in the API's form; None for one that is left out."""
    text = _find_text(part, role)
    if text:
        return {"type": "text", "text": text}
    if text is not None:
        logger.debug("message %d: left out an empty text part", index)
        return None
    kind = _kind(part)
    if role == "assistant" or kind in _THOUGHTS or _is_alone(part, "cachePoint"):
        level = logging.WARNING if kind in KINDS else logging.DEBUG  # a picture is no machinery, but has no place here
        logger.log(level, "message %d: left out a part of type %r, which Kimi has no form for there", index, kind)
        return None
    if role == "tool":
        return _render_result(part, index, profile, media_urls)
    if kind in KINDS:
        return render_media(part, f"Message {index}", role, profile, media_urls)
    known = f"; Kimi takes {['text', *KINDS]}" if kind not in _TEXTS else ", and something else than a text in it"
    raise KimiRequestError(f"Message {index} has a content part of type {kind!r}{known}.")


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


def _render_result(part: Any, index: int, profile: Profile, media_urls: tuple[str, ...]) -> JSON:
    """A part of a tool's result that is no text: a picture or video, or its JSON.

    An agent's tools come from anywhere, and one result that is refused would end the conversation it is in.
    """
    kind = _kind(part)
    if kind in KINDS:
        try:
            return render_media(part, f"Message {index}", "tool", profile, media_urls)
        except KimiRequestError as error:
            logger.debug("sent a picture or video of a tool's result as text: %s", error)
            return describe_file(part)
    if kind is not None:
        try:
            part = _unsealed(part)
        except RecursionError:
            logger.debug("message %d: a part is nested too deep to be looked through", index)
    return {"type": "text", "text": write_json(part)}


def _unsealed(value: Any) -> Any:
    """A copy of a part without what another vendor's server has signed or encrypted in it."""
    if isinstance(value, Mapping):
        return {key: _unsealed(inner) for key, inner in value.items() if key not in _SEALED}
    if isinstance(value, (list, tuple)):
        return [_unsealed(item) for item in value if not _is_sealed_thought(item)]
    return value


def _is_sealed_thought(value: Any) -> bool:
    return _kind(value) in _THOUGHTS and not (_SEALED | {"signature", "data"}).isdisjoint(value)
