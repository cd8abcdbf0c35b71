"""Cassettes that can be read and reviewed: plain YAML, an allow-list of headers, and nothing that varies by itself.

vcrpy stands between the adapters and the network; what is here is the form of its files and what makes two requests
the same one: method, path and parsed body. The host, the order of keys and the boundary of a form do not count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from email import message_from_bytes
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import vcr
import yaml
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.request import Request

FOLDER = Path(__file__).resolve().parents[1] / "cassettes"

REQUEST_HEADERS = ("content-type",)
RESPONSE_HEADERS = ("content-type", "retry-after", "msh-request-id")

CREATED = 1_790_000_000
"""Every time of creation in a cassette, in seconds since 1970: real ones would make each recording differ."""

Exchange = dict[str, Any]
"""`{"request": {"method", "path", "headers", BODY}, "response": {"status", "headers", BODY}}`, BODY being one of `json`
(parsed), `events` (a stream's text), `form` (a list of parts) and `text`."""


# Bodies.


def describe_body(content_type: str, body: bytes) -> Exchange:
    """A body as it stands in a cassette; none for an empty one."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body:
        return {}
    if kind == "multipart/form-data" and "boundary=" in content_type:
        return {"form": [_describe_part(part) for part in _parts(content_type, body)]}
    text = body.decode("utf-8")
    if kind == "multipart/form-data":
        return {"form": json.loads(text)}  # out of a cassette, see `write_body`
    if kind == "text/event-stream":
        return {"events": text}
    try:
        return {"json": json.loads(text)}
    except ValueError:
        return {"text": text}


def _parts(content_type: str, body: bytes) -> list[Any]:
    whole = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = whole.get_payload()
    assert isinstance(parts, list), "a form with its parts"
    return parts


def _describe_part(part: Any) -> Exchange:
    described = {"name": part.get_param("name", header="content-disposition")}
    if part.get_filename():
        described |= {"filename": part.get_filename(), "content-type": part.get_content_type()}
    data = part.get_payload(decode=True)
    try:
        return {**described, "text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {**described, "hex": data.hex()}


def write_body(described: Exchange) -> bytes:
    """The bytes of a body in a cassette. A form comes as the JSON of its parts: nothing is sent from a cassette."""
    for key in ("events", "text"):
        if key in described:
            return str(described[key]).encode()
    value = described.get("json", described.get("form"))
    return b"" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def canonical(value: Any) -> str:
    """A value as JSON, in which the order of keys doesn't count and 1, 1.0 and true are three values."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


# From what vcrpy has to what a cassette has, and back.


def describe_request(request: Any) -> Exchange:
    url = urlsplit(request.uri)
    headers = {name.lower(): value for name, value in request.headers.items()}
    body = describe_body(headers.get("content-type", ""), request.body or b"")
    kept = {name: headers[name].partition(";")[0] for name in REQUEST_HEADERS if name in headers and body}
    path = url.path + (f"?{url.query}" if url.query else "")
    return {"method": request.method, "path": path, **({"headers": kept} if kept else {}), **body}


def describe_response(response: Any) -> Exchange:
    headers = {name.lower(): values[0] for name, values in response["headers"].items()}
    body = describe_body(headers.get("content-type", ""), response["body"]["string"] or b"")
    kept = {name: headers[name] for name in RESPONSE_HEADERS if name in headers}
    return {"status": response["status"]["code"], "headers": kept, **body}


def _as_request(described: Exchange) -> Request:
    uri = "https://recorded.invalid" + described["path"]
    return Request(described["method"], uri, write_body(described), described.get("headers", {}))


def _as_response(described: Exchange) -> Exchange:
    return {
        "status": {"code": described["status"], "message": ""},
        "headers": {name: [value] for name, value in described["headers"].items()},
        "body": {"string": write_body(described)},
    }


def same_request(first: Any, second: Any) -> None:
    """What vcrpy matches by.

    Raises:
        AssertionError: They differ.
    """
    assert _identity(first) == _identity(second)


def _identity(request: Any) -> str:
    described = describe_request(request)
    described.pop("headers", None)
    return canonical(described)


# What varies from one recording to the next, and what is nobody's business.

_COMPLETION = re.compile(r"chatcmpl-([0-9a-f]{8}[0-9a-f]{16})")
_CREATED = re.compile(r'(?<="created":)\d{10}\b')
# What an account has is its owner's business; these are the numbers of https://platform.kimi.ai/docs/api/balance.
_BALANCE = {"available_balance": 49.58894, "voucher_balance": 46.58893, "cash_balance": 3.00001}
_ACCOUNT = re.compile(r"\b(org|proj)-[0-9a-f]{32}|\b(ak)-[0-9a-z]{16,}")


def normalised(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """Copies with ids numbered, one time of creation, account ids masked, and nobody's balance."""
    ids: dict[str, str] = {}
    files = {body["id"] for body in _json_answers(exchanges) if body.get("object") == "file" and "id" in body}
    named = {own: f"file_{number:032d}" for number, own in enumerate(sorted(files), start=1)}

    def number(found: re.Match[str]) -> str:
        return "chatcmpl-" + ids.setdefault(found[1], f"{CREATED:08x}{len(ids) + 1:016x}")

    def text(value: str) -> str:
        value = _CREATED.sub(str(CREATED), _COMPLETION.sub(number, value))
        for own, new in ids.items():  # ids of builtin calls begin with twelve digits of the answer's
            value = value.replace(own[:12], new[:12])
        for own, new in named.items():
            value = value.replace(own, new)
        return _ACCOUNT.sub(lambda found: f"{found[1] or found[2]}-MASKED", value)

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: CREATED if _is_time(key, item) else _BALANCE.get(key, walk(item)) for key, item in value.items()
            }
        if isinstance(value, list):
            return [walk(item) for item in value]
        return text(value) if isinstance(value, str) else value

    walked: list[Exchange] = [walk(exchange) for exchange in exchanges]
    for position, exchange in enumerate(walked, start=1):
        headers = exchange["response"]["headers"]
        if "msh-request-id" in headers:
            headers["msh-request-id"] = f"00000000-0000-11f1-8000-{position:012x}"
    return walked


def _json_answers(exchanges: Sequence[Exchange]) -> Iterator[Exchange]:
    bodies = (exchange["response"].get("json") for exchange in exchanges)
    return (body for body in bodies if isinstance(body, dict))


def _is_time(key: str, value: Any) -> bool:
    return key in ("created", "created_at") and isinstance(value, int) and value > 10**9


# Files.


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's, where PyYAML was built with it


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def read_file(path: Path) -> tuple[str, list[Exchange]]:
    """The source line and the exchanges of a cassette."""
    held = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)
    return held["source"], held["exchanges"]


