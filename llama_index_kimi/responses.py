"""Kimi's answers as LlamaIndex's responses, whole or as they come. Pure functions; what comes in is never changed.

Deliberately absent: mending the arguments of a broken call, or guessing the rest of a cut one. No tool may run with
arguments that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jiter import from_json
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ContentBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.llms.llm import ToolSelection

from kimi_wire.answers import PROVIDER, Choice, Completion, Delta, ToolCall, ToolCallDelta, Usage
from kimi_wire.arguments import parse_arguments
from kimi_wire.json_values import JSON
from llama_index_kimi.messages import REFUSAL
from llama_index_kimi.tools import WRITTEN


def parse_response(completion: Completion, *, delta: str | None = None) -> ChatResponse:
    """Turn an answer into a response.

    Args:
        completion: The whole answer.
        delta: `""` at the end of a stream, where all the text has been given.

    Returns:
        The response: thinking, text and tool calls as blocks; the counts of `usage`, `finish_reason`, `model`,
        `request_id` and `attempts` (requests sent) in `additional_kwargs`; what the server said of the answer in `raw`.
    """
    return ChatResponse(
        message=parse_message(completion.choice, completion.usage),
        raw=_raw(completion),
        delta=delta,
        logprobs=parse_logprobs(completion.choice.logprobs),
        additional_kwargs=_metadata(completion),
    )


def parse_message(choice: Choice, usage: Usage | None) -> ChatMessage:
    """Turn an answer into a message."""
    blocks: list[ContentBlock] = []
    if choice.reasoning is not None or choice.reasoning_details:
        thinking = _thinking_block(choice.reasoning, usage.reasoning_tokens if usage else None)
        if choice.reasoning_details:  # what OpenRouter wants back as it came
            thinking.additional_information["reasoning_details"] = choice.reasoning_details
        blocks.append(thinking)
    if choice.content:
        blocks.append(TextBlock(text=choice.content))
    blocks += [_call_block(call.id, call.name, call.arguments) for call in choice.tool_calls]
    message = _message(blocks, [_mark(call) for call in choice.tool_calls])
    if choice.refusal is not None:
        message.additional_kwargs[REFUSAL] = choice.refusal
    return message


def _mark(call: ToolCall) -> JSON:
    """A call in the API's form, and the model's own text of its arguments where it was read otherwise."""
    written = {} if call.written is None else {WRITTEN: call.written}
    return {**call.render(), **written}


def _thinking_block(content: str | None, num_tokens: int | None = None) -> ThinkingBlock:
    return ThinkingBlock(content=content, num_tokens=num_tokens, additional_information={"provider": PROVIDER})


def _call_block(call_id: str | None, name: str | None, arguments: str) -> ToolCallBlock:
    # The text and not what it parses to: it goes back byte for byte.
    return ToolCallBlock(tool_call_id=call_id, tool_name=name or "", tool_kwargs=arguments)


# A copy is all that `ChatMessage(...)` would give, in half of the time: it checks every block again.
_EMPTY_MESSAGE = ChatMessage(role=MessageRole.ASSISTANT, blocks=[], additional_kwargs={})


def _message(blocks: Sequence[ContentBlock], calls: list[JSON]) -> ChatMessage:
    """An assistant message.

    The calls stand in `additional_kwargs["tool_calls"]` too, in the API's form, as llama-index-llms-openai leaves them:
    core's programs look there before they read blocks, tracers read names and arguments there alone, and memories count
    the tokens of a call by that text and by no block. What blocks have no place for is there
    alone: see `_mark`.
    """
    return _EMPTY_MESSAGE.model_copy(
        update={"blocks": list(blocks), "additional_kwargs": {"tool_calls": calls} if calls else {}}
    )


def _raw(completion: Completion) -> JSON:
    return {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created,
        "model": completion.model,
        "finish_reason": completion.choice.finish_reason,
        "system_fingerprint": completion.system_fingerprint,
        "request_id": completion.request_id,
        "attempts": completion.attempts,
        "usage": completion.raw_usage,
    }


def _metadata(completion: Completion) -> JSON:
    usage = completion.usage
    counts: JSON = {}
    if usage is not None:
        counts = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        }
    known = {
        **counts,
        "finish_reason": completion.choice.finish_reason,
        REFUSAL: completion.choice.refusal,
        "model": completion.model,
        "request_id": completion.request_id,
        "attempts": completion.attempts,
    }
    return {name: value for name, value in known.items() if value is not None}


def parse_logprobs(logprobs: Any) -> list[list[LogProb]] | None:
    """Read log probabilities: for each token the alternatives, or the token alone where there are none."""
    tokens = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(tokens, list):
        return None
    return [[_log_prob(item) for item in _alternatives(token)] for token in tokens]


def _alternatives(token: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = token.get("top_logprobs")
    return [item for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) and listed else [token]


def _log_prob(item: Mapping[str, Any]) -> LogProb:
    token, logprob, written = item.get("token"), item.get("logprob"), item.get("bytes")
    return LogProb(
        token=token if isinstance(token, str) else "",
        logprob=logprob if isinstance(logprob, (int, float)) else 0.0,
        bytes=[byte for byte in written if isinstance(byte, int)] if isinstance(written, list) else [],
    )


class StreamedResponse:
    """Adds up a streamed answer: LlamaIndex's chunks hold everything so far."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._thinking: ThinkingBlock | None = None
        self._text: TextBlock | None = None
        self._calls: list[ToolCallBlock] = []
        self._listed: list[JSON] = []

    def add(self, item: Delta | Completion) -> ChatResponse:
        """Take what came and give the response so far.

        Args:
            item: A delta, or at the end the whole answer.

        Returns:
            The response: `delta` is the new text, `additional_kwargs["thinking_delta"]` the new thinking.
        """
        if isinstance(item, Completion):
            return parse_response(item, delta="")
        if item.reasoning is not None:
            self._thinking = _thinking_block(_content(self._thinking) + item.reasoning)
        if item.content:
            self._text = TextBlock(text=(self._text.text if self._text else "") + item.content)
        for piece in item.tool_calls:
            self._add_piece(piece)
        blocks = [block for block in (self._thinking, self._text, *self._calls) if block is not None]
        return ChatResponse(
            message=_message(blocks, [*self._listed]),
            raw={},
            delta=item.content,
            logprobs=parse_logprobs(item.logprobs),
            additional_kwargs={"thinking_delta": item.reasoning} if item.reasoning else {},
        )

    def _add_piece(self, piece: ToolCallDelta) -> None:
        if piece.index == len(self._calls):
            call, kind = _call_block(piece.id, piece.name, piece.arguments), piece.type
            self._calls.append(call)
            self._listed.append({})
        else:
            known, kind = self._calls[piece.index], self._listed[piece.index]["type"]
            name, arguments = f"{known.tool_name}{piece.name or ''}", f"{known.tool_kwargs}{piece.arguments}"
            self._calls[piece.index] = call = _call_block(known.tool_call_id, name, arguments)
        function = {"name": call.tool_name, "arguments": call.tool_kwargs}
        self._listed[piece.index] = {"id": call.tool_call_id, "type": kind, "function": function}


