"""What Moonshot's own platform asks for a million tokens: one row of dated prices per model, and what an answer cost.

Deliberately absent: guesses. A model, a currency or a part without a price makes a cost unknown, and never zero; so do
ids in the spelling of other hosts (`moonshotai/kimi-k3`), which have prices of their own.
"""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from kimi_wire.answers import Usage, parse_usage
from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import count_or_none, mapping
from kimi_wire.profiles import CACHE_TTLS, CacheTTL, Source

Currency = Literal["USD", "CNY"]

SYMBOLS: Mapping[str, str] = {"USD": "$", "CNY": "¥"}
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """The prices of a million tokens, in one currency; None where nothing says one.

    Attributes:
        input: Of input tokens that are in no cache.
        cached: Of input tokens read from the prefix cache.
        output: Of output tokens, thinking included.
        write_5m: Of input tokens written to the cache for five minutes.
        write_1h: Of those written for an hour.
    """

    input: Decimal | None = None
    cached: Decimal | None = None
    output: Decimal | None = None
    write_5m: Decimal | None = None
    write_1h: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PriceRow:
    """What one model costs.

    Attributes:
        model: Name of the row.
        pattern: What the whole lower-cased id has to match.
        prices: By currency.
        source: Where the prices were read, and the day they were true.
    """

    model: str
    pattern: str
    prices: Mapping[str, Price]
    source: Source


def _price(input: str, cached: str | None, output: str, write_1h: str | None = None) -> Price:
    """A price. What is written for five minutes costs what other input costs, on every model that has a price."""
    plain = Decimal(input)
    return Price(
        input=plain,
        cached=None if cached is None else Decimal(cached),
        output=Decimal(output),
        write_5m=plain,
        # K3 and newer alone have a price of their own for writes; elsewhere a write is input like any other.
        write_1h=plain if write_1h is None else Decimal(write_1h),
    )


_K31 = Source("https://apidog.com/blog/kimi-k3-1-pro-api/", date(2026, 10, 26), "3p")
_K3 = Source("platform.kimi.ai/docs/api/models-overview; writes: MoonshotAI/kimi-code#3942", date(2026, 9, 19), "live")
_MODELS = Source("https://platform.kimi.ai/docs/api/models-overview", date(2026, 8, 13), "doc")

PRICES: tuple[PriceRow, ...] = (
    PriceRow("kimi-k3.1-pro", r"kimi-k3[.-]1-pro", {"USD": _price("2.00", "0.20", "10.00", "4.00")}, _K31),
    PriceRow(
        "kimi-k3.1-pro-highspeed",
        r"kimi-k3[.-]1-pro-highspeed",
        {"USD": _price("4.00", "0.20", "20.00", "8.00")},
        _K31,
    ),
    PriceRow(
        "kimi-k3",
        r"kimi-k3",
        {"USD": _price("3.00", "0.30", "15.00", "6.00"), "CNY": _price("20", "2", "100", "40")},
        _K3,
    ),
    PriceRow("kimi-k2.7-code", r"kimi-k2[.-]7-code", {"USD": _price("0.95", "0.19", "4.00")}, _MODELS),
    PriceRow(
        "kimi-k2.7-code-highspeed", r"kimi-k2[.-]7-code-highspeed", {"USD": _price("1.90", "0.38", "8.00")}, _MODELS
    ),
    PriceRow(
        "kimi-k2.6",
        r"kimi-k2[.-]6",
        {"USD": _price("0.95", "0.16", "4.00"), "CNY": _price("6.5", None, "27")},
        _MODELS,
    ),
    PriceRow("kimi-k2.5", r"kimi-k2[.-]5", {"USD": _price("0.60", "0.10", "3.00")}, _MODELS),
    PriceRow("moonshot-v1-8k", r"moonshot-v1-8k(?:-vision-preview)?", {"USD": _price("0.20", None, "2.00")}, _MODELS),
    PriceRow("moonshot-v1-32k", r"moonshot-v1-32k(?:-vision-preview)?", {"USD": _price("1.00", None, "3.00")}, _MODELS),
    PriceRow(
        "moonshot-v1-128k", r"moonshot-v1-128k(?:-vision-preview)?", {"USD": _price("2.00", None, "5.00")}, _MODELS
    ),
)
"""Every known price; of models that were withdrawn, the last one."""


_COMPILED = tuple((re.compile(row.pattern), row) for row in PRICES)


@lru_cache(maxsize=256)
def price_row(model: str) -> PriceRow | None:
    """Find what a model costs on Moonshot's own platform.

    Args:
        model: A model id as the platform spells it, hyphens for dots allowed.

    Returns:
        The row; None where no price is known.
    """
    name = model.strip().lower()
    return next((row for pattern, row in _COMPILED if pattern.fullmatch(name)), None)


