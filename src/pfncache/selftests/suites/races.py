# SPDX-License-Identifier: GPL-2.0-only
"""Races, steered: a refresh is stopped inside its lookup, or inside a long invalidation, while its page is taken away.

A userfaultfd stops whoever looks a page up, the kernel included. On a guest_memfd mapping there is none; there, a long
invalidation of other memory keeps the refresh repeating its lookup.
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
from pfncache.machines.machine import Exit, Machine, Task, Userfaultfd
from pfncache.selftests.selftest import Failure, Suite, check, equal, long_window, outcome, userfaultfd
from pfncache.selftests.suites.world import (
    ANON,
    CLOCK,
    CLOCK_PAGE,
    GMEM,
    MEMFD,
    SECOND,
    SIZE,
    Backing,
    OldPage,
    World,
    anon,
)

PAUSED, WINDOW = Suite("paused-lookup"), Suite("long-window")
OTHER_GPA = 3 * SIZE
CAN_STOP = (userfaultfd(UFFDIO_REGISTER_MODE_MISSING, "missing-page"),)
TRIES = 3
"""A window may end before what was to happen in it: then it is opened once more."""


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


def _dontneed(world: World) -> None:
    world.machine.madvise(world.page, PAGE_SIZE, MADV_DONTNEED)


def _map_over(world: World) -> None:
    world.machine.mmap(PAGE_SIZE, address=world.page)


def _unmap_and_map(world: World) -> None:
    world.machine.munmap(world.page, PAGE_SIZE)
    world.machine.mmap(PAGE_SIZE, address=world.page)


def _protect_and_back(world: World) -> None:
    world.machine.mprotect(world.page, PAGE_SIZE, PROT_READ)
    world.machine.mprotect(world.page, PAGE_SIZE, PROT_RW)


def _punch(world: World) -> None:
    world.gmem.fallocate(PUNCH_HOLE, CLOCK_PAGE, PAGE_SIZE)


INVALIDATIONS: dict[str, Callable[[World], None]] = {
    "nothing": lambda world: None,
    "dontneed": _dontneed,
    "map-over": _map_over,
    "unmap-and-map": _unmap_and_map,
    "mprotect": _protect_and_back,
    "punch": _punch,
}
FOR_FILES = ("punch",)


def _begin_run(world: World, mode: int) -> tuple[OldPage, Userfaultfd, Task[Exit]]:
    """KVM_RUN begins to update the clock, and its lookup will be stopped. Returns the page that the clock had first."""
    world.enable_clock()
    world.update(1)
    old = world.pin()
    if mode != UFFDIO_REGISTER_MODE_WP:
        _dontneed(world)
    fault = world.machine.userfaultfd(world.page, PAGE_SIZE, mode)
    world.vm.set_clock(2 * SECOND)
    return old, fault, world.machine.start(world.vcpu.run)


def _stopped_in_run(mode: Mode, what: str, machine: Machine) -> None:
    """The refresh in KVM_RUN is stopped in its lookup; the page goes meanwhile; the update ends in the page of now."""
    world = mode.backing.build(machine)
    old, fault, task = _begin_run(world, mode.mode)
    equal("where KVM waits", fault.wait() - world.hva, CLOCK_PAGE)
    check(task.blocked(), "KVM_RUN does not wait for its lookup")
    INVALIDATIONS[what](world)
    fault.unregister()
    fault.wake(world.page)
    equal("KVM_RUN", task.result().reason, "HLT")
    equal("the clock in the page that the guest has now", world.clock_seconds(world.hva + CLOCK), 2)
    same_page = mode.backing is MEMFD and what in ("nothing", "dontneed", "mprotect")
    same_page = same_page or (mode is WP_ANON and what in ("nothing", "mprotect"))
    equal("the clock in the page that it had", old.seconds(), 2 if same_page else 1)
    world.update(3)
    equal("the next update", world.clock_seconds(world.hva + CLOCK), 3)


def _stopped_in_msr(what: str, machine: Machine) -> None:
    """The same with the lookup of a clock that is being set up."""
    world = anon(machine)
    fault = machine.userfaultfd(world.hva, SIZE, UFFDIO_REGISTER_MODE_MISSING)
    task = machine.start(lambda: world.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK | 1))
    equal("where KVM waits", fault.wait() - world.hva, CLOCK_PAGE)
    check(task.blocked(), "KVM_SET_MSRS does not wait for its lookup")
    INVALIDATIONS[what](world)
    fault.unregister()
    fault.wake(world.page)
    equal("KVM_SET_MSRS", task.result(), 1)
    world.update(2)
    equal("the clock", world.clock_seconds(world.hva + CLOCK), 2)


for _mode in MODES:
    for _what in INVALIDATIONS:
        if _what in FOR_FILES and _mode.backing is not MEMFD:
            continue
        PAUSED.add(
            f"{_mode.name}-{_what}", f"a refresh waits in its lookup ({_mode.name}); meanwhile: {_what}",
            "stale-translation", partial(_stopped_in_run, _mode, _what), (userfaultfd(_mode.mode, _mode.name),),
        )  # fmt: skip
for _what in INVALIDATIONS:
    if _what not in FOR_FILES:
        PAUSED.add(
            f"activate-{_what}", f"the MSR write waits in its lookup; meanwhile: {_what}", "stale-translation",
            partial(_stopped_in_msr, _what), CAN_STOP,
        )  # fmt: skip


@PAUSED.test(
    "again-and-again",
    "livelock",
    CAN_STOP,
)
def again_and_again(machine: Machine) -> None:
    """A lookup that is woken without memory waits again, and ends once there is some."""
    world = anon(machine)
    old, fault, task = _begin_run(world, UFFDIO_REGISTER_MODE_MISSING)
    for _ in range(3):
        fault.wait()
        fault.wake(world.page)
    fault.wait()
    fault.resolve(world.page)
    equal("KVM_RUN", task.result().reason, "HLT")
    equal("the clock", world.clock_seconds(world.hva + CLOCK), 2)
    old.untouched_since(1)


@PAUSED.test(
    "unmapped",
    "use-after-free",
    CAN_STOP,
)
def unmapped(machine: Machine) -> None:
    """Nothing is there any more when the lookup goes on: the update is lost, and nothing breaks."""
    world = anon(machine)
    old, fault, task = _begin_run(world, UFFDIO_REGISTER_MODE_MISSING)
    fault.wait()
    machine.munmap(world.page, PAGE_SIZE)
    fault.wake(world.page)
    equal("KVM_RUN", task.result().reason, "HLT")
    old.untouched_since(1)
    machine.mmap(PAGE_SIZE, address=world.page)
    world.update(3)
    equal("the clock, once there is memory", world.clock_seconds(world.hva + CLOCK), 3)


@PAUSED.test(
    "who-waits",
    "deadlock",
    (*CAN_STOP, *GMEM.needs),
)
def who_waits(machine: Machine) -> None:
    """While a lookup waits, its vCPU and memslot changes wait, and nobody else."""
    world, other = anon(machine), anon(machine)
    second = world.vm.create_vcpu()
    spare, third = machine.mmap(PAGE_SIZE), machine.mmap(PAGE_SIZE)
    file = world.vm.create_guest_memfd(PAGE_SIZE, 3)
    world.vm.bind(2, OTHER_GPA, PAGE_SIZE, third, file)
    fault = machine.userfaultfd(world.page, PAGE_SIZE, UFFDIO_REGISTER_MODE_MISSING)
    lookup = machine.start(lambda: world.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK | 1))
    fault.wait()

    def free(what: str, call: Callable[[], object]) -> None:
        check(not machine.start(call).blocked(2.0), f"{what} waits for the lookup")

    free("KVM_SET_CLOCK", lambda: world.vm.set_clock(SECOND))
    free("KVM_GET_CLOCK", world.vm.get_clock)
    free("another vCPU's KVM_RUN", second.run)
    free("another vCPU's KVM_SET_MSRS", lambda: second.set_msr(MSR_KVM_SYSTEM_TIME_NEW, PAGE_SIZE | 1))
    free("PUNCH_HOLE", lambda: file.fallocate(PUNCH_HOLE, 0, PAGE_SIZE))
    free("mmap and munmap", lambda: machine.munmap(machine.mmap(PAGE_SIZE), PAGE_SIZE))
    free("MADV_DONTNEED of the page", lambda: _dontneed(world))
    free("mprotect of the page", lambda: _protect_and_back(world))
    free("another VM's KVM_RUN", other.vcpu.run)
    free("another VM's memslots", lambda: other.vm.set_user_memory_region(1, SIZE, PAGE_SIZE, spare))
    free("KVM_CREATE_GUEST_MEMFD", lambda: world.vm.create_guest_memfd(PAGE_SIZE))
    waiting: list[tuple[str, Task[object]]] = []

    def waits(what: str, call: Callable[[], object]) -> None:
        task = machine.start(call)
        waiting.append((what, task))
        check(task.blocked(), f"{what} does not wait for the lookup")

    waits("an ioctl of the vCPU", lambda: world.vcpu.get_msr(MSR_KVM_SYSTEM_TIME_NEW))
    waits("KVM_SET_USER_MEMORY_REGION", lambda: world.vm.set_user_memory_region(1, SIZE, PAGE_SIZE, spare))
    waits("the deletion of a memslot", lambda: world.vm.delete(2))
    fault.unregister()
    equal("the lookup", lookup.result(), 1)
    for _, task in waiting:
        task.result()


@PAUSED.test(
    "no-userfaultfd-on-gmem",
    "uapi",
    (*CAN_STOP, *GMEM.needs),
)
def no_userfaultfd_on_gmem(machine: Machine) -> None:
    """A guest_memfd mapping takes no userfaultfd that waits."""
    world = GMEM.build(machine)
    for mode in (UFFDIO_REGISTER_MODE_MISSING, UFFDIO_REGISTER_MODE_WP, UFFDIO_REGISTER_MODE_MINOR):
        equal(f"mode {mode}", outcome(lambda m=mode: machine.userfaultfd(world.hva, SIZE, m)), "EINVAL")  # type: ignore[misc]


# A long invalidation


class _TooShort(Exception):
    """The window was over before the test was."""


def _in_window(body: Callable[[Backing, Machine], None], backing: Backing, machine: Machine) -> None:
    for _ in range(TRIES):
        try:
            return body(backing, machine)
        except _TooShort:
            continue
    raise Failure("the invalidation never took long enough")


def _valid_cache(backing: Backing, machine: Machine) -> None:
    """A cache that is valid is used at once."""
    world = backing.build(machine)
    world.enable_clock()
    world.update(1)
    with machine.notifier_window() as window:
        world.update(2)
        written = world.seen()
        if not window.is_open():
            raise _TooShort
    equal("the clock inside the window", written, 2)


def _invalid_cache(backing: Backing, machine: Machine) -> None:
    """A refresh waits for the end, and finds the page that is the guest's then, although it had found another one."""
    world = backing.build(machine)
    world.enable_clock()
    world.update(1)
    old = world.pin()
    _dontneed(world)
    world.vm.set_clock(2 * SECOND)
    with machine.notifier_window() as window:
        task = machine.start(world.vcpu.run)
        waits = task.blocked(0.005)
        if backing is ANON:
            _dontneed(world)
        else:
            _punch(world)
        still_waits = task.blocked(0.005)
        if not window.is_open():
            task.result()
            raise _TooShort
    check(waits and still_waits, "the refresh does not wait for the end of an invalidation")
    equal("KVM_RUN", task.result().reason, "HLT")
    equal("the clock in the page that the guest has now", world.seen(), 2)
    old.untouched_since(1)


