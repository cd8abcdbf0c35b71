"""What the door of a package does: hand names on without importing their homes, and say which extra is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make a package's `__getattr__`, which imports a name's home when somebody asks for the name.

    Args:
        package: The package's `__name__`.
        homes: Names of modules, of the package where they have no dot; each with the names it has, separated by spaces.
    """
    home_of = {
        name: home if "." in home else f"{package}.{home}" for home, names in homes.items() for name in names.split()
    }

    def find(name: str) -> Any:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home_of[name]), name)

    return find


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
