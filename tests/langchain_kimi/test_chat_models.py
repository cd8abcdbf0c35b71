"""`ChatKimi` beyond LangChain's standard suites."""

from __future__ import annotations

import asyncio
import copy
import re
import warnings
from datetime import date
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel, ModelProfile
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from pydantic import ValidationError

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from kimi_wire.errors import KimiMissingKeyError, KimiWarning
from kimi_wire.profiles import FAMILIES as ROWS
from kimi_wire.profiles import Profile, profile_for
from langchain_kimi import ChatKimi
from langchain_kimi.profiles import model_profile
from tests.families import FAMILIES
from tests.langchain_kimi.conftest import SECRET


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


@tool
def get_population(city: str) -> int:
    """Get the population of a city."""
    return 2_100_000


async def ask(model: Any, way: str, messages: Any, **kwargs: Any) -> AIMessage:
    """Ask in one of the four ways and give the whole message."""
    if way == "invoke":
        return await asyncio.to_thread(model.invoke, messages, **kwargs)  # type: ignore[no-any-return]
    if way == "ainvoke":
        return await model.ainvoke(messages, **kwargs)  # type: ignore[no-any-return]
    if way == "stream":
        chunks = await asyncio.to_thread(lambda: list(model.stream(messages, **kwargs)))
    else:
        chunks = [chunk async for chunk in model.astream(messages, **kwargs)]
    first, *rest = chunks
    return sum(rest, start=first)  # type: ignore[no-any-return]


WAYS = ["invoke", "ainvoke", "stream", "astream"]
CALLS = (ToolCall("get_weather", {"city": "Paris"}), ToolCall("get_weather", '{"city": "Rom\\u00e9"}'))


def plain(message: AIMessage) -> dict[str, Any]:
    """What of a message must not depend on the way it came."""
    once_only = {"id", "request_id", "created", "system_fingerprint", "output_version"}
    calls = [{key: value for key, value in call.items() if key != "error"} for call in message.invalid_tool_calls]
    return {
        "content": message.content,
        "additional_kwargs": message.additional_kwargs,
        "tool_calls": message.tool_calls,
        "invalid_tool_calls": calls,
        "usage_metadata": message.usage_metadata,
        "response_metadata": {k: v for k, v in message.response_metadata.items() if k not in once_only},
    }


REPLIES = {
    "text": Reply("Grüße, \U0001f319!", reasoning="hm"),
    "no thinking": Reply("Hello."),
    "empty thinking": Reply("Hello.", reasoning=""),
    "calls": Reply("I look.", reasoning="both", tool_calls=CALLS),
    "no arguments": Reply(tool_calls=[ToolCall("get_weather", "")]),
    "cached": Reply("Hello.", reasoning="hm", cached_tokens=512),
}


@pytest.mark.says(
    "docs/agents.md",
    '`message.additional_kwargs["reasoning_content"]`, and a `reasoning` block in `message.content_blocks`',
)
@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("output_version", ["v0", "v1"])
async def test_four_ways_one_message(kimi: KimiEmulator, make: Any, reply: Reply, output_version: str) -> None:
    model = make(output_version=output_version)
    messages = []
    for way in WAYS:
        kimi.reset()  # the emulator's prefix cache, so that each is asked for the first time
        kimi.script(reply)
        messages.append(await ask(model, way, "hi"))
    whole, *others = [plain(message) for message in messages]
    if output_version == "v1":
        blocks = [message.content_blocks for message in messages]
        whole_types = [block["type"] for block in blocks[0]]
        assert all([block["type"] for block in others_blocks] == whole_types for others_blocks in blocks)
        for found in (whole, *others):
            found["content"] = [{k: v for k, v in block.items() if k != "index"} for block in found["content"]]
    for other in others:
        assert other == whole


