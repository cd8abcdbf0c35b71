"""The one place where a request body is put together. Pure: settings and messages in, body and notices out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.hosts import MOONSHOT, Host, host_for, profile_at
from kimi_wire.json_values import JSON, is_whole
from kimi_wire.kinds import OBJECTS, TEXT, check_json, check_kind, check_messages
from kimi_wire.media import MediaPlan, plan_media
from kimi_wire.profiles import Profile, profile_for, spell_id
from kimi_wire.requests.foreign import render_foreign
from kimi_wire.requests.host_form import place_beginning, render_for_host
from kimi_wire.requests.known import NOTHING, Known
from kimi_wire.requests.loaded import place_loaded_tools
from kimi_wire.requests.messages import fill_missing_reasoning, render_messages
from kimi_wire.requests.names import ToolNames, is_builtin
from kimi_wire.requests.parts import describe_unseen, longest_ttl
from kimi_wire.requests.prefix import add_beginning, check_partial
from kimi_wire.requests.sampling import check_stops, render_family_sampling, render_limits
from kimi_wire.requests.thinking import render_thinking
from kimi_wire.requests.tools import (
    ToolPlan,
    check_together,
    loaded_tools,
    parse_tool_choice,
    plan_tools,
    render_schema,
    render_tools,
)
from kimi_wire.settings import CHOICES, Notice, Settings, merge_settings


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
        empty_answers: What to do about an answer with neither text nor a tool call.
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
    empty_answers: str = "warn"
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
    check_messages(messages, kimi=profile.is_kimi)
    found = list(notices)
    for name, words in CHOICES.items():
        if (value := getattr(settings, name)) not in words and value is not None:
            raise KimiRequestError(f"{name}={value!r} is not one of {', '.join(words)}.")
    known = NOTHING
    if profile.is_kimi:
        settings, messages = place_loaded_tools(settings, messages, profile, found)
        known = Known.of([*(settings.tools or ()), *loaded_tools(messages)])
        body, plan = _render_kimi(settings, messages, profile, host, stream, known, found)
    else:
        body, plan = render_foreign(settings, messages, host, stream, found)
    continuable = profile.partial and "response_format" not in body
    body |= _render_session(settings, host, found) | _render_cache(settings, messages, profile, found)
    if stream:
        body |= {"stream": True, **({"stream_options": {"include_usage": True}} if host.stream_options else {})}
    body = _lay_over(place_beginning(body, host), settings.extra_body or {})
    media = _plan_media(body, settings, host, found) if profile.is_kimi else None
    for name in ("continue_on_length", "resume_streams"):
        _check_count(settings, name, profile, found)
    if settings.strict and found:
        raise KimiRequestError(" ".join(notice.message for notice in found))
    return Request(
        body,
        replace(plan, json_answer=_is_json(body.get("response_format")), known=known),
        tuple(found),
        prefix=settings.prefix or "",
        continuable=continuable and body.get("n") in (None, 1),  # a continuation would go on with the first answer
        continue_on_length=settings.continue_on_length,
        resume_streams=settings.resume_streams,
        empty_answers=settings.empty_answers,
        media=media,
        host=host,
    )


def _render_kimi(
    settings: Settings,
    messages: Sequence[Mapping[str, Any]],
    profile: Profile,
    host: Host,
    stream: bool,
    known: Known,
    notices: list[Notice],
) -> tuple[JSON, ToolPlan]:
    """The body for one of Kimi's models, and the plan for its tools."""
    tools = render_tools(settings.tools or (), profile, known.names)
    _check_builtin(tools, host)
    web = ("http://", "https://") if settings.remote_images == "download" else ()
    seen, unseen = describe_unseen(messages, profile)
    if unseen:
        message = f"{settings.model} does not take {', '.join(unseen)}; words say what was there."
        notices.append(Notice("pictures", message))
    conversation = render_messages(
        seen,
        profile,
        unanswered_tool_calls=settings.unanswered_tool_calls,
        media_urls=(*host.media_urls, *web),
        known=known,
        notices=notices,
    )
    plan = _plan_tools(settings, tools, conversation, profile, known.names, notices)
    thinking = render_thinking(settings, profile, host, off=plan.thinking_off, notices=notices)
    response_format = plan.response_format or _render_format(settings.response_format)

    conversation = add_beginning(conversation, settings, notices)
    check_partial(conversation, profile, response_format)
    policy = settings.missing_reasoning or ("placeholder" if profile.needs_reasoning else "omit")
    if thinking.on:
        conversation = fill_missing_reasoning(conversation, policy, preserved=thinking.preserved)
    conversation = render_for_host(conversation, profile, host)

    limits = render_limits(settings, host.cap)
    check_stops(limits.get("stop", ()))
    body: JSON = {
        "model": spell_id(settings.model),
        "messages": conversation,
        **thinking.fields,
        **limits,
        **render_family_sampling(settings, profile, thinking.on, stream, notices),
        **plan.fields,
        **_render_parallel(settings, host, notices),
    }
    if response_format:
        body["response_format"] = response_format
    return body, plan


def _check_builtin(tools: Sequence[JSON], host: Host) -> None:
    if not host.builtin_tools and (found := [name for tool in tools if is_builtin(name := tool["function"]["name"])]):
        raise KimiRequestError(
            f"{found[0]} runs in Moonshot's own server, and {host.name} has no such tool; give the model one of yours."
        )


