"""Where an answer ends and how its words are drawn: the cap, stop sequences, sampling parameters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON, is_whole
from kimi_wire.profiles import Profile
from kimi_wire.settings import Notice, Settings

MAX_STOPS, MAX_STOP_BYTES = 5, 32  # https://platform.kimi.com/docs/api/chat

SAMPLING = ("temperature", "top_p", "n", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")


def render_limits(settings: Settings, cap: str) -> JSON:
    """The cap on the answer, under the name that the host has for it, and the stop sequences."""
    rendered: JSON = {}
    if (limit := settings.max_tokens) is not None:
        if not is_whole(limit, at_least=1):
            raise KimiRequestError(f"max_tokens={limit!r} must be a whole number of at least 1.")
        rendered[cap] = limit
    if settings.stop:
        rendered["stop"] = [settings.stop] if isinstance(settings.stop, str) else list(settings.stop)
    return rendered


def check_stops(stops: Sequence[str]) -> None:
    """Refuse stop sequences that Kimi's server would refuse.

    Raises:
        KimiRequestError: They are too many, or one is too long.
    """
    # "stop array too long. Expected an array with maximum length 5, but got 6"
    if len(stops) > MAX_STOPS:
        raise KimiRequestError(f"{len(stops)} stop sequences were given; Kimi takes at most {MAX_STOPS}.")
    for stop in stops:
        if len(stop.encode("utf-8", "surrogatepass")) > MAX_STOP_BYTES:
            raise KimiRequestError(f"The stop sequence {stop!r} has more than {MAX_STOP_BYTES} bytes.")


def render_sampling(settings: Settings, stream: bool) -> JSON:
    """The sampling parameters, as they are given."""
    asked = _asked(settings)
    if stream and asked.get("n", 1) > 1:
        raise KimiRequestError("Several answers (n > 1) cannot be streamed; call without streaming.")
    return asked


def render_family_sampling(
    settings: Settings, profile: Profile, thinks: bool, stream: bool, notices: list[Notice]
) -> JSON:
    """The sampling parameters a family takes.

    "invalid temperature: only 1 is allowed for this model" is the most reported Kimi error of all. The right value is
    left out too: it flips to 0.6 when thinking is off, and some gateways refused even it (MoonshotAI/kimi-cli#1924).
    """
    if not profile.fixed_sampling:
        asked = render_sampling(settings, stream)
        if asked.get("n", 1) > 1 and asked.get("temperature", 0.0) < 0.01:
            # "When `temperature` is close to 0, `n` can only be 1": platform.kimi.ai/docs/api/chat. moonshot-v1's is 0.
            raise KimiRequestError("Several answers (n > 1) need a temperature above 0; set one.")
        return asked
    fixed = (
        dict(profile.fixed_sampling)
        if thinks
        else {**profile.fixed_sampling, **profile.fixed_sampling_without_thinking}
    )
    for name, value in _asked(settings).items():
        if name not in fixed or value != fixed[name]:
            message = f"{settings.model} samples with fixed parameters; {name}={value!r} is left out."
            notices.append(Notice(name, message))
    return {}


def _asked(settings: Settings) -> dict[str, Any]:
    return {name: value for name in SAMPLING if (value := getattr(settings, name)) is not None}
