"""The whole suite in one class."""

from __future__ import annotations

from llama_index_conformance.agents import AgentTests
from llama_index_conformance.blocks import BlockTests
from llama_index_conformance.endpoints import EndpointTests
from llama_index_conformance.engines import EngineTests
from llama_index_conformance.failing import FailureTests
from llama_index_conformance.memories import MemoryTests
from llama_index_conformance.observing import ObservationTests
from llama_index_conformance.pipelines import PipelineTests
from llama_index_conformance.prediction import PredictionTests
from llama_index_conformance.sending import SendingTests
from llama_index_conformance.settings import SettingsTests
from llama_index_conformance.structured import StructuredTests
from llama_index_conformance.tooling import ToolTests


class LLMConformance(
    EndpointTests,
    SettingsTests,
    PredictionTests,
    SendingTests,
    StructuredTests,
    ToolTests,
    BlockTests,
    AgentTests,
    MemoryTests,
    EngineTests,
    PipelineTests,
    ObservationTests,
    FailureTests,
):
    """All tests that an LLM of LlamaIndex should pass.

    Subclass it in a test module, under a name that begins with "Test", and give `llm_class`. The package's docstring
    has an example; `ConformanceBase` documents every hook and flag.
    """
