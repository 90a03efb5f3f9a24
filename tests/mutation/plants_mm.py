# SPDX-License-Identifier: GPL-2.0-only
"""Faults of mm that were planted by hand: which order, which check a cache or a pinned page relies on."""

from __future__ import annotations

from pfncache.designs.catalogue import DESIGNS, Patch
from pfncache.linux.include.linux.mm_types import MmStruct, Page
from pfncache.linux.include.linux.types import Errno, Pfn
from pfncache.linux.include.uapi.linux.errno import EFAULT
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.vmlinux import Vmlinux
from tests.mutation.plants import Plant


class MergeReferencedPages(Patch, Vmlinux):
    """mm: ksm: merge a page whatever has a reference on it."""

    def is_only_mapped(self, page: Page) -> bool:
        return True


class CountBeforeClear(Patch, Vmlinux):
    """mm: ksm: count the references of a page before its PTE is cleared."""

    def write_protect_page(self, mm: MmStruct, number: int, page: Page) -> Errno:
        ret: Errno = -EFAULT
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
        with spin_lock(mm.page_table_lock):
            alone = mm.ptes[number].pfn == page.pfn and self.is_only_mapped(page)
            if alone and self.folio_try_share_anon_rmap_pte(page):
                self.ptep_clear_flush(mm, number)
                self.set_pte_at(mm, number, page.pfn, False)
                ret = 0
        self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
        return ret


class ShareBeforeProtecting(Patch, Vmlinux):
    """mm: fork: end the write side of write_protect_seq before the PTE is read-only."""

    def copy_page_range(self, dst: MmStruct, src: MmStruct, number: int) -> Errno:
        src.write_protect_seq += 1
        src.write_protect_seq += 1
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(src, address, address + self.PAGE_SIZE)
        ret = self.copy_pte_range(dst, src, number)
        self.mmu_notifier_invalidate_range_end(src, address, address + self.PAGE_SIZE)
        return ret


class PutWithoutReference(Patch, Vmlinux):
    """KVM: put the page of a lookup if the pfn has a struct page."""

    def kvm_release_page_clean(self, pfn: Pfn) -> None:
        if self.pfn_valid(pfn):
            self.put_page(self.mem_map[pfn])


class ForkSilently(Patch, Vmlinux):
    """mm: fork: do not notify."""

    def copy_page_range(self, dst: MmStruct, src: MmStruct, number: int) -> Errno:
        return self.copy_pte_range(dst, src, number)


class ProtectSilently(Patch, Vmlinux):
    """mm: userfaultfd: do not notify."""

    def change_pud_range(self, mm: MmStruct, number: int, enable_wp: bool) -> None:
        with spin_lock(mm.page_table_lock):
            self.change_pte_range(mm, number, enable_wp)


PLANTS_OF_MM = (
    Plant(ForkSilently, (("fork/guest", "stale-spte"), ("fork/clock", "stale-translation"))),
    Plant(ProtectSilently, (("uffd/guest", "stale-spte"), ("uffd/clock", "stale-translation"))),
    Plant(PutWithoutReference, (("device/activate-and-free", "refcount-imbalance"),)),
    Plant(MergeReferencedPages, (("ksm/nested", "lost-update"),), DESIGNS["map-without-pin"]),
    Plant(CountBeforeClear, (("ksm/nested", "lost-update"),), DESIGNS["map-without-pin"]),
    Plant(ShareBeforeProtecting, (("fork/nested", "lost-update"),)),
)
