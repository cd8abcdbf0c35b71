"""The checks of cassettes find what is wrong, and recording writes nothing that may not be written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from vcr.request import Request

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_emulator.http import Call, HttpAnswer, endpoints
from kimi_wire import KimiError
from kimi_wire.errors import api as api_errors
from tests import record
from tests.conversations import ask
from tests.recorded import checks
from tests.recorded.heard import Heard, check_heard, check_outcome
from tests.recorded.scenario import KEY, Endpoint, Expect, Scenario, read_answer
from tests.recorded.scenarios import SCENARIOS
from tests.recorded.tape import FOLDER, canonical, normalised, playing, read_file, same_request, write_file
from tests.recorded.ways import ADAPTERS, CHAT_WAYS, NOBODY, play, ways_of, why_left_out

HELLO = Scenario({"model": "kimi-k3", "messages": [ask("Hello!")]})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two good cassettes."""
    for name in ("tool-round-trip", "error-429-rate"):
        shutil.copytree(FOLDER / name, tmp_path / name)
    return tmp_path


FEW = {name: SCENARIOS[name] for name in ("tool-round-trip", "error-429-rate")}


@pytest.fixture
def change(folder: Path) -> Callable[..., None]:
    """Changes one cassette: `change(lambda source, exchanges: (source, exchanges))`."""

    def change(how: Callable[[str, list[Any]], tuple[str, list[Any]]]) -> None:
        path = folder / "tool-round-trip" / "chat.yaml"
        write_file(path, *how(*read_file(path)))

    return change


def test_good_cassettes_pass(folder: Path) -> None:
    for check in (checks.find_orphans, checks.find_missing, checks.find_stale, checks.find_unsourced):
        assert check(folder, FEW) == []
    assert checks.find_secrets(checks.texts_of(folder)) == []


