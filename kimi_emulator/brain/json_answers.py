"""Answering in JSON: by a schema, or with the keys a prompt names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..request import ChatRequest
from ..text import sentences
from . import schema as schemas
from . import values
from .view import View

_KEYS = re.compile(r"\b(?:keys?|fields?|properties|attributes)\b", re.IGNORECASE)
_LISTED = re.compile(
    r"\b(?:keys?|fields?|properties|attributes)\b(?: named| called)?[\s:]+"
    r"((?:[\w-]+(?:\s*,\s*(?:and )?|\s+and\s+))*[\w-]+)",
    re.IGNORECASE,
)
_EXTRACTED = re.compile(r"\bextract (?:the )?((?:[\w-]+,\s*)+(?:and )?[\w-]+) from\b", re.IGNORECASE)
_NUMERIC = frozenset(("age", "year", "count", "number", "amount", "price", "quantity", "score", "rating", "total"))
_WANTS_JSON = re.compile(r"\bJSON\b")


def answer(request: ChatRequest, view: View) -> str | None:
    """Answer in JSON if the request or its prompt asks for it; None if neither does."""
    format = request.body.get("response_format")
    kind = format.get("type") if isinstance(format, Mapping) else None
    if kind == "json_schema" and isinstance(format, Mapping):
        given = format.get("json_schema")
        schema = given.get("schema") if isinstance(given, Mapping) else None
        done = [call.name for call in view.calls]
        return _write(_instance(schema if isinstance(schema, Mapping) else {}, _source(view), done))
    prompt = f"{view.system}\n{view.question}"
    embedded = next(_schemas(prompt), None) if _WANTS_JSON.search(prompt) else None
    if embedded is not None:
        written, schema = embedded
        return _write(_instance(schema, _without_orders(_source(view).replace(written, " "), view.user_said)))
    return _write(_with_named_keys(prompt, _source(view))) if kind == "json_object" else None


def with_keys(view: View, keys: Sequence[str] = (), open_key: str | None = None) -> str:
    """Answer with an object although no format asks for one.

    Args:
        view: The conversation.
        keys: The keys to begin with, before those the prompt names.
        open_key: The beginning of the key after those: of one the prompt names, or of any.
    """
    prompt = f"{view.system}\n{view.question}"
    named = [key for key in named_keys(prompt) if key not in keys]
    meant = [] if open_key is None else [key for key in named if key.startswith(open_key)] or [open_key]
    return _write(_with_named_keys(prompt, _source(view), [key for key in [*keys, *meant[:1]] if key]))


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _source(view: View) -> str:
    """Return the text values are taken from: the question and what the tools said."""
    return "\n".join([view.question, *(call.result for call in view.calls)])


def _without_orders(text: str, before: Sequence[str] = ()) -> str:
    """Leave out the sentences that say how to answer; if nothing is left, go by what was said before, or keep them."""
    told = [line for line in sentences(text) if not _WANTS_JSON.search(line)]
    return "\n".join(told) or (before[-1] if before else text)


def _instance(schema: Mapping[str, Any], text: str, done: Sequence[str] = ()) -> Any:
    return schemas.build(schema, schemas.Clues(text, done=done), root=schema)


def _schemas(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the JSON schemas written out in a text."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            if isinstance(value, dict) and isinstance(schemas.resolve(value, value).get("properties"), dict):
                yield text[at:end], value
        at = text.find("{", end)


def named_keys(prompt: str) -> list[str]:
    """Return the keys a prompt asks for, in quotation marks or listed after the word."""
    quoted = [key for key in values.quoted(prompt) if re.fullmatch(r"[\w-]+", key)]
    if quoted and (_KEYS.search(prompt) or _WANTS_JSON.search(prompt)):
        return list(dict.fromkeys(quoted))
    listed = _LISTED.search(prompt) or (_EXTRACTED.search(prompt) if _WANTS_JSON.search(prompt) else None)
    return re.split(r"\s*,\s*(?:and )?|\s+and\s+", listed[1]) if listed else []


def _with_named_keys(prompt: str, text: str, first: Sequence[str] = ()) -> dict[str, Any]:
    keys = list(dict.fromkeys([*first, *named_keys(prompt)]))
    if not keys:
        return {"answer": text.strip()}
    plain = text
    for key in keys:
        plain = re.sub(rf"['\"`]({re.escape(key)})['\"`]", r"\1", plain)
    properties = {key: {"type": "number" if key.lower() in _NUMERIC else "string"} for key in keys}
    schema = {"type": "object", "properties": properties, "required": keys}
    built = _instance(schema, _without_orders(plain))
    return built if isinstance(built, dict) else {}
