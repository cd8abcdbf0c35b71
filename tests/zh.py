"""The Chinese pages beside the English ones which they say again: `make tables`, and `make zh` once one is translated.

A page of `docs/zh/` has the sections, fences, tables and links of its English twin, in the same order; only what people
read is in Chinese. `differences` finds what is not so. Whether the words still say the same, nobody can compute: so
`translated.json` keeps what each English section was when its translation was last read.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.examples import ROOT, Fence, anchor, fence_spans, fences, without_fences

RECORD = Path(__file__).parent / "translated.json"
FOLDER = ROOT / "docs" / "zh"
ENGLISH = {
    page: ROOT / "README.md" if page.name == "README.md" else ROOT / "docs" / page.name
    for page in sorted(FOLDER.glob("*.md"))
}
"""The Chinese pages, and what each of them is made from."""

PHRASES = {
    "family": "系列",
    "context": "上下文",
    "most output": "最大输出",
    "input": "输入",
    "thinking": "思考",
    "sampling": "采样",
    "forced tool call": "强制工具调用",
    "served until": "服务截止",
    "source of the context": "上下文来源",
    "text": "文本",
    "text, images": "文本、图片",
    "text, images, video": "文本、图片、视频",
    "always": "始终",
    "always, `reasoning_effort=`": "始终，`reasoning_effort=`",
    "never": "不支持",
    "fixed": "固定",
    "free": "可调",
    "as `required`": "发送 `required`",
    "thinking off, or as JSON": "关闭思考，或写成 JSON",
    "as JSON under its schema": "按 schema 写成 JSON",
    "asked for, and checked": "提出要求，并检查结果",
    "no tools": "不支持工具",
    "small invoke": "小请求 invoke",
    "astream, over aiohttp where that is installed": "astream，装有 aiohttp 时经由它",
    "stream, summed": "stream，累加成消息",
    "tool-argument deltas": "工具参数增量",
    "request with 300 tool-call turns": "含 300 轮工具调用的请求",
    "500 async calls, 100 at a time, over aiohttp where that is installed": "500 次异步调用，并发 100，装有 aiohttp 时经由它",
    "500 async calls, 100 at a time, over httpx": "500 次异步调用，并发 100，经由 httpx",
    "here": "本项目",
    "By its own or another name": "同名或另有名称",
    "Taken with one value": "只接受一个值",
    "Left out of a call, with a warning; in a constructor an error": "调用时略去并警告；构造时报错",
    "An error that says what to write": "报错并说明该怎么写",
    "What every model of the framework has": "框架里每个模型都有的",
    'its `effort`: `reasoning_effort="low"`': '取其中的 `effort`：`reasoning_effort="low"`',
    "settings count as themselves, the rest goes into `extra_body`": "其中的设置各归其位，其余放进 `extra_body`",
    "something else: to raise where a setting would be left out with a warning": (
        "另有含义：原本会警告并略去的设置改为报错"
    ),
    "the same": "相同",
    "the same, with a call": "相同，调用时给",
    "`True` is how it is anyway.": "本来就是 `True`。",
    "`False` is how it is anyway.": "本来就是 `False`。",
    "Usage is always asked for; without it: extra_body={'stream_options': {'include_usage': False}}.": (
        "总会请求用量；不要的话：extra_body={'stream_options': {'include_usage': False}}。"
    ),
    "Call chat or complete in place of their streaming twins.": "不用流式就调用 chat 或 complete。",
    "Kimi has chat completions only; leave it out.": "Kimi 只有 Chat Completions；去掉即可。",
    "The request's id is kept as request_id, other headers are not.": "请求 id 保留为 request_id，其他响应头不保留。",
    "An object has a client of its own; for connections of yours give http_client and http_async_client.": (
        "每个对象有自己的客户端；要用你自己的连接，给 http_client 和 http_async_client。"
    ),
    "Every Kimi model is a chat model; leave it out.": "Kimi 的模型都是聊天模型；去掉即可。",
    "The model's family says so; leave it out, and give no tools where none are wanted.": (
        "由模型系列决定；去掉即可，不想用工具就不给工具。"
    ),
    "The model's family says how objects are asked for; leave it out.": "怎样请求对象由模型系列决定；去掉即可。",
    "Kimi has no reproducible sampling.": "Kimi 的采样不可复现。",
    "Use safety_identifier.": "用 safety_identifier。",
    "The server refuses it.": "服务端会拒绝。",
    "Use tools.": "用 tools。",
    "Use tool_choice.": "用 tool_choice。",
    "How long the cache keeps a request is prompt_cache_ttl='5m' or '1h'.": (
        "缓存保留多久用 prompt_cache_ttl='5m' 或 '1h'。"
    ),
    "Give it the tool KimiWebSearch or KimiWebSearchToolSpec.": "给它 KimiWebSearch 或 KimiWebSearchToolSpec 这个工具。",
    "Kimi answers in text alone.": "Kimi 只以文本作答。",
    "Kimi has no such setting.": "Kimi 没有这项设置。",
    "The key says whose request it is; a header of your own goes into default_headers.": (
        "密钥已表明是谁的请求；自己的请求头放进 default_headers。"
    ),
    "Give http_client and http_async_client, httpx clients with that proxy.": (
        "给 http_client 和 http_async_client，即设了该代理的 httpx 客户端。"
    ),
    "Give http_client and http_async_client, httpx clients with those params.": (
        "给 http_client 和 http_async_client，即带这些 params 的 httpx 客户端。"
    ),
    "Give http_client and http_async_client, httpx clients with those socket options.": (
        "给 http_client 和 http_async_client，即带这些套接字选项的 httpx 客户端。"
    ),
    "What a model does not take is left out anyway; leave it out.": "模型不接受的本来就会略去；去掉即可。",
    "Tokens are counted without tiktoken; leave it out.": "计数不用 tiktoken；去掉即可。",
    "The API has one version, at the end of its base_url; leave it out.": (
        "API 只有一个版本，在 base_url 的末尾；去掉即可。"
    ),
    "Give KimiTokenizer where LlamaIndex counts: Settings.tokenizer, a memory, a splitter.": (
        "在 LlamaIndex 计数的地方给 KimiTokenizer：Settings.tokenizer、记忆、切分器。"
    ),
    "Call stream, in LlamaIndex stream_chat or stream_complete.": (
        "调用 stream，在 LlamaIndex 里是 stream_chat 或 stream_complete。"
    ),
    "To send it to such a host: extra_body={'top_k': ...}.": "要发给支持它的服务端：extra_body={'top_k': ...}。",
    "To send it to such a host: extra_body={'min_p': ...}.": "要发给支持它的服务端：extra_body={'min_p': ...}。",
    "To send it to such a host: extra_body={'repetition_penalty': ...}.": (
        "要发给支持它的服务端：extra_body={'repetition_penalty': ...}。"
    ),
    "To send it to such a host: extra_body={'chat_template_kwargs': ...}.": (
        "要发给支持它的服务端：extra_body={'chat_template_kwargs': ...}。"
    ),
    "ChatKimi's constructor takes it; with a call it is config={'run_name': ...}.": (
        "ChatKimi 构造时可给；调用时是 config={'run_name': ...}。"
    ),
    "ChatKimi's constructor takes it, and a call's config.": "ChatKimi 构造时可给，调用时放进 config。",
    "In LlamaIndex it is callback_manager.": "在 LlamaIndex 里是 callback_manager。",
    "ChatKimi's constructor takes it.": "ChatKimi 构造时可给。",
    "In LlamaIndex there is context_window.": "在 LlamaIndex 里有 context_window。",
    "LlamaIndex's messages have blocks anyway.": "LlamaIndex 的消息本来就由块组成。",
    "LlamaIndex counts with Settings.tokenizer.": "LlamaIndex 用 Settings.tokenizer 计数。",
    "In LlamaIndex call stream_chat or stream_complete.": "在 LlamaIndex 里调用 stream_chat 或 stream_complete。",
    "Both constructors take it; no call does.": "两个类构造时都可给；调用时不可以。",
    "Kimi's constructor takes it; in LangChain it is callbacks.": "Kimi 构造时可给；在 LangChain 里是 callbacks。",
    "Kimi's constructor takes it; in LangChain it is the first message.": (
        "Kimi 构造时可给；在 LangChain 里是第一条消息。"
    ),
    "Kimi's constructor takes it; in LangChain a prompt template comes before the model.": (
        "Kimi 构造时可给；在 LangChain 里是模型之前的提示词模板。"
    ),
    "Kimi's constructor takes it; in LangChain it comes after the model.": (
        "Kimi 构造时可给；在 LangChain 里接在模型之后。"
    ),
    "Kimi's constructor takes it; LangChain has with_structured_output(method=...).": (
        "Kimi 构造时可给；LangChain 有 with_structured_output(method=...)。"
    ),
    "Kimi's constructor takes it; ChatKimi says it in profile.": "Kimi 构造时可给；ChatKimi 写在 profile 里。",
}
"""What the generated tables say: a cell, a sentence of one, a heading. What is not here stays as it is."""

GENERATED = re.compile(
    r"^(?P<begin><!-- (?:\w+: make tables|benchmarks) -->)\n(?P<block>.*?)^(?P<end><!-- (?:end of \w+|/benchmarks) -->)$",
    re.M | re.S,
)
_CHINESE = re.compile(r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_SPAN = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Section:
    """A heading, and what stands under it up to the next one.

    Attributes:
        level: One for the page's title.
        title: The heading's text.
        body: The rest.
    """

    level: int
    title: str
    body: str

    @property
    def prose(self) -> str:
        """The body without its fences."""
        return without_fences(self.body)

    @property
    def tables(self) -> list[list[list[str]]]:
        """The cells of its tables, row by row."""
        found: list[list[list[str]]] = []
        inside = False
        for line in self.prose.splitlines():
            if line.startswith("|"):
                found += [] if inside else [[]]
                found[-1].append(cells(line))
            inside = line.startswith("|")
        return found


def cells(row: str) -> list[str]:
    """The cells of a table's row; a bar behind a backslash divides none."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", row.strip().removeprefix("|").removesuffix("|"))]


