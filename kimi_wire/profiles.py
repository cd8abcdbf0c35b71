"""What each Kimi model family can do: one row of dated, sourced facts per family, and a lookup that never fails.

Nothing else in the project compares model names. To add a family, write its row and put it into `_KNOWN` above the rows
that it would otherwise match; the newest is the first, and what ids are asked by that no row knows.

Deliberately absent: lists of model ids. Adapters that had some broke at each launch (BerriAI/litellm#26156: the fix for
k2.5 did not cover k2.6).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, get_args

CacheTTL = Literal["5m", "1h"]
"""The words for how long the prefix cache keeps what is written to it."""

CACHE_TTLS: tuple[str, ...] = get_args(CacheTTL)

Effort = Literal["low", "high", "max"]
"""The words for how hard a model thinks, of all families that have such a setting."""


class Thinking(Enum):
    """How a family thinks before it answers."""

    NONE = "none"  # never
    FORCED = "forced"  # always; there is no switch
    SWITCHABLE = "switchable"  # on unless the request says `thinking: {"type": "disabled"}`
    EFFORT = "effort"  # always; `reasoning_effort` says how hard
    UNKNOWN = "unknown"  # somebody else's model


class Preserve(Enum):
    """Whether the reasoning of earlier turns is shown to the model again (`thinking.keep`)."""

    NO = "no"
    OPTIONAL = "optional"
    ALWAYS = "always"


class ForcedChoice(Enum):
    """How a forced tool choice reaches a family without being refused."""

    REQUIRED = "required"  # `required` works while thinking; a named tool needs the list narrowed to it
    THINKING_OFF = "thinking off"  # any choice works once thinking is switched off for the call
    CONSTRAINED = "constrained"  # neither works: the call is written as JSON under `response_format`
    ASK = "ask"  # nothing works: `auto` over the narrowed list, and the answer is checked
    NATIVE = "native"  # somebody else's model: the choice goes out as given


@dataclass(frozen=True, slots=True)
class Source:
    """Where a fact was read, and the day it was true.

    Attributes:
        where: A URL, or an `owner/repo#n` of a public thread.
        day: The day of the statement or of the stored copy.
        kind: `doc` (official documentation), `src` (Moonshot's own code), `live` (somebody's measurement),
            `3p` (somebody's statement) or `rule` (this project's decision where nothing is said).
    """

    where: str
    day: date
    kind: str


@dataclass(frozen=True, slots=True)
class Profile:
    """The facts about one family.

    Attributes:
        family: Name of the row.
        pattern: What the lower-cased model id has to contain (see `profile_for`).
        context_window: Input and output together, in tokens; None where unknown.
        default_output: What the server caps an answer at if the request does not say, in tokens.
        max_output: The highest cap the server takes, in tokens.
        images: Takes `image_url` parts.
        video: Takes `video_url` parts.
        thinking: See `Thinking`.
        efforts: The values of `reasoning_effort` it takes; none where it has no such setting.
        efforts_taken: Values of it that the server was seen to answer, though no documentation has them.
        preserve: See `Preserve`.
        fixed_sampling: The only value the server takes for each sampling parameter; empty where they are free.
        fixed_sampling_without_thinking: The values that change when thinking is switched off.
        tools: Takes `tools` at all.
        forced_choice: See `ForcedChoice`.
        json_schema: `response_format` of type `json_schema` is enforced by the server.
        needs_reasoning: While thinking, an assistant message with tool calls but without `reasoning_content` has been
            refused: "thinking is enabled but reasoning_content is missing in assistant tool call message at index N".
        partial: Continues a last assistant message marked `partial`.
        dynamic_tools: Takes tools in a system message.
        cache_ttls: How long the prefix cache can be asked to keep what is written to it; none where it cannot be asked.
        names_in_ids: The open weights' prompt has a function's name in the call's id only: `functions.{name}:{index}`.
        released: The day, or the month, in which it came out, in the form of ISO 8601; None where nothing says.
        open_weights: Whether everybody may have its weights; None where nothing says.
        retired: The day Moonshot's own platform stopped (or stops) serving it; other hosts may go on.
        sources: Field name -> where the fact comes from.
    """

    family: str
    pattern: str
    context_window: int | None
    default_output: int | None
    max_output: int | None
    images: bool
    video: bool
    thinking: Thinking
    efforts: tuple[str, ...]
    efforts_taken: tuple[str, ...]
    preserve: Preserve
    fixed_sampling: Mapping[str, float | int | bool]
    fixed_sampling_without_thinking: Mapping[str, float | int | bool]
    tools: bool
    forced_choice: ForcedChoice
    json_schema: bool
    needs_reasoning: bool
    partial: bool
    dynamic_tools: bool
    cache_ttls: tuple[str, ...]
    names_in_ids: bool
    released: str | None
    open_weights: bool | None
    retired: date | None
    sources: Mapping[str, Source] = field(repr=False)

    @property
    def is_kimi(self) -> bool:
        """Whether the model is one of Moonshot's."""
        return self.thinking is not Thinking.UNKNOWN

    @property
    def can_think(self) -> bool:
        """Whether the model thinks, always or when asked."""
        return self.thinking in (Thinking.FORCED, Thinking.SWITCHABLE, Thinking.EFFORT)

    def is_retired(self, today: date) -> bool:
        """Whether Moonshot's own platform no longer serves the family on a day.

        Args:
            today: The day.

        Returns:
            True from the day `retired` on; False where none is known.
        """
        return self.retired is not None and self.retired <= today


