"""What is published: the archives hold what they should, install without the checkout, and are typed for their users."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
from email.message import Message
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import kimi_wire
import langchain_kimi
from tests import matrix
from tests.examples import fences, run_here
from tests.pages import by_extras
from tests.release import SHIPPED, check_wheel, metadata_of, read_sdist, read_wheel

pytestmark = pytest.mark.slow  # it builds

ROOT = Path(__file__).parent.parent

# The distributions that each extra for users brings, and the extras that are for this repository alone.
EXTRAS = {
    "langchain": {"langchain-core"},
    "llama-index": {"llama-index-core"},
    "agents": {"langchain", "langchain-core"},
    "aiohttp": {"httpx-aiohttp", "openai"},
    "all": {"langchain-core", "llama-index-core"},
    "conformance": {"llama-index-core", "pytest"},
    "demo": {"langchain", "langchain-core", "llama-index-core", "llama-index-retrievers-bm25"},
    "notebooks": {
        *("ipykernel", "matplotlib", "pandas"),
        *("langchain", "langchain-core", "llama-index-core", "llama-index-retrievers-bm25"),
    },
}
TYPED = ROOT / "tests" / "typed"
OWN_EXTRAS = {"dev", "docs", "recipes", "release", "test", "test-deepagents", "test-langchain", "test-llama-index"}


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
    return metadata_of(read_wheel(wheel))


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


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy learns of the libraries, which is most of its time: for all tests."""
    return tmp_path_factory.mktemp("learned")


def check_types(script: Path, installed: Path, learned: Path) -> subprocess.CompletedProcess[str]:
    """Check a script's types against an environment, as its users would."""
    mypy = ["-m", "mypy", "--strict", "--python-executable", str(installed), "--cache-dir", str(learned)]
    return run(Path(sys.executable), *mypy, script.name, cwd=script.parent)


def run(python: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([python, *arguments], capture_output=True, text=True, check=False, cwd=cwd, timeout=900)


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    on_disk = (path for package in SHIPPED for path in (ROOT / package).rglob("*") if "__pycache__" not in path.parts)
    files = [path.relative_to(ROOT).as_posix() for path in on_disk if path.is_file()]
    assert check_wheel(read_wheel(wheel), files) == []


def test_the_sdist_holds_the_tests_too(archives: Path) -> None:
    (sdist,) = archives.glob("*.tar.gz")
    names = set(read_sdist(sdist))
    assert {
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "Makefile",
        "tests/conftest.py",
        "kimi_wire/py.typed",
    } <= names
    assert not {name for name in names if name.startswith((".ci", ".github", ".venv", ".matrix"))}


def test_the_metadata_says_what_the_registries_ask_for(metadata: Message) -> None:
    assert metadata["Version"] == kimi_wire.__version__
    assert metadata["License-Expression"] == "MIT"
    assert metadata["Requires-Python"] == ">=3.10"
    assert "Kimi" in metadata["Summary"]
    assert metadata.get_payload().startswith("# Kimi for LangChain and LlamaIndex")
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])


def test_each_extra_brings_what_it_is_for(metadata: Message) -> None:
    assert set(metadata.get_all("Provides-Extra", [])) == {*EXTRAS, *OWN_EXTRAS}
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]
    without = {item.name for item in required if item.marker is None or item.marker.evaluate({"extra": ""})}
    assert without == {"openai", "jiter", "typing-extensions"}
    for extra, names in EXTRAS.items():
        assert {item.name for item in required if item.marker and item.marker.evaluate({"extra": extra})} == names


def test_each_extra_is_installed_from_the_wheel_in_the_matrix(metadata: Message) -> None:
    rows = {extra for row in matrix.ENVIRONMENTS if row.archive == "wheel" for extra in row.extra.split(",")}
    assert rows == {"", *EXTRAS}
    assert any(row.archive == "sdist" for row in matrix.ENVIRONMENTS)


def test_each_page_has_a_row_with_just_its_extras() -> None:
    assert {*by_extras()} <= {row.extra for row in matrix.ENVIRONMENTS if row.archive == "wheel"} - {""}


