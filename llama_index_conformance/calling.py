"""One test for the synchronous and the asynchronous way: methods are named once and called in either."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Runner:
    """Runs coroutines in one event loop, as an application does."""

    def __init__(self) -> None:
        """Make the loop."""
        self.loop = asyncio.new_event_loop()

    def __call__(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine and return its result."""
        return self.loop.run_until_complete(coroutine)

    def close(self) -> None:
        """End what is still running, and the loop."""
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self(_settle(tasks))
        self(self.loop.shutdown_asyncgens())
        self.loop.close()


async def _settle(tasks: set[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


class Caller:
    """Calls methods by their synchronous name.

    Args:
        run: Runs coroutines, for the asynchronous way; None is the synchronous way.
    """

    def __init__(self, run: Runner | None) -> None:
        self.run = run

    def name(self, name: str) -> str:
        """The method's name in this way: core's twins begin with an "a", and that of calling is `acall`."""
        if self.run is None:
            return name
        return "acall" if name == "__call__" else f"a{name}"

    def result(self, owner: Any, name: str, /, *args: Any, **kwargs: Any) -> Any:
        """Call a method and return what it gives."""
        method = getattr(owner, self.name(name))
        return method(*args, **kwargs) if self.run is None else self.run(method(*args, **kwargs))

    def chunks(self, owner: Any, name: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Call a streaming method and return all that it gives."""
        method = getattr(owner, self.name(name))
        if self.run is None:
            return list(method(*args, **kwargs))

        async def collect() -> list[Any]:
            return [chunk async for chunk in await method(*args, **kwargs)]

        return list(self.run(collect()))

    def responses(self, owner: Any, name: str, /, *args: Any, **kwargs: Any) -> list[Any]:
        """Call an endpoint, streaming or not by its name, and return its chunks or its one response."""
        if name.startswith("stream"):
            return self.chunks(owner, name, *args, **kwargs)
        return [self.result(owner, name, *args, **kwargs)]

    def text(self, response: Any) -> str:
        """All text of a streamed response of an engine."""
        if self.run is None:
            return "".join(response.response_gen)

        async def collect() -> str:
            return "".join([text async for text in response.async_response_gen()])

        return str(self.run(collect()))
