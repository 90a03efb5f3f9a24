# SPDX-License-Identifier: GPL-2.0-only
"""L2 guests: KVM maps L1's VMCB for the entry and for the exit, and shadows L1's page tables.

A table that L1 may have changed is read again before L2 is entered, under mmu_lock and so without page faults
(kvm_vcpu_read_guest_atomic()): where user space has dropped the page, that read fails, and nothing stale may be used.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from pfncache.linux.arch.x86.include.asm.svm import SVM_EXIT_HLT, VMCB_EXIT_CODE
from pfncache.linux.arch.x86.kvm.vmx.vmx import APIC_TASKPRI, TASK_PRIORITY
from pfncache.linux.include.uapi import KVM_MEM_LOG_DIRTY_PAGES, MADV_DONTNEED, PAGE_SIZE, PUNCH_HOLE, SHARED_GMEM
from pfncache.machines.capabilities import Capabilities
from pfncache.machines.machine import Machine
from pfncache.machines.program import L2_TARGETS, l2_entry
from pfncache.selftests.selftest import Need, Suite, check, equal, guest_memfd
from pfncache.selftests.suites.testbed import (
    ANON,
    GMEM,
    MAPPED,
    MEMFD,
    PAGES,
    SIZE,
    SLOT,
    Backing,
    Testbed,
    exit_of,
    gmem_elsewhere,
    gmem_unmapped,
)

SUITE = Suite("nested")
VMCB = 2 * PAGE_SIZE
ENTRY = 5 * PAGE_SIZE + 0x40
"""Guest physical addresses of L1's VMCB, and of an entry of its nested page table."""
TABLE = ENTRY // PAGE_SIZE * PAGE_SIZE
FIRST, SECOND = L2_TARGETS.values()
"""What L2 reads by way of l2_entry(0) and l2_entry(1)."""
SHUTDOWN = "SHUTDOWN"
APIC = 3 * PAGE_SIZE
KEPT = "L2 writes to a page that is no longer the guest's"
KEPT_LACK = "the pages of vmcs12 are pinned while L2 runs, and no notifier unmaps them"
TABLES_LACK = "page tables are read through the user mapping only"


def nested_npt(capabilities: Capabilities) -> str:
    """Require guests that are hypervisors, whose tables KVM shadows."""
    return "" if capabilities.nested_npt else "no nested SVM with nested paging"


def nested_vmx(capabilities: Capabilities) -> str:
    """Require guests that are hypervisors, on VMX."""
    return "" if capabilities.nested_vmx else "no guest that uses VMX"


NEEDS: tuple[Need, ...] = (nested_npt,)


def _guest(backing: Backing, machine: Machine) -> Testbed:
    """A guest with an entry for L2 in its table."""
    bed = backing.build(machine)
    bed.vcpu.store(ENTRY, l2_entry(0))
    return bed


def _leave(bed: Testbed) -> None:
    equal("the exit code that L1 finds", bed.vcpu.leave_l2(), SVM_EXIT_HLT)


# The VMCB


def _runs(backing: Backing, machine: Machine) -> None:
    bed = _guest(backing, machine)
    for turn in ("first", "second"):
        equal(f"what L2 reads at the {turn} run", bed.vcpu.enter_l2(ENTRY, VMCB), FIRST)
        _leave(bed)


for _backing in MAPPED:
    SUITE.add(
        f"runs-{_backing.name}", f"L2 runs, and exits to L1, with the VMCB and a table in {_backing.text}", "uapi",
        partial(_runs, _backing), needs=(*NEEDS, *_backing.needs),
    )  # fmt: skip


