# SPDX-License-Identifier: GPL-2.0-only
"""mm/gup.c: from a user address to a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pfncache.lang.atomic import WouldBlock
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON, KVM_PFN_ERR_SIGPENDING
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Errno, Hva
from pfncache.linux.include.uapi import (
    GUEST_MEMFD_FLAG_INIT_SHARED,
    GUEST_MEMFD_FLAG_MMAP,
)
from pfncache.linux.kernel.locking.rwsem import RwSemaphore
from pfncache.linux.vmlinux import Vmlinux
from tests.linux.conftest import HVA, Host, MakeHost

MAPPABLE = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED


def fast(host: Host, hva: int = HVA) -> int:
    return host.kernel.get_user_page_fast_only(hva)


def slow(host: Host, hva: int = HVA) -> int:
    return host.kernel.get_user_pages_unlocked(host.mm, hva)


def test_fast_finds_only_what_is_mapped(host: Host) -> None:
    assert fast(host) == KVM_PFN_ERR_FAULT
    host.kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    assert (fast(host, HVA + 8), page.refcount) == (page.pfn, 2)


def test_fast_of_a_readonly_pte(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert (fast(host), host.page(HVA).refcount) == (KVM_PFN_ERR_FAULT, 1)


def test_fast_without_an_address_space(host: Host) -> None:
    host.kernel.do_user_addr_fault(host.mm, HVA)
    current().mm = None
    assert fast(host) == KVM_PFN_ERR_FAULT


class Changing(Vmlinux):
    """Something happens to the PTE while fast GUP takes its reference."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def try_get_page(self, page: Page) -> bool:
        taken = super().try_get_page(page)
        self.meanwhile()
        return taken


@pytest.mark.parametrize("again", [False, True])
def test_fast_reads_the_pte_again(make_host: MakeHost, again: bool) -> None:
    """It is empty, or has another page."""
    host = make_host(Changing)
    assert isinstance(host.kernel, Changing)
    kernel = host.kernel
    kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)

    def change() -> None:
        kernel.madvise_dontneed(host.mm, HVA)
        if again:
            kernel.do_user_addr_fault(host.mm, HVA)

    kernel.meanwhile = change
    assert fast(host) == KVM_PFN_ERR_FAULT
    assert (host.mm.ptes[HVA >> 12].pfn >= 0) is again
    assert (page.refcount, page.free) == (0, True)


def test_slow_faults_the_page_in(host: Host) -> None:
    pfn = slow(host)
    page = host.page(HVA)
    assert (pfn, page.refcount, page.mapcount) == (page.pfn, 2, 1)
    assert slow(host) == pfn
    assert page.refcount == 3


def test_slow_without_permission(host: Host) -> None:
    assert slow(host, HVA - 0x1000) == KVM_PFN_ERR_FAULT  # no VMA
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert slow(host) == KVM_PFN_ERR_FAULT
    host.kernel.do_mprotect_pkey(host.mm, HVA, True)
    assert slow(host) == host.page(HVA).pfn  # the PTE is made writable


def test_slow_without_memory(host: Host) -> None:
    while host.kernel.alloc_page() is not None:
        pass
    assert slow(host) == KVM_PFN_ERR_FAULT


def test_slow_with_a_fatal_signal(host: Host) -> None:
    current().signal_pending = True
    assert slow(host) == KVM_PFN_ERR_SIGPENDING
    assert host.mm.ptes[HVA >> 12].pfn == -1


def test_a_signal_counts_after_the_vma(host: Host) -> None:
    """What GUP refuses in any case is refused, so that the caller looks for device memory."""
    current().signal_pending = True
    host.map_device(HVA, 100)
    assert (slow(host), slow(host, HVA - 0x1000)) == (KVM_PFN_ERR_FAULT, KVM_PFN_ERR_FAULT)


class Faulting(Vmlinux):
    """Counts how often GUP takes mmap_lock, and zaps what the first fault has made present."""

    faults = 0

    def handle_mm_fault(self, mm: MmStruct, address: Hva, write: bool) -> Errno:
        ret = super().handle_mm_fault(mm, address, write)
        self.faults += 1
        if self.faults == 1:
            with pytest.raises(WouldBlock):
                self.vm_munmap(mm, address)  # a writer waits for the lookup
            self.zap_vma_range(mm, address, address + 0x1000)
        return ret


def test_slow_keeps_mmap_lock_over_faults_of_anonymous_memory(make_host: MakeHost) -> None:
    host = make_host(Faulting)
    taken = 0

    class Counting(RwSemaphore):
        def lock_shared(self) -> None:
            nonlocal taken
            taken += 1
            super().lock_shared()

    host.mm.__dict__["mmap_lock"] = Counting("mmap_lock")
    pfn = slow(host)
    assert (pfn, host.kernel.faults, taken) == (host.page(HVA).pfn, 2, 1)  # type: ignore[attr-defined]


def test_the_pte_is_read_in_one_load(make_host: MakeHost) -> None:
    """A read-only PTE is not taken for one of which only the pfn or only the permission is seen."""
    host = make_host(Changing)
    kernel = host.kernel
    assert isinstance(kernel, Changing)
    kernel.do_user_addr_fault(host.mm, HVA)
    page = host.page(HVA)
    kernel.meanwhile = lambda: kernel.do_mprotect_pkey(host.mm, HVA, False)
    assert fast(host) == KVM_PFN_ERR_FAULT
    assert (page.refcount, kernel.ptep_get_lockless(host.mm, HVA >> 12)) == (1, KVM_PFN_ERR_FAULT)
    assert kernel.ptep_get_lockless.is_atomic  # type: ignore[attr-defined]


def test_slow_of_poisoned_memory(host: Host) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, MAPPABLE)
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    host.kernel.do_user_addr_fault(host.mm, HVA)
    host.kernel.memory_failure(host.mm, HVA, file.f_mapping, 0)
    assert slow(host) == KVM_PFN_ERR_HWPOISON


@pytest.mark.parametrize("given", [True, False])
def test_memory_without_direct_map_is_refused(host: Host, given: bool) -> None:
    file = host.kernel._kvm_gmem_create("gmem", host.kvm, 1, MAPPABLE)
    file.f_mapping.no_direct_map = not given
    host.kernel.vm_mmap_pgoff(host.mm, HVA, file.f_mapping, 0)
    assert host.kernel.do_user_addr_fault(host.mm, HVA) == 0
    page = host.page(HVA)
    answer = page.pfn if given else KVM_PFN_ERR_FAULT
    assert (fast(host), slow(host)) == (answer, answer)
    assert page.refcount == (4 if given else 2)  # page cache and PTE
