"""Conversations that another vendor's model began, and results of tools in any form."""

from __future__ import annotations

import copy
import io
import logging
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiRequestError
from llama_index_kimi.messages import render_message
from tests.media_samples import PNG, PNG_URL

WAYS = ["chat", "stream_chat", "achat", "astream_chat"]

CITATION = CitationBlock(
    cited_content=TextBlock(text="MACHINERY"), source="https://m", title="MACHINERY", additional_location_info={"start": 1}
)  # fmt: skip

# As llama-index-llms-anthropic, -openai (Responses), -google-genai and -bedrock-converse write them.
FOREIGN: dict[str, list[ContentBlock]] = {
    "anthropic": [
        ThinkingBlock(content="MACHINERY", additional_information={"signature": "SEALED"}),
        ThinkingBlock(content=None, additional_information={"type": "redacted_thinking", "data": "SEALED"}),
        TextBlock(text="It is sunny."),
        CITATION,
    ],
    "openai": [
        ThinkingBlock(content="MACHINERY", additional_information={"id": "rs_1", "encrypted_content": "SEALED"}),
        TextBlock(text="It is sunny."),
        ImageBlock(image=PNG),
    ],
    "google": [
        ThinkingBlock(content="MACHINERY", additional_information={"thought_signature": "SEALED"}),
        TextBlock(text="It is sunny."),
        AudioBlock(audio=b"ID3\x04", format="mp3"),
        VideoBlock(url="https://example.org/MACHINERY.mp4"),
        DocumentBlock(data=b"%PDF-1.7", title="MACHINERY"),
    ],
    "cached": [TextBlock(text="It is sunny."), CachePoint(cache_control=CacheControl(type="ephemeral"))],
}


def assistant(*blocks: Any, **extra: Any) -> ChatMessage:
    return ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=extra)


def user(*blocks: Any) -> ChatMessage:
    return ChatMessage(role="user", blocks=list(blocks) or [TextBlock(text="?")])


def answer(*blocks: Any, call_id: str = "f:0") -> ChatMessage:
    return ChatMessage(role="tool", blocks=list(blocks), additional_kwargs={"tool_call_id": call_id})


CALL = assistant(ToolCallBlock(tool_call_id="f:0", tool_name="f", tool_kwargs={}))


async def ask(model: Any, way: str, *messages: ChatMessage) -> None:
    """Ask, one way or another, and look that the messages are as they were."""
    before = copy.deepcopy(messages)
    if way == "chat":
        model.chat(list(messages))
    elif way == "stream_chat":
        list(model.stream_chat(list(messages)))
    elif way == "achat":
        await model.achat(list(messages))
    else:
        _ = [chunk async for chunk in await model.astream_chat(list(messages))]
    assert messages == before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("model", ["kimi-k2.6", pytest.param("kimi-k3", marks=pytest.mark.deep)])
async def test_what_another_model_said_is_kept(kimi: KimiEmulator, llm: Any, way: str, model: str) -> None:
    history = [part for blocks in FOREIGN.values() for part in (user(), assistant(*blocks))]
    await ask(llm(model), way, *history, user(), assistant(CITATION), user(TextBlock(text="So?")))
    sent = kimi.requests[-1].body["messages"]
    assert len(sent) == 2 * len(FOREIGN) + 2, "what was a citation alone is no message"
    assert [message for message in sent if message["role"] == "assistant"] == [
        {"role": "assistant", "content": "It is sunny."}
    ] * len(FOREIGN)
    assert b"SEALED" not in kimi.requests[-1].raw
    assert b"MACHINERY" not in kimi.requests[-1].raw


def test_what_is_left_out_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for blocks in FOREIGN.values():
        render_message(assistant(*blocks))
    assert "left out a citation" in caplog.text
    assert "an AudioBlock cannot be sent" in caplog.text.replace("a AudioBlock", "an AudioBlock")
    assert "another vendor's model thought" in caplog.text


@pytest.mark.parametrize("way", WAYS)
async def test_a_fallback_in_the_middle_of_a_tool_loop(kimi: KimiEmulator, llm: Any, way: str) -> None:
    history = [
        user(),
        assistant(
            ThinkingBlock(content="MACHINERY", additional_information={"signature": "SEALED"}),
            TextBlock(text="I look."),
            ToolCallBlock(tool_call_id="toolu_01A", tool_name="f", tool_kwargs={"x": 1}),
            ToolCallBlock(tool_call_id="call_9", tool_name="f", tool_kwargs='{"x": '),
        ),
        answer(TextBlock(text="r"), call_id="toolu_01A"),
        answer(TextBlock(text="r"), call_id="call_9"),
    ]
    await ask(llm("kimi-k2.6"), way, *history)
    sent = kimi.requests[-1].body["messages"]
    assert [(call["id"], call["function"]["arguments"]) for call in sent[1]["tool_calls"]] == [
        ("toolu_01A", '{"x":1}'),
        ("call_9", "{}"),
    ]
    assert [message["tool_call_id"] for message in sent[2:]] == ["toolu_01A", "call_9"]
    assert b"SEALED" not in kimi.requests[-1].raw


