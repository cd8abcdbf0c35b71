"""Kimi's errors in LangChain's classes, which are imported where one is raised: with them comes the openai SDK."""

from __future__ import annotations

from kimi_wire.errors import KimiError


def adapted(error: KimiError) -> Exception:
    """Give an error its LangChain class (see `langchain_kimi.errors`)."""
    from langchain_kimi.errors import adapt_error

    return adapt_error(error)
