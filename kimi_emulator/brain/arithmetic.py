"""Sums: evaluating an expression, or working through it with tools one operation at a time."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator

_OPERATORS: dict[type[ast.operator], tuple[str, Callable[[float, float], float]]] = {
    ast.Add: ("add", operator.add),
    ast.Sub: ("subtract", operator.sub),
    ast.Mult: ("multiply", operator.mul),
    ast.Div: ("divide", operator.truediv),
    ast.Mod: ("modulo", operator.mod),
    ast.Pow: ("power", operator.pow),
}
_SPELLINGS = (("\u00d7", "*"), ("\u00f7", "/"), ("^", "**"), ("x", "*"))


def parse(expression: str) -> ast.expr | None:
    """Parse an expression; None if it is none."""
    for spelling, symbol in _SPELLINGS:
        expression = expression.replace(spelling, symbol)
    # Leading zeros and the like are no expression.
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def operations(expression: str) -> set[str]:
    """Return the names of the operations an expression needs."""
    tree = parse(expression)
    nodes = ast.walk(tree) if tree is not None else iter(())
    return {
        _OPERATORS[type(node.op)][0] for node in nodes if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS
    }


def evaluate(expression: str) -> float | None:
    """Work an expression out; None if it has no sensible value."""
    tree = parse(expression)
    try:
        return None if tree is None else _value(tree)
    except (ArithmeticError, ValueError, TypeError):
        return None


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and (abs(right) > 64 or abs(left) > 1e6):
            raise ValueError("too large")
        return _OPERATORS[type(node.op)][1](left, right)
    raise ValueError("not arithmetic")


def steps(expression: str) -> list[tuple[str, float, float]]:
    """Return an expression's operations in the order they can be carried out, operands worked out."""
    tree = parse(expression)
    try:
        return [] if tree is None else list(_steps(tree))
    except (ArithmeticError, ValueError, TypeError):
        return []


def _steps(node: ast.expr) -> Iterator[tuple[str, float, float]]:
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield from _steps(node.left)
        yield from _steps(node.right)
        yield _OPERATORS[type(node.op)][0], _value(node.left), _value(node.right)


def spell(number: float) -> str:
    """Write a number without a needless fraction."""
    return f"{number:.10g}" if isinstance(number, float) else str(number)
