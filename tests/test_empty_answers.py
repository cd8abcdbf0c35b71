"""Answers that say nothing, and answers that were filtered: in both adapters and all four ways."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from langchain.agents.middleware import ModelRetryMiddleware
from langchain_core import exceptions
from langchain_core.exceptions import ModelError
from pydantic import BaseModel

import kimi_wire.errors as wire
import langchain_kimi
from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiWarning
from kimi_wire.errors import KimiError, KimiRequestError, KimiStreamError
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.test_odd_answers import IN_STREAMS, everywhere, fail, hear, in_all_ways

THOUGHT = Reply("", reasoning="I have it.")
ANSWER = Reply("Hello", reasoning="So.")
EMPTY = (THOUGHT, Reply(""), Reply(" \n", reasoning="Hm."), Reply("", says_finish_reason=False))


@pytest.mark.says("docs/errors.md", "a warning says so; raise it")
@pytest.mark.says("docs/partial-mode.md", '`"warn"` only says so')
@everywhere
@in_all_ways
@pytest.mark.parametrize("reply", EMPTY)
async def test_an_empty_answer_is_said(kimi: KimiEmulator, adapter: str, way: str, reply: Reply) -> None:
    kimi.script(reply)
    with pytest.warns(KimiWarning, match="The answer is empty: the model (only thought|said nothing)") as caught:
        heard = await hear(kimi, adapter, way)
    assert (heard.text, heard.thinking, len(caught)) == (reply.content, reply.reasoning or "", 1)


@pytest.mark.says("docs/partial-mode.md", "an answer with neither text nor a tool call is asked for again")
@everywhere
@in_all_ways
@pytest.mark.parametrize("reply", EMPTY)
async def test_an_empty_answer_is_asked_for_again(kimi: KimiEmulator, adapter: str, way: str, reply: Reply) -> None:
    kimi.script(reply, THOUGHT, ANSWER)
    heard = await hear(kimi, adapter, way, empty_answers="retry", max_retries=2)
    assert (heard.text, heard.thinking) == ("Hello", "So.")
    first, *others = (request.body for request in kimi.requests)
    assert others == [first, first]
    spent = 0
    for reply_ in (reply, THOUGHT, ANSWER):
        kimi.script(reply_)
        with pytest.warns(KimiWarning) if reply_ is not ANSWER else _nothing():
            spent += (await hear(kimi, adapter, way)).tokens or 0
    assert heard.tokens == spent


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.says(
    "docs/partial-mode.md", 'up to `max_retries` times, and then a `KimiEmptyAnswerError`; `"error"` raises at once'
)
@everywhere
@in_all_ways
@pytest.mark.parametrize(("settings", "requests"), [
    ({"empty_answers": "retry", "max_retries": 1}, 2), ({"empty_answers": "retry", "max_retries": 0}, 1),
    ({"empty_answers": "error", "max_retries": 1}, 1),
])  # fmt: skip
async def test_an_empty_answer_that_stays_is_an_error(
    kimi: KimiEmulator, adapter: str, way: str, settings: Any, requests: int
) -> None:
    kimi.script(*[THOUGHT] * 3)
    error = await fail(kimi, adapter, way, **settings)
    assert isinstance(error, wire.KimiEmptyAnswerError)
    assert (error.is_retryable, error.partial.reasoning, len(kimi.requests)) == (True, "I have it.", requests)
    assert error.request_id is not None
    if adapter != "llama_index":
        assert isinstance(error, (langchain_kimi.KimiEmptyAnswerError, ModelError))


@everywhere
@in_all_ways
@pytest.mark.parametrize("empty_answers", ["retry", "error"])
async def test_what_used_up_its_limit_is_not_asked_for_again(
    kimi: KimiEmulator, adapter: str, way: str, empty_answers: str
) -> None:
    """The same request uses it up again."""
    kimi.script(Reply("", reasoning="I have", finish_reason="length"))
    error = await fail(kimi, adapter, way, empty_answers=empty_answers, max_retries=2)
    assert isinstance(error, wire.KimiEmptyAnswerError)
    assert (error.is_retryable, len(kimi.requests)) == (False, 1)
    assert "Raise max_tokens" in str(error)


@everywhere
@in_all_ways
@pytest.mark.parametrize("reply", [ANSWER, Reply("", tool_calls=[ToolCall("f", {})], reasoning="r"), Reply("0")])
@pytest.mark.parametrize("empty_answers", ["warn", "retry", "error"])
async def test_answers_that_are_some_are_left_alone(
    kimi: KimiEmulator, adapter: str, way: str, reply: Reply, empty_answers: str
) -> None:
    kimi.script(reply)
    heard = await hear(kimi, adapter, way, empty_answers=empty_answers)
    assert (heard.text, heard.thinking, len(heard.calls)) == (
        reply.content, reply.reasoning or "", len(reply.tool_calls)
    )  # fmt: skip
    assert len(kimi.requests) == 1


@everywhere
@in_all_ways
async def test_a_call_says_it_for_itself(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(THOUGHT, ANSWER)
    call = {"empty_answers": "retry", "max_retries": 1}
    assert (await hear(kimi, adapter, way, empty_answers="error", call=call)).text == "Hello"
    with pytest.raises(KimiRequestError, match="empty_answers='raise' is not one of warn, retry, error"):
        await hear(kimi, adapter, way, call={"empty_answers": "raise"})


@everywhere
@in_all_ways
async def test_the_end_of_a_cut_answer_may_be_empty(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply("Hello", finish_reason="length"), THOUGHT)
    heard = await hear(kimi, adapter, way, empty_answers="retry", continue_on_length=1)
    assert (heard.text, len(kimi.requests)) == ("Hello", 2)


@pytest.mark.says(
    "docs/partial-mode.md", 'So it is with `resume_streams` and `empty_answers="retry"` until the last attempt.'
)
@everywhere
@IN_STREAMS
async def test_broken_and_empty_streams_have_a_count_each(kimi: KimiEmulator, adapter: str, way: str) -> None:
    broken = Reply(reasoning="In vain", cut_after=3)
    kimi.script(broken, THOUGHT, broken, ANSWER)
    settings = {"empty_answers": "retry", "max_retries": 1, "resume_streams": 2}
    heard = await hear(kimi, adapter, way, **settings)
    assert (heard.text, heard.thinking, len(kimi.requests)) == ("Hello", "So.", 4)
    kimi.script(THOUGHT, broken)
    error = await fail(kimi, adapter, way, empty_answers="retry", max_retries=1)
    assert isinstance(error, KimiStreamError)
    assert error.partial.reasoning.startswith("In")


@pytest.mark.says("docs/errors.md", "LangChain's retry middleware asks again")
async def test_langchains_middleware_takes_it_for_retryable(kimi: KimiEmulator) -> None:
    from langchain.agents import create_agent

    model = ChatKimi(api_key="sk-test", base_url=kimi.base_url, empty_answers="error")
    agent = create_agent(model, middleware=[ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)])
    kimi.script(THOUGHT, ANSWER)
    assert agent.invoke({"messages": [("user", "hi")]})["messages"][-1].text == "Hello"
    assert len(kimi.requests) == 2


class City(BaseModel):
    name: str


@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_objects_are_asked_for_again(kimi: KimiEmulator, adapter: str) -> None:
    from llama_index.core.prompts import PromptTemplate

    kimi.script(THOUGHT, Reply('{"name": "Oslo"}'))
    settings = {"api_key": "sk-test", "base_url": kimi.base_url, "empty_answers": "retry"}
    if adapter == "langchain":
        assert ChatKimi(**settings).with_structured_output(City).invoke("hi") == City(name="Oslo")
    else:
        assert Kimi(**settings).structured_predict(City, PromptTemplate("hi")) == City(name="Oslo")


# --- filtered answers ---


@everywhere
@in_all_ways
@pytest.mark.parametrize("reply", [
    Reply("", reasoning="Hm", finish_reason="content_filter"), Reply("Half an ans", finish_reason="content_filter"),
    Reply("", finish_reason="content_filter"),
])  # fmt: skip
async def test_a_filtered_answer_is_said_and_never_asked_for_again(
    kimi: KimiEmulator, adapter: str, way: str, reply: Reply
) -> None:
    kimi.script(*[reply] * 4)
    settings = {"empty_answers": "retry", "max_retries": 3, "resume_streams": 3, "continue_on_length": 3}
    error = await fail(kimi, adapter, way, **settings)
    assert isinstance(error, (wire.KimiContentFilterError, openai.BadRequestError))
    assert (error.partial.content, error.partial.reasoning) == (reply.content, reply.reasoning)
    assert (len(kimi.requests), error.attempts, error.type) == (1, 1, "content_filter")
    assert "content filter stopped the answer" in str(error)
    assert "Rephrase the request" in str(error)
    if adapter != "llama_index":
        assert isinstance(error, langchain_kimi.KimiContentFilterError)
        assert error.is_retryable is False
        refusal = getattr(exceptions, "ModelRefusalError", ModelError)
        assert isinstance(error, refusal)
        assert error.raw_message.content == reply.content
        assert error.raw_message.additional_kwargs.get("reasoning_content") == reply.reasoning


@everywhere
@IN_STREAMS
async def test_a_filtered_stream_is_not_resumed(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(*[Reply("Half", finish_reason="content_filter", done=False)] * 2)
    error = await fail(kimi, adapter, way, resume_streams=3)
    assert (error.type, error.partial.content, len(kimi.requests)) == ("content_filter", "Half", 1)


@everywhere
@in_all_ways
async def test_a_filtered_continuation_has_both_parts(kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Reply("One, ", finish_reason="length"), Reply("two", finish_reason="content_filter"))
    error = await fail(kimi, adapter, way, model="kimi-k2.5", thinking=False, continue_on_length=1)
    assert (error.partial.content, error.attempts) == ("One, two", 2)


@in_all_ways
async def test_a_forced_call_that_was_filtered_is_filtered(kimi: KimiEmulator, way: str) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    kimi.script(Reply("", finish_reason="content_filter"))
    with pytest.raises(KimiError) as caught:
        await hear(kimi, "langchain", way, call={"tools": [tool], "tool_choice": "required"})
    assert isinstance(caught.value, wire.KimiContentFilterError)
