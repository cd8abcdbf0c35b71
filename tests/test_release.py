"""What is published: the archives hold what they should, install without the checkout, and are typed for their users."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

import kimi_wire

ROOT = Path(__file__).parent.parent
SHIPPED = {"kimi_wire", "langchain_kimi", "llama_index_kimi", "kimi_emulator", "llama_index_conformance"}

USER_CODE = """
from typing_extensions import assert_type

from langchain_core.messages import AIMessage
from llama_index.core.base.llms.types import ChatMessage, ChatResponse

from kimi_emulator import KimiEmulator, Reply
from kimi_wire import Profile, profile_for
from langchain_kimi import ChatKimi, KimiRateLimitError
from llama_index_kimi import Kimi

with KimiEmulator() as kimi:
    kimi.script(Reply("Hello!"))
    model = ChatKimi(model="kimi-k3", base_url=kimi.base_url, api_key="sk-test", reasoning_effort="low")
    assert_type(model.invoke("hello"), AIMessage)
    llm = Kimi(model="kimi-k2.6", base_url=kimi.base_url, api_key="sk-test", thinking=False)
    assert_type(llm.chat([ChatMessage("hello")]), ChatResponse)
assert_type(profile_for("kimi-k3"), Profile)
assert issubclass(KimiRateLimitError, Exception)
print("it runs")
"""

MISTAKES = """
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

ChatKimi(modle="kimi-k3")
Kimi(thinking="yes")
"""


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(archives: Path) -> Path:
    (found,) = archives.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        return message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel, and behind it what this one has installed."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(pip, check=True)
    ask = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    own = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
    Path(own, "behind.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return python


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], capture_output=True, text=True, check=False, cwd=cwd, timeout=300)


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == SHIPPED
    for package in SHIPPED:
        assert f"{package}/py.typed" in names
        on_disk = {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")}
        assert on_disk <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_sdist_holds_the_tests_too(archives: Path) -> None:
    (sdist,) = archives.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in (
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "Makefile",
        "tests/conftest.py",
        "kimi_wire/py.typed",
    ):
        assert wanted in names
    assert not {name for name in names if name.startswith((".ci", ".venv", ".matrix"))}


def test_the_metadata_says_what_the_registries_ask_for(metadata: Message) -> None:
    assert metadata["Version"] == kimi_wire.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "Kimi" in metadata["Summary"]
    assert metadata.get_payload().startswith("# Kimi for LangChain and LlamaIndex")
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert {"langchain", "llama-index", "all"} <= set(metadata.get_all("Provides-Extra", []))
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    assert '[tool.llamahub]\ncontains_example = true\nimport_path = "llama_index_kimi"' in pyproject
    assert re.search(
        r"name: kimi-adapters\s+name_title: Kimi\s+path: \.", (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    )


def test_the_changelog_knows_the_version() -> None:
    assert re.search(
        rf"^## {re.escape(kimi_wire.__version__)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )


def test_the_wheel_runs_and_is_typed_for_its_users(installed: Path, tmp_path: Path) -> None:
    script = tmp_path / "user_code.py"
    script.write_text(USER_CODE, encoding="utf-8")
    where = run(installed, "-c", "import langchain_kimi; print(langchain_kimi.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(installed.parent.parent)), where.stderr
    ran = run(installed, script.name, cwd=tmp_path)
    assert ran.stdout.strip() == "it runs", ran.stderr
    checked = run(
        Path(sys.executable), "-m", "mypy", "--strict", "--python-executable", str(installed), script.name, cwd=tmp_path
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_types_find_the_mistakes_of_users(installed: Path, tmp_path: Path) -> None:
    script = tmp_path / "mistakes.py"
    script.write_text(MISTAKES, encoding="utf-8")
    checked = run(
        Path(sys.executable), "-m", "mypy", "--strict", "--python-executable", str(installed), script.name, cwd=tmp_path
    )
    found = {int(line) for line in re.findall(r"^mistakes\.py:(\d+): error", checked.stdout, re.MULTILINE)}
    assert found == {5, 6}, checked.stdout
