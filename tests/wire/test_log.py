"""The log: what is sent and what comes of it, for whoever asks, and nothing secret."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire import KimiFiles, KimiPlatform, KimiWarning, log
from kimi_wire.endpoints.chat import KimiClient
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.test_odd_answers import hear_from
from tests.wire.test_client import SECRET, WAYS, ask, request

HEARD_AS = {"complete": "whole", "acomplete": "awhole", "stream": "stream", "astream": "astream"}


def lines(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == name]


def sent(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """The bodies of the log."""
    return [json.loads(line.partition(" sends ")[2]) for line in lines(caplog, "kimi_wire.bodies")]


@pytest.mark.says(
    "docs/recipes/what-was-sent.md",
    "the body of each attempt, retries too, of every endpoint",
    "what each attempt came to, after how many seconds, and its request id",
    "how a chat's answer ended, how long it was read, and its usage",
)
@pytest.mark.both_transports
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_each_attempt_shows_its_body_at_debug(
    kimi: KimiEmulator, caplog: pytest.LogCaptureFixture, adapter: str, way: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    kimi.script(Failure(500, headers={"Retry-After-Ms": "1"}), Reply("Hi"))
    asyncio.run(hear_from(kimi.base_url, adapter, HEARD_AS[way], api_key=SECRET, max_retries=1))
    assert sent(caplog) == [one.body for one in kimi.requests]
    starts = [f"POST {kimi.base_url}/chat/completions, attempt {number} sends {{" for number in (1, 2)]
    assert all(line.startswith(start) for line, start in zip(lines(caplog, "kimi_wire.bodies"), starts, strict=True))
    refused, answered, cost = (line for line in lines(caplog, "kimi_wire") if "request id" in line)
    assert ", attempt 1: HTTP 500 after 0." in refused
    assert ", attempt 2: HTTP 200 after 0." in answered
    assert cost.startswith(
        f"{answered.partition(', request id ')[2].join(['request id ', ''])}: ended by stop, read for 0."
    )
    assert '"prompt_tokens": ' in cost
    assert SECRET not in caplog.text


@pytest.mark.both_transports
@pytest.mark.parametrize("way", WAYS)
def test_a_continued_answer_has_a_line_for_each_of_its_requests(
    kimi: KimiEmulator, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    kimi.script(Reply("one", finish_reason="length"), Reply(" two"))
    asyncio.run(hear_from(kimi.base_url, "langchain", HEARD_AS[way], continue_on_length=1))
    assert [body["messages"][-1].get("partial", False) for body in sent(caplog)] == [False, True]
    assert [
        line.partition("ended by ")[2].partition(",")[0] for line in lines(caplog, "kimi_wire") if "ended" in line
    ] == [
        "length",
        "stop",
    ]


@pytest.mark.both_transports
@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_breaks_off_is_said_to_have_no_end(
    kimi: KimiEmulator, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    kimi.script(Reply("one two three", cut_after=2))
    with pytest.raises(Exception, match="broke in the middle"):
        asyncio.run(hear_from(kimi.base_url, "langchain", way))
    assert "ended by None" in lines(caplog, "kimi_wire")[-1]


@pytest.mark.says("docs/recipes/what-was-sent.md", "of an uploaded file its length")
def test_other_endpoints_show_theirs(kimi: KimiEmulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    KimiPlatform(SECRET, kimi.base_url).count_tokens("How many?", model="kimi-k3")
    KimiFiles(SECRET, kimi.base_url).extract(b"# Notes", name="notes.md")
    count, upload, content, delete = (line.partition(" sends ") for line in lines(caplog, "kimi_wire.bodies"))
    assert json.loads(count[2])["messages"] == [{"role": "user", "content": "How many?"}]
    assert upload[2].endswith(" bytes of multipart/form-data")
    assert int(upload[2].split()[0]) > 100
    assert (content[2], delete[2]) == ("no body", "no body")


@pytest.mark.says(
    "docs/recipes/what-was-sent.md",
    '`logging.getLogger("kimi_wire.bodies").setLevel("INFO")` keeps the bodies out of a log that is otherwise at DEBUG.',
    "Where nobody listens, nothing is written.",
)
@pytest.mark.both_transports
@pytest.mark.parametrize("way", WAYS)
def test_no_body_is_written_for_nobody(
    kimi: KimiEmulator, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """At INFO, and where the bodies' own logger is told to be quiet."""

    def describe(request: Any) -> str:
        raise AssertionError

    monkeypatch.setattr(log, "describe_body", describe)
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url)
    caplog.set_level(logging.INFO, logger="kimi_wire")
    ask(client, way)
    caplog.set_level(logging.INFO, logger="kimi_wire.bodies")
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    ask(client, way)
    client.close()
    assert len(lines(caplog, "kimi_wire")) == 3
    assert lines(caplog, "kimi_wire.bodies") == []


