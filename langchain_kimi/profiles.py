"""Kimi's capabilities in LangChain's terms."""

from __future__ import annotations

from langchain_core.language_models import ModelProfile

from kimi_wire.profiles import ForcedChoice, Profile, Thinking
from kimi_wire.requests import EFFORTS


def model_profile(model: str, facts: Profile) -> ModelProfile | None:
    """A model's capabilities in LangChain's terms; None for a model that is not Kimi's.

    `structured_output` is true where the server enforces a JSON schema, so that agents pick it over a forced tool
    choice; `tool_choice` where a choice can be forced while the model thinks.

    Args:
        model: The model's id.
        facts: What it takes at its host.
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
        structured_output=facts.json_schema,
        temperature=not facts.fixed_sampling,
    )
    if facts.context_window is not None:
        profile["max_input_tokens"] = facts.context_window
    if facts.max_output is not None:
        profile["max_output_tokens"] = facts.max_output
    if facts.thinking is Thinking.EFFORT:
        profile["reasoning_effort_levels"] = list(EFFORTS)
        profile["reasoning_effort_default"] = "max"
    return profile
