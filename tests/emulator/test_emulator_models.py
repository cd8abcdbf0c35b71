"""Which ids are served, and by which family's rules."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from kimi_emulator import KimiEmulator
from kimi_emulator.families import MODELS, find_model
from kimi_wire import profile_for
from tests.families import UNSEEN


@pytest.mark.parametrize(
    ("id", "family"),
    [
        ("kimi-k3", "k3"),
        ("kimi-k3.1-pro", "k3"),
        ("kimi-k3-1-pro-highspeed", "k3"),
        ("k3-256k", "k3"),
        ("accounts/fireworks/models/kimi-k3", "k3"),
        ("kimi-k2.7-code-highspeed", "k2.7-code"),
        ("kimi-k2-7-code", "k2.7-code"),
        ("moonshotai/Kimi-K2.6", "k2.6"),
        ("moonshotai.kimi-k2.5", "k2.5"),
        ("kimi-k2-thinking-turbo", "k2-thinking"),
        ("kimi-k2-0905-preview", "k2"),
        ("moonshot-v1-auto", "v1"),
        ("kimi-latest", "kimi-latest"),
    ],
)
def test_family(id: str, family: str) -> None:
    model = find_model(id)
    assert model
    assert model.family.name == family


def test_every_id_has_its_familys_rules() -> None:
    """By day the adapters meet one model of each kind; which rules the others follow is held here."""
    found = {}
    for model in MODELS:
        sees = " with images" if model.family.images and model.family.name == "v1" else ""
        found[model.id] = f"{model.family.name}, {model.family.context}{sees}"
    held = {
        "k3, 1048576": ["kimi-k3.1-pro", "kimi-k3.1-pro-highspeed", "kimi-k3", "k3", "k3.1-pro"],
        "k3, 262144": ["k3-256k"],
        "k2.7-code, 262144": ["kimi-k2.7-code", "kimi-k2.7-code-highspeed"],
        "k2.6, 262144": ["kimi-k2.6"],
        "k2.5, 262144": ["kimi-k2.5"],
        "k2-thinking, 262144": ["kimi-k2-thinking", "kimi-k2-thinking-turbo"],
        "k2, 262144": [
            *("kimi-k2", "kimi-k2-0711-preview", "kimi-k2-0905-preview", "kimi-k2-turbo-preview"),
            *("kimi-k2-instruct", "kimi-k2-instruct-0905"),
        ],
        "kimi-latest, 131072": ["kimi-latest"],
        "kimi-thinking-preview, 131072": ["kimi-thinking-preview"],
        "v1, 8192": ["moonshot-v1-8k"],
        "v1, 32768": ["moonshot-v1-32k"],
        "v1, 131072": ["moonshot-v1-128k", "moonshot-v1-auto"],
        "v1, 8192 with images": ["moonshot-v1-8k-vision-preview"],
        "v1, 32768 with images": ["moonshot-v1-32k-vision-preview"],
        "v1, 131072 with images": ["moonshot-v1-128k-vision-preview"],
    }
    assert {id: found.get(id) for ids in held.values() for id in ids} == {
        id: rules for rules in held for id in held[rules]
    }


@pytest.mark.parametrize("id", ["kimi-not-exist", "k3s", "kimix", UNSEEN, "gpt-5", "kimi-k3-preview"])
def test_unknown_model(id: str, ask: Callable[..., Any], kimi: KimiEmulator) -> None:
    answer = ask("Hello", model=id)
    assert answer.status == 404
    assert answer.json == {
        "error": {"message": f"Not found the model {id} or Permission denied", "type": "resource_not_found_error"}
    }
    assert [request.error for request in kimi.rejections] == [answer.error]


def test_missing_model(ask: Callable[..., Any]) -> None:
    answer = ask("Hello", model=None)
    assert (answer.status, answer.error) == (400, "missing required parameter: model")


def test_extra_models_follow_their_family(http_send: Callable[..., Any]) -> None:
    with KimiEmulator(extra_models={UNSEEN: "k3"}) as kimi:
        hello = {"model": UNSEEN, "messages": [{"role": "user", "content": "Hello"}]}
        assert http_send(kimi, hello).json["model"] == UNSEEN
        assert http_send(kimi, {**hello, "temperature": 0}).status == 400
        assert UNSEEN in [entry["id"] for entry in http_send(kimi, path="/models").json["data"]]
    with pytest.raises(ValueError, match="unknown families"):
        KimiEmulator(extra_models={UNSEEN: "k9"})


def test_retired_models(http_send: Callable[..., Any]) -> None:
    with KimiEmulator(serve_retired=False) as kimi:
        for id in ("kimi-k2.5", "moonshot-v1-8k", "kimi-k2-thinking", "kimi-latest"):
            answer = http_send(kimi, {"model": id, "messages": [{"role": "user", "content": "Hello"}]})
            assert answer.error == f"Not found the model {id} or Permission denied"
        listed = [entry["id"] for entry in http_send(kimi, path="/models").json["data"]]
    served = [model.id for model in MODELS if model.listed and not profile_for(model.id).is_retired(date(2026, 11, 26))]
    assert listed == served, "the adapters' table and the emulator's do not withdraw the same"


def test_one_model(kimi: KimiEmulator, http_send: Callable[..., Any]) -> None:
    entry = http_send(kimi, path="/models/kimi-k3").json
    assert entry["context_length"] == 1_048_576
    assert entry["reasoning_efforts"]["valid_efforts"] == ["low", "high", "max"]
    assert "think_efforts" not in http_send(kimi, path="/models/kimi-k2.6").json
    assert http_send(kimi, path="/models/kimi-k9").status == 404


def test_without_rules_anything_is_answered(http_send: Callable[..., Any]) -> None:
    with KimiEmulator(check=False) as kimi:
        answer = http_send(kimi, {"model": "llama", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0})
        assert answer.status == 200
        assert answer.json["model"] == "llama"
