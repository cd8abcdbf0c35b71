"""LangChain's standard unit suite."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_kimi import ChatKimi


class TestChatKimiUnit(ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatKimi

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "kimi-k3", "api_key": "sk-test"}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        return (
            {"MOONSHOT_API_KEY": "sk-env", "MOONSHOT_BASE_URL": "http://127.0.0.1:9/v1"},
            {"model": "kimi-k3"},
            {"kimi_api_key": "sk-env", "base_url": "http://127.0.0.1:9/v1", "model_name": "kimi-k3"},
        )

    @pytest.mark.xfail(
        reason="langchain_core.load refuses every class that is not in its own mapping, in the way this test calls it "
        "(allowed_objects='all'); test_serialisation.py loads with allowed_objects=[ChatKimi]."
    )
    def test_serdes(self, model: BaseChatModel, snapshot: Any) -> None:
        super().test_serdes(model, snapshot)
