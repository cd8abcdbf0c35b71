"""Rules about switching thinking and choosing its effort.

Source: https://platform.kimi.ai/docs/guide/use-thinking-models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..request import ChatRequest, Rejected, Rule, kind


def _setting(request: ChatRequest) -> Mapping[str, Any] | None:
    setting = request.body.get("thinking")
    return setting if isinstance(setting, Mapping) else None


def thinking_is_an_object(request: ChatRequest) -> None:
    """Reported for `thinking: true`.

    "the thinking field in the request (expected type object) is illegal, and bool is not acceptable"
    """
    thinking = request.body.get("thinking")
    if thinking is not None and not isinstance(thinking, Mapping):
        raise Rejected(
            f"the thinking field in the request (expected type object) is illegal, and {kind(thinking)} is not "
            "acceptable"
        )


def effort_is_text(request: ChatRequest) -> None:
    """litellm#38611: "the reasoning_effort field (expected type string) is illegal"."""
    effort = request.body.get("reasoning_effort")
    if effort is not None and not isinstance(effort, str):
        raise Rejected("the reasoning_effort field (expected type string) is illegal")


def thinking_and_effort_exclude_each_other(request: ChatRequest) -> None:
    """nanobot#3939: "cannot specify both 'thinking' and 'reasoning_effort'".

    Not of the K3 family: Moonshot's verifier of hosts (Kimi-Vendor-Verifier, tests of `thinking.effort`) sends both.
    """
    both = _setting(request) is not None and request.body.get("reasoning_effort") is not None
    if both and not request.family.efforts:
        raise Rejected("cannot specify both 'thinking' and 'reasoning_effort'")


def thinking_is_understood(request: ChatRequest) -> None:
    """The `thinking` object belongs to K2.5 and the families after it. Wording ours, after "thinking.keep is not …".

    The documentation says not to send it to the K3 family; Moonshot's verifier of hosts wants it accepted there with
    `enabled`, `keep` and `effort`, and vercel/ai#18449 saw it accepted. That it can be disabled there is contested.
    """
    if _setting(request) is not None and not request.family.takes_thinking:
        raise Rejected(f"thinking is not supported by model {request.model}")


def thinking_type_is_known(request: ChatRequest) -> None:
    """Reported: "invalid value for thinking type"."""
    setting = _setting(request)
    if setting is not None and setting.get("type") not in ("enabled", "disabled"):
        raise Rejected("invalid value for thinking type")


def thinking_cannot_always_be_disabled(request: ChatRequest) -> None:
    """oh-my-pi#3852, kimi-k2.7-code: "invalid thinking: only type=enabled is allowed for this model"."""
    setting = _setting(request)
    if setting is not None and request.family.thinking == "always" and setting.get("type") != "enabled":
        raise Rejected("invalid thinking: only type=enabled is allowed for this model")


def keep_is_supported(request: ChatRequest) -> None:
    """`thinking.keep` is null or "all", and not for K2.5.

    vercel/ai#18449: "thinking.keep is not supported by m…" (completed here). The words for another value are ours.
    """
    setting = _setting(request)
    if setting is None or setting.get("keep") is None:
        return
    if not request.family.takes_keep:
        raise Rejected(f"thinking.keep is not supported by model {request.model}")
    if setting["keep"] != "all":
        raise Rejected("invalid value for thinking keep")


def thinking_has_no_unknown_keys(request: ChatRequest) -> None:
    """https://platform.kimi.com/docs/api/chat: the object's schema allows no other keys. Wording ours.

    `effort` passes although undocumented, because Moonshot's own kimi-code sends it.
    """
    unknown = set(_setting(request) or ()) - {"type", "keep", "effort"}
    if unknown:
        raise Rejected(f"Invalid request: unknown field thinking.{min(unknown, key=str)}")


def effort_is_supported(request: ChatRequest) -> None:
    """`reasoning_effort` belongs to the K3 family, which knows low, high and max.

    Kilo-Org/cloud#3807: "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported
    values are: …". "medium" was answered with 200 on kimi-k3 and kimi-k2.6 on 2026-08-20. Contested: the platform was
    also seen to ignore unknown values; the stricter reading holds here. For families without efforts the wording is
    ours.
    """
    effort = request.body.get("reasoning_effort")
    if effort is None or effort in (*request.family.efforts, *request.family.efforts_taken):
        return
    if not request.family.efforts:
        raise Rejected(f"reasoning_effort is not supported by model {request.model}")
    *most, last = (f"'{known}'" for known in request.family.efforts)
    raise Rejected(
        f"Unsupported value: 'reasoning_effort' does not support '{effort}' with this model. "
        f"Supported values are: {', '.join(most)}, and {last}."
    )


RULES: tuple[Rule, ...] = (
    thinking_is_an_object,
    effort_is_text,
    thinking_and_effort_exclude_each_other,
    thinking_is_understood,
    thinking_type_is_known,
    thinking_cannot_always_be_disabled,
    keep_is_supported,
    thinking_has_no_unknown_keys,
    effort_is_supported,
)
