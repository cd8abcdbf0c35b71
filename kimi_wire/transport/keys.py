"""API keys: a text that stays, or a function that gives one for each attempt of each request."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, TypeVar, cast, overload

from kimi_wire.errors import KimiMissingKeyError
from kimi_wire.transport.secrets import HiddenHeaders, HiddenText


class _Secret(Protocol):
    """Pydantic's `SecretStr`."""

    def get_secret_value(self) -> str: ...


ApiKey: TypeAlias = str | _Secret | Callable[[], str | Awaitable[str]]
"""What is taken as a key: a text, a `SecretStr`, or a function without arguments that gives one, synchronous or not."""

KEY_VARIABLES = ("MOONSHOT_API_KEY", "KIMI_API_KEY")

# What the SDK is given in place of a key that is asked for: it wants one at once, and writes it into each request.
_ASKED_FOR = "asked-for-with-each-request"

_SECRET = ("api_key", "base_url", "api_base", "default_headers")

_Constructor = TypeVar("_Constructor", bound=Callable[..., None])


@dataclass(frozen=True, repr=False)
class KeyFunction:
    """A function that gives the key of each attempt; its repr says nothing of it, as its arguments may be secret.

    Attributes:
        ask: Called without arguments; what it returns, or what awaiting that gives, is the key.
    """

    ask: Callable[[], Any]

    @classmethod
    def of(cls, function: Callable[[], Any]) -> KeyFunction:
        """Wrap a function, once."""
        return function if isinstance(function, cls) else cls(function)

    def __call__(self) -> Any:
        """What the function returns."""
        return self.ask()

    # Each pair below differs by `async` and `await` only, but for where a function that may wait is called.

    def key(self) -> str:
        """Ask for the key of a synchronous request.

        Raises:
            KimiMissingKeyError: What is returned is no key, or has to be awaited.
        """
        answer = self.ask()
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()  # it would warn that nobody awaited it
            raise KimiMissingKeyError(
                "api_key is an asynchronous function, and this call is synchronous: await the asynchronous one "
                "(ainvoke, achat), or give a function that returns the key."
            )
        return _read(answer)

    async def akey(self) -> str:
        """Ask for the key of an asynchronous request; a function that is not asynchronous is called in a thread."""
        awaits = any(map(inspect.iscoroutinefunction, (self.ask, type(self.ask).__call__)))
        answer: Any = self.ask() if awaits else await asyncio.to_thread(self.ask)
        return _read(await answer if inspect.isawaitable(answer) else answer)

    def __repr__(self) -> str:
        return "KeyFunction(***)"

    def __deepcopy__(self, memo: Any) -> KeyFunction:
        return self  # it may hold a lock or a connection


@overload
def resolve_api_key(api_key: str | None) -> str: ...


@overload
def resolve_api_key(api_key: Any) -> str | KeyFunction: ...


def resolve_api_key(api_key: Any) -> str | KeyFunction:
    """Find the API key: the argument, else `MOONSHOT_API_KEY`, else `KIMI_API_KEY`.

    Args:
        api_key: A key as text or `SecretStr`, a function that gives one (see `KeyFunction`), or None.

    Raises:
        KimiMissingKeyError: There is none, or it is none.
    """
    api_key = plain_secret(api_key)
    if callable(api_key):
        return KeyFunction.of(api_key)
    if not isinstance(api_key, (str, type(None))):
        kind, api_key = type(api_key).__name__, None  # a traceback may be printed with its variables
        raise KimiMissingKeyError(f"api_key is of type {kind}; give the key as text, or a function that returns it.")
    key = api_key or next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), "")
    try:
        return _checked(
            key,
            "No API key: pass api_key=..., or set the environment variable MOONSHOT_API_KEY (or KIMI_API_KEY). "
            "Keys are made at https://platform.kimi.ai (international) or https://platform.kimi.com (China).",
            "The API key",
        )
    finally:
        api_key = key = ""  # a traceback may be printed with its variables


def plain_secret(secret: Any) -> Any:
    """What is in a `SecretStr` of Pydantic; anything else as it is."""
    return secret.get_secret_value() if hasattr(secret, "get_secret_value") else secret


def hiding_secrets(constructor: _Constructor) -> _Constructor:
    """Have a constructor see keys, addresses and headers without their reprs.

    What goes wrong in it is told with its variables by some printers of tracebacks.
    """
    names = list(inspect.signature(constructor).parameters)

    @functools.wraps(constructor)
    def construct(*args: Any, **kwargs: Any) -> None:
        args = (*map(_hidden, names, args), *args[len(names) :])
        kwargs = {name: _hidden(name, value) for name, value in kwargs.items()}
        constructor(*args, **kwargs)

    return cast(_Constructor, construct)


def _hidden(name: str, value: Any) -> Any:
    if name == "api_key" and callable(value):
        return KeyFunction.of(value)
    if name in _SECRET and isinstance(value, str):
        return HiddenText(value)
    if name in _SECRET and isinstance(value, Mapping):
        return HiddenHeaders(value)
    return value


def _read(answer: Any) -> str:
    """The key that a function gave; nothing is looked for in the environment then, as another key may be there."""
    answer = plain_secret(answer)
    if not isinstance(answer, str):
        kind, answer = type(answer).__name__, None
        raise KimiMissingKeyError(f"The function given as api_key returned a {kind}; it has to return the key as text.")
    try:
        return _checked(answer, "The function given as api_key returned an empty text.", "What api_key() returned")
    finally:
        answer = ""


def _checked(key: str, missing: str, name: str) -> str:
    key = key.strip()  # keys read from files end in a line feed, which no header takes
    if not key:
        raise KimiMissingKeyError(missing)
    if not (key.isascii() and key.isprintable()) or " " in key:
        key = ""
        raise KimiMissingKeyError(f"{name} has characters that no key has (spaces or non-ASCII); copy it again.")
    return HiddenText(key)


def sdk_key(key: str | KeyFunction) -> str:
    """What the SDK is given as the key."""
    return _ASKED_FOR if isinstance(key, KeyFunction) else HiddenText(key)


def asking(client_class: Any, key: str | KeyFunction) -> Any:
    """A class of the SDK's clients that asks for the key with each attempt, where a function gives it.

    The SDK has such keys too, but keeps the last one on the client, where requests of several threads overwrite each
    other's, and none of our own header could stand beside it. What a request has as `Authorization` from its caller
    stays, and nothing is asked for then.

    Args:
        client_class: `openai.OpenAI` or `openai.AsyncOpenAI`.
        key: The key; with a text the class is as it was.
    """
    if not isinstance(key, KeyFunction):
        return client_class
    function = key
    if inspect.iscoroutinefunction(client_class._prepare_request):

        class AsyncAsking(client_class):  # type: ignore[misc] # a base known only at run time
            async def _prepare_request(self, request: Any) -> None:
                await super()._prepare_request(request)
                if _wants_key(request):
                    request.headers["Authorization"] = f"Bearer {await function.akey()}"

        return AsyncAsking

    class Asking(client_class):  # type: ignore[misc] # a base known only at run time
        def _prepare_request(self, request: Any) -> None:
            super()._prepare_request(request)
            if _wants_key(request):
                request.headers["Authorization"] = f"Bearer {function.key()}"

    return Asking


def _wants_key(request: Any) -> bool:
    return bool(request.headers.get("Authorization") == f"Bearer {_ASKED_FOR}")
