# SPDX-License-Identifier: GPL-2.0-only
"""Memslots change under a clock: other memory at the same address, and dirty logging."""

from __future__ import annotations

from pfncache.linux.include.uapi import KVM_MEM_LOG_DIRTY_PAGES, MSR_KVM_STEAL_TIME, PAGE_SIZE, PUNCH_HOLE, SHARED_GMEM
from pfncache.machines.machine import Machine
from pfncache.machines.resource import OpenFile
from pfncache.selftests.selftest import Suite, check, equal, guest_memfd, without_gmem_lookup
from pfncache.selftests.suites.testbed import (
    CLOCK,
    CLOCK_PAGE,
    GMEM,
    PAGES,
    SECOND,
    SIZE,
    SLOT,
    STEAL,
    Testbed,
    anon,
    gmem_unmapped,
    memfd,
)

SUITE = Suite("recreate")
DIRTY = Suite("dirty-log")


def _bind_again(bed: Testbed, file: OpenFile, offset: int = 0) -> None:
    """Bind another guest_memfd, or another part of it, at the same gpa and user address."""
    bed.vm.delete(SLOT)
    bed.vm.bind(SLOT, 0, SIZE, bed.hva, file, offset)


@SUITE.test("anon-to-anon", "stale-translation")
def anon_to_anon(machine: Machine) -> None:
    """Delete and create at the same addresses: the page is the same one."""
    bed = anon(machine)
    bed.enable_clock()
    bed.update(1)
    old = bed.pin()
    bed.vm.delete(SLOT)
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva)
    bed.update(2)
    equal("the clock in the page", old.seconds(), 2)


@SUITE.test("gmem-to-gmem", "stale-translation", needs=GMEM.needs)
def gmem_to_gmem(machine: Machine) -> None:
    """Another guest_memfd, mapped at the same user address."""
    bed = GMEM.build(machine)
    bed.enable_clock()
    bed.update(1)
    old = bed.pin()
    other = bed.vm.create_guest_memfd(SIZE, SHARED_GMEM)
    machine.mmap(SIZE, other, address=bed.hva)
    _bind_again(bed, other)
    bed.update(2)
    old.untouched_since(1)
    equal("the clock in the new page", bed.clock_seconds(bed.hva + CLOCK), 2)


@SUITE.test("gmem-to-anon", "stale-translation", needs=GMEM.needs)
def gmem_to_anon(machine: Machine) -> None:
    """Ordinary memory instead of a guest_memfd."""
    bed = GMEM.build(machine)
    bed.enable_clock()
    bed.update(1)
    old = bed.pin()
    bed.vm.delete(SLOT)
    machine.mmap(SIZE, address=bed.hva)
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva)
    bed.update(2)
    old.untouched_since(1)
    equal("the clock in the new page", bed.clock_seconds(bed.hva + CLOCK), 2)


@SUITE.test(
    "unmapped-gmem-to-gmem", "stale-translation",
    needs=(guest_memfd(SHARED_GMEM),), lacks=without_gmem_lookup,
)  # fmt: skip
def unmapped_gmem_to_gmem(machine: Machine) -> None:
    """Another guest_memfd, neither of them mapped at the user address."""
    bed = gmem_unmapped(machine)
    bed.enable_clock()
    bed.update(1)
    check(bed.guest_clock() is not None, "the guest finds no clock in the first guest_memfd")
    first = bed.alias
    other = bed.vm.create_guest_memfd(SIZE, SHARED_GMEM)
    _bind_again(bed, other)
    bed.update(2)
    assert first is not None
    equal("the clock in the first guest_memfd", bed.clock_seconds(first + CLOCK), 1)
    clock = bed.guest_clock()
    equal("the clock that the guest finds", clock.system_time // SECOND if clock is not None else -1, 2)


@SUITE.test(
    "unmapped-gmem-offset",
    "use-after-free", needs=(guest_memfd(SHARED_GMEM),), lacks=without_gmem_lookup,
)  # fmt: skip
def unmapped_gmem_offset(machine: Machine) -> None:
    """Another part of the same unmapped guest_memfd, then a hole in the first part."""
    vm = machine.create_vm()
    file = vm.create_guest_memfd(2 * SIZE, SHARED_GMEM)
    bed = Testbed(machine, vm, vm.create_vcpu(), machine.hole(SIZE), None, file)
    vm.bind(SLOT, 0, SIZE, bed.hva, file)
    bed.enable_clock()
    bed.update(1)
    check(bed.guest_clock() is not None, "the guest finds no clock in the first part")
    _bind_again(bed, file, SIZE)
    bed.update(2)
    file.fallocate(PUNCH_HOLE, 0, SIZE)
    bed.update(3)
    clock = bed.guest_clock()
    equal("the clock that the guest finds", clock.system_time // SECOND if clock is not None else -1, 3)


@SUITE.test(
    "file-while-bound",
    "use-after-free",
    needs=GMEM.needs,
)
def file_while_bound(machine: Machine) -> None:
    """The descriptor is closed while a slot is bound to the file, then the slot is deleted."""
    bed = GMEM.build(machine)
    bed.enable_clock()
    bed.update(1)
    bed.gmem.close()
    bed.update(2)
    equal("the clock", bed.seen(), 2)
    bed.vm.delete(SLOT)
    bed.update(3)
    equal("the clock after the slot is deleted", bed.seen(), 2)


# Dirty logging


def _log(machine: Machine) -> Testbed:
    """A logged slot with a clock that was written, and a log that was read."""
    bed = memfd(machine)
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva, KVM_MEM_LOG_DIRTY_PAGES)
    equal("the log at first", bed.vm.get_dirty_log(SLOT, PAGES), set())
    bed.enable_clock()
    bed.update(1)
    equal("the log after an update", bed.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})
    return bed


