"""The eight endpoints against the local server: answers, streams, counts, events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock, ThinkingBlock
from llama_index.core.bridge.pydantic import Field
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.callbacks.schema import CBEventType
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span_handlers import SimpleSpanHandler
from llama_index.core.llms import ChatResponse
from llama_index.core.prompts import PromptTemplate

from kimi_emulator import KimiEmulator, Reply, ToolCall
from llama_index_kimi import Kimi, KimiRequestError, KimiWarning

Make = Callable[..., Kimi]
HELLO = [ChatMessage(role="user", content="Hello")]
THOUGHT = "Let me think.\n\nIt is a greeting — 问候."
ANSWER = "Hello! 你好, 👋."
MODES = ["chat", "achat", "stream_chat", "astream_chat"]


async def run(llm: Kimi, mode: str, messages: list[ChatMessage] = HELLO, **kwargs: Any) -> list[ChatResponse]:
    """The responses of an endpoint, as a list."""
    result = getattr(llm, mode)(messages, **kwargs)
    if mode.startswith("a"):
        result = await result
    if mode == "stream_chat":
        return list(result)
    return [chunk async for chunk in result] if mode == "astream_chat" else [result]


@pytest.mark.says("docs/agents.md", "a `ThinkingBlock` in `response.message.blocks`")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("chunk_size", [1, 3, None])
async def test_every_mode_gives_the_same_answer(kimi: KimiEmulator, llm: Make, mode: str, chunk_size: int) -> None:
    calls = [ToolCall("get_weather", '{"city":  "Paris"}'), ToolCall("now", "{}")]
    kimi.script(Reply(ANSWER, reasoning=THOUGHT, tool_calls=calls, chunk_size=chunk_size))
    final = (await run(llm(), mode))[-1]
    assert final.message.role == MessageRole.ASSISTANT
    assert [block.model_dump(exclude={"num_tokens"}) for block in final.message.blocks] == [
        {"block_type": "thinking", "content": THOUGHT, "additional_information": {"provider": "moonshot"}},
        {"block_type": "text", "text": ANSWER},
        {
            "block_type": "tool_call",
            "tool_call_id": "get_weather_0",
            "tool_name": "get_weather",
            "tool_kwargs": '{"city":  "Paris"}',
        },
        {"block_type": "tool_call", "tool_call_id": "now_1", "tool_name": "now", "tool_kwargs": "{}"},
    ]
    assert final.additional_kwargs["finish_reason"] == "tool_calls"
    assert final.additional_kwargs["request_id"]
    usage = final.raw["usage"]
    assert final.additional_kwargs["prompt_tokens"] == usage["prompt_tokens"] > 0
    assert final.message.blocks[0].num_tokens == usage["completion_tokens_details"]["reasoning_tokens"]
    assert isinstance(final.raw, dict)
    assert "reasoning_content" not in final.message.additional_kwargs


@pytest.mark.says("docs/agents.md", '`response.additional_kwargs["thinking_delta"]`')
@pytest.mark.parametrize("mode", ["stream_chat", "astream_chat"])
async def test_a_stream_adds_up(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply(ANSWER, reasoning=THOUGHT, chunk_size=2))
    chunks = await run(llm(), mode)
    assert "".join(chunk.delta for chunk in chunks) == ANSWER
    assert "".join(chunk.additional_kwargs.get("thinking_delta") or "" for chunk in chunks) == THOUGHT
    text = ""
    for chunk in chunks:
        text += chunk.delta
        assert (chunk.message.content or "") == text
        assert "thinking_delta" not in chunk.message.additional_kwargs
    assert [chunk for chunk in chunks if "usage" in chunk.raw] == [chunks[-1]]
    assert kimi.requests[-1].body["stream_options"] == {"include_usage": True}


async def test_the_first_asynchronous_chunk_may_be_thinking(kimi: KimiEmulator, llm: Make) -> None:
    first = {"index": 0, "delta": {"role": "assistant", "content": None, "reasoning_content": "Let "}}
    rest = {"index": 0, "delta": {"reasoning_content": "me."}}
    end = {"index": 0, "delta": {"content": "Yes"}, "finish_reason": "stop"}
    kimi.script(Reply(events=[*({"choices": [choice]} for choice in (first, rest, end)), "[DONE]"]))
    chunks = await run(llm(), "astream_chat")
    assert [chunk.additional_kwargs.get("thinking_delta") for chunk in chunks] == ["Let ", "me.", None, None]
    assert chunks[-1].message.blocks[0].content == "Let me."


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reasoning", [None, ""])
async def test_empty_thinking_is_not_none(kimi: KimiEmulator, llm: Make, mode: str, reasoning: str | None) -> None:
    model = llm()
    kimi.script(Reply("Hi", reasoning=reasoning), Reply("Bye"))
    answer = (await run(model, mode))[-1].message
    thinking = [block.content for block in answer.blocks if isinstance(block, ThinkingBlock)]
    assert thinking == ([] if reasoning is None else [""])
    await run(model, mode, [*HELLO, answer, *HELLO])
    assert kimi.requests[-1].body["messages"][1].get("reasoning_content") == reasoning


@pytest.mark.parametrize("mode", MODES)
async def test_an_answer_of_thinking_only(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    model = llm()
    kimi.script(Reply("", reasoning=THOUGHT), Reply("Yes?"))
    with pytest.warns(KimiWarning, match="only thought"):
        answer = (await run(model, mode))[-1].message
    assert (answer.content or "") == ""
    assert answer.blocks[0].content == THOUGHT
    await run(model, mode, [*HELLO, answer, *HELLO])  # the server refuses an assistant message without content
    assert [message["role"] for message in kimi.requests[-1].body["messages"]] == ["user", "user"]


@pytest.mark.parametrize("mode", MODES)
async def test_an_answer_eaten_by_thinking_is_explained_each_time(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    model = llm()
    for _ in range(2):
        kimi.script(Reply("", reasoning=THOUGHT, finish_reason="length"))
        with pytest.warns(KimiWarning, match="spent on thinking"):
            await run(model, mode)


@pytest.mark.parametrize("formatted", [False, True])
async def test_completions(kimi: KimiEmulator, llm: Make, formatted: bool) -> None:
    model = llm(completion_to_prompt=lambda prompt: f"<{prompt}>")
    kimi.script(*[Reply(ANSWER, reasoning=THOUGHT)] * 4)
    finals = [model.complete("Hello", formatted=formatted), await model.acomplete("Hello", formatted=formatted)]
    streams = [
        list(model.stream_complete("Hello", formatted=formatted)),
        [chunk async for chunk in await model.astream_complete("Hello", formatted=formatted)],
    ]
    for chunks in streams:
        assert "".join(chunk.delta for chunk in chunks) == ANSWER
        assert "".join(chunk.additional_kwargs.get("thinking_delta") or "" for chunk in chunks) == THOUGHT
        finals.append(chunks[-1])
    for final in finals:
        assert final.text == ANSWER
        assert final.additional_kwargs["thinking"] == THOUGHT
        assert final.additional_kwargs["completion_tokens"] == final.raw["usage"]["completion_tokens"]
    sent = [request.body["messages"] for request in kimi.requests]
    assert sent == [[{"role": "user", "content": "Hello" if formatted else "<Hello>"}]] * 4


async def _call(llm: Kimi, mode: str) -> None:
    """Call an endpoint and take everything it gives."""
    argument: Any = "Hello" if "complete" in mode else HELLO
    result = getattr(llm, mode)(argument)
    if mode.startswith("a"):
        result = await result
    if "stream" in mode:
        _ = [chunk async for chunk in result] if mode.startswith("a") else list(result)


ENDPOINTS = [*MODES, "complete", "acomplete", "stream_complete", "astream_complete"]


@pytest.mark.parametrize("mode", ENDPOINTS)
async def test_tokens_are_counted_once(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    counter = TokenCountingHandler()
    kimi.script(Reply(ANSWER, usage={"prompt_tokens": 111, "completion_tokens": 22, "total_tokens": 133}))
    await _call(llm(callback_manager=CallbackManager([counter])), mode)
    assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (111, 22)
    assert len(counter.llm_token_counts) == 1


@pytest.mark.parametrize("mode", ENDPOINTS)
async def test_callbacks_fire_once(llm: Make, mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    handler = LlamaDebugHandler(print_trace_on_end=False)
    await _call(llm(callback_manager=CallbackManager([handler])), mode)
    pairs = handler.get_event_pairs(CBEventType.LLM)
    assert [len(pair) for pair in pairs] == [2]
    assert "sk-test" not in str(pairs)


class Events(BaseEventHandler):
    seen: list[BaseEvent] = Field(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Events"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        self.seen.append(event)


@pytest.mark.parametrize("mode", ENDPOINTS)
async def test_events_and_spans_come_once(llm: Make, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    events, spans = Events(), SimpleSpanHandler()
    dispatcher = get_dispatcher()
    monkeypatch.setattr(dispatcher, "event_handlers", [*dispatcher.event_handlers, events])
    monkeypatch.setattr(dispatcher, "span_handlers", [*dispatcher.span_handlers, spans])
    model = llm(default_headers={"X-Token": "secret"})
    await _call(model, mode)
    kinds = [type(event).__name__ for event in events.seen]
    name = "LLMCompletion" if "complete" in mode else "LLMChat"
    assert (kinds.count(f"{name}StartEvent"), kinds.count(f"{name}EndEvent")) == (1, 1)
    assert {kind for kind in kinds if kind.startswith("LLM")} <= {
        f"{name}{part}Event" for part in ("Start", "InProgress", "End")
    }
    assert [span.id_.partition("-")[0] for span in spans.completed_spans] == [f"Kimi.{mode}"]
    start = next(event for event in events.seen if type(event).__name__ == f"{name}StartEvent")
    assert start.model_dict["model"] == "kimi-k3"
    shown = "".join(event.model_dump_json() for event in events.seen)
    assert "sk-test" not in shown
    assert "secret" not in shown


async def test_the_system_prompt_goes_with_predictions(kimi: KimiEmulator, llm: Make) -> None:
    # Not with chat(): that is the framework's contract (`LLM._extend_messages`).
    model = llm(system_prompt="Be brief.")
    prompt = PromptTemplate("Say {word}.")
    model.predict(prompt, word="hi")
    await model.apredict(prompt, word="hi")
    list(model.stream(prompt, word="hi"))
    _ = [token async for token in await model.astream(prompt, word="hi")]
    model.chat(HELLO)
    sent = [[message["role"] for message in request.body["messages"]] for request in kimi.requests]
    assert sent == [["system", "user"]] * 4 + [["user"]]


def test_messages_of_every_role(kimi: KimiEmulator, llm: Make) -> None:
    messages = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="developer", content="Rhyme.")]
    before = [message.model_dump_json() for message in messages]
    llm().chat([*messages, ChatMessage(role="user", content="Hi", additional_kwargs={"name": "Ada"})])
    assert kimi.requests[-1].body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "Rhyme."},
        {"role": "user", "content": "Hi", "name": "Ada"},
    ]
    assert [message.model_dump_json() for message in messages] == before


def test_images_go_as_bytes_and_never_as_links(kimi: KimiEmulator, llm: Make) -> None:
    png = bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001"
        "5a4d7f7f0000000049454e44ae426082"
    )
    llm().chat([ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), ImageBlock(image=png)])])
    assert kimi.requests[-1].body["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    with pytest.raises(KimiRequestError, match="Kimi fetches nothing from the web"):
        llm().chat([ChatMessage(role="user", blocks=[ImageBlock(url="https://example.org/cat.png")])])


def test_log_probabilities(kimi: KimiEmulator, llm: Make) -> None:
    token = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "finish_reason": "stop",
        "logprobs": {"content": [token]},
    }
    kimi.script(Reply(body={"id": "c", "model": "moonshot-v1-8k", "choices": [choice]}))
    response = llm("moonshot-v1-8k", logprobs=True, top_logprobs=2).chat(HELLO)
    assert (kimi.requests[-1].body["logprobs"], kimi.requests[-1].body["top_logprobs"]) == (True, 2)
    assert [[item.token for item in items] for items in response.logprobs] == [["Hi"]]


def test_an_answer_without_usage_is_counted_by_its_text(kimi: KimiEmulator, llm: Make) -> None:
    counter = TokenCountingHandler()
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi there"}, "finish_reason": "stop"}
    kimi.script(Reply(body={"id": "c", "model": "m", "choices": [choice]}))
    response = llm(callback_manager=CallbackManager([counter])).chat(HELLO)
    assert response.raw["usage"] is None
    assert counter.total_llm_token_count > 0


def test_nothing_is_logged_of_the_key(llm: Make, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        llm().complete("Hello")
    assert "sk-test" not in caplog.text
