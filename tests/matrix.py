"""The suite, and what users install, in environments of their own: `python -m tests.matrix [NAME ...]`.

Each row of `ENVIRONMENTS` is made anew under `.matrix/`, from the package index: those with tests from the checkout, the
others from the wheel or the sdist, as a user's. Interpreters are whatever `python3.10` to `python3.13` run here, and the
one that runs this.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.pages import by_extras

ROOT = Path(__file__).parent.parent
HOME = ROOT / ".matrix"
DIST = ROOT / "dist"
SUPPORTED = ("python3.10", "python3.11", "python3.12", "python3.13")
SHARED = ("tests/wire", "tests/emulator")
LANGCHAIN = (*SHARED, "tests/langchain_kimi")
PYTEST = "-q @tests/parallel.txt"

# Before each script: it is the installed package that runs, what was not asked for is not there, and the emulator answers.
BEFORE = """
import importlib.util
import sys
from pathlib import Path

import kimi_wire
from kimi_emulator import emulate_without_key

def absent(*names):
    found = [name for name in names if importlib.util.find_spec(name)]
    assert not found, f"installed without being asked for: {found}"

assert Path(kimi_wire.__file__).is_relative_to(sys.prefix), kimi_wire.__file__
emulate_without_key()
"""

PLAIN = """
from kimi_wire import KimiPlatform
absent("langchain_core", "llama_index", "aiohttp", "httpx_aiohttp", "pytest")
assert KimiPlatform().count_tokens("How many tokens is this?") > 0
"""

WITH_LANGCHAIN = """
from langchain_kimi import ChatKimi
assert ChatKimi().invoke("Hello!").text
"""

WITH_AGENTS = """
from langchain.agents import create_agent
from langchain_kimi import ChatKimi, KimiPromptCachingMiddleware
agent = create_agent(ChatKimi(), [], middleware=[KimiPromptCachingMiddleware()])
assert agent.invoke({"messages": [("user", "Hello!")]})["messages"][-1].text
"""

WITH_LLAMA_INDEX = """
from llama_index_kimi import Kimi
assert Kimi().complete("Hello!").text
"""

WITH_AIOHTTP = """
import asyncio
import openai
from kimi_wire import KimiPlatform
from kimi_wire.transport.connection import default_async_client

async def ask():
    client = default_async_client()
    assert isinstance(client, openai.DefaultAioHttpClient), client
    await client.aclose()
    platform = KimiPlatform()
    assert await platform.amodels()
    await platform.aclose()

asyncio.run(ask())
"""

WITH_CONFORMANCE = """
import pytest
from llama_index_conformance import LLMConformance
from llama_index_kimi import Kimi

class TestKimi(LLMConformance):
    llm_class = Kimi

if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", "-k", "test_chat or test_stream_chat"]))
"""

WITH_DEMO = """
from langchain.agents import create_agent
from langchain_kimi import ChatKimi
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.schema import TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from llama_index_kimi import Kimi

def get_weather(city: str) -> str:
    "Get the current weather of a city."
    return "snow"

question = {"messages": [("user", "What is the weather in Oslo?")]}
said = create_agent(ChatKimi(), [get_weather]).invoke(question)["messages"]
assert [message.content for message in said if message.type == "tool"] == ["snow"], said
nodes = [TextNode(text="The Moon has ice at its poles."), TextNode(text="Oslo has snow.")]
engine = RetrieverQueryEngine.from_args(BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=1), llm=Kimi())
assert engine.query("Where is ice on the Moon?").source_nodes[0].text == nodes[0].text
"""

# The tests' own modules are the checkout's, behind what is installed.
OF_CHECKOUT = f"""
sys.path.append({str(ROOT)!r})
"""

WITH_NOTEBOOKS = f"""{OF_CHECKOUT}
from tests.notebooks import NOTEBOOKS, execute, running_kernel
for book in NOTEBOOKS:
    print(book.name, flush=True)
    with running_kernel() as clean:
        execute(book, clean)
