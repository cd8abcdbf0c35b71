"""The ways through which every scenario is played: two adapters, synchronous and asynchronous, streamed or not."""

from __future__ import annotations

import inspect
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import ToolMessage
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock
from llama_index.core.prompts import PromptTemplate

from kimi_wire import KimiWarning
from kimi_wire.refusals import mask
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.conversations import Message, collect, to_langchain, to_llama_index
from tests.recorded.scenario import Endpoint, Scenario

COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")


@dataclass
class Heard:
    """One answer, in neither framework's words.

    Attributes:
        text: The visible text.
        reasoning: The thinking; None where there is none.
        calls: The tool calls: names and parsed arguments.
        finish: The finish reason.
        usage: The counts by Kimi's names, those not reported left out.
        request_id: The server's id of the request.
        parsed: The structured answer, as a dict.
        error: What was raised instead.
        warned: What was warned of.
    """

    text: str = ""
    reasoning: str | None = None
    calls: list[tuple[str, Any]] = field(default_factory=list)
    finish: str | None = None
    usage: dict[str, int] = field(default_factory=dict)
    request_id: str | None = None
    parsed: Any = None
    error: Exception | None = None
    warned: list[str] = field(default_factory=list)

    @property
    def error_classes(self) -> list[str]:
        """The names of the error's classes that both adapters share."""
        shared = (kind for kind in type(self.error).__mro__ if kind.__module__.partition(".")[0] == "kimi_wire")
        return [kind.__name__ for kind in shared]


def result_of(results: Mapping[str, str | None], name: str, arguments: Any) -> str:
    """What a tool returns: what the scenario says, or its arguments."""
    result = results[name]
    return json.dumps(arguments) if result is None else result


class LangChainWay:
    """`ChatKimi`."""

    def __init__(self, scenario: Scenario, base_url: str, key: str, **client: Any) -> None:
        self.llm = ChatKimi(model=scenario.golden["model"], base_url=base_url, api_key=key, max_retries=0, **client)

    convert = staticmethod(to_langchain)

    async def ask(self, messages: Sequence[Any], settings: Message, stream: bool, asynchronous: bool) -> Any:
        if stream:
            chunks = self.llm.astream(messages, **settings) if asynchronous else self.llm.stream(messages, **settings)
            first, *rest = await collect(chunks) if asynchronous else list(chunks)  # type: ignore[arg-type]
            return sum(rest, start=first)
        return await self.llm.ainvoke(messages, **settings) if asynchronous else self.llm.invoke(messages, **settings)

    async def ask_for(self, scenario: Scenario, stream: bool, asynchronous: bool) -> Any:
        chain = self.llm.with_structured_output(scenario.schema, method=scenario.method)  # type: ignore[arg-type]
        asked = [to_langchain(message) for message in scenario.messages]
        if stream:
            parts = await collect(chain.astream(asked)) if asynchronous else list(chain.stream(asked))
            return parts[-1]
        return await chain.ainvoke(asked) if asynchronous else chain.invoke(asked)

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


class LlamaIndexWay:
    """`Kimi`."""

    def __init__(self, scenario: Scenario, base_url: str, key: str, **client: Any) -> None:
        self.llm = Kimi(scenario.golden["model"], api_base=base_url, api_key=key, max_retries=0, **client)

    convert = staticmethod(to_llama_index)

    async def ask(self, messages: Sequence[Any], settings: Message, stream: bool, asynchronous: bool) -> Any:
        if stream and asynchronous:
            return (await collect(await self.llm.astream_chat(messages, **settings)))[-1]
        if stream:
            return list(self.llm.stream_chat(messages, **settings))[-1]
        return await self.llm.achat(messages, **settings) if asynchronous else self.llm.chat(messages, **settings)

    async def ask_for(self, scenario: Scenario, stream: bool, asynchronous: bool) -> Any:
        """A structured answer: by schema as LlamaIndex asks for one, otherwise by what its programs send."""
        if scenario.method != "json_schema":
            messages = [to_llama_index(message) for message in scenario.messages]
            names = ("tools", "tool_choice", "response_format")
            settings = {name: scenario.golden[name] for name in names if name in scenario.golden}
            response = await self.ask(messages, settings, stream, asynchronous)
            calls = self.llm.get_tool_calls_from_response(response, error_on_no_tool_call=False)
            return calls[0].tool_kwargs if calls else json.loads(response.message.content)
        assert scenario.schema is not None
        (question,) = scenario.messages
        given = (scenario.schema, PromptTemplate(question["content"]))
        if stream and asynchronous:
            return (await collect(await self.llm.astream_structured_predict(*given)))[-1]
        if stream:
            return list(self.llm.stream_structured_predict(*given))[-1]
        return await self.llm.astructured_predict(*given) if asynchronous else self.llm.structured_predict(*given)

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


ADAPTERS = {"langchain": LangChainWay, "llama_index": LlamaIndexWay}
CHAT_WAYS = ("langchain", "langchain-async", "llama_index", "llama_index-async")