@pytest.mark.parametrize(
    "name", ["old-scenario/chat.yaml", "tool-round-trip/chat.yaml.orig", "tool-round-trip/call.yaml"]
)
def test_a_file_without_a_scenario_is_an_orphan(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    assert checks.find_orphans(folder, FEW) == [name]


def test_a_scenario_without_a_file_is_missing(folder: Path) -> None:
    (folder / "tool-round-trip" / "stream.yaml").unlink()
    assert checks.find_missing(folder, FEW) == ["tool-round-trip/stream.yaml"]


def _other_question(source: str, exchanges: list[Any]) -> tuple[str, list[Any]]:
    exchanges[0]["request"]["json"]["messages"][0]["content"] = "What is the weather in Rome?"
    return source, exchanges


def _other_answer(source: str, exchanges: list[Any]) -> tuple[str, list[Any]]:
    exchanges[0]["response"]["json"]["choices"][0]["message"]["reasoning_content"] = "Something else."
    return source, exchanges


def _other_key_order(source: str, exchanges: list[Any]) -> tuple[str, list[Any]]:
    exchanges[0]["request"]["json"] = dict(reversed(exchanges[0]["request"]["json"].items()))
    return source, exchanges


def _other_path(source: str, exchanges: list[Any]) -> tuple[str, list[Any]]:
    exchanges[0]["request"]["path"] = "/v1/completions"
    return source, exchanges


@pytest.mark.parametrize(
    ("how", "where"),
    [
        (_other_question, "request 0.json.messages.0.content"),
        (_other_answer, "request 1.json.messages.1.reasoning_content"),
        (_other_path, "request 0.path"),
        (lambda source, exchanges: (source, exchanges[:1]), "1 requests, not 2"),
        (lambda source, exchanges: (source, [*exchanges, exchanges[-1]]), "3 requests, not 2"),
        (lambda source, exchanges: (source, []), "0 requests, not 1"),
    ],
)
def test_a_cassette_of_other_requests_is_stale(folder: Path, change: Any, how: Any, where: str) -> None:
    change(how)
    (found,) = checks.find_stale(folder, FEW)
    assert found.startswith("tool-round-trip/chat.yaml: ")
    assert where in found


@pytest.mark.parametrize(("recorded", "golden"), [(1, 1.0), (1.0, 1), (1, True), (0, False), (False, 0.0)])
def test_values_that_python_takes_for_the_same_are_not(recorded: Any, golden: Any) -> None:
    scenario = Scenario({"model": "kimi-k3", "temperature": golden})
    request = {"method": "POST", "path": "/v1/chat/completions", "json": {"model": "kimi-k3", "temperature": recorded}}
    answer = {"status": 500, "headers": {}}
    found = checks.explain_stale(scenario, "chat", [{"request": request, "response": answer}])
    assert found == f"request 0.json.temperature is recorded as {recorded!r}, the scenario has {golden!r}"
    first, second = (
        Request("POST", "https://a.invalid/v1", f'{{"a":[{json.dumps(value)}]}}', {"content-type": "application/json"})
        for value in (recorded, golden)
    )
    same_request(first, first)
    with pytest.raises(AssertionError):
        same_request(first, second)


def test_the_order_of_keys_makes_nothing_stale(folder: Path, change: Any) -> None:
    change(_other_key_order)
    assert checks.find_stale(folder, FEW) == []


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("somewhere", "is neither of"),
        ("a proxy, 2026-11-20, 127.0.0.1", "is neither of"),
        ("live", "none of the hosts"),
        ("live, 2026-11-20, 127.0.0.1", "none of the hosts"),
        ("live, 2026-11-20, api.moonshot.ai.evil.example", "none of the hosts"),
        ("live, 2026-11-20, openrouter.ai", "none of the hosts"),
        ("emulator, 2026-11-20, api.moonshot.ai", "none of the hosts"),
        ("emulator, yesterday, 127.0.0.1", "is no date"),
        ("emulator, 2026-02-30, 127.0.0.1", "is no date"),
        ("emulator, 2126-11-20, 127.0.0.1", "no day up to today"),
        ("emulator (scripted), 2026-11-20, 127.0.0.1", "what is scripted says so"),
    ],
)
def test_a_cassette_must_say_where_it_is_from(folder: Path, change: Any, source: str, why: str) -> None:
    change(lambda _, exchanges: (source, exchanges))
    (found,) = checks.find_unsourced(folder, FEW)
    assert found.startswith("tool-round-trip/chat.yaml: ")
    assert why in found


@pytest.mark.parametrize("day", ["20261120", "2026-W47-5", "26-11-20", ""])
def test_a_date_is_written_in_one_way(day: str) -> None:
    assert checks.explain_source(HELLO, f"emulator, {day}, 127.0.0.1") is not None


def test_only_the_real_api_is_live_and_only_where_it_can_be_asked() -> None:
    scripted, retired = SCENARIOS["error-429-rate"], SCENARIOS["forced-choice-k2-thinking"]
    for host in ("api.moonshot.ai", "api.moonshot.cn"):
        live = f"live, 2026-11-20, {host}"
        assert checks.explain_source(HELLO, live) is None
        for scenario in (scripted, retired):
            assert "only the emulator" in str(checks.explain_source(scenario, live))
    assert "what is scripted says so" in str(checks.explain_source(scripted, "emulator, 2026-11-20, 127.0.0.1"))
    assert checks.explain_source(scripted, "emulator (scripted), 2026-11-20, 127.0.0.1") is None
    assert checks.explain_source(retired, "emulator, 2026-11-20, 127.0.0.1") is None


@pytest.mark.parametrize(
    "text",
    [
        "key: sk-abc",
        "Authorization: x",
        "value: Bearer abc",
        "set-cookie: __cf_bm=1",
        "account org-0123456789abcdef0123456789abcdef",
        "account <ak-f8abcdefghij1234567>",
        "proj-0123456789abcdef0123456789abcdef",
        "msh-uid: cabc",
        "somewhere in-between-hunter2-is it",
    ],
)
def test_a_secret_is_found(text: str) -> None:
    assert len(checks.find_secrets([("a", "harmless: task-1 org-MASKED"), ("b", text)], keys=["hunter2"])) == 1


