"""Every endpoint but chat completions: a table of method, path and the function that answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import unquote

from . import files, platform
from .calls import Answer, Call
from .request import Rejected


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


def _completions(call: Call) -> NoReturn:
    # MoonshotAI-Cookbook#19: "no open api access"
    raise Rejected("no open api access", status=403, type="permission_denied_error")


# {name} is one or more characters of the path, slashes included; the first line that fits is taken.
ENDPOINTS: tuple[tuple[str, str, Callable[[Call], Answer]], ...] = (
    ("GET", "/v1/models", platform.list_models),
    ("GET", "/v1/models/{id}", platform.get_model),
    ("GET", "/v1/users/me/balance", platform.get_balance),
    ("POST", "/v1/tokenizers/estimate-token-count", platform.estimate_tokens),
    ("POST", "/v1/files", files.upload),
    ("GET", "/v1/files", files.list_all),
    ("GET", "/v1/files/{id}/content", files.get_content),
    ("GET", "/v1/files/{id}", files.get_one),
    ("DELETE", "/v1/files/{id}", files.delete),
    ("*", "/v1/completions", _completions),
)

_ROUTES = [
    (method, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>.+)", path)), endpoint) for method, path, endpoint in ENDPOINTS
]
