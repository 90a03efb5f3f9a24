# SPDX-License-Identifier: GPL-2.0-only
"""Xen guests, per vCPU: vcpu_info and time, runstate on one page or on two, timers."""

from __future__ import annotations

from functools import partial

from pfncache.linux.include.uapi import (
    KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE,
    KVM_XEN_INVALID_GPA,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PVCLOCK_GUEST_STOPPED,
    RUNSTATE_BLOCKED,
    RUNSTATE_OFFLINE,
    RUNSTATE_RUNNABLE,
    RUNSTATE_RUNNING,
    XEN_LONG_MODE,
    XEN_VCPU_INFO_TIME,
    PvClock,
)
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import Suite, equal, expect
from pfncache.selftests.suites.testbed import ANON, CLOCK, MEMFD, SECOND, SIZE, Backing, Testbed, anon
from pfncache.selftests.suites.xen import (
    BY_HVA,
    CONFIG,
    PORT,
    SUITE,
    UNTOUCHED,
    VCPU_INFO,
    WITH_RUNSTATE,
    XEN,
    guest,
    is_pending,
    map_over,
    share,
    share_by_hva,
    xen,
)

TIMERS = Suite("xen-timer")
TIME_INFO = 4 * PAGE_SIZE + 0x80
RUNSTATE = 5 * PAGE_SIZE + 0x100
SPLIT = 6 * PAGE_SIZE - 12
"""A runstate area on two pages: the page boundary is inside of its state_entry_time."""
RUNSTATE_SIZE = 48


def upcall(bed: Testbed, hva: int) -> tuple[int, int]:
    """Return evtchn_upcall_pending and evtchn_pending_sel of vcpu_info."""
    data = bed.machine.read(hva, 16)
    return data[0], int.from_bytes(data[8:16], "little")


def clock_at(bed: Testbed, hva: int) -> int:
    """Full seconds of a clock; -1 if it was never written."""
    clock = PvClock.parse(bed.machine.read(hva, PvClock.SIZE))
    return clock.system_time // SECOND if clock.written else -1


# vcpu_info and time


def _set_vcpu_info(bed: Testbed, by_hva: bool) -> int:
    if not by_hva:
        bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, VCPU_INFO)
        return bed.hva + VCPU_INFO
    hva = bed.machine.mmap(PAGE_SIZE) + VCPU_INFO % PAGE_SIZE
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, hva)
    return hva


def _vcpu_info(by_hva: bool, backing: Backing, machine: Machine) -> None:
    """vcpu_info's bits are set when an event is sent, or after its page is replaced, when the vCPU runs."""
    bed = guest(backing, machine)
    share(bed)
    hva = _set_vcpu_info(bed, by_hva)
    bed.update(1)
    equal("the clock", clock_at(bed, hva + XEN_VCPU_INFO_TIME), 1)
    bed.vm.xen_evtchn_send(PORT)
    equal("pending, and evtchn_pending_sel", upcall(bed, hva), (1, 2))
    page = hva - hva % PAGE_SIZE
    old = machine.pin(page)
    map_over(bed, page)
    before = old.read(hva % PAGE_SIZE, 64)
    bed.vm.xen_evtchn_send(2 * PORT)
    equal("pending, before the vCPU runs", upcall(bed, hva), (0, 0))
    bed.vcpu.load(UNTOUCHED)
    equal("pending, when the vCPU has run", upcall(bed, hva), (1, 4))
    bed.update(2)
    equal("the clock", clock_at(bed, hva + XEN_VCPU_INFO_TIME), 2)
    equal("whether the old page has changed", old.read(hva % PAGE_SIZE, 64) != before, False)


for _backing in (ANON, MEMFD):
    SUITE.add(
        f"vcpu-info-{_backing.name}", f"events and clock in vcpu_info in {_backing.text}, whose page is replaced",
        "stale-translation", partial(_vcpu_info, False, _backing), needs=XEN,
    )  # fmt: skip
SUITE.add(
    "vcpu-info-hva", "events and clock in vcpu_info in no memslot, whose page is replaced", "stale-translation",
    partial(_vcpu_info, True, ANON), needs=BY_HVA,
)  # fmt: skip


