# SPDX-License-Identifier: GPL-2.0-only
"""mm/memory.c: faults and zapping of user page tables."""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_HWPOISON
from pfncache.linux.include.linux.lockdep import mmap_assert_locked, mmap_assert_write_locked
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page, Vma
from pfncache.linux.include.linux.types import Errno, Hva, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EFAULT, EHWPOISON, EINVAL, ENOMEM
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.kernel.locking.spinlock import spin_lock
from pfncache.linux.mm.shmem import Shmem

PTE_NONE, PTE_PRESENT, PTE_MIGRATION = range(3)
"""What a fault finds in a PTE."""


class Memory(Shmem):
    """The functions of mm/memory.c: faults and zapping, a page at a time."""

    def handle_mm_fault(self, mm: MmStruct, address: Hva, write: bool) -> Errno:
        """Make a user PTE present.

        Linux: mm/memory.c handle_mm_fault(), v7.3.4.
        Locks: mmap_lock for reading; may sleep.
        Returns: 0 (the caller looks at the PTE again), -EFAULT (also for SIGBUS), -ENOMEM or -EHWPOISON.
        Simplified: no swap; do_swap_page() waits for migration entries alone. mmap_lock for reading
        instead of the VMA's own lock, also for MADV_DONTNEED: a writer of another VMA keeps them out, but it changes
        neither this VMA nor its PTEs, and what changes one VMA excludes them with both locks.
        """
        mmap_assert_locked(mm.mmap_lock)
        number = address >> self.PAGE_SHIFT
        vma = mm.vmas[number]
        if not vma.present or not vma.readable or (write and not vma.writable):
            return -EFAULT
        if vma.pfnmap:
            return -EFAULT
        entry = self.kind_of_pte(mm, number)
        if entry == PTE_PRESENT:
            return self.do_wp_page(mm, number) if write else 0
        if entry == PTE_MIGRATION:
            self.migration_entry_wait(mm, number)
            return 0
        mapping = vma.mapping
        if mapping is None:
            if self.large_folios and self.allows_huge_pmd(mm, number):
                if self.do_huge_pmd_anonymous_page(mm, number):
                    return 0
            return self.do_anonymous_page(mm, number, vma)
        return self.do_shared_fault(mm, number, vma, mapping)

    @part_of("handle_pte_fault")
    @atomic
    def kind_of_pte(self, mm: MmStruct, number: int) -> int:
        """Return whether a PTE is present, a migration entry, or none, by one load.

        Linux: mm/memory.c handle_pte_fault(), v7.3.4.
        """
        if mm.ptes[number].pfn >= 0:
            return PTE_PRESENT
        return PTE_MIGRATION if mm.ptes[number].migration >= 0 else PTE_NONE

    def do_wp_page(self, mm: MmStruct, number: int) -> Errno:
        """Make a present PTE writable, if it is still present, without asking the file. A shared page is copied.

        A write to a page that a userfaultfd protects waits for user space.

        Linux: mm/memory.c do_wp_page(), wp_page_shared(), wp_page_reuse(), v7.3.4.
        Locks: mmap_lock for reading; may sleep.
        Returns: 0 or -ENOMEM.
        Simplified: the folio of a file is locked, as if to mark it dirty, but no bit says so. Where the flush of a
        userfaultfd is pending, Linux does it before a copy; no TLB has a page writable that is shared.
        """
        page: Page | None = None
        mm.page_table_lock.lock()
        pfn = mm.ptes[number].pfn
        if self.pfn_valid(pfn):
            if mm.ptes[number].uffd_wp:
                mm.page_table_lock.unlock()
                return self.handle_userfault(mm, number)
            if self.mem_map[pfn].anon_shared and not self.wp_can_reuse_anon_folio(self.mem_map[pfn]):
                self.get_page(self.mem_map[pfn])
                mm.page_table_lock.unlock()
                return self.wp_page_copy(mm, number, self.mem_map[pfn])
            mm.ptes[number].writable = True
            if not self.mem_map[pfn].anon:
                page = self.mem_map[pfn]
                self.get_page(page)
        mm.page_table_lock.unlock()
        if page is not None:
            page.lock.lock()
            page.lock.unlock()
            self.put_page(page)
        return 0

    def wp_can_reuse_anon_folio(self, page: Page) -> bool:
        """Return whether nothing but one PTE has a reference on a page that was shared; it is exclusive then.

        Linux: mm/memory.c wp_can_reuse_anon_folio(), v7.3.4.
        Locks: the PTE lock; tries the folio lock.
        """
        if page.ksm or page.refcount > 1:
            return False
        if not page.lock.trylock():
            return False
        reuse = page.refcount == 1
        if reuse:
            page.anon_shared = False
        page.lock.unlock()
        return reuse

    def wp_page_copy(self, mm: MmStruct, number: int, old: Page, unshare: bool = False) -> Errno:
        """Replace a page that other processes may map by a copy, between two notifications: copy on write.

        With `unshare`, the PTE stays read-only, although the copy is not shared.

        Linux: mm/memory.c wp_page_copy(), v7.3.4.
        Locks: mmap_lock for reading, and a reference on the old page, which is dropped; may sleep.
        Returns: 0 (also if the PTE has changed meanwhile) or -ENOMEM.
        """
        new = self.alloc_page()
        if new is None:
            self.put_page(old)
            return -ENOMEM
        self.folio_mc_copy(new, old)
        new.anon = True
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(mm, address, address + self.PAGE_SIZE)
        with spin_lock(mm.page_table_lock):
            same = mm.ptes[number].pfn == old.pfn and not mm.ptes[number].writable
            if same:
                self.ptep_clear_flush(mm, number)
                self.set_pte_range(mm, number, new, not unshare)
                self.folio_remove_rmap_pte(old)
        self.mmu_notifier_invalidate_range_end(mm, address, address + self.PAGE_SIZE)
        self.put_page(old if same else new)
        self.put_page(old)
        return 0

    def copy_page_range(self, dst: MmStruct, src: MmStruct, number: int) -> Errno:
        """Copy the PTE of a VMA to a new process. One of anonymous memory becomes read-only in both.

        Linux: mm/memory.c copy_page_range(), vma_needs_copy(), v7.3.4.
        Locks: mmap_lock of both processes for writing; may sleep.
        Returns: 0 or -ENOMEM.
        """
        vma = src.vmas[number]
        if vma.pfnmap:
            return self.copy_pte_range(dst, src, number)  # mapped shared: the PTE keeps its permissions
        if vma.mapping is not None:
            return 0  # without an anon_vma; the new process faults
        address = number << self.PAGE_SHIFT
        self.mmu_notifier_invalidate_range_start(src, address, address + self.PAGE_SIZE)
        mmap_assert_write_locked(src.mmap_lock)
        src.write_protect_seq += 1
        ret = self.copy_pte_range(dst, src, number)
        src.write_protect_seq += 1
        self.mmu_notifier_invalidate_range_end(src, address, address + self.PAGE_SIZE)
        return ret

    def copy_pte_range(self, dst: MmStruct, src: MmStruct, number: int) -> Errno:
        """Copy one PTE. A page that is pinned is copied, for which one is allocated without the locks.

        Linux: mm/memory.c copy_pte_range(), v7.3.4.
        Locks: as copy_page_range(); takes the PTE locks of both processes.
        Returns: 0 or -ENOMEM.
        """
        prealloc: Page | None = None
        again: bool = True
        while again:
            with spin_lock(dst.page_table_lock), spin_lock(src.page_table_lock):
                pfn = src.ptes[number].pfn
                if self.pfn_valid(pfn) and not src.vmas[number].pfnmap:
                    again = self.copy_present_ptes(dst, src, number, self.mem_map[pfn], prealloc)
                    if prealloc is not None and dst.ptes[number].pfn == prealloc.pfn:
                        prealloc = None
                else:
                    again = False
                    self.copy_nonpresent_pte(src, number)
                    self.set_copied_pte(dst, src, number)
            if again:
                prealloc = self.alloc_page()
                if prealloc is None:
                    return -ENOMEM
        if prealloc is not None:
            self.put_page(prealloc)
        return 0

    def copy_present_ptes(self, dst: MmStruct, src: MmStruct, number: int, page: Page, prealloc: Page | None) -> bool:
        """Copy the PTE of a page that the processes share from here on, or map a copy of a pinned one, `prealloc`.

        The page may be pinned without a lock until the PTE is read-only. The writer of write_protect_seq undoes that.

        Linux: mm/memory.c copy_present_ptes(), __copy_present_ptes(), v7.3.4.
        Locks: the PTE locks of both processes.
        Returns: whether a page has to be allocated first.
        """
        self.get_page(page)
        if not self.folio_try_dup_anon_rmap_pte(page):
            self.put_page(page)
            if prealloc is None:
                return True
            self.copy_present_page(dst, src, number, page, prealloc)
            return False
        if src.ptes[number].writable:
            self.keep_in_tlb(src, number)
            src.ptes[number].writable = False
        self.set_copied_pte(dst, src, number)
        return False

    def copy_present_page(self, dst: MmStruct, src: MmStruct, number: int, page: Page, new: Page) -> None:
        """Map a copy of a page in a new process, whose reference it takes over.

        Linux: mm/memory.c copy_present_page(), v7.3.4.
        Locks: the PTE locks of both processes.
        """
        self.host_copy(page.pfn, new.pfn)
        new.anon = True
        self.set_pte_range(dst, number, new, src.vmas[number].writable)

    @atomic
    def copy_nonpresent_pte(self, src: MmStruct, number: int) -> None:
        """Make a migration entry of memory that two processes share from here on one for reading.

        Linux: mm/memory.c copy_nonpresent_pte(), v7.3.4.
        Locks: the PTE locks of both processes.
        Simplified: the page has the mark that it is shared; in Linux the kind of the entry is that.
        """
        pfn = src.ptes[number].migration
        if pfn >= 0:
            self.mem_map[pfn].anon_shared = True
            src.ptes[number].writable = False

    @part_of("__copy_present_ptes")
    @atomic
    def set_copied_pte(self, dst: MmStruct, src: MmStruct, number: int) -> None:
        """Set the PTE of a new process to that of the old one.

        Linux: mm/memory.c __copy_present_ptes(), copy_nonpresent_pte(), v7.3.4.
        Locks: the PTE locks of both processes.
        """
        dst.ptes[number].pfn = src.ptes[number].pfn
        dst.ptes[number].migration = src.ptes[number].migration
        dst.ptes[number].writable = src.ptes[number].writable
        dst.ptes[number].prot_none = src.ptes[number].prot_none
        if src.ptes[number].special:
            dst.ptes[number].special = True

    def do_anonymous_page(self, mm: MmStruct, number: int, vma: Vma) -> Errno:
        """Map a new zeroed page where no PTE is.

        Linux: mm/memory.c do_anonymous_page(), v7.3.4.
        Locks: mmap_lock for reading.
        Simplified: no zero page for reads.
        """
        writable = vma.writable
        page = self.alloc_page()
        if page is None:
            return -ENOMEM
        self.clear_highpage(page)
        page.anon = True
        with spin_lock(mm.page_table_lock):
            if mm.ptes[number].pfn < 0 and mm.ptes[number].migration < 0:
                self.set_pte_range(mm, number, page, writable)
                return 0
        self.put_page(page)
        return 0

    def do_shared_fault(self, mm: MmStruct, number: int, vma: Vma, mapping: AddressSpace) -> Errno:
        """Map the page of a file. It stays locked until the PTE is present, so that truncation finds it mapped.

        Linux: mm/memory.c do_shared_fault(), finish_fault(), v7.3.4.
        Locks: mmap_lock for reading.
        Simplified: also for reads, which do_read_fault() serves; it maps what is in the page cache around, too.
        """
        writable = vma.writable
        if not mapping.gmem and self.shmem_falloc_wait(mm, mapping, vma.pgoff):
            return 0
        if mapping.gmem:
            pfn = self.kvm_gmem_fault_user_mapping(mapping, vma.pgoff)
        else:
            pfn = self.shmem_fault(mapping, vma.pgoff)
        if pfn < 0:
            return -EHWPOISON if pfn == KVM_PFN_ERR_HWPOISON else -EFAULT
        page = self.mem_map[pfn]
        with spin_lock(mm.page_table_lock):
            installed = mm.ptes[number].pfn < 0
            if installed:
                self.set_pte_range(mm, number, page, writable)
        self.page_folio(page).lock.unlock()
        if not installed:
            self.put_page(page)
        return 0

    @atomic
    def set_pte_range(self, mm: MmStruct, number: int, page: Page, writable: bool) -> None:
        """Make a PTE present; it takes over the caller's reference.

        Linux: mm/memory.c set_pte_range(), v7.3.4.
        Locks: the PTE lock.
        """
        mm.ptes[number].pfn = page.pfn
        mm.ptes[number].writable = writable
        mm.ptes[number].prot_none = False
        page.mapcount += 1

    @part_of_caller
    @atomic
    def clear_pte(self, mm: MmStruct, number: int) -> Page | None:
        """Make a PTE not present. Until the flush, an access to the user address may still reach the page.

        Linux: mm/memory.c zap_present_ptes(), zap_nonpresent_ptes(), v7.3.4.
        Locks: the PTE lock.
        Returns: the page that was mapped, whose reference the caller takes over; None for no page or a device pfn.
        """
        self.keep_in_tlb(mm, number)
        pfn = mm.ptes[number].pfn
        mm.ptes[number].pfn = -1
        mm.ptes[number].writable = False
        mm.ptes[number].migration = -1
        if mm.ptes[number].uffd_wp:
            mm.ptes[number].uffd_wp = False
        if mm.ptes[number].special:
            mm.ptes[number].special = False
        if not self.pfn_valid(pfn):
            return None
        page = self.mem_map[pfn]
        if mm.vmas[number].pfnmap:
            return None
        page.mapcount -= 1
        return page

    def zap_vma_range(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Clear the PTEs of [start, end) between the two notifications, and free the pages.

        Linux: mm/memory.c zap_vma_range(), unmap_vmas(), mm/mmu_gather.c tlb_finish_mmu(), v7.3.4.
        Locks: mmap_lock.
        Simplified: the pages are freed before the second notification, as when a batch is full; Linux frees the last
        batch after it. What uses a page too late uses it after the earlier free as well.
        """
        self.mmu_notifier_invalidate_range_start(mm, start, end)
        self.zap_pte_range(mm, start, end)
        self.mmu_notifier_invalidate_range_end(mm, start, end)

    def zap_pte_range(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Clear the PTEs of [start, end), and drop their page references; a PMD with other pages too is split first.

        Linux: mm/memory.c zap_pte_range(), zap_pmd_range(), mm/mmu_gather.c tlb_flush_mmu(), v7.3.4.
        Locks: mmap_lock; between mmu_notifier start and end.
        Simplified: the TLB is flushed for each page that was mapped, as with full batches of one page.
        """
        for number in range(len(mm.ptes)):
            if start <= number << self.PAGE_SHIFT < end:
                if self.large_folios and mm.ptes[number].huge:
                    first = (number & -2) << self.PAGE_SHIFT
                    if start <= first and first + 2 * self.PAGE_SIZE <= end and self.zap_huge_pmd(mm, number):
                        continue
                    self._split_huge_pmd(mm, number)
                with spin_lock(mm.page_table_lock):
                    page = self.clear_pte(mm, number)
                if page is not None:
                    self.flush_tlb_range(mm, number << self.PAGE_SHIFT, (number + 1) << self.PAGE_SHIFT)
                    self.put_page(page)

    def unmap_mapping_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Clear every PTE that maps a page of a file.

        Linux: mm/memory.c unmap_mapping_folio(), v7.3.4.
        Locks: the folio lock; takes i_mmap_rwsem for reading.
        """
        with down_read(mapping.i_mmap_rwsem):
            self.unmap_mapping_range_tree(mapping, index, index + 1)

    def unmap_mapping_range(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Clear every PTE that maps one of the pages [start, end) of a file.

        Linux: mm/memory.c unmap_mapping_range(), unmap_mapping_pages(), v7.3.4.
        Locks: no folio lock; takes i_mmap_rwsem for reading.
        """
        with down_read(mapping.i_mmap_rwsem):
            self.unmap_mapping_range_tree(mapping, start, end)

    def unmap_mapping_range_tree(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Clear the PTEs of every VMA of the pages [start, end) of a file, present or not, between two notifications.

        Linux: mm/memory.c unmap_mapping_range_tree(), zap_vma_range_batched(), v7.3.4.
        Locks: i_mmap_rwsem for reading.
        """
        for mm in self.mms:
            for number in range(len(mm.vmas)):
                vma = mm.vmas[number]
                if vma.i_mmap is mapping and start <= vma.pgoff < end:
                    address = number << self.PAGE_SHIFT
                    self.zap_vma_range(mm, address, address + self.PAGE_SIZE)

    def remap_pfn_range(self, mm: MmStruct, address: Hva, pfn: Pfn) -> None:
        """Map a page of a device, which need not have a struct page, at the address of a VMA.

        Linux: mm/memory.c remap_pfn_range(), v7.3.4.
        Locks: takes mmap_lock and page_table_lock.
        Simplified: a driver calls it in its mmap(), where mmap_lock is held already.
        """
        number = address >> self.PAGE_SHIFT
        with down_write(mm.mmap_lock):
            mmap_assert_write_locked(mm.mmap_lock)  # vma_start_write() of vm_flags_set() does
            mm.vmas[number].pfnmap = True
            with spin_lock(mm.page_table_lock):
                mm.ptes[number].pfn = pfn
                mm.ptes[number].writable = True
                mm.ptes[number].special = True

    def vma_lookup(self, mm: MmStruct, address: Hva) -> Vma | None:
        """Return the VMA of an address; None if there is none.

        Linux: include/linux/mm.h vma_lookup(), v7.3.4.
        Locks: mmap_lock.
        """
        vma = mm.vmas[address >> self.PAGE_SHIFT]
        return vma if vma.present else None

    def follow_pfnmap_start(self, mm: MmStruct, vma: Vma, address: Hva) -> tuple[Errno, Pfn, bool]:
        """Look up the PTE of a VM_PFNMAP address, without a reference. On success, follow_pfnmap_end() has to follow.

        Linux: mm/memory.c follow_pfnmap_start(), v7.3.4.
        Locks: mmap_lock; takes page_table_lock, held on return unless there is an error.
        Returns: 0 or -EINVAL; the pfn; whether the PTE is writable.
        """
        mmap_assert_locked(mm.mmap_lock)
        if not vma.pfnmap:
            return -EINVAL, -1, False
        mm.page_table_lock.lock()
        pte = mm.ptes[address >> self.PAGE_SHIFT]
        if pte.pfn < 0:
            mm.page_table_lock.unlock()
            return -EINVAL, -1, False
        return 0, pte.pfn, pte.writable

    def follow_pfnmap_end(self, mm: MmStruct) -> None:
        """Drop the lock that follow_pfnmap_start() has taken.

        Linux: mm/memory.c follow_pfnmap_end(), v7.3.4.
        """
        mm.page_table_lock.unlock()
