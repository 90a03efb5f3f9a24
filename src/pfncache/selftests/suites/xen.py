# SPDX-License-Identifier: GPL-2.0-only
"""Xen guests: shared_info, in a pfncache by gpa or by user address; its invalidation; refused arguments."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pfncache.linux.include.uapi import (
    KVM_XEN_ATTR_TYPE_LONG_MODE,
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
    KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
    KVM_XEN_HVM_CONFIG_RUNSTATE,
    KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA,
    KVM_XEN_INVALID_GFN,
    KVM_XEN_MSR_MIN_INDEX,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT,
    KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
    MADV_DONTNEED,
    PAGE_SIZE,
    PUNCH_HOLE,
    XEN_COMPAT,
    XEN_LONG_MODE,
    XenLayout,
)
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import Suite, equal, expect, outcome, without_active_test
from pfncache.selftests.suites.testbed import ANON, GMEM, MAPPED, MEMFD, SIZE, SLOT, Backing, Testbed, anon

SUITE = Suite("xen")
SHARED_INFO = 2 * PAGE_SIZE
VCPU_INFO = 3 * PAGE_SIZE + 0x40
UNTOUCHED = 7 * PAGE_SIZE
"""Page of which the guest's first access is a fault; when it returns, KVM delivers pending events."""
PORT = 70
"""Bit 6 of the second word, in a 64-bit guest."""
NOWHERE = 1 << 16
"""No memslot has this gfn."""
CONFIG = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL | KVM_XEN_HVM_CONFIG_EVTCHN_SEND


def xen(flags: int = CONFIG) -> Callable[[Capabilities], str]:
    """Require support for Xen guests, with flags."""

    def need(capabilities: Capabilities) -> str:
        if not capabilities.xen:
            return "no Xen guests (CONFIG_KVM_XEN)"
        lacking = flags & ~capabilities.xen
        return f"no KVM_XEN_HVM_CONFIG flags {lacking:#x}" if lacking else ""

    return need


XEN, BY_HVA = (xen(),), (xen(CONFIG | KVM_XEN_HVM_CONFIG_SHARED_INFO_HVA),)
WITH_RUNSTATE = (xen(CONFIG | KVM_XEN_HVM_CONFIG_RUNSTATE),)


def guest(backing: Backing, machine: Machine) -> Testbed:
    """A VM for a 64-bit Xen guest."""
    bed = backing.build(machine)
    bed.vm.xen_hvm_config(CONFIG, KVM_XEN_MSR_MIN_INDEX)
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_LONG_MODE, 1)
    return bed


def share(bed: Testbed) -> int:
    """Set shared_info by its gfn; returns its user address."""
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO, SHARED_INFO // PAGE_SIZE)
    return bed.hva + SHARED_INFO


def share_by_hva(bed: Testbed) -> int:
    """Set shared_info by a user address that no memslot has, and return it."""
    hva = bed.machine.mmap(PAGE_SIZE)
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
    return hva


Share = Callable[[Testbed], int]


def wall_clock_version(bed: Testbed, hva: int, layout: XenLayout = XEN_LONG_MODE) -> int:
    """Version of the wall clock in shared_info: two for each time that it was written."""
    return int.from_bytes(bed.machine.read(hva + layout.wall_clock, 4), "little")


