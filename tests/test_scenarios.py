"""One table of conversations through both adapters and all call paths: each of them sends the same body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage

from kimi_emulator import KimiEmulator, Reply, ToolCall
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.conversations import CLOCK, SEARCH, WEATHER, Message, call, collect, to_langchain, to_llama_index
from tests.families import UNSEEN
from tests.recorded.tape import canonical

HELLO = {"role": "user", "content": "hello"}
ASKED = {"role": "user", "content": "Weather in Paris?"}
CALLED = {
    "role": "assistant",
    "reasoning_content": "I look «it» up.\n",
    "tool_calls": [call("get_weather:0", '{"city":"Paris"}')],
}
ANSWERED = {"role": "tool", "tool_call_id": "get_weather:0", "content": "Sunny."}
SAID = {"role": "assistant", "content": "It is sunny.", "reasoning_content": ""}
LOST = {"role": "assistant", "tool_calls": CALLED["tool_calls"]}
BARE = {"role": "assistant", "content": "No thinking here."}

# name: (model, messages, settings, what the body holds beside model and messages, messages as sent where they differ)
SCENARIOS: dict[str, tuple[str, list[Message], Message, Message, list[Message] | None]] = {
    "plain": ("kimi-k3", [HELLO], {}, {}, None),
    "system prompt": ("kimi-k3", [{"role": "system", "content": "Be brief."}, HELLO], {}, {}, None),
    "several turns": ("kimi-k3", [HELLO, BARE, HELLO, SAID, HELLO], {}, {}, None),
    "limits": (
        "kimi-k3",
        [HELLO],
        {"max_tokens": 5000, "stop": ["END"], "reasoning_effort": "low", "prompt_cache_key": "s", "safety_identifier": "u"},
        {"max_completion_tokens": 5000, "stop": ["END"], "reasoning_effort": "low", "prompt_cache_key": "s", "safety_identifier": "u"},
        None,
    ),
    "extra body": ("kimi-k3", [HELLO], {"extra_body": {"prompt_cache_options": {"ttl": "1h"}}}, {"prompt_cache_options": {"ttl": "1h"}}, None),
    "thinking off": ("kimi-k2.6", [HELLO], {"thinking": False}, {"thinking": {"type": "disabled"}}, None),
    "thinking preserved": (
        "kimi-k2.6",
        [ASKED, CALLED, ANSWERED, SAID, HELLO],
        {"thinking": True, "preserve_thinking": True},
        {"thinking": {"type": "enabled", "keep": "all"}},
        None,
    ),
    "free sampling": (
        "moonshot-v1-32k",
        [HELLO],
        {"temperature": 0.3, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.2},
        {"temperature": 0.3, "top_p": 0.9, "presence_penalty": 0.1, "frequency_penalty": 0.2},
        None,
    ),
    "fixed sampling": ("kimi-k2.7-code", [HELLO], {"temperature": 1.0, "top_p": 0.95}, {}, None),
    "tool round trip": ("kimi-k2.6", [ASKED, CALLED, ANSWERED], {"tools": [WEATHER, CLOCK]}, {"tools": [WEATHER, CLOCK]}, None),
    "lost reasoning": (
        "kimi-k2.6",
        [ASKED, LOST, ANSWERED],
        {"tools": [WEATHER]},
        {"tools": [WEATHER]},
        [ASKED, {**LOST, "reasoning_content": " "}, ANSWERED],
    ),
    "lost reasoning on kimi-k3": ("kimi-k3", [ASKED, LOST, ANSWERED], {"tools": [WEATHER]}, {"tools": [WEATHER]}, None),
    "repeated ids": (
        "kimi-k3",
        [ASKED, CALLED, ANSWERED, SAID, ASKED, CALLED, ANSWERED],
        {},
        {},
        [
            ASKED,
            CALLED,
            ANSWERED,
            SAID,
            ASKED,
            {**CALLED, "tool_calls": [call("get_weather:1", '{"city":"Paris"}')]},
            {**ANSWERED, "tool_call_id": "get_weather:1"},
        ],
    ),
    "parallel calls": (
        "kimi-k2.7-code",
        [
            ASKED,
            {**CALLED, "tool_calls": [call("a:0", '{"city":"Paris"}'), call("a:1", "{}", "get_time")]},
            {"role": "tool", "tool_call_id": "a:1", "content": "12:00"},
            {"role": "tool", "tool_call_id": "a:0", "content": ""},
        ],
        {"tools": [WEATHER, CLOCK]},
        {"tools": [WEATHER, CLOCK]},
        None,
    ),
    "empty assistant message": ("kimi-k3", [HELLO, {"role": "assistant", "content": ""}, HELLO], {}, {}, [HELLO, HELLO]),
    "no tool": ("kimi-k3", [ASKED], {"tools": [WEATHER], "tool_choice": "none"}, {"tools": [WEATHER], "tool_choice": "none"}, None),
    "builtin": ("kimi-k2.6", [ASKED], {"tools": [SEARCH]}, {"tools": [SEARCH]}, None),
    "any tool": ("kimi-k3.1-pro", [ASKED], {"tools": [WEATHER, CLOCK], "tool_choice": "any"},
                 {"tools": [WEATHER, CLOCK], "tool_choice": "required"}, None),
    "named tool": ("kimi-k3", [ASKED], {"tools": [WEATHER, CLOCK], "tool_choice": "get_weather"},
                   {"tools": [WEATHER], "tool_choice": "required"}, None),
    "named tool without thinking": (
        "kimi-k2.6",
        [ASKED],
        {"tools": [WEATHER, CLOCK], "tool_choice": "get_weather"},
        {"tools": [WEATHER, CLOCK], "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
         "thinking": {"type": "disabled"}},
        None,
    ),
    "constrained tool": (
        "kimi-k2.7-code",
        [ASKED],
        {"tools": [WEATHER, CLOCK], "tool_choice": "get_weather"},
        {
            "tools": [WEATHER, CLOCK],
            "tool_choice": "none",
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "get_weather", "strict": True, "schema": WEATHER["function"]["parameters"]},
            },
        },
        None,
    ),
    "json object": ("kimi-k3", [HELLO], {"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}, None),
    "unseen family": (UNSEEN, [ASKED], {"tools": [WEATHER], "tool_choice": "any", "max_tokens": 5000},
                      {"tools": [WEATHER], "tool_choice": "required", "max_completion_tokens": 5000}, None),
}  # fmt: skip


async def through_langchain(model: ChatKimi, messages: list[Message], settings: Message) -> None:
    converted = [to_langchain(message) for message in messages]
    model.invoke(converted, **settings)
    await model.ainvoke(converted, **settings)
    list(model.stream(converted, **settings))
    await collect(model.astream(converted, **settings))


async def through_llama_index(model: Kimi, messages: list[Message], settings: Message) -> None:
    converted = [to_llama_index(message) for message in messages]
    model.chat(converted, **settings)
    await model.achat(converted, **settings)
    list(model.stream_chat(converted, **settings))
    await collect(await model.astream_chat(converted, **settings))


@pytest.fixture(scope="module")
def emulator() -> Any:
    with KimiEmulator(extra_models={UNSEEN: "k3"}) as kimi:
        yield kimi


@pytest.mark.parametrize("set_where", ["per call", "in the constructor"])
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_all_paths_send_the_same_body(emulator: KimiEmulator, scenario: str, set_where: str) -> None:
    model, messages, settings, fields, sent = SCENARIOS[scenario]
    golden = {"model": model, "messages": sent or messages, **fields}
    per_call = {"tools", "tool_choice", "response_format"}
    own = {} if set_where == "per call" else {name: value for name, value in settings.items() if name not in per_call}
    given = {name: value for name, value in settings.items() if name not in own}
    emulator.reset()
    paths: list[tuple[Any, Callable[..., Any]]] = [(ChatKimi, through_langchain), (Kimi, through_llama_index)]
    for adapter, go in paths:
        llm = adapter(model=model, api_key="sk-test", base_url=emulator.base_url, max_retries=0, **own)
        await go(llm, messages, given)
    bodies = [request.body for request in emulator.requests]
    assert len(bodies) == 8
    for position, body in enumerate(bodies):
        streamed = {"stream": True, "stream_options": {"include_usage": True}} if position % 4 >= 2 else {}
        assert canonical(body) == canonical({**golden, **streamed})
    assert [request.error for request in emulator.rejections] == []


@pytest.mark.parametrize("arguments", ['{"city": "Par\\u00eds"}', '{"city":"Paris","days":1.0}'])
async def test_both_adapters_send_an_answer_back_in_the_same_bytes(kimi: KimiEmulator, arguments: str) -> None:
    """An answer of the server, replayed by each adapter in each way, gives the same second request."""
    reply = Reply("I look.", reasoning="hm «»", tool_calls=[ToolCall("get_weather", arguments, id="get_weather:0")])
    sent = []
    langchain = ChatKimi(model="kimi-k2.6", api_key="sk-test", base_url=kimi.base_url)
    llama = Kimi(model="kimi-k2.6", api_key="sk-test", base_url=kimi.base_url)
    for way in ("whole", "streamed"):
        kimi.script(reply)
        if way == "whole":
            message: Any = langchain.invoke("hi")
        else:
            first, *rest = langchain.stream("hi")
            message = sum(rest, start=first)  # type: ignore[arg-type]
        langchain.invoke([HumanMessage("hi"), message, ToolMessage("Sunny.", tool_call_id="get_weather:0")])
        sent.append(kimi.requests[-1].raw)
        kimi.script(reply)
        question = ChatMessage(role="user", content="hi")
        said = llama.chat([question]) if way == "whole" else list(llama.stream_chat([question]))[-1]
        answer = ChatMessage(role="tool", content="Sunny.", additional_kwargs={"tool_call_id": "get_weather:0"})
        llama.chat([question, said.message, answer])
        sent.append(kimi.requests[-1].raw)
    assert len(set(sent)) == 1
    assert json.loads(sent[0])["messages"][1]["tool_calls"][0]["function"]["arguments"] == arguments
