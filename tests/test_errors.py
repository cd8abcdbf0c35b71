"""Errors of the server: whatever it sends becomes an exception that says what happened and what to do."""

from __future__ import annotations

import inspect
import json
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import langchain_kimi
import llama_index_kimi
from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire import errors
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.errors import api as api_errors
from kimi_wire.errors import refusals
from kimi_wire.errors.hints import hint_for
from kimi_wire.errors.refusals import mask, mask_all, parse_refusal
from kimi_wire.profiles import FAMILIES
from langchain_kimi import errors as langchain_errors
from tests.wire.test_client import SECRET, WAYS, ask, request

ACCOUNT = "org-0123456789abcdef<ak-fedcba987654>"


@pytest.fixture
def client(kimi: KimiEmulator) -> Iterator[KimiClient]:
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, max_retries=0)
    yield client
    client.close()


def fail(client: KimiClient, way: str = "complete") -> Any:
    with pytest.raises(api_errors.KimiAPIError) as caught:
        ask(client, way)
    return caught.value


@pytest.fixture
def raw_server() -> Iterator[Any]:
    """A server that answers with bytes as they are: `raw_server.answer = (status, headers, body)`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, headers, body = server.answer  # type: ignore[attr-defined]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


HINTS = [
    (400, "tools.function.parameters is not a valid moonshot flavored json schema, details: <At path 'root.x': no>", "",
     "Look at tools.function.parameters at 'root.x'"),
    (400, "Invalid request: not a valid moonshot flavored json schema", "", "Look at a schema"),
    (400, "Input token length too long", "invalid_request_error", "Shorten the conversation"),
    (400, "File size is too large, max file size is 100MB, please confirm and re-upload the file", "", "split it"),
    (400, "File size is zero, please confirm and re-upload the file", "", "is empty"),
    (400, "Too many uploaded files", "", "delete some"),
    (400, "Invalid purpose: only 'file-extract' accepted", "", "The purposes are"),
    (400, "thinking is enabled but reasoning_content is missing in assistant tool call message at index 4", "", "missing_reasoning"),
    (400, "preserved thinking (thinking.keep=all) requires reasoning_content on every assistant message, but assistant "
     "message at index 6 is missing reasoning_content", "", "missing_reasoning='placeholder'"),
    (402, "We're unable to verify your membership benefits", "", "Kimi Code"),
    (402, "Insufficient credits", "", "no credit"),
    (403, "Your IP is not allowed to access this organization", "permission_denied_error", "addresses"),
    (403, "The API you are accessing is not open", "permission_denied_error", "not open to the account"),
    (403, "Kimi For Coding is currently only available for Coding Agents such as Kimi CLI", "access_terminated_error", "platform.kimi.ai"),
    (404, "Not found the model x or Permission denied", "resource_not_found_error", "top-up of $1"),
    (413, "Request exceeds the maximum size", "", "100 MB"),
    (429, "request reached TPD rate limit, current: 1, limit: 1", "rate_limit_reached_error", "of this day"),
    (429, "The engine is currently overloaded, please try again later", "engine_overloaded_error", "overloaded, for everybody"),
    (429, "slow down, try again after 3600 seconds", "rate_limit_reached_error", "asks to wait 3600 s"),
    (499, "", "client_closed_request", "raise `timeout`"),
    (504, "", "", "stream"),
    (529, "", "", "later"),
]  # fmt: skip


@pytest.mark.says(
    "docs/errors.md",
    "`thinking is enabled but reasoning_content is missing in assistant tool call message at index N`",
    "`tools.function.parameters is not a valid moonshot flavored json schema`",
)
@pytest.mark.parametrize(("status", "message", "kind", "hint"), HINTS)
def test_what_to_do_is_said(
    kimi: KimiEmulator, client: KimiClient, status: int, message: str, kind: str, hint: str
) -> None:
    wait = {"Retry-After": "3600"} if "3600" in message else {}
    kimi.script(Failure(status, body={"error": {"message": message, "type": kind}}, message="x", headers=wait))
    raised = fail(client)
    assert hint in str(raised)
    assert message in str(raised)
    assert (raised.status_code, raised.type) == (status, kind or None)
    assert raised.request_id in str(raised)
    assert "\n" not in str(raised)


@pytest.mark.parametrize(
    ("host", "other"), [("api.moonshot.ai", "api.moonshot.cn"), ("api.moonshot.cn", "api.moonshot.ai")]
)
def test_the_other_region_is_named(host: str, other: str) -> None:
    refusal = parse_refusal(401, {}, {"message": "Invalid Authentication", "type": "invalid_authentication_error"})
    assert f"base_url='https://{other}/v1'" in hint_for(refusal, f"https://{host}/v1/chat/completions")
    evil = hint_for(refusal, f"https://{host}.evil.com/v1/chat/completions")
    assert other not in evil


def test_the_hint_names_the_families_that_the_table_has_as_retired() -> None:
    """The words are older than no row: whoever changes one of the dates changes them too, and this day."""
    hint = hint_for(parse_refusal(404, {}, {"message": "Not found the model x"}), "https://h/v1/chat/completions")
    named = re.findall(r"(?:kimi|moonshot)-[\w.]+", hint)
    rows = [row for row in FAMILIES if row.family not in ("kimi-latest", "kimi-thinking-preview")]  # nobody's any more
    said = {row.family for row in rows for name in named if f"{row.family}-".startswith(f"{name}-")}
    assert said == {row.family for row in rows if row.is_retired(date(2026, 11, 26))}
    assert len(named) == 3


BODIES: list[tuple[bytes, str]] = [
    (b"", "no error message"),
    (b"{}", "no error message"),
    (b"null", "no error message"),
    (b"[]", "no error message"),
    (b"42", "42"),
    (b'"just text"', "just text"),
    (b'["a", "list"]', '["a", "list"]'),
    (b'[{"error": {"message": "in a list"}}]', "in a list"),
    (b'{"error": "a string"}', "a string"),
    (b'{"error": 7}', '7'),
    (b'{"error": {"code": 1302}}', '1302'),
    (b'{"detail": "FastAPI says"}', "FastAPI says"),
    (b'{"message": {"not": "text"}}', '"not"'),
    (b'{"error": {"message": "", "error": {"error": {"message": "three deep"}}}}', "three deep"),
    (b'{"error": {"message": "outer", "error": {"message": "inner"}}}', "inner"),
    (b"\xff\xfe not utf-8 \xe9", "not utf-8"),
    (b'{"error": {"message": "caf\xe9"}}', "caf"),
    (b"<html><head><title>504 Gateway Time-out</title></head><body>nginx</body></html>", "504 Gateway Time-out"),
    (b"<html><body><h1>Blocked</h1><p>by Cloudflare</p>", "Blocked by Cloudflare"),
    (b"<html>" + b"<" * 200_000, "HTTP"),
    (b"x" * 300_000, "characters)"),
    (b'{"error": {"message": "' + b"y" * 300_000 + b'"}}', "300000 characters"),
    (b'{"error": {"type": "' + b"z" * 5_000 + b'", "message": "m"}}', "5000 characters"),
    (b"[" * 100_000, "HTTP"),
    (b'{"error":' * 3_000 + b"1" + b"}" * 3_000, "HTTP"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "words"), BODIES, ids=lambda value: repr(value[:40]))
@pytest.mark.parametrize(("way", "status"), [("complete", 400), ("astream", 504)])
def test_whatever_the_body_is_the_message_is_clear_and_short(
    raw_server: Any, way: str, status: int, body: bytes, words: str
) -> None:
    raw_server.answer = (status, {}, body)
    client = KimiClient(api_key=SECRET, base_url=f"http://127.0.0.1:{raw_server.server_port}/v1", max_retries=0)
    raised = fail(client, way)
    client.close()
    assert words in str(raised)
    assert f"HTTP {status}" in str(raised)
    assert len(str(raised)) < 3000
    assert isinstance(raised, openai.BadRequestError if status == 400 else openai.InternalServerError)


@pytest.mark.parametrize("way", ["complete", "astream"])
def test_a_body_that_cannot_be_unpacked_is_a_failed_connection(raw_server: Any, way: str) -> None:
    raw_server.answer = (429, {"Content-Encoding": "gzip"}, b"this is not gzip")
    client = KimiClient(api_key=SECRET, base_url=f"http://127.0.0.1:{raw_server.server_port}/v1", max_retries=0)
    assert isinstance(fail(client, way), api_errors.KimiConnectionError)
    client.close()


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_is_read_once(
    kimi: KimiEmulator, client: KimiClient, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    read: list[Any] = []

    def parse(*arguments: Any) -> Any:
        read.append(arguments)
        return parse_refusal(*arguments)

    for module in (refusals, api_errors):
        monkeypatch.setattr(module, "parse_refusal", parse)
    kimi.script(Failure(429, "slow down", headers={"Retry-After": "7"}))
    raised = fail(client, way)
    assert (len(read), raised.retry_after, raised.response.headers["retry-after"]) == (1, 7.0, "7")
    assert raised.response.extensions == {}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_asked_again_has_the_class_that_says_why(kimi: KimiEmulator, way: str) -> None:
    """Both are read from the whole body: a gateway put the type beside the error, and not into it."""
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url, max_retries=1)
    kimi.script(Failure(429, body={"type": "exceeded_current_quota_error", "error": {"message": "no"}}))
    assert isinstance(fail(client, way), api_errors.KimiQuotaError)
    assert len(kimi.requests) == 1
    client.close()


@pytest.mark.parametrize("charset", ["latin-1", "hex", "undefined", "rot13", "utf-16", "idna", "nonsense"])
@pytest.mark.parametrize("way", WAYS)
def test_any_charset_can_be_read(raw_server: Any, way: str, charset: str) -> None:
    body = '{"error": {"message": "no caf\u00e9"}}'.encode("latin-1")
    raw_server.answer = (400, {"Content-Type": f"application/json; charset={charset}"}, body)
    client = KimiClient(api_key=SECRET, base_url=f"http://127.0.0.1:{raw_server.server_port}/v1", max_retries=0)
    raised = fail(client, way)
    said = "no caf\u00e9" if charset == "latin-1" else "no caf\ufffd"
    assert isinstance(raised, api_errors.KimiBadRequestError)
    assert said in str(raised)
    assert said in raised.response.text
    client.close()


def test_what_is_nested_too_deeply() -> None:
    deep: Any = "x"
    for _ in range(50_000):
        deep = [deep]
    assert "nested too deeply" in parse_refusal(400, {}, {"unknown": deep}).text
    assert mask_all(deep, str.upper) == "(nested too deeply)"
    assert parse_refusal(400, {}, b'{"error": [{"message": "listed"}]}').text == "listed"
    assert parse_refusal(400, {}, b'{"error": []}').text == '{"error": []}'


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(300, 599),
    st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=20),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["error", "message", "type", "code", "detail"]), inner, max_size=4)
            ),
        ),
    ),
    st.dictionaries(
        st.sampled_from(["retry-after", "retry-after-ms", "x-retry-after", "msh-cooldown-seconds"]),
        st.text(max_size=30),
    ),
)
def test_any_body_can_be_read(status: int, body: Any, headers: dict[str, str]) -> None:
    refusal = parse_refusal(status, headers, body)
    assert len(refusal.text) < 2100
    assert refusal.retry_after is None or refusal.retry_after >= 0
    assert isinstance(hint_for(refusal, "https://h/v1/chat/completions"), str)
    assert isinstance(mask(refusal.text, "key"), str)


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    ("error", "error_class"),
    [
        ({"message": "no", "type": "invalid_request_error"}, api_errors.KimiBadRequestError),
        ({"message": "high risk", "type": "content_filter"}, api_errors.KimiContentFilterError),
        ({"message": "wait", "type": "engine_overloaded_error"}, api_errors.KimiRateLimitError),
        ({"message": "request reached TPD rate limit", "type": "rate_limit_reached_error"}, api_errors.KimiQuotaError),
        ({"message": "suspended", "type": "exceeded_current_quota_error"}, api_errors.KimiQuotaError),
        ({"message": "Upstream", "code": 502}, api_errors.KimiServerError),
        ({"message": "Bad", "code": 400}, api_errors.KimiBadRequestError),
        ({"message": "who knows", "type": "something_new"}, api_errors.KimiServerError),
        ("only words", api_errors.KimiServerError),
    ],
)
def test_an_error_inside_a_stream_has_the_class_of_its_type(
    kimi: KimiEmulator, client: KimiClient, way: str, error: Any, error_class: type[Exception]
) -> None:
    kimi.script(Reply(events=[{"id": "1", "choices": [{"index": 0, "delta": {"content": "Half"}}]}, {"error": error}]))
    raised = fail(client, way)
    assert type(raised) is error_class
    assert raised.partial.content == "Half"
    assert len(kimi.requests) == 1


@pytest.mark.says("docs/errors.md", "Account ids are blanked in them.")
def test_ids_of_accounts_are_blanked_in_messages_and_kept_in_the_body(kimi: KimiEmulator, client: KimiClient) -> None:
    said = f"Your account {ACCOUNT} request reached organization max RPM: 3, please try again after 1 seconds"
    kimi.script(Failure(429, said))
    raised = fail(client)
    assert "Your account ***<ak-***> request reached organization max RPM: 3" in str(raised)
    for text in (str(raised), repr(raised), raised.message):
        assert "0123456789abcdef" not in text
        assert "fedcba987654" not in text
    assert raised.body["message"] == said


@pytest.mark.parametrize(
    ("said", "masked"),
    [
        ("Your account d1x2y3<ak-abcdefgh> request reached", "Your account ***<ak-***> request reached"),
        ("Your account uid9 / proj-abcdef <ak-abcdefgh> request", "Your account *** / proj-*** <ak-***> request"),
        ("Your account org-abcdef <ak-abcdefgh> is suspended", "Your account *** <ak-***> is suspended"),
        ("check your account balance", "check your account balance"),
        ("Incorrect API key provided: sk-abc***xyz.", "Incorrect API key provided: sk-***"),
        ("the key my-key is wrong", "the key *** is wrong"),
    ],
)
def test_what_is_masked(said: str, masked: str) -> None:
    assert mask(said, "my-key") == masked


def test_a_key_that_the_server_repeats_is_not_repeated(kimi: KimiEmulator, client: KimiClient) -> None:
    kimi.script(
        Failure(401, body={"error": {"message": f"Bad key {SECRET}", "type": "x", "keys": [SECRET, 1]}}, message="x")
    )
    raised = fail(client)
    assert SECRET not in f"{raised}{raised!r}{raised.body}"
    assert raised.body["keys"] == ["***", 1]


def _classes(module: Any) -> dict[str, type[Exception]]:
    found = inspect.getmembers(module, lambda item: inspect.isclass(item) and issubclass(item, errors.KimiError))
    return {name: item for name, item in found if name.startswith("Kimi")}


def test_both_adapters_export_every_error() -> None:
    everything = {**_classes(errors), **_classes(api_errors)}
    for module in (langchain_kimi, llama_index_kimi):
        assert everything.keys() <= set(module.__all__), module.__name__
        for name in module.__all__:
            assert getattr(module, name) is not None
        with pytest.raises(AttributeError, match="no_such_thing"):
            _ = module.no_such_thing
    for name, ours in everything.items():
        assert issubclass(getattr(langchain_kimi, name), ours)
        assert getattr(llama_index_kimi, name) is ours


@pytest.mark.says(
    "docs/errors.md", "in LangChain also langchain-core's (`ModelRateLimitError`, `ContextOverflowError`, ...)"
)
def test_langchains_errors_are_derived_as_the_wires_are() -> None:
    """`except KimiStatusError` catches all that it says; and LangChain knows what may be tried again."""
    from langchain_core.exceptions import ContextOverflowError, ModelError

    pairs = langchain_errors._CLASSES
    for wire_class, ours in pairs.items():
        assert issubclass(ours, ModelError) or wire_class is errors.KimiToolChoiceError
        for wire_parent, our_parent in pairs.items():
            assert issubclass(wire_class, wire_parent) == issubclass(ours, our_parent), (ours, our_parent)
    assert issubclass(langchain_errors.KimiContextLengthError, ContextOverflowError)
    retryable = {one.__name__ for one in pairs.values() if getattr(one, "is_retryable", False)}
    assert retryable == {
        "KimiResponseError", "KimiStreamError", "KimiEmptyAnswerError", "KimiToolChoiceError", "KimiConflictError",
        "KimiRateLimitError", "KimiServerError", "KimiConnectionError", "KimiTimeoutError",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("adapter", ["langchain_kimi", "llama_index_kimi"])
def test_importing_an_adapter_and_its_plain_errors_imports_no_sdk(adapter: str) -> None:
    code = (
        f"import sys; from {adapter} import KimiError, KimiMissingKeyError, KimiWarning; print('openai' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )


STATUS_ERRORS = [
    (400, openai.BadRequestError), (401, openai.AuthenticationError), (403, openai.PermissionDeniedError),
    (404, openai.NotFoundError), (409, openai.ConflictError), (413, openai.APIStatusError),
    (422, openai.UnprocessableEntityError), (429, openai.RateLimitError), (500, openai.InternalServerError),
    (529, openai.InternalServerError),
]  # fmt: skip


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize(("status", "sdk_class"), STATUS_ERRORS)
def test_errors_go_through_pickles_without_the_key(
    kimi: KimiEmulator, client: KimiClient, status: int, sdk_class: type[Exception], adapted: bool
) -> None:
    """Process pools send them; the SDK's own break a pool: "missing 2 required keyword-only arguments"."""
    kimi.script(Failure(status, "Your account x<y> request", "rate_limit_reached_error"))
    raised = langchain_errors.adapt_error(fail(client)) if adapted else fail(client)
    written = pickle.dumps(raised)
    assert SECRET.encode() not in written
    read = pickle.loads(written)
    assert type(read) is type(raised)
    assert isinstance(read, sdk_class)
    assert (str(read), read.status_code, read.request_id, read.type, read.body) == (
        str(raised), raised.status_code, raised.request_id, raised.type, raised.body)  # fmt: skip
    assert read.response is None


