"""Answers on their way in: a completion's JSON becomes one plain object for both adapters. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kimi_wire.answers.calls import ToolCall, new_tool_call_id, parse_tool_calls
from kimi_wire.answers.nested import decode_arguments
from kimi_wire.arguments import parse_arguments, render_arguments
from kimi_wire.errors import (
    KimiRefusalError,
    KimiResponseError,
    KimiToolChoiceError,
    excerpt,
    excerpt_of_refusal,
    parse_request_id,
)
from kimi_wire.json_text import iter_json_texts, strip_fence
from kimi_wire.json_values import count_or_none, is_whole, mapping, read_object, text_or_none
from kimi_wire.requests import Known, ToolNames, ToolPlan

PROVIDER = "moonshot"
"""The provider's name in the frameworks' metadata and traces."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one answer.

    Attributes:
        prompt_tokens: All input tokens, cached ones included.
        completion_tokens: All output tokens, reasoning included.
        total_tokens: Both.
        cached_tokens: Input tokens read from the prefix cache; None where the server did not say.
        cache_write_tokens: Input tokens written to it; None where the server did not say.
        reasoning_tokens: Output tokens spent on thinking; None where the server did not say.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None


def parse_usage(usage: Mapping[str, Any] | None) -> Usage | None:
    """Read a `usage` object in any of the forms that were recorded.

    Cached tokens stand flat (`cached_tokens`), nested (`prompt_tokens_details.cached_tokens`) or in both places, and in
    neither on a miss; adapters that read one place only overstate costs up to tenfold (earendil-works/pi#8119).
    """
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = count_or_none(usage.get("prompt_tokens")), count_or_none(usage.get("completion_tokens"))
    if prompt is None or completion is None:
        return None  # zeros would be an answer that cost nothing
    total = count_or_none(usage.get("total_tokens"))
    prompt_details = mapping(usage.get("prompt_tokens_details"))
    cached = count_or_none(usage.get("cached_tokens"))
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion if total is None else total,
        cached_tokens=count_or_none(prompt_details.get("cached_tokens")) if cached is None else cached,
        cache_write_tokens=count_or_none(prompt_details.get("cache_write_tokens")),
        reasoning_tokens=count_or_none(mapping(usage.get("completion_tokens_details")).get("reasoning_tokens")),
    )


def parse_logprobs(logprobs: Any) -> dict[str, Any] | None:
    """Log probabilities as sent, if they have the documented form: `{"content": [{...}, ...]}`."""
    tokens = logprobs.get("content") if isinstance(logprobs, dict) else None
    return logprobs if isinstance(tokens, list) and all(isinstance(token, dict) for token in tokens) else None


@dataclass(slots=True)
class Choice:
    """One answer.

    Attributes:
        content: The answer's text, without any thinking.
        reasoning: The thinking; None where the server sent none, "" where it sent an empty one.
        tool_calls: The calls, in order.
        finish_reason: `stop`, `length`, `tool_calls`, or whatever else the server says.
        logprobs: As sent.
        reasoning_details: The thinking as OpenRouter has it: an array that goes back as it came.
        refusal: Why the model declined to answer, in its words; None where it did not. It is no part of the text.
    """

    content: str = ""
    reasoning: str | None = None
    tool_calls: list[ToolCall] = field(default_factory=list)
    finish_reason: str | None = None
    logprobs: Any = None
    reasoning_details: list[dict[str, Any]] = field(default_factory=list)
    refusal: str | None = None


@dataclass(slots=True)
class Completion:
    """A whole answer of the chat endpoint, streamed or not.

    Attributes:
        id: The server's id of the completion.
        model: The model that answered, as the server calls it.
        choices: One per requested answer; at least one.
        usage: Token counts, where the server sent them.
        request_id: The server's id of the HTTP request.
        created: Unix time in seconds.
        system_fingerprint: As sent; streams only.
        raw_usage: The usage object as sent.
        attempts: How many requests it took, retries included; each counts against the rate limits.
    """

    id: str | None
    model: str | None
    choices: list[Choice]
    usage: Usage | None
    request_id: str | None = None
    created: int | None = None
    system_fingerprint: str | None = None
    raw_usage: dict[str, Any] | None = None
    attempts: int = 1

    @property
    def choice(self) -> Choice:
        """The first answer."""
        return self.choices[0]


