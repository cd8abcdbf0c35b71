"""What tracers get to see of a call: all that their pages have a place for, and nothing secret."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator, Reply, ToolCall
from kimi_wire import KimiError
from tests.examples import ROOT
from tests.loopback import read_request, serving
from tests.spans import exported
from tests.test_odd_answers import hear_from

# OpenInference inspects every attribute of a model, pydantic's deprecated ones included.
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")

openinference = pytest.mark.needs(
    "openinference.instrumentation.langchain", "openinference.instrumentation.llama_index"
)

KEY = "sk-secret-0123456789abcdef"
HEADERS = {"X-Api-Key": "hush-hush"}
WAYS = ["whole", "awhole", "stream", "astream"]
ADAPTERS = ["langchain", "llama_index"]


@pytest.fixture(scope="module")
def _exporter() -> Iterator[Any]:
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

    with exported(LangChainInstrumentor(), LlamaIndexInstrumentor()) as exporter:
        yield exporter


@pytest.fixture
def spans(_exporter: Any) -> Any:
    """What OpenInference exports in a test."""
    _exporter.clear()
    return _exporter


def everything(spans: Any) -> str:
    return "".join(span.to_json() for span in spans.get_finished_spans())


@openinference
@pytest.mark.says(
    "docs/recipes/tracing.md",
    "model, tokens, cached and thinking tokens, end",
    "tool calls",
    "provider",
    "what the model thought",
)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_span_of_openinference(spans: Any, kimi: KimiEmulator, adapter: str, way: str) -> None:
    call = ToolCall("get_weather", {"city": "Oslo"})
    kimi.script(Reply("Let me see.", reasoning="A city, so ask.", tool_calls=[call], cached_tokens=7))
    asyncio.run(hear_from(kimi.base_url, adapter, way, api_key=KEY, default_headers=HEADERS))
    [span] = spans.get_finished_spans()
    seen = span.attributes
    assert (seen["openinference.span.kind"], seen["llm.model_name"]) == ("LLM", "kimi-k3")
    assert seen["llm.token_count.prompt_details.cache_read"] == 7
    assert seen["llm.token_count.completion_details.reasoning"] > 0
    assert seen["llm.token_count.total"] == seen["llm.token_count.prompt"] + seen["llm.token_count.completion"]
    assert seen["llm.finish_reason"] == "tool_calls"
    calls = "llm.output_messages.0.message.tool_calls.0.tool_call.function"
    assert (seen[f"{calls}.name"], json.loads(seen[f"{calls}.arguments"])) == ("get_weather", {"city": "Oslo"})
    assert seen.get("llm.provider") == ("moonshot" if adapter == "langchain" else None)
    assert ("A city, so ask." in seen["output.value"]) is (adapter == "langchain")
    assert_silent(everything(spans))


def assert_silent(said: str) -> None:
    assert said
    for secret in (KEY, "hush-hush"):
        assert secret not in said


@pytest.mark.says("docs/recipes/tracing.md", "the span's status, with the exception as an event")
@openinference
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_the_span_of_an_error(spans: Any, kimi: KimiEmulator, adapter: str, way: str) -> None:
    kimi.script(Failure(401, f"Incorrect API key provided: {KEY}"))
    with pytest.raises(KimiError):
        asyncio.run(hear_from(kimi.base_url, adapter, way, api_key=KEY, default_headers=HEADERS))
    [span] = spans.get_finished_spans()
    assert span.status.status_code.name == "ERROR"
    assert [event.name for event in span.events] == ["exception"]
    assert_silent(everything(spans))


BATCHES = {  # what LangSmith's server says of them; a client that misses one of these waits for ever
    "use_multipart_endpoint": False,
    "size_limit": 100,
    "size_limit_bytes": 20_971_520,
    "scale_up_qsize_trigger": 1000,
    "scale_up_nthreads_limit": 16,
    "scale_down_nempty_trigger": 4,
}


@contextmanager
def collecting() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """A server that takes whatever is sent to it; gives its URL, and the paths and bodies."""
    taken: list[tuple[str, bytes]] = []

    def answer(connection: socket.socket) -> None:
        head, body = read_request(connection)
        method, path, _ = head.decode().split(" ", 2)
        if method == "POST":
            taken.append((path, body))
        said = json.dumps({} if method == "POST" else {"batch_ingest_config": BATCHES}).encode()
        start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        connection.sendall(b"%bContent-Length: %d\r\n\r\n%b" % (start, len(said), said))

    with serving(answer) as port:
        yield f"http://127.0.0.1:{port}", taken


@pytest.mark.says(
    "docs/recipes/tracing.md", "which `OTEL_EXPORTER_OTLP_ENDPOINT` and `OTEL_EXPORTER_OTLP_HEADERS` name"
)
@openinference
@pytest.mark.needs("opentelemetry.exporter.otlp.proto.http.trace_exporter")
def test_a_collector_gets_the_spans(spans: Any, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    asyncio.run(hear_from(kimi.base_url, "langchain", "whole", api_key=KEY))
    with collecting() as (url, taken):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        exporter = OTLPSpanExporter()
        exporter.export(spans.get_finished_spans())
        exporter.shutdown()
    [(path, body)] = taken
    assert path == "/v1/traces"
    assert b"llm.token_count.total" in body


PROGRAM = """
from langchain_core.tracers.langchain import wait_for_all_tracers
from langchain_kimi import ChatKimi

