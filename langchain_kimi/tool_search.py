"""Tools by the hundred: an agent searches them, and only what it finds is loaded into the conversation."""

# ruff: noqa: E402 # whether the framework is there is said before anything needs it

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from kimi_wire.lazy import require

require("langchain", package="KimiToolSearchMiddleware", title="LangChain's agents", extra="agents")

from langchain.agents.middleware.types import ModelRequest, ToolCallRequest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage, ToolMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import BaseTool, StructuredTool, tool
from langgraph.prebuilt import ToolRuntime
from langgraph.types import Command

from kimi_wire.errors import KimiError
from kimi_wire.profiles import profile_for
from kimi_wire.requests import MAX_TOOLS, render_tools
from kimi_wire.warn import warn
from langchain_kimi.adapt import adapted
from langchain_kimi.chat_models import ChatKimi
from langchain_kimi.errors import KimiRequestError
from langchain_kimi.middleware import RequestMiddleware, unwrapped
from langchain_kimi.tools import render_tool

Found = Iterable["str | BaseTool | Document"]
Retriever = Callable[[str], "Found | Awaitable[Found]"] | BaseRetriever

_LOADED = "kimi_tool_search"
"""Key in `additional_kwargs`: a message of this module's, which another model than kimi-k3 is not sent."""

_DESCRIPTION = (
    "Search for tools by what they do. The tools you see are not all there are: the best {limit} that fit the query "
    "are loaded, and can be called from then on."
)


