# SPDX-License-Identifier: GPL-2.0-only
"""Conditions that are not tested, and comparisons and ranges that are off by one."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pfncache.check.compile.source import FunctionSource
from tests.mutation.kinds.kind import Change, Kind, change_at
from tests.mutation.kinds.tree import called, nodes, replace_expression

TESTED = (
    # virt/kvm/pfncache.c
    "kvm_gpc_check", "mmu_notifier_retry_cache", "needs_memslot", "may_keep_pfn", "may_refresh",
    # arch/x86/kvm
    "mmu_invalidate_retry_gfn_unsafe", "gfn_in_invalidate_range", "is_page_fault_stale", "kvm_tdp_page_fault",
    "kvm_mmu_hugepage_adjust", "kvm_mmu_max_mapping_level", "host_pfn_mapping_level", "disallows_lpage",
    "add_hugepage_range", "kvm_arch_commit_memory_region", "kvm_mmu_slot_apply_flags",
    # virt/kvm/kvm_main.c
    "install_memslots",
    # virt/kvm/guest_memfd.c
    "get_file_active", "file_ref_get", "_kvm_gmem_get_pfn",
    # mm
    "filemap_lock_folio", "filemap_grab_folio", "get_user_page_fast_only", "try_get_page", "allows_huge_pmd",
    "gup_fast", "try_grab_folio_fast", "wp_can_reuse_anon_folio", "folio_try_dup_anon_rmap_pte", "may_become_writable",
    "userfaultfd_must_wait", "is_only_mapped", "folio_try_share_anon_rmap_pte",
)  # fmt: skip
"""Functions whose conditions ask whether something has changed meanwhile."""
TRUE_FOR_ALL = ("kvm_gpc_check", "may_refresh", "kvm_gpc_is_valid_len", "is_only_mapped")
"""Of these, the ones of which the answer True is the one that lets the caller go on."""
NEXT: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
ASSERTIONS = {"WARN_ON_ONCE", "report"}
"""Functions that report what must not be."""


def missing_tests(source: FunctionSource) -> Iterator[Change]:
    """Each condition under which a function gives up or goes round again, and each part of the answer of a test."""
    if source.name not in TESTED:
        return
    for node in nodes(source.tree, ast.If):
        if not node.orelse and isinstance(node.body[-1], ast.Return | ast.Break | ast.Continue):
            what = f"without the test {ast.unparse(node.test)}"
            yield change_at(Kind.MISSING_TEST, what, source, node, _never)
    for node in nodes(source.tree, ast.While):
        if not isinstance(node.test, ast.Constant):
            what = f"without the wait for {ast.unparse(node.test)}"
            yield change_at(Kind.MISSING_TEST, what, source, node, _never)
    for node in nodes(source.tree, ast.Return):
        if isinstance(node.value, ast.BoolOp):
            for position, value in enumerate(node.value.values):
                what = f"without {ast.unparse(value)}"
                yield change_at(Kind.MISSING_TEST, what, source, node, _WithoutOperand(position))
        elif isinstance(node.value, ast.Compare | ast.Call | ast.Attribute):
            what = f"without {ast.unparse(node.value)}"
            yield change_at(Kind.MISSING_TEST, what, source, node, _Answer(source.name in TRUE_FOR_ALL))


def _never(tree: ast.FunctionDef, node: ast.AST) -> None:
    assert isinstance(node, ast.If | ast.While)
    node.test = ast.Constant(False)


class _WithoutOperand:
    def __init__(self, position: int) -> None:
        self.position = position

    def __call__(self, tree: ast.FunctionDef, node: ast.AST) -> None:
        assert isinstance(node, ast.Return)
        assert isinstance(node.value, ast.BoolOp)
        del node.value.values[self.position]
        if len(node.value.values) == 1:
            node.value = node.value.values[0]


class _Answer:
    def __init__(self, constant: bool) -> None:
        self.constant = constant

    def __call__(self, tree: ast.FunctionDef, node: ast.AST) -> None:
        assert isinstance(node, ast.Return)
        node.value = ast.Constant(self.constant)


def off_by_one(source: FunctionSource) -> Iterator[Change]:
    """Each comparison that has the limit on the other side, and each 1 that is not added or subtracted.

    A comparison with a constant asks for an error, or whether there is something.
    """
    asserted = {id(n) for node in ast.walk(source.tree) if _is_assertion(node) for n in ast.walk(node)}
    for node in nodes(source.tree, ast.Compare):
        for position, operator in enumerate(node.ops):
            is_limit = not isinstance(node.comparators[position], ast.Constant)
            if type(operator) in NEXT and is_limit and id(node) not in asserted:
                changed = ast.parse(ast.unparse(node), mode="eval").body
                assert isinstance(changed, ast.Compare)
                changed.ops[position] = NEXT[type(operator)]()
                what = f"{ast.unparse(changed)} for {ast.unparse(node)}"
                yield change_at(Kind.OFF_BY_ONE, what, source, node, _NextLimit(position))
    for node in nodes(source.tree, ast.BinOp):
        is_one = isinstance(node.right, ast.Constant) and node.right.value == 1
        if is_one and isinstance(node.op, ast.Add | ast.Sub) and id(node) not in asserted:
            what = f"{ast.unparse(node.left)} for {ast.unparse(node)}"
            yield change_at(Kind.OFF_BY_ONE, what, source, node, _left)


def _is_assertion(node: ast.AST) -> bool:
    """Return whether a node only finds faults: an assertion, or a condition with nothing else."""
    if isinstance(node, ast.If):
        return called(node.body[0]) in ASSERTIONS
    return called(node) in ASSERTIONS


class _NextLimit:
    def __init__(self, position: int) -> None:
        self.position = position

    def __call__(self, tree: ast.FunctionDef, node: ast.AST) -> None:
        assert isinstance(node, ast.Compare)
        node.ops[self.position] = NEXT[type(node.ops[self.position])]()


def _left(tree: ast.FunctionDef, node: ast.AST) -> None:
    assert isinstance(node, ast.BinOp)
    replace_expression(tree, node, node.left)