@SUITE.test("vcpu-info-kick", "lost-event", needs=XEN)
def noted(machine: Machine) -> None:
    """An event that is noted while vcpu_info's page is gone is delivered by the next KVM_RUN, exit or none."""
    bed = guest(ANON, machine)
    share(bed)
    hva = _set_vcpu_info(bed, False)
    for _ in range(2):
        bed.vcpu.run()  # no access of the guest's own code is a fault after that
    map_over(bed, hva - hva % PAGE_SIZE)
    bed.vm.xen_evtchn_send(PORT)
    equal("pending, before the vCPU runs", upcall(bed, hva), (0, 0))
    bed.vcpu.run()
    equal("pending, when the vCPU has run", upcall(bed, hva), (1, 2))


def _time_info(backing: Backing, machine: Machine) -> None:
    bed = guest(backing, machine)
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO)
    hva = bed.hva + TIME_INFO
    bed.update(1)
    equal("the clock", clock_at(bed, hva), 1)
    old = machine.pin(hva - hva % PAGE_SIZE)
    map_over(bed, hva - hva % PAGE_SIZE)
    bed.update(2)
    equal("the clock in the new page", clock_at(bed, hva), 2)
    equal("the clock in the old page", PvClock.parse(old.read(hva % PAGE_SIZE, 32)).system_time // SECOND, 1)
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, KVM_XEN_INVALID_GPA)
    bed.update(3)
    equal("the clock that was deactivated", clock_at(bed, hva), 2)


for _backing in (ANON, MEMFD):
    SUITE.add(
        f"time-info-{_backing.name}", f"the vCPU's time in {_backing.text}, whose page is replaced",
        "stale-translation", partial(_time_info, _backing), needs=XEN,
    )  # fmt: skip


@SUITE.test("unstable-clock", "uapi", needs=(xen(CONFIG | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE),))
def unstable_clock(machine: Machine) -> None:
    """PVCLOCK_TSC_STABLE_BIT is clear in the clock of a Xen guest if the VMM has asked for that."""
    bed = anon(machine)
    bed.vm.xen_hvm_config(CONFIG | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE)
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO)
    bed.update(1)
    equal("the flag", machine.clock_at(bed.hva + TIME_INFO).flags & 1, 0)


@SUITE.test("stopped-clock", "uapi", needs=XEN)
def stopped_clock(machine: Machine) -> int:
    """PVCLOCK_GUEST_STOPPED is for kvm-clock; before 6.15, it is in the clocks of a Xen guest too."""
    bed = anon(machine)
    bed.vm.xen_hvm_config(CONFIG)
    bed.enable_clock()
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO)
    bed.update(1)
    bed.vcpu.kvmclock_ctrl()
    bed.update(2)
    flags = [machine.clock_at(bed.hva + place).flags & PVCLOCK_GUEST_STOPPED for place in (CLOCK, TIME_INFO)]
    equal("the flag in kvm-clock", flags[0], PVCLOCK_GUEST_STOPPED)
    bed.vcpu.kvmclock_ctrl()
    bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, 0)
    bed.update(3)
    without = machine.clock_at(bed.hva + TIME_INFO).flags & PVCLOCK_GUEST_STOPPED
    equal("the flag in the other clock, without kvm-clock", without, flags[1])
    return flags[1]


# Runstate


def _state(bed: Testbed, gpa: int) -> int:
    return int.from_bytes(bed.machine.read(bed.hva + gpa, 4), "little")


def _runstate(gpa: int, backing: Backing, machine: Machine) -> None:
    """The area is written when the state changes; a replaced page is not looked up when the vCPU is scheduled out."""
    bed = guest(backing, machine)
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, gpa)
    set_state = partial(bed.vcpu.xen_vcpu_set_attr, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT)
    for state in (RUNSTATE_OFFLINE, RUNSTATE_RUNNABLE, RUNSTATE_BLOCKED):
        set_state(state)
        equal("the state", _state(bed, gpa), state)
    entry = machine.read(bed.hva + gpa + XEN_LONG_MODE.runstate_entry, 8)
    equal("whether the time of entry is written", entry != bytes(8), True)
    last = bed.hva + gpa + RUNSTATE_SIZE - 1
    page = last - last % PAGE_SIZE
    old = machine.pin(page)
    map_over(bed, page)
    machine.write(bed.hva + gpa, bytes([77]))
    machine.write(bed.hva + gpa + 1, bytes(3))
    before = old.read(0, PAGE_SIZE)
    set_state(RUNSTATE_RUNNABLE)
    equal("the state, for which a lookup would have to sleep", _state(bed, gpa), 77)
    set_state(RUNSTATE_BLOCKED)
    equal("the state in the new page", _state(bed, gpa), RUNSTATE_BLOCKED)
    equal("whether the old page has changed", old.read(0, PAGE_SIZE) != before, False)
    bed.vcpu.run()
    equal("the state of a vCPU that has run", _state(bed, gpa), RUNSTATE_RUNNING)
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, KVM_XEN_INVALID_GPA)
    set_state(RUNSTATE_OFFLINE)
    equal("the state in a deactivated area", _state(bed, gpa), RUNSTATE_RUNNING)