def _activation(backing: Backing, machine: Machine) -> None:
    """So does the MSR write that sets a clock up, and a memslot change; a plain KVM_RUN does not."""
    world = backing.build(machine)
    spare = machine.mmap(PAGE_SIZE)
    with machine.notifier_window() as window:
        world.vcpu.run()
        activation = machine.start(lambda: world.vcpu.set_msr(MSR_KVM_SYSTEM_TIME_NEW, CLOCK | 1))
        change = machine.start(lambda: world.vm.set_user_memory_region(1, SIZE, PAGE_SIZE, spare))
        activation_waits, change_waits = activation.blocked(0.005), change.blocked(0.005)
        if not window.is_open():
            activation.result(), change.result()
            raise _TooShort
    check(activation_waits, "KVM_SET_MSRS does not wait for the end of an invalidation")
    check(change_waits, "a memslot change does not wait for the end of an invalidation")
    equal("KVM_SET_MSRS", activation.result(), 1)
    change.result()
    world.update(3)
    equal("the clock", world.seen(), 3)


for _backing in (ANON, GMEM):
    for _name, _text, _body in (
        ("valid-cache", "a valid cache is used at once", _valid_cache),
        ("refresh", "a refresh waits, and ends with the page of then", _invalid_cache),
        ("activation", "an activation and a memslot change wait", _activation),
    ):
        WINDOW.add(
            f"{_name}-{_backing.name}", f"inside a long invalidation, with memory in {_backing.text}: {_text}",
            "stale-translation", partial(_in_window, _body, _backing), (long_window, *_backing.needs), seconds=40.0,
        )  # fmt: skip
