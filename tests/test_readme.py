"""What the README shows, runs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kimi_emulator import KimiEmulator
from tests.model_table import insert

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCES = [
    (f"{page.name}:{number}", language, code)
    for page in PAGES
    for number, (language, code) in enumerate(re.findall(r"```(\w+)\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
]
PYTHON = [(where, code) for where, language, code in FENCES if language == "python"]
SHELL = [(where, code) for where, language, code in FENCES if language == "bash"]


@pytest.mark.parametrize(("where", "code"), PYTHON, ids=[where for where, _ in PYTHON])
def test_python_fences_run(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, code: str
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    if "print(" in code:
        assert done.stdout.strip()
    assert [request.error for request in kimi.rejections] == []


@pytest.mark.parametrize(("where", "code"), SHELL, ids=[where for where, _ in SHELL])
def test_shell_fences_run_or_name_what_is_there(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, code: str
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "moon.md").write_text("The Moon has ice at its poles.")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    extras = (ROOT / "pyproject.toml").read_text("utf-8")
    for line in code.splitlines():
        command = shlex.split(line, comments=True)
        if command[:1] == ["make"]:
            assert re.search(rf"^{command[1]}:", makefile, re.MULTILINE)
        elif command[:1] == ["pip"]:
            extra = re.search(r"kimi-adapters\[([\w-]+)\]", line)
            assert extra
            assert f"\n{extra[1]} = [" in extras
        elif command[:2] == ["python", "-m"]:
            done = subprocess.run(
                [sys.executable, *command[1:]], capture_output=True, text=True, check=False, cwd=tmp_path
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip()
        else:
            assert command[0] == "export"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_page_is_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]:
        assert f"({page.parent.name}/{page.name})" in readme


def test_the_table_of_models_is_what_the_profiles_say() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert insert(readme) == readme, "make tables"


def test_both_commands_stand_in_the_first_screen() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:24])
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_the_demo_runs_and_says_whom_it_talks_to() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "demo"], capture_output=True, text=True, timeout=180, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert "built-in emulator" in done.stdout
    for shown in (
        "(thinking)",
        "find_capital",
        "get_weather",
        "Oslo",
        "snowing",
        "rocket fuel",
        "sources: ice.md",
        "tokens",
    ):
        assert shown in done.stdout


def test_the_demo_talks_to_the_api_where_a_key_is_set(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-real")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    done = subprocess.run(
        [sys.executable, "-m", "demo"], capture_output=True, text=True, timeout=180, check=False, cwd=ROOT
    )
    assert f"This is the real API: {kimi.base_url}" in done.stdout
    assert done.returncode == 0, done.stderr
    assert kimi.requests
    assert kimi.rejections == []
    monkeypatch.setenv("MOONSHOT_API_KEY", "wrong")
    done = subprocess.run(
        [sys.executable, "-m", "demo"], capture_output=True, text=True, timeout=180, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert "KimiAuthenticationError" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
