"""What the pages of docs/recipes promise beyond what their fences show."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire.errors import KimiAuthenticationError, KimiNotFoundError, KimiPermissionDeniedError
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.examples import ROOT, fences, run

PAGE = "docs/recipes/many-prompts.md"
FOR_ALL = {401: KimiAuthenticationError, 403: KimiPermissionDeniedError, 404: KimiNotFoundError}
Answer = Callable[[dict[str, str]], None]


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


@pytest.mark.says(
    "docs/recipes/many-prompts.md",
    "A prompt that is refused has its line, with the error, and the others go on.",
    "What may pass (a server's error, a limit, a broken connection) is tried again by the next run",
)
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


@pytest.mark.says("docs/recipes/many-prompts.md", "so that a run that was stopped goes on where it was")
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


@pytest.mark.says(
    "docs/recipes/many-prompts.md",
    "A wrong key, a model that is not there or an empty account ends the run: it would fail ten thousand times.",
    "So no job raises: each writes its own line, and asks nothing once the run is over.",
)
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_wrong_key_ends_the_run(
    kimi: KimiEmulator, answer: Answer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    kimi.script(*[Failure(status)] * 120)
    with pytest.raises(FOR_ALL[status]):
        answer({str(number): "What is 1 + 1?" for number in range(120)})
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
    assert len(kimi.requests) <= 100, "50 are under way, and no more than another 50 are begun before the first is read"
    assert Path("answers.jsonl").read_bytes() == b""


@pytest.mark.needs("ray")
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_ray_asks_each_question_once(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-test")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    [shown] = [fence.code for fence in fences((ROOT / PAGE).read_text("utf-8")) if "import ray" in fence.code]
    (tmp_path / "job.py").write_text(shown, "utf-8")
    done = run(["job.py"], tmp_path)
    assert done.returncode == 0, done.stderr
    asked = [request.body["messages"][-1]["content"] for request in kimi.requests]
    assert sorted(asked) == sorted(f"What is {number} + {number}?" for number in range(64))
    assert kimi.rejections == []
