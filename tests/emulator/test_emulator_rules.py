"""Each rule refuses one request in the server's words and accepts its nearest neighbour."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kimi_emulator import rules, sealed
from kimi_emulator.request import ChatRequest, Rejected, Rule
from kimi_emulator.rules import schema as rules_schema

USER = {"role": "user", "content": "Hello"}
PNG = "data:image/png;base64,iVBORw0KGgo="
INCOMPATIBLE = "tool_choice '{}' is incompatible with thinking enabled"
NAME_WORDS = (
    "function name is invalid, must start with a letter and can contain letters, numbers, underscores, and dashes"
)
NEEDS_ANSWERS = (
    "an assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "
    "The following tool_call_ids did not have response messages: "
)
NOT_PRESERVED = (
    "preserved thinking (thinking.keep=all) requires reasoning_content on every assistant message, but assistant message "
    "at index 1 is missing reasoning_content"
)
NO_REASONING = "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1"
TYPE_WORDS = 'tools.function.parameters.type is required and must be "object"'
NAMED = {"type": "function", "function": {"name": "f"}}
OFF = {"type": "disabled"}
KEPT = {"type": "enabled", "keep": "all"}
SAID = {"role": "assistant", "content": "Hi."}
UNSET: Any = object()


def body(model: str = "kimi-k3", messages: Any = None, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [USER] if messages is None else messages, **fields}


def tool(name: Any = "f", **function: Any) -> dict[str, Any]:
    given = {"name": name, "parameters": {"type": "object", "properties": {}}, **function}
    return {"type": "function", "function": {key: value for key, value in given.items() if value is not UNSET}}


def call(id: Any = "f_0", name: str = "f", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def assistant(*calls: Any, **fields: Any) -> dict[str, Any]:
    message = {
        "role": "assistant",
        "reasoning_content": "Hm.",
        **({"tool_calls": list(calls)} if calls else {}),
        **fields,
    }
    return {key: value for key, value in message.items() if value is not UNSET}


def result(id: Any = "f_0", content: Any = "ok") -> dict[str, Any]:
    message = {"role": "tool", "tool_call_id": id, "content": content}
    return {key: value for key, value in message.items() if value is not UNSET}


def loop(*messages: Any, model: str = "kimi-k3", **fields: Any) -> dict[str, Any]:
    return body(model, [USER, *messages], **fields)


def parts(*content: Any, model: str = "kimi-k3", role: str = "user") -> dict[str, Any]:
    return body(model, [{"role": role, "content": list(content)}])


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def schema(**given: Any) -> dict[str, Any]:
    full = {"name": "x", "schema": {"type": "object"}, **given}
    return {"type": "json_schema", "json_schema": {key: value for key, value in full.items() if value is not UNSET}}


VIDEO = {"type": "video_url", "video_url": {"url": "ms://abc"}}
LONG = [{"role": "user", "content": "word " * 8000}]

# what is refused, the words, the nearest that is accepted
CASES: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    # what the server does itself
    (
        loop(assistant(call("t", "$web_search", '{"a":1}')), result("t", '{"a": 1}')),
        "Invalid request: the message at position 2 must echo the arguments of $web_search unchanged",
        loop(assistant(call("t", "$web_search", '{"a":1}')), result("t", '{"a":1}')),
    ),
    (
        loop(assistant(call()), result(content=sealed.encrypt("Oslo.").replace("BEGIN----", "BEGIN----x"))),
        "Invalid request: the message at position 2 has encrypted content that was changed",
        loop(assistant(call()), result(content=sealed.encrypt("Oslo."))),
    ),
    # messages
    (body(messages=[]), "Invalid request: messages must not be empty", body()),
    ({"model": "kimi-k3"}, "Invalid request: messages must not be empty", body()),
    (
        body(messages="Hello"),
        "Invalid request: the `messages` field in the request (expected type []object) is illegal, "
        "and string is not acceptable",
        body(),
    ),
    (body(messages=["Hello"]), "Invalid request: the `messages` field in the request", body()),
    (
        body(messages=[{"role": "developer", "content": "Be brief."}, USER]),
        "Invalid request: the message at position 0 has an unsupported role 'developer'",
        body(messages=[{"role": "system", "content": "Be brief."}, USER]),
    ),
    (
        body(messages=[{"content": "Hello"}]),
        "Invalid request: the message at position 0 has an unsupported role",
        body(),
    ),
    (
        body(messages=[{"role": "user", "content": {"type": "text", "text": "Hello"}}]),
        "Invalid request: the `messages.content` field in the request (expected type []object) is illegal, "
        "and object is not acceptable",
        parts(text("Hello")),
    ),
    (parts("Hello"), "Invalid request: the `messages.content` field in the request", parts(text("Hello"))),
    (
        loop({"role": "assistant", "content": ""}, USER),
        "Invalid request: the message at position 1 with role 'assistant' must not be empty",
        loop({"role": "assistant", "content": " "}, USER),
    ),
    (
        loop(assistant(), USER),
        "Invalid request: the message at position 1 with role 'assistant' must not be empty",
        loop(assistant(content="Hi"), USER),
    ),
    (
        body(messages=[{"role": "user", "content": ""}]),
        "Invalid request: the message at position 0 with role 'user' must not be empty",
        body(messages=[{"role": "user", "content": " "}]),
    ),
    (
        body(messages=[{"role": "system", "content": ""}, USER]),
        "Invalid request: the message at position 0 with role 'system' must not be empty",
        body(messages=[{"role": "system", "tools": [tool()]}, USER]),
    ),
    (parts(text("Hello"), text("")), "Invalid request: text content is empty", parts(text("Hello"))),
    (
        loop(assistant(call()), result(content=[text("")])),
        "Invalid request: text content is empty",
        loop(assistant(call()), result(content=[])),
    ),
    (
        loop(assistant(call(), content=""), result()),
        "Invalid request: text content is empty",
        loop(assistant(call(), content=None), result()),
    ),
    (
        loop(assistant(call(), content=[text(" ")]), result()),
        "Invalid request: text content is empty",
        loop(assistant(call()), result()),
    ),
    (
        loop(assistant(call()), result(content=UNSET)),
        "Invalid request: the message at position 2 with role 'tool' must have content",
        loop(assistant(call()), result(content="")),
    ),
    (
        loop(assistant(content="Once", partial=True), USER),
        "Invalid request: the message at position 1 is partial",
        loop(assistant(content="Once", partial=True)),
    ),
    (body(messages=[{**USER, "partial": True}]), "Invalid request: the message at position 0 is partial", body()),
    (
        loop(assistant(content="Once", partial="yes")),
        "Invalid request: the `messages.partial` field in the request (expected type bool)",
        loop(assistant(content="", name="Poet", partial=True)),
    ),
    (
        loop(assistant(content="Once", partial=True), model="kimi-thinking-preview"),
        "partial is not supported by model kimi-thinking-preview",
        loop(assistant(content="Once", partial=True), model="moonshot-v1-8k"),
    ),
    (
        loop(assistant(content="", partial=True, name=7)),
        "Invalid request: the `messages.name` field in the request (expected type string)",
        body(messages=[{**USER, "name": "Ann"}]),
    ),
    (
        loop(assistant(call(), content="Once", partial=True)),
        NEEDS_ANSWERS + "f_0",
        loop(assistant(call()), result(), assistant(content="Once", partial=True)),
    ),
    (
        loop(assistant(content=[text("")], partial=True)),
        "Invalid request: text content is empty",
        loop(assistant(content=[], partial=True)),
    ),
    (
        parts({**text("Hello"), "prompt_cache_breakpoint": True}),
        "Invalid request: prompt_cache_breakpoint is not supported",
        parts(text("Hello")),
    ),
    (
        body(prompt_cache_options={"mode": "implicit", "ttl": "2h"}),
        "Invalid request: prompt_cache_options takes mode 'implicit' and ttl '5m' or '1h'",
        body(prompt_cache_options={"mode": "implicit", "ttl": "1h"}),
    ),
    # media
    (
        parts(VIDEO, model="moonshot-v1-8k-vision-preview"),
        "the message at position 0 with role 'user' contains an invalid part type: video_url",
        parts(VIDEO, model="kimi-k2.6"),
    ),
    (parts(image(PNG), model="moonshot-v1-8k"), "contains an invalid part type: image_url", parts(image(PNG))),
    (parts({"type": "file"}), "contains an invalid part type: file", parts(text("file"))),
    (
        parts(image("https://example.org/cat.png")),
        "Invalid request: unsupported image url: https://example.org/cat.png",
        parts(image("ms://file_1")),
    ),
    (parts(image("data:image/svg+xml;base64,PHN2Zz4=")), "unsupported image format: image/svg+xml", parts(image(PNG))),
    (
        parts(image("data:image/png;base64,not base64")),
        "Invalid request: prepare image failed error, status code: 400, message: failed to decode image: "
        "invalid or unsupported image format",
        parts({"type": "image_url", "image_url": PNG}),
    ),
    # tools
    (body(tools={}), "Invalid request: the `tools` field in the request (expected type []object)", body(tools=[])),
    (body(tools=["f"]), "Invalid request: the `tools` field in the request", body(tools=None)),
    (
        body(messages=[{"role": "system", "tools": "f"}, USER]),
        "Invalid request: the `messages.tools` field in the request",
        body(messages=[{"role": "system", "tools": []}, USER]),
    ),
    (
        body(tools=[tool(f"f{n}") for n in range(129)]),
        "tools array too long. Expected an array with maximum length 128, but got 129",
        body(tools=[tool(f"f{n}") for n in range(128)]),
    ),
    (
        body(tools=[{"function": tool()["function"]}]),
        "Invalid request: unknown tool type: , currently only function and plugin are supported",
        body(tools=[tool()]),
    ),
    (
        body(tools=[{"type": "builtin_function", "function": {"name": "web_search"}}]),
        "Invalid request: unknown tool type: builtin_function, currently only function and plugin are supported",
        body(tools=[{"type": "builtin_function", "function": {"name": "$web_search"}}, tool()]),
    ),
    (body(tools=[tool("21st_magic")]), NAME_WORDS, body(tools=[tool("magic-21_st")])),
    (body(tools=[tool("$web_search")]), NAME_WORDS, body(tools=[tool("web_search")])),
    (body(tools=[tool("_f")]), NAME_WORDS, body(tools=[tool("f_")])),
    (body(tools=[tool("f" * 129)]), NAME_WORDS, body(tools=[tool("f" * 128)])),
    (body(tools=[tool(UNSET)]), NAME_WORDS, body(tools=[tool()])),
    (body(tools=[tool(), tool()]), "function name f is duplicated", body(tools=[tool("f"), tool("g")])),
    (
        body(messages=[{"role": "system", "tools": [tool()]}, USER], tools=[tool()]),
        "function name f is duplicated",
        body(messages=[{"role": "system", "tools": [tool("g")]}, USER], tools=[tool()]),
    ),
    (body(tools=[tool(parameters={"properties": {}})]), TYPE_WORDS, body(tools=[tool(parameters={"type": "object"})])),
    (body(tools=[tool(parameters=UNSET)]), TYPE_WORDS, body(tools=[tool()])),
    (
        body("kimi-thinking-preview", tools=[tool()]),
        "tools is not supported by model kimi-thinking-preview",
        body("kimi-thinking-preview"),
    ),
    (body(functions=[]), "Invalid request: functions is not supported yet", body(unheard_of=[])),
    (body(tools=[tool()], tool_choice="any"), "Invalid request: unknown tool_choice: any", body(tool_choice="auto")),
    (body(tools=[tool()], tool_choice={"name": "f"}), "Invalid request: unknown tool_choice: object", body()),
    (
        body(tool_choice="required", tools=[]),
        "Invalid request: tool_choice needs at least one tool",
        body(tool_choice="none"),
    ),
    (
        body("kimi-k2.6", thinking=OFF, tools=[tool("g")], tool_choice=NAMED),
        "Invalid request: tool_choice names a function that is not among the tools: f",
        body("kimi-k2.6", thinking=OFF, tools=[tool()], tool_choice=NAMED),
    ),
    (
        body("kimi-k2.6", tools=[tool()], tool_choice="required"),
        INCOMPATIBLE.format("required"),
        body("kimi-k2.6", tools=[tool()], tool_choice="required", thinking=OFF),
    ),
    (
        body("kimi-k2.5", tools=[tool()], tool_choice=NAMED),
        INCOMPATIBLE.format("specified"),
        body("kimi-k2.5", tools=[tool()], tool_choice=NAMED, thinking=OFF),
    ),
    (
        body(tools=[tool()], tool_choice=NAMED),
        INCOMPATIBLE.format("specified"),
        body(tools=[tool()], tool_choice="required"),
    ),
    (
        body("kimi-k2.7-code", tools=[tool()], tool_choice="required"),
        INCOMPATIBLE.format("required"),
        body("kimi-k2.7-code", tools=[tool()], tool_choice="auto"),
    ),
    (
        body("kimi-k2-thinking", tools=[tool()], tool_choice="required"),
        INCOMPATIBLE.format("required"),
        body("kimi-k2-thinking", tools=[tool()], tool_choice="auto"),
    ),
    (
        body("moonshot-v1-8k", tools=[tool()], tool_choice="required"),
        "tool_choice 'required' is not supported by model moonshot-v1-8k",
        body("moonshot-v1-8k", tools=[tool()], tool_choice="none"),
    ),
    # thinking
    (
        body("kimi-k2.6", thinking=True),
        "the thinking field in the request (expected type object) is illegal, and bool is not acceptable",
        body("kimi-k2.6", thinking={"type": "enabled"}),
    ),
    (
        body(reasoning_effort={"effort": "high"}),
        "the reasoning_effort field (expected type string) is illegal",
        body(reasoning_effort="high"),
    ),
    (
        body("kimi-k2.6", reasoning_effort="medium", thinking={"type": "enabled"}),
        "cannot specify both 'thinking' and 'reasoning_effort'",
        body("kimi-k3", reasoning_effort="high", thinking={"type": "enabled", "keep": "all", "effort": "low"}),
    ),
    (
        body(thinking=OFF),
        "invalid thinking: only type=enabled is allowed for this model",
        body(thinking={"type": "enabled", "keep": "all"}),
    ),
    (
        body("moonshot-v1-8k", thinking=OFF),
        "thinking is not supported by model moonshot-v1-8k",
        body("moonshot-v1-8k"),
    ),
    (body("kimi-k2.6", thinking={"type": "on"}), "invalid value for thinking type", body("kimi-k2.6", thinking=OFF)),
    (
        body("kimi-k2.7-code", thinking=OFF),
        "invalid thinking: only type=enabled is allowed for this model",
        body("kimi-k2.7-code", thinking={"type": "enabled", "keep": "all"}),
    ),
    (
        body("kimi-k2.5", thinking={"type": "enabled", "keep": "all"}),
        "thinking.keep is not supported by model kimi-k2.5",
        body("kimi-k2.6", thinking={"type": "enabled", "keep": "all"}),
    ),
    (
        body("kimi-k2.6", thinking={"type": "enabled", "keep": "some"}),
        "invalid value for thinking keep",
        body("kimi-k2.6", thinking={"type": "enabled", "keep": None}),
    ),
    (
        body("kimi-k2.6", thinking={"type": "enabled", "budget": 1}),
        "Invalid request: unknown field thinking.budget",
        body("kimi-k2.6", thinking={"type": "enabled", "effort": "high"}),
    ),
    (
        body(reasoning_effort="none"),
        "Unsupported value: 'reasoning_effort' does not support 'none' with this model. "
        "Supported values are: 'low', 'high', and 'max'.",
        body(reasoning_effort="medium"),
    ),
    (
        body("kimi-k2.6", reasoning_effort="high"),
        "reasoning_effort is not supported by model kimi-k2.6",
        body("kimi-k2.6", reasoning_effort="medium"),
    ),
    (
        body("kimi-k2.7-code", reasoning_effort="medium"),
        "reasoning_effort is not supported by model kimi-k2.7-code",
        body("kimi-k3.1-pro", reasoning_effort="max"),
    ),
    # history
    (
        loop(assistant(tool_calls={}, content="Hi")),
        "Invalid request: the `messages.tool_calls` field in the request (expected type []object)",
        loop(assistant(tool_calls=[], content="Hi")),
    ),
    (
        loop(assistant(call(name="")), result()),
        NAME_WORDS,
        loop(assistant(call(name="$web_search")), result(content="{}")),
    ),
    (
        loop(assistant(call(arguments='{"a": "\n"}')), result()),
        "Invalid request: the message at position 1 with role 'assistant' has a tool call whose function.arguments",
        loop(assistant(call(arguments='{"a": "\\n"}')), result()),
    ),
    (loop(assistant(call(arguments="[1]")), result()), "function.arguments", loop(assistant(call()), result())),
    (loop(assistant(call(arguments="")), result()), "function.arguments", loop(assistant(call()), result())),
    (
        loop(assistant(call()), result(), USER, assistant(call()), result()),
        "Invalid request: tool call id f_0 is duplicated",
        loop(assistant(call()), result(), USER, assistant(call("f_1")), result("f_1")),
    ),
    (
        loop(assistant(call()), result("")),
        "Invalid request: tool_call_id  is not found",
        loop(assistant(call()), result()),
    ),
    (loop(assistant(call()), result(UNSET)), "Invalid request: tool_call_id  is not found", body()),
    (loop(result("f_9")), "Invalid request: tool_call_id f_9 is not found", body()),
    (
        loop(assistant(call("a"), call("b"), call("c")), result("b")),
        NEEDS_ANSWERS + "a, c",
        loop(assistant(call("a"), call("b"), call("c")), result("c"), result("a"), result("b")),
    ),
    (loop(assistant(call("a")), USER, result("a")), "Invalid request: tool_call_id a is not found", body()),
    (loop(assistant(call("a"))), NEEDS_ANSWERS + "a", loop(assistant(call("a")), result("a"))),
    (
        loop(assistant(content="Hi", reasoning_content=["Hm."]), USER),
        "Invalid request: the `messages.reasoning_content` field in the request (expected type string)",
        loop(assistant(content="Hi", reasoning_content=None), USER),
    ),
    *(
        (
            loop(assistant(call(), reasoning_content=UNSET), result(), model=model),
            NO_REASONING,
            loop(assistant(call(), reasoning_content=""), result(), model=model),
        )
        for model in ("kimi-k2.5", "kimi-k2.6", "kimi-k2.7-code", "kimi-k2-thinking")
    ),
    (
        loop(SAID, USER, model="kimi-k2.7-code"),
        NOT_PRESERVED,
        loop({**SAID, "reasoning_content": " "}, USER, {**SAID, "partial": True}, model="kimi-k2.7-code"),
    ),
    (
        loop(SAID, USER, model="kimi-k2.6", thinking=KEPT),
        NOT_PRESERVED,
        loop({**SAID, "reasoning_content": ""}, USER, model="kimi-k2.6", thinking=KEPT),
    ),
    *(
        (loop(SAID, USER, model="kimi-k2.6", thinking=KEPT), NOT_PRESERVED, loop(SAID, USER, model=model, **thinking))
        for model, thinking in (
            ("kimi-k2.6", {}),
            ("kimi-k2.6", {"thinking": {**KEPT, "type": "disabled"}}),
            ("kimi-k2.5", {}),
            ("kimi-k3", {}),
            ("kimi-k2-thinking", {}),
        )
    ),
    (
        loop(assistant(call(), reasoning_content=UNSET), result(), model="kimi-k2.6"),
        NO_REASONING,
        loop(assistant(call(), reasoning_content=UNSET), result(), model="kimi-k2.6", thinking=OFF),
    ),
    (
        loop(assistant(call(), reasoning_content=None), result(), model="kimi-k2.6"),
        NO_REASONING,
        loop(assistant(call(), reasoning_content=UNSET), result(), model="kimi-k3"),
    ),
    (
        body("kimi-k2.6", [{"role": "system", "tools": [tool()]}, USER]),
        "tokenization failed",
        body("kimi-k3.1-pro", [{"role": "system", "tools": [tool()]}, USER]),
    ),
    (
        body(messages=[{**USER, "tools": [tool()]}]),
        "Invalid request: the message at position 0 has tools, only role 'system' can",
        body(messages=[{"role": "system", "tools": [tool()]}, USER]),
    ),
    (
        body(messages=[{"role": "system", "content": "Hi", "tools": [tool()]}, USER]),
        "Invalid request: tools cannot be used with content",
        body(messages=[{"role": "system", "content": "", "tools": [tool()]}, USER]),
    ),
    # sampling
    (
        body(temperature="1"),
        "Invalid request: the `temperature` field in the request (expected type float) is illegal",
        body(temperature=1.0),
    ),
    (body(temperature=0.2), "invalid temperature: only 1 is allowed for this model", body(temperature=1)),
    (
        body("kimi-k2.6", temperature=1, thinking=OFF),
        "invalid temperature: only 0.6 is allowed for this model",
        body("kimi-k2.6", temperature=0.6, thinking=OFF),
    ),
    (body(top_p=1), "invalid top_p: only 0.95 is allowed for this model", body(top_p=0.95)),
    (body(n=2), "invalid n: only 1 is allowed for this model", body(n=1)),
    (body(presence_penalty=1), "invalid presence_penalty: only 0 is allowed for this model", body(presence_penalty=0)),
    (
        body(frequency_penalty=1),
        "invalid frequency_penalty: only 0 is allowed for this model",
        body(frequency_penalty=0),
    ),
    (body(logprobs=True), "invalid logprobs: only false is allowed for this model", body(logprobs=False)),
    (
        body("moonshot-v1-8k", top_logprobs=2),
        "Invalid request: logprobs must be set to true if top_logprobs is used",
        body("moonshot-v1-8k", top_logprobs=2, logprobs=True),
    ),
    (body(logit_bias={}), "Invalid request: logit_bias is not supported yet", body(logit_bias=None)),
    (
        body("moonshot-v1-8k", temperature=1.5),
        "invalid temperature: must be between 0 and 1",
        body("moonshot-v1-8k", temperature=1),
    ),
    (body("kimi-k2", n=6), "invalid n: must be between 1 and 5", body("kimi-k2", n=5)),
    (
        body("moonshot-v1-8k", temperature=0, n=2),
        "invalid n: only 1 is allowed when temperature is close to 0",
        body("moonshot-v1-8k", temperature=0.3, n=2),
    ),
    # output
    (body(stream="yes"), "Invalid request: the `stream` field in the request (expected type bool)", body(stream=False)),
    (
        body(max_tokens="9"),
        "Invalid request: the `max_tokens` field in the request (expected type int)",
        body(max_tokens=9),
    ),
    (body(max_tokens=0), "invalid max_tokens: must be at least 1", body(max_tokens=1)),
    (
        body(stop=list("abcdef")),
        "stop array too long. Expected an array with maximum length 5, but got 6",
        body(stop=list("abcde")),
    ),
    (
        body(stop="月" * 11),
        "stop sequence too long. Expected at most 32 bytes, but got 33",
        body(stop=["月" * 10 + "ab"]),
    ),
    (body(stop=[1]), "Invalid request: the `stop` field in the request", body(stop="1")),
    (
        body(response_format={"type": "yaml"}),
        "Invalid request: unknown response_format type: yaml",
        body(response_format={"type": "text"}),
    ),
    (body(response_format="text"), "Invalid request: the `response_format` field", body(response_format=None)),
    (
        body(response_format={"type": "json_schema"}),
        "missing required parameter: response_format.json_schema",
        body(response_format={"type": "json_object"}),
    ),
    (
        body(response_format=schema(name=UNSET)),
        "missing required parameter: response_format.json_schema.name",
        body(response_format=schema()),
    ),
    (
        body(response_format=schema(schema=UNSET)),
        "missing required parameter: response_format.json_schema.schema",
        body(response_format=schema(schema={"type": "object"})),
    ),
    (
        body(response_format=schema(schema="object")),
        "Invalid request: the `response_format.json_schema.schema` field in the request "
        "(expected type dict[string,interface]) is illegal",
        body(response_format=schema()),
    ),
    (
        body(response_format=schema(strict="yes")),
        "Invalid request: the `response_format.json_schema.strict` field in the request (expected type bool)",
        body(response_format=schema(strict=False)),
    ),
    (
        body("moonshot-v1-8k", LONG),
        "Invalid request: Your request exceeded model token limit: 8192 (requested: 10004)",
        body("moonshot-v1-32k", LONG),
    ),
    (
        body("kimi-k2.6", max_completion_tokens=262_144),
        "Invalid request: Your request exceeded model token limit: 262144 (requested: 262150)",
        body("kimi-k2.6", max_completion_tokens=262_138),
    ),
]


def read(given: dict[str, Any]) -> ChatRequest:
    return rules.read_chat_request(given, extra_models={})


def refusing_rule(request: ChatRequest) -> Rule | None:
    for rule in rules.RULES:
        try:
            rule(request)
        except Rejected:
            return rule
    return None


@pytest.mark.parametrize(("refused", "words", "accepted"), CASES)
def test_rule(refused: dict[str, Any], words: str, accepted: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as caught:
        rules.check(read(refused))
    assert words in caught.value.message
    assert (caught.value.status, caught.value.type) == (400, "invalid_request_error")
    rules.check(read(accepted))


def test_every_rule_has_a_case() -> None:
    tested = {refusing_rule(read(refused)) for refused, _, _ in CASES}
    tested |= set(rules_schema.RULES)  # theirs are in test_emulator_schema_rules.py
    assert {rule.__name__ for rule in rules.RULES if rule not in tested} == set()


@pytest.mark.says("docs/testing.md", "it rejects what Moonshot rejects, with its words")
@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_every_rule_names_its_source(rule: Rule) -> None:
    assert re.search(r"https://platform\.kimi\.|\w#\d+|Recorded|Reported", rule.__doc__ or "")


@pytest.mark.parametrize(
    "extra",
    ["seed", "user", "parallel_tool_calls", "store", "metadata", "service_tier", "top_k", "partial", "stream_options"],
)
def test_unknown_top_level_fields_are_ignored(extra: str) -> None:
    rules.check(read(body(**{extra: {"any": "thing"}})))


@pytest.mark.parametrize("field", ["temperature", "thinking", "tools", "tool_choice", "response_format", "max_tokens"])
def test_null_is_the_same_as_absent(field: str) -> None:
    rules.check(read(body(**{field: None})))


@pytest.mark.parametrize("arguments", ['{"a": NaN}', '{"a": "\n"}', '{"a": 1', "[]", "", "[" * 100_000])
def test_arguments_that_are_no_json_object(arguments: str) -> None:
    with pytest.raises(Rejected, match="not a valid JSON object"):
        rules.check(read(loop(assistant(call(arguments=arguments)), result())))


@pytest.mark.parametrize("format", [None, {"type": "json_object"}])
def test_partial_goes_with_tools_and_formats(format: Any) -> None:
    rules.check(read(loop(assistant(content="{", partial=True), tools=[tool()], response_format=format)))


def test_unknown_keys_of_messages_are_tolerated() -> None:
    rules.check(read(loop(assistant(call()), {**result(), "name": "f", "metadata": {"tool_output": 5}})))


def test_results_may_carry_images() -> None:
    rules.check(read(loop(assistant(call()), result(content=[text("A cat."), image(PNG)]))))
