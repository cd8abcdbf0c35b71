"""Structured answers: how an object is asked for, where it is in what came, and what is wrong where it is not. Pure.

How a schema is had of a class, and an object of it made of data, is Pydantic's and the adapters' affair.

Deliberately absent: taking an object from inside of something that is no JSON. It is only a part of what was asked for,
and a class whose fields are all optional takes any. Nor is the end of a cut answer made up: what is left may look like
another, smaller object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jiter import from_json

from kimi_wire.arguments import parse_arguments, replay_arguments
from kimi_wire.json_text import iter_json_texts
from kimi_wire.kinds import TEXT, check_json, check_kind
from kimi_wire.profiles import ForcedChoice, Profile
from kimi_wire.schema import is_object_schema, wrap_schema

WRAPPER = "answer"
"""The property that holds an answer whose schema is no object, such as a list or a union; the server takes objects only
("root must be an object", MoonshotAI/walle, docs/mfjs-spec.md)."""

_QUOTED = 2000
"""Characters of an answer that an error quotes."""


@dataclass(frozen=True, slots=True)
class OutputForm:
    """How objects of one schema are asked for and read.

    Attributes:
        name: A name the server takes for tools and formats.
        schema: The JSON Schema that is sent; its root is an object.
        wrapped: Whether that object was put around the caller's schema (see `WRAPPER`).
    """

    name: str
    schema: dict[str, Any]
    wrapped: bool

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any]) -> OutputForm:
        """Make the form of a caller's schema, under any name.

        Raises:
            KimiRequestError: The name is no text, or the schema no JSON.
        """
        check_kind("The title or name of the schema", name, TEXT)
        check_json(f"The schema of {name[:100]}", schema)
        wrapped = not is_object_schema(schema)
        return cls(clean_name(name), wrap_schema(schema, WRAPPER) if wrapped else dict(schema), wrapped)

    @property
    def response_format(self) -> dict[str, Any]:
        """The `response_format` that has the server hold an answer to the schema."""
        return {"type": "json_schema", "json_schema": {"name": self.name, "strict": True, "schema": self.schema}}

    @property
    def tool(self) -> dict[str, Any]:
        """A tool whose arguments are the answer; its name is the choice that forces it."""
        description = self.schema.get("description") or f"Answer as {self.name}."
        return {
            "type": "function",
            "function": {"name": self.name, "description": description, "parameters": self.schema},
        }

    def unwrap(self, data: Any) -> Any:
        """The caller's data out of an answer's, which may be half of it; None where there is nothing of it yet."""
        return data.get(WRAPPER) if self.wrapped else data


def clean_name(name: str) -> str:
    """A name the server takes of a class: generic ones have brackets, private ones begin with an underscore."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name).lstrip("_-0123456789")[:64] or "answer"


def can_think_while_forced(profile: Profile) -> bool:
    """Whether a model that does not think while a call is forced can be asked to do both.

    The call is then written as JSON under a schema (`kimi_wire.requests.tools.plan_tools`), which holds one call only.
    """
    return profile.forced_choice is ForcedChoice.THINKING_OFF and profile.json_schema


def find_objects(text: str) -> Iterator[str]:
    """The JSON objects that an answer may be: the text itself, what stands in fences, or what prose is wrapped around.

    Args:
        text: The answer's text, or a tool's arguments.

    Yields:
        Valid JSON of an object each.
    """
    candidates = dict.fromkeys(iter_json_texts(text))
    kinds = {candidate: _is_object(candidate) for candidate in candidates if candidate}
    if False not in kinds.values():  # a list's or a text's braces are its own
        braces = text[text.find("{") : text.rfind("}") + 1]
        kinds.setdefault(braces, bool(braces) and _is_object(braces))
    for candidate, is_object in kinds.items():
        if is_object:
            yield replay_arguments(candidate)


def _is_object(text: str) -> bool | None:
    """Whether a text is JSON of an object; None where it is no JSON."""
    try:
        parse_arguments(text)
        return True
    except (ValueError, RecursionError):
        pass
    try:
        json.loads(text, strict=False)
        return False
    except (ValueError, RecursionError):
        return None


def parse_beginning(text: str) -> dict[str, Any] | None:
    """As much as there is of an object that is still being written; None where there is nothing.

    Args:
        text: What has come. What stands before the first brace, prose or a fence, does not count.
    """
    begun = text[max(text.find("{"), 0) :]
    for attempt in (begun, _STRING.sub(_escape, begun)):
        try:
            data = from_json(attempt.encode(), partial_mode="trailing-strings")
        except ValueError:
            continue
        return data if isinstance(data, dict) else None
    return None


# Models write line feeds into strings as they are, where JSON wants them escaped (MoonshotAI/kimi-cli#1378).
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"?', re.DOTALL)
_CONTROL = {code: f"\\u{code:04x}" for code in range(0x20)}


def _escape(string: re.Match[str]) -> str:
    return string[0].translate(_CONTROL)


def explain_cut(*, begun: bool, thought: bool) -> str:
    """Say that an answer was cut at its token limit.

    Args:
        begun: Whether anything of it came.
        thought: Whether the model thought.
    """
    spent = ", all of which thinking took" if thought and not begun else ""
    return (
        f"The answer was cut at its token limit{spent} (finish_reason 'length'). Raise max_tokens, or leave it out; "
        "thinking and answer share it."
    )


def explain_missing(
    name: str, text: str, *, called: Sequence[str] = (), thought: bool = False, finish_reason: str | None = None
) -> str:
    """Say what came where no object did.

    Args:
        name: What was asked for.
        text: What should be its JSON.
        called: The tools that the model called instead.
        thought: Whether the model thought.
        finish_reason: Why the answer ended.
    """
    ending = "" if finish_reason in (None, "stop", "tool_calls") else f" (finish_reason {finish_reason!r})"
    if text.strip():
        came = f"The answer is not a JSON object{ending}."
    elif called:
        came = f"The model called {', '.join(called)} instead of answering{ending}."
    else:
        came = f"The answer is empty{', after some thinking' if thought else ''}{ending}."
    return f"{came} The JSON of {name} was asked for."


def explain_misfit(name: str, error: Exception) -> str:
    """Say what of an answer does not fit, and where.

    Args:
        name: What was asked for.
        error: A `ValidationError` of Pydantic, of either version, or what a validator raised.
    """
    details = getattr(error, "errors", None)
    if details is None:
        return f"The answer does not fit {name}: {error}"
    found = [(".".join(map(str, item["loc"])) or "the object", item["msg"]) for item in details()]
    return f"The answer does not fit {name}: " + "; ".join(f"{path}: {message}" for path, message in found) + "."


def quote_answer(problem: str, text: str) -> str:
    """A problem with the answer's text below it, as far as an error should have it."""
    quoted = text if len(text) <= _QUOTED else f"{text[:_QUOTED]}…"
    return f"{problem}\nThe answer: {quoted}" if quoted else problem
