"""The HTTP library under the SDK: httpx, or httpx2 from openai 3 on, which takes clients of both.

Which one it is, is asked of the classes at hand, and it is imported when it is needed: nothing of ours imports either
by name, since either may be missing.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any


def library_of(client_class: type, name: str) -> Any:
    """The library that a class of clients is derived from.

    Args:
        client_class: A class of clients, a user's own perhaps.
        name: What the library calls such clients: `Client` or `AsyncClient`.

    Returns:
        The library as a module; None where the class is derived from neither's.
    """
    for ancestor in client_class.__mro__:
        library = ancestor.__module__.partition(".")[0]  # "httpx", or "httpx._client"
        if library in ("httpx", "httpx2") and ancestor.__name__ == name:
            return importlib.import_module(library)
    return None


@functools.cache
def http_library() -> Any:
    """The library that the SDK's own clients are of, as a module."""
    import openai

    return library_of(openai.DefaultHttpxClient, "Client")


def response_class() -> type[Any]:
    """What to have the SDK cast an answer to: the library's response, untouched."""
    response: type[Any] = http_library().Response
    return response
