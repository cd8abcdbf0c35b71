"""The emulator as a server among hostile clients: what it bounds, blanks and refuses."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from kimi_emulator import KimiEmulator, RecordedRequest, Reply, answering, tokens
from kimi_emulator.brain import values
from kimi_emulator.families import FAMILIES
from kimi_emulator.http.multipart import parse_form
from kimi_emulator.scripting import RequestLog
from kimi_emulator.services import extraction
from kimi_emulator.services.extraction import extract
from tests.emulator.conftest import send

Send = Callable[..., Any]
HELLO = json.dumps({"model": "kimi-k3", "messages": [{"role": "user", "content": "Hello"}]}).encode()
SECRET = "sk-secret-0123456789"


def speak(kimi: KimiEmulator, *headers: str, body: bytes = b"", path: str = "/v1/models", host: str = "") -> int:
    """Send headers of one's own, and give the status of the answer."""
    url = urlsplit(kimi.base_url)
    lines = [f"{'POST' if body else 'GET'} {path} HTTP/1.1", f"Host: {host or url.netloc}", *headers]
    with socket.create_connection((url.hostname, url.port or 0), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "Authorization: Bearer sk-test", "", ""]).encode("latin-1") + body)
        response = http.client.HTTPResponse(connection)
        response.begin()
        response.read()
        return response.status


# --- who asks, and how much is to be read ---


@pytest.mark.says("docs/testing.md", "to no other name, which a page of the web could have")
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.evil", "[", "@"]
)
def test_a_page_of_the_web_that_leads_here_is_refused(kimi: KimiEmulator, host: str) -> None:
    assert speak(kimi, host=host) == 421
    assert kimi.requests[-1].rejected


@pytest.mark.says(
    "docs/testing.md",
    "On the machine's own addresses the emulator answers to `localhost`, to addresses and to the `host` it was made with",
)
@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:9", "kimi.localhost", "192.168.0.7:8000"]
)
def test_the_machine_itself_is_let_in(kimi: KimiEmulator, host: str) -> None:
    assert speak(kimi, host=host) == 200


@pytest.mark.parametrize("length", ["-1", "+5", "5.0", "x", "", "٣", "1_0", "0x5"])
def test_a_length_that_is_no_number_is_refused(kimi: KimiEmulator, length: str) -> None:
    header = f"Content-Length: {length}".encode().decode("latin-1")
    assert speak(kimi, header, body=HELLO, path="/v1/chat/completions") == 400


@pytest.mark.parametrize("length", ["9" * 20, "9" * 5000])
def test_a_length_of_many_digits_is_too_much(kimi: KimiEmulator, length: str) -> None:
    assert speak(kimi, f"Content-Length: {length}", body=HELLO, path="/v1/chat/completions") == 413


def test_two_lengths_are_none(kimi: KimiEmulator) -> None:
    headers = ("Content-Length: 5", f"Content-Length: {len(HELLO)}")
    assert speak(kimi, *headers, body=HELLO, path="/v1/chat/completions") == 400


def test_a_body_in_chunks_is_not_taken_for_the_next_request(kimi: KimiEmulator) -> None:
    smuggled = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\n\r\n"
    assert speak(kimi, "Transfer-Encoding: chunked", body=smuggled, path="/v1/chat/completions") == 411
    assert len(kimi.requests) == 1


@pytest.mark.parametrize("path", ["//[", "http://[/v1/models", "*", "/v1/models/%"])
def test_paths_that_are_none_are_not_found(kimi: KimiEmulator, path: str) -> None:
    assert speak(kimi, path=path) == 404


# --- the log ---


@pytest.mark.says("docs/testing.md", "The requests are kept as they came, but for the key")
def test_the_log_has_no_key(kimi: KimiEmulator, http_send: Send) -> None:
    http_send(kimi, json.loads(HELLO), key=SECRET)
    (request,) = kimi.requests
    assert SECRET not in repr(vars(request)) + repr(request) + repr(kimi.requests)
    assert request.headers["authorization"] == "Bearer ***"
    assert request.had_key(SECRET)
    assert not request.had_key("")
    assert not request.had_key(SECRET[:-1])


