"""Conversations that another vendor's model began, and results of tools in any form."""

from __future__ import annotations

import copy
import json
import logging
from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.content import KNOWN_BLOCK_TYPES

from kimi_emulator import KimiEmulator
from kimi_wire.errors import KimiRequestError
from langchain_kimi.messages import render_messages
from tests.langchain_kimi.histories import ANSWERS, ONLY_MACHINERY, PNG

CALL = AIMessage("", tool_calls=[{"name": "f", "args": {"x": 1}, "id": "toolu_1", "type": "tool_call"}])
WAYS = ["invoke", "stream", "ainvoke", "astream"]


async def ask(model: Any, way: str, *messages: BaseMessage) -> None:
    """Ask, one way or another, and look that the messages are as they were."""
    before = copy.deepcopy(messages)
    if way == "invoke":
        model.invoke(list(messages))
    elif way == "stream":
        list(model.stream(list(messages)))
    elif way == "ainvoke":
        await model.ainvoke(list(messages))
    else:
        _ = [chunk async for chunk in model.astream(list(messages))]
    assert messages == before


def texts(content: str | list[Any]) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content]


def result(kimi: KimiEmulator) -> Any:
    return next(message for message in kimi.requests[-1].body["messages"] if message["role"] == "tool")["content"]


@pytest.mark.parametrize("name", ANSWERS)
async def test_what_another_model_said_is_kept(kimi: KimiEmulator, make: Any, name: str) -> None:
    message, said = ANSWERS[name]
    await ask(make("kimi-k2.6"), "invoke", HumanMessage("1?"), message, HumanMessage("2?"))
    assert texts(kimi.requests[-1].body["messages"][1]["content"]) == said
    assert b"SEALED" not in kimi.requests[-1].raw
    assert b"MACHINERY" not in kimi.requests[-1].raw


@pytest.mark.skipif("refusal" not in KNOWN_BLOCK_TYPES, reason="langchain-core before 1.7.5 knows no refusals")
@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "openai-chat-audio"])
def test_what_it_said_is_what_langchain_takes_for_it(name: str) -> None:
    message, said = ANSWERS[name]
    blocks: list[Any] = copy.deepcopy(message).content_blocks
    known = [block.get("text") or block.get("refusal") for block in blocks if block["type"] in ("text", "refusal")]
    assert [text for text in known if text] == said


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "model",
    [
        "kimi-k3",
        *(pytest.param(m, marks=pytest.mark.deep) for m in ("kimi-k2.7-code", "kimi-k2-thinking", "moonshot-v1-8k")),
    ],
)
async def test_a_whole_history_of_others(kimi: KimiEmulator, make: Any, way: str, model: str) -> None:
    history = [part for message, _ in ANSWERS.values() for part in (HumanMessage("?"), message)]
    await ask(make(model), way, *history, HumanMessage("?"), ONLY_MACHINERY, HumanMessage("So?"))
    sent = kimi.requests[-1].body["messages"]
    assert len(sent) == 2 * len(ANSWERS) + 2, "what was machinery alone is no message"
    assert b"SEALED" not in kimi.requests[-1].raw


def test_what_is_left_out_is_logged(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    make().invoke([HumanMessage("?"), ONLY_MACHINERY, HumanMessage("?"), ANSWERS["google"][0], HumanMessage("So?")])
    assert "message 1: left out a part of type 'server_tool_use'" in caplog.text
    assert "left out a part of type 'executable_code'" in caplog.text
    warned = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert warned == ["message 3: left out a part of type 'image_url'; Kimi takes those of users and tools"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_fallback_in_the_middle_of_a_tool_loop(kimi: KimiEmulator, make: Any, way: str) -> None:
    first = AIMessage(
        [
            {"type": "thinking", "thinking": "MACHINERY", "signature": "SEALED"},
            {"type": "text", "text": "I look."},
            {"type": "tool_use", "id": "toolu_01A", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "toolu_01B", "name": "f", "input": {}},
        ],
        tool_calls=[{"name": "f", "args": {"x": 1}, "id": "toolu_01A"}],
        invalid_tool_calls=[{"name": "f", "args": '{"x": ', "id": "toolu_01B", "error": "bad", "type": "invalid_tool_call"}],
        response_metadata={"model_provider": "anthropic"},
    )  # fmt: skip
    second = AIMessage(
        [
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "SEALED"},
            {"type": "function_call", "id": "fc_1", "call_id": "call_9", "name": "f", "arguments": '{"x": 2}'},
        ],
        tool_calls=[{"name": "f", "args": {"x": 2}, "id": "call_9"}],
        response_metadata={"model_provider": "openai"},
    )
    answers = [ToolMessage("r", tool_call_id=one) for one in ("toolu_01A", "toolu_01B")]
    await ask(
        make("kimi-k2.6"), way, HumanMessage("?"), first, *answers, second, ToolMessage("r", tool_call_id="call_9")
    )
    sent = kimi.requests[-1].body["messages"]
    assert sent[1]["content"] == "I look."
    assert [(call["id"], call["function"]["arguments"]) for call in sent[1]["tool_calls"]] == [
        ("toolu_01A", '{"x":1}'),
        ("toolu_01B", "{}"),
    ]
    assert "content" not in sent[4]
    assert [message.get("tool_call_id") for message in sent[2:4]] == ["toolu_01A", "toolu_01B"]
    assert [call["id"] for call in sent[4]["tool_calls"]] == ["call_9"] == [sent[5]["tool_call_id"]]
    assert b"SEALED" not in kimi.requests[-1].raw


def test_a_conversation_in_the_form_of_anthropics_api(kimi: KimiEmulator, make: Any) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    make().invoke(
        [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}}]},
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "toolu_1",
                        "content": [{"type": "text", "text": "r"}, picture],
                    },
                    {"type": "text", "text": "And?"},
                ],
            },
        ]
    )
    _, call, answer, attached, question = kimi.requests[-1].body["messages"]
    assert call["tool_calls"] == [
        {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}}
    ]
    assert (answer["role"], answer["tool_call_id"]) == ("tool", "toolu_1")
    assert answer["content"].startswith("r\n")
    assert attached["content"][1]["type"] == "image_url"
    assert question == {"role": "user", "content": "And?"}


