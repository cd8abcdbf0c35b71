"""Official tools in LangChain's agents."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import ToolMessage
from langchain_core.tools import ToolException
from pydantic import SecretStr

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_emulator.services import formulas as emulated
from langchain_kimi import KimiAuthenticationError, KimiFormulaError, KimiFormulaToolkit, KimiRequestError
from tests.langchain_kimi.conftest import SECRET

URIS = ["moonshot/convert:latest", "moonshot/web-search:latest", "moonshot/base64:latest"]


@pytest.fixture
def toolkit(kimi: KimiEmulator) -> Iterator[Callable[..., KimiFormulaToolkit]]:
    made = []

    def make(uris: Any = URIS, **options: Any) -> KimiFormulaToolkit:
        options = {"api_key": SECRET, "base_url": kimi.base_url, "max_retries": 0, **options}
        made.append(KimiFormulaToolkit(uris, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ask(text: str) -> Any:
    return {"messages": [{"role": "user", "content": text}]}


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    'Official tools ("Formula") are described and run by Moonshot, and called like any function.',
)
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6", "kimi-k2.7-code", "moonshot-v1-128k"])
@pytest.mark.parametrize(
    ("question", "said"),
    [("Convert 5 'km' to 'mile'.", "3.10686 mile"), ("Search the web for the capital of Norway", "Oslo")],
)
async def test_agents_run_official_tools(
    kimi: KimiEmulator, make: Any, toolkit: Any, model: str, asynchronous: bool, question: str, said: str
) -> None:
    tools = await toolkit().aget_tools() if asynchronous else toolkit().get_tools()
    agent = create_agent(make(model), tools)
    messages = (await agent.ainvoke(ask(question)) if asynchronous else agent.invoke(ask(question)))["messages"]
    assert said in messages[-1].content
    (answer,) = [message for message in messages if isinstance(message, ToolMessage)]
    assert [m["content"] for m in kimi.requests[-1].body["messages"] if m["role"] == "tool"] == [answer.content]


async def test_agents_stream_with_official_tools(make: Any, toolkit: Any) -> None:
    agent = create_agent(make(), toolkit().get_tools())
    chunks = agent.astream(ask("Search the web for the capital of Norway"), stream_mode="messages")
    text = "".join([str(chunk.content) async for chunk, _ in chunks])
    assert "Oslo" in text


def test_declarations_are_moonshots(kimi: KimiEmulator, make: Any, toolkit: Any) -> None:
    make().bind_tools(toolkit().get_tools()).invoke("Hello!")
    listed = [tool for uri in URIS for tool in emulated.list_tools(uri)["tools"]]
    assert kimi.requests[-1].body["tools"] == listed


@pytest.mark.says("docs/web-search-and-tools.md", "A run that fails is told to the model")
def test_failures_reach_the_model(kimi: KimiEmulator, make: Any, toolkit: Any) -> None:
    kimi.script(
        Reply(reasoning="r", tool_calls=[ToolCall("convert", {"value": "five"})]),
        Reply("I could not do that.", reasoning="r"),
    )
    messages = create_agent(make(), toolkit().get_tools()).invoke(ask("Convert five."))["messages"]
    assert messages[2].status == "error"
    assert messages[2].content == (
        "convert of moonshot/convert:latest failed: missing required argument: from_unit"
    )  # fmt: skip
    assert kimi.requests[-1].body["messages"][2]["content"] == messages[2].content


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_failures_are_handled_as_asked(toolkit: Any, asynchronous: bool) -> None:
    async def run(handle: Any) -> Any:
        tool = toolkit(handle_tool_error=handle).get_tools()[0]
        given = {"value": 1, "from_unit": "ell", "to_unit": "m"}
        return await tool.ainvoke(given) if asynchronous else tool.invoke(given)

    assert "unknown unit 'ell'" in await run(True)
    assert await run("Try metres.") == "Try metres."
    assert await run(lambda error: f"<{type(error).__name__}>") == "<ToolException>"
    with pytest.raises(ToolException, match="unknown unit 'ell'"):
        await run(False)


@pytest.mark.says("docs/web-search-and-tools.md", "a wrong key or an empty balance is raised")
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_wrong_key_is_langchains_error_and_ends_the_agent(toolkit: Any, asynchronous: bool) -> None:
    kit = toolkit()
    tool = kit.get_tools()[0]
    kit._formulas.connection._options["api_key"] = "wrong"
    kit.close()
    given = {"value": 1, "from_unit": "m", "to_unit": "m"}
    with pytest.raises(KimiAuthenticationError):
        await tool.ainvoke(given) if asynchronous else tool.invoke(given)
    other = toolkit(api_key="wrong")
    with pytest.raises(KimiAuthenticationError):
        await other.aget_tools() if asynchronous else other.get_tools()


def test_unknown_formulas(toolkit: Any) -> None:
    with pytest.raises(KimiFormulaError, match="Known ones are moonshot/base64:latest"):
        toolkit(["moonshot/nothing:latest"]).get_tools()
    with pytest.raises(ValueError, match="not the uri of a formula"):
        toolkit(["../files"])


def test_no_key_is_written_anywhere(toolkit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kit = toolkit(uris="moonshot/date:latest", api_key=SecretStr(SECRET), default_headers={"X-Secret": SECRET})
    (tool,) = kit.get_tools()
    written = [
        repr(kit),
        str(kit),
        kit.model_dump_json(),
        repr(tool),
        str(tool),
        str(tool.model_dump()),
        repr(tool._formulas),
    ]
    assert not [text for text in written if SECRET in text]
    assert kit.uris == ["moonshot/date:latest"]
    with pytest.raises(TypeError):
        pickle.dumps(tool)
    assert tool.metadata == {"formula": "moonshot/date:latest"}


def test_the_environment_is_asked(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMI_API_KEY", SECRET)
    monkeypatch.setenv("KIMI_BASE_URL", kimi.base_url)
    kit = KimiFormulaToolkit(uris=["moonshot/date:latest"])
    assert kit.get_tools()[0].invoke({"format": "%Z"}) == "UTC"
    assert kimi.requests[-1].had_key(SECRET)
    kit.close()


def test_errors_are_request_errors_too() -> None:
    with pytest.raises(ValueError) as caught:
        KimiFormulaToolkit(["x"], api_key="sk-x")
    assert issubclass(KimiRequestError, type(caught.value))
