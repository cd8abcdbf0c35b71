"""Finding values in a sentence: numbers, quoted text, names, places, dates, addresses, expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..text import STOPWORDS, concept, listed, words

_QUOTED = re.compile(
    r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|`([^`\n]+)`"
    "|\u201c([^\u201d\n]+)\u201d|\u2018([^\u2019\n]+)\u2019|\u300c([^\u300d\n]+)\u300d|\u300a([^\u300b\n]+)\u300b"
)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w]|\.\d)|(?<=\()-?\d+(?:\.\d+)?(?=\))|\d+(?=[°%€$])")
_NUMBER_WORDS = {
    name: number
    for number, name in enumerate(
        listed("zero one two three four five six seven eight nine ten eleven twelve")
    )
    if name != "one"
}  # fmt: skip
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_NUMBER_WORDS)})\b", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_URL = re.compile(r"https?://[^\s\"'<>)\]]+")
_MONTH = r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_WEEKDAY = r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_DATE = re.compile(
    rf"\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?"
    rf"|\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}(?:\s+\d{{4}})?|\b(?:today|tomorrow|yesterday|tonight)\b"
    rf"|(?:next\s+|this\s+)?\b{_WEEKDAY}\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(r"\b\d{1,2}:\d\d(?:\s*[ap]m)?|\b\d{1,2}\s*[ap]m\b|\bnoon\b|\bmidnight\b", re.IGNORECASE)
_EXPRESSION = re.compile(
    r"[(\s]{0,8}-?\d+(?:\.\d+)?[\s)]{0,8}(?:(?:\*\*|[-+*/\u00d7\u00f7^%x])[(\s]{0,8}-?\d+(?:\.\d+)?[\s)]{0,8})+"
)
_NAME = r"[A-Z\u00c0-\u00de][\w'\u2019-]*\.?"
_NAMES = re.compile(rf"{_NAME}(?:\s+(?:(?:of|de|la|del|van|von|the)\s+)?{_NAME})*")
_PLACED = re.compile(r"\b(?:in|at|near|for|from|to|of|on|visit|visiting)\s+(?:the\s+)?$", re.IGNORECASE)
_LOWER_PLACE = re.compile(r"\b(?:in|at|near|for)\s+(?:the\s+)?([a-z][\w-]*(?:\s+[a-z][\w-]*){0,2})")
_TOPIC = re.compile(r"\b(?:about|regarding|on|of|for)\s+(.+)", re.IGNORECASE | re.DOTALL)
_REMARK = re.compile(r"(?:\s[-\u2013\u2014]\s|:\s)(.+)", re.DOTALL)
_NOT_NAMES = frozenset(listed("I JSON API AI OK URL ID PDF CSV"))
_TIME_WORDS = frozenset(listed("today tomorrow tonight now right yesterday next this currently please"))
_OPENERS = STOPWORDS | frozenset(
    listed(
        """add answer book calculate change check compare compute convert create describe divide draft explain extract
    generate hello hey hi list look multiply name order plan play post query read remember remind reply respond
    return search send set solve start stop subtract suggest summarise summarize switch thanks translate turn write
    yes update delete remove cancel schedule fetch open close think thought question answer observation first
    second finally today tomorrow given include provide output input"""
    )
)
_SAID_OF = re.compile(
    r"\s+(?:is|was|are|were|has|had|lives|works|likes|loves|who|said|went|bought|and|born|aged)\b|[,(]"
)


def quoted(text: str) -> list[str]:
    """Return what a text puts in quotation marks."""
    return [next(group for group in match.groups() if group) for match in _QUOTED.finditer(text)]


def quoted_spans(text: str) -> list[tuple[int, int]]:
    """Return where the quotations are."""
    return [match.span() for match in _QUOTED.finditer(text)]


def numbers(text: str) -> list[float]:
    """Return the numbers of a text, small ones also when spelled out; whole numbers come as int."""
    found: list[tuple[int, float]] = []
    for match in _NUMBER.finditer(_without(text, (_DATE, _URL, _EMAIL, _CLOCK))):
        plain = match[0].replace(",", "")
        found.append((match.start(), float(plain) if "." in plain else int(plain)))
    found += [(match.start(), _NUMBER_WORDS[match[0].lower()]) for match in _NUMBER_WORD.finditer(text)]
    return [number for _, number in sorted(found, key=lambda pair: pair[0])]


def emails(text: str) -> list[str]:
    """Return the e-mail addresses of a text."""
    return _EMAIL.findall(text)


def urls(text: str) -> list[str]:
    """Return the web addresses of a text."""
    return [url.rstrip(".,;?!") for url in _URL.findall(text)]


def dates(text: str) -> list[str]:
    """Return the dates of a text."""
    return [match[0] for match in _DATE.finditer(text)]


def clocks(text: str) -> list[str]:
    """Return the times of day in a text."""
    return [match[0] for match in _CLOCK.finditer(text)]


def expression(text: str) -> str | None:
    """Return the longest arithmetic expression of a text, its parentheses balanced."""
    found = [match[0].strip() for match in _EXPRESSION.finditer(_without(text, (_DATE, _URL)))]
    found = [_balance(candidate) for candidate in found]
    return max(found, key=len, default=None)


def _balance(text: str) -> str:
    surplus = text.count("(") - text.count(")")
    while surplus > 0 and text.startswith("("):
        text, surplus = text[1:].strip(), surplus - 1
    while surplus < 0 and text.endswith(")"):
        text, surplus = text[:-1].strip(), surplus + 1
    return text


def _without(text: str, patterns: Iterable[re.Pattern[str]]) -> str:
    for pattern in patterns:
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return text


def names(text: str) -> list[str]:
    """Return the capitalised names of a text, ``San Francisco, CA`` as one.

    A word that merely begins a sentence is a name only if something is said of it.
    """
    masked = _without(text, (_EMAIL, _URL, re.compile(rf"\b{_MONTH}\b|\b{_WEEKDAY}\b")))
    found: list[tuple[int, int]] = []
    for match in _NAMES.finditer(masked):
        span = _trim_opener(masked, match.start(), match.end())
        if span is not None:
            found.append(span)
    return [masked[start:end] for start, end in _with_regions(masked, found)]


def _trim_opener(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Leave out a sentence's first word unless it is a name; also ``I`` and trailing full stops."""
    name = text[start:end].rstrip(".\u2019'")
    end = start + len(re.sub(r"['\u2019]s$", "", name))
    if not re.search(r"(?:^|[.!?:\n])\s*$", text[max(start - 16, 0) : start]):
        return None if text[start:end] in _NOT_NAMES else (start, end)
    first, _, rest = text[start:end].partition(" ")
    if rest.startswith("of "):  # "Population of Paris"
        return (end - len(rest) + len("of "), end)
    if first.lower().strip("'\u2019.") in _OPENERS or re.match(r"\w+['\u2019](?:s|m|re|ll|d|ve|t)$", first):
        return (end - len(rest.lstrip()), end) if rest.strip() and rest.strip() not in _NOT_NAMES else None
    return (start, end) if rest or _SAID_OF.match(text, end) or not text[end:].strip(" .!?") else None


