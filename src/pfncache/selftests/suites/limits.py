# SPDX-License-Identifier: GPL-2.0-only
"""Arguments at their limits: sizes and addresses that wrap, structures at the end of a page, and populated memory."""

from __future__ import annotations

from functools import partial

from pfncache.linux.include.uapi import (
    FALLOC_FL_KEEP_SIZE,
    FALLOC_FL_PUNCH_HOLE,
    GUEST_MEMFD_FLAG_MMAP,
    KVM_MEM_GUEST_MEMFD,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    KVM_MSR_ENABLED,
    KVM_XEN_ATTR_TYPE_SHARED_INFO,
    KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA,
    KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO,
    MADV_POPULATE_READ,
    MADV_POPULATE_WRITE,
    MSR_KVM_STEAL_TIME,
    MSR_KVM_SYSTEM_TIME_NEW,
    PAGE_SIZE,
    PROT_NONE,
    PROT_READ,
    PUNCH_HOLE,
    SHARED_GMEM,
    PvClock,
    StealTime,
)
from pfncache.machines.machine import Machine
from pfncache.selftests.selftest import Suite, equal, expect, guest_memfd, guest_memfd_slots
from pfncache.selftests.suites.testbed import ANON, CLOCK_PAGE, MAPPED, SIZE, SLOT, STEAL, Backing, anon
from pfncache.selftests.suites.xen import BY_HVA, WITH_RUNSTATE, guest

SUITE = Suite("limits")
TOP = 1 << 64
NO_MEMORY = 1 << 52
"""A guest physical address beyond those of any processor."""
KERNEL_HALF = 1 << 63
"""A user address that access_ok() refuses."""
TOO_LARGE = 1 << 44
"""Bytes of more than KVM_MEM_MAX_NR_PAGES pages, 2^31 - 1."""
USER_MEM_SLOTS = 32764
"""KVM_USER_MEM_SLOTS."""
GMEM = KVM_MEM_GUEST_MEMFD


# Memslots and guest_memfd


@SUITE.test("memslot", "uapi")
def memslot(machine: Machine) -> None:
    """Addresses, sizes, flags and slot numbers of a memslot that wrap, or are beyond what KVM has, are refused."""
    vm, hva = machine.create_vm(), machine.mmap(SIZE)
    for what, slot, gpa, size, address, flags in (
        ("a size of 2^63", 0, 0, KERNEL_HALF, hva, 0),
        ("a size that wraps", 0, 0, TOP - PAGE_SIZE, hva, 0),
        ("2^32 pages", 0, 0, TOO_LARGE, hva, 0),
        ("a gpa that wraps to zero", 0, TOP - PAGE_SIZE, PAGE_SIZE, hva, 0),
        ("a gpa that wraps", 0, TOP - PAGE_SIZE, SIZE, hva, 0),
        ("a gpa of 53 bits", 0, NO_MEMORY, SIZE, hva, 0),
        ("an address of the kernel", 0, 0, SIZE, KERNEL_HALF, 0),
        ("the last page of all", 0, 0, PAGE_SIZE, TOP - PAGE_SIZE, 0),
        ("a slot number too high", USER_MEM_SLOTS, 0, SIZE, hva, 0),
        ("address space 2", 2 << 16, 0, SIZE, hva, 0),
        ("KVM_MEMSLOT_INVALID", 0, 0, SIZE, hva, 1 << 16),
        ("KVM_MEMSLOT_GMEM_ONLY", 0, 0, SIZE, hva, 1 << 17),
        ("the highest flag", 0, 0, SIZE, hva, 1 << 31),
    ):
        call = partial(vm.set_user_memory_region, slot, gpa, size, address, flags)
        expect(what, "EINVAL", call)
    both = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY
    expect("logged and read-only", "ok", lambda: vm.set_user_memory_region(0, 0, SIZE, hva, both))
    expect("a move beyond the last gpa", "EINVAL", lambda: vm.set_user_memory_region(0, NO_MEMORY, SIZE, hva, both))
    expect("what is still there", "ok", lambda: vm.get_dirty_log(0, 1))


@SUITE.test("memslot-gmem", "uapi", needs=(guest_memfd_slots(0),))
def memslot_gmem(machine: Machine) -> None:
    """Of several errors of a guest_memfd's memslot, numbers that wrap come before overlaps, and the file comes last."""
    vm, hva = machine.create_vm(), machine.mmap(SIZE)
    file, closed = vm.create_guest_memfd(SIZE), vm.create_guest_memfd(SIZE)
    closed.close()
    vm.set_user_memory_region(0, 0, SIZE, hva)
    region = partial(vm.set_user_memory_region2, 1)
    expect("a closed file", "EBADF", lambda: region(SIZE, SIZE, hva, GMEM, closed))
    expect("overlap, and a closed file", "EEXIST", lambda: region(0, SIZE, hva, GMEM, closed))
    expect("overlap", "EEXIST", lambda: region(0, SIZE, hva, GMEM, file, 2 * SIZE))
    expect("overlap, and an offset that wraps", "EINVAL", lambda: region(0, SIZE, hva, GMEM, file, TOP - PAGE_SIZE))
    expect("a gpa that wraps, a closed file", "EINVAL", lambda: region(TOP - PAGE_SIZE, SIZE, hva, GMEM, closed))
    expect("an offset behind the end", "EINVAL", lambda: region(SIZE, PAGE_SIZE, hva, GMEM, file, SIZE))
    expect("a high offset", "EINVAL", lambda: region(SIZE, PAGE_SIZE, hva, GMEM, file, 1 << 62))
    expect("a gpa of 53 bits", "EINVAL", lambda: region(NO_MEMORY, SIZE, hva, GMEM, file))
    expect("the file, which none of these has bound", "ok", lambda: region(SIZE, SIZE, hva, GMEM, file))


