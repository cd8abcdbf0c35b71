"""The rows for files, balance, token counts and models, through `kimi_wire` and, where they have it, both adapters."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kimi_wire.endpoints.account import KimiPlatform
from kimi_wire.endpoints.files import KimiFiles
from langchain_kimi import ChatKimi, KimiFileLoader
from llama_index_kimi import KimiFileReader, KimiTokenizer
from tests.conversations import ask
from tests.recorded.scenario import Endpoint
from tests.recorded.tape import Exchange

Way = Callable[[str, str], Any]

NOTES = b"Bonjour from Paris.\n"
BLANK = b" \n"


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


def _upload(data: bytes) -> Exchange:
    form = [
        {"name": "purpose", "text": "file-extract"},
        {"name": "file", "filename": "notes.txt", "content-type": "text/plain", "text": data.decode()},
    ]
    return {"method": "POST", "path": "/v1/files", "form": form}


def _extraction(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Upload, read, delete: the account is left as it was."""
    upload = _upload(NOTES)
    if not exchanges or "id" not in _body(exchanges):
        return [upload]
    path = f"/v1/files/{_body(exchanges)['id']}"
    return [upload, {"method": "GET", "path": f"{path}/content"}, {"method": "DELETE", "path": path}]


def _expect_text(outcome: Any, exchanges: Sequence[Exchange]) -> None:
    assert outcome == _body(exchanges, 1)["content"]
    assert "Bonjour" in outcome
    assert _body(exchanges, 2)["deleted"] is True


HELLO = [ask("Hello!")]


# Through the adapters.


@contextmanager
def _notes(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.txt"
        path.write_bytes(data)
        yield path


def _file_ways(data: bytes) -> Mapping[str, Way]:
    """The ways to the text of a file: from memory, and from a path through each adapter."""

    def load(base_url: str, key: str) -> str:
        with _notes(data) as path:
            (document,) = KimiFileLoader(path, api_key=key, base_url=base_url, max_retries=0).load()
            return document.page_content

    async def aload(base_url: str, key: str) -> str:
        with _notes(data) as path:
            (document,) = await KimiFileLoader(path, api_key=key, base_url=base_url, max_retries=0).aload()
            return document.page_content

    def load_data(base_url: str, key: str) -> str:
        with _notes(data) as path:
            (document,) = KimiFileReader(key, base_url, max_retries=0).load_data(path)
            return document.text

    async def aload_data(base_url: str, key: str) -> str:
        with _notes(data) as path:
            (document,) = await KimiFileReader(key, base_url, max_retries=0).aload_data(path)
            return document.text

    return {
        **_ways(
            KimiFiles, "extract", lambda it: it.extract(data, "notes.txt"), lambda it: it.aextract(data, "notes.txt")
        ),
        "langchain": load,
        "langchain-async": aload,
        "llama_index": load_data,
        "llama_index-async": aload_data,
    }


def _get_num_tokens(base_url: str, key: str) -> int:
    llm = ChatKimi(model="kimi-k3", base_url=base_url, api_key=key, max_retries=0, token_counting="server")
    return llm.get_num_tokens("Hello!")


def _tokenize(base_url: str, key: str) -> int:
    tokenizer = KimiTokenizer("server", model="kimi-k3", api_key=key, api_base=base_url, max_retries=0)
    return len(tokenizer("Hello!"))


NO_ACCOUNT = {
    "langchain": "LangChain has no interface for an account: KimiPlatform is for both",
    "llama_index": "LlamaIndex has no interface for an account: KimiPlatform is for both",
}

ENDPOINTS = {
    "models": Endpoint(
        [{"method": "GET", "path": "/v1/models"}],
        _ways(KimiPlatform, "models", lambda it: it.models(), lambda it: it.amodels()),
        _expect_models,
        left_out=NO_ACCOUNT,
    ),
    "balance": Endpoint(
        [{"method": "GET", "path": "/v1/users/me/balance"}],
        _ways(KimiPlatform, "balance", lambda it: it.balance(), lambda it: it.abalance()),
        _expect_balance,
        left_out=NO_ACCOUNT,
    ),
    "error-401-balance": Endpoint(
        [{"method": "GET", "path": "/v1/users/me/balance"}],
        _ways(KimiPlatform, "balance", lambda it: it.balance(), lambda it: it.abalance()),
        _expect_balance,
        key="sk-wrong",
        error="KimiAuthenticationError",
        status=401,
        left_out=NO_ACCOUNT,
    ),
    "error-400-file": Endpoint(  # refused at the upload, as a picture without text: RightNow-AI/librefang#5290
        [_upload(BLANK)],
        _file_ways(BLANK),
        _expect_text,
        error="KimiBadRequestError",
        status=400,
    ),
    "token-count": Endpoint(
        [
            {
                "method": "POST",
                "path": "/v1/tokenizers/estimate-token-count",
                "json": {"model": "kimi-k3", "messages": HELLO},
            }
        ],
        {
            **_ways(
                KimiPlatform,
                "count_tokens",
                lambda it: it.count_tokens(HELLO, "kimi-k3"),
                lambda it: it.acount_tokens(HELLO, "kimi-k3"),
            ),
            "langchain": _get_num_tokens,
            "llama_index": _tokenize,
        },
        _expect_count,
        left_out={
            "langchain-async": "LangChain's get_num_tokens has no asynchronous twin",
            "llama_index-async": "core calls a tokenizer as a function only",
        },
    ),
    "file-extraction": Endpoint(
        _extraction,
        _file_ways(NOTES),
        _expect_text,
    ),
}
