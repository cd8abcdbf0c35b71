"""What goes out: tools, messages and settings become the body of one request. Pure.

`request.render_request` is the one place where a body is put together; `tools`, `messages` and `prefix` (Partial Mode)
render its parts.
"""

from __future__ import annotations

from kimi_wire.requests.messages import render_each
from kimi_wire.requests.request import EFFORTS, Request, check_settings, render_request
from kimi_wire.requests.tools import WEB_SEARCH, WEB_SEARCH_DESCRIPTION, ToolPlan, web_search_tool

__all__ = [
    "EFFORTS",
    "WEB_SEARCH",
    "WEB_SEARCH_DESCRIPTION",
    "Request",
    "ToolPlan",
    "check_settings",
    "render_each",
    "render_request",
    "web_search_tool",
]