def test_a_call_that_was_taken_out_stays_out(kimi: KimiEmulator, make: Any) -> None:
    """`tool_calls` is what counts where a message has it."""
    blocks = [{"type": "text", "text": "I look."}, {"type": "tool_call", "id": "f:0", "name": "f", "args": {}}]
    make().invoke([HumanMessage("?"), AIMessage(blocks), HumanMessage("?")])
    assert "tool_calls" not in kimi.requests[-1].body["messages"][1]


@pytest.mark.parametrize(
    "extra", [{"signature": "SEALED"}, {"encrypted_content": "SEALED"}, {"extras": {"signature": "SEALED"}}]
)
def test_signed_reasoning_is_nobodys_but_its_vendors(kimi: KimiEmulator, make: Any, extra: dict[str, Any]) -> None:
    """In standard blocks, without a word on which model wrote them."""
    blocks: list[Any] = [{"type": "reasoning", "reasoning": "MACHINERY", **extra}, {"type": "text", "text": "Four."}]
    make().invoke([HumanMessage("?"), AIMessage(blocks), HumanMessage("?")])
    assert kimi.requests[-1].body["messages"][1] == {"role": "assistant", "content": "Four."}


def test_what_is_not_sent_is_not_counted(make: Any) -> None:
    model = make()
    for message, said in ANSWERS.values():
        plain = AIMessage([{"type": "text", "text": text} for text in said])
        assert model.get_num_tokens_from_messages([message]) == model.get_num_tokens_from_messages([plain])


RESULTS: list[tuple[Any, str]] = [
    ([{"a": 1}, {"b": "é"}], '[{"a": 1}, {"b": "é"}]'),
    ([{"type": "json", "json": {"a": 1}}], '{"type": "json", "json": {"a": 1}}'),
    ([{"type": "text", "text": "Two:"}, {"a": 1}, "and", {"text": "more"}], 'Two:\n{"a": 1}\nand\nmore'),
    ([{"type": "text", "value": 5}], '{"type": "text", "value": 5}'),
    ([{"type": "dog", "name": "Rex"}], '{"type": "dog", "name": "Rex"}'),
    ([{"type": "file", "name": "a.txt", "size": 3}], '{"type": "file", "name": "a.txt", "size": 3}'),
    ([{"type": "tool_call", "id": "1", "name": "f"}], '{"type": "tool_call", "id": "1", "name": "f"}'),
    ([{"type": "custom_tool_call_output", "output": "x"}], '{"type": "custom_tool_call_output", "output": "x"}'),
    ([{"type": "non_standard", "value": {"a": 1}}], '[{"a": 1}]'),
    ([{"type": "search_result", "source": "https://x", "title": 'T "1"', "content": [{"type": "text", "text": "body"}]}],
     '<document title="T &quot;1&quot;" source="https://x">\nbody\n</document>'),
    ([{"type": "search_result", "source": "https://x", "content": 5}], '{"type": "search_result", "source": "https://x", "content": 5}'),
    ([{"type": "audio", "base64": "A" * 100, "mime_type": "audio/wav"}],
     '{"type": "audio", "base64": "(100 characters)", "mime_type": "audio/wav"}'),
    ([{"type": "file", "base64": "JVBERi0xLjc=", "mime_type": "application/pdf", "filename": "a.pdf"}],
     '{"type": "file", "base64": "(12 characters)", "mime_type": "application/pdf", "filename": "a.pdf"}'),
    ([{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}],
     '{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}'),
    ([{"type": "image_url", "image_url": {"url": "data:image/x-icon;base64,AAABAA=="}}],
     '{"type": "image_url", "image_url": {"url": "data:image/x-icon;base64,..."}}'),
    ([{"type": "web_search_result", "url": "https://x", "encrypted_content": "SEALED"}], '{"type": "web_search_result", "url": "https://x"}'),
    ([{"type": "thinking", "thinking": "MACHINERY", "signature": "SEALED"}, {"type": "text", "text": "Done."},
      {"type": "refusal", "refusal": "No more."}], "Done.\nNo more."),
    ([{"encrypted_content": "the tool's own"}], '[{"encrypted_content": "the tool\'s own"}]'),
]  # fmt: skip


