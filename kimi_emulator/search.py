"""What `$web_search` finds: a handful of pages that are the emulator's own, and their form on the wire.

The form of a call is that of recorded traffic: `{"search_result":{"search_id":"<32 hex digits>"},"usage":
{"total_tokens":7946}}`, echoed by the client. The API keeps the results and hides them from the client; here the
search id says which pages were found, so that the same request always gets the same answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import tokens
from .text import concepts

WEB_SEARCH = "$web_search"
DESCRIPTION = "Search the web for current information, latest news and facts about anything"

_ID_DIGITS = 32
_PAGE_DIGITS = 8
_NOTHING = "The search found nothing."


@dataclass(frozen=True)
class Page:
    """A page of the emulator's web."""

    title: str
    url: str
    text: str

    @property
    def key(self) -> str:
        """Eight hex digits that stand for the page."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:_PAGE_DIGITS]


PAGES = (
    Page("Moonshot AI", "https://example.com/moonshot-ai", "Moonshot AI is a company in Beijing that makes Kimi."),
    Page(
        "Kimi models",
        "https://example.com/kimi-models",
        "Kimi K3 is the newest family of Kimi models and has a context window of a million tokens.",
    ),
    Page("Capital of Norway", "https://example.com/norway", "The capital of Norway is Oslo."),
    Page("Eiffel tower", "https://example.com/eiffel-tower", "The Eiffel tower in Paris is 330 metres high."),
    Page("LangChain", "https://example.com/langchain", "LangChain is a framework for agents on language models."),
    Page("LlamaIndex", "https://example.com/llama-index", "LlamaIndex is a framework for data and agents."),
    Page("World news", "https://example.com/news", "The latest news today: nothing happened."),
)


def search(query: str, limit: int = 3) -> list[Page]:
    """Return the pages that share most ideas with a query, at most so many."""
    wanted = concepts(query)
    scored = [(len(wanted & concepts(f"{page.title} {page.text}")), -at, page) for at, page in enumerate(PAGES)]
    return [page for score, _, page in sorted(scored, reverse=True, key=lambda entry: entry[:2]) if score][:limit]


def say(pages: list[Page]) -> str:
    """Write pages as the text that the model reads, a line each."""
    return "\n".join(f"{page.text} ({page.url})" for page in pages) or _NOTHING


def arguments(query: str) -> dict[str, Any]:
    """Return the arguments of a call: what was found, and how many tokens it will add to the prompt."""
    pages = search(query)
    id = "".join(page.key for page in pages).ljust(_ID_DIGITS, "0")
    return {"search_result": {"search_id": id}, "usage": {"total_tokens": tokens.count(say(pages))}}


def results(arguments: Mapping[str, Any]) -> str:
    """Return the text that an echoed call stands for."""
    found = arguments.get("search_result")
    id = str(found.get("search_id") or "") if isinstance(found, Mapping) else ""
    keys = [id[at : at + _PAGE_DIGITS] for at in range(0, len(id), _PAGE_DIGITS)]
    return say([page for page in PAGES if page.key in keys])