def is_pending(bed: Testbed, hva: int, port: int = PORT) -> bool:
    """Whether an event is pending in shared_info."""
    byte = bed.machine.read(hva + XEN_LONG_MODE.pending + port // 8, 1)[0]
    return bool(byte >> port % 8 & 1)


# shared_info and events


def _shared_info(share: Share, backing: Backing, machine: Machine) -> None:
    bed = guest(backing, machine)
    hva = share(bed)
    equal("the wall clock's version", wall_clock_version(bed, hva), 2)
    data = machine.read(hva + XEN_LONG_MODE.wall_clock + 4, 4)
    equal("whether there is a wall clock", data != bytes(4), True)
    bed.vm.xen_evtchn_send(PORT)
    equal("whether the event is pending", is_pending(bed, hva), True)
    equal("what else is pending", machine.read(hva + XEN_LONG_MODE.pending + 9, 503), bytes(503))
    machine.write(hva + XEN_LONG_MODE.pending, bytes(512))
    machine.write(hva + XEN_LONG_MODE.mask, bytes([255]) * 512)
    bed.vm.xen_evtchn_send(PORT)
    equal("whether the masked event is pending", is_pending(bed, hva), True)


for _backing in MAPPED:
    SUITE.add(
        f"shared-info-{_backing.name}", f"wall clock and events in shared_info, by gpa, in {_backing.text}",
        "lost-update", partial(_shared_info, share, _backing), needs=(*XEN, *_backing.needs),
    )  # fmt: skip
SUITE.add(
    "shared-info-hva", "wall clock and events in shared_info, by a user address in no memslot", "lost-update",
    partial(_shared_info, share_by_hva, ANON), needs=BY_HVA,
)  # fmt: skip


@SUITE.test("compat", "uapi", needs=XEN)
def compat(machine: Machine) -> None:
    """A switch to 64-bit mode writes the wall clock at its 64-bit offset too, and allows more events."""
    bed = anon(machine)
    bed.vm.xen_hvm_config(CONFIG)
    hva = share(bed)
    equal("the wall clock of 32-bit guests", wall_clock_version(bed, hva, XEN_COMPAT), 2)
    equal("the wall clock of 64-bit guests", wall_clock_version(bed, hva), 0)
    expect("event 1024", "EINVAL", lambda: bed.vm.xen_evtchn_send(1024))
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_LONG_MODE, 1)
    equal("the wall clock of 64-bit guests", wall_clock_version(bed, hva), 2)
    expect("event 1024", "ok", lambda: bed.vm.xen_evtchn_send(1024))
    equal("whether event 1024 is pending", is_pending(bed, hva, 1024), True)


def _dontneed(bed: Testbed, hva: int) -> None:
    bed.machine.madvise(hva, PAGE_SIZE, MADV_DONTNEED)


def map_over(bed: Testbed, hva: int) -> None:
    """Map another page over it."""
    bed.machine.mmap(PAGE_SIZE, address=hva)


def _unmap_and_map(bed: Testbed, hva: int) -> None:
    bed.machine.munmap(hva, PAGE_SIZE)
    bed.machine.mmap(PAGE_SIZE, address=hva)


def _punch(bed: Testbed, hva: int) -> None:
    bed.gmem.fallocate(PUNCH_HOLE, hva - bed.hva, PAGE_SIZE)


Take = Callable[[Testbed, int], None]


def _page_goes(share: Share, take: Take, backing: Backing, machine: Machine) -> None:
    """Send an event before and after the page is replaced, and check the old page and the new one."""
    bed = guest(backing, machine)
    hva = share(bed)
    bed.vm.xen_evtchn_send(PORT)
    old = machine.pin(hva)
    take(bed, hva)
    before = old.read(XEN_LONG_MODE.pending, 512)
    bed.vm.xen_evtchn_send(PORT + 1)
    equal("whether the old page has changed", old.read(XEN_LONG_MODE.pending, 512) != before, False)
    equal("whether the event is pending in the new page", is_pending(bed, hva, PORT + 1), True)
    equal("whether the event before is", is_pending(bed, hva), False)


for _name, _take in (("dontneed", _dontneed), ("map-over", map_over), ("unmap-and-map", _unmap_and_map)):
    for _how, _share, _needs in (("gpa", share, XEN), ("hva", share_by_hva, BY_HVA)):
        SUITE.add(
            f"{_name}-{_how}", f"{_name} of shared_info, set by {_how}: the next event is in the new page",
            "stale-translation", partial(_page_goes, _share, _take, ANON), needs=_needs,
        )  # fmt: skip
for _backing in (MEMFD, GMEM):
    SUITE.add(
        f"punch-{_backing.name}", f"a hole in {_backing.text} under shared_info: the next event is in the new page",
        "stale-translation", partial(_page_goes, share, _punch, _backing), needs=(*XEN, *_backing.needs),
    )  # fmt: skip


