"""A conformance suite for LLMs of LlamaIndex, to subclass as one does with langchain-tests.

It checks what core's agents, engines, programs, memories and observers ask of an LLM. It looks at shapes and behaviour,
and at single words or numbers of an answer where the LLM follows instructions, so that it runs against a real API as
well as against a fake one.

```python
# test_my_llm.py, run by pytest
from typing import Any

import pytest
from llama_index.core.llms import LLM, MockLLM
from llama_index_conformance import LLMConformance


class TestMyLLM(LLMConformance):
    @property
    def llm_class(self) -> type[LLM]:
        return MockLLM

    @property
    def llm_params(self) -> dict[str, Any]:
        return {"is_chat_model": True}

    # An echo calls no tools and follows no instructions. What a flag switches off is skipped, and says so.
    is_function_calling = False
    supports_structured_output = False
    follows_instructions = False
    returns_usage = False

    # A test that this LLM cannot pass stays as an expected failure with its reason.
    @pytest.mark.xfail(reason="Each of its chunks has the whole text.")
    def test_stream_chat(self, llm: Any, call: Any) -> None:
        super().test_stream_chat(llm, call)

    @pytest.mark.xfail(reason="Each of its chunks has the whole text.")
    def test_stream_complete(self, llm: Any, call: Any) -> None:
        super().test_stream_complete(llm, call)
```

All hooks and flags are properties of `ConformanceBase`, each with its meaning in its docstring.
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{module}"
        for module in (
            "agents",
            "base",
            "blocks",
            "endpoints",
            "engines",
            "failing",
            "memories",
            "observing",
            "pipelines",
            "prediction",
            "sending",
            "settings",
            "structured",
            "tooling",
        )
    )
)

from llama_index_conformance.base import ConformanceBase, Questions, needs  # noqa: E402 # after the registration
from llama_index_conformance.suite import LLMConformance  # noqa: E402 # as well

__all__ = ["ConformanceBase", "LLMConformance", "Questions", "needs"]
