"""The conformance suite for LlamaIndex's LLMs, against the emulator."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import certifi
import pytest

from kimi_emulator import Failure, KimiEmulator, Reply
from llama_index_conformance import LLMConformance
from llama_index_kimi import Kimi

KEY = "sk-test-0123456789"


@pytest.fixture(scope="session")
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with one certificate. Each model makes HTTP clients, which read all of certifi's otherwise: half the time."""
    first, end, _ = Path(certifi.where()).read_text(encoding="utf-8").partition("-----END CERTIFICATE-----\n")
    path = tmp_path_factory.mktemp("certificates") / "one.pem"
    path.write_text(first + end, encoding="utf-8")
    return str(path)


class KimiConformance(LLMConformance):
    """Everything that Kimi has is switched on, and every request is one that the server takes."""

    model = ""
    llm_class = Kimi
    is_deterministic = True
    supports_thinking = True
    supports_images = True
    environment: Mapping[str, str] = {"MOONSHOT_API_KEY": KEY}

    @pytest.fixture(autouse=True)
    def _connect(self, kimi: KimiEmulator, one_certificate: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setenv("SSL_CERT_FILE", one_certificate)
        self.emulator = kimi
        self.made: list[Kimi] = []
        yield
        for llm in self.made:
            if llm._connection is not None:
                llm._connection[1].close()

    @property
    def llm_params(self) -> dict[str, Any]:
        return {"model": self.model, "api_key": KEY, "api_base": self.emulator.base_url, "max_retries": 0}

    def make_llm(self) -> Kimi:
        self.made.append(Kimi(**self.llm_params))
        return self.made[-1]

    def prepare(self, test: str) -> None:
        # Core doubles the braces of the schema in its prompt, which the emulator's small model cannot read.
        if test.startswith("test_text_completion_programs"):
            self.emulator.script(Reply('{"name": "Ada Lovelace", "age": 36}'))
        if test.startswith("test_sub_questions"):
            items = '{"items": [{"sub_question": "Who built the lighthouse?", "tool_name": "buildings"}]}'
            self.emulator.script(Reply(f"```json\n{items}\n```"))

    def make_failing_llm(self) -> Kimi:
        self.emulator.script(*[Failure(500)] * 4)
        return self.make_llm()

    def make_interrupted_llm(self) -> Kimi:
        self.emulator.script(Reply("This sentence has no", cut_after=3))
        return self.make_llm()


class TestKimiK3(KimiConformance):
    model = "kimi-k3"


class TestKimiK26(KimiConformance):
    model = "kimi-k2.6"


class TestKimiK26WithoutThinking(KimiConformance):
    model = "kimi-k2.6"
    supports_thinking = False

    @property
    def llm_params(self) -> dict[str, Any]:
        return {**super().llm_params, "thinking": False}


class TestKimiK27Code(KimiConformance):
    model = "kimi-k2.7-code"
