"""The model families the emulator serves, as one table of facts.

This table is the emulator's own on purpose: the adapters have theirs, and a mistake in one shows up against the other.
Sources: https://platform.kimi.ai/docs/api/models-overview, https://platform.kimi.ai/docs/api/chat,
https://platform.kimi.ai/docs/guide/use-thinking-models, https://platform.kimi.ai/docs/guide/use-tool-choice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

When = Literal["always", "thinking off", "never"]


@dataclass(frozen=True)
class Family:
    """What all models of one family have in common.

    Attributes:
        name: Short name, such as ``"k3"``; also what ``extra_models`` refers to.
        thinking: Whether its models think always, never, or unless told otherwise ("toggle").
        temperature: The only temperature it takes while thinking; None where sampling is free.
        temperature_off: The only temperature it takes with thinking switched off.
        efforts: The values of ``reasoning_effort`` it takes.
        efforts_taken: Values of it that were answered with 200 though no documentation has them.
        takes_thinking: Whether the ``thinking`` object is understood at all.
        takes_keep: Whether ``thinking.keep`` is.
        replays_reasoning: Whether tool calls in the history must come with their ``reasoning_content``.
        required_choice: When ``tool_choice: "required"`` is accepted.
        named_choice: When a named ``tool_choice`` is accepted.
        takes_tools: Whether tools are accepted at all.
        dynamic_tools: Whether system messages may bring tools.
        bills_writes: Whether what is written to the prompt cache is counted, and can be kept for an hour.
        partial: Whether an answer can be begun by the request (Partial Mode).
        images: Whether image parts are accepted.
        videos: Whether video parts are accepted.
        context: Size of the context window in tokens.
        hidden_prompt: Tokens of the system prompt the server adds unseen.
        call_id: How tool call ids look.
        reports_reasoning: Whether usage counts reasoning tokens.
        reports_cache_details: Whether a cache hit is also reported as ``prompt_tokens_details``.
        fingerprint: Whether streamed chunks carry ``system_fingerprint``.
        retired: Whether Moonshot has withdrawn the family's models.
    """

    name: str
    thinking: Literal["always", "toggle", "never"]
    temperature: float | None = None
    temperature_off: float | None = None
    efforts: tuple[str, ...] = ()
    efforts_taken: tuple[str, ...] = ()
    takes_thinking: bool = False
    takes_keep: bool = False
    replays_reasoning: bool = False
    required_choice: When = "never"
    named_choice: When = "never"
    takes_tools: bool = True
    dynamic_tools: bool = False
    bills_writes: bool = False
    partial: bool = True
    images: bool = False
    videos: bool = False
    context: int = 262_144
    hidden_prompt: int = 0
    call_id: str = "{name}_{index}"
    reports_reasoning: bool = True
    reports_cache_details: bool = True
    fingerprint: bool = True
    retired: bool = False

    @property
    def fixed_sampling(self) -> bool:
        """Whether temperature, top_p, n and the penalties have one allowed value each."""
        return self.temperature is not None


@dataclass(frozen=True)
class Model:
    """One model id and the family whose rules it follows."""

    id: str
    family: Family
    listed: bool = True


K3 = Family(
    "k3", "always", temperature=1, efforts=("low", "high", "max"), efforts_taken=("medium",), takes_thinking=True,
    takes_keep=True, required_choice="always", dynamic_tools=True, bills_writes=True, images=True, videos=True,
    context=1_048_576, hidden_prompt=80,
)  # fmt: skip
K27_CODE = Family(
    "k2.7-code", "always", temperature=1, takes_thinking=True, takes_keep=True, replays_reasoning=True,
    images=True, videos=True,
)  # fmt: skip
K26 = Family(
    "k2.6", "toggle", temperature=1, temperature_off=0.6, takes_thinking=True, takes_keep=True, replays_reasoning=True,
    efforts_taken=("medium",),
    required_choice="thinking off", named_choice="thinking off", images=True, videos=True,
)  # fmt: skip
K25 = replace(
    K26,
    name="k2.5",
    takes_keep=False,
    efforts_taken=(),
    call_id="{name}:{index}",
    reports_reasoning=False,
    retired=True,
)
K2_THINKING = Family(
    "k2-thinking", "always", replays_reasoning=True,
    call_id="functions.{name}:{index}", reports_reasoning=False, reports_cache_details=False, retired=True,
)  # fmt: skip
K2 = replace(K2_THINKING, name="k2", thinking="never", replays_reasoning=False)
V1 = Family(
    "v1", "never", context=131_072, call_id="{name}:{index}",
    reports_reasoning=False, reports_cache_details=False, fingerprint=False, retired=True,
)  # fmt: skip
LATEST = replace(V1, name="kimi-latest", images=True)
THINKING_PREVIEW = replace(
    V1, name="kimi-thinking-preview", thinking="always", images=True, takes_tools=False, partial=False
)

FAMILIES: dict[str, Family] = {
    family.name: family for family in (K3, K27_CODE, K26, K25, K2_THINKING, K2, V1, LATEST, THINKING_PREVIEW)
}

MODELS: tuple[Model, ...] = (
    Model("kimi-k3.1-pro", K3),
    Model("kimi-k3.1-pro-highspeed", K3),
    Model("kimi-k3", K3),
    Model("kimi-k2.7-code", K27_CODE),
    Model("kimi-k2.7-code-highspeed", K27_CODE),
    Model("kimi-k2.6", K26),
    Model("kimi-k2.5", K25),
    Model("kimi-k2-thinking", K2_THINKING),
    Model("kimi-k2-thinking-turbo", K2_THINKING),
    Model("kimi-k2", K2, listed=False),
    Model("kimi-k2-0711-preview", K2),
    Model("kimi-k2-0905-preview", K2),
    Model("kimi-k2-turbo-preview", K2),
    Model("kimi-latest", LATEST),
    Model("kimi-thinking-preview", THINKING_PREVIEW),
    *(Model(f"moonshot-v1-{size}k", replace(V1, context=size * 1024)) for size in (8, 32, 128)),
    Model("moonshot-v1-auto", V1),
    *(Model(f"moonshot-v1-{size}k-vision-preview", replace(V1, context=size * 1024, images=True))
      for size in (8, 32, 128)),
    # Spellings of the membership product and of open weights, as other hosts serve them.
    Model("k3", K3, listed=False),
    Model("k3-256k", replace(K3, context=262_144, videos=False), listed=False),
    Model("k3.1-pro", K3, listed=False),
    Model("kimi-k2-instruct", K2, listed=False),
    Model("kimi-k2-instruct-0905", K2, listed=False),
)  # fmt: skip

_BY_ID = {model.id: model for model in MODELS}
_PROVIDER_PREFIX = re.compile(r"^.*[/:]|^[a-z]+\.(?=kimi-)")
_HYPHEN_VERSION = re.compile(r"^((?:kimi-)?k\d)-(\d)(?=-|$)")


def canonical_id(model: str) -> str:
    """Spell a model id the platform's way: no provider prefix, lower case, ``k2.6`` instead of ``k2-6``."""
    return _HYPHEN_VERSION.sub(r"\1.\2", _PROVIDER_PREFIX.sub("", model.lower()))


def find_model(model: str, extra: Mapping[str, str] | None = None) -> Model | None:
    """Look a model up.

    Args:
        model: The id as requested. Prefixes and hyphen spellings of other hosts are understood.
        extra: More ids, each with the name of the family whose rules it follows.

    Returns:
        The model, or None if there is no such id.
    """
    for spelling in (model, canonical_id(model)):
        if extra and spelling in extra:
            return Model(spelling, FAMILIES[extra[spelling]])
        if spelling in _BY_ID:
            return _BY_ID[spelling]
    return None
