"""The tables of models and of prices, written from the facts: `python -m tests.model_table`, or `make tables`."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.report import replace_between_markers
from kimi_wire.prices import PRICES, PriceRow
from kimi_wire.profiles import FAMILIES, ForcedChoice, Preserve, Profile, Source, Thinking

ROOT = Path(__file__).parent.parent

_THINKING = {
    Thinking.NONE: "never",
    Thinking.FORCED: "always",
    Thinking.SWITCHABLE: "`thinking=`",
    Thinking.EFFORT: "always, `reasoning_effort=`",
}
_FORCED = {
    ForcedChoice.REQUIRED: "as `required`",
    ForcedChoice.THINKING_OFF: "thinking off, or as JSON",
    ForcedChoice.CONSTRAINED: "as JSON under its schema",
    ForcedChoice.ASK: "asked for, and checked",
}


def _link(source: Source) -> str:
    if source.where.startswith("https://"):
        return f"[{source.kind} {source.day}]({source.where})"
    found = re.fullmatch(r"([\w.-]+/[\w.-]+)#(\d+)", source.where)
    return (
        f"[{source.kind} {source.day}](https://github.com/{found[1]}/issues/{found[2]})"
        if found
        else f"{source.kind} {source.day}"
    )


def _row(profile: Profile) -> str:
    media = [word for word, takes in (("images", profile.images), ("video", profile.video)) if takes]
    keeps = ", `preserve_thinking=`" if profile.preserve is Preserve.OPTIONAL else ""
    cells = (
        profile.family,
        f"{profile.context_window:,}" if profile.context_window else "?",
        f"{profile.max_output:,}" if profile.max_output else "?",
        ", ".join(["text", *media]),
        _THINKING[profile.thinking] + keeps,
        "fixed" if profile.fixed_sampling else "free",
        _FORCED[profile.forced_choice] if profile.tools else "no tools",
        str(profile.retired) if profile.retired else "",
        _link(profile.sources["context_window"]),
    )
    return f"| {' | '.join(cells)} |"


def render_table() -> str:
    """Write the table: a row for each family, in the order in which they are looked up."""
    head = (
        "| family | context | most output | input | thinking | sampling | forced tool call | served until | source of the context |\n"
        "|---|---:|---:|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_row(profile) for profile in FAMILIES)])


def _price_row(row: PriceRow, currency: str) -> str:
    price = row.prices[currency]
    parts = (price.input, price.cached, price.write_5m, price.write_1h, price.output)
    cells = (row.model, currency, *("?" if part is None else f"{part:.2f}" for part in parts), _link(row.source))
    return f"| {' | '.join(cells)} |"


def render_prices() -> str:
    """Write the table: a row for each model and currency."""
    head = (
        "| model | | input | cached | written, 5 min | written, 1 h | output | source |\n"
        "|---|---|---:|---:|---:|---:|---:|---|"
    )
    return "\n".join([head, *(_price_row(row, currency) for row in PRICES for currency in row.prices)])


TABLES = {
    ROOT / "README.md": (render_table, ("<!-- models: make tables -->", "<!-- end of models -->")),
    ROOT / "docs" / "cost.md": (render_prices, ("<!-- prices: make tables -->", "<!-- end of prices -->")),
}
"""The pages that have one; what renders it, and the marks that it stands between."""


def insert(page: Path) -> str:
    """The text of a page with its table put between its marks anew."""
    render, marks = TABLES[page]
    return replace_between_markers(page.read_text("utf-8"), render(), marks)


if __name__ == "__main__":
    for page in TABLES:
        page.write_text(insert(page), encoding="utf-8")