def sections(text: str) -> list[Section]:
    """Divide a page at its headings; what looks like one in a fence is none."""
    fenced = fence_spans(text)
    heads = [
        found
        for found in re.finditer(r"^(#+) (.+)$", text, re.M)
        if not any(start < found.start() < end for start, end in fenced)
    ]
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [Section(len(head[1]), head[2], text[head.end() : end]) for head, end in zip(heads, ends, strict=True)]


# What a translation may not change.


def differences(page: Path, chinese: str, english: str) -> list[str]:
    """Say what a Chinese page has otherwise than its English twin; empty where only the words differ.

    Args:
        page: The Chinese page.
        chinese: Its text.
        english: The English text.
    """
    ours, theirs = sections(chinese), sections(english)
    if [section.level for section in ours] != [section.level for section in theirs]:
        titles = " · ".join(section.title for section in theirs)
        return [f"other headings than {titles}"]
    return [
        f"{own.title} ({other.title}): {what}"
        for own, other in zip(ours, theirs, strict=True)
        for what in [
            *_other_fences(fences(own.body), fences(other.body)),
            *_other_tables(own.tables, other.tables),
            *_other_links(page, own.body, other.body),
            *(f"`{span}` is not there" for span in sorted(_spans(other.prose) - _spans(own.prose))),
        ]
    ]


