"""Writes the pages of golden requests, from what the code sends: `python -m tests.golden.pages`, or `make golden`."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import HumanMessage, SystemMessage
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock, VideoBlock
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program import FunctionCallingProgram, LLMTextCompletionProgram
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel

from kimi_emulator import KimiEmulator, Upload
from kimi_emulator.families import MODELS as SERVED
from kimi_wire import KimiError, KimiWarning
from kimi_wire.profiles import FAMILIES, Profile, profile_for
from langchain_kimi import ChatKimi, KimiWebSearch
from llama_index_kimi import Kimi, KimiWebSearchToolSpec
from tests.conversations import CLOCK, WEATHER, to_langchain, to_llama_index
from tests.families import facts
from tests.golden.cases import FOREIGN, MODELS, PAGES, UNLISTED, Case, Page
from tests.media_samples import MP4, b64
from tests.media_samples import PNG as PICTURE

FOLDER = Path(__file__).parent
KEY = "sk-golden"
WIDTH = 110

BOOKING = {
    "type": "function",
    "function": {
        "name": "book_table",
        "description": "Book a table.",
        "parameters": {
            "type": "object",
            "properties": {
                "at": {"type": "string", "format": "date-time"},
                "code": {"type": "string", "pattern": "^[A-Z]{3}$"},
                "seats": {"oneOf": [{"type": "integer", "minimum": 1}, {"const": "all"}]},
                "guest": {"$ref": "#/$defs/Guest"},
            },
            "required": ["at"],
            "additionalProperties": False,
            "$defs": {"Guest": {"type": "object", "properties": {"name": {"type": "string"}}}},
        },
    },
}


TICKETS = {
    "type": "function",
    "function": {
        "name": "查询/tickets.search",
        "description": "Search tickets.",
        "parameters": {"type": "object", "properties": {}},
    },
}


class City(BaseModel):
    """A city."""

    name: str
    country: str


def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"Sunny in {city}."


GIVEN = {
    "WEATHER": WEATHER,
    "CLOCK": CLOCK,
    "BOOKING": BOOKING,
    "TICKETS": TICKETS,
    "City": City,
    "get_weather": get_weather,
}
LANGCHAIN = {
    **GIVEN,
    "text": {"type": "text", "text": "What is it?"},
    "LOADING": [
        HumanMessage("What is the weather in Oslo?"),
        SystemMessage("", additional_kwargs={"tools": [WEATHER]}),
    ],
    "HumanMessage": HumanMessage,
    "SystemMessage": SystemMessage,
    "KimiWebSearch": KimiWebSearch,
    "PNG": b64(PICTURE),
    "MP4": b64(MP4),
}
LLAMA_INDEX = {
    **GIVEN,
    "text": TextBlock(text="What is it?"),
    "LOADING": [
        ChatMessage("What is the weather in Oslo?"),
        ChatMessage(role="system", content=None, additional_kwargs={"tools": [WEATHER]}),
    ],
    "ChatMessage": ChatMessage,
    "ImageBlock": ImageBlock,
    "VideoBlock": VideoBlock,
    "FunctionTool": FunctionTool,
    "PromptTemplate": PromptTemplate,
    "PydanticOutputParser": PydanticOutputParser,
    "FunctionCallingProgram": FunctionCallingProgram,
    "LLMTextCompletionProgram": LLMTextCompletionProgram,
    "KimiWebSearchToolSpec": KimiWebSearchToolSpec,
    "PNG": PICTURE,
    "MP4": MP4,
}
"""The names that the calls may use."""


@dataclass(frozen=True)
class Sent:
    """What came of a call.

    Attributes:
        body: The body as it reached the server; None where nothing was sent.
        notes: What the caller was told: warnings, or the error in place of a request.
    """

    body: Mapping[str, Any] | None
    notes: tuple[str, ...]

    def of_any(self, model: str) -> Sent:
        """The same without the model's name, to be compared between families."""
        family = profile_for(model).family
        notes = tuple(note.replace(model, "*").replace(family, "*") for note in self.notes)
        return Sent(self.body and {**self.body, "model": "*"}, notes)


class Host:
    """The server that the calls reach: as strict as Moonshot's to its models, and lenient to a foreign one."""

    def __init__(self, strict: KimiEmulator, lenient: KimiEmulator) -> None:
        self._strict, self._lenient = strict, lenient
        strict.uploads["picture-1"] = Upload("picture-1", "a.png", "image", "image/png", PICTURE)

    def send(self, case: Case, model: str) -> tuple[Sent, Sent]:
        """Make a case's call of a model through both adapters."""
        kimi = self._lenient if model == FOREIGN else self._strict
        given = {"model": model, "base_url": kimi.base_url, "api_key": KEY, "max_retries": 0}
        langchain = {**LANGCHAIN, "messages": [to_langchain(message) for message in case.messages]}
        llama_index = {**LLAMA_INDEX, "messages": [to_llama_index(message) for message in case.messages]}
        return (
            _listen(kimi, lambda: eval(case.langchain, {**langchain, "model": ChatKimi(**given)})),
            _listen(kimi, lambda: eval(case.llama_index, {**llama_index, "llm": Kimi(**given)})),
        )


