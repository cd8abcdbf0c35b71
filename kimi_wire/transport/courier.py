"""Between the SDK and the HTTP library: where requests may go, and what of a refusal is worth another try.

The SDK takes an HTTP client and has it send each attempt. It is given one that hands every request on to the real one,
a user's own too, which is not changed by it.

Deliberately absent: a transport around the user's client, in place of a class derived from the library's. The client
around the transport would write the requests, without the headers, parameters and cookies of the user's, keep cookies
and log each request a second time; only a derived class leaves all of that to the user's client.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
from collections.abc import Mapping
from typing import Any

from kimi_wire.errors import KimiRequestError, advise_retry, refusal_of
from kimi_wire.log import Attempt
from kimi_wire.transport import bodies
from kimi_wire.transport.library import library_of

_MAX_REDIRECTS = 4


class Courier:
    """Sends the SDK's requests with an HTTP client.

    Redirects are followed within the origin only. httpx takes the `Authorization` header off at the border, no other:
    a gateway's `X-Api-Key` would go to wherever the server says.

    Args:
        client: A client of httpx or httpx2, sync or async.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    # The pair differs by `async` and `await` only; tests/test_architecture.py compares it.

    def send(self, request: Any, arguments: Mapping[str, Any]) -> Any:
        """Send a request; a refusal comes back read, and marked for the SDK's retries."""
        hops, attempt = 0, Attempt(request)
        while True:
            try:
                response = self._client.send(request, **{**arguments, "follow_redirects": False, "stream": True})
                forget_odd_cookies(self._client, response)
                following = next_hop(request, response) if hops < _MAX_REDIRECTS else None
                if following is None and not is_stream(response, arguments):
                    bodies.read(response)
            except Exception as error:
                forget_odd_cookies(self._client, None)
                failure = name_failure(error, request)
                attempt.ended(request, type(failure).__name__)
                raise failure from error.__cause__
            if following is None:
                break
            hops += 1
            response.close()
            request = following
        if response.status_code >= 300:
            mark_refusal(response)
        attempt.ended(request, f"HTTP {response.status_code}", response)
        return response

    async def asend(self, request: Any, arguments: Mapping[str, Any]) -> Any:
        """The asynchronous twin of `send`."""
        hops, attempt = 0, Attempt(request)
        while True:
            try:
                response = await self._client.send(request, **{**arguments, "follow_redirects": False, "stream": True})
                forget_odd_cookies(self._client, response)
                following = next_hop(request, response) if hops < _MAX_REDIRECTS else None
                if following is None and not is_stream(response, arguments):
                    await bodies.aread(response)
            except Exception as error:
                forget_odd_cookies(self._client, None)
                failure = name_failure(error, request)
                attempt.ended(request, type(failure).__name__)
                raise failure from error.__cause__
            if following is None:
                break
            hops += 1
            await response.aclose()
            request = following
        if response.status_code >= 300:
            mark_refusal(response)
        attempt.ended(request, f"HTTP {response.status_code}", response)
        return response


def forget_odd_cookies(client: Any, response: Any) -> None:
    """Have a client forget cookies that no request can carry, if a response (None: some response) has set such.

    The library keeps them, and then fails to write every later request: "'ascii' codec can't encode character".
    """
    if response is None or any(
        name.lower() == b"set-cookie" and not value.isascii() for name, value in response.headers.raw
    ):
        jar = client.cookies.jar
        for cookie in list(jar):
            if not f"{cookie.name}{cookie.value}".isascii():
                jar.clear(cookie.domain, cookie.path, cookie.name)