model = ChatKimi(model="kimi-k3", max_tokens=300, default_headers={"X-Api-Key": "hush-hush"})
model.invoke("Why is the sky blue?")
for chunk in model.stream("Why is the sky blue?"):
    pass
wait_for_all_tracers()
"""


@pytest.mark.slow
@pytest.mark.says(
    "docs/recipes/tracing.md",
    "the settings that are not the default, the messages, the thinking, and `usage_metadata` with cached and thinking tokens",
    "The key is a reference to `MOONSHOT_API_KEY` in it",
)
def test_a_run_of_langsmith(kimi: KimiEmulator) -> None:
    kimi.script(*[Reply("Rayleigh.", reasoning="Light.", cached_tokens=7)] * 2)
    with collecting() as (url, taken):
        environment = {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_ENDPOINT": url,
            "LANGSMITH_API_KEY": "lsv2_pt_x",
            "MOONSHOT_API_KEY": KEY,
            "MOONSHOT_BASE_URL": kimi.base_url,
            "PYTHONPATH": str(ROOT),
        }
        subprocess.run([sys.executable, "-c", PROGRAM], check=True, timeout=120, env={**os.environ, **environment})
    sent = [json.loads(body) for _, body in taken]
    assert {path for path, _ in taken} == {"/runs/batch"}
    runs: dict[str, Any] = {}
    for run in [run for batch in sent for kind in ("post", "patch") for run in batch.get(kind, ())]:
        runs[run["id"]] = {**runs.get(run["id"], {}), **run}
    whole, streamed = runs.values()
    for run in (whole, streamed):
        about, message = run["extra"]["metadata"], run["outputs"]["generations"][0][0]["message"]["kwargs"]
        assert (about["ls_provider"], about["ls_model_name"], about["ls_max_tokens"]) == ("moonshot", "kimi-k3", 300)
        assert run["extra"]["invocation_params"]["max_tokens"] == 300
        usage = about["usage_metadata"]
        assert usage == message["usage_metadata"]
        assert usage["input_token_details"] == {"cache_read": 7}
        assert usage["output_token_details"]["reasoning"] > 0
        assert message["additional_kwargs"]["reasoning_content"] == "Light."
        assert run["serialized"]["kwargs"]["kimi_api_key"]["id"] == ["MOONSHOT_API_KEY"]
        assert run["inputs"]["messages"][0][0]["kwargs"]["content"] == "Why is the sky blue?"
    assert "new_token" in [event["name"] for event in streamed["events"]]
    assert_silent(json.dumps(sent))