@DIRTY.test("every-update", "lost-dirty")
def every_update(machine: Machine) -> None:
    """Every update of the clock is in the log."""
    bed = _log(machine)
    for second in range(2, 6):
        equal("the log without an update", bed.vm.get_dirty_log(SLOT, PAGES), set())
        bed.update(second)
        equal("the log after an update", bed.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})


@DIRTY.test("after-hole", "lost-dirty")
def after_hole(machine: Machine) -> None:
    """An update in a new page is in the log, too."""
    bed = _log(machine)
    bed.gmem.fallocate(PUNCH_HOLE, CLOCK_PAGE, PAGE_SIZE)
    bed.update(2)
    equal("the clock", bed.seen(), 2)
    equal("the log", bed.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})


@DIRTY.test("toggled", "lost-dirty")
def toggled(machine: Machine) -> None:
    """Logging that is enabled under a running clock misses no update."""
    bed = anon(machine)
    bed.enable_clock()
    bed.update(1)
    for second in (2, 3):
        bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva, KVM_MEM_LOG_DIRTY_PAGES)
        bed.update(second)
        equal("the log", bed.vm.get_dirty_log(SLOT, PAGES), {CLOCK // PAGE_SIZE})
        bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva)
        bed.update(second)
    equal("the clock", bed.seen(), 3)


@DIRTY.test("lost-update", "lost-dirty")
def lost_update(machine: Machine) -> None:
    """An update that could not be written is not in the log."""
    bed = _log(machine)
    machine.munmap(bed.page, PAGE_SIZE)
    bed.update(2)
    equal("the log", bed.vm.get_dirty_log(SLOT, PAGES), set())


@DIRTY.test("steal-time", "lost-dirty")
def steal_time(machine: Machine) -> None:
    """Every update of steal time is in the log."""
    bed = memfd(machine)
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva, KVM_MEM_LOG_DIRTY_PAGES)
    bed.enable_steal_time()
    for _ in range(3):
        bed.vcpu.run()
        equal("the log", bed.vm.get_dirty_log(SLOT, PAGES), {STEAL // PAGE_SIZE})
    equal("KVM_SET_MSRS", bed.vcpu.set_msr(MSR_KVM_STEAL_TIME, 0), 1)
    bed.vm.get_dirty_log(SLOT, PAGES)
    bed.vcpu.run()
    equal("the log without steal time", bed.vm.get_dirty_log(SLOT, PAGES), set())


@DIRTY.test("guest", "lost-dirty")
def guest(machine: Machine) -> None:
    """What the guest writes is in the log, which may also have pages that the guest only could write."""
    bed = memfd(machine)
    machine.write(bed.hva, bytes(SIZE))
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva, KVM_MEM_LOG_DIRTY_PAGES)
    for _ in range(2):
        bed.vcpu.store(PAGE_SIZE, b"12345678")
        check(1 in bed.vm.get_dirty_log(SLOT, PAGES), "the log does not have what the guest has written")
