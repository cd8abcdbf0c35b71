"""Images, videos and documents through both adapters, as the server gets them."""

from __future__ import annotations

import base64
import io
import ipaddress
import json
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage, messages_from_dict, messages_to_dict
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import AudioBlock, ChatMessage, DocumentBlock, ImageBlock, TextBlock, VideoBlock
from llama_index.core.llms import LLM
from llama_index.core.prompts import RichPromptTemplate
from llama_index.core.schema import ImageDocument
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from kimi_emulator import KimiEmulator, Reply, ToolCall
from kimi_wire import KimiRequestError
from kimi_wire.media import download as media_download
from langchain_kimi import ChatKimi
from llama_index_kimi import Kimi
from tests.media_samples import MP4, MP4_URL, PNG, PNG_URL, b64, data_url

IMAGE = {"type": "image_url", "image_url": {"url": PNG_URL}}
VIDEO = {"type": "video_url", "video_url": {"url": MP4_URL}}
UPLOADED = {"type": "image_url", "image_url": {"url": "ms://d1A_b-2"}}
MARKDOWN = {"type": "text", "text": '<document title="notes.md">\n# Notes\n</document>'}
QUESTION = {"type": "text", "text": "What is it?"}


@pytest.fixture
def chat(kimi: KimiEmulator) -> Any:
    made: list[ChatKimi] = []

    def make(**settings: Any) -> ChatKimi:
        made.append(ChatKimi(**{"api_key": "sk-test", "base_url": kimi.base_url, "max_retries": 0, **settings}))
        return made[-1]

    yield make
    for model in made:
        model._client.close()


@pytest.fixture
def llm(kimi: KimiEmulator) -> Any:
    made: list[Kimi] = []

    def make(**settings: Any) -> Kimi:
        made.append(Kimi(**{"api_key": "sk-test", "api_base": kimi.base_url, "max_retries": 0, **settings}))
        return made[-1]

    yield make
    for model in made:
        model._client.close()


def content(kimi: KimiEmulator, index: int = 0) -> Any:
    assert [request.error for request in kimi.rejections] == []
    return kimi.requests[-1].body["messages"][index]["content"]


@pytest.mark.says("docs/media.md", "Both adapters take every spelling of their framework")
@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image", "base64": b64(PNG), "mime_type": "image/png"}, IMAGE),
        ({"type": "image", "base64": b64(PNG), "mime_type": "image/jpeg"}, IMAGE),
        ({"type": "image", "base64": base64.b64encode(PNG), "mime_type": "image/png"}, IMAGE),
        ({"type": "image", "url": PNG_URL}, IMAGE),
        ({"type": "image", "source_type": "base64", "data": b64(PNG), "mime_type": "image/png"}, IMAGE),
        ({"type": "image", "source_type": "url", "url": PNG_URL}, IMAGE),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": b64(PNG)}}, IMAGE),
        ({"type": "image", "data": b64(PNG), "mimeType": "image/png"}, IMAGE),
        ({"type": "image_url", "image_url": PNG_URL}, {"type": "image_url", "image_url": PNG_URL}),
        ({"type": "input_image", "image_url": PNG_URL}, IMAGE),
        ({"type": "file", "base64": b64(PNG), "mime_type": "image/png"}, IMAGE),
        ({"type": "file", "file": {"file_data": PNG_URL, "filename": "a.png"}}, IMAGE),
        ({"type": "resource", "resource": {"uri": "a://b", "mimeType": "image/png", "blob": b64(PNG)}}, IMAGE),
        ({"type": "video", "base64": b64(MP4), "mime_type": "video/mp4"}, VIDEO),
        ({"type": "video", "url": MP4_URL}, VIDEO),
        ({"type": "video", "source_type": "base64", "data": b64(MP4), "mime_type": "video/mp4"}, VIDEO),
        ({"type": "video_url", "video_url": {"url": MP4_URL}}, VIDEO),
        ({"type": "non_standard", "value": {"type": "video_url", "video_url": {"url": MP4_URL}}}, VIDEO),
        ({"type": "file", "base64": b64(MP4), "mime_type": "video/mp4"}, VIDEO),
        ({"type": "text-plain", "text": "# Notes", "title": "notes.md"}, MARKDOWN),
        ({"type": "text-plain", "base64": b64(b"# Notes"), "mime_type": "text/plain", "title": "notes.md"}, MARKDOWN),
        ({"type": "file", "base64": b64(b"# Notes"), "mime_type": "text/markdown", "filename": "notes.md"}, MARKDOWN),
        ({"type": "file", "base64": b64(b"# Notes"), "mime_type": "text/markdown", "extras": {"filename": "notes.md"}},
         MARKDOWN),
        ({"type": "document", "title": "notes.md",
          "source": {"type": "text", "media_type": "text/plain", "data": "# Notes"}}, MARKDOWN),
        ({"type": "resource", "resource": {"uri": "notes.md", "text": "# Notes"}}, MARKDOWN),
        ({"type": "text-plain", "text": "b", "context": "a"}, {"type": "text", "text": "a\n\nb"}),
        ({"type": "input_text", "text": "b"}, {"type": "text", "text": "b"}),
    ],
)  # fmt: skip
def test_langchains_blocks_in_every_spelling(kimi: KimiEmulator, chat: Any, block: Any, part: Any) -> None:
    message = HumanMessage([QUESTION, block])
    before = message.model_copy(deep=True)
    chat().invoke([message])
    assert content(kimi) == [QUESTION, part]
    assert message == before
    if block["type"] not in ("resource", "input_text"):
        assert chat().invoke([HumanMessage(content_blocks=message.content_blocks)])
        assert content(kimi)[1]["type"] == part["type"]


