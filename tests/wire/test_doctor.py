"""The doctor: what it finds, what it says to do, and that its lines can be shown to anybody."""

from __future__ import annotations

import contextlib
import email.utils
import os
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import Balance, KimiEmulator
from kimi_emulator.families import MODELS
from kimi_wire import KimiError, KimiPlatform
from kimi_wire.command import doctor, findings
from kimi_wire.command.cli import main
from kimi_wire.command.findings import Finding
from kimi_wire.errors import public_proxy
from kimi_wire.transport import KimiConnection
from tests.loopback import read_request, serving

SECRET = "sk-secret0123456789abcdefghijkl"
PLATFORM, CHINA, CODE, ELSEWHERE = (
    "https://api.moonshot.ai/v1",
    "https://api.moonshot.cn/v1",
    "https://api.kimi.com/coding/v1",
    "https://llm.example.org/v1",
)
Run = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator) -> None:
    for name in [name for name in os.environ if name.upper().endswith("_PROXY")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setenv("MOONSHOT_API_KEY", SECRET)
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str]:
        status = main(["doctor", *arguments])
        out, err = capsys.readouterr()
        assert err == ""
        assert "secret" not in out
        assert "hush" not in out
        assert (status == 1) == bool(problems(out))
        return status, out

    return run


def problems(out: str) -> list[str]:
    return [line.removeprefix("PROBLEM ") for line in out.splitlines() if line.startswith("PROBLEM")]


def to_do(out: str) -> list[str]:
    return re.findall(r"^\d\. (.*)", out.partition("What to do:\n")[2], re.MULTILINE)


def test_a_healthy_setting(run: Run, kimi: KimiEmulator) -> None:
    status, out = run()
    assert (status, to_do(out)) == (0, [])
    assert f"The host is {kimi.base_url} (MOONSHOT_BASE_URL)." in out
    assert "The dialect is moonshot, by the host's name." in out
    assert "The model kimi-k3 is one of the family kimi-k3: 1,048,576 tokens of context" in out
    assert "MOONSHOT_API_KEY holds a key, which begins with sk-." in out
    assert re.search(r"lists its models in \d+ ms \(median of 3; \d+ ms with connecting\)", out)
    assert "The model kimi-k3 is listed" in out
    assert "The balance is 49.59." in out
    assert re.search(r"Installed: kimi-adapters \S+, openai \d", out)
    assert re.search(r"Python 3\.\d+\.\d+\S* on \S+ \S+; requests go over httpx2? \d", out)
    assert [request.path for request in kimi.requests] == ["/v1/models"] * 3 + ["/v1/users/me/balance"]


def test_without_a_key_nothing_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator) -> None:
    monkeypatch.delenv("MOONSHOT_API_KEY")
    _, out = run("--model", "kimi-k2.6")
    assert problems(out) == ["No API key: neither MOONSHOT_API_KEY nor KIMI_API_KEY is set."]
    assert to_do(out) == ["Make a key at https://platform.kimi.ai and set MOONSHOT_API_KEY (or KIMI_API_KEY)."]
    assert "Not asked, without a key: which models it may use, latency, clock and balance." in out
    assert "The model kimi-k2.6 is one of the family kimi-k2.6" in out
    assert kimi.requests == []


