"""Large files are uploaded once, whoever asks, and deleted on demand."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from kimi_emulator import Failure, KimiEmulator
from kimi_wire import KimiError, KimiRequestError
from kimi_wire.endpoints import uploads as media_upload
from kimi_wire.endpoints.chat import KimiClient
from kimi_wire.endpoints.uploads import KnownUploads
from kimi_wire.requests.request import Request, render_request
from kimi_wire.settings import Settings
from tests.media_samples import MP4_URL, PNG, data_url

pytestmark = pytest.mark.both_transports


@pytest.fixture
def client(kimi: KimiEmulator) -> Any:
    client = KimiClient(api_key="sk-test", base_url=kimi.base_url, max_retries=0)
    yield client
    client.close()


def ask(*urls: str, over: int | None = 0, stream: bool = False) -> Request:
    parts = [
        {"type": kind, kind: {"url": url}}
        for url in urls
        for kind in ["video_url" if url.startswith("data:video") else "image_url"]
    ]
    return render_request(Settings(upload_media_over=over), [{"role": "user", "content": parts}], stream=stream)


def picture(number: int) -> str:
    return data_url("image/png", PNG + bytes([number]))


def uploads(kimi: KimiEmulator) -> list[Any]:
    return [request.body for request in kimi.requests if request.path == "/v1/files"]


async def complete(client: KimiClient, request: Request, way: str) -> None:
    if way == "sync":
        client.complete(request)
    elif way == "stream":
        list(client.stream(request))
    elif way == "async":
        await client.acomplete(request)
    else:
        [item async for item in client.astream(request)]


@pytest.mark.parametrize("way", ["sync", "stream", "async", "astream"])
async def test_a_content_is_uploaded_once_and_referred_to(kimi: KimiEmulator, client: Any, way: str) -> None:
    request = ask(picture(1), MP4_URL, picture(1), stream="stream" in way)
    for _ in range(2):
        await complete(client, request, way)
    assert [(form["purpose"], form["file"]["media_type"], form["file"]["filename"]) for form in uploads(kimi)] == [
        ("image", "image/png", "image.png"),
        ("video", "video/mp4", "video.mp4"),
    ]
    ids = {upload.purpose: f"ms://{upload.id}" for upload in kimi.uploads.values()}
    content = kimi.requests[-1].body["messages"][0]["content"]
    assert [next(iter(part[part["type"]].values())) for part in content] == [ids["image"], ids["video"], ids["image"]]
    assert next(iter(kimi.uploads.values())).data == PNG + b"\1"
    assert request.body["messages"][0]["content"][0]["image_url"]["url"] == picture(1)
    assert kimi.rejections == []


def test_small_files_stay_where_they_are(kimi: KimiEmulator, client: Any) -> None:
    big = data_url("image/png", PNG + bytes(5000))
    client.complete(ask(picture(1), big, over=500))
    first, second = kimi.requests[-1].body["messages"][0]["content"]
    assert first["image_url"]["url"] == picture(1)
    assert second["image_url"]["url"].startswith("ms://")


def test_threads_that_need_the_same_content_upload_it_once(kimi: KimiEmulator, client: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: client.complete(ask(picture(number % 2))), range(16)))
    assert len(uploads(kimi)) == 2


async def test_tasks_that_need_the_same_content_upload_it_once(kimi: KimiEmulator, client: Any) -> None:
    await asyncio.gather(*(client.acomplete(ask(picture(number % 2))) for number in range(16)))
    assert len(uploads(kimi)) == 2


def test_every_event_loop_and_thread_shares_what_is_known(kimi: KimiEmulator, client: Any) -> None:
    client.complete(ask(picture(1)))
    for _ in range(2):
        asyncio.run(client.acomplete(ask(picture(1))))
    assert len(uploads(kimi)) == 1


@pytest.mark.says("docs/media.md", "`delete_uploaded_media()` (`adelete_...`) deletes them from the account.")
async def test_uploads_are_deleted_on_demand(kimi: KimiEmulator, client: Any) -> None:
    client.complete(ask(picture(1), picture(2)))
    ids = list(kimi.uploads)
    assert client.delete_uploads() == ids
    assert (client.delete_uploads(), kimi.uploads) == ([], {})
    await client.acomplete(ask(picture(2)))
    (again,) = kimi.uploads
    assert await client.adelete_uploads() == [again]
    assert kimi.uploads == {}


def test_an_upload_that_fails_is_tried_anew_by_the_next_request(kimi: KimiEmulator, client: Any) -> None:
    empty = KimiClient(api_key="nobody", base_url=kimi.base_url, max_retries=0)
    with pytest.raises(KimiError, match="Incorrect API key"):
        empty.complete(ask(picture(1)))
    empty.close()
    kimi.reset()
    kimi.script(Failure(429, type="rate_limit_reached_error"))
    with pytest.raises(KimiError):
        client.complete(ask(picture(1)))
    client.complete(ask(picture(1)))
    assert len(uploads(kimi)) == 1


def test_no_more_ids_are_remembered_than_an_account_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_upload, "MAX_KNOWN", 2)
    known = KnownUploads()
    for name in ("a", "b"):
        known.keep((name, "image"), name)
    assert known.find(("a", "image")) == "a"
    known.keep(("c", "image"), "c")
    assert known.ids() == ["a", "c"]
    assert known.find(("b", "image")) is None
    with known.lock(("a", "image")):
        assert len(known._locks) == 1
    assert len(known._locks) == 0


def test_what_is_still_too_large_is_refused(kimi: KimiEmulator, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask(data_url("image/png", PNG + bytes(2000)), data_url("image/png", PNG + bytes(5000)), over=4000)
    monkeypatch.setattr("kimi_wire.media.plan.MAX_BODY", 2000)
    with pytest.raises(KimiRequestError, match="Kimi takes at most"):
        client.complete(request)
