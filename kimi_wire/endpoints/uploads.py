"""Makes requests with media ready to be sent: files of the web fetched, large ones uploaded, each once."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import OrderedDict
from dataclasses import replace
from typing import Any

from kimi_wire.endpoints.files import parse_file, render_upload
from kimi_wire.media import MediaWork, Upload, afetch, fetch
from kimi_wire.requests import Request
from kimi_wire.transport import KimiConnection

MAX_KNOWN = 1000
"""Ids that are remembered: an account holds as many files (https://platform.kimi.ai/docs/api/files-upload)."""

Key = tuple[str, str]


class Uploads:
    """What was uploaded over a connection: ids are those of one host and account.

    Args:
        connection: The connection, with its key and host.
    """

    def __init__(self, connection: KimiConnection) -> None:
        self._connection = connection
        self._known = KnownUploads()

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def prepare(self, request: Request) -> Request:
        """Fetch and upload what a request refers to, before it is sent.

        Args:
            request: A rendered request; not changed.

        Returns:
            The request with data URLs and `ms://` ids in place of what it had.

        Raises:
            KimiRequestError: A file cannot be fetched, is none that Kimi takes, or makes the request too large.
            KimiError: An upload went wrong.
        """
        if request.media is None:
            return request
        work = MediaWork(request.body, request.media)
        if urls := work.downloads():
            work.take_downloads(fetch(urls))
        work.take_uploads({upload: self._upload(upload) for upload in work.uploads()})
        return replace(request, body=work.finished(), media=None)

    async def aprepare(self, request: Request) -> Request:
        """The asynchronous twin of `prepare`."""
        if request.media is None:
            return request
        work = MediaWork(request.body, request.media)
        if urls := work.downloads():
            work.take_downloads(await afetch(urls))
        work.take_uploads({upload: await self._aupload(upload) for upload in work.uploads()})
        return replace(request, body=work.finished(), media=None)

    def _upload(self, upload: Upload) -> str:
        key = upload.key
        with self._known.lock(key):
            if (known := self._known.find(key)) is not None:
                return known
            form = render_upload(upload.document, upload.purpose)
            uploaded = parse_file(self._connection.request("post", "/files", **form))
            return self._known.keep(key, uploaded.id)

    async def _aupload(self, upload: Upload) -> str:
        key = upload.key
        async with self._known.alock(key):
            if (known := self._known.find(key)) is not None:
                return known
            form = render_upload(upload.document, upload.purpose)
            uploaded = parse_file(await self._connection.arequest("post", "/files", **form))
            return self._known.keep(key, uploaded.id)

    def delete(self) -> list[str]:
        """Delete what `prepare` uploaded from the account; a file that is needed again is uploaded again.

        Returns:
            The ids of the deleted files. Conversations never hold them: they keep the content.

        Raises:
            KimiError: A file could not be deleted; it and those after it stay known.
        """
        deleted = []
        for file_id in self._known.ids():
            self._connection.request("delete", f"/files/{file_id}")
            deleted.append(self._known.forget(file_id))
        return deleted

    async def adelete(self) -> list[str]:
        """The asynchronous twin of `delete`."""
        deleted = []
        for file_id in self._known.ids():
            await self._connection.arequest("delete", f"/files/{file_id}")
            deleted.append(self._known.forget(file_id))
        return deleted


class KnownUploads:
    """The ids of uploaded contents, for all threads and event loops.

    While one thread uploads a content, others that need it wait, and so do tasks of one event loop; a thread and a loop
    do not wait for each other, since either may be what keeps the other from going on.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._guard = threading.Lock()
        self._ids: OrderedDict[Key, str] = OrderedDict()
        self._locks: weakref.WeakValueDictionary[Any, Any] = weakref.WeakValueDictionary()

    def lock(self, key: Key) -> threading.Lock:
        """The lock of a content for threads; it lives as long as somebody holds it."""
        with self._guard:
            lock: threading.Lock = self._locks.setdefault(key, threading.Lock())
            return lock

    def alock(self, key: Key) -> asyncio.Lock:
        """The lock of a content for tasks of the running event loop."""
        with self._guard:
            lock: asyncio.Lock = self._locks.setdefault((key, asyncio.get_running_loop()), asyncio.Lock())
            return lock

    def find(self, key: Key) -> str | None:
        """The id of a content, if it is known."""
        with self._guard:
            if key in self._ids:
                self._ids.move_to_end(key)
            return self._ids.get(key)

    def keep(self, key: Key, file_id: str) -> str:
        """Remember an id, and forget the one that was not needed for longest where there are too many."""
        with self._guard:
            self._ids[key] = file_id
            while len(self._ids) > MAX_KNOWN:
                self._ids.popitem(last=False)
        return file_id

    def ids(self) -> list[str]:
        """The known ids, the one that was not needed for longest first."""
        with self._guard:
            return list(self._ids.values())

    def forget(self, file_id: str) -> str:
        """Forget an id."""
        with self._guard:
            for key in [key for key, known in self._ids.items() if known == file_id]:
                del self._ids[key]
        return file_id
