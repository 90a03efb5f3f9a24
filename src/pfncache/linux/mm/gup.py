# SPDX-License-Identifier: GPL-2.0-only
"""mm/gup.c: from a user address to a page with a reference, with FOLL_WRITE."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON, KVM_PFN_ERR_SIGPENDING
from pfncache.linux.include.linux.mm import Mm
from pfncache.linux.include.linux.mm_types import MmStruct, Page, Vma
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import Hva, Pfn
from pfncache.linux.include.uapi.linux.errno import EHWPOISON
from pfncache.linux.kernel.locking.rwsem import down_read
from pfncache.linux.kernel.locking.spinlock import spin_lock


class Gup(Mm):
    """get_user_pages() in its fast and its slow form."""

    @atomic
    def gup_fast_folio_allowed(self, page: Page) -> bool:
        """Return whether GUP hands out this page; it refuses memory without a direct map.

        One step: interrupts are off, so that the inode, which goes by RCU, is not freed between the two reads.

        Linux: mm/gup.c gup_fast_folio_allowed(), v7.3.4 (secretmem); NO_DIRECT_MAP series, v12.
        """
        mapping = page.mapping
        return page.anon or mapping is None or not mapping.no_direct_map

    @atomic
    def ptep_get_lockless(self, mm: MmStruct, number: int) -> Pfn:
        """Read a PTE, in one load.

        Linux: include/linux/pgtable.h ptep_get_lockless(), arch/x86/include/asm/pgtable.h pte_access_permitted(),
        pte_special(), v7.3.4.
        Returns: the pfn if the PTE is present and writable, and not special; KVM_PFN_ERR_FAULT otherwise.
        Simplified: the pfn of a device, which has no struct page, is returned.
        """
        pte = mm.ptes[number]
        pfn = pte.pfn if pte.pfn >= 0 and pte.writable else KVM_PFN_ERR_FAULT
        if self.pfn_valid(pfn) and pte.special:
            return KVM_PFN_ERR_FAULT
        return pfn

    def get_user_page_fast_only(self, address: Hva) -> Pfn:
        """Walk the page table without a lock: take a reference speculatively, then read the PTE again.

        Linux: include/linux/mm.h get_user_page_fast_only(), mm/gup.c gup_fast_pte_range(), v7.3.4.
        Returns: a pfn with a reference, or KVM_PFN_ERR_FAULT.
        Simplified: interrupts stay on; in Linux they are off, so that page tables are not freed.
        """
        mm = current().mm
        if mm is None:
            return KVM_PFN_ERR_FAULT
        number = address >> self.PAGE_SHIFT
        pfn = self.ptep_get_lockless(mm, number)
        if not self.pfn_valid(pfn):
            return KVM_PFN_ERR_FAULT
        page = self.mem_map[pfn]
        if not self.try_get_page(page):
            return KVM_PFN_ERR_FAULT
        if self.ptep_get_lockless(mm, number) != pfn or not self.gup_fast_folio_allowed(page):
            self.put_page(page)
            return KVM_PFN_ERR_FAULT
        return pfn

    def pin_user_pages_fast(self, address: Hva) -> Pfn:
        """Pin the page at a user address for writing, if need be the slow way.

        Linux: mm/gup.c pin_user_pages_fast(), gup_fast_fallback(), v7.3.4.
        Locks: may sleep.
        Returns: a pfn with a pin, or an error pfn.
        """
        pfn = self.gup_fast(address)
        if pfn >= 0:
            return pfn
        mm = current().mm
        assert mm is not None
        return self.get_user_pages_unlocked(mm, address, True, True)

    def gup_fast(self, address: Hva) -> Pfn:
        """Pin a page without a lock, as get_user_page_fast_only() takes a reference, but not while fork() runs.

        fork() copies a page that is pinned. It would share one that is pinned after it has looked, and before the PTE
        has become read-only, if the PTE was read again before that.

        Linux: mm/gup.c gup_fast(), gup_fast_pte_range(), with FOLL_PIN, v7.3.4.
        Returns: a pfn with a pin, or KVM_PFN_ERR_FAULT.
        Simplified: as get_user_page_fast_only().
        """
        mm = current().mm
        if mm is None:
            return KVM_PFN_ERR_FAULT
        sequence = mm.write_protect_seq
        if sequence & 1 != 0:
            return KVM_PFN_ERR_FAULT
        number = address >> self.PAGE_SHIFT
        pfn = self.ptep_get_lockless(mm, number)
        if not self.pfn_valid(pfn):
            return KVM_PFN_ERR_FAULT
        page = self.mem_map[pfn]
        if not self.try_grab_folio_fast(page):
            return KVM_PFN_ERR_FAULT
        if self.ptep_get_lockless(mm, number) != pfn or not self.gup_fast_folio_allowed(page):
            self.unpin_user_page(page)
            return KVM_PFN_ERR_FAULT
        if mm.write_protect_seq != sequence:
            self.unpin_user_page(page)
            return KVM_PFN_ERR_FAULT
        return pfn

    @atomic
    def try_grab_folio_fast(self, page: Page) -> bool:
        """Pin a page unless it has no reference; return whether it was pinned.

        Linux: mm/gup.c try_grab_folio_fast(), with FOLL_PIN, v7.3.4.
        """
        if page.refcount <= 0:
            return False
        page.refcount += 1
        page.pincount += 1
        return True

    @part_of("try_grab_folio")
    @atomic
    def pin_page(self, page: Page) -> None:
        """Pin a page that has a reference.

        Linux: mm/gup.c try_grab_folio(), with FOLL_PIN, v7.3.4.
        """
        self.get_page(page)
        page.pincount += 1

    @atomic
    def unpin_user_page(self, page: Page) -> None:
        """Drop a pin.

        Linux: mm/gup.c unpin_user_page(), gup_put_folio(), v7.3.4.
        """
        if page.pincount <= 0:
            report("refcount-imbalance", f"{page} is unpinned, but has no pin")
        page.pincount -= 1
        self.put_page(page)

    def follow_page_pte(self, mm: MmStruct, address: Hva, write: bool, pin: bool) -> Pfn:
        """Return the pfn of a present PTE, which is writable if `write`, with a reference or a pin.

        Linux: mm/gup.c follow_page_pte(), v7.3.4.
        Locks: mmap_lock for reading.
        """
        number = address >> self.PAGE_SHIFT
        with spin_lock(mm.page_table_lock):
            pte = mm.ptes[number]
            if not self.pfn_valid(pte.pfn) or (write and not pte.writable):
                return KVM_PFN_ERR_FAULT
            pfn = pte.pfn
            if pin:
                self.pin_page(self.mem_map[pfn])
            else:
                self.get_page(self.mem_map[pfn])
            return pfn

    def check_vma_flags(self, vma: Vma, write: bool) -> bool:
        """Return whether GUP looks a page of a VMA up; not in device memory, nor in memory without a direct map.

        Linux: mm/gup.c check_vma_flags(), v7.3.4 (secretmem); NO_DIRECT_MAP series, v12.
        Locks: mmap_lock for reading.
        """
        allowed = vma.writable if write else vma.readable
        if not vma.present or not allowed or vma.pfnmap:
            return False
        mapping = vma.mapping
        return mapping is None or not mapping.no_direct_map

    def get_user_pages_unlocked(self, mm: MmStruct, address: Hva, write: bool = True, pin: bool = False) -> Pfn:
        """Walk the page table under mmap_lock, and fault the page in until it is present.

        A fault of anonymous memory keeps mmap_lock, so that the VMA stays the same. One of a file may drop it, where it
        waits for a punch, or to throttle a task that has made the page dirty.

        Linux: mm/gup.c get_user_pages_unlocked(), pin_user_pages_unlocked(), __get_user_pages(), v7.3.4.
        Locks: may sleep.
        Returns: a pfn with a reference, which is a pin if `pin`; or an error pfn.
        Simplified: each fault of a file drops mmap_lock. The lock itself is not killable: a signal is looked for after
        the VMA alone.
        """
        number = address >> self.PAGE_SHIFT
        while True:
            with down_read(mm.mmap_lock):
                vma = mm.vmas[number]
                if not self.check_vma_flags(vma, write):
                    return KVM_PFN_ERR_FAULT
                mapping = vma.mapping
                again = True
                while again:
                    if current().signal_pending:
                        return KVM_PFN_ERR_SIGPENDING
                    pfn = self.follow_page_pte(mm, address, write, pin)
                    if pfn >= 0:
                        return pfn
                    fault = self.handle_mm_fault(mm, address, write)
                    if fault == -EHWPOISON:
                        return KVM_PFN_ERR_HWPOISON
                    if fault != 0:
                        return KVM_PFN_ERR_FAULT
                    again = mapping is None
                    if vma.uffd_wp:
                        again = False  # mmap_lock may have been dropped
