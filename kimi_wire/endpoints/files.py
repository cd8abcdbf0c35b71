"""The files endpoints: upload, list, delete, and the text of a document."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from kimi_wire.endpoints.bodies import parse_object
from kimi_wire.errors import KimiError, KimiRequestError, KimiResponseError, excerpt_of_refusal, parse_request_id
from kimi_wire.json_values import count_or_none, shown
from kimi_wire.media import Document, FileInput, aread_document, is_file_id, read_document
from kimi_wire.transport import ApiKey, KimiConnection, hiding_secrets
from kimi_wire.warn import warn

DEFAULT_CONCURRENCY = 4
"""Files at a time. The documents announce "rate limiting during peak traffic periods" without a number; tier 0 allows
one request at a time, and what it refuses is tried again."""

_Result = TypeVar("_Result")

# Seconds an upload or a deletion may still take when its caller has gone, so that no file stays behind.
_GRACE = 10.0


@dataclass(frozen=True, slots=True)
class FileInfo:
    """An uploaded file.

    Attributes:
        id: What the other calls take, and `ms://<id>` for images and videos.
        filename: Its name.
        size: In bytes; None where the server did not say.
        purpose: What it was uploaded for.
        status: The server's word: `ready`, in older answers `ok`.
        created_at: Unix time in seconds; None where the server did not say.
        raw: The server's whole description.
    """

    id: str
    filename: str
    size: int | None
    purpose: str
    status: str
    created_at: int | None
    raw: Mapping[str, Any] = field(repr=False, compare=False)


FileList: TypeAlias = list[FileInfo]


class KimiFiles:
    """The files of an account.

    An account keeps at most 1,000 files, of 100 MB each and 10 GB together
    (https://platform.kimi.ai/docs/api/files-upload). `extract` leaves none behind.

    Example:
        ```python
        from kimi_wire import KimiFiles

        print(KimiFiles().extract(b"# Notes", name="notes.md"))
        ```

    Args:
        api_key: The key, or a function that gives it. Default: the environment's `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        base_url: Default: as everywhere, see `kimi_wire.transport.connection.resolve_base_url`.
        max_concurrency: How many files are extracted at a time, in all threads together and in each event loop.
        options: `timeout`, `max_retries`, `default_headers`, `http_client`, `http_async_client`.

    Raises:
        KimiMissingKeyError: There is no key.
        KimiRequestError: The URL is none, or `max_concurrency` is less than 1.
    """

    @hiding_secrets
    def __init__(
        self,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        *,
        max_concurrency: int = DEFAULT_CONCURRENCY,
        **options: Any,
    ) -> None:
        if max_concurrency < 1:
            raise KimiRequestError(f"max_concurrency={max_concurrency} lets nothing through; the least is 1.")
        self._connection = KimiConnection.resolved(api_key, base_url, **options)
        self._max_concurrency = max_concurrency
        self._threads = threading.BoundedSemaphore(max_concurrency)
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = (
            weakref.WeakKeyDictionary()
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self).get('_connection')!r})"

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def upload(self, file: FileInput | Document, name: str | None = None, *, purpose: str = "file-extract") -> FileInfo:
        """Upload a file. It stays until it is deleted.

        Args:
            file: A path, the bytes, or a file object opened in binary mode.
            name: The name to upload it by; bytes need one. The server tells the type by its ending.
            purpose: `file-extract` for text, `image` or `video` for `ms://` references in chat, `batch`.

        Returns:
            The file, with the `id` that the other calls take.

        Raises:
            KimiRequestError: The server would refuse it; see `kimi_wire.media.documents.read_document`.
            KimiError: Whatever else goes wrong.
        """
        document = read_document(file, name, purpose)
        with _naming(document):
            return parse_file(self._connection.request("post", "/files", **render_upload(document, purpose)))

    async def aupload(
        self, file: FileInput | Document, name: str | None = None, *, purpose: str = "file-extract"
    ) -> FileInfo:
        """The asynchronous twin of `upload`."""
        document = await aread_document(file, name, purpose)
        with _naming(document):
            return parse_file(await self._connection.arequest("post", "/files", **render_upload(document, purpose)))

    def list(self) -> FileList:
        """List the uploaded files.

        Returns:
            The files of all purposes, in the server's order.

        Raises:
            KimiError: Whatever goes wrong.
        """
        return parse_files(self._connection.request("get", "/files"))

    async def alist(self) -> FileList:
        """The asynchronous twin of `list`."""
        return parse_files(await self._connection.arequest("get", "/files"))

    def get(self, id: str) -> FileInfo:
        """Describe an uploaded file.

        Args:
            id: The file's id, with or without `ms://`.

        Returns:
            What the server knows of it, without its content.

        Raises:
            KimiNotFoundError: There is no such file.
            KimiError: Whatever else goes wrong.
        """
        return parse_file(self._connection.request("get", _path(id)))

    async def aget(self, id: str) -> FileInfo:
        """The asynchronous twin of `get`."""
        return parse_file(await self._connection.arequest("get", _path(id)))

    def delete(self, id: str) -> None:
        """Delete an uploaded file.

        Args:
            id: The file's id, with or without `ms://`.

        Raises:
            KimiNotFoundError: There is no such file.
            KimiError: Whatever else goes wrong.
        """
        self._connection.request("delete", _path(id))

    async def adelete(self, id: str) -> None:
        """The asynchronous twin of `delete`."""
        await self._connection.arequest("delete", _path(id))

    def content(self, id: str) -> bytes:
        """Fetch what the server has of a file, as it sends it.

        That is a JSON object with the text for `file-extract` (see `text`), and JSON lines for a batch.

        Args:
            id: The file's id, with or without `ms://`.

        Returns:
            The bytes of the server's answer, whatever they are.

        Raises:
            KimiNotFoundError: There is no such file.
            KimiError: Whatever else goes wrong.
        """
        return bytes(self._connection.request("get", _path(id, "/content")).content)

    async def acontent(self, id: str) -> bytes:
        """The asynchronous twin of `content`."""
        return bytes((await self._connection.arequest("get", _path(id, "/content"))).content)

    def text(self, id: str) -> str:
        """Fetch the text of a file uploaded for extraction.

        Args:
            id: The file's id, with or without `ms://`.

        Returns:
            The text; what is no JSON object with one, as it is.

        Raises:
            KimiNotFoundError: There is no such file.
            KimiResponseError: The answer is an error or a gateway's page, and no document's text.
            KimiError: Whatever else goes wrong.
        """
        return parse_text(self._connection.request("get", _path(id, "/content")))

    async def atext(self, id: str) -> str:
        """The asynchronous twin of `text`."""
        return parse_text(await self._connection.arequest("get", _path(id, "/content")))

    def extract(self, file: FileInput | Document, name: str | None = None) -> str:
        """Extract the text of a document: upload it, fetch the text, delete it again, whatever happens.

        Pictures and scans go through optical character recognition.

        Args:
            file: A path, the bytes, or a file object opened in binary mode.
            name: The name to upload it by; bytes need one. The server tells the type by its ending.

        Returns:
            The text.

        Raises:
            KimiRequestError: The server would refuse the file; see `kimi_wire.media.documents.read_document`.
            KimiError: Whatever else goes wrong.
        """
        document = read_document(file, name)
        with self._slot():
            uploaded = self._upload_or_undo(document)
            try:
                return self.text(uploaded.id)
            finally:
                self._discard(uploaded.id)

    async def aextract(self, file: FileInput | Document, name: str | None = None) -> str:
        """The asynchronous twin of `extract`."""
        document = await aread_document(file, name)
        async with self._aslot():
            uploaded = await self._aupload_or_undo(document)
            try:
                return await self.atext(uploaded.id)
            finally:
                await self._adiscard(uploaded.id)

    def close(self) -> None:
        """Close the connections of synchronous calls; the next call opens new ones."""
        self._connection.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop; the next call opens new ones."""
        await self._connection.aclose()

    @contextlib.contextmanager
    def _slot(self) -> Iterator[None]:
        with self._threads:
            yield

    @contextlib.asynccontextmanager
    async def _aslot(self) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        if loop not in self._loops:  # a semaphore belongs to one loop
            self._loops[loop] = asyncio.Semaphore(self._max_concurrency)
        async with self._loops[loop]:
            yield

    def _upload_or_undo(self, document: Document) -> FileInfo:
        return self.upload(document)

    async def _aupload_or_undo(self, document: Document) -> FileInfo:
        """Upload; if the caller is cancelled meanwhile, delete what may have arrived.

        The server extracts before it answers, so that a file can be there for seconds without its id being known here.
        """
        upload = asyncio.ensure_future(self.aupload(document))
        try:
            return await _outlast(upload)
        except asyncio.CancelledError:
            if upload.done() and not upload.cancelled() and upload.exception() is None:
                await self._adiscard(upload.result().id)
            raise

    def _discard(self, id: str) -> None:
        """Delete a file that served its purpose. A failure is no reason to lose the text, or to hide another error."""
        try:
            self.delete(id)
        except KimiError as error:
            _warn_kept(id, error)

    async def _adiscard(self, id: str) -> None:
        async def discard() -> None:
            try:
                await self.adelete(id)
            except KimiError as error:
                _warn_kept(id, error)

        await _outlast(asyncio.ensure_future(discard()))


async def _outlast(task: asyncio.Future[_Result]) -> _Result:
    """Await a task that a cancellation must not break off at once: it has `_GRACE` seconds to end, and ends then."""
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=_GRACE)
        raise
    finally:
        task.cancel()