_MODELS = Source("https://platform.kimi.ai/docs/api/models-overview", date(2026, 8, 13), "doc")
_CHAT = Source("https://platform.kimi.ai/docs/api/chat", date(2026, 8, 13), "doc")
_THINKING = Source("https://platform.kimi.ai/docs/guide/use-thinking-models", date(2026, 8, 13), "doc")
_VISION = Source("https://platform.kimi.ai/docs/guide/use-kimi-vision-model", date(2026, 8, 13), "doc")
_CHOICE = Source("https://platform.kimi.ai/docs/guide/use-tool-choice", date(2026, 8, 13), "doc")
_DYNAMIC = Source("https://platform.kimi.ai/docs/guide/use-dynamic-tool-loading", date(2026, 8, 13), "doc")
_FORMAT = Source("https://platform.kimi.ai/docs/guide/response_format", date(2026, 8, 13), "doc")
_PARTIAL = Source("https://platform.kimi.com/docs/guide/use-partial-mode-feature-of-kimi-api", date(2026, 8, 13), "doc")
_K3_START = Source("https://platform.kimi.ai/docs/guide/kimi-k3-quickstart", date(2026, 8, 23), "doc")
_MEDIUM = Source("answered with 200 on kimi-k3 and kimi-k2.6", date(2026, 8, 20), "live")
_K31 = Source("https://apidog.com/blog/kimi-k3-1-pro-api/", date(2026, 10, 26), "3p")
_K2_END = Source("dev.to/aihubmix: Kimi K3.1 Pro migration guide", date(2026, 10, 24), "3p")
_CODING = Source("https://api.kimi.ai/coding/v1/models", date(2026, 9, 22), "live")
_FORCED_LIVE = Source("UKGovernmentBEIS/inspect_ai#5152", date(2026, 8, 1), "live")
_KEEP_LIVE = Source("vercel/ai#18449", date(2026, 7, 17), "live")
_REASONING_400 = Source("QuantumNous/new-api#3121", date(2026, 5, 1), "live")
_REASONING_OK = Source("Datus-ai/Datus-agent#1400", date(2026, 9, 6), "live")
_SCHEMA_K25 = Source("vercel/ai#12871", date(2026, 5, 1), "live")
_PREVIEW = Source("https://platform.moonshot.ai/docs/guide/use-kimi-thinking-preview", date(2025, 11, 11), "doc")
_K2_HOSTS = Source("MoonshotAI/K2-Vendor-Verifier", date(2026, 8, 13), "3p")
_NATIVE_IDS = Source("MoonshotAI/Kimi-K2: docs/tool_call_guidance.md", date(2026, 8, 13), "doc")
_OPEN = Source("https://huggingface.co/moonshotai", date(2026, 11, 26), "live")
_K27_OUT = Source("https://huggingface.co/moonshotai: Kimi-K2.7-Code, June 15", date(2026, 11, 26), "live")
_K31_OUT = Source("ikaijua/Awesome-AITools#1415", date(2026, 10, 24), "3p")
_CACHE = Source("MoonshotAI/kimi-code#3942", date(2026, 9, 19), "live")
_DECIDED = Source("the reading that every report accepts", date(2026, 11, 20), "rule")

