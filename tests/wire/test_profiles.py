"""The table of families: which model is which, and what is known about each."""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_wire.errors.hints import hint_for
from kimi_wire.errors.refusals import Refusal
from kimi_wire.profiles import FAMILIES, FOREIGN, ForcedChoice, Preserve, Profile, Source, Thinking, profile_for
from tests.families import UNSEEN

SPELLINGS = {
    "kimi-k3": ["kimi-k3", "k3", "Kimi-K3", " kimi-k3 ", "moonshotai/kimi-k3", "accounts/fireworks/models/kimi-k3",
                "kimi-k3[1m]", "kimi-k3:free", "moonshotai.kimi-k3", "kimi-k3.2"],
    "kimi-k3.1-pro": ["kimi-k3.1-pro", "kimi-k3-1-pro", "k3.1-pro", "kimi-k3.1-pro-highspeed", "moonshotai/Kimi-K3.1-Pro"],
    "k3-256k": ["k3-256k", "kimi-k3-256k"],
    "kimi-k2.7-code": ["kimi-k2.7-code", "kimi-k2-7-code", "kimi-k2.7-code-highspeed", "k2p7-code"],
    "kimi-k2.6": ["kimi-k2.6", "kimi-k2-6", "Kimi-K2.6", "moonshotai/kimi-k2.6", "moonshotai/Kimi-K2.6", "k2p6",
                  "accounts/fireworks/models/kimi-k2p6"],
    "kimi-k2.5": ["kimi-k2.5", "kimi-k2-5", "kimi-k2p5"],
    "kimi-k2-thinking": ["kimi-k2-thinking", "kimi-k2-thinking-turbo", "moonshotai.kimi-k2-thinking"],
    "kimi-k2-0711": ["kimi-k2-0711-preview", "moonshotai/Kimi-K2-Instruct-0711"],
    "kimi-k2": ["kimi-k2", "kimi-k2-0905-preview", "kimi-k2-turbo-preview", "moonshotai/Kimi-K2-Instruct-0905"],
    "moonshot-v1-8k": ["moonshot-v1-8k"],
    "moonshot-v1-32k": ["moonshot-v1-32k"],
    "moonshot-v1-128k": ["moonshot-v1-128k", "moonshot-v1-auto"],
    "moonshot-v1-8k-vision-preview": ["moonshot-v1-8k-vision-preview"],
    "moonshot-v1-128k-vision-preview": ["moonshot-v1-128k-vision-preview"],
    "kimi-latest": ["kimi-latest"],
    "kimi-thinking-preview": ["kimi-thinking-preview"],
    "kimi (unlisted)": [UNSEEN, f"moonshotai/{UNSEEN}-pro", "kimi-k2.99", "kimi-for-coding"],
    FOREIGN.family: ["k3s", "kimix", "gpt-5", "deepseek-reasoner", "mock3", "moonshotai/other", "", "claude-kimi"],
}  # fmt: skip


@pytest.mark.parametrize(("family", "model"), [(family, model) for family in SPELLINGS for model in SPELLINGS[family]])
def test_every_spelling_finds_its_family(family: str, model: str) -> None:
    assert profile_for(model).family == family


# family: context window, images, video, thinking, preserve, forced choice, json_schema, needs reasoning, free sampling
FACTS = {
    "kimi-k3.1-pro": (1_048_576, True, True, "effort", "always", "required", True, False, False),
    "k3-256k": (262_144, True, False, "effort", "always", "required", True, False, False),
    "kimi-k3": (1_048_576, True, True, "effort", "always", "required", True, False, False),
    "kimi-k2.7-code": (262_144, True, True, "forced", "always", "constrained", True, True, False),
    "kimi-k2.6": (262_144, True, True, "switchable", "optional", "thinking off", True, True, False),
    "kimi-k2.5": (262_144, True, True, "switchable", "no", "thinking off", False, True, False),
    "kimi-k2-thinking": (262_144, False, False, "forced", "no", "ask", True, True, True),
    "kimi-k2-0711": (131_072, False, False, "none", "no", "ask", True, False, True),
    "kimi-k2": (262_144, False, False, "none", "no", "ask", True, False, True),
    "moonshot-v1-8k-vision-preview": (8_192, True, False, "none", "no", "ask", True, False, True),
    "moonshot-v1-32k-vision-preview": (32_768, True, False, "none", "no", "ask", True, False, True),
    "moonshot-v1-128k-vision-preview": (131_072, True, False, "none", "no", "ask", True, False, True),
    "moonshot-v1-8k": (8_192, False, False, "none", "no", "ask", True, False, True),
    "moonshot-v1-32k": (32_768, False, False, "none", "no", "ask", True, False, True),
    "moonshot-v1-128k": (131_072, False, False, "none", "no", "ask", True, False, True),
    "kimi-thinking-preview": (131_072, True, False, "forced", "no", "ask", False, False, True),
    "kimi-latest": (131_072, True, False, "none", "no", "ask", True, False, True),
}


