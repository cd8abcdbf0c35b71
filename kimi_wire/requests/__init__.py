"""What goes out: tools, messages and settings become the body of one request. Pure.

`request.render_request` is the one place where a body is put together; `foreign` does the same for other vendors'
models, in a few lines. The tools that a conversation brings along first go where the model takes them (`loaded`).
Then it goes through it in this order:

1. `parts.describe_unseen`: words stand for old pictures that the model has no eyes for. `messages.render_each`: each
   message is copied into the API's form, its `parts` and the tools it brings along too.
2. `messages.render_messages`: calls and answers find each other, and ids that were given twice a number of their own.
3. `prefix`: the answer's beginning, in Partial Mode; `host_form.place_beginning` says it in the host's way at the end.
4. `messages.fill_missing_reasoning`, once `tools` and `thinking` know whether the model will think.
5. `host_form.render_for_host`: what the host has other words for.
6. `kimi_wire.media.plan_media`: what of the finished body is to be fetched or uploaded first.

The first pass copies whatever a later one changes. So each of the others works on these copies, and gives back the
list to go on with.

On its way, `known` takes what the reader of the answer needs of its request: the tools' own names (`names`) and their
schemas, and the ids of the conversation's calls (`call_ids`). It goes with the plan, so that an answer can be
read anywhere.

Deliberately absent: a cache of rendered messages. Callers edit messages in place, and what was there before would go
out in silence; a turn with a tool call is rendered in some 10 us.
"""

from __future__ import annotations

from kimi_wire.requests.call_ids import CallIds
from kimi_wire.requests.host_form import is_begun, place_beginning, render_reasoning
from kimi_wire.requests.known import Known
from kimi_wire.requests.messages import render_each
from kimi_wire.requests.names import ToolNames
from kimi_wire.requests.parts import describe_unseen, read_parts
from kimi_wire.requests.request import Request, check_settings, render_request
from kimi_wire.requests.tools import (
    MAX_TOOLS,
    WEB_SEARCH,
    WEB_SEARCH_DESCRIPTION,
    ToolPlan,
    render_tools,
    web_search_tool,
)

__all__ = [
    "MAX_TOOLS",
    "WEB_SEARCH",
    "WEB_SEARCH_DESCRIPTION",
    "CallIds",
    "Known",
    "Request",
    "ToolNames",
    "ToolPlan",
    "check_settings",
    "describe_unseen",
    "is_begun",
    "place_beginning",
    "read_parts",
    "render_each",
    "render_reasoning",
    "render_request",
    "render_tools",
    "web_search_tool",
]
