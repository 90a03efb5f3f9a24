# SPDX-License-Identifier: GPL-2.0-only
"""Steered races: a refresh is stopped inside its lookup, or by a long invalidation, while its page is unmapped.

A userfaultfd stops a lookup of a page, the kernel's included. A guest_memfd mapping does not support userfaultfd;
there, a long invalidation of other memory makes the refresh repeat its lookup.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pfncache.linux.include.uapi import (
    MADV_DONTNEED,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PROT_READ,
    PROT_RW,
    PUNCH_HOLE,
    UFFDIO_REGISTER_MODE_MINOR,
    UFFDIO_REGISTER_MODE_MISSING,
    UFFDIO_REGISTER_MODE_WP,
)
from pfncache.machines.machine import Exit, Machine
from pfncache.machines.resource import Task, Userfaultfd
from pfncache.selftests.selftest import SelftestFailure, Suite, check, equal, long_window, outcome, userfaultfd
from pfncache.selftests.suites.testbed import (
    ANON,
    CLOCK,
    CLOCK_PAGE,
    GMEM,
    MEMFD,
    SECOND,
    SIZE,
    Backing,
    OldPage,
    Testbed,
    anon,
)

PAUSED, WINDOW = Suite("paused-lookup"), Suite("long-window")
OTHER_GPA = 3 * SIZE
CAN_STOP = (userfaultfd(UFFDIO_REGISTER_MODE_MISSING, "missing-page"),)
TRIES = 3
"""How often a window is opened, if it ends before the test of it does."""


@dataclass(frozen=True)
class Mode:
    """A way to stop a lookup."""

    name: str
    mode: int
    backing: Backing


MISSING = Mode("missing-anon", UFFDIO_REGISTER_MODE_MISSING, ANON)
WP_ANON = Mode("wp-anon", UFFDIO_REGISTER_MODE_WP, ANON)
WP_MEMFD = Mode("wp-memfd", UFFDIO_REGISTER_MODE_WP, MEMFD)
MINOR = Mode("minor-memfd", UFFDIO_REGISTER_MODE_MINOR, MEMFD)
MODES = (MISSING, WP_ANON, WP_MEMFD, MINOR)


def _dontneed(bed: Testbed) -> None:
    bed.machine.madvise(bed.page, PAGE_SIZE, MADV_DONTNEED)


def _map_over(bed: Testbed) -> None:
    bed.machine.mmap(PAGE_SIZE, address=bed.page)


def _unmap_and_map(bed: Testbed) -> None:
    bed.machine.munmap(bed.page, PAGE_SIZE)
    bed.machine.mmap(PAGE_SIZE, address=bed.page)


def _protect_and_back(bed: Testbed) -> None:
    bed.machine.mprotect(bed.page, PAGE_SIZE, PROT_READ)
    bed.machine.mprotect(bed.page, PAGE_SIZE, PROT_RW)


def _punch(bed: Testbed) -> None:
    bed.gmem.fallocate(PUNCH_HOLE, CLOCK_PAGE, PAGE_SIZE)


INVALIDATIONS: dict[str, Callable[[Testbed], None]] = {
    "nothing": lambda bed: None,
    "dontneed": _dontneed,
    "map-over": _map_over,
    "unmap-and-map": _unmap_and_map,
    "mprotect": _protect_and_back,
    "punch": _punch,
}
FOR_FILES = ("punch",)


def _begin_run(bed: Testbed, mode: int) -> tuple[OldPage, Userfaultfd, Task[Exit]]:
    """Start a KVM_RUN that updates the clock and stops in its lookup. Returns the clock's first page, too."""
    bed.enable_clock()
    bed.update(1)
    old = bed.pin()
    if mode != UFFDIO_REGISTER_MODE_WP:
        _dontneed(bed)
    fault = bed.machine.userfaultfd(bed.page, PAGE_SIZE, mode)
    bed.vm.set_clock(2 * SECOND)
    return old, fault, bed.machine.start(bed.vcpu.run)


def _stopped_in_run(mode: Mode, what: str, machine: Machine) -> None:
    """The refresh in KVM_RUN stops in its lookup; its page is invalidated; the update is in the current page."""
    bed = mode.backing.build(machine)
    old, fault, task = _begin_run(bed, mode.mode)
    equal("where KVM waits", fault.wait() - bed.hva, CLOCK_PAGE)
    check(task.blocked(), "KVM_RUN does not wait for its lookup")
    INVALIDATIONS[what](bed)
    fault.unregister()
    fault.wake(bed.page)
    equal("KVM_RUN", task.result().reason, "HLT")
    equal("the clock in the page that the guest has now", bed.clock_seconds(bed.hva + CLOCK), 2)
    same_page = mode.backing is MEMFD and what in ("nothing", "dontneed", "mprotect")
    same_page = same_page or (mode is WP_ANON and what in ("nothing", "mprotect"))
    equal("the clock in the page that it had", old.seconds(), 2 if same_page else 1)
    bed.update(3)
    equal("the next update", bed.clock_seconds(bed.hva + CLOCK), 3)


