"""Tools with any name, and calls as models write them, through both adapters in all four ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import StructuredTool
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import FunctionTool

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from kimi_wire.errors import KimiBadRequestError
from kimi_wire.requests.names import alias_of
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

WAYS = ("whole", "awhole", "stream", "astream")
ADAPTERS = ("langchain", pytest.param("langchain v1", marks=pytest.mark.deep), "llama_index")
NAMES = ["a.b", "a_b", "a/b", "查询", "天气", "21st_magic", "_private", "get weather", "n" * 150]


def look(q: str = "") -> str:
    """Look it up."""
    return f"found {q}"


@dataclass
class Talk:
    """A conversation in one adapter's objects, and one way to go on with it."""

    adapter: str
    way: str
    model: Any
    tools: list[Any]
    history: list[Any]

    async def say(self, text: str, **settings: Any) -> list[tuple[str, Any, str]]:
        """Ask, and take the answer into the history; gives the calls."""
        self.history.append(HumanMessage(text) if self._is_langchain else ChatMessage(text))
        answer = await (self._ask_langchain(settings) if self._is_langchain else self._ask_llama_index(settings))
        if isinstance(answer, AIMessage):
            self.history.append(answer)
            return [(call["name"], call["args"], str(call["id"])) for call in answer.tool_calls]
        self.history.append(answer.message)
        calls = self.model.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        return [(call.tool_name, call.tool_kwargs, call.tool_id) for call in calls]

    def answer(self, name: str, call_id: str, text: str = "done") -> None:
        """Answer a call."""
        if self._is_langchain:
            self.history.append(ToolMessage(text, tool_call_id=call_id, name=name))
        else:
            extra = {"tool_call_id": call_id, "name": name}
            self.history.append(ChatMessage(role="tool", content=text, additional_kwargs=extra))

    @property
    def _is_langchain(self) -> bool:
        return self.adapter != "llama_index"

    async def _ask_langchain(self, settings: dict[str, Any]) -> Any:
        model = self.model.bind_tools(self.tools, **settings)
        if self.way == "whole":
            return model.invoke(self.history)
        if self.way == "awhole":
            return await model.ainvoke(self.history)
        stream = model.stream(self.history) if self.way == "stream" else None
        chunks = list(stream) if stream else [chunk async for chunk in model.astream(self.history)]
        total = chunks[0]
        for chunk in chunks[1:]:
            total = total + chunk
        assert isinstance(total, AIMessageChunk)
        return total

    async def _ask_llama_index(self, settings: dict[str, Any]) -> Any:
        asked = {"tools": self.tools, "chat_history": self.history, "allow_parallel_tool_calls": True, **settings}
        if self.way == "whole":
            return self.model.chat_with_tools(**asked)
        if self.way == "awhole":
            return await self.model.achat_with_tools(**asked)
        if self.way == "stream":
            return list(self.model.stream_chat_with_tools(**asked))[-1]
        return [chunk async for chunk in await self.model.astream_chat_with_tools(**asked)][-1]


Begin = Callable[..., Talk]


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def begin(kimi: KimiEmulator, adapter: str, way: str) -> Begin:
    def begin(functions: dict[str, Callable[..., Any]], **settings: Any) -> Talk:
        settings = {"model": "kimi-k3", "api_key": "sk-test", "base_url": kimi.base_url, "max_retries": 0, **settings}
        if adapter == "llama_index":
            tools = [FunctionTool.from_defaults(function, name=name) for name, function in functions.items()]
            return Talk(adapter, way, Kimi(**settings), tools, [])
        if adapter == "langchain v1":
            settings["output_version"] = "v1"
        named = [StructuredTool.from_function(function, name=name) for name, function in functions.items()]
        return Talk(adapter, way, ChatKimi(**settings), named, [])

    return begin


@pytest.mark.says("docs/web-search-and-tools.md", "any other name travels as what of it is ASCII and a hash")
@pytest.mark.says(
    "docs/errors.md", "such a tool travels under another name, and is its own again in answers and errors"
)
@pytest.mark.parametrize("way", WAYS)
async def test_a_tool_of_any_name_is_called_and_answered(kimi: KimiEmulator, begin: Begin, way: str) -> None:
    talk = begin(dict.fromkeys(NAMES, look))
    wire = [alias_of(name) if name != "a_b" else name for name in NAMES]
    kimi.script(Reply(tool_calls=[ToolCall(name, {"q": name}) for name in wire], chunk_size=3), Reply("Done."))
    calls = await talk.say("Look!")
    assert [(name, args) for name, args, _ in calls] == [
        (own, {"q": sent}) for own, sent in zip(NAMES, wire, strict=True)
    ]
    for name, _, call_id in calls:
        talk.answer(name, call_id)
    await talk.say("And?")
    first, second = kimi.requests
    assert first.body["tools"] == second.body["tools"]
    assert [tool["function"]["name"] for tool in first.body["tools"]] == wire
    assert [call["function"]["name"] for call in second.body["messages"][1]["tool_calls"]] == wire


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6", "kimi-k2.7-code"])
async def test_a_tool_of_any_name_can_be_forced(kimi: KimiEmulator, begin: Begin, way: str, model: str) -> None:
    talk = begin({"a.b": look, "查询": look}, model=model)
    assert [call[0] for call in await talk.say("What is it?", tool_choice="查询")] == ["查询"]
    assert not kimi.requests[-1].rejected
    assert {call[0] for call in await begin({"a/b": look}, model=model).say("Look!", tool_choice="any")} == {"a/b"}


