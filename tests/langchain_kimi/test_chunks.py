"""Chunks made without validation are what langchain-core's constructors make, and so is their sum."""

from __future__ import annotations

import copy
import json
import pickle
import warnings
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, AIMessageChunk, message_chunk_to_message
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.outputs.chat_generation import merge_chat_generation_chunks
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph.message import add_messages

from kimi_wire.answers.calls import ToolCall, ToolCallDelta
from kimi_wire.answers.response import Choice, Completion, Usage
from kimi_wire.answers.stream import Delta
from langchain_kimi.responses import _blocks, _version, parse_delta, parse_stream_end

FRAGMENTS = [
    "",
    " ",
    "{",
    "{}",
    ' \n{"a": 1',
    "\u00a0{}",
    '{"a": "b\n',
    '{"a": tru',
    '{"a": 1}}',
    '{"a": 1} x',
    '"text"',
    "[{}]",
    "12",
    "null",
    '": {"a": 1}',
    "}",
    "]",
    "\\",
    '{"\\',
    "{" * 20,
]
texts = st.text(max_size=12)
fragments = st.one_of(st.sampled_from(FRAGMENTS), st.text(alphabet='{}[]":,\\ \n\ta1', max_size=12), texts)
pieces = st.builds(ToolCallDelta, st.integers(0, 3), st.none() | texts, st.none() | texts, fragments)
deltas = st.builds(
    Delta,
    texts,
    st.none() | texts,
    # langchain-core does not join two pieces of one call in one chunk; no server was seen to send them.
    st.lists(pieces, max_size=3, unique_by=lambda piece: piece.index).map(tuple),
    st.none() | st.just({"content": [{"token": "a", "logprob": -0.5}]}),
)


def validated(delta: Delta, *, v1: bool) -> ChatGenerationChunk:
    """The same chunk by the constructors."""
    message = AIMessageChunk(
        content=_blocks(delta) if v1 else delta.content,
        additional_kwargs={} if delta.reasoning is None else {"reasoning_content": delta.reasoning},
        tool_call_chunks=[
            tool_call_chunk(name=piece.name, args=piece.arguments, id=piece.id, index=piece.index)
            for piece in delta.tool_calls
        ],
        response_metadata=_version(v1),
    )
    info = None if delta.logprobs is None else {"logprobs": delta.logprobs}
    return ChatGenerationChunk(message=message, generation_info=info)


def assert_same_model(left: Any, right: Any) -> None:
    """Field by field, and what else a Pydantic model has: `==` says less than one hopes."""
    assert set(left.__dict__) == set(right.__dict__) == set(type(right).model_fields)
    for name in type(right).model_fields:
        if name != "message":
            assert getattr(left, name) == getattr(right, name), name
    assert left.__pydantic_extra__ == right.__pydantic_extra__
    assert left.__pydantic_private__ == right.__pydantic_private__
    assert left.model_fields_set == right.model_fields_set


@pytest.mark.says("docs/performance.md", "LangChain's chunks are filled as `pickle` would fill them")
@pytest.mark.parametrize("v1", [False, True])
@given(delta=deltas)
@pytest.mark.slow
def test_a_chunk_is_what_the_constructors_make(delta: Delta, v1: bool) -> None:
    made, wanted = parse_delta(delta, v1=v1), validated(delta, v1=v1)
    assert_same_model(made, wanted)
    assert isinstance(made.message, AIMessageChunk)
    assert_same_model(made.message, wanted.message)
    assert made.message == wanted.message
    assert made.message.model_dump() == wanted.message.model_dump()
    assert made.message.content_blocks == wanted.message.content_blocks


@pytest.mark.parametrize("fragment", [*FRAGMENTS, '{"a":' * 2000])
def test_a_fragment_of_arguments_is_read_as_the_constructor_reads_it(fragment: str) -> None:
    delta = Delta(tool_calls=(ToolCallDelta(0, "a:0", "a", fragment),))
    assert parse_delta(delta, v1=False).message == validated(delta, v1=False).message


def test_no_two_chunks_share_anything_that_can_change() -> None:
    first, second = (parse_delta(Delta("a"), v1=False) for _ in range(2))
    for one, other in ((first, second), (first.message, second.message)):
        for name, value in one.__dict__.items():
            assert not isinstance(value, (list, dict, set)) or value is not getattr(other, name), name
        assert one.model_fields_set is not other.model_fields_set
    first.message.id = "mine"
    first.message.additional_kwargs["key"] = 1
    assert (second.message.id, second.message.additional_kwargs) == (None, {})
    assert parse_delta(Delta("b"), v1=False).message == AIMessageChunk("b")


