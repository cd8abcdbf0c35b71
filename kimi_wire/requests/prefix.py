"""Partial Mode: an answer that goes on from a given beginning, and what is built on that. Pure.

`{"role": "assistant", "content": "<beginning>", "partial": true}` as the last message has the model go on there; what
comes back is what follows, without the beginning (platform.kimi.com/docs/guide/use-partial-mode-feature-of-kimi-api).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON
from kimi_wire.profiles import Profile


def add_prefix(messages: Sequence[JSON], prefix: str | None, name: str | None) -> list[JSON]:
    """Append the beginning of the answer to (copied) messages."""
    if prefix is None and name is None:
        return list(messages)
    beginning: JSON = {"role": "assistant", "content": prefix or "", "partial": True}
    if name is not None:
        beginning["name"] = name
    return [*messages, beginning]


def mark_last(messages: Sequence[JSON]) -> list[JSON]:
    """Move a top-level `partial` onto the last message, where the API has it."""
    return [*messages[:-1], {**messages[-1], "partial": True}]


def check_partial(messages: Sequence[Mapping[str, Any]], profile: Profile, response_format: Any) -> None:
    """Refuse Partial Mode where it cannot work.

    Raises:
        KimiRequestError: `partial` stands on another message than an assistant's at the end, the model has no Partial
            Mode, or a JSON format is asked for as well ("may produce unexpected output", the guide says).
    """
    marked = [index for index, message in enumerate(messages) if message.get("partial")]
    if not marked:
        return
    if marked != [len(messages) - 1] or messages[-1]["role"] != "assistant":
        raise KimiRequestError(
            f"Message {marked[0]} is marked partial; only the last message can be, and only an assistant's."
        )
    if not profile.partial:
        raise KimiRequestError(f"{profile.family} has no Partial Mode on this host; leave prefix and partial out.")
    if isinstance(response_format, Mapping) and response_format.get("type") == "json_object":
        raise KimiRequestError(
            "Partial Mode does not go with response_format json_object; a prefix of '{' alone asks for JSON too."
        )
