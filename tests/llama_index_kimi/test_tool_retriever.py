"""An agent over hundreds of tools, of which a retriever finds those for each question."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.objects import ObjectRetriever, SimpleToolNodeMapping
from llama_index.core.tools import FunctionTool
from llama_index.retrievers.bm25 import BM25Retriever

from kimi_emulator import KimiEmulator, Reply, ToolCall
from llama_index_kimi import Kimi

Make = Callable[..., Kimi]

# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning"),
    pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Skipping serialization of known unserializable key"),
]

THINGS = ["invoice", "weather", "issue", "flight", "recipe", "ticket", "contract", "parcel", "photo", "song"]
DEEDS = ["create", "find", "delete", "update", "list", "archive", "share", "count", "rename", "export"]


def make_tool(server: str, deed: str, thing: str) -> FunctionTool:
    def act(target: str) -> str:
        return f"{server} did {deed} {thing} for {target}."

    about = f"{deed.title()} one {thing} on the server {server}."
    return FunctionTool.from_defaults(act, name=f"{server}_{deed}_{thing}", description=about)


TOOLS = [make_tool(server, deed, thing) for server in ("alpha", "beta", "gamma") for deed in DEEDS for thing in THINGS]


@pytest.fixture(scope="module")
def retriever() -> ObjectRetriever[Any]:
    mapping = SimpleToolNodeMapping.from_objects(TOOLS)
    nodes = [mapping.to_node(tool) for tool in TOOLS]
    return ObjectRetriever(BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=12), mapping)


def declared(kimi: KimiEmulator) -> list[list[str]]:
    return [[tool["function"]["name"] for tool in request.body["tools"]] for request in kimi.requests]


@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6"])
@pytest.mark.parametrize("workflow", [False, True])
async def test_no_request_has_more_tools_than_kimi_takes(
    kimi: KimiEmulator, llm: Make, retriever: ObjectRetriever[Any], model: str, workflow: bool
) -> None:
    agent: Any = FunctionAgent(tool_retriever=retriever, llm=llm(model), tools=[])
    agent = AgentWorkflow(agents=[agent]) if workflow else agent
    memory = ChatMemoryBuffer.from_defaults(llm=llm(model))
    kimi.script(Reply(tool_calls=[ToolCall("beta_create_invoice", {"target": "Ada"})]), Reply("Done."))
    output = await agent.run("Create an invoice for Ada with beta.", memory=memory)
    assert output.tool_calls[0].tool_output.content == "beta did create invoice for Ada."
    kimi.script(Reply(tool_calls=[ToolCall("gamma_share_photo", {"target": "Bob"})]), Reply("Shared."))
    output = await agent.run("Share a photo with Bob with gamma.", memory=memory)
    assert str(output) == "Shared."
    first, same, second, again = declared(kimi)
    assert len(first) == len(second) == 12
    assert (first, second) == (same, again), "within a run the cache hits"
    assert first != second, "a new question begins with other tools, and so does the prompt"
    bodies = [request.body["messages"] for request in kimi.requests]
    for earlier, later in itertools.pairwise(bodies):
        assert json.dumps(later[: len(earlier)]) == json.dumps(earlier)


@pytest.mark.says("docs/web-search-and-tools.md", 'one that does not find a tool by its name has it "not found"')
async def test_a_tool_that_the_retriever_does_not_find_by_its_name_is_not_run(
    kimi: KimiEmulator, llm: Make, retriever: ObjectRetriever[Any]
) -> None:
    """LlamaIndex asks the retriever for a call's tool by the tool's name."""
    kimi.script(Reply(tool_calls=[ToolCall("delta_create_invoice", {"target": "Ada"})]), Reply("Sorry."))
    agent = FunctionAgent(tool_retriever=retriever, llm=llm(), tools=[])
    output: Any = await agent.run("Create an invoice for Ada with delta.")
    assert output.tool_calls[0].tool_output.is_error
    assert str(output) == "Sorry."
