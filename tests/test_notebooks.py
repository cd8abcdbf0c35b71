"""The notebooks run, what they show on the web is what they put out, and what they promise is so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import openai
import pytest
from nbclient import NotebookClient

from kimi_emulator import KimiEmulator, rules
from kimi_emulator.tokens import count_prompt
from kimi_wire import cost
from tests.examples import unimported_modules
from tests.notebooks import FOLDER, NOTEBOOKS, execute, running_kernel

# Keeps the emulators that are started in a kernel, past the reset of its names.
KEEP = """import kimi_emulator
kimi_emulator.started = []
def keep(self, start=kimi_emulator.KimiEmulator.start, started=kimi_emulator.started):
    started.append(self)
    return start(self)
kimi_emulator.KimiEmulator.start = keep
"""

# What a notebook leaves in its kernel: what its emulator received, and the usage of the two runs of the one on caching.
LEFT = """import json, os, kimi_emulator
emulator = next(one for one in kimi_emulator.started if one.base_url == os.environ["MOONSHOT_BASE_URL"])
sent = [(request.path, request.body, request.status) for request in emulator.requests]
print(json.dumps({"sent": sent, "usages": [globals().get(name) for name in ("steady", "careless")]}))
"""


@dataclass
class Run:
    """A notebook that was run.

    Attributes:
        book: It, with its outputs.
        sent: Path, body and status of each request that its emulator received.
        usages: What `steady` and `careless` are in it.
    """

    book: Any
    sent: list[tuple[str, Any, int]]
    usages: list[Any]

    @property
    def chats(self) -> list[Any]:
        """The bodies of its chat requests."""
        return [body for path, body, _ in self.sent if path.endswith("/chat/completions")]

    def output(self, word: str) -> str:
        """What the first cell with a word in its code puts out, as HTML where there is some."""
        cell = next(cell for cell in self.book.cells if cell.cell_type == "code" and word in cell.source)
        return "\n".join(
            output.get("text") or output.data.get("text/html") or output.data.get("text/plain") or ""
            for output in cell.outputs
        )


def shape(book: Any) -> list[list[tuple[str, ...]]]:
    """The kinds of a notebook's outputs, cell by cell."""
    return [
        [(output.output_type, *sorted(output.get("data", {}))) for output in cell.outputs]
        for cell in book.cells
        if cell.cell_type == "code"
    ]


@pytest.fixture(scope="module")
def kernel() -> Iterator[NotebookClient]:
    """One for all: most of a kernel's time is that it starts and imports the frameworks."""
    with running_kernel() as client:
        client.execute_cell(_cell(client, KEEP), 0)
        yield client


def _cell(client: NotebookClient, code: str) -> Any:
    client.nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    return client.nb.cells[0]


@pytest.fixture(scope="module")
def run(kernel: NotebookClient) -> Callable[[str], Run]:
    """Runs the notebook whose name begins so, once."""
    runs: dict[str, Run] = {}

    def run(name: str) -> Run:
        name = name[:2]
        if name not in runs:
            book = execute(next(path for path in NOTEBOOKS if path.name.startswith(name)), kernel)
            left = json.loads(kernel.execute_cell(_cell(kernel, LEFT), 0).outputs[0].text)
            runs[name] = Run(book, [tuple(request) for request in left["sent"]], left["usages"])
        return runs[name]

    return run


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(path: Path, run: Callable[[str], Run]) -> None:
    assert shape(run(path.name).book) == shape(nbformat.read(path, as_version=4))


