"""All that a release needs, short of uploading: `make release-check`.

Each step finds what is wrong and says what to do; all of them run, whatever the others found. The archives that were looked
at and tried are in `dist/` then, and in `release/` is what an environment has with the wheel and all extras for users.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import yaml
from packaging.version import InvalidVersion, Version

import kimi_wire
from tests import matrix

ROOT = matrix.ROOT
REPORTS = ROOT / "release"
SHIPPED = {"kimi_wire", "langchain_kimi", "llama_index_kimi", "kimi_emulator", "llama_index_conformance"}

# The licences that whoever installs an extra can live with. MPL-2.0 (certifi, tqdm, orjson) asks something of those alone who
# change or hand on its files, which is not done here.
PERMISSIVE = frozenset(
    (
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CNRI-Python",
        "HPND",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "MPL-2.0",
        "PSF-2.0",
        "Python-2.0",
        "Unlicense",
        "Zlib",
    )
)
# The words of packages that have no expression yet.
SPELT = frozenset(
    (
        "3-Clause BSD License",
        "Academic Free License (AFL)",
        "Apache 2.0",
        "Apache License 2.0",
        "Apache License, Version 2.0",
        "Apache Software License",
        "BSD",
        "BSD License",
        "ISC License (ISCL)",
        "MIT License",
        "Mozilla Public License 2.0 (MPL 2.0)",
        "PSF License",
        "Python Software Foundation License",
    )
)

# What says it nowhere but in the licence's own text, which somebody has read.
READ = {"httpx-aiohttp": "BSD-3-Clause", "tiktoken": "MIT"}

# A key of the platform; those of the tests are shorter, or have words in them.
KEY = re.compile(rb"\bsk-(?:kimi-)?[A-Za-z0-9]{32}")


# What is wrong, from what is known. Pure.


def check_version(version: str, metadata_version: str, citation: str) -> list[str]:
    """Compare the version's places.

    Args:
        version: `kimi_wire.__version__`.
        metadata_version: What the wheel says.
        citation: The text of CITATION.cff.
    """
    wrong = []
    try:
        parsed = Version(version)
    except InvalidVersion:
        return [f"{version!r} in kimi_wire/__init__.py is no version of PEP 440"]
    if str(parsed) != version or parsed.local or parsed.is_devrelease:
        wrong.append(
            f"{version} in kimi_wire/__init__.py: the index takes it as {parsed.public}, without .dev and +local"
        )
    if metadata_version != version:
        wrong.append(f"the wheel says {metadata_version}, kimi_wire/__init__.py {version}")
    if (cited := yaml.safe_load(citation).get("version")) != version:
        wrong.append(f"CITATION.cff says {cited}, kimi_wire/__init__.py {version}")
    return wrong


def check_changelog(version: str, changelog: str, today: date) -> list[str]:
    """Find out whether the version has a dated section.

    Args:
        version: The version.
        changelog: The text of CHANGELOG.md.
        today: The day: a section of tomorrow is not released today.
    """
    heading = re.search(rf"^## {re.escape(version)} \(([^)]*)\)$", changelog, re.MULTILINE)
    if heading is None:
        return [f"CHANGELOG.md has no section '## {version} ({today})'"]
    try:
        day = date.fromisoformat(heading[1])
    except ValueError:
        return [f"CHANGELOG.md: the section of {version} says ({heading[1]}): put the day there, ({today})"]
    return [f"CHANGELOG.md: the section of {version} is of {day}, which is still to come"] if day > today else []


def check_tags(version: str, here: Iterable[str], everywhere: Iterable[str]) -> list[str]:
    """Find out whether the version's tag is free, or on this very commit.

    Args:
        version: The version.
        here: The tags of this commit.
        everywhere: All tags.
    """
    tag, here = f"v{version}", set(here)
    others = sorted(name for name in here if re.match(r"v\d", name) and name != tag)
    wrong = [f"this commit is tagged {', '.join(others)}, and kimi_wire/__init__.py says {version}"] if others else []
    if tag in set(everywhere) - here:
        wrong.append(f"the tag {tag} is on another commit: raise the version in kimi_wire/__init__.py")
    return wrong


def check_addresses(contributing: str, urls: Iterable[str], readme: str) -> list[str]:
    """Find out whether users of the index find the way to the repository.

    Args:
        contributing: The text of CONTRIBUTING.md.
        urls: The names of the wheel's `[project.urls]`.
        readme: The page that the index shows.
    """
    wrong = []
    if "OWNER/REPO" in re.sub(r"`OWNER/REPO`", "", contributing):
        wrong.append("CONTRIBUTING.md: put the public repository where OWNER/REPO stands")
    if missing := {"Source", "Changelog", "Issues"} - set(urls):
        wrong.append(f"pyproject.toml: [project.urls] lacks {', '.join(sorted(missing))}")
    relative = re.findall(r"\]\((?!https?://|mailto:|#)([^)\s]+)", readme)
    if relative:
        wrong.append(
            f"README.md: {len(relative)} links are relative, as that to {relative[0]}: on the index they lead nowhere; put the "
            "repository's address before them"
        )
    return wrong


def check_wheel(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Compare the wheel's files with those of the repository.

    Args:
        names: The files in the wheel.
        files: The files that are in the repository, from its root.
    """
    inside, own = set(names), {name for name in files if name.partition("/")[0] in SHIPPED}
    about = {name for name in inside if ".dist-info/" in name}
    wanted = own | {f"{package}/py.typed" for package in SHIPPED}
    wrong = [f"the wheel has {name}, which is not to be shipped" for name in sorted(inside - about - own)]
    wrong += [f"the wheel lacks {name}" for name in sorted(wanted - inside)]
    return wrong if any(name.endswith("licenses/LICENSE") for name in about) else [*wrong, "the wheel lacks LICENSE"]


