# SPDX-License-Identifier: GPL-2.0-only
"""Kernels from which one lock, pair of notifications, flush, retry test or order of two steps has been taken."""

from __future__ import annotations
import __future__

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pfncache.check.compile import source as check_source
from pfncache.check.compile.source import FunctionSource, function_source, unwrap
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.vmlinux import Vmlinux

LOCKING = {"lock", "unlock", "down_read", "up_read", "down_write", "up_write"}
LOCKING |= {f"{kind}_{word}{irq}" for kind in ("read", "write") for word in ("lock", "unlock") for irq in ("", "_irq")}
TRYLOCKS = {"read_trylock"}
FLUSHES = {"flush_if", "kvm_flush_remote_tlbs", "flush_tlb_range", "try_to_unmap_flush", "flush_tlb_kernel_range"}

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

ORDERED = (
    # where Linux has smp_wmb(): the sequence moves before the count goes down
    ("end_cache_invalidation", "bump_gpc_invalidate_seq", "lower_mn_active_invalidate_count"),
    ("kvm_mmu_invalidate_end", "mmu_invalidate_seq +=", "mmu_invalidate_in_progress -="),
    # where it has smp_rmb(): the sequence is read before whatever it is to protect
    ("kvm_tdp_page_fault", "sequence = kvm.mmu_invalidate_seq", "kvm_mem_is_private"),
    ("hva_to_pfn_retry", "sequence = self.read_gpc_seq(kvm)", "new_pfn = self.lookup_pfn(gpc, hva)"),
    # where a comment says so: the count, then the caches, then the guest's mappings
    ("kvm_mmu_notifier_invalidate_range_start", "raise_mn_active_invalidate_count", "cache_invalidate_start"),
    ("kvm_mmu_notifier_invalidate_range_start", "cache_invalidate_start", "handle_hva_range_start"),
    ("kvm_mmu_notifier_invalidate_range_end", "handle_hva_range_end", "end_cache_invalidation"),
)
"""Functions with two steps whose order matters: pieces of the two statements."""

COUNT_FIRST = ("mmu_notifier_retry_cache", "mmu_invalidate_retry_gfn_unsafe")
"""Functions that read the count before the sequence, where Linux has smp_rmb()."""


@dataclass(frozen=True)
class Mutant:
    """A kernel with one thing missing."""

    name: str
    function: str
    design: Design


def mutants() -> Iterator[Mutant]:
    """Every mutant, in the order of the files of the kernel."""
    for owner in reversed(Vmlinux.__mro__):
        if not owner.__module__.startswith(tuple(f"pfncache.linux.{room}" for room in ("virt", "arch", "mm", "fs"))):
            continue
        for name, function in vars(owner).items():
            plain = unwrap(function)
            if hasattr(plain, "__code__") and Vmlinux.__dict__.get(name, getattr(Vmlinux, name)) is function:
                yield from _of(name, function_source(plain))


def _of(name: str, source: FunctionSource) -> Iterator[Mutant]:
    seen: dict[str, int] = {}
    changes = (
        *_unguarded(source), *_unlocked(source), *_unnotified(source), *_unflushed(source), *_untested(source),
        *_swapped(source),
    )  # fmt: skip
    for what, change in changes:
        seen[what] = seen.get(what, 0) + 1
        number = f" #{seen[what]}" if seen[what] > 1 else ""
        tree = copy.deepcopy(source.tree)
        change(tree)
        ast.fix_missing_locations(tree)
        title = f"{name}(): {what}{number}"
        patch = type("Mutant", (Patch,), {"__doc__": title, name: _function(source, tree)})
        yield Mutant(title, name, (mainline_7_3 + [patch]).named("mutant", title))


Change = Callable[[ast.FunctionDef], None]


def _unguarded(source: FunctionSource) -> Iterator[tuple[str, Change]]:
    """Each guard of a with statement."""
    for number, node in enumerate(_nodes(source.tree, ast.With)):
        for position, item in enumerate(node.items):
            yield f"without {ast.unparse(item.context_expr)}", _without_item(number, position)


def _without_item(number: int, position: int) -> Change:
    def change(tree: ast.FunctionDef) -> None:
        node = _nodes(tree, ast.With)[number]
        del node.items[position]
        if not node.items:
            _replace(tree, node, node.body)

    return change


def _unlocked(source: FunctionSource) -> Iterator[tuple[str, Change]]:
    """Each lock that a function takes or drops by hand, all calls at once."""
    locks = dict.fromkeys(ast.unparse(call.func.value) for call in _nodes(source.tree, ast.Call) if _is_locking(call))
    for lock in locks:
        yield f"without {lock}", _without_lock(lock)


