"""Thinking and answer on pages: served for real, read by a client of each, and what is said when it does not go well."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply
from tests.recipes.servers import serving

ANSWER = Reply("17 * 23 = 391", reasoning="Seventeen times twenty is 340. The rest is 51.")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


class Watched:
    """A model whose streams tell when they end."""

    def __init__(self, model: Any, ended: threading.Event) -> None:
        self.model, self.ended = model, ended

    async def astream(self, question: str) -> AsyncIterator[Any]:
        async for chunk in self._until_it_ends(self.model.astream(question)):
            yield chunk

    async def astream_chat(self, messages: Any) -> AsyncIterator[Any]:
        return self._until_it_ends(await self.model.astream_chat(messages))

    async def _until_it_ends(self, stream: Any) -> AsyncIterator[Any]:
        try:
            async for chunk in stream:
                yield chunk
        finally:
            self.ended.set()


@pytest.fixture
def app(recipe: Any) -> Any:
    """The page's FastAPI application."""
    return recipe("streaming-to-a-page.md", "app")


@contextmanager
def by_uvicorn(app: Any) -> Iterator[str]:
    """Serve an application; gives its URL."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.needs("fastapi", "uvicorn")
@pytest.mark.parametrize("path", ["/langchain", "/llama-index"])
class TestFastAPI:
    """The page's application."""

    @pytest.mark.says(
        "docs/recipes/streaming-to-a-page.md",
        "Server-sent events with a name for each kind: `thinking`, `text`, and at the end either `end`, with the usage, or `error`",
    )
    def test_thinking_text_and_usage(self, kimi: KimiEmulator, app: Any, path: str) -> None:
        kimi.script(ANSWER)
        events = self.events(app, path)
        kinds = [kind for kind, _ in events]
        assert kinds == sorted(kinds, key=["thinking", "text", "end"].index)
        for kind, text in (("thinking", ANSWER.reasoning), ("text", ANSWER.content)):
            assert "".join(data for name, data in events if name == kind) == text
        assert kinds.count("text") > 1
        assert events[-1][1]["total_tokens"] > 0

    @pytest.mark.says("docs/recipes/streaming-to-a-page.md", "An answer without `end` is not whole, whatever broke it.")
    @pytest.mark.parametrize(
        ("step", "error"),
        [
            (Reply("A long answer that will not arrive", cut_after=4), "KimiStreamError"),
            (Failure(401), "KimiAuthenticationError"),
        ],
    )
    def test_a_half_answer_ends_with_an_error(
        self, kimi: KimiEmulator, app: Any, path: str, step: Reply | Failure, error: str
    ) -> None:
        kimi.script(step)
        events = self.events(app, path)
        assert events[-1] == ("error", error)
        assert "end" not in dict(events)

    @pytest.mark.says(
        "docs/recipes/streaming-to-a-page.md",
        "When the client goes away, FastAPI cancels the stream, and with it the request to Kimi",
    )
    def test_a_client_that_goes_away_ends_the_request(self, kimi: KimiEmulator, app: Any, path: str) -> None:
        import httpx

        ended = threading.Event()
        app.model, app.llm = Watched(app.model, ended), Watched(app.llm, ended)
        kimi.script(Reply("one two three four", chunk_size=1, stall=600.0, stall_after=4))
        with by_uvicorn(app.app) as url:
            with httpx.stream("GET", f"{url}{path}", params={"question": "hi"}) as response:
                assert next(response.iter_lines())
                assert not ended.is_set()
            assert ended.wait(30)

    def events(self, app: Any, path: str) -> list[tuple[str, Any]]:
        from fastapi.testclient import TestClient

        with TestClient(app.app) as client:
            blocks = client.get(path, params={"question": "What is 17 * 23?"}).text.strip().split("\n\n")
        found = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
        return [(event["event"], json.loads(event["data"])) for event in found]


