"""The events of an answer: those that langchain-core makes of its chunks, and the message they make is `invoke`'s."""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Sequence
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import chat_models
from langchain_core.language_models._compat_bridge import chunks_to_events
from langchain_core.language_models.chat_model_stream import ChatModelStream
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tracers._streaming import _V2StreamingCallbackHandler

from kimi_emulator import KimiEmulator, Reply
from kimi_wire.answers import Completion, Delta, StreamState
from kimi_wire.errors import KimiStreamError, StreamedError
from kimi_wire.requests import ToolPlan
from langchain_kimi import ChatKimi
from langchain_kimi.events import ARE_READ, MessageEvents
from langchain_kimi.responses import parse_completion, parse_item
from tests.conversations import collect
from tests.recorded.tape import FOLDER, read_file
from tests.test_odd_answers import CALLS, call, chunk

pytestmark = [
    pytest.mark.skipif(not ARE_READ, reason="langchain-core makes events of chunks"),
    pytest.mark.filterwarnings("ignore:The (method|v3 streaming)"),  # both are in beta
]

Items = list[Delta | Completion]
FINISH = {"id": "c", "model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
VERSIONS = pytest.mark.parametrize("v1", [False, True])


def items_of(events: Sequence[Any] | str, plan: ToolPlan | None = None, prefix: str = "") -> Items:
    """The pieces of a stream, and the whole where it is one."""
    if not isinstance(events, str):
        events = "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events)
    state = StreamState({}, plan or ToolPlan([]), prefix)
    items: Items = []
    with contextlib.suppress(KimiStreamError, StreamedError):  # what had come makes events all the same
        items += state.feed(events.encode())
        items += state.finish()
    return items


def native(items: Items, *, v1: bool) -> list[Any]:
    events = MessageEvents("run-1", v1=v1)
    return [event for item in items for event in events.take(item)]


def bridged(items: Items, *, v1: bool) -> list[Any]:
    chunks = [chunk for item in items for chunk in parse_item(item, v1=v1)]
    made = list(chunks_to_events(iter(chunks), message_id="run-1"))
    if items and not isinstance(items[-1], Completion):  # it takes the end for an end; a shell raises there
        made = [event for event in made if not event["event"].endswith("finish")]
    return made


def message_of(items: Items) -> AIMessage:
    stream = ChatModelStream(message_id="run-1")
    for event in native(items, v1=False):
        stream.dispatch(event)
    assert stream.output_message is not None
    return stream.output_message


def recorded_streams() -> list[Any]:
    said = [
        pytest.param(exchange["response"]["events"], id=f"{path.parent.name}-{number}")
        for path in sorted(FOLDER.glob("*/*.yaml"))
        if "\n    events: " in path.read_text(encoding="utf-8")
        for number, exchange in enumerate(read_file(path)[1])
        if "events" in exchange["response"] and exchange["response"]["status"] == 200
    ]
    assert len(said) > 30
    return said


@pytest.mark.says("docs/performance.md", "are made of the wire's pieces, and not of chunks")
@VERSIONS
@pytest.mark.parametrize("said", recorded_streams())
def test_events_of_recorded_streams_are_those_of_the_chunks(said: str, v1: bool) -> None:
    items = items_of(said)
    assert native(items, v1=v1) == bridged(items, v1=v1)


USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12, "cached_tokens": 0}
INTERLEAVED = [
    [call("f", '{"a"')],
    [call("g", '{"b":', index=1, id="g:1"), {"index": 0, "function": {"arguments": ":1}"}}],
    [{"index": 1, "function": {"arguments": " 2}"}}, call("h", "", index=2, id="h:2")],
]
ODD: dict[str, list[Any]] = {
    **{name: [chunk({"tool_calls": piece}) for piece in pieces] for name, (pieces, *_) in CALLS.items()},
    "nothing": [],
    "an empty text": [chunk({"role": "assistant", "content": ""})],
    "thinking only": [chunk({"reasoning_content": "Hm"}), chunk({"reasoning_content": "m."})],
    "empty thinking": [chunk({"reasoning_content": ""}), chunk({"content": "x"})],
    "thinking after text": [chunk({"content": "x"}), chunk({"reasoning_content": "y"}), chunk({"content": "z"})],
    "all at once": [
        chunk({"reasoning_content": "Hm", "content": "x", "tool_calls": [call("f", '{"a":1')]}),
        chunk({"content": "y", "tool_calls": [{"index": 0, "function": {"arguments": "}"}}]}),
    ],
    "text beside thinking, and after": [chunk({"reasoning_content": "Hm", "content": "x"}), chunk({"content": "y"})],
    "interleaved": [chunk({"tool_calls": piece}) for piece in INTERLEAVED],
    "cut arguments": [chunk({"tool_calls": [call("f", '{"city": "Par')]})],
    "arguments that are none": [chunk({"tool_calls": [call("f", '{"city": Paris}')]})],
    "a search": [chunk({"tool_calls": [call("$web_search", '{"q":"x"}', type="builtin_function")]})],
    "arguments with spaces": [chunk({"tool_calls": [call("f", '{ "a" : 1.0 }')]})],
    "details": [
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "Hm", "index": 0}]}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "m", "index": 0}], "content": "x"}),
    ],
    "declined": [chunk({"reasoning_content": "Hm"}), chunk({"refusal": "I "}), chunk({"refusal": "cannot."})],
    "declined after a call": [chunk({"tool_calls": [call("f", "{}")]}), chunk({"content": "x", "refusal": "No."})],
    "usage": [{**chunk({"content": "x"}), "usage": USAGE}],
    "other reason": [chunk({"content": "x"}, "length")],
    "two answers": [
        {"id": "c", "choices": [{"index": index, "delta": {"content": text}} for index, text in ((0, "x"), (1, "y"))]}
    ],
    "a model without a name": [{"choices": [{"delta": {"content": "x"}}]}],
}


