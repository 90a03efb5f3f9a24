# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/guest_memfd.c, pages: how the guest, user space and KVM get a page of the file, and how it is freed."""

from __future__ import annotations

from pfncache.lang.part_of import part_of, part_of_caller
from pfncache.linux.include.linux.bug import WARN_ON_ONCE
from pfncache.linux.include.linux.kvm_host import File, Kvm, KvmMemorySlot
from pfncache.linux.include.linux.kvm_types import KVM_PFN_ERR_FAULT, KVM_PFN_ERR_HWPOISON, Gfn
from pfncache.linux.include.linux.mm_types import AddressSpace, Page
from pfncache.linux.include.linux.types import Pfn, Pgoff
from pfncache.linux.include.uapi.linux.kvm import GUEST_MEMFD_FLAG_INIT_SHARED
from pfncache.linux.virt.kvm.kvm_mm import KvmMm


class GuestMemfdPage(KvmMm):
    """The functions of virt/kvm/guest_memfd.c that look pages up, allocate them and free them."""

    def kvm_gmem_is_private_mem(self, inode: AddressSpace, index: Pgoff) -> bool:
        """Return whether a page of the inode is private; either all are, or none.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_is_private_mem(), v7.3.4.
        """
        return inode.gmem_flags & GUEST_MEMFD_FLAG_INIT_SHARED == 0

    def kvm_gmem_get_index(self, slot: KvmMemorySlot, gfn: Gfn) -> Pgoff:
        """Return the index in the file of the page that the slot has at gfn.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_index(), v7.3.4.
        """
        return gfn - slot.base_gfn + slot.gmem_pgoff

    # Page faults of user space

    def kvm_gmem_fault_user_mapping(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """Handle a page fault at a user address that maps the file. Only the folio lock keeps truncation out.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping(), v7.3.4.
        Locks: mmap_lock for reading.
        Returns: the page, locked and with a reference; an error pfn for private memory (SIGBUS), or without a page.
        Simplified: with the test of __do_fault() for poisoned memory, which Linux makes after the page was zeroed, and
        after which it unmaps the folio and tries to evict it. kvm_gmem_get_folio(), here and elsewhere, is
        filemap_grab_folio(): Linux looks for a cached page once before, for the sake of NUMA policies.
        """
        if index >= len(mapping.i_pages):
            return KVM_PFN_ERR_FAULT
        if self.kvm_gmem_is_private_mem(mapping, index):
            return KVM_PFN_ERR_FAULT
        page = self.filemap_grab_folio(mapping, index)
        if page is None:
            return KVM_PFN_ERR_FAULT
        if page.hwpoison:
            self.page_folio(page).lock.unlock()
            self.put_page(page)
            return KVM_PFN_ERR_HWPOISON
        self.make_uptodate(mapping, page)
        return page.pfn

    @part_of_caller
    def make_uptodate(self, mapping: AddressSpace, page: Page) -> None:
        """Zero a page at its first use.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_fault_user_mapping(), kvm_gmem_get_pfn(), v7.3.4.
        Locks: the folio lock.
        """
        if not page.uptodate:
            self.clear_highpage(page)
            page.uptodate = True

    def kvm_gmem_free_folio(self, page: Page) -> None:
        """Clean a page up that has left the page cache; other references to it may still exist.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_free_folio(), v7.3.4.
        Locks: the folio lock.
        """
        self.kvm_arch_gmem_reclaim(page.pfn)

    # Lookup by KVM

    def kvm_gmem_get_file(self, slot: KvmMemorySlot) -> File | None:
        """Take a reference on the slot's file, unless the file is being closed.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_file(), v7.3.4.
        """
        return self.get_file_active(slot)

    def get_file_active(self, slot: KvmMemorySlot) -> File | None:
        """Take a reference on the slot's file, unless the last one has been dropped; then read the pointer again.

        Linux: fs/file.c get_file_active(), __get_file_rcu(), v7.3.4.
        """
        file = slot.gmem_file
        if file is None or not self.file_ref_get(file):
            return None
        if slot.gmem_file is not file:
            self.fput(file)
            return None
        return file

    def kvm_gmem_get_pfn(self, kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Return the page that a slot has at gfn, allocated if there is none yet.

        invalidate_lock is not taken: the caller has to check whether an invalidation has begun or ended meanwhile.

        Linux: virt/kvm/guest_memfd.c kvm_gmem_get_pfn(), v7.3.4.
        Locks: SRCU or slots_lock; may sleep.
        Returns: a pfn with a reference, or an error pfn.
        Simplified: one error pfn for -EFAULT, -EIO (not bound there), -ENOMEM and the architecture's errors.
        """
        file = self.kvm_gmem_get_file(slot)
        if file is None:
            return KVM_PFN_ERR_FAULT
        pfn = self._kvm_gmem_get_pfn(kvm, file, slot, gfn)
        self.fput(file)
        return pfn

    @part_of("__kvm_gmem_get_pfn")
    def gmem_max_order(self, slot: KvmMemorySlot, gfn: Gfn, pfn: Pfn) -> int:
        """Return the order of the folio of a page on which the caller has a reference: max_order.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_get_pfn(), v7.3.4.
        """
        return 0

    def _kvm_gmem_get_pfn(self, kvm: Kvm, file: File, slot: KvmMemorySlot, gfn: Gfn) -> Pfn:
        """Look the page up and prepare it; the caller holds a reference on the file.

        Linux: virt/kvm/guest_memfd.c __kvm_gmem_get_pfn(), v7.3.4.
        Locks: SRCU or slots_lock; may sleep.
        Returns: as kvm_gmem_get_pfn().
        Simplified: it also zeroes the page and makes it private, which in Linux are lines of kvm_gmem_get_pfn().
        """
        index = self.kvm_gmem_get_index(slot, gfn)
        slot_file = slot.gmem_file
        if slot_file is not file:
            WARN_ON_ONCE(slot_file is not None, "WARN_ON_ONCE(slot_file)")
            return KVM_PFN_ERR_FAULT
        f = file.private_data
        if f.bindings[index].slot is not slot:
            WARN_ON_ONCE(f.bindings[index].slot is not None, "WARN_ON_ONCE(xa_load(&f->bindings, index))")
            return KVM_PFN_ERR_FAULT
        inode = file.f_mapping
        page = self.filemap_grab_folio(inode, index)
        if page is None:
            return KVM_PFN_ERR_FAULT
        if page.hwpoison:
            self.page_folio(page).lock.unlock()
            self.put_page(page)
            return KVM_PFN_ERR_HWPOISON
        self.make_uptodate(inode, page)
        if self.kvm_gmem_is_private_mem(inode, index) and self.kvm_arch_gmem_make_private(kvm, gfn, page.pfn) != 0:
            self.page_folio(page).lock.unlock()
            self.put_page(page)
            return KVM_PFN_ERR_FAULT
        pfn = page.pfn
        self.page_folio(page).lock.unlock()
        return pfn
