"""Other hosts of Kimi's models: what they read in a request, what they refuse, and how their answers look.

None of this was recorded; it is from public reports and the servers' own code and documentation, named beside it. A
request is first read into Moonshot's words, so that the rules that hold everywhere and the built-in model apply; an
answer in Moonshot's shape is then put into the host's.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .families import Family
from .request import ChatRequest, Rejected, tool_calls

Body = dict[str, Any]

# Rules of Moonshot's platform that whoever runs the open weights does not have (vllm-project/vllm#43155).
_PLATFORM_RULES = frozenset(
    {
        "temperature_is_the_fixed_one",
        "other_sampling_is_the_fixed_one",
        "logprobs_are_off",
        "no_logit_bias",
        "free_sampling_is_in_range",
        "one_answer_near_zero_temperature",
        "forced_choices_fit_the_model",
        "reasoning_is_sent_back",
        "preserved_reasoning_is_whole",
        "media_is_inline_or_uploaded",
    }
)


def _as_it_is(request: ChatRequest) -> ChatRequest:
    return request


@dataclass(frozen=True)
class Host:
    """One kind of host.

    Attributes:
        name: Its name.
        read: Reads a request into Moonshot's words, or refuses it.
        without_rules: Names of Moonshot's rules that do not hold.
        reasoning_key: Where an answer's reasoning is.
        details: Whether it is in ``reasoning_details`` as well.
        nulls: Whether keys without a value are there, as null.
        call_id: How the ids of tool calls look; None leaves Moonshot's. ``{random}`` is 32 digits.
        forced_stop: Whether an answer to a forced choice ends with ``"stop"``.
        usage: Where a stream's usage is: ``"moonshot"``, in a last chunk if asked for (``"last"``), or in the
            finishing chunk always (``"finish"``).
        id: How the answer's id begins.
    """

    name: str
    read: Callable[[ChatRequest], ChatRequest] = _as_it_is
    without_rules: frozenset[str] = frozenset()
    reasoning_key: str = "reasoning_content"
    details: bool = False
    nulls: bool = False
    call_id: str | None = None
    forced_stop: bool = False
    usage: str = "moonshot"
    id: str = "chatcmpl-"


def _changed(request: ChatRequest, body: Body, family: Family | None = None) -> ChatRequest:
    return replace(request, body=body, family=family or request.family)


def _without(request: ChatRequest, *ignored: str) -> Body:
    """The body without the fields that a host takes and ignores."""
    return {key: value for key, value in request.body.items() if key not in ignored}


def _read_messages(body: Body, key: str) -> Body:
    """Take the reasoning of earlier answers from the one key that the host reads, and no `partial` of a message."""
    if not isinstance(body.get("messages"), list):
        return body
    messages = []
    for message in body["messages"]:
        if isinstance(message, Mapping):
            reasoning = message.get(key)
            message = {
                name: value
                for name, value in message.items()
                if name not in ("reasoning_content", "reasoning", "reasoning_details", "partial")
            }
            if reasoning is not None:
                message["reasoning_content"] = reasoning
        messages.append(message)
    return {**body, "messages": messages}


def _read_template(request: ChatRequest, key: str) -> ChatRequest:
    """VLLM and SGLang: thinking and Partial Mode are matters of the chat template.

    docs.sglang.io/docs/basic_usage/kimi_k2_5: "To disable thinking (instant mode), pass
    extra_body.chat_template_kwargs.thinking=false". `thinking`, `partial` and `reasoning_effort` have no effect.
    """
    body = _read_messages(_without(request, "thinking", "reasoning_effort", "chat_template_kwargs"), key)
    kwargs = request.body.get("chat_template_kwargs") or {}
    if not isinstance(kwargs, Mapping):
        raise Rejected("[{'type': 'dict_type', 'loc': ('body', 'chat_template_kwargs')}]", type="BadRequestError")
    family = request.family
    if kwargs.get("thinking") is False and family.thinking != "never":
        family = replace(family, thinking="toggle", takes_thinking=True)
        body["thinking"] = {"type": "disabled"}
    elif isinstance(kwargs.get("thinking_effort"), str) and family.efforts:
        body["reasoning_effort"] = kwargs["thinking_effort"]
    if body.pop("continue_final_message", False):
        if body.pop("add_generation_prompt", True):
            # vllm-project/vllm, entrypoints/openai/chat_completion/protocol.py
            message = "Cannot set both `continue_final_message` and `add_generation_prompt` to True."
            raise Rejected(message, type="BadRequestError")
        messages = body.get("messages")
        if isinstance(messages, list) and messages and isinstance(messages[-1], Mapping):
            body["messages"] = [*messages[:-1], {**messages[-1], "partial": True}]
    return _changed(request, body, family)


def _read_vllm(request: ChatRequest) -> ChatRequest:
    """vllm-project/vllm#38488: of an assistant message, "reads `reasoning` ... but never falls back"."""
    return _read_template(request, "reasoning")


