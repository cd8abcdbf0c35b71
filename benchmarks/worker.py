"""One contestant in a process of its own: takes names of cases from stdin, and writes what it measured to stdout."""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import os
import re
import subprocess
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.cases import SIZES, Case, make_cases
from benchmarks.contestants import Contestant, find_contestant
from benchmarks.drivers import DRIVERS, Driver

CLOCKS: Mapping[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""The time that passes, and the processor time of the client alone, which other processes disturb less."""

_LISTENERS = re.compile(r"LANGCHAIN_|LANGSMITH_|OPENAI_LOG|.*_proxy$", re.IGNORECASE)
"""Names of the environment's variables that attach somebody, or lead elsewhere."""


class Worker:
    """A running worker process.

    Args:
        contestant: Whom it measures.
        url: The server's root.
        sizes: The name of the sizes.
        clock: Which of `CLOCKS`.
    """

    def __init__(self, contestant: Contestant, url: str, sizes: str, clock: str) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", contestant.name, url, sizes, clock]
        quiet = {name: value for name, value in os.environ.items() if not _LISTENERS.match(name)}
        self.contestant = contestant
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet)

    def measure(self, case: Case) -> float:
        """Measure a case once; seconds per unit, or bytes.

        Raises:
            RuntimeError: The contestant failed, or did not give all that the server sent.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(case.name, file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer = json.loads(line) if line else {"error": "the process ended"}
        if "error" in answer:
            raise RuntimeError(f"{self.contestant.name}, {case.name}: {answer['error']}")
        return float(answer["value"])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class _Measuring:
    """What a worker process does.

    Args:
        contestant: Whom it measures.
        url: The server's root.
        clock: Gives the time in seconds.
        seconds: How long one measurement lasts at least.
    """

    def __init__(self, contestant: Contestant, url: str, clock: Callable[[], float], seconds: float) -> None:
        self._contestant, self._url, self._clock, self._seconds = contestant, url, clock, seconds
        self._drivers: dict[str, Driver] = {}
        self._loop = asyncio.new_event_loop()

    def measure(self, case: Case) -> float:
        """Measure a case once."""
        if case.path not in self._drivers:
            self._drivers[case.path] = DRIVERS[self._contestant.framework](self._contestant, f"{self._url}/{case.path}")
        driver = self._drivers[case.path]
        arguments = {"messages": driver.conversation(case.turns), **case.arguments}
        gc.collect()
        if case.measure == "bytes":
            tracemalloc.start()
            self._ask(case, driver, arguments)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return float(peak)
        begun, passed, asks = self._clock(), 0.0, 0
        while not asks or passed < self._seconds:
            self._ask(case, driver, arguments)
            passed, asks = self._clock() - begun, asks + 1
        return passed / asks / case.units

    def close(self) -> None:
        """Close what is open in the event loop, and the loop."""
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def _ask(self, case: Case, driver: Driver, arguments: dict[str, Any]) -> None:
        answer = getattr(driver, case.ask)(**arguments)
        length = self._loop.run_until_complete(answer) if inspect.isawaitable(answer) else answer
        if length < case.characters:
            raise RuntimeError(f"{length} of {case.characters} characters came out")


def main(name: str, url: str, sizes: str, clock: str) -> None:
    """Measure what is asked for on stdin, until that ends."""
    warnings.simplefilter("ignore")  # of contestants, about models that they do not know
    cases = {case.name: case for case in make_cases(SIZES[sizes])}
    measuring = _Measuring(find_contestant(name), url, CLOCKS[clock], SIZES[sizes].seconds)
    for line in sys.stdin:
        try:
            answer: dict[str, Any] = {"value": measuring.measure(cases[line.strip()])}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    measuring.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