def check_sdist(names: Iterable[str], files: Iterable[str]) -> list[str]:
    """Compare the sdist's files with those of the repository.

    Args:
        names: The files in the sdist, from its root.
        files: The files that are in the repository, from its root.
    """
    inside, wanted = set(names), {name for name in files if not name.startswith((".ci/", ".github/"))}
    wrong = [f"the sdist has {name}, which is not in git" for name in sorted(inside - wanted - {"PKG-INFO"})]
    return wrong + [f"the sdist lacks {name}" for name in sorted(wanted - inside)]


def check_licences(found: Iterable[tuple[str, str]]) -> list[str]:
    """Find the packages whose licence is not known to be permissive.

    Args:
        found: Each package and its licence: an SPDX expression, or words of classifiers with `;` between them.
    """
    return [
        f"{name}: {' '.join(licence.split())[:60]!r} is not known to be permissive: read it, and let tests/release.py know, or "
        "do without the package"
        for name, licence in found
        if not _is_permissive(READ.get(name, licence))
    ]


def _is_permissive(licence: str) -> bool:
    words = [word.strip() for word in licence.split(";")]
    terms = [term for word in words for term in ([word] if word in SPELT else re.split(r"[()]|\bAND\b|\bOR\b", word))]
    found = {term.strip() for term in terms} - {""}
    return bool(found) and found <= PERMISSIVE | SPELT


def find_keys(files: Mapping[str, bytes]) -> list[str]:
    """Find what looks like somebody's key.

    Args:
        files: The files of an archive.
    """
    return [f"{name} has what looks like a key" for name, content in sorted(files.items()) if KEY.search(content)]


# What is looked at.


def succeeds(*command: str | Path) -> list[str]:
    """Run a command, which prints what it has to say; says so if it fails."""
    print(f"$ {' '.join(map(str, command))}", flush=True)
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    return [f"{Path(command[0]).name} {' '.join(map(str, command[1:]))} failed ({status})"] if status else []


def output_of(*command: str | Path) -> str:
    """Run a command and return what it prints."""
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def module(name: str, *arguments: str | Path) -> list[str]:
    """`succeeds` with a module of this environment."""
    return succeeds(sys.executable, "-m", name, *arguments)


def read(name: str) -> str:
    """The text of a file of the repository."""
    return (ROOT / name).read_text("utf-8")


def wheel_and_sdist() -> tuple[Path, Path]:
    """The archives; they are built once."""
    folder = matrix.build()
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def read_wheel(path: Path) -> dict[str, bytes]:
    """The wheel's files."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def read_sdist(path: Path) -> dict[str, bytes]:
    """The sdist's files, from its root."""
    with tarfile.open(path) as archive:
        files = {member.name: archive.extractfile(member) for member in archive.getmembers() if member.isfile()}
        return {name.partition("/")[2]: file.read() for name, file in files.items() if file}


def metadata_of(wheel: dict[str, bytes]) -> Message:
    """What the index reads of a wheel."""
    (name,) = [name for name in wheel if name.endswith(".dist-info/METADATA")]
    return message_from_bytes(wheel[name])


@functools.cache
def everything() -> Path:
    """The interpreter of an environment with the wheel and all extras for users, without pip."""
    extras = (row.extra for row in matrix.ENVIRONMENTS if row.archive == "wheel" and row.extra)
    python = matrix.make(matrix.Environment("release", ",".join(extras), archive="wheel"))
    matrix.pip(python, "uninstall", "--yes", *({"pip", "setuptools"} & set(matrix.read_installed(python))))
    return python


# The steps.


