"""Every endpoint but chat completions: a table of method, path and the function that answers.

Shapes of the files' endpoints and of the balance are recorded (2024).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NoReturn
from urllib.parse import unquote

from .. import answering, rules, tokens
from ..request import Rejected
from ..services import files, formulas
from . import shapes
from .calls import Call, HttpAnswer
from .multipart import Part, parse_form


def route(call: Call) -> HttpAnswer:
    """Let the endpoint answer that a request is for.

    Raises:
        Rejected: If there is none, or it refuses.
    """
    for method, pattern, endpoint in _ROUTES:
        found = pattern.fullmatch(call.path)
        if found and method in (call.record.method, "*"):
            parts = {name: unquote(part) for name, part in found.groupdict().items()}
            return endpoint(replace(call, parts=parts))
    raise Rejected(f"Not found: {call.record.method} {call.path}", status=404, type="resource_not_found_error")


def _list_models(call: Call) -> HttpAnswer:
    return HttpAnswer({"object": "list", "data": [shapes.model_body(model) for model in call.state.models]})


def _get_model(call: Call) -> HttpAnswer:
    id = call.parts["id"]
    for model in call.state.models:
        if model.id == id:
            return HttpAnswer(shapes.model_body(model))
    raise rules.model_not_found(id)


def _get_balance(call: Call) -> HttpAnswer:
    balance = call.state.balance
    data = {
        "available_balance": balance.available,
        "voucher_balance": balance.voucher,
        "cash_balance": balance.cash,
    }
    return HttpAnswer({"code": 0, "data": data, "scode": "0x0", "status": True})


def _estimate_tokens(call: Call) -> HttpAnswer:
    """Count the tokens of messages, images included.

    From the documentation, https://platform.kimi.ai/docs/api/estimate: `model` and `messages` are required, the
    messages are those of a chat request; `tools` is no parameter and counts nothing.
    """
    request = answering.read(call.state, call.json())
    if call.state.check:
        rules.check_messages(request)
    counted = {"messages": request.body.get("messages")}
    return HttpAnswer({"data": {"total_tokens": tokens.count_prompt(counted, request.family)}})


def _upload_file(call: Call) -> HttpAnswer:
    form = parse_form(call.record.raw, call.record.headers.get("content-type", ""))
    call.record.body = _recorded(form)
    file, purpose = form.get("file"), form.get("purpose")
    if file is None or file.filename is None:
        raise Rejected("missing required parameter: file")  # wording ours
    kept = files.keep(
        call.state,
        filename=file.filename,
        purpose=purpose.data.decode("utf-8", "replace") if purpose else "",
        media_type=file.media_type,
        data=file.data,
    )
    return HttpAnswer(kept.body)


def _recorded(form: Mapping[str, Part]) -> dict[str, Any]:
    """What a test wants to see of a form: plain fields as text, files by name, type and size."""
    return {
        name: part.data.decode("utf-8", "replace")
        if part.filename is None
        else {"filename": part.filename, "media_type": part.media_type, "bytes": len(part.data)}
        for name, part in form.items()
    }


def _list_files(call: Call) -> HttpAnswer:
    """List the files, the newest first."""
    kept = list(call.state.uploads.values())
    return HttpAnswer({"object": "list", "data": [one.body for one in reversed(kept)]})


def _get_file(call: Call) -> HttpAnswer:
    return HttpAnswer(files.find(call.state, call.parts["id"]).body)


def _delete_file(call: Call) -> HttpAnswer:
    id = call.parts["id"]
    files.delete(call.state, id)
    return HttpAnswer({"deleted": True, "id": id, "object": "file"})


def _get_content(call: Call) -> HttpAnswer:
    """Return what was extracted, and for the other purposes the file itself (from the documentation)."""
    found = files.find(call.state, call.parts["id"])
    if found.purpose != "file-extract":
        return HttpAnswer(found.data, headers={"Content-Type": found.media_type})
    body = {
        "content": found.text,
        "file_type": found.media_type,
        "filename": found.filename,
        "title": found.title,
        "type": "file",
    }
    return HttpAnswer(body)


def _list_formula_tools(call: Call) -> HttpAnswer:
    return HttpAnswer(formulas.list_tools(call.parts["uri"]))


def _run_formula(call: Call) -> HttpAnswer:
    return HttpAnswer(formulas.run(call.parts["uri"], call.json()))


def _completions(call: Call) -> NoReturn:
    # MoonshotAI-Cookbook#19: "no open api access"
    raise Rejected("no open api access", status=403, type="permission_denied_error")


# {name} is one or more characters of the path, slashes included; the first line that fits is taken.
ENDPOINTS: tuple[tuple[str, str, Callable[[Call], HttpAnswer]], ...] = (
    ("GET", "/v1/models", _list_models),
    ("GET", "/v1/models/{id}", _get_model),
    ("GET", "/v1/users/me/balance", _get_balance),
    ("POST", "/v1/tokenizers/estimate-token-count", _estimate_tokens),
    ("POST", "/v1/files", _upload_file),
    ("GET", "/v1/files", _list_files),
    ("GET", "/v1/files/{id}/content", _get_content),
    ("GET", "/v1/files/{id}", _get_file),
    ("DELETE", "/v1/files/{id}", _delete_file),
    ("*", "/v1/completions", _completions),
    ("GET", "/v1/formulas/{uri}/tools", _list_formula_tools),
    ("POST", "/v1/formulas/{uri}/fibers", _run_formula),
)

_PLACE = re.compile(r"\{(\w+)\}")


def path_pattern(path: str) -> re.Pattern[str]:
    """What a path fits that has something in the places of the braces."""
    return re.compile(_PLACE.sub(r"(?P<\1>.+)", path))


_ROUTES = [(method, path_pattern(path), endpoint) for method, path, endpoint in ENDPOINTS]
