# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/guest_memfd.c: memory that belongs to a VM and that user space need not be able to map.

Here: invalidation, faults, binding to memslots, lookup. What is done to the file itself is in guest_memfd_file.py.
"""

from __future__ import annotations

from pfncache.lang.atomic import atomic
from pfncache.lang.report import report
from pfncache.linux.include.linux.kvm_host import File, GmemFile, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.sched import current
from pfncache.linux.include.linux.types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON, Errno, Gfn, Pfn, Pgoff
from pfncache.linux.include.uapi.linux.errno import EEXIST, EINVAL
from pfncache.linux.include.uapi.linux.kvm import GUEST_MEMFD_FLAG_INIT_SHARED, GUEST_MEMFD_FLAG_MMAP
from pfncache.linux.kernel.locking.rwsem import down_read, down_write
from pfncache.linux.kernel.locking.spinlock import write_lock
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class GuestMemfd(KvmMm):
    """The functions of virt/kvm/guest_memfd.c that memslots, faults and invalidations come to."""

    def kvm_gmem_is_private_mem(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Whether a page of the inode is private; all are, or none.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_is_private_mem(), v7.3.4.
        """
        return inode.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0

    def kvm_gmem_get_index(self, slot: KvmMemorySlot, gfn: Gfn) -> Pgoff:
        """The page of the file that the slot has at gfn.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_index(), v7.3.4.
        """
        return gfn - slot.base_gfn + slot.gmem_pgoff

    # Invalidation

    def kvm_gmem_invalidate_start(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Take the pages of [start, end) away from the guest of the inode's one file.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_invalidate_start(), v7.3.4.
        Locks: invalidate_lock.
        """
        for file in self.gmem_files:
            if file.f_mapping is inode and inode.gmem_listed:
                self._kvm_gmem_invalidate_start(file.private_data, inode, start, end)

    def _kvm_gmem_invalidate_start(self, f: GmemFile, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Zap what the slots that are bound in [start, end) have mapped. Caches are not looked at.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_invalidate_start(), v7.3.4.
        Locks: invalidate_lock.
        """
        kvm = f.kvm
        assert kvm is not None
        private = self.kvm_gmem_get_invalidate_filter(inode)
        found: bool = False
        for index in range(len(f.bindings)):
            if start <= index < end:
                slot = f.bindings[index].slot
                if slot is not None:
                    if not found:
                        found = True
                        kvm.mmu_lock.write_lock()
                        self.kvm_mmu_invalidate_start(kvm)
                    gfn = slot.base_gfn + index - slot.gmem_pgoff
                    self.kvm_mmu_invalidate_range_add(kvm, gfn, gfn + 1)
                    # Without its metadata (see kvm_arch_prepare_memory_region()) a slot cannot be zapped.
                    self.kvm_unmap_slot_range(kvm, slot, gfn, gfn + 1, private, not private)
        if found:
            kvm.mmu_lock.write_unlock()

    def kvm_gmem_get_invalidate_filter(self, inode: AddressSpace) -> bool:
        """Which SPTEs the inode's pages can be mapped by: the private ones (True), or the shared ones.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_invalidate_filter(), v7.3.4 (since 6.18: 5d3341d684be).
        """
        return inode.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0

    def kvm_unmap_slot_range(
        self, kvm: Kvm, slot: KvmMemorySlot, start: Gfn, end: Gfn, private: bool, shared: bool
    ) -> None:
        """Zap a range of a slot, which walks the slot's rmap.

        Linux: arch/x86/kvm/mmu/mmu.c kvm_unmap_gfn_range(), v7.3.4.
        Locks: mmu_lock for writing.
        """
        self.check_arch_ready(slot)
        self.kvm_unmap_gfn_range(kvm, start, end, private, shared)

    @atomic
    def check_arch_ready(self, slot: KvmMemorySlot) -> None:
        """Follow the slot's metadata.

        Linux: arch/x86/kvm/mmu/mmu.c, slot->arch.rmap.
        """
        if not slot.arch_ready:
            report("null-dereference", f"{slot} is walked, but its arch metadata is not allocated")

    def kvm_gmem_invalidate_end(self, inode: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """The guest may have the pages of [start, end) again.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_invalidate_end(), v7.3.4.
        Locks: invalidate_lock.
        """
        for file in self.gmem_files:
            if file.f_mapping is inode and inode.gmem_listed:
                self._kvm_gmem_invalidate_end(file.private_data, start, end)

    def _kvm_gmem_invalidate_end(self, f: GmemFile, start: Pgoff, end: Pgoff) -> None:
        """End the invalidation if anything is bound in [start, end); it must be what the start found.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_invalidate_end(), v7.3.4.
        Locks: invalidate_lock.
        """
        kvm = f.kvm
        assert kvm is not None
        for index in range(len(f.bindings)):
            if start <= index < end and f.bindings[index].slot is not None:
                with write_lock(kvm.mmu_lock):
                    self.kvm_mmu_invalidate_end(kvm)
                break

    # Pages

    def kvm_gmem_fault_user_mapping(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """A user address that maps the file is touched. Only the folio lock keeps truncation out.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping(), v7.3.4.
        Locks: mmap_lock for reading.
        Returns: the page, locked and with a reference; an error pfn (SIGBUS) for private memory, or without a page.
        Simplified: with __do_fault()'s test for poisoned memory.
        """
        if index >= len(mapping.i_pages):
            return KVM_PFN_ERR_FAULT
        if self.kvm_gmem_is_private_mem(mapping, index):
            return KVM_PFN_ERR_FAULT
        page = self.filemap_grab_folio(mapping, index)
        if page is None:
            return KVM_PFN_ERR_FAULT
        if page.hwpoison:
            page.lock.unlock()
            self.put_page(page)
            return KVM_PFN_ERR_HWPOISON
        self.kvm_gmem_make_uptodate(mapping, page)
        return page.pfn

    def kvm_gmem_make_uptodate(self, mapping: AddressSpace, page: Page) -> None:
        """Zero a page at its first use; with NO_DIRECT_MAP, then take it out of the direct map.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_folio() and its callers, v7.3.4;
        kvm_gmem_folio_zap_direct_map() of the NO_DIRECT_MAP series, v12.
        Locks: the folio lock.
        """
        if not page.uptodate:
            self.clear_highpage(page)
            page.uptodate = True
        if mapping.no_direct_map and not page.direct_map_removed:
            self.set_direct_map_invalid_noflush(page)
            page.direct_map_removed = True

    def kvm_gmem_free_folio(self, page: Page) -> None:
        """The page has left the page cache; somebody may still hold a reference.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_free_folio(), v7.3.4; the direct map comes back in NO_DIRECT_MAP, v12.
        Locks: the folio lock.
        """
        self.kvm_arch_gmem_reclaim(page.pfn)
        if page.direct_map_removed:
            self.set_direct_map_default_noflush(page)
            page.direct_map_removed = False

    def kvm_gmem_error_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """The memory of a page has failed: take it away from the guest. It stays in the cache.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_error_folio(), v7.3.4.
        """
        with down_read(mapping.invalidate_lock):
            self.kvm_gmem_invalidate_start(mapping, index, index + 1)
            self.kvm_gmem_invalidate_end(mapping, index, index + 1)

    # References on the file

    def get_file_active(self, slot: KvmMemorySlot) -> File | None:
        """The slot's file with a reference, unless it is being closed: the reference first, then a second look.

        Linux: fs/file.c get_file_active(), __get_file_rcu(), v7.3.4.
        """
        file = slot.gmem_file
        if file is None or not self.file_ref_get(file):
            return None
        if slot.gmem_file is not file:
            self.fput(file)
            return None
        return file

    @atomic
    def file_ref_get(self, file: File) -> bool:
        """Take a reference unless there is none left.

        Linux: include/linux/file_ref.h file_ref_get(), v7.3.4.
        """
        if file.f_count == 0:
            return False
        file.f_count += 1
        return True

    @atomic
    def file_ref_put(self, file: File) -> bool:
        """Drop a reference. Returns whether it was the last one.

        Linux: include/linux/file_ref.h file_ref_put(), v7.3.4.
        """
        if file.f_count == 0:
            report("refcount-imbalance", f"{file} is put, but has no reference")
        file.f_count -= 1
        return file.f_count == 0

    def fput(self, file: File) -> None:
        """Drop a reference on a file; the last one leaves the release to task work, on the way back to user space.

        Linux: fs/file_table.c fput(), v7.3.4.
        """
        if self.file_ref_put(file):
            current().delayed_fput = file

    # Binding

    def kvm_gmem_prepare(self, kvm: Kvm, slot: KvmMemorySlot, file: File, pgoff: Pgoff) -> Errno:
        """Check the file that a new slot is to use; on success the caller gets a reference.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_prepare(), v7.3.4 (since 7.3.2: 3fe5d2944e5a).
        Locks: slots_lock.
        Returns: 0 or -EINVAL.
        """
        self.get_file(file)
        inode = file.f_mapping
        if not inode.gmem or file.private_data.kvm is not kvm or pgoff + slot.npages > len(inode.i_pages):
            self.fput(file)
            return -EINVAL
        slot.guest_memfd = True
        slot.gmem_file = file
        slot.gmem_pgoff = pgoff
        if inode.gmem_flags & GUEST_MEMFD_FLAG_MMAP != 0:
            slot.gmem_only = True
        return 0

    @atomic
    def get_file(self, file: File) -> None:
        """get_file(): the caller has the file open.

        Linux: include/linux/fs.h get_file(), v7.3.4.
        """
        file.f_count += 1

    def kvm_gmem_commit(self, kvm: Kvm, slot: KvmMemorySlot) -> Errno:
        """Bind the slot, so that invalidations find it.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_commit(), v7.3.4 (since 7.3.2: 3fe5d2944e5a).
        Locks: slots_lock, slots_arch_lock.
        Returns: 0 or -EEXIST.
        """
        file = slot.gmem_file
        assert file is not None
        f = file.private_data
        start = slot.gmem_pgoff
        end = start + slot.npages
        with down_write(file.f_mapping.invalidate_lock):
            for index in range(len(f.bindings)):
                if start <= index < end and f.bindings[index].slot is not None:
                    return -EEXIST
            for index in range(len(f.bindings)):
                if start <= index < end:
                    f.bindings[index].slot = slot
        return 0

    def kvm_gmem_unbind(self, slot: KvmMemorySlot) -> None:
        """Forget a slot that nobody can reach any more.

        The guest's mappings are gone already; caches are not looked at. The lock is taken
        for a dying file too (since 7.3.2: 1f3359c873db).

        Linux: virt/kvm/guest_memfd.c kvm_gmem_unbind(), v7.3.4.
        Locks: slots_lock.
        """
        file = slot.gmem_file
        if file is None:
            return
        with down_write(file.f_mapping.invalidate_lock):
            self._kvm_gmem_unbind(slot, file.private_data)

    def _kvm_gmem_unbind(self, slot: KvmMemorySlot, f: GmemFile) -> None:
        """Erase the bindings of a slot.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_unbind(), v7.3.4.
        Locks: slots_lock, invalidate_lock for writing.
        """
        start = slot.gmem_pgoff
        end = start + slot.npages
        for index in range(len(f.bindings)):
            if start <= index < end:
                f.bindings[index].slot = None
        slot.gmem_file = None

    # Lookup

    def kvm_gmem_get_pfn(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """The page that a slot has at gfn; allocated if need be. No invalidate_lock: the caller has to look whether
        an invalidation came in between.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_pfn(), __kvm_gmem_get_pfn(), v7.3.4.
        Locks: SRCU or slots_lock; may sleep.
        Returns: a pfn with a reference, or an error pfn.
        Simplified: one error pfn for -EFAULT, -EIO (not bound there), -ENOMEM and the architecture's errors.
        """
        file = self.get_file_active(slot)
        if file is None:
            return KVM_PFN_ERR_FAULT
        pfn = self._kvm_gmem_get_pfn(kvm, file, slot, gfn)
        self.fput(file)
        return pfn

    def _kvm_gmem_get_pfn(self, kvm: Kvm, file: File, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """The lookup, with a reference on the file.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_get_pfn(), v7.3.4.
        Locks: SRCU or slots_lock; may sleep.
        Returns: as kvm_gmem_get_pfn().
        """
        index = self.kvm_gmem_get_index(slot, gfn)
        if slot.gmem_file is not file:
            return KVM_PFN_ERR_FAULT
        f = file.private_data
        if f.bindings[index].slot is not slot:
            return KVM_PFN_ERR_FAULT
        inode = file.f_mapping
        page = self.filemap_grab_folio(inode, index)
        if page is None:
            return KVM_PFN_ERR_FAULT
        if page.hwpoison:
            page.lock.unlock()
            self.put_page(page)
            return KVM_PFN_ERR_HWPOISON
        self.kvm_gmem_make_uptodate(inode, page)
        if self.kvm_gmem_is_private_mem(inode, index) and self.kvm_arch_gmem_make_private(kvm, gfn, page.pfn) != 0:
            page.lock.unlock()
            self.put_page(page)
            return KVM_PFN_ERR_FAULT
        pfn = page.pfn
        page.lock.unlock()
        return pfn
