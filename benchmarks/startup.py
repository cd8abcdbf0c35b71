"""How a contestant starts, in a fresh interpreter: import, construction, first call.

An adapter's import is measured after those modules of its framework that it uses are imported: what is left is its own.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.contestants import Contestant, find_contestant
from benchmarks.worker import CLOCKS

FRAMEWORK_PACKAGES = {"openai": (), "langchain": ("langchain_core",), "llama_index": ("llama_index.core",)}

STARTUP_ROWS = {
    "import": ("import beyond the framework", "seconds"),
    "modules": ("modules imported beyond the framework", "count"),
    "construct": ("first construction", "seconds"),
    "construct-later": ("later construction", "seconds"),
    "first-call": ("first call", "seconds"),
}
"""Titles and measures, by name."""


def measure_startup(contestant: Contestant, url: str, framework_modules: list[str], clock: str) -> dict[str, float]:
    """Measure in a fresh interpreter.

    Args:
        contestant: Whom.
        url: The server's root.
        framework_modules: What `list_framework_modules` found.
        clock: Which of `benchmarks.worker.CLOCKS`.

    Returns:
        Values for the names of `STARTUP_ROWS`.
    """
    return dict(_run("measure", contestant.name, url, clock, json.dumps(framework_modules)))


def list_framework_modules(contestant: Contestant) -> list[str]:
    """The modules of its framework that importing a contestant imports."""
    return list(_run("list", contestant.name, "", "wall", "[]"))


def _run(action: str, name: str, url: str, clock: str, input_text: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.startup", action, name, url, clock]
    done = subprocess.run(command, input=input_text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}, startup: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def _list(contestant: Contestant) -> list[str]:
    importlib.import_module(contestant.module)
    prefixes = tuple(f"{package}." for package in FRAMEWORK_PACKAGES[contestant.framework])
    return [name for name in sys.modules if f"{name}.".startswith(prefixes)]


def _measure(
    contestant: Contestant, url: str, framework_modules: list[str], clock: Callable[[], float]
) -> dict[str, float]:
    for name in framework_modules:
        importlib.import_module(name)
    known = len(sys.modules)
    begun = clock()
    module = importlib.import_module(contestant.module)
    getattr(module, contestant.attribute)
    imported = clock()
    modules = len(sys.modules) - known
    model = contestant.make(f"{url}/answer")
    constructed = clock()
    for _ in range(10):
        contestant.make(f"{url}/answer")
    later = clock()
    if contestant.framework == "openai":
        model.chat.completions.create(model="kimi-k3", messages=[{"role": "user", "content": "?"}])
    elif contestant.framework == "langchain":
        model.invoke("?")
    else:
        model.complete("?")
    called = clock()
    return {
        "import": imported - begun,
        "modules": modules,
        "construct": constructed - imported,
        "construct-later": (later - constructed) / 10,
        "first-call": called - later,
    }


def main(action: str, name: str, url: str, clock: str) -> None:
    """Do one or the other, and write JSON to stdout."""
    warnings.simplefilter("ignore")
    contestant = find_contestant(name)
    known = json.load(sys.stdin)
    print(json.dumps(_list(contestant) if action == "list" else _measure(contestant, url, known, CLOCKS[clock])))


if __name__ == "__main__":
    main(*sys.argv[1:])
