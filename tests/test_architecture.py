"""Rules of the design that the code has to keep."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("kimi_wire", "langchain_kimi", "llama_index_kimi", "kimi_emulator", "llama_index_conformance")
MAX_FUNCTION_LINES = 60  # without its docstring

FORBIDDEN = {
    "kimi_wire": ("langchain", "llama_index", "langchain_kimi", "llama_index_kimi", "kimi_emulator"),
    "langchain_kimi": ("llama_index", "llama_index_kimi", "kimi_emulator", "langchain_openai", "langchain"),
    "llama_index_kimi": ("langchain", "langchain_core", "langchain_kimi", "kimi_emulator"),
    # The suite is for any LLM: nothing of ours is in it.
    "llama_index_conformance": (
        "langchain",
        "langchain_core",
        "langchain_kimi",
        "llama_index_kimi",
        "kimi_wire",
        "kimi_emulator",
    ),
}


def module_name(path: Path) -> str:
    """The full name of a module of one of the packages."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_name(path): path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))}
ROOMS = sorted(name for name, path in MODULES.items() if path.name == "__init__.py" and name not in PACKAGES)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


AGENTS = {
    "langchain_kimi.caching",
    "langchain_kimi.harness",
    "langchain_kimi.middleware",
    "langchain_kimi.tool_search",
}
"""What is for LangChain's agents, a package of their own: imported when it is asked for."""


def imported(module: str) -> Iterator[tuple[str, str | None]]:
    """What a module imports, in functions and for types too: each other module, and the name taken from it, if one is."""
    path = MODULES[module]
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *filter(None, [node.module])])
            yield from ((source, alias.name) for alias in node.names)


def dependencies(module: str) -> set[str]:
    """The modules of the packages that a module imports."""
    found = {f"{source}.{name}" if f"{source}.{name}" in MODULES else source for source, name in imported(module)}
    return (found & MODULES.keys()) - {module}


def room_of(module: str) -> str:
    """The room that a module is in, or is the door of; the module itself where it stands in a package without one."""
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("module", MODULES)
def test_packages_import_only_what_they_may(module: str) -> None:
    package = module.partition(".")[0]
    found = {source.partition(".")[0] for source, _ in imported(module)}
    if package == "kimi_emulator":
        plugin = {"pytest"} if module == "kimi_emulator.pytest_plugin" else set()
        assert found <= {*sys.stdlib_module_names, "kimi_emulator", *plugin}
    else:
        assert not found & (set(FORBIDDEN[package]) - ({"langchain"} if module in AGENTS else set()))


