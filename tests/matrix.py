"""The suite in environments of their own: `python -m tests.matrix [NAME ...]`, or `make test-matrix`.

Each row of `ENVIRONMENTS` is made anew under `.matrix/`, from the package index, and runs its tests there. Interpreters
are whatever `python3.10` to `python3.14` run here, and the one that runs this.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".matrix"
SUPPORTED = ("python3.10", "python3.11", "python3.12", "python3.13", "python3.14")
SHARED = ("tests/wire", "tests/emulator")


@dataclass(frozen=True)
class Environment:
    """One environment and what runs in it.

    Attributes:
        name: Its name, and its folder's.
        extra: The extra of this project that is installed.
        tests: The tests that run; empty is all of them.
        lowest: Whether the oldest Python that is here is taken, with every dependency at its floor.
        pins: Further requirements.
    """

    name: str
    extra: str
    tests: tuple[str, ...] = ()
    lowest: bool = False
    pins: tuple[str, ...] = ()


ENVIRONMENTS = (
    Environment("lowest", "dev", lowest=True),
    Environment("newest", "dev"),
    Environment("openai-2", "dev", pins=("openai<3",)),
    Environment("langchain-alone", "test-langchain", (*SHARED, "tests/langchain_kimi")),
    Environment("llama-index-alone", "test-llama-index", (*SHARED, "tests/llama_index_kimi")),
)


def read_floors(pyproject: str) -> list[str]:
    """Read the lowest version of whatever users install, as pins.

    Args:
        pyproject: The text of pyproject.toml; its `dependencies` and the extras that users install are read.
    """
    floors = []
    for table in ("dependencies", "langchain", "llama-index", "aiohttp", "demo"):
        found = re.search(rf"^{table} = \[(.*?)^\]", pyproject, re.MULTILINE | re.DOTALL)
        assert found, table
        for line in re.findall(r'^\s*"([^"]+)"', found[1], re.MULTILINE):
            requirement = Requirement(line)
            lowest = [item.version for item in requirement.specifier if item.operator == ">="]
            if lowest:
                floors.append(f"{requirement.name}=={lowest[0]}")
    return floors


def find_pythons() -> list[str]:
    """Find the supported interpreters, oldest first."""
    found = []
    for name in SUPPORTED:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            found.append(path)
    return found or [sys.executable]


def run(environment: Environment, pytest_arguments: Sequence[str]) -> bool:
    """Make an environment and run its tests; returns whether they passed."""
    folder = HOME / environment.name
    shutil.rmtree(folder, ignore_errors=True)
    pythons = find_pythons()
    subprocess.run([pythons[0 if environment.lowest else -1], "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    pins = [
        *environment.pins,
        *(read_floors((ROOT / "pyproject.toml").read_text("utf-8")) if environment.lowest else ()),
    ]
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--editable", f"{ROOT}[{environment.extra}]", *pins], check=True)
    listed = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    shown = re.findall(r"^(?:openai|httpx2?|langchain-core|llama-index-core|pydantic)==\S+", listed, re.MULTILINE)
    print(f"== {environment.name}: {pythons[0 if environment.lowest else -1]}, {', '.join(shown)}", flush=True)
    return (
        subprocess.run(
            [python, "-m", "pytest", *pytest_arguments, *environment.tests], cwd=ROOT, check=False
        ).returncode
        == 0
    )


def main(names: Iterable[str], pytest_arguments: Sequence[str]) -> int:
    """Run the environments named, or all of them; returns the exit status."""
    wanted = set(names)
    results = []
    for environment in ENVIRONMENTS:
        if not wanted or environment.name in wanted:
            began = time.monotonic()
            passed = run(environment, pytest_arguments)
            results.append((environment.name, passed, time.monotonic() - began))
    for name, passed, seconds in results:
        print(f"{name:20} {'passed' if passed else 'FAILED':8} {seconds:6.0f} s")
    return 0 if all(passed for _, passed, _ in results) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[environment.name for environment in ENVIRONMENTS], metavar="NAME")
    parser.add_argument("--pytest", default="-q", help="arguments for pytest, in one string (default: -q)")
    given = parser.parse_args()
    sys.exit(main(given.names, given.pytest.split()))
