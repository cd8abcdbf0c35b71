"""`make release-check`: each fault that it is for is found, and what it checks is what CONTRIBUTING.md says."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

import kimi_wire
from tests import release
from tests.release import Step

ROOT = Path(__file__).parent.parent
TODAY = date(2026, 11, 27)
CITATION = "version: 0.1.0"


@pytest.mark.parametrize(
    ("version", "wheel", "citation", "words"),
    [
        ("0.1.0", "0.1.0", CITATION, ""),
        ("0.1.0", "0.1.1", CITATION, "the wheel says 0.1.1"),
        ("0.1.0", "0.1.0", "version: 0.2.0", "CITATION.cff says 0.2.0"),
        ("0.1.0", "0.1.0", "title: x", "CITATION.cff says None"),
        ("0.1.0+here", "0.1.0+here", "version: 0.1.0+here", "the index takes it as 0.1.0"),
        ("0.1.0.dev1", "0.1.0.dev1", "version: 0.1.0.dev1", "without .dev"),
        ("0.1.0-rc1", "0.1.0-rc1", "version: 0.1.0-rc1", "the index takes it as 0.1.0rc1"),
        ("one", "one", CITATION, "no version of PEP 440"),
    ],
)
def test_versions(version: str, wheel: str, citation: str, words: str) -> None:
    found = release.check_version(version, wheel, citation)
    assert len(found) == bool(words)
    assert words in "".join(found)


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("## 0.1.0 (2026-11-27)", ""),
        ("## 0.1.0 (unreleased)", "put the day there, (2026-11-27)"),
        ("## 0.1.0 (2026-11-28)", "still to come"),
        ("## 0.1.0 (2026-13-01)", "put the day there"),
        ("## 0.1.0", "no section"),
        ("## 0.1.00 (2026-11-27)", "no section"),
        ("### 0.1.0 (2026-11-27)", "no section"),
    ],
)
def test_changelogs(heading: str, words: str) -> None:
    found = release.check_changelog("0.1.0", f"# Changelog\n\n{heading}\n\n## 0.0.9 (2026-01-01)\n", TODAY)
    assert len(found) == bool(words)
    assert words in "".join(found)


@pytest.mark.parametrize(
    ("here", "everywhere", "words"),
    [
        ([], ["v0.0.9"], ""),
        (["v0.1.0"], ["v0.1.0"], ""),  # where the tag starts the release
        ([], ["v0.1.0"], "raise the version"),
        (["v0.2.0"], ["v0.2.0"], "this commit is tagged v0.2.0"),
        (["nice"], ["nice"], ""),
    ],
)
def test_tags(here: list[str], everywhere: list[str], words: str) -> None:
    found = release.check_tags("0.1.0", here, everywhere)
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_addresses() -> None:
    urls, readme = ["Source", "Changelog", "Issues"], "[a](https://example.org/docs/a.md) [b](#b)"
    assert release.check_addresses("repo: `OWNER/REPO` has to go", urls, readme) == []
    found = release.check_addresses("repo: OWNER/REPO", ["Issues"], f"{readme} [c](docs/c.md) [d](LICENSE)")
    assert [line.partition(":")[0] for line in found] == ["CONTRIBUTING.md", "pyproject.toml", "README.md"]
    assert "Changelog, Source" in found[1]
    assert "2 links are relative, as that to docs/c.md" in found[2]


FILES = ["README.md", ".ci/run", "tests/test_x.py", *(f"{name}/__init__.py" for name in sorted(release.SHIPPED))]
FILES += [f"{name}/py.typed" for name in sorted(release.SHIPPED)]
WHEEL = [*(name for name in FILES if name.partition("/")[0] in release.SHIPPED), "x.dist-info/licenses/LICENSE"]
SDIST = [*(name for name in FILES if name != ".ci/run"), "PKG-INFO"]


def test_archives() -> None:
    assert release.check_wheel(WHEEL, FILES) == []
    assert release.check_sdist(SDIST, FILES) == []


@pytest.mark.parametrize(
    "missing", ["kimi_wire/py.typed", "langchain_kimi/__init__.py", "x.dist-info/licenses/LICENSE"]
)
def test_an_archive_that_lacks_something(missing: str) -> None:
    (found,) = release.check_wheel({*WHEEL} - {missing}, FILES)
    assert found == f"the wheel lacks {missing.rpartition('licenses/')[2]}"
    if missing in SDIST:
        assert release.check_sdist({*SDIST} - {missing}, FILES) == [f"the sdist lacks {missing}"]


def test_an_archive_that_has_too_much() -> None:
    assert release.check_wheel([*WHEEL, "tests/test_x.py"], FILES) == [
        "the wheel has tests/test_x.py, which is not to be shipped"
    ]
    assert release.check_sdist([*SDIST, "recordings/one.json"], FILES) == [
        "the sdist has recordings/one.json, which is not in git"
    ]


def test_keys_in_archives() -> None:
    key = "sk-" + "a1B2" * 12
    assert release.find_keys({"a.py": f"key = '{key}'".encode(), "b.py": b"sk-secret-0123456789abcdef"}) == [
        "a.py has what looks like a key"
    ]


@pytest.mark.parametrize(
    ("licence", "good"),
    [
        ("MIT", True),
        ("MIT License", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", True),
        ("Apache Software License; MIT License", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("GNU General Public License v3 (GPLv3)", False),
        ("MIT AND GPL-3.0-or-later", False),
        ("MIT License; Other/Proprietary License", False),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_licences(licence: str, good: bool) -> None:
    found = release.check_licences([("fine", "MIT"), ("other", licence)])
    assert len(found) == (not good)
    assert all(line.startswith("other: ") for line in found)


def test_a_licence_that_somebody_has_read() -> None:
    assert release.check_licences([("httpx-aiohttp", "Copyright 2025\nRedistribution and use ...")]) == []


# What a run does.


def test_all_steps_run_and_one_that_fails_fails_the_release(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_program() -> list[str]:
        raise FileNotFoundError("no such program")

    def failing() -> list[str]:
        raise subprocess.CalledProcessError(1, ["git"])

    ways = {"good": list, "bad": lambda: ["this is wrong"], "missing": no_program, "failing": failing, "last": list}
    monkeypatch.setattr(release, "REPORTS", tmp_path / "release")
    monkeypatch.setattr(release, "steps", lambda only_archives: [Step(name, look) for name, look in ways.items()])
    assert release.main(only_archives=True) == 1
    summary = capsys.readouterr().out.partition(f"The release of {kimi_wire.__version__}:\n")[2].splitlines()
    assert [line.split()[:2] for line in summary if not line.startswith((" ", "LEFT"))] == [
        ["good", "passed"],
        ["bad", "FAILED"],
        ["missing", "FAILED"],
        ["failing", "FAILED"],
        ["last", "passed"],
    ]
    assert "            this is wrong" in summary
    assert summary[-1].startswith("LEFT OUT: the tests of the matrix")


def test_a_release_in_which_nothing_is_wrong(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(release, "REPORTS", tmp_path / "release")
    monkeypatch.setattr(release, "steps", lambda only_archives: [Step("good", list)])
    assert release.main(only_archives=False) == 0
    assert "LEFT OUT" not in capsys.readouterr().out


def test_the_matrix_is_run_whole_unless_its_archives_alone_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []

    def main(names: list[str], arguments: list[str]) -> int:
        asked.append(names)
        return 0

    monkeypatch.setattr(release.matrix, "main", main)
    for only_archives in (False, True):
        assert release.steps(only_archives)[-1].look() == []
    whole, archives = asked
    assert whole == []
    assert {"wheel", "sdist", "wheel-agents"} <= set(archives)
    assert "newest" not in archives


def test_the_steps_are_those_that_contributing_names() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8").partition("## Releasing")[2]
    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    assert rows == [step.name for step in release.steps()]


# What stands beside the code.


def test_the_citation_has_what_its_form_asks_for() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what its schema, 1.2.0, requires
    assert all(author.get("name") for author in cited["authors"])
    assert (cited["version"], cited["license"]) == (kimi_wire.__version__, "MIT")


@pytest.mark.parametrize("name", ["bug", "fact", "feature"])
def test_forms_for_issues(name: str) -> None:
    path = ROOT / ".github" / "ISSUE_TEMPLATE" / f"{name}.yml"
    if not path.exists():
        pytest.skip("the sdist has no .github")
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "labels", "body"} == set(form)
    warning, *fields = form["body"]
    assert "**Leave keys out**" in warning["attributes"]["value"]
    assert "SECURITY.md" in warning["attributes"]["value"]
    assert len({field["id"] for field in fields}) == len(fields)
    assert all(field["attributes"]["label"] for field in fields)
    asks = any("python -m kimi_wire doctor" in field["attributes"]["label"] for field in fields)
    assert asks == (name != "feature")
