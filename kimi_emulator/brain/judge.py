"""Judging: whether one text bears another out, in a word or in points, as evaluators ask for it."""

from __future__ import annotations

import re

from ..text import concepts
from .view import View

# The prompts of LlamaIndex's evaluators (llama_index.core.evaluation, 0.14): faithfulness and relevancy ask for a word,
# correctness for points.
_IN_A_WORD = re.compile(r"\bYES ?(?:or|/) ?NO\b")
_IN_POINTS = re.compile(r"\bscore has to be between 1 and 5\b")
_CLAIM = re.compile(r"^[^\S\n]*(?:Information|Response)[^\S\n]*:", re.MULTILINE)
_CONTEXT = re.compile(r"^[^\S\n]*Context[^\S\n]*:", re.MULTILINE)
_ENOUGH = 0.6  # of a claim's ideas


def answer(view: View) -> str | None:
    """Judge what a prompt gives to be judged; None if it asks for no judgement."""
    if _IN_POINTS.search(view.system) and "## Reference Answer" in view.question:
        reference, _, generated = view.question.partition("## Reference Answer")[2].partition("## Generated Answer")
        share = borne_out(reference, generated)
        return f"{1 + 4 * share:.1f}\nThe answer says {share:.0%} of what the reference says."
    contexts = list(_CONTEXT.finditer(view.question)) if _IN_A_WORD.search(view.question) else []
    if not contexts:
        return None
    claim = _CLAIM.split(view.question[: contexts[-1].start()])[-1]
    return "YES" if borne_out(claim, view.question[contexts[-1].end() :]) >= _ENOUGH else "NO"


def borne_out(claim: str, source: str) -> float:
    """How much of a claim's ideas a source has, between 0 and 1; nothing where a number is another one."""
    ideas, told = concepts(claim), concepts(source)
    if any(idea.isdigit() for idea in ideas - told):
        return 0.0
    return len(ideas & told) / len(ideas) if ideas else 0.0
