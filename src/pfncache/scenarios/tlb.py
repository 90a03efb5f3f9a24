# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of TLBs: what a page table has lost is there until a flush, which an operation may owe to another."""

from __future__ import annotations

from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _mapped(w: World, private: bool = False) -> World:
    """Let the guest access each page of its slot."""
    for gfn in range(w.layout.region.npages):
        w.do(w.call("run_guest_access", w.vcpu, gfn << w.kernel.PAGE_SHIFT, private))
    return w


def _guest(w: World, private: bool = False) -> World:
    """Add a guest that accesses its first page."""
    return w.actor("guest", w.call("run_guest_access", w.vcpu, 0, private))


def _steal_time(w: World, times: int = 1) -> World:
    """Write steal time through a user address, and add a vCPU that does so again."""
    update = w.call("run_steal_time_update", w.vcpu)
    return w.steal_time_on().do(update).actor("vcpu", *[update] * times)


def _moved_slot(w: World) -> World:
    """Map two pages, and add a VMM that deletes their slot: mmu_lock is dropped between the SPTEs."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva + w.kernel.PAGE_SIZE, None, 0))
    return _mapped(w).actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))


@scenario(tlbs=True, gfns=2, slots=2, pages=4)
def guest_and_slot_delete(w: World) -> None:
    """A page of a slot is zapped for its deletion, then freed by madvise(), which finds no SPTE: who flushes?"""
    _guest(_moved_slot(w))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(tlbs=True, gfns=2, slots=2, pages=4)
def guest_and_migration(w: World) -> None:
    """The same, where the page is moved, and not freed."""
    _guest(_moved_slot(w))
    w.actor("migrate", w.call("migrate_pages", w.mm, w.hva), process=False)


@scenario(tlbs=True, gfns=2, pages=4)
def guest_and_zapped_gfns(w: World) -> None:
    """Two pages are zapped because their memory type changes, and madvise() frees one."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.hva + w.kernel.PAGE_SIZE, None, 0))
    _guest(_mapped(w)).actor("vmm", w.call("kvm_zap_gfn_range", w.kvm, 0, 2))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.hva))


@scenario(tlbs=True, gfns=2, pages=4, huge=True)
def guest_and_huge_page(w: World) -> None:
    """The guest accesses a huge page that user space zaps as a whole."""
    w.do(w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0), w.call("do_user_addr_fault", w.mm, w.hva))
    _guest(_mapped(w)).actor("madvise", w.call("madvise_dontneed", w.mm, w.hva, 2))


@scenario(tlbs=True)
def guest_and_two_advices(w: World) -> None:
    """The guest accesses a page that two threads zap."""
    zap = w.call("madvise_dontneed", w.mm, w.hva)
    _guest(_mapped(w)).actor("madvise", zap).actor("madvise'", zap)


@scenario(tlbs=True, pages=4)
def guest_and_fork(w: World) -> None:
    """The guest accesses a page that fork() shares, and a write of the process then copies."""
    _guest(_mapped(w))
    child = w.kernel.new_mm("child")
    w.actor("vmm", w.call("kernel_clone", w.mm, child), w.call("do_user_addr_fault", w.mm, w.hva))


@scenario(tlbs=True, memory=MemoryKind.GMEM, gfns=2, file_pages=2, pages=4, slots=2)
def private_punch(w: World) -> None:
    """Both pages of private memory are punched while their slot is deleted and the guest accesses them."""
    _guest(_mapped(w, True), True)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 2))


