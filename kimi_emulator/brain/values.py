"""Finding values in a sentence: numbers, quoted text, names, places, labelled values, sums."""

from __future__ import annotations

import math
import re

from ..text import HAN, STOPWORDS, listed, words

_QUOTED = re.compile(
    r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|`([^`\n]+)`|\u201c([^\u201d\n]+)\u201d|\u300a([^\u300b\n]+)\u300b"
)
# What has more digits than anybody counts with is no number.
_DIGITS = r"-?\d{1,15}(?:\.\d{1,15})?"
_NUMBER = re.compile(rf"(?<![^\W{HAN}])(?<!\.){_DIGITS}(?![^\W{HAN}]|\.\d)")
_TERM = re.compile(rf"\s{{0,9}}([-+*/])\s{{0,9}}({_DIGITS})")
_SUM = re.compile(rf"(?<![\d.]){_DIGITS}(?:{_TERM.pattern})+(?!\d)")
_NAME = r"[A-Z\u00c0-\u00de][\w'\u2019-]*\.?"
_NAMES = re.compile(rf"{_NAME}(?:\s+{_NAME})*(?:, [A-Z]{{2}}\b)?")  # "San Francisco, CA" is one
# What stands between the names of a Chinese sentence, whose own they are not.
_BETWEEN = re.compile(
    "|".join(
        listed(
            """一下 一个 一座 人口 什么 今天 位于 你好 告诉 哪个 哪座 哪里 国家 城市 多少 大约 天气 如何 帮我 几点
    怎么样 怎样 明天 时间 查询 气温 现在 请问 首都 的 是 在 和 与 到 去 从 有 了 吗 呢 我 你 请 哪"""
        )
    )
)
_HAN_NAMES = re.compile(f"[{HAN}]{{2,}}")
_SAID_OF = re.compile(r"\s+(?:is|was|has|lives)\b|[,(]|\W*$")
_PLACED = re.compile(r"\b(?:in|at|near|for|from|to|of|on)\s+(?:the\s+)?$|(?<!现)[在去到从]$", re.IGNORECASE)
_NEAR = 50  # characters before a name that say what it is
_REMARK = re.compile(r"(?:\s[-\u2013\u2014]\s|:\s)(.+)", re.DOTALL)
_NOT_NAMES = frozenset(listed("I JSON API AI OK URL ID PDF CSV"))
_OPENERS = STOPWORDS | frozenset(
    listed(
        """add answer book calculate call compare compute convert create describe draft explain extract file
    generate hello hey hi list look multiply name order plan play read remember reply respond return search send
    summarize thanks translate turn write yes"""
    )
)


def quoted(text: str) -> list[str]:
    """Return what a text puts in quotation marks."""
    return [next(filter(None, match.groups())) for match in _QUOTED.finditer(text)]


def numbers(text: str) -> list[float]:
    """Return the numbers of a text; whole numbers come as int."""
    return [float(number) if "." in number else int(number) for number in _NUMBER.findall(text)]


def names(text: str) -> list[str]:
    """Return the names of a text: what is capitalised without merely opening a sentence; in Chinese what may be one."""
    return [text[start:end] for start, end in _spans(text)]


def places(text: str) -> list[str]:
    """Return the names from the first one that follows a preposition of place; all names if none does."""
    spans = _spans(text)
    before = (text[max(start - _NEAR, 0) : start] for start, _ in spans)
    first = next((at for at, said in enumerate(before) if _PLACED.search(said)), 0)
    return [text[start:end] for start, end in spans[first:]]


def _spans(text: str) -> list[tuple[int, int]]:
    found = []
    for match in _NAMES.finditer(text):
        start, end = match.start(), match.start() + len(match[0].rstrip(".'\u2019"))
        if _opens(text, start):
            opener, _, rest = text[start:end].partition(" ")
            if "'" in opener or opener.lower() in _OPENERS:
                start = end - len(rest)
            elif not (rest or _SAID_OF.match(text, end)):
                start = end
        if text[start:end] and text[start:end] not in _NOT_NAMES:
            found.append((start, end))
    rest = _BETWEEN.sub(lambda word: " " * len(word[0]), text)
    return sorted([*found, *(match.span() for match in _HAN_NAMES.finditer(rest))])


def _opens(text: str, at: int) -> bool:
    """Whether a sentence or a line begins at a place."""
    before = text[max(at - _NEAR, 0) : at]
    said = before.rstrip()
    return not said or said[-1] in ".!?:" or "\n" in before[len(said) :]


def remarks(text: str) -> list[str]:
    """Return what follows a dash or a colon."""
    return [remark.strip(" .") for remark in _REMARK.findall(text)]


def labelled(text: str, name: str) -> str | None:
    """Return what a text gives for a name in so many words: ``name: x``, ``name = x``, ``name is x``."""
    match = labelled_pattern(name).search(text)
    return match[1].strip(" '\"`.") or None if match else None


def labelled_pattern(name: str) -> re.Pattern[str]:
    """What finds a name in a text, and what is given for it."""
    spoken = r"[\s_-]*".join(re.escape(word[:100]) for word in words(name[:1000])[:20])
    return re.compile(rf"\b{spoken}\b['\"]?\s*(?:[:=]|\bis\b)\s*([^\n,;?!]+)", re.IGNORECASE)


def sum_in(text: str) -> tuple[str, float] | None:
    """Return the longest sum of a text and what it comes to, if that can be said."""
    written = max((match[0] for match in _SUM.finditer(text)), key=len, default="")
    try:
        value = _value(written) if written else math.inf
    except ArithmeticError:
        return None
    return (written, value) if math.isfinite(value) else None


def _value(written: str) -> float:
    """What a sum comes to, its products first.

    Raises:
        ArithmeticError: It divides by nothing.
    """
    total, product = 0.0, 0.0
    for sign, number in _TERM.findall(f"+{written}"):
        if sign == "*":
            product *= float(number)
        elif sign == "/":
            product /= float(number)
        else:
            total, product = total + product, float(number) if sign == "+" else -float(number)
    return total + product
