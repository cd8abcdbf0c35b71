"""The reader: alone, in `SimpleDirectoryReader`, in worker processes, over fsspec, and under a query engine."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from llama_index.core import SimpleDirectoryReader
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.query_engine import RetrieverQueryEngine

from kimi_emulator import KimiEmulator, RecordedRequest
from kimi_wire import KimiError
from llama_index_kimi import Kimi, KimiFileReader, KimiMissingKeyError, KimiRequestError

KEY = "sk-test-0123456789"
TEXTS = {
    "moon.txt": "The Moon has ice in the craters at its poles.",
    "mars.md": "# Mars\n\nMars has two moons, Phobos and Deimos.",
    "sun.html": "<html><title>Sun</title><body><p>The Sun is a star.</p></body></html>",
    "planets.csv": "planet,days\nVenus,225\nEarth,365\n",
    "facts.json": '{"Neptune": "It has rings and 16 moons."}',
}
SUFFIXES = (".txt", ".md", ".html", ".csv", ".json")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def make(kimi: KimiEmulator) -> Iterator[Callable[..., KimiFileReader]]:
    made: list[KimiFileReader] = []

    def make(emulator: KimiEmulator = kimi, **options: Any) -> KimiFileReader:
        made.append(KimiFileReader(**{"api_key": KEY, "api_base": emulator.base_url, "max_retries": 0, **options}))
        return made[-1]

    yield make
    for reader in made:
        reader._connected().close()


@pytest.fixture(params=["load_data", "lazy_load_data", "aload_data", "alazy_load_data"])
def read(request: pytest.FixtureRequest) -> Callable[..., Any]:
    def read(reader: KimiFileReader, *args: Any, **kwargs: Any) -> Any:
        result = getattr(reader, request.param)(*args, **kwargs)
        return list(asyncio.run(result) if request.param.startswith("a") else result)

    return read


def directory(folder: Path, reader: KimiFileReader, **options: Any) -> SimpleDirectoryReader:
    extractor: Any = dict.fromkeys((*SUFFIXES, ".png"), reader)
    return SimpleDirectoryReader(folder, file_extractor=extractor, raise_on_error=True, **options)


def test_one_file(folder: Path, make: Any, read: Any, kimi: KimiEmulator) -> None:
    extra = {"tag": 1}
    (document,) = read(make(), folder / "sun.html", extra_info=extra)
    assert document.text == "The Sun is a star."
    assert document.metadata == {"file_name": "sun.html", "tag": 1}
    assert extra == {"tag": 1}
    assert kimi.uploads == {}


def test_several_files_in_their_order(folder: Path, make: Any, read: Any) -> None:
    files = [str(folder / name) for name in TEXTS]
    assert [document.metadata["file_name"] for document in read(make(), files)] == list(TEXTS)


def test_a_missing_file_is_an_error_and_so_is_one_without_text(
    folder: Path, make: Any, read: Any, kimi: KimiEmulator
) -> None:
    with pytest.raises(KimiRequestError, match="does not exist"):
        read(make(), folder / "missing.pdf")
    (folder / "photo.png").write_bytes(b"\x89PNG")
    with pytest.raises(KimiError, match=r"photo\.png: text extract error: .* as an image"):
        read(make(), [folder / "moon.txt", folder / "photo.png", folder / "mars.md"])
    assert kimi.uploads == {}
    kimi.reset()


def test_lazy_means_lazy(folder: Path, make: Any, kimi: KimiEmulator) -> None:
    documents = make().lazy_load_data([folder / name for name in TEXTS])
    assert kimi.requests == []
    next(documents)
    assert len(kimi.requests) == 3


@pytest.mark.parametrize("options", [{}, {"show_progress": True}])
def test_in_a_directory_reader(options: Any, folder: Path, make: Any) -> None:
    documents = directory(folder, make()).load_data(**options)
    found = {document.metadata["file_name"]: document for document in documents}
    assert set(found) == set(TEXTS)
    moon = found["moon.txt"]
    assert moon.text == TEXTS["moon.txt"]
    assert moon.metadata["file_path"] == str(folder / "moon.txt")
    assert (moon.metadata["file_type"], moon.metadata["file_size"]) == ("text/plain", len(TEXTS["moon.txt"]))
    assert "file_size" in moon.excluded_embed_metadata_keys


@pytest.mark.parametrize("workers", [None, 2])
async def test_in_a_directory_reader_asynchronously(workers: int | None, folder: Path, make: Any) -> None:
    reader = make()
    documents = await directory(folder, reader, filename_as_id=True).aload_data(num_workers=workers)
    assert {document.metadata["file_name"] for document in documents} == set(TEXTS)
    assert str(folder / "moon.txt_part_0") in {document.id_ for document in documents}
    await reader._connected().aclose()


@pytest.mark.slow
def test_in_worker_processes(folder: Path, make: Any, monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-of-the-environment")
    documents = directory(folder, make()).load_data(num_workers=2)
    assert {document.metadata["file_name"] for document in documents} == set(TEXTS)
    assert kimi.requests
    assert all(request.had_key("sk-of-the-environment") for request in kimi.requests)


def test_over_another_file_system(make: Any, read: Any) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe("/docs/moon.txt", TEXTS["moon.txt"].encode())
    (document,) = read(make(), "/docs/moon.txt", fs=fs)
    assert (document.text, document.metadata) == (TEXTS["moon.txt"], {"file_name": "moon.txt"})
    with pytest.raises(KimiRequestError, match=r"/docs/missing\.txt cannot be read"):
        read(make(), "/docs/missing.txt", fs=fs)
    extractor: Any = {".txt": make()}
    (document,) = SimpleDirectoryReader("/docs", file_extractor=extractor, fs=fs, raise_on_error=True).load_data()
    assert document.metadata["file_name"] == "moon.txt"


async def test_so_many_at_a_time_and_no_more(folder: Path, make: Any) -> None:
    barrier, lock, counts = threading.Barrier(2), threading.Lock(), Counter[str]()

    def hook(request: RecordedRequest) -> None:
        with lock:
            counts["now"] += {"POST": 1, "DELETE": -1}.get(request.method, 0)
            counts["most"] = max(counts["most"], counts["now"])
        if request.method == "GET" and counts["gets"] < 4:
            counts["gets"] += 1
            barrier.wait(10)

    with KimiEmulator(on_answer=hook) as emulator:
        reader = make(emulator, max_concurrency=2)
        assert len(await reader.aload_data([folder / name for name in TEXTS])) == len(TEXTS)
        await reader._connected().aclose()
    assert counts["most"] == 2


def test_no_key_leaves_the_reader(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = make(default_headers={"X-Secret": "also-secret"})
    reader._connected()
    written = f"{reader!r}{reader}{reader.to_dict()}{reader.to_json()}{pickle.dumps(reader)!r}"
    assert KEY not in written
    assert "also-secret" not in written
    with pytest.raises(KimiMissingKeyError):
        KimiFileReader.from_dict(reader.to_dict())
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-other")
    again = KimiFileReader.from_dict(reader.to_dict())
    assert (again.api_base, again.class_name()) == (reader.api_base, "KimiFileReader")
    assert again._connected() is again._connected()
    again._connected().close()


def test_a_pickle_takes_the_key_of_where_it_is_opened(
    folder: Path, make: Any, monkeypatch: pytest.MonkeyPatch, kimi: KimiEmulator
) -> None:
    reader = make(max_concurrency=7)
    again = pickle.loads(pickle.dumps(reader))
    assert (again.max_concurrency, again.api_base) == (7, kimi.base_url)
    with pytest.raises(KimiMissingKeyError):
        again.load_data(folder / "moon.txt")
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-later")
    assert again.load_data(folder / "moon.txt")
    assert kimi.requests[-1].had_key("sk-later")
    again._connected().close()


def test_arguments_are_checked(kimi: KimiEmulator) -> None:
    with pytest.raises(KimiMissingKeyError):
        KimiFileReader()
    with pytest.raises(KimiRequestError, match="Did you mean 'max_concurrency'"):
        KimiFileReader(KEY, max_concurency=3)
    assert KimiFileReader(KEY, base_url=kimi.base_url).api_base == kimi.base_url


def test_a_rag_answer_with_its_sources(folder: Path, make: Any, llm: Callable[..., Kimi]) -> None:
    from llama_index.retrievers.bm25 import BM25Retriever

    documents = directory(folder, make()).load_data()
    nodes = SentenceSplitter(chunk_size=256).get_nodes_from_documents(documents)
    retriever = BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=1)
    response = RetrieverQueryEngine.from_args(retriever, llm=llm()).query("What are the names of the moons of Mars?")
    assert "Phobos" in str(response)
    assert [node.metadata["file_name"] for node in response.source_nodes] == ["mars.md"]
