"""Tool calls in traces: tracers read `additional_kwargs["tool_calls"]`, where llama-index-llms-openai leaves them too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer, ChatSummaryMemoryBuffer, Memory
from llama_index.core.tools import FunctionTool

from kimi_emulator import KimiEmulator, Reply, ToolCall
from tests.spans import exported

CALLS = [ToolCall("multiply", {"a": 6, "b": 7}), ToolCall("multiply", {"a": 2, "b": 2})]
WAYS = ["chat_with_tools", "stream_chat_with_tools", "achat_with_tools", "astream_chat_with_tools"]


def multiply(a: int, b: int) -> int:
    """Multiply."""
    return a * b


TOOL = FunctionTool.from_defaults(multiply)


async def ask(model: Any, way: str) -> Any:
    asked = getattr(model, way)([TOOL], user_msg="6 * 7?", allow_parallel_tool_calls=True)
    if way == "chat_with_tools":
        return asked
    if way == "stream_chat_with_tools":
        return list(asked)[-1]
    if way == "achat_with_tools":
        return await asked
    return [chunk async for chunk in await asked][-1]


@pytest.mark.parametrize("way", WAYS)
async def test_names_and_arguments_stand_where_tracers_look(kimi: KimiEmulator, llm: Any, way: str) -> None:
    """In what OpenInference's `_get_tool_call` and traceloop's `_extract_tool_calls` read of a dict."""
    kimi.script(Reply(tool_calls=CALLS))
    response = await ask(llm(), way)
    listed = response.message.additional_kwargs["tool_calls"]
    assert [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in listed] == [
        ("multiply", {"a": 6, "b": 7}),
        ("multiply", {"a": 2, "b": 2}),
    ]
    blocks = [block for block in response.message.blocks if isinstance(block, ToolCallBlock)]
    assert [(block.tool_call_id, block.tool_name, block.tool_kwargs) for block in blocks] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in listed
    ]
    json.loads(response.message.model_dump_json())


async def test_memories_count_and_sum_up_what_is_called(kimi: KimiEmulator, llm: Any) -> None:
    """Core's memories leave blocks of calls out of both."""
    kimi.script(Reply(tool_calls=CALLS))
    message = (await ask(llm(), "chat_with_tools")).message
    listed = str(message.additional_kwargs)
    assert Memory._estimate_token_count(SimpleNamespace(tokenizer_fn=str.split), message) == len(listed.split())  # type: ignore[arg-type]
    summary = ChatSummaryMemoryBuffer.from_defaults(tokenizer_fn=str.split)
    told = ChatMessage(role="assistant", content="", additional_kwargs=message.additional_kwargs)
    assert '"a":6' in summary._get_prompt_to_summarize([told])


@pytest.fixture(scope="module")
def exporter() -> Iterator[Any]:
    """What OpenInference's instrumentor exports to."""
    instrumentation = pytest.importorskip("openinference.instrumentation.llama_index")
    pytest.importorskip("opentelemetry.sdk.trace")
    with exported(instrumentation.LlamaIndexInstrumentor()) as exporter:
        yield exporter


@pytest.fixture
def spans(exporter: Any) -> Any:
    """What it exports in a test."""
    exporter.clear()
    return exporter


def traced(spans: Any) -> list[dict[str, Any]]:
    """The tool calls of the answers in the spans of models."""
    prefix = "llm.output_messages.0.message.tool_calls."
    found = []
    for span in spans.get_finished_spans():
        if span.attributes.get("openinference.span.kind") == "LLM":
            calls = {key: value for key, value in span.attributes.items() if key.startswith(prefix)}
            if calls:
                found.append({key.removeprefix(prefix): value for key, value in calls.items()})
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.parametrize("way", WAYS)
async def test_openinference_shows_names_and_arguments(spans: Any, kimi: KimiEmulator, llm: Any, way: str) -> None:
    kimi.script(Reply(tool_calls=CALLS))
    await ask(llm(), way)
    [calls] = traced(spans)
    for index, arguments in enumerate([{"a": 6, "b": 7}, {"a": 2, "b": 2}]):
        assert calls[f"{index}.tool_call.id"]
        assert calls[f"{index}.tool_call.function.name"] == "multiply"
        assert json.loads(calls[f"{index}.tool_call.function.arguments"]) == arguments


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_openinference_shows_what_an_agent_called(spans: Any, kimi: KimiEmulator, llm: Any) -> None:
    kimi.script(Reply(tool_calls=CALLS[:1]), Reply("42."))
    await FunctionAgent(tools=[TOOL], llm=llm()).run("6 * 7?", memory=ChatMemoryBuffer.from_defaults(token_limit=1000))
    [calls] = traced(spans)
    assert json.loads(calls["0.tool_call.function.arguments"]) == {"a": 6, "b": 7}
    asked = [
        span.attributes for span in spans.get_finished_spans() if "llm.input_messages.0.message.role" in span.attributes
    ]
    assert any(
        value == '{"a":6,"b":7}' and ".tool_calls." in key and key.startswith("llm.input_messages.")
        for attributes in asked
        for key, value in attributes.items()
    )
