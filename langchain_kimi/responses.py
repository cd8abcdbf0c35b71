"""Kimi's answers as LangChain messages and chunks. Pure; the sum of the chunks of a stream is the whole message.

Deliberately absent: mending the arguments of a broken call, or guessing the rest of a cut one. No tool may run with
arguments that nobody wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessage, InvalidToolCall, ToolCallChunk, UsageMetadata
from langchain_core.messages import ToolCall as LangChainToolCall
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails
from langchain_core.messages.block_translators import register_translator
from langchain_core.messages.tool import invalid_tool_call, tool_call, tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from kimi_wire.answers import FILTERED, PROVIDER, Choice, Completion, Delta, ToolCall, Usage
from kimi_wire.arguments import WHITE, render_arguments
from langchain_kimi.chunks import KimiMessageChunk, make_chunk, mark_as_broken
from langchain_kimi.messages import RAW_CALLS, REASONING_DETAILS, REFUSAL


def parse_completion(completion: Completion) -> ChatResult:
    """Make LangChain's result of a whole answer."""
    generations = []
    for index, choice in enumerate(completion.choices):
        calls, invalid = parse_tool_calls(choice.tool_calls)
        message = AIMessage(
            content=choice.content,
            additional_kwargs=additional_kwargs(choice),
            tool_calls=calls,
            invalid_tool_calls=invalid,
            # The counts are those of all answers together; LangChain adds up what stands on the messages.
            usage_metadata=parse_usage(completion.usage) if index == 0 else None,
            response_metadata=response_metadata(completion, choice),
            id=completion.id if index == 0 else None,
        )
        info = {"logprobs": choice.logprobs} if choice.logprobs is not None else None
        generations.append(ChatGeneration(message=message, generation_info=info))
    return ChatResult(
        generations=generations,
        llm_output={"token_usage": completion.raw_usage, "model_name": completion.model},
    )


def additional_kwargs(choice: Choice) -> dict[str, Any]:
    """What LangChain has no field for."""
    kwargs: dict[str, Any] = {}
    if choice.reasoning is not None:
        kwargs["reasoning_content"] = choice.reasoning
    if choice.reasoning_details:
        kwargs[REASONING_DETAILS] = choice.reasoning_details
    raw = [call.render() for call in choice.tool_calls if not _is_canonical(call)]
    if raw:
        kwargs[RAW_CALLS] = raw
    if choice.refusal is not None:
        kwargs[REFUSAL] = choice.refusal
    return kwargs


def _is_canonical(call: ToolCall) -> bool:
    """Whether LangChain's parsed form of a call gives the same bytes back; broken calls are kept in theirs."""
    try:
        return call.type == "function" and call.written is None and render_arguments(call.parse()) == call.arguments
    except ValueError:
        return True


def parse_tool_calls(calls: list[ToolCall]) -> tuple[list[LangChainToolCall], list[InvalidToolCall]]:
    """Sort calls into those whose arguments are a JSON object and those whose are not."""
    valid, invalid = [], []
    for call in calls:
        try:
            valid.append(tool_call(name=call.name, args=call.parse(), id=call.id))
        except ValueError as error:
            invalid.append(invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error=str(error)))
    return valid, invalid


def parse_usage(usage: Usage | None) -> UsageMetadata | None:
    """LangChain's token counts; `input_tokens` includes cached ones, as everywhere in LangChain."""
    if usage is None:
        return None
    metadata = UsageMetadata(
        input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, total_tokens=usage.total_tokens
    )
    details: InputTokenDetails = {}
    if usage.cached_tokens is not None:
        details["cache_read"] = usage.cached_tokens
    if usage.cache_write_tokens is not None:
        details["cache_creation"] = usage.cache_write_tokens
    if details:
        metadata["input_token_details"] = details
    if usage.reasoning_tokens is not None:
        metadata["output_token_details"] = OutputTokenDetails(reasoning=usage.reasoning_tokens)
    return metadata


def response_metadata(completion: Completion, choice: Choice) -> dict[str, Any]:
    """What LangChain, LangSmith and its callbacks look for, and what Moonshot's support asks for (`request_id`)."""
    metadata = {
        "model_provider": PROVIDER,
        "model_name": completion.model,
        "finish_reason": choice.finish_reason,
        "normalized_finish_reason": _normalized(choice),
        "id": completion.id,
        "request_id": completion.request_id,
        "attempts": completion.attempts,
        "created": completion.created,
        "system_fingerprint": completion.system_fingerprint,
        "token_usage": completion.raw_usage,
    }
    return {key: value for key, value in metadata.items() if value is not None}


_NORMALIZED = {"stop": "stop", "length": "length", "tool_calls": "tool_call", FILTERED: "content_filter"}


def _normalized(choice: Choice) -> str | None:
    """The end of an answer in the words that langchain-core 1.8.4 has for all vendors; None for one it has none for."""
    return "refusal" if choice.refusal is not None else _NORMALIZED.get(choice.finish_reason or "")


