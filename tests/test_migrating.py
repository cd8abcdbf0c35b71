"""Every name of the classes that people come from: what becomes of it in both classes, and on docs/migrating.md."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, ToolMessage
from llama_index.core.llms import ChatMessage
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from kimi_emulator import KimiEmulator
from kimi_wire import KimiWarning
from kimi_wire.borrowed import LEFT_OUT, WORDS
from kimi_wire.settings import SETTINGS
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.peers import ARGUMENTS, CALL, MODULES, read_arguments, read_call, read_class
from tests.word_table import CHAIN, INDEX, PAGE, columns, render_tables, tables

NOBODY = "http://127.0.0.1:9/v1"
KEY = "sk-given-0123456789abcdef"
BY_KWARGS = {"previous_response_id"}  # named by no signature
OPTIONS = {"timeout", "max_retries", "extra_headers"}
NAMES = sorted({*WORDS, *CHAIN, *INDEX})
Model = type[ChatKimi] | type[Kimi]
both = pytest.mark.parametrize("model", [ChatKimi, Kimi])


def own_names(model: Model) -> set[str]:
    return {name for field, info in model.model_fields.items() for name in (field, info.alias) if name}


def asking(model: ChatKimi | Kimi) -> Callable[..., Any]:
    return model.invoke if isinstance(model, ChatKimi) else model.complete


def heard(call: Callable[[], Any]) -> str:
    """What an error or a warning says; nothing where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            call()
        except Exception as error:
            return str(error)
    return ""


def installed(*names: str) -> list[Any]:
    """Classes that people come from, each left out where it is not installed."""
    return [pytest.param(name, marks=pytest.mark.needs(MODULES[name]), id=name) for name in names]


@pytest.mark.parametrize("name", installed(*MODULES))
def test_the_names_are_those_of_the_class(name: str) -> None:
    assert read_arguments(name) == ARGUMENTS[name]


def test_the_names_of_a_call_are_those_of_the_sdk() -> None:
    assert read_call() - CALL == set()  # older versions have fewer


@pytest.mark.says(
    "docs/migrating.md",
    "What means nothing is an error that says what to write",
)
@both
@pytest.mark.parametrize("name", NAMES)
def test_a_constructor_names_the_right_thing(model: Model, name: str) -> None:
    value = object()
    said = heard(lambda: model(**{"api_key": KEY, name: value}))
    word = WORDS.get(name)
    if name in own_names(model):
        assert "is not an argument" not in said
        assert "is a word of" not in said
    elif word is None:
        assert name in SETTINGS or name in OPTIONS
        assert "Give it with a call." in said or "a response of LlamaIndex has one" in said
    elif word.here:
        assert re.search(f"is given twice|{word.here}|must be a mapping", said) or not said
        if not said:
            assert getattr(model(**{"api_key": KEY, name: value}), word.here) is value
    else:
        assert name in said
        assert word.advice in said


OF_THE_OBJECT = {"api_base", "context_window", "streaming"}  # a field of one of the two classes, or of both
# What LangChain's `invoke` takes in its `config`, and `stream`, which it says itself when it streams.
IN_CONFIG = {"callbacks", "tags", "metadata", "stream"}


CALLS = [(model, name) for model in (ChatKimi, Kimi) for name in NAMES if model is Kimi or name not in IN_CONFIG]


@pytest.mark.parametrize(("model", "name"), CALLS)
def test_a_call_names_the_right_thing(model: Model, name: str) -> None:
    value = 5 if name == "stream_chunk_timeout" else object()
    said = heard(lambda: asking(model(api_key=KEY, base_url=NOBODY))("hi", **{name: value}))
    word = WORDS.get(name)
    here = (word.here if word else "") or name
    if here in SETTINGS or here in OPTIONS:
        assert said
        assert "is not a setting" not in said
        assert "is a word of" not in said
    elif word is None or word.here or name in OF_THE_OBJECT:
        assert f"{here if name not in OF_THE_OBJECT else name!r} cannot be given with a call. It belongs to" in said
    else:
        assert name in said
        assert word.advice in said


