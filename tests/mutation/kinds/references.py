# SPDX-License-Identifier: GPL-2.0-only
"""References, pins and mappings: not taken, not released, or released before the last use."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pfncache.check.compile.source import FunctionSource
from tests.mutation.kinds.errors import is_error_return
from tests.mutation.kinds.invalidations import without_call
from tests.mutation.kinds.kind import Change, Kind, change_at
from tests.mutation.kinds.locks import UNLOCKING
from tests.mutation.kinds.tree import (
    QUIET,
    blocks,
    called,
    exchange,
    names,
    neighbours,
    nodes,
    replace_expression,
    stored,
    text,
)

RELEASES = {
    "put_page", "kvm_release_page_clean", "kvm_release_page_unused", "fput", "kvm_put_kvm", "kfree", "gpc_unmap",
    "kunmap", "memunmap", "unpin_user_page", "kvm_free_memslot", "vcpu_put", "iput", "kvm_vcpu_unmap", "list_del",
    "kvm_gmem_unbind", "erase_bindings", "kvm_destroy_dirty_bitmap", "kvm_gmem_free_folio",
}  # fmt: skip
GETS = {
    "get_page", "get_file", "file_ref_get", "try_get_page", "try_grab_folio_fast", "pin_page", "kvm_get_kvm",
    "list_add",
}  # fmt: skip
"""Functions that keep what they are called for from being freed, or that let its end find it."""


def forgotten_releases(source: FunctionSource) -> Iterator[Change]:
    """Each call that releases something; that of an error path has the kind of its own."""
    failing = {id(statement) for block in blocks(source.tree) if _fails(block) for statement in block}
    for statement in nodes(source.tree, ast.Expr):
        name = called(statement)
        kind = Kind.ERROR_PATH if id(statement) in failing else Kind.FORGOTTEN_RELEASE
        if name in RELEASES or (name in UNLOCKING and kind == Kind.ERROR_PATH):
            what = f"without {text(statement).removeprefix('self.')}"
            yield change_at(kind, what, source, statement.value, without_call)


def _fails(block: list[ast.stmt]) -> bool:
    """Return whether a block is a branch that ends with an error, and has something to undo."""
    return len(block) > 1 and is_error_return(block[-1])


def lifetimes(source: FunctionSource) -> Iterator[Change]:
    """Each reference that is not taken, and each that is released one statement too early."""
    for call in nodes(source.tree, ast.Call):
        if called(call) in GETS:
            what = f"without {ast.unparse(call).removeprefix('self.')}"
            yield change_at(Kind.LIFETIME, what, source, call, _taken)
    for before, statement in neighbours(source.tree):
        releases = called(statement) in RELEASES and not stored(before) & names(statement)
        moves = called(before) not in RELEASES | UNLOCKING and not called(before).startswith(QUIET)
        if releases and moves and not isinstance(before, ast.Return | ast.Assert):
            what = f"{text(statement).removeprefix('self.')} before {text(before)}"
            yield change_at(Kind.LIFETIME, what, source, before, exchange)


def _taken(tree: ast.FunctionDef, node: ast.AST) -> None:
    """Leave a call out, as if it had taken the reference."""
    replace_expression(tree, node, ast.copy_location(ast.Constant(True), node))
