"""Official tools ("Formula"): `GET /v1/formulas/{uri}/tools` and `POST /v1/formulas/{uri}/fibers`.

Shapes are from the documentation (https://platform.kimi.ai/docs/guide/use-official-tools); no traffic was recorded but
for the name `base64_encode` and its arguments. The other tools' names, their schemas, their results and every word of
an error are ours. Results of `web-search` are "encrypted": text that only the model reads, in the documented wrapping.
"""

from __future__ import annotations

import base64
import binascii
import json
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from .. import search
from ..request import Rejected, illegal, kind
from ..sealed import encrypt

Arguments = Mapping[str, Any]


class ToolFailed(Exception):
    """A tool cannot do what it is asked to; the message says why."""


@dataclass(frozen=True)
class FormulaTool:
    """A tool of a formula.

    Attributes:
        name: Its name.
        description: What it does.
        properties: The schemas of its parameters.
        required: The parameters that must be given.
        run: Does it.
        encrypted: Whether only the model may read the result.
    """

    name: str
    description: str
    properties: Mapping[str, Mapping[str, Any]]
    required: tuple[str, ...]
    run: Callable[[Arguments], str]
    encrypted: bool = False

    @property
    def body(self) -> dict[str, Any]:
        """The tool as the API lists it."""
        parameters = {"type": "object", "properties": dict(self.properties), "required": list(self.required)}
        return {
            "type": "function",
            "function": {"name": self.name, "description": self.description, "parameters": parameters},
        }


def _date(given: Arguments) -> str:
    hours = given.get("utc_offset", 0)
    if abs(hours) > 14:
        raise ToolFailed(f"utc_offset must be between -14 and 14, not {hours}")
    now = datetime.now(timezone(timedelta(hours=hours)))
    return now.strftime(given.get("format", "%Y-%m-%d %H:%M:%S %A"))


def _encode(given: Arguments) -> str:
    return base64.b64encode(_bytes(given)).decode()


def _bytes(given: Arguments) -> bytes:
    try:
        return str(given["data"]).encode(given.get("encoding", "utf-8"))
    except (LookupError, ValueError) as error:
        raise ToolFailed(str(error)) from None


def _decode(given: Arguments) -> str:
    try:
        return base64.b64decode(given["data"], validate=True).decode(given.get("encoding", "utf-8"))
    except (binascii.Error, LookupError, ValueError) as error:
        raise ToolFailed(f"not base64: {error}") from None


def _choose(given: Arguments) -> str:
    candidates, count = given["candidates"], given.get("count", 1)
    if not 1 <= count <= len(candidates):
        raise ToolFailed(f"cannot choose {count} of {len(candidates)}")
    chosen = random.SystemRandom().sample(candidates, count)
    return json.dumps(chosen, ensure_ascii=False) if count > 1 else str(chosen[0])


# Each unit in the base unit of its kind.
_UNITS: Mapping[str, tuple[str, float]] = {
    "mm": ("length", 0.001),
    "cm": ("length", 0.01),
    "m": ("length", 1.0),
    "km": ("length", 1000.0),
    "inch": ("length", 0.0254),
    "ft": ("length", 0.3048),
    "mile": ("length", 1609.344),
    "g": ("mass", 0.001),
    "kg": ("mass", 1.0),
    "lb": ("mass", 0.45359237),
}


def _convert(given: Arguments) -> str:
    units = [given["from_unit"], given["to_unit"]]
    unknown = [unit for unit in units if unit not in _UNITS]
    if unknown:
        raise ToolFailed(f"unknown unit {unknown[0]!r}; there are {', '.join(_UNITS)}")
    (kind_of_one, one), (kind_of_other, other) = (_UNITS[unit] for unit in units)
    if kind_of_one != kind_of_other:
        raise ToolFailed(f"{units[0]} is a {kind_of_one}, {units[1]} is a {kind_of_other}")
    return f"{given['value'] * one / other:.6g} {units[1]}"


def _search(given: Arguments) -> str:
    return search.say(search.search(given["query"]))


_TEXT = {"type": "string"}
_ENCODING = {"type": "string", "description": "Character encoding of the text"}