@pytest.mark.parametrize(("model", "name"), [call for call in CALLS if call[1] in LEFT_OUT])
def test_a_call_goes_out_without_what_is_not_kimis(kimi: KimiEmulator, model: Model, name: str) -> None:
    made = model(api_key=KEY, base_url=kimi.base_url)
    with pytest.warns(KimiWarning, match=re.escape(f"{name} is left out of the request. {WORDS[name].advice}")):
        asking(made)("hi", **{name: "x"})
    assert name not in kimi.requests[-1].body
    made = model(api_key=KEY, base_url=kimi.base_url, model_kwargs={name: "x"})
    assert made.extra_body == {name: "x"}


def test_every_name_is_on_the_page_in_its_column() -> None:
    assert render_tables() in PAGE.read_text("utf-8")
    shown = [columns(names) for rows in tables().values() for names in rows.values()]
    assert {name for chain, _ in shown for name in chain} >= CHAIN
    assert {name for _, index in shown for name in index} >= INDEX
    assert {name for row in shown for column in row for name in column} == set(NAMES)


@pytest.mark.parametrize("name", MODULES)
def test_a_word_is_of_a_class_that_has_it(name: str) -> None:
    had = ARGUMENTS[name] | CALL
    assert [word for word, known in WORDS.items() if known.of == name and word not in had | BY_KWARGS] == []


def test_what_is_the_same_is_taken() -> None:
    rows = {said: names for part in tables().values() for said, names in part.items()}
    for name in rows["the same"]:
        assert name not in CHAIN or name in own_names(ChatKimi)
        assert name not in INDEX or name in own_names(Kimi) or name == "n"


# What the page says of every day: of those classes where they are installed, and of these.

QUESTION = "What is the weather in Oslo?"
TEMPERATURE = "invalid temperature: only 1 is allowed for this model"
MISSING = "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1"
FORCED = "tool_choice '{}' is incompatible with thinking enabled"


class City(BaseModel):
    """A city."""

    name: str


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


TOOL = FunctionTool.from_defaults(get_weather)


def second_step_in_langchain(model: Any) -> Any:
    asked = HumanMessage(QUESTION)
    bound = model.bind_tools([get_weather])
    called = bound.invoke([asked])
    results = [ToolMessage("Sunny.", tool_call_id=call["id"]) for call in called.tool_calls]
    assert results
    return bound.invoke([asked, called, *results])


def second_step_in_llama_index(llm: Any) -> Any:
    asked = ChatMessage(QUESTION)
    called = llm.chat_with_tools([TOOL], chat_history=[asked])
    results = [
        ChatMessage(role="tool", content="Sunny.", additional_kwargs={"tool_call_id": call.tool_id})
        for call in llm.get_tool_calls_from_response(called)
    ]
    assert results
    return llm.chat_with_tools([TOOL], chat_history=[asked, called.message, *results])


