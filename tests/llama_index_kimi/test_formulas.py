"""Official tools in LlamaIndex's agents."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ReActAgent
from llama_index.core.tools.calling import acall_tool, call_tool

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_emulator.sealed import BEGIN
from kimi_emulator.services import formulas as emulated
from kimi_wire.errors import KimiAuthenticationError
from llama_index_kimi import Kimi, KimiFormulaError, KimiFormulaToolSpec, KimiRequestError

Make = Callable[..., Kimi]
KEY = "sk-secret-0123456789"
URIS = ["moonshot/convert:latest", "moonshot/web-search:latest", "moonshot/base64:latest"]

# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
# Core's ReActAgent asks for `Context.is_running` in a step, which the same package deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
]


@pytest.fixture
def spec(kimi: KimiEmulator) -> Iterator[Callable[..., KimiFormulaToolSpec]]:
    made = []

    def make(uris: Any = URIS, **options: Any) -> KimiFormulaToolSpec:
        made.append(
            KimiFormulaToolSpec(uris, **{"api_key": KEY, "api_base": kimi.base_url, "max_retries": 0, **options})
        )
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    'Official tools ("Formula") are described and run by Moonshot, and called like any function.',
)
@pytest.mark.slow
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6", "kimi-k2.7-code", "moonshot-v1-128k"])
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("question", "said"),
    [("Convert 5 'km' to 'mile'.", "3.10686 mile"), ("Search the web for the capital of Norway", "Oslo")],
)
async def test_agents_run_official_tools(
    kimi: KimiEmulator, llm: Make, spec: Any, model: str, streaming: bool, question: str, said: str
) -> None:
    agent = FunctionAgent(tools=await spec().to_tool_list_async(), llm=llm(model), streaming=streaming)
    output = await agent.run(question)
    assert said in str(output)
    (call,) = output.tool_calls
    assert [m["content"] for m in kimi.requests[-1].body["messages"] if m["role"] == "tool"] == [
        call.tool_output.content
    ]
    assert call.tool_output.raw_output == call.tool_output.content


async def test_workflows_and_react_agents(kimi: KimiEmulator, llm: Make, spec: Any) -> None:
    tools = spec().to_tool_list()
    agent = FunctionAgent(name="a", description="d", tools=tools, llm=llm())
    assert "3.10686" in str(await AgentWorkflow(agents=[agent]).run("Convert 5 'km' to 'mile'."))
    given = '{"value": 5, "from_unit": "km", "to_unit": "mile"}'
    kimi.script(
        Reply(f"Thought: I need a tool.\nAction: convert\nAction Input: {given}"),
        lambda body: Reply(f"Thought: I know.\nAnswer: {body['messages'][-1]['content']}"),
    )
    assert "3.10686" in str(await ReActAgent(tools=tools, llm=llm()).run("Convert 5 'km' to 'mile'."))


def test_declarations_are_moonshots(kimi: KimiEmulator, llm: Make, spec: Any) -> None:
    tools = spec().to_tool_list()
    llm().chat_with_tools(tools, "Hello!")
    listed = [tool for uri in URIS for tool in emulated.list_tools(uri)["tools"]]
    assert kimi.requests[-1].body["tools"] == listed
    assert [tool.metadata.get_parameters_dict() for tool in tools] == [t["function"]["parameters"] for t in listed]
    assert json.loads(tools[0].metadata.fn_schema_str) == listed[0]["function"]["parameters"]


async def test_failures_reach_the_model(kimi: KimiEmulator, llm: Make, spec: Any) -> None:
    kimi.script(
        Reply(reasoning="r", tool_calls=[ToolCall("convert", {"value": "five"})]),
        Reply("I could not do that.", reasoning="r"),
    )
    output = await FunctionAgent(tools=spec().to_tool_list(), llm=llm()).run("Convert five.")
    failed = output.tool_calls[0].tool_output
    assert failed.is_error
    assert isinstance(failed.exception, KimiFormulaError)
    assert failed.content == "Error: convert of moonshot/convert:latest failed: missing required argument: from_unit"
    assert kimi.requests[-1].body["messages"][2]["content"] == failed.content


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_the_ways_core_calls_tools(llm: Make, spec: Any, asynchronous: bool) -> None:
    convert, search, encode, _ = spec().to_tool_list()
    for tool, given, said in (
        (search, {"query": "capital of Norway"}, BEGIN),
        (encode, {"data": "abc"}, "YWJj"),
        (convert, {"value": 1, "from_unit": "km", "to_unit": "m"}, "1000 m"),
    ):
        output = await acall_tool(tool, given) if asynchronous else call_tool(tool, given)
        assert output.content.startswith(said)
        assert (output.raw_input, output.is_error) == (given, False)
    assert (await encode.acall("abc") if asynchronous else encode("abc")).content == "YWJj"
    assert "YWJj" in str(llm().predict_and_call([encode], "base64_encode 'abc'"))
    failed = await convert.acall(1) if asynchronous else convert(1)
    assert failed.is_error


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_a_wrong_key_is_no_result(kimi: KimiEmulator, spec: Any, asynchronous: bool) -> None:
    made = spec()
    tool = made.to_tool_list()[0]
    made._formulas.connection._options["api_key"] = "wrong"
    made.close()
    with pytest.raises(KimiAuthenticationError):
        await tool.acall(value=1) if asynchronous else tool(value=1)
    kimi.reset()


def test_unknown_formulas(kimi: KimiEmulator, spec: Any) -> None:
    with pytest.raises(KimiFormulaError, match="Known ones are moonshot/base64:latest"):
        spec(["moonshot/nothing:latest"]).to_tool_list()
    kimi.reset()
    with pytest.raises(KimiRequestError, match="not the uri of a formula"):
        spec(["../files"])


def test_no_key_is_written_anywhere(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", KEY)
    made = KimiFormulaToolSpec(uris=["moonshot/date:latest"], base_url=kimi.base_url)
    (tool,) = made.to_tool_list()
    assert tool(format="%Z").content == "UTC"
    assert kimi.requests[-1].had_key(KEY)
    assert not [text for text in (repr(made), repr(tool), repr(tool.metadata), repr(made._formulas)) if KEY in text]
    with pytest.raises(TypeError):
        pickle.dumps(tool)
    made.close()
