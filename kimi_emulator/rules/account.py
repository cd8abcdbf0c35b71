"""Rules about who asks: the API key, and the account's money."""

from __future__ import annotations

from ..request import Rejected
from ..scripting import SUSPENDED, Failure, too_many
from ..state import Balance, LastMinute

PLACEHOLDERS = frozenset({"test", "dummy", "EMPTY"})
"""What people write where a library wants a key and a server of theirs wants none."""


def check_key(authorization: str | None, keys: frozenset[str] | None) -> None:
    """Check the API key.

    Args:
        authorization: The ``Authorization`` header.
        keys: The accepted keys; None accepts whatever begins with ``sk-``, and the placeholders, which the API refuses.

    Raises:
        Rejected: If the key is missing or not accepted.
    """
    scheme, _, key = (authorization or "").partition(" ")
    key = key.strip() if scheme.lower() == "bearer" else ""
    if key in (PLACEHOLDERS if keys is None else keys):
        return
    # oh-my-pi#5981, hermes-agent#12668: a key of the membership product or of the other region gets
    # "Invalid Authentication".
    if key.startswith("sk-kimi-"):
        raise Rejected("Invalid Authentication", status=401, type="invalid_authentication_error")
    # Every route, no key or a wrong one: "Incorrect API key provided"
    if keys is not None or not key.startswith("sk-"):
        raise Rejected("Incorrect API key provided", status=401, type="incorrect_api_key_error")


def check_balance(balance: Balance) -> None:
    """Refuse inference to an account without money.

    https://platform.kimi.ai/docs/api/balance: with nothing available, inference is refused; the words are those of
    openclaw#43447.

    Raises:
        Rejected: If nothing is available.
    """
    if balance.available <= 0:
        raise _rejected(SUSPENDED)


def check_rate(most: int | None, last_minute: LastMinute) -> None:
    """Refuse more chat requests in a minute than the organisation may send; a refused one does not count.

    Recorded at three a minute: "please try again after 1 seconds", which is not when there is room again. That any
    sixty seconds are a minute is ours.

    Raises:
        Rejected: If there were as many in the last minute.
    """
    if most is not None and not last_minute.has_room(most):
        raise _rejected(too_many(most))


def _rejected(failure: Failure) -> Rejected:
    return Rejected(failure.error["message"], status=failure.status, type=failure.error["type"])
