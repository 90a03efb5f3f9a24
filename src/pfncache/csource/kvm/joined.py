# SPDX-License-Identifier: GPL-2.0-only
"""The tables of all files together, and the names that translated functions may use."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import fields
from inspect import unwrap
from pathlib import Path
from types import ModuleType
from typing import Any

from pfncache.csource.kvm import (
    guest_access,
    guest_memfd,
    gup,
    kvm_main,
    locking,
    memslots,
    mmu_notifier,
    pfncache,
    steal_time,
    vm,
    x86,
    xen,
    xen_adapters,
)
from pfncache.csource.tables import Tables
from pfncache.lang.part_of import CALLER, linux_name
from pfncache.lang.records import Record
from pfncache.linux.arch.x86.include.asm import pvclock_abi
from pfncache.linux.include.linux import bug, kvm_types, lockdep, preempt, sched
from pfncache.linux.include.uapi.linux import errno, falloc, kvm
from pfncache.linux.kernel import kthread
from pfncache.linux.kernel.locking import mutex, rwsem, spinlock
from pfncache.linux.kernel.rcu import srcutree
from pfncache.linux.mm import slub
from pfncache.linux.vmlinux import Vmlinux

FLAGS = {"MEMREMAP_WB": 1, "GFP_KERNEL": 0, "GFP_KERNEL_ACCOUNT": 0, "ULONG_MAX": 63}
"""Constants that no function of the model reads, and the greatest address of the model."""
PARTS = (
    locking.TABLES, pfncache.TABLES, guest_memfd.TABLES, mmu_notifier.TABLES, kvm_main.TABLES, memslots.TABLES,
    guest_access.TABLES, gup.TABLES, vm.TABLES, x86.TABLES, xen.TABLES, steal_time.TABLES,
)  # fmt: skip
HELPERS: tuple[type, ...] = (
    locking.LockingHelpers, pfncache.PfncacheHelpers, guest_memfd.GuestMemfdHelpers, mmu_notifier.MmuNotifierHelpers,
    kvm_main.KvmMainHelpers, memslots.MemslotHelpers, guest_access.GuestAccessHelpers,
    gup.GupHelpers, vm.VmHelpers,
    x86.X86Helpers,
    xen.XenHelpers,
    steal_time.StealTimeHelpers,
)  # fmt: skip
"""Functions that Linux does not have, by which the C calls the model."""
ADAPTERS: tuple[type, ...] = (
    guest_memfd.GuestMemfdAdapters,
    mmu_notifier.MmuNotifierAdapters,
    kvm_main.KvmMainAdapters,
    memslots.MemslotAdapters,
    guest_access.GuestAccessAdapters,
    gup.GupAdapters,
    x86.X86Adapters,
    xen_adapters.XenAdapters,
    guest_memfd.GuestMemfdAdapters612,
    x86.X86Adapters612,
)
"""Functions of the model that call the C's function, which takes or returns something else."""
CONSTANTS = (errno, kvm_types, kvm, falloc, pvclock_abi)
FUNCTIONS = (bug, lockdep, preempt, sched, mutex, spinlock, rwsem, srcutree, slub, kthread)


def _numbers(module: ModuleType) -> dict[str, Any]:
    return {n: v for n, v in vars(module).items() if n.isupper() and isinstance(v, int)}


def _functions(module: ModuleType) -> dict[str, Any]:
    return {
        n: v for n, v in vars(module).items()
        if callable(v) and not isinstance(v, type) and getattr(v, "__module__", "").startswith("pfncache.linux")
    }  # fmt: skip


@functools.cache
def scope() -> Mapping[str, Any]:
    """Return the names that the tables' texts and the translated functions may use."""
    found: dict[str, Any] = {n: r for n, r in Record.registry.items() if r.__module__.startswith("pfncache.linux.")}
    for module in CONSTANTS:
        found |= _numbers(module)
    found["is_error_noslot_pfn"] = kvm_types.is_error_noslot_pfn
    for module in FUNCTIONS:
        found |= _functions(module)
    constants = (guest_memfd.CONSTANTS, memslots.CONSTANTS, gup.CONSTANTS, xen.CONSTANTS, steal_time.CONSTANTS)
    return found | FLAGS | {name: value for part in constants for name, value in part.items()}


def _environment() -> dict[str, str]:
    path = Path(__file__).with_name("environment.c")
    return {"declarations": path.read_text(), "declared_in": str(path)}


@functools.cache
def kernel() -> type[Vmlinux]:
    """Return the model with the helpers, in which names are looked up."""
    functions = {n: f for helper in HELPERS for n, f in vars(helper).items() if callable(f) and not n.startswith("__")}
    return type("Kernel", (Vmlinux,), functions)


@functools.cache
def mirrored() -> frozenset[str]:
    """Return the functions of Linux that the model has, or has a part of."""
    names = {linux_name(unwrap(f).__code__) for f in _all_functions(Vmlinux) if hasattr(unwrap(f), "__code__")}
    return frozenset(names - {CALLER})


def _all_functions(kernel: type) -> list[Any]:
    return [value for layer in kernel.__mro__ for value in vars(layer).values() if callable(value)]


@functools.cache
def tables() -> Tables:
    """Return the tables for KVM."""
    whole: dict[str, Any] = {}
    for part in PARTS:
        for field in fields(part):
            value = getattr(part, field.name)
            if field.name in ("kernel", "scope"):
                continue
            if isinstance(value, Mapping):
                known = whole.setdefault(field.name, {})
                twice = set(known) & set(value)
                if twice:
                    raise ValueError(f"the tables have {sorted(twice)} twice")
                known.update(value)
            elif isinstance(value, frozenset):
                whole[field.name] = whole.get(field.name, frozenset()) | value
            elif isinstance(value, str):
                whole[field.name] = whole.get(field.name, "") + value
            else:
                whole[field.name] = tuple(dict.fromkeys((*whole.get(field.name, ()), *value)))
    return Tables(**{**whole, "kernel": kernel(), "scope": scope(), "mirrored": mirrored(), **_environment()})
