"""Every argument of both constructors, with what may be given: type checkers take it, and so do the classes."""

import os

import httpx
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.rate_limiters import InMemoryRateLimiter
from llama_index.core.callbacks import CallbackManager
from llama_index.core.types import PydanticProgramMode
from pydantic import SecretStr

from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi


def key() -> str:
    return "sk-test"


async def akey() -> str:
    return "sk-test"


CHAT = ChatKimi(
    model="kimi-k3",
    api_key="sk-test",
    base_url="http://127.0.0.1:9/v1",
    thinking=True,
    reasoning_effort="low",
    preserve_thinking=True,
    missing_reasoning="omit",
    unanswered_tool_calls="repair",
    dialect="vllm",
    continue_on_length=1,
    resume_streams=1,
    empty_answers="retry",
    max_tokens=100,
    temperature=1,
    top_p=0.95,
    n=1,
    presence_penalty=0,
    frequency_penalty=0,
    logprobs=True,
    top_logprobs=1,
    stop=["\n\n"],
    prompt_cache_key="thread-1",
    prompt_cache_ttl="1h",
    safety_identifier="user-1",
    remote_images="download",
    upload_media_over=1_000_000,
    extra_body={"field": 1},
    strict=False,
    streaming=True,
    token_counting="server",
    timeout=httpx.Timeout(60),
    stream_idle_timeout=60,
    max_retries=0,
    default_headers={"X-Team": "search"},
    http_client=None,
    http_async_client=None,
    name="kimi",
    cache=InMemoryCache(),
    verbose=False,
    callbacks=[BaseCallbackHandler()],
    tags=["a"],
    metadata={"a": 1},
    custom_get_token_ids=lambda text: list(range(len(text))),
    rate_limiter=InMemoryRateLimiter(),
    disable_streaming="tool_calling",
    output_version="v1",
    profile={"max_input_tokens": 1000},
)

LLM = Kimi(
    model="kimi-k3",
    api_key="sk-test",
    api_base="http://127.0.0.1:9/v1",
    base_url=None,
    thinking=True,
    reasoning_effort="low",
    preserve_thinking=True,
    missing_reasoning="omit",
    unanswered_tool_calls="repair",
    dialect="vllm",
    continue_on_length=1,
    resume_streams=1,
    empty_answers="retry",
    max_tokens=100,
    temperature=1,
    top_p=0.95,
    presence_penalty=0,
    frequency_penalty=0,
    logprobs=True,
    top_logprobs=1,
    stop=["\n\n"],
    prompt_cache_key="session-1",
    prompt_cache_ttl="1h",
    safety_identifier="user-1",
    remote_images="download",
    upload_media_over=1_000_000,
    extra_body={"field": 1},
    strict=False,
    timeout=60,
    stream_idle_timeout=60,
    max_retries=0,
    default_headers={"X-Team": "search"},
    http_client=None,
    http_async_client=None,
    context_window=100_000,
    callback_manager=CallbackManager(),
    rate_limiter=None,
    system_prompt="Be brief.",
    messages_to_prompt=lambda messages: "\n".join(map(str, messages)),
    completion_to_prompt=lambda prompt: prompt,
    output_parser=None,
    pydantic_program_mode=PydanticProgramMode.DEFAULT,
    query_wrapper_prompt=None,
)

# Other forms of some of them.
ChatKimi(
    api_key=SecretStr("sk-test"),
    stop="\n\n",
    base_url=os.environ.get("NO_SUCH_ADDRESS"),
    thinking=False,
    model="kimi-k2.6",
)
ChatKimi(api_key=key)
ChatKimi(api_key=akey)
Kimi("kimi-k2.6", api_key=SecretStr("sk-test"), base_url="http://127.0.0.1:9/v1", thinking=False)
Kimi(api_key=key, api_base=os.environ.get("NO_SUCH_ADDRESS"), stop="\n\n")
Kimi(api_key=akey)
if os.environ.get("MOONSHOT_API_KEY"):
    ChatKimi(api_key=os.environ.get("MOONSHOT_API_KEY"))
    Kimi(api_key=os.environ.get("MOONSHOT_API_KEY"))
print(CHAT.model, CHAT.model_name, CHAT.api_key, LLM.model)
