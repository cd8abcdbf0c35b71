"""LangChain's chunks, made and added up at a cost that does not grow with the stream. Pure.

Deliberately absent: a sum of the stream so far, kept beside the chunks. LangChain copies, filters and adds them as it
likes, and the sum must be that of those which are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from itertools import chain, groupby
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, AIMessageChunk, InvalidToolCall, ToolCall, ToolCallChunk
from langchain_core.messages.tool import invalid_tool_call, tool_call
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json
from pydantic import BaseModel, model_validator
from typing_extensions import Self

from kimi_wire.arguments import WHITE

Model = TypeVar("Model", bound=BaseModel)


class _AfterTheChunk:
    """Stands after `KimiMessageChunk` in its line of classes, and makes an `AIMessage`.

    langchain-core makes a message of a sum of chunks with the class that stands there ("chunk classes always have the
    equivalent non-chunk class as their first parent": `message_chunk_to_message`).
    """

    def __new__(cls, **fields: Any) -> Any:
        return AIMessage(**fields)


class KimiMessageChunk(_AfterTheChunk, AIMessageChunk):
    """A chunk whose sums have the invalid calls in the model's own words.

    A sum is of the class of its first chunk. It says of a call that it is invalid by the end mark that the last chunk
    has for it, and shows the arguments without that. Whoever compares it or writes it down (pickles, LangGraph's
    checkpoints) finds langchain-core's own.
    """

    __new__ = object.__new__  # type: ignore[assignment] # and not that of the class before core's

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AIMessageChunk):
            return NotImplemented
        return _plain(self) == (_plain(other) if isinstance(other, KimiMessageChunk) else other)

    def __reduce__(self) -> tuple[Any, ...]:
        return copy, (_plain(self),)  # what reads it needs nothing of ours

    @model_validator(mode="after")
    def init_tool_calls(self) -> Self:
        """Make calls of their pieces; in place of the validator of the same name, which it asks."""
        AIMessageChunk.init_tool_calls(self)  # type: ignore[operator] # a validator, and a method all the same
        for call in self.invalid_tool_calls:
            call["args"] = _without_mark(call["args"])
        return self


KimiMessageChunk.__name__ = KimiMessageChunk.__qualname__ = AIMessageChunk.__name__
KimiMessageChunk.__module__ = AIMessageChunk.__module__


def _plain(message: KimiMessageChunk) -> AIMessageChunk:
    plain = AIMessageChunk.__new__(AIMessageChunk)
    return _fill(plain, message.__dict__, message.model_fields_set, message.model_extra)


_END = " <here the model stopped>"
_AFTER_END = ("}", "]", '"}', '"]')


def mark_as_broken(arguments: str) -> str:
    """What is to be added to the arguments of a broken call, so that langchain-core takes it for one; "" for nothing.

    Its sum of chunks reads `{"city": Paris}` as `{}` and `{"city": "Par` as `{"city": "Par"}`
    (`langchain_core.utils.json.parse_partial_json`), and agents then run the tool with that. A closing bracket out of
    place makes it say that the call is invalid, as it is, and say so at once: it tries every beginning of the text.

    Args:
        arguments: The arguments, which are no JSON object.
    """
    return _misplaced_bracket(arguments) if arguments.lstrip(WHITE).startswith("{") else ""


def _misplaced_bracket(text: str) -> str:
    """A bracket that closes nothing in a text, after the end of its last string; "" where the text has one already."""
    closing: list[str] = []
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = character != '"' or escaped
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            closing.append("}" if character == "{" else "]")
        elif character in "}]" and (not closing or closing.pop() != character):
            return ""
    return _END + ('"' if in_string else "") + ("]" if closing[-1:] == ["}"] else "}")


def _without_mark(arguments: str | None) -> str | None:
    words, end, bracket = (arguments or "").rpartition(_END)
    return words if end and bracket in _AFTER_END else arguments


class KimiGenerationChunk(ChatGenerationChunk):
    """A chunk that adds up a whole list of others in linear time.

    At the end of each stream langchain-core adds all its chunks to the first one, `first + others`. Its way appends
    every piece of thinking and of arguments to a copy of all before it (`merge_dicts`).
    """

    @classmethod
    def lc_id(cls) -> list[str]:
        """That of `ChatGenerationChunk`: as such it is written down, and read again."""
        return ChatGenerationChunk.lc_id()

    def __add__(self, other: ChatGenerationChunk | list[ChatGenerationChunk]) -> ChatGenerationChunk:
        """Add one chunk, or many; the result is langchain-core's."""
        if not isinstance(other, list):
            return super().__add__(other)
        first, *others = _join_runs([self, *other])
        return ChatGenerationChunk.__add__(first, others)


# The fields of what `AIMessageChunk(...)` and `ChatGenerationChunk(...)` would make. Filling new objects with them, as
# `pickle` does, takes a third of the constructors' time: what `kimi_wire` parsed needs no validation. Whatever is
# mutable has to be given anew.
_MESSAGE_FIELDS = dict(KimiMessageChunk(content=""))
_CHUNK_FIELDS = dict(KimiGenerationChunk(message=AIMessageChunk(content="")))

_GIVEN = ("content", "additional_kwargs", "response_metadata", "tool_call_chunks")
_GIVEN_WITH_CALLS = (*_GIVEN, "tool_calls", "invalid_tool_calls")  # a validator sets those
_CHUNK_GIVEN = ("message", "text", "generation_info")


def _fill(model: Model, fields: dict[str, Any], given: Iterable[str], extra: dict[str, Any] | None) -> Model:
    """Fill a new object; `given` are the names that count as set."""
    state = {
        "__dict__": fields,
        "__pydantic_fields_set__": set(given),
        "__pydantic_extra__": extra,
        "__pydantic_private__": None,
    }
    model.__setstate__(state)
    return model


def make_chunk(
    *,
    content: str | list[str | dict[str, Any]],
    text: str,
    additional_kwargs: dict[str, Any],
    tool_call_chunks: list[ToolCallChunk],
    response_metadata: dict[str, Any],
    generation_info: dict[str, Any] | None,
) -> ChatGenerationChunk:
    """Make one chunk of a stream.

    Args:
        content: The message's content.
        text: The text in it.
        additional_kwargs: The message's.
        tool_call_chunks: The message's; its `tool_calls` and `invalid_tool_calls` are made of them.
        response_metadata: The message's.
        generation_info: The chunk's.
    """
    calls, invalid = parse_tool_call_chunks(tool_call_chunks) if tool_call_chunks else ([], [])
    fields = {
        **_MESSAGE_FIELDS,
        "content": content,
        "additional_kwargs": additional_kwargs,
        "response_metadata": response_metadata,
        "tool_calls": calls,
        "invalid_tool_calls": invalid,
        "tool_call_chunks": tool_call_chunks,
    }
    given = _GIVEN_WITH_CALLS if tool_call_chunks else _GIVEN
    message = _fill(KimiMessageChunk.__new__(KimiMessageChunk), fields, given, extra={})
    fields = {**_CHUNK_FIELDS, "message": message, "text": text, "generation_info": generation_info}
    return _fill(KimiGenerationChunk.__new__(KimiGenerationChunk), fields, _CHUNK_GIVEN, extra=None)


def parse_tool_call_chunks(pieces: Iterable[ToolCallChunk]) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    """What `AIMessageChunk` makes of pieces of tool calls: calls where a piece could be an object, else invalid calls.

    It tries to read every piece as JSON, a character at a time: 1 ms for 200 characters. Only what begins with a brace
    can come out as an object.
    """
    calls, invalid = [], []
    for piece in pieces:
        arguments = _parse_object(piece["args"] or "{}")
        if arguments is not None:
            calls.append(tool_call(name=piece["name"] or "", args=arguments, id=piece["id"]))
        else:
            invalid.append(invalid_tool_call(name=piece["name"], args=piece["args"], id=piece["id"], error=None))
    return calls, invalid


def _parse_object(text: str) -> dict[str, Any] | None:
    if not text.lstrip(" \t\r\n").startswith("{"):
        return None
    try:
        parsed = parse_partial_json(text)
    except Exception:  # whatever it is, AIMessageChunk takes it for an invalid call
        return None
    return parsed if isinstance(parsed, dict) else None


def _join_runs(chunks: Iterable[ChatGenerationChunk]) -> Iterator[ChatGenerationChunk]:
    """Make one chunk of each run of plain ones."""
    for plain, run in groupby(chunks, _plain_id):
        members = list(run)
        yield from members if plain is None else [_join(members)]


_TEXTS = {"text": "text", "reasoning": "reasoning", "tool_call_chunk": "args"}
"""By type, the key of a block that is written bit by bit; pieces of calls have it in both of their forms."""

_TEXT_KEYS = {"type", "index", "id", "name"}
"""What else such a block has."""

_PLAIN_METADATA: tuple[dict[str, str], ...] = ({}, {"output_version": "v1"})
_PLAIN_EXTRAS = {"reasoning_content"}
"""What a message that can be joined may have in `response_metadata` and `additional_kwargs`."""


def _plain_id(chunk: ChatGenerationChunk) -> tuple[str | None, bool] | None:
    """The id of a message that has text, thinking and pieces of calls only, and if in blocks; None for all others."""
    message = chunk.message
    plain = (
        isinstance(message, AIMessageChunk)
        and (isinstance(message.content, str) or all(map(_is_plain_block, message.content)))
        and not (chunk.generation_info or message.usage_metadata or message.chunk_position or message.name)
        and message.response_metadata in _PLAIN_METADATA
        and message.additional_kwargs.keys() <= _PLAIN_EXTRAS
    )
    return (message.id, isinstance(message.content, str)) if plain else None


def _is_plain_block(block: Any) -> bool:
    """Whether a block is one of `parse_delta`'s, each kind of which has its own indices."""
    if not isinstance(block, dict) or block.get("type") not in _TEXTS:
        return False
    return str(block.get("index")).startswith("lc_") and block.keys() <= _TEXT_KEYS | {_TEXTS[block["type"]]}


def _join(chunks: list[ChatGenerationChunk]) -> ChatGenerationChunk:
    """One plain chunk that says what these say together."""
    if len(chunks) == 1:
        return chunks[0]
    messages: list[Any] = [chunk.message for chunk in chunks]
    extras = [message.additional_kwargs["reasoning_content"] for message in messages if message.additional_kwargs]
    contents: list[Any] = [message.content for message in messages]
    joined = messages[0].model_copy(
        update={
            "content": "".join(contents) if isinstance(contents[0], str) else _join_pieces(chain(*contents)),
            "additional_kwargs": {"reasoning_content": "".join(extras)} if extras else {},
            "tool_call_chunks": _join_pieces(chain(*(message.tool_call_chunks for message in messages))),
        }
    )
    return chunks[0].model_copy(update={"message": joined})


def _join_pieces(pieces: Iterable[Any]) -> list[Any]:
    """Join the text of a piece to the one of its index before it; a piece with an id or a name stays one of its own."""
    joined: list[tuple[Any, str, list[str]]] = []
    last: dict[tuple[str, Any], list[str]] = {}
    for piece in pieces:
        place, key = (piece["type"], piece["index"]), _TEXTS[piece["type"]]
        if place not in last or piece.get("id") or piece.get("name"):
            last[place] = []
            joined.append((piece, key, last[place]))
        last[place].append(piece.get(key) or "")
    return [{**piece, key: "".join(texts)} for piece, key, texts in joined]
