"""Prompts that bring their own text: questions on a context, refinements of an answer, condensed questions."""

from __future__ import annotations

import re

from ..text import best_sentences, sentences
from .view import View

_NOTHING = "The context does not say anything about that."
_RULED = re.compile(r"\n\s*-{4,}\s*\n(.*)\n\s*-{4,}\s*(?:\n|$)", re.DOTALL)
_LABELLED = re.compile(
    r"(?:^|\n)\s*(?:New Context|Context|Here are the relevant documents for the context)\s*:\s*(.+?)"
    r"\s*(?:\n\s*(?:Query|Question|Answer|Instruction)\s*:|\Z)",
    re.DOTALL,
)
_ABOUT = re.compile(r"\b(?:context|documents|sources)\b", re.IGNORECASE)
_QUERY = re.compile(r"(?:Query|Question|query is as follows|question is)\s*:\s*(.+?)\s*(?:\n|\Z)")
_EXISTING = re.compile(r"(?:existing|original) answer\s*:\s*(.+?)\s*\n", re.IGNORECASE)
_FOLLOW_UP = re.compile(
    r"(?:<Follow Up Message>|Follow Up Input:)\s*(.+?)\s*(?:<Standalone question>|Standalone question:)\s*\Z", re.DOTALL
)


def answer(view: View) -> str | None:
    """Answer a prompt that brings its own text; None if this is none."""
    follow_up = _FOLLOW_UP.search(view.question)
    if follow_up:
        return follow_up[1]
    context, query = split(view)
    if context is None:
        return None
    existing = _EXISTING.search(view.question)
    told = [existing[1]] if existing else []
    return " ".join(best_sentences(query, [*told, *sentences(context)])) or (told or [_NOTHING])[0]


def split(view: View) -> tuple[str | None, str]:
    """Return the context a prompt gives (None if it gives none) and the question on it."""
    for text in (view.question, view.system):
        context = (_RULED.search(text) or _LABELLED.search(text)) if _ABOUT.search(text) else None
        if context:
            queries = _QUERY.findall(text.replace(context[1], "")) if text is view.question else []
            return context[1], (queries or [view.question])[-1]
    return None, view.question