def parse_completion(body: bytes, headers: Mapping[str, str], plan: ToolPlan, prefix: str = "") -> Completion:
    """Parse the body of a non-streamed answer.

    Args:
        body: The response's bytes.
        headers: The response's headers.
        plan: The tool plan of the request it answers.
        prefix: The beginning of the text, which the server does not repeat.

    Raises:
        KimiResponseError: The body is not a completion, or comes with an error.
        KimiToolChoiceError: A forced tool call did not come.
    """
    request_id = parse_request_id(headers)
    payload = read_object(body) or {}
    found = payload.get("choices")
    if not (isinstance(found, list) and found and all(find_message(mapping(one)) is not None for one in found)):
        raise KimiResponseError(f"The server's answer is not a chat completion: {excerpt(body)}", request_id=request_id)
    found = _in_order(found)
    choices = [_parse_choice(choice, plan.known) for choice in found]
    raw_usage = payload.get("usage")
    completion = Completion(
        id=text_or_none(payload.get("id")),
        model=text_or_none(payload.get("model")),
        choices=choices,
        usage=parse_usage(raw_usage),
        request_id=request_id,
        created=count_or_none(payload.get("created")),
        system_fingerprint=text_or_none(payload.get("system_fingerprint")),
        raw_usage=raw_usage if isinstance(raw_usage, dict) else None,
    )
    for choice in choices:
        if plan.json_answer:
            choice.content = strip_fence(choice.content)
        choice.content = prefix + choice.content
    _refuse_errors(payload.get("error"), found, completion, plan.known.names)
    for choice in choices:
        finish_choice(choice, plan, request_id)
    return completion


INTERRUPTED = frozenset({"error", "abort", "insufficient_system_resource"})
"""What servers say in `finish_reason` where they broke the answer off.

"error" and "abort": vLLM's and SGLang's engines, and OpenRouter for whatever is behind it (vllm.v1.engine.FinishReason,
openrouter.ai/docs/api-reference/errors); the last: api-docs.deepseek.com/api/create-chat-completion.
"""


FILTERED = "content_filter"
"""What servers say in `finish_reason` where their content filter stopped the answer. It is never asked for again
(MoonshotAI/kimi-code#3101). Moonshot's own refuses with a 400; its documents have it that answers are filtered too."""


def explain_interruption(finish_reason: str | None) -> str:
    """Say that the server broke an answer off."""
    return f"The server broke the answer off (finish_reason {finish_reason!r}): it is not whole. Try again."


def _refuse_errors(error: Any, found: Sequence[Mapping[str, Any]], completion: Completion, names: ToolNames) -> None:
    """Raise where an answer comes with an error, beside its choices or in one of them, or was broken off."""
    errors = [error, *(choice.get("error") for choice in found)]
    partials = [completion.choice, *completion.choices]
    for error, partial in zip(errors, partials, strict=True):
        if error:
            said = names.in_text(excerpt_of_refusal(error))
            message = f"The answer comes with an error, and is not whole: {said}"
            raise KimiResponseError(message, request_id=completion.request_id, partial=partial)
    for choice in completion.choices:
        if choice.finish_reason in INTERRUPTED:
            message = explain_interruption(choice.finish_reason)
            raise KimiResponseError(message, request_id=completion.request_id, partial=choice)


