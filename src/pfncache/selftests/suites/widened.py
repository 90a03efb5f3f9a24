# SPDX-License-Identifier: GPL-2.0-only
"""Races with a widened window: a lookup has found its page, and the page is unmapped before the lookup is used.

A userfaultfd stops a lookup before it has found a page, so that it then finds the new page. Here the lookup is stopped
after it: on a kernel by an eBPF program that spends time when hva_to_pfn() returns, on the model at that point. The fix
of this race is da260bcb56fe: an invalidation in no memslot did not make the lookup repeat.
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
from pfncache.machines.machine import Machine, SyscallError
from pfncache.machines.resource import LOOKUP, UNMAP, Delayed, StopPoint
from pfncache.selftests.selftest import (
    SelftestSkipped,
    Suite,
    check,
    delayed,
    disposable,
    equal,
    parallel,
    without_dedicated_sequence,
)
from pfncache.selftests.suites.testbed import ANON, GMEM, MEMFD, SECOND, Backing, Testbed
from pfncache.selftests.suites.xen import (
    BY_HVA,
    PORT,
    SHARED_INFO,
    Take,
    guest,
    is_pending,
    map_over,
    wall_clock_version,
)

SUITE, EXITS = Suite("widened"), Suite("process-exit")
TIMER_SECONDS = 2
"""From the exit of the process to the expiry of its timer."""
BY_CHANCE_SECONDS = 2.0
"""Duration of a race by chance."""
SWITCH_SECONDS = 1e-5
"""Switch interval of Python's threads during a race by chance, in seconds."""
FAILED_PAGES = 4
"""Pages that fail, one after another: the delay of one may end before the other thread gets that far."""
DEADLOCK_SECONDS = 3.0
"""A task that is blocked for so long counts as deadlocked."""
NEEDS = (*BY_HVA, delayed)


def _in_no_slot(bed: Testbed) -> int:
    return bed.machine.mmap(PAGE_SIZE)


def _in_slot(bed: Testbed) -> int:
    return bed.hva + SHARED_INFO


def dontneed(bed: Testbed, hva: int) -> None:
    """Zap the page."""
    bed.machine.madvise(hva, PAGE_SIZE, MADV_DONTNEED)


def nothing(bed: Testbed, hva: int) -> None:
    """The page stays."""


def late(machine: Machine, call: Callable[[], None], stop: StopPoint = LOOKUP) -> Delayed[None]:
    """Start a call that is delayed at a stop point, to which it has to come."""
    task = started(machine, call, stop)
    check(task.stopped(), f"no delay at the {stop}")
    return task


def started(machine: Machine, call: Callable[[], None], stop: StopPoint) -> Delayed[None]:
    """Start a call that is delayed if it comes to a stop point."""
    try:
        return machine.delayed(call, stop)
    except SyscallError as error:
        raise SelftestSkipped(f"no eBPF at the {stop}: {error}") from None


def _activation(place: Callable[[Testbed], int], take: Take, machine: Machine) -> None:
    """shared_info is set by its user address; its page is replaced between lookup and publication."""
    bed = guest(ANON, machine)
    hva = place(bed)
    machine.write(hva, b"\1")
    old = machine.pin(hva)
    task = late(machine, lambda: bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva))
    take(bed, hva)
    machine.write(hva, b"\1")
    task.release()
    task.result()
    bed.vm.xen_evtchn_send(PORT)
    _where(bed, hva, old.read(XEN_LONG_MODE.pending, 512) == bytes(512), take is nothing)


def _refresh(place: Callable[[Testbed], int], take: Take, machine: Machine) -> None:
    """The page is replaced during the lookup for an event, which a first replacement has made necessary."""
    bed = guest(ANON, machine)
    hva = place(bed)
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
    map_over(bed, hva)
    machine.write(hva, b"\1")
    old = machine.pin(hva)
    task = late(machine, lambda: bed.vm.xen_evtchn_send(PORT))
    take(bed, hva)
    machine.write(hva, b"\1")
    task.release()
    task.result()
    equal("whether the event is pending in the current page", is_pending(bed, hva), True)
    if take is not nothing:
        equal("what is pending in the old page", old.read(XEN_LONG_MODE.pending, 512), bytes(512))


def _where(bed: Testbed, hva: int, untouched: bool, same: bool) -> None:
    equal("whether the event is pending in the current page", is_pending(bed, hva), True)
    equal("the wall clock's version in the current page", wall_clock_version(bed, hva), 2)
    if not same:
        check(untouched, "KVM has written to the old page")


def _fails(place: Callable[[Testbed], int], take: Take) -> Callable[[Design], str]:
    stale = place is _in_no_slot and take is not nothing
    return without_dedicated_sequence if stale else lambda design: ""


for _how, _body in (("activation", _activation), ("refresh", _refresh)):
    for _where_text, _place in (("no-slot", _in_no_slot), ("in-slot", _in_slot)):
        for _name, _take in (("nothing", nothing), ("dontneed", dontneed)):
            SUITE.add(
                f"{_how}-{_where_text}-{_name}",
                f"{_how} of shared_info by user address ({_where_text}), delayed after its lookup; then {_name}",
                "stale-translation", partial(_body, _place, _take), needs=NEEDS, lacks=_fails(_place, _take),
                seconds=20.0,
            )  # fmt: skip


