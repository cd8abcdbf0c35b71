"""What the tests of structured output share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llama_index.core.base.llms.types import ThinkingBlock
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent
from llama_index.core.prompts import PromptTemplate

from kimi_emulator import Reply, ToolCall
from kimi_wire import profile_for
from tests.families import MODELS

NO_SCHEMA = {model for model in MODELS if not profile_for(model).json_schema}
"""Families whose server does not hold answers to a schema: the object is a tool's arguments, thinking is off."""

THINKS = {model for model in MODELS if profile_for(model).can_think} - NO_SCHEMA
"""Families that think while they answer in structure."""


class Person(BaseModel):
    """A person."""

    name: str
    age: int


WHO = PromptTemplate("Who is it? {text}")
ADA = '{"name": "Ada Lovelace", "age": 36}'


def answering(*texts: str, thinking: bool = False) -> list[Callable[[dict[str, Any]], Reply]]:
    """Replies that give these objects in whichever way the request asks for one."""

    def reply(text: str) -> Callable[[dict[str, Any]], Reply]:
        def step(body: dict[str, Any]) -> Reply:
            reasoning = "Let me see." if thinking else None
            if "response_format" in body:
                return Reply(text, reasoning=reasoning)
            return Reply(tool_calls=[ToolCall(body["tools"][0]["function"]["name"], text)], reasoning=reasoning)

        return step

    return [reply(text) for text in texts]


class Thoughts(BaseEventHandler):
    """Notes what the model thought before each answer; None where it did not."""

    noted: list[str | None] = []

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        if isinstance(event, LLMChatEndEvent) and event.response and isinstance(event.response.raw, dict):
            blocks = [block.content for block in event.response.message.blocks if isinstance(block, ThinkingBlock)]
            self.noted.append(blocks[0] if blocks else None)
