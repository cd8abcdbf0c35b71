"""The body that a request would have: rendered as for a model object, shown in place of sent. No key is needed.

Deliberately absent: a way to give LangChain's or LlamaIndex's messages. Those are objects of a program, whose log shows
what they became (`kimi_wire.log`).
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from kimi_wire.errors import KimiRequestError


def read_request(source: str, stdin: TextIO) -> dict[str, Any]:
    """What a file asks for: messages, and settings beside them.

    Args:
        source: A file with a list of messages in the API's form, or with an object that has `messages`, such as the
            body of a request to OpenAI; `-` is the standard input.
        stdin: The standard input.

    Raises:
        KimiRequestError: It has neither.
        OSError: It cannot be read.
    """
    problem = ""
    written = stdin.read().removeprefix("\ufeff") if source == "-" else Path(source).read_bytes()
    try:
        read = json.loads(written)  # of bytes, it finds out whether they are UTF-8 or the UTF-16 of Windows
    except (ValueError, RecursionError) as error:
        read, problem = None, f": {error}"
    asked = {"messages": read} if isinstance(read, list) else read
    if not isinstance(asked, dict) or not _are_messages(asked.setdefault("messages", [])):
        raise KimiRequestError(f"{source} has no JSON list of messages, and no object with `messages`{problem}.")
    return asked


def read_setting(text: str) -> tuple[str, Any]:
    """A setting of the command line.

    Args:
        text: `NAME=VALUE`; a value that is JSON is read as that, any other is a text.

    Raises:
        ArgumentTypeError: It has no `=`.
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def as_curl(body: str, base_url: str) -> str:
    """A shell command that sends a body, with the key of the environment.

    Args:
        body: JSON, in which no line can end the here-document.
        base_url: The API's root.
    """
    return (
        f"curl {shlex.quote(f'{base_url}/chat/completions')} \\\n"
        '  -H "Authorization: Bearer $MOONSHOT_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  --data-binary @- <<'BODY'\n{body}\nBODY"
    )


def _are_messages(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(one, dict) for one in value)
