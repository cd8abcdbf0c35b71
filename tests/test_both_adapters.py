"""What both adapters do alike: one table of settings, the same bytes, one policy for keys, warnings and structured answers."""

from __future__ import annotations

import ast
import inspect
import json
import pickle
import re
import textwrap
import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.load import dumps
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import StructuredTool, tool
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, create_model

from kimi_emulator import KimiEmulator, Reply
from kimi_emulator import ToolCall as EmulatedCall
from kimi_wire import KimiWarning
from kimi_wire.hosts import AUTO, HOSTS
from kimi_wire.model_object import CONNECTION
from kimi_wire.profiles import FAMILIES
from kimi_wire.settings import CHOICES, OF_A_CALL, SETTINGS, MissingReasoning, Settings
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi, KimiStructuredOutputError

README = Path(__file__).parent.parent / "README.md"
TYPED = Path(__file__).parent / "typed"
KEY = "sk-given-0123456789abcdef"

# --- settings: one table ---

TABLE = typing.get_type_hints(Settings)
DEFAULTS = {item.name: item.default for item in fields(Settings)}
NOT_IN_LLAMA_INDEX = {"n"}  # a response of LlamaIndex has one answer

IN_LANGCHAIN = [name for name in SETTINGS if name not in OF_A_CALL]
IN_LLAMA_INDEX = [name for name in IN_LANGCHAIN if name not in NOT_IN_LLAMA_INDEX]


def plain(annotation: Any) -> Any:
    """A type as both frameworks' fields can have it: abstract collections are lists and dicts."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        return frozenset(map(plain, arguments))
    if origin is Literal:
        return arguments
    kinds = {Sequence: list, Mapping: dict}
    if origin is not None:
        return (kinds.get(origin, origin), tuple(map(plain, arguments)))
    return NoneType if annotation is None else kinds.get(annotation, annotation)


@pytest.mark.parametrize("name", IN_LANGCHAIN)
def test_langchains_fields_are_those_of_the_table(name: str) -> None:
    field = "model_name" if name == "model" else name
    assert ChatKimi.model_fields[field].default == DEFAULTS[name]
    assert plain(typing.get_type_hints(ChatKimi)[field]) == plain(TABLE[name])


@pytest.mark.parametrize("name", IN_LLAMA_INDEX)
def test_llama_indexs_fields_are_those_of_the_table(name: str) -> None:
    field = Kimi.model_fields[name]
    assert field.default == DEFAULTS[name]
    assert plain(typing.get_type_hints(Kimi)[name]) == plain(TABLE[name])
    assert field.description


def documented_fields(model: type[Any]) -> set[str]:
    """What editors show a text of, where it is an argument: fields with a docstring below them, and properties."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    pairs = zip(definition.body, definition.body[1:], strict=False)
    fields = {
        field.target.id
        for field, below in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
    }
    return fields | {name for name, thing in vars(model).items() if isinstance(thing, property) and thing.__doc__}


def documented_arguments(model: type[Any]) -> set[str]:
    """The arguments in a class's docstring."""
    return set(re.findall(r"^    (\w+): \S", inspect.getdoc(model) or "", re.MULTILINE))


@pytest.mark.parametrize("model", [ChatKimi, Kimi])
def test_editors_show_a_text_for_each_argument(model: Any) -> None:
    inherited = model.__base__.model_fields
    ours = {field.alias or name for name, field in model.model_fields.items() if name not in inherited}
    assert {*IN_LLAMA_INDEX, *CONNECTION, "api_key", "base_url"} <= ours
    assert ours - documented_fields(model) == set()


def test_checkers_are_given_every_argument() -> None:
    """And take each: mypy in `make types`, pyright in the matrix."""
    tree = ast.parse((TYPED / "arguments.py").read_text("utf-8"))
    calls = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    given = {ast.unparse(call.func): {keyword.arg for keyword in call.keywords} for call in calls}
    for model in (ChatKimi, Kimi):
        wanted = {field.alias or name for name, field in model.model_fields.items()}
        assert given[model.__name__] == wanted
    from tests.typed import arguments

    assert (arguments.CHAT.top_p, arguments.LLM.top_p) == (0.95, 0.95)


