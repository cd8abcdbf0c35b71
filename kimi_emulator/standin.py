"""For demonstrations and notebooks: an emulator where nobody has a key."""

from __future__ import annotations

import os
import re

from .emulator import KimiEmulator
from .rules import PLACEHOLDERS

# The variables that clients of the API read (platform.kimi.ai/docs/api/overview and what is built on it).
_KEYS = ("MOONSHOT_API_KEY", "KIMI_API_KEY")
_BASE_URLS = ("MOONSHOT_BASE_URL", "MOONSHOT_API_BASE", "KIMI_BASE_URL")
_NAMES = (_KEYS, _BASE_URLS)

_KEY = "sk-emulator"
_STARTED: list[str] = []  # a cell of a notebook is run again


def emulate_without_key(*, chunk_delay: float = 0.0) -> str:
    """Start an emulator and point this process's environment at it, unless the environment has an API key.

    "test", "dummy" and "EMPTY" are no keys, unless the environment names a server, which may want none. The emulator
    lives as long as the process.

    Args:
        chunk_delay: Seconds between streamed events.

    Returns:
        One line that says whom clients talk to from now on.
    """
    key, url = (next(filter(None, (os.environ.get(name, "").strip() for name in names)), "") for names in _NAMES)
    if url in _STARTED and key not in ("", _KEY, *PLACEHOLDERS):  # a key was set since, for the real API
        del os.environ["MOONSHOT_BASE_URL"]
        return emulate_without_key(chunk_delay=chunk_delay)
    if key and url not in _STARTED and (url or key not in PLACEHOLDERS):
        return f"This is the real API: {re.sub('//[^/]*@', '//', url) or 'https://api.moonshot.ai/v1'}"
    if url not in _STARTED:
        url = KimiEmulator(chunk_delay=chunk_delay).start().base_url
        _STARTED.append(url)
    os.environ.update(MOONSHOT_API_KEY=_KEY, MOONSHOT_BASE_URL=url)
    return "No key is set, so this is the built-in emulator, not Kimi. With MOONSHOT_API_KEY set, it is the real API."
