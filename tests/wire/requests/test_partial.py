"""Partial Mode, answers that go on after their limit, and streams that are resumed."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from kimi_wire.answers.response import Completion
from kimi_wire.answers.stream import Delta
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.errors import KimiRequestError, KimiServerError, KimiStatusError, KimiStreamError
from kimi_wire.requests.messages import NOT_RUN
from kimi_wire.requests.request import Request, render_request
from kimi_wire.settings import merge_settings

pytestmark = pytest.mark.both_transports

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
WAYS = ["complete", "acomplete", "stream", "astream"]
STREAMS = ["stream", "astream"]


def render(messages: Any = HELLO, *, stream: bool = False, **settings: Any) -> Request:
    merged, notices = merge_settings({"model": "kimi-k3"}, settings)
    return render_request(merged, messages, stream=stream, notices=notices)


@pytest.fixture
def client(kimi: KimiEmulator) -> Iterator[KimiClient]:
    client = KimiClient(api_key="sk-test", base_url=kimi.base_url, max_retries=0)
    yield client
    client.close()


def ask(client: KimiClient, way: str, **settings: Any) -> tuple[str, Completion]:
    """Ask in one of the four ways; give the text as it came in pieces, and the whole answer."""

    async def astream() -> list[Any]:
        return [item async for item in client.astream(request)]

    request = render(stream="stream" in way, **settings)
    if way in STREAMS:
        *deltas, completion = list(client.stream(request)) if way == "stream" else asyncio.run(astream())
        assert all(isinstance(delta, Delta) for delta in deltas)
        return "".join(delta.content for delta in deltas), completion
    completion = client.complete(request) if way == "complete" else asyncio.run(client.acomplete(request))
    return completion.choice.content, completion


# Partial Mode itself.


def test_a_prefix_is_the_last_message() -> None:
    request = render(prefix="{", prefix_name="Kelsier")
    assert request.body["messages"] == [
        *HELLO,
        {"role": "assistant", "content": "{", "partial": True, "name": "Kelsier"},
    ]
    assert request.prefix == "{"
    assert render(prefix_name="Kelsier").body["messages"][-1]["content"] == ""
    raw = {"role": "assistant", "content": "{", "partial": True, "reasoning_content": "hm"}
    assert render([*HELLO, raw]).body["messages"][-1] == raw
    assert render([*HELLO, raw]).prefix == ""


def test_the_old_spelling_is_moved_with_a_notice() -> None:
    request = render([*HELLO, {"role": "assistant", "content": "{"}], extra_body={"partial": True, "x": 1})
    assert request.body["messages"][-1] == {"role": "assistant", "content": "{", "partial": True}
    assert request.body["x"] == 1
    assert "partial" not in request.body
    assert [notice.setting for notice in request.notices] == ["partial"]


def test_an_old_beginning_goes_out_without_its_mark(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    old = {"role": "assistant", "content": "Once", "partial": True, "name": "Kelsier"}
    messages = [*HELLO, old, *HELLO, {"role": "assistant", "content": "", "partial": True}, *HELLO]
    sent = render(messages).body["messages"]
    assert sent == [*HELLO, {"role": "assistant", "name": "Kelsier", "content": "Once"}, *HELLO, *HELLO]
    assert caplog.text.count("took the mark `partial` off") == 2
    assert old["partial"] is True
    begun = render([*messages, {"role": "assistant", "content": "There", "partial": True}]).body["messages"]
    assert [message.get("partial") for message in begun] == [None] * 4 + [True]
    assert begun[:-1] == sent


@pytest.mark.parametrize("content", [None, "", [], "a", ["a"], [{"type": "text", "text": "a"}] * 2])
def test_a_beginning_is_one_text(content: Any) -> None:
    begun = {"role": "assistant", "content": content, "partial": True}
    text = {1: "a", 2: "aa"}.get(len(content or ""), "")
    assert render([*HELLO, begun]).body["messages"][-1] == {**begun, "content": text}
    absent = {key: value for key, value in begun.items() if key != "content"}
    assert render([*HELLO, absent]).body["messages"][-1]["content"] == ""


@pytest.mark.parametrize(
    ("messages", "settings", "message"),
    [
        (
            HELLO,
            {"prefix": "{", "response_format": {"type": "json_object"}},
            "does not go with response_format json_object",
        ),
        ([{**HELLO[0], "partial": True}], {}, "only the last message can be, and only an assistant's"),
        (
            [*HELLO, {"role": "assistant", "content": "a", "partial": True}],
            {"prefix": "b"},
            "Message 1 is marked partial",
        ),
        (HELLO, {"extra_body": {"partial": True}}, "only an assistant's"),
        (HELLO, {"prefix": "a", "model": "kimi-thinking-preview"}, "has no Partial Mode"),
        (HELLO, {"prefix": "a", "model": "gpt-5"}, "has no Partial Mode"),
        (HELLO, {"prefix": "a", "model": "kimi-k2.7-code", "tools": [TOOL], "tool_choice": "any"}, "ask for one"),
        (HELLO, {"continue_on_length": -1}, "continue_on_length=-1 must be"),
        (HELLO, {"resume_streams": True}, "resume_streams=True is not a whole number"),
    ],
)
def test_where_it_cannot_work_it_is_refused(messages: Any, settings: Any, message: str) -> None:
    with pytest.raises(KimiRequestError, match=message):
        render(messages, **settings)


def test_hosts_without_it_are_known() -> None:
    merged, _ = merge_settings({"model": "kimi-k3"}, {"prefix": "{"})
    with pytest.raises(KimiRequestError, match="has no Partial Mode"):
        render_request(merged, HELLO, stream=False, base_url="https://llm.chutes.ai/v1")
    assert render_request(merged, HELLO, stream=False, base_url="https://api.moonshot.cn/v1").prefix == "{"


def test_what_needs_it_is_noticed_where_there_is_none() -> None:
    request = render(model="gpt-5", continue_on_length=2, resume_streams=1)
    assert [notice.setting for notice in request.notices] == ["continue_on_length", "resume_streams"]
    assert not request.continuable


@pytest.mark.parametrize("way", WAYS)
def test_the_answer_has_the_prefix_at_its_front(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Reply('"a": 1}', reasoning="hm"), Reply(""))
    text, completion = ask(client, way, prefix="{")
    assert text == completion.choice.content == '{"a": 1}'
    assert completion.choice.reasoning == "hm"
    text, completion = ask(client, way, prefix="{")
    assert text == completion.choice.content == "{"


# Going on after the limit.


def parts(kimi: KimiEmulator, *texts: str, last: str = "stop", **fields: Any) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cached_tokens": 3}
    ends = [*["length"] * (len(texts) - 1), last]
    kimi.script(
        *(
            Reply(text, reasoning="I think." if first else None, finish_reason=end, usage=usage, **fields)
            for first, text, end in zip([True, *[False] * len(texts)], texts, ends, strict=False)
        )
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("prefix", [None, "So: "])
def test_a_cut_answer_is_continued(kimi: KimiEmulator, client: KimiClient, way: str, prefix: str | None) -> None:
    parts(kimi, "One, ", "two, ", "three.")
    text, completion = ask(client, way, continue_on_length=5, prefix=prefix)
    assert text == completion.choice.content == f"{prefix or ''}One, two, three."
    assert completion.choice.reasoning == "I think."
    assert completion.choice.finish_reason == "stop"
    assert completion.usage is not None
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens, completion.usage.cached_tokens) == (
        30,
        15,
        9,
    )
    assert completion.raw_usage is not None
    assert completion.raw_usage["total_tokens"] == 45
    sent = [request.body["messages"][-1] for request in kimi.requests]
    assert sent[1] == {
        "role": "assistant",
        "content": f"{prefix or ''}One, ",
        "partial": True,
        "reasoning_content": "I think.",
    }
    assert sent[2] == {
        "role": "assistant",
        "content": f"{prefix or ''}One, two, ",
        "partial": True,
        "reasoning_content": "I think.",
    }
    assert kimi.rejections == []


@pytest.mark.parametrize("way", WAYS)
def test_it_is_continued_so_often_and_no_more(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    parts(kimi, "One, ", "two, ", "three, ", "four.")
    text, completion = ask(client, way, continue_on_length=1)
    assert (text, completion.choice.finish_reason) == ("One, two, ", "length")
    assert len(kimi.requests) == 2


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "reply",
    [
        Reply("", reasoning="hm", finish_reason="length"),
        Reply("I call", tool_calls=[ToolCall("f", '{"a')], finish_reason="length"),
        Reply("whole", finish_reason="stop"),
    ],
)
def test_what_is_not_continued(kimi: KimiEmulator, client: KimiClient, way: str, reply: Reply) -> None:
    kimi.script(reply)
    _, completion = ask(client, way, continue_on_length=3)
    assert len(kimi.requests) == 1
    assert completion.choice.finish_reason == reply.finish_reason
    assert [call.arguments for call in completion.choice.tool_calls] == [call.arguments for call in reply.tool_calls]


@pytest.mark.parametrize("way", WAYS)
def test_a_json_answer_is_not_continued(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Reply('{"a', finish_reason="length"))
    assert ask(client, way, continue_on_length=3, response_format={"type": "json_object"})[0] == '{"a'
    assert len(kimi.requests) == 1


# Streams that break.

TEXT = "A long answer, \U0001f319 in «many» pieces of its own."


@pytest.mark.parametrize("way", STREAMS)
def test_a_broken_stream_carries_what_had_come(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Reply(TEXT, reasoning="hm", cut_after=8))
    with pytest.raises(KimiStreamError) as caught:
        ask(client, way)
    assert caught.value.partial.reasoning == "hm"
    assert TEXT.startswith(caught.value.partial.content)
    assert caught.value.partial.content


@pytest.mark.parametrize("way", STREAMS)
@pytest.mark.parametrize("events", range(4, 12))
def test_it_is_resumed_without_repeating_or_losing_a_character(
    kimi: KimiEmulator, client: KimiClient, way: str, events: int
) -> None:
    def rest(body: dict[str, Any]) -> Reply:
        last = body["messages"][-1]
        written = last["content"] if last.get("partial") else ""
        assert TEXT.startswith(written)
        return Reply(TEXT.removeprefix(written), reasoning=None if written else "hm")

    kimi.script(Reply(TEXT, reasoning="hm", cut_after=events), rest)
    text, completion = ask(client, way, resume_streams=1)
    assert text == completion.choice.content == TEXT
    assert completion.choice.reasoning == "hm"
    assert completion.choice.finish_reason == "stop"
    assert kimi.requests[1].body["messages"][-1]["reasoning_content"] == "hm"


@pytest.mark.parametrize("way", STREAMS)
def test_before_the_first_token_it_is_a_plain_retry(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Reply(TEXT, cut_after=0), Reply(TEXT, cut_after=1), Reply(TEXT))
    text, _ = ask(client, way, resume_streams=2)
    assert text == TEXT
    assert len({json.dumps(request.body) for request in kimi.requests}) == 1


@pytest.mark.parametrize("way", STREAMS)
def test_what_cannot_be_resumed_is_raised(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(
        Reply(tool_calls=[ToolCall("f", {"a": "long argument"})], cut_after=4),  # in the middle of a tool call
        Reply("Once upon", tool_calls=[ToolCall("f", {"a": "long argument"})], cut_after=6),
    )
    for _ in range(2):
        with pytest.raises(KimiStreamError):
            ask(client, way, resume_streams=3)
    assert len(kimi.requests) == 2
    kimi.script(*[Reply(TEXT, cut_after=5)] * 3)
    with pytest.raises(KimiStreamError) as caught:
        ask(client, way, resume_streams=2)
    assert len(kimi.requests) == 5
    assert len(caught.value.partial.content) > len(TEXT) // 4
    kimi.script(Reply(TEXT, cut_after=5), Failure(500, "oops", "server_error"))
    with pytest.raises(KimiServerError) as failed:
        ask(client, way, resume_streams=2)
    assert TEXT.startswith(failed.value.partial.content)
    kimi.script(Reply(TEXT, error_after=5))
    with pytest.raises(KimiStatusError) as reported:
        ask(client, way, resume_streams=2)
    assert TEXT.startswith(reported.value.partial.content)
    assert reported.value.partial.content


@pytest.mark.parametrize("way", STREAMS)
def test_a_broken_stream_is_resumed_and_a_cut_one_continued(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Reply("One, two, three, ", cut_after=4), Reply("AND ", finish_reason="length"), Reply("done."))
    text, completion = ask(client, way, resume_streams=1, continue_on_length=1)
    assert text == completion.choice.content
    assert text.endswith("AND done.")


# Unanswered tool calls.


def calls(*ids: str) -> dict[str, Any]:
    made = [{"id": call_id, "function": {"name": "f", "arguments": "{}"}} for call_id in ids]
    return {"role": "assistant", "tool_calls": made}


def test_unanswered_calls_are_answered_where_that_is_asked_for() -> None:
    answer = {"role": "tool", "tool_call_id": "a", "content": "1"}
    messages = [*HELLO, calls("a", "b"), answer, *HELLO, calls("a")]
    repaired = render(messages, unanswered_tool_calls="repair").body["messages"]
    answers = [(message["tool_call_id"], message["content"]) for message in repaired if message["role"] == "tool"]
    assert answers == [("a", "1"), ("b", NOT_RUN), ("a_1", NOT_RUN)]
    assert [message["role"] for message in repaired] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "user",
        "assistant",
        "tool",
    ]
    with pytest.raises(KimiRequestError, match="or set unanswered_tool_calls='repair'"):
        render(messages, unanswered_tool_calls="error")
    with pytest.raises(KimiRequestError, match="warn, error, repair"):
        render(messages, unanswered_tool_calls="ignore")


@pytest.mark.says(
    "docs/web-search-and-tools.md", "is answered with an error, and a warning says so once (`unanswered_tool_calls`)"
)
def test_unanswered_calls_of_a_conversation_that_went_on_are_answered_and_said() -> None:
    again = [*HELLO, calls("a"), {"role": "tool", "tool_call_id": "a", "content": "1"}, *HELLO, calls("a", "b")]
    with pytest.raises(KimiRequestError, match=r"The tool calls \['a', 'b'\] have no answer"):
        render(again)  # nothing came after them
    for after in (HELLO, [{"role": "tool", "tool_call_id": "b", "content": "2"}]):
        went_on = render([*again, *after])
        found = {
            message["tool_call_id"]: message["content"]
            for message in went_on.body["messages"]
            if message["role"] == "tool"
        }
        assert found == {"a": "1", "a_1": NOT_RUN, "b": "2" if after is not HELLO else NOT_RUN}
        [notice] = went_on.notices
        assert notice.message.startswith(f"The tool calls {['a', 'b'] if after is HELLO else ['a']} have no answer")
        assert not render([*again, *after], unanswered_tool_calls="repair").notices
        with pytest.raises(KimiRequestError, match="have no answer"):
            render([*again, *after], strict=True)


# Time, and cuts anywhere.


@pytest.mark.slow
@pytest.mark.parametrize("way", STREAMS)
def test_a_silent_stream_breaks_after_its_idle_timeout(kimi: KimiEmulator, way: str) -> None:
    client = KimiClient(api_key="sk-test", base_url=kimi.base_url, max_retries=0, timeout=60, stream_idle_timeout=1)
    kimi.script(
        Reply(TEXT, stall=20.0, stall_after=4),
        Reply(TEXT, stall=20.0, stall_after=5, whole=True),
        Reply(TEXT, whole=True),
    )
    with pytest.raises(KimiStreamError, match="connection broke in the middle") as caught:
        ask(client, way)
    assert caught.value.partial.content
    text, _ = ask(client, way, resume_streams=1)
    assert text == TEXT
    client.close()


@pytest.mark.slow
@pytest.mark.parametrize("way", STREAMS)
def test_a_silence_shorter_than_the_limit_is_waited_out(kimi: KimiEmulator, way: str) -> None:
    client = KimiClient(api_key="sk-test", base_url=kimi.base_url, max_retries=0, timeout=0.2, stream_idle_timeout=30)
    kimi.script(Reply(TEXT, stall=0.6, stall_after=3), Reply(TEXT, chunk_delay=0.06, keep_alive=0.02))
    assert ask(client, way)[0] == TEXT
    assert ask(client, way)[0] == TEXT
    client.close()


@pytest.mark.parametrize("cut", [*range(0, 400, 37), *range(1200, 2600, 101)])
def test_a_stream_cut_at_any_byte_is_never_an_answer_and_can_be_resumed(
    kimi: KimiEmulator, client: KimiClient, cut: int
) -> None:
    kimi.script(*[Reply(TEXT, cut_after_bytes=cut, whole=True)] * 2, Reply(TEXT, whole=True))
    failure: KimiStreamError | None = None
    try:
        assert ask(client, "stream")[0] == TEXT, "a stream that was not cut after all"
    except KimiStreamError as error:
        failure = error
    assert failure is None or TEXT.startswith(failure.partial.content)
    assert ask(client, "stream", resume_streams=1)[0] == TEXT


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cap", [14, 20, 33])
def test_a_capped_answer_adds_up(kimi: KimiEmulator, client: KimiClient, way: str, cap: int) -> None:
    whole = TEXT * 4
    kimi.script(*[Reply(whole, whole=True)] * 40)
    text, completion = ask(client, way, continue_on_length=40, max_tokens=cap)
    assert text == completion.choice.content == whole
    assert completion.choice.finish_reason == "stop"
    assert len(kimi.requests) >= 2
