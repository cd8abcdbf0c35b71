"""Prompt caching of agents: each thread has a key of its own, and what is written may be kept for an hour."""

# ruff: noqa: E402 # whether the framework is there is said before anything needs it

from __future__ import annotations

from typing import Any, Literal

from kimi_wire.lazy import require

require("langchain", package="KimiPromptCachingMiddleware", title="LangChain's agents", extra="agents")

from langchain.agents.middleware.types import ModelRequest
from langchain_core.runnables.config import var_child_runnable_config

from kimi_wire.profiles import CACHE_TTLS, CacheTTL
from kimi_wire.settings import cache_key_of
from kimi_wire.warn import warn
from langchain_kimi.chat_models import ChatKimi
from langchain_kimi.errors import KimiRequestError
from langchain_kimi.middleware import RequestMiddleware, unwrapped


class KimiPromptCachingMiddleware(RequestMiddleware):
    """Steers an agent's requests to the prefix cache of their thread.

    Kimi finds shared beginnings by itself; the key has all requests of a thread go to where its beginning is cached. It
    is the thread id of the run's configuration, so it is the same when the thread is resumed; ids that are long or have
    other characters than letters, digits and ".:_-" are sent as their hash. Without a thread id there is no key.

    What the model, `bind` or the request has as `prompt_cache_key` and `prompt_cache_ttl` comes first. Models that are
    not Kimi's get the request as it is, as after a fallback.

    Args:
        ttl: How long the cache is to keep what is written to it: "5m" or "1h" (kimi-k3 and newer). None is the
            server's, five minutes; a hit renews the time.
        unsupported_model_behavior: What to do about a model that is not Kimi's: "ignore", "warn" or "raise".

    Raises:
        KimiRequestError: An argument is none of these words; or, with "raise", the model is not Kimi's.

    Examples:
        ```python
        from langchain.agents import create_agent
        from langchain_kimi import ChatKimi, KimiPromptCachingMiddleware
        from langgraph.checkpoint.memory import InMemorySaver

        agent = create_agent(
            ChatKimi(), [], middleware=[KimiPromptCachingMiddleware(ttl="1h")], checkpointer=InMemorySaver()
        )
        agent.invoke({"messages": [("user", "Hello")]}, {"configurable": {"thread_id": "ada"}})
        ```
    """

    def __init__(
        self,
        ttl: CacheTTL | None = None,
        *,
        unsupported_model_behavior: Literal["ignore", "warn", "raise"] = "ignore",
    ) -> None:
        super().__init__()
        if ttl is not None and ttl not in CACHE_TTLS:
            raise KimiRequestError(f"ttl={ttl!r} is not one of {', '.join(CACHE_TTLS)}.")
        if unsupported_model_behavior not in ("ignore", "warn", "raise"):
            raise KimiRequestError(
                f"unsupported_model_behavior={unsupported_model_behavior!r} is not one of ignore, warn, raise."
            )
        self.ttl = ttl
        self.unsupported_model_behavior = unsupported_model_behavior

    def _changed(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        model, bound = unwrapped(request.model)
        if not isinstance(model, ChatKimi) or model.profile is None:
            self._stand_aside(model)
            return request
        asked = {"prompt_cache_key": thread_key(request.runtime), "prompt_cache_ttl": self.ttl}
        own = {name: getattr(model, name) for name in asked}
        steered: dict[str, Any] = {}
        # What is bound is said again: an agent that binds its tools to the model loses it.
        for source in (asked, own, bound, request.model_settings):
            steered |= {name: source[name] for name in asked if source.get(name) is not None}
        return request.override(model_settings={**request.model_settings, **steered}) if steered else request

    def _stand_aside(self, model: Any) -> None:
        message = (
            f"KimiPromptCachingMiddleware steers the prompt cache of Kimi's models, and {type(model).__name__} is none."
        )
        if self.unsupported_model_behavior == "raise":
            raise KimiRequestError(message)
        if self.unsupported_model_behavior == "warn":
            warn(message)


def thread_key(runtime: Any) -> str | None:
    """The key of the thread that is running.

    Args:
        runtime: What LangGraph tells of the run; versions that do not tell the thread have it in the configuration.

    Returns:
        The thread's id, or its hash where that is no plain word; None outside of a thread.
    """
    thread = getattr(getattr(runtime, "execution_info", None), "thread_id", None)
    if thread is None:
        thread = ((var_child_runnable_config.get() or {}).get("configurable") or {}).get("thread_id")
    if thread is None:
        return None
    return cache_key_of(str(thread))