def _with_regions(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ``Paris, France`` and ``San Francisco, CA``, but not the items of a longer list."""
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        before = joined[-1] if joined else None
        if before and text[before[1] : start] == ", ":
            region = re.fullmatch(r"[A-Z]{2,3}", text[start:end])
            chain = re.match(r"(?:\s*,)?\s*(?:and|or)\s|\s*,\s*[A-Z]", text[end:])
            if region or (not chain and not _in_list(text, before[0])):
                joined[-1] = (before[0], end)
                continue
        joined.append((start, end))
    return joined


def _in_list(text: str, start: int) -> bool:
    return text[:start].endswith(", ")


def places(text: str) -> list[str]:
    """Return the names that follow a preposition of place; failing those any name, or a lower-case word there."""
    found = names(text)
    placed = [name for name in found if _PLACED.search(text[: max(text.find(name), 0)])]
    if placed:
        return [name for name in found if name in placed or text.find(name) > text.find(placed[0])]
    return found or [place for match in _LOWER_PLACE.findall(text) for place in [_leading(match)] if place]


def _leading(text: str) -> str:
    """Return the words of a phrase up to the first that says nothing about a place."""
    kept = []
    for word in text.split():
        if word in STOPWORDS or word in _TIME_WORDS:
            break
        kept.append(word)
    return " ".join(kept)


def topic(text: str) -> str | None:
    """Return what a request is about: ``cats`` in "Tell me a joke about cats, please"."""
    match = _TOPIC.search(text)
    if not match:
        return None
    phrase = re.split(r"[,.;:?!\n]|\s(?:with|please|using|and|saying|that)\s", match[1])[0].strip(" '\"")
    return phrase if set(words(phrase)) - STOPWORDS else None


def remark(text: str) -> str | None:
    """Return what follows a dash or a colon."""
    match = _REMARK.search(text)
    return match[1].strip(" .") if match else None


def labelled(text: str, name: str) -> str | None:
    """Return what a text gives for a name in so many words: ``name: x``, ``name = x``, ``name is x``."""
    spoken = re.escape(" ".join(words(name))).replace(r"\ ", r"[\s_-]*")
    link = r"(?:[:=]|\bis\b|\bof\b|\bto\b|\bnamed\b|\bcalled\b)"
    match = re.search(rf"\b{spoken}\b['\"]?\s*{link}\s*([^\n,;?!]+)", text, re.IGNORECASE)
    return match[1].strip().strip("'\"\u201c\u201d`").rstrip(".") or None if match else None


def number_of(text: str, name: str) -> float | None:
    """Return the number that stands beside a name: ``3 days``, ``a=3``, ``days: 3``, ``age 30``."""
    wanted = {concept(word) for word in words(name)}
    tokens = re.findall(r"-?\d+(?:\.\d+)?|[^\W\d_]+", text)
    for at, token in enumerate(tokens):
        if concept(token.lower()) not in wanted:
            continue
        for near in (at + 1, at - 1, at + 2):
            if 0 <= near < len(tokens) and re.fullmatch(r"-?\d+(?:\.\d+)?", tokens[near]):
                value = tokens[near]
                return float(value) if "." in value else int(value)
    return None
