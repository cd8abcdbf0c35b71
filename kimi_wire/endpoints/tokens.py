"""How many tokens a conversation takes, estimated without the model's tokenizer and without the network. Pure.

The estimate knows how such tokenizers split (words, groups of digits, signs) and what recorded requests were billed;
expect it within a fifth. Exact numbers are the server's: `KimiPlatform.count_tokens`, and each answer's usage.

Deliberately absent: a tokenizer. Kimi's is a download of some megabytes whose text template is not published for the
newest models, and tiktoken's counts are wrong (langgenius/dify-official-plugins#2398).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kimi_wire.profiles import Thinking, profile_for
from kimi_wire.requests import read_parts
from kimi_wire.settings import DEFAULT_MODEL

TOKENS_PER_IMAGE = 1024
"""Of an image or a video. "1024 per image" (Moonshot's help center); the documents say that it depends on the
resolution, and recordings of tiny images had about ten. Of a video this is far too little."""

# Recorded in July 2026: "Hi there!" is 88 tokens to kimi-k3 and "Hello" 8 to moonshot-v1-8k.
_HIDDEN_PROMPT = 80
_PER_MESSAGE = 5
# Recorded on kimi-k3: one tool adds 121 tokens to a prompt, three others 173; their JSON is written more tightly than
# it is sent. A history with calls costs more than its messages, too.
_TOOL_PROMPT, _TOOL_JSON, _CALLS_PROMPT = 85, 0.45, 60
_PER_CALL = 5

# Of each kind of text, characters per token; runs do not share tokens, and a single space belongs to the next word.
_RUNS = re.compile(
    r"(?P<word>[A-Za-z]+)"
    r"|(?P<digits>[0-9]+)"
    r"|(?P<cjk>[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+)"
    r"|(?P<space>\s+)"
    r"|(?P<letters>[^\W\d_]+)"
    r"|(?P<signs>[!-/:-@\[-`{-~]+)"
    r"|(?P<control>[\x00-\x1f\x7f])"
    r"|(?P<other>.)",
    re.DOTALL,
)
_LENGTHS = {"word": 7.0, "digits": 3.0, "cjk": 1.5, "letters": 3.0, "signs": 2.5, "control": 1.0, "other": 0.5}


def estimate_text(text: str) -> int:
    """Estimate the tokens of a text.

    Args:
        text: Any text. A token is about four letters of English, one and a half Chinese characters.
    """
    return sum(map(_count_run, _RUNS.finditer(text)))


def _count_run(run: re.Match[str]) -> int:
    kind = run.lastgroup or "other"
    start, end = run.span()
    if kind == "space":
        found = run[0]
        return 0 if found == " " else 1 + (end - start) // 16
    return int(-(-(end - start) // _LENGTHS[kind]))


def estimate_tools(tools: Sequence[Mapping[str, Any]]) -> int:
    """Estimate what tool declarations add to a prompt.

    Args:
        tools: Declarations in the API's form.
    """
    return _TOOL_PROMPT + round(_TOOL_JSON * sum(map(_count_json, tools))) if tools else 0


def estimate_messages(
    messages: Sequence[Mapping[str, Any]], model: str = DEFAULT_MODEL, tools: Sequence[Mapping[str, Any]] = ()
) -> int:
    """Estimate the prompt tokens of a request.

    Args:
        messages: Messages in the API's form. None at all are 0 tokens.
        model: The model; kimi-k3 has a hidden system prompt.
        tools: Tool declarations that go with them.
    """
    if not messages and not tools:
        return 0
    with_calls = not tools and any(message.get("tool_calls") for message in messages)
    return (
        hidden_prompt(model)
        + sum(map(_count_message, messages))
        + estimate_tools(tools)
        + (_CALLS_PROMPT if with_calls else 0)
    )


def hidden_prompt(model: str) -> int:
    """The tokens of the prompt that a server puts before the messages of each request, as far as they were seen.

    Args:
        model: The model; kimi-k3 and newer have one.
    """
    return _HIDDEN_PROMPT if profile_for(model).thinking is Thinking.EFFORT else 0


def _count_message(message: Mapping[str, Any]) -> int:
    texts = [message.get(name) for name in ("reasoning_content", "name")]
    calls = message.get("tool_calls") or ()
    return (
        _PER_MESSAGE
        + _count_content(message)
        + sum(estimate_text(text) for text in texts if isinstance(text, str))
        + sum(_PER_CALL + _count_json(call.get("function") if isinstance(call, Mapping) else call) for call in calls)
        + (sum(map(_count_json, message["tools"])) if message.get("tools") else 0)
    )


def _count_content(message: Mapping[str, Any]) -> int:
    content, role = message.get("content"), message.get("role", "")
    if isinstance(content, str):
        return estimate_text(content)
    parts = read_parts(content, 0, role) if isinstance(content, Sequence) else ()
    media = 0 if role == "assistant" else TOKENS_PER_IMAGE
    return sum(estimate_text(part) if isinstance(part, str) else media for part in parts)


def _count_json(value: Any) -> int:
    return estimate_text(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str))