def _read_sglang(request: ChatRequest) -> ChatRequest:
    """sgl-project/sglang, entrypoints/openai/protocol.py: `reasoning_effort` is low, medium or high."""
    if request.body.get("reasoning_effort") not in (None, "low", "medium", "high"):
        raise Rejected("1 validation error: reasoning_effort: Input should be 'low', 'medium' or 'high'")
    return _read_template(request, "reasoning_content")


_EFFORTS = {"minimal": "low", "low": "low", "medium": "high", "high": "high", "xhigh": "max", "max": "max"}


def _read_openrouter(request: ChatRequest) -> ChatRequest:
    """https://openrouter.ai/docs/use-cases/reasoning-tokens; big-AGI#1161: `enabled: false` is a 400 on kimi-k3."""
    wanted = request.body.get("reasoning") or {}
    if not isinstance(wanted, Mapping):
        raise Rejected("reasoning: Invalid input: expected object")  # wording ours
    for message in request.messages:
        details = message.get("reasoning_details")
        if details is not None and not isinstance(details, list):  # opencode#24410: a 500 for text; wording ours
            raise Rejected("messages.reasoning_details: Invalid input: expected array")
    body = _without(request, "thinking", "reasoning", "reasoning_effort", "chat_template_kwargs")
    body["messages"] = [_with_text_of_details(message) for message in request.messages]
    body = _read_messages(body, "reasoning")
    off = wanted.get("enabled") is False or wanted.get("effort") == "none"
    if off and request.family.thinking == "always":
        raise Rejected("Reasoning is mandatory for this endpoint and cannot be disabled.")
    if off and request.family.thinking == "toggle":
        body["thinking"] = {"type": "disabled"}
    elif wanted.get("effort") is not None and request.family.efforts:
        body["reasoning_effort"] = _EFFORTS.get(str(wanted["effort"]), wanted["effort"])
    return _changed(request, body)


def _with_text_of_details(message: Mapping[str, Any]) -> Mapping[str, Any]:
    details = message.get("reasoning_details")
    if not details:
        return message
    return {
        **message,
        "reasoning": "".join(str(item.get("text") or "") for item in details if isinstance(item, Mapping)),
    }


_STRICT_FIELDS = frozenset(
    {
        "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens",
        "temperature", "top_p", "top_k", "n", "stop", "response_format", "stream", "presence_penalty",
        "frequency_penalty", "logprobs", "top_logprobs", "logit_bias", "user", "seed", "reasoning_effort", "thinking",
        "prompt_cache_key", "service_tier",
    }
)  # fmt: skip
_STRICT_MESSAGE = {
    "system": {"role", "content", "name"},
    "user": {"role", "content", "name"},
    "assistant": {"role", "content", "name", "tool_calls", "reasoning_content"},
    "tool": {"role", "content", "tool_call_id"},
}
_STRICT_THINKING = {"type", "budget_tokens"}


def _read_strict(request: ChatRequest) -> ChatRequest:
    """Fireworks names what it does not know, and refuses the request for it.

    vercel/ai#18306: "Extra inputs are not permitted, field: 'promptCacheKey', value: '…'", llmgateway#3274 the same of
    messages' fields, Flowise#2866 of `stream_options`.
    """
    for field, value in _unknown_fields(request):
        raise Rejected(f"Extra inputs are not permitted, field: '{field}', value: {value!r}")
    return request


def _unknown_fields(request: ChatRequest) -> Iterator[tuple[str, Any]]:
    yield from ((key, value) for key, value in request.body.items() if key not in _STRICT_FIELDS)
    for at, message in enumerate(request.messages):
        known = _STRICT_MESSAGE.get(str(message.get("role")), set())
        yield from ((f"messages[{at}].{key}", value) for key, value in message.items() if key not in known)
    thinking = request.body.get("thinking")
    if isinstance(thinking, Mapping):
        yield from ((f"thinking.{key}", value) for key, value in thinking.items() if key not in _STRICT_THINKING)


def _read_gateway(request: ChatRequest) -> ChatRequest:
    """A gateway in front of Moonshot's platform that checks messages against a schema of its own.

    MoonshotAI/kimi-code#3017: "422, message.6.content invalid input" for an assistant message without the key.
    """
    for at, message in enumerate(request.messages):
        if "content" not in message:
            raise Rejected(f"message.{at}.content invalid input", status=422)
    return request


