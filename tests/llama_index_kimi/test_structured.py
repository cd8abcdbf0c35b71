"""Structured prediction: what is asked, what is made of every kind of answer, and what is seen of it on the way."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from contextlib import nullcontext
from enum import Enum
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from llama_index.core import SummaryIndex
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole
from llama_index.core.bridge.pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.schema import TextNode
from llama_index.core.types import BaseOutputParser, BasePydanticProgram, PydanticProgramMode
from pydantic import RootModel

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiError
from llama_index_kimi import (
    Kimi,
    KimiContentFilterError,
    KimiRequestError,
    KimiStreamError,
    KimiStructuredOutputError,
    KimiWarning,
)
from tests.llama_index_kimi.structured import ADA, WHO, Person, Thoughts, answering

Make = Callable[..., Kimi]

SOME = ["moonshot-v1-32k", "kimi-k2.5", "kimi-k2.6", "kimi-k3"]
"""No thinking; a tool's arguments; a switch; always thinking."""

MODES = ["sync", "async", "stream", "astream"]


async def predict(llm: Kimi, mode: str, output_cls: Any = Person, **kwargs: Any) -> list[Any]:
    """What each of the four endpoints gives."""
    kwargs = {"text": "?", **kwargs}
    if mode == "sync":
        return [llm.structured_predict(output_cls, WHO, **kwargs)]
    if mode == "async":
        return [await llm.astructured_predict(output_cls, WHO, **kwargs)]
    if mode == "stream":
        return list(llm.stream_structured_predict(output_cls, WHO, **kwargs))
    return [item async for item in await llm.astream_structured_predict(output_cls, WHO, **kwargs)]


# --- what is asked ---


