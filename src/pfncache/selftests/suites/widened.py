# SPDX-License-Identifier: GPL-2.0-only
"""Races whose window is made wide: a lookup has found its page, and nothing is made of it before the page goes.

A userfaultfd stops a lookup before it has found anything, so that it finds the page of later. Here it is stopped
behind: on a kernel by an eBPF program that wastes time when hva_to_pfn() returns, on the model at that point. The fix
of the race that this shows is da260bcb56fe: an invalidation in no memslot did not make the lookup be repeated.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

from pfncache.designs.design import Design
from pfncache.linux.include.uapi import (
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_TIMER,
    MADV_DONTNEED,
    MADV_HWPOISON,
    PAGE_SIZE,
    PUNCH_HOLE,
    XEN_LONG_MODE,
)
from pfncache.machines.machine import Behind, Delayed, Machine, SyscallError
from pfncache.selftests.selftest import (
    Skip,
    Suite,
    check,
    delayed,
    equal,
    expendable,
    parallel,
    without_dedicated_sequence,
)
from pfncache.selftests.suites.world import ANON, GMEM, MEMFD, SECOND, Backing, World
from pfncache.selftests.suites.xen import BY_HVA, PORT, SHARED_INFO, Take, guest, is_pending, wall_clock_version

SUITE, EXITS = Suite("widened"), Suite("process-exit")
TIMER_SECONDS = 2
BY_CHANCE_SECONDS = 2.0
SWITCH_SECONDS = 1e-5
"""Python's threads give way to one another so soon."""
FAILURES = 4
"""So many pages fail: a delay may be over before the other thread has come so far."""
STUCK = 3.0
"""Whoever waits for so long, waits for ever."""
NEEDS = (*BY_HVA, delayed)


def _in_no_slot(world: World) -> int:
    return world.machine.mmap(PAGE_SIZE)


def _in_slot(world: World) -> int:
    return world.hva + SHARED_INFO


def _dontneed(world: World, hva: int) -> None:
    world.machine.madvise(hva, PAGE_SIZE, MADV_DONTNEED)


def _map_over(world: World, hva: int) -> None:
    world.machine.mmap(PAGE_SIZE, address=hva)


def _nothing(world: World, hva: int) -> None:
    """The page stays."""


def _late(machine: Machine, call: Callable[[], None], behind: Behind = Behind.LOOKUP) -> Delayed[None]:
    """Run a call that is delayed behind a function."""
    try:
        task = machine.delayed(call, behind)
    except SyscallError as error:
        raise Skip(f"no eBPF on a kretprobe: {error}") from None
    check(task.inside(), f"{behind.value}() does not return late")
    return task


def _activation(place: Callable[[World], int], take: Take, machine: Machine) -> None:
    """shared_info is set by its user address; between lookup and publication the page goes, and another one comes."""
    world = guest(ANON, machine)
    hva = place(world)
    machine.write(hva, b"\1")
    old = machine.pin(hva)
    task = _late(machine, lambda: world.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva))
    take(world, hva)
    machine.write(hva, b"\1")
    task.release()
    task.result()
    world.vm.xen_evtchn_send(PORT)
    _where(world, hva, old.read(XEN_LONG_MODE.pending, 512) == bytes(512), take is _nothing)


def _refresh(place: Callable[[World], int], take: Take, machine: Machine) -> None:
    """The same with the lookup of an event that is sent after the page went for the first time."""
    world = guest(ANON, machine)
    hva = place(world)
    world.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
    _map_over(world, hva)
    machine.write(hva, b"\1")
    old = machine.pin(hva)
    task = _late(machine, lambda: world.vm.xen_evtchn_send(PORT))
    take(world, hva)
    machine.write(hva, b"\1")
    task.release()
    task.result()
    equal("whether the event is pending in the page of now", is_pending(world, hva), True)
    if take is not _nothing:
        equal("what is pending in the page before", old.read(XEN_LONG_MODE.pending, 512), bytes(512))


def _where(world: World, hva: int, untouched: bool, same: bool) -> None:
    equal("whether the event is pending in the page of now", is_pending(world, hva), True)
    equal("the wall clock's version in the page of now", wall_clock_version(world, hva), 2)
    if not same:
        check(untouched, "KVM has written to the page before")


def _fails(place: Callable[[World], int], take: Take) -> Callable[[Design], str]:
    stale = place is _in_no_slot and take is not _nothing
    return without_dedicated_sequence if stale else lambda design: ""


