"""Tools of MCP servers, in both frameworks: what a server may be, and what of it reaches the model."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="in no environment but that of the recipes")

import mcp.types as types
from langchain.agents import create_agent
from langchain_mcp_adapters.tools import load_mcp_tools
from llama_index.core.agent.workflow import FunctionAgent
from mcp.client.stdio import get_default_environment
from mcp.server.lowlevel import Server
from mcp.shared.memory import create_connected_server_and_client_session as connect

from kimi_emulator import KimiEmulator, RecordedRequest, Reply, ToolCall
from kimi_wire.errors import KimiRequestError
from langchain_kimi import ChatKimi, KimiToolSearchMiddleware
from llama_index_kimi import Kimi
from tests.examples import ROOT, Fence, fences, file_name, run_here
from tests.media_samples import PNG, b64
from tests.recipes.servers import serving

# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")

FENCES = fences((ROOT / "docs" / "recipes" / "mcp.md").read_text("utf-8"))
FILES = {file_name(fence.code): fence.code for fence in FENCES}
OVER_HTTP = next(fence for fence in FENCES if fence.compiled_only)

FILTER = {
    "type": "object",
    "properties": {"state": {"enum": ["open", "closed"]}, "also": {"$ref": "#/$defs/Filter"}},
    "required": ["state"],
}
TOOLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "empty": ({}, {}),
    "no_type": ({"properties": {"city": {"description": "A city."}}, "required": ["city"]}, {"city": "Oslo"}),
    "issues.search": (
        {"type": "object", "properties": {"filter": {"$ref": "#/$defs/Filter"}}, "$defs": {"Filter": FILTER}},
        {"filter": {"state": "open", "also": {"state": "closed"}}},
    ),
    "read/one of": (
        {
            "type": "object",
            "oneOf": [{"required": ["id"]}, {"required": ["pair"]}],
            "properties": {
                "id": {"oneOf": [{"type": "integer"}, {"type": "null"}]},
                "pair": {"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}]},
            },
        },
        {"pair": ["a", 1]},
    ),
    "n" * 150: ({"type": "object", "properties": {"x": {"type": "string", "format": "uri"}}}, {"x": "http://a.test"}),
}
RESULTS: dict[str, Any] = {
    "picture": [
        types.TextContent(type="text", text="A dot:"),
        types.ImageContent(type="image", data=b64(PNG), mimeType="image/png"),
    ],
    "failing": types.CallToolResult(content=[types.TextContent(type="text", text="no such shop")], isError=True),
    "table": ([types.TextContent(type="text", text="2 rows")], {"rows": [1, 2]}),
    "nothing": [],
    "inside": [
        types.EmbeddedResource(
            type="resource",
            resource=types.TextResourceContents(uri="file:///a.txt", text="inside", mimeType="text/plain"),
        )
    ],
}


def odd_server() -> Server[Any, Any]:
    """A server whose tools have odd names, schemas and results."""
    server: Server[Any, Any] = Server("odd")

    @server.list_tools()
    async def list_tools() -> list[types.Tool]:
        schemas = {
            **{name: schema for name, (schema, _) in TOOLS.items()},
            **{name: {"type": "object"} for name in RESULTS},
        }
        return [types.Tool(name=name, description="Odd.", inputSchema=schema) for name, schema in schemas.items()]

    @server.call_tool()
    async def call_tool(name: str, arguments: dict[str, Any]) -> Any:
        return RESULTS.get(name) if name in RESULTS else [types.TextContent(type="text", text=f"{name}: {arguments}")]

    return server


async def langchain_agent(kimi: KimiEmulator, session: Any) -> Any:
    """Let an agent of LangChain's answer, with the tools of a session; give the result's message."""
    model = ChatKimi(api_key="sk-test", base_url=kimi.base_url)
    agent = create_agent(model, await load_mcp_tools(session))
    return (await agent.ainvoke({"messages": [("user", "go")]}))["messages"]


async def llama_index_agent(kimi: KimiEmulator, session: Any) -> Any:
    """Let an agent of LlamaIndex's answer, with the tools of a session."""
    names: dict[str, Any] = {}
    exec(FILES["mcp_tools.py"], names)
    tools = await names["McpTools"](session).to_tool_list_async()
    return await FunctionAgent(tools=tools, llm=Kimi(api_key="sk-test", api_base=kimi.base_url)).run("go")