def _other_fences(ours: list[Fence], theirs: list[Fence]) -> Iterator[str]:
    if len(ours) != len(theirs):
        yield f"{len(ours)} fences and not {len(theirs)}"
    for number, (own, other) in enumerate(zip(ours, theirs, strict=False), 1):
        if (own.language, own.compiled_only, own.needs) != (other.language, other.compiled_only, other.needs):
            yield f"fence {number} is marked otherwise"
        elif not same_code(own, other):
            yield f"fence {number} has other code"


def same_code(own: Fence, other: Fence) -> bool:
    """Whether a Chinese fence does what the English does: comments and texts with Chinese in them may differ."""
    if own.language == "python":
        return _same(ast.parse(own.code), ast.parse(other.code))
    if own.language == "bash":
        return shlex.split(own.code, comments=True) == shlex.split(other.code, comments=True)
    return own.code == other.code


def _same(own: Any, other: Any) -> bool:
    if isinstance(own, ast.Constant) and isinstance(own.value, str) and _CHINESE.search(own.value):
        return isinstance(other, ast.Constant) and isinstance(other.value, str)
    if isinstance(own, ast.JoinedStr) and isinstance(other, ast.JoinedStr) and _CHINESE.search(ast.unparse(own)):
        return _put_in(own) == _put_in(other)
    if isinstance(own, ast.AST):
        return type(own) is type(other) and all(_same(getattr(own, name), getattr(other, name)) for name in own._fields)
    if isinstance(own, list):
        return len(own) == len(other) and all(map(_same, own, other))
    return type(own) is type(other) and own == other


