"""Measure the adapters against the openai SDK, and against other adapters where those are installed."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import SIZES, SLOW_ROUNDS, Case, make_cases
from benchmarks.contestants import BASELINE, CONTESTANTS, Contestant
from benchmarks.report import (
    Result,
    render_readme,
    render_report,
    replace_between_markers,
    summarise,
    with_ratios,
)
from benchmarks.server import running_server
from benchmarks.startup import STARTUP_ROWS, list_framework_modules, measure_startup
from benchmarks.worker import CLOCKS, Worker

LIBRARIES = ("openai", "httpx2", "httpx", "pydantic", "langchain-core", "llama-index-core")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds: a first impression")
    parser.add_argument("--sizes", choices=sorted(SIZES), help="how much is asked for; default: full")
    parser.add_argument("--only", action="append", metavar="CASE", help="cases whose names begin so; may be repeated")
    parser.add_argument("--rounds", type=int, help="how often everything is measured; default: 15")
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall",
                        help="wall: time that passes; cpu: the client's own, for a busy machine")  # fmt: skip
    parser.add_argument("--ours", action="store_true", help="leave out the other adapters")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there; default: benchmarks.json")
    parser.add_argument("--readme", type=Path, nargs="?", const=Path("README.md"), metavar="FILE",
                        help="also write the small table between the markers of this file")  # fmt: skip
    options = parser.parse_args(arguments)
    sizes = options.sizes or ("quick" if options.quick else "full")
    rounds = options.rounds or (2 if options.quick else 15)
    wanted = tuple(options.only or ("",))
    cases = [case for case in make_cases(SIZES[sizes]) if case.name.startswith(wanted)]
    startup = [name for name in STARTUP_ROWS if name.startswith(wanted)]
    if not cases and not startup:
        names = [case.name for case in make_cases(SIZES[sizes])] + list(STARTUP_ROWS)
        parser.error(f"no case begins with {' or '.join(wanted)}; there are {', '.join(names)}")
    asked = [one for one in CONTESTANTS if one.ours or one.name == BASELINE or not options.ours]
    contestants = [one for one in asked if one.installed]
    missing = [one.distribution for one in asked if not one.installed]

    with running_server() as url:
        results = with_ratios(
            [
                *_measure_cases(cases, contestants, url, sizes, rounds, options.clock),
                *(_measure_startup(startup, contestants, url, rounds, options.clock) if startup else ()),
            ]
        )
    machine = describe_machine(contestants, options.clock)
    line = ", ".join(f"{name} {value}" if name != "date" else str(value) for name, value in machine.items())
    print(render_report(results, f"{line}; {rounds} rounds, {sizes} sizes.", missing))
    summary = {**summarise(results, machine, missing), "rounds": rounds, "sizes": sizes}
    (options.json or Path("benchmarks.json")).write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    if options.readme:
        text = options.readme.read_text(encoding="utf-8")
        table = render_readme(results, f"{line}.")
        options.readme.write_text(replace_between_markers(text, table), encoding="utf-8")
    return 0


def _measure_cases(
    cases: Sequence[Case], contestants: Sequence[Contestant], url: str, sizes: str, rounds: int, clock: str
) -> list[Result]:
    """Measure all cases round by round, and in each the contestants one after the other."""
    values: dict[tuple[str, str], list[float]] = {}
    with contextlib.ExitStack() as stack:
        workers = [Worker(contestant, url, sizes, clock) for contestant in contestants]
        for worker in workers:
            stack.callback(worker.close)
        for number in range(-1, rounds):
            for case in cases:
                if number < 0 and case.measure == "bytes":
                    continue  # tracing every allocation takes minutes
                if case.rounds is not None and number >= case.rounds:
                    continue
                for worker in workers:
                    if worker.contestant.framework in case.frameworks:
                        value = worker.measure(case)
                        if number >= 0:  # the first time is for warming up
                            values.setdefault((case.name, worker.contestant.name), []).append(value)
            _say(f"round {number + 1} of {rounds}")
    return [
        Result(case.name, case.title, name, case.measure, case.unit, tuple(found), (), case.series, case.length)
        for case in cases
        for name in (contestant.name for contestant in contestants)
        if (found := values.get((case.name, name)))
    ]


def _measure_startup(
    names: Sequence[str], contestants: Sequence[Contestant], url: str, rounds: int, clock: str
) -> list[Result]:
    """Start everybody in fresh interpreters, round by round."""
    modules = {contestant.name: list_framework_modules(contestant) for contestant in contestants}
    measured: dict[str, list[dict[str, float]]] = {contestant.name: [] for contestant in contestants}
    rounds = min(rounds, SLOW_ROUNDS)
    for number in range(rounds):
        for contestant in contestants:
            measured[contestant.name].append(measure_startup(contestant, url, modules[contestant.name], clock))
        _say(f"start {number + 1} of {rounds}")
    return [
        Result(name, title, contestant, measure, "start", tuple(found[name] for found in rows))
        for name, (title, measure) in STARTUP_ROWS.items()
        if name in names
        for contestant, rows in measured.items()
    ]


def describe_machine(contestants: Iterable[Contestant], clock: str) -> dict[str, Any]:
    """When and on what this was measured."""
    versions = {contestant.distribution: contestant.version for contestant in contestants if not contestant.ours}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "date": datetime.date.today().isoformat(),
        "Python": platform.python_version(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "clock": clock,
        **versions,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
