"""Agents with more tools than a request takes: the model searches them, and what it finds is loaded on the way."""

# ruff: noqa: E402 # whether the framework is there is said before anything needs it

from __future__ import annotations

import asyncio
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from kimi_wire.lazy import require

require("langchain", package="KimiToolSearchMiddleware", title="LangChain's agents", extra="agents")

from langchain.agents.middleware.types import AgentMiddleware, ModelCallResult, ModelRequest, ModelResponse
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, StructuredTool

from langchain_kimi.chat_models import ChatKimi
from langchain_kimi.errors import KimiRequestError
from langchain_kimi.tools import render_tool

Search: TypeAlias = BaseRetriever | Callable[[str], Iterable[str | BaseTool | Document]]
"""What finds tools: a retriever of `tool_documents`, or a function from a query to tools, their names or documents."""

_LOADED_BY = "KimiToolSearchMiddleware"


def tool_documents(tools: Iterable[BaseTool]) -> list[Document]:
    """What a retriever can index of tools: a document for each, with its name, its description and its arguments.

    Args:
        tools: The tools.

    Returns:
        Documents with the tool's name as `name` in their metadata.
    """
    return [Document(_describe(tool), metadata={"name": tool.name}) for tool in tools]


def _describe(tool: BaseTool) -> str:
    arguments = ", ".join(tool.args)
    return f"{tool.name}: {tool.description}" + (f"\nArguments: {arguments}" if arguments else "")


