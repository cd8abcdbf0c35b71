"""LangChain's standard integration suite, against the emulator."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_tests.integration_tests import ChatModelIntegrationTests

from kimi_emulator import KimiEmulator
from kimi_wire import profile_for
from langchain_kimi import ChatKimi
from tests.recorded.tape import FOLDER

pytestmark = pytest.mark.slow

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class KimiIntegration(ChatModelIntegrationTests):
    """What Kimi has is switched on. What stays off, the server does not take: PDF and audio input ("contains an invalid
    part type"), and pictures by URL ("unsupported image url")."""

    model_name = ""

    @pytest.fixture(autouse=True)
    def _connect(self, kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch) -> Any:
        self.emulator = kimi
        picture = httpx.Response(200, content=PIXEL)
        monkeypatch.setattr(httpx, "get", lambda *_, **__: picture)  # the suite's pictures are on the web
        yield
        assert [request.error for request in kimi.rejections] == []

    @pytest.fixture
    def vcr_config(self) -> dict[str, Any]:
        return {"match_on": ["same_request"], "allow_playback_repeats": True}

    @pytest.fixture
    def vcr_cassette_dir(self) -> str:
        return str(FOLDER / f"story-{self.model_name}")

    @pytest.fixture
    def default_cassette_name(self) -> str:
        return "stream"

    @property
    def enable_vcr_tests(self) -> bool:
        return self.model_name == "kimi-k3"  # all stream by the same code

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatKimi

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": self.model_name, "api_key": "sk-test", "base_url": self.emulator.base_url}

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        # The suite's temperature=0 is left out with a warning by every model with fixed sampling, as it should be.
        return {key: value for key, value in super().standard_chat_model_params.items() if key != "temperature"}

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "kimi-k3.1-pro"

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        details = ["reasoning_output", "cache_read_input"]
        if profile_for(self.model_name).cache_ttls:  # those whose writes are billed
            details.append("cache_creation_input")
        return {"invoke": details, "stream": details}

    def invoke_with_reasoning_output(self, *, stream: bool = False) -> AIMessage:
        return self._ask("Which is larger, 9.11 or 9.9?", stream)

    def invoke_with_cache_read_input(self, *, stream: bool = False) -> AIMessage:
        question = "Which is larger, 9.11 or 9.9? " * 100
        self._ask(question, stream)
        return self._ask(question, stream)

    def invoke_with_cache_creation_input(self, *, stream: bool = False) -> AIMessage:
        return self._ask(f"Is {'not ' * 400}9.11 larger than 9.9?", stream)

    def _ask(self, question: str, stream: bool) -> AIMessage:
        model = ChatKimi(**self.chat_model_params)
        if not stream:
            return model.invoke(question)
        first, *rest = model.stream(question)
        return sum(rest, start=first)


class TestKimiK3(KimiIntegration):
    model_name = "kimi-k3"


class TestKimiK26(KimiIntegration):
    model_name = "kimi-k2.6"


class TestKimiK27Code(KimiIntegration):
    model_name = "kimi-k2.7-code"
