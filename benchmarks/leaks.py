"""Does anything grow with the number of calls: sockets, threads, memory? `python -m benchmarks.leaks`.

Each adapter is called in each of its four ways, over and over, on one model object. Asynchronous calls are made ten at
a time in event loops that end after a hundred calls, and every tenth stream is left in its middle. The exit status is 1
if there is more of anything after the last calls than after the first thousand.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr

from benchmarks.server import running_server

_LOOP, _SIDE_BY_SIDE, _LEFT = 100, 10, 10
_BLOCKS_PER_CALL = 0.05
"""Memory blocks a call may leave: caches and tables grow in steps, one object per call would be 1."""
_BLOCKS = 400
"""Memory blocks that come and go with what the garbage collector has just seen."""
_MEBIBYTES = 8.0
"""Growth of the whole process that still is the allocator's."""


@dataclass(frozen=True)
class Counts:
    """What there is after so many calls.

    Attributes:
        calls: The calls so far.
        sockets: Open sockets.
        threads: Living threads.
        blocks: Memory blocks that Python's allocator has given out.
        resident: Memory of the process in MiB.
    """

    calls: int
    sockets: int
    threads: int
    blocks: int
    resident: float

    @classmethod
    def now(cls, calls: int) -> Counts:
        """Count, garbage collected."""
        gc.collect()
        gc.collect()
        links = []
        for descriptor in os.listdir("/proc/self/fd"):
            try:
                links.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            except FileNotFoundError:  # the folder's own
                continue
        sockets = sum(link.startswith("socket:") for link in links)
        with open("/proc/self/statm") as file:
            resident = int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        return cls(calls, sockets, threading.active_count(), sys.getallocatedblocks(), resident)

    def growth_over(self, first: Counts) -> list[str]:
        """What there is more of than there was."""
        calls = max(self.calls - first.calls, 1)
        grown = {
            "sockets": self.sockets > first.sockets,
            "threads": self.threads > first.threads,
            "blocks": self.blocks - first.blocks > max(_BLOCKS_PER_CALL * calls, _BLOCKS),
            "resident": self.resident - first.resident > _MEBIBYTES,
        }
        return [name for name, is_more in grown.items() if is_more]


def langchain_ways(root: str) -> dict[str, Callable[[int], Any]]:
    """A call of `ChatKimi` in each way; the number says which one it is."""
    from langchain_kimi import ChatKimi

    whole, pieces = (ChatKimi(api_key=SecretStr("sk-x"), base_url=f"{root}/{name}") for name in ("answer", "text-20-5"))
    return {
        "invoke": lambda number: whole.invoke("Hi"),
        "stream": lambda number: _read(pieces.stream("Hi"), number),
        "ainvoke": lambda number: whole.ainvoke("Hi"),
        "astream": lambda number: _aread(pieces.astream("Hi"), number),
    }


def llama_index_ways(root: str) -> dict[str, Callable[[int], Any]]:
    """A call of `Kimi` in each way."""
    from llama_index.core.llms import ChatMessage

    from llama_index_kimi import Kimi

    messages = [ChatMessage("Hi")]
    whole, pieces = (Kimi(api_key=SecretStr("sk-x"), api_base=f"{root}/{name}") for name in ("answer", "text-20-5"))

    async def astream(number: int) -> None:
        await _aread(await pieces.astream_chat(messages), number)

    return {
        "chat": lambda number: whole.chat(messages),
        "stream_chat": lambda number: _read(pieces.stream_chat(messages), number),
        "achat": lambda number: whole.achat(messages),
        "astream_chat": astream,
    }


def _read(stream: Any, number: int) -> None:
    for _ in stream:
        if number % _LEFT == 0:
            return


async def _aread(stream: Any, number: int) -> None:
    async for _ in stream:
        if number % _LEFT == 0:
            return


def make_calls(call: Callable[[int], Any], numbers: range, *, asynchronous: bool) -> None:
    """Make the calls of these numbers."""
    if not asynchronous:
        for number in numbers:
            call(number)
        return

    async def some(part: range) -> None:
        for start in range(part.start, part.stop, _SIDE_BY_SIDE):
            await asyncio.gather(*(call(number) for number in range(start, min(start + _SIDE_BY_SIDE, part.stop))))

    for start in range(numbers.start, numbers.stop, _LOOP):
        asyncio.run(some(range(start, min(start + _LOOP, numbers.stop))))


def watch(call: Callable[[int], Any], stops: list[int], *, asynchronous: bool) -> Iterator[Counts]:
    """Make calls, and count after each of these numbers of them."""
    done = 0
    for stop in stops:
        make_calls(call, range(done, stop), asynchronous=asynchronous)
        done = stop
        yield Counts.now(done)


def main() -> int:
    """Measure, print a table, and say by the exit status whether anything grew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, nargs="+", default=[1000, 4000, 10000], help="when to count")
    stops = sorted(parser.parse_args().calls)
    failed = False
    print(f"{'adapter':12} {'way':13} {'calls':>6} {'sockets':>8} {'threads':>8} {'blocks':>8} {'MiB':>7}")
    with running_server() as root:
        for adapter, make_ways in (("langchain", langchain_ways), ("llama-index", llama_index_ways)):
            for way, call in make_ways(root).items():
                counted = []
                for counts in watch(call, stops, asynchronous=way.startswith("a")):
                    counted.append(counts)
                    print(
                        f"{adapter:12} {way:13} {counts.calls:6} {counts.sockets:8} {counts.threads:8} "
                        f"{counts.blocks:8} {counts.resident:7.1f}",
                        flush=True,
                    )
                grown = counted[-1].growth_over(counted[0])
                failed = failed or bool(grown)
                if grown:
                    print(f"{adapter:12} {way:13} grows: {', '.join(grown)}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