"""

IN_PYRIGHT = f"""
import json
import shutil
import subprocess
shutil.copytree({str(ROOT / "tests" / "typed")!r}, "typed")
strict = dict(include=["typed"], typeCheckingMode="strict", reportUnnecessaryTypeIgnoreComment="error")
Path("pyrightconfig.json").write_text(json.dumps(strict), "utf-8")
sys.exit(subprocess.run([sys.executable, "-m", "pyright", "--pythonpath", sys.executable]).returncode)
"""


def pages_script(pages: Sequence[str], only: str = "") -> str:
    """Write a script that runs what pages show; see `tests.pages.run_pages`."""
    return f"{OF_CHECKOUT}\nfrom tests.pages import run_pages\nassert run_pages({list(pages)}, {only!r})\n"


@dataclass(frozen=True)
class Environment:
    """One environment and what runs in it.

    Attributes:
        name: Its name, and its folder's.
        extra: The extras of this project that are installed, with commas; empty is none.
        tests: The tests that run, with what pytest is told for them; empty is all of them.
        lowest: Whether the oldest Python that is here is taken, with `read_floors`.
        newest: Whether to say what the index has that is newer than what is installed.
        pins: Further requirements.
        regardless: What is then brought to the index's newest, whatever the other packages ask for.
        holds: Requirements that must be true of what is installed in the end.
        archive: "wheel" or "sdist": what is installed, outside the checkout; empty is the checkout itself.
        script: What runs then, in place of tests; and after it what the pages show that name just these extras.
    """

    name: str
    extra: str
    tests: tuple[str, ...] = ()
    lowest: bool = False
    newest: bool = False
    pins: tuple[str, ...] = ()
    regardless: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    archive: str = ""
    script: str = ""


def read_table(pyproject: str, table: str) -> list[Requirement]:
    """Read a list of requirements.

    Args:
        pyproject: The text of pyproject.toml.
        table: The name of the list.
    """
    found = re.search(rf"^{table} = \[(.*?)^\]", pyproject, re.MULTILINE | re.DOTALL)
    assert found, table
    return [Requirement(line) for line in re.findall(r'^\s*"([^"]+)"', found[1], re.MULTILINE)]


PYPROJECT = (ROOT / "pyproject.toml").read_text("utf-8")

ENVIRONMENTS = (
    Environment("lowest", "dev", lowest=True),
    Environment("newest", "dev", newest=True, holds=("openai>=3",)),
    # Where an index lacks something that the newest langchain-core asks for, `newest` gets an older one.
    Environment(
        "newest-langchain", "test-langchain", LANGCHAIN, newest=True, regardless=("langchain-core", "langchain")
    ),
    # The classes that people come from hold openai below 3, so they are compared with ours here.
    Environment(
        "openai-2", "dev", pins=("openai<3", *map(str, read_table(PYPROJECT, "bench-peers"))), holds=("openai<3",)
    ),
    Environment("langchain-alone", "test-langchain", LANGCHAIN),
    Environment("deepagents", "test-deepagents", ("tests/langchain_kimi",)),
    # As `make recipes` does.
    Environment("recipes", "recipes", ("--all-needs", "tests/test_readme.py", "tests/recipes")),
    Environment("llama-index-alone", "test-llama-index", (*SHARED, "tests/llama_index_kimi")),
    Environment("wheel", "", archive="wheel", script=PLAIN),
    Environment(
        "wheel-langchain",
        "langchain",
        archive="wheel",
        script=f'absent("llama_index")\n{WITH_LANGCHAIN}{pages_script(["README.md"], "langchain_kimi")}',
    ),
    Environment(
        "wheel-llama-index",
        "llama-index",
        archive="wheel",
        script=f'absent("langchain_core")\n{WITH_LLAMA_INDEX}{pages_script(["README.md"], "llama_index_kimi")}',
    ),
    Environment("wheel-agents", "agents", archive="wheel", script=f'absent("llama_index")\n{WITH_AGENTS}'),
    Environment("wheel-aiohttp", "aiohttp", archive="wheel", script=WITH_AIOHTTP),
    Environment("wheel-all", "all", archive="wheel", script=WITH_LANGCHAIN + WITH_LLAMA_INDEX),
    # At pytest's floor, which `lowest` cannot have: langchain-tests asks for a newer one.
    Environment("wheel-conformance", "conformance", pins=("pytest==8.3",), archive="wheel", script=WITH_CONFORMANCE),
    # What `make types` has mypy check. Pyright runs on Node, which its extra brings along.
    Environment("wheel-pyright", "all,conformance", pins=("pyright[nodejs]",), archive="wheel", script=IN_PYRIGHT),
    Environment("wheel-demo", "demo", archive="wheel", script=WITH_DEMO),
    Environment("wheel-notebooks", "notebooks", pins=("nbclient",), archive="wheel", script=WITH_NOTEBOOKS),
    Environment("wheel-agents-of-both", "agents,llama-index", archive="wheel"),
    Environment("wheel-testing", "conformance,langchain", archive="wheel"),
    Environment("sdist", "all", archive="sdist", script=WITH_LANGCHAIN + WITH_LLAMA_INDEX),
)


def read_requirements(pyproject: str) -> list[Requirement]:
    """Read what the adapters, the suite for LLMs and the demo need: not what notebooks and tests do.

    Args:
        pyproject: The text of pyproject.toml.
    """
    tables = ("dependencies", "langchain", "llama-index", "agents", "aiohttp", "conformance", "demo")
    requirements = [requirement for table in tables for requirement in read_table(pyproject, table)]
    return [requirement for requirement in requirements if requirement.name != "kimi-adapters"]


def read_floors(pyproject: str) -> list[str]:
    """Read the lowest version of what `read_requirements` names, as pins; of pytest, the row `wheel-conformance` has it.

    Args:
        pyproject: The text of pyproject.toml.
    """
    floors = [
        f"{requirement.name}=={item.version}"
        for requirement in read_requirements(pyproject)
        for item in requirement.specifier
        if item.operator == ">=" and requirement.name != "pytest"
    ]
    return list(dict.fromkeys(floors))


def broken(holds: Iterable[str], installed: dict[str, str]) -> list[str]:
    """Find the requirements that what is installed does not meet.

    Args:
        holds: Requirements.
        installed: Version by canonical name.
    """
    wrong = []
    for requirement in map(Requirement, holds):
        version = installed.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            wrong.append(f"{requirement}, but it is {version}")
    return wrong


def find_pythons() -> list[str]:
    """Find the supported interpreters, oldest first."""
    found = []
    for name in SUPPORTED:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            found.append(path)
    return found or [sys.executable]


@functools.cache
def build() -> Path:
    """Build the sdist, and the wheel from it, once in a process; returns their folder."""
    shutil.rmtree(DIST, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "build", "--outdir", DIST, ROOT], check=True, stdout=subprocess.DEVNULL)
    return DIST


def find_source(environment: Environment) -> tuple[str, ...]:
    """Say what pip installs: the checkout in place, or an archive."""
    extra = f"[{environment.extra}]" if environment.extra else ""
    if not environment.archive:
        return ("--editable", f"{ROOT}{extra}")
    (archive,) = build().glob("*.whl" if environment.archive == "wheel" else "*.tar.gz")
    return (f"kimi-adapters{extra} @ {archive.as_uri()}",)


def pip(python: Path, *arguments: str) -> str:
    """Run an environment's pip; returns what it prints."""
    command = [python, "-m", "pip", *arguments, "--disable-pip-version-check"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def read_installed(python: Path) -> dict[str, str]:
    """Read what an environment has: version by canonical name."""
    lines = re.findall(r"^(\S+)==(\S+)$", pip(python, "list", "--format=freeze"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def find_newer(python: Path, installed: dict[str, str]) -> list[str]:
    """Find what the index has newer, for this Python, of the packages that `read_requirements` names."""
    names = {item.name for item in read_requirements((ROOT / "pyproject.toml").read_text("utf-8"))}
    newer = []
    for name in sorted(names & set(installed)):
        found = re.search(r"\((\S+)\)", pip(python, "index", "versions", name))
        if found and found[1] != installed[name]:
            newer.append(f"{name} {found[1]} (installed: {installed[name]})")
    return newer


def run_script(python: Path, script: str) -> bool:
    """Run a script as a user would: outside the checkout, without a key or a proxy; returns whether it passed."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith(("MOONSHOT_", "KIMI_", "PYTHON"))
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "test_use.py")
        path.write_text(BEFORE + script, encoding="utf-8")
        return subprocess.run([python, path], cwd=folder, env=kept, check=False).returncode == 0


def make(environment: Environment) -> Path:
    """Make an environment anew; returns its interpreter."""
    folder = HOME / environment.name
    shutil.rmtree(folder, ignore_errors=True)
    base = find_pythons()[0 if environment.lowest else -1]
    subprocess.run([base, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    floors = read_floors(PYPROJECT) if environment.lowest else []
    pip(python, "install", "--quiet", *find_source(environment), *environment.pins, *floors)
    if environment.regardless:
        pip(python, "install", "--quiet", "--upgrade", "--no-deps", *environment.regardless)
    return python


def run(environment: Environment, pytest_arguments: Sequence[str]) -> bool:
    """Make an environment and run what runs in it; returns whether that passed."""
    python = make(environment)
    installed = read_installed(python)
    shown = [name for name in ("openai", "httpx", "httpx2", "langchain-core", "llama-index-core") if name in installed]
    print(
        f"== {environment.name}: {python.resolve()}, {', '.join(f'{name} {installed[name]}' for name in shown)}",
        flush=True,
    )
    for line in find_newer(python, installed) if environment.newest else ():
        # No failure: what holds it back is another package's requirement, or what this index lacks.
        print(f"   NOT THE NEWEST: the index has {line}", flush=True)
    if wrong := broken(environment.holds, installed):
        print(f"   FAILED: wanted {'; '.join(wrong)}", flush=True)
        return False
    if environment.archive:
        pages = by_extras().get(environment.extra) if environment.archive == "wheel" else None
        return run_script(python, environment.script + (pages_script(pages) if pages else ""))
    tests = [python, "-m", "pytest", *pytest_arguments, *environment.tests]
    return subprocess.run(tests, cwd=ROOT, check=False).returncode == 0


def main(names: Iterable[str], pytest_arguments: Sequence[str]) -> int:
    """Run the environments named, or all of them; returns the exit status."""
    wanted = set(names)
    results = []
    for environment in ENVIRONMENTS:
        if not wanted or environment.name in wanted:
            began = time.monotonic()
            try:
                passed = run(environment, pytest_arguments)
            except subprocess.CalledProcessError as error:  # it cannot be installed; the others still run
                print(f"   {error}", flush=True)
                passed = False
            print(f"== {environment.name}: {'passed' if passed else 'FAILED'}", flush=True)
            results.append((environment.name, passed, time.monotonic() - began))
    for name, passed, seconds in results:
        print(f"{name:20} {'passed' if passed else 'FAILED':8} {seconds:6.0f} s")
    return 0 if all(passed for _, passed, _ in results) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[environment.name for environment in ENVIRONMENTS], metavar="NAME")
    parser.add_argument("--pytest", default=PYTEST, help="arguments for pytest, in one string (default: %(default)s)")
    given = parser.parse_args()
    sys.exit(main(given.names, given.pytest.split()))
