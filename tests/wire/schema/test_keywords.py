"""The table of keywords has all that a draft has."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from kimi_wire.schema.keywords import KEYWORDS, TYPES, Fate

DRAFTS = [
    jsonschema.Draft4Validator,
    jsonschema.Draft6Validator,
    jsonschema.Draft7Validator,
    jsonschema.Draft201909Validator,
    jsonschema.Draft202012Validator,
]


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.__name__)
def test_every_keyword_that_a_validator_looks_at_has_a_row(draft: Any) -> None:
    assert set(draft.VALIDATORS) - KEYWORDS.keys() == set()


def test_what_is_said_is_said_of_a_constraint_or_a_note() -> None:
    for name, row in KEYWORDS.items():
        assert row.about in ("", *TYPES), name
        assert not row.says or row.fate in (Fate.SAID, Fate.NOTED), name
        assert not row.phrase or row.fate in (Fate.SAID, Fate.MET), name
