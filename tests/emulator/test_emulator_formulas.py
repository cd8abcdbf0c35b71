"""The emulator's official tools: lists, runs, encrypted output."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_emulator import KimiEmulator
from kimi_emulator.sealed import BEGIN, END, decrypt, encrypt
from kimi_emulator.services.formulas import FORMULAS


@pytest.fixture
def run(kimi: KimiEmulator, http_send: Callable[..., Any]) -> Callable[..., Any]:
    """Run a tool: ``run("date", "date", format="%Y")``."""

    def run(formula: str, name: str, /, **arguments: Any) -> Any:
        body = {"name": name, "arguments": json.dumps(arguments)}
        return http_send(kimi, body, path=f"/formulas/moonshot/{formula}:latest/fibers")

    return run


def output(answer: Any) -> str:
    assert answer.status == 200
    assert answer.json["status"] == "succeeded"
    return str(answer.json["context"]["output"])


@pytest.mark.parametrize("uri", FORMULAS)
def test_formulas_list_their_tools(kimi: KimiEmulator, http_send: Callable[..., Any], uri: str) -> None:
    listed = http_send(kimi, path=f"/formulas/{uri}/tools").json
    assert listed["object"] == "list"
    assert [tool["function"]["name"] for tool in listed["tools"]] == [tool.name for tool in FORMULAS[uri]]
    asked = http_send(
        kimi, {"model": "kimi-k3", "messages": [{"role": "user", "content": "Hi"}], "tools": listed["tools"]}
    )
    assert asked.status == 200


def test_a_fiber_has_the_documented_form(run: Callable[..., Any]) -> None:
    fiber = run("base64", "base64_encode", data="abc").json
    assert list(fiber) == [
        "id", "object", "created_at", "lambda_id", "status", "context", "formula", "organization_id", "project_id",
    ]  # fmt: skip
    assert fiber["id"].startswith("fiber-")
    assert fiber["object"] == "fiber"
    assert list(fiber["context"]) == ["input", "output"]


def test_the_tools_do_what_they_say(run: Callable[..., Any]) -> None:
    assert output(run("base64", "base64_encode", data="é", encoding="latin-1")) == "6Q=="
    assert output(run("base64", "base64_decode", data="w6k=")) == "é"
    assert output(run("convert", "convert", value=5, from_unit="km", to_unit="mile")) == "3.10686 mile"
    assert output(run("random-choice", "random_choice", candidates=["a", "b"])) in "ab"
    assert sorted(json.loads(output(run("random-choice", "random_choice", candidates=["a", "b"], count=2)))) == [
        "a",
        "b",
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \w+day", output(run("date", "date")))
    assert output(run("date", "date", utc_offset=8, format="%z")) == "+0800"


@pytest.mark.parametrize(
    ("formula", "name", "arguments", "words"),
    [
        ("convert", "convert", {"value": 1}, "missing required argument: from_unit"),
        ("convert", "convert", {"value": "1", "from_unit": "m", "to_unit": "m"}, "value must be of type number, not string"),
        ("convert", "convert", {"value": True, "from_unit": "m", "to_unit": "m"}, "not bool"),
        ("convert", "convert", {"value": 1, "from_unit": "m", "to_unit": "ell"}, "unknown unit 'ell'"),
        ("convert", "convert", {"value": 1, "from_unit": "m", "to_unit": "kg"}, "m is a length, kg is a mass"),
        ("date", "date", {"zone": "x"}, "unknown argument: zone"),
        ("date", "date", {"utc_offset": 99}, "between -14 and 14"),
        ("base64", "base64_decode", {"data": "?"}, "not base64"),
        ("base64", "base64_decode", {"data": "/w=="}, "not base64"),
        ("base64", "base64_encode", {"data": "a", "encoding": "klingon"}, "unknown encoding"),
        ("base64", "base64_encode", {"data": "é", "encoding": "ascii"}, "codec can't encode"),
        ("random-choice", "random_choice", {"candidates": []}, "cannot choose 1 of 0"),
    ],
)  # fmt: skip
def test_failures_are_a_status(run: Callable[..., Any], formula: str, name: str, arguments: Any, words: str) -> None:
    fiber = run(formula, name, **arguments).json
    assert fiber["status"] == "failed"
    assert words in fiber["context"]["error"]
    assert "output" not in fiber["context"]


@pytest.mark.parametrize("arguments", ["[]", "{", "[" * 100_000, ""])
def test_arguments_that_are_no_object(kimi: KimiEmulator, http_send: Callable[..., Any], arguments: str) -> None:
    answer = http_send(kimi, {"name": "date", "arguments": arguments}, path="/formulas/moonshot/date:latest/fibers")
    assert (answer.status, answer.json["status"]) == (200, "failed")


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/formulas/moonshot/x:latest/tools", None, 404, "Not found the formula moonshot/x:latest"),
        ("/formulas/moonshot/x:latest/fibers", {"name": "date", "arguments": "{}"}, 404, "Not found the formula"),
        ("/formulas/moonshot/date:latest/fibers", {"name": "x", "arguments": "{}"}, 400, "has no tool 'x'"),
        ("/formulas/moonshot/date:latest/fibers", {"name": "date", "arguments": {}}, 400, "object is not acceptable"),
        ("/formulas/moonshot/date:latest/fibers", {"name": "date"}, 400, "null is not acceptable"),
        ("/formulas/moonshot/date:latest/fibers", [], 400, "has no tool None"),
        ("/formulas/moonshot/date:latest", None, 404, "Not found: GET"),
    ],
)
def test_requests_that_are_refused(
    kimi: KimiEmulator, http_send: Callable[..., Any], path: str, body: Any, status: int, words: str
) -> None:
    answer = http_send(kimi, body, path=path)
    assert answer.status == status
    assert words in answer.error


def test_the_key_is_checked(kimi: KimiEmulator, http_send: Callable[..., Any]) -> None:
    assert http_send(kimi, path="/formulas/moonshot/date:latest/tools", key=None).status == 401


@given(st.text(), st.integers(0, 10_000), st.sampled_from("Ax="))
def test_encrypted_text_comes_back_only_unchanged(text: str, at: int, other: str) -> None:
    wrapped = encrypt(text.encode("utf-8", "replace").decode())
    assert decrypt(wrapped) == text.encode("utf-8", "replace").decode()
    inside = wrapped.removeprefix(BEGIN).removesuffix(END)
    changed = inside[: at % len(inside)] + other + inside[at % len(inside) :]
    assert decrypt(f"{BEGIN}{changed}{END}") is None
    assert decrypt(inside) is None


def test_what_is_no_encrypted_text() -> None:
    assert decrypt("Oslo") is None
    assert decrypt(BEGIN + base64.b64encode(b"short").decode() + END) is None


def test_the_model_reads_encrypted_results(run: Callable[..., Any], ask: Callable[..., Any]) -> None:
    fiber = run("web-search", "web_search", query="capital of Norway").json
    wrapped = fiber["context"]["encrypted_output"]
    assert "output" not in fiber["context"]
    assert wrapped.startswith(BEGIN)
    assert wrapped.endswith(END)
    call = {"id": "w_0", "type": "function", "function": {"name": "web_search", "arguments": '{"query":"x"}'}}
    messages = [
        {"role": "user", "content": "What is the capital of Norway?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "w_0", "content": wrapped},
    ]
    assert "Oslo" in ask(messages=messages).message["content"]
    messages[2]["content"] = wrapped[:-40] + wrapped[-39:]
    assert "encrypted content that was changed" in ask(messages=messages).error
