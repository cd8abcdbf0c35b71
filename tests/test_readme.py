"""What the README shows, runs."""

from __future__ import annotations

import importlib.util
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import kimi_wire
import langchain_kimi
import llama_index_kimi
from kimi_emulator import KimiEmulator
from kimi_wire.settings import SETTINGS
from tests import promises, word_table
from tests.examples import (
    ROOT,
    Fence,
    anchor,
    fences,
    is_conftest,
    is_test,
    run,
    run_here,
    run_tests,
    unimported_modules,
)
from tests.model_table import TABLES, insert

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def place(page: Path) -> str:
    """A page's place, from the root."""
    return page.relative_to(ROOT).as_posix()


FENCES = {
    f"{place(page)}:{number}": fence for page in PAGES for number, fence in enumerate(fences(page.read_text("utf-8")))
}
LANGUAGES = {"python", "bash", "yaml", "text"}  # the one text is the map, which tests/test_architecture.py reads
PYTHON = {where: fence for where, fence in FENCES.items() if fence.language == "python"}


def needed(fence: Fence) -> list[pytest.MarkDecorator]:
    """Leave a fence out where the package that it needs is not there."""
    is_there = fence.needs is None or importlib.util.find_spec(fence.needs) is not None
    return [] if is_there else [pytest.mark.skip(reason=f"{fence.needs} is not installed")]


PROGRAMS = [
    pytest.param(where, fence.code, id=where, marks=needed(fence))
    for where, fence in PYTHON.items()
    if not fence.compiled_only and not is_test(fence.code) and not is_conftest(fence.code)
]
TESTS = [(where, fence.code) for where, fence in PYTHON.items() if is_test(fence.code)]
SHELL = [(where, fence.code) for where, fence in FENCES.items() if fence.language == "bash"]


def section(page: Path, title: str) -> str:
    """What stands under a heading of a page."""
    return page.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_fence_is_in_a_language_that_is_checked() -> None:
    assert {where: fence.language for where, fence in FENCES.items() if fence.language not in LANGUAGES} == {}
    marks = sum(page.read_text("utf-8").count("```") for page in PAGES)
    assert marks == 2 * len(FENCES)


@pytest.mark.parametrize("words", ["A request has at most 99 MB", "import base64"])
def test_a_promise_that_no_page_makes_stops_the_tests(words: str) -> None:
    promises.check([pytest.mark.says("docs/media.md", "A request has at most 100 MB; a larger\none").mark])
    with pytest.raises(pytest.UsageError, match=re.escape(f"docs/media.md: {words}")):
        promises.check([pytest.mark.says("docs/media.md", words).mark])


def test_yaml_fences_can_be_read() -> None:
    found = [yaml.safe_load(fence.code) for fence in FENCES.values() if fence.language == "yaml"]
    assert found
    assert all(found)


@pytest.mark.parametrize(("where", "code"), [(where, fence.code) for where, fence in PYTHON.items()], ids=list(PYTHON))
def test_python_fences_compile(where: str, code: str) -> None:
    compile(code, where, "exec")
    assert unimported_modules(code) == set()


@pytest.mark.parametrize(
    ("package", "extra"),
    [(r"langchain(?=[. ])", r"\[(?:agents|demo)\]"), (r"llama_index\.retrievers\.bm25", r"\[demo\]")],
)
def test_a_page_names_the_extra_of_what_it_imports(package: str, extra: str) -> None:
    """ "No module named 'langchain'" was the first thing that a reader saw of the page of agents."""
    pages = {
        where.partition(":")[0]
        for where, fence in PYTHON.items()
        if re.search(rf"(?m)^(?:from|import) {package}", fence.code)
    }
    assert pages
    for page in PAGES:
        if place(page) in pages:
            assert re.search(extra, page.read_text("utf-8")), place(page)


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({where.partition(":")[0] for where, _ in TESTS}))
def test_fences_that_are_tests_pass(tmp_path: Path, page: str) -> None:
    fences_of_page = [fence.code for where, fence in PYTHON.items() if where.startswith(f"{page}:")]
    conftest = "\n".join(code for code in fences_of_page if is_conftest(code))
    run_tests([code for code in fences_of_page if is_test(code)], conftest, tmp_path)


# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.parametrize(("where", "code"), PROGRAMS)
def test_python_fences_run(
    kimi: KimiEmulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    where: str,
    code: str,
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    monkeypatch.chdir(tmp_path)
    run_here([code], where)
    if "print(" in code:
        assert capsys.readouterr().out.strip()
    assert [request.error for request in kimi.rejections] == []


# The Chinese fences do what the English do (tests/test_zh.py).
@pytest.mark.slow
@pytest.mark.deep
@pytest.mark.parametrize(("where", "code"), [each for each in PROGRAMS if "docs/zh/" not in str(each.id)])
def test_python_fences_run_as_programs(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, code: str
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    done = run(["-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    if "print(" in code:
        assert done.stdout.strip()
    assert [request.error for request in kimi.rejections] == []


@pytest.mark.slow
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
            named = re.findall(r"\[([\w-]+)\]", line)
            assert named
            for extra in named:
                assert f"\n{extra} = [" in extras
        elif command[:2] == ["python", "-m"]:
            done = run(command[1:], tmp_path)
            assert done.returncode == 0, done.stderr
            assert done.stdout.strip()
        else:
            assert command[0] == "export"


@pytest.mark.parametrize("page", PAGES, ids=place)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _, heading in re.findall(r"\]\((?!https?://)([^)#]*)(#([^)]+))?\)", page.read_text("utf-8")):
        found = page.parent / target if target else page
        assert found.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE)
            assert heading in map(anchor, titles)


def test_every_page_is_found_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]:
        assert f"({page.parent.name}/{page.name})" in readme


@pytest.mark.parametrize("page", TABLES, ids=lambda page: page.name)
def test_the_tables_are_what_the_facts_say(page: Path) -> None:
    assert insert(page) == page.read_text("utf-8"), "make tables"


def test_the_words_of_other_classes_are_shown() -> None:
    page = word_table.PAGE.read_text("utf-8")
    assert word_table.insert(page) == page, "make tables"


def test_the_settings_are_all_in_the_readme() -> None:
    text = section(ROOT / "README.md", "Settings")
    by_methods = {"tools", "tool_choice", "response_format"}  # bind_tools, chat_with_tools, with_structured_output
    for name in (*SETTINGS, "timeout", "max_retries", "extra_headers"):
        assert name in by_methods or re.search(rf"`{name}[`=]", text), name


@pytest.mark.says("docs/errors.md", "Errors of calls are `KimiError`s.")
def test_the_errors_are_all_on_their_page() -> None:
    text = (ROOT / "docs" / "errors.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `Kimi")]
    named = set(re.findall(r"`(Kimi\w+)`", " ".join(line.split(" | ")[0] for line in rows)))
    exported = {name for package in (kimi_wire, langchain_kimi, llama_index_kimi) for name in package.__all__}
    errors = {name for name in exported if re.fullmatch(r"Kimi\w*(Error|Warning)", name)} - {"KimiError"}
    assert named == errors


def test_both_commands_stand_in_the_first_screen() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:24])
    assert "make demo" in first_screen
    assert "make test" in first_screen


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_demo_talks_to_the_api_where_a_key_is_set(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-real")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("demo", run_name="__main__", alter_sys=True)
    said = capsys.readouterr()
    assert f"This is the real API: {kimi.base_url}" in said.out
    assert ended.value.code == 0, said.out
    assert kimi.requests
    assert kimi.rejections == []
    monkeypatch.setenv("MOONSHOT_API_KEY", "wrong")
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("demo", run_name="__main__", alter_sys=True)
    said = capsys.readouterr()
    assert ended.value.code == 1
    assert "KimiAuthenticationError" in said.out
    assert "Traceback" not in said.out + said.err
