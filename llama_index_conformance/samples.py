"""What the tests work with: classes to fill, tools to call, texts to read.

Annotations are no strings here: core makes the schemas of tools from them as they are.
"""

import base64
from enum import Enum
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, ThinkingBlock
from llama_index.core.bridge.pydantic import BaseModel, Field, field_validator
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import BaseTool, FunctionTool


class Person(BaseModel):
    """A person."""

    name: str = Field(description="The person's full name.")
    age: int = Field(description="The person's age in years.")


class Mood(str, Enum):
    """A mood."""

    GOOD = "good"
    BAD = "bad"


class Report(BaseModel):
    """A report, with what schemas usually have: nesting, lists, choices and optional fields."""

    title: str = Field(description="A short title.")
    author: Person
    tags: list[str] = Field(description="One or more keywords.")
    mood: Mood = Field(description="The mood of the report.")
    remark: str | None = Field(default=None, description="Anything else.")


class Impossible(BaseModel):
    """A person that no answer describes."""

    name: str

    @field_validator("name")
    @classmethod
    def refuse(cls, name: str) -> str:
        """Take no name."""
        raise ValueError("no name is good enough")


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"It is sunny in {city}."


def lucky_number() -> int:
    """Tell the user's lucky number."""
    return 8


def open_vault() -> str:
    """Open the vault."""
    raise ValueError("the vault is locked")


def file_report(report: Report) -> str:
    """File a report."""
    return f"Filed: {Report.model_validate(report).title}"


def tools(*functions: Any) -> list[BaseTool]:
    """Make tools of functions."""
    return [FunctionTool.from_defaults(function) for function in functions]


def user(text: str) -> ChatMessage:
    """A message of a user."""
    return ChatMessage(role=MessageRole.USER, content=text)


def tool_result(call_id: str, text: str) -> ChatMessage:
    """A tool's answer, as core's agents write it."""
    return ChatMessage(role=MessageRole.TOOL, content=text, additional_kwargs={"tool_call_id": call_id})


def thinking_of(message: ChatMessage) -> str:
    """What was thought before the message."""
    return "".join(block.content or "" for block in message.blocks if isinstance(block, ThinkingBlock))


TEXTS = (
    "The lighthouse of Alba was built in 1811 by Ada Stone. It is forty metres high.",
    "The harbour of Alba has room for forty boats. Most of them catch herring.",
)
QUESTION = "Who built the lighthouse of Alba?"
LONG_TEXT = " ".join(TEXTS * 8)


def nodes() -> list[TextNode]:
    """A small library."""
    return [TextNode(text=text, id_=f"node-{number}") for number, text in enumerate(TEXTS)]


def scored_nodes() -> list[NodeWithScore]:
    """The same, as a retriever gives them."""
    return [NodeWithScore(node=node, score=0.5) for node in nodes()]


PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""A PNG of one pixel."""