async def test_v1_streams_keep_thinking_text_and_calls_apart(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply("I look.", reasoning="both", tool_calls=CALLS))
    message = await ask(make(output_version="v1"), "stream", "hi")
    assert [block["type"] for block in message.content] == ["reasoning", "text", "tool_call", "tool_call"]  # type: ignore[index]
    assert message.content[0]["reasoning"] == "both"  # type: ignore[index]
    assert [block["args"] for block in message.content[2:]] == [{"city": "Paris"}, {"city": "Romé"}]  # type: ignore[index]
    assert message.content == message.content_blocks


async def test_v0_content_blocks(kimi: KimiEmulator, make: Any) -> None:
    for way in WAYS:
        kimi.script(Reply("I look.", reasoning="both", tool_calls=CALLS))
        message = await ask(make(), way, "hi")
        types = [block["type"] for block in message.content_blocks]
        assert types == ["reasoning", "text", "tool_call", "tool_call"]
        assert message.content == "I look."


def test_metadata(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply("Hello.", reasoning="hm", cached_tokens=7))
    message = make().invoke("hi")
    metadata = message.response_metadata
    assert metadata["model_provider"] == "moonshot"
    assert metadata["model_name"] == "kimi-k3"
    assert metadata["finish_reason"] == "stop"
    assert metadata["request_id"]
    assert metadata["id"] == message.id
    usage = message.usage_metadata
    assert usage["input_token_details"] == {"cache_read": 7}
    assert usage["output_token_details"]["reasoning"] > 0
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_cache_writes_are_counted(kimi: KimiEmulator, make: Any) -> None:
    usage = {"prompt_tokens": 300, "completion_tokens": 5, "total_tokens": 305, "cached_tokens": 256,
             "prompt_tokens_details": {"cached_tokens": 256, "cache_write_tokens": 44}}  # fmt: skip
    kimi.script(Reply("Hello.", usage=usage))
    assert make().invoke("hi").usage_metadata["input_token_details"] == {"cache_read": 256, "cache_creation": 44}


async def test_usage_is_counted_once_in_streams(kimi: KimiEmulator, make: Any) -> None:
    """Kimi sends it twice; langchain-core adds up what stands on the chunks."""
    for way in WAYS:
        kimi.script(
            Reply("Hello, how are you?", usage={"prompt_tokens": 30, "completion_tokens": 20, "total_tokens": 50})
        )
        message = await ask(make(), way, "hi")
        assert message.usage_metadata == {"input_tokens": 30, "output_tokens": 20, "total_tokens": 50}
    assert kimi.requests[-1].body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "arguments", ['{"city": "Par', '{"city": Paris}', "{oops", '{"a": "\\', '["Paris"]', "Paris", '{"a": [1']
)
async def test_broken_arguments_are_invalid_calls_and_nothing_is_made_up(
    kimi: KimiEmulator, make: Any, arguments: str
) -> None:
    """langchain-core's own sum of chunks completes `{"city": "Par` and reads `{"city": Paris}` as `{}`."""
    good = ToolCall("get_weather", {"city": "Rome"}, id="good:1")
    for way in WAYS:
        kimi.script(Reply(tool_calls=[ToolCall("get_weather", arguments, id="bad:0"), good]))
        message = await ask(make().bind_tools([get_weather]), way, "hi")
        assert [call["id"] for call in message.tool_calls] == ["good:1"]
        (broken,) = message.invalid_tool_calls
        assert (broken["id"], broken["name"]) == ("bad:0", "get_weather")
        assert broken["args"] == arguments


async def test_a_broken_call_can_be_answered(kimi: KimiEmulator, make: Any) -> None:
    kimi.script(Reply(reasoning="r", tool_calls=[ToolCall("get_weather", "{oops", id="bad:0")]))
    model = make("kimi-k2.6").bind_tools([get_weather])
    message = model.invoke("hi")
    error = ToolMessage("The arguments are not valid JSON: {oops", tool_call_id="bad:0")
    assert model.invoke([HumanMessage("hi"), message, error]).content
    sent = kimi.requests[-1].body["messages"]
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == "{}"
    assert kimi.rejections == []