def _render_parallel(settings: Settings, host: Host, notices: list[Notice]) -> JSON:
    """`parallel_tool_calls`, where it has an effect: elsewhere Kimi decides how many tools it calls at once."""
    asked = settings.parallel_tool_calls
    if asked is not None and host.parallel_choice and settings.tools:
        return {"parallel_tool_calls": asked}
    if asked is False:
        message = "parallel_tool_calls=False is left out: Kimi decides how many tools it calls at once."
        notices.append(Notice("parallel_tool_calls", message))
    return {}


def _plan_tools(
    settings: Settings,
    tools: list[JSON],
    conversation: Sequence[JSON],
    profile: Profile,
    names: ToolNames,
    notices: list[Notice],
) -> ToolPlan:
    """The plan for the (rendered) tools of the request, and those that its (rendered) messages bring along."""
    dynamic = [tool for message in conversation for tool in message.get("tools", ())]
    if dynamic:
        check_together([*tools, *dynamic], names)
    choice = parse_tool_choice(settings.tool_choice, [*tools, *dynamic], names)
    plan = plan_tools(tools, choice, profile, settings.thinking is True, dynamic, names)
    if plan.warning:
        notices.append(Notice("tool_choice", plan.warning))
    if plan.response_format and (settings.response_format or settings.prefix is not None):
        raise KimiRequestError(
            f"{settings.model} takes a forced tool call only in place of a response_format or a prefix; ask for one."
        )
    return plan


def _render_session(settings: Settings, host: Host, notices: list[Notice]) -> JSON:
    """Whose request it is, for caches and for the host's safety."""
    asked = {name: getattr(settings, name) for name in ("prompt_cache_key", "safety_identifier")}
    refused = [name for name, value in asked.items() if value is not None and name in host.left_out]
    notices += [Notice(name, f"{host.name} refuses {name}; it is left out.") for name in refused]
    return {name: value for name, value in asked.items() if value is not None and name not in refused}


def _render_cache(
    settings: Settings, messages: Sequence[Mapping[str, Any]], profile: Profile, notices: list[Notice]
) -> JSON:
    """`prompt_cache_options`: how long the cache is to keep what the request writes to it.

    https://platform.kimi.ai/docs/api/chat; MoonshotAI/kimi-code#3942: a hit within the time renews it at the price of a
    read. What else the framework's cache points say has no form here ("`prompt_cache_breakpoint` inside `content`" is a
    400): the server finds shared beginnings by itself.
    """
    asked = settings.prompt_cache_ttl
    if asked is not None and not profile.cache_ttls:
        message = (
            f"{settings.model} takes no prompt_cache_ttl here; it is left out. Shared beginnings are cached anyway."
        )
        notices.append(Notice("prompt_cache_ttl", message))
    if not profile.cache_ttls:
        return {}
    ttl = asked or longest_ttl(messages)
    return {"prompt_cache_options": {"mode": "implicit", "ttl": ttl}} if ttl else {}


def _plan_media(body: JSON, settings: Settings, host: Host, notices: list[Notice]) -> MediaPlan | None:
    if settings.upload_media_over is not None and "ms://" not in host.media_urls:
        notices.append(Notice("upload_media_over", f"{host.name} keeps no files; upload_media_over is left out."))
        settings = replace(settings, upload_media_over=None)
    return plan_media(body, settings)


def _lay_over(body: JSON, extra: Mapping[str, Any]) -> JSON:
    """Put the caller's own fields over a body; a template's variables are many in one field, and go beside ours.

    `stream` is not taken from there: who reads the answer goes by the method that was called.
    """
    given = {name: value for name, value in extra.items() if name not in ("partial", "stream")}
    if "messages" in given:
        check_kind("messages of extra_body", given["messages"], OBJECTS)
        if not given["messages"]:
            raise KimiRequestError("extra_body has no messages; leave the name out, and those of the call are sent.")
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


def _render_format(response_format: Mapping[str, Any] | None) -> JSON | None:
    """A `response_format`, its schema in Moonshot's dialect and its name where the API wants one.

    "missing required parameter: response_format.json_schema.name" (browseros-ai/BrowserOS#657)
    """
    if not response_format:
        return None
    described = response_format.get("json_schema")
    check_kind("type of response_format", response_format.get("type", ""), TEXT)
    if response_format.get("type") != "json_schema":
        return dict(response_format)
    if not isinstance(described, Mapping) or not isinstance(described.get("schema"), Mapping):
        raise KimiRequestError("A response_format of type json_schema needs {'json_schema': {'schema': {...}}}.")
    check_kind("name of response_format", described.get("name", ""), TEXT)
    schema = render_schema(described["schema"], "response_format")
    return {**response_format, "json_schema": {"name": "answer", "strict": True, **described, "schema": schema}}


def _is_json(response_format: Any) -> bool:
    return isinstance(response_format, Mapping) and response_format.get("type") in ("json_object", "json_schema")


def check_settings(base: Mapping[str, Any], base_url: str = "") -> None:
    """Refuse what every request of a model object would be refused for, before there is one.

    The code that renders a request knows what that is, so it renders one: of a conversation that every model takes,
    with an assistant's message last, where `partial` of an `extra_body` has its place.

    Args:
        base: The model object's settings.
        base_url: Where its requests are sent to.

    Raises:
        KimiRequestError: A setting is wrong for the model, or `strict` is set and one would be left out.
    """
    settings, notices = merge_settings(base, {})
    check_json("extra_body", settings.extra_body)  # tracers write the fields of an object, and do not end in a circle
    answer = {"role": "assistant", "content": "!", "reasoning_content": "."}  # nothing is lost, so no policy is asked
    conversation = [{"role": "user", "content": "?"}, answer]
    render_request(settings, conversation, stream=False, notices=notices, base_url=base_url)
