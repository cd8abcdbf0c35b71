"""Words, stems, sentences: what the emulator knows of language."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence


def listed(text: str) -> list[str]:
    """Split a list of words that is written as one text."""
    return text.split()


STOPWORDS = frozenset(
    listed(
        """a about after all also am an and any are as ask at back be been being both but by call can could did do does
    each either find for from function get give go had has have he her hers him his how i if in into is it its just
    let like make me mine more most my need no nor not now of off on once one only or other our ours out over own
    per please run same say she should show so some such tell than that the their theirs them then there these they
    this those to too tool tools under up us use using value very want was we were what when where which while who
    whom whose why will with would you your yours
    什么 怎么 么样 多少 哪里 哪个 哪些 哪座 是什 为什 请问 查询 一个 一下 一座 这个 那个 可以 告诉 我的 你的 工具"""
    )
)

# Words that name the same idea in questions and in tool descriptions.
_SAME = {
    "add": "adder addition plus sum total 相加 加上",
    "multiply": "multiplication product times 相乘 乘以",
    "calculate": "calculator calculation compute arithmetic evaluate 计算",
    "weather": "forecast temperature rain snow 天气 气温",
    "search": "lookup look retrieve browse web internet 搜索 查找",
    "population": "inhabitants people 人口",
}

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
HAN = "\u4e00-\u9fff"
_HAN = re.compile(f"[{HAN}]")
_LATIN = re.compile("[A-Za-z]+")
_WORD = re.compile(rf"[{HAN}]+|[^\W_{HAN}]+")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=[\"'(\[]?[A-Z0-9\u00c0-\uffff])|(?<=[\u3002\uff01\uff1f])|\n+")


def stem(word: str) -> str:
    """Cut the commonest English endings off a lower-case word."""
    if len(word) > 4 and word.endswith(("ies", "ied")):
        return word[:-3] + "y"
    for ending in ("ing", "ed", "ly", "s"):
        if word.endswith(ending) and len(word) - len(ending) > 2 and not word.endswith(("ss", "us", "is")):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


_CANON = {stem(alias): stem(name) for name, aliases in _SAME.items() for alias in aliases.split()}


def words(text: str) -> list[str]:
    """Split a text into lower-case words, identifiers into their parts."""
    return [word.lower() for word in _WORD.findall(_CAMEL.sub(" ", text))]


def concept(word: str) -> str:
    """Return what a word stands for: its stem, or that of its commoner synonym."""
    stemmed = stem(word)
    return _CANON.get(stemmed, stemmed)


def is_chinese(text: str) -> bool:
    """Whether a text is Chinese rather than in another language with Chinese names in it."""
    return len(_HAN.findall(text)) >= max(len(_LATIN.findall(text)), 1)


def concepts(text: str) -> set[str]:
    """Return the ideas a text is about."""
    return {concept(part) for word in words(text) for part in _parts(word) if part not in STOPWORDS}


def _parts(word: str) -> list[str]:
    """A word; of Chinese, which has no spaces, each two characters that stand together."""
    if len(word) < 3 or not _HAN.match(word):
        return [word]
    return [word[at : at + 2] for at in range(len(word) - 1)]


def sentences(text: str) -> list[str]:
    """Split a text into its sentences and lines."""
    return [part.strip() for part in _SENTENCE_END.split(text) if part and part.strip(" -=*#\t")]


def best_sentences(question: str, sources: Iterable[str], limit: int = 3) -> list[str]:
    """Return the sentences that share most with a question, rare words counting more, in the order of the text."""
    texts = list(dict.fromkeys(sources))
    wanted = concepts(question)
    bags = [concepts(text) for text in texts]
    frequency = Counter(word for bag in bags for word in bag)
    weight = {word: math.log(1 + len(texts) / frequency[word]) for word in frequency}
    scores = [sum(weight[word] for word in sorted(wanted & bag)) / (1 + 0.01 * len(bag)) for bag in bags]
    ranked = sorted(range(len(texts)), key=lambda at: -scores[at])[:limit]
    return [texts[at] for at in sorted(ranked) if scores[at] and scores[at] >= 0.75 * max(scores)]


def shorten(text: str, limit: int = 160) -> str:
    """Put a text on one line and cut it at a word."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[:limit].rsplit(" ", 1)[0] + " …"


def join(items: Sequence[str]) -> str:
    """Write a list the way one says it."""
    return items[0] if len(items) == 1 else ", ".join(items[:-1]) + " and " + items[-1] if items else ""
