# SPDX-License-Identifier: GPL-2.0-only
"""mm/migrate.c: pages move to other page frames."""

from __future__ import annotations

import pytest

from pfncache.designs.catalogue import DESIGNS
from pfncache.designs.no_direct_map import NoDirectMap
from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Pfn
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM, EOPNOTSUPP
from pfncache.linux.include.uapi.linux.kvm import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
    GUEST_MEMFD_FLAG_NO_DIRECT_MAP,
)
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

NUMBER = HVA >> 12
SHARED = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED


def notifications(host: Host) -> int:
    assert host.kvm.mn_active_invalidate_count == 0
    return host.kvm.gpc_invalidate_seq


def test_migration_moves_contents_to_another_page(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    old.host_bytes[:5] = b"hello"
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    new = host.page(HVA)
    assert (old.free, new.free, bytes(new.host_bytes[:5])) == (True, False, b"hello")
    assert (new.anon, new.refcount, new.mapcount, host.mm.ptes[NUMBER].writable) == (True, 1, 1, True)
    assert notifications(host) == 1


def test_migration_of_a_page_that_another_task_holds(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    host.kernel.get_page(old)
    assert host.kernel.migrate_pages(host.mm, HVA) == -EAGAIN
    assert (host.page(HVA), old.mapcount, old.refcount) == (old, 1, 2)
    assert [page.pfn for page in host.kernel.mem_map if not page.free] == [old.pfn]


def test_migration_of_what_cannot_be(host: Host) -> None:
    assert host.kernel.migrate_pages(host.mm, HVA) == -EFAULT
    host.kernel.do_user_addr_fault(host.mm, HVA)
    while host.kernel.alloc_page() is not None:
        pass
    assert host.kernel.migrate_pages(host.mm, HVA) == -ENOMEM
    assert [page.refcount for page in host.kernel.mem_map] == [1] * len(host.kernel.mem_map)


class Watching(Vmlinux):
    """Records what holds when the page is copied."""

    def has_no_other_reference(self, page: Page) -> bool:
        (mm,) = self.mms
        (kvm,) = mm.notifiers
        self.seen = (
            mm.ptes[NUMBER].pfn,
            mm.ptes[NUMBER].migration,
            kvm.mn_active_invalidate_count,
            mm.mmap_lock.writer,
            page.lock.held,
        )
        self.at_copy()
        return super().has_no_other_reference(page)

    def at_copy(self) -> None:
        pass


def test_the_invalidation_ends_before_the_page_is_copied(make_host: MakeHost) -> None:
    host = make_host(Watching)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    assert host.kernel.seen == (-1, old.pfn, 0, False, True)  # type: ignore[attr-defined]


def test_a_fault_waits_for_the_migration_entry(make_host: MakeHost) -> None:
    class Faulting(Watching):
        def at_copy(self) -> None:
            with pytest.raises(WouldBlock):
                self.do_user_addr_fault(self.mms[0], HVA)
            self.mms[0].mmap_lock.readers = 0

    host = make_host(Faulting)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0


@pytest.mark.parametrize("operation", ["vm_munmap", "madvise_dontneed"])
def test_memory_that_goes_while_its_page_is_moved(make_host: MakeHost, operation: str) -> None:
    class Unmapping(Watching):
        def at_copy(self) -> None:
            getattr(self, operation)(self.mms[0], HVA)

    host = make_host(Unmapping)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    assert (host.mm.ptes[NUMBER].pfn, host.mm.ptes[NUMBER].migration) == (-1, -1)
    assert all(page.free for page in host.kernel.mem_map)


def test_memory_that_is_moved_or_protected_while_its_page_is_moved(make_host: MakeHost) -> None:
    class Moving(Watching):
        def at_copy(self) -> None:
            self.do_mprotect_pkey(self.mms[0], HVA, False)
            self.do_mremap(self.mms[0], HVA, HVA + 0x1000)

    host = make_host(Moving)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    old = host.page(HVA)
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    new = host.page(HVA + 0x1000)
    assert (host.mm.ptes[NUMBER].pfn, host.mm.ptes[NUMBER + 1].writable) == (-1, False)
    assert (old.free, new.refcount, new.mapcount) == (True, 1, 1)


def test_memory_that_becomes_inaccessible_while_its_page_is_moved(make_host: MakeHost) -> None:
    class Protecting(Watching):
        def at_copy(self) -> None:
            self.do_mprotect_pkey(self.mms[0], HVA, False, False)

    host = make_host(Protecting)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    pte = host.mm.ptes[NUMBER]
    assert (pte.pfn >= 0, pte.writable, pte.prot_none) == (True, False, True)


def test_a_wait_for_a_migration_entry_may_sleep(host: Host) -> None:
    current().preempt_count = 1
    with reported("sleeping-in-atomic"):
        host.kernel.migration_entry_wait(host.mm, NUMBER)


# Files


def memfd_page(host: Host, mapping: AddressSpace) -> Page:
    page = mapping.i_pages[0].page
    assert page is not None
    return page


@pytest.fixture
def memfd(host: Host) -> AddressSpace:
    """A memfd of one page, which is mapped twice."""
    mapping = host.kernel.new_memfd("memfd", 1)
    for hva in (HVA, HVA + 0x2000):
        host.kernel.vm_mmap_pgoff(host.mm, hva, mapping, 0)
        host.kernel.do_user_addr_fault(host.mm, hva)
    return mapping


def test_page_of_a_file_moves_with_all_its_mappings(host: Host, memfd: AddressSpace) -> None:
    old = memfd_page(host, memfd)
    old.host_bytes[:5] = b"hello"
    before = notifications(host)
    assert host.kernel.migrate_file_page(memfd, 0) == 0
    new = memfd_page(host, memfd)
    assert (old.free, old.mapping, bytes(new.host_bytes[:5])) == (True, None, b"hello")
    assert (new.mapping, new.index, new.uptodate, new.lock.held) == (memfd, 0, True, False)
    assert (new.refcount, new.mapcount) == (3, 2)
    assert host.page(HVA) is host.page(HVA + 0x2000) is new
    assert notifications(host) - before == 2


def test_page_of_a_file_that_another_task_holds_stays(host: Host, memfd: AddressSpace) -> None:
    old = memfd_page(host, memfd)
    host.kernel.get_page(old)
    assert host.kernel.migrate_file_page(memfd, 0) == -EAGAIN
    assert (memfd_page(host, memfd), old.refcount, old.mapcount, old.lock.held) == (old, 4, 2, False)
    assert sum(not page.free for page in host.kernel.mem_map) == 1


def test_reference_that_is_taken_during_the_copy(make_host: MakeHost) -> None:
    class Taking(Vmlinux):
        def host_copy(self, source: Pfn, target: Pfn) -> None:
            self.get_page(self.mem_map[source])

    host = make_host(Taking)
    mapping = host.kernel.new_memfd("memfd", 1)
    host.kernel.allocate_memfd_pages(mapping, 0, 1)
    old = memfd_page(host, mapping)
    assert host.kernel.migrate_file_page(mapping, 0) == -EAGAIN
    assert (memfd_page(host, mapping), old.refcount) == (old, 2)


def test_no_page_or_no_memory(host: Host) -> None:
    mapping = host.kernel.new_memfd("memfd", 1)
    assert host.kernel.migrate_file_page(mapping, 0) == -EFAULT
    host.kernel.allocate_memfd_pages(mapping, 0, 1)
    while host.kernel.alloc_page() is not None:
        pass
    assert host.kernel.migrate_file_page(mapping, 0) == -ENOMEM
    assert memfd_page(host, mapping).refcount == 1


def test_page_that_is_truncated_before_it_is_locked(make_host: MakeHost) -> None:
    class Truncating(Vmlinux):
        def isolate_file_folio(self, mapping: AddressSpace, index: int) -> Page | None:
            page = super().isolate_file_folio(mapping, index)
            self.truncate_inode_pages_range(mapping, 0, 1)
            return page

    host = make_host(Truncating)
    mapping = host.kernel.new_memfd("memfd", 1)
    host.kernel.allocate_memfd_pages(mapping, 0, 1)
    assert host.kernel.migrate_file_page(mapping, 0) == -EAGAIN
    assert all(page.free for page in host.kernel.mem_map)


def gmem_page(host: Host, flags: int) -> AddressSpace:
    """A guest_memfd whose page is mapped, if it may be."""
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, flags)
    host.kernel.kvm_gmem_allocate(file, 0, 1)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    return file.f_mapping


def test_guest_memfd_refuses_and_is_mapped_again(host: Host) -> None:
    mapping = gmem_page(host, SHARED)
    page = memfd_page(host, mapping)
    before = notifications(host)
    assert host.kernel.migrate_file_page(mapping, 0) == -EOPNOTSUPP
    assert (memfd_page(host, mapping), host.page(HVA), page.refcount, page.mapcount) == (page, page, 2, 1)
    assert notifications(host) - before == 1


@pytest.mark.parametrize(
    ("flags", "ret"),
    [(SHARED, 0), (0, -EOPNOTSUPP), (SHARED | GUEST_MEMFD_FLAG_NO_DIRECT_MAP, -EOPNOTSUPP)],
)
def test_guest_memfd_of_the_proposal_moves_shared_memory(make_host: MakeHost, flags: int, ret: int) -> None:
    host = make_host((DESIGNS["gmem-migration"] + [NoDirectMap]).kernel())
    mapping = gmem_page(host, flags)
    page = memfd_page(host, mapping)
    assert host.kernel.migrate_file_page(mapping, 0) == ret
    assert (memfd_page(host, mapping) is page) == (ret != 0)
    mapping.invalidate_lock.lock()
    assert host.kernel.migrate_file_page(mapping, 0) == (-EAGAIN if ret == 0 else ret)
