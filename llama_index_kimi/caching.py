"""The prefix cache of a session: LlamaIndex's workflows have a context, and Kimi's cache a key."""

from __future__ import annotations

import uuid
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_index.core.workflow import Context

_SESSION: ContextVar[str | None] = ContextVar("kimi_prompt_cache_session", default=None)
_STORED = "kimi_prompt_cache_key"


def current_session() -> str | None:
    """The key of the session that is on; None where none is."""
    return _SESSION.get()


class prompt_cache_session:
    """Give all requests in a block one `prompt_cache_key`, so that a session's requests meet the same cache.

    A `Context` of a workflow keeps its key in its store: it is the same in every run, and after the context went
    through `to_dict`. Agents, chat engines and query engines in the block are steered alike; a `prompt_cache_key` of
    the model or of a call comes first. LLMs that are not Kimi's are left alone.

    Args:
        session: A workflow's `Context` (with `async with`), or an id of the session.

    Examples:
        ```python
        import asyncio

        from llama_index.core.agent.workflow import FunctionAgent
        from llama_index.core.workflow import Context
        from llama_index_kimi import Kimi, prompt_cache_session


        async def main() -> None:
            agent = FunctionAgent(llm=Kimi(), tools=[])
            context = Context(agent)
            async with prompt_cache_session(context):
                print(await agent.run("Hello", ctx=context))


        asyncio.run(main())
        ```
    """

    def __init__(self, session: Context | str) -> None:
        self._session = session
        self._token: Token[str | None] | None = None

    def __enter__(self) -> str:
        """Begin; returns the key.

        Raises:
            TypeError: It is a context, whose store is asynchronous.
        """
        if not isinstance(self._session, str):
            raise TypeError("A context's store is asynchronous: write `async with prompt_cache_session(context)`.")
        self._token = _SESSION.set(self._session)
        return self._session

    def __exit__(self, *_: object) -> None:
        """End; the session around it, if any, goes on."""
        if self._token is not None:
            _SESSION.reset(self._token)

    async def __aenter__(self) -> str:
        """Begin; returns the key."""
        if not isinstance(self._session, str):
            store = self._session.store
            key = await store.get(_STORED, default=None)
            if not isinstance(key, str):
                key = uuid.uuid4().hex
                await store.set(_STORED, key)
            self._session = key
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        """End; the session around it, if any, goes on."""
        self.__exit__()
