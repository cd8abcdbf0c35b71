"""Kimi's capabilities in LangChain's terms."""

from __future__ import annotations

from datetime import date
from typing import cast

from langchain_core.language_models import ModelProfile

from kimi_wire.profiles import ForcedChoice, Profile


def model_profile(model: str, facts: Profile, today: date | None = None) -> ModelProfile | None:
    """A model's capabilities in LangChain's terms; None for a model that is not Kimi's.

    `structured_output` is true where the server enforces a JSON schema, so that agents pick it over a forced tool
    choice; `tool_choice` where a choice can be forced while the model thinks.

    Args:
        model: The model's id.
        facts: What it takes at its host.
        today: The day that decides whether it still is served by Moonshot; None is today.

    Returns:
        What the installed langchain-core has a key for, and the facts have an answer to.
    """
    if not facts.is_kimi:
        return None
    profile = ModelProfile(
        name=model,
        text_inputs=True,
        image_inputs=facts.images,
        image_url_inputs=False,  # "Invalid request: unsupported image url: https://..."
        video_inputs=facts.video,
        pdf_inputs=False,
        audio_inputs=False,
        image_tool_message=facts.images,
        text_outputs=True,
        image_outputs=False,
        audio_outputs=False,
        video_outputs=False,
        reasoning_output=facts.can_think,
        tool_calling=facts.tools,
        tool_choice=facts.forced_choice in (ForcedChoice.REQUIRED, ForcedChoice.NATIVE),
        tool_call_streaming=facts.tools,
        mid_conversation_system_messages=True,
        mid_conversation_tools=facts.dynamic_tools,
        structured_output=facts.json_schema,
        temperature=not facts.fixed_sampling,
        pdf_tool_message=False,
        attachment=facts.images or facts.video,  # what a message can carry beside text
        status="deprecated" if facts.is_retired(today or date.today()) else "active",
    )
    if facts.context_window is not None:
        profile["max_input_tokens"] = facts.context_window
    if facts.max_output is not None:
        profile["max_output_tokens"] = facts.max_output
    if facts.efforts:
        profile["reasoning_effort_levels"] = list(facts.efforts)
        profile["reasoning_effort_default"] = "max"
    if facts.released is not None:
        profile["release_date"] = facts.released
    if facts.open_weights is not None:
        profile["open_weights"] = facts.open_weights
    declared = ModelProfile.__annotations__  # core warns of keys that it does not know yet
    return cast(ModelProfile, {name: value for name, value in profile.items() if name in declared})
