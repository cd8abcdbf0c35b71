"""The endpoints about the platform: models, the account's balance, token counts."""

from __future__ import annotations

from dataclasses import dataclass

from . import rules, rules_media, rules_messages, shapes, tokens
from .calls import Answer, Call
from .request import Rejected


@dataclass(frozen=True)
class Balance:
    """An account's money, in the currency of its host.

    Attributes:
        voucher: What is left of vouchers.
        cash: What is left of payments; negative where the account is overdue.
    """

    voucher: float = 46.58893
    cash: float = 3.00001

    @property
    def available(self) -> float:
        """What can be spent. Measured on an overdue account: 0 available, 0 in vouchers, -31.14918 in cash."""
        return max(round(self.voucher + self.cash, 5), 0)


def list_models(call: Call) -> Answer:
    """List the models that are served."""
    listed = [shapes.model_body(model) for model in call.emulator.served_models()]
    return Answer({"object": "list", "data": listed})


def get_model(call: Call) -> Answer:
    """Describe one model."""
    id = call.parts["id"]
    for model in call.emulator.served_models():
        if model.id == id:
            return Answer(shapes.model_body(model))
    raise rules.model_not_found(id)


def get_balance(call: Call) -> Answer:
    """Tell the balance; the shape is recorded."""
    balance = call.emulator.balance
    data = {
        "available_balance": balance.available,
        "voucher_balance": balance.voucher,
        "cash_balance": balance.cash,
    }
    return Answer({"code": 0, "data": data, "scode": "0x0", "status": True})


def check_balance(balance: Balance) -> None:
    """Refuse inference to an account without money.

    https://platform.kimi.ai/docs/api/balance: with nothing available, inference is refused; the words are those of
    openclaw#43447.

    Raises:
        Rejected: If nothing is available.
    """
    if balance.available <= 0:
        raise Rejected(
            "Your account org-00000000000000000000000000000000 <ak-000000000000000000000> is suspended due to "
            "insufficient balance, please recharge your account or check your plan and billing details",
            status=429,
            type="exceeded_current_quota_error",
        )


def estimate_tokens(call: Call) -> Answer:
    """Count the tokens of messages, images included.

    From the documentation, https://platform.kimi.ai/docs/api/estimate: `model` and `messages` are required, the
    messages are those of a chat request; `tools` is no parameter and counts nothing.
    """
    emulator = call.emulator
    request = rules.read_chat_request(
        call.json(), extra_models=emulator.extra_models, serve_retired=emulator.serve_retired, check=emulator.check
    )
    if emulator.check:
        for rule in (*rules_messages.RULES, *rules_media.RULES):
            rule(request)
    counted = {"messages": request.body.get("messages")}
    return Answer({"data": {"total_tokens": tokens.count_prompt(counted, request.family)}})
