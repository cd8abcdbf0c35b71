"""A LangChain agent with two tools: it thinks, calls, reads the results, and answers."""

from __future__ import annotations

from typing import Any

from langchain.agents import create_agent
from langchain_core.callbacks import get_usage_metadata_callback
from langchain_core.messages import HumanMessage

from langchain_kimi import ChatKimi, show

QUESTION = "What is the weather in the capital of Norway?"

_CAPITALS = {"Norway": "Oslo", "France": "Paris", "Japan": "Tokyo"}
_WEATHER = {"Oslo": "4 degrees Celsius and snowing", "Paris": "18 degrees Celsius and sunny"}


def find_capital(country: str) -> str:
    """Find the capital of a country."""
    return _CAPITALS.get(country, "unknown")


def get_weather(city: str) -> str:
    """Get the current weather of a city."""
    return _WEATHER.get(city, "no report")


def run() -> None:
    print(f"\nLangChain agent: {QUESTION}\n")
    agent = create_agent(ChatKimi(), [find_capital, get_weather], system_prompt="You are a helpful assistant.")
    with get_usage_metadata_callback() as usage:
        question: Any = {"messages": [HumanMessage(QUESTION)]}
        show(agent.stream(question, stream_mode="messages"))
    print(f"tokens of all steps: {usage.usage_metadata}")
