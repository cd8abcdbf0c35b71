"""Record every cassette anew: `python -m tests.record [scenario ...]`.

From the real API where MOONSHOT_API_KEY (or KIMI_API_KEY) is set, otherwise from the emulator; answers that the API
cannot be made to give are always the emulator's. Each file says where it is from. A recording that holds a secret, or
whose requests are not the golden ones, is not written.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from kimi_emulator import KimiEmulator
from kimi_wire import KimiMissingKeyError
from kimi_wire.connection import resolve_api_key, resolve_base_url
from tests.recorded import checks
from tests.recorded.scenario import KEY, Endpoint, Scenario
from tests.recorded.scenarios import SCENARIOS
from tests.recorded.tape import FOLDER, Exchange, read_file, recording, write_file
from tests.recorded.ways import play, ways_of

PAUSE = 25.0
"""Seconds to wait after a rate limit: the lowest tier has three requests a minute."""

ATTEMPTS = 5


def record(scenario: Scenario | Endpoint, mode: str, base_url: str, key: str) -> list[Exchange]:
    """Go through a scenario in its first way, and give what was said."""
    # Nothing compressed: what cannot be read cannot be reviewed.
    client = {} if isinstance(scenario, Endpoint) else {"default_headers": {"Accept-Encoding": "identity"}}
    with recording() as exchanges:
        asyncio.run(play(scenario, mode, ways_of(scenario)[0], base_url, key, **client))
    return exchanges


def record_from_emulator(scenario: Scenario | Endpoint, mode: str) -> tuple[str, list[Exchange]]:
    with KimiEmulator(keys=[KEY]) as kimi:
        kimi.script(*scenario.script)
        exchanges = record(scenario, mode, kimi.base_url, KEY)
        return ("emulator (scripted)" if scenario.script else "emulator") + ", {day}, 127.0.0.1", exchanges


def record_live(
    scenario: Scenario | Endpoint, mode: str, base_url: str, key: str, pause: float = PAUSE
) -> tuple[str, list[Exchange]]:
    for _ in range(ATTEMPTS):
        exchanges = record(scenario, mode, base_url, key)
        if all(exchange["response"]["status"] != 429 for exchange in exchanges):
            break
        time.sleep(pause)
    return f"live, {{day}}, {urlsplit(base_url).hostname}", exchanges


def keep(folder: Path, name: str, scenario: Scenario | Endpoint, mode: str, source: str, said: list[Exchange]) -> str:
    """Write a recording if it may be written and differs from the one that is there.

    Returns:
        What was done, in a word or two.

    Raises:
        ValueError: The recording may not be written.
    """
    path = folder / name / f"{mode}.yaml"
    text = yaml.safe_dump(said, allow_unicode=True)
    problems = checks.find_secrets([(f"{name}/{mode}", text)])
    stale = checks.explain_stale(scenario, mode, said)
    if problems or stale or not said:
        raise ValueError("; ".join([*problems, *([stale] if stale else []), *([] if said else ["nothing was said"])]))
    if path.is_file():
        old_source, old = read_file(path)
        kind, _, rest = old_source.partition(", ")
        if old == said and f"{kind}, {{day}}, {rest.partition(', ')[2]}" == source:
            return "as before"
    write_file(path, source.format(day=datetime.now(timezone.utc).date()), said)
    return "written"


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Record, and say what was done.

    Returns:
        0 if every cassette is as it should be.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.record", description="Record every cassette anew.")
    parser.add_argument("scenario", nargs="*", help="only these; default: all, and orphans are deleted")
    names = parser.parse_args(arguments).scenario or list(SCENARIOS)
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    try:
        key, base_url = resolve_api_key(None), resolve_base_url(None)
        print(f"Recording from {base_url}; scripted faults and retired models from the emulator.")
    except KimiMissingKeyError:
        key, base_url = "", ""
        print("No MOONSHOT_API_KEY: recording from the emulator.")
    failed = 0
    for name in names:
        scenario = SCENARIOS[name]
        for mode in scenario.modes:
            live = key and not scenario.emulator_only
            source, said = record_live(scenario, mode, base_url, key) if live else record_from_emulator(scenario, mode)
            try:
                done = keep(folder, name, scenario, mode, source, said)
            except ValueError as error:
                done, failed = f"NOT WRITTEN: {error}", failed + 1
            print(f"{name}/{mode}: {done} ({source.partition(', ')[0]})")
    if names == list(SCENARIOS):
        for orphan in checks.find_orphans(folder, SCENARIOS):
            (folder / orphan).unlink()
            print(f"{orphan}: deleted, no scenario asks for it")
    print("Now run the tests, and read what `git diff` shows." if not failed else f"{failed} not written.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
