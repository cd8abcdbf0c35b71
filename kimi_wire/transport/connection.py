"""The way to the server: keys and hosts, and the openai SDK as transport for every endpoint.

From the caller down: `KimiConnection` has a client of the SDK, that has a client made by `with_courier`, and that sends
with a client of the HTTP library, the user's or one made here (`default_client`).

Deliberately absent: retries of our own. The SDK's `max_retries` is what users know, and two layers would multiply.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from kimi_wire import errors  # some of its names need the SDK, and import it when they are asked for
from kimi_wire.errors import KimiRequestError, mask, public_proxy, public_url
from kimi_wire.kinds import check_options
from kimi_wire.log import listen
from kimi_wire.transport import aiohttp as aiohttp_client
from kimi_wire.transport.bodies import PACKINGS, whole
from kimi_wire.transport.courier import with_courier
from kimi_wire.transport.keys import KeyFunction, asking, resolve_api_key, sdk_key
from kimi_wire.transport.library import http_library, response_class
from kimi_wire.transport.secrets import HiddenText, resolve_headers

if TYPE_CHECKING:
    import openai
    from typing_extensions import Self

BASE_URL_VARIABLES = ("MOONSHOT_BASE_URL", "MOONSHOT_API_BASE", "KIMI_BASE_URL")
DEFAULT_BASE_URL = "https://api.moonshot.ai/v1"

# What the HTTP library reads of the environment; of the proxies' in small letters too.
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")

# The platform's gateway gives up after 900 s of silence, and thinking at full effort is silent for minutes: watchdogs
# of 90 to 180 s killed it (NousResearch/hermes-agent#73337).
READ_TIMEOUT, CONNECT_TIMEOUT = 900.0, 60.0
DEFAULT_MAX_RETRIES = 2


def resolve_base_url(base_url: str | None) -> str:
    """Find the API's root: the argument, else one of `BASE_URL_VARIABLES`, else `DEFAULT_BASE_URL`.

    Raises:
        KimiRequestError: It is no http(s) URL, or has a user's name or password in it, which the HTTP library would
            send in place of the key, or a query, after which no path can follow. Either would be in every log and in
            every copy of the settings, and is not in the error.
    """
    given = base_url or next(
        (os.environ[name] for name in BASE_URL_VARIABLES if os.environ.get(name)), DEFAULT_BASE_URL
    )
    url = given.strip() if isinstance(given, str) else ""  # as with keys: files end in a line feed
    problem = ""
    if "@" in url.partition("//")[2].partition("/")[0]:
        problem = (
            f"The base_url of {public_url(url)!r} has a user or password in it. Leave them out, and give what the host "
            "wants as default_headers={'Authorization': 'Basic ...'} or as the `auth` of an http_client of your own."
        )
    elif "?" in url or "#" in url:
        problem = (
            f"The base_url of {public_url(url)!r} has a query or fragment, which no path can follow. Leave it out, and "
            "give what the host wants as default_headers={...} or as the `params` of an http_client of your own."
        )
    elif not isinstance(given, str):
        problem = f"base_url is a {type(given).__name__}, and not a URL such as {DEFAULT_BASE_URL!r}."
    elif not _is_root(url):
        problem = f"base_url={mask(url.rpartition('@')[2])!r} is not a URL such as {DEFAULT_BASE_URL!r}."
    if problem:
        base_url = given = url = ""  # a traceback may be printed with its variables
        raise KimiRequestError(problem)
    return url.rstrip("/")


def _is_root(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return url.isprintable() and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets that do not close, a port that is no number
        return False


class KimiConnection:
    """Sends requests to one host, through the openai SDK.

    Connections are opened on first use. One SDK client serves all threads; asynchronous calls have one per event loop,
    since connections of one loop are dead in the next (run-llama/llama_index#20433: "Event loop is closed"), and it is
    closed with its loop.

    Args:
        api_key: The key, or a `KeyFunction`.
        base_url: The API's root.
        timeout: Seconds, or an `openai.Timeout`; None is `READ_TIMEOUT` with `CONNECT_TIMEOUT`.
        stream_idle_timeout: Seconds a stream may be silent before it counts as broken; None is as `timeout`.
        max_retries: How often the SDK tries again; there is no other layer of retries.
        default_headers: Headers for every request; see `resolve_headers`.
        http_client: A client of the HTTP library the SDK is built on, for synchronous calls.
        http_async_client: The same for asynchronous ones; it is not closed with an event loop. None is one over aiohttp
            where the extra `aiohttp` is installed, else one of httpx.
    """

    def __init__(
        self,
        *,
        api_key: str | KeyFunction,
        base_url: str,
        timeout: Any = None,
        stream_idle_timeout: float | None = None,
        max_retries: int = DEFAULT_MAX_RETRIES,
        default_headers: Mapping[str, str] | None = None,
        http_client: Any = None,
        http_async_client: Any = None,
    ) -> None:
        api_key = api_key if isinstance(api_key, KeyFunction) else HiddenText(api_key)
        listen()
        check_options({"timeout": timeout, "stream_idle_timeout": stream_idle_timeout, "max_retries": max_retries})
        self._options: dict[str, Any] = {"api_key": sdk_key(api_key), "base_url": base_url, "max_retries": max_retries}
        self._key = api_key
        self._timeout = timeout
        self._idle = stream_idle_timeout
        self._default_headers = resolve_headers(default_headers)
        self._http_client = http_client
        self._http_async_client = http_async_client
        self._begin()
        _CONNECTIONS.add(self)

    @property
    def max_retries(self) -> int:
        """How often a failed request is sent again, unless a call says something else."""
        retries: int = self._options["max_retries"]
        return retries

    def _begin(self) -> None:
        """Have no client yet: at first, and again in a child process, which leaves its parent's alone."""
        self._lock = threading.Lock()
        self._sync: openai.OpenAI | None = None
        self._close_sync: Callable[[], object] = lambda: None
        self._async: dict[asyncio.AbstractEventLoop, _LoopClient] = {}

    @classmethod
    def resolved(cls, api_key: Any = None, base_url: str | None = None, **options: Any) -> Self:
        """Make a connection with whatever was not given taken from the environment.

        Args:
            api_key: See `resolve_api_key`.
            base_url: See `resolve_base_url`.
            options: The other arguments of the class.

        Raises:
            KimiMissingKeyError: There is no key.
            KimiRequestError: The URL is none.
        """
        return cls(api_key=resolve_api_key(api_key), base_url=resolve_base_url(base_url), **options)

    def __deepcopy__(self, memo: Any) -> KimiConnection:
        return self  # copies of an object share its connections

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self._options['base_url']!r})"

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Send one request and read its answer.

        Args:
            method: `get`, `post` or `delete`.
            path: The endpoint, below the API's root.
            arguments: The SDK's: `body`, `files`, `options`.

        Returns:
            The response of the HTTP library under the SDK.

        Raises:
            KimiError: Whatever goes wrong.
        """
        client = self.client()
        with errors.translated():
            return whole(getattr(client, method)(path, cast_to=response_class(), **arguments))

    async def arequest(self, method: str, path: str, **arguments: Any) -> Any:
        """The asynchronous twin of `request`."""
        client = await self.aclient()
        with errors.translated():
            return whole(await getattr(client, method)(path, cast_to=response_class(), **arguments))

    def close(self) -> None:
        """Close the connections of synchronous calls; the next call opens new ones."""
        with self._lock:
            self._sync = None
            self._close_sync()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the next call opens new ones."""
        keeper = self._async.pop(asyncio.get_running_loop(), None)
        if keeper is not None:
            await keeper.aclose()

    def client(self) -> openai.OpenAI:
        """The SDK's client of synchronous calls."""
        with self._lock:
            if self._sync is None:
                import openai

                http_client = default_client() if self._http_client is None else self._http_client
                self._sync = _made(asking(openai.OpenAI, self._key), self._sdk_options(), with_courier(http_client))
                if self._http_client is None:
                    # Runs before the garbage collector finds the open sockets, also where this is part of a cycle.
                    self._close_sync = weakref.finalize(self, self._sync.close)
            return self._sync

    async def aclient(self) -> openai.AsyncOpenAI:
        """The SDK's client of the running event loop."""
        loop = asyncio.get_running_loop()
        keeper = self._async.get(loop)
        if keeper is None:
            import openai

            for finished in [known for known in list(self._async) if known.is_closed()]:
                if (stale := self._async.pop(finished, None)) is not None:
                    stale.detach()
            http_client = default_async_client() if self._http_async_client is None else self._http_async_client
            client = _made(
                asking(openai.AsyncOpenAI, self._key), self._sdk_options(), with_courier(http_client, asynchronous=True)
            )
            keeper = _LoopClient(client, closes=self._http_async_client is None)
            self._async[loop] = keeper
            await keeper.start(self)
        return keeper.client

    def stream_timeout(self) -> openai.Timeout | None:
        """The timeout of a call that streams, where silence has a limit of its own; None: the usual one."""
        if self._idle is None:
            return None
        import openai

        usual = openai.Timeout(self._http_timeout())
        return openai.Timeout(connect=usual.connect, read=self._idle, write=usual.write, pool=usual.pool)

    def _http_timeout(self) -> Any:
        import openai

        return openai.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT) if self._timeout is None else self._timeout

    def _sdk_options(self) -> dict[str, Any]:
        import openai

        # The SDK would send the environment's OPENAI_ORG_ID, OPENAI_PROJECT_ID and OPENAI_CUSTOM_HEADERS along.
        ambient = (line.partition(":")[0].strip() for line in os.environ.get("OPENAI_CUSTOM_HEADERS", "").splitlines())
        unwanted = ["OpenAI-Organization", "OpenAI-Project", *filter(None, ambient)]
        authorization = {"Authorization": f"Bearer {self._options['api_key']}"}
        return {
            **self._options,
            "timeout": self._http_timeout(),
            "default_headers": {
                **{name: openai.Omit() for name in unwanted if name.lower() != "authorization"},
                "Accept-Encoding": PACKINGS,  # where brotli is installed, the HTTP library asks for it
                **authorization,
                **self._default_headers,
            },
        }


