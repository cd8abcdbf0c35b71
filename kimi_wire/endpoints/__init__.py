"""What can be asked of the server, each over a connection: chat, files, the account, official tools.

`chat` holds the four shells of chat completions, `uploads` what has to be there before one is sent, `files`, `account`
and `formulas` the other endpoints, `tokens` the estimate that needs none. Names are handed on without importing them:
most programs only chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kimi_wire.lazy import lazy_names

if TYPE_CHECKING:
    from kimi_wire.endpoints.account import Balance, KimiPlatform, ModelInfo, currency_of, parse_models
    from kimi_wire.endpoints.chat import KimiClient
    from kimi_wire.endpoints.files import DEFAULT_CONCURRENCY, FileInfo, KimiFiles
    from kimi_wire.endpoints.formulas import FormulaTool, KimiFormulas
    from kimi_wire.endpoints.tokens import estimate_messages, estimate_text, estimate_tools, hidden_prompt

__all__ = [
    "DEFAULT_CONCURRENCY",
    "Balance",
    "FileInfo",
    "FormulaTool",
    "KimiClient",
    "KimiFiles",
    "KimiFormulas",
    "KimiPlatform",
    "ModelInfo",
    "currency_of",
    "estimate_messages",
    "estimate_text",
    "estimate_tools",
    "hidden_prompt",
    "parse_models",
]

__getattr__ = lazy_names(
    __name__,
    {
        "files": "DEFAULT_CONCURRENCY FileInfo KimiFiles",
        "account": "Balance KimiPlatform ModelInfo currency_of parse_models",
        "tokens": "estimate_messages estimate_text estimate_tools hidden_prompt",
        "formulas": "FormulaTool KimiFormulas",
        "chat": "KimiClient",
    },
)
