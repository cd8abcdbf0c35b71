"""Models and messages that are written down and read again."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from langchain_core.load import dumpd, dumps, load, loads
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, message_to_dict, messages_from_dict
from langchain_core.messages.utils import message_chunk_to_message
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire.errors import KimiMissingKeyError
from langchain_kimi import ChatKimi
from langchain_kimi.messages import render_message

pytestmark = pytest.mark.filterwarnings("ignore:The function `loads?` is in beta")

SECRET = "sk-secret-0123456789abcdef"


def model(kimi: KimiEmulator, **arguments: Any) -> ChatKimi:
    return ChatKimi(api_key=SECRET, base_url=kimi.base_url, **arguments)


def test_a_model_comes_back_with_the_environments_key(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    original = model(kimi, model="kimi-k2.6", thinking=False, max_tokens=7, default_headers={"X": "header-secret"})
    written = dumps(original)
    assert SECRET not in written
    assert "header-secret" not in written
    assert json.loads(written)["id"] == ["langchain_kimi", "chat_models", "ChatKimi"]
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-environment")
    options: dict[str, Any] = {
        "valid_namespaces": ["langchain_kimi"],
        "allowed_objects": [ChatKimi],
        "secrets_from_env": True,
    }
    read = loads(written, **options)
    assert isinstance(read, ChatKimi)
    assert (read.model_name, read.thinking, read.max_tokens, read.base_url) == ("kimi-k2.6", False, 7, kimi.base_url)
    assert read.kimi_api_key.get_secret_value() == "sk-environment"
    assert dumpd(load(dumpd(original), **options)) == dumpd(original)


def test_both_names_of_the_model_and_of_the_key_read_and_set_one_field(kimi: KimiEmulator) -> None:
    original = model(kimi, model="kimi-k2.6")
    for name, field in (("model", "model_name"), ("api_key", "kimi_api_key")):
        assert getattr(original, name) is getattr(original, field)
    original.model, original.api_key = "kimi-k2.5", "sk-set-0123456789abcdef"
    assert (original.model_name, original.kimi_api_key) == ("kimi-k2.5", "sk-set-0123456789abcdef")
    assert "sk-set" not in repr(original) + str(original)
    for names in (("model", "api_key"), ("model_name", "kimi_api_key")):
        copied = original.model_copy(update=dict(zip(names, ("kimi-k2.7-code", SECRET), strict=True)))
        copied.invoke("hi")
        assert kimi.requests[-1].body["model"] == "kimi-k2.7-code"
        assert kimi.requests[-1].had_key(SECRET)
        assert SECRET not in repr(copied)
        written = {"model_name": "kimi-k2.7-code", "kimi_api_key": SECRET, "base_url": kimi.base_url}
        renamed = dict(zip(names, ("kimi-k2.7-code", SECRET), strict=True))
        assert ChatKimi(**renamed, base_url=kimi.base_url).model_dump() == ChatKimi(**written).model_dump()


def test_a_model_is_read_as_the_docstring_says(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-environment")
    written = dumps(model(kimi))
    read = loads(written, allowed_objects=[ChatKimi], valid_namespaces=["langchain_kimi"])
    assert read.kimi_api_key.get_secret_value() == "sk-environment"
    with pytest.raises(ValueError, match="Invalid namespace") as caught:
        loads(written, allowed_objects=[ChatKimi])
    assert "sk-environment" not in str(caught.value)
    with pytest.raises(ValueError, match="Invalid namespace") as caught:
        loads(written, allowed_objects=[ChatKimi], secrets_from_env=True)
    assert "sk-environment" in str(caught.value), "core has mended its error: the docstring's warning can go"


def test_traces_list_what_was_set_and_no_default(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MOONSHOT_BASE_URL", "KIMI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    common = {"_type": "kimi-chat", "stop": None}
    assert ChatKimi(api_key=SECRET)._get_invocation_params() == {"model": "kimi-k3", **common}
    touched = model(kimi, model="kimi-k2.6", thinking=False, temperature=0.6, missing_reasoning="omit", max_retries=0)
    assert touched._get_invocation_params(max_tokens=5) == {
        "model": "kimi-k2.6",
        "base_url": kimi.base_url,
        "thinking": False,
        "temperature": 0.6,
        "missing_reasoning": "omit",
        "max_tokens": 5,
        **common,
    }
    assert touched._get_ls_params() == {
        "ls_provider": "moonshot",
        "ls_model_type": "chat",
        "ls_model_name": "kimi-k2.6",
        "ls_temperature": 0.6,
    }


def test_no_secret_in_any_form(kimi: KimiEmulator) -> None:
    secretive = model(kimi, default_headers={"X": "header-secret"})
    secretive.invoke("hi")
    for form in (repr(secretive), str(secretive), str(secretive.model_dump()), secretive.model_dump_json(), str(secretive.asdict()),
                 str(secretive._identifying_params), str(secretive._get_invocation_params())):  # fmt: skip
        assert SECRET not in form
        assert "header-secret" not in form


def test_pickling_leaves_the_key_behind(kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    original = model(kimi, model="kimi-k2.6", default_headers={"X": "header-secret"})
    original.invoke("hi")
    written = pickle.dumps(original)
    assert SECRET.encode() not in written
    assert b"header-secret" not in written
    with pytest.raises(KimiMissingKeyError):
        pickle.loads(written).invoke("hi")
    monkeypatch.setenv("KIMI_API_KEY", "sk-worker")
    read = pickle.loads(written)
    assert (read.model_name, read.base_url) == ("kimi-k2.6", kimi.base_url)
    assert read.invoke("What is 12*7?").content
    assert kimi.requests[-1].had_key("sk-worker")


REASONING = 'First «line»\n\tsecond  line \U0001f319 \\ "quoted" \u2028 end '
ARGUMENTS = '{"city":  "Parisé", "days": 1.0}'


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("reasoning", [REASONING, ""])
@pytest.mark.parametrize("output_version", ["v0", "v1"])
@pytest.mark.parametrize(
    "through",
    [
        lambda message: message,
        lambda message: loads(dumps(message), allowed_objects="messages"),
        lambda message: messages_from_dict([json.loads(json.dumps(message_to_dict(message)))])[0],
        lambda message: AIMessage.model_validate_json(message.model_dump_json()),
        lambda message: pickle.loads(pickle.dumps(message)),
        lambda message: copy.deepcopy(message),
        lambda message: JsonPlusSerializer().loads_typed(JsonPlusSerializer().dumps_typed(message)),
    ],
    ids=["as it is", "dumps", "dict", "json", "pickle", "deepcopy", "checkpoint"],
)
def test_thinking_and_calls_survive(
    kimi: KimiEmulator, streamed: bool, reasoning: str, output_version: str, through: Any
) -> None:
    """What came in goes back out, byte for byte, whatever happened to the message in between."""
    kimi.script(
        Reply("I look.", reasoning=reasoning, tool_calls=[ToolCall("get_weather", ARGUMENTS, id="get_weather:0")])
    )
    chat = model(kimi, model="kimi-k2.6", output_version=output_version)
    if streamed:
        first, *rest = chat.stream("hi")
        message = message_chunk_to_message(sum(rest, start=first))  # type: ignore[arg-type]
    else:
        message = chat.invoke("hi")
    restored = through(message)
    chat.invoke([HumanMessage("hi"), restored, ToolMessage("Sunny.", tool_call_id="get_weather:0")])
    sent = kimi.requests[-1].body["messages"][1]
    assert sent == {
        "role": "assistant",
        "content": "I look.",
        "reasoning_content": reasoning,
        "tool_calls": [
            {"id": "get_weather:0", "type": "function", "function": {"name": "get_weather", "arguments": ARGUMENTS}}
        ],
    }
    assert render_message(restored) == render_message(message)


def test_no_thinking_stays_none(kimi: KimiEmulator) -> None:
    kimi.script(Reply("I look.", tool_calls=[ToolCall("f", "{}", id="f:0")]))
    message = model(kimi, model="kimi-k3").invoke("hi")
    assert "reasoning_content" not in message.additional_kwargs
    model(kimi, model="kimi-k3").invoke([HumanMessage("hi"), message, ToolMessage("x", tool_call_id="f:0")])
    assert "reasoning_content" not in kimi.requests[-1].body["messages"][1]