@pytest.mark.says("docs/media.md", "or as the `ms://` id of an uploaded file")
@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "image", "file_id": "ms://d1A_b-2"}, UPLOADED),
        ({"type": "image", "file_id": "d1A_b-2"}, UPLOADED),
        ({"type": "image", "source_type": "id", "id": "d1A_b-2"}, UPLOADED),
        ({"type": "image", "url": "ms://d1A_b-2"}, UPLOADED),
        ({"type": "image_url", "image_url": {"url": "ms://d1A_b-2"}}, UPLOADED),
        ({"type": "input_image", "file_id": "d1A_b-2"}, UPLOADED),
        ({"type": "file", "file_id": "d1A_b-2", "mime_type": "image/png"}, UPLOADED),
        (ImageBlock(url="ms://d1A_b-2"), UPLOADED),
        (ImageBlock.model_validate_json(ImageBlock(url="ms://d1A_b-2").model_dump_json()), UPLOADED),
    ],
)
def test_ids_of_uploaded_files_pass_through(chat: Any, llm: Any, block: Any, part: Any) -> None:
    if isinstance(block, ImageBlock):
        request, _ = llm()._prepare([ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), block])], {})
    else:
        request, _ = chat()._prepare([HumanMessage([QUESTION, block])], None, {}, stream=False)
    assert request.body["messages"][0]["content"] == [QUESTION, part]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}, "does not take audio"),
        ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, "does not take audio"),
        ({"type": "file", "base64": b64(b"%PDF-1.7"), "mime_type": "application/pdf"}, "KimiFileLoader"),
        ({"type": "file", "url": "https://example.org/a.pdf"}, "KimiFileLoader"),
        ({"type": "file", "file_id": "file-1"}, "KimiFileLoader"),
        ({"type": "image"}, "no content"),
        ({"type": "image", "base64": 5, "mime_type": "image/png"}, "data of a image block is int"),
        ({"type": "image", "url": 5}, "url of a image block is int"),
        ({"type": "input_image"}, "no content"),
        ({"type": "image", "url": "https://example.org/a.png"}, "remote_images='download'"),
        (AudioBlock(audio=b"ID3\x04", format="mp3"), "does not take audio"),
        (DocumentBlock(data=b"%PDF-1.7", title="a.pdf"), "'a.pdf' is a document.*KimiFileReader"),
        (DocumentBlock(url="https://example.org/a.pdf"), "KimiFileReader"),
        (ImageBlock(), "no content"),
        (ImageBlock(image=b"no image at all"), "no known image"),
        (ImageBlock(url="https://example.org/a.png"), "remote_images='download'"),
        (VideoBlock(video=PNG), "send it as an image"),
    ],
)
def test_what_no_chat_carries_says_what_to_do(kimi: KimiEmulator, chat: Any, llm: Any, block: Any, words: str) -> None:
    model = chat() if isinstance(block, dict) else llm()
    message = HumanMessage([block]) if isinstance(block, dict) else ChatMessage(role="user", blocks=[block])
    with pytest.raises(KimiRequestError, match=words):
        (model.invoke if isinstance(block, dict) else model.chat)([message])
    assert kimi.requests == []