def test_facts_that_no_change_may_touch_unseen() -> None:
    """What is held of a family stays; a family that is new is held by its sources, and by what is tried over all."""
    table = {
        row.family: (
            row.context_window,
            row.images,
            row.video,
            row.thinking.value,
            row.preserve.value,
            row.forced_choice.value,
            row.json_schema,
            row.needs_reasoning,
            not row.fixed_sampling,
        )
        for row in FAMILIES
    }
    assert {family: table.get(family) for family in FACTS} == FACTS


@pytest.mark.parametrize("row", [*FAMILIES, FOREIGN], ids=lambda row: row.family)
def test_every_fact_has_a_source(row: Profile) -> None:
    facts = {item.name for item in fields(Profile)} - {"family", "pattern", "sources"}
    assert set(row.sources) == facts
    for source in row.sources.values():
        assert isinstance(source, Source)
        assert source.kind in {"doc", "src", "live", "3p", "rule"}
        assert date(2024, 1, 1) < source.day <= date.today()


def test_what_errors_say_of_families_is_what_the_table_says() -> None:
    """They name families in a few words; the words are these rows."""
    # "kimi-k3 and newer", in kimi_wire/, in the README and on the golden pages
    from_k3_on = {
        row.family for row in FAMILIES if not re.match(r"kimi-k2|kimi-latest|kimi-thinking|moonshot-v1", row.family)
    }
    assert {row.family for row in FAMILIES if row.thinking is Thinking.EFFORT} == from_k3_on
    assert {row.family for row in FAMILIES if row.efforts} == from_k3_on
    assert {row.family for row in FAMILIES if row.dynamic_tools} == from_k3_on

    hint = hint_for(Refusal(404, "Not found the model x"), "https://api.moonshot.ai/v1/chat/completions")
    named = re.findall(r"moonshot-v1|kimi-k\d(?:\.\d)?", hint)
    said = {row.family for row in FAMILIES if re.match(rf"(?:{'|'.join(map(re.escape, named))})(?![.\d])", row.family)}
    retired = {row.family for row in FAMILIES if row.is_retired(date(2026, 11, 26))}
    assert said == retired - {"kimi-latest", "kimi-thinking-preview"}  # these are long gone


def test_newest_family_serves_for_what_is_not_listed() -> None:
    unseen, newest = profile_for(UNSEEN), FAMILIES[0]
    its_own = ("family", "pattern", "sources", "released", "open_weights")
    same = [item.name for item in fields(Profile) if item.name not in its_own]
    assert {name: getattr(unseen, name) for name in same} == {name: getattr(newest, name) for name in same}


def test_foreign_models_are_left_alone() -> None:
    assert not FOREIGN.is_kimi
    assert FOREIGN.thinking is Thinking.UNKNOWN
    assert FOREIGN.forced_choice is ForcedChoice.NATIVE
    assert FOREIGN.preserve is Preserve.NO


def test_retirement() -> None:
    assert profile_for("kimi-k2.5").is_retired(date(2026, 8, 31))
    assert not profile_for("kimi-k2.6").is_retired(date(2026, 11, 20))
    assert profile_for("kimi-k2.6").is_retired(date(2027, 1, 1))
    assert not profile_for("kimi-k3").is_retired(date(2030, 1, 1))


@given(st.text(max_size=80))
def test_lookup_is_total(model: str) -> None:
    assert profile_for(model) in (*FAMILIES, FOREIGN)