def _stopped_in_msr(what: str, machine: Machine) -> None:
    """The MSR write that sets a clock up stops in its lookup; its page is invalidated."""
    bed = anon(machine)
    fault = machine.userfaultfd(bed.hva, SIZE, UFFDIO_REGISTER_MODE_MISSING)
    task = machine.start(lambda: bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK | 1))
    equal("where KVM waits", fault.wait() - bed.hva, CLOCK_PAGE)
    check(task.blocked(), "KVM_SET_MSRS does not wait for its lookup")
    INVALIDATIONS[what](bed)
    fault.unregister()
    fault.wake(bed.page)
    equal("KVM_SET_MSRS", task.result(), 1)
    bed.update(2)
    equal("the clock", bed.clock_seconds(bed.hva + CLOCK), 2)


for _mode in MODES:
    for _what in INVALIDATIONS:
        if _what in FOR_FILES and _mode.backing is not MEMFD:
            continue
        PAUSED.add(
            f"{_mode.name}-{_what}", f"a refresh waits in its lookup ({_mode.name}); meanwhile: {_what}",
            "stale-translation", partial(_stopped_in_run, _mode, _what), needs=(userfaultfd(_mode.mode, _mode.name),),
        )  # fmt: skip
for _what in INVALIDATIONS:
    if _what not in FOR_FILES:
        PAUSED.add(
            f"activate-{_what}", f"the MSR write waits in its lookup; meanwhile: {_what}", "stale-translation",
            partial(_stopped_in_msr, _what), needs=CAN_STOP,
        )  # fmt: skip


@PAUSED.test(
    "again-and-again",
    "livelock",
    needs=CAN_STOP,
)
def again_and_again(machine: Machine) -> None:
    """A lookup that is woken before its fault is resolved waits again, and ends when it is resolved."""
    bed = anon(machine)
    old, fault, task = _begin_run(bed, UFFDIO_REGISTER_MODE_MISSING)
    for _ in range(3):
        fault.wait()
        fault.wake(bed.page)
    fault.wait()
    fault.resolve(bed.page)
    equal("KVM_RUN", task.result().reason, "HLT")
    equal("the clock", bed.clock_seconds(bed.hva + CLOCK), 2)
    old.untouched_since(1)


@PAUSED.test(
    "unmapped",
    "use-after-free",
    needs=CAN_STOP,
)
def unmapped(machine: Machine) -> None:
    """Nothing is mapped when the lookup continues: the update is lost, and nothing breaks."""
    bed = anon(machine)
    old, fault, task = _begin_run(bed, UFFDIO_REGISTER_MODE_MISSING)
    fault.wait()
    machine.munmap(bed.page, PAGE_SIZE)
    fault.wake(bed.page)
    equal("KVM_RUN", task.result().reason, "HLT")
    old.untouched_since(1)
    machine.mmap(PAGE_SIZE, address=bed.page)
    bed.update(3)
    equal("the clock, once memory is mapped", bed.clock_seconds(bed.hva + CLOCK), 3)


@PAUSED.test(
    "who-waits",
    "deadlock",
    needs=(*CAN_STOP, *GMEM.needs),
)
def who_waits(machine: Machine) -> None:
    """While a lookup waits, only its vCPU and memslot changes wait for it."""
    bed, other = anon(machine), anon(machine)
    second = bed.vm.create_vcpu()
    spare, third = machine.mmap(PAGE_SIZE), machine.mmap(PAGE_SIZE)
    file = bed.vm.create_guest_memfd(PAGE_SIZE, 3)
    bed.vm.bind(2, OTHER_GPA, PAGE_SIZE, third, file)
    fault = machine.userfaultfd(bed.page, PAGE_SIZE, UFFDIO_REGISTER_MODE_MISSING)
    lookup = machine.start(lambda: bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK | 1))
    fault.wait()

    def free(what: str, call: Callable[[], object]) -> None:
        check(not machine.start(call).blocked(2.0), f"{what} waits for the lookup")

    free("KVM_SET_CLOCK", lambda: bed.vm.set_clock(SECOND))
    free("KVM_GET_CLOCK", bed.vm.get_clock)
    free("another vCPU's KVM_RUN", second.run)
    free("another vCPU's KVM_SET_MSRS", lambda: second.set_msr(MSR_KVM_SYSTEM_TIME_NEW, PAGE_SIZE | 1))
    free("PUNCH_HOLE", lambda: file.fallocate(PUNCH_HOLE, 0, PAGE_SIZE))
    free("mmap and munmap", lambda: machine.munmap(machine.mmap(PAGE_SIZE), PAGE_SIZE))
    free("MADV_DONTNEED of the page", lambda: _dontneed(bed))
    free("mprotect of the page", lambda: _protect_and_back(bed))
    free("another VM's KVM_RUN", other.vcpu.run)
    free("another VM's memslots", lambda: other.vm.set_user_memory_region(1, SIZE, PAGE_SIZE, spare))
    free("KVM_CREATE_GUEST_MEMFD", lambda: bed.vm.create_guest_memfd(PAGE_SIZE))
    waiting: list[tuple[str, Task[object]]] = []

    def waits(what: str, call: Callable[[], object]) -> None:
        task = machine.start(call)
        waiting.append((what, task))
        check(task.blocked(), f"{what} does not wait for the lookup")

    waits("an ioctl of the vCPU", lambda: bed.vcpu.get_msr(MSR_KVM_SYSTEM_TIME_NEW))
    waits("KVM_SET_USER_MEMORY_REGION", lambda: bed.vm.set_user_memory_region(1, SIZE, PAGE_SIZE, spare))
    waits("the deletion of a memslot", lambda: bed.vm.delete(2))
    fault.unregister()
    equal("the lookup", lookup.result(), 1)
    for _, task in waiting:
        task.result()


