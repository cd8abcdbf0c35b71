"""A strict local stand-in for Moonshot's Kimi API, on the standard library alone.

It answers chat completions on the loopback interface, refuses what the API refuses in the API's words, replays
scripted answers and faults, and otherwise answers on its own.

Example:
    ```python
    from kimi_emulator import KimiEmulator, Reply, ToolCall

    with KimiEmulator() as kimi:
        kimi.script(Reply(tool_calls=[ToolCall("get_weather", {"city": "Paris"})]))
        ...  # point a client at kimi.base_url with any key that begins with "sk-"
        print(kimi.requests[-1].body)
    ```
"""

from .emulator import KimiEmulator
from .files import Upload, UploadLimits
from .platform import Balance
from .scripting import Failure, RecordedRequest, Reply, ToolCall
from .standin import emulate_without_key

__all__ = [
    "Balance",
    "Failure",
    "KimiEmulator",
    "RecordedRequest",
    "Reply",
    "ToolCall",
    "Upload",
    "UploadLimits",
    "emulate_without_key",
]
__all__ = ["Balance", "Failure", "KimiEmulator", "RecordedRequest", "Reply", "ToolCall", "Upload", "UploadLimits"]
