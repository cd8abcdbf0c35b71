"""How a chat request becomes an answer: refused by a rule, or the next scripted step, or what the built-in model says.

Limits and stop words are applied to the answer, and its tokens counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import brain, rules, tokens
from .families import Family
from .request import ChatRequest, text_of
from .scripting import Failure, Reply, ToolCall, arguments_text
from .state import State

# Beyond reasoning and text, a finished answer of kimi-k3 was billed about 15 tokens and a cut one 3.
_OPENING = 3
_CLOSING = 12
_PER_CALL = 8


def read(state: State, body: Any) -> ChatRequest:
    """Find out which of the emulator's models a body addresses.

    Raises:
        Rejected: If the body is not an object, or names no model or an unknown one.
    """
    return rules.read_chat_request(
        body, extra_models=state.extra_models, serve_retired=state.serve_retired, check=state.check
    )


def decide(state: State, body: Any) -> tuple[ChatRequest, Reply | Failure]:
    """Check a chat request and choose its answer.

    Args:
        state: The emulator's state, whose script goes on by one step.
        body: The request's parsed JSON.

    Returns:
        The request as the rules read it, and what to answer.

    Raises:
        Rejected: If a rule refuses the request.
    """
    rules.check_rate(state.requests_per_minute, state.last_minute)
    request = read(state, body)
    if state.check:
        request = state.host.read(request)
        rules.check(request, state.host.without_rules)
        rules.check_uploads(request, state.uploads)
        rules.check_balance(state.balance)
    step = state.next_step()
    if callable(step):
        step = step(dict(body))
    if step is None:
        return request, _limit(brain.answer(request, state.uploads), request)
    return request, step if isinstance(step, Failure) else _fit(step, request)


def account(state: State, request: ChatRequest, reply: Reply) -> dict[str, Any]:
    """Return the usage of an answer, the prefix cache consulted: the API's ``usage`` object, counts in tokens."""
    return _usage(reply, request, *state.cache.remember(request.body, request.family))


def _limit(reply: Reply, request: ChatRequest) -> Reply:
    """Apply stop sequences and the token cap to an answer.

    The cap is spent on reasoning first: a small one leaves ``content`` empty with ``finish_reason: "length"``.
    """
    return _cap(_stop(reply, request.stops), request.max_tokens)


def _fit(reply: Reply, request: ChatRequest) -> Reply:
    """Apply to a scripted answer what it asks for.

    Raises:
        ValueError: If a whole answer does not begin with the prefix of the request.
    """
    if reply.whole:
        reply = _stop(_rest(reply, request), request.stops)
    caps = [reply.max_tokens, request.max_tokens if reply.whole else None]
    return _cap(reply, min((cap for cap in caps if cap is not None), default=None))


def _rest(reply: Reply, request: ChatRequest) -> Reply:
    """Leave out what the request brings along: the beginning of the text, the reasoning."""
    if request.partial is None:
        return reply
    prefix = text_of(request.partial)
    if not reply.content.startswith(prefix):
        raise ValueError(f"the scripted answer does not begin with the prefix {prefix!r}")
    thought = request.partial.get("reasoning_content") is not None
    return replace(reply, content=reply.content[len(prefix) :], reasoning=None if thought else reply.reasoning)


def _stop(reply: Reply, stops: list[str]) -> Reply:
    found = [at for at in (reply.content.find(stop) for stop in stops) if at >= 0]
    if not found:
        return reply
    return replace(reply, content=reply.content[: min(found)], tool_calls=(), finish_reason="stop")


def _cap(reply: Reply, cap: int | None) -> Reply:
    """Cut an answer at a token: in its reasoning, its text or the arguments of a tool call, whichever is reached."""
    if cap is None or _spent(reply) <= cap:
        return reply
    left = max(cap - (_OPENING if reply.reasoning is not None else 0), 0)
    reasoning = tokens.cut(reply.reasoning, left) if reply.reasoning is not None else None
    left -= tokens.count(reasoning or "")
    content = tokens.cut(reply.content, left) if reasoning == reply.reasoning else ""
    left -= tokens.count(content)
    all_said = reasoning == reply.reasoning and content == reply.content
    calls = tuple(_cut_calls(reply.tool_calls, left)) if all_said else ()
    return replace(
        reply, reasoning=reasoning, content=content, tool_calls=calls, finish_reason="length", max_tokens=cap
    )


def _cut_calls(calls: Sequence[ToolCall], left: int) -> Iterator[ToolCall]:
    """Yield the calls there are tokens for, the last one perhaps with a part of its arguments."""
    for call in calls:
        left -= tokens.count(call.name) + _PER_CALL
        if left < 0:
            return
        arguments = arguments_text(call)
        given = tokens.cut(arguments, left)
        yield call if given == arguments else replace(call, arguments=given)
        left -= tokens.count(arguments)


def _spent(reply: Reply) -> int:
    thinking = tokens.count(reply.reasoning) + _OPENING if reply.reasoning is not None else 0
    calls = sum(tokens.count(call.name) + tokens.count(arguments_text(call)) + _PER_CALL for call in reply.tool_calls)
    closing = _CLOSING if reply.reasoning is not None and reply.ending != "length" else 0
    return thinking + tokens.count(reply.content) + calls + closing


def _usage(reply: Reply, request: ChatRequest, cached: int, written: int) -> dict[str, Any]:
    """Return the usage to report: the scripted one, or an estimate.

    Args:
        reply: The answer.
        request: The request.
        cached: Prompt tokens found in the prefix cache; a scripted number wins.
        written: Prompt tokens written to it; none beside a scripted number.
    """
    if reply.usage is not None:
        return dict(reply.usage)
    completion = _spent(reply)
    cap = request.max_tokens if reply.max_tokens is None else reply.max_tokens
    if reply.ending == "length" and cap is not None:
        completion = cap
    reasoning = min(tokens.count(reply.reasoning), completion) if reply.reasoning is not None else None
    hit = cached if reply.cached_tokens is None else reply.cached_tokens
    prompt = tokens.count_prompt(request.body, request.family)
    new = min(written, prompt - hit) if reply.cached_tokens is None else 0
    return _usage_body(request.family, prompt, completion, hit, new, reasoning)


def _usage_body(
    family: Family, prompt: int, completion: int, cached: int, written: int, reasoning: int | None
) -> dict[str, Any]:
    """Build a usage object.

    Args:
        family: Older families report fewer details.
        prompt: Prompt tokens, cached ones included.
        completion: Completion tokens, reasoning included.
        cached: Cached prompt tokens. On a miss the keys are absent, not 0.
        written: Tokens written to the cache, where the family counts them; absent as well where there are none.
        reasoning: Reasoning tokens; None if the model did not think.
    """
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if cached:
        usage["cached_tokens"] = cached
    if reasoning is not None and family.reports_reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    counts = {"cached_tokens": cached, "cache_write_tokens": written}
    details = {name: count for name, count in counts.items() if count > 0}
    if family.reports_cache_details and details:
        usage["prompt_tokens_details"] = details
    return usage


def cached_tokens(usage: Mapping[str, Any]) -> int:
    """Read how many cached tokens a usage object reports."""
    cached = usage.get("cached_tokens")
    return cached if isinstance(cached, int) else 0
