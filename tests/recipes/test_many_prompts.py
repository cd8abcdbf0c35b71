"""What the pages of docs/recipes promise beyond what their fences show."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire.errors import KimiAuthenticationError
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

Answer = Callable[[dict[str, str]], None]


@pytest.fixture
def recipe(write_files: Callable[[str], Path]) -> Callable[[str, str], Any]:
    """Import a file of a page."""

    def load(page: str, module: str) -> Any:
        write_files(f"docs/recipes/{page}")
        return import_module(module)

    return load


@pytest.fixture
def kimi() -> Iterator[KimiEmulator]:
    """An emulator of a test's own: what the jobs of a run that was ended have under way may still arrive after it."""
    with KimiEmulator() as emulator:
        yield emulator


@pytest.fixture(params=["many_langchain", "many_llama_index"])
def answer(request: pytest.FixtureRequest, recipe: Any, kimi: KimiEmulator) -> Answer:
    """Answer prompts into `answers.jsonl`."""
    answer_all = recipe("many-prompts.md", request.param).answer_all
    model_class = ChatKimi if request.param == "many_langchain" else Kimi
    model = model_class(api_key="sk-test", base_url=kimi.base_url, max_retries=0)
    return lambda prompts: asyncio.run(answer_all(prompts, "answers.jsonl", model))


PROMPTS = {str(number): f"What is {number} + 1?" for number in range(8)}


def last_rows() -> dict[str, Any]:
    """The last line of each prompt."""
    lines = Path("answers.jsonl").read_text("utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def test_a_second_run_asks_what_is_missing_and_what_failed(kimi: KimiEmulator, answer: Answer) -> None:
    def by_prompt(body: Any) -> Reply | Failure:
        asked = body["messages"][-1]["content"]
        failures = {PROMPTS["2"]: Failure(500), PROMPTS["3"]: Failure(400, type="content_filter")}
        return failures.get(asked, Reply("a number"))

    kimi.script(*[by_prompt] * 8)
    answer(PROMPTS)
    rows = last_rows()
    assert {name for name, row in rows.items() if row["answer"] is None} == {"2", "3"}
    assert "KimiServerError" in rows["2"]["error"]
    assert "KimiContentFilterError" in rows["3"]["error"]
    answer(PROMPTS)
    assert len(kimi.requests) == 9  # the refused one is not asked again
    assert last_rows()["2"]["answer"]
    assert last_rows()["2"]["error"] is None


def test_a_line_that_a_crash_tore_is_asked_again(kimi: KimiEmulator, answer: Answer) -> None:
    answer(PROMPTS)
    file = Path("answers.jsonl")
    whole = file.read_bytes()
    for torn in (whole[:-1], whole[: whole.rindex(b'"id"') + 7], whole[: whole.rindex(b"\n", 0, -1) + 3]):
        kimi.reset()
        file.write_bytes(torn)
        answer(PROMPTS)
        assert len(kimi.requests) == 1
        assert last_rows().keys() == PROMPTS.keys()


def test_a_wrong_key_ends_the_run(kimi: KimiEmulator, answer: Answer) -> None:
    kimi.script(*[Failure(401)] * 8)
    with pytest.raises(KimiAuthenticationError):
        answer(PROMPTS)
    assert Path("answers.jsonl").read_bytes() == b""


@pytest.fixture
def app(recipe: Any, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The page's FastAPI application."""
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-test")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    return recipe("streaming-to-a-page.md", "app")


needs_fastapi = [pytest.mark.needs("fastapi", "uvicorn"), pytest.mark.slow, pytest.mark.filterwarnings("default")]


class TestTheApplication:
    """The page's FastAPI application, where it does not go well."""

    pytestmark = needs_fastapi

    @pytest.mark.parametrize("path", ["/langchain", "/llama-index"])
    def test_a_half_answer_ends_with_an_error(self, kimi: KimiEmulator, app: Any, path: str) -> None:
        from fastapi.testclient import TestClient

        kimi.script(Reply("A long answer that will not arrive", cut_after=4))
        with TestClient(app.app) as client:
            said = client.get(path, params={"question": "hi"}).text
        assert "event: text" in said
        assert "event: end" not in said
        assert 'data: "KimiStreamError"' in said

    def test_a_client_that_goes_away_ends_the_request(self, kimi: KimiEmulator, app: Any) -> None:
        import httpx
        import uvicorn

        ended = threading.Event()

        class Watched:
            def __init__(self, model: ChatKimi) -> None:
                self.model = model

            async def astream(self, question: str) -> Any:
                try:
                    async for chunk in self.model.astream(question):
                        yield chunk
                finally:
                    ended.set()

        app.model = Watched(app.model)
        kimi.script(Reply("one two three four", chunk_size=1, stall=600.0, stall_after=4))
        server = uvicorn.Server(uvicorn.Config(app.app, port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            with httpx.stream("GET", f"http://127.0.0.1:{port}/langchain", params={"question": "hi"}) as response:
                assert next(response.iter_lines())
                assert not ended.is_set()
            assert ended.wait(30)
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.needs("chainlit")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_chainlit_shows_thinking_in_a_step(recipe: Any, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-test")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    page = recipe("streaming-to-a-page.md", "hello")
    shown: list[tuple[str, str]] = []

    class Part:
        def __init__(self, name: str, type: str = "") -> None:
            self.name = name

        async def __aenter__(self) -> Part:
            return self

        async def __aexit__(self, *_: object) -> None:
            shown.append((self.name, "closed"))

        async def stream_token(self, token: str) -> None:
            shown.append((self.name, token))

        async def send(self) -> None:
            shown.append((self.name, "sent"))

    class Asked:
        content = "What is 17 * 23?"

    monkeypatch.setattr(page.cl, "Step", Part)
    monkeypatch.setattr(page.cl, "Message", Part)
    asyncio.run(page.answer.__wrapped__(Asked()) if hasattr(page.answer, "__wrapped__") else page.answer(Asked()))
    assert "".join(token for name, token in shown if name == "Thinking")
    assert "391" in "".join(token for name, token in shown if not name)
    assert shown[-1] == ("", "sent")