@pytest.mark.says(
    "docs/migrating.md",
    '`temperature=0`: 400 "invalid temperature: only 1 is allowed for this model"',
    '`message.additional_kwargs["reasoning_content"]`: `ChatOpenAI` has none',
    '400 "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1" (kimi-k2.6); not with `ChatMoonshot`',
    "400 \"tool_choice 'required' is incompatible with thinking enabled\" (kimi-k2.6)",
    "which the other two use for `json_schema` too: 400 \"tool_choice 'specified' is incompatible with thinking enabled\"",
    "None in a stream without `stream_usage=True`, but for `ChatMoonshot`",
    "`model.profile`: None",
    "`ChatOpenAI` waits for ever, the others 600 s; `astream` may be silent for 120 s; two retries",
)
@pytest.mark.parametrize("name", installed("ChatOpenAI", "ChatMoonshot", "ChatDeepSeek"))
def test_what_langchains_classes_do(kimi: KimiEmulator, name: str) -> None:
    cls = read_class(name)
    thinks = cls(model="kimi-k2.6", base_url=kimi.base_url, api_key=KEY)
    own = name == "ChatMoonshot"
    assert TEMPERATURE in heard(
        lambda: cls(model="kimi-k3", base_url=kimi.base_url, api_key=KEY, temperature=0).invoke("hi")
    )
    assert (MISSING in heard(lambda: second_step_in_langchain(thinks))) is not own
    forced = thinks.bind_tools([get_weather], tool_choice="any")
    assert FORCED.format("required") in heard(lambda: forced.invoke(QUESTION))
    for method in ("function_calling",) if name == "ChatOpenAI" else ("function_calling", "json_schema"):
        asks = thinks.with_structured_output(City, method=method)
        assert FORCED.format("specified") in heard(partial(asks.invoke, "Where is the Eiffel tower?"))
    said = thinks.invoke("hi")
    assert ("reasoning_content" in said.additional_kwargs) is (name != "ChatOpenAI")
    assert said.usage_metadata["input_tokens"] > 0
    assert any(chunk.usage_metadata for chunk in thinks.stream("hi")) is own
    assert thinks.profile is None
    waits = thinks.root_client.timeout
    assert waits is None if name == "ChatOpenAI" else waits.read == 600
    assert thinks.root_client.max_retries == 2
    assert thinks.stream_chunk_timeout == 120


@pytest.mark.says(
    "docs/migrating.md",
    "the same 400 with no argument at all: their own default is 0.1",
    "`chat_with_tools(tools, ..., tool_required=True)`: the same 400",
    "a 400, in `OpenAILike` without `should_use_structured_outputs=True`",
    '`response.additional_kwargs["prompt_tokens"]`: none in a stream',
    "`response.raw`, an object of the SDK: `raw.usage.prompt_tokens`",
    "3,900, or 64,000 in `DeepSeek`, unless you say it",
    "60 s and three retries",
)
@pytest.mark.parametrize("name", installed("OpenAILike", "DeepSeek"))
def test_what_llama_indexs_classes_do(kimi: KimiEmulator, name: str) -> None:
    cls = read_class(name)
    told = {"is_chat_model": True, "is_function_calling_model": True} if name == "OpenAILike" else {}
    server = {"api_base": kimi.base_url, "api_key": KEY, **told}
    assert TEMPERATURE in heard(lambda: cls("kimi-k3", **server).chat([ChatMessage("hi")]))
    thinks = cls("kimi-k2.6", temperature=1, **server)
    assert MISSING in heard(lambda: second_step_in_llama_index(thinks))
    assert FORCED.format("required") in heard(lambda: thinks.chat_with_tools([TOOL], QUESTION, tool_required=True))
    assert "400" in heard(lambda: thinks.structured_predict(City, PromptTemplate("Where is the Eiffel tower?")))
    if name == "OpenAILike":
        holds = cls("kimi-k2.6", temperature=1, should_use_structured_outputs=True, **server)
        assert holds.structured_predict(City, PromptTemplate("Where is the Eiffel tower?")).name
    assert (thinks.timeout, thinks.max_retries) == (60, 3)
    said = thinks.chat([ChatMessage("hi")])
    assert said.raw.usage.prompt_tokens == said.additional_kwargs["prompt_tokens"] > 0
    assert [block.block_type for block in said.message.blocks] == ["thinking", "text"]
    assert "prompt_tokens" not in list(thinks.stream_chat([ChatMessage("hi")]))[-1].additional_kwargs
    assert thinks.metadata.context_window == (3900 if name == "OpenAILike" else 64_000)


