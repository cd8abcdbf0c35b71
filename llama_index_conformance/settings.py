"""The object itself: metadata, how it is made, stored and copied, and that it keeps its key to itself."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from llama_index.core import Settings
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.callbacks import CallbackManager, LlamaDebugHandler
from llama_index.core.llms import LLM
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.llms.utils import resolve_llm
from llama_index.core.types import PydanticProgramMode

from llama_index_conformance.base import ConformanceBase, needs
from llama_index_conformance.recording import Recorder
from llama_index_conformance.samples import user

_GENERIC = frozenset({"base_component", "custom_llm", "structured_llm", "LLM"})


class SettingsTests(ConformanceBase):
    """Metadata, construction, serialisation, copies and secrets."""

    def test_base_classes(self, llm: LLM) -> None:
        """Core asks `isinstance(llm, FunctionCallingLLM)` before it gives tools."""
        assert isinstance(llm, LLM)
        if self.is_function_calling:
            assert isinstance(llm, FunctionCallingLLM)

    def test_metadata(self, llm: LLM) -> None:
        """Memories and prompt helpers cut texts to these sizes."""
        metadata = llm.metadata
        assert isinstance(metadata, LLMMetadata)
        assert metadata.context_window > 0
        assert metadata.num_output == -1 or 0 < metadata.num_output < metadata.context_window
        assert metadata.model_name

    def test_metadata_agrees_with_the_flags(self, llm: LLM) -> None:
        """`is_chat_model` and `is_function_calling_model` choose which of its code core runs."""
        assert bool(llm.metadata.is_chat_model) is self.is_chat_model
        assert bool(llm.metadata.is_function_calling_model) is self.is_function_calling

    def test_class_name(self, llm: LLM) -> None:
        """The name in serialised form is the class's own."""
        assert type(llm).class_name() == llm.class_name()
        assert llm.class_name() not in _GENERIC

    def test_the_constructor_takes_what_every_llm_takes(self) -> None:
        """The fields of core's `LLM` can be given to `make_llm`."""
        manager = CallbackManager([LlamaDebugHandler(print_trace_on_end=False)])
        given: dict[str, Any] = {
            "callback_manager": manager,
            "system_prompt": "Be brief.",
            "completion_to_prompt": str.upper,
            "messages_to_prompt": repr,
            "pydantic_program_mode": PydanticProgramMode.LLM,
        }
        llm = self.make_llm(**given)
        assert llm.callback_manager is manager
        assert llm.system_prompt == "Be brief."
        assert llm.completion_to_prompt is given["completion_to_prompt"]
        assert llm.messages_to_prompt is given["messages_to_prompt"]
        assert llm.pydantic_program_mode is PydanticProgramMode.LLM

    def test_a_dict_makes_the_same_llm(self, llm: LLM) -> None:
        """`from_dict(to_dict())` gives an equal object; what the dict must not have comes from `restore_params`."""
        stored = llm.to_dict()
        assert stored["class_name"] == llm.class_name()
        before = copy.deepcopy(stored)
        again = type(llm).from_dict(stored, **self.restore_params)
        assert stored == before
        assert type(again) is type(llm)
        assert again.to_dict() == stored
        assert again.metadata == llm.metadata

    def test_json_makes_the_same_llm(self, llm: LLM) -> None:
        """The same through `to_json`, which has to be JSON."""
        text = llm.to_json()
        assert json.loads(text)["class_name"] == llm.class_name()
        assert type(llm).from_json(text, **self.restore_params).to_dict() == llm.to_dict()

    @needs("supports_pickle")
    def test_pickles_work(self, llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
        """Also after a call, when there is a client: ingestion pipelines send LLMs to other processes."""
        llm.complete(self.questions.plain)
        stored = pickle.dumps(llm)
        for name, value in self.environment.items():
            monkeypatch.setenv(name, value)
        again = pickle.loads(stored)
        assert again.to_dict() == llm.to_dict()
        assert again.metadata == llm.metadata
        assert again.complete(self.questions.plain).text

    def test_deep_copies_work(self, llm: LLM) -> None:
        """Also after a call; agents and workflows copy what they are made of."""
        llm.complete(self.questions.plain)
        again = copy.deepcopy(llm)
        assert again is not llm
        assert again.to_dict() == llm.to_dict()
        assert again.complete(self.questions.plain).text
        again.system_prompt = "Be brief."
        assert llm.system_prompt != "Be brief."

    def test_nothing_shows_a_secret(self, llm: LLM, recorder: Recorder) -> None:
        """Neither repr, dict and JSON nor the payload of events, which goes to whoever traces the application."""
        secrets = self._secrets()
        llm.chat([user(self.questions.plain)])
        shown = {
            "repr": repr(llm),
            "str": str(llm),
            "to_dict": str(llm.to_dict()),
            "to_json": llm.to_json(),
            "model_dump_json": llm.model_dump_json(),
            "to_payload": str(llm.to_payload()),
            "events": "".join(str(event.model_dump()) for event in recorder.events),
        }
        leaks = [way for way, text in shown.items() if any(secret in text for secret in secrets)]
        assert leaks == []

    @needs("supports_pickle")
    def test_pickles_have_no_secret(self, llm: LLM) -> None:
        """A pickle is a file that others may read; set `pickles_secrets` if yours need the key in it."""
        if self.pickles_secrets:
            pytest.skip("pickles_secrets is True")
        secrets = self._secrets()
        stored = pickle.dumps(llm)
        assert not any(secret.encode() in stored for secret in secrets)

    def test_the_payload_of_events(self, llm: LLM) -> None:
        """`to_payload` is made for every call: it is JSON, and names the class and the model."""
        payload = llm.to_payload()
        assert payload["class_name"] == llm.class_name()
        assert payload["model_name"] == llm.metadata.model_name
        json.dumps(payload)

    def test_settings_take_the_llm(self, llm: LLM, monkeypatch: pytest.MonkeyPatch) -> None:
        """`Settings.llm = llm`, whose getter puts the global callback manager on the LLM."""
        manager = CallbackManager([])
        monkeypatch.setattr(Settings, "_llm", None)
        monkeypatch.setattr(Settings, "_callback_manager", manager)
        Settings.llm = llm
        assert Settings.llm is llm
        assert resolve_llm(llm) is llm
        assert llm.callback_manager is manager

    def _secrets(self) -> list[str]:
        secrets = [secret for secret in self.secrets if secret]
        if not secrets:
            pytest.skip("secrets is empty")
        return secrets