@pytest.mark.parametrize("model_name", FAMILIES)
@pytest.mark.parametrize("way", WAYS)
async def test_every_family_answers(kimi: KimiEmulator, make: Any, model_name: str, way: str) -> None:
    message = await ask(make(model_name), way, [SystemMessage("Be brief."), HumanMessage("What is 12*7?")])
    assert "84" in message.content
    assert kimi.rejections == []


@pytest.mark.says("docs/agents.md", "takes no tools: a `KimiRequestError` before anything is sent")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kimi_wire.errors.KimiWarning")
@pytest.mark.parametrize("model_name", FAMILIES)
@pytest.mark.parametrize("thinking", [None, True, False])
@pytest.mark.parametrize(
    "choice", ["any", "get_population", True, {"type": "function", "function": {"name": "get_population"}}]
)
async def test_a_forced_choice_never_ends_in_a_400(
    kimi: KimiEmulator, make: Any, model_name: str, thinking: Any, choice: Any
) -> None:
    model = make(model_name, thinking=thinking).bind_tools([get_weather, get_population], tool_choice=choice)
    for way in ("invoke", "stream"):
        message = await ask(model, way, "What is the population of Paris?")
        assert message.tool_calls[0]["name"] == "get_population"
        assert message.tool_calls[0]["args"] == {"city": "Paris"}
        if way == "invoke":
            answers = [ToolMessage("2.1 million", tool_call_id=call["id"]) for call in message.tool_calls]
            follow_up = [HumanMessage("What is the population of Paris?"), message, *answers]
            assert make(model_name, thinking=thinking).bind_tools([get_population]).invoke(follow_up).content
    assert [request.error for request in kimi.rejections] == []


async def test_a_forced_choice_that_is_not_answered_is_an_error(kimi: KimiEmulator, make: Any) -> None:
    from langchain_core.exceptions import OutputParserException

    from langchain_kimi import KimiToolChoiceError

    for way in WAYS:
        kimi.script(Reply("I would rather not."))
        with pytest.raises(KimiToolChoiceError, match="rather not") as caught:
            await ask(make().bind_tools([get_weather], tool_choice="any"), way, "hi")
        assert isinstance(caught.value, OutputParserException)


async def test_parallel_calls_in_one_event_and_without_index(kimi: KimiEmulator, make: Any) -> None:
    def piece(**call: Any) -> dict[str, Any]:
        return {
            "id": "c",
            "model": "kimi-k3",
            "choices": [{"index": 0, "delta": {"tool_calls": call["calls"]}, "finish_reason": None}],
        }

    def function(name: str, arguments: str) -> dict[str, Any]:
        return {"type": "function", "function": {"name": name, "arguments": arguments}}

    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    one = {"id": "get_weather:0", **function("get_weather", '{"city": "Paris"}')}
    two = {"id": "get_weather:1", **function("get_weather", '{"city": "Rome"}')}
    together = [piece(calls=[{"index": 0, **one}, {"index": 1, **two}]), end]
    without = [piece(calls=[one]), piece(calls=[two]), end]
    for events in (together, without):
        for way in ("stream", "astream"):
            kimi.script(Reply(events=[*events, "[DONE]"]))
            message = await ask(make(), way, "hi")
            assert [(c["id"], c["args"]["city"]) for c in message.tool_calls] == [
                ("get_weather:0", "Paris"),
                ("get_weather:1", "Rome"),
            ]


