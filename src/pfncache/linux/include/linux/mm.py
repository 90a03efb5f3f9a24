# SPDX-License-Identifier: GPL-2.0-only
"""include/linux/mm.h, mmu_notifier.h, vmalloc.h, set_memory.h, uaccess.h: prototypes, and the layout of memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

from pfncache.lang.part_of import part_of_caller
from pfncache.lang.records import Record, Structs, make
from pfncache.linux.include.linux.kvm_host import File, Kvm
from pfncache.linux.include.linux.mm_types import AddressSpace, MmStruct, Page, Vma, VmapArea
from pfncache.linux.include.linux.types import Address, Errno, Hva, Kva, Pfn, Pgoff
from pfncache.linux.include.trace.events.kvm import Tracepoints
from pfncache.linux.kernel.locking.mutex import Mutex
from pfncache.linux.kernel.rcu.tree import RcuState

R = TypeVar("R", bound=Record)


class Mm(Tracepoints, ABC):
    """Prototypes of mm/, and the constants of the address space.

    The address space is one, as in Linux: user addresses below PAGE_OFFSET, then the direct map, then vmalloc space.
    The checker uses a small one with pages of two bytes, direct execution pages of 4096 bytes.
    """

    PAGE_SHIFT: int
    PAGE_SIZE: int
    PAGE_OFFSET: int
    """The start of the direct map; also KVM_HVA_ERR_BAD."""
    VMALLOC_START: int
    mem_map: tuple[Page, ...]
    """By pfn."""
    vmap_areas: tuple[VmapArea, ...]
    """vmalloc space, one page each."""
    mms: tuple[MmStruct, ...]
    """Every process."""
    rcu: RcuState
    mf_mutex: Mutex
    """mm/memory-failure.c: one failure at a time is handled."""
    mappings: tuple[AddressSpace, ...]
    """Every file's page cache."""
    host_device_bytes: dict[int, bytearray]
    """By pfn: the contents of page frames without struct page, in direct execution."""
    gmem_files: tuple[File, ...]
    """Every guest_memfd file."""
    large_folios: bool = False
    """Folios have one page or two, and anonymous memory is mapped by PMDs (transparent_hugepage=always)."""
    tlbs: bool = False
    """TLBs keep what page tables have lost, until a flush. Otherwise they are flushed with each change."""
    extended_structs: Structs = {}
    """By structure: the one that a patch declares in its place, with more members."""

    @part_of_caller
    def new(self, kind: type[R], name: str, **values: Any) -> R:
        """Make a structure, with the members that patches declare.

        Linux: nothing; every record of the model is made before the first step.
        """
        return make(kind, self.extended_structs, name, **values)

    def offset_in_page(self, address: Address) -> int:
        """Return the offset of an address in its page.

        Linux: include/linux/mm.h offset_in_page(), v7.3.4.
        """
        return address & (self.PAGE_SIZE - 1)

    def PAGE_ALIGN_DOWN(self, address: Address) -> Address:
        """Return the start of the page of an address.

        Linux: include/linux/mm.h PAGE_ALIGN_DOWN(), v7.3.4.
        """
        return address & ~(self.PAGE_SIZE - 1)

    def pfn_valid(self, pfn: Pfn) -> bool:
        """Return whether pfn has a struct page, as all but device memory has, whose pfns follow those of mem_map.

        Linux: include/linux/mmzone.h pfn_valid(), v7.3.4.
        """
        return pfn >= 0 and pfn < len(self.mem_map)

    # mm/memory.c
    @abstractmethod
    def set_pte_range(self, mm: MmStruct, number: int, page: Page, writable: bool) -> None:
        """set_pte_range(): make a PTE present; it takes over the caller's reference."""

    @abstractmethod
    def clear_pte(self, mm: MmStruct, number: int) -> Page | None:
        """Make a PTE not present; the page that was mapped, with its reference, or None."""

    @abstractmethod
    def wp_page_copy(self, mm: MmStruct, number: int, old: Page, unshare: bool = False) -> Errno:
        """Replace a shared page by a copy. Locks: mmap_lock for reading, and a reference on the page, dropped."""

    @abstractmethod
    def folio_try_dup_anon_rmap_pte(self, page: Page) -> bool:
        """Share an anonymous page with another process; False for one that is pinned. Locks: the PTE lock."""

    @abstractmethod
    def folio_remove_rmap_pte(self, page: Page) -> None:
        """folio_remove_rmap_pte(): count one PTE less that maps a page. Locks: the PTE lock."""

    @abstractmethod
    def copy_page_range(self, dst: MmStruct, src: MmStruct, number: int) -> Errno:
        """Copy the PTE of a VMA to a new process. Locks: mmap_lock of both for writing."""

    @abstractmethod
    def zap_vma_range(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """unmap_vmas(): clear the PTEs of [start, end), between the two notifications."""

    # mm/pgtable-generic.c
    @abstractmethod
    def pmdp_collapse_flush(self, mm: MmStruct, number: int) -> None:
        """Make the page table of two pages unreachable, and flush the TLB. Locks: the PMD lock."""

    @abstractmethod
    def ptep_clear_flush(self, mm: MmStruct, number: int) -> None:
        """Make a PTE not present before it is replaced. Locks: the PTE lock."""

    # mm/mmap.c
    @abstractmethod
    def dup_mmap(self, mm: MmStruct, oldmm: MmStruct) -> Errno:
        """Copy the mappings of a process to one that fork() makes. Locks: takes mmap_lock of both for writing."""

    # mm/huge_memory.c
    @abstractmethod
    def allows_huge_pmd(self, mm: MmStruct, number: int) -> bool:
        """Return whether a fault may map a large folio."""

    @abstractmethod
    def do_huge_pmd_anonymous_page(self, mm: MmStruct, number: int) -> bool:
        """Map a new large folio by a PMD; False without memory."""

    @abstractmethod
    def map_anon_folio_pmd_nopf(self, mm: MmStruct, number: int, folio: Page, second: Page, writable: bool) -> None:
        """Make a PMD present that maps a large folio."""

    @abstractmethod
    def _split_huge_pmd(self, mm: MmStruct, number: int) -> None:
        """Replace a PMD that maps a folio by a page table, between two notifications."""

    @abstractmethod
    def zap_huge_pmd(self, mm: MmStruct, number: int) -> bool:
        """Clear a PMD that maps a folio; False if it is split."""

    # mm/mprotect.c, mm/userfaultfd.c
    @abstractmethod
    def change_pud_range(self, mm: MmStruct, number: int, enable_wp: bool) -> None:
        """Take the permission to write from a PTE for a userfaultfd, or give it back. Locks: mmap_lock for reading."""

    @abstractmethod
    def handle_userfault(self, mm: MmStruct, number: int) -> Errno:
        """Wait until user space allows a write. Locks: mmap_lock for reading, dropped meanwhile."""

    # mm/migrate.c
    @abstractmethod
    def migration_entry_wait(self, mm: MmStruct, number: int) -> None:
        """migration_entry_wait(): wait until the page of a migration entry is unlocked."""

    # mm/filemap.c
    @abstractmethod
    def softleaf_entry_wait_on_locked(self, mm: MmStruct, number: int) -> None:
        """Wait until the page of a migration entry is unlocked."""

    # mm/page_alloc.c
    @abstractmethod
    def alloc_page(self) -> Page | None:
        """A page from the allocator with one reference, any free one; None when there is none."""

    @abstractmethod
    def alloc_large_folio(self) -> Page | None:
        """The first page of a folio of order 1 with one reference; None when there are no two neighbours."""

    @abstractmethod
    def page_folio(self, page: Page) -> Page:
        """page_folio(): the page that has the references and the lock."""

    @abstractmethod
    def get_page(self, page: Page) -> None:
        """folio_get()."""

    @abstractmethod
    def try_get_page(self, page: Page) -> bool:
        """folio_try_get(): False when the page has no reference, and so is free."""

    @abstractmethod
    def put_page(self, page: Page) -> None:
        """folio_put(): the last reference gives the page back."""

    @abstractmethod
    def unpin_user_page(self, page: Page) -> None:
        """unpin_user_page(): drop a reference by FOLL_PIN."""

    # mm/filemap.c, mm/truncate.c
    @abstractmethod
    def filemap_lock_folio(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """filemap_lock_folio(): the cached page, locked and with a reference; None when the cache has none there."""

    @abstractmethod
    def filemap_grab_folio(self, mapping: AddressSpace, index: Pgoff) -> Page | None:
        """__filemap_get_folio(FGP_LOCK | FGP_CREAT): find or allocate, locked and with a reference; None: -ENOMEM."""

    @abstractmethod
    def truncate_inode_folio(self, mapping: AddressSpace, page: Page) -> None:
        """Unmap a page, and remove it from the cache with the cache's reference. Locks: the folio lock."""

    @abstractmethod
    def truncate_inode_pages_range(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Remove the pages of [start, end) from the cache, unmapping them from user space first."""

    # mm/memory.c, mm/highmem.c
    @abstractmethod
    def unmap_mapping_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """Clear every user PTE of a page of a file. Locks: the folio lock; takes i_mmap_rwsem."""

    @abstractmethod
    def unmap_mapping_range(self, mapping: AddressSpace, start: Pgoff, end: Pgoff) -> None:
        """Clear every user PTE of the pages [start, end) of a file. Locks: takes i_mmap_rwsem."""

    @abstractmethod
    def clear_highpage(self, page: Page) -> None:
        """Zero a page through the direct map."""

    @abstractmethod
    def handle_mm_fault(self, mm: MmStruct, address: Hva, write: bool) -> Errno:
        """Make the PTE of address present (and writable). 0, -EFAULT (no VMA, permission, SIGBUS), -ENOMEM, -EHWPOISON.

        Locks: mmap_lock held for reading.
        """

    # mm/gup.c
    @abstractmethod
    def ptep_get_lockless(self, mm: MmStruct, number: int) -> Pfn:
        """ptep_get_lockless(): the pfn of a present, writable PTE, read in one step; an error pfn otherwise."""

    @abstractmethod
    def get_user_page_fast_only(self, address: Hva) -> Pfn:
        """The page that a writable present PTE of the current mm maps, referenced; KVM_PFN_ERR_FAULT otherwise."""

    @abstractmethod
    def get_user_pages_unlocked(self, mm: MmStruct, address: Hva, write: bool = True, pin: bool = False) -> Pfn:
        """get_user_pages_unlocked(FOLL_HWPOISON): fault in and take a reference, a pin if `pin`; or an error pfn."""

    @abstractmethod
    def pin_user_pages_fast(self, address: Hva) -> Pfn:
        """pin_user_pages_fast(FOLL_WRITE): pin the page at an address of the current mm; or an error pfn."""

    @abstractmethod
    def vma_lookup(self, mm: MmStruct, address: Hva) -> Vma | None:
        """The VMA of an address, or None. Locks: mmap_lock."""

    @abstractmethod
    def follow_pfnmap_start(self, mm: MmStruct, vma: Vma, address: Hva) -> tuple[Errno, Pfn, bool]:
        """follow_pfnmap_start(): 0 or an errno, the pfn behind a VM_PFNMAP address, and whether it is writable.

        Locks: mmap_lock; page_table_lock is held on return.
        """

    @abstractmethod
    def follow_pfnmap_end(self, mm: MmStruct) -> None:
        """follow_pfnmap_end(): drop page_table_lock."""

    # arch uaccess
    @abstractmethod
    def unsafe_put_user(self, address: Hva, data: bytes) -> bool:
        """Write at address in the current mm, which may fault. False: -EFAULT."""

    @abstractmethod
    def user_access_retry(self, address: Hva, write: bool) -> bool:
        """Access address in the current mm, faulting if need be. False: -EFAULT."""

    @abstractmethod
    def _try_cmpxchg_user(self, address: Hva) -> bool:
        """Exchange a word at address in the current mm. False: -EFAULT."""

    @abstractmethod
    def copy_to_user(self, address: Hva, data: bytes) -> bool:
        """True when everything was written at address in the current mm; False: -EFAULT."""

    @abstractmethod
    def copy_from_user(self, address: Hva, length: int) -> bool:
        """True when `length` bytes at address in the current mm could be read; False: -EFAULT."""

    @abstractmethod
    def folio_mc_copy(self, target: Page, source: Page) -> None:
        """Copy a page that no processor can write to meanwhile."""

    @abstractmethod
    def host_copy(self, source: Pfn, target: Pfn) -> None:
        """Copy the bytes of a page, in direct execution."""

    @abstractmethod
    def host_put(self, address: Hva, data: bytes) -> None:
        """Move bytes to a present user address, in direct execution."""

    @abstractmethod
    def host_get(self, address: Hva, length: int) -> bytes:
        """The bytes at a present user address, in direct execution."""

    # mm/vmalloc.c, mm/highmem.c, kernel/iomem.c
    @abstractmethod
    def kmap(self, page: Page) -> Kva:
        """kmap(): the page's address in the direct map."""

    @abstractmethod
    def kunmap(self, khva: Kva) -> None:
        """kunmap()."""

    @abstractmethod
    def vmap(self, page: Page) -> Kva:
        """vmap(&page, 1, VM_MAP, PAGE_KERNEL): NULL on failure."""

    @abstractmethod
    def vunmap(self, khva: Kva) -> None:
        """vunmap()."""

    @abstractmethod
    def memremap(self, pfn: Pfn) -> Kva:
        """memremap(MEMREMAP_WB) of a pfn without struct page: NULL on failure."""

    @abstractmethod
    def memunmap(self, khva: Kva) -> None:
        """memunmap()."""

    @abstractmethod
    def is_vmalloc_addr(self, khva: Kva) -> bool:
        """is_vmalloc_addr()."""

    @abstractmethod
    def kernel_access(self, khva: Kva, write: bool) -> Pfn:
        """Dereference a kernel address, in one step: report a fault or a use after free; return the pfn.

        The model's CPU and KASAN. In direct execution, host_kernel_bytes() gives the bytes.
        """

    @abstractmethod
    def host_kernel_bytes(self, khva: Kva) -> memoryview:
        """The bytes at a kernel address, in direct execution."""

    @abstractmethod
    def host_page_bytes(self, pfn: Pfn) -> bytearray:
        """The bytes of a page frame, in direct execution."""

    # arch/x86/mm/pat/set_memory.c
    @abstractmethod
    def set_direct_map_invalid_noflush(self, page: Page) -> None:
        """set_direct_map_valid_noflush(false): remove a page from the direct map; the caller flushes the TLB."""

    @abstractmethod
    def set_direct_map_default_noflush(self, page: Page) -> None:
        """set_direct_map_valid_noflush(true): return a page to the direct map."""

    # arch/x86/mm/tlb.c
    @abstractmethod
    def keep_in_tlb(self, mm: MmStruct, number: int) -> None:
        """Let a TLB have what a user PTE maps, which is about to change. Locks: the PTE lock."""

    @abstractmethod
    def flush_tlb_range(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Flush user addresses [start, end) from every TLB, and wait for it."""

    @abstractmethod
    def arch_tlbbatch_flush(self, page: Page) -> None:
        """Flush the user addresses at which a page was mapped."""

    @abstractmethod
    def flush_tlb_kernel_range(self, start: Kva, end: Kva) -> None:
        """Flush kernel addresses [start, end) from every TLB, and wait for it. May sleep."""

    # mm/mmu_notifier.c
    @abstractmethod
    def mmu_notifier_invalidate_range_start(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Notify every VM of mm that the PTEs of [start, end) are about to change."""

    @abstractmethod
    def mmu_notifier_invalidate_range_end(self, mm: MmStruct, start: Hva, end: Hva) -> None:
        """Notify every VM of mm that the PTEs of [start, end) have changed."""

    @abstractmethod
    def mmu_notifier_unregister(self, kvm: Kvm, mm: MmStruct) -> None:
        """Unsubscribe a VM, and wait for calls of its notifiers in progress."""

    @abstractmethod
    def mmu_notifier_release(self, mm: MmStruct) -> None:
        """Unsubscribe each VM of an address space that is torn down."""

    # fs/file_table.c, fs/inode.c, for guest_memfd files
    @abstractmethod
    def get_file(self, file: File) -> None:
        """Take a reference on a file that the caller has open."""

    @abstractmethod
    def file_ref_get(self, file: File) -> bool:
        """Take a reference, unless the last one has been dropped; return whether one was taken."""

    @abstractmethod
    def fput(self, file: File) -> None:
        """Drop a reference on a file; the last one defers the release to task work."""

    @abstractmethod
    def task_work_run(self, file: File) -> None:
        """Release the file, before the return to user space, if this task has dropped its last reference."""

    @abstractmethod
    def igrab(self, inode: AddressSpace) -> bool:
        """igrab(): take a reference on an inode; False if it is being evicted."""

    @abstractmethod
    def iput(self, inode: AddressSpace) -> None:
        """iput(): drop a reference on an inode."""

    @abstractmethod
    def evict(self, inode: AddressSpace) -> None:
        """Free the pages of an inode without references."""

    # f_op and a_ops of guest_memfd, which fs and mm call through pointers
    @abstractmethod
    def kvm_gmem_release(self, file: File) -> None:
        """f_op->release: the last reference on the file is dropped."""

    @abstractmethod
    def kvm_gmem_error_folio(self, mapping: AddressSpace, index: Pgoff) -> None:
        """a_ops->error_remove_folio: take a page whose memory has failed away from the guest."""

    # a_ops and vm_ops of guest_memfd, which mm calls through pointers
    @abstractmethod
    def kvm_gmem_fault_user_mapping(self, mapping: AddressSpace, index: Pgoff) -> Pfn:
        """vm_ops->fault of a guest_memfd mapping: the locked page with a reference, or an error pfn (SIGBUS)."""

    @abstractmethod
    def kvm_gmem_free_folio(self, page: Page) -> None:
        """a_ops->free_folio: the page has left a guest_memfd's page cache."""

    # virt/kvm/kvm_main.c, through the mmu_notifier_ops
    @abstractmethod
    def kvm_mmu_notifier_invalidate_range_start(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """mmu_notifier_ops.invalidate_range_start."""

    @abstractmethod
    def kvm_mmu_notifier_invalidate_range_end(self, kvm: Kvm, start: Hva, end: Hva) -> None:
        """mmu_notifier_ops.invalidate_range_end."""

    @abstractmethod
    def kvm_mmu_notifier_release(self, kvm: Kvm) -> None:
        """mmu_notifier_ops.release."""