def test_a_key_with_white_space_and_two_keys(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", f" {SECRET}\n")
    monkeypatch.setenv("KIMI_API_KEY", "sk-another")
    status, out = run()
    assert status == 0
    assert "MOONSHOT_API_KEY has white space around the key" in out
    assert "MOONSHOT_API_KEY and KIMI_API_KEY differ; MOONSHOT_API_KEY is used" in out


@pytest.mark.parametrize(
    "raw", [f"{SECRET} {SECRET}", f"Bearer {SECRET}", f"{SECRET}\u2028{SECRET}", f"\x1b[31m{SECRET}"]
)
def test_a_key_that_no_header_takes_is_sent_nowhere(
    raw: str, run: Run, monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", raw)
    _, out = run()
    assert len(problems(out)) == 1
    assert to_do(out)[0].startswith("Copy the key again into MOONSHOT_API_KEY")
    assert kimi.requests == []


KINDS = [
    (SECRET, PLATFORM, True, "a key, which begins with sk-."),
    ("sk-kimi-123456", PLATFORM, False, "a key of Kimi Code"),
    ("sk-kimi-123456", CODE, True, "a key of Kimi Code"),
    (SECRET, CODE, None, "no key of Kimi Code"),
    ("not-a-k3y", CHINA, False, "does not begin with sk-"),
    ("not-a-k3y", ELSEWHERE, True, "holds a key."),
    ("your-api-key", PLATFORM, False, "a placeholder"),
    ("sk-xxxxxxxx", CHINA, False, "a placeholder"),
    ("<MOONSHOT>", CODE, False, "a placeholder"),
    ("$MOONSHOT_KEY", PLATFORM, False, "a placeholder"),
    ("EMPTY", "http://127.0.0.1:8000/v1", True, "a placeholder"),
    ("   ", PLATFORM, False, "white space alone"),
    (f'"{SECRET}"', PLATFORM, False, "a quotation mark"),
    (f"bearer {SECRET}", ELSEWHERE, False, "begins with 'Bearer'"),
    (f"{SECRET}\n{SECRET}", ELSEWHERE, False, "inside"),
    ("sk-schl\u00fcssel-0123", ELSEWHERE, False, "inside"),
]


@pytest.mark.parametrize(("raw", "url", "good", "words"), KINDS)
def test_kinds_of_keys(raw: str, url: str, good: bool | None, words: str) -> None:
    *_, finding = findings.key({"KIMI_API_KEY": raw}, url)
    assert finding.good is good
    assert finding.text.startswith("KIMI_API_KEY ")
    assert words in finding.text
    assert bool(finding.to_do) == (good is False)
    assert raw not in finding.text + finding.to_do
    assert "secret" not in finding.text + finding.to_do


def test_the_console_is_that_of_the_region() -> None:
    (finding,) = findings.key({"MOONSHOT_API_KEY": "sk-kimi-123456"}, CHINA)
    assert "https://platform.kimi.com" in finding.to_do


@pytest.mark.parametrize(
    ("url", "good", "words"),
    [
        (PLATFORM, True, "international. A key of api.moonshot.cn is refused here."),
        (CHINA, True, "in China. A key of api.moonshot.ai is refused here."),
        (CODE, True, "Kimi Code, for coding agents"),
        ("https://api.moonshot.com/v1", False, "does not exist"),
        ("https://api.moonshot.cn", False, "ends in /v1"),
        ("https://user:hush@proxy.example/v1", True, "https://proxy.example/v1"),
    ],
)
def test_hosts(url: str, good: bool, words: str) -> None:
    finding = findings.where(url, "MOONSHOT_BASE_URL")
    assert finding.good is good
    assert words in finding.text
    assert "(MOONSHOT_BASE_URL)" in finding.text
    assert ("MOONSHOT_BASE_URL=" in finding.to_do) is not good
    assert "hush" not in finding.text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (PLATFORM, "is moonshot, by the host's name."),
        ("https://openrouter.ai/api/v1", "is openrouter, by the host's name."),
        (
            ELSEWHERE,
            "is moonshot, as nothing is known of this host. Where it is a server of another kind, dialect='vllm'",
        ),
    ],
)
def test_dialects(url: str, words: str) -> None:
    assert words in findings.dialect(url).text