def test_settings_of_a_single_call(kimi: KimiEmulator, make: Any) -> None:
    model = make("kimi-k2.6", max_tokens=500)
    model.invoke(
        "hi", thinking=False, max_tokens=100, stop=["x"], prompt_cache_key="s", timeout=30, extra_headers={"X-A": "1"}
    )
    body = kimi.requests[-1].body
    assert body["thinking"] == {"type": "disabled"}
    assert (body["max_completion_tokens"], body["stop"], body["prompt_cache_key"]) == (100, ["x"], "s")
    assert kimi.requests[-1].headers["x-a"] == "1"
    model.bind(model="kimi-k3", reasoning_effort="low").invoke("hi")
    body = kimi.requests[-1].body
    assert (body["model"], body["reasoning_effort"], body["max_completion_tokens"]) == ("kimi-k3", "low", 500)
    assert "thinking" not in body


def test_a_dropped_setting_warns_once_per_model_object(kimi: KimiEmulator, make: Any) -> None:
    model = make(temperature=0.2)
    with pytest.warns(KimiWarning, match=r"temperature=0\.2 is left out"):
        model.invoke("hi")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.invoke("hi")
        list(model.stream("hi"))
    with pytest.warns(KimiWarning, match=r"top_p=0\.1 is left out"):
        model.invoke("hi", top_p=0.1)
    with pytest.warns(KimiWarning):
        make(temperature=0.2).invoke("hi")
    assert all("temperature" not in request.body for request in kimi.requests)


def test_an_answer_used_up_by_thinking_warns(kimi: KimiEmulator, make: Any) -> None:
    with pytest.warns(KimiWarning, match="Raise max_tokens"):
        message = make(max_tokens=5).invoke("Tell me everything about the moon.")
    assert message.content == ""
    assert message.response_metadata["finish_reason"] == "length"


def test_bad_arguments_are_named(make: Any) -> None:
    with pytest.raises(ValidationError, match="Did you mean 'temperature'"):
        make(temprature=1)
    with pytest.raises(ValidationError, match="reasoning_effort is for kimi-k3 and newer"):
        make("kimi-k2.6", reasoning_effort="low")
    with pytest.raises(ValidationError, match="low, high, max"):
        make(reasoning_effort="xhigh")
    with pytest.raises(ValidationError, match="thinking=False is left out"):
        make(thinking=False, strict=True)
    with pytest.raises(ValidationError, match="is not a URL"):
        make(base_url="api.moonshot.ai")
    with pytest.raises(ValidationError, match="max_retries"):
        make(max_retries=-1)
    with pytest.raises(ValidationError) as caught:
        make(max_tokens="many")
    assert SECRET not in str(caught.value)


def test_a_missing_key_names_both_variables() -> None:
    with pytest.raises(KimiMissingKeyError, match=r"MOONSHOT_API_KEY \(or KIMI_API_KEY\)"):
        ChatKimi()


async def test_bad_calls_raise_before_anything_is_sent(kimi: KimiEmulator, make: Any) -> None:
    from langchain_core.exceptions import ModelInvalidRequestError

    from kimi_wire.errors import KimiRequestError as WireError
    from langchain_kimi import KimiRequestError

    bad: list[tuple[Any, dict[str, Any], str]] = [
        ([], {}, "no messages"),
        ("hi", {"temprature": 1}, "Did you mean"),
        ("hi", {"tools": [{"type": "function", "function": {"name": ""}}]}, "every tool needs one"),
        ([HumanMessage("hi"), ToolMessage("x", tool_call_id="nobody")], {}, "'nobody'"),
        (
            [HumanMessage("hi"), AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "f:0"}])],
            {},
            "have no answer",
        ),
        ([HumanMessage([{"type": "audio", "base64": "aGk=", "mime_type": "audio/wav"}])], {}, "does not take audio"),
        ("hi", {"tool_choice": "any"}, "has no tools"),
    ]
    for messages, kwargs, message in bad:
        for way in WAYS:
            with pytest.raises(KimiRequestError, match=message) as caught:
                await ask(make(), way, messages, **kwargs)
            assert isinstance(caught.value, (ModelInvalidRequestError, WireError, ValueError))
    assert kimi.requests == []