@pytest.mark.says(
    "docs/recipes/what-was-sent.md",
    "what looks like a key, the key itself, fields such as `api_key`, `password`, `headers` of an `extra_body` or of a tool's JSON",
)
def test_what_is_secret_in_a_body_is_blank(kimi: KimiEmulator, caplog: pytest.LogCaptureFixture) -> None:
    """And what only sounds so is not: a schema's properties, a number of tokens."""
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    server = {
        "url": "https://mcp.example",
        "headers": {"X-Team": "hush"},
        "authorization": "hush",
        "auth_token": "hush",
    }
    login = {"type": "object", "properties": {"password": {"type": "string"}}, "required": ["password"]}
    tool = {"type": "function", "function": {"name": "log_in", "parameters": login}}
    chat = ChatKimi(api_key=SECRET, base_url=kimi.base_url, max_retries=0, max_tokens=50)
    body = {"mcp": [server], "api_key": "hush", "nested": {"client-secret": "hush"}, "said": f"my key is {SECRET}"}
    kimi.script(Reply("Hi"))
    chat.invoke(f"Bearer {SECRET}, and sk-anybodys-key", tools=[tool], extra_body=body)
    [shown] = sent(caplog)
    assert "hush" not in caplog.text
    assert SECRET not in caplog.text
    assert shown["messages"][0]["content"] == "Bearer ***, and sk-***"
    assert shown["said"] == "my key is ***"
    assert shown["tools"][0]["function"]["parameters"]["properties"] == login["properties"]
    assert (shown["max_completion_tokens"], shown["mcp"][0]["url"]) == (50, "https://mcp.example")
    assert kimi.requests[0].body["api_key"] == "hush"


@pytest.mark.says(
    "docs/recipes/what-was-sent.md",
    "Of a picture the length is shown, and of a text of more than 10,000 characters its beginning and end.",
)
def test_data_and_the_middle_of_long_texts_are_counted_in_place_of_shown(
    kimi: KimiEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, max_retries=0)
    kimi.script(Reply("Hi"), Reply("Hi"))
    client.complete(request(text="x" * 10_000))
    client.complete(request(text=f"a{'x' * 10_000}b data:image/png;base64,{'A' * 400}"))
    client.close()
    whole, shortened = (body["messages"][0]["content"] for body in sent(caplog))
    assert whole == "x" * 10_000
    assert shortened.startswith("a" + "x" * 7_999 + " ... (")
    assert shortened.endswith("b data:image/png;base64,... (400 characters)")
    assert len(shortened) < 9_100


class Written:
    """A request of an HTTP library, in what is read of it."""

    def __init__(self, content: bytes, key: str = SECRET) -> None:
        self.content = content
        self.headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}


def test_a_key_that_is_a_word_blanks_no_words() -> None:
    assert log.describe_body(Written(b'["a test"]', "test")) == '["a test"]'


HUSH = "hush-hush-hush"


@pytest.mark.parametrize(
    "said",
    [
        *({name: HUSH} for name in ("password", "x-auth", "accessKey", "private_key", "PGPASSWORD", "pin", "id_token")),
        {"pin": 20261127},
        {"api_keys": [HUSH, HUSH]},
        {"credentials": {"user": {"name": HUSH}, "id": 20261127}},
        {"headers": [{"name": "X-Team", "value": HUSH}]},
        {"headers": f"X-Team: {HUSH}"},
        {"properties": {"password": HUSH}},
        {"name": "log_in", "arguments": json.dumps({"nested": json.dumps([{"password": HUSH}])})},
        {"role": "tool", "content": json.dumps({"api-key": HUSH})},
        f"https://somebody:{HUSH}@mcp.example/v1",
        f"See postgres://{HUSH}@db.example/x.",
        f"https://mcp.example/v1?team=a&access_token={HUSH}&b=c",
        f"<https://files.example/a.png?X-Amz-Signature={HUSH}>",
        f"DATA:image/svg+xml;charset=utf-8;base64,{HUSH[:4] * 40}",
        "data:image/png;base64," + "\r\n".join(["hush" * 19] * 9),
    ],
)
def test_what_is_secret_is_blank_wherever_it_stands(said: Any) -> None:
    shown = log.describe_body(Written(json.dumps({"sent": [said]}).encode()))
    assert "hush" not in shown
    assert "20261127" not in shown
    assert json.loads(shown)["sent"]


@pytest.mark.parametrize(
    "said",
    [
        {"max_tokens": 5, "prompt_cache_key": "a", "compass": "b", "mapping": "c", "author": "d"},
        {"password": None, "secret": True},
        {"properties": {"password": {"type": "string"}, "headers": {"items": {"type": "string"}}}},
        {"$defs": {"Credentials": {"type": "object", "properties": {"token": {"type": "string"}}}}},
        {"arguments": '{"city":   "Xi\\u0027an"}'},
        '{"password": ',
        "[" * 100_000 + "]",
        "See https://example.com/a?b=c&team=d, or write to me@example.com.",
    ],
)
def test_what_only_looks_secret_is_shown(said: Any) -> None:
    expected = log._shown_text(said, None) if isinstance(said, str) and len(said) > 10_000 else said
    assert json.loads(log.describe_body(Written(json.dumps({"sent": said}).encode()))) == {"sent": expected}


