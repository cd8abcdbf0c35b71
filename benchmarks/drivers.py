"""How each framework is asked, in the words its users write.

Every driver has the same methods. Each returns how many characters of text or arguments came out, which the worker
compares with what the server sent: nobody is fast by leaving things out.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any
from unittest import mock

from benchmarks.contestants import COMMON_ARGUMENTS, Contestant
from benchmarks.server import MODEL, TOOL

SYSTEM = "You are a careful assistant. Use the tools."
QUESTION = "What is the capital of France?"
REASONING = "The user wants the next file to be written, so the tool has to be called with its text. " * 6
ARGUMENTS = {"path": "src/package/module.py", "text": "def add(a: int, b: int) -> int:\n    return a + b\n" * 3}
RESULT = "written: 153 bytes to src/package/module.py; the tests pass; nothing else has changed. " * 5


def describe_tool(index: int) -> dict[str, Any]:
    """A tool declaration as it comes out of a Pydantic model: nested, with references and keywords to rewrite."""
    step = {
        "type": "object",
        "title": "Step",
        "properties": {
            "kind": {"const": "step", "default": "step"},
            "name": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 40},
            "weight": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}], "default": None},
        },
        "required": ["name"],
    }
    parameters = {
        "type": "object",
        "title": f"Arguments{index}",
        "$defs": {"Step": step},
        "properties": {
            "path": {"type": "string", "format": "uri", "description": "Where to."},
            "mode": {"enum": ["read", "write"]},
            "steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}, "minItems": 1},
            "first": {"allOf": [{"$ref": "#/$defs/Step"}], "description": "The first step."},
        },
        "required": ["path", "steps"],
    }
    function = {"name": f"tool_{index}", "description": "Does one thing.", "parameters": parameters}
    return {"type": "function", "function": function}


class Driver(ABC):
    """Asks one object of one contestant.

    Args:
        contestant: Whom to make.
        base_url: The root whose answers are wanted.
    """

    def __init__(self, contestant: Contestant, base_url: str) -> None:
        self.model = contestant.make(base_url)
        self.contestant = contestant
        self.base_url = base_url
        self._conversations: dict[int, Any] = {}
        self._tools_made = 0
        self._over_httpx: Driver | None = None

    def conversation(self, turns: int) -> Any:
        """A conversation with `turns` tool-call turns, made once."""
        if turns not in self._conversations:
            self._conversations[turns] = self.render_conversation(turns)
        return self._conversations[turns]

    @abstractmethod
    def render_conversation(self, turns: int) -> Any:
        """A system prompt, a question, `turns` times thinking, a call and its result, and a question."""

    @abstractmethod
    def invoke(self, messages: Any) -> int:
        """One whole answer."""

    @abstractmethod
    async def ainvoke(self, messages: Any) -> int:
        """The same, asynchronously."""

    @abstractmethod
    def stream(self, messages: Any) -> int:
        """One streamed answer; each piece is looked at and dropped."""

    @abstractmethod
    async def astream(self, messages: Any) -> int:
        """The same, asynchronously."""

    def events(self, messages: Any) -> int:
        """One streamed answer as events of the framework's, where it has any."""
        return self.stream(messages)

    @abstractmethod
    def stream_sum(self, messages: Any) -> int:
        """One streamed answer, whole in the end as the framework's users make it whole."""

    @abstractmethod
    def invoke_tools(self, messages: Any, tools: list[dict[str, Any]]) -> int:
        """One whole answer of a model that was given tools."""

    def invoke_new_tools(self, messages: Any, count: int) -> int:
        """One whole answer of a model that was given tools which nobody has seen before."""
        tools = [describe_tool(self._tools_made + index) for index in range(count)]
        self._tools_made += count
        return self.invoke_tools(messages, tools)

    async def concurrent(self, messages: Any, calls: int, at_once: int) -> int:
        """Many answers, `at_once` of them at a time."""
        free = asyncio.Semaphore(at_once)

        async def ask() -> int:
            async with free:
                return await self.ainvoke(messages)

        return sum(await asyncio.gather(*(ask() for _ in range(calls))))

    async def concurrent_httpx(self, messages: Any, calls: int, at_once: int) -> int:
        """The same over httpx, also where the extra `aiohttp` is installed, with connections of its own."""
        if self._over_httpx is None:
            self._over_httpx = type(self)(self.contestant, self.base_url)
        with mock.patch("kimi_wire.transport.aiohttp.is_usable", return_value=False):
            return await self._over_httpx.concurrent(messages, calls, at_once)