@contextlib.contextmanager
def _naming(document: Document) -> Iterator[None]:
    """Put the file's name into the server's errors, which say nothing of it: one of a thousand may be the reason."""
    try:
        yield
    except KimiError as error:
        message = f"{document.name}: {error}"
        error.args = (message, *error.args[1:])
        error.message = message  # type: ignore[attr-defined] # the SDK's errors have their text twice
        raise


def _warn_kept(id: str, error: KimiError) -> None:
    from kimi_wire.errors import KimiNotFoundError

    if not isinstance(error, KimiNotFoundError):  # gone already
        warn(f"The uploaded file {id} could not be deleted: {error}")


def _path(id: str, tail: str = "") -> str:
    """The path of a file; an id that is none would be a request to some other endpoint."""
    bare = id.removeprefix("ms://") if isinstance(id, str) else ""
    if not is_file_id(bare):
        raise KimiRequestError(f"{shown(id)} is no file id; KimiFiles().list() tells the ids there are.")
    return f"/files/{bare}{tail}"


def render_upload(document: Document, purpose: str) -> dict[str, Any]:
    """Write an upload as arguments of `KimiConnection.request`.

    Args:
        document: The file.
        purpose: See `KimiFiles.upload`.
    """
    return {
        "body": {"purpose": purpose},
        "files": {"file": (document.name, document.data, document.media_type)},
        # The SDK writes a form only where this header asks for one, and fills in the boundary.
        "options": {"headers": {"Content-Type": "multipart/form-data"}},
    }


