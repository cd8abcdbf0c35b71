"""An LLM that is not ours: what anybody writes for a server that speaks OpenAI's protocol.

It is written for the tests, so that each broken LLM of broken.py differs from a whole one in one place. It does little: no
thinking, no images, nothing of any one server. A published class is in test_conformance_openai_like.py.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.bridge.pydantic import Field
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.utils import parse_partial_json
from openai import AsyncOpenAI, OpenAI


class PlainLLM(FunctionCallingLLM):
    """A client of `/chat/completions`."""

    model: str
    api_base: str
    api_key: str = Field(exclude=True, repr=False)

    @classmethod
    def class_name(cls) -> str:
        return cls.__name__

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(
            context_window=100_000, is_chat_model=True, is_function_calling_model=True, model_name=self.model
        )

    def _client(self, kind: Any) -> Any:
        return kind(api_key=self.api_key, base_url=self.api_base, max_retries=0)

    def _body(self, messages: Sequence[ChatMessage], given: dict[str, Any]) -> dict[str, Any]:
        return {"model": self.model, "messages": [self._render(message) for message in messages], **given}

    def _render(self, message: ChatMessage) -> dict[str, Any]:
        calls = [
            {
                "id": block.tool_call_id,
                "type": "function",
                "function": {"name": block.tool_name, "arguments": block.tool_kwargs},
            }
            for block in message.blocks
            if isinstance(block, ToolCallBlock)
        ]
        rendered: dict[str, Any] = {"role": message.role.value, "content": message.content or (None if calls else "")}
        if calls:
            rendered["tool_calls"] = calls
        if message.role.value == "tool":
            rendered["tool_call_id"] = message.additional_kwargs["tool_call_id"]
        return rendered

    def _response(self, text: str, calls: list[list[str]], usage: Any, delta: str | None = None) -> ChatResponse:
        blocks: list[Any] = [TextBlock(text=text)] if text else []
        blocks += [ToolCallBlock(tool_call_id=id, tool_name=name, tool_kwargs=given) for id, name, given in calls]
        extra = {"tool_calls": [{"id": call[0]} for call in calls]} if calls else {}
        message = ChatMessage(role="assistant", blocks=blocks, additional_kwargs=extra)
        return ChatResponse(message=message, raw={"usage": usage and usage.model_dump()}, delta=delta)

    def _whole(self, answer: Any) -> ChatResponse:
        message = answer.choices[0].message
        calls = [[call.id, call.function.name, call.function.arguments] for call in message.tool_calls or ()]
        return self._response(message.content or "", calls, answer.usage)

    def _add(self, sum_: dict[str, Any], chunk: Any) -> ChatResponse:
        delta = chunk.choices[0].delta if chunk.choices else None
        text = (delta and delta.content) or ""
        sum_["text"] += text
        for piece in (delta and delta.tool_calls) or ():
            if piece.index == len(sum_["calls"]):
                sum_["calls"].append([piece.id, piece.function.name, ""])
            sum_["calls"][piece.index][2] += piece.function.arguments or ""
        return self._response(sum_["text"], sum_["calls"], chunk.usage, text)

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        with self._client(OpenAI) as client:
            return self._whole(client.chat.completions.create(**self._body(messages, kwargs)))

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        async with self._client(AsyncOpenAI) as client:
            return self._whole(await client.chat.completions.create(**self._body(messages, kwargs)))

    def _stream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Generator[ChatResponse, None, None]:
        sum_: dict[str, Any] = {"text": "", "calls": []}
        streamed = {"stream": True, "stream_options": {"include_usage": True}, **kwargs}
        with self._client(OpenAI) as client, client.chat.completions.create(**self._body(messages, streamed)) as chunks:
            for chunk in chunks:
                yield self._add(sum_, chunk)

    async def _astream(self, messages: Sequence[ChatMessage], **kwargs: Any) -> AsyncGenerator[ChatResponse, None]:
        sum_: dict[str, Any] = {"text": "", "calls": []}
        streamed = {"stream": True, "stream_options": {"include_usage": True}, **kwargs}
        async with self._client(AsyncOpenAI) as client:
            async for chunk in await client.chat.completions.create(**self._body(messages, streamed)):
                yield self._add(sum_, chunk)

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._chat(messages, **kwargs)

    @llm_chat_callback()
    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await self._achat(messages, **kwargs)

    @llm_chat_callback()
    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self._stream(messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> Any:
        return self._astream(messages, **kwargs)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return _completion(self._chat([ChatMessage(content=prompt)], **kwargs))

    @llm_completion_callback()
    async def acomplete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return _completion(await self._achat([ChatMessage(content=prompt)], **kwargs))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return (_completion(response) for response in self._stream([ChatMessage(content=prompt)], **kwargs))

    @llm_completion_callback()
    async def astream_complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> Any:
        return (_completion(response) async for response in self._astream([ChatMessage(content=prompt)], **kwargs))

    def _prepare_chat_with_tools(  # type: ignore[override]
        self,
        tools: Any,
        user_msg: Any = None,
        chat_history: Any = None,
        verbose: bool = False,
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        asked = [ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg] if user_msg else []
        named = [tool for tool in tools if tool.metadata.name == tool_choice]
        prepared: dict[str, Any] = {"messages": [*(chat_history or ()), *asked], **kwargs}
        if tools:
            prepared["tools"] = [tool.metadata.to_openai_tool() for tool in named or tools]
            prepared["tool_choice"] = "required" if tool_required or named else "auto"
        return prepared

    def _validate_chat_with_tools_response(  # type: ignore[override]
        self, response: ChatResponse, tools: Any, allow_parallel_tool_calls: bool = False, **kwargs: Any
    ) -> ChatResponse:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not allow_parallel_tool_calls:
            response.message.blocks = [block for block in response.message.blocks if block not in calls[1:]]
        return response

    def get_tool_calls_from_response(  # type: ignore[override]
        self, response: ChatResponse, error_on_no_tool_call: bool = True, **kwargs: Any
    ) -> list[ToolSelection]:
        calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
        if not calls and error_on_no_tool_call:
            raise ValueError("no tool was called")
        return [
            ToolSelection(
                tool_id=call.tool_call_id or "", tool_name=call.tool_name, tool_kwargs=_read(str(call.tool_kwargs))
            )
            for call in calls
        ]


def _completion(response: ChatResponse) -> CompletionResponse:
    return CompletionResponse(text=response.message.content or "", raw=response.raw, delta=response.delta)


def _read(arguments: str) -> dict[str, Any]:
    try:
        return dict(parse_partial_json(arguments or "{}"))
    except ValueError:
        return {}