def name_failure(error: Exception, request: Any) -> Exception:
    """The HTTP library's error for what happened.

    httpx-aiohttp 0.2 and the SDK's copy of it take connections that were refused or lost for a `ConnectTimeout`: in
    their table, aiohttp's `ClientConnectionError` comes first, and covers the others. Its `ClientResponseError` (an
    answer that is no HTTP) is not in it; the SDK lets that through, with the request's headers in its repr.
    """
    http: Any = importlib.import_module(_library(request))
    if isinstance(error, UnicodeError):  # the library wrote the request that a redirect asks for, with an odd cookie
        unsendable: Exception = http.RemoteProtocolError("a cookie of the answer cannot be sent", request=request)
        return unsendable
    origin = error.__cause__ if type(error).__name__ == "ConnectTimeout" else error
    kinds = [base.__name__ for base in type(origin).__mro__ if base.__module__.partition(".")[0] == "aiohttp"]
    if not kinds or isinstance(origin, asyncio.TimeoutError):
        return error
    kind = http.ConnectError if "ClientConnectorError" in kinds else http.ReadError
    failure: Exception = kind(str(origin) or kinds[0], request=request)
    return failure


def is_stream(response: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether somebody else is to read a response: the SDK asked for a stream, and it is one that can be read."""
    return bool(arguments.get("stream")) and response.status_code < 300 and bodies.can_be_counted(response)


def next_hop(request: Any, response: Any) -> Any:
    """The request that a redirect asks for, if it is for the same origin and still the same request; else None."""
    following = response.next_request
    if following is None or following.method != request.method:  # after 301, 302 and 303 a POST becomes a GET
        return None
    here, there = request.url, following.url
    same = (here.scheme, here.host, here.port) == (there.scheme, there.host, there.port)
    return following if same and not there.userinfo else None


def mark_refusal(response: Any) -> None:
    """Tell the SDK, in the response's headers, whether and when to try again; its words can be read from here on."""
    try:
        _ = response.text
    except Exception:  # a charset such as "hex", "utf-16" or "idna", whose codecs fail each in their own way
        response.encoding = "utf-8"
    response.headers.update(advise_retry(refusal_of(response)))


def _library(request: Any) -> str:
    return type(request).__module__.partition(".")[0]


def with_courier(client: Any, *, asynchronous: bool = False) -> Any:
    """Make a client for the SDK that sends with the given one.

    Args:
        client: A client of httpx or httpx2, or of a class derived from theirs.
        asynchronous: Whether it has to be an `AsyncClient`.

    Raises:
        KimiRequestError: It is something else.
    """
    name = "AsyncClient" if asynchronous else "Client"
    library = library_of(type(client), name)
    if library is None:
        argument = "http_async_client" if asynchronous else "http_client"
        raise KimiRequestError(f"{argument} is a {type(client).__name__}, and no {name} of httpx (openai 3: httpx2).")
    return (_async_class if asynchronous else _sync_class)(library)(client)


# The SDK takes instances of `Client` and `AsyncClient` only, hence classes; they are made with the first client, on the
# library that it is of.


@functools.cache
def _sync_class(http: Any) -> Any:
    class CourierClient(http.Client):  # type: ignore[misc] # a base known only at run time
        def __init__(self, client: Any) -> None:
            super().__init__(transport=http.BaseTransport())  # no connections of its own
            self._inner, self._courier = client, Courier(client)

        def build_request(self, *args: Any, **kwargs: Any) -> Any:
            return self._inner.build_request(*args, **kwargs)

        def send(self, request: Any, **kwargs: Any) -> Any:
            return self._courier.send(request, kwargs)

        @property
        def is_closed(self) -> bool:
            return bool(self._inner.is_closed)

        def close(self) -> None:
            self._inner.close()

    return CourierClient


@functools.cache
def _async_class(http: Any) -> Any:
    class AsyncCourierClient(http.AsyncClient):  # type: ignore[misc] # a base known only at run time
        def __init__(self, client: Any) -> None:
            super().__init__(transport=http.AsyncBaseTransport())
            self._inner, self._courier = client, Courier(client)

        def build_request(self, *args: Any, **kwargs: Any) -> Any:
            return self._inner.build_request(*args, **kwargs)

        async def send(self, request: Any, **kwargs: Any) -> Any:
            return await self._courier.asend(request, kwargs)

        @property
        def is_closed(self) -> bool:
            return bool(self._inner.is_closed)

        async def aclose(self) -> None:
            await self._inner.aclose()

    return AsyncCourierClient
