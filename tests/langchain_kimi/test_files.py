"""Documents out of files: parser, loader, and an answer with its sources."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.document_loaders import Blob, BlobLoader
from langchain_core.documents import Document
from langchain_core.exceptions import ModelError
from langchain_core.prompts import ChatPromptTemplate

from kimi_emulator import KimiEmulator, RecordedRequest
from kimi_wire import KimiMissingKeyError
from langchain_kimi import KimiBadRequestError, KimiFileLoader, KimiFileParser, KimiRequestError

SECRET = "sk-secret-0123456789abcdef"
TEXTS = {
    "moon.txt": "The Moon has ice in the craters at its poles.",
    "mars.md": "# Mars\n\nMars has two moons, Phobos and Deimos.",
    "sun.html": "<html><title>Sun</title><body><p>The Sun is a star.</p><script>no()</script></body></html>",
    "sub/planets.csv": "planet,days\nVenus,225\nEarth,365\n",
    "sub/deep/facts.json": '{"Neptune": "It has rings and 16 moons."}',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {**TEXTS, ".hidden.txt": "h", ".git/config.txt": "g"}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def make(kimi: KimiEmulator) -> Iterator[Callable[..., Any]]:
    """Makes loaders (of a path) and parsers (of none)."""
    made: list[KimiFileParser] = []

    def make(path: Any = None, *, emulator: KimiEmulator = kimi, **options: Any) -> Any:
        options = {"api_key": SECRET, "base_url": emulator.base_url, "max_retries": 0, **options}
        result = KimiFileParser(**options) if path is None else KimiFileLoader(path, **options)
        made.append(result._parser if isinstance(result, KimiFileLoader) else result)
        return result

    yield make
    for parser in made:
        parser._files.close()


@pytest.fixture(params=["load", "aload"])
def load(request: pytest.FixtureRequest) -> Callable[[KimiFileLoader], list[Document]]:
    def load(loader: KimiFileLoader) -> list[Document]:
        return loader.load() if request.param == "load" else asyncio.run(loader.aload())

    return load


@pytest.fixture(params=["sync", "async"])
def parse(request: pytest.FixtureRequest) -> Callable[[KimiFileParser, Blob], list[Document]]:
    async def aparse(parser: KimiFileParser, blob: Blob) -> list[Document]:
        return [document async for document in parser.alazy_parse(blob)]

    def parse(parser: KimiFileParser, blob: Blob) -> list[Document]:
        return parser.parse(blob) if request.param == "sync" else asyncio.run(aparse(parser, blob))

    return parse


def test_a_folder_of_mixed_documents(folder: Path, make: Any, load: Any, kimi: KimiEmulator) -> None:
    documents = load(make(folder))
    assert [Path(document.metadata["source"]).relative_to(folder).as_posix() for document in documents] == [
        "mars.md",
        "moon.txt",
        "sub/deep/facts.json",
        "sub/planets.csv",
        "sun.html",
    ]
    assert documents[1].page_content == TEXTS["moon.txt"]
    assert documents[4].page_content == "The Sun is a star."
    assert documents[1].metadata == {
        "source": str(folder / "moon.txt"),
        "file_name": "moon.txt",
        "file_type": "text/plain",
        "file_size": len(TEXTS["moon.txt"]),
    }
    assert kimi.uploads == {}


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"glob": "*"}, ["mars.md", "moon.txt", "sun.html"]),
        ({"glob": "**/*.csv"}, ["planets.csv"]),
        ({"glob": "**/[!.]*", "suffixes": [".TXT", ".json"]}, ["moon.txt", "facts.json"]),
        ({"exclude": ["sub/*", "*.html"]}, ["mars.md", "moon.txt", "facts.json"]),
        ({"exclude": "*.*"}, []),
        ({"glob": "nothing"}, []),
    ],
)
def test_what_of_a_folder_is_loaded(options: Any, names: list[str], folder: Path, make: Any, load: Any) -> None:
    assert [document.metadata["file_name"] for document in load(make(folder, **options))] == names


def test_files_and_folders_together(folder: Path, make: Any, load: Any) -> None:
    paths = (folder / "sun.html", str(folder / "sub"), folder / ".hidden.txt")
    names = [document.metadata["file_name"] for document in load(make(paths))]
    assert names == ["sun.html", "facts.json", "planets.csv", ".hidden.txt"]


@pytest.mark.says(
    "docs/files.md",
    "Links of a folder that lead out of it are left out by `KimiFileLoader`, unless `follow_symlinks=True`.",
)
@pytest.mark.parametrize("follow", [False, True])
def test_links_out_of_a_folder_are_not_followed_unless_told_to(
    follow: bool, tmp_path: Path, make: Any, load: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever may write into the folder could have any file of the machine uploaded."""
    outside, folder = tmp_path / "outside", tmp_path / "folder"
    for place, name in [(outside, "key.txt"), (folder, "mine.txt"), (folder / "sub", "also.txt")]:
        place.mkdir(exist_ok=True)
        (place / name).write_text(name)
    (folder / "a.txt").symlink_to(outside / "key.txt")
    (folder / "b").symlink_to(outside)
    (folder / "c.txt").symlink_to(folder / "mine.txt")
    (folder / "d.txt").symlink_to(folder / "missing.txt")
    (tmp_path / "way").symlink_to(folder)
    documents = load(make([tmp_path / "way", folder / "a.txt"], glob="**/*.txt", follow_symlinks=follow))
    names = [document.metadata["file_name"] for document in documents]
    assert names == [*["a.txt"] * follow, "c.txt", "mine.txt", "also.txt", "a.txt"]  # the last was named
    warned = [record.getMessage() for record in caplog.records if "follow_symlinks=True" in record.getMessage()]
    assert [Path(text.split(": ")[0]).name for text in warned] == ([] if follow else ["a.txt"])
    beyond = load(make(folder, glob="b/*.txt", follow_symlinks=follow))
    assert [document.metadata["file_name"] for document in beyond] == ["key.txt"] * follow