def _price_of(model: str, currency: str) -> Price | None:
    row = price_row(model)
    return None if row is None else row.prices.get(currency)


def describe_price(model: str, currency: str) -> str:
    """Say what a million tokens of a model cost, in a line; what is not known is a question mark.

    Args:
        model: A model id.
        currency: `USD` or `CNY`.

    Returns:
        Such as "$3.00 in, $0.30 cached, $15.00 out".
    """
    price = _price_of(model, currency)
    if price is None:
        return "price unknown"
    said = {"in": price.input, "cached": price.cached, "out": price.output}
    symbol = SYMBOLS[currency]
    return ", ".join(f"{'?' if each is None else symbol + _written(each)} {word}" for word, each in said.items())


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer cost, or several; amounts in `currency`, None where a price is unknown.

    `float(cost)` is the total, and NaN where that is unknown.

    Attributes:
        currency: `USD` or `CNY`.
        input: For input that was in no cache.
        cached: For input read from the prefix cache.
        written: For input written to it.
        output: For output, thinking included.
        unknown: Why the total is unknown; empty where it is known.
    """

    currency: str
    input: Decimal | None = Decimal(0)
    cached: Decimal | None = Decimal(0)
    written: Decimal | None = Decimal(0)
    output: Decimal | None = Decimal(0)
    unknown: str = ""

    @property
    def total(self) -> Decimal | None:
        """All parts together; None where one of them is unknown."""
        return _sum(getattr(self, name) for name in _PARTS)

    def __float__(self) -> float:
        return float("nan") if self.total is None else float(self.total)

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        if self.currency != other.currency:
            raise KimiRequestError(f"A cost in {self.currency} and one in {other.currency} have no sum.")
        sums = {name: _sum((getattr(self, name), getattr(other, name))) for name in _PARTS}
        return Cost(self.currency, **sums, unknown=self.unknown or other.unknown)

    def __str__(self) -> str:
        total = self.total
        return f"unknown ({self.unknown})" if total is None else f"{SYMBOLS[self.currency]}{_written(total)}"


_PARTS = tuple(part.name for part in fields(Cost) if part.name not in ("currency", "unknown"))


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    """The sum; None where one of the amounts is unknown."""
    total = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def _written(amount: Decimal) -> str:
    """An amount with two digits at least, and as many as it has up to six."""
    whole, _, digits = f"{amount:.6f}".partition(".")
    return f"{whole}.{digits.rstrip('0').ljust(2, '0')}"


def check_currency(currency: str, cache_ttl: str) -> None:
    """Refuse a currency or a lifetime of the cache that no price has.

    Raises:
        KimiRequestError: It says which there are.
    """
    if currency not in SYMBOLS:
        raise KimiRequestError(
            f"currency={currency!r} is not one of {', '.join(SYMBOLS)}, which the platform bills in."
        )
    if cache_ttl not in CACHE_TTLS:
        raise KimiRequestError(f"cache_ttl={cache_ttl!r} is not one of {', '.join(CACHE_TTLS)}.")


def cost(usage: Any, model: str, currency: Currency = "USD", *, cache_ttl: CacheTTL = "5m") -> Cost:
    """Say what an answer cost on Moonshot's own platform, at the prices of `PRICES`.

    Searches of `$web_search` are billed beside the tokens ($0.005 each by the documentation, $0.004 by the help
    center), and are not in it. Nor are the prices of other hosts.

    Args:
        usage: The counts, as either framework or the API has them: LangChain's `usage_metadata`, the
            `additional_kwargs` of a LlamaIndex response, a `usage` object of the API.
        model: The id of the model that answered.
        currency: `USD` (api.moonshot.ai) or `CNY` (api.moonshot.cn).
        cache_ttl: How long the cache was asked to keep what was written to it.

    Returns:
        The cost; its `total` is None where a price that it needs is unknown, and `unknown` says which.

    Raises:
        KimiRequestError: There is no such currency.
    """
    check_currency(currency, cache_ttl)
    counts = read_usage(usage)
    price = _price_of(model, currency) if isinstance(model, str) else None
    if counts is None:
        return _unknown(currency, "the server sent no token counts")
    if price is None:
        return _unknown(currency, f"no price of {model} in {currency} is known")
    cached, written = min(counts.cached_tokens or 0, counts.prompt_tokens), counts.cache_write_tokens or 0
    write = price.write_5m if cache_ttl == "5m" else price.write_1h
    parts = {
        "input": (max(counts.prompt_tokens - cached - written, 0), price.input),
        "cached": (cached, price.cached),
        "written": (written, write),
        "output": (counts.completion_tokens, price.output),
    }
    missing = [name for name, (tokens, each) in parts.items() if tokens and each is None]
    amounts = {
        name: Decimal(0) if not tokens else None if each is None else tokens * each / _MILLION
        for name, (tokens, each) in parts.items()
    }
    return Cost(currency, **amounts, unknown=f"no price of {model}'s {missing[0]} tokens is known" if missing else "")


def _unknown(currency: str, reason: str) -> Cost:
    return Cost(currency, None, None, None, None, unknown=reason)


def read_usage(usage: Any) -> Usage | None:
    """Read token counts in the form of either framework or of the API.

    Args:
        usage: See `cost`; a `Usage` comes back as it is.

    Returns:
        The counts; None where there are none.
    """
    if isinstance(usage, Usage):
        return usage
    if hasattr(usage, "model_dump"):  # an object of the SDK's
        usage = usage.model_dump()
    if not isinstance(usage, Mapping):
        return None
    if "input_tokens" in usage:  # LangChain's
        details = mapping(usage.get("input_token_details"))
        usage = {
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "total_tokens": usage.get("total_tokens"),
            "prompt_tokens_details": {
                "cached_tokens": details.get("cache_read"),
                "cache_write_tokens": details.get("cache_creation"),
            },
            "completion_tokens_details": mapping(usage.get("output_token_details")),
        }
    elif count_or_none(usage.get("cache_write_tokens")) is not None:  # LlamaIndex's, which are flat
        details = {**mapping(usage.get("prompt_tokens_details")), "cache_write_tokens": usage["cache_write_tokens"]}
        usage = {**usage, "prompt_tokens_details": details}
    return parse_usage(usage)


@dataclass(slots=True)
class ModelSpending:
    """What one model was asked, and what it cost.

    Attributes:
        cost: The cost of all calls.
        calls: How many answers there were.
        prompt_tokens: Input tokens, cached ones included.
        cached_tokens: Input tokens read from the prefix cache.
        completion_tokens: Output tokens, thinking included.
    """

    cost: Cost
    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0


@dataclass(eq=False)
class Spending:
    """Adds up what calls cost, per model; threads may share it.

    Args:
        currency: `USD` or `CNY`.
        cache_ttl: How long the cache was asked to keep what was written to it.

    Attributes:
        by_model: Spending by the id of the model that answered.
    """

    currency: Currency = "USD"
    cache_ttl: CacheTTL = "5m"
    by_model: dict[str, ModelSpending] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a currency that there is no price in."""
        check_currency(self.currency, self.cache_ttl)
        self._lock = threading.Lock()

    def add(self, usage: Any, model: str | None) -> None:
        """Add one answer.

        Args:
            usage: As for `cost`.
            model: The id of the model that answered; None where the answer did not say.
        """
        name = model or "unknown model"
        counts = read_usage(usage)
        spent = cost(counts, name, self.currency, cache_ttl=self.cache_ttl)
        counts = counts or Usage(0, 0, 0)
        with self._lock:
            row = self.by_model.setdefault(name, ModelSpending(Cost(self.currency)))
            row.cost += spent
            row.calls += 1
            row.prompt_tokens += counts.prompt_tokens
            row.cached_tokens += counts.cached_tokens or 0
            row.completion_tokens += counts.completion_tokens

    @property
    def total(self) -> Cost:
        """The cost of all models; its total is None where one model's is unknown."""
        with self._lock:
            return sum((row.cost for row in self.by_model.values()), Cost(self.currency))

    def reset(self) -> None:
        """Forget what was added."""
        with self._lock:
            self.by_model.clear()

    def __getstate__(self) -> dict[str, Any]:
        """The state for a pickle: without the lock."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come out of a pickle."""
        vars(self).update(state, _lock=threading.Lock())

    def __deepcopy__(self, memo: Any) -> Spending:
        return self  # frameworks copy their callbacks, which are to go on adding to this one

    def __str__(self) -> str:
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in table)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """A table, in notebooks."""
        head, *rows = ["".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in self._table()]
        return f"<table><tr>{head.replace('td>', 'th>')}</tr>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"

    def _table(self) -> list[tuple[str, ...]]:
        with self._lock:
            rows = list(self.by_model.items())
        lines = [
            (name, str(row.calls), f"{row.prompt_tokens:,}", f"{row.cached_tokens:,}", f"{row.completion_tokens:,}",
             str(row.cost))
            for name, row in rows
        ]  # fmt: skip
        head = ("model", "calls", "input", "of it cached", "output", "cost")
        return [head, *lines, ("all", "", "", "", "", str(self.total))]
