"""What the README shows, runs."""

from __future__ import annotations

import logging
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

import kimi_wire
import langchain_kimi
import llama_index_kimi
from kimi_emulator import KimiEmulator
from kimi_wire.settings import SETTINGS
from tests import pages, promises, word_table
from tests.examples import (
    ROOT,
    Fence,
    anchor,
    fences,
    is_module,
    is_program,
    is_test,
    run,
    run_here,
    run_tests,
    unimported_modules,
)
from tests.media_samples import REPORT
from tests.model_table import TABLES, insert


def name_of(page: Path) -> str:
    """Where a page is, from the root."""
    return page.relative_to(ROOT).as_posix()


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCES = {
    f"{name_of(page)}:{number}": fence for page in PAGES for number, fence in enumerate(fences(page.read_text("utf-8")))
}
LANGUAGES = {"python", "bash", "yaml", "text"}  # the one text is the map, which tests/test_architecture.py reads
PYTHON = {where: fence for where, fence in FENCES.items() if fence.language == "python"}


def marks_of(*found: Fence) -> list[pytest.MarkDecorator]:
    """What fences need. Such packages take seconds to import, and what they warn of is their own."""
    needs = sorted({name for fence in found for name in fence.needs})
    return [pytest.mark.needs(*needs), pytest.mark.slow, pytest.mark.filterwarnings("default")] if needs else []


def of_page(name: str) -> list[Fence]:
    """The Python of a page, in order."""
    return [fence for where, fence in PYTHON.items() if where.startswith(f"{name}:")]


def starts_python(fence: Fence) -> bool:
    """Whether a fence starts others in Python, for which it has to be a program itself.

    Their stderr is pytest's else, and workers look for its classes in a module that they do not have.
    """
    return "sys.executable" in fence.code or "ray" in fence.needs


PROGRAMS = {where: fence for where, fence in PYTHON.items() if is_program(fence)}
IN_THIS_PROCESS = [
    pytest.param(where, fence.code, id=where, marks=marks_of(fence))
    for where, fence in PROGRAMS.items()
    if not starts_python(fence)
]
AS_PROGRAMS = [
    pytest.param(
        where,
        fence.code,
        id=where,
        marks=[*marks_of(fence), *([] if starts_python(fence) else [pytest.mark.deep])],
    )
    for where, fence in PROGRAMS.items()
    if not where.startswith("docs/zh/")  # they do what the English ones do (tests/test_zh.py)
]
TESTED = sorted({where.partition(":")[0] for where, fence in PYTHON.items() if is_test(fence.code)})
SHELL = [(where, fence.code) for where, fence in FENCES.items() if fence.language == "bash"]


