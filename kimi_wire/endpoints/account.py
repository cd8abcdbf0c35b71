"""The endpoints about the platform: models, the account's balance, and token counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from kimi_wire.endpoints.bodies import parse_object, unusable
from kimi_wire.errors import KimiRequestError
from kimi_wire.json_values import JSON, count_or_none, mapping, text_or_none
from kimi_wire.kinds import check_messages
from kimi_wire.profiles import profile_for
from kimi_wire.requests import describe_unseen, render_each
from kimi_wire.settings import DEFAULT_MODEL
from kimi_wire.transport import ApiKey, KimiConnection, body_argument, hiding_secrets

Messages: TypeAlias = "str | Sequence[Mapping[str, Any]]"

COUNT_PATH = "/tokenizers/estimate-token-count"

# Accounts of the two regions are separate, and so is their money: https://platform.kimi.ai/docs/api/balance.
_CURRENCIES = {"api.moonshot.ai": "USD", "api.moonshot.cn": "CNY"}


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a key may use. What the server does not say is None.

    Attributes:
        id: The model's id.
        context_length: Input and output together, in tokens.
        supports_image_in: Whether it takes images.
        supports_video_in: Whether it takes videos.
        supports_reasoning: Whether it thinks.
        display_name: A name for people.
        raw: The server's whole description.
    """

    id: str
    context_length: int | None = None
    supports_image_in: bool | None = None
    supports_video_in: bool | None = None
    supports_reasoning: bool | None = None
    display_name: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Balance:
    """An account's money.

    Attributes:
        available: What can be spent; at 0 or less every chat request is refused.
        voucher: What is left of vouchers.
        cash: What is left of payments; negative where the account is overdue.
        currency: `USD` on api.moonshot.ai, `CNY` on api.moonshot.cn, None on other hosts.
    """

    available: float
    voucher: float
    cash: float
    currency: str | None = None


class KimiPlatform:
    """What the platform knows about models, the account and token counts.

    Example:
        ```python
        from kimi_wire import KimiPlatform

        platform = KimiPlatform()  # reads MOONSHOT_API_KEY
        print([model.id for model in platform.models()])
        print(platform.balance())
        print(platform.count_tokens("How many tokens is this?", model="kimi-k3"))
        ```

    Args:
        api_key: The key, or a function that gives it. Default: the environment's `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        base_url: Default: as everywhere, see `kimi_wire.transport.connection.resolve_base_url`.
        connection: One that there is already, with its key and host, in place of all else.
        options: `timeout`, `max_retries`, `default_headers`, `http_client`, `http_async_client`.

    Raises:
        KimiMissingKeyError: There is no key.
        KimiRequestError: The URL is none.
    """

    @hiding_secrets
    def __init__(
        self,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        *,
        connection: KimiConnection | None = None,
        **options: Any,
    ) -> None:
        self._connection = connection or KimiConnection.resolved(api_key, base_url, **options)

    @classmethod
    def over(cls, connection: KimiConnection) -> KimiPlatform:
        """Make one that sends its requests through a connection there is already.

        Args:
            connection: The connection, with its key and host.

        Returns:
            The platform of the connection's host.
        """
        return cls(connection=connection)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self).get('_connection')!r})"

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def models(self) -> list[ModelInfo]:
        """List the models that the key may use.

        Returns:
            The models, in the server's order.

        Raises:
            KimiError: Whatever goes wrong.
        """
        return parse_models(self._connection.request("get", "/models"))

    async def amodels(self) -> list[ModelInfo]:
        """The asynchronous twin of `models`."""
        return parse_models(await self._connection.arequest("get", "/models"))

    def balance(self) -> Balance:
        """Ask for the account's balance.

        Returns:
            The balance, in the currency of the host.

        Raises:
            KimiError: Whatever goes wrong; other hosts than Moonshot's have no such endpoint.
        """
        return parse_balance(self._connection.request("get", "/users/me/balance"))

    async def abalance(self) -> Balance:
        """The asynchronous twin of `balance`."""
        return parse_balance(await self._connection.arequest("get", "/users/me/balance"))

    def count_tokens(self, messages: Messages, model: str = DEFAULT_MODEL) -> int:
        """Have the server count the tokens of messages, images included.

        Tool declarations are no part of the endpoint (https://platform.kimi.ai/docs/api/estimate): add
        `kimi_wire.endpoints.tokens.estimate_tools(tools)` for them.

        Args:
            messages: Messages in the API's form, or the text of a user's message. None at all are 0 tokens.
            model: The model that counts. Default: `kimi-k3`.

        Returns:
            The number of tokens of the prompt.

        Raises:
            KimiRequestError: A message has no form in the API.
            KimiError: Whatever else goes wrong.
        """
        body = render_count(messages, model)
        return parse_count(self._connection.request("post", COUNT_PATH, **body_argument(body))) if body else 0

    async def acount_tokens(self, messages: Messages, model: str = DEFAULT_MODEL) -> int:
        """The asynchronous twin of `count_tokens`."""
        body = render_count(messages, model)
        return parse_count(await self._connection.arequest("post", COUNT_PATH, **body_argument(body))) if body else 0

    def close(self) -> None:
        """Close the connections of synchronous calls; the next call opens new ones."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the next call opens new ones."""
        await self._connection.aclose()