@pytest.mark.parametrize(
    ("model", "url", "day", "words"),
    [
        (
            "kimi-k2.6",
            PLATFORM,
            date(2026, 11, 27),
            "thinks unless thinking=False. Moonshot's platform is to retire it on",
        ),
        ("kimi-k2.5", PLATFORM, date(2026, 11, 27), "Moonshot's platform retired it on 2026-"),
        ("moonshotai/kimi-k2.5", "https://openrouter.ai/api/v1", date(2026, 11, 27), "thinks unless thinking=False."),
        ("kimi-k9", PLATFORM, date(2026, 11, 27), "is in no row of this version, and is taken for one like kimi-k"),
        ("kimi-k2-thinking", ELSEWHERE, date(2026, 1, 1), "always thinks."),
        ("moonshot-v1-8k", ELSEWHERE, date(2026, 1, 1), "8,192 tokens of context, does not think."),
        ("gpt-5", PLATFORM, date(2026, 11, 27), "no Kimi model by its name"),
    ],
)
def test_families(model: str, url: str, day: date, words: str) -> None:
    finding = findings.family(model, url, day)
    assert finding.good is None
    assert words in finding.text
    assert ("openrouter" in url) <= ("retire" not in finding.text)


@pytest.mark.parametrize(
    ("model", "words", "instead"),
    [
        ("kimi-k33", "", "such as kimi-k3"),
        ("moonshot-v1-8k", "Moonshot has retired its family.", "such as "),
        ("gpt-5", "", f"such as {MODELS[0].id}"),
    ],
)
def test_a_model_that_is_not_listed(model: str, words: str, instead: str, run: Run) -> None:
    with KimiEmulator(serve_retired=False) as emulator:
        _, out = run("--model", model, "--base-url", emulator.base_url)
    assert problems(out)[0].startswith(f"The model {model} is not listed for this key.")
    assert words in problems(out)[0]
    assert instead in to_do(out)[0]
    assert "(--base-url)" in out


def test_a_model_in_a_spelling_of_people(run: Run) -> None:
    assert "The model kimi-k3 is listed" in run("--model", "Kimi K3")[1]


def test_a_host_that_lists_nothing() -> None:
    assert findings.listed("kimi-k3", [], date(2026, 11, 27)).to_do.startswith("Ask the host")


def test_no_money(run: Run, kimi: KimiEmulator) -> None:
    kimi.balance = Balance(0, -31.14918)
    _, out = run()
    assert problems(out) == ["The balance is 0.00: every chat request is refused."]
    assert to_do(out) == ["Top up the account, in the platform's console."]


def test_a_limit_ends_the_measurement_and_nothing_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    request, asked = KimiConnection.request, []

    def limited(self: KimiConnection, method: str, path: str) -> Any:
        asked.append(path)
        if asked.count("/models") == 2 and path == "/models":
            raise KimiError("reached organization max RPM")
        return request(self, method, path)

    monkeypatch.setattr(KimiConnection, "request", limited)
    status, out = run()
    assert (status, asked) == (0, ["/models", "/models", "/users/me/balance"])
    assert re.search(r"lists its models in \d+ ms\.", out)


