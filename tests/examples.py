"""Fences of documentation, and how they are run."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

import kimi_wire

ROOT = Path(__file__).parent.parent

_FENCE = re.compile(
    r"^(?P<mark><!-- compiled only: [^\n]+ -->\n)?(?:<!-- needs (?P<needs>[\w., ]+) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)^(?P=indent)```",
    re.M | re.S,
)


@dataclass(frozen=True)
class Fence:
    """A fence of a page or a docstring.

    Attributes:
        language: Its language; empty where it has none.
        code: What it holds.
        compiled_only: Whether the page says that it cannot run in the tests.
        needs: Packages that are no dependencies of the tests, as they are imported.
    """

    language: str
    code: str
    compiled_only: bool
    needs: tuple[str, ...] = ()


def fences(text: str) -> list[Fence]:
    """The fences of a text, in order; each is as a reader would copy it."""
    return [
        Fence(
            found["language"],
            textwrap.dedent(found["code"]),
            compiled_only=found["mark"] is not None,
            needs=tuple((found["needs"] or "").replace(",", " ").split()),
        )
        for found in _FENCE.finditer(text)
    ]


def fence_spans(text: str) -> list[tuple[int, int]]:
    """Where the fences of a text begin, with their marks, and end."""
    return [found.span() for found in _FENCE.finditer(text)]


def without_fences(text: str) -> str:
    """A text without its fences and their marks."""
    return _FENCE.sub("", text)


def anchor(title: str) -> str:
    """The anchor of a heading, as code hosts and the site make it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def is_test(code: str) -> bool:
    """Whether some code only defines tests: to run it as a program would show nothing."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return any(isinstance(node, kinds) and node.name.lower().startswith("test") for node in ast.parse(code).body)


def file_name(code: str) -> str | None:
    """The name of the file that some code is to be written to: its first line says so, `# app.py`."""
    found = re.match(r"# (\w+\.py)\n", code)
    return found[1] if found else None


def is_conftest(code: str) -> bool:
    """Whether some code goes into a conftest.py."""
    return "pytest_plugins" in code


def is_program(fence: Fence) -> bool:
    """Whether a fence of Python runs by itself."""
    return not (fence.compiled_only or is_test(fence.code) or is_conftest(fence.code))


def unimported_modules(code: str) -> set[str]:
    """Modules that some code names as parts of a package, and does not import itself.

    In a process where other code has imported them it runs all the same.
    """
    names: dict[str, str] = {}
    imported: set[str] = set()
    named: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                package = alias.name if alias.asname else alias.name.partition(".")[0]
                names[alias.asname or package] = package
                imported.add(alias.name)
        elif isinstance(node, ast.Attribute):
            named.add(ast.unparse(node))
    chains = (chain.partition(".") for chain in named)
    whole = {f"{names[first]}.{rest}" for first, _, rest in chains if first in names}
    known = {name for name in whole if any(f"{other}.".startswith(f"{name}.") for other in imported)}
    return {name for name in whole - known if is_module(name)}


def is_module(name: str) -> bool:
    """Whether there is such a module, found without an import."""
    path = None
    for part in name.split("."):
        spec = PathFinder.find_spec(part, path)  # by its whole name, a part of a namespace wants its parent imported
        if spec is None:
            return False
        path = [*(spec.submodule_search_locations or ())]
    return True


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with this project's packages as they are here: of the checkout, or installed."""
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(kimi_wire.__file__).parents[1])},
    )


def run_here(blocks: Iterable[str], where: str) -> None:
    """Run the blocks of an example one after the other in this process, awaits at their top level too.

    Args:
        blocks: The code, in order.
        where: Where it stands.
    """
    names = vars(sys.modules.setdefault("example", ModuleType("example")))
    names["__name__"] = "example"  # Pydantic looks up the module of a generic class by its name
    try:
        for block in blocks:
            code = compile(block, where, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
            if code.co_flags & inspect.CO_COROUTINE:
                asyncio.run(eval(code, names))
            else:
                exec(code, names)
    finally:
        names.clear()


def run_tests(codes: Sequence[str], folder: Path) -> None:
    """Run what of some code defines tests as a user would, and expect that some of each example pass and none fails."""
    examples, conftest = list(filter(is_test, codes)), "\n".join(filter(is_conftest, codes))
    (folder / "conftest.py").write_text(conftest, "utf-8")
    for number, code in enumerate(examples):
        (folder / f"test_example_{number}.py").write_text(code, "utf-8")
    done = run(["-m", "pytest", "-q", "-rp"], folder)
    assert done.returncode == 0, done.stdout
    for number, _ in enumerate(examples):
        assert f"PASSED test_example_{number}.py::" in done.stdout
