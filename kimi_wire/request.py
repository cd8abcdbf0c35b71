"""The one place where a request body is put together. Pure: settings and messages in, body and notices out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from kimi_wire.errors import KimiRequestError
from kimi_wire.media import takes_remote_urls
from kimi_wire.media_work import REMOTE_IMAGES, MediaPlan, plan_media
from kimi_wire.messages import MISSING_REASONING, UNANSWERED, render_messages
from kimi_wire.partial import HOSTS_WITHOUT, add_prefix, check_partial, mark_last
from kimi_wire.profiles import Preserve, Profile, Thinking, profile_for
from kimi_wire.settings import Notice, Settings, merge_settings
from kimi_wire.tools import (
    JSON,
    ToolPlan,
    check_together,
    parse_tool_choice,
    plan_tools,
    render_dynamic_tools,
    render_schema,
    render_tools,
)

EFFORTS = ("low", "high", "max")

MAX_STOPS, MAX_STOP_BYTES = 5, 32  # https://platform.kimi.com/docs/api/chat

SAMPLING = ("temperature", "top_p", "n", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")


@dataclass(frozen=True, slots=True)
class Request:
    """A request ready to be sent.

    Attributes:
        body: The JSON body.
        plan: How the tools went out; the answer is read with it.
        notices: What was left out.
        prefix: What the answer has at its front, although the server sends only what follows.
        continuable: An answer that stopped early can be taken up in Partial Mode.
        continue_on_length: How often that may happen to an answer cut by its token limit.
        resume_streams: How often that may happen to a stream that broke off.
        media: What is to be fetched and uploaded before it is sent; None where there is nothing.
    """

    body: JSON
    plan: ToolPlan
    notices: tuple[Notice, ...] = field(default=())
    prefix: str = ""
    continuable: bool = False
    continue_on_length: int = 0
    resume_streams: int = 0
    media: MediaPlan | None = None


def render_request(
    settings: Settings,
    messages: Sequence[Mapping[str, Any]],
    *,
    stream: bool,
    notices: Sequence[Notice] = (),
    base_url: str = "",
) -> Request:
    """Assemble the body of a chat request.

    Args:
        settings: What is asked.
        messages: The conversation, in the API's form; not changed.
        stream: Whether the answer is streamed.
        notices: Notices so far.
        base_url: Where it is sent to; not every host has all that its models have.

    Returns:
        The request.

    Raises:
        KimiRequestError: The server would refuse it, or `strict` is set and something would be left out.
    """
    profile = profile_for(settings.model)
    if urlsplit(base_url).hostname in HOSTS_WITHOUT:
        profile = replace(profile, partial=False)
    found = list(notices)
    plan = _plan_tools(settings, messages, profile)
    if plan.warning:
        found.append(Notice("tool_choice", plan.warning))
    if plan.response_format and (settings.response_format or settings.prefix is not None):
        raise KimiRequestError(
            f"{settings.model} takes a forced tool call only in place of a response_format or a prefix; ask for one."
        )
    thinking = _render_thinking(settings, profile, plan, found)
    response_format = plan.response_format or _render_format(settings.response_format, profile)
    body: JSON = {
        "model": settings.model,
        "messages": _render_conversation(
            settings, messages, profile, thinking, response_format, found, remote_media=takes_remote_urls(base_url)
        ),
        **thinking,
        **_render_limits(settings, profile),
        **_render_sampling(settings, profile, thinking, stream, found),
    }
    if plan.tools:
        body["tools"] = plan.tools
    if plan.tool_choice is not None:
        body["tool_choice"] = plan.tool_choice
    if response_format:
        body["response_format"] = response_format
    for name in ("prompt_cache_key", "safety_identifier"):
        if (value := getattr(settings, name)) is not None:
            body[name] = value
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    body |= {name: value for name, value in (settings.extra_body or {}).items() if name != "partial"}
    for name in ("continue_on_length", "resume_streams"):
        _check_count(settings, name, profile, found)
    if settings.strict and found:
        raise KimiRequestError(" ".join(notice.message for notice in found))
    return Request(
        body,
        replace(plan, json_answer=_is_json(body.get("response_format"))),
        tuple(found),
        prefix=settings.prefix or "",
        continuable=profile.partial and not response_format,
        continue_on_length=settings.continue_on_length,
        resume_streams=settings.resume_streams,
        media=plan_media(body, settings) if profile.is_kimi else None,
    )


def _plan_tools(settings: Settings, messages: Sequence[Mapping[str, Any]], profile: Profile) -> ToolPlan:
    """The plan for the tools of the request and those of its messages."""
    tools = render_tools(settings.tools or (), profile)
    dynamic = [
        tool
        for index, message in enumerate(messages)
        if message.get("tools")
        for tool in render_dynamic_tools(message, index, profile)
    ]
    if dynamic and profile.is_kimi:
        check_together([*tools, *dynamic])
    choice = parse_tool_choice(settings.tool_choice, [*tools, *dynamic])
    return plan_tools(tools, choice, profile, thinking_asked=settings.thinking is True, dynamic=dynamic)


def _render_conversation(
    settings: Settings,
    messages: Sequence[Mapping[str, Any]],
    profile: Profile,
    thinking: JSON,
    response_format: Mapping[str, Any] | None,
    notices: list[Notice],
    *,
    remote_media: bool,
) -> list[JSON]:
    """The messages, and the beginning of the answer where one is given."""
    rendered = render_messages(
        messages,
        profile,
        thinking=_is_thinking(settings, profile, thinking),
        missing_reasoning=_one_of("missing_reasoning", settings.missing_reasoning, MISSING_REASONING),
        unanswered_tool_calls=_one_of("unanswered_tool_calls", settings.unanswered_tool_calls, UNANSWERED),
        remote_media=_one_of("remote_images", settings.remote_images, REMOTE_IMAGES) == "download" or remote_media,
    )
    rendered = add_prefix(rendered, settings.prefix, settings.prefix_name)
    if (settings.extra_body or {}).get("partial") and not rendered[-1].get("partial"):
        rendered = mark_last(rendered)
        notices.append(
            Notice(
                "partial", "partial belongs on the last message, an assistant's, and was moved there from extra_body."
            )
        )
    if profile.is_kimi or settings.prefix is not None or settings.prefix_name is not None:
        check_partial(rendered, profile, response_format)
    return rendered


def _check_count(settings: Settings, name: str, profile: Profile, notices: list[Notice]) -> None:
    count = getattr(settings, name)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise KimiRequestError(f"{name}={count!r} must be a whole number of at least 0.")
    if count and not profile.partial:
        notices.append(Notice(name, f"{settings.model} has no Partial Mode; {name}={count} is left out."))


def _render_format(response_format: Mapping[str, Any] | None, profile: Profile) -> JSON | None:
    """A `response_format`, its schema in Moonshot's dialect and its name where the API wants one.

    "missing required parameter: response_format.json_schema.name" (browseros-ai/BrowserOS#657)
    """
    if not response_format:
        return None
    described = response_format.get("json_schema")
    if not profile.is_kimi or response_format.get("type") != "json_schema":
        return dict(response_format)
    if not isinstance(described, Mapping) or not isinstance(described.get("schema"), Mapping):
        raise KimiRequestError("A response_format of type json_schema needs {'json_schema': {'schema': {...}}}.")
    schema = render_schema(described["schema"], "response_format")
    return {**response_format, "json_schema": {"name": "answer", "strict": True, **described, "schema": schema}}


def _is_json(response_format: Any) -> bool:
    return isinstance(response_format, Mapping) and response_format.get("type") in ("json_object", "json_schema")


def check_settings(base: Mapping[str, Any]) -> None:
    """Refuse what every request of a model object would be refused for, before there is one.

    Args:
        base: The model object's settings.

    Raises:
        KimiRequestError: A setting is wrong for the model, or `strict` is set and one would be left out.
    """
    settings, notices = merge_settings(base, {})
    conversation = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    render_request(settings, conversation, stream=False, notices=notices)


def _one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise KimiRequestError(f"{name}={value!r} is not one of {', '.join(allowed)}.")
    return str(value)


def _render_thinking(settings: Settings, profile: Profile, plan: ToolPlan, notices: list[Notice]) -> JSON:
    """The one thinking field a family has: `thinking` for switchable ones, `reasoning_effort` for kimi-k3.

    Never both: "cannot specify both 'thinking' and 'reasoning_effort'" (HKUDS/nanobot#3939). Never `thinking` to
    kimi-k3, where probes and documentation contradict each other.
    """
    rendered: JSON = {}
    if settings.reasoning_effort is not None:
        rendered["reasoning_effort"] = _render_effort(settings, profile)
    if profile.thinking is Thinking.SWITCHABLE:
        rendered |= _render_switch(settings, profile, plan)
    elif settings.thinking is not None and settings.thinking != profile.can_think:
        notices.append(Notice("thinking", _no_switch_message(settings, profile)))
    preserve, asked = profile.preserve, settings.preserve_thinking
    if asked is not None and preserve is not Preserve.OPTIONAL and asked != (preserve is Preserve.ALWAYS):
        # kimi-k2.5: "thinking.keep is not supported by m..."
        always = "always preserves" if preserve is Preserve.ALWAYS else "cannot preserve"
        message = f"{settings.model} {always} its thinking; preserve_thinking={asked} is left out."
        notices.append(Notice("preserve_thinking", message))
    return rendered


def _no_switch_message(settings: Settings, profile: Profile) -> str:
    if not profile.is_kimi:
        return f"{settings.model} is not a Kimi model: use extra_body to switch its thinking; thinking is left out."
    # "invalid thinking: only type=enabled is allowed for this model" (can1357/oh-my-pi#3852)
    always = "always thinks" if profile.can_think else "does not think"
    return f"{settings.model} {always}; thinking={settings.thinking} is left out."


def _render_switch(settings: Settings, profile: Profile, plan: ToolPlan) -> JSON:
    if plan.thinking_off or settings.thinking is False:
        return {"thinking": {"type": "disabled"}}
    if settings.preserve_thinking and profile.preserve is Preserve.OPTIONAL:
        return {"thinking": {"type": "enabled", "keep": "all"}}
    return {"thinking": {"type": "enabled"}} if settings.thinking else {}


def _render_effort(settings: Settings, profile: Profile) -> str:
    effort = settings.reasoning_effort
    if profile.thinking is Thinking.UNKNOWN:
        return str(effort)
    if profile.thinking is not Thinking.EFFORT:
        raise KimiRequestError(
            f"reasoning_effort is for the kimi-k3 family; {settings.model} has "
            + ("thinking=True or False." if profile.thinking is Thinking.SWITCHABLE else "no such setting.")
        )
    return _one_of("reasoning_effort", effort, EFFORTS)


def _is_thinking(settings: Settings, profile: Profile, rendered: JSON) -> bool:
    raw = (settings.extra_body or {}).get("thinking")
    switch = raw if isinstance(raw, Mapping) else rendered.get("thinking", {})
    return profile.can_think and switch.get("type") != "disabled"


def _render_limits(settings: Settings, profile: Profile) -> JSON:
    rendered: JSON = {}
    if (cap := settings.max_tokens) is not None:
        if isinstance(cap, bool) or not isinstance(cap, int) or cap < 1:
            raise KimiRequestError(f"max_tokens={cap!r} must be a whole number of at least 1.")
        # `max_tokens` is the deprecated name (platform.kimi.ai/docs/api/chat); other models' hosts may know only it.
        rendered["max_completion_tokens" if profile.is_kimi else "max_tokens"] = cap
    if settings.stop:
        stops = [settings.stop] if isinstance(settings.stop, str) else list(settings.stop)
        if profile.is_kimi:
            _check_stops(stops)
        rendered["stop"] = stops
    return rendered


def _check_stops(stops: Sequence[str]) -> None:
    # "stop array too long. Expected an array with maximum length 5, but got 6"
    if len(stops) > MAX_STOPS:
        raise KimiRequestError(f"{len(stops)} stop sequences were given; Kimi takes at most {MAX_STOPS}.")
    for stop in stops:
        if len(stop.encode()) > MAX_STOP_BYTES:
            raise KimiRequestError(f"The stop sequence {stop!r} has more than {MAX_STOP_BYTES} bytes.")


def _render_sampling(settings: Settings, profile: Profile, thinking: JSON, stream: bool, notices: list[Notice]) -> JSON:
    """The sampling parameters a family takes.

    "invalid temperature: only 1 is allowed for this model" is the most reported Kimi error of all. The right value is
    left out too: it flips to 0.6 when thinking is off, and some gateways refused even it (MoonshotAI/kimi-cli#1924).
    """
    asked = {name: value for name in SAMPLING if (value := getattr(settings, name)) is not None}
    if profile.fixed_sampling:
        fixed = dict(profile.fixed_sampling)
        if thinking.get("thinking", {}).get("type") == "disabled":
            fixed |= profile.fixed_sampling_without_thinking
        for name, value in asked.items():
            if name not in fixed or value != fixed[name]:
                notices.append(
                    Notice(name, f"{settings.model} samples with fixed parameters; {name}={value!r} is left out.")
                )
        return {}
    if stream and asked.get("n", 1) > 1:
        raise KimiRequestError("Several answers (n > 1) cannot be streamed; call without streaming.")
    if profile.is_kimi and asked.get("n", 1) > 1 and asked.get("temperature", 0.0) < 0.01:
        # "When `temperature` is close to 0, `n` can only be 1" (platform.kimi.ai/docs/api/chat); moonshot-v1's is 0.
        raise KimiRequestError("Several answers (n > 1) need a temperature above 0; set one.")
    return asked
