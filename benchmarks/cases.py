"""What is measured, as rows of one table.

A case says which answer the server gives, which method of a driver asks for it, and what the time is divided by. A new
case is a new row; `tests/test_benchmarks.py` runs every row on tiny sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from benchmarks.drivers import describe_tool

FRAMEWORKS = ("openai", "langchain", "llama_index")

SLOW_ROUNDS = 5
"""In how many rounds the slow cases take part: the growing streams, and starts of the interpreter."""


@dataclass(frozen=True)
class Sizes:
    """How much is asked for.

    Attributes:
        seconds: How long one measurement asks again and again: short enough for many rounds on a noisy machine, and
            the same for all, since whoever waited for the others begins with cold caches.
        chunks: Pieces of a stream.
        turns: Tool-call turns of the long conversation; each is two messages.
        chunks_after_turns: Pieces of the stream after it.
        growth: Numbers of pieces of the growing streams.
        growth_characters: Length of each of their pieces.
        sum_growth: Numbers of pieces of the growing tool argument that LangChain sums, which is quadratic.
        concurrent: Asynchronous calls in all.
        at_once: How many of them at a time.
        memory_chunks: Pieces of the stream whose memory is measured.
        tools: Tools whose schemas are normalised.
    """

    seconds: float = 0.2
    chunks: int = 2000
    turns: int = 300
    chunks_after_turns: int = 1000
    growth: tuple[int, ...] = (1000, 2000, 4000, 8000)
    growth_characters: int = 125
    sum_growth: tuple[int, ...] = (50, 100, 200, 400)
    concurrent: int = 500
    at_once: int = 100
    memory_chunks: int = 20_000
    tools: int = 100


SIZES: Mapping[str, Sizes] = {
    "full": Sizes(),
    "quick": Sizes(
        seconds=0.1,
        chunks=1000,
        growth=(500, 1000, 2000),
        sum_growth=(50, 100),
        concurrent=200,
        at_once=50,
        memory_chunks=2000,
    ),
    "tiny": Sizes(0, 3, 2, 3, (3, 6), 20, (3, 6), 4, 2, 10, 2),
}


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        name: What `--only` takes.
        title: What tables call it.
        path: The first segment of the server's path: see `benchmarks.server`.
        ask: The method of `benchmarks.drivers.Driver` that asks.
        unit: What one result is of: `call`, `chunk`, or `run`, all that one ask comes to.
        characters: How many have to come out of one ask.
        turns: Tool-call turns of the conversation.
        units: Units in one ask.
        arguments: Further arguments of the method.
        measure: `seconds`, or the peak of `bytes` that Python allocates.
        frameworks: Whose contestants take part.
        rounds: In how many rounds, at most; None: in all.
        series: The series of growing cases it belongs to.
        length: Its length within them.
    """

    name: str
    title: str
    path: str
    ask: str
    unit: Literal["call", "chunk", "run"]
    characters: int
    turns: int = 0
    units: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)
    measure: Literal["seconds", "bytes"] = "seconds"
    frameworks: tuple[str, ...] = FRAMEWORKS
    rounds: int | None = None
    series: str | None = None
    length: int = 0


ANSWER_CHARACTERS = len("Paris.")
TEXT_SIZE, TOOL_SIZE = 5, 12  # characters of a piece, about a token of text and a few of an argument


