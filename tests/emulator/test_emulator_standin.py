"""The emulator in place of a key, for demonstrations and notebooks."""

from __future__ import annotations

import os
import urllib.request

import pytest

from kimi_emulator import emulate_without_key


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOONSHOT_API_KEY", "MOONSHOT_BASE_URL"):
        monkeypatch.setenv(name, "")  # restored after the test, whatever the test sets


def test_without_a_key_the_environment_points_at_an_emulator() -> None:
    assert "emulator, not Kimi" in emulate_without_key()
    key = os.environ["MOONSHOT_API_KEY"]
    request = urllib.request.Request(
        f"{os.environ['MOONSHOT_BASE_URL']}/models", headers={"Authorization": f"Bearer {key}"}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200


@pytest.mark.parametrize("name", ["MOONSHOT_API_KEY", "KIMI_API_KEY"])
def test_with_a_key_nothing_is_touched(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "sk-real")
    before = dict(os.environ)
    assert emulate_without_key() == "This is the real API: https://api.moonshot.ai/v1"
    monkeypatch.setenv("KIMI_BASE_URL", "https://kimi.example/v1")
    assert emulate_without_key() == "This is the real API: https://kimi.example/v1"
    assert before.items() <= os.environ.items()
    assert "sk-real" not in emulate_without_key()


def test_again_it_is_the_same_emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell of a notebook that is run again must not call it the real API, until there is a key."""
    said, url = emulate_without_key(), os.environ["MOONSHOT_BASE_URL"]
    assert (emulate_without_key(), os.environ["MOONSHOT_BASE_URL"]) == (said, url)
    assert "emulator, not Kimi" in said
    monkeypatch.setenv("MOONSHOT_API_KEY", "")
    assert emulate_without_key() == said
    assert os.environ["MOONSHOT_API_KEY"] == "sk-emulator"
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-real")
    assert emulate_without_key() == "This is the real API: https://api.moonshot.ai/v1"
    assert os.environ["MOONSHOT_API_KEY"] == "sk-real"
    assert not os.environ.get("MOONSHOT_BASE_URL")


@pytest.mark.parametrize("blank", [" ", "\n", " test\r\n"])
def test_white_space_is_no_key(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", blank)
    assert "emulator, not Kimi" in emulate_without_key()


def test_the_password_of_an_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-real")
    monkeypatch.setenv("MOONSHOT_BASE_URL", "https://user:hush@p@kimi.example/v1")
    assert emulate_without_key() == "This is the real API: https://kimi.example/v1"


@pytest.mark.parametrize("placeholder", ["test", "dummy", "EMPTY"])
def test_a_placeholder_is_no_key_but_for_a_server_that_is_named(
    monkeypatch: pytest.MonkeyPatch, placeholder: str
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", placeholder)
    monkeypatch.setenv("MOONSHOT_BASE_URL", "http://gpu.example/v1")
    assert emulate_without_key() == "This is the real API: http://gpu.example/v1"
    monkeypatch.setenv("MOONSHOT_BASE_URL", "")
    assert "emulator, not Kimi" in emulate_without_key()
    assert os.environ["MOONSHOT_API_KEY"] == "sk-emulator"
