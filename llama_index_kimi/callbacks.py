"""Core's callbacks, for those who listen."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager
from llama_index.core.instrumentation.event_handlers import NullEventHandler
from llama_index.core.llms import callbacks

Method = TypeVar("Method", bound=Callable[..., Any])


class Decorator(Protocol):
    """What leaves a method's type as it is; core's own decorators make it unknown."""

    def __call__(self, method: Method, /) -> Method:
        """Decorate a method."""


def when_observed(callback: Callable[..., Any]) -> Decorator:
    """Apply a callback decorator of core's to the calls that somebody observes.

    Core makes an event for every chunk of a stream, with the whole conversation in it, which it validates: 68 us a
    chunk after 300 tool calls, whether or not anybody is told. A call that nobody observes when it begins goes without.

    Args:
        callback: `llm_chat_callback()` or `llm_completion_callback()`.
    """

    def wrap(method: Method) -> Method:
        told: Callable[..., Any] = callback(method)

        @functools.wraps(told)
        def call(llm: BaseLLM, *args: Any, **kwargs: Any) -> Any:
            return (told if is_observed(llm) else method)(llm, *args, **kwargs)

        @functools.wraps(told)
        async def acall(llm: BaseLLM, *args: Any, **kwargs: Any) -> Any:
            return await (told if is_observed(llm) else method)(llm, *args, **kwargs)

        return acall if inspect.iscoroutinefunction(told) else call  # type: ignore[return-value]

    return wrap


def is_observed(llm: BaseLLM) -> bool:
    """Whether core's callbacks do anything: there is a callback handler, an event handler, or a rate limiter."""
    manager = llm.callback_manager
    if not isinstance(manager, CallbackManager) or manager.handlers or llm.rate_limiter is not None:
        return True
    dispatcher = callbacks.dispatcher
    while True:
        if any(not isinstance(handler, NullEventHandler) for handler in dispatcher.event_handlers):
            return True
        if not dispatcher.propagate:
            return False
        dispatcher = dispatcher.parent