class OpenAIDriver(Driver):
    """The SDK's typed methods."""

    def __init__(self, contestant: Contestant, base_url: str) -> None:
        """Make the synchronous client; the asynchronous one is another class."""
        super().__init__(contestant, base_url)
        self._asynchronous: Any = None

    def _async_client(self) -> Any:
        import openai

        if self._asynchronous is None:
            self._asynchronous = openai.AsyncOpenAI(base_url=self.base_url, **COMMON_ARGUMENTS)
        return self._asynchronous

    def render_conversation(self, turns: int) -> Any:
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": QUESTION},
        ]
        for index in range(turns):
            call = {
                "id": f"{TOOL}:{index}",
                "type": "function",
                "function": {"name": TOOL, "arguments": json.dumps(ARGUMENTS)},
            }
            messages.append({"role": "assistant", "content": "", "reasoning_content": REASONING, "tool_calls": [call]})
            messages.append({"role": "tool", "tool_call_id": f"{TOOL}:{index}", "content": RESULT})
        return [*messages, {"role": "user", "content": QUESTION}] if turns else messages

    def invoke(self, messages: Any) -> int:
        completion = self.model.chat.completions.create(model=MODEL, messages=messages)
        return len(completion.choices[0].message.content)

    async def ainvoke(self, messages: Any) -> int:
        completion = await self._async_client().chat.completions.create(model=MODEL, messages=messages)
        return len(completion.choices[0].message.content)

    def stream(self, messages: Any) -> int:
        return sum(map(len, self._texts(messages)))

    async def astream(self, messages: Any) -> int:
        stream = await self._async_client().chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        return sum([len(_chunk_text(chunk)) async for chunk in stream])

    def stream_sum(self, messages: Any) -> int:
        return len("".join(self._texts(messages)))

    def _texts(self, messages: Any) -> Iterator[str]:
        stream = self.model.chat.completions.create(
            model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
        )
        return map(_chunk_text, stream)

    def invoke_tools(self, messages: Any, tools: list[dict[str, Any]]) -> int:
        completion = self.model.chat.completions.create(model=MODEL, messages=messages, tools=tools)
        return len(completion.choices[0].message.content)


def _chunk_text(chunk: Any) -> str:
    if not chunk.choices:
        return ""
    delta = chunk.choices[0].delta
    if delta.tool_calls:
        return delta.tool_calls[0].function.arguments or ""
    return delta.content or ""


class LangChainDriver(Driver):
    """`BaseChatModel`: what comes out of `stream` are messages, and their sum is a message."""

    def render_conversation(self, turns: int) -> Any:
        from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

        messages: list[Any] = [SystemMessage(SYSTEM), HumanMessage(QUESTION)]
        for index in range(turns):
            call_id = f"{TOOL}:{index}"
            calls = [{"name": TOOL, "args": ARGUMENTS, "id": call_id}]
            messages.append(AIMessage("", additional_kwargs={"reasoning_content": REASONING}, tool_calls=calls))
            messages.append(ToolMessage(RESULT, tool_call_id=call_id))
        return [*messages, HumanMessage(QUESTION)] if turns else messages

    def invoke(self, messages: Any) -> int:
        return len(self.model.invoke(messages).content)

    async def ainvoke(self, messages: Any) -> int:
        return len((await self.model.ainvoke(messages)).content)

    def stream(self, messages: Any) -> int:
        return sum(_message_length(chunk) for chunk in self.model.stream(messages))

    async def astream(self, messages: Any) -> int:
        return sum([_message_length(chunk) async for chunk in self.model.astream(messages)])

    def events(self, messages: Any) -> int:
        deltas = (event.get("delta", {}) for event in self.model.stream_events(messages, version="v3"))
        return sum(len(delta.get("text") or delta.get("args") or "") for delta in deltas)

    def stream_sum(self, messages: Any) -> int:
        chunks = self.model.stream(messages)
        whole = next(chunks)
        for chunk in chunks:
            whole = whole + chunk
        return _message_length(whole)

    def invoke_tools(self, messages: Any, tools: list[dict[str, Any]]) -> int:
        return len(self.model.bind_tools(tools).invoke(messages).content)


def _message_length(message: Any) -> int:
    return len(message.content) + sum(len(piece["args"] or "") for piece in message.tool_call_chunks)


class LlamaIndexDriver(Driver):
    """`LLM`: what comes out of `stream_chat` are responses, each with everything so far."""

    def render_conversation(self, turns: int) -> Any:
        from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock, ToolCallBlock

        messages = [ChatMessage(role="system", content=SYSTEM), ChatMessage(role="user", content=QUESTION)]
        for index in range(turns):
            call_id = f"{TOOL}:{index}"
            call = ToolCallBlock(tool_call_id=call_id, tool_name=TOOL, tool_kwargs=json.dumps(ARGUMENTS))
            messages.append(ChatMessage(role="assistant", blocks=[ThinkingBlock(content=REASONING), call]))
            extra = {"tool_call_id": call_id}
            messages.append(ChatMessage(role="tool", blocks=[TextBlock(text=RESULT)], additional_kwargs=extra))
        return [*messages, ChatMessage(role="user", content=QUESTION)] if turns else messages

    def invoke(self, messages: Any) -> int:
        return len(self.model.chat(messages).message.content or "")

    async def ainvoke(self, messages: Any) -> int:
        return len((await self.model.achat(messages)).message.content or "")

    def stream(self, messages: Any) -> int:
        length, response = 0, None
        for response in self.model.stream_chat(messages):
            length += len(response.delta or "")
        return length + _calls_length(response)

    async def astream(self, messages: Any) -> int:
        length, response = 0, None
        async for response in await self.model.astream_chat(messages):
            length += len(response.delta or "")
        return length + _calls_length(response)

    def stream_sum(self, messages: Any) -> int:
        return self.stream(messages)

    def invoke_tools(self, messages: Any, tools: list[dict[str, Any]]) -> int:
        return len(self.model.chat(messages, tools=tools).message.content or "")


def _calls_length(response: Any) -> int:
    from llama_index.core.base.llms.types import ToolCallBlock

    calls = [block.tool_kwargs for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    return sum(len(arguments if isinstance(arguments, str) else json.dumps(arguments)) for arguments in calls)


DRIVERS: dict[str, type[Driver]] = {
    "openai": OpenAIDriver,
    "langchain": LangChainDriver,
    "llama_index": LlamaIndexDriver,
}
