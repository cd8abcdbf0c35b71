"""Answers that decline, which some hosts tell apart from text: in both adapters and all four ways."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelRefusalMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core import exceptions
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.exceptions import ModelError
from langchain_core.tracers._streaming import _V2StreamingCallbackHandler
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

import langchain_kimi
from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire.errors import KimiError, KimiRefusalError
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.conversations import collect
from tests.test_odd_answers import ask_langchain, chunk, everywhere, hear, hear_from, in_all_ways, script, whole

ModelRefusalError: Any = getattr(exceptions, "ModelRefusalError", ModelError)  # langchain-core 1.7.5
NO = "I cannot help with that."


class City(BaseModel):
    """A city."""

    name: str


def decline(kimi: KimiEmulator, way: str, **more: Any) -> None:
    message = {"content": None, "reasoning_content": "Hm", "refusal": NO, **more}
    pieces = [{"reasoning_content": "Hm", **more}, {"refusal": NO[:9]}, {"content": None, "refusal": NO[9:]}]
    script(kimi, way, whole(message), [*map(chunk, pieces), chunk({"refusal": None}, "stop"), "[DONE]"])


def chat(kimi: KimiEmulator, **settings: Any) -> ChatKimi:
    return ChatKimi(api_key="sk-test", base_url=kimi.base_url, max_retries=0, **settings)


def llm(kimi: KimiEmulator, **settings: Any) -> Kimi:
    return Kimi(api_key="sk-test", api_base=kimi.base_url, max_retries=0, **settings)


@pytest.mark.says("docs/errors.md", "it is no text and no empty answer here")
@everywhere
@in_all_ways
@pytest.mark.parametrize("empty_answers", ["warn", "retry"])
async def test_a_refusal_is_no_text_and_no_empty_answer(
    kimi: KimiEmulator, adapter: str, way: str, empty_answers: str
) -> None:
    decline(kimi, way)
    heard = await hear(kimi, adapter, way, empty_answers=empty_answers)
    assert (heard.text, heard.thinking, heard.finish_reason, len(kimi.requests)) == ("", "Hm", "stop", 1)


@pytest.mark.says(
    "docs/errors.md",
    'a standard block `{"type": "refusal"}` of `content_blocks`; streamed in one piece, with the last chunk',
)
@in_all_ways
@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_a_refusal_is_a_standard_block(kimi: KimiEmulator, way: str, version: str) -> None:
    decline(kimi, way)
    message = await ask_langchain(chat(kimi, output_version=version), way)
    blocks = [{key: block[key] for key in block if key != "index"} for block in map(dict, message.content_blocks)]
    assert blocks == [{"type": "reasoning", "reasoning": "Hm"}, {"type": "refusal", "refusal": NO}]
    assert message.additional_kwargs == {"reasoning_content": "Hm", "refusal": NO}
    assert message.response_metadata["normalized_finish_reason"] == "refusal"


@in_all_ways
async def test_a_refusal_may_be_a_part_of_the_content(kimi: KimiEmulator, way: str) -> None:
    decline(kimi, way, content=[{"type": "refusal", "refusal": NO}], refusal=None)
    message = await ask_langchain(chat(kimi), way)
    assert message.text == ""
    assert message.additional_kwargs["refusal"] == NO * (1 + ("stream" in way))


@pytest.mark.says("docs/errors.md", "goes back in the text of the turn")
@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("version", ["v0", "v1", "llama_index"])
async def test_a_refusal_goes_back_in_the_text(kimi: KimiEmulator, way: str, version: str) -> None:
    decline(kimi, way)
    if version == "llama_index":
        asked = [ChatMessage("hi")]
        answers = llm(kimi).stream_chat(asked) if way == "stream" else [llm(kimi).chat(asked)]
        answer = list(answers)[-1]
        assert answer.additional_kwargs["refusal"] == answer.message.additional_kwargs["refusal"] == NO
        llm(kimi).chat([*asked, answer.message, ChatMessage("Why?")])
    else:
        model = chat(kimi, output_version=version)
        message = await ask_langchain(model, way)
        model.invoke([("user", "hi"), message, ("user", "Why?")])
    sent = kimi.requests[-1].body["messages"][1]
    assert sent == {"role": "assistant", "content": NO, "reasoning_content": "Hm"}


METHODS = pytest.mark.parametrize(  # a forced call is asked for below, and the third is read as the first
    "method", ["json_schema", *(pytest.param(it, marks=pytest.mark.deep) for it in ("function_calling", "json_mode"))]
)
FILTERED = Reply('{"na', finish_reason="content_filter")


async def ask_chain(chain: Any, way: str) -> Any:
    if way == "whole":
        return chain.invoke("hi")
    if way == "awhole":
        return await chain.ainvoke("hi")
    parts = list(chain.stream("hi")) if way == "stream" else await collect(chain.astream("hi"))
    return {key: value for part in parts for key, value in part.items()}


@pytest.mark.says(
    "docs/errors.md",
    "`KimiRefusalError`, `raw_message` is the answer",
    "`KimiContentFilterError`, `raw_message` is what had come",
    "either is the `parsing_error`",
)
@in_all_ways
@METHODS
@pytest.mark.parametrize("kind", ["declined", "filtered"])
async def test_no_object_comes_of_a_refusal(kimi: KimiEmulator, way: str, method: Any, kind: str) -> None:
    expected = langchain_kimi.KimiRefusalError if kind == "declined" else langchain_kimi.KimiContentFilterError
    for include_raw in (False, True):
        if kind == "declined":
            decline(kimi, way)
        else:
            kimi.script(FILTERED)
        chain = chat(kimi).with_structured_output(City, method=method, include_raw=include_raw)
        if include_raw:
            given = await ask_chain(chain, way)
            assert given["parsed"] is None
            error, raw = given["parsing_error"], given["raw"]
        else:
            with pytest.raises(expected) as caught:
                await ask_chain(chain, way)
            error = caught.value
            raw = error.raw_message
        assert isinstance(error, expected)
        assert isinstance(error, ModelRefusalError)
        assert not error.is_retryable
        assert raw.response_metadata["finish_reason"] == ("stop" if kind == "declined" else "content_filter")
        assert raw.additional_kwargs.get("refusal") == (NO if kind == "declined" else None)


@pytest.mark.parametrize("way", ["whole", "stream"])
def test_a_request_that_is_refused_has_no_message(kimi: KimiEmulator, way: str) -> None:
    chain = chat(kimi).with_structured_output(City, include_raw=True)
    kimi.script(Failure(400, type="content_filter"))
    with pytest.raises(langchain_kimi.KimiContentFilterError) as caught:
        chain.invoke("hi") if way == "whole" else list(chain.stream("hi"))
    assert caught.value.raw_message is None


def test_each_of_a_batch_is_refused_by_itself(kimi: KimiEmulator) -> None:
    chain = chat(kimi).with_structured_output(City, include_raw=True)
    kimi.script(FILTERED, Reply('{"name": "Paris"}'))
    given = chain.batch(["a", "b"], {"max_concurrency": 1})
    assert [one["parsed"] for one in given] == [None, City(name="Paris")]


@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
@in_all_ways
async def test_a_forced_call_that_is_declined_says_so(kimi: KimiEmulator, adapter: str, way: str) -> None:
    decline(kimi, way)
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    with pytest.raises(KimiError, match="declined to answer: 'I cannot") as caught:
        await hear_from(kimi.base_url, adapter, way, {"tools": [tool], "tool_choice": "required"})
    assert isinstance(caught.value, KimiRefusalError)
    assert caught.value.partial.refusal == NO


async def predict(llm: Kimi, way: str) -> Any:
    asked = (City, PromptTemplate("hi"))
    if way == "whole":
        return llm.structured_predict(*asked)
    if way == "awhole":
        return await llm.astructured_predict(*asked)
    return (
        list(llm.stream_structured_predict(*asked))
        if way == "stream"
        else await collect(await llm.astream_structured_predict(*asked))
    )


@pytest.mark.says("docs/errors.md", "`KimiRefusalError`, `partial` is the response")
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2-0711-preview"])  # by schema, by a tool
@in_all_ways
async def test_nothing_is_predicted_of_a_refusal(kimi: KimiEmulator, way: str, model: str) -> None:
    decline(kimi, way)
    with pytest.raises(KimiRefusalError, match="I cannot help") as caught:
        await predict(llm(kimi, model=model), way)
    assert caught.value.partial is not None


@pytest.mark.says(
    "docs/errors.md",
    "LangChain's `ModelRefusalMiddleware` (langchain 1.5) raises in agents for every answer that declines.",
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_langchains_middleware_raises(kimi: KimiEmulator, asynchronous: bool) -> None:
    agent = create_agent(chat(kimi), middleware=[ModelRefusalMiddleware()])
    decline(kimi, "whole")
    asked: Any = {"messages": [("user", "hi")]}
    with pytest.raises(ModelRefusalError, match=NO):
        await agent.ainvoke(asked) if asynchronous else agent.invoke(asked)


@pytest.mark.parametrize("strategy", [None, ProviderStrategy, ToolStrategy])
def test_an_agent_that_is_to_give_an_object_raises(kimi: KimiEmulator, strategy: Any) -> None:
    form = City if strategy is None else strategy(City)
    agent: Any = create_agent(chat(kimi), response_format=form, middleware=[ModelRefusalMiddleware()])
    decline(kimi, "whole")
    with pytest.raises(ModelRefusalError, match=NO) as caught:
        agent.invoke({"messages": [("user", "hi")]})
    assert caught.value.raw_message.additional_kwargs["refusal"] == NO


class Watcher(BaseCallbackHandler, _V2StreamingCallbackHandler):
    """Wants events."""


@pytest.mark.parametrize("kind", ["declined", "filtered"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_no_object_comes_of_a_refusal_that_is_watched(kimi: KimiEmulator, kind: str, asynchronous: bool) -> None:
    """langchain-core leaves refusal blocks out of the message that it puts together of events."""
    if kind == "declined":
        decline(kimi, "stream")
    else:
        kimi.script(FILTERED)
    chain = chat(kimi).with_structured_output(City)
    config: Any = {"callbacks": [Watcher()]}
    with pytest.raises(ModelRefusalError) as caught:
        await chain.ainvoke("hi", config) if asynchronous else chain.invoke("hi", config)
    assert caught.value.raw_message is not None


@pytest.mark.says(
    "docs/errors.md",
    'Why an answer ended is `response_metadata["finish_reason"]` in the server\'s word, and `["normalized_finish_reason"]` in langchain-core\'s',
)
@pytest.mark.parametrize(
    ("reason", "normalized"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_call"), ("eos", None), (None, None)],
)
@pytest.mark.parametrize("way", ["whole", "stream"])
async def test_ends_have_langchains_words(kimi: KimiEmulator, way: str, reason: Any, normalized: Any) -> None:
    script(kimi, way, whole({"content": "x"}, reason), [chunk({"content": "x"}), chunk({}, reason), "[DONE]"])
    message = await ask_langchain(chat(kimi), way)
    metadata = message.response_metadata
    assert (metadata.get("finish_reason"), metadata.get("normalized_finish_reason")) == (reason, normalized)
