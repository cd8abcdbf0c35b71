"""Deciding which tools to call, and with what.

The question is split into clauses; each goes to the tool it shares most ideas with. A clause that fits no tool
continues the one before ("weather in Paris and Berlin"), one that speaks of "the result" waits for it. The plan is
finite and worked off in order, so a tool loop always ends.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .. import search
from ..scripting import ToolCall
from ..text import concept, concepts
from . import arithmetic, values
from .chat import is_error
from .schema import Clues, build, kind_of, resolve, type_of
from .view import Call, Tool

_FITS = 2
_SHORT = 60  # characters of a result that can be the whole of another tool's argument
_SPLIT = re.compile(r"\s*(?:[;.?!]\s+|,?\s+(?:and then|and also|and|then|also|plus)\s+|\n+)", re.IGNORECASE)
_REFERS = re.compile(
    r"\b(?:the|that|this|its)\s+(?:result|answer|sum|product|output|number|value|report)\b|\b(?:it|that|them)\b",
    re.IGNORECASE,
)
_ASKS = re.compile(r"\s*(?:who|what|when|where|which|why|how|is|are|does|did|can)\b", re.IGNORECASE)
_LISTED_KINDS = ("place", "name", "topic", "email", "url")


@dataclass(frozen=True)
class Job:
    """A part of the question and the tool it is for."""

    tool: Tool
    text: str


def fit(tool: Tool, text: str) -> int:
    """Score how well a tool suits a text; below 2 it does not."""
    if re.search(rf"(?<!\w){re.escape(tool.name)}(?!\w)", text, re.IGNORECASE):
        return 20
    said = concepts(text)
    sum_of = values.expression(text)
    if sum_of:
        said |= {concept(operation) for operation in arithmetic.operations(sum_of)} | {concept("calculate")}
    called = concepts(tool.name)
    described = concepts(tool.description) - called
    asked = concepts(" ".join(_parameter_texts(tool))) - called - described
    score = 3 * len(said & called) + len(said & described) + len(said & asked)
    looks_things_up = concept("search") in called and bool(_ASKS.match(text)) and not sum_of
    return max(score, _FITS) if looks_things_up else score


def _parameter_texts(tool: Tool) -> list[str]:
    texts = []
    for name, schema in tool.properties.items():
        options = schema.get("enum")
        texts += [name, str(schema.get("description") or ""), *map(str, options if isinstance(options, list) else [])]
    return texts


def best_tool(tools: Sequence[Tool], text: str) -> Tool | None:
    """Return the tool that suits a text best, or None if none does."""
    scored = [(fit(tool, text), -at, tool) for at, tool in enumerate(tools)]
    score, _, tool = max(scored, key=lambda entry: entry[:2], default=(0, 0, None))
    return tool if score >= _FITS else None


def clauses(text: str) -> list[tuple[int, int]]:
    """Return where the parts of a question are that might be separate jobs, quotations left whole."""
    quoted = values.quoted_spans(text)
    cuts = [
        match.span() for match in _SPLIT.finditer(text) if not any(start < match.start() < end for start, end in quoted)
    ]
    starts = [0, *(end for _, end in cuts)]
    ends = [*(start for start, _ in cuts), len(text)]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if text[start:end].strip()]


def jobs(question: str, tools: Sequence[Tool]) -> list[Job]:
    """Divide a question among the tools."""
    found: list[tuple[Tool, int, int]] = []
    for start, end in clauses(question):
        clause = question[start:end]
        tool = best_tool(tools, clause)
        last, began, ended = found[-1] if found else (None, 0, 0)
        continues = tool is None or (
            last == tool and (_is_mention(tool, clause) or _lacks(tool, question[began:ended]))
        )
        if last is not None and continues:
            found[-1] = (last, began, end)
        elif tool is not None:
            found.append((tool, start if found else 0, end))
    if not found:
        tool = best_tool(tools, question)
        return [Job(tool, question)] if tool else []
    return [Job(tool, question[start:end]) for tool, start, end in found]


def _is_mention(tool: Tool, clause: str) -> bool:
    """Whether a clause merely names the tool ("Use get_weather") and offers nothing to call it with."""
    rest = re.sub(re.escape(tool.name), " ", clause, flags=re.IGNORECASE)
    clues = Clues(rest)
    return not (clues.numbers or clues.quoted or values.names(rest) or values.topic(rest))


def _required(tool: Tool) -> dict[str, Mapping[str, Any]]:
    properties = tool.properties
    return {name: resolve(properties[name], tool.parameters) for name in tool.required if name in properties}


def _kind(name: str, schema: Mapping[str, Any]) -> str:
    return kind_of(name, str(schema.get("description") or ""))


def _number_slots(tool: Tool) -> int:
    return sum(1 for schema in _required(tool).values() if type_of(schema) in ("number", "integer"))


def _lacks(tool: Tool, text: str) -> bool:
    return len(values.numbers(text)) < _number_slots(tool)


def arguments(tool: Tool, text: str, extra: str | None = None) -> dict[str, Any]:
    """Fill a tool's parameters from a text; those of a search are what it finds."""
    if tool.name == search.WEB_SEARCH:
        return search.arguments(text)
    plain = re.sub(rf"(?<!\w){re.escape(tool.name)}(?=\W|$)", " ", text, flags=re.IGNORECASE)
    built = build({"type": "object", **tool.parameters}, Clues(plain, extra, whole=True), root=tool.parameters)
    return built if isinstance(built, dict) else {}


