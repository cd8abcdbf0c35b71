"""The fixture that other projects test with."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

USER_TEST = """
import os
import urllib.request

import pytest

from kimi_emulator import Reply


def ask(emulator):
    key = os.environ["MOONSHOT_API_KEY"]
    body = b'{"model": "kimi-k3", "messages": [{"role": "user", "content": "hello"}]}'
    url = os.environ["MOONSHOT_BASE_URL"] + "/chat/completions"
    request = urllib.request.Request(url, body, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(request) as response:
        return response.read().decode()


@pytest.mark.parametrize("turn", [1, 2])
def test_it_answers_what_is_scripted_and_starts_anew(kimi_emulator, turn):
    assert kimi_emulator.requests == []
    kimi_emulator.script(Reply(f"turn {turn}"), Reply("never asked for"))
    assert f"turn {turn}" in ask(kimi_emulator)
    assert len(kimi_emulator.requests) == 1


def test_the_environment_is_as_it_was():
    assert "MOONSHOT_BASE_URL" not in os.environ
"""


@pytest.mark.says(
    "docs/testing.md",
    "gives every test a fixture `kimi_emulator`: an emulator without a history, at which the environment points",
)
@pytest.mark.slow
def test_an_application_is_tested_with_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makeconftest('pytest_plugins = ["kimi_emulator.pytest_plugin"]')
    pytester.makepyfile(USER_TEST)
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=3)
