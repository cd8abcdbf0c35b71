"""The prefix cache of a session: LlamaIndex's workflows have a context, and Kimi's cache a key."""

from __future__ import annotations

import uuid
from contextvars import ContextVar
from typing import TYPE_CHECKING

from kimi_wire.settings import cache_key_of

if TYPE_CHECKING:
    from llama_index.core.workflow import Context

_SESSIONS: ContextVar[tuple[str, ...]] = ContextVar("kimi_prompt_cache_sessions", default=())  # the innermost is last
_STORED = "kimi_prompt_cache_key"
_IDS = (str, int, uuid.UUID)


def current_session() -> str | None:
    """The key of the session that is on; None where none is."""
    sessions = _SESSIONS.get()
    return sessions[-1] if sessions else None


class prompt_cache_session:
    """Give all requests in a block one `prompt_cache_key`, so that a session's requests meet the same cache.

    A `Context` of a workflow keeps its key in its store: it is the same in every run, and after the context went
    through `to_dict`. Agents, chat engines and query engines in the block are steered alike; a `prompt_cache_key` of
    the model or of a call comes first. LLMs that are not Kimi's are left alone. One object may be entered again, and in
    several tasks.

    Args:
        session: A workflow's `Context` (with `async with`), or an id of the session; ids that are long or have other
            characters than letters, digits and ".:_-" are sent as their hash.

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

    def __init__(self, session: Context | str | int | uuid.UUID) -> None:
        if not isinstance(session, _IDS) and not hasattr(session, "store"):
            raise TypeError(f"A session is a workflow's Context or an id, not {type(session).__name__}.")
        self._session = session

    def __enter__(self) -> str:
        """Begin; returns the key.

        Raises:
            TypeError: It is a context, whose store is asynchronous.
        """
        if not isinstance(self._session, _IDS):
            raise TypeError("A context's store is asynchronous: write `async with prompt_cache_session(context)`.")
        return _begin(cache_key_of(str(self._session)))

    def __exit__(self, *_: object) -> None:
        """End; the session around it, if any, goes on."""
        _SESSIONS.set(_SESSIONS.get()[:-1])

    async def __aenter__(self) -> str:
        """Begin; returns the key."""
        if isinstance(self._session, _IDS):
            return self.__enter__()
        store = self._session.store
        key = await store.get(_STORED, default=None)
        if not isinstance(key, str):
            key = uuid.uuid4().hex
            await store.set(_STORED, key)
        return _begin(key)

    async def __aexit__(self, *_: object) -> None:
        """End; the session around it, if any, goes on."""
        self.__exit__()


def _begin(key: str) -> str:
    _SESSIONS.set((*_SESSIONS.get(), key))
    return key