_END_OF_2026 = date(2026, 12, 31)


def _family(family: str, pattern: str, **facts: tuple[Any, Source]) -> Profile:
    """A row: every fact with its source."""
    values = {fact: value for fact, (value, _) in facts.items()}
    sources = {fact: source for fact, (_, source) in facts.items()}
    return Profile(family=family, pattern=pattern, sources=MappingProxyType(sources), **values)


def _like(row: Profile, family: str, pattern: str, **facts: tuple[Any, Source]) -> Profile:
    """A row that differs from another one in these facts."""
    kept = {fact: (getattr(row, fact), source) for fact, source in row.sources.items()}
    return _family(family, pattern, **{**kept, **facts})


def _all_from(source: Source, row: Profile) -> Profile:
    """A row whose facts are from one place, those that it shares with another row too."""
    return replace(row, sources=MappingProxyType(dict.fromkeys(row.sources, source)))


# "'Fixed' means the parameter cannot be modified: passing any other value returns an error" (models-overview); kimi-k3
# answered "invalid logprobs: only false is allowed for this model" on 2026-09-01 (leandromineti/ai-assisted-coding).
_FIXED = MappingProxyType(
    {"temperature": 1.0, "top_p": 0.95, "n": 1, "presence_penalty": 0.0, "frequency_penalty": 0.0, "logprobs": False}
)
_FREE: Mapping[str, float | int | bool] = MappingProxyType({})

_K3 = _family(
    "kimi-k3",
    r"(?:kimi-)?k3(?:[.p-]\d{1,2})?(?![a-z\d])",
    context_window=(1_048_576, _MODELS),
    default_output=(131_072, _CHAT),
    max_output=(1_048_576, _CHAT),
    images=(True, _VISION),
    video=(True, _VISION),
    thinking=(Thinking.EFFORT, _K3_START),
    efforts=(("low", "high", "max"), _K3_START),
    efforts_taken=(("medium",), _MEDIUM),
    preserve=(Preserve.ALWAYS, _THINKING),
    fixed_sampling=(_FIXED, _MODELS),
    fixed_sampling_without_thinking=(_FREE, _MODELS),
    tools=(True, _MODELS),
    forced_choice=(ForcedChoice.REQUIRED, _CHOICE),
    json_schema=(True, _FORMAT),
    needs_reasoning=(False, _REASONING_OK),
    partial=(True, _PARTIAL),
    dynamic_tools=(True, _DYNAMIC),
    cache_ttls=(CACHE_TTLS, _CACHE),
    names_in_ids=(False, _MODELS),
    released=("2026-07-16", _MODELS),
    open_weights=(True, _OPEN),
    retired=(None, _MODELS),
)
_K31_PRO = _like(
    _all_from(_K31, _K3),
    "kimi-k3.1-pro",
    r"(?:kimi-)?k3[.p-]1-pro(?:-highspeed)?(?![a-z\d])",
    released=("2026-10-24", _K31_OUT),
    open_weights=(True, _OPEN),
)
_K3_256K = _all_from(
    _CODING,
    _like(
        _K3,
        "k3-256k",
        r"(?:kimi-)?k3-256k(?![a-z\d])",
        context_window=(262_144, _CODING),
        max_output=(262_144, _CODING),
        video=(False, _CODING),
        released=(None, _CODING),
        open_weights=(None, _CODING),
    ),
)