def _content(block: ThinkingBlock | None) -> str:
    return (block.content if block else None) or ""


def parse_completion_response(response: ChatResponse) -> CompletionResponse:
    """Turn the response to a chat into one to a prompt; the thinking so far is `additional_kwargs["thinking"]`."""
    thinking = [block.content or "" for block in response.message.blocks if isinstance(block, ThinkingBlock)]
    return CompletionResponse(
        text=response.message.content or "",
        additional_kwargs=response.additional_kwargs | ({"thinking": "".join(thinking)} if thinking else {}),
        raw=response.raw,
        logprobs=response.logprobs,
        delta=response.delta,
    )


def parse_tool_calls(response: ChatResponse) -> list[ToolSelection]:
    """Read the tool calls of a response, which may be a chunk of a stream.

    While a stream goes on, arguments are what can be read so far. At the end, a call whose arguments are not a JSON
    object must not run: with `{}` in their place a tool whose parameters are all optional would do something that
    nobody asked for. It comes back under a name that no tool has and that says what is wrong; core's agents answer a
    call of an unknown tool with "Tool <name> not found. Please select a tool that is available.", so that the model
    reads its mistake and can call again.
    """
    # Some hosts end a stream without a finish_reason; what the server said of the answer is there at its end alone.
    streaming = response.delta is not None and not (response.raw or "finish_reason" in response.additional_kwargs)
    blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    return [_parse_partial_call(block) if streaming else _parse_call(block) for block in blocks]


def _parse_call(block: ToolCallBlock) -> ToolSelection:
    name, arguments = block.tool_name, block.tool_kwargs
    if isinstance(arguments, str):
        try:
            arguments = parse_arguments(arguments)
        except ValueError as error:
            name, arguments = f"{name} was not run. {error}\nWrite one JSON object. A tool for these arguments was", {}
    return ToolSelection(tool_id=block.tool_call_id or "", tool_name=name, tool_kwargs=arguments)


def _parse_partial_call(block: ToolCallBlock) -> ToolSelection:
    arguments: Any = block.tool_kwargs
    if isinstance(arguments, str):
        try:
            arguments = from_json(arguments.encode(), partial_mode="trailing-strings")
        except ValueError:
            arguments = {}
    return ToolSelection(
        tool_id=block.tool_call_id or "",
        tool_name=block.tool_name,
        tool_kwargs=arguments if isinstance(arguments, dict) else {},
    )


def keep_first_call(response: ChatResponse) -> ChatResponse:
    """Cut the response to its first tool call; the answer's other blocks stay."""
    calls = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    if len(calls) < 2:
        return response
    kept = [block for block in response.message.blocks if not any(block is call for call in calls[1:])]
    listed: Sequence[Any] = response.message.additional_kwargs.get("tool_calls") or ()
    extra = {**response.message.additional_kwargs, "tool_calls": list(listed[:1])}
    message = response.message.model_copy(update={"blocks": kept, "additional_kwargs": extra})
    return response.model_copy(update={"message": message})
