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
from .clues import Clues
from .view import View

_KEYS = re.compile(
    r"\b(?:(?:keys?|fields?)(?: named)?[\s:]+|extract the )((?:[\w-]+(?:\s*,\s*(?:and )?|\s+and\s+))*[\w-]+)", re.I
)
_KEY = re.compile(r"[\w-]+")
_QUOTED_KEY = re.compile(r"['\"`]([\w-]+)['\"`]")
_BETWEEN = re.compile(r",\s*(?:and )?|\sand\s")
_MOST_KEYS = 100
_WANTS_JSON = re.compile(r"\bJSON\b")


def answer(request: ChatRequest, view: View) -> str | None:
    """Answer in JSON if the request or its prompt asks for it; None if neither does."""
    format = request.body.get("response_format")
    kind = format.get("type") if isinstance(format, Mapping) else None
    if kind == "json_schema" and isinstance(format, Mapping):
        given = format.get("json_schema")
        schema = given.get("schema") if isinstance(given, Mapping) else None
        clues = Clues(_source(view), done=[call.name for call in view.calls])
        return _write(schemas.build(schema if isinstance(schema, Mapping) else {}, clues))
    prompt = f"{view.system}\n{view.question}"
    embedded = next(_schemas(prompt), None) if _WANTS_JSON.search(prompt) else None
    if embedded is not None:
        written, schema = embedded
        text = _without_orders(_source(view).replace(written, " "), view.user_said)
        return _write(schemas.build(schema, Clues(text)))
    return with_named_keys(view) if kind == "json_object" else None


def with_named_keys(view: View) -> str:
    """Answer with an object that has the keys the prompt names, in quotation marks or listed after the word."""
    prompt, text = f"{view.system}\n{view.question}", _source(view)
    keys = [key for key in values.quoted(prompt) if _KEY.fullmatch(key)]
    if not keys:
        listed = _KEYS.search(prompt)
        keys = [key.strip() for key in _BETWEEN.split(listed[1])] if listed else []
    if not keys:
        return _write({"answer": text.strip()})
    keys = keys[:_MOST_KEYS]
    named = set(keys)
    text = _QUOTED_KEY.sub(lambda found: found[1] if found[1] in named else found[0], text)
    properties = {key: {"type": "string"} for key in keys}
    schema = {"type": "object", "properties": properties, "required": keys}
    return _write(schemas.build(schema, Clues(_without_orders(text))))


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _source(view: View) -> str:
    """Return the text values are taken from: the question and what the tools said."""
    return "\n".join([view.question, *(call.result for call in view.calls)])


def _without_orders(text: str, before: Sequence[str] = ()) -> str:
    """Leave out the sentences that say how to answer; if nothing is left, go by what was said before, or keep them."""
    told = [line for line in sentences(text) if not _WANTS_JSON.search(line)]
    return "\n".join(told) or (before[-1] if before else text)


def _schemas(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the JSON schemas written out in a text."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
        except RecursionError:
            return
        except ValueError:
            end = at + 1
        else:
            if isinstance(value, dict) and isinstance(schemas.resolve(value, value).get("properties"), dict):
                yield text[at:end], value
        at = text.find("{", end)
