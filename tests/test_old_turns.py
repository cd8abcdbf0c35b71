"""What earlier turns of a conversation hold that a request of now has another place for, in both adapters."""

from __future__ import annotations

import asyncio
import base64
import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from llama_index.core.llms import ChatMessage, ImageBlock, TextBlock

from kimi_emulator import KimiEmulator
from kimi_wire import KimiRequestError, KimiWarning
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.media_samples import png

WAYS = ("whole", "streamed", "async", "async streamed")
SAID: dict[str, Any] = {"role": "assistant", "content": "Once upon a time."}
Asker = Callable[..., list[dict[str, Any]]]


def to_langchain(message: dict[str, Any]) -> Any:
    content = message["content"]
    if message["role"] == "user":
        picture = {"type": "image", "base64": base64.b64encode(png()).decode(), "mime_type": "image/png"}
        return HumanMessage(content if isinstance(content, str) else [{"type": "text", "text": content[0]}, picture])
    return AIMessage(content, additional_kwargs={key: message[key] for key in message if key == "partial"})


def to_llama_index(message: dict[str, Any]) -> ChatMessage:
    content = message["content"]
    if isinstance(content, list):
        return ChatMessage(role="user", blocks=[TextBlock(text=content[0]), ImageBlock(image=png())])
    extra = {key: message[key] for key in message if key == "partial"}
    return ChatMessage(role=message["role"], content=content, additional_kwargs=extra)


@pytest.fixture(params=["langchain", "llama_index"])
def asker(request: pytest.FixtureRequest, kimi: KimiEmulator) -> Asker:
    """Asks in one of four ways, and gives back the messages that went out."""

    def ask(messages: list[dict[str, Any]], way: str, **settings: Any) -> list[dict[str, Any]]:
        if request.param == "langchain":
            chat = ChatKimi(base_url=kimi.base_url, api_key="sk-test", max_retries=0, **settings)
            given: list[Any] = [to_langchain(message) for message in messages]
            calls: Any = (chat.invoke, chat.stream, chat.ainvoke, chat.astream)
        else:
            llm = Kimi(api_base=kimi.base_url, api_key="sk-test", max_retries=0, **settings)
            given = [to_llama_index(message) for message in messages]
            calls = (llm.chat, llm.stream_chat, llm.achat, llm.astream_chat)
        before = copy.deepcopy(given)
        call = calls[WAYS.index(way)]

        async def aask() -> None:
            answer = call(given)
            answer = await answer if asyncio.iscoroutine(answer) else answer
            if way == "async streamed":
                assert [chunk async for chunk in answer]

        if way.startswith("async"):
            asyncio.run(aask())
        elif way == "streamed":
            assert list(call(given))
        else:
            call(given)
        assert given == before
        sent: list[dict[str, Any]] = kimi.requests[-1].body["messages"]
        return sent

    return ask


def user(text: str = "And then?") -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "settings",
    [
        {"model": "kimi-k2.7-code"},
        {"model": "kimi-k2.6", "preserve_thinking": True},
        {"model": "kimi-k3", "missing_reasoning": "placeholder"},
    ],
    ids=lambda settings: settings["model"],
)
def test_plain_turns_have_reasoning_where_it_is_preserved(asker: Asker, way: str, settings: dict[str, Any]) -> None:
    sent = asker([user(), SAID, user()], way, **settings)
    assert sent == [user(), {**SAID, "reasoning_content": " "}, user()]


@pytest.mark.parametrize("model", ["kimi-k2.7-code", "kimi-k3"])
def test_a_turn_without_reasoning_can_be_an_error(asker: Asker, kimi: KimiEmulator, model: str) -> None:
    with pytest.raises(KimiRequestError, match="Message 1 is an assistant's but has lost its reasoning_content"):
        asker([user(), SAID, user()], "whole", model=model, missing_reasoning="error")
    assert not kimi.requests


@pytest.mark.says("docs/partial-mode.md", "an older message keeps its text and loses the mark")
@pytest.mark.parametrize("way", WAYS)
def test_an_old_beginning_has_no_mark(asker: Asker, way: str) -> None:
    begun = {**SAID, "partial": True}
    assert asker([user(), begun, user()], way) == [user(), SAID, user()]
    assert asker([user(), begun, user(), begun], way) == [user(), SAID, user(), begun]


@pytest.mark.says(
    "docs/media.md",
    "So does a model without eyes for pictures and videos in older messages of the user, with one warning that names them",
)
@pytest.mark.parametrize("way", WAYS)
def test_a_model_without_eyes_goes_on_with_an_old_picture(asker: Asker, way: str) -> None:
    messages = [{"role": "user", "content": ["What is it?"]}, SAID, user()]
    with pytest.warns(KimiWarning, match="kimi-k2 does not take the image in message 0; words say what was there"):
        sent = asker(messages, way, model="kimi-k2")
    words = '{"type": "image_url", "image_url": {"url": "data:image/png;base64,..."}}'
    assert [part["text"] for part in sent[0]["content"]] == ["What is it?", words]
    with warnings.catch_warnings(), pytest.raises(KimiRequestError, match="the image in message 0"):
        asker(messages, way, model="kimi-k2", strict=True)
    with pytest.raises(KimiRequestError, match="Message 2 has a part of type 'image_url', which kimi-k2 does not take"):
        asker([user(), SAID, messages[0]], way, model="kimi-k2")
