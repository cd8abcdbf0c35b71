"""Schemas as they are met, and what becomes of them: `snapshots/NAME.json` has both side by side.

To add one, write a file with an `input`; to write the outputs anew, after looking at why they differ:

    UPDATE_SNAPSHOTS=1 pytest tests/wire/schema/test_snapshots.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kimi_wire.schema import normalise_schema
from tests.wire.schema.checks import assert_in_dialect, same_shape

FILES = sorted((Path(__file__).parent / "snapshots").glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_snapshot(path: Path) -> None:
    snapshot = json.loads(path.read_text(encoding="utf-8"))
    output = normalise_schema(snapshot["input"])
    if os.environ.get("UPDATE_SNAPSHOTS"):
        text = json.dumps({"input": snapshot["input"], "output": output}, indent=2, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        return
    assert same_shape(output, snapshot["output"]), json.dumps(output, indent=2, ensure_ascii=False)
    assert_in_dialect(output)
    assert same_shape(normalise_schema(output), output)


def test_there_are_enough() -> None:
    assert len(FILES) >= 40
