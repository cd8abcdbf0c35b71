"""Construction, secrets, copies and storage."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM

import llama_index_kimi
from kimi_emulator import KimiEmulator
from kimi_wire import profile_for
from llama_index_kimi import Kimi, KimiError, KimiMissingKeyError, KimiRequestError, KimiWarning
from tests.families import UNSEEN

SECRET = "sk-secret-abcdefgh"
HEADERS = {"X-Gateway-Token": "token-secret-abcdefgh"}
Make = Callable[..., Kimi]


def test_class_hierarchy_and_name() -> None:
    names = [base.__name__ for base in Kimi.__mro__]
    assert BaseLLM.__name__ in names
    assert FunctionCallingLLM.__name__ in names
    assert Kimi.class_name() == Kimi.__name__


def test_a_missing_key_is_an_error_at_construction_that_names_both_variables() -> None:
    with pytest.raises(KimiMissingKeyError, match=r"MOONSHOT_API_KEY.*KIMI_API_KEY"):
        Kimi()


def test_openai_variables_are_not_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with pytest.raises(KimiMissingKeyError):
        Kimi()


@pytest.mark.parametrize("variable", ["MOONSHOT_API_KEY", "KIMI_API_KEY"])
def test_the_key_comes_from_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, SECRET)
    assert Kimi().api_key.get_secret_value() == SECRET
    assert Kimi(api_key="sk-other").api_key.get_secret_value() == "sk-other"


@pytest.mark.parametrize("name", ["api_base", "base_url"])
def test_the_host_has_two_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOONSHOT_BASE_URL", "https://environment.example/v1")
    assert Kimi(api_key=SECRET).api_base == "https://environment.example/v1"
    assert Kimi(api_key=SECRET, **{name: "https://api.moonshot.cn/v1/"}).api_base == "https://api.moonshot.cn/v1"


def test_a_host_that_is_no_url_is_an_error() -> None:
    with pytest.raises(KimiRequestError, match="base_url"):
        Kimi(api_key=SECRET, api_base="api.moonshot.ai")


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        ({"temprature": 1}, "temperature"),
        ({"is_chat_model": False}, "leave it out"),
        ({"tool_choice": "any"}, "with a call"),
        ({"n": 2}, "several answers"),
    ],
)
def test_an_unknown_argument_is_an_error_with_a_hint(arguments: dict[str, Any], hint: str) -> None:
    with pytest.raises(KimiRequestError, match=hint):
        Kimi(api_key=SECRET, **arguments)


def test_the_base_class_arguments_are_taken() -> None:
    handler = TokenCountingHandler()
    llm = Kimi(
        "kimi-k2.6",
        api_key=SECRET,
        callback_manager=CallbackManager([handler]),
        system_prompt="Be brief.",
        completion_to_prompt=lambda prompt: f"<{prompt}>",
        messages_to_prompt=lambda messages: "messages",
        pydantic_program_mode="llm",
        output_parser=None,
    )
    assert llm.model == "kimi-k2.6"
    assert llm.callback_manager.handlers == [handler]
    assert llm.completion_to_prompt("a") == "<a>"


def test_secrets_are_in_nothing_that_is_shown_or_stored() -> None:
    llm = Kimi(api_key=SECRET, default_headers=HEADERS)
    assert llm._client is not None  # the client has the key
    shown = [
        repr(llm),
        str(llm),
        str(llm.to_dict()),
        llm.to_json(),
        llm.model_dump_json(),
        str(llm.to_payload()),
        repr(llm._client),
        str(Kimi.model_json_schema()),
        pickle.dumps(llm).decode("latin-1"),
        pickle.dumps(copy.deepcopy(llm)).decode("latin-1"),
    ]
    assert not [text for text in shown if "secret-abcdefgh" in text]


def test_a_dict_makes_the_same_model_again(monkeypatch: pytest.MonkeyPatch) -> None:
    llm = Kimi("kimi-k2.6", api_key=SECRET, thinking=False, stop=["END"], max_tokens=9, extra_body={"a": 1})
    stored = json.loads(llm.to_json())
    assert stored["class_name"] == "Kimi"
    with pytest.raises(KimiMissingKeyError):
        Kimi.from_dict(stored)
    monkeypatch.setenv("MOONSHOT_API_KEY", SECRET)
    assert Kimi.from_dict(stored) == llm
    assert Kimi.from_json(llm.to_json()) == llm
    assert Kimi.from_dict(stored, model="kimi-k3").model == "kimi-k3"
    assert Kimi.model_validate(llm.model_dump()).model == llm.model


def test_a_pickle_takes_the_environments_key(kimi: KimiEmulator, llm: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = llm("kimi-k2.6", thinking=False, http_client=None)
    model.complete("Hello")
    stored = pickle.dumps(model)
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-from-environment")
    copied = pickle.loads(stored)
    assert copied.to_dict() == model.to_dict()
    assert copied.complete("Hello").text
    assert kimi.requests[-1].had_key("sk-from-environment")
    copied._client.close()


def test_a_pickle_without_a_key_fails_at_the_first_call(llm: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = pickle.loads(pickle.dumps(llm()))
    assert copied.metadata.model_name == "kimi-k3"
    with pytest.raises(KimiMissingKeyError):
        copied.complete("Hello")
    monkeypatch.setenv("KIMI_API_KEY", SECRET)
    assert copied.complete("Hello").text
    copied._client.close()


def test_what_cannot_be_pickled_is_left_behind(llm: Make) -> None:
    model = llm(default_headers=HEADERS, http_client=threading.Lock(), http_async_client=threading.Lock())
    copied = pickle.loads(pickle.dumps(model))
    assert (copied.default_headers, copied.http_client, copied.http_async_client) == (None, None, None)


def test_a_deep_copy_works_and_shares_connections(kimi: KimiEmulator, llm: Make) -> None:
    handler = TokenCountingHandler(verbose=False)
    model = llm(stop=["END"], callback_manager=CallbackManager([handler]))
    model.complete("Hello")
    copied = copy.deepcopy(model)
    assert copied == model
    copied.stop.append("STOP")
    assert model.stop == ["END"]
    assert copied._client is model._client
    copied.complete("Hello")
    assert len(handler.llm_token_counts) == 2


def test_equality(llm: Make) -> None:
    assert llm() == llm()
    assert llm() != llm("kimi-k2.6")
    assert llm() != llm(api_key="sk-other")
    assert llm() != "kimi-k3"
    used = llm()
    used.complete("Hello")
    assert used == llm()


def test_fields_can_be_assigned_to(kimi: KimiEmulator, llm: Make) -> None:
    model = llm(default_headers={"X-One": "1"})
    model.complete("Hello")
    model.api_key = "sk-other"
    model.default_headers["X-One"] = "2"
    model.max_tokens = 77
    model.complete("Hello")
    assert kimi.requests[-1].had_key("sk-other")
    assert kimi.requests[-1].headers["x-one"] == "2"
    assert kimi.requests[-1].body["max_completion_tokens"] == 77
    copied = model.model_copy(update={"model": "kimi-k2.6"})
    copied.complete("Hello")
    assert kimi.requests[-1].body["model"] == "kimi-k2.6"


def test_the_payload_has_model_and_settings(llm: Make) -> None:
    payload = llm("kimi-k2.6", max_tokens=100, thinking=False).to_payload()
    assert payload["class_name"] == "Kimi"
    assert (payload["model"], payload["model_name"]) == ("kimi-k2.6", "kimi-k2.6")
    assert (payload["max_tokens"], payload["thinking"]) == (100, False)


@pytest.mark.parametrize(
    ("model", "window", "functions"),
    [
        ("kimi-k3", 1_048_576, True),
        ("kimi-k2.6", 262_144, True),
        ("moonshot-v1-8k", 8_192, True),
        ("kimi-thinking-preview", 131_072, False),
        (f"{UNSEEN}-never-heard-of", profile_for(UNSEEN).context_window, True),
        ("somebody/else-7b", 131_072, True),
        ("", 131_072, True),
    ],
)
def test_metadata_knows_every_model(model: str, window: int, functions: bool) -> None:
    metadata = Kimi(model, api_key=SECRET).metadata
    assert (metadata.context_window, metadata.is_function_calling_model) == (window, functions)
    assert (metadata.model_name, metadata.num_output, metadata.is_chat_model) == (model, -1, True)


def test_metadata_can_be_overridden() -> None:
    metadata = Kimi(api_key=SECRET, context_window=1000, max_tokens=200).metadata
    assert (metadata.context_window, metadata.num_output) == (1000, 200)


def test_settings_of_the_model_and_of_the_call(kimi: KimiEmulator, llm: Make) -> None:
    model = llm("kimi-k2.6", max_tokens=50, stop="END", prompt_cache_key="a", safety_identifier="b")
    model.chat([ChatMessage("Hello")], model="kimi-k3", reasoning_effort="low", max_tokens=60, extra_body={"x": 1})
    body = kimi.requests[-1].body
    assert body == {
        "model": "kimi-k3",
        "messages": [{"role": "user", "content": "Hello"}],
        "reasoning_effort": "low",
        "max_completion_tokens": 60,
        "stop": ["END"],
        "prompt_cache_key": "a",
        "safety_identifier": "b",
        "x": 1,
    }
    model.complete("Hello", thinking=False)
    assert kimi.requests[-1].body["thinking"] == {"type": "disabled"}
    assert kimi.requests[-1].body["max_completion_tokens"] == 50


def test_nothing_is_sent_that_nobody_asked_for(kimi: KimiEmulator, llm: Make) -> None:
    llm().complete("Hello")
    assert kimi.requests[-1].body == {"model": "kimi-k3", "messages": [{"role": "user", "content": "Hello"}]}


def test_sampling_reaches_only_models_that_take_it(kimi: KimiEmulator, llm: Make) -> None:
    model = llm("moonshot-v1-8k", temperature=0.3, top_p=0.9)
    model.complete("Hello")
    assert kimi.requests[-1].body["temperature"] == 0.3
    with pytest.warns(KimiWarning) as warned:
        model.complete("Hello", model="kimi-k3")
    assert {str(warning.message).split("; ")[1].split("=")[0] for warning in warned} == {"temperature", "top_p"}
    assert {warning.filename for warning in warned} == {__file__}
    assert "temperature" not in kimi.requests[-1].body
    model.complete("Hello", model="kimi-k3")  # one warning is enough: another is an error here


def test_strict_raises_where_others_warn(kimi: KimiEmulator, llm: Make) -> None:
    with pytest.raises(KimiRequestError, match="temperature"):
        llm(strict=True, temperature=0.3).complete("Hello")
    assert kimi.requests == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temprature": 1}, "temperature"),
        ({"n": 3}, "several answers"),
        ({"reasoning_effort": "xhigh"}, "reasoning_effort"),
        ({"max_tokens": 0}, "max_tokens"),
    ],
)
@pytest.mark.parametrize("method", ["chat", "stream_chat"])
def test_a_bad_setting_of_a_call_is_an_error_before_anything_is_sent(
    kimi: KimiEmulator, llm: Make, method: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(KimiRequestError, match=message):
        getattr(llm(), method)([ChatMessage("Hello")], **settings)
    assert kimi.requests == []


def test_errors_have_one_base() -> None:
    for name in llama_index_kimi.__all__:
        exported = getattr(llama_index_kimi, name)
        if name.endswith("Error"):
            assert issubclass(exported, KimiError)


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_importing_leaves_the_sdk_for_later() -> None:
    assert _python("import sys, llama_index_kimi; print('openai' in sys.modules)").strip() == "False"


@pytest.mark.slow
def test_without_the_framework_the_error_names_the_extra() -> None:
    code = "import sys; sys.modules['llama_index.core'] = None; import llama_index_kimi"
    assert 'ImportError: llama_index_kimi needs LlamaIndex: pip install "kimi-adapters[llama-index]"' in _python(code)