def ways_of(scenario: Scenario | Endpoint) -> tuple[str, ...]:
    """The names of the ways in which a scenario is played."""
    return tuple(scenario.ways) if isinstance(scenario, Endpoint) else CHAT_WAYS


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
        What was heard to each question, a list of `Heard`; of an endpoint whatever its way returns.
    """
    if isinstance(scenario, Endpoint):
        outcome = scenario.ways[way](base_url, scenario.key or key)
        return await outcome if inspect.isawaitable(outcome) else outcome
    name, _, asynchronous = way.partition("-")
    adapter = ADAPTERS[name](scenario, base_url, scenario.key or key, **client)
    heard: list[Heard] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KimiWarning)
        try:
            await _converse(adapter, scenario, mode == "stream", bool(asynchronous), heard)
        except Exception as error:
            heard.append(Heard(error=error, request_id=getattr(error, "request_id", None)))
    heard[-1].warned = [str(warning.message) for warning in caught]
    return heard


async def _converse(adapter: Any, scenario: Scenario, stream: bool, asynchronous: bool, heard: list[Heard]) -> None:
    if scenario.schema is not None:
        parsed = await adapter.ask_for(scenario, stream, asynchronous)
        heard.append(Heard(parsed=parsed if isinstance(parsed, dict) else parsed.model_dump()))
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


def check_heard(
    scenario: Scenario, heard: Sequence[Heard], told: Sequence[Message], request_ids: Sequence[Any]
) -> None:
    """Hold what was heard to what the server said and to what the scenario expects.

    Args:
        scenario: The scenario.
        heard: What was heard to each question.
        told: What the server said in each answer, see `tests.recorded.scenario.read_answer`.
        request_ids: The server's id of each request.

    Raises:
        AssertionError: Something was lost, invented, or not as expected.
    """
    expect, last = scenario.expect, heard[-1]
    assert len(last.warned) == (expect.warns is not None), last.warned
    assert expect.warns is None or re.search(expect.warns, last.warned[0]), last.warned
    if expect.error is not None:
        _check_error(expect.error, expect.status, last, told[-1], request_ids[-1])
        return
    if last.error is not None:
        raise AssertionError(f"raised {last.error!r}") from last.error
    if expect.parsed is not None:
        assert set(last.parsed) == set(expect.parsed)
        for name, pattern in expect.parsed.items():
            assert re.search(pattern, last.parsed[name]), last.parsed
        return
    if "continue_on_length" in scenario.settings:
        assert len(told) > 1, "nothing was continued"
        told, request_ids = [_joined(told)], request_ids[-1:]
    assert len(heard) == len(told)
    for one, said, request_id in zip(heard, told, request_ids, strict=True):
        _check_said(scenario, one, said)
        assert one.request_id == request_id
    assert last.finish in expect.finish
    assert re.search(expect.says, last.text) if expect.says else last.text == ""
    assert expect.thinks is None or bool(last.reasoning) == expect.thinks
    assert [name for name, _ in last.calls] == [name for name, _ in expect.calls]
    for (_, arguments), (_, patterns) in zip(last.calls, expect.calls, strict=True):
        assert set(arguments) == set(patterns)
        assert all(re.search(pattern, arguments[name]) for name, pattern in patterns.items()), arguments
    assert bool(last.usage.get("cached_tokens")) or not expect.cached


def _check_said(scenario: Scenario, heard: Heard, said: Message) -> None:
    """Nothing the server said may be lost, and nothing be added but the prefix the caller gave."""
    text = scenario.settings.get("prefix", "") + said["content"]
    calls = [
        (made["function"]["name"], json.loads(made["function"]["arguments"])) for made in said.get("tool_calls", ())
    ]
    finish = said["finish_reason"]
    if scenario.golden.get("tool_choice") == "none":  # the call was written as JSON, under the tool's schema
        text, calls = "", [(scenario.settings["tool_choice"], json.loads(text))]
        finish = "tool_calls"
    assert heard.text == text
    assert heard.reasoning == said.get("reasoning_content")
    assert heard.calls == calls
    assert heard.finish == finish
    assert heard.usage == read_usage(said["usage"])


def read_usage(usage: Message) -> dict[str, int]:
    """The counts of a usage object by the names in `COUNTS`."""
    details = {
        "cached_tokens": usage.get("prompt_tokens_details", {}).get("cached_tokens", usage.get("cached_tokens")),
        "reasoning_tokens": usage.get("completion_tokens_details", {}).get("reasoning_tokens"),
    }
    counts = {**usage, **details}
    return {name: counts[name] for name in COUNTS if counts.get(name) is not None}


def _joined(told: Sequence[Message]) -> Message:
    """An answer that took several requests, as one."""
    counts = [read_usage(said["usage"]) for said in told]
    thoughts = [said["reasoning_content"] for said in told if "reasoning_content" in said]
    names = {name for count in counts for name in count}
    usage: Message = {name: sum(count.get(name, 0) for count in counts) for name in names}
    if "reasoning_tokens" in usage:
        usage["completion_tokens_details"] = {"reasoning_tokens": usage.pop("reasoning_tokens")}
    joined: Message = {"content": "".join(said["content"] for said in told), "usage": usage}
    if thoughts:
        joined["reasoning_content"] = "".join(thoughts)
    return {**joined, "finish_reason": told[-1]["finish_reason"]}


def _check_error(name: str, status: int | None, heard: Heard, said: Message, request_id: Any) -> None:
    assert heard.error is not None, "nothing was raised"
    assert name in heard.error_classes, heard.error_classes
    assert getattr(heard.error, "status_code", None) == status
    assert heard.request_id == request_id
    words = said.get("error", {})
    assert mask(str(words.get("message", ""))) in str(heard.error)
    assert getattr(heard.error, "type", None) == words.get("type")