async def test_server_errors_are_langchains(kimi: KimiEmulator, make: Any) -> None:
    import openai
    from langchain_core import exceptions

    import langchain_kimi

    table = [
        (400, "invalid_request_error", "nope", exceptions.ModelInvalidRequestError, openai.BadRequestError, False),
        (
            400,
            "invalid_request_error",
            "Input token length too long",
            exceptions.ContextOverflowError,
            openai.BadRequestError,
            False,
        ),
        (
            401,
            "invalid_authentication_error",
            "Invalid Authentication",
            exceptions.ModelAuthenticationError,
            openai.AuthenticationError,
            False,
        ),
        (
            403,
            "permission_denied_error",
            "no",
            exceptions.ModelPermissionDeniedError,
            openai.PermissionDeniedError,
            False,
        ),
        (
            404,
            "resource_not_found_error",
            "Not found the model",
            exceptions.ModelNotFoundError,
            openai.NotFoundError,
            False,
        ),
        (429, "rate_limit_reached_error", "max RPM", exceptions.ModelRateLimitError, openai.RateLimitError, True),
        (
            429,
            "exceeded_current_quota_error",
            "suspended",
            exceptions.ModelRateLimitError,
            openai.RateLimitError,
            False,
        ),
        (500, "server_error", "oops", exceptions.ModelAPIError, openai.InternalServerError, True),
    ]
    for status, kind, text, framework_class, sdk_class, retryable in table:
        for way in WAYS:
            kimi.script(Failure(status, text, kind))
            with pytest.raises(framework_class, match=text) as caught:
                await ask(make(), way, "hi")
            assert isinstance(caught.value, sdk_class)
            assert isinstance(caught.value, langchain_kimi.KimiError)
            assert caught.value.is_retryable is retryable
            assert caught.value.request_id
            assert SECRET not in repr(caught.value)
    for way in ("stream", "astream"):
        kimi.script(Reply("A long answer.", cut_after=4))
        with pytest.raises(exceptions.ModelConnectionError) as broken:
            await ask(make(), way, "hi")
        assert isinstance(broken.value, langchain_kimi.KimiStreamError)
    with pytest.raises(exceptions.ModelConnectionError):
        make(base_url="http://127.0.0.1:9/v1").invoke("hi")
    kimi.script(Reply("Late.", delay=3.0))
    with pytest.raises(exceptions.ModelTimeoutError):
        make(timeout=0.2).invoke("hi")


def test_nothing_of_openais_environment_is_sent(kimi: KimiEmulator, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "http://leak.invalid")
    model = make()
    model.invoke("hi")
    asyncio.run(model.ainvoke("hi"))
    for request in kimi.requests:
        assert "leak" not in str(request.headers)
        assert request.had_key(SECRET)


def test_profiles_tell_agents_the_truth(make: Any) -> None:
    k3 = make("kimi-k3").profile
    assert (k3["max_input_tokens"], k3["structured_output"], k3["tool_choice"]) == (1_048_576, True, True)
    assert (k3["reasoning_effort_levels"], k3["reasoning_effort_default"]) == (["low", "high", "max"], "max")
    assert (k3["image_inputs"], k3["image_url_inputs"], k3["video_inputs"], k3["temperature"]) == (
        True,
        False,
        True,
        False,
    )
    code = make("kimi-k2.7-code").profile
    assert (code["structured_output"], code["tool_choice"], code["reasoning_output"]) == (True, False, True)
    assert make("kimi-k2.5").profile["structured_output"] is False
    assert make("moonshot-v1-8k").profile["reasoning_output"] is False
    assert make("gpt-5").profile is None


