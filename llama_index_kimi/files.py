"""Documents out of files, with the text that Kimi's files endpoint extracts."""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from llama_index.core.bridge.pydantic import BaseModel, Field, PrivateAttr, SecretStr
from llama_index.core.readers.base import BasePydanticReader
from llama_index.core.schema import Document

from kimi_wire.endpoints import DEFAULT_CONCURRENCY, KimiFiles
from kimi_wire.errors import KimiRequestError
from kimi_wire.model_object import field_key, fill_state, without_secrets
from kimi_wire.settings import suggest
from kimi_wire.transport import DEFAULT_MAX_RETRIES, ApiKey, hiding_secrets, resolve_base_url, resolve_headers

Files: TypeAlias = "str | PurePath | Sequence[str | PurePath]"


class KimiFileReader(BasePydanticReader):
    """Reader that has Kimi extract the text of PDF, Office, HTML, e-book, picture and text files.

    Each file is uploaded, its text fetched, and the file deleted again. Pictures and scans are read by optical
    character recognition; one without text is an error.

    The key is in no repr, dict, JSON or pickle; what is made of those takes it from the environment.

    Args:
        api_key: The API key, or a function that gives it. Defaults to `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        api_base: The API's root; `base_url` is taken too. Defaults as that of `Kimi`.
        max_concurrency: How many files are extracted at a time. Defaults to 4.
        timeout: Seconds to wait for the server. Defaults to None: 60 to connect and 900 for the next byte.
        max_retries: How often to try again after a rate limit, a server error or a lost connection. Defaults to 2.
        default_headers: Headers for every request.
        http_client: A client of the HTTP library that the openai SDK is built on, for synchronous calls.
        http_async_client: The same for asynchronous calls.
        **kwargs: All of these but the first two, by name.

    Raises:
        KimiMissingKeyError: There is no API key.
        KimiRequestError: An argument is unknown, or `api_base` is no URL.

    Examples:
        ```python
        from llama_index.core import SimpleDirectoryReader
        from llama_index_kimi import KimiFileReader

        reader = KimiFileReader()  # reads MOONSHOT_API_KEY
        extractor = {".pdf": reader, ".docx": reader}
        documents = SimpleDirectoryReader("reports", file_extractor=extractor).load_data()
        ```
    """

    api_key: SecretStr | Callable[[], str | Awaitable[str]] | None = Field(
        default=None, description="The API key, or a function that gives it.", exclude=True, repr=False
    )
    api_base: str | None = Field(default=None, description="The API's root.")
    max_concurrency: int = Field(default=DEFAULT_CONCURRENCY, description="Files at a time.", ge=1)
    timeout: float | None = Field(default=None, description="Seconds; None is 60 to connect and 900 to read.")
    max_retries: int = Field(default=DEFAULT_MAX_RETRIES, description="How often to try again.", ge=0)
    default_headers: dict[str, str] | None = Field(
        default=None, description="Headers for every request.", exclude=True, repr=False
    )
    http_client: Any = Field(default=None, description="HTTP client of synchronous calls.", exclude=True, repr=False)
    http_async_client: Any = Field(
        default=None, description="HTTP client of asynchronous calls.", exclude=True, repr=False
    )

    _files: KimiFiles | None = PrivateAttr(default=None)

    @hiding_secrets
    def __init__(self, api_key: ApiKey | None = None, api_base: str | None = None, **kwargs: Any) -> None:
        """Set the reader up; nothing is sent. See the class for the arguments."""
        api_base = api_base or kwargs.pop("base_url", None)
        fields = type(self).model_fields
        for name in kwargs.keys() - fields.keys():
            raise KimiRequestError(f"{name!r} is not an argument of {type(self).__name__}. {suggest(name, fields)}")
        if kwargs.get("default_headers") is not None:
            kwargs["default_headers"] = resolve_headers(kwargs.pop("default_headers"))
        super().__init__(**{**kwargs, "api_key": field_key(api_key, SecretStr), "api_base": resolve_base_url(api_base)})

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in serialised form."""
        return "KimiFileReader"

    def lazy_load_data(
        self, file: Files, extra_info: Mapping[str, Any] | None = None, fs: Any = None, **kwargs: Any
    ) -> Iterator[Document]:
        """Extract the text of files, one after the other; `load_data` gives them as a list.

        Args:
            file: A path, or several.
            extra_info: Metadata for every document, over the reader's own.
            fs: The fsspec file system that the paths are of. Defaults to None: the local one.
            **kwargs: Not used.

        Yields:
            One document for each file, with `file_name` in its metadata.

        Raises:
            KimiError: A file cannot be read or the server refuses it; the message says why.
        """
        for path in _paths(file):
            yield _document(self._connected().extract(*_open(path, fs)), path, extra_info)

    async def aload_data(
        self, file: Files, extra_info: Mapping[str, Any] | None = None, fs: Any = None, **kwargs: Any
    ) -> list[Document]:
        """The asynchronous twin of `load_data`: `max_concurrency` files at a time, in the same order."""
        tasks = [asyncio.create_task(self._aload_one(path, extra_info, fs)) for path in _paths(file)]
        try:
            return list(await asyncio.gather(*tasks))
        finally:  # the rest, where one failed
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def alazy_load_data(
        self, file: Files, extra_info: Mapping[str, Any] | None = None, fs: Any = None, **kwargs: Any
    ) -> Iterable[Document]:
        """The asynchronous twin of `lazy_load_data`; like core's it returns all at once, as `aload_data`."""
        return await self.aload_data(file, extra_info, fs)

    async def _aload_one(self, path: str | PurePath, extra_info: Mapping[str, Any] | None, fs: Any) -> Document:
        opened = await asyncio.to_thread(_open, path, fs)
        return _document(await self._connected().aextract(*opened), path, extra_info)

    def _connected(self) -> KimiFiles:
        if self._files is None:
            self._files = KimiFiles(
                self.api_key,
                self.api_base,
                max_concurrency=self.max_concurrency,
                timeout=self.timeout,
                max_retries=self.max_retries,
                default_headers=self.default_headers,
                http_client=self.http_client,
                http_async_client=self.http_async_client,
            )
        return self._files

    def __getstate__(self) -> dict[str, Any]:
        """The state for a pickle, as process pools make one: without the key and the connections."""
        state: dict[str, Any] = super(KimiFileReader, without_secrets(self, "api_key")).__getstate__()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come out of a pickle; the first call takes the environment's key."""
        BaseModel.__setstate__(self, fill_state(type(self), state))


def _paths(file: Files) -> list[str | PurePath]:
    return [file] if isinstance(file, (str, PurePath)) else list(file)


def _open(path: str | PurePath, fs: Any) -> tuple[Any, str | None]:
    """A file as `KimiFiles` takes it: a local path, or what another file system has."""
    if fs is None:
        return Path(path), None
    try:
        with fs.open(str(path), "rb") as opened:
            return opened.read(), posixpath.basename(str(path))
    except OSError as error:
        raise KimiRequestError(f"{path} cannot be read: {error}") from error


def _document(text: str, path: str | PurePath, extra_info: Mapping[str, Any] | None) -> Document:
    return Document(text=text, metadata={"file_name": PurePath(path).name, **(extra_info or {})})