MISREAD = {name for name in CALLS if name.startswith("name in pieces")} | {"name that grows", "list", "number", "false"}
"""Of a name that comes in pieces the bridge keeps the last one, and what is no object it takes for arguments."""


@VERSIONS
@pytest.mark.parametrize("name", ODD)
def test_events_of_odd_streams_are_those_of_the_chunks(name: str, v1: bool) -> None:
    items = items_of([*ODD[name], FINISH, "[DONE]"])
    assert isinstance(items[-1], Completion)
    if name not in MISREAD:
        assert native(items, v1=v1) == bridged(items, v1=v1)
    whole = parse_completion(items[-1]).generations[0].message
    check_message(message_of(items), whole)


def check_message(made: AIMessage, whole: Any) -> None:
    """Whether a message that was put together of events is the whole answer's."""
    assert str(made.text) == str(whole.text)
    assert made.additional_kwargs == whole.additional_kwargs
    assert made.usage_metadata == whole.usage_metadata
    assert made.response_metadata == {**whole.response_metadata, "output_version": "v1"}
    assert made.tool_calls == whole.tool_calls
    calls = [[(call["id"], call["name"] or "", call["args"]) for call in it.invalid_tool_calls] for it in (made, whole)]
    assert calls[0] == calls[1]


@pytest.mark.parametrize("arguments", ["[1]", "null", "  ", '{"text": "two\nlines"}', '{"n": NaN}', "7"])
def test_arguments_are_what_invoke_takes_them_for(arguments: str) -> None:
    """The bridge takes a list for arguments, of which no message can be made, and a line feed in a string for a fault."""
    items = items_of([chunk({"tool_calls": [call("f", arguments)]}), FINISH, "[DONE]"])
    assert isinstance(items[-1], Completion)
    check_message(message_of(items), parse_completion(items[-1]).generations[0].message)


def test_log_probabilities_are_those_of_all_pieces() -> None:
    """Those of the bridge are the last piece's."""
    logprobs = [{"content": [{"token": text, "logprob": -0.5}]} for text in ("a", "b")]
    said = [chunk({"content": one["content"][0]["token"]}, logprobs=one) for one in logprobs]
    items = items_of([*said, FINISH, "[DONE]"])
    (*others, end), (*theirs, their_end) = native(items, v1=False), bridged(items, v1=False)
    assert others == theirs
    assert end["metadata"].pop("logprobs") == {"content": [one["content"][0] for one in logprobs]}
    assert their_end["metadata"].pop("logprobs") == logprobs[-1]
    assert end == their_end