def _in_order(choices: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """Choices by their index, if each has one of its own."""
    indices = [choice.get("index") for choice in choices]
    apart = all(map(is_whole, indices)) and len(set(indices)) == len(indices)
    return sorted(choices, key=lambda choice: choice["index"]) if apart else choices


def _parse_choice(choice: Mapping[str, Any], known: Known) -> Choice:
    message = find_message(choice) or {}
    return Choice(
        content=read_text(message.get("content")),
        reasoning=parse_reasoning(message),
        tool_calls=parse_tool_calls(message.get("tool_calls"), known),
        finish_reason=text_or_none(choice.get("finish_reason")),
        logprobs=parse_logprobs(choice.get("logprobs")),
        reasoning_details=parse_details(message),
        refusal=parse_refusal(message) or None,
    )


def find_message(choice: Mapping[str, Any], *names: str) -> Mapping[str, Any] | None:
    """The message of a choice, or its piece of one: some hosts have one where the other belongs, or text alone."""
    for name in names or ("message", "delta"):
        if isinstance(message := choice.get(name), dict):
            return message
    text = choice.get("text")
    return {"content": text} if isinstance(text, str) else None


def read_text(content: Any) -> str:
    """The text of a message or delta; some hosts send it as a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, dict):
        return text_or_none(content.get("text")) or ""
    return "".join(map(read_text, content)) if isinstance(content, list) else ""


def parse_refusal(message: Mapping[str, Any]) -> str:
    """Why the model declined, in a message or delta: OpenAI's field, or a part of the content.

    Some hosts pass it on (platform.openai.com/docs/api-reference/chat/object); Kimi's own models decline in the text.
    """
    if isinstance(said := message.get("refusal"), str):
        return said
    content = message.get("content")
    parts = content if isinstance(content, list) else ()
    return "".join(text_or_none(mapping(part).get("refusal")) or "" for part in parts)


def parse_reasoning(message: Mapping[str, Any]) -> str | None:
    """The thinking in a message or delta: `reasoning_content`, or `reasoning` as vLLM and OpenRouter call it.

    vLLM renamed the field in vllm-project/vllm#27752 and dropped the old name in #33402; it sends nulls. OpenRouter has
    the text in `reasoning_details` as well, and hosts between may pass that alone.
    """
    for key in ("reasoning_content", "reasoning"):
        if isinstance(text := message.get(key), str):
            return text
    if not message.get("reasoning_details"):
        return None
    texts = [text for item in parse_details(message) for key in DETAIL_TEXTS if isinstance(text := item.get(key), str)]
    return "".join(texts) if texts else None


DETAIL_TEXTS = ("text", "summary")
"""Where an entry of `reasoning_details` has what can be read (openrouter.ai/docs/use-cases/reasoning-tokens)."""


def parse_details(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The `reasoning_details` of a message or delta, as far as they have the documented form."""
    details = message.get("reasoning_details")
    return [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []


def finish_choice(choice: Choice, plan: ToolPlan, request_id: str | None) -> None:
    """Complete an answer in place: read a constrained call out of the text, and hold a forced choice to its word.

    Raises:
        KimiToolChoiceError: A forced tool call did not come.
        KimiRefusalError: It did not, as the model declined.
    """
    if plan.response_format is not None and not choice.tool_calls:
        call = parse_constrained_call(choice.content, plan.expected, plan.known)
        if call is not None:
            choice.tool_calls, choice.content = [call], ""
    if choice.tool_calls and choice.finish_reason == "stop":
        # vLLM says "stop" beside forced calls (vllm-project/vllm#43155); agent loops that believe it end early.
        choice.finish_reason = "tool_calls"
    if choice.finish_reason == FILTERED:
        return
    if plan.expected and not any(call.name in plan.expected for call in choice.tool_calls):
        check_refusal(choice.refusal, choice, request_id)
        raise KimiToolChoiceError(_missing_call_message(choice, plan.expected), request_id=request_id, partial=choice)


def check_refusal(refusal: str | None, partial: Any, request_id: str | None) -> None:
    """Raise where the model declined, so that what was asked for cannot come.

    Args:
        refusal: Its words; None where it did not.
        partial: The answer, for the error.
        request_id: The server's id of the request, for the error.

    Raises:
        KimiRefusalError: It did.
    """
    if refusal is not None:
        said = excerpt(refusal.encode("utf-8", "replace"))
        raise KimiRefusalError(f"The model declined to answer: {said}", request_id=request_id, partial=partial)


def parse_constrained_call(content: str, expected: Sequence[str], known: Known) -> ToolCall | None:
    """Read the tool call that a constrained answer is (see `kimi_wire.requests.tools.plan_tools`).

    Args:
        content: The answer's text.
        expected: The tools it may call. One: the text is its arguments. Several: the text names one.
        known: What the request knows.

    Returns:
        The call, with the arguments as the model wrote them where they stand alone; None where the text is no call.
    """
    for text in iter_json_texts(content):
        try:
            answer = parse_arguments(text)
        except ValueError:
            continue
        if len(expected) == 1 and text:
            return _constrained_call(expected[0], text, known)
        call = mapping(answer.get("call"))
        name = known.names.own(text_or_none(call.get("name")) or "")
        if name in expected and isinstance(call.get("arguments"), dict):
            return _constrained_call(name, render_arguments(call["arguments"]), known)
    return None


def _constrained_call(name: str, written: str, known: Known) -> ToolCall:
    arguments = decode_arguments(written, known.schema_of(name))
    return ToolCall(new_tool_call_id(), name, arguments, written=None if arguments == written else written)


def _missing_call_message(choice: Choice, expected: Sequence[str]) -> str:
    wanted = f"a call of {' or '.join(expected)} was asked for"
    if choice.finish_reason == "length":
        return f"{wanted}, but the answer was cut at its token limit before one came: raise max_tokens."
    called = [call.name for call in choice.tool_calls]
    got = f"the model called {', '.join(called)}" if called else f"the model answered in text: {choice.content[:200]!r}"
    marks = explain_markers(choice)
    return f"{wanted}, but {got}" + (f". {marks}" if marks else "")


# The open weights' own tokens; nobody writes them. F.i. NousResearch/hermes-agent#24534, MoonshotAI/Kimi-K2#89.
_TOKENS = ("<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|open|>")


def explain_answer(choice: Choice) -> Iterator[str]:
    """Say what is wrong with an answer that came with success, where that needs saying.

    One that is empty since its server does not read the model's marks is so again when it is asked for again.
    """
    empty, marked = explain_empty(choice), explain_markers(choice)
    if empty is not None and (marked is None or choice.finish_reason == "length"):
        yield empty
    if marked is not None:
        yield marked


def explain_markers(choice: Choice) -> str | None:
    """Say that a server has left the model's own marks in the text, as one without the parsers for them does.

    Deliberately absent: reading tool calls out of them. What they enclose may be cut, quoted or made up, and a call
    that nobody made must not run.
    """
    text = choice.content + (choice.reasoning or "")
    found = next((token for token in _TOKENS if token in text), None)
    if found is None and choice.reasoning is None:
        # "...</think>" before the answer: vllm-project/vllm#36207. An answer may quote it, so only where it stands.
        opened = choice.content.lstrip().startswith("<think>")
        found = "<think>" if opened else "</think>" if "</think>\n" in choice.content else None
    if found is None:
        return None
    return (
        f"The answer has the model's own mark {found!r} in its text: the server does not take tool calls or thinking "
        "out of it. Start vLLM or SGLang with --tool-call-parser kimi_k2 --reasoning-parser kimi_k2 (kimi_k3 for the "
        "kimi-k3 family); nothing is read out of the text here."
    )


def is_empty(choice: Choice) -> bool:
    """Whether an answer has neither text nor a call, and no refusal; thinking alone is no answer."""
    return not (choice.content.strip() or choice.tool_calls or choice.refusal)


def explain_empty(choice: Choice) -> str | None:
    """Say why an answer has no text and no calls, where that needs saying.

    Reasoning and answer share one budget: a small cap gives HTTP 200, empty content and `finish_reason` "length". And
    models end after their thinking, more often after tool calls (MoonshotAI/kimi-code#520, #3149): Moonshot's own
    clients take that for an error, and ask again (MoonshotAI/kimi-cli#1801).
    """
    if not is_empty(choice):
        return None
    if choice.finish_reason != "length":
        did = "only thought" if choice.reasoning else "said nothing"
        return (
            f"The answer is empty: the model {did}, and ended without text or a tool call (finish_reason "
            f"{choice.finish_reason!r}). Ask again: empty_answers='retry' does, and empty_answers='error' raises."
        )
    spent = "thinking" if choice.reasoning else "nothing visible"
    return (
        f"The answer is empty: its whole token limit was spent on {spent} (finish_reason 'length'). "
        "Raise max_tokens, or leave it out; thinking and answer share it."
    )
