# SPDX-License-Identifier: GPL-2.0-only
"""Hyper-V guests: KVM clears the page that a guest gives its synthetic interrupt controller (kvm_clear_guest())."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pfncache.linux.include.uapi import (
    HV_SYNIC_SIEFP_ENABLE,
    HV_SYNIC_SIMP_ENABLE,
    HV_X64_MSR_SIEFP,
    HV_X64_MSR_SIMP,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    MADV_DONTNEED,
    PAGE_SIZE,
    SHARED_GMEM,
)
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.machine import Machine
from pfncache.machines.resource import OpenFile
from pfncache.selftests.selftest import Need, Suite, check, equal, guest_memfd
from pfncache.selftests.suites.testbed import PAGES, SIZE, SLOT, Testbed, exit_of

SUITE = Suite("synic")
GPA = 5 * PAGE_SIZE
"""Guest physical address of the page."""
REGISTERS = {"messages": (HV_X64_MSR_SIMP, HV_SYNIC_SIMP_ENABLE), "events": (HV_X64_MSR_SIEFP, HV_SYNIC_SIEFP_ENABLE)}
"""MSRs, each with its enable bit."""
FULL, CLEAR = b"\xff" * PAGE_SIZE, bytes(PAGE_SIZE)
SHUTDOWN = "SHUTDOWN"
"""End of a guest that gets #GP, as it has no handler."""
LACK = "kvm_clear_guest() goes by the user mapping only"


def synic(capabilities: Capabilities) -> str:
    """Require the synthetic interrupt controller of Hyper-V."""
    return "" if capabilities.synic else "no SynIC (CONFIG_KVM_HYPERV)"


NEEDS: tuple[Need, ...] = (synic,)
GMEM_NEEDS = (synic, guest_memfd(SHARED_GMEM))


def _guest(machine: Machine, file: OpenFile | None = None, flags: int = 0, clears: bool = True) -> Testbed:
    """A Hyper-V guest, whose memory is full of ones."""
    vm = machine.create_vm()
    vm.create_irqchip()
    vm.enable_synic(clears)
    vcpu = vm.create_vcpu()
    hva = machine.mmap(SIZE, file)
    vm.set_user_memory_region(SLOT, 0, SIZE, hva, flags)
    machine.write(hva + GPA, FULL)
    return Testbed(machine, vm, vcpu, hva, None, file)


def _gmem_guest(machine: Machine, mapped: bool) -> Testbed:
    """The same in guest_memfd; user space has it mapped somewhere, and if `mapped`, at the slot's address."""
    vm = machine.create_vm()
    vm.create_irqchip()
    vm.enable_synic()
    vcpu = vm.create_vcpu()
    file = vm.create_guest_memfd(SIZE, SHARED_GMEM)
    alias = machine.mmap(SIZE, file)
    hva = alias if mapped else machine.hole(SIZE)
    vm.bind(SLOT, 0, SIZE, hva, file)
    machine.write(alias + GPA, FULL)
    return Testbed(machine, vm, vcpu, hva, alias, file)


def _enable(bed: Testbed, register: str = "messages", gpa: int = GPA) -> str:
    """The guest enables its page. Returns the exit that ends it; "none" if it goes on."""
    msr, enable = REGISTERS[register]
    return exit_of(lambda: bed.vcpu.wrmsr(msr, gpa | enable))


def _is(bed: Testbed, data: bytes) -> None:
    hva = bed.alias if bed.alias is not None else bed.hva
    equal("whether the page is as expected", bed.machine.read(hva + GPA, PAGE_SIZE) == data, True)


def _cleared(register: str, machine: Machine) -> None:
    bed = _guest(machine)
    equal("the guest's exit", _enable(bed, register), "none")
    _is(bed, CLEAR)
    bed.machine.write(bed.hva + GPA, FULL)
    equal("the guest's exit at the second time", _enable(bed, register), "none")
    _is(bed, CLEAR)


for _register in REGISTERS:
    SUITE.add(
        _register, f"the page of {_register} is cleared each time that the guest enables it", "lost-update",
        partial(_cleared, _register), needs=NEEDS,
    )  # fmt: skip


