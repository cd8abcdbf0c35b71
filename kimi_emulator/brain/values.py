"""Finding values in a sentence: numbers, quoted text, names, places, labelled values, sums."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable

from ..text import STOPWORDS, listed, words

_QUOTED = re.compile(r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|`([^`\n]+)`")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w]|\.\d)")
_SUM = re.compile(r"(?<!\d)-?\d+(?:\.\d+)?(?:\s*[-+*/]\s*-?\d+(?:\.\d+)?)+")
_NAME = r"[A-Z\u00c0-\u00de][\w'\u2019-]*\.?"
_NAMES = re.compile(rf"{_NAME}(?:\s+{_NAME})*(?:, [A-Z]{{2}}\b)?")  # "San Francisco, CA" is one
_OPENS = re.compile(r"(?:^|[.!?:\n])\s*$")
_SAID_OF = re.compile(r"\s+(?:is|was|has|lives)\b|[,(]|\W*$")
_PLACED = re.compile(r"\b(?:in|at|near|for|from|to|of|on)\s+(?:the\s+)?$", re.IGNORECASE)
_REMARK = re.compile(r"(?:\s[-\u2013\u2014]\s|:\s)(.+)", re.DOTALL)
_NOT_NAMES = frozenset(listed("I JSON API AI OK URL ID PDF CSV"))
_OPENERS = STOPWORDS | frozenset(
    listed(
        """add answer book calculate call compare compute convert create describe draft explain extract file
    generate hello hey hi list look multiply name order plan play read remember reply respond return search send
    summarize thanks translate turn write yes"""
    )
)
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def quoted(text: str) -> list[str]:
    """Return what a text puts in quotation marks."""
    return [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]


def numbers(text: str) -> list[float]:
    """Return the numbers of a text; whole numbers come as int."""
    return [float(number) if "." in number else int(number) for number in _NUMBER.findall(text)]


def names(text: str) -> list[str]:
    """Return the capitalised names of a text, without a word that merely opens a sentence."""
    return [text[start:end] for start, end in _spans(text)]


def places(text: str) -> list[str]:
    """Return the names from the first one that follows a preposition of place; all names if none does."""
    spans = _spans(text)
    first = next((at for at, (start, _) in enumerate(spans) if _PLACED.search(text[:start])), 0)
    return [text[start:end] for start, end in spans[first:]]


def _spans(text: str) -> list[tuple[int, int]]:
    found = []
    for match in _NAMES.finditer(text):
        start, end = match.start(), match.start() + len(match[0].rstrip(".'\u2019"))
        if _OPENS.search(text[:start]):
            opener, _, rest = text[start:end].partition(" ")
            if "'" in opener or opener.lower() in _OPENERS:
                start = end - len(rest)
            elif not (rest or _SAID_OF.match(text, end)):
                start = end
        if text[start:end] and text[start:end] not in _NOT_NAMES:
            found.append((start, end))
    return found


def remarks(text: str) -> list[str]:
    """Return what follows a dash or a colon."""
    return [remark.strip(" .") for remark in _REMARK.findall(text)]


def labelled(text: str, name: str) -> str | None:
    """Return what a text gives for a name in so many words: ``name: x``, ``name = x``, ``name is x``."""
    spoken = r"[\s_-]*".join(map(re.escape, words(name)))
    match = re.search(rf"\b{spoken}\b['\"]?\s*(?:[:=]|\bis\b)\s*([^\n,;?!]+)", text, re.IGNORECASE)
    return match[1].strip(" '\"`.") or None if match else None


def sum_in(text: str) -> tuple[str, float] | None:
    """Return the longest sum of a text and what it comes to, if that can be said."""
    written = max(_SUM.findall(text), key=len, default="")
    try:
        return (written, _value(ast.parse(written, mode="eval").body))
    except (SyntaxError, ArithmeticError, RecursionError, MemoryError):  # "1+1+..." nests as deep as it is long
        return None


def _value(node: ast.AST) -> float:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp):
        return -_value(node.operand)
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, (int, float))
    return node.value
