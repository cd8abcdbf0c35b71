"""Bodies of the endpoints beside chat: JSON objects, or a clear error. Pure."""

from __future__ import annotations

from typing import Any

from kimi_wire.errors import KimiResponseError, excerpt, parse_request_id
from kimi_wire.json_values import JSON, read_object


def parse_object(response: Any) -> JSON:
    """Parse a body that is to be a JSON object.

    Raises:
        KimiResponseError: It is none; a gateway's page with status 200 is the usual case.
    """
    parsed = read_object(response.content)
    if parsed is None:
        raise KimiResponseError(
            f"The server's answer is not a JSON object: {excerpt(response.content)}. Check the base_url.",
            request_id=parse_request_id(response.headers),
        )
    return parsed


def unusable(what: str, response: Any) -> KimiResponseError:
    """The error for a JSON object without what was asked for; `what` names the lack."""
    return KimiResponseError(
        f"The server sent {what}: {excerpt(response.content)}", request_id=parse_request_id(response.headers)
    )