class KimiToolSearchMiddleware(RequestMiddleware):
    """Lets an agent search a large set of tools, and loads what fits.

    The model sees a search tool instead of the set. What a search finds is loaded by a system message after the results
    of its round (kimi-k3 and newer), which stays in the agent's messages: nothing that was sent before changes, so the
    prefix cache hits. Other models get what is loaded among the request's tools, in the order it was found.

    What is loaded is known from the agent's messages alone: it is there again when a thread is resumed.

    Args:
        tools: The set, of any size; functions are taken as well. The agent must not be given them a second time.
        retriever: Finds tools for a query, best first: a function, sync or async, that returns names, tools or
            documents; or a retriever of LangChain's over `tool_documents(tools)`. None ranks by the words that the
            query and the tools share (BM25).
        name: The name of the search tool.
        limit: How many tools a search loads at most.
        max_tools: How many tools a conversation loads at most. The oldest stay; the search says so when it is full.
            Kimi takes 128 in one request, the agent's own included.

    Raises:
        KimiRequestError: Two tools have the same name, one cannot be sent or runs in Kimi's server, or a number is out
            of range.

    Examples:
        ```python
        from langchain.agents import create_agent
        from langchain_kimi import ChatKimi, KimiToolSearchMiddleware


        def get_weather(city: str) -> str:
            '''Get the weather of a city.'''
            return f"Sunny in {city}."


        agent = create_agent(ChatKimi(), [], middleware=[KimiToolSearchMiddleware([get_weather])])
        agent.invoke({"messages": [("user", "What is the weather in Oslo?")]})
        ```
    """

    def __init__(
        self,
        tools: Sequence[BaseTool | Callable[..., Any]],
        retriever: Retriever | None = None,
        *,
        name: str = "search_tools",
        limit: int = 5,
        max_tools: int = 100,
    ) -> None:
        super().__init__()
        given = _as_tools(tools)
        for twice, count in Counter([name, *(one.name for one in given)]).items():
            if count > 1:
                raise KimiRequestError(f"Two tools are called {twice!r}; tool names must be unique.")
        if limit < 1 or not 1 <= max_tools < MAX_TOOLS:
            raise KimiRequestError(
                f"limit={limit} must be at least 1, and max_tools={max_tools} between 1 and {MAX_TOOLS - 1}."
            )
        self.catalogue = {one.name: one for one in given}
        self.definitions = {one.name: _define(one) for one in given}
        documents = (_describe(one, self.definitions[one.name]) for one in given)
        self.retriever: Retriever = rank_by_words(documents) if retriever is None else retriever
        self.limit = limit
        self.max_tools = max_tools
        self.search_tool = self._make_search(name)
        self.tools = [self.search_tool, *given]

    def _make_search(self, name: str) -> BaseTool:
        def search(query: str, runtime: ToolRuntime) -> tuple[str, list[str]]:
            found = self._ask(query)
            if inspect.isawaitable(found):
                if inspect.iscoroutine(found):
                    found.close()
                raise KimiRequestError("The retriever is asynchronous; run the agent with ainvoke or astream.")
            return self._report(query, found, runtime.state["messages"])

        async def asearch(query: str, runtime: ToolRuntime) -> tuple[str, list[str]]:
            if isinstance(self.retriever, BaseRetriever):
                found: Any = await self.retriever.ainvoke(query)
            else:
                found = self._ask(query)
            if inspect.isawaitable(found):
                found = await found
            return self._report(query, found, runtime.state["messages"])

        return StructuredTool.from_function(
            search,
            asearch,
            name=name,
            description=_DESCRIPTION.format(limit=self.limit),
            response_format="content_and_artifact",
        )

    def _ask(self, query: str) -> Any:
        return self.retriever.invoke(query) if isinstance(self.retriever, BaseRetriever) else self.retriever(query)

    def _report(self, query: str, found: Found | None, messages: Sequence[BaseMessage]) -> tuple[str, list[str]]:
        """What the model is told of a search, and the names that are to be loaded for it."""
        names = list(dict.fromkeys(map(_name_of, [found] if isinstance(found, str) else found or ())))
        if unknown := [name for name in names if name not in self.catalogue]:
            warn(f"The retriever found {unknown}, which are no tools of KimiToolSearchMiddleware; they are left out.")
        names = [name for name in names if name in self.catalogue][: self.limit]
        if not names:
            return f"No tool fits {query!r}. Try other words, or go on without.", []
        loaded = loaded_names(messages)
        new = [name for name in names if name not in loaded]
        room = max(self.max_tools - len(loaded), 0)
        said = []
        if callable_now := [name for name in names if name in loaded] + new[:room]:
            said.append(f"You can call from now on: {', '.join(callable_now)}.")
        if left := new[room:]:
            said.append(_full(left))
        elif room - len(new) < self.limit:
            said.append(f"Only {room - len(new)} more tools can be loaded in this conversation.")
        return " ".join(said), new[:room]

    # The pairs differ by `async` and `await` only; tests/test_architecture.py compares them.

    def before_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """Load what the searches of the last round found, after the results of all its calls.

        Args:
            state: The agent's state; not changed.
            runtime: What LangGraph tells of the run.

        Returns:
            The message to append; None where nothing was found.
        """
        return self._load(state["messages"])

    async def abefore_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        """The asynchronous twin of `before_model`."""
        return self._load(state["messages"])

    def wrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
    ) -> ToolMessage | Command[Any]:
        """Run a call, unless it is one of a tool that was never loaded.

        Args:
            request: The call.
            handler: Runs a call.

        Returns:
            The handler's result, or an error for the model.
        """
        return self._refusal(request) or handler(request)

    async def awrap_tool_call(
        self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[ToolMessage | Command[Any]]]
    ) -> ToolMessage | Command[Any]:
        """The asynchronous twin of `wrap_tool_call`."""
        return self._refusal(request) or await handler(request)

    def _load(self, messages: Sequence[BaseMessage]) -> dict[str, Any] | None:
        latest = _after_last_answer(messages)
        if any(_is_ours(message) for message in latest):
            return None
        found = [
            name
            for message in latest
            if isinstance(message, ToolMessage) and message.name == self.search_tool.name
            for name in message.artifact or ()
            if name in self.catalogue
        ]
        loaded = loaded_names(messages)
        new = [name for name in dict.fromkeys(found) if name not in loaded]
        room = max(self.max_tools - len(loaded), 0)
        added = []
        if now := new[:room]:
            definitions = [self.definitions[name] for name in now]
            added.append(SystemMessage("", additional_kwargs={"tools": definitions, _LOADED: True}))
        if left := new[room:]:  # each of several searches had room, all together had not
            added.append(SystemMessage(_full(left), additional_kwargs={_LOADED: True}))
        return {"messages": added} if added else None

    def _changed(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        own = [one for one in request.tools if not self._is_in_set(one)]
        messages = fitting(request.messages, MAX_TOOLS - len(own) - _count_answer_tools(request.response_format))
        if _takes_tools_on_the_way(request.model):
            return request.override(tools=own, messages=messages)
        loaded = [self.catalogue.get(_declared_name(one), one) for one in loaded_definitions(messages)]
        said = [message for message in messages if not _is_ours(message) or message.content]
        return request.override(tools=[*own, *loaded], messages=said)

    def _is_in_set(self, one: Any) -> bool:
        known = self.catalogue.get(one.name) if isinstance(one, BaseTool) else None
        if known is not None and known is not one and known != one:
            raise KimiRequestError(
                f"Two tools are called {one.name!r}: one of the agent's, and one of KimiToolSearchMiddleware's."
            )
        return known is not None

    def _refusal(self, request: ToolCallRequest) -> ToolMessage | None:
        name = request.tool_call["name"]
        if name not in self.catalogue or name in loaded_names(request.state["messages"]):
            return None
        words = f"{name} is not loaded, so it was not called. Search for it with {self.search_tool.name} first."
        return ToolMessage(words, name=name, tool_call_id=request.tool_call["id"], status="error")


def _define(one: BaseTool) -> dict[str, Any]:
    """A tool as it is loaded; what Kimi would refuse is refused now, and not when a search finds it."""
    definition = render_tool(one)
    try:
        render_tools([definition], profile_for("kimi-k3"))
    except KimiError as error:
        raise adapted(error) from error
    if definition["type"] != "function":
        raise KimiRequestError(f"{one.name} runs in Kimi's server and cannot be loaded; give it to the agent itself.")
    return definition


def _takes_tools_on_the_way(model: Any) -> bool:
    model, _ = unwrapped(model)
    return isinstance(model, ChatKimi) and bool((model.profile or {}).get("mid_conversation_tools"))


def _count_answer_tools(response_format: Any) -> int:
    """How many tools LangChain adds to a request for an answer of a given form."""
    specs = getattr(response_format, "schema_specs", None)
    return len(specs) if specs is not None else int(response_format is not None)


def _full(left: Sequence[str]) -> str:
    return f"Not loaded, as this conversation has as many tools as it can have: {', '.join(left)}."


def _is_ours(message: BaseMessage) -> bool:
    return isinstance(message, SystemMessage) and bool(message.additional_kwargs.get(_LOADED))


def _after_last_answer(messages: Sequence[BaseMessage]) -> Sequence[BaseMessage]:
    answers = [index for index, message in enumerate(messages) if isinstance(message, AIMessage)]
    return messages[answers[-1] + 1 :] if answers else ()


def _declared_name(definition: Any) -> str:
    return str(definition["function"]["name"])


def loaded_definitions(messages: Iterable[BaseMessage]) -> list[dict[str, Any]]:
    """The tools that searches have loaded into a conversation, in order, as they were declared.

    Args:
        messages: The conversation.
    """
    return [one for message in messages if _is_ours(message) for one in message.additional_kwargs.get("tools", ())]


def loaded_names(messages: Iterable[BaseMessage]) -> set[str]:
    """The names of the tools that searches have loaded into a conversation.

    Args:
        messages: The conversation.
    """
    return {_declared_name(one) for one in loaded_definitions(messages)}


def fitting(messages: list[Any], room: int) -> list[Any]:
    """A conversation without the newest of its loaded tools, where the request's own leave too little room for them.

    Args:
        messages: The conversation; not changed.
        room: How many loaded tools there may be.
    """
    over = len(loaded_definitions(messages)) - room
    if over <= 0:
        return messages
    warn(
        f"The newest {over} loaded tools are left out: Kimi takes at most {MAX_TOOLS} tools, the agent's own included."
    )
    kept = []
    for message in messages:
        tools = message.additional_kwargs.get("tools") if _is_ours(message) else None
        if tools:
            fits, room = tools[: max(room, 0)], room - len(tools)
            message = message.model_copy(update={"additional_kwargs": {**message.additional_kwargs, "tools": fits}})
        if not tools or fits:
            kept.append(message)
    return kept


def _name_of(found: str | BaseTool | Document) -> str:
    if isinstance(found, Document):
        return str(found.metadata.get("name", found.page_content))
    return found.name if isinstance(found, BaseTool) else str(found)


def tool_documents(tools: Iterable[BaseTool | Callable[..., Any]]) -> list[Document]:
    """Documents that describe tools, for the index of a retriever.

    Args:
        tools: Tools, or functions.

    Returns:
        One for each, in order: its name, description and parameters; the name is in the metadata.
    """
    return [_describe(one, render_tool(one)) for one in _as_tools(tools)]


def _as_tools(given: Iterable[BaseTool | Callable[..., Any]]) -> list[BaseTool]:
    return [one if isinstance(one, BaseTool) else tool(one) for one in given]


def _describe(one: BaseTool, definition: dict[str, Any]) -> Document:
    properties = definition["function"].get("parameters", {}).get("properties", {})
    said = (
        f"{name} {schema.get('description', '') if isinstance(schema, dict) else ''}"
        for name, schema in properties.items()
    )
    return Document(" ".join([one.name, one.description, *said]), metadata={"name": one.name})


# Words of names too: `searchIssues`, `search_issues`. Scripts without spaces are read letter by letter.
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\d_a-zA-Z]")