@pytest.mark.says(
    "docs/migrating.md",
    "One that the model does not take is left out with a warning",
    "in LangChain a block of `content_blocks` too",
    "the thinking goes back as it came",
    "taken by every model",
    "any `method`",
    "streamed or not, with cached and thinking tokens",
    "what is known of the model",
)
def test_what_chat_kimi_does(kimi: KimiEmulator) -> None:
    thinks = ChatKimi(model="kimi-k2.6", base_url=kimi.base_url, api_key=KEY)
    with pytest.warns(KimiWarning, match="temperature"):
        ChatKimi(base_url=kimi.base_url, api_key=KEY, temperature=0).invoke("hi")
    assert second_step_in_langchain(thinks).text
    assert thinks.bind_tools([get_weather], tool_choice="any").invoke(QUESTION).tool_calls
    for method in ("function_calling", "json_schema", "json_mode"):
        assert isinstance(thinks.with_structured_output(City, method=method).invoke("Where is the Eiffel tower?"), City)
    said, chunks = thinks.invoke("hi"), list(thinks.stream("hi"))
    assert said.additional_kwargs["reasoning_content"]
    assert [block["type"] for block in said.content_blocks] == ["reasoning", "text"]
    (usage,) = [chunk.usage_metadata for chunk in chunks if chunk.usage_metadata]
    assert usage["input_token_details"]["cache_read"] > 0
    assert usage["output_token_details"]["reasoning"] > 0
    assert (thinks.profile or {})["max_input_tokens"] == 262_144


@pytest.mark.says(
    "docs/migrating.md",
    "the thinking goes back as it came",
    "taken by every model",
    '`raw` is a dict: `raw["usage"]["prompt_tokens"]`',
    "streamed or not, with cached and thinking tokens",
)
def test_what_kimi_does(kimi: KimiEmulator) -> None:
    thinks = Kimi(model="kimi-k2.6", api_base=kimi.base_url, api_key=KEY)
    assert second_step_in_llama_index(thinks).message.content
    assert thinks.chat_with_tools([TOOL], QUESTION, tool_required=True).message.blocks[-1].block_type == "tool_call"
    assert isinstance(thinks.structured_predict(City, PromptTemplate("Where is the Eiffel tower?")), City)
    said, last = thinks.chat([ChatMessage("hi")]), list(thinks.stream_chat([ChatMessage("hi")]))[-1]
    assert [block.block_type for block in said.message.blocks] == ["thinking", "text"]
    assert said.raw["usage"]["prompt_tokens"] == said.additional_kwargs["prompt_tokens"] > 0
    assert last.additional_kwargs["cached_tokens"] > 0
    assert last.additional_kwargs["reasoning_tokens"] > 0
    assert thinks.metadata.context_window == 262_144


@pytest.mark.says("docs/migrating.md", "Methods have the frameworks' own parameters")
@pytest.mark.parametrize(
    ("ours", "frameworks", "names"),
    [
        (ChatKimi, BaseChatModel, ["bind_tools", "with_structured_output", "get_num_tokens_from_messages"]),
        (
            Kimi,
            FunctionCallingLLM,
            ["chat_with_tools", "get_tool_calls_from_response", "structured_predict", "predict_and_call"],
        ),
    ],
)
def test_methods_have_the_frameworks_parameters(ours: Any, frameworks: Any, names: list[str]) -> None:
    for name in names:
        taken = inspect.signature(getattr(ours, name)).parameters
        assert taken.keys() >= inspect.signature(getattr(frameworks, name)).parameters.keys(), name


def test_the_notebook_has_what_the_server_said_before() -> None:
    book = json.loads((PAGE.parent.parent / "notebooks" / "09-migrating.ipynb").read_text("utf-8"))
    put_out = json.dumps([cell["outputs"] for cell in book["cells"] if cell["cell_type"] == "code"])
    for words in (MISSING, TEMPERATURE, FORCED.format("required"), FORCED.format("specified")):
        assert f"400: {words}" in put_out
