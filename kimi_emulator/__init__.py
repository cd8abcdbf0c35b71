"""A strict local stand-in for Moonshot's Kimi API, on the standard library alone.

It answers chat completions on the loopback interface, refuses what the API refuses in the API's words, replays
scripted answers and faults, and otherwise answers on its own.

Example:
    ```python
    from kimi_emulator import KimiEmulator, Reply, ToolCall
    from openai import OpenAI

    with KimiEmulator() as kimi:
        kimi.script(Reply(tool_calls=[ToolCall("get_weather", {"city": "Paris"})]))
        client = OpenAI(base_url=kimi.base_url, api_key="sk-test")  # any key that begins with "sk-"
        client.chat.completions.create(model="kimi-k3", messages=[{"role": "user", "content": "How is the weather?"}])
        print(kimi.requests[-1].body)
    ```
"""

from .emulator import KimiEmulator
from .scripting import Failure, RecordedRequest, Reply, ToolCall
from .standin import emulate_without_key
from .state import Balance, Upload, UploadLimits

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
