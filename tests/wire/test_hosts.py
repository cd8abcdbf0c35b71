"""Hosts: the table of facts, and what a request looks like for each of them."""

from __future__ import annotations

import base64
import copy
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kimi_wire import KimiRequestError, profile_for
from kimi_wire.answers.calls import ToolCall
from kimi_wire.answers.continuation import continue_request
from kimi_wire.answers.response import Choice
from kimi_wire.hosts import HOSTS, MOONSHOT, Host, host_for, profile_at
from kimi_wire.profiles import FOREIGN, ForcedChoice
from kimi_wire.requests.request import Request, check_settings, render_request
from kimi_wire.settings import merge_settings
from tests.media_samples import png

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
DETAILS = [{"type": "reasoning.text", "text": "hm", "signature": None, "format": "unknown", "index": 0}]
SELF_HOSTED = ("vllm", "sglang")
STRICT = ("fireworks", "openai", "groq")
LIKE_MOONSHOT = ("moonshot", "litellm")  # Moonshot's platform itself, or behind a proxy
LOCKED = (*LIKE_MOONSHOT, "openrouter", "dashscope")  # sampling and forced choices are as on Moonshot's platform
REASONING_KEYS = {"vllm": "reasoning", "openrouter": "reasoning", "together": "reasoning", "openai": None, "groq": None}
NO_STREAM_OPTIONS = ("fireworks",)
DOCS = Path(__file__).parents[2] / "docs" / "hosts.md"


def call(call_id: str, name: str = "look") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def answered(call_id: str, name: str = "look", **more: Any) -> list[dict[str, Any]]:
    return [
        {"role": "assistant", "tool_calls": [call(call_id, name)], **more},
        {"role": "tool", "name": name, "tool_call_id": call_id, "content": "ok"},
    ]


def render(dialect: str, messages: list[dict[str, Any]] = HELLO, *, stream: bool = False, **settings: Any) -> Request:
    merged, notices = merge_settings({"model": "kimi-k3", "dialect": dialect}, settings)
    return render_request(merged, messages, stream=stream, notices=notices)


@pytest.mark.says(
    "docs/hosts.md",
    "Hosts that are known by their address (OpenRouter, Fireworks, Together, Groq, DashScope, SiliconFlow, Chutes) need no setting",
)
def test_addresses_tell_the_dialect() -> None:
    expected = {
        "": "moonshot",
        "https://api.moonshot.ai/v1": "moonshot",
        "https://api.moonshot.cn/v1": "moonshot",
        "https://api.kimi.com/coding/v1": "moonshot",
        "http://localhost:8000/v1": "moonshot",
        "https://openrouter.ai/api/v1": "openrouter",
        "https://OpenRouter.ai:443/api/v1": "openrouter",
        "https://eu.openrouter.ai/api/v1": "openrouter",
        "https://openrouter.ai.evil.com/v1": "moonshot",
        "https://notopenrouter.ai/v1": "moonshot",
        "https://api.fireworks.ai/inference/v1": "fireworks",
        "https://llm.chutes.ai/v1": "chutes",
        "https://api.together.xyz/v1": "together",
        "https://api.groq.com/openai/v1": "groq",
        "https://api.siliconflow.cn/v1": "siliconflow",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1": "dashscope",
    }
    assert {url: host_for("auto", url).name for url in expected} == expected
    assert host_for("moonshot", "https://openrouter.ai/api/v1") is MOONSHOT
    assert host_for("vllm", "https://api.moonshot.ai/v1").name == "vllm"


