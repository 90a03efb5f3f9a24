# SPDX-License-Identifier: GPL-2.0-only
"""Xen guests: what belongs to a vCPU. vcpu_info and time, runstate on one page or on two, timers."""

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
    PAGE_SIZE,
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
from pfncache.selftests.suites.world import ANON, MEMFD, SECOND, SIZE, Backing, World, anon
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
"""Four bytes of state, and the time of entry into it, which lies on both pages."""
RUNSTATE_SIZE = 48


def upcall(world: World, hva: int) -> tuple[int, int]:
    """evtchn_upcall_pending and evtchn_pending_sel in vcpu_info."""
    data = world.machine.read(hva, 16)
    return data[0], int.from_bytes(data[8:16], "little")


def clock_at(world: World, hva: int) -> int:
    """The full seconds of a clock; -1 where none was ever written."""
    clock = PvClock.parse(world.machine.read(hva, PvClock.SIZE))
    return clock.system_time // SECOND if clock.written else -1


# vcpu_info and time


def _set_vcpu_info(world: World, by_hva: bool) -> int:
    if not by_hva:
        world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, VCPU_INFO)
        return world.hva + VCPU_INFO
    hva = world.machine.mmap(PAGE_SIZE) + VCPU_INFO % PAGE_SIZE
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA, hva)
    return hva


def _vcpu_info(by_hva: bool, backing: Backing, machine: Machine) -> None:
    """The vCPU's bits are set when an event is sent, or when the vCPU runs after its page was away; so is its clock."""
    world = guest(backing, machine)
    share(world)
    hva = _set_vcpu_info(world, by_hva)
    world.update(1)
    equal("the clock", clock_at(world, hva + XEN_VCPU_INFO_TIME), 1)
    world.vm.xen_evtchn_send(PORT)
    equal("pending, and where", upcall(world, hva), (1, 2))
    page = hva - hva % PAGE_SIZE
    old = machine.pin(page)
    map_over(world, page)
    before = old.read(hva % PAGE_SIZE, 64)
    world.vm.xen_evtchn_send(2 * PORT)
    equal("pending, before the vCPU runs", upcall(world, hva), (0, 0))
    world.vcpu.load(UNTOUCHED)
    equal("pending, when the vCPU has run", upcall(world, hva), (1, 4))
    world.update(2)
    equal("the clock", clock_at(world, hva + XEN_VCPU_INFO_TIME), 2)
    equal("whether the old page has changed", old.read(hva % PAGE_SIZE, 64) != before, False)


for _backing in (ANON, MEMFD):
    SUITE.add(
        f"vcpu-info-{_backing.name}", f"events and clock in vcpu_info in {_backing.text}, whose page goes",
        "stale-translation", partial(_vcpu_info, False, _backing), XEN,
    )  # fmt: skip
SUITE.add(
    "vcpu-info-hva", "events and clock in vcpu_info in no memslot, whose page goes", "stale-translation",
    partial(_vcpu_info, True, ANON), BY_HVA,
)  # fmt: skip


def _time_info(backing: Backing, machine: Machine) -> None:
    world = guest(backing, machine)
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO)
    hva = world.hva + TIME_INFO
    world.update(1)
    equal("the clock", clock_at(world, hva), 1)
    old = machine.pin(hva - hva % PAGE_SIZE)
    map_over(world, hva - hva % PAGE_SIZE)
    world.update(2)
    equal("the clock in the new page", clock_at(world, hva), 2)
    equal("the clock in the old page", PvClock.parse(old.read(hva % PAGE_SIZE, 32)).system_time // SECOND, 1)
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, KVM_XEN_INVALID_GPA)
    world.update(3)
    equal("the clock that was taken away", clock_at(world, hva), 2)


for _backing in (ANON, MEMFD):
    SUITE.add(
        f"time-info-{_backing.name}", f"the vCPU's time in {_backing.text}, whose page goes", "stale-translation",
        partial(_time_info, _backing), XEN,
    )  # fmt: skip


@SUITE.test("unstable-clock", "uapi", (xen(CONFIG | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE),))
def unstable_clock(machine: Machine) -> None:
    """The guest is told that its clock is not stable when its VMM wants so."""
    world = anon(machine)
    world.vm.xen_hvm_config(CONFIG | KVM_XEN_HVM_CONFIG_PVCLOCK_TSC_UNSTABLE)
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO)
    world.update(1)
    equal("the flag", machine.clock_at(world.hva + TIME_INFO).flags & 1, 0)


# Runstate


def _state(world: World, gpa: int) -> int:
    return int.from_bytes(world.machine.read(world.hva + gpa, 4), "little")