UNANSWERED = {"last_updated": "no source says when a model last changed"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.family)
def test_profiles_answer_what_core_asks(row: Profile) -> None:
    said = model_profile(row.family, row, date(2026, 11, 26))
    assert said is not None
    known = {"release_date": row.released, "open_weights": row.open_weights}
    efforts = {"reasoning_effort_levels", "reasoning_effort_default"} if not row.efforts else set()
    missing = set(ModelProfile.__annotations__) - set(said)
    assert missing == set(UNANSWERED) & set(ModelProfile.__annotations__) | efforts | {
        name for name, fact in known.items() if fact is None and name in ModelProfile.__annotations__
    }
    assert said["status"] == ("deprecated" if row.is_retired(date(2026, 11, 26)) else "active")
    assert said.get("mid_conversation_tools", row.dynamic_tools) is row.dynamic_tools
    if row.released is not None:
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", row.released)


def test_a_model_is_deprecated_from_the_day_it_goes_and_at_moonshots_alone(make: Any) -> None:
    k26 = profile_for("kimi-k2.6")
    days = [date(2026, 12, 30), date(2026, 12, 31)]
    assert [model_profile("kimi-k2.6", k26, day)["status"] for day in days] == ["active", "deprecated"]  # type: ignore[index]
    elsewhere = ChatKimi(model="kimi-k2-thinking", api_key="sk-x", base_url="http://10.0.0.1/v1", dialect="vllm")
    assert elsewhere.profile is not None
    assert elsewhere.profile["status"] == "active"


