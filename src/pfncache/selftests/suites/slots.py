# SPDX-License-Identifier: GPL-2.0-only
"""Memslots change under a clock: other memory at the same address, and the log of what was written."""

from __future__ import annotations

from pfncache.linux.include.uapi import KVM_MEM_LOG_DIRTY_PAGES, MSR_KVM_STEAL_TIME, PAGE_SIZE, PUNCH_HOLE, SHARED_GMEM
from pfncache.machines.machine import File, Machine
from pfncache.selftests.selftest import Suite, check, equal, guest_memfd, without_gmem_lookup
from pfncache.selftests.suites.world import (
    CLOCK,
    CLOCK_PAGE,
    GMEM,
    PAGES,
    SECOND,
    SIZE,
    SLOT,
    STEAL,
    World,
    anon,
    gmem_unmapped,
    memfd,
)

SUITE = Suite("recreate")
DIRTY = Suite("dirty-log")


def _bind_again(world: World, file: File, offset: int = 0) -> None:
    """The same gpa and the same user address, with another guest_memfd, or another part of it."""
    world.vm.delete(SLOT)
    world.vm.bind(SLOT, 0, SIZE, world.hva, file, offset)


@SUITE.test("anon-to-anon", "stale-translation")
def anon_to_anon(machine: Machine) -> None:
    """Delete and create at the same addresses: the page is the same one."""
    world = anon(machine)
    world.enable_clock()
    world.update(1)
    old = world.pin()
    world.vm.delete(SLOT)
    world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva)
    world.update(2)
    equal("the clock in the page", old.seconds(), 2)


@SUITE.test("gmem-to-gmem", "stale-translation", GMEM.needs)
def gmem_to_gmem(machine: Machine) -> None:
    """Another guest_memfd, mapped at the same user address."""
    world = GMEM.build(machine)
    world.enable_clock()
    world.update(1)
    old = world.pin()
    other = world.vm.create_guest_memfd(SIZE, SHARED_GMEM)
    machine.mmap(SIZE, other, address=world.hva)
    _bind_again(world, other)
    world.update(2)
    old.untouched_since(1)
    equal("the clock in the new page", world.clock_seconds(world.hva + CLOCK), 2)


@SUITE.test("gmem-to-anon", "stale-translation", GMEM.needs)
def gmem_to_anon(machine: Machine) -> None:
    """Ordinary memory instead of a guest_memfd."""
    world = GMEM.build(machine)
    world.enable_clock()
    world.update(1)
    old = world.pin()
    world.vm.delete(SLOT)
    machine.mmap(SIZE, address=world.hva)
    world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva)
    world.update(2)
    old.untouched_since(1)
    equal("the clock in the new page", world.clock_seconds(world.hva + CLOCK), 2)


@SUITE.test(
    "unmapped-gmem-to-gmem", "stale-translation",
    (guest_memfd(SHARED_GMEM),), without_gmem_lookup,
)  # fmt: skip
def unmapped_gmem_to_gmem(machine: Machine) -> None:
    """Another guest_memfd, neither of them mapped at the user address."""
    world = gmem_unmapped(machine)
    world.enable_clock()
    world.update(1)
    check(world.guest_clock() is not None, "the guest finds no clock in the first guest_memfd")
    first = world.alias
    other = world.vm.create_guest_memfd(SIZE, SHARED_GMEM)
    _bind_again(world, other)
    world.update(2)
    assert first is not None
    equal("the clock in the first guest_memfd", world.clock_seconds(first + CLOCK), 1)
    clock = world.guest_clock()
    equal("the clock that the guest finds", clock.system_time // SECOND if clock is not None else -1, 2)


@SUITE.test(
    "unmapped-gmem-offset",
    "use-after-free", (guest_memfd(SHARED_GMEM),), without_gmem_lookup,
)  # fmt: skip
def unmapped_gmem_offset(machine: Machine) -> None:
    """Another part of the same guest_memfd, not mapped, and a hole where it was."""
    vm = machine.create_vm()
    file = vm.create_guest_memfd(2 * SIZE, SHARED_GMEM)
    world = World(machine, vm, vm.create_vcpu(), machine.hole(SIZE), None, file)
    vm.bind(SLOT, 0, SIZE, world.hva, file)
    world.enable_clock()
    world.update(1)
    check(world.guest_clock() is not None, "the guest finds no clock in the first part")
    _bind_again(world, file, SIZE)
    world.update(2)
    file.fallocate(PUNCH_HOLE, 0, SIZE)
    world.update(3)
    clock = world.guest_clock()
    equal("the clock that the guest finds", clock.system_time // SECOND if clock is not None else -1, 3)


@SUITE.test(
    "file-while-bound",
    "use-after-free",
    GMEM.needs,
)
def file_while_bound(machine: Machine) -> None:
    """The descriptor is closed while the slot uses the file, then the slot goes."""
    world = GMEM.build(machine)
    world.enable_clock()
    world.update(1)
    world.gmem.close()
    world.update(2)
    equal("the clock", world.seen(), 2)
    world.vm.delete(SLOT)
    world.update(3)
    equal("the clock after the slot is gone", world.seen(), 2)


# Dirty logging


def _log(machine: Machine) -> World:
    """A logged slot with a clock and steal time that were written, and a log that was read."""
    world = memfd(machine)
    world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva, KVM_MEM_LOG_DIRTY_PAGES)
    equal("the log at first", world.vm.get_dirty_log(SLOT, PAGES), set())
    world.enable_clock()
    world.update(1)
    equal("the log after an update", world.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})
    return world