def _runstate(gpa: int, backing: Backing, machine: Machine) -> None:
    """Written when the state changes; a page that went is looked up, but not when the vCPU is being scheduled out."""
    world = guest(backing, machine)
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, gpa)
    set_state = partial(world.vcpu.xen_vcpu_set_attr, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT)
    for state in (RUNSTATE_OFFLINE, RUNSTATE_RUNNABLE, RUNSTATE_BLOCKED):
        set_state(state)
        equal("the state", _state(world, gpa), state)
    entry = machine.read(world.hva + gpa + XEN_LONG_MODE.runstate_entry, 8)
    equal("whether the time of entry is told", entry != bytes(8), True)
    last = world.hva + gpa + RUNSTATE_SIZE - 1
    page = last - last % PAGE_SIZE
    old = machine.pin(page)
    map_over(world, page)
    machine.write(world.hva + gpa, bytes([77]))
    machine.write(world.hva + gpa + 1, bytes(3))
    before = old.read(0, PAGE_SIZE)
    set_state(RUNSTATE_RUNNABLE)
    equal("the state, which nobody may wait for", _state(world, gpa), 77)
    set_state(RUNSTATE_BLOCKED)
    equal("the state in the new page", _state(world, gpa), RUNSTATE_BLOCKED)
    equal("whether the old page has changed", old.read(0, PAGE_SIZE) != before, False)
    world.vcpu.run()
    equal("the state of a vCPU that has run", _state(world, gpa), RUNSTATE_RUNNING)
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, KVM_XEN_INVALID_GPA)
    set_state(RUNSTATE_OFFLINE)
    equal("the state where it was taken away", _state(world, gpa), RUNSTATE_RUNNING)


for _backing in (ANON, MEMFD):
    for _name, _gpa in (("runstate", RUNSTATE), ("runstate-split", SPLIT)):
        SUITE.add(
            f"{_name}-{_backing.name}", f"{_name} in {_backing.text}, whose last page goes", "stale-translation",
            partial(_runstate, _gpa, _backing), WITH_RUNSTATE,
        )  # fmt: skip


@SUITE.test("runstate-half", "uapi", WITH_RUNSTATE)
def runstate_half(machine: Machine) -> None:
    """A runstate area of which one half has no memory is refused, and not used."""
    world = guest(ANON, machine)
    set_attr = world.vcpu.xen_vcpu_set_attr
    expect("at the end of the memslot", "EFAULT", lambda: set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR, SIZE - 12))
    set_attr(KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT, RUNSTATE_BLOCKED)
    equal("the state", _state(world, SIZE - 12), 0)


@SUITE.test("exit", "use-after-free", BY_HVA)
def leave(machine: Machine) -> None:
    """The VM goes while all of its caches are valid."""
    world = guest(ANON, machine)
    share_by_hva(world)
    _set_vcpu_info(world, True)
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO, TIME_INFO)
    world.enable_clock()
    world.update(1)
    world.vm.xen_evtchn_send(PORT)
    world.vm.close()


# Timers. KVM's own make lockdep complain of an invalid wait context, and turn itself off: they come last.


def _timer(seconds: float, machine: Machine) -> None:
    """The event of a timer is sent in time, into the page of then; what the interrupt cannot reach, the vCPU does."""
    world = guest(ANON, machine)
    hva = share(world)
    _set_vcpu_info(world, False)
    set_timer = partial(world.vcpu.xen_vcpu_set_attr, KVM_XEN_VCPU_ATTR_TYPE_TIMER)
    world.vm.set_clock(SECOND)
    set_timer(PORT, world.vm.get_clock() + int(seconds * SECOND))
    machine.sleep(2 * seconds + 0.05)
    equal("whether the event is pending", is_pending(world, hva), True)
    old = machine.pin(hva)
    map_over(world, hva)
    before = old.read(XEN_LONG_MODE.pending, 512)
    set_timer(PORT + 1, world.vm.get_clock() + int(seconds * SECOND))
    machine.sleep(2 * seconds + 0.05)
    equal("whether the interrupt has found the new page", is_pending(world, hva, PORT + 1), False)
    world.vcpu.load(UNTOUCHED)
    equal("when the timer expires", world.vcpu.xen_vcpu_get_timer(), 0)
    equal("whether the event is pending in the new page", is_pending(world, hva, PORT + 1), True)
    equal("whether the old page has changed", old.read(XEN_LONG_MODE.pending, 512) != before, False)


TIMERS.add(
    "past", "a timer whose time has come is sent at once; its page goes", "stale-translation",
    partial(_timer, 0.0), XEN,
)  # fmt: skip
TIMERS.add(
    "future", "a timer's interrupt sends its event; its page goes", "stale-translation", partial(_timer, 0.1), XEN,
)  # fmt: skip


@TIMERS.test("stopped", "uapi", XEN)
def stopped(machine: Machine) -> None:
    """A timer that is stopped sends nothing."""
    world = guest(ANON, machine)
    hva = share(world)
    world.vm.set_clock(SECOND)
    expires = world.vm.get_clock() + SECOND
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_TIMER, PORT, expires)
    equal("when it expires", world.vcpu.xen_vcpu_get_timer(), expires)
    world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_TIMER, 0)
    equal("when it expires, stopped", world.vcpu.xen_vcpu_get_timer(), 0)
    equal("whether the event is pending", is_pending(world, hva), False)
