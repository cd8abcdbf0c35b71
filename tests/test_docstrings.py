"""Docstrings name what a caller needs to know, and their examples run."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from kimi_emulator import KimiEmulator
from tests.examples import ROOT, fences, is_test, run_here, run_tests
from tests.media_samples import png
from tests.test_architecture import MODULES, PACKAGES

# The conformance suite is subclassed: its hooks, fixtures and tests are called by itself and by pytest.
CALLED_BY_USERS = [package for package in PACKAGES if package != "llama_index_conformance"]

# A twin has its other's arguments, results and errors.
TWIN = re.compile(r"(The asynchronous|The synchronous) twin of `\w+`")


@dataclass(frozen=True)
class Callable:
    """What users can call: an exported class or function, or a public method of such a class.

    Attributes:
        name: Where it is found.
        docstring: Of a class, those of the classes of this project that it is made of, and of their constructors.
        parameters: Without `self` and `cls`. A class has those of its constructor, where that is written here.
        returns: Whether it gives something that has to be described.
    """

    name: str
    docstring: str
    parameters: tuple[str, ...]
    returns: bool


def is_ours(thing: Any) -> bool:
    return thing.__module__.partition(".")[0] in PACKAGES


def public() -> Iterator[Callable]:
    for package in CALLED_BY_USERS:
        module = import_module(package)
        for name in module.__all__:
            thing = getattr(module, name)
            if inspect.isfunction(thing):
                node = definition(thing, thing.__name__)
                yield Callable(f"{package}.{name}", inspect.getdoc(thing) or "", arguments(node), returns(node))
            elif inspect.isclass(thing):
                yield constructor(f"{package}.{name}", thing)
                yield from methods(f"{package}.{name}", thing)


def constructor(name: str, owner: type) -> Callable:
    bases = [base for base in owner.__mro__ if is_ours(base)]
    holder = next(base for base in owner.__mro__ if "__init__" in vars(base))
    texts = [inspect.cleandoc(base.__doc__ or "") for base in bases]
    if not is_ours(holder):
        return Callable(name, "\n".join(texts), (), returns=False)
    if is_dataclass(holder):
        return Callable(name, "\n".join(texts), tuple(field.name for field in fields(holder)), returns=False)
    texts.append(inspect.getdoc(holder.__init__) or "")  # type: ignore[misc]
    return Callable(name, "\n".join(texts), arguments(definition(holder, "__init__", holder)), returns=False)


def methods(where: str, owner: type) -> Iterator[Callable]:
    """The public methods that are written in this project, those that override a framework's too.

    One that overrides a framework's and takes nothing has the framework's contract: its first line is enough.
    """
    for name in dir(owner):
        holder = next((base for base in owner.__mro__ if name in vars(base)), None)
        if name.startswith("_") or holder is None or not is_ours(holder):
            continue
        thing = vars(holder)[name]
        if inspect.isfunction(getattr(thing, "__func__", thing)):
            node = definition(holder, name, holder)
            if node is None:
                continue
            overrides = any(name in vars(base) for base in owner.__mro__ if not is_ours(base))
            told = returns(node) and not (overrides and not arguments(node))
            yield Callable(f"{where}.{name}", ast.get_docstring(node) or "", arguments(node), told)


def definition(thing: Any, name: str, owner: type | None = None) -> Any:
    """A function as it is written: core's decorators hide what a method takes. None for what pydantic has made."""
    tree: Any = ast.parse(inspect.getsource(sys.modules[thing.__module__]))
    if owner is not None:
        tree = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner.__name__)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name]
    written = [node for node in found if "overload" not in map(ast.unparse, node.decorator_list)]
    return written[0] if written else None


def arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[str, ...]:
    given = node.args
    every = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return tuple(one.arg for one in every if one is not None and one.arg not in ("self", "cls"))


def returns(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return node.returns is not None and ast.unparse(node.returns) not in ("None", "NoReturn")


def sections(docstring: str) -> defaultdict[str, str]:
    """The parts of a docstring by their titles; of those of one title all together."""
    parts = re.split(r"^(\w+):\n", docstring, flags=re.MULTILINE)
    found: defaultdict[str, str] = defaultdict(str)
    for title, text in zip(parts[1::2], parts[2::2], strict=True):
        found[title] += text
    return found


@pytest.mark.parametrize("one", [*public()], ids=lambda one: one.name)
def test_docstrings_name_arguments_and_results(one: Callable) -> None:
    assert one.docstring
    if TWIN.match(one.docstring):
        return
    found = sections(one.docstring)
    named = re.findall(r"^    \*{0,2}(\w+):", found["Args"] + found["Attributes"], re.MULTILINE)
    assert set(one.parameters) <= set(named)
    assert not one.returns or found["Returns"] or found["Yields"]


def examples() -> Iterator[tuple[str, list[str]]]:
    """The examples of every docstring, public or not: where it stands, and its blocks in their order."""
    for path in MODULES.values():
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
                text = "\n".join(textwrap.dedent(part) for part in split_at_fences(ast.get_docstring(node) or ""))
                blocks = [fence.code for fence in fences(text) if fence.language == "python"]
                if blocks:
                    yield f"{path.relative_to(ROOT).as_posix()}:{getattr(node, 'name', '')}", blocks


def split_at_fences(docstring: str) -> list[str]:
    """A docstring in pieces of one indentation each: its fences, and what is between them."""
    return re.split(r"\n(?=[ ]*```\w)|(?<=```)\n", docstring)


EXAMPLES = list(examples())


# llama-index-workflows 2.26 inspects every attribute of an agent, pydantic's deprecated ones included.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
@pytest.mark.parametrize(("where", "blocks"), EXAMPLES, ids=[where for where, _ in EXAMPLES])
def test_examples_run(
    kimi: KimiEmulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str, blocks: list[str]
) -> None:
    from llama_index.core import Settings

    monkeypatch.setattr(Settings, "_tokenizer", None)  # one example sets it
    monkeypatch.setenv("MOONSHOT_API_KEY", "sk-docstring")
    monkeypatch.setenv("MOONSHOT_BASE_URL", kimi.base_url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports").mkdir()
    for name in ("report.md", "reports/moon.md"):
        (tmp_path / name).write_text("The Moon has ice at its poles.", "utf-8")
    (tmp_path / "picture.png").write_bytes(png())
    if any(map(is_test, blocks)):
        run_tests(["\n\n".join(blocks)], tmp_path)
        return
    run_here(blocks, where)
    assert [request.error for request in kimi.rejections] == []


def test_every_example_is_found() -> None:
    written = sum(path.read_text("utf-8").count("```python") for path in MODULES.values())
    assert sum(len(blocks) for _, blocks in EXAMPLES) == written
