"""The account's balance and token counts."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import Balance, KimiEmulator
from tests.media_samples import png

Send = Callable[..., Any]

COUNT = "/tokenizers/estimate-token-count"
USER = {"role": "user", "content": "Hello"}
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(png()).decode()}"}}


def test_the_balance_is_the_recorded_one(kimi: KimiEmulator, http_send: Send, recordings: Path) -> None:
    recorded = json.loads((recordings / "balance" / "balance_2026-09.json").read_text(encoding="utf-8"))
    assert http_send(kimi, path="/users/me/balance").json == recorded[0]["body"]
    kimi.balance = Balance(0, -31.14918)
    assert http_send(kimi, path="/users/me/balance").json["data"] == recorded[1]["data"]


def test_without_money_chat_is_refused_and_the_rest_is_not(kimi: KimiEmulator, ask: Send, http_send: Send) -> None:
    kimi.balance = Balance(0, -1)
    assert http_send(kimi, path="/users/me/balance").json["data"]["available_balance"] == 0
    answer = ask("Hello")
    assert (answer.status, answer.json["error"]["type"]) == (429, "exceeded_current_quota_error")
    assert "insufficient balance" in answer.error
    assert http_send(kimi, path="/models").status == 200
    kimi.reset()
    assert ask("Hello").status == 200


def test_tokens_are_those_the_same_chat_is_billed(kimi: KimiEmulator, ask: Send, http_send: Send) -> None:
    for messages in ([USER], [USER, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": [IMAGE]}]):
        counted = http_send(kimi, {"model": "kimi-k3", "messages": messages}, path=COUNT).json
        assert counted == {"data": {"total_tokens": ask(messages=messages).json["usage"]["prompt_tokens"]}}


def test_tools_are_no_parameter_of_the_count(kimi: KimiEmulator, http_send: Send) -> None:
    bare = http_send(kimi, {"model": "kimi-k3", "messages": [USER]}, path=COUNT).json
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    assert http_send(kimi, {"model": "kimi-k3", "messages": [USER], "tools": tools}, path=COUNT).json == bare


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"messages": [USER]}, "missing required parameter: model"),
        ({"model": "kimi-k3"}, "Invalid request: messages must not be empty"),
        ({"model": "kimi-k3", "messages": [{"role": "developer", "content": "x"}]}, "unsupported role"),
        (
            {"model": "kimi-k3", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "https://x"}]}]},
            "unsupported image url",
        ),
    ],
)  # fmt: skip
def test_a_count_keeps_to_the_rules_of_chat(body: Any, words: str, kimi: KimiEmulator, http_send: Send) -> None:
    answer = http_send(kimi, body, path=COUNT)
    assert answer.status == 400
    assert words in answer.error


def test_an_unknown_model_counts_nothing_unless_nothing_is_checked(kimi: KimiEmulator, http_send: Send) -> None:
    body = {"model": "gpt-5", "messages": [USER]}
    assert http_send(kimi, body, path=COUNT).status == 404
    with KimiEmulator(check=False) as lenient:
        assert http_send(lenient, body, path=COUNT).json["data"]["total_tokens"] > 0
