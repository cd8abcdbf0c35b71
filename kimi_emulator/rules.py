"""The checks a request passes before it is answered, in the order they apply.

Every rule is a function that takes the request and raises ``Rejected`` or returns nothing. Its source stands beside
it. Where a rule is documented but the server's words for it are not public, its comment says "wording ours".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from . import (
    rules_history,
    rules_media,
    rules_messages,
    rules_output,
    rules_sampling,
    rules_schema,
    rules_thinking,
    rules_tools,
)
from .families import FAMILIES, Model, find_model
from .request import ChatRequest, Rejected, Rule

RULES: tuple[Rule, ...] = (
    *rules_messages.RULES,
    *rules_media.RULES,
    *rules_tools.RULES,
    *rules_thinking.RULES,
    *rules_history.RULES,
    *rules_sampling.RULES,
    *rules_output.RULES,
    *rules_schema.RULES,
)


def check(request: ChatRequest, without: Collection[str] = ()) -> None:
    """Apply every rule.

    Args:
        request: The request.
        without: Names of rules that do not hold.

    Raises:
        Rejected: With the first rule that refuses the request.
    """
    for rule in RULES:
        if rule.__name__ not in without:
            rule(request)


def check_key(authorization: str | None, keys: frozenset[str] | None) -> None:
    """Check the API key.

    Args:
        authorization: The ``Authorization`` header.
        keys: The accepted keys; None accepts whatever begins with ``sk-``.

    Raises:
        Rejected: If the key is missing or not accepted.
    """
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip() if scheme.lower() == "bearer" else ""
    if keys is not None and key in keys:
        return
    # oh-my-pi#5981, hermes-agent#12668: a key of the membership product or of the other region gets
    # "Invalid Authentication".
    if key.startswith("sk-kimi-"):
        raise Rejected("Invalid Authentication", status=401, type="invalid_authentication_error")
    # Every route, no key or a wrong one: "Incorrect API key provided"
    if keys is not None or not key.startswith("sk-"):
        raise Rejected("Incorrect API key provided", status=401, type="incorrect_api_key_error")


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
