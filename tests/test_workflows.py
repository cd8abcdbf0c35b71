"""What a public repository does by itself: its workflows ask for targets that there are, and for no right that they do not need."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github" / "workflows"
PATHS = sorted(FOLDER.glob("*.yml"))
READ = {"contents": "read"}

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the sdist has no .github")

# What each job may do that may do more than read the code, and the environment that asks for leave first.
RIGHTS = {
    ("release", "publish"): ({"id-token": "write"}, "pypi"),
    ("docs", "deploy"): ({"pages": "write", "id-token": "write"}, "github-pages"),
}


def read(path: Path) -> dict[str, Any]:
    # "on" is a word for true in YAML 1.1.
    found = yaml.load(path.read_text("utf-8"), yaml.BaseLoader)
    assert isinstance(found, dict)
    return found


WORKFLOWS = {path.stem: read(path) for path in PATHS}
JOBS = [(name, job, body) for name, workflow in WORKFLOWS.items() for job, body in workflow["jobs"].items()]


def test_there_are_those_that_a_fork_wants() -> None:
    assert set(WORKFLOWS) == {"tests", "nightly", "release", "docs"}


@pytest.mark.parametrize(("name", "job", "body"), JOBS)
def test_every_command_is_a_target_of_the_makefile(name: str, job: str, body: dict[str, Any]) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for command in (step["run"] for step in body["steps"] if "run" in step):
        if command == ".ci/run":
            command = re.findall(r"^exec (.*)", (ROOT / command).read_text("utf-8"), re.MULTILINE)[0]
        program, *wanted = command.split()
        assert program == "make"
        assert wanted
        assert set(wanted) <= targets


@pytest.mark.parametrize(("name", "job", "body"), JOBS)
def test_every_job_has_the_rights_that_it_needs(name: str, job: str, body: dict[str, Any]) -> None:
    assert WORKFLOWS[name]["permissions"] == {}
    rights, environment = RIGHTS.get((name, job), (READ, None))
    assert body["permissions"] == rights
    assert body.get("environment") == environment
    assert int(body["timeout-minutes"]) > 0
    if rights != READ:  # what may write runs nothing of the repository
        assert all("uses" in step and not step["uses"].startswith("actions/checkout") for step in body["steps"])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_fork_needs_no_secret_and_no_edit(path: Path) -> None:
    text = path.read_text("utf-8")
    assert "secrets." not in text
    assert "github.repository ==" not in text
    assert "repository_owner" not in text
    assert "pull_request_target" not in text


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_their_commits(path: Path) -> None:
    uses = re.findall(r"uses: (.*)", path.read_text("utf-8"))
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    pins = {pin for path in PATHS for pin in re.findall(r"uses: (.*)", path.read_text("utf-8"))}
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)


def test_no_checkout_leaves_its_token_behind() -> None:
    steps = [
        step for _, _, body in JOBS for step in body["steps"] if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert len(steps) == len([body for _, _, body in JOBS if body["permissions"] == READ])
    assert all(step["with"]["persist-credentials"] == "false" for step in steps)


def test_the_pythons_are_those_of_the_classifiers() -> None:
    classifiers = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert WORKFLOWS["tests"]["jobs"]["tests"]["strategy"]["matrix"]["python"] == classifiers
    given = {
        (name, job): step["with"]["python-version"].split()
        for name, job, body in JOBS
        for step in body["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    }
    assert given[("nightly", "test-matrix")] == given[("release", "check")] == classifiers
    assert given[("nightly", "test-all")] == given[("docs", "build")] == classifiers[-1:]


def test_what_is_published_is_what_was_checked() -> None:
    check, publish = WORKFLOWS["release"]["jobs"]["check"], WORKFLOWS["release"]["jobs"]["publish"]
    uploaded = [step["with"] for step in check["steps"] if step.get("uses", "").startswith("actions/upload-artifact@")]
    downloaded = [step["with"] for step in publish["steps"] if step["uses"].startswith("actions/download-artifact@")]
    assert publish["needs"] == "check"
    assert [one["name"] for one in uploaded] == ["dist", "release"]
    assert [one["name"] for one in downloaded] == ["dist"]
    assert all(one["path"] == f"{one['name']}/" for one in [*uploaded, *downloaded])
    assert WORKFLOWS["release"]["on"] == {"push": {"tags": ["v*"]}}
