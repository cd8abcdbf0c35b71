"""What an answer costs: exact where the prices are known, unknown where one is not, and added up once."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.llms import ChatMessage, MockLLM

from kimi_emulator import Failure, KimiEmulator, Reply
from kimi_wire import Cost, KimiError, KimiRequestError, Spending, cost
from kimi_wire.answers import Usage
from kimi_wire.prices import PRICES, SYMBOLS, price_row
from kimi_wire.profiles import FAMILIES, profile_for
from langchain_kimi import ChatKimi, KimiCostCallbackHandler, get_kimi_cost_callback
from llama_index_kimi import Kimi, KimiCostHandler

COUNTS = Usage(1_000_000, 100_000, 1_100_000, cached_tokens=300_000, cache_write_tokens=200_000)
FORMS: dict[str, Any] = {
    "ours": COUNTS,
    "the API's": {
        "prompt_tokens": 1_000_000, "completion_tokens": 100_000, "cached_tokens": 300_000,
        "prompt_tokens_details": {"cached_tokens": 300_000, "cache_write_tokens": 200_000},
    },
    "LangChain's": {
        "input_tokens": 1_000_000, "output_tokens": 100_000, "total_tokens": 1_100_000,
        "input_token_details": {"cache_read": 300_000, "cache_creation": 200_000},
    },
    "LlamaIndex's": {
        "prompt_tokens": 1_000_000, "completion_tokens": 100_000, "cached_tokens": 300_000,
        "cache_write_tokens": 200_000, "model": "kimi-k3",
    },
}  # fmt: skip


@pytest.mark.says(
    "docs/cost.md",
    "`usage` may be LangChain's `usage_metadata`, the `additional_kwargs` of a LlamaIndex response, or a `usage` object of the API.",
)
@pytest.mark.parametrize("form", FORMS)
def test_every_part_has_its_price(form: str) -> None:
    five = cost(FORMS[form], "kimi-k3")
    assert (five.input, five.cached, five.written, five.output) == tuple(map(Decimal, ("1.5", "0.09", "0.6", "1.5")))
    assert five.total == Decimal("3.69")
    assert str(five) == "$3.69"
    assert float(five) == 3.69
    assert cost(FORMS[form], "kimi-k3", cache_ttl="1h").total == Decimal("4.29")
    assert str(cost(FORMS[form], "kimi-k3", "CNY")) == "¥24.60"


def test_objects_of_the_sdk_are_read() -> None:
    from openai.types import CompletionUsage

    assert cost(CompletionUsage(prompt_tokens=10, completion_tokens=10, total_tokens=20), "kimi-k2.6").total == Decimal(
        "0.0000495"
    )


@pytest.mark.says(
    "docs/cost.md",
    "What has no known price is unknown, and never zero",
    "`spent.total` and its parts are `Decimal`, or None where a price is unknown.",
)
@pytest.mark.parametrize(
    ("model", "usage", "currency", "says"),
    [
        ("gpt-5", COUNTS, "USD", "no price of gpt-5 in USD"),
        ("moonshotai/kimi-k3", COUNTS, "USD", "no price of moonshotai/kimi-k3"),
        ("kimi-k99", COUNTS, "USD", "no price of kimi-k99"),
        ("kimi-k3.1-pro", COUNTS, "CNY", "in CNY"),
        ("kimi-k2.6", COUNTS, "CNY", "kimi-k2.6's cached tokens"),
        ("kimi-k3", None, "USD", "no token counts"),
        ("kimi-k3", {}, "USD", "no token counts"),
        ("kimi-k3", {"input_tokens": "many"}, "USD", "no token counts"),
        (None, COUNTS, "USD", "no price of None"),
    ],
)
def test_what_is_not_known_is_unknown_and_never_zero(model: Any, usage: Any, currency: Any, says: str) -> None:
    spent = cost(usage, model, currency)
    assert spent.total is None
    assert math.isnan(float(spent))
    assert says in spent.unknown
    assert str(spent) == f"unknown ({spent.unknown})"
    assert (spent + cost(COUNTS, "kimi-k3", currency)).total is None
    assert (cost(COUNTS, "kimi-k3", currency) + spent).unknown == spent.unknown


def test_a_part_without_a_price_does_not_matter_where_nothing_needs_it() -> None:
    assert cost(Usage(1_000_000, 0, 1_000_000), "kimi-k2.6", "CNY").total == Decimal("6.5")


def test_wrong_words_are_named() -> None:
    with pytest.raises(KimiRequestError, match="currency='EUR' is not one of USD, CNY"):
        cost(COUNTS, "kimi-k3", "EUR")  # type: ignore[arg-type]
    with pytest.raises(KimiRequestError, match="cache_ttl='2h'"):
        Spending(cache_ttl="2h")  # type: ignore[arg-type]
    with pytest.raises(KimiRequestError, match="have no sum"):
        Cost("USD") + Cost("CNY")


def test_more_cached_than_there_was_costs_no_less_than_nothing() -> None:
    assert cost(Usage(10, 0, 10, cached_tokens=20), "kimi-k3").input == 0


@pytest.mark.says(
    "docs/cost.md", "Prices of Moonshot's own platform stand in `kimi_wire/prices.py`, dated, with their sources."
)
@pytest.mark.parametrize("row", PRICES, ids=lambda row: row.model)
def test_every_price_is_of_a_family_and_has_a_source(row: Any) -> None:
    assert price_row(row.model) is row
    assert profile_for(row.model).is_kimi
    assert date(2024, 1, 1) < row.source.day <= date.today()
    assert row.source.kind in {"doc", "src", "live", "3p"}
    assert set(row.prices) <= set(SYMBOLS)


def test_families_without_a_price_are_known() -> None:
    without = {row.family for row in FAMILIES if price_row(row.family) is None}
    gone = {"kimi-k2-thinking", "kimi-k2-0711", "kimi-k2", "kimi-thinking-preview", "kimi-latest"}
    assert without == {"k3-256k", "kimi (unlisted)"} | gone


@pytest.mark.parametrize("id", ["kimi-k3-1-pro", " KIMI-K3 ", "kimi-k2-6"])
def test_spellings_of_the_platform_have_its_prices(id: str) -> None:
    assert price_row(id) is not None


def test_threads_add_to_one_spending() -> None:
    spending = Spending()
    barrier = threading.Barrier(4)

    def add() -> None:
        barrier.wait()
        for _ in range(200):
            spending.add(COUNTS, "kimi-k3")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: add(), range(4)))
    row = spending.by_model["kimi-k3"]
    assert (row.calls, row.prompt_tokens, row.cached_tokens) == (800, 800_000_000, 240_000_000)
    assert spending.total.total == Decimal("3.69") * 800
    spending.reset()
    assert spending.total.total == 0


@pytest.mark.says("docs/cost.md", "`?` is unknown.")
def test_a_spending_is_a_table_and_says_what_is_unknown() -> None:
    spending = Spending()
    spending.add(COUNTS, "kimi-k3")
    spending.add(COUNTS, "<b>gpt</b>")
    spending.add(None, None)
    lines = str(spending).splitlines()
    assert [line.split()[0] for line in lines] == ["model", "kimi-k3", "<b>gpt</b>", "unknown", "all"]
    assert "unknown (no price of" in lines[-1]
    page = spending._repr_html_()
    assert page.startswith("<table>")
    assert "<b>" not in page


SCRIPT = Reply("Hi.", usage={"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100})
EACH = Decimal("0.0045")


@pytest.mark.says(
    "docs/cost.md",
    "A callback of LangChain's adds up per model what calls cost",
    "`KimiCostCallbackHandler()` is the same for a list of `callbacks`.",
)
def test_langchain_adds_up_what_is_called(kimi: KimiEmulator) -> None:
    handler = KimiCostCallbackHandler()
    model = ChatKimi(api_key="sk-test", base_url=kimi.base_url, callbacks=[handler])
    kimi.script(*[SCRIPT] * 6)
    model.invoke("Hello")
    list(model.stream("Hello"))
    model.batch(["a", "b"])
    model.generate([[HumanMessage("c")], [HumanMessage("d")]])
    assert handler.spending.by_model["kimi-k3"].calls == 6
    assert handler.spending.total.total == 6 * EACH
    assert copy.deepcopy(handler).spending is handler.spending
    assert "$0.027" in repr(handler)


async def test_langchain_adds_up_what_is_awaited(kimi: KimiEmulator) -> None:
    kimi.script(*[SCRIPT] * 3)
    with get_kimi_cost_callback("CNY") as handler:
        model = ChatKimi(api_key="sk-test", base_url=kimi.base_url)
        await model.ainvoke("Hello")
        async for _ in model.astream("Hello"):
            pass
        with get_kimi_cost_callback() as inner:
            await model.ainvoke("Hello")
    await_outside = ChatKimi(api_key="sk-test", base_url=kimi.base_url)
    await await_outside.ainvoke("Hello")
    assert (handler.spending.by_model["kimi-k3"].calls, inner.spending.by_model["kimi-k3"].calls) == (2, 1)
    assert str(handler.spending.total) == "¥0.06"


def test_langchains_cache_costs_nothing(kimi: KimiEmulator) -> None:
    kimi.script(SCRIPT)
    handler = KimiCostCallbackHandler()
    model = ChatKimi(api_key="sk-test", base_url=kimi.base_url, cache=InMemoryCache(), callbacks=[handler])
    model.invoke("Hello")
    model.invoke("Hello")
    assert len(kimi.requests) == 1
    assert handler.spending.by_model["kimi-k3"].calls == 1


def test_what_langchain_says_without_a_message_is_no_call() -> None:
    handler = KimiCostCallbackHandler()
    handler.on_llm_end(LLMResult(generations=[]))
    handler.on_llm_end(LLMResult(generations=[[]]))
    assert handler.spending.by_model == {}
    handler.on_llm_end(LLMResult(generations=[[ChatGeneration(message=AIMessage("x"))]]))
    assert handler.spending.total.total is None


@pytest.mark.says(
    "docs/cost.md",
    "it counts as a call of unknown cost, and so does, in LangChain, a stream that nobody read to its end",
)
def test_an_answer_that_broke_off_is_of_unknown_cost(kimi: KimiEmulator) -> None:
    """Nothing that was answered counts as free; what was refused, or never sent, is."""
    handler = KimiCostCallbackHandler()
    model = ChatKimi(api_key="sk-test", base_url=kimi.base_url, max_retries=0, callbacks=[handler])
    kimi.script(Failure(429, "slow down", "rate_limit_reached_error"))
    with pytest.raises(KimiError):
        model.invoke("Hello")
    with pytest.raises(KimiError):
        model.invoke("Hello", stop=["x"] * 9)
    assert handler.spending.by_model == {}
    kimi.script(Reply("Hello there, how are you?", cut_after=3))
    with pytest.raises(KimiError):
        list(model.stream("Hello"))
    assert handler.spending.by_model["kimi-k3"].cost.total is None
    stream = model.stream("Hello")
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert handler.spending.by_model["kimi-k3"].calls == 2
    assert handler._models == {}


def test_a_spending_goes_through_a_pickle() -> None:
    spending = Spending("CNY")
    spending.add(COUNTS, "kimi-k3")
    again = pickle.loads(pickle.dumps(spending))
    again.add(COUNTS, "kimi-k3")
    assert (again.by_model["kimi-k3"].calls, str(again.total)) == (2, "¥49.20")


def test_counts_in_mixed_forms() -> None:
    mixed = {"prompt_tokens": 1000, "completion_tokens": 100, "cache_write_tokens": 100,
             "prompt_tokens_details": {"cached_tokens": 400}}  # fmt: skip
    assert cost(mixed, "kimi-k3").total == Decimal("0.00342")


@pytest.fixture
def listening() -> Any:
    handler = KimiCostHandler()
    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(handler)
    yield handler
    dispatcher.event_handlers.remove(handler)


@pytest.mark.says("docs/cost.md", "In LlamaIndex an event handler does it")
async def test_llama_index_adds_up_what_is_called(kimi: KimiEmulator, listening: KimiCostHandler) -> None:
    llm = Kimi(api_key="sk-test", api_base=kimi.base_url)
    kimi.script(*[SCRIPT] * 8)
    llm.complete("Hello")
    llm.chat([ChatMessage("Hello")])
    list(llm.stream_complete("Hello"))
    list(llm.stream_chat([ChatMessage("Hello")]))
    await llm.acomplete("Hello")
    await llm.achat([ChatMessage("Hello")])
    async for _ in await llm.astream_complete("Hello"):
        pass
    async for _ in await llm.astream_chat([ChatMessage("Hello")]):
        pass
    assert listening.spending.by_model["kimi-k3"].calls == 8
    assert listening.spending.total.total == 8 * EACH
    MockLLM().complete("Hello")
    assert listening.spending.total.total is None
    assert KimiCostHandler.class_name() == "KimiCostHandler"
