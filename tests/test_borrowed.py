"""The words of the classes that people come from: in both classes, in the constructor and with a call."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from kimi_emulator import KimiEmulator
from kimi_wire import KimiRequestError
from kimi_wire.borrowed import WORDS, read_words
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi

KEY = "sk-given-0123456789abcdef"
CLASSES = [ChatKimi, Kimi]
Model = type[ChatKimi] | type[Kimi]

# what is given, and what the model has then
WORK: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_completion_tokens": 9}, {"max_tokens": 9}),
    ({"request_timeout": 5}, {"timeout": 5}),
    ({"stop_sequences": ["."]}, {"stop": ["."]}),
    ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
    ({"reasoning": {"effort": "low", "summary": None}}, {"reasoning_effort": "low"}),
    ({"reasoning": {"effort": None}}, {"reasoning_effort": None}),
    ({"reasoning": None}, {"reasoning_effort": None}),
    ({"model_kwargs": {"top_k": 3}}, {"extra_body": {"top_k": 3}}),
    ({"model_kwargs": {}}, {"extra_body": None}),
    ({"model_kwargs": {"max_tokens": 9}}, {"max_tokens": 9, "extra_body": None}),
    ({"model_kwargs": {"max_completion_tokens": 9, "seed": 1}}, {"max_tokens": 9, "extra_body": {"seed": 1}}),
    ({"additional_kwargs": {"prompt_cache_key": "k"}}, {"prompt_cache_key": "k"}),
    ({"additional_kwargs": {"reasoning": {"effort": "low"}}}, {"reasoning_effort": "low"}),
    (
        {"model_kwargs": {"a": 1, "b": 1}, "extra_body": {"b": 2, "c": 2}},
        {"extra_body": {"a": 1, "b": 2, "c": 2}},
    ),
    ({"model_kwargs": {"extra_body": {"b": 1}, "a": 1}}, {"extra_body": {"a": 1, "b": 1}}),
    ({"model_kwargs": {"extra_body": None, "a": 1}}, {"extra_body": {"a": 1}}),
    ({"model": "kimi-k2.6", "model_name": "kimi-k2.6"}, {"model": "kimi-k2.6"}),
    ({"model": "kimi-k2.6", "model_name": None}, {"model": "kimi-k2.6"}),
    ({"model_name": None}, {"model": "kimi-k3"}),
    ({"model_kwargs": {"a": 1}, "additional_kwargs": {"b": 2}}, {"extra_body": {"a": 1, "b": 2}}),
    ({"max_tokens": 9, "max_completion_tokens": 9}, {"max_tokens": 9}),
    *(({name: word.only}, {"extra_body": None}) for name, word in WORDS.items() if word.only is not None),
    *(
        ({name: None}, {"extra_body": None})
        for name in WORDS
        if name not in {**ChatKimi.model_fields, **Kimi.model_fields}
    ),
]
# what is given, and what the error says
MEAN_NOTHING: list[tuple[dict[str, Any], str]] = [
    ({"reasoning": {"effort": "low", "summary": "auto"}}, "Write reasoning_effort="),
    ({"reasoning": "low"}, "Write reasoning_effort="),
    ({"model_kwargs": [("a", 1)]}, "model_kwargs must be a mapping"),
    ({"max_tokens": 9, "additional_kwargs": {"max_tokens": 8}}, "max_tokens is given twice, .* additional_kwargs"),
    ({"timeout": 9, "request_timeout": 8}, "timeout is given twice"),
    ({"model": "kimi-k2.6", "model_kwargs": {"model": "kimi-k2.7-code"}}, "model is given twice"),
    ({"model": "kimi-k2.6", "model_name": "kimi-k2.7-code"}, "model is given twice"),
    ({"model_kwargs": {"extra_body": [1], "a": 1}}, "extra_body is given twice"),
    ({"model_kwargs": {"extra_headers": {"X": "hush"}}}, "extra_headers in model_kwargs is no field.*default_headers"),
    ({"additional_kwargs": {"extra_query": {"a": 1}}}, "extra_query in additional_kwargs is no field.*http_client"),
    ({"timeout": "soon"}, "valid number|timeout='soon' is not a number of seconds"),
    ({"request_timeout": "soon"}, "valid number|timeout='soon' is not a number of seconds"),
    ({"is_chat_model": False}, "Every Kimi model is a chat model"),
    ({"is_function_calling_model": False}, "give no tools"),
    ({"reuse_client": False}, "http_client"),
    ({"stream_usage": False}, "stream_options"),
    ({"organization": "org-1"}, "default_headers"),
    ({"openai_proxy": "http://localhost:1"}, "http_client"),
    ({"tokenizer": len}, "KimiTokenizer"),
]


def make(cls: Model, **given: Any) -> Any:
    return cls(**{"api_key": KEY, **given})


@pytest.mark.parametrize("model", CLASSES)
@pytest.mark.parametrize(("given", "expected"), WORK)
def test_words_work(model: Model, given: dict[str, Any], expected: dict[str, Any]) -> None:
    made = make(model, **given)
    assert {name: getattr(made, name) for name in expected} == expected


@pytest.mark.parametrize("model", CLASSES)
@pytest.mark.parametrize(("given", "said"), MEAN_NOTHING)
def test_what_means_nothing_says_what_to_write(model: Model, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):  # KimiRequestError, or Pydantic's in LangChain
        make(model, **given)


@pytest.mark.parametrize("model", CLASSES)
def test_every_word_without_a_meaning_has_advice(model: Model) -> None:
    for name, word in WORDS.items():
        own = name in model.model_fields or name in ("base_url", "api_base")
        if not word.here and not own:
            with pytest.raises(ValueError, match=r"\. [A-Z]") as caught:
                make(model, **{name: "x"})
            assert word.advice in str(caught.value)
        assert word.here or word.advice.endswith(".")


@pytest.mark.parametrize("model", CLASSES)
@pytest.mark.parametrize("key", ["openai_api_key", "moonshot_api_key", "api_key"])
@pytest.mark.parametrize("address", ["openai_api_base", "api_base", "base_url"])
def test_keys_and_addresses(kimi: KimiEmulator, model: Model, key: str, address: str) -> None:
    made: Any = model(**{key: KEY, address: kimi.base_url})
    _ = made.invoke("hi") if model is ChatKimi else made.complete("hi")
    assert kimi.requests[-1].had_key(KEY)
    assert KEY not in repr(made)
    made._client.close()


@pytest.mark.parametrize("model", CLASSES)
@pytest.mark.parametrize("wrong", [{"is_chat_model": False}, {"temprature": 1}, {"timeout": "soon"}])
def test_a_borrowed_key_is_in_no_frame(model: Model, wrong: dict[str, Any]) -> None:
    try:
        model(openai_api_key=KEY, openai_api_base="http://user:secret-word@localhost:1/v1", **wrong)
    except ValueError as error:
        frames = traceback.TracebackException.from_exception(error, capture_locals=True).format()
        ours = "".join(frame for frame in frames if __file__ not in frame)
    assert KEY not in ours
    if model is ChatKimi:
        assert "secret-word" not in ours


CALLS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_completion_tokens": 900}, {"max_completion_tokens": 900}),
    ({"model_name": "kimi-k2.6"}, {"model": "kimi-k2.6"}),
    ({"reasoning": {"effort": "low"}}, {"reasoning_effort": "low"}),
    ({"model_kwargs": {"top_k": 3, "max_tokens": 900}}, {"top_k": 3, "max_completion_tokens": 900}),
    ({"request_timeout": 50, "stream_usage": True}, {"model": "kimi-k3"}),
]


@pytest.mark.parametrize("way", ["sync", "async", "stream"])
@pytest.mark.parametrize(("given", "expected"), CALLS)
async def test_words_work_with_a_call(
    kimi: KimiEmulator, way: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    chat, llm = ChatKimi(api_key=KEY, base_url=kimi.base_url), Kimi(api_key=KEY, api_base=kimi.base_url)
    if way == "sync":
        chat.invoke("hi", **given)
        llm.complete("hi", **given)
    elif way == "async":
        await chat.ainvoke("hi", **given)
        await llm.acomplete("hi", **given)
    else:
        list(chat.stream("hi", **given))
        list(llm.stream_complete("hi", **given))
    assert len(kimi.requests) == 2
    for request in kimi.requests:
        assert {name: request.body.get(name) for name in expected} == expected
    for model in (chat, llm):
        await model._client.aclose()


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("name", ["extra_body", "model_kwargs"])
def test_the_method_says_whether_an_answer_is_streamed(kimi: KimiEmulator, name: str, streamed: bool) -> None:
    """A field `stream` of somebody else's body had the answer come in a form that nobody reads, and paid for."""
    for given, called in (({name: {"stream": streamed}}, {}), ({}, {name: {"stream": streamed}})):
        chat: Any = ChatKimi(api_key=KEY, base_url=kimi.base_url, **given)
        llm: Any = Kimi(api_key=KEY, api_base=kimi.base_url, **given)
        assert chat.invoke("hi", **called).text == "".join(chunk.text for chunk in chat.stream("hi", **called))
        assert llm.complete("hi", **called).text == list(llm.stream_complete("hi", **called))[-1].text
    assert [request.body.get("stream") for request in kimi.requests] == [None, True] * 4