@pytest.mark.parametrize("mode", MODES)
async def test_a_schema_is_asked_for_where_the_server_holds_to_it(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    await predict(llm("kimi-k2.6"), mode)
    body = kimi.requests[-1].body
    assert body["response_format"]["type"] == "json_schema"
    asked = body["response_format"]["json_schema"]
    assert (asked["name"], asked["strict"]) == ("Person", True)
    assert list(asked["schema"]["properties"]) == asked["schema"]["required"] == ["name", "age"]
    assert asked["schema"]["description"] == "A person."
    assert not {"tools", "tool_choice", "thinking"} & body.keys()


@pytest.mark.parametrize("mode", MODES)
async def test_a_tool_is_asked_for_elsewhere(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    await predict(llm("kimi-k2.5"), mode)
    body = kimi.requests[-1].body
    (tool,) = body["tools"]
    assert (tool["function"]["name"], tool["function"]["description"]) == ("Person", "A person.")
    assert body["tool_choice"] == {"type": "function", "function": {"name": "Person"}}
    assert body["thinking"] == {"type": "disabled"}
    assert "response_format" not in body


@pytest.mark.parametrize("mode", MODES)
async def test_the_model_of_the_call_counts(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(*answering(ADA, ADA))
    await predict(llm("kimi-k3"), mode, llm_kwargs={"model": "kimi-k2.5"})
    await predict(llm("kimi-k2.5"), mode, llm_kwargs={"model": "kimi-k3"})
    assert ["response_format" in request.body for request in kimi.requests] == [False, True]


@pytest.mark.parametrize("mode", MODES)
async def test_settings_of_the_call_are_passed_on(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(*answering(ADA))
    given = {"max_tokens": 900, "thinking": False, "prompt_cache_key": "k", "tool_required": True, "tool_choice": "x"}
    before = dict(given)
    await predict(llm("kimi-k2.6"), mode, llm_kwargs=given)
    body = kimi.requests[-1].body
    assert (body["max_completion_tokens"], body["prompt_cache_key"]) == (900, "k")
    assert body["thinking"] == {"type": "disabled"}
    assert "tool_choice" not in body
    assert given == before  # core's own program takes things out of the caller's dict


@pytest.mark.parametrize("mode", MODES)
async def test_the_system_prompt_and_the_prompts_parser_are_applied(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    class Shouting(BaseOutputParser):
        def parse(self, output: str) -> Any:
            return output

        def format(self, query: str) -> str:
            return query.upper()

    prompt = PromptTemplate("Who is {text}?", output_parser=Shouting(), template_var_mappings={"who": "text"})
    model = llm(system_prompt="Be exact.")
    kimi.script(*answering(ADA))
    if mode == "sync":
        model.structured_predict(Person, prompt, who="ada")
    elif mode == "async":
        await model.astructured_predict(Person, prompt, who="ada")
    elif mode == "stream":
        list(model.stream_structured_predict(Person, prompt, who="ada"))
    else:
        _ = [item async for item in await model.astream_structured_predict(Person, prompt, who="ada")]
    assert [(message["role"], message["content"]) for message in kimi.requests[-1].body["messages"]] == [
        ("system", "Be exact."),
        ("user", "WHO IS ADA?"),
    ]


def test_chat_prompts_keep_their_messages(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(*answering(ADA))
    prompt = ChatPromptTemplate.from_messages([("system", "Say {how}."), ("user", 'Not {"a": 1}: {text}')])
    llm().structured_predict(Person, prompt, how="who", text="Ada")
    sent = [message["content"] for message in kimi.requests[-1].body["messages"]]
    assert sent == ["Say who.", 'Not {"a": 1}: Ada']


@pytest.mark.parametrize(
    ("program_mode", "key"),
    [
        (PydanticProgramMode.DEFAULT, "response_format"),
        (PydanticProgramMode.FUNCTION, "tools"),
        (PydanticProgramMode.LLM, "messages"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
async def test_program_modes(kimi: KimiEmulator, llm: Make, program_mode: Any, key: str, mode: str) -> None:
    kimi.script(Reply(ADA) if program_mode is PydanticProgramMode.LLM else answering(ADA)[0])
    objects = await predict(llm(pydantic_program_mode=program_mode), mode)
    assert objects[-1] == Person(name="Ada Lovelace", age=36)
    body = kimi.requests[-1].body
    assert ({"response_format", "tools"} & body.keys() or {"messages"}) == {key}
    assert WHO.output_parser is None  # core's text program writes its own into the caller's prompt


def test_the_program_is_one_of_cores(kimi: KimiEmulator, llm: Make) -> None:
    program = llm()._program(Person, WHO, None)
    assert isinstance(program, BasePydanticProgram)
    assert program.output_cls is Person
    kimi.script(Reply(ADA))
    assert program(text="?") == Person(name="Ada Lovelace", age=36)


def test_other_program_modes_are_cores(llm: Make) -> None:
    with pytest.raises(ImportError, match="lmformatenforcer"):
        llm(pydantic_program_mode=PydanticProgramMode.LM_FORMAT_ENFORCER).structured_predict(Person, WHO, text="?")


@pytest.mark.parametrize("mode", MODES)
async def test_a_model_without_schemas_and_tools_is_asked_in_words(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(*[Reply(f"Here:\n{ADA}" if mode in ("sync", "async") else ADA, reasoning="Hm.")] * 2)
    for model in (llm("kimi-thinking-preview"), llm("kimi-k3")):
        objects = await predict(model, mode, llm_kwargs={"model": "kimi-thinking-preview"})
        assert objects[-1] == Person(name="Ada Lovelace", age=36)
    assert '"properties"' in kimi.requests[-1].body["messages"][-1]["content"]


# --- classes ---

T = TypeVar("T")


class Mood(Enum):
    GLAD = "glad"
    SAD = "sad"


class Address(BaseModel):
    """Where somebody lives."""

    street: str = Field(description="With its number.")
    city: str | None = Field(default=None, description="Only if it is known.")


class Rich(BaseModel):
    """All that people put into classes."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=40, pattern="^[A-Z]")]
    nick: str | None = None
    mood: Mood = Mood.GLAD
    kind: Literal["human", "robot"]
    sizes: list[int] = Field(default_factory=list, max_length=3)
    born: dt.date
    seen: dt.datetime | None = None
    home: Address
    others: dict[str, Address] = {}
    worth: int | str | None = None
    pair: tuple[int, str] = (1, "a")
    weight: decimal.Decimal = decimal.Decimal("1.10")
    aliased: int = Field(alias="alsoKnown", ge=0, lt=10)


class Tree(BaseModel):
    """A tree of words."""

    word: str
    branches: list[Tree] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str]


class Page(BaseModel, Generic[T]):
    items: list[T]
    more: bool


class Numbers(RootModel[list[int]]):
    """Some numbers."""


class Pet(RootModel[Annotated[Cat | Dog, Field(discriminator="kind")]]):
    """A pet."""


class Forest(RootModel[list[Tree]]):
    """Many trees."""


class Ages(RootModel[dict[str, int]]):
    """Ages by name."""


class _Hidden(BaseModel):
    value: int


RICH = Rich(
    name="Ada",
    mood=Mood.SAD,
    kind="human",
    sizes=[1, 2],
    born=dt.date(1815, 12, 10),
    home=Address(street="St James's Square 12"),
    others={"work": Address(street="Dorset Street 1", city="London")},
    alsoKnown=3,
)
INSTANCES = [
    RICH,
    Tree(word="a", branches=[Tree(word="b", branches=[Tree(word="c")])]),
    Page[Cat](items=[Cat(kind="cat", lives=9)], more=False),
    Page[int](items=[1, 2], more=True),
    Numbers([3, 1, 2]),
    Pet(Dog(kind="dog", tricks=["sit"])),
    Forest([Tree(word="a", branches=[Tree(word="b")])]),
    Ages({"Ada": 36}),
    _Hidden(value=1),
]
WRAPPED = (Numbers, Pet, Forest)


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", SOME)
@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: type(instance).__name__)
async def test_classes(kimi: KimiEmulator, llm: Make, model: str, instance: BaseModel, mode: str) -> None:
    text = instance.model_dump_json(by_alias=True)
    kimi.script(*answering(f'{{"answer": {text}}}' if isinstance(instance, WRAPPED) else text))
    objects = await predict(llm(model), mode, type(instance))
    assert objects[-1] == instance
    assert all(isinstance(item, (type(instance), FlexibleModel)) for item in objects)
    structured = llm(model).as_structured_llm(type(instance))
    kimi.script(*answering(f'{{"answer": {text}}}' if isinstance(instance, WRAPPED) else text))
    response = structured.chat([ChatMessage(role="user", content="?")])
    assert (response.raw, response.message.content) == (instance, instance.model_dump_json())


@pytest.mark.parametrize("model", SOME)
@pytest.mark.parametrize("output_cls", [Tree, Numbers, Ages, Page[int]], ids=lambda cls: cls.__name__)
def test_the_schemas_are_what_the_server_fills(llm: Make, model: str, output_cls: type[BaseModel]) -> None:
    # Unscripted: the built-in model writes by the schema that it got.
    assert isinstance(llm(model).structured_predict(output_cls, WHO, text="1, 2 and 3 birds"), output_cls)


def test_names_are_what_the_server_takes(kimi: KimiEmulator, llm: Make) -> None:
    class Größe(BaseModel):
        value: int

    class _1(BaseModel):
        value: int

    kimi.script(*answering('{"value": 1}', '{"value": 1}', '{"items": [], "more": true}'))
    model = llm("kimi-k2.5")
    for output_cls in (Größe, _1, Page[int]):
        model.structured_predict(output_cls, WHO, text="?")
    names = [request.body["tools"][0]["function"]["name"] for request in kimi.requests]
    assert names == ["Gr__e", "answer", "Page_int_"]


def test_numbers_keep_their_digits(kimi: KimiEmulator, llm: Make) -> None:
    class Price(BaseModel):
        amount: decimal.Decimal
        serial: int

    kimi.script(*answering('{"amount": "0.12345678901234567890", "serial": 12345678901234567890123}'))
    price = llm().structured_predict(Price, WHO, text="?")
    assert (str(price.amount), price.serial) == ("0.12345678901234567890", 12345678901234567890123)


def test_dates_and_numbers_of_strict_classes(kimi: KimiEmulator, llm: Make) -> None:
    class Strict(BaseModel):
        model_config = ConfigDict(strict=True)
        day: dt.date
        mood: Mood

    kimi.script(*answering('{"day": "1815-12-10", "mood": "glad"}'))
    assert llm().structured_predict(Strict, WHO, text="?") == Strict(day=dt.date(1815, 12, 10), mood=Mood.GLAD)


# --- answers as they come ---

DRESSED = {
    "plain": ADA,
    "spaces": f"\n\n  {ADA}\n",
    "fence": f"```json\n{ADA}\n```",
    "bare fence": f"```\n{ADA}\n```",
    "fence in prose": f"Here you are:\n```json\n{ADA}\n```\nAnything else?",
    "prose": f"Of course! {ADA} Anything else?",
    "more fields": f'{ADA[:-1]}, "mood": "glad"}}',
    "line feed in a string": ADA.replace("a L", "a\nL"),
}


@pytest.mark.says("docs/structured-output.md", "Fences around JSON are taken off.")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dressing", DRESSED)
@pytest.mark.parametrize("model", ["kimi-k2.6", "kimi-k3"])
async def test_dressed_answers(kimi: KimiEmulator, llm: Make, model: str, dressing: str, mode: str) -> None:
    kimi.script(Reply(DRESSED[dressing], reasoning="Ada {who}?"))
    person = (await predict(llm(model), mode))[-1]
    assert type(person) is Person
    assert (person.name.replace("\n", " "), person.age) == ("Ada Lovelace", 36)


class Loose(BaseModel):
    """A class that any object is one of."""

    name: str | None = None
    inner: Loose | None = None


CUT = [
    (Reply('{"name": "Ada", "inner": {"name": "B"}, "x": ', finish_reason="length"), "was cut at its token limit"),
    (Reply('{"name": "Ada"}', finish_reason="length"), "was cut at its token limit"),
    (Reply("", reasoning="Well, ", finish_reason="length"), "all of which thinking took"),
    (Reply("", finish_reason="length"), "was cut at its token limit"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("reply", "problem"), CUT)
async def test_a_cut_answer_says_what_to_raise(
    kimi: KimiEmulator, llm: Make, reply: Reply, problem: str, mode: str
) -> None:
    kimi.script(reply)
    said = nullcontext() if reply.content else pytest.warns(KimiWarning, match="max_tokens")
    with said, pytest.raises(KimiStructuredOutputError, match=problem) as caught:
        await predict(llm(), mode, Loose)
    assert isinstance(caught.value, KimiError)
    assert isinstance(caught.value, ValueError)
    assert "Raise max_tokens" in str(caught.value)
    assert "finish_reason 'length'" in str(caught.value)
    assert caught.value.__cause__ is None
    assert isinstance(caught.value.partial, ChatResponse)
    assert caught.value.request_id


@pytest.mark.parametrize("mode", MODES)
async def test_a_real_limit(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    with pytest.warns(KimiWarning), pytest.raises(KimiStructuredOutputError, match="Raise max_tokens"):
        await predict(llm(), mode, llm_kwargs={"max_tokens": 8})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("arguments", ['{"name": "Ada", "age": 3', None])
async def test_a_cut_tool_call_says_what_to_raise(
    kimi: KimiEmulator, llm: Make, arguments: str | None, mode: str
) -> None:
    calls = [] if arguments is None else [ToolCall("Person", arguments)]
    kimi.script(Reply("Well", tool_calls=calls, finish_reason="length"))
    with pytest.raises(KimiStructuredOutputError, match=r"cut at its token limit.*[Rr]aise max_tokens"):
        await predict(llm("kimi-k2.5"), mode)


WRONG = [
    ('{"name": "Ada"}', ["does not fit Person", "age: Field required"]),
    ('{"name": "Ada", "age": "old"}', ["does not fit Person", "age: Input should be a valid integer"]),
    ("```json\n{}\n```", ["name: Field required; age: Field required"]),
    ("I cannot help with that.", ["is not a JSON object", "The JSON of Person was asked for"]),
    ('{"name": "Ada", "age": 36', ["is not a JSON object"]),
    ("[1, 2]", ["is not a JSON object"]),
    ('"Ada"', ["is not a JSON object"]),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("model", ["kimi-k2.5", "kimi-k2.6"])
@pytest.mark.parametrize(("answer", "words"), WRONG)
async def test_a_wrong_answer_is_shown(
    kimi: KimiEmulator, llm: Make, answer: str, words: list[str], model: str, mode: str
) -> None:
    kimi.script(*answering(answer))
    with pytest.raises(KimiStructuredOutputError) as caught:
        await predict(llm(model), mode)
    assert [word for word in words if word not in str(caught.value)] == []
    assert answer.removeprefix("```json\n").removesuffix("\n```") in str(caught.value)
    assert isinstance(caught.value.__cause__, ValidationError) is ("fit" in words[0] or "name:" in words[0])
    assert len(kimi.requests) == 1  # nobody asks again in silence


def test_paths_of_nested_fields(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(*answering('{"answer": [{"word": "a", "branches": [{"word": 1}]}]}', '{"other": []}'))
    with pytest.raises(KimiStructuredOutputError, match=r"answer\.0\.branches\.0\.word: Input should be a valid str"):
        llm().structured_predict(Forest, WHO, text="?")
    with pytest.raises(KimiStructuredOutputError, match=r"does not fit Forest: answer: Field required"):
        llm().structured_predict(Forest, WHO, text="?")


def test_a_validator_of_the_whole_object_is_explained(kimi: KimiEmulator, llm: Make) -> None:
    class Adult(Person):
        @field_validator("age")
        @classmethod
        def _check(cls, value: int) -> int:
            if value < 18:
                raise ValueError("too young")
            return value

    kimi.script(*answering('{"name": "Ada", "age": 3}'))
    with pytest.raises(KimiStructuredOutputError, match="age: Value error, too young"):
        llm().structured_predict(Adult, WHO, text="?")


def test_a_part_of_a_broken_answer_is_not_taken_for_the_whole(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Reply('{"name": "Ada", "inner": {"name": "B"}, oops}'))
    with pytest.raises(KimiStructuredOutputError, match="not a JSON object"):
        llm().structured_predict(Loose, WHO, text="?")


def test_hostile_depth_is_no_crash(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Reply('{"name": ' + "[" * 50_000))
    with pytest.raises(KimiStructuredOutputError, match="not a JSON object") as caught:
        llm().structured_predict(Loose, WHO, text="?")
    assert len(str(caught.value)) < 2_300


@pytest.mark.parametrize("mode", MODES)
async def test_empty_answers_and_others(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    replies = {
        "The answer is empty, after some thinking.": Reply("", reasoning="Hm."),
        "The answer is empty.": Reply("  "),
        r"The answer is empty \(finish_reason 'odd_end'\)": Reply("", finish_reason="odd_end"),
        "The model called search instead of answering": Reply(tool_calls=[ToolCall("search")]),
    }
    for words, reply in replies.items():
        kimi.script(reply)
        said = nullcontext() if reply.tool_calls else pytest.warns(KimiWarning, match="The answer is empty: the model")
        with said, pytest.raises(KimiStructuredOutputError, match=words):
            await predict(llm(), mode)
    kimi.script(Reply("", finish_reason="content_filter"))
    with pytest.raises(KimiContentFilterError, match="content filter stopped the answer"):
        await predict(llm(), mode)


@pytest.mark.parametrize("mode", MODES)
async def test_a_required_call_that_does_not_come(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply("I would rather not."))
    with pytest.raises(KimiStructuredOutputError, match=r"answered in text: 'I would rather not\.'"):
        await predict(llm("kimi-k2.5"), mode)


@pytest.mark.parametrize("mode", MODES)
async def test_other_errors_stay_what_they_are(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    with pytest.raises(KimiRequestError, match="Did you mean 'max_tokens'"):
        await predict(llm(), mode, llm_kwargs={"max_tokns": 3})
    assert kimi.requests == []


# --- streams ---

RICH_TEXT = '{"word": "oak", "branches": [{"word": "ash", "branches": []}, {"word": "elm, the \\"tall\\""}]}'


@pytest.mark.parametrize("mode", ["stream", "astream"])
@pytest.mark.parametrize("model", SOME)
@pytest.mark.parametrize("chunk_size", [1, 3, 1000])
async def test_partial_objects_grow(kimi: KimiEmulator, llm: Make, model: str, mode: str, chunk_size: int) -> None:
    kimi.script(lambda body: _chunked(answering(RICH_TEXT)[0](body), chunk_size))
    objects = await predict(llm(model), mode, Tree)
    assert objects[-1] == Tree.model_validate_json(RICH_TEXT)
    assert all(isinstance(item, (Tree, FlexibleModel)) for item in objects)
    sizes = [len(str(item.model_dump(exclude_none=True, exclude_unset=True))) for item in objects[:-1]]
    assert sizes == sorted(sizes)
    if chunk_size == 1:
        words = [[branch.word for branch in item.branches] for item in objects if isinstance(item, Tree)]
        assert words.index(["ash"]) < words.index(["ash", "e"]) < words.index(["ash", "elm, the "])


def _chunked(reply: Reply, size: int) -> Reply:
    return Reply(reply.content, reasoning=reply.reasoning, tool_calls=reply.tool_calls, chunk_size=size)


@pytest.mark.parametrize("mode", ["stream", "astream"])
async def test_partial_objects_of_other_roots(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply('{"answer": [{"kind": "dog", "tricks": ["sit", "roll"]}]}', chunk_size=2))
    objects = await predict(llm(), mode, RootModel[list[Pet]])
    assert [item.root for item in objects][-1][0].root.tricks == ["sit", "roll"]
    assert objects[0].root == []
    assert isinstance(objects[1], FlexibleModel)  # a pet without a kind is none


@pytest.mark.parametrize("mode", ["stream", "astream"])
async def test_a_fenced_answer_streams_too(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    kimi.script(Reply(f"Sure:\n```json\n{ADA}\n```\n", chunk_size=2))
    names = [item.name for item in await predict(llm(), mode)]
    assert {"Ada", "Ada Love", "Ada Lovelace"} & {*names} >= {"Ada Lovelace"}
    assert len(set(names)) > 3


@pytest.mark.parametrize("mode", ["stream", "astream"])
async def test_validators_that_cannot_take_half_an_object(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    class Fussy(BaseModel):
        pair: list[int]

        @field_validator("pair", mode="before")
        @classmethod
        def _second(cls, value: list[int]) -> list[int]:
            return [value[0], value[1]]

    kimi.script(Reply('{"pair": [1, 2]}', chunk_size=1))
    assert (await predict(llm(), mode, Fussy))[-1] == Fussy(pair=[1, 2])


@pytest.mark.parametrize("mode", ["stream", "astream"])
@pytest.mark.parametrize("model", ["kimi-k2.5", "kimi-k3"])
async def test_a_broken_stream_raises(kimi: KimiEmulator, llm: Make, model: str, mode: str) -> None:
    step = answering(ADA)[0]
    kimi.script(lambda body: Reply(step(body).content, tool_calls=step(body).tool_calls, chunk_size=1, cut_after=12))
    with pytest.raises(KimiStreamError):
        await predict(llm(model), mode)


async def test_nothing_comes_while_the_model_thinks(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Reply(ADA, reasoning="Let me think about it. " * 20))
    objects = await predict(llm(), "stream")
    assert all(item.name or item.age for item in objects[1:])
    assert len(objects) < 10


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")
async def test_structured_llms_stream(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(Reply(ADA, chunk_size=4), Reply(ADA, chunk_size=4))
    structured = llm().as_structured_llm(Person)
    question = [ChatMessage(role="user", content="Who?")]
    responses = list(structured.stream_chat(question))
    assert responses[-1].raw == Person.model_validate_json(responses[-1].message.content or "")
    assert len(responses) > 3
    others = [item async for item in await structured.astream_chat(question)]
    assert [item.message for item in others] == [item.message for item in responses]
    with pytest.raises(NotImplementedError):  # pinned: core has none
        structured.stream_complete("Who?")


# --- what is seen on the way ---


@pytest.mark.parametrize("mode", MODES)
async def test_events_and_spans_are_those_of_core(kimi: KimiEmulator, llm: Make, mode: str) -> None:
    class Noting(BaseEventHandler):
        def handle(self, event: Any, **kwargs: Any) -> None:
            noted.append(event)

    noted: list[Any] = []
    kimi.script(Reply(ADA))
    handlers = get_dispatcher().event_handlers
    handlers.append(Noting())
    try:
        await predict(llm(), mode)
    finally:
        handlers.pop()
    names = [event.class_name().removeprefix("LLM") for event in noted]
    expected = {"StructuredPredictStartEvent", "ChatStartEvent", "ChatEndEvent", "StructuredPredictEndEvent"}
    if "stream" in mode:
        expected |= {"ChatInProgressEvent", "StructuredPredictInProgressEvent"}
    assert set(names) == expected
    assert (names.count("StructuredPredictStartEvent"), names.count("StructuredPredictEndEvent")) == (1, 1)
    assert (names[0], names[-1]) == ("StructuredPredictStartEvent", "StructuredPredictEndEvent")
    assert noted[0].output_cls is Person
    assert noted[0].template_args == {"text": "?"}
    assert noted[-1].output == Person(name="Ada Lovelace", age=36)
    if "stream" not in mode:
        assert noted[-1].span_id == noted[0].span_id
        assert noted[0].span_id.startswith(f"Kimi.{'a' * (mode == 'async')}structured_predict-")


async def test_tokens_are_counted_once(kimi: KimiEmulator, llm: Make) -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50}
    counter = TokenCountingHandler()
    model = llm(callback_manager=CallbackManager([counter]))
    for count, mode in enumerate(MODES, 1):
        kimi.script(Reply(ADA, usage=usage))
        await predict(model, mode)
        assert (counter.prompt_llm_token_count, counter.completion_llm_token_count) == (20 * count, 30 * count)


@pytest.mark.says(
    "docs/structured-output.md",
    "By default the server holds the answer to the schema, with thinking left on, and no tool choice is forced.",
)
async def test_thinking_stays_on(kimi: KimiEmulator, llm: Make, thoughts: Thoughts) -> None:
    for mode in MODES:
        kimi.script(Reply(ADA, reasoning=f"Think {mode}."))
        await predict(llm("kimi-k2.6"), mode)
    assert thoughts.noted == [f"Think {mode}." for mode in MODES]


# --- what core does to it: pinned, not wanted ---


@pytest.fixture
def index() -> SummaryIndex:
    return SummaryIndex([TextNode(text="Ada Lovelace is 36.")])


def test_core_streams_nothing_of_an_output_class(kimi: KimiEmulator, llm: Make, index: SummaryIndex) -> None:
    # `DefaultRefineProgram.stream_call` gives `.answer` of the object only, which other classes do not have.
    kimi.script(*answering(ADA, ADA))
    for mode in ("compact", "refine"):
        engine = index.as_query_engine(llm=llm(), output_cls=Person, streaming=True, response_mode=mode)
        assert str(engine.query("Who?")) == "Empty Response"
    # `TreeSummarize` streams the text and forgets the class.
    engine = index.as_query_engine(llm=llm(), output_cls=Person, streaming=True, response_mode="tree_summarize")
    "".join(engine.query("Who?").response_gen)
    assert "response_format" not in kimi.requests[-1].body


@pytest.mark.filterwarnings("ignore:The `json` method is deprecated")
def test_core_streams_nothing_of_a_structured_llm(kimi: KimiEmulator, llm: Make, index: SummaryIndex) -> None:
    # `StructuredLLM.stream_chat` sets no `delta`, which is all that a streamed response is made of.
    kimi.script(Reply(ADA))
    engine = index.as_query_engine(llm=llm().as_structured_llm(Person), streaming=True)
    with pytest.raises(ValidationError, match="Invalid JSON"):
        engine.query("Who?")


@pytest.mark.parametrize("mode", ["accumulate", "compact_accumulate"])
def test_core_cannot_accumulate_a_structured_llm(llm: Make, index: SummaryIndex, mode: str) -> None:
    # The answers are joined as "Response 1: {...}" and then parsed as JSON.
    engine = index.as_query_engine(llm=llm().as_structured_llm(Person), response_mode=mode)
    with pytest.raises(ValidationError, match="Response 1"):
        engine.query("Who?")


def test_core_hides_errors_of_an_output_class(
    kimi: KimiEmulator, llm: Make, index: SummaryIndex, caplog: pytest.LogCaptureFixture
) -> None:
    # `Refine` logs every ValueError and goes on; `TreeSummarize` raises it.
    kimi.script(*[Reply(ADA[:20], finish_reason="length")] * 2)
    engine = index.as_query_engine(llm=llm(), output_cls=Person, response_mode="compact")
    assert str(engine.query("Who?")) == "Empty Response"
    assert "Raise max_tokens" in caplog.text
    engine = index.as_query_engine(llm=llm(), output_cls=Person, response_mode="tree_summarize")
    with pytest.raises(KimiStructuredOutputError, match="Raise max_tokens"):
        engine.query("Who?")


def test_histories_with_roles_go_through_structured_llms(kimi: KimiEmulator, llm: Make) -> None:
    kimi.script(*answering(ADA))
    history = [
        ChatMessage(role=MessageRole.SYSTEM, content="Be exact."),
        ChatMessage(role=MessageRole.USER, content="Who is {she}?"),
        ChatMessage(role=MessageRole.ASSISTANT, content="Ada."),
        ChatMessage(role=MessageRole.USER, content="As JSON."),
    ]
    llm().as_structured_llm(Person).chat(history)
    sent = [message["content"] for message in kimi.requests[-1].body["messages"]]
    assert sent == ["Be exact.", "Who is {she}?", "Ada.", "As JSON."]


# --- sync and async ---
