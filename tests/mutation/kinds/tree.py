# SPDX-License-Identifier: GPL-2.0-only
"""Look-ups in a syntax tree, and replacements of its nodes."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

QUIET = (
    "WARN_ON_ONCE", "lockdep_", "assert_", "might_sleep", "trace_", "note_", "host_", "check_", "tag_khva",
    "hold_count", "release_count",
)  # fmt: skip
"""Beginnings of names of functions that do nothing in Linux without a debug option."""


def nodes(tree: ast.AST, kind: Any) -> list[Any]:
    """Return the nodes of a type."""
    return [node for node in ast.walk(tree) if isinstance(node, kind)]


def blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield each list of statements."""
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse")):
            if isinstance(block, list):
                yield block


def replace(tree: ast.AST, old: ast.AST, new: Sequence[ast.stmt]) -> None:
    """Put statements in the place of one. A block that is empty then has a pass."""
    for block in blocks(tree):
        for at, statement in enumerate(block):
            if statement is old:
                block[at : at + 1] = new
                if not block:
                    block.append(ast.Pass())
                return


def replace_expression(tree: ast.AST, old: ast.AST, new: ast.expr) -> None:
    """Put an expression in the place of another."""
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if value is old:
                setattr(node, name, new)
            elif isinstance(value, list):
                setattr(node, name, [new if item is old else item for item in value])


def exchange(tree: ast.AST, first: ast.AST, places: int = 1) -> None:
    """Exchange a statement with the one that stands so many places behind it in its block."""
    for block in blocks(tree):
        for at, statement in enumerate(block):
            if statement is first:
                block[at], block[at + places] = block[at + places], block[at]
                return


def neighbours(tree: ast.AST) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    """Yield each two statements of which one follows the other in a block."""
    for block in blocks(tree):
        yield from itertools.pairwise(block)


def called(node: ast.AST) -> str:
    """Return the name of the function that a call, or a statement that is a call, calls; empty for another node."""
    call = node.value if isinstance(node, ast.Expr) else node
    if not isinstance(call, ast.Call):
        return ""
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def names(node: ast.AST) -> set[str]:
    """Return the local names that a node reads or writes."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def stored(node: ast.AST) -> set[str]:
    """Return the local names that a node writes."""
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def is_docstring(statement: ast.AST) -> bool:
    """Return whether a statement is a docstring."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def has_decorator(tree: ast.FunctionDef, name: str) -> bool:
    """Return whether a function has a decorator without arguments."""
    return any(isinstance(one, ast.Name) and one.id == name for one in tree.decorator_list)


def text(node: ast.AST) -> str:
    """Return the source of a node, as a line."""
    first = ast.unparse(node).splitlines()[0]
    return first.removesuffix(":")