def _read_litellm(request: ChatRequest) -> ChatRequest:
    """LiteLLM 1.108.7 before Moonshot's platform, by its llms/moonshot/chat/transformation.py; tried on loopback."""
    allowed = request.body.get("allowed_openai_params") or ()
    if request.body.get("thinking") is not None and "thinking" not in allowed:
        model = request.model.removeprefix("moonshot/")
        raise Rejected(
            "litellm.UnsupportedParamsError: moonshot does not support parameters: ['thinking'], for model="
            f"{model}. To drop these, set `litellm.drop_params=True`",
            type="None",
        )
    thinks = request.family.thinking != "never"
    body = _without(request, "allowed_openai_params", *(("temperature",) if thinks else ()))
    if "max_completion_tokens" in body:
        body["max_tokens"] = body.pop("max_completion_tokens")
    if body.get("tool_choice") == "required":
        del body["tool_choice"]
        asked = {"role": "user", "content": "Please select a tool to handle the current issue."}
        body["messages"] = [*request.messages, asked]
    return _changed(request, body)


MOONSHOT = Host("moonshot")

HOSTS: dict[str, Host] = {
    host.name: host
    for host in (
        MOONSHOT,
        # vllm-project/vllm#50166 has a whole answer: null keys, `reasoning`; #43155: "stop" beside forced calls.
        Host("vllm", _read_vllm, _PLATFORM_RULES, "reasoning", nulls=True, call_id="chatcmpl-tool-{random}",
             forced_stop=True, usage="last"),
        Host("sglang", _read_sglang, _PLATFORM_RULES, nulls=True, call_id="functions.{name}:{index}", usage="last"),
        # big-AGI#940 has a whole answer: `reasoning`, null where there is none.
        Host("openrouter", _read_openrouter, frozenset({"media_is_inline_or_uploaded"}), "reasoning", details=True,
             nulls=True, usage="last", id="gen-"),
        Host("gateway", _read_gateway, usage="last"),
        Host("litellm", _read_litellm, nulls=True, usage="last"),
        Host("strict", _read_strict, _PLATFORM_RULES, call_id="call_{random}", usage="finish"),
    )
}  # fmt: skip
"""Every kind of host by its name."""


def write_completion(body: Body, request: ChatRequest, host: Host) -> Body:
    """Put an answer that is not streamed into the host's shape."""
    if host is MOONSHOT:
        return body
    choices = [
        {**choice, "message": _write_message(choice["message"], host), **_write_ending(choice, request, host)}
        for choice in body["choices"]
    ]
    return {**body, "id": _id(body, host), "choices": choices, "usage": _usage(body["usage"])}


def write_events(events: Iterator[Body], request: ChatRequest, host: Host) -> Iterator[Body]:
    """Put the chunks of a streamed answer into the host's shape."""
    if host is MOONSHOT:
        yield from events
        return
    for event in events:
        chunk = {**event, "id": _id(event, host)}
        chunk.pop("system_fingerprint", None)
        if not event["choices"]:
            if host.usage == "last":
                yield {**chunk, "usage": _usage(event["usage"])}
            continue
        (choice,) = event["choices"]
        bare = {key: value for key, value in choice.items() if key != "usage"}
        delta = _write_message(choice["delta"], host, whole=False)
        chunk["choices"] = [{**bare, "delta": delta, **_write_ending(choice, request, host)}]
        if "usage" in choice and host.usage == "finish":
            chunk["usage"] = _usage(choice["usage"])
        yield chunk


def _id(body: Mapping[str, Any], host: Host) -> str:
    return host.id + str(body["id"]).removeprefix("chatcmpl-")


def _usage(usage: Mapping[str, Any]) -> Body:
    """The counts in OpenAI's form: none of them flat but the three totals."""
    return {key: value for key, value in usage.items() if key != "cached_tokens"}


def _write_ending(choice: Mapping[str, Any], request: ChatRequest, host: Host) -> Body:
    forced = request.body.get("tool_choice") not in (None, "auto", "none")
    ending = choice["finish_reason"]
    return {"finish_reason": "stop" if host.forced_stop and forced and ending == "tool_calls" else ending}


def _write_message(message: Mapping[str, Any], host: Host, *, whole: bool = True) -> Body:
    written = {key: value for key, value in message.items() if key != "reasoning_content"}
    reasoning = message.get("reasoning_content")
    if reasoning is not None:
        written[host.reasoning_key] = reasoning
        if host.details and reasoning:
            written["reasoning_details"] = [
                {"type": "reasoning.text", "text": reasoning, "format": "unknown", "index": 0}
            ]
    elif host.nulls:
        written[host.reasoning_key] = None
    if "tool_calls" in message:
        calls = enumerate(tool_calls(message))
        written["tool_calls"] = [_write_call(call, call.get("index", index), host) for index, call in calls]
        if whole:
            written["content"] = written["content"] or None
    elif host.nulls and whole:
        written["tool_calls"] = None
    return written


def _write_call(call: Mapping[str, Any], index: int, host: Host) -> Body:
    if host.call_id is None or not call.get("id"):
        return dict(call)
    name = call["function"]["name"]
    return {**call, "id": host.call_id.format(name=name, index=index, random=secrets.token_hex(16))}
