"""Other vendors' models: what the caller gives is what is sent."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kimi_wire.errors import KimiRequestError
from kimi_wire.requests.request import Request, render_request
from kimi_wire.settings import merge_settings

HELLO = [{"role": "user", "content": "hello"}]
ODD_TOOL = {"type": "custom", "name": "21st"}
ROUND: list[dict[str, Any]] = [
    {"role": "user", "content": ""},
    {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [{"id": "a"}, {"id": "a"}]},
    {"role": "tool", "name": "f", "content": [{"type": "image_url", "image_url": "https://x.y/z"}]},
    {"role": "robot", "content": [{"type": "odd"}]},
]  # nothing of which a Kimi would be sent


def render(messages: Any = HELLO, *, dialect: str = "auto", stream: bool = False, **settings: Any) -> Request:
    merged, notices = merge_settings({"model": "gpt-5", "dialect": dialect}, settings)
    before = copy.deepcopy((messages, settings))
    request = render_request(merged, messages, stream=stream, notices=notices)
    assert (messages, settings) == before
    return request


def test_everything_goes_out_as_it_is_given() -> None:
    given: dict[str, Any] = {
        "temperature": 0.0,
        "n": 2,
        "logprobs": True,
        "stop": [*"abcdef", "x" * 40],
        "reasoning_effort": "minimal",
        "tools": [ODD_TOOL, ODD_TOOL],
        "response_format": {"type": "json_schema", "json_schema": {"schema": {"const": 1}}},
        "prompt_cache_key": "k",
    }
    request = render(ROUND, max_tokens=5, tool_choice="21st", **given)
    chosen = {"type": "function", "function": {"name": "21st"}}
    assert request.body == {"model": "gpt-5", "messages": ROUND, "max_tokens": 5, "tool_choice": chosen, **given}
    assert request.plan.expected == ("21st", "21st")
    assert request.plan.json_answer
    assert (request.notices, request.media, request.continuable) == ((), None, False)


def test_what_is_sent_is_a_copy() -> None:
    tools = [ODD_TOOL]
    body = render(ROUND, tools=tools).body
    body["messages"][0]["role"] = body["tools"][0]["type"] = "changed"
    assert (ROUND[0]["role"], ODD_TOOL["type"]) == ("user", "custom")


NOTICED: list[tuple[dict[str, Any], list[str]]] = [
    ({"thinking": True}, ["thinking"]),
    ({"thinking": False, "preserve_thinking": False}, []),
    ({"preserve_thinking": True}, ["preserve_thinking"]),
    ({"continue_on_length": 1, "resume_streams": 1}, ["continue_on_length", "resume_streams"]),
    ({"upload_media_over": 0, "remote_images": "download", "missing_reasoning": "error"}, []),
]


@pytest.mark.parametrize(("settings", "noticed"), NOTICED)
def test_what_has_no_form_outside_of_kimi_is_noticed(settings: dict[str, Any], noticed: list[str]) -> None:
    request = render(**settings)
    assert request.body == {"model": "gpt-5", "messages": HELLO}
    assert [notice.setting for notice in request.notices] == noticed
    assert all("left out" in notice.message for notice in request.notices)


@pytest.mark.parametrize(
    ("messages", "settings", "words"),
    [
        ([], {}, "no messages"),
        (HELLO, {"prefix": "Once"}, "has no Partial Mode"),
        (HELLO, {"prefix_name": "Ann"}, "has no Partial Mode"),
        (HELLO, {"max_tokens": 0}, "max_tokens=0 must be"),
        (HELLO, {"n": 2, "stream": True}, "cannot be streamed"),
        (HELLO, {"tool_choice": "add"}, "names 'add', but the tools are"),
        (HELLO, {"missing_reasoning": "invent"}, "is not one of placeholder, omit, error"),
        (HELLO, {"remote_images": "yes"}, "is not one of error, download"),
        (HELLO, {"continue_on_length": -1}, "continue_on_length=-1 must be"),
        (HELLO, {"thinking": True, "strict": True}, "is not a Kimi model: use extra_body"),
        ([{"role": "system", "tools": "add"}], {}, "must be a list of tools, not 'add'"),
    ],
)
def test_what_is_wrong_for_any_model_is_refused(messages: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(KimiRequestError, match=words):
        render(messages, **settings)


def test_the_hosts_facts_hold() -> None:
    assert render(ROUND, dialect="openrouter").body["messages"][1]["reasoning"] == "hm"
    assert "name" not in render(ROUND, dialect="fireworks").body["messages"][2]
    assert "stream_options" not in render(dialect="fireworks", stream=True).body
    assert [notice.setting for notice in render(dialect="openai", prompt_cache_key="k").notices] == ["prompt_cache_key"]
    begun = render([*HELLO, {"role": "assistant", "content": "Once", "partial": True}], dialect="vllm").body
    assert begun["continue_final_message"] is True
    assert begun["messages"][-1] == {"role": "assistant", "content": "Once"}


def test_a_partial_of_the_extra_body_is_moved_onto_the_last_message() -> None:
    request = render([*HELLO, {"role": "assistant", "content": "Once"}], extra_body={"partial": True})
    assert request.body["messages"][-1] == {"role": "assistant", "content": "Once", "partial": True}
    assert [notice.setting for notice in request.notices] == ["partial"]