_K26 = _family(
    "kimi-k2.6",
    r"(?:kimi-)?k2[.p-]6(?!\d)",
    context_window=(262_144, _MODELS),
    default_output=(32_768, _CHAT),
    max_output=(262_144, _CHAT),
    images=(True, _VISION),
    video=(True, _VISION),
    thinking=(Thinking.SWITCHABLE, _THINKING),
    efforts=((), _MODELS),
    efforts_taken=(("medium",), _MEDIUM),
    preserve=(Preserve.OPTIONAL, _THINKING),
    fixed_sampling=(_FIXED, _MODELS),
    fixed_sampling_without_thinking=(MappingProxyType({"temperature": 0.6}), _MODELS),
    tools=(True, _MODELS),
    forced_choice=(ForcedChoice.THINKING_OFF, _FORCED_LIVE),
    json_schema=(True, _FORMAT),
    needs_reasoning=(True, _REASONING_400),
    partial=(True, _PARTIAL),
    dynamic_tools=(False, _DYNAMIC),
    cache_ttls=((), _CACHE),
    names_in_ids=(True, _NATIVE_IDS),
    released=("2026-04-20", _MODELS),
    open_weights=(True, _OPEN),
    retired=(_END_OF_2026, _K2_END),
)
_K27_CODE = _like(
    _K26,
    "kimi-k2.7-code",
    r"(?:kimi-)?k2[.p-]7-code",
    thinking=(Thinking.FORCED, _THINKING),
    efforts_taken=((), _DECIDED),
    preserve=(Preserve.ALWAYS, _THINKING),
    fixed_sampling_without_thinking=(_FREE, _MODELS),
    forced_choice=(ForcedChoice.CONSTRAINED, _CHOICE),
    released=("2026-06", _K27_OUT),
)
_K25 = _like(
    _K26,
    "kimi-k2.5",
    r"(?:kimi-)?k2[.p-]5(?!\d)",
    efforts_taken=((), _DECIDED),
    preserve=(Preserve.NO, _KEEP_LIVE),
    json_schema=(False, _SCHEMA_K25),
    released=(None, _MODELS),
    retired=(date(2026, 8, 31), _MODELS),
)

_K2 = _family(
    "kimi-k2",
    r"kimi-k2(?![.p]\d)(?![a-z\d])",
    context_window=(262_144, _MODELS),
    default_output=(None, _MODELS),
    max_output=(262_144, _MODELS),
    images=(False, _MODELS),
    video=(False, _MODELS),
    thinking=(Thinking.NONE, _MODELS),
    efforts=((), _MODELS),
    efforts_taken=((), _MODELS),
    preserve=(Preserve.NO, _MODELS),
    fixed_sampling=(_FREE, _MODELS),
    fixed_sampling_without_thinking=(_FREE, _MODELS),
    tools=(True, _MODELS),
    forced_choice=(ForcedChoice.ASK, _CHOICE),
    json_schema=(True, _K2_HOSTS),
    needs_reasoning=(False, _MODELS),
    partial=(True, _PARTIAL),
    dynamic_tools=(False, _DYNAMIC),
    cache_ttls=((), _CACHE),
    names_in_ids=(True, _NATIVE_IDS),
    released=(None, _MODELS),
    open_weights=(True, _OPEN),
    retired=(date(2026, 5, 25), _MODELS),
)
_K2_0711 = _like(
    _K2,
    "kimi-k2-0711",
    r"kimi-k2-(?:instruct-)?0711",
    context_window=(131_072, _MODELS),
    max_output=(131_072, _MODELS),
)
_K2_THINKING = _like(
    _K2,
    "kimi-k2-thinking",
    r"kimi-k2-thinking(?:-turbo)?(?![a-z\d])",
    thinking=(Thinking.FORCED, _THINKING),
    needs_reasoning=(True, _REASONING_400),
)

_V1_128K = _family(
    "moonshot-v1-128k",
    r"moonshot-v1-(?:128k|auto)(?![a-z\d])",
    context_window=(131_072, _MODELS),
    default_output=(None, _MODELS),
    max_output=(131_072, _MODELS),
    images=(False, _VISION),
    video=(False, _MODELS),
    thinking=(Thinking.NONE, _MODELS),
    efforts=((), _MODELS),
    efforts_taken=((), _MODELS),
    preserve=(Preserve.NO, _MODELS),
    fixed_sampling=(_FREE, _MODELS),
    fixed_sampling_without_thinking=(_FREE, _MODELS),
    tools=(True, _MODELS),
    # The documentation of the time knew no forced choice; one probe (inspect_ai#5152) saw it work.
    forced_choice=(ForcedChoice.ASK, _DECIDED),
    json_schema=(True, _CHAT),
    needs_reasoning=(False, _MODELS),
    partial=(True, _PARTIAL),
    dynamic_tools=(False, _MODELS),
    cache_ttls=((), _CACHE),
    names_in_ids=(False, _MODELS),
    released=(None, _MODELS),
    open_weights=(False, _OPEN),
    retired=(date(2026, 8, 31), _MODELS),
)


