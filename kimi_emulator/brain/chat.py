"""Answering in prose: from tool results, from what was said before, or honestly that this is an emulator."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ..search import WEB_SEARCH
from ..text import best_sentences, concepts, join, sentences, shorten
from . import pictures, values
from .speech import say
from .view import Call, View

_SMALL_TALK = (
    (
        re.compile(r"\A(?:hi|hello|hey|good morning)\b[^?]{0,30}\Z|\A[你您]好[^?？]{0,15}\Z|\A\Z", re.I),
        "Hello! How can I help you today?",
    ),
    (
        re.compile(r"\bhow (?:are you|is it going)\b|你好吗", re.I),
        "I'm doing well, thank you for asking! How can I help you today?",
    ),
    (re.compile(r"\A(?:well, )?thanks\b|\A谢谢", re.I), "You're welcome! Is there anything else I can help you with?"),
    (
        re.compile(r"\bwho are you\b|\bwhat are you\b|\byour name\b|你是谁", re.I),
        "I am a local emulator of the Kimi API: I answer like a chat model, but no language model is behind me.",
    ),
)
_NO_KNOWLEDGE = (
    " I am a local emulator of the Kimi API, so I have no knowledge of my own to answer that from. "
    "Give me tools or context and I will work with them."
)
_FACT = re.compile(r"\bmy ([\w ]{2,30}?) is ([^.,;!?\n]+)", re.I)
_MY = re.compile(r"\bmy ([\w ]{2,30}?)\s*\?", re.I)
_ASKED = re.compile(r"\bwhat (?:was|did)\b[^?]{0,20}\b(?:my [^?]{0,20}question\b|I (?:just )?ask)", re.I)
_FIRST = re.compile(r"\bfirst\b", re.I)
_HANDOFF = re.compile(r"hand_?off|transfer_to_", re.I)
_ERROR = re.compile(r"\s*(?:error|exception|failed|failure|traceback|could not|cannot)\b", re.I)


def is_error(result: str) -> bool:
    """Whether a tool result reports a failure."""
    return bool(_ERROR.match(result))


def say_value(value: Any) -> str:
    """Put a JSON value into words."""
    if isinstance(value, dict):
        return ", ".join(f"{str(key).replace('_', ' ')}: {say_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return join([say_value(item) for item in value]) or "nothing"
    return "nothing" if value is None else str(value)


def say_result(result: str) -> str:
    """Put a tool result into words, JSON flattened."""
    try:
        return say_value(json.loads(result))
    except (ValueError, RecursionError):
        return result.strip() or "nothing"


def _say_call(asked: str, call: Call) -> str:
    given = join([say_value(value) for value in call.arguments.values()])
    about = "{name} for {given}" if given and len(given) <= 60 else "{name}"
    said = "reported an error" if is_error(call.result) else "says"
    result = say_result(call.result).rstrip(".。")
    return say(asked, f"{about} {said}: {{result}}.", name=call.name, given=given, result=result)


def from_results(question: str, calls: Sequence[Call]) -> str:
    """Answer from tool results: of a search what fits the question, of others all, but not that somebody took over."""
    calls = [call for call in calls if not _HANDOFF.match(call.name)] or calls
    if all(call.name == WEB_SEARCH for call in calls):
        found = [line for call in calls for line in sentences(call.result)]
        return " ".join(best_sentences(question, found)) or " ".join(found)
    said = [_say_call(question, call) for call in calls]
    if len(calls) == 1:
        failed = is_error(calls[0].result)
        return say(question, "That did not work: {said}" if failed else "Here is what I found: {said}", said=said[0])
    return say(question, "Here is what I found:") + "".join(f"\n- {line}" for line in said)


def _recalled(view: View) -> str | None:
    """Answer a question about a question before."""
    if not view.user_said or not _ASKED.search(view.question):
        return None
    asked = view.user_said[0 if _FIRST.search(view.question) else -1]
    return f'You asked: "{shorten(asked)}"'


def _remembered(view: View) -> str | None:
    """Answer a question about what the user said of themselves, or from any sentence that was said before."""
    wanted = _MY.search(view.question)
    facts = [fact for text in reversed(view.user_said) for fact in _FACT.finditer(text)]
    for fact in facts:
        if wanted and concepts(fact[1]) & concepts(wanted[1]):
            return f"Your {fact[1]} is {fact[2].strip()}."
    told = [
        line for text in [view.system, *view.user_said] for line in sentences(text) if not line.endswith(("?", "？"))
    ]
    found = best_sentences(view.question, told, limit=1)
    asked = concepts(view.question)
    shared = concepts(found[0]) & asked if found else set()
    return found[0] if len(shared) >= 2 and len(shared) * 2 >= len(asked) else None


def chat(view: View) -> str:
    """Answer without tools or context."""
    question = view.question.strip()
    remembered = _recalled(view) or _remembered(view)
    if remembered:
        return remembered
    worked_out = values.sum_in(question)
    if worked_out:
        return f"{worked_out[0]} = {worked_out[1]:.10g}"
    for pattern, said in _SMALL_TALK:
        if pattern.search(question):
            return say(question, said)
    fact = _FACT.search(question)
    if fact and "?" not in question:
        return f"Thanks, I will remember that your {fact[1]} is {fact[2].strip()}."
    seen = [shown for read in view.media[: pictures.MOST] if (shown := pictures.describe(read()))]
    if seen:
        return " ".join(f"I see {shown}" for shown in seen)
    unseen = say(question, " I can see {number} attachment(s), but not what is in them.", number=len(view.media))
    return (
        say(question, 'You asked: "{question}".', question=shorten(question))
        + (unseen if view.media else "")
        + say(question, _NO_KNOWLEDGE)
    )
