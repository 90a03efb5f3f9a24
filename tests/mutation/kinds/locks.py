# SPDX-License-Identifier: GPL-2.0-only
"""Locks that are not taken, or are dropped too early or too late."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pfncache.check.compile.source import FunctionSource
from tests.mutation.kinds.kind import Change, Edit, Kind, change_at
from tests.mutation.kinds.tree import QUIET, blocks, called, exchange, is_docstring, neighbours, nodes, replace, text

UNLOCKING = {"unlock", "up_read", "up_write"}
UNLOCKING |= {f"{kind}_unlock{irq}" for kind in ("read", "write") for irq in ("", "_irq")}
LOCKING = UNLOCKING | {"lock", "down_read", "down_write"}
LOCKING |= {f"{kind}_lock{irq}" for kind in ("read", "write") for irq in ("", "_irq")}
TRYLOCKS = {"read_trylock"}


def missing_locks(source: FunctionSource) -> Iterator[Change]:
    """Each guard of a with statement, and each lock that is taken or dropped by hand, all calls at once."""
    for node in nodes(source.tree, ast.With):
        for position, item in enumerate(node.items):
            what = f"without {ast.unparse(item.context_expr)}"
            yield change_at(Kind.MISSING_LOCK, what, source, node, _WithoutItem(position))
    first = {ast.unparse(c.func.value): c for c in reversed(nodes(source.tree, ast.Call)) if is_locking(c)}
    for lock in dict.fromkeys(ast.unparse(c.func.value) for c in nodes(source.tree, ast.Call) if is_locking(c)):
        at = change_at(Kind.MISSING_LOCK, f"without {lock}", source, first[lock], lambda tree, node: None)
        yield Change(at.kind, at.what, at.line, _without_lock(lock))


def is_locking(call: ast.Call) -> bool:
    """Return whether a call takes or drops a lock."""
    return isinstance(call.func, ast.Attribute) and call.func.attr in LOCKING | TRYLOCKS


class _WithoutItem:
    def __init__(self, position: int) -> None:
        self.position = position

    def __call__(self, tree: ast.FunctionDef, node: ast.AST) -> None:
        assert isinstance(node, ast.With)
        del node.items[self.position]
        if not node.items:
            replace(tree, node, node.body)


def _without_lock(lock: str) -> Edit:
    class Remover(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            if is_locking(node) and ast.unparse(node.func.value) == lock:  # type: ignore[attr-defined]
                return ast.copy_location(ast.Constant(True), node)
            return node

    def change(tree: ast.FunctionDef) -> None:
        Remover().visit(tree)

    return change


def short_locks(source: FunctionSource) -> Iterator[Change]:
    """The last statement of a with statement behind it; a statement that drops a lock one place too early."""
    for node in nodes(source.tree, ast.With):
        if len(node.body) > 1 and not _is_local(node.body[-1]):
            what = f"{text(node.body[-1])} after {_guards(node)}"
            yield change_at(Kind.LOCK_TOO_SHORT, what, source, node.body[-1], _move_out)
    for before, statement in neighbours(source.tree):
        if _is_unlock(statement) and not _is_local(before) and not _is_lock(before):
            what = f"{text(before)} after {text(statement)}"
            yield change_at(Kind.LOCK_TOO_SHORT, what, source, before, exchange)


def long_locks(source: FunctionSource) -> Iterator[Change]:
    """The statement behind a with statement in it; a statement that drops a lock one place too late."""
    for before, statement in neighbours(source.tree):
        if isinstance(before, ast.With) and not _is_local(statement):
            what = f"{text(statement)} within {_guards(before)}"
            yield change_at(Kind.LOCK_TOO_LONG, what, source, before, _move_in)
        elif _is_unlock(before) and not _is_local(statement) and not _is_lock(statement):
            what = f"{text(statement)} before {text(before)}"
            yield change_at(Kind.LOCK_TOO_LONG, what, source, before, exchange)


def _move_out(tree: ast.FunctionDef, node: ast.AST) -> None:
    for block in blocks(tree):
        for at, statement in enumerate(block):
            if isinstance(statement, ast.With) and statement.body[-1] is node:
                block.insert(at + 1, statement.body.pop())
                return


def _move_in(tree: ast.FunctionDef, node: ast.AST) -> None:
    assert isinstance(node, ast.With)
    for block in blocks(tree):
        for at, statement in enumerate(block):
            if statement is node:
                node.body.append(block.pop(at + 1))
                return


def _is_local(node: ast.stmt) -> bool:
    """Return whether a statement does the same with and without a lock: it reads and writes local names alone."""
    if isinstance(node, ast.Break | ast.Assert) or is_docstring(node) or called(node).startswith(QUIET):
        return True
    return isinstance(node, ast.Return | ast.Assign) and not any(
        isinstance(n, ast.Attribute | ast.Call) for n in ast.walk(node)
    )


def _guards(node: ast.With) -> str:
    return ", ".join(ast.unparse(item.context_expr) for item in node.items)


def _is_unlock(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _method(node.value) in UNLOCKING


def _is_lock(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _method(node.value) in LOCKING


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
