# SPDX-License-Identifier: GPL-2.0-only
"""Locals without a value: a read that may come before every assignment becomes one that is checked.

C leaves such a local indeterminate. Each that may be read so gets a companion that says whether it has a value, and the
read calls read_unset(), which reports an error, if it has none.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping, Sequence

from pfncache.csource import pytree
from pfncache.csource.kinds import BOOL, Kind, annotation, null_of
from pfncache.csource.runtime import read_unset


class _Reads:
    """Which reads of some locals may come before an assignment."""

    def __init__(self, names: frozenset[str]) -> None:
        self.names = names
        self.found: dict[int, str] = {}
        """By id of the read: the local."""
        self._breaks: list[list[frozenset[str]]] = []
        self._continues: list[list[frozenset[str]]] = []

    def block(self, statements: list[ast.stmt], given: frozenset[str] | None) -> frozenset[str] | None:
        """Return which locals have a value behind the statements; None if control does not get there."""
        for statement in statements:
            if given is None:
                return None
            given = self.statement(statement, given)
        return given

    def statement(self, node: ast.stmt, given: frozenset[str]) -> frozenset[str] | None:
        match node:
            case ast.Assign() | ast.AnnAssign():
                if node.value is not None:
                    self.reads(node.value, given)
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    self.reads(target, given)
                return given | _assigned(targets)
            case ast.AugAssign():
                self.reads(node.value, given)
                self.reads(node.target, given)
                if isinstance(node.target, ast.Name) and node.target.id in self.names - given:
                    self.found[id(node)] = node.target.id
                return given
            case ast.If():
                self.reads(node.test, given)
                return _both(self.block(node.body, given), self.block(node.orelse, given))
            case ast.While():
                return self._loop(node, given)
            case ast.For():
                self.reads(node.iter, given)
                names = {n.id for n in ast.walk(node.target) if isinstance(n, ast.Name)}
                self._breaks.append([])
                self._continues.append([])
                self.block(node.body, given | names)
                self._breaks.pop()
                self._continues.pop()
                return given
            case ast.With():
                for item in node.items:
                    self.reads(item.context_expr, given)
                return self.block(node.body, given)
            case ast.Return():
                self._return(node, given)
                return None
            case ast.Break():
                self._breaks[-1].append(given)
                return None
            case ast.Continue():
                self._continues[-1].append(given)
                return None
            case _:
                self.reads(node, given)
                return given

    def _loop(self, node: ast.While, given: frozenset[str]) -> frozenset[str] | None:
        """A turn begins with what the loop begins with: assignments of earlier turns only add to it."""
        self.reads(node.test, given)
        self._breaks.append([])
        self._continues.append([])
        self.block(node.body, given)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        after: frozenset[str] | None = None if endless else given
        for state in self._breaks.pop():
            after = _both(after, state)
        self._continues.pop()
        return after

    def _return(self, node: ast.Return, given: frozenset[str]) -> None:
        if node.value is not None:
            self.reads(node.value, given)

    def reads(self, tree: ast.AST, given: frozenset[str]) -> None:
        missing = self.names - given
        if not missing:
            return
        for inner in ast.walk(tree):
            if not isinstance(inner, ast.Name) or not isinstance(inner.ctx, ast.Load):
                continue
            if inner.id.removesuffix("_set") in missing and inner.id.endswith("_set"):
                self.found[id(inner)] = inner.id.removesuffix("_set")  # it is passed on with its flag
            elif inner.id in missing and not isinstance(inner, pytree.RawName):
                self.found[id(inner)] = inner.id


def _assigned(targets: Sequence[ast.expr]) -> set[str]:
    """Return the locals that an assignment gives a value: not those that it gives a flag too."""
    names = {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return {name for name in names if f"{name}_set" not in names}


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other


def guard_unset(tree: ast.FunctionDef, unset: Mapping[str, Kind], parameters: Collection[str] = ()) -> None:
    """Check each read of the locals in `unset` that may come before every assignment.

    `parameters` are those whose flag is a parameter of the function.
    """
    if not unset:
        return
    reads = _Reads(frozenset(unset))
    reads.block(tree.body, frozenset())
    doubtful = frozenset(reads.found.values())
    checked = _Checked(frozenset(unset), doubtful, reads.found)
    tree.body = [checked.visit(statement) for statement in tree.body]
    if not doubtful:
        return
    tree.body = _with_flags(tree.body, doubtful)
    first: list[ast.stmt] = []
    for name in sorted(doubtful - set(parameters)):
        first.append(pytree.local(name, annotation(unset[name]), null_of(unset[name])))
        first.append(pytree.local(f"{name}_set", annotation(BOOL), pytree.constant(False)))
    for statement in first:
        pytree.place(statement, tree.body[0].lineno if hasattr(tree.body[0], "lineno") else 1)
    tree.body = first + tree.body


class _Checked(ast.NodeTransformer):
    """Replaces the doubtful reads, and the flags of locals that certainly have a value."""

    def __init__(self, names: frozenset[str], doubtful: frozenset[str], found: dict[int, str]) -> None:
        self.names, self.doubtful, self.found = names, doubtful, found

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node, pytree.RawName):
            return ast.copy_location(pytree.name(node.id), node)
        base = node.id.removesuffix("_set")
        if base in self.names and node.id != base:
            is_certain = isinstance(node.ctx, ast.Load) and (base not in self.doubtful or id(node) not in self.found)
            return ast.copy_location(pytree.constant(True), node) if is_certain else node
        if id(node) not in self.found or not isinstance(node.ctx, ast.Load):
            return node
        read = ast.IfExp(
            pytree.name(f"{node.id}_set"),
            ast.copy_location(pytree.name(node.id), node),
            pytree.call(pytree.name(read_unset.__name__)),
        )
        pytree.place(read, node.lineno)
        return read


def _with_flags(statements: list[ast.stmt], names: frozenset[str]) -> list[ast.stmt]:
    """Set the companion of a local behind each assignment of it."""
    out: list[ast.stmt] = []
    for statement in statements:
        for part in ("body", "orelse"):
            inner = getattr(statement, part, None)
            if isinstance(inner, list):
                setattr(statement, part, _with_flags(inner, names))
        if isinstance(statement, ast.For):
            stored = {n.id for n in ast.walk(statement.target) if isinstance(n, ast.Name)} & names
            statement.body = [*_set(stored, statement), *statement.body]
        out.append(statement)
        targets: list[ast.expr] = []
        if isinstance(statement, ast.Assign):
            targets = statement.targets
        elif isinstance(statement, ast.AnnAssign):
            targets = [statement.target]
        out += _set(_assigned(targets) & names, statement)
    return out


def _set(names: set[str], place: ast.stmt) -> list[ast.stmt]:
    out: list[ast.stmt] = []
    for name in sorted(names):
        flag = pytree.local(f"{name}_set", annotation(BOOL), pytree.constant(True))
        pytree.place(flag, place.lineno)
        out.append(flag)
    return out
