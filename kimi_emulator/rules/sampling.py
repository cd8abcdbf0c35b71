"""Rules about sampling parameters.

`kimi-*` models since K2.5 take one value of each and refuse the rest; older models take ranges.
Source: https://platform.kimi.ai/docs/api/models-overview.
"""

from __future__ import annotations

from typing import Any

from ..request import ChatRequest, Rejected, Rule, illegal, kind

_FIXED = {"top_p": 0.95, "n": 1, "presence_penalty": 0, "frequency_penalty": 0}
_RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 1),
    "top_p": (0, 1),
    "n": (1, 5),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_NEAR_ZERO = 0.01


def _given(request: ChatRequest, name: str) -> Any:
    return request.body.get(name)


def sampling_parameters_are_numbers(request: ChatRequest) -> None:
    """Numbers only: https://platform.kimi.ai/docs/api/chat."""
    for name in _RANGES:
        value = _given(request, name)
        expected = "int" if name == "n" else "float"
        if value is not None and kind(value) not in ("int", expected):
            raise illegal(name, expected, value)


def _only(name: str, allowed: float) -> Rejected:
    return Rejected(f"invalid {name}: only {allowed:g} is allowed for this model")


def temperature_is_the_fixed_one(request: ChatRequest) -> None:
    """Recorded: "invalid temperature: only 1 is allowed for this model".

    With thinking off, kimi-cli#1924: "invalid temperature: only 0.6 is allowed for this model".
    """
    family = request.family
    allowed = family.temperature if request.thinking else family.temperature_off
    given = _given(request, "temperature")
    if allowed is not None and given is not None and given != allowed:
        raise _only("temperature", allowed)


def other_sampling_is_the_fixed_one(request: ChatRequest) -> None:
    """Recorded for each: "invalid top_p: only 0.95 is allowed for this model"."""
    if not request.family.fixed_sampling:
        return
    for name, allowed in _FIXED.items():
        given = _given(request, name)
        if given is not None and given != allowed:
            raise _only(name, allowed)


def logprobs_are_off(request: ChatRequest) -> None:
    """Recorded on kimi-k3: "invalid logprobs: only false is allowed for this model"."""
    if request.family.fixed_sampling and _given(request, "logprobs") not in (None, False):
        raise Rejected("invalid logprobs: only false is allowed for this model")


def top_logprobs_need_logprobs(request: ChatRequest) -> None:
    """Recorded: "Invalid request: logprobs must be set to true if top_logprobs is used"."""
    if _given(request, "top_logprobs") is not None and _given(request, "logprobs") is not True:
        raise Rejected("Invalid request: logprobs must be set to true if top_logprobs is used")


def no_logit_bias(request: ChatRequest) -> None:
    """Recorded: "Invalid request: logit_bias is not supported yet"."""
    if _given(request, "logit_bias") is not None:
        raise Rejected("Invalid request: logit_bias is not supported yet")


def free_sampling_is_in_range(request: ChatRequest) -> None:
    """moonshot-v1 and kimi-k2 take ranges: https://platform.kimi.ai/docs/api/chat. Wording ours."""
    if request.family.fixed_sampling:
        return
    for name, (low, high) in _RANGES.items():
        given = _given(request, name)
        if given is not None and not low <= given <= high:
            raise Rejected(f"invalid {name}: must be between {low:g} and {high:g}")


def one_answer_near_zero_temperature(request: ChatRequest) -> None:
    """https://platform.kimi.ai/docs/api/chat: "When temperature is close to 0, n can only be 1".

    Only a temperature that is given counts, as reports differ on the default (0 or 0.3). Wording ours.
    """
    given = _given(request, "temperature")
    if not request.family.fixed_sampling and given is not None and given < _NEAR_ZERO and request.choices > 1:
        raise Rejected("invalid n: only 1 is allowed when temperature is close to 0")


RULES: tuple[Rule, ...] = (
    sampling_parameters_are_numbers,
    temperature_is_the_fixed_one,
    other_sampling_is_the_fixed_one,
    logprobs_are_off,
    top_logprobs_need_logprobs,
    no_logit_bias,
    free_sampling_is_in_range,
    one_answer_near_zero_temperature,
)
