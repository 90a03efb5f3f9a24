# SPDX-License-Identifier: GPL-2.0-only
"""Notifications, flushes, zaps and wakes that are left out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pfncache.check.compile.source import FunctionSource
from tests.mutation.kinds.kind import Change, Kind, change_at
from tests.mutation.kinds.tree import called, nodes, replace, replace_expression, text

FLUSHES = {"flush_if", "kvm_flush_remote_tlbs", "flush_tlb_range", "try_to_unmap_flush", "flush_tlb_kernel_range"}
ZAPS = {
    "kvm_unmap_gfn_range", "unmap_slot_range", "pre_set_attributes", "zap_spte", "tdp_mmu_zap_leafs",
    "tdp_mmu_zap_root", "zap_gfns", "kvm_zap_gfn_range", "kvm_arch_flush_shadow_all", "kvm_arch_flush_shadow_memslot",
    "kvm_arch_gmem_invalidate_range", "gfn_to_pfn_cache_invalidate_start", "handle_hva_range_start",
    "handle_gfn_range_start", "kvm_gmem_invalidate_start", "_kvm_gmem_invalidate_start", "invalidate_all_bindings",
    "kvm_mmu_invalidate_range_add", "kvm_mmu_invalidate_start", "bump_gpc_invalidate_seq", "unmap_mapping_folio",
    "unmap_mapping_range", "zap_huge_pmd", "zap_pte_range", "zap_vma_range", "truncate_inode_pages_range",
    "kvm_mmu_notifier_release", "clear_pte",
}  # fmt: skip
"""Functions that take a page from the guest or from a cache, or that let a lookup in progress find out."""
OBJECTS = {"clear_pte"}
"""Functions of these that return an object."""
NOTHING = {"INVALID_GPA", "KVM_PFN_ERR_FAULT", "False", "None", "0", "-1"}
"""Values of a field that says that there is nothing any more."""
HELD = {"valid", "active", "khva", "pfn", "slot", "gmem_file", "memslot", "huge"}
"""Fields that say where a page is."""
WAKES = {
    "rcuwait_wake_up", "kvm_vcpu_kick", "_kvm_vcpu_kick", "wake_userfault", "try_to_wake_up", "finish_rcuwait",
    "leave_wait_queue", "kvm_mmu_invalidate_end", "handle_hva_range_end", "handle_gfn_range_end",
    "_kvm_gmem_invalidate_end", "kvm_gmem_invalidate_end", "end_cache_invalidation", "lower_mn_active_invalidate_count",
    "raw_spin_rq_unlock", "kvm_make_request", "kvm_arch_async_page_present",
}  # fmt: skip
"""Functions that let another task go on."""


def missing_notifications(source: FunctionSource) -> Iterator[Change]:
    """The notifications before and after a change of page tables."""
    for call in nodes(source.tree, ast.Call):
        if _is_notification(call):
            what = "without its notifications"
            yield change_at(Kind.MISSING_NOTIFICATION, what, source, call, _without_notifications)
            return


def _is_notification(call: ast.AST) -> bool:
    return called(call).startswith("mmu_notifier_invalidate_range_")


def _without_notifications(tree: ast.FunctionDef, node: ast.AST) -> None:
    for call in nodes(tree, ast.Call):
        if _is_notification(call):
            replace_expression(tree, call, ast.copy_location(ast.Constant(None), call))


def missing_flushes(source: FunctionSource) -> Iterator[Change]:
    """Each flush of a TLB; the condition of the flush is evaluated, if that does anything."""
    for call in nodes(source.tree, ast.Call):
        if called(call) in FLUSHES and source.name not in FLUSHES and isinstance(call.func, ast.Attribute):
            what = f"without {ast.unparse(call.func).removeprefix('self.')}()"
            yield change_at(Kind.MISSING_FLUSH, what, source, call, _without_flush)


def _without_flush(tree: ast.FunctionDef, call: ast.AST) -> None:
    assert isinstance(call, ast.Call)
    for node in nodes(tree, ast.Expr):
        if node.value is call:
            condition = call.args[-1]
            node.value = condition if isinstance(condition, ast.Call) else ast.Constant(None)


def forgotten_zaps(source: FunctionSource) -> Iterator[Change]:
    """Each call that takes a page away, and each store that says that it is gone."""
    yield from _without_calls(Kind.FORGOTTEN_ZAP, source, ZAPS)
    for node in nodes(source.tree, ast.Assign):
        target = node.targets[0]
        if isinstance(target, ast.Attribute) and target.attr in HELD and ast.unparse(node.value) in NOTHING:
            yield change_at(Kind.FORGOTTEN_ZAP, f"without {text(node)}", source, node, _drop)


def forgotten_wakes(source: FunctionSource) -> Iterator[Change]:
    """Each call that lets another task go on."""
    yield from _without_calls(Kind.FORGOTTEN_WAKE, source, WAKES)


def _without_calls(kind: Kind, source: FunctionSource, functions: set[str]) -> Iterator[Change]:
    for call in nodes(source.tree, ast.Call):
        if called(call) in functions:
            yield change_at(kind, f"without {ast.unparse(call).removeprefix('self.')}", source, call, without_call)


def without_call(tree: ast.FunctionDef, node: ast.AST) -> None:
    """Leave a call out. Where its answer is asked for, that is False, or None of a function that returns an object."""
    for statement in nodes(tree, ast.Expr):
        if statement.value is node:
            replace(tree, statement, [ast.copy_location(ast.Pass(), statement)])
            return
    answer = None if called(node) in OBJECTS else False
    replace_expression(tree, node, ast.copy_location(ast.Constant(answer), node))


def _drop(tree: ast.FunctionDef, node: ast.AST) -> None:
    replace(tree, node, [ast.copy_location(ast.Pass(), node)])