def parse_file(response: Any) -> FileInfo:
    """Read the server's answer about one file.

    Raises:
        KimiResponseError: It is none.
    """
    return _file_info(parse_object(response), response)


def parse_files(response: Any) -> FileList:
    """Read the server's list of files.

    Raises:
        KimiResponseError: It is none.
    """
    listed = parse_object(response).get("data")
    return [_file_info(item, response) for item in (listed if isinstance(listed, list) else [])]


def _file_info(raw: Any, response: Any) -> FileInfo:
    if not isinstance(raw, Mapping) or not isinstance(raw.get("id"), str) or not raw["id"]:
        raise KimiResponseError(
            "The server described no file where one was asked for.", request_id=parse_request_id(response.headers)
        )
    return FileInfo(
        id=raw["id"],
        filename=str(raw.get("filename") or ""),
        size=count_or_none(raw.get("bytes")),
        purpose=str(raw.get("purpose") or ""),
        status=str(raw.get("status") or ""),
        created_at=count_or_none(raw.get("created_at")),
        raw=dict(raw),
    )


def parse_text(response: Any) -> str:
    """Read extracted text: a JSON object with `content` beside `filename`, `file_type`, `title` and `type`.

    Anything else is taken as the text itself, but for what is sent in place of a file: nothing, an error, a page.

    Raises:
        KimiResponseError: It is such a thing.
    """
    text = bytes(response.content).decode("utf-8", "replace")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        parsed = None
    if isinstance(parsed, dict) and isinstance(parsed.get("content"), str) and "file_type" in parsed:
        return str(parsed["content"])
    if not text or _is_page(text, response) or (isinstance(parsed, dict) and parsed.get("error")):
        raise KimiResponseError(
            f"The server sent no text of the file: {excerpt_of_refusal(text)}. Check the base_url; `content` has all "
            "that was sent.",
            request_id=parse_request_id(response.headers),
        )
    return text


def _is_page(text: str, response: Any) -> bool:
    """Whether a gateway answered with a page of its own. The text of the user's pages comes as JSON, like any other."""
    declared = (response.headers.get("content-type") or "").lower().startswith("text/html")
    return declared or text[:200].lstrip("\ufeff \t\r\n").lower().startswith(("<!doctype html", "<html"))
