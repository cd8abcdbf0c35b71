"""What the middleware of LangChain's agents have in common; those look for the package `langchain` first."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware.types import AgentMiddleware, ModelCallResult, ModelRequest, ModelResponse
from langchain_core.runnables import RunnableBinding


class RequestMiddleware(AgentMiddleware[Any, Any]):
    """Changes each request to a model before it is answered."""

    @abstractmethod
    def _changed(self, request: ModelRequest[Any]) -> ModelRequest[Any]:
        """Say what is asked in place of a request, which stays as it is."""

    # The pair differs by `async` and `await` only; tests/test_architecture.py compares it.

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelCallResult[Any]:
        """Change a request, and have it answered.

        Args:
            request: The request; not changed.
            handler: Answers a request.

        Returns:
            The handler's answer.
        """
        return handler(self._changed(request))

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelCallResult[Any]:
        """The asynchronous twin of `wrap_model_call`."""
        return await handler(self._changed(request))


def unwrapped(model: Any) -> tuple[Any, dict[str, Any]]:
    """The model within `bind` and `with_config`, and what was bound.

    Args:
        model: The model of a request.
    """
    bound: dict[str, Any] = {}
    while isinstance(model, RunnableBinding):
        model, bound = model.bound, {**model.kwargs, **bound}
    return model, bound