def _words(text: str) -> list[str]:
    found = (word.lower() for word in _WORD.findall(text))
    return [word[:-1] if len(word) > 3 and word.endswith("s") else word for word in found]


def rank_by_words(documents: Iterable[Document]) -> Callable[[str], list[str]]:
    """A retriever that ranks tools by the words they share with a query, rare words first (Okapi BM25).

    It knows no synonyms; give a retriever of embeddings where those matter.

    Args:
        documents: What describes them, as `tool_documents` does.

    Returns:
        A function from a query to the names of the tools that share a word with it, best first.
    """
    counts = {one.metadata["name"]: Counter(_words(one.page_content)) for one in documents}
    usual = sum(count.total() for count in counts.values()) / max(len(counts), 1)
    spread = Counter(word for count in counts.values() for word in count)
    weight = {word: math.log(1 + (len(counts) - n + 0.5) / (n + 0.5)) for word, n in spread.items()}

    def score(words: set[str], count: Counter[str]) -> float:
        length = 1.5 * (0.25 + 0.75 * count.total() / usual) if usual else 1.0
        return sum(weight[word] * count[word] * 2.5 / (count[word] + length) for word in words if word in count)

    def rank(query: str) -> list[str]:
        words = set(_words(query))
        scores = {name: score(words, count) for name, count in counts.items()}
        return sorted((name for name, value in scores.items() if value > 0), key=lambda name: -scores[name])

    return rank