@SUITE.test("not-by-user-space", "uapi", needs=NEEDS)
def not_by_user_space(machine: Machine) -> None:
    """The page is not cleared if user space sets the MSR, or the guest does not enable the page."""
    bed = _guest(machine)
    for msr, enable in REGISTERS.values():
        equal("KVM_SET_MSRS", bed.vcpu.set_msr(msr, GPA | enable), 1)
        equal("the guest's exit", exit_of(lambda msr=msr: bed.vcpu.wrmsr(msr, GPA)), "none")  # type: ignore[misc]
    _is(bed, FULL)


@SUITE.test("second-interface", "uapi", needs=NEEDS)
def second_interface(machine: Machine) -> None:
    """With KVM_CAP_HYPERV_SYNIC2 the guest clears its page itself."""
    bed = _guest(machine, clears=False)
    equal("the guest's exit", _enable(bed), "none")
    _is(bed, FULL)


@SUITE.test("dirty", "lost-dirty", needs=NEEDS)
def dirty(machine: Machine) -> None:
    """The page is marked dirty when it is cleared, and no other."""
    bed = _guest(machine, flags=KVM_MEM_LOG_DIRTY_PAGES)
    equal("the guest's exit", _enable(bed), "none")
    equal("the dirty log", bed.vm.get_dirty_log(SLOT, PAGES), {GPA // PAGE_SIZE})


@SUITE.test("no-memory", "uapi", needs=NEEDS)
def no_memory(machine: Machine) -> None:
    """A guest whose page is in no memslot gets an exception."""
    equal("the guest's exit", _enable(_guest(machine), gpa=SIZE), SHUTDOWN)


@SUITE.test("read-only", "private-access", needs=NEEDS)
def read_only(machine: Machine) -> None:
    """A page in a read-only memslot is not cleared: the guest gets an exception."""
    bed = _guest(machine, flags=KVM_MEM_READONLY)
    equal("the guest's exit", _enable(bed), SHUTDOWN)
    _is(bed, FULL)


def _unmap(bed: Testbed) -> None:
    bed.machine.munmap(bed.hva + GPA, PAGE_SIZE)


def _drop(bed: Testbed) -> None:
    bed.machine.madvise(bed.hva + GPA, PAGE_SIZE, MADV_DONTNEED)


def _replace(bed: Testbed) -> None:
    bed.machine.mmap(PAGE_SIZE, address=bed.hva + GPA)


@SUITE.test("unmapped", "use-after-free", needs=NEEDS)
def unmapped(machine: Machine) -> None:
    """A page that user space has unmapped is not cleared: the guest gets an exception."""
    bed = _guest(machine)
    old = machine.pin(bed.hva + GPA)
    _unmap(bed)
    equal("the guest's exit", _enable(bed), SHUTDOWN)
    equal("the start of the old page", old.read(0, 8), FULL[:8])


def _new_page(change: Callable[[Testbed], None], machine: Machine) -> None:
    bed = _guest(machine)
    equal("the guest's exit", _enable(bed), "none")
    machine.write(bed.hva + GPA, FULL)
    old = machine.pin(bed.hva + GPA)
    change(bed)
    machine.write(bed.hva + GPA, FULL)
    equal("the guest's exit with the new page", _enable(bed), "none")
    _is(bed, CLEAR)
    check(old.read(0, 8) == FULL[:8], "KVM has cleared a page that is no longer the guest's")


for _name, _change in (("dontneed", _drop), ("mapped-over", _replace)):
    SUITE.add(
        _name, f"after the page was replaced ({_name}), the new one is cleared, not the old one", "stale-translation",
        partial(_new_page, _change), needs=NEEDS,
    )  # fmt: skip


@SUITE.test("in-gmem", "lost-update", needs=GMEM_NEEDS)
def in_gmem(machine: Machine) -> None:
    """A page in guest_memfd that is mapped at the slot's address is cleared."""
    bed = _gmem_guest(machine, mapped=True)
    equal("the guest's exit", _enable(bed), "none")
    _is(bed, CLEAR)


@SUITE.test("in-gmem-unmapped", "lost-update", needs=GMEM_NEEDS, lacks=lambda design: LACK)
def in_gmem_unmapped(machine: Machine) -> None:
    """A page in guest_memfd that is not mapped at the slot's address is cleared."""
    bed = _gmem_guest(machine, mapped=False)
    equal("the guest's exit", _enable(bed), "none")
    _is(bed, CLEAR)