AGENTS = [langchain_agent, llama_index_agent]


def call_by_its_alias(name: str, arguments: dict[str, Any]) -> Any:
    """A step of a script: call a tool by the name that the request has for it."""
    place = [*TOOLS, *RESULTS].index(name)
    return lambda body: Reply(tool_calls=[ToolCall(body["tools"][place]["function"]["name"], arguments)])


async def answered(kimi: KimiEmulator, agent: Any, name: str, arguments: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Have an agent call a tool, and give what it says and the messages that the model saw after the call."""
    kimi.script(call_by_its_alias(name, arguments), Reply("Done."))
    async with connect(odd_server()) as session:
        said = await agent(kimi, session)
    assert [request.error for request in kimi.rejections] == []
    return said, kimi.requests[-1].body["messages"]


@pytest.mark.says(
    "docs/recipes/mcp.md",
    "a name that Kimi refuses (`stock.take`, `read/file`, more than 128 letters)",
    "calls, results and errors have the server's name again",
    "a schema with `$ref`, `oneOf`, tuples or formats, without `type`, or `{}`",
)
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("name", list(TOOLS))
async def test_any_name_and_any_schema_reaches_the_server(kimi: KimiEmulator, agent: Any, name: str) -> None:
    _, seen = await answered(kimi, agent, name, TOOLS[name][1])
    assert seen[-1]["role"] == "tool"
    assert seen[-1]["content"] == f"{name}: {TOOLS[name][1]}"


@pytest.mark.says(
    "docs/recipes/mcp.md",
    "In LangChain it is the tool message's `artifact`",
    "its text, or its picture",
    'In LangChain the message\'s status is "error", in LlamaIndex `tool_output.is_error`; the agent goes on',
)
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize(
    ("name", "text"), [("table", "2 rows"), ("nothing", ""), ("inside", "inside"), ("failing", "no such shop")]
)
async def test_results_are_what_the_server_said(kimi: KimiEmulator, agent: Any, name: str, text: str) -> None:
    said, seen = await answered(kimi, agent, name, {})
    assert text in seen[-1]["content"]
    assert "meta=None" not in seen[-1]["content"]
    if agent is langchain_agent:
        assert said[-2].status == ("error" if name == "failing" else "success")
        assert said[-2].artifact == ({"structured_content": {"rows": [1, 2]}} if name == "table" else None)
    else:
        assert said.tool_calls[0].tool_output.is_error is (name == "failing")


@pytest.mark.says("docs/recipes/mcp.md", "the same, the pictures in a message behind the results")
@pytest.mark.parametrize("agent", AGENTS)
async def test_pictures_are_shown(kimi: KimiEmulator, agent: Any) -> None:
    _, seen = await answered(kimi, agent, "picture", {})
    assert seen[-2]["content"].startswith("A dot:")
    assert [part["image_url"]["url"] for part in seen[-1]["content"] if part["type"] == "image_url"] == [
        f"data:image/png;base64,{b64(PNG)}"
    ]


@pytest.mark.says("docs/recipes/mcp.md", "`KimiToolSearchMiddleware(tools)` takes these as they are")
async def test_they_can_be_searched(kimi: KimiEmulator) -> None:
    def call_what_was_found(body: dict[str, Any]) -> Reply:
        found = [tool for message in body["messages"] for tool in message.get("tools", [])]
        return Reply(tool_calls=[ToolCall(found[0]["function"]["name"], {"filter": {"state": "open"}})])

    kimi.script(
        Reply(tool_calls=[ToolCall("search_tools", {"query": "issues search"})]), call_what_was_found, Reply("Done.")
    )
    async with connect(odd_server()) as session:
        middleware = KimiToolSearchMiddleware(await load_mcp_tools(session))
        model = ChatKimi(api_key="sk-test", base_url=kimi.base_url)
        result = await create_agent(model, [], middleware=[middleware]).ainvoke({"messages": [("user", "go")]})
    assert result["messages"][-2].text == "issues.search: {'filter': {'state': 'open'}}"
    assert kimi.rejections == []


@pytest.mark.says(
    "docs/recipes/mcp.md",
    "`agent.invoke(...)` ends with `NotImplementedError: StructuredTool does not support sync invocation.` when the model calls one.",
)
async def test_synchronous_agents_of_langchain_say_that_they_cannot(kimi: KimiEmulator) -> None:
    kimi.script(call_by_its_alias("empty", {}))
    async with connect(odd_server()) as session:
        agent = create_agent(ChatKimi(api_key="sk-test", base_url=kimi.base_url), await load_mcp_tools(session))
        with pytest.raises(NotImplementedError, match="does not support sync invocation"):
            await asyncio.to_thread(agent.invoke, {"messages": [("user", "go")]})


# Over HTTP, the server a process of its own.


@contextmanager
def shop(folder: Path) -> Iterator[str]:
    """Serve the page's shop from a process of its own; gives its address."""
    (folder / "shop.py").write_text(FILES["shop.py"], "utf-8")
    command = "import shop; shop.server.settings.port = {}; shop.server.run('streamable-http')"
    with serving(folder, lambda port: ["-c", command.format(port)]) as port:
        yield f"http://127.0.0.1:{port}/mcp"


def tool_results(requests: list[RecordedRequest]) -> list[str]:
    return [message["content"] for message in requests[-1].body["messages"] if message["role"] == "tool"]


# BasicMCPClient (llama-index-tools-mcp 0.4.8) makes an HTTP client and never closes it.
@pytest.mark.says("docs/recipes/mcp.md", "A server that runs elsewhere has an address in place of a command")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_a_server_far_away(kimi: KimiEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    with shop(tmp_path) as url:
        kimi.script(Reply(tool_calls=[ToolCall("photo", {"item": "lamp"})]), Reply("A lamp."))
        run_here([OVER_HTTP.code.replace("http://127.0.0.1:8000/mcp", url)], "mcp.md")
        assert kimi.requests[-1].body["messages"][-1]["content"][-1]["type"] == "image_url"
        kimi.reset()
        run_here([_at(_stdio_fence("FunctionAgent"), url, tmp_path)], "mcp.md")
        assert tool_results(kimi.requests) == ["2 of lamp left"]
        kimi.reset()
        run_here([_at(_stdio_fence("FunctionAgent"), url, tmp_path)], "mcp.md")
        assert tool_results(kimi.requests) == ["1 of lamp left"], "it is the same server"
    gc.collect()
    assert kimi.rejections == []


def _stdio_fence(word: str) -> Fence:
    return next(fence for fence in FENCES if word in fence.code and "sys.executable" in fence.code)


def _at(fence: Fence, url: str, folder: Path) -> str:
    """A fence with a server over stdio, as its comment says that it is with an address."""
    code = fence.code.replace('BasicMCPClient(sys.executable, args=["shop.py"])', f'BasicMCPClient("{url}")')
    assert url in code
    return code.replace("from mcp_tools import McpTools\n", FILES["mcp_tools.py"])


@pytest.mark.says("docs/recipes/mcp.md", "the same name on two servers", "more than 128 tools")
async def test_what_is_too_much_is_refused_before_it_is_sent(kimi: KimiEmulator) -> None:
    async with connect(odd_server()) as session:
        tools = await load_mcp_tools(session)
    chat = ChatKimi(api_key="sk-test", base_url=kimi.base_url)
    many = [tools[0].model_copy(update={"name": f"tool_{number}"}) for number in range(129)]
    for refused in ([*tools, *tools], many):
        with pytest.raises(KimiRequestError):
            await chat.bind_tools(refused).ainvoke("go")
    assert kimi.requests == []


@pytest.mark.says(
    "docs/recipes/mcp.md", "The server's process gets neither the key of Kimi nor the rest of the environment"
)
def test_a_servers_environment_has_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    assert "MOONSHOT_API_KEY" not in get_default_environment()
    assert "PATH" in get_default_environment()