def make_cases(sizes: Sizes) -> list[Case]:
    """All rows."""
    text = f"text-{sizes.chunks}-{TEXT_SIZE}"
    text_characters = sizes.chunks * TEXT_SIZE
    tools = [describe_tool(index) for index in range(sizes.tools)]
    crowd = {"calls": sizes.concurrent, "at_once": sizes.at_once}
    crowd_title = f"{sizes.concurrent} async calls, {sizes.at_once} at a time"
    over_aiohttp = "over aiohttp where that is installed"
    crowd_characters = ANSWER_CHARACTERS * sizes.concurrent
    return [
        Case("invoke", "small invoke", "answer", "invoke", "call", ANSWER_CHARACTERS),
        Case("ainvoke", "small ainvoke", "answer", "ainvoke", "call", ANSWER_CHARACTERS),
        Case("stream", "stream", text, "stream", "chunk", text_characters, units=sizes.chunks),
        Case("astream", f"astream, {over_aiohttp}", text, "astream", "chunk", text_characters, units=sizes.chunks),
        Case("events", "stream, as LangChain's events", text, "events", "chunk", text_characters, units=sizes.chunks),
        Case("stream-sum", "stream, summed", text, "stream_sum", "chunk", text_characters, units=sizes.chunks),
        Case(
            "tool-deltas",
            "tool-argument deltas",
            f"tool-{sizes.chunks}-{TOOL_SIZE}",
            "stream",
            "chunk",
            sizes.chunks * TOOL_SIZE,
            units=sizes.chunks,
        ),
        Case(
            "atool-deltas",
            "tool-argument deltas, async",
            f"tool-{sizes.chunks}-{TOOL_SIZE}",
            "astream",
            "chunk",
            sizes.chunks * TOOL_SIZE,
            units=sizes.chunks,
        ),
        Case(
            "history",
            f"request with {sizes.turns} tool-call turns",
            "answer",
            "invoke",
            "call",
            ANSWER_CHARACTERS,
            turns=sizes.turns,
        ),
        Case(
            "history-stream",
            f"stream after {sizes.turns} tool-call turns",
            f"text-{sizes.chunks_after_turns}-{TEXT_SIZE}",
            "stream",
            "chunk",
            sizes.chunks_after_turns * TEXT_SIZE,
            turns=sizes.turns,
            units=sizes.chunks_after_turns,
        ),
        *_growing(sizes),
        Case(
            "concurrent",
            f"{crowd_title}, {over_aiohttp}",
            "answer",
            "concurrent",
            "call",
            crowd_characters,
            units=sizes.concurrent,
            arguments=crowd,
        ),
        Case(
            "concurrent-httpx",
            f"{crowd_title}, over httpx",
            "answer",
            "concurrent_httpx",
            "call",
            crowd_characters,
            units=sizes.concurrent,
            arguments=crowd,
        ),
        Case(
            "concurrent-memory",
            f"{crowd_title}, peak memory",
            "answer",
            "concurrent",
            "run",
            crowd_characters,
            arguments=crowd,
            measure="bytes",
            rounds=1,
        ),
        Case(
            "stream-memory",
            f"stream of {sizes.memory_chunks} chunks, peak memory",
            f"text-{sizes.memory_chunks}-{TEXT_SIZE}",
            "stream",
            "run",
            sizes.memory_chunks * TEXT_SIZE,
            measure="bytes",
            rounds=1,
        ),
        Case(
            "tools",
            f"small invoke with {sizes.tools} tools",
            "answer",
            "invoke_tools",
            "call",
            ANSWER_CHARACTERS,
            arguments={"tools": tools},
        ),
        Case(
            "new-tools",
            f"small invoke with {sizes.tools} new tools, their schemas normalised",
            "answer",
            "invoke_new_tools",
            "call",
            ANSWER_CHARACTERS,
            arguments={"count": sizes.tools},
        ),
    ]


def _growing(sizes: Sizes) -> Iterator[Case]:
    """The same stream in growing lengths."""
    for kind, title in (("text", "text"), ("tool", "tool argument")):
        for ask, how in (("stream", "streamed"), ("stream_sum", "summed")):
            heavy = (kind, ask) == ("tool", "stream_sum")
            for length in sizes.sum_growth if heavy else sizes.growth:
                characters = length * sizes.growth_characters
                yield Case(
                    f"growth-{kind}-{how}-{length}",
                    f"{title} of {characters // 1000} kB, {how}",
                    f"{kind}-{length}-{sizes.growth_characters}",
                    ask,
                    "run",
                    characters,
                    rounds=SLOW_ROUNDS,
                    series=f"{title}, {how}",
                    length=length,
                )
