"""The README's table of models, written from the profiles: `python -m tests.model_table`, or `make tables`."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.report import replace_between_markers
from kimi_wire.profiles import FAMILIES, ForcedChoice, Preserve, Profile, Source, Thinking

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- models: make tables -->", "<!-- end of models -->"

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


def insert(text: str) -> str:
    """Put the table between its marks in a text."""
    return replace_between_markers(text, render_table(), (BEGIN, END))


if __name__ == "__main__":
    README.write_text(insert(README.read_text("utf-8")), encoding="utf-8")
