"""The command line: what it prints, how it fails, and that the key is in none of it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kimi_emulator import KimiEmulator
from kimi_wire.command.cli import main
from kimi_wire.endpoints.tokens import estimate_messages

SECRET = "sk-secret-0123456789abcdef"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator) -> None:
    for name in [name for name in os.environ if name.upper() in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MOONSHOT_API_KEY", SECRET)
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        out, err = capsys.readouterr()
        assert SECRET not in out + err
        assert "Traceback" not in err
        return status, out, err

    return run


@pytest.mark.says("docs/cost.md", "`python -m kimi_wire models` shows the prices beside the models that a key may use.")
def test_models(run: Run) -> None:
    status, out, _ = run("models")
    assert status == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    price = "$3.00 in, $0.30 cached, $15.00 out"
    assert lines["kimi-k3"].split(maxsplit=2)[1:] == ["1,048,576", f"{price:38}  images, video, thinks"]
    assert lines["moonshot-v1-8k"].split(maxsplit=2)[1:] == ["8,192", "$0.20 in, ? cached, $2.00 out"]
    assert "price unknown" in lines["kimi-latest"]


def test_balance(run: Run) -> None:
    assert run("balance") == (0, "available      49.59\nvouchers       46.59\ncash            3.00\n", "")


def test_count(run: Run, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, _ = run("count", "Hello there", "--model", "kimi-k2.6")
    assert (status, kimi.requests[-1].body["model"]) == (0, "kimi-k2.6")
    assert int(out) > 0
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello there"))
    assert run("count", "--model", "kimi-k2.6")[1] == out
    sent = len(kimi.requests)
    assert int(run("count", "--local", "Hi")[1]) == estimate_messages([{"role": "user", "content": "Hi"}])
    assert run("count", "--local", "")[1] == "0\n"
    assert len(kimi.requests) == sent


def test_extract(run: Run, tmp_path: Path, kimi: KimiEmulator) -> None:
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    (tmp_path / "b.md").write_text("two\n", encoding="utf-8")
    assert run("extract", str(tmp_path / "a.txt"), str(tmp_path / "b.md")) == (0, "one\ntwo\n", "")
    status, out, err = run("extract", str(tmp_path / "missing.txt"), str(tmp_path / "b.md"))
    assert (status, out) == (1, "two\n")
    assert err == f"error: {tmp_path / 'missing.txt'} does not exist.\n"
    assert kimi.uploads == {}


def test_another_host_can_be_named(run: Run) -> None:
    with KimiEmulator(extra_models={"kimi-k9": "k3"}) as other:
        assert "kimi-k9" in run("models", "--base-url", other.base_url)[1]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, "required: COMMAND"),
        (("bogus",), 2, "invalid choice"),
        (("models", "--api-key", SECRET), 2, "unrecognized arguments: --api-key sk-..."),
        (("count", "x", "--model", "gpt-5"), 1, "error: Not found the model gpt-5"),
        (("models", "--base-url", "nonsense"), 1, "error: base_url='nonsense' is not a URL"),
        (("models", "--base-url", "http://127.0.0.1:1/v1"), 1, "error: http://127.0.0.1:1/v1/models was not reached"),
    ],
)
@pytest.mark.slow
def test_failures_are_one_line(arguments: tuple[str, ...], status: int, words: str, run: Run) -> None:
    found, out, err = run(*arguments)
    assert (found, out) == (status, "")
    assert words in err
    assert err.startswith("usage: ") or err.count("\n") == 1


def test_help_is_no_failure(run: Run) -> None:
    status, out, _ = run("doctor", "--help")
    assert status == 0
    assert "--try-other-region" in out
    assert "--api-key" not in out
    assert run("--version")[0] == 0


def test_a_missing_key_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOONSHOT_API_KEY")
    status, _, err = run("balance")
    assert (status, err.count("\n")) == (1, 1)
    assert "MOONSHOT_API_KEY (or KIMI_API_KEY)" in err


def test_an_interrupt_is_quiet(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted(io.StringIO):
        def read(self, size: int | None = -1) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Interrupted())
    assert run("count") == (130, "", "")


def test_a_proxy_that_cannot_be_used_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "bogus://127.0.0.1:1")
    status, _, err = run("models")
    assert (status, err.count("\n")) == (1, 1)
    assert "bogus" in err


@pytest.mark.slow
def test_as_a_module_and_into_a_pipe_that_closes(kimi: KimiEmulator) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "kimi_wire", "models"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout
    process.stdout.close()
    assert process.stderr
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()
    done = subprocess.run([sys.executable, "-m", "kimi_wire", "models"], capture_output=True, text=True, check=True)
    assert "kimi-k3" in done.stdout
