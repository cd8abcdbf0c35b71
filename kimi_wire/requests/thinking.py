"""What is asked of the thinking: the family says how far it goes along, the host in what words. Pure.

On Moonshot's platform that is the one field a family has: `thinking` for switchable ones, `reasoning_effort` for
kimi-k3. Never both: "cannot specify both 'thinking' and 'reasoning_effort'" (HKUDS/nanobot#3939). Never `thinking` to
kimi-k3, where probes and documentation contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from kimi_wire.errors import KimiRequestError
from kimi_wire.hosts import Host, Wish
from kimi_wire.json_values import JSON, shown
from kimi_wire.profiles import Preserve, Profile, Thinking
from kimi_wire.settings import Notice, Settings


@dataclass(frozen=True, slots=True)
class ThinkingPlan:
    """What is asked of the thinking, and what comes of it.

    Attributes:
        fields: Fields of the body.
        on: The model will think.
        preserved: The model is shown the reasoning of every earlier message (`thinking.keep`).
    """

    fields: JSON
    on: bool
    preserved: bool


def render_thinking(
    settings: Settings, profile: Profile, host: Host, *, off: bool, notices: list[Notice]
) -> ThinkingPlan:
    """Render what is asked of the thinking.

    Args:
        settings: What is asked.
        profile: The family's facts, as they are on the host.
        host: Where the request goes.
        off: Thinking has to be switched off for this call.
        notices: Gets a notice for each setting that is left out.

    """
    wish = _wish(settings, profile, host, off, notices)
    unsaid = list(_unsaid(wish, host.thinking))
    for name in unsaid:
        message = f"{host.name} has no form for {name}={getattr(settings, name)!r} here; it is left out."
        notices.append(Notice(name, message))
    raw = (settings.extra_body or {}).get("thinking")
    if isinstance(raw, Mapping):
        stops, keeps = raw.get("type") == "disabled", raw.get("keep") == "all"
    else:
        stops = wish.on is False and "thinking" not in unsaid
        keeps = wish.keep and "preserve_thinking" not in unsaid
    on = profile.can_think and not stops
    return ThinkingPlan(host.thinking(wish), on, on and (keeps or wish.always))


def _wish(settings: Settings, profile: Profile, host: Host, off: bool, notices: list[Notice]) -> Wish:
    """What is asked of the thinking, as far as the family goes along with it."""
    effort = None if settings.reasoning_effort is None else _check_effort(settings, profile, notices)
    on, preserve = None, profile.preserve
    stops_effort = profile.thinking is Thinking.EFFORT and host.effort_can_stop
    if profile.thinking is Thinking.SWITCHABLE or stops_effort:
        on = False if off else settings.thinking
    elif settings.thinking is not None and settings.thinking != profile.can_think:
        # "invalid thinking: only type=enabled is allowed for this model" (can1357/oh-my-pi#3852)
        always = "always thinks" if profile.can_think else "does not think"
        message = f"{settings.model} {always}; thinking={settings.thinking} is left out."
        notices.append(Notice("thinking", message))
    asked = settings.preserve_thinking
    if asked is not None and preserve is not Preserve.OPTIONAL and asked != (preserve is Preserve.ALWAYS):
        # kimi-k2.5: "thinking.keep is not supported by m..."
        always = "always preserves" if preserve is Preserve.ALWAYS else "cannot preserve"
        message = f"{settings.model} {always} its thinking; preserve_thinking={asked} is left out."
        notices.append(Notice("preserve_thinking", message))
    keep = bool(asked) and preserve is Preserve.OPTIONAL
    return Wish(on, keep, always=preserve is Preserve.ALWAYS, effort=effort)


def _check_effort(settings: Settings, profile: Profile, notices: list[Notice]) -> str | None:
    """The effort that is sent, if any. A word that the server takes though no documentation has it is no error."""
    effort = settings.reasoning_effort
    if effort in profile.efforts_taken:
        said = f"it is sent; documented are {', '.join(profile.efforts)}." if profile.efforts else "it is left out."
        message = f"The documentation of {settings.model} has no reasoning_effort={effort!r}; {said}"
        notices.append(Notice("reasoning_effort", message))
        return effort if profile.efforts else None
    if not profile.efforts:
        raise KimiRequestError(
            f"reasoning_effort is for kimi-k3 and newer models; {settings.model} has "
            + ("thinking=True or False." if profile.thinking is Thinking.SWITCHABLE else "no such setting.")
        )
    if effort not in profile.efforts:
        raise KimiRequestError(f"reasoning_effort={shown(effort)} is not one of {', '.join(profile.efforts)}.")
    return effort


def _unsaid(wish: Wish, say: Callable[[Wish], JSON]) -> Iterator[str]:
    """What of a wish a host has no words for.

    That is what makes no difference to the body, wished for or not: asking the one function that writes the words
    cannot disagree with it, as a list of what each host leaves out would some day.
    """
    if wish.on is not None and say(Wish(on=wish.on)) == say(Wish()):
        yield "thinking"
    if wish.keep and say(Wish(keep=True)) == say(Wish()):
        yield "preserve_thinking"
    if wish.effort is not None and say(wish) == say(replace(wish, effort=None)):
        yield "reasoning_effort"