@SUITE.test("munmap-hva", "use-after-free", needs=BY_HVA)
def munmap_hva(machine: Machine) -> None:
    """Nothing is mapped at shared_info's user address: events are refused until memory is mapped there."""
    bed = guest(ANON, machine)
    hva = share_by_hva(bed)
    old = machine.pin(hva)
    machine.munmap(hva, PAGE_SIZE)
    expect("an event", "EFAULT", lambda: bed.vm.xen_evtchn_send(PORT))
    equal("what is pending in the old page", old.read(XEN_LONG_MODE.pending, 512), bytes(512))
    machine.mmap(PAGE_SIZE, address=hva)
    expect("an event, once memory is mapped", "ok", lambda: bed.vm.xen_evtchn_send(PORT))
    equal("whether it is pending", is_pending(bed, hva), True)


@SUITE.test("slot-delete", "stale-translation", needs=BY_HVA)
def slot_delete(machine: Machine) -> None:
    """Without its memslot, shared_info is found by its user address, but not by its gpa."""
    bed = guest(ANON, machine)
    hva = share(bed)
    bed.vm.delete(SLOT)
    expect("an event", "EFAULT", lambda: bed.vm.xen_evtchn_send(PORT))
    equal("whether it is pending", is_pending(bed, hva), False)
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
    expect("an event", "ok", lambda: bed.vm.xen_evtchn_send(PORT))
    equal("whether it is pending", is_pending(bed, hva), True)
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva)
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO, SHARED_INFO // PAGE_SIZE)
    expect("an event, when the memslot is there again", "ok", lambda: bed.vm.xen_evtchn_send(PORT + 1))
    equal("whether it is pending", is_pending(bed, hva, PORT + 1), True)


@SUITE.test("slot-replace", "stale-translation", needs=XEN)
def slot_replace(machine: Machine) -> None:
    """The memslot is created again at another user address: events are in the memory there."""
    bed = guest(ANON, machine)
    hva = share(bed)
    bed.vm.xen_evtchn_send(PORT)
    bed.vm.delete(SLOT)
    other = machine.mmap(SIZE)
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, other)
    bed.vm.xen_evtchn_send(PORT + 1)
    equal("whether the event is pending in the old page", is_pending(bed, hva, PORT + 1), False)
    equal("whether the event is pending in the new page", is_pending(bed, other + SHARED_INFO, PORT + 1), True)


def _deactivated(attribute: int, nowhere: int, share: Share, machine: Machine) -> None:
    bed = guest(ANON, machine)
    hva = share(bed)
    bed.vm.xen_hvm_set_attr(attribute, nowhere)
    expect("an event", "EINVAL", lambda: bed.vm.xen_evtchn_send(PORT))
    equal("what is pending", machine.read(hva + XEN_LONG_MODE.pending, 512), bytes(512))
    machine.munmap(hva, PAGE_SIZE)
    again = share_by_hva(bed)
    expect("an event, when there is a shared_info again", "ok", lambda: bed.vm.xen_evtchn_send(PORT))
    equal("whether it is pending", is_pending(bed, again), True)


SUITE.add(
    "deactivate-gpa", "shared_info is deactivated by its gpa: events are refused", "use-after-free",
    partial(_deactivated, KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_INVALID_GFN, share), needs=BY_HVA,
)  # fmt: skip
SUITE.add(
    "deactivate-hva", "shared_info is deactivated by its user address: events are refused", "use-after-free",
    partial(_deactivated, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 0, share_by_hva), needs=BY_HVA,
)  # fmt: skip


# Refusals


