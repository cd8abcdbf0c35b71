"""A LangChain agent with two tools: it thinks, calls, reads the results, and answers."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.messages.ai import add_usage

from demo.screen import Screen
from langchain_kimi import ChatKimi

QUESTION = "What is the weather in the capital of Norway?"

_CAPITALS = {"Norway": "Oslo", "France": "Paris", "Japan": "Tokyo"}
_WEATHER = {"Oslo": "4 degrees Celsius and snowing", "Paris": "18 degrees Celsius and sunny"}


def find_capital(country: str) -> str:
    """Find the capital of a country."""
    return _CAPITALS.get(country, "unknown")


def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return _WEATHER.get(city, "no report")


def run(screen: Screen) -> None:
    screen.line("title", f"\nLangChain agent: {QUESTION}")
    agent = create_agent(ChatKimi(), [find_capital, get_weather], system_prompt="You are a helpful assistant.")
    usage = None
    question: Any = {"messages": [HumanMessage(QUESTION)]}
    for message, _ in agent.stream(question, stream_mode="messages"):
        _show(screen, message)
        if isinstance(message, AIMessageChunk):
            usage = add_usage(usage, message.usage_metadata)
    screen.line("note", f"tokens of all steps: {usage}")


def _show(screen: Screen, message: Any) -> None:
    if isinstance(message, ToolMessage):
        screen.line("tool", f"<- {message.name}: {message.content}")
    elif isinstance(message, AIMessageChunk):
        screen.stream("thinking", message.additional_kwargs.get("reasoning_content", ""))
        for call in message.tool_call_chunks:
            if call["name"]:
                screen.start("tool", f"-> {call['name']} ")
            screen.stream("tool", call["args"] or "")
        screen.stream("text", str(message.content))
