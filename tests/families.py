"""The models that tests run over. There is one list: what is true of one family is tried on all of them.

Models whose facts are the same take the same way through the code, so every day's run has the first of each kind; the
others are marked `deep`. That each name finds its family is what `tests/wire/test_profiles.py` holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import pytest

from kimi_wire import Profile, profile_for
from kimi_wire.profiles import FAMILIES as ROWS

_IDS = (
    "moonshot-v1-128k",
    "moonshot-v1-32k",
    "moonshot-v1-8k",
    "moonshot-v1-32k-vision-preview",
    "kimi-latest",
    "kimi-k2-0905-preview",
    "kimi-k2-0711-preview",
    "kimi-k2-turbo-preview",
    "kimi-k2-thinking",
    "kimi-k2-thinking-turbo",
    "kimi-k2.5",
    "kimi-k2.6",
    "kimi-k2.7-code",
    "kimi-k2.7-code-highspeed",
    "kimi-k3",
    "kimi-k3.1-pro",
    "kimi-k3.1-pro-highspeed",
)

UNSEEN = "kimi-k99"
"""An id that Moonshot will not have for long: it is Kimi's, and no row knows it."""


def with_every_row(
    ids: Sequence[str], told_apart_by: Callable[[Profile], object], rows: Iterable[Profile] = ROWS
) -> tuple[str, ...]:
    """Add what the table of families has and a list of models lacks, so that a new row is tried by being there.

    Args:
        ids: Ids of models.
        told_apart_by: What families have to have in common for one's model to stand for them all.
        rows: The families; the whole table by default.

    Returns:
        The ids, and the name of each family that none of them stands for.
    """
    found = {told_apart_by(profile_for(model)) for model in (*ids, UNSEEN)}
    return (*ids, *(row.family for row in rows if told_apart_by(row) not in found))


def facts(profile: Profile) -> str:
    """What decides how a family's models are asked: its profile without names, dates and sizes."""
    sizes = dict.fromkeys(("context_window", "default_output", "max_output", "released", "open_weights"))
    return repr(replace(profile, family="", pattern="", retired=None, sources={}, **sizes))


MODELS = with_every_row(_IDS, lambda profile: profile.family, [row for row in ROWS if row.tools])
"""A model of every family that takes tools."""

KINDS = [facts(profile_for(model)) for model in MODELS]
FAMILIES = [
    pytest.param(model, marks=[pytest.mark.deep] if KINDS[index] in KINDS[:index] else [])
    for index, model in enumerate(MODELS)
]
"""`MODELS` as parameters of a test."""
