"""A request for another vendor's model: what the caller gives is what is sent.

Somebody points an adapter of ours at a model that is not Kimi's, for a comparison or behind one gateway. Nothing is
known about it, so nothing is checked, moved or left out for it, but for settings that have no form at all outside of
Kimi. The host's own facts hold all the same: where it wants reasoning to stand, and which fields it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.hosts import Host
from kimi_wire.json_values import JSON
from kimi_wire.profiles import FOREIGN
from kimi_wire.requests.host_form import render_for_host
from kimi_wire.requests.prefix import add_beginning, check_partial
from kimi_wire.requests.sampling import render_limits, render_sampling
from kimi_wire.requests.tools import ToolPlan, loaded_tools, parse_tool_choice, plan_tools
from kimi_wire.settings import Notice, Settings


def render_foreign(
    settings: Settings, messages: Sequence[Mapping[str, Any]], host: Host, stream: bool, notices: list[Notice]
) -> tuple[JSON, ToolPlan]:
    """Render the body for another vendor's model, and the plan for its tools.

    Raises:
        KimiRequestError: A setting is wrong for any model, or would change what the answer is read as.
    """
    tools = [dict(tool) for tool in settings.tools or ()]
    dynamic = [dict(tool) for tool in loaded_tools(messages)]
    choice = parse_tool_choice(settings.tool_choice, [*tools, *dynamic])
    plan = plan_tools(tools, choice, FOREIGN, thinking_asked=False, dynamic=dynamic)
    if settings.thinking:
        message = f"{settings.model} is not a Kimi model: use extra_body to switch its thinking; thinking is left out."
        notices.append(Notice("thinking", message))
    if settings.preserve_thinking:
        message = f"{settings.model} cannot preserve its thinking; preserve_thinking=True is left out."
        notices.append(Notice("preserve_thinking", message))
    body: JSON = {
        "model": settings.model,
        "messages": _copy_conversation(settings, messages, host, notices),
        **({} if settings.reasoning_effort is None else {"reasoning_effort": str(settings.reasoning_effort)}),
        **render_limits(settings, "max_tokens"),  # others' hosts may know only this name
        **render_sampling(settings, stream),
        **plan.fields,
        **({} if settings.parallel_tool_calls is None else {"parallel_tool_calls": settings.parallel_tool_calls}),
    }
    if settings.response_format:
        body["response_format"] = dict(settings.response_format)
    return body, plan


def _copy_conversation(
    settings: Settings, messages: Sequence[Mapping[str, Any]], host: Host, notices: list[Notice]
) -> list[JSON]:
    if not messages:
        raise KimiRequestError("There are no messages to send.")
    copied = add_beginning(render_for_host([dict(message) for message in messages], FOREIGN, host), settings, notices)
    if settings.prefix is not None or settings.prefix_name is not None:
        check_partial(copied, FOREIGN, settings.response_format)
    return copied