@PAUSED.test(
    "no-userfaultfd-on-gmem",
    "uapi",
    needs=(*CAN_STOP, *GMEM.needs),
)
def no_userfaultfd_on_gmem(machine: Machine) -> None:
    """A guest_memfd mapping refuses a userfaultfd that stops faults."""
    bed = GMEM.build(machine)
    for mode in (UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_MINOR):
        equal(f"mode {mode}", outcome(lambda m=mode: machine.userfaultfd(bed.hva, SIZE, m)), "EINVAL")  # type: ignore[misc]


# A long invalidation


class _TooShort(Exception):
    """The window has ended before the test of it."""


def _in_window(body: Callable[[Backing, Machine], None], backing: Backing, machine: Machine) -> None:
    for _ in range(TRIES):
        try:
            return body(backing, machine)
        except _TooShort:
            continue
    raise SelftestFailure("the invalidation never took long enough")


def _valid_cache(backing: Backing, machine: Machine) -> None:
    """A valid cache is used without waiting."""
    bed = backing.build(machine)
    bed.enable_clock()
    bed.update(1)
    with machine.notifier_window() as window:
        bed.update(2)
        written = bed.seen()
        if not window.is_open():
            raise _TooShort
    equal("the clock inside the window", written, 2)


def _invalid_cache(backing: Backing, machine: Machine) -> None:
    """A refresh waits for the end of the invalidation, and then finds the current page, not the one found before."""
    bed = backing.build(machine)
    bed.enable_clock()
    bed.update(1)
    old = bed.pin()
    _dontneed(bed)
    bed.vm.set_clock(2 * SECOND)
    with machine.notifier_window() as window:
        task = machine.start(bed.vcpu.run)
        waits = task.blocked(0.005)
        if backing is ANON:
            _dontneed(bed)
        else:
            _punch(bed)
        still_waits = task.blocked(0.005)
        if not window.is_open():
            task.result()
            raise _TooShort
    check(waits and still_waits, "the refresh does not wait for the end of an invalidation")
    equal("KVM_RUN", task.result().reason, "HLT")
    equal("the clock in the page that the guest has now", bed.seen(), 2)
    old.untouched_since(1)


def _activation(backing: Backing, machine: Machine) -> None:
    """The MSR write that sets a clock up and a memslot change wait as well; a KVM_RUN without a refresh does not."""
    bed = backing.build(machine)
    spare = machine.mmap(PAGE_SIZE)
    with machine.notifier_window() as window:
        bed.vcpu.run()
        activation = machine.start(lambda: bed.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK | 1))
        change = machine.start(lambda: bed.vm.set_user_memory_region(1, SIZE, PAGE_SIZE, spare))
        activation_waits, change_waits = activation.blocked(0.005), change.blocked(0.005)
        if not window.is_open():
            activation.result(), change.result()
            raise _TooShort
    check(activation_waits, "KVM_SET_MSRS does not wait for the end of an invalidation")
    check(change_waits, "a memslot change does not wait for the end of an invalidation")
    equal("KVM_SET_MSRS", activation.result(), 1)
    change.result()
    bed.update(3)
    equal("the clock", bed.seen(), 3)


for _backing in (ANON, GMEM):
    for _name, _text, _body in (
        ("valid-cache", "a valid cache is used without waiting", _valid_cache),
        ("refresh", "a refresh waits, and finds the current page", _invalid_cache),
        ("activation", "an activation and a memslot change wait", _activation),
    ):
        WINDOW.add(
            f"{_name}-{_backing.name}", f"inside a long invalidation, with memory in {_backing.text}: {_text}",
            "stale-translation", partial(_in_window, _body, _backing), needs=(long_window, *_backing.needs),
            seconds=40.0,
        )  # fmt: skip