@pytest.mark.says(
    "docs/hosts.md",
    "An assistant message that only calls tools has no key `content` on Moonshot's platform and its stand-in on this machine (`localhost`), and null on every other host",
)
@pytest.mark.parametrize("content", [None, "", " ", [], [{"type": "text", "text": ""}], ...])
@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6", "gpt-5"])
def test_an_answer_without_text_says_so_everywhere_but_on_moonshots_platform(model: str, content: Any) -> None:
    blank = {} if content is ... else {"content": content}
    history = [*HELLO, *answered("a", **blank), *HELLO]
    before = copy.deepcopy(history)
    for dialect, base_url, null in [
        ("moonshot", "", False),
        ("moonshot", "http://localhost:4000", False),
        ("auto", "", False),
        ("auto", "https://api.moonshot.cn/v1", False),
        *(("auto", f"http://{place}:4000/v1", False) for place in ("localhost", "127.0.0.1", "[::1]")),
        ("auto", "http://litellm:4000", True),
        ("auto", "https://api.moonshot.ai.example.com/v1", True),
        *((name, "", True) for name in HOSTS if name != "moonshot"),
    ]:
        settings, _ = merge_settings({"model": model, "dialect": dialect}, {})
        sent = render_request(settings, history, stream=False, base_url=base_url).body["messages"][1]
        if model == "gpt-5" and "content" in history[1]:  # another vendor's model is sent what the caller gives
            assert sent["content"] == content
        else:
            assert sent.get("content", "absent") == (None if null else "absent"), (dialect, base_url)
    assert history == before


@pytest.mark.parametrize("dialect", ["vLLM", "", None, ["vllm"], 1])
def test_unknown_dialects_are_refused(dialect: Any) -> None:
    with pytest.raises(KimiRequestError, match=r"is not one of auto, moonshot, vllm, sglang, openrouter"):
        host_for(dialect)


@pytest.mark.parametrize("host", HOSTS.values(), ids=lambda host: host.name)
def test_every_fact_that_differs_from_moonshots_has_a_source(host: Host) -> None:
    facts = [item.name for item in fields(Host) if item.name not in ("name", "addresses", "sources")]
    differing = {name for name in facts if getattr(host, name) != getattr(MOONSHOT, name)}
    assert differing <= set(host.sources) <= set(facts)
    for source in host.sources.values():
        assert source.kind in {"doc", "src", "live", "3p", "rule"}
        assert date(2024, 1, 1) < source.day <= date.today()


def test_the_documentation_names_every_dialect() -> None:
    text = DOCS.read_text("utf-8")
    assert [name for name in HOSTS if f"`{name}`" not in text] == []


@pytest.mark.parametrize("dialect", HOSTS)
def test_a_stream_asks_for_usage_where_it_can(dialect: str) -> None:
    assert ("stream_options" in render(dialect, stream=True).body) is (dialect not in NO_STREAM_OPTIONS)


def test_foreign_models_are_the_same_everywhere() -> None:
    assert all(profile_at(FOREIGN, host) is FOREIGN for host in HOSTS.values())
    body = render("vllm", model="llama-4", reasoning_effort="medium", max_tokens=5, temperature=0.2).body
    assert body == {
        "model": "llama-4", "messages": HELLO, "reasoning_effort": "medium", "max_tokens": 5, "temperature": 0.2
    }  # fmt: skip


