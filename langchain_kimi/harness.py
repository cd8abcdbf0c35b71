"""What deepagents is told of Kimi's models: it finds this by the entry point `deepagents.harness_profiles`."""

from __future__ import annotations

from kimi_wire.answers import PROVIDER


def register() -> None:
    """Have every deep agent on a Kimi model, and its sub-agents, steered to the prompt cache of their thread.

    deepagents calls it once; nothing else imports deepagents. It adds to what others register for the same models.
    """
    from deepagents import HarnessProfile, register_harness_profile

    from langchain_kimi.caching import KimiPromptCachingMiddleware

    register_harness_profile(PROVIDER, HarnessProfile(extra_middleware=lambda: [KimiPromptCachingMiddleware()]))
