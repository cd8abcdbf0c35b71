"""Record every cassette anew: `python -m tests.record [scenario ...]`.

From the real API where MOONSHOT_API_KEY (or KIMI_API_KEY) is set, otherwise from the emulator; answers that the API
cannot be made to give are always the emulator's. Each file says where it is from. A recording that holds a secret, or
whose requests are not the golden ones, or that is not heard as the scenario expects when it is played, is not written;
what was there stays.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from kimi_emulator import KimiEmulator
from kimi_wire import KimiMissingKeyError
from kimi_wire.transport.connection import resolve_api_key, resolve_base_url
from tests.recorded import checks
from tests.recorded.scenario import KEY, Endpoint, Scenario
from tests.recorded.scenarios import SCENARIOS
from tests.recorded.tape import FOLDER, Exchange, canonical, read_file, recording, write_file
from tests.recorded.ways import check_cassette, play, ways_of

PAUSE = 25.0
"""Seconds to wait after a rate limit: the lowest tier has three requests a minute."""

ATTEMPTS = 5


def record(scenario: Scenario | Endpoint, mode: str, base_url: str, key: str) -> list[Exchange]:
    """Go through a scenario in its first way, and give what was said."""
    # Nothing compressed: what cannot be read cannot be reviewed.
    client = {} if isinstance(scenario, Endpoint) else {"default_headers": {"Accept-Encoding": "identity"}}
    with recording() as exchanges:
        asyncio.run(play(scenario, mode, ways_of(scenario, mode)[0], base_url, key, **client))
    return exchanges


def record_from_emulator(scenario: Scenario | Endpoint, mode: str) -> tuple[str, list[Exchange]]:
    with KimiEmulator(keys=[KEY]) as kimi:
        kimi.script(*scenario.script)
        exchanges = record(scenario, mode, kimi.base_url, KEY)
        return ("emulator (scripted)" if scenario.script else "emulator") + ", {day}, 127.0.0.1", exchanges


def record_live(
    scenario: Scenario | Endpoint, mode: str, base_url: str, key: str, pause: float = PAUSE
) -> tuple[str, list[Exchange]]:
    """Go through a scenario, and again from its start after a rate limit, wherever in it that was."""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(pause)
        exchanges = record(scenario, mode, base_url, key)
        if all(exchange["response"]["status"] != 429 for exchange in exchanges):
            break
    # After the last attempt it may still be the limit: that is `keep`'s to refuse, as any other error.
    return f"live, {{day}}, {urlsplit(base_url).hostname}", exchanges


def keep(folder: Path, name: str, scenario: Scenario | Endpoint, mode: str, source: str, said: list[Exchange]) -> str:
    """Write a recording if it may be written and differs from the one that is there.

    Returns:
        What was done, in a word or two.

    Raises:
        ValueError: The recording may not be written.
    """
    path = folder / name / f"{mode}.yaml"
    dated = source.format(day=datetime.now(timezone.utc).date())
    problems = [
        *checks.find_secrets([(f"{name}/{mode}", yaml.safe_dump(said, allow_unicode=True))]),
        checks.explain_source(scenario, dated),
        checks.explain_limit(scenario, said),
        explain_misheard(scenario, mode, said) if said else "nothing was said",
        _explain_stale(scenario, mode, said),
    ]
    if any(problems):
        raise ValueError("; ".join(filter(None, problems)))
    if path.is_file():
        old_source, old = read_file(path)
        kind, _, rest = old_source.partition(", ")
        if canonical(old) == canonical(said) and f"{kind}, {{day}}, {rest.partition(', ')[2]}" == source:
            return "as before"
    write_file(path, dated, said)
    return "written"


def explain_misheard(scenario: Scenario | Endpoint, mode: str, said: list[Exchange]) -> str | None:
    """Play a recording as the tests would, in its first way: what is not as it must be; None if nothing is."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{mode}.yaml"
        write_file(path, "not kept", said)
        try:
            asyncio.run(check_cassette(scenario, mode, ways_of(scenario, mode)[0], path))
        except Exception as error:  # an answer of another form than the API's fails anywhere on its way
            line = traceback.extract_tb(error.__traceback__)[-1].line
            return f"it is not heard as it must be: {error!r} ({line})"
    return None


def _explain_stale(scenario: Scenario | Endpoint, mode: str, said: list[Exchange]) -> str | None:
    try:
        return checks.explain_stale(scenario, mode, said)
    except (LookupError, TypeError) as error:  # later requests follow from earlier answers
        return f"no request follows from what was answered: {error!r}"


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
        if urlsplit(base_url).hostname not in checks.HOSTS["live"]:
            parser.error(f"{base_url} is not Moonshot's: set MOONSHOT_BASE_URL to its API, or no key for the emulator")
        print(f"Recording from {base_url}; scripted faults and retired models from the emulator.")
    except KimiMissingKeyError:
        key, base_url = "", ""
        print("No MOONSHOT_API_KEY: recording from the emulator.")
    failed = 0
    for name in names:
        scenario = SCENARIOS[name]
        live = bool(key) and not scenario.emulator_only
        for mode in scenario.modes:
            try:
                how = record_live(scenario, mode, base_url, key) if live else record_from_emulator(scenario, mode)
                done = keep(folder, name, scenario, mode, *how)
            except ValueError as error:
                done, failed = f"NOT WRITTEN: {error}", failed + 1
            print(f"{name}/{mode}: {done} ({'live' if live else 'emulator'})")
    if names == list(SCENARIOS):
        for orphan in checks.find_orphans(folder, SCENARIOS):
            (folder / orphan).unlink()
            print(f"{orphan}: deleted, no scenario asks for it")
    print("Now run the tests, and read what `git diff` shows." if not failed else f"{failed} not written.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
