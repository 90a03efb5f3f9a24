# SPDX-License-Identifier: GPL-2.0-only
"""Kernels with one fault: a change of one function, of one of the kinds in ``kinds/``."""

from __future__ import annotations
import __future__

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pfncache.check.compile import source as check_source
from pfncache.check.compile.source import FunctionSource, function_source, unwrap
from pfncache.designs.catalogue import mainline_7_3
from pfncache.designs.design import Design, Patch
from pfncache.linux.vmlinux import Vmlinux
from tests.mutation.kinds.conditions import TESTED, missing_tests, off_by_one
from tests.mutation.kinds.errors import error_paths, refusals
from tests.mutation.kinds.invalidations import (
    forgotten_wakes,
    forgotten_zaps,
    missing_flushes,
    missing_notifications,
)
from tests.mutation.kinds.kind import Change, Kind
from tests.mutation.kinds.locks import long_locks, missing_locks, short_locks
from tests.mutation.kinds.order import swapped_neighbours, wrong_orders
from tests.mutation.kinds.references import forgotten_releases, lifetimes
from tests.mutation.kinds.slots import wrong_slots
from tests.mutation.reach import line_name

LINUX = "pfncache.linux."
ROOMS = tuple(f"{LINUX}{room}" for room in ("virt", "arch", "mm", "fs"))
EVERYWHERE = (missing_locks, missing_notifications, missing_flushes, missing_tests, wrong_orders)
"""Kinds that are looked for in all of these."""
MEMORY_ACCESS = tuple(f"{LINUX}{room}" for room in ("virt.kvm", "arch.x86.kvm.mmu"))
"""Where KVM gets, keeps and loses the memory of a guest."""
SCHEDULING = (f"{LINUX}virt.kvm.kvm_main.vcpu", f"{LINUX}virt.kvm.async_pf", f"{LINUX}arch.x86.kvm.mmu.paging_tmpl")
"""What of it is about vCPUs that run, wait and fault, or about shadow paging, which no scenario runs."""
THERE = (
    short_locks, long_locks, forgotten_zaps, forgotten_wakes, forgotten_releases, lifetimes, off_by_one, wrong_slots,
    swapped_neighbours, error_paths, refusals,
)  # fmt: skip
"""Kinds that are looked for in these rooms, in functions that scenarios run."""
ELSEWHERE = (forgotten_zaps, forgotten_wakes, forgotten_releases, lifetimes)
"""Kinds that are looked for in the other rooms, in functions in which the first kinds find something; in those of
arch/x86/kvm also locks that are too short."""
NOT_CHANGED = ("host_", "trace_", "check_", "assert_", "note_", "wait_for_count", "set_entry", "hold_", "release_")
"""Beginnings of names of functions that are no code of Linux, or only there to find faults."""
INTERFACE = (
    "kvm_vm_ioctl_set_memory_region", "check_new_region", "kvm_vm_ioctl_set_mem_attributes", "kvm_gmem_create",
    "kvm_vm_ioctl_get_dirty_log", "kvm_gmem_fallocate", "kvm_gmem_mmap", "check_memory_region_flags",
    "kvm_set_memory_region", "_kvm_gmem_create", "kvm_create_vm", "kvm_gpc_init", "kvm_gmem_get_supported_flags",
)  # fmt: skip
"""Functions that make objects, or look at what user space has asked for: no memory is accessed there yet."""


@dataclass(frozen=True)
class Mutant:
    """A kernel with one fault."""

    name: str
    kind: Kind
    function: str
    line: str
    """The line that has to be executed, as the scenarios' tables name it."""
    source: FunctionSource
    change: Change

    @cached_property
    def design(self) -> Design:
        """Mainline with the fault."""
        tree = copy.deepcopy(self.source.tree)
        self.change.edit(tree)
        ast.fix_missing_locations(tree)
        patch = type("Mutant", (Patch,), {"__doc__": self.name, self.function: _function(self.source, tree)})
        return (mainline_7_3 + [patch]).named("mutant", self.name)


def mutants() -> Iterator[Mutant]:
    """Yield every mutant, in the order of the files of the kernel."""
    for owner in reversed(Vmlinux.__mro__):
        if not owner.__module__.startswith(ROOMS):
            continue
        for name, function in vars(owner).items():
            plain = unwrap(function)
            if hasattr(plain, "__code__") and Vmlinux.__dict__.get(name, getattr(Vmlinux, name)) is function:
                yield from _of(name, owner.__module__, function_source(plain))


def _of(name: str, module: str, source: FunctionSource) -> Iterator[Mutant]:
    seen: dict[str, int] = {}
    for change in _changes(name, module, source):
        seen[change.what] = seen.get(change.what, 0) + 1
        number = f" #{seen[change.what]}" if seen[change.what] > 1 else ""
        line = line_name(source.file, source.first_line + change.line - 1)
        yield Mutant(f"{name}(): {change.what}{number}", change.kind, name, line, source, change)


def _changes(name: str, module: str, source: FunctionSource) -> Iterator[Change]:
    everywhere = [change for kind in EVERYWHERE for change in kind(source)]
    yield from everywhere
    if name.startswith(NOT_CHANGED) or name in INTERFACE or getattr(source.function, "is_host_only", False):
        return
    is_access = module.startswith(MEMORY_ACCESS) and not module.startswith(SCHEDULING)
    kinds: tuple[Callable[[FunctionSource], Iterator[Change]], ...] = THERE if is_access else ()
    if everywhere and not is_access:
        kinds = ELSEWHERE if not module.startswith(f"{LINUX}arch.x86.kvm") else (short_locks, *ELSEWHERE)
    for kind in kinds:
        for change in kind(source):
            if not (kind is error_paths and name in TESTED and change.what.startswith("goes on")):
                yield change


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
