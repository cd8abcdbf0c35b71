"""What users get is typed as they would say."""

import asyncio
from collections.abc import Generator
from typing import Any, Literal

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import Runnable
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.program.utils import FlexibleModel
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel
from typing_extensions import TypedDict, assert_type

from kimi_emulator import KimiEmulator, Reply
from kimi_wire import KimiFiles, KimiPlatform, ModelInfo, Profile, profile_for
from langchain_kimi import ChatKimi, KimiRateLimitError, show
from llama_index_conformance import LLMConformance
from llama_index_kimi import Kimi


class Person(BaseModel):
    name: str


class Town(BaseModel):
    name: str


class Told(TypedDict):
    name: str


def get_weather(city: str) -> str:
    "Get the weather of a city."
    return "snow"


class Suite(LLMConformance):
    @property
    def llm_class(self) -> type[Kimi]:
        return Kimi


async def stream(model: ChatKimi, llm: Kimi) -> None:
    async for chunk in model.astream("hello"):
        assert_type(chunk, AIMessageChunk)
    async for part in await llm.astream_chat([ChatMessage("hello")]):
        assert_type(part, ChatResponse)
    kimi.script(Reply('{"name": "Ada"}'), Reply('{"name": "Ada"}'))
    assert_type(await llm.astructured_predict(Person, PromptTemplate("Who is it?")), Person)
    async for some in await llm.astream_structured_predict(Person, PromptTemplate("Who is it?")):
        assert_type(some, Person | FlexibleModel)


with KimiEmulator() as kimi:
    kimi.script(Reply("Hello!"))
    model = ChatKimi(model="kimi-k3", base_url=kimi.base_url, api_key="sk-test", reasoning_effort="low")
    assert_type(model.invoke("hello"), AIMessage)
    for chunk in model.stream("hello"):
        assert_type(chunk, AIMessageChunk)
    message = show(model.stream("hello"))
    assert_type(message, AIMessageChunk)
    print(message.usage_metadata)
    asking = model.with_structured_output(Person)
    assert_type(asking, Runnable[LanguageModelInput, Person])
    kimi.script(Reply('{"name": "Ada"}'))
    assert asking.invoke("Who is it?").name == "Ada"
    with_raw = model.with_structured_output(Person, include_raw=True)
    assert_type(with_raw, Runnable[LanguageModelInput, dict[str, Any]])
    assert_type(model.with_structured_output(Person.model_json_schema()), Runnable[LanguageModelInput, dict[str, Any]])
    assert_type(model.with_structured_output(method="json_mode"), Runnable[LanguageModelInput, dict[str, Any]])
    assert_type(model.with_structured_output(Told), Runnable[LanguageModelInput, Told])
    assert_type(model.with_structured_output(list[Person]), Runnable[LanguageModelInput, list[Person]])
    assert_type(model.with_structured_output(Person | Town), Runnable[LanguageModelInput, Any])
    assert_type(model.with_structured_output(Literal["yes", "no"]), Runnable[LanguageModelInput, Any])
    assert_type(model.bind_tools([get_weather]).invoke("hello"), AIMessage)

    llm = Kimi(model="kimi-k2.6", base_url=kimi.base_url, api_key="sk-test", thinking=False)
    assert_type(llm.chat([ChatMessage("hello")]), ChatResponse)
    for part in llm.stream_chat([ChatMessage("hello")]):
        assert_type(part, ChatResponse)
    kimi.script(Reply('{"name": "Ada"}'))
    assert_type(llm.structured_predict(Person, PromptTemplate("Who is it?")), Person)
    parts = llm.stream_structured_predict(Person, PromptTemplate("Who is it?"))
    assert_type(parts, Generator[Person | FlexibleModel, None, None])
    structured = llm.as_structured_llm(Person)
    assert_type(structured, StructuredLLM)
    assert structured.output_cls is Person
    assert_type(llm.chat_with_tools([FunctionTool.from_defaults(get_weather)], user_msg="hello"), ChatResponse)
    asyncio.run(stream(model, llm))

    assert_type(KimiPlatform(api_key="sk-test", base_url=kimi.base_url).models(), list[ModelInfo])
    assert_type(KimiFiles(api_key="sk-test", base_url=kimi.base_url).extract(b"# Notes", name="notes.md"), str)
assert Suite().llm_class is Kimi
assert_type(profile_for("kimi-k3"), Profile)
assert issubclass(KimiRateLimitError, Exception)
print("it runs")