FORMULAS: Mapping[str, tuple[FormulaTool, ...]] = {
    "moonshot/date:latest": (
        FormulaTool(
            "date",
            "Tell the current date and time.",
            {
                "utc_offset": {"type": "integer", "description": "Hours ahead of UTC"},
                "format": {"type": "string", "description": "Format of strftime"},
            },
            (),
            _date,
        ),
    ),
    "moonshot/base64:latest": (
        FormulaTool(
            "base64_encode", "Encode a text as base64.", {"data": _TEXT, "encoding": _ENCODING}, ("data",), _encode
        ),
        FormulaTool(
            "base64_decode", "Decode a base64 text.", {"data": _TEXT, "encoding": _ENCODING}, ("data",), _decode
        ),
    ),
    "moonshot/random-choice:latest": (
        FormulaTool(
            "random_choice",
            "Choose among candidates at random.",
            {"candidates": {"type": "array", "items": _TEXT}, "count": {"type": "integer"}},
            ("candidates",),
            _choose,
        ),
    ),
    "moonshot/convert:latest": (
        FormulaTool(
            "convert",
            "Convert a length or a mass from one unit to another.",
            {"value": {"type": "number"}, "from_unit": _TEXT, "to_unit": _TEXT},
            ("value", "from_unit", "to_unit"),
            _convert,
        ),
    ),
    "moonshot/web-search:latest": (
        FormulaTool(
            "web_search",
            "Search the web for current information.",
            {"query": {"type": "string", "description": "What to search for"}},
            ("query",),
            _search,
            encrypted=True,
        ),
    ),
}


def list_tools(uri: str) -> dict[str, Any]:
    """Answer `GET /v1/formulas/{uri}/tools`.

    Raises:
        Rejected: There is no such formula.
    """
    return {"object": "list", "tools": [tool.body for tool in _formula(uri)]}


def run(uri: str, body: Any) -> dict[str, Any]:
    """Answer `POST /v1/formulas/{uri}/fibers`: run a tool, whose failure is a part of the answer.

    Raises:
        Rejected: There is no such formula or tool, or the body has another form.
    """
    tools = {tool.name: tool for tool in _formula(uri)}
    body = body if isinstance(body, Mapping) else {}
    name, given = body.get("name"), body.get("arguments")
    if not isinstance(name, str) or name not in tools:
        raise Rejected(f"Invalid request: {uri} has no tool {name!r}")
    if not isinstance(given, str):  # "arguments" stays a JSON string
        raise illegal("arguments", "string", given)
    tool = tools[name]
    context: dict[str, Any] = {"input": json.dumps({"name": name, "arguments": given}, ensure_ascii=False)}
    status = "succeeded"
    try:
        result = tool.run(_check(tool, given))
        context |= {"encrypted_output": encrypt(result)} if tool.encrypted else {"output": result}
    except (ToolFailed, ValueError, OverflowError) as failed:
        status, context = "failed", {**context, "error": str(failed)}
    return {
        "id": f"fiber-{secrets.token_hex(10)}",
        "object": "fiber",
        "created_at": int(time.time()),
        "lambda_id": f"lambda-{secrets.token_hex(10)}",
        "status": status,
        "context": context,
        "formula": uri,
        "organization_id": "org-00000000000000000000000000000000",
        "project_id": "proj-00000000000000000000000000000000",
    }


def _formula(uri: str) -> tuple[FormulaTool, ...]:
    if uri not in FORMULAS:
        raise Rejected(f"Not found the formula {uri}", status=404, type="resource_not_found_error")
    return FORMULAS[uri]


_KINDS = {
    "string": ("string",),
    "integer": ("int",),
    "number": ("int", "float"),
    "array": ("array",),
}


def _check(tool: FormulaTool, text: str) -> dict[str, Any]:
    """Read arguments and hold them to the tool's schema."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ToolFailed(f"the arguments are not valid JSON: {error}") from None
    if not isinstance(given, dict):
        raise ToolFailed("the arguments are not a JSON object")
    missing = [name for name in tool.required if name not in given]
    if missing:
        raise ToolFailed(f"missing required argument: {missing[0]}")
    for name, value in given.items():
        if name not in tool.properties:
            raise ToolFailed(f"unknown argument: {name}")
        expected = str(tool.properties[name]["type"])
        if kind(value) not in _KINDS[expected]:
            raise ToolFailed(f"argument {name} must be of type {expected}, not {kind(value)}")
    return given