@pytest.mark.says("docs/media.md", "Both adapters take every spelling of their framework")
@pytest.mark.parametrize("source", ["bytes", "base64", "path", "data URL", "file object"])
@pytest.mark.parametrize("kind", ["image", "video", "document"])
def test_llama_indexs_blocks_from_every_source(
    kimi: KimiEmulator, llm: Any, tmp_path: Path, kind: str, source: str
) -> None:
    data = {"image": PNG, "video": MP4, "document": b"# Notes"}[kind]
    path = tmp_path / "notes.md"
    path.write_bytes(data)
    field = {"image": "image", "video": "video", "document": "data"}[kind]
    given: dict[str, Any] = {
        "bytes": {field: data},
        "base64": {field: base64.b64encode(data)},
        "path": {"path": path},
        "data URL": {"url": data_url("text/plain", data)},
        "file object": {field: io.BytesIO(data)},
    }[source]
    if kind == "document" and source != "path":
        given["title"] = "notes.md"
    block = {"image": ImageBlock, "video": VideoBlock, "document": DocumentBlock}[kind](**given)
    for _ in range(2):
        llm().chat([ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), block])])
        assert content(kimi) == [QUESTION, {"image": IMAGE, "video": VIDEO, "document": MARKDOWN}[kind]]
    if source != "file object":
        stored = type(block).model_validate_json(block.model_dump_json())
        llm().chat([ChatMessage(role="user", blocks=[stored])])
        assert content(kimi) == (MARKDOWN["text"] if kind == "document" else [{"image": IMAGE, "video": VIDEO}[kind]])


def test_a_file_that_is_gone_is_named(llm: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    block = ImageBlock(path=path)
    path.unlink()
    with pytest.raises(KimiRequestError, match=r"a\.png' cannot be read: No such file"):
        llm().chat([ChatMessage(role="user", blocks=[block])])


def test_core_s_older_image_documents(kimi: KimiEmulator, llm: Any) -> None:
    message = ChatMessage(
        role="user", content="What is it?", additional_kwargs={"images": [ImageDocument(image=b64(PNG))]}
    )
    llm().chat([message])
    assert content(kimi) == [QUESTION, IMAGE]


def test_prompts_with_images(kimi: KimiEmulator, chat: Any, llm: Any) -> None:
    prompt = ChatPromptTemplate(
        [("user", [{"type": "text", "text": "What is {x}?"}, {"type": "image_url", "image_url": {"url": "{link}"}}])]
    )
    (prompt | chat()).invoke({"x": "it", "link": PNG_URL})
    assert content(kimi) == [QUESTION, IMAGE]
    standard = ChatPromptTemplate(
        [("user", [{"type": "text", "text": "What is {x}?"}, {"type": "image", "base64": "{data}", "mime_type": "image/png"}])]
    )  # fmt: skip
    (standard | chat(output_version="v1")).invoke({"x": "it", "data": b64(PNG)})
    assert content(kimi) == [QUESTION, IMAGE]
    rich = RichPromptTemplate('{% chat role="user" %}What is it?{{ url | image }}{% endchat %}')
    llm().chat(rich.format_messages(url=PNG_URL))
    assert content(kimi)[-1] == IMAGE


def test_objects_are_predicted_from_images(kimi: KimiEmulator, chat: Any, llm: Any) -> None:
    class Thing(BaseModel):
        name: str

    found = chat().with_structured_output(Thing).invoke([HumanMessage([QUESTION, {"type": "image", "url": PNG_URL}])])
    assert isinstance(found, Thing)
    assert IMAGE in content(kimi)
    rich = RichPromptTemplate('{% chat role="user" %}What is it?{{ url | image }}{% endchat %}')
    assert isinstance(llm().structured_predict(Thing, rich, url=PNG_URL), Thing)
    assert IMAGE in content(kimi, -1)


# Images in tool results.


@pytest.mark.says(
    "docs/media.md", "Images in tool results are moved to a user message after the results, where every model sees them"
)
def test_langchains_tool_results_with_images_reach_the_model(kimi: KimiEmulator, chat: Any) -> None:
    call = AIMessage("", tool_calls=[{"name": "camera", "args": {}, "id": "camera:0"}])
    for block in (
        {"type": "image", "base64": b64(PNG), "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": PNG_URL}},
        {"type": "image", "data": b64(PNG), "mimeType": "image/png"},
    ):
        result = ToolMessage([QUESTION, block], tool_call_id="camera:0", artifact={"secret": "path"})
        chat().invoke([HumanMessage("Look."), call, result])
        assert content(kimi, 2) == "What is it?\n(attached in the next user message)"
        assert content(kimi, 3)[1] == IMAGE
        assert b"secret" not in kimi.requests[-1].raw