def section(page: Path, title: str) -> str:
    """What stands under a heading of a page."""
    return page.read_text("utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_fence_is_in_a_language_that_is_checked() -> None:
    assert {where: fence.language for where, fence in FENCES.items() if fence.language not in LANGUAGES} == {}
    marks = sum(page.read_text("utf-8").count("```") for page in PAGES)
    assert marks == 2 * len(FENCES)


def test_the_pages_say_what_tests_hold() -> None:
    held = list(promises.named())
    assert len(held) > 100
    assert promises.missing(held) == []
    large = "A request has at most 100 MB; a larger\none"
    absent = [("docs/media.md", words) for words in (large, "A request has at most 99 MB", "import base64")]
    assert promises.missing(absent) == [f"{page}: {words}" for page, words in absent[1:]]


def test_a_module_within_namespaces_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "no_package" / "nor_this" / "nor_that"
    place.mkdir(parents=True)
    (place / "module.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert is_module("no_package.nor_this.nor_that.module")
    assert not is_module("no_package.nor_this.module")


def test_yaml_fences_can_be_read() -> None:
    found = [yaml.safe_load(fence.code) for fence in FENCES.values() if fence.language == "yaml"]
    assert found
    assert all(found)


@pytest.mark.parametrize(("where", "code"), [(where, fence.code) for where, fence in PYTHON.items()], ids=list(PYTHON))
def test_python_fences_compile(where: str, code: str) -> None:
    compile(code, where, "exec")
    assert unimported_modules(code) == set()


FRAMEWORKS = {"langchain_core", "langchain_kimi"}, {"llama_index.core", "llama_index_kimi"}
PROVIDES = {
    "langchain": FRAMEWORKS[0],
    "llama-index": FRAMEWORKS[1],
    "all": {*FRAMEWORKS[0], *FRAMEWORKS[1]},
    "agents": {*FRAMEWORKS[0], "langchain", "langgraph"},
    "demo": {*FRAMEWORKS[0], *FRAMEWORKS[1], "langchain", "langgraph", "llama_index.retrievers", "bm25s"},
    "conformance": {"llama_index.core", "llama_index_conformance", "pytest"},
}
ALWAYS = {"kimi_emulator", "kimi_wire", "openai", "pydantic", *sys.stdlib_module_names}


@pytest.mark.parametrize("page", pages.PAGES)
def test_a_page_names_the_extra_of_what_it_imports(page: str) -> None:
    """ "No module named 'langchain'" was the first thing that a reader saw of the page of agents."""
    imports = {
        ".".join(name.split(".")[: 2 if name.startswith("llama_index.") else 1])
        for fence in pages.python_of(page)
        if not fence.needs
        for name in re.findall(r"^ *(?:from|import) ([\w.]+)", fence.code, re.MULTILINE)
    }
    named = pages.extras_of(page)
    assert imports - ALWAYS <= {package for extra in filter(None, named.split(",")) for package in PROVIDES[extra]}


def test_a_page_says_how_to_install_what_its_fences_need() -> None:
    for page in PAGES:
        commands = " ".join(re.findall(r"`pip install ([^`]+)`", page.read_text("utf-8")))
        installed = re.split(r"[\s\"]+", re.sub(r"\[[^\]]*\]", "", commands.replace("-", "_")))
        for fence in of_page(name_of(page)):
            needed = {name.replace(".", "_") for name in fence.needs}
            assert needed <= {*installed, "httpx2"}, name_of(page)  # which openai 3 brings along


@pytest.mark.slow
@pytest.mark.parametrize("page", [pytest.param(page, marks=marks_of(*of_page(page))) for page in TESTED])
def test_fences_that_are_tests_pass(tmp_path: Path, page: str) -> None:
    run_tests([fence.code for fence in of_page(page)], tmp_path)


@pytest.fixture
def beside(where: str, write_files: Callable[[str], Path]) -> Path:
    """A folder with a report and the page's files, whose modules the fence can import."""
    folder = write_files(where.partition(":")[0])
    (folder / "report.pdf").write_bytes(REPORT)
    return folder


@pytest.fixture
def _levels() -> Iterator[None]:
    """Undo the levels that a page gives to our loggers."""
    yield
    logging.getLogger("kimi_wire").setLevel(logging.NOTSET)


# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
# llama-index-core 0.14.25 calls a function of its own that it deprecates, for its evaluations.
@pytest.mark.filterwarnings(r"ignore:asyncio_module\(\) is deprecated:DeprecationWarning")
@pytest.mark.usefixtures("_levels")
@pytest.mark.parametrize(("where", "code"), IN_THIS_PROCESS)
def test_python_fences_run(
    kimi: KimiEmulator,
    monkeypatch: pytest.MonkeyPatch,
    beside: Path,
    capsys: pytest.CaptureFixture[str],
    where: str,
    code: str,
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    run_here([code], where)
    if "print(" in code:
        assert capsys.readouterr().out.strip()
    assert [request.error for request in kimi.rejections] == []


@pytest.mark.slow
@pytest.mark.parametrize(("where", "code"), AS_PROGRAMS)
def test_python_fences_run_as_programs(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, beside: Path, where: str, code: str
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-readme")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    done = run(["-c", code], beside)
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


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _, heading in re.findall(r"\]\((?!https?://)([^)#]*)(#([^)]+))?\)", page.read_text("utf-8")):
        found = page.parent / target if target else page
        assert found.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.+)$", found.read_text("utf-8"), re.MULTILINE)
            assert heading in map(anchor, titles)


def test_every_page_is_found_from_the_readme() -> None:
    """From that of its folder where there is one, which is itself found from the README of all."""
    for page in [*(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]:
        own = page.with_name("README.md")
        readme = own if own.exists() and own != page else ROOT / "README.md"
        assert f"({page.relative_to(readme.parent).as_posix()})" in readme.read_text("utf-8")


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
