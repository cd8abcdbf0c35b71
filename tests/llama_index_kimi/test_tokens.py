"""The tokenizer, in every place of core that takes one."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from llama_index.core import PromptTemplate, Settings
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.indices.prompt_helper import PromptHelper
from llama_index.core.llms import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer, ChatSummaryMemoryBuffer, Memory
from llama_index.core.node_parser import SentenceSplitter
from sqlalchemy.ext.asyncio import create_async_engine

from kimi_emulator import KimiEmulator
from kimi_wire.endpoints.tokens import estimate_text
from llama_index_kimi import Kimi, KimiMissingKeyError, KimiRequestError, KimiTokenizer
from tests.llama_index_kimi.conftest import KEY


@pytest.fixture
def at_server(kimi: KimiEmulator) -> KimiTokenizer:
    return KimiTokenizer("server", api_key=KEY, api_base=kimi.base_url, max_retries=0)


def test_local_by_default(kimi: KimiEmulator) -> None:
    tokenizer = KimiTokenizer()
    assert tokenizer("Hi there!") == [0, 1, 2] == tokenizer.encode("Hi there!")
    assert tokenizer.count("你好世界") == 3
    assert repr(tokenizer) == "KimiTokenizer('local', model='kimi-k3')"


@pytest.mark.slow
def test_the_server_counts_when_asked_to(at_server: KimiTokenizer, kimi: KimiEmulator) -> None:
    assert at_server.count("Hello") == at_server.count("Hello") > 80
    assert len(kimi.requests) == 1
    assert at_server("") == []  # an empty text is no message
    for n in range(300):
        at_server.count(f"text {n}")
    assert len(at_server._counted) == 256
    assert KEY not in repr(at_server)
    assert copy.deepcopy(at_server) is at_server
    assert at_server._platform
    at_server._platform.close()


def test_arguments_are_checked() -> None:
    with pytest.raises(KimiRequestError, match="neither 'local' nor 'server'"):
        KimiTokenizer("tiktoken")  # type: ignore[arg-type]
    with pytest.raises(KimiMissingKeyError):
        KimiTokenizer("server")


def test_in_a_counting_handler() -> None:
    handler = TokenCountingHandler(tokenizer=KimiTokenizer())
    text = "one two three " * 50
    with CallbackManager([handler]).event("embedding") as event:  # type: ignore[arg-type]
        from llama_index.core.callbacks import EventPayload

        event.on_end(payload={EventPayload.CHUNKS: [text]})
    assert handler.total_embedding_token_count == estimate_text(text)


@pytest.mark.parametrize("cls", [ChatMemoryBuffer, ChatSummaryMemoryBuffer])
def test_in_memories(cls: type[ChatMemoryBuffer], llm: Callable[..., Kimi]) -> None:
    memory = cls.from_defaults(token_limit=100, tokenizer_fn=KimiTokenizer())
    for n in range(20):
        memory.put(ChatMessage(role="user", content=f"question {n} " * 4))
        memory.put(ChatMessage(role="assistant", content=f"answer {n} " * 4))
    kept = memory.get()
    assert 2 <= len(kept) < 40
    assert sum(estimate_text(str(message.content)) for message in kept) <= 100


async def test_in_the_newest_memory() -> None:
    engine = create_async_engine("sqlite+aiosqlite:///:memory:")
    memory = Memory.from_defaults(
        token_limit=200, chat_history_token_ratio=0.5, tokenizer_fn=KimiTokenizer(), async_engine=engine
    )
    for n in range(20):
        await memory.aput(ChatMessage(role="user", content=f"question {n} " * 4))
        await memory.aput(ChatMessage(role="assistant", content=f"answer {n} " * 4))
    assert 2 <= len(await memory.aget()) < 40
    await engine.dispose()


def test_in_a_prompt_helper_with_the_models_own_window(llm: Callable[..., Kimi]) -> None:
    tokenizer = KimiTokenizer()
    helper = PromptHelper.from_llm_metadata(llm(context_window=1000, max_tokens=200).metadata, tokenizer=tokenizer)
    packed = helper.repack(PromptTemplate("Context: {context_str}"), ["some words of text. " * 400])
    assert len(packed) > 1
    assert max(map(tokenizer.count, packed)) <= 1000 - 200
    assert PromptHelper.from_llm_metadata(llm().metadata, tokenizer=tokenizer).context_window == 1_048_576


@pytest.mark.says("docs/files.md", "`KimiTokenizer()` goes wherever a `tokenizer` or a `tokenizer_fn` is taken")
@pytest.mark.slow
def test_everywhere_and_in_splitters() -> None:
    before = Settings._tokenizer
    try:
        Settings.tokenizer = KimiTokenizer()
        assert Settings.tokenizer("Hi there!") == [0, 1, 2]
    finally:
        Settings.tokenizer = before  # type: ignore[assignment]
    chunks = SentenceSplitter(chunk_size=50, chunk_overlap=0, tokenizer=KimiTokenizer()).split_text("Some words. " * 90)
    assert max(map(estimate_text, chunks)) <= 50
