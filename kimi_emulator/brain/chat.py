"""Answering in prose: from tool results, from what was said before, or honestly that this is an emulator."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ..text import best_sentences, concepts, join, sentences, shorten
from . import arithmetic, values
from .view import Call, View

_GREETING = re.compile(r"\s*(?:hi|hello|hey|good (?:morning|evening|afternoon)|greetings|howdy)\b[^?]{0,30}$", re.I)
_WELLBEING = re.compile(r"\bhow (?:are you|is it going|do you do)\b", re.I)
_THANKS = re.compile(r"\s*(?:thanks|thank you|well, thanks|great|perfect)\b", re.I)
_WHO = re.compile(r"\bwho (?:are|r) you\b|\bwhat are you\b|\byour name\b|\bwhich model\b", re.I)
_FACT = re.compile(r"\bmy ([\w ]{2,30}?) (?:is|was|are) ([^.,;!?\n]+)", re.I)
_NAMED = re.compile(r"\b(?i:i am|i'm|call me|this is)\s+([A-Z][\w'-]+)")
_MY = re.compile(r"\bmy ([\w ]{2,30}?)\s*(?:\?|$|\bagain\b)", re.I)
_ERROR = re.compile(r"\s*(?:error|exception|failed|failure|traceback|could not|cannot)\b", re.I)
_TEMPLATE = re.compile(r"['\"`]([^'\"`<>]*)<[^<>]+>([^'\"`<>]*)['\"`]")


def is_error(result: str) -> bool:
    """Whether a tool result reports a failure."""
    if _ERROR.match(result):
        return True
    try:
        value = json.loads(result)
    except ValueError:
        return False
    return isinstance(value, dict) and bool(value.get("error"))


def say_value(value: Any) -> str:
    """Put a JSON value into words."""
    if isinstance(value, dict):
        return ", ".join(f"{str(key).replace('_', ' ')}: {say_value(item)}" for key, item in value.items())
    if isinstance(value, list):
        return join([say_value(item) for item in value]) if value else "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "nothing" if value is None else str(value)


def say_result(result: str) -> str:
    """Put a tool result into words, JSON flattened."""
    try:
        value = json.loads(result)
    except ValueError:
        return result.strip() or "nothing"
    return say_value(value)


def _say_call(call: Call) -> str:
    given = [say_value(value) for value in call.arguments.values()]
    listed = join(given)
    about = f" for {listed}" if given and len(listed) <= 60 else ""
    if is_error(call.result):
        return f"{call.name}{about} reported an error: {say_result(call.result)}"
    return f"{call.name}{about} says: {say_result(call.result)}"


def from_results(question: str, calls: Sequence[Call]) -> str:
    """Answer from tool results, in the form the question asks for if it gives one."""
    template = _TEMPLATE.search(question)
    if template and not is_error(calls[-1].result):
        return f"{template[1]}{say_result(calls[-1].result)}{template[2]}"
    said = [_say_call(call).rstrip(".") + "." for call in calls]
    if len(calls) == 1:
        return f"That did not work: {said[0]}" if is_error(calls[0].result) else f"Here is what I found: {said[0]}"
    steps = "\n".join(f"- {line}" for line in said)
    last = say_result(calls[-1].result)
    number = re.fullmatch(r"-?\d+(?:\.\d+)?", last)
    return f"Here is what I found:\n{steps}" + (f"\nSo the answer is {last}." if number else "")


def remembered(view: View) -> str | None:
    """Answer a question about what the user said of themselves."""
    wanted = _MY.search(view.question)
    about_me = re.search(r"\bwho am i\b", view.question, re.I)
    if not wanted and not about_me:
        return None
    topic = wanted[1] if wanted else "name"
    for text in reversed(view.user_said):
        for fact in _FACT.finditer(text):
            if concepts(fact[1]) & concepts(topic) or fact[1].lower().strip() == topic.lower().strip():
                return f"Your {fact[1].strip()} is {fact[2].strip()}."
        named = _NAMED.search(text)
        if named and "name" in topic.lower():
            return f"Your name is {named[1]}."
    return None


def _recalled(view: View) -> str | None:
    """Answer from the system prompt or from what the user said earlier."""
    told = [line for text in [view.system, *view.user_said] for line in sentences(text) if not line.endswith("?")]
    wanted = concepts(view.question)
    found = best_sentences(view.question, told, limit=1)
    shared = concepts(found[0]) & wanted if found else set()
    return found[0] if found and len(shared) >= 2 and len(shared) * 2 >= len(wanted) else None


def chat(view: View) -> str:
    """Answer without tools or context."""
    question = view.question.strip()
    known = remembered(view)
    if known:
        return known
    expression = values.expression(question)
    result = arithmetic.evaluate(expression) if expression else None
    if expression and result is not None:
        return f"{expression} = {arithmetic.spell(result)}"
    if _WELLBEING.search(question):
        return "I'm doing well, thank you for asking! How can I help you today?"
    if not question or _GREETING.match(question):
        return "Hello! How can I help you today?"
    if _THANKS.match(question):
        return "You're welcome! Is there anything else I can help you with?"
    told = _fact_told(question)
    if told:
        return told
    recalled = _recalled(view)
    if recalled:
        return recalled
    if _WHO.search(question):
        return "I am a local emulator of the Kimi API: I answer like a chat model, but no language model is behind me."
    seen = f" I can see {view.media} attachment(s), but not what is in them." if view.media else ""
    return (
        f'You asked: "{shorten(question)}".{seen} I am a local emulator of the Kimi API, so I have no knowledge of my '
        "own to answer that from. Give me tools or context and I will work with them."
    )


def _fact_told(question: str) -> str | None:
    fact = _FACT.search(question)
    named = _NAMED.search(question)
    if "?" in question or not (fact or named):
        return None
    name = named[1] if named else fact[2].strip() if fact and fact[1].lower().strip() == "name" else None
    if name:
        return f"Nice to meet you, {name}! How can I help you?"
    return f"Thanks, I will remember that your {fact[1].strip()} is {fact[2].strip()}." if fact else None