_CONNECTIONS: weakref.WeakSet[KimiConnection] = weakref.WeakSet()
_PARENTS: list[object] = []  # what belongs to the process this one was forked from: kept, and never touched


def _begin_child() -> None:
    """Leave every connection to the parent process: two that write to one socket get each other's answers.

    A lock may be held by a thread that is not there any more, and closing would end the parent's TLS sessions.
    """
    for connection in list(_CONNECTIONS):
        finalizer = connection._close_sync
        if isinstance(finalizer, weakref.finalize):
            finalizer.detach()
        for keeper in connection._async.values():
            keeper.detach()
        _PARENTS.append((connection._sync, connection._async))
        connection._begin()


if hasattr(os, "register_at_fork"):  # not on Windows, which cannot fork
    os.register_at_fork(after_in_child=_begin_child)


def _made(client_class: Any, options: dict[str, Any], http_client: Any) -> Any:
    """Make a client of the SDK.

    Raises:
        KimiRequestError: The SDK does not take the HTTP client, which is of a library it does not know.
    """
    reason = ""
    try:
        return client_class(**options, http_client=http_client)
    except TypeError as error:
        reason = str(error)
    options = {}  # a traceback may be printed with its variables
    raise KimiRequestError(f"The openai SDK takes no such HTTP client: {reason}")