def test_two_names_of_a_key() -> None:
    with pytest.raises(ValueError, match="api_key is given twice") as caught:
        make(ChatKimi, kimi_api_key="sk-another-0123456789")
    assert "0123456789" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model_kwargs": {"extra_query": {"a": 1}}}, "extra_query in model_kwargs is no field"),
        ({"request_timeout": "soon"}, "timeout='soon' is not a number of seconds"),
        ({"organization": "x"}, "default_headers"),
        ({"openai_api_key": KEY}, "'api_key' cannot be given with a call"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "given twice"),
    ],
)
@pytest.mark.parametrize("ask", [lambda: ChatKimi(api_key=KEY).invoke, lambda: Kimi(api_key=KEY).complete])
def test_what_means_nothing_with_a_call(ask: Callable[[], Any], given: dict[str, Any], said: str) -> None:
    with pytest.raises(KimiRequestError, match=said):
        ask()("hi", **given)


def test_other_names_and_the_input_stay_as_they_are() -> None:
    given = {"base_url": "u", "model_kwargs": {"a": {"b": 1}}, "zzz": 1}
    assert read_words(given, ("base_url",)) == {"base_url": "u", "zzz": 1, "extra_body": {"a": {"b": 1}}}
    assert given == {"base_url": "u", "model_kwargs": {"a": {"b": 1}}, "zzz": 1}
