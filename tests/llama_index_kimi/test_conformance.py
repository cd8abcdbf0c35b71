"""The conformance suite for LlamaIndex's LLMs: Kimi, a class that is not ours, and core's own mocks.

Two families show the adapter whole, one that always thinks and one with a switch; the others show where they differ.
"""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.llms import MockLLM

from llama_index_conformance import LLMConformance
from tests.llama_index_kimi.conformance import FamilyConformance, KimiConformance, PlainConformance


class TestKimiK3(KimiConformance):
    model = "kimi-k3"


@pytest.mark.slow
class TestKimiK26(KimiConformance):
    model = "kimi-k2.6"


@pytest.mark.slow
class TestKimiK26WithoutThinking(FamilyConformance):
    model = "kimi-k2.6"
    supports_thinking = False

    @property
    def llm_params(self) -> dict[str, Any]:
        return {**super().llm_params, "thinking": False}


@pytest.mark.slow
class TestKimiK27Code(FamilyConformance):
    model = "kimi-k2.7-code"


@pytest.mark.slow
class TestKimiK25(FamilyConformance):
    model = "kimi-k2.5"


# Core's router asks every function-calling LLM for a forced call, and Kimi warns where the family takes none.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*takes no forced tool choice here")
class TestMoonshotV1(FamilyConformance):
    """No thinking, no pictures, no forced choices."""

    model = "moonshot-v1-128k"
    supports_thinking = False
    supports_images = False
    supports_forced_tool_choice = False


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*takes no forced tool choice here")
class TestKimiK2Thinking(FamilyConformance):
    """No pictures, no forced choices."""

    model = "kimi-k2-thinking"
    supports_images = False
    supports_forced_tool_choice = False


@pytest.mark.slow
class TestPlain(PlainConformance):
    """Not ours, and written for no server in particular; what the server refuses of it is expected to fail."""

    supports_structured_streaming = False  # core's default does not require the call

    @pytest.mark.xfail(reason="Moonshot's dialect of JSON Schema takes no default beside anyOf.", strict=True)
    def test_structured_predict_of_a_large_class(self, llm: Any, call: Any) -> None:
        try:
            super().test_structured_predict_of_a_large_class(llm, call)
        finally:
            self.emulator.reset()

    @pytest.mark.xfail(reason="Moonshot's dialect of JSON Schema takes no default beside anyOf.", strict=True)
    def test_a_tool_with_an_object_as_argument(self, llm: Any, call: Any) -> None:
        try:
            super().test_a_tool_with_an_object_as_argument(llm, call)
        finally:
            self.emulator.reset()

    @pytest.mark.xfail(reason="Moonshot's dialect of JSON Schema takes no default beside anyOf.", strict=True)
    def test_tables(self, llm: Any) -> None:
        try:
            super().test_tables(llm)
        finally:
            self.emulator.reset()


class TestMock(LLMConformance):
    """Core's echo, which is a completion model."""

    llm_class = MockLLM
    is_chat_model = False
    is_function_calling = False
    supports_structured_output = False
    follows_instructions = False
    is_deterministic = True
    returns_usage = False

    @pytest.mark.xfail(reason="Core's MockLLM has the whole text in every chunk.", strict=True)
    def test_stream_complete(self, llm: Any, call: Any) -> None:
        super().test_stream_complete(llm, call)

    @pytest.mark.xfail(reason="Core's MockLLM has the whole text in every chunk.", strict=True)
    def test_stream_chat(self, llm: Any, call: Any) -> None:
        super().test_stream_chat(llm, call)


class TestMockChat(LLMConformance):
    """The same as a chat model: the example in the package's docstring."""

    llm_class = MockLLM
    llm_params = {"is_chat_model": True}
    is_function_calling = False
    supports_structured_output = False
    follows_instructions = False
    supports_streaming = False
    is_deterministic = True
    returns_usage = False
