"""How the conformance suite meets the emulator: with Kimi, and with a class that is not ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from llama_index.core.llms import LLM

from kimi_emulator import Failure, KimiEmulator, Reply
from llama_index_conformance import LLMConformance
from llama_index_conformance.blocks import BlockTests
from llama_index_conformance.structured import StructuredTests
from llama_index_conformance.tooling import ToolTests
from llama_index_kimi import Kimi
from tests.llama_index_kimi.foreign import PlainLLM

KEY = "sk-test-0123456789"


class EmulatorConformance(LLMConformance):
    """Every request has to be one that the server takes."""

    model = "kimi-k3"
    is_deterministic = True

    @pytest.fixture(autouse=True)
    def _connect(self, kimi: KimiEmulator) -> None:
        self.emulator = kimi

    @property
    def llm_params(self) -> dict[str, Any]:
        return {"model": self.model, "api_key": KEY, "api_base": self.emulator.base_url}

    def prepare(self, test: str) -> None:
        # Core doubles the braces of the schema in its prompt, which the emulator's small model cannot read.
        if test.startswith("test_text_completion_programs"):
            self.emulator.script(Reply('{"name": "Ada Lovelace", "age": 36}'))
        if test.startswith("test_sub_questions"):
            items = '{"items": [{"sub_question": "Who built the lighthouse?", "tool_name": "buildings"}]}'
            self.emulator.script(Reply(f"```json\n{items}\n```"))

    def make_failing_llm(self) -> LLM:
        self.emulator.script(*[Failure(500)] * 4)
        return self.make_llm()

    def make_interrupted_llm(self) -> LLM:
        self.emulator.script(Reply("This sentence has no", cut_after=3))
        return self.make_llm()


class KimiConformance(EmulatorConformance):
    """Everything that Kimi has is switched on."""

    llm_class = Kimi
    supports_thinking = True
    supports_images = True
    environment: Mapping[str, str] = {"MOONSHOT_API_KEY": KEY}

    @pytest.fixture(autouse=True)
    def _close(self) -> Iterator[None]:
        self.made: list[Kimi] = []
        yield
        for llm in self.made:
            if llm._connection is not None:
                llm._connection[1].close()

    @property
    def llm_params(self) -> dict[str, Any]:
        return {**super().llm_params, "max_retries": 0}

    def make_llm(self, **given: Any) -> Kimi:
        self.made.append(self.llm_class(**{**self.llm_params, **given}))
        return self.made[-1]


class FamilyConformance(KimiConformance):
    """A further family: `DIFFERING` is tried every day, the rest of the suite, where families do not differ, is `deep`."""


DIFFERING = (ToolTests, StructuredTests, BlockTests)
"""The parts of the suite in which one family of Kimi goes another way than the next."""


class PlainConformance(EmulatorConformance):
    """A class that keeps its key in pickles, and knows nothing of thinking."""

    llm_class: type[LLM] = PlainLLM
    pickles_secrets = True