def test_the_matrix_runs_the_pythons_of_the_classifiers(metadata: Message) -> None:
    classifiers = re.findall(r"Python :: (3\.\d+)", "\n".join(metadata.get_all("Classifier", [])))
    assert [f"python{version}" for version in classifiers] == list(matrix.SUPPORTED)


def test_the_matrix_reads_every_floor_of_the_adapters_the_suite_and_the_demo(metadata: Message) -> None:
    wanted = set()
    read = {*EXTRAS} - {"notebooks"}
    for line in metadata.get_all("Requires-Dist", []):
        item = Requirement(line)
        if item.marker is None or any(item.marker.evaluate({"extra": extra}) for extra in read):
            wanted |= {f"{item.name}=={floor.version}" for floor in item.specifier if floor.operator == ">="}
    pins = {*matrix.read_floors((ROOT / "pyproject.toml").read_text("utf-8"))}
    assert pins | {pin for row in matrix.ENVIRONMENTS if row.archive for pin in row.pins if "==" in pin} == wanted


def test_the_matrix_says_which_requirement_does_not_hold() -> None:
    assert matrix.broken(["openai>=3", "Langchain.Core<2"], {"openai": "3.1", "langchain-core": "1.7"}) == []
    assert matrix.broken(["openai>=3"], {"openai": "2.54.0"}) == ["openai>=3, but it is 2.54.0"]
    assert matrix.broken(["openai<3"], {}) == ["openai<3, but it is None"]


def test_the_registries_entries_name_what_is_shipped(metadata: Message) -> None:
    hub = (ROOT / "pyproject.toml").read_text("utf-8")
    assert '[tool.llamahub]\ncontains_example = true\nimport_path = "llama_index_kimi"' in hub
    pages = fences((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    listing, package = (yaml.safe_load(fence.code) for fence in pages if fence.language == "yaml")
    (row,) = listing["python"]["chat"]
    assert row["name"] == langchain_kimi.ChatKimi.__name__
    (entry,) = package["packages"]
    assert row["pypi"] == entry["name"] == metadata["Name"]
    assert row["docs_url"] == f"https://github.com/{entry['repo']}"


def test_the_changelog_knows_the_version() -> None:
    assert re.search(
        rf"^## {re.escape(kimi_wire.__version__)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
    )


def test_the_code_of_a_user_runs(capsys: pytest.CaptureFixture[str]) -> None:
    run_here([(TYPED / "user_code.py").read_text("utf-8")], "user_code.py")
    assert capsys.readouterr().out.splitlines()[-1] == "it runs"


# Most of a minute. Every day `make types` checks both scripts against the packages, and the wheel's files are counted above.
@pytest.mark.deep
def test_the_wheel_runs_and_is_typed_for_its_users(installed: Path, learned: Path, tmp_path: Path) -> None:
    script = tmp_path / "user_code.py"
    script.write_text((TYPED / "user_code.py").read_text("utf-8"), "utf-8")
    where = run(installed, "-c", "import langchain_kimi; print(langchain_kimi.__file__)", cwd=tmp_path)
    assert where.stdout.startswith(str(installed.parent.parent)), where.stderr
    ran = run(installed, script.name, cwd=tmp_path)
    assert ran.stdout.splitlines()[-1] == "it runs", ran.stderr
    checked = check_types(script, installed, learned)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.deep
def test_types_find_the_mistakes_of_users(installed: Path, learned: Path, tmp_path: Path) -> None:
    script = tmp_path / "mistakes.py"
    text = (TYPED / "mistakes.py").read_text("utf-8")
    mistakes = {number for number, line in enumerate(text.splitlines(), 1) if "# type: ignore" in line}
    script.write_text(re.sub(r"  # type: ignore.*", "", text), "utf-8")
    checked = check_types(script, installed, learned)
    found = {int(line) for line in re.findall(r"^mistakes\.py:(\d+): error", checked.stdout, re.MULTILINE)}
    assert found == mistakes, checked.stdout
    assert len(mistakes) == 4
