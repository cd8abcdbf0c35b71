"""The words that an argument takes, written out in the documentation site's reference (mkdocs.yml names this extension)."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import griffe


class Words(griffe.Extension):
    """Writes `Literal[...]` where an annotation has a `kimi_wire.kinds.Spelt` with a name for it."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Change the annotation of such an attribute."""
        if str(attr.annotation).startswith("Spelt["):
            names = vars(import_module(attr.module.path))
            attr.annotation = re.sub(
                r"Spelt\[(\w+)\]", lambda found: str(names[found[1]]).removeprefix("typing."), str(attr.annotation)
            )
