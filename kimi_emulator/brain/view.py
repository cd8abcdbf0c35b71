"""A chat request as the built-in model reads it: what is asked, with which tools, and what happened since."""

from __future__ import annotations

import binascii
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..request import ChatRequest, function_of, parts, text_of, tool_calls
from ..sealed import decrypt
from ..search import DESCRIPTION, WEB_SEARCH, results
from ..state import Upload

MOST_READ = 20_000
"""Characters of a message, a result or a description that the model looks at: its heuristics are small."""


@dataclass(frozen=True)
class Tool:
    """A function the model may call."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def properties(self) -> dict[str, Mapping[str, Any]]:
        """The parameters' schemas by name."""
        properties = self.parameters.get("properties")
        listed = properties if isinstance(properties, Mapping) else {}
        return {str(name): schema for name, schema in listed.items() if isinstance(schema, Mapping)}

    @property
    def required(self) -> list[str]:
        """The names of the parameters that must be given."""
        required = self.parameters.get("required")
        return [str(name) for name in required] if isinstance(required, list) else []


@dataclass(frozen=True)
class Call:
    """A call made since the question was asked."""

    name: str
    arguments: Mapping[str, Any]
    result: str


@dataclass(frozen=True)
class View:
    """A conversation, seen from its last question.

    Attributes:
        system: The system messages.
        question: The last user message.
        before: Roles and texts of what was said before the question.
        calls: The calls made since the question, with their results.
        tools: The tools at hand.
        media: What reads the bytes of each image and video that the question shows; none of what is not at hand.
    """

    system: str
    question: str
    before: tuple[tuple[str, str], ...] = ()
    calls: tuple[Call, ...] = ()
    tools: tuple[Tool, ...] = ()
    media: tuple[Callable[[], bytes], ...] = ()

    @property
    def user_said(self) -> list[str]:
        """What the user said before the question."""
        return [text for role, text in self.before if role == "user"]


def read_tool(tool: Mapping[str, Any]) -> Tool:
    """Read a tool definition; of a builtin function, say what it does."""
    function = function_of(tool)
    if function.get("name") == WEB_SEARCH:
        return Tool(WEB_SEARCH, DESCRIPTION)
    parameters = function.get("parameters")
    return Tool(
        str(function.get("name") or ""),
        str(function.get("description") or "")[:MOST_READ],
        parameters if isinstance(parameters, Mapping) else {},
    )


def read_object(text: Any) -> dict[str, Any]:
    """Parse a JSON object; anything else is an empty one."""
    try:
        value = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _calls(messages: Sequence[Mapping[str, Any]]) -> tuple[Call, ...]:
    open_calls: dict[str, tuple[str, dict[str, Any]]] = {}
    done: list[Call] = []
    for message in messages:
        for call in tool_calls(message):
            function = function_of(call)
            open_calls[str(call.get("id"))] = (str(function.get("name")), read_object(function.get("arguments")))
        if message.get("role") == "tool":
            name, arguments = open_calls.get(str(message.get("tool_call_id")), (str(message.get("name")), {}))
            done.append(Call(name, arguments, _result(name, arguments, text_of(message))[:MOST_READ]))
    return tuple(done)


def _result(name: str, arguments: Mapping[str, Any], text: str) -> str:
    """Return what a tool message tells the model, which sees more than its client: searches and encrypted text."""
    if name == WEB_SEARCH:
        return results(arguments)
    return decrypt(text) or text


def _shows_a_result(messages: Sequence[Mapping[str, Any]], at: int) -> bool:
    """Whether a user message is the pictures of the tool results before it, which clients send so."""
    behind_result = at > 0 and messages[at - 1].get("role") == "tool"
    return behind_result and any(part.get("type") in ("image_url", "video_url") for part in parts(messages[at]))


def _media(message: Mapping[str, Any], uploads: Mapping[str, Upload]) -> Iterator[Callable[[], bytes]]:
    for part in parts(message):
        kind = part.get("type")
        if kind in ("image_url", "video_url"):
            value = part.get(kind)
            url = str(value.get("url") if isinstance(value, Mapping) else value)
            yield partial(_bytes_of, url, uploads.get(url.removeprefix("ms://")))


def _bytes_of(url: str, upload: Upload | None) -> bytes:
    if upload:
        return upload.data
    try:
        return binascii.a2b_base64(url.partition(";base64,")[2])
    except ValueError:
        return b""


def read(request: ChatRequest, uploads: Mapping[str, Upload]) -> View:
    """Read a request, with the files that were uploaded, by id."""
    messages = request.messages
    asked = [
        at for at, message in enumerate(messages) if message.get("role") == "user" and not _shows_a_result(messages, at)
    ]
    last = asked[-1] if asked else len(messages)
    question = messages[last] if asked else {}
    return View(
        system="\n".join(text_of(message) for message in messages if message.get("role") == "system")[:MOST_READ],
        question=text_of(question)[:MOST_READ],
        before=tuple(
            (str(message.get("role")), text_of(message)[:MOST_READ])
            for message in messages[:last]
            if message.get("role") != "system"
        ),
        calls=_calls(messages[last + 1 :]),
        tools=tuple(
            tool
            for tool in map(read_tool, request.tools + request.dynamic_tools)
            if tool.name == WEB_SEARCH or (tool.name and not tool.name.startswith("$"))
        ),
        media=tuple(_media(question, uploads)),
    )
