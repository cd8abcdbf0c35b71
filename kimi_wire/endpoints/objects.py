"""Bodies of the endpoints beside chat: JSON objects, or a clear error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jiter import from_json

from kimi_wire.errors import KimiResponseError, parse_request_id


def parse_object(body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    """Parse a body that is to be a JSON object.

    Args:
        body: The response's bytes.
        headers: The response's headers.

    Raises:
        KimiResponseError: It is none; a gateway's page with status 200 is the usual case.
    """
    try:
        parsed = from_json(body)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        excerpt = body[:200].decode("utf-8", "replace")
        raise KimiResponseError(
            f"The server's answer is not a JSON object: {excerpt!r}. Check the base_url.",
            request_id=parse_request_id(headers),
        )
    return parsed