def test_an_exchange_that_is_not_played_is_an_error() -> None:
    with (
        pytest.raises(AssertionError, match=r"exchanges \[0, 1\] .* not played"),
        playing(FOLDER / "tool-round-trip" / "chat.yaml"),
    ):
        pass


def test_a_cassette_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="not recorded"), playing(tmp_path / "chat.yaml"):
        pass


@pytest.mark.parametrize("way", ["langchain", "langchain-async", "llama_index", "llama_index-async"])
async def test_a_request_that_is_not_recorded_reaches_nobody(kimi: KimiEmulator, way: str) -> None:
    """Of the HTTP library under either major of the SDK."""
    other = replace(HELLO, golden={"model": "kimi-k3", "messages": [ask("Good night!")]})
    heard: list[Heard] = []
    with pytest.raises(AssertionError, match="not played"), playing(FOLDER / "error-429-rate" / "chat.yaml"):
        heard += await play(other, "chat", way, kimi.base_url, KEY)
    assert [answer.error is None for answer in heard] == [False]
    assert kimi.requests == []


HEARD = [
    *(
        (name, "chat", "langchain")
        for name in ("chat", "thinking", "tool-call", "partial-mode", "continuation", "cache-hit")
    ),
    *(
        (name, mode, way)
        for name in SCENARIOS
        if name.startswith(("json-", "function-"))
        for mode in SCENARIOS[name].modes
        for way in ways_of(SCENARIOS[name], mode)
        if not way.endswith("-async")
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode", "way"), HEARD)
@pytest.mark.parametrize(
    "damage",
    [
        {"text": "Something else."},
        {"reasoning": "I never thought that."},
        {"calls": [("rm", {})]},
        {"finish": "unheard-of"},
        {"usage": {"prompt_tokens": 1}},
        {"request_id": None},
        {"warned": ["Beware!"]},
        {"error": ValueError("No.")},
    ],
    ids=lambda damage: next(iter(damage)),
)
async def test_what_was_not_said_is_noticed(name: str, mode: str, way: str, damage: dict[str, Any]) -> None:
    scenario, path = SCENARIOS[name], FOLDER / name / f"{mode}.yaml"
    with playing(path):
        heard = await play(scenario, mode, way, NOBODY, KEY)
    _, exchanges = read_file(path)
    check_outcome(scenario, heard, exchanges)
    with pytest.raises(AssertionError):
        check_outcome(scenario, [*heard[:-1], replace(heard[-1], **damage)], exchanges)


@pytest.mark.parametrize("name", ["json-schema", "function-calling", "function-calling-program", "json-mode"])
@pytest.mark.parametrize(
    "parsed",
    [{"name": "zzz", "country": "zzz"}, {"name": "zzz"}, {}, None],
    ids=["other values", "a field less", "nothing in it", "none"],
)
async def test_another_object_than_the_one_said_is_noticed(name: str, parsed: Any) -> None:
    scenario, path = SCENARIOS[name], FOLDER / name / "chat.yaml"
    with playing(path):
        heard = await play(scenario, "chat", ways_of(scenario, "chat")[0], NOBODY, KEY)
    with pytest.raises(AssertionError):
        check_outcome(scenario, [replace(heard[-1], parsed=parsed)], read_file(path)[1])


async def test_an_endpoint_whose_error_is_another_or_none_is_noticed() -> None:
    path = FOLDER / "error-401-balance" / "call.yaml"
    scenario, balance = SCENARIOS["error-401-balance"], SCENARIOS["balance"]
    with playing(path):
        raised = await play(scenario, "call", "balance", NOBODY, KEY)
    _, exchanges = read_file(path)
    check_outcome(scenario, raised, exchanges)
    for wrong in (Heard(), Heard(error=KimiError("401")), object()):
        with pytest.raises(AssertionError):
            check_outcome(scenario, wrong, exchanges)
    with pytest.raises(AssertionError, match="raised KimiAuthenticationError"):
        check_outcome(balance, raised, exchanges)


@pytest.mark.parametrize(
    "heard",
    [Heard(), Heard(error=ValueError("account org-MASKED")), Heard(error=KimiError("max RPM: 3"))],
    ids=["nothing", "another error", "the base class"],
)
def test_another_error_than_the_recorded_one_is_noticed(heard: Heard) -> None:
    scenario = SCENARIOS["error-429-rate"]
    assert isinstance(scenario, Scenario)
    response = read_file(FOLDER / "error-429-rate" / "chat.yaml")[1][0]["response"]
    with pytest.raises(AssertionError):
        check_heard(scenario, [heard], [read_answer(response)], [None])


# The form of the files.


def form(boundary: bytes, content: bytes, purpose: str = "file-extract", host: str = "a.invalid") -> Request:
    sent = httpx.Request(
        "POST",
        f"https://{host}/v1/files",
        data={"purpose": purpose},
        files={"file": ("notes.txt", content, "text/plain")},
        headers={"content-type": f"multipart/form-data; boundary={boundary.decode()}"},
    )
    return Request("POST", str(sent.url), sent.read(), dict(sent.headers))


@pytest.mark.parametrize("content", [b"Bonjour.\n", "Grüße, 你好".encode(), b"\xff\x00\x89PNG\r\n"])
def test_forms_are_the_same_by_their_fields_and_files(content: bytes, tmp_path: Path) -> None:
    first = form(b"one", content)
    same_request(first, form(b"two", content, host="b.invalid"))
    for other in (form(b"one", content + b"."), form(b"one", content, purpose="image")):
        with pytest.raises(AssertionError):
            same_request(first, other)


def test_a_form_is_played_from_a_file(tmp_path: Path, kimi: KimiEmulator) -> None:
    described = {
        "method": "POST",
        "path": "/v1/files",
        "headers": {"content-type": "multipart/form-data"},
        "form": [
            {"name": "purpose", "text": "file-extract"},
            {"name": "file", "filename": "notes.txt", "content-type": "text/plain", "text": "Bonjour.\n"},
        ],
    }
    answer = {"status": 200, "headers": {"content-type": "application/json"}, "json": {"id": "file-1"}}
    write_file(tmp_path / "call.yaml", "emulator", [{"request": described, "response": answer}])
    with playing(tmp_path / "call.yaml"):
        got = httpx.post(
            kimi.base_url + "/files",
            data={"purpose": "file-extract"},
            files={"file": ("notes.txt", b"Bonjour.\n", "text/plain")},
        )
    assert got.json() == {"id": "file-1"}
    assert kimi.requests == []


TEXTS = [
    "a\n\nb\n",
    " lead and trail ",
    "tab\there",
    "你好 👋",
    "# no: comment",
    "- x",
    "'",
    "2026-11-20",
    "1e3",
    "null",
    "\u2028",
    "a\r\nb",
]


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_is_what_is_read(tmp_path: Path, text: str) -> None:
    exchange = {
        "request": {"method": "POST", "path": "/v1", "json": {text: [text, 1, 1.0, True, None, {}]}},
        "response": {"status": 200, "headers": {}, "events": text},
    }
    write_file(tmp_path / "a.yaml", "emulator", [exchange])
    assert read_file(tmp_path / "a.yaml") == ("emulator", [exchange])
    assert isinstance(read_file(tmp_path / "a.yaml")[1][0]["request"]["json"][text][2], float)


def test_ids_follow_each_other_into_later_requests() -> None:
    own = "6a5a9561c95b1c06317b3389"
    said = {
        "request": {"json": {"tool_call_id": f"t-web_search-{own[:12]}"}},
        "response": {
            "headers": {"msh-request-id": "x"},
            "json": {"id": f"chatcmpl-{own}", "created": 1784321378, "n": {"created": 0}},
        },
    }
    (first, second) = normalised([{**said, "request": {}}, said])
    new = first["response"]["json"]["id"].removeprefix("chatcmpl-")
    assert new != own
    assert second["request"]["json"]["tool_call_id"] == f"t-web_search-{new[:12]}"
    assert second["response"]["json"] == {**first["response"]["json"], "n": {"created": 0}}
    assert first["response"]["headers"] != second["response"]["headers"]
    assert said["response"]["json"]["created"] == 1784321378  # the caller's own is left alone


# Recording.


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator) -> KimiEmulator:
    """An API for which there is a key, and which counts as Moonshot's own."""
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-somebodys")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    monkeypatch.setattr(checks, "HOSTS", {**checks.HOSTS, "live": ("127.0.0.1",)})
    monkeypatch.setattr(record, "PAUSE", 0)
    monkeypatch.setattr(record.record_live, "__defaults__", (0,))
    return kimi


SOME = ["chat", "tool-round-trip", "error-401", "error-429-rate", "error-in-stream", "models"]


def snapshot(folder: Path) -> dict[str, str]:
    return dict(checks.texts_of(folder))


def test_recording_twice_gives_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert record.main(SOME, tmp_path / "first") == 0
    assert record.main(SOME, tmp_path / "second") == 0
    assert snapshot(tmp_path / "first") == snapshot(tmp_path / "second")
    assert "recording from the emulator" in capsys.readouterr().out


@pytest.mark.slow
def test_the_repository_has_what_the_emulator_says_now(tmp_path: Path) -> None:
    """A change of the emulator shows here: `make record`, and read the difference."""
    assert record.main([], tmp_path) == 0
    held, now = snapshot(FOLDER), snapshot(tmp_path)
    for name, text in now.items():
        if "source: live" not in held[name]:
            was, said = (canonical(yaml.safe_load(it)["exchanges"]) for it in (held[name], text))
            assert was == said, name


def test_a_date_changes_only_with_what_was_said(tmp_path: Path) -> None:
    assert record.main(["chat"], tmp_path) == 0
    path = tmp_path / "chat" / "chat.yaml"
    source, exchanges = read_file(path)
    assert source.startswith("emulator, 20")
    write_file(path, "emulator, 2026-01-01, 127.0.0.1", exchanges)
    assert record.main(["chat"], tmp_path) == 0
    assert read_file(path)[0] == "emulator, 2026-01-01, 127.0.0.1"
    write_file(path, "live, 2026-01-01, 127.0.0.1", exchanges)
    assert record.main(["chat"], tmp_path) == 0
    assert read_file(path)[0] == source


def test_with_a_key_the_real_api_is_recorded_but_for_scripted_faults(
    tmp_path: Path, keys: KimiEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    record.main([*SOME, "forced-choice-k2-thinking"], tmp_path)
    assert keys.base_url in capsys.readouterr().out
    sources = {name: text.splitlines()[0].split(",")[0] for name, text in snapshot(tmp_path).items()}
    assert sources["chat/stream.yaml"] == sources["models/call.yaml"] == "source: live"
    assert sources["error-429-rate/chat.yaml"] == "source: emulator (scripted)"
    assert sources["forced-choice-k2-thinking/chat.yaml"] == "source: emulator"
    assert len(keys.requests) == 2 + 4 + 2 + 1
    assert all(request.headers.get("accept-encoding") == "identity" for request in keys.requests if request.body)
    assert "somebodys" not in "".join(snapshot(tmp_path).values())


def test_live_recording_waits_for_its_turn(kimi: KimiEmulator) -> None:
    kimi.script(Failure(429), Failure(429, type="engine_overloaded_error"))
    source, said = record.record_live(HELLO, "chat", kimi.base_url, "sk-test", pause=0)
    assert [exchange["response"]["status"] for exchange in said] == [200]
    assert source == "live, {day}, 127.0.0.1"
    assert len(kimi.requests) == 3


def test_another_host_than_moonshots_is_not_recorded(
    tmp_path: Path, keys: KimiEmulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checks, "HOSTS", {**checks.HOSTS, "live": ("api.moonshot.ai",)})
    with pytest.raises(SystemExit) as left:
        record.main(["chat"], tmp_path)
    assert left.value.code == 2
    assert "is not Moonshot's" in capsys.readouterr().err
    assert keys.requests == []
    assert snapshot(tmp_path) == {}


@pytest.fixture
def fail(keys: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has the next requests fail; of the endpoints that aren't chat too, which the emulator's script leaves alone."""
    queue: list[Failure] = []
    route = endpoints.route

    def refuse(call: Call) -> HttpAnswer:
        if not queue:
            return route(call)
        step = queue.pop(0)
        return HttpAnswer(step.body if step.body is not None else {"error": step.error}, step.status)

    monkeypatch.setattr(endpoints, "route", refuse)

    def fail(name: str, *steps: Failure) -> None:
        if isinstance(SCENARIOS[name], Endpoint):
            queue.extend(steps)
        else:
            keys.script(*steps)

    return fail


LIMITED = [Failure(429)] * record.ATTEMPTS
FAULTS = {
    "a limit that stays": (LIMITED, "met a rate limit"),
    "an error": ([Failure(500, "Internal error")], "raised Kimi"),
    "a refused key": ([Failure(401)], "raised Kimi"),
    "an exhausted account": ([Failure(429, type="exceeded_current_quota_error")] * record.ATTEMPTS, "met a rate limit"),
    "another form": ([Failure(200, body={})], "not heard as it must be"),
    "no choices": ([Failure(200, body={"choices": [], "data": None})], "not heard as it must be"),
    "a page": ([Failure(200, body="<html></html>")], "not heard as it must be"),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"), [("thinking", "chat"), ("models", "call"), ("balance", "call"), ("file-extraction", "call")]
)
@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_never_takes_the_place_of_a_good_cassette(
    tmp_path: Path,
    fail: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    name: str,
    mode: str,
    fault: str,
) -> None:
    shutil.copytree(FOLDER / name, tmp_path / name)
    held = snapshot(tmp_path)
    script, why = FAULTS[fault]
    fail(name, *script)
    assert record.main([name, "chat"], tmp_path) == 1
    out = capsys.readouterr().out
    assert f"{name}/{mode}: NOT WRITTEN" in out
    assert why in out
    assert "chat/chat: written (live)" in out  # the rest goes on
    after = snapshot(tmp_path)
    assert after[f"{name}/{mode}.yaml"] == held[f"{name}/{mode}.yaml"]


def test_an_answer_that_is_not_what_is_expected_is_not_written(
    tmp_path: Path, keys: KimiEmulator, capsys: pytest.CaptureFixture[str]
) -> None:
    keys.script(Reply("I cannot multiply.", reasoning="Hm."))
    assert record.main(["thinking"], tmp_path) == 1
    assert "expect.says" in capsys.readouterr().out
    assert list(snapshot(tmp_path)) == ["thinking/stream.yaml"]


@pytest.mark.parametrize("name", ["models", "balance", "token-count", "file-extraction", "tool-round-trip"])
def test_a_limit_that_passes_is_waited_for_everywhere(tmp_path: Path, fail: Callable[..., None], name: str) -> None:
    fail(name, Failure(429), Failure(429))
    assert record.main([name], tmp_path) == 0
    for path in snapshot(tmp_path):
        assert all(exchange["response"]["status"] == 200 for exchange in read_file(tmp_path / path)[1])


def test_only_listed_headers_are_recorded(kimi: KimiEmulator) -> None:
    kimi.script(Reply("Hello!", headers={"Set-Cookie": "__cf_bm=1", "Server": "cloudflare"}))
    (said,) = record.record(HELLO, "chat", kimi.base_url, "sk-test")
    assert said["request"]["headers"] == {"content-type": "application/json"}
    assert list(said["response"]["headers"]) == ["content-type", "msh-request-id"]


@pytest.mark.parametrize(
    ("reply", "why"),
    [(Reply("My key is sk-0123."), "an API key"), (Reply("You are org-0123456789abcdef."), "an account's id")],
)
def test_a_secret_is_not_written(tmp_path: Path, kimi: KimiEmulator, reply: Reply, why: str) -> None:
    kimi.script(reply)
    said = record.record(HELLO, "chat", kimi.base_url, "sk-test")
    with pytest.raises(ValueError, match=why):
        record.keep(tmp_path, "hello", HELLO, "chat", "emulator, {day}, 127.0.0.1", said)
    assert snapshot(tmp_path) == {}


def test_other_requests_than_the_golden_ones_are_not_written(tmp_path: Path, kimi: KimiEmulator) -> None:
    said = record.record(HELLO, "chat", kimi.base_url, "sk-test")
    other = replace(HELLO, golden={**HELLO.golden, "model": "kimi-k2.6"})
    with pytest.raises(ValueError, match=r"request 0\.json\.model"):
        record.keep(tmp_path, "hello", other, "chat", "emulator, {day}, 127.0.0.1", said)
    with pytest.raises(ValueError, match="none of the hosts of live"):
        record.keep(tmp_path, "hello", HELLO, "chat", "live, {day}, 127.0.0.1", said)
    with pytest.raises(ValueError, match="nothing was said"):
        record.keep(tmp_path, "hello", HELLO, "chat", "emulator, {day}, 127.0.0.1", [])
    assert snapshot(tmp_path) == {}


def test_what_cannot_be_recorded_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(HELLO, golden={"model": "kimi-k3", "messages": [ask("Hello!")], "seed": 1}, expect=Expect())
    monkeypatch.setattr(record, "SCENARIOS", {"wrong": wrong})
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "chat.yaml").touch()
    assert record.main([], tmp_path) == 1
    out = capsys.readouterr().out
    assert "wrong/chat: NOT WRITTEN" in out
    assert "old/chat.yaml: deleted" in out
    assert snapshot(tmp_path) == {}
    with pytest.raises(SystemExit):
        record.main(["nothing-of-that-name"], tmp_path)


# The rows.


ROWS = [(name, mode) for name, scenario in SCENARIOS.items() for mode in scenario.modes]


@pytest.mark.parametrize(("name", "mode"), ROWS)
def test_a_row_is_played_in_every_way_or_says_why_not(name: str, mode: str) -> None:
    scenario = SCENARIOS[name]
    played = ways_of(scenario, mode)
    if isinstance(scenario, Endpoint):
        missing = {"langchain", "langchain-async", "llama_index", "llama_index-async"} - set(played)
        reasons = {way: scenario.left_out.get(way) or scenario.left_out.get(way.partition("-")[0]) for way in missing}
        assert not set(scenario.left_out) & set(played)
        assert len(played) >= 2
    else:
        reasons = {way: why_left_out(scenario, mode, way) for way in set(CHAT_WAYS) - set(played)}
        assert set(scenario.left_out) <= {way.partition("-")[0] for way in ADAPTERS}
        assert any(not way.endswith("-async") for way in played)
    assert all(reason and len(reason.split()) >= 4 for reason in reasons.values()), reasons


def test_every_adapter_plays_every_kind_of_structured_answer() -> None:
    for adapter in ("langchain", "llama_index"):
        played = {
            (scenario.method, mode)
            for scenario in SCENARIOS.values()
            if isinstance(scenario, Scenario) and scenario.method
            for mode in scenario.modes
            if adapter in ways_of(scenario, mode)
        }
        methods = ("json_schema", "function_calling", "json_mode")
        assert played == {(method, mode) for method in methods for mode in ("chat", "stream")}


def test_every_error_of_a_status_has_a_row() -> None:
    """Its own class, and not one that it is derived from."""
    kinds = [api_errors.KimiStatusError]
    for kind in kinds:
        kinds += [derived for derived in kind.__subclasses__() if derived.__module__ == api_errors.__name__]
    assert len(kinds) > 10
    rows = {it.expect.error if isinstance(it, Scenario) else it.error for it in SCENARIOS.values()}
    assert {kind.__name__ for kind in kinds} <= rows
