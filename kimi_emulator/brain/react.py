"""The ReAct form, for agents that describe their tools in the prompt: Thought, Action, Action Input, Answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from ..text import shorten
from .chat import from_results
from .tools import plan
from .view import Call, Tool, View, read_object

_TOOL = re.compile(
    r"Tool Name:\s*(?P<name>\S+)\s*\n\s*Tool Description:\s*(?P<description>.*?)\n\s*Tool Args:\s*(?P<args>\{.*\})",
    re.DOTALL,
)
_ACTION = re.compile(r"Action:\s*(\S+).*?\n+\s*Action Input:\s*(\{.*\})", re.DOTALL)
_OBSERVATION = re.compile(r"\s*Observation:\s*(.*)", re.DOTALL)


def is_react(view: View) -> bool:
    """Whether the prompt asks for the ReAct form."""
    return "Action Input:" in view.system and "Thought:" in view.system


def tools(system: str) -> list[Tool]:
    """Read the tools a ReAct prompt describes."""
    found = []
    for entry in re.split(r"(?=> Tool Name:)", system):
        match = _TOOL.search(entry)
        if match:
            args = match["args"][: match["args"].rfind("}") + 1]
            found.append(Tool(match["name"], match["description"].strip(), _first_object(args)))
    return found


def _first_object(text: str) -> dict[str, object]:
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _history(view: View) -> tuple[str, list[Call]]:
    """Return the question and the steps taken since, which are told as messages of user and assistant."""
    said = [*view.before, ("user", view.question)]
    asked = max(
        (at for at, (role, text) in enumerate(said) if role == "user" and not _OBSERVATION.match(text)), default=0
    )
    calls: list[Call] = []
    action: tuple[str, dict[str, object]] | None = None
    for _, text in said[asked + 1 :]:
        acted, observed = _ACTION.search(text), _OBSERVATION.match(text)
        if acted:
            action = (acted[1], read_object(acted[2]))
        elif observed and action:
            calls.append(Call(action[0], action[1], observed[1].strip()))
            action = None
    return said[asked][1], calls


def answer(view: View, chat: Callable[[View], str]) -> str:
    """Take the next step, or answer.

    Args:
        view: The conversation.
        chat: Answers what no tool is needed for.
    """
    question, calls = _history(view)
    following = plan(question, tools(view.system), calls)
    if following:
        call = following[0]
        given = json.dumps(call.arguments, ensure_ascii=False)
        thought = "The current language of the user is: English. I need to use a tool to help me answer the question."
        return f"Thought: {thought}\nAction: {call.name}\nAction Input: {given}"
    said = from_results(question, calls) if calls else chat(View("", question, view.before))
    return (
        "Thought: I can answer without using any more tools. I'll use the user's language to answer "
        f"({shorten(question, 60)})\nAnswer: {said}"
    )