@DIRTY.test("every-update", "lost-dirty")
def every_update(machine: Machine) -> None:
    """Every update of the clock is in the log."""
    world = _log(machine)
    for second in range(2, 6):
        equal("the log without an update", world.vm.get_dirty_log(SLOT, PAGES), set())
        world.update(second)
        equal("the log after an update", world.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})


@DIRTY.test("after-hole", "lost-dirty")
def after_hole(machine: Machine) -> None:
    """An update that lands in a new page is in the log, too."""
    world = _log(machine)
    world.gmem.fallocate(PUNCH_HOLE, CLOCK_PAGE, PAGE_SIZE)
    world.update(2)
    equal("the clock", world.seen(), 2)
    equal("the log", world.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})


@DIRTY.test("toggled", "lost-dirty")
def toggled(machine: Machine) -> None:
    """Logging that begins under a running clock misses nothing."""
    world = anon(machine)
    world.enable_clock()
    world.update(1)
    for second in (2, 3):
        world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva, KVM_MEM_LOG_DIRTY_PAGES)
        world.update(second)
        equal("the log", world.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})
        world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva)
        world.update(second)
    equal("the clock", world.seen(), 3)


@DIRTY.test("lost-update", "lost-dirty")
def lost_update(machine: Machine) -> None:
    """An update that could not be written is not in the log."""
    world = _log(machine)
    machine.munmap(world.page, PAGE_SIZE)
    world.update(2)
    equal("the log", world.vm.get_dirty_log(SLOT, PAGES), set())


@DIRTY.test("steal-time", "lost-dirty")
def steal_time(machine: Machine) -> None:
    """Every update of steal time is in the log."""
    world = memfd(machine)
    world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva, KVM_MEM_LOG_DIRTY_PAGES)
    world.enable_steal_time()
    for _ in range(3):
        world.vcpu.run()
        equal("the log", world.vm.get_dirty_log(SLOT, PAGES), {STEAL // PAGE_SIZE})
    equal("KVM_SET_MSRS", world.vcpu.set_msr(MSR_KVM_STEAL_TIME, 0), 1)
    world.vm.get_dirty_log(SLOT, PAGES)
    world.vcpu.run()
    equal("the log without steal time", world.vm.get_dirty_log(SLOT, PAGES), set())


@DIRTY.test("guest", "lost-dirty")
def guest(machine: Machine) -> None:
    """What the guest writes is in the log; so may be what it could write."""
    world = memfd(machine)
    machine.write(world.hva, bytes(SIZE))
    world.vm.set_user_memory_region(SLOT, 0, SIZE, world.hva, KVM_MEM_LOG_DIRTY_PAGES)
    for _ in range(2):
        world.vcpu.store(PAGE_SIZE, b"12345678")
        check(1 in world.vm.get_dirty_log(SLOT, PAGES), "the log does not have what the guest has written")
