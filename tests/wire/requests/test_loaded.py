"""Where the tools go that a conversation brings along."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kimi_wire import KimiRequestError
from kimi_wire.requests import Request, render_request
from kimi_wire.settings import Settings

ADD = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
SUB = {"type": "function", "function": {"name": "sub", "parameters": {"type": "object", "properties": {}}}}
HELLO = {"role": "user", "content": "Hello"}


def render(model: str, *messages: Any, tools: Any = None, **settings: Any) -> Request:
    given = copy.deepcopy(messages)
    request = render_request(Settings(model=model, tools=tools, **settings), messages, stream=False)
    assert messages == given
    return request


def block(*tools: Any) -> dict[str, Any]:
    return {"type": "additional_tools", "tools": list(tools)}


def test_a_block_becomes_a_message_of_its_own() -> None:
    said = {"type": "text", "text": "More."}
    brought = {"role": "developer", "content": [block(ADD), said, block(SUB)]}
    sent = render("kimi-k3", HELLO, brought).body["messages"]
    assert sent[1:] == [{"role": "system", "content": "More."}, {"role": "system", "tools": [ADD, SUB]}]


@pytest.mark.parametrize("content", [[], [block()], [{"type": "text", "text": ""}, block()]])
def test_a_block_of_nothing_is_nothing(content: Any) -> None:
    request = render("kimi-k2.6", HELLO, {"role": "system", "content": content, "tools": []})
    assert not request.notices
    assert "tools" not in request.body


def test_elsewhere_they_join_the_requests_own_in_order_and_once() -> None:
    messages = [HELLO, {"role": "system", "tools": [SUB, SUB, ADD]}, {"role": "system", "content": [block(SUB)]}]
    request = render("kimi-k2.6", *messages, tools=[ADD])
    assert (request.body["tools"], len(request.body["messages"])) == ([ADD, SUB], 1)
    assert len(request.notices) == 1
    with pytest.raises(KimiRequestError, match="declared with the request"):
        render("kimi-k2.6", *messages, strict=True)


def test_elsewhere_text_beside_tools_is_kept() -> None:
    request = render("kimi-k2.6", HELLO, {"role": "system", "content": "More.", "tools": [ADD]})
    assert request.body["messages"][1] == {"role": "system", "content": "More."}


@pytest.mark.parametrize("model", ["kimi-k3", "kimi-k2.6"])
@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "user", "content": "Hi", "tools": [ADD]}, "has the role 'user'"),
        ({"role": "system", "tools": "add"}, "must be a list of tools"),
        (
            {"role": "system", "content": [block(ADD, {**ADD, "function": {"name": "add", "strict": True}})]},
            "Two tools",
        ),
        ({"role": "system", "content": [block(7)]}, "must be a declaration"),
        ({"role": "user", "content": [block(ADD)]}, "additional_tools"),
    ],
)
def test_what_has_no_place_is_refused(model: str, message: Any, words: str) -> None:
    with pytest.raises(KimiRequestError, match=words):
        render(model, HELLO, message)