@pytest.mark.parametrize(
    ("plan", "prefix"),
    [
        (ToolPlan([], response_format={"type": "json_object"}, expected=("f",)), ""),  # a forced call, as JSON
        (ToolPlan([], json_answer=True), ""),
        (ToolPlan([]), "Well: "),
    ],
)
@VERSIONS
def test_what_is_held_back_has_its_events(plan: ToolPlan, prefix: str, v1: bool) -> None:
    text = ['```json\n{"a"', ": 1}\n``", "`"] if plan.json_answer else ['{"a"', ": 1}"]
    items = items_of([*(chunk({"content": piece}) for piece in text), FINISH, "[DONE]"], plan, prefix)
    assert isinstance(items[-1], Completion)
    assert native(items, v1=v1) == bridged(items, v1=v1)


PIECES = [event for name, events in ODD.items() if name not in MISREAD for event in events]


@pytest.mark.parametrize("seed", range(5))
def test_events_of_random_streams_are_those_of_the_chunks(seed: int) -> None:
    chosen = random.Random(seed)
    for _ in range(40):
        said = chosen.choices(PIECES, k=chosen.randrange(8))
        items = items_of([*said, *chosen.choice([(FINISH, "[DONE]"), ("[DONE]",), ()])])
        for v1 in (False, True):
            assert without_names(native(items, v1=v1)) == without_names(bridged(items, v1=v1))


def without_names(events: list[Any]) -> list[Any]:
    """Events without the names of calls at their end, of which the bridge has the last piece only."""
    for event in events:
        if event["event"] == "content-block-finish":
            event["content"].pop("name", None)
    return events


# --- through langchain-core ---


class Listener(BaseCallbackHandler, _V2StreamingCallbackHandler):
    """Somebody who wants events."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.errors: list[BaseException] = []

    def on_stream_event(self, event: Any, **kwargs: Any) -> None:
        self.events.append(event)

    def on_llm_error(self, error: BaseException, **kwargs: Any) -> None:
        self.errors.append(error)


async def ask(model: Any, way: str, question: str = "hi", **settings: Any) -> tuple[list[Any], Any]:
    """The events of a question, and the message."""
    if way == "stream_events":
        stream = model.stream_events(question, version="v3", **settings)
        return list(stream), stream.output
    if way == "astream_events":
        stream = await model.astream_events(question, version="v3", **settings)
        return await collect(stream), await stream.output
    listener = Listener()
    config = {"callbacks": [listener]}
    if way == "invoke":
        answer = model.invoke(question, config, **settings)
    else:
        answer = await model.ainvoke(question, config, **settings)
    return listener.events, answer


WAYS = pytest.mark.parametrize("way", ["stream_events", "astream_events", "invoke", "ainvoke"])


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
ANSWER = [
    chunk({"reasoning_content": "12 by 7"}),
    chunk({"content": "It is "}),
    chunk({"content": "84."}),
    chunk({"tool_calls": [call("f", '{"a"')]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
    {**FINISH, "usage": USAGE},
]


def without_id(events: list[Any]) -> Any:
    run_id = events[0]["id"]
    assert run_id.startswith("lc_run-")
    return json.loads(json.dumps(events).replace(run_id, "run"))


def without_request(message: AIMessage) -> dict[str, Any]:
    fields = {name: value for name, value in dict(message).items() if name != "id"}
    fields["response_metadata"] = {**message.response_metadata, "request_id": ""}
    return fields


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Takes a class's own events away; before that, langchain-core makes none of chunks."""

    def forbidden(*_: Any, **__: Any) -> Any:
        raise AssertionError("the detour was taken")

    with monkeypatch.context() as patched:
        for name in ("chunks_to_events", "achunks_to_events"):
            patched.setattr(chat_models, name, forbidden)

        def take_away(model: Any) -> None:
            patched.undo()
            for name in ("_stream_chat_model_events", "_astream_chat_model_events"):
                monkeypatch.setattr(type(model), name, None)

        yield take_away


@WAYS
@VERSIONS
async def test_langchain_core_takes_them(make: Any, kimi: KimiEmulator, bridge: Any, way: str, v1: bool) -> None:
    model = make(output_version="v1" if v1 else "v0")
    kimi.script(*[Reply(events=[*ANSWER, "[DONE]"])] * 2)
    events, message = await ask(model, way, tools=[TOOL])
    bridge(model)
    their_events, their_message = await ask(model, way, tools=[TOOL])
    assert [event["event"] for event in events].count("content-block-delta") == 5
    for finish in (events[-1], their_events[-1]):
        assert finish["metadata"].pop("request_id")
    assert without_id(events) == without_id(their_events)
    assert without_request(message) == without_request(their_message)
    assert message.additional_kwargs == {"reasoning_content": "12 by 7"} | message.additional_kwargs


