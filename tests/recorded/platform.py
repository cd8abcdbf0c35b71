"""The rows for files, balance and token counts, and for models through `KimiPlatform`.

Needs `kimi_wire.files` and `kimi_wire.platform`; `tests.recorded.scenarios` takes `ENDPOINTS` from here then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from kimi_wire.files import KimiFiles
from kimi_wire.platform import KimiPlatform
from tests.conversations import ask
from tests.recorded.scenario import Endpoint
from tests.recorded.tape import Exchange

Way = Callable[[str, str], Any]

NOTES = b"Bonjour from Paris.\n"


def _ways(
    kind: Callable[..., Any], name: str, sync: Callable[[Any], Any], asynchronous: Callable[[Any], Awaitable[Any]]
) -> Mapping[str, Way]:
    """The two ways through an object of a kind, each on a connection of its own."""

    def go(base_url: str, key: str) -> Any:
        thing = kind(api_key=key, base_url=base_url, max_retries=0)
        try:
            return sync(thing)
        finally:
            thing.close()

    async def ago(base_url: str, key: str) -> Any:
        thing = kind(api_key=key, base_url=base_url, max_retries=0)
        try:
            return await asynchronous(thing)
        finally:
            await thing.aclose()

    return {name: go, f"a{name}": ago}


def _body(exchanges: Sequence[Exchange], position: int = 0) -> Any:
    return exchanges[position]["response"]["json"]


def _expect_models(outcome: Any, exchanges: Sequence[Exchange]) -> None:
    assert [model.id for model in outcome] == [entry["id"] for entry in _body(exchanges)["data"]]
    assert "kimi-k3" in [model.id for model in outcome]


def _expect_balance(outcome: Any, exchanges: Sequence[Exchange]) -> None:
    data = _body(exchanges)["data"]
    assert float(outcome.available) == data["available_balance"]


def _expect_count(outcome: Any, exchanges: Sequence[Exchange]) -> None:
    assert outcome == _body(exchanges)["data"]["total_tokens"] > 0


def _extraction(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Upload, read, delete: the account is left as it was."""
    form = [
        {"name": "purpose", "text": "file-extract"},
        {"name": "file", "filename": "notes.txt", "content-type": "text/plain", "text": NOTES.decode()},
    ]
    upload = {"method": "POST", "path": "/v1/files", "form": form}
    if not exchanges or "id" not in _body(exchanges):
        return [upload]
    path = f"/v1/files/{_body(exchanges)['id']}"
    return [upload, {"method": "GET", "path": f"{path}/content"}, {"method": "DELETE", "path": path}]


def _expect_text(outcome: Any, exchanges: Sequence[Exchange]) -> None:
    assert outcome == _body(exchanges, 1)["content"]
    assert "Bonjour" in outcome
    assert _body(exchanges, 2)["deleted"] is True


HELLO = [ask("Hello!")]

ENDPOINTS = {
    "models": Endpoint(
        [{"method": "GET", "path": "/v1/models"}],
        _ways(KimiPlatform, "models", lambda it: it.models(), lambda it: it.amodels()),
        _expect_models,
    ),
    "balance": Endpoint(
        [{"method": "GET", "path": "/v1/users/me/balance"}],
        _ways(KimiPlatform, "balance", lambda it: it.balance(), lambda it: it.abalance()),
        _expect_balance,
    ),
    "token-count": Endpoint(
        [
            {
                "method": "POST",
                "path": "/v1/tokenizers/estimate-token-count",
                "json": {"model": "kimi-k3", "messages": HELLO},
            }
        ],
        _ways(
            KimiPlatform,
            "count_tokens",
            lambda it: it.count_tokens(HELLO, "kimi-k3"),
            lambda it: it.acount_tokens(HELLO, "kimi-k3"),
        ),
        _expect_count,
    ),
    "file-extraction": Endpoint(
        _extraction,
        _ways(
            KimiFiles,
            "extract",
            lambda it: it.extract(NOTES, "notes.txt"),
            lambda it: it.aextract(NOTES, "notes.txt"),
        ),
        _expect_text,
    ),
}