def test_a_pattern_that_is_none_is_a_clear_error(folder: Path, make: Any, load: Any) -> None:
    with pytest.raises(KimiRequestError, match="glob='' is no pattern"):
        load(make(folder, glob=""))


def test_a_picture_without_text_is_refused_clearly(folder: Path, make: Any, load: Any, kimi: KimiEmulator) -> None:
    (folder / "photo.png").write_bytes(b"\x89PNG")
    with pytest.raises(KimiBadRequestError, match=r"^photo\.png: text extract error: .* as an image") as caught:
        load(make(folder))
    assert isinstance(caught.value, ModelError)
    kimi.reset()


def test_what_cannot_be_read_can_be_left_out(
    folder: Path, make: Any, load: Any, kimi: KimiEmulator, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "photo.png").write_bytes(b"\x89PNG")
    (folder / "empty.txt").touch()
    with caplog.at_level(logging.WARNING, "langchain_kimi"):
        assert len(load(make(folder, silent_errors=True))) == len(TEXTS)
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        f"left out {folder / name}" for name in ("empty.txt", "photo.png")
    ]
    assert SECRET not in caplog.text
    kimi.reset()


@pytest.mark.parametrize("path", ["missing.txt", "missing/"])
def test_a_missing_path_is_an_error(path: str, tmp_path: Path, make: Any, load: Any, kimi: KimiEmulator) -> None:
    with pytest.raises(KimiRequestError, match="does not exist"):
        load(make(tmp_path / path))
    assert kimi.requests == []


def test_lazy_means_lazy(folder: Path, make: Any, kimi: KimiEmulator) -> None:
    documents = make(folder).lazy_load()
    assert kimi.requests == []
    next(documents)
    assert [request.method for request in kimi.requests] == ["POST", "GET", "DELETE"]


async def test_asynchronous_loading_is_concurrent_within_its_limit(folder: Path, make: Any) -> None:
    barrier, lock, counts = threading.Barrier(2), threading.Lock(), Counter[str]()

    def hook(request: RecordedRequest) -> None:
        with lock:
            counts["now"] += {"POST": 1, "DELETE": -1}.get(request.method, 0)
            counts["most"] = max(counts["most"], counts["now"])
        if request.method == "GET" and counts["gets"] < 4:
            counts["gets"] += 1
            barrier.wait(10)  # passes only when two are at it together

    with KimiEmulator(on_answer=hook) as emulator:
        loader = make(folder, emulator=emulator, max_concurrency=2)
        names = [document.metadata["file_name"] async for document in loader.alazy_load()]
        await loader._parser._files.aclose()
    assert names == ["mars.md", "moon.txt", "facts.json", "planets.csv", "sun.html"]
    assert counts["most"] == 2


