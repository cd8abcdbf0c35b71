"""The emulator as another host of the same models: what it reads, refuses and answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_emulator.__main__ import _parser
from kimi_emulator.hosts import HOSTS

Send = Callable[..., Any]
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
CALL = Reply(reasoning="Hm.", tool_calls=[ToolCall("look")])
K26, K3 = "moonshotai/Kimi-K2.6", "moonshotai/kimi-k3"


def ask(http_send: Send, kind: str, *replies: Reply, **fields: Any) -> Any:
    with KimiEmulator(host_kind=kind) as emulator:
        emulator.script(*replies)
        return http_send(emulator, {"model": K26, "messages": HELLO, **fields})


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown host_kind 'ollama'"):
        KimiEmulator(host_kind="ollama")
    assert _parser().parse_args(["--host-kind", "vllm"]).host_kind == "vllm"


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("moonshot", {"reasoning_content": "Hm."}),
        ("vllm", {"reasoning": "Hm."}),
        ("sglang", {"reasoning_content": "Hm."}),
        ("strict", {"reasoning_content": "Hm."}),
        (
            "openrouter",
            {
                "reasoning": "Hm.",
                "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "format": "unknown", "index": 0}],
            },
        ),
    ],
)
def test_reasoning_is_where_the_host_has_it(http_send: Send, kind: str, found: dict[str, Any]) -> None:
    answer = ask(http_send, kind, Reply("Hi", reasoning="Hm."))
    assert {key: value for key, value in answer.message.items() if "reasoning" in key} == found
    streamed = ask(http_send, kind, Reply("Hi", reasoning="Hm.", chunk_size=9), stream=True)
    deltas = [event["choices"][0]["delta"] for event in streamed.events if event != "[DONE]" and event["choices"]]
    parts = [{key: delta[key] for key in delta if "reasoning" in key} for delta in deltas]
    assert found in parts


@pytest.mark.parametrize("kind", ["vllm", "sglang", "openrouter"])
def test_what_an_answer_has_not_is_null(http_send: Send, kind: str) -> None:
    message = ask(http_send, kind, Reply("Hi")).message
    assert message["tool_calls"] is None
    assert message["reasoning" if kind != "sglang" else "reasoning_content"] is None
    assert ask(http_send, kind, CALL, tools=[TOOL]).message["content"] is None


@pytest.mark.parametrize(
    ("kind", "begin"),
    [("vllm", "chatcmpl-tool-"), ("sglang", "functions.look:0"), ("strict", "call_"), ("openrouter", "look")],
)
def test_ids_are_the_hosts(http_send: Send, kind: str, begin: str) -> None:
    (call,) = ask(http_send, kind, CALL, tools=[TOOL]).message["tool_calls"]
    assert call["id"].startswith(begin)
    events = ask(http_send, kind, CALL, tools=[TOOL], stream=True).events
    deltas = [event["choices"][0]["delta"] for event in events if event != "[DONE]" and event["choices"]]
    ids = [call.get("id") for delta in deltas for call in delta.get("tool_calls") or ()]
    assert str(ids[0]).startswith(begin)
    assert set(ids[1:]) <= {None}


def test_an_id_that_is_scripted_empty_stays_empty(http_send: Send) -> None:
    reply = Reply(tool_calls=[ToolCall("look", id="")])
    assert ask(http_send, "vllm", reply, tools=[TOOL]).message["tool_calls"][0]["id"] == ""


@pytest.mark.parametrize(("choice", "ending"), [("required", "stop"), ("auto", "tool_calls"), (None, "tool_calls")])
def test_vllm_ends_forced_calls_with_stop(http_send: Send, choice: str | None, ending: str) -> None:
    fields = {"tools": [TOOL]} | ({"tool_choice": choice} if choice else {})
    assert ask(http_send, "vllm", CALL, **fields).json["choices"][0]["finish_reason"] == ending
    events = ask(http_send, "vllm", CALL, **fields, stream=True).events
    assert [event["choices"][0]["finish_reason"] for event in events[:-1]][-1] == ending


@pytest.mark.parametrize(
    ("kind", "include", "where"),
    [
        ("vllm", True, ["last"]),
        ("vllm", False, []),
        ("openrouter", True, ["last"]),
        ("strict", None, ["finish"]),
        ("moonshot", True, ["choice", "last"]),
    ],
)
def test_usage_is_where_the_host_has_it(http_send: Send, kind: str, include: bool | None, where: list[str]) -> None:
    fields = {} if include is None else {"stream_options": {"include_usage": include}}
    events = ask(http_send, kind, Reply("Hi"), stream=True, **fields).events[:-1]
    found = []
    for event in events:
        found += ["choice"] if event["choices"] and "usage" in event["choices"][0] else []
        found += (["finish"] if event["choices"] else ["last"]) if "usage" in event else []
    assert found == where


def test_the_template_switches_thinking(http_send: Send) -> None:
    for kind in ("vllm", "sglang"):
        key = "reasoning" if kind == "vllm" else "reasoning_content"
        for model in (K26, K3):
            off = {"chat_template_kwargs": {"thinking": False}}
            assert ask(http_send, kind, model=model, **off).message[key] is None
            ignored = {"thinking": {"type": "disabled"}}
            assert ask(http_send, kind, model=model, **ignored).message[key]
        low, high = (
            {"chat_template_kwargs": {"thinking": True, "thinking_effort": effort}} for effort in ("low", "max")
        )
        brief, long = (ask(http_send, kind, model=K3, **kwargs).message[key] for kwargs in (low, high))
        assert len(brief) < len(long)
    assert ask(http_send, "vllm", chat_template_kwargs=3).status == 400


def test_the_template_begins_an_answer(http_send: Send) -> None:
    messages = [*HELLO, {"role": "assistant", "content": "Hello! I"}]
    reply = Reply("Hello! I am here.", whole=True)
    begun = {"messages": messages, "continue_final_message": True, "add_generation_prompt": False}
    assert ask(http_send, "vllm", reply, **begun).message["content"] == " am here."
    both = ask(http_send, "vllm", messages=messages, continue_final_message=True)
    assert (both.status, both.error) == (
        400,
        "Cannot set both `continue_final_message` and `add_generation_prompt` to True.",
    )
    marked = [*HELLO, {"role": "assistant", "content": "Hello! I", "partial": True}]
    assert ask(http_send, "vllm", reply, messages=marked).message["content"] == "Hello! I am here."
    assert ask(http_send, "vllm", messages=[], continue_final_message=True, add_generation_prompt=False).status == 400


def test_self_hosted_servers_lock_nothing(http_send: Send) -> None:
    history = [*HELLO, {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
               {"role": "tool", "tool_call_id": "a", "content": "x"}]  # fmt: skip
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}]}
    free = {"temperature": 0.2, "top_p": 0.5, "messages": [*history, image], "tools": [TOOL], "tool_choice": "required"}
    for kind in ("vllm", "sglang", "strict"):
        assert ask(http_send, kind, **free).status == 200
    assert ask(http_send, "moonshot", **free).status == 400
    assert (
        ask(http_send, "openrouter", temperature=0.2).error == "invalid temperature: only 1 is allowed for this model"
    )


def test_sglang_knows_three_efforts(http_send: Send) -> None:
    assert "'low', 'medium' or 'high'" in ask(http_send, "sglang", reasoning_effort="max").error
    assert ask(http_send, "sglang", reasoning_effort="low").status == 200


def test_openrouter_reads_reasoning(http_send: Send) -> None:
    mandatory = "Reasoning is mandatory for this endpoint and cannot be disabled."
    assert ask(http_send, "openrouter", model=K3, reasoning={"enabled": False}).error == mandatory
    assert ask(http_send, "openrouter", model=K3, reasoning={"effort": "none"}).error == mandatory
    assert ask(http_send, "openrouter", reasoning={"enabled": False}).message["reasoning"] is None
    assert ask(http_send, "openrouter", model="kimi-k2-instruct", reasoning={"enabled": False}).status == 200
    brief, long = (
        ask(http_send, "openrouter", model=K3, reasoning={"effort": effort}).message["reasoning"]
        for effort in ("minimal", "xhigh")
    )
    assert len(brief) < len(long)
    assert ask(http_send, "openrouter", model=K3, reasoning={"effort": ["x"]}).status == 400
    assert ask(http_send, "openrouter", reasoning="high").status == 400
    for details, status in (("text", 400), ([{"text": "Hm."}, 3, {"data": "x"}], 200)):
        messages = [*HELLO, {"role": "assistant", "content": "x", "reasoning_details": details}, *HELLO]
        assert ask(http_send, "openrouter", messages=messages).status == status


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"safety_identifier": "u"}, "safety_identifier"),
        ({"stream": True, "stream_options": {}}, "stream_options"),
        ({"chat_template_kwargs": {}}, "chat_template_kwargs"),
        ({"thinking": {"type": "enabled", "keep": "all"}}, "thinking.keep"),
        ({"messages": [*HELLO, {"role": "assistant", "content": "x", "partial": True}]}, "messages[1].partial"),
        (
            {"messages": [*HELLO, {"role": "assistant", "content": "x", "reasoning": "x"}, *HELLO]},
            "messages[1].reasoning",
        ),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "a", "name": "b"}]}, "messages[0].name"),
        ({"messages": [{"role": "god"}]}, "messages[0].role"),
    ],
)
def test_a_strict_host_names_what_it_does_not_know(http_send: Send, fields: dict[str, Any], named: str) -> None:
    answer = ask(http_send, "strict", **fields)
    assert answer.status == 400
    assert f"Extra inputs are not permitted, field: '{named}'" in answer.error
    assert ask(http_send, "strict", prompt_cache_key="s", max_tokens=99, thinking={"type": "disabled"}).status == 200


@pytest.mark.parametrize("kind", HOSTS)
@pytest.mark.parametrize("body", [[], {"model": K26}, {"model": K26, "messages": 3}, {"model": K26, "messages": [3]}])
def test_whatever_comes_is_answered(http_send: Send, kind: str, body: Any) -> None:
    more = {"continue_final_message": True, "add_generation_prompt": False} if kind == "vllm" else {}
    with KimiEmulator(host_kind=kind) as emulator:
        assert http_send(emulator, {**body, **more} if body else body).status == 400


@pytest.mark.says("docs/hosts.md", "It refuses `thinking` unless the request allows it")
def test_litellm_refuses_thinking_unless_it_is_allowed(http_send: Send) -> None:
    off = {"thinking": {"type": "disabled"}}
    refused = ask(http_send, "litellm", **off)
    assert refused.status == 400
    assert refused.error.startswith(
        "litellm.UnsupportedParamsError: moonshot does not support parameters: ['thinking']"
    )
    allowed = ask(http_send, "litellm", **off, allowed_openai_params=["thinking"])
    assert "reasoning_content" not in {key for key, value in allowed.message.items() if value}


@pytest.mark.says("docs/hosts.md", 'puts a user\'s message in place of `tool_choice: "required"`')
def test_litellm_asks_for_a_tool_in_place_of_forcing_one(http_send: Send) -> None:
    with KimiEmulator(host_kind="litellm") as emulator:
        body = {"model": K26, "messages": HELLO, "tools": [TOOL], "tool_choice": "required", "temperature": 0.3}
        assert http_send(emulator, body).status == 200  # Moonshot's platform would refuse both while it thinks


def test_a_gateway_wants_the_content_of_every_message(http_send: Send) -> None:
    call = {"id": "f_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    calling = {"role": "assistant", "reasoning_content": "Hm.", "tool_calls": [call]}
    answer = {"role": "tool", "tool_call_id": "f_0", "content": "ok"}
    refused = ask(http_send, "gateway", messages=[*HELLO, calling, answer])
    assert (refused.status, refused.error) == (422, "message.1.content invalid input")
    assert ask(http_send, "gateway", messages=[*HELLO, {**calling, "content": None}, answer]).status == 200
