# SPDX-License-Identifier: GPL-2.0-only
"""Two steps in the wrong order."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pfncache.check.compile.source import FunctionSource
from tests.mutation.kinds.kind import Change, Kind, change_at
from tests.mutation.kinds.locks import LOCKING
from tests.mutation.kinds.references import RELEASES
from tests.mutation.kinds.tree import (
    QUIET,
    blocks,
    called,
    exchange,
    has_decorator,
    is_docstring,
    names,
    neighbours,
    nodes,
    stored,
    text,
)

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


def wrong_orders(source: FunctionSource) -> Iterator[Change]:
    """The orders that are known to matter."""
    for name, first, second in ORDERED:
        if name == source.name:
            found = _find(source.tree, first, second)
            if found is None:
                raise LookupError(f"{name}() does not have both {first} and {second}")
            node, places = found
            yield change_at(Kind.WRONG_ORDER, f"{second} before {first}", source, node, _Exchange(places))
    if source.name in COUNT_FIRST:
        last = source.tree.body[-1]
        yield change_at(Kind.WRONG_ORDER, "the sequence before the count", source, last, _hoist)


def _find(tree: ast.FunctionDef, first: str, second: str) -> tuple[ast.stmt, int] | None:
    """Return the earlier of two statements of one block, and how far behind it the other stands."""
    for block in blocks(tree):
        one, other = (
            next((i for i, s in enumerate(block) if piece in ast.unparse(s) and not is_docstring(s)), None)
            for piece in (first, second)
        )
        if one is not None and other is not None and one != other:
            return block[min(one, other)], abs(one - other)
    return None


class _Exchange:
    def __init__(self, places: int) -> None:
        self.places = places

    def __call__(self, tree: ast.FunctionDef, node: ast.AST) -> None:
        exchange(tree, node, self.places)


def _hoist(tree: ast.FunctionDef, last: ast.AST) -> None:
    """Compute the last answer first."""
    assert isinstance(last, ast.Return)
    assert last.value is not None
    tree.body[1:1] = [ast.Assign([ast.Name("early", ast.Store())], last.value)]
    last.value = ast.Name("early", ast.Load())


def swapped_neighbours(source: FunctionSource) -> Iterator[Change]:
    """Each two steps that follow each other, of which one is a call and neither uses what the other computes.

    An atomic function is one step.
    """
    if has_decorator(source.tree, "atomic"):
        return
    known = {
        id(found[0]) for name, *pieces in ORDERED if name == source.name
        if (found := _find(source.tree, *pieces)) is not None and found[1] == 1
    }  # fmt: skip
    for first, second in neighbours(source.tree):
        if id(first) in known or not (_is_step(first) and _is_step(second)):
            continue
        if not (called(first) or called(second)) or stored(first) & names(second) or stored(second) & names(first):
            continue
        what = f"{text(second).removeprefix('self.')} before {text(first).removeprefix('self.')}"
        yield change_at(Kind.WRONG_ORDER, what, source, first, exchange)


def _is_step(node: ast.stmt) -> bool:
    """Return whether a statement does something that another task may see, and that no other kind of mutant moves."""
    if is_docstring(node) or not isinstance(node, ast.Expr | ast.Assign | ast.AugAssign):
        return False
    calls = [called(call) for call in nodes(node, ast.Call)]
    if any(name.startswith(QUIET) or name in LOCKING for name in calls) or called(node) in RELEASES:
        return False
    return bool(calls) or any(isinstance(n, ast.Attribute) for n in ast.walk(node))
