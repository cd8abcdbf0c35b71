"""The emulator held against recorded traffic: every exchange, every stream, every error, every object.

What it is not held against has a reason in `NOT_HELD` or, of the errors, in `ELSEWHERE`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from kimi_emulator.http import ENDPOINTS

KINDS = {str: "text", int: "number", float: "number"}
PATHS = {path for _, path, _ in ENDPOINTS}


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def shape(value: Any) -> Any:
    """Keys in their order with the kinds of their values; of a list the shapes that occur."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [found for found, _ in groupby([shape(item) for item in value])]
    return KINDS.get(type(value), value)


def reply_of(message: dict[str, Any], finish_reason: str | None, usage: dict[str, Any] | None, **fields: Any) -> Reply:
    calls = [
        ToolCall(call["function"]["name"], call["function"]["arguments"], type=call.get("type", "function"))
        for call in message.get("tool_calls", ())
    ]
    return Reply(message["content"], message.get("reasoning_content"), calls, finish_reason, usage=usage, **fields)


# The files of recordings that tests here read, beside those of `CHATS` and `STREAMS`.
BALANCE = "balance/balance_2026-09.json"
ERRORS = "errors/error_bodies.json"
FILES = "files_api/files_2024-03.json"
UPLOAD = "files_api/upload_2024-05.json"
MODELS = "models/api.moonshot.cn_v1_models_2024-04.json"
K3_ENTRIES = (
    "models/api.kimi.com_coding_v1_models_k3_entry_2026-07-17.json",
    "models/api.kimi.ai_coding_v1_models_2026-09-22.json",
)
WEB_SEARCH = "web-search/web_search.jsonl"

# Patterns of the other files, each with why it is not held against here.
NOT_HELD = {
    "README.md": "says what the recordings are",
    "kimi-k3-chat/*.body.wire.json": "the same answers as bytes: tests/emulator/test_emulator_shapes.py",
    "mfjs_cases/FORMAT.txt": "says what the cases are",
    "mfjs_cases/*/*.jsonl": "schemas and no traffic: tests/emulator/test_emulator_schema.py",
    "models/api.kimi.com_coding_v1_models_2026-07-19_trimmed.json": "another product's list, cut by who published it",
    "web-search/formula_base64.plugin_log.json": "a plugin's own words for what it got, and no HTTP body",
}


def test_no_recording_is_left_out(recordings: Path) -> None:
    found = {path.relative_to(recordings).as_posix() for path in recordings.rglob("*") if path.is_file()}
    read = {BALANCE, ERRORS, FILES, UPLOAD, MODELS, *K3_ENTRIES, WEB_SEARCH}
    read |= {f"kimi-k3-chat/{name}.json" for name in CHATS} | {f"kimi-streams/{name}" for name in STREAMS}
    excepted = {pattern: {name for name in found if fnmatchcase(name, pattern)} for pattern in NOT_HELD}
    assert read <= found
    assert found - read == set().union(*excepted.values())
    assert all(excepted.values()), "an exception for what is not there"
    assert not read & set().union(*excepted.values())


# Whole exchanges of kimi-k3.

CHATS = [
    "basic",
    "context_append_1",
    "multi_tool",
    "reasoning_basic",
    "tool_round_trip_1",
    "tool_round_trip_2",
    "usage",
]
# Cloudflare's and the transport's.
INFRASTRUCTURE = {
    "cf-cache-status",
    "cf-ray",
    "connection",
    "content-length",
    "server",
    "set-cookie",
    "transfer-encoding",
}


@pytest.mark.says("docs/testing.md", "answers in the shapes that were recorded from it")
@pytest.mark.parametrize("name", CHATS)
def test_a_recorded_request_is_answered_in_the_recorded_shape(
    name: str, recordings: Path, kimi: KimiEmulator, http_send: Callable[..., Any]
) -> None:
    recorded = load(recordings / "kimi-k3-chat" / f"{name}.json")
    body = recorded["response"]["body"]
    choice, usage = body["choices"][0], body["usage"]
    kimi.script(reply_of(choice["message"], choice["finish_reason"], None, cached_tokens=usage.get("cached_tokens", 0)))
    answer = http_send(kimi, recorded["request"]["canonical_json"])
    assert answer.status == recorded["response"]["status"]
    assert shape(answer.json) == shape(body)
    assert answer.json["choices"] == body["choices"]
    assert set(answer.headers) - INFRASTRUCTURE == set(recorded["response"]["headers"]) - INFRASTRUCTURE
    (content_type,) = recorded["response"]["headers"]["content-type"]
    assert answer.headers["content-type"] == content_type


# Streams.