def _by_chance(place: Callable[[Testbed], int], machine: Machine) -> None:
    """Set shared_info and replace its page, both in a loop and without delays. Stale caches are counted, not asserted.

    Each try has a new page. An event that is sent is pending there, unless the cache still has the old page.
    """
    bed = guest(ANON, machine)
    hva = place(bed)
    done: list[bool] = []

    def activate() -> None:
        while not done:
            bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)

    machine.write(hva, b"\1")
    bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    activator = machine.start(activate)
    tries = stale = 0
    end = time.monotonic() + BY_CHANCE_SECONDS
    while time.monotonic() < end:
        dontneed(bed, hva)
        machine.write(hva, b"\1")
        bed.vm.xen_evtchn_send(PORT)
        tries += 1
        stale += not is_pending(bed, hva)
    done.append(True)
    sys.setswitchinterval(interval)
    activator.result()
    machine.note(f"{stale} of {tries} events were sent to an old page, in {BY_CHANCE_SECONDS:.0f} s")


for _where_text, _place, _why in (
    ("no-slot", _in_no_slot, "before 7.3.2 it may write to a freed page"),
    ("in-slot", _in_slot, ""),
):
    SUITE.add(
        f"by-chance-{_where_text}",
        f"shared_info by user address ({_where_text}), whose page is replaced: how often the cache is stale",
        "stale-translation", partial(_by_chance, _place), needs=(*BY_HVA, parallel), seconds=10.0, opt_in=_why,
    )  # fmt: skip


def _failure(backing: Backing, take: Callable[[Testbed, int], object], machine: Machine) -> None:
    """A page fails; while it is locked and unmapped, another operation runs. Both have to end, page after page."""
    bed = backing.build(machine)
    for page in range(bed.hva, bed.hva + FAILED_PAGES * PAGE_SIZE, PAGE_SIZE):
        machine.touch(page)
        failure = late(machine, partial(machine.madvise, page, PAGE_SIZE, MADV_HWPOISON), UNMAP)
        other = machine.start(partial(take, bed, page))
        other.blocked(0.1)
        failure.release()
        stuck = failure.blocked(DEADLOCK_SECONDS), other.blocked(DEADLOCK_SECONDS)
        check(stuck != (True, True), "memory_failure() and the other operation wait for each other")
        equal("whether memory_failure() and the other operation are blocked", stuck, (False, False))


def _punch(bed: Testbed, page: int) -> None:
    bed.gmem.fallocate(PUNCH_HOLE, page - bed.hva, PAGE_SIZE)


def _run(bed: Testbed, page: int) -> None:
    bed.vcpu.run()


for _backing, _name, _other, _why in (
    (MEMFD, "punch", _punch, ""),
    (GMEM, "run", _run, ""),
    (GMEM, "punch", _punch, "memory_failure() takes invalidate_lock inside the folio lock, PUNCH_HOLE outside"),
):
    SUITE.add(
        f"failure-{_backing.name}-{_name}", f"a page of {_backing.text} fails; meanwhile: {_name}", "deadlock",
        partial(_failure, _backing, _other), needs=(*_backing.needs, delayed, disposable),
        lacks=lambda design, why=_why: why, seconds=20.0,  # type: ignore[misc]
    )  # fmt: skip


# The window of these needs no widening: it is open for as long as the VM exists.


def _timer_after_exit(release: bool, machine: Machine) -> None:
    """A process sets a Xen timer and exits, another process keeps its VM open, and the timer expires."""

    def build(other: Machine) -> int:
        bed = guest(ANON, other)
        hva = other.mmap(PAGE_SIZE)
        other.write(hva, b"\1")
        bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, hva)
        bed.vm.set_clock(SECOND)
        bed.vcpu.xen_vcpu_set_attr(KVM_XEN_VCPU_ATTR_TYPE_TIMER, PORT, bed.vm.get_clock() + TIMER_SECONDS * SECOND)
        if release:
            bed.vm.xen_hvm_set_attr(KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA, 0)
        return hva

    with machine.orphan_vms(build) as orphaned:
        equal("what KVM has written to a page of another process", orphaned.written(2 * TIMER_SECONDS), [])


EXITS.add(
    "timer", "the process of a VM exits, and the VM's timer expires: no page is left to write to", "use-after-free",
    partial(_timer_after_exit, False), needs=(*BY_HVA, disposable),
    lacks=lambda design: "mmu_notifier_release() leaves pfncaches valid, and the VM may outlive its address space",
    opt_in="it writes to a page frame of another process",
)  # fmt: skip
EXITS.add(
    "timer-deactivated", "the same, with shared_info deactivated before the exit", "use-after-free",
    partial(_timer_after_exit, True), needs=(*BY_HVA, disposable),
)  # fmt: skip
