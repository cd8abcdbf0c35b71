"""Official tools: their lists, their runs, and what goes wrong with either."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_emulator import KimiEmulator
from kimi_emulator.http import HttpAnswer
from kimi_emulator.sealed import decrypt
from kimi_emulator.services import formulas as emulated
from kimi_wire.endpoints.formulas import (
    KNOWN_FORMULAS,
    FormulaTool,
    KimiFormulas,
    check_uri,
    name_tools,
    parse_fiber,
    parse_formula_tools,
)
from kimi_wire.errors import (
    KimiAuthenticationError,
    KimiFormulaError,
    KimiMissingKeyError,
    KimiRequestError,
    KimiServerError,
)

KEY = "sk-secret-0123456789"
TOOL = FormulaTool("moonshot/date:latest", "date", "date", "", {"type": "object", "properties": {}})


@pytest.fixture(params=["sync", "async"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(kimi: KimiEmulator) -> Iterator[Callable[..., KimiFormulas]]:
    made = []

    def make(*uris: str, **options: Any) -> KimiFormulas:
        made.append(KimiFormulas(uris, **{"api_key": KEY, "base_url": kimi.base_url, "max_retries": 0, **options}))
        return made[-1]

    yield make
    for formulas in made:
        formulas.connection.close()


def tools(formulas: KimiFormulas, way: str) -> list[FormulaTool]:
    return formulas.tools() if way == "sync" else asyncio.run(formulas.atools())


def run(formulas: KimiFormulas, way: str, name: str, **arguments: Any) -> str:
    (tool,) = [tool for tool in tools(formulas, way) if tool.name == name]
    return formulas.run(tool, arguments) if way == "sync" else asyncio.run(formulas.arun(tool, arguments))


@pytest.mark.parametrize("uri", [*KNOWN_FORMULAS, "acme/x.y_z-1:v1.0", "a/b:c"])
def test_uris_that_are_taken(uri: str) -> None:
    assert check_uri(uri) == uri


@pytest.mark.parametrize(
    "uri",
    ["", "web-search", "moonshot/web-search", "moonshot/../files:latest", "../x:y", "a/b:c?d=1", "a/b c:d", "a/b:c/d",
     "a/b:c#d", "a/b:c\n", "/a/b:c", "a//b:c", "a/b%2f:c", "a/.b:c", "https://x/y:z", "月/b:c", None, 7, "a/b..c:d"],
)  # fmt: skip
def test_uris_that_are_refused(uri: Any) -> None:
    with pytest.raises(KimiRequestError, match="is not the uri of a formula, which looks like 'namespace/name:tag'"):
        check_uri(uri)


def test_a_short_name_gets_a_hint() -> None:
    with pytest.raises(KimiRequestError, match=r"Did you mean moonshot/web-search:latest\?"):
        check_uri("web-search")
    with pytest.raises(KimiRequestError, match="Known ones are moonshot/base64:latest, "):
        check_uri("no such thing")


@given(st.text())
def test_no_accepted_uri_leaves_its_place_in_the_path(uri: str) -> None:
    try:
        check_uri(uri)
    except KimiRequestError:
        return
    assert not set(uri) & set("?#%\\ \t\r\n@")
    assert ".." not in uri
    assert uri.count("/") == 1


def test_tools_are_fetched_once(kimi: KimiEmulator, make: Any, way: str) -> None:
    formulas = make("moonshot/base64:latest", "moonshot/date:latest", "moonshot/base64:latest")
    first, second = tools(formulas, way), tools(formulas, way)
    assert [tool.name for tool in first] == ["base64_encode", "base64_decode", "date"]
    assert first == second
    assert [request.path for request in kimi.requests] == [
        "/v1/formulas/moonshot/base64:latest/tools", "/v1/formulas/moonshot/date:latest/tools",
    ]  # fmt: skip
    assert first[0].parameters == emulated.list_tools("moonshot/base64:latest")["tools"][0]["function"]["parameters"]


def test_a_tool_runs_on_the_server(kimi: KimiEmulator, make: Any, way: str) -> None:
    assert run(make("moonshot/base64:latest"), way, "base64_encode", data="Grüße") == "R3LDvMOfZQ=="
    assert kimi.requests[-1].path == "/v1/formulas/moonshot/base64:latest/fibers"
    assert kimi.requests[-1].body == {"name": "base64_encode", "arguments": '{"data":"Grüße"}'}


def test_encrypted_output_is_passed_through(make: Any, way: str) -> None:
    found = run(make("moonshot/web-search:latest"), way, "web_search", query="capital of Norway")
    assert found.startswith("----MOONSHOT ENCRYPTED BEGIN----")
    assert found.endswith("----MOONSHOT ENCRYPTED END----")
    assert "Oslo" in str(decrypt(found))


def test_a_failed_run_says_why(make: Any, way: str) -> None:
    with pytest.raises(
        KimiFormulaError, match="convert of moonshot/convert:latest failed: unknown unit 'ell'"
    ) as caught:
        run(make("moonshot/convert:latest"), way, "convert", value=1, from_unit="ell", to_unit="m")
    assert caught.value.uri == "moonshot/convert:latest"
    assert caught.value.name == "convert"
    assert str(caught.value.fiber_id).startswith("fiber-")
    assert KEY not in repr(caught.value)


def test_an_unknown_formula_is_named_with_those_known(make: Any, way: str) -> None:
    with pytest.raises(
        KimiFormulaError, match=r"There is no formula 'acme/x:v1'.*moonshot/web-search:latest"
    ) as caught:
        tools(make("acme/x:v1"), way)
    assert caught.value.__cause__ is not None


def test_a_wrong_key_is_its_own_error(make: Any, way: str) -> None:
    with pytest.raises(KimiAuthenticationError):
        tools(make("moonshot/date:latest", api_key="wrong"), way)
    formulas = make("moonshot/date:latest", api_key="wrong")
    with pytest.raises(KimiAuthenticationError):
        formulas.run(TOOL, {}) if way == "sync" else asyncio.run(formulas.arun(TOOL, {}))


def test_http_errors_of_a_run_are_the_tools(make: Any, way: str) -> None:
    gone = FormulaTool("moonshot/date:latest", "gone", "gone", "", {"type": "object", "properties": {}})
    formulas = make("moonshot/date:latest")
    with pytest.raises(KimiFormulaError, match=r"gone of moonshot/date:latest failed: .*has no tool 'gone'") as caught:
        formulas.run(gone, {}) if way == "sync" else asyncio.run(formulas.arun(gone, {}))
    assert caught.value.name == "gone"


def test_a_host_without_formulas(make: Any, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(
        "kimi_emulator.http.endpoints.route", lambda call: HttpAnswer({"error": {"message": "oops", "type": "x"}}, 500)
    )
    with pytest.raises(KimiServerError, match="oops"):
        tools(make("moonshot/date:latest"), way)
    with pytest.raises(KimiFormulaError, match="oops"):
        make("moonshot/date:latest").run(TOOL, {})


def test_arguments_that_are_no_json_are_refused(make: Any) -> None:
    with pytest.raises(KimiRequestError, match="date: the arguments cannot be written as JSON"):
        make("moonshot/date:latest").run(TOOL, {"when": object()})


@pytest.mark.parametrize("uris", [None, [], (), ""])
def test_no_formula_at_all(uris: Any) -> None:
    with pytest.raises(KimiRequestError, match=r"Name at least one formula|is not the uri of a formula"):
        KimiFormulas(uris, api_key=KEY)


def test_keys_come_from_the_environment(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KimiMissingKeyError):
        KimiFormulas(["moonshot/date:latest"])
    monkeypatch.setenv("MOONSHOT_API_KEY", KEY)
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    formulas = KimiFormulas("moonshot/date:latest")
    assert repr(formulas) == "KimiFormulas(['moonshot/date:latest'])"
    assert formulas.tools()[0].name == "date"
    formulas.connection.close()


def listed(*tools: Any) -> bytes:
    return json.dumps({"object": "list", "tools": list(tools)}).encode()


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"null", b'{"tools": {}}', b'{"error": {}}', b"[" * 9999])
def test_answers_that_are_no_list(content: bytes) -> None:
    with pytest.raises(KimiFormulaError, match="is not a list of tools"):
        parse_formula_tools(content, "a/b:c")


@pytest.mark.parametrize(
    "tool", [None, "x", {}, {"function": None}, {"function": {"name": ""}}, {"function": {"name": 7}}]
)
def test_things_in_a_list_that_are_no_tools(tool: Any) -> None:
    with pytest.raises(KimiFormulaError, match="a/b:c lists something that is no function"):
        parse_formula_tools(listed(tool), "a/b:c")


def test_words_of_an_answer_show_no_key() -> None:
    """Gateways repeat the request, with its header."""
    echo = {"request": {"Authorization": "Bearer sk-hush-hush-hush"}}
    with pytest.raises(KimiFormulaError) as unlisted:
        parse_formula_tools(json.dumps({"tools": [echo]}).encode(), "a/b:c")
    with pytest.raises(KimiFormulaError) as unheard:
        parse_formula_tools(json.dumps(echo).encode(), "a/b:c")
    with pytest.raises(KimiFormulaError) as failed:
        parse_fiber(json.dumps({"status": "failed", "error": echo}).encode(), TOOL)
    with pytest.raises(KimiFormulaError) as said:
        parse_fiber(json.dumps({"error": {"message": "wrong key: sk-hush-hush-hush"}}).encode(), TOOL)
    for caught in (unlisted, unheard, failed, said):
        assert "hush" not in str(caught.value)


def test_sparse_tools_are_completed() -> None:
    (tool,) = parse_formula_tools(listed({"function": {"name": "x", "description": None, "parameters": None}}), "a/b:c")
    assert tool == FormulaTool("a/b:c", "x", "x", "", {"type": "object", "properties": {}})


def fiber(**fields: Any) -> bytes:
    return json.dumps({"id": "fiber-1", "status": "succeeded", "context": {}, **fields}).encode()


@pytest.mark.parametrize(
    ("content", "result"),
    [
        (fiber(context={"output": "a\n ", "encrypted_output": "b"}), "a\n "),
        (fiber(context={"output": "", "encrypted_output": "b"}), "b"),
        (fiber(context={"output": None, "encrypted_output": " b "}), " b "),
        (fiber(context={"output": {"message": "é"}}), '{"message": "é"}'),
        (fiber(context={"output": 0}), "0"),
        (fiber(context={"output": "x", "error": None}, error=""), "x"),
        (fiber(), ""),
        (fiber(context=None), ""),
        (b'{"context": {"output": "x"}}', "x"),
    ],
)
def test_results(content: bytes, result: str) -> None:
    assert parse_fiber(content, TOOL) == result


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (fiber(status="failed", error="broken"), "failed: broken$"),
        (fiber(error={"message": "broken", "type": "x"}), "failed: broken$"),
        (fiber(error={"code": 7}), r'failed: \{"code": 7\}$'),
        (fiber(context={"error": "no such city", "output": "x"}), "failed: no such city$"),
        (fiber(status="running"), "its status is 'running'"),
        (fiber(status=None), "its status is None"),
        (b"{}", "its status is 'missing'"),
        (b"<html>Bad gateway</html>", "its status is 'missing': '<html>Bad gateway"),
        (b"", "its status is 'missing'"),
        (b"\xff" * 1000, "its status is 'missing'"),
    ],
)
def test_runs_that_failed(content: bytes, words: str) -> None:
    with pytest.raises(KimiFormulaError, match=words) as caught:
        parse_fiber(content, TOOL)
    assert len(str(caught.value)) < 1000


def tool(uri: str, name: str) -> FormulaTool:
    return FormulaTool(uri, name, name, "", {})


@pytest.mark.parametrize("backwards", [False, True])
def test_tools_of_one_name_get_names_of_their_own(backwards: bool) -> None:
    given = [
        tool("moonshot/fetch:latest", "get"),
        tool("moonshot/web-search:latest", "get"),
        tool("moonshot/date:v1.0", "now"),
        tool("acme/date:v1.0", "now"),
        tool("moonshot/date:v1.0", "then"),
    ]
    named = {(t.uri, t.remote_name): t.name for t in name_tools(given[::-1] if backwards else given)}
    assert list(map(named.get, [(t.uri, t.remote_name) for t in given])) == [
        "fetch_get", "web-search_get", "moonshot_date_v1_0_now", "acme_date_v1_0_now", "then",
    ]  # fmt: skip


def test_two_tools_of_one_name_in_one_formula_are_an_error() -> None:
    with pytest.raises(KimiFormulaError, match="a/b:c has two tools called 'x'"):
        name_tools([tool("a/b:c", "x"), tool("a/b:c", "x")])


def test_a_renamed_tool_runs_under_its_own_name(kimi: KimiEmulator, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    date = emulated.FORMULAS["moonshot/date:latest"]
    monkeypatch.setattr(emulated, "FORMULAS", {"moonshot/date:latest": date, "moonshot/clock:v2": date})
    formulas = make("moonshot/date:latest", "moonshot/clock:v2")
    assert [tool.name for tool in formulas.tools()] == ["date_date", "clock_date"]
    assert run(formulas, "sync", "clock_date", format="%Z") == "UTC"
    assert (kimi.requests[-1].path, kimi.requests[-1].body["name"]) == ("/v1/formulas/moonshot/clock:v2/fibers", "date")