def _is_locking(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in LOCKING | TRYLOCKS


def _without_lock(lock: str) -> Change:
    class Remover(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            if _is_locking(node) and ast.unparse(node.func.value) == lock:  # type: ignore[attr-defined]
                return ast.copy_location(ast.Constant(True), node)
            return node

    def change(tree: ast.FunctionDef) -> None:
        Remover().visit(tree)

    return change


def _unnotified(source: FunctionSource) -> Iterator[tuple[str, Change]]:
    """The notifications before and after a change of page tables."""
    if any(_is_notification(call) for call in _nodes(source.tree, ast.Call)):
        yield "without its notifications", _without_notifications


def _is_notification(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr.startswith("mmu_notifier_invalidate_range_")


def _without_notifications(tree: ast.FunctionDef) -> None:
    class Remover(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            return ast.copy_location(ast.Constant(None), node) if _is_notification(node) else node

    Remover().visit(tree)


def _unflushed(source: FunctionSource) -> Iterator[tuple[str, Change]]:
    """Each flush of a TLB."""
    if source.name in FLUSHES:
        return
    for number, call in enumerate(_flushes(source.tree)):
        yield f"without {ast.unparse(call.func).removeprefix('self.')}()", _without_flush(number)


def _flushes(tree: ast.AST) -> list[ast.Call]:
    calls = _nodes(tree, ast.Call)
    return [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr in FLUSHES]


def _without_flush(number: int) -> Change:
    """Evaluate the condition of the flush, if that does anything, but do not flush."""

    def change(tree: ast.FunctionDef) -> None:
        call = _flushes(tree)[number]
        for node in _nodes(tree, ast.Expr):
            if node.value is call:
                condition = call.args[-1]
                node.value = condition if isinstance(condition, ast.Call) else ast.Constant(None)

    return change


def _untested(source: FunctionSource) -> Iterator[tuple[str, Change]]:
    """Each condition under which a function gives up or goes round again, and each part of the answer of a test."""
    if source.name not in TESTED:
        return
    for number, node in enumerate(_nodes(source.tree, ast.If)):
        if not node.orelse and isinstance(node.body[-1], ast.Return | ast.Break | ast.Continue):
            yield f"without the test {ast.unparse(node.test)}", _never(number)
    for number, node in enumerate(_nodes(source.tree, ast.While)):
        if not isinstance(node.test, ast.Constant):
            yield f"without the wait for {ast.unparse(node.test)}", _never_wait(number)
    for number, node in enumerate(_nodes(source.tree, ast.Return)):
        if isinstance(node.value, ast.BoolOp):
            for position, value in enumerate(node.value.values):
                yield f"without {ast.unparse(value)}", _without_operand(number, position)
        elif isinstance(node.value, ast.Compare | ast.Call | ast.Attribute):
            constant = source.name in ("kvm_gpc_check", "may_refresh", "kvm_gpc_is_valid_len", "is_only_mapped")
            yield f"without {ast.unparse(node.value)}", _answer(number, constant)


def _never(number: int) -> Change:
    def change(tree: ast.FunctionDef) -> None:
        _nodes(tree, ast.If)[number].test = ast.Constant(False)

    return change


def _never_wait(number: int) -> Change:
    def change(tree: ast.FunctionDef) -> None:
        _nodes(tree, ast.While)[number].test = ast.Constant(False)

    return change


def _without_operand(number: int, position: int) -> Change:
    def change(tree: ast.FunctionDef) -> None:
        value = _nodes(tree, ast.Return)[number].value
        assert isinstance(value, ast.BoolOp)
        del value.values[position]
        if len(value.values) == 1:
            _nodes(tree, ast.Return)[number].value = value.values[0]

    return change


def _answer(number: int, constant: bool) -> Change:
    def change(tree: ast.FunctionDef) -> None:
        _nodes(tree, ast.Return)[number].value = ast.Constant(constant)

    return change


def _swapped(source: FunctionSource) -> Iterator[tuple[str, Change]]:
    for name, first, second in ORDERED:
        if name == source.name:
            yield f"{second} before {first}", _swap(first, second)
    if source.name in COUNT_FIRST:
        yield "the sequence before the count", _hoist


def _swap(first: str, second: str) -> Change:
    """Exchange two statements of one block."""

    def change(tree: ast.FunctionDef) -> None:
        for block in _blocks(tree):
            found = [
                next((i for i, s in enumerate(block) if piece in ast.unparse(s) and not _is_docstring(s)), None)
                for piece in (first, second)
            ]
            one, other = found
            if one is not None and other is not None and one != other:
                block[one], block[other] = block[other], block[one]
                return
        raise LookupError(f"{tree.name}() does not have both")

    return change


def _hoist(tree: ast.FunctionDef) -> None:
    """Compute the last answer first."""
    last = tree.body[-1]
    assert isinstance(last, ast.Return)
    assert last.value is not None
    tree.body[1:1] = [ast.Assign([ast.Name("early", ast.Store())], last.value)]
    last.value = ast.Name("early", ast.Load())


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _blocks(tree: ast.AST) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse")):
            if isinstance(block, list):
                yield block


def _nodes(tree: ast.AST, kind: Any) -> list[Any]:
    return [node for node in ast.walk(tree) if isinstance(node, kind)]


def _replace(tree: ast.AST, old: ast.stmt, new: list[ast.stmt]) -> None:
    for block in _blocks(tree):
        for at, statement in enumerate(block):
            if statement is old:
                block[at : at + 1] = new
                return


def _function(source: FunctionSource, tree: ast.FunctionDef) -> Any:
    """The mutated function, and its source where the checker looks for it."""
    placed = copy.deepcopy(tree)
    ast.increment_lineno(placed, source.first_line - 1)
    module = ast.fix_missing_locations(ast.Module([placed], []))
    code = compile(module, source.file, "exec", flags=__future__.annotations.compiler_flag, dont_inherit=True)
    scope: dict[str, Any] = {}
    exec(code, source.function.__globals__, scope)
    function = scope[source.name]
    plain = unwrap(function)
    check_source._parsed[check_source.key_of(plain)] = replace(
        source,
        function=plain,
        tree=ast.fix_missing_locations(tree),
        stable=source.stable | {"early"},
        places={},
    )
    return function