@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run_from_a_clean_kernel(path: Path) -> None:
    with running_kernel() as clean:
        assert shape(execute(path, clean)) == shape(nbformat.read(path, as_version=4))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_imports_what_it_names(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    assert unimported_modules(code) == set()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_is_fit_to_be_read(path: Path) -> None:
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    text = path.read_text("utf-8")
    assert "made with the built-in emulator" in book.cells[0].source
    assert "built-in emulator, not Kimi" in book.cells[1].outputs[0].text
    for unwanted in (
        "Warning",
        "Traceback",
        "/home/",
        "/root/",
        "/work/",
        "site-packages",
        "<IPython",
        '"stderr"',
        "NaN",
        "needs_background",  # a white or a black ground behind a plot
    ):
        assert unwanted not in text
    assert len(text) < 200_000
    for cell in book.cells[2:]:
        assert "emulator" not in json.dumps(cell.get("outputs", []))


def test_each_has_one_number() -> None:
    assert NOTEBOOKS
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]


# What the texts promise.


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_says_where_to_go_on(path: Path) -> None:
    last = nbformat.read(path, as_version=4).cells[-1]
    assert last.cell_type == "markdown"
    links = re.findall(r"\]\(([^)#]+)", last.source)
    assert links
    assert all((FOLDER / link).is_file() for link in links)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_says_what_it_costs(path: Path, run: Callable[[str], Run]) -> None:
    chats = [
        body for route, body, status in run(path.name).sent if route.endswith("/chat/completions") and status == 200
    ]
    said = re.search(r"Kimi answers: (\d+) requests, about \$([\d.]+) if", run(path.name).book.cells[0].source)
    spent = 0.0
    for body in chats:
        given = count_prompt(body, rules.read_chat_request(body, extra_models={}).family)
        answered = min(1000, body.get("max_tokens") or body.get("max_completion_tokens") or 1000)
        spent += float(cost({"prompt_tokens": given, "completion_tokens": answered}, body["model"]))
    assert said is not None
    assert said.groups() == (str(len(chats)), f"{spent:.2f}")


@pytest.mark.slow
def test_01_thinking_goes_back_and_stays_on(run: Callable[[str], Run]) -> None:
    quickstart = run("01")
    asked = next(body for body in quickstart.chats if body["messages"][-1]["content"] == "What was my question?")
    assert asked["messages"][2]["reasoning_content"]
    assert "What is 12 * 12?" in quickstart.output("What was my question?")
    structured = next(body for body in quickstart.chats if "response_format" in body)
    assert structured["response_format"]["json_schema"]["strict"] is True
    assert "thinking" not in structured
    assert all("temperature" not in body for body in quickstart.chats)


@pytest.mark.slow
def test_02_thinking_is_kept_and_would_be_missed(run: Callable[[str], Run]) -> None:
    agent = run("02")
    body = next(body for body in agent.chats if len(body["messages"]) > 2)
    assert all(
        message.get("reasoning_content") for message in agent.chats[-1]["messages"] if message["role"] == "assistant"
    )
    assert "What is the weather in the capital of Norway?" in agent.output("my first question")
    without = [
        {key: value for key, value in message.items() if key != "reasoning_content"} for message in body["messages"]
    ]
    with (
        KimiEmulator() as emulator,
        openai.OpenAI(base_url=emulator.base_url, api_key="sk-test") as client,
        pytest.raises(openai.BadRequestError, match="reasoning_content is missing"),
    ):
        client.chat.completions.create(model="kimi-k2.6", messages=without, tools=body["tools"])


@pytest.mark.slow
def test_03_sources_and_thinking_are_shown_and_questions_condensed(run: Callable[[str], Run]) -> None:
    rag = run("03")
    assert "ice.md" in rag.output("found.score")
    assert "<summary>Thinking</summary>" in rag.output("stream_chat(prompt")
    condensed, answered = rag.chats[-2:]
    assert "How many missions landed on the Moon?" in condensed["messages"][-1]["content"]  # the history
    assert "standalone question" in condensed["messages"][-1]["content"].lower()
    assert "twelve people walked on the Moon" in str(answered["messages"])  # what was retrieved


@pytest.mark.slow
def test_04_one_agent_hands_over_and_a_memory_is_sent(run: Callable[[str], Run]) -> None:
    chats = run("04").chats
    assert [body["messages"][0]["content"].split()[0] for body in chats[:3]] == ["Look", "Calculate", "Calculate"]
    history = chats[-1]["messages"]
    assert history[0]["content"] == "Find the distance from Oslo to Trondheim."
    assert all(message["reasoning_content"] for message in history if message["role"] == "assistant")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")  # as in tests/test_caching.py
@pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key")
async def test_04_a_context_alone_carries_nothing() -> None:
    from llama_index.core.agent.workflow import FunctionAgent
    from llama_index.core.workflow import Context

    from llama_index_kimi import Kimi

    with KimiEmulator() as emulator:
        agent = FunctionAgent(llm=Kimi(model="kimi-k3", api_key="sk-test", api_base=emulator.base_url), tools=[])
        context = Context(agent)
        for question in ("Hello", "What was my question?"):
            await agent.run(question, ctx=context)
    assert "Hello" not in str(emulator.requests[-1].body)


@pytest.mark.slow
def test_05_every_answer_is_held_to_the_schema(run: Callable[[str], Run]) -> None:
    extraction = run("05")
    assert all(body["response_format"]["json_schema"]["strict"] for body in extraction.chats)
    assert "value='6'" in extraction.output("ProgressBar")
    filling = [len(line) for line in extraction.output("stream_structured_predict").splitlines() if line]
    assert len(filling) > 5
    assert filling == sorted(filling)


@pytest.mark.slow
def test_06_the_beginning_is_sent_and_answers_are_joined(run: Callable[[str], Run]) -> None:
    partial = run("06")
    begun = [body["messages"][-1] for body in partial.chats if body["messages"][-1].get("partial")]
    assert [message["content"] for message in begun[:3]] == ["{", "Let me be brief: ", ""]
    assert begun[2]["name"] == "Captain Nemo"
    cut, whole = (int(tokens) for tokens in re.findall(r"(\d+) tokens", partial.output("continue_on_length")))
    assert (len(begun) - 3) * cut < whole <= (len(begun) - 2) * cut


@pytest.mark.slow
def test_07_a_picture_is_uploaded_once_and_seen(run: Callable[[str], Run]) -> None:
    pictures = run("07")
    urls = [part["image_url"]["url"] for body in pictures.chats for part in body["messages"][0]["content"][1:]]
    assert [url.partition(":")[0] for url in urls] == ["data", "data", "ms", "ms"]  # and nothing of what is refused
    assert urls[2] == urls[3]
    assert all("the fourth from the left is the tallest" in pictures.output(word) for word in ("How many", "frugal"))


@pytest.mark.slow
def test_08_searches_are_echoed_and_tools_run_there(run: Callable[[str], Run]) -> None:
    search = run("08")
    echoed = 0
    for body in search.chats:
        calls = {call["id"]: call for message in body["messages"] for call in message.get("tool_calls", [])}
        for message in body["messages"]:
            if message["role"] == "tool" and calls[message["tool_call_id"]]["function"]["name"] == "$web_search":
                assert message["content"] == calls[message["tool_call_id"]]["function"]["arguments"]
                echoed += 1
    assert echoed == 3
    assert [path.rpartition("/")[2] for path, _, _ in search.sent if "formulas" in path].count("fibers") == 2


@pytest.mark.slow
def test_10_a_run_has_one_key_and_reads_what_stayed(run: Callable[[str], Run]) -> None:
    caching = run("10")
    keys = [body["prompt_cache_key"] for body in caching.chats]
    assert [keys.count(key) for key in dict.fromkeys(keys)] == [24, 24, 24]
    assert all(len(usages) == 24 for usages in caching.usages)
    steady, careless = ([usage["input_token_details"].get("cache_read", 0) for usage in run] for run in caching.usages)
    assert steady[0] == 0
    assert all(read > 0 for read in steady[1:])
    assert sum(careless) < sum(steady) / 10
    million = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
    fresh, cached = (float(cost({**million, "cached_tokens": part}, "kimi-k3")) for part in (0, 1_000_000))
    assert cached == pytest.approx(fresh / 10)