async def test_what_nobody_waits_for_is_not_left_behind(folder: Path, make: Any, kimi: KimiEmulator) -> None:
    loader = make(folder, max_concurrency=3)
    documents = loader.alazy_load()
    await documents.__anext__()
    await documents.aclose()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []
    assert kimi.uploads == {}
    await loader._parser._files.aclose()


def test_progress(
    folder: Path, make: Any, load: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load(make(folder, show_progress=True))
    assert "5/5" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tqdm", None)
    with pytest.raises(ImportError, match="pip install tqdm"):
        make(folder, show_progress=True)


@pytest.mark.says("docs/files.md", "`KimiFileParser` does the same behind any of LangChain's blob loaders.")
def test_a_parser_goes_behind_any_blob_loader(folder: Path, make: Any) -> None:
    class Blobs(BlobLoader):
        def yield_blobs(self) -> Iterator[Blob]:
            yield Blob.from_path(folder / "moon.txt", metadata={"tag": 1})
            yield Blob.from_data("From memory.", mime_type="text/plain")

    parser = make()
    documents = [document for blob in Blobs().yield_blobs() for document in parser.lazy_parse(blob)]
    assert [document.page_content for document in documents] == [TEXTS["moon.txt"], "From memory."]
    assert documents[0].metadata["tag"] == 1
    assert documents[1].metadata == {"file_name": "document.txt", "file_type": "text/plain", "file_size": 12}


@pytest.mark.parametrize(
    ("blob", "name"),
    [
        (Blob.from_data("x", metadata={"source": "https://example.com/a/report.html?page=2"}), "report.html"),
        (Blob.from_data("x", mime_type="text/html", metadata={"source": "https://example.com/"}), "document.html"),
        (Blob.from_data(b"x", path="folder/notes.md"), "notes.md"),
        (Blob.from_data("x", mime_type="text/plain", path="folder/notes"), "notes.txt"),
        (Blob.from_data("x", path="folder/Makefile"), "Makefile"),
    ],
)
def test_names_of_blobs(blob: Blob, name: str, make: Any, parse: Any, kimi: KimiEmulator) -> None:
    if name == "Makefile":  # the server decides about it, and this one refuses
        with pytest.raises(KimiBadRequestError):
            parse(make(), blob)
    else:
        (document,) = parse(make(), blob)
        assert (document.metadata["file_name"], document.metadata["source"]) == (name, blob.source)
    assert kimi.requests[0].body["file"]["filename"] == name
    kimi.reset()


def test_data_without_a_name_is_refused(make: Any, parse: Any, kimi: KimiEmulator) -> None:
    with pytest.raises(KimiRequestError, match="need name="):
        parse(make(), Blob.from_data("x"))
    assert kimi.requests == []


def test_the_blobs_own_metadata_is_kept_and_not_changed(make: Any, parse: Any) -> None:
    metadata = {"source": "s.txt", "file_name": "mine"}
    blob = Blob.from_data("x", metadata=metadata)
    (document,) = parse(make(), blob)
    assert document.metadata == {"source": "s.txt", "file_name": "mine", "file_size": 1}
    assert metadata == {"source": "s.txt", "file_name": "mine"}


def test_the_key_is_needed_and_shown_nowhere(make: Any, tmp_path: Path) -> None:
    with pytest.raises(KimiMissingKeyError):
        KimiFileLoader(tmp_path)
    assert SECRET not in repr(make(tmp_path)) + repr(make())


def test_a_rag_answer_with_its_source(folder: Path, make: Any, make_model: Any) -> None:
    """Retrieval by words in common; no embeddings are needed to show that the texts are the documents'."""
    documents = make(folder).load()
    question = "What are the names of the moons of Mars?"
    words = set(re.findall(r"\w+", question.lower()))
    best = max(documents, key=lambda one: len(words & set(re.findall(r"\w+", one.page_content.lower()))))
    prompt = ChatPromptTemplate.from_template("Context:\n{context}\n\nQuestion: {question}")
    answer = (prompt | make_model()).invoke({"context": best.page_content, "question": question})
    assert "Phobos" in answer.content
    assert best.metadata["file_name"] == "mars.md"


@pytest.fixture
def make_model(kimi: KimiEmulator) -> Iterator[Callable[..., Any]]:
    from langchain_kimi import ChatKimi

    made: list[ChatKimi] = []

    def make_model(**arguments: Any) -> ChatKimi:
        made.append(ChatKimi(api_key=SECRET, base_url=kimi.base_url, max_retries=0, **arguments))
        return made[-1]

    yield make_model
    for model in made:
        model._client.close()
