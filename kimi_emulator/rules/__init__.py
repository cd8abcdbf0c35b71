"""What the server refuses, in its words: the checks a request passes before it is answered, in the order they apply.

Every rule is a function that takes the request and raises ``Rejected`` or returns nothing. Its source stands beside
it. Where a rule is documented but the server's words for it are not public, its comment says "wording ours". The rules
of one subject are one module; what needs more than the request (the key, the money, the uploaded files) is a ``check_``
of its own.
"""

from __future__ import annotations

from collections.abc import Collection

from ..request import ChatRequest, Rule
from . import history, media, messages, output, sampling, schema, thinking, tools
from .account import PLACEHOLDERS, check_balance, check_key, check_rate
from .body import model_not_found, parse_body, read_chat_request
from .media import check_uploads

__all__ = [
    "PLACEHOLDERS",
    "RULES",
    "check",
    "check_balance",
    "check_key",
    "check_messages",
    "check_rate",
    "check_uploads",
    "model_not_found",
    "parse_body",
    "read_chat_request",
]

RULES: tuple[Rule, ...] = (
    *messages.RULES,
    *media.RULES,
    *tools.RULES,
    *thinking.RULES,
    *history.RULES,
    *sampling.RULES,
    *output.RULES,
    *schema.RULES,
)


def check(request: ChatRequest, without: Collection[str] = ()) -> None:
    """Apply every rule.

    Args:
        request: The request.
        without: Names of rules that do not hold.

    Raises:
        Rejected: With the first rule that refuses the request.
    """
    for rule in RULES:
        if rule.__name__ not in without:
            rule(request)


def check_messages(request: ChatRequest) -> None:
    """Apply the rules about messages and their parts alone.

    Raises:
        Rejected: With the first rule that refuses them.
    """
    for rule in (*messages.RULES, *media.RULES):
        rule(request)
