"""Prompts that bring their own text: questions on a context, refinements of an answer, condensed questions."""

from __future__ import annotations

import re

from ..text import best_sentences, sentences
from .speech import say
from .view import View

_NOTHING = "The context does not say anything about that."
_RULE = re.compile(r"^[^\S\n]*-{4,}[^\S\n]*$", re.MULTILINE)
_LABEL = re.compile(
    r"^[^\S\n]*(?:New Context|Context|Here are the relevant documents for the context)[^\S\n]*:", re.MULTILINE
)
_NEXT_LABEL = re.compile(r"^[^\S\n]*(?:Query|Question|Answer|Instruction)[^\S\n]*:", re.MULTILINE)
_ABOUT = re.compile(r"\b(?:context|documents|sources)\b", re.IGNORECASE)
_QUERY = re.compile(r"(?:Query|Question|query is as follows|question is)\s*:\s*(\S.*)")
_EXISTING = re.compile(r"(?:existing|original) answer\s*:\s*(\S.*)", re.IGNORECASE)
_FOLLOW_UP = re.compile(r"<Follow Up Message>|Follow Up Input:")
_STANDALONE = ("<Standalone question>", "Standalone question:")


def answer(view: View) -> str | None:
    """Answer a prompt that brings its own text; None if this is none."""
    follow_up = _follow_up(view.question.rstrip())
    if follow_up:
        return follow_up
    context, query = split(view)
    if context is None:
        return None
    existing = _EXISTING.search(view.question)
    told = [existing[1].rstrip()] if existing else []
    return " ".join(best_sentences(query, [*told, *sentences(context)])) or (told or [say(query, _NOTHING)])[0]


def split(view: View) -> tuple[str | None, str]:
    """Return the context a prompt gives (None if it gives none) and the question on it."""
    for text in (view.question, view.system):
        context = (_ruled(text) or _labelled(text)) if _ABOUT.search(text) else None
        if context:
            queries = _QUERY.findall(text.replace(context, "")) if text is view.question else []
            return context, (queries or [view.question])[-1].rstrip()
    return None, view.question


def _follow_up(text: str) -> str | None:
    """What a prompt wants to have as a question of its own."""
    ending = next((ending for ending in _STANDALONE if text.endswith(ending)), None)
    begun = _FOLLOW_UP.search(text) if ending else None
    return text[begun.end() : -len(ending)].strip() if begun and ending else None


def _ruled(text: str) -> str | None:
    """What is between the first line of dashes and the last, unless the first line is the text's first."""
    rules = [rule for rule in _RULE.finditer(text) if rule.start()]
    return text[rules[0].end() : rules[-1].start()].strip("\n") if len(rules) > 1 else None


def _labelled(text: str) -> str | None:
    """What follows a label, up to the next one."""
    label = _LABEL.search(text)
    if label is None:
        return None
    following = _NEXT_LABEL.search(text, label.end())
    return text[label.end() : following.start() if following else len(text)].strip() or None