def test_older_cores_are_told_what_they_know(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {name: kind for name, kind in ModelProfile.__annotations__.items() if name not in ("status", "attachment")}
    monkeypatch.setattr(ModelProfile, "__annotations__", fewer)
    said = model_profile("kimi-k3", profile_for("kimi-k3"))
    assert said is not None
    assert set(said) <= set(fewer)


def test_tracing_parameters(make: Any) -> None:
    params = make(max_tokens=9)._get_ls_params(stop=["x"])
    assert params["ls_provider"] == "moonshot"
    assert (params["ls_model_name"], params["ls_model_type"], params["ls_max_tokens"]) == ("kimi-k3", "chat", 9)
    assert make()._get_ls_params(model="kimi-k2.6")["ls_model_name"] == "kimi-k2.6"
    words: dict[str, Any] = {
        "model_kwargs": {"model": "kimi-k2.6", "max_completion_tokens": 9},
        "stop_sequences": ["."],
        "organization": None,
    }
    params = make()._get_ls_params(**words)
    assert (params["ls_model_name"], params["ls_max_tokens"], params["ls_stop"]) == ("kimi-k2.6", 9, ["."])
    assert make()._get_ls_params(model_name="kimi-k2.6")["ls_model_name"] == "kimi-k2.6"
    assert make()._get_ls_params(organization="x")["ls_provider"] == "moonshot"  # the call says what is wrong with it


class Recorder(BaseCallbackHandler):
    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.seen.append(("start", (serialized, kwargs)))

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        self.seen.append(("token", token))

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.seen.append(("end", response))

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.seen.append(("error", error))


async def test_callbacks_see_the_call_and_no_secret(kimi: KimiEmulator, make: Any) -> None:
    for way in WAYS:
        recorder = Recorder()
        model = make(default_headers={"X-Secret": "header-secret"}).with_config(callbacks=[recorder])
        await ask(model, way, "What is 12*7?")
        events = [name for name, _ in recorder.seen]
        assert (events[0], events[-1], events.count("start"), events.count("end")) == ("start", "end", 1, 1)
        assert SECRET not in str(recorder.seen)
        assert "header-secret" not in str(recorder.seen)
        (result,) = [value for name, value in recorder.seen if name == "end"]
        assert result.generations[0][0].message.usage_metadata["total_tokens"] > 0
    recorder = Recorder()
    kimi.script(Failure(400, "nope"))
    with pytest.raises(ValueError if False else Exception, match="nope"):
        make().invoke("hi", config={"callbacks": [recorder]})
    assert [name for name, _ in recorder.seen] == ["start", "error"]


async def test_events_of_both_versions(kimi: KimiEmulator, make: Any) -> None:
    kinds = [event["event"] async for event in make().astream_events("What is 12*7?", version="v2")]
    assert kinds[0] == "on_chat_model_start"
    assert kinds[-1] == "on_chat_model_end"
    assert "on_chat_model_stream" in kinds
    kimi.script(Reply("I look.", reasoning="both", tool_calls=CALLS))
    stream = make().stream_events("hi", version="v3")
    events = list(stream)
    assert events
    message = stream.output
    assert [block["type"] for block in message.content_blocks] == ["reasoning", "text", "tool_call", "tool_call"]
    assert message.usage_metadata["total_tokens"] > 0


def test_cache_rate_limiter_and_batch(kimi: KimiEmulator, make: Any) -> None:
    cached = make(cache=InMemoryCache())
    first, second = cached.invoke("hi"), cached.invoke("hi")
    assert first.content == second.content
    assert first.additional_kwargs == second.additional_kwargs
    assert len(kimi.requests) == 1
    limiter = InMemoryRateLimiter(requests_per_second=1000, check_every_n_seconds=0.001)
    limiter.available_tokens = 0
    assert make(rate_limiter=limiter).invoke("hi").content
    answers = make().batch(["What is 1+1?", "What is 2+2?", "What is 3+3?"])
    assert [str(value) in answer.content for value, answer in zip((2, 4, 6), answers, strict=True)] == [True] * 3


async def test_abatch_and_gather(make: Any) -> None:
    model = make()
    answers = await model.abatch([f"What is {number}+{number}?" for number in range(20)])
    assert all(str(2 * number) in answer.content for number, answer in enumerate(answers))


def test_repeated_event_loops(make: Any) -> None:
    model = make()
    for _ in range(4):
        assert asyncio.run(model.ainvoke("What is 12*7?")).content


def test_configurable_fields_fallbacks_and_copies(kimi: KimiEmulator, make: Any) -> None:
    configurable = make().configurable_fields(model_name=ConfigurableField(id="model"))
    configurable.with_config(configurable={"model": "kimi-k2.6"}).invoke("hi")
    assert kimi.requests[-1].body["model"] == "kimi-k2.6"
    kimi.script(Failure(500, "oops", "server_error"))
    assert make("kimi-k2.6").with_fallbacks([make("kimi-k3")]).invoke("hi").response_metadata["model_name"] == "kimi-k3"
    model = make()
    model.invoke("hi")
    assert copy.deepcopy(model).invoke("hi").content
    moved = model.model_copy(update={"base_url": "http://127.0.0.1:9/v1"})
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
        moved.invoke("hi")
    assert model.invoke("hi").content


def test_streaming_behind_invoke(kimi: KimiEmulator, make: Any) -> None:
    model: BaseChatModel = make(streaming=True)
    message = model.invoke("What is 12*7?")
    assert kimi.requests[-1].body["stream"] is True
    assert isinstance(message, AIMessage)
    assert not isinstance(message, AIMessageChunk)
    assert message.additional_kwargs["reasoning_content"]


def test_several_answers(kimi: KimiEmulator, make: Any) -> None:
    result = make("moonshot-v1-8k", n=2, temperature=0.5).generate([[HumanMessage("hi")]])
    assert len(result.generations[0]) == 2
    counted = [generation.message.usage_metadata for generation in result.generations[0]]
    assert counted[0]["total_tokens"] > 0
    assert counted[1] is None


def test_token_ids_are_not_confused_with_other_settings(make: Any) -> None:
    assert make().model_name == "kimi-k3"
    assert ChatKimi(model_name="kimi-k2.6", api_key="sk-x").model_name == "kimi-k2.6"
    assert ChatKimi(model="kimi-k3", api_key="sk-x", max_completion_tokens=3, stop_sequences=["a"]).max_tokens == 3
