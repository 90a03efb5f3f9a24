# SPDX-License-Identifier: GPL-2.0-only
"""Operations that run beside a cache that is in use, and the kinds of memory to which each applies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from pfncache.check.system import Call
from pfncache.scenarios.space.dimension import Value
from pfncache.scenarios.world import MemoryKind, World

EVERY = frozenset(MemoryKind)
WITH_HVA = frozenset(m for m in MemoryKind if m.has_user_mapping)
MAPPED = WITH_HVA - {MemoryKind.PFNMAP}
GMEM = frozenset(m for m in MemoryKind if m.is_gmem)
PRIVATE = frozenset(m for m in MemoryKind if m.is_private)
PLAIN = EVERY - GMEM
SHARED = frozenset({MemoryKind.ANON, MemoryKind.GMEM_MMAP, MemoryKind.GMEM_NDM})
"""One kind for each way in which KVM reaches memory through user space."""


@dataclass(frozen=True)
class Operation(Value):
    """An operation of user space, the guest or the kernel.

    ``slots`` is the number of memslot objects that it allocates. ``once`` marks an operation that cannot be repeated: a
    file descriptor is closed once.
    """

    memory: frozenset[MemoryKind]
    calls: Callable[[World], tuple[Call, ...]]
    slots: int = 0
    once: bool = False


def _region(w: World, **changes: Any) -> Call:
    """Return the call that changes the memslot of the structure."""
    return w.set_region(replace(w.layout.region, **changes))


def _delete_slot(w: World) -> tuple[Call, ...]:
    """Delete the slot."""
    return (_region(w, npages=0, log_dirty=False, readonly=False),)


def _move_slot(w: World) -> tuple[Call, ...]:
    """Move the slot to the first gfn after all slots."""
    return (_region(w, base_gfn=w.layout.end_gfn),)


def _log_slot(w: World) -> tuple[Call, ...]:
    """Start dirty logging in the slot, or stop it."""
    return (_region(w, log_dirty=not w.layout.region.log_dirty),)


def _replace_slot(w: World) -> tuple[Call, ...]:
    """Delete the slot and create it again at the same addresses, with another file if it has one.

    If user space maps the file, it maps the other one instead.
    """
    other = len(w.files) - 1 if w.files else 0
    return (
        *_delete_slot(w),
        *(
            (w.call("vm_mmap_pgoff", w.mm, w.hva, w.files[other].f_mapping, w.layout.pgoff),)
            if w.memory.is_mapped_gmem
            else ()
        ),
        _region(w, file=other),
    )


def _fail(w: World) -> tuple[Call, ...]:
    """Report a memory failure in the file's page."""
    mapping = w.gmem.f_mapping if w.files else w.memfd
    return (w.call("memory_failure", w.mm, w.hva, mapping, w.layout.pgoff),)


def _pages(name: str) -> Callable[[World], tuple[Call, ...]]:
    """Return an operation on the structure's page of its guest_memfd."""
    return lambda w: (w.call(name, w.gmem, w.layout.pgoff, w.layout.pgoff + 1),)


def _convert(private: bool) -> Callable[[World], tuple[Call, ...]]:
    """Return the conversion of the structure's page."""
    return lambda w: (w.call("set_memory_attributes", w.kvm, w.layout.gfn, w.layout.gfn + 1, private),)


def _steal_time(w: World) -> tuple[Call, ...]:
    """Write steal time to the address of the clock."""
    w.steal_time_on()
    return (w.call("run_steal_time_update", w.vcpu), w.call("run_sched_out", w.vcpu))


