"""What must hold of the cassettes as files; each check gives what it found, and nothing where all is well."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.recorded.scenario import Endpoint, Scenario
from tests.recorded.tape import Exchange, read_file

Scenarios = Mapping[str, Scenario | Endpoint]

SOURCE = re.compile(r"(emulator|emulator \(scripted\)|live), \d{4}-\d\d-\d\d, [\w.:-]+")

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
    else:
        return None if sent == wanted else f"{where} is recorded as {sent!r}, the scenario has {wanted!r}"
    return next((found for key in keys if (found := _difference(sent[key], wanted[key], f"{where}.{key}"))), None)


def find_unsourced(folder: Path, scenarios: Scenarios) -> list[str]:
    """Cassettes that don't say where they are from, or say it of an answer that the API cannot be made to give."""
    found = []
    for name in sorted(expected_files(scenarios) - set(find_missing(folder, scenarios))):
        source, _ = read_file(folder / name)
        scenario = scenarios[name.partition("/")[0]]
        if not SOURCE.fullmatch(source) or bool(scenario.script) != source.startswith("emulator (scripted)"):
            found.append(f"{name}: {source}")
    return found


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
