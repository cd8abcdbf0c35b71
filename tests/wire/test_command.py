"""The command line: what it prints, how it fails, and that the key is in none of it."""

from __future__ import annotations

import email.utils
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kimi_emulator import Balance, KimiEmulator
from kimi_emulator.families import MODELS
from kimi_wire.command import cli as command
from kimi_wire.command import doctor
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


# The doctor.


def problems(out: str) -> list[str]:
    return [line.removeprefix("PROBLEM ") for line in out.splitlines() if line.startswith("PROBLEM")]


def test_a_healthy_setting(run: Run, kimi: KimiEmulator) -> None:
    status, out, _ = run("doctor")
    assert (status, problems(out)) == (0, [])
    assert f"The host is {kimi.base_url} (MOONSHOT_BASE_URL)." in out
    assert "The model kimi-k3 is listed." in out
    assert "The balance is 49.59." in out
    assert "openai " in out
    assert {request.path for request in kimi.requests} == {"/v1/models", "/v1/users/me/balance"}


def test_no_key(run: Run, monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator) -> None:
    monkeypatch.delenv("MOONSHOT_API_KEY")
    status, out, _ = run("doctor")
    assert status == 1
    assert problems(out)[0].startswith("No API key")
    assert kimi.requests == []


def test_a_key_with_white_space_and_two_keys(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", f" {SECRET}\n")
    monkeypatch.setenv("KIMI_API_KEY", "sk-another")
    status, out, _ = run("doctor")
    assert status == 0
    assert "MOONSHOT_API_KEY has white space around the key" in out
    assert "MOONSHOT_API_KEY and KIMI_API_KEY differ; MOONSHOT_API_KEY is used" in out
    monkeypatch.setenv("MOONSHOT_API_KEY", f"{SECRET} {SECRET}")
    assert "copy it again" in problems(run("doctor")[1])[0]


def test_surroundings(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    out = run("doctor")[1]
    assert "OPENAI_API_KEY, OPENAI_BASE_URL are set; nothing here reads them" in out
    assert "no_proxy are set" in out
    assert "sk-openai" not in out


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("kimi-k33", "Listed are kimi-k3"),
        ("moonshot-v1-8k", "Moonshot retired its family on 2026-08-31"),
        ("gpt-5", f"Listed are {MODELS[0].id}"),
    ],
)
def test_a_model_that_is_not_listed(model: str, words: str, run: Run) -> None:
    with KimiEmulator(serve_retired=False) as emulator:
        status, out, _ = run("doctor", "--model", model, "--base-url", emulator.base_url)
    assert status == 1
    assert f"The model {model} is not listed for this key." in problems(out)[0]
    assert words in problems(out)[0]
    assert "(--base-url)" in out


def test_no_money(run: Run, kimi: KimiEmulator) -> None:
    kimi.balance = Balance(0, -31.14918)
    status, out, _ = run("doctor")
    assert (status, len(problems(out))) == (1, 1)
    assert "The balance is 0.00: every chat request is refused" in out


@pytest.mark.says(
    "docs/files.md",
    "The key is read from the environment, sent to the configured host only, and never printed.",
    "`doctor --try-other-region` sends a key that is refused to the other region's host, to find out whose it is.",
)
def test_a_refused_key_is_sent_nowhere_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with KimiEmulator(keys=["sk-one"]) as here, KimiEmulator(keys=[SECRET]) as there:
        monkeypatch.setattr(doctor, "other_region", lambda url: there.base_url)
        status, out, _ = run("doctor", "--base-url", here.base_url)
        assert status == 1
        assert "Incorrect API key provided" in problems(out)[0]
        assert "--try-other-region sends it to" in out
        assert there.requests == []
        status, out, _ = run("doctor", "--base-url", here.base_url, "--try-other-region")
        assert status == 1
        assert f"Set MOONSHOT_BASE_URL={there.base_url}" in out
        assert len(there.requests) == 1
        there.keys = frozenset()
        assert "does not take the key either" in run("doctor", "--base-url", here.base_url, "--try-other-region")[1]


def test_a_host_that_has_no_other_region(run: Run) -> None:
    with KimiEmulator(keys=["sk-one"]) as here:
        assert "region" not in run("doctor", "--base-url", here.base_url, "--try-other-region")[1]


def test_the_regions() -> None:
    assert doctor.other_region("https://api.moonshot.ai/v1") == "https://api.moonshot.cn/v1"
    assert doctor.other_region("https://api.moonshot.cn/v1") == "https://api.moonshot.ai/v1"
    assert doctor.other_region("https://openrouter.ai/api/v1") is None


@pytest.mark.parametrize(
    ("url", "good", "words"),
    [
        ("https://api.moonshot.ai/v1", True, "https://api.moonshot.ai/v1 (default)"),
        ("https://api.moonshot.com/v1", False, "does not exist"),
        ("https://api.moonshot.cn", False, "ends in /v1"),
        ("https://user:password@proxy.example/v1", True, "https://proxy.example/v1"),
    ],
)
def test_hosts(url: str, good: bool, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOONSHOT_BASE_URL")
    finding = doctor._where(None, url)
    assert finding.good is good
    assert words in finding.text
    assert "password" not in finding.text


@pytest.mark.parametrize(
    ("key", "host", "words"),
    [
        ("sk-kimi-123456", "api.moonshot.ai", "a key of Kimi Code"),
        ("not-a-key", "api.moonshot.cn", "does not begin with sk-"),
        ("not-a-key", "openrouter.ai", "The key is in"),
        ("sk-kimi-123456", "api.kimi.com", "The key is in"),
    ],
)
def test_kinds_of_keys(key: str, host: str, words: str) -> None:
    (finding,) = doctor._key(key, f"https://{host}/v1")
    assert words in finding.text
    assert key not in finding.text


@pytest.mark.parametrize(("minutes", "words"), [(10, "behind"), (-10, "ahead of"), (0, "")])
def test_the_clock(minutes: int, words: str) -> None:
    said = email.utils.formatdate(time.time() + minutes * 60, usegmt=True)
    found = list(doctor._clock(said))
    assert len(found) == bool(minutes)
    assert all(words in finding.text and finding.good is False for finding in found)


@pytest.mark.parametrize("said", [None, "", "yesterday"])
def test_a_server_without_a_clock(said: str | None) -> None:
    assert list(doctor._clock(said)) == []


def test_a_host_without_a_balance(kimi: KimiEmulator) -> None:
    from kimi_wire import KimiPlatform

    platform = KimiPlatform(SECRET, kimi.base_url.removesuffix("/v1") + "/v1/users", max_retries=0)
    assert list(doctor._balance(platform)) == []  # 404
    lost = KimiPlatform(SECRET, "http://127.0.0.1:1/v1", max_retries=0)
    (finding,) = doctor._balance(lost)
    assert finding.good is None
    assert "not reached" in finding.text
    platform.close()
    lost.close()
    kimi.reset()


def test_a_package_that_is_not_installed_is_not_named() -> None:
    assert doctor._version("no-such-package") is None
    assert command.MISUSED == 2
