"""What deepagents is told of Kimi's models: it finds this by the entry point `deepagents.harness_profiles`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kimi_wire.answers import PROVIDER

if TYPE_CHECKING:
    from langchain.agents.middleware.types import AgentMiddleware


def register() -> None:
    """Have every deep agent on a Kimi model, and its sub-agents, steered to the prompt cache of their thread.

    deepagents calls it once; nothing else imports deepagents. It adds to what others register for the same models.
    """
    from deepagents import HarnessProfile, register_harness_profile

    register_harness_profile(PROVIDER, HarnessProfile(extra_middleware=kimi_middleware))


def kimi_middleware() -> list[AgentMiddleware[Any, Any]]:
    """Make the middleware of an agent on a Kimi model.

    It is imported here: deepagents registers the profiles before the first agent on any vendor's model, which need not
    wait until Kimi's SDK is imported.

    Returns:
        New instances, since each agent has its own.
    """
    from langchain_kimi.caching import KimiPromptCachingMiddleware

    return [KimiPromptCachingMiddleware()]