@SUITE.test("gmem-size", "uapi", needs=(guest_memfd(0),))
def gmem_size(machine: Machine) -> None:
    """A size that is negative as an offset of a file is refused; holes and allocation end at the largest one."""
    vm = machine.create_vm()
    expect("a size of 2^63", "EINVAL", lambda: vm.create_guest_memfd(KERNEL_HALF))
    expect("a size that wraps", "EINVAL", lambda: vm.create_guest_memfd(TOP - PAGE_SIZE))
    file = vm.create_guest_memfd(SIZE)
    for what, mode, offset, length, expected in (
        ("a hole to the largest offset", PUNCH_HOLE, 0, KERNEL_HALF - PAGE_SIZE, "ok"),
        ("a hole beyond it", PUNCH_HOLE, 1 << 62, 1 << 62, "EFBIG"),
        ("allocation beyond it", FALLOC_FL_KEEP_SIZE, 1 << 62, 1 << 62, "EFBIG"),
        ("allocation behind the end", FALLOC_FL_KEEP_SIZE, 1 << 62, PAGE_SIZE, "EINVAL"),
        ("a mode that is refused before", FALLOC_FL_PUNCH_HOLE, 1 << 62, 1 << 62, "EOPNOTSUPP"),
        ("no length, which is refused first", FALLOC_FL_PUNCH_HOLE, 0, 0, "EINVAL"),
    ):
        expect(what, expected, partial(file.fallocate, mode, offset, length))


# Structures at the end of a page


@SUITE.test("clock-at-page-end", "lost-update")
def clock_at_page_end(machine: Machine) -> None:
    """A clock that ends with its page is written; two bytes further on, it is not, and the old one stays."""
    bed = anon(machine)
    last = CLOCK_PAGE + PAGE_SIZE - PvClock.SIZE
    for seconds, gpa, expected in ((1, last, 1), (2, last + 2, 2), (3, last + 30, 3)):
        bed.enable_clock(gpa)
        bed.update(seconds)
        equal(f"the clock at {gpa % PAGE_SIZE:#x}", bed.clock_seconds(bed.hva + last), expected)
    equal("RDMSR", bed.vcpu.get_msr(MSR_KVM_SYSTEM_TIME_NEW), last + 30 | KVM_MSR_ENABLED)


@SUITE.test("steal-reserved", "uapi")
def steal_reserved(machine: Machine) -> None:
    """Reserved bits of steal time's MSR are refused; the last place in a page is written."""
    bed = anon(machine)
    for bit in range(1, 6):
        equal(f"bit {bit}", bed.vcpu.set_msr(MSR_KVM_STEAL_TIME, STEAL | 1 << bit | KVM_MSR_ENABLED), 0)
    last = STEAL + PAGE_SIZE - StealTime.SIZE
    equal("the last place", bed.vcpu.set_msr(MSR_KVM_STEAL_TIME, last | KVM_MSR_ENABLED), 1)
    bed.update(1)
    equal("whether it is written", bed.steal(bed.hva + last).version != 0, True)
    equal("no memory", bed.vcpu.set_msr(MSR_KVM_STEAL_TIME, NO_MEMORY | KVM_MSR_ENABLED), 1)
    bed.update(2)


