# SPDX-License-Identifier: GPL-2.0-only
"""What each kind of mutants changes in a small function."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pfncache.check.compile.source import FunctionSource, function_source
from pfncache.linux.include.uapi.linux.errno import EBADF
from tests.mutation.kinds.conditions import missing_tests, off_by_one
from tests.mutation.kinds.errors import error_paths, refusals
from tests.mutation.kinds.invalidations import (
    forgotten_wakes,
    forgotten_zaps,
    missing_flushes,
    missing_notifications,
)
from tests.mutation.kinds.kind import Change
from tests.mutation.kinds.locks import long_locks, missing_locks, short_locks
from tests.mutation.kinds.order import swapped_neighbours
from tests.mutation.kinds.references import forgotten_releases, lifetimes
from tests.mutation.kinds.slots import wrong_slots


def punch(self: Any, file: Any, start: int, end: int) -> int:
    if not self.file_ref_get(file):
        return -EBADF
    with self.lock:
        self.kvm_gmem_invalidate_start(file, start, end + 1)
        self.flush_if(file, True)
    self.fput(file)
    return 0


def kvm_swap_memslot(self: Any, kvm: Any, old: Any, new: Any) -> int:
    kvm.lock.lock()
    old.valid = False
    for entry in kvm.entries:
        if entry.slot is not None and kvm.start < entry.base_gfn + kvm.npages:
            self.zap(entry)
    kvm.lock.unlock()
    self.mmu_notifier_invalidate_range_end(kvm)
    self.kvm_vcpu_kick(kvm)
    return 0


def may_refresh(self: Any, gpc: Any) -> bool:
    if gpc.old:
        return False
    return bool(gpc.active)


Generator = Callable[[FunctionSource], Iterator[Change]]
EXPECTED: dict[tuple[Callable[..., Any], Generator], list[str]] = {
    (punch, missing_locks): ["without self.lock"],
    (punch, short_locks): ["self.flush_if(file, True) after self.lock"],
    (punch, long_locks): ["self.fput(file) within self.lock"],
    (punch, missing_flushes): ["without flush_if()"],
    (punch, forgotten_zaps): ["without kvm_gmem_invalidate_start(file, start, end + 1)"],
    (punch, forgotten_releases): ["without fput(file)"],
    (punch, lifetimes): ["without file_ref_get(file)", "fput(file) before with self.lock"],
    (punch, off_by_one): ["end for end + 1"],
    (punch, error_paths): ["goes on if not self.file_ref_get(file)"],
    (punch, swapped_neighbours): [
        "flush_if(file, True) before kvm_gmem_invalidate_start(file, start, end + 1)",
    ],
    (kvm_swap_memslot, missing_locks): ["without kvm.lock"],
    (kvm_swap_memslot, short_locks): ["for entry in kvm.entries after kvm.lock.unlock()"],
    (kvm_swap_memslot, long_locks): ["self.mmu_notifier_invalidate_range_end(kvm) before kvm.lock.unlock()"],
    (kvm_swap_memslot, missing_notifications): ["without its notifications"],
    (kvm_swap_memslot, forgotten_zaps): ["without old.valid = False"],
    (kvm_swap_memslot, forgotten_wakes): ["without kvm_vcpu_kick(kvm)"],
    (kvm_swap_memslot, off_by_one): [
        "kvm.start <= entry.base_gfn + kvm.npages for kvm.start < entry.base_gfn + kvm.npages",
    ],
    (kvm_swap_memslot, wrong_slots): [
        "kvm.npages for entry.base_gfn + kvm.npages",
        "the first slot of for entry in kvm.entries",
        "new for old in old.valid = False",
    ],
    (may_refresh, missing_tests): ["without the test gpc.old", "without bool(gpc.active)"],
    (may_refresh, refusals): ["always returns False"],
    (may_refresh, off_by_one): [],
}  # fmt: skip


@pytest.mark.parametrize(("function", "generator"), EXPECTED)
def test_changes_of_a_kind(function: Callable[..., Any], generator: Generator) -> None:
    source = function_source(function)  # type: ignore[arg-type]
    changes = list(generator(source))
    assert [change.what for change in changes] == EXPECTED[function, generator]
    for change in changes:
        tree = copy.deepcopy(source.tree)
        change.edit(tree)
        assert ast.unparse(tree) != ast.unparse(source.tree)


def edited(function: Callable[..., Any], generator: Generator, number: int = 0) -> str:
    """Return the body of a function after a change, as source."""
    source = function_source(function)  # type: ignore[arg-type]
    tree = copy.deepcopy(source.tree)
    list(generator(source))[number].edit(tree)
    return "\n".join(map(ast.unparse, tree.body))


def test_a_lock_that_is_too_short() -> None:
    assert edited(punch, short_locks).splitlines()[2:5] == [
        "with self.lock:", "    self.kvm_gmem_invalidate_start(file, start, end + 1)", "self.flush_if(file, True)",
    ]  # fmt: skip


def test_a_lock_that_is_too_long() -> None:
    assert edited(punch, long_locks).splitlines()[3:6] == [
        "    self.kvm_gmem_invalidate_start(file, start, end + 1)", "    self.flush_if(file, True)",
        "    self.fput(file)",
    ]  # fmt: skip


def test_an_error_that_is_not_returned() -> None:
    assert edited(punch, error_paths).splitlines()[:2] == ["if not self.file_ref_get(file):", "    pass"]


def test_a_reference_that_is_not_taken() -> None:
    assert edited(punch, lifetimes).splitlines()[0] == "if not True:"


def test_a_function_that_refuses_everything() -> None:
    assert edited(may_refresh, refusals) == "return False"


def test_lines_are_those_that_have_to_be_executed() -> None:
    source = function_source(punch)  # type: ignore[arg-type]
    lines = {change.what: change.line for change in forgotten_releases(source)}
    assert lines == {"without fput(file)": 7}