for _backing in (ANON, MEMFD):
    for _name, _gpa in (("runstate", RUNSTATE), ("runstate-split", SPLIT)):
        SUITE.add(
            f"{_name}-{_backing.name}", f"{_name} in {_backing.text}, whose last page is replaced", "stale-translation",
            partial(_runstate, _gpa, _backing), needs=WITH_RUNSTATE,
        )  # fmt: skip


@SUITE.test("runstate-half", "uapi", needs=WITH_RUNSTATE)
def runstate_half(machine: Machine) -> None:
    """A runstate area whose second page has no memory is refused, and not used."""
    bed = guest(ANON, machine)
    set_attr = bed.vcpu.xen_vcpu_set_attr
    expect("at the end of the memslot", "EFAULT", lambda: set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, SIZE - 12))
    set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT, RUNSTATE_BLOCKED)
    equal("the state", _state(bed, SIZE - 12), 0)


@SUITE.test("exit", "use-after-free", needs=BY_HVA)
def leave(machine: Machine) -> None:
    """The VM is destroyed while all of its caches are valid."""
    bed = guest(ANON, machine)
    share_by_hva(bed)
    _set_vcpu_info(bed, True)
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO)
    bed.enable_clock()
    bed.update(1)
    bed.vm.xen_evtchn_send(PORT)
    bed.vm.close()


# Timers. With lockdep, KVM's timer is an invalid wait context, after which lockdep turns itself off: they run last.


def _timer(seconds: float, machine: Machine) -> None:
    """A timer's event is sent when it expires, into the current page: by the interrupt, or else by the vCPU."""
    bed = guest(ANON, machine)
    hva = share(bed)
    _set_vcpu_info(bed, False)
    set_timer = partial(bed.vcpu.xen_vcpu_set_attr, KVM_XEN_VCPU_ATTR_TYPE_TIMER)
    bed.vm.set_clock(SECOND)
    set_timer(PORT, bed.vm.get_clock() + int(seconds * SECOND))
    machine.sleep(2 * seconds + 0.05)
    equal("whether the event is pending", is_pending(bed, hva), True)
    old = machine.pin(hva)
    map_over(bed, hva)
    before = old.read(XEN_LONG_MODE.pending, 512)
    set_timer(PORT + 1, bed.vm.get_clock() + int(seconds * SECOND))
    machine.sleep(2 * seconds + 0.05)
    equal("whether the interrupt has found the new page", is_pending(bed, hva, PORT + 1), False)
    bed.vcpu.load(UNTOUCHED)
    equal("when the timer expires", bed.vcpu.xen_vcpu_get_timer(), 0)
    equal("whether the event is pending in the new page", is_pending(bed, hva, PORT + 1), True)
    equal("whether the old page has changed", old.read(XEN_LONG_MODE.pending, 512) != before, False)


TIMERS.add(
    "past", "a timer whose time has come is sent at once; its page is replaced", "stale-translation",
    partial(_timer, 0.0), needs=XEN,
)  # fmt: skip
TIMERS.add(
    "future", "a timer's interrupt sends its event; its page is replaced", "stale-translation",
    partial(_timer, 0.1), needs=XEN,
)  # fmt: skip


@TIMERS.test("stopped", "uapi", needs=XEN)
def stopped(machine: Machine) -> None:
    """A timer that is stopped sends nothing."""
    bed = guest(ANON, machine)
    hva = share(bed)
    bed.vm.set_clock(SECOND)
    expires = bed.vm.get_clock() + SECOND
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_TIMER, PORT, expires)
    equal("when it expires", bed.vcpu.xen_vcpu_get_timer(), expires)
    bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_TIMER, 0)
    equal("when it expires, stopped", bed.vcpu.xen_vcpu_get_timer(), 0)
    equal("whether the event is pending", is_pending(bed, hva), False)
