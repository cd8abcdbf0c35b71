"""Models, balance and token counts."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import kimi_wire
from kimi_emulator import Balance as EmulatedBalance
from kimi_emulator import KimiEmulator
from kimi_wire import Balance, KimiError, KimiMissingKeyError, KimiPlatform, KimiRequestError, KimiResponseError
from kimi_wire.endpoints.account import parse_balance, parse_count, parse_models
from tests.media_samples import png

pytestmark = pytest.mark.both_transports

SECRET = "sk-secret-0123456789abcdef"


@pytest.fixture
def platform(kimi: KimiEmulator) -> Iterator[KimiPlatform]:
    platform = KimiPlatform(SECRET, kimi.base_url, max_retries=0)
    yield platform
    platform.close()


@pytest.fixture(params=["sync", "async"])
def call(request: pytest.FixtureRequest, platform: KimiPlatform) -> Callable[..., Any]:
    def call(method: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            return getattr(platform, method)(*args, **kwargs)
        return asyncio.run(getattr(platform, f"a{method}")(*args, **kwargs))

    return call


def test_models(call: Any) -> None:
    models = {model.id: model for model in call("models")}
    k3 = models["kimi-k3"]
    assert (k3.context_length, k3.supports_image_in, k3.supports_video_in, k3.supports_reasoning) == (
        1_048_576,
        True,
        True,
        True,
    )
    assert k3.display_name is None
    assert k3.raw["owned_by"] == "moonshot"
    assert models["moonshot-v1-8k"].supports_reasoning is False


def test_balance(call: Any, kimi: KimiEmulator) -> None:
    assert call("balance") == Balance(49.58894, 46.58893, 3.00001, None)
    kimi.balance = EmulatedBalance(0, -31.14918)
    assert call("balance") == Balance(0, 0, -31.14918)


@pytest.mark.parametrize(
    ("host", "currency"),
    [("api.moonshot.ai", "USD"), ("api.moonshot.cn", "CNY"), ("proxy.example", None)],
)
def test_the_currency_is_that_of_the_host(host: str, currency: str | None) -> None:
    body = b'{"code":0,"data":{"available_balance":1,"voucher_balance":1,"cash_balance":0},"scode":"0x0","status":true}'
    found = parse_balance(
        SimpleNamespace(content=body, headers={}, request=SimpleNamespace(url=f"https://{host}/v1/users/me/balance"))
    )
    assert found == Balance(1.0, 1.0, 0.0, currency)


def test_count_tokens(call: Any, kimi: KimiEmulator) -> None:
    text = call("count_tokens", "How many tokens is this?")
    assert kimi.requests[-1].body == {
        "model": "kimi-k3",
        "messages": [{"role": "user", "content": "How many tokens is this?"}],
    }
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(png()).decode()}"}}
    parts = [{"type": "text", "text": "How many tokens is this?"}, image]
    with_image = call("count_tokens", [{"role": "user", "content": parts}], model="kimi-k2.6")
    assert kimi.requests[-1].body["model"] == "kimi-k2.6"
    assert text > 0
    assert with_image > 0


def test_nothing_is_no_tokens_and_no_request(call: Any, kimi: KimiEmulator) -> None:
    assert call("count_tokens", []) == 0
    assert call("count_tokens", [{"role": "assistant", "content": ""}]) == 0
    assert kimi.requests == []


def test_a_part_of_a_conversation_is_counted_as_it_is(call: Any, kimi: KimiEmulator) -> None:
    tool_call = {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    call("count_tokens", [{"role": "assistant", "content": "", "tool_calls": [tool_call]}])
    call("count_tokens", [{"role": "tool", "tool_call_id": "f:0", "content": "x"}])
    call("count_tokens", [{"role": "developer", "content": "x"}])
    assert [request.status for request in kimi.requests] == [200, 200, 200]


@pytest.mark.parametrize("messages", [{"role": "user"}, 7, None])
def test_what_is_no_list_of_messages_is_refused(messages: Any, call: Any, kimi: KimiEmulator) -> None:
    with pytest.raises(KimiRequestError, match="takes text or a list of messages"):
        call("count_tokens", messages)
    assert kimi.requests == []


def test_an_unknown_model_is_an_error(call: Any) -> None:
    with pytest.raises(KimiError, match="Not found the model gpt-5"):
        call("count_tokens", "x", model="gpt-5")


def response(body: bytes) -> Any:
    request = SimpleNamespace(url="https://api.moonshot.ai/v1/users/me/balance")
    return SimpleNamespace(content=body, headers={"msh-request-id": "r-1"}, request=request)


@pytest.mark.parametrize("parse", [parse_balance, parse_count, parse_models])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"{}", b'{"data": 7}', b'{"data": {}}', b'{"data": {"total_tokens": true}}',
     b'{"code": 5, "data": {"available_balance": "1"}}', b"\xff"],
)  # fmt: skip
def test_an_answer_that_is_none_is_an_error(parse: Callable[[Any], Any], body: bytes) -> None:
    with pytest.raises(KimiResponseError, match="r-1"):
        parse(response(body))


def test_odd_models_lose_only_what_is_odd() -> None:
    body = (
        b'{"data": [7, {"id": 7}, {"id": "a", "context_length": "big", "supports_image_in": 1, "display_name": "A"}]}'
    )
    (model,) = parse_models(response(body))
    assert (model.id, model.context_length, model.supports_image_in, model.display_name) == ("a", None, None, "A")


def test_key_and_host_come_from_the_environment(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KimiMissingKeyError):
        KimiPlatform()
    monkeypatch.setenv("MOONSHOT_API_KEY", SECRET)
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    platform = KimiPlatform()
    assert platform.balance().available > 0
    assert SECRET not in repr(platform)
    platform.close()


async def test_connections_can_be_closed(platform: KimiPlatform) -> None:
    await platform.abalance()
    await platform.aclose()
    await platform.abalance()
    await platform.aclose()


@pytest.mark.slow
def test_the_endpoints_are_imported_when_they_are_asked_for() -> None:
    code = """
import sys, kimi_wire
assert not {"kimi_wire.endpoints.files", "kimi_wire.endpoints.account", "openai"} & set(sys.modules), sorted(sys.modules)
from kimi_wire import KimiFiles, KimiPlatform
from tests.media_samples import png
assert "openai" not in sys.modules
KimiPlatform("sk-x"); KimiFiles("sk-x")
assert "openai" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in kimi_wire.__all__:
        assert getattr(kimi_wire, name)
    with pytest.raises(AttributeError, match="no attribute 'KimiFlies'"):
        kimi_wire.KimiFlies  # noqa: B018
