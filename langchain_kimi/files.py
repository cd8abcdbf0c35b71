"""Documents out of files, with the text that Kimi's files endpoint extracts."""

from __future__ import annotations

import asyncio
import importlib
import itertools
import logging
import mimetypes
import os
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from langchain_core.document_loaders import BaseBlobParser, BaseLoader, Blob
from langchain_core.documents import Document

from kimi_wire.endpoints import DEFAULT_CONCURRENCY, KimiFiles
from kimi_wire.errors import KimiError, KimiRequestError
from kimi_wire.transport import ApiKey, hiding_secrets
from langchain_kimi.adapt import adapted

logger = logging.getLogger("langchain_kimi")


class KimiFileParser(BaseBlobParser):
    """Parser that has Kimi extract the text of PDF, Office, HTML, e-book, picture and text files.

    Each file is uploaded, its text fetched, and the file deleted again. Pictures and scans are read by optical
    character recognition; one without text is an error.

    Example:
        ```python
        from langchain_core.document_loaders import Blob
        from langchain_kimi import KimiFileParser

        parser = KimiFileParser()  # reads MOONSHOT_API_KEY
        documents = parser.parse(Blob.from_path("report.md"))
        ```

    Args:
        api_key: The key, or a function that gives it. Default: the environment's `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        base_url: Default: as `ChatKimi`.
        max_concurrency: How many files are extracted at a time by asynchronous calls.
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
        max_concurrency: int = DEFAULT_CONCURRENCY,
        **options: Any,
    ) -> None:
        self._files = KimiFiles(api_key, base_url, max_concurrency=max_concurrency, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self).get('_files')!r})"

    # Each pair below differs by `async` and `await` only; tests/test_architecture.py compares them.

    def lazy_parse(self, blob: Blob) -> Iterator[Document]:
        """Extract the text of a file.

        Args:
            blob: The file. Data without a path needs a `source` in its metadata, or a media type.

        Yields:
            One document, with the blob's metadata, and `source`, `file_name`, `file_type` and `file_size` (bytes).

        Raises:
            KimiError: The file cannot be read or the server refuses it; the message says why.
        """
        try:
            text = self._files.extract(*_file(blob))
        except KimiError as error:
            raise adapted(error) from error
        yield Document(text, metadata=_metadata(blob))

    async def alazy_parse(self, blob: Blob) -> AsyncIterator[Document]:
        """The asynchronous twin of `lazy_parse`."""
        try:
            text = await self._files.aextract(*_file(blob))
        except KimiError as error:
            raise adapted(error) from error
        yield Document(text, metadata=_metadata(blob))


class KimiFileLoader(BaseLoader):
    """Loader for files and folders, with Kimi to extract the text; see `KimiFileParser`.

    `load` and `lazy_load` take one file after the other; `aload` and `alazy_load` take `max_concurrency` at a time and
    keep the order.

    Example:
        ```python
        from langchain_kimi import KimiFileLoader

        for document in KimiFileLoader("reports/", glob="**/*.pdf").lazy_load():
            print(document.metadata["source"], len(document.page_content))
        ```

    Args:
        path_or_paths: A file, a folder, or several of them. Folders are read in the order of their paths.
        glob: What to take of a folder. Default: every file; those that are hidden, or in hidden folders, are left out.
        exclude: Patterns of what not to take of a folder.
        suffixes: The endings to take of a folder, such as `[".pdf"]`; None takes all.
        follow_symlinks: Whether links of a folder that lead out of it are followed. Default: they are left out, and
            logged: whoever may write into a folder could have any file of the machine uploaded.
        show_progress: Whether to show a progress bar; needs `tqdm`.
        silent_errors: Whether a file that cannot be extracted is logged and left out. Default: it is an error.
        max_concurrency: How many files asynchronous calls extract at a time.
        api_key: The key, or a function that gives it. Default: the environment's `MOONSHOT_API_KEY`, else
            `KIMI_API_KEY`.
        base_url: Default: as `ChatKimi`.
        options: `timeout`, `max_retries`, `default_headers`, `http_client`, `http_async_client`.

    Raises:
        KimiMissingKeyError: There is no key.
        KimiRequestError: The URL is none.
        ImportError: `show_progress` is set without `tqdm`.
    """

    @hiding_secrets
    def __init__(
        self,
        path_or_paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        *,
        glob: str = "**/*",
        exclude: Sequence[str] = (),
        suffixes: Sequence[str] | None = None,
        follow_symlinks: bool = False,
        show_progress: bool = False,
        silent_errors: bool = False,
        max_concurrency: int = DEFAULT_CONCURRENCY,
        api_key: ApiKey | None = None,
        base_url: str | None = None,
        **options: Any,
    ) -> None:
        if isinstance(path_or_paths, (str, os.PathLike)):
            path_or_paths = [path_or_paths]
        self._paths = [Path(path) for path in path_or_paths]
        self._glob = glob
        self._exclude = [exclude] if isinstance(exclude, str) else list(exclude)
        self._suffixes = None if suffixes is None else {suffix.lower() for suffix in suffixes}
        self._follow_symlinks = follow_symlinks
        self._progress = _progress_bar() if show_progress else None
        self._silent_errors = silent_errors
        self._max_concurrency = max_concurrency
        self._parser = KimiFileParser(api_key, base_url, max_concurrency=max_concurrency, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({[str(path) for path in vars(self).get('_paths', ())]})"

    def lazy_load(self) -> Iterator[Document]:
        """Load the files one by one.

        Yields:
            One document for each; see `KimiFileParser.lazy_parse`.

        Raises:
            KimiError: A path does not exist, or a file cannot be extracted.
        """
        for path in self._shown(self._find()):
            try:
                yield from self._parser.lazy_parse(Blob.from_path(path))
            except KimiError as error:
                self._pass_over(path, error)

    async def alazy_load(self) -> AsyncIterator[Document]:
        """The asynchronous twin of `lazy_load`: some files at a time, in the same order."""
        paths = iter(self._shown(await asyncio.to_thread(self._find)))
        loading = deque(asyncio.create_task(self._aload_one(path)) for path in _take(paths, self._max_concurrency))
        try:
            while loading:
                documents = await loading.popleft()
                loading.extend(asyncio.create_task(self._aload_one(path)) for path in _take(paths, 1))
                for document in documents:
                    yield document
        finally:  # also where nobody wants the rest
            for task in loading:
                task.cancel()
            await asyncio.gather(*loading, return_exceptions=True)

    async def _aload_one(self, path: Path) -> list[Document]:
        try:
            return [document async for document in self._parser.alazy_parse(Blob.from_path(path))]
        except KimiError as error:
            self._pass_over(path, error)
            return []

    def _pass_over(self, path: Path, error: KimiError) -> None:
        if not self._silent_errors:
            raise error
        logger.warning("left out %s: %s", path, error)

    def _find(self) -> list[Path]:
        try:
            return [file for path in self._paths for file in (self._files_in(path) if path.is_dir() else [path])]
        except KimiError as error:
            raise adapted(error) from error

    def _files_in(self, folder: Path) -> list[Path]:
        try:
            found = sorted(folder.glob(self._glob))
        except (ValueError, NotImplementedError) as error:  # the latter for a pattern that begins at the root
            raise KimiRequestError(f"glob={self._glob!r} is no pattern: {error}") from None
        return [path for path in found if path.is_file() and self._wanted(path, path.relative_to(folder), folder)]

    def _wanted(self, path: Path, inside: Path, folder: Path) -> bool:
        hidden = any(part.startswith(".") for part in inside.parts)
        excluded = any(inside.match(pattern) for pattern in self._exclude)
        if hidden or excluded or not (self._suffixes is None or path.suffix.lower() in self._suffixes):
            return False
        if self._follow_symlinks or path.resolve().is_relative_to(folder.resolve()):
            return True
        logger.warning("left out %s: a link that leads out of %s; follow_symlinks=True takes it", path, folder)
        return False

    def _shown(self, paths: list[Path]) -> Iterable[Path]:
        return self._progress(paths) if self._progress else paths


def _take(paths: Iterator[Path], count: int) -> Iterable[Path]:
    return itertools.islice(paths, count)


def _progress_bar() -> Any:
    try:
        return importlib.import_module("tqdm").tqdm
    except ImportError as error:
        raise ImportError("show_progress=True needs tqdm: pip install tqdm") from error


def _file(blob: Blob) -> tuple[Any, str | None]:
    """A blob as `KimiFiles` takes it: a path, which is checked before it is read, or the bytes with a name."""
    if blob.data is None:
        return blob.path, None
    return blob.as_bytes(), _name(blob)


def _name(blob: Blob) -> str | None:
    source = str(blob.path or blob.source or "")
    name = PurePosixPath(urlsplit(source).path).name if "://" in source else Path(source).name
    if not os.path.splitext(name)[1]:  # the server tells the type by it
        name = f"{name or 'document'}{mimetypes.guess_extension(blob.mimetype or '') or ''}"
    return name if os.path.splitext(name)[1] or source else None


def _metadata(blob: Blob) -> dict[str, Any]:
    size = Path(blob.path).stat().st_size if blob.data is None and blob.path else len(blob.as_bytes())
    facts = {"source": blob.source, "file_name": _name(blob), "file_type": blob.mimetype, "file_size": size}
    return {**{name: value for name, value in facts.items() if value is not None}, **blob.metadata}
