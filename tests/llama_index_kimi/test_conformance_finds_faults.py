"""The conformance suite can fail: each broken LLM is found by the tests that are there for its fault."""

from __future__ import annotations

import gc
import warnings
from pathlib import Path
from typing import Any

import pytest

from llama_index_conformance import LLMConformance
from tests.llama_index_kimi import broken

CASES = {f"Test{llm.__name__}": tests for llm, tests in broken.FAULTS.items()}
CASES["TestOverrides"] = ["test_no_test_is_overridden"]
PARTS = [base for base in LLMConformance.__mro__ if any(name.startswith("test_") for name in vars(base))]


class Results:
    """Notes which tests failed, by class and name."""

    def __init__(self) -> None:
        self.failed: set[tuple[str, str]] = set()
        self.ran: set[tuple[str, str]] = set()

    def pytest_configure(self, config: pytest.Config) -> None:
        # Nobody reads the tracebacks, and pytest's own take a third of the time; `--tb` is the terminal's, which is off.
        config.option.tbstyle = "native"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        case, test = report.nodeid.partition("[")[0].split("::")[-2:]
        self.ran.add((case, test))
        if report.when == "call" and report.failed:
            self.failed.add((case, test))


def run_all(folder: Path) -> Results:
    """One run of all broken LLMs, in a pytest without plugins and settings of ours."""
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n", encoding="utf-8")
    path = Path(broken.__file__)
    asked = [f"{path}::{case}::{test}" for case, tests in CASES.items() for test in tests]
    asked.append(f"{path}::TestOverrides::test_complete")
    noted = Results()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # `KeepsItsLoop` leaves its connections to dead loops
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        quiet = ["-p", "no:terminal", "-p", "no:cacheprovider", "--capture=no"]
        options: list[Any] = [*quiet, "-c", str(settings), f"--rootdir={path.parents[2]}"]
        assert pytest.main([*options, *asked], plugins=[noted]) == pytest.ExitCode.TESTS_FAILED
        gc.collect()
    return noted


# One test: in several processes, each that had a part of it would run all broken LLMs for itself.
@pytest.mark.slow
def test_each_fault_is_found_and_what_is_whole_passes(tmp_path: Path) -> None:
    results = run_all(tmp_path)
    found = {case: {test for name, test in results.failed if name == case} for case in CASES}
    assert found == {case: set(tests) for case, tests in CASES.items()}
    assert ("TestOverrides", "test_complete") in results.ran - results.failed


@pytest.mark.says(
    "docs/testing.md", "An LLM with a fault is written for every part of it, to see that the part notices."
)
@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_the_suite_can_fail(part: type) -> None:
    found = {test for tests in CASES.values() for test in tests}
    assert {name for name in vars(part) if name.startswith("test_")} & found
