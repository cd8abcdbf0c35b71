"""Whole calls of both adapters, with odd servers below and careless users above; `tests.fuzz_wire` runs it.

Whatever the server sends, in its headers too, and whatever a user gives for a setting or leaves in a history, there is
an answer or a typed error, no key is told, the user's objects stay as they were, and what goes out is JSON. What unpacks
to more than is allowed is no answer, and calls with repeated ids keep each its own result.
"""

from __future__ import annotations

import asyncio
import datetime
import gzip
import json
import random
import traceback
import warnings
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from unittest import mock

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from llama_index.core.base.llms.types import ChatMessage, TextBlock, ThinkingBlock, ToolCallBlock
from pydantic import BaseModel, ValidationError

from kimi_wire.answers import stream
from kimi_wire.errors import KimiError
from kimi_wire.settings import SETTINGS
from kimi_wire.transport import bodies
from kimi_wire.transport.library import http_library
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

KEY = "sk-secret-0123456789abcdef"
URL = "http://127.0.0.1:9/v1"
ANSWER = b'{"id": "c", "choices": [{"index": 0, "message": {"content": "ok"}, "finish_reason": "stop"}]}'
EVENTS = b'data: {"id": "c", "choices": [{"index": 0, "delta": {"content": "ok"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


@dataclass(frozen=True)
class Served:
    """What a server sends, in raw bytes."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def ask(served: Served, make: Callable[..., Any], call: Callable[[Any], Any], **settings: Any) -> list[bytes]:
    """Make a model whose server sends this, and call it; gives the bodies that went out."""
    sent: list[bytes] = []

    def answer(request: Any) -> Any:
        sent.append(request.read())
        stream = http.ByteStream(served.body)
        return http.Response(served.status, headers=served.headers, stream=stream, request=request)

    async def aanswer(request: Any) -> Any:
        return answer(request)

    http = http_library()
    settings = {
        "http_client": http.Client(transport=http.MockTransport(answer)),
        "http_async_client": http.AsyncClient(transport=http.MockTransport(aanswer)),
        "api_key": KEY,
        "base_url": URL,
        "max_retries": 0,
        **settings,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call(make(**settings))
    except (KimiError, ValidationError) as error:
        told = "".join(traceback.format_exception(error)) + repr(
            getattr(error, "response", None) and error.response.headers.raw
        )
        assert KEY not in told, f"the key is told: {told}"
    return sent


async def _last(events: Any) -> Any:
    return [event async for event in await events] if asyncio.iscoroutine(events) else [event async for event in events]


def way_of(
    rng: random.Random,
) -> tuple[Callable[..., Any], Callable[[list[Any], dict[str, Any]], Callable[[Any], Any]]]:
    """One of the eight ways to call a model: its class, and what asks it messages with settings of the call."""
    if rng.random() < 0.5:
        ways: tuple[Callable[[Any, list[Any], dict[str, Any]], Any], ...] = (
            lambda model, messages, call: model.invoke(messages, **call),
            lambda model, messages, call: list(model.stream(messages, **call)),
            lambda model, messages, call: asyncio.run(model.ainvoke(messages, **call)),
            lambda model, messages, call: asyncio.run(_last(model.astream(messages, **call))),
        )
        made: Callable[..., Any] = ChatKimi
    else:
        ways = (
            lambda model, messages, call: model.chat(messages, **call),
            lambda model, messages, call: list(model.stream_chat(messages, **call)),
            lambda model, messages, call: asyncio.run(model.achat(messages, **call)),
            lambda model, messages, call: asyncio.run(_last(model.astream_chat(messages, **call))),
        )
        made = Kimi
    way = rng.choice(ways)
    return made, lambda messages, call: lambda model: way(model, messages, call)


def hello(made: Any) -> list[Any]:
    return [HumanMessage("hi")] if made is ChatKimi else [ChatMessage(role="user", content="hi")]


# --- servers ---

_NAMES = (
    b"Content-Type", b"Content-Encoding", b"Location", b"Retry-After", b"X-Request-Id", b"Msh-Request-Id", b"Set-Cookie",
    b"X-Should-Retry", b"Retry-After-Ms", b"X-Error-Message", b"Server", b"Transfer-Encoding",
)  # fmt: skip
_WORDS = (
    b"", b"gzip", b"deflate", b"br", b"gzip, gzip", b"application/json", b"text/event-stream", b"text/html; charset=utf-16",
    b"http://[", b"/v1/x", b"https://example.org/", b"http://\x01", "余额不足".encode(), b"\xff\xfe", b"1", b"-1", b"nan", b"9" * 400,
    b"Bearer " + KEY.encode(), b"a" * 3000, b"true",
)  # fmt: skip


def make_served(rng: random.Random) -> Served:
    """An answer with odd headers and body."""
    body = rng.choice((ANSWER, EVENTS, b"", b"<html>no</html>", b'{"error": {"message": "Bearer %s"}}' % KEY.encode()))
    if rng.random() < 0.3:
        body = rng.randbytes(rng.randint(0, 200))
    headers = [(rng.choice(_NAMES), rng.choice((*_WORDS, rng.randbytes(6)))) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.3:
        packed = rng.choice((gzip.compress, zlib.compress))(body)
        headers.append((b"Content-Encoding", rng.choice((b"gzip", b"deflate"))))
        body = packed[: rng.randint(0, len(packed))] if rng.random() < 0.5 else packed
    return Served(rng.choice((200, 200, 200, 301, 307, 400, 401, 402, 404, 429, 500, 503, 529)), headers, body)


def try_served(served: Served, rng: random.Random) -> None:
    made, asking = way_of(rng)
    ask(served, made, asking(hello(made), {}))


# --- bodies that unpack to more than they seem ---

LIMIT = 3000
_SIZES = (0, 10, 1000, 2500, 3500, 10_000, 1_000_000)


@dataclass(frozen=True)
class Packed:
    """An answer of so many letters, or a refusal, and how it is packed."""

    status: int
    letters: int
    packings: tuple[str, ...]

    def served(self, form: bytes) -> Served:
        """It as a server sends it, in one of the forms that have the place `ok` for what is said."""
        body = form.replace(b"ok", b"x" * self.letters)
        for packing in self.packings:
            body = (gzip.compress if packing == "gzip" else zlib.compress)(body)
        return Served(self.status, [(b"Content-Encoding", ", ".join(self.packings).encode())], body)


def make_packed(rng: random.Random) -> Packed:
    """An answer below or above the limit, packed once, or twice, or not at all."""
    packings = tuple(rng.choice(("gzip", "deflate")) for _ in range(rng.choice((0, 1, 1, 2))))
    return Packed(rng.choice((200, 200, 400, 503)), rng.choice(_SIZES), packings)


def try_packed(packed: Packed, rng: random.Random) -> None:
    """One of the two forms suits the way it is asked; it is heard if it fits, as it was, and refused if it does not."""
    made, asking = way_of(rng)
    heard: list[str] = []

    def call(model: Any) -> None:
        try:
            heard.append(_said(asking(hello(made), {})(model)))
        except KimiError as error:
            response = getattr(error, "response", None)
            assert response is None or len(response.content) <= LIMIT, "more than the limit is kept"
            raise

    with (
        mock.patch.object(bodies, "MAX_BODY_BYTES", LIMIT),
        mock.patch.object(bodies, "MAX_REFUSAL_BYTES", LIMIT),
        mock.patch.object(stream, "MAX_EVENT_BYTES", LIMIT),
    ):
        for form in (ANSWER, EVENTS):
            ask(packed.served(form), made, call)
    fits = packed.status == 200 and packed.letters < LIMIT and len(packed.packings) < 2
    assert heard == (["x" * packed.letters] if fits else []), f"heard {[len(text) for text in heard]} letters"


def _said(result: Any) -> str:
    """The text of what one of the ways gives: a message, a response, or a list of their pieces."""
    if not isinstance(result, list):
        return str(result.message.content or "") if hasattr(result, "message") else str(result.content)
    if result and hasattr(result[-1], "message"):
        return str(result[-1].message.content or "")
    return "".join(str(chunk.content) for chunk in result)


# --- ids that come more than once ---

_CALL_IDS = ("look:0", "look:0", "look:1", "look:2", "a", "a_1", "a_2", "", "0", "look:00", "look:٣")


def make_repeated_ids(rng: random.Random) -> list[list[tuple[str, str]]]:
    """Rounds of calls, each with its id and its result; those of one round are answered in another order."""
    return [
        [(rng.choice(_CALL_IDS), f"r{place}.{number}") for number in range(rng.randint(1, 4))]
        for place in range(rng.randint(1, 5))
    ]


def try_repeated_ids(rounds: list[list[tuple[str, str]]], rng: random.Random) -> None:
    """Whatever ids the calls had, each goes out with one of its own, and with the result that was its own."""
    made, asking = way_of(rng)
    messages = hello(made)
    for calls in rounds:
        messages += _round(made, calls, rng)
    before = [_state(message) for message in messages]
    sent = ask(Served(200, [], ANSWER), made, asking(messages, {}))
    assert len(sent) == 1
    results: dict[str, str] = {}
    wanted: dict[str, str] = {}
    for message in json.loads(sent[0])["messages"]:
        if message["role"] == "tool":
            assert message["tool_call_id"] in wanted
            assert message["tool_call_id"] not in results
            results[message["tool_call_id"]] = message["content"]
        for call in message.get("tool_calls", ()):
            assert call["id"]
            assert call["id"] not in wanted
            wanted[call["id"]] = json.loads(call["function"]["arguments"])["n"]
    assert results == wanted
    assert sorted(wanted.values()) == sorted(result for calls in rounds for _, result in calls)
    assert [_state(message) for message in messages] == before, "the caller's messages were changed"


def _round(made: Any, calls: list[tuple[str, str]], rng: random.Random) -> list[Any]:
    """Calls, and their answers: in any order, but those of one id in the order of its calls."""
    waiting: dict[str, list[str]] = {}
    for id, result in calls:
        waiting.setdefault(id, []).append(result)
    ids = rng.sample([id for id, _ in calls], len(calls))
    answers = [(id, waiting[id].pop(0)) for id in ids]
    if made is ChatKimi:
        asked: list[Any] = [
            {"name": "look", "args": {"n": result}, "id": id, "type": "tool_call"} for id, result in calls
        ]
        return [AIMessage("", tool_calls=asked), *(ToolMessage(result, tool_call_id=id) for id, result in answers)]
    blocks = [ToolCallBlock(tool_call_id=id, tool_name="look", tool_kwargs={"n": result}) for id, result in calls]
    return [
        ChatMessage(role="assistant", blocks=blocks),
        *(ChatMessage(role="tool", content=result, additional_kwargs={"tool_call_id": id}) for id, result in answers),
    ]


# --- users ---


class Odd:
    """What is no JSON."""

    def __repr__(self) -> str:
        return "Odd()"


DEEP: Any = []
for _ in range(3000):
    DEEP = [DEEP]
CIRCLE: dict[str, Any] = {}
CIRCLE["self"] = CIRCLE

ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 5, 10**400, 1.5, float("inf"), float("nan"), "", "x", "\x00", "\ud83d", "json", b"bytes", [], [5], [None], (1,),
    {}, {"a": None}, {"a": {1}}, {"a": datetime.date(2026, 1, 1)}, {5: 5}, {"type": "function"}, {"messages": None}, {"n": "x"},
    {"type": "json_schema", "json_schema": {"name": 5, "schema": []}}, {1, 2}, Odd(), Odd, len, DEEP, CIRCLE, "a" * 5000,
)  # fmt: skip

NAMES = sorted(
    {*SETTINGS, "timeout", "max_retries", "extra_headers", "default_headers", "stream_idle_timeout", "token_counting"}
)


def make_settings(rng: random.Random) -> dict[str, Any]:
    """Settings of wrong kinds, of the object and of the call."""
    return {
        where: {rng.choice(NAMES): rng.choice(ODD_VALUES) for _ in range(rng.choice((0, 1, 1, 2)))}
        for where in ("own", "call")
    }


def try_settings(given: Mapping[str, dict[str, Any]], rng: random.Random) -> None:
    made, asking = way_of(rng)
    call = {name: value for name, value in given["call"].items() if name not in ("default_headers", "token_counting")}
    for body in ask(Served(200, [], rng.choice((ANSWER, EVENTS))), made, asking(hello(made), call), **given["own"]):
        check_json(body)


def check_json(body: bytes) -> None:
    json.loads(body, parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} went out, which is no JSON")


def make_history(rng: random.Random) -> list[BaseMessage] | list[ChatMessage]:
    """Messages with odd values in their fields, as a user would make them: the classes have checked what they check."""
    while True:
        try:
            return (_langchain_history if rng.random() < 0.5 else _llama_history)(rng)
        except (ValidationError, TypeError, ValueError, AttributeError, RecursionError):
            continue  # the framework's own refusal


def _odd(rng: random.Random, usual: Any) -> Any:
    return rng.choice(ODD_VALUES) if rng.random() < 0.25 else usual


def _langchain_history(rng: random.Random) -> list[BaseMessage]:
    call = {
        "name": _odd(rng, "look"),
        "args": _odd(rng, {"a": _odd(rng, 1)}),
        "id": _odd(rng, "look:0"),
        "type": "tool_call",
    }
    kwargs = {
        "reasoning_content": _odd(rng, "Hm."),
        "kimi_tool_calls": _odd(rng, []),
        "reasoning_details": _odd(rng, []),
        "partial": _odd(rng, False),
    }
    kwargs = {name: value for name, value in kwargs.items() if rng.random() < 0.4}
    parts: Any = [
        {"type": "text", "text": _odd(rng, "a")},
        {"type": rng.choice(("reasoning", "x")), "reasoning": _odd(rng, "b")},
    ]
    return [
        SystemMessage(_odd(rng, "s")),
        HumanMessage(
            _odd(rng, [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": _odd(rng, "ms://f")}])
        ),
        AIMessage(rng.choice(("", "t", parts)), tool_calls=[call], additional_kwargs=kwargs, name=_odd(rng, None)),
        ToolMessage(_odd(rng, "r"), tool_call_id=_odd(rng, "look:0"), artifact=_odd(rng, None)),
        HumanMessage("go on"),
    ]


def _llama_history(rng: random.Random) -> list[ChatMessage]:
    call = {
        "id": _odd(rng, "look:0"),
        "type": "function",
        "function": {"name": _odd(rng, "look"), "arguments": _odd(rng, "{}")},
    }
    kwargs = {"tool_calls": _odd(rng, [_odd(rng, call)]), "partial": _odd(rng, False)}
    blocks = [ThinkingBlock(content=_odd(rng, "Hm.")), TextBlock(text=_odd(rng, "a"))]
    return [
        ChatMessage(role="system", content=_odd(rng, "s")),
        ChatMessage(role="user", content="hi", additional_kwargs={"name": _odd(rng, "me")}),
        ChatMessage(role="assistant", blocks=blocks, additional_kwargs=kwargs),
        ChatMessage(role="tool", content=_odd(rng, "r"), additional_kwargs={"tool_call_id": _odd(rng, "look:0")}),
        ChatMessage(role="user", content="go on"),
    ]


def try_history(messages: list[Any], rng: random.Random) -> None:
    made, asking = way_of(rng)
    while (made is ChatKimi) != isinstance(messages[0], BaseMessage):
        made, asking = way_of(rng)
    before = [_state(message) for message in messages]
    for body in ask(Served(200, [], rng.choice((ANSWER, EVENTS))), made, asking(messages, {})):
        check_json(body)
    assert [_state(message) for message in messages] == before, "the caller's messages were changed"


def _state(message: BaseModel) -> str:
    try:
        return repr(vars(message))
    except RecursionError:
        return ""