async def test_langchains_agents_see_what_their_tools_return(kimi: KimiEmulator, chat: Any) -> None:
    agents = pytest.importorskip("langchain.agents")

    @tool
    def camera() -> list[dict[str, Any]]:
        """Take a picture."""
        return [{"type": "text", "text": "Taken."}, {"type": "image", "base64": b64(PNG), "mime_type": "image/png"}]

    kimi.script(Reply(tool_calls=[ToolCall("camera", {})]), Reply("A dot."))
    agent = agents.create_agent(chat(), [camera])
    await agent.ainvoke({"messages": [HumanMessage("Use the camera tool.")]})
    assert IMAGE in content(kimi, -1)


@pytest.mark.says(
    "docs/media.md", "Images in tool results are moved to a user message after the results, where every model sees them"
)
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.filterwarnings("ignore:is_running called from within a step:DeprecationWarning")
async def test_llama_indexs_agents_see_what_their_tools_return(kimi: KimiEmulator, llm: Any) -> None:
    def camera() -> list[Any]:
        """Take a picture."""
        return [TextBlock(text="Taken."), ImageBlock(image=PNG)]

    kimi.script(Reply(tool_calls=[ToolCall("camera", {})]), Reply("A dot."))
    agent = FunctionAgent(tools=[FunctionTool.from_defaults(camera)], llm=llm())
    await agent.run("Use the camera tool.")
    assert IMAGE in content(kimi, -1)


# Fetching and uploading.


@pytest.fixture(params=["invoke", "stream", "ainvoke", "astream"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def run(model: ChatKimi | LLM, part: str, way: str, **settings: Any) -> None:
    if isinstance(model, ChatKimi):
        messages = [HumanMessage([QUESTION, {"type": "image", "url": part}])]
        if way == "invoke":
            model.invoke(messages, **settings)
        elif way == "stream":
            list(model.stream(messages, **settings))
        elif way == "ainvoke":
            await model.ainvoke(messages, **settings)
        else:
            [chunk async for chunk in model.astream(messages, **settings)]
        return
    chat = [ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), ImageBlock(url=part)])]
    if way == "invoke":
        model.chat(chat, **settings)
    elif way == "stream":
        list(model.stream_chat(chat, **settings))
    elif way == "ainvoke":
        await model.achat(chat, **settings)
    else:
        [chunk async for chunk in await model.astream_chat(chat, **settings)]


