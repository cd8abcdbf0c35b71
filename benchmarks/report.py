"""What was measured, as medians, ratios and tables. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.cases import SLOW_ROUNDS
from benchmarks.contestants import BASELINE

MARKERS = ("<!-- benchmarks -->", "<!-- /benchmarks -->")
"""What the README's table stands between."""

README_CASES = ("invoke", "stream", "astream", "stream-sum", "tool-deltas", "history", "concurrent", "concurrent-httpx")

NOTES = (
    "Ratios are to the openai SDK's typed `chat.completions.create` in the same round, as the median of the rounds "
    f"with the smallest and the largest. Growing streams and starts take part in {SLOW_ROUNDS} rounds at most, the "
    "measurements of memory in one.",
    "The server is on loopback and sends everything at once: no waiting for a model is in these numbers.",
    "Nobody is attached: no tracing, no callback handlers. An event handler of LlamaIndex gets an event for every "
    "chunk that holds the conversation, which core makes and checks: its cost grows with the history.",
    "langchain-core keeps all chunks of a stream for its callbacks, whoever else does: the memory of a stream, and "
    "what the garbage collector adds to long ones, are its own.",
    "Adding LangChain chunks to one another is langchain-core's: each `+` copies the text so far, and reads all of a "
    "tool call's arguments so far (`parse_partial_json`), which makes the sum of a streamed argument quadratic in "
    "every adapter. What langchain-core itself adds up at the end of a stream, it adds up at once.",
    "Each response of a LlamaIndex stream holds everything so far, which core's interface asks for: kept, they take "
    "memory quadratic in its length, and the copying shows in the time from about 1 MB on.",
    "At many calls at a time, half of the time is the connection pool of httpx. The SDK is measured over httpx, its "
    "default; the adapters over aiohttp where that extra is installed, and over httpx as well.",
    "The SDK makes its HTTP client when it is constructed, the adapters with the first call: compare the sums.",
    "ChatOpenAI, ChatDeepSeek, OpenAILike and DeepSeek send the long conversation without its thinking, which is a "
    "third of its bytes.",
)


@dataclass(frozen=True)
class Result:
    """What one contestant did in one case.

    Attributes:
        case: The name.
        title: What tables call it.
        contestant: Whose.
        measure: `seconds`, `bytes` or `count`.
        unit: What one value is of.
        values: One per round.
        ratios: To the baseline's of the same round; empty where that does not take part.
        series: The series of growing cases.
        length: Its length within them.
    """

    case: str
    title: str
    contestant: str
    measure: str
    unit: str
    values: tuple[float, ...]
    ratios: tuple[float, ...] = ()
    series: str | None = None
    length: int = 0

    def dump(self) -> dict[str, Any]:
        """As JSON, with the medians."""
        return {
            **asdict(self),
            "median": statistics.median(self.values),
            "ratio": statistics.median(self.ratios) if self.ratios else None,
        }


def with_ratios(results: Iterable[Result]) -> list[Result]:
    """Compare everybody with the baseline, round by round."""
    results = list(results)
    base = {result.case: result.values for result in results if result.contestant == BASELINE}
    return [replace(result, ratios=_divide(result.values, base.get(result.case, ()))) for result in results]


def _divide(values: Sequence[float], others: Sequence[float]) -> tuple[float, ...]:
    return tuple(value / other for value, other in zip(values, others, strict=False) if other)


def growth_exponents(results: Iterable[Result]) -> dict[str, dict[str, float]]:
    """By series and contestant, the power of the length that the time of the last doubling grows with: 1 is linear."""
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for result in results:
        if result.series:
            point = (math.log(result.length), math.log(statistics.median(result.values)))
            points.setdefault((result.series, result.contestant), []).append(point)
    found: dict[str, dict[str, float]] = {}
    for (series, contestant), pairs in points.items():
        if len(pairs) > 1:
            (length, time), (longer, later) = sorted(pairs)[-2:]
            found.setdefault(series, {})[contestant] = (later - time) / (longer - length)
    return found


