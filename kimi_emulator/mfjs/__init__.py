"""Moonshot Flavored JSON Schema: whether a schema is in the server's dialect of JSON Schema.

A schema is read as a tree of its subschemas (``tree``); each has its keywords checked (``keywords``, ``values``), then
the references between them (``references``); ``check`` is the order of all that. The room knows JSON and nothing else.

Deliberately absent: anything of the adapters' own schema room, whose results are held against this one. A mistake that
both share would be found by nobody.
"""

from .check import check_schema
from .tree import Limits, Violation

__all__ = ["Limits", "Violation", "check_schema"]