@pytest.mark.says(
    "docs/media.md",
    '`"download"` fetches http(s) images and videos from here and sends their bytes',
    "A history is fetched anew with each request.",
)
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
@pytest.mark.parametrize("given", ["constructor", "call"])
async def test_images_of_the_web_are_fetched_on_demand(
    kimi: KimiEmulator, chat: Any, llm: Any, monkeypatch: pytest.MonkeyPatch, adapter: str, given: str, way: str
) -> None:
    make = chat if adapter == "langchain" else llm
    own = {"remote_images": "download"}
    model = make(**own) if given == "constructor" else make()
    url = kimi.base_url.replace("127.0.0.1", "pictures.localhost") + "/a.png"

    async def resolve(name: str, port: int) -> list[Any]:
        return [ipaddress.ip_address("127.0.0.1")]

    monkeypatch.setattr(media_download, "_resolve", resolve)
    with pytest.raises(KimiRequestError, match=r"pictures\.localhost is not on the public internet"):
        await run(model, url, way, **({} if given == "constructor" else own))
    monkeypatch.setattr(media_download, "is_public", lambda address: True)
    monkeypatch.setattr("kimi_emulator.rules.check_key", lambda *_: None)
    monkeypatch.setattr("kimi_emulator.http.endpoints.route", lambda call: _picture(call))
    await run(model, url, way, **({} if given == "constructor" else own))
    fetched, asked = kimi.requests
    assert (fetched.method, fetched.path) == ("GET", "/v1/a.png")
    assert not {"authorization", "cookie"} & fetched.headers.keys()
    assert asked.body["messages"][0]["content"] == [QUESTION, IMAGE]


def _picture(call: Any) -> Any:
    from kimi_emulator.http import HttpAnswer

    return HttpAnswer(PNG, headers={"Content-Type": "text/plain"})


@pytest.mark.says(
    "docs/media.md",
    "Files of more than so many bytes are uploaded once for the model object and then referred to by id.",
)
@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
async def test_large_images_are_uploaded_once_for_a_model(
    kimi: KimiEmulator, chat: Any, llm: Any, adapter: str, way: str
) -> None:
    model = (chat if adapter == "langchain" else llm)(upload_media_over=0)
    for _ in range(2):
        await run(model, PNG_URL, way)
    (file_id,) = kimi.uploads
    assert content(kimi)[1]["image_url"]["url"] == f"ms://{file_id}"
    await run(model, PNG_URL, way, upload_media_over=10_000)
    assert content(kimi)[1] == IMAGE
    deleted = model.delete_uploaded_media() if not way.startswith("a") else await model.adelete_uploaded_media()
    assert (deleted, kimi.uploads) == ([file_id], {})


@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_threads_that_begin_together_upload_once(kimi: KimiEmulator, chat: Any, llm: Any, adapter: str) -> None:
    model = (chat if adapter == "langchain" else llm)(upload_media_over=0)
    start = threading.Barrier(8)

    def ask(_: int) -> None:
        start.wait()
        if isinstance(model, ChatKimi):
            model.invoke([HumanMessage([{"type": "image", "url": PNG_URL}])])
        else:
            model.chat([ChatMessage(role="user", blocks=[ImageBlock(image=PNG)])])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(kimi.uploads) == 1


@pytest.mark.parametrize("adapter", ["langchain", "llama_index"])
def test_a_pickled_model_uploads_anew(
    kimi: KimiEmulator, chat: Any, llm: Any, monkeypatch: pytest.MonkeyPatch, adapter: str
) -> None:
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-test")
    model = (chat if adapter == "langchain" else llm)(upload_media_over=0)
    copy = pickle.loads(pickle.dumps(model))
    for one in (model, copy):
        if isinstance(one, ChatKimi):
            one.invoke([HumanMessage([{"type": "image", "url": PNG_URL}])])
            one._client.close()
        else:
            one.chat([ChatMessage(role="user", blocks=[ImageBlock(image=PNG)])])
            one._client.close()
    assert len(kimi.uploads) == 2


def test_messages_with_media_survive_storage(kimi: KimiEmulator, chat: Any, llm: Any) -> None:
    message = HumanMessage(content_blocks=[QUESTION, {"type": "image", "base64": b64(PNG), "mime_type": "image/png"}])
    chat().invoke(messages_from_dict(json.loads(json.dumps(messages_to_dict([message])))))
    assert content(kimi) == [QUESTION, IMAGE]
    stored = ChatMessage(role="user", blocks=[TextBlock(text="What is it?"), ImageBlock(image=PNG)]).model_dump_json()
    llm().chat([ChatMessage.model_validate_json(stored)])
    assert content(kimi) == [QUESTION, IMAGE]