def render_count(messages: Messages, model: str) -> JSON | None:
    """Render the body of a count; None where there is nothing to count.

    Messages go one by one: a part of a conversation may be counted, tool calls without their answers for example.
    """
    if not isinstance(messages, str) and (isinstance(messages, Mapping) or not isinstance(messages, Sequence)):
        raise KimiRequestError(f"count_tokens takes text or a list of messages, not {type(messages).__name__}.")
    if not messages:
        return None
    given = [{"role": "user", "content": messages}] if isinstance(messages, str) else messages
    profile = profile_for(model)
    check_messages(given, kimi=profile.is_kimi)
    rendered = (
        render_each(describe_unseen(given, profile)[0], profile)
        if profile.is_kimi
        else [dict(message) for message in given]
    )
    return {"model": model, "messages": rendered} if rendered else None


def parse_models(response: Any) -> list[ModelInfo]:
    """Read the list of models; entries without an id are passed over.

    Raises:
        KimiResponseError: It is no list.
    """
    listed = parse_object(response).get("data")
    if not isinstance(listed, list):
        raise unusable("no list of models", response)
    return [_model_info(entry) for entry in listed if isinstance(entry, Mapping) and isinstance(entry.get("id"), str)]


def _model_info(entry: Mapping[str, Any]) -> ModelInfo:
    flags = {name: entry.get(name) for name in ("supports_image_in", "supports_video_in", "supports_reasoning")}
    return ModelInfo(
        id=entry["id"],
        context_length=count_or_none(entry.get("context_length")),
        display_name=text_or_none(entry.get("display_name")),
        raw=dict(entry),
        **{name: flag if isinstance(flag, bool) else None for name, flag in flags.items()},
    )


def currency_of(url: str) -> str | None:
    """The currency in which a host of Moonshot's bills; None for other hosts.

    Args:
        url: The API's root, or an address below it.
    """
    return _CURRENCIES.get(urlsplit(url).hostname or "")


def parse_balance(response: Any) -> Balance:
    """Read the balance.

    Raises:
        KimiResponseError: There is none in the answer.
    """
    payload = parse_object(response)
    data = mapping(payload.get("data"))
    amounts = {name: data.get(f"{name}_balance") for name in ("available", "voucher", "cash")}
    if not all(isinstance(amount, (int, float)) for amount in amounts.values()):
        raise unusable(f"no balance (code {payload.get('code')!r})", response)
    currency = currency_of(str(response.request.url))
    return Balance(**{name: float(amount or 0) for name, amount in amounts.items()}, currency=currency)


def parse_count(response: Any) -> int:
    """Read a token count.

    Raises:
        KimiResponseError: There is none in the answer.
    """
    total = count_or_none(mapping(parse_object(response).get("data")).get("total_tokens"))
    if total is None:
        raise unusable("no token count", response)
    return total
