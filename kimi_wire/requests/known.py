"""What a request knows that the reader of its answer needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kimi_wire.requests.call_ids import CallIds
from kimi_wire.requests.names import ToolNames


@dataclass(frozen=True, slots=True)
class Known:
    """What a request knows that the reader of its answer needs. It is filled while the request is rendered.

    Attributes:
        declared: The tools as their owners declare them, those that messages bring along included.
        names: The tools' names, and under which they travel.
        ids: The ids of the conversation's calls.
    """

    declared: Sequence[Any] = ()
    names: ToolNames = field(default_factory=ToolNames)
    ids: CallIds = field(default_factory=CallIds)

    @classmethod
    def of(cls, declared: Sequence[Any]) -> Known:
        """What is known of a request before it is rendered: its tools."""
        return cls(declared, ToolNames(declared))

    def schema_of(self, name: str) -> Mapping[str, Any] | None:
        """The parameters of a tool as its owner declares them; None where the request has no such function."""
        for tool in self.declared:
            function = tool["function"]
            if function.get("name") == name:
                parameters = function.get("parameters")
                return parameters if isinstance(parameters, Mapping) else None
        return None


NOTHING = Known()
"""Of a request to another vendor's model nothing is: its answers are read as they are. It is never filled."""