def streams() -> st.SearchStrategy[list[Delta]]:
    """Deltas as `StreamState` gives them: an id in the first piece of a call only."""

    def number(stream: list[Delta]) -> list[Delta]:
        seen: set[int] = set()
        for delta in stream:
            for piece in delta.tool_calls:
                first = piece.index not in seen
                seen.add(piece.index)
                piece.id = f"call:{piece.index}" if first else None
                piece.name = f"tool{piece.index}" if first or piece.name == "late" else None
        return stream

    return st.lists(deltas, min_size=1, max_size=12).map(number)


@pytest.mark.slow
@pytest.mark.parametrize("v1", [False, True])
@given(stream=streams(), run_id=st.booleans(), cut=st.booleans())
def test_the_sum_of_a_list_is_langchains(stream: list[Delta], run_id: bool, cut: bool, v1: bool) -> None:
    choice = Choice("text", None, [ToolCall("call:0", "tool0", '{"a": 1}')], "stop")
    end = parse_stream_end(Completion("id", "kimi-k3", [choice], Usage(1, 2, 3)), v1=v1)
    made = [parse_delta(delta, v1=v1) for delta in stream] + ([] if cut else [end])
    plain = [
        ChatGenerationChunk(**chunk.__dict__)
        for chunk in ([validated(d, v1=v1) for d in stream] + ([] if cut else [end]))
    ]
    for chunk in made + plain:
        if run_id and chunk.message.id is None:
            chunk.message.id = "lc_run--1"
    before = [chunk.message.model_copy(deep=True) for chunk in made]
    total, wanted = merge_chat_generation_chunks(made), merge_chat_generation_chunks(plain)
    assert total is not None
    assert wanted is not None
    assert total.message == wanted.message
    assert (total.text, total.generation_info) == (wanted.text, wanted.generation_info)
    assert [chunk.message for chunk in made] == before


@pytest.mark.filterwarnings("ignore:The function `load` is in beta")
def test_a_chunk_is_written_down_as_langchains() -> None:
    chunk = parse_delta(Delta("a", "b"), v1=False)
    plain = validated(Delta("a", "b"), v1=False)
    assert dumpd(chunk)["id"] == dumpd(plain)["id"]
    assert dumpd(chunk)["kwargs"].keys() == dumpd(plain)["kwargs"].keys()
    read = load(dumpd(chunk), allowed_objects="core")
    assert type(read) is ChatGenerationChunk
    assert read.message == plain.message


def test_a_sum_with_one_chunk_is_langchains() -> None:
    total = parse_delta(Delta("a"), v1=False) + parse_delta(Delta("b"), v1=False)
    assert total.message == AIMessageChunk("ab")


@pytest.mark.says(
    "docs/performance.md",
    'At the end of a stream they are added up in linear time, standard blocks (`output_version="v1"`) too.',
)
@pytest.mark.parametrize("v1", [False, True])
def test_a_long_stream_is_added_up_in_few_steps(monkeypatch: pytest.MonkeyPatch, v1: bool) -> None:
    from langchain_core.messages import ai

    seen: list[int] = []
    add = ai.add_ai_message_chunks
    monkeypatch.setattr(
        ai, "add_ai_message_chunks", lambda left, *others: seen.append(len(others)) or add(left, *others)
    )
    text = json.dumps({"text": "x" * 1000})
    stream = [Delta(reasoning="a")] * 500 + [Delta("b")] * 500
    stream += [
        Delta(tool_calls=(ToolCallDelta(0, "t:0" if not at else None, "t" if not at else None, text[at]),))
        for at in range(len(text))
    ]
    total = merge_chat_generation_chunks([parse_delta(delta, v1=v1) for delta in stream])
    assert total is not None
    assert isinstance(total.message, AIMessageChunk)
    assert seen == [0]
    assert total.message.tool_calls[0]["args"] == {"text": "x" * 1000}
    assert (total.message.text, total.message.additional_kwargs) == ("b" * 500, {"reasoning_content": "a" * 500})
    if v1:
        assert [block["type"] for block in total.message.content_blocks] == ["reasoning", "text", "tool_call_chunk"]


def sum_of_call(arguments: str) -> AIMessageChunk:
    """What LangChain makes of a streamed call."""
    call = ToolCall("call:0", "tool", arguments)
    pieces = [Delta(tool_calls=(ToolCallDelta(0, "call:0", "tool", arguments[:5]),))]
    pieces += [
        Delta(tool_calls=(ToolCallDelta(0, None, None, arguments[at : at + 5]),)) for at in range(5, len(arguments), 5)
    ]
    end = parse_stream_end(Completion("id", "kimi-k3", [Choice("", None, [call], "tool_calls")], None), v1=False)
    total = merge_chat_generation_chunks([*(parse_delta(delta, v1=False) for delta in pieces), end])
    assert total is not None
    assert isinstance(total.message, AIMessageChunk)
    return total.message


