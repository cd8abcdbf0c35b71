"""Streams of LlamaIndex, shown."""

from __future__ import annotations

import pytest
from llama_index.core import Document, SummaryIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.llms import ChatMessage

from kimi_emulator import KimiEmulator, Reply, ToolCall
from llama_index_kimi import Kimi, ashow, show


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


ANSWER = Reply("It is sunny.", reasoning="Done.")


@pytest.fixture
def llm(kimi: KimiEmulator) -> Kimi:
    return Kimi(api_key="sk-test", base_url=kimi.base_url)


def test_a_chat_and_a_completion(llm: Kimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    kimi.script(ANSWER, ANSWER)
    assert show(llm.stream_chat([ChatMessage("hello")])).message.content == "It is sunny."
    assert show(llm.stream_complete("hello")).text == "It is sunny."
    assert capsys.readouterr().out.splitlines() == ["(thinking) Done.", "It is sunny."] * 2


async def test_an_asynchronous_chat(llm: Kimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    kimi.script(ANSWER)
    assert (await ashow(await llm.astream_chat([ChatMessage("hello")]))).message.content == "It is sunny."
    assert capsys.readouterr().out.splitlines() == ["(thinking) Done.", "It is sunny."]


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")  # core reads __fields__
async def test_an_agent(llm: Kimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    kimi.script(Reply(reasoning="I look.", tool_calls=[ToolCall("get_weather", {"city": "Paris"})]), ANSWER)
    handler = FunctionAgent(tools=[get_weather], llm=llm).run("Paris?")
    await ashow(handler.stream_events())
    await handler
    assert capsys.readouterr().out.splitlines() == [
        "(thinking) I look.",
        '-> get_weather {"city": "Paris"}',
        "<- get_weather: Sunny in Paris.",
        "(thinking) Done.",
        "It is sunny.",
    ]


def test_an_engine_s_text(llm: Kimi, kimi: KimiEmulator, capsys: pytest.CaptureFixture[str]) -> None:
    kimi.script(ANSWER)
    engine = SummaryIndex.from_documents([Document(text="It is sunny.")]).as_query_engine(llm=llm, streaming=True)
    assert show(engine.query("How is it?").response_gen) == "It is sunny."
    assert capsys.readouterr().out == "It is sunny.\n"


def test_something_else_says_what_it_reads() -> None:
    with pytest.raises(TypeError, match="not int"):
        show([1])
