"""Every recorded scenario, played offline through every way: the golden body goes out, and what was said is heard."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.recorded import checks
from tests.recorded.scenario import KEY, Endpoint, read_answer
from tests.recorded.scenarios import SCENARIOS
from tests.recorded.tape import FOLDER, playing, read_file
from tests.recorded.ways import check_heard, play, ways_of

NOBODY = "http://127.0.0.1:9/v1"
"""Where requests go that no cassette answers."""

PLAYED = [
    (name, mode, way) for name, scenario in SCENARIOS.items() for mode in scenario.modes for way in ways_of(scenario)
]


def _unverified(way: str) -> dict[str, Any]:
    """A client that loads no certificates, which takes longer than the rest of a test: nothing leaves the machine."""
    if way.endswith("-async"):
        return {"http_async_client": openai.DefaultAsyncHttpxClient(verify=False)}
    return {"http_client": openai.DefaultHttpxClient(verify=False)}


@pytest.mark.parametrize(("name", "mode", "way"), PLAYED)
async def test_a_scenario_is_heard_as_it_was_said(name: str, mode: str, way: str) -> None:
    scenario, path = SCENARIOS[name], FOLDER / name / f"{mode}.yaml"
    with playing(path):
        heard = await play(scenario, mode, way, NOBODY, KEY, **_unverified(way))
    _, exchanges = read_file(path)
    if isinstance(scenario, Endpoint):
        scenario.expect(heard, exchanges)
        return
    responses = [exchange["response"] for exchange in exchanges]
    told = [read_answer(response) for response in responses]
    check_heard(scenario, heard, told, [response["headers"].get("msh-request-id") for response in responses])


@pytest.mark.parametrize(
    "check",
    [checks.find_orphans, checks.find_missing, checks.find_stale, checks.find_unsourced],
    ids=lambda it: it.__name__,
)
def test_cassettes_are_those_of_the_scenarios(check: object) -> None:
    assert check(FOLDER, SCENARIOS) == []  # type: ignore[operator]


def test_cassettes_hold_no_secret() -> None:
    assert checks.find_secrets(checks.texts_of(FOLDER)) == []