def test_no_modules_import_each_other_in_a_circle() -> None:
    try:
        TopologicalSorter({module: dependencies(module) for module in MODULES}).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def floors(package: str) -> dict[str, int]:
    """Each room and module of a package, with its line in the map of CONTRIBUTING.md, counted from the top."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"^{package}/.*\n((?: +.*\n)+)", text, re.MULTILINE)
    assert found, f"CONTRIBUTING.md has no map of {package}"
    lines = [line.strip().partition("   ")[0] for line in found[1].splitlines()]
    return {f"{package}.{name.rstrip('/')}": floor for floor, line in enumerate(lines) for name in line.split()}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_downwards_in_the_map(package: str) -> None:
    at = floors(package)
    inside = {room_of(module) for module in MODULES if module.startswith(f"{package}.")}
    assert set(at) == inside, "the map in CONTRIBUTING.md has other rooms and modules than the package"
    upwards = [
        f"{module} -> {target}"
        for module in MODULES
        for target in dependencies(module)
        if room_of(module) in at and room_of(target) in at and at[room_of(target)] < at[room_of(module)]
    ]
    assert not upwards


@pytest.mark.parametrize("room", ROOMS)
def test_nobody_imports_past_the_door_of_a_room(room: str) -> None:
    handed_on = import_module(room).__all__
    inner = [f"{room}.{path.stem}" for path in MODULES[room].parent.glob("[!_]*.py") if path.stem not in handed_on]
    past = [
        f"{module} -> {target}"
        for module in MODULES
        if room_of(module) != room
        for target in dependencies(module)
        if target in inner
    ]
    assert not past


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_and_has_what_it_hands_on(room: str) -> None:
    door = import_module(room)
    assert len(door.__doc__ or "") > 80, "a paragraph on what the room is"
    assert door.__all__
    assert [name for name in door.__all__ if not hasattr(door, name)] == []
    own = {node.name for node in parse(MODULES[room]).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    taken = {
        name for module in MODULES if room_of(module) != room for source, name in imported(module) if source == room
    }
    assert {name for name in taken if f"{room}.{name}" not in MODULES} <= {*door.__all__, *own}


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_too_long(module: str) -> None:
    for node in ast.walk(parse(MODULES[module])):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno:
            first = node.body[1:2] if ast.get_docstring(node) else node.body[:1]
            lines = node.end_lineno - first[0].lineno + 1 if first else 0
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_the_sdk_is_imported_in_functions_only() -> None:
    """Except where its classes are base classes; nothing imports those modules before a client is needed."""
    allowed = {"kimi_wire.errors.api", "langchain_kimi.errors"}
    for name, path in MODULES.items():
        top_level = {alias.name for node in parse(path).body if isinstance(node, ast.Import) for alias in node.names}
        if name not in allowed:
            assert "openai" not in top_level, name


TWINS = [
    ("kimi_wire/transport/connection.py", "KimiConnection", [("request", "arequest")]),
    (
        "kimi_wire/endpoints/files.py",
        "KimiFiles",
        [(name, f"a{name}") for name in ("upload", "list", "get", "delete", "content", "text", "extract")],
    ),
    (
        "kimi_wire/endpoints/account.py",
        "KimiPlatform",
        [("models", "amodels"), ("balance", "abalance"), ("count_tokens", "acount_tokens")],
    ),
    (
        "kimi_wire/endpoints/uploads.py",
        "Uploads",
        [("prepare", "aprepare"), ("_upload", "_aupload"), ("delete", "adelete")],
    ),
    ("kimi_wire/transport/courier.py", "Courier", [("send", "asend")]),
    (
        "kimi_wire/endpoints/chat.py",
        "KimiClient",
        [("complete", "acomplete"), ("stream", "astream"), ("delete_uploads", "adelete_uploads")],
    ),
    ("langchain_kimi/files.py", "KimiFileParser", [("lazy_parse", "alazy_parse")]),
    ("langchain_kimi/structured.py", "_WithRaw", [("invoke", "ainvoke"), ("stream", "astream")]),
    ("kimi_wire/endpoints/formulas.py", "KimiFormulas", [("tools", "atools"), ("run", "arun")]),
    ("langchain_kimi/formulas.py", "KimiFormulaTool", [("_run", "_arun")]),
    ("langchain_kimi/formulas.py", "KimiFormulaToolkit", [("get_tools", "aget_tools")]),
    (
        "langchain_kimi/chat_models.py",
        "ChatKimi",
        [("_generate", "_agenerate"), ("_stream", "_astream"), ("_read", "_aread")],
    ),
    ("langchain_kimi/middleware.py", "RequestMiddleware", [("wrap_model_call", "awrap_model_call")]),
    (
        "langchain_kimi/tool_search.py",
        "KimiToolSearchMiddleware",
        [
            ("before_model", "abefore_model"),
            ("wrap_tool_call", "awrap_tool_call"),
        ],
    ),
    ("llama_index_kimi/formulas.py", "KimiFormulaTool", [("call", "acall")]),
    ("llama_index_kimi/formulas.py", "KimiFormulaToolSpec", [("to_tool_list", "to_tool_list_async")]),
    (
        "llama_index_kimi/base.py",
        "Kimi",
        [
            ("chat", "achat"),
            ("stream_chat", "astream_chat"),
            ("complete", "acomplete"),
            ("stream_complete", "astream_complete"),
            ("_chat", "_achat"),
            ("_stream_chat", "_astream_chat"),
        ],
    ),
]


TWINS += [
    (
        "llama_index_kimi/structured.py",
        "KimiProgram",
        [("__call__", "acall"), ("stream_call", "astream_call"), ("_stream", "_astream")],
    ),
    (
        "llama_index_kimi/base.py",
        "Kimi",
        [
            ("structured_predict", "astructured_predict"),
            ("_structured_stream_call", "_structured_astream_call"),
        ],
    ),
]


class _WithoutAsync(ast.NodeTransformer):
    """Writes asynchronous code as the synchronous code it stands beside."""

    # What the modules call of others; the names of their own and imported functions come from the module.
    OTHERS: ClassVar = {
        "chat",
        "client",
        "close",
        "complete",
        "generate",
        "get",
        "iter_bytes",
        "read",
        "request",
        "send",
        "slot",
        "stream",
    }

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        own = {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.alias))}
        self._calls_objects = "call" not in own
        twins = {sync_name for _, _, pairs in TWINS for sync_name, _ in pairs}
        self._known = own | twins | self.OTHERS | {f"_{name}" for name in self.OTHERS}

    def _sync_name(self, name: str) -> str:
        name = name.replace("AsyncGen", "Gen").replace("AsyncCallback", "Callback").replace("AsyncIterator", "Iterator")
        private = "_" if name.startswith("_") else ""
        plain = private + name.removeprefix("_").removeprefix("a")
        return plain if plain in self._known else name

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self.generic_visit(ast.FunctionDef(**dict(ast.iter_fields(node))))

    def visit_AsyncFor(self, node: ast.AsyncFor) -> ast.AST:
        return self.generic_visit(ast.For(node.target, node.iter, node.body, node.orelse))

    def visit_AsyncWith(self, node: ast.AsyncWith) -> ast.AST:
        return self.generic_visit(ast.With(node.items, node.body))

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        node.is_async = 0
        return self.generic_visit(node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        return self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Attribute) and node.func.attr == "acall" and self._calls_objects:
            node.func = node.func.value  # objects that are called in synchronous code
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        node.attr = self._sync_name(node.attr)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._sync_name(node.id)
        return node


def body(function: ast.AST, tree: ast.Module) -> str:
    """A function without its name and docstring, as a synchronous syntax tree."""
    assert isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
    statements = function.body[1:] if ast.get_docstring(function) else function.body
    plain = [_WithoutAsync(tree).visit(statement) for statement in statements]
    return "\n".join(ast.dump(statement) for statement in plain)


@pytest.mark.parametrize(
    ("path", "owner", "sync_name", "async_name"),
    [(path, owner, *pair) for path, owner, pairs in TWINS for pair in pairs],
)
def test_async_twins_are_the_same_code(path: str, owner: str, sync_name: str, async_name: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    (found,) = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == owner]
    functions = {node.name: node for node in found.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
    assert body(functions[sync_name], tree) == body(functions[async_name], tree)
    assert len(functions[sync_name].body) <= 14, "a shell is a dozen lines"


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()