def test_each_setting_is_documented() -> None:
    assert {*SETTINGS} - documented_arguments(Settings) == set()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"reasoning_effort": "huge"}, "reasoning_effort='huge' is not one of low, high, max."),
        ({"missing_reasoning": "drop"}, "missing_reasoning='drop' is not one of placeholder, omit, error."),
        ({"unanswered_tool_calls": "Warn"}, "unanswered_tool_calls='Warn' is not one of warn, error, repair."),
        ({"empty_answers": ""}, "empty_answers='' is not one of warn, retry, error."),
        ({"remote_images": "send"}, "remote_images='send' is not one of error, download."),
        ({"prompt_cache_ttl": "7m"}, "prompt_cache_ttl='7m' is not one of 5m, 1h."),
        ({"dialect": "vlm"}, "dialect='vlm' is not one of auto, moonshot, "),
    ],
)
@pytest.mark.parametrize("model", [ChatKimi, Kimi])
def test_another_word_is_refused_by_what_knows_the_words(model: Any, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        model(api_key=KEY, **given)


def test_the_words_are_for_checkers_alone(kimi: KimiEmulator, both: Any) -> None:
    """A word that came after this version is sent, stored and read as any text."""
    said = "The documentation of kimi-k3 has no reasoning_effort='medium'"
    for model in both:
        model.reasoning_effort = "medium"
        with pytest.warns(KimiWarning, match=said):
            _ = model.invoke("hi") if isinstance(model, ChatKimi) else model.complete("hi")
        assert kimi.requests[-1].body["reasoning_effort"] == "medium"
        assert json.loads(model.model_dump_json(include={"reasoning_effort"}))["reasoning_effort"] == "medium"


def test_neither_class_has_a_setting_that_is_not_in_the_table() -> None:
    both = {*CONNECTION, "base_url"}
    langchain = set(ChatKimi.model_fields) - set(ChatKimi.__base__.model_fields)  # type: ignore[union-attr]
    assert langchain - both - {"kimi_api_key", "model_name", "streaming", "token_counting"} == {*IN_LANGCHAIN} - {
        "model"
    }
    llama_index = set(Kimi.model_fields) - set(Kimi.__base__.model_fields)  # type: ignore[union-attr]
    assert llama_index - both - {"api_key", "api_base", "context_window"} == {*IN_LLAMA_INDEX}


@pytest.mark.parametrize("name", CONNECTION)
def test_the_ways_to_the_server_have_one_default(name: str) -> None:
    assert ChatKimi.model_fields[name].default == Kimi.model_fields[name].default


def test_every_literal_is_a_row_of_a_table() -> None:
    words = {name: found for name, form in TABLE.items() if (found := literals(form))}
    efforts = dict.fromkeys(effort for family in FAMILIES for effort in family.efforts)
    assert words.pop("reasoning_effort") == tuple(efforts)
    assert words.pop("dialect") == (AUTO, *HOSTS)
    assert words == CHOICES


def literals(form: Any) -> tuple[str, ...]:
    if get_origin(form) is Literal:
        return get_args(form)
    return tuple(word for one in get_args(form) for word in literals(one))


def test_the_readme_has_a_row_for_each_setting_with_its_default() -> None:
    section = README.read_text("utf-8").partition("\n## Settings\n")[2].partition("\n## ")[0]
    columns = [line.split(" | ")[0] for line in section.splitlines() if line.startswith("| `")]
    shown = dict(re.findall(r"`(\w+)(?:=([^`]+))?`", " ".join(columns)))
    by_methods = {"tools", "tool_choice", "response_format"}  # bind_tools, chat_with_tools, with_structured_output
    assert shown.keys() == {*SETTINGS} - by_methods
    for name, default in shown.items():
        if default:
            assert ast.literal_eval(default) == DEFAULTS[name]
        else:
            assert DEFAULTS[name] in (None, 0)


# --- the same call, the same bytes ---


@pytest.fixture
def both(kimi: KimiEmulator) -> Iterator[tuple[ChatKimi, Kimi]]:
    made = ChatKimi(api_key=KEY, base_url=kimi.base_url), Kimi(api_key=KEY, api_base=kimi.base_url)
    yield made
    for model in made:
        model._client.close()


@pytest.mark.parametrize(
    "arguments", [{}, {"a": 2, "b": 3}, {"city": "Köln", "days": [1, 2.5, None], "deep": {"x": "«\n»"}}, {"n": 1e22}]
)
def test_a_call_goes_out_as_the_same_bytes(kimi: KimiEmulator, both: Any, arguments: dict[str, Any]) -> None:
    chat, llm = both
    call = {"name": "f", "args": arguments, "id": "f:0"}
    chat.invoke([HumanMessage("hi"), AIMessage("", tool_calls=[call]), ToolMessage("x", tool_call_id="f:0")])
    block = ToolCallBlock(tool_call_id="f:0", tool_name="f", tool_kwargs=arguments)
    answer = ChatMessage(role="tool", content="x", additional_kwargs={"tool_call_id": "f:0"})
    llm.chat([ChatMessage("hi"), ChatMessage(role="assistant", blocks=[block]), answer])
    ours, theirs = (request.body["messages"][1]["tool_calls"] for request in kimi.requests)
    assert ours == theirs
    assert ", " not in ours[0]["function"]["arguments"]  # as kimi-k3 writes it: {"a":2,"b":3}


# --- tools whose schemas are odd ---

ODD_SCHEMAS: dict[str, dict[str, Any]] = {
    "github": {"type": "object", "properties": {"a": {"type": "object", "required": ["b"]}}},
    "xcode": {"type": "object", "properties": {"how": {"type": "object", "enum": ["move", "copy"]}}},
    "countries": {
        "type": "object",
        "properties": {"one": {"type": "string", "enum": [f"c{at}" for at in range(1500)]}},
    },
    "schemas": {"type": "object", "properties": {"s": {"$ref": "http://json-schema.org/draft-07/schema#"}}},
    "date": {
        "type": "object",
        "properties": {"v": {"description": "o", "anyOf": [{"type": "string", "format": "uri"}, {"type": "null"}]}},
    },
    "several": {
        "type": "object",
        "properties": {
            "v": {"title": "Or an E", "description": "o", "anyOf": [{"type": "null", "title": "An F"}, {"const": "a"}]}
        },
    },
    "anything": {"type": "object", "properties": {"value": {}}, "required": ["value"]},
    "plain": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
ODD_TOOLS = [
    {"type": "function", "function": {"name": name, "description": name, "parameters": schema}}
    for name, schema in ODD_SCHEMAS.items()
]


async def send_langchain(chat: ChatKimi, way: str, tools: list[Any]) -> None:
    bound = chat.bind_tools(tools)
    if way == "sync":
        bound.invoke("hi")
    elif way == "async":
        await bound.ainvoke("hi")
    elif way == "stream":
        list(bound.stream("hi"))
    else:
        [one async for one in bound.astream("hi")]


async def send_llama_index(llm: Kimi, way: str, tools: list[Any]) -> None:
    if way == "sync":
        llm.chat_with_tools(tools, "hi")
    elif way == "async":
        await llm.achat_with_tools(tools, "hi")
    elif way == "stream":
        list(llm.stream_chat_with_tools(tools, "hi"))
    else:
        [one async for one in await llm.astream_chat_with_tools(tools, "hi")]


@pytest.mark.parametrize("way", ["sync", "async", "stream", "astream"])
async def test_odd_tools_do_not_take_the_list_down(kimi: KimiEmulator, both: Any, way: str) -> None:
    chat, llm = both
    await send_langchain(chat, way, ODD_TOOLS)
    await send_llama_index(llm, way, ODD_TOOLS)
    assert kimi.rejections == []
    ours, theirs = (request.body["tools"] for request in kimi.requests)
    assert ours == theirs
    assert [tool["function"]["name"] for tool in ours] == list(ODD_SCHEMAS)
    assert ours[-1] == ODD_TOOLS[-1]
    for model in both:
        await model._client.aclose()


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
@pytest.mark.parametrize(
    ("schema", "answer", "is_wrapped"),
    [
        ({"type": "array", "items": {"$ref": "#"}}, [[], [[]]], True),
        ({"$ref": "#/components/schemas/A", "components": {"schemas": {"A": {"type": "object"}}}}, {"a": 1}, False),
        ({"type": ["object"], "properties": {"a": {"type": "integer"}}}, {"a": 1}, False),
        ({"type": ["array", "null"]}, None, True),
        ({"anyOf": [{"type": "string"}, {"description": "x"}], "minLength": 1}, 7, True),
    ],
)
def test_answers_under_odd_roots(
    kimi: KimiEmulator, both: Any, method: Any, schema: dict[str, Any], answer: Any, is_wrapped: bool
) -> None:
    """Structured output of LlamaIndex takes classes alone, whose schemas are no stranger than these."""
    text = json.dumps({"answer": answer} if is_wrapped else answer)
    structured = both[0].with_structured_output({"title": "Odd", **schema}, method=method)
    kimi.script(Reply(text) if method == "json_schema" else Reply(tool_calls=[EmulatedCall("Odd", text)]))
    assert structured.invoke("hi") == answer
    assert kimi.rejections == []


def test_a_tool_whose_type_is_a_list(kimi: KimiEmulator, both: Any) -> None:
    declared = {"title": "look", "description": "Look.", "type": ["object"], "properties": {"a": {"type": "string"}}}
    both[0].bind_tools([declared]).invoke("hi")
    (sent,) = kimi.requests[-1].body["tools"]
    assert sent["function"]["parameters"] == {"type": "object", "properties": {"a": {"type": "string"}}}


class Tree(BaseModel):
    """A tree."""

    name: str
    children: list["Tree"] = []  # noqa: UP037 # a name that is not there yet


def grow(tree: Tree, note: str = "") -> str:
    """Let a tree grow."""
    return f"{tree}{note}"


def test_recursive_tools_keep_the_types_of_what_is_further_in(kimi: KimiEmulator, both: Any) -> None:
    by_schema = StructuredTool(
        name="grow",
        description="Let it grow.",
        func=lambda tree: tree,
        args_schema=create_model("Args", tree=(Tree, ...)),
    )
    of_mcp = StructuredTool(
        name="grow",
        description="Let it grow.",
        func=lambda tree: tree,
        args_schema=by_schema.args_schema.model_json_schema(),
    )
    for given in (tool(grow), by_schema, of_mcp, grow):
        both[0].bind_tools([given]).invoke("hi")
    both[1].chat_with_tools([FunctionTool.from_defaults(grow, fn_schema=by_schema.args_schema)], "hi")
    both[0].bind_tools([Tree]).invoke("hi")
    *bodies, of_root = [request.body["tools"][0]["function"]["parameters"] for request in kimi.requests]
    for parameters in bodies:
        assert parameters["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
        found = parameters["$defs"]["Tree"]["properties"]
        assert found["name"] == {"type": "string"}
        assert found["children"]["items"] == {"$ref": "#/$defs/Tree"}
    assert of_root["properties"]["children"]["items"] == {"$ref": "#/$defs/Tree"}


# --- keys ---


@pytest.mark.parametrize("framework", ["langchain", "llama-index"])
def test_a_key_of_the_environment_is_looked_up_with_each_call(
    kimi: KimiEmulator, both: Any, framework: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is in no field, dump or pickle of what came out of a pickle without one."""
    model = pickle.loads(pickle.dumps(both[0] if framework == "langchain" else both[1]))
    for key in ("sk-first-0123456789abcdef", "sk-second-0123456789abcdef"):
        monkeypatch.setenv("MOONSHOT_API_KEY", key)
        _ = model.invoke("hi") if framework == "langchain" else model.complete("hi")
        assert kimi.requests[-1].had_key(key)
        assert (model.kimi_api_key if framework == "langchain" else model.api_key) is None
        dumped = dumps(model) if framework == "langchain" else model.to_json()
        assert key.encode() not in pickle.dumps(model) + dumped.encode() + repr(model).encode()
        model._client.close()


# --- warnings ---


def line_of(warning: Any) -> str:
    assert warning.filename == __file__
    return Path(__file__).read_text("utf-8").splitlines()[warning.lineno - 1].strip()


ADA = "Who is Ada?"


class Person(BaseModel):
    name: str


# Without `ainvoke`, whose calls langchain-core gathers: they run in tasks of their own, and no line of the caller's is
# above those.


async def test_warnings_of_langchain_point_at_the_callers_line(kimi: KimiEmulator) -> None:
    def make() -> ChatKimi:
        models.append(ChatKimi(api_key=KEY, base_url=kimi.base_url, temperature=0.3))
        return models[-1]

    models: list[ChatKimi] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make().invoke(ADA)  # here
        for _ in make().stream(ADA):  # here
            pass
        async for _ in make().astream(ADA):  # here
            pass
        (make() | RunnableLambda(str)).invoke(ADA)  # here
        make().with_structured_output(Person).invoke(ADA)  # here
        kimi.script(Reply("", finish_reason="length"))
        models[-1].invoke(ADA)  # here
    ours = [line_of(warning) for warning in caught if warning.category is KimiWarning]
    assert [line.endswith("# here") for line in ours] == [True] * 6
    assert len(set(ours)) == 6
    for model in models:
        model._client.close()
        await model._client.aclose()


async def test_warnings_of_llama_index_point_at_the_callers_line(kimi: KimiEmulator) -> None:
    def make() -> Kimi:
        models.append(Kimi(api_key=KEY, api_base=kimi.base_url, temperature=0.3))
        return models[-1]

    models: list[Kimi] = []
    messages = [ChatMessage(ADA)]
    prompt = PromptTemplate("Who is {text}?")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make().chat(messages)  # here
        await make().achat(messages)  # here
        _ = list(make().stream_chat(messages))  # here
        _ = [one async for one in await make().astream_chat(messages)]  # here
        make().complete(ADA)  # here
        await make().acomplete(ADA)  # here
        _ = list(make().stream_complete(ADA))  # here
        make().structured_predict(Person, prompt, text="Ada")  # here
        await make().astructured_predict(Person, prompt, text="Ada")  # here
        make().predict(prompt, text="Ada")  # here
        kimi.script(Reply("", finish_reason="length"))
        models[-1].chat(messages)  # here
    ours = [line_of(warning) for warning in caught if warning.category is KimiWarning]
    assert [line.endswith("# here") for line in ours] == [True] * 11
    assert len(set(ours)) == 11
    for model in models:
        model._client.close()
        await model._client.aclose()


# --- structured answers ---

WAYS = ["sync", "async", "stream", "astream"]


async def ask_langchain(chat: ChatKimi, way: str, method: Any, **asked: Any) -> Any:
    structured = chat.with_structured_output(Person, method=method, **asked)
    if way == "sync":
        return structured.invoke(ADA)
    if way == "async":
        return await structured.ainvoke(ADA)
    if way == "stream":
        return list(structured.stream(ADA))[-1]
    return [one async for one in structured.astream(ADA)][-1]


async def ask_llama_index(llm: Kimi, way: str, **asked: Any) -> Any:
    prompt = PromptTemplate("Who is {text}?")
    if way == "sync":
        return llm.structured_predict(Person, prompt, llm_kwargs=asked, text="Ada")
    if way == "async":
        return await llm.astructured_predict(Person, prompt, llm_kwargs=asked, text="Ada")
    if way == "stream":
        return list(llm.stream_structured_predict(Person, prompt, llm_kwargs=asked, text="Ada"))[-1]
    return [one async for one in await llm.astream_structured_predict(Person, prompt, llm_kwargs=asked, text="Ada")][-1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["model", "model_name"])
async def test_the_model_of_the_call_decides_how_an_object_is_asked_for(
    kimi: KimiEmulator, both: Any, way: str, name: str
) -> None:
    chat, llm = both
    for asked in ({name: "kimi-k2.5"}, {}):
        assert isinstance(await ask_langchain(chat, way, "json_schema", **asked), Person)
        assert isinstance(await ask_llama_index(llm, way, **asked), Person)
    bodies = [request.body for request in kimi.requests]
    assert ["tools" in body for body in bodies] == [True, True, False, False]
    assert ["response_format" in body for body in bodies] == [False, False, True, True]
    assert bodies[0]["tool_choice"] == bodies[1]["tool_choice"]
    assert bodies[0]["tools"] == bodies[1]["tools"]
    assert bodies[2]["response_format"] == bodies[3]["response_format"]
    for model in both:
        await model._client.aclose()


NO_OBJECTS = ["[1]", '"Ada"', "7", "true", "null", '[{"name": "Ada"}]', '```json\n[{"name": "Ada"}]\n```']


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("text", NO_OBJECTS)
async def test_json_that_is_no_object_is_no_answer(kimi: KimiEmulator, both: Any, way: str, text: str) -> None:
    chat, llm = both
    for method in ("json_schema", "json_mode"):
        kimi.script(Reply(text))
        with pytest.raises(OutputParserException, match="is not a JSON object"):
            await ask_langchain(chat, way, method)
    kimi.script(Reply(tool_calls=[EmulatedCall("Person", text)]))
    with pytest.raises(OutputParserException, match="is not a JSON object"):
        await ask_langchain(chat, way, "function_calling")
    kimi.script(Reply(text), Reply(tool_calls=[EmulatedCall("Person", text)]))
    for asked in ({}, {"model": "kimi-k2.5"}):
        with pytest.raises(KimiStructuredOutputError, match="is not a JSON object"):
            await ask_llama_index(llm, way, **asked)
    for model in both:
        await model._client.aclose()


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_json_mode_without_a_schema_takes_objects_only(kimi: KimiEmulator, both: Any, text: str) -> None:
    kimi.script(Reply(text), Reply('{"anything": [1]}'))
    structured = both[0].with_structured_output(None, method="json_mode")
    with pytest.raises(OutputParserException, match="is not a JSON object"):
        structured.invoke(ADA)
    assert structured.invoke(ADA) == {"anything": [1]}


@pytest.mark.parametrize("policy", get_args(MissingReasoning))
@pytest.mark.parametrize(
    ("model", "preserve_thinking"), [("kimi-k3", None), ("kimi-k2.7-code", None), ("kimi-k2.6", True)]
)
def test_a_model_is_made_with_any_policy_for_lost_reasoning(
    kimi: KimiEmulator, model: str, preserve_thinking: bool | None, policy: str
) -> None:
    for made in (ChatKimi, Kimi):
        made(
            model=model,
            api_key="sk-test",
            base_url=kimi.base_url,
            missing_reasoning=policy,
            preserve_thinking=preserve_thinking,
        )
