"""Where traffic recorded from Moonshot lies beside a checkout of the project, for the tests that hold against it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2].parent / "shared" / "recordings"

needs_recordings = pytest.mark.skipif(not FOLDER.is_dir(), reason="recorded traffic is not part of the repository")


def load(path: str) -> Any:
    return json.loads((FOLDER / path).read_text(encoding="utf-8"))


def read_lines(path: str) -> list[bytes]:
    return (FOLDER / path).read_bytes().splitlines()