class _LoopClient:
    """An asynchronous SDK client that is closed with its event loop, or with the object it was made for.

    `asyncio.run` ends every asynchronous generator of its loop (`loop.shutdown_asyncgens`): one that waits here with
    the client closes it then, so that no connection outlives the loop that could close it.
    """

    _abandoned: ClassVar[set[_LoopClient]] = set()  # alive until they are closed

    def __init__(self, client: openai.AsyncOpenAI, *, closes: bool) -> None:
        self.client = client
        self._closes = closes
        self._loop = asyncio.get_running_loop()
        self._lifetime = self._live()
        self._has_ended = False

    async def _live(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._has_ended = True
            self._abandoned.discard(self)
            if self._closes:
                await self.client.close()

    async def start(self, owner: object) -> None:
        """Begin to live; the end of the owner is the end of it."""
        await self._lifetime.__anext__()
        self.detach = weakref.finalize(owner, self._abandon).detach

    async def aclose(self) -> None:
        self.detach()
        await self._lifetime.aclose()

    def _abandon(self) -> None:
        if not (self._has_ended or self._loop.is_closed()):  # a loop ends its generators before it is closed
            self._abandoned.add(self)
            self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self.aclose()))


def default_client() -> Any:
    """Make the HTTP client of synchronous calls.

    Raises:
        KimiRequestError: The environment's proxies or certificates cannot be used.
    """
    import openai

    return _made_for_environment(openai.DefaultHttpxClient)


