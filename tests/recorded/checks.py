"""What must hold of the cassettes as files; each check gives what it found, and nothing where all is well."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

from tests.recorded.scenario import Endpoint, Scenario
from tests.recorded.tape import Exchange, canonical, read_file

Scenarios = Mapping[str, Scenario | Endpoint]

HOSTS = {
    "emulator": ("127.0.0.1",),
    "emulator (scripted)": ("127.0.0.1",),
    "live": ("api.moonshot.ai", "api.moonshot.cn"),
}
"""The hosts of each kind of source. What a proxy or another host's model says is nobody's recording of Moonshot."""

_SECRETS = {
    "an API key": re.compile(r"\b(?:sk|ak)-(?!MASKED\b)\w"),
    "a bearer token": re.compile(r"\bbearer\b", re.I),
    "an authorization header": re.compile(r"\bauthorization\b", re.I),
    "a cookie": re.compile(r"\bcookie\b", re.I),
    "an account's id": re.compile(r"\b(?:org|proj)-[0-9a-f]{8,}|\bmsh-(?:uid|org-id|project-id|gid)\b", re.I),
}
# Read at import: the tests themselves run without anybody's keys.
_KEYS = tuple(
    value for name, value in os.environ.items() if len(value) >= 8 and re.search(r"(API_KEY|TOKEN|SECRET)$", name, re.I)
)


def expected_files(scenarios: Scenarios) -> set[str]:
    return {f"{name}/{mode}.yaml" for name, scenario in scenarios.items() for mode in scenario.modes}


def find_orphans(folder: Path, scenarios: Scenarios) -> list[str]:
    """Files that no scenario asks for."""
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return sorted(found - expected_files(scenarios))


def find_missing(folder: Path, scenarios: Scenarios) -> list[str]:
    """Cassettes that were never recorded."""
    return sorted(name for name in expected_files(scenarios) if not (folder / name).is_file())


def find_stale(folder: Path, scenarios: Scenarios) -> list[str]:
    """Cassettes whose requests are not those that the scenario asks for now."""
    return [
        f"{name}: {reason}"
        for name, scenario, mode, exchanges in _read(folder, scenarios)
        if (reason := explain_stale(scenario, mode, exchanges))
    ]


def explain_stale(scenario: Scenario | Endpoint, mode: str, exchanges: list[Exchange]) -> str | None:
    """How recorded requests differ from the golden ones; None if they don't."""
    recorded = [{**exchange["request"]} for exchange in exchanges]
    for request in recorded:
        request.pop("headers", None)
    golden = scenario.requests(mode, exchanges)
    for position, (sent, wanted) in enumerate(zip(recorded, golden, strict=False)):
        if found := _difference(sent, wanted, f"request {position}"):
            return found
    return None if len(recorded) == len(golden) else f"{len(recorded)} requests, not {len(golden)}"


def _difference(sent: Any, wanted: Any, where: str) -> str | None:
    """The first place in which two values differ."""
    if isinstance(sent, dict) and isinstance(wanted, dict) and set(sent) == set(wanted):
        keys: Iterable[Any] = sent
    elif isinstance(sent, list) and isinstance(wanted, list) and len(sent) == len(wanted):
        keys = range(len(sent))
    elif canonical(sent) == canonical(wanted):
        return None
    else:
        return f"{where} is recorded as {sent!r}, the scenario has {wanted!r}"
    return next((found for key in keys if (found := _difference(sent[key], wanted[key], f"{where}.{key}"))), None)


def find_unsourced(folder: Path, scenarios: Scenarios) -> list[str]:
    """Cassettes that don't say where they are from, or say it of an answer that the API cannot be made to give."""
    found = []
    for name in sorted(expected_files(scenarios) - set(find_missing(folder, scenarios))):
        source, _ = read_file(folder / name)
        if reason := explain_source(scenarios[name.partition("/")[0]], source):
            found.append(f"{name}: {reason}")
    return found


def explain_source(scenario: Scenario | Endpoint, source: str) -> str | None:
    """What is wrong with the line that says where a cassette is from; None if nothing is."""
    kind, _, rest = source.partition(", ")
    day, _, host = rest.partition(", ")
    if kind not in HOSTS:
        return f"{source!r} is neither of {', '.join(HOSTS)}"
    if host not in HOSTS[kind]:
        return f"{source!r}: {host!r} is none of the hosts of {kind}: {', '.join(HOSTS[kind])}"
    try:
        # Python 3.11 and later read "20261120" and "2026-W47-5" too.
        future = date.fromisoformat(day) > datetime.now(timezone.utc).date() or len(day) != 10 or "W" in day
    except ValueError:
        return f"{source!r}: {day!r} is no date"
    if future:
        return f"{source!r}: {day!r} is no day up to today, written as 2026-11-20"
    if kind == "live" and scenario.emulator_only:
        return f"{source!r}: only the emulator can be made to say this"
    if (kind == "emulator (scripted)") != bool(scenario.script) and kind != "live":
        return f"{source!r}: what is scripted says so, and nothing else does"
    return None


def explain_limit(scenario: Scenario | Endpoint, exchanges: Iterable[Exchange]) -> str | None:
    """Which request met a rate limit where the emulator was not told to have one; None if none did."""
    limited = [position for position, exchange in enumerate(exchanges) if exchange["response"]["status"] == 429]
    return f"request {limited[0]} met a rate limit" if limited and not scenario.script else None


def find_secrets(texts: Iterable[tuple[str, str]], keys: Iterable[str] = _KEYS) -> list[str]:
    """What may not be published.

    Args:
        texts: Names of files, with what is in them.
        keys: Keys that are known.
    """
    return [
        f"{name}: {kind}"
        for name, text in texts
        for kind in [
            *(kind for kind, pattern in _SECRETS.items() if pattern.search(text)),
            *("a key of the environment" for key in keys if key in text),
        ]
    ]


def texts_of(folder: Path) -> list[tuple[str, str]]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def _read(folder: Path, scenarios: Scenarios) -> Iterator[tuple[str, Scenario | Endpoint, str, list[Exchange]]]:
    for name, scenario in scenarios.items():
        for mode in scenario.modes:
            path = folder / name / f"{mode}.yaml"
            if path.is_file():
                yield f"{name}/{mode}.yaml", scenario, mode, read_file(path)[1]