@pytest.mark.says("docs/recipes/streaming-to-a-page.md", "A message whose metadata has a title is a fold.")
@pytest.mark.needs("gradio", "gradio_client")
def test_gradio(kimi: KimiEmulator, recipe: Callable[[str, str], Any], tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    from gradio_client import Client

    recipe("streaming-to-a-page.md", "chat")
    kimi.script(ANSWER)
    with serving(tmp_path, lambda port: ["-c", f"import chat; chat.page.launch(server_port={port})"]) as port:
        shown = list(Client(f"http://127.0.0.1:{port}", verbose=False).submit("What is 17 * 23?", api_name="/answer"))
    gc.collect()  # gradio_client 2 leaves event loops behind
    states = [[part["metadata"]["status"] for part in parts[:1]] + [len(parts)] for parts in shown]
    assert states == sorted(states, key=[["pending", 1], ["done", 2]].index)
    assert states[0] != states[-1]
    fold, said = shown[-1]
    assert (fold["metadata"]["title"], fold["content"]) == ("Thinking", ANSWER.reasoning)
    assert said["content"] == ANSWER.content


@asynccontextmanager
async def chainlits_browser(port: int, heard: list[tuple[str, Any]]) -> AsyncIterator[Any]:
    """Connect to a page of Chainlit's as its browser does; what it hears is noted."""
    import socketio

    client = socketio.AsyncClient()
    client.on("*", lambda event, *data: heard.append((event, data[0] if data else None)))
    await client.connect(
        f"http://127.0.0.1:{port}",
        socketio_path="/ws/socket.io",
        auth={"clientType": "webapp", "sessionId": str(uuid.uuid4())},
    )
    try:
        await client.emit("connection_successful")
        yield client
    finally:
        await client.disconnect()


async def ask_chainlit(port: int, question: str) -> list[tuple[str, Any]]:
    """Ask a page of Chainlit's; give what its browser hears until the answer is there."""
    heard: list[tuple[str, Any]] = []
    async with chainlits_browser(port, heard) as client:
        message = {"id": str(uuid.uuid4()), "name": "user", "type": "user_message", "output": question, "createdAt": ""}
        await client.emit("client_message", {"message": message})
        until = time.monotonic() + 60
        while ("task_start", {}) not in heard or heard[-1] != ("task_end", {}):
            assert time.monotonic() < until
            await asyncio.sleep(0.02)
    return heard[heard.index(("task_start", {})) :]


@pytest.mark.says(
    "docs/recipes/streaming-to-a-page.md", "in a step above the answer, which closes when the answer begins"
)
@pytest.mark.needs("chainlit", "socketio", "aiohttp")
async def test_chainlit(kimi: KimiEmulator, recipe: Callable[[str, str], Any], tmp_path: Path) -> None:
    recipe("streaming-to-a-page.md", "hello")
    kimi.script(ANSWER)
    with serving(tmp_path, lambda port: ["-m", "chainlit", "run", "hello.py", "-h", "--port", str(port)]) as port:
        heard = await ask_chainlit(port, "What is 17 * 23?")
    steps = [(event, data) for event, data in heard if event.startswith("stream") or event.endswith("_message")]
    [thinking] = {data["id"] for _, data in steps if data.get("name") == "Thinking"}
    others = {data["id"] for _, data in steps if data.get("type") in ("user_message", "run")}
    steps = [(event, data) for event, data in steps if data["id"] not in others]
    order = [(event, "thinking" if data["id"] == thinking else "answer") for event, data in steps]
    assert list(dict.fromkeys(order)) == [
        ("new_message", "thinking"),
        ("stream_start", "thinking"),
        ("stream_token", "thinking"),
        ("update_message", "thinking"),
        ("stream_start", "answer"),
        ("stream_token", "answer"),
        ("new_message", "answer"),
    ]
    [closed] = [data for event, data in steps if (event, data["id"]) == ("update_message", thinking)]
    assert (closed["output"], closed["isError"]) == (ANSWER.reasoning, False)
    assert closed["end"]
    assert (closed["defaultOpen"], closed["autoCollapse"]) == (True, True)
    assert steps[-1][1]["output"] == ANSWER.content
