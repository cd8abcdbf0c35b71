"""Who is measured, as rows of one table."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from benchmarks.server import MODEL

BASELINE = "openai SDK"

# The SDK gives a connection 5 s, which is not enough for 100 of them at once while allocations are traced.
COMMON_ARGUMENTS: Mapping[str, Any] = {"api_key": "sk-benchmark", "max_retries": 0, "timeout": 600.0}


@dataclass(frozen=True)
class Contestant:
    """Somebody to measure.

    Attributes:
        name: What tables call it.
        framework: Which driver asks it: `openai`, `langchain` or `llama_index`.
        distribution: What is installed.
        module: What is imported.
        attribute: The class in it.
        url_argument: The constructor's name for the API's root.
        arguments: The constructor's other arguments.
        ours: Whether it belongs to this repository.
    """

    name: str
    framework: str
    distribution: str
    module: str
    attribute: str
    url_argument: str = "base_url"
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({"model": MODEL}))
    ours: bool = False

    @property
    def installed(self) -> bool:
        """Whether it can be measured here."""
        try:
            return importlib.util.find_spec(self.module) is not None
        except ModuleNotFoundError:  # of the package it is in
            return False

    @property
    def version(self) -> str:
        """The installed version."""
        return "this repository" if self.ours else importlib.metadata.version(self.distribution)

    def make(self, base_url: str) -> Any:
        """Import it and make an object that asks `base_url` once, with patience."""
        cls = getattr(importlib.import_module(self.module), self.attribute)
        return cls(**{self.url_argument: base_url}, **COMMON_ARGUMENTS, **self.arguments)


_LIKE_ARGUMENTS = {"model": MODEL, "is_chat_model": True, "is_function_calling_model": True}

CONTESTANTS = (
    Contestant(BASELINE, "openai", "openai", "openai", "OpenAI", arguments={}),
    Contestant("ChatKimi", "langchain", "kimi-adapters", "langchain_kimi", "ChatKimi", ours=True),
    Contestant("Kimi", "llama_index", "kimi-adapters", "llama_index_kimi", "Kimi", ours=True),
    Contestant("ChatOpenAI", "langchain", "langchain-openai", "langchain_openai", "ChatOpenAI"),
    Contestant("ChatDeepSeek", "langchain", "langchain-deepseek", "langchain_deepseek", "ChatDeepSeek", "api_base"),
    Contestant("ChatMoonshot", "langchain", "langchain-moonshot", "langchain_moonshot", "ChatMoonshot"),
    Contestant(
        "OpenAILike",
        "llama_index",
        "llama-index-llms-openai-like",
        "llama_index.llms.openai_like",
        "OpenAILike",
        "api_base",
        _LIKE_ARGUMENTS,
    ),
    Contestant(
        "DeepSeek",
        "llama_index",
        "llama-index-llms-deepseek",
        "llama_index.llms.deepseek",
        "DeepSeek",
        "api_base",
        _LIKE_ARGUMENTS,
    ),
)


def find_contestant(name: str) -> Contestant:
    """The contestant of a name."""
    return next(contestant for contestant in CONTESTANTS if contestant.name == name)