@pytest.mark.says(
    "docs/files.md",
    "The key is read from the environment, sent to the configured host only, and never printed.",
    "`doctor --try-other-region` sends a key that is refused to the other region's host, to find out whose it is.",
)
def test_a_refused_key_is_sent_nowhere_else(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with KimiEmulator(keys=["sk-one"]) as here, KimiEmulator(keys=[SECRET]) as there:
        monkeypatch.setattr(doctor, "other_region", lambda url: there.base_url)
        _, out = run("--base-url", here.base_url)
        assert "Incorrect API key provided" in problems(out)[0]
        assert to_do(out)[0].startswith("Put a key of 127.0.0.1 into MOONSHOT_API_KEY")
        assert to_do(out)[1].startswith("--try-other-region sends the key to")
        assert there.requests == []
        _, out = run("--base-url", here.base_url, "--try-other-region")
        assert to_do(out)[1] == f"Set MOONSHOT_BASE_URL={there.base_url}"
        assert len(there.requests) == 1
        there.keys = frozenset()
        assert "does not take the key either" in run("--base-url", here.base_url, "--try-other-region")[1]


def test_a_host_that_has_no_other_region(run: Run) -> None:
    with KimiEmulator(keys=["sk-one"]) as here:
        assert "other region" not in run("--base-url", here.base_url, "--try-other-region")[1]


def test_the_regions() -> None:
    assert doctor.other_region(PLATFORM) == CHINA
    assert doctor.other_region(CHINA) == PLATFORM
    assert doctor.other_region("https://openrouter.ai/api/v1") is None


def test_an_address_that_is_none(run: Run, kimi: KimiEmulator) -> None:
    for url in ("nonsense", "https://me:hush@example.org/v1", "https://example.org/v1?key=hush"):
        _, out = run("--base-url", url)
        assert to_do(out)[0].startswith("Set MOONSHOT_BASE_URL=https://api.moonshot.ai/v1")
    assert kimi.requests == []


@pytest.mark.parametrize(("minutes", "words"), [(10, "behind"), (-10, "ahead of"), (0, "")])
def test_the_clock(minutes: int, words: str) -> None:
    said = email.utils.formatdate(time.time() + minutes * 60, usegmt=True)
    found = list(findings.clock(doctor._away(said)))
    assert len(found) == bool(minutes)
    assert all(words in finding.text and finding.good is False and finding.to_do for finding in found)


@pytest.mark.parametrize("said", [None, "", "yesterday"])
def test_a_server_without_a_clock(said: str | None) -> None:
    assert list(findings.clock(doctor._away(said))) == []


def test_a_host_without_a_balance(kimi: KimiEmulator) -> None:
    platform = KimiPlatform(SECRET, kimi.base_url.removesuffix("/v1") + "/v1/users", max_retries=0)
    assert list(doctor._balance(platform)) == []  # 404
    lost = KimiPlatform(SECRET, "http://127.0.0.1:1/v1", max_retries=0)
    (finding,) = doctor._balance(lost)
    assert finding.good is None
    assert "not reached" in finding.text
    platform.close()
    lost.close()


# The surroundings.


def test_variables_of_others_are_named_without_their_values(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush-hush")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com")
    assert "Set, and not read here: OPENAI_API_KEY, OPENAI_BASE_URL." in run()[1]
    (finding,) = findings.certificates({"REQUESTS_CA_BUNDLE": "/company.pem"})
    assert finding.text.startswith("Set, and not read here: REQUESTS_CA_BUNDLE. SSL_CERT_FILE names")
    assert list(findings.certificates({"REQUESTS_CA_BUNDLE": "/company.pem", "SSL_CERT_DIR": "/"})) == [
        Finding(None, "Certificates are those of SSL_CERT_DIR=/.")
    ]


def test_certificates_that_are_not_there(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    _, out = run()
    assert f"Certificates are those of SSL_CERT_FILE={tmp_path / 'none.pem'} (not there)." in out
    assert problems(out)[0].startswith("The environment's certificates cannot be read (FileNotFoundError)")
    assert len(to_do(out)) == 1


PROXIES = {
    "http://me:hush@127.0.0.1:1": "http://127.0.0.1:1",
    "http://me:hu%2Fhush@127.0.0.1:1": "http://127.0.0.1:1",
    "http://me:a/hush@127.0.0.1:1": "http://127.0.0.1:1",
    "http://me:hush@hush@127.0.0.1:1": "http://127.0.0.1:1",
    "http://me:a?hush#hush@127.0.0.1:1": "http://127.0.0.1:1",
    "me:hush@127.0.0.1:1": "127.0.0.1:1",
    "bogus://me:hush@127.0.0.1:1": "bogus://127.0.0.1:1",
    "http://hush@127.0.0.1:port": "http://127.0.0.1:port",
}


@pytest.mark.parametrize(("proxy", "shown"), PROXIES.items())
def test_a_proxy_is_shown_without_its_password(
    proxy: str, shown: str, run: Run, monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    assert public_proxy(proxy) == shown
    _, out = run()
    assert f"Set: ALL_PROXY. Requests to 127.0.0.1 go through {shown}, whose user and password are not shown" in out
    assert len(to_do(out)) == 1
    assert "proxy" in problems(out)[0]
    assert kimi.requests == []


def test_a_host_that_no_proxy_is_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:hush@127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    status, out = run()
    assert status == 0
    assert "Set: HTTP_PROXY, no_proxy. Requests to 127.0.0.1 go through no proxy." in out


# The report.


@pytest.mark.says(
    "docs/files.md",
    "What `doctor` prints can be shown to anybody: it names the variable and the kind of the key, versions, dialect and model, "
    "and a proxy without its password.",
)
def test_a_line_is_one_line_and_has_no_secret() -> None:
    said = Finding(False, f"a\nb\x1b[2J {SECRET} c", f"use\r\n{SECRET}")
    assert list(findings.report([said, Finding(True, "d"), Finding(None, "e", "do")], [SECRET, "a"])) == [
        "PROBLEM a b [2J *** c",
        "ok      d",
        "note    e",
        "What to do:",
        "1. use ***",
        "2. do",
    ]


def test_what_the_server_repeats_is_hidden(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: KimiConnection, method: str, path: str) -> Any:
        raise KimiError(f"You sent {SECRET}\nand\x1b[31m more")

    monkeypatch.setattr(KimiConnection, "request", refuse)
    _, out = run()
    assert problems(out) == ["You sent *** and [31m more"]
    assert len(to_do(out)) == 1


def test_the_secrets_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush:hush@proxy.example:8080")
    monkeypatch.setenv("MY_TOKEN", "one two")
    found = set(doctor.secrets())
    assert {SECRET, "me", "hush:hush", "one", "two", "one two"} <= found


def test_a_package_that_is_not_installed_is_not_named() -> None:
    assert doctor._versions(("no-such-package",)) == {}


@pytest.mark.parametrize("begun", [b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b"])
def test_an_answer_without_an_end(run: Run, monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    """A server that sends a byte now and then is never silent."""
    monkeypatch.setattr(doctor, "_AT_MOST", 0.3)
    stopped = threading.Event()

    def drip(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(begun)
        with contextlib.suppress(OSError):
            while not stopped.wait(0.05):
                connection.sendall(b" ")

    with serving(drip) as port:
        _, out = run("--base-url", f"http://127.0.0.1:{port}/v1")
        stopped.set()
    assert problems(out) == ["The host's answer was not whole after 0 s."]
    assert to_do(out)[0].startswith("Check MOONSHOT_BASE_URL: ")


@pytest.mark.parametrize("said", [b"<html>Welcome</html>", b'{"data": 5}', b""])
def test_what_answers_is_no_api(run: Run, said: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"

    def answer(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head % len(said) + said)

    with serving(answer) as port:
        _, out = run("--base-url", f"http://127.0.0.1:{port}/v1")
    assert len(problems(out)) == 1
    assert to_do(out)[0].startswith("Check MOONSHOT_BASE_URL: what answers there is no API ")


def test_a_line_is_of_a_bounded_length() -> None:
    lines = list(findings.report([Finding(False, "a" * 100_000, "b" * 100_000)], []))
    assert all(len(line) < 1_100 for line in lines)


def test_the_word_of_the_header_is_no_secret(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", f"Bearer {SECRET}")
    _, out = run()
    assert problems(out) == ["MOONSHOT_API_KEY begins with 'Bearer', a word of the header."]


def test_the_query_of_a_proxy_is_not_shown() -> None:
    assert public_proxy("http://proxy.example:1?key=hush") == "http://proxy.example:1"
    assert public_proxy("u:h?u@s#h@proxy.example:1#hush") == "proxy.example:1"