@pytest.mark.parametrize(("content", "sent"), RESULTS, ids=[str(number) for number in range(len(RESULTS))])
async def test_a_tools_result_reaches_the_model(kimi: KimiEmulator, make: Any, content: Any, sent: str) -> None:
    message = ToolMessage(content, tool_call_id="toolu_1")
    await ask(make(), "invoke", HumanMessage("?"), CALL, message)
    assert result(kimi) == sent
    if "image_url" not in sent:
        counted = make().get_num_tokens_from_messages([message])
        assert abs(counted - make().get_num_tokens_from_messages([ToolMessage(sent, tool_call_id="toolu_1")])) <= 5


@pytest.mark.parametrize("wrong", [5, True, {}, ["a"], b"a"], ids=lambda wrong: type(wrong).__name__)
def test_a_result_that_looks_like_a_file_and_is_none(make: Any, wrong: Any) -> None:
    """A tool's data may have the keys of a block, with anything in them."""
    for kind in ("image", "file", "resource", "input_image", "input_file", "search_result", "media", "text-plain"):
        for key in ("url", "file_id", "text", "title", "name", "mime_type", "base64", "image_url", "content", "source"):
            block = {"type": kind, key: wrong}
            assert render_messages([ToolMessage([block], tool_call_id="1")])[0]["content"]


@pytest.mark.parametrize("way", WAYS)
async def test_results_in_every_way(kimi: KimiEmulator, make: Any, way: str) -> None:
    await ask(
        make("kimi-k2.6"), way, HumanMessage("?"), CALL, ToolMessage([{"a": 1}, {"b": 2}], tool_call_id="toolu_1")
    )
    assert json.loads(result(kimi)) == [{"a": 1}, {"b": 2}]


def test_a_picture_of_a_tool_is_words_to_a_model_without_eyes(kimi: KimiEmulator, make: Any) -> None:
    block = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    make("kimi-k2-thinking").invoke([HumanMessage("?"), CALL, ToolMessage(["Taken.", block], tool_call_id="toolu_1")])
    assert result(kimi).startswith('Taken.\n{"type": "image_url"')
    assert PNG not in result(kimi)


@pytest.mark.parametrize("message", [HumanMessage, SystemMessage])
def test_what_a_person_says_is_not_left_out(make: Any, message: type[BaseMessage]) -> None:
    with pytest.raises(KimiRequestError, match="Message 0 has a content part of type 'video_call'"):
        make().invoke([message([{"type": "video_call"}]), HumanMessage("?")])


@pytest.mark.parametrize(
    ("block", "sent"),
    [
        ({"text": "hi"}, "hi"),
        ({"cachePoint": {"type": "default"}}, ""),
        ({"document": {"format": "txt", "name": "a", "source": {"text": "body"}}}, '<document title="a">\nbody\n</document>'),
        ({"type": "media", "mime_type": "text/plain", "data": "aGVsbG8="}, "hello"),
        ({"type": "search_result", "source": "https://x", "title": "T", "content": [{"type": "text", "text": "body"}]},
         '<document title="T" source="https://x">\nbody\n</document>'),
    ],
)  # fmt: skip
def test_other_vendors_words_for_what_a_user_says(kimi: KimiEmulator, make: Any, block: Any, sent: str) -> None:
    make().invoke([HumanMessage([block, "?"])])
    assert texts(kimi.requests[-1].body["messages"][0]["content"]) == [*filter(None, [sent]), "?"]


def test_converses_pictures(kimi: KimiEmulator, make: Any) -> None:
    make().invoke([HumanMessage([{"image": {"format": "png", "source": {"bytes": PNG}}}])])
    [part] = kimi.requests[-1].body["messages"][0]["content"]
    assert part == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
