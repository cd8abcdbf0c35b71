"""Partial Mode: answers go on from a beginning, and cut ones add up to what they would have been."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall, brain
from kimi_emulator.brain.partial import follow
from kimi_emulator.brain.partial_json import scan
from kimi_emulator.families import find_model
from kimi_emulator.request import ChatRequest

Ask = Callable[..., Any]

QUESTIONS = [
    "Hello",
    "What is 2 + 3?",
    "Tell me  a long story,\n\nplease.",
    "你好，今天天气怎么样 🙂?",
    "Give me the keys 'city' and 'population' as JSON: Oslo has a population of 700000.",
    "My name is Ann.",
]
PREFIXES = [
    "", " ", "\n", "Hello! ", "Hello!\n\nHow", "Dear customer, hello,", "Yes", "Y", "I", "你好，", "{", "[", "[{", '{"',
    '{ "city" : ', '{"ci', '{"popu', '{"answer": "He', '{"city": "X", "po', '{"city":"X",', '{"a": [{"b": nu',
    '{"a": -', '{"a": 1.', '{"a": "\\', '{"a": "\\u00', '{"a\\', '{"":', '{"a":1}', "{hello", "```json\n", "```json\n{",
    '```json\n{"a": 1}\n', "```\n[1, ",
]  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "size": {"type": "integer"}},
    "required": ["city", "size"],
    "additionalProperties": False,
}
BY_SCHEMA = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def begun(text: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "partial": True, **fields}


def answer(question: str, prefix: dict[str, Any] | None = None, model: str = "kimi-k3", **fields: Any) -> Reply:
    known = find_model(model)
    assert known
    messages = [user(question), *([prefix] if prefix else [])]
    return brain.answer(ChatRequest({"model": model, "messages": messages, **fields}, model, known.family))


def collect(answer: Any) -> tuple[str, str | None, str]:
    """Return content, reasoning and finish reason, streamed or not."""
    if not answer.raw.startswith(b"data: "):
        return (
            answer.message["content"],
            answer.message.get("reasoning_content"),
            answer.json["choices"][0]["finish_reason"],
        )
    choices = [event["choices"][0] for event in answer.events[:-1]]
    thoughts = [choice["delta"]["reasoning_content"] for choice in choices if "reasoning_content" in choice["delta"]]
    content = "".join(choice["delta"].get("content", "") for choice in choices)
    return content, "".join(thoughts) if thoughts else None, choices[-1]["finish_reason"]


def pieces(ask: Ask, question: str, cap: int, *, keep: bool = True, **fields: Any) -> Iterator[tuple[str, str | None]]:
    """Ask, and go on with the same cap until the answer is done, sending the reasoning back or not."""
    said, thought = "", None
    for _ in range(500):
        more = {"reasoning_content": thought} if keep and thought is not None else {}
        messages = [user(question)] + ([begun(said, **more)] if said or more else [])
        content, reasoning, finish = collect(ask(messages=messages, max_completion_tokens=cap, **fields))
        yield content, reasoning
        said, thought = said + content, reasoning if thought is None else thought
        if finish == "stop":
            return
        assert finish == "length"
    raise AssertionError("the answer never ends")


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("format", [None, BY_SCHEMA])
def test_any_part_of_the_answer_is_gone_on_from(question: str, format: Any) -> None:
    whole = answer(question, response_format=format)
    for cut in range(len(whole.content) + 1):
        rest = answer(question, begun(whole.content[:cut]), response_format=format)
        assert rest.content == whole.content[cut:]
        assert rest.reasoning == whole.reasoning


@pytest.mark.slow
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("fields", [{}, {"response_format": BY_SCHEMA}])
@pytest.mark.parametrize("name", [{}, {"name": "Kelsier"}])
def test_any_continuation_is_gone_on_from(prefix: str, fields: Any, name: Any) -> None:
    for question in QUESTIONS:
        rest = answer(question, begun(prefix, **name), **fields).content
        for cut in range(len(rest) + 1):
            assert answer(question, begun(prefix + rest[:cut], **name), **fields).content == rest[cut:]


@pytest.mark.parametrize("prefix", [prefix for prefix in PREFIXES if scan(prefix.lstrip("`json\n")) and prefix.strip()])
def test_json_is_completed(prefix: str) -> None:
    for question in QUESTIONS:
        whole = prefix + answer(question, begun(prefix)).content
        fenced = prefix.startswith("`")
        assert whole.endswith("\n```") is fenced
        json.loads(whole.removeprefix("```json").removeprefix("```").removesuffix("```") if fenced else whole)


def test_json_of_the_documented_example(ask: Ask) -> None:
    order = "Extract the name, size, price, and color from the product description and output them in a JSON object."
    product = "The DaMi SmartHome Mini is a compact smart home assistant available in black. It costs 998 yuan."
    prompt = [{"role": "system", "content": order}, user(product)]
    said = ask(messages=[*prompt, begun("{")]).message["content"]
    assert not said.startswith("{")
    whole = json.loads("{" + said)
    assert list(whole) == ["name", "size", "price", "color"]
    assert whole["price"] == 998


def test_json_with_the_keys_it_begins_with() -> None:
    said = answer("I live in Oslo.", begun('{"city": ')).content
    assert json.loads('{"city": ' + said) == {"city": "Oslo"}


def test_json_by_schema_is_gone_on_with_in_other_spacing() -> None:
    whole = json.loads(answer("Oslo has 7 hills.", response_format=BY_SCHEMA).content)
    begins = '{"city":"' + whole["city"] + '",\n'
    rest = answer("Oslo has 7 hills.", begun(begins), response_format=BY_SCHEMA).content
    assert json.loads(begins + rest) == whole


def test_json_mode_begins_anew(ask: Ask) -> None:
    """Documented as "you may get unexpected model responses"."""
    fields = {"response_format": {"type": "json_object"}}
    said = ask(messages=[user("The keys 'a' as JSON."), begun("{")], **fields).message["content"]
    assert isinstance(json.loads(said), dict)
    with pytest.raises(ValueError):
        json.loads("{" + said)


def test_a_beginning_of_another_kind() -> None:
    assert answer("Hello", begun("Dear customer, hello,")).content == " Hello! How can I help you today?"
    assert answer("Hello", begun("Well. Hello! How ")).content == "can I help you today?"
    assert answer("Hello", begun("Hello! How can I help you today? Anything?")).content == ""
    assert answer("Hello", begun([{"type": "text", "text": "Hello! "}])).content == "How can I help you today?"


def test_roles_speak() -> None:
    plain = answer("Hello").content
    line = answer("Hello", begun("", name="Kelsier")).content
    assert line.endswith(plain)
    assert line != plain
    assert "Kelsier" not in line
    assert answer("Hello", begun(plain[:5], name="Kelsier")).content == plain[5:]
    assert answer("Hello", begun("Well.", name="Kelsier")).content == f" {line}"


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_sent_back_is_not_thought_again(stream: bool, ask: Ask) -> None:
    content, reasoning, _ = collect(ask("Hello", stream=stream))
    assert reasoning
    for known in (reasoning, ""):
        rest = collect(ask(messages=[user("Hello"), begun(content[:4], reasoning_content=known)], stream=stream))
        assert rest == (content[4:], None, "stop")
    for unknown in ({}, {"reasoning_content": None}):
        rest = collect(ask(messages=[user("Hello"), begun(content[:4], **unknown)], stream=stream))
        assert rest == (content[4:], reasoning, "stop")


@pytest.mark.slow
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("model", "fields"),
    [
        ("kimi-k3", {}),
        ("kimi-k2.7-code", {}),
        ("kimi-k2.6", {"thinking": {"type": "disabled"}}),
        ("moonshot-v1-8k", {}),
    ],
)
@pytest.mark.parametrize("question", ["Hello", "你好，今天天气怎么样 🙂?"])
def test_cut_at_any_token(model: str, fields: Any, stream: bool, question: str, ask: Ask) -> None:
    whole, thought, _ = collect(ask(question, model=model, **fields))
    for cap in (*range(1, 9), *range(9, 140, 17)):
        told = list(pieces(ask, question, cap, model=model, stream=stream, **fields))
        assert "".join(content for content, _ in told) == whole
        assert (told[0][1] is None) is (thought is None)
        assert all(reasoning is None for _, reasoning in told[1:])


def test_cut_while_thinking_leaves_no_content(ask: Ask) -> None:
    content, reasoning, finish = collect(ask("Hello", max_completion_tokens=12))
    assert (content, finish) == ("", "length")
    assert reasoning
    again = ask(messages=[user("Hello"), begun("")], max_completion_tokens=12)
    assert collect(again) == ("", reasoning, "length")


def test_thinking_again_costs_again(ask: Ask) -> None:
    whole, reasoning, _ = collect(ask("Tell me a story."))
    assert reasoning
    told = list(pieces(ask, "Tell me a story.", len(reasoning) // 4 + 20, keep=False))
    assert len(told) > 2
    assert "".join(content for content, _ in told) == whole
    assert {reasoning for _, reasoning in told} == {reasoning}


def test_tools_stay_possible(ask: Ask) -> None:
    messages = [user("What is the weather in Paris?"), begun("Let me look.", reasoning_content="Hm.")]
    called = ask(messages=messages, tools=[WEATHER]).message
    assert called["content"] == ""
    assert called["tool_calls"][0]["function"] == {"name": "get_weather", "arguments": '{"city":"Paris"}'}
    told = ask(messages=messages, tools=[WEATHER], tool_choice="none").message
    assert "tool_calls" not in told
    assert told["content"]


def test_partial_at_the_top_level_means_nothing(ask: Ask) -> None:
    prompt = [user("Hello"), {"role": "assistant", "content": "Hello! "}]
    plain = ask(messages=prompt).message
    assert ask(messages=prompt, partial=True).message == plain
    assert ask(messages=[prompt[0], begun("Hello! ")]).message != plain


def test_the_prefix_counts_as_prompt(ask: Ask) -> None:
    def tokens(*more: dict[str, Any]) -> int:
        return int(ask(messages=[user("Hello"), *more]).json["usage"]["prompt_tokens"])

    assert tokens(begun("Hello! ")) > tokens(begun("")) > tokens()
    assert tokens(begun("", reasoning_content="A greeting.")) > tokens(begun(""))
    assert tokens(begun("", name="Dr. Kelsier")) > tokens(begun(""))


def test_the_same_every_time(ask: Ask) -> None:
    for prefix in ("{", "Hello! ", "Well,"):
        first, second = (ask(messages=[user("Hello"), begun(prefix)]).message for _ in range(2))
        assert first == second


def test_refused_without_partial_mode(ask: Ask) -> None:
    refused = ask(messages=[user("Hello"), begun("H")], model="kimi-thinking-preview")
    assert (refused.status, refused.error) == (400, "partial is not supported by model kimi-thinking-preview")


# scripted


def test_scripted_continuations_go_out_verbatim(kimi: KimiEmulator, ask: Ask) -> None:
    kimi.script(Reply("and on", reasoning="Hm."))
    said = ask(messages=[user("Hello"), begun("On ", reasoning_content="So.")], max_completion_tokens=1)
    assert collect(said) == ("and on", "Hm.", "stop")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_a_scripted_whole_is_handed_out_in_parts(stream: bool, keep: bool, kimi: KimiEmulator, ask: Ask) -> None:
    whole, thought = "  One, two,\n\n three 你好 🙂. ", "Counting. " if keep else None
    for cap in range(1, 30):
        kimi.script(*[Reply(whole, reasoning=thought, whole=True)] * 40)
        told = list(pieces(ask, "Count", cap, stream=stream, keep=keep))
        assert "".join(content for content, _ in told) == whole
        kimi.reset()


def test_a_scripted_whole_and_another_prefix(kimi: KimiEmulator, ask: Ask) -> None:
    kimi.script(Reply("One, two", whole=True))
    said = ask(messages=[user("Count"), begun("Two")])
    assert (said.status, said.error) == (500, "ValueError: the scripted answer does not begin with the prefix 'Two'")


def test_a_scripted_whole_stops_where_asked_to(kimi: KimiEmulator, ask: Ask) -> None:
    kimi.script(Reply("One, two, three", whole=True))
    assert collect(ask(messages=[user("Count"), begun("One, ")], stop=","))[0] == "two"


def test_scripted_failures_and_callables_still_work(kimi: KimiEmulator, ask: Ask) -> None:
    kimi.script(Failure(503), lambda body: Reply(body["messages"][-1]["content"] + "!", whole=True))
    assert ask("Hello").status == 503
    assert ask(messages=[user("Hello"), begun("Hi")]).message["content"] == "!"


def test_scripted_truncation_at_any_token(kimi: KimiEmulator, ask: Ask) -> None:
    thought, whole, given = "Think it over. ", "Say it out loud. ", '{"city":"Paris","unit":"celsius"}'
    reply = Reply(whole, thought, [ToolCall("get_weather", given)])
    seen = []
    for cap in range(1, 60):
        kimi.script(Reply(whole, thought, reply.tool_calls, max_tokens=cap))
        said = ask("Hello")
        content, reasoning, finish = collect(said)
        call = said.message["tool_calls"][0] if "tool_calls" in said.message else None
        arguments = call["function"]["arguments"] if call else None
        assert reasoning is not None
        assert thought.startswith(reasoning)
        assert whole.startswith(content)
        assert not content or reasoning == thought
        assert arguments is None or (content == whole and given.startswith(arguments))
        if finish == "length":
            assert said.json["usage"]["completion_tokens"] == cap
        else:
            assert (finish, arguments) == ("tool_calls", given)
        seen.append((len(reasoning), len(content), -1 if arguments is None else len(arguments), finish))
    lengths = [entry[:3] for entry in seen]
    assert lengths == sorted(lengths)
    assert {"length", "tool_calls"} == {entry[3] for entry in seen}
    assert any(0 < size < len(given) for _, _, size in lengths)


def test_the_smaller_cap_counts(kimi: KimiEmulator, ask: Ask) -> None:
    kimi.script(*(Reply("a" * 100, max_tokens=cap, whole=True) for cap in (5, 20)))
    assert len(collect(ask("Hello", max_tokens=10))[0]) == 20
    assert len(collect(ask("Hello", max_tokens=10))[0]) == 40


# parts


@pytest.mark.parametrize(
    ("prefix", "whole", "rest"),
    [
        ("", "a b", "a b"),
        ("a", "a b", " b"),
        ("a ", "a b", "b"),
        ("a\n", "a b", "b"),
        ("a\n", "a\n\n b", "\n b"),
        ('{"a":1,', '{"a": 1, "b": 2}', ' "b": 2}'),
        ("a b", "a b", ""),
        ("a b c", "a b", None),
        ("b", "a b", None),
    ],
)
def test_follow(prefix: str, whole: str, rest: str | None) -> None:
    assert follow(prefix, whole) == rest


def test_scan_closes_any_beginning() -> None:
    text = r' {"a\n": [1, -2.5e+3, true, null, {"\u00e9": "x\"\\"}, [], {}], "b": {"c": ""}, "d": false } '
    for end in range(1, len(text) + 1):
        found = scan(text[:end])
        assert found is not None
        assert isinstance(json.loads(text[:end] + found.closing), dict if end > 1 else type(None))
        if found.open_key is None and end > 5:
            assert set(found.keys) <= {"a\n", "b", "d"}


@pytest.mark.parametrize(
    "text",
    [
        "{a",
        "{1",
        '{"a" 1',
        '{"a": 1 2',
        "[1}",
        "[1,]",
        '{"a": 1,}',
        "]",
        "tru e",
        "01 ",
        '["\n"]',
        '"\\x"',
        "{} {",
        "?",
    ],
)
def test_scan_knows_what_is_no_json(text: str) -> None:
    assert scan(text) is None
