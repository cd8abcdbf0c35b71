"""The classes that people come from, and the names of their arguments.

Their packages hold openai below 3, so they are no dependency of the tests (`bench-peers` in pyproject.toml names them):
the names stand here, and tests/test_migrating.py compares them with the classes where those are installed, as in the
row `openai-2` of tests/matrix.py.
"""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from openai.resources.chat import Completions

MODULES = {
    "ChatOpenAI": "langchain_openai",
    "ChatMoonshot": "langchain_moonshot",
    "ChatDeepSeek": "langchain_deepseek",
    "OpenAILike": "llama_index.llms.openai_like",
    "DeepSeek": "llama_index.llms.deepseek",
}
"""Where each is imported from."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LANGCHAIN = _names(
    """
    api_key async_client base_url cache callbacks client context_management custom_get_token_ids default_headers
    default_query disable_streaming disabled_params extra_body frequency_penalty http_async_client http_client
    http_socket_options include include_response_headers logit_bias logprobs max_retries max_tokens metadata model
    model_kwargs model_name n name openai_api_base openai_api_key openai_organization openai_proxy organization
    output_version presence_penalty profile prompt_cache_options rate_limiter reasoning reasoning_effort request_timeout
    root_async_client root_client seed service_tier stop stop_sequences store stream_chunk_timeout stream_usage streaming
    tags temperature tiktoken_model_name timeout top_logprobs top_p truncation use_previous_response_id
    use_responses_api verbose verbosity
    """
)
_LLAMA_INDEX = _names(
    """
    additional_kwargs api_base api_key api_version async_http_client async_openai_client audio_config callback_manager
    completion_to_prompt context_window default_headers http_client is_chat_model is_function_calling_model logprobs
    max_retries max_tokens messages_to_prompt modalities model openai_client output_parser pydantic_program_mode
    query_wrapper_prompt rate_limiter reasoning_effort reuse_client should_use_structured_outputs strict system_prompt
    temperature timeout tokenizer top_logprobs
    """
)

ARGUMENTS = {
    "ChatOpenAI": _LANGCHAIN | {"max_completion_tokens"},
    "ChatMoonshot": _LANGCHAIN
    | {"api_base", "max_completion_tokens", "prompt_cache_key", "safety_identifier", "thinking"},
    "ChatDeepSeek": _LANGCHAIN | {"api_base"},
    "OpenAILike": _LLAMA_INDEX,
    "DeepSeek": _LLAMA_INDEX,
}
"""Of each constructor: fields, their aliases, and what its `__init__` names beside them."""

CALL = _names(
    """
    audio extra_body extra_headers extra_query frequency_penalty function_call functions logit_bias logprobs
    max_completion_tokens max_tokens metadata modalities model moderation n parallel_tool_calls prediction
    presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort response_format
    safety_identifier seed service_tier stop store stream_options temperature timeout tool_choice tools top_logprobs top_p
    user verbosity web_search_options
    """
)
"""What a call of each can have: the parameters of the openai SDK's `chat.completions.create`, which they hand on."""


def read_class(name: str) -> Any:
    """An installed class.

    Args:
        name: The class.

    Raises:
        ImportError: Its package is not installed.
    """
    return getattr(importlib.import_module(MODULES[name]), name)


def read_arguments(name: str) -> frozenset[str]:
    """The arguments of an installed class.

    Args:
        name: The class.

    Raises:
        ImportError: Its package is not installed.
    """
    cls = read_class(name)
    fields = {each for field, info in cls.model_fields.items() for each in (field, info.alias) if each}
    named = (parameter for one in cls.__mro__[:3] for parameter in inspect.signature(one.__init__).parameters.values())
    return frozenset(
        fields | {one.name for one in named if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "self"}
    )


def read_call() -> frozenset[str]:
    """The parameters of a call of the installed openai SDK."""
    return frozenset(inspect.signature(Completions.create).parameters) - {"self", "messages", "stream"}