def _dirty(machine: Machine) -> None:
    bed = ANON.build(machine)
    bed.vm.set_user_memory_region(SLOT, 0, SIZE, bed.hva, KVM_MEM_LOG_DIRTY_PAGES)
    bed.vcpu.store(ENTRY, l2_entry(0))
    bed.vcpu.enter_l2(ENTRY, VMCB)
    bed.vm.get_dirty_log(SLOT, PAGES)
    _leave(bed)
    equal("the pages that the exit has marked dirty", bed.vm.get_dirty_log(SLOT, PAGES), {VMCB // PAGE_SIZE})


SUITE.add("dirty", "the exit of L2 marks the VMCB's page dirty, and no other", "lost-dirty", _dirty, needs=NEEDS)


def _dontneed(bed: Testbed) -> None:
    bed.machine.madvise(bed.hva + VMCB, PAGE_SIZE, MADV_DONTNEED)


def _mapped_over(bed: Testbed) -> None:
    bed.machine.mmap(PAGE_SIZE, address=bed.hva + VMCB)


def _punch(bed: Testbed) -> None:
    bed.gmem.fallocate(PUNCH_HOLE, VMCB, PAGE_SIZE)


def _replaced(backing: Backing, change: Callable[[Testbed], None], machine: Machine) -> None:
    bed = _guest(backing, machine)
    bed.vcpu.enter_l2(ENTRY, VMCB)
    old = machine.pin(bed.hva + VMCB)
    before = old.read(VMCB_EXIT_CODE, 8)
    change(bed)
    _leave(bed)
    found = machine.read(bed.hva + VMCB + VMCB_EXIT_CODE, 8)
    equal("the exit code in the new page", int.from_bytes(found, "little"), SVM_EXIT_HLT)
    check(old.read(VMCB_EXIT_CODE, 8) == before, "KVM has written to a page that is no longer the guest's")


for _backing, _name, _change in (
    (ANON, "dontneed", _dontneed), (ANON, "mapped-over", _mapped_over), (GMEM, "punched", _punch),
):  # fmt: skip
    SUITE.add(
        f"vmcb-{_name}", f"the VMCB's page is replaced while L2 runs ({_name}): the exit is written to the new one",
        "stale-translation", partial(_replaced, _backing, _change), needs=(*NEEDS, *_backing.needs),
    )  # fmt: skip


@SUITE.test("vmcb-unmapped", "use-after-free", needs=NEEDS)
def vmcb_unmapped(machine: Machine) -> None:
    """User space unmaps the VMCB while L2 runs: the vCPU shuts down, and the old page is not written."""
    bed = _guest(ANON, machine)
    bed.vcpu.enter_l2(ENTRY, VMCB)
    old = machine.pin(bed.hva + VMCB)
    before = old.read(VMCB_EXIT_CODE, 8)
    machine.munmap(bed.hva + VMCB, PAGE_SIZE)
    equal("the guest's exit", exit_of(bed.vcpu.leave_l2), SHUTDOWN)
    check(old.read(VMCB_EXIT_CODE, 8) == before, "KVM has written to a page that is no longer the guest's")


# L1's page table


def _changed(backing: Backing, machine: Machine) -> None:
    """L1 changes the entry that KVM has shadowed."""
    bed = _guest(backing, machine)
    for number, word in ((0, FIRST), (1, SECOND), (0, FIRST)):
        bed.vcpu.store(ENTRY, l2_entry(number))
        equal("what L2 reads", bed.vcpu.enter_l2(ENTRY), word)
        _leave(bed)
    bed.vcpu.store(ENTRY, bytes(8))
    equal("what L2 reads without an entry", bed.vcpu.enter_l2(ENTRY), None)


for _backing in MAPPED:
    SUITE.add(
        f"table-{_backing.name}", f"L2 uses what L1 has last written to a table in {_backing.text}",
        "stale-translation", partial(_changed, _backing), needs=(*NEEDS, *_backing.needs),
    )  # fmt: skip


def _dropped(backing: Backing, expected: bytes | None, machine: Machine) -> None:
    """User space drops the PTE of a table that L1 has changed, so that KVM cannot read it under mmu_lock."""
    bed = _guest(backing, machine)
    bed.vcpu.enter_l2(ENTRY)
    _leave(bed)
    bed.vcpu.store(ENTRY, l2_entry(1))
    machine.madvise(bed.hva + TABLE, PAGE_SIZE, MADV_DONTNEED)
    equal("what L2 reads", bed.vcpu.enter_l2(ENTRY), expected)


for _backing, _expected in ((ANON, None), (MEMFD, SECOND), (GMEM, SECOND)):
    SUITE.add(
        f"table-dropped-{_backing.name}",
        f"L2 uses no old entry after user space has dropped the PTE of a table in {_backing.text}",
        "stale-translation", partial(_dropped, _backing, _expected), needs=(*NEEDS, *_backing.needs),
    )  # fmt: skip


@SUITE.test("table-unmapped", "stale-translation", needs=NEEDS)
def table_unmapped(machine: Machine) -> None:
    """L2 gets a page fault, and uses no old entry, after user space has unmapped a table that L1 has changed."""
    bed = _guest(ANON, machine)
    bed.vcpu.enter_l2(ENTRY)
    _leave(bed)
    bed.vcpu.store(ENTRY, l2_entry(1))
    machine.munmap(bed.hva + TABLE, PAGE_SIZE)
    equal("what L2 reads", bed.vcpu.enter_l2(ENTRY), None)


def _in_gmem(backing: Backing, machine: Machine) -> None:
    bed = _guest(backing, machine)
    equal("what L2 reads", bed.vcpu.enter_l2(ENTRY), FIRST)


for _backing in (
    Backing("gmem-unmapped", "guest_memfd that is mapped nowhere", gmem_unmapped),
    Backing("gmem-elsewhere", "guest_memfd, other memory at the user address",
            partial(gmem_elsewhere, flags=SHARED_GMEM)),
):  # fmt: skip
    SUITE.add(
        f"table-{_backing.name}", f"L2 uses a table of L1 in {_backing.text}", "lost-update",
        partial(_in_gmem, _backing), needs=(*NEEDS, guest_memfd(SHARED_GMEM)), lacks=lambda design: TABLES_LACK,
    )  # fmt: skip


# A page of L1 that is pinned from the entry of L2 to its exit


def _apic(backing: Backing, change: Callable[[Testbed], None], machine: Machine) -> None:
    bed = backing.build(machine)
    machine.touch(bed.hva + APIC)
    old = machine.pin(bed.hva + APIC)
    bed.vcpu.run_l2_apic(APIC, lambda: change(bed))
    machine.touch(bed.hva + APIC)
    if old.read(APIC_TASKPRI, 1)[0] == TASK_PRIORITY:
        check(machine.read(bed.hva + APIC + APIC_TASKPRI, 1)[0] == TASK_PRIORITY, KEPT)
    equal("the task priority", machine.read(bed.hva + APIC + APIC_TASKPRI, 1)[0], TASK_PRIORITY)


for _backing, _name, _change in (
    (ANON, "apic", lambda bed: None),
    (ANON, "apic-dontneed", lambda bed: bed.machine.madvise(bed.hva + APIC, PAGE_SIZE, MADV_DONTNEED)),
    (GMEM, "apic-punched", lambda bed: bed.gmem.fallocate(PUNCH_HOLE, APIC, PAGE_SIZE)),
):
    SUITE.add(
        _name, f"what L2 writes to its virtual-APIC page in {_backing.text} is where L1 finds it ({_name})",
        "lost-update", partial(_apic, _backing, _change), needs=(nested_vmx, *_backing.needs),
        lacks=(lambda design: "") if _name == "apic" else (lambda design: KEPT_LACK),
    )  # fmt: skip
