"""Files of the web: which addresses are asked, what is taken, and what a hostile host can do."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kimi_wire import KimiRequestError
from kimi_wire.media import download as media_download
from kimi_wire.media.download import afetch, fetch, is_public
from tests.media_samples import PNG

pytestmark = pytest.mark.slow  # each test has a server of its own


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.0", "100.63.255.255", "100.128.0.0", "192.0.1.1", "198.20.0.0",
     "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "2400:cb00::1"],
)  # fmt: skip
def test_public_addresses(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
     "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
     "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1",
     "255.255.255.255", "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1",
     "2001::1", "2001:db8::1", "2001:20::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
     "fe80::1", "fe80::1%1", "fec0::1", "ff02::1"],
)  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


class Host:
    """A host of the web: what it answers, and what it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[int, dict[str, str], bytes]] = {"/cat.png": (200, {}, PNG)}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.waits = threading.Event()
        host = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                host.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                if self.path.startswith("/slow"):
                    host.waits.wait(30)
                    return
                status, headers, body = host.pages.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str = "/cat.png", name: str = "pictures.example") -> str:
        return f"http://{name}:{self.port}{path}"

    def close(self) -> None:
        self.waits.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    host.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names and their addresses, one list for each time they are looked up; 127.0.0.1 counts as public."""
    names: dict[str, list[list[str]]] = {"pictures.example": [["127.0.0.1"]]}

    async def resolve(name: str, port: int) -> list[Any]:
        answers = names[name]
        return [ipaddress.ip_address(one) for one in (answers.pop(0) if len(answers) > 1 else answers[0])]

    monkeypatch.setattr(media_download, "_resolve", resolve)
    loopback = [ipaddress.ip_address(one) for one in ("127.0.0.1", "::1")]
    monkeypatch.setattr(media_download, "is_public", lambda address: address in loopback or is_public(address))
    return names


Fetch = Callable[[list[str]], dict[str, bytes]]


@pytest.fixture(params=["sync", "async"])
def get(request: pytest.FixtureRequest) -> Fetch:
    return fetch if request.param == "sync" else lambda urls: asyncio.run(afetch(urls))


def test_a_file_is_fetched_from_the_address_that_was_checked(host: Host, names: Any, get: Fetch) -> None:
    assert get([host.url(), host.url("/cat.png?again")][:1]) == {host.url(): PNG}
    ((path, headers),) = host.asked
    assert path == "/cat.png"
    assert headers["host"] == f"pictures.example:{host.port}"
    assert headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie"} & headers.keys()


def test_a_name_that_changes_its_address_after_the_check_leads_nowhere_else(host: Host, names: Any) -> None:
    names["pictures.example"] = [["127.0.0.1"], ["10.0.0.1"]]
    assert fetch([host.url()]) == {host.url(): PNG}
    assert names["pictures.example"] == [["10.0.0.1"]]  # looked up once
    with pytest.raises(KimiRequestError, match=r"pictures\.example is not on the public internet"):
        fetch([host.url()])


@pytest.mark.says("docs/media.md", "public addresses only")
@pytest.mark.parametrize("addresses", [["127.0.0.1", "10.0.0.1"], ["::ffff:127.0.0.1"], ["192.168.0.1"], []])
def test_every_address_of_a_name_has_to_be_public(host: Host, names: Any, addresses: list[str]) -> None:
    names["pictures.example"] = [addresses]
    with pytest.raises(KimiRequestError, match="not on the public internet"):
        fetch([host.url()])
    assert host.asked == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/", "http://[::ffff:127.0.0.1]/",
     "http://2130706433/", "http://0x7f000001/", "http://0177.0.0.1/", "http://127.1/", "http://0x7f.1/",
     "http://017700000001./", "http://１２７.0.0.1/"],
)  # fmt: skip
def test_the_own_machine_is_not_asked_in_any_spelling(url: str, get: Fetch) -> None:
    with pytest.raises(KimiRequestError, match=r"not on the public internet|address in disguise|could not be fetched"):
        get([url])


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://me:secret@pictures.example/a", "user name or a password"),
        ("http:///a", "scheme|fetched"),
        ("http://[::1", "could not be fetched: InvalidURL"),
        ("http://pictures.example:99999/a", "could not be fetched|is not fetched"),
    ],
)
def test_urls_that_are_none(names: Any, url: str, words: str) -> None:
    with pytest.raises(KimiRequestError, match=words) as caught:
        fetch([url])
    assert "secret" not in str(caught.value)


def test_redirects_are_followed_and_checked_again(host: Host, names: Any) -> None:
    names["other.example"] = [["127.0.0.1"]]
    names["inside.example"] = [["169.254.169.254"]]
    host.pages["/a"] = (302, {"Location": "/b", "Set-Cookie": "id=1"}, b"")
    host.pages["/b"] = (307, {"Location": host.url("/cat.png", "other.example")}, b"")
    assert fetch([host.url("/a")]) == {host.url("/a"): PNG}
    assert [path for path, _ in host.asked] == ["/a", "/b", "/cat.png"]
    assert all("cookie" not in headers for _, headers in host.asked)
    for target, words in (
        ("http://inside.example/latest/meta-data", "inside.example is not on the public internet"),
        ("file:///etc/passwd", "'file'"),
        ("http://me:secret@other.example/", "password"),
        (host.url("/loop"), "redirected more than 5 times"),
    ):
        host.pages["/loop"] = (301, {"Location": target}, b"")
        with pytest.raises(KimiRequestError, match=words):
            fetch([host.url("/loop")])


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ((404, {}, b""), "status 404"),
        ((302, {}, b""), "status 302"),
        ((206, {}, PNG), "status 206"),
        ((200, {"Content-Encoding": "gzip"}, PNG), "compressed it"),
        ((200, {"Content-Length": "100"}, PNG[:10]), "could not be fetched: RemoteProtocolError"),
        ((200, {}, bytes(2000)), "larger than"),
    ],
)
def test_answers_that_are_not_taken(
    host: Host, names: Any, monkeypatch: pytest.MonkeyPatch, get: Fetch, page: Any, words: str
) -> None:
    monkeypatch.setattr(media_download, "MAX_BYTES", 1000)
    host.pages["/cat.png"] = page
    with pytest.raises(KimiRequestError, match=words):
        get([host.url("/cat.png")])


@pytest.mark.says("docs/media.md", "100 MB and 60 s for all files of a request")
def test_all_files_of_a_request_share_one_limit(host: Host, names: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_download, "MAX_BYTES", 2 * len(PNG) + 1)
    host.pages |= {f"/{number}": (200, {}, PNG) for number in range(3)}
    urls = [host.url(f"/{number}") for number in range(3)]
    assert list(fetch(urls[:2])) == urls[:2]
    with pytest.raises(KimiRequestError, match="larger than"):
        fetch(urls)


def test_a_host_that_does_not_answer_in_time_is_named(
    host: Host, names: Any, monkeypatch: pytest.MonkeyPatch, get: Fetch
) -> None:
    monkeypatch.setattr(media_download, "MAX_SECONDS", 0.2)
    with pytest.raises(KimiRequestError, match=r"/slow took more than 0 seconds"):
        get([host.url("/slow?key=secret")])


def test_the_next_address_is_tried_where_one_cannot_be_reached(host: Host, names: Any, get: Fetch) -> None:
    names["pictures.example"] = [["::1", "127.0.0.1"]]  # the host listens on the second one only
    assert get([host.url()]) == {host.url(): PNG}
    closed = Host()
    closed.close()
    with pytest.raises(KimiRequestError, match="could not be fetched: ConnectError"):
        get([closed.url()])


def test_names_are_looked_up_by_the_system() -> None:
    found = asyncio.run(media_download._resolve("localhost", 80))
    assert found
    assert all(address.is_loopback for address in found)


async def test_the_event_loop_goes_on_meanwhile(host: Host, names: Any) -> None:
    task = asyncio.ensure_future(afetch([host.url("/slow")]))
    while not host.asked:
        await asyncio.sleep(0.01)
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
