"""Every endpoint but chat completions: a table of method, path and the function that answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from . import formulas, rules, shapes
from .request import Rejected
from .scripting import RecordedRequest

if TYPE_CHECKING:
    from .emulator import KimiEmulator


@dataclass(frozen=True)
class Call:
    """A request to one of the endpoints.

    Attributes:
        emulator: Whose state it is about.
        record: The request as it is kept; an endpoint that reads JSON puts the body there.
        target: The path with its query, as sent.
        raw: The body.
        parts: What the path has in the places of the endpoint's braces.
    """

    emulator: KimiEmulator
    record: RecordedRequest
    target: str
    raw: bytes
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path alone."""
        return urlsplit(self.target).path.rstrip("/")

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters."""
        return dict(parse_qsl(urlsplit(self.target).query))

    def json(self) -> Any:
        """Read the body as JSON.

        Raises:
            Rejected: If it is none.
        """
        self.record.body = rules.parse_body(self.raw)
        return self.record.body


@dataclass(frozen=True)
class Answer:
    """What an endpoint answers: a body to be written as JSON, or text as it is."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def route(call: Call) -> Answer:
    """Let the endpoint answer that a request is for.

    Raises:
        Rejected: If there is none, or it refuses.
    """
    for method, pattern, endpoint in _ROUTES:
        found = pattern.fullmatch(call.path)
        if found and method in (call.record.method, "*"):
            parts = {name: unquote(part) for name, part in found.groupdict().items()}
            return endpoint(Call(call.emulator, call.record, call.target, call.raw, parts))
    raise Rejected(f"Not found: {call.record.method} {call.path}", status=404, type="resource_not_found_error")


def _list_models(call: Call) -> Answer:
    listed = [shapes.model_body(model) for model in call.emulator.served_models()]
    return Answer({"object": "list", "data": listed})


def _get_model(call: Call) -> Answer:
    id = call.parts["id"]
    for model in call.emulator.served_models():
        if model.id == id:
            return Answer(shapes.model_body(model))
    raise rules.model_not_found(id)


def _list_formula_tools(call: Call) -> Answer:
    return Answer(formulas.list_tools(call.parts["uri"]))


def _run_formula(call: Call) -> Answer:
    return Answer(formulas.run(call.parts["uri"], call.json()))


def _completions(call: Call) -> NoReturn:
    # MoonshotAI-Cookbook#19: "no open api access"
    raise Rejected("no open api access", status=403, type="permission_denied_error")


# {name} is one or more characters of the path, slashes included.
ENDPOINTS: tuple[tuple[str, str, Callable[[Call], Answer]], ...] = (
    ("GET", "/v1/models", _list_models),
    ("GET", "/v1/models/{id}", _get_model),
    ("*", "/v1/completions", _completions),
    ("GET", "/v1/formulas/{uri}/tools", _list_formula_tools),
    ("POST", "/v1/formulas/{uri}/fibers", _run_formula),
)

_ROUTES = [
    (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+)", path)), endpoint) for method, path, endpoint in ENDPOINTS
]