@pytest.mark.parametrize(
    "call",
    [
        {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}},  # Anthropic's
        {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "x",
            "name": "f",
            "arguments": '{"a":1}',
        },  # the Responses API's
        {"toolUseId": "x", "name": "f", "input": {"a": 1}},  # Converse's
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
    ],
)
def test_calls_of_old_memories_in_the_words_of_their_vendors(call: dict[str, Any]) -> None:
    rendered = render_message(assistant(tool_calls=[call]))
    assert rendered["tool_calls"] == [
        {"id": "x", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    ]


async def test_old_memories_go_on(kimi: KimiEmulator, llm: Any) -> None:
    call = {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}}
    await ask(llm(), "chat", user(), assistant(tool_calls=[call]), answer(TextBlock(text="r"), call_id="x"))
    assert kimi.requests[-1].body["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a":1}'}


def test_chat_engines_that_put_a_text_in_the_place_of_a_call_go_on(kimi: KimiEmulator, llm: Any) -> None:
    kimi.script(Reply("I look.", tool_calls=[ToolCall("f", {})]), Reply("Yes."))
    engine = SimpleChatEngine.from_defaults(llm=llm(), memory=ChatMemoryBuffer.from_defaults(token_limit=1000))
    list(engine.stream_chat("Look.").response_gen)
    list(engine.stream_chat("And?").response_gen)
    assert kimi.requests[-1].body["messages"][1] == {"role": "assistant", "content": "I look."}


def test_the_type_of_a_call_is_kimis(kimi: KimiEmulator) -> None:
    """An integration of another vendor leaves its own words beside the blocks."""
    message = assistant(
        ToolCallBlock(tool_call_id="x", tool_name="f"),
        tool_calls=[{"type": "function_call", "id": "x", "call_id": "x", "name": "f", "arguments": "{}"}],
    )
    assert render_message(message)["tool_calls"][0]["type"] == "function"


PAGE = CitableBlock(title='T "1"', source="https://x", content=[TextBlock(text="body"), TextBlock(text="more")])
QUOTE = CitationBlock(cited_content="quoted", source="https://x", title="T", additional_location_info={})

RESULTS: list[tuple[ContentBlock, str]] = [
    (PAGE, '<document title="T &quot;1&quot;" source="https://x">\nbody\nmore\n</document>'),
    (QUOTE, '<document title="T" source="https://x">\nquoted\n</document>'),
    (AudioBlock(audio=b"ID3\x04", format="mp3"), '{"type": "audio", "format": "mp3"}'),
    (
        DocumentBlock(data=b"%PDF-1.7", title="a.pdf"),
        '{"type": "document", "title": "a.pdf", "document_mimetype": "application/pdf"}',
    ),
    (
        ImageBlock(url="https://example.org/a.png"),
        '{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}',
    ),
    (CachePoint(cache_control=CacheControl(type="ephemeral")), ""),
]


@pytest.mark.parametrize(("block", "sent"), RESULTS, ids=lambda value: getattr(value, "block_type", ""))
async def test_a_tools_result_reaches_the_model(kimi: KimiEmulator, llm: Any, block: ContentBlock, sent: str) -> None:
    await ask(llm(), "chat", user(), CALL, answer(block))
    assert kimi.requests[-1].body["messages"][2]["content"] == sent


def test_a_result_that_is_a_file_is_not_read_to_be_described() -> None:
    data = io.BytesIO(b"%PDF-1.7")
    data.seek(3)
    block = DocumentBlock.model_construct(
        data=data, title="a.pdf", document_mimetype="application/pdf", path=None, url=None
    )
    message = ChatMessage.model_construct(role="tool", blocks=[block], additional_kwargs={"tool_call_id": "f:0"})
    assert "a.pdf" in render_message(message)["content"]


async def test_pictures_in_a_source_are_seen(kimi: KimiEmulator, llm: Any) -> None:
    page = CitableBlock(title="T", source="https://x", content=[TextBlock(text="body"), ImageBlock(image=PNG)])
    await ask(llm(), "chat", user(page))
    text, picture = kimi.requests[-1].body["messages"][0]["content"]
    assert text["text"] == '<document title="T" source="https://x">\nbody\n</document>'
    assert picture["image_url"]["url"] == PNG_URL
    await ask(llm(), "chat", user(), CALL, answer(page))
    assert kimi.requests[-1].body["messages"][3]["content"][1]["image_url"]["url"] == PNG_URL


def test_a_users_source_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    document = DocumentBlock(path=str(tmp_path / "gone.txt"))
    page = CitableBlock(title="T", source="https://x", content=[document])
    with pytest.raises(KimiRequestError, match="cannot be read"):
        render_message(user(page))
    assert "gone.txt" in str(render_message(answer(page))["content"])


@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_an_agents_tool_gives_back_what_can_be_cited(kimi: KimiEmulator, llm: Any) -> None:
    def look() -> list[Any]:
        """Look it up."""
        return [PAGE]

    kimi.script(Reply(tool_calls=[ToolCall("look", {})]), Reply("Found."))
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(look)], llm=llm())
    await agent.run("Look it up.", memory=ChatMemoryBuffer.from_defaults(token_limit=1000))
    [found] = [message for message in kimi.requests[-1].body["messages"] if message["role"] == "tool"]
    assert "body\nmore" in found["content"]
