# SPDX-License-Identifier: GPL-2.0-only
"""The wrong memslot: its offsets are forgotten, only the first one counts, or it is the one before the update."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pfncache.check.compile.source import FunctionSource
from tests.mutation.kinds.kind import Change, Kind, change_at
from tests.mutation.kinds.tree import nodes, replace_expression, text

OFFSETS = {"base_gfn", "gmem_pgoff", "userspace_addr"}
"""Fields that say where a memslot begins."""
OTHER = {"old": "new", "new": "old"}
"""By parameter of the functions that update memslots: the one of the memslot on the other side."""


def wrong_slots(source: FunctionSource) -> Iterator[Change]:
    """Each offset that is forgotten, each loop that ends at its first memslot, each memslot before or after."""
    for node in nodes(source.tree, ast.BinOp):
        for side, other in (("left", "right"), ("right", "left")):
            part = getattr(node, side)
            is_offset = isinstance(part, ast.Attribute) and part.attr in OFFSETS
            if is_offset and isinstance(node.op, ast.Add if side == "left" else ast.Add | ast.Sub):
                what = f"{ast.unparse(getattr(node, other))} for {ast.unparse(node)}"
                yield change_at(Kind.WRONG_SLOT, what, source, node, _Side(other))
    for node in nodes(source.tree, ast.For):
        if "entries" in ast.unparse(node.iter) and isinstance(node.body[-1], ast.If):
            last = node.body[-1]
            if not isinstance(last.body[-1], ast.Return | ast.Break):
                what = f"the first slot of {text(node)}"
                yield change_at(Kind.WRONG_SLOT, what, source, last, _only_first)
    both = source.name.endswith("_memslot") and set(OTHER) <= {argument.arg for argument in source.tree.args.args}
    for node in nodes(source.tree, ast.Name):
        if both and node.id in OTHER and isinstance(node.ctx, ast.Load) and _is_used(source.tree, node):
            statement = _statement(source.tree, node)
            what = f"{OTHER[node.id]} for {node.id} in {text(statement)}"
            yield change_at(Kind.WRONG_SLOT, what, source, node, _other)
    for call in nodes(source.tree, ast.Call):
        if ast.unparse(call.func) == "self.kvm_get_inactive_memslots":
            what = f"the active set for {ast.unparse(call)}"
            yield change_at(Kind.WRONG_SLOT, what, source, call, _active)


class _Side:
    def __init__(self, side: str) -> None:
        self.side = side

    def __call__(self, tree: ast.FunctionDef, node: ast.AST) -> None:
        kept = getattr(node, self.side)
        replace_expression(tree, node, kept)


def _only_first(tree: ast.FunctionDef, node: ast.AST) -> None:
    assert isinstance(node, ast.If)
    node.body.append(ast.copy_location(ast.Break(), node.body[-1]))


def _is_used(tree: ast.FunctionDef, node: ast.Name) -> bool:
    """Return whether the memslot is not only compared with None, in a condition or an assertion."""
    compared = [c for c in nodes(tree, ast.Compare) if c.left is node]
    return not compared


def _statement(tree: ast.FunctionDef, node: ast.AST) -> ast.stmt:
    inside = [s for s in ast.walk(tree) if isinstance(s, ast.stmt) and any(n is node for n in ast.walk(s))]
    return inside[-1]


def _other(tree: ast.FunctionDef, node: ast.AST) -> None:
    assert isinstance(node, ast.Name)
    node.id = OTHER[node.id]


def _active(tree: ast.FunctionDef, node: ast.AST) -> None:
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Attribute)
    node.func.attr = "_kvm_memslots"
