"""The benchmarks run, and report on every case. What they measure is for people to read: no test holds against a clock."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.__main__ import main
from benchmarks.cases import SIZES, make_cases
from benchmarks.contestants import BASELINE, find_contestant
from benchmarks.report import MARKERS, Result, growth_exponents, replace_between_markers, with_ratios
from benchmarks.server import render_response, running_server
from benchmarks.startup import STARTUP_ROWS, measure_startup

ROOT = Path(__file__).parent.parent
OURS = {BASELINE, "ChatKimi", "Kimi"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", "--sizes", "tiny", "--rounds", "1", "--ours", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OURS))
def test_every_case_measures_everybody(name: str) -> None:
    from benchmarks import worker

    contestant = find_contestant(name)
    with running_server() as url:
        measuring = worker._Measuring(contestant, url, worker.CLOCKS["cpu"], 0)
        for case in make_cases(SIZES["tiny"]):
            if contestant.framework in case.frameworks:
                assert measuring.measure(case) >= 0
        measuring.close()
    with warnings.catch_warnings():  # a worker's connections end with its process
        warnings.simplefilter("ignore", ResourceWarning)
        del measuring
        gc.collect()


@pytest.mark.slow
def test_a_start_is_measured() -> None:
    with running_server() as url:
        found = measure_startup(find_contestant("ChatKimi"), url, ["langchain_core.messages"], "cpu")
    assert found.keys() == STARTUP_ROWS.keys()
    assert min(found.values()) >= 0
    assert found["modules"] > 0


@pytest.mark.deep
@pytest.mark.slow
def test_every_case_reports_for_everybody(tmp_path: Path) -> None:
    readme, found = tmp_path / "README.md", tmp_path / "found.json"
    readme.write_text(f"before\n{MARKERS[0]}\nold\n{MARKERS[1]}\nafter\n", encoding="utf-8")
    done = run("--json", str(found), "--readme", str(readme))
    assert done.returncode == 0, done.stderr
    report = json.loads(found.read_text(encoding="utf-8"))
    reported = {(result["case"], result["contestant"]) for result in report["results"]}
    assert reported == {
        *((case.name, name) for case in make_cases(SIZES["tiny"]) for name in OURS),
        *((name, contestant) for name in STARTUP_ROWS for contestant in OURS),
    }
    assert all(result["values"] and min(result["values"]) >= 0 for result in report["results"])
    assert {"date", "Python", "cores", "openai"} <= report["machine"].keys()
    for case in make_cases(SIZES["tiny"]):
        assert case.series in report["growth_exponents"] if case.series else f"| {case.title} |" in done.stdout
    assert all(note in done.stdout for note in report["notes"])
    table = readme.read_text(encoding="utf-8")
    assert table.startswith("before\n")
    assert table.endswith("after\n")
    assert "| stream |" in table
    assert "old" not in table


@pytest.mark.slow
def test_the_adapters_import_nothing_beyond_their_framework_but_their_own(tmp_path: Path) -> None:
    code = """if True:
        import importlib, sys
        from benchmarks.contestants import find_contestant
        from benchmarks.startup import list_framework_modules
        contestant = find_contestant(sys.argv[1])
        for name in list_framework_modules(contestant):
            importlib.import_module(name)
        known = set(sys.modules)
        importlib.import_module(contestant.module)
        standard = {*sys.stdlib_module_names, "jiter", "kimi_wire", contestant.module}
        print({name.partition(".")[0] for name in set(sys.modules) - known} - standard or "")
    """
    for name in ("ChatKimi", "Kimi"):
        done = subprocess.run([sys.executable, "-c", code, name], cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


@pytest.mark.slow
def test_one_case_can_be_asked_for(tmp_path: Path) -> None:
    readme, found = tmp_path / "README.md", tmp_path / "found.json"
    readme.write_text(f"before\n{MARKERS[0]}\nold\n{MARKERS[1]}\nafter\n", encoding="utf-8")
    done = run("--only", "stream-sum", "--json", str(found), "--readme", str(readme))
    assert done.returncode == 0, done.stderr
    report = json.loads(found.read_text(encoding="utf-8"))
    (case,) = [case for case in make_cases(SIZES["tiny"]) if case.name.startswith("stream-sum")]
    reported = {(result["case"], result["contestant"]) for result in report["results"]}
    assert reported == {("stream-sum", name) for name in OURS}
    assert {"date", "Python", "cores", "openai"} <= report["machine"].keys()
    assert f"| {case.title} |" in done.stdout
    assert all(note in done.stdout for note in report["notes"])
    table = readme.read_text(encoding="utf-8")
    assert re.fullmatch(r"before\n.*\nafter\n", table, re.DOTALL)
    assert "old" not in table


@pytest.mark.slow
def test_the_start_is_reported_for_everybody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    monkeypatch.setattr(command, "list_framework_modules", lambda contestant: [])
    monkeypatch.setattr(command, "measure_startup", lambda *_: dict.fromkeys(STARTUP_ROWS, 1.0))
    asked = [argument for name in STARTUP_ROWS for argument in ("--only", name)]
    assert main(["--sizes", "tiny", "--rounds", "1", "--ours", "--json", str(found), *asked]) == 0
    report = json.loads(found.read_text(encoding="utf-8"))
    reported = {(result["case"], result["contestant"]) for result in report["results"]}
    assert reported == {(name, contestant) for name in STARTUP_ROWS for contestant in OURS}
    assert report["growth_exponents"] == {}


def test_an_unknown_case_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--ours", "--only", "strem"])
    assert ended.value.code == 2
    assert "no case begins with strem" in capsys.readouterr().err


def test_a_contestant_that_leaves_something_out_is_an_error() -> None:
    from benchmarks import worker

    measuring = worker._Measuring(find_contestant("ChatKimi"), "http://127.0.0.1:9", worker.CLOCKS["cpu"], 0)
    case = make_cases(SIZES["tiny"])[0]

    class Silent:
        def invoke(self, messages: object) -> int:
            return 0

    with pytest.raises(RuntimeError, match="0 of 6 characters"):
        measuring._ask(case, Silent(), {"messages": []})  # type: ignore[arg-type]
    measuring.close()


@pytest.mark.slow
@pytest.mark.parametrize("transport", ["aiohttp"], indirect=True)
@pytest.mark.parametrize("name", ["ChatKimi", "Kimi"])
def test_each_transport_is_measured_over_connections_of_its_own(name: str, transport: str) -> None:
    from benchmarks import worker

    cases = {case.name: case for case in make_cases(SIZES["tiny"])}
    with running_server() as url:
        measuring = worker._Measuring(find_contestant(name), url, worker.CLOCKS["cpu"], 0)
        for case in ("concurrent", "concurrent-httpx"):
            assert measuring.measure(cases[case]) > 0
        driver = measuring._drivers["answer"]
        assert driver._over_httpx is not None
        transports = []
        for one in (driver, driver._over_httpx):
            (keeper,) = one.model._connection[1].connection._async.values()
            transports.append(type(keeper.client._client._inner._transport).__name__)
        measuring.close()
    assert [transport in name.lower() for name in transports] == [True, False], transports


def test_a_streamed_tool_argument_is_one_json_object() -> None:
    events = render_response("tool-4-10").decode().split("data: ")[1:-1]
    deltas = [json.loads(event.splitlines()[0])["choices"][0]["delta"] for event in events]
    pieces = [call["function"]["arguments"] for delta in deltas for call in delta.get("tool_calls", ())]
    assert [len(piece) for piece in pieces] == [0, 10, 10, 10, 10]
    assert list(json.loads("".join(pieces))) == ["text"]


def test_ratios_are_those_of_each_round_and_growth_is_a_power_of_the_length() -> None:
    def result(contestant: str, *values: float, length: int = 0) -> Result:
        series = "text" if length else None
        return Result(f"case{length}", "A case", contestant, "seconds", "run", values, (), series, length)

    _, ratios = with_ratios([result(BASELINE, 2.0, 4.0), result("Kimi", 1.0, 1.0)])
    assert ratios.ratios == (0.5, 0.25)
    growing = [result("Kimi", float(length**2), length=length) for length in (10, 20, 40)]
    assert growth_exponents(growing)["text"]["Kimi"] == pytest.approx(2)


def test_a_readme_without_markers_is_left_as_it_is() -> None:
    with pytest.raises(ValueError, match="There is no <!-- benchmarks -->"):
        replace_between_markers("# A readme\n", "table")