@pytest.mark.parametrize("way", WAYS)
async def test_an_error_speaks_of_a_tool_by_its_own_name(kimi: KimiEmulator, begin: Begin, way: str) -> None:
    talk = begin({"a.b": look})
    kimi.script(Failure(400, f"function name {alias_of('a.b')} is odd"))
    with pytest.raises(KimiBadRequestError, match=r"function name a\.b is odd") as caught:
        await talk.say("Look!")
    assert alias_of("a.b") not in str(caught.value.body) + caught.value.response.text
    kimi.script(Reply("Half an answer", error_after=2, error=Failure(400, f"{alias_of('a.b')} is odd")))
    if way.endswith("stream"):
        with pytest.raises(KimiBadRequestError, match=r"^a\.b is odd"):
            await talk.say("Look!")


@pytest.mark.parametrize("way", WAYS)
async def test_a_tool_of_any_name_is_loaded_by_a_message(
    kimi: KimiEmulator, begin: Begin, adapter: str, way: str
) -> None:
    talk = begin({"look": look})
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    extra = {"tools": [{"type": "function", "function": {"name": "a.b", "parameters": schema}}]}
    if adapter == "llama_index":
        talk.history.append(ChatMessage(role="system", content=None, additional_kwargs=extra))
    else:
        talk.history.append(SystemMessage("", additional_kwargs=extra))
    kimi.script(Reply(tool_calls=[ToolCall(alias_of("a.b"))]))
    assert [call[0] for call in await talk.say("Look!")] == ["a.b"]


def plan(todos: list[dict[str, str]], note: str = "") -> str:
    """Plan."""
    return f"{todos} {note}"


TWICE = '{"todos": "[{\\"title\\": \\"a\\"}]", "note": "[\\"a\\"]"}'


@pytest.mark.parametrize("way", WAYS)
async def test_arguments_that_are_encoded_twice_are_decoded(kimi: KimiEmulator, begin: Begin, way: str) -> None:
    talk = begin({"plan": plan})
    kimi.script(Reply(tool_calls=[ToolCall("plan", TWICE)], chunk_size=3), Reply("Done."))
    [(name, arguments, call_id)] = await talk.say("Plan!")
    assert (name, arguments) == ("plan", {"todos": [{"title": "a"}], "note": '["a"]'})
    talk.answer(name, call_id)
    await talk.say("And?")
    assert kimi.requests[-1].body["messages"][1]["tool_calls"][0]["function"]["arguments"] == TWICE


@pytest.mark.says(
    "docs/web-search-and-tools.md",
    "A call whose id the conversation has already gets the next free number when the answer is read",
)
@pytest.mark.says("docs/errors.md", "numbered when the answer is read, and on the wire")
@pytest.mark.parametrize("way", WAYS)
async def test_ids_that_come_again_are_made_unique(kimi: KimiEmulator, begin: Begin, way: str) -> None:
    talk = begin({"look": look})
    found = []
    for answer in ("look:0", "look:0", "fresh", "look:0"):
        kimi.script(Reply(tool_calls=[ToolCall("look", id=answer)]))
        [(name, _, call_id)] = await talk.say("Look!")
        talk.answer(name, call_id)
        found.append(call_id)
    assert found == ["look:0", "look:1", "fresh", "look:2"]
    kimi.script(Reply(tool_calls=[ToolCall("look", id="a"), ToolCall("look", id="a")]), Reply("Done."))
    calls = await talk.say("Look!")
    assert [call_id for _, _, call_id in calls] == ["a", "a_1"]
    for name, _, call_id in calls:
        talk.answer(name, call_id)
    await talk.say("And?")
    sent = [call["id"] for message in kimi.requests[-1].body["messages"] for call in message.get("tool_calls", ())]
    assert sent == [*found, "a", "a_1"]
