"""The command line: what it prints, how it fails, and that the key is in none of it."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.llms import ChatMessage

from kimi_emulator import KimiEmulator, Reply
from kimi_wire.command.cli import main
from kimi_wire.endpoints.tokens import estimate_messages
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

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
    assert run("count", "--local", "")[1:] == ("0\n", "")
    assert len(kimi.requests) == sent


@pytest.mark.parametrize("where", [(), ("--local",)])
def test_count_says_what_of_it_is_not_the_text(run: Run, where: tuple[str, ...]) -> None:
    _, out, err = run("count", "hi", *where)
    assert int(out) > 80
    assert err == "about 80 of them are the hidden prompt of kimi-k3, once per request\n"
    assert run("count", "hi", "--model", "kimi-k2.6", *where)[2] == ""


def test_extract(run: Run, tmp_path: Path, kimi: KimiEmulator) -> None:
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    (tmp_path / "b.md").write_text("two\n", encoding="utf-8")
    assert run("extract", str(tmp_path / "a.txt"), str(tmp_path / "b.md")) == (0, "one\ntwo\n", "")
    status, out, err = run("extract", str(tmp_path / "missing.txt"), str(tmp_path / "b.md"))
    assert (status, out) == (1, "two\n")
    assert err == f"error: {tmp_path / 'missing.txt'} does not exist.\n"
    assert kimi.uploads == {}


SAID = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]


@pytest.mark.says(
    "docs/recipes/what-was-sent.md", "`python -m kimi_wire body` shows what messages and settings become."
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_body_is_what_both_adapters_send(run: Run, kimi: KimiEmulator, stream: bool) -> None:
    asked = ("Why?", "--system", "Be brief.", "--model", "kimi k2.6", "--set", "thinking=false", "--set", "stop=END")
    status, out, err = run("body", *asked, *(["--stream"] if stream else []))
    assert (status, err, kimi.requests) == (0, "", [])
    settings: Any = {"model": "kimi k2.6", "thinking": False, "stop": "END"}
    chat, llm = ChatKimi(**settings), Kimi(**settings)
    messages = [ChatMessage(one["content"], role=one["role"]) for one in SAID]
    _ = (
        (list(chat.stream(SAID)), list(llm.stream_chat(messages)))
        if stream
        else (chat.invoke(SAID), llm.chat(messages))
    )
    assert [one.body for one in kimi.requests] == [json.loads(out)] * 2


@pytest.mark.says(
    "docs/recipes/what-was-sent.md",
    "It needs no key:",
    "`--base-url` another host, in whose form the body is written then.",
)
def test_a_body_needs_no_key_and_is_for_the_host_that_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOONSHOT_API_KEY")
    monkeypatch.setattr("sys.stdin", io.StringIO("Why?"))
    status, out, _ = run("body", "--base-url", "https://openrouter.ai/api/v1", "--set", "reasoning_effort=low")
    assert status == 0
    assert json.loads(out)["messages"] == SAID[1:]
    assert json.loads(out)["reasoning"] == {"effort": "low"}


FILES: list[Any] = [
    SAID,
    {"messages": SAID},
    {"messages": SAID, "model": "gpt-4o", "seed": 5, "temperature": 0.3, "stream": True, "stream_options": {}},
]


@pytest.mark.says(
    "docs/recipes/what-was-sent.md",
    "`--file request.json` reads a list of messages, or the whole body of a request to OpenAI with its tools and settings (`-` is the standard input).",
)
@pytest.mark.parametrize("given", FILES)
def test_the_body_of_a_request_to_openai_becomes_ours(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Any
) -> None:
    (tmp_path / "request.json").write_text(json.dumps(given), "utf-8")
    status, out, err = run("body", "--file", str(tmp_path / "request.json"), "--model", "kimi-k3")
    body = json.loads(out)
    assert (status, body["messages"], body["model"]) == (0, SAID, "kimi-k3")
    assert err.count("warning: ") == 2 * ("seed" in given)
    assert body.get("stream_options") == ({"include_usage": True} if "seed" in given else None)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(given)))
    assert run("body", "More?", "--file", "-", "--model", "kimi-k3")[1].count('"role": "user"') == 2


@pytest.mark.says("docs/recipes/what-was-sent.md", "what would be refused is the same error as in a program")
@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--file", "-"), 1, "error: - has no JSON list of messages, and no object with `messages`: Expecting value"),
        (("x", "--set", "tempature=1"), 1, "error: 'tempature' is not a setting. Did you mean 'temperature'?"),
        (("x", "--set", "messages=[]"), 1, "error: 'messages' is not a setting."),
        (("x", "--set", "stop"), 2, "'stop' is not NAME=VALUE"),
        (("x", "--set", "strict=true", "--set", "top_p=0.5"), 1, "error: kimi-k3 samples with fixed parameters"),
        (("x", "--set", f"api_key={SECRET}"), 1, "error: 'api_key' cannot be given with a call."),
        (("x", "--set", 'stop="\\ud800"'), 1, "error: The request cannot be written as JSON"),
    ],
)
def test_what_no_body_is_made_of_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, words: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("nothing"))
    found, out, err = run("body", *arguments)
    assert (found, out) == (status, "")
    assert words in err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_may_be_written_as_windows_does(run: Run, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "request.json").write_text(json.dumps(SAID, ensure_ascii=False, indent=1), encoding, newline="\r\n")
    status, out, err = run("body", "--file", str(tmp_path / "request.json"))
    assert (status, err, json.loads(out)["messages"]) == (0, "", SAID)


def test_the_standard_input_may_begin_with_a_mark(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\ufeff" + json.dumps(SAID)))
    assert run("body", "--file", "-")[0] == 0


@pytest.mark.parametrize("written", [b"\xff\xfe{", b"\x89PNG", b"[" * 100_000, b'{"messages": {}}', b""])
def test_a_file_that_is_none_is_told(run: Run, tmp_path: Path, written: bytes) -> None:
    (tmp_path / "request.json").write_bytes(written)
    status, out, err = run("body", "--file", str(tmp_path / "request.json"))
    assert (status, out) == (1, "")
    assert "request.json has no JSON list of messages, and no object with `messages`" in err


def test_a_setting_that_is_nested_too_deep_is_a_text(run: Run) -> None:
    assert run("body", "x", "--set", f"prefix={'[' * 100_000}")[0] == 0


@pytest.mark.parametrize("curl", [(), ("--curl",)])
def test_what_the_output_cannot_have_is_escaped(monkeypatch: pytest.MonkeyPatch, curl: tuple[str, ...]) -> None:
    """A question mark in its place would be another body."""
    out = io.TextIOWrapper(io.BytesIO(), "cp1252")
    monkeypatch.setattr("sys.stdout", out)
    assert main(["body", "你好", *curl]) == 0
    assert b'"content": "\\u4f60\\u597d"' in out.buffer.getvalue()


def test_what_is_done_before_a_body_is_sent_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    part = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps([{"role": "user", "content": [part]}])))
    status, out, err = run("body", "--file", "-", "--set", "remote_images=download")
    assert status == 0
    assert "https://example.org/a.png" in out
    assert err == "note: pictures and videos are downloaded or uploaded before it is sent.\n"


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_command_of_a_body_sends_it(run: Run, kimi: KimiEmulator) -> None:
    text = "It's $HOME, `id` and \\ in\nBODY\n."
    kimi.script(Reply("Hi"))
    done = subprocess.run(["sh", "-c", run("body", text, "--curl")[1]], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "Hi"
    assert kimi.requests[0].body["messages"] == [{"role": "user", "content": text}]


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