def _of_size(size: int) -> Profile:
    """A smaller moonshot-v1."""
    name = f"moonshot-v1-{size // 1024}k"
    return _like(_V1_128K, name, rf"{name}(?![a-z\d])", context_window=(size, _MODELS), max_output=(size, _MODELS))


def _with_vision(row: Profile) -> Profile:
    """The `-vision-preview` variant of a moonshot-v1 row."""
    name = f"{row.family}-vision-preview"
    return _like(row, name, name, images=(True, _VISION))


_V1_32K, _V1_8K = _of_size(32_768), _of_size(8_192)
_LATEST = _like(_V1_128K, "kimi-latest", r"kimi-latest", images=(True, _VISION), retired=(date(2026, 1, 28), _MODELS))
_THINKING_PREVIEW = _all_from(
    _PREVIEW,
    _like(
        _LATEST,
        "kimi-thinking-preview",
        r"kimi-thinking-preview",
        thinking=(Thinking.FORCED, _PREVIEW),
        tools=(False, _PREVIEW),
        json_schema=(False, _PREVIEW),
        partial=(False, _PREVIEW),
        retired=(date(2025, 11, 11), _PREVIEW),
    ),
)

_KNOWN = (
    _K31_PRO,
    _K3_256K,
    _K3,
    _K27_CODE,
    _K26,
    _K25,
    _K2_THINKING,
    _K2_0711,
    _K2,
    *(_with_vision(profile) for profile in (_V1_8K, _V1_32K, _V1_128K)),
    _V1_8K,
    _V1_32K,
    _V1_128K,
    _THINKING_PREVIEW,
    _LATEST,
)

# A Kimi id that no row knows is newer than this table, so the newest family's rules are the best guess.
_UNLISTED = _all_from(
    _DECIDED,
    _like(
        _KNOWN[0],
        "kimi (unlisted)",
        r"(?:kimi|moonshot)-",
        released=(None, _DECIDED),
        open_weights=(None, _DECIDED),
    ),
)

FAMILIES: tuple[Profile, ...] = (*_KNOWN, _UNLISTED)
"""Every known family, the newest first; the first row whose pattern matches is the model's."""

FOREIGN = Profile(
    family="(not a Kimi model)",
    pattern="",
    context_window=None,
    default_output=None,
    max_output=None,
    images=True,
    video=True,
    thinking=Thinking.UNKNOWN,
    efforts=(),
    efforts_taken=(),
    preserve=Preserve.NO,
    fixed_sampling=_FREE,
    fixed_sampling_without_thinking=_FREE,
    tools=True,
    forced_choice=ForcedChoice.NATIVE,
    json_schema=True,
    needs_reasoning=False,
    partial=False,
    dynamic_tools=False,
    cache_ttls=(),
    names_in_ids=False,
    released=None,
    open_weights=None,
    retired=None,
    sources=MappingProxyType(dict.fromkeys(_K3.sources, _DECIDED)),
)
"""Hands off: what the caller sets is what is sent."""

# "moonshotai/kimi-k2.6", "moonshotai.kimi-k2-thinking", "accounts/fireworks/models/kimi-k3", "hf:kimi-k3".
_START = r"(?:^|[/.:])"
_COMPILED = tuple((re.compile(_START + profile.pattern), profile) for profile in FAMILIES)


def spell_id(model: str) -> str:
    """A model's id without white space, which no host has in one: "Kimi K3" is `kimi-k3`; others stay as they are."""
    words = model.split()
    return words[0] if len(words) == 1 else "-".join(words).lower()


@lru_cache(maxsize=256)
def profile_for(model: str) -> Profile:
    """Find the family of a model id. Total: every string has an answer.

    Args:
        model: A model id in any spelling hosts use (`kimi-k2.6`, `Kimi-K2-6`, `moonshotai/Kimi-K2.6`,
            `accounts/fireworks/models/kimi-k2p6`, `k3-256k`).

    Returns:
        The row of the family; the newest family's rules for a Kimi id that no row knows; `FOREIGN` otherwise.
    """
    name = spell_id(model).lower()
    return next((profile for pattern, profile in _COMPILED if pattern.search(name)), FOREIGN)