# Condensed by who recorded them: fewer pieces, no envelope, and in two of them no usage in the finishing chunk.
STREAMS = {
    "chat_completions_test.dual_usage.jsonl": "kimi-k2.6",
    "chat_completions_test.parallel_tool_calls.jsonl": "kimi-k2.6",
    "moonshot_test.k3_reasoning_2026-09-04.jsonl": "kimi-k3",
    "moonshot_test.tool_call.jsonl": "kimi-k2.6",
}


def add_up(events: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {"content": ""}
    for delta in (choice["delta"] for event in events for choice in event["choices"]):
        for key in {"content", "reasoning_content"} & set(delta):
            message[key] = message.get(key, "") + delta[key]
        for piece in delta.get("tool_calls", ()):
            if "id" in piece:
                message.setdefault("tool_calls", []).append(json.loads(json.dumps(piece)))
            else:
                message["tool_calls"][piece["index"]]["function"]["arguments"] += piece["function"]["arguments"]
    return message


def forms(events: list[dict[str, Any]]) -> list[Any]:
    """What kinds of chunks follow each other, repeated ones once: keys of choice and delta, and of the calls' pieces."""
    kinds = []
    for event in events:
        if not event["choices"]:
            kinds.append("usage")
            continue
        (choice,) = event["choices"]
        delta = choice["delta"]
        opening = delta.get("reasoning_content") == ""
        pieces = [(piece["index"], shape(piece)) for piece in delta.get("tool_calls", ())]
        kinds.append((list(delta), opening, pieces, choice.get("finish_reason")))
    return [kind for kind, _ in groupby(kinds)]


def is_within(some: list[Any], whole: list[Any]) -> bool:
    """Whether all of `some` is in `whole`, in that order."""
    rest = iter(whole)
    return all(item in rest for item in some)


@pytest.mark.parametrize("name", STREAMS)
def test_a_recorded_stream_is_streamed_in_the_recorded_forms(
    name: str, recordings: Path, kimi: KimiEmulator, ask: Callable[..., Any]
) -> None:
    recorded = [json.loads(line) for line in (recordings / "kimi-streams" / name).read_text().splitlines()]
    *chunks, last = recorded
    message, usage = add_up(chunks), last["usage"]
    kimi.script(reply_of(message, chunks[-1]["choices"][0]["finish_reason"], usage))
    answer = ask("Hello", model=STREAMS[name], stream=True, stream_options={"include_usage": True})
    *events, done = answer.events
    assert done == "[DONE]"
    assert forms(events) == forms(recorded)
    assert add_up(events) == message
    for position, event in ((0, recorded[0]), (-2, recorded[-2]), (-1, recorded[-1])):
        assert is_within(list(event), list(events[position]))
    finish, end = events[-2]["choices"][0], recorded[-2]["choices"][0]
    assert is_within(list(end), list(finish))
    assert finish["usage"] == events[-1]["usage"] == usage
    assert finish["usage"] == end.get("usage", usage)
    assert not any("usage" in event or "usage" in event["choices"][0] for event in events[:-2])
    assert "system_fingerprint" not in events[-1]


# Web search: the recording's keys are in its logger's order.


def unordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unordered(item) for item in value]
    return KINDS.get(type(value), value)


def test_web_search_goes_as_recorded(recordings: Path, kimi: KimiEmulator, http_send: Callable[..., Any]) -> None:
    lines = (recordings / WEB_SEARCH).read_text(encoding="utf-8").splitlines()
    asked, called, followed, answered = [json.loads(line) for line in lines]
    search = {"type": "builtin_function", "function": {"name": "$web_search"}}
    # The second request is logged without the messages of the first. Its `content: ""` beside a call was accepted; the
    # emulator is stricter there, see `content_beside_tool_calls_is_not_blank`.
    call, result = followed["messages"]
    assert call.pop("content") == ""
    rounds = [(asked["messages"], called), ([*asked["messages"], call, result], answered)]
    for messages, said in rounds:
        recorded = said["response"]
        choice = recorded["choices"][0]
        kimi.script(reply_of(choice["message"], choice["finish_reason"], recorded["usage"]))
        body = {"model": "kimi-k2.5", "messages": messages, "tools": [search], "thinking": {"type": "disabled"}}
        answer = http_send(kimi, body)
        assert answer.status == 200, answer.json
        assert unordered(answer.json) == unordered(recorded)
        for made in answer.message.get("tool_calls", ()):
            assert re.fullmatch(r"t-web_search-[0-9a-f]{12}", made["id"])
            assert answer.json["id"].removeprefix("chatcmpl-").startswith(made["id"].rpartition("-")[2])


# Errors.

