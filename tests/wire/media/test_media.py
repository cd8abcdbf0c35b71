"""What images, videos and files become, before anything is sent."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kimi_emulator.rules import magic
from kimi_wire import KimiRequestError
from kimi_wire.media import plan as media_work
from kimi_wire.media.parts import render_attachment, show_url
from kimi_wire.media.types import ACCEPTED, HEAD, sniff
from kimi_wire.profiles import profile_for
from kimi_wire.requests.messages import render_messages
from kimi_wire.requests.request import Request, render_request
from kimi_wire.settings import Settings
from tests.media_samples import IMAGES, MP4, MP4_URL, OTHERS, PNG, PNG_URL, VIDEOS, b64, data_url, png

ALL = {**IMAGES, **VIDEOS, **OTHERS}


def image(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def video(url: Any) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}


def ask(*parts: Any, model: str = "kimi-k3", base_url: str = "", role: str = "user", **settings: Any) -> Request:
    messages = [{"role": role, "content": list(parts)}]
    return render_request(Settings(model=model, **settings), messages, stream=False, base_url=base_url)


def sent(*parts: Any, **settings: Any) -> Any:
    return ask(*parts, **settings).body["messages"][0]["content"]


@pytest.mark.parametrize("media_type", ALL)
def test_content_says_what_a_file_is(media_type: str) -> None:
    assert sniff(ALL[media_type][:HEAD]) == media_type


@pytest.mark.says(
    "docs/media.md",
    "Kimi takes images (jpeg, png, gif, webp, bmp, heic, heif) and videos (mp4, mpeg, mov, avi, flv, webm, wmv, 3gpp)",
)
@pytest.mark.parametrize("media_type", [*IMAGES, *VIDEOS])
def test_client_and_emulator_agree_on_what_is_taken(media_type: str) -> None:
    assert magic.media_type(ALL[media_type]) == media_type
    assert media_type in ACCEPTED[media_type.partition("/")[0]]


@given(st.binary(max_size=800))
def test_sniffing_copes_with_any_bytes(data: bytes) -> None:
    found = sniff(data)
    assert found is None or "/" in found


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"<svg/>", "image/svg+xml"),
        (b"\xef\xbb\xbf <svg>", "image/svg+xml"),
        (b"<html><svg></html>", None),
        (b"RIFF\0\0\0\0ACON", None),
        (b"BMW is a car", None),
        (b"\0\0\0\x08wide", "video/mov"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heic", "image/heic"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avif", "image/avif"),
        (b"", None),
    ],
)
def test_content_at_the_edges(head: bytes, media_type: str | None) -> None:
    assert sniff(head) == media_type


@pytest.mark.says("docs/media.md", "check what a file is by its content before anything is sent")
@pytest.mark.parametrize("declared", ["image/png", "image/x-icon", "application/octet-stream", "IMAGE/PNG", ""])
@pytest.mark.parametrize("media_type", IMAGES)
def test_content_wins_over_what_is_declared(media_type: str, declared: str) -> None:
    data = IMAGES[media_type]
    assert sent(image(data_url(declared, data))) == [image(data_url(media_type, data))]


@pytest.mark.parametrize("media_type", VIDEOS)
def test_videos_go_in_the_spelling_of_the_documentation(media_type: str) -> None:
    assert sent(video(data_url("video/quicktime", VIDEOS[media_type]))) == [
        video(data_url(media_type, VIDEOS[media_type]))
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (image(data_url("image/png", OTHERS["image/svg+xml"])), "is an SVG.*render it to PNG"),
        (image(data_url("image/png", OTHERS["image/x-icon"])), "is an icon.*convert it to PNG"),
        (image(data_url("image/png", OTHERS["image/avif"])), "of type image/avif.*convert it"),
        (image(data_url("image/png", OTHERS["application/pdf"])), "a document.*KimiFileLoader.*KimiFileReader"),
        (image(data_url("image/png", OTHERS["audio/wav"])), "is audio.*transcribe"),
        (image(data_url("image/png", b"hello")), "no known image.*jpeg, png, gif, webp, bmp, heic, heif"),
        (image(MP4_URL), "video/mp4: send it as a video"),
        (video(PNG_URL), "image/png: send it as an image"),
        (video(data_url("video/mp4", OTHERS["video/x-matroska"])), "x-matroska.*mp4, mpeg, mov, avi, flv, webm, wmv, 3gpp"),
        (image("data:image/png;base64,"), "is empty"),
        (image("data:image/png;base64"), "without a comma"),
        (image("data:image/png;base64,iVBORw0KGgo*"), "not valid base64"),
        (image("data:image/png;base64,iVBO=Rw0KGgo"), "not valid base64"),
        (image("data:image/png;base64,iVBORw0KGgoAé=="), "not valid base64"),
        (image("data:image/png;base64,iVBORw0KGgoAA"), "not valid base64"),
        (image("/home/me/cat.png"), "fetches nothing"),
        (image("file:///home/me/cat.png"), "fetches nothing"),
        (image("ms://"), "fetches nothing"),
        (image("ftp://example.org/cat.png"), "fetches nothing"),
        (image(None), "without a URL"),
        ({"type": "image_url"}, "without a URL"),
        ({"type": "file", "file": {}}, "part of type 'file'"),
    ],
)  # fmt: skip
def test_what_the_server_would_refuse_is_refused_here(part: Any, words: str) -> None:
    with pytest.raises(KimiRequestError, match=words) as caught:
        ask({"type": "text", "text": "?"}, part, remote_images="download")
    assert "Message 0" in str(caught.value)


def test_media_go_in_user_messages_and_tool_results_only() -> None:
    with pytest.raises(KimiRequestError, match="images and videos go in user messages"):
        ask(image(PNG_URL), role="system")


@pytest.mark.says("docs/media.md", "A picture in the user's last message is an error.")
def test_families_without_vision_or_video_are_named() -> None:
    for model, part, words in (
        ("kimi-k2-0905-preview", image(PNG_URL), "'image_url', which kimi-k2 does not take"),
        ("k3-256k", video(MP4_URL), "'video_url', which k3-256k does not take"),
    ):
        with pytest.raises(KimiRequestError, match=words):
            ask(part, model=model)


def test_other_vendors_models_get_what_was_written() -> None:
    odd = [image("https://example.org/a.png"), image("data:image/x-icon;base64,AAABAA==")]
    assert sent(*odd, model="gpt-4o", upload_media_over=0, remote_images="download") == odd


def test_a_host_that_takes_urls_gets_them() -> None:
    part = image("https://example.org/a.png")
    assert sent(part, model="moonshotai/kimi-k3", base_url="https://openrouter.ai/api/v1") == [part]
    with pytest.raises(KimiRequestError, match="remote_images='download'"):
        ask(part, base_url="https://api.moonshot.ai/v1")


def test_what_is_in_order_is_left_as_it_is() -> None:
    for part in (image(PNG_URL), {"type": "image_url", "image_url": PNG_URL}, {**image("ms://a_B-1"), "detail": "low"}):
        assert sent(part) == [part]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: "\n".join(text[at : at + 76] for at in range(0, len(text), 76)),
        lambda text: text.replace("+", "-").replace("/", "_"),
        lambda text: text.rstrip("="),
        lambda text: text.replace("+", "%2B").replace("=", "%3D"),
        lambda text: f" {text}\r\n",
    ],
)
@pytest.mark.parametrize("size", [20, 21, 22, 200])
def test_base64_is_put_in_its_plain_form(write: Any, size: int) -> None:
    data = png(size)
    assert sent(image(f"data:image/png;base64,{write(b64(data))}")) == [image(data_url("image/png", data))]


@given(st.text(max_size=60))
def test_any_data_url_is_refused_or_sent_in_order(text: str) -> None:
    try:
        (part,) = sent(image(f"data:image/png;base64,iVBORw0KGgo{text}"))
    except KimiRequestError:
        return
    base64.b64decode(part["image_url"]["url"].removeprefix("data:image/png;base64,"), validate=True)


def test_parameters_and_percent_encoding_of_data_urls() -> None:
    url = "data:image/gif;name=a.gif,GIF89a%01%00%01%00"
    assert sent(image(url)) == [image(data_url("image/gif", b"GIF89a\1\0\1\0"))]
    assert sent(image(f"DATA:image/png;charset=x;BASE64,{b64(PNG)}")) == [image(PNG_URL)]


def test_the_callers_parts_are_not_changed() -> None:
    part = image(data_url("image/jpeg", PNG))
    ask(part)
    assert part == image(data_url("image/jpeg", PNG))


# Attachments of the frameworks.


@pytest.mark.says("docs/media.md", 'become text in `<document title="...">`')
@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"kind": "image", "data": b64(PNG)}, image(PNG_URL)),
        ({"kind": "image", "data": b64(PNG).encode()}, image(PNG_URL)),
        ({"kind": "image", "data": PNG}, image(PNG_URL)),
        ({"kind": "image", "file_id": "abc"}, image("ms://abc")),
        ({"kind": "video", "file_id": "ms://abc"}, video("ms://abc")),
        ({"kind": "image", "url": "https://example.org/a"}, image("https://example.org/a")),
        ({"kind": "file", "data": b64(MP4)}, video(MP4_URL)),
        ({"kind": "file", "url": PNG_URL}, image(PNG_URL)),
        ({"kind": "file", "file_id": "abc", "media_type": "video/mp4"}, video("ms://abc")),
        ({"kind": "file", "text": "Hi"}, {"type": "text", "text": "Hi"}),
        ({"kind": "file", "data": b64(b"# Hi"), "media_type": "text/markdown"}, {"type": "text", "text": "# Hi"}),
        ({"kind": "file", "data": b64(b"a,b\n"), "title": 'x".csv'},
         {"type": "text", "text": '<document title="x&quot;.csv">\na,b\n\n</document>'}),
        ({"kind": "file", "url": "data:application/json,{%22a%22:1}"}, {"type": "text", "text": '{"a":1}'}),
        ({"kind": "file", "data": b64(OTHERS["image/svg+xml"]), "media_type": "image/svg+xml"},
         {"type": "text", "text": OTHERS["image/svg+xml"].decode()}),
        ({"kind": "file", "data": b64(b"\xef\xbb\xbfHi")}, {"type": "text", "text": "Hi"}),
    ],
)  # fmt: skip
def test_attachments(given: dict[str, Any], part: Any) -> None:
    assert render_attachment(**given) == part


@pytest.mark.says("docs/media.md", "PDF and Word need the file loaders, audio a transcript.")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"kind": "audio", "data": "AAAA"}, "An audio block cannot be sent.*Transcribe"),
        ({"kind": "image"}, "An image block has no content"),
        ({"kind": "file", "data": b64(b"%PDF-1.7"), "title": "a.pdf"}, "'a.pdf' is a document.*KimiFileLoader"),
        ({"kind": "file", "data": b64(b"\0\1\2")}, "of type unknown"),
        ({"kind": "file", "data": b64(b"x"), "media_type": "application/msword"}, "application/msword.*KimiFileReader"),
        ({"kind": "file", "data": b64(b"\xff\xfeH\0i\0"), "media_type": "text/plain"}, "neither text in UTF-8"),
        ({"kind": "file", "data": b64(OTHERS["video/mp2t"])}, "video/mp2t.*convert it"),
        ({"kind": "file", "data": "###"}, "not valid base64"),
        ({"kind": "file", "url": "https://me:pw@example.org/a.pdf?sig=1"}, "points to https://example.org/a.pdf,"),
        ({"kind": "file", "file_id": "abc"}, "points to ms://abc,"),
    ],
)
def test_attachments_that_no_chat_carries(given: dict[str, Any], words: str) -> None:
    with pytest.raises(KimiRequestError, match=words):
        render_attachment(**given)


def test_urls_in_errors_have_no_secrets() -> None:
    assert show_url("https://me:pw@example.org/a.png?signature=x#y") == "https://example.org/a.png"
    assert show_url("https://example.org?key=x") == "https://example.org"
    assert show_url(PNG_URL) == "data:image/png;base64,..."
    assert show_url("cat.png") == "cat.png"


# Size, and what is left to do.


@pytest.mark.says(
    "docs/media.md",
    "A request has at most 100 MB; a larger one is refused before it is sent, with the name of its largest file.",
)
@pytest.mark.slow
def test_the_largest_file_of_a_request_that_is_too_large_is_named() -> None:
    data = b64(PNG + bytes(60 * 1024 * 1024))
    big = image(f"data:image/png;base64,{data}")
    assert ask(big).media is None
    messages = [{"role": "user", "content": [image(PNG_URL)]}, {"role": "user", "content": [big, big]}]
    with pytest.raises(KimiRequestError, match=r"image in message 1, with 84 MB.*upload_media_over"):
        render_request(Settings(), messages, stream=False)


def test_the_limit_counts_every_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    request = ask(image(data_url("image/png", PNG + bytes(1000))), {"type": "text", "text": "é"})
    exact = len(json.dumps(request.body, ensure_ascii=False, separators=(",", ":")).encode())
    monkeypatch.setattr(media_work, "MAX_BODY", exact)
    media_work.check_size(request.body)
    monkeypatch.setattr(media_work, "MAX_BODY", exact - 1)
    with pytest.raises(KimiRequestError, match="Kimi takes at most"):
        media_work.check_size(request.body)


@pytest.mark.parametrize("value", [-1, True, "5 MB", 1.5])
def test_upload_media_over_is_a_number_of_bytes(value: Any) -> None:
    with pytest.raises(KimiRequestError, match="upload_media_over"):
        ask({"type": "text", "text": "?"}, upload_media_over=value)


def test_remote_images_is_one_of_two_words() -> None:
    with pytest.raises(KimiRequestError, match="error, download"):
        ask({"type": "text", "text": "?"}, remote_images="yes")


def test_a_request_says_what_it_still_needs() -> None:
    assert ask(image(PNG_URL), remote_images="download", upload_media_over=10_000).media is None
    assert ask(image("https://example.org/a.png"), remote_images="download").media is not None
    assert ask(image(PNG_URL), upload_media_over=len(PNG) - 1).media is not None
    assert ask(image(PNG_URL), upload_media_over=len(PNG)).media is None


def test_tool_results_with_media_keep_their_order_among_results() -> None:
    calls = [{"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}} for id in ("a", "b")]
    messages = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "tool_calls": calls, "reasoning_content": "."},
        {"role": "tool", "tool_call_id": "a", "content": [image(data_url("image/gif", PNG))]},
        {"role": "tool", "tool_call_id": "b", "content": "ok"},
    ]
    rendered = render_messages(messages, profile_for("kimi-k3"))
    assert [message["role"] for message in rendered[2:]] == ["tool", "tool", "user"]
    assert rendered[4]["content"][1] == image(PNG_URL)


@pytest.mark.parametrize("data", ["A", "AAAAA", "AB*C", "a" * 9, "é", "====", "%PNG", "\n-_\n"])
def test_what_is_no_base64_is_refused_with_a_type(data: str) -> None:
    with pytest.raises(KimiRequestError):
        ask(render_attachment("image", data=data))
    with pytest.raises(KimiRequestError):
        ask(render_attachment("file", data=data, media_type="application/pdf"))
