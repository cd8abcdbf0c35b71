"""What calls cost, added up by a callback of LangChain's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.tracers.context import register_configure_hook

from kimi_wire.errors import KimiResponseError, KimiStreamError
from kimi_wire.prices import Currency, Spending
from kimi_wire.profiles import CacheTTL


class KimiCostCallbackHandler(BaseCallbackHandler):
    """Adds up what the calls it hears of cost, per model, at the prices of Moonshot's own platform.

    Every chat model's calls count: what has no known price (other vendors, other hosts' spellings) makes the total
    unknown, and never cheaper. Answers out of LangChain's cache cost nothing and are left out.

    Args:
        currency: `USD` or `CNY`.
        cache_ttl: How long the prefix cache was asked to keep what was written to it.

    Attributes:
        spending: The sums; `print(handler.spending)` shows them, `spending.total` is the cost of all.

    Examples:
        ```python
        from langchain_kimi import ChatKimi, KimiCostCallbackHandler

        handler = KimiCostCallbackHandler()
        ChatKimi().invoke("Hello", config={"callbacks": [handler]})
        print(handler.spending)
        ```
    """

    def __init__(self, currency: Currency = "USD", *, cache_ttl: CacheTTL = "5m") -> None:
        super().__init__()
        self.spending = Spending(currency, cache_ttl)
        self._models: dict[UUID, str | None] = {}

    def on_chat_model_start(
        self, serialized: dict[str, Any] | None, messages: list[list[BaseMessage]], *, run_id: UUID, **kwargs: Any
    ) -> None:
        """Remember which model is asked.

        Args:
            serialized: Not used.
            messages: Not used.
            run_id: The call.
            kwargs: What core knows of it.
        """
        self._models[run_id] = (kwargs.get("metadata") or {}).get("ls_model_name")

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """Add an answer that broke off, or that nobody read to its end: it has its price, and no counts.

        Args:
            error: What ended it.
            run_id: The call.
            kwargs: With `response`, which has what had come by then.
        """
        model = self._models.pop(run_id, None)
        response = kwargs.get("response")
        # Of a refusal, core makes an answer out of its HTTP response; that one cost nothing.
        begun = isinstance(response, LLMResult) and any(response.generations) and not hasattr(error, "response")
        if begun or isinstance(error, (KimiStreamError, KimiResponseError)):
            self.spending.add(None, model)

    def on_llm_end(self, response: LLMResult, *, run_id: UUID | None = None, **kwargs: Any) -> None:
        """Add an answer.

        Args:
            response: What core tells of it.
            run_id: The call.
            kwargs: Not used.
        """
        if run_id is not None:
            self._models.pop(run_id, None)
        first = response.generations[0][0] if response.generations and response.generations[0] else None
        message = first.message if isinstance(first, ChatGeneration) else None
        if isinstance(message, AIMessage) and not _is_from_cache(message):
            metadata = message.response_metadata
            self.spending.add(message.usage_metadata, metadata.get("model_name") or metadata.get("model"))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spending.total})"


def _is_from_cache(message: AIMessage) -> bool:
    """Whether LangChain's cache gave the answer; core marks its usage so."""
    return dict(message.usage_metadata or {}).get("total_cost") == 0


_HANDLER: ContextVar[KimiCostCallbackHandler | None] = ContextVar("kimi_cost_callback", default=None)
register_configure_hook(_HANDLER, inheritable=True)


@contextmanager
def get_kimi_cost_callback(
    currency: Currency = "USD", *, cache_ttl: CacheTTL = "5m"
) -> Iterator[KimiCostCallbackHandler]:
    """Add up what all calls in a `with` block cost, those of agents and chains too.

    Args:
        currency: `USD` or `CNY`.
        cache_ttl: How long the prefix cache was asked to keep what was written to it.

    Yields:
        The handler. A block in a block counts its own calls alone, and the outer one does not hear of them.

    Examples:
        ```python
        from langchain_kimi import ChatKimi, get_kimi_cost_callback

        with get_kimi_cost_callback() as handler:
            ChatKimi().invoke("Hello")
        print(handler.spending.total)
        ```
    """
    handler = KimiCostCallbackHandler(currency, cache_ttl=cache_ttl)
    token = _HANDLER.set(handler)
    try:
        yield handler
    finally:
        _HANDLER.reset(token)
