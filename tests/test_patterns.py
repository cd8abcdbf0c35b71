"""Every regular expression reads what comes from outside in time that grows as its length does."""

from __future__ import annotations

import ast
import heapq
import importlib
import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kimi_wire import KimiRequestError
from kimi_wire.endpoints.formulas import check_uri

ROOT = Path(__file__).parent.parent
PACKAGES = ("kimi_wire", "langchain_kimi", "llama_index_kimi", "llama_index_conformance", "kimi_emulator")
# Functions that make patterns of names, and names to make them of.
MADE = {
    "kimi_emulator.brain.tools": {"named_pattern": ("get_weather", "a-a-a")},
    "kimi_emulator.brain.values": {"labelled_pattern": ("city", "user_name", "a_a_a_a_a_a")},
    "kimi_emulator.http.endpoints": {"path_pattern": ("/v1/models/{id}", "/v1/files/{id}/content")},
}
METHODS = ("search", "match", "fullmatch", "sub", "finditer", "findall", "split")

SHORT = range(12, 44, 4)  # four more are 16 times the time where it doubles with each
MIDDLE, LONG = 250, 4000
NOTHING = 0.02  # seconds of a processor; what takes less is no danger, and its ratios are noise
TOO_STEEP = 9.0  # four times the length is four times the time, and 16 times where that is quadratic


@dataclass(frozen=True)
class Use:
    """A pattern, and the method that it is used with."""

    place: str
    pattern: re.Pattern[Any]
    method: str

    def seconds(self, text: str) -> float:
        """The processor time of a reading, the least of some: other processes and threads do not count."""
        subject: Any = text if isinstance(self.pattern.pattern, str) else text.encode()
        read = getattr(self.pattern, self.method)
        arguments = (subject[:0], subject) if self.method == "sub" else (subject,)
        least = float("inf")
        for _ in range(3):
            begun = time.thread_time()
            found = read(*arguments)
            if self.method == "finditer":
                list(found)
            least = min(least, time.thread_time() - begun)
            if least < NOTHING:
                break
        return least


def all_uses() -> list[Use]:
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return list(dict.fromkeys(use for path in paths for use in uses_in(path)))


def uses_in(path: Path) -> Iterator[Use]:
    """The patterns of a module: those it compiles when it is imported, and those it writes where they are used."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    source = path.read_text("utf-8")
    tree = ast.parse(source)
    named = 0
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and (calls := compilations(statement)):
            named += calls
            target = statement.targets[0]
            assert isinstance(target, ast.Name)
            methods = set(re.findall(rf"\b{target.id}\.({'|'.join(METHODS)})\(", source)) or {"search"}
            value = getattr(importlib.import_module(name), target.id)
            for pattern, method in itertools.product(patterns_of(value), sorted(methods)):
                yield Use(f"{name}.{target.id}", pattern, method)
    for function, arguments in MADE.get(name, {}).items():
        made = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == function)
        named += compilations(made)
        for argument, method in itertools.product(arguments, ("search", "sub", "fullmatch")):
            yield Use(f"{name}.{function}", getattr(importlib.import_module(name), function)(argument), method)
    assert named == compilations(tree), f"{name} compiles a pattern elsewhere than in a constant"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in METHODS:
            written = node.args[0]
            assert isinstance(written, ast.Constant), f"{name}, line {node.lineno}: compile this pattern in a constant"
            yield Use(f"{name}, line {node.lineno}", re.compile(written.value), called(node))


def called(call: ast.Call) -> str:
    """What of `re` is called; "" where it is something else."""
    function = call.func
    of_re = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "re"
    return function.attr if of_re and isinstance(function, ast.Attribute) else ""


def compilations(tree: ast.AST) -> int:
    return sum(isinstance(node, ast.Call) and called(node) == "compile" for node in ast.walk(tree))


def patterns_of(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from patterns_of(item)


def attacks(pattern: re.Pattern[Any]) -> Iterator[tuple[str, str]]:
    """Beginnings, and what to repeat after them: the pattern's own signs and words, and what its classes are of."""
    written = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    signs = ["a", "0", " ", "\n", *sorted({*re.sub(r"[\w\s\\]", "", written)} - {*"()?*+|{}[]^"})[:8]]
    words = sorted({*re.findall(r"[A-Za-z]{2,}", written)})[:6]
    pieces = [*signs, *map("".join, itertools.permutations(signs, 2)), *words, *(f"{word} " for word in words)]
    beginnings = ["", *(f"{word}{sign}" for word in words for sign in ("", "-", " "))]
    return itertools.product(beginnings, pieces)


def too_slow(use: Use) -> str | None:
    """What text is read too slowly, if one is."""
    found = list(attacks(use.pattern))
    for length, (beginning, piece) in itertools.product(SHORT, found):
        if (seconds := use.seconds(f"{beginning}{piece * length}\0")) > NOTHING:
            return f"{use.place}: {seconds:.3f} s for {length} times {piece!r} after {beginning!r}"
    worst = heapq.nlargest(5, found, key=lambda attack: use.seconds(f"{attack[0]}{attack[1] * MIDDLE}\0"))
    for beginning, piece in worst:
        before, length = use.seconds(f"{beginning}{piece * MIDDLE}\0"), 4 * MIDDLE
        while length <= 4 * LONG:
            seconds = use.seconds(f"{beginning}{piece * length}\0")
            if seconds > max(NOTHING, TOO_STEEP * before):
                return f"{use.place}: {seconds / before:.0f} times the time for 4 times {piece!r} after {beginning!r}"
            before, length = seconds, 4 * length
    return None


@pytest.mark.slow
@pytest.mark.parametrize("use", all_uses(), ids=lambda use: f"{use.place}, {use.method}")
def test_no_text_takes_a_pattern_long(use: Use) -> None:
    assert too_slow(use) is None


@pytest.mark.parametrize(
    ("pattern", "method"),
    [
        (r"[A-Za-z0-9_](?:[.-]?[A-Za-z0-9_]+)*/x", "fullmatch"),
        (r"(?:a|a)*b", "match"),
        (r"(\d+)*x", "search"),
        (r"\s+$", "search"),
        (r"<.*>", "sub"),
        (r"[a-z]*\"x", "findall"),
        (rb"(?:0|00)+x", "match"),
    ],
)
def test_a_slow_pattern_is_found(pattern: Any, method: str) -> None:
    assert too_slow(Use("here", re.compile(pattern), method))


@pytest.mark.parametrize("uri", ["a" * 100_000, "a-" * 50_000, "a/" + "a" * 100_000, "a/a:" + "a.a" * 30_000 + "-"])
def test_a_long_uri_is_refused_at_once(uri: str) -> None:
    begun = time.thread_time()
    with pytest.raises(KimiRequestError, match="is not the uri of a formula"):
        check_uri(uri)
    assert time.thread_time() - begun < 1.0


@pytest.mark.parametrize("uri", ["moonshot/web-search:latest", "a/b:c", "_/0:_", "a.b-c/d_e.f:1.2-x"])
def test_a_uri_is_taken(uri: str) -> None:
    assert check_uri(uri) == uri


@pytest.mark.parametrize("uri", ["a--b/c:d", "a/b:.c", "a/b:c-", "-a/b:c", "a/b", "a:b", "a/b:c/d", "a/b:c\n", "ä/b:c"])
def test_another_form_is_refused(uri: str) -> None:
    with pytest.raises(KimiRequestError, match="is not the uri of a formula"):
        check_uri(uri)