def render_report(results: Sequence[Result], machine: str, missing: Sequence[str]) -> str:
    """All tables, in Markdown."""
    timed = [result for result in results if result.measure == "seconds" and not result.series and result.ratios]
    timed = [result for result in timed if result.unit != "start"]
    absolute = [result for result in results if not result.series and result not in timed]
    parts = [machine]
    if missing:
        parts.append(f"Left out, since not installed: {', '.join(missing)}.")
    parts += _section("Times the openai SDK", ratio_table(timed))
    parts += _section("Start and memory", _absolute_table(absolute))
    parts += _section("Growth", _growth_table([result for result in results if result.series]))
    parts += ["## Notes", "\n".join(f"- {note}" for note in NOTES)]
    return "\n\n".join(parts) + "\n"


def _section(title: str, table: str) -> list[str]:
    return [f"## {title}", table] if table else []


def ratio_table(results: Sequence[Result], *, spread: bool = True) -> str:
    """Cases by contestants; the baseline in seconds, all others as ratios to it."""

    def cell(result: Result) -> str:
        if result.contestant == BASELINE:
            return f"{_quantity(statistics.median(result.values), 'seconds')} / {result.unit}"
        ratio = _number(statistics.median(result.ratios))
        return f"{ratio} ({_number(min(result.ratios))} to {_number(max(result.ratios))})" if spread else ratio

    return _table(results, cell)


def _absolute_table(results: Sequence[Result]) -> str:
    def cell(result: Result) -> str:
        ratio = f", ratio {_number(statistics.median(result.ratios))}" if result.ratios else ""
        return _spread(result) + (ratio if result.contestant != BASELINE else "")

    return _table(results, cell)


def _spread(result: Result) -> str:
    low, high = (_quantity(pick(result.values), result.measure) for pick in (min, max))
    middle = _quantity(statistics.median(result.values), result.measure)
    return middle if low == high else f"{middle} ({low} to {high})"


def _growth_table(results: Sequence[Result]) -> str:
    exponents = growth_exponents(results)
    by_row: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        by_row.setdefault((result.series or "", result.contestant), []).append(result)
    rows = []
    for (series, contestant), found in by_row.items():
        times = ", ".join(f"{result.length}: {_spread(result)}" for result in found)
        ratios = ", ".join(_number(statistics.median(result.ratios)) for result in found if result.ratios)
        exponent = exponents.get(series, {}).get(contestant)
        rows.append([series, contestant, times, ratios, "" if exponent is None else f"{exponent:.2f}"])
    head = ["series", "contestant", "number of chunks: time", "ratios", "exponent of the last doubling"]
    return _render_table(head, rows) if rows else ""


def _table(results: Sequence[Result], cell: Any) -> str:
    if not results:
        return ""
    contestants = list(dict.fromkeys(result.contestant for result in results))
    titles = {result.case: result.title for result in results}
    cells = {(result.case, result.contestant): cell(result) for result in results}
    rows = [[title, *(cells.get((case, name), "") for name in contestants)] for case, title in titles.items()]
    return _render_table(["", *contestants], rows)


def _render_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _quantity(value: float, measure: str) -> str:
    if measure == "count":
        return f"{value:.0f}"
    if measure == "bytes":
        return f"{value / 1e6:.1f} MB"
    for size, unit in ((1.0, "s"), (1e-3, "ms")):
        if value >= size:
            return f"{_number(value / size)} {unit}"
    return f"{_number(value * 1e6)} us"


def _number(value: float) -> str:
    return f"{value:.3f}" if value < 0.1 else f"{value:.2f}" if value < 10 else f"{value:.0f}"


def render_readme(results: Sequence[Result], machine: str) -> str:
    """The README's small table."""
    chosen = [result for result in results if result.case in README_CASES]
    return f"{ratio_table(chosen, spread=False)}\n\n{machine}"


def replace_between_markers(text: str, content: str, markers: tuple[str, str] = MARKERS) -> str:
    """Put content between the markers of a text.

    Raises:
        ValueError: The markers are not there.
    """
    before, begin, rest = text.partition(markers[0])
    _, end, after = rest.partition(markers[1])
    if not (begin and end):
        raise ValueError(f"There is no {markers[0]} ... {markers[1]} to put the table in.")
    return f"{before}{begin}\n{content}\n{end}{after}"


def summarise(results: Sequence[Result], machine: Mapping[str, Any], missing: Sequence[str]) -> dict[str, Any]:
    """Everything, as JSON."""
    return {
        "machine": machine,
        "missing": list(missing),
        "results": [result.dump() for result in results],
        "growth_exponents": growth_exponents(results),
        "notes": list(NOTES),
    }