def test_a_body_is_one_line_that_steers_no_terminal() -> None:
    said = "a\nb\x1b[2J\x9b2J\x85\u2028\u202ec你好"
    shown = log.describe_body(Written(json.dumps([said], ensure_ascii=False).encode()))
    assert json.loads(shown) == [said]
    assert "你好" in shown
    assert not set(shown) & set("\n\x1b\x9b\x85\u2028\u202e")


@pytest.mark.both_transports
@pytest.mark.parametrize("way", WAYS)
def test_a_servers_words_are_one_short_line(kimi: KimiEmulator, caplog: pytest.LogCaptureFixture, way: str) -> None:
    caplog.set_level(logging.DEBUG, logger="kimi_wire")
    kimi.script(Reply("Hi", finish_reason=f"stop\nINFO root: {SECRET}\x1b[2J" + "z" * 100_000))
    asyncio.run(hear_from(kimi.base_url, "langchain", HEARD_AS[way]))
    [cost] = (line for line in lines(caplog, "kimi_wire") if "ended by" in line)
    assert "ended by stop\\u000aINFO root: sk-***" in cost
    assert cost.isprintable()
    assert len(cost) < 2_000


def test_what_is_nested_too_deep_is_counted() -> None:
    assert log.describe_body(Written(b"[" * 100_000 + b"]" * 100_000)) == "200000 bytes of application/json"


@pytest.fixture
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Loggers that nothing was asked of yet."""
    loggers = [logging.getLogger(name) for name in ("kimi_wire", "langchain_kimi", "llama_index_kimi")]
    for logger in loggers:
        monkeypatch.setattr(logger, "handlers", [])
    log._listen.cache_clear()
    yield
    log._listen.cache_clear()
    for logger in loggers:
        logger.setLevel(logging.NOTSET)


@pytest.mark.says(
    "docs/recipes/what-was-sent.md",
    "That is enough for a program that configures no logging: the lines go to the standard error.",
)
@pytest.mark.parametrize("made", [ChatKimi, Kimi, KimiPlatform])
@pytest.mark.usefixtures("unconfigured")
def test_a_variable_is_enough(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], made: Any
) -> None:
    def call() -> str:
        for model in [made(api_key=SECRET, base_url=kimi.base_url) for _ in range(2)]:
            answer = (
                model.balance()
                if made is KimiPlatform
                else model.invoke("Hi")
                if made is ChatKimi
                else model.complete("Hi")
            )
            assert answer
        return capsys.readouterr().err

    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own
    assert call() == ""
    monkeypatch.setenv("KIMI_LOG", "info")
    assert call().count("\n") == 2
    monkeypatch.setenv("KIMI_LOG", " Debug ")
    shown = call()
    assert shown.count(" DEBUG kimi_wire.bodies: ") == 2
    assert shown.count(" INFO kimi_wire: ") == 2
    assert SECRET not in shown


@pytest.mark.says("docs/recipes/what-was-sent.md", "One with handlers of its own gets them there, once")
@pytest.mark.usefixtures("unconfigured")
def test_a_programs_own_handlers_come_first(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Own(logging.Handler):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[logging.LogRecord] = []

        def emit(self, record: logging.LogRecord) -> None:
            self.heard.append(record)

    monkeypatch.setenv("KIMI_LOG", "debug")
    own = Own()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logging.getLogger().addHandler(own)
    ChatKimi(api_key=SECRET, base_url=kimi.base_url).invoke("Hi")
    assert capsys.readouterr().err == ""
    assert [record.name for record in own.heard].count("kimi_wire.bodies") == 1


class _Quiet(logging.StreamHandler[Any]):
    """A handler of the program's that does not take what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.setLevel(logging.WARNING)


@pytest.mark.parametrize("handler", [logging.NullHandler, _Quiet])
@pytest.mark.usefixtures("unconfigured")
def test_a_handler_that_takes_nothing_is_none(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], handler: Any
) -> None:
    monkeypatch.setenv("KIMI_LOG", "debug")
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler()])
    ChatKimi(api_key=SECRET, base_url=kimi.base_url).invoke("Hi")
    assert capsys.readouterr().err.count(" DEBUG kimi_wire.bodies: ") == 1


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [None, _closed(), io.TextIOWrapper(io.BytesIO(), "ascii")])
@pytest.mark.usefixtures("unconfigured")
def test_no_standard_error_breaks_a_call(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stream: Any
) -> None:
    """A service's is closed, a window's is not there, a terminal's cannot show everything."""
    monkeypatch.setenv("KIMI_LOG", "debug")
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr("sys.stderr", stream)
    kimi.script(Reply("你好"))
    assert ChatKimi(api_key=SECRET, base_url=kimi.base_url).invoke("日本").text == "你好"
    assert capsys.readouterr().out == ""
    if isinstance(stream, io.TextIOWrapper):
        assert b"\\u65e5\\u672c" in stream.buffer.getvalue()


@pytest.mark.usefixtures("unconfigured")
def test_a_level_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIMI_LOG", "1")
    with pytest.warns(KimiWarning, match="KIMI_LOG='1' is none of debug, info, warning, error"):
        ChatKimi(api_key=SECRET)
    assert logging.getLogger("kimi_wire").handlers == []