def tree() -> list[str]:
    changed = output_of("git", "status", "--porcelain").splitlines()
    wrong = [f"not committed: {', '.join(line[3:] for line in changed)}"] if changed else []
    here, everywhere = output_of("git", "tag", "--points-at", "HEAD").split(), output_of("git", "tag").split()
    return wrong + check_tags(kimi_wire.__version__, here, everywhere)


def changelog() -> list[str]:
    return check_changelog(kimi_wire.__version__, read("CHANGELOG.md"), date.today())


def code() -> list[str]:
    return succeeds("make", "lint") + succeeds("make", "types")


def docs() -> list[str]:
    return succeeds("make", "docs")


def workflows() -> list[str]:
    return succeeds(Path(sys.executable).with_name("zizmor"), "--offline", "--quiet", ".github")


def archives() -> list[str]:
    paths, files = wheel_and_sdist(), output_of("git", "ls-files").split("\n")[:-1]
    wheel, sdist = read_wheel(paths[0]), read_sdist(paths[1])
    wrong = [*check_wheel(wheel, files), *check_sdist(sdist, files), *find_keys(wheel), *find_keys(sdist)]
    return wrong + module("twine", "check", "--strict", *paths)


def version() -> list[str]:
    metadata = metadata_of(read_wheel(wheel_and_sdist()[0]))
    return check_version(kimi_wire.__version__, metadata["Version"], read("CITATION.cff"))


def addresses() -> list[str]:
    metadata = metadata_of(read_wheel(wheel_and_sdist()[0]))
    urls = [line.partition(",")[0] for line in metadata.get_all("Project-URL", [])]
    return check_addresses(read("CONTRIBUTING.md"), urls, metadata.get_payload())


def sbom() -> list[str]:
    path = REPORTS / "sbom.cdx.json"
    about = ("--pyproject", ROOT / "pyproject.toml", "--mc-type", "library")
    wrong = module("cyclonedx_py", "environment", *about, "--output-reproducible", "-o", path, everything())
    if not wrong:  # the version, which pyproject.toml does not have
        written = json.loads(path.read_text("utf-8"))
        written["metadata"]["component"]["version"] = kimi_wire.__version__
        path.write_text(json.dumps(written, indent=2), "utf-8")
    return wrong


def licences() -> list[str]:
    path = REPORTS / "licences.json"
    wrong = module("piplicenses", f"--python={everything()}", "--from=mixed", "--format=json", f"--output-file={path}")
    return wrong or check_licences((row["Name"], row["License"]) for row in json.loads(path.read_text("utf-8")))


def in_matrix(only_archives: bool) -> list[str]:
    """Try the archives with each extra, and run the suite on the lowest and newest versions."""
    names = [row.name for row in matrix.ENVIRONMENTS if row.archive] if only_archives else []
    return ["what failed in the matrix stands above"] if matrix.main(names, matrix.PYTEST.split()) else []


@dataclass(frozen=True)
class Step:
    """One thing that has to be so.

    Attributes:
        name: What CONTRIBUTING.md calls it.
        look: Finds what is wrong.
    """

    name: str
    look: Callable[[], list[str]]


def steps(only_archives: bool = False) -> tuple[Step, ...]:
    """The steps, those of minutes at the end."""
    quick = (tree, changelog, archives, version, addresses, workflows, code, docs, sbom, licences)
    return (
        *(Step(look.__name__, look) for look in quick),
        Step("matrix", functools.partial(in_matrix, only_archives)),
    )


def run(step: Step) -> tuple[str, float, list[str]]:
    """Run a step, and print what it found; returns its name, the seconds it took and what is wrong."""
    began = time.monotonic()
    print(f"== {step.name}", flush=True)
    try:
        wrong = step.look()
    except (subprocess.CalledProcessError, OSError) as error:  # a program fails or is missing; the others still run
        wrong = [str(error)]
    for line in wrong:
        print(f"   {line}", flush=True)
    return step.name, time.monotonic() - began, wrong


def main(only_archives: bool) -> int:
    """Run all steps and sum up; returns the exit status."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    REPORTS.mkdir()
    results = [run(step) for step in steps(only_archives)]
    print(f"\nThe release of {kimi_wire.__version__}:")
    for name, seconds, wrong in results:
        print(f"{name:12}{'FAILED' if wrong else 'passed':8}{seconds:6.0f} s")
        for line in wrong:
            print(f"            {line}")
    if only_archives:
        print(
            "LEFT OUT: the tests of the matrix; `make release-check` without MATRIX=archives runs them, in about an hour."
        )
    return 1 if any(wrong for _, _, wrong in results) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.release", description=__doc__)
    parser.add_argument(
        "--matrix",
        choices=["all", "archives"],
        default="all",
        help="archives: leave out the tests (default: %(default)s)",
    )
    sys.exit(main(parser.parse_args().matrix == "archives"))
