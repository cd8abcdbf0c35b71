"""Rules of the design that the code has to keep."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import ClassVar

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("kimi_wire", "langchain_kimi", "llama_index_kimi", "kimi_emulator", "llama_index_conformance")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
MAX_LINES = 700  # ~400 of code; docstrings that users read in their editor come on top

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


def imports(path: Path) -> set[str]:
    """The top-level packages a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_packages_import_only_what_they_may(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    found = imports(path)
    if package == "kimi_emulator":
        import sys

        plugin = {"pytest"} if path.name == "pytest_plugin.py" else set()
        assert found <= {*sys.stdlib_module_names, "kimi_emulator", *plugin}
    else:
        assert not found & set(FORBIDDEN[package])


def test_the_sdk_is_imported_in_functions_only() -> None:
    """Except where its classes are base classes; nothing imports those modules before a client is needed."""
    allowed = {"kimi_wire/api_errors.py", "langchain_kimi/errors.py"}
    for path in MODULES:
        name = path.relative_to(ROOT).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top_level = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
        if name not in allowed:
            assert "openai" not in top_level, name


TWINS = [
    ("kimi_wire/connection.py", "KimiConnection", [("request", "arequest")]),
    (
        "kimi_wire/files.py",
        "KimiFiles",
        [(name, f"a{name}") for name in ("upload", "list", "get", "delete", "content", "text", "extract")],
    ),
    (
        "kimi_wire/platform.py",
        "KimiPlatform",
        [("models", "amodels"), ("balance", "abalance"), ("count_tokens", "acount_tokens")],
    ),
    (
        "kimi_wire/media_upload.py",
        "MediaConnection",
        [("prepare", "aprepare"), ("_upload", "_aupload"), ("delete_uploads", "adelete_uploads")],
    ),
    ("kimi_wire/transport.py", "Courier", [("send", "asend")]),
    ("kimi_wire/client.py", "KimiClient", [("complete", "acomplete"), ("stream", "astream")]),
    ("langchain_kimi/files.py", "KimiFileParser", [("lazy_parse", "alazy_parse")]),
    ("kimi_wire/formulas.py", "KimiFormulas", [("tools", "atools"), ("run", "arun")]),
    ("langchain_kimi/formulas.py", "KimiFormulaTool", [("_run", "_arun")]),
    ("langchain_kimi/formulas.py", "KimiFormulaToolkit", [("get_tools", "aget_tools")]),
    ("langchain_kimi/chat_models.py", "ChatKimi", [("_generate", "_agenerate"), ("_stream", "_astream")]),
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