def parse_item(item: Delta | Completion, *, v1: bool) -> list[ChatGenerationChunk]:
    """Make the chunks of the next piece of a stream, or of the whole at its end.

    A chunk is thinking, text or pieces of calls. Of one that has text beside pieces of calls, langchain-core's standard
    blocks leave the pieces out (`AIMessageChunk.content_blocks`), and text beside thinking is another block than the
    text after it (`_compat_bridge`).

    Args:
        item: The piece, or the whole.
        v1: Whether content is made of standard blocks (`output_version="v1"`).
    """
    if isinstance(item, Completion):
        return [parse_stream_end(item, v1=v1)]
    thinks = item.reasoning is not None
    if (item.content and (thinks or item.tool_calls)) or (thinks and item.tool_calls):
        return [parse_delta(piece, v1=v1) for piece in _split(item)]
    return [parse_delta(item, v1=v1)]


def _split(delta: Delta) -> Iterator[Delta]:
    if delta.reasoning is not None:
        yield Delta(reasoning=delta.reasoning)
    if delta.content or delta.logprobs is not None:
        yield Delta(delta.content, logprobs=delta.logprobs)
    if delta.tool_calls:
        yield Delta(tool_calls=delta.tool_calls)


def parse_delta(delta: Delta, *, v1: bool) -> ChatGenerationChunk:
    """Make the chunk of one streamed piece; see `parse_item`."""
    return make_chunk(
        content=_blocks(delta) if v1 else delta.content,
        text=delta.content,
        additional_kwargs={} if delta.reasoning is None else {"reasoning_content": delta.reasoning},
        tool_call_chunks=[
            tool_call_chunk(name=piece.name, args=piece.arguments, id=piece.id, index=piece.index)
            for piece in delta.tool_calls
        ],
        response_metadata=_version(v1),
        generation_info=None if delta.logprobs is None else {"logprobs": delta.logprobs},
    )


def _version(v1: bool) -> dict[str, Any]:
    return {"output_version": "v1"} if v1 else {}


def _blocks(delta: Delta) -> list[str | dict[str, Any]]:
    """Standard blocks with an index of their own each.

    langchain-core merges blocks by index, and numbers blocks without one by what it has seen so far: the first tool
    call then becomes part of the thinking block, in every adapter derived from OpenAI's.
    """
    blocks: list[str | dict[str, Any]] = []
    if delta.reasoning is not None:
        blocks.append({"type": "reasoning", "reasoning": delta.reasoning, "index": "lc_reasoning"})
    if delta.content:
        blocks.append({"type": "text", "text": delta.content, "index": "lc_text"})
    blocks.extend(
        {
            "type": "tool_call_chunk",
            "id": piece.id,
            "name": piece.name,
            "args": piece.arguments,
            "index": f"lc_tc_{piece.index}",
        }
        for piece in delta.tool_calls
    )
    return blocks


def parse_stream_end(completion: Completion, *, v1: bool) -> ChatGenerationChunk:
    """Make the last chunk: usage, metadata, and the end marks of broken tool calls.

    Usage comes here only: langchain-core adds up the counts of all chunks, and Kimi sends them twice.
    """
    choice = completion.choice
    kwargs = additional_kwargs(choice)
    kwargs.pop("reasoning_content", None)  # its pieces are in the chunks before
    marks = [mark for index, call in enumerate(choice.tool_calls) if (mark := _end_mark(index, call)) is not None]
    message = KimiMessageChunk(
        content=[*_refusal_blocks(choice)] if v1 else "",
        additional_kwargs=kwargs,
        tool_call_chunks=marks,
        usage_metadata=parse_usage(completion.usage),
        response_metadata=response_metadata(completion, choice) | _version(v1),
        chunk_position="last",  # no id of its own: a page that groups chunks by id would show two messages
    )
    return ChatGenerationChunk(message=message)


def _refusal_blocks(choice: Choice) -> Iterator[dict[str, Any]]:
    """A refusal as a standard block; in one piece, as langchain-core has no way to add pieces of it up in events."""
    if choice.refusal is not None:
        yield {"type": "refusal", "refusal": choice.refusal, "index": "lc_refusal"}


def _end_mark(index: int, call: ToolCall) -> ToolCallChunk | None:
    """A last piece of arguments that keeps langchain-core from inventing the rest of a broken call.

    Blank arguments are an empty object, and only `""` is one to it.
    """
    try:
        mark = "" if call.parse() or not call.arguments or call.arguments.strip(WHITE) else "{}"
    except ValueError:
        mark = mark_as_broken(call.arguments)
    return tool_call_chunk(name=None, args=mark, id=None, index=index) if mark else None


def _translate_refusal(message: Any) -> Any:
    """Standard blocks of a message with a refusal beside its content; other messages are langchain-core's to read.

    Raises:
        NotImplementedError: Which says so.
    """
    refusal = message.additional_kwargs.get(REFUSAL)
    if not isinstance(refusal, str):
        raise NotImplementedError
    others = message.model_copy(update={"response_metadata": {}}).content_blocks
    return [*others, {"type": "refusal", "refusal": refusal}]


register_translator(PROVIDER, _translate_refusal, _translate_refusal)


def with_message(error: Exception) -> Exception:
    """Give an error that is a refusal, the model's or its filter's, the message that had come; no other is changed."""
    partial = getattr(error, "partial", None)
    if isinstance(partial, Choice) and hasattr(error, "raw_message"):
        said = {name: error.__dict__[name] for name in ("request_id", "attempts") if name in error.__dict__}
        came = Completion(None, None, [partial], None, **said)
        error.raw_message = parse_completion(came).generations[0].message
    return error
