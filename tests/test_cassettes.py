"""Every recorded scenario, played offline through every way: the golden body goes out, and what was said is heard."""

from __future__ import annotations

import pytest

from tests.recorded import checks
from tests.recorded.scenarios import SCENARIOS
from tests.recorded.tape import FOLDER
from tests.recorded.ways import check_cassette, ways_of

PLAYED = [
    (name, mode, way)
    for name, scenario in SCENARIOS.items()
    for mode in scenario.modes
    for way in ways_of(scenario, mode)
]


@pytest.mark.parametrize(("name", "mode", "way"), PLAYED)
async def test_a_scenario_is_heard_as_it_was_said(name: str, mode: str, way: str) -> None:
    await check_cassette(SCENARIOS[name], mode, way, FOLDER / name / f"{mode}.yaml")


@pytest.mark.parametrize(
    "check",
    [checks.find_orphans, checks.find_missing, checks.find_stale, checks.find_unsourced],
    ids=lambda it: it.__name__,
)
def test_cassettes_are_those_of_the_scenarios(check: object) -> None:
    assert check(FOLDER, SCENARIOS) == []  # type: ignore[operator]


def test_cassettes_hold_no_secret() -> None:
    assert checks.find_secrets(checks.texts_of(FOLDER)) == []
