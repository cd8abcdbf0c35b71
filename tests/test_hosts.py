"""One conversation with every kind of host through both adapters: thinking, tools, JSON, prefixes and streams."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    ToolMessage,
    messages_from_dict,
    messages_to_dict,
)
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.memory import ChatMemoryBuffer
from pydantic import BaseModel

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiRequestError, KimiWarning, hosts
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

KINDS = {
    "moonshot": ("moonshot", "kimi-k3"),
    "vllm": ("vllm", "moonshotai/Kimi-K2.6"),
    "vllm k3": ("vllm", "moonshotai/kimi-k3"),
    "sglang": ("sglang", "moonshotai/Kimi-K2.6"),
    "openrouter": ("openrouter", "moonshotai/kimi-k3"),
    "litellm": ("litellm", "kimi-k2.6"),
    "gateway": ("auto", "kimi-k3"),
    "gateway k2.7": ("auto", "kimi-k2.7-code"),
    "strict": ("fireworks", "accounts/fireworks/models/kimi-k3"),
}
HOSTS_WITH_PREFIX = {"moonshot", "gateway", "gateway k2.7", "vllm", "vllm k3", "sglang", "litellm"}
THOUGHT = "I look «it» up.\n"
CALLS = Reply(reasoning=THOUGHT, tool_calls=[ToolCall("get_weather", {"city": "Paris"})])
KEYS = {"vllm": "reasoning", "vllm k3": "reasoning", "openrouter": "reasoning_details"}


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


class Report(BaseModel):
    """A weather report."""

    city: str
    sunny: bool


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def host(kind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[KimiEmulator]:
    if kind.startswith("gateway"):
        monkeypatch.delitem(hosts._ADDRESSES, "127.0.0.1")  # nothing is known of a gateway's address
    with KimiEmulator(host_kind=kind.partition(" ")[0]) as emulator:
        yield emulator
        assert [request.error for request in emulator.rejections] == []


def expected_reasoning(kind: str) -> dict[str, Any]:
    if kind == "openrouter":
        details = [{"type": "reasoning.text", "text": THOUGHT, "format": "unknown", "index": 0}]
        return {"reasoning_details": details}
    return {KEYS.get(kind, "reasoning_content"): THOUGHT}


def check_replay(kind: str, body: dict[str, Any]) -> None:
    """The second request has the first answer's reasoning and its call, and the call's result, as the host reads it."""
    user, assistant, tool, *_ = body["messages"]
    assert user["role"] == "user"
    assert {name: value for name, value in assistant.items() if "reasoning" in name} == expected_reasoning(kind)
    (call,) = assistant["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    assert call["id"] == tool["tool_call_id"]
    if kind in ("vllm", "sglang"):
        assert call["id"] == "functions.get_weather:0"
    elif kind == "vllm k3":
        assert call["id"].startswith("chatcmpl-tool-")


def run(function: Callable[..., Any], afunction: Callable[..., Any], way: str, *args: Any, **kwargs: Any) -> Any:
    return asyncio.run(afunction(*args, **kwargs)) if way == "async" else function(*args, **kwargs)


class TestLangChain:
    @pytest.fixture
    def model(self, kind: str, host: KimiEmulator) -> Iterator[ChatKimi]:
        dialect, name = KINDS[kind]
        model = ChatKimi(model=name, dialect=dialect, base_url=host.base_url, api_key="sk-test", max_retries=0)
        yield model
        model._client.close()

    def ask(self, runnable: Any, messages: Any, way: str, streamed: bool) -> Any:
        async def asum() -> Any:
            chunks = [chunk async for chunk in runnable.astream(messages)]
            return self.add(chunks)

        if not streamed:
            return run(runnable.invoke, runnable.ainvoke, way, messages)
        return asyncio.run(asum()) if way == "async" else self.add(list(runnable.stream(messages)))

    def add(self, chunks: list[Any]) -> Any:
        total: AIMessageChunk = chunks[0]
        for chunk in chunks[1:]:
            total = total + chunk
        return total

    @pytest.mark.parametrize("way", ["sync", "async"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_conversation(self, kind: str, host: KimiEmulator, model: ChatKimi, way: str, streamed: bool) -> None:
        host.script(CALLS, Reply("It is sunny.", reasoning="Good."))
        tooled = model.bind_tools([get_weather])
        history: list[Any] = [HumanMessage("Weather in Paris?")]
        first = self.ask(tooled, history, way, streamed)
        assert first.additional_kwargs["reasoning_content"] == THOUGHT
        assert [call["args"] for call in first.tool_calls] == [{"city": "Paris"}]
        assert first.tool_calls[0]["id"]
        assert first.usage_metadata["output_tokens"] > 0
        assert first.response_metadata["finish_reason"] == "tool_calls"
        (stored,) = messages_from_dict(json.loads(json.dumps(messages_to_dict([first]))))
        assert isinstance(stored, AIMessage)
        history += [stored, ToolMessage("Sunny.", tool_call_id=stored.tool_calls[0]["id"], name="get_weather")]
        before = copy.deepcopy(history)
        second = self.ask(tooled, history, way, streamed)
        assert second.content == "It is sunny."
        assert second.additional_kwargs["reasoning_content"] == "Good."
        check_replay(kind, host.requests[-1].body)
        assert history == before

    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_structured_output(self, host: KimiEmulator, model: ChatKimi, way: str) -> None:
        for method in ("json_schema", "function_calling"):
            runnable = model.with_structured_output(Report, method=method)
            report = run(runnable.invoke, runnable.ainvoke, way, "Report on Paris, where it is sunny.")
            assert isinstance(report, Report), method

    @pytest.mark.parametrize("way", ["sync", "async"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_prefix(self, kind: str, host: KimiEmulator, model: ChatKimi, way: str, streamed: bool) -> None:
        bound = model.bind(prefix="Paris is")
        if kind not in HOSTS_WITH_PREFIX:
            with pytest.raises(KimiRequestError, match="no Partial Mode"):
                self.ask(bound, "Where?", way, streamed)
            return
        host.script(Reply("Paris is in France.", whole=True))
        assert self.ask(bound, "Where?", way, streamed).content == "Paris is in France."

    def test_reasoning_survives_v1_output_and_pickles(self, kind: str, host: KimiEmulator, model: ChatKimi) -> None:
        host.script(CALLS, Reply("ok"))
        v1 = model.model_copy(update={"output_version": "v1"})
        first = self.add(list(v1.stream("Weather?")))
        assert {"type": "reasoning", "reasoning": THOUGHT} in [
            {key: block[key] for key in ("type", "reasoning") if key in block} for block in first.content_blocks
        ]
        kept = pickle.loads(pickle.dumps(first))
        model.invoke([HumanMessage("Weather?"), kept, ToolMessage("Sunny.", tool_call_id=kept.tool_calls[0]["id"])])
        check_replay(kind, host.requests[-1].body)
        v1._client.close()


class TestLlamaIndex:
    @pytest.fixture
    def model(self, kind: str, host: KimiEmulator) -> Iterator[Kimi]:
        dialect, name = KINDS[kind]
        model = Kimi(model=name, dialect=dialect, api_base=host.base_url, api_key="sk-test", max_retries=0)
        yield model
        model._client.close()

    def chat(self, model: Kimi, messages: list[ChatMessage], way: str, streamed: bool, **kwargs: Any) -> Any:
        async def alast() -> Any:
            return [chunk async for chunk in await model.astream_chat(messages, **kwargs)][-1]

        if not streamed:
            return run(model.chat, model.achat, way, messages, **kwargs)
        return asyncio.run(alast()) if way == "async" else list(model.stream_chat(messages, **kwargs))[-1]

    @pytest.mark.parametrize("way", ["sync", "async"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_conversation(self, kind: str, host: KimiEmulator, model: Kimi, way: str, streamed: bool) -> None:
        host.script(CALLS, Reply("It is sunny.", reasoning="Good."))
        user = ChatMessage(role="user", content="Weather in Paris?")
        first = self.chat(model, [user], way, streamed)
        (selection,) = model.get_tool_calls_from_response(first)
        assert selection.tool_kwargs == {"city": "Paris"}
        thinking = [block.content for block in first.message.blocks if isinstance(block, ThinkingBlock)]
        assert thinking == [THOUGHT]
        result = ChatMessage(role="tool", content="Sunny.", additional_kwargs={"tool_call_id": selection.tool_id})
        memory = ChatMemoryBuffer.from_defaults(chat_history=[user, first.message, result], token_limit=4000)
        history = memory.get()
        before = copy.deepcopy(history)
        second = self.chat(model, history, way, streamed)
        assert second.message.content == "It is sunny."
        check_replay(kind, host.requests[-1].body)
        assert history == before

    def test_reasoning_survives_storage(self, kind: str, host: KimiEmulator, model: Kimi) -> None:
        host.script(CALLS, Reply("ok"))
        user = ChatMessage(role="user", content="Weather?")
        first = model.chat([user])
        kept = ChatMessage.model_validate_json(first.message.model_dump_json())
        (call,) = model.get_tool_calls_from_response(first)
        model.chat(
            [user, kept, ChatMessage(role="tool", content="x", additional_kwargs={"tool_call_id": call.tool_id})]
        )
        check_replay(kind, host.requests[-1].body)

    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_structured_output(self, host: KimiEmulator, model: Kimi, way: str) -> None:
        structured = model.as_structured_llm(Report)
        report = run(structured.complete, structured.acomplete, way, "Report on Paris, where it is sunny.").raw
        assert isinstance(report, Report)

    @pytest.mark.parametrize("way", ["sync", "async"])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_prefix(self, kind: str, host: KimiEmulator, model: Kimi, way: str, streamed: bool) -> None:
        messages = [ChatMessage(role="user", content="Where?")]
        if kind not in HOSTS_WITH_PREFIX:
            with pytest.raises(KimiRequestError, match="no Partial Mode"):
                self.chat(model, messages, way, streamed, prefix="Paris is")
            return
        host.script(Reply("Paris is in France.", whole=True))
        answer = self.chat(model, messages, way, streamed, prefix="Paris is")
        assert answer.message.content == "Paris is in France."


def test_a_dialect_can_be_given_per_call(kimi: KimiEmulator) -> None:
    kimi.script(Reply("a"), Reply("b"))
    arguments: Any = {"base_url": kimi.base_url, "api_key": "sk-test"}
    langchain, llama = ChatKimi(**arguments), Kimi(**arguments)
    langchain.invoke("hi", dialect="vllm")
    assert "chat_template_kwargs" in kimi.requests[-1].body
    llama.complete("hi", dialect="openrouter", reasoning_effort="low")
    assert kimi.requests[-1].body["reasoning"] == {"effort": "low"}
    langchain._client.close()
    llama._client.close()


def test_an_unknown_dialect_is_refused_at_construction() -> None:
    with pytest.raises(ValueError, match="dialect='ollama' is not one of"):
        ChatKimi(api_key="sk-test", dialect="ollama")
    with pytest.raises(KimiRequestError, match="dialect='ollama' is not one of"):
        Kimi(api_key="sk-test", dialect="ollama")


@pytest.mark.says("docs/hosts.md", "without them the model's own marks stay in the text, and a `KimiWarning` says so")
@pytest.mark.parametrize(
    "reply",
    [
        Reply('<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}'),
        Reply("", reasoning="Now.<|tool_call_begin|>functions.f:0"),
        Reply("<think>Hm.</think>Hello"),
        Reply("Hm, well.</think>\n\nHello"),
    ],
)
def test_marks_in_the_text_are_told_and_never_read(kimi: KimiEmulator, reply: Reply) -> None:
    arguments: Any = {"base_url": kimi.base_url, "api_key": "sk-test"}
    langchain, llama = ChatKimi(**arguments), Kimi(**arguments)
    kimi.script(*[reply] * 4)
    with pytest.warns(KimiWarning, match="--tool-call-parser kimi_k2"):
        message = langchain.invoke("hi")
    assert message.content == reply.content
    assert not message.tool_calls
    with pytest.warns(KimiWarning, match="--reasoning-parser"):
        assert list(langchain.stream("hi"))
    with pytest.warns(KimiWarning, match="its text"):
        assert llama.complete("hi").text == reply.content
    with pytest.warns(KimiWarning, match="its text"):
        assert list(llama.stream_complete("hi"))[-1].text == reply.content
    langchain._client.close()
    llama._client.close()


def test_an_answer_may_speak_of_marks(kimi: KimiEmulator) -> None:
    model = ChatKimi(base_url=kimi.base_url, api_key="sk-test")
    kimi.script(Reply("Models end their thinking with `</think>`."), Reply("<think> opens it.", reasoning="Hm."))
    model.invoke("hi")
    model.invoke("hi")
    model._client.close()