for _how, _body in (("activation", _activation), ("refresh", _refresh)):
    for _where_text, _place in (("no-slot", _in_no_slot), ("in-slot", _in_slot)):
        for _name, _take in (("nothing", _nothing), ("dontneed", _dontneed)):
            SUITE.add(
                f"{_how}-{_where_text}-{_name}",
                f"{_how} of shared_info by user address ({_where_text}), delayed behind its lookup; then {_name}",
                "stale-translation", partial(_body, _place, _take), NEEDS, _fails(_place, _take), seconds=20.0,
            )  # fmt: skip


def _by_chance(place: Callable[[World], int], machine: Machine) -> None:
    """Nobody is delayed: shared_info is set again and again, and its page goes again and again. Counted, not asserted.

    Each try has a new page. An event that is sent is pending there, unless the cache has the page before.
    """
    world = guest(ANON, machine)
    hva = place(world)
    done: list[bool] = []

    def activate() -> None:
        while not done:
            world.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)

    machine.write(hva, b"\1")
    world.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    activator = machine.start(activate)
    tries = stale = 0
    end = time.monotonic() + BY_CHANCE_SECONDS
    while time.monotonic() < end:
        _dontneed(world, hva)
        machine.write(hva, b"\1")
        world.vm.xen_evtchn_send(PORT)
        tries += 1
        stale += not is_pending(world, hva)
    done.append(True)
    sys.setswitchinterval(interval)
    activator.result()
    machine.note(f"{stale} of {tries} events were sent to a page of before, in {BY_CHANCE_SECONDS:.0f} s")


for _where_text, _place in (("no-slot", _in_no_slot), ("in-slot", _in_slot)):
    SUITE.add(
        f"by-chance-{_where_text}", f"shared_info by user address ({_where_text}), whose page goes: how often stale",
        "stale-translation", partial(_by_chance, _place), (*BY_HVA, parallel), seconds=10.0,
    )  # fmt: skip


def _failure(backing: Backing, take: Callable[[World, int], object], machine: Machine) -> None:
    """A page fails: it is locked, and unmapped, when something else happens. Both come to an end, page after page."""
    world = backing.build(machine)
    for page in range(world.hva, world.hva + FAILURES * PAGE_SIZE, PAGE_SIZE):
        machine.touch(page)
        failure = _late(machine, partial(machine.madvise, page, PAGE_SIZE, MADV_HWPOISON), Behind.UNMAP)
        other = machine.start(partial(take, world, page))
        other.blocked(0.1)
        failure.release()
        stuck = failure.blocked(STUCK), other.blocked(STUCK)
        check(stuck != (True, True), "memory_failure() and the other wait for each other")
        equal("who waits for ever", stuck, (False, False))


def _punch(world: World, page: int) -> None:
    world.gmem.fallocate(PUNCH_HOLE, page - world.hva, PAGE_SIZE)


def _run(world: World, page: int) -> None:
    world.vcpu.run()


for _backing, _name, _other, _why in (
    (MEMFD, "punch", _punch, ""),
    (GMEM, "run", _run, ""),
    (GMEM, "punch", _punch, "memory_failure() takes invalidate_lock inside the folio lock, PUNCH_HOLE outside"),
):
    SUITE.add(
        f"failure-{_backing.name}-{_name}", f"a page of {_backing.text} fails; meanwhile: {_name}", "deadlock",
        partial(_failure, _backing, _other), (*_backing.needs, delayed, expendable),
        lambda design, why=_why: why, seconds=20.0,  # type: ignore[misc]
    )  # fmt: skip


# Nothing has to be steered here: the window is open for as long as the VM lives.


def _timer_of_the_dead(release: bool, machine: Machine) -> None:
    """A process sets a Xen timer, and exits; somebody else has its VM still. The timer expires."""

    def build(theirs: Machine) -> int:
        world = guest(ANON, theirs)
        hva = theirs.mmap(PAGE_SIZE)
        theirs.write(hva, b"\1")
        world.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
        world.vm.set_clock(SECOND)
        world.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_TIMER, PORT, world.vm.get_clock() + TIMER_SECONDS * SECOND)
        if release:
            world.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 0)
        return hva

    with machine.left_behind(build) as left:
        equal("what KVM has written to a page of another process", left.written(2 * TIMER_SECONDS), [])


EXITS.add(
    "timer", "the process of a VM exits, and the VM's timer expires: it has no page to write to", "use-after-free",
    partial(_timer_of_the_dead, False), (*BY_HVA, expendable),
    lambda design: "mmu_notifier_release() leaves pfncaches valid, and the VM may outlive its address space",
)  # fmt: skip
EXITS.add(
    "timer-deactivated", "the same when shared_info is taken away before", "use-after-free",
    partial(_timer_of_the_dead, True), (*BY_HVA, expendable),
)  # fmt: skip
