"""Rules about the answer asked for: its length, stop sequences, format and delivery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import tokens
from ..request import ChatRequest, Rejected, Rule, illegal, kind

_MAX_STOPS = 5
_MAX_STOP_BYTES = 32


def caps_are_positive_integers(request: ChatRequest) -> None:
    """https://platform.kimi.ai/docs/api/chat: an integer. The words for 0 and less are ours."""
    for name in ("max_completion_tokens", "max_tokens"):
        cap = request.body.get(name)
        if cap is None:
            continue
        if kind(cap) != "int":
            raise illegal(name, "int", cap)
        if cap < 1:
            raise Rejected(f"invalid {name}: must be at least 1")


def prompt_and_answer_fit_the_window(request: ChatRequest) -> None:
    """Prompt and cap together stay within the window.

    Recorded: "Invalid request: Your request exceeded model token limit: 262144 (requested: 274613)". That a cap
    counts: https://platform.kimi.ai/docs/api/chat and kimi-code#476.
    """
    requested = tokens.count_prompt(request.body, request.family) + (request.max_tokens or 0)
    window = request.family.context
    if requested > window:
        raise Rejected(f"Invalid request: Your request exceeded model token limit: {window} (requested: {requested})")


def stop_sequences_are_few_and_short(request: ChatRequest) -> None:
    """At most 5, each of at most 32 bytes: https://platform.kimi.ai/docs/api/chat.

    Recorded: "stop array too long. Expected an array with maximum length 5, but got 6". The words for a long one are
    ours.
    """
    stop = request.body.get("stop")
    if stop is None:
        return
    if not isinstance(stop, (str, list)) or not all(isinstance(item, str) for item in stop):
        raise illegal("stop", "[]string", stop)
    stops = [stop] if isinstance(stop, str) else stop
    if len(stops) > _MAX_STOPS:
        raise Rejected(f"stop array too long. Expected an array with maximum length {_MAX_STOPS}, but got {len(stops)}")
    for item in stops:
        size = len(item.encode("utf-8", "replace"))
        if size > _MAX_STOP_BYTES:
            raise Rejected(f"stop sequence too long. Expected at most {_MAX_STOP_BYTES} bytes, but got {size}")


def _format(request: ChatRequest) -> Mapping[str, Any]:
    response_format = request.body.get("response_format")
    return response_format if isinstance(response_format, Mapping) else {}


def response_format_is_known(request: ChatRequest) -> None:
    """text, json_object or json_schema: https://platform.kimi.ai/docs/guide/response_format. Wording ours."""
    given = request.body.get("response_format")
    if given is None:
        return
    if not isinstance(given, Mapping):
        raise illegal("response_format", "object", given)
    if given.get("type") not in ("text", "json_object", "json_schema"):
        raise Rejected(f"Invalid request: unknown response_format type: {given.get('type') or ''}")


def json_schema_is_complete(request: ChatRequest) -> None:
    """BrowserOS#657: "missing required parameter: response_format.json_schema.name"; `schema` likewise."""
    if _format(request).get("type") != "json_schema":
        return
    given = _format(request).get("json_schema")
    if given is None:
        raise Rejected("missing required parameter: response_format.json_schema")
    if not isinstance(given, Mapping):
        raise illegal("response_format.json_schema", "object", given)
    for name in ("name", "schema"):
        if given.get(name) in (None, ""):
            raise Rejected(f"missing required parameter: response_format.json_schema.{name}")


def json_schema_has_legal_types(request: ChatRequest) -> None:
    """The schema is an object and `strict` a bool: https://platform.kimi.ai/docs/guide/response_format.

    Reported: "Invalid request: the `response_format.json_schema.schema` field in the request (expected type
    dict[string,interface]) is illegal...".
    """
    given = _format(request).get("json_schema")
    if _format(request).get("type") != "json_schema" or not isinstance(given, Mapping):
        return
    if not isinstance(given["schema"], Mapping):
        raise illegal("response_format.json_schema.schema", "dict[string,interface]", given["schema"])
    if given.get("strict") is not None and not isinstance(given["strict"], bool):
        raise illegal("response_format.json_schema.strict", "bool", given["strict"])
    if not isinstance(given["name"], str):
        raise illegal("response_format.json_schema.name", "string", given["name"])


def stream_is_a_bool(request: ChatRequest) -> None:
    """https://platform.kimi.ai/docs/api/chat. `stream_options` without `stream` was recorded to pass."""
    for name, expected in (("stream", "bool"), ("stream_options", "object")):
        value = request.body.get(name)
        if value is not None and kind(value) != expected:
            raise illegal(name, expected, value)


RULES: tuple[Rule, ...] = (
    stream_is_a_bool,
    caps_are_positive_integers,
    stop_sequences_are_few_and_short,
    response_format_is_known,
    json_schema_is_complete,
    json_schema_has_legal_types,
    prompt_and_answer_fit_the_window,
)
