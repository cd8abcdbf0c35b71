"""From a reply to what is sent: limits and stop words applied, tokens counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import tokens
from .request import ChatRequest
from .scripting import Reply
from .shapes import arguments_text, usage_body

# Beyond reasoning and text, a finished answer of kimi-k3 was billed about 15 tokens and a cut one 3.
_OPENING = 3
_CLOSING = 12


def limit(reply: Reply, request: ChatRequest) -> Reply:
    """Apply stop sequences and the token cap to an answer.

    The cap is spent on reasoning first: a small one leaves ``content`` empty with ``finish_reason: "length"``.
    """
    return _cap(_stop(reply, request.stops), request.max_tokens)


def _stop(reply: Reply, stops: list[str]) -> Reply:
    found = [at for at in (reply.content.find(stop) for stop in stops) if at >= 0]
    if not found:
        return reply
    return replace(reply, content=reply.content[: min(found)], tool_calls=(), finish_reason="stop")


def _cap(reply: Reply, cap: int | None) -> Reply:
    if cap is None or _spent(reply) <= cap:
        return reply
    budget = max(cap - (_OPENING if reply.reasoning is not None else 0), 0)
    reasoning = tokens.cut(reply.reasoning, budget) if reply.reasoning is not None else None
    content = ""
    if reasoning == reply.reasoning:
        content = tokens.cut(reply.content, budget - tokens.count(reasoning or ""))
    return replace(reply, reasoning=reasoning, content=content, tool_calls=(), finish_reason="length")


def _spent(reply: Reply) -> int:
    thinking = tokens.count(reply.reasoning) + _OPENING if reply.reasoning is not None else 0
    calls = sum(tokens.count(call.name) + tokens.count(arguments_text(call)) + 8 for call in reply.tool_calls)
    closing = _CLOSING if reply.reasoning is not None and reply.ending != "length" else 0
    return thinking + tokens.count(reply.content) + calls + closing


def usage(reply: Reply, request: ChatRequest, cached: int) -> dict[str, Any]:
    """Return the usage to report: the scripted one, or an estimate.

    Args:
        reply: The answer.
        request: The request.
        cached: Prompt tokens found in the prefix cache; a scripted number wins.
    """
    if reply.usage is not None:
        return dict(reply.usage)
    completion = _spent(reply)
    if reply.ending == "length" and request.max_tokens is not None:
        completion = request.max_tokens
    reasoning = min(tokens.count(reply.reasoning), completion) if reply.reasoning is not None else None
    hit = cached if reply.cached_tokens is None else reply.cached_tokens
    return usage_body(request.family, _prompt(request), completion, hit, reasoning)


def _prompt(request: ChatRequest) -> int:
    return tokens.count_prompt(request.body, request.family)


def cached_tokens(usage: Mapping[str, Any]) -> int:
    """Read how many cached tokens a usage object reports."""
    cached = usage.get("cached_tokens")
    return cached if isinstance(cached, int) else 0
