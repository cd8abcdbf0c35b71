"""The one place where a request body is put together. Pure: settings and messages in, body and notices out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.hosts import MOONSHOT, Host, Wish, host_for, place_beginning, profile_at, render_history
from kimi_wire.json_values import JSON, is_whole
from kimi_wire.media import REMOTE_IMAGES, MediaPlan, plan_media
from kimi_wire.profiles import Preserve, Profile, Thinking, profile_for
from kimi_wire.requests.messages import MISSING_REASONING, UNANSWERED, render_messages
from kimi_wire.requests.prefix import add_prefix, check_partial, mark_last
from kimi_wire.requests.tools import (
    ToolPlan,
    check_together,
    parse_tool_choice,
    plan_tools,
    render_dynamic_tools,
    render_schema,
    render_tools,
)
from kimi_wire.settings import Notice, Settings, merge_settings

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
        host: Where it goes; what goes on with it is rendered alike.
    """

    body: JSON
    plan: ToolPlan
    notices: tuple[Notice, ...] = field(default=())
    prefix: str = ""
    continuable: bool = False
    continue_on_length: int = 0
    resume_streams: int = 0
    media: MediaPlan | None = None
    host: Host = MOONSHOT


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
        base_url: Where it is sent to, which tells the dialect unless the settings do.

    Returns:
        The request.

    Raises:
        KimiRequestError: The server would refuse it, or `strict` is set and something would be left out.
    """
    host = host_for(settings.dialect, base_url)
    profile = profile_at(profile_for(settings.model), host)
    found = list(notices)
    plan = _plan_tools(settings, messages, profile)
    if plan.warning:
        found.append(Notice("tool_choice", plan.warning))
    if plan.response_format and (settings.response_format or settings.prefix is not None):
        raise KimiRequestError(
            f"{settings.model} takes a forced tool call only in place of a response_format or a prefix; ask for one."
        )
    thinking, thinks = _render_thinking(settings, profile, plan, host, found)
    response_format = plan.response_format or _render_format(settings.response_format, profile)
    body: JSON = {
        "model": settings.model,
        "messages": _render_conversation(settings, messages, profile, host, thinks, response_format, found),
        **thinking,
        **_render_limits(settings, profile, host),
        **_render_sampling(settings, profile, thinks, stream, found),
    }
    if plan.tools:
        body["tools"] = plan.tools
    if plan.tool_choice is not None:
        body["tool_choice"] = plan.tool_choice
    if response_format:
        body["response_format"] = response_format
    for name in ("prompt_cache_key", "safety_identifier"):
        if (value := getattr(settings, name)) is not None:
            if name in host.left_out:
                found.append(Notice(name, f"{host.name} refuses {name}; it is left out."))
            else:
                body[name] = value
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        if not host.stream_options:
            del body["stream_options"]
    body = _lay_over(place_beginning(body, host), settings.extra_body or {})
    media = _plan_media(body, settings, host, found) if profile.is_kimi else None
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
        media=media,
        host=host,
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
    host: Host,
    thinks: bool,
    response_format: Mapping[str, Any] | None,
    notices: list[Notice],
) -> list[JSON]:
    """The messages, and the beginning of the answer where one is given."""
    downloads = _one_of("remote_images", settings.remote_images, REMOTE_IMAGES) == "download"
    rendered = render_messages(
        messages,
        profile,
        thinking=thinks,
        missing_reasoning=_one_of("missing_reasoning", settings.missing_reasoning, MISSING_REASONING),
        unanswered_tool_calls=_one_of("unanswered_tool_calls", settings.unanswered_tool_calls, UNANSWERED),
        media_urls=(*host.media_urls, "http://", "https://") if downloads else host.media_urls,
    )
    render_history(rendered, profile, host)
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


def _plan_media(body: JSON, settings: Settings, host: Host, notices: list[Notice]) -> MediaPlan | None:
    if settings.upload_media_over is not None and "ms://" not in host.media_urls:
        notices.append(Notice("upload_media_over", f"{host.name} keeps no files; upload_media_over is left out."))
        settings = replace(settings, upload_media_over=None)
    return plan_media(body, settings)


def _lay_over(body: JSON, extra: Mapping[str, Any]) -> JSON:
    """Put the caller's own fields over a body; a template's variables are many in one field, and go beside ours."""
    given = {name: value for name, value in extra.items() if name != "partial"}
    ours, theirs = body.get("chat_template_kwargs"), given.get("chat_template_kwargs")
    if ours and isinstance(theirs, Mapping):
        given["chat_template_kwargs"] = {**ours, **theirs}
    return {**body, **given}


def _check_count(settings: Settings, name: str, profile: Profile, notices: list[Notice]) -> None:
    count = getattr(settings, name)
    if not is_whole(count, at_least=0):
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


def check_settings(base: Mapping[str, Any], base_url: str = "") -> None:
    """Refuse what every request of a model object would be refused for, before there is one.

    Args:
        base: The model object's settings.
        base_url: Where its requests are sent to.

    Raises:
        KimiRequestError: A setting is wrong for the model, or `strict` is set and one would be left out.
    """
    settings, notices = merge_settings(base, {})
    conversation = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    render_request(settings, conversation, stream=False, notices=notices, base_url=base_url)


def _one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise KimiRequestError(f"{name}={value!r} is not one of {', '.join(allowed)}.")
    return str(value)


def _render_thinking(
    settings: Settings, profile: Profile, plan: ToolPlan, host: Host, notices: list[Notice]
) -> tuple[JSON, bool]:
    """What is asked of the thinking, in the host's words, and whether the model will think.

    On Moonshot's platform that is the one field a family has: `thinking` for switchable ones, `reasoning_effort` for
    kimi-k3. Never both: "cannot specify both 'thinking' and 'reasoning_effort'" (HKUDS/nanobot#3939). Never `thinking`
    to kimi-k3, where probes and documentation contradict each other.
    """
    wish = _wish(settings, profile, plan, host, notices)
    say = host.thinking if profile.is_kimi else MOONSHOT.thinking
    rendered = say(wish)
    unsaid = {  # what makes no difference on the wire
        "thinking": say(Wish(on=wish.on)) == say(Wish()),
        "preserve_thinking": say(Wish(keep=wish.keep)) == say(Wish()),
        "reasoning_effort": say(replace(wish, effort=None)) == rendered,
    }
    asked = {
        "thinking": wish.on is not None,
        "preserve_thinking": wish.keep,
        "reasoning_effort": wish.effort is not None,
    }
    for name in (name for name in asked if asked[name] and unsaid[name]):
        message = f"{host.name} has no form for {name}={getattr(settings, name)!r} here; it is left out."
        notices.append(Notice(name, message))
    raw = (settings.extra_body or {}).get("thinking")
    off = raw.get("type") == "disabled" if isinstance(raw, Mapping) else wish.on is False and not unsaid["thinking"]
    return rendered, profile.can_think and not off


def _wish(settings: Settings, profile: Profile, plan: ToolPlan, host: Host, notices: list[Notice]) -> Wish:
    """What is asked of the thinking, as far as the family goes along with it."""
    effort = None if settings.reasoning_effort is None else _render_effort(settings, profile)
    on, preserve = None, profile.preserve
    stops_effort = profile.thinking is Thinking.EFFORT and host.effort_can_stop
    if profile.thinking is Thinking.SWITCHABLE or stops_effort:
        on = False if plan.thinking_off else settings.thinking
    elif settings.thinking is not None and settings.thinking != profile.can_think:
        notices.append(Notice("thinking", _no_switch_message(settings, profile)))
    asked = settings.preserve_thinking
    if asked is not None and preserve is not Preserve.OPTIONAL and asked != (preserve is Preserve.ALWAYS):
        # kimi-k2.5: "thinking.keep is not supported by m..."
        always = "always preserves" if preserve is Preserve.ALWAYS else "cannot preserve"
        message = f"{settings.model} {always} its thinking; preserve_thinking={asked} is left out."
        notices.append(Notice("preserve_thinking", message))
    keep = bool(asked) and preserve is Preserve.OPTIONAL
    return Wish(on, keep, always=preserve is Preserve.ALWAYS, effort=effort)


def _no_switch_message(settings: Settings, profile: Profile) -> str:
    if not profile.is_kimi:
        return f"{settings.model} is not a Kimi model: use extra_body to switch its thinking; thinking is left out."
    # "invalid thinking: only type=enabled is allowed for this model" (can1357/oh-my-pi#3852)
    always = "always thinks" if profile.can_think else "does not think"
    return f"{settings.model} {always}; thinking={settings.thinking} is left out."


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


def _render_limits(settings: Settings, profile: Profile, host: Host) -> JSON:
    rendered: JSON = {}
    if (cap := settings.max_tokens) is not None:
        if not is_whole(cap, at_least=1):
            raise KimiRequestError(f"max_tokens={cap!r} must be a whole number of at least 1.")
        # `max_tokens` is the deprecated name (platform.kimi.ai/docs/api/chat); other models' hosts may know only it.
        rendered[host.cap if profile.is_kimi else "max_tokens"] = cap
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


def _render_sampling(settings: Settings, profile: Profile, thinks: bool, stream: bool, notices: list[Notice]) -> JSON:
    """The sampling parameters a family takes.

    "invalid temperature: only 1 is allowed for this model" is the most reported Kimi error of all. The right value is
    left out too: it flips to 0.6 when thinking is off, and some gateways refused even it (MoonshotAI/kimi-cli#1924).
    """
    asked = {name: value for name in SAMPLING if (value := getattr(settings, name)) is not None}
    if profile.fixed_sampling:
        fixed = dict(profile.fixed_sampling)
        if not thinks:
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