@scenario(tlbs=True, memory=MemoryKind.GMEM_COCO, slots=2)
def snp_punch(w: World) -> None:
    """The page of an SNP guest's VMSA is mapped for the guest, and punched while its slot is deleted."""
    _mapped(w, True)
    run = w.call("run_snp_guest", w.vcpu)
    w.do(w.call("run_ap_creation", w.vcpu, w.gpa), run)
    w.actor("vcpu", run)
    w.actor("vmm", w.call("set_memory_region", w.kvm, 0, 0, 0, w.hva), w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(tlbs=True, memory=MemoryKind.GMEM)
def convert(w: World) -> None:
    """The guest makes a page shared and private again, and the VMM punches it, while another vCPU accesses it."""
    _guest(_mapped(w, True), True)
    w.actor("vmm", *(w.call("set_memory_attributes", w.kvm, 0, 1, private) for private in (False, True)))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(tlbs=True)
def steal_time_and_zaps(w: World) -> None:
    """Steal time is written through a user address while two threads zap the page."""
    zap = w.call("madvise_dontneed", w.mm, w.hva)
    _steal_time(w).actor("madvise", zap).actor("madvise'", zap)


@scenario(tlbs=True)
def steal_time_and_munmap(w: World) -> None:
    """Steal time is written through a user address that is unmapped, and mapped again."""
    _steal_time(w)
    w.actor("vmm", w.call("vm_munmap", w.mm, w.hva), w.call("vm_mmap_pgoff", w.mm, w.hva, None, 0))


@scenario(tlbs=True, pages=4)
def steal_time_and_migration(w: World) -> None:
    """Steal time is written through a user address whose page is moved: not between the copy and the flush."""
    _steal_time(w, 2).actor("migrate", w.call("migrate_pages", w.mm, w.hva), process=False)


@scenario(tlbs=True, memory=MemoryKind.MEMFD, pages=4)
def steal_time_and_file_migration(w: World) -> None:
    """The same with a page of a memfd, which a hole is punched into at a time."""
    _steal_time(w).actor("migrate", w.call("migrate_file_page", w.memfd, 0), process=False)
    w.actor("punch", w.zap())


@scenario(tlbs=True, pages=4)
def steal_time_and_fork(w: World) -> None:
    """Steal time is written through a user address while the process forks, and its child writes to the page."""
    _steal_time(w)
    child = w.kernel.new_mm("child")
    w.actor("vmm", w.call("kernel_clone", w.mm, child))
    w.actor("child", w.call("wait_for_fork", child), w.call("do_user_addr_fault", child, w.hva), mm=child)


@scenario(tlbs=True, pages=4)
def steal_time_and_mprotect(w: World) -> None:
    """Steal time is written through a user address that becomes read-only."""
    _steal_time(w).actor("mprotect", w.call("do_mprotect_pkey", w.mm, w.hva, False))


@scenario(tlbs=True, pages=4)
def steal_time_and_mremap(w: World) -> None:
    """Steal time is written through a user address whose page moves to another one, where it is zapped."""
    _steal_time(w).actor("mremap", w.call("do_mremap", w.mm, w.hva, w.other_hva))
    w.actor("madvise", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(tlbs=True, pages=4, user_pages=5)
def steal_time_and_merge(w: World) -> None:
    """Steal time is written through a user address whose page KSM merges with another."""
    address = w.other_hva
    w.do(w.call("vm_mmap_pgoff", w.mm, address, None, 0), w.call("do_user_addr_fault", w.mm, address))
    _steal_time(w)
    w.do(*(w.call("madvise_mergeable", w.mm, page, True) for page in (w.hva, address)))
    w.actor("ksmd", w.call("try_to_merge_two_pages", w.mm, address, w.hva), process=False)


@scenario(tlbs=True, gfns=2, pages=5)
def steal_time_and_collapse(w: World) -> None:
    """Steal time is written through a user address whose page khugepaged copies with its neighbour."""
    second = w.hva + w.kernel.PAGE_SIZE
    w.do(w.call("vm_mmap_pgoff", w.mm, second, None, 0), w.call("do_user_addr_fault", w.mm, second))
    _steal_time(w).actor("khugepaged", w.call("collapse_huge_page", w.mm, w.hva), process=False)


@scenario(tlbs=True, pages=4)
def steal_time_and_write_protection(w: World) -> None:
    """Steal time is written through a user address that a userfaultfd protects for a while."""
    w.do(w.call("userfaultfd_register", w.mm, w.hva))
    protect = (w.call("userfaultfd_writeprotect", w.mm, w.hva, on) for on in (True, False))
    _steal_time(w).actor("handler", *protect)


@scenario(tlbs=True, memory=MemoryKind.GMEM_NDM, pages=4)
def direct_map(w: World) -> None:
    """The guest and its clock use a page of guest_memfd first, which leaves the direct map, and which is punched."""
    w.clock_refused().do(w.call("set_msr_system_time", w.vcpu, w.gpa, True))
    _guest(w).actor("vcpu", w.call("run_clock_update", w.vcpu))
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))


@scenario(tlbs=True, memory=MemoryKind.GMEM_NDM, pages=4)
def clock_and_punch(w: World) -> None:
    """The clock is in a page without a direct map, which is punched twice: an alias goes, and another comes."""
    w.clock_refused().clock_on()
    update = w.call("run_clock_update", w.vcpu)
    punch = w.call("kvm_gmem_punch_hole", w.gmem, 0, 1)
    w.actor("vcpu", update, update).actor("punch", punch, punch)
