# SPDX-License-Identifier: GPL-2.0-only
"""mm/userfaultfd.c and mm/mprotect.c: write protection by a userfaultfd."""

from __future__ import annotations

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.uapi import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.include.uapi.linux.errno import EAGAIN, EINVAL, ENOENT
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

NUMBER = HVA >> 12


def protect(host: Host, enable: bool = True) -> int:
    return host.kernel.userfaultfd_writeprotect(host.mm, HVA, enable)


def registered(host: Host) -> Page:
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert host.kernel.userfaultfd_register(host.mm, HVA) == 0
    return host.page(HVA)


def bits(host: Host) -> tuple[bool, bool]:
    pte = host.mm.ptes[NUMBER]
    return pte.writable, pte.uffd_wp


def test_protected_and_allowed_again_each_with_a_notification(host: Host) -> None:
    page = registered(host)
    assert protect(host) == 0
    assert bits(host) == (False, True)
    assert host.kvm.gpc_invalidate_seq == 1
    assert protect(host, False) == 0
    assert bits(host) == (True, False)
    assert (host.kvm.gpc_invalidate_seq, host.kvm.mn_active_invalidate_count) == (2, 0)
    assert (host.page(HVA), page.refcount, page.mapcount) == (page, 1, 1)
    assert host.mm.userfaultfd.woken == 0


def test_the_guest_loses_its_mapping(host: Host) -> None:
    registered(host)
    host.add_slot()
    assert host.kernel.run_guest_access(host.vcpu, 0, False) == 0
    protect(host)
    assert host.kvm.sptes[0].pfn == -1


def test_what_is_not_registered(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    assert protect(host) == -ENOENT
    assert bits(host) == (True, False)
    assert host.kernel.userfaultfd_register(host.mm, 0x1000) == -EINVAL
    host.map_device(HVA, len(host.kernel.mem_map))
    assert host.kernel.userfaultfd_register(host.mm, HVA) == -EINVAL
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    assert host.kernel.userfaultfd_register(host.mm, HVA) == -EINVAL


def test_a_page_that_is_not_there_is_not_protected(host: Host) -> None:
    assert host.kernel.userfaultfd_register(host.mm, HVA) == 0
    assert protect(host) == 0
    assert bits(host) == (False, False)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    assert bits(host) == (True, False)


def test_a_write_waits_without_mmap_lock(host: Host) -> None:
    registered(host)
    protect(host)
    with pytest.raises(WouldBlock):
        host.kernel.copy_to_user(HVA, b"new")
    assert host.mm.userfaultfd.faults == 1
    assert (host.mm.mmap_lock.readers, host.mm.mmap_lock.writer) == (0, False)
    assert not host.mm.page_table_lock.held
    assert host.kernel.userfaultfd_poll(host.mm.userfaultfd)
    assert host.kernel.copy_from_user(HVA, 3)


def serving(make_host: MakeHost) -> Host:
    """A host whose process allows a write as soon as a fault is queued."""

    class Serving(Vmlinux):
        def userfaultfd_must_wait(self, mm: MmStruct, number: int) -> bool:
            waits = super().userfaultfd_must_wait(mm, number)
            if waits:
                assert protect(host, False) == 0
            return waits

    host = make_host(Serving)
    return host


def test_a_write_goes_on_when_it_is_allowed(make_host: MakeHost) -> None:
    host = serving(make_host)
    page = registered(host)
    protect(host)
    assert host.kernel.copy_to_user(HVA, b"new")
    assert bytes(page.host_bytes[:3]) == b"new"
    assert (host.mm.userfaultfd.faults, host.mm.userfaultfd.woken) == (0, 1)
    assert not host.kernel.userfaultfd_poll(host.mm.userfaultfd)
    assert host.mm.mmap_lock.readers == 0


def test_a_lookup_goes_on_when_it_is_allowed(make_host: MakeHost) -> None:
    host = serving(make_host)
    page = registered(host)
    protect(host)
    assert host.kernel.get_user_page_fast_only(HVA) < 0
    assert host.kernel.hva_to_pfn(HVA) == page.pfn
    assert host.mm.mmap_lock.readers == 0


def test_what_was_allowed_meanwhile_does_not_wait(make_host: MakeHost) -> None:
    class Allowing(Vmlinux):
        def add_to_wait_queue(self, ctx: object) -> int:
            assert protect(host, False) == 0
            return super().add_to_wait_queue(ctx)  # type: ignore[arg-type]

    host = make_host(Allowing)
    registered(host)
    protect(host)
    assert host.kernel.copy_to_user(HVA, b"new")
    assert (host.mm.userfaultfd.faults, host.mm.userfaultfd.woken) == (0, 0)


def test_must_wait_looks_at_the_pte(host: Host) -> None:
    page = registered(host)
    assert not host.kernel.userfaultfd_must_wait(host.mm, NUMBER)
    protect(host)
    assert host.kernel.userfaultfd_must_wait(host.mm, NUMBER)
    host.kernel.try_to_migrate(host.mm, page)
    assert not host.kernel.userfaultfd_must_wait(host.mm, NUMBER)
    assert host.kernel.userfaultfd_must_wait(host.mm, NUMBER + 1)  # no PTE


def test_a_page_that_moves_stays_protected(host: Host) -> None:
    registered(host)
    protect(host)
    assert host.kernel.migrate_pages(host.mm, HVA) == 0
    assert bits(host) == (False, True)


def test_protection_of_a_migration_entry(host: Host) -> None:
    page = registered(host)
    host.kernel.try_to_migrate(host.mm, page)
    protect(host)
    target = host.kernel.alloc_page()
    assert target is not None
    host.kernel.remove_migration_ptes(host.mm, page, target)
    assert bits(host) == (False, True)


def test_mprotect_does_not_give_the_permission_back(host: Host) -> None:
    registered(host)
    protect(host)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    host.kernel.do_mprotect_pkey(host.mm, HVA, True)
    assert bits(host) == (False, True)


def test_a_shared_page_has_to_be_copied_after_it_is_allowed(host: Host) -> None:
    page = registered(host)
    host.kernel.kernel_clone(host.mm, host.kernel.new_mm("child"))
    protect(host)
    protect(host, False)
    assert bits(host) == (False, False)
    assert host.kernel.copy_to_user(HVA, b"new")
    assert host.page(HVA) is not page


def test_zapping_and_mapping_forget_the_protection(host: Host) -> None:
    registered(host)
    protect(host)
    host.kernel.madvise_dontneed(host.mm, HVA)
    assert bits(host) == (False, False)
    assert host.mm.vmas[NUMBER].uffd_wp
    host.kernel.vm_mmap_pgoff(host.mm, HVA, None, 0)
    assert not host.mm.vmas[NUMBER].uffd_wp


def test_khugepaged_leaves_protected_pages_alone(host: Host) -> None:
    registered(host)
    host.kernel.do_user_addr_fault(host.mm, HVA + 0x1000)
    protect(host)
    assert host.kernel.collapse_huge_page(host.mm, HVA) == -EAGAIN