@contextmanager
def listening() -> Iterator[Host]:
    """The server, while it runs."""
    with KimiEmulator(extra_models={UNLISTED: SERVED[0].family.name}) as strict, KimiEmulator(check=False) as lenient:
        yield Host(strict, lenient)


def _listen(kimi: KimiEmulator, ask: Callable[[], Any]) -> Sent:
    before, refusal = len(kimi.requests), None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KimiWarning)
        try:
            ask()
        except (KimiError, ValueError) as error:  # what is wrong with an answer is no matter of these pages
            refusal = error
    if len(kimi.requests) == before:
        return Sent(None, (f"Not sent, `{type(refusal).__name__}`: {refusal}",))
    (request,) = kimi.requests[before:]
    assert not request.rejected, request.error
    return Sent(request.body, tuple(f"Warned: {warning.message}" for warning in caught))


def render(page: Page, host: Host) -> str:
    """Write a page.

    Args:
        page: Its cases.
        host: Where their calls go.

    Returns:
        Its text, in Markdown.
    """
    parts = [f"# {page.title}", "Written by `make golden`; how to read it: [README.md](README.md)."]
    for case in page.cases:
        parts += [f"## {case.title}", case.says, _fence("python", f"{case.langchain}\n{case.llama_index}")]
        if case.differs:
            parts.append(f"Where the two differ: {case.differs}")
        parts += _render_families(case, host)
    return "\n\n".join(parts) + "\n"


def _render_families(case: Case, host: Host) -> Iterator[str]:
    """What goes out, once for all families that are sent the same but for the model's name."""
    alike: dict[str, tuple[list[str], tuple[Sent, Sent]]] = {}
    for model in MODELS:
        both = host.send(case, model)
        models, _ = alike.setdefault(repr([sent.of_any(model) for sent in both]), ([], both))
        models.append(model)
    differing = [models for models, (first, second) in alike.values() if first != second]
    if differing and not case.differs:
        raise ValueError(
            f"{case.title}: LangChain and LlamaIndex send different bodies for {differing}; why not the same?"
        )
    if case.differs and not differing:
        raise ValueError(
            f"{case.title}: LangChain and LlamaIndex send the same; take `differs` out of tests/golden/cases.py"
        )
    for models, (first, second) in alike.values():
        yield f"### {', '.join(models)}"
        if first == second:
            yield from _render_sent(first)
        else:
            yield from ("LangChain:", *_render_sent(first), "LlamaIndex:", *_render_sent(second))


def _render_sent(sent: Sent) -> Iterator[str]:
    yield from sent.notes
    if sent.body is not None:
        yield _fence("json", write_json(sent.body))


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text}\n```"


def write_json(value: Any, indent: str = "") -> str:
    """JSON in as few lines as can be read: what fits into one line stands in one, but for the body itself."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or (indent and len(indent) + len(line) <= WIDTH):
        return line
    inner = indent + "  "
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {write_json(item, inner)}" for key, item in value.items()]
    else:
        items = [write_json(item, inner) for item in value]
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(items) + f"\n{indent}{last}"


README = """# Golden requests

What goes to Kimi for each family and each capability: the exact JSON bodies, as today's code sends them and a server gets
them.

- Each page is a capability, each section a call: its first line is LangChain's, where `model` is `ChatKimi(model=...)`; the
  rest is LlamaIndex's, where `llm` is `Kimi(model=...)`. Both send the same, or the section says why not. `WEATHER`,
  `CLOCK`, `BOOKING` and `TICKETS` are tools in the API's form; `messages` is a conversation and `text` a block of text, as the body
  has them.
- Under a call, families that are sent the same stand together; the body shows the first one's name. `kimi-k9` is a Kimi
  model that no table knows, `glm-5` somebody else's.
- "Not sent" is the error that comes in place of a request, "Warned" what the caller is told beside it.

`make golden` writes the pages. A test fails where they are not what is sent: read the difference, and write them anew if you
meant it. A call is a row in `cases.py`.

## Pages

{pages}

## Families that have a model on the pages

{families}
"""


def model_of(profile: Profile) -> str:
    """The model on the pages whose facts are a family's."""
    own = [model for model in MODELS if profile_for(model) is profile]
    alike = [model for model in MODELS if facts(profile_for(model)) == facts(profile)]
    return (own or alike)[0]


def render_readme() -> str:
    """Write the page of pages."""
    pages = (
        f"- [{page.title}]({name}.md): {'; '.join(case.title[0].lower() + case.title[1:] for case in page.cases)}"
        for name, page in PAGES.items()
    )
    families = (f"| {profile.family} | {model_of(profile)} |" for profile in FAMILIES)
    table = "\n".join(["| family | shown by |", "|---|---|", *families])
    return README.format(pages="\n".join(pages), families=table)


def render_page(name: str) -> str:
    """Write one page.

    Args:
        name: `README`, or the name of a page.
    """
    if name == "README":
        return render_readme()
    with listening() as host:
        return render(PAGES[name], host)


NAMES = ("README", *PAGES)


def path_of(name: str) -> Path:
    """Where a page stands."""
    return FOLDER / f"{name}.md"


if __name__ == "__main__":
    for path in FOLDER.glob("*.md"):
        if path.stem not in NAMES:
            path.unlink()
    for name in NAMES:
        path_of(name).write_text(render_page(name), encoding="utf-8")
