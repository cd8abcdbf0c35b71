"""Deciding which tools to call, and with what.

The question is split into clauses; each goes to the tool it shares most ideas with. A clause that fits no tool
continues the one before ("weather in Paris and Berlin"). The plan is finite and what was called is not called again,
so a tool loop always ends.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .. import search
from ..scripting import ToolCall
from ..text import concept, concepts
from . import values
from .chat import is_error
from .clues import Clues, kind_of
from .schema import build, resolve, type_of
from .view import Call, Tool

_FITS = 2
_MOST_CLAUSES = 50  # what follows them is one clause
_MOST_DESCRIBED = 2000  # characters of a tool's description
_MOST_CALLS = 20  # of one tool for one clause
_SHORT = 60  # characters of a result that can be the whole of another tool's argument
_SPLIT = re.compile(r"(?<=[;.?!])\s+|,?(?<!\s)\s+(?:and then|and|then)\s+|(?<=[。！？；])|\n+", re.IGNORECASE)
_ASKS = re.compile(r"\s*(?:who|what|when|where|which|why|how|is|are|does|did|can)\b|.*？", re.IGNORECASE)


@functools.lru_cache(maxsize=1024)
def _about(described: str) -> frozenset[str]:
    """The ideas of a clause, a tool's name or its description: each clause is held against each tool."""
    return frozenset(concepts(described))


def named_pattern(name: str) -> re.Pattern[str]:
    """What finds a tool's name in a text."""
    return re.compile(rf"(?<!\w){re.escape(name)}(?!\w)", re.IGNORECASE)


def fit(tool: Tool, text: str) -> int:
    """Score how well a tool suits a text; below 2 it does not."""
    if named_pattern(tool.name).search(text):
        return 20
    said, called = _about(text), _about(tool.name)
    score = 3 * len(said & called) + len(said & _about(tool.description[:_MOST_DESCRIBED]) - called)
    looks_things_up = concept("search") in called and _ASKS.match(text) and not values.sum_in(text)
    return max(score, _FITS) if looks_things_up else score


def _best(tools: Sequence[Tool], text: str) -> Tool:
    return max(tools, key=lambda tool: fit(tool, text))


def jobs(question: str, tools: Sequence[Tool]) -> list[tuple[Tool, str]]:
    """Divide a question among the tools: each with the part that is for it."""
    found: list[tuple[Tool, int, int]] = []
    cuts = itertools.islice(_SPLIT.finditer(question), _MOST_CLAUSES)
    ends = [*(cut.end() for cut in cuts), len(question)]
    for start, end in zip([0, *ends], ends, strict=False):
        clause = question[start:end]
        tool = _best(tools, clause)
        last, begin, _ = found[-1] if found else (None, 0, 0)
        if last and (fit(tool, clause) < _FITS or (tool == last and _is_mention(tool, clause))):
            found[-1] = (last, begin, end)
        elif fit(tool, clause) >= _FITS:
            found.append((tool, start if found else 0, end))
    return [(tool, question[start:end]) for tool, start, end in found]


def _is_mention(tool: Tool, clause: str) -> bool:
    """Whether a clause merely names the tool ("Use get_weather") and offers nothing to call it with."""
    rest = _without_name(tool, clause)
    return not (values.numbers(rest) or values.quoted(rest) or values.names(rest))


def _without_name(tool: Tool, text: str) -> str:
    return named_pattern(tool.name).sub(" ", text)


def arguments(tool: Tool, text: str) -> dict[str, Any]:
    """Fill a tool's parameters from a text; those of a search are what it finds."""
    if tool.name == search.WEB_SEARCH:
        return search.arguments(text)
    built = build({"type": "object", **tool.parameters}, Clues(_without_name(tool, text), whole=True))
    return built if isinstance(built, dict) else {}


def _with_results(tool: Tool, text: str, done: Sequence[Call]) -> str:
    """A job with the last results, where the tool wants a number and the job has none."""
    schemas = [resolve(tool.properties.get(name), tool.parameters) for name in tool.required]
    wants = any(type_of(schema) in ("number", "integer") for schema in schemas)
    if not wants or values.numbers(text):
        return text
    return " ".join([text, *(call.result for call in reversed(done) if len(call.result) <= _SHORT)])


def _calls(tool: Tool, text: str) -> list[ToolCall]:
    """Return the calls a job takes: one for each place or name, if there are several and one parameter for them."""
    once = arguments(tool, text)
    schemas = {name: resolve(tool.properties.get(name), tool.parameters) for name in tool.required}
    texts = [name for name, schema in schemas.items() if type_of(schema) == "string" and "enum" not in schema]
    if len(texts) == 1 and kind_of(texts[0]) in ("place", "name"):
        options = Clues(text).options(texts[0])
        if once.get(texts[0]) in options:
            return [ToolCall(tool.name, {**once, texts[0]: option}) for option in options[:_MOST_CALLS]]
    return [ToolCall(tool.name, once)]


def _next_step(question: str, tools: Sequence[Tool], done: Sequence[Call]) -> list[ToolCall]:
    """Return a call for what the question names besides, fed with the last result.

    "The weather in the capital of Norway" has one clause and two steps: the capital comes first.
    """
    if not done or len(done[-1].result) > _SHORT or is_error(done[-1].result):
        return []
    called = {call.name for call in done}
    open_ideas = concepts(question).difference(*(concepts(name) for name in called))
    tool = next((tool for tool in tools if tool.name not in called and concepts(tool.name) & open_ideas), None)
    return [ToolCall(tool.name, arguments(tool, done[-1].result))] if tool else []


def plan(question: str, tools: Sequence[Tool], done: Sequence[Call], forced: bool = False) -> list[ToolCall]:
    """Choose the calls to make now.

    Args:
        question: What the user asks.
        tools: The tools to choose from; at least one.
        done: The calls made since the question.
        forced: Whether some tool must be called; then rather one that has not answered yet.

    Returns:
        The calls; empty if it is time to answer.
    """
    made = Counter(call.name for call in done)
    ready = []
    told = [(tool, _with_results(tool, part, done)) for tool, part in jobs(question, tools)]
    for call in [call for job in told for call in _calls(*job)]:
        made[call.name] -= 1
        if made[call.name] < 0:
            ready.append(call)
    ready = ready or _next_step(question, tools, done)
    if ready or not forced:
        return ready
    tool = _best([tool for tool in tools if tool.name not in made] or tools, question)
    return [ToolCall(tool.name, arguments(tool, question))]
