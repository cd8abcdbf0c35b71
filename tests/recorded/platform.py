"""The rows for what is not chat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kimi_wire.connection import KimiConnection
from tests.recorded.scenario import Endpoint
from tests.recorded.tape import Exchange


def _list_models(base_url: str, key: str) -> Any:
    connection = KimiConnection(api_key=key, base_url=base_url, max_retries=0)
    return connection.request("get", "/models").json()


async def _alist_models(base_url: str, key: str) -> Any:
    connection = KimiConnection(api_key=key, base_url=base_url, max_retries=0)
    answer = await connection.arequest("get", "/models")
    await connection.aclose()
    return answer.json()


def _expect_models(outcome: Any, exchanges: Sequence[Exchange]) -> None:
    assert outcome == exchanges[0]["response"]["json"]
    assert "kimi-k3" in [model["id"] for model in outcome["data"]]


ENDPOINTS = {
    "models": Endpoint(
        [{"method": "GET", "path": "/v1/models"}],
        {"request": _list_models, "arequest": _alist_models},
        _expect_models,
    ),
}
