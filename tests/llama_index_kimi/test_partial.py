"""Partial Mode, long answers and broken streams in LlamaIndex."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ThinkingBlock, ToolCallBlock
from llama_index.core.program import LLMTextCompletionProgram
from pydantic import BaseModel

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiWarning
from llama_index_kimi import Kimi, KimiRequestError, KimiStreamError

HI = [ChatMessage(role=MessageRole.USER, content="hi")]
WAYS = ["chat", "achat", "stream_chat", "astream_chat", "complete", "acomplete", "stream_complete", "astream_complete"]
TEXT = "A long answer, in many pieces of its own."


@pytest.fixture
def make(kimi: KimiEmulator) -> Any:
    def make(model: str = "kimi-k3", **arguments: Any) -> Kimi:
        return Kimi(model=model, api_key="sk-test", api_base=kimi.base_url, max_retries=0, **arguments)

    yield make
    assert [request.error for request in kimi.rejections] == []


async def ask(llm: Kimi, way: str, **kwargs: Any) -> tuple[str, list[Any]]:
    """Ask in one of the eight ways; give the text and all responses."""
    given: Any = "hi" if "complete" in way else HI
    result = getattr(llm, way)(given, **kwargs)
    if way.startswith("a"):
        result = await result
    if "stream" not in way:
        responses = [result]
    else:
        responses = [part async for part in result] if way.startswith("a") else list(result)
    last = responses[-1]
    return (last.text if "complete" in way else last.message.content or ""), responses


@pytest.mark.parametrize("way", WAYS)
async def test_the_answer_has_the_prefix(kimi: KimiEmulator, make: Any, way: str) -> None:
    kimi.script(Reply("    return n + 1\n", reasoning="hm"))
    text, responses = await ask(make(), way, prefix="def f(n):\n")
    assert text == "def f(n):\n    return n + 1\n"
    if "stream" in way:
        deltas = [response.delta for response in responses if response.delta]
        assert "".join(deltas) == text
        assert deltas[0].startswith("def f(n):\n")
    assert kimi.requests[-1].body["messages"][-1] == {"role": "assistant", "content": "def f(n):\n", "partial": True}


@pytest.mark.says(
    "docs/partial-mode.md",
    'The raw form, a last assistant message with `additional_kwargs={"partial": True}`, gives what the server sent',
)
async def test_role_play_and_the_raw_form(kimi: KimiEmulator, make: Any) -> None:
    await ask(make(), "chat", prefix_name="Dr. Kelsier")
    assert kimi.requests[-1].body["messages"][-1]["name"] == "Dr. Kelsier"
    kimi.script(Reply("rest."))
    blocks: list[Any] = [ThinkingBlock(content="hm"), TextBlock(text="The ")]
    raw = ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs={"partial": True, "name": "Kelsier"})
    assert make().chat([*HI, raw]).message.content == "rest."
    assert kimi.requests[-1].body["messages"][-1] == {
        "role": "assistant",
        "name": "Kelsier",
        "content": "The ",
        "reasoning_content": "hm",
        "partial": True,
    }


class Point(BaseModel):
    """A point."""

    x: int


def test_a_program_reads_a_json_prefix(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply('"x": 1}'))
    program = LLMTextCompletionProgram.from_defaults(output_cls=Point, prompt_template_str="A point.", llm=make())
    assert program(llm_kwargs={"prefix": "{"}) == Point(x=1)


@pytest.mark.says(
    "docs/partial-mode.md",
    "an answer cut by its token limit is continued up to n times, and comes back as one, its usage added up",
)
@pytest.mark.parametrize("way", WAYS)
async def test_cut_answers_come_back_as_one(kimi: KimiEmulator, make: Any, way: str) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    kimi.script(
        Reply("One, ", reasoning="I think.", finish_reason="length", usage=usage),
        Reply("two, ", finish_reason="length", usage=usage),
        Reply("three.", usage=usage),
    )
    text, responses = await ask(make(continue_on_length=3), way)
    assert text == "One, two, three."
    extra = responses[-1].additional_kwargs
    assert (extra["prompt_tokens"], extra["completion_tokens"], extra["finish_reason"]) == (30, 15, "stop")
    if "chat" in way:
        assert responses[-1].message.blocks[0].content == "I think."


@pytest.mark.says("docs/partial-mode.md", "a stream that broke off is picked up where it stopped, up to n times")
@pytest.mark.parametrize("way", [way for way in WAYS if "stream" in way])
async def test_broken_streams(kimi: KimiEmulator, make: Any, way: str) -> None:
    def rest(body: dict[str, Any]) -> Reply:
        return Reply(TEXT.removeprefix(body["messages"][-1]["content"]))

    kimi.script(Reply(TEXT, reasoning="hm", cut_after=9))
    with pytest.raises(KimiStreamError) as caught:
        await ask(make(), way)
    assert TEXT.startswith(caught.value.partial.content)
    kimi.script(Reply(TEXT, reasoning="hm", cut_after=9), rest)
    text, responses = await ask(make(), way, resume_streams=1)
    assert text == "".join(response.delta or "" for response in responses) == TEXT
    assert responses[-1].additional_kwargs["finish_reason"] == "stop"


async def test_where_it_cannot_work(make: Any) -> None:
    for way in WAYS:
        with pytest.raises(KimiRequestError, match="does not go with response_format json_object"):
            await ask(make(), way, prefix="{", response_format={"type": "json_object"})


@pytest.mark.says(
    "docs/partial-mode.md",
    'tool calls in the history that nobody answered are answered with an error, and that is said once; `"repair"` says nothing, `"error"` raises',
)
def test_unanswered_calls(kimi: KimiEmulator, make: Any) -> None:
    call = ToolCallBlock(tool_call_id="f:0", tool_name="f", tool_kwargs="{}")
    history = [*HI, ChatMessage(role=MessageRole.ASSISTANT, blocks=[call]), *HI]
    with pytest.raises(KimiRequestError, match=r"\['f:0'\] have no answer"):
        make(unanswered_tool_calls="error").chat(history)
    llm = make()
    with pytest.warns(KimiWarning, match=r"\['f:0'\] have no answer"):
        llm.chat(history)
    llm.chat(history)  # said once
    make(unanswered_tool_calls="repair").chat(history)
    assert [message["role"] for message in kimi.requests[-1].body["messages"]] == ["user", "assistant", "tool", "user"]


def test_calls_cut_in_the_middle_are_not_guessed(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply("I call", tool_calls=[ToolCall("f", '{"a": "b')], finish_reason="length"))
    llm = make(continue_on_length=3)
    response = llm.chat(HI)
    (selected,) = llm.get_tool_calls_from_response(response)
    assert selected.tool_name != "f"
    assert '{"a": "b' in selected.tool_name
    assert len(kimi.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stream_chat", "astream_chat"])
async def test_silence_breaks_a_stream_and_thinking_does_not(kimi: KimiEmulator, make: Any, way: str) -> None:
    kimi.script(Reply(TEXT, stall=20.0, stall_after=4), Reply(TEXT, reasoning="hm", stall=1.5, stall_after=3))
    with pytest.raises(KimiStreamError, match="connection broke"):
        await ask(make(stream_idle_timeout=2), way)
    assert (await ask(make(timeout=1, stream_idle_timeout=30), way))[0] == TEXT