@given(
    st.one_of(
        fragments,
        st.lists(st.sampled_from(["{", "}", "[", "]", '"', "\\", ":", ",", "a", " ", "\n", "1"])).map("".join),
    )
)
@example("\x0c")  # white space to Python, not to JSON
@example("\x0b{}")
@example(" \n")
@example('{"a": "b\\"c')  # cut in a string, after a quote that does not end it
@example('{"a": "b\\\\", c')  # after a backslash that escapes nothing
@example('{"a": "b\\')
def test_a_broken_call_is_invalid_in_the_sum_and_a_whole_one_is_not(arguments: str) -> None:
    message = sum_of_call(arguments)
    try:
        wanted = ToolCall("call:0", "tool", arguments).parse()
    except ValueError:
        assert message.tool_calls == []
        (broken,) = message.invalid_tool_calls
        assert broken["args"] == arguments
    else:
        assert [call["args"] for call in message.tool_calls] == [wanted]


@pytest.mark.parametrize(
    "arguments",
    [
        '{"a": 1} ' + "x" * 3000,
        '{"a":1}{"b":"' + "x" * 3000 + '"}',
        '{"a": Paris' + "x" * 3000,
        '{"a": "\\' + "x" * 3000 + "\\",
    ],
)
def test_a_broken_call_is_not_read_again_and_again(monkeypatch: pytest.MonkeyPatch, arguments: str) -> None:
    read = []
    loads = json.loads
    monkeypatch.setattr(json, "loads", lambda text, **kwargs: read.append(text) or loads(text, **kwargs))
    assert sum_of_call(arguments).tool_calls == []
    whole = [text for text in read if len(text) > 2000]
    assert 0 < len(whole) < 10


def test_blocks_of_others_are_added_up_as_langchain_does() -> None:
    def chunk(block: Any, metadata: dict[str, Any]) -> ChatGenerationChunk:
        message = AIMessageChunk(content=[block], response_metadata=metadata)
        return type(parse_delta(Delta("a"), v1=False))(message=message)

    for blocks in (
        [{"type": "text", "text": "a", "index": "abc"}, {"type": "text", "text": "b", "index": "abc"}],
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [{"type": "text", "text": "a", "index": 0}, {"type": "reasoning", "reasoning": "b", "index": 0}],
        [{"type": "image", "url": "a", "index": "lc_1"}, {"type": "text", "text": "b", "index": "lc_1"}],
        ["a", "b"],
    ):
        made = [chunk(block, {"output_version": "v1"}) for block in blocks]
        plain = [ChatGenerationChunk(message=one.message) for one in made]
        total, wanted = merge_chat_generation_chunks(made), merge_chat_generation_chunks(plain)
        assert total is not None
        assert wanted is not None
        assert total.message == wanted.message


BROKEN = ['{"a": 1, "b": oops}', '{"city": "Par', '{"a": [1', '{"a": "\\', '{"a": "b\n']


@pytest.mark.parametrize("arguments", ['{"city": "Par', '{"a": [1', '{"a": "\\', '{"city": Paris'])
def test_langchain_core_guesses_the_rest_of_broken_arguments(arguments: str) -> None:
    """Pinned: its own chunks have a call that nobody made; what marks its end is there for no other reason."""
    piece = tool_call_chunk(name="tool", args=arguments, id="call:0", index=0)
    (call,) = AIMessageChunk(content="", tool_call_chunks=[piece]).tool_calls
    assert isinstance(call["args"], dict)


@pytest.mark.parametrize("arguments", BROKEN)
def test_what_is_made_of_a_sum_has_the_models_words_too(arguments: str) -> None:
    total = sum_of_call(arguments)
    message = message_chunk_to_message(total)
    assert type(message) is AIMessage
    for one in (message, pickle.loads(pickle.dumps(total)), copy.deepcopy(total), total.model_copy()):
        assert isinstance(one, AIMessage)
        assert [call["args"] for call in one.invalid_tool_calls] == [arguments]
        assert one.tool_calls == []
    (stored,) = add_messages([], [total])
    assert type(stored) is AIMessage
    assert stored.invalid_tool_calls[0]["args"] == arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        read = load(dumpd(total), allowed_objects="all")
    serializer = JsonPlusSerializer()
    for one in (read, pickle.loads(pickle.dumps(total)), serializer.loads_typed(serializer.dumps_typed(total))):
        assert type(one) is AIMessageChunk
        assert one.tool_calls == [], "read again it is langchain-core's own, and still no call"


def test_chunks_are_langchains_to_whoever_looks() -> None:
    chunk = parse_delta(Delta("Hi", "Hm."), v1=False).message
    assert isinstance(chunk, AIMessageChunk)
    plain = AIMessageChunk(content="Hi", additional_kwargs={"reasoning_content": "Hm."})
    assert repr(chunk) == repr(plain)
    assert chunk == plain
    assert plain == chunk
    assert chunk != AIMessageChunk(content="Ho")
    assert chunk != AIMessage("Hi", additional_kwargs={"reasoning_content": "Hm."})
    assert dumpd(chunk) == dumpd(plain)
    assert type(message_chunk_to_message(chunk)) is AIMessage
