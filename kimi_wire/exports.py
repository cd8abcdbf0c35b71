"""What the public `__init__` of both adapters does alike: say which extra is missing, and import late."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any


def require(framework: str, *, package: str, title: str, extra: str) -> None:
    """Import the framework of an adapter.

    Args:
        framework: Its module.
        package: The adapter.
        title: What people call the framework.
        extra: What of `kimi-adapters` brings it along.

    Raises:
        ImportError: It is not there; the message says what to install. What fails inside of it is raised as it is.
    """
    try:
        import_module(framework)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != framework.partition(".")[0]:
            raise
        raise ImportError(f'{package} needs {title}: pip install "kimi-adapters[{extra}]"') from error


def late_names(package: str, names: Iterable[str], home: str) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package, for what is imported when somebody asks for it.

    Args:
        package: The package.
        names: Its public names.
        home: The module that has those which the package has not imported; for errors of the server this is also when
            the openai SDK is imported.
    """
    known = frozenset(names)

    def __getattr__(name: str) -> Any:
        if name in known:
            return getattr(import_module(home), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return __getattr__
