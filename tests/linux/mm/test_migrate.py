# SPDX-License-Identifier: GPL-2.0-only
"""mm/migrate.c: pages move to other page frames."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.mm_types import Page
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EFAULT, ENOMEM
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost, reported

NUMBER = HVA >> 12


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