def default_async_client() -> Any:
    """Make the HTTP client of asynchronous calls: over aiohttp where that extra is installed, else httpx.

    Raises:
        KimiRequestError: The environment's proxies or certificates cannot be used.
    """
    import openai

    usable = aiohttp_client.is_usable()
    return _made_for_environment(aiohttp_client.make_client if usable else openai.DefaultAsyncHttpxClient)


def _made_for_environment(make: Callable[..., Any]) -> Any:
    """Make a client of the HTTP library, which reads the environment's proxies and certificates.

    The library's words are not repeated: "Invalid port: 'pa'" is the beginning of a password with a slash.
    """
    try:
        return make(verify=_ssl_context())
    except OSError as error:
        names = [f"{name}={value}" for name in CERTIFICATE_VARIABLES if (value := os.environ.get(name))]
        problem = f"certificates cannot be read ({type(error).__name__}): mend or unset {' or '.join(names)}."
    except ImportError as error:  # SOCKS
        problem = f"proxy cannot be used: {error}"
    except Exception as error:
        names = sorted(name for name, value in os.environ.items() if value and name.upper() in PROXY_VARIABLES)
        if not names:
            raise
        problem = (
            f"proxy cannot be used ({type(error).__name__}): mend or unset "
            f"{' or '.join(f'{name}={public_proxy(os.environ[name])}' for name in names)}. One is written "
            "http://host:port; special characters of a password are %XX in it."
        )
    raise KimiRequestError(f"The environment's {problem}")


def _ssl_context() -> Any:
    """The HTTP library's own context, made once: it reads all certificates, which takes 20 to 80 ms.

    Another one is made where the environment names other files by then.
    """
    return _make_ssl_context(*map(os.environ.get, ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")))


@functools.cache
def _make_ssl_context(*_of: str | None) -> Any:
    return http_library().create_ssl_context()


_write_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def write_body(body: Mapping[str, Any]) -> bytes:
    """Write the body of a request as JSON.

    Deliberately absent: pydantic-core's writer, which is faster. It takes sets, bytes and secrets for JSON, and what it
    wrote would have to be read back to find those.

    Args:
        body: JSON's own types only, on every version of the SDK.

    Raises:
        KimiRequestError: It is not JSON: half of a surrogate pair, NaN, an object of some other kind.
    """
    try:
        return _write_json(body).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise KimiRequestError(f"The request cannot be written as JSON: {error}") from errors.cause_of(error)


def body_argument(body: Mapping[str, Any]) -> dict[str, bytes]:
    """Write the body of a request, once; the SDK would write it again for each attempt.

    Args:
        body: See `write_body`.

    Returns:
        The argument of the SDK's `post` that takes the bytes, by its name.

    Raises:
        KimiRequestError: It is not JSON.
    """
    return {_content_argument(): write_body(body)}


@functools.cache
def _content_argument() -> str:
    """What the SDK's `post` calls bytes: `content`, or `body` where openai 2 does not have that yet."""
    import openai

    return "content" if "content" in inspect.signature(openai.OpenAI.post).parameters else "body"