def test_what_a_failed_assertion_prints_is_short_and_has_no_headers() -> None:
    headers = {"x-api-key": SECRET, "proxy-authorization": f"Basic {SECRET}", "authorization": SECRET}
    request = RecordedRequest("POST", "/v1/x", headers, {"a": "b" * 100_000}, b"c" * 100_000, status=200)
    assert SECRET not in repr(request)
    assert len(repr(request)) < 300
    assert {name for name, value in request.headers.items() if SECRET in value} == {"x-api-key"}
    assert headers["authorization"] == SECRET, "the caller's are not changed"


@pytest.mark.says("docs/testing.md", "Beyond 128 MB the oldest are forgotten.")
def test_the_log_forgets_the_oldest() -> None:
    log = RequestLog()
    log.most = 10_000
    for size in (10, 4000, 3000, 50_000, 10):
        log.add(RecordedRequest("GET", "/", {}, None, b"x" * size))
    assert [len(request.raw) for request in log] == [10]
    log.add(RecordedRequest("GET", "/", {}, None, b"x" * 500_000))
    assert [len(request.raw) for request in log] == [500_000], "the newest is kept"
    log.clear()
    log.add(RecordedRequest("GET", "/", {}, None, b""))
    assert len(log) == 1


def test_the_cache_forgets_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_MOST_KNOWN", 3)
    cache = tokens.PromptCache()
    bodies = [{"messages": [{"role": "user", "content": str(number)}]} for number in range(5)]
    assert [bool(cache.remember(body, FAMILIES["k3"])[0]) for body in (*bodies, bodies[4], bodies[0])] == [
        False
    ] * 5 + [
        True,
        False,
    ]


def test_a_refusal_repeats_little_of_what_it_refuses(ask: Send) -> None:
    answer = ask("Hello", model="x" * 1_000_000)
    assert answer.status == 404
    assert len(answer.raw) < 5000


# --- documents ---


