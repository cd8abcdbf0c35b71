"""Ways through a scenario: both adapters, synchronous and asynchronous, streamed or not, by messages or by a prompt."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import ToolMessage
from langchain_core.tracers._streaming import _V2StreamingCallbackHandler
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.prompts import PromptTemplate

from kimi_wire import KimiWarning
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.conversations import Message, collect, to_langchain, to_llama_index
from tests.recorded.heard import COUNTS, Heard, check_outcome
from tests.recorded.scenario import KEY, Endpoint, Scenario
from tests.recorded.tape import playing, read_file

NOBODY = "http://127.0.0.1:9/v1"
"""Where requests go that no cassette answers."""


def result_of(results: Mapping[str, str | None], name: str, arguments: Any) -> str:
    """What a tool returns: what the scenario says, or its arguments."""
    result = results[name]
    return json.dumps(arguments) if result is None else result


class Ends(BaseCallbackHandler):
    """LangChain's messages behind structured answers."""

    def __init__(self) -> None:
        self.answers: list[Any] = []

    def on_llm_end(self, response: Any, **kwargs: Any) -> None:
        self.answers.append(response.generations[0][0].message)


class LangChainWay:
    """`ChatKimi`, by `invoke` and `stream`."""

    def __init__(self, scenario: Scenario, base_url: str, key: str, **client: Any) -> None:
        self.llm = ChatKimi(model=scenario.golden["model"], base_url=base_url, api_key=key, max_retries=0, **client)

    convert = staticmethod(to_langchain)

    @staticmethod
    def why_not(scenario: Scenario, mode: str) -> str | None:
        return None

    async def ask(self, messages: Sequence[Any], settings: Message, stream: bool, asynchronous: bool) -> Any:
        return await self._run(self.llm, messages, stream, asynchronous, **settings)

    async def ask_for(self, scenario: Scenario, stream: bool, asynchronous: bool) -> Heard:
        """A structured answer, and the message it was read from."""
        ends = Ends()
        chain = self.llm.with_structured_output(scenario.schema, method=scenario.method)  # type: ignore[arg-type]
        asked = [to_langchain(message) for message in scenario.messages]
        parsed = await self._run(chain, asked, stream, asynchronous, config={"callbacks": [ends]})
        (answer,) = ends.answers
        return replace(self.hear(answer), parsed=parsed if isinstance(parsed, dict) else parsed.model_dump())

    async def _run(self, chain: Any, asked: Any, stream: bool, asynchronous: bool, **options: Any) -> Any:
        if not stream:
            return await chain.ainvoke(asked, **options) if asynchronous else chain.invoke(asked, **options)
        parts = await collect(chain.astream(asked, **options)) if asynchronous else list(chain.stream(asked, **options))
        return sum(parts[1:], start=parts[0]) if chain is self.llm else parts[-1]

    def hear(self, answer: Any) -> Heard:
        given = answer.usage_metadata or {}
        counts = (
            given.get("input_tokens"),
            given.get("output_tokens"),
            given.get("total_tokens"),
            given.get("input_token_details", {}).get("cache_read"),
            given.get("output_token_details", {}).get("reasoning"),
        )
        return Heard(
            text=answer.content,
            reasoning=answer.additional_kwargs.get("reasoning_content"),
            calls=[(made["name"], made["args"]) for made in answer.tool_calls],
            finish=answer.response_metadata["finish_reason"],
            usage={name: count for name, count in zip(COUNTS, counts, strict=True) if count is not None},
            request_id=answer.response_metadata.get("request_id"),
        )

    def replay(self, answer: Any, results: Mapping[str, str | None]) -> list[Any]:
        made = [
            ToolMessage(result_of(results, call["name"], call["args"]), tool_call_id=call["id"])
            for call in answer.tool_calls
        ]
        return [answer, *made] if made else []


class LangChainBatchWay(LangChainWay):
    """`ChatKimi`, by `batch`."""

    @staticmethod
    def why_not(scenario: Scenario, mode: str) -> str | None:
        return "a batch is not streamed" if mode == "stream" else None

    async def _run(self, chain: Any, asked: Any, stream: bool, asynchronous: bool, **options: Any) -> Any:
        (answer,) = await chain.abatch([asked], **options) if asynchronous else chain.batch([asked], **options)
        return answer


@contextmanager
def chat_ends() -> Iterator[list[Any]]:
    """LlamaIndex's responses behind structured answers."""
    answers: list[Any] = []

    class Ends(BaseEventHandler):
        @classmethod
        def class_name(cls) -> str:
            return "Ends"

        def handle(self, event: Any, **kwargs: Any) -> None:
            if isinstance(event, LLMChatEndEvent):
                answers.append(event.response)

    handler, handlers = Ends(), get_dispatcher().event_handlers
    handlers.append(handler)
    try:
        yield answers
    finally:
        handlers.remove(handler)


class _Listens(BaseCallbackHandler, _V2StreamingCallbackHandler):
    """Wants events, as LangGraph does where somebody streams them."""


