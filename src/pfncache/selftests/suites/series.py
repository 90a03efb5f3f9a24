# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the series "KVM: pfncache: Add guest_memfd support to pfncache": clocks in memory that KVM has to reach
through guest_memfd, and their invalidation.

The series tests VMs with NO_DIRECT_MAP memory and with private memory. A third kind, shared guest_memfd that is not
mapped at the slot's user address, needs nothing that a mainline kernel lacks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pfncache.designs.design import Design
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
    KVM_MEMORY_ATTRIBUTE_PRIVATE,
    KVM_X86_SW_PROTECTED_VM,
    PAGE_SIZE,
    PUNCH_HOLE,
    SHARED_GMEM,
)
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import (
    Suite,
    check,
    equal,
    guest_memfd,
    memory_attributes,
    vm_type,
    without_gmem_lookup,
    without_private_lookup,
)
from pfncache.selftests.suites.clock import NO_CLOCK, guest_tells_time
from pfncache.selftests.suites.testbed import (
    CLOCK_PAGE,
    SECOND,
    SIZE,
    SLOT,
    Backing,
    Testbed,
    gmem,
    gmem_unmapped,
)

SUITE, CONVERSION = Suite("series"), Suite("conversion")


def _private(machine: Machine, anonymous: bool = False) -> Testbed:
    """A VM with private memory: shared pages are in a memfd at the user address, private ones in guest_memfd."""
    vm = machine.create_vm(KVM_X86_SW_PROTECTED_VM)
    vcpu, file = vm.create_vcpu(), vm.create_guest_memfd(SIZE)
    hva = machine.mmap(SIZE) if anonymous else machine.mmap(SIZE, machine.memfd(SIZE))
    vm.bind(SLOT, 0, SIZE, hva, file)
    vm.set_memory_attributes(0, SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE)
    return Testbed(machine, vm, vcpu, hva, None, file)


NO_DIRECT_MAP = Backing(
    "no-direct-map", "memory without direct map", partial(gmem, flags=SHARED_GMEM | GUEST_MEMFD_FLAG_NO_DIRECT_MAP),
    (guest_memfd(SHARED_GMEM | GUEST_MEMFD_FLAG_NO_DIRECT_MAP),),
)  # fmt: skip
PRIVATE = Backing(
    "private", "private memory", _private,
    (vm_type(KVM_X86_SW_PROTECTED_VM, "SW_PROTECTED_VM"), memory_attributes(KVM_MEMORY_ATTRIBUTE_PRIVATE)),
)  # fmt: skip
UNMAPPED = Backing("unmapped", "shared memory that is not mapped", gmem_unmapped, (guest_memfd(SHARED_GMEM),))
KINDS = (NO_DIRECT_MAP, PRIVATE, UNMAPPED)


def _clock(backing: Backing, machine: Machine) -> None:
    """Patch 6: the guest's clock is monotonic, and within the host's bounds."""
    guest_tells_time(backing.build(machine))


def _expect(bed: Testbed, seconds: int) -> None:
    """Update the clock, and require that the guest finds it."""
    bed.update(seconds)
    clock = bed.guest_clock()
    check(clock is not None, NO_CLOCK)
    assert clock is not None
    equal("the clock that the guest finds", clock.system_time // SECOND, seconds)


def _punch(backing: Backing, machine: Machine) -> None:
    """Patch 7: holes are punched under the clock; each update is in the new page."""
    bed = backing.build(machine)
    bed.enable_clock()
    _expect(bed, 1)
    for seconds in range(2, 10):
        bed.gmem.fallocate(PUNCH_HOLE, CLOCK_PAGE, PAGE_SIZE)
        _expect(bed, seconds)


def _convert(anonymous: bool, machine: Machine) -> None:
    """Patch 7: the clock's page is converted to shared and back to private; the guest finds its clock each time."""
    bed = _private(machine, anonymous)
    bed.enable_clock()
    _expect(bed, 1)
    for seconds in (2, 4, 6):
        bed.vm.set_memory_attributes(CLOCK_PAGE, PAGE_SIZE, 0)
        _expect(bed, seconds)
        bed.vm.set_memory_attributes(CLOCK_PAGE, PAGE_SIZE, KVM_MEMORY_ATTRIBUTE_PRIVATE)
        _expect(bed, seconds + 1)


def _release(backing: Backing, machine: Machine) -> None:
    """Patch 7: the file is released while KVM has the clock's page; no update is written, and nothing breaks."""
    bed = backing.build(machine)
    bed.enable_clock()
    _expect(bed, 1)
    bed.gmem.close()
    for hva in (bed.hva, bed.alias):
        if hva is not None:
            machine.munmap(hva, SIZE)
    bed.update(2)
    bed.vm.delete(SLOT)
    bed.update(3)


def _lacks(backing: Backing) -> Callable[[Design], str]:
    return without_private_lookup if backing is PRIVATE else without_gmem_lookup


for _backing in KINDS:
    SUITE.add(
        f"clock-{_backing.name}", f"the guest's clock in {_backing.text} is monotonic and in bounds", "lost-update",
        partial(_clock, _backing), needs=_backing.needs, lacks=_lacks(_backing),
    )  # fmt: skip
for _backing in KINDS:
    SUITE.add(
        f"punch-{_backing.name}", f"holes under a clock in {_backing.text}: each update is in the new page",
        "stale-translation", partial(_punch, _backing), needs=_backing.needs, lacks=_lacks(_backing),
    )  # fmt: skip
SUITE.add(
    "convert", "private to shared to private under a clock: the guest finds it each time", "stale-translation",
    partial(_convert, False),
    needs=PRIVATE.needs, lacks=without_private_lookup,
)  # fmt: skip
for _backing in KINDS:
    SUITE.add(
        f"release-{_backing.name}", f"the file of {_backing.text} is released under a clock", "use-after-free",
        partial(_release, _backing), needs=_backing.needs, lacks=_lacks(_backing),
    )  # fmt: skip
CONVERSION.add(
    "anon", "the same with anonymous memory for shared pages, as in most VMs", "wild-pointer",
    partial(_convert, True), needs=PRIVATE.needs, lacks=without_private_lookup,
)  # fmt: skip
