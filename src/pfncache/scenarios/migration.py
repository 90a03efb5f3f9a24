# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios of pages of files that are moved to other page frames. guest_memfd refuses it in mainline."""

from __future__ import annotations

from pfncache.linux.include.linux.mm_types import AddressSpace
from pfncache.linux.include.trace.events.kvm import CACHE_REFRESHED
from pfncache.scenarios.scenario import scenario
from pfncache.scenarios.world import MemoryKind, World


def _move(w: World) -> World:
    """Add a task that moves the page of the file."""
    mapping: AddressSpace | None = w.memfd if w.memfd is not None else w.gmem.f_mapping
    if w.files:
        w.cannot_reach("compaction: migrate_file_page() succeeded", "guest_memfd of mainline refuses")
    return w.actor("compaction", w.call("migrate_file_page", mapping, 0), process=False)


@scenario(memory=MemoryKind.MEMFD, pages=4)
def memfd(w: World) -> None:
    """The page of a memfd is moved while the clock there is updated."""
    w.clock_on()
    update = w.call("run_clock_update", w.vcpu)
    _move(w.actor("vcpu", update, update))


@scenario(memory=MemoryKind.MEMFD, pages=4)
def memfd_absent(w: World) -> None:
    """The page of a memfd, which user space does not have mapped, is moved while the clock there is looked up."""
    w.clock_on()
    w.do(w.call("madvise_dontneed", w.mm, w.hva))
    w.need_not_reach("compaction: migrate_file_page() succeeded", "a lookup may keep a reference")
    _move(w.actor("vcpu", w.call("run_clock_update", w.vcpu)))


@scenario(memory=MemoryKind.MEMFD, pages=4)
def memfd_guest(w: World) -> None:
    """The page of a memfd is moved while the guest accesses it and user space touches it."""
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.do(access)
    w.actor("guest", access)
    w.actor("touch", w.call("do_user_addr_fault", w.mm, w.hva))
    _move(w)


@scenario(memory=MemoryKind.GMEM_MMAP, pages=4)
def gmem_mapped(w: World) -> None:
    """The page of a guest_memfd that user space maps is moved while the clock there is updated."""
    w.clock_on()
    w.need_not_reach(CACHE_REFRESHED, "a page that is looked up in guest_memfd stays although its user mapping goes")
    update = w.call("run_clock_update", w.vcpu)
    _move(w.actor("vcpu", update, update))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=4)
def gmem_unmapped(w: World) -> None:
    """The page of a guest_memfd that user space does not map is moved while the clock there is updated."""
    w.clock_refused().do(w.call("set_msr_system_time", w.vcpu, w.gpa, True), w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    update = w.call("run_clock_update", w.vcpu)
    _move(w.actor("vcpu", update, update))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=4)
def gmem_guest(w: World) -> None:
    """The page of a guest_memfd is moved while the guest accesses it."""
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.do(w.call("kvm_gmem_allocate", w.gmem, 0, 1))
    _move(w.actor("guest", access, access))


@scenario(memory=MemoryKind.GMEM_UNMAPPED, pages=4)
def gmem_punch(w: World) -> None:
    """The page of a guest_memfd is moved while it is punched and the guest faults."""
    access = w.call("run_guest_access", w.vcpu, 0, False)
    w.do(access)
    w.actor("guest", access)
    w.actor("punch", w.call("kvm_gmem_punch_hole", w.gmem, 0, 1))
    _move(w)


@scenario(memory=MemoryKind.MEMFD, pages=2)
def memfd_without_memory(w: World) -> None:
    """The page of a memfd is to be moved, while the only other page is given back."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva), w.call("vm_mmap_pgoff", w.mm, w.other_hva, None, 0))
    w.do(w.call("do_user_addr_fault", w.mm, w.other_hva))
    _move(w).actor("free", w.call("madvise_dontneed", w.mm, w.other_hva))


@scenario(memory=MemoryKind.MEMFD)
def memfd_punch(w: World) -> None:
    """The page of a memfd that user space maps is moved while it is punched."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    _move(w).actor("punch", w.zap())


@scenario(memory=MemoryKind.MEMFD, pages=4)
def memfd_unmap(w: World) -> None:
    """The page of a memfd is moved while it is unmapped, and mapped again elsewhere."""
    w.do(w.call("do_user_addr_fault", w.mm, w.hva))
    _move(w).actor("vmm", w.call("vm_munmap", w.mm, w.hva), w.call("vm_mmap_pgoff", w.mm, w.other_hva, w.memfd, 0))
