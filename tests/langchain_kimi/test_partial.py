"""Partial Mode, long answers and broken streams in LangChain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.output_parsers import JsonOutputParser
from pydantic import ValidationError

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire.errors import KimiWarning
from langchain_kimi import KimiRequestError, KimiStreamError
from tests.langchain_kimi.test_chat_models import WAYS, ask


@pytest.mark.says("docs/partial-mode.md", "per call: the beginning of the answer")
@pytest.mark.parametrize("way", WAYS)
async def test_a_prefix_per_call_and_by_bind(kimi: KimiEmulator, make: Any, way: str) -> None:
    for model, kwargs in ((make(), {"prefix": "{"}), (make().bind(prefix="{"), {})):
        kimi.script(Reply('"a": 1}', reasoning="hm"))
        message = await ask(model, way, "hi", **kwargs)
        assert message.content == '{"a": 1}'
        assert kimi.requests[-1].body["messages"][-1] == {"role": "assistant", "content": "{", "partial": True}


def test_the_prefix_is_streamed_first_and_parsed_by_parsers(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply('"a": [1, 2]}', reasoning="hm"), Reply('"a": [1, 2]}', reasoning="hm"))
    texts = [chunk.content for chunk in make().stream("hi", prefix="{") if chunk.content]
    assert str(texts[0]).startswith("{")
    chain = make().bind(prefix="{") | JsonOutputParser()
    assert list(chain.stream("hi"))[-1] == {"a": [1, 2]}


@pytest.mark.says(
    "docs/partial-mode.md",
    'The raw form, a last assistant message with `additional_kwargs={"partial": True}`, gives what the server sent',
)
@pytest.mark.parametrize("way", WAYS)
async def test_the_raw_form_gives_what_the_server_sent(kimi: KimiEmulator, make: Any, way: str) -> None:
    kimi.script(Reply("rest."))
    beginning = AIMessage("The ", name="Kelsier", additional_kwargs={"partial": True, "reasoning_content": "hm"})
    message = await ask(make(), way, [HumanMessage("hi"), beginning])
    assert message.content == "rest."
    assert kimi.requests[-1].body["messages"][-1] == {
        "role": "assistant",
        "name": "Kelsier",
        "content": "The ",
        "reasoning_content": "hm",
        "partial": True,
    }


@pytest.mark.says("docs/partial-mode.md", "and who speaks it")
def test_role_play_by_name(kimi: KimiEmulator, make: Any) -> None:
    make().invoke("Who are you?", prefix_name="Dr. Kelsier")
    last = kimi.requests[-1].body["messages"][-1]
    assert last == {"role": "assistant", "content": "", "partial": True, "name": "Dr. Kelsier"}


def test_the_old_spelling_warns(kimi: KimiEmulator, make: Any) -> None:
    with pytest.warns(KimiWarning, match="was moved there from extra_body"):
        make(extra_body={"partial": True}).invoke([HumanMessage("hi"), AIMessage("{")])
    assert kimi.requests[-1].body["messages"][-1]["partial"] is True


async def test_where_it_cannot_work(make: Any) -> None:
    for way in WAYS:
        with pytest.raises(KimiRequestError, match="does not go with response_format json_object"):
            await ask(make(), way, "hi", prefix="{", response_format={"type": "json_object"})
        with pytest.raises(KimiRequestError, match="only an assistant's"):
            await ask(make(), way, "hi", extra_body={"partial": True})


@pytest.mark.says(
    "docs/partial-mode.md",
    "an answer cut by its token limit is continued up to n times, and comes back as one, its usage added up",
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_cut_answers_come_back_as_one(kimi: KimiEmulator, make: Any, way: str, version: str) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    kimi.script(
        Reply("One, ", reasoning="I think.", finish_reason="length", usage=usage),
        Reply("two, ", finish_reason="length", usage=usage),
        Reply("three.", usage=usage),
    )
    message = await ask(make(output_version=version), way, "hi", continue_on_length=3)
    assert message.text == "One, two, three."
    assert message.additional_kwargs["reasoning_content"] == "I think."
    assert message.usage_metadata == {"input_tokens": 30, "output_tokens": 15, "total_tokens": 45}
    assert message.response_metadata["finish_reason"] == "stop"


def test_a_real_cap_adds_up_to_the_whole_answer(kimi: KimiEmulator, make: Any) -> None:
    """With the built-in answering: a cap in the middle of the text, again and again, loses and repeats nothing."""
    question = "What are the planets? " * 3
    whole = make().invoke(question)
    spent = whole.usage_metadata["output_tokens"]
    cap = whole.usage_metadata["output_token_details"]["reasoning"] + (spent // 6)
    pieces = make(max_tokens=cap, continue_on_length=9).invoke(question)
    assert pieces.content == whole.content
    assert pieces.response_metadata["finish_reason"] == "stop"
    assert len(kimi.requests) > 2


def test_an_answer_that_is_all_thinking_is_reported(kimi: KimiEmulator, make: Any) -> None:
    with pytest.warns(KimiWarning, match="spent on thinking"):
        make(max_tokens=5, continue_on_length=3).invoke("hi")
    assert len(kimi.requests) == 1


def test_calls_cut_in_the_middle_are_not_guessed(kimi: KimiEmulator, make: Any) -> None:
    for way in ("invoke", "stream"):
        kimi.script(Reply("I call", tool_calls=[ToolCall("f", '{"a": "b')], finish_reason="length"))
        model = make(continue_on_length=3)
        if way == "invoke":
            message: Any = model.invoke("hi")
        else:
            first, *rest = model.stream("hi")
            message = sum(rest, start=first)
        assert message.tool_calls == []
        assert message.invalid_tool_calls[0]["args"] == '{"a": "b'
        assert message.response_metadata["finish_reason"] == "length"


TEXT = "A long answer, in many pieces of its own."


@pytest.mark.says(
    "docs/partial-mode.md",
    "a stream that broke off is picked up where it stopped, up to n times",
    "Without it, `KimiStreamError.partial` has what had come",
)
async def test_broken_streams(kimi: KimiEmulator, make: Any) -> None:
    def rest(body: dict[str, Any]) -> Reply:
        return Reply(TEXT.removeprefix(body["messages"][-1]["content"]))

    for way in ("stream", "astream"):
        kimi.script(Reply(TEXT, reasoning="hm", cut_after=9))
        with pytest.raises(KimiStreamError) as caught:
            await ask(make(), way, "hi")
        assert TEXT.startswith(caught.value.partial.content)
        kimi.script(Reply(TEXT, reasoning="hm", cut_after=9), rest)
        message = await ask(make(resume_streams=1), way, "hi")
        assert message.content == TEXT
        assert message.response_metadata["finish_reason"] == "stop"
    received: list[AIMessageChunk] = []
    kimi.script(Reply(TEXT, reasoning="hm", cut_after=9))
    with pytest.raises(KimiStreamError):
        received.extend(make().stream("hi"))
    assert all(chunk.chunk_position is None for chunk in received), "no last chunk: what came is not whole"


@pytest.mark.says(
    "docs/partial-mode.md",
    'tool calls in the history that nobody answered are answered with an error, and that is said once; `"repair"` says nothing, `"error"` raises',
)
def test_unanswered_calls(kimi: KimiEmulator, make: Any) -> None:
    call = {"name": "f", "args": {}, "id": "f:0"}
    broken = {"name": "g", "args": "{oops", "id": "g:0", "error": None, "type": "invalid_tool_call"}
    history = [HumanMessage("hi"), AIMessage("", tool_calls=[call], invalid_tool_calls=[broken]), HumanMessage("go on")]
    with pytest.raises(KimiRequestError, match=r"\['f:0', 'g:0'\] have no answer"):
        make(unanswered_tool_calls="error").invoke(history)
    chat = make()
    with pytest.warns(KimiWarning, match=r"\['f:0', 'g:0'\] have no answer"):
        chat.invoke(history)
    chat.invoke(history)  # said once
    make(unanswered_tool_calls="repair").invoke(history)
    answers = [message for message in kimi.requests[-1].body["messages"] if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in answers] == ["f:0", "g:0"]
    make().invoke([*history[:2], ToolMessage("1", tool_call_id="f:0"), ToolMessage("2", tool_call_id="g:0")])


def test_settings_are_checked(make: Any) -> None:
    with pytest.raises(ValidationError, match="continue_on_length=-1"):
        make(continue_on_length=-1)
    with pytest.raises(ValidationError, match="unanswered_tool_calls"):
        make(unanswered_tool_calls="ignore")
    assert json.loads(make(continue_on_length=2).model_dump_json())["continue_on_length"] == 2


@pytest.mark.says("docs/partial-mode.md", "how long a stream may be silent")
@pytest.mark.slow
async def test_silence_breaks_a_stream_and_thinking_does_not(kimi: KimiEmulator, make: Any) -> None:
    for way in ("stream", "astream"):
        kimi.script(Reply(TEXT, stall=20.0, stall_after=4), Reply(TEXT, reasoning="hm", stall=1.5, stall_after=3))
        with pytest.raises(KimiStreamError, match="connection broke"):
            await ask(make(stream_idle_timeout=2), way, "hi")
        assert (await ask(make(timeout=1, stream_idle_timeout=30), way, "hi")).content == TEXT
