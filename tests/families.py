"""The models that tests run over. There is one list: what is true of one family is tried on all of them.

Models whose facts are the same take the same way through the code, so every day's run has the first of each kind; the
others are marked `deep`. That each name finds its family is what `tests/wire/test_profiles.py` holds.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from kimi_wire import Profile, profile_for

MODELS = (
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
"""A model of every family that takes tools."""

UNSEEN = "kimi-k99"
"""An id that Moonshot will not have for long: it is Kimi's, and no row knows it."""


def facts(model: str) -> Profile:
    """What decides how a model is asked: its profile without names, dates and sizes."""
    sizes = {"context_window": None, "default_output": None, "max_output": None}
    return replace(profile_for(model), family="", pattern="", retired=None, sources={}, **sizes)


KINDS = [facts(model) for model in MODELS]
FAMILIES = [
    pytest.param(model, marks=[pytest.mark.deep] if facts(model) in KINDS[:index] else [])
    for index, model in enumerate(MODELS)
]
"""`MODELS` as parameters of a test."""
