"""Prompts that bring their own text: questions on a context, refinements, summaries, condensed questions, choices."""

from __future__ import annotations

import re

from ..text import best_sentences, concepts, keywords, rank, sentences, shorten
from .values import names
from .view import View

_RULE = re.compile(r"^\s*-{4,}\s*$", re.MULTILINE)
_NOTHING = "The context does not say anything about that."
_QUERY = re.compile(
    r"(?:^|\n)\s*(?:Query|Question|User question|New Question|Follow Up Input)\s*:\s*(.+?)\s*"
    r"(?:\n\s*(?:Context|New Context|Original Answer|Answer|Helpful Answer|Refined Answer|Standalone question)\s*:|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_QUOTED_QUERY = re.compile(r"(?:question|query)(?: is)?:\s*'(.+?)'", re.DOTALL)
_ORIGINAL_QUERY = re.compile(r"original (?:query|question) is as follows:\s*(.+?)\s*\n")
_EXISTING = re.compile(
    r"(?:existing answer|original answer)\s*:\s*(.+?)\s*"
    r"(?:\n\s*(?:We have the opportunity|New Answer|Instruction)|\n\s*$|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_CONTEXT_LABEL = re.compile(
    r"(?:^|\n)\s*(?:New Context|Context|Here are the relevant documents for the context)\s*:\s*(.+?)"
    r"\s*(?:\n\s*(?:Query|Question|Answer|Existing Answer|Original Answer|Instruction|Helpful Answer)\s*:|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_CONTEXT_WORDS = re.compile(r"\b(?:context|documents|sources|pieces of)\b", re.IGNORECASE)
_METADATA = re.compile(r"\s*(?:file_?path|file_?name|page_label|source|title|url|doc_id|node_id)\s*:", re.IGNORECASE)
_FOLLOW_UP = re.compile(
    r"(?:<Follow Up Message>|Follow Up (?:Input|Question|Message)\s*:)\s*(.+?)\s*"
    r"(?:<Standalone question>|Standalone question\s*:)\s*\Z",
    re.DOTALL | re.IGNORECASE,
)
_HISTORY = re.compile(
    r"(?:<Chat History>|Chat History\s*:)\s*(.+?)\s*(?:<Follow Up|Follow Up)", re.DOTALL | re.IGNORECASE
)
_PRONOUN = re.compile(r"\b(?:it|its|he|she|they|him|her|his|their|there|that one|this one)\b", re.IGNORECASE)
_ITEM = r"(?:\((\d+)\)|(?:Document|Doc)\s+(\d+)\s*:|(\d+)[.)])"
_CHOICE = re.compile(rf"^\s*{_ITEM}\s*(.*?)(?=^\s*{_ITEM}|\Z)", re.MULTILINE | re.DOTALL)
_SUMMARY = re.compile(r"\b(?:summary of|summari[sz]e)\b", re.IGNORECASE)
_KEYWORDS = re.compile(r"extract up to (\d+) keywords", re.IGNORECASE)


def answer(view: View) -> str | None:
    """Answer a prompt that brings its own text; None if this is none."""
    prompt = view.question
    for reader in (_condense, _choose, _keywords, _refine, _summarise):
        said = reader(prompt)
        if said is not None:
            return said
    context, query = split(view)
    if context is None:
        return None
    return " ".join(best_sentences(query, _lines(context))) or _NOTHING


def split(view: View) -> tuple[str | None, str]:
    """Return the context a prompt gives (None if it gives none) and the question on it."""
    for text in (view.question, view.system):
        context = _context(text)
        if context is not None:
            query = _query(text) or _after(text, context)
            return context, view.question if text is view.system else query
    return None, view.question


def _context(text: str) -> str | None:
    blocks = _RULE.split(text)
    if len(blocks) >= 3 and _CONTEXT_WORDS.search(blocks[0]):
        return "\n".join(blocks[1:-1])
    label = _CONTEXT_LABEL.search(text)
    return label[1] if label and _CONTEXT_WORDS.search(text) else None


def _query(text: str) -> str | None:
    original = _ORIGINAL_QUERY.search(text)
    found = original or _QUERY.search(_RULE.split(text)[-1]) or _QUERY.search(text) or _QUOTED_QUERY.search(text)
    return found[1].strip() if found else None


def _after(text: str, context: str) -> str:
    rest = text.replace(context, " ")
    return sentences(rest)[-1] if sentences(rest) else text


def _lines(context: str) -> list[str]:
    return [line for line in sentences(context) if not _METADATA.match(line)]


def _refine(prompt: str) -> str | None:
    existing = _EXISTING.search(prompt)
    context = _context(prompt)
    if not existing or context is None:
        return None
    before = existing[1].strip()
    query = _query(prompt) or before
    new = [line for line in best_sentences(query, _lines(context), limit=2) if line not in before]
    useful = [line for line in new if len(concepts(line) & concepts(query)) >= 2]
    if before == _NOTHING:
        return " ".join(useful) or before
    return " ".join([before, *useful])


def _summarise(prompt: str) -> str | None:
    if not _SUMMARY.search(prompt[:200]):
        return None
    body = re.split(r"\n\s*\n|:\s", prompt, maxsplit=1)[-1]
    lines = [line for line in _lines(body) if not line.startswith("SUMMARY")]
    if len(lines) < 2:
        return lines[0] if lines else None
    chosen = {0, *(at for _, at in rank(" ".join(keywords(body, 8)), lines)[:2])}
    return " ".join(lines[at] for at in sorted(chosen))


def _condense(prompt: str) -> str | None:
    follow_up = _FOLLOW_UP.search(prompt)
    if not follow_up:
        return None
    question = follow_up[1].strip()
    history = _HISTORY.search(prompt)
    known = (
        [name for name in names(history[1]) if name.lower() not in ("user", "human", "assistant")] if history else []
    )
    if known and not names(question) and _PRONOUN.search(question):
        subject = max(known, key=known.count)
        return _PRONOUN.sub(lambda match: _possessive(match[0], subject), question, count=1)
    return question


def _possessive(pronoun: str, subject: str) -> str:
    if pronoun.lower() == "there":
        return f"in {subject}"
    return f"{subject}'s" if pronoun.lower() in ("its", "his", "her", "their") else subject


def _choices(prompt: str) -> list[tuple[int, str]]:
    blocks = _RULE.split(prompt)
    listed = "\n".join(blocks[1:-1]) if len(blocks) >= 3 else prompt
    return [(int(match[1] or match[2] or match[3]), match[4].strip()) for match in _CHOICE.finditer(listed)]


def _choose(prompt: str) -> str | None:
    wants_json = '"choice"' in prompt or "choice: 1" in prompt
    wants_relevance = re.search(r"Doc: \d+, Relevance: \d+", prompt)
    if not (wants_json or wants_relevance or "'ANSWER: <number" in prompt):
        return None
    choices = _choices(prompt.rpartition("Let's try this now:")[2] if wants_relevance else prompt)
    query = _query(prompt) or prompt
    ranked = rank(query, [text for _, text in choices])
    if wants_relevance:
        return "\n".join(
            f"Doc: {choices[at][0]}, Relevance: {max(10 - 2 * place, 1)}" for place, (_, at) in enumerate(ranked)
        )
    best, text = choices[ranked[0][1]] if ranked else choices[0] if choices else (1, "")
    reason = f"It is closest to the question: {shorten(text, 80)}".replace('"', "'").replace("\\", "/")
    if wants_json:
        return f'[{{"choice": {best}, "reason": "{reason}"}}]'
    return f"ANSWER: {best}\n{reason}"


def _keywords(prompt: str) -> str | None:
    wanted = _KEYWORDS.search(prompt)
    if not wanted:
        return None
    blocks = _RULE.split(prompt)
    text = blocks[1] if len(blocks) >= 3 else re.split(r"-{4,}", prompt)[1] if "----" in prompt else prompt
    return "KEYWORDS: " + ", ".join(keywords("\n".join(_lines(text)), int(wanted[1])))