# What a setting becomes beside model and messages, or the names of the settings that are left out with a notice.
THINKING: list[tuple[str, str, dict[str, Any], dict[str, Any] | list[str]]] = [
    ("moonshot", "kimi-k2.6", {"thinking": False}, {"thinking": {"type": "disabled"}}),
    ("vllm", "kimi-k2.6", {}, {}),
    ("vllm", "kimi-k2.6", {"thinking": False}, {"chat_template_kwargs": {"thinking": False}}),
    ("sglang", "kimi-k2.5", {"thinking": True}, {"chat_template_kwargs": {"thinking": True}}),
    ("vllm", "kimi-k2.6", {"thinking": True, "preserve_thinking": True},
     {"chat_template_kwargs": {"thinking": True, "preserve_thinking": True}}),
    ("vllm", "kimi-k2.6", {"thinking": False, "preserve_thinking": True}, {"chat_template_kwargs": {"thinking": False}}),
    ("vllm", "kimi-k3", {}, {"chat_template_kwargs": {"thinking": True, "preserve_thinking": True}}),
    ("sglang", "kimi-k3", {"reasoning_effort": "low"},
     {"chat_template_kwargs": {"thinking": True, "preserve_thinking": True, "thinking_effort": "low"}}),
    ("vllm", "kimi-k3", {"thinking": False}, {"chat_template_kwargs": {"thinking": False}}),
    ("vllm", "kimi-k3", {"thinking": False, "reasoning_effort": "low"}, ["reasoning_effort"]),
    ("vllm", "kimi-k2.7-code", {"thinking": False}, ["thinking"]),
    ("vllm", "kimi-k2-instruct", {}, {}),
    ("vllm", "kimi-k2.6", {"thinking": False, "extra_body": {"chat_template_kwargs": {"tools_in_user": True}}},
     {"chat_template_kwargs": {"thinking": False, "tools_in_user": True}}),
    ("openrouter", "moonshotai/kimi-k3", {"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
    ("openrouter", "moonshotai/kimi-k3", {"thinking": False}, ["thinking"]),  # enabled: false is a 400 (big-AGI#1161)
    ("openrouter", "moonshotai/kimi-k2.6", {"thinking": False}, {"reasoning": {"enabled": False}}),
    ("openrouter", "moonshotai/kimi-k2.6", {"thinking": True}, {"reasoning": {"enabled": True}}),
    ("openrouter", "moonshotai/kimi-k2.6", {"preserve_thinking": True}, ["preserve_thinking"]),
    ("fireworks", "accounts/fireworks/models/kimi-k2p6", {"thinking": False}, {"thinking": {"type": "disabled"}}),
    ("fireworks", "accounts/fireworks/models/kimi-k2p6", {"preserve_thinking": True}, ["preserve_thinking"]),
    ("fireworks", "accounts/fireworks/models/kimi-k3", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ("together", "moonshotai/Kimi-K2.6", {"thinking": False}, {"reasoning": {"enabled": False}}),
    ("together", "moonshotai/Kimi-K3", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ("dashscope", "kimi-k2.6", {"thinking": False}, {"enable_thinking": False}),
    ("dashscope", "kimi-k2.6", {"preserve_thinking": True}, {"enable_thinking": True, "preserve_thinking": True}),
    ("siliconflow", "kimi-k2.6", {"thinking": True}, {"enable_thinking": True}),
    ("siliconflow", "kimi-k2.6", {"preserve_thinking": True}, ["preserve_thinking"]),
    ("litellm", "kimi-k2.6", {"thinking": False},
     {"thinking": {"type": "disabled"}, "allowed_openai_params": ["thinking"]}),
    ("litellm", "kimi-k2.6", {"preserve_thinking": True},
     {"thinking": {"type": "enabled", "keep": "all"}, "allowed_openai_params": ["thinking"]}),
    ("litellm", "kimi-k3", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}),
    ("litellm", "kimi-k2.6", {}, {}),
    ("openai", "kimi-k2.6", {"thinking": False}, ["thinking"]),
    ("groq", "moonshotai/kimi-k2-instruct", {"thinking": False}, {}),
]  # fmt: skip


@pytest.mark.says(
    "docs/hosts.md", "The same models on other hosts want other words for thinking, reasoning and Partial Mode"
)
@pytest.mark.parametrize(("dialect", "model", "settings", "expected"), THINKING)
def test_thinking_is_asked_for_in_the_hosts_words(
    dialect: str, model: str, settings: dict[str, Any], expected: dict[str, Any] | list[str]
) -> None:
    request = render(dialect, model=model, **settings)
    if isinstance(expected, list):
        assert [notice.setting for notice in request.notices] == expected
        with pytest.raises(KimiRequestError):
            render(dialect, model=model, strict=True, **settings)
    else:
        assert request.body == {"model": model, "messages": HELLO, **expected}
        assert not request.notices


@pytest.mark.says("docs/hosts.md", "reasoning goes out as")
@pytest.mark.parametrize("dialect", HOSTS)
@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k3"])
def test_reasoning_goes_out_under_the_hosts_key(dialect: str, model: str) -> None:
    history = [*HELLO, *answered("a", reasoning_content="hm"), {"role": "assistant", "content": "x"}, *HELLO]
    before = copy.deepcopy(history)
    key = REASONING_KEYS.get(dialect, "reasoning_content")
    sent = render(dialect, history, model=model).body["messages"]
    found = {name: text for name, text in sent[1].items() if "reasoning" in name}
    assert found == ({key: "hm"} if key else {})
    assert history == before


def test_details_go_back_as_they_came_and_nowhere_else() -> None:
    history = [*HELLO, *answered("a", reasoning_content="hm", reasoning_details=DETAILS)]
    message = render("openrouter", history).body["messages"][1]
    assert message["reasoning_details"] == DETAILS
    assert not {"reasoning", "reasoning_content"} & set(message)
    for dialect in set(HOSTS) - {"openrouter"}:
        assert "reasoning_details" not in render(dialect, history).body["messages"][1]
    assert render("moonshot", history).body["messages"][1]["reasoning_content"] == "hm"
    encrypted = [*HELLO, *answered("a", reasoning_details=[{"type": "reasoning.encrypted", "data": "x"}])]
    assert render("openrouter", encrypted).body["messages"][1]["reasoning_details"][0]["data"] == "x"


def test_reasoning_that_is_lost_is_made_up_for_only_where_a_host_wants_that() -> None:
    history = [*HELLO, *answered("a")]
    wanting = {
        dialect
        for dialect in HOSTS
        if any("reasoning" in key for key in render(dialect, history, model="kimi-k2.6").body["messages"][1])
    }
    assert wanting == {*LIKE_MOONSHOT, "openrouter", "dashscope", "siliconflow"}


@pytest.mark.parametrize("dialect", SELF_HOSTED)
def test_ids_of_k2_models_are_numbered_over_the_conversation(dialect: str) -> None:
    twice = {"role": "assistant", "tool_calls": [call("call_1"), call("call_2", "find")]}
    results = [
        {"role": "tool", "tool_call_id": "call_2", "content": "two"},
        {"role": "tool", "tool_call_id": "call_1", "content": "one"},
    ]
    history = [*HELLO, twice, *results, *HELLO, *answered("call_1"), *answered("functions.look:0")]
    before = copy.deepcopy(history)
    sent = render(dialect, history, model="moonshotai/Kimi-K2.6").body["messages"]
    ids = [[call["id"] for call in message.get("tool_calls", ())] or message.get("tool_call_id") for message in sent]
    assert ids == [
        None,
        ["functions.look:0", "functions.find:1"],
        "functions.find:1",
        "functions.look:0",
        None,
        ["functions.look:2"],
        "functions.look:2",
        ["functions.look:3"],
        "functions.look:3",
    ]
    assert history == before
    longer = render(dialect, [*history, *HELLO], model="moonshotai/Kimi-K2.6").body["messages"]
    assert longer[: len(sent)] == sent, "a turn added at the end changes nothing before it"


@pytest.mark.parametrize(
    ("dialect", "model"), [("vllm", "kimi-k3"), ("moonshot", "kimi-k2.6"), ("openrouter", "kimi-k2")]
)
def test_other_ids_stay_as_they_are(dialect: str, model: str) -> None:
    sent = render(dialect, [*HELLO, *answered("call_1")], model=model).body["messages"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == "call_1"


@pytest.mark.parametrize("dialect", SELF_HOSTED)
def test_a_beginning_is_a_matter_of_the_template(dialect: str) -> None:
    request = render(dialect, prefix="{", prefix_name="Ann", model="kimi-k2.6")
    assert request.body["messages"][-1] == {"role": "assistant", "content": "{", "name": "Ann"}
    assert request.body["continue_final_message"] is True
    assert request.body["add_generation_prompt"] is False
    marked = [*HELLO, {"role": "assistant", "content": "x", "partial": True}]
    assert render(dialect, marked).body["messages"][-1] == {"role": "assistant", "content": "x"}
    assert "continue_final_message" not in render(dialect).body


@pytest.mark.parametrize("dialect", SELF_HOSTED)
def test_a_cut_answer_is_continued_in_the_hosts_form(dialect: str) -> None:
    first = render(dialect, prefix="One", continue_on_length=2, max_tokens=3)
    second = continue_request(first, Choice(content="One, two", reasoning="hm", finish_reason="length"))
    assert second is not None
    key = "reasoning" if dialect == "vllm" else "reasoning_content"
    assert second.body["messages"] == [*HELLO, {"role": "assistant", "content": "One, two", key: "hm"}]
    third = continue_request(second, Choice(content=", three"))
    assert third is not None
    assert third.body["messages"][-1]["content"] == "One, two, three"
    assert third.body["continue_final_message"] is True
    plain = continue_request(render(dialect), Choice(content="So"))
    assert plain is not None
    assert plain.body["messages"] == [*HELLO, {"role": "assistant", "content": "So"}]


@pytest.mark.says("docs/hosts.md", "none: refused")
@pytest.mark.parametrize("dialect", sorted(set(HOSTS) - {*LIKE_MOONSHOT, *SELF_HOSTED}))
def test_other_hosts_have_no_partial_mode(dialect: str) -> None:
    with pytest.raises(KimiRequestError, match="no Partial Mode on this host"):
        render(dialect, prefix="{")
    request = render(dialect, continue_on_length=1)
    assert [notice.setting for notice in request.notices] == ["continue_on_length"]
    assert continue_request(request, Choice(content="x")) is None


@pytest.mark.parametrize("dialect", HOSTS)
def test_sampling_is_free_where_the_open_weights_are_run(dialect: str) -> None:
    request = render(dialect, model="kimi-k2.6", temperature=0.3, n=2)
    locked = dialect in LOCKED
    assert ("temperature" in request.body) is not locked
    assert [notice.setting for notice in request.notices] == (["temperature", "n"] if locked else [])


@pytest.mark.parametrize("dialect", HOSTS)
@pytest.mark.parametrize("model", ["kimi-k2.7-code", "kimi-k2.6", "kimi-k3"])
def test_forced_choices_are_native_where_the_open_weights_are_run(dialect: str, model: str) -> None:
    request = render(dialect, model=model, tools=[TOOL], tool_choice="look")
    assert request.plan.expected == ("look",)
    if profile_at(profile_for(model), HOSTS[dialect]).forced_choice is ForcedChoice.NATIVE:
        assert request.body["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert (dialect in LOCKED) is not HOSTS[dialect].native_choice


@pytest.mark.says("docs/hosts.md", "a forced call is written as JSON under the tool's schema")
@pytest.mark.parametrize("model", ["kimi-k2.7-code", "kimi-k2.6", "kimi-k3", "moonshot-v1-128k"])
@pytest.mark.parametrize("choice", ["look", "any"])
def test_a_proxy_that_replaces_forced_choices_gets_none(model: str, choice: str) -> None:
    request = render("litellm", model=model, tools=[TOOL], tool_choice=choice)
    assert request.body.get("tool_choice") in ("none", None)
    assert ("response_format" in request.body) is (profile_for(model).forced_choice is not ForcedChoice.ASK)
    assert request.plan.expected == ("look",)


@pytest.mark.says(
    "docs/hosts.md", "Tools that a message loads reach kimi-k3 through `vllm`, `sglang` and `litellm` too"
)
@pytest.mark.parametrize("dialect", HOSTS)
def test_tools_of_messages_go_to_hosts_that_carry_them(dialect: str) -> None:
    loading = [{"role": "system", "tools": [TOOL]}, *HELLO]
    if dialect in (*LIKE_MOONSHOT, *SELF_HOSTED, "chutes"):
        assert render(dialect, loading).body["messages"][0]["tools"] == [TOOL]
        return
    request = render(dialect, loading)
    assert (request.body["tools"], len(request.body["messages"])) == ([TOOL], len(HELLO))
    assert ["declared with the request" in notice.message for notice in request.notices] == [True]


@pytest.mark.says("docs/hosts.md", "`$web_search` runs in Moonshot's server, and is refused for hosts without it.")
@pytest.mark.parametrize("dialect", HOSTS)
def test_functions_of_moonshots_server_go_there_alone(dialect: str) -> None:
    search = {"type": "builtin_function", "function": {"name": "$web_search"}}
    if dialect in LIKE_MOONSHOT:
        assert render(dialect, tools=[search]).body["tools"] == [search]
        return
    with pytest.raises(KimiRequestError, match=rf"^\$web_search runs in Moonshot's own server, and {dialect} has no"):
        render(dialect, tools=[search])


@pytest.mark.says(
    "docs/hosts.md",
    "`parallel_tool_calls=False` goes out to `vllm` and `sglang`, which keep to it; elsewhere a warning says that Kimi decides.",
)
@pytest.mark.parametrize("dialect", HOSTS)
@pytest.mark.parametrize("parallel", [True, False])
def test_parallel_calls_are_asked_for_where_that_has_an_effect(dialect: str, parallel: bool) -> None:
    request = render(dialect, tools=[TOOL], parallel_tool_calls=parallel)
    sent = dialect in (*SELF_HOSTED, "chutes")
    assert request.body.get("parallel_tool_calls") is (parallel if sent else None)
    assert [notice.setting for notice in request.notices] == ["parallel_tool_calls"] * (not sent and not parallel)
    assert render(dialect, model="gpt-5", parallel_tool_calls=parallel).body["parallel_tool_calls"] is parallel


def test_thinking_is_switched_off_for_a_forced_choice_in_the_hosts_words() -> None:
    assert render("openrouter", model="kimi-k2.6", tools=[TOOL], tool_choice="look").body["reasoning"] == {
        "enabled": False
    }
    assert render("dashscope", model="kimi-k2.6", tools=[TOOL], tool_choice="look").body["enable_thinking"] is False


@pytest.mark.says("docs/hosts.md", "`openai` is for hosts that refuse every field they do not know.")
@pytest.mark.parametrize("dialect", STRICT)
def test_strict_hosts_get_only_what_they_know(dialect: str) -> None:
    history = [*HELLO, *answered("a", reasoning_content="hm", reasoning_details=DETAILS)]
    request = render(
        dialect, history, stream=True, model="kimi-k2.6", max_tokens=7, tools=[TOOL], safety_identifier="u", prompt_cache_key="s"
    )  # fmt: skip
    body = request.body
    known = {"model", "messages", "max_tokens", "tools", "stream", "stream_options", "prompt_cache_key"}
    assert set(body) <= known
    assert ("prompt_cache_key" in body) is (dialect == "fireworks")
    assert ("stream_options" in body) is (dialect != "fireworks")
    left_out = {notice.setting for notice in request.notices}
    assert left_out == {"safety_identifier"} | ({"prompt_cache_key"} if dialect != "fireworks" else set())
    assert "name" not in body["messages"][2]
    assert ("reasoning_content" in body["messages"][1]) is (dialect == "fireworks")
    assert render("moonshot", history).body["messages"][2]["name"] == "look"


@pytest.mark.parametrize("dialect", HOSTS)
def test_the_cap_has_the_name_that_every_server_knows(dialect: str) -> None:
    body = render(dialect, max_tokens=7).body
    assert ("max_completion_tokens" in body, "max_tokens" in body) == (dialect == "moonshot", dialect != "moonshot")


@pytest.mark.parametrize("dialect", HOSTS)
def test_pictures_from_the_web_go_to_hosts_that_fetch_them(dialect: str) -> None:
    def ask(url: str) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]

    refused = "ms://1" if dialect not in LIKE_MOONSHOT else "https://x.org/a.png"
    taken = "https://x.org/a.png" if dialect not in LIKE_MOONSHOT else "ms://1"
    for url in (taken, f"data:image/png;base64,{base64.b64encode(png()).decode()}"):
        assert render(dialect, ask(url)).body["messages"][0]["content"][0]["image_url"]["url"] == url
    with pytest.raises(KimiRequestError, match="points to"):
        render(dialect, ask(refused))
    uploads = render(dialect, ask(taken), upload_media_over=1)
    assert ["upload_media_over"] * (dialect not in LIKE_MOONSHOT) == [notice.setting for notice in uploads.notices]


@pytest.mark.parametrize("dialect", ["moonshot", "vllm"])
def test_pictures_from_the_web_are_downloaded_for_every_host_if_asked(dialect: str) -> None:
    part = {"type": "image_url", "image_url": {"url": "https://x.org/a.png"}}
    media = render(dialect, [{"role": "user", "content": [part]}], remote_images="download").media
    assert media is not None
    assert media.download


def test_a_host_counts_where_settings_are_checked_before_a_request() -> None:
    settings = {"model": "kimi-k2.6", "temperature": 0.3, "strict": True}
    check_settings({**settings, "dialect": "vllm"})
    check_settings(settings, "https://api.fireworks.ai/inference/v1")
    with pytest.raises(KimiRequestError, match="fixed parameters"):
        check_settings(settings)


def test_a_forced_call_that_vllm_ends_with_stop_is_a_tool_call() -> None:
    from kimi_wire.answers.response import finish_choice

    choice = Choice(tool_calls=[ToolCall("x", "look", "{}")], finish_reason="stop")
    finish_choice(choice, render("vllm", tools=[TOOL], tool_choice="any").plan, None)
    assert choice.finish_reason == "tool_calls"