@WAYS
async def test_a_stream_that_breaks_off_is_an_error(make: Any, kimi: KimiEmulator, way: str) -> None:
    listener = Listener()
    model = make(callbacks=[listener])
    kimi.script(Reply(events=[*ANSWER[:2], b"data: {}\n"], done=False))
    with pytest.raises(KimiStreamError) as caught:
        await ask(model, way)
    assert caught.value.partial.content == "It is "
    if way != "astream_events":  # langchain-core says so later, in a task
        assert [type(error) for error in listener.errors] == [type(caught.value)]
    kinds = [event["event"].removeprefix("content-block-") for event in listener.events]
    assert kinds == ["message-start", "start", "delta", "start", "delta"]


SETTINGS: dict[str, tuple[list[Reply], dict[str, Any]]] = {
    "continued": (
        [Reply("one two", finish_reason="length"), Reply(" three")],
        {"continue_on_length": 1},
    ),
    "resumed": (
        [Reply("one two three", reasoning="Hm", whole=True, cut_after=4), Reply("one two three", whole=True)],
        {"resume_streams": 1},
    ),
    "asked again": ([Reply("", reasoning="Hm"), Reply("one two three")], {"empty_answers": "retry", "max_retries": 1}),
    "begun": ([Reply(" two three")], {"prefix": "one"}),
}


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("way", ["stream_events", "ainvoke"])
async def test_answers_over_several_requests_are_one(make: Any, kimi: KimiEmulator, name: str, way: str) -> None:
    replies, settings = SETTINGS[name]
    own = {key: settings[key] for key in settings if key != "prefix"}
    kimi.script(*replies)
    events, message = await ask(make("kimi-k2.6", **own), way, **{key: settings[key] for key in settings.keys() - own})
    assert [event["event"] for event in events].count("message-finish") == 1
    assert message.text == "one two three"
    assert message.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_what_is_closed_early_is_closed(make: Any, kimi: KimiEmulator, way: str) -> None:
    kimi.script(Reply("word " * 50, chunk_size=5))
    model = make()
    if way == "sync":
        events = model._stream_chat_model_events([HumanMessage("hi")])
        assert next(events)["event"] == "message-start"
        events.close()
        assert list(events) == []
    else:
        running = model._astream_chat_model_events([HumanMessage("hi")])
        assert (await anext(running))["event"] == "message-start"
        await running.aclose()
        assert await collect(running) == []


@pytest.mark.says(
    "docs/agents.md",
    "A class derived from `ChatKimi` with a `_stream` of its own has langchain-core make them of its chunks.",
)
@WAYS
async def test_events_of_a_class_with_chunks_of_its_own_are_those_of_its_chunks(
    make: Any, kimi: KimiEmulator, way: str
) -> None:
    class Loud(ChatKimi):
        def _stream(self, *args: Any, **kwargs: Any) -> Any:
            for made in super()._stream(*args, **kwargs):
                yield made.model_copy(
                    update={"message": made.message.model_copy(update={"content": made.text.upper()})}
                )

        async def _astream(self, *args: Any, **kwargs: Any) -> Any:
            async for made in super()._astream(*args, **kwargs):
                yield made.model_copy(
                    update={"message": made.message.model_copy(update={"content": made.text.upper()})}
                )

    kimi.script(Reply("Hello"))
    _, message = await ask(Loud(api_key="sk-test", base_url=kimi.base_url), way)
    assert message.text == "HELLO"


@pytest.mark.says("docs/agents.md", "the message at the end has its thinking for the next turn")
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_an_agent_that_is_watched_keeps_its_thinking(make: Any, kimi: KimiEmulator, asynchronous: bool) -> None:
    def get_weather(city: str) -> str:
        """Get the weather of a city."""
        return f"Sunny in {city}"

    asked = {"messages": [{"role": "user", "content": "What is the weather in Paris?"}]}
    agent = create_agent(make(), [get_weather])
    if asynchronous:
        run = await agent.astream_events(asked, version="v3")
        messages = (await run.output())["messages"]
    else:
        messages = agent.stream_events(asked, version="v3").output["messages"]
    thought = messages[1].additional_kwargs["reasoning_content"]
    sent = kimi.requests[-1].body["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[1]["reasoning_content"] == thought != ""