def zipped(name: str, data: bytes, packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", packing) as archive:
        archive.writestr(name, data)
    return target.getvalue()


def pdf(content: bytes, head: bytes = b"") -> bytes:
    return b"<<" + head + b">>stream\n" + content + b"\nendstream"


STEEP = {
    "tag.html": b"<a " * 27_000,
    "quote.html": b"<a ='" * 20_000,
    "comment.html": b"<!--" * 20_000,
    "silent.html": b"<head></script>" * 10_000,
    "number.html": b"<p>&#" + b"9" * 5000,
    "heads.pdf": b"<<" * 20_000,
    "streams.pdf": b"<<>>stream\n" * 4000,
    "open.pdf": pdf(b"BT " + b"(" * 20_000),
    "escaped.pdf": pdf(b"BT " + rb"(\(" * 20_000),
    "nested.docx": zipped("word/document.xml", b'<w xmlns="u">' + b"<p>" * 20_000 + b"</p>" * 20_000 + b"</w>"),
}


@pytest.mark.parametrize("filename", STEEP)
def test_a_document_is_read_once_over(filename: str) -> None:
    """Each took 20 seconds and more, in which nobody else was answered."""
    begun = time.thread_time()
    extract(filename, STEEP[filename])
    assert time.thread_time() - begun < 2.0


BOMBS = {
    "one.docx": zipped("word/document.xml", b"<w>" + b" " * 300_000 + b"</w>"),
    "one.epub": zipped("a.html", b"<p>x</p>" + b" " * 300_000),
    "one.pdf": pdf(zlib.compress(b"BT (x) ET" + b" " * 300_000), b"/FlateDecode"),
    "many.pdf": pdf(zlib.compress(b"BT (x) ET" + b" " * 90_000), b"/FlateDecode") * 3,
    "one.html": b"<p>x</p>" + b" " * 300_000,
    "odd.docx": zipped("word/document.xml", b'<w xmlns="u"><t>x</t></w>', zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("filename", BOMBS)
def test_what_unpacks_to_too_much_has_no_text(filename: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "MAX_UNPACKED", 200_000)
    assert extract(filename, BOMBS[filename]) == ("", "")


def test_what_is_unpacked_is_not_kept() -> None:
    bomb = pdf(zlib.compress(b"BT" + b" " * 60_000_000), b"/FlateDecode")
    tracemalloc.start()
    try:
        extract("a.pdf", bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * extraction.MAX_UNPACKED


def test_ends_that_are_missing_lose_no_text() -> None:
    assert extract("a.html", b"<p>one<br/>two<i title='a>b'>three</i><a href=\"x") == ("one\ntwothree", "")
    assert extract("b.html", b"a < b <3 &lt; c<script>if (a<b) x()</script>d<!-- > -->e") == ("a < b <3 < cde", "")
    assert extract("a.pdf", pdf(b"BT (one) Tj T* (two"))[0] == "one\ntwo"


# --- prompts ---

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": f"get_weather_{number}",
            "description": "The weather in a city. " * 50,
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    for number in range(20)
]
FIELDS = {f"field_{number}": {"type": "string"} for number in range(50)}
FORM = {"name": "form", "schema": {"type": "object", "properties": FIELDS, "required": list(FIELDS)}}
FORMATS: dict[str, dict[str, Any]] = {
    "plain": {},
    "tools": {"tools": TOOLS},
    "form": {"response_format": {"type": "json_schema", "json_schema": FORM}},
    "json": {"response_format": {"type": "json_object"}},
}
PROMPTS = {
    "digits": "9" * 80_000,
    "lines": "\n" * 80_000,
    "sum": "1+" * 40_000 + "1",
    "names": "A\n" * 40_000,
    "places": "in A " * 20_000,
    "context": "context\n" + "----\n" * 20_000,
    "labels": "\nContext:\n" * 10_000,
    "clauses": " and then" * 10_000,
    "keys": 'JSON "a" ' * 10_000,
    "brackets": 'JSON {"a":[' * 10_000,
}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_long_prompt_is_answered_soon(prompt: str, format: str) -> None:
    """4,000 digits or line feeds took seconds, which nobody else was answered in; "1+1+..." was a 500."""
    body = {"model": "kimi-k3", "messages": [{"role": "user", "content": PROMPTS[prompt]}], **FORMATS[format]}
    begun = time.thread_time()
    _, reply = answering.decide(KimiEmulator().state, body)
    assert isinstance(reply, Reply)
    json.dumps([call.arguments for call in reply.tool_calls], allow_nan=False)
    assert time.thread_time() - begun < 2.0


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1+1" * 3, ("1+11+11+1", 24)),
        ("2 - 3 * 4 / 6 + -1", ("2 - 3 * 4 / 6 + -1", -1)),
        ("-2*-3", ("-2*-3", 6)),
        ("1" + "+1" * 20_000, ("1" + "+1" * 20_000, 20_001)),
        ("1/0", None),
        ("9" * 400 + "*" + "9" * 400, None),
        ("999999999999999" + "*999999999999999" * 30, None),
    ],
)
def test_a_sum_of_any_length_is_added_up(text: str, found: tuple[str, float] | None) -> None:
    assert values.sum_in(text) == found


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 100_000])
def test_what_is_nested_too_deep_is_text(ask: Send, deep: str) -> None:
    call = {"id": "f:0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    told = [{"role": "assistant", "content": "I ask f.", "reasoning_content": "Hm.", "tool_calls": [call]}]
    result = {"role": "tool", "tool_call_id": "f:0", "content": deep}
    assert ask(messages=[{"role": "user", "content": "f?"}, *told, result]).status == 200
    assert ask(f"JSON {deep}").status == 200


def test_a_form_without_ends_is_read_once_over(kimi: KimiEmulator, http_send: Send) -> None:
    fields = b"--x\r\nContent-Disposition: form-data; " + b';a="\\' * 3000 + b"\r\n\r\n1\r\n--x--"
    begun = time.thread_time()
    assert parse_form(fields, "multipart/form-data; boundary=x")
    assert time.thread_time() - begun < 2.0
    long = fields.replace(b"form-data", b"form-data" * 3000)
    assert http_send(kimi, long, path="/files", content_type="multipart/form-data; boundary=x").status == 400
    many = b"--x\r\n\r\n\r\n1\r\n" * 5000 + b"--x--"
    assert http_send(kimi, many, path="/files", content_type="multipart/form-data; boundary=x").status == 400


# --- requests that ask for much ---


def forced(**schema: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
    return {
        "model": "kimi-k3",
        "messages": [{"role": "user", "content": "7"}],
        "tools": tools,
        "tool_choice": "required",
    }


def thing_of(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


def chained(length: int, link: Callable[[dict[str, str]], dict[str, Any]]) -> dict[str, Any]:
    """So many schemas, each made of a reference to the next one."""
    links = {str(at): link({"$ref": f"#/properties/a/$defs/{at + 1}"}) for at in range(length)}
    return forced(**{"$ref": "#/properties/a/$defs/0", "$defs": {**links, str(length): THING}})


THING = thing_of({"b": {"type": "string"}})
GREEDY: dict[str, dict[str, Any]] = {
    "items": forced(type="array", items=THING, minItems=10**8, maxItems=10**9),
    "lists of lists": forced(type="array", items={"type": "array", "items": THING, "minItems": 9999}, minItems=9999),
    "letters": forced(type="string", minLength=10**12),
    "endless": forced(type="string", minLength=float("inf"), maxLength=1e308),
    "less than nothing": forced(type="string", minLength=-5, maxLength=-3),
    "number": forced(type="integer", minimum=10**400),
    "answers": {**forced(type="string"), "n": 10**9},
    "itself": forced(anyOf=[{"$ref": "#/properties/a"}] * 50),
    "the next one of forty, or it": chained(40, lambda next: {"anyOf": [next, next]}),
    "the next one of forty, and it": chained(40, lambda next: {"allOf": [next, {"oneOf": [next]}]}),
    "ten of the next one of eleven": chained(11, lambda next: thing_of(dict.fromkeys("abcdefghij", next))),
    "one of three hundred, eleven times": chained(11, lambda next: {"anyOf": [next] * 300}),
}


@pytest.mark.parametrize("name", GREEDY)
def test_no_request_is_answered_without_end(name: str) -> None:
    """Items were built until the memory was full, and branches within branches were looked into for days."""
    with KimiEmulator(check=False) as kimi:
        answer = send(kimi, GREEDY[name])
    assert answer.status == 200
    assert len(answer.raw) < 1_000_000


@pytest.mark.parametrize(
    ("uri", "tool", "arguments"),
    [
        ("date", "date", {"format": "\ud83d"}),
        ("convert", "convert", {"value": 10**400, "from_unit": "km", "to_unit": "mm"}),
        ("base64", "base64_encode", {"data": "a", "encoding": "zlib"}),
        ("random-choice", "random_choice", {"candidates": ["a"], "count": 10**30}),
    ],
)
def test_a_formula_that_cannot_be_run_has_failed(kimi: KimiEmulator, uri: str, tool: str, arguments: Any) -> None:
    body = {"name": tool, "arguments": json.dumps(arguments)}
    answer = send(kimi, body, path=f"/formulas/moonshot/{uri}:latest/fibers")
    assert (answer.status, answer.json["status"]) == (200, "failed")


def test_tokens_without_end_are_no_tokens(ask: Send) -> None:
    found = '{"usage":{"total_tokens":1e999}}'
    call = {"id": "w:0", "type": "builtin_function", "function": {"name": "$web_search", "arguments": found}}
    told = {"role": "assistant", "content": "I search.", "reasoning_content": "Hm.", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "w:0", "name": "$web_search", "content": found}
    assert ask(messages=[{"role": "user", "content": "News?"}, told, result]).status == 200


def test_many_calls_are_looked_at_once() -> None:
    calls = [{"id": f"f:{at}", "type": "function", "function": {"name": "f", "arguments": "{}"}} for at in range(8000)]
    told = {"role": "assistant", "content": "I ask.", "reasoning_content": "Hm.", "tool_calls": calls}
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "x"} for call in calls]
    messages = [{"role": "user", "content": "f?"}, told, *results]
    begun = time.thread_time()
    answering.decide(KimiEmulator().state, {"model": "kimi-k3", "messages": messages})
    assert time.thread_time() - begun < 2.0