class LangChainEventsWay(LangChainWay):
    """`ChatKimi`, by `invoke` of somebody who listens to its events: the message is put together of those."""

    @staticmethod
    def why_not(scenario: Scenario, mode: str) -> str | None:
        return None if mode == "stream" else "events are those of a stream"

    async def _run(self, chain: Any, asked: Any, stream: bool, asynchronous: bool, **options: Any) -> Any:
        config = {"callbacks": [_Listens(), *options.pop("config", {}).get("callbacks", ())]}
        if asynchronous:
            return await chain.ainvoke(asked, config=config, **options)
        return chain.invoke(asked, config=config, **options)

    def hear(self, answer: Any) -> Heard:
        return replace(super().hear(answer), text=str(answer.text))


class LlamaIndexWay:
    """`Kimi`, by `chat` and `stream_chat`."""

    def __init__(self, scenario: Scenario, base_url: str, key: str, **client: Any) -> None:
        self.llm = Kimi(scenario.golden["model"], api_base=base_url, api_key=key, max_retries=0, **client)

    convert = staticmethod(to_llama_index)

    @staticmethod
    def why_not(scenario: Scenario, mode: str) -> str | None:
        return None

    async def ask(self, messages: Sequence[Any], settings: Message, stream: bool, asynchronous: bool) -> Any:
        if stream and asynchronous:
            return (await collect(await self.llm.astream_chat(messages, **settings)))[-1]
        if stream:
            return list(self.llm.stream_chat(messages, **settings))[-1]
        return await self.llm.achat(messages, **settings) if asynchronous else self.llm.chat(messages, **settings)

    async def ask_for(self, scenario: Scenario, stream: bool, asynchronous: bool) -> Heard:
        """A structured answer, and the response it was read from."""
        asks = {
            "json_schema": self._predict,
            "function_calling": self._call_program,
            "json_mode": self._text_program,
        }
        (question,) = scenario.messages
        with chat_ends() as answers:
            parsed = await asks[scenario.method or ""](scenario.schema, question["content"], stream, asynchronous)
        (answer,) = answers
        return replace(self.hear(answer), parsed=parsed.model_dump())

    async def _predict(self, schema: Any, question: str, stream: bool, asynchronous: bool) -> Any:
        given = (schema, PromptTemplate(question))
        if stream and asynchronous:
            return (await collect(await self.llm.astream_structured_predict(*given)))[-1]
        if stream:
            return list(self.llm.stream_structured_predict(*given))[-1]
        return await self.llm.astructured_predict(*given) if asynchronous else self.llm.structured_predict(*given)

    async def _call_program(self, schema: Any, question: str, stream: bool, asynchronous: bool) -> Any:
        program = FunctionCallingProgram.from_defaults(schema, prompt_template_str=question, llm=self.llm)
        return await _run_program(program, {}, stream, asynchronous)

    async def _text_program(self, schema: Any, question: str, stream: bool, asynchronous: bool) -> Any:
        """Core's program for text, whose parser writes under the question what form the answer has."""
        question, _, form = question.partition("\n\n")
        parser = PydanticOutputParser(schema, pydantic_format_tmpl=form)
        program: Any = LLMTextCompletionProgram.from_defaults(parser, prompt_template_str=question, llm=self.llm)
        return await _run_program(program, {"response_format": {"type": "json_object"}}, stream, asynchronous)

    def hear(self, answer: Any) -> Heard:
        given = answer.additional_kwargs
        thoughts = [block.content for block in answer.message.blocks if isinstance(block, ThinkingBlock)]
        calls = self.llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        return Heard(
            text=answer.message.content or "",
            reasoning=thoughts[0] if thoughts else None,
            calls=[(made.tool_name, made.tool_kwargs) for made in calls],
            finish=given["finish_reason"],
            usage={name: given[name] for name in COUNTS if name in given},
            request_id=given.get("request_id"),
        )

    def replay(self, answer: Any, results: Mapping[str, str | None]) -> list[Any]:
        calls = self.llm.get_tool_calls_from_response(answer, error_on_no_tool_call=False)
        made = [
            ChatMessage(role="tool", content=results[call.tool_name], additional_kwargs={"tool_call_id": call.tool_id})
            for call in calls
        ]
        return [answer.message, *made] if made else []


async def _run_program(program: Any, settings: Message, stream: bool, asynchronous: bool) -> Any:
    if stream and asynchronous:
        return (await collect(await program.astream_call(llm_kwargs=settings)))[-1]
    if stream:
        return list(program.stream_call(llm_kwargs=settings))[-1]
    return await program.acall(llm_kwargs=settings) if asynchronous else program(llm_kwargs=settings)