@SUITE.test("refusals", "uapi", needs=BY_HVA)
def refusals(machine: Machine) -> None:
    """Addresses without memory, misaligned or too long areas, and unknown attributes are refused."""
    bed = guest(ANON, machine)
    vm, vcpu, hole = bed.vm, bed.vcpu, machine.hole(PAGE_SIZE)
    hvm, per_vcpu = vm.xen_hvm_set_attr, vcpu.xen_vcpu_set_attr
    expect("an unknown flag", "EINVAL", lambda: vm.xen_hvm_config(1 << 20))
    expect("an unknown attribute", "ENOENT", lambda: hvm(99, 0))
    expect("an unknown attribute of a vCPU", "ENOENT", lambda: per_vcpu(99, 0))
    expect("shared_info in no memslot", "EFAULT", lambda: hvm(KVM_XEN_ATTR_TYPE_SHARED_INFO, NOWHERE))
    expect("shared_info that is not aligned", "EINVAL", lambda: hvm(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, bed.hva + 8))
    expect("shared_info where nothing is mapped", "EFAULT", lambda: hvm(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hole))
    share(bed)
    expect("vcpu_info in no memslot", "EFAULT", lambda: per_vcpu(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, NOWHERE * PAGE_SIZE))
    expect("vcpu_info on two pages", "EINVAL", lambda: per_vcpu(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, PAGE_SIZE - 32))
    expect("time on two pages", "EINVAL", lambda: per_vcpu(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, PAGE_SIZE - 8))
    expect("vcpu_info where nothing is mapped", "EFAULT", lambda: per_vcpu(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, hole))
    expect("an exception's vector", "EINVAL", lambda: hvm(KVM_XEN_ATTR_TYPE_UPCALL_VECTOR, 15))
    expect("an exception's vector for a vCPU", "EINVAL", lambda: per_vcpu(KVM_XEN_VCPU_ATTR_TYPE_UPCALL_VECTOR, 15))
    expect("event 0", "EINVAL", lambda: vm.xen_evtchn_send(0))
    expect("event 4096", "EINVAL", lambda: vm.xen_evtchn_send(4096))
    expect("event 4095", "ok", lambda: vm.xen_evtchn_send(4095))
    expect("an event for a vCPU that does not exist", "EINVAL", lambda: vm.xen_evtchn_send(PORT, vcpu=100))
    expect("an event by another ABI", "EINVAL", lambda: vm.xen_evtchn_send(PORT, priority=0))


@SUITE.test("vcpu-info-alignment", "uapi", needs=BY_HVA)
def vcpu_info_alignment(machine: Machine) -> tuple[str, ...]:
    """vcpu_info has to be aligned for the atomic operations on it, as from 7.3.2 and in stable kernels of that time."""
    bed = guest(ANON, machine)
    hva = machine.mmap(PAGE_SIZE)
    found = tuple(
        outcome(partial(bed.vcpu.xen_vcpu_set_attr, attribute, address))
        for attribute, start in (
            (KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, VCPU_INFO),
            (KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, hva),
        )
        for address in (start + 1, start + 2, start + 4)
    )
    equal("whether a multiple of four is accepted", (found[2], found[5]), ("ok", "ok"))
    return found


@SUITE.test("runstate-refusals", "uapi", needs=WITH_RUNSTATE)
def runstate_refusals(machine: Machine) -> None:
    """A runstate area in no memslot, and an unknown state, are refused."""
    set_attr = guest(ANON, machine).vcpu.xen_vcpu_set_attr
    expect("in no memslot", "EFAULT", lambda: set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, NOWHERE * PAGE_SIZE))
    expect("state 4", "EINVAL", lambda: set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT, 4))


@SUITE.test("no-shared-info", "splats", needs=XEN, lacks=without_active_test)
def no_shared_info(machine: Machine) -> None:
    """An event is sent before shared_info is set: it is refused."""
    bed = guest(ANON, machine)
    expect("an event", "EINVAL", lambda: bed.vm.xen_evtchn_send(PORT))


@SUITE.test("no-vcpu-info", "splats", needs=XEN, lacks=without_active_test)
def no_vcpu_info(machine: Machine) -> None:
    """An event is sent before vcpu_info is set; then the vCPU runs."""
    bed = guest(ANON, machine)
    share(bed)
    bed.vm.xen_evtchn_send(PORT)
    bed.vcpu.load(UNTOUCHED)
