"""Chat completions: the four shells around the pure functions.

Deliberately absent: the SDK's typed `chat.completions.create`; `_arguments` says what it costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from kimi_wire import errors
from kimi_wire.answers import Answer, Completion, Delta, StreamState, parse_completion
from kimi_wire.endpoints.uploads import Uploads
from kimi_wire.requests import Request
from kimi_wire.transport import KimiConnection, body_argument, resolve_headers, response_class, whole


class KimiClient:
    """Sends the chat requests of one model object, and reads the answers.

    Args:
        options: The arguments of `KimiConnection`.
    """

    def __init__(self, **options: Any) -> None:
        self.connection = KimiConnection(**options)
        self.uploads = Uploads(self.connection)

    def __deepcopy__(self, memo: Any) -> KimiClient:
        return self  # copies of an object share its connections

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.connection!r})"

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def complete(self, request: Request, options: Mapping[str, Any] | None = None) -> Completion:
        """Send a request and read the whole answer.

        Args:
            request: The rendered request.
            options: `timeout`, `max_retries` and `headers` of this call.

        Raises:
            KimiError: Whatever goes wrong.
        """
        client, options = self._per_call(self.connection.client(), options)
        answer = Answer(self.uploads.prepare(request), self._retries(options))
        while answer.request is not None:
            with errors.translated(answer.fail):
                response = answer.sent(whole(client.post(**_arguments(answer.request, options))))
            answer.take(parse_completion(response.content, response.headers, request.plan, answer.request.prefix))
        return answer.completion

    async def acomplete(self, request: Request, options: Mapping[str, Any] | None = None) -> Completion:
        """The asynchronous twin of `complete`."""
        client, options = self._per_call(await self.connection.aclient(), options)
        answer = Answer(await self.uploads.aprepare(request), self._retries(options))
        while answer.request is not None:
            with errors.translated(answer.fail):
                response = answer.sent(whole(await client.post(**_arguments(answer.request, options))))
            answer.take(parse_completion(response.content, response.headers, request.plan, answer.request.prefix))
        return answer.completion

    def stream(self, request: Request, options: Mapping[str, Any] | None = None) -> Iterator[Delta | Completion]:
        """Send a request and read the answer as it comes.

        Args:
            request: The rendered request.
            options: `timeout`, `max_retries` and `headers` of this call.

        Yields:
            The deltas, and at the very end the whole answer.

        Raises:
            KimiError: Whatever goes wrong; a stream that breaks off never ends quietly.
        """
        client, options = self._per_call(self.connection.client(), self._stream_options(options))
        answer = Answer(self.uploads.prepare(request), self._retries(options))
        while answer.request is not None:
            with errors.translated(answer.fail):
                response = answer.sent(whole(client.post(**_arguments(answer.request, options, stream=True))))
            state, broken = StreamState(response.headers, request.plan, answer.request.prefix), None
            read = answer.reading(state)
            try:
                for chunk in response.iter_bytes():
                    for delta in read(chunk):
                        yield delta
            except (asyncio.CancelledError, KeyboardInterrupt) as error:
                raise errors.bare(error) from None
            except Exception as error:
                broken = None if state.done else errors.translate_stream_error(error, response, state.partial())
            finally:
                response.close()
            for item in answer.end_stream(state, broken):
                yield item

    async def astream(
        self, request: Request, options: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Delta | Completion]:
        """The asynchronous twin of `stream`."""
        client, options = self._per_call(await self.connection.aclient(), self._stream_options(options))
        answer = Answer(await self.uploads.aprepare(request), self._retries(options))
        while answer.request is not None:
            with errors.translated(answer.fail):
                response = answer.sent(whole(await client.post(**_arguments(answer.request, options, stream=True))))
            state, broken = StreamState(response.headers, request.plan, answer.request.prefix), None
            read = answer.reading(state)
            try:
                async for chunk in response.aiter_bytes():
                    for delta in read(chunk):
                        yield delta
            except (asyncio.CancelledError, KeyboardInterrupt) as error:
                raise errors.bare(error) from None
            except Exception as error:
                broken = None if state.done else errors.translate_stream_error(error, response, state.partial())
            finally:
                await response.aclose()
            for item in answer.end_stream(state, broken):
                yield item

    def delete_uploads(self) -> list[str]:
        """Delete what requests had uploaded; see `Uploads.delete`."""
        return self.uploads.delete()

    async def adelete_uploads(self) -> list[str]:
        """The asynchronous twin of `delete_uploads`."""
        return await self.uploads.adelete()

    def close(self) -> None:
        """Close the connections of synchronous calls; the next call opens new ones."""
        self.connection.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the next call opens new ones."""
        await self.connection.aclose()

    def _per_call(self, client: Any, options: Mapping[str, Any] | None) -> tuple[Any, Mapping[str, Any]]:
        """A client with the headers of one call, and the other options.

        As an option of the request they would be in the SDK's log: openai 2.0 writes "Request options: {...}" at DEBUG
        and blanks `Authorization` and `api-key` only.
        """
        options = dict(options or {})
        headers = resolve_headers(options.pop("headers", None), "extra_headers")
        return client.with_options(default_headers=headers) if headers else client, options

    def _retries(self, options: Mapping[str, Any]) -> int:
        retries: int = options.get("max_retries", self.connection.max_retries)
        return retries

    def _stream_options(self, options: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """The options of a call that streams: silence has a limit of its own, unless the call has a timeout."""
        timeout = self.connection.stream_timeout()
        return {**({} if timeout is None else {"timeout": timeout}), **(options or {})}


def _arguments(request: Request, options: Mapping[str, Any] | None, *, stream: bool = False) -> dict[str, Any]:
    """Arguments of the SDK's `post`, which its README documents for requests that its typed methods do not know.

    It leaves out their request transform (100 ms for a history of 300 tool calls) and their typed chunks.
    """
    return {
        "path": "/chat/completions",
        **body_argument(request.body),
        "cast_to": response_class(),
        "options": dict(options or {}),
        "stream": stream,
    }