def _expand(job: Job, extra: str | None) -> list[dict[str, Any]]:
    """Return the arguments of each call a job takes: one per place, per name, per set of numbers."""
    required = _required(job.tool)
    texts = [name for name, schema in required.items() if type_of(schema) == "string" and "enum" not in schema]
    once = arguments(job.tool, job.text, extra)
    if len(texts) == 1 and _kind(texts[0], required[texts[0]]) in _LISTED_KINDS:
        name = texts[0]
        options = Clues(job.text).options(_kind(name, required[name]))
        if len(options) > 1 and once.get(name) in options:
            return [{**once, name: option} for option in options]
    slots, given = _number_slots(job.tool), values.numbers(job.text)
    if slots and len(given) > slots and len(given) % slots == 0 and len(required) == slots and extra is None:
        groups = [given[at : at + slots] for at in range(0, len(given), slots)]
        return [arguments(job.tool, " ".join(arithmetic.spell(number) for number in group)) for group in groups]
    return [once]


def _planned(question: str, tools: Sequence[Tool], done: Sequence[Call]) -> list[ToolCall]:
    """Return every call of the plan that can be made by now, those already made included."""
    worked = _by_arithmetic(question, tools)
    if worked:
        return worked
    planned: list[ToolCall] = []
    for at, job in enumerate(jobs(question, tools)):
        extra = None
        if at and _REFERS.search(job.text) and _needs_result(job):
            if len(done) < len(planned):
                break
            extra = done[len(planned) - 1].result
        planned += [ToolCall(job.tool.name, given) for given in _expand(job, extra)]
    return planned


def _needs_result(job: Job) -> bool:
    takes_text = any(
        type_of(schema) == "string" and _kind(name, schema) == "body" for name, schema in _required(job.tool).items()
    )
    return _lacks(job.tool, job.text) or (takes_text and not values.quoted(job.text))


def _by_arithmetic(question: str, tools: Sequence[Tool]) -> list[ToolCall]:
    """Work an expression through with one tool per operation, if there is one for each."""
    steps = arithmetic.steps(values.expression(question) or "")
    calls = []
    for operation, left, right in steps:
        fitting = (tool for tool in tools if concept(operation) in concepts(tool.name) and _number_slots(tool) == 2)
        tool = next(fitting, None)
        if tool is None:
            return []
        slots = [name for name, schema in _required(tool).items() if type_of(schema) in ("number", "integer")]
        calls.append(ToolCall(tool.name, dict(zip(slots, (left, right), strict=True))))
    return calls


def _ready(planned: Sequence[ToolCall], done: Sequence[Call], question: str) -> list[ToolCall]:
    """Leave out what was called already; of an expression, take one step at a time."""
    made = Counter(call.name for call in done)
    ready = []
    for call in planned:
        if made[call.name] > 0:
            made[call.name] -= 1
        else:
            ready.append(call)
    steps = arithmetic.steps(values.expression(question) or "")
    in_steps = len(steps) > 1 and len(planned) == len(steps)
    return ready[:1] if in_steps else ready


def _next_step(question: str, tools: Sequence[Tool], done: Sequence[Call]) -> list[ToolCall]:
    """Return a call for what the question names besides, fed with the last result.

    "The weather in the capital of Norway" has one clause and two steps: the capital comes first.
    """
    if not done or len(done[-1].result) > _SHORT or is_error(done[-1].result):
        return []
    called = {call.name for call in done}
    open_ideas = concepts(question).difference(*(concepts(name) for name in called))
    tool = next((tool for tool in tools if tool.name not in called and concepts(tool.name) & open_ideas), None)
    return [ToolCall(tool.name, arguments(tool, done[-1].result, done[-1].result))] if tool else []


def plan(question: str, tools: Sequence[Tool], done: Sequence[Call], forced: bool = False) -> list[ToolCall]:
    """Choose the calls to make now.

    Args:
        question: What the user asks.
        tools: The tools to choose from.
        done: The calls made since the question.
        forced: Whether some tool must be called; then rather one that has not answered yet.

    Returns:
        The calls; empty if it is time to answer.
    """
    ready = _ready(_planned(question, tools, done), done, question) or _next_step(question, tools, done)
    if ready or not forced or not tools:
        return ready
    called = {call.name for call in done}
    left = [tool for tool in tools if tool.name not in called] or tools
    tool = max(enumerate(left), key=lambda entry: (fit(entry[1], question), -entry[0]))[1]
    return [ToolCall(tool.name, arguments(tool, question))]