def _put_in(text: ast.JoinedStr) -> Counter[str]:
    """What an f-string puts into its text, in whatever order the language wants."""
    return Counter(ast.dump(value) for value in text.values if isinstance(value, ast.FormattedValue))


def _other_tables(ours: list[list[list[str]]], theirs: list[list[list[str]]]) -> Iterator[str]:
    if [[len(row) for row in table] for table in ours] != [[len(row) for row in table] for table in theirs]:
        yield "other tables, rows or columns"
        return
    for own, other in zip(ours, theirs, strict=True):
        for row, english in zip(own, other, strict=True):
            if [Counter(_SPAN.findall(cell)) for cell in row] != [Counter(_SPAN.findall(cell)) for cell in english]:
                yield f"other code in the row of {english[0]}"


def _spans(text: str) -> set[str]:
    return set(_SPAN.findall(text))


def _other_links(page: Path, ours: str, theirs: str) -> Iterator[str]:
    own = Counter(_resolved(page, target) for target in _LINK.findall(ours))
    wanted = Counter(_twin(_resolved(ENGLISH[page], target)) for target in _LINK.findall(theirs))
    for target in sorted((wanted - own).keys()):
        yield f"no link to {target}"
    for target in sorted((own - wanted).keys()):
        yield f"a link to {target}"


def _resolved(page: Path, target: str) -> str:
    """Where a page's link leads to, from the root."""
    if re.match(r"https?:", target):
        return target
    path, mark, heading = target.partition("#")
    found = (page.parent / path).resolve() if path else page
    return f"{found.relative_to(ROOT).as_posix()}{mark}{heading}"


def _twin(target: str) -> str:
    """Where a link of an English page leads to in Chinese: to the page's twin, where it has one."""
    path, mark, heading = target.partition("#")
    twins = {**{english: chinese for chinese, english in ENGLISH.items()}, **ENGLISH}
    twin = None if re.match(r"https?:", target) else twins.get(ROOT / path)
    if twin is None:
        return target
    if heading:
        places = [anchor(section.title) for section in sections((ROOT / path).read_text("utf-8"))]
        heading = anchor(sections(twin.read_text("utf-8"))[places.index(heading)].title)
    return f"{twin.relative_to(ROOT).as_posix()}{mark}{heading}"


# What is written by a program.


def in_chinese(block: str) -> str:
    """Say a generated block in Chinese, line by line."""
    lines = []
    for line in block.splitlines():
        if line.startswith("| "):
            line = f"| {' | '.join(map(_said, cells(line)))} |"
        elif line.startswith("#"):
            marks, _, title = line.partition(" ")
            line = f"{marks} {_said(title)}"
        lines.append(line)
    return "".join(f"{line}\n" for line in lines)


def _said(text: str) -> str:
    """Say a cell in Chinese: as a whole, or sentence by sentence."""
    sentences = [PHRASES.get(sentence, sentence) for sentence in re.split(r"(?<=\.) ", text)]
    return PHRASES.get(text) or "".join(sentences).replace("`, `", "`、`")


def insert(page: Path) -> str:
    """The text of a Chinese page with the generated blocks of its English twin, said in Chinese."""
    blocks = {found["begin"]: found["block"] for found in GENERATED.finditer(ENGLISH[page].read_text("utf-8"))}
    return GENERATED.sub(
        lambda found: f"{found['begin']}\n{in_chinese(blocks[found['begin']])}{found['end']}", page.read_text("utf-8")
    )


def state(english: str) -> dict[str, str]:
    """What stands in each section of an English page, as a short hash: lines broken otherwise, and what is generated, are no change."""
    return {
        section.title: hashlib.sha256(" ".join(section.body.split()).encode()).hexdigest()[:12]
        for section in sections(GENERATED.sub("", english))
    }


def states() -> dict[str, dict[str, str]]:
    """The same of all pages that are translated, by the Chinese page's name."""
    return {page.name: state(english.read_text("utf-8")) for page, english in ENGLISH.items()}


if __name__ == "__main__":
    for page in ENGLISH:
        page.write_text(insert(page), encoding="utf-8")
    if "--translated" in sys.argv:
        RECORD.write_text(json.dumps(states(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
