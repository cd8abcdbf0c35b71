"""Token counts: an estimate by default, the server's when asked for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)

from kimi_emulator import KimiEmulator
from kimi_wire.endpoints.tokens import estimate_messages, estimate_tools, hidden_prompt
from kimi_wire.requests import web_search_tool
from langchain_kimi import ChatKimi, KimiNotFoundError, KimiRequestError, KimiWebSearch

COUNT = "/v1/tokenizers/estimate-token-count"


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return city


def conversation() -> list[BaseMessage]:
    return [
        SystemMessage("You are a guide."),
        *(message for n in range(10) for message in (HumanMessage(f"Question {n}?"), AIMessage(f"Answer {n}. " * 20))),
        HumanMessage("And now?"),
    ]


def test_counting_is_local_by_default(make: Callable[..., ChatKimi], kimi: KimiEmulator) -> None:
    model = make()
    assert model.get_num_tokens("Hi there!") == 3
    assert model.get_token_ids("Hi there!") == [0, 1, 2]
    assert model.get_num_tokens_from_messages([HumanMessage("Hi there!")]) == 88
    assert model.get_num_tokens_from_messages([]) == 0
    assert kimi.requests == []


@pytest.mark.says("docs/files.md", '`ChatKimi(token_counting="server")` asks the server with every count')
def test_the_server_counts_when_asked_to(make: Callable[..., ChatKimi], kimi: KimiEmulator) -> None:
    model = make(token_counting="server")
    messages = conversation()
    counted = model.get_num_tokens_from_messages(messages)
    assert [request.path for request in kimi.requests] == [COUNT]
    assert kimi.requests[-1].body["messages"][1] == {"role": "user", "content": "Question 0?"}
    assert model.invoke(messages).usage_metadata["input_tokens"] == counted  # type: ignore[index]
    assert model.get_num_tokens("Hi") == model.get_num_tokens_from_messages([HumanMessage("Hi")])
    assert model.get_num_tokens_from_messages([]) == 0


@pytest.mark.parametrize("counting", ["local", "server"])
def test_tools_count(counting: str, make: Callable[..., ChatKimi]) -> None:
    model = make(token_counting=counting)
    messages: list[BaseMessage] = [HumanMessage("Hi")]
    bare = model.get_num_tokens_from_messages(messages)
    more = model.get_num_tokens_from_messages(messages, tools=[get_weather])
    assert more - bare > estimate_tools([{}])


@pytest.mark.parametrize("counting", ["local", "server"])
def test_the_web_search_counts_as_what_is_sent_of_it(counting: str, make: Callable[..., ChatKimi]) -> None:
    model = make(token_counting=counting)
    messages: list[BaseMessage] = [HumanMessage("Hi")]
    bare = model.get_num_tokens_from_messages(messages)
    for tool in ("$web_search", KimiWebSearch(), web_search_tool()):
        assert model.get_num_tokens_from_messages(messages, tools=[tool]) - bare == estimate_tools([web_search_tool()])


@pytest.mark.says("docs/files.md", "`trim_messages(..., token_counter=model)` works")
@pytest.mark.parametrize("counting", ["local", "server"])
def test_messages_are_trimmed_to_a_budget(counting: str, make: Callable[..., ChatKimi]) -> None:
    model = make(token_counting=counting)
    messages = conversation()
    budget = model.get_num_tokens_from_messages(messages) // 2
    kept = trim_messages(
        messages, max_tokens=budget, token_counter=model, strategy="last", include_system=True, start_on="human"
    )
    assert kept[0] == messages[0]
    assert kept[-1] == messages[-1]
    assert model.get_num_tokens_from_messages(kept) <= budget
    assert 3 < len(kept) < len(messages)


@pytest.mark.says(
    "docs/files.md",
    "Either counts the whole prompt, as it is billed: kimi-k3 and newer begin each with about 80 hidden tokens of their own",
    "so that `trim_messages(..., max_tokens=60)` keeps nothing. Add what the shortest message counts:",
)
@pytest.mark.parametrize("counting", ["local", "server"])
def test_a_budget_has_to_have_room_for_the_hidden_prompt(counting: str, make: Callable[..., ChatKimi]) -> None:
    messages = [HumanMessage("What is 6 times 7?"), AIMessage("42."), HumanMessage("And 7 times 8?")]
    model, without = make(token_counting=counting), make("kimi-k2.6", token_counting=counting)
    assert trim_messages(messages, max_tokens=60, token_counter=model) == []
    assert trim_messages(messages, max_tokens=60, token_counter=without) == messages
    shortest = model.get_num_tokens_from_messages([HumanMessage(".")])
    assert shortest - without.get_num_tokens_from_messages([HumanMessage(".")]) == hidden_prompt("kimi-k3") == 80
    assert trim_messages(messages, max_tokens=shortest + 60, token_counter=model) == messages


@pytest.mark.parametrize("counting", ["local", "server"])
def test_a_part_of_a_conversation_is_counted(counting: str, make: Callable[..., ChatKimi]) -> None:
    model = make(token_counting=counting)
    call = {"name": "get_weather", "args": {"city": "Paris"}, "id": "get_weather:0"}
    assert model.get_num_tokens_from_messages([AIMessage("", tool_calls=[call])]) > 0  # type: ignore[list-item]
    assert model.get_num_tokens_from_messages([ToolMessage("Sunny", tool_call_id="get_weather:0")]) > 0


def test_the_local_count_is_that_of_the_request_sent(make: Callable[..., ChatKimi], kimi: KimiEmulator) -> None:
    model = make()
    messages = conversation()
    model.bind_tools([get_weather]).invoke(messages)
    body = kimi.requests[-1].body
    assert model.get_num_tokens_from_messages(messages, tools=[get_weather]) == estimate_messages(
        body["messages"], "kimi-k3", body["tools"]
    )


def test_a_counter_of_the_callers_own_is_taken(make: Callable[..., ChatKimi]) -> None:
    model = make(custom_get_token_ids=lambda text: [7] * len(text))
    assert model.get_token_ids("abc") == [7, 7, 7]
    assert model.get_num_tokens("abc") == 3


def test_errors_are_langchains(make: Callable[..., ChatKimi], kimi: KimiEmulator) -> None:
    with pytest.raises(KimiRequestError):
        make().get_num_tokens_from_messages([RemoveMessage(id="x")])  # type: ignore[list-item]
    with pytest.raises(KimiNotFoundError):
        make("kimi-unknown", token_counting="server").get_num_tokens("x")
    kimi.reset()
    with pytest.raises(ValueError, match="token_counting"):
        make(token_counting="tiktoken")


@pytest.mark.says("docs/files.md", "no tokenizer to download")
@pytest.mark.slow
def test_counting_imports_no_tokenizer() -> None:
    code = """
import sys
from langchain_kimi import ChatKimi
ChatKimi(api_key="sk-x").get_num_tokens("text")
assert not {"transformers", "tiktoken", "openai"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
