"""What calls cost, added up by an event handler of LlamaIndex's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.events.exception import ExceptionEvent
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent, LLMCompletionEndEvent
from pydantic import PrivateAttr

from kimi_wire.errors import KimiStreamError
from kimi_wire.prices import Currency, Spending
from kimi_wire.profiles import CacheTTL


class KimiCostHandler(BaseEventHandler):
    """Adds up what the calls it hears of cost, per model, at the prices of Moonshot's own platform.

    Every LLM's calls count: what has no known price makes the total unknown, and never cheaper.

    Args:
        currency: `USD` or `CNY`.
        cache_ttl: How long the prefix cache was asked to keep what was written to it.

    Examples:
        ```python
        from llama_index.core.instrumentation import get_dispatcher
        from llama_index_kimi import Kimi, KimiCostHandler

        handler = KimiCostHandler()
        get_dispatcher().add_event_handler(handler)
        Kimi().complete("Hello")
        print(handler.spending)
        get_dispatcher().event_handlers.remove(handler)
        ```
    """

    _spending: Spending = PrivateAttr()

    def __init__(self, currency: Currency = "USD", *, cache_ttl: CacheTTL = "5m") -> None:
        super().__init__()
        self._spending = Spending(currency, cache_ttl)

    @property
    def spending(self) -> Spending:
        """The sums; `print(handler.spending)` shows them, `spending.total` is the cost of all."""
        return self._spending

    @classmethod
    def class_name(cls) -> str:
        """Name of the class."""
        return "KimiCostHandler"

    def handle(self, event: BaseEvent, **kwargs: Any) -> None:
        """Add an answer; streamed ones have one end too.

        Args:
            event: What core tells; other events are passed over.
            kwargs: Not used.
        """
        if isinstance(event, (LLMChatEndEvent, LLMCompletionEndEvent)) and event.response is not None:
            said = event.response.additional_kwargs
            raw = event.response.raw
            raw = raw if isinstance(raw, Mapping) else vars(raw) if hasattr(raw, "__dict__") else {}
            usage = said if "prompt_tokens" in said else raw.get("usage")
            self._spending.add(usage, said.get("model") or raw.get("model"))
        elif isinstance(event, ExceptionEvent) and isinstance(event.exception, KimiStreamError):
            self._spending.add(None, None)  # it broke off: it has its price, and no counts
