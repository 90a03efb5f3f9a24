# SPDX-License-Identifier: GPL-2.0-only
"""Errors that are not returned, and functions that return one always."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pfncache.check.compile.source import FunctionSource
from tests.mutation.kinds.kind import Change, Kind, change_at
from tests.mutation.kinds.tree import is_docstring, nodes, replace

ERRORS = ("-E", "KVM_PFN_ERR", "KVM_PFN_NOSLOT", "self.KVM_HVA_ERR", "RET_PF_RETRY")
"""What the value of a return statement begins with that is an error."""
REFUSALS = {
    "kvm_gpc_check": "False", "may_refresh": "False", "kvm_gpc_is_valid_len": "False", "gpc_map": "0",
    "get_file_active": "None", "kvm_gmem_get_file": "None", "_gfn_to_memslot": "None", "gfn_to_memslot": "None",
    "filemap_grab_folio": "None", "filemap_lock_folio": "None", "is_page_fault_stale": "True", "ghc_is_usable": "False",
    "kvm_alloc_dirty_bitmap": "-ENOMEM", "id_to_memslot": "None", "try_get_page": "False", "file_ref_get": "False",
    "must_retry_lookup": "True", "mmu_notifier_retry_cache": "True", "mmu_invalidate_retry_gfn": "True",
}  # fmt: skip
"""By function: what it returns if it refuses, where that is no error code."""


def is_error_return(node: ast.AST) -> bool:
    """Return whether a statement returns an error."""
    if not isinstance(node, ast.Return) or node.value is None:
        return False
    return ast.unparse(node.value).startswith(ERRORS) or ast.unparse(node.value) in ("None", "False")


def refusals(source: FunctionSource) -> Iterator[Change]:
    """The function that returns its first error, and does nothing."""
    found = REFUSALS.get(source.name) or next(
        (ast.unparse(node.value) for node in nodes(source.tree, ast.Return) if _is_code(node)), None
    )
    if found is None:
        return
    value = ast.parse(found, mode="eval").body

    def refuse(tree: ast.FunctionDef, node: ast.AST) -> None:
        tree.body = [statement for statement in tree.body[:1] if is_docstring(statement)]
        tree.body.append(ast.copy_location(ast.Return(value), node))

    first = next(statement for statement in source.tree.body if not is_docstring(statement))
    yield change_at(Kind.REFUSES_EVERYTHING, f"always returns {found}", source, first, refuse)


def _is_code(node: ast.Return) -> bool:
    return node.value is not None and ast.unparse(node.value).startswith(ERRORS) and " if " not in ast.unparse(node)


def error_paths(source: FunctionSource) -> Iterator[Change]:
    """Each error that is not returned: the function goes on, or one of pfncache.c returns success."""
    for node in nodes(source.tree, ast.If):
        if not node.orelse and is_error_return(node.body[-1]):
            what = f"goes on if {ast.unparse(node.test)}"
            yield change_at(Kind.ERROR_PATH, what, source, node, _go_on)
            if source.file.endswith("/pfncache.py") and ast.unparse(node.body[-1].value).startswith("-E"):
                what = f"returns 0 if {ast.unparse(node.test)}"
                yield change_at(Kind.ERROR_PATH, what, source, node.body[-1], _succeed)


def _go_on(tree: ast.FunctionDef, node: ast.AST) -> None:
    """Evaluate the condition, which may do something, and go on."""
    assert isinstance(node, ast.If)
    replace(tree, node.body[-1], [ast.copy_location(ast.Pass(), node)])


def _succeed(tree: ast.FunctionDef, node: ast.AST) -> None:
    assert isinstance(node, ast.Return)
    node.value = ast.Constant(0)