@pytest.mark.parametrize("way", WAYS)
def test_an_error_of_the_connection_goes_through_pickles(way: str) -> None:
    raised = fail(KimiClient(api_key=SECRET, base_url="http://127.0.0.1:9/v1", max_retries=0), way)
    assert str(pickle.loads(pickle.dumps(raised))) == str(raised)


@pytest.mark.parametrize("way", WAYS)
def test_a_redirect_within_the_origin_is_followed(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Failure(307, message="x", headers={"Location": "/v1/chat/completions"}), Reply("Hi"))
    assert ask(client, way).choice.content == "Hi"
    assert kimi.requests[0].body == kimi.requests[1].body


@pytest.mark.parametrize("way", ["complete", "astream"])
def test_redirects_have_an_end(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(*[Failure(308, message="x", headers={"Location": "/v1/chat/completions"})] * 30)
    assert "redirects to" in str(fail(client, way))
    assert len(kimi.requests) == 5


@pytest.mark.says(
    "docs/production.md",
    "redirects are followed within the same origin, everything else is an error that names the place",
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nothing_goes_to_another_origin(kimi: KimiEmulator, way: str, status: int) -> None:
    with KimiEmulator() as other:
        location = f"{other.base_url}/chat/completions".replace("://", "://user:pass@") + "?signature=abc"
        kimi.script(Failure(status, message="x", headers={"Location": location}))
        client = KimiClient(api_key=SECRET, base_url=kimi.base_url, default_headers={"X-Api-Key": "hush"})
        raised = fail(client, way)
        client.close()
        assert other.requests == []
        assert len(kimi.requests) == 1
        assert f"redirects to {other.base_url}/chat/completions;" in str(raised)
        assert "pass" not in str(raised)
        assert "signature" not in str(raised)


@pytest.mark.parametrize("way", ["complete", "stream"])
def test_a_redirect_that_would_lose_the_body_is_not_followed(kimi: KimiEmulator, client: KimiClient, way: str) -> None:
    kimi.script(Failure(301, message="x", headers={"Location": "/v1/chat/completions"}))
    assert "redirects to" in str(fail(client, way))
    assert len(kimi.requests) == 1


def test_the_other_region_is_never_tried(kimi: KimiEmulator) -> None:
    kimi.script(Failure(401))
    client = KimiClient(api_key=SECRET, base_url=kimi.base_url)
    fail(client)
    client.close()
    assert len(kimi.requests) == 1


def test_json_of_the_request_is_not_in_the_chain(client: KimiClient) -> None:
    with pytest.raises(errors.KimiRequestError) as caught:
        client.complete(request(extra_body={"x": object()}))
    assert json.dumps(str(caught.value))
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None
