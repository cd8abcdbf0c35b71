"""JSON in an answer's text, which models like to dress up."""

from __future__ import annotations

from collections.abc import Iterator

_CLOSING = "\n```"

_OPENING = 1024
"""Characters in which a fence must open: what is held back until then is looked at again with every piece."""


class FenceFilter:
    """Takes a Markdown fence off an answer that was asked to be JSON, while it streams.

    kimi-k2.6 writes ```` ```json ```` around JSON under a `response_format`
    (platform.kimi.ai/docs/guide/response_format), and callers that read the text as JSON fail. Inside of JSON no line
    starts with a fence, since strings hold no line feeds.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state = "start"

    def feed(self, text: str) -> str:
        """Take some text and give what of it belongs to the JSON, as far as that is known."""
        if self._state in ("plain", "closed"):
            return text if self._state == "plain" else ""
        text, self._held = self._held + text, ""
        if self._state == "start":
            text = self._open(text)
        return self._until_closing(text) if self._state == "fenced" else text

    def end(self) -> str:
        """Give what was held back, at the end of the answer."""
        held, self._held = self._held, ""
        return held

    def _open(self, text: str) -> str:
        begun = text.lstrip()
        if not begun.startswith("```"[: len(begun)]) or ("\n" not in begun and len(text) > _OPENING):
            self._state = "plain"
            return text
        if "\n" not in begun:
            self._held = text
            return ""
        self._state = "fenced"
        return begun.partition("\n")[2]

    def _until_closing(self, text: str) -> str:
        inside, closing, _ = text.partition(_CLOSING)
        if closing:
            self._state = "closed"
            return inside
        for length in range(len(_CLOSING) - 1, 0, -1):
            if text.endswith(_CLOSING[:length]):
                self._held = text[-length:]
                return text[:-length]
        return text


def strip_fence(text: str) -> str:
    """Take a Markdown fence off a whole answer."""
    fence = FenceFilter()
    return fence.feed(text) + fence.end()


def iter_json_texts(text: str) -> Iterator[str]:
    """The places in an answer where its JSON may be: the whole of it, then the inside of each Markdown fence."""
    yield text.strip()
    for fenced in text.split("```")[1:-1:2]:
        label, line_feed, inside = fenced.partition("\n")
        if line_feed and label.strip() in ("", "json"):
            yield inside.strip()
