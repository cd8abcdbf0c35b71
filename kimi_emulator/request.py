"""A chat request as the rules see it, and the exception they raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from .families import Family

_MOST_CHOICES = 100
_LONGEST_WORDS = 4000  # characters of a refusal, which repeats what is refused


class Rejected(Exception):
    """A rule refuses the request.

    Attributes:
        status: The HTTP status to answer.
        type: The ``error.type``.
        message: The server's words.
    """

    def __init__(self, message: str, *, status: int = 400, type: str = "invalid_request_error") -> None:
        """Refuse with the server's words."""
        super().__init__(message)
        self.status = status
        self.type = type
        self.message = message if len(message) <= _LONGEST_WORDS else f"{message[:_LONGEST_WORDS]}…"


def kind(value: Any) -> str:
    """Name a JSON value's type in the server's vocabulary."""
    if isinstance(value, bool):
        return "bool"
    for python, name in ((str, "string"), (int, "int"), (float, "float"), (Mapping, "object"), (list, "array")):
        if isinstance(value, python):
            return name
    return "null"


def illegal(field: str, expected: str, value: Any) -> Rejected:
    """Build the rejection of a field of the wrong type.

    kimi-cli#788 and others: "Invalid request: the `messages.content` field in the request (expected type []object) is
    illegal, and object is not acceptable".
    """
    return Rejected(
        f"Invalid request: the `{field}` field in the request (expected type {expected}) is illegal, "
        f"and {kind(value)} is not acceptable"
    )


@dataclass(frozen=True)
class ChatRequest:
    """The parsed body of a chat request with the facts rules ask for. Every accessor copes with any JSON."""

    body: Mapping[str, Any]
    model: str
    family: Family

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The messages that are objects."""
        return _objects(self.body.get("messages"))

    @property
    def tools(self) -> list[Mapping[str, Any]]:
        """The tools of the request that are objects."""
        return _objects(self.body.get("tools"))

    @property
    def dynamic_tools(self) -> list[Mapping[str, Any]]:
        """The tools that system messages bring along."""
        return [tool for message in self.messages for tool in _objects(message.get("tools"))]

    @property
    def partial(self) -> Mapping[str, Any] | None:
        """The message the answer is to go on from, or None.

        `partial` is a field of that message; at the top level of the body it means nothing:
        https://platform.kimi.ai/docs/api/partial.
        """
        last = self.messages[-1] if self.messages else {}
        return last if last.get("role") == "assistant" and last.get("partial") is True else None

    @property
    def unbegun(self) -> ChatRequest:
        """The same request without its last message."""
        return replace(self, body={**self.body, "messages": self.messages[:-1]})

    @property
    def thinking(self) -> bool:
        """Whether the model will think."""
        if self.family.thinking != "toggle":
            return self.family.thinking == "always"
        setting = self.body.get("thinking")
        return not (isinstance(setting, Mapping) and setting.get("type") == "disabled")

    @property
    def effort(self) -> str:
        """How much it will think."""
        effort = self.body.get("reasoning_effort")
        return effort if isinstance(effort, str) else "max"

    @property
    def max_tokens(self) -> int | None:
        """The cap on the answer. `max_completion_tokens` wins over its deprecated alias."""
        for key in ("max_completion_tokens", "max_tokens"):
            if self.body.get(key) is not None:
                value = self.body[key]
                return value if isinstance(value, int) else None
        return None

    @property
    def stops(self) -> list[str]:
        """The stop sequences."""
        stop = self.body.get("stop")
        given = [stop] if isinstance(stop, str) else stop if isinstance(stop, list) else []
        return [item for item in given if isinstance(item, str) and item]

    @property
    def choices(self) -> int:
        """How many answers are wanted, of which there are a hundred at most."""
        n = self.body.get("n")
        return min(n, _MOST_CHOICES) if isinstance(n, int) and not isinstance(n, bool) and n > 0 else 1

    @property
    def streams(self) -> bool:
        """Whether the answer is to be streamed."""
        return self.body.get("stream") is True

    @property
    def includes_usage(self) -> bool:
        """Whether a stream is to end with a usage chunk."""
        options = self.body.get("stream_options")
        return isinstance(options, Mapping) and options.get("include_usage") is True


Rule: TypeAlias = Callable[[ChatRequest], None]


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def tool_calls(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return a message's tool calls that are objects."""
    return _objects(message.get("tool_calls"))


def function_of(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the ``function`` object of a tool or a tool call."""
    function = tool.get("function")
    return function if isinstance(function, Mapping) else {}


def parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the content parts of a message that are objects."""
    return _objects(message.get("content"))


def text_of(message: Mapping[str, Any]) -> str:
    """Return a message's text, parts joined."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part["text"]) for part in parts(message) if part.get("text"))


def by_role(request: ChatRequest, *roles: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield the messages of some roles with their positions."""
    return ((at, message) for at, message in enumerate(request.messages) if message.get("role") in roles)