class LlamaIndexCompleteWay(LlamaIndexWay):
    """`Kimi`, by `complete` and `stream_complete`."""

    @staticmethod
    def why_not(scenario: Scenario, mode: str) -> str | None:
        if scenario.schema is not None:
            return "core's programs chat with a chat model"
        if "tools" in scenario.golden:
            return "a completion has no tool calls"
        messages = scenario.messages
        if len(messages) != 1 or messages[0]["role"] != "user" or not isinstance(messages[0]["content"], str):
            return "a prompt is one text"
        return None

    async def ask(self, messages: Sequence[Any], settings: Message, stream: bool, asynchronous: bool) -> Any:
        (message,) = messages
        prompt = message.content
        if stream and asynchronous:
            return (await collect(await self.llm.astream_complete(prompt, **settings)))[-1]
        if stream:
            return list(self.llm.stream_complete(prompt, **settings))[-1]
        return await self.llm.acomplete(prompt, **settings) if asynchronous else self.llm.complete(prompt, **settings)

    def hear(self, answer: Any) -> Heard:
        given = answer.additional_kwargs
        return Heard(
            text=answer.text,
            reasoning=given.get("thinking"),
            finish=given["finish_reason"],
            usage={name: given[name] for name in COUNTS if name in given},
            request_id=given.get("request_id"),
        )


ADAPTERS: Mapping[str, Any] = {
    "langchain": LangChainWay,
    "langchain-batch": LangChainBatchWay,
    "langchain-events": LangChainEventsWay,
    "llama_index": LlamaIndexWay,
    "llama_index-complete": LlamaIndexCompleteWay,
}
CHAT_WAYS = tuple(f"{name}{shell}" for name in ADAPTERS for shell in ("", "-async"))


def why_left_out(scenario: Scenario, mode: str, way: str) -> str | None:
    """Why a scenario is not played in a way; None if it is."""
    name = way.removesuffix("-async")
    reason: str | None = scenario.left_out.get(name.partition("-")[0]) or ADAPTERS[name].why_not(scenario, mode)
    return reason


def ways_of(scenario: Scenario | Endpoint, mode: str) -> tuple[str, ...]:
    """The names of the ways in which a scenario is played."""
    if isinstance(scenario, Endpoint):
        return tuple(scenario.ways)
    return tuple(way for way in CHAT_WAYS if why_left_out(scenario, mode, way) is None)


async def play(scenario: Scenario | Endpoint, mode: str, way: str, base_url: str, key: str, **client: Any) -> Any:
    """Go through a scenario in one way.

    Args:
        scenario: The scenario.
        mode: One of its modes.
        way: One of its ways.
        base_url: The API's root.
        key: The API key.
        client: Arguments for the model object.

    Returns:
        What was heard to each question, a list of `Heard`; of an endpoint whatever its way returns, or a `Heard` with
        the error it raises.
    """
    if isinstance(scenario, Endpoint):
        try:
            outcome = scenario.ways[way](base_url, scenario.key or key)
            return await outcome if inspect.isawaitable(outcome) else outcome
        except Exception as error:
            return _raised(error)
    adapter = ADAPTERS[way.removesuffix("-async")](scenario, base_url, scenario.key or key, **client)
    heard: list[Heard] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KimiWarning)
        try:
            await _converse(adapter, scenario, mode == "stream", way.endswith("-async"), heard)
        except Exception as error:
            heard.append(_raised(error))
    heard[-1].warned = [str(warning.message) for warning in caught]
    return heard


def _raised(error: Exception) -> Heard:
    return Heard(error=error, request_id=getattr(error, "request_id", None))


async def _converse(adapter: Any, scenario: Scenario, stream: bool, asynchronous: bool, heard: list[Heard]) -> None:
    if scenario.schema is not None:
        heard.append(await adapter.ask_for(scenario, stream, asynchronous))
        return
    messages = [adapter.convert(message) for message in scenario.messages]
    for _ in range(scenario.repeat):
        following = messages
        while following:
            messages = following if scenario.results is not None else messages
            answer = await adapter.ask(messages, dict(scenario.settings), stream, asynchronous)
            heard.append(adapter.hear(answer))
            replayed = adapter.replay(answer, scenario.results) if scenario.results is not None else []
            following = [*messages, *replayed] if replayed else []


async def check_cassette(scenario: Scenario | Endpoint, mode: str, way: str, path: Path) -> None:
    """Play a scenario from a cassette in one way, and hold what is heard to what the cassette says.

    Raises:
        AssertionError: Something else went out, an exchange was not played, or something was lost, invented, or not as
            expected.
    """
    client = _unverified(way) if isinstance(scenario, Scenario) else {}
    with playing(path):
        outcome = await play(scenario, mode, way, NOBODY, KEY, **client)
    check_outcome(scenario, outcome, read_file(path)[1])


def _unverified(way: str) -> dict[str, Any]:
    """A client that loads no certificates, which takes longer than the rest of a test: nothing leaves the machine."""
    if way.endswith("-async"):
        return {"http_async_client": openai.DefaultAsyncHttpxClient(verify=False)}
    return {"http_client": openai.DefaultHttpxClient(verify=False)}