OPERATIONS = {
    op.name: op
    for op in (
        Operation("munmap", "user space unmaps the page", WITH_HVA, lambda w: (w.call("vm_munmap", w.mm, w.hva),)),
        Operation(
            "dontneed",
            "madvise(MADV_DONTNEED) takes the page away",
            MAPPED,
            lambda w: (w.call("madvise_dontneed", w.mm, w.hva),),
        ),
        Operation(
            "mprotect",
            "user space makes the page read-only",
            MAPPED - PRIVATE,
            lambda w: (w.call("do_mprotect_pkey", w.mm, w.hva, False),),
        ),
        Operation(
            "mremap",
            "user space moves the page to another address",
            MAPPED - PRIVATE,
            lambda w: (w.call("do_mremap", w.mm, w.hva, w.other_hva),),
        ),
        Operation(
            "migrate",
            "compaction moves the page to another page frame",
            frozenset({MemoryKind.ANON}),
            lambda w: (w.call("migrate_pages", w.mm, w.hva),),
        ),
        Operation(
            "map-over",
            "user space maps anonymous memory over the page",
            PLAIN,
            lambda w: (w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0),),
        ),
        Operation(
            "touch",
            "user space writes to the page",
            MAPPED - PRIVATE,
            lambda w: (w.call("do_user_addr_fault", w.mm, w.hva),),
        ),
        Operation(
            "memfd-punch", "a hole is punched into the memfd", frozenset({MemoryKind.MEMFD}), lambda w: (w.zap(),)
        ),
        Operation("punch", "a hole is punched into the guest_memfd", GMEM, _pages("kvm_gmem_punch_hole")),
        Operation("allocate", "fallocate() brings a page of the guest_memfd in", GMEM, _pages("kvm_gmem_allocate")),
        Operation(
            "close",
            "the last descriptor of the guest_memfd is closed",
            GMEM,
            lambda w: (w.call("filp_close", w.gmem),),
            once=True,
        ),
        Operation("memory-failure", "the memory of the page fails", GMEM | {MemoryKind.MEMFD}, _fail),
        Operation("make-shared", "the page is converted to shared", PRIVATE, _convert(False)),
        Operation("make-private", "the page is converted to private", PRIVATE, _convert(True)),
        Operation("slot-delete", "the memslot is deleted", EVERY, _delete_slot, slots=1),
        Operation(
            "slot-replace", "the memslot is deleted and made again, with another file", EVERY, _replace_slot, slots=2
        ),
        Operation("slot-log", "dirty logging of the memslot begins or ends", PLAIN, _log_slot, slots=1),
        Operation("slot-move", "the memslot moves in guest memory", PLAIN, _move_slot, slots=2),
        Operation(
            "guest-access",
            "the guest writes to the page",
            EVERY,
            lambda w: (w.call("run_guest_access", w.vcpu, w.gpa, w.memory.is_private),),
        ),
        Operation(
            "zap-range",
            "KVM zaps the SPTE of the page",
            SHARED,
            lambda w: (w.call("kvm_zap_gfn_range", w.kvm, w.layout.gfn, w.layout.gfn + 1),),
        ),
        Operation("steal-time", "steal time is written to the page", SHARED, _steal_time),
        Operation(
            "walk",
            "the guest's page tables in the page are walked",
            SHARED,
            lambda w: (w.call("kvm_mmu_gva_to_gpa_read", w.vcpu, w.gpa),),
        ),
        Operation(
            "emulate",
            "the emulator writes to the page",
            SHARED,
            lambda w: (w.call("x86_emulate_instruction", w.vcpu, w.gpa, w.gpa),),
        ),
        Operation(
            "clock-off",
            "the guest turns kvm-clock off",
            SHARED | {MemoryKind.GMEM_UNMAPPED, MemoryKind.PFNMAP},
            lambda w: (w.call("set_msr_system_time", w.vcpu, w.gpa, False),),
        ),
        Operation(
            "clock-on",
            "the guest turns kvm-clock on again",
            SHARED | {MemoryKind.GMEM_UNMAPPED, MemoryKind.PFNMAP},
            lambda w: (w.call("set_msr_system_time", w.vcpu, w.gpa, True),),
        ),
    )
}
"""Every operation, by name."""
