# SPDX-License-Identifier: GPL-2.0-only
"""Random programs: which operations, with which arguments, and when the model can be asked."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from pfncache.linux.include.linux.mm_types import MmStruct
from pfncache.linux.include.uapi import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    FALLOC_FL_ZERO_RANGE,
    KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
    KVM_MEM_GUEST_MEMFD,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    KVM_XEN_ATTR_TYPE_LONG_MODE,
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_INVALID_GFN,
    KVM_XEN_INVALID_GPA,
    KVM_XEN_MSR_MIN_INDEX,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
    MADV_DONTNEED,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MADV_REMOVE,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
    PROT_RW,
    PUNCH_HOLE,
)
from pfncache.machines.model.machine import ModelMachine
from pfncache.machines.model.vm import ModelVm
from pfncache.selftests.differential.program import Program, SideCall
from pfncache.selftests.differential.side import (
    AREAS,
    CLOCK,
    FILES,
    LAST_CLOCK,
    PAGES,
    RUNSTATE,
    SIZE,
    STEAL,
    TIME_INFO,
    VCPU_INFO,
    XEN_FLAGS,
    Side,
)

SLOTS, GPAS = 3, 10
LENGTH = 60
"""Operations of a program."""
TOP = 1 << 64
NO_MEMORY = 1 << 52
"""A guest physical address beyond those of any processor."""
SIZES = (0, 1, PAGE_SIZE, PAGE_SIZE + 1, 1 << 44, 1 << 63, TOP - PAGE_SIZE)
"""A memslot has at most 2^31 - 1 pages."""
SLOT_IDS = (0, 1, SLOTS, 0x7FFC, 0x7FFF, 0xFFFF, 2 << 16)
ADDRESSES = (0, 8, PAGE_SIZE, PAGE_SIZE // 2, NO_MEMORY, TOP - PAGE_SIZE)
HVAS = (("anon", 0), ("anon", PAGE_SIZE), ("anon", 8), ("", 0), ("", 1 << 63), ("", TOP - PAGE_SIZE))
FLAGS = (0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, KVM_MEM_GUEST_MEMFD, 3, 5, 6, 7, 8, 1 << 16, 1 << 31)
OFFSETS = (0, 0, PAGE_SIZE, 8, SIZE, 1 << 62, TOP - PAGE_SIZE)
GMEM_FLAGS = (0, 1, 2, 3, 4, 8, 1 << 32, 1 << 63)
MODES = (0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE, PUNCH_HOLE)
LENGTHS = (0, 1, PAGE_SIZE, PAGE_SIZE + 1, SIZE + PAGE_SIZE, 1 << 62, (1 << 63) - 1)
CLOCKS = (CLOCK, CLOCK, CLOCK, LAST_CLOCK, LAST_CLOCK + 2, LAST_CLOCK + 4, PAGE_SIZE - 2)
STEALS = (STEAL, STEAL, STEAL + 2, STEAL + 32, PAGE_SIZE - 64)
ASIDE = 0xF84
"""Offset of a vcpu_info whose clock is not looked at; two more is misaligned, which 7.2 accepts."""
Generate = Callable[[Random], tuple[Any, ...]]


def _slot(r: Random) -> tuple[Any, ...]:
    flags = r.choice((0, 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY))
    return r.randrange(SLOTS), r.randrange(GPAS), r.randint(1, PAGES), r.choice(AREAS), r.randrange(PAGES), flags


def _bind(r: Random) -> tuple[Any, ...]:
    where = r.randrange(SLOTS), r.randrange(GPAS), r.randint(1, PAGES), r.choice(AREAS), r.randrange(PAGES)
    return *where, r.choice(FILES), r.randrange(PAGES)


def _region(r: Random) -> tuple[Any, ...]:
    return r.choice(SLOT_IDS), r.choice(ADDRESSES), r.choice(SIZES), *r.choice(HVAS), r.choice(FLAGS)


def _region2(r: Random) -> tuple[Any, ...]:
    flags = r.choice((KVM_MEM_GUEST_MEMFD, KVM_MEM_GUEST_MEMFD, *FLAGS))
    where = r.choice(SLOT_IDS), r.choice(ADDRESSES), r.choice(SIZES), r.choice((0, 0, PAGE_SIZE, 8))
    return *where, flags, r.choice((*FILES, "")), r.choice(OFFSETS)


def _page(r: Random) -> tuple[Any, ...]:
    return r.choice(AREAS), r.randrange(PAGES)


def _map(r: Random) -> tuple[Any, ...]:
    return *_page(r), r.choice((None, *FILES)), r.randrange(PAGES)


def _fallocate(r: Random) -> tuple[Any, ...]:
    offset, length = r.randrange(PAGES) * PAGE_SIZE, r.randint(1, PAGES) * PAGE_SIZE
    if r.random() < 0.6:
        return r.choice(FILES), PUNCH_HOLE, offset, length
    if r.random() < 0.5:
        return r.choice(("gmem", "other")), FALLOC_FL_KEEP_SIZE, offset, length
    return r.choice(("gmem", "other")), r.choice(MODES), r.choice((0, 1, PAGE_SIZE, SIZE, 1 << 62)), r.choice(LENGTHS)


def _gpa(r: Random) -> int | None:
    return r.randrange(GPAS) if r.random() < 0.9 else None


def _xen_place(r: Random) -> tuple[int, int]:
    """A structure of a vCPU; its address is usual, across two pages, not aligned, without memory, or none."""
    attribute, offset, unusual = r.choice(
        (
            (KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, VCPU_INFO, (0, 1, 2, PAGE_SIZE - 32, ASIDE, ASIDE + 2)),
            (KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, VCPU_INFO, ()),
            (KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO, (PAGE_SIZE - 8, PAGE_SIZE - 31)),
            (KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, RUNSTATE, ()),
        )
    )
    if r.random() < 0.7:
        return attribute, r.randrange(GPAS) * PAGE_SIZE + offset
    return attribute, r.choice((*unusual, NO_MEMORY, KVM_XEN_INVALID_GPA))


def _xen_attr(r: Random) -> tuple[Any, ...]:
    if r.random() < 0.7:
        return KVM_XEN_ATTR_TYPE_SHARED_INFO, r.choice((*range(GPAS), KVM_XEN_INVALID_GFN, 1 << 51, 1 << 40))
    return r.choice(
        (
            (KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, r.choice((0, 1, 15))),
            (KVM_XEN_ATTR_TYPE_LONG_MODE, 1),
            (99, 0),
            (KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 0),
            (KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 1 << 63),
        )
    )


def _xen_vcpu_attr(r: Random) -> tuple[Any, ...]:
    if r.random() < 0.75:
        return _xen_place(r)
    return r.choice(
        (
            (KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT, r.randrange(6)),
            (KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR, r.choice((0, 1, 15))),
            (KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, r.choice((0, 1 << 63, 1))),
            (KVM_XEN_VCPU_ATTR_TYPE_TIMER, 0),
            (99, 0),
        )
    )


def _xen_send(r: Random) -> tuple[Any, ...]:
    priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL if r.random() < 0.95 else r.choice((0, 1))
    return r.choice((0, 1, 63, 64, 70, 1024, 4095, 4096)), r.choice((0, 0, 0, 0, 100)), priority


def _xen_config(r: Random) -> tuple[Any, ...]:
    msr = r.choice((KVM_XEN_MSR_MIN_INDEX, KVM_XEN_MSR_MIN_INDEX - 1, KVM_XEN_MSR_MIN_INDEX + 256, 1))
    return (XEN_FLAGS, msr) if r.random() < 0.5 else (r.choice((1, 4, 8, 16, 64, 1 << 20)), KVM_XEN_MSR_MIN_INDEX)


_PROTS, _ADVICE = (PROT_NONE, PROT_READ, PROT_RW, PROT_RW), (MADV_DONTNEED, MADV_REMOVE)
_POPULATE = (MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_POPULATE_WRITE)
OPERATIONS: tuple[tuple[str, int, Generate], ...] = (
    ("slot", 6, _slot),
    ("bind", 6, _bind),
    ("region", 3, _region),
    ("region2", 3, _region2),
    ("delete", 4, lambda r: (r.randrange(SLOTS),)),
    ("log", 3, lambda r: (r.choice((0, 1, 2, 2, 7)),)),
    ("create", 1, lambda r: (r.choice((0, 1, PAGE_SIZE, PAGE_SIZE + 8, 1 << 63)), r.choice(GMEM_FLAGS))),
    ("map", 5, _map),
    ("fallocate", 6, _fallocate),
    ("unmap", 4, _page),
    ("protect", 5, lambda r: (*_page(r), r.choice(_PROTS))),
    ("advise", 5, lambda r: (*_page(r), r.choice(_ADVICE))),
    ("advise", 5, lambda r: (*_page(r), r.choice(_POPULATE))),
    ("write", 5, lambda r: (*_page(r), r.randint(1, 255))),
    ("close", 1, lambda r: (r.choice(("gmem", "other")),)),
    ("clock", 6, lambda r: (_gpa(r), r.choice(CLOCKS))),
    ("steal", 4, lambda r: (_gpa(r), r.choice(STEALS))),
    ("run", 8, lambda r: ()),
    ("load", 4, lambda r: (r.randrange(GPAS),)),
    ("store", 4, lambda r: (r.randrange(GPAS), r.randint(1, 255))),
    ("stopped", 1, lambda r: ()),
)
"""Name, weight, and how to draw arguments."""
XEN_OPERATIONS: tuple[tuple[str, int, Generate], ...] = (
    ("xen_attr", 8, _xen_attr),
    ("xen_attr_hva", 4, lambda r: (KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, r.choice(AREAS), r.choice((0, PAGE_SIZE, 8)))),
    ("xen_vcpu_attr", 12, _xen_vcpu_attr),
    (
        "xen_vcpu_attr_hva",
        4,
        lambda r: (
            KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA,
            r.choice(AREAS),
            r.randrange(PAGES) * PAGE_SIZE + r.choice((VCPU_INFO, VCPU_INFO, ASIDE + 2, PAGE_SIZE - 32)),
        ),
    ),
    ("xen_send", 12, _xen_send),
    ("xen_config", 1, _xen_config),
)


def program(seed: str, number: int, xen: bool) -> Program:
    """Return the program of a number: always the same one for a seed."""
    r = Random(f"{seed}:{number}")
    table = OPERATIONS + (XEN_OPERATIONS if xen else ())
    weights = [weight for _, weight, _ in table]
    area = r.choice(AREAS)
    begin = ("bind", (0, 0, PAGES, area, 0, "gmem", 0)) if area == "gmem" else ("slot", (0, 0, PAGES, area, 0, 0))
    chosen = [SideCall(*begin), SideCall("clock", (r.randrange(PAGES), CLOCK))]
    if xen:
        # A refresh of a cache that was never active is a warning, which is known.
        chosen.append(SideCall("xen_attr", (KVM_XEN_ATTR_TYPE_SHARED_INFO, 0)))
        chosen.append(SideCall("xen_vcpu_attr", (KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, VCPU_INFO)))
    for name, _, generate in r.choices(table, weights, k=LENGTH):
        chosen.append(SideCall(name, generate(r)))
    return tuple(chosen)


def _faults(vm: ModelVm, mm: MmStruct, gpa: int) -> bool:
    """Whether the guest's access faults, and KVM resolves that by ordinary memory."""
    slot = vm.slot_at(gpa)
    if slot is None or slot.guest_memfd or slot.readonly or vm.record.sptes[gpa].pfn >= 0:
        return False
    vma = mm.vmas[slot.userspace_addr // PAGE_SIZE + gpa - slot.base_gfn]
    return bool(vma.present and vma.writable)


def permitted(side: Side, operation: SideCall) -> bool:
    """Whether the model has the operation in this state."""
    name, arguments = operation
    vm, machine = side.vm, side.machine
    assert isinstance(vm, ModelVm) and isinstance(machine, ModelMachine)
    mm = machine.mm
    if name in ("run", "load", "store") and vm.record.vcpus[0].xen.evtchn_pending_sel:
        # A pending event is delivered after an exit that KVM handles, as a fault that it can resolve; without one, an
        # interrupt of the host may be such an exit.
        if name == "run" or not _faults(vm, mm, arguments[0]):
            return False
    if name in ("clock", "store", "load") and arguments[0] is not None:
        slot = vm.slot_at(arguments[0])
        if slot is None:
            return True
        number = (slot.userspace_addr // PAGE_SIZE) + arguments[0] - slot.base_gfn
        vma = mm.vmas[number]
        if name == "clock":
            # pvm_set_msr(), of a KVM that is not in mainline, also reads the guest's clock there. That shows only
            # where the page can be read but not written, because otherwise the lookup has made it present. It updates a
            # clock that it finds there at once, which the dirty log shows; a kernel without it, 6.18.15, does not.
            if slot.log_dirty and not machine.capabilities.processor.nested_paging:
                return False
            return not (vma.present and vma.readable and (slot.readonly or not vma.writable))
        if slot.gmem_only and not machine.capabilities.processor.nested_paging:
            # KVM may emulate an access, which then goes through the user address: to other memory, where that has it.
            own = slot.gmem_file is not None and vma.mapping is slot.gmem_file.f_mapping
            if not vma.present or not own or vma.pgoff != slot.gmem_pgoff + arguments[0] - slot.base_gfn:
                return False
        if name == "store":
            return not slot.readonly  # a store to a read-only slot is emulated, which the model does not do
        # The model's faults are for writing: so the page has to be there, or guest_memfd's.
        usable = vma.writable and mm.ptes[number].pfn >= 0 and not slot.readonly and not slot.log_dirty
        return slot.gmem_only or usable
    if name == "advise" and arguments[2] == MADV_POPULATE_READ:
        # A read fault of a memfd maps what is in the page cache around, too.
        vma = mm.vmas[side.at(*arguments[:2]) // PAGE_SIZE]
        return not vma.present or vma.mapping is None or vma.mapping.gmem
    return True