@SUITE.test("xen-places", "uapi", needs=BY_HVA)
def xen_places(machine: Machine) -> None:
    """vcpu_info and the vCPU's time end with their page at most; shared_info is a page of memory."""
    bed = guest(ANON, machine)
    vm, vcpu = bed.vm, bed.vcpu
    by_gfn, by_hva = KVM_XEN_ATTR_TYPE_SHARED_INFO, KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA
    expect("shared_info behind the memslot", "EFAULT", lambda: vm.xen_hvm_set_attr(by_gfn, SIZE // PAGE_SIZE))
    expect("shared_info in the last page", "ok", lambda: vm.xen_hvm_set_attr(by_gfn, SIZE // PAGE_SIZE - 1))
    expect("shared_info of 40 bits", "EFAULT", lambda: vm.xen_hvm_set_attr(by_gfn, NO_MEMORY // PAGE_SIZE))
    expect("shared_info in the kernel", "EINVAL", lambda: vm.xen_hvm_set_attr(by_hva, KERNEL_HALF))
    expect("shared_info in the middle of a page", "EINVAL", lambda: vm.xen_hvm_set_attr(by_hva, bed.hva + 2048))
    info, info_hva = KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO, KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA
    time = KVM_XEN_VCPU_ATTR_TYPE_VCPU_TIME_INFO
    for what, attribute, start, size in (
        ("vcpu_info", info, 0, 64),
        ("vcpu_info by user address", info_hva, bed.hva, 64),
        ("time", time, 0, 32),
    ):
        last = start + SIZE - size
        expect(f"{what} at the end", "ok", partial(vcpu.xen_vcpu_set_attr, attribute, last))
        expect(f"{what} beyond it", "EINVAL", partial(vcpu.xen_vcpu_set_attr, attribute, last + 4))
    expect("time behind the memslot", "EFAULT", lambda: vcpu.xen_vcpu_set_attr(time, SIZE))
    expect("vcpu_info in the kernel", "EINVAL", lambda: vcpu.xen_vcpu_set_attr(info_hva, KERNEL_HALF))


@SUITE.test("xen-runstate", "uapi", needs=WITH_RUNSTATE)
def xen_runstate(machine: Machine) -> None:
    """A runstate area ends with its memslot at most, and may begin with the last byte of a page."""
    bed = guest(ANON, machine)
    place = partial(bed.vcpu.xen_vcpu_set_attr, KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADDR)
    expect("at the end", "ok", lambda: place(SIZE - 48))
    expect("one byte beyond", "EFAULT", lambda: place(SIZE - 47))
    expect("behind it", "EFAULT", lambda: place(SIZE))
    expect("in the last byte of a page", "ok", lambda: place(PAGE_SIZE - 1))


@SUITE.test("xen-steal-time", "lost-update", needs=WITH_RUNSTATE)
def xen_steal_time(machine: Machine) -> None:
    """A Xen guest has a runstate: what it writes to the MSR of steal time has no effect."""
    bed = guest(ANON, machine)
    bed.enable_steal_time()
    bed.update(1)
    equal("the version of steal time", bed.steal(bed.hva + STEAL).version, 0)
    bed.vm.xen_hvm_config(0)
    bed.update(2)
    equal("whether it is written to a guest that is not Xen's", bed.steal(bed.hva + STEAL).version != 0, True)


# Memory that is populated


def _populated(backing: Backing, machine: Machine) -> None:
    """The clock is written to the page that madvise() has made present, and not to another one."""
    bed = backing.build(machine)
    machine.madvise(bed.hva, SIZE, MADV_POPULATE_WRITE)
    equal("PTEs", machine.present(bed.hva, SIZE), [True] * (SIZE // PAGE_SIZE))
    page = machine.pin(bed.page)
    bed.enable_clock()
    bed.update(1)
    equal("the clock", bed.seen(), 1)
    machine.madvise(bed.hva, SIZE, MADV_POPULATE_WRITE)
    bed.update(2)
    equal("the clock", bed.seen(), 2)
    written = PvClock.parse(page.read(0x40, PvClock.SIZE))
    equal("whether it is in the page of the beginning", written.system_time // 10**9, 2)


for _backing in MAPPED:
    SUITE.add(
        f"populate-{_backing.name}", f"{_backing.text} is populated before and under a clock: the page stays",
        "stale-translation", partial(_populated, _backing), needs=_backing.needs,
    )  # fmt: skip


@SUITE.test("populate-refusals", "uapi", needs=(guest_memfd(SHARED_GMEM),))
def populate_refusals(machine: Machine) -> None:
    """Populating asks the mapping for permission, then faults: private memory and what is behind the end is SIGBUS."""
    bed = anon(machine)
    hva = machine.mmap(SIZE)
    read, write = (partial(machine.madvise, advice=advice) for advice in (MADV_POPULATE_READ, MADV_POPULATE_WRITE))
    expect("nothing is mapped", "ENOMEM", lambda: read(machine.hole(PAGE_SIZE), PAGE_SIZE))
    machine.mprotect(hva, PAGE_SIZE, PROT_READ)
    expect("write, PROT_READ", "EINVAL", lambda: write(hva, PAGE_SIZE))
    expect("read, PROT_READ", "ok", lambda: read(hva, PAGE_SIZE))
    machine.mprotect(hva, PAGE_SIZE, PROT_NONE)
    expect("read, PROT_NONE", "EINVAL", lambda: read(hva, PAGE_SIZE))
    private = machine.mmap(SIZE, bed.vm.create_guest_memfd(SIZE, GUEST_MEMFD_FLAG_MMAP))
    shared = machine.mmap(SIZE + PAGE_SIZE, bed.vm.create_guest_memfd(SIZE, SHARED_GMEM))
    expect("read of private memory", "EFAULT", lambda: read(private, PAGE_SIZE))
    expect("write of private memory", "EFAULT", lambda: write(private, PAGE_SIZE))
    expect("write of shared memory", "ok", lambda: write(shared, SIZE))
    expect("write behind the end", "EFAULT", lambda: write(shared + SIZE, PAGE_SIZE))
    bed.vm.delete(SLOT)