class KimiToolSearchMiddleware(AgentMiddleware[Any, Any]):
    """Gives an agent hundreds of tools, of MCP servers say, and each request few of them.

    The model sees one more tool, which searches. What a search finds is loaded by a system message behind the round's
    results, for all turns to come (kimi-k3 and newer: https://platform.kimi.ai/docs/guide/use-dynamic-tool-loading). So
    nothing that was sent before changes, and the prefix cache holds. To models that take no tools on the way the loaded
    ones are declared with the request, in the order in which they came. A search says so where there is no more room.

    What was loaded is in the thread's messages, as plain dicts: it comes back with a checkpoint.

    Args:
        tools: The tools to be searched. They are not given to `create_agent`, which learns of them by this middleware;
            those that every request is to have are.
        search: What finds them: a retriever over `tool_documents(tools)`, such as one of BM25 or of embeddings, or a
            function from the query to tools, names or documents. None ranks by shared words, rare ones first.
        k: How many a search loads at most.
        max_loaded: How many are loaded at most in one thread. With those that every request has, a request takes 128.
        name: What the searching tool is called.

    Raises:
        KimiRequestError: Two tools have one name, or there are none.

    Examples:
        ```python
        from langchain.agents import create_agent
        from langchain_core.tools import tool
        from langchain_kimi import ChatKimi, KimiToolSearchMiddleware


        @tool
        def get_weather(city: str) -> str:
            \"\"\"Get the weather of a city.\"\"\"
            return f"Sunny in {city}."


        agent = create_agent(ChatKimi(), [], middleware=[KimiToolSearchMiddleware([get_weather])])
        agent.invoke({"messages": [("user", "What is the weather in Oslo?")]})
        ```
    """

    def __init__(
        self,
        tools: Sequence[BaseTool],
        search: Search | None = None,
        *,
        k: int = 5,
        max_loaded: int = 100,
        name: str = "search_tools",
    ) -> None:
        super().__init__()
        counts = Counter(tool.name for tool in tools)
        twice = [found for found, count in counts.items() if count > 1]
        if twice or name in counts or not tools:
            reason = f"two tools are called {(twice or [name])[0]!r}" if tools else "there are no tools to search"
            raise KimiRequestError(f"KimiToolSearchMiddleware: {reason}.")
        self.k, self.max_loaded = k, max_loaded
        self._catalogue = {tool.name: tool for tool in tools}
        self._search = _rank_by_words(tools) if search is None else search
        self._searcher = StructuredTool.from_function(
            self._find,
            coroutine=self._afind,
            name=name,
            description=(
                f"Search {len(tools)} more tools by what they do, and load the best {k} for use. Search before you say "
                "that you cannot do something. Found tools can be called from the next turn on."
            ),
            response_format="content_and_artifact",
        )
        self.tools = [*tools, self._searcher]  # what the agent can run

    # What the searching tool does. Each pair below differs by `async` and `await` only.

    def _find(self, query: str) -> tuple[str, list[str]]:
        search = self._search
        return self._tell(query, search.invoke(query) if isinstance(search, BaseRetriever) else search(query))

    async def _afind(self, query: str) -> tuple[str, list[str]]:
        search = self._search
        if isinstance(search, BaseRetriever):
            return self._tell(query, await search.ainvoke(query))
        return self._tell(query, await asyncio.to_thread(search, query))

    def _tell(self, query: str, found: Iterable[Any]) -> tuple[str, list[str]]:
        """What a search found, in words for the model, and as names for `before_model`."""
        names = [name for name in dict.fromkeys(map(_name_of, found)) if name in self._catalogue][: self.k]
        if not names:
            return f"No tool was found for {query!r}; try other words.", []
        lines = "\n".join(f"- {name}: {_first_line(self._catalogue[name])}" for name in names)
        return f"Loaded:\n{lines}", names

    # What comes of it.

    def before_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Load what the searches of the last round found, behind all its results.

        Args:
            state: The agent's state; not changed.
            runtime: Not used.

        Returns:
            The messages to add; None where nothing is new.
        """
        messages: Sequence[BaseMessage] = state["messages"]
        results = [message for message in self._last_round(messages) if message.name == self._searcher.name]
        loaded = _loaded_names(messages)
        wanted = [name for result in results for name in result.artifact or () if name in self._catalogue]
        new = [name for name in dict.fromkeys(wanted) if name not in loaded]
        if not new:
            return None
        fitting = new[: max(self.max_loaded - len(loaded), 0)]
        left_out = set(new) - set(fitting)
        told = [_without(result, left_out) for result in results if left_out & set(result.artifact or ())]
        return {"messages": [*told, *([_loading(self._catalogue[name] for name in fitting)] if fitting else [])]}

    async def abefore_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """The asynchronous twin of `before_model`."""
        return self.before_model(state, runtime)

    def _last_round(self, messages: Sequence[BaseMessage]) -> list[ToolMessage]:
        """The results behind the model's last message."""
        found: list[ToolMessage] = []
        for message in reversed(messages):
            if isinstance(message, AIMessage):
                break
            if isinstance(message, ToolMessage):
                found.insert(0, message)
        return found

    # The pair differs by `async` and `await` only; tests/test_architecture.py compares it.

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelCallResult[Any]:
        """Declare what every request has, and have it answered.

        Args:
            request: The request; not changed.
            handler: Answers a request.

        Returns:
            The handler's answer.
        """
        return handler(self._narrowed(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelCallResult[Any]:
        """The asynchronous twin of `wrap_model_call`."""
        return await handler(self._narrowed(request))

    def _narrowed(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        always = [tool for tool in request.tools if _name_of(tool) not in self._catalogue]
        if _takes_tools_on_the_way(request.model):
            return request.override(tools=always)
        loaded = [self._catalogue[name] for name in _loaded_names(request.messages) if name in self._catalogue]
        said = [message for message in request.messages if not _is_loading(message)]
        return request.override(tools=[*always, *loaded], messages=said)


def _takes_tools_on_the_way(model: Any) -> bool:
    profile = model.profile if isinstance(model, ChatKimi) else None
    return bool(profile and profile.get("mid_conversation_tools"))


def _loading(tools: Iterable[BaseTool]) -> SystemMessage:
    """A message that loads tools; as dicts they survive every checkpoint."""
    definitions = [render_tool(tool) for tool in tools]
    return SystemMessage("", additional_kwargs={"tools": definitions, "loaded_by": _LOADED_BY})


def _is_loading(message: BaseMessage) -> bool:
    return isinstance(message, SystemMessage) and message.additional_kwargs.get("loaded_by") == _LOADED_BY


def _loaded_names(messages: Iterable[BaseMessage]) -> list[str]:
    """The tools that were loaded, in the order in which they came."""
    return [
        definition["function"]["name"]
        for message in messages
        if _is_loading(message)
        for definition in message.additional_kwargs["tools"]
    ]


def _without(result: ToolMessage, names: Iterable[str]) -> ToolMessage:
    """A search's result that says what has no room; nothing of it was sent yet."""
    left_out = [name for name in result.artifact if name in names]
    note = f"\nNo room for {', '.join(left_out)}: no more tools can be loaded here. Use those that are."
    kept = [name for name in result.artifact if name not in names]
    return result.model_copy(update={"content": f"{result.content}{note}", "artifact": kept})


def _name_of(found: Any) -> str:
    """The name of a tool that was found, or declared, in whatever form."""
    if isinstance(found, Document):
        return str(found.metadata.get("name", ""))
    if isinstance(found, Mapping):
        return str((found.get("function") or found).get("name", ""))
    return str(getattr(found, "name", found))


def _first_line(tool: BaseTool) -> str:
    return tool.description.strip().partition("\n")[0]


def _words(text: str) -> list[str]:
    """The words of a text; `getWeatherByCity` and `get_weather-by.city` are four."""
    return re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text).lower())


def _rank_by_words(tools: Sequence[BaseTool]) -> Callable[[str], list[str]]:
    """A search that ranks tools by the words they share with a query; the rarer a word, the more it counts."""
    texts = {tool.name: set(_words(_describe(tool))) for tool in tools}
    spread = Counter(word for words in texts.values() for word in words)

    def search(query: str) -> list[str]:
        asked = set(_words(query))
        scores = {
            name: sum(math.log(1 + len(texts) / spread[word]) for word in asked & words)
            for name, words in texts.items()
        }
        return sorted((name for name in scores if scores[name]), key=lambda name: -scores[name])

    return search