def write_file(path: Path, source: str, exchanges: Sequence[Exchange]) -> None:
    text = yaml.dump(
        {"source": source, "exchanges": list(exchanges)}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


class Persister:
    """vcrpy's way to a file, for playing; nothing is ever saved through it."""

    @staticmethod
    def load_cassette(cassette_path: str | Path, serializer: object) -> tuple[list[Request], list[Exchange]]:
        path = Path(cassette_path)
        if not path.is_file():
            raise CassetteNotFoundError(f"{path} is not recorded")
        _, exchanges = read_file(path)
        requests = [_as_request(exchange["request"]) for exchange in exchanges]
        return requests, [_as_response(exchange["response"]) for exchange in exchanges]

    @staticmethod
    def save_cassette(cassette_path: str | Path, cassette_dict: object, serializer: object) -> None:
        """Recordings are written by `tests.record`, after they were checked."""


def register(recorder: vcr.VCR) -> None:
    """Teach vcrpy the form of the files and what makes two requests the same."""
    recorder.register_persister(Persister)
    recorder.register_matcher("same_request", same_request)


def _recorder(mode: str) -> vcr.VCR:
    recorder = vcr.VCR(record_mode=mode, match_on=["same_request"], decode_compressed_response=True)
    register(recorder)
    return recorder


@contextmanager
def playing(path: Path) -> Iterator[None]:
    """Answer every request from a cassette; none reaches the network.

    Raises:
        AssertionError: The cassette is not there, or has exchanges that were not played.
    """
    assert path.is_file(), f"{path} is not recorded"
    with _recorder("none").use_cassette(str(path)) as cassette:
        yield
    unplayed = [number for number in range(len(cassette)) if not cassette.play_counts[number]]
    assert not unplayed, f"exchanges {unplayed} of {path} were not played"


@contextmanager
def recording() -> Iterator[list[Exchange]]:
    """Let requests through, and hand out what was said once the block is left."""
    exchanges: list[Exchange] = []
    with _recorder("all").use_cassette("not-a-file.yaml") as cassette:
        yield exchanges
    exchanges[:] = normalised(
        [
            {"request": describe_request(request), "response": describe_response(response)}
            for request, response in cassette.data
        ]
    )