ASK = [{"role": "user", "content": "Hello"}]
CALL = {
    "role": "assistant",
    "tool_calls": [{"id": "f_0", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "f_0", "content": "1"}
TURN = [*ASK, {"role": "assistant", "content": "Hi."}]


def tool(parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


GOOD_TOOL = tool({"type": "object", "properties": {}})

# What brings a recorded message about: the request's fields beside `model` and `messages`.
PROVOKED: dict[str, dict[str, Any]] = {
    "invalid temperature: only 1 is allowed for this model": {"temperature": 0},
    "invalid frequency_penalty: only 0 is allowed for this model": {"frequency_penalty": 1},
    "invalid presence_penalty: only 0 is allowed for this model": {"presence_penalty": 1},
    "invalid top_p: only 0.95 is allowed for this model": {"top_p": 1},
    "invalid logprobs: only false is allowed for this model": {"logprobs": True},
    "Invalid request: logprobs must be set to true if top_logprobs is used": {"top_logprobs": 2},
    "Invalid request: logit_bias is not supported yet": {"logit_bias": {}},
    "Invalid request: unknown tool type: , currently only function and plugin are supported": {"tools": [{"name": "f"}]},
    "Not found the model kimi-not-exist or Permission denied": {"model": "kimi-not-exist"},
    "Invalid request: messages must not be empty": {"messages": []},
    "invalid thinking: only type=enabled is allowed for this model": {
        "model": "kimi-k2.7-code", "thinking": {"type": "disabled"},
    },
    "stop array too long. Expected an array with maximum length 5, but got 6": {"stop": list("abcdef")},
    "thinking is enabled but reasoning_content is missing in assistant tool call message at index 4": {
        "model": "kimi-k2.6", "messages": [*TURN, *TURN, CALL, RESULT], "tools": [GOOD_TOOL],
    },
    "Invalid request: the message at position 8 with role 'assistant' must not be empty": {
        "messages": [*TURN * 4, {"role": "assistant", "content": ""}, *ASK],
    },
    "tool_choice 'required' is incompatible with thinking enabled": {
        "model": "kimi-k2.6", "tools": [GOOD_TOOL], "tool_choice": "required",
    },
    "tool_choice 'specified' is incompatible with thinking enabled": {
        "model": "kimi-k2.6", "tools": [GOOD_TOOL], "tool_choice": {"type": "function", "function": {"name": "f"}},
    },
    "cannot specify both 'thinking' and 'reasoning_effort'": {
        "model": "kimi-k2.6", "thinking": {"type": "enabled"}, "reasoning_effort": "high",
    },
    "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'root': when using anyOf, "
    "type should be defined in anyOf items instead of the parent schema>": {
        "tools": [tool({"type": "object", "anyOf": [{"type": "object", "properties": {}}]})],
    },
    'tools.function.parameters.type is required and must be "object"': {"tools": [tool({"properties": {}})]},
    "the message at position 1 with role 'user' contains an invalid part type: video_url": {
        "model": "moonshot-v1-8k-vision-preview",
        "messages": [
            {"role": "system", "content": "x"},
            {"role": "user", "content": [{"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AA=="}}]},
        ],
    },
    "Incorrect API key provided": {"key": "wrong"},
    "Not found the model kimi-k2.5 or Permission denied": {"model": "kimi-k2.5"},
}  # fmt: skip

# What no request can bring about: the usual words for a status and a type.
SCRIPTED = {
    "rate_limit_reached_error": Failure(429),
    "engine_overloaded_error": Failure(429, type="engine_overloaded_error"),
    "exceeded_current_quota_error": Failure(429, type="exceeded_current_quota_error"),
    "content_filter": Failure(400, type="content_filter"),
    "invalid_authentication_error": Failure(401),
}

# Of another endpoint, product or kind of limit, and the one that takes 262144 tokens to bring about
# (tests/emulator/test_emulator_rules.py does, with a smaller window).
ELSEWHERE = (
    "reasoning.effort value",
    "Organization Rate limit exceeded",
    "project TPM rate limit",
    "Kimi For Coding is currently",
    "You've reached your usage limit",
    "extract task failed",
    "exceeded model token limit",
)


def masked(message: str) -> str:
    """A message without anybody's ids, and without the space that some of those who pasted it left."""
    return re.sub(r"\s*<[^ >]*>", "<>", re.sub(r"org-(?:<[^>]*>|\w+)", "org", message))


def text_of(entry: dict[str, Any]) -> str:
    return str(entry["message_only"] if "message_only" in entry else entry["body"]["error"]["message"])


def test_errors_are_those_recorded(recordings: Path, http_send: Callable[..., Any]) -> None:
    """Each recorded error is brought about, scripted, or somebody else's."""
    entries = load(recordings / ERRORS)
    left = [entry for entry in entries if not any(words in text_of(entry) for words in ELSEWHERE)]
    assert len(left) >= 20
    with KimiEmulator(serve_retired=False) as live, KimiEmulator() as retired:
        for entry in left:
            said, error = text_of(entry), entry.get("body", {}).get("error", {})
            fields = dict(PROVOKED.get(said, {}))
            key = fields.pop("key", "sk-test")
            kimi = retired if "vision-preview" in str(fields.get("model")) else live
            if said not in PROVOKED:
                kimi.script(SCRIPTED[error["type"]])
            answer = http_send(kimi, {"model": "kimi-k3", "messages": ASK, **fields}, key=key)
            assert (answer.status, masked(answer.error)) == (entry["status"], masked(said))
            assert list(answer.json) == ["error"]
            assert list(answer.json["error"]) == ["message", "type"]
            assert answer.json["error"]["type"] == error.get("type", "invalid_request_error")
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            assert {"msh-request-id", "x-msh-trace-id"} <= set(answer.headers)
            hints = {"retry-after", "x-retry-after", "msh-cooldown-seconds"}
            recorded = {name.lower() for name in entry.get("headers", ())}
            assert hints & set(answer.headers) == hints & recorded
            assert entry.get("content_length") in (None, len(answer.raw))


# Other endpoints.


def endpoint(path: str) -> Any:
    return pytest.mark.skipif(path not in PATHS, reason=f"the emulator has no {path}")


def test_models_begin_as_recorded(recordings: Path, kimi: KimiEmulator, http_send: Callable[..., Any]) -> None:
    """Recorded in 2024; what came since follows after `parent`."""
    recorded = load(recordings / MODELS)
    listed = http_send(kimi, path="/models").json
    assert list(listed) == list(recorded)
    entries = {entry["id"]: entry for entry in listed["data"]}
    for entry in recorded["data"]:
        own = entries[entry["id"]]
        assert list(own)[: len(entry)] == list(entry)
        assert shape({key: own[key] for key in entry}) == shape(entry)
        assert http_send(kimi, path=f"/models/{entry['id']}").json == own


@pytest.mark.parametrize("name", K3_ENTRIES)
def test_what_k3_can_do_is_listed_as_recorded(
    name: str, recordings: Path, kimi: KimiEmulator, http_send: Callable[..., Any]
) -> None:
    """The coding product's list has names of its own, and the same words for what a model can do."""
    held = load(recordings / name)
    recorded = next(entry for entry in held.get("data", [held]) if "think_efforts" in entry)
    own = http_send(kimi, path="/models/kimi-k3").json
    told = {key for key in recorded if key.startswith(("supports_", "think_"))} | {"context_length"}
    assert {key: own[key] for key in told} == {key: recorded[key] for key in told}


@endpoint("/v1/users/me/balance")
def test_the_balance_is_as_recorded(recordings: Path, kimi: KimiEmulator, http_send: Callable[..., Any]) -> None:
    recorded = load(recordings / BALANCE)[0]["body"]
    assert shape(http_send(kimi, path="/users/me/balance").json) == shape(recorded)


@endpoint("/v1/files")
def test_files_are_as_recorded(recordings: Path, kimi: KimiEmulator) -> None:
    """Recorded in 2024, when a file was "ok" and not yet "ready"; `status_details` is optional since."""
    httpx = pytest.importorskip("httpx")
    recorded = load(recordings / FILES)
    with httpx.Client(base_url=kimi.base_url, headers={"Authorization": "Bearer sk-test"}) as client:
        sent = {"file": ("我是一个文件.txt", "文件内容1\n\n文件内容2".encode(), "text/plain")}
        uploaded = client.post("/files", data={"purpose": "file-extract"}, files=sent).json()
        assert is_within(shape(uploaded), shape(recorded["upload_or_retrieve"]))
        assert shape(uploaded) == shape(load(recordings / UPLOAD))
        assert is_within([*recorded["upload_or_retrieve"]][:-1], [*uploaded])
        assert client.get(f"/files/{uploaded['id']}").json() == uploaded
        listed = client.get("/files").json()
        assert list(listed) == list(recorded["list"])
        assert listed["data"] == [uploaded]
        content = client.get(f"/files/{uploaded['id']}/content").json()
        assert unordered(content) == unordered(recorded["content"])
        assert content["content"] == recorded["content"]["content"]
        deleted = client.delete(f"/files/{uploaded['id']}").json()
        assert unordered(deleted) == unordered(recorded["delete"])
