"""The first look at a request: whether its body is JSON, and which model it addresses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..families import FAMILIES, Model, find_model
from ..request import ChatRequest, Rejected


def parse_body(raw: bytes) -> Any:
    """Parse a request body.

    Raises:
        Rejected: If it is not JSON, or nested deeper than can be parsed (wording ours).
    """
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Rejected(f"Invalid request: the request body is not valid JSON: {error}") from None


def model_not_found(model: str) -> Rejected:
    """Build the rejection of an unknown or withdrawn model.

    dify-official-plugins#3578: "Not found the model kimi-k2.5 or Permission denied".
    """
    return Rejected(f"Not found the model {model} or Permission denied", status=404, type="resource_not_found_error")


def read_chat_request(
    body: Any, *, extra_models: Mapping[str, str], serve_retired: bool = True, check: bool = True
) -> ChatRequest:
    """Find out which model a body addresses.

    Args:
        body: The parsed body.
        extra_models: Model ids beyond the table, each with its family.
        serve_retired: Whether withdrawn models are served.
        check: Whether an unknown model is an error; if not, it is treated as the newest family's.

    Raises:
        Rejected: If the body is not an object, or names no model or an unknown one.
    """
    if not isinstance(body, dict):
        raise Rejected("Invalid request: the request body must be a JSON object")
    name = body.get("model")
    if check and (not isinstance(name, str) or not name):
        # Wording ours, after BrowserOS#657: "missing required parameter: response_format.json_schema.name".
        raise Rejected("missing required parameter: model")
    name = name if isinstance(name, str) else ""
    model = find_model(name, extra_models)
    if check and (model is None or (model.family.retired and not serve_retired)):
        raise model_not_found(name)
    return ChatRequest(body, name, (model or Model(name, FAMILIES["k3"])).family)
